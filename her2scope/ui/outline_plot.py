"""A cell's outline unrolled: the tissue along it, and its membrane's od10 by the angle seen from the nucleus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QWidget

from her2scope.domain.cells import StainCuts
from her2scope.imaging.unrolled import Unrolled
from her2scope.ui.images import to_qimage
from her2scope.ui.theme import SMALL_PX, THEME, font

STRIP_PX, PLOT_PX = 30, 80
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX, GAP_PX = 34, 62, 2, 17, 4
STAINED_PX = 5
"""Height of the bar of stained places beneath the plot."""
LEAST_TOP_OD10 = 0.8
"""The plot reaches at least so far, so that a pale membrane looks pale."""
HEADROOM = 1.15
TURN = 360
DIRECTIONS = ((0, "right"), (90, "below"), (180, "left"), (270, "above"))
"""Angles run clockwise on screen from the right."""
CUTS = (("intense", "intense_od10"), ("moderate", "moderate_od10"), ("stained", "stained_od10"))
NO_OUTLINE = "No outline was measured for this cell"


class OutlinePlot(QWidget):
    """Strip of tissue above, od10 with the three cuts below; stained places are marked by a bar."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("outline_plot")
        self.setAccessibleName("Outline unrolled")
        self.setToolTip(
            "The cell's outline from its right side clockwise: the tissue along it (inside of the cell at the top), "
            "and the membrane's od10 with the cuts. The bar beneath marks the places that count as stained."
        )
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.unrolled: Unrolled | None = None
        self._cuts = StainCuts()
        self._strip = QImage()

    def show_outline(self, unrolled: Unrolled | None, cuts: StainCuts) -> None:
        """Show an outline with the cuts in force; None where there is none."""
        self.unrolled, self._cuts = unrolled, cuts
        self._strip = QImage() if unrolled is None else to_qimage(strip_by_angle(unrolled))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(320, STRIP_PX + PLOT_PX + TOP_PX + BOTTOM_PX + GAP_PX)

    def minimumSizeHint(self) -> QSize:
        return QSize(240, self.sizeHint().height())

    # ---- painting --------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(font(SMALL_PX))
        if self.unrolled is None:
            painter.setPen(QColor(THEME.dim))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, NO_OUTLINE)
            return
        width = self.width() - LEFT_PX - RIGHT_PX
        painter.drawImage(QRectF(LEFT_PX, TOP_PX, width, STRIP_PX), self._strip)
        plot = QRectF(LEFT_PX, TOP_PX + STRIP_PX + GAP_PX, width, PLOT_PX - STAINED_PX - 2)
        top_od10 = max(LEAST_TOP_OD10, HEADROOM * float(self.unrolled.wall_od10.max(initial=0)))
        self._paint_axes(painter, plot, top_od10)
        self._paint_cuts(painter, plot, top_od10)
        self._paint_wall(painter, plot, top_od10, self.unrolled)
        self._paint_stained(painter, QRectF(plot.left(), plot.bottom() + 2, width, STAINED_PX), self.unrolled)

    def _paint_axes(self, painter: QPainter, plot: QRectF, top_od10: float) -> None:
        painter.setPen(QPen(QColor(THEME.line), 1))
        painter.drawRect(plot)
        painter.setPen(QColor(THEME.dim))
        for od10 in (0.0, top_od10):
            y = _y(plot, od10, top_od10)
            box = QRectF(0, min(y - 8, plot.bottom() - 14), LEFT_PX - 4, 16)
            painter.drawText(box, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), f"{od10:.1f}")
        for angle, words in DIRECTIONS:
            x = plot.left() + plot.width() * angle / TURN
            box = QRectF(x - (0 if angle == 0 else 30), plot.bottom() + STAINED_PX + 4, 60, 15)
            align = Qt.AlignmentFlag.AlignLeft if angle == 0 else Qt.AlignmentFlag.AlignHCenter
            painter.drawText(box, int(align), words)

    def _paint_cuts(self, painter: QPainter, plot: QRectF, top_od10: float) -> None:
        """Dashed lines with their names; names that would lie on each other are pushed apart."""
        lowest = plot.top() - 8.0
        for name, part in CUTS:
            od10 = getattr(self._cuts, part)
            y = _y(plot, od10, top_od10)
            painter.setPen(QPen(QColor(THEME.warning), 1, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            lowest = max(lowest, y - 8)
            painter.setPen(QColor(THEME.warning))
            painter.drawText(QRectF(plot.right() + 4, lowest, RIGHT_PX - 4, 16), Qt.AlignmentFlag.AlignVCenter, name)
            lowest += 14

    @staticmethod
    def _paint_wall(painter: QPainter, plot: QRectF, top_od10: float, unrolled: Unrolled) -> None:
        order = np.argsort(unrolled.angle_deg % TURN)
        angles, walls = unrolled.angle_deg[order] % TURN, unrolled.wall_od10[order]
        points = [
            QPointF(plot.left() + plot.width() * float(angle) / TURN, _y(plot, float(wall), top_od10))
            for angle, wall in zip(angles, walls, strict=True)
        ]
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(THEME.accent), 1.6))
        painter.drawPolyline(QPolygonF(points))

    @staticmethod
    def _paint_stained(painter: QPainter, bar: QRectF, unrolled: Unrolled) -> None:
        if unrolled.stained is None:
            return
        stained = unrolled.stained[nearest_places(unrolled.angle_deg)]
        painter.fillRect(bar, QColor(THEME.raised))
        step = bar.width() / TURN
        for angle in np.flatnonzero(stained):
            column = QRectF(bar.left() + float(angle) * step, bar.top(), step + 0.5, bar.height())
            painter.fillRect(column, QColor(THEME.text))


def nearest_places(angle_deg: NDArray[np.float32]) -> NDArray[np.intp]:
    """`(360,)` which place of an outline lies nearest to the middle of each degree."""
    middles = np.arange(TURN) + 0.5
    away = np.abs((angle_deg[None, :] - middles[:, None] + TURN / 2) % TURN - TURN / 2)
    return np.argmin(away, axis=1)


def strip_by_angle(unrolled: Unrolled) -> NDArray[np.uint8]:
    """`(K, 360, 3)` the tissue along an outline, a column for each degree."""
    return np.ascontiguousarray(unrolled.rgb[:, nearest_places(unrolled.angle_deg)])


def _y(plot: QRectF, od10: float, top_od10: float) -> float:
    return plot.bottom() - plot.height() * min(1.0, max(0.0, od10 / top_od10))
