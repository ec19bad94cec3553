"""No visitor's IP address is kept or logged, wherever it came from."""

from pathlib import Path

import httpx

from tests.processes import LEADS, NOWHERE, start_gateway

VISITORS = ("203.0.113.77", "2001:db8::cafe")


def send(url: str, visitor: str, number: int) -> list[int]:
    headers = {
        "X-Forwarded-For": visitor,
        "X-Real-IP": visitor,
        "Forwarded": f'for="{visitor}"',
        "User-Agent": "Mozilla/5.0 (Sentinel)",
    }
    lead = {"name": "Anna B", "email": f"a{number}@example.com", "message": "Hej"}
    answers = [
        httpx.get(url + "/f/kontakt", headers=headers),
        httpx.post(url + LEADS, json=lead, headers=headers),
        httpx.post(url + LEADS, json={}, headers=headers),
        httpx.post(url + "/f/kontakt", data=lead | {"message": "Hej igen"}, headers=headers),
        httpx.post(url + LEADS, content=b"{", headers=headers | {"Content-Type": "application/json"}),
    ]
    return [answer.status_code for answer in answers]


def test_who_sent_a_lead_from_where_is_written_nowhere(tmp_path: Path) -> None:
    names = {"LEADGATE_TRUSTED_PROXIES": "127.0.0.1", "LEADGATE_RATE_LIMIT": "2/minute"}
    with start_gateway(tmp_path, NOWHERE, **names) as service:
        for number, visitor in enumerate(VISITORS):
            assert send(service.url, visitor, number) == [200, 202, 422, 303, 400]
            assert send(service.url, visitor, number + 10)[1] == 429  # it was believed, and counted
        service.end()
    words = ("203.0.113.", "2001:db8", "2001:0db8", "Sentinel")
    files = [path for path in (tmp_path / "data").iterdir() if path.is_file()]
    assert files
    for word in words:
        assert not [path.name for path in files if word.encode() in path.read_bytes()]
        assert not [line for line in service.log if word in line]
