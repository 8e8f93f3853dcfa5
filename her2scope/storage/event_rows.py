"""A case's events as rows of SQLite: numbered without a gap, chained by digests, never changed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from her2scope.domain.errors import StoreError
from her2scope.domain.event_chain import next_digest
from her2scope.domain.events import Event, EventKind
from her2scope.storage.failures import damaged, sqlite_code

APPLICATION_ID = 0x48455232
"""`HER2`: tells a case from any other SQLite file."""
SCHEMA_STEPS = (
    (
        # `field` stands before `data`: a list of cases reads it without the 300 KB of measures behind it.
        """CREATE TABLE events (
            number INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            at_utc TEXT NOT NULL,
            who TEXT NOT NULL,
            field INTEGER AS (json_extract(data, '$.field')) STORED,
            digest TEXT NOT NULL,
            data TEXT NOT NULL)""",
        """CREATE TRIGGER no_gap BEFORE INSERT ON events
            WHEN NEW.number IS NOT (SELECT COALESCE(MAX(number), 0) + 1 FROM events)
            BEGIN SELECT RAISE(ABORT, 'events are numbered without a gap'); END""",
        """CREATE TRIGGER no_change BEFORE UPDATE ON events
            BEGIN SELECT RAISE(ABORT, 'what happened to a case is never changed'); END""",
        """CREATE TRIGGER no_removal BEFORE DELETE ON events
            BEGIN SELECT RAISE(ABORT, 'what happened to a case is never removed'); END""",
    ),
    # The rows stay as they are. From here on a case may hold corrections, regions, moved cuts and undone events, which
    # an older program would leave out of the score: it has to refuse the case instead.
    (),
)
"""Step N leads from schema N to N + 1. A step that went out with a release is never changed; a new one is added."""
SCHEMA = len(SCHEMA_STEPS)
_TOLD = (EventKind.UNDONE, EventKind.REDONE, EventKind.CASE_DATA_ENTERED)
"""Events whose data a list of cases needs; it is short, unlike the 300 KB of a field."""


def connect(database: Path) -> sqlite3.Connection:
    """Open an existing file to read and write; threads may take turns with it."""
    connection = _connected(database, "mode=rw")
    try:
        # FULL: the disk has an event before `append` returns, whatever happens to the power then.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(database: Path) -> sqlite3.Connection:
    """Open an existing file to read only, also beside the program that writes it or on a read-only disk."""
    connection = _connected(database, "mode=ro")
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except BaseException as error:
        connection.close()
        if not _only_its_journal_is_refused(error, database):
            raise
        return _connected(database, "immutable=1")
    return connection


def start(connection: sqlite3.Connection) -> None:
    """Make a case of an empty file."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    upgrade(connection)


