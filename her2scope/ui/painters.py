"""Drawing of overlays on screen, one class per idea.

Each paints in image coordinates: the painter's transform (zoom and pan, no rotation) says where; `zoom` only keeps
lines and markers the same size on screen. A pixel's centre has integer coordinates in the records and lies at i + 0.5
for Qt. Outlines are drawn by OpenCV into a layer of the painter's size: a thousand of them take Qt ten times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRect, QRectF, Qt
from PyQt6.QtGui import QColor, QImage, QPainter, QPainterPath, QPen, QPolygonF, qRgba

from her2scope.imaging.opencv import cv2
from her2scope.overlays.model import CellMark, OverlaySelection, marks_in_case, marks_of
from her2scope.overlays.outside import outside_layer
from her2scope.overlays.palette import HAND_COLOUR, Marker, Palette, Rgb, halo, marker_polygon
from her2scope.overlays.picking import outline_of
from her2scope.records import FAINT, INTENSE, AcceptedField, Cell, FieldResult
from her2scope.ui.frame_picture import pixels_in, scaled
from her2scope.ui.images import pixels_of

CENTRE = 0.5
"""From pixel index to the middle of the pixel's square."""
SHIFT = 4
"""OpenCV takes coordinates in 1/16 px."""
POINT_SPACING_PX = 2.5
"""Between points of an outline on screen: more of them cannot be seen, and cost time."""
DASH_PX = 4.0
HAND_PX = 7.0
"""Side of the square beside a corrected cell."""
CELL_ROOM_UM = 15.0
"""A cell whose centre is farther outside of what is painted does not reach into it."""

Counted = Callable[[FieldResult], Sequence[bool]]
"""Which cells of a live result would count in the case; none: all."""


class OverlayPainter(Protocol):
    """Draws one visual idea of a result."""

    def paint(self, painter: QPainter, result: FieldResult, zoom: float) -> None:
        """Draw in image pixels; `zoom` is the number of screen pixels per image pixel."""


class Marks:
    """How each cell of the newest result is drawn: made once for all painters and zooms.

    Parameters
    ----------
    field : the field of a case whose result is shown; None: cells are marked as the method read them
    counted : of a result that is in no case, which cells would count
    """

    def __init__(
        self, palette: Palette, field: AcceptedField | None = None, counted: Counted = lambda _result: ()
    ) -> None:
        self._palette, self._field, self._counted = palette, field, counted
        self._made_for: FieldResult | None = None
        self._cells = _Cells.of((), [])

    def of(self, result: FieldResult) -> _Cells:
        """Marks, centres and outlines of the result's cells."""
        if result is not self._made_for:
            self._made_for = result
            if self._field is not None and self._field.result is result:
                marks = marks_in_case(self._field, self._palette)
            else:
                marks = marks_of(result.cells, self._palette, self._counted(result))
            self._cells = _Cells.of(result.cells, marks)
        return self._cells


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Cells as arrays: a thousand of them are moved to the screen in one step."""

    marks: list[CellMark]
    centres: NDArray[np.float64]
    points: NDArray[np.float64]
    """All outlines, one after the other."""
    ends: NDArray[np.intp]
    """Where in `points` each cell's outline ends."""
    extents_px: NDArray[np.float64]
    """Width and height of each outline, added."""

    @staticmethod
    def of(cells: Sequence[Cell], marks: list[CellMark]) -> _Cells:
        centres = np.array([(cell.x_px, cell.y_px) for cell in cells], float).reshape(-1, 2)
        lengths = np.array([len(cell.outline_xy_px) for cell in cells], np.intp)
        points = np.concatenate([np.empty((0, 2)), *(cell.outline_xy_px for cell in cells if len(cell.outline_xy_px))])
        ends = np.cumsum(lengths)
        extents_px = np.zeros(len(cells))
        starts = (ends - lengths)[lengths > 0]
        if len(starts):
            spans = np.maximum.reduceat(points, starts, axis=0) - np.minimum.reduceat(points, starts, axis=0)
            extents_px[lengths > 0] = spans.sum(axis=1)
        return _Cells(marks, centres, points, ends, extents_px)

    def seen(self, canvas: _Canvas, um_per_px: float) -> list[int]:
        """Numbers of the cells that reach into what is painted."""
        places = canvas.place(self.centres)
        room_px = CELL_ROOM_UM / um_per_px * canvas.scale
        far = np.array([canvas.width, canvas.height]) + room_px
        return [int(number) for number in np.flatnonzero(((places > -room_px) & (places < far)).all(axis=1))]

    def outlines(self, canvas: _Canvas, um_per_px: float) -> Iterator[tuple[CellMark, NDArray[np.int32]]]:
        """Mark and outline (OpenCV's fixed point) of each cell that reaches into what is painted."""
        # OpenCV's coordinates are those of pixel centres: the first lies at 0, for Qt at 0.5.
        fixed = np.round((canvas.place(self.points) - CENTRE) * (1 << SHIFT)).astype(np.int32)
        starts = np.concatenate([[0], self.ends[:-1]]).tolist() if len(self.ends) else []
        # A round outline is pi / 2 times as long as it is wide and high together.
        wanted = np.maximum(8, 1.57 * self.extents_px * canvas.scale / (POINT_SPACING_PX * canvas.ratio)).tolist()
        for number in self.seen(canvas, um_per_px):
            outline = fixed[starts[number] : int(self.ends[number])]
            if len(outline) >= 3:
                step = max(1, int(len(outline) / wanted[number]))
                yield self.marks[number], np.ascontiguousarray(outline[::step])


