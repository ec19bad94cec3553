"""Retention: who goes when, what is left of a lead, and that nobody waits for it."""

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, func, select, text, update

from app.cli.retention import list_retention, purge, purging
from app.errors import LeadNotFound, OperatorError
from app.forms.live import LiveForms
from app.forms.model import Retention
from app.forms.reader import read_forms
from app.identity import IdentitySource
from app.lead import LeadState
from app.store.acceptance import accept_all
from app.store.history import add_event, load_history
from app.store.leads import find_status, load_lead
from app.store.operator import discard_lead, release_lead, retry_lead
from app.store.outbox import finish_attempt, mark_delivered
from app.store.quarantine import mark_named
from app.store.receipts import Expired, find_expired, is_purge_due, purge_expired, take_purge
from app.store.reconciling import ReadPath, keep_canary, load_read_path
from app.store.schema import attempts, events, leads, metadata, outbox, payloads
from app.store.store import Store
from app.store.words import Acceptance
from tests.conftest import Outcome, Shell
from tests.databases import only_sqlite
from tests.gateways import LOGIN, open_gateway
from tests.processes import FORMS, NOWHERE, start_gateway, write_forms
from tests.stores import NOW, SECOND, begin, keep, must_claim, new_lead

pytest_plugins = ["tests.store_fixtures"]