def check_schema(connection: sqlite3.Connection, case_id: str) -> None:
    """Raise CaseDamagedError for a database that is no case, StoreError for one of a newer her2scope."""
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise damaged(case_id, "its case.sqlite is empty or belongs to another program")
    present = _pragma(connection, "user_version")
    if present > SCHEMA:
        raise StoreError(
            f"Case {case_id} was written by a newer her2scope (schema {present}, this one knows {SCHEMA}). "
            "Open it with that version."
        )


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring an older schema to `SCHEMA`."""
    present = _pragma(connection, "user_version")
    if present == SCHEMA:
        return
    with transaction(connection):
        for step in SCHEMA_STEPS[present:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA}")


def data_as_json(event: Event, case_id: str) -> str:
    """Data of an event as JSON text; StoreError where the event holds something that cannot be stored."""
    try:
        # A name may hold half a character that the system could not decode: SQLite stores UTF-8 only.
        f"{event.at_utc}{event.who}".encode()
        return _packed(dict(event.data))
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(
            f"Event {event.number} ({event.kind.value}) of case {case_id} cannot be saved: {error}. "
            "The case is unchanged; report this line as a fault of the program."
        ) from error


_PACK = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
MOST_AT_ONCE = 32
"""Items of a list that are packed in one go."""


def _packed(value: Any) -> str:
    """JSON text, long lists item by item: the cells of a field at once would hold up every thread for 60 ms."""
    if isinstance(value, dict) and all(type(name) is str for name in value):
        return "{" + ",".join(f"{_PACK(name)}:{_packed(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list) and len(value) > MOST_AT_ONCE:
        return "[" + ",".join(_packed(item) for item in value) + "]"
    return _PACK(value)


def check_follows(number: int, last: int, case_id: str) -> None:
    """Raise StoreError unless `number` is the one after `last`."""
    if number != last + 1:
        raise StoreError(
            f"Event {number} does not follow event {last} of case {case_id}; it was not saved. "
            "Close the case and open it again."
        )


def insert(connection: sqlite3.Connection, event: Event, data: str, case_id: str) -> None:
    """Write one event in one transaction."""
    with transaction(connection):
        last, previous = _last(connection)
        check_follows(event.number, last, case_id)
        digest = next_digest(previous, event.number, event.kind.value, event.at_utc, event.who, data, None)
        connection.execute(
            "INSERT INTO events (number, kind, at_utc, who, digest, data) VALUES (?, ?, ?, ?, ?, ?)",
            (event.number, event.kind.value, event.at_utc, event.who, digest, data),
        )


def read(connection: sqlite3.Connection, case_id: str) -> Iterator[Event]:
    """All events in order; CaseDamagedError where one is missing, altered or unreadable."""
    previous = ""
    rows = connection.execute("SELECT number, kind, at_utc, who, digest, data FROM events ORDER BY number")
    for place, (number, kind, at_utc, who, digest, data) in enumerate(rows, start=1):
        _check_number(number, place, case_id)
        previous = next_digest(previous, number, kind, at_utc, who, data, None)
        if digest != previous:
            raise damaged(case_id, f"its event {number} was altered")
        yield Event(number, _kind(kind, number, case_id), at_utc, who, _parsed(data, number, case_id))


def outline(connection: sqlite3.Connection, case_id: str) -> Iterator[Event]:
    """All events with the number of their field and what `_TOLD` ones say: enough for a list of cases, and quick."""
    # SQLite reads the pages of `data` only in rows for which it is asked.
    told = f"CASE WHEN kind IN ({', '.join('?' * len(_TOLD))}) THEN data END"
    query = f"SELECT number, kind, at_utc, who, field, {told} FROM events ORDER BY number"  # noqa: S608 - no input in it
    for place, (number, kind, at_utc, who, field, data) in enumerate(connection.execute(query, _TOLD), start=1):
        _check_number(number, place, case_id)
        found = {"field": field} if data is None else _parsed(data, number, case_id)
        yield Event(number, _kind(kind, number, case_id), at_utc, who, found)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing; the connection is usable afterwards either way."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite itself rolls back after some failures; then there is nothing left to roll back.
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _connected(database: Path, options: str) -> sqlite3.Connection:
    uri = f"{_uri(database)}?{options}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def _only_its_journal_is_refused(error: BaseException, database: Path) -> bool:
    """On a read-only disk SQLite cannot make the files by which programs share a journal: without one it needs none."""
    refused = isinstance(error, sqlite3.Error) and sqlite_code(error) in (
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    )
    return refused and database.exists() and not database.with_name(f"{database.name}-wal").exists()


def _uri(database: Path) -> str:
    path = database.absolute()
    # as_uri would name a Windows server as the host, which SQLite refuses.
    text = "/" + path.as_posix().lstrip("/") if path.drive[:2] != "\\\\" else path.as_posix()
    return f"file://{quote(text)}"


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _last(connection: sqlite3.Connection) -> tuple[int, str]:
    """Number and digest of the last event, 0 and an empty text where there is none."""
    row = connection.execute("SELECT number, digest FROM events ORDER BY number DESC LIMIT 1").fetchone()
    return (0, "") if row is None else (row[0], row[1])


def _check_number(number: int, place: int, case_id: str) -> None:
    if number != place:
        raise damaged(case_id, f"its event {place} is missing")


def _kind(kind: str, number: int, case_id: str) -> EventKind:
    try:
        return EventKind(kind)
    except ValueError:
        raise damaged(case_id, f"its event {number} is of the unknown kind {kind!r:.40}") from None


def _parsed(data: str, number: int, case_id: str) -> dict[str, Any]:
    try:
        parsed = json.loads(data)
    except (ValueError, TypeError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise damaged(case_id, f"the data of its event {number} cannot be read")
    return parsed
