"""Fields whose cells lie in rows and columns, counted as a case counts them."""

from __future__ import annotations

import numpy as np
from factories import cell, field_result

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.guideline import BREAST_2023
from her2scope.domain.score import find_score
from her2scope.imaging.registration import Relief
from her2scope.pipeline.accumulate import matched_cells
from her2scope.pipeline.counting import CaseField, Counting, SameCells
from her2scope.pipeline.hand import Hand
from her2scope.records import AcceptedField, Cell, MapPlace, Overlap

PITCH_PX = 40
"""Cells in rows and columns, 10 um apart, each with a radius of 3 um."""


def grid(classes: list[CellClass | None], columns: int = 5) -> list[Cell]:
    return [
        cell(name, 20.0 + PITCH_PX * (number % columns), 20.0 + PITCH_PX * (number // columns))
        for number, name in enumerate(classes)
    ]


def field(
    number: int,
    cells: list[Cell],
    place: MapPlace | None = None,
    overlaps: tuple[Overlap, ...] = (),
    earlier: tuple[CaseField, ...] = (),
    *,
    swept: bool = False,
) -> CaseField:
    result = field_result(cells, (200, 200))
    relief = Relief(np.zeros((8, 8), np.float32), 1.0)
    made = CaseField(number, "", result, overlaps, relief, place or MapPlace(0, 0.0, 0.0), swept)
    by_number = {item.number: item for item in earlier}
    made.twins = {item.field: tuple(matched_cells(result, item, by_number[item.field].result)) for item in overlaps}
    return made


def counted(fields: list[CaseField], hand: Hand) -> tuple[AcceptedField, ...]:
    return Counting().count(
        fields,
        SameCells(fields),
        hand,
        None,
        lambda result: result,
        lambda counts, um: find_score(counts, BREAST_2023, FalseRates(), um, 5),
    )


def total(fields: list[CaseField], hand: Hand) -> CellCounts:
    return CellCounts.total(item.counts for item in counted(fields, hand) if item.active)


def square(left: float, top: float, side: float) -> tuple[tuple[float, float], ...]:
    return ((left, top), (left + side, top), (left + side, top + side), (left, top + side))
