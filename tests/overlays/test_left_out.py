"""What the live picture greys is what the case leaves out once the picture is accepted."""

from __future__ import annotations

from dataclasses import replace

import factories
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.cells import CellClass
from her2scope.domain.corrections import CellStanding
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.guideline import BREAST_2023
from her2scope.domain.regions import Region, RegionKind
from her2scope.domain.score import find_score
from her2scope.imaging.registration import Relief
from her2scope.overlays.left_out import left_out
from her2scope.pipeline.counting import CaseField, Counting, SameCells
from her2scope.pipeline.hand import Hand
from her2scope.records import AcceptedField, FieldResult, MapPlace

SCALE = 0.25
CELLS = [factories.cell(CellClass.NONE, 20.0 + 40 * x, 20.0 + 40 * y) for y in range(5) for x in range(5)]
RESULT = factories.field_result(CELLS, (200, 200))  # 50 x 50 um
LEFT_OUT = {
    CellStanding.EXCLUDED_REGION, CellStanding.NORMAL_DUCT, CellStanding.NOT_INVASIVE, CellStanding.OUTSIDE,
}  # fmt: skip


def square(left_um: float, top_um: float, side_um: float) -> tuple[tuple[float, float], ...]:
    right_um, bottom_um = left_um + side_um, top_um + side_um
    return ((left_um, top_um), (right_um, top_um), (right_um, bottom_um), (left_um, bottom_um))


def counted(
    places: list[MapPlace], regions: list[Region], *, swept: bool, result: FieldResult = RESULT
) -> tuple[AcceptedField, ...]:
    """Fields of the same cells at these places, by the rules of the case; the last one may be swept."""
    relief = Relief(np.zeros((8, 8), np.float32), 1.0)
    fields = [
        CaseField(number, "", result, (), relief, place, swept and number == len(places))
        for number, place in enumerate(places, start=1)
    ]
    hand = Hand(active={item.number for item in fields}, regions={region.number: region for region in regions})
    return Counting().count(
        fields,
        SameCells(fields),
        hand,
        None,
        lambda result: result,
        lambda counts, um: find_score(counts, BREAST_2023, FalseRates(), um, 5),
    )


um = st.floats(-60.0, 60.0)
islands = st.integers(0, 1)
map_places = st.builds(MapPlace, islands, um, um)
outlines = st.builds(
    lambda kind, island, left, top, side, field: (kind, island, square(left, top, side), field),
    st.sampled_from(RegionKind), islands, um, um, st.floats(5.0, 80.0), st.sampled_from([None, 1]),
)  # fmt: skip


gates = st.one_of(st.just([True] * 25), st.lists(st.booleans(), min_size=25, max_size=25))
"""Which cells lie where a region model has them counted; without one all do."""


@given(map_places, map_places, st.lists(outlines, max_size=4), st.booleans(), gates)
def test_greyed_is_what_will_not_count(first, there, drawn, swept, within):
    regions = [Region(number, *item) for number, item in enumerate(drawn, start=1)]
    cells = [replace(cell, within=flag) for cell, flag in zip(CELLS, within, strict=True)]
    result = factories.field_result(cells, (200, 200))
    before = counted([first], regions, swept=False)
    after = counted([first, there], regions, swept=swept, result=result)
    view = factories.case_view(before, regions=tuple(regions))
    found = left_out(cells, SCALE, there, view, swept=swept)
    assert found.tolist() == [standing in LEFT_OUT for standing in after[-1].standings]


def test_each_kind_of_outline():
    here, view = MapPlace(0, 0.0, 0.0), factories.case_view([])
    corner = [cell.x_px < 50 and cell.y_px < 50 for cell in CELLS]
    for kind, expected in ((RegionKind.EXCLUDE, corner), (RegionKind.NORMAL_DUCT, corner)):
        drawn = factories.case_view([], regions=(Region(1, kind, 0, square(0.0, 0.0, 12.0)),))
        assert left_out(CELLS, SCALE, here, drawn, swept=False).tolist() == expected
        assert not left_out(CELLS, SCALE, MapPlace(3, 0.0, 0.0), drawn, swept=False).any(), "on another island"
    drawn = factories.case_view([], regions=(Region(1, RegionKind.INVASIVE, 0, square(0.0, 0.0, 12.0)),))
    assert not left_out(CELLS, SCALE, here, drawn, swept=False).any(), "drawn on the map it speaks of sweeping only"
    assert left_out(CELLS, SCALE, here, drawn, swept=True).tolist() == [not inside for inside in corner]
    assert (
        left_out(CELLS, SCALE, here, view, swept=True).all() and left_out([], SCALE, here, view, swept=True).size == 0
    )
