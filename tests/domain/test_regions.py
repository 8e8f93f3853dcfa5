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


@pytest.mark.parametrize("polygon", [SQUARE[:2], ((0.0, 0.0), (5.0, 5.0), (9.0, 9.0))])
def test_an_outline_without_area_is_refused(polygon):
    with pytest.raises(BadInputError, match="encloses no area"):
        RegionDraft(RegionKind.EXCLUDE, 0, polygon)
