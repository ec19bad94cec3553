"""The demo: gateway, sandbox and a sample landing page in one process, on three ports of this machine."""

from importlib.resources import files
from pathlib import Path
from secrets import token_urlsafe
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from app.cli.configuration import Configuration, reread_forms, reread_users
from app.cli.gateway import delivering, open_gateway
from app.cli.process import Stop, address_of, bind, make_server, run_servers
from app.intake.attribution import allowed_parameters
from app.passwords import hash_password
from app.resources import STATIC
from app.sandbox.app import create_sandbox
from app.sandbox.config import SandboxLogin
from app.settings import Settings
from app.users import ADMIN
from app.web.rendering import Renderer

CAMPAIGN = "utm_source=google&utm_medium=cpc&utm_campaign=host-i-hornviken"

_DATABASE = "data/demo.db"


async def run(port: int) -> None:
    """`leadgate demo`: three ports from `port` on, or any three for 0. Raises LeadgateError."""
    listeners = [bind("127.0.0.1", port + place if port else 0) for place in range(3)]
    gateway_url, sandbox_url, page_url = (address_of(listener) for listener in listeners)
    stop = Stop()
    # Another each time: who else is on this machine shall not come in.
    password = token_urlsafe(12)
    with TemporaryDirectory() as folder:
        configuration = _configure(
            Path(folder), sandbox_url=sandbox_url, page_url=page_url, password=password
        )
    async with open_gateway(configuration) as gateway, delivering(gateway, stop=stop):
        servers = [
            make_server(gateway.create_app()),
            make_server(create_sandbox()),
            make_server(_sample_page(gateway_url, sandbox_url, page_url)),
        ]
        await run_servers(
            list(zip(servers, listeners, strict=True)),
            stop=stop,
            announce=lambda: print(
                f"\n  The agency's page   {page_url}/?{CAMPAIGN}"
                f"\n  Vitec's inbox       {sandbox_url}/"
                f"\n  The form by itself  {gateway_url}/f/kontakt"
                f"\n  The operator's day  {gateway_url}/admin  ({ADMIN}, {password})"
                "\n\n  Open the first, fill in the form, and watch the lead arrive in the second."
                f"\n  Leads are kept in {_DATABASE}. Ctrl-C stops.\n",
                flush=True,
            ),
        )


def _configure(folder: Path, *, sandbox_url: str, page_url: str, password: str) -> Configuration:
    """The demo's own, whatever stands in the environment: nothing of it may reach a real CRM."""
    path = folder / "demo.toml"
    text = files("app.cli").joinpath("demo.toml").read_text(encoding="utf-8")
    path.write_text(text.replace("{page}", page_url), encoding="utf-8")
    login = SandboxLogin()
    settings = Settings(
        forms=path,
        database_url=f"sqlite:///{_DATABASE}",
        vitec_base_url=sandbox_url,
        vitec_username=login.username,
        vitec_password=SecretStr(login.password),
        admin_password_hash=SecretStr(hash_password(password)),
    )
    return Configuration(settings=settings, forms=reread_forms(settings), users=reread_users(settings))


def _sample_page(gateway_url: str, sandbox_url: str, page_url: str) -> Starlette:
    renderer = Renderer()

    async def show(request: Request) -> Response:
        known = allowed_parameters()
        tracked = [(name, value) for name, value in request.query_params.multi_items() if name in known]
        query = urlencode(tracked)
        content = renderer.render_agency(
            base=gateway_url,
            inbox=f"{sandbox_url}/",
            query=query,
            page_url=f"{page_url}/?{query}" if query else f"{page_url}/",
        )
        return Response(content, media_type="text/html")

    return Starlette(routes=[Route("/", show), Mount("/static", StaticFiles(directory=STATIC))])


async def run_sandbox(host: str, port: int) -> None:
    """`leadgate sandbox`: Vitec's stand-in alone, until it is interrupted."""
    listener = bind(host, port)
    await run_servers(
        [(make_server(create_sandbox()), listener)],
        stop=Stop(),
        announce=lambda: print(f"The sandbox is ready on {address_of(listener)}", flush=True),
    )
