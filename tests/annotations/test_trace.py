"""Masks turned into polygons: exact, valid, joined over seams."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.annotations.geometry import shape_of
from her2scope.annotations.raster import paint, paint_window
from her2scope.annotations.shapes import Annotations
from her2scope.annotations.trace import trace, trace_labels, trace_windows

CLASSES = ("a", "b")
SEEDS = st.integers(0, 100_000)


def blobs(seed, size_hw=(30, 40), classes=2):
    """Ragged patches of classes, with holes, corners that touch, and pieces at the edge."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, classes + 1, (-(-size_hw[0] // 3), -(-size_hw[1] // 3)))
    labels = np.repeat(np.repeat(coarse, 3, axis=0), 3, axis=1)[: size_hw[0], : size_hw[1]]
    noise = random.random(size_hw) < random.choice([0.0, 0.1, 0.5])
    return np.where(noise, random.integers(0, classes + 1, size_hw), labels).astype(np.uint8)


def drawn(polygons):
    return [(polygon.outer.tolist(), [hole.tolist() for hole in polygon.holes]) for polygon in polygons]


def test_one_pixel_is_a_square_around_its_centre():
    (polygon,) = trace(np.array([[0, 0], [0, 1]], bool))
    assert sorted(map(tuple, polygon.outer)) == [(0.5, 0.5), (0.5, 1.5), (1.5, 0.5), (1.5, 1.5)]


def test_pixels_that_touch_at_a_corner_are_two_pieces():
    assert len(trace(np.eye(3, dtype=bool))) == 3


def test_a_ring_whose_ends_touch_at_a_corner_has_a_hole_that_touches_it():
    mask = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], bool)
    (polygon,) = trace(mask)
    assert len(polygon.holes) == 1
    assert shapely.is_valid(shape_of(polygon))


def test_the_places_of_the_full_resolution_follow_the_scale():
    (polygon,) = trace(np.ones((1, 1), bool), left_px=3, top_px=2, scale=4.0)
    assert polygon.outer.min(axis=0).tolist() == [11.5, 7.5]
    assert polygon.outer.max(axis=0).tolist() == [15.5, 11.5]


@given(seed=SEEDS)
def test_painted_again_it_is_the_mask(seed):
    labels = blobs(seed)
    assert np.array_equal(paint(trace_labels(labels, CLASSES), CLASSES, labels.shape[::-1]), labels)


@given(seed=SEEDS, left=st.integers(0, 50), top=st.integers(0, 50), scale=st.sampled_from([1.0, 2.0, 4.03, 0.7]))
def test_a_window_at_another_scale_is_painted_again(seed, left, top, scale):
    labels = blobs(seed)
    traced = trace_labels(labels, CLASSES, left, top, scale)
    assert np.array_equal(paint_window(traced, CLASSES, left, top, *labels.shape[::-1], scale), labels)


@given(seed=SEEDS)
def test_every_polygon_is_valid_and_their_areas_are_the_pixels(seed):
    mask = blobs(seed, classes=1) > 0
    shapes = [shape_of(polygon) for polygon in trace(mask)]
    assert all(shapely.is_valid(shapes))
    assert sum(shape.area for shape in shapes) == mask.sum()
    assert not any(a.overlaps(b) for k, a in enumerate(shapes) for b in shapes[k + 1 :])


@given(seed=SEEDS)
def test_every_corner_is_one(seed):
    for polygon in trace(blobs(seed, classes=1) > 0):
        for ring in (polygon.outer, *polygon.holes):
            step = np.diff(np.vstack([ring, ring[:1]]), axis=0)
            along = step[:, 0] != 0
            assert (along ^ (step[:, 1] != 0)).all() and (along != np.roll(along, 1)).all()


@settings(max_examples=20)
@given(seed=SEEDS, rows=st.integers(3, 20), columns=st.integers(3, 20), scale=st.sampled_from([1.0, 4.0]))
def test_in_windows_it_is_the_same(seed, rows, columns, scale):
    labels = blobs(seed)
    windows = [(x, y, labels[y : y + rows, x : x + columns]) for y in range(0, 30, rows) for x in range(0, 40, columns)]
    joined = trace_windows(windows, CLASSES, scale)
    assert np.array_equal(paint(joined, CLASSES, (40, 30), scale), labels)
    whole = trace_labels(labels, CLASSES, scale=scale)

    def areas(found: Annotations):
        return sorted(round(shape_of(polygon).area, 3) for item in found.items for polygon in item.polygons)

    assert areas(joined) == areas(whole)


@given(seed=SEEDS)
def test_simplified_outlines_move_by_no_more_than_the_tolerance(seed):
    mask = np.kron(blobs(seed, (15, 20), 1), np.ones((4, 4))) > 0
    for exact, simple in zip(trace(mask), trace(mask, tolerance_px=1.5), strict=True):
        assert shapely.is_valid(shape_of(simple))
        assert shapely.hausdorff_distance(shape_of(exact).boundary, shape_of(simple).boundary) <= 1.5 + 1e-9


def test_simplifying_leaves_corners_out():
    y, x = np.mgrid[:60, :60]
    disc = (x - 30) ** 2 + (y - 30) ** 2 < 25**2
    (exact,), (simple,) = trace(disc), trace(disc, tolerance_px=1.0)
    assert len(simple.outer) < len(exact.outer) / 3
    assert shape_of(simple).symmetric_difference(shape_of(exact)).area / disc.sum() < 0.03


def test_nothing_to_trace():
    assert trace(np.zeros((4, 5), bool)) == ()
    assert trace(np.zeros((0, 5), bool)) == ()
    assert trace_windows([], CLASSES).items == ()


def test_the_same_mask_gives_the_same_outlines():
    labels = blobs(7)
    assert drawn(trace(labels == 1)) == drawn(trace(labels.copy() == 1))


@pytest.mark.parametrize("shape", [(1, 100_000), (100_000, 1)])
def test_a_long_stripe_of_single_pixels(shape):
    mask = (np.arange(100_000) % 2 == 0).reshape(shape)
    assert len(trace(mask)) == 50_000
