"""A case in which the reader did all that a reader can do: on a map of two parts, with every kind of correction."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import factories

from her2scope.domain.cells import CellCounts, CellKind, CellRule, StainCuts
from her2scope.domain.corrections import CaseData, CellStanding, Correction, RuleChange, RuleInForce
from her2scope.domain.events import Event, EventKind
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.guideline import BREAST_2023
from her2scope.domain.regions import Region, RegionKind
from her2scope.domain.score import CaseScore, score_case
from her2scope.records import AcceptedField, CaseView, FieldResult, MapPlace, ReaderScore

DATA = CaseData("S25-01234", "A1", "2", "core biopsy", "run 2025-03-04/B", "4B5", "45", "NBF", "80")
REMARK = "Crushed tissue at the lower edge; membranes there were left out."
LONG_REMARK = "The invasive front lies to the left and stains more strongly than the rest of the core. " * 8
CHANGE = RuleChange(intense_od10=0.75, complete_share=0.85)
RULE = RuleInForce(
    CHANGE.cuts(StainCuts()), CHANGE.rule(CellRule()), StainCuts(), CellRule(), CHANGE
)  # fmt: skip
CORRECTED = {
    0: Correction.COMPLETE_MODERATE,
    1: Correction.COMPLETE_MODERATE,
    2: Correction.EXCLUDED,
    3: Correction.NOT_TUMOUR,
    60: Correction.NONE,
}
"""What the reader said of cells of a field of `factories.equivocal_field`."""


def corrected_field(
    number: int,
    result: FieldResult,
    words: dict[int, Correction],
    standings: dict[int, CellStanding] | None = None,
    **more: Any,
) -> AcceptedField:
    """Field of which the reader spoke of single cells and outlined others, as the case holds it."""
    cells = list(result.cells)
    held = [CellStanding.EDGE if cell.edge else CellStanding.COUNTED for cell in cells]
    for place, word in words.items():
        if word is Correction.EXCLUDED:
            held[place] = CellStanding.EXCLUDED
        else:
            kind = CellKind.OTHER if word.cell_class is None else CellKind.TUMOUR
            cells[place] = dataclasses.replace(cells[place], kind=kind, cell_class=word.cell_class)
    for place, standing in (standings or {}).items():
        held[place] = standing

    def counts(which: CellStanding) -> CellCounts:
        return CellCounts.of(cell.cell_class for cell, found in zip(cells, held, strict=True) if found is which)

    counted = counts(CellStanding.COUNTED)
    return AcceptedField(
        number=number,
        at_utc=f"2025-03-04T09:{number:02}:00.000+00:00",
        result=dataclasses.replace(result, cells=tuple(cells), counts=counted),
        overlaps=(),
        active=True,
        counted=tuple(found is CellStanding.COUNTED for found in held),
        counts=counted,
        standings=tuple(held),
        corrections=tuple(words.get(place) for place in range(len(cells))),
        read=result,
        duct_counts=counts(CellStanding.NORMAL_DUCT),
        **more,
    )


def busy_fields(n_fields: int = 4, result: FieldResult | None = None) -> list[AcceptedField]:
    """Fields on a winding path over two parts of the map; the first has a duct, the second the corrections."""
    result = result or factories.equivocal_field()
    side_um = result.frame.size_hw[1] * result.frame.um_per_px
    words = {place: word for place, word in CORRECTED.items() if place < len(result.cells)}
    fields = []
    for number in range(1, n_fields + 1):
        row, column = divmod(number - 1, 6)
        island = 0 if number <= max(2, 2 * n_fields // 3) else 1
        fields.append(
            corrected_field(
                number,
                result,
                words if number == 2 else {},
                in_duct(result) if number == 1 else None,
                place=MapPlace(island, 1000 + 0.9 * column * side_um, -200 + 0.65 * row * side_um),
                annotation={1: REMARK, 3: LONG_REMARK}.get(number, ""),
                swept=number in (2, 4),
            )
        )
    return fields


def in_duct(result: FieldResult) -> dict[int, CellStanding]:
    """Cells in the lower quarter of a picture, which a duct is drawn round."""
    height_px = result.frame.size_hw[0]
    cells = enumerate(result.cells)
    return {n: CellStanding.NORMAL_DUCT for n, cell in cells if not cell.edge and cell.y_px > 0.75 * height_px}


def regions(fields: Sequence[AcceptedField]) -> tuple[Region, ...]:
    """One region of each kind; the duct is the lower quarter of the first field."""
    first = fields[0]
    assert first.place is not None
    height_px, width_px = first.result.frame.size_hw
    width, height = width_px * first.result.frame.um_per_px, height_px * first.result.frame.um_per_px

    def at(*places: tuple[float, float]) -> tuple[tuple[float, float], ...]:
        return tuple((1000 + x * width, -200 + y * height) for x, y in places)

    front = at((-0.3, -0.3), (4, -0.5), (4, 2), (2, 2.5), (-0.1, 1.5))
    duct = at((0, 0.75), (1, 0.75), (1, 1), (0, 1))
    in_situ = at((1.2, 0.2), (1.6, 0.3), (1.5, 0.6), (1.2, 0.5))
    return (
        Region(1, RegionKind.INVASIVE, 0, front, None, "the invasive front"),
        Region(2, RegionKind.NORMAL_DUCT, 0, duct, 1),
        Region(4, RegionKind.EXCLUDE, 0, in_situ, 2, "carcinoma in situ, solid, with central necrosis <comedo>"),
    )


def events(view: CaseView) -> tuple[Event, ...]:
    """What led to it, with a change that was undone, one that was done again and one that was undone for good."""
    new: list[tuple[EventKind, dict[str, Any]]] = [
        (EventKind.CASE_DATA_ENTERED, {**dataclasses.asdict(DATA), "before": dataclasses.asdict(CaseData())}),
        (EventKind.FIELD_ANNOTATED, {"field": 1, "text": REMARK, "before": ""}),
        (
            EventKind.CELLS_CORRECTED,
            {"field": 2, "cells": [0, 1], "to": "complete_moderate", "before": [None, "excluded"]},
        ),
        (
            EventKind.REGION_DRAWN,
            {"region": 3, "kind": "exclude", "island": 0, "polygon_um": [], "field": 2, "note": ""},
        ),
        (EventKind.RULE_CHANGED, {**dataclasses.asdict(CHANGE), "before": dataclasses.asdict(RuleChange())}),
        (EventKind.ISLANDS_JOINED, {"island": 2, "into": 0, "dx_um": 10.0, "dy_um": -3.5}),
        (EventKind.REGION_REMOVED, {"region": 3}),
        (EventKind.READER_SCORED, {"score": "1+", "remark": "weaker", "blind": True, "before": None}),
        (EventKind.ISH_ENTERED, {"ish": "negative", "before": None}),
    ]
    start = len(view.events)
    last = start + len(new)
    new += [
        (EventKind.UNDONE, {"event": last}),
        (EventKind.REDONE, {"event": last}),
        (EventKind.UNDONE, {"event": last}),
    ]
    made = [
        Event(number, kind, f"2025-03-04T09:20:{number % 60:02d}.000+00:00", view.who, data)
        for number, (kind, data) in enumerate(new, start=start + 1)
    ]
    return (*view.events, *made)


def busy_view(n_fields: int = 4, result: FieldResult | None = None, **more: Any) -> CaseView:
    """The case of all this."""
    fields = busy_fields(n_fields, result)
    own = ReaderScore("1+", "weaker to the left; the strong cells lie in the duct", blind=True)
    view = factories.case_view(
        fields,
        reader_score=own,
        rule=RULE,
        cuts=RULE.cuts,
        regions=regions(fields),
        data=DATA,
        finished_utc=None,
        **more,
    )
    return dataclasses.replace(view, events=events(view), score=_score(view))


def _score(view: CaseView) -> CaseScore:
    fields = view.active_fields
    return score_case(
        [item.counts for item in fields], BREAST_2023, FalseRates(), 0.25, factories.VALID,
        numbers=[item.number for item in fields], deviates=RULE.deviates,
        normal_ducts=CellCounts.total(item.duct_counts for item in fields),
    )  # fmt: skip
