"""How strongly the membranes of two fields are stained: the control's histogram above the axis, the live one below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from her2scope.domain.cells import CellClass, CellKind, StainCuts
from her2scope.records import FieldResult
from her2scope.ui.theme import SMALL_PX, THEME, font

TOP_OD10, BINS_PER_OD10 = 2.0, 20
"""Intense membranes of real 3+ controls reach 1.4 od10; what is above the axis counts into its last bin."""
N_BINS = round(TOP_OD10 * BINS_PER_OD10)
MARGIN_PX, ROW_PX, LABEL_PX = 12, 17, 34


@dataclass(frozen=True, slots=True)
class Intensities:
    """Membrane od10 of one field's counted tumour cells."""

    shares: tuple[float, ...] = ()
    """Share (0..1) of the stained cells in each bin of 0.05 od10; empty where none is stained."""
    n_stained: int = 0
    n_tumour: int = 0
    median_od10: float = 0.0

    @staticmethod
    def of(result: FieldResult | None) -> Intensities:
        """Of the tumour cells that a field counts: unstained ones have no membrane whose od10 could be shown."""
        cells = () if result is None else result.cells
        counted = [cell for cell in cells if cell.kind is CellKind.TUMOUR and not cell.edge]
        od10 = [cell.measure.intensity_od10 for cell in counted if cell.cell_class is not CellClass.NONE]
        if not od10:
            return Intensities(n_tumour=len(counted))
        places = np.minimum(np.multiply(od10, BINS_PER_OD10).astype(int), N_BINS - 1)
        shares = np.bincount(places, minlength=N_BINS) / len(od10)
        return Intensities(tuple(shares.tolist()), len(od10), len(counted), float(np.median(od10)))

    @property
    def words(self) -> str:
        """Figures beside the histogram."""
        if not self.n_tumour:
            return "no tumour cells"
        text = f"{self.n_stained} of {self.n_tumour} stained"
        return f"{text}, median {self.median_od10:.2f}" if self.n_stained else text


class IntensityHistogram(QWidget):
    """Two histograms on one axis of od10, with the cuts in force as lines through both."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("intensity_histogram")
        self.setAccessibleName("Membrane intensity")
        self.setToolTip(
            "DAB od10 of the stained membranes, cell by cell; dashed: the cuts in force (stained, moderate, intense)"
        )
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.control, self.field = Intensities(), Intensities()
        self.cuts: StainCuts | None = None
        self._control_name = "control"

    def show_control(self, result: FieldResult | None, name: str = "control") -> None:
        """Show the control's field under its name, or none."""
        self.control, self._control_name = Intensities.of(result), name
        self._describe()

    def show_field(self, result: FieldResult | None) -> None:
        """Show the field in view, or none."""
        self.field = Intensities.of(result)
        self._describe()

    def show_cuts(self, cuts: StainCuts) -> None:
        """Draw other cuts."""
        self.cuts = cuts
        self.update()

    def _describe(self) -> None:
        self.setAccessibleDescription(f"{self._control_name}: {self.control.words}. This field: {self.field.words}.")
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(320, 160)

    def minimumSizeHint(self) -> QSize:
        return QSize(220, 120)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setFont(font(SMALL_PX))
        painter.setPen(QPen(QColor(THEME.line), 1))
        painter.drawLine(0, 0, self.width(), 0)
        inside = QRectF(self.rect()).adjusted(MARGIN_PX, 4, -MARGIN_PX, -2)
        # From the top: title, words on the control, plot, words on the field, ticks.
        plot = inside.adjusted(0, 2 * ROW_PX, 0, -2 * ROW_PX)
        painter.setPen(QColor(THEME.text))
        _write(painter, inside, inside.top(), "Membrane od10 of stained cells")
        _write(painter, inside, plot.top() - ROW_PX, f"{self._control_name}: {self.control.words}", THEME.warning)
        _write(painter, inside, plot.bottom(), f"this field: {self.field.words}", THEME.accent)
        tallest = max((*self.control.shares, *self.field.shares), default=1.0)
        middle = round(plot.center().y())
        self._paint_bars(painter, plot, self.control.shares, middle, -plot.height() / 2 / tallest, THEME.warning)
        self._paint_bars(painter, plot, self.field.shares, middle, plot.height() / 2 / tallest, THEME.accent)
        painter.setPen(QPen(QColor(THEME.dim), 1))
        painter.drawLine(QPointF(plot.left(), middle + 0.5), QPointF(plot.right(), middle + 0.5))
        self._paint_cuts(painter, plot)

    @staticmethod
    def _paint_bars(
        painter: QPainter, plot: QRectF, shares: tuple[float, ...], axis_y: float, px_per_share: float, colour: str
    ) -> None:
        width = plot.width() / N_BINS
        for place, share in enumerate(shares):
            bar = QRectF(plot.left() + place * width, axis_y, max(1.0, width - 1), px_per_share * share)
            painter.fillRect(bar.normalized(), QColor(colour))

    def _paint_cuts(self, painter: QPainter, plot: QRectF) -> None:
        """Dashed lines, with their od10 between the axis's ends; a label that would hide another is left out."""
        cuts = self.cuts
        values = [] if cuts is None else [cuts.intense_od10, cuts.moderate_od10, cuts.stained_od10]
        taken: list[float] = []
        ends = ((0.0, "0"), (TOP_OD10, f"\N{GREATER-THAN OR EQUAL TO}{TOP_OD10:.0f} od10"))
        for value, text in (*ends, *((value, f"{value:.2f}") for value in values)):
            x = plot.left() + plot.width() * min(1.0, value / TOP_OD10)
            if value in values:
                painter.setPen(QPen(QColor(THEME.text), 1, Qt.PenStyle.DashLine))
                painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()))
            if all(abs(x - other) >= LABEL_PX - 8 for other in taken):
                taken.append(x)
                _write_label(painter, plot, x, text)


def _write(painter: QPainter, row: QRectF, top: float, text: str, colour: str = THEME.text) -> None:
    """A line of words, shortened where it is too long, behind a key in its colour."""
    painter.setPen(QColor(THEME.text))
    left = row.left()
    if colour != THEME.text:
        painter.fillRect(QRectF(left, top + 5, 9, 9), QColor(colour))
        left += 15
    room = row.right() - left
    text = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, int(room))
    painter.drawText(QRectF(left, top, room, ROW_PX), Qt.AlignmentFlag.AlignVCenter, text)


def _write_label(painter: QPainter, plot: QRectF, x: float, text: str) -> None:
    """A tick's figure under the words below the plot, inside the widget at its ends."""
    width = painter.fontMetrics().horizontalAdvance(text) + 2
    left = min(plot.right() - width, max(plot.left(), x - width / 2))
    painter.setPen(QColor(THEME.dim))
    painter.drawText(QRectF(left, plot.bottom() + ROW_PX, width, ROW_PX), Qt.AlignmentFlag.AlignCenter, text)
