"""`/metrics`: who may read it, what it counts, and that nobody's name is in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import tally
from app.forms.model import Password
from app.web.exposition import Snapshot, expose
from tests.gateways import open_gateway
from tests.processes import ANNA, LOGIN_NAMES, NOWHERE, start, start_gateway, write_forms
from tests.sandboxes import Running, run_sandbox
from tests.scrapes import LOCAL, read_scrape, scrape
from tests.stores import NOW
from tests.test_invariants import PLANTS

pytestmark = pytest.mark.anyio

TOKEN = "hemligt-och-långt"
BEARER: dict[str, Any] = {"Authorization": f"Bearer {TOKEN}".encode()}


@pytest.fixture(scope="module")
def vitec() -> Iterator[Running]:
    with run_sandbox() as running:
        yield running


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (LOCAL, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "forms.example.se"}, 403),
        ({"Host": "127.0.0.1.example.se"}, 403),
        *(
            (LOCAL | {name: "127.0.0.1"}, 403)
            for name in (
                "X-Forwarded-For",
                "X-Forwarded-Proto",
                "Forwarded",
                "X-Real-IP",
                "Via",
                "CF-Connecting-IP",
            )
        ),
        (LOCAL | {"X-Forwarded-For": ""}, 403),
    ],
)
async def test_without_a_token_only_this_machine_is_answered_and_no_proxy(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with open_gateway(tmp_path) as gateway:
        answer = await gateway.client.get("/metrics", headers=headers)
        assert answer.status_code == status
        assert answer.headers["cache-control"] == "no-store"
        assert ("LEADGATE_METRICS_TOKEN" in answer.text) == (status == 403)


@pytest.mark.parametrize(
    ("client", "version", "status"),
    [
        ("127.0.0.1", "1.1", 200),
        ("127.8.0.1", "1.1", 200),
        ("::1", "1.1", 200),
        ("::ffff:127.0.0.1", "1.1", 200),
        ("192.0.2.7", "1.1", 403),
        ("testclient", "1.1", 403),
        # nginx as it is shipped says nowhere that it forwards, and speaks 1.0.
        ("127.0.0.1", "1.0", 403),
    ],
)
async def test_who_is_of_this_machine(tmp_path: Path, client: str, version: str, status: int) -> None:
    async with open_gateway(tmp_path) as gateway:
        said: list[Any] = []

        async def send(message: Any) -> None:
            said.append(message)

        scope = {
            "type": "http", "http_version": version, "method": "GET", "scheme": "http", "path": "/metrics",
            "raw_path": b"/metrics", "root_path": "", "query_string": b"", "client": (client, 1),
            "server": ("127.0.0.1", 8000), "headers": [(b"host", b"127.0.0.1:8000")],
        }  # fmt: skip
        await gateway.app(scope, None, send)  # type: ignore[arg-type]
        assert said[0]["status"] == status


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN} ", 200),
        (f"Basic {TOKEN}", 401),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer", 401),
        (TOKEN, 401),
        (None, 401),
    ],
)
async def test_with_a_token_everybody_needs_it_and_nobody_else_is_asked(
    tmp_path: Path, given: str | None, status: int
) -> None:
    async with open_gateway(tmp_path, metrics_token=Password(value=TOKEN)) as gateway:
        headers: dict[str, Any] = LOCAL | ({"Authorization": given.encode()} if given else {})
        answer = await gateway.client.get("/metrics", headers=headers)
        assert answer.status_code == status
        assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
        if status == 200:
            far = headers | {"Host": "forms.example.se", "X-Forwarded-For": "192.0.2.7"}
            assert (await gateway.client.get("/metrics", headers=far)).status_code == 200


async def test_a_tokens_file_is_read_at_each_scrape_and_an_empty_one_lets_nobody_in(tmp_path: Path) -> None:
    file = tmp_path / "token"
    async with open_gateway(tmp_path, metrics_token=Password(file=file)) as gateway:
        for content, status in ((None, 401), (f"{TOKEN}\n", 200), ("another", 401), ("", 401), ("\n", 401)):
            file.unlink(missing_ok=True)
            if content is not None:
                file.write_text(content, encoding="utf-8")
            assert (await gateway.client.get("/metrics", headers=BEARER)).status_code == status
            empty = await gateway.client.get("/metrics", headers={"Authorization": "Bearer "})
            assert empty.status_code == 401


async def test_submissions_are_counted_by_what_became_of_them(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:

        async def read() -> Any:
            return read_scrape(await gateway.client.get("/metrics", headers=LOCAL))

        before = await read()
        assert (await gateway.post(message="Hej")).status_code == 202
        assert (await gateway.post(message="Hej")).status_code == 202
        assert (await gateway.post("/api/v1/forms/prov/leads")).status_code == 202
        assert (await gateway.post(email="anna@", colour="blå")).status_code == 422
        assert (await gateway.post("/api/v1/forms/okand/leads")).status_code == 404
        assert (await gateway.post(headers={"Origin": "https://annan.se"})).status_code == 403
        page = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (
            await gateway.client.post("/f/kontakt", content="email=anna", headers=page)
        ).status_code == 422
        assert (await gateway.client.get("/f/okand")).status_code == 404  # nobody's submission
        after = await read()

        def rise(name: str, **labels: str) -> float:
            return float(after.get(name, **labels) - before.get(name, **labels))

        assert rise("leadgate_accepted_total", form="kontakt") == 1
        assert rise("leadgate_replayed_total", form="kontakt") == 1
        assert rise("leadgate_accepted_total", form="prov") == 1
        assert rise("leadgate_refused_total", reason="invalid-fields") == 2
        assert rise("leadgate_refused_total", reason="unknown-form") == 1
        assert rise("leadgate_refused_total", reason="origin-not-allowed") == 1
        assert rise("leadgate_refused_total") == 4
        assert rise("leadgate_commit_jobs_count") >= 3
        assert rise("leadgate_commit_seconds_sum") > 0
        assert after.get("leadgate_leads", state="pending", form="kontakt") == 1
        assert after.get("leadgate_leads", state="quarantined", form="prov") == 1
        assert after.get("leadgate_leads", state="held") == 0
        assert after.get("leadgate_oldest_undelivered_seconds") > 0
        assert after.get("leadgate_store_up") == 1
        assert after.get("leadgate_disk_free_bytes") > 0
        gateway.stop_writing()
        assert (await gateway.post(message="Nu går det inte")).status_code == 503
        assert (await read()).get("leadgate_refused_total", reason="unavailable") >= 1


async def test_a_store_that_cannot_be_read_leaves_what_the_process_has_counted(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        await gateway.post()
        gateway.store.close()
        found = read_scrape(await gateway.client.get("/metrics", headers=LOCAL))
        assert found.get("leadgate_store_up") == 0
        assert found.get("leadgate_accepted_total") >= 1
        assert "leadgate_leads" not in found.families


def test_a_process_tells_how_its_leads_fare(tmp_path: Path, vitec: Running) -> None:
    """And nothing of whom they are about: every label's value is of the file, or of this list."""
    httpx.post(vitec.url + "/sandbox/reset")
    with start_gateway(tmp_path, vitec.url) as gateway:
        assert scrape(gateway.url).get("leadgate_oldest_undelivered_seconds") == 0
        gateway.deliver()
        fault = {"name": "400", "times": 1, "operation": "createLead"}
        assert httpx.post(vitec.url + "/sandbox/faults", json=fault).status_code == 200
        held = gateway.post(email="bertil@example.com", message="Ring 070-174 06 05", firstName="Bertil")
        gateway.await_status(held.json()["id"], "held")
        found = scrape(gateway.url)
        assert found.get("leadgate_delivered_total", form="kontakt", how="created") == 1
        assert found.get("leadgate_held_total", form="kontakt") == 1
        assert found.get("leadgate_leads", state="held", form="kontakt") == 1
        assert found.get("leadgate_oldest_waiting_seconds", state="held") > 0
        assert found.get("leadgate_time_to_vitec_seconds_count") == 1
        assert 0 < found.get("leadgate_time_to_vitec_seconds_sum") < 60
        assert found.get("leadgate_vitec_calls_total", call="create", outcome="done") == 1
        assert found.get("leadgate_vitec_calls_total", call="create", outcome="refused") == 1
        assert found.get("leadgate_vitec_calls_total", call="contact", outcome="done") == 2
        assert found.get("leadgate_vitec_calls_total", call="read", outcome="done") >= 2
        assert found.get("leadgate_vitec_call_seconds_count", call="create") == 2
        assert found.get("process_resident_memory_bytes") > 0

        series = len(found.labels)
        for number in range(5):
            person = {"firstName": f"Cecilia{number}", "email": f"cecilia{number}@example.com"}
            gateway.deliver(**person)
        text = httpx.get(gateway.url + "/metrics").text
        assert len(scrape(gateway.url).labels) == series
        typed = (
            "Anna",
            "Bertil",
            "Bergström",
            "Cecilia",
            "example",
            "070-174",
            "1740605",
            "Vi vill",
            "google",
            "agency",
        )
        assert not [word for word in typed if word.casefold() in text.casefold()]
        assert held.json()["id"] not in text
        assert held.json()["reference"] not in text
        assert {label for _, label, _ in found.labels} <= set(BOUNDED)
        strange = [
            (name, label, value)
            for name, label, value in found.labels
            if BOUNDED[label] is not None and value not in BOUNDED[label]
        ]
        assert strange == []


