"""The embed script as it is served: two addresses, their caches, what it weighs, and what it says of an empty frame."""

import gzip
import re
from base64 import b64encode
from hashlib import sha384
from pathlib import Path

import pytest

from app.forms.campaign import CLICK_IDS, UTM_PARAMETERS
from app.resources import STATIC
from app.web.embed import compact, keep_release, load_assets, read_released
from tests.gateways import ANNA, LEADS, LISTED, STRANGER, open_gateway

pytestmark = pytest.mark.anyio


async def test_the_script_has_an_address_that_stays_and_one_that_is_pinned(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        current = await gateway.client.get("/embed/v1.js")
        pin = (await gateway.client.get("/embed/v1.json")).json()
        pinned = await gateway.client.get(pin["src"])
        assert current.content == pinned.content
        assert re.fullmatch(r"/embed/v1\.[0-9a-f]{16}\.js", pin["src"])
        assert pin["integrity"] == "sha384-" + b64encode(sha384(pinned.content).digest()).decode()
        assert current.headers["cache-control"] == "public, max-age=300"
        assert pinned.headers["cache-control"] == "public, max-age=31536000, immutable"
        for answer in (current, pinned):
            assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
            # What a browser asks for before it compares an integrity value, and an isolated page before it runs it.
            assert answer.headers["access-control-allow-origin"] == "*"
            assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert (await gateway.client.get("/embed/v1.0123456789abcdef.js")).status_code == 404


def test_a_release_is_kept_for_the_pages_that_name_it(tmp_path: Path) -> None:
    keep_release(tmp_path / "released")
    kept = read_released(tmp_path / "released")
    pinned = {name: asset for name, asset in load_assets().items() if re.search(r"\.[0-9a-f]{16}\.js$", name)}
    assert len(kept) == 2
    assert kept == pinned


async def test_what_a_browser_has_is_not_sent_again(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        first = await gateway.client.get("/embed/v1.js")
        tag = first.headers["etag"]
        for known in (tag, tag.removeprefix("W/"), f'"old", {tag}'):
            again = await gateway.client.get("/embed/v1.js", headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
            assert again.headers["cache-control"] == "public, max-age=300"
        other = await gateway.client.get("/embed/v1.js", headers={"If-None-Match": '"other"'})
        assert other.content == first.content


async def test_it_is_compressed_for_who_can_read_that(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        packed = await gateway.client.get("/embed/v1.js", headers={"Accept-Encoding": "gzip, br"})
        plain = await gateway.client.get("/embed/v1.js", headers={"Accept-Encoding": "identity"})
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
        assert packed.content == plain.content
        assert int(packed.headers["content-length"]) <= 2500


def test_the_script_weighs_at_most_two_and_a_half_kilobytes_and_the_second_three_and_a_half() -> None:
    content = load_assets()["v1.js"].content
    assert len(gzip.compress(content, 6)) <= 2500
    # A page's own form costs nothing on a page that has none.
    [own] = [name for name in load_assets() if name.startswith("own.")]
    assert own.encode() in content
    assert len(gzip.compress(load_assets()[own].content, 6)) <= 3500


def test_the_script_knows_the_campaign_parameters_that_are_captured_without_set_up() -> None:
    source = (STATIC / "embed" / "v1.js").read_text(encoding="utf-8")
    [pattern] = re.findall(r"allowed = /(.+)/i;", source)
    assert all(re.fullmatch(pattern, name) for name in (*UTM_PARAMETERS, *CLICK_IDS))
    assert not [name for name in ("token", "email", "q", "session_id", "code") if re.fullmatch(pattern, name)]


@pytest.mark.parametrize(
    ("source", "served"),
    [
        ("// a line\n  let a = 1;\n", "let a=1;"),
        ('const a = "b  // c";\n', 'const a="b  // c";'),
        ("const a = `b  ${c}`;\n", "const a=`b  ${c}`;"),
        ("if (a) {\n  b();\n}\nreturn c;\n", "if(a){b()}return c;"),
        ('"a" in b ? typeof c : d\n', '"a" in b?typeof c:d'),
    ],
)
def test_only_comments_and_blanks_are_left_out(source: str, served: str) -> None:
    assert compact(source) == served


def test_the_scripts_are_written_so_that_only_comments_and_blanks_go() -> None:
    for source in (STATIC / "embed").glob("*.js"):
        code = [line for line in source.read_text(encoding="utf-8").splitlines() if line.strip()[:2] != "//"]
        assert not [line for line in code if re.search(r"\s//|/\*", line)]


async def test_an_empty_frame_is_explained_to_whoever_builds_the_page(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        asked = {
            ("kontakt", STRANGER): (
                "origin-not-allowed",
                f'[forms.kontakt]: allowed_origins = ["{LISTED}", ',
            ),
            ("objekt", STRANGER): ("origin-not-allowed", f'[forms.objekt]: allowed_origins = ["{STRANGER}"]'),
            ("kontakt", "null"): ("origin-not-allowed", "no origin that could be listed"),
            ("okand", LISTED): ("unknown-form", "there is no form 'okand'"),
            ("kontakt", LISTED): ("not-shown", "frame-src"),
        }
        for (form, origin), (code, detail) in asked.items():
            answer = await gateway.client.get(f"/embed/v1/{form}", headers={"Origin": origin})
            assert answer.status_code == 200
            assert answer.json()["code"] == code
            assert detail in answer.json()["detail"]
            assert answer.headers["access-control-allow-origin"] == "*"
            assert answer.headers["cache-control"] == "no-store"


async def test_what_advertising_may_count_is_told_beside_the_answer(tmp_path: Path) -> None:
    """The body has the same four keys for everyone; a suspect's lead, or a test's, is no conversion."""
    async with open_gateway(tmp_path) as gateway:
        headers = {"Origin": LISTED}
        live = await gateway.client.post(LEADS, json=ANNA, headers=headers)
        assert live.headers["leadgate-conversion"] == "1"
        assert "Leadgate-Conversion, Leadgate-Redirect" in live.headers["access-control-expose-headers"]
        assert "leadgate-redirect" not in live.headers
        test = await gateway.client.post("/api/v1/forms/prov/leads", json=ANNA)
        assert test.headers["leadgate-conversion"] == "0"
        assert test.json().keys() == live.json().keys()
        assert test.json()["status"] == live.json()["status"]


async def test_the_thanks_tell_the_page_around_the_same(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        for form, conversion in (("kontakt", "1"), ("prov", "0")):
            framed = {"Sec-Fetch-Dest": "iframe"}
            answer = await gateway.client.post(f"/f/{form}", data=ANNA, headers=framed, follow_redirects=True)
            told = dict(re.findall(r' data-([a-z]+)="([^"]*)"', answer.text))
            lead = await gateway.load(await gateway.find_newest())
            assert (told["form"], told["lead"], told["conversion"]) == (form, lead.id, conversion)
            assert told["reference"].replace("-", "") == lead.reference


async def test_a_page_by_itself_has_nothing_of_the_frames(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        for dest, scripted in (("document", False), ("iframe", True), (None, True)):
            page = await gateway.client.get("/f/kontakt", headers={"Sec-Fetch-Dest": dest} if dest else {})
            assert ("/static/frame.js" in page.text) is scripted
            assert (" data-form=" in page.text) is scripted
