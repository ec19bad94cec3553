"""What is said when a database refuses: the trouble, and nothing of the row it would not take."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from app.errors import StoreUnavailable
from app.store.failures import describe
from app.store.reading import read_from
from app.store.store import Store
from tests.sinks import find_told, overhearing
from tests.stores import new_lead

pytest_plugins = ["tests.store_fixtures"]

WORDS = "Anna Bergström, anna@example.com, 070-174 06 05"


@pytest.mark.anyio
async def test_a_refused_lead_is_not_repeated(store: Store) -> None:
    with overhearing() as heard, pytest.raises(StoreUnavailable) as refused:
        await store.accept(new_lead(body=WORDS, fingerprint=None))
    assert "lead_refused_by_database" in heard.getvalue()
    assert "fingerprint" in heard.getvalue()  # which constraint it was is what the operator needs
    assert find_told(heard.getvalue() + repr(refused.value)) == []


def execute(engine: Engine, statements: list[str]) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement), {"words": WORDS})


KEY = "INSERT INTO idempotency_keys (form, key, fingerprint, lead_id) VALUES ('kontakt', :words, 'f', 'l')"


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param([KEY, KEY], id="unique"),
        pytest.param(
            [
                "INSERT INTO leads (id, reference, form, received_at, body) VALUES ('1', '1', 'x', NULL, :words)"
            ],
            id="not null",
        ),
        pytest.param(["SELECT nothing FROM leads WHERE body = :words"], id="no such column"),
        pytest.param(["SELECT abs(CAST(:words AS bigint)) / 0 FROM nowhere"], id="no such table"),
    ],
)
def test_a_database_error_is_told_without_its_values(engine: Engine, statements: list[str]) -> None:
    with pytest.raises(DBAPIError) as failed:
        execute(engine, statements)
    told = describe(failed.value)
    assert told
    assert find_told(told + str(failed.value.statement)) == []


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("SELECT CAST(CAST(:words AS text) AS bigint)", WORDS),
        ("SELECT CAST(CAST(:words AS text) AS timestamptz)", WORDS),
        ("SELECT CAST(CAST(:words AS text) AS json)", WORDS),
        ("SELECT CAST(:words AS text)", WORDS + "\x00"),
    ],
)
def test_what_postgresql_cannot_read_is_not_quoted(engine: Engine, statement: str, words: str) -> None:
    with pytest.raises(StoreUnavailable) as failed:
        read_from(engine, lambda connection: connection.execute(text(statement), {"words": words}).all())
    assert find_told(repr(failed.value)) == []
    assert failed.value.__cause__ is None
