"""Vitec's client against servers that cannot prove who they are: neither password nor lead reaches them."""

import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from app.lead import LeadState
from app.vitec.answers import Answer
from app.vitec.client import VitecClient
from app.vitec.exchange import make_tls, make_transport
from tests.deliveries import open_rig
from tests.sandboxes import Running, run_sandbox
from tests.sinks import find_told, overhearing
from tests.test_vitec_client import OK, create, make_client, make_login, replying, serving

pytestmark = pytest.mark.anyio

HOST = "localhost"
"""What the servers are called by."""
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def make_server_tls(
    authority: trustme.CA, host: str = HOST, *, until: datetime = NOW + DAY
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, not_before=NOW - 10 * DAY, not_after=until).configure_cert(context)
    return context


def make_trusting_client(authority: trustme.CA) -> VitecClient:
    """The program's own idea of TLS, with one root more."""
    tls = make_tls()
    authority.configure_trust(tls)
    return make_client(transport=make_transport(5, keep_alive=False, tls=tls))


async def test_a_server_with_a_good_certificate_is_sent_the_lead(authority: trustme.CA) -> None:
    async with (
        serving(replying(OK), tls=make_server_tls(authority)) as server,
        make_trusting_client(authority) as client,
    ):
        answer = await create(client, make_login(server.base_url))
    assert answer.succeeded
    assert len(server.requests) == 1


async def ask_a_stranger(client: VitecClient, tls: ssl.SSLContext) -> Answer:
    with overhearing() as heard:
        async with serving(replying(OK), tls=tls) as server, client:
            answer = await create(client, make_login(server.base_url))
    assert server.requests == []
    assert find_told(heard.getvalue()) == []
    return answer


async def test_a_certificate_of_an_unknown_authority_is_refused(authority: trustme.CA) -> None:
    """With the client exactly as it is built for production."""
    answer = await ask_a_stranger(make_client(), make_server_tls(authority))
    assert answer == Answer(sent=False, error="CertificateOfUnknownIssuer")


async def test_a_certificate_of_another_authority_is_refused(authority: trustme.CA) -> None:
    answer = await ask_a_stranger(make_trusting_client(authority), make_server_tls(trustme.CA()))
    assert answer == Answer(sent=False, error="CertificateOfUnknownIssuer")


async def test_an_expired_certificate_is_refused(authority: trustme.CA) -> None:
    tls = make_server_tls(authority, until=NOW - DAY)
    answer = await ask_a_stranger(make_trusting_client(authority), tls)
    assert answer == Answer(sent=False, error="CertificateExpired")


@pytest.mark.parametrize("host", ["vitec.example", "localhost.evil.example", "*.localhost", "127.0.0.2"])
async def test_a_certificate_of_another_host_is_refused(authority: trustme.CA, host: str) -> None:
    answer = await ask_a_stranger(make_trusting_client(authority), make_server_tls(authority, host))
    assert answer == Answer(sent=False, error="CertificateOfAnotherHost")


async def test_tls_of_old_is_refused(authority: trustme.CA) -> None:
    tls = make_server_tls(authority)
    with pytest.warns(DeprecationWarning, match="TLSVersion"):
        tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_1
    tls.set_ciphers("ALL:@SECLEVEL=0")
    answer = await ask_a_stranger(make_trusting_client(authority), tls)
    assert not answer.sent
    assert answer.error.startswith("SSL")


async def test_a_trust_store_in_the_environment_is_ignored(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "roots.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    answer = await ask_a_stranger(make_client(), make_server_tls(authority))
    assert answer.error == "CertificateOfUnknownIssuer"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with run_sandbox() as running:
        yield running


async def test_a_certificate_gone_bad_is_told_and_never_gone_around(
    authority: trustme.CA, sandbox: Running, tmp_path: Path
) -> None:
    tls = make_server_tls(authority, until=NOW - DAY)
    with overhearing() as heard:
        async with (
            serving(replying(OK), tls=tls) as server,
            open_rig(tmp_path, sandbox, base_url=server.base_url) as rig,
        ):
            lead_id = await rig.submit()
            await rig.live(seconds=900)
            assert (await rig.status(lead_id)).state is LeadState.PENDING
            told = json.dumps(await rig.history(lead_id), default=str)
    assert server.requests == []
    assert server.connections == 0  # of those in the clear
    assert "CertificateOfUnknownIssuer" in told
    opened = [json.loads(line) for line in heard.getvalue().splitlines() if "circuit_open" in line]
    assert opened
    assert {line["cause"] for line in opened} == {"CertificateOfUnknownIssuer"}
