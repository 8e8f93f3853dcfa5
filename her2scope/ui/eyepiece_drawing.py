"""Marks of one analysis drawn for the eyepiece's display, aside from the window: only the newest order counts.

The window's painters only zoom and shift. An eyepiece turns, mirrors and shears, too, so the cells' places are mapped
first and drawn in display pixels: lines keep their width, and markers their shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRect
from PyQt6.QtGui import QImage, QPainter

from her2scope.imaging.calibration.eyepiece_map import to_display
from her2scope.imaging.opencv import cv2
from her2scope.overlays.model import CellMark, marks_of
from her2scope.overlays.palette import Palette, Rgb
from her2scope.overlays.picking import centres_of
from her2scope.pipeline.live import LiveResult
from her2scope.records import FAINT, INTENSE, Cell
from her2scope.settings.eyepiece import EyepieceView, Matrix
from her2scope.ui.aside_drawer import AsideDrawer
from her2scope.ui.eyepiece_state import size_wh
from her2scope.ui.images import pixels_of
from her2scope.ui.painters import marker_stamp

SHIFT = 4
"""OpenCV takes coordinates in 1/16 px."""
POINT_SPACING_PX = 2.5
"""Between points of an outline on the display: more of them cannot be seen, and cost time."""
DASH_PX = 9.0
MARGIN_SHARE = 0.5
"""Of the display, drawn around it where the camera sees more: room for the tissue to move before the next analysis."""
MARKER_RADIUS_LINES = 2.4


@dataclass(frozen=True, slots=True)
class MarkStyle:
    """How marks are drawn."""

    outlines: bool
    markers: bool
    membranes: bool
    line_px: float

    @staticmethod
    def of(view: EyepieceView) -> MarkStyle:
        """As it was chosen."""
        return MarkStyle(view.outlines, view.markers, view.membranes, view.line_px)

    @property
    def anything(self) -> bool:
        """Whether there is anything to draw."""
        return self.outlines or self.markers or self.membranes


@dataclass(frozen=True, slots=True, eq=False)
class MarkOrder:
    """Which marks are wanted."""

    live: LiveResult
    style: MarkStyle
    palette: Palette
    matrix: Matrix
    display_wh: tuple[int, int]
    left_out: tuple[bool, ...] = ()
    """Cells that the reader's outlines leave out; empty: none."""

    def looks_as(self, other: MarkOrder) -> bool:
        """Whether a drawing of `other` shows the same."""
        return (
            self.live is other.live
            and self.palette is other.palette
            and (self.style, self.matrix, self.display_wh, self.left_out)
            == (other.style, other.matrix, other.display_wh, other.left_out)
        )


@dataclass(frozen=True, slots=True, eq=False)
class DrawnMarks:
    """An order, and its drawing in display pixels on nothing; nothing paints on it any more."""

    order: MarkOrder
    picture: QImage
    corner: QPointF
    """Display pixel at which it begins, as long as the tissue has not moved."""


def draw_marks(order: MarkOrder) -> DrawnMarks:
    """Draw an order; any thread may."""
    rect = _covered(order)
    picture = QImage(rect.size(), QImage.Format.Format_ARGB32_Premultiplied)
    picture.fill(0)
    (a, b, c), (d, e, f) = order.matrix
    matrix = (a, b, c - rect.left()), (d, e, f - rect.top())
    result, style = order.live.result, order.style
    marks = marks_of(result.cells, order.palette, tuple(not out for out in order.left_out))
    if not rect.isEmpty():
        pixels = pixels_of(picture)
        if style.membranes:
            _tint_membrane(pixels, result.membrane, matrix, order.palette)
        if style.outlines:
            _draw_outlines(pixels, result.cells, marks, matrix, style.line_px)
        if style.markers and result.cells:
            _stamp_markers(picture, to_display(matrix, centres_of(result.cells)), marks, style.line_px)
    return DrawnMarks(order, picture, QPointF(rect.topLeft()))


def corners_of(size: tuple[int, int]) -> NDArray[np.float64]:
    """`(4, 2)` corners of a picture (width, height), clockwise from the top left; a pixel spans -0.5 to 0.5."""
    width, height = size
    return np.array([(0, 0), (width, 0), (width, height), (0, height)], float) - 0.5


def _covered(order: MarkOrder) -> QRect:
    """Display pixels under the camera's picture, as far as they may come into view."""
    corners = to_display(order.matrix, corners_of(size_wh(order.live.result.frame)))
    display = np.array(order.display_wh, float)
    low = np.maximum(np.floor(corners.min(axis=0)), -MARGIN_SHARE * display).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0)), (1 + MARGIN_SHARE) * display).astype(int)
    width, height = np.maximum(high - low + 1, 0).tolist()
    return QRect(int(low[0]), int(low[1]), width, height)


