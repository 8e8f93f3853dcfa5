"""The demo in the window: does the job by the same commands as the reader's keys, until the reader takes over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from PyQt6.QtCore import QEvent, QObject, QTimer
from PyQt6.QtWidgets import QApplication, QWidget

from her2scope.app.demo import CONTROL_LEVELS, walk_um
from her2scope.pipeline.live import LiveCommands, LiveResult, Message, Mode, Severity
from her2scope.ports import CameraSource, Stage
from her2scope.records import CaseView
from her2scope.ui.bridge import LiveBridge

STEP_MS = 400
SETTLE_STEPS = 4
"""Steps to wait after a move, so that the stage rests and a viewer sees what is being done."""
MAX_WAIT_STEPS = 40
USER_EVENTS = (QEvent.Type.KeyPress, QEvent.Type.MouseButtonPress, QEvent.Type.Wheel)


class DemoTour(QObject):
    """Reads the controls, walks over the tissue, accepts fields and finishes the case."""

    def __init__(self, commands: LiveCommands, bridge: LiveBridge, source: CameraSource, n_fields: int) -> None:
        super().__init__()
        if not isinstance(source, Stage):
            raise TypeError("the demo needs a source with a stage")
        self._commands, self._bridge, self._stage, self._n_fields = commands, bridge, source, n_fields
        self._case: CaseView | None = None
        self._live: LiveResult | None = None
        self._steps: Iterator[None] = iter(())
        self._timer = QTimer(self)
        self._timer.setInterval(STEP_MS)
        self._timer.timeout.connect(self._step)

    def start(self, window: QWidget) -> None:
        """Begin; the first key or click in the window ends the tour."""
        self._bridge.case_changed.connect(self._take_case)
        self._bridge.result_changed.connect(self._take_result)
        app = QApplication.instance()
        if app is not None:
            app.installEventFilter(self)
        window.destroyed.connect(self.stop)
        self._steps = self._tour()
        self._timer.start()
        self._say("demo: the program reads the controls, then accepts fields by itself; any key or click takes over")

    def stop(self) -> None:
        """End the tour; the case stays open."""
        self._timer.stop()
        app = QApplication.instance()
        if app is not None:
            app.removeEventFilter(self)

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """Give way to the reader."""
        if event is not None and event.type() in USER_EVENTS and event.spontaneous() and self._timer.isActive():
            self.stop()
            self._say("demo: you have the microscope (F1 lists the keys)")
        return False

    def _tour(self) -> Iterator[None]:
        self._commands.set_mode(Mode.CONTROL)
        for number, level in enumerate(CONTROL_LEVELS, start=1):
            yield from self._go(partial(self._stage.go_to, f"control {level}"))
            self._commands.read_control(level, "phantom")
            yield from self._until(partial(_has_controls, number))
        self._commands.set_mode(Mode.READING)
        yield from self._go(partial(self._stage.go_to, "tissue"))
        for number in range(1, self._n_fields + 1):
            self._commands.accept_field()
            yield from self._until(partial(_has_fields, number))
            if number < self._n_fields:
                yield from self._go(partial(self._stage.move_by_um, *walk_um(number - 1)))
        self._commands.finish()
        yield from self._until(lambda view: view.finished_utc is not None)

    def _go(self, move: Callable[[], None]) -> Iterator[None]:
        """Move, and wait for an analysis of the place at rest."""
        move()
        for _ in range(SETTLE_STEPS):
            yield
        self._live = None
        for _ in range(MAX_WAIT_STEPS):
            yield
            if self._live is not None and self._live.result.quality.usable:
                return

    def _until(self, done: Callable[[CaseView], bool]) -> Iterator[None]:
        for _ in range(MAX_WAIT_STEPS):
            yield
            if self._case is not None and done(self._case):
                return

    def _step(self) -> None:
        if next(self._steps, self) is self:
            self.stop()

    def _take_case(self, view: CaseView) -> None:
        self._case = view

    def _take_result(self, live: LiveResult) -> None:
        self._live = live

    def _say(self, text: str) -> None:
        self._bridge.on_message(Message(Severity.INFO, text))


def _has_controls(number: int, view: CaseView) -> bool:
    return len(view.controls) >= number


def _has_fields(number: int, view: CaseView) -> bool:
    return len(view.fields) >= number
