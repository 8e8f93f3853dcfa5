"""Outlines that a reader draws: which places they hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.errors import BadInputError
from her2scope.domain.regions import Region, RegionDraft, RegionKind, area_um2, inside
from her2scope.imaging.opencv import cv2

SQUARE = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
corner = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda xy: (float(xy[0]), float(xy[1])))


def test_a_square_holds_what_lies_in_it():
    places = np.array([(5.0, 5.0), (0.5, 9.5), (-0.1, 5.0), (10.1, 5.0), (5.0, 11.0)])
    assert inside(SQUARE, places).tolist() == [True, True, False, False, False]


def test_a_notch_is_outside():
    notched = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (5.0, 2.0), (0.0, 10.0))
    assert inside(notched, np.array([(5.0, 1.0), (5.0, 5.0), (1.0, 4.0)])).tolist() == [True, False, True]


@given(st.lists(corner, min_size=3, max_size=9, unique=True))
def test_it_agrees_with_a_drawn_polygon(polygon):
    """Off the border, by more than a pixel of a picture of it that OpenCV fills by the same even-odd rule."""
    scale = 8
    drawn = np.zeros((62 * scale, 62 * scale), np.uint8)
    cv2.fillPoly(drawn, [np.array([[(x * scale, y * scale) for x, y in polygon]], np.int32)[0]], 255)
    border = np.zeros_like(drawn)
    cv2.polylines(border, [np.array([(x * scale, y * scale) for x, y in polygon], np.int32)], True, 255, 5)
    y_px, x_px = np.nonzero(border[::7, ::7] == 0)
    places = np.stack([x_px, y_px], axis=1) * 7.0
    found = inside(tuple(polygon), places / scale)
    assert np.array_equal(found, drawn[places[:, 1].astype(int), places[:, 0].astype(int)] > 0)


@given(st.floats(-500, 500), st.floats(-500, 500))
def test_a_moved_region_holds_the_moved_places(dx_um, dy_um):
    places = np.array([(5.0, 5.0), (0.5, 9.5), (-1.0, 5.0), (12.0, 5.0)])
    region = Region(1, RegionKind.EXCLUDE, 7, SQUARE)
    moved = region.moved(2, dx_um, dy_um)
    assert moved.island == 2 and moved.number == 1 and moved.kind is region.kind
    assert np.array_equal(moved.holds(places + (dx_um, dy_um)), region.holds(places))
    assert area_um2(moved.polygon_um) == pytest.approx(100.0)


def test_an_outline_that_crosses_itself_has_the_area_of_both_its_loops():
    bow_tie = ((0.0, 0.0), (10.0, 10.0), (10.0, 0.0), (0.0, 10.0))
    assert area_um2(bow_tie) == pytest.approx(50.0)  # by the shoelace formula they would cancel out
    assert RegionDraft(RegionKind.EXCLUDE, 0, bow_tie).polygon_um == bow_tie


@given(st.lists(corner, min_size=3, max_size=9, unique=True))
def test_the_area_is_that_of_the_places_within(polygon):
    """Counted on a fine grid: off by less than half a cell for each that a side runs through."""
    step = 0.25
    x, y = np.meshgrid(np.arange(0.011, 60.0, step), np.arange(0.013, 60.0, step))
    counted = inside(tuple(polygon), np.stack([x.ravel(), y.ravel()], axis=1)).sum() * step**2
    sides = zip(polygon, [*polygon[1:], polygon[0]], strict=True)
    length = sum(abs(x2 - x1) + abs(y2 - y1) for (x1, y1), (x2, y2) in sides)
    assert area_um2(tuple(polygon)) == pytest.approx(counted, abs=step * length + step**2)


@given(st.lists(corner, min_size=3, max_size=9, unique=True))
def test_places_and_corners_in_another_order_have_the_same_area(polygon):
    area = area_um2(tuple(polygon))
    assert area_um2(tuple(polygon[::-1])) == pytest.approx(area, abs=1e-9)
    assert area_um2(tuple(polygon[1:] + polygon[:1])) == pytest.approx(area, abs=1e-9)
    assert area_um2(tuple((y + 1e4, x - 3e4) for x, y in polygon)) == pytest.approx(area, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("polygon", [SQUARE[:2], ((0.0, 0.0), (5.0, 5.0), (9.0, 9.0))])
def test_an_outline_without_area_is_refused(polygon):
    with pytest.raises(BadInputError, match="encloses no area"):
        RegionDraft(RegionKind.EXCLUDE, 0, polygon)
