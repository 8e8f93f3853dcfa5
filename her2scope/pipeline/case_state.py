"""What a case's events add up to: the fold from events to fields, controls and the reader's entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellCounts
from her2scope.domain.control import ControlCode, ControlMeasures, ControlVerdict
from her2scope.domain.errors import CaseDamagedError, CaseRuleError
from her2scope.domain.events import Event, EventKind
from her2scope.domain.guideline import Ish
from her2scope.domain.score import ControlStatus
from her2scope.imaging.registration import Relief
from her2scope.pipeline.accumulate import counted_cells
from her2scope.pipeline.field_data import field_from_data
from her2scope.records import AcceptedField, ControlReading, FieldResult, Overlap, ReaderScore

Image = NDArray[np.uint8]
Results = Mapping[int, FieldResult]
CONTROL = 0
"""Where a control's own analysis stands among an event's results; fields count from 1."""


@dataclass(slots=True)
class CaseField:
    """A field of the case with the measures now in force."""

    number: int
    at_utc: str
    result: FieldResult
    overlaps: tuple[Overlap, ...]
    relief: Relief
    active: bool = True


class CaseState:
    """Folds events; the same events give the same state, live or read back.

    Parameters
    ----------
    image : image of the case by digest, for analyses that are not at hand
    """

    def __init__(self, case_id: str, image: Callable[[str], Image]) -> None:
        self.case_id, self._image = case_id, image
        self.events: list[Event] = []
        self.opened_utc = ""
        self.finished_utc: str | None = None
        self.who = ""
        self.fields: dict[int, CaseField] = {}
        self.controls: list[ControlReading] = []
        self.override_reason: str | None = None
        self.ish: Ish | None = None
        self.reader_score: ReaderScore | None = None
        self._handlers: Mapping[EventKind, Callable[[Event, Results], None]] = {
            EventKind.OPENED: self._on_opened,
            EventKind.CONTROL_READ: self._on_control_read,
            EventKind.CONTROL_OVERRIDDEN: self._on_control_overridden,
            EventKind.FIELD_ACCEPTED: self._on_field_accepted,
            EventKind.FIELD_REMOVED: self._on_field_removed,
            EventKind.FIELD_RESTORED: self._on_field_restored,
            EventKind.READER_SCORED: self._on_reader_scored,
            EventKind.ISH_ENTERED: self._on_ish_entered,
            EventKind.RESUMED: self._on_resumed,
            EventKind.FINISHED: self._on_finished,
        }

    def take(self, event: Event, results: Mapping[int, FieldResult] | None = None) -> None:
        """Let an event count; analyses that are not in `results` (by field number) are read back from the case."""
        try:
            self._handlers[event.kind](event, results or {})
        except (KeyError, TypeError, ValueError) as error:
            why = f"event {event.number} ({event.kind.value}) of case {self.case_id} cannot be read: {error!r}"
            raise CaseDamagedError(f"{why}. Keep the folder as it is and restore it from a backup.") from error
        self.events.append(event)

    def field(self, number: int) -> CaseField:
        """A field by its number; CaseRuleError where there is none."""
        try:
            return self.fields[number]
        except KeyError:
            raise CaseRuleError(f"there is no field {number} in case {self.case_id}.") from None

    def accepted(self) -> tuple[AcceptedField, ...]:
        """All fields in order; each active one counts the cells that no earlier active one has counted."""
        earlier: dict[int, FieldResult] = {}
        accepted = []
        for number, item in self.fields.items():
            counted = counted_cells(item.result, item.overlaps, earlier)
            if item.active:
                earlier[number] = item.result
            counts = CellCounts.of(
                cell.cell_class for cell, is_counted in zip(item.result.cells, counted, strict=True) if is_counted
            )
            accepted.append(
                AcceptedField(number, item.at_utc, item.result, item.overlaps, item.active, counted, counts)
            )
        return tuple(accepted)

    def _result_of(self, data: Mapping[str, Any], results: Results, number: int) -> FieldResult:
        if number in results:
            return results[number]
        return field_from_data(data, self._image(data["image"]), self._image(data["membrane"]))

    def _on_opened(self, event: Event, _: Results) -> None:
        self.opened_utc, self.who = event.at_utc, event.who

    def _on_control_read(self, event: Event, results: Results) -> None:
        data = event.data
        tuples = {name: tuple(value) for name, value in data["measures"].items() if isinstance(value, list)}
        measures = {**data["measures"], **tuples}
        verdict = ControlVerdict(
            ControlStatus(data["verdict"]["status"]),
            tuple(ControlCode(code) for code in data["verdict"]["codes"]),
            tuple(data["verdict"]["reasons"]),
            tuple(data["verdict"].get("rules", ())),
        )
        reading = ControlReading(
            len(self.controls) + 1, event.at_utc, data["expected"], data["lot"],
            ControlMeasures(**measures), verdict, self._result_of(data["result"], results, CONTROL),
            tuple(data.get("with_earlier", ())),  # absent, as the run, in cases of earlier versions
            data.get("run", ""),
        )  # fmt: skip
        self.controls.append(reading)
        for item in data["fields"]:
            number = item["field"]
            self.field(number).result = self._result_of(item["result"], results, number)
        self.override_reason = None  # an override holds for the readings it was written for

    def _on_control_overridden(self, event: Event, _: Results) -> None:
        self.override_reason = event.data["reason"]

    def _on_field_accepted(self, event: Event, results: Results) -> None:
        number = event.data["field"]
        found = self._result_of(event.data["result"], results, number)
        overlaps = tuple(Overlap(**item) for item in event.data["overlaps"])
        self.fields[number] = CaseField(number, event.at_utc, found, overlaps, Relief.of(found.frame))

    def _on_field_removed(self, event: Event, _: Results) -> None:
        self.field(event.data["field"]).active = False

    def _on_field_restored(self, event: Event, _: Results) -> None:
        self.field(event.data["field"]).active = True

    def _on_reader_scored(self, event: Event, _: Results) -> None:
        self.reader_score = ReaderScore(**event.data)

    def _on_ish_entered(self, event: Event, _: Results) -> None:
        self.ish = None if event.data["ish"] is None else Ish(event.data["ish"])

    def _on_finished(self, event: Event, _: Results) -> None:
        self.finished_utc = event.at_utc

    def _on_resumed(self, event: Event, _: Results) -> None:
        """A note for the record: nothing changes."""