@dataclass(frozen=True, slots=True)
class _Canvas:
    """What a painter paints on, in its own (device) pixels."""

    width: int
    height: int
    ratio: float
    """Device pixels per screen pixel."""
    scale: float
    """Device pixels per image pixel."""
    dx: float
    dy: float

    @staticmethod
    def of(painter: QPainter) -> _Canvas:
        device, transform = painter.device(), painter.worldTransform()
        if device is None:
            return _Canvas(0, 0, 1.0, 1.0, 0.0, 0.0)
        ratio = device.devicePixelRatioF()
        # A picture's size is in device pixels, a widget's in screen pixels.
        grow = 1.0 if isinstance(device, QImage) else ratio
        return _Canvas(
            round(device.width() * grow),
            round(device.height() * grow),
            ratio,
            transform.m11() * ratio,
            transform.dx() * ratio,
            transform.dy() * ratio,
        )

    def place(self, xy_px: NDArray[np.floating]) -> NDArray[np.float64]:
        """Device places of image pixels' centres."""
        return (np.asarray(xy_px, float) + CENTRE) * self.scale + np.array([self.dx, self.dy])

    def layer(self) -> NDArray[np.uint8]:
        """Empty premultiplied BGRA. OpenCV blends an antialiased edge in all four channels alike, as this needs."""
        return np.zeros((self.height, self.width, 4), np.uint8)

    def covered(self, size_hw: tuple[int, int]) -> QRect:
        """Whole pixels of an image that are painted on, of which the first lies at the painter's origin."""
        seen = QRectF(-self.dx / self.scale, -self.dy / self.scale, self.width / self.scale, self.height / self.scale)
        return pixels_in(seen, size_hw)

    def corner_of(self, part: QRect) -> tuple[int, int]:
        """Device pixel at which a part of the image begins."""
        return round(part.left() * self.scale + self.dx), round(part.top() * self.scale + self.dy)

    def show(self, painter: QPainter, layer: NDArray[np.uint8], corner: tuple[int, int] = (0, 0)) -> None:
        """Lay a layer over what was painted, from a device pixel on."""
        height, width, _ = layer.shape
        image = QImage(layer.data, width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied)
        image.setDevicePixelRatio(self.ratio)
        painter.save()
        painter.resetTransform()
        painter.drawImage(QPointF(corner[0] / self.ratio, corner[1] / self.ratio), image)
        painter.restore()


