"""A case is the list of what happened to it; its state is that list read from the start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """What can happen to a case."""

    OPENED = "opened"
    CONTROL_READ = "control_read"
    CONTROL_OVERRIDDEN = "control_overridden"
    FIELD_ACCEPTED = "field_accepted"
    FIELD_REMOVED = "field_removed"
    FIELD_RESTORED = "field_restored"
    READER_SCORED = "reader_scored"
    ISH_ENTERED = "ish_entered"
    RESUMED = "resumed"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a case; never changed once written."""

    number: int
    """1, 2, 3, ... without a gap: a missing number is a damaged case."""
    kind: EventKind
    at_utc: str
    """ISO 8601 with offset +00:00."""
    who: str
    data: Mapping[str, Any]
    """JSON values only; measures of a field, verdict of a control."""


def active_fields(events: Iterable[Event]) -> list[int]:
    """Numbers of the fields that count, in the order they were accepted."""
    accepted: list[int] = []
    removed: set[int] = set()
    for event in events:
        if event.kind is EventKind.FIELD_ACCEPTED:
            accepted.append(event.data["field"])
        elif event.kind is EventKind.FIELD_REMOVED:
            removed.add(event.data["field"])
        elif event.kind is EventKind.FIELD_RESTORED:
            removed.discard(event.data["field"])
    return [number for number in accepted if number not in removed]
