"""The demo in the window: does the job by the same commands as the reader's keys, until the reader takes over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from PyQt6.QtCore import QEvent, QObject, QTimer
from PyQt6.QtWidgets import QApplication, QWidget

from her2scope.app.demo import CONTROL_LEVELS, MAX_TRIES_PER_FIELD, walk_um
from her2scope.phantom.microscope import GLIDE_S
from her2scope.pipeline.live import LiveCommands, LiveResult, Message, Mode, Severity
from her2scope.ports import CameraSource, Stage
from her2scope.records import CaseView
from her2scope.ui.bridge import LiveBridge

STEP_MS = 400
SETTLE_STEPS = 4
"""Steps to wait after a move at least, so that a viewer sees what is being done."""
REST_S = 2 * GLIDE_S
"""A frame taken so long after a move shows where the stage stopped."""
MAX_ASKED = 3
"""How often the program is asked for what it would not take, as while the camera is late, before the demo ends."""
USER_EVENTS = (QEvent.Type.KeyPress, QEvent.Type.MouseButtonPress, QEvent.Type.Wheel)


class DemoTour(QObject):
    """Reads the controls, walks over the tissue, accepts fields and finishes the case.

    It waits for what it needs, however slow the computer: for an analysis of the place where the stage came to rest,
    and for the case to show what was asked for.
    """

    def __init__(self, commands: LiveCommands, bridge: LiveBridge, source: CameraSource, n_fields: int) -> None:
        super().__init__()
        if not isinstance(source, Stage):
            raise TypeError("the demo needs a source with a stage")
        self._commands, self._bridge, self._stage, self._n_fields = commands, bridge, source, n_fields
        self._case: CaseView | None = None
        self._live: LiveResult | None = None
        self._refused = False
        self._steps: Iterator[None] = iter(())
        self._timer = QTimer(self)
        self._timer.setInterval(STEP_MS)
        self._timer.timeout.connect(self.step)

    def start(self, window: QWidget) -> None:
        """Begin; the first key or click in the window ends the tour."""
        self._bridge.case_changed.connect(self._take_case)
        self._bridge.result_changed.connect(self._take_result)
        self._bridge.message_posted.connect(self._take_message)
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
        if event is not None and event.type() in USER_EVENTS and event.spontaneous() and self.is_running:
            self.stop()
            self._say("demo: you have the microscope (F1 lists the keys)")
        return False

    def _tour(self) -> Iterator[None]:
        self._commands.set_mode(Mode.CONTROL)
        for number, level in enumerate(CONTROL_LEVELS, start=1):
            yield from self._go(partial(self._stage.go_to, f"control {level}"))
            yield from self._do(partial(self._commands.read_control, level, "phantom"), partial(_has_controls, number))
        self._commands.set_mode(Mode.READING)
        yield from self._go(partial(self._stage.go_to, "tissue"))
        yield from self._accept_fields()
        yield from self._do(self._commands.finish, lambda view: view.finished_utc is not None)

    def _accept_fields(self) -> Iterator[None]:
        """Walk over the tissue; a place that cannot be scored is passed over."""
        accepted = 0
        for place in range(MAX_TRIES_PER_FIELD * self._n_fields):
            if self._live is not None and self._live.result.quality.usable:
                accepted += 1
                yield from self._do(self._commands.accept_field, partial(_has_fields, accepted))
            if accepted == self._n_fields:
                return
            yield from self._go(partial(self._stage.move_by_um, *walk_um(place)))

    def _go(self, move: Callable[[], None]) -> Iterator[None]:
        """Move, and wait for an analysis of the place at rest: of one that was taken before, nothing is read."""
        move()
        rests_s = time.monotonic() + REST_S
        for _ in range(SETTLE_STEPS):
            yield
        while self._live is None or not _is_at_rest(self._live, rests_s):
            yield

    def _do(self, ask: Callable[[], None], done: Callable[[CaseView], bool]) -> Iterator[None]:
        """Ask, and wait until the case shows it; ask again where the program said that it did not take it."""
        for _ in range(MAX_ASKED):
            self._refused = False
            ask()
            while not self._refused:
                yield
                if self._case is not None and done(self._case):
                    return
        self._give_up()
        yield

    @property
    def is_running(self) -> bool:
        """Whether it has more to do."""
        return self._timer.isActive()

    def step(self) -> None:
        """Go on as far as what it waits for allows."""
        if next(self._steps, self) is self:
            self.stop()

    def _give_up(self) -> None:
        self.stop()
        self._say("demo: stopped, see the last message (F4); you have the microscope")

    def _take_case(self, view: CaseView) -> None:
        self._case = view

    def _take_result(self, live: LiveResult) -> None:
        self._live = live

    def _take_message(self, message: Message) -> None:
        """A warning means that something was not taken, an error that nobody should go on by himself."""
        self._refused = self._refused or message.severity is Severity.WARNING
        if message.severity is Severity.ERROR and self.is_running:
            self._give_up()

    def _say(self, text: str) -> None:
        self._bridge.on_message(Message(Severity.INFO, text))


def _is_at_rest(live: LiveResult, rests_s: float) -> bool:
    """Whether this is of the place where the stage stopped; the first frame there still tells of the way to it."""
    return live.tracked.frame.captured_s >= rests_s and "moving" not in live.result.quality.codes


def _has_controls(number: int, view: CaseView) -> bool:
    return len(view.controls) >= number


def _has_fields(number: int, view: CaseView) -> bool:
    return len(view.fields) >= number
