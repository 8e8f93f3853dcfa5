"""Outlines around drawn rings: they follow the own membrane and no other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.imaging.cell_outlines import (
    BAND_UM,
    CYTOPLASM_UM,
    N_DIRECTIONS,
    NEIGHBOUR_UM,
    STEP_UM,
    TWIN_PX,
    CellOutlines,
    OutlineSeeds,
    cheapest_rings,
    find_outlines,
    half_ways,
    prior_reach,
)
from her2scope.imaging.workspace import Workspace

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


def crowd(n: int, side: int, seed: int) -> OutlineSeeds:
    rng = np.random.default_rng(seed)
    xy, nucleus, reach = rng.uniform(0, side, (n, 2)), rng.uniform(3, 9, n), rng.uniform(6, 20, (n, 32))
    reach[rng.random((n, 32)) < 0.2] = np.nan
    return OutlineSeeds(*(part.astype(np.float32) for part in (xy, nucleus, reach)))


@settings(max_examples=30)
@given(n=st.integers(0, 25), seed=st.integers(0, 99), within=st.floats(1, 80))
def test_half_ways_are_those_of_every_pair_looked_at(n, seed, within):
    """No pair is missed by looking in strips."""
    cells = crowd(n, SIDE, seed)
    found = half_ways(cells, within)
    angle = np.arange(N_DIRECTIONS) * 2 * np.pi / N_DIRECTIONS
    for one in range(n):
        expected = np.full(N_DIRECTIONS, np.inf)
        for other in range(n):
            away = (cells.xy_px[other] - cells.xy_px[one]).astype(float)
            apart = np.hypot(*away)
            if apart <= TWIN_PX or apart > within:
                continue
            larger = np.clip(float(cells.nucleus_px[other]) - cells.nucleus_px[one], -apart / 2, apart / 2)
            inverse = 2 * (away @ [np.cos(angle), np.sin(angle)] + larger) / (apart**2 - larger**2)
            expected = np.minimum(expected, np.where(inverse > 1e-6, 1 / np.maximum(inverse, 1e-6), np.inf))
        near = expected < 1e4
        assert found[one][near] == pytest.approx(expected[near], rel=1e-2)
        assert (found[one][~near] > 5e3).all()


def slowly_cheapest(cost: np.ndarray, bend_cost: float, most_steps: int) -> np.ndarray:
    """`cheapest_rings` for one ring, state by state; cost `(A, R)`."""
    n, n_states = cost.shape
    lap = [place % n for place in range(-(n // 4), n + n // 4)]
    total, came_from = [list(cost[lap[0]])], []
    for place in lap[1:]:
        now, came = [], []
        for state in range(n_states):
            shifts = [shift for shift in range(-most_steps, most_steps + 1) if 0 <= state + shift < n_states]
            ways = [np.float32(total[-1][state + k]) + np.float32(bend_cost * abs(k)) for k in shifts]
            best = int(np.argmin(ways))
            now.append(ways[best] + cost[place, state])
            came.append(state + shifts[best])
        total.append(now)
        came_from.append(came)
    path = [int(np.argmin(total[-1]))]
    for came in reversed(came_from):
        path.append(came[path[-1]])
    return np.array(path[::-1])[n // 4 : n // 4 + n]


@settings(max_examples=30)
@given(seed=st.integers(0, 999), n=st.integers(0, 3), most_steps=st.integers(1, 3), coarse=st.booleans())
def test_cheapest_rings_are_those_of_a_search_state_by_state(seed, n, most_steps, coarse):
    cost = np.random.default_rng(seed).uniform(0, 1, (16, 7, n)).astype(np.float32)
    if coarse:  # many ways cost the same: the first of them is taken
        cost = np.round(cost * 4) / 4
    found = cheapest_rings(cost, 0.06, most_steps)
    assert found.shape == (16, n)
    for ring in range(n):
        assert found[:, ring].tolist() == slowly_cheapest(cost[:, :, ring], 0.06, most_steps).tolist()


def test_who_is_not_followed_keeps_the_guess_and_bounds_the_others():
    cells = crowd(40, SIDE, 3)
    membrane = ring_map((60, 60, 15), (30, 80, 12))
    everyone, some = find_outlines(membrane, UM_PER_PX, cells), np.arange(40) % 3 > 0
    found = find_outlines(membrane, UM_PER_PX, cells, some)
    assert np.array_equal(found.radius_px[some], everyone.radius_px[some])
    guess = prior_reach(cells, half_ways(cells, NEIGHBOUR_UM / UM_PER_PX), UM_PER_PX)
    assert np.array_equal(found.radius_px[~some], guess[~some])


def test_outlines_stay_when_the_workspace_is_used_again():
    workspace = Workspace()
    cells, membrane = crowd(70, SIDE, 4), ring_map((60, 60, 15))
    first = find_outlines(membrane, UM_PER_PX, cells, workspace=workspace)
    kept_px = first.radius_px.copy()
    find_outlines(1 - membrane, UM_PER_PX, crowd(90, SIDE, 5), workspace=workspace)
    again = find_outlines(membrane, UM_PER_PX, cells, workspace=workspace)
    assert np.array_equal(first.radius_px, kept_px)
    assert np.array_equal(again.radius_px, kept_px)
