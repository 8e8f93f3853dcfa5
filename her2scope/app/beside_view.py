"""The window of `her2scope phantom beside`: opened, and left in order."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QSize

from her2scope.app.beside import BesideRequest
from her2scope.app.qt_application import qt_application, take_down
from her2scope.phantom.compare.sheets import Piece
from her2scope.ui.beside_window import BesideWindow
from her2scope.ui.theme import apply_theme

WINDOW_SIZE = QSize(1440, 820)
"""On a smaller screen it leaves room for its own frame."""
PATIENCE_S = 10.0
"""For a phantom that is being drawn when the window closes: the program should not end under its thread."""


def show_beside(request: BesideRequest, reals: Sequence[Piece]) -> None:
    """Open the window and stay until it is closed."""
    app = qt_application()
    app.setApplicationName("her2scope")
    apply_theme(app)
    window = BesideWindow(reals, request.choice, truth=request.truth)
    screen = app.primaryScreen()
    window.resize(WINDOW_SIZE if screen is None else WINDOW_SIZE.boundedTo(0.94 * screen.availableSize()))
    window.show()
    if request.shown_um_per_px is None:
        window.fill()
    else:
        window.show_scale(request.shown_um_per_px)
    try:
        app.exec()
    finally:
        window.close()
        window.drawer.wait(PATIENCE_S)
        take_down(window)
