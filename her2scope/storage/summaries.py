"""A case in one line of a list."""

from __future__ import annotations

from collections.abc import Iterable

from her2scope.domain.events import Event, EventKind, active_fields
from her2scope.ports import CaseSummary


def summarise(case_id: str, events: Iterable[Event], locked: bool, problem: str | None) -> CaseSummary:
    """Summary of a readable case; a field event's data needs only `field`."""
    events = tuple(events)
    return CaseSummary(
        case_id=case_id,
        opened_utc=events[0].at_utc if events else "",
        n_fields=len(active_fields(events)),
        finished=any(event.kind is EventKind.FINISHED for event in events),
        locked=locked,
        problem=problem,
    )


def unreadable(case_id: str, locked: bool, problem: str) -> CaseSummary:
    """Summary of a case that cannot be read."""
    return CaseSummary(case_id=case_id, opened_utc="", n_fields=0, finished=False, locked=locked, problem=problem)


def newest_first(summaries: Iterable[CaseSummary]) -> tuple[CaseSummary, ...]:
    """By the time of opening; what has none (unreadable, or nothing recorded yet) comes last."""
    return tuple(sorted(summaries, key=lambda summary: (summary.opened_utc, summary.case_id), reverse=True))