class OutsidePainter:
    """Tissue that the region model leaves out, dimmed and hatched."""

    def paint(self, painter: QPainter, result: FieldResult, zoom: float) -> None:
        """Dim and hatch it; its lines lie still on the tissue and are as wide on screen at every zoom."""
        canvas, outside = _Canvas.of(painter), result.outside
        part = canvas.covered(result.frame.size_hw)
        if outside is None or part.isEmpty():
            return
        size_hw = round(part.height() * canvas.scale), round(part.width() * canvas.scale)
        left, top = part.left() * canvas.scale, part.top() * canvas.scale
        grown = canvas.scale * result.frame.size_hw[1] / outside.shape[1]
        canvas.show(painter, outside_layer(outside, size_hw, left, top, grown, canvas.ratio), canvas.corner_of(part))


class MembranePainter:
    """Stained membrane, tinted: one colour for faint to moderate, one for intense."""

    def __init__(self, palette: Palette, alpha: int = 130) -> None:
        self._table = [0] * 256
        self._table[FAINT] = qRgba(*palette.membrane_faint, alpha)
        self._table[INTENSE] = qRgba(*palette.membrane_intense, alpha)
        self._made_for: FieldResult | None = None
        self._tint = QImage()

    def paint(self, painter: QPainter, result: FieldResult, zoom: float) -> None:
        """Draw the tint; it is made once per result."""
        if result is not self._made_for:
            self._tint, self._made_for = self._make(result), result
        canvas, tint = _Canvas.of(painter), pixels_of(self._tint)
        part = canvas.covered(tint.shape[:2])
        if part.isEmpty():
            return
        smooth = bool(painter.renderHints() & QPainter.RenderHint.SmoothPixmapTransform)
        rows, columns = slice(part.top(), part.bottom() + 1), slice(part.left(), part.right() + 1)
        # Aside from Qt, so that other threads can go on meanwhile.
        canvas.show(painter, scaled(tint[rows, columns], canvas.scale, smooth), canvas.corner_of(part))

    def _make(self, result: FieldResult) -> QImage:
        mask = np.ascontiguousarray(result.membrane)
        height, width = mask.shape
        indexed = QImage(mask.data, width, height, width, QImage.Format.Format_Indexed8)
        indexed.setColorTable(self._table)
        # The conversion also copies: the tint does not lean on the result's memory.
        return indexed.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)


class FilledPainter:
    """Cells enclosed by a complete membrane, filled with the colour of their class."""

    def __init__(self, palette: Palette, marks: Marks | None = None, alpha: int = 105) -> None:
        self._marks, self._alpha = marks or Marks(palette), alpha

    def paint(self, painter: QPainter, result: FieldResult, zoom: float) -> None:
        """Fill the enclosed cells; where two overlap, neither gets darker."""
        canvas = _Canvas.of(painter)
        layer = canvas.layer()
        for mark, outline in self._marks.of(result).outlines(canvas, result.frame.um_per_px):
            if mark.filled:
                cv2.fillPoly(layer, [outline], _premultiplied(mark.colour, self._alpha), cv2.LINE_8, SHIFT)
        canvas.show(painter, layer)


