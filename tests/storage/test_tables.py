"""The tables serve SQLite, one file per case, and would serve a server of all cases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, create_mock_engine, insert
from sqlalchemy.exc import IntegrityError

from her2scope.domain.events import Event, EventKind
from her2scope.storage import event_rows
from her2scope.storage.event_data import data_as_json
from her2scope.storage.schema import REVISION, SCHEMA
from her2scope.storage.tables import CASES, EVENTS, METADATA


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.connect() as connection:
        for case_id in ("a", "b"):
            connection.execute(insert(CASES), {"case_id": case_id, "created_utc": ""})
        yield connection
    engine.dispose()


def event(number: int) -> Event:
    return Event(number, EventKind.FIELD_ACCEPTED, "t", "who", {"field": number}, number)


def append(connection: Connection, key: str, number: int) -> None:
    event_rows.append(connection, key, event(number), data_as_json(event(number), key), key)


def test_cases_in_one_database_are_numbered_and_chained_each_for_itself(connection: Connection) -> None:
    for key, number in (("a", 1), ("b", 1), ("a", 2), ("b", 2), ("b", 3)):
        append(connection, key, number)
    assert [item.number for item in event_rows.read(connection, "a", "a")] == [1, 2]
    assert [item.number for item in event_rows.outline(connection, "b", "b")] == [1, 2, 3]
    assert event_rows.head(connection, "a").n_events == 2
    assert event_rows.head(connection, "a").digest == next(
        row.digest for row in connection.execute(EVENTS.select()) if (row.case_id, row.number) == ("b", 2)
    )


@pytest.mark.parametrize("number", [1, 3])
def test_a_gap_is_refused_by_the_database_itself(connection: Connection, number: int) -> None:
    append(connection, "a", 1)
    row = {"case_id": "a", "number": number, "kind": "", "at_utc": "", "who": "", "digest": "", "data": ""}
    with pytest.raises(IntegrityError, match="without a gap"):
        connection.execute(insert(EVENTS), row)


def test_a_server_gets_the_same_tables_and_guards() -> None:
    said: list[str] = []

    def note(statement: Any, *_: Any, **__: Any) -> None:
        said.append(str(statement.compile(dialect=server.dialect)))

    server: Any = create_mock_engine("postgresql+psycopg2://", note)
    METADATA.create_all(server, checkfirst=False)
    text = "\n".join(said)
    assert "PRIMARY KEY (case_id, number)" in text
    assert "monotonic_us BIGINT" in text
    assert text.count("CREATE TRIGGER") == 1
    assert "CREATE TRIGGER events_are_kept BEFORE INSERT OR UPDATE OR DELETE ON events" in text
    assert "RAISE(ABORT" not in text


def test_the_last_step_is_that_of_the_present_schema() -> None:
    steps = Path(event_rows.__file__).parent / "migrations" / "versions"
    numbers = sorted(step.name[:3] for step in steps.glob("*.py"))
    assert numbers == [f"{number:03}" for number in range(1, SCHEMA + 1)]
    assert numbers[-1] == REVISION
