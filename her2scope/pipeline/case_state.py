"""What a case's events add up to: the fold from events to fields, controls and the reader's entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.control import ControlCode, ControlMeasures, ControlVerdict
from her2scope.domain.corrections import RuleInForce
from her2scope.domain.errors import CaseDamagedError, CaseRuleError
from her2scope.domain.events import Event, EventKind, Timeline, timeline
from her2scope.domain.score import ControlStatus
from her2scope.domain.sign_off import SignOff, after
from her2scope.imaging.registration import Relief
from her2scope.pipeline.accumulate import matched_cells, place_from_overlaps
from her2scope.pipeline.counting import CaseField, Counting, Find, InForce, SameCells
from her2scope.pipeline.field_data import field_from_data
from her2scope.pipeline.hand import Hand
from her2scope.records import AcceptedField, ControlReading, FieldResult, MapPlace, Overlap

Image = NDArray[np.uint8]
Results = Mapping[int, FieldResult]
CONTROL = 0
"""Where a control's own analysis stands among an event's results; fields count from 1."""


class CaseState:
    """Folds events; the same events give the same state, live or read back.

    Parameters
    ----------
    image : image of the case by digest, for analyses that are not at hand
    """

    def __init__(self, case_id: str, image: Callable[[str], Image]) -> None:
        self.case_id, self._image = case_id, image
        self.events: list[Event] = []
        """Without the analyses that they name: those are in `fields` and `controls`, and in the case's file."""
        self.opened_utc = ""
        self.sign_off = SignOff()
        self.who = ""
        self.fields: dict[int, CaseField] = {}
        """All that were ever accepted; which of them count is the hand's."""
        self.controls: list[ControlReading] = []
        self.override_reason: str | None = None
        self.same = SameCells()
        self._counting, self._counting_stored, self._counting_preview = Counting(), Counting(), Counting()
        self._folded: tuple[int, Timeline, Hand] = (0, timeline(()), Hand())
        self._handlers: Mapping[EventKind, Callable[[Event, Results], None]] = {
            EventKind.OPENED: self._on_opened,
            EventKind.CONTROL_READ: self._on_control_read,
            EventKind.CONTROL_OVERRIDDEN: self._on_control_overridden,
            EventKind.FIELD_ACCEPTED: self._on_field_accepted,
            EventKind.ISLANDS_JOINED: self._on_islands_joined,
        }

    def take(self, event: Event, results: Mapping[int, FieldResult] | None = None) -> None:
        """Let an event count; analyses that are not in `results` (by field number) are read back from the case."""
        handler = self._handlers.get(event.kind)  # what is not here is the reader's hand
        try:
            came = after(self.sign_off, event)
            if handler is not None:
                handler(event, results or {})
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(event, error) from error
        self.sign_off = came
        self.events.append(_without_results(event))

    def forget_last(self) -> None:
        """Take back the newest event, that of a field, which could not be written after all."""
        event = self.events.pop()
        del self.fields[event.data["field"]]
        self.same = SameCells(self.fields.values())
        self._folded = (0, timeline(()), Hand())

    def check(self) -> None:
        """Raise CaseDamagedError where the reader's events cannot be read."""
        self._fold()

    @property
    def timeline(self) -> Timeline:
        """Which events hold after all undoing."""
        return self._fold()[1]

    @property
    def hand(self) -> Hand:
        """What the reader did, as it holds now."""
        return self._fold()[2]

    def _fold(self) -> tuple[int, Timeline, Hand]:
        if self._folded[0] != len(self.events):  # events are only ever added, or the last one taken back
            try:
                folded = timeline(self.events)
                self._folded = len(self.events), folded, Hand.of(folded.effective)
            except (KeyError, TypeError, ValueError) as error:
                raise self._damaged(self.events[-1], error) from error
        return self._folded

    def _damaged(self, event: Event, error: Exception) -> CaseDamagedError:
        why = f"event {event.number} ({event.kind.value}) of case {self.case_id} cannot be read: {error!r}"
        return CaseDamagedError(f"{why}. Keep the folder as it is and restore it from a backup.")

    def field(self, number: int) -> CaseField:
        """A field by its number; CaseRuleError where there is none."""
        try:
            return self.fields[number]
        except KeyError:
            raise CaseRuleError(f"there is no field {number} in case {self.case_id}.") from None

    def accepted(self, rule: RuleInForce, in_force: InForce, find: Find) -> tuple[AcceptedField, ...]:
        """All fields in order; each active one counts the cells that no earlier active one has counted."""
        moved = self._counting_preview if rule.is_preview else self._counting
        counting = moved if rule.deviates else self._counting_stored
        return counting.count(tuple(self.fields.values()), self.same, self.hand, rule, in_force, find)

    def place_for(self, number: int, overlaps: tuple[Overlap, ...], told: MapPlace | None) -> MapPlace:
        """Where a field lies: as the map told, else by a field that shows the same tissue, else an island of its own.

        Islands of the map count from 0; those of fields that nobody placed are negative.
        """
        if told is not None:
            return told
        placed = {other: (item.place, item.result.frame.um_per_px) for other, item in self.fields.items()}
        return place_from_overlaps(overlaps, placed) or MapPlace(-number, 0.0, 0.0)

    def _result_of(self, data: Mapping[str, Any], results: Results, number: int) -> FieldResult:
        if number in results:
            return results[number]
        kept = data.get("profiles")  # absent in cases of earlier versions
        profiles = self._image(kept) if kept else None
        outside = self._image(data["outside"]) if "outside" in data else None
        return field_from_data(data, self._image(data["image"]), self._image(data["membrane"]), profiles, outside)

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
            tuple(data.get("lost_words", ())),
            "run_cuts" in data,
        )  # fmt: skip
        self.controls.append(reading)
        for item in data["fields"]:
            number = item["field"]
            self.fields[number].result = self._result_of(item["result"], results, number)
        if data["fields"]:
            self._find_all_twins()
        self.override_reason = None  # an override holds for the readings it was written for

    def _on_control_overridden(self, event: Event, _: Results) -> None:
        self.override_reason = event.data["reason"]

    def _on_field_accepted(self, event: Event, results: Results) -> None:
        data = event.data
        number = data["field"]
        # an event that is shown while it is written has no result yet
        found = results[number] if number in results else self._result_of(data["result"], results, number)
        overlaps = tuple(Overlap(**item) for item in data["overlaps"])
        told = data.get("place")  # absent, as `swept`, in cases of earlier versions
        place = self.place_for(number, overlaps, MapPlace(**told) if told else None)
        made = CaseField(number, event.at_utc, found, overlaps, Relief.of(found.frame), place, data.get("swept", False))
        self.fields[number] = made
        self._find_twins(made)
        self.same.add(made)

    def _on_islands_joined(self, event: Event, _: Results) -> None:
        for item in event.data["overlaps"]:
            later, overlap = self.fields[item["later"]], Overlap(item["field"], item["dx_px"], item["dy_px"])
            later.overlaps = tuple(sorted((*later.overlaps, overlap), key=lambda one: one.field))
        if event.data["overlaps"]:
            self._find_all_twins()

    def _find_all_twins(self) -> None:
        for item in self.fields.values():
            self._find_twins(item)
        self.same = SameCells(self.fields.values())

    def _find_twins(self, item: CaseField) -> None:
        item.twins = {
            overlap.field: tuple(matched_cells(item.result, overlap, self.fields[overlap.field].result))
            for overlap in item.overlaps
        }


def _without_results(event: Event) -> Event:
    """An event as it is remembered: the outlines of a field alone are tens of thousands of small lists."""
    data = {name: value for name, value in event.data.items() if name != "result"}
    if event.kind is EventKind.CONTROL_READ:
        fields = [{name: value for name, value in item.items() if name != "result"} for item in data["fields"]]
        data["fields"] = fields
    return replace(event, data=data)
