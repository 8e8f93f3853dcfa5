"""Nuclei that contradict the pixel size that a frame claims."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import cell

from her2scope.pipeline.plausibility import scale_doubt, state_doubts
from her2scope.records import CameraState
from her2scope.settings import Calibration

EXPECTED_UM = (4.7, 10.5)


def nuclei(width_um: float, n: int = 40):
    return [replace(cell(), nucleus_radius_um=width_um / 2) for _ in range(n)]


@pytest.mark.parametrize(("width_um", "says"), [(4.6, "too small"), (10.6, "too large")])
def test_nuclei_of_another_size_are_said(width_um, says):
    (doubt,) = scale_doubt(nuclei(width_um), EXPECTED_UM)
    assert says in doubt and "objective" in doubt and f"{width_um} um" in doubt


@pytest.mark.parametrize(("width_um", "said"), [(10.52, "10.52 um"), (4.68, "4.68 um"), (10.5003, "10.5003 um")])
def test_a_width_right_beside_the_limit_is_told_apart_from_it(width_um, said):
    assert said in scale_doubt(nuclei(width_um), EXPECTED_UM)[0]


def test_the_objective_that_was_told_is_named():
    assert "really 20x?" in scale_doubt(nuclei(2.0), EXPECTED_UM, "20x")[0]


@pytest.mark.parametrize("width_um", [4.7, 7.0, 10.5])
def test_nuclei_of_their_size_are_not(width_um):
    assert scale_doubt(nuclei(width_um), EXPECTED_UM) == ()


def test_a_few_nuclei_or_a_method_that_does_not_know_say_nothing():
    assert scale_doubt(nuclei(2.0, n=29), EXPECTED_UM) == ()
    assert scale_doubt(nuclei(2.0), None) == ()


def test_a_white_holds_for_the_state_that_it_was_measured_in():
    white = Calibration(white_rgb=(240.0, 240.0, 240.0), exposure_ms=8.0, white_balance="4600 K")
    assert state_doubts(CameraState(exposure_ms=8.0, gain=2.0, white_balance="4600 K"), white) == ()
    assert state_doubts(CameraState(), white) == ()
    (doubt,) = state_doubts(CameraState(exposure_ms=12.0, white_balance="4600 K"), white)
    assert doubt.startswith("drift") and "12.0" in doubt and "8.0" in doubt
    assert state_doubts(CameraState(exposure_ms=12.0), Calibration(exposure_ms=8.0)) == ()  # no white, nothing to hold


def test_a_field_read_at_half_its_scale_is_doubted(analyser, frames):
    frame = frames["2+"]
    assert not any("objective" in doubt for doubt in analyser.analyse(frame, analyser.default_cuts).doubts)
    wrong = replace(frame, um_per_px=2 * frame.um_per_px)
    result = analyser.analyse(wrong, analyser.default_cuts)
    assert any("too large" in doubt for doubt in result.doubts)
