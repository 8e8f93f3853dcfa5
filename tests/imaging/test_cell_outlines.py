"""Outlines around drawn rings: they follow the own membrane and no other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.imaging.cell_outlines import (
    BAND_UM,
    CYTOPLASM_UM,
    N_DIRECTIONS,
    STEP_UM,
    CellOutlines,
    OutlineSeeds,
    cheapest_rings,
    find_outlines,
    half_ways,
    prior_reach,
)

UM_PER_PX = 0.5
SIDE = 120


def ring_map(*rings: tuple[float, float, float], side: int = SIDE) -> np.ndarray:
    """Membrane probability with rings (x, y, radius), px: lines two pixels wide with soft edges."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    lines = [np.clip(1.5 - np.abs(np.hypot(x - cx, y - cy) - radius), 0, 1) for cx, cy, radius in rings]
    return np.max([np.zeros((side, side)), *lines], axis=0).astype(np.float32)


def seeds(*cells: tuple[float, float], nucleus_px: float = 6.0, reach_px: float = np.nan) -> OutlineSeeds:
    n = len(cells)
    xy = np.array(cells, np.float32).reshape(n, 2)
    return OutlineSeeds(xy, np.full(n, nucleus_px, np.float32), np.full((n, 32), reach_px, np.float32))


@given(radius=st.floats(10, 20), error=st.floats(-3, 3), off=st.floats(-2, 2))
def test_a_ring_is_followed_though_the_guess_errs(radius, error, off):
    found = find_outlines(ring_map((60, 60, radius)), UM_PER_PX, seeds((60 + off, 60), reach_px=radius + error))
    from_middle = np.hypot(*(found.places_xy_px()[0] - 60).T)
    assert from_middle == pytest.approx(radius, abs=1.5)


def test_an_uneven_guess_is_corrected_where_there_is_membrane_and_kept_where_there_is_none():
    membrane = ring_map((60, 60, 15))
    membrane[:, :60] = 0  # none on the left
    wavy = 15 + 2 * np.cos(3 * np.arange(32) * 2 * np.pi / 32)
    given_px = OutlineSeeds(*(getattr(seeds((60, 60)), n) for n in ("xy_px", "nucleus_px")), wavy[None].astype("f4"))
    radius = find_outlines(membrane, UM_PER_PX, given_px).radius_px[0]
    right, left = np.r_[0:10, 39:48], np.r_[15:34]
    assert radius[right] == pytest.approx(15, abs=1.1)
    assert radius[left] == pytest.approx(15 + 2 * np.cos(3 * left * 2 * np.pi / N_DIRECTIONS), abs=0.6)


@given(reach=st.floats(8, 30))
def test_without_a_membrane_the_outline_is_the_guess(reach):
    found = find_outlines(ring_map(), UM_PER_PX, seeds((60, 60), reach_px=reach))
    assert found.radius_px == pytest.approx(np.full((1, N_DIRECTIONS), reach), abs=1e-3)


