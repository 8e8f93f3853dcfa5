"""The one Qt application of this program, which stays until the process ends."""

from __future__ import annotations

import os

from PyQt6 import sip
from PyQt6.QtWidgets import QApplication, QWidget

from her2scope.app.window_system import has_display


def qt_application(*, unseen: bool = False) -> QApplication:
    """The application that is there, or a new one; `unseen`: where there is no display, on a screen that nobody sees.

    It is never taken down: PyQt 6 would take with it whatever else is left, and crash now and then (`take_down`).
    """
    found = QApplication.instance()
    if isinstance(found, QApplication):
        return found
    elsewhere = unseen and not has_display() and not os.environ.get("QT_QPA_PLATFORM")
    made = QApplication(["her2scope", *(["-platform", "offscreen"] if elsewhere else [])])
    sip.transferto(made, None)  # type: ignore[arg-type]  # Qt's from now on, whatever scope or interpreter ends
    return made


def take_down(window: QWidget) -> None:
    """Close a window and end it, while all that it consists of is still whole.

    A window and its parts name each other, so that Python keeps it until it collects. What is left when the program
    ends is taken down by PyQt 6, which walks the table of its objects while that changes: where a window was still
    open, one program in four to some hundreds ended by a segmentation fault.
    """
    window.close()
    sip.delete(window)
