"""Unrolled outlines: what lies across an outline stands at its row, at every place and at any scale."""

from __future__ import annotations

import numpy as np
import pytest

from her2scope.imaging.cell_outlines import CellOutlines
from her2scope.imaging.outline_bands import BAND_UM, CHANNELS, N_MAP, N_STAIN, OD10_LIMITS, OD10_UNIT, read_bands
from her2scope.imaging.outline_places import N_PLACES, OutlinePlaces, even_places, normals, sampled
from her2scope.imaging.workspace import Workspace

RADIUS_UM, SIDE_UM = 6.0, 32.0
DAB = slice(0, N_STAIN)
HAEMATOXYLIN = slice(N_STAIN, 2 * N_STAIN)
MEMBRANE = slice(2 * N_STAIN, 2 * N_STAIN + N_MAP)
NUCLEUS = slice(2 * N_STAIN + N_MAP, 2 * N_STAIN + 2 * N_MAP)


def ring_plane(radius_um: float, um_per_px: float, width_um: float = 1.0) -> np.ndarray:
    """Ring of height 0.5 around the middle of the picture."""
    side = round(SIDE_UM / um_per_px)
    y, x = (np.mgrid[:side, :side] + 0.5) * um_per_px - SIDE_UM / 2
    return (0.5 * np.exp(-0.5 * ((np.hypot(x, y) - radius_um) / (0.5 * width_um)) ** 2)).astype(np.float32)


def round_cell(um_per_px: float) -> CellOutlines:
    middle = SIDE_UM / 2 / um_per_px - 0.5
    places = np.full((1, 48), RADIUS_UM / um_per_px, np.float32)
    return CellOutlines(np.array([[middle, middle]], np.float32), np.array([3.0 / um_per_px], np.float32), places)


def bands_of(outlines: CellOutlines, *planes_and_scales, workspace: Workspace | None = None) -> np.ndarray:
    return read_bands(OutlinePlaces.along(outlines), *planes_and_scales, workspace=workspace)


def bands_with(um_per_px: float, dab_um: float = RADIUS_UM, nucleus_um: float = 0.0) -> np.ndarray:
    empty = np.zeros_like(ring_plane(RADIUS_UM, um_per_px))
    return bands_of(
        round_cell(um_per_px), ring_plane(dab_um, um_per_px), empty, um_per_px,
        2 * ring_plane(dab_um, 0.5), ring_plane(nucleus_um, 1.0, 6.0), 0.5,
    )  # fmt: skip


@pytest.mark.parametrize("um_per_px", [0.15, 0.25, 0.5])
@pytest.mark.parametrize("off_um", [-2.0, 0.0, 2.0])
def test_a_wall_stands_where_it_lies_across_the_outline(um_per_px: float, off_um: float) -> None:
    bands = bands_with(um_per_px, RADIUS_UM + off_um)
    assert bands.shape == (1, len(CHANNELS), N_PLACES) and bands.dtype == np.float32
    for rows in (DAB, MEMBRANE):
        steps_um = np.linspace(-BAND_UM, BAND_UM, rows.stop - rows.start)
        highest_um = steps_um[bands[0, rows].argmax(axis=0)]
        assert np.abs(highest_um - off_um).max() <= np.diff(steps_um)[0]
    assert not bands[0, HAEMATOXYLIN].any()


def test_od10_is_in_units_of_a_faint_wall_and_limited() -> None:
    assert bands_with(0.25)[0, DAB].max() == pytest.approx(0.5 / OD10_UNIT, rel=0.1)
    strong = np.full((128, 128), 9.0, np.float32)
    bands = bands_of(round_cell(0.25), strong, -strong, 0.25, strong[:64, :64], strong[:32, :32], 0.5)
    assert bands[0, DAB].max() == OD10_LIMITS[1] / OD10_UNIT
    assert bands[0, HAEMATOXYLIN].min() == OD10_LIMITS[0] / OD10_UNIT