BOUNDED: dict[str, Any] = {
    "form": {"kontakt"},
    "state": {"pending", "held", "quarantined"},
    "how": {"created", "found"},
    "call": {"contact", "create", "read"},
    "outcome": {
        "done",
        "not_sent",
        "not_taken",
        "refused",
        "unauthorized",
        "forbidden",
        "misdirected",
        "unknown",
    },
    "reason": {"unavailable", "defect", "invalid-fields"},
    "invariant": {plant.__name__ for plant in PLANTS},
    "database": {"sqlite", "postgresql"},
    "le": None,  # this code's own bounds
    "version": None,
    "python": None,
}
"""Every label, and the values it may have."""


def test_gates_and_circuits_are_told(tmp_path: Path, vitec: Running) -> None:
    httpx.post(vitec.url + "/sandbox/reset")
    with start_gateway(tmp_path, vitec.url, LEADGATE_VITEC_PASSWORD="wrong") as gateway:
        gateway.post()
        gateway.await_log("gate_closed")
        gate = {"login": "default", "customer": "M12345", "group": "contact", "status": "401"}
        assert scrape(gateway.url).get("leadgate_gates_closed", **gate) == 1
    other = tmp_path / "other"
    other.mkdir()
    with start_gateway(other, NOWHERE) as gateway:
        for number in range(6):
            gateway.post(email=f"a{number}@example.com")
        gateway.await_log("circuit_open")
        found = scrape(gateway.url)
        assert found.get("leadgate_circuit_state", destination=NOWHERE, state="open") == 1
        assert found.get("leadgate_circuit_state", destination=NOWHERE) == 1
        assert found.get("leadgate_vitec_calls_total", call="contact", outcome="not_sent") >= 5
        assert found.get("leadgate_leads", state="pending", form="kontakt") == 6
        assert found.get("leadgate_oldest_undelivered_seconds") > 0


