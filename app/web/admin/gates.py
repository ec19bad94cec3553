"""What Vitec refuses, since when, and a way to have it tried at once."""

from dataclasses import dataclass
from functools import partial

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.store.circuits import load_circuits, probe_circuit
from app.store.gates import list_gates, probe_now
from app.users import User
from app.web.admin.backoffice import Backoffice, Visit
from app.web.routing import make_route
from app.web.security import NO_STORE


@dataclass(frozen=True, slots=True)
class Gates:
    backoffice: Backoffice

    def routes(self) -> list[Route]:
        guard = self.backoffice.guard
        return [
            make_route("/admin/gates", GET=guard(self.show)),
            make_route("/admin/gates/probe", POST=guard(self.probe_gates)),
            make_route("/admin/circuits/probe", POST=guard(self.probe_circuit)),
        ]

    async def show(self, visit: Visit) -> Response:
        store = self.backoffice.reception.store
        gates, circuits = await store.read(list_gates), await store.read(load_circuits)
        addresses = self._list_addresses(visit.user)
        return self.backoffice.show(
            visit,
            "admin/gates.html",
            gates=[gate for gate in gates if visit.user.sees(gate.key.customer_id)],
            circuits=[
                one
                for _, one in sorted(circuits.items())
                if visit.user.customers is None or one.base_url in addresses
            ],
            probed="probed" in visit.request.query_params,
        )

    def _list_addresses(self, user: User) -> set[str]:
        """Where the leads of the user's customers go."""
        forms = self.backoffice.reception.forms.current
        logins = {
            forms.destination(form, name).vitec
            for form in forms.forms.values()
            for name in (None, *forms.receivers)
            if user.sees(forms.destination(form, name).customer_id)
        }
        return {login.base_url for name, login in forms.logins.items() if name in logins}

    async def probe_gates(self, visit: Visit) -> Response:
        now = self.backoffice.reception.now()
        job = partial(probe_now, customers=visit.user.customers, now=now, actor=visit.actor)
        return await self._probe(job)

    async def probe_circuit(self, visit: Visit) -> Response:
        base_url = (await visit.read_form()).get("destination", "")
        if visit.user.customers is None or base_url in self._list_addresses(visit.user):
            now = self.backoffice.reception.now()
            return await self._probe(partial(probe_circuit, base_url=base_url, now=now, actor=visit.actor))
        return RedirectResponse("/admin/gates", 303, NO_STORE)

    async def _probe(self, job: "partial[int] | partial[bool]") -> Response:
        store = self.backoffice.reception.store
        await store.write(job)
        store.wake()
        return RedirectResponse("/admin/gates?probed", 303, NO_STORE)
