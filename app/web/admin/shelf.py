"""The forms, as they are in force: where their leads go, how to embed them, and how they look."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.forms.model import Form
from app.web.admin.backoffice import Backoffice, Visit
from app.web.problems import Refused
from app.web.routing import make_route


@dataclass(frozen=True, slots=True)
class Shelf:
    backoffice: Backoffice

    def routes(self) -> list[Route]:
        guard = self.backoffice.guard
        return [
            make_route("/admin/forms", GET=guard(self.show_all)),
            make_route("/admin/forms/{form}", GET=guard(self.show)),
        ]

    def _list(self, visit: Visit) -> dict[str, Form]:
        forms = self.backoffice.reception.forms.current
        return {
            name: form
            for name, form in sorted(forms.forms.items())
            if any(map(visit.user.sees, forms.customers(form)))
        }

    async def show_all(self, visit: Visit) -> Response:
        found, forms = self._list(visit), self.backoffice.reception.forms.current
        return self.backoffice.show(
            visit,
            "admin/forms.html",
            forms=found,
            customers={
                name: sorted(filter(visit.user.sees, forms.customers(form))) for name, form in found.items()
            },
        )

    async def show(self, visit: Visit) -> Response:
        form = self._list(visit).get(visit.request.path_params["form"])
        if form is None:
            raise Refused(404)
        forms = self.backoffice.reception.forms.current
        names = dict.fromkeys(
            name
            for name in (
                None,
                form.receiver,
                form.fallback_receiver,
                *(route.receiver for route in form.routes),
            )
            if visit.user.sees(forms.destination(form, name).customer_id)
        )
        return self.backoffice.show(
            visit,
            "admin/form.html",
            form=form,
            base=self._find_base(visit.request),
            destinations={name: forms.destination(form, name) for name in names},
        )

    def _find_base(self, request: Request) -> str:
        """How visitors reach this service."""
        known = self.backoffice.reception.public_url
        scheme = "https" if self.backoffice.is_secure(request) else "http"
        return known or f"{scheme}://{request.headers.get('host', '')}"
