"""Colour to stain: known light gives known od10."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.imaging.stains import (
    channel_od10,
    estimate_white,
    hat_weights,
    linear_light,
    od10_table,
    reduced,
    spread_flat_field,
    unmix,
)
from her2scope.settings import Calibration

WHITE = (240.0, 236.0, 230.0)


def stained(dab_od10: float, haematoxylin_od10: float, calibration: Calibration) -> np.ndarray:
    """Picture (8, 8, 3) of an even mixture, by Beer and Lambert, without the rounding to 8 bits undone."""
    unit = [np.array(v) / np.linalg.norm(v) for v in (calibration.dab_vector, calibration.haematoxylin_vector)]
    od = dab_od10 * unit[0] + haematoxylin_od10 * unit[1]
    rgb = np.array(calibration.white_rgb) * 10**-od
    return np.broadcast_to(np.rint(rgb), (8, 8, 3)).astype(np.uint8)


@given(dab=st.floats(0, 0.9), haematoxylin=st.floats(0, 0.6))
def test_unmixing_recovers_what_was_mixed(dab, haematoxylin):
    calibration = Calibration(response="linear", white_rgb=WHITE)
    found = unmix(stained(dab, haematoxylin, calibration), 0.25, calibration)
    assert found.dab_od10.mean() == pytest.approx(dab, abs=0.02)
    assert found.haematoxylin_od10.mean() == pytest.approx(haematoxylin, abs=0.02)
    assert not found.white_estimated


def test_white_is_nought_and_nothing_is_below_it():
    calibration = Calibration(response="linear", white_rgb=WHITE)
    brighter = np.full((4, 4, 3), 255, np.uint8)
    assert unmix(brighter, 0.25, calibration).dab_od10.max() == 0
    assert od10_table(WHITE, "linear").min() == 0


@pytest.mark.parametrize("response", ["linear", "unknown", "srgb", "gamma:2.2"])
def test_darker_is_denser_for_every_response(response):
    table = od10_table(WHITE, response)[0]
    assert np.all(np.diff(table, axis=0) <= 0)
    assert np.isfinite(table).all()


def test_srgb_is_undone():
    coded = np.array([0.0, 0.5, 1.0])
    assert linear_light(coded, "srgb") == pytest.approx([0.0, 0.21404, 1.0], abs=1e-4)  # IEC 61966-2-1
    assert linear_light(coded, "gamma:2") == pytest.approx([0.0, 0.25, 1.0])


def test_white_is_estimated_from_the_clear_part_and_said():
    rgb = np.full((400, 400, 3), (150, 120, 100), np.uint8)
    rgb[:40] = (238, 235, 229)
    assert estimate_white(rgb) == pytest.approx((238, 235, 229), abs=1)
    assert unmix(rgb, 0.25, Calibration()).white_estimated


# ---- in blocks ---------------------------------------------------------------------------------------------------


FLAT_FIELD = (((1.0, 1.0, 1.0), (0.9, 0.92, 0.94)), ((0.95, 0.9, 0.97), (0.8, 0.85, 0.7)))


def plainly_unmixed(rgb: np.ndarray, calibration: Calibration) -> np.ndarray:
    """(haematoxylin, DAB) `(2, H, W)` the slow way: all of the picture at once, in double precision."""
    light = linear_light(np.maximum(rgb, 0.5) / 255.0, calibration.response)
    clear = np.array(calibration.white_rgb) / 255.0
    if calibration.flat_field is not None:
        clear = clear * spread_flat_field(calibration.flat_field, rgb.shape[:2]).astype(np.float64)
    od10 = np.maximum(0.0, -np.log10(light / linear_light(clear, calibration.response)))
    stains = [np.array(v) / np.linalg.norm(v) for v in (calibration.haematoxylin_vector, calibration.dab_vector)]
    third = np.cross(*stains)
    amounts = od10 @ np.linalg.inv(np.stack([*stains, third / np.linalg.norm(third)]))
    return np.maximum(0.0, np.moveaxis(amounts[..., :2], 2, 0))


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 7), (9, 1), (5, 3), (131, 1001), (2, 70_001)])
@pytest.mark.parametrize("flat_field", [None, FLAT_FIELD])
def test_unmixing_by_blocks_is_unmixing_at_once(size_hw, flat_field):
    rgb = np.random.default_rng(1).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    calibration = Calibration(white_rgb=WHITE, response="srgb", flat_field=flat_field)
    haematoxylin, dab = plainly_unmixed(rgb, calibration)
    found = unmix(rgb, 0.25, calibration)
    assert np.abs(found.haematoxylin_od10 - haematoxylin).max() < 3e-6
    assert np.abs(found.dab_od10 - dab).max() < 3e-6
    assert found.dab_od10.dtype == found.haematoxylin_od10.dtype == np.float32


def test_every_colour_is_unmixed_as_a_matrix_does_it():
    values = np.arange(0, 256, 5, dtype=np.uint8)
    rgb = np.stack(np.meshgrid(values, values, values), axis=-1).reshape(len(values), -1, 3)
    calibration = Calibration(white_rgb=WHITE)
    assert np.abs(unmix(rgb, 0.25, calibration).dab_od10 - plainly_unmixed(rgb, calibration)[1]).max() < 3e-6


def test_a_second_picture_leaves_the_planes_of_the_first_as_they_were():
    rgb = np.random.default_rng(2).integers(0, 256, (2, 300, 400, 3), dtype=np.uint8)
    first = unmix(rgb[0], 0.25, Calibration(white_rgb=WHITE))
    kept = first.dab_od10.copy()
    unmix(rgb[1], 0.25, Calibration(white_rgb=WHITE))
    assert np.array_equal(first.dab_od10, kept)


@given(size=st.tuples(st.integers(1, 40), st.integers(1, 40)), seed=st.integers(0, 99))
def test_the_estimated_white_is_numpys_percentile(size, seed):
    rgb = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    expected = np.maximum(1.0, np.percentile(reduced(rgb, 4).reshape(-1, 3), 99.0, axis=0))
    assert estimate_white(rgb) == tuple(expected)
    known = unmix(rgb, 0.25, Calibration(), estimate_white(rgb))
    assert known.white_estimated and np.array_equal(known.dab_od10, unmix(rgb, 0.25, Calibration()).dab_od10)


# ---- flat field ---------------------------------------------------------------------------------------------------


def shaded(response: str, share: np.ndarray) -> np.ndarray:
    """Picture of one stain everywhere under a lamp of that share (H, W, 3) of camera values."""
    light = linear_light(np.array(WHITE) / 255.0 * share, response) * 10.0 ** -np.array([0.3, 0.4, 0.5])
    table = linear_light(np.arange(256) / 255.0, response)
    return np.interp(light, table, np.arange(256)).round().astype(np.uint8)


@pytest.mark.parametrize("response", ["linear", "unknown", "srgb", "gamma:1.6"])
def test_a_flat_field_takes_the_shading_out_for_every_response(response):
    flat_field = (((1.0, 1.0, 1.0), (0.9, 0.92, 0.94)), ((0.95, 0.9, 0.97), (0.8, 0.85, 0.7)))
    rgb = shaded(response, spread_flat_field(flat_field, (60, 90)))
    even = Calibration(response=response, white_rgb=WHITE)
    flat = Calibration(response=response, white_rgb=WHITE, flat_field=flat_field)
    assert channel_od10(rgb, flat) == pytest.approx(np.broadcast_to([0.3, 0.4, 0.5], (60, 90, 3)), abs=0.012)
    assert np.ptp(unmix(rgb, 0.25, flat).dab_od10) < 0.03 < np.ptp(unmix(rgb, 0.25, even).dab_od10)


def test_even_light_is_the_same_with_and_without_a_flat_field():
    rgb = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    ones = (((1.0, 1.0, 1.0),) * 3,) * 2
    even = channel_od10(rgb, Calibration(white_rgb=WHITE))
    assert np.array_equal(channel_od10(rgb, Calibration(white_rgb=WHITE, flat_field=ones)), even)


def test_a_flat_field_brighter_than_the_white_loses_nothing():
    twice = (((1.25, 1.25, 1.25),) * 2,) * 2
    rgb = np.full((8, 8, 3), 100, np.uint8)
    raised = Calibration(white_rgb=tuple(0.8 * value for value in WHITE), flat_field=twice)
    assert channel_od10(rgb, raised) == pytest.approx(channel_od10(rgb, Calibration(white_rgb=WHITE)), abs=1e-5)


@given(size=st.integers(2, 40), places=st.integers(2, 9))
def test_places_share_each_pixel(size, places):
    weights = hat_weights(size, places)
    assert weights.sum(axis=1) == pytest.approx(np.ones(size), abs=1e-5)
    assert weights[0, 0] == weights[-1, -1] == 1
