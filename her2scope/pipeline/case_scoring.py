"""A case as it stands: by which cuts its cells are classed, its score, and all that window and report show of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from her2scope.domain.cells import CellCounts, StainCuts
from her2scope.domain.control import CutsFrom
from her2scope.domain.corrections import RuleChange, RuleInForce
from her2scope.domain.score import CaseScore, ControlStanding, score_case
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.case_state import CaseState
from her2scope.pipeline.control import cuts_in_force, standing
from her2scope.pipeline.remeasure import with_pixels, with_rule
from her2scope.pipeline.signing import as_it_was_signed
from her2scope.pipeline.wording import change_words
from her2scope.records import AcceptedField, CaseView, ControlReading, FieldResult
from her2scope.settings import as_mapping


class CaseScoring:
    """Scores what a case's events add up to. Changes nothing."""

    def __init__(self, state: CaseState, analyser: FieldAnalyser) -> None:
        self._state, self._analyser = state, analyser

    # ---- cuts and rules -------------------------------------------------------------------------------------------

    @property
    def cuts(self) -> StainCuts:
        """Cuts that fields are measured with: the control's where one was read, else the settings'."""
        return self.cuts_by(self._state.controls)[0]

    def cuts_by(self, controls: Sequence[ControlReading]) -> tuple[StainCuts, CutsFrom]:
        """Cuts that these readings give, and where they come from."""
        analyser = self._analyser
        return cuts_in_force(analyser.default_cuts, controls, analyser.settings.control)

    @property
    def rule(self) -> RuleInForce:
        """Cuts and cell rule in force, with what the reader moved.

        A control that was read after the change may have set cuts between which the moved ones do not lie.
        """
        change = self._state.hand.change
        stored = self.rule_by(RuleChange())
        return replace(stored, cuts=change.cuts_over(stored.cuts), cell=change.rule(stored.cell), change=change)

    def rule_by(self, change: RuleChange) -> RuleInForce:
        """Cuts and cell rule by a change; CaseRuleError for one that cannot be."""
        base, cell = self.cuts, self._analyser.segmenter.rule
        return RuleInForce(change.cuts(base), change.rule(cell), base, cell, change)

    def in_force(self, result: FieldResult, rule: RuleInForce) -> FieldResult:
        """A field's analysis by a rule: the same where the reader moved nothing."""
        if not rule.deviates:
            return result
        moved = with_rule(result, self._analyser, rule.cuts, rule.cell)
        # a slider is followed by the figures; what the pixels say comes when it is let go
        return moved if rule.is_preview else with_pixels(moved, result, self._analyser)

    # ---- the case -------------------------------------------------------------------------------------------------

    def view(self, rule: RuleInForce) -> CaseView:
        """The case by a rule: a pure function of its events and their measures."""
        state, hand, analyser = self._state, self._state.hand, self._analyser
        fields = self._fields_by(rule)
        usable = [item for item in fields if item.active and item.result.quality.usable]
        scales = [item.result.frame.um_per_px for item in usable]
        held, score = self._scored(fields, rule)
        stored = self.rule_by(RuleChange())
        program = usable[-1].result.program if usable else analyser.program()
        ahead = state.timeline
        view = CaseView(
            case_id=state.case_id, opened_utc=state.opened_utc, finished_utc=state.sign_off.finished_utc, who=state.who,
            guideline=analyser.guideline.name, guideline_source=analyser.guideline.source,
            program=program, um_per_px=max(scales, default=None), cuts=rule.cuts,
            cuts_from=self.cuts_by(state.controls)[1],
            controls=tuple(state.controls), standing=held, override_reason=state.override_reason, fields=fields,
            score=score, ish=hand.ish, reader_score=hand.reader_score, settings=as_mapping(analyser.settings),
            calibration=as_mapping(analyser.calibration), events=tuple(state.events),
            rule=rule, regions=hand.regions_in_force(), data=hand.data,
            undo_text=change_words(ahead.undoable), redo_text=change_words(ahead.redoable),
            stored_score=self._scored(self._fields_by(stored), stored)[1] if rule.deviates else None,
            sign_off=state.sign_off,
        )  # fmt: skip
        return as_it_was_signed(view)

    def _fields_by(self, rule: RuleInForce) -> tuple[AcceptedField, ...]:
        """All fields, classed by a rule."""
        return self._state.accepted(rule, lambda result: self.in_force(result, rule), self._analyser.find)

    def _scored(self, fields: Sequence[AcceptedField], rule: RuleInForce) -> tuple[ControlStanding, CaseScore]:
        """What the control says of these fields, and the case's score."""
        state, analyser, settings = self._state, self._analyser, self._analyser.settings
        active = [item for item in fields if item.active]
        cuts_from = self.cuts_by(state.controls)[1]
        most_drift = settings.quality.max_white_drift
        held = standing(state.controls, state.override_reason, active, cuts_from, most_drift)
        scales = [item.result.frame.um_per_px for item in active if item.result.quality.usable]
        score = score_case(
            [item.counts for item in active], analyser.guideline, analyser.segmenter.false_rates,
            max(scales, default=0.0), held, state.hand.ish, settings.min_case_cells,
            numbers=[item.number for item in active],
            normal_ducts=CellCounts.total(item.duct_counts for item in active), deviates=rule.deviates,
        )  # fmt: skip
        return held, score
