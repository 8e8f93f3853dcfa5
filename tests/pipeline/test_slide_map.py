"""Frames are placed on a map of the slide: steadily, back to the same coordinates, and joined when found again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from her2scope.imaging.opencv import cv2
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.pipeline.slide_map import HOLD_S, SlideMap
from her2scope.records import CameraState, Frame, IslandJoin, TrackedFrame

UM_PER_PX = 0.25
SIZE = (640, 480)
FRAME_S = 1 / 30
GLASS = np.full((SIZE[1], SIZE[0], 3), 240, np.uint8)
NOISE = np.rint(np.random.default_rng(1).normal(0, 2, (500, 760, 3))).astype(np.int16)
Spot = tuple[int, int]


@pytest.fixture(scope="module")
def slide() -> np.ndarray:
    return render_field(PhantomSpec(score="2+", seed=5, size_wh=(1700, 1000))).rgb


@pytest.fixture(scope="module")
def elsewhere() -> np.ndarray:
    """Tissue of another part of the slide."""
    return render_field(PhantomSpec(score="1+", seed=8, size_wh=(900, 600))).rgb


class Microscope:
    """Pictures of a drawn slide, one after the other, on a map."""

    def __init__(self, slide: np.ndarray, slide_map: SlideMap | None = None) -> None:
        self.slide, self.map = slide, slide_map or SlideMap()
        self.index, self.now_s = 0, 0.0

    def look(
        self, x: int, y: int, slide: np.ndarray | None = None, blur_px: float = 0.0, **more: object
    ) -> TrackedFrame:
        """Place the view with its corner at a pixel of the slide."""
        seen = (self.slide if slide is None else slide)[y : y + SIZE[1], x : x + SIZE[0]]
        return self.show(cv2.GaussianBlur(seen, (0, 0), blur_px) if blur_px else seen, **more)

    def show(self, rgb: np.ndarray, um_per_px: float = UM_PER_PX, **more: object) -> TrackedFrame:
        self.index, self.now_s = self.index + 1, self.now_s + FRAME_S
        noise = np.roll(NOISE, (7 * self.index, 11 * self.index), (0, 1))[: rgb.shape[0], : rgb.shape[1]]
        return self.map.place(Frame(cv2.add(rgb, noise, dtype=cv2.CV_8U), self.index, self.now_s, um_per_px, **more))

    def walk(self, spots: Iterable[Spot]) -> list[TrackedFrame]:
        return [self.look(*spot) for spot in spots]


def line(start: Spot, end: Spot, steps: int = 12) -> list[Spot]:
    return [tuple(round(a + (b - a) * k / steps) for a, b in zip(start, end, strict=True)) for k in range(steps + 1)]


def place_of(tracked: TrackedFrame) -> Spot:
    return tracked.x_um, tracked.y_um


def spots_um(spots: Sequence[Spot]) -> np.ndarray:
    """Places of views from the first one."""
    return (np.array(spots) - spots[0]) * UM_PER_PX


ROUND = [*line((20, 20), (1040, 20)), *line((1040, 20), (1040, 500)), *line((1040, 500), (20, 20))]


# ---- one island ---------------------------------------------------------------------------------------------------


def test_a_way_round_is_followed_and_ends_where_it_began(slide):
    microscope = Microscope(slide)
    tracked = microscope.walk(ROUND)
    assert {item.island for item in tracked} == {0} and all(item.trusted for item in tracked)
    off_um = np.hypot(*(np.array([place_of(item) for item in tracked]) - spots_um(ROUND)).T)
    assert off_um.max() < 1.0 and off_um[-1] < 0.2
    step_um = math.hypot(1020, 0) / 12 * UM_PER_PX
    assert tracked[5].speed_um_per_s == pytest.approx(step_um / FRAME_S, rel=0.05)


def test_keyframes_stay_where_they_are_and_few_are_made(slide):
    microscope = Microscope(slide)
    microscope.walk(ROUND)
    first = microscope.map.view
    assert 4 <= len(first.tiles) <= 12
    microscope.walk(reversed(ROUND))
    second = microscope.map.view
    assert second.tiles[: len(first.tiles)] == first.tiles
    assert len(second.tiles) <= len(first.tiles) + 2


def test_the_map_looks_the_same_from_any_start(slide):
    spots = line((700, 300), (200, 100), 6)
    there = np.array([place_of(item) for item in Microscope(slide).walk(spots)])
    back = np.array([place_of(item) for item in Microscope(slide).walk(spots[::-1])])[::-1]
    assert (there - there[-1]) == pytest.approx(back - back[-1], abs=0.6)


def test_a_still_picture_shown_again_stands_still(slide):
    slide_map, rgb = SlideMap(), np.ascontiguousarray(slide[:480, :640])
    first, second = (slide_map.place(Frame(rgb, n, float(n), UM_PER_PX)) for n in range(2))
    assert place_of(first) == place_of(second) and second.speed_um_per_s == 0.0 and second.frame.index == 1


def test_tiles_show_the_tissue_small_and_read_only(slide):
    microscope = Microscope(slide)
    microscope.look(0, 0)
    (tile,) = microscope.map.view.tiles
    assert (tile.width_um, tile.height_um) == (160.0, 120.0)
    assert tile.picture.shape == (30, 40, 3)
    with pytest.raises(ValueError, match="read-only"):
        tile.picture[0, 0] = 0
    assert tile.picture.mean() == pytest.approx(slide[:480, :640].mean(), abs=4)


def test_the_view_is_the_same_object_while_nothing_changes(slide):
    microscope = Microscope(slide)
    microscope.look(0, 0)
    view = microscope.map.view
    microscope.walk([(4, 0), (8, 2)])
    assert microscope.map.view is view


def test_a_picture_out_of_focus_is_followed_or_held_but_is_not_lost(slide):
    microscope = Microscope(slide)
    microscope.walk(line((100, 100), (160, 100), 4))
    slightly = microscope.look(164, 100, blur_px=4.0)
    assert slightly.trusted and place_of(slightly) == pytest.approx((16.0, 0.0), abs=1.0)
    badly = [microscope.look(164, 100, blur_px=60.0) for _ in range(5)]
    assert not any(item.trusted for item in badly) and {item.island for item in badly} == {0}
    sharp = microscope.look(168, 104)
    assert sharp.trusted and place_of(sharp) == pytest.approx((17.0, 1.0), abs=0.5)


def test_a_sharp_picture_that_fits_badly_is_in_doubt_for_a_while_and_then_another_place(slide, elsewhere):
    microscope = Microscope(slide)
    microscope.walk([(100, 100)] * 2)
    doubtful = cv2.addWeighted(slide[100:580, 100:740], 0.45, elsewhere[:480, :640], 0.8, -90)
    first = microscope.show(doubtful)
    assert (first.island, first.trusted, place_of(first)) == (0, False, pytest.approx((0.0, 0.0), abs=3.0))
    shown = [microscope.show(doubtful) for _ in range(math.ceil(HOLD_S / FRAME_S))]
    assert (shown[-1].island, shown[-1].trusted, microscope.map.view.lost) == (1, True, "jump")


# ---- lost and found -----------------------------------------------------------------------------------------------


def test_a_jump_starts_an_island_and_says_so(slide, elsewhere):
    microscope = Microscope(slide)
    microscope.walk([(100, 100), (112, 104)])
    assert microscope.map.view.lost == ""
    lost = microscope.look(0, 0, elsewhere)
    assert (lost.island, place_of(lost), lost.speed_um_per_s) == (1, (0.0, 0.0), math.inf)
    assert (microscope.map.view.island, microscope.map.view.lost) == (1, "jump")
    assert microscope.look(4, 0, elsewhere).speed_um_per_s == pytest.approx(1.0 / FRAME_S, rel=0.3)
    assert microscope.map.new_joins() == ()


def test_an_island_found_again_takes_its_place(slide, elsewhere):
    microscope = Microscope(slide)
    microscope.walk(line((20, 20), (900, 20)))
    microscope.look(0, 0, elsewhere)
    found = [microscope.look(400, 200) for _ in range(12)]
    assert found[0].island in (2, 0) and found[-1].island == 0
    assert place_of(found[-1]) == pytest.approx((95.0, 45.0), abs=1.0)
    (join,) = microscope.map.new_joins()
    assert (join.island, join.into) == (2, 0)
    assert (join.dx_um, join.dy_um) == pytest.approx((95.0, 45.0), abs=1.0)
    view = microscope.map.view
    assert (view.island, view.lost, view.joins) == (0, "", (join,))
    assert {tile.island for tile in view.tiles} == {0, 1}
    assert microscope.map.new_joins() == ()


def test_what_was_seen_on_the_way_is_joined_to_the_older_island(slide):
    """Back at the first island, and from there to where a later one lies."""
    microscope = Microscope(slide)
    microscope.look(0, 0)
    microscope.look(1040, 500)
    assert microscope.map.view.island == 1
    microscope.look(0, 0)
    back = [microscope.look(0, 0) for _ in range(6)]
    assert back[-1].island == 0
    walked = microscope.walk([*line((0, 0), (1040, 500)), *[(1040, 500)] * 6])
    assert {item.island for item in walked} == {0} and walked[-1].trusted
    places = {tile.island: (tile.x_um, tile.y_um) for tile in microscope.map.view.tiles}
    assert set(places) == {0}
    into = {join.island: join.into for join in microscope.map.new_joins()}
    assert into == {2: 0, 1: 0}


def test_other_tissue_is_never_joined(slide, elsewhere):
    microscope = Microscope(slide)
    for _ in range(3):
        microscope.walk([(0, 0), (1040, 500), (1040, 0)])
        for x, y in ((0, 0), (260, 0), (0, 120), (260, 120)):
            microscope.look(x, y, elsewhere)
            microscope.look(x, y, elsewhere)
    into = {join.island: join.into for join in microscope.map.view.joins}
    islands = {tile.island for tile in microscope.map.view.tiles}
    assert not islands & set(into)
    own = [tile for tile in microscope.map.view.tiles if tile.island == min(islands)]
    assert all(np.abs(tile.picture.mean() - slide.mean()) < 60 for tile in own)


def test_another_objective_starts_an_island_that_is_joined(slide):
    microscope = Microscope(slide)
    fine, coarse = CameraState("40x"), CameraState("20x")
    for _ in range(2):
        microscope.look(500, 260, camera=fine)
    small = cv2.resize(slide[20:980, 200:1480], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    wide = microscope.show(small, 2 * UM_PER_PX, camera=coarse)
    (join,) = microscope.map.new_joins()
    assert (join.island, join.into, wide.island) == (1, 0, 0)
    assert place_of(wide) == pytest.approx((-75.0, -60.0), abs=1.0)
    assert wide.speed_um_per_s == math.inf
    unlike = microscope.show(small[::-1], 2 * UM_PER_PX, camera=fine)
    assert (unlike.island, microscope.map.view.lost) == (2, "objective changed")


def test_glass_is_an_island_only_after_a_while(slide):
    microscope = Microscope(slide)
    microscope.look(0, 0)
    held = microscope.show(GLASS)
    assert (held.island, held.trusted, held.speed_um_per_s) == (0, False, 0.0)
    frames = [microscope.show(GLASS) for _ in range(math.ceil(HOLD_S / FRAME_S) + 5)]
    assert frames[-1].island == 1 and microscope.map.view.lost == "empty glass"
    assert {item.speed_um_per_s for item in frames} == {0.0}
    there = microscope.look(1040, 500)
    assert (there.island, place_of(there), there.trusted) == (1, (0.0, 0.0), True)


def test_islands_are_never_used_twice(slide, elsewhere):
    microscope = Microscope(slide)
    used = {microscope.look(0, 0).island, microscope.look(0, 0, elsewhere).island}
    microscope.map.forget()
    assert microscope.map.next_island not in used
    again = microscope.look(0, 0).island
    assert again not in used
    microscope.map.skip_to(40)
    assert microscope.look(0, 0).island >= 40 and microscope.map.next_island > 40
    assert microscope.map.view.tiles[0].island >= 40


def test_another_case_begins_on_an_island_of_its_own_and_without_the_joins_of_the_one_before(slide):
    microscope = Microscope(slide)
    before = microscope.look(0, 0)
    microscope.map.adopt(IslandJoin(7, before.island, 10.0, 0.0))
    for known in (40, 0):
        used = microscope.map.view.island
        microscope.map.renew(known)
        view = microscope.map.view
        assert view.island >= known and view.island != used
        assert view.tiles == () and view.joins == () and microscope.map.new_joins() == ()
        assert microscope.look(0, 0).island == view.island, "the same tissue is another case's by now"


def test_nothing_is_forgotten_of_nothing():
    slide_map = SlideMap(3)
    slide_map.forget()
    slide_map.skip_to(2)
    assert (slide_map.view.island, slide_map.next_island) == (3, 4)


def test_a_join_that_somebody_else_found_moves_the_present_place_and_is_taken_once(slide, elsewhere):
    microscope = Microscope(slide)
    microscope.look(0, 0)
    microscope.look(0, 0, elsewhere)
    join = IslandJoin(1, 0, 1000.0, 500.0)
    microscope.map.adopt(join)
    microscope.map.adopt(join)
    view = microscope.map.view
    assert (view.joins, view.island, view.lost, {tile.island for tile in view.tiles}) == ((join,), 0, "", {0})
    next_frame = microscope.look(8, 0, elsewhere)
    assert next_frame.trusted and next_frame.speed_um_per_s == pytest.approx(2.0 / FRAME_S, rel=0.2)
    assert (next_frame.island, place_of(next_frame)) == (0, pytest.approx((1002.0, 500.0), abs=0.5))


# ---- a stage that tells where it is -------------------------------------------------------------------------------


def staged(microscope: Microscope, x: int, y: int, rgb: np.ndarray | None = None, off_um: float = 0.0) -> TrackedFrame:
    centre = ((x + SIZE[0] / 2) * UM_PER_PX + off_um, (y + SIZE[1] / 2) * UM_PER_PX)
    if rgb is not None:
        return microscope.show(rgb, stage_um=centre)
    return microscope.look(x, y, stage_um=centre)


def test_a_stage_crosses_glass_and_leaps_on_one_island(slide):
    microscope = Microscope(slide)
    staged(microscope, 0, 0)
    over = [staged(microscope, x, 0, GLASS) for x in range(200, 1000, 100)]
    assert not any(item.trusted for item in over) and over[0].speed_um_per_s == pytest.approx(50 / FRAME_S, rel=0.01)
    staged(microscope, 1040, 0, GLASS)
    landed = [staged(microscope, 1040, 0) for _ in range(3)]
    assert [item.trusted for item in landed] == [False, True, True]
    assert {item.island for item in landed} == {0}
    assert place_of(landed[-1]) == pytest.approx((260.0, 0.0), abs=0.5)


def test_pictures_correct_a_stage_that_is_off(slide):
    microscope = Microscope(slide)
    staged(microscope, 0, 0)
    tracked = staged(microscope, 100, 0, off_um=15.0)
    assert tracked.trusted and place_of(tracked) == pytest.approx((25.0, 0.0), abs=0.5)


# ---- joins --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [((0, 0), (500, 100), (1040, 500)), ((1040, 500), (0, 0), (500, 100))])
def test_joined_islands_agree_with_the_slide_whatever_the_order(slide, order):
    """Three places seen by jumps, then walked through: one island, whose places differ by what the slide's do."""
    microscope = Microscope(slide)
    for spot in order:
        microscope.look(*spot)
    last = order[-1]
    walked = microscope.walk([*line(last, order[0]), *[order[0]] * 4, *line(order[0], order[1]), *[order[1]] * 4])
    walked = microscope.walk([*line(order[1], last), *[last] * 6])
    view = microscope.map.view
    assert {tile.island for tile in view.tiles} == {0} and view.island == 0
    for join in view.joins:
        assert join.island > join.into
    origin = np.array(order[0])
    assert place_of(walked[-1]) == pytest.approx(tuple((np.array(last) - origin) * UM_PER_PX), abs=1.5)
