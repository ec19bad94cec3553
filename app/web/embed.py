"""The embed script: the same bytes for every page, at an address that stays and at one that changes with them."""

import json
import re
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256, sha384
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.forms.model import Form
from app.resources import STATIC
from app.web.compression import COMPRESSED
from app.web.origins import read_origin
from app.web.problems import Refused
from app.web.reception import Reception
from app.web.routing import make_route
from app.web.security import NO_STORE

_FOLDER = STATIC / "embed"
_RELEASED = _FOLDER / "released"
_FOR_EVER = "public, max-age=31536000, immutable"
_FIVE_MINUTES = "public, max-age=300"
# Any page may read them: a browser checks an integrity value only of what it was allowed to read.
_FOR_EVERYONE = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}

_COMMENTS = re.compile(r"^[ \t]*//.*\n", re.MULTILINE)
_TOKENS = re.compile(r'("[^"\n]*"|`[^`]*`)|\s*([^\w\s"`])\s*|\s+')


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    cache: str
    media_type: str = "text/javascript"

    @property
    def digest(self) -> str:
        return sha256(self.content).hexdigest()[:16]

    @property
    def integrity(self) -> str:
        """For the attribute of that name (W3C Subresource Integrity)."""
        return "sha384-" + b64encode(sha384(self.content).digest()).decode()


@dataclass(frozen=True, slots=True)
class Embed:
    """The handlers."""

    reception: Reception

    def routes(self) -> list[Route]:
        return [
            make_route("/embed/{file}", COMPRESSED, GET=self.send_asset),
            make_route("/embed/v1/{form}", GET=self.tell_why),
        ]

    async def send_asset(self, request: Request) -> Response:
        asset = load_assets().get(request.path_params["file"])
        if asset is None:
            raise Refused(404)
        headers = {
            "Cache-Control": asset.cache,
            "ETag": f'W/"{asset.digest}"',
            **_FOR_EVERYONE,
        }
        if asset.digest in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(asset.content, headers=headers, media_type=asset.media_type)

    async def tell_why(self, request: Request) -> Response:
        """Why a frame stays empty: asked by the script, for the console of whoever builds the page."""
        form, origin = self.reception.find_form(request), request.headers.get("origin")
        if form is None:
            code, detail = "unknown-form", f"there is no form {request.path_params['form']!r}"
        elif origin and not self.reception.admits(request):
            code, detail = "origin-not-allowed", _explain_origin(form, origin)
        else:
            code = "not-shown"
            detail = "the form is there; does frame-src in this page's Content-Security-Policy name its host?"
        return JSONResponse({"code": code, "detail": detail}, headers={**NO_STORE, **_FOR_EVERYONE})


def _explain_origin(form: Form, origin: str) -> str:
    if read_origin(origin) is None:
        return "a page from a file, or in a sandbox without allow-same-origin, has no origin that could be listed"
    line = json.dumps([*form.allowed_origins, origin])
    return f"{origin} may not show this form; write under [forms.{form.name}]: allowed_origins = {line}"


@cache
def load_assets() -> dict[str, Asset]:
    """By the name in their address. Scripts of earlier releases stay as they were: pages name them by digest."""
    second = _read("own.js")
    name = f"own.{second.digest}.js"
    script = _read("v1.js", OWN=name)
    pinned = f"v1.{script.digest}.js"
    pin = {"src": f"/embed/{pinned}", "integrity": script.integrity}
    return {
        **read_released(_RELEASED),
        "v1.js": Asset(script.content, _FIVE_MINUTES),
        "v1.json": Asset(json.dumps(pin).encode(), _FIVE_MINUTES, "application/json"),
        pinned: script,
        name: second,
    }


def read_released(folder: Path) -> dict[str, Asset]:
    return {path.name: Asset(path.read_bytes(), _FOR_EVER) for path in folder.glob("*.js")}


def keep_release(folder: Path = _RELEASED) -> None:
    """Puts the present scripts beside those of earlier releases, for the pages that will have named them."""
    folder.mkdir(exist_ok=True)
    for name, asset in load_assets().items():
        if asset.cache == _FOR_EVER:
            (folder / name).write_bytes(asset.content)


def _read(file: str, **words: str) -> Asset:
    source = (_FOLDER / file).read_text(encoding="utf-8")
    for word, value in words.items():
        source = source.replace(f"%{word}%", value)
    return Asset(compact(source).encode(), _FOR_EVER)


def compact(source: str) -> str:
    """A script without the lines that are a comment, and without blanks that nobody needs.

    Not for every script: it knows neither comments behind code nor regular expressions with quotes or blanks.
    """
    bare = _TOKENS.sub(lambda token: token[1] or token[2] or " ", _COMMENTS.sub("", source))
    return bare.replace(";}", "}").strip()
