from __future__ import annotations

from instruments.fakes import OBJECTIVES, eventually

from her2scope.instruments.desk import Instruments
from her2scope.instruments.hearing import LineState
from her2scope.instruments.serial_port import Port, PortLost
from her2scope.instruments.simulators import AsiSimulator, SensorSimulator, SimulatedPort
from her2scope.settings.instruments import (
    ButtonAction,
    ButtonSettings,
    InstrumentSettings,
    NosepieceSettings,
    PortSettings,
    StageSettings,
)

SETTINGS = InstrumentSettings(
    stage=StageSettings(PortSettings("STAGE")),
    nosepiece=NosepieceSettings(PortSettings("TURRET"), OBJECTIVES),
    buttons=(
        ButtonSettings(PortSettings("PEDAL"), {"1": ButtonAction.ACCEPT}),
        ButtonSettings(PortSettings("BOX"), {"1": ButtonAction.UNDO}),
    ),
)


def test_a_desk_without_instruments_knows_nothing_and_says_nothing() -> None:
    desk = Instruments(InstrumentSettings(), lambda action: None)
    desk.start()
    assert (desk.position_um(), desk.objective(), desk.states()) == (None, None, ())
    desk.stop()


def test_all_instruments_work_side_by_side() -> None:
    others = {name: SensorSimulator() for name in ("TURRET", "PEDAL", "BOX")}
    ports = {"STAGE": SimulatedPort(AsiSimulator()), **{name: SimulatedPort(item) for name, item in others.items()}}
    pressed: list[ButtonAction] = []
    desk = Instruments(SETTINGS, pressed.append, open_port=lambda settings: ports[settings.port].open(settings))
    assert desk.objective() == ""
    desk.start()
    eventually(lambda: [port.is_open for port in ports.values()], all)
    assert desk.stage is not None
    eventually(desk.position_um, lambda place: place == (0.0, 0.0))
    desk.stage.move_by_um(50.0, 0.0)
    others["TURRET"].say("3")
    others["BOX"].say("1")
    others["PEDAL"].say("1")
    eventually(desk.position_um, lambda place: place == (50.0, 0.0))
    eventually(desk.objective, lambda name: name == "40x")
    eventually(lambda: set(pressed), lambda actions: actions == {ButtonAction.ACCEPT, ButtonAction.UNDO})
    assert [(state.name, state.line) for state in desk.states()] == [
        ("stage", LineState.FOUND),
        ("nosepiece", LineState.FOUND),
        ("buttons", LineState.FOUND),
        ("buttons", LineState.FOUND),
    ]
    desk.stop()
    desk.stop()
    assert not any(port.is_open for port in ports.values())
    assert {state.line for state in desk.states()} == {LineState.OFF}
    assert desk.position_um() is None and desk.objective() == ""


def test_one_instrument_that_is_missing_leaves_the_others_alone() -> None:
    turret = SensorSimulator()
    port = SimulatedPort(turret)

    def open_port(settings: PortSettings) -> Port:
        if settings.port == "TURRET":
            return port.open(settings)
        raise PortLost(f"{settings.port} is not there.")

    desk = Instruments(SETTINGS, lambda action: None, open_port=open_port)
    desk.start()
    eventually(lambda: port.is_open, bool)
    turret.say("1")
    eventually(desk.objective, lambda name: name == "10x")
    states = eventually(desk.states, lambda states: sum(item.line is LineState.LOST for item in states) == 3)
    assert "STAGE is not there" in states[0].problem
    desk.stop()