def test_without_a_guess_it_lies_around_the_nucleus_or_half_way_to_a_nearer_neighbour():
    alone = find_outlines(ring_map(), UM_PER_PX, seeds((60, 60)))
    assert alone.radius_px == pytest.approx(6 + CYTOPLASM_UM / UM_PER_PX)
    beside = find_outlines(ring_map(), UM_PER_PX, seeds((50, 60), (66, 60))).radius_px
    assert beside[0, 0] == pytest.approx(8)
    assert beside[1, N_DIRECTIONS // 2] == pytest.approx(8)
    assert beside[0, N_DIRECTIONS // 2] == pytest.approx(12)


def test_half_way_lies_nearer_to_the_smaller_nucleus():
    pair = seeds((40, 60), (70, 60))
    equal = half_ways(pair, 50)
    assert equal[0, 0] == pytest.approx(15)
    assert equal[0, 4] == pytest.approx(15 / np.cos(np.pi / 6))
    assert np.isinf(equal[0, N_DIRECTIONS // 2])
    unequal = half_ways(OutlineSeeds(pair.xy_px, np.array([4, 10], np.float32), pair.reach_px), 50)
    assert unequal[0, 0] == pytest.approx(12)
    assert unequal[1, N_DIRECTIONS // 2] == pytest.approx(18)
    assert np.isinf(half_ways(pair, 20)).all()


def test_a_twin_at_the_same_place_bounds_nothing():
    assert np.isinf(half_ways(seeds((40, 60), (40.2, 60)), 50)).all()


@given(gap=st.floats(6, 20))
def test_a_neighbours_membrane_is_not_taken(gap):
    """A bare cell beside a ringed one: its outline comes no nearer to that ring than the guess."""
    ring_x = 35 + 12 + gap + 12
    membrane = ring_map((ring_x, 60, 12))
    found = find_outlines(membrane, UM_PER_PX, seeds((35, 60), (ring_x, 60), reach_px=12.0))
    assert found.radius_px[0] == pytest.approx(12, abs=0.6)
    assert found.radius_px[1] == pytest.approx(12, abs=1.1)


def test_a_guess_far_beyond_a_neighbour_is_not_believed():
    found = find_outlines(ring_map(), UM_PER_PX, seeds((50, 60), (66, 60), reach_px=30.0))
    assert found.radius_px[0, 0] <= 16


def test_two_cells_share_a_line():
    membrane = np.zeros((SIDE, SIDE), np.float32)
    membrane[:, 59:62] = 1
    found = find_outlines(membrane, UM_PER_PX, seeds((48, 60), (72, 60), reach_px=10.5))
    assert found.places_xy_px()[0, 0, 0] == pytest.approx(60, abs=1.1)
    assert found.places_xy_px()[1, N_DIRECTIONS // 2, 0] == pytest.approx(60, abs=1.1)


def test_a_guess_inside_the_nucleus_is_pushed_out():
    found = find_outlines(ring_map(), UM_PER_PX, seeds((60, 60), nucleus_px=10.0, reach_px=4.0))
    assert found.radius_px == pytest.approx(np.full((1, N_DIRECTIONS), 10), abs=0.6)


@given(turns=st.integers(0, 3), mirrored=st.booleans(), radius=st.floats(11, 18))
def test_a_turned_or_mirrored_picture_gives_the_same_outline(turns, mirrored, radius):
    middle = (SIDE - 1) / 2
    membrane = ring_map((middle, middle, radius), (middle + 25, middle, 12))
    membrane[:, : SIDE // 2 - 8] = 0
    cells = seeds((middle, middle), reach_px=radius + 1)
    straight = find_outlines(membrane, UM_PER_PX, cells).radius_px[0]
    turned = np.rot90(membrane, -turns)  # clockwise in the picture: from x towards y
    expected = np.roll(straight, turns * N_DIRECTIONS // 4)
    if mirrored:
        turned, expected = turned[::-1], np.roll(expected[::-1], 1)
    found = find_outlines(np.ascontiguousarray(turned), UM_PER_PX, cells).radius_px[0]
    assert found == pytest.approx(expected, abs=STEP_UM / UM_PER_PX + 1e-3)


@given(shift=st.integers(0, 4), bend=st.integers(0, 2))
def test_the_cheapest_ring_is_found_and_bends_no_more_than_it_may(shift, bend):
    planted = np.round(shift + bend * np.sin(np.arange(16) * 2 * np.pi / 16)).astype(int) + 2
    cost = np.random.default_rng(5).uniform(0.5, 1.0, (16, 9, 3)).astype(np.float32)
    cost[np.arange(16), planted, 1] = 0
    chosen = cheapest_rings(cost, bend_cost=0.05, most_steps=2)
    assert chosen[:, 1].tolist() == planted.tolist()
    assert np.abs(np.diff(chosen, axis=0)).max() <= 2


def test_pixels_of_another_plane_begin_at_the_same_corner():
    fine = CellOutlines(*(np.array(part, np.float32) for part in ([[0, 9.5]], [3], [[4, 5, 6, 7]]))).scaled(2)
    assert fine.xy_px.tolist() == [[0.5, 19.5]]
    assert (fine.nucleus_px.tolist(), fine.radius_px.tolist()) == ([6], [[8, 10, 12, 14]])


def test_an_outline_lies_within_the_picture_or_not():
    found = find_outlines(ring_map(), UM_PER_PX, seeds((60, 60), (5, 60), (60, 114), reach_px=9.0))
    assert found.within((SIDE, SIDE)).tolist() == [True, False, False]


def test_many_cells_are_worked_on_as_one_is():
    one = find_outlines(ring_map((60, 60, 15)), UM_PER_PX, seeds((60, 60), reach_px=14.0)).radius_px
    many = find_outlines(ring_map((60, 60, 15)), UM_PER_PX, seeds(*[(60, 60)] * 1100, reach_px=14.0)).radius_px
    assert many.shape == (1100, N_DIRECTIONS)
    assert (many == one).all()


def test_no_cell_no_outline():
    assert find_outlines(ring_map(), UM_PER_PX, seeds()).places_xy_px().shape == (0, N_DIRECTIONS, 2)


def test_a_reach_that_is_missing_in_some_directions_is_filled_there_only():
    reach = np.full((1, 32), 14.0, np.float32)
    reach[0, 16] = np.nan
    cell = seeds((60, 60))
    cell = OutlineSeeds(cell.xy_px, cell.nucleus_px, reach)
    guess = prior_reach(cell, half_ways(cell, 50), UM_PER_PX)[0]
    assert guess[24] == pytest.approx(12)
    assert guess[:20] == pytest.approx(14)


def test_the_band_is_whole_steps():
    assert BAND_UM / STEP_UM == int(BAND_UM / STEP_UM)
