"""Several machines on one PostgreSQL, as real processes: each lead once, whoever dies."""

import json
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from tests.postgresql import Server, run_server
from tests.processes import LOGIN_NAMES, NOWHERE, Service, run, start, write_forms
from tests.sandboxes import Running, run_sandbox


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with run_server() as server:
        yield server


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    with server.database() as url:
        yield url


@pytest.fixture
def vitec() -> Iterator[Running]:
    with run_sandbox() as running:
        yield running


def names_of(database: str, vitec: str = NOWHERE, **names: str) -> dict[str, str]:
    return {
        **LOGIN_NAMES,
        "LEADGATE_DATABASE_URL": database,
        "LEADGATE_SECRET_KEY": "k" * 40,
        "LEADGATE_VITEC_BASE_URL": vitec,
        **names,
    }


def serve(folder: Path, names: Mapping[str, str], *arguments: str) -> Any:
    write_forms(folder)
    return start(folder, "serve", "--port", "0", *arguments, names=names)


def list_leads(folder: Path, names: Mapping[str, str]) -> Any:
    return json.loads(run(folder, "leads", "list", "--json", names=names).stdout)


def test_two_servers_and_two_deliverers_bring_each_lead_once(
    tmp_path: Path, database: str, vitec: Running
) -> None:
    names = names_of(database, vitec.url, LEADGATE_VITEC_RATE="1000")
    write_forms(tmp_path)
    with ExitStack() as machines:
        # At once: the schema is made under a lock.
        with ThreadPoolExecutor(4) as starting:
            begun = [
                *(
                    starting.submit(machines.enter_context, serve(tmp_path, names, "--no-delivery"))
                    for _ in range(2)
                ),
                *(
                    starting.submit(machines.enter_context, start(tmp_path, "deliver", names=names))
                    for _ in range(2)
                ),
            ]
        servers: list[Service] = [one.result() for one in begun[:2]]
        deliverers: list[Service] = [one.result() for one in begun[2:]]
        assert {one.said.partition(" from ")[2] for one in deliverers} == {f"{_without_user(database)}\n"}

        def post(number: int) -> str:
            answer = servers[number % 2].post(email=f"visitor{number}@example.com")
            assert answer.status_code == 202, answer.text
            return str(answer.json()["id"])

        with ThreadPoolExecutor(4) as visitors:
            ids = list(visitors.map(post, range(60)))
        # The same person at both doors is one lead.
        again = [server.post(email="visitor1@example.com").json()["id"] for server in servers]
        assert set(again) == {ids[1]}
        last = servers[0].deliver(email="last@example.com")
        ids.append(last.json()["id"])
        end = monotonic() + 30
        while any(lead["status"] != "delivered" for lead in list_leads(tmp_path, names)):
            assert monotonic() < end
        assert [one.end()[0] for one in (*servers, *deliverers)] == [0] * 4
    tags = Counter(dict(lead.utm_tags)["leadgate"] for lead in vitec.app.state.world.leads)
    assert tags == Counter(ids)


def _without_user(database: str) -> str:
    return database.replace("leadgate@", "")


def test_a_lead_starts_at_once_on_another_machine(tmp_path: Path, database: str, vitec: Running) -> None:
    names = names_of(database, vitec.url)
    with serve(tmp_path, names, "--no-delivery") as gateway, start(tmp_path, "deliver", names=names):
        gateway.deliver(email="first@example.com")

        def measure(number: int) -> float:
            started = monotonic()
            gateway.post(email=f"visitor{number}@example.com", wait=10)
            return monotonic() - started

        # Who is not told looks once a second.
        assert min(map(measure, range(5))) < 0.8


def test_while_the_database_is_down_visitors_are_told_at_once_and_served_again_after(
    tmp_path: Path, server: Server, database: str
) -> None:
    with serve(tmp_path, names_of(database)) as gateway:
        assert gateway.post(key="before").status_code == 202
        server.kill()
        started = monotonic()
        refused = gateway.post(key="during")
        assert (refused.status_code, refused.headers["Retry-After"].isdigit()) == (503, True)
        assert refused.headers["Content-Type"].startswith("application/problem+json")
        assert httpx.get(gateway.url + "/readyz").status_code == 503
        assert monotonic() - started < 3
        assert httpx.get(gateway.url + "/healthz").status_code == 200
        server.start()
        assert gateway.post(key="during").status_code == 202
        assert httpx.get(gateway.url + "/readyz").status_code == 200
        assert gateway.post(key="before").headers["Idempotent-Replayed"] == "true"
        assert gateway.end()[0] == 0


def test_what_a_killed_machine_held_is_delivered_by_another(
    tmp_path: Path, database: str, vitec: Running
) -> None:
    names = names_of(database, vitec.url, LEADGATE_VITEC_TIMEOUT="1")
    with serve(tmp_path, names, "--no-delivery") as gateway, socket.create_server(("127.0.0.1", 0)) as silent:
        lead_id = gateway.post().json()["id"]
        nowhere = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with start(tmp_path, "deliver", names=names | {"LEADGATE_VITEC_BASE_URL": nowhere}) as doomed:
            silent.accept()[0].close()  # a call is under way
            doomed.process.kill()
        with start(tmp_path, "deliver", names=names):
            end = monotonic() + 40  # the dead one's lease is waited for
            while gateway_status(gateway, lead_id) != "delivered":
                assert monotonic() < end
    assert len(vitec.app.state.world.leads) == 1


def gateway_status(gateway: Service, lead_id: str) -> Any:
    return httpx.get(f"{gateway.url}/api/v1/leads/{lead_id}").json()["status"]


def test_commands_need_neither_lock_nor_socket(tmp_path: Path, database: str) -> None:
    names = names_of(database)
    with serve(tmp_path, names, "--no-delivery") as gateway:
        posted = gateway.post().json()
        reference = posted["reference"]
        discarded = run(tmp_path, "leads", "discard", reference, "--reason", "a test", names=names)
        assert (discarded.returncode, discarded.stdout) == (0, f"{reference} is discarded\n")
        assert gateway_status(gateway, posted["id"]) == "closed"
    [lead] = list_leads(tmp_path, names)
    assert lead["status"] == "discarded"
    story = json.loads(run(tmp_path, "leads", "show", reference, "--json", names=names).stdout)
    assert [entry["kind"] for entry in story["history"]] == ["received", "discarded"]
    assert run(tmp_path, "gates", names=names).stdout == "all gates are open\n"
    assert run(tmp_path, "db", "current", names=names).stdout.endswith(")\n")
    upgraded = run(tmp_path, "db", "upgrade", names=names)
    assert upgraded.stdout.startswith(f"{_without_user(database)} is at revision ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["forms.toml"]


def test_a_database_that_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    write_forms(tmp_path)
    names = names_of("postgresql://eva:hunter2@127.0.0.1:9/leads")
    for command in (["serve", "--port", "0"], ["deliver"], ["leads", "list"]):
        refused = run(tmp_path, *command, names=names)
        assert refused.returncode == 1
        assert refused.stderr.startswith("postgresql://127.0.0.1:9/leads: cannot be ")
        assert "hunter2" not in refused.stderr + refused.stdout


def test_postgresql_without_a_secret_is_a_mistake(tmp_path: Path) -> None:
    write_forms(tmp_path)
    refused = run(
        tmp_path, "check", names=names_of("postgresql://eva:hunter2@db/leads", LEADGATE_SECRET_KEY="")
    )
    assert refused.returncode == 1
    assert "LEADGATE_SECRET_KEY: is required with PostgreSQL" in refused.stdout + refused.stderr
    assert "hunter2" not in refused.stdout + refused.stderr
