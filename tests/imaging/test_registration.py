"""Shifts between pictures of one drawn slide are found, and other tissue is not taken for the same."""

from __future__ import annotations

import numpy as np
import pytest

from her2scope.imaging.registration import Relief, find_shift
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.records import Frame

SIDE = (640, 480)


@pytest.fixture(scope="module")
def slide() -> np.ndarray:
    return render_field(PhantomSpec(score="2+", seed=5, size_wh=(1400, 1000))).rgb


def relief_at(slide: np.ndarray, x: int, y: int, noise: float = 0.0) -> Relief:
    rgb = slide[y : y + SIDE[1], x : x + SIDE[0]].astype(float)
    rgb += np.random.default_rng(x + y).normal(0, noise, rgb.shape) if noise else 0
    return Relief.of(Frame(np.clip(rgb, 0, 255).astype(np.uint8), 0, 0.0, 0.25))


@pytest.mark.parametrize(
    ("dx", "dy"), [(0, 0), (7, -3 + 3), (64, 20), (150, 0), (0, 120), (200, 150), (320, 0), (400, 100)]
)
def test_shift_is_found(slide, dx, dy):
    shift = find_shift(relief_at(slide, 100, 100), relief_at(slide, 100 + dx, 100 + dy, noise=2.0))
    assert shift is not None
    assert (shift.dx_px, shift.dy_px) == pytest.approx((dx, dy), abs=1.5)


def test_shift_has_a_direction(slide):
    first, second = relief_at(slide, 300, 200), relief_at(slide, 250, 260)
    there, back = find_shift(first, second), find_shift(second, first)
    assert (there.dx_px, there.dy_px) == pytest.approx((-50, 60), abs=1.5)
    assert (back.dx_px, back.dy_px) == pytest.approx((50, -60), abs=1.5)


def test_other_tissue_is_no_overlap(slide):
    other = render_field(PhantomSpec(score="2+", seed=5, number=9, size_wh=SIDE)).rgb
    assert find_shift(relief_at(slide, 100, 100), Relief.of(Frame(other, 0, 0.0, 0.25))) is None


def test_empty_pictures_are_no_overlap():
    blank = Relief.of(Frame(np.full((480, 640, 3), 240, np.uint8), 0, 0.0, 0.25))
    assert find_shift(blank, blank) is None


def test_pictures_of_other_size_are_no_overlap(slide):
    small = Relief.of(Frame(np.ascontiguousarray(slide[:200, :320]), 0, 0.0, 0.25))
    assert find_shift(relief_at(slide, 0, 0), small) is None
