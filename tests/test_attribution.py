"""Where a visitor came from: a table of cases."""

import time
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.forms.campaign import CLICK_IDS, UTM_PARAMETERS
from app.intake.attribution import Sources, allowed_parameters, attribute

ALLOWED = allowed_parameters(["hsa_cam"])
OWN = frozenset({"forms.example.se", "www.maklare.se"})
PAGE = "https://www.maklare.se/kontakt"


def tags(sources: Sources) -> dict[str, str]:
    found = attribute(sources, parameters=ALLOWED, own_hosts=OWN).marketing.utm_tags
    assert len({tag.name for tag in found}) == len(found)
    return {tag.name: tag.value for tag in found}


def body(**values: str) -> dict[str, Any]:
    return {"utmTags": [{"name": name, "value": value} for name, value in values.items()]}


# The same parameter in every place, the most trusted first.
PLACES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("marketing", {"marketing": body(utm_source="marketing")}),
    ("fields", {"fields": {"utm_source": "fields"}}),
    ("query", {"query": [("utm_source", "query")]}),
    ("page", {"page_url": f"{PAGE}?utm_source=page"}),
    ("referrer", {"marketing": {"referrer": f"{PAGE}?utm_source=referrer"}}),
    ("referer", {"referer": f"{PAGE}?utm_source=referer"}),
)


@pytest.mark.parametrize(("name", "place"), PLACES)
def test_each_place_is_read_by_itself(name: str, place: Mapping[str, Any]) -> None:
    assert tags(Sources(**place)) == {"utm_source": name}


@pytest.mark.parametrize("first", range(len(PLACES)))
@pytest.mark.parametrize("second", range(len(PLACES)))
def test_the_more_trusted_place_goes_before(first: int, second: int) -> None:
    (_, lower), (name, upper) = sorted((PLACES[first], PLACES[second]), key=PLACES.index, reverse=True)
    merged = {**lower, **upper}
    if "marketing" in lower and "marketing" in upper:
        merged["marketing"] = {**lower["marketing"], **upper["marketing"]}

    assert tags(Sources(**merged)) == {"utm_source": name}


