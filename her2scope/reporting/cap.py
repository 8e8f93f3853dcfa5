"""HER2 by immunohistochemistry in the entries of the CAP template for reporting breast biomarkers.

After College of American Pathologists, Template for Reporting Results of Biomarker Testing of Specimens From Patients
With Carcinoma of the Breast (HER2 by IHC, and methods). What nobody entered is said to be so, and never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from her2scope.domain.cells import CellClass
from her2scope.domain.corrections import CaseData
from her2scope.domain.guideline import Score
from her2scope.domain.preanalytics import cold_ischaemia, fixation
from her2scope.domain.score import ControlStatus
from her2scope.ports import JsonObject
from her2scope.records import CaseView, ReportContent
from her2scope.reporting import hand, record, words

CAP_TITLE = "CAP breast biomarker template: HER2 by immunohistochemistry"
CAP_KEY = (
    "Entries of the template of the College of American Pathologists. The result is the pathologist's own score; the "
    "reference score of the image analysis stands beside it."
)
RESULTS: dict[Score, str] = {
    "0": "Negative (score 0)",
    "1+": "Negative (score 1+)",
    "2+": "Equivocal (score 2+)",
    "3+": "Positive (score 3+)",
}
HANDLING_TITLE = "Handling of the tissue:"
CANNOT_BE_DETERMINED = "Cannot be determined (indeterminate)"
_STATUS_WORDS = {
    ControlStatus.VALID: "adequate",
    ControlStatus.WARNING: "adequate, with a warning",
    ControlStatus.INVALID: "NOT adequate",
    ControlStatus.ABSENT: "not known",
}


@dataclass(frozen=True, slots=True)
class CapEntry:
    """One entry of the template."""

    key: str
    """Its name in JSON."""
    label: str
    text: str
    """What the report says; `not entered` where nobody did."""
    meets: bool | None = None
    """Whether it meets the guideline's limit; None where it has none, or cannot be told."""


def cap_entries(content: ReportContent) -> tuple[CapEntry, ...]:
    """All entries, in the order of the template."""
    return tuple(_entries(content))


def handling_words(data: CaseData) -> str:
    """In what the handling of the tissue, as entered, does not meet the guideline; empty where it does or is not known.

    Antigen may then be lost, and a low score say nothing: page one tells it.
    """
    cold, fixed = cold_ischaemia(data.cold_ischaemia_min), fixation(data.fixative, data.fixation_h)
    told = (("cold ischaemia", cold), ("fixation", fixed))
    return " ".join(words.sentence(f"{name} {item.words}") for name, item in told if item.meets is False)


def _entries(content: ReportContent) -> Iterator[CapEntry]:
    view, data = content.case, content.case.data
    yield CapEntry("result", "HER2 by IHC, result of the pathologist", _own_result(view))
    yield CapEntry("reference_result", "HER2 by IHC, image analysis", _reference_result(view))
    yield CapEntry("uniform_intense_complete", "Cells with uniform intense complete membrane staining", _uniform(view))
    yield CapEntry("ish", "HER2 by in situ hybridisation", words.ish_text(view))
    yield CapEntry("specimen", "Specimen", _entered(data.specimen))
    yield CapEntry("block", "Testing performed on block", _entered(data.block))
    cold, fixed = cold_ischaemia(data.cold_ischaemia_min), fixation(data.fixative, data.fixation_h)
    yield CapEntry("cold_ischaemia", "Cold ischaemia time", words.clean(cold.words), cold.meets)
    yield CapEntry("fixation", "Fixative and fixation time", words.clean(fixed.words), fixed.meets)
    yield CapEntry("antibody_clone", "Primary antibody, clone", _entered(data.antibody_clone))
    yield CapEntry("antibody_run", "Staining run and lots", _runs(view))
    yield CapEntry("control", "External control", _control(view))
    yield CapEntry("internal_control", "Internal control", _internal_control(view))
    yield CapEntry("image_analysis", "Image analysis", _image_analysis(view))
    yield CapEntry("validation", "Validation of the image analysis", record.validation(content).line)
    yield CapEntry("guideline", "Scoring guideline", f"{view.guideline}: {view.guideline_source}")


def cap_json(content: ReportContent) -> JsonObject:
    """The entries by their names; null where nothing was entered."""
    return {item.key: _value(item) for item in cap_entries(content)}


def _value(item: CapEntry) -> JsonObject:
    text = None if item.text == words.NOT_ENTERED else item.text
    return {"label": item.label, "text": text, "meets": item.meets}


def _entered(text: str) -> str:
    return words.clean(text) or words.NOT_ENTERED


def _own_result(view: CaseView) -> str:
    if view.reader_score is None:
        return words.NOT_ENTERED
    own = view.reader_score.score
    return CANNOT_BE_DETERMINED if own is None else RESULTS[own]


def _reference_result(view: CaseView) -> str:
    score = view.score.score
    found = CANNOT_BE_DETERMINED if score is None else RESULTS[score]
    return found if view.score.reportable else f"{found}; not reportable"


def _uniform(view: CaseView) -> str:
    name = CellClass.COMPLETE_INTENSE
    if view.score.shares_percent is None or view.score.interval95_percent is None:
        return CANNOT_BE_DETERMINED
    share, interval = view.score.shares_percent[name], view.score.interval95_percent[name]
    of = words.count(view.score.counts.n_tumour, "counted tumour cell")
    found = f"{words.percent(share)} of {of} (95 % interval {words.interval(interval)}), by image analysis"
    return found if view.score.reportable else f"{found}; not reportable"


def _runs(view: CaseView) -> str:
    """Run as entered with the case, and runs and lots as entered with its controls."""
    readings = words.latest_readings(view)
    runs = dict.fromkeys(filter(None, map(words.clean, (view.data.antibody_run, *(item.run for item in readings)))))
    lots = dict.fromkeys(filter(None, (words.clean(item.lot) for item in readings)))
    said = [*(f"run {run}" for run in runs), *(f"lot of the control {lot}" for lot in lots)]
    return ", ".join(said) or words.NOT_ENTERED


def _control(view: CaseView) -> str:
    said = "NOT adequate for this case" if view.standing.refusals else _STATUS_WORDS[view.standing.status]
    return " ".join([words.sentence(f"{said} ({words.control_headline(view)})"), *words.control_reasons(view)])


def _internal_control(view: CaseView) -> str:
    found = hand.duct_text(view).removeprefix(hand.INTERNAL_CONTROL)
    return found or "no normal duct was marked"


def _image_analysis(view: CaseView) -> str:
    program = view.program
    digest = f" (SHA-256 {program.model_sha256})" if program.model_sha256 else ""
    model = f", model {words.clean(program.model_name)}{digest}" if program.model_name else ""
    return f"performed: her2scope {program.version}, method {program.method}{model}, on {program.provider}"
