"""An exposure series of a known camera names its response; a useless one is unknown, with the reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from her2scope.domain.errors import BadInputError
from her2scope.imaging.calibration.camera_response import measure_response
from her2scope.imaging.calibration.figures import draw_response_fit
from her2scope.phantom.calibration_targets import draw_exposure_series
from her2scope.phantom.optics import Optics

OPTICS = Optics(response="linear", electrons=4000, read_noise=8)
TIMES = (0.05, 0.1, 0.2, 0.4, 0.7, 1.0)


def series(times=TIMES, **changes) -> list[np.ndarray]:
    return draw_exposure_series(replace(OPTICS, **changes), times)


@pytest.mark.parametrize("response", ["linear", "srgb", "gamma:1.2", "gamma:1.8", "gamma:2.2"])
@pytest.mark.parametrize("processed", [False, True])
def test_the_response_is_named(response, processed):
    more = {"jpeg_quality": 80, "bayer": True, "sharpening": 0.5} if processed else {}
    fit = measure_response(series(response=response, **more), TIMES)
    kind, _, gamma = fit.response.partition(":")
    assert kind == response.partition(":")[0] and fit.code == "fits"
    assert not gamma or float(gamma) == pytest.approx(float(response.removeprefix("gamma:")), abs=0.04)
    assert all(abs(step.residual_od10) < 0.02 for step in fit.steps if step.residual_od10 is not None)


def test_the_order_of_the_pictures_does_not_matter():
    pictures = series(response="srgb")
    assert measure_response(pictures[::-1], TIMES[::-1]) == measure_response(pictures, TIMES)


def test_clipped_steps_are_left_out():
    times = (*TIMES, 1.6, 8.0)
    fit = measure_response(series(times), times)
    assert fit.response == "linear" and fit.steps[-1].residual_od10 is None


def following_white_balance() -> list[np.ndarray]:
    gains = (np.array([1.0, 1.0, 1.0 + 0.06 * i]) for i in range(len(TIMES)))
    return [(0.75 * picture * gain).astype(np.uint8) for picture, gain in zip(series(), gains, strict=True)]


@pytest.mark.parametrize(
    ("pictures", "times", "code"),
    [
        (series((1, 2, 4, 8, 16)), (1, 2, 4, 8, 16), "saturated"),
        (series((0.5, 1.0)), (0.5, 1.0), "too_few_steps"),
        (series((0.5, 0.6, 0.7, 0.8, 0.9)), (0.5, 0.6, 0.7, 0.8, 0.9), "too_few_steps"),
        ([series()[4]] * 6, TIMES, "auto_exposure"),
        (series(), (0.05, 0.1, 0.7, 0.4, 0.2, 1.0), "contradictory"),
        (series(response="srgb", contrast=0.3), TIMES, "contradictory"),
        (series(black_level=0.04), TIMES, "contradictory"),
        (following_white_balance(), TIMES, "white_balance"),
    ],
)
def test_a_useless_series_is_unknown_and_says_why(pictures, times, code):
    fit = measure_response(pictures, times)
    assert (fit.response, fit.code) == ("unknown", code)
    assert fit.reason.endswith(".") and draw_response_fit(fit).ndim == 3


@pytest.mark.parametrize(
    ("pictures", "times", "says"),
    [
        (series(), TIMES[:-1], "one for each picture"),
        ([], (), "no picture"),
        (series(), (*TIMES[:-1], -1.0), "above 0"),
        ([*series()[:-1], series()[0][:100]], TIMES, "one size"),
    ],
)
def test_wrong_input_is_named(pictures, times, says):
    with pytest.raises(BadInputError, match=says):
        measure_response(pictures, times)
