"""Characteristic curve of the field in view against the control's: share of stained pixels above each saturation."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QWidget

from her2scope.ui.theme import SMALL_PX, THEME, font

SATURATIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 54, 22, 28, 21


class CurvePlot(QWidget):
    """Two lines: the field solid with dots, the control dashed with squares."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("curve_plot")
        self.setAccessibleName("Characteristic curve")
        self.setToolTip(
            "Share of the stained pixels whose saturation is above 0.1, 0.2 ... 0.8: this field and the control"
        )
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.field: tuple[float, ...] = ()
        self.control: tuple[float, ...] = ()

    def show_field(self, curve: Sequence[float]) -> None:
        """Curve of the field in view; empty where there is none."""
        self.field = tuple(curve)
        self.update()

    def show_control(self, curve: Sequence[float]) -> None:
        """Curve of the control in force; empty where there is none."""
        self.control = tuple(curve)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(320, 122)

    def minimumSizeHint(self) -> QSize:
        return QSize(240, 122)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(font(SMALL_PX))
        painter.setPen(QPen(QColor(THEME.line), 1))
        painter.drawLine(0, 0, self.width(), 0)
        plot = QRectF(LEFT_PX, TOP_PX, self.width() - LEFT_PX - RIGHT_PX, self.height() - TOP_PX - BOTTOM_PX)
        self._paint_axes(painter, plot)
        self._paint_keys(painter)
        self._paint_curve(painter, plot, self.control, THEME.warning, dashed=True)
        self._paint_curve(painter, plot, self.field, THEME.accent, dashed=False)

    def _paint_axes(self, painter: QPainter, plot: QRectF) -> None:
        for share in (0.0, 0.5, 1.0):
            y = round(plot.bottom() - plot.height() * share) + 0.5
            painter.setPen(QPen(QColor(THEME.line), 1))
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            painter.setPen(QColor(THEME.dim))
            box = QRectF(0, y - 9, LEFT_PX - 6, 18)
            painter.drawText(
                box, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), f"{100 * share:.0f} %"
            )
        for saturation in SATURATIONS[::2] + SATURATIONS[-1:]:
            box = QRectF(_x(plot, saturation) - 16, plot.bottom() + 3, 32, BOTTOM_PX - 4)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, f"{saturation:.1f}")

    def _paint_keys(self, painter: QPainter) -> None:
        painter.setPen(QColor(THEME.text))
        painter.drawText(QRectF(10, 4, 170, 18), Qt.AlignmentFlag.AlignVCenter, "Stain above saturation")
        keys = (("this field", THEME.accent, False, self.field), ("control", THEME.warning, True, self.control))
        right = float(self.width() - 12)
        for text, colour, dashed, curve in reversed(keys):
            words = text if curve else f"no {text}" if dashed else text
            width = painter.fontMetrics().horizontalAdvance(words)
            painter.setPen(QColor(THEME.text if curve else THEME.dim))
            painter.drawText(QRectF(right - width, 4, width + 2, 18), Qt.AlignmentFlag.AlignVCenter, words)
            _paint_line(painter, [QPointF(right - width - 26, 13), QPointF(right - width - 6, 13)], colour, dashed)
            right -= width + 40

    @staticmethod
    def _paint_curve(painter: QPainter, plot: QRectF, curve: Sequence[float], colour: str, *, dashed: bool) -> None:
        points = [
            QPointF(_x(plot, saturation), plot.bottom() - plot.height() * min(1.0, max(0.0, share)))
            for saturation, share in zip(SATURATIONS, curve, strict=False)
        ]
        if not points:
            return
        _paint_line(painter, points, colour, dashed)
        for point in points:
            if dashed:
                # Hollow and larger: it is still seen where the field's dot lies on it.
                painter.setPen(QPen(QColor(colour), 1.3))
                painter.drawRect(QRectF(point.x() - 3.5, point.y() - 3.5, 7, 7))
            else:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(colour))
                painter.drawEllipse(point, 2.4, 2.4)


def _x(plot: QRectF, saturation: float) -> float:
    first, last = SATURATIONS[0], SATURATIONS[-1]
    return plot.left() + plot.width() * (saturation - first) / (last - first)


def _paint_line(painter: QPainter, points: list[QPointF], colour: str, dashed: bool) -> None:
    painter.setPen(QPen(QColor(colour), 1.6, Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPolyline(QPolygonF(points))
