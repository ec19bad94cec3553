"""Texts by language: every language of a form must have each of its texts."""

from collections.abc import Callable

from app.forms.model import Text


def resolve_text(
    text: str | dict[str, str] | None,
    languages: tuple[str, ...],
    *,
    add: Callable[[str], None],
    may_be_empty: bool = False,
) -> Text:
    """The text in each language; a bare string stands for them all. What is missing is told through `add`."""
    if text is None:
        add("is missing; write a text, or a table of texts by language")
        return {}
    by_language = dict.fromkeys(languages, text) if isinstance(text, str) else text
    missing = [language for language in languages if language not in by_language]
    empty = [language for language in languages if not by_language.get(language, "x").strip()]
    if missing:
        add(f"has no text in {' and '.join(missing)}; the form's languages are {', '.join(languages)}")
    if empty and not may_be_empty:
        add("is empty; write what visitors read there")
    return {language: by_language.get(language, "") for language in languages}
