"""The real window and engine on a source, with a case that is thrown away; and who watches them."""

from __future__ import annotations

import tempfile
import time
from array import array
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QEventLoop, QObject, QPoint, QRect, QSize, Qt, QTimer
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QApplication

from her2scope.app.arenas import few_arenas
from her2scope.app.bench.sources import BenchSource
from her2scope.app.bench.time_code import code_rect, read_code, shown_index
from her2scope.app.collector import few_collections
from her2scope.app.compose import DEFAULT_METHOD, make_analyser, new_case_id, user_name
from her2scope.app.qt_application import qt_application
from her2scope.domain.errors import BadInputError
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.clock import SystemClock
from her2scope.pipeline.engine import LiveEngine
from her2scope.pipeline.live import LiveFigures, LiveResult, Message, Severity
from her2scope.pipeline.session import CaseSession
from her2scope.records import RgbImage, TrackedFrame
from her2scope.settings import ScoringSettings
from her2scope.storage.case_store import FolderCaseStore
from her2scope.ui.bridge import LiveBridge
from her2scope.ui.display_meter import Painted
from her2scope.ui.main_window import MainWindow
from her2scope.ui.theme import apply_theme

SCREEN = QSize(1920, 1080)
"""Of the window where there is no screen to ask: a usual monitor."""
LOOK_EVERY_MS = 50
WATCH_EVERY_MS = 5
"""How often the event loop is asked for a turn: 200 short calls a second, under 1 % of a core."""


@dataclass(frozen=True, slots=True)
class Analysed:
    """One analysis that the engine handed to the window."""

    at_s: float
    captured_s: float
    n_cells: int
    usable: bool