class OutlinePainter:
    """Each tumour cell's own outline; a cell that is not counted gets a dashed one."""

    def __init__(self, palette: Palette, marks: Marks | None = None) -> None:
        self._marks = marks or Marks(palette)

    def paint(self, painter: QPainter, result: FieldResult, zoom: float) -> None:
        """Draw the outlines, as wide on screen at every zoom."""
        canvas = _Canvas.of(painter)
        lines: dict[tuple[bool, Rgb], list[NDArray[np.int32]]] = {}
        for mark, outline in self._marks.of(result).outlines(canvas, result.frame.um_per_px):
            if mark.tumour:
                pieces = _dashes(outline, DASH_PX * canvas.ratio) if mark.dashed else [outline]
                lines.setdefault((not mark.dashed, mark.colour), []).extend(pieces)
        layer = canvas.layer()
        for (closed, colour), pieces in lines.items():
            # Two thin lines beside each other: OpenCV takes four times as long for a smooth one of two pixels.
            for shift in _line_shifts(canvas.ratio):
                moved = [piece + np.int32(shift) for piece in pieces]
                cv2.polylines(layer, moved, closed, _premultiplied(colour, 255), 1, cv2.LINE_AA, SHIFT)
        canvas.show(painter, layer)


class CentrePainter:
    """A marker at each cell's centre: colour and shape both say the class."""

    def __init__(self, palette: Palette, marks: Marks | None = None, radius_px: float = 4.5) -> None:
        self._marks, self._radius_px = marks or Marks(palette), radius_px

    def paint(self, painter: QPainter, result: FieldResult, zoom: float) -> None:
        """Stamp the markers, each kind drawn once; enlarged they grow a little with the cells."""
        radius_px = self._radius_px * min(2.0, max(1.0, zoom))
        canvas = _Canvas.of(painter)
        stamps: dict[int, QImage] = {}
        half = _stamp_side(radius_px) / 2
        painter.save()
        painter.resetTransform()
        cells = self._marks.of(result)
        # On whole pixels: Qt copies a stamp there, and resamples it anywhere else.
        corners = (np.round(canvas.place(cells.centres) - half * canvas.ratio) / canvas.ratio).tolist()
        for number in cells.seen(canvas, result.frame.um_per_px):
            mark = cells.marks[number]
            # Cells that are marked alike share their mark; looking it up by what it says takes as long as drawing it.
            stamp = stamps.get(id(mark))
            if stamp is None:
                stamp = stamps[id(mark)] = marker_stamp(mark, radius_px, canvas.ratio)
            painter.drawImage(QPointF(*corners[number]), stamp)
        painter.restore()


class HandPainter:
    """The reader's hand: a small square beside each corrected cell, a line through each excluded one."""

    def __init__(self, palette: Palette, marks: Marks | None = None) -> None:
        self._marks = marks or Marks(palette)

    def paint(self, painter: QPainter, result: FieldResult, zoom: float) -> None:
        """Draw them as large on screen at every zoom."""
        half = HAND_PX / 2 / zoom
        for cell, mark in zip(result.cells, self._marks.of(result).marks, strict=True):
            if not mark.corrected:
                continue
            outline = outline_of(cell, result.frame.um_per_px) + CENTRE
            low, high = outline.min(axis=0), outline.max(axis=0)
            if mark.struck:
                ends = QPointF(low[0], high[1]), QPointF(high[0], low[1])
                for colour, width_px in ((halo(HAND_COLOUR), 4.5), (HAND_COLOUR, 2.0)):
                    painter.setPen(QPen(QColor(*colour), width_px / zoom))
                    painter.drawLine(*ends)
            corner = QPointF(0.15 * low[0] + 0.85 * high[0], 0.85 * low[1] + 0.15 * high[1])
            painter.setPen(QPen(QColor(*halo(HAND_COLOUR)), 1.5 / zoom))
            painter.setBrush(QColor(*HAND_COLOUR))
            painter.drawRect(QRectF(corner - QPointF(half, half), corner + QPointF(half, half)))


def painters_for(
    selection: OverlaySelection,
    palette: Palette,
    field: AcceptedField | None = None,
    counted: Counted = lambda _result: (),
) -> tuple[OverlayPainter, ...]:
    """Painters of the layers that are shown, from the bottom up; of a field of a case, what the reader did to it.

    `counted` says of a result that is in no case which cells would count.
    """
    marks = Marks(palette, field, counted)
    layers: list[tuple[bool, OverlayPainter]] = [
        (selection.outside and selection.anything, OutsidePainter()),
        (selection.membranes, MembranePainter(palette)),
        (selection.filled, FilledPainter(palette, marks)),
        (selection.outlines, OutlinePainter(palette, marks)),
        (selection.cells, CentrePainter(palette, marks)),
        (selection.anything and field is not None, HandPainter(palette, marks)),
    ]
    return tuple(painter for shown, painter in layers if shown)


