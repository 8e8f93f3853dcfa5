"""Polygons painted into masks: by the pixel's centre, with holes, by classes, alike in every window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import contains_xy
from shapely.geometry import Polygon as Shape

from her2scope.annotations.raster import Painter, paint, paint_window
from her2scope.annotations.shapes import Annotation, Annotations, Polygon
from her2scope.domain.errors import BadInputError


def box(left, top, right, bottom):
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)


def area(class_name, outer, *holes):
    return Annotation("", class_name, (Polygon(np.asarray(outer, float), tuple(holes)),))


def star(seed, places=9, middle=(20.0, 15.0), reach=(4.0, 18.0)):
    """An outline around a middle that does not cross itself."""
    random = np.random.default_rng(seed)
    angle = np.sort(random.uniform(0, 2 * np.pi, places))
    radius = random.uniform(*reach, places)
    return np.stack([middle[0] + radius * np.cos(angle), middle[1] + radius * np.sin(angle)], axis=1)


def test_a_box_from_corner_to_corner_covers_its_pixels_and_no_other():
    mask = paint(Annotations((area("a", box(1.5, 0.5, 4.5, 2.5)),)), ["a"], (7, 5))
    expected = np.zeros((5, 7), np.uint8)
    expected[1:3, 2:5] = 1
    assert np.array_equal(mask, expected)


def test_a_hole_is_background_and_what_lies_in_it_is_not():
    ring = area("a", box(-0.5, -0.5, 9.5, 9.5), box(1.5, 1.5, 7.5, 7.5))
    mask = paint(Annotations((ring, area("a", box(3.5, 3.5, 5.5, 5.5)))), ["a"], (10, 10))
    assert mask.sum() == 100 - 36 + 4
    assert mask[2, 2] == 0 and mask[4, 4] == 1


def test_where_classes_overlap_the_later_one_wins_wherever_it_stands_in_the_file():
    items = (area("b", box(2.5, -0.5, 7.5, 3.5)), area("a", box(-0.5, -0.5, 4.5, 3.5)))
    for order in (items, items[::-1]):
        mask = paint(Annotations(order), ["a", "b"], (8, 4))
        assert mask[0].tolist() == [1, 1, 1, 2, 2, 2, 2, 2]
        assert paint(Annotations(order), ["b", "a"], (8, 4))[0].tolist() == [2, 2, 2, 2, 2, 1, 1, 1]


def test_other_classes_are_left_out():
    assert not paint(Annotations((area("a", box(0, 0, 5, 5)),)), ["b"], (8, 8)).any()


@given(seed=st.integers(0, 10_000), left=st.integers(-5, 30), top=st.integers(-5, 30), scale=st.floats(0.4, 5.0))
def test_a_window_is_the_same_part_of_the_whole(seed, left, top, scale):
    drawn = Annotations((area("a", star(seed)), area("b", star(seed + 1), star(seed + 2, reach=(1.0, 3.0)))))
    whole = paint_window(drawn, ["a", "b"], -10, -10, 60, 60, scale)
    part = paint_window(drawn, ["a", "b"], left, top, 12, 9, scale)
    assert np.array_equal(part, whole[top + 10 : top + 19, left + 10 : left + 22])


@given(seed=st.integers(0, 10_000), scale=st.floats(0.3, 4.0))
def test_a_pixel_is_painted_where_its_centre_lies_inside(seed, scale):
    ring = star(seed)
    size_wh = (int(45 / scale), int(38 / scale))
    mask = paint(Annotations((area("a", ring),)), ["a"], size_wh, scale)
    x, y = np.meshgrid((np.arange(size_wh[0]) + 0.5) * scale - 0.5, (np.arange(size_wh[1]) + 0.5) * scale - 0.5)
    assert np.array_equal(mask > 0, contains_xy(Shape(ring), x, y))


@given(seed=st.integers(0, 10_000), dx=st.integers(-3, 9), dy=st.integers(-3, 9))
def test_a_shift_by_whole_pixels_shifts_the_mask(seed, dx, dy):
    # Places on a grid of 1/4 px lie on pixel centres now and then: there the rule for ties decides.
    ring = np.round(star(seed) * 4) / 4
    here = paint_window(Annotations((area("a", ring),)), ["a"], -10, -10, 60, 60)
    there = paint_window(Annotations((area("a", ring + (dx, dy)),)), ["a"], -10 + dx, -10 + dy, 60, 60)
    assert np.array_equal(here, there)


@given(seed=st.integers(0, 10_000))
def test_areas_that_share_edges_share_no_pixel_and_leave_none_out(seed):
    random = np.random.default_rng(seed)
    middle = np.round(random.uniform(5, 15, 2) * 2) / 2
    corners = box(-0.5, -0.5, 19.5, 19.5)
    parts = [
        paint(Annotations((area("a", [corners[k], corners[(k + 1) % 4], middle]),)), ["a"], (20, 20)).astype(int)
        for k in range(4)
    ]
    assert (sum(parts) == 1).all()


def test_many_windows_from_one_painter_and_rows_in_strips(monkeypatch):
    drawn = Annotations((area("a", star(3)), area("b", star(4))))
    whole = paint(drawn, ["a", "b"], (45, 38))
    monkeypatch.setattr("her2scope.annotations.raster._STRIP_PX", 100)
    assert np.array_equal(Painter(drawn, ["a", "b"]).window(0, 0, 45, 38), whole)


def test_a_million_places_and_a_slide_far_larger_than_memory():
    turn = np.linspace(0, 2 * np.pi, 1_000_000, endpoint=False)
    radius = 30_000 + 500 * np.sin(40 * turn)
    ring = np.stack([50_000 + radius * np.cos(turn), 40_000 + radius * np.sin(turn)], axis=1)
    painter = Painter(Annotations((area("a", ring),)), ["a"])
    assert painter.window(49_000, 39_000, 256, 256).all()
    assert not painter.window(0, 0, 256, 256).any()
    coarse = painter.window(0, 0, 1000, 800, 100.0)
    assert coarse.sum() * 100.0**2 == pytest.approx(np.pi * (30_000**2 + 500**2 / 2), rel=1e-3)


def test_no_polygon_no_paint():
    assert not paint(Annotations(()), ["a"], (5, 4)).any()
    assert paint(Annotations((area("a", box(0, 0, 3, 3)),)), ["a"], (0, 4)).shape == (4, 0)


@pytest.mark.parametrize("classes", [["a", "a"], [str(k) for k in range(255)]])
def test_classes_that_cannot_be_labels_are_refused(classes):
    with pytest.raises(BadInputError, match="each once"):
        paint(Annotations(()), classes, (5, 5))
