"""Every address under /admin. Where nobody may sign in, each of them is a 404."""

from starlette.routing import Route

from app.web.admin.backoffice import Backoffice
from app.web.admin.correction import Correction
from app.web.admin.entrance import Entrance
from app.web.admin.gates import Gates
from app.web.admin.inbox import Inbox
from app.web.admin.messages import Messages
from app.web.admin.shelf import Shelf
from app.web.admin.story import Story
from app.web.admin.trail import Trail


def list_routes(backoffice: Backoffice) -> list[Route]:
    return [
        *Entrance(backoffice).routes(),
        *Inbox(backoffice=backoffice).routes(),
        *Correction(backoffice).routes(),  # before the story's, whose address for actions takes every name
        *Story(backoffice).routes(),
        *Gates(backoffice).routes(),
        *Messages(backoffice).routes(),
        *Shelf(backoffice).routes(),
        *Trail(backoffice).routes(),
    ]
