"""Whether a case's events are those that were written: none changed, missing, moved or added."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from her2scope.domain.event_chain import START, next_digest
from her2scope.domain.events import Event, EventKind
from her2scope.storage.findings import Finding
from her2scope.storage.stored_rows import StoredRow

CLOCK_SLACK_S = 2.0
"""A clock that is kept by the network is moved by less while a program runs."""
MOST_MOVED = 12
"""Altered events up to which each is tried at the place of each other."""
BEGINS_ANEW = (EventKind.OPENED, EventKind.RESUMED)
"""Events of another run of the program than the one before."""


@dataclass(frozen=True, slots=True)
class CheckedEvents:
    """What the rows of a case are worth."""

    events: tuple[Event, ...]
    """Those that can be read, altered ones among them."""
    digests: Mapping[int, str]
    """Of the chain after each event; 0 is where it starts."""
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def n_events(self) -> int:
        """Number of the last event."""
        return max(self.digests)


def check_rows(rows: Sequence[StoredRow]) -> CheckedEvents:
    """Judge every row by itself and by the one before."""
    findings: list[Finding] = []
    altered: list[StoredRow] = []
    events: list[Event] = []
    digests: dict[int, str] = {0: START}
    previous: tuple[str, ...] = (START,)
    for row in rows:
        last = max(digests)
        if not _is_number(row.number) or row.number <= last:
            findings.append(Finding("event_altered", f"event {last + 1}", f"its number is {row.number!r:.40}"))
            continue
        if row.number > last + 1:
            findings.append(_missing(last + 1, row.number - 1))
            previous = ()  # what came before is not known: this event begins what can be judged again
        computed = [_digest(digest, row) for digest in previous]
        digests[row.number] = str(row.digest)
        if not computed or row.digest in computed:
            previous = (str(row.digest),)
        else:
            altered.append(row)
            # Where only its own digest was altered, the event after it still follows what it should be.
            previous = (str(row.digest), computed[0])
        event, why = _event(row)
        if event is not None:
            events.append(event)
        elif row not in altered:
            findings.append(Finding("event_unreadable", f"event {row.number}", why))
    findings += _altered(altered, digests)
    findings += _going_back(events)
    findings.sort(key=lambda finding: _place(finding.where))
    return CheckedEvents(tuple(events), digests, tuple(findings), tuple(_clock_notes(events)))


def _place(where: str) -> int:
    return int(where.removeprefix("event ").split(" ")[0])


def _missing(first: int, last: int) -> Finding:
    which = f"event {first}" if first == last else f"events {first} to {last}"
    return Finding("event_missing", f"event {first}", f"{which} of the case {'is' if first == last else 'are'} missing")


def _altered(altered: Sequence[StoredRow], digests: Mapping[int, str]) -> Iterator[Finding]:
    for row in altered:
        origin = _origin(row, altered, digests) if len(altered) <= MOST_MOVED else None
        if origin is None:
            yield Finding("event_altered", f"event {row.number}", "it is not as it was written")
        else:
            yield Finding("reordered", f"event {row.number}", f"what stands here was written as event {origin}")


def _origin(row: StoredRow, altered: Sequence[StoredRow], digests: Mapping[int, str]) -> int | None:
    """Number under which a row was written, where it is that of another altered one."""
    before = {digests[other.number - 1] for other in altered if other.number - 1 in digests}
    before |= {str(other.digest) for other in altered}
    for number in (other.number for other in altered if other.number != row.number):
        if any(_digest(previous, replace(row, number=number)) == row.digest for previous in before):
            return int(number)
    return None


def _digest(previous: str, row: StoredRow) -> str:
    return next_digest(previous, row.number, row.kind, row.at_utc, row.who, row.data, row.monotonic_us)


def _event(row: StoredRow) -> tuple[Event | None, str]:
    """The event of a row, or None and why there is none."""
    try:
        kind = EventKind(row.kind)
    except ValueError:
        return None, f"it is of the unknown kind {row.kind!r:.40}"
    try:
        data: Any = json.loads(row.data)
    except (ValueError, TypeError, RecursionError):
        data = None
    if not isinstance(data, dict):
        return None, "its data cannot be read"
    if not (isinstance(row.at_utc, str) and isinstance(row.who, str)):
        return None, "its time or its user cannot be read"
    if not (row.monotonic_us is None or _is_number(row.monotonic_us)):
        return None, "its clock cannot be read"
    return Event(row.number, kind, row.at_utc, row.who, data, row.monotonic_us), ""


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# ---- clocks -------------------------------------------------------------------------------------------------------


def _going_back(events: Sequence[Event]) -> Iterator[Finding]:
    """Events of one run whose steady clock goes back: no program writes them in that order."""
    for before, event in pairwise(events):
        elapsed_s = _elapsed_s(before, event)
        if elapsed_s is not None and elapsed_s < 0:
            words = f"by its clock it came {-elapsed_s:.3f} s before event {before.number}, which stands before it"
            yield Finding("reordered", f"event {event.number}", words)


def _clock_notes(events: Sequence[Event]) -> Iterator[str]:
    for before, event in pairwise(events):
        try:
            shown = datetime.fromisoformat(event.at_utc) - datetime.fromisoformat(before.at_utc)
        except (ValueError, TypeError):
            yield f"The time of event {event.number} or the one before it is no time."
            continue
        elapsed_s = _elapsed_s(before, event)
        back_s = (max(elapsed_s, 0.0) if elapsed_s is not None else 0.0) - shown.total_seconds()
        if back_s > CLOCK_SLACK_S:
            back = timedelta(seconds=round(back_s))
            yield f"The clock was set back by {back} between event {before.number} and event {event.number}."


def _elapsed_s(before: Event, event: Event) -> float | None:
    """Seconds between two events of one run of the program; None where they cannot be compared."""
    if event.kind in BEGINS_ANEW or event.monotonic_us is None or before.monotonic_us is None:
        return None
    return (event.monotonic_us - before.monotonic_us) / 1e6
