"""The case and its fields as values of `her2scope.score/1`: JSON values only, no NaN, null where there is nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from her2scope.domain.cells import SHARE_ORDER, CellClass, CellCounts
from her2scope.domain.corrections import CellStanding, Correction
from her2scope.domain.heterogeneity import HotSpot
from her2scope.domain.regions import RegionKind
from her2scope.domain.sign_off import Signature
from her2scope.ports import JsonObject
from her2scope.records import AcceptedField, CaseView, Cell, MapPlace, ReportContent
from her2scope.reporting import doubt, hand, record, words
from her2scope.reporting.cell_standing import as_read, corrections, standings

SHARE_DIGITS, PX_DIGITS, MEASURE_DIGITS = 9, 2, 4
"""Shares keep nine decimals so that they still sum to 100 within 1e-6; a place needs no more than 1/100 px."""


def rounded(value: Any, digits: int) -> float | None:
    """Plain float: numpy's are no JSON."""
    return None if value is None else round(float(value), digits)


# ---- fields -------------------------------------------------------------------------------------------------------


def field_json(item: AcceptedField) -> JsonObject:
    """A field by itself: also cells that an earlier field has counted for the case."""
    result = item.result
    usable = result.quality.usable
    cells = zip(result.cells, as_read(item).cells, corrections(item), standings(item), strict=True)
    return {
        "number": item.number,
        "image": result.frame.name,
        "um_per_px": result.frame.um_per_px,
        "usable": usable,
        "reasons": list(result.remarks),
        "n_tumour": result.counts.n_tumour,
        "n_other": result.counts.n_other,
        "shares_percent": _shares_json(result.counts.shares_percent()) if usable else None,
        "score": result.score if usable else None,
        "place": _place_json(item.place),
        "swept": item.swept,
        "annotation": _text(item.annotation),
        **({"n_outside": item.n_outside} if item.n_outside else {}),
        "cells": [_cell_json(*cell) for cell in cells],
    }


def _place_json(place: MapPlace | None) -> JsonObject | None:
    if place is None:
        return None
    return {"island": place.island, "x_um": rounded(place.x_um, PX_DIGITS), "y_um": rounded(place.y_um, PX_DIGITS)}


def _cell_json(cell: Cell, read: Cell, correction: Correction | None, standing: CellStanding) -> JsonObject:
    return {
        "x_px": rounded(cell.x_px, PX_DIGITS),
        "y_px": rounded(cell.y_px, PX_DIGITS),
        "nucleus_radius_um": rounded(cell.nucleus_radius_um, PX_DIGITS),
        "kind": cell.kind.value,
        "edge": bool(cell.edge),
        "completeness": rounded(cell.measure.completeness, MEASURE_DIGITS),
        "intensity_od10": rounded(cell.measure.intensity_od10, MEASURE_DIGITS),
        "class": _class_json(cell),
        "class_as_read": _class_json(read),
        "correction": None if correction is None else correction.value,
        "standing": standing.value,
        **({} if cell.within else {"outside": True}),
        **({"uncertain": True} if cell.is_uncertain_faint else {}),
    }


def _class_json(cell: Cell) -> str | None:
    return None if cell.cell_class is None else cell.cell_class.value


# ---- the case -----------------------------------------------------------------------------------------------------


def case_json(view: CaseView) -> JsonObject:
    """The score with its doubt, and what the reader did to the case."""
    score = view.score
    return {
        "score": score.score,
        "category": score.category.value,
        "reportable": score.reportable,
        "n_tumour": score.counts.n_tumour,
        "shares_percent": _shares_json(score.shares_percent),
        "interval95_percent": _intervals_json(score.interval95_percent),
        "borderline": score.borderline,
        "reasons": [*score.reasons, *words.caveats(view)],
        "sentence": _text(score.sentence),
        "score_probability": _probability_json(view),
        "further_fields": score.further_fields,
        "further_cells": score.further_cells,
        "hot_spots": [_hot_spot_json(spot) for spot in doubt.hot_spots(view).values()],
        "data": {name: _text(value) for name, value in asdict(view.data).items()},
        "reader_score": _reader_json(view),
        "deviation": _deviation_json(view),
        "regions": [_region_json(row) for row in hand.region_rows(view)],
        "normal_ducts": _ducts_json(view),
        **({"where_to_count": {**where, "n_outside": view.n_outside}} if (where := view.where_to_count) else {}),
    }


