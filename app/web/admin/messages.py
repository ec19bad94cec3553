"""What people were to be told, and have not been yet: what, how often it was tried, and why it failed."""

from dataclasses import dataclass
from functools import partial

from starlette.responses import Response
from starlette.routing import Route

from app.store.notices import list_unsent
from app.web.admin.backoffice import Backoffice, Visit
from app.web.routing import make_route


@dataclass(frozen=True, slots=True)
class Messages:
    backoffice: Backoffice

    def routes(self) -> list[Route]:
        return [make_route("/admin/messages", GET=self.backoffice.guard(self.show))]

    async def show(self, visit: Visit) -> Response:
        find = partial(list_unsent, customers=visit.user.customers)
        rows = await self.backoffice.reception.store.read(find)
        return self.backoffice.show(visit, "admin/messages.html", rows=rows)
