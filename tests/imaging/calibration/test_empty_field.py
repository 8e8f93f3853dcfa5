"""White and flat field: the drawn light comes back, and what is no empty field is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from her2scope.domain.errors import BadInputError
from her2scope.imaging.calibration.empty_field import measure_empty_field
from her2scope.imaging.calibration.figures import draw_empty_field_fit
from her2scope.imaging.calibration.refusal import MeasurementRefused
from her2scope.imaging.files import read_rgb
from her2scope.imaging.opencv import cv2
from her2scope.imaging.stains import channel_od10
from her2scope.phantom.calibration_targets import draw_empty_field
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.phantom.optics import Optics
from her2scope.settings import Calibration

SIZE = (640, 360)
OPTICS = Optics(response="linear", shading=0.05, electrons=4000, read_noise=8)


def refusal(*pictures: np.ndarray) -> str:
    with pytest.raises(MeasurementRefused) as refused:
        measure_empty_field(pictures)
    assert refused.value.why.endswith(".")
    return refused.value.code


def without_noise(optics: Optics) -> np.ndarray:
    return draw_empty_field(replace(optics, dust=0, electrons=1e9, read_noise=0.0, jpeg_quality=0), SIZE)


@pytest.mark.parametrize("response", ["linear", "srgb", "gamma:1.2"])
@pytest.mark.parametrize("shading", [0.0, 0.2])
def test_flattened_glass_has_no_od10_left(response, shading):
    optics = replace(
        OPTICS, response=response, shading=shading, lamp_centre=(0.4, 0.6), lamp_tilt=(0.03, -0.02), dust=2,
        corner_rgb=(0.05, 0.0, -0.05),
    )  # fmt: skip
    fit = measure_empty_field([draw_empty_field(optics, SIZE, seed) for seed in range(3)])
    calibration = Calibration(response=response, white_rgb=fit.white_rgb, flat_field=fit.flat_field)
    od10 = channel_od10(without_noise(optics), calibration)
    assert cv2.blur(od10, (25, 25)).max() < 0.004
    even = channel_od10(without_noise(optics), replace(calibration, flat_field=None))
    assert even.max() > 0.02  # what the flat field took away


def test_dust_is_left_out_and_much_dust_refused():
    fit = measure_empty_field([draw_empty_field(replace(OPTICS, dust=2, dust_seed=2, jpeg_quality=80), SIZE)])
    clean = measure_empty_field([draw_empty_field(OPTICS, SIZE)])
    assert 0 < fit.dust_share < 0.01 and clean.dust_share == 0
    assert np.abs(np.array(fit.flat_field) - np.array(clean.flat_field)).max() < 0.006
    assert refusal(draw_empty_field(replace(OPTICS, dust=16, dust_seed=2), SIZE)) in ("dust", "tissue")


@pytest.mark.parametrize(
    ("optics", "code"),
    [
        (replace(OPTICS, exposure=1.2), "clipped"),
        (replace(OPTICS, exposure=0.3), "dark"),
        (replace(OPTICS, shading=0.5), "uneven"),
    ],
)
def test_bad_light_is_refused(optics, code):
    assert refusal(draw_empty_field(optics, SIZE)) == code


def test_pictures_that_differ_are_refused():
    one = draw_empty_field(OPTICS, SIZE)
    assert refusal(one, draw_empty_field(replace(OPTICS, exposure=0.95), SIZE)) == "flicker"
    assert refusal(one, draw_empty_field(OPTICS, SIZE, debris=0.1)) == "moved"
    with pytest.raises(BadInputError, match="one size"):
        measure_empty_field([one, one[:300]])
    with pytest.raises(BadInputError, match="no picture"):
        measure_empty_field([])


def test_debris_out_of_focus_is_refused():
    assert refusal(draw_empty_field(OPTICS, SIZE, debris=0.05)) in ("debris", "tissue", "dust")


@pytest.mark.parametrize("score", ["0", "3+"])
def test_tissue_is_no_empty_field(score):
    assert refusal(render_field(PhantomSpec(score, seed=3, size_wh=(480, 320))).rgb) in ("tissue", "clipped", "dark")


def test_real_fields_are_no_empty_fields(shared_data: Path):
    for path in sorted((shared_data / "her2_camera_fields").glob("*.jpg")):
        assert refusal(read_rgb(path)) in ("tissue", "clipped", "dark")


def test_the_fit_is_drawn():
    rgb = draw_empty_field(replace(OPTICS, dust=2, dust_seed=2), SIZE)
    assert draw_empty_field_fit(rgb, measure_empty_field([rgb])).dtype == np.uint8
