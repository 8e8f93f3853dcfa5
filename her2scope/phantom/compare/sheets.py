"""Phantom beside real at one scale: pieces cut by one measure, resampled by one rule, captioned in one sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from her2scope.domain.errors import BadInputError, NotAvailableError
from her2scope.imaging.opencv import cv2
from her2scope.imaging.stains import estimate_white, reduced
from her2scope.overlays.palette import SAFE, Palette
from her2scope.overlays.raster import draw_overlay, legend_strip
from her2scope.phantom.compare.truth_marks import TRUTH_LAYERS, truth_cells, truth_legend, truth_result
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.phantom.recipes import RECIPES
from her2scope.records import Cell, RgbImage

SIDE_UM = 120.0
"""Of a crop, unless asked otherwise: some hundred cells, each large enough to judge its membrane."""
LEAST_SIDE_UM, MOST_SIDE_UM = 30.0, 2000.0
N_PHANTOMS = 3
"""Runs beside each real crop: one alone says nothing about their spread."""
BAR_UM = 20.0
FIELD_WH = (1280, 960)
"""Most of a field that is drawn for a crop: room to choose from, without drawing a whole large camera picture."""
TISSUE_AT_UM = 2.0
"""Tissue is looked for in steps of this length: finer than a cell, coarser than granules and noise."""
TISSUE_OD10 = 0.06
"""Of a place, averaged over the channels: cells and nuclei lie above it, glass and pale stroma below."""


class DrawnField(Protocol):
    """What is needed of a drawn phantom."""

    @property
    def rgb(self) -> RgbImage:
        """The picture."""

    @property
    def truth(self) -> dict[str, Any]:
        """Its truth, with `cells`."""


Draw = Callable[[PhantomSpec], DrawnField]


@dataclass(frozen=True, slots=True)
class PhantomChoice:
    """Which phantom stands beside a real picture."""

    score: str = "2+"
    seed: int = 0
    recipe: str | None = None
    """A key of `RECIPES`; None leaves the look to the phantom."""
    difficulty: str = "usual"

    def spec(self, size_wh: tuple[int, int], um_per_px: float) -> PhantomSpec:
        """The field to draw."""
        recipe: dict[str, Any] = {} if self.recipe is None else {"recipe": self.recipe}
        return PhantomSpec(
            score=self.score, seed=self.seed, size_wh=size_wh, um_per_px=um_per_px, difficulty=self.difficulty, **recipe
        )

    @property
    def words(self) -> str:
        """Say it in a caption."""
        return ", ".join([f"phantom {self.score}", f"seed {self.seed}", *([self.recipe] if self.recipe else [])])


def checked_choice(choice: PhantomChoice) -> PhantomChoice:
    """Return `choice` if its recipe is known; its other names are refused by the phantom itself."""
    if choice.recipe is not None and choice.recipe not in RECIPES:
        raise NotAvailableError("recipe", choice.recipe, list(RECIPES))
    return choice


def meant_score(recipe: str | None, otherwise: str) -> str:
    """Score that a recipe is a lookalike of."""
    known = RECIPES.get(recipe or "")
    return (known.score if known else "") or otherwise


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A part of a real or drawn field, at the scale it was taken at."""

    rgb: RgbImage
    um_per_px: float
    name: str
    field_wh: tuple[int, int]
    """Size in pixels of the field that it was cut from."""
    is_real: bool = True
    cells: tuple[Cell, ...] = ()
    """True cells of a phantom, in the piece's pixels."""
    marked: bool = False
    """Its cells are drawn over it."""

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.rgb.shape[1], self.rgb.shape[0]


# ---- cutting ------------------------------------------------------------------------------------------------------


def real_piece(rgb: RgbImage, name: str, um_per_px: float, side_um: float | None = None) -> Piece:
    """Part of a real field with most tissue, `side_um` wide and high where the field is that large; None: all of it."""
    height, width = rgb.shape[:2]
    size_wh = (width, height) if side_um is None else _side_px((width, height), um_per_px, side_um)
    left, top = richest_corner(rgb, um_per_px, size_wh)
    return Piece(_cut(rgb, left, top, size_wh), um_per_px, name, (width, height))


@dataclass(frozen=True, slots=True)
class PhantomOrder:
    """A phantom piece to draw. Equal orders give equal pieces."""

    choice: PhantomChoice
    size_wh: tuple[int, int]
    field_wh: tuple[int, int]
    um_per_px: float


def order_beside(real: Piece, choice: PhantomChoice) -> PhantomOrder:
    """The piece to lay beside `real`: as large, sampled as finely, cut from a field of its kind."""
    width, height = (
        min(whole, max(most, part)) for whole, most, part in zip(real.field_wh, FIELD_WH, real.size_wh, strict=True)
    )
    return PhantomOrder(choice, real.size_wh, (width, height), real.um_per_px)