def test_the_nucleus_shows_on_the_inner_side_alone() -> None:
    nucleus = bands_with(0.25, nucleus_um=0.0)[0, NUCLEUS].mean(axis=1)
    assert (np.diff(nucleus) < 0).all()


def test_the_last_rows_say_how_large_all_is() -> None:
    scale, spacing, nucleus = bands_with(0.5)[0, -3:, 0]
    assert (scale, nucleus) == (2.0, pytest.approx(0.75))
    assert spacing == pytest.approx(2 * np.pi * RADIUS_UM / N_PLACES, rel=0.01)


def test_no_cell_no_band() -> None:
    none = CellOutlines(*(np.empty(shape, np.float32) for shape in ((0, 2), (0,), (0, 48))))
    plane = np.zeros((64, 64), np.float32)
    assert bands_of(none, plane, plane, 0.25, plane, plane, 0.5).shape == (0, len(CHANNELS), N_PLACES)


def plainly_unrolled(outlines, dab, haematoxylin, um_per_px, membrane, nucleus, membrane_um) -> np.ndarray:
    """What `read_bands` is to give, row by row over all cells."""
    xy_px, spacing_px = even_places(outlines.places_xy_px(), N_PLACES)
    outward = normals(xy_px)
    rows = []
    for plane in (dab, haematoxylin):
        for step_um in np.linspace(-BAND_UM, BAND_UM, N_STAIN):
            od10 = sampled(plane, xy_px + np.float32(step_um / um_per_px) * outward)
            rows.append(np.clip(od10, *OD10_LIMITS) / OD10_UNIT)
    for plane, coarse_um in ((membrane, membrane_um), (nucleus, 2 * membrane_um)):
        middle_px = (xy_px + np.float32(0.5)) * np.float32(um_per_px / coarse_um) - np.float32(0.5)
        for step_um in np.linspace(-BAND_UM, BAND_UM, N_MAP):
            rows.append(sampled(plane, middle_px + np.float32(step_um / coarse_um) * outward))
    last = um_per_px / 0.25, spacing_px * np.float32(um_per_px), outlines.nucleus_px * np.float32(um_per_px / 4)
    rows += [np.broadcast_to(np.float32(value)[..., None], spacing_px.shape + (N_PLACES,)) for value in last[1:]]
    rows.insert(-2, np.full_like(rows[0], last[0]))
    return np.stack(rows, axis=1)


@pytest.mark.parametrize("n", [1, 3, 300])
@pytest.mark.parametrize(("size_hw", "um_per_px"), [((97, 131), 0.25), ((64, 41), 0.37), ((50, 50), 0.5)])
def test_bands_are_to_the_bit_what_row_by_row_gives(n: int, size_hw: tuple[int, int], um_per_px: float) -> None:
    rng = np.random.default_rng(n)
    middles = rng.uniform(-8, np.array(size_hw[::-1]) + 8, (n, 2))
    radius = rng.uniform(8, 30, (n, 1)) * rng.uniform(0.8, 1.2, (n, 48))
    outlines = CellOutlines(*(part.astype(np.float32) for part in (middles, rng.uniform(4, 12, n), radius)))
    dab, haematoxylin = rng.normal(0.3, 0.5, (2, *size_hw)).astype(np.float32)
    membrane, nucleus = rng.random(size_hw, np.float32), rng.random((size_hw[0] // 2, size_hw[1] // 2), np.float32)
    given = outlines, dab, haematoxylin, um_per_px, membrane, nucleus, 0.5
    workspace = Workspace()
    bands_of(*given[:1], -dab, *given[2:], workspace=workspace)
    assert np.array_equal(bands_of(*given, workspace=workspace), plainly_unrolled(*given))
    own = bands_of(*given)
    bands_of(*given[:1], -dab, *given[2:])
    assert np.array_equal(own, plainly_unrolled(*given))
