"""A case in one line of a list."""

from __future__ import annotations

from collections.abc import Iterable

from her2scope.domain.corrections import CaseData
from her2scope.domain.events import Event, EventKind, active_fields, timeline
from her2scope.domain.sign_off import sign_off
from her2scope.ports import CaseSummary
from her2scope.storage.failures import damaged


def summarise(case_id: str, events: Iterable[Event], locked: bool, problem: str | None) -> CaseSummary:
    """Summary of a readable case; CaseDamagedError where its events contradict each other.

    Of the data it needs a field event's `field`, the `event` that an undo or redo names, the case's own data, and what
    was signed and amended.
    """
    events = tuple(events)
    try:
        state = sign_off(events)
        data = _case_data(timeline(events).effective)
        return CaseSummary(
            case_id=case_id,
            opened_utc=events[0].at_utc if events else "",
            n_fields=len(active_fields(events)),
            finished=state.finished_utc is not None,
            locked=locked,
            problem=problem,
            slide_id=data.slide_id,
            status=state.status,
            version=state.version,
            signed_by=state.signatures[-1].name if state.signatures else "",
            title=data.title,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(case_id, f"its events contradict each other ({error})") from error


def unreadable(case_id: str, locked: bool, problem: str) -> CaseSummary:
    """Summary of a case that cannot be read."""
    return CaseSummary(case_id=case_id, opened_utc="", n_fields=0, finished=False, locked=locked, problem=problem)


def newest_first(summaries: Iterable[CaseSummary]) -> tuple[CaseSummary, ...]:
    """By the time of opening; what has none (unreadable, or nothing recorded yet) comes last."""
    return tuple(sorted(summaries, key=lambda summary: (summary.opened_utc, summary.case_id), reverse=True))


def _case_data(effective: Iterable[Event]) -> CaseData:
    """The case data in force; empty where none were entered."""
    entered = [event.data for event in effective if event.kind is EventKind.CASE_DATA_ENTERED]
    return CaseData.of(entered[-1]).stripped() if entered else CaseData()
