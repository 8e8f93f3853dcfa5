"""Pictures of one drawn slide are placed, however little they share, and other tissue is not taken for the same."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from her2scope.imaging.opencv import cv2
from her2scope.imaging.registration import Relief, correlation_map, find_near, find_place, recognise
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.records import Frame

UM_PER_PX = 0.25
SIDE = (640, 480)
VIEW = (1280, 720)


@pytest.fixture(scope="module")
def slide() -> np.ndarray:
    return render_field(PhantomSpec(score="2+", seed=5, size_wh=(1400, 1000))).rgb


@pytest.fixture(scope="module")
def wide_slide() -> np.ndarray:
    return render_field(PhantomSpec(score="1+", seed=6, size_wh=(2500, 1370))).rgb


def part_of(slide: np.ndarray, x: int, y: int, size_wh: tuple[int, int]) -> np.ndarray:
    return np.ascontiguousarray(slide[y : y + size_wh[1], x : x + size_wh[0]])


def relief_of(rgb: np.ndarray, um_per_px: float = UM_PER_PX, stage_um: tuple[float, float] | None = None) -> Relief:
    return Relief.of(Frame(rgb, 0, 0.0, um_per_px, stage_um=stage_um))


def taken_again(rgb: np.ndarray, noise: float = 0.0, blur_px: float = 0.0, gain: float = 1.0) -> np.ndarray:
    """The picture with the noise (grey levels), focus and brightness of another moment."""
    blurred = cv2.GaussianBlur(rgb, (0, 0), blur_px) if blur_px else rgb
    noisy = gain * blurred + np.random.default_rng(3).normal(0.0, noise, rgb.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def relief_at(slide: np.ndarray, x: int, y: int, noise: float = 0.0) -> Relief:
    return relief_of(taken_again(part_of(slide, x, y, SIDE), noise))


def place_of(first: Relief, second: Relief) -> tuple[float, float] | None:
    place = find_place(first, second, UM_PER_PX, UM_PER_PX)
    return None if place is None else (place.dx_px, place.dy_px)


# ---- fields of a case ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dx", "dy"), [(0, 0), (7, -3), (64, 20), (150, 0), (0, 120), (200, 150), (320, 0), (400, 100), (-90, -60)]
)
def test_a_large_overlap_is_found(slide, dx, dy):
    place = place_of(relief_at(slide, 100, 100), relief_at(slide, 100 + dx, 100 + dy, noise=2.0))
    assert place == pytest.approx((dx, dy), abs=1.5)


def test_the_same_pair_gives_the_same_answer_again_and_again(wide_slide):
    # at this size OpenCV 5 laid its window over the stored relief: overlaps were lost after a few fields
    first, second = (relief_of(part_of(wide_slide, x, 0, VIEW)) for x in (0, 380))
    before = first.plane.copy(), second.plane.copy()
    found = {place_of(first, second) for _ in range(10)}
    assert len(found) == 1
    assert found.pop()[0] == pytest.approx(380, abs=1.5)
    assert np.array_equal(first.plane, before[0]) and np.array_equal(second.plane, before[1])


def test_a_relief_cannot_be_written(slide):
    with pytest.raises(ValueError, match="read-only"):
        relief_at(slide, 0, 0).plane[0, 0] = 1.0


STRIPS_AND_CORNERS = [
    (1000, 100), (1100, 0), (1150, 0), (1200, 0), (0, 600), (0, 650), (960, 540), (-960, 540), (-1200, 0), (0, -650)
]  # fmt: skip


@pytest.mark.parametrize(("dx", "dy"), STRIPS_AND_CORNERS)
def test_a_strip_or_a_corner_in_common_is_enough(wide_slide, dx, dy):
    x, y = max(0, -dx), max(0, -dy)
    first = relief_of(part_of(wide_slide, x, y, VIEW))
    again = taken_again(part_of(wide_slide, x + dx, y + dy, VIEW), noise=4.0, blur_px=1.0, gain=0.9)
    assert place_of(first, relief_of(again)) == pytest.approx((dx, dy), abs=1.5)


@pytest.mark.parametrize(("noise", "blur_px", "gain"), [(8, 0, 1.0), (3, 2.0, 1.0), (3, 0, 1.1), (3, 0, 0.9)])
def test_noise_focus_and_brightness_may_change(wide_slide, noise, blur_px, gain):
    again = taken_again(part_of(wide_slide, 1100, 60, VIEW), noise, blur_px, gain)
    assert place_of(relief_of(part_of(wide_slide, 0, 0, VIEW)), relief_of(again)) == pytest.approx((1100, 60), abs=1.5)


def test_there_and_back_are_one_way(slide):
    first, second = relief_at(slide, 300, 200), relief_at(slide, 250, 260)
    assert place_of(first, second) == pytest.approx((-50, 60), abs=1.5)
    assert place_of(second, first) == pytest.approx((50, -60), abs=1.5)


@pytest.mark.parametrize("ratio", [1.2, 1.6, 2.0, 2.5])
def test_another_scale_is_found(wide_slide, ratio):
    fine = relief_of(part_of(wide_slide, 500, 300, VIEW))
    wide = part_of(wide_slide, 300, 200, (1920, 1080))
    reduced = cv2.resize(wide, None, fx=1 / ratio, fy=1 / ratio, interpolation=cv2.INTER_AREA)
    coarse = relief_of(taken_again(reduced, noise=3.0), ratio * UM_PER_PX)
    there = find_place(fine, coarse, UM_PER_PX, ratio * UM_PER_PX)
    back = find_place(coarse, fine, ratio * UM_PER_PX, UM_PER_PX)
    assert (there.dx_px, there.dy_px) == pytest.approx((-200, -100), abs=2.0)
    assert (back.dx_px, back.dy_px) == pytest.approx((200 / ratio, 100 / ratio), abs=2.0)


def test_a_scale_too_far_off_is_not_compared(wide_slide):
    first = relief_of(part_of(wide_slide, 0, 0, VIEW))
    assert find_place(first, first, 0.25, 1.0) is None


@pytest.mark.parametrize(("x", "y", "size_wh"), [(900, 500, (640, 480)), (100, 0, (640, 480)), (0, 0, (1600, 1100))])
def test_another_size_is_found(wide_slide, x, y, size_wh):
    first = relief_of(part_of(wide_slide, 500, 100, VIEW))
    second = relief_of(taken_again(part_of(wide_slide, x, y, size_wh), noise=3.0))
    assert place_of(first, second) == pytest.approx((x - 500, y - 100), abs=1.5)


# ---- about where it is known --------------------------------------------------------------------------------------


def near_of(
    first: Relief, second: Relief, expected_um: tuple[float, float], **more: float
) -> tuple[float, float] | None:
    place = find_near(first, second, UM_PER_PX, UM_PER_PX, expected_um, 20.0, **more)
    return None if place is None else (place.dx_px, place.dy_px)


@pytest.mark.parametrize("reduction", [1.0, 2.0])
@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (37, -21), (500, 100), (1150, 30)])
def test_a_place_is_found_near_where_it_is_expected(wide_slide, dx, dy, reduction):
    first = relief_of(part_of(wide_slide, 0, 100, VIEW))
    second = relief_of(taken_again(part_of(wide_slide, dx, 100 + dy, VIEW), noise=4.0))
    for off_x_um, off_y_um in ((0.0, 0.0), (1.0, -1.0), (15.0, -12.0)):
        expected_um = dx * UM_PER_PX + off_x_um, dy * UM_PER_PX + off_y_um
        assert near_of(first, second, expected_um, reduction=reduction) == pytest.approx((dx, dy), abs=1.0)


def test_a_place_far_from_where_it_is_expected_is_not_found(wide_slide):
    first, second = (relief_of(part_of(wide_slide, x, 0, VIEW)) for x in (0, 300))
    assert near_of(first, second, (75.0, 0.0)) == pytest.approx((300, 0), abs=1.0)
    assert near_of(first, second, (0.0, 0.0)) is None
    assert near_of(first, second, (75.0, 60.0)) is None


def test_leniency_finds_a_blurred_picture_and_says_by_how_much_it_fails(wide_slide):
    first = relief_of(part_of(wide_slide, 0, 0, VIEW))
    smeared = cv2.blur(part_of(wide_slide, 40, 0, VIEW), (81, 1))  # the stage went 20 um while the shutter was open
    second = relief_of(taken_again(smeared, noise=3.0))
    assert near_of(first, second, (10.0, 0.0)) is None
    found = find_near(first, second, UM_PER_PX, UM_PER_PX, (10.0, 0.0), 20.0, leniency=0.3)
    assert found.margin < 0.0
    assert (found.dx_px, found.dy_px) == (pytest.approx(40, abs=40), pytest.approx(0, abs=4))


def test_a_picture_is_recognised_by_a_quarter_of_it(wide_slide):
    first = relief_of(part_of(wide_slide, 0, 0, VIEW))
    for x, y in ((0, 0), (600, 200), (860, 0)):
        found = recognise(first, relief_of(taken_again(part_of(wide_slide, x, y, VIEW), 4.0)), 0.25, 0.25, 0.25)
        assert (found.dx_px, found.dy_px) == pytest.approx((x, y), abs=1.0)
    strip = relief_of(part_of(wide_slide, 1100, 0, VIEW))
    assert find_place(first, strip, 0.25, 0.25) is not None and recognise(first, strip, 0.25, 0.25, 0.25) is None


# ---- other tissue -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def different() -> list[tuple[Relief, float]]:
    """Reliefs of views without a cell in common, with their um/px."""
    specs = [
        PhantomSpec(score=score, seed=seed, damage=damage, size_wh=(1290, 970))
        for score, seed, damage in (("0", 1, None), ("2+", 9, "too_few"), ("1+", 2, None), ("3+", 3, None))
    ]
    views = [(0, 0, (640, 480)), (650, 0, (640, 480)), (0, 490, (640, 480)), (650, 490, (640, 480))]
    parts = [part_of(rgb, *view) for rgb in (render_field(spec).rgb for spec in specs) for view in views]
    other_scale = render_field(PhantomSpec(score="2+", seed=4, um_per_px=0.5, size_wh=SIDE)).rgb
    return [*((relief_of(rgb), UM_PER_PX) for rgb in parts), (relief_of(other_scale, 0.5), 0.5)]


def test_other_tissue_is_no_overlap(different):
    pairs = list(combinations(different, 2))
    assert len(pairs) > 100
    assert not [1 for (a, a_um), (b, b_um) in pairs if find_place(a, b, a_um, b_um)]
    assert not [1 for (a, a_um), (b, b_um) in pairs if recognise(a, b, a_um, b_um, 0.1)]
    assert not [1 for (a, a_um), (b, b_um) in pairs if find_near(a, b, a_um, b_um, (30.0, 20.0), 80.0, 2.0)]


def test_flat_pictures_are_no_overlap(slide):
    rng = np.random.default_rng(4)
    flat = np.full((480, 640, 3), 240, np.uint8)
    stripes = np.linspace(200, 240, 640)[None, :, None] * np.ones((480, 1, 3))  # an uneven lamp
    pictures = [flat, taken_again(flat, 4.0), stripes.astype(np.uint8), rng.normal(230, 6, flat.shape).astype(np.uint8)]
    reliefs = [*(relief_of(rgb) for rgb in pictures), relief_at(slide, 0, 0)]
    assert not [1 for a, b in combinations(reliefs, 2) if place_of(a, b)]
    assert place_of(reliefs[0], reliefs[0]) is None


@pytest.mark.parametrize("size_wh", [(1, 1), (16, 16), (16, 700), (700, 3)])
def test_tiny_pictures_are_no_overlap(slide, size_wh):
    tiny = relief_of(part_of(slide, 0, 0, size_wh))
    assert place_of(relief_at(slide, 0, 400), tiny) is None
    assert place_of(tiny, relief_at(slide, 0, 400)) is None


# ---- a stage that tells where it is -------------------------------------------------------------------------------


def staged(slide: np.ndarray, x: int, y: int, off_um: tuple[float, float] = (0.0, 0.0)) -> Relief:
    centre = (x + VIEW[0] / 2) * UM_PER_PX + off_um[0], (y + VIEW[1] / 2) * UM_PER_PX + off_um[1]
    return relief_of(part_of(slide, x, y, VIEW), stage_um=centre)


@pytest.mark.parametrize("off_um", [(0.0, 0.0), (8.0, -5.0), (-60.0, 60.0)])
def test_a_stage_may_be_off(wide_slide, off_um):
    place = place_of(staged(wide_slide, 0, 0), staged(wide_slide, 1150, 40, off_um))
    assert place == pytest.approx((1150, 40), abs=1.5)


def test_fields_that_the_stage_puts_apart_are_not_compared(wide_slide):
    first = staged(wide_slide, 0, 0)
    assert place_of(first, staged(wide_slide, 300, 0)) is not None
    assert place_of(first, staged(wide_slide, 300, 0, (2000.0, 0.0))) is None


# ---- the map of all shifts ----------------------------------------------------------------------------------------


def test_the_map_holds_the_correlation_of_every_overlap():
    rng = np.random.default_rng(5)
    first, second = (rng.normal(5.0, 20.0, size).astype(np.float32) for size in ((20, 31), (15, 24)))
    found, overlap_px = correlation_map(first, second)
    assert found.shape == overlap_px.shape == (34, 54)
    for x, y in ((0, 0), (-9, 3), (12, -8), (20, 10)):
        top, left, bottom, right = max(0, y), max(0, x), min(20, y + 15), min(31, x + 24)
        mine, theirs = first[top:bottom, left:right], second[top - y : bottom - y, left - x : right - x]
        at = y + 14, x + 23
        assert overlap_px[at] == mine.size
        assert found[at] == pytest.approx(np.corrcoef(mine.ravel(), theirs.ravel())[0, 1], abs=1e-4)
