from __future__ import annotations

import dataclasses

import pytest

from her2scope.app.calibrate import newest_calibration
from her2scope.app.calibration_steps import FrameCalibration
from her2scope.app.compose import read_calibration
from her2scope.domain.errors import Her2ScopeError
from her2scope.phantom.calibration_targets import (
    MicrometerSpec,
    draw_empty_field,
    draw_exposure_series,
    draw_micrometer,
)
from her2scope.phantom.optics import Optics
from her2scope.records import CameraState, Frame
from her2scope.settings import Calibration

CAMERA = CameraState("40x", "srgb", 8.0, 1.0, "fixed")
OLD = Calibration(name="old microscope", objectives={"20x": 0.5}, date="2026-01-15")
STEPS = FrameCalibration()
OPTICS = Optics(response="srgb", exposure=0.1)
EXPOSURES_MS = (1.0, 2.0, 4.0, 8.0)


def frame(rgb, camera: CameraState = CAMERA) -> Frame:
    return Frame(rgb, 0, 0.0, 0.25, camera)


def test_frames_of_the_camera_make_a_calibration_that_is_found_again():
    scale = STEPS.micrometer(OLD, frame(draw_micrometer(MicrometerSpec(um_per_px=0.2478))), "40x", 10.0)
    assert scale.calibration.objectives["40x"] == pytest.approx(0.2478, rel=0.002)
    assert scale.calibration.objectives["20x"] == 0.5 and scale.picture is not None
    empty = STEPS.empty_field(scale.calibration, [frame(draw_empty_field(Optics(), seed=seed)) for seed in range(2)])
    assert (empty.calibration.exposure_ms, empty.calibration.gain) == (8.0, 1.0)
    series = [frame(rgb) for rgb in draw_exposure_series(OPTICS, EXPOSURES_MS)]
    response = STEPS.response(empty.calibration, series, EXPOSURES_MS)
    assert response.calibration.response == "srgb"
    path = STEPS.save(response.calibration)
    assert newest_calibration() == path and read_calibration(path) == response.calibration
    assert STEPS.save(response.calibration) != path and read_calibration(path) == response.calibration


@pytest.mark.parametrize(
    "ask",
    [
        lambda: STEPS.micrometer(OLD, frame(draw_empty_field(Optics())), "40x", 10.0),
        lambda: STEPS.empty_field(OLD, [frame(draw_micrometer(MicrometerSpec()))]),
        lambda: STEPS.response(OLD, [frame(draw_empty_field(Optics()))] * 4, EXPOSURES_MS),
        lambda: STEPS.stains(OLD, [frame(draw_empty_field(Optics()))]),
        lambda: STEPS.save(dataclasses.replace(OLD, date="2999-01-01")),
    ],
    ids=["no ruling", "no empty field", "exposure without effect", "no stain", "future date"],
)
def test_what_cannot_be_used_is_refused_in_words_and_nothing_is_written(ask):
    with pytest.raises(Her2ScopeError) as refused:
        ask()
    assert len(str(refused.value)) > 20 and newest_calibration() is None