DAY = timedelta(days=1)
USUAL: Mapping[str, Retention] = {}
HOUR = timedelta(hours=1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def deliver(connection: Connection, *, at: datetime = NOW, **changes: Any) -> str:
    """A delivered lead with everything that delivery leaves behind."""
    lead_id = keep(connection, **changes)
    claimed = must_claim(connection)
    assert claimed.lead_id == lead_id
    attempt = begin(connection, claimed)
    finish_attempt(connection, attempt, outcome="done", now=at, detail="Anna", vitec_id="LED1")
    connection.execute(update(outbox).where(outbox.c.lead_id == lead_id).values(contact_id="CON1"))
    mark_delivered(connection, lead_id, vitec_lead_id="LED1", now=at)
    return lead_id


def put(connection: Connection, state: LeadState, *, at: datetime = NOW, **changes: Any) -> str:
    lead_id = keep(connection, **changes)
    values: dict[str, Any] = {"state": state, "state_at": at, "reason": "because of Anna"}
    if state is LeadState.DELIVERED:
        values |= {"delivered_at": at, "vitec_lead_id": "LED1", "reason": None}
    if state is LeadState.PENDING:
        values["reason"] = None
    connection.execute(update(outbox).where(outbox.c.lead_id == lead_id).values(values))
    return lead_id


def purge_now(
    connection: Connection, *, now: datetime, retention: Mapping[str, Retention] = USUAL, limit: int = 50
) -> int:
    found = find_expired(connection, retention, now=now, limit=limit)
    return sum(purge_expired(connection, one, now=now) for one in found)


def is_purged(connection: Connection, lead_id: str) -> bool:
    found = find_status(connection, lead_id)
    assert found is not None
    return found.purged_at is not None


@pytest.mark.parametrize(("state", "kept"), [(LeadState.DELIVERED, 30 * DAY), (LeadState.DISCARDED, 7 * DAY)])
def test_a_lead_goes_when_its_state_s_time_is_over(
    connection: Connection, state: LeadState, kept: timedelta
) -> None:
    lead_id = put(connection, state)
    assert purge_now(connection, now=NOW + kept - SECOND) == 0
    assert not is_purged(connection, lead_id)
    assert purge_now(connection, now=NOW + kept) == 1
    assert is_purged(connection, lead_id)
    assert purge_now(connection, now=NOW + 1000 * DAY) == 0


def test_a_suspect_goes_when_its_time_since_a_digest_named_it_is_over(connection: Connection) -> None:
    lead_id = put(connection, LeadState.QUARANTINED)
    assert mark_named(connection, [lead_id], now=NOW + 5 * DAY) == 1
    assert purge_now(connection, now=NOW + 35 * DAY - SECOND) == 0
    assert purge_now(connection, now=NOW + 35 * DAY) == 1
    found = find_status(connection, lead_id)
    assert found is not None
    assert (found.state, found.reason) == (LeadState.DISCARDED, "purged")
    with pytest.raises(OperatorError, match="cannot be released"):
        release_lead(connection, lead_id, now=NOW + 36 * DAY, actor="eva")


@pytest.mark.parametrize("state", [LeadState.HELD, LeadState.PENDING, LeadState.QUARANTINED])
def test_what_nobody_has_dealt_with_never_goes_by_itself(connection: Connection, state: LeadState) -> None:
    lead_id = put(connection, state)
    assert purge_now(connection, now=NOW + 3000 * DAY) == 0
    load_lead(connection, lead_id)


def test_the_time_of_a_delivered_lead_begins_with_its_delivery(connection: Connection) -> None:
    lead_id = deliver(connection, at=NOW + 20 * DAY)
    assert purge_now(connection, now=NOW + 50 * DAY - SECOND) == 0
    assert purge_now(connection, now=NOW + 50 * DAY) == 1
    assert is_purged(connection, lead_id)


def test_each_form_has_its_own_times_and_one_that_is_gone_the_usual(connection: Connection) -> None:
    long = put(connection, LeadState.DELIVERED, form="lang")
    short = put(connection, LeadState.DELIVERED, form="kort")
    gone = put(connection, LeadState.DELIVERED, form="borta")
    retention = {"lang": Retention(delivered=90 * DAY), "kort": Retention(delivered=DAY)}
    purge_now(connection, now=NOW + 2 * DAY, retention=retention)
    assert [is_purged(connection, one) for one in (long, short, gone)] == [False, True, False]
    purge_now(connection, now=NOW + 31 * DAY, retention=retention)
    assert [is_purged(connection, one) for one in (long, short, gone)] == [False, True, True]
    purge_now(connection, now=NOW + 91 * DAY, retention=retention)
    assert is_purged(connection, long)


def test_the_receipt_has_the_outcome_and_nobody_s_data(connection: Connection) -> None:
    lead_id = deliver(connection, email_key="anna", phone_key="070")
    add_event(connection, lead_id, "adapted", now=NOW, detail="Anna")
    add_event(connection, lead_id, "retried", now=NOW, actor="eva", why="Anna")
    purge_now(connection, now=NOW + 30 * DAY)
    status = find_status(connection, lead_id)
    assert status is not None
    assert (status.state, status.delivered_at, status.vitec_lead_id) == (LeadState.DELIVERED, NOW, "LED1")
    assert (status.form, status.received_at, status.purged_at) == ("kontakt", NOW, NOW + 30 * DAY)
    kept = "".join(
        str(connection.execute(text(f"SELECT * FROM {table}")).all())
        for table in metadata.tables
        if table != "meta"
    )
    assert "Anna" not in kept
    assert "anna" not in kept
    assert "070'" not in kept
    assert "CON1" not in kept
    history = load_history(connection, lead_id)
    assert [entry["kind"] for entry in history] == ["received", "retried", "attempt_create", "purged"]
    assert (history[2]["outcome"], history[2]["vitecId"]) == ("done", "LED1")
    with pytest.raises(LeadNotFound, match="nothing but a receipt is left"):
        load_lead(connection, lead_id)


def test_every_table_that_holds_something_of_a_lead_is_emptied_of_it(connection: Connection) -> None:
    """A new table with a lead's content must be thought of here."""
    about = {
        table.name
        for table in metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table is leads
    }
    # What is told and which links were used is known by the lead's id alone.
    assert about - {"notices", "spent_links"} == {"outbox", "payloads", "attempts", "events"}
    deliver(connection)
    purge_now(connection, now=NOW + 30 * DAY)
    assert connection.execute(select(func.count()).select_from(payloads)).scalar_one() == 0
    assert connection.execute(select(attempts.c.detail, attempts.c.snapshot)).all() == [(None, None)]
    assert connection.execute(select(events.c.kind)).scalars().all() == ["purged"]


def test_a_purged_lead_can_be_neither_sent_nor_decided_on(connection: Connection) -> None:
    lead_id = put(connection, LeadState.DISCARDED)
    purge_now(connection, now=NOW + 7 * DAY)
    for act in (retry_lead, release_lead, partial(discard_lead, reason="again")):
        with pytest.raises(OperatorError):
            act(connection, lead_id, now=NOW + 8 * DAY, actor="eva")


def test_a_lead_that_was_decided_on_meanwhile_stays(connection: Connection) -> None:
    lead_id = put(connection, LeadState.DISCARDED)
    (found,) = find_expired(connection, USUAL, now=NOW + 7 * DAY, limit=50)
    connection.execute(update(outbox).values(state=LeadState.HELD))
    assert purge_expired(connection, found, now=NOW + 7 * DAY) == 0
    load_lead(connection, lead_id)


def test_an_idempotency_key_outlives_its_lead(connection: Connection) -> None:
    new = new_lead(idempotency_key="k", body_fingerprint="b")
    identities = IdentitySource()
    (first,) = accept_all(connection, [new], identities)
    assert isinstance(first, Acceptance)
    connection.execute(
        update(outbox).values(state=LeadState.DELIVERED, state_at=NOW, delivered_at=NOW, vitec_lead_id="LED1")
    )
    purge_now(connection, now=NOW + 30 * DAY)
    (again,) = accept_all(connection, [new], identities)
    assert isinstance(again, Acceptance)
    assert (again.lead_id, again.replayed, again.state) == (first.lead_id, True, LeadState.DELIVERED)


def test_the_same_again_after_a_purge_is_a_new_lead(connection: Connection) -> None:
    new = new_lead(fingerprint="same", email_key="anna")
    identities = IdentitySource()
    (first,) = accept_all(connection, [new], identities)
    connection.execute(update(outbox).values(state=LeadState.DISCARDED, state_at=NOW, reason="r"))
    purge_now(connection, now=NOW + 7 * DAY)
    (again,) = accept_all(connection, [new], identities)
    assert isinstance(first, Acceptance)
    assert isinstance(again, Acceptance)
    assert again.lead_id != first.lead_id


def test_the_read_path_s_canary_outlives_its_lead(connection: Connection) -> None:
    lead_id = deliver(connection)
    path = ReadPath(
        contact_id="CON1",
        vitec_lead_id="LED1",
        lead_id=lead_id,
        reference="0" * 10,
        proven_at=NOW,
        checked_at=NOW,
    )
    keep_canary(connection, "https://vitec.test", "default", "M1", path=path)
    purge_now(connection, now=NOW + 30 * DAY)
    assert load_read_path(connection, "https://vitec.test", "default", "M1") == path


def test_a_batch_is_no_larger_than_was_said(connection: Connection) -> None:
    for _ in range(5):
        put(connection, LeadState.DELIVERED)
    assert [purge_now(connection, now=NOW + 30 * DAY, limit=2) for _ in range(4)] == [2, 2, 1, 0]


def test_of_all_that_share_a_store_one_purges_in_an_hour(engine: Engine) -> None:
    taken = []
    for moment in (NOW, NOW, NOW + HOUR - SECOND, NOW + HOUR, NOW + HOUR, NOW - DAY):
        with engine.begin() as connection:
            due = is_purge_due(connection, now=moment, every=HOUR)
            taken.append(take_purge(connection, now=moment, every=HOUR))
            assert due is taken[-1]
    # A clock that was set back does not stop it for as long.
    assert taken == [True, False, False, True, False, True]


@only_sqlite
def test_what_is_old_is_found_by_an_index(connection: Connection) -> None:
    asked: list[tuple[str, Any]] = []

    def listen(_connection: object, _cursor: object, sql: str, parameters: Any, *_: object) -> None:
        asked.append((sql, parameters))

    put(connection, LeadState.DELIVERED)
    event.listen(connection, "before_cursor_execute", listen)
    find_expired(connection, USUAL, now=NOW, limit=50)
    event.remove(connection, "before_cursor_execute", listen)
    assert len(asked) == 4
    for sql, parameters in asked:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)]
        steps = [step for step in plan if "outbox" in step]
        assert steps
        assert all("ix_outbox_kept" in step for step in steps), plan


