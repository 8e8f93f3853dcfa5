"""All instruments of one desk, started and stopped together."""

from __future__ import annotations

import time
from collections.abc import Callable

from her2scope.instruments.buttons import Buttons
from her2scope.instruments.nosepiece import NosepieceSensor
from her2scope.instruments.serial_line import InstrumentState
from her2scope.instruments.serial_port import PortFactory, open_port
from her2scope.instruments.stage import Place, SerialStage
from her2scope.settings.instruments import ButtonAction, InstrumentSettings


class Instruments:
    """What stands beside the camera. All its calls return at once and may come from any thread, but `stop`.

    Parameters
    ----------
    pressed : callable
        Gets what was pressed, in a thread of the instruments: it must return at once, as a Qt signal's emit does.
    """

    def __init__(
        self,
        settings: InstrumentSettings,
        pressed: Callable[[ButtonAction], None],
        *,
        open_port: PortFactory = open_port,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stage = SerialStage(settings.stage, open_port=open_port, now=now) if settings.stage else None
        self.nosepiece = (
            NosepieceSensor(settings.nosepiece, open_port=open_port, now=now) if settings.nosepiece else None
        )
        self.buttons = tuple(Buttons(item, pressed, open_port=open_port, now=now) for item in settings.buttons)
        self._all = tuple(item for item in (self.stage, self.nosepiece, *self.buttons) if item is not None)

    def start(self) -> None:
        """Begin to look for all of them; once only."""
        for item in self._all:
            item.line.start()

    def stop(self) -> None:
        """Let go of all ports for good. Safe to call twice."""
        for item in self._all:
            item.line.stop(0.0)  # all are told before one is waited for
        for item in self._all:
            item.line.stop()

    def position_um(self, at_s: float | None = None) -> Place | None:
        """Centre of the view on the stage at a monotonic time (now, if not given); None where it is not known."""
        return self.stage.position_um(at_s) if self.stage else None

    def objective(self) -> str | None:
        """The objective in the light path, empty where it is not known; None without a nosepiece sensor."""
        return self.nosepiece.objective() if self.nosepiece else None

    def stayed(self, objective: str, from_s: float, to_s: float) -> bool | None:
        """Whether an objective stayed in the light path; None while nobody can say (`ports.FrameDesk`)."""
        return self.nosepiece.stayed(objective, from_s, to_s) if self.nosepiece else None

    def states(self) -> tuple[InstrumentState, ...]:
        """How each of them is, for the window."""
        return tuple(item.state() for item in self._all)
