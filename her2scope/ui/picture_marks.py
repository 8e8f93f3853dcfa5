"""What is written on the picture itself: the scale bar, a notice and a hint."""

from __future__ import annotations

import math

from PyQt6.QtCore import QPointF, QRect, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen

from her2scope.ui.theme import BASE_PX, THEME, font

BACKDROP = QColor(12, 13, 14, 205)
"""Behind words on the picture; dense enough for 4.5 : 1 over a white background."""
LONGEST_BAR_PX = 160
MARGIN_PX = 12
HINT_TOP_PX = 56
"""Beneath the mode in the picture's corner."""
SCALE_BAR_PX = 34
"""Height of the scale bar with its words."""


def scale_bar_um(um_per_screen_px: float, longest_px: float = LONGEST_BAR_PX) -> float:
    """Largest length of 1, 2 or 5 times a power of ten that is at most `longest_px` long on screen."""
    longest_um = longest_px * um_per_screen_px
    power = 10.0 ** math.floor(math.log10(longest_um))
    return next(step * power for step in (5, 2, 1) if step * power <= longest_um * 1.000001)


def scale_bar_rows(view: QRect) -> QRect:
    """The part of a view that a scale bar may lie in, whatever its length."""
    return QRect(view.left(), view.bottom() - MARGIN_PX - SCALE_BAR_PX - 1, view.width(), MARGIN_PX + SCALE_BAR_PX + 2)


def paint_scale_bar(painter: QPainter, view: QRect, um_per_screen_px: float) -> None:
    """Draw a scale bar in the lower right corner."""
    length_um = scale_bar_um(um_per_screen_px)
    length_px = length_um / um_per_screen_px
    text = f"{length_um:g} µm"
    painter.save()
    painter.setFont(font(BASE_PX))
    width = max(length_px, painter.fontMetrics().horizontalAdvance(text)) + 16
    left, top = view.right() - MARGIN_PX - width, view.bottom() - MARGIN_PX - SCALE_BAR_PX
    box = QRectF(left, top, width, SCALE_BAR_PX)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(BACKDROP)
    painter.drawRoundedRect(box, 3, 3)
    painter.setPen(QPen(QColor(THEME.text), 2))
    left, bar_y = box.center().x() - length_px / 2, box.bottom() - 8
    painter.drawLine(QPointF(left, bar_y), QPointF(left + length_px, bar_y))
    for x in (left, left + length_px):
        painter.drawLine(QPointF(x, bar_y - 3), QPointF(x, bar_y + 3))
    painter.drawText(box.adjusted(0, 2, 0, -14), Qt.AlignmentFlag.AlignCenter, text)
    painter.restore()


def paint_notice(painter: QPainter, view: QRect, text: str) -> None:
    """Write a line across the middle of the picture."""
    painter.save()
    painter.setFont(font(18, bold=True))
    flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
    inside = painter.boundingRect(view.adjusted(40, 0, -40, 0), flags, text).adjusted(-18, -12, 18, 12)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(BACKDROP)
    painter.drawRoundedRect(inside, 4, 4)
    painter.setPen(QColor(THEME.text))
    painter.drawText(inside, flags, text)
    painter.restore()


def paint_hint(painter: QPainter, view: QRect, text: str) -> None:
    """Write what the reader may do now at the top of the picture, in its middle; wrapped where the view is narrow."""
    painter.save()
    painter.setFont(font(BASE_PX))
    flags = int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap)
    room = view.adjusted(24, HINT_TOP_PX, -24, 0)
    box = painter.boundingRect(room, flags, text).adjusted(-12, -6, 12, 6)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(BACKDROP)
    painter.drawRoundedRect(box, 3, 3)
    painter.setPen(QColor(THEME.warning))
    painter.drawText(room, flags, text)
    painter.restore()
