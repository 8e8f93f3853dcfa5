"""The numbers of a report: table rows for the writers, and the JSON contracts `her2scope.score/1` and `control/1`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources

from her2scope.domain.cells import SHARE_ORDER, CellClass
from her2scope.domain.control import CUTS_WORDS, ControlCode, CutsFrom
from her2scope.domain.heterogeneity import HotSpot
from her2scope.domain.score import LOW_END_NOT_COVERED, NEGATIVE_NOT_READ, CaseScore
from her2scope.overlays.palette import LABELS
from her2scope.ports import JsonObject
from her2scope.records import AcceptedField, CaseView, ControlReading, ProgramInfo, ReportContent
from her2scope.reporting import doubt, hand, words
from her2scope.reporting.cap import cap_json
from her2scope.reporting.json_parts import MEASURE_DIGITS, case_json, field_json, record_json, rounded

SCORE_SCHEMA = "her2scope.score/1"
CONTROL_SCHEMA = "her2scope.control/1"


# ---- rows ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShareRow:
    """One class of the case: how many cells, which share, how sure."""

    name: CellClass
    label: str
    n: int
    percent: float | None
    interval95: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field of the case, in the words of the field table."""

    number: int
    image: str
    n_tumour: int
    """Tumour cells of it that the case counts."""
    n_other: int
    shares: tuple[str, ...]
    """Percentages in `SHARE_ORDER`, as text."""
    score: str
    note: str


def share_rows(score: CaseScore) -> tuple[ShareRow, ...]:
    """Shares of a case or of a slide, most stained class first."""
    shares, intervals = score.shares_percent or {}, score.interval95_percent or {}
    return tuple(
        ShareRow(name, LABELS[name], score.counts[name], shares.get(name), intervals.get(name)) for name in SHARE_ORDER
    )


def field_rows(view: CaseView) -> tuple[FieldRow, ...]:
    """Active fields in the order of acceptance."""
    hot = doubt.hot_spots(view)
    return tuple(_field_row(item, hot.get(item.number)) for item in view.active_fields)


def _field_row(item: AcceptedField, hot: HotSpot | None) -> FieldRow:
    result = item.result
    shares = result.counts.shares_percent() if result.quality.usable else None
    texts = tuple(f"{shares[name]:.1f}" if shares else "-" for name in SHARE_ORDER)
    score = result.score or ("not usable" if not result.quality.usable else words.NO_SCORE)
    image = words.clean(result.frame.name) or f"field {item.number}"
    note = " ".join([*([words.sentence(str(hot))] if hot else []), words.field_note(item)]).strip()
    return FieldRow(item.number, image, item.counts.n_tumour, item.counts.n_other, texts, score, note)


def control_figures(reading: ControlReading) -> tuple[tuple[str, str, str, str], ...]:
    """What was read from a control field: two pairs of name and figure per row."""
    measures = reading.measures
    clipped = words.percent(100 * measures.clipped_share)
    return (
        ("Read", words.when(reading.at_utc), "DAB between membranes", words.od10(measures.background_od10)),
        ("Tumour cells", str(measures.n_tumour), "DAB in nuclei over cytoplasm", words.od10(measures.nuclear_od10)),
        ("Membrane DAB, median", words.od10(measures.membrane_od10), "Clipped pixels", clipped),
        (
            "Intense cut it gives",
            words.od10(measures.intense_od10),
            "Haematoxylin of nuclei",
            words.od10(measures.counterstain_od10),
        ),
    )


def versions(view: CaseView) -> tuple[tuple[str, str], ...]:
    """What made the result: program, method, model, guideline, cuts, and the digest of all that decides a score."""
    program = view.program
    moved, origin = hand.deviation(view), CUTS_ORIGIN[view.cuts_from]
    model = f"{program.model_name} (SHA-256 {program.model_sha256})" if program.model_name else "none"
    return (
        ("Program", f"her2scope {program.version}"),
        ("Method", program.method),
        ("Model", model),
        *_where(view),
        ("Computed on", program.provider),
        ("Guideline", f"{view.guideline}: {view.guideline_source}"),
        ("Cuts", f"{words.cuts_text(view)} ({origin}{', moved by the reader' if moved else ''})"),
        *([("Cuts moved by the reader", moved)] if moved else []),
        ("Settings digest (SHA-256)", view.settings_sha256),
    )


def _where(view: CaseView) -> tuple[tuple[str, str], ...]:
    """The region model that says where to count, where there is one."""
    where = view.where_to_count
    if not where:
        return ()
    classes, least = " and ".join(where["count_in"]), where["least_probability"]
    model = f"{where['model']} (SHA-256 {where['model_sha256']}): {classes}, at least {100 * least:g} % probable"
    return (("Region model", words.clean(model)),)


# ---- JSON ---------------------------------------------------------------------------------------------------------


def score_json(view: CaseView) -> JsonObject:
    """Case as `her2scope.score/1`; JSON values only, no NaN."""
    return {
        "schema": SCORE_SCHEMA,
        "program": _program_json(view.program),
        "guideline": view.guideline,
        "settings_sha256": view.settings_sha256,
        "control": _control_of_case_json(view),
        "fields": [field_json(item) for item in view.active_fields],
        "case": case_json(view),
    }


def report_json(content: ReportContent) -> JsonObject:
    """The same with the case's record and the entries of the CAP template, as a stored case's report has them."""
    return {**score_json(content.case), "record": record_json(content), "cap": cap_json(content)}


def control_json(reading: ControlReading) -> JsonObject:
    """Reading of a control as `her2scope.control/1`."""
    return {
        "schema": CONTROL_SCHEMA,
        "status": reading.verdict.status.value,
        "reasons": list(reading.verdict.reasons),
        "codes": [code.value for code in reading.verdict.codes],
        "expected": reading.expected,
        "read": reading.measures.read,
        "intense_od10": rounded(reading.measures.intense_od10, MEASURE_DIGITS),
        "n_tumour": reading.measures.n_tumour,
    }


def schema(name: str) -> JsonObject:
    """JSON Schema (draft 2020-12) of a contract, by the name in its `schema` key."""
    file_name = name.removeprefix("her2scope.").replace("/", "-") + ".schema.json"
    text = resources.files("her2scope.reporting").joinpath("schemas", file_name).read_text(encoding="utf-8")
    found: JsonObject = json.loads(text)
    return found


def _program_json(program: ProgramInfo) -> JsonObject:
    return {
        "version": program.version,
        "method": program.method,
        "model": {"name": program.model_name, "sha256": program.model_sha256},
        "provider": program.provider,
    }


CUTS_ORIGIN = {
    CutsFrom.SETTINGS: "defaults",
    CutsFrom.CONTROL: "from the control",
    CutsFrom.RUN: "from a control that is not sufficient",
}
OPEN_ENDS = {
    LOW_END_NOT_COVERED: ControlCode.LOW_END_NOT_COVERED,
    NEGATIVE_NOT_READ: ControlCode.NEGATIVE_NOT_READ,
}
"""What a sufficient control leaves open for the score at hand."""


def _control_of_case_json(view: CaseView) -> JsonObject:
    """Standing of the control: its own reasons, and why it may not hold for this case."""
    readings = words.latest_readings(view)
    own_cut = view.control.measures.intense_od10 if view.control else None
    stored = view.rule.base_cuts if view.rule else view.cuts  # without what the reader moved
    intense_od10 = stored.intense_od10 if view.cuts_from is CutsFrom.CONTROL else own_cut
    codes = [code for reading in readings for code in reading.verdict.codes]
    codes += [code for reason, code in OPEN_ENDS.items() if reason in view.score.reasons]
    codes += [ControlCode.DRIFT for refusal in view.standing.refusals if ControlCode.DRIFT in refusal]
    doubts = words.control_doubts(view)
    whose_cuts = CUTS_WORDS[view.cuts_from]
    if view.cuts_from is CutsFrom.RUN and not any(whose_cuts in doubt for doubt in doubts):
        doubts = (*doubts, whose_cuts)
    return {
        "status": view.standing.status.value,
        "reasons": [*doubts, *(end for end in OPEN_ENDS if end in view.score.reasons)],
        "codes": list(dict.fromkeys([code.value for code in codes])),
        "intense_od10": rounded(intense_od10, MEASURE_DIGITS),
    }
