"""From values to the pages' bytes. The templates decide nothing that is decided here."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from secrets import token_hex
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.errors import FieldError
from app.forms.campaign import last_touch_parameters
from app.forms.model import HONEYPOT, FieldType, Form, Mode, Theme
from app.i18n import describe_problem, get_translations, name_language
from app.resources import STATIC, TEMPLATES
from app.web.compression import Stencil
from app.web.controls import Entry, arrange, arrange_consents
from app.web.script import write_words
from app.web.theme import has_theme, render_theme

_NOTHING: Mapping[str, str] = {}
_TOKEN = token_hex(16)
"""Stands where a page's token will: nothing that an agency writes."""
_LONGEST_HEADING = 60  # characters
_LONGEST_LINK = 2000  # characters: a server refuses an address that is too long


class Renderer:
    """The visitor's pages, each in a language of its form."""

    def __init__(self) -> None:
        self._environments: dict[str, Environment] = {}
        self._blank: dict[tuple[str, str, str, bool | None], tuple[Form, Stencil]] = {}

    def find_blank_form(
        self, form: Form, *, language: str, action: str, length: int, framed: bool | None = False
    ) -> Stencil:
        """The page as everybody first gets it, but for a token of that length. Made once while the form is in force."""
        key = (form.name, language, action, framed)
        known = self._blank.get(key)
        if known is None or known[0] is not form or known[1].length != length:
            page = self.render_form(
                form, language=language, action=action, token=_TOKEN, values=_NOTHING, framed=framed
            )
            known = self._blank[key] = form, Stencil(page.split(_TOKEN.encode()), length)
        return known[1]

    def render_form(
        self,
        form: Form,
        *,
        language: str,
        action: str,
        token: str,
        values: Mapping[str, str],
        errors: Sequence[FieldError] = (),
        hints: Mapping[str, str] = _NOTHING,
        hidden: Mapping[str, str] = _NOTHING,
        prefilled: Mapping[str, str] = _NOTHING,
        framed: bool | None = False,
        problem_status: int | None = None,
    ) -> bytes:
        """The form's page, with `errors` in their order and `values` as they were typed.

        `hidden` goes along unseen; the page's own token, language and notice version cannot be overruled by it.
        `prefilled` are those of the values that the page's address held, and that of the other language may hold.
        `problem_status` is for what no field is to blame for, such as 503: the page says so and keeps the values.
        """
        entry = Entry(values=values, errors=errors, hints=hints)
        rows = arrange(form, entry, language=language)
        consents = arrange_consents(form.consents, entry, language=language)
        controls = [control for row in rows for control in row.controls] + consents
        policy_url = _web_address(form.privacy.policy_url)
        notice = _link_paragraphs(form.privacy.notice[language], policy_url)
        own = {"token": token, "language": language, "notice.version": form.privacy.version}
        carried = {**hidden, **_hidden_fields(form, values)}
        return self._render(
            "form.html",
            form=form,
            language=language,
            framed=framed,
            told={"status": problem_status},
            carried={**carried, **prefilled},
            action=action,
            entry=entry,
            rows=rows,
            consents=consents,
            targets={control.name for control in controls},
            any_optional=any(control.optional for control in controls),
            hidden={**carried, **own},
            notice=notice,
            policy_url=policy_url,
            honeypot=HONEYPOT,
            linked=any(address for _, address, _ in notice),
            words=write_words(language, either=any(row.either for row in rows)),
            problem=problem_status
            and describe_problem(problem_status, translations=get_translations(language)),
        )

    def render_thanks(
        self,
        form: Form,
        *,
        language: str,
        reference: str,
        again: Mapping[str, str] = _NOTHING,
        meant: str | None = None,
        masked: bool = False,
        framed: bool | None = False,
        lead_id: str = "",
        conversion: bool = False,
    ) -> bytes:
        """What a visitor sees once a lead is kept. `reference` as it is written, in groups.

        `again` is what the page for another lead is opened with; `meant` the domain of an e-mail address that
        looks mistyped; `masked` says that a personnummer was made unreadable; `lead_id` and `conversion` are for
        the page around the frame.
        """
        heading, text = _head(form.thanks[language])
        return self._render(
            "thanks.html",
            form=form,
            language=language,
            framed=framed,
            told={"lead": lead_id, "reference": reference, "conversion": int(conversion)},
            reference=reference,
            again={**again, "lang": language},
            meant=meant,
            masked=masked,
            heading=heading,
            text=text,
        )

    def render_settle(
        self,
        form: Form | None,
        *,
        language: str,
        view: str,
        act: str,
        reference: str = "",
        received: str = "",
    ) -> bytes:
        """What a link in the office's mail shows. `view`: `ask`, `busy`, `sending`, `held`, `delivered`, `closed` or
        `expired`."""
        return self._render(
            "settle.html",
            form=form,
            language=language,
            framed=False,
            view=view,
            act=act,
            reference=reference,
            received=received,
        )

    def render_problem(
        self,
        *,
        language: str,
        status: int,
        title: str | None = None,
        detail: str | None = None,
        form: Form | None = None,
        framed: bool | None = False,
    ) -> bytes:
        """A page for an answer other than the one hoped for, in the status' own words unless others are given."""
        usual = describe_problem(status, translations=get_translations(language))
        return self._render(
            "problem.html",
            form=form,
            language=language,
            framed=framed,
            told={"status": status},
            title=title or usual[0],
            detail=detail or usual[1],
        )

    def render_agency(self, *, base: str, inbox: str, query: str, page_url: str) -> bytes:
        """The demo's landing page of an invented agency.

        `base` is the gateway's address, `inbox` the sandbox's; `query` holds the allow-listed parameters of the
        page's own address and is passed on to the embedded forms with `page_url`, as an embed script would.
        """
        context = urlencode({"lang": "sv", "pageUrl": page_url})
        template = self._environment("sv").get_template("demo/agency.html")
        return template.render(
            base=base.rstrip("/"), inbox=inbox, query=query, context=f"{context}&{query}".rstrip("&")
        ).encode()

    def render_admin(self, name: str, /, *, language: str, **variables: object) -> bytes:
        """A page of the operator's."""
        return self._environment(language).get_template(name).render(language=language, **variables).encode()

    def _render(
        self,
        name: str,
        *,
        form: Form | None,
        language: str,
        carried: Mapping[str, str] = _NOTHING,
        told: Mapping[str, object] = _NOTHING,
        **variables: object,
    ) -> bytes:
        """`carried` is what goes along to the page in another language, `told` what the frame's script tells."""
        theme = form.theme if form else Theme()
        others = [code for code in form.languages if code != language] if form else []
        template = self._environment(language).get_template(name)
        return template.render(
            form=form,
            language=language,
            mode=theme.mode,
            logo=theme.logo,
            controller=(form and form.privacy.controller) or "",
            testing=form is not None and form.mode is Mode.TEST,
            others=[(code, name_language(code), _link_to(code, carried)) for code in others],
            stylesheets=_stylesheets(form) if form else [],
            told={
                name: value for name, value in {**_describe_frame(form), **told}.items() if value is not None
            },
            **variables,
        ).encode()

    def _environment(self, language: str) -> Environment:
        """One for each language: the i18n extension binds a catalog to its environment."""
        if language not in self._environments:
            environment = Environment(
                loader=FileSystemLoader(TEMPLATES),
                autoescape=True,
                undefined=StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
                extensions=["jinja2.ext.i18n"],
            )
            environment.policies["ext.i18n.trimmed"] = True
            environment.globals["asset"] = locate_asset
            environment.install_gettext_translations(  # type: ignore[attr-defined]
                get_translations(language), newstyle=True
            )
            self._environments[language] = environment
        return self._environments[language]


