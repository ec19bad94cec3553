"""Leads as they come in, and the truth about them afterwards."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from proof.fleet import ask
from proof.table import Row

PATIENCE = 600.0
"""Seconds after which a run is said not to have come to rest."""

_READY_WITHIN = 60.0


@dataclass(slots=True, kw_only=True)
class Visitors:
    """Who posts, where to, and what they were promised."""

    client: httpx.AsyncClient
    gateways: list[str]
    """Addresses, any of which will do."""
    sandbox: str
    seed: int
    acknowledged: dict[str, str] = field(default_factory=dict)
    """Lead id by person."""
    refusals: int = 0
    sent: int = 0
    unmatchable: float = 0
    """Odds that a person has one name alone: Vitec would make them anew at every call."""

    async def feed(self, count: int, *, per_second: float, first: int = 0) -> None:
        """Open loop: the next lead comes when its time has come, whatever became of the last."""
        async with asyncio.TaskGroup() as senders:
            for number in range(first, first + count):
                senders.create_task(self.submit(f"person{number}"))
                await asyncio.sleep(1 / per_second)

    async def submit(self, person: str) -> None:
        """With a key, until it is acknowledged: as a careful caller does."""
        self.sent += 1
        dice = Random(f"{self.seed}.{person}")
        name = person.capitalize()
        body = {
            "name": name if dice.random() < self.unmatchable else f"{name} Kaos",
            "email": f"{person}@example.com",
            "message": f"Jag heter {person}@.",
        }
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(httpx.HTTPError):
                    answer = await self.client.post(
                        f"{dice.choice(self.gateways)}/api/v1/forms/kontakt/leads",
                        json=body,
                        headers={"Idempotency-Key": f"{self.seed}-{person}"},
                    )
                    if answer.status_code == 202:
                        self.acknowledged[person] = answer.json()["id"]
                        return
                    self.refusals += 1
                await asyncio.sleep(0.2)

    async def deliver_one_in_peace(self) -> None:
        """What proves the read path must not be in doubt itself."""
        await self.submit("first")
        async with asyncio.timeout(_READY_WITHIN):
            while "first" not in json.dumps((await self.ask_sandbox())["leads"]):
                await asyncio.sleep(0.1)

    async def come_to_rest(self) -> None:
        """Until every acknowledged lead is delivered or held, or patience is at an end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not all([await self._is_at_rest(one) for one in self.acknowledged.values()]):
                    await asyncio.sleep(0.5)

    async def _is_at_rest(self, lead_id: str) -> bool:
        for gateway in self.gateways:
            with suppress(httpx.HTTPError, ValueError):
                answer = await self.client.get(f"{gateway}/api/v1/leads/{lead_id}")
                return answer.json().get("status") in {"delivered", "held"}
        return False

    async def ask_sandbox(self) -> dict[str, Any]:
        state: dict[str, Any] = (await self.client.get(f"{self.sandbox}/sandbox/state")).json()
        return state

    async def count_copies(self) -> Counter[str]:
        """How often Vitec has each lead."""
        leads = (await self.ask_sandbox())["leads"]
        return Counter(tag["value"] for lead in leads for tag in lead["utmTags"] if tag["name"] == "leadgate")

    async def judge(self, fault: str, *, names: Mapping[str, str], note: str = "") -> Row:
        """From the store and the sandbox's truth, once the gateways have ended."""
        rows = json.loads(await ask("leads", "list", "--json", names=names))
        stored = {row["id"]: row["status"] for row in rows}
        held = await ask("leads", "list", "--state", "held", names=names)
        reasons = Counter(line.split(maxsplit=5)[5] for line in held.splitlines() if "held" in line)
        copies = await self.count_copies()
        ids = set(self.acknowledged.values())
        states = Counter(stored.get(one, "missing") for one in ids)
        arrived = sum(stored.get(one) == "delivered" and copies[one] >= 1 for one in ids)
        restless = states["pending"]
        notes = [note, f"{restless} never came to rest" if restless else ""]
        notes += [f"{count} held: {reason.replace(',', ';')}" for reason, count in reasons.items()]
        return Row(
            fault=fault,
            trials=len(ids),
            # Two people given one lead would be a lead lost, too.
            lost=self.sent - states["held"] - arrived - restless,
            doubled=sum(count > 1 for count in copies.values()),
            held=states["held"],
            note=", ".join(filter(None, notes)),
        )


async def await_answer(client: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(_READY_WITHIN):
        while True:
            with suppress(httpx.HTTPError):
                if (await client.get(url)).status_code == 200:
                    return
            await asyncio.sleep(0.1)
