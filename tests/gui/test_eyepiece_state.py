"""Marks in the eyepiece: only on tissue whose place is sure, and each absence has its reason."""

from __future__ import annotations

import dataclasses

import factories
import pytest
from gui.fake_engine import live, tracked
from hypothesis import given
from hypothesis import strategies as st

from her2scope.pipeline.live import CameraPhase, CameraStatus
from her2scope.records import CameraState, QualityReport
from her2scope.settings.eyepiece import EyepieceMap, EyepieceMaps
from her2scope.ui.eyepiece_state import Seen, eyepiece_state, objective_of

SIZE_HW = (200, 300)
RESULT = factories.field_result([factories.cell(x_px=150.0, y_px=100.0)], SIZE_HW)
TURNED = ((0.0, -2.0, 500.0), (2.0, 0.0, 10.0))
"""A quarter turn, twice as large."""
MAPS = EyepieceMaps({"40x": EyepieceMap(TURNED, (300, 200), (800, 600), "2026-01-15", 0.4, 9)})
LIVE = CameraStatus(CameraPhase.LIVE, "live")
SEEN = Seen(tracked(RESULT), LIVE, False, MAPS, False, (800, 600))
NOW = live(RESULT)
BLURRED = QualityReport(False, ("blurred",), ("out of focus",), 0.1, 0.0, 0.8)


def test_marks_on_their_own_frame():
    state = eyepiece_state(SEEN, NOW)
    assert state.visible and state.matrix == TURNED and state.shift_xy_px == (0.0, 0.0)


def test_marks_move_with_the_tissue_as_the_map_turns_it():
    seen = dataclasses.replace(SEEN, shown=tracked(RESULT, x_px=20.0, y_px=-10.0))
    # The tissue goes 20 px to the left and 10 down in the picture: 20 up and 40 to the left on the display.
    assert eyepiece_state(seen, NOW).shift_xy_px == pytest.approx((-20.0, -40.0))


@pytest.mark.parametrize("phase", [phase for phase in CameraPhase if phase is not CameraPhase.LIVE])
def test_nothing_is_shown_of_a_camera_that_is_not_live(phase):
    state = eyepiece_state(dataclasses.replace(SEEN, camera=CameraStatus(phase, "")), NOW)
    assert phase.value in state.why_off and state.matrix is None and not state.may_fade


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"is_silent": True}, "no new picture"),
        ({"shown": None}, "no picture yet"),
        ({"shown": tracked(RESULT, speed_um_per_s=61.0)}, "stage moving"),
        ({"shown": dataclasses.replace(tracked(RESULT), doubt="objective unknown: turn.")}, "objective unknown"),
        ({"maps": EyepieceMaps()}, "not calibrated for 40x"),
        ({"display_wh": (1024, 768)}, "another display size"),
    ],
)
def test_no_place_is_known(changes, why):
    state = eyepiece_state(dataclasses.replace(SEEN, **changes), NOW)
    assert why in state.why_off and state.matrix is None and not state.may_fade


@pytest.mark.parametrize(
    ("shown", "analysis", "why"),
    [
        (tracked(RESULT), None, "analysing"),
        (tracked(RESULT, island=1), NOW, "analysing"),
        (tracked(RESULT, x_px=3.0, trusted=False), NOW, "place uncertain"),
        (tracked(RESULT), live(factories.field_result((), SIZE_HW, quality=BLURRED)), "out of focus"),
    ],
)
def test_the_place_is_known_but_no_marks_may_be_shown(shown, analysis, why):
    state = eyepiece_state(dataclasses.replace(SEEN, shown=shown), analysis)
    assert why in state.why_off and state.matrix == TURNED


def test_own_score_first_shows_nothing_that_gives_the_computed_one_away():
    state = eyepiece_state(dataclasses.replace(SEEN, is_blind=True), NOW)
    assert state.why_off == "own score first" and state.matrix == TURNED and not state.may_fade


def test_a_monitor_beside_the_eyepiece_needs_no_map():
    state = eyepiece_state(dataclasses.replace(SEEN, maps=EyepieceMaps(), fits_picture=True), NOW)
    assert state.visible and state.matrix is not None and state.matrix[0][0] == pytest.approx(800 / 300)


def test_an_objective_without_a_name_is_called_by_its_scale():
    assert objective_of(RESULT.frame) == "40x"
    unnamed = factories.field_result((), SIZE_HW, camera=CameraState())
    assert objective_of(unnamed.frame) == "0.25 um/px"


@given(
    st.sampled_from(CameraPhase), st.booleans(), st.booleans(), st.floats(0, 200), st.booleans(), st.integers(0, 1),
    st.floats(-400, 400),
)  # fmt: skip
def test_marks_are_shown_only_where_all_is_well(phase, silent, blind, speed, trusted, island, x_px):
    shown = tracked(RESULT, x_px=x_px, speed_um_per_s=speed, trusted=trusted, island=island)
    seen = Seen(shown, CameraStatus(phase, ""), silent, MAPS, False, (800, 600), 60.0, blind)
    well = phase is CameraPhase.LIVE and not silent and not blind and speed <= 60 and island == 0
    assert eyepiece_state(seen, NOW).visible == (well and trusted and abs(x_px) < 300)
