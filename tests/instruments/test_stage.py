from __future__ import annotations

import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from instruments.fakes import Clock, run, seconds_until, simulated_stage

from her2scope.domain.errors import NotAvailableError
from her2scope.instruments.hearing import LineState
from her2scope.instruments.serial_line import InstrumentError
from her2scope.instruments.stage import MAX_AGE_S, Axes
from her2scope.settings.instruments import StageSettings

WAYS = [Axes(f"{a}{x}", f"{b}{y}") for a in "+-" for b in "+-" for x, y in ("xy", "yx")]
UM = st.floats(-1e5, 1e5, allow_nan=False)


@given(axes=st.sampled_from(WAYS), place=st.tuples(UM, UM))
def test_axes_there_and_back_are_the_same_place(axes: Axes, place: tuple[float, float]) -> None:
    assert axes.of_view(axes.of_stage(place)) == place


def test_axes_by_example() -> None:
    turned = Axes(right="-y", down="+x")
    assert turned.of_stage((10.0, 3.0)) == (3.0, -10.0)
    assert turned.of_view((3.0, -10.0)) == (10.0, 3.0)


@pytest.mark.parametrize("axes", WAYS)
def test_it_goes_right_and_down_as_the_picture_sees_it(axes: Axes) -> None:
    clock = Clock()
    stage, simulator, _ = simulated_stage(clock, right=axes.right, down=axes.down)
    stage.move_by_um(120.0, -40.0)
    run(stage.line, clock, 1.0)
    assert stage.position_um() == pytest.approx((120.0, -40.0))
    assert simulator.at_um() == pytest.approx(axes.of_stage((120.0, -40.0)))


def test_moves_on_the_way_add_up() -> None:
    clock = Clock()
    stage, simulator, _ = simulated_stage(clock)
    for _ in range(30):
        stage.move_by_um(80.0, 10.0)
        run(stage.line, clock, 0.03)
    run(stage.line, clock, 2.0)
    assert simulator.at_um() == pytest.approx((2400.0, 300.0))
    assert stage.position_um() == pytest.approx((2400.0, 300.0))
    assert not stage.is_moving


def test_it_goes_to_a_place_and_on_from_there() -> None:
    clock = Clock()
    stage, simulator, _ = simulated_stage(clock, places={"control 3+": (12_000.0, -800.0)})
    assert stage.places() == ("control 3+",)
    stage.move_by_um(500.0, 0.0)  # overtaken
    stage.go_to("control 3+")
    stage.move_by_um(0.0, 50.0)
    run(stage.line, clock, 0.2)
    assert stage.is_moving
    run(stage.line, clock, 5.0)
    assert simulator.at_um() == pytest.approx((12_000.0, -750.0))
    with pytest.raises(NotAvailableError, match="control 3"):
        stage.go_to("control 9+")


def test_its_joystick_is_seen() -> None:
    clock = Clock()
    stage, simulator, _ = simulated_stage(clock)
    simulator.push(33.0, 44.0)
    run(stage.line, clock, 0.3)
    assert stage.position_um() == pytest.approx((33.0, 44.0))


def test_on_its_way_its_position_is_carried_on_to_the_frame() -> None:
    clock = Clock()
    stage, simulator, _ = simulated_stage(clock)
    stage.move_to_um(20_000.0, 0.0)
    run(stage.line, clock, 1.0)
    for _ in range(40):
        stage.line.step()
        x_um, at_s = simulator.at_um()[0], clock.now_s
        told = stage.position_um(at_s)
        assert told is not None and told[0] == pytest.approx(x_um, abs=300.0)  # 0.06 s at 5 mm/s


def test_at_rest_its_position_is_the_last_to_the_bit() -> None:
    clock = Clock()
    stage, _, _ = simulated_stage(clock)
    run(stage.line, clock, 1.0)
    assert {stage.position_um(clock.now_s + share) for share in (-0.1, 0.0, 0.05, 0.1)} == {(0.0, 0.0)}


def test_an_old_position_is_not_told() -> None:
    clock = Clock()
    stage, _, _ = simulated_stage(clock)
    assert stage.position_um() == (0.0, 0.0)
    clock.pause(1.1 * MAX_AGE_S)
    assert stage.position_um() is None


