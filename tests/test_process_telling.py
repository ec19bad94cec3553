"""`leadgate serve` tells people: the office a held lead, the operator, a watchman; what failed is seen."""

import json
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import httpx

from app.sandbox.config import AGENT, ARCHIVED_AGENT
from tests.conftest import Shell
from tests.mailboxes import links_in, open_mailbox
from tests.processes import FORMS, LOGIN_NAMES, start_gateway, write_forms
from tests.sandboxes import run_sandbox
from tests.tellings import OFFICE, OPERATOR, open_hook


def await_true(is_so: Callable[[], bool]) -> None:
    end = monotonic() + 60
    while not is_so():
        assert monotonic() < end
        sleep(0.05)


def test_a_held_lead_is_told_and_settled_by_its_link(tmp_path: Path) -> None:
    text = FORMS.replace(AGENT, ARCHIVED_AGENT) + f'office_email = "{OFFICE}"\n'
    write_forms(tmp_path, text)
    with run_sandbox() as vitec, open_mailbox() as mailbox, open_hook() as hook:
        names = {
            "LEADGATE_SMTP_URL": mailbox.url,
            "LEADGATE_ALERT_EMAIL": OPERATOR,
            "LEADGATE_ALERT_WEBHOOK": hook.url,
            "LEADGATE_HEARTBEAT_URL": hook.url,
            "LEADGATE_PUBLIC_URL": "https://forms.byran.example",
        }
        with start_gateway(tmp_path, vitec.url, **names) as gateway:
            assert gateway.post().status_code == 202
            await_true(lambda: bool(mailbox.to(OFFICE)))
            path = links_in(mailbox.to(OFFICE)[0])[0].removeprefix("https://forms.byran.example")
            assert httpx.post(gateway.url + path, headers={"Origin": gateway.url}).status_code == 303
            assert "Klart" in httpx.get(gateway.url + path).text
            await_true(lambda: bool(mailbox.to(OPERATOR)) and bool(hook.bodies) and hook.pings > 0)
            code, _ = gateway.end()
        assert code == 0
        assert all(path.removeprefix("/settle/") not in line for line in gateway.log)
        assert not any("anna" in line.lower() for line in gateway.log)


def test_what_could_not_be_told_is_listed(shell: Shell) -> None:
    write_forms(shell.folder, FORMS.replace(AGENT, ARCHIVED_AGENT) + f'office_email = "{OFFICE}"\n')
    with run_sandbox() as vitec, open_mailbox() as mailbox:
        mailbox.failing = True
        shell.set(**LOGIN_NAMES, LEADGATE_VITEC_BASE_URL=vitec.url)
        with start_gateway(shell.folder, vitec.url, LEADGATE_SMTP_URL=mailbox.url) as gateway:
            gateway.post()
            assert gateway.await_log("not_told")["cause"] == "SMTPDataError 451"
    [row] = json.loads(shell("notices", "--json").out)
    assert (row["kind"], row["channel"], row["tries"]) == ("held", "mail", 1)
    assert "last failure SMTPDataError 451" in shell("notices").out
