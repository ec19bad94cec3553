"""The inbox: what is listed, counted and found, and that nobody sees another customer's leads."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from app.intake.digests import Digests
from app.lead import LeadState
from app.store.inbox import count_by_day
from app.web.admin.chart import DAYS, HEIGHT, draw, list_days
from tests.admins import Admin, names_in, open_admin
from tests.gateways import SECRET
from tests.stores import NOW

pytestmark = pytest.mark.anyio

DIGESTS = Digests(SECRET)


async def fill(admin: Admin) -> dict[str, str]:
    """A lead of each state, the oldest first, and one of another customer."""
    kept = {}
    for number, state in enumerate(LeadState):
        kept[state.value] = await admin.keep(
            state, name=f"Nr {state}", received_at=NOW + timedelta(minutes=number)
        )
    kept["other"] = await admin.keep(
        LeadState.HELD,
        name="Nr other",
        customer_id="M2",
        form="solviken",
        received_at=NOW + timedelta(hours=1),
    )
    return kept


async def test_leads_are_listed_with_the_newest_first(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        await fill(admin)
        page = await admin.get("/admin")
        expected = ["other", "discarded", "held", "delivered", "quarantined", "pending"]
        assert names_in(page.text) == [f"Nr {one}" for one in expected]
        assert "the reason" in page.text


@pytest.mark.parametrize("state", list(LeadState))
async def test_they_are_filtered_by_state(tmp_path: Path, state: LeadState) -> None:
    async with open_admin(tmp_path) as admin:
        await fill(admin)
        names = names_in((await admin.get(f"/admin?state={state}")).text)
        assert names == (["Nr other", "Nr held"] if state is LeadState.HELD else [f"Nr {state}"])


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("form=solviken", 1),
        ("form=kontakt", 5),
        ("form=okand", 0),
        ("customer=M1", 5),
        ("customer=M2&state=held", 1),
        ("customer=M1&form=solviken", 0),
        ("customer=M3", 0),
        ("state=nonsense&age=nonsense&before=nonsense&form=&customer=&person=", 6),
    ],
)
async def test_they_are_filtered_by_form_and_customer(tmp_path: Path, query: str, count: int) -> None:
    async with open_admin(tmp_path) as admin:
        await fill(admin)
        assert len(names_in((await admin.get(f"/admin?{query}")).text)) == count


@pytest.mark.parametrize(
    ("age", "names"),
    [
        ("1d", ["Nr 0"]),
        ("7d", ["Nr 0", "Nr 2"]),
        ("30d", ["Nr 0", "Nr 2", "Nr 10"]),
        ("over-1h", ["Nr 2", "Nr 10", "Nr 40"]),
        ("over-1d", ["Nr 2", "Nr 10", "Nr 40"]),
        ("over-7d", ["Nr 10", "Nr 40"]),
    ],
)
@pytest.mark.parametrize("query", ["", "&state=held", "&form=kontakt", "&customer=M1"])
async def test_they_are_filtered_by_age(tmp_path: Path, age: str, names: list[str], query: str) -> None:
    async with open_admin(tmp_path) as admin:
        for days in (40, 10, 2, 0):
            received_at = admin.gateway.store.now() - timedelta(days=days)
            await admin.keep(LeadState.HELD, name=f"Nr {days}", received_at=received_at)
        assert names_in((await admin.get(f"/admin?age={age}{query}")).text) == names


async def test_a_long_list_has_pages(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        for number in range(120):
            await admin.keep(LeadState.HELD, name=f"Nr {number}", received_at=NOW + timedelta(seconds=number))
        seen, address = [], "/admin?state=held&lang=en"
        while address:
            page = await admin.get(address)
            seen += names_in(page.text)
            onward = re.search(r'href="(\?[^"]*before=[^"]*)" rel="next"', page.text)
            address = "/admin" + onward[1].replace("&amp;", "&") if onward else ""
        assert seen == [f"Nr {number}" for number in range(119, -1, -1)]


async def test_a_user_sees_their_customers_leads_alone(tmp_path: Path) -> None:
    async with open_admin(tmp_path, signed_in="eva") as admin:
        kept = await fill(admin)
        own = await admin.get("/admin")
        assert names_in(own.text) == ["Nr other"]
        assert re.findall(r"<strong>(\d+)</strong>", own.text) == ["1", "0", "0", "0"]
        assert "kontakt" not in own.text
        for query in (
            "customer=M1",
            "form=kontakt",
            "state=delivered",
            "state=quarantined",
            "customer=M1&state=held",
        ):
            assert names_in((await admin.get(f"/admin?{query}")).text) == []
        assert (await admin.get(f"/admin/leads/{kept['other']}")).status_code == 200
        foreign = await admin.get(f"/admin/leads/{kept['held']}")
        nothing = await admin.get("/admin/leads/01890000-0000-7000-8000-000000000000")
        assert foreign.status_code == nothing.status_code == 404
        assert foreign.text == nothing.text
        assert foreign.headers == nothing.headers


@pytest.mark.parametrize("asked", ["reference", "id", "typed"])
async def test_a_reference_or_id_leads_to_its_lead(tmp_path: Path, asked: str) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep()
        reference = (await admin.gateway.load(lead_id)).reference
        text = {"reference": reference, "id": lead_id, "typed": f" {reference[:4]}-{reference[4:]}".lower()}[
            asked
        ]
        answer = await admin.post("/admin/search", q=text)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/admin/leads/{lead_id}")


@pytest.mark.parametrize("text", ["anna@example.com", "ANNA@Example.com ", "070-174 06 05", "+46701740605"])
async def test_an_address_or_number_leads_to_all_its_leads_and_stands_in_no_address(
    tmp_path: Path, text: str
) -> None:
    async with open_admin(tmp_path) as admin:
        keys = {
            "email_key": DIGESTS.of_email("anna@example.com"),
            "phone_key": DIGESTS.of_phone("+46701740605"),
        }
        for number in range(2):
            await admin.keep(
                LeadState.HELD, name=f"Nr {number}", received_at=NOW + timedelta(hours=number), **keys
            )
        await admin.keep(name="Somebody else")
        answer = await admin.post("/admin/search", q=text)
        assert answer.status_code == 303
        address = answer.headers["location"]
        assert re.fullmatch(r"/admin\?person=[0-9a-f]{32}", address)
        assert names_in((await admin.get(address)).text) == ["Nr 1", "Nr 0"]
        assert names_in((await admin.get(f"{address}&state=pending")).text) == []


@pytest.mark.parametrize(
    "text", ["bergström", "BERGSTRÖM", "Anna Bergström", "åsa", "Åsa", "ström", "nna@exam"]
)
async def test_names_are_found_in_any_case(tmp_path: Path, text: str) -> None:
    async with open_admin(tmp_path) as admin:
        await admin.keep(name="Åsa Anna Bergström")
        await admin.keep(name="Nils Falk")
        answer = await admin.post("/admin/search", q=text)
        assert answer.status_code == 200
        found = names_in(answer.text)
        assert "Åsa Anna Bergström" in found
        assert ("Nils Falk" in found) == (text == "nna@exam")


@pytest.mark.parametrize(
    "text", ["enquiry", "version", "first_name", "%", "_", "\\", "'", "x\x00y", "@", "anna@", "0"]
)
async def test_what_is_nobodys_name_finds_nobody(tmp_path: Path, text: str) -> None:
    async with open_admin(tmp_path) as admin:
        await admin.keep(name="Nils Falk")
        answer = await admin.post("/admin/search", q=text)
        assert answer.status_code == 200
        found = names_in(answer.text)
        assert found == (["Nils Falk"] if text in {"@", "anna@"} else [])


async def test_an_empty_search_finds_nobody(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        await admin.keep()
        assert names_in((await admin.post("/admin/search", q="  ")).text) == []


async def test_a_search_goes_no_further_than_the_users_customers(tmp_path: Path) -> None:
    async with open_admin(tmp_path, signed_in="eva") as admin:
        key = DIGESTS.of_email("anna@example.com")
        foreign = await admin.keep(name="Anna Ek", email_key=key)
        await admin.keep(name="Anna Falk", customer_id="M2", form="solviken", email_key=key)
        assert names_in((await admin.post("/admin/search", q="Anna")).text) == ["Anna Falk"]
        assert names_in((await admin.get(f"/admin?person={key}")).text) == ["Anna Falk"]
        answer = await admin.post("/admin/search", q=foreign)
        assert (answer.status_code, names_in(answer.text)) == (200, [])


async def test_a_common_name_is_found_page_by_page(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        for number in range(60):
            await admin.keep(name=f"Anna Nr{number}", received_at=NOW + timedelta(seconds=number))
        first = await admin.post("/admin/search", q="anna")
        assert len(names_in(first.text)) == 50
        before = re.search(r'name="before" value="([^"]+)"', first.text)
        assert before
        second = await admin.post("/admin/search", q="anna", before=before[1])
        assert names_in(second.text) == [f"Anna Nr{number}" for number in range(9, -1, -1)]
        assert 'name="before"' not in second.text


async def test_a_lead_that_cannot_be_read_is_listed_all_the_same(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep(LeadState.HELD, body='{"version":99}')
        page = await admin.get("/admin")
        assert "Cannot be read" in page.text
        assert (await admin.get(f"/admin/leads/{lead_id}")).status_code == 200


async def test_what_visitors_wrote_is_never_markup(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>\"'&"
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep(LeadState.HELD, name=hostile, reason=hostile)
        search = await admin.post("/admin/search", q=hostile)
        for page in (await admin.get("/admin"), await admin.get(f"/admin/leads/{lead_id}"), search):
            assert page.status_code == 200
            assert "<script" not in page.text


async def test_pages_forbid_all_that_they_do_not_need(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep()
        for path in (
            "/admin",
            f"/admin/leads/{lead_id}",
            "/admin/gates",
            "/admin/forms",
            "/admin/forms/kontakt",
            "/admin/audit",
        ):
            answer = await admin.get(path)
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; style-src 'self'; ")
            assert "unsafe" not in policy
            assert "script-src" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "same-origin"
            assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=", answer.text)


async def test_the_counters_and_the_chart_count(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        today = admin.gateway.store.now()
        for state in (LeadState.DELIVERED, LeadState.DELIVERED, LeadState.HELD):
            await admin.keep(state, received_at=today)
        await admin.keep(LeadState.DELIVERED, received_at=today - timedelta(days=20))
        page = (await admin.get("/admin")).text
        assert "Last 14 days: 3 received, 2 of them delivered" in page
        assert re.findall(r"<strong>(\d+)</strong>", page) == ["1", "0", "0", "0"]


async def test_days_are_swedens_own(tmp_path: Path) -> None:
    """In October one of them has twenty-five hours."""
    days = list_days(datetime(2026, 10, 31, 12, tzinfo=UTC))
    assert len(days) == DAYS + 1
    lengths = {
        (later.astimezone(UTC) - day.astimezone(UTC)) // timedelta(hours=1) for day, later in pairwise(days)
    }
    assert lengths == {24, 25}
    async with open_admin(tmp_path) as admin:
        late = datetime(2026, 10, 30, 22, 59, tzinfo=UTC)  # one minute to midnight in Stockholm
        await admin.keep(received_at=late)
        counts = await admin.gateway.store.read(lambda read: count_by_day(read, days, customers=None))
        assert [sum(count.values()) for count in counts][-2:] == [1, 0]


def test_the_highest_bar_fills_the_drawing() -> None:
    days = list_days(NOW)
    counts = [{LeadState.DELIVERED: number, LeadState.HELD: 1} for number in range(DAYS)]
    bars = draw(days, counts).bars
    assert bars[-1].height == HEIGHT
    assert all(bar.delivered_height < bar.height for bar in bars)
    assert draw(days, [{}] * DAYS).bars[0].height == 0
