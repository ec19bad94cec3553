"""docs/embedding.md keeps its word: each snippet in it is a file, and each file works in a real browser."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Route, expect

from tests.stages import (
    Stage,
    await_heard,
    await_input,
    await_told,
    framed,
    send,
)

DOCS = Path(__file__).parent.parent / "docs"
GUIDE = (DOCS / "embedding.md").read_text(encoding="utf-8")
SNIPPETS = sorted(path for path in (DOCS / "embedding").rglob("*") if path.is_file())
EXAMPLE = "https://forms.example.se"

# As much of React and of Next.js as the component asks for, making elements at once.
REACT = """
export const Fragment = "fragment";
export function createElement(tag, props, ...children) {
  if (typeof tag === "function") return tag(props);
  const made = tag === Fragment ? document.createDocumentFragment() : document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (name === "dangerouslySetInnerHTML") made.innerHTML = value.__html;
    else if (name.startsWith("data-") && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}
"""
NEXT_SCRIPT = """
export default ({ src }) => Object.assign(document.createElement("script"), { src });
"""


def read(name: str, stage: Stage) -> str:
    return (DOCS / "embedding" / name).read_text(encoding="utf-8").replace(EXAMPLE, stage.base)


def test_the_guide_shows_every_snippet_and_nothing_else() -> None:
    shown = re.findall(r"^```(?:html|js|php)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert sorted(shown) == sorted(path.read_text(encoding="utf-8") for path in SNIPPETS)


def test_the_guides_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", GUIDE):
        assert "://" in target or (DOCS / target).exists(), target


def test_the_guide_names_every_attribute_event_and_callback() -> None:
    static = DOCS.parent / "static"
    script = (static / "embed" / "v1.js").read_text(encoding="utf-8")
    names = set(re.findall(r"\bset\.leadgate([A-Z]\w+)", script)) | {"Gtag", "Remember"}
    attributes = {"data-leadgate-" + re.sub("(?<!^)([A-Z])", r"-\1", name).lower() for name in names}
    types = (static / "embed.d.ts").read_text(encoding="utf-8")
    told = set(re.findall(r'"(leadgate:[\w-]+)"', types)) | set(re.findall(r"\b(on\w*Form\w+)\?", types))
    assert len(attributes) > 8
    assert len(told) > 8
    assert not [name for name in attributes | told if f"`{name}" not in GUIDE]


def test_the_types_know_where_events_are_heard_and_who_is_there_before_the_script() -> None:
    types = (DOCS.parent / "static" / "embed.d.ts").read_text(encoding="utf-8")
    for heard_by in ("HTMLElement", "Document", "Window"):
        assert f"interface {heard_by}EventMap extends LeadgateEvents {{}}" in types
    # The guide's consent stub is a `leadgate` of its own.
    assert "mount?(): void;" in types
    assert "given?: LeadgateConsent;" in types


def test_plain_html(stage: Stage) -> None:
    page = stage.open(read("plain.html", stage))
    await_heard(page)
    form = page.frame_locator("iframe")
    reference = send(form, "Klistrat in")
    assert await_told(page, "submit")["reference"] == reference


def test_a_listing(stage: Stage) -> None:
    page = stage.open(read("listing.html", stage))
    await_heard(page, "objekt")
    form = page.frame_locator("iframe")
    await_input(form, "objectReference", "TV-1042")
    await_input(form, "objectAddress", "Bryggargränd 4")
    await_input(form, "receiver", "anna")


def test_google_tag_manager(stage: Stage) -> None:
    page = stage.open('<div id="kontakt">Ring oss</div>')
    # As the container does it: what is in the tag is put into the page, and its scripts are made anew.
    page.evaluate(
        """html => {
          const box = document.createElement("div");
          box.innerHTML = html;
          for (const old of box.querySelectorAll("script")) {
            const fresh = document.createElement("script");
            fresh.text = old.text;
            old.replaceWith(fresh);
          }
          document.body.append(box);
        }""",
        read("tag-manager.html", stage),
    )
    await_heard(page)
    send(framed(page), "Ur behållaren")
    lead_id = await_told(page, "submit")["id"]
    assert [said["submission_id"] for said in page.evaluate("dataLayer")] == [lead_id]


def test_gtag_alone(stage: Stage) -> None:
    page = stage.open(
        "<script>tags = []; gtag = (...said) => tags.push(said)</script>" + read("gtag.html", stage)
    )
    await_heard(page, "vardering")
    accept = """root => document.dispatchEvent(new CustomEvent("leadgate:accepted", {cancelable: true,
      detail: {id: "1", reference: "R", redirect: null, conversion: true}}))"""
    page.frame_locator("iframe").locator("html").evaluate(accept)
    await_told(page, "submit")
    assert page.evaluate("tags") == [
        [
            "event",
            "generate_lead",
            {
                "form_id": "vardering",
                "submission_id": "1",
                "lead_source": "website",
                "value": 1500,
                "currency": "SEK",
            },
        ]
    ]


def test_a_consent_banner(stage: Stage) -> None:
    page = stage.open(read("consent.html", stage), "?utm_source=google")
    await_heard(page)
    form = page.frame_locator("iframe")
    assert page.evaluate("sessionStorage.length") == 0
    page.evaluate("Cookiebot = {consent: {statistics: true}}; dispatchEvent(new Event('CookiebotOnAccept'))")
    await_input(form, "first_utm_source", "google")
    page.evaluate("Cookiebot.consent.statistics = false; dispatchEvent(new Event('CookiebotOnDecline'))")
    expect(form.locator("[name^=first_]")).to_have_count(0)
    assert page.evaluate("sessionStorage.length") == 0


def test_a_kiosk(stage: Stage) -> None:
    page = stage.open(read("kiosk.html", stage))
    await_heard(page)
    form = page.frame_locator("iframe").locator("form")
    expect(form).to_have_attribute("data-keep", "no")
    expect(form).to_have_attribute("autocomplete", "off")


def test_a_landing_pages_own_form(stage: Stage) -> None:
    page = stage.open(read("own-form.html", stage))
    await_told(page, "ready")
    expect(page.locator("[data-leadgate-notice]")).to_contain_text("Byrån")
    page.get_by_label("Förnamn").fill("Anna")
    page.get_by_label("Efternamn").fill("Bergström")
    page.get_by_label("E-post").fill("anna@example.com")
    page.get_by_label("Meddelande").fill("Guidens formulär")
    page.get_by_role("button").click()
    expect(page.locator(".leadgate-thanks")).to_contain_text(await_told(page, "submit")["reference"])
    assert stage.newest().message == "Guidens formulär"


def test_json_from_a_landing_page(stage: Stage) -> None:
    page = stage.open(read("json.html", stage), "?utm_source=google")
    page.get_by_label("Namn").fill("Anna Bergström")
    page.get_by_label("Telefon").fill("12")
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_contain_text("Kontrollera telefonnumret")
    page.get_by_label("Telefon").fill("070-174 06 05")
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_have_text(re.compile(r"Tack! Din referens: [0-9A-Z-]{12}"))
    lead = stage.newest()
    assert lead.contact.full_name == "Anna Bergström"
    stage.context.set_offline(True)
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_contain_text("inget svar")
    expect(page.get_by_label("Telefon")).to_have_value("070-174 06 05")
    assert lead.page_url == f"{stage.host.origin}/?utm_source=google"


def test_json_whose_answer_was_lost_may_be_corrected_and_sent_again(stage: Stage) -> None:
    page = stage.open(read("json.html", stage))

    def lose(route: Route) -> None:
        if route.request.method == "POST":
            route.fetch()
            route.abort()
        else:
            route.fallback()

    page.route("**/leads", lose)
    page.get_by_label("Namn").fill("Anna Bergström")
    page.get_by_label("Telefon").fill("070-174 06 05")
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_contain_text("inget svar")
    page.unroute("**/leads", lose)
    page.get_by_label("Telefon").fill("070-174 06 15")
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_contain_text("Tack!")


def test_next_js(stage: Stage) -> None:
    names = {"react": REACT, "next/script": NEXT_SCRIPT, "LeadgateForm": read("LeadgateForm.js", stage)}
    imports = {name: "data:text/javascript," + quote(source) for name, source in names.items()}
    app = """<div id="app"></div><script type="module">
      import { LeadgateForm } from "LeadgateForm";
      app.append(LeadgateForm({form: "objekt", fields: {objectReference: "TV-7"}, fallback: "<b>Ring oss</b>"}));
    </script>"""
    page = stage.open(f'<script type="importmap">{json.dumps({"imports": imports})}</script>{app}')
    await_heard(page, "objekt")
    await_input(page.frame_locator("iframe"), "objectReference", "TV-7")
    expect(page.get_by_text("Ring oss")).to_be_hidden()


def render_shortcodes(stage: Stage, *shortcodes: tuple[dict[str | int, str] | str, str]) -> str:
    if shutil.which("php") is None:
        pytest.skip("no php is installed: the WordPress shortcode is not tested")
    done = subprocess.run(
        [
            "php",
            str(Path(__file__).with_name("wordpress.php")),
            stage.base,
            str(DOCS / "embedding" / "wordpress" / "leadgate.php"),
            json.dumps(shortcodes),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert not done.stderr
    return done.stdout


def test_wordpress(stage: Stage) -> None:
    # What has no value WordPress hands over by a number.
    attributes: dict[str | int, str] = {
        "form": "objekt",
        "field_objectreference": "TV-1042",
        "receiver": "anna",
        "lead_source": "blogg",
        0: "gtag",
        1: "ONCLICK",
        "onclick": "alert(1)",
    }
    page = stage.open(render_shortcodes(stage, (attributes, "Ring <b>oss</b><script>1</script>")))
    await_heard(page, "objekt")
    await_input(page.frame_locator("iframe"), "objectReference", "TV-1042")
    await_input(page.frame_locator("iframe"), "receiver", "anna")
    place = page.locator("[data-leadgate-form]")
    expect(place).to_have_attribute("data-leadgate-lang", "sv")
    expect(place).to_have_attribute("data-leadgate-lead-source", "blogg")
    expect(place).to_have_attribute("data-leadgate-gtag", "")
    assert place.get_attribute("onclick") is None
    assert place.locator("script").count() == 0


def test_wordpress_lets_nothing_out_of_its_attributes(stage: Stage) -> None:
    evil = '"><script>document.title = "evil"</script>'
    html = render_shortcodes(
        stage, ({"form": "kontakt", "receiver": evil}, ""), ({"form": evil}, ""), ("", "")
    )
    assert "<script>" not in html
    assert html.count("data-leadgate-form=") == 2
    assert f'<a href="{stage.base}/f/kontakt">Contact us</a>' in html
