"""Drawing over a field with numpy and OpenCV, for reports and `--overlay-dir`. Nothing paints into what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.corrections import Correction
from her2scope.domain.errors import BadInputError
from her2scope.domain.score import TooFewCells
from her2scope.imaging.opencv import cv2
from her2scope.overlays.model import CellMark, LegendEntry, OverlaySelection, legend_entries, marks_of
from her2scope.overlays.outside import has_outside, outside_layer
from her2scope.overlays.palette import HAND_COLOUR, Palette, Rgb, halo, marker_polygon
from her2scope.overlays.picking import outline_of
from her2scope.records import FAINT, INTENSE, Cell, FieldResult, Mask, RgbImage

SHIFT = 4
"""OpenCV takes coordinates in 1/16 px: outlines are sub-pixel, and rounding to whole pixels would make them jagged."""

LINE_UM = 0.4
"""Width of an outline: thinner than a 1+ membrane (0.64 um, PMC5848460), so the stain beside it stays visible."""
DASH_UM = 1.6
MARKER_UM = 1.6
"""Radius of a marker: well inside a nucleus (3 to 6 um)."""
MIN_MARKER_PX = 4.0
"""Smaller, and a square looks like a circle."""
MEMBRANE_OPACITY = 0.55
FILL_OPACITY = 0.40
CASING_OPACITY = 0.45
"""Of the dark or light rim beside an outline, which keeps it visible on tissue of its own brightness."""
OTHER_MARKER_SIZE = 0.8

MAX_LABEL = int(np.iinfo(np.uint16).max)


@dataclass(frozen=True, slots=True)
class _Scale:
    """From the frame's pixels to those of the picture drawn on, which may be a reduced copy."""

    factor: float
    um_per_px: float

    @staticmethod
    def between(result: FieldResult, rgb: RgbImage) -> _Scale:
        height, width = result.frame.size_hw
        if abs(rgb.shape[1] * height - rgb.shape[0] * width) > max(height, width):
            raise ValueError(f"a picture of {rgb.shape[:2]} is no copy of a frame of {(height, width)}")
        factor = rgb.shape[1] / width
        return _Scale(factor, result.frame.um_per_px / factor)

    def place(self, xy_px: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pixel centres are whole numbers, so it is the corner at -0.5 that stays in place."""
        return ((xy_px + 0.5) * self.factor - 0.5).astype(np.float32)

    def line_px(self, length_um: float) -> int:
        return max(1, round(length_um / self.um_per_px))


def draw_overlay(
    rgb: RgbImage,
    result: FieldResult,
    palette: Palette,
    selection: OverlaySelection,
    counted: Sequence[bool] | None = None,
    corrections: Sequence[Correction | None] | None = None,
) -> RgbImage:
    """Draw the chosen layers over a copy of `rgb`.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
        The frame's pixels, or a copy of them at another size: lines keep their width in um.
    counted : one flag per cell, optional
        Cells that the case counts (`AcceptedField.counted`); those it leaves out are drawn like edge cells.
    corrections : one per cell, optional
        The reader's word on each (`AcceptedField.corrections`): corrected cells are marked, excluded ones struck out.
    """
    scale = _Scale.between(result, rgb)
    canvas = np.array(rgb, dtype=np.uint8, order="C")
    marks = list(zip(result.cells, marks_of(result.cells, palette, counted, corrections), strict=True))
    if selection.outside and selection.anything and result.outside is not None:
        _dim(canvas, result.outside)
    if selection.membranes:
        _tint_membranes(canvas, result.membrane, palette)
    if selection.filled:
        _fill(canvas, marks, scale)
    if selection.outlines:
        _outline(canvas, marks, scale)
    if selection.cells:
        for cell, mark in marks:
            _draw_marker(canvas, scale.place(np.array([[cell.x_px, cell.y_px]], np.float32))[0], mark, scale)
    if selection.anything:
        for cell, mark in marks:
            if mark.corrected:
                _draw_hand(canvas, cell, mark, scale)
    return canvas


def membrane_mask(result: FieldResult) -> Mask:
    """Membrane mask of the frame's size: 0 none, 128 faint to moderate, 255 intense (contract of `--mask-dir`)."""
    if result.membrane.shape != result.frame.size_hw:
        raise ValueError(f"membrane mask of {result.membrane.shape} for a frame of {result.frame.size_hw}")
    return result.membrane.copy()


def cell_labels(result: FieldResult) -> NDArray[np.uint16]:
    """Label image of the frame's size: each cell's outline filled with its 1-based place in `result.cells`.

    Where outlines overlap, a pixel belongs to the cell with the nearest centre, the earlier one of two equally near.
    A cell without an outline is a disc of its nucleus' radius.
    """
    if len(result.cells) > MAX_LABEL:
        raise BadInputError(
            f"{len(result.cells)} cells do not fit into a 16-bit mask. Cut the image into smaller fields."
        )
    labels = np.zeros(result.frame.size_hw, np.uint16)
    nearest = np.full(result.frame.size_hw, np.inf, np.float32)
    for number, cell in enumerate(result.cells, start=1):
        _label(labels, nearest, number, cell, outline_of(cell, result.frame.um_per_px))
    return labels


def _label(
    labels: NDArray[np.uint16], nearest: NDArray[np.float32], number: int, cell: Cell, outline: NDArray[np.float32]
) -> None:
    """Give `cell` the pixels inside `outline` that no earlier cell has a better claim to."""
    height, width = labels.shape
    left, top = np.maximum(np.floor(outline.min(axis=0)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + 1, (width, height))
    if left >= right or top >= bottom:
        return
    inside = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillPoly(inside, [_fixed_point(outline - (left, top))], 1, shift=SHIFT)
    y_px, x_px = np.ogrid[top:bottom, left:right]
    distance = np.hypot(x_px - cell.x_px, y_px - cell.y_px).astype(np.float32)
    window = np.s_[top:bottom, left:right]
    won = (inside > 0) & (distance < nearest[window])
    nearest[window][won] = distance[won]
    labels[window][won] = number


def _fixed_point(xy_px: NDArray[np.floating]) -> NDArray[np.int32]:
    return np.round(np.asarray(xy_px) * (1 << SHIFT)).astype(np.int32)


# ---- layers -------------------------------------------------------------------------------------------------------


def _blend(canvas: RgbImage, drawn: RgbImage | Rgb, where: NDArray[np.bool_], opacity: float) -> None:
    colours = drawn[where] if isinstance(drawn, np.ndarray) else np.array(drawn)
    mixed = (1 - opacity) * canvas[where].astype(np.float32) + opacity * colours.astype(np.float32)
    canvas[where] = np.round(mixed).astype(np.uint8)


def _dim(canvas: RgbImage, outside: Mask) -> None:
    """Dim and hatch what the region model leaves out."""
    height, width = canvas.shape[:2]
    layer = outside_layer(outside, (height, width), scale=width / outside.shape[1]).astype(np.uint16)
    canvas[:] = layer[..., :3] + canvas * (255 - layer[..., 3:]) // 255


def _tint_membranes(canvas: RgbImage, membrane: Mask, palette: Palette) -> None:
    if membrane.shape != canvas.shape[:2]:
        membrane = cv2.resize(membrane, canvas.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    _blend(canvas, palette.membrane_faint, membrane == FAINT, MEMBRANE_OPACITY)
    _blend(canvas, palette.membrane_intense, membrane == INTENSE, MEMBRANE_OPACITY)


def _fill(canvas: RgbImage, marks: Sequence[tuple[Cell, CellMark]], scale: _Scale) -> None:
    """Fill enclosed cells; all on one layer first, so that overlapping ones do not darken each other."""
    layer, touched = canvas.copy(), np.zeros(canvas.shape[:2], np.uint8)
    for cell, mark in marks:
        if mark.filled and len(cell.outline_xy_px) >= 3:
            corners = [_fixed_point(scale.place(cell.outline_xy_px))]
            cv2.fillPoly(layer, corners, mark.colour, cv2.LINE_AA, SHIFT)
            cv2.fillPoly(touched, corners, 1, shift=SHIFT)
    _blend(canvas, layer, touched > 0, FILL_OPACITY)


def _outline(canvas: RgbImage, marks: Sequence[tuple[Cell, CellMark]], scale: _Scale) -> None:
    line_px = scale.line_px(LINE_UM)
    drawn = [(cell, mark, _strokes(cell, mark, scale)) for cell, mark in marks if len(cell.outline_xy_px) >= 2]
    casing_px = line_px + 2 if line_px > 1 else 2
    cased = canvas.copy()
    for _, mark, strokes in drawn:
        if not mark.dashed:
            cv2.polylines(cased, strokes, True, halo(mark.colour), casing_px, cv2.LINE_AA, SHIFT)
    canvas[:] = cv2.addWeighted(canvas, 1 - CASING_OPACITY, cased, CASING_OPACITY, 0)
    for _, mark, strokes in drawn:
        cv2.polylines(canvas, strokes, not mark.dashed, mark.colour, line_px, cv2.LINE_AA, SHIFT)


def _strokes(cell: Cell, mark: CellMark, scale: _Scale) -> list[NDArray[np.int32]]:
    """Lines to draw for an outline: itself, or its dashes."""
    outline = scale.place(cell.outline_xy_px)
    if not mark.dashed:
        return [_fixed_point(outline)]
    return [_fixed_point(dash) for dash in dashes(outline, max(3.0, DASH_UM / scale.um_per_px))]


def dashes(outline: NDArray[np.float32], dash_px: float) -> list[NDArray[np.float32]]:
    """Cut a closed outline into dashes of about `dash_px`, with gaps as long; a whole number of both fits round it."""
    closed = np.vstack([outline, outline[:1]])
    along_px = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    n_dashes = max(1, round(along_px[-1] / (2 * dash_px)))
    starts = np.arange(n_dashes) * along_px[-1] / n_dashes
    pieces = []
    for start in starts:
        at = np.linspace(start, start + along_px[-1] / n_dashes / 2, 5)
        pieces.append(
            np.stack([np.interp(at, along_px, closed[:, axis]) for axis in (0, 1)], axis=1).astype(np.float32)
        )
    return pieces


def _draw_marker(canvas: RgbImage, at_px: NDArray[np.float32], mark: CellMark, scale: _Scale) -> None:
    radius_px = max(MIN_MARKER_PX, MARKER_UM / scale.um_per_px) * (1.0 if mark.tumour else OTHER_MARKER_SIZE)
    _stamp(canvas, at_px, radius_px, mark)


def _draw_hand(canvas: RgbImage, cell: Cell, mark: CellMark, scale: _Scale) -> None:
    """The reader's hand: a small square at the cell's upper right, a line through an excluded cell."""
    outline = scale.place(outline_of(cell, scale.um_per_px * scale.factor))
    low, high = outline.min(axis=0), outline.max(axis=0)
    line_px = scale.line_px(LINE_UM)
    if mark.struck:
        ends = [_fixed_point(np.array([(low[0], high[1]), (high[0], low[1])]))]
        cv2.polylines(canvas, ends, False, halo(HAND_COLOUR), line_px + 2, cv2.LINE_AA, SHIFT)
        cv2.polylines(canvas, ends, False, HAND_COLOUR, line_px, cv2.LINE_AA, SHIFT)
    half_px = max(2.0, MARKER_UM / 2 / scale.um_per_px)
    x_px, y_px = 0.15 * low[0] + 0.85 * high[0], 0.85 * low[1] + 0.15 * high[1]
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half_px + (x_px, y_px)
    cv2.polylines(canvas, [_fixed_point(corners)], True, halo(HAND_COLOUR), 3, cv2.LINE_AA, SHIFT)
    cv2.fillPoly(canvas, [_fixed_point(corners)], HAND_COLOUR, cv2.LINE_AA, SHIFT)


def _stamp(canvas: RgbImage, at_px: NDArray[np.float32], radius_px: float, mark: CellMark) -> None:
    """Draw a marker with a rim; hollow where the cell is not counted."""
    corners = [_fixed_point(at_px + radius_px * np.array(marker_polygon(mark.marker), np.float32))]
    rim_px = max(1, round(radius_px / 4))
    if mark.dashed:
        cv2.polylines(canvas, corners, True, halo(mark.colour), rim_px + 2, cv2.LINE_AA, SHIFT)
        cv2.polylines(canvas, corners, True, mark.colour, rim_px, cv2.LINE_AA, SHIFT)
        return
    cv2.polylines(canvas, corners, True, halo(mark.colour), 2 * rim_px, cv2.LINE_AA, SHIFT)
    cv2.fillPoly(canvas, corners, mark.colour, cv2.LINE_AA, SHIFT)


# ---- legend -------------------------------------------------------------------------------------------------------

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_INK, _PAPER_WHITE = (20, 20, 20), (255, 255, 255)
MIN_LEGEND_PX, MAX_LEGEND_PX = 14, 34
"""Height of a legend row."""


def draw_legend(result: FieldResult, palette: Palette, width_px: int) -> RgbImage:
    """Strip `width_px` wide that names every class with its share and says the field's reference score."""
    entries = legend_entries(palette, result.counts.shares_percent(), outside=has_outside(result))
    return legend_strip(entries, width_px, _score_text(result))


def legend_strip(legend: Sequence[LegendEntry], width_px: int, title: str = "") -> RgbImage:
    """Strip `width_px` wide with the entries, after a title where there is one. OpenCV's fonts have ASCII only."""
    entries: list[tuple[str, CellMark | None]] = [(title, None)] if title else []
    for entry in legend:
        entries.append((entry.words, CellMark(entry.colour, entry.marker, entry.hollow, tumour=True, filled=False)))
    row_px = int(np.clip(width_px / 45, MIN_LEGEND_PX, MAX_LEGEND_PX))
    widest = max(_text_px(text, row_px) + (2 * row_px if mark else row_px) for text, mark in entries)
    columns = int(np.clip(width_px // widest, 1, len(entries)))
    rows = -(-len(entries) // columns)
    strip = np.full(((rows * 3 + 1) * row_px // 2, width_px, 3), _PAPER_WHITE, np.uint8)
    for place, (text, mark) in enumerate(entries):
        row, column = divmod(place, columns)
        _legend_entry(
            strip, column * (width_px // columns) + row_px // 2, (row * 3 + 2) * row_px // 2, row_px, text, mark
        )
    return strip


def draw_annotated(
    rgb: RgbImage,
    result: FieldResult,
    palette: Palette,
    selection: OverlaySelection,
    counted: Sequence[bool] | None = None,
    corrections: Sequence[Correction | None] | None = None,
) -> RgbImage:
    """Overlay with the legend below it, as one picture."""
    overlay = draw_overlay(rgb, result, palette, selection, counted, corrections)
    return np.vstack([overlay, draw_legend(result, palette, overlay.shape[1])])


def _score_text(result: FieldResult) -> str:
    n_tumour = f"{result.counts.n_tumour} tumour cells"
    if isinstance(result.finding, TooFewCells):
        return f"Too few tumour cells: {result.finding.n_tumour} of {result.finding.needed}"
    if result.finding is None:
        return "Not scored: field unusable"
    return f"Reference score {result.finding.score} ({n_tumour})"


def _text_scale(row_px: int) -> float:
    return row_px / 34


def _text_px(text: str, row_px: int) -> int:
    return int(cv2.getTextSize(text, _FONT, _text_scale(row_px), max(1, row_px // 16))[0][0])


def _legend_entry(strip: RgbImage, x_px: int, y_px: int, row_px: int, text: str, mark: CellMark | None) -> None:
    if mark is not None:
        _stamp(strip, np.array([x_px + row_px / 3, y_px], np.float32), row_px / 3, mark)
        x_px += row_px
    baseline = (x_px, y_px + row_px // 3)
    cv2.putText(strip, text, baseline, _FONT, _text_scale(row_px), _INK, max(1, row_px // 16), cv2.LINE_AA)
