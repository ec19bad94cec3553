"""The inbox: how many leads are where, the last fourteen days, and the leads themselves, by page and by search."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.lead import LeadState
from app.store.inbox import Place, Row, Wanted, count_by_day, count_undelivered, list_rows
from app.users import User
from app.web.admin.backoffice import HOME, Backoffice, Visit
from app.web.admin.chart import Chart, draw, list_days
from app.web.admin.search import Search, is_sealed
from app.web.api import LEAD_ID
from app.web.routing import make_route

PAGE = 50

AGES: dict[str, tuple[timedelta | None, timedelta | None]] = {
    "1d": (timedelta(days=1), None),
    "7d": (timedelta(days=7), None),
    "30d": (timedelta(days=30), None),
    "over-1h": (None, timedelta(hours=1)),
    "over-1d": (None, timedelta(days=1)),
    "over-7d": (None, timedelta(days=7)),
}
"""At most so old, or at least."""

_ASKED = ("state", "form", "customer", "age", "person")

_COUNTED_FOR = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    backoffice: Backoffice
    _charts: dict[frozenset[str] | None, tuple[datetime, Chart]] = field(default_factory=dict)

    def routes(self) -> list[Route]:
        guard = self.backoffice.guard
        return [
            make_route(HOME, GET=guard(self.show)),
            make_route("/admin/search", POST=guard(self.search)),
        ]

    async def show(self, visit: Visit) -> Response:
        store, now = self.backoffice.reception.store, self.backoffice.reception.now()
        wanted = read_wanted(visit.request, visit.user, now=now)
        rows = await store.read(partial(list_rows, wanted=wanted, limit=PAGE + 1))
        onward = _link_onward(visit.request, rows[PAGE - 1].place) if len(rows) > PAGE else None
        return await self._show(visit, rows[:PAGE], onward=onward, asked=_list_asked(visit.request))

    async def _show(self, visit: Visit, rows: list[Row], **variables: Any) -> Response:
        store, customers = self.backoffice.reception.store, visit.user.customers
        counts = await store.read(partial(count_undelivered, customers=customers))
        forms = self.backoffice.reception.forms.current
        visible = {name: forms.customers(form) for name, form in sorted(forms.forms.items())}
        seen = {name: all_ for name, all_ in visible.items() if any(map(visit.user.sees, all_))}
        return self.backoffice.show(
            visit,
            "admin/inbox.html",
            rows=rows,
            counts=counts,
            chart=await self._chart(customers),
            states=[
                LeadState.HELD,
                LeadState.QUARANTINED,
                LeadState.PENDING,
                LeadState.DELIVERED,
                LeadState.DISCARDED,
            ],
            forms=list(seen),
            customers=sorted({one for all_ in seen.values() for one in all_ if visit.user.sees(one)}),
            ages=list(AGES),
            sealed=is_sealed(store),
            **{
                "search": None,
                "asked": dict.fromkeys(_ASKED, ""),
                "onward": None,
                "further": None,
                **variables,
            },
        )

    async def _chart(self, customers: frozenset[str] | None) -> Chart:
        """Counted once a minute: with a million leads it takes longer than the rest of the page."""
        now = self.backoffice.reception.now()
        known = self._charts.get(customers)
        if known and timedelta() <= now - known[0] < _COUNTED_FOR:
            return known[1]
        days = list_days(now)
        counts = await self.backoffice.reception.store.read(
            partial(count_by_day, days=days, customers=customers)
        )
        self._charts[customers] = now, draw(days, counts)
        return self._charts[customers][1]

    async def search(self, visit: Visit) -> Response:
        """What is searched for is somebody's name or address, and stands in no address of ours."""
        search = await Search.read(self.backoffice, visit)
        if search.lead_id:
            return RedirectResponse(f"/admin/leads/{search.lead_id}", 303)
        if search.person:
            return RedirectResponse(f"{HOME}?{urlencode({'person': search.person})}", 303)
        rows, further = await search.find(self.backoffice.reception.store, visit.user)
        return await self._show(visit, rows, search=search, further=further)


def read_wanted(request: Request, user: User, *, now: datetime) -> Wanted:
    """What the address asks for, as far as the user may see it. What is unknown is no wish."""
    asked = request.query_params
    customers = user.customers
    if customer := asked.get("customer"):
        customers = frozenset({customer} if user.sees(customer) else ())
    younger, older = AGES.get(asked.get("age", ""), (None, None))
    before = asked.get("before", "")
    return Wanted(
        customers=customers,
        state=LeadState(asked["state"]) if asked.get("state") in set(LeadState) else None,
        form=asked.get("form") or None,
        since=now - younger if younger else None,
        until=now - older if older else None,
        person=asked.get("person") or None,
        before=before if LEAD_ID.fullmatch(before) else None,
    )


def _list_asked(request: Request) -> dict[str, str]:
    return {name: request.query_params.get(name, "") for name in _ASKED}


def _link_onward(request: Request, last: Place) -> str:
    kept = [
        (name, value) for name, value in request.query_params.multi_items() if name not in {"before", "done"}
    ]
    return "?" + urlencode([*kept, ("before", last.lead_id)])
