"""A drawn cell unrolled: its membrane is a straight line, as dark and as long as it was drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from factories import cell as drawn_cell
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.cells import CellClass, StainCuts
from her2scope.imaging.profiles import N_PLACES
from her2scope.imaging.unrolled import Unrolled, unrolled
from her2scope.records import Cell, CellProfiles, StainImage

SIDE_PX, MIDDLE_PX, RADIUS_UM = 160, 79.5, 7.0
CUTS = StainCuts(0.05, 0.35, 0.7)


def drawn(um_per_px: float, begin_deg: float, end_deg: float, od10: float = 0.8) -> tuple[np.ndarray, StainImage, Cell]:
    """A ring 1 um wide from one angle to another, clockwise on the screen; its inside red, its outside green."""
    y, x = np.indices((SIDE_PX, SIDE_PX)) - MIDDLE_PX
    away_um = np.hypot(x, y) * um_per_px
    angle = np.mod(np.degrees(np.arctan2(y, x)), 360)
    on_line = (np.abs(away_um - RADIUS_UM) < 0.5) & (angle >= begin_deg) & (angle < end_deg)
    dab = np.where(on_line, od10, 0.02).astype(np.float32)
    rgb = np.where((away_um < RADIUS_UM)[..., None], (200, 40, 40), (40, 200, 40)).astype(np.uint8)
    stains = StainImage(dab, np.zeros_like(dab), um_per_px, (240.0, 240.0, 240.0), False)
    return rgb, stains, drawn_cell(CellClass.NONE, MIDDLE_PX, MIDDLE_PX, RADIUS_UM / um_per_px, corners=48)


def of(begin_deg: float, end_deg: float, um_per_px: float = 0.25, **more: object) -> Unrolled:
    rgb, stains, cell = drawn(um_per_px, begin_deg, end_deg)
    return unrolled(rgb, stains, cell, CUTS, **more)


@given(begin=st.floats(0, 180), width=st.floats(40, 170), um_per_px=st.sampled_from([0.16, 0.25, 0.37]))
def test_the_membrane_lies_at_its_angles(begin, width, um_per_px):
    found = of(begin, begin + width, um_per_px)
    inner = (found.angle_deg > begin + 10) & (found.angle_deg < begin + width - 10)
    outer = (found.angle_deg < begin - 10) | (found.angle_deg > begin + width + 10)
    assert inner.any() and outer.any()
    assert found.wall_od10[inner] == pytest.approx(0.8, abs=0.1)
    assert found.wall_od10[outer] == pytest.approx(0.02, abs=0.01)


def test_it_is_a_straight_line_in_the_middle_with_the_inside_on_top():
    found = of(0, 360)
    assert found.rgb.shape == (33, N_PLACES, 3) and found.rgb.dtype == np.uint8
    assert found.od10.shape == (N_PLACES, 33)
    assert (found.across_um[0], found.across_um[-1]) == pytest.approx((-1.6, 1.6))
    darkest = (found.od10 * found.across_um).sum(axis=1) / found.od10.sum(axis=1)
    assert np.abs(darkest).max() < 0.15
    assert found.od10[:, np.abs(found.across_um) > 1.0] == pytest.approx(0.02, abs=0.01)
    red, green, _ = found.rgb.astype(int).transpose(2, 0, 1)
    assert np.all(red[:12] > green[:12]) and np.all(green[-12:] > red[-12:])
    assert found.stained is None


def test_angles_go_once_round_clockwise_on_the_screen():
    found = of(0, 90)
    assert found.angle_deg[0] == pytest.approx(0, abs=0.1)
    assert np.all(np.diff(found.angle_deg) > 0) and found.angle_deg[-1] < 360
    below = found.xy_px[:, 1] > MIDDLE_PX + 1
    assert np.array_equal(below, (found.angle_deg > 3) & (found.angle_deg < 177))


def test_an_outline_drawn_the_other_way_round_has_its_inside_on_top_too():
    rgb, stains, cell = drawn(0.25, 0, 360)
    turned = replace(cell, outline_xy_px=cell.outline_xy_px[::-1])
    red, green, _ = unrolled(rgb, stains, turned, CUTS).rgb.astype(int).transpose(2, 0, 1)
    assert np.all(red[:12] > green[:12])


def test_stained_places_are_those_of_the_kept_profile():
    walls = np.full((1, N_PLACES), 0.5, np.float32)
    membrane = np.where(np.arange(N_PLACES) < 20, 0.9, 0.1)[None].astype(np.float32)
    profile = CellProfiles(walls, membrane, walls, np.float32([0.6]))
    found = of(0, 360, profile=profile)
    assert np.flatnonzero(found.stained).tolist() == list(range(20))
    assert found.wall_od10.tolist() == walls[0].tolist()
    rgb, stains, cell = drawn(0.25, 0, 360)
    assert not unrolled(rgb, stains, cell, StainCuts(0.6, 0.6, 0.7), profile).stained.any()


def test_beyond_the_picture_its_last_pixels_go_on():
    rgb, stains, cell = drawn(0.25, 0, 360)
    leaving = replace(cell, x_px=0.0, y_px=0.0, outline_xy_px=cell.outline_xy_px - np.float32(MIDDLE_PX))
    found = unrolled(rgb, stains, leaving, CUTS)
    assert found.od10 == pytest.approx(0.02, abs=1e-6)
    assert np.all(found.rgb == (40, 200, 40))
