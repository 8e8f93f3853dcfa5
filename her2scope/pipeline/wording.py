"""Changes of a case in a few words: what an undo would take back, as a menu says it."""

from __future__ import annotations

from datetime import datetime

from her2scope.domain.events import Event, EventKind
from her2scope.domain.sign_off import CaseStatus, SignOff


def change_words(event: Event | None) -> str:
    """What the reader did with this event; empty for none."""
    if event is None:
        return ""
    data = event.data
    match event.kind:
        case EventKind.FIELD_ACCEPTED:
            return f"add field {data['field']}"
        case EventKind.FIELD_REMOVED:
            return f"remove field {data['field']}"
        case EventKind.FIELD_RESTORED:
            return f"restore field {data['field']}"
        case EventKind.FIELD_ANNOTATED:
            return f"remark on field {data['field']}"
        case EventKind.CELLS_CORRECTED:
            n = len(data["cells"])
            return f"correct {'a cell' if n == 1 else f'{n} cells'} of field {data['field']}"
        case EventKind.REGION_DRAWN:
            return f"outline {data['kind'].replace('_', ' ')}"
        case EventKind.REGION_REMOVED:
            return f"remove outline {data['region']}"
        case EventKind.RULE_CHANGED:
            return "move cuts"
        case EventKind.CASE_DATA_ENTERED:
            return "enter case data"
        case EventKind.READER_SCORED:
            return "enter own score"
        case EventKind.ISH_ENTERED:
            return "enter ISH result"
        case _:
            return event.kind.value.replace("_", " ")


def frozen_words(case_id: str, sign_off: SignOff) -> str:
    """Why nothing of a case can be changed now, and what to do; empty while it is open."""
    match sign_off.status:
        case CaseStatus.OPEN:
            return ""
        case CaseStatus.IN_REVIEW:
            return f"case {case_id} is finished and in review: reopen it, with a reason, to change it."
        case CaseStatus.SIGNED | CaseStatus.AMENDED:
            name = sign_off.signatures[-1].name
            return (
                f"case {case_id} is finished and signed by {name} (version {sign_off.version}): amend it, with a "
                "reason, to change it; what was signed is kept."
            )


SET_BACK_S = 1.0
"""Time services correct a clock by less than that without anybody having set it."""


def clock_words(before_utc: str, now_utc: str) -> str:
    """What must be said where a clock shows an earlier time than before; empty where it does not."""
    try:
        back_s = (datetime.fromisoformat(before_utc) - datetime.fromisoformat(now_utc)).total_seconds()
    except (TypeError, ValueError):  # a time of another program: the order of events is by their numbers
        return ""
    if back_s < SET_BACK_S:
        return ""
    return f"the computer's clock was set back by {duration_words(back_s)}; times in this case are not in order."


def duration_words(seconds: float) -> str:
    """A span of time as one says it: to the second below a minute, else to the minute."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
