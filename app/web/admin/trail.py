"""The audit trail: who did what, to which lead, and when."""

from dataclasses import dataclass
from functools import partial

from starlette.responses import Response
from starlette.routing import Route

from app.store.audit import list_audit
from app.web.admin.backoffice import Backoffice, Visit
from app.web.routing import make_route

PAGE = 100


@dataclass(frozen=True, slots=True)
class Trail:
    backoffice: Backoffice

    def routes(self) -> list[Route]:
        return [make_route("/admin/audit", GET=self.backoffice.guard(self.show))]

    async def show(self, visit: Visit) -> Response:
        before = visit.request.query_params.get("before", "")
        entries = await self.backoffice.reception.store.read(
            partial(
                list_audit,
                customers=visit.user.customers,
                actor=visit.actor,
                before=int(before) if before.isascii() and before.isdecimal() and len(before) < 19 else None,
                limit=PAGE + 1,
            )
        )
        return self.backoffice.show(
            visit,
            "admin/audit.html",
            entries=entries[:PAGE],
            onward=f"?before={entries[PAGE - 1].number}" if len(entries) > PAGE else None,
        )
