"""What whoever watches the process is told."""

from pathlib import Path

import pytest

from tests.gateways import open_gateway, read_page

pytestmark = pytest.mark.anyio


async def test_alive_whatever_the_store_and_ready_only_when_it_can_be_written(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        for path in ("/healthz", "/readyz"):
            answer = await gateway.client.get(path)
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "no-store"
        gateway.stop_writing()
        assert (await gateway.client.get("/healthz")).status_code == 200
        answer = await gateway.client.get("/readyz")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/", "/okand", "/static/okand.css", "/static/%00", "/static/../app/main.py"]
)
async def test_what_is_not_there_is_a_page_for_a_browser_and_a_problem_for_a_program(
    tmp_path: Path, path: str
) -> None:
    async with open_gateway(tmp_path) as gateway:
        program = await gateway.client.get(path, headers={"Accept": "*/*"})
        browser = await gateway.client.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
        assert (program.status_code, browser.status_code) == (404, 404)
        assert program.headers["content-type"] == "application/problem+json"
        assert read_page(browser).language == "sv"
        assert program.headers["vary"] == browser.headers["vary"] == "Accept"


async def test_where_nobody_may_sign_in_the_operators_pages_are_not_there(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        for accept in ("*/*", "text/html"):
            assert (await gateway.client.get("/admin", headers={"Accept": accept})).status_code == 404
        program = await gateway.client.get("/admin", headers={"Accept": "application/json"})
        assert (program.status_code, program.headers["content-type"]) == (404, "application/problem+json")


async def test_a_file_is_kept_for_ever_only_under_its_own_digest(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = (await gateway.client.get("/f/kontakt")).text
        start = page.index("/static/leadgate.css")
        asset = page[start : page.index('"', start)]
        for path, kept in (
            (asset, "public, max-age=31536000, immutable"),
            ("/static/leadgate.css", "public, max-age=300"),
            ("/static/leadgate.css?v=0000dead", "public, max-age=300"),
        ):
            answer = await gateway.client.get(path)
            assert answer.headers["cache-control"] == kept
            assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        etag = {"If-None-Match": answer.headers["etag"]}
        assert (await gateway.client.get(asset, headers=etag)).status_code == 304
