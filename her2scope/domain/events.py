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
    FIELD_ANNOTATED = "field_annotated"
    CELLS_CORRECTED = "cells_corrected"
    REGION_DRAWN = "region_drawn"
    REGION_REMOVED = "region_removed"
    RULE_CHANGED = "rule_changed"
    CASE_DATA_ENTERED = "case_data_entered"
    ISLANDS_JOINED = "islands_joined"
    READER_SCORED = "reader_scored"
    ISH_ENTERED = "ish_entered"
    UNDONE = "undone"
    REDONE = "redone"
    RESUMED = "resumed"
    FINISHED = "finished"
    """All fields are read: the case is in review, and waits for its signature."""
    REOPENED = "reopened"
    """Back from review to reading, before any signature of this version."""
    SIGNED = "signed"
    SIGNING_REFUSED = "signing_refused"
    """A name and a PIN that do not belong together."""
    AMENDED = "amended"
    """A signed case is open again, as its next version; the one before stays as it was signed."""


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
    monotonic_us: int | None = None
    """Microseconds of a clock that nobody can set, comparable within one run of the program (`opened` or `resumed` to
    the next); None in cases of earlier versions."""


UNDOABLE = frozenset(
    {
        EventKind.FIELD_ACCEPTED,
        EventKind.FIELD_REMOVED,
        EventKind.FIELD_RESTORED,
        EventKind.FIELD_ANNOTATED,
        EventKind.CELLS_CORRECTED,
        EventKind.REGION_DRAWN,
        EventKind.REGION_REMOVED,
        EventKind.RULE_CHANGED,
        EventKind.CASE_DATA_ENTERED,
        EventKind.READER_SCORED,
        EventKind.ISH_ENTERED,
    }
)
"""What the reader may take back. A control's reading and its override stay: every reading is kept."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Events that hold now, and what could be undone or redone next."""

    effective: tuple[Event, ...]
    """Without those undone, and without undoing and redoing themselves."""
    undoable: Event | None
    redoable: Event | None


def timeline(events: Iterable[Event]) -> Timeline:
    """What is in force after all undoing and redoing; ValueError for an undo or redo of what is not next.

    What was signed can be neither undone nor, where it was undone before, done again: only changed anew.
    """
    by_number: dict[int, Event] = {}
    done: list[int] = []
    undone: list[int] = []
    never: set[int] = set()
    for event in events:
        if event.kind is EventKind.UNDONE:
            _move(event, done, undone)
        elif event.kind is EventKind.REDONE:
            _move(event, undone, done)
        else:
            by_number[event.number] = event
            if event.kind is EventKind.SIGNED:
                done = []
            elif event.kind in UNDOABLE:
                done.append(event.number)
            else:
                continue
            never.update(undone)  # a new change, or a signature: what was undone before it cannot come back
            undone = []
    never.update(undone)
    effective = tuple(event for number, event in by_number.items() if number not in never)
    return Timeline(
        effective, by_number[done[-1]] if done else None, by_number[undone[-1]] if undone else None
    )  # fmt: skip


def _move(event: Event, stack: list[int], to: list[int]) -> None:
    number = event.data["event"]
    if not stack or stack[-1] != number:
        raise ValueError(f"event {event.number} ({event.kind.value}) names event {number}, which is not the next one")
    to.append(stack.pop())


def active_fields(events: Iterable[Event]) -> list[int]:
    """Numbers of the fields that count, in the order they were accepted."""
    active: set[int] = set()
    for event in timeline(events).effective:
        if event.kind in (EventKind.FIELD_ACCEPTED, EventKind.FIELD_RESTORED):
            active.add(event.data["field"])  # a field whose acceptance was undone may be restored too
        elif event.kind is EventKind.FIELD_REMOVED:
            active.discard(event.data["field"])
    return sorted(active)
