"""The fast ways of percentiles say what numpy's say, and blocks of rows are the whole picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from her2scope.imaging.opencv import cv2
from her2scope.imaging.planes import (
    BLOCK_PX,
    block_rows,
    closed,
    enlarged,
    grey_percentile,
    histogram,
    percentile,
    row_blocks,
)

SIDES = st.tuples(st.integers(1, 9), st.integers(1, 9))
PERCENTS = st.sampled_from([0.0, 1.0, 5.0, 50.0, 98.0, 99.0, 100.0]) | st.floats(0.0, 100.0)


@given(arrays(np.uint8, SIDES.map(lambda hw: (*hw, 3))), PERCENTS, st.integers(0, 2))
def test_a_percentile_of_grey_values_is_numpys(picture, percent, channel):
    assert grey_percentile(picture, percent, channel) == np.percentile(picture[..., channel], percent)


@given(arrays(np.float32, SIDES, elements=st.floats(-2, 2, width=32)), PERCENTS)
def test_a_percentile_of_a_plane_is_numpys(plane, percent):
    assert percentile(plane, percent) == np.percentile(plane, percent)


@pytest.mark.parametrize("percent", [1.0, 98.0])
def test_so_it_is_of_many_values_and_of_every_other_column(percent):
    plane = np.random.default_rng(0).random((237, 411), dtype=np.float32)
    assert percentile(plane, percent) == np.percentile(plane, percent)
    assert percentile(plane[::3, ::2], percent) == np.percentile(plane[::3, ::2], percent)


@given(arrays(np.uint8, SIDES), st.data())
def test_only_pixels_of_the_mask_are_counted(picture, data):
    mask = data.draw(arrays(np.uint8, picture.shape, elements=st.sampled_from([0, 1, 255])))
    chosen = picture[mask > 0]
    assert np.array_equal(histogram(picture, where=mask), np.bincount(chosen, minlength=256))
    if chosen.size:
        assert grey_percentile(picture, 50.0, where=mask) == np.median(chosen)


@given(st.integers(1, 400), st.sampled_from([1, 3, 640, 1001, 4096, BLOCK_PX + 1]))
def test_blocks_hold_each_row_once_and_in_order(height, width):
    rows = [np.arange(height)[block] for block in row_blocks(np.empty((height, width), np.uint8))]
    assert np.array_equal(np.concatenate(rows), np.arange(height))
    assert all(1 <= len(block) <= block_rows(np.empty((height, width))) for block in rows)


@given(arrays(np.uint8, SIDES), st.integers(1, 20), st.integers(0, 3))
def test_an_enlarged_mask_is_that_of_the_nearest_pixels(mask, times, more):
    size_hw = mask.shape[0] * times + more, mask.shape[1] * times
    assert np.array_equal(enlarged(mask, size_hw), cv2.resize(mask, size_hw[::-1], interpolation=cv2.INTER_NEAREST))


@given(arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.integers(0, 1)), st.data())
def test_closing_row_by_row_is_closing(mask, data):
    side = data.draw(st.sampled_from([1, 3, 5, 9, 25]))
    shape = data.draw(st.sampled_from([cv2.MORPH_ELLIPSE, cv2.MORPH_RECT, cv2.MORPH_CROSS]))
    disc = cv2.getStructuringElement(shape, (side, side))
    assert np.array_equal(closed(mask, disc), cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc))
