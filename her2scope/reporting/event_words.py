"""What happened to a case, in words: one line of its history for each event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from her2scope.domain.events import UNDOABLE, Event, EventKind, timeline
from her2scope.overlays.palette import REGION_LABELS
from her2scope.reporting import words
from her2scope.reporting.cell_standing import correction_label
from her2scope.reporting.hand import CASE_DATA_LABELS

Data = Mapping[str, Any]
MAX_NAMED_CELLS = 12
"""A lasso may correct hundreds of cells at once: beyond this their number is told, and the list stands with the cells.
"""
DIGITS = 12
"""Of a digest in the history; the whole of it stands with the versions."""


def history(events: Sequence[Event]) -> tuple[tuple[str, str, str, str], ...]:
    """Number, time, who, what of each event; what was undone and not done again is marked."""
    holds = {event.number for event in timeline(events).effective}
    return tuple(
        (str(event.number), words.when(event.at_utc), event.who, event_text(event) + _undone(event, holds))
        for event in events
    )


def event_text(event: Event) -> str:
    """What happened, for the history."""
    return _TEXTS[event.kind](event.data)


def _undone(event: Event, holds: set[int]) -> str:
    return " (undone)" if event.kind in UNDOABLE and event.number not in holds else ""


def _of_field(what: str) -> Callable[[Data], str]:
    return lambda data: f"{what}: field {data['field']}" if "field" in data else what


def _accepted(data: Data) -> str:
    return _of_field("Field accepted")(data) + (", by sweeping" if data.get("swept") else "")


def _control_read(data: Data) -> str:
    lost = "; ".join(data.get("lost_words", ()))
    lot, status = words.clean(data.get("lot") or ""), (data.get("verdict") or {}).get("status", "")
    level = f": level {data['expected']}" if "expected" in data else ""
    told = f"Control read{level}{f', lot {lot}' if lot else ''}{f', {status}' if status else ''}"
    return told + (f". Corrections whose cells are not found any more: {lost}" if lost else "")


def _annotated(data: Data) -> str:
    text, before = words.clean(data.get("text") or ""), words.clean(data.get("before") or "")
    told = _of_field("Remark" if text else "Remark taken back")(data)
    return told + (f": {text}" if text else "") + (f" (before: {before})" if before else "")


def _corrected(data: Data) -> str:
    cells = data.get("cells", ())
    told = _of_field("Cells corrected")(data)
    if not cells:
        return told
    named = f"cell {', '.join(str(cell + 1) for cell in cells)}"
    which = named if len(cells) <= MAX_NAMED_CELLS else words.count(len(cells), "cell")
    before = dict.fromkeys(correction_label(word) for word in data.get("before", ()))
    return f"{told}, {which}: {correction_label(data.get('to'))} (before: {' or '.join(before)})"


def _drawn(data: Data) -> str:
    told = "Region outlined" + (f": region {data['region']}" if "region" in data else "")
    if "kind" in data:
        told += f", {REGION_LABELS[data['kind']].lower()}"
    if data.get("field") is not None:
        told += f", on field {data['field']}"
    note = words.clean(data.get("note") or "")
    return told + (f": {note}" if note else "")


def _region_removed(data: Data) -> str:
    return "Region removed" + (f": region {data['region']}" if "region" in data else "")


def _rule_changed(data: Data) -> str:
    moved = _rule(data)
    told = f"Cuts moved: {moved}" if moved else "Cuts set back to the stored settings"
    before = _rule(data.get("before") or {})
    return told + (f" (before: {before})" if before else "")


def _rule(data: Data) -> str:
    cuts = [
        f"{name} cut {data[key]:.2f} od10"
        for name in ("stained", "moderate", "intense")
        if data.get(key := f"{name}_od10") is not None
    ]
    if data.get("complete_share") is not None:
        cuts.append(f"completeness needed {data['complete_share']:.2f}")
    return ", ".join(cuts)


def _case_data(data: Data) -> str:
    told, before = _entries(data), _entries(data.get("before") or {})
    return "Case data entered" + (f": {told}" if told else "") + (f" (before: {before})" if before else "")


def _entries(data: Data) -> str:
    entries = {name.lower(): words.clean(data.get(key) or "") for key, name in CASE_DATA_LABELS.items()}
    return ", ".join(f"{name} {value}" for name, value in entries.items() if value)


def _joined(data: Data) -> str:
    which = f": island {data['island']} found on island {data['into']}" if "into" in data else ""
    return f"Islands of the map joined{which}"


def _undo(what: str) -> Callable[[Data], str]:
    return lambda data: f"{what}: event {data['event']}" if "event" in data else what


def _reader_scored(data: Data) -> str:
    told = "Pathologist's score entered"
    if "score" not in data:
        return told
    told += f": {_reader_score(data)}"
    before = data.get("before")
    return told + (f" (before: {_reader_score(before)})" if isinstance(before, Mapping) else "")


def _reader_score(data: Data) -> str:
    blind = ", before the computed score was shown" if data.get("blind") else ""
    remark = words.clean(data.get("remark") or "")
    return (data.get("score") or words.INDETERMINATE) + blind + (f", {remark}" if remark else "")


def _ish(data: Data) -> str:
    told = "ISH result entered"
    if "ish" not in data:
        return told
    before = f" (before: {data['before']})" if data.get("before") else ""
    return f"{told}: {data['ish'] or 'none'}{before}"


def _opened(what: str) -> Callable[[Data], str]:
    """With the program and the settings that the case is scored by from then on, as far as the event tells them."""

    def told(data: Data) -> str:
        program = data.get("program") or {}
        said = [f"her2scope {program['version']}, {program['method']}"] if {"version", "method"} <= set(program) else []
        said += [f"settings {data['settings_sha256'][:DIGITS]}"] if data.get("settings_sha256") else []
        return what + (f": {', '.join(said)}" if said else "")

    return told


def _with_reason(what: str) -> Callable[[Data], str]:
    def told(data: Data) -> str:
        reason = words.clean(data.get("reason") or "")
        return what + (f": {reason}" if reason else "")

    return told


def _signed(data: Data) -> str:
    told = "Case signed" + (f" as version {data['version']}" if "version" in data else "") + _named(" by", data)
    if "score" not in data:
        return told
    own = data.get("own_score") or words.INDETERMINATE
    looked = f", {words.count(len(data.get('fields', ())), 'field')} looked at"
    return f"{told}: reference score {data['score'] or words.NO_SCORE}, own score {own}{looked}"


def _amended(data: Data) -> str:
    which = f" as version {data['version']}" if "version" in data else ""
    return _with_reason(f"Signed case opened again{which}{_named(' by', data)}")(data)


def _named(what: str, data: Data) -> str:
    name = words.clean(data.get("name") or "")
    return f"{what} {name}" if name else ""


_TEXTS: Mapping[EventKind, Callable[[Data], str]] = {
    EventKind.OPENED: _opened("Case opened"),
    EventKind.CONTROL_READ: _control_read,
    EventKind.CONTROL_OVERRIDDEN: _with_reason("Invalid control overridden"),
    EventKind.FIELD_ACCEPTED: _accepted,
    EventKind.FIELD_REMOVED: _of_field("Field removed"),
    EventKind.FIELD_RESTORED: _of_field("Field restored"),
    EventKind.FIELD_ANNOTATED: _annotated,
    EventKind.CELLS_CORRECTED: _corrected,
    EventKind.REGION_DRAWN: _drawn,
    EventKind.REGION_REMOVED: _region_removed,
    EventKind.RULE_CHANGED: _rule_changed,
    EventKind.CASE_DATA_ENTERED: _case_data,
    EventKind.ISLANDS_JOINED: _joined,
    EventKind.READER_SCORED: _reader_scored,
    EventKind.ISH_ENTERED: _ish,
    EventKind.UNDONE: _undo("Undone"),
    EventKind.REDONE: _undo("Done again"),
    EventKind.RESUMED: _opened("Case opened again"),
    EventKind.FINISHED: lambda _: "Reading finished: case in review",
    EventKind.REOPENED: _with_reason("Back to reading"),
    EventKind.SIGNED: _signed,
    EventKind.SIGNING_REFUSED: lambda data: "Signature refused: wrong name or PIN" + _named(", for", data),
    EventKind.AMENDED: _amended,
}
