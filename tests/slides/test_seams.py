"""A cell at a seam is counted once, and nobody can tell in which order the tiles were done."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.slides.records import (
    NO_CELLS,
    OUTLINE_PLACES,
    SlideCells,
    SlideScale,
    Square,
    Survey,
    Tile,
    TileResult,
    TissueMap,
)
from her2scope.slides.seams import BEYOND_UM, SAME_UM, one_cell_each

UM_PER_PX, TILE_PX, N_TILES = 0.25, 400, 3
TILE_UM = UM_PER_PX * TILE_PX


def survey(left_out: float = 0.0) -> Survey:
    """A slide of 300 x 300 um, all tissue but for so many um on the left."""
    squares = np.full((10, 10), Square.TISSUE, np.uint8)
    squares[:, : int(left_out / 32.0)] = Square.FOLD
    scale = SlideScale(0, 1.0, UM_PER_PX, N_TILES * TILE_PX, N_TILES * TILE_PX)
    picture = np.zeros((2, 2, 3), np.uint8)
    return Survey(Path("a.svs"), scale, (240.0,) * 3, True, TissueMap(32.0, squares), picture, 8.0)


def cells_at(places, code: int = 0) -> SlideCells:
    x, y = np.array(places, float).reshape(-1, 2).T
    n = len(x)
    one, outline = np.ones(n, np.float32), np.zeros((n, OUTLINE_PLACES, 2), np.float16)
    uncertain, within = np.zeros(n, np.bool_), np.ones(n, np.bool_)
    return SlideCells(x, y, one, np.full(n, code, np.uint8), one, one, one, one, uncertain, within, outline)


def result(column: int, row: int, places) -> TileResult:
    tile = Tile(row, column, column * TILE_PX, row * TILE_PX, TILE_PX, TILE_PX)
    return TileResult(tile, cells_at(places), (), 0.1)


def places_of(cells: SlideCells) -> list[tuple[float, float]]:
    return list(zip(cells.x_um.tolist(), cells.y_um.tolist(), strict=True))


def test_no_tiles_have_no_cells():
    assert len(one_cell_each([], survey())) == len(NO_CELLS) == 0


def test_a_cell_that_two_tiles_found_is_counted_once():
    found = one_cell_each([result(0, 0, [(99.8, 50.0)]), result(1, 0, [(100.6, 50.2)])], survey())
    assert places_of(found) == [(100.6, 50.2)], "by the tile in whose core it lies deeper"


def test_a_cell_that_each_tile_puts_on_the_others_side_is_not_lost():
    found = one_cell_each([result(0, 0, [(100.3, 50.0)]), result(1, 0, [(99.6, 50.0)])], survey())
    assert len(found) == 1


def test_a_cell_that_each_tile_puts_on_its_own_side_is_not_counted_twice():
    found = one_cell_each([result(0, 0, [(99.6, 50.0)]), result(1, 0, [(100.3, 50.0)])], survey())
    assert len(found) == 1


def test_a_cell_beyond_the_core_that_its_own_tile_does_not_find_is_left_out():
    assert len(one_cell_each([result(0, 0, [(101.0, 50.0)]), result(1, 0, [])], survey())) == 0


def test_neighbours_across_a_seam_that_both_tiles_found_are_both_counted():
    places = [(99.0, 50.0), (101.0, 50.0)]
    assert places_of(one_cell_each([result(0, 0, places), result(1, 0, places)], survey())) == places


def test_near_cells_of_one_tile_are_two():
    places = [(50.0, 50.0), (50.0 + 0.5 * SAME_UM, 50.0)]
    assert len(one_cell_each([result(0, 0, places)], survey())) == 2


def test_a_cell_where_four_tiles_meet_is_counted_once():
    near = [(100.4, 100.2), (99.7, 100.3), (100.2, 99.6), (99.9, 99.8)]
    corners = [(0, 0), (1, 0), (0, 1), (1, 1)]
    found = one_cell_each([result(*at, [place]) for at, place in zip(corners, near, strict=True)], survey())
    assert len(found) == 1


def test_cells_where_nothing_is_counted_are_left_out():
    found = one_cell_each([result(0, 0, [(10.0, 10.0), (70.0, 10.0)])], survey(left_out=32.0))
    assert places_of(found) == [(70.0, 10.0)]


@settings(max_examples=50)
@given(
    places=st.lists(st.tuples(st.integers(0, 74), st.integers(0, 74)), max_size=60, unique=True),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_tiles_see_alike_is_counted_once_whatever_their_order(places, seed):
    """Cells 4 um apart, each told by every tile in or near whose core it lies, at places up to 0.5 um from the true."""
    rng = np.random.default_rng(seed)
    true_um = np.array(places, float).reshape(-1, 2) * 4.0 + 1.3
    results = []
    for row in range(N_TILES):
        for column in range(N_TILES):
            seen_um = true_um + rng.uniform(-0.35, 0.35, true_um.shape)
            low = np.array([column, row]) * TILE_UM
            told = ((seen_um >= low - BEYOND_UM) & (seen_um < low + TILE_UM + BEYOND_UM)).all(axis=1)
            results.append(result(column, row, seen_um[told]))
    found = one_cell_each(results, survey())
    assert len(found) == len(places)
    away = np.hypot(*(np.array(places_of(found)).reshape(-1, 1, 2) - true_um).transpose(2, 0, 1))
    assert ((away < 0.5).sum(axis=0) == 1).all()
    order = rng.permutation(len(results))
    again = one_cell_each([results[at] for at in order], survey())
    assert places_of(again) == places_of(found) == sorted(places_of(found), key=lambda place: place[::-1])


def test_the_columns_of_a_cell_stay_together():
    tiles = [result(0, 0, [(10.0, 90.0)]), result(1, 0, [(110.0, 20.0)])]
    tiles[1] = TileResult(tiles[1].tile, cells_at([(110.0, 20.0)], code=3), (), 0.1)
    found = one_cell_each(tiles, survey())
    assert found.class_code.tolist() == [3, 0]
    assert found.y_um.tolist() == pytest.approx([20.0, 90.0])
