"""Run as a module: the program as `python -m her2scope` runs it, until its first live picture is painted.

Prints one line when that is; the process that started it has the clock. It only looks at the events that pass.
"""

from __future__ import annotations

import os
import runpy
import sys

from PyQt6.QtCore import QEvent, QObject, QTimer
from PyQt6.QtWidgets import QApplication

from her2scope.app.window_system import has_display

SEEN = "first picture"


class Watcher(QObject):
    """Ends the program once the live picture painted a frame."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """See the picture being painted; what was painted is on screen at the next turn of the event loop."""
        if event is not None and event.type() == QEvent.Type.Paint and getattr(watched, "shown", None) is not None:
            app = QApplication.instance()
            if app is not None:
                app.removeEventFilter(self)
            QTimer.singleShot(0, _end)
        return False


def _end() -> None:
    print(SEEN, flush=True)  # noqa: T201 - the process that waits for it reads this line
    QApplication.exit(0)


if __name__ == "__main__":
    unseen = [] if has_display() or os.environ.get("QT_QPA_PLATFORM") else ["-platform", "offscreen"]
    application = QApplication(["her2scope", *unseen])
    watcher = Watcher()
    application.installEventFilter(watcher)
    sys.argv[0] = "her2scope"
    runpy.run_module("her2scope", run_name="__main__")
