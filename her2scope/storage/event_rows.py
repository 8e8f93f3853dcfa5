"""A case's events as rows of a database: numbered without a gap, chained by digests, never changed.

`key` is the case's id in its row, as it was made; `case_id` is its name now, for the words of an error.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, case, insert, select

from her2scope.domain.event_chain import START, ChainHead, next_digest
from her2scope.domain.events import Event, EventKind
from her2scope.storage.event_data import check_follows, event_kind, parsed
from her2scope.storage.failures import damaged
from her2scope.storage.tables import CASES, EVENTS

_CHAINED = [EVENTS.c[name] for name in ("number", "kind", "at_utc", "who", "monotonic_us", "digest", "data")]
_TOLD = (EventKind.UNDONE, EventKind.REDONE, EventKind.CASE_DATA_ENTERED, EventKind.SIGNED, EventKind.AMENDED)
"""Events whose data a list of cases needs; it is short, unlike the 300 KB of a field."""


def key_of_only_case(connection: Connection, case_id: str) -> str:
    """Key of the case in a database of one; CaseDamagedError where it holds none, or several."""
    keys = connection.execute(select(CASES.c.case_id)).scalars().all()
    if len(keys) != 1:
        raise damaged(case_id, f"its file holds {len(keys)} cases")
    return str(keys[0])


def append(connection: Connection, key: str, event: Event, data: str, case_id: str) -> None:
    """Write one event behind the last one; StoreError where its number does not follow."""
    last = head(connection, key)
    check_follows(event.number, last.n_events, case_id)
    field = event.data.get("field")
    connection.execute(
        insert(EVENTS),
        {
            "case_id": key,
            "number": event.number,
            "kind": event.kind.value,
            "at_utc": event.at_utc,
            "who": event.who,
            "monotonic_us": event.monotonic_us,
            "field": field if type(field) is int else None,
            "digest": next_digest(
                last.digest, event.number, event.kind.value, event.at_utc, event.who, data, event.monotonic_us
            ),
            "data": data,
        },
    )


def head(connection: Connection, key: str) -> ChainHead:
    """Where the chain ends, as its last row says."""
    columns = EVENTS.c.number, EVENTS.c.digest
    last = select(*columns).where(EVENTS.c.case_id == key).order_by(EVENTS.c.number.desc()).limit(1)
    row = connection.execute(last).one_or_none()
    return ChainHead(0, START) if row is None else ChainHead(row.number, row.digest)


def digests(connection: Connection, key: str) -> dict[int, str]:
    """Digest of each event by its number, as its row says."""
    rows = connection.execute(select(EVENTS.c.number, EVENTS.c.digest).where(EVENTS.c.case_id == key))
    return {number: digest for number, digest in rows}


def read(connection: Connection, key: str, case_id: str) -> Iterator[Event]:
    """All events in order; CaseDamagedError where one is missing, altered or unreadable."""
    previous = START
    rows = connection.execute(select(*_CHAINED).where(EVENTS.c.case_id == key).order_by(EVENTS.c.number))
    for place, (number, kind, at_utc, who, monotonic_us, digest, data) in enumerate(rows, start=1):
        _check_number(number, place, case_id)
        previous = next_digest(previous, number, kind, at_utc, who, data, monotonic_us)
        if digest != previous:
            raise damaged(case_id, f"its event {number} was altered")
        said = parsed(data, number, case_id)
        yield Event(number, event_kind(kind, number, case_id), at_utc, who, said, monotonic_us)


def outline(connection: Connection, key: str, case_id: str) -> Iterator[Event]:
    """All events with the number of their field and what `_TOLD` ones say: enough for a list of cases, and quick."""
    # SQLite reads the pages of `data` only in rows for which it is asked.
    told = case((EVENTS.c.kind.in_([kind.value for kind in _TOLD]), EVENTS.c.data))
    columns = EVENTS.c.number, EVENTS.c.kind, EVENTS.c.at_utc, EVENTS.c.who, EVENTS.c.field
    query = select(*columns, told).where(EVENTS.c.case_id == key).order_by(EVENTS.c.number)
    for place, (number, kind, at_utc, who, field, data) in enumerate(connection.execute(query), start=1):
        _check_number(number, place, case_id)
        found = {"field": field} if data is None else parsed(data, number, case_id)
        yield Event(number, event_kind(kind, number, case_id), at_utc, who, found)


def _check_number(number: int, place: int, case_id: str) -> None:
    if number != place:
        raise damaged(case_id, f"its event {place} is missing")
