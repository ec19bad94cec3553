"""Work that is asked of a suspect, in a real browser: done unseen where it can be, and kept for a human where not."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Browser, expect

from app.forms.model import HONEYPOT
from tests.gateways import FORMS
from tests.visits import Site, Visit, open_site, visit

THANKS = re.compile(r"/f/\w+/thanks/[0-9a-f-]{36}$")
SUSPECT = "Our casino is open."
GUARDED = f'{FORMS}\n[forms.kontakt.spam]\nwords = ["casino"]\n'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site"), GUARDED) as site:
        yield site


@pytest.fixture
def visitor(browser: Browser, site: Site) -> Iterator[Visit]:
    with visit(browser, site) as visitor:
        yield visitor


def state_of(visitor: Visit) -> tuple[str, str | None]:
    """Where the lead is whose thanks are shown, and why."""
    lead_id = visitor.page.url.rpartition("/")[2]
    with closing(sqlite3.connect(visitor.site.folder / "leads.db")) as connection:
        query = "SELECT state, reason FROM outbox WHERE lead_id = ?"
        state, reason = connection.execute(query, [lead_id]).fetchone()
        return str(state), reason


def send(visitor: Visit, message: str) -> None:
    visitor.open()
    visitor.fill_in(message=message)
    visitor.press()
    visitor.page.wait_for_url(THANKS, timeout=60_000)


def proof_of(visitor: Visit) -> str:
    last = visitor.posts()[-1].post_data
    assert last
    return parse_qs(last)["altcha"][0]


def test_a_suspect_s_browser_works_and_the_lead_is_let_in(visitor: Visit) -> None:
    violations: list[str] = []
    visitor.page.on("console", lambda said: violations.append(said.text) if said.type == "error" else None)
    send(visitor, SUSPECT)
    assert state_of(visitor) == ("pending", None)
    asked, answered = visitor.posts()
    assert "altcha" not in parse_qs(asked.post_data or "")
    assert asked.response().status == 422  # type: ignore[union-attr]
    assert answered.response().status == 200  # type: ignore[union-attr]
    assert visitor.events[-1][0] == "accepted"
    assert visitor.events[-1][1]["conversion"]
    # The one thing that the console has to tell is the first answer's status.
    assert [text for text in violations if "422" not in text] == []


def test_an_honest_visitor_loads_no_challenge(visitor: Visit) -> None:
    send(visitor, "Vi vill sälja.")
    assert len(visitor.posts()) == 1
    assert not [one for one in visitor.requests if "challenge" in one.url]


@pytest.mark.parametrize(
    "broken",
    [
        "Object.defineProperty(window, 'Worker', {value: undefined})",
        "Object.defineProperty(window, 'Worker', {value: class { postMessage() { this.onerror() } }})",
    ],
)
def test_where_the_work_cannot_be_done_the_lead_is_kept_for_a_human(visitor: Visit, broken: str) -> None:
    visitor.page.add_init_script(broken)
    send(visitor, f"{SUSPECT} {broken}")
    state, reason = state_of(visitor)
    assert state == "quarantined"
    assert "proof_invalid" in str(reason)
    assert proof_of(visitor) == "none"
    assert not visitor.events[-1][1]["conversion"]


def test_where_the_script_does_not_come_the_lead_is_kept_for_a_human(visitor: Visit) -> None:
    visitor.page.route("**/static/challenge.js*", lambda route: route.abort())
    send(visitor, f"{SUSPECT} (utan)")
    assert state_of(visitor)[0] == "quarantined"


def test_without_any_script_the_lead_is_kept_for_a_human(browser: Browser, site: Site) -> None:
    with visit(browser, site, java_script_enabled=False) as visitor:
        send(visitor, f"{SUSPECT} (inget skript)")
        assert state_of(visitor)[0] == "quarantined"
        expect(visitor.page.locator("dl.reference dd")).to_be_visible()


def test_a_proof_that_has_let_one_lead_in_lets_in_no_other(visitor: Visit) -> None:
    send(visitor, f"{SUSPECT} (först)")
    used = proof_of(visitor)
    assert state_of(visitor)[0] == "pending"
    visitor.page.add_init_script(f"window.leadgateChallenge = async () => {json.dumps(used)}")
    send(visitor, f"{SUSPECT} (sedan)")
    assert state_of(visitor)[0] == "quarantined"
    assert "proof_spent" in str(state_of(visitor)[1])


@pytest.mark.parametrize("width", [320, 1280])
def test_nobody_sees_or_reaches_the_honeypot(browser: Browser, site: Site, width: int) -> None:
    with visit(browser, site, viewport={"width": width, "height": 800}) as visitor:
        visitor.open()
        page = visitor.page
        trap = page.locator(f"[name={HONEYPOT}]")
        box = trap.bounding_box()
        assert box
        assert box["x"] + box["width"] <= 0
        # Off-screen and rendered: a program that looks for what is hidden does not find it so.
        assert trap.evaluate("element => getComputedStyle(element).display") != "none"
        # Nothing of it is in the tree that assistive technology reads, and no Tab leads to it.
        assert page.get_by_role("textbox", name="Lämna detta tomt").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        names = set()
        for _ in range(25):
            page.keyboard.press("Tab")
            names.add(page.evaluate("document.activeElement.name || document.activeElement.type"))
        assert "submit" in names
        assert HONEYPOT not in names