def _probability_json(view: CaseView) -> JsonObject | None:
    found = view.score.score_probability
    return {name: rounded(value, MEASURE_DIGITS) for name, value in found.items()} if found else None


def _hot_spot_json(spot: HotSpot) -> JsonObject:
    return {
        "field": spot.number,
        "pattern": [name.value for name in spot.pattern],
        "field_percent": rounded(spot.field_percent, MEASURE_DIGITS),
        "case_percent": rounded(spot.case_percent, MEASURE_DIGITS),
    }


def _reader_json(view: CaseView) -> JsonObject | None:
    own = view.reader_score
    return None if own is None else {"score": own.score, "remark": _text(own.remark), "blind": own.blind}


def _deviation_json(view: CaseView) -> JsonObject | None:
    """Cuts that the reader moved, and what they would be."""
    rule = view.rule
    if rule is None or not rule.deviates:
        return None
    return {
        "words": rule.deviates,
        "cuts": {**asdict(rule.cuts), "complete_share": rule.cell.complete_share},
        "stored": {**asdict(rule.base_cuts), "complete_share": rule.base_cell.complete_share},
    }


def _region_json(row: hand.RegionRow) -> JsonObject:
    region = row.region
    return {
        "number": region.number,
        "kind": region.kind.value,
        "island": region.island,
        "field": region.field,
        "note": _text(region.note),
        "area_um2": rounded(row.area_um2, 1),
        "n_tumour": row.n_tumour,
        "polygon_um": [[rounded(value, PX_DIGITS) for value in corner] for corner in region.polygon_um],
    }


def _ducts_json(view: CaseView) -> JsonObject | None:
    """Cells of marked normal ducts; null where none was marked."""
    if not any(region.kind is RegionKind.NORMAL_DUCT for region in view.regions):
        return None
    return counts_json(hand.duct_counts(view))


def counts_json(counts: CellCounts) -> JsonObject:
    """Cells of each class; those of the faint ones that are in doubt; other cells."""
    by_class = {name.value: counts[name] for name in SHARE_ORDER}
    return {**by_class, "uncertain_faint": counts.uncertain_faint, "n_other": counts.n_other}


# ---- the record ---------------------------------------------------------------------------------------------------


def record_json(content: ReportContent) -> JsonObject:
    """State, signatures, validation and end of the chain."""
    view = content.case
    now = view.sign_off
    return {
        "case_id": view.case_id,
        "opened_utc": view.opened_utc,
        "finished_utc": view.finished_utc,
        "as_of_utc": content.as_of_utc,
        "state": now.status.value,
        "version": now.version,
        "superseded": _text(record.later_words(content)),
        "amendment_reason": _text(now.reason),
        "signatures": [_signature_json(item) for item in now.signatures],
        "validated": record.validation(content).good,
        "validation": None if content.validation is None else asdict(content.validation),
        "head": {"n_events": view.head.n_events, "sha256": view.head.digest} if view.head.digest else None,
    }


def _signature_json(item: Signature) -> JsonObject:
    return {**asdict(item), "fields": list(item.fields)}


# ---- values -------------------------------------------------------------------------------------------------------


def _text(value: str) -> str | None:
    """A text, null where it is blank."""
    return value.strip() or None


def _shares_json(shares: Mapping[CellClass, float] | None) -> JsonObject | None:
    if shares is None:
        return None
    return {name.value: rounded(shares[name], SHARE_DIGITS) for name in SHARE_ORDER}


def _intervals_json(intervals: Mapping[CellClass, Sequence[float]] | None) -> JsonObject | None:
    if intervals is None:
        return None
    return {name.value: [rounded(end, MEASURE_DIGITS) for end in intervals[name]] for name in SHARE_ORDER}
