"""Drawing an outline on a picture: a drag is a lasso, clicks are corners. It does not know what the outline is for."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen, QPolygonF

from her2scope.ui.theme import THEME
from her2scope.ui.viewport import Viewport

LASSO_STEP_PX = 3.0
"""On screen: so far must the hand move before a lasso gets its next corner, or a click becomes a drag."""
HANDLE_PX = 3.5
MIN_CORNERS = 3
HINT = "Drag round the tissue, or click corner after corner; Enter or double click closes, Esc abandons"
NO_AREA = "An outline needs three corners at least: drag round the tissue, or click on."


class OutlineTool:
    """Holds the corners while the reader draws; knows nothing of what they are for."""

    def __init__(self) -> None:
        self.is_on = False
        self.is_closed = False
        self.corners: list[QPointF] = []
        self._cursor: QPointF | None = None
        self._pressed = self._lasso = False

    def begin(self) -> None:
        """Start a new outline."""
        self.abandon()
        self.is_on = True

    def abandon(self) -> None:
        """Forget the outline."""
        self.is_on = self.is_closed = self._pressed = self._lasso = False
        self.corners, self._cursor = [], None

    @property
    def polygon_px(self) -> tuple[tuple[float, float], ...]:
        """Corners (x, y) in the image, a pixel's square spans i to i + 1."""
        return tuple((corner.x(), corner.y()) for corner in self.corners)

    # ---- the hand --------------------------------------------------------------------------------------------------

    def press(self, at: QPointF) -> None:
        """Set a corner; what follows may be a lasso."""
        if self.is_on and not self.is_closed:
            self._pressed, self._lasso = True, False
            self._add(at, 0.0)

    def move(self, at: QPointF, zoom: float) -> None:
        """Follow the hand; `zoom` is the number of screen pixels per image pixel."""
        self._cursor = at
        if self._pressed:
            self._lasso = self._add(at, LASSO_STEP_PX / zoom) or self._lasso

    def release(self) -> bool:
        """Let go: a lasso that began the outline closes it. Says whether it is closed now."""
        began = self._lasso and self._pressed
        self._pressed = self._lasso = False
        return began and self.close()

    def close(self) -> bool:
        """Join the last corner to the first; False where there are too few, and drawing goes on."""
        if self.is_on and len(self.corners) >= MIN_CORNERS:
            self.is_closed = True
        return self.is_closed

    def _add(self, at: QPointF, least_px: float) -> bool:
        moved = at - self.corners[-1] if self.corners else QPointF(1, 1)
        # A double click presses twice at one place.
        if max(abs(moved.x()), abs(moved.y())) <= least_px or moved.isNull():
            return False
        self.corners.append(at)
        return True

    # ---- painting --------------------------------------------------------------------------------------------------

    def paint(self, painter: QPainter, port: Viewport) -> None:
        """Draw the outline so far, in screen pixels."""
        if not self.is_on:
            return
        places = [port.to_screen(corner) for corner in self.corners]
        if self._cursor is not None and not self.is_closed and not self._pressed:
            places.append(port.to_screen(self._cursor))
        line = QPolygonF([*places, places[0]] if self.is_closed else places)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for colour, width_px in (("#000000", 4.0), (THEME.warning, 2.0)):
            painter.setPen(QPen(QColor(colour), width_px))
            painter.drawPolyline(line)
        if not self._lasso and len(self.corners) < 40:  # a lasso's corners lie too close for handles
            painter.setBrush(QColor(THEME.warning))
            painter.setPen(QPen(QColor("#000000"), 1))
            for corner in self.corners:
                painter.drawEllipse(port.to_screen(corner), HANDLE_PX, HANDLE_PX)
        painter.restore()
