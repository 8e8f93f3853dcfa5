from __future__ import annotations

from dataclasses import replace

import factories
import pytest
from gui.fake_engine import live, tracked

from her2scope.records import QualityReport
from her2scope.ui.overlay_state import MAX_AGE_MOVING_S, MAX_SPEED_UM_PER_S, overlay_state

RESULT = factories.honeycomb_field({None: 1.0}, (120, 160))
FAST = MAX_SPEED_UM_PER_S + 1


def unusable(*codes: str, reasons: tuple[str, ...]):
    quality = QualityReport(False, codes, reasons, 0.1, 0.0, 0.8)
    return live(factories.field_result((), (120, 160), quality=quality))


def test_overlay_stands_on_the_frame_it_was_computed_from():
    state = overlay_state(tracked(RESULT), live(RESULT))
    assert (state.visible, state.dx_px, state.dy_px) == (True, 0.0, 0.0)


def test_overlay_moves_with_the_tissue():
    # The view went 20 px right and 10 px up, so the tissue goes 20 px left and 10 px down on screen.
    state = overlay_state(tracked(RESULT, x_px=120.0, y_px=40.0), live(RESULT, x_px=100.0, y_px=50.0))
    assert (state.visible, state.dx_px, state.dy_px) == (True, -20.0, 10.0)


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (None, "no picture yet"),
        (tracked(RESULT, island=1), "analysing"),
        (tracked(RESULT, island=1, speed_um_per_s=FAST), "stage moving"),
        (tracked(RESULT, x_px=160.0), "analysing"),
        (tracked(factories.honeycomb_field({None: 1.0}, (120, 150))), "analysing"),
        (tracked(factories.honeycomb_field({None: 1.0}, (120, 160), um_per_px=0.5)), "analysing"),
    ],
)
def test_no_overlay_on_other_tissue(shown, why):
    state = overlay_state(shown, live(RESULT))
    assert (state.visible, state.why_off, state.same_place) == (False, why, False)


def test_why_a_picture_cannot_be_read_goes_before_all_else():
    unknown = replace(tracked(RESULT), doubt="the objective is not known: turn one in.")
    for analysis in (None, live(RESULT)):
        state = overlay_state(unknown, analysis)
        assert (state.visible, state.why_off, state.same_place) == (False, "the objective is not known", False)


def test_nothing_analysed_yet():
    assert overlay_state(tracked(RESULT), None).why_off == "analysing"


def test_old_analysis_is_not_carried_along_by_a_fast_stage():
    late = MAX_AGE_MOVING_S + 0.1
    assert overlay_state(tracked(RESULT, captured_s=late, speed_um_per_s=FAST), live(RESULT)).why_off == "stage moving"
    assert overlay_state(tracked(RESULT, captured_s=late, speed_um_per_s=0.0), live(RESULT)).visible
    assert overlay_state(tracked(RESULT, captured_s=0.2, speed_um_per_s=FAST), live(RESULT)).visible


def test_reasons_of_an_unusable_picture_are_given():
    blurred = unusable("blurred", "clipped", reasons=("out of focus", "35 % clipped"))
    assert overlay_state(tracked(RESULT), blurred).why_off == "out of focus; 35 % clipped"
    assert overlay_state(tracked(RESULT), unusable("moving", reasons=("moved",))).why_off == "stage moving"
    assert overlay_state(tracked(RESULT), unusable(reasons=())).why_off != ""


def test_state_knows_that_the_tissue_is_still_there():
    state = overlay_state(tracked(RESULT, x_px=5.0), unusable("blurred", reasons=("out of focus",)))
    assert state.same_place and state.dx_px == -5.0


def test_overlay_is_not_carried_to_a_place_that_is_a_guess():
    assert overlay_state(tracked(RESULT, trusted=False), live(RESULT)).why_off == "place uncertain"
    guessed = live(RESULT, trusted=False)
    assert overlay_state(tracked(RESULT), guessed).why_off == "place uncertain"
    assert overlay_state(guessed.tracked, guessed).visible  # on the very frame it was computed from