CASES: Mapping[str, tuple[Mapping[str, Any], Mapping[str, str]]] = {
    "what a place lacks, a less trusted one gives": (
        {"marketing": body(utm_source="a"), "query": [("utm_medium", "b")], "page_url": f"{PAGE}?gclid=c"},
        {"utm_source": "a", "utm_medium": "b", "gclid": "c"},
    ),
    "an empty value is none": (
        {"marketing": body(utm_source=" "), "fields": {"utm_source": ""}, "query": [("utm_source", "q")]},
        {"utm_source": "q"},
    ),
    "nor is one of control characters alone": (
        {"fields": {"utm_source": "\x00\u200b"}, "query": [("utm_source", "q")]},
        {"utm_source": "q"},
    ),
    "of a repeated parameter the last that is not empty": (
        {"query": [("utm_source", "a"), ("utm_source", "b"), ("utm_source", "")]},
        {"utm_source": "b"},
    ),
    "in the body too": (
        {"marketing": {"utmTags": [{"name": "gclid", "value": "a"}, {"name": "GCLID", "value": "b"}]}},
        {"gclid": "b"},
    ),
    "names compare lower-case": (
        {"query": [("UTM_Source", "Google")], "fields": {"GCLID": "AbC"}},
        {"utm_source": "Google", "gclid": "AbC"},
    ),
    "what is not on the list is left": (
        {
            "marketing": body(token="secret", utm_source="a"),
            "query": [("token", "secret"), ("email", "anna@example.se"), ("utm_secret", "x"), ("leadgate", "x")],
        },
        {"utm_source": "a"},
    ),
    "a form's own parameter is taken": ({"query": [("hsa_cam", "1")]}, {"hsa_cam": "1"}),
    "and its first touch": (
        {"fields": {"first_hsa_cam": "1", "first_utm_source": "a", "first_gclid": "b"}},
        {"first_hsa_cam": "1", "first_utm_source": "a", "first_gclid": "b"},
    ),
    "a value is kept as given": (
        {"query": [("utm_campaign", "Höst & Vår {campaign} anna@example.se %20+")]},
        {"utm_campaign": "Höst & Vår {campaign} anna@example.se %20+"},
    ),
    "but for what nobody sees": (
        {"query": [("utm_campaign", " a\x00b\r\nc\ud800 ")]},
        {"utm_campaign": "ab c"},
    ),
    "a query is decoded": (
        {"page_url": f"{PAGE}?utm_campaign=h%C3%B6st+2026&utm_term=a%20b&utm_source=%FF"},
        {"utm_campaign": "höst 2026", "utm_term": "a b", "utm_source": "\ufffd"},
    ),
    "up to 256 characters of a value": (
        {"query": [("utm_term", "å" * 256), ("utm_content", "å" * 257)]},
        {"utm_term": "å" * 256, "utm_content": "å" * 256},
    ),
    "a fragment's parameters are no query": ({"page_url": f"{PAGE}#utm_source=a"}, {}),
    "the external page is a tag": (
        {"fields": {"landing_referrer": "https://www.hemnet.se/bostad/1"}},
        {"landing_referrer": "https://www.hemnet.se/bostad/1"},
    ),
    "without the rest of its query": (
        {"fields": {"landing_referrer": "https://x.se/?token=1&utm_source=nyhetsbrev#top"}},
        {"landing_referrer": "https://x.se/?utm_source=nyhetsbrev"},
    ),
    "an own host is no referrer": (
        {"fields": {"landing_referrer": "https://forms.example.se/f/kontakt", "utm_source": "a"}},
        {"utm_source": "a"},
    ),
    "with or without www, in any case, on any port": (
        {"fields": {"landing_referrer": "https://MAKLARE.se:8443/", "first_landing_referrer": "http://www.maklare.se./"}},
        {},
    ),
    "nor is the host of the page": (
        {"page_url": "https://kampanj.se/a", "fields": {"landing_referrer": "https://kampanj.se/b"}},
        {},
    ),
    "nor that of the page in marketing": (
        {"marketing": {"referrer": "https://kampanj.se/a"}, "fields": {"landing_referrer": "https://kampanj.se/b"}},
        {},
    ),
    "nor a host by its other name": (
        {"page_url": "https://xn--mklare-bua.se/", "fields": {"landing_referrer": "https://mäklare.se/"}},
        {},
    ),
    "a less trusted place may know a better one": (
        {"fields": {"landing_referrer": "https://maklare.se/"}, "query": [("landing_referrer", "https://x.se/")]},
        {"landing_referrer": "https://x.se/"},
    ),
    "a referrer that is no http address is none": (
        {"fields": {"landing_referrer": "android-app://com.google.android.gm/", "utm_source": "a"}},
        {"utm_source": "a"},
    ),
    "a first touch's referrer is cleaned as well": (
        {"fields": {"first_landing_referrer": "https://anna:hemligt@x.se/anna@example.se?token=1"}},
        {"first_landing_referrer": "https://x.se/***"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_tags(case: str) -> None:
    sources, expected = CASES[case]

    assert tags(Sources(**sources)) == expected


@pytest.mark.parametrize("name", [*UTM_PARAMETERS, *CLICK_IDS])
def test_every_usual_parameter_is_captured_without_set_up(name: str) -> None:
    assert tags(Sources(query=[(name, "x"), (f"first_{name}", "y")])) == {name: "x", f"first_{name}": "y"}


@pytest.mark.parametrize(
    "host",
    ["accounts.google.com", "accounts.google.co.uk", "login.microsoftonline.com", "appleid.apple.com",
     "app.bankid.com", "bankid.com", "checkout.stripe.com", "www.paypal.com", "pay.klarna.com", "swish.nu",
     "firma.okta.com", "id.signicat.com", "CHECKOUT.STRIPE.COM", "www.frejaeid.com"],
)  # fmt: skip
def test_a_page_that_is_only_passed_through_is_no_referrer(host: str) -> None:
    assert tags(Sources(fields={"landing_referrer": f"https://{host}/x"})) == {}


@pytest.mark.parametrize(
    "host", ["www.google.com", "stripe.maklare.se", "notpaypal.com", "klarnabostad.se", "nets"]
)
def test_other_pages_are(host: str) -> None:
    assert tags(Sources(fields={"landing_referrer": f"https://{host}/"})) == {
        "landing_referrer": f"https://{host}/"
    }


def test_tags_go_in_one_order_wherever_they_came_from() -> None:
    sent = Sources(marketing=body(gclid="1"), query=[("utm_medium", "2")], page_url=f"{PAGE}?utm_source=3")

    assert list(tags(sent)) == ["utm_source", "utm_medium", "gclid"]


def test_a_form_that_lists_a_usual_parameter_gets_it_once() -> None:
    names = allowed_parameters(["utm_source", "gclid", "partner"])

    assert len(set(names)) == len(names)
    found = attribute(Sources(query=[("utm_source", "a")]), parameters=("utm_source", "utm_source"))
    assert [tag.name for tag in found.marketing.utm_tags] == ["utm_source"]


ADDRESSES: Mapping[str, tuple[Any, str | None]] = {
    "as it is": ("https://www.maklare.se/till-salu/1", "https://www.maklare.se/till-salu/1"),
    "blanks around it": ("  https://a.se/ \n", "https://a.se/"),
    "no path": ("https://a.se", "https://a.se"),
    "case of scheme and host": ("HTTPS://WWW.A.SE/Till-Salu", "https://www.a.se/Till-Salu"),
    "a port": ("http://localhost:8000/", "http://localhost:8000/"),
    "allow-listed parameters alone": (
        "https://a.se/?token=1&utm_source=x&gclid=y&session=2",
        "https://a.se/?utm_source=x&gclid=y",
    ),
    "by any case of their names": ("https://a.se/?UTM_Source=x", "https://a.se/?UTM_Source=x"),
    "no referrer within": (
        "https://a.se/?landing_referrer=https%3A%2F%2Fx.se%2F%3Ftoken%3D1",
        "https://a.se/",
    ),
    "no fragment": ("https://a.se/b#token=1", "https://a.se/b"),
    "no login": ("https://anna:hemligt@a.se/", "https://a.se/"),
    "nor half of one": ("https://anna@a.se:8443/", "https://a.se:8443/"),
    "an e-mail address in the path": ("https://a.se/u/anna@example.se/x", "https://a.se/u/***/x"),
    "encoded": ("https://a.se/u/anna%40example.se/x", "https://a.se/u/***/x"),
    "encoded twice": ("https://a.se/u/anna%2540example.se", "https://a.se/u/***"),
    "in a parameter": (
        "https://a.se/?utm_source=anna%40example.se&gclid=x",
        "https://a.se/?utm_source=***&gclid=x",
    ),
    "in a parameter, bare": ("https://a.se/?utm_source=anna@example.se", "https://a.se/?utm_source=***"),
    "a name of other letters": ("https://a.se/köp hus", "https://a.se/k%C3%B6p%20hus"),
    "a host of other letters": ("https://mäklare.se/", "https://xn--mklare-bua.se/"),
    "an IPv6 host": ("http://[::1]:8000/a", "http://[::1]:8000/a"),
    "control characters": ("https://a.se/\x00b\ud800\x7f", "https://a.se/b"),
    "2,048 characters": ("https://a.se/" + "b" * 2035, "https://a.se/" + "b" * 2035),
    "more of them": ("https://a.se/" + "b" * 3000, "https://a.se/" + "b" * 2035),
    "the query goes first": ("https://a.se/b?utm_source=" + "c" * 2048, "https://a.se/b"),
    "no half character": ("https://a.se/" + "b" * 2033 + "å", "https://a.se/" + "b" * 2033),
    "a relative one": ("/kontakt", None),
    "no scheme": ("www.a.se", None),
    "javascript": ("javascript:alert(1)", None),
    "a file": ("file:///etc/passwd", None),
    "no host": ("https:///a", None),
    "a host with a blank": ("https://a b.se/", None),
    "a host with markup": ("https://<script>/", None),
    "a host with an empty label": ("https://a..se/", None),
    "a host of other letters with one": ("https://å..se/", None),
    "a label too long": ("https://" + "a" * 64 + ".se/", None),
    "a host too long": ("https://" + "a." * 130 + "se/", None),
    "half a bracket": ("https://[::1/", None),
    "a port that is none": ("https://a.se:x/", None),
    "a port too high": ("https://a.se:65536/", None),
    "a number": (5, None),
    "a list": (["https://a.se/"], None),
    "a table": ({"href": "https://a.se/"}, None),
    "a truth": (True, None),
}


@pytest.mark.parametrize("case", ADDRESSES)
def test_a_page_address_is_cleaned_or_dropped_with_a_note(case: str) -> None:
    given_, expected = ADDRESSES[case]
    found = attribute(Sources(page_url=given_), parameters=ALLOWED)

    assert found.page_url == expected
    assert found.marketing.referrer == expected
    assert [note.code for note in found.notes] == ([] if expected else ["page_url_dropped"])


@pytest.mark.parametrize("case", ADDRESSES)
def test_so_is_the_referrer_of_the_body(case: str) -> None:
    given_, expected = ADDRESSES[case]
    found = attribute(Sources(marketing={"referrer": given_}), parameters=ALLOWED)

    assert found.page_url is None
    assert found.marketing.referrer == expected
    assert [note.code for note in found.notes] == ([] if expected else ["referrer_dropped"])


def test_the_page_is_the_body_s_referrer_then_page_url_then_the_header() -> None:
    def shown_on(sources: Sources) -> str | None:
        return attribute(sources, parameters=ALLOWED).marketing.referrer

    header = "https://c.se/?token=1"
    assert shown_on(Sources(referer=header)) == "https://c.se/"
    assert shown_on(Sources(referer=header, page_url="https://b.se/")) == "https://b.se/"
    assert (
        shown_on(Sources(referer=header, page_url="https://b.se/", marketing={"referrer": "https://a.se/"}))
        == "https://a.se/"
    )
    assert shown_on(Sources(referer="about:blank")) is None
    assert shown_on(Sources()) is None


@pytest.mark.parametrize(
    ("marketing", "notes"),
    [
        (None, []),
        ({}, []),
        ({"referrer": None, "utmTags": None}, []),
        ({"referrer": " ", "utmTags": []}, []),
        ("utm_source=a", ["marketing_dropped"]),
        ([], ["marketing_dropped"]),
        (5, ["marketing_dropped"]),
        (False, ["marketing_dropped"]),
        ({"utmTags": "utm_source=a"}, ["utm_tags_dropped"]),
        ({"utmTags": {"name": "utm_source", "value": "a"}}, ["utm_tags_dropped"]),
        ({"utmTags": [None, 5, "a", [], {}]}, ["utm_tags_dropped"]),
        ({"utmTags": [{"name": "utm_source"}, {"value": "a"}]}, ["utm_tags_dropped"]),
        ({"utmTags": [{"name": "utm_source", "value": 5}]}, ["utm_tags_dropped"]),
        ({"utmTags": [{"name": 5, "value": "a"}]}, ["utm_tags_dropped"]),
        ({"utmTags": [{"name": "token", "value": "a"}]}, ["utm_tags_dropped"]),
        ({"utm_source": "a", "gclid": "b"}, ["marketing_keys_dropped"]),
    ],
)
def test_marketing_of_a_wrong_shape_is_dropped_and_noted(marketing: Any, notes: list[str]) -> None:
    found = attribute(Sources(marketing=marketing), parameters=ALLOWED)

    assert found.marketing.utm_tags == ()
    assert [note.code for note in found.notes] == notes


def test_a_tag_beside_an_unusable_one_stays() -> None:
    rows = [{"name": " utm_source ", "value": "a", "extra": 1}, {"name": "utm_medium", "value": None}]
    found = attribute(Sources(marketing={"utmTags": rows}), parameters=ALLOWED)

    assert [(tag.name, tag.value) for tag in found.marketing.utm_tags] == [("utm_source", "a")]
    assert [note.detail for note in found.notes] == ["1 of 2 not usable"]


def test_a_parameter_that_is_no_text_is_dropped_and_noted() -> None:
    found = attribute(Sources(fields={"utm_source": 5, "gclid": None, "utm_term": "a"}), parameters=ALLOWED)

    assert [tag.name for tag in found.marketing.utm_tags] == ["utm_term"]
    assert [note.code for note in found.notes] == ["parameters_dropped"]


def test_no_note_repeats_what_was_sent() -> None:
    secret = "anna@example.se"
    found = attribute(
        Sources(
            marketing={"referrer": secret, "utmTags": [{"name": secret, "value": secret}], secret: 1},
            page_url=secret,
            fields={"utm_source": [secret]},
        ),
        parameters=ALLOWED,
    )

    assert len(found.notes) == 5
    assert all(secret not in note.code + note.detail for note in found.notes)


HOSTILE = ["a", "a@", "@", "%40", "%25", ",", "&", "a=1&", "utm_source=a&", "utm_source=a@b&", ".", "/", "#", "?",
           "\u0301\u0323", "å", "\x00", "1", " ", "["]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize(
    "start", ["https://", "https://a.se/", "https://a.se/?", "https://a.se/?utm_source="]
)
def test_the_worst_of_64_kib_takes_no_time(unit: str, start: str) -> None:
    hostile = start + unit * (65536 // len(unit))
    started = time.perf_counter()

    attribute(
        Sources(
            marketing={"referrer": hostile, "utmTags": [{"name": "utm_source", "value": hostile}]},
            fields={"landing_referrer": hostile},
            page_url=hostile,
            referer=hostile,
        ),
        parameters=ALLOWED,
    )

    assert time.perf_counter() - started < 1


def test_nothing_long_is_remembered() -> None:
    """What anybody may send at 64 KiB apiece is no reason to keep it."""
    tracemalloc.start()
    for number in range(20):
        hostile = f"https://a.se/{number}?" + "a=1&" * 15_000
        attribute(
            Sources(
                marketing={
                    "referrer": hostile,
                    "utmTags": [{"name": "utm_source", "value": hostile + "1"}],
                },
                page_url=hostile,
            ),
            parameters=ALLOWED,
        )
        if number == 1:
            before, _ = tracemalloc.get_traced_memory()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 500_000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
texts = st.text(st.characters(exclude_categories=()))
addresses = st.builds(
    lambda start, rest: start + rest, st.sampled_from(["", "https://", "http://a.se/", "//"]), texts
)
rows = st.fixed_dictionaries({"name": st.sampled_from(ALLOWED) | texts, "value": addresses | json_values})
marketings = json_values | st.fixed_dictionaries(
    {"referrer": addresses | json_values, "utmTags": st.lists(rows)}
)


@given(
    marketing=marketings,
    fields=st.dictionaries(st.sampled_from(ALLOWED), addresses | json_values),
    query=st.lists(st.tuples(st.sampled_from(ALLOWED) | texts, addresses)),
    page_url=addresses | json_values,
    referer=st.none() | addresses,
)
def test_whatever_comes_the_result_is_clean(
    marketing: Any, fields: dict[str, Any], query: list[tuple[str, str]], page_url: Any, referer: str | None
) -> None:
    sources = Sources(marketing=marketing, fields=fields, query=query, page_url=page_url, referer=referer)
    found = attribute(sources, parameters=ALLOWED, own_hosts=OWN)

    names = [tag.name for tag in found.marketing.utm_tags]
    assert names == [name for name in ALLOWED if name in names]
    for tag in found.marketing.utm_tags:
        tag.value.encode()
        limit = 2048 if tag.name.endswith("landing_referrer") else 256
        assert 0 < len(tag.value) <= limit
        assert tag.value == tag.value.strip()
    for address in filter(None, (found.page_url, found.marketing.referrer)):
        assert address.isascii()
        assert len(address) <= 2048
        assert "#" not in address
        assert attribute(Sources(page_url=address), parameters=ALLOWED).page_url == address
