from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.cameras.mm_scale import (
    ASSUMED_UM_PER_PX,
    MAX_DIFFERENCE_SHARE,
    KnownScale,
    Scale,
    magnification,
    objective_names,
    scale_of,
)

CALIBRATED = {"20x": 0.5, "40x": 0.25}
SIZES_UM = st.floats(0.05, 2.0)


@pytest.mark.parametrize(
    ("name", "power"),
    [
        ("40x", 40.0),
        ("Nikon 40X Plan Fluor ELWD", 40.0),
        ("2.5x", 2.5),
        ("UPLSAPO 60 x/1.35", 60.0),
        ("Objective-2", None),
        ("B40x", None),
        ("", None),
    ],
)
def test_magnification_is_read_from_a_name(name: str, power: float | None) -> None:
    assert magnification(name) == power


@pytest.mark.parametrize(
    ("labels", "calibrated", "names"),
    [
        (["Nikon 40X Plan", "Empty"], ["40x", "20x"], {"Nikon 40X Plan": "40x", "Empty": "Empty"}),
        (["my lens"], ["my lens"], {"my lens": "my lens"}),
        (["40x dry", "40x oil"], ["40x"], {"40x dry": "40x dry", "40x oil": "40x oil"}),
        (["Plan 40x"], ["40x dry", "40x oil"], {"Plan 40x": "Plan 40x"}),
        (["40x oil", "10x"], ["40x oil", "10x"], {"40x oil": "40x oil", "10x": "10x"}),
    ],
)
def test_a_label_has_the_calibrations_name_where_only_one_can_be_meant(
    labels: list[str], calibrated: list[str], names: dict[str, str]
) -> None:
    assert objective_names(labels, calibrated) == names


@given(own=SIZES_UM, configured=SIZES_UM)
def test_the_calibration_wins_and_a_difference_is_said_from_five_per_cent_on(own: float, configured: float) -> None:
    scale = scale_of("40x", configured, KnownScale({"40x": own}))
    assert (scale.objective, scale.um_per_px, scale.assumed) == ("40x", own, False)
    assert bool(scale.doubts) == (abs(own / configured - 1.0) > MAX_DIFFERENCE_SHARE)


@given(given_um=SIZES_UM, own=SIZES_UM, configured=SIZES_UM)
def test_what_the_reader_gives_holds_for_the_first_objective_alone(
    given_um: float, own: float, configured: float
) -> None:
    known = KnownScale({"40x": own}, um_per_px=given_um)
    assert scale_of("40x", configured, known).um_per_px == given_um
    assert scale_of("40x", configured, known, is_first=False).um_per_px == own
    assert scale_of("20x", configured, known, is_first=False).um_per_px == configured


@given(configured=SIZES_UM)
def test_a_guess_of_the_program_never_wins(configured: float) -> None:
    known = KnownScale(um_per_px=0.3, assumed=True)
    assert scale_of("63x", configured, known) == Scale("63x", configured)
    assert scale_of("63x", 0.0, known).um_per_px == 0.3


@pytest.mark.parametrize("configured_um", [0.0, 250.0, -1.0, float("nan")])
def test_without_a_possible_pixel_size_one_is_assumed_and_said(configured_um: float) -> None:
    scale = scale_of("63x", configured_um, KnownScale(CALIBRATED))
    assert (scale.um_per_px, scale.assumed) == (ASSUMED_UM_PER_PX, True)
    assert "nothing can be reported" in scale.doubts[-1]


def test_the_reader_names_an_objective_that_the_nosepiece_does_not() -> None:
    assert scale_of("Place 3", 0.0, KnownScale(CALIBRATED, objective="20x")) == Scale("20x", 0.5)
    assert scale_of("Place 3", 0.0, KnownScale(CALIBRATED, objective="20x"), is_first=False).objective == "Place 3"


@pytest.mark.parametrize("said", ["20x", "20x long distance"])
def test_a_nosepiece_that_contradicts_the_reader_is_believed_and_said(said: str) -> None:
    scale = scale_of("40x", 0.0, KnownScale(CALIBRATED, objective=said, um_per_px=0.5))
    assert (scale.objective, scale.um_per_px, scale.assumed) == ("40x", 0.25, False)
    assert f"not {said} as you said" in scale.doubts[0]


def test_another_word_for_the_calibrated_objective_does_not_lose_its_scale() -> None:
    assert scale_of("40x", 0.0, KnownScale(CALIBRATED, objective="forty")) == Scale("40x", 0.25)


def test_without_a_nosepiece_the_readers_objective_holds() -> None:
    assert scale_of(None, 0.0, KnownScale(CALIBRATED, objective="40x")) == Scale("40x", 0.25)
    assert scale_of(None, 0.5, KnownScale()) == Scale(None, 0.5)
