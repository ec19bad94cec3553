"""What the operator is told: once for each trouble, grouped, its end too, by mail and webhook, nobody's data in it."""

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from app.delivery.auditor import Auditor
from app.forms.model import CallGroup
from app.identity import reference_of, write_reference
from app.notices import digest
from app.notices.operator import MANNERS
from app.store.circuits import open_circuit
from app.store.gates import close_gate, open_gate
from app.store.notices import NewNotice, add_notice
from app.store.operator import discard_lead
from app.store.outbox import mark_delivered
from app.store.quarantine import Unnamed, list_unnamed
from app.store.schema import notices, outbox
from app.store.words import GateKey
from tests.gateways import NOBODY
from tests.mailboxes import Mailbox, open_mailbox, text_of
from tests.sandboxes import Running, run_sandbox
from tests.stores import claim
from tests.tellings import FORMS, OPERATOR, Hook, Teller, open_hook, open_teller

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("in_either_database")]
pytest_plugins = ["tests.store_fixtures"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with run_sandbox() as running:
        yield running


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with open_mailbox() as mailbox:
        yield mailbox


@pytest.fixture
def hook() -> Iterator[Hook]:
    with open_hook() as hook:
        yield hook


async def shut(teller: Teller, group: CallGroup, status: int = 401) -> GateKey:
    key = GateKey(base_url="https://v.se", login="default", customer_id="M1", call_group=group)
    now = teller.rig.now()
    claimed = await teller.rig.store.write(lambda write: claim(write, now=now))
    assert claimed is not None
    await teller.rig.store.write(
        lambda write: close_gate(
            write, key, claimed, status=status, probe_at=now + timedelta(days=1), credential="c", now=now
        )
    )
    return key


async def test_the_first_hold_is_told_and_the_next_ones_are_not_each(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox, hook: Hook
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, webhook=hook.url) as teller:
        leads = [await teller.hold()]
        await teller.tell()
        for number in range(5):
            teller.rig.pass_time(minutes=20)
            leads.append(await teller.hold(email=f"b{number}@example.com", phone=""))
            await teller.tell()
        assert teller.subjects(OPERATOR) == ["Leadgate: Leads are held: they need a human"]
        [body] = hook.bodies
        assert (body["kind"], body["event"]) == ("leads_held", "raised")
        assert "example.com" not in json.dumps(body)
        assert "example.com" not in text_of(mailbox.to(OPERATOR)[0])
        teller.rig.pass_time(hours=23)
        await teller.tell()
        assert "6 held" in text_of(mailbox.to(OPERATOR)[1])  # a day on, and it still stands
        for lead_id in leads:
            now = teller.rig.now()
            await teller.rig.store.write(
                lambda write, lead_id=lead_id, now=now: discard_lead(  # type: ignore[misc]
                    write, lead_id, reason="prov", now=now, actor="prov"
                )
            )
        teller.rig.pass_time(minutes=15)
        await teller.tell()
        assert teller.subjects(OPERATOR)[-1] == "Leadgate: No lead is held any more"
        assert hook.bodies[-1]["event"] == "recovered"


async def test_leads_that_wait_are_told_at_fifteen_minutes_and_four_hours(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, text=FORMS) as teller:
        await teller.rig.submit()
        teller.rig.pass_time(minutes=14, seconds=59)
        await teller.tell()
        assert teller.subjects(OPERATOR) == []
        teller.rig.pass_time(seconds=1)
        await teller.tell()
        assert teller.subjects(OPERATOR) == ["Leadgate: Leads have waited for Vitec for 15 minutes"]
        teller.rig.pass_time(hours=3, minutes=45)
        await teller.tell()
        assert teller.subjects(OPERATOR)[1:] == ["Leadgate: Leads have waited for Vitec for 4 hours"]
        await teller.rig.turn()
        teller.rig.pass_time(minutes=15)
        await teller.tell()
        assert teller.subjects(OPERATOR)[2:] == [
            "Leadgate: No lead waits for Vitec any more",
            "Leadgate: No lead has waited that long any more",
        ]


async def test_gates_that_close_within_the_window_are_one_message(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, text=FORMS) as teller:
        for number in range(3):
            await teller.rig.submit(email=f"b{number}@example.com", phone="")
        first = await shut(teller, CallGroup.CONTACT)
        await teller.tell()
        second = await shut(teller, CallGroup.CREATE, 403)
        teller.rig.pass_time(minutes=5)
        await teller.tell()
        third = await shut(teller, CallGroup.READ)
        teller.rig.pass_time(minutes=5)
        await teller.tell()
        closed = [mail for mail in mailbox.to(OPERATOR) if "refuses a login" in str(mail["Subject"])]
        assert len(closed) == 1
        assert "customer M1, login default, contact calls: HTTP 401" in text_of(closed[0])
        await teller.rig.store.write(lambda write: open_gate(write, first))
        teller.rig.pass_time(minutes=5)
        await teller.tell()
        closed = [mail for mail in mailbox.to(OPERATOR) if "refuses a login" in str(mail["Subject"])]
        assert len(closed) == 2
        text = text_of(closed[1])
        assert "create calls: HTTP 403" in text
        assert "read calls: HTTP 401" in text
        assert text.index("Over:") < text.index("contact calls")
        for key in (second, third):
            await teller.rig.store.write(lambda write, key=key: open_gate(write, key))  # type: ignore[misc]
        teller.rig.pass_time(minutes=15)
        await teller.tell()
        assert "Leadgate: Vitec lets the login in again" in teller.subjects(OPERATOR)


async def test_a_circuit_is_told_when_it_stays_open_and_not_before(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, text=FORMS) as teller:
        now = teller.rig.now()
        await teller.rig.store.write(lambda write: open_circuit(write, "https://v.se", until=now, now=now))
        await teller.tell()
        teller.rig.pass_time(minutes=9)
        await teller.tell()
        assert mailbox.envelopes == []
        teller.rig.pass_time(minutes=1)
        await teller.tell()
        assert teller.subjects(OPERATOR) == ["Leadgate: Vitec does not answer"]


async def test_what_passes_by_itself_is_not_told(tmp_path: Path, sandbox: Running, mailbox: Mailbox) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        teller.outside["circuit_open"] = {"https://v.se": {}}
        await teller.tell()
        teller.rig.pass_time(minutes=9)
        teller.outside["circuit_open"] = {}
        await teller.tell()
        teller.rig.pass_time(hours=1)
        await teller.tell()
        assert mailbox.envelopes == []


async def test_a_full_disk_is_told_and_its_end(tmp_path: Path, sandbox: Running, mailbox: Mailbox) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        teller.outside["disk_low"] = {"": {"megabytes": 120}}
        await teller.tell()
        assert "120 MB free" in text_of(mailbox.to(OPERATOR)[0])
        teller.outside["disk_low"] = {}
        teller.rig.pass_time(minutes=20)
        await teller.tell()
        assert teller.subjects(OPERATOR)[1] == "Leadgate: There is room on the disk again"


async def test_what_comes_and_goes_is_told_once_a_window(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        for minute in range(60):
            teller.outside["disk_low"] = {"": {"megabytes": 120}} if minute % 2 else {}
            teller.rig.pass_time(minutes=1)
            await teller.tell()
        assert 1 <= len(mailbox.to(OPERATOR)) <= 5


async def test_a_lead_that_is_in_vitec_twice_is_told_and_has_no_end(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, text=FORMS) as teller:
        lead_id = await teller.rig.submit()
        await teller.rig.turn()
        now = teller.rig.now()
        await teller.rig.store.write(
            lambda write: mark_delivered(write, lead_id, vitec_lead_id="LED2", now=now)
        )
        for _ in range(3):
            teller.rig.pass_time(minutes=20)
            await teller.tell()
        assert teller.subjects(OPERATOR) == ["Leadgate: A lead is in Vitec more than once"]
        assert "LED2" in text_of(mailbox.to(OPERATOR)[0])


async def test_mail_that_does_not_get_through_is_told_by_the_other_channel(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox, hook: Hook
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, webhook=hook.url) as teller:
        mailbox.failing = True
        await teller.hold()
        for _ in range(10):
            teller.rig.pass_time(minutes=10)
            await teller.tell()
        told = [body for body in hook.bodies if body["kind"] == "unsent"]
        assert [body["event"] for body in told] == ["raised"]
        assert told[0]["raised"][0]["subject"] == "mail"
        assert told[0]["raised"][0]["failure"] == "SMTPDataError 451"


async def test_a_webhook_that_is_down_is_tried_again_and_given_up_after_a_day(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox, hook: Hook
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, webhook=hook.url, mail=False) as teller:
        hook.status = 500
        await teller.hold()
        await teller.tell()
        [waiting] = await teller.unsent()
        assert (waiting["channel"], waiting["failure"]) == ("webhook", "HTTP 500")
        hook.status = 204
        teller.rig.pass_time(minutes=1)
        await teller.tell()
        assert await teller.unsent() == []
        assert len(hook.bodies) == 2
        hook.status = 302
        teller.outside["waiting"] = {"": {"count": 1, "oldest": "today"}}
        for _ in range(30):
            teller.rig.pass_time(hours=1)
            await teller.tell()
        assert [one["kind"] for one in await teller.unsent() if one["kind"] == "waiting"] == []


async def test_nobody_listens_and_nothing_is_written(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, mail=False, alert_email=None) as teller:
        await teller.hold()
        teller.rig.store.writer.close()
        await teller.tell()


def test_every_kind_of_alarm_can_be_written() -> None:
    from app.notices import operator  # noqa: PLC0415

    for table in (operator._TITLES, operator._ADVICE, operator._LINES):
        assert table.keys() == MANNERS.keys()


async def test_a_digest_names_what_is_new_in_quarantine_once_a_day(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox, hook: Hook
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, webhook=hook.url, text=FORMS) as teller:
        first = await quarantine(teller, "ett")
        await teller.tell()
        await teller.tell()
        [mail] = mailbox.to(OPERATOR)
        assert mail["Subject"] == "Leadgate: 1 new in quarantine"
        assert "kontakt: honeypot" in text_of(mail)
        assert "anna" not in text_of(mail).lower()
        assert [body["event"] for body in hook.bodies] == ["digest"]
        assert await teller.rig.store.read(list_unnamed) == []
        second = await quarantine(teller, "två")
        teller.rig.pass_time(hours=23)
        await teller.tell()
        assert len(mailbox.to(OPERATOR)) == 1
        teller.rig.pass_time(hours=1)
        await teller.tell()
        assert [[row["leadId"] for row in body["rows"]] for body in hook.bodies] == [[first], [second]]


async def test_a_digest_counts_all_and_lists_the_first(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "_LISTED", 2)
    async with open_teller(tmp_path, sandbox, mailbox, webhook=hook.url, text=FORMS) as teller:
        for number in range(5):
            await quarantine(teller, f"nummer {number}")
        await teller.tell()
        [mail] = mailbox.to(OPERATOR)
        assert mail["Subject"] == "Leadgate: 5 new in quarantine"
        lines = [line for line in text_of(mail).splitlines() if line.startswith("- ")]
        assert [line.endswith("  kontakt: honeypot") for line in lines] == [True, True, False]
        assert lines[2] == "- 3 of kontakt: honeypot"
        [body] = hook.bodies
        assert (body["count"], len(body["rows"]), body["tests"]) == (5, 2, [])
        assert body["others"] == [{"form": "kontakt", "reason": "honeypot", "count": 3}]
        assert "named" not in body
        assert await teller.rig.store.read(list_unnamed) == []


def test_a_digest_of_many_is_short() -> None:
    suspects = [
        Unnamed(NOBODY, "kontakt", f"spam score {n}: {sign}, phrase:{n}")
        for n in range(5000)
        for sign in ("links", f"word:{n}")
    ]
    others = digest.write_detail(suspects)["others"]
    assert {(row["reason"], row["count"]) for row in others} == {("links", 4900), ("word", 4900)}


async def test_a_digest_that_waits_from_an_older_version_is_sent_once(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox, hook: Hook
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, webhook=hook.url, text=FORMS) as teller:
        lead_id = await quarantine(teller, "nummer ett")
        now = teller.rig.now()
        row = {"leadId": lead_id, "reference": reference_of(lead_id), "form": "kontakt", "reason": "x"}
        for channel in ("mail", "webhook"):
            old = NewNotice(
                key=f"old:{channel}",
                kind=digest.DIGEST,
                channel=channel,
                detail={"count": 1, "rows": [row]},
            )
            await teller.rig.store.write(partial(add_notice, new=old, now=now))
        for _ in range(3):
            await teller.tell()
            teller.rig.pass_time(minutes=10)
        assert len(mailbox.to(OPERATOR)) == len(hook.bodies) == 1
        assert await teller.rig.store.read(list_unnamed) == []


async def test_a_digest_suspects_no_test(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox, hook: Hook
) -> None:
    """They are named all the same, for they too go by themselves."""
    async with open_teller(
        tmp_path, sandbox, mailbox, webhook=hook.url, text=FORMS + 'mode = "test"\n'
    ) as teller:
        for number in range(2):
            await teller.rig.submit(message=f"nummer {number}")
        await teller.tell()
        text = text_of(mailbox.to(OPERATOR)[0])
        assert "spam" not in text
        assert text.splitlines()[:3] == [
            "From forms in test mode, kept, and sent to nobody:",
            "",
            "- 2 of kontakt",
        ]
        assert hook.bodies[0]["rows"] == []
        assert await teller.rig.store.read(list_unnamed) == []


async def test_what_was_told_is_not_kept(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox, hook: Hook
) -> None:
    """A reason for suspicion names what was found in the lead, and is to go with it."""
    async with open_teller(tmp_path, sandbox, mailbox, webhook=hook.url, text=FORMS) as teller:
        await quarantine(teller, "ett")
        await teller.tell()
        details = await teller.rig.store.read(
            lambda read: read.execute(select(notices.c.state, notices.c.detail)).all()
        )
        assert [(row.state, row.detail) for row in details] == [("sent", {})] * 2


async def quarantine(teller: Teller, message: str) -> str:
    lead_id = await teller.rig.submit(message=message)
    values = {"state": "quarantined", "reason": "honeypot"}
    await teller.rig.store.write(
        lambda write: write.execute(update(outbox).where(outbox.c.lead_id == lead_id).values(values))
    )
    return lead_id


async def test_what_the_auditor_finds_is_told_once(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, text=FORMS) as teller:
        store = teller.rig.store
        auditor = Auditor(store, teller.rig.courier.terms)
        teller.rig.moment = store.now() + timedelta(seconds=30)  # the auditor goes by the store's clock
        lead_id = await teller.rig.submit()
        await auditor.audit_once()
        await teller.tell()
        assert teller.subjects(OPERATOR) == []
        await store.write(lambda write: write.execute(delete(outbox)))
        for _ in range(2):
            await auditor.audit_once()
            await teller.tell()
        assert teller.subjects(OPERATOR) == ["Leadgate: The store is in a state that must not be"]
        told = text_of(mailbox.to(OPERATOR)[0])
        assert f"nowhere: {write_reference(reference_of(lead_id))}" in told
        assert "docs/troubleshooting.md" in told
        teller.rig.pass_time(hours=2)
        await auditor.audit_once()
        await teller.tell()
        assert len(teller.subjects(OPERATOR)) == 1