def _tint_membrane(pixels: NDArray[np.uint8], membrane: NDArray[np.uint8], matrix: Matrix, palette: Palette) -> None:
    height, width, _ = pixels.shape
    mapped = cv2.warpAffine(membrane, np.array(matrix), (width, height), flags=cv2.INTER_NEAREST)
    for level, colour in ((FAINT, palette.membrane_faint), (INTENSE, palette.membrane_intense)):
        pixels[mapped == level] = _opaque(colour)


def _draw_outlines(
    pixels: NDArray[np.uint8], cells: tuple[Cell, ...], marks: list[CellMark], matrix: Matrix, line_px: float
) -> None:
    """Each tumour cell's own outline; a cell that is not counted gets a dashed one."""
    lines: dict[tuple[bool, Rgb], list[NDArray[np.int32]]] = {}
    for mark, outline in _mapped_outlines(cells, marks, matrix):
        pieces = _dashes(outline) if mark.dashed else [outline]
        fixed = [np.round(piece * (1 << SHIFT)).astype(np.int32) for piece in pieces]
        lines.setdefault((not mark.dashed, mark.colour), []).extend(fixed)
    for (closed, colour), group in lines.items():
        cv2.polylines(pixels, group, closed, _opaque(colour), _thickness(line_px), cv2.LINE_8, SHIFT)
    # Smooth edges for all at once: OpenCV's own smooth lines of this width take five times as long.
    cv2.GaussianBlur(pixels, (3, 3), 0.5, dst=pixels)


def _thickness(line_px: float) -> int:
    """OpenCV's, at which a line is that wide to 1 px: placed to parts of a pixel, thick ones come out wider."""
    if line_px < 2:
        return 1
    return 2 if line_px < 4 else round(line_px) - 2


def _mapped_outlines(
    cells: tuple[Cell, ...], marks: list[CellMark], matrix: Matrix
) -> Iterator[tuple[CellMark, NDArray[np.float64]]]:
    """Mark and outline, in display pixels, of each tumour cell."""
    chosen = [(cell, mark) for cell, mark in zip(cells, marks, strict=True) if mark.tumour]
    chosen = [(cell, mark) for cell, mark in chosen if len(cell.outline_xy_px) >= 3]
    if not chosen:
        return
    mapped = to_display(matrix, np.concatenate([cell.outline_xy_px for cell, _ in chosen]))
    ends = np.cumsum([len(cell.outline_xy_px) for cell, _ in chosen])
    for (_, mark), outline in zip(chosen, np.split(mapped, ends[:-1]), strict=True):
        length_px = float(np.linalg.norm(np.diff(outline, axis=0), axis=1).sum())
        step = max(1, int(len(outline) * POINT_SPACING_PX / max(length_px, 1.0)))
        yield mark, outline[::step] if len(outline) // step >= 8 else outline


def _dashes(outline: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Every other run of the outline's points, each about `DASH_PX` long."""
    step_px = max(0.1, float(np.linalg.norm(outline[1] - outline[0])))
    run = max(1, round(DASH_PX / step_px))
    return [outline[start : start + run + 1] for start in range(0, len(outline), 2 * run)]


def _stamp_markers(picture: QImage, places: NDArray[np.float64], marks: list[CellMark], line_px: float) -> None:
    radius_px = max(4.5, MARKER_RADIUS_LINES * line_px)
    stamps: dict[int, QImage] = {}  # cells that are marked alike share their mark
    painter = QPainter(picture)
    for (x, y), mark in zip((places + 0.5).tolist(), marks, strict=True):
        stamp = stamps.get(id(mark))
        if stamp is None:
            stamp = stamps[id(mark)] = marker_stamp(mark, radius_px)
        # On whole pixels: Qt copies a stamp there, and resamples it anywhere else.
        painter.drawImage(QPointF(round(x - stamp.width() / 2), round(y - stamp.height() / 2)), stamp)
    painter.end()


def _opaque(colour: Rgb) -> tuple[int, int, int, int]:
    red, green, blue = colour
    return blue, green, red, 255


class MarkDrawer(AsideDrawer[MarkOrder]):
    """Draws marks aside, as `DrawnMarks`."""

    name = "her2scope eyepiece"

    def draw(self, order: MarkOrder) -> DrawnMarks:
        """Draw marks; any thread may."""
        return draw_marks(order)

    def covers(self, asked: MarkOrder, order: MarkOrder) -> bool:
        """Whether the drawing that was asked for shows the same marks."""
        return asked.looks_as(order)
