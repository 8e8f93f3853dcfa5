"""A case from its opening to its report. Every change is an event, written before it counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from her2scope.domain.cells import StainCuts
from her2scope.domain.control_history import ControlEntry
from her2scope.domain.errors import CaseRuleError
from her2scope.domain.events import Event, EventKind
from her2scope.domain.guideline import SCORES, Ish, Score
from her2scope.domain.score import ControlStatus, score_case
from her2scope.imaging.registration import Relief
from her2scope.pipeline.accumulate import overlaps_with
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.case_state import CaseState, Image
from her2scope.pipeline.control import (
    compared,
    cuts_in_force,
    judge,
    measure_control,
    measured_together,
    read_field,
    standing,
)
from her2scope.pipeline.field_data import field_to_data, overlap_to_data
from her2scope.ports import CaseFile, Clock, ControlHistory
from her2scope.records import (
    AcceptedField,
    CaseView,
    ControlReading,
    FieldResult,
    Frame,
    ReaderScore,
)
from her2scope.settings import Calibration, ScoringSettings, as_mapping, from_mapping


class CaseSession:
    """One open case. Used by one thread at a time; each call returns when its event is durable.

    Parameters
    ----------
    history : every control reading of the laboratory, by which new ones are judged and to which they are added
    """

    def __init__(
        self, file: CaseFile, analyser: FieldAnalyser, clock: Clock, who: str, history: ControlHistory | None = None
    ) -> None:
        self._file, self._analyser, self._clock, self._who = file, analyser, clock, who
        self._history = history
        self._state = CaseState(file.case_id, file.image)
        stored = file.events()
        for event in stored:
            self._state.take(event)
        if not stored:
            self._record(EventKind.OPENED, opening_data(analyser))
        elif self._state.finished_utc is None:
            self._record(EventKind.RESUMED, {"program": asdict(analyser.program())})

    @property
    def case_id(self) -> str:
        """Identity of the case."""
        return self._file.case_id

    @property
    def analyser(self) -> FieldAnalyser:
        """What frames of this case are analysed with."""
        return self._analyser

    @property
    def cuts(self) -> StainCuts:
        """Cuts in force: the control's where one was read, else the settings'."""
        return self._cuts_of(self._state.controls)[0]

    def close(self) -> None:
        """Let go of the case; it can be opened again."""
        self._file.close()

    # ---- what the reader does -------------------------------------------------------------------------------------

    def read_control(
        self, frame: Frame, expected: Score, lot: str, speed_um_per_s: float = 0.0, run: str = ""
    ) -> ControlReading:
        """Read a control field of a known score; it is measured together with the level's fields before it.

        Where it changes the cuts, the fields accepted so far are measured again, in the same event: a case never
        holds fields measured with two scales.
        """
        self._must_be_open()
        if expected not in SCORES:
            raise CaseRuleError(f"a control has a score of {', '.join(SCORES)}, not '{expected}'.")
        controls = self._state.controls
        joined = measured_together(controls, expected, lot, frame)
        result = read_field(self._analyser, frame, expected, self.cuts, speed_um_per_s)
        measures = measure_control(self._analyser, [*(item.result for item in joined), result], expected)
        numbers = tuple(item.number for item in joined)
        verdict = judge(self._analyser, measures, expected, [item for item in controls if item.number not in numbers])
        reading = ControlReading(0, "", expected, lot, measures, verdict, result, numbers, run)
        reading, entry = self._compared(reading, joined)
        again = self._measured_again([*controls, reading])
        data = {
            "expected": expected,
            "lot": lot,
            "measures": asdict(measures),
            "verdict": asdict(reading.verdict),
            "with_earlier": list(numbers),
            "run": run,
            "result": field_to_data(result),
            "fields": [{"field": number, "result": field_to_data(field)} for number, field in again.items()],
        }
        self._record(EventKind.CONTROL_READ, data, {0: result, **again})
        if self._history is not None:
            self._history.append(entry)
        return self._state.controls[-1]

    def override_control(self, reason: str) -> None:
        """Score in spite of an invalid control; the reason stands on the report's first page."""
        self._must_be_open()
        if not reason.strip():
            raise CaseRuleError("an override needs a written reason: it stands on the report's first page.")
        if standing(self._state.controls, None, []).status is not ControlStatus.INVALID:
            raise CaseRuleError("only an invalid control can be overridden, and none is in force.")
        self._record(EventKind.CONTROL_OVERRIDDEN, {"reason": reason.strip()})

    def accept(self, frame: Frame, result: FieldResult | None = None, keep_unusable: bool = False) -> AcceptedField:
        """Add a field to the case; CaseRuleError with the reasons where it cannot be scored.

        `result` is the analysis of this very frame where it is there already; it is used if the cuts still hold.
        `keep_unusable` lists a field that cannot be scored, without a cell, so that a batch accounts for every image.
        """
        self._must_be_open()
        if result is None or result.frame is not frame or result.cuts != self.cuts:
            result = self._analyser.analyse(frame, self.cuts)
        if not result.quality.usable and not keep_unusable:
            raise CaseRuleError(f"field not added: {'; '.join(result.quality.reasons)}.")
        relief = Relief.of(frame)
        earlier = {number: (item.relief, item.result.frame) for number, item in self._state.fields.items()}
        overlaps = overlaps_with(frame, relief, earlier)
        number = max(self._state.fields, default=0) + 1
        data = {
            "field": number,
            "overlaps": [overlap_to_data(overlap) for overlap in overlaps],
            "result": field_to_data(result),
        }
        self._record(EventKind.FIELD_ACCEPTED, data, {number: result})
        return next(item for item in self.view.fields if item.number == number)

    def remove(self, number: int) -> None:
        """Take a field out of the case."""
        self._must_be_open()
        if not self._state.field(number).active:
            raise CaseRuleError(f"field {number} is removed already.")
        self._record(EventKind.FIELD_REMOVED, {"field": number})

    def restore(self, number: int) -> None:
        """Put a removed field back."""
        self._must_be_open()
        if self._state.field(number).active:
            raise CaseRuleError(f"field {number} is in the case already.")
        self._record(EventKind.FIELD_RESTORED, {"field": number})

    def enter_reader_score(self, score: ReaderScore) -> None:
        """The pathologist's own score, beside the computed one."""
        self._must_be_open()
        if score.score is not None and score.score not in SCORES:
            raise CaseRuleError(f"a score is {', '.join(SCORES)} or indeterminate, not '{score.score}'.")
        self._record(EventKind.READER_SCORED, asdict(score))

    def enter_ish(self, ish: Ish | None) -> None:
        """The ISH result as the reader knows it; None takes it back."""
        self._must_be_open()
        self._record(EventKind.ISH_ENTERED, {"ish": ish})

    def finish(self) -> CaseView:
        """Close the case for good; its view is what the report is written from."""
        self._must_be_open()
        self._record(EventKind.FINISHED, {"score": self.view.score.score})
        return self.view

    # ---- what there is --------------------------------------------------------------------------------------------

    @property
    def view(self) -> CaseView:
        """The case as it stands: a pure function of its events and their measures."""
        state, settings = self._state, self._analyser.settings
        fields = state.accepted()
        active = [item for item in fields if item.active]
        scales = [item.result.frame.um_per_px for item in active if item.result.quality.usable]
        usable = [item for item in active if item.result.quality.usable]
        cuts, from_control = self._cuts_of(state.controls)
        most_drift = settings.quality.max_white_drift
        held = standing(state.controls, state.override_reason, active, from_control, most_drift)
        score = score_case(
            [item.counts for item in active], self._analyser.guideline, self._analyser.segmenter.false_rates,
            max(scales, default=0.0), held, state.ish, settings.min_case_cells,
        )  # fmt: skip
        program = usable[-1].result.program if usable else self._analyser.program()
        return CaseView(
            case_id=self.case_id, opened_utc=state.opened_utc, finished_utc=state.finished_utc, who=state.who,
            guideline=self._analyser.guideline.name, guideline_source=self._analyser.guideline.source,
            program=program, um_per_px=max(scales, default=None), cuts=cuts, cuts_from_control=from_control,
            controls=tuple(state.controls), standing=held, override_reason=state.override_reason, fields=fields,
            score=score, ish=state.ish, reader_score=state.reader_score, settings=as_mapping(settings),
            calibration=as_mapping(self._analyser.calibration), events=tuple(state.events),
        )  # fmt: skip

    # ---- events ---------------------------------------------------------------------------------------------------

    def _record(
        self, kind: EventKind, data: Mapping[str, Any], results: Mapping[int, FieldResult] | None = None
    ) -> None:
        """Write an event, then let it count: what fails to be written has not happened.

        `results` are the analyses that the event names, by field number (0: the control's).
        """
        results = results or {}
        event = Event(len(self._state.events) + 1, kind, self._clock.now_utc(), self._who, data)
        images: list[Image] = []
        for result in results.values():
            images += [result.frame.rgb, result.membrane]
        self._file.append(event, images)
        self._state.take(event, results)

    # ---- helpers --------------------------------------------------------------------------------------------------

    def _compared(
        self, reading: ControlReading, joined: Sequence[ControlReading]
    ) -> tuple[ControlReading, ControlEntry]:
        """A reading judged by the lab's chart too, and what the history will keep of it."""
        told = self._history.entries() if self._history is not None else ()
        return compared(reading, joined, told, self._clock.now_utc(), self._analyser.calibration.name)

    def _measured_again(self, controls: Sequence[ControlReading]) -> dict[int, FieldResult]:
        """The fields analysed with the cuts that `controls` give, where those differ from the fields' own."""
        cuts, _ = self._cuts_of(controls)
        stale = {number: item for number, item in self._state.fields.items() if item.result.cuts != cuts}
        return {number: self._analyser.analyse(item.result.frame, cuts) for number, item in stale.items()}

    def _cuts_of(self, controls: Sequence[ControlReading]) -> tuple[StainCuts, bool]:
        analyser = self._analyser
        return cuts_in_force(analyser.default_cuts, controls, analyser.settings.control)

    def _must_be_open(self) -> None:
        if self._state.finished_utc is not None:
            raise CaseRuleError(f"case {self.case_id} is finished; start a new case to go on.")


def opening_data(analyser: FieldAnalyser) -> dict[str, Any]:
    """What a case must be able to say of itself years later: program, settings, calibration."""
    return {
        "program": asdict(analyser.program()),
        "settings": as_mapping(analyser.settings),
        "calibration": as_mapping(analyser.calibration),
    }


def stored_settings(file: CaseFile) -> tuple[str, ScoringSettings, Calibration] | None:
    """Method, settings and calibration that a case was opened with, None for a new one: a resumed case keeps them."""
    events = file.events()
    if not events:
        return None
    data = events[0].data
    where = f"case {file.case_id}"
    return (
        data["program"]["method"],
        from_mapping(ScoringSettings, data["settings"], where),
        from_mapping(Calibration, data["calibration"], where),
    )
