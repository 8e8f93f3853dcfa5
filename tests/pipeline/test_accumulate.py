"""Fields that overlap count each cell once, whatever their number, order, size and scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from factories import cell, field_result

from her2scope.domain.cells import StainCuts
from her2scope.imaging.opencv import cv2
from her2scope.imaging.registration import Relief
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.pipeline.accumulate import (
    counted_cells,
    find_overlaps,
    matched_cells,
    overlaps_with,
    place_from_overlaps,
)
from her2scope.records import FieldResult, Frame, MapPlace, Overlap

UM_PER_PX = 0.25


def overlaps_of(results: Sequence[FieldResult]) -> list[tuple[Overlap, ...]]:
    """Overlaps of each field with those before it, numbered from 1."""
    found = []
    earlier: dict[int, tuple[Relief, float]] = {}
    for number, result in enumerate(results, 1):
        relief, um_per_px = Relief.of(result.frame), result.frame.um_per_px
        found.append(find_overlaps(relief, um_per_px, earlier))
        earlier[number] = relief, um_per_px
    return found


def n_counted(results: Sequence[FieldResult], overlaps: Sequence[tuple[Overlap, ...]], active: Sequence[int]) -> int:
    """Cells that a case with these active fields counts."""
    earlier: dict[int, FieldResult] = {}
    total = 0
    for number in active:
        result = results[number - 1]
        total += sum(counted_cells(result, overlaps[number - 1], earlier))
        earlier[number] = result
    return total


def n_inside(result: FieldResult) -> int:
    return sum(not item.edge for item in result.cells)


@pytest.fixture(scope="module")
def seamless() -> np.ndarray:
    return render_field(PhantomSpec("2+", 21, size_wh=(1560, 480), difficulty="easy", camera="linear")).rgb


@pytest.fixture(scope="module")
def whole(seamless, analyser) -> FieldResult:
    return analyser.analyse(Frame(seamless.copy(), 0, 0.0, UM_PER_PX), StainCuts())


@pytest.fixture(scope="module")
def chain(seamless, analyser) -> list[FieldResult]:
    """Three fields in a row, of which the third still shows some of the first."""
    parts = [np.ascontiguousarray(seamless[:, x : x + 860]) for x in (0, 380, 700)]
    return [analyser.analyse(Frame(rgb, n, 0.0, UM_PER_PX), StainCuts()) for n, rgb in enumerate(parts)]


@pytest.fixture(scope="module")
def chained(chain) -> list[tuple[Overlap, ...]]:
    return overlaps_of(chain)


def test_each_field_of_a_chain_knows_all_before_it(chained):
    assert [[overlap.field for overlap in overlaps] for overlaps in chained] == [[], [1], [1, 2]]
    assert [overlap.dx_px for overlap in chained[2]] == pytest.approx([700, 320], abs=1.5)


def test_a_chain_of_fields_counts_as_the_seamless_image(chain, chained, whole):
    n_whole = n_inside(whole)
    assert n_counted(chain, chained, (1, 2, 3)) == pytest.approx(n_whole, rel=0.04)
    assert sum(map(n_inside, chain)) > 1.5 * n_whole


def test_a_removed_field_is_as_if_it_had_never_been(chain, chained):
    for left in ((1, 3), (2, 3), (1, 2), (3,)):
        alone = [chain[number - 1] for number in left]
        assert n_counted(chain, chained, left) == n_counted(alone, overlaps_of(alone), range(1, len(left) + 1))
    assert n_counted(chain, chained, (3,)) == n_inside(chain[2])


def test_the_order_of_acceptance_hardly_matters(chain, chained):
    there = n_counted(chain, chained, (1, 2, 3))
    for order in ((2, 1, 0), (1, 2, 0), (0, 2, 1)):
        turned = [chain[place] for place in order]
        assert n_counted(turned, overlaps_of(turned), (1, 2, 3)) == pytest.approx(there, rel=0.03)


def test_a_field_of_another_scale_adds_only_what_is_new(seamless, analyser, chain, whole):
    coarse_rgb = cv2.resize(seamless, None, fx=1 / 1.4, fy=1 / 1.4, interpolation=cv2.INTER_AREA)
    coarse = analyser.analyse(Frame(coarse_rgb, 0, 0.0, 1.4 * UM_PER_PX), StainCuts())
    both = [chain[0], coarse]
    overlaps = overlaps_of(both)
    (overlap,) = overlaps[1]
    assert (overlap.dx_px, overlap.dy_px) == pytest.approx((0, 0), abs=1.5)
    assert n_counted(both, overlaps, (1, 2)) == pytest.approx(n_inside(whole), rel=0.08)
    turned = [coarse, chain[2]]
    (overlap,) = overlaps_of(turned)[1]
    assert overlap.dx_px == pytest.approx(700 / 1.4, abs=1.5)


def test_a_crop_adds_nothing(seamless, analyser, chain):
    crop = analyser.analyse(Frame(np.ascontiguousarray(seamless[60:420, 200:760]), 0, 0.0, UM_PER_PX), StainCuts())
    both = [chain[0], crop]
    assert n_counted(both, overlaps_of(both), (1, 2)) <= 1.02 * n_inside(chain[0])


# ---- which cells are one ------------------------------------------------------------------------------------------


def test_what_an_earlier_field_holds_whole_is_in_the_case_though_not_counted_there():
    field = field_result([cell(x_px=30.0), cell(x_px=60.0)])
    overlap = Overlap(1, 0.0, 0.0)
    assert counted_cells(field, [overlap], {1: field}) == (False, False)
    assert counted_cells(field, [overlap], {}) == (True, True)  # the earlier field was removed


def test_an_edge_cell_is_counted_by_the_field_that_shows_it_whole():
    earlier = field_result([cell(x_px=60.0, edge=True)])
    later = field_result([cell(x_px=20.0), cell(x_px=2.0, edge=True)])
    assert counted_cells(later, [Overlap(1, 40.0, 0.0)], {1: earlier}) == (True, False)


def test_one_cell_takes_one_cell_the_nearest():
    earlier = field_result([cell(x_px=30.0)])
    later = field_result([cell(x_px=20.0), cell(x_px=28.0), cell(x_px=60.0)])
    assert counted_cells(later, [Overlap(1, 0.0, 0.0)], {1: earlier}) == (True, False, True)


def test_scales_are_brought_together():
    coarse = field_result([cell(x_px=30.0, y_px=40.0)], um_per_px=0.5)
    # the middle of pixel 30 is 30.5 pixels from the corner: 61 fine ones, which end at the middle of pixel 60.5
    fine = field_result([cell(x_px=60.5 - 24.0, y_px=80.5 - 48.0), cell(x_px=100.0)], um_per_px=0.25)
    found = counted_cells(fine, [Overlap(1, 12.0, 24.0)], {1: coarse})
    assert found == (False, True)


def test_thousands_of_cells_are_paired_one_to_one():
    rng = np.random.default_rng(2)
    x, y = (side.ravel() * 40.0 for side in np.meshgrid(np.arange(90), np.arange(60)))
    places = rng.permutation(np.stack([x, y], axis=1))
    moved = places + rng.uniform(-4.0, 4.0, places.shape)
    corners = {"corners": 3}
    earlier = field_result([cell(x_px=a, y_px=b, **corners) for a, b in places[:3000]])
    later = field_result([cell(x_px=a, y_px=b, **corners) for a, b in moved])
    counted = counted_cells(later, [Overlap(1, 0.0, 0.0)], {1: earlier})
    assert counted == (False,) * 3000 + (True,) * 2400


def test_the_same_cells_are_named_on_both_sides():
    earlier = field_result([cell(x_px=90.0), cell(x_px=30.0), cell(x_px=2.0, edge=True)])
    later = field_result([cell(x_px=21.0), cell(x_px=80.0), cell(x_px=50.0)])
    assert matched_cells(later, Overlap(1, 10.0, 0.0), earlier) == [(0, 1), (1, 0)]
    assert matched_cells(later, Overlap(1, 500.0, 0.0), earlier) == []


def test_a_cell_at_the_edge_keeps_its_twin_from_being_taken_by_a_neighbour():
    earlier = field_result([cell(x_px=30.0)])
    later = field_result([cell(x_px=31.0, edge=True), cell(x_px=40.0)])  # 2.5 um away: near enough if it were alone
    assert matched_cells(later, Overlap(1, 0.0, 0.0), earlier) == []


# ---- where the map knows the places -------------------------------------------------------------------------------

SIDE = (640, 480)


@pytest.fixture(scope="module")
def spread(seamless) -> dict[int, tuple[Relief, Frame, MapPlace]]:
    """Frames along the seamless picture, with their true places."""
    found = {}
    for number, x in enumerate((0, 300, 600, 900)):
        frame = Frame(np.ascontiguousarray(seamless[:, x : x + SIDE[0]]), number, 0.0, UM_PER_PX)
        found[number] = Relief.of(frame), frame, MapPlace(0, x * UM_PER_PX, 0.0)
    return found


def mapped_overlaps(spread, numbers, new, places, place=None) -> dict[int, float]:
    relief, frame, at = spread[new]
    earlier = {number: spread[number][:2] for number in numbers}
    found = overlaps_with(frame, relief, earlier, at if place is None else place, places)
    return {overlap.field: overlap.dx_px for overlap in found}


def test_the_map_finds_the_overlaps_that_the_pictures_find(spread):
    places = {number: at for number, (_, _, at) in spread.items()}
    by_map = mapped_overlaps(spread, (0, 1, 2), 3, places)
    by_search = mapped_overlaps(spread, (0, 1, 2), 3, None)
    assert by_map.keys() == by_search.keys() == {1, 2}
    assert by_map == pytest.approx(by_search, abs=0.3)


def test_pictures_put_right_what_the_map_has_a_little_off(spread):
    places = {2: MapPlace(0, 600 * UM_PER_PX + 12.0, -9.0)}
    assert mapped_overlaps(spread, (2,), 3, places) == pytest.approx({2: 300.0}, abs=1.0)


def test_fields_that_the_map_puts_apart_are_not_compared(spread):
    far = {2: MapPlace(0, 5000.0, 0.0)}
    assert mapped_overlaps(spread, (2,), 3, far) == {}
    assert mapped_overlaps(spread, (2,), 3, {2: MapPlace(1, 5000.0, 0.0)}).keys() == {2}  # on another island


def test_a_map_that_is_wrong_gives_way_to_the_pictures(spread):
    wrong = {2: MapPlace(0, spread[3][2].x_um - 20.0, 0.0)}  # 55 um off
    assert mapped_overlaps(spread, (2,), 3, wrong) == pytest.approx({2: 300.0}, abs=1.0)


def test_where_too_little_is_shared_to_be_registered_the_map_is_believed(spread):
    beside = {0: MapPlace(0, spread[3][2].x_um - (SIDE[0] - 20) * UM_PER_PX, 0.0)}
    assert mapped_overlaps(spread, (0,), 3, beside) == {0: SIDE[0] - 20}
    apart = {0: MapPlace(0, spread[3][2].x_um - (SIDE[0] + 20) * UM_PER_PX, 0.0)}
    assert mapped_overlaps(spread, (0,), 3, apart) == {}


def test_overlaps_come_in_the_order_of_the_fields(spread):
    places = {1: MapPlace(7, 0.0, 0.0), 2: spread[2][2]}
    assert list(mapped_overlaps(spread, (2, 1), 3, places)) == [2, 1]
    assert list(mapped_overlaps(spread, (1, 2), 3, places)) == [1, 2]


def test_a_field_without_a_place_takes_it_from_the_first_overlap_that_has_one():
    overlaps = [Overlap(4, 100.0, 20.0), Overlap(2, 40.0, -8.0), Overlap(1, 0.0, 0.0)]
    placed = {2: (MapPlace(3, 10.0, 20.0), 0.5), 1: (MapPlace(5, 0.0, 0.0), 0.25)}
    assert place_from_overlaps(overlaps, placed) == MapPlace(3, 30.0, 16.0)
    assert place_from_overlaps(overlaps[:1], placed) is None
    assert place_from_overlaps([], placed) is None