def draw_piece(order: PhantomOrder, draw: Draw = render_field) -> Piece:
    """Draw the field and cut its part with most tissue, by the same measure as for a real one."""
    field = draw(order.choice.spec(order.field_wh, order.um_per_px))
    left, top = richest_corner(field.rgb, order.um_per_px, order.size_wh)
    width, height = order.size_wh
    cells = tuple(
        cell
        for cell in truth_cells(field.truth, left, top)
        if -0.5 <= cell.x_px < width - 0.5 and -0.5 <= cell.y_px < height - 0.5
    )
    rgb = _cut(field.rgb, left, top, order.size_wh)
    return Piece(rgb, order.um_per_px, order.choice.words, order.field_wh, is_real=False, cells=cells)


def richest_corner(rgb: RgbImage, um_per_px: float, size_wh: tuple[int, int]) -> tuple[int, int]:
    """Left and top (px) of the part of that size with the largest share of tissue; of equal ones the middle one.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
    """
    height, width = rgb.shape[:2]
    spare = (width - size_wh[0], height - size_wh[1])
    if spare == (0, 0):
        return 0, 0
    step = max(1, min(round(TISSUE_AT_UM / um_per_px), *size_wh))
    small = np.maximum(reduced(rgb, step).astype(np.float32), 1.0)
    od10 = -np.log10(small / np.array(estimate_white(rgb), np.float32)).mean(axis=2)
    tissue = (od10 > TISSUE_OD10).astype(np.float32)
    inside = tuple(max(1, min(side // step, most)) for side, most in zip(size_wh, tissue.shape[::-1], strict=True))
    share = cv2.boxFilter(tissue, -1, inside, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    share = share[: tissue.shape[0] - inside[1] + 1, : tissue.shape[1] - inside[0] + 1]
    rows, columns = np.indices(share.shape)
    off_middle = np.hypot(rows - (share.shape[0] - 1) / 2, columns - (share.shape[1] - 1) / 2)
    row, column = np.unravel_index(np.argmax(np.round(share, 2) - 1e-6 * off_middle), share.shape)
    return min(int(column) * step, spare[0]), min(int(row) * step, spare[1])


def _cut(rgb: RgbImage, left: int, top: int, size_wh: tuple[int, int]) -> RgbImage:
    return np.ascontiguousarray(rgb[top : top + size_wh[1], left : left + size_wh[0]])


def _side_px(whole_wh: tuple[int, int], um_per_px: float, side_um: float) -> tuple[int, int]:
    if not LEAST_SIDE_UM <= side_um <= MOST_SIDE_UM:
        raise BadInputError(f"a crop is {LEAST_SIDE_UM:g} to {MOST_SIDE_UM:g} um wide, not {side_um:g}.")
    side = max(1, round(side_um / um_per_px))
    return min(whole_wh[0], side), min(whole_wh[1], side)


def at_scale(rgb: RgbImage, um_per_px: float, shown_um_per_px: float) -> RgbImage:
    """Resample `(H, W, 3)` to another pixel size: by area where it gets coarser, cubic where finer."""
    factor = um_per_px / shown_um_per_px
    if factor == 1.0:
        return rgb
    size_wh = (max(1, round(rgb.shape[1] * factor)), max(1, round(rgb.shape[0] * factor)))
    return cv2.resize(rgb, size_wh, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)


# ---- sheet --------------------------------------------------------------------------------------------------------

GAP_PX = 10
LEAST_TILE_PX, MOST_TILE_PX = 240, 3000
"""Narrower, and no caption can be read; wider, and no viewer shows the sheet."""
LEAST_LINE_PX, MOST_LINE_PX = 18, 34
"""Height of a line of text, which grows with the tiles: a wide sheet is looked at reduced."""
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SHEET, _INK = (244, 244, 244), (20, 20, 20)
_REAL_STRIP, _PHANTOM_STRIP = (196, 219, 240), (246, 226, 184)
"""Blue for real, yellow for drawn: told apart at a glance, and the words say it too."""


def sheet_row(real: Piece, choice: PhantomChoice, truth: bool = False, draw: Draw = render_field) -> list[Piece]:
    """A real piece, phantoms of successive seeds, and where asked the first of them with its truth."""
    choices = [replace(choice, seed=choice.seed + place) for place in range(N_PHANTOMS)]
    phantoms = [draw_piece(order_beside(real, item), draw) for item in choices]
    marked = [replace(phantoms[0], name=f"truth of seed {choice.seed}", marked=True)] if truth else []
    return [real, *phantoms, *marked]


def check_sheet(side_um: float, um_per_px: float) -> None:
    """BadInputError where tiles of `side_um` at that scale would make no sheet."""
    side_px = round(side_um / um_per_px)
    if side_px > MOST_TILE_PX:
        raise BadInputError(
            f"a crop of {side_um:g} um at {um_per_px:g} um/px is {side_px} px wide, more than {MOST_TILE_PX}. "
            "Give a smaller --crop-um or a coarser --show-um-per-px."
        )
    if BAR_UM / um_per_px < 8:
        raise BadInputError(f"at {um_per_px:g} um/px no cell can be seen. Give a finer --show-um-per-px.")


def contact_sheet(
    rows: Sequence[Sequence[Piece]], um_per_px: float, side_um: float = SIDE_UM, palette: Palette = SAFE
) -> RgbImage:
    """Lay rows of pieces out, every one at `um_per_px` with caption and scale bar.

    Returns
    -------
    (H, W, 3) uint8
        Tiles `side_um` wide and high (at least `LEAST_TILE_PX` wide) with a caption strip above each; where truth is
        drawn, the legend lies below.
    """
    check_sheet(side_um, um_per_px)
    side_px = max(1, round(side_um / um_per_px))
    lines = [np.hstack([_with_gap(_tile(piece, um_per_px, side_px, palette)) for piece in row]) for row in rows]
    width = max(line.shape[1] for line in lines)
    parts = [_widened(line, width) for line in lines]
    if any(piece.marked for row in rows for piece in row):
        parts.append(legend_strip(truth_legend(palette), width))
    framed = np.full((sum(len(part) for part in parts) + GAP_PX, width + GAP_PX, 3), _SHEET, np.uint8)
    framed[GAP_PX:, GAP_PX:] = np.vstack(parts)
    return framed


def caption_px(side_px: int) -> int:
    """Height of the caption strip over a tile of that side."""
    return 5 * _line_px(side_px) // 2


def _line_px(side_px: int) -> int:
    return min(MOST_LINE_PX, max(LEAST_LINE_PX, side_px // 17))


def _tile(piece: Piece, um_per_px: float, side_px: int, palette: Palette) -> RgbImage:
    """Caption strip over the picture, as wide as the wider of both."""
    picture = at_scale(piece.rgb, piece.um_per_px, um_per_px)
    if piece.marked:  # after resampling, so that lines stay sharp
        picture = draw_overlay(picture, truth_result(piece.rgb, piece.um_per_px, piece.cells), palette, TRUTH_LAYERS)
    picture = picture[:side_px, :side_px]
    top, (height, width) = caption_px(side_px), picture.shape[:2]
    tile = np.full((top + side_px, max(side_px, LEAST_TILE_PX), 3), _SHEET, np.uint8)
    tile[top : top + height, :width] = picture
    draw_scale_bar(tile[top : top + height, :width], um_per_px, _line_px(side_px))
    _write_caption(tile[:top], piece, um_per_px, _line_px(side_px))
    return tile


def draw_scale_bar(
    picture: RgbImage, um_per_px: float, line_px: int = LEAST_LINE_PX, length_um: float = BAR_UM
) -> None:
    """Draw a bar of `length_um` with its words into the lower right corner of a picture `(H, W, 3)`, in place."""
    length, text = round(length_um / um_per_px), f"{length_um:g} um"
    text_width = _text_px(text, line_px)
    width, height = max(length, text_width) + 14, line_px + 16
    right, bottom = picture.shape[1] - 6, picture.shape[0] - 6
    left, top = max(0, right - width), max(0, bottom - height)
    picture[top:bottom, left:right] = (255, 255, 255)
    begin = left + (right - left - length) // 2
    picture[bottom - 10 : bottom - 6, begin : begin + length] = (0, 0, 0)
    _write(picture, text, left + (right - left - text_width) // 2, top + line_px - 2, line_px)


def _write_caption(strip: RgbImage, piece: Piece, um_per_px: float, line_px: int) -> None:
    """Two lines: what it is, and its scale."""
    strip[:] = _REAL_STRIP if piece.is_real else _PHANTOM_STRIP
    shown = "" if piece.um_per_px == um_per_px else f", shown at {um_per_px:.4g}"
    scale = f"{'real' if piece.is_real else 'drawn'}, {piece.um_per_px:.4g} um/px{shown}"
    for place, text in enumerate((piece.name, scale), start=1):
        _write(strip, shortened(text, strip.shape[1] - 16, line_px), 8, place * line_px, line_px)


def shortened(text: str, width_px: int, line_px: int = LEAST_LINE_PX) -> str:
    """Text in ASCII, which is all that OpenCV's fonts have, with its middle left out where it is too wide."""
    text = text.encode("ascii", "replace").decode()
    for kept in range(len(text), 1, -1):
        short = text if kept == len(text) else f"{text[: (kept + 1) // 2]}..{text[len(text) - kept // 2 :]}"
        if _text_px(short, line_px) <= width_px:
            return short
    return ""


def _text_px(text: str, line_px: int) -> int:
    return int(cv2.getTextSize(text, _FONT, line_px / 36, 1)[0][0])


def _write(picture: RgbImage, text: str, x: int, y: int, line_px: int) -> None:
    """Write in black; `(x, y)` is where the text's base line begins."""
    cv2.putText(picture, text, (x, y), _FONT, line_px / 36, _INK, 1, cv2.LINE_AA)


def _with_gap(tile: RgbImage) -> RgbImage:
    return np.pad(tile, ((0, GAP_PX), (0, GAP_PX), (0, 0)), constant_values=_SHEET[0])


def _widened(line: RgbImage, width: int) -> RgbImage:
    return np.pad(line, ((0, 0), (0, width - line.shape[1]), (0, 0)), constant_values=_SHEET[0])
