"""What stage and nosepiece add to a frame, and when they are not believed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.errors import CaseRuleError
from her2scope.pipeline.desk import CONFIRMED_WITHIN_S, StageCheck, confirm_objective, dressed
from her2scope.records import CameraState, Frame, TrackedFrame

OBJECTIVES = {"20x": 0.5, "40x": 0.25}


class Desk:
    def __init__(self, objective: str | None, place: tuple[float, float] | None = (10.0, 20.0)) -> None:
        self._objective, self._place = objective, place
        self.answers: list[bool | None] = [True]
        self.asked: list[tuple[str, float, float]] = []

    def position_um(self, at_s: float) -> tuple[float, float] | None:
        return None if self._place is None else (self._place[0] + at_s, self._place[1])

    def objective(self) -> str | None:
        return self._objective

    def stayed(self, objective: str, from_s: float, to_s: float) -> bool | None:
        self.asked.append((objective, round(from_s, 6), to_s))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def frame(stage_um: tuple[float, float] | None = None, um_per_px: float = 0.26) -> Frame:
    state = CameraState("40x", "srgb", scale_assumed=True)
    return Frame(np.zeros((4, 4, 3), np.uint8), 0, 3.0, um_per_px, state, stage_um=stage_um)


def test_without_a_desk_a_frame_stays_as_it_is() -> None:
    one = frame()
    assert dressed(one, None, OBJECTIVES).frame is one


def test_the_place_is_that_of_the_capture_and_a_source_s_own_stands() -> None:
    assert dressed(frame(), Desk(None), OBJECTIVES).frame.stage_um == (13.0, 20.0)
    assert dressed(frame((1.0, 2.0)), Desk(None), OBJECTIVES).frame.stage_um == (1.0, 2.0)
    assert dressed(frame(), Desk(None, None), OBJECTIVES).frame.stage_um is None


def test_the_objective_brings_its_scale() -> None:
    ready = dressed(frame(), Desk("20x"), OBJECTIVES)
    assert (ready.frame.um_per_px, ready.frame.camera.objective, ready.doubt) == (0.5, "20x", "")
    assert not ready.frame.camera.scale_assumed and ready.frame.camera.response == "srgb"


def test_the_scale_that_the_reader_gave_stands_for_the_same_objective() -> None:
    assert dressed(frame(), Desk("40x"), OBJECTIVES).frame.um_per_px == 0.26


@pytest.mark.parametrize(("objective", "why"), [("", "not known"), ("63x", "63x is not in the calibration")])
def test_an_objective_without_a_scale_is_a_doubt(objective: str, why: str) -> None:
    ready = dressed(frame(), Desk(objective), OBJECTIVES)
    assert why in ready.doubt
    assert (ready.frame.camera.objective, ready.frame.camera.scale_assumed) == (objective or None, True)


@pytest.mark.parametrize(
    ("given", "objective", "is_said"), [(0.26, None, True), (0.254, None, False), (0.26, "20x", False)]
)
def test_a_pixel_size_given_for_no_objective_gives_way_to_the_sensor_and_that_is_said(
    given: float, objective: str | None, is_said: bool
) -> None:
    one = replace(frame(um_per_px=given), camera=CameraState(objective))
    ready = dressed(one, Desk("40x"), OBJECTIVES)
    assert (ready.frame.um_per_px, ready.frame.camera.objective, ready.doubt) == (0.25, "40x", "")
    assert ("0.26 um/px of the start" in ready.warning) is is_said


def confirmed(desk: Desk | None, seconds: list[float] | None = None) -> None:
    """Confirm the frame under a clock that goes on while it waits."""
    ticks = [3.0]

    def pause(wait_s: float) -> None:
        ticks[0] += wait_s
        if seconds is not None:
            seconds.append(wait_s)

    confirm_objective(frame(), desk, lambda: ticks[0], pause)


def test_a_frame_that_is_counted_waits_until_its_objective_is_confirmed() -> None:
    confirmed(None)
    confirmed(Desk(None))  # nothing senses it
    desk, waited = Desk("40x"), []
    desk.answers = [None, None, True]
    confirmed(desk, waited)
    assert desk.asked == [("40x", 2.9, 3.0)] * 3 and len(waited) == 2


def test_a_frame_of_a_turned_nosepiece_is_not_counted() -> None:
    desk = Desk("40x")
    desk.answers = [None, False]
    with pytest.raises(CaseRuleError, match="was turned when this picture was taken: nothing was taken"):
        confirmed(desk)


def test_a_sensor_that_says_nothing_confirms_nothing_and_is_not_waited_for_long() -> None:
    desk, waited = Desk("40x"), []
    desk.answers = [None]
    with pytest.raises(CaseRuleError, match="did not tell whether 40x stayed"):
        confirmed(desk, waited)
    assert sum(waited) == pytest.approx(CONFIRMED_WITHIN_S, abs=0.05)


def walk(check: StageCheck, steps: list[tuple[float, float]], of_stage, *, trusted: bool = True) -> None:
    x, y = 0.0, 0.0
    for dx, dy in [(0.0, 0.0), *steps]:
        x, y = x + dx, y + dy
        check.look(TrackedFrame(frame(of_stage(x, y)), x, y, trusted=trusted))


LONG = [(120.0, 0.0), (0.0, 120.0), (90.0, -90.0)]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x, y: (-x, y),
        lambda x, y: (x, -y),
        lambda x, y: (y, x),
        lambda x, y: (1.6 * x, 1.6 * y),
        lambda x, y: (0.0, 0.0),
        lambda x, y: (x * 10, y * 10),
    ],
    ids=["x turned", "y turned", "exchanged", "next objective", "still", "unit"],
)
def test_a_stage_that_disagrees_is_no_longer_believed(wrong) -> None:
    check = StageCheck()
    walk(check, LONG * 2, wrong)
    assert "disagree" in check.doubt
    assert check.believed(frame((1.0, 2.0))).stage_um is None
    check.forget()
    assert check.believed(frame((1.0, 2.0))).stage_um == (1.0, 2.0)


@given(st.floats(-13.0, 13.0), st.floats(0.0, 14.0), st.lists(st.tuples(*[st.floats(-300, 300)] * 2), max_size=8))
def test_a_stage_turned_a_little_that_tells_late_is_believed(turned: float, late_um: float, steps) -> None:
    check, angle = StageCheck(), math.radians(turned)

    def of_stage(x: float, y: float) -> tuple[float, float]:
        cos, sin = math.cos(angle), math.sin(angle)
        return cos * x - sin * y + late_um * ((x + y) % 2 < 1), sin * x + cos * y

    walk(check, steps, of_stage)
    assert not check.doubt


def test_one_step_that_disagrees_and_places_that_are_not_sure_are_no_reason() -> None:
    check = StageCheck()
    walk(check, LONG[:1], lambda x, y: (-x, y))
    walk(check, LONG * 3, lambda x, y: (-x, y), trusted=False)
    assert not check.doubt
