"""How long the window's own picture takes to show a frame, and a new analysis on it."""

from __future__ import annotations

import time
from dataclasses import replace

from PyQt6.QtCore import QEventLoop, QTimer

from her2scope.app.bench.desk import application
from her2scope.app.bench.figures import Stopwatch
from her2scope.overlays.model import OverlaySelection
from her2scope.overlays.palette import PALETTES
from her2scope.pipeline.live import LiveResult, Mode
from her2scope.records import FieldResult, TrackedFrame
from her2scope.settings import Preferences
from her2scope.ui.display_meter import Painted
from her2scope.ui.live_view import LiveView

VIEW_WH = (1545, 1034)
"""Of the picture in a window of 1920x1080."""
TIMEOUT_MS = 2_000


class OverlayTimer:
    """A live picture on its own, shown one analysis after another."""

    def __init__(self) -> None:
        self._app = application()
        self._view = LiveView(PALETTES[Preferences().palette], OverlaySelection())
        self._view.resize(*VIEW_WH)
        self._view.show()
        self._n_shown = 0

    def close(self) -> None:
        """Take the picture away."""
        self._view.meter.listen(None)
        self._view.rest()
        self._view.close()
        self._view.deleteLater()

    def run(self, watch: Stopwatch, result: FieldResult) -> None:
        """Time the painting of a frame, and from its analysis to the first paint of that."""
        self._n_shown += 1
        tracked = TrackedFrame(replace(result.frame, index=self._n_shown, captured_s=time.monotonic()))
        self._view.show_frame(tracked)
        watch.run("picture painted", self._view.repaint)
        loop, painted = QEventLoop(), list[Painted]()

        def take(paint: Painted) -> None:
            if paint.overlay_is_new:
                painted.append(paint)
                loop.quit()

        self._view.meter.listen(take)
        QTimer.singleShot(TIMEOUT_MS, loop.quit)
        start_s = time.monotonic()
        self._view.show_result(LiveResult(tracked, replace(result, frame=tracked.frame), Mode.READING))
        loop.exec()
        if painted:
            watch.add("overlay to screen", 1e3 * (painted[0].painted_s - start_s))
