"""What every stage keeps to, whatever stands behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from instruments.fakes import eventually

from her2scope.domain.errors import Her2ScopeError
from her2scope.instruments.hearing import LineState
from her2scope.instruments.simulators import AsiSimulator, SimulatedPort
from her2scope.instruments.stage import SerialStage
from her2scope.phantom.microscope import PhantomMicroscope
from her2scope.ports import Stage
from her2scope.settings.instruments import PortSettings, StageSettings

Place = tuple[float, float]
PHANTOM_STEP_UM = 0.25
"""The phantom's position is that of a whole pixel."""


@dataclass(frozen=True)
class Rig:
    """One kind of stage, and where it really is."""

    stage: Stage
    position_um: Callable[[], Place]
    close: Callable[[], None]


def phantom_rig() -> Rig:
    microscope = PhantomMicroscope(seed=4, size_wh=(64, 48))
    microscope.open()

    def position_um() -> Place:
        stage_um = microscope.read(20.0).stage_um
        assert stage_um is not None
        return stage_um

    return Rig(microscope, position_um, microscope.close)


def asi_rig() -> Rig:
    simulator = AsiSimulator(speed_um_per_s=20_000.0)
    settings = StageSettings(
        PortSettings("/dev/simulated"), right="-y", down="+x", places={"control 3+": (-900.0, 40.0), "tissue": (0, 0)}
    )
    stage = SerialStage(settings, open_port=SimulatedPort(simulator).open)
    stage.line.start()
    eventually(lambda: stage.state().line, lambda state: state is LineState.FOUND)

    def position_um() -> Place:
        x_um, y_um = simulator.at_um()
        return -y_um, x_um

    return Rig(stage, position_um, stage.line.stop)


RIGS = {"phantom": phantom_rig, "asi": asi_rig}


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = RIGS[request.param]()
    yield rig
    rig.close()


def arrives(rig: Rig, place_um: Place) -> None:
    def is_there(here_um: Place) -> bool:
        return here_um == pytest.approx(place_um, abs=2.0 * PHANTOM_STEP_UM)

    eventually(rig.position_um, is_there)


def test_it_is_a_stage(rig: Rig) -> None:
    assert isinstance(rig.stage, Stage)


def test_it_moves_right_and_down_by_so_much(rig: Rig) -> None:
    x_um, y_um = rig.position_um()
    rig.stage.move_by_um(60.0, -30.0)
    arrives(rig, (x_um + 60.0, y_um - 30.0))


def test_moves_on_the_way_add_up(rig: Rig) -> None:
    x_um, y_um = rig.position_um()
    for _ in range(8):
        rig.stage.move_by_um(20.0, 10.0)
    arrives(rig, (x_um + 160.0, y_um + 80.0))


def test_moves_from_several_threads_add_up(rig: Rig) -> None:
    x_um, y_um = rig.position_um()
    threads = [threading.Thread(target=rig.stage.move_by_um, args=(10.0, 5.0)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    arrives(rig, (x_um + 60.0, y_um + 30.0))


def test_it_goes_to_its_named_places_and_back(rig: Rig) -> None:
    places = rig.stage.places()
    assert len(set(places)) == len(places) >= 2
    tissue_um = rig.position_um()  # each begins there
    rig.stage.go_to("control 3+")
    eventually(rig.position_um, lambda here_um: abs(here_um[0] - tissue_um[0]) > 500.0)
    rig.stage.go_to("tissue")
    arrives(rig, tissue_um)


def test_a_place_that_it_does_not_know_is_refused_and_it_stays(rig: Rig) -> None:
    before_um = rig.position_um()
    with pytest.raises(Her2ScopeError, match="no such place.*tissue"):
        rig.stage.go_to("no such place")
    assert rig.position_um() == before_um
