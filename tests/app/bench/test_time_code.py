"""A frame's number in its pixels: it is read as it was written, or not at all."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.app.bench.time_code import code_rect, read_code, shown_index, stamp


def block_of(rgb: np.ndarray) -> np.ndarray:
    left, top, width, height = code_rect(rgb.shape[1])
    return rgb[top : top + height, left : left + width]


@given(
    index=st.integers(0, 1 << 20),
    width=st.integers(200, 1000),
    zoom=st.floats(0.6, 3.0),
    background=st.integers(0, 255),
)
def test_the_number_is_read_at_any_scale(index, width, zoom, background):
    rgb = np.full((50, width, 3), background, np.uint8)
    stamp(rgb, index)
    shown = cv2.resize(block_of(rgb), None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
    assert read_code(shown) == shown_index(index)


@given(index=st.integers(0, 65_535), seed=st.integers(0, 1000))
def test_under_a_coloured_overlay_it_is_right_or_unreadable(index, seed):
    rgb = np.zeros((90, 1920, 3), np.uint8)
    stamp(rgb, index)
    shown = block_of(rgb).copy()
    rng = np.random.default_rng(seed)
    for _ in range(6):
        start, end = rng.integers(0, 80, 2), rng.integers(0, 80, 2)
        cv2.line(shown, start.tolist(), end.tolist(), (240, 160, 0), 3)
    assert read_code(shown) in (index, None)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_plain_picture_has_no_number(grey):
    assert read_code(np.full((80, 100, 3), grey, np.uint8)) is None


def test_an_overlay_over_all_hides_the_number():
    rgb = np.zeros((90, 1920, 3), np.uint8)
    stamp(rgb, 7)
    shown = block_of(rgb).copy()
    shown[:, :50] = (240, 160, 0)
    assert read_code(shown) is None


def test_too_few_pixels_have_no_number():
    assert read_code(np.full((4, 5, 3), 215, np.uint8)) is None


def test_a_picture_smaller_than_the_block_takes_a_part_of_it():
    rgb = np.zeros((10, 16, 3), np.uint8)
    stamp(rgb, 3)
    assert rgb[0, 0, 0] == 215


def test_only_the_block_changes():
    rgb = np.full((100, 960, 3), 90, np.uint8)
    stamp(rgb, 12345)
    left, top, width, height = code_rect(960)
    rgb[top : top + height, left : left + width] = 90
    assert (rgb == 90).all()