class WatchedBridge(LiveBridge):
    """The window's bridge, which also notes what passes; its lists grow in other threads."""

    def __init__(self) -> None:
        super().__init__()
        self.captured_s = array("d")
        """Capture of every frame."""
        self.analyses: list[Analysed] = []
        self.newest: LiveResult | None = None
        self.figures: LiveFigures | None = None
        self.errors: list[str] = []

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Note a frame, and hand it on."""
        self.captured_s.append(tracked.frame.captured_s)
        super().on_frame(tracked)

    def on_result(self, live: LiveResult) -> None:
        """Note an analysis, and hand it on."""
        result, frame = live.result, live.tracked.frame
        self.newest = live
        self.analyses.append(Analysed(time.monotonic(), frame.captured_s, len(result.cells), result.quality.usable))
        super().on_result(live)

    def on_figures(self, figures: LiveFigures) -> None:
        """Note the rates, and hand them on."""
        self.figures = figures
        super().on_figures(figures)

    def on_message(self, message: Message) -> None:
        """Note an error, and hand the message on."""
        if message.severity is Severity.ERROR:
            self.errors.append(message.text)
        super().on_message(message)


class Desk:
    """A window on a source, as `her2scope` opens it; its case lies in a folder that goes when it is closed.

    Use it as a context: it is open within.
    """

    def __init__(self, source: BenchSource) -> None:
        few_arenas()  # as `app.window.run_live` does
        self.app = application()
        settings = ScoringSettings()
        self.analyser: FieldAnalyser = make_analyser(DEFAULT_METHOD, settings, source.calibration)
        self._folder = tempfile.TemporaryDirectory(prefix="her2scope-bench-", ignore_cleanup_errors=True)
        self._store = FolderCaseStore(Path(self._folder.name) / "cases")
        self._stack = ExitStack()
        self.bridge = WatchedBridge()
        self.painted: list[Painted] = []
        self.engine = LiveEngine(source.source, self._new_case, self.bridge, lambda _view: (), SystemClock())
        self.window = MainWindow(
            self.engine, self.bridge, source.source, max_speed_um_per_s=settings.quality.max_speed_um_per_s
        )
        self.window.view.meter.listen(self.painted.append)

    def _new_case(self) -> CaseSession:
        return CaseSession(self._store.create(new_case_id()), self.analyser, SystemClock(), user_name())

    def __enter__(self) -> Desk:
        """Show the window as large as the screen, and start the engine."""
        screen = self.window.screen()
        room = SCREEN if QApplication.platformName() == "offscreen" or screen is None else screen.availableSize()
        self.window.resize(room)
        self.window.show()
        self.engine.start()
        self._stack.enter_context(few_collections())  # as `app.window.run_live` does
        return self

    def __exit__(self, *_: object) -> None:
        """Close all, in the program's own order."""
        self._stack.close()
        self.bridge.close()
        self.engine.stop()
        self.window.view.meter.listen(None)
        self.window.close()
        self.window.deleteLater()
        self._folder.cleanup()

    def run_until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Turn the event loop until something is so; False where it was not within `timeout_s`.

        Raises BadInputError where the window was closed meanwhile.
        """
        loop, until_s = QEventLoop(), time.monotonic() + timeout_s

        def look() -> None:
            if done() or time.monotonic() > until_s or not self.window.isVisible():
                loop.quit()

        timer = QTimer()
        timer.timeout.connect(look)
        timer.start(LOOK_EVERY_MS)
        if not done():
            loop.exec()
        timer.stop()
        if not self.window.isVisible():
            raise BadInputError(
                "the window was closed while it was measured. Leave it open until the figures are there."
            )
        return done()

    def run_for(self, seconds: float) -> None:
        """Turn the event loop for some time."""
        self.run_until(lambda: False, seconds)


def application() -> QApplication:
    """The one there is, or a new one: without a display on a screen that nobody sees."""
    app = qt_application(unseen=True)
    if not app.styleSheet():
        apply_theme(app)
    return app


class LoopWatch(QObject):
    """How late the event loop comes to its next turn: what a click or a key would wait."""

    def __init__(self) -> None:
        super().__init__()
        self.late_ms: list[float] = []
        self._last_s = time.perf_counter()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._turn)

    def start(self) -> None:
        """Begin to watch."""
        self._last_s = time.perf_counter()
        self._timer.start(WATCH_EVERY_MS)

    def stop(self) -> None:
        """Stop; the turn that is awaited counts."""
        self._turn()
        self._timer.stop()

    def _turn(self) -> None:
        now_s = time.perf_counter()
        self.late_ms.append(max(0.0, 1e3 * (now_s - self._last_s) - WATCH_EVERY_MS))
        self._last_s = now_s


class CodeReader(QObject):
    """Reads the time code from the window's own pixels, and compares it with the frame that was said to be painted."""

    EVERY_MS = 1000
    """To ask the screen takes 2 to 10 ms with Python's lock held: more often, it would slow what it looks at."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.right = self.wrong = self.unreadable = 0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look)

    def start(self) -> None:
        """Look now and then."""
        self._timer.start(self.EVERY_MS)

    def stop(self) -> None:
        """Look no more."""
        self._timer.stop()

    def look(self) -> None:
        """Read what is on screen now: it is what was painted last."""
        code = self._code()
        if code is None:
            self.unreadable += 1
        elif code == shown_index(self._desk.painted[-1].frame_index):
            self.right += 1
        else:
            self.wrong += 1

    def _code(self) -> int | None:
        window, view = self._desk.window, self._desk.window.view
        screen, shown = window.screen(), view.shown
        if screen is None or shown is None or not self._desk.painted:
            return None
        left, top, width, height = code_rect(shown.frame.rgb.shape[1])
        port = view.viewport
        corner = port.to_screen(QRect(left, top, width, height).topLeft().toPointF()).toPoint()
        at = view.mapTo(window, QPoint(0, 0)) + corner
        size = QSize(round(width * port.zoom), round(height * port.zoom))
        grabbed = screen.grabWindow(window.winId(), at.x(), at.y(), size.width(), size.height())
        return None if grabbed.isNull() else read_code(_pixels(grabbed.toImage()))


def _pixels(image: QImage) -> RgbImage:
    """Pixels of an image, `(H, W, 3)`."""
    rgb = image.convertToFormat(QImage.Format.Format_RGB888)
    memory = rgb.constBits()
    if memory is None:
        return np.zeros((0, 0, 3), np.uint8)
    memory.setsize(rgb.sizeInBytes())
    rows = np.frombuffer(memory, np.uint8).reshape(rgb.height(), rgb.bytesPerLine())  # type: ignore[call-overload]
    return rows[:, : 3 * rgb.width()].reshape(rgb.height(), rgb.width(), 3).copy()
