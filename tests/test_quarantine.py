"""Spam from end to end: what is let in, asked for work, or kept for a human, through the page and the API."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from altcha import Challenge, Payload, solve_challenge
from sqlalchemy import select

from app.forms.model import HONEYPOT
from app.identity import IdentitySource
from app.lead import LeadState
from app.store.acceptance import accept_all
from app.store.history import load_history
from app.store.leads import find_status
from app.store.operator import discard_lead, release_lead
from app.store.quarantine import list_unnamed, mark_named
from app.store.schema import spent_proofs
from app.store.store import Store
from app.store.words import Acceptance, NewLead, Proof, Suspicion
from tests.conftest import Shell
from tests.gateways import ANNA, FORMS, LISTED, Gateway, Markup, open_gateway, read_page
from tests.stores import NOW, new_lead
from tests.test_web_pages import lead_of, old_token

pytest_plugins = ["tests.store_fixtures"]
pytestmark = pytest.mark.anyio

SUSPECT: dict[str, Any] = {"message": "Our casino is open."}
SPAM: dict[str, Any] = {"message": "Our casino has a poker room."}
CHALLENGE = {"Prefer": "challenge"}
PAGE = {"Accept": "application/json"}

GUARDED = f"""{FORMS}
[forms.kontakt.spam]
words = ["casino", "poker room"]

[forms.strikt]
[forms.strikt.spam]
quarantine_at = 0.2
challenge_at = 0.2

[forms.lugn]
[forms.lugn.spam]
quarantine_at = 9.0
challenge_at = 9.0

