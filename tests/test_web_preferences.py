"""What a request would rather have, as RFC 7240 and RFC 9110 have it."""

from datetime import timedelta

import pytest

from app.web.preferences import asks_for_json, prefers_html, read_wait


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None),
        ("wait=5", 5),
        ("wait=0", 0),
        ("wait=10", 10),
        ("wait=99", 10),
        ("wait=" + "9" * 500, 10),
        ("Wait=5", 5),
        ("wait = 5", 5),
        ('wait="5"', 5),
        ("respond-async, wait=5", 5),
        ("respond-async,wait=5,handling=lenient", 5),
        ("wait=5; extra=1", 5),
        ('return=minimal; foo="a, b", wait=5', 5),
        ("wait=3, wait=7", 3),
        ("foo; wait=5", None),
        ('foo="x, wait=5"', None),
        ('foo="x\\", wait=5"', None),
        ("wait", None),
        ("wait=", None),
        ("wait=soon", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=\u0665", None),
        ("nowait=5", None),
        ("waiting=5", None),
        (",,;=,", None),
        ('"' * 100_000, None),
        ('\\"' * 100_000, None),
        ("wait" + " " * 100_000 + "=5", None),
    ],
)
def test_only_the_preference_named_wait_is_a_wish_to_wait(header: str, seconds: int | None) -> None:
    assert read_wait(header) == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("text/html", True),
        ("text/*", True),
        ("TEXT/HTML", True),
        ("text/html;charset=utf-8;q=0.9, application/json;q=0.1", True),
        ("application/json;q=0.5, text/html;q=0.6", True),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/html, application/json", False),
        ("text/html;q=0.5, application/json", False),
        ("text/html;q=0.5, application/problem+json", False),
        ("text/html;q=0", False),
        ("text/html;q=nan", True),
        ("image/avif,image/webp,*/*;q=0.8", False),
        (",;=/," * 100_000, False),
    ],
)
def test_a_page_is_for_whom_likes_it_better_than_json(accept: str, page: bool) -> None:
    assert prefers_html(accept) is page


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        ("application/json", True),
        ("application/json, text/plain, */*", True),
        ("application/json, text/html;q=0.5", True),
        ("", False),
        ("*/*", False),
        ("application/*", False),
        ("application/json;q=0", False),
        ("application/json, text/html", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
    ],
)
def test_json_has_to_be_asked_for_where_pages_are_the_answer(accept: str, json: bool) -> None:
    assert asks_for_json(accept) is json
