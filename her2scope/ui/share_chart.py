"""Bar chart of the case's shares with their 95 % intervals, and the guideline's cut."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from her2scope.domain.cells import SHARE_ORDER, CellClass
from her2scope.overlays.model import CellMark
from her2scope.overlays.palette import LABELS, Palette, marker
from her2scope.ui.painters import draw_marker
from her2scope.ui.theme import SMALL_PX, THEME, font
from her2scope.ui.words import SHORT_LABELS, percent_text

ROW_PX = 21
AXIS_PX = 17
BAR_PX = 11
MARKER_PX = 4.5
MARKER_ROOM_PX = 17
GAP_PX = 8

Intervals = Mapping[CellClass, tuple[float, float]]


class ShareChart(QWidget):
    """One bar per class on a scale of 0 to 100 %."""

    def __init__(self, palette: Palette, cut_percent: float = 10.0, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("share_chart")
        self.setAccessibleName("Shares of the case")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._palette, self._cut_percent = palette, cut_percent
        self._shares: Mapping[CellClass, float] = {}
        self._intervals: Intervals = {}
        self._stored: Mapping[CellClass, float] = {}

    @property
    def shares_percent(self) -> Mapping[CellClass, float]:
        """What the bars show."""
        return self._shares

    def set_palette(self, palette: Palette) -> None:
        """Choose the colours."""
        self._palette = palette
        self.update()

    def show_shares(
        self,
        shares: Mapping[CellClass, float] | None,
        intervals: Intervals | None,
        stored: Mapping[CellClass, float] | None = None,
    ) -> None:
        """Show other shares (percent); None where there are no cells.

        `stored`: the shares by the stored settings, marked beside them while the reader has moved the cuts.
        """
        self._shares, self._intervals, self._stored = shares or {}, intervals or {}, stored or {}
        lines = [self._line(name) for name in SHARE_ORDER if name in self._shares]
        self.setToolTip("\n".join(lines))
        self.setAccessibleDescription("; ".join(lines))
        self.update()

    def _line(self, name: CellClass) -> str:
        text = f"{LABELS[name]}: {percent_text(self._shares[name])}"
        if name in self._intervals:
            low, high = self._intervals[name]
            text += f" (95 % interval {low:.1f} to {high:.1f} %)"
        if name in self._stored:
            text += f", {percent_text(self._stored[name])} by the stored settings"
        return text

    def sizeHint(self) -> QSize:
        return QSize(320, ROW_PX * len(SHARE_ORDER) + AXIS_PX)

    def minimumSizeHint(self) -> QSize:
        return QSize(280, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(font(SMALL_PX))
        plot = self._plot_rect(painter.fontMetrics())
        self._paint_axis(painter, plot)
        for place, name in enumerate(SHARE_ORDER):
            self._paint_row(painter, plot, place * ROW_PX, name)

    def _plot_rect(self, metrics: QFontMetrics) -> QRectF:
        left = MARKER_ROOM_PX + max(metrics.horizontalAdvance(text) for text in SHORT_LABELS.values()) + GAP_PX
        right = metrics.horizontalAdvance("100.0 %") + GAP_PX
        return QRectF(left, 0, self.width() - left - right, ROW_PX * len(SHARE_ORDER))

    def _paint_axis(self, painter: QPainter, plot: QRectF) -> None:
        painter.setPen(QPen(QColor(THEME.line), 1))
        for tick in (0, 50, 100):
            x = round(plot.left() + plot.width() * tick / 100) + 0.5
            painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()))
        x = round(plot.left() + plot.width() * self._cut_percent / 100) + 0.5
        painter.setPen(QPen(QColor(THEME.dim), 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom() + 3))
        painter.setPen(QColor(THEME.dim))
        for percent, text in ((self._cut_percent, f"{self._cut_percent:g}"), (50, "50"), (100, "100 %")):
            middle = plot.left() + plot.width() * percent / 100
            box = QRectF(middle - 24, plot.bottom() + 1, 48, AXIS_PX - 2)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_row(self, painter: QPainter, plot: QRectF, top: float, name: CellClass) -> None:
        middle = top + ROW_PX / 2
        colour = self._palette.colour(name)
        painter.save()
        painter.translate(QPointF(MARKER_PX + 2, middle))
        draw_marker(painter, CellMark(colour, marker(name), False, True, False), MARKER_PX)
        painter.restore()
        painter.setPen(QColor(THEME.text))
        painter.drawText(
            QRectF(MARKER_ROOM_PX, top, plot.left(), ROW_PX), Qt.AlignmentFlag.AlignVCenter, SHORT_LABELS[name]
        )
        if name not in self._shares:
            return
        painter.drawText(
            QRectF(plot.right(), top, self.width() - plot.right(), ROW_PX),
            int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight),
            percent_text(self._shares[name]),
        )
        bar = QRectF(plot.left(), middle - BAR_PX / 2, plot.width() * self._shares[name] / 100, BAR_PX)
        painter.fillRect(bar, QColor(*colour))
        if name in self._intervals:
            self._paint_whisker(painter, plot, middle, self._intervals[name])
        if name in self._stored:
            x = plot.left() + plot.width() * self._stored[name] / 100
            painter.setPen(QPen(QColor(THEME.warning), 2.4))
            painter.drawLine(QPointF(x, top + 2), QPointF(x, top + ROW_PX - 2))

    @staticmethod
    def _paint_whisker(painter: QPainter, plot: QRectF, y: float, interval: tuple[float, float]) -> None:
        low, high = (plot.left() + plot.width() * percent / 100 for percent in interval)
        # Dark below light: it stands out from every bar and from the panel.
        for colour, width in ((QColor(0, 0, 0, 150), 2.8), (QColor(THEME.text), 1.4)):
            painter.setPen(QPen(colour, width))
            painter.drawLine(QPointF(low, y), QPointF(high, y))
            for x in (low, high):
                painter.drawLine(QPointF(x, y - 3.5), QPointF(x, y + 3.5))
