"""How much a submission looks like spam, and why: a pure function over what is known of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from itertools import islice
from urllib.parse import urlsplit

from app.forms.model import FieldType, Form
from app.lead import Contact, Enquiry
from app.store.words import Suspicion

HASTE = timedelta(seconds=2)
"""Nobody reads a form, fills it in and sends it faster."""

# Together they make the score. From `challenge_at`, 0.5, work is asked for; from `quarantine_at`, 1.0, a human. What
# honest people do now and then weighs so little that no two of them are asked for work; what only a program does is
# enough alone.
WEIGHTS = {
    "honeypot": 1.0,  # what nobody sees was filled in
    "honeypot_missing": 0.6,  # a browser sends it, empty
    "too_fast": 0.25,  # an autofilled form is sent in three seconds
    "token_expired": 0.2,  # a tab left open overnight
    "token_missing": 0.2,  # sent without our page, or by a page that copied its form
    "too_many": 0.2,  # an office behind one address, on a busy day
    "link": 0.15,
    "links": 0.5,  # three or more
    "markup": 0.6,  # a link as HTML or BBCode
    "phrase": 0.35,  # what is offered in bulk; each
    "word": 0.6,  # of the form's own list; each
    "address_in_name": 0.7,
    "random_name": 0.4,
}

_MANY_LINKS = 3
_MOST_LINKS = 20  # looked at
_MOST_WORDS = 3  # told of one submission
_LINK = re.compile(r"(?:https?://|www\.)[^\s<>\"'\[\]()]{1,200}")
_MARKUP = ("<a ", "</a", "href=", "[url", "[/url", "[link")
# People paste the homes they ask about.
_WELCOME = ("hemnet.se", "booli.se", "blocket.se", "boneo.se", "boneo.com")
_PHRASES = (
    "backlinks",
    "cialis",
    "crypto investment",
    "domain authority",
    "forex trading",
    "guest post",
    "online casino",
    "payday loan",
    "seo services",
    "seo-tjänster",
    "viagra",
    "website traffic",
)
# Names such as RoBErtTiXuLa are made by programs; MacDonald-O'Brien is not.
_INNER_CAPITAL = re.compile("[a-z][A-Z]")
_MOST_INNER_CAPITALS = 3


class Token(Enum):
    """What became of the token that our page was made with."""

    FRESH = auto()
    EXPIRED = auto()
    MISSING = auto()
    """Or not made here, or for another form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSigns:
    """What a form's page tells beside its fields."""

    token: Token
    took: timedelta | None = None
    """From the page's making to its sending, where a token tells."""
    honeypot: str | None = None
    """What came in the field that nobody sees; None when it did not come at all."""


class Scorer:
    """A form's scores. What does not change from one submission to the next is prepared once."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self._words = tuple(dict.fromkeys(word.strip().casefold() for word in form.spam.words))
        self._hidden = frozenset(field.name for field in form.fields if field.type is FieldType.HIDDEN)
        own = (urlsplit(origin).hostname or "" for origin in form.allowed_origins)
        self._welcome = (*_WELCOME, *own)

    def score(
        self, enquiry: Enquiry, *, page: PageSigns | None = None, too_many: bool = False
    ) -> Suspicion | None:
        """None when nothing speaks against it. `page` is None for what no page of ours can have sent."""
        reasons = [*self._look_at_content(enquiry)]
        if page is not None:
            reasons = [*_look_at_page(page), *reasons]
        if too_many:
            reasons.append("too_many")
        if not reasons:
            return None
        total = sum(WEIGHTS[reason.partition(":")[0]] for reason in reasons)
        return Suspicion(round(total, 2), tuple(reasons))

    def _look_at_content(self, enquiry: Enquiry) -> Iterator[str]:
        names = _list_names(enquiry.contact)
        text = "\n".join((enquiry.message, *self._list_answers(enquiry), *names)).casefold()
        if "://" in text or "www." in text:
            yield from self._look_at_links(text)
        if ("<" in text or "[" in text or "=" in text) and any(mark in text for mark in _MARKUP):
            yield "markup"
        yield from [f"phrase:{one}" for one in _PHRASES if one in text and has_word(text, one)][:_MOST_WORDS]
        yield from [f"word:{one[:40]}" for one in self._words if one in text and has_word(text, one)][
            :_MOST_WORDS
        ]
        together = "\n".join(names)
        if "@" in together or "://" in together or "www." in together.lower():
            yield "address_in_name"
        if len(_INNER_CAPITAL.findall(together)) >= _MOST_INNER_CAPITALS and any(
            len(_INNER_CAPITAL.findall(name)) >= _MOST_INNER_CAPITALS for name in names
        ):
            yield "random_name"

    def _list_answers(self, enquiry: Enquiry) -> Iterator[str]:
        """What was written, not what the page filled in: the address of a listing is no advertisement."""
        return (answer.value for answer in enquiry.answers if answer.name not in self._hidden)

    def _look_at_links(self, text: str) -> Iterator[str]:
        links = islice(_LINK.finditer(text), _MOST_LINKS)
        found = {link[0] for link in links if not self._is_welcome(link[0])}
        if found:
            yield "links" if len(found) >= _MANY_LINKS else "link"

    def _is_welcome(self, link: str) -> bool:
        host = link.partition("://")[2] or link
        host = re.split("[/?#:@]", host, maxsplit=1)[0].rstrip(".,;!")
        return any(host == known or host.endswith(f".{known}") for known in self._welcome)


def _list_names(contact: Contact) -> list[str]:
    """What is a line of a few words, and no place for an address of the web."""
    lines = (
        contact.first_name,
        contact.last_name,
        contact.company_name,
        contact.street_address,
        contact.city,
    )
    return [line for line in lines if line]


def _look_at_page(page: PageSigns) -> Iterator[str]:
    if page.honeypot is not None and page.honeypot.strip():
        yield "honeypot"
    # A page that is not ours has no such field.
    if page.honeypot is None and page.token is not Token.MISSING:
        yield "honeypot_missing"
    if page.token is Token.MISSING:
        yield "token_missing"
    if page.token is Token.EXPIRED:
        yield "token_expired"
    if page.took is not None and page.took < HASTE:
        yield "too_fast"


def has_word(text: str, word: str) -> bool:
    """Whether a word or phrase stands in a text by itself. Both casefolded; linear in the text."""
    at = text.find(word)
    while at != -1:
        end = at + len(word)
        if not text[at - 1 : at].isalnum() and not text[end : end + 1].isalnum():
            return True
        at = text.find(word, at + 1)
    return False
