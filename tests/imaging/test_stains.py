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
