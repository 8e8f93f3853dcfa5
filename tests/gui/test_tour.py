"""The demo's tour waits for what it needs, whatever the computer's speed."""

from __future__ import annotations

import dataclasses
import math

import factories
import pytest
from gui.fake_engine import FakeEngine, FakeSource, live
from PyQt6.QtCore import QObject
from PyQt6.QtWidgets import QApplication, QWidget

from her2scope.app import tour as tours
from her2scope.app.tour import SETTLE_STEPS, DemoTour
from her2scope.pipeline.live import Message, Mode, Severity
from her2scope.records import FieldResult, Frame, QualityReport
from her2scope.ui.bridge import LiveBridge

LONG_AGO_S, LATER_S = -math.inf, math.inf
MOVING = QualityReport(False, ("moving",), ("the stage is moving: hold still",), 2.0, 0.0, 0.8)
BLANK = QualityReport(False, ("no_tissue",), ("no tissue in view",), 2.0, 0.0, 0.0)


class Ride(QObject):
    """A tour over a fake microscope, one step at a time."""

    def __init__(self, window: QWidget) -> None:
        super().__init__()
        self.bridge, self.source = LiveBridge(), FakeSource()
        self.engine = FakeEngine(self.bridge)
        self.said: list[str] = []
        self.bridge.message_posted.connect(lambda message: self.said.append(message.text))
        self.tour = DemoTour(self.engine, self.bridge, self.source, 2)
        self.tour.start(window)

    def steps(self, n: int = SETTLE_STEPS + 1) -> None:
        for _ in range(n):
            if self.tour.is_running:
                self.tour.step()
            QApplication.processEvents()

    def sees(self, captured_s: float, quality: QualityReport | None = None) -> None:
        """An analysis arrives."""
        result: FieldResult = self.engine.result
        frame = Frame(result.frame.rgb, 1, captured_s, result.frame.um_per_px, result.frame.camera)
        shown = dataclasses.replace(result, frame=frame, quality=quality or result.quality)
        self.bridge.on_result(live(shown, Mode.CONTROL))
        QApplication.processEvents()

    def until_field(self) -> None:
        """Let it read its controls and arrive on the tissue."""
        self.engine.result = factories.equivocal_field()
        self.sees(LATER_S)
        while ("go_to", "tissue") not in self.source.calls:
            self.steps(1)


@pytest.fixture
def ride(qtbot, monkeypatch) -> Ride:
    monkeypatch.setattr(tours, "STEP_MS", 10**6)  # the test steps
    window = QWidget()
    qtbot.addWidget(window)
    made = Ride(window)
    yield made
    made.tour.stop()
    made.bridge.close()


def asked(ride: Ride, name: str) -> list[str]:
    return [call[1] if len(call) > 1 else "" for call in ride.engine.calls if call[0] == name]


def test_nothing_is_read_before_the_place_was_seen_at_rest(ride: Ride):
    ride.steps(20)
    assert ride.source.calls == [("go_to", "control 3+")] and asked(ride, "read_control") == []
    ride.sees(LONG_AGO_S)
    ride.steps(20)
    ride.sees(LATER_S, MOVING)
    ride.steps(20)
    assert asked(ride, "read_control") == []
    ride.sees(LATER_S)
    ride.steps(1)
    assert asked(ride, "read_control") == ["3+"]


def test_the_whole_job_in_order(ride: Ride):
    ride.sees(LATER_S)
    ride.steps(60)
    assert asked(ride, "read_control") == ["3+", "1+", "0"]
    assert [call[0] for call in ride.engine.calls[-3:]] == ["accept_field", "accept_field", "finish"]
    assert not ride.tour.is_running


def test_a_place_that_cannot_be_scored_is_passed_over(ride: Ride):
    ride.until_field()
    ride.sees(LATER_S, BLANK)
    ride.steps()
    assert asked(ride, "accept_field") == []
    assert ride.source.calls[-1][0] == "move_by_um"
    ride.sees(LATER_S)
    ride.steps()
    assert len(asked(ride, "accept_field")) == 1


def test_what_was_not_taken_is_asked_for_again_and_at_last_left_to_the_reader(ride: Ride, monkeypatch):
    def refuse(*_) -> None:
        ride.engine.calls.append(("read_control", "refused"))
        ride.bridge.on_message(Message(Severity.WARNING, "there is no live picture to take"))

    monkeypatch.setattr(ride.engine, "read_control", refuse)
    ride.sees(LATER_S)
    ride.steps(30)
    assert asked(ride, "read_control") == ["refused"] * tours.MAX_ASKED
    assert not ride.tour.is_running and "you have the microscope" in ride.said[-1]


def test_an_error_ends_the_tour(ride: Ride):
    ride.bridge.on_message(Message(Severity.ERROR, "the disk is full"))
    QApplication.processEvents()
    ride.steps(3)
    assert not ride.tour.is_running and "you have the microscope" in ride.said[-1]