@pytest.mark.anyio
async def test_a_purge_goes_on_until_nothing_old_is_left(store: Store) -> None:
    def fill(connection: Connection) -> None:
        now = store.now()
        for number in range(120):
            put(connection, LeadState.DELIVERED, at=now - 40 * DAY, form=f"form{number % 3}")
        put(connection, LeadState.DELIVERED, at=now)

    await store.write(fill)
    assert await purge(store, {}) == 120
    assert await purge(store, {}) == 0


@pytest.mark.anyio
async def test_a_running_process_purges_by_itself(store: Store, tmp_path: Path) -> None:
    lead_id = await store.write(partial(put, state=LeadState.DISCARDED, at=store.now() - 8 * DAY))
    forms = LiveForms(read_forms(write_forms(tmp_path), default_login=LOGIN, environ={}))
    async with purging(store, forms):
        for _ in range(200):
            if await store.read(partial(is_purged, lead_id=lead_id)):
                break
            await asyncio.sleep(0.05)
    assert await store.read(partial(is_purged, lead_id=lead_id))


def test_the_forms_file_says_how_long(tmp_path: Path) -> None:
    path = write_forms(tmp_path, FORMS + '[forms.kontakt.privacy]\nretention = { delivered = "90d" }\n')
    found = list_retention(read_forms(path, default_login=LOGIN, environ={}))
    assert found == {"kontakt": Retention(delivered=90 * DAY)}


