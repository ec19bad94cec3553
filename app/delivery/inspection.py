"""Asks Vitec whether what the forms file names is there: logins by group of calls, customers and receivers."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.delivery.pace import Pace
from app.delivery.verdicts import (
    CallFinding,
    CustomerFinding,
    judge,
    suggest_fallbacks,
    weigh_listing,
    weigh_probe,
)
from app.forms.errands import Errand, list_errands
from app.forms.model import CallGroup, Forms, Login
from app.vitec.answers import Answer
from app.vitec.client import VitecClient
from app.vitec.readings import Listed, parse_listing

_Send = Callable[[Login, str], Awaitable[Answer]]
_Ask = Callable[[], Awaitable[tuple[CallFinding, Sequence[Listed]]]]

_USERS, _GROUPS, _OFFICES = "GET User/GetUser", "GET CRM/Usergroups", "GET Office/GetOffice"
_LISTINGS = {_USERS, _GROUPS, _OFFICES}


@dataclass(slots=True, kw_only=True)
class Inspector:
    client: VitecClient
    pace: Pace

    async def inspect(self, forms: Forms) -> list[CustomerFinding]:
        """Every login at every customer that a lead may go to. Makes nothing in Vitec.

        A destination that cannot be reached is asked once, and no customer that refuses is asked again.
        """
        found: list[CustomerFinding] = []
        silent: dict[str, CallFinding] = {}
        for (name, customer_id), errands in _group(list_errands(forms)).items():
            login = forms.logins.get(name)
            if login is None:
                continue  # only forms in test mode may be without
            finding = await self._inspect(login, customer_id, errands, silent=silent.get(login.base_url))
            found.append(finding)
            if (lost := next((one for one in finding.calls if one.status is None), None)) is not None:
                silent[login.base_url] = lost
        return found

    async def look_at_receivers(
        self, forms: Forms, *, refused: Collection[tuple[str, str]] = ()
    ) -> list[CustomerFinding]:
        """The same for the receivers alone, by readings. `refused`: logins and customers that are not asked."""
        return [
            await self._inspect(login, customer_id, errands, probes=False)
            for (name, customer_id), errands in _group(list_errands(forms)).items()
            if (login := forms.logins.get(name)) is not None and (name, customer_id) not in refused
        ]

    async def _inspect(
        self,
        login: Login,
        customer_id: str,
        errands: Sequence[Errand],
        *,
        probes: bool = True,
        silent: CallFinding | None = None,
    ) -> CustomerFinding:
        calls: list[CallFinding] = [silent] if silent else []
        listed: list[Listed] = []
        for ask in (
            *(self._probes(login, customer_id) if probes else ()),
            *self._listings(login, customer_id),
        ):
            if calls and calls[-1].status is None:
                break
            finding, rows = await ask()
            calls.append(finding)
            listed += rows
        known = {call.call for call in calls if call.ok}
        return CustomerFinding(
            login=login.name,
            base_url=login.base_url,
            customer_id=customer_id,
            calls=tuple(calls),
            ids=tuple(judge(errands, listed, complete=known >= _LISTINGS)),
            suggestions=tuple(suggest_fallbacks(errands, listed)),
        )

    def _probes(self, login: Login, customer_id: str) -> Iterable["_Ask"]:
        client = self.client
        yield self._probe(
            "POST Contacts/UpdatePerson", CallGroup.CONTACT, client.probe_contact, login, customer_id
        )
        yield self._probe("POST CRM/Lead", CallGroup.CREATE, client.probe_create, login, customer_id)

    def _listings(self, login: Login, customer_id: str) -> Iterable["_Ask"]:
        client = self.client
        yield self._list(_USERS, client.get_users, login, customer_id)
        yield self._list(_GROUPS, client.get_user_groups, login, customer_id)
        yield self._list(_OFFICES, client.get_offices, login, customer_id)

    def _probe(self, call: str, group: CallGroup, send: "_Send", login: Login, customer_id: str) -> "_Ask":
        async def ask() -> tuple[CallFinding, Sequence[Listed]]:
            await self.pace.wait()
            return weigh_probe(await send(login, customer_id), call=call, group=group), ()

        return ask

    def _list(self, call: str, send: "_Send", login: Login, customer_id: str) -> "_Ask":
        async def ask() -> tuple[CallFinding, Sequence[Listed]]:
            await self.pace.wait()
            answer = await send(login, customer_id)
            rows = parse_listing(answer)
            return weigh_listing(answer, rows, call=call), rows or ()

        return ask


def _group(errands: Iterable[Errand]) -> Mapping[tuple[str, str], list[Errand]]:
    grouped: dict[tuple[str, str], list[Errand]] = {}
    for errand in errands:
        place = (errand.destination.vitec, errand.destination.customer_id)
        grouped.setdefault(place, []).append(errand)
    return grouped