@cache
def locate_asset(name: str) -> str:
    """The address of a file in static/, which changes with its content."""
    return f"/static/{name}?v={_digest((STATIC / name).read_bytes())}"


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:8]


def _stylesheets(form: Form) -> list[str]:
    addresses = []
    if has_theme(form.theme):
        addresses.append(f"/f/{form.name}/theme.css?v={_digest(render_theme(form))}")
    if form.theme.stylesheet:
        addresses.append(form.theme.stylesheet)
    return addresses


def _describe_frame(form: Form | None) -> dict[str, str | None]:
    """What static/frame.js must know to speak with the page around it."""
    if form is None:
        return {}
    return {
        "form": form.name,
        "parameters": " ".join(last_touch_parameters(form.parameters)),
        "hidden": " ".join(field.name for field in form.fields if field.type is FieldType.HIDDEN),
        "redirect": form.redirect_url,
    }


def _hidden_fields(form: Form, values: Mapping[str, str]) -> dict[str, str]:
    hidden = (field.name for field in form.fields if field.type is FieldType.HIDDEN)
    return {name: values[name] for name in hidden if name in values}


def _link_paragraphs(text: str, url: str | None) -> list[tuple[str, str, str]]:
    """Each paragraph as what precedes the address, the address where it stands there, and what follows it."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
    return [part.partition(url) if url else (part, "", "") for part in paragraphs]


def _head(text: str) -> tuple[str, str]:
    """The first sentence, as a heading, and the rest; no heading where the sentence is too long for one."""
    match = re.fullmatch(rf"(.{{1,{_LONGEST_HEADING}}}?[.!?])(?:\s+(.*))?", text.strip(), re.DOTALL)
    return (match[1], match[2] or "") if match else ("", text)


def _link_to(language: str, carried: Mapping[str, str]) -> str:
    """The page in that language, without those values for which an address has no room."""
    query = ""
    for name, value in carried.items():
        longer = f"{query}{urlencode({name: value})}&"
        if name != "lang" and len(longer) <= _LONGEST_LINK:
            query = longer
    return f"?{query}{urlencode({'lang': language})}"


def _web_address(url: str | None) -> str | None:
    """Only what leads to a page: an address of another scheme would run or open something else."""
    return url if url and urlsplit(url).scheme in {"http", "https", ""} else None
