"""The legend on the picture: classes and their shares in this field, its reference score, what the control says."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PyQt6.QtWidgets import QWidget

from her2scope.domain.cells import SHARE_ORDER, CellClass
from her2scope.domain.score import ControlStanding
from her2scope.overlays.model import CellMark
from her2scope.overlays.palette import LABELS, Palette, marker
from her2scope.pipeline.live import LiveResult
from her2scope.records import AcceptedField
from her2scope.ui.painters import draw_marker
from her2scope.ui.picture_marks import BACKDROP
from her2scope.ui.theme import BASE_PX, SMALL_PX, THEME, font
from her2scope.ui.words import count_text, field_score_text, percent_text, standing_text

ROW_PX = 20
PADDING_PX = 10
MARKER_PX = 5.5
MARKER_ROOM_PX = 22
NO_FIGURE = "\N{EN DASH}"
MOVED_NOTE = "Cuts moved by the reader"


@dataclass(frozen=True, slots=True)
class LegendText:
    """All that the legend says."""

    title: str
    shares: tuple[tuple[CellClass, str], ...]
    score: str
    notes: tuple[str, ...]
    """What to hold against the figures, a line each."""


def legend_text(
    live: LiveResult | None, why_off: str, standing: ControlStanding, *, moved: bool = False, n_left_out: int = 0
) -> LegendText:
    """Words of the legend; without an analysis of the tissue on screen it shows no figures, rather than old ones.

    Parameters
    ----------
    moved : the figures are by cuts that the reader moved
    n_left_out : of the tumour cells, those that the reader's outlines leave out of the case
    """
    control = standing_text(standing)
    if live is None or why_off:
        none = tuple((name, NO_FIGURE) for name in SHARE_ORDER)
        return LegendText("This field", none, "Reference score " + NO_FIGURE, _notes(control))
    result = live.result
    shares = result.counts.shares_percent()
    rows = tuple((name, NO_FIGURE if shares is None else percent_text(shares[name])) for name in SHARE_ORDER)
    n = count_text(result.counts.n_tumour, "tumour cell", "tumour cells")
    # Where nothing could be analysed, no cells were counted: that is not "0 cells".
    title = f"This field: {n}" if result.quality.usable else "This field"
    left_out = f"{n_left_out} of them will not count (outlines)" if n_left_out else ""
    notes = _notes(control, MOVED_NOTE if moved else "", _outside_note(result.n_outside), left_out)
    return LegendText(title, rows, field_score_text(result), notes)


def field_legend_text(
    field: AcceptedField, standing: ControlStanding, why_off: str = "", *, moved: bool = False
) -> LegendText:
    """Words of the legend for an accepted field that is shown: of the cells that its case counts."""
    control = standing_text(standing)
    title = f"Field {field.number}"
    if why_off:
        return LegendText(title, tuple((name, NO_FIGURE) for name in SHARE_ORDER), NO_FIGURE, _notes(control))
    shares = field.counts.shares_percent()
    rows = tuple((name, NO_FIGURE if shares is None else percent_text(shares[name])) for name in SHARE_ORDER)
    n = count_text(field.counts.n_tumour, "cell counted", "cells counted")
    notes = _notes(control, MOVED_NOTE if moved else "", _outside_note(field.n_outside))
    return LegendText(f"{title}: {n}", rows, field_score_text(field.result), notes)


def _outside_note(n: int) -> str:
    """How many cells the region model leaves out, whose tissue is hatched."""
    return f"Hatched: not counted ({count_text(n, 'tumour cell', 'tumour cells')})" if n else ""


def _notes(*texts: str) -> tuple[str, ...]:
    return tuple(filter(None, texts))


class Legend(QWidget):
    """Painted over a corner of the picture; lets the mouse through."""

    def __init__(self, palette: Palette, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("legend")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._palette = palette
        self._text = legend_text(None, "", ControlStanding())
        self._drawn: QPixmap | None = None
        self.resize(self.sizeHint())

    @property
    def text(self) -> LegendText:
        """What it says now."""
        return self._text

    def set_palette(self, palette: Palette) -> None:
        """Choose the colours."""
        self._palette = palette
        self._renew()

    def _renew(self) -> None:
        self._drawn = None
        self.update()

    def show_text(self, text: LegendText) -> None:
        """Say something else."""
        if text != self._text:
            self._text = text
            self.setAccessibleDescription(f"{'. '.join([text.title, text.score, *text.notes])}")
            self.resize(self.sizeHint())
            self._renew()

    def sizeHint(self) -> QSize:
        bold, plain = QFontMetrics(font(BASE_PX, bold=True)), QFontMetrics(font(SMALL_PX))
        percent = QFontMetrics(font(BASE_PX)).horizontalAdvance("100.0 %")
        rows = max(plain.horizontalAdvance(words) for words in LABELS.values()) + MARKER_ROOM_PX + 14 + percent
        # The score line alone may wrap (a reason can be long); the others never change the width.
        width = max(rows, bold.horizontalAdvance(self._text.title))
        heights = ROW_PX * (1 + len(SHARE_ORDER)) + self._score_height(width)
        heights += ROW_PX * len(self._text.notes)
        return QSize(width + 2 * PADDING_PX, heights + 2 * PADDING_PX + 4)

    def _score_height(self, width: int) -> int:
        metrics = QFontMetrics(font(BASE_PX, bold=True))
        flags = int(Qt.TextFlag.TextWordWrap)
        return max(ROW_PX, metrics.boundingRect(0, 0, width, 400, flags, self._text.score).height() + 4)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._renew()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        # It lies on the picture, so it is painted with every frame, but it is drawn once for what it says.
        ratio = self.devicePixelRatioF()
        if self._drawn is None or self._drawn.devicePixelRatio() != ratio:
            self._drawn = self._draw(ratio)
        QPainter(self).drawPixmap(0, 0, self._drawn)

    def _draw(self, ratio: float) -> QPixmap:
        picture = QPixmap(self.size() * ratio)
        picture.setDevicePixelRatio(ratio)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(BACKDROP)
        painter.drawRoundedRect(QRectF(self.rect()), 4, 4)
        row = QRectF(PADDING_PX, PADDING_PX, self.width() - 2 * PADDING_PX, ROW_PX)
        painter.setPen(QColor(THEME.text))
        painter.setFont(font(BASE_PX, bold=True))
        painter.drawText(row, Qt.AlignmentFlag.AlignVCenter, self._text.title)
        for name, percent in self._text.shares:
            row.translate(0, ROW_PX)
            self._paint_share(painter, row, name, percent)
        self._paint_foot(painter, row.translated(0, ROW_PX + 4))
        painter.end()
        return picture

    def _paint_share(self, painter: QPainter, row: QRectF, name: CellClass, percent: str) -> None:
        painter.save()
        painter.translate(QPointF(row.left() + MARKER_PX + 2, row.center().y()))
        draw_marker(painter, CellMark(self._palette.colour(name), marker(name), False, True, False), MARKER_PX)
        painter.restore()
        painter.setPen(QColor(THEME.text))
        painter.setFont(font(SMALL_PX))
        painter.drawText(row.adjusted(MARKER_ROOM_PX, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, LABELS[name])
        painter.setFont(font(BASE_PX))
        painter.drawText(row, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight), percent)

    def _paint_foot(self, painter: QPainter, row: QRectF) -> None:
        painter.setPen(QColor(THEME.text))
        painter.setFont(font(BASE_PX, bold=True))
        row.setHeight(self._score_height(int(row.width())))
        painter.drawText(row, int(Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextWordWrap), self._text.score)
        painter.setPen(QColor(THEME.warning))
        painter.setFont(font(BASE_PX))
        line = QRectF(row.left(), row.bottom(), row.width(), ROW_PX)
        for note in self._text.notes:
            painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, note)
            line.translate(0, ROW_PX)
