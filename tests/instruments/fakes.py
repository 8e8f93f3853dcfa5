"""Instruments without waiting: a clock that a test turns, and lines that step by it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from her2scope.instruments.hearing import LineState
from her2scope.instruments.nosepiece import NosepieceSensor
from her2scope.instruments.serial_line import SerialLine
from her2scope.instruments.simulators import AsiSimulator, SensorSimulator, SimulatedPort
from her2scope.instruments.stage import SerialStage
from her2scope.settings.instruments import NosepieceSettings, PortSettings, StageSettings

PORT = PortSettings("/dev/simulated")
PATIENCE_S = 20.0
"""For what must come: long, so that only a fault runs into it."""
SENSOR_POLL = "P?"
OBJECTIVES = {"1": "10x", "2": "20x", "3": "40x", "0": ""}
Kind = TypeVar("Kind")


class Clock:
    """Seconds that pass when somebody waits; the time of a call itself is a tenth of a millisecond."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def now(self) -> float:
        self.now_s += 1e-4
        return self.now_s

    def pause(self, seconds: float) -> None:
        self.now_s += seconds


def run(line: SerialLine, clock: Clock, seconds: float) -> None:
    """Let a line step for so long."""
    end_s = clock.now_s + seconds
    while clock.now_s < end_s:
        line.step()


def seconds_until(line: SerialLine, clock: Clock, state: LineState, at_most_s: float = 30.0) -> float:
    """How long a line steps until it is so."""
    began_s = clock.now_s
    while line.state().line is not state:
        line.step()
        assert clock.now_s - began_s < at_most_s, f"{line.state()} instead of {state}"
    return clock.now_s - began_s


def eventually(tell: Callable[[], Kind], wanted: Callable[[Kind], bool]) -> Kind:
    """What `tell` says once it is as wanted."""
    give_up_s = time.monotonic() + PATIENCE_S
    while not wanted(said := tell()):
        assert time.monotonic() < give_up_s, f"still {said!r}"
        time.sleep(0.005)
    return said


def simulated_stage(clock: Clock, **settings: Any) -> tuple[SerialStage, AsiSimulator, SimulatedPort]:
    """A stage that is found, its other end, and the port between."""
    simulator = AsiSimulator(now=clock.now)
    port = SimulatedPort(simulator, pause=clock.pause)
    stage = SerialStage(StageSettings(PORT, **settings), open_port=port.open, now=clock.now, pause=clock.pause)
    seconds_until(stage.line, clock, LineState.FOUND)
    return stage, simulator, port


def polled() -> NosepieceSettings:
    """A sensor that is asked."""
    return NosepieceSettings(PORT, OBJECTIVES, pattern=r"POS (?P<position>\d)", ask=SENSOR_POLL, every_s=0.2)


def unasked(**settings: Any) -> NosepieceSettings:
    """A sensor that tells when it is turned."""
    return NosepieceSettings(PORT, OBJECTIVES, **settings)


def simulated_sensor(
    clock: Clock, settings: NosepieceSettings
) -> tuple[NosepieceSensor, SensorSimulator, SimulatedPort]:
    """A nosepiece sensor, its other end, and the port between."""
    simulator = SensorSimulator({SENSOR_POLL: "POS 2"})
    port = SimulatedPort(simulator, pause=clock.pause)
    sensor = NosepieceSensor(settings, open_port=port.open, now=clock.now, pause=clock.pause)
    return sensor, simulator, port
