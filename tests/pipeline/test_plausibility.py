"""Nuclei that contradict the pixel size that a frame claims."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import cell

from her2scope.pipeline.plausibility import scale_doubt

EXPECTED_UM = (4.7, 10.5)


def nuclei(width_um: float, n: int = 40):
    return [replace(cell(), nucleus_radius_um=width_um / 2) for _ in range(n)]


@pytest.mark.parametrize(("width_um", "says"), [(4.6, "too small"), (10.6, "too large")])
def test_nuclei_of_another_size_are_said(width_um, says):
    (doubt,) = scale_doubt(nuclei(width_um), EXPECTED_UM)
    assert says in doubt and "objective" in doubt and f"{width_um} um" in doubt


@pytest.mark.parametrize("width_um", [4.7, 7.0, 10.5])
def test_nuclei_of_their_size_are_not(width_um):
    assert scale_doubt(nuclei(width_um), EXPECTED_UM) == ()


def test_a_few_nuclei_or_a_method_that_does_not_know_say_nothing():
    assert scale_doubt(nuclei(2.0, n=29), EXPECTED_UM) == ()
    assert scale_doubt(nuclei(2.0), None) == ()


def test_a_field_read_at_half_its_scale_is_doubted(analyser, frames):
    frame = frames["2+"]
    assert not any("objective" in doubt for doubt in analyser.analyse(frame, analyser.default_cuts).doubts)
    wrong = replace(frame, um_per_px=2 * frame.um_per_px)
    result = analyser.analyse(wrong, analyser.default_cuts)
    assert any("too large" in doubt for doubt in result.doubts)
