"""All that is SQLite's own about a case's database; what the rows say, `event_rows` knows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, ExceptionContext, NullPool, Pool, StaticPool, create_engine, event, insert

from her2scope.domain.errors import StoreError
from her2scope.storage.failures import damaged
from her2scope.storage.schema import APPLICATION_ID, REVISION, SCHEMA
from her2scope.storage.tables import CASES, METADATA, VERSION

_LATEST_WITHOUT_ALEMBIC = 2
_OLDER_AS_PRESENT = (
    "CREATE TEMP VIEW cases AS SELECT '' AS case_id, '' AS created_utc",
    "CREATE TEMP VIEW events AS SELECT '' AS case_id, number, kind, at_utc, who, NULL AS monotonic_us, field, digest, "
    "data FROM main.events",
)
"""What a reader lays over a case of schema 1 or 2, whose file it may not change."""
PATIENCE_S = 5.0
"""A backup or a virus scanner that holds the file is waited for."""
_BEGIN = "sqlite_begin"
"""Execution option: the statement by which a transaction begins."""


def writer(database: Path) -> Engine:
    """Engine of one connection to an existing file; threads may take turns with it."""

    def connect() -> sqlite3.Connection:
        connection = _connected(database, "mode=rw")
        try:
            # FULL: the disk has an event before `append` returns, whatever happens to the power then.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA fullfsync = ON")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    return _engine(connect, StaticPool)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """All of it or nothing; the engine is usable afterwards either way."""
    # IMMEDIATE: who cannot write now learns it before anything was read.
    with engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"}).begin() as connection:
        yield connection


def start(database: Path, case_id: str, created_utc: str) -> None:
    """Make a case of an empty file."""
    with disposing(writer(database)) as engine:
        _outside_transaction(engine, "PRAGMA journal_mode = WAL")
        with writing(engine) as connection:
            METADATA.create_all(connection, checkfirst=False)
            connection.execute(insert(CASES), {"case_id": case_id, "created_utc": created_utc})
            connection.execute(insert(VERSION), {"version_num": REVISION})
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA}")


def check_schema(connection: Connection, case_id: str) -> int:
    """Schema of a case; CaseDamagedError for a database that is no case, StoreError for one of a newer her2scope."""
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise damaged(case_id, "its case.sqlite is empty or belongs to another program")
    present = _pragma(connection, "user_version")
    if present > SCHEMA:
        raise StoreError(
            f"Case {case_id} was written by a newer her2scope (schema {present}, this one knows {SCHEMA}). "
            "Open it with that version."
        )
    return present


def upgrade(engine: Engine, present: int, case_id: str) -> None:
    """Bring an older schema to `SCHEMA`: whole, or the case stays as it was."""
    # Alembic takes as long to load as the rest of the program, and only an older case needs it.
    from her2scope.storage.migrations.run import migrate

    with writing(engine) as connection:
        stamp = f"{present:03}" if present <= _LATEST_WITHOUT_ALEMBIC else None
        migrate(connection, stamp, REVISION, case_id)
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA}")


def empty_journal(engine: Engine) -> None:
    """Bring all that the journal holds into the database file; sqlite3.OperationalError where a reader is in the way.

    What is left of the journal is an empty file.
    """
    if _outside_transaction(engine, "PRAGMA wal_checkpoint(TRUNCATE)") != 0:
        error = sqlite3.OperationalError("another program reads the case")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error


@contextmanager
def disposing(engine: Engine) -> Iterator[Engine]:
    """Close the engine's connection at the end."""
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def reading(database: Path, case_id: str, *, immutable: bool) -> Iterator[Connection]:
    """One snapshot of a case, in the present schema's terms whatever its own is.

    Parameters
    ----------
    immutable : read the file as it lies there, and touch nothing; right only while nobody writes. Else SQLite makes
        the files by which programs share a journal beside the database, and leaves them there.
    """
    with _wanted(database, immutable), _READERS.connect() as connection, connection.begin():
        if check_schema(connection, case_id) <= _LATEST_WITHOUT_ALEMBIC:
            for statement in _OLDER_AS_PRESENT:
                connection.exec_driver_sql(statement)
        yield connection


@contextmanager
def _wanted(database: Path, immutable: bool) -> Iterator[None]:
    """Make the next connection of `_READERS` in this thread one to `database`."""
    before = _WANTED.set((database, immutable))
    try:
        yield
    finally:
        _WANTED.reset(before)


def _reader() -> sqlite3.Connection:
    database, immutable = _WANTED.get()
    connection = _connected(database, "immutable=1" if immutable else "mode=ro")
    try:
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _engine(connect: Callable[[], sqlite3.Connection], pool: type[Pool]) -> Engine:
    """Engine whose transactions begin as SQLite's own, and not as Python's sqlite3 guesses."""
    engine = create_engine("sqlite://", creator=connect, poolclass=pool)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", _as_it_was)
    return engine


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _as_it_was(context: ExceptionContext) -> None:
    """SQLite's own error tells a full disk from a lock; `failures` puts it into words."""
    raise context.original_exception


def _outside_transaction(engine: Engine, statement: str) -> Any:
    """First value that a statement answers."""
    with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(statement)
        (value, *_) = cursor.fetchone() or (None,)
        return value


def _connected(database: Path, options: str) -> sqlite3.Connection:
    uri = f"{_uri(database)}?{options}"
    return sqlite3.connect(uri, PATIENCE_S, uri=True, isolation_level=None, check_same_thread=False)


def _uri(database: Path) -> str:
    path = database.absolute()
    # as_uri would name a Windows server as the host, which SQLite refuses.
    text = "/" + path.as_posix().lstrip("/") if path.drive[:2] != "\\\\" else path.as_posix()
    return f"file://{quote(text)}"


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())


_WANTED: ContextVar[tuple[Path, bool]] = ContextVar("_WANTED")
_READERS = _engine(_reader, NullPool)
"""One engine for all cases that are read: each new one would work out anew how SQLite wants every statement."""
