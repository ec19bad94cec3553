"""What makes a submission look like spam, how much each sign weighs, and what must never be one."""

from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from time import process_time
from typing import Any

import pytest

from app.forms.model import Spam
from app.intake.spam import HASTE, WEIGHTS, PageSigns, Scorer, Token, has_word
from app.store.words import Suspicion
from tests.submissions import ANNA, check, form

OWN_PAGE = PageSigns(token=Token.FRESH, took=timedelta(seconds=40), honeypot="")
LONG = "Vi funderar på att sälja vår lägenhet på Storgatan 12 (3 rok, 75 m²) till våren & undrar vad den är värd. "


def score(
    raw: dict[str, Any] | None = None,
    *,
    page: PageSigns | None = None,
    too_many: bool = False,
    words: tuple[str, ...] = (),
) -> Suspicion | None:
    own = form()
    scorer = Scorer(replace(own, spam=Spam(words=words), allowed_origins=("https://www.byran.se",)))
    return scorer.score(check(ANNA | (raw or {})), page=page, too_many=too_many)


def reasons(raw: dict[str, Any] | None = None, **given: Any) -> list[str]:
    found = score(raw, **given)
    return list(found.reasons) if found else []


@pytest.mark.parametrize(
    "honest",
    [
        {},
        {"message": LONG * 5},
        {"message": "Ring mig på 070-174 06 05 eller anna@example.se efter kl. 17.30!"},
        {"message": "Vi såg https://www.hemnet.se/bostad/lagenhet-3rum-1234 och hemnet.se/x. Är den kvar?"},
        {"message": "Hej! <3 Vi vill ha hus > 100 kvm, pris = förhandlingsbart [bilaga kommer]"},
        {"message": "مرحبا، أريد بيع شقتي. Привіт! Хочу продати квартиру."},
        {"message": "Vi bor nära casinot i Sundbyberg och får sextio besök i veckan."},
        {"message": "Se www.byran.se/objekt/12 för bilder."},
        {"firstName": "Åsa-Märta", "lastName": "von MacDonald-O'Brien DeVries"},
        {"firstName": "ANNA", "lastName": "SVENSSON"},
        {"firstName": "Nguyễn", "lastName": "Thị"},
        {"object": "https://www.maklare.example/objekt/1"},
        {"companyName": "Bygg & Son AB (publ.)"},
    ],
)
def test_what_honest_people_write_has_no_score(honest: dict[str, Any]) -> None:
    assert score(honest, words=("casino", "backlinks")) is None
    assert score(honest, page=OWN_PAGE) is None


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ({"message": "Look at https://spam.example/offer now"}, ["link"]),
        ({"message": "Look at www.spam.example. And www.spam.example."}, ["link"]),
        ({"message": "http://a.example http://b.example http://c.example"}, ["links"]),
        ({"message": "https://www.hemnet.se.evil.example/x"}, ["link"]),
        ({"message": "https://evil.example/?www.hemnet.se"}, ["link"]),
        ({"message": "https://evil.example@www.byran.se"}, ["link"]),
        ({"message": "<a href='https://x.example'>cheap</a>"}, ["link", "markup"]),
        ({"message": "[URL=https://x.example]cheap[/URL]"}, ["link", "markup"]),
        ({"message": "We sell quality Backlinks."}, ["phrase:backlinks"]),
        ({"wishes": "Best CASINO in town"}, ["word:casino"]),
        ({"message": "casino, poker room"}, ["word:casino", "word:poker room"]),
        ({"firstName": "anna@example.com"}, ["address_in_name"]),
        ({"lastName": "Click www.spam.example"}, ["link", "address_in_name"]),
        ({"companyName": "https://spam.example"}, ["link", "address_in_name"]),
        ({"firstName": "RoBErtTiXuLaMo"}, ["random_name"]),
    ],
)
def test_what_is_written_tells(raw: dict[str, Any], found: list[str]) -> None:
    assert reasons(raw, words=("Casino ", "poker room", "casino")) == found


@pytest.mark.parametrize(
    ("signs", "found"),
    [
        ({}, []),
        ({"honeypot": " "}, []),
        ({"honeypot": "x"}, ["honeypot"]),
        ({"honeypot": None}, ["honeypot_missing"]),
        ({"took": HASTE}, []),
        ({"took": HASTE - timedelta(microseconds=1)}, ["too_fast"]),
        ({"took": timedelta(seconds=-1)}, ["too_fast"]),
        ({"token": Token.EXPIRED, "took": timedelta(hours=25)}, ["token_expired"]),
        ({"token": Token.MISSING, "took": None}, ["token_missing"]),
        ({"token": Token.MISSING, "took": None, "honeypot": None}, ["token_missing"]),
        ({"token": Token.MISSING, "took": None, "honeypot": "x"}, ["honeypot", "token_missing"]),
    ],
)
def test_how_the_page_came_back_tells(signs: dict[str, Any], found: list[str]) -> None:
    assert reasons(page=replace(OWN_PAGE, **signs)) == found


def test_the_score_is_the_sum_of_its_reasons() -> None:
    found = score(
        {"message": "http://a.example"}, page=replace(OWN_PAGE, took=timedelta(seconds=1)), too_many=True
    )
    assert found == Suspicion(0.6, ("too_fast", "link", "too_many"))
    assert str(found) == "spam score 0.6: too_fast, link, too_many"


def test_no_two_things_that_honest_people_do_are_asked_for_work_and_what_only_programs_do_is_alone() -> None:
    honest = ("too_fast", "token_expired", "token_missing", "too_many", "link")
    assert all(WEIGHTS[one] + WEIGHTS[other] < Spam().challenge_at for one, other in combinations(honest, 2))
    alone = ("honeypot_missing", "markup", "word", "address_in_name", "links")
    assert all(Spam().challenge_at <= WEIGHTS[one] < Spam().quarantine_at for one in alone)
    assert WEIGHTS["honeypot"] >= Spam().quarantine_at


def test_one_submission_is_told_a_few_words_at_most() -> None:
    words = tuple(f"ord{number}" for number in range(50))
    found = reasons({"message": " ".join(words)}, words=words)
    assert found == ["word:ord0", "word:ord1", "word:ord2"]


@pytest.mark.parametrize(
    ("text", "word", "found"),
    [
        ("casino", "casino", True),
        ("(casino!)", "casino", True),
        ("casinot", "casino", False),
        ("onlinecasino", "casino", False),
        ("casinot casino", "casino", True),
        ("", "casino", False),
        ("å casinö", "casin", False),
    ],
)
def test_a_word_stands_by_itself(text: str, word: str, *, found: bool) -> None:
    assert has_word(text, word) is found


@pytest.mark.parametrize(
    "unit",
    ["http://", "www.", "<a ", "http://a.b ", "a@", "://", "online casin", "[url", "aA", "= ", "http://a/%"],
)
def test_nothing_written_takes_long_to_look_at(unit: str) -> None:
    enquiry = check(ANNA | {"message": (unit * 5000)[:5000], "wishes": (unit * 200)[:200]})
    scorer = Scorer(replace(form(), spam=Spam(words=("aaaa", "casino"))))
    scorer.score(enquiry)
    before = process_time()
    for _ in range(10):
        scorer.score(enquiry)
    # Quadratic would be a hundred times this.
    assert process_time() - before < 10 * 0.05