def test_no_move_waits_for_a_stage_that_is_not_there() -> None:
    clock = Clock()
    stage, simulator, port = simulated_stage(clock)
    stage.move_to_um(20_000.0, 0.0)
    run(stage.line, clock, 0.5)
    stage.move_by_um(700.0, 700.0)  # waits until it has arrived
    port.is_mute = True
    seconds_until(stage.line, clock, LineState.SILENT)
    with pytest.raises(InstrumentError, match="does not answer"):
        stage.move_by_um(10.0, 0.0)
    port.is_mute = False
    seconds_until(stage.line, clock, LineState.FOUND)
    run(stage.line, clock, 5.0)
    assert simulator.at_um() == (20_000.0, 0.0)


def test_a_move_whose_answer_is_lost_is_not_made_twice() -> None:
    clock = Clock()
    stage, simulator, port = simulated_stage(clock)
    port.garble = lambda data: data.replace(b":A \r\n", b"")
    stage.move_by_um(100.0, 0.0)
    run(stage.line, clock, 2.0)
    assert simulator.at_um() == (100.0, 0.0)


def test_only_what_is_wrong_is_a_fault() -> None:
    clock = Clock()
    stage, _, port = simulated_stage(clock)
    run(stage.line, clock, 0.01)
    assert not stage.state().is_fault
    port.is_mute = True
    seconds_until(stage.line, clock, LineState.SILENT)
    assert stage.state().is_fault
    port.is_mute = False
    seconds_until(stage.line, clock, LineState.FOUND)
    assert not stage.state().is_fault
    port.is_pulled = True
    seconds_until(stage.line, clock, LineState.LOST)
    assert stage.state().is_fault


def test_a_refused_move_is_said_until_the_next() -> None:
    clock = Clock()
    stage, simulator, _ = simulated_stage(clock)
    stage.move_to_um(60_000.0, 0.0)
    run(stage.line, clock, 1.0)
    assert stage.state().line is LineState.FOUND
    assert "was sent farther than it goes" in stage.state().problem
    stage.move_by_um(10.0, 0.0)
    run(stage.line, clock, 1.0)
    assert stage.state().problem == ""
    assert simulator.at_um() == (10.0, 0.0)


def test_it_does_not_leave_the_travel_of_the_settings() -> None:
    clock = Clock()
    stage, simulator, _ = simulated_stage(clock, travel_um=(-100.0, -100.0, 10_000.0, 100.0))
    stage.move_to_um(9_900.0, 0.0)
    stage.move_by_um(90.0, 0.0)  # waits: its end counts
    with pytest.raises(InstrumentError, match="leave its travel"):
        stage.move_by_um(20.0, 0.0)
    run(stage.line, clock, 0.5)
    with pytest.raises(InstrumentError, match="leave its travel"):  # on its way: the end of that counts
        stage.move_by_um(20.0, 0.0)
    run(stage.line, clock, 5.0)
    assert simulator.at_um() == (9_990.0, 0.0)
    with pytest.raises(InstrumentError, match="leave its travel"):
        stage.move_by_um(0.0, 101.0)


def test_halt_stops_it_and_forgets_what_waits_even_if_the_first_try_is_lost() -> None:
    clock = Clock()
    stage, simulator, port = simulated_stage(clock)
    stage.move_to_um(40_000.0, 0.0)
    run(stage.line, clock, 0.5)
    stage.move_by_um(5_000.0, 0.0)
    port.is_mute = True
    stage.halt()
    run(stage.line, clock, 0.1)
    port.is_mute = False
    run(stage.line, clock, 1.0)
    x_um = simulator.at_um()[0]
    assert 1_000.0 < x_um < 10_000.0
    run(stage.line, clock, 3.0)
    assert simulator.at_um()[0] == x_um and not stage.is_moving
    assert stage.state().problem == ""


@pytest.mark.parametrize("um", [math.nan, math.inf, -math.inf])
def test_a_move_without_a_length_is_refused(um: float) -> None:
    stage, _, _ = simulated_stage(Clock())
    with pytest.raises(InstrumentError, match="without a length"):
        stage.move_by_um(um, 0.0)


def test_moves_from_many_threads_all_count() -> None:
    clock = Clock()
    stage, simulator, _ = simulated_stage(clock)
    threads = [threading.Thread(target=lambda: [stage.move_by_um(1.0, 2.0) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run(stage.line, clock, 2.0)
    assert simulator.at_um() == pytest.approx((200.0, 400.0))


def test_its_settings_give_the_interval() -> None:
    assert StageSettings.__dataclass_fields__["poll_s"].default < MAX_AGE_S / 3