def paint_selected(painter: QPainter, cells: Sequence[Cell], corner: QPointF, zoom: float, um_per_px: float) -> None:
    """Draw the outlines of selected cells strong, in screen pixels.

    Parameters
    ----------
    corner : place on screen of the top left corner of the picture that the cells were found in
    zoom : screen pixels per image pixel
    """
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    outlines = [(outline_of(cell, um_per_px) + CENTRE) * zoom + (corner.x(), corner.y()) for cell in cells]
    polygons = [QPolygonF([QPointF(x, y) for x, y in outline.tolist()]) for outline in outlines]
    # White within black stands out from white ground, brown membranes and every class's colour.
    for colour, width_px in (("#000000", 6.0), ("#ffffff", 3.0)):
        painter.setPen(QPen(QColor(colour), width_px))
        for polygon in polygons:
            painter.drawPolygon(polygon)


# ---- markers ------------------------------------------------------------------------------------------------------


def marker_stamp(mark: CellMark, radius_px: float, ratio: float = 1.0) -> QImage:
    """Small picture of a marker, as it stands on the tissue and in the legend."""
    side = _stamp_side(radius_px)
    stamp = QImage(round(side * ratio), round(side * ratio), QImage.Format.Format_ARGB32_Premultiplied)
    stamp.setDevicePixelRatio(ratio)
    stamp.fill(0)
    painter = QPainter(stamp)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(side / 2, side / 2)
    draw_marker(painter, mark, radius_px)
    painter.end()
    return stamp


def _stamp_side(radius_px: float) -> int:
    return 2 * int(radius_px + 3)


def draw_marker(painter: QPainter, mark: CellMark, radius_px: float) -> None:
    """Draw a marker round the origin, with a rim of black or white so that it stands out from any tissue."""
    path = marker_path(mark.marker, radius_px if mark.tumour else 0.7 * radius_px)
    rim = QColor(*halo(mark.colour))
    rim.setAlpha(210)
    hollow = mark.dashed
    painter.setPen(QPen(rim, 4.0 if hollow else 2.4))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPath(path)
    if hollow:
        painter.setPen(QPen(QColor(*mark.colour), 1.8))
    else:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*mark.colour))
    painter.drawPath(path)


def marker_path(shape: Marker, radius_px: float) -> QPainterPath:
    """Outline of a marker round the origin."""
    path = QPainterPath()
    path.addPolygon(QPolygonF([QPointF(x * radius_px, y * radius_px) for x, y in marker_polygon(shape)]))
    path.closeSubpath()
    return path


# ---- outlines -----------------------------------------------------------------------------------------------------


def _premultiplied(colour: Rgb, alpha: int) -> Sequence[float]:
    red, green, blue = (value * alpha / 255 for value in colour)
    return (blue, green, red, alpha)


def _line_shifts(ratio: float) -> tuple[int, ...]:
    """By how much (fixed point) the lines that make up an outline lie beside each other."""
    step = (1 << SHIFT) * 5 // 8
    return tuple(step * place for place in range(max(2, round(2 * ratio))))


def _dashes(outline: NDArray[np.int32], dash_px: float) -> list[NDArray[np.int32]]:
    """Every other run of the outline's points, each about `dash_px` long."""
    step_px = max(0.1, float(np.hypot(*(outline[1] - outline[0]))) / (1 << SHIFT))
    run = max(1, round(dash_px / step_px))
    return [outline[start : start + run + 1] for start in range(0, len(outline), 2 * run)]
