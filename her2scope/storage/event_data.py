"""An event's data as the JSON text that is stored and chained, and back."""

from __future__ import annotations

import json
from typing import Any

from her2scope.domain.errors import StoreError
from her2scope.domain.events import Event, EventKind
from her2scope.storage.failures import damaged


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


def event_kind(kind: str, number: int, case_id: str) -> EventKind:
    """Kind by its stored name; CaseDamagedError for one that no her2scope wrote."""
    try:
        return EventKind(kind)
    except ValueError:
        raise damaged(case_id, f"its event {number} is of the unknown kind {kind!r:.40}") from None


def parsed(data: str, number: int, case_id: str) -> dict[str, Any]:
    """Data of an event from their JSON text; CaseDamagedError where it is none."""
    try:
        said = json.loads(data)
    except (ValueError, TypeError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise damaged(case_id, f"the data of its event {number} cannot be read")
    return said
