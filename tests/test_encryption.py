"""Encryption at rest: what is on the disk, which keys open it, and how all of it comes under a new one."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select, text, update

from app.cli import reports
from app.environment import read_environment
from app.errors import KeyMissing, StoreError
from app.lead import Contact, Enquiry, LeadState
from app.store.erasure import erase_lead
from app.store.history import add_event, load_history
from app.store.keyring import count_behind, find_missing_keys, list_sealed_columns, rekey_batch
from app.store.leads import find_status, load_lead, write_body
from app.store.operator import edit_lead
from app.store.outbox import finish_attempt, freeze_payload, load_payload
from app.store.place import Place
from app.store.reading import read_beside
from app.store.schema import events, meta, metadata, outbox
from app.store.store import Store
from app.store.vault import Vault, name_key
from app.store.words import Edit, Payload
from tests.conftest import Shell
from tests.deliveries import Rig, open_rig
from tests.processes import start_gateway
from tests.sandboxes import Running, run_sandbox
from tests.stores import ACCOUNT, NOW, PAYLOAD, begin, keep, must_claim

pytest_plugins = ["tests.store_fixtures"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with run_sandbox() as running:
        yield running


OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))
SECRET = "Hemlighetsson"
BODY = write_body(Enquiry(language="sv", contact=Contact(last_name=SECRET), message=SECRET))


def open_store(place: Path | str, *keys: str) -> Store:
    store = Store(Place(place, keys), reserve=0)
    store.open()
    return store


async def fill(store: Store) -> str:
    """A lead with something personal in every sealed column."""

    def job(connection: Any) -> str:
        lead_id = keep(connection, body=BODY)
        claimed = must_claim(connection)
        payload = Payload(
            version=0, contact_type=PAYLOAD.contact_type, contact=f'"{SECRET}"'.encode(), lead=f'"{SECRET}"'
        )
        freeze_payload(connection, claimed, payload, account=ACCOUNT, notes=(), now=NOW)
        attempt = begin(connection, claimed)
        finish_attempt(connection, attempt, outcome="refused", now=NOW, detail=f"no {SECRET}")
        add_event(connection, lead_id, "held", now=NOW, reason=f"no {SECRET}")
        add_event(connection, lead_id, "retried", now=NOW)
        changed = {"state": LeadState.HELD, "reason": f"no {SECRET}", "leased_until": None}
        connection.execute(update(outbox).where(outbox.c.lead_id == lead_id).values(changed))
        return lead_id

    return await store.write(job)


async def rekey(store: Store, *, limit: int = 2) -> tuple[int, int]:
    after, done, left = None, 0, 0
    for _ in range(100):
        batch = await store.write(partial(rekey_batch, after=after, limit=limit))
        # Over the socket it travels as JSON.
        after = json.loads(json.dumps(batch.after))
        done, left = done + batch.done, left + batch.left
        if after is None:
            return done, left
    raise AssertionError("it never ends")


def dump(store: Store) -> str:
    """Everything that stands in the tables, as the database has it."""

    def job(connection: Any) -> str:
        names = list(metadata.tables)
        return "".join(str(connection.execute(text(f"SELECT * FROM {name}")).all()) for name in names)

    return store.read_now(job)


async def read_all(store: Store, lead_id: str) -> tuple[str | None, ...]:
    lead = await store.read(partial(load_lead, lead_id=lead_id))
    payload = await store.read(partial(load_payload, lead_id=lead_id, version=1))
    status = await store.read(partial(find_status, lead_id=lead_id))
    history = await store.read(partial(load_history, lead_id=lead_id))
    assert status is not None
    details = [entry.get("detail") or entry.get("reason") for entry in history]
    assert f"no {SECRET}" in details
    return lead.contact.last_name, payload.contact.decode(), payload.lead, status.reason


ALL = (SECRET, f'"{SECRET}"', f'"{SECRET}"', f"no {SECRET}")


@pytest.mark.anyio
async def test_with_a_key_nothing_personal_can_be_read_in_the_database(place: Path | str) -> None:
    store = open_store(place, NEW)
    try:
        lead_id = await fill(store)
        assert SECRET not in dump(store)
        assert f"fernet:{name_key(NEW)}:" in dump(store)
        assert await read_all(store, lead_id) == ALL
    finally:
        store.close()


@pytest.mark.anyio
async def test_without_a_key_it_stands_there_in_the_clear(place: Path | str) -> None:
    store = open_store(place)
    try:
        lead_id = await fill(store)
        assert dump(store).count(SECRET) >= 6
        assert await read_all(store, lead_id) == ALL
    finally:
        store.close()


@pytest.mark.anyio
async def test_rekey_brings_what_is_old_and_what_is_plain_under_the_newest_key(place: Path | str) -> None:
    ids = []
    for keys in ((), (OLD,), (NEW, OLD)):
        store = open_store(place, *keys)
        ids += [await fill(store), await fill(store)]
        store.close()
    store = open_store(place, NEW, OLD)
    try:
        assert store.read_now(count_behind) == 4 * 5
        assert await rekey(store) == (4 * 5, 0)
        assert store.read_now(count_behind) == 0
        assert await rekey(store) == (0, 0)
        assert SECRET not in dump(store)
        assert f"fernet:{name_key(OLD)}" not in dump(store)
    finally:
        store.close()
    store = open_store(place, NEW)
    try:
        assert store.read_now(find_missing_keys) == ()
        for lead_id in ids:
            assert await read_all(store, lead_id) == ALL
    finally:
        store.close()


@pytest.mark.anyio
async def test_a_rekey_that_is_stopped_goes_on_where_it_was(place: Path | str) -> None:
    store = open_store(place, OLD)
    ids = [await fill(store) for _ in range(3)]
    store.close()
    store = open_store(place, NEW, OLD)
    try:
        first = await store.write(partial(rekey_batch, after=None, limit=2))
        assert first.done == 2
        assert store.read_now(count_behind) == 3 * 5 - 2
        assert await rekey(store) == (3 * 5 - 2, 0)
        for lead_id in ids:
            assert await read_all(store, lead_id) == ALL
    finally:
        store.close()


@pytest.mark.anyio
async def test_rows_whose_key_is_gone_stay_and_keep_no_other_from_it(place: Path | str) -> None:
    store = open_store(place, OTHER)
    lost = await fill(store)
    store.close()
    store = open_store(place, OLD)
    found = await fill(store)
    store.close()
    store = open_store(place, NEW, OLD)
    try:
        assert await rekey(store, limit=1) == (5, 5)
        assert await read_all(store, found) == ALL
        assert store.read_now(find_missing_keys) == (name_key(OTHER),)
        with pytest.raises(KeyMissing, match=name_key(OTHER)):
            await store.read(partial(load_lead, lead_id=lost))
        status = await store.read(partial(find_status, lead_id=lost))
        assert status is not None
        assert status.reason is not None
        assert name_key(OTHER) in status.reason
        assert await store.read(partial(load_history, lead_id=lost))
    finally:
        store.close()
    store = open_store(place, OTHER)
    try:
        assert await read_all(store, lost) == ALL
    finally:
        store.close()


@pytest.mark.anyio
async def test_what_is_corrected_is_gone_though_its_key_is_missing(place: Path | str) -> None:
    store = open_store(place, OTHER)
    lead_id = await fill(store)
    store.close()
    store = open_store(place, NEW)
    try:
        edit = Edit(held_since=NOW, body=BODY, email_key=None, phone_key=None, fields=("message",))
        job = partial(edit_lead, lead_id=lead_id, edit=edit, now=NOW, actor="eva")
        await store.write(lambda write: write.execute(update(outbox).values(state_at=NOW)))
        await store.write(job)
        kept = await store.read(partial(load_payload, lead_id=lead_id, version=1))
        assert (kept.contact, kept.lead) == (b"{}", "{}")
        await store.write(lambda write: write.execute(update(outbox).values(state="held", reason="")))
        remains = await store.write(partial(erase_lead, lead_id=lead_id, now=NOW, actor="eva"))
        assert remains.lead_id == lead_id
    finally:
        store.close()


@pytest.mark.anyio
async def test_without_its_keys_an_encrypted_store_is_not_opened(place: Path | str) -> None:
    store = open_store(place, NEW)
    await fill(store)
    store.close()
    with pytest.raises(StoreError, match=f"encrypted with key {name_key(NEW)}; set LEADGATE_ENCRYPTION_KEYS"):
        open_store(place)
    open_store(place, NEW).close()


@pytest.mark.anyio
async def test_a_key_that_never_sealed_anything_is_not_missed(place: Path | str) -> None:
    open_store(place, OLD).close()
    store = open_store(place)
    try:
        assert store.read_now(find_missing_keys) == ()
    finally:
        store.close()


@pytest.mark.anyio
async def test_a_damaged_text_is_told_from_a_lead(place: Path | str) -> None:
    store = open_store(place, NEW)
    try:
        lead_id = await fill(store)
        cut = "UPDATE leads SET body = substr(body, 1, length(body) - 8)"
        await store.write(lambda write: write.execute(text(cut)).rowcount)
        with pytest.raises(KeyMissing, match="or it was damaged"):
            await store.read(partial(load_lead, lead_id=lead_id))
    finally:
        store.close()


def test_a_key_is_known_by_what_tells_nothing_of_it() -> None:
    assert len(name_key(NEW)) == 8
    assert name_key(NEW) != name_key(OLD)
    assert NEW not in repr(Place("postgresql://x", (NEW,)))


def test_text_that_is_no_text_survives() -> None:
    vault = Vault((NEW,))
    for value in ("å" * 9000, "\ud800", "fernet:", f"fernet:{name_key(NEW)}:x"):
        assert vault.open(vault.seal(value)) == value


def test_whatever_is_called_body_detail_or_reason_is_sealed() -> None:
    """A new table with content of a lead must say that it is personal, or be named here."""
    sealed = {str(column) for table in metadata.sorted_tables for column in list_sealed_columns(table)}
    named = {
        str(column)
        for table in metadata.sorted_tables
        for column in table.columns
        if column.name in {"body", "detail", "reason", "contact", "lead", "text", "subject", "message"}
    }
    # Alarms and notices read what they tell when they tell it, and keep nothing of it; the trail holds no words.
    quiet = ("alarms.", "audit.", "notices.")
    assert {column for column in named if not column.startswith(quiet)} <= sealed


def test_without_keys_the_library_is_not_even_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from app.store.store import Store\n"
        f"store = Store(Path({str(tmp_path / 'leads.db')!r})); store.open(); store.close()\n"
        "assert 'cryptography' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_each_bad_key_is_named_by_its_place_and_not_repeated(nowhere: Path) -> None:
    names = {"LEADGATE_ENCRYPTION_KEYS": f"{NEW}, hunter2, {OLD},{NEW[:40]}"}
    told = [str(mistake) for mistake in read_environment(names, dotenv=nowhere).mistakes]
    assert [one.partition(" is no Fernet key")[0] for one in told] == [
        "LEADGATE_ENCRYPTION_KEYS: part 2:",
        "LEADGATE_ENCRYPTION_KEYS: part 4:",
    ]
    assert not any("hunter2" in one or NEW[:40] in one for one in told)


def test_keys_are_read_newest_first(nowhere: Path) -> None:
    found = read_environment({"LEADGATE_ENCRYPTION_KEYS": f"{NEW}, {OLD},"}, dotenv=nowhere)
    assert not found.mistakes
    assert not found.warnings
    assert [key.get_secret_value() for key in found.settings.encryption_keys] == [NEW, OLD]
    assert NEW not in repr(found.settings)


# --- delivery ---------------------------------------------------------------------------------------


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_lead_without_its_key_waits_and_the_next_one_does_not(
    place: Path | str, tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox, place=Place(place, (OLD,))) as rig:
        locked = await rig.submit()
    async with open_rig(tmp_path, sandbox, place=Place(place, (NEW,))) as rig:
        other = await rig.submit(email="b@example.com", phone="070-174 06 06")
        for _ in range(50):
            await drain(rig)
            rig.pass_time(minutes=10)
        waiting = await rig.status(locked)
        assert (waiting.state, waiting.reason) == (LeadState.PENDING, None)
        assert (await rig.status(other)).state is LeadState.DELIVERED
    async with open_rig(tmp_path, sandbox, place=Place(place, (NEW, OLD))) as rig:
        rig.pass_time(days=2)
        await drain(rig)
        assert (await rig.status(locked)).state is LeadState.DELIVERED
        assert rig.copies(locked) == 1


async def drain(rig: Rig) -> None:
    for _ in range(10):
        if not await rig.turn():
            return


# --- commands ---------------------------------------------------------------------------------------


@pytest.fixture
def kept(shell: Shell) -> Path:
    """A folder whose store was written without a key."""
    path = shell.folder / "data" / "leadgate.db"
    store = open_store(path)
    asyncio.run(fill(store))
    store.close()
    return path


def grep(path: Path, word: str) -> list[str]:
    """The files beside the store that hold a word."""
    files = [one for one in path.parent.iterdir() if one.is_file()]
    return [one.name for one in files if word.encode() in one.read_bytes()]


def test_db_rekey_leaves_nothing_in_the_clear_on_the_disk(shell: Shell, kept: Path) -> None:
    assert grep(kept, SECRET)
    shell.set(LEADGATE_ENCRYPTION_KEYS=NEW)
    outcome = shell("db", "rekey")
    assert (outcome.code, outcome.out) == (0, f"5 rows encrypted with key {name_key(NEW)}\n")
    assert grep(kept, SECRET) == []
    shown = shell("leads", "list", "--json")
    assert SECRET in shell("leads", "show", json.loads(shown.out)[0]["id"]).out


def test_db_rekey_without_a_key_says_what_is_missing(shell: Shell, kept: Path) -> None:
    outcome = shell("db", "rekey")
    assert (outcome.code, outcome.err) == (
        1,
        "there is no key to encrypt with; set LEADGATE_ENCRYPTION_KEYS\n",
    )


def test_db_rekey_through_a_running_server_that_has_the_key(shell: Shell, kept: Path) -> None:
    with start_gateway(shell.folder, LEADGATE_ENCRYPTION_KEYS=NEW) as service:
        assert service.post(message=SECRET).status_code == 202
        shell.set(LEADGATE_ENCRYPTION_KEYS=NEW)
        outcome = shell("db", "rekey")
        assert (outcome.code, outcome.err) == (0, "")
        assert grep(kept, SECRET) == []
        shell.set(LEADGATE_ENCRYPTION_KEYS=f"{OTHER},{NEW}")
        refused = shell("db", "rekey")
        assert refused.code == 1
        assert "restart it" in refused.err
        assert not any(SECRET in line for line in service.log)


def test_check_names_a_missing_key_and_what_is_not_sealed_yet(shell: Shell, kept: Path) -> None:
    settings = read_environment({"LEADGATE_ENCRYPTION_KEYS": NEW}).settings
    (behind,) = reports.look_at_store(settings)
    assert behind.message == "5 rows are not under the newest key: run leadgate db rekey"
    shell.set(LEADGATE_ENCRYPTION_KEYS=NEW)
    assert shell("db", "rekey").code == 0
    assert reports.look_at_store(settings) == []
    (missing, _) = reports.look_at_store(read_environment({"LEADGATE_ENCRYPTION_KEYS": OLD}).settings)
    assert missing.message == f"lacks key {name_key(NEW)}, which has encrypted leads: they wait for it"
    (missing,) = reports.look_at_store(read_environment({}).settings)
    assert name_key(NEW) in missing.message


def test_a_lead_whose_key_is_gone_can_be_shown_but_for_its_content(shell: Shell, kept: Path) -> None:
    shell.set(LEADGATE_ENCRYPTION_KEYS=NEW)
    assert shell("db", "rekey").code == 0
    (row,) = json.loads(shell("leads", "list", "--json").out)
    shell.set(LEADGATE_ENCRYPTION_KEYS=OLD)
    shown = shell("leads", "show", row["id"], "--json")
    assert shown.code == 0
    story = json.loads(shown.out)
    assert story["status"] == "held"
    assert name_key(NEW) in story["lead"]["unreadable"]


def test_a_reader_beside_the_server_needs_the_keys_as_well(kept: Path) -> None:
    store = open_store(kept, NEW)
    lead_id = store.read_now(lambda read: read.execute(select(outbox.c.lead_id)).scalar_one())
    store.close()
    place = Place(kept, (NEW,))
    found = read_beside(place, partial(load_lead, lead_id=lead_id))
    assert found.contact.last_name == SECRET
    assert f"sealed:{name_key(NEW)}" in read_beside(
        place, lambda read: read.execute(select(meta.c.name)).scalars().all()
    )
    assert read_beside(place, lambda read: read.execute(select(events.c.detail)).scalars().all())
