"""Real camera fields scored as cases with their control, on the same path as `her2scope score --control`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from her2scope.domain.control import CutsFrom
from her2scope.domain.errors import BadInputError
from her2scope.evaluation.table import Figure, PartReport, Reports, told
from her2scope.evaluation.work import Analysers, Tell
from her2scope.phantom.compare.real_fields import RealField
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.clock import SystemClock
from her2scope.pipeline.control import ANCHOR_LEVEL
from her2scope.pipeline.session import CaseSession
from her2scope.ports import JsonObject
from her2scope.records import CaseView, Frame
from her2scope.storage.memory import MemoryCaseStore

FOLDER = "her2_camera_fields"
CONTROL_STEM = "case008_f09_score3"
ON = "real camera fields, control case008_f09"


@dataclass(frozen=True, slots=True)
class CaseAnswer:
    """What a method says of a case."""

    case: str
    label: str
    """Empty where the label is in doubt."""
    counted: bool
    """Whether the case proves anything: it has a label, and is not the control itself."""
    view: CaseView

    @property
    def is_right(self) -> bool:
        """Whether the score is the label."""
        return self.view.score.score == self.label


def evaluate_real_cases(analysers: Analysers, listed: Sequence[RealField], tell: Tell) -> Reports:
    """Score each case of the list's camera fields by each method."""
    fields = [field for field in listed if Path(field.file).parts[0] == FOLDER]
    control = next((field for field in fields if field.path.stem == CONTROL_STEM), None)
    if control is None:
        raise BadInputError(f"the list of real pictures names no {FOLDER}/{CONTROL_STEM}, which is the control.")
    answers: dict[str, list[CaseAnswer]] = {method: [] for method in analysers}
    for case in dict.fromkeys(field.case for field in fields):
        some = [field for field in fields if field.case == case]
        for method, analyser in analysers.items():
            answers[method].append(_answer(analyser, case, some, control))
        tell(f"real cases: {case}")
    return {method: _report(found) for method, found in answers.items()}


def score_case_of(analyser: FieldAnalyser, fields: Sequence[RealField], controls: Sequence[RealField]) -> CaseView:
    """Score pictures as the fields of one case, after fields of its 3+ control."""
    session = CaseSession(MemoryCaseStore().create("evaluation"), analyser, SystemClock(), "evaluation")
    for place, field in enumerate(controls):
        session.read_control(_frame(field, place), ANCHOR_LEVEL, lot="")
    for place, field in enumerate(fields):
        session.accept(_frame(field, place), keep_unusable=True)
    return session.view


def _frame(field: RealField, place: int) -> Frame:
    return Frame(field.read(), place, 0.0, field.um_per_px, name=field.file)


def _answer(analyser: FieldAnalyser, case: str, fields: Sequence[RealField], control: RealField) -> CaseAnswer:
    label = fields[0].score
    return CaseAnswer(case, label, bool(label) and control not in fields, score_case_of(analyser, fields, [control]))


def _report(answers: Sequence[CaseAnswer]) -> PartReport:
    counted = [answer for answer in answers if answer.counted]
    right = sum(answer.is_right for answer in counted)
    share = right / len(counted) if counted else None
    total = Figure(ON, "score equal to the label", "all", share, f"{right} of {len(counted)}", right == len(counted))
    figures = (total, *(told(ON, f"  {_name(answer)}", None, _said(answer)) for answer in answers))
    notes = tuple(f"{answer.case}: {_said(answer)}: {'; '.join(_reasons(answer.view))}" for answer in answers)
    return PartReport(figures, {"cases": [_as_json(answer) for answer in answers]}, notes)


def _name(answer: CaseAnswer) -> str:
    label = f"label {answer.label}" if answer.label else "label in doubt"
    return f"{answer.case}, {label}{'' if answer.counted else ', not counted'}"


def _said(answer: CaseAnswer) -> str:
    score = answer.view.score
    return f"{score.score or 'no score'}, {score.category.value}, {score.counts.n_tumour} cells"


def _reasons(view: CaseView) -> list[str]:
    """Why the score is what it is, doubts of its fields among them, and what the quality gate says of each."""
    gate = [(Path(item.result.frame.name).stem, text) for item in view.fields for text in item.result.quality.reasons]
    return [*view.score.reasons, *(f"{stem}: {text}" for stem, text in gate)]


def _as_json(answer: CaseAnswer) -> JsonObject:
    score, view = answer.view.score, answer.view
    shares: Mapping[str, float] = {name.value: round(share, 2) for name, share in (score.shares_percent or {}).items()}
    return {
        "case": answer.case,
        "label": answer.label or None,
        "counted": answer.counted,
        "score": score.score,
        "category": score.category.value,
        "n_tumour": score.counts.n_tumour,
        "n_other": score.counts.n_other,
        "shares_percent": dict(shares),
        "reasons": _reasons(view),
        "control": {
            "status": view.standing.status.value,
            "gave_cuts": view.cuts_from is not CutsFrom.SETTINGS,
            "intense_od10": view.cuts.intense_od10,
        },
        "fields": [
            {"image": item.result.frame.name, "score": item.result.score, "n_tumour": item.result.counts.n_tumour}
            for item in view.fields
        ],
    }
