"""Closed contours and rays on drawn rings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.imaging.opencv import cv2
from her2scope.imaging.outlines import covered_share, enclosed_regions, follow_membrane, outlines_of_labels


def ring(gap_degrees: float = 0.0, radius: int = 24, side: int = 100) -> np.ndarray:
    mask = np.zeros((side, side), np.uint8)
    cv2.ellipse(mask, (side // 2, side // 2), (radius, radius), 0, gap_degrees, 360, 1, thickness=3)
    return mask


def test_a_ring_encloses_and_a_broken_one_does_not():
    assert enclosed_regions(ring(), 100, 5000)[1].sum() == 1
    assert enclosed_regions(ring(gap_degrees=30), 100, 5000)[1].sum() == 0


def test_area_limits_hold():
    labels, fits = enclosed_regions(ring(), 0, 1e9)
    area = np.bincount(labels.ravel())[np.flatnonzero(fits)[0]]
    assert area == pytest.approx(np.pi * 22**2, rel=0.05)
    assert not enclosed_regions(ring(), 0, area - 1)[1].any()
    assert not enclosed_regions(ring(), area + 1, 1e9)[1].any()


def test_a_ring_cut_by_the_border_is_open():
    assert not enclosed_regions(np.ascontiguousarray(ring()[:, 50:]), 100, 5000)[1].any()


def test_outlines_belong_to_their_labels():
    labels = np.zeros((60, 90), np.int32)
    cv2.circle(labels, (20, 30), 10, 7, -1)
    cv2.circle(labels, (60, 30), 15, 3, -1)
    found = {number: cv2.contourArea(outline) for number, outline in outlines_of_labels(labels)}
    assert found == {7: pytest.approx(np.pi * 10**2, rel=0.1), 3: pytest.approx(np.pi * 15**2, rel=0.1)}
    assert not list(outlines_of_labels(np.zeros((5, 5), np.int32)))


@given(gap=st.integers(0, 330))
def test_rays_recover_the_drawn_share(gap):
    wall = ring(gap).astype(np.float32)
    centre, nucleus = np.array([[50.0, 50.0]], np.float32), np.array([8.0], np.float32)
    rays = follow_membrane(wall, centre, nucleus, stained_od10=0.5, reach_px=40.0)
    assert rays.hit.mean() == pytest.approx(1 - gap / 360, abs=0.06)
    assert rays.radius_px[rays.hit] == pytest.approx(24, abs=3)


def test_a_ray_stops_half_way_to_the_neighbour():
    wall = np.zeros((80, 160), np.float32)
    cv2.circle(wall, (110, 40), 20, 1.0, thickness=3)  # the neighbour's own ring: its near side is at x = 90
    cells = np.array([[60.0, 40.0], [110.0, 40.0]], np.float32)
    rays = follow_membrane(wall, cells, np.array([5.0, 5.0], np.float32), 0.5, reach_px=45.0)
    assert not rays.hit[0].any()
    assert rays.hit[1].all()


def test_covered_share_of_a_rim():
    half = np.zeros((50, 50), np.uint8)
    half[:, 25:] = 1
    share = covered_share(half, np.array([[25.0, 25.0]], np.float32), np.array([10.0], np.float32))
    assert share == pytest.approx([0.5], abs=0.06)