[forms.alla]
[forms.alla.spam]
quarantine_at = 0.0
challenge_at = 0.0
"""


@asynccontextmanager
async def guarded(folder: Path, **options: Any) -> AsyncIterator[Gateway]:
    async with open_gateway(folder, GUARDED, **options) as gateway:
        yield gateway


async def open_page(gateway: Gateway, form: str = "kontakt") -> Markup:
    return read_page(await gateway.client.get(f"/f/{form}"))


async def send(gateway: Gateway, page: Markup, /, *without: str, **changes: str) -> httpx.Response:
    fields = {name: value for name, value in (page.fields | ANNA | changes).items() if name not in without}
    return await gateway.client.post(page.form["action"], data=fields)


async def tell(gateway: Gateway, lead_id: str) -> tuple[LeadState, list[str]]:
    """Where a lead is, and what spoke against it."""
    status = await gateway.store.read(partial(find_status, lead_id=lead_id))
    history = await gateway.store.read(partial(load_history, lead_id=lead_id))
    assert status
    told = [entry for entry in history if entry["kind"] in {"quarantined", "suspected"}]
    assert len(told) <= 1
    if status.state is LeadState.QUARANTINED:
        assert status.reason == str(Suspicion(told[0]["score"], tuple(told[0]["reasons"])))
        assert told[0]["kind"] == "quarantined"
    return status.state, told[0]["reasons"] if told else []


async def tell_answer(gateway: Gateway, answer: httpx.Response) -> tuple[LeadState, list[str]]:
    if answer.status_code == 202:
        assert answer.json()["status"] == "accepted"
        return await tell(gateway, answer.json()["id"])
    return await tell(gateway, lead_of(answer))


def solve(problem: dict[str, Any]) -> str:
    challenge = Challenge.from_dict(problem["challenge"])
    solution = solve_challenge(challenge)
    assert solution
    return Payload(challenge, solution).to_base64()


async def test_a_filled_honeypot_is_kept_thanked_for_and_shown_to_nobody_but_the_operator(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path) as gateway:
        page = await open_page(gateway)
        assert page.fields[HONEYPOT] == ""
        answer = await send(gateway, page, **{HONEYPOT: "https://spam.example"})
        lead_id = lead_of(answer)
        assert (await tell(gateway, lead_id))[0] is LeadState.QUARANTINED
        assert "honeypot" in (await tell(gateway, lead_id))[1]
        assert (await gateway.client.get(answer.headers["location"])).status_code == 200
        public = (await gateway.client.get(f"/api/v1/leads/{lead_id}")).json()
        assert (public["status"], public["deliveredAt"]) == ("accepted", None)
        # What stood in it is no part of the lead, nor noted as a field that nobody knows.
        assert not (await gateway.load(lead_id)).notes


async def test_a_page_filled_in_by_a_human_is_let_in_however_it_was_held_up(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gateway:
        page = await open_page(gateway)
        hasty = await send(gateway, page)
        assert await tell_answer(gateway, hasty) == (LeadState.PENDING, ["too_fast"])
        calm = await send(gateway, page, token=old_token(timedelta(minutes=3)), message="Lugnt.")
        assert await tell_answer(gateway, calm) == (LeadState.PENDING, [])
        late = await send(gateway, page, token=old_token(timedelta(hours=25)), message="Sent.")
        assert await tell_answer(gateway, late) == (LeadState.PENDING, ["token_expired"])
        forged = await send(gateway, page, token="x", message="Utan.")
        assert await tell_answer(gateway, forged) == (LeadState.PENDING, ["token_missing"])


async def test_our_page_without_its_honeypot_was_sent_by_a_program(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gateway:
        answer = await send(gateway, await open_page(gateway), HONEYPOT)
        assert await tell_answer(gateway, answer) == (LeadState.QUARANTINED, ["honeypot_missing", "too_fast"])


async def test_a_form_of_the_agency_s_own_has_no_signs_of_our_page(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gateway:
        answer = await gateway.client.post("/f/kontakt", data=ANNA, headers={"Origin": LISTED})
        assert await tell_answer(gateway, answer) == (LeadState.PENDING, [])
        trapped = await gateway.client.post(
            "/f/kontakt", data=ANNA | {HONEYPOT: "x", "message": "Hej"}, headers={"Origin": LISTED}
        )
        assert (await tell_answer(gateway, trapped))[1] == ["honeypot", "token_missing"]


async def test_the_api_is_scored_by_what_was_written(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gateway:
        assert await tell_answer(gateway, await gateway.post()) == (LeadState.PENDING, [])
        suspect = await gateway.post(**SUSPECT)
        assert await tell_answer(gateway, suspect) == (LeadState.QUARANTINED, ["word:casino"])
        spam = await gateway.post(headers=CHALLENGE, **SPAM)
        assert (await tell_answer(gateway, spam))[1] == ["word:casino", "word:poker room"]
        link = await gateway.post(message="Se https://x.example/y")
        assert await tell_answer(gateway, link) == (LeadState.PENDING, ["link"])


async def test_each_form_has_its_own_thresholds(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gateway:
        for form, state in (
            ("strikt", LeadState.QUARANTINED),
            ("lugn", LeadState.PENDING),
            ("alla", LeadState.QUARANTINED),
        ):
            page = await open_page(gateway, form)
            assert (await tell_answer(gateway, await send(gateway, page)))[0] is state
        plain = await gateway.post("/api/v1/forms/alla/leads", message="Hej")
        assert await tell_answer(gateway, plain) == (LeadState.QUARANTINED, ["every_lead"])


async def test_a_form_in_test_mode_stays_in_test_mode_and_tells_its_score(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gateway:
        page = await open_page(gateway, "prov")
        lead_id = lead_of(await send(gateway, page, **{HONEYPOT: "x"}))
        status = await gateway.store.read(partial(find_status, lead_id=lead_id))
        history = await gateway.store.read(partial(load_history, lead_id=lead_id))
        assert status
        assert status.reason == "test mode: kept, never sent to Vitec"
        assert history[1]["reasons"] == ["honeypot", "too_fast"]


async def test_who_can_work_is_asked_to_and_is_let_in_by_it(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gateway:
        asked = await gateway.post(headers=CHALLENGE | {"Accept-Language": "en"}, **SUSPECT)
        problem = asked.json()
        assert asked.status_code == 422
        assert problem["type"] == "urn:leadgate:problem:proof-required"
        assert problem["errors"][0]["pointer"] == "#/altcha"
        assert problem["challenge"]["parameters"]["data"] == {"form": "kontakt"}
        assert await gateway.count() == 0
        answer = await gateway.post(headers=CHALLENGE, altcha=solve(problem), **SUSPECT)
        assert await tell_answer(gateway, answer) == (LeadState.PENDING, ["word:casino"])


async def test_work_is_good_for_one_lead_and_the_same_lead_again(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gateway:
        problem = (await gateway.post(headers=CHALLENGE, **SUSPECT)).json()
        proof = solve(problem)
        keyed = {"Idempotency-Key": "k"}
        first = await gateway.post(headers=keyed, altcha=proof, **SUSPECT)
        again = await gateway.post(headers=keyed, altcha=proof, **SUSPECT)
        unproven = await gateway.post(headers=keyed | CHALLENGE, **SUSPECT)
        assert (await tell_answer(gateway, first))[0] is LeadState.PENDING
        assert first.json()["id"] == again.json()["id"] == unproven.json()["id"]
        assert again.headers["idempotent-replayed"] == unproven.headers["idempotent-replayed"] == "true"
        other = await gateway.post(altcha=proof, message="Another casino.")
        assert await tell_answer(gateway, other) == (LeadState.QUARANTINED, ["word:casino", "proof_spent"])


async def test_of_many_at_once_with_the_same_proof_one_is_let_in(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gateway:
        proof = solve((await gateway.post(headers=CHALLENGE, **SUSPECT)).json())
        answers = await asyncio.gather(
            *(gateway.post(altcha=proof, message=f"Casino {number}") for number in range(12))
        )
        states = [(await tell_answer(gateway, answer))[0] for answer in answers]
        assert sorted(states) == [LeadState.PENDING] + [LeadState.QUARANTINED] * 11


async def test_who_cannot_work_is_kept_and_never_refused(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gateway:
        for payload in ("none", "e30=", 5, {"a": 1}):
            answer = await gateway.post(headers=CHALLENGE, altcha=payload, message=f"Casino {payload}")
            assert await tell_answer(gateway, answer) == (
                LeadState.QUARANTINED,
                ["word:casino", "proof_invalid"],
            )
        elsewhere = (await gateway.post("/api/v1/forms/strikt/leads", headers=CHALLENGE)).json()
        assert elsewhere["status"] == "accepted"


async def test_work_that_nobody_asked_for_is_not_spent(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gateway:
        proof = solve((await gateway.post(headers=CHALLENGE, **SUSPECT)).json())
        await gateway.post(altcha=proof)
        assert await gateway.store.read(lambda read: read.execute(select(spent_proofs)).all()) == []


@pytest.mark.parametrize("changes", [{}, SPAM])
async def test_a_quarantined_lead_waits_as_long_as_any_other(tmp_path: Path, changes: dict[str, Any]) -> None:
    async with guarded(tmp_path) as gateway:
        before = time.monotonic()
        answer = await gateway.post(headers={"Prefer": "wait=1"}, **changes)
        assert answer.json()["status"] == "accepted"
        assert time.monotonic() - before > 0.9


async def test_more_than_twenty_a_minute_from_one_address_weigh_a_little(tmp_path: Path) -> None:
    async with guarded(tmp_path) as gateway:
        for number in range(20):
            assert await tell_answer(gateway, await gateway.post(message=f"Hej {number}")) == (
                LeadState.PENDING,
                [],
            )
        assert await tell_answer(gateway, await gateway.post(message="Hej")) == (
            LeadState.PENDING,
            ["too_many"],
        )


async def test_the_operator_sees_why_and_releases_or_discards(
    tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with guarded(tmp_path) as gateway:
        page = await open_page(gateway)
        lead_ids = [
            lead_of(await send(gateway, page, message=f"Nummer {number}", **{HONEYPOT: "x"}))
            for number in range(2)
        ]
    shell.set(LEADGATE_DATABASE_URL=f"sqlite:///{tmp_path / 'leads.db'}")
    lines = await asyncio.to_thread(shell, "leads", "list", "--state", "quarantined")
    assert lines.out.count("spam score 1.25: honeypot, too_fast") == 2
    told = await asyncio.to_thread(shell, "leads", "show", lead_ids[0])
    assert "  spam: honeypot, too_fast (score 1.25)\n" in told.out
    shown = json.loads((await asyncio.to_thread(shell, "leads", "show", lead_ids[0], "--json")).out)
    assert shown["spam"] == {"score": 1.25, "reasons": ["honeypot", "too_fast"]}
    released = await asyncio.to_thread(shell, "leads", "release", lead_ids[0])
    assert released.code == 0
    discarded = await asyncio.to_thread(shell, "leads", "discard", lead_ids[1], "--reason", "skräp")
    assert discarded.code == 0
    rows = json.loads((await asyncio.to_thread(shell, "leads", "list", "--json")).out)
    assert {row["id"]: row["status"] for row in rows} == dict(
        zip(lead_ids, ("pending", "discarded"), strict=True)
    )
    after = json.loads((await asyncio.to_thread(shell, "leads", "show", lead_ids[0], "--json")).out)
    # Released it is still told what spoke against it.
    assert (after["reason"], after["spam"]["reasons"]) == (None, ["honeypot", "too_fast"])


def suspect(**changes: Any) -> NewLead:
    suspicion = Suspicion(0.6, ("word:casino",))
    return new_lead(suspicion=suspicion, **changes)


def kept(outcome: object) -> Acceptance:
    assert isinstance(outcome, Acceptance)
    return outcome


async def accept_in(store: Store, *news: NewLead) -> list[Acceptance]:
    outcomes = await store.write(lambda write: accept_all(write, news, IdentitySource()))
    return [kept(outcome) for outcome in outcomes]


async def test_a_proof_lets_one_lead_in_within_a_batch_and_between_batches(store: Store) -> None:
    proof = Proof("0" * 32, NOW + timedelta(minutes=20))
    batch = await accept_in(store, suspect(proof=proof), suspect(proof=proof))
    (later,) = await accept_in(store, suspect(proof=proof))
    (another,) = await accept_in(store, suspect(proof=Proof("1" * 32, proof.expires_at)))
    assert [one.state.value for one in (*batch, later, another)] == [
        "pending",
        "quarantined",
        "quarantined",
        "pending",
    ]


async def test_spent_proofs_are_forgotten_once_they_are_worth_nothing(store: Store) -> None:
    for number in range(3):
        at = NOW + number * timedelta(hours=2)
        proof = Proof(str(number) * 32, at + timedelta(minutes=20))
        await accept_in(store, suspect(proof=proof, received_at=at))
    nonces = await store.read(lambda read: read.execute(select(spent_proofs.c.nonce)).scalars().all())
    assert nonces == ["2" * 32]


async def test_any_number_can_be_named_at_once(store: Store) -> None:
    waiting = {"state": LeadState.QUARANTINED, "reason": "spam score 1: honeypot"}
    [lead] = await accept_in(store, new_lead(**waiting))
    many = [f"nobody {number}" for number in range(70_000)]  # PostgreSQL takes 65,535 parameters
    assert await store.write(partial(mark_named, lead_ids=[*many, lead.lead_id], now=NOW)) == 1


async def test_what_no_digest_has_named_is_listed_until_one_has(store: Store) -> None:
    waiting = {"state": LeadState.QUARANTINED, "reason": "spam score 1: honeypot"}
    leads = await accept_in(store, *(new_lead(**waiting) for _ in range(3)), new_lead())
    lead_ids = [lead.lead_id for lead in leads[:3]]
    unnamed = await store.read(list_unnamed)
    assert [one.lead_id for one in unnamed] == lead_ids
    assert unnamed[0].reason == "spam score 1: honeypot"
    mark = partial(mark_named, lead_ids=lead_ids[:2], now=NOW)
    assert [await store.write(mark), await store.write(mark)] == [2, 0]
    assert [one.lead_id for one in await store.read(list_unnamed)] == lead_ids[2:]
    await store.write(partial(release_lead, lead_id=lead_ids[2], now=NOW, actor="anna"))
    assert await store.read(list_unnamed) == []
    await store.write(partial(discard_lead, lead_id=lead_ids[0], reason="skräp", now=NOW, actor="anna"))
