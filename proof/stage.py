"""Where a trial is played: a folder, a stand-in for Vitec, addresses for gateways, and visitors who post to them."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from proof.fleet import Member, free_port, running
from proof.postgresql import Server
from proof.visitors import Visitors, await_answer

SETTLE = 4

FORMS = """
[forms.kontakt]
customer_id = "M12345"
assigned_to_id = "HAN0B5E2D7C41A84F0E9C6D3A1F72E85B90"
lead_source_id = "LKA3F7A90C1E58B4D26A0479BD1C6E2F835"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    folder: Path
    names: dict[str, str]
    """The gateway's environment: everything in a hurry, but for what must not be."""
    ports: list[int]
    visitors: Visitors

    @property
    def database(self) -> Path:
        """SQLite's file."""
        return Path(self.names["LEADGATE_DATABASE_URL"].removeprefix("sqlite:///"))

    def gateway(self, number: int = 0, **changes: Any) -> Member:
        """Serves and delivers at one of the addresses."""
        arguments = ["serve", "--port", str(self.ports[number])]
        log = self.folder / "gateway.log"
        usual: dict[str, Any] = {"arguments": arguments, "names": self.names, "log": log}
        return Member(**usual | changes)

    async def await_gateway(self, number: int = 0) -> str:
        """Its address, once it is ready."""
        address = f"http://127.0.0.1:{self.ports[number]}"
        await await_answer(self.visitors.client, f"{address}/readyz")
        return address

    async def set_faults(self, orders: list[dict[str, Any]]) -> None:
        url = f"{self.visitors.sandbox}/sandbox/faults"
        if orders:
            (await self.visitors.client.post(url, json=orders)).raise_for_status()


@asynccontextmanager
async def set_stage(
    *, seed: int, server: Server | None = None, database: Path | None = None, gateways: int = 1
) -> AsyncIterator[Stage]:
    """On SQLite, in a file of its own unless another is named, or on a new database of the server's."""
    with TemporaryDirectory(prefix="leadgate-proof-") as text:
        folder = Path(text)
        sandbox = free_port()
        ports = [free_port() for _ in range(gateways)]
        address = server.create() if server else f"sqlite:///{database or folder / 'leadgate.db'}"
        names = _write_names(folder, database=address, sandbox=f"http://127.0.0.1:{sandbox}")
        async with (
            running("sandbox", "--port", str(sandbox), names=names),
            httpx.AsyncClient(timeout=5) as client,
        ):
            visitors = Visitors(
                client=client,
                gateways=[f"http://127.0.0.1:{port}" for port in ports],
                sandbox=f"http://127.0.0.1:{sandbox}",
                seed=seed,
            )
            await await_answer(client, f"{visitors.sandbox}/sandbox/state")
            yield Stage(folder=folder, names=names, ports=ports, visitors=visitors)


def _write_names(folder: Path, *, database: str, sandbox: str) -> dict[str, str]:
    (folder / "forms.toml").write_text(FORMS, encoding="utf-8")
    return {
        "LEADGATE_ENV_FILE": os.devnull,
        "LEADGATE_FORMS": str(folder / "forms.toml"),
        "LEADGATE_DATABASE_URL": database,
        "LEADGATE_SECRET_KEY": "a secret of thirty-two characters",
        "LEADGATE_VITEC_BASE_URL": sandbox,
        "LEADGATE_VITEC_USERNAME": "leadgate",
        "LEADGATE_VITEC_PASSWORD": "sandbox",
        "LEADGATE_VITEC_TIMEOUT": "1s",
        "LEADGATE_VITEC_RATE": "1000",
        "LEADGATE_VITEC_CONCURRENCY": "4",
        "LEADGATE_RETRY_SCHEDULE": "200ms,500ms,1s",
        "LEADGATE_RECONCILE_SETTLE": f"{SETTLE}s",
        "LEADGATE_RATE_LIMIT": "off",
        "LEADGATE_LOG_FORMAT": "json",
    }


def make_order(fault: str, *, number: int) -> dict[str, Any]:
    """One fault of one person's create."""
    seconds = {"seconds": 2} if fault == "late_commit" else {"seconds": 3} if "hang" in fault else {}
    return {"name": fault, "times": 1, "match": f"person{number}@", "operation": "createLead"} | seconds
