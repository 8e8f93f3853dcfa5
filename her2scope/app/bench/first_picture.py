"""Run as a module: the program as `python -m her2scope` runs it, until its first live picture is painted.

Prints one line when that is; the process that started it has the clock. It only looks on.
"""

from __future__ import annotations

import runpy
import sys

from PyQt6.QtCore import QEvent, QObject, QTimer
from PyQt6.QtWidgets import QApplication, QWidget

from her2scope.app.qt_application import qt_application

SEEN = "first picture"
LOOK_EVERY_MS = 2
"""Until the window is found; of no weight beside the seconds that are measured."""


class Watcher(QObject):
    """Ends the program once the live picture painted a frame.

    It looks at the picture's own events, not at the program's: each of those would be handed to Python, those of
    widgets that are being taken apart among them.
    """

    def __init__(self, application: QApplication) -> None:
        super().__init__(application)
        self._looks = QTimer(self)
        self._looks.setInterval(LOOK_EVERY_MS)
        self._looks.timeout.connect(self._look_for_it)
        self._looks.start()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """See the picture being painted; what was painted is on screen at the next turn of the event loop."""
        if watched is not None and event is not None and event.type() == QEvent.Type.Paint and _shows(watched):
            watched.removeEventFilter(self)
            QTimer.singleShot(0, _end)
        return False

    def _look_for_it(self) -> None:
        """The window is there when the event loop first turns; before that no frame reaches it."""
        views = (getattr(window, "view", None) for window in QApplication.topLevelWidgets())
        for view in views:
            if isinstance(view, QWidget):
                self._looks.stop()
                view.installEventFilter(self)
                view.update()  # where a frame is there already
                return


def _shows(view: QObject) -> bool:
    return getattr(view, "shown", None) is not None


def _end() -> None:
    print(SEEN, flush=True)  # noqa: T201 - the process that waits for it reads this line
    QApplication.closeAllWindows()


if __name__ == "__main__":
    application = qt_application(unseen=True)
    watcher = Watcher(application)
    sys.argv[0] = "her2scope"
    runpy.run_module("her2scope", run_name="__main__")
