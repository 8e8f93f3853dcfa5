"""What is painted in the eyepiece beside the cells: the reader's regions, the picture's border, targets, words.

All of it in display pixels; words stand as the eye needs them, whatever the map turns or mirrors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFontMetrics, QPainter, QPen, QPolygonF

from her2scope.domain.regions import Region
from her2scope.imaging.calibration.eyepiece_map import to_display
from her2scope.overlays.palette import REGION_COLOURS, Palette
from her2scope.records import TrackedFrame
from her2scope.settings.eyepiece import EyepieceView, Matrix
from her2scope.ui.case_marks import LINES, region_text, to_image
from her2scope.ui.eyepiece_drawing import corners_of
from her2scope.ui.eyepiece_state import size_wh
from her2scope.ui.eyepiece_words import Line
from her2scope.ui.theme import THEME, font

CENTRE = 0.5
"""From pixel index, as maps have it, to the middle of the pixel's square, as Qt has it."""
TARGET_ARM_PX, TARGET_GAP_PX = 40.0, 5.0
CROSSHAIR_ARM_SHARE = 0.04
REGION_WORDS_SHARE = 0.7
"""Size of a region's words by that of the others."""
PADDING_PX = 8
_ROLES = {"good": THEME.good, "warning": THEME.warning, "bad": THEME.bad}


def paint_regions(
    painter: QPainter,
    regions: Sequence[Region],
    shown: TrackedFrame,
    matrix: Matrix,
    view: EyepieceView,
) -> None:
    """Outline the reader's regions of the shown frame, each with its words at its top."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for region in regions:
        places = [to_image(x_um, y_um, shown) for x_um, y_um in region.polygon_um]
        # Qt's image coordinates have a pixel's middle at 0.5, the map's at 0.
        polygon = _polygon(to_display(matrix, [(at.x() - CENTRE, at.y() - CENTRE) for at in places]))
        painter.setPen(QPen(QColor(*REGION_COLOURS[region.kind]), view.line_px, LINES[region.kind]))
        painter.drawPolygon(polygon)
        top = min((polygon.at(corner) for corner in range(polygon.count())), key=lambda at: at.y())
        size_px = max(10, round(REGION_WORDS_SHARE * view.text_px))
        _paint_block(painter, [Line(region_text(region))], top, size_px, view, QColor(*REGION_COLOURS[region.kind]))
    painter.restore()


def picture_edge(shown: TrackedFrame, matrix: Matrix) -> QPolygonF:
    """Edge of the camera's picture on the display."""
    return _polygon(to_display(matrix, corners_of(size_wh(shown.frame))))


def paint_border(painter: QPainter, shown: TrackedFrame, matrix: Matrix, palette: Palette, line_px: float) -> None:
    """Draw the edge of the camera's picture: what lies outside of it is not analysed."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(*palette.other), max(1.0, line_px / 2), Qt.PenStyle.DotLine))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPolygon(picture_edge(shown, matrix))
    painter.restore()


def paint_crosshair(painter: QPainter, shown: TrackedFrame, matrix: Matrix, palette: Palette, line_px: float) -> None:
    """Mark the middle of the camera's picture, along its own rows and columns."""
    width, height = size_wh(shown.frame)
    middle = (np.array([width, height]) - 1) / 2
    arm = CROSSHAIR_ARM_SHARE * width
    ends = to_display(matrix, [middle - (arm, 0), middle + (arm, 0), middle - (0, arm), middle + (0, arm)]) + CENTRE
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(*palette.text), line_px))
    left, right, top, bottom = (QPointF(x, y) for x, y in ends.tolist())
    painter.drawLine(left, right)
    painter.drawLine(top, bottom)
    painter.restore()


def paint_target(painter: QPainter, place: tuple[float, float], palette: Palette) -> None:
    """Draw a cross whose arms leave its very middle free, as one display pixel of it is what is matched."""
    middle = QPointF(place[0] + CENTRE, place[1] + CENTRE)
    painter.save()
    painter.setPen(QPen(QColor(*palette.text), 1.0))
    for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        along = QPointF(x, y)
        painter.drawLine(middle + along * TARGET_GAP_PX, middle + along * TARGET_ARM_PX)
    painter.drawPoint(middle)
    painter.restore()


def paint_lines(
    painter: QPainter, lines: Sequence[Line], display_wh: tuple[int, int], view: EyepieceView, palette: Palette
) -> None:
    """Write the words where the reader wants them, in the middle of the lines."""
    at = QPointF(view.text_x_share * display_wh[0], view.text_y_share * display_wh[1])
    _paint_block(painter, lines, at, view.text_px, view, QColor(*palette.text), QRectF(0, 0, *map(float, display_wh)))


def _paint_block(
    painter: QPainter,
    lines: Sequence[Line],
    at: QPointF,
    size_px: int,
    view: EyepieceView,
    plain: QColor,
    room: QRectF | None = None,
) -> None:
    """Lines about a place, on black: no mark shines through them. Pushed into `room`."""
    if not lines:
        return
    lettering = font(size_px, bold=True)
    metrics = QFontMetrics(lettering)
    width = max(metrics.horizontalAdvance(line.text) for line in lines) + 2 * PADDING_PX
    height = metrics.lineSpacing() * len(lines) + PADDING_PX
    block = QRectF(-width / 2, -height / 2, width, height)
    across, down = (height, width) if view.text_turned_deg in (90, 270) else (width, height)
    painter.save()
    painter.setFont(lettering)
    painter.translate(at if room is None else _inside(at, across, down, room))
    painter.rotate(view.text_turned_deg)
    painter.scale(-1 if view.text_mirrored else 1, 1)
    painter.fillRect(block, QColor(0, 0, 0))
    for number, line in enumerate(lines):
        painter.setPen(QColor(_ROLES[line.role]) if line.role in _ROLES else plain)
        top = block.top() + PADDING_PX / 2 + number * metrics.lineSpacing()
        box = QRectF(block.left(), top, width, metrics.lineSpacing())
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, line.text)
    painter.restore()


def _inside(at: QPointF, width: float, height: float, room: QRectF) -> QPointF:
    x = min(max(at.x(), room.left() + width / 2), max(room.center().x(), room.right() - width / 2))
    y = min(max(at.y(), room.top() + height / 2), max(room.center().y(), room.bottom() - height / 2))
    return QPointF(x, y)


def _polygon(xy_px: np.ndarray) -> QPolygonF:
    return QPolygonF([QPointF(x + CENTRE, y + CENTRE) for x, y in xy_px.tolist()])