def test_a_delivering_process_is_watched_on_a_port_of_its_own(tmp_path: Path, vitec: Running) -> None:
    httpx.post(vitec.url + "/sandbox/reset")
    names = LOGIN_NAMES | {"LEADGATE_VITEC_BASE_URL": vitec.url}
    with start_gateway(tmp_path, vitec.url, "--no-delivery") as gateway:
        assert gateway.post().status_code == 202
    write_forms(tmp_path)
    with start(tmp_path, "deliver", "--port", "0", names=names) as deliverer:
        deliverer.await_log("lead_delivered")
        assert httpx.get(deliverer.url + "/healthz").status_code == 200
        assert httpx.get(deliverer.url + "/readyz").status_code == 200
        assert httpx.get(deliverer.url + "/f/kontakt").status_code == 404
        found = scrape(deliverer.url)
        assert found.get("leadgate_delivered_total", form="kontakt", how="created") == 1
        assert httpx.get(deliverer.url + "/metrics", headers={"Via": "1.1 proxy"}).status_code == 403
        assert deliverer.end() == (0, "")
    assert ANNA["firstName"] not in "".join(deliverer.log)


def test_a_bound_includes_its_own_amount_and_the_last_bin_the_rest() -> None:
    spread = tally.Spread("s", "", (1, 2.5), ("call",))
    for amount in (0, 1, 1.1, 2.5, 2.6, 900):
        spread.add(amount, "create")
    bins = spread.values["create",]
    assert bins.counts == [2, 2, 2]
    assert bins.total == pytest.approx(907.2)


def test_what_has_not_happened_yet_is_told_as_nothing() -> None:
    """A first failure is a rise from zero; a series that begins at one shows none."""
    quiet = Snapshot(standing=None, forms=(), database="sqlite", free_bytes=None, now=NOW)
    text = expose(quiet).decode()
    assert "# TYPE leadgate_refused_total counter" in text
    assert 'leadgate_refused_total{reason="unavailable"}' in text
    assert "leadgate_commit_jobs_count" in text