@pytest.mark.anyio
async def test_the_api_still_answers_for_a_purged_lead(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        answer = await gateway.post(headers={"Idempotency-Key": "k"})
        lead_id = answer.json()["id"]
        await gateway.settle(lead_id, LeadState.DELIVERED)
        before = (await gateway.client.get(f"/api/v1/leads/{lead_id}")).json()
        assert await gateway.store.write(
            partial(purge_expired, expired=Expired(LeadState.DELIVERED, (lead_id,)), now=NOW)
        )
        assert (await gateway.client.get(f"/api/v1/leads/{lead_id}")).json() == before
        again = await gateway.post(headers={"Idempotency-Key": "k"})
        assert (again.status_code, again.json()["id"]) == (202, lead_id)
        assert again.json()["status"] == "delivered"


def grep(path: Path, word: str) -> list[str]:
    files = [one for one in path.parent.iterdir() if one.is_file()]
    return [one.name for one in files if word.encode() in one.read_bytes()]


def purge_until_something_goes(shell: Shell) -> Outcome:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        outcome = shell("purge")
        if outcome.out != "nothing is old enough\n":
            return outcome
    raise AssertionError("nothing goes")


@pytest.mark.parametrize("running", [False, True])
def test_purge_by_hand_leaves_receipts_and_nothing_else_on_the_disk(shell: Shell, running: bool) -> None:
    write_forms(shell.folder, FORMS + '[forms.kontakt.privacy]\nretention = { discarded = "1s" }\n')
    path = shell.folder / "data" / "leadgate.db"
    shell.set(LEADGATE_VITEC_USERNAME="u", LEADGATE_VITEC_PASSWORD="p")
    with start_gateway(shell.folder, NOWHERE, "--no-delivery") as service:
        lead = service.post(lastName="Hemlighetsson").json()
        assert shell("leads", "discard", lead["id"], "--reason", "Hemlighetsson").code == 0
        assert grep(path, "Hemlighetsson")
        if running:
            outcome = purge_until_something_goes(shell)
            assert grep(path, "Hemlighetsson") == []
    if not running:
        outcome = purge_until_something_goes(shell)
    assert (outcome.code, outcome.out, outcome.err) == (0, "1 lead purged, but for the receipt\n", "")
    assert shell("purge").out == "nothing is old enough\n"
    assert grep(path, "Hemlighetsson") == []
    story = json.loads(shell("leads", "show", lead["reference"], "--json").out)
    assert (story["status"], story["lead"]) == ("discarded", {})
    assert [entry["kind"] for entry in story["history"]] == ["received", "discarded", "purged"]
    assert "of the lead nothing but this is left" in shell("leads", "show", lead["id"]).out
