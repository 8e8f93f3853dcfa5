"""A case's events as they lie in its database, read without trusting, changing or locking anything."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from her2scope.storage.schema import APPLICATION_ID, SCHEMA

COLUMNS = ("number", "kind", "at_utc", "who", "digest", "data")
LATER_COLUMN = "monotonic_us"
"""Absent in cases of earlier versions."""
FIRST_WITH_CASES = 3
"""Schema from which on each row names its case."""
TRIGGERS = {"no_gap", "no_change", "no_removal"}
JOURNAL = "-wal"
MOST_PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row of the table of events; any value may be of any type, as the file may be damaged."""

    number: Any
    kind: Any
    at_utc: Any
    who: Any
    digest: Any
    data: Any
    monotonic_us: Any


@dataclass(frozen=True, slots=True)
class StoredRows:
    """What could be read of a case's database."""

    rows: tuple[StoredRow, ...]
    problems: tuple[str, ...]
    """What is wrong with the database itself, in words that follow `the database`."""


def read_rows(database: Path, is_open: bool) -> StoredRows:
    """All rows that can be read, in the order of their numbers, and what is wrong with the database around them.

    Parameters
    ----------
    is_open : whether a program has the case open: then its journal is read with it, else the file is read alone
    """
    rows: list[StoredRow] = []
    problems: list[str] = []
    try:
        with connected(database, is_open) as connection:
            problems += _problems_around(connection)
            rows.extend(_rows(connection))
    except (sqlite3.Error, OSError, ValueError, OverflowError) as error:
        problems.append(f"cannot be read to its end ({error})")
    return StoredRows(tuple(rows), tuple(problems))


@contextmanager
def connected(database: Path, is_open: bool) -> Iterator[sqlite3.Connection]:
    """Connection that only reads, and leaves no file beside the database. Raises sqlite3.Error or OSError."""
    journal = database.with_name(database.name + JOURNAL)
    if is_open:
        with closing(_connection(database, "mode=ro")) as connection:
            yield connection
    elif not journal.is_file() or journal.stat().st_size == 0:
        with closing(_connection(database, "immutable=1")) as connection:
            yield connection
    else:  # its program ended before it closed the case: what it acknowledged may lie in the journal alone
        with tempfile.TemporaryDirectory(prefix="her2scope-") as aside:
            for path in (database, journal):
                shutil.copyfile(path, Path(aside, path.name))
            with closing(_connection(Path(aside, database.name), "mode=rw")) as connection:
                yield connection


def _connection(database: Path, options: str) -> sqlite3.Connection:
    text = quote(database.absolute().as_posix())
    uri = f"file://{'' if text.startswith('/') else '/'}{text}?{options}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    connection.text_factory = _text
    return connection


def _text(content: bytes) -> str:
    # A changed byte may be no UTF-8: it must be judged, not refused.
    return content.decode("utf-8", "surrogateescape")


def _problems_around(connection: sqlite3.Connection) -> Iterator[str]:
    if _pragma(connection, "application_id") != APPLICATION_ID:
        yield "is not marked as a case"
    schema = _pragma(connection, "user_version")
    if not 1 <= schema <= SCHEMA:
        yield f"is of schema {schema}, and this her2scope knows 1 to {SCHEMA}: verify it with the version that wrote it"
    triggers = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    if lacking := sorted(TRIGGERS - triggers):
        yield f"lacks what guards its events ({', '.join(lacking)})"
    found = [str(text) for (text,) in connection.execute(f"PRAGMA integrity_check({MOST_PROBLEMS})")]
    yield from (f"contradicts itself ({text})" for text in found if text != "ok")
    if schema >= FIRST_WITH_CASES:
        cases = connection.execute("SELECT case_id FROM cases UNION SELECT case_id FROM events").fetchall()
        if len(cases) != 1:
            yield f"holds rows of {len(cases)} cases, and should of one"


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _rows(connection: sqlite3.Connection) -> Iterator[StoredRow]:
    there = {row[1] for row in connection.execute("PRAGMA table_xinfo(events)")}
    later = LATER_COLUMN if LATER_COLUMN in there else "NULL"
    query = f"SELECT {', '.join(COLUMNS)}, {later} FROM events ORDER BY number"  # noqa: S608 - no input in it
    for row in connection.execute(query):
        yield StoredRow(*row)
