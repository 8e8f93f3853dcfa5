"""A case from its opening to its report. Every change is an event, written before it counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, cast

from her2scope.domain.cells import StainCuts
from her2scope.domain.control_history import ControlEntry
from her2scope.domain.corrections import CaseData, Correction, RuleChange, RuleInForce
from her2scope.domain.errors import CaseRuleError, SigningError, StoreError
from her2scope.domain.events import Event, EventKind
from her2scope.domain.guideline import SCORES, Ish, Score
from her2scope.domain.regions import Region, RegionDraft
from her2scope.domain.score import ControlStatus
from her2scope.domain.sign_off import CaseStatus, signer_key
from her2scope.imaging.registration import Relief
from her2scope.pipeline.accumulate import join_of, kept_cells, overlaps_with
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.case_scoring import CaseScoring
from her2scope.pipeline.case_state import CaseState, Image
from her2scope.pipeline.control import (
    compared,
    judge,
    measure_control,
    measured_together,
    read_field,
    standing,
)
from her2scope.pipeline.field_data import field_images, field_to_data, overlap_to_data
from her2scope.pipeline.hand import join_in_force, place_after
from her2scope.pipeline.opening import opening_data, resuming_data
from her2scope.pipeline.remeasure import measured_again
from her2scope.pipeline.signing import signed_data
from her2scope.pipeline.wording import change_words, clock_words, frozen_words
from her2scope.ports import CaseFile, CaseReading, Clock, ControlHistory, Signers
from her2scope.records import (
    AcceptedField,
    CaseView,
    ControlReading,
    FieldResult,
    Frame,
    IslandJoin,
    MapPlace,
    Overlap,
    ReaderScore,
)
from her2scope.settings import Calibration, ScoringSettings, from_mapping


class CaseSession:
    """One open case. Used by one thread at a time; each call returns when its event is durable.

    Parameters
    ----------
    file : a `CaseFile`, or with `resume` False any reading of a case
    history : every control reading of the laboratory, by which new ones are judged and to which they are added
    other_case_of : id of another open case by its slide id (`CaseData.slide_id`), None where there is none
    signers : who may sign; None where cases are not signed, as in a demonstration
    resume : False to look at a stored case: nothing is ever recorded, and every change is refused
    """

    def __init__(
        self,
        file: CaseReading,
        analyser: FieldAnalyser,
        clock: Clock,
        who: str,
        history: ControlHistory | None = None,
        other_case_of: Callable[[str], str | None] = lambda _: None,
        signers: Signers | None = None,
        *,
        resume: bool = True,
    ) -> None:
        self._file, self._analyser, self._clock, self._who = file, analyser, clock, who
        self._history, self._other_case_of, self._signers = history, other_case_of, signers
        self._may_write = resume
        self._is_told = False
        """Whether the case knows by which run of the program it is changed now."""
        self._clock_warning = ""
        self._view: tuple[int, CaseView] | None = None
        self._state = CaseState(file.case_id, file.image)
        self._scoring = CaseScoring(self._state, analyser)
        stored = file.events()
        for event in stored:
            self._state.take(event)
        self._state.check()
        if resume and self._state.sign_off.status is CaseStatus.OPEN:
            self._tell_run()  # a frozen case is told only when somebody does something to it

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
        """Cuts that fields are measured with: the control's where one was read, else the settings'."""
        return self._scoring.cuts

    @property
    def rule(self) -> RuleInForce:
        """Cuts and cell rule in force, with what the reader moved."""
        return self._scoring.rule

    @property
    def next_island(self) -> int:
        """Least number of an island of the map that this case never knew."""
        return next_island(self._state.events)

    def in_force(self, result: FieldResult) -> FieldResult:
        """A field's analysis by the cuts in force: the same where the reader moved none."""
        return self._scoring.in_force(result, self.rule)

    @property
    def clock_warning(self) -> str:
        """What must be said of this computer's clock, once; empty where its times are in order."""
        return self._clock_warning

    def doubt(self) -> str:
        """Why this is not the case that was kept, in words; empty where it is. StoreError where that is not known."""
        why = cast(CaseFile, self._file).doubt() if self._may_write else ""
        return why and f"case {self.case_id} was changed by another hand: {why}. Run her2scope session verify."

    def close(self) -> None:
        """Let go of the case; it can be opened again."""
        self._file.close()

    # ---- what the reader does -------------------------------------------------------------------------------------

    def read_control(
        self, frame: Frame, expected: Score, lot: str, speed_um_per_s: float = 0.0, run: str = ""
    ) -> ControlReading:
        """Read a control field of a known score; it is measured together with the level's fields before it.

        Where it changes the cuts, the fields accepted so far are measured again, in the same event: a case never
        holds fields measured with two scales. The reader's words go with their cells where a field then has others;
        the reading says which of them found no cell.
        """
        self._must_be_open()
        if expected not in SCORES:
            raise CaseRuleError(f"a control has a score of {', '.join(SCORES)}, not '{expected}'.")
        if speed_um_per_s > self._analyser.settings.quality.max_speed_um_per_s:  # it would be a reading that failed
            raise CaseRuleError("control not read: the stage is moving. Hold still, then read it.")
        controls = self._state.controls
        joined = measured_together(controls, expected, lot, frame)
        result = read_field(self._analyser, frame, expected, self.cuts, speed_um_per_s)
        measures = measure_control(self._analyser, [*(item.result for item in joined), result], expected)
        numbers = tuple(item.number for item in joined)
        verdict = judge(self._analyser, measures, expected, [item for item in controls if item.number not in numbers])
        reading = ControlReading(0, "", expected, lot, measures, verdict, result, numbers, run)
        reading, entry = self._compared(reading, joined)
        again = self._measured_again([*controls, reading])
        moved = self._moved_cells(again)
        data = {
            "expected": expected,
            "lot": lot,
            "measures": asdict(measures),
            "verdict": asdict(reading.verdict),
            "with_earlier": list(numbers),
            "run": run,
            "run_cuts": True,  # told, as cases of earlier versions do not have them
            "result": field_to_data(result),
            "fields": [
                {"field": number, "result": field_to_data(field), **moved.get(number, {})}
                for number, field in again.items()
            ],
            "lost_words": self._lost_words(moved),
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

    def accept(
        self,
        frame: Frame,
        result: FieldResult | None = None,
        keep_unusable: bool = False,
        place: MapPlace | None = None,
        *,
        swept: bool = False,
        show: Callable[[CaseView], None] | None = None,
    ) -> AcceptedField:
        """Add a field to the case; CaseRuleError with the reasons where it cannot be scored.

        Parameters
        ----------
        result : the analysis of this very frame where it is there already; it is used if the cuts still hold
        keep_unusable : list a field that cannot be scored, without a cell, so that a batch accounts for every image
        place : where the map of the slide has it; None: the pictures have to tell
        swept : nobody looked at this field by itself: only its cells within outlined invasive tumour count
        show : told the case with the field while it is being written; where that fails, an error follows
        """
        self._must_be_open()
        if any(item.result.frame.is_drawn is not frame.is_drawn for item in self.view.fields):
            raise CaseRuleError(
                "field not added: a case holds fields of a microscope, or of the virtual one, never of both. "
                "Start the next case (Ctrl+N), or start her2scope with --source."
            )
        if result is None or result.frame is not frame or not self._holds(result):
            result = self._analyser.analyse(frame, self.cuts)
        if not result.quality.usable and not keep_unusable:
            raise CaseRuleError(f"field not added: {'; '.join(result.quality.reasons)}.")
        place, overlaps = self._place_among_fields(frame, place)
        number = max(self._state.fields, default=0) + 1
        data = {
            "field": number,
            "overlaps": [overlap_to_data(overlap) for overlap in overlaps],
            "place": asdict(self._state.place_for(number, overlaps, place)),
            "swept": swept,
        }
        self._record_field(data, result, show)
        return next(item for item in self.view.fields if item.number == number)

    def remove(self, number: int) -> None:
        """Take a field out of the case."""
        self._must_be_open()
        if not self._is_active(number):
            raise CaseRuleError(f"field {number} is removed already.")
        self._record(EventKind.FIELD_REMOVED, {"field": number})

    def restore(self, number: int) -> None:
        """Put a removed field back."""
        self._must_be_open()
        if self._is_active(number):
            raise CaseRuleError(f"field {number} is in the case already.")
        self._record(EventKind.FIELD_RESTORED, {"field": number})

    def annotate(self, number: int, text: str) -> None:
        """Write a remark to a field; an empty one takes it back."""
        self._must_be_open()
        self._state.field(number)
        before = self._state.hand.annotations.get(number, "")
        if text.strip() != before:
            self._record(EventKind.FIELD_ANNOTATED, {"field": number, "text": text.strip(), "before": before})

    def correct_cells(self, number: int, cells: Sequence[int], to: Correction | None) -> None:
        """Reclassify or exclude cells of a field, by their places in its list; None: as the method read them.

        The same cell in another field is meant too: a cell is one cell, however often it was seen.
        """
        self._must_be_open()
        found = self._state.field(number).result.cells
        if not cells or any(not 0 <= cell < len(found) for cell in cells):
            raise CaseRuleError(f"field {number} has no such cell: choose one of its {len(found)}.")
        mine, *same = (self._words_on(*item) for item in self._same_cells(number, sorted(set(cells))).items())
        if any(word is not to for item in (mine, *same) for word in item["before"]):
            self._record(EventKind.CELLS_CORRECTED, {**mine, "to": to, "same": same})

    def draw_region(self, draft: RegionDraft) -> Region:
        """Exclude tissue, mark normal ducts, or restrict to invasive tumour."""
        self._must_be_open()
        if draft.field is not None:
            self._state.field(draft.field)
        number = len(self._drawn) + 1
        self._record(EventKind.REGION_DRAWN, {"region": number, **_plain(asdict(draft))})
        return self._state.hand.regions[number]

    def remove_region(self, number: int) -> None:
        """Take a region back."""
        self._must_be_open()
        if number not in self._state.hand.regions:
            raise CaseRuleError(f"there is no outline {number} in case {self.case_id}.")
        self._record(EventKind.REGION_REMOVED, {"region": number})

    def change_rule(self, change: RuleChange) -> None:
        """Move cuts or the completeness needed for the whole case; an empty change: back to the stored settings."""
        self._must_be_open()
        self._scoring.rule_by(change)  # refuses what cannot be
        before = self._state.hand.change
        if change != before:
            self._record(EventKind.RULE_CHANGED, {**asdict(change), "before": asdict(before)})

    def preview(self, change: RuleChange) -> CaseView:
        """The case as it would be with moved cuts; nothing is recorded."""
        self._must_be_open()
        return self._scoring.view(replace(self._scoring.rule_by(change), is_preview=True))

    def enter_case_data(self, data: CaseData) -> None:
        """Name the case; CaseRuleError where another open case has this slide."""
        self._must_be_open()
        data, before = data.stripped(), self._state.hand.data
        self._must_be_its_only_case(data)
        if data != before:
            self._record(EventKind.CASE_DATA_ENTERED, {**asdict(data), "before": asdict(before)})

    def join_islands(self, join: IslandJoin) -> bool:
        """Two islands of the map are one: what lies on the later one moves onto the earlier one.

        Gives whether that means anything to this case.
        """
        meant = join_in_force(join, self.joins)
        if self._state.sign_off.status is not CaseStatus.OPEN or meant is None or not self._knows_island(meant.island):
            return False
        self._join(meant)
        return True

    def _join(self, join: IslandJoin) -> None:
        """Record a join, with the overlaps of earlier fields that only their places on one island tell."""
        fields = self._state.fields
        before = {number: self._state.hand.place_in_force(item.place) for number, item in fields.items()}
        places = {number: place_after(place, [join]) for number, place in before.items()}
        overlaps = []
        for number, item in fields.items():
            known = {overlap.field for overlap in item.overlaps}
            earlier = {
                other: (seen.relief, seen.result.frame)
                for other, seen in fields.items()
                if other < number
                and other not in known
                and {before[other].island, before[number].island} == {join.island, join.into}
            }
            found = overlaps_with(item.result.frame, item.relief, earlier, places[number], places)
            overlaps += [{"later": number, **overlap_to_data(overlap)} for overlap in found]
        self._record(EventKind.ISLANDS_JOINED, {**asdict(join), "overlaps": overlaps})

    def _holds(self, result: FieldResult) -> bool:
        """Whether an analysis is one by the cuts in force, and asked the region model where the case has one."""
        is_gated = result.outside is not None or not result.quality.usable
        return result.cuts == self.cuts and (is_gated or self._analyser.settings.where_to_count is None)

    def _place_among_fields(self, frame: Frame, place: MapPlace | None) -> tuple[MapPlace | None, tuple[Overlap, ...]]:
        """Where a new field lies, and which fields show some of its tissue.

        One that shows tissue of a field on another island (of a resumed case, mostly) makes the islands one.
        """
        hand, fields, relief = self._state.hand, self._state.fields, Relief.of(frame)
        place = hand.place_in_force(place) if place is not None else None
        earlier = {number: (item.relief, item.result.frame) for number, item in fields.items()}
        places = {number: hand.place_in_force(item.place) for number, item in fields.items()}
        overlaps = overlaps_with(frame, relief, earlier, place, places)
        if place is None:
            return None, overlaps
        joins = (join_of(frame, place, fields[one.field].result.frame, places[one.field], one) for one in overlaps)
        join = next((found for found in joins if found is not None), None)
        if join is None:
            return place, overlaps
        self._join(join)
        return self._place_among_fields(frame, place)  # on the island that remains, small overlaps are found too

    @property
    def joins(self) -> tuple[IslandJoin, ...]:
        """Islands that are one, in the order in which that was found out."""
        return tuple(self._state.hand.joins)

    def undo(self) -> str:
        """Take the last change back, and say which; CaseRuleError where there is none."""
        return self._turn(EventKind.UNDONE, self._state.timeline.undoable, "there is nothing to undo.")

    def redo(self) -> str:
        """Do again what was undone last, and say what; CaseRuleError where there is nothing."""
        return self._turn(EventKind.REDONE, self._state.timeline.redoable, "there is nothing to redo.")

    def enter_reader_score(self, score: ReaderScore) -> None:
        """The pathologist's own score, beside the computed one; a difference needs a sentence."""
        self._must_be_open()
        if score.score is not None and score.score not in SCORES:
            raise CaseRuleError(f"a score is {', '.join(SCORES)} or indeterminate, not '{score.score}'.")
        missing = self._missing_sentence(score)
        if missing and not (score.blind and score.score is not None):
            raise CaseRuleError(f"{missing} Write it as the remark to your score.")
        score, before = replace(score, remark=score.remark.strip()), self._state.hand.reader_score
        if score != before:
            data = {**asdict(score), "before": asdict(before) if before else None}
            self._record(EventKind.READER_SCORED, data)

    def enter_ish(self, ish: Ish | None) -> None:
        """The ISH result as the reader knows it; None takes it back."""
        self._must_be_open()
        before = self._state.hand.ish
        if ish is not before:
            self._record(EventKind.ISH_ENTERED, {"ish": ish, "before": before})

    def finish(self) -> CaseView:
        """End the reading: from now on the case is in review; its view is what the report is written from."""
        self._must_be_open()
        own = self._state.hand.reader_score
        missing = self._missing_sentence(own) if own is not None else ""
        if missing:
            raise CaseRuleError(f"{missing} Write it as the remark to your score, then finish.")
        self._record(EventKind.FINISHED, {"score": self.view.score.score})
        return self.view

    # ---- sign-off -------------------------------------------------------------------------------------------------

    def reopen(self, reason: str) -> None:
        """Back from review to reading; what was signed is amended instead."""
        self._must_be((CaseStatus.IN_REVIEW,), "only a case in review is reopened")
        reason = _written(reason, "reopening a case")
        self._must_be_its_only_case(self._state.hand.data)
        self._record(EventKind.REOPENED, {"reason": reason})

    def sign(self, name: str, pin: str, looked_at_fields: bool, seen: CaseView | None = None) -> CaseView:
        """Sign this version of the case; CaseRuleError where it cannot be signed now, SigningError for a wrong PIN.

        Parameters
        ----------
        seen : the case as the signer was shown it: nothing else is signed; None where nobody could change it meanwhile
        """
        own = self._signable(looked_at_fields, seen)
        name = self._checked(name, pin)
        self._record(EventKind.SIGNED, signed_data(self.view, own, name, self._analyser.program()))
        return self.view

    def enrol_and_sign(self, name: str, pin: str, looked_at_fields: bool, seen: CaseView | None = None) -> CaseView:
        """The same by somebody who signs here for the first time: nobody is enrolled for a case that is not signed."""
        self._signable(looked_at_fields, seen)
        self._who_may_sign().enrol(name, pin)
        return self.sign(name, pin, looked_at_fields, seen)

    def amend(self, name: str, pin: str, reason: str) -> None:
        """Open a signed case again as its next version, by somebody who may sign; what was signed is kept."""
        self._must_be((CaseStatus.SIGNED, CaseStatus.AMENDED), "only a signed case is amended")
        reason = _written(reason, "amending a case")
        self._must_be_its_only_case(self._state.hand.data)
        if doubt := self.doubt():
            raise CaseRuleError(f"{doubt} It cannot be amended.")
        name, signed = self._checked(name, pin), self._state.sign_off
        data = {"version": signed.version + 1, "name": name, "reason": reason}
        self._record(EventKind.AMENDED, {**data, "amends_event": signed.signatures[-1].event})

    def seal(self) -> None:
        """Write the manifest of the signed case's files, and keep the head of its events outside it."""
        self._writable().seal("signed")

    def _signable(self, looked_at_fields: bool, seen: CaseView | None) -> ReaderScore:
        """The pathologist's own score, where all is there that a signature needs; CaseRuleError else."""
        self._must_be((CaseStatus.IN_REVIEW,), "only a case in review is signed: finish its reading first")
        if seen is not None and not self._reads_as(seen):
            raise CaseRuleError(
                f"case {self.case_id} is not as it was shown for the signature: look at it again, then sign it."
            )
        if doubt := self.doubt():
            raise CaseRuleError(f"{doubt} It cannot be signed.")
        own = self._state.hand.reader_score
        if own is None:
            raise CaseRuleError(
                f"case {self.case_id} has no score of your own: reopen it, enter your score (or indeterminate), "
                "finish it, then sign."
            )
        missing = self._missing_sentence(own)  # another version of the program may compute another score
        if missing:
            raise CaseRuleError(f"{missing} Reopen the case and write it as the remark to your score, then sign.")
        if not looked_at_fields:
            raise CaseRuleError("confirm that you looked at the annotated fields: without that a case is not signed.")
        return own

    def _reads_as(self, seen: CaseView) -> bool:
        """Whether nothing came since that could change what was shown, and the figures are those of the case."""
        since = self._state.events[len(seen.events) :]
        return (
            seen.case_id == self.case_id
            and seen.sign_off == self._state.sign_off
            and seen.score == self.view.score
            and all(event.kind in (EventKind.RESUMED, EventKind.SIGNING_REFUSED) for event in since)
        )

    def _checked(self, name: str, pin: str) -> str:
        """The signer's name as it is enrolled; where name or PIN are wrong that is kept as an event, never the PIN."""
        signers = self._who_may_sign()
        key = signer_key(name)
        known = next((one for one in signers.names() if signer_key(one) == key), "")
        try:
            signers.check(name, pin)
        except SigningError:
            # a name that nobody has may be a PIN in the wrong line, and is not kept
            self._record(EventKind.SIGNING_REFUSED, {"name": known})
            raise
        return known

    def _who_may_sign(self) -> Signers:
        if self._signers is None:
            raise CaseRuleError(f"case {self.case_id} is a demonstration's or a copy: nobody signs it.")
        return self._signers

    # ---- what there is --------------------------------------------------------------------------------------------

    @property
    def view(self) -> CaseView:
        """The case as it stands: a pure function of its events and their measures."""
        n_events = len(self._state.events)
        if self._view is None or self._view[0] != n_events:
            self._view = n_events, self._scoring.view(self.rule)
        if self._view[1].head.n_events != n_events:
            self._view = n_events, self._with_head(self._view[1])
        return self._view[1]

    @property
    def view_at_once(self) -> CaseView:
        """The case as it stands but for what the pixels of its fields say by moved cuts, which takes longer."""
        rule = self.rule
        if not rule.deviates:
            return self.view
        return self._with_head(replace(self._scoring.view(replace(rule, is_preview=True)), rule=rule))

    def _with_head(self, view: CaseView) -> CaseView:
        """The case with the end of its chain: of one event less while the newest is being written."""
        try:
            return replace(view, head=self._file.head())
        except StoreError:
            return view  # what is saved is saved; the next view asks again

    # ---- events ---------------------------------------------------------------------------------------------------

    def _record(
        self,
        kind: EventKind,
        data: Mapping[str, Any],
        results: Mapping[int, FieldResult] | None = None,
    ) -> None:
        """Write an event, then let it count: what fails to be written has not happened.

        `results` are the analyses that the event names, by field number (0: the control's).
        """
        results = results or {}
        file = self._writable()
        event = self._next_event(kind, data)
        images: list[Image] = []
        for result in results.values():
            images += field_images(result)
        file.append(event, images)
        self._state.take(event, results)

    def _record_field(
        self, data: Mapping[str, Any], result: FieldResult, show: Callable[[CaseView], None] | None
    ) -> None:
        """Let an accepted field count and be shown while it is written, which takes longer than a score may.

        What fails to be written has not happened here either: the field goes again.
        """
        file = self._writable()
        told = self._next_event(EventKind.FIELD_ACCEPTED, data)
        self._state.take(told, {data["field"]: result})
        try:
            if show is not None:
                show(self.view)
            whole = replace(told, data={**data, "result": field_to_data(result)})
            file.append(whole, field_images(result))
        except BaseException:
            self._state.forget_last()
            self._view = None
            raise

    def _next_event(self, kind: EventKind, data: Mapping[str, Any]) -> Event:
        now_utc, monotonic_us = self._clock.now_utc(), round(1e6 * self._clock.monotonic_s())
        if self._state.events and not self._clock_warning:
            self._clock_warning = clock_words(self._state.events[-1].at_utc, now_utc)
        return Event(len(self._state.events) + 1, kind, now_utc, self._who, data, monotonic_us)

    def _writable(self) -> CaseFile:
        """The case's file, which knows by then which run of the program writes to it."""
        self._must_be_writable()
        if not self._is_told:
            self._tell_run()
        return cast(CaseFile, self._file)  # whoever may write gave one

    def _tell_run(self) -> None:
        """Record that a case is opened, or that another run of the program goes on with it."""
        self._is_told = True
        try:
            if self._state.events:
                self._record(EventKind.RESUMED, resuming_data(self._analyser))
            else:
                self._record(EventKind.OPENED, opening_data(self._analyser))
        except BaseException:
            self._is_told = False
            raise

    def _turn(self, kind: EventKind, event: Event | None, nothing: str) -> str:
        self._must_be_open()
        if event is None:
            raise CaseRuleError(nothing)
        if event.kind is EventKind.CASE_DATA_ENTERED:
            self._must_be_its_only_case(CaseData.of(event.data if kind is EventKind.REDONE else event.data["before"]))
        self._record(kind, {"event": event.number})
        return change_words(event)

    # ---- helpers --------------------------------------------------------------------------------------------------

    def _compared(
        self, reading: ControlReading, joined: Sequence[ControlReading]
    ) -> tuple[ControlReading, ControlEntry]:
        """A reading judged by the lab's chart too, and what the history will keep of it."""
        told = self._history.entries() if self._history is not None else ()
        return compared(reading, joined, told, self._clock.now_utc(), self._analyser.calibration.name)

    def _measured_again(self, controls: Sequence[ControlReading]) -> dict[int, FieldResult]:
        """The fields as analysed with the cuts that `controls` give, where those differ from the fields' own."""
        cuts, _ = self._scoring.cuts_by(controls)
        stale = {number: item for number, item in self._state.fields.items() if item.result.cuts != cuts}
        return {number: measured_again(item.result, self._analyser, cuts) for number, item in stale.items()}

    def _is_active(self, number: int) -> bool:
        self._state.field(number)
        return number in self._state.hand.active

    @property
    def _drawn(self) -> list[Event]:
        """Every region that was ever drawn, those undone too: an undo may bring them back."""
        return [event for event in self._state.events if event.kind is EventKind.REGION_DRAWN]

    def _knows_island(self, island: int) -> bool:
        """Whether a field or a region lies there, after all joins; one whose making was undone may come back."""
        places = [item.place for item in self._state.fields.values()]
        places += [MapPlace(event.data["island"], 0.0, 0.0) for event in self._drawn]
        return any(self._state.hand.place_in_force(place).island == island for place in places)

    def _same_cells(self, number: int, cells: Sequence[int]) -> dict[int, list[int]]:
        """These cells of a field, and the same cells in the fields where a word was said of them before."""
        chosen = {number: list(cells)}
        for cell in cells:
            for field, same in self._state.same.of((number, cell)):
                if (field, same) in self._state.hand.corrections:
                    chosen.setdefault(field, []).append(same)
        return chosen

    def _words_on(self, number: int, cells: list[int]) -> dict[str, Any]:
        """Cells of a field, and the reader's words on them before a change."""
        corrections = self._state.hand.corrections
        return {"field": number, "cells": cells, "before": [corrections.get((number, cell)) for cell in cells]}

    def _moved_cells(self, again: Mapping[int, FieldResult]) -> dict[int, dict[str, Any]]:
        """Of the fields measured again, those with another list of cells: which cells are the same."""
        kept = {number: kept_cells(self._state.fields[number].result, now) for number, now in again.items()}
        return {number: {"same_cells": pairs} for number, pairs in kept.items() if pairs is not None}

    def _lost_words(self, moved: Mapping[int, Mapping[str, Any]]) -> list[str]:
        """The reader's words on cells that are not among those of the fields measured again, in words."""
        lost = []
        for (number, place), word in sorted(self._state.hand.corrections.items()):
            if number in moved and place not in dict(moved[number]["same_cells"]):
                cell = self._state.fields[number].result.cells[place]
                where = f"field {number} at x {cell.x_px:.0f}, y {cell.y_px:.0f} px"
                lost.append(f"{word.value.replace('_', ' ')} ({where})")
        return lost

    def _must_be_its_only_case(self, data: CaseData) -> None:
        """Raise CaseRuleError where another open case has the slide that `data` name."""
        is_known = self._state.sign_off.status is CaseStatus.OPEN and data.slide_id == self._state.hand.data.slide_id
        other = self._other_case_of(data.slide_id) if data.slide_id and not is_known else None
        if other is not None:
            raise CaseRuleError(
                f"slide {data.slide_id} is open in case {other} already: it would be scored twice. "
                "Go on with that case, or correct the entry."
            )

    def _missing_sentence(self, score: ReaderScore) -> str:
        """What must be written beside the reader's score and is not; empty where nothing is missing."""
        computed = self.view.score.score
        if score.remark.strip():
            return ""
        if score.score is None:
            return "an indeterminate score needs a reason."
        if computed is not None and score.score != computed:
            return f"your score {score.score} differs from the reference score {computed}: that needs a sentence."
        return ""

    def _must_be_writable(self) -> None:
        if not self._may_write:
            raise CaseRuleError(f"case {self.case_id} is only looked at here: open it to change it.")

    def _must_be_open(self) -> None:
        self._must_be_writable()
        frozen = frozen_words(self.case_id, self._state.sign_off)
        if frozen:
            raise CaseRuleError(frozen)

    def _must_be(self, statuses: Sequence[CaseStatus], only: str) -> None:
        """Raise CaseRuleError unless the case is in one of these states."""
        self._must_be_writable()
        now = self._state.sign_off
        if now.status not in statuses:
            raise CaseRuleError(frozen_words(self.case_id, now) or f"case {self.case_id} is still being read: {only}.")


def _written(reason: str, what: str) -> str:
    """A reason without the space around it; CaseRuleError where nothing is written."""
    if not reason.strip():
        raise CaseRuleError(f"{what} needs a written reason: it stands in the report.")
    return reason.strip()


def stored_settings(file: CaseReading) -> tuple[str, ScoringSettings, Calibration] | None:
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


def next_island(events: Sequence[Event]) -> int:
    """Least number of an island of the map that a case of these events never knew: an undo may bring back what it did.

    Known without opening the case, which takes longer than a picture should, and says what of it cannot be read.
    """
    places = [event.data.get("place") or event.data for event in events]
    told = [place.get(name) for place in places if isinstance(place, Mapping) for name in ("island", "into")]
    return max((island for island in told if isinstance(island, int)), default=-1) + 1


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as JSON keeps them: lists, not tuples."""
    return {name: [list(corner) for corner in item] if name == "polygon_um" else item for name, item in values.items()}
