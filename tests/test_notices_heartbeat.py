"""The heartbeat, and the daily look at receivers: by a real hook and the sandbox."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from app.delivery.inspection import Inspector
from app.delivery.pace import Pace
from app.delivery.watch import ReceiverWatch
from app.notices.heartbeat import Check, Heartbeat, can_accept
from app.notices.mailer import NotSent
from app.notices.webhook import Outward, open_outward
from app.store.alarms import load_conditions
from tests.mailboxes import open_mailbox, text_of
from tests.sandboxes import Running, run_sandbox
from tests.tellings import FORMS, OPERATOR, REFUSED, Hook, Teller, open_hook, open_teller

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("in_either_database")]
pytest_plugins = ["tests.store_fixtures"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with run_sandbox() as running:
        yield running


@pytest.fixture
def hook() -> Iterator[Hook]:
    with open_hook() as hook:
        yield hook


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


@asynccontextmanager
async def open_hearts(
    folder: Path, sandbox: Running, hook: Hook, *parts: dict[str, Check]
) -> AsyncIterator[tuple[Teller, list[Heartbeat]]]:
    with open_mailbox() as mailbox:
        async with open_teller(folder, sandbox, mailbox, text=FORMS) as teller, open_outward() as client:
            store = teller.rig.store
            yield (
                teller,
                [
                    Heartbeat(
                        store=store,
                        outward=Outward(client),
                        url=hook.url,
                        parts=part,
                        now=teller.rig.now,
                    )
                    for part in parts
                ],
            )


async def test_it_beats_each_minute_while_both_turn(tmp_path: Path, sandbox: Running, hook: Hook) -> None:
    async with open_hearts(tmp_path, sandbox, hook, {"accepting": yes, "delivering": yes}) as (
        teller,
        [heart],
    ):
        for _ in range(3):
            await heart.do_once()
            await heart.do_once()
            teller.rig.pass_time(minutes=1)
        assert hook.pings == 3


@pytest.mark.parametrize("dead", ["accepting", "delivering"])
async def test_it_is_silent_when_one_of_them_stands_still(
    tmp_path: Path, sandbox: Running, hook: Hook, dead: str
) -> None:
    parts: dict[str, Check] = {"accepting": yes, "delivering": yes}
    async with open_hearts(tmp_path, sandbox, hook, parts) as (teller, [heart]):
        await heart.do_once()
        heart.parts = parts | {dead: no}
        for _ in range(6):
            teller.rig.pass_time(minutes=1)
            await heart.do_once()
        assert hook.pings <= 3  # one missed beat is none; from the third on there is silence
        before = hook.pings
        teller.rig.pass_time(minutes=1)
        await heart.do_once()
        assert hook.pings == before


async def test_several_processes_beat_as_one(tmp_path: Path, sandbox: Running, hook: Hook) -> None:
    async with open_hearts(
        tmp_path, sandbox, hook, {"accepting": yes}, {"delivering": yes}, {"delivering": yes}
    ) as (teller, hearts):
        await hearts[0].do_once()
        assert hook.pings == 0
        for _ in range(3):
            for heart in hearts:
                await heart.do_once()
            teller.rig.pass_time(minutes=1)
        assert hook.pings == 3


async def test_a_watchman_who_is_away_is_told_of_in_the_log(
    tmp_path: Path, sandbox: Running, hook: Hook
) -> None:
    hook.status = 500
    async with open_hearts(tmp_path, sandbox, hook, {"accepting": yes, "delivering": yes}) as (_, [heart]):
        with pytest.raises(NotSent, match="HTTP 500"):
            await heart.do_once()


@pytest.mark.parametrize(
    ("head", "told"), [(b"HTTP/1.1 200 OK\r\n\r\n", None), (b"HTTP/1.1 200 OK\r\n", "TimeoutError")]
)
async def test_a_watchman_who_never_ends_holds_nobody_up(head: bytes, told: str | None) -> None:
    """Neither by a flood nor by a header that does not end: of an answer nothing but its status is read."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"x" * 65536 if told is None else b"x")
                await writer.drain()
                await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, open_outward() as client, asyncio.timeout(30):
        outward = Outward(client, patience=timedelta(seconds=5 if told is None else 0.05))
        if told is None:
            await outward.ping(url)
        else:
            with pytest.raises(NotSent, match=told):
                await outward.ping(url)


async def test_what_cannot_be_written_cannot_be_accepted(
    tmp_path: Path, sandbox: Running, hook: Hook
) -> None:
    async with open_hearts(tmp_path, sandbox, hook) as (teller, _):
        assert await can_accept(teller.rig.store)
        teller.rig.store.writer.close()
        assert not await can_accept(teller.rig.store)


async def test_a_receiver_that_has_left_is_told_once_and_its_return(tmp_path: Path, sandbox: Running) -> None:
    with open_mailbox() as mailbox:
        async with open_teller(tmp_path, sandbox, mailbox, text=FORMS) as teller:
            rig = teller.rig
            watch = ReceiverWatch(
                store=rig.store,
                forms=rig.forms,
                inspector=Inspector(client=rig.courier.client, pace=Pace(1000)),
                now=rig.now,
            )
            assert await watch.do_once()
            assert not await watch.do_once()  # once a day
            await teller.tell()
            assert mailbox.envelopes == []
            teller.use_forms(tmp_path, REFUSED)
            rig.pass_time(days=1)
            assert await watch.do_once()
            await teller.tell()
            [mail] = mailbox.to(OPERATOR)
            assert mail["Subject"] == "Leadgate: A receiver has left Vitec"
            assert "is archived (forms.kontakt)" in text_of(mail)
            rig.fault("500_before", operation="getPublicUsers")
            rig.pass_time(days=1)
            assert await watch.do_once()
            assert await rig.store.read(
                lambda read: load_conditions(read, "receiver_left")
            )  # not known: it stays
            rig.clear_faults()
            teller.use_forms(tmp_path, FORMS)
            rig.pass_time(days=1)
            await watch.do_once()
            await teller.tell()
            assert teller.subjects(OPERATOR)[1:] == ["Leadgate: The receiver is there again"]
