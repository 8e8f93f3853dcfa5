"""A case's database in its folder: one case to write, or a snapshot of it to read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from her2scope.domain.errors import StoreError
from her2scope.domain.event_chain import ChainHead
from her2scope.domain.events import Event
from her2scope.storage import event_rows, sqlite_engine
from her2scope.storage.schema import SCHEMA

Found = TypeVar("Found")


class CaseDatabase:
    """The database of an open case; failures leave it as sqlite3.Error, or as StoreError in words."""

    def __init__(self, database: Path, case_id: str) -> None:
        """Open `database` and bring an older schema up to date."""
        self._case_id = case_id
        self._engine = sqlite_engine.writer(database)
        try:
            with self._engine.begin() as connection:
                present = sqlite_engine.check_schema(connection, case_id)
            # Up to schema 2 no case has a manifest that this would have to respect.
            if present < SCHEMA:
                sqlite_engine.upgrade(self._engine, present, case_id)
            with self._engine.begin() as connection:
                self._key = event_rows.key_of_only_case(connection, case_id)
        except BaseException:
            self.close()
            raise

    def append(self, event: Event, data: str) -> None:
        """Write an event with its data as JSON text; durable when it returns."""
        with sqlite_engine.writing(self._engine) as connection:
            event_rows.append(connection, self._key, event, data, self._case_id)

    def events(self) -> tuple[Event, ...]:
        """All events so far, checked against their chain."""
        with self._engine.begin() as connection:
            return tuple(event_rows.read(connection, self._key, self._case_id))

    def head(self) -> ChainHead:
        """Where the chain ends, as the last event says."""
        with self._engine.begin() as connection:
            return event_rows.head(connection, self._key)

    def digests(self) -> dict[int, str]:
        """Digest of each event by its number, as its row says."""
        with self._engine.begin() as connection:
            return event_rows.digests(connection, self._key)

    def empty_journal(self) -> None:
        """Bring everything into the one file."""
        sqlite_engine.empty_journal(self._engine)

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()


def stored_events(database: Path, case_id: str) -> tuple[Event, ...]:
    """All events of a case, whoever has it open, checked against their chain."""
    return _snapshot(database, case_id, lambda rows, key: tuple(event_rows.read(rows, key, case_id)))


def stored_outline(database: Path, case_id: str) -> tuple[Event, ...]:
    """The events of a case as far as a list of cases needs them."""
    return _snapshot(database, case_id, lambda rows, key: tuple(event_rows.outline(rows, key, case_id)))


def stored_head(database: Path, case_id: str) -> ChainHead:
    """Where the chain of a case ends now."""
    return _snapshot(database, case_id, event_rows.head)


def _snapshot(database: Path, case_id: str, work: Callable[[Connection, str], Found]) -> Found:
    """What `work` finds in one state of the case; a closed case's folder is not touched by it."""

    def look(*, immutable: bool) -> Found:
        with sqlite_engine.reading(database, case_id, immutable=immutable) as connection:
            return work(connection, event_rows.key_of_only_case(connection, case_id))

    closed = _state_without_journal(database)
    if closed is not None:
        try:
            found = look(immutable=True)
        except (sqlite3.Error, StoreError):
            if _state_without_journal(database) == closed:
                raise
        else:
            if _state_without_journal(database) == closed:
                return found
        # Somebody began to write meanwhile, and may have torn what was read.
    return look(immutable=False)


def _state_without_journal(database: Path) -> tuple[int, ...] | None:
    """What changes when the file is written to; None where part of the case is in its journal."""
    journal = database.with_name(f"{database.name}-wal")
    if journal.exists() and journal.stat().st_size > 0:
        return None
    state = database.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns
