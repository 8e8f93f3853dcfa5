"""A scored slide as `her2scope.slide/1`: JSON values only, null where there is nothing, no time and no path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from her2scope.domain.cells import SHARE_ORDER, CellClass
from her2scope.domain.control import ControlCode, CutsFrom
from her2scope.domain.score import ControlStatus
from her2scope.ports import JsonObject
from her2scope.records import ControlReading
from her2scope.reporting import words
from her2scope.reporting.content import OPEN_ENDS
from her2scope.reporting.json_parts import MEASURE_DIGITS, SHARE_DIGITS, counts_json, rounded
from her2scope.slides.records import HotSpot, ScoredSquare, SlideScore, Square
from her2scope.slides.slide_score import mean_weight

SLIDE_SCHEMA = "her2scope.slide/1"
UM_DIGITS, AREA_DIGITS = 2, 4


def slide_json(score: SlideScore, identity: str) -> JsonObject:
    """All figures of a slide; the same slide, program and options give the same bytes.

    Parameters
    ----------
    identity : digest of the slide's file, by which its results are told from those of another slide
    """
    program = score.program
    return {
        "schema": SLIDE_SCHEMA,
        "program": {
            "version": program.version,
            "method": program.method,
            "model": {"name": program.model_name, "sha256": program.model_sha256},
            "provider": program.provider,
        },
        "guideline": score.guideline,
        "settings_sha256": score.settings_sha256,
        "slide": _slide_json(score, identity),
        "control": _control_json(score),
        "area_mm2": {kind.name.lower(): _area(score, kind) for kind in Square if kind is not Square.GLASS},
        "n_tiles": score.n_tiles,
        "case": _case_json(score),
        "complete_percent": rounded(score.complete_percent, SHARE_DIGITS),
        "complete_interval95_percent": _pair(score.complete_interval95_percent),
        "hot_spots": [_spot_json(spot) for spot in score.hot_spots],
        "squares": [_square_json(square) for square in score.squares],
        "notes": list(score.notes),
    }


def _slide_json(score: SlideScore, identity: str) -> JsonObject:
    survey = score.survey
    return {
        "name": survey.path.name,
        "identity_sha256": identity,
        "um_per_px": survey.scale.um_per_px,
        "level": survey.scale.level,
        "downsample": survey.scale.downsample,
        "width_um": rounded(survey.scale.width_px * survey.scale.um_per_px, UM_DIGITS),
        "height_um": rounded(survey.scale.height_px * survey.scale.um_per_px, UM_DIGITS),
        "white_rgb": [rounded(value, UM_DIGITS) for value in survey.white_rgb],
        "white_estimated": survey.white_estimated,
        "refusals": list(survey.refusals),
    }


def _area(score: SlideScore, kind: Square) -> float | None:
    return rounded(score.survey.tissue.area_mm2(kind), AREA_DIGITS)


# ---- control ------------------------------------------------------------------------------------------------------


def control_codes(score: SlideScore) -> tuple[str, ...]:
    """Codes of all readings, of what they leave open, and of drift."""
    codes = [code for reading in score.controls for code in reading.verdict.codes]
    codes += [code for reason, code in OPEN_ENDS.items() if reason in score.case.reasons]
    codes += [ControlCode.DRIFT for refusal in score.standing.refusals if ControlCode.DRIFT in refusal]
    return tuple(dict.fromkeys(code.value for code in codes))


def control_doubts(score: SlideScore) -> tuple[str, ...]:
    """Why the control is doubted: each level's reading, then why it may not hold for this slide."""
    found: list[str] = []
    for reading in score.controls:
        found += words.level_doubts(reading)
    if score.standing.status is not ControlStatus.ABSENT:
        found += score.standing.refusals
    return tuple(found)


def _control_json(score: SlideScore) -> JsonObject:
    """As in `her2scope.score/1`, with each level's reading."""
    ends = (end for end in OPEN_ENDS if end in score.case.reasons)
    anchor = next((reading for reading in score.controls if reading.expected == "3+"), None)
    own_cut = anchor.measures.intense_od10 if anchor else None
    return {
        "status": score.standing.status.value,
        "reasons": [*control_doubts(score), *ends],
        "codes": list(control_codes(score)),
        "intense_od10": rounded(
            score.cuts.intense_od10 if score.cuts_from is CutsFrom.CONTROL else own_cut, MEASURE_DIGITS
        ),
        "cuts_od10": {
            "stained": rounded(score.cuts.stained_od10, MEASURE_DIGITS),
            "moderate": rounded(score.cuts.moderate_od10, MEASURE_DIGITS),
            "intense": rounded(score.cuts.intense_od10, MEASURE_DIGITS),
            "from": score.cuts_from.value,
            "from_control": score.cuts_from is CutsFrom.CONTROL,
        },
        "levels": [_reading_json(reading) for reading in score.controls],
    }


def _reading_json(reading: ControlReading) -> JsonObject:
    return {
        "expected": reading.expected,
        "status": reading.verdict.status.value,
        "reasons": list(reading.verdict.reasons),
        "codes": [code.value for code in reading.verdict.codes],
        "read": reading.measures.read,
        "n_tumour": reading.measures.n_tumour,
        "n_fields": len(reading.measures.field_od10),
        "membrane_od10": rounded(reading.measures.membrane_od10, MEASURE_DIGITS),
    }


# ---- score --------------------------------------------------------------------------------------------------------


def _case_json(score: SlideScore) -> JsonObject:
    """The block `case` of `her2scope.score/1`, for squares in the place of fields."""
    case = score.case
    probability = case.score_probability
    return {
        "score": case.score,
        "category": case.category.value,
        "reportable": case.reportable,
        "n_tumour": case.counts.n_tumour,
        "n_other": case.counts.n_other,
        "shares_percent": _shares(case.shares_percent),
        "interval95_percent": _intervals(case.interval95_percent),
        "borderline": case.borderline,
        "reasons": list(case.reasons),
        "blocking": list(case.blocking),
        "sentence": case.sentence.strip() or None,
        "score_probability": {name: rounded(value, MEASURE_DIGITS) for name, value in probability.items()}
        if probability
        else None,
        "further_squares": case.further_fields,
        "further_cells": case.further_cells,
    }


def _shares(shares: Mapping[CellClass, float] | None) -> JsonObject | None:
    return None if shares is None else {name.value: rounded(shares[name], SHARE_DIGITS) for name in SHARE_ORDER}


def _intervals(intervals: Mapping[CellClass, tuple[float, float]] | None) -> JsonObject | None:
    return None if intervals is None else {name.value: _pair(intervals[name]) for name in SHARE_ORDER}


def _pair(ends: Sequence[float] | None) -> list[float | None] | None:
    return None if ends is None else [rounded(end, MEASURE_DIGITS) for end in ends]


def _spot_json(spot: HotSpot) -> JsonObject:
    return {
        "square": spot.number,
        "x_um": rounded(spot.x_um, UM_DIGITS),
        "y_um": rounded(spot.y_um, UM_DIGITS),
        "side_um": rounded(spot.side_um, UM_DIGITS),
        "words": words.clean(spot.words),
        "counts": counts_json(spot.counts),
    }


def _square_json(square: ScoredSquare) -> JsonObject:
    return {
        "number": square.number,
        "left_um": rounded(square.left_um, UM_DIGITS),
        "top_um": rounded(square.top_um, UM_DIGITS),
        "side_um": rounded(square.side_um, UM_DIGITS),
        "counts": counts_json(square.counts),
        "mean_weight": rounded(mean_weight(square.counts), MEASURE_DIGITS) if square.counts.n_tumour else None,
    }
