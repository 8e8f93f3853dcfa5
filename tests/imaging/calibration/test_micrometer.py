"""A drawn stage micrometer gives back its scale, or the reason why it cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from her2scope.domain.errors import BadInputError
from her2scope.imaging.calibration.figures import draw_micrometer_fit
from her2scope.imaging.calibration.micrometer import measure_micrometer
from her2scope.imaging.calibration.refusal import MeasurementRefused
from her2scope.phantom.calibration_targets import MicrometerSpec, draw_empty_field, draw_micrometer
from her2scope.phantom.optics import Optics

WORN = Optics(
    response="srgb", shading=0.2, lamp_centre=(0.3, 0.6), electrons=3000, read_noise=10, dust=8, dust_seed=3,
    jpeg_quality=70, bayer=True, sharpening=1.0,
)  # fmt: skip
SPEC = MicrometerSpec(size_wh=(960, 540))


def refusal(spec: MicrometerSpec) -> MeasurementRefused:
    with pytest.raises(MeasurementRefused) as refused:
        measure_micrometer(draw_micrometer(spec), spec.division_um)
    return refused.value


@pytest.mark.parametrize("rotation_deg", [0, 0.7, 12, 45, -45, 60, 89, 90])
def test_every_rotation_gives_the_scale(rotation_deg):
    fit = measure_micrometer(draw_micrometer(replace(SPEC, rotation_deg=rotation_deg)))
    assert fit.um_per_px == pytest.approx(0.25, rel=1e-3)
    assert (fit.rotation_deg - rotation_deg + 90) % 180 - 90 == pytest.approx(0, abs=0.1)
    assert fit.n_lines >= 12 and fit.crossed_um_per_px is None


@pytest.mark.parametrize("um_per_px", [1.0, 0.5, 0.25, 0.167, 0.11])
@pytest.mark.parametrize("rotation_deg", [3, -75])
def test_10x_to_60x_with_dust_blur_noise_and_uneven_light(um_per_px, rotation_deg):
    spec = replace(SPEC, size_wh=(1280, 720), um_per_px=um_per_px, rotation_deg=rotation_deg, optics=WORN, blur_um=0.4)
    fit = measure_micrometer(draw_micrometer(spec))
    assert fit.um_per_px == pytest.approx(um_per_px, rel=1e-3)
    assert fit.error_um_per_px < 1e-3 * um_per_px


@pytest.mark.parametrize("centre_share", [0.1, 0.9])
@pytest.mark.parametrize("blur_um", [0.0, 2.0])
def test_short_lines_set_the_division_wherever_they_lie(centre_share, blur_um):
    spec = replace(SPEC, um_per_px=0.8, centre_share=centre_share, blur_um=blur_um, rotation_deg=35)
    assert measure_micrometer(draw_micrometer(spec)).um_per_px == pytest.approx(0.8, rel=1e-3)


def test_another_division_scales_the_result():
    spec = replace(SPEC, division_um=100.0, um_per_px=1.5)
    assert measure_micrometer(draw_micrometer(spec), 100.0).um_per_px == pytest.approx(1.5, rel=1e-3)


def test_a_crossed_grid_is_measured_both_ways():
    fit = measure_micrometer(draw_micrometer(replace(SPEC, crossed=True, rotation_deg=20)))
    assert fit.um_per_px == pytest.approx(0.25, rel=1e-3) == fit.crossed_um_per_px


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        (replace(SPEC, crossed=True, stretch=1.03), "not_square"),
        (replace(SPEC, n_lines=3, numbered=False), "too_few_lines"),
        (replace(SPEC, jitter_um=1.0), "uneven"),
        (replace(SPEC, halves=0.3), "two_periods"),
        (replace(SPEC, halves=0.8, rotation_deg=5), "two_periods"),
        (replace(SPEC, narrowing=0.06, rotation_deg=5), "askew"),
        (replace(SPEC, narrowing=0.06, rotation_deg=80), "askew"),
        (replace(SPEC, um_per_px=2.5), "too_fine"),
    ],
)
def test_a_bad_ruling_is_refused_with_its_reason(spec, code):
    assert refusal(spec).code == code


def test_a_wrong_division_gives_no_impossible_scale():
    with pytest.raises(MeasurementRefused, match="Check the division"):
        measure_micrometer(draw_micrometer(SPEC), 0.1)
    with pytest.raises(BadInputError, match="division"):
        measure_micrometer(draw_micrometer(SPEC), -1.0)


def test_an_empty_or_tiny_picture_holds_no_ruling():
    for rgb in (draw_empty_field(WORN, (640, 360)), np.full((32, 32, 3), 200, np.uint8)):
        with pytest.raises(MeasurementRefused) as refused:
            measure_micrometer(rgb)
        assert refused.value.code in ("no_ruling", "too_few_lines")  # specks may look like a few


def test_the_error_grows_with_the_lines_own_spread():
    even, worse = (measure_micrometer(draw_micrometer(replace(SPEC, jitter_um=um))) for um in (0.02, 0.2))
    assert worse.error_um_per_px > 3 * even.error_um_per_px
    assert abs(worse.um_per_px - 0.25) < 5 * worse.error_um_per_px


def test_the_fit_is_drawn_beside_the_picture_not_into_it():
    rgb = draw_micrometer(SPEC)
    before = rgb.copy()
    drawn = draw_micrometer_fit(rgb, measure_micrometer(rgb))
    assert np.array_equal(rgb, before) and drawn.shape[1] == rgb.shape[1]
    assert not np.array_equal(drawn[-rgb.shape[0] :], rgb)
