"""Which cell is meant: under a place, within an outline, next on the way."""

from __future__ import annotations

import factories
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.cells import CellClass
from her2scope.overlays.picking import cell_at, cells_within, neighbour, outline_of, reading_order

SCALE = 0.25
GRID = [factories.cell(CellClass.NONE, 40.0 + 60 * x, 40.0 + 70 * y) for y in range(3) for x in range(4)]
"""Rows of four cells with 12 px of radius, 17.5 um (a row) apart."""
places = st.floats(0, 400)


def test_the_cell_whose_outline_holds_the_place() -> None:
    assert cell_at(GRID, 100.0, 40.0, SCALE) == 1
    assert cell_at(GRID, 109.0, 43.0, SCALE) == 1
    assert cell_at(GRID, 130.0, 40.0, SCALE) is None
    assert cell_at([], 1.0, 1.0, SCALE) is None


def test_of_two_that_hold_it_the_nearer_one() -> None:
    pair = [factories.cell(CellClass.NONE, 40.0, 40.0), factories.cell(CellClass.NONE, 56.0, 40.0)]
    assert [cell_at(pair, x, 40.0, SCALE) for x in (46.0, 50.0)] == [0, 1]


def test_a_large_outline_is_hit_far_from_its_centre_though_another_centre_is_nearer() -> None:
    large = factories.cell(CellClass.NONE, 40.0, 40.0, radius_px=40.0, corners=72)
    small = factories.cell(CellClass.NONE, 90.0, 40.0, radius_px=6.0)
    assert cell_at([small, large], 75.0, 40.0, SCALE) == 1


def test_a_cell_without_outline_is_hit_on_its_nucleus() -> None:
    bare = factories.cell(None, 40.0, 40.0, corners=0)
    assert cell_at([bare], 48.0, 40.0, SCALE) == 0  # 8 px are 2 um of 3
    assert cell_at([bare], 54.0, 40.0, SCALE) is None
    assert outline_of(bare, SCALE).shape == (32, 2)


def test_cells_within_an_outline() -> None:
    left_column = ((20.0, 0.0), (60.0, 0.0), (60.0, 400.0), (20.0, 400.0))
    assert cells_within(GRID, left_column) == (0, 4, 8)
    assert cells_within([], left_column) == ()


@pytest.mark.parametrize(("step", "found"), [((1, 0), 6), ((-1, 0), 4), ((0, 1), 9), ((0, -1), 1)])
def test_the_next_cell_in_each_direction(step: tuple[int, int], found: int) -> None:
    assert neighbour(GRID, 5, *step) == found


def test_at_the_rim_there_is_no_next_cell() -> None:
    assert neighbour(GRID, 3, 1, 0) is None
    assert neighbour(GRID[:1], 0, 0, 1) is None


def test_reading_goes_row_by_row() -> None:
    assert reading_order(GRID, SCALE) == list(range(12))


@given(st.lists(st.tuples(places, places), max_size=30))
def test_reading_visits_every_cell_once(centres: list[tuple[float, float]]) -> None:
    cells = [factories.cell(CellClass.NONE, x, y) for x, y in centres]
    assert sorted(reading_order(cells, SCALE)) == list(range(len(cells)))


@given(st.lists(st.tuples(places, places), min_size=1, max_size=30, unique=True), st.data())
def test_a_step_never_goes_back(centres: list[tuple[float, float]], data: st.DataObject) -> None:
    cells = [factories.cell(CellClass.NONE, x, y) for x, y in centres]
    start = data.draw(st.integers(0, len(cells) - 1))
    for across, down in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        found = neighbour(cells, start, across, down)
        if found is not None:
            moved = cells[found].x_px - cells[start].x_px, cells[found].y_px - cells[start].y_px
            assert moved[0] * across + moved[1] * down > 0
