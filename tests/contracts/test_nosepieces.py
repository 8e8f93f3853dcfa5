"""What every nosepiece keeps to, whether the program turns it or only reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from instruments.fakes import SENSOR_POLL, eventually, polled, unasked

from her2scope.domain.errors import Her2ScopeError
from her2scope.instruments.hearing import LineState
from her2scope.instruments.nosepiece import NosepieceSensor
from her2scope.instruments.serial_line import InstrumentError
from her2scope.instruments.simulators import SensorSimulator, SimulatedPort
from her2scope.phantom.microscope import PhantomMicroscope
from her2scope.ports import Nosepiece
from her2scope.settings.instruments import NosepieceSettings


@dataclass(frozen=True)
class Rig:
    """One kind of nosepiece, and who turns it."""

    nosepiece: Nosepiece
    turn: Callable[[str], None]
    close: Callable[[], None]
    is_read_only: bool = False


def phantom_rig() -> Rig:
    microscope = PhantomMicroscope(seed=4, size_wh=(64, 48))
    return Rig(microscope, microscope.select_objective, microscope.close)


def sensor_rig(settings: NosepieceSettings, turned: Callable[[SensorSimulator, str], None]) -> Rig:
    simulator = SensorSimulator({SENSOR_POLL: "POS 1"})
    port = SimulatedPort(simulator)
    sensor = NosepieceSensor(settings, open_port=port.open)
    positions = {name: position for position, name in settings.objectives.items()}
    sensor.line.start()
    eventually(lambda: port.is_open, bool)
    turned(simulator, "1")
    eventually(lambda: sensor.state().line, lambda state: state is LineState.FOUND)
    return Rig(sensor, lambda name: turned(simulator, positions[name]), sensor.line.stop, is_read_only=True)


RIGS: dict[str, Callable[[], Rig]] = {
    "phantom": phantom_rig,
    "asked sensor": lambda: sensor_rig(polled(), lambda end, at: end.answer(SENSOR_POLL, f"POS {at}")),
    "sensor": lambda: sensor_rig(unasked(), lambda end, at: end.say(at)),
}


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = RIGS[request.param]()
    yield rig
    rig.close()


def test_it_is_a_nosepiece(rig: Rig) -> None:
    assert isinstance(rig.nosepiece, Nosepiece)


def test_its_objectives_have_names_and_one_is_in_the_light_path(rig: Rig) -> None:
    names = rig.nosepiece.objectives()
    assert all(names) and len(set(names)) == len(names) >= 2
    assert rig.nosepiece.objective() in names


def test_each_turn_is_told(rig: Rig) -> None:
    for name in (*rig.nosepiece.objectives(), *reversed(rig.nosepiece.objectives())):
        rig.turn(name)
        assert eventually(rig.nosepiece.objective, lambda told, name=name: told == name) == name


def test_an_objective_that_it_does_not_have_is_refused(rig: Rig) -> None:
    before = rig.nosepiece.objective()
    with pytest.raises(Her2ScopeError, match="63x.*40x"):
        rig.nosepiece.select_objective("63x")
    assert rig.nosepiece.objective() == before


def test_it_turns_or_says_that_the_hand_has_to(rig: Rig) -> None:
    if not rig.is_read_only:
        rig.nosepiece.select_objective("20x")
        assert rig.nosepiece.objective() == "20x"
        return
    with pytest.raises(InstrumentError, match="Turn 20x in by hand"):
        rig.nosepiece.select_objective("20x")
    assert rig.nosepiece.objective() == "10x"
