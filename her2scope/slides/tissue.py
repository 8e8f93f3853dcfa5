"""Where a slide holds tissue, and what of it cannot be read: pen, folds, blur. Decided on one fixed grid of squares."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.annotations.shapes import Polygon
from her2scope.imaging.opencv import cv2
from her2scope.records import Mask, RgbImage
from her2scope.settings import Calibration, Vector
from her2scope.slides.focus import PATCH_UM, Detail
from her2scope.slides.glass import MAP_UM_PER_PX
from her2scope.slides.records import Square, TissueMap

SQUARE_PX = 4
SQUARE_UM = SQUARE_PX * MAP_UM_PER_PX
"""32 um: three cells. The same on every slide, whatever its tiles: what is counted does not depend on them."""
STAINED_OD10 = 0.035
"""Mean od10 over a cell's width, in the channel that absorbs most, from which a place is stained: pale stroma of score
0 has 0.04 to 0.06, glass under dust and a lamp's shading less than 0.03."""
LEAST_STAINED_SHARE = 0.10
"""Of a square with tissue. Fat and lumina within tissue hold no nuclei, and cost little."""
LEAST_PIECE_UM2, JOINED_PX = 4000.0, 5
"""Smaller stained pieces are dust or loose cells; gaps of 40 um within a piece are fat and lumina."""

PEN_OD10 = 0.25
"""Least of a pen's strongest channel."""
PEN_RED_SHARE, PEN_NO_RED_SHARE = 0.49, 0.14
"""Share of red in a colour's od10. Blue and green ink have 0.49 and more, haematoxylin 0.36 to 0.47; red ink has under
0.05, over tissue 0.09 to 0.13, DAB 0.09 to 0.19."""
PEN_GREEN_SHARE, PEN_BLUE_SHARE = 0.44, 0.74
"""Of ink without red: red ink has more green than DAB (0.30 to 0.38), yellow ink more blue (0.48 to 0.67)."""
BLACK_OD10, INK_RED_OD10 = 0.65, 0.80
"""Black ink absorbs so much in every channel, and ink over tissue so much red; tissue hardly ever does, averaged over a
cell: of 3+ and over-stained fields the darkest places have 0.5 in red."""
PEN_STROKE_PX = 4
"""32 um: thinner than any pen's stroke, wider than a dark clump of cells."""
LEAST_STROKE_UM2 = 15_000.0
PEN_RIM_PX = 4
"""A stroke's pale rim that is left out with it."""

FOLD_OF_AROUND, FOLD_OF_BLUE = 1.3, 1.4
"""A fold is tissue lying double: so many times as dark as what is usual around it, with so many times the haematoxylin
(a strongly stained clone has more DAB alone), in a band ..."""
FOLD_MOST_WIDTH_PX, FOLD_LEAST_LENGTHS = 20, 2.0
"""... at most 160 um wide, and so many times as long ..."""
AROUND_UM, AROUND_PERCENTILE = 1500.0, 75.0
FOLD_DETAIL_SHARE = 0.7
"""... with so little detail for its darkness, against the slide's median: the upper layer is out of focus ..."""
FOLD_PALE_SHARE = 0.7
"""... and no pale places: where a single layer's are, at the most, so much of what is usual around (red channel)."""
FOLD_WIDTH_PX = 3
LEAST_FOLD_UM2 = 2000.0
FOLD_SAMPLES = 7
"""Places of a possible fold that are looked at closely; their median decides."""

FOCUS_BLOCK_UM = 256.0
"""One sample stands for so much: a scanner's focus changes slowly."""
BLURRED, MAYBE_BLURRED = 0.9, 1.0
"""Sharpness below which a block is blurred, and below which it is where it lies beside a blurred one. Sharp tissue has
1.04 and more, after a blur of 1.5 um (sigma) 0.5 to 0.8."""

_HAEMATOXYLIN = np.linalg.pinv(np.array([Calibration().haematoxylin_vector, Calibration().dab_vector]).T)[0]
_HAEMATOXYLIN = _HAEMATOXYLIN.astype(np.float32)
"""Weights of the channels' od10 that give haematoxylin."""

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Sample = Callable[[float, float], Detail | None]
"""Detail of the `PATCH_UM` at a corner (um)."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Polygons of a slide that say where to count."""

    restrict: Sequence[Polygon] = ()
    exclude: Sequence[Polygon] = ()
    controls: Sequence[Polygon] = ()


# ---- colours ------------------------------------------------------------------------------------------------------


def channels_od10(rgb: RgbImage, white_rgb: Vector) -> Floats:
    """od10 of each channel, `(H, W, 3)`, not below 0; the response of a scanner changes no square."""
    table = [np.maximum(0.0, -np.log10(np.maximum(np.arange(256), 0.5) / white)) for white in white_rgb]
    found: Floats = cv2.LUT(rgb, np.stack(table, axis=1).astype(np.float32)[None])
    return found


def pen_marks(od10: Floats) -> Bools:
    """`(H, W)` of the small picture: strokes of ink, with their rims."""
    strongest = od10.max(axis=2)
    share = od10 / np.maximum(od10.sum(axis=2), 1e-6)[..., None]
    red, green, blue = share[..., 0], share[..., 1], share[..., 2]
    no_red = (red <= PEN_NO_RED_SHARE) & ((green >= PEN_GREEN_SHARE) | (blue >= PEN_BLUE_SHARE))
    ink = (strongest >= PEN_OD10) & ((red >= PEN_RED_SHARE) | no_red)
    ink |= (od10.min(axis=2) >= BLACK_OD10) | (od10[..., 0] >= INK_RED_OD10)
    strokes = _large(_opened(ink, PEN_STROKE_PX), LEAST_STROKE_UM2)
    return _grown(strokes, 2 * PEN_RIM_PX + 1)


def tissue_pixels(od10: Floats, pen: Bools) -> Bools:
    """`(H, W)` of the small picture: what is stained and no ink."""
    stained = (od10.max(axis=2) >= STAINED_OD10) & ~pen
    return stained & _large(_closed(stained, JOINED_PX), LEAST_PIECE_UM2)


# ---- squares ------------------------------------------------------------------------------------------------------


def squares_of(tissue: Bools, pen: Bools) -> NDArray[np.uint8]:
    """`Square` values by colour alone: glass, tissue, pen."""
    squares = np.full(_n_squares(tissue), Square.GLASS, np.uint8)
    squares[_share_in_squares(tissue) >= LEAST_STAINED_SHARE] = Square.TISSUE
    squares[_share_in_squares(pen) > 0] = Square.PEN
    return squares


def mark_blur(squares: NDArray[np.uint8], tissue: Bools, sample: Sample) -> dict[tuple[int, int], Detail]:
    """Mark squares of blurred blocks; the samples of the sharp ones, by block, are what the slide usually shows."""
    step = round(FOCUS_BLOCK_UM / SQUARE_UM)
    samples: dict[tuple[int, int], Detail] = {}
    for block, (x_um, y_um) in _fullest_patches(squares, tissue, step):
        detail = sample(x_um, y_um)
        if detail is not None:
            samples[block] = detail
    blurred = _blurred(samples)
    for row, column in blurred:
        part = squares[row * step : (row + 1) * step, column * step : (column + 1) * step]
        part[part == Square.TISSUE] = Square.BLUR
    return {block: detail for block, detail in samples.items() if block not in blurred}


def mark_folds(
    squares: NDArray[np.uint8], od10: Floats, tissue: Bools, sample: Sample, usual: Mapping[tuple[int, int], Detail]
) -> None:
    """Mark squares of folds; `usual` are samples of sharp tissue."""
    if not usual:
        return
    smooth = cv2.blur(od10, (FOLD_WIDTH_PX, FOLD_WIDTH_PX))
    blue, all_channels = smooth @ _HAEMATOXYLIN, smooth.mean(axis=2)
    dark = tissue & (blue >= FOLD_OF_BLUE * _around(blue, tissue))
    dark &= all_channels >= FOLD_OF_AROUND * _around(all_channels, tissue)
    red_reference = _around(smooth[..., 0], tissue)
    dark = _large(_opened(dark, FOLD_WIDTH_PX), LEAST_FOLD_UM2)
    usual_detail = float(np.median([detail.contrast for detail in usual.values()]))
    n, labels, stats, _ = cv2.connectedComponentsWithStats(dark.view(np.uint8))
    for number in range(1, n):
        left, top, width, height = stats[number, :4].tolist()
        box = slice(top, top + height), slice(left, left + width)
        rows, columns = np.nonzero(labels[box] == number)
        piece = _Piece(rows + top, columns + left)
        if _is_band(piece) and _lies_double(piece, red_reference, usual_detail, sample):
            at = piece.rows // SQUARE_PX, piece.columns // SQUARE_PX
            squares[at] = np.where(squares[at] == Square.TISSUE, Square.FOLD, squares[at])


def mark_places(squares: NDArray[np.uint8], um_per_px: float, places: Places) -> tuple[int, int]:
    """Mark tissue that polygons (in px of `um_per_px`) make control, or leave out: squares that they touch.

    Returns
    -------
    (int, int)
        Squares to count in that cannot be read (folds, blur), and that can.
    """
    is_tissue = squares == Square.TISSUE
    control = _within(squares.shape, um_per_px, places.controls)
    left_out = _within(squares.shape, um_per_px, places.exclude)
    if places.restrict:
        left_out |= ~_within(squares.shape, um_per_px, places.restrict) & ~control
    squares[is_tissue & control] = Square.CONTROL
    squares[is_tissue & left_out] = Square.LEFT_OUT
    unreadable = np.isin(squares, (Square.FOLD, Square.BLUR)) & ~control & ~left_out
    return int(unreadable.sum()), int((squares == Square.TISSUE).sum())


def tissue_map(squares: NDArray[np.uint8]) -> TissueMap:
    """The squares as they travel."""
    squares.setflags(write=False)
    return TissueMap(SQUARE_UM, squares)


# ---- blur ---------------------------------------------------------------------------------------------------------


def _fullest_patches(
    squares: NDArray[np.uint8], tissue: Bools, step: int
) -> Iterator[tuple[tuple[int, int], tuple[float, float]]]:
    """Of each block with tissue: the corner (um) of the patch that holds most of it, the first of equal ones."""
    n_squares = round(PATCH_UM / SQUARE_UM)
    share = np.where(squares == Square.TISSUE, _share_in_squares(tissue), 0.0)
    rows, columns = share.shape
    for row in range(0, rows, step):
        for column in range(0, columns, step):
            block = share[row : row + step, column : column + step]
            if not block.any():
                continue
            padded = np.pad(block, [(0, -side % n_squares) for side in block.shape])
            patches = padded.reshape(
                padded.shape[0] // n_squares, n_squares, padded.shape[1] // n_squares, n_squares
            ).mean(axis=(1, 3))
            down, across = np.unravel_index(int(patches.argmax()), patches.shape)
            corner = (column + across * n_squares) * SQUARE_UM, (row + down * n_squares) * SQUARE_UM
            yield (row // step, column // step), corner


def _blurred(samples: Mapping[tuple[int, int], Detail]) -> set[tuple[int, int]]:
    """Blocks that are blurred, and those beside them that may be, as far as such blocks follow one another."""
    found = {block for block, detail in samples.items() if detail.focus < BLURRED}
    edge = list(found)
    while edge:
        row, column = edge.pop()
        for beside in ((row + down, column + across) for down in (-1, 0, 1) for across in (-1, 0, 1)):
            if beside not in found and beside in samples and samples[beside].focus < MAYBE_BLURRED:
                found.add(beside)
                edge.append(beside)
    return found


# ---- folds --------------------------------------------------------------------------------------------------------


def _around(plane: Floats, tissue: Bools) -> Floats:
    """What is usual around each place: a percentile of the tissue of a neighbourhood, between blocks of half of it."""
    step = round(AROUND_UM / 2 / MAP_UM_PER_PX)
    rows, columns = (math.ceil(side / step) for side in plane.shape)
    usual = np.full((rows, columns), np.nan, np.float32)
    for row in range(rows):
        for column in range(columns):
            top, left = max(0, (row - 1) * step + step // 2), max(0, (column - 1) * step + step // 2)
            part = slice(top, top + 2 * step), slice(left, left + 2 * step)
            values = plane[part][tissue[part]]
            if len(values):
                usual[row, column] = np.percentile(values, AROUND_PERCENTILE)
    if np.isnan(usual).all():
        return np.full_like(plane, np.inf)
    usual[np.isnan(usual)] = np.nanmax(usual)
    height, width = plane.shape
    return np.repeat(np.repeat(usual, step, axis=0), step, axis=1)[:height, :width]


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Pixels of the small picture that hang together."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    def depth_px(self) -> Floats:
        """How far each of its pixels lies from its edge."""
        rows, columns = self.rows - self.rows.min() + 1, self.columns - self.columns.min() + 1
        mask = np.zeros((rows.max() + 2, columns.max() + 2), np.uint8)
        mask[rows, columns] = 1
        return np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, 3)[rows, columns])


def _lies_double(piece: _Piece, red_reference: Floats, usual_detail: float, sample: Sample) -> bool:
    """Whether samples of a dark piece have little detail and no pale places, for their darkness."""
    half_um = PATCH_UM / 2
    details, pale = [], []
    for at in _inmost(piece):
        row, column = int(piece.rows[at]), int(piece.columns[at])
        found = sample((column + 0.5) * MAP_UM_PER_PX - half_um, (row + 0.5) * MAP_UM_PER_PX - half_um)
        if found is not None:
            details.append(found.contrast / usual_detail)
            pale.append(found.pale_od10 / max(float(red_reference[row, column]), 1e-6))
    if not details:
        return False
    return bool(np.median(details) <= FOLD_DETAIL_SHARE and np.median(pale) >= FOLD_PALE_SHARE)


def _is_band(piece: _Piece) -> bool:
    """Whether a piece is narrow and long."""
    width_px = 2 * float(piece.depth_px().max())
    return width_px <= FOLD_MOST_WIDTH_PX and len(piece.rows) >= FOLD_LEAST_LENGTHS * width_px**2


def _inmost(piece: _Piece) -> list[int]:
    """Some of a piece's pixels, evenly along it, of those that lie farthest from its edge."""
    depth = piece.depth_px()
    inmost = np.flatnonzero(depth >= np.percentile(depth, 80))
    places = np.linspace(0, len(inmost) - 1, min(FOLD_SAMPLES, len(inmost))).round().astype(int)
    chosen: list[int] = inmost[places].tolist()
    return chosen


# ---- masks --------------------------------------------------------------------------------------------------------


def _n_squares(mask: Bools) -> tuple[int, int]:
    rows, columns = (math.ceil(side / SQUARE_PX) for side in mask.shape)
    return rows, columns


def _share_in_squares(mask: Bools) -> Floats:
    """Share (0..1) of each square's pixels that are in the mask; beyond the picture is none."""
    rows, columns = _n_squares(mask)
    padded = np.zeros((rows * SQUARE_PX, columns * SQUARE_PX), np.float32)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return np.asarray(padded.reshape(rows, SQUARE_PX, columns, SQUARE_PX).mean(axis=(1, 3)))


def _large(mask: Bools, least_um2: float) -> Bools:
    """Pieces of a mask that have at least this area."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(np.ascontiguousarray(mask).view(np.uint8))
    keeps = stats[:, cv2.CC_STAT_AREA] * MAP_UM_PER_PX**2 >= least_um2
    keeps[0] = False
    return np.asarray(keeps[labels])


def _opened(mask: Bools, side_px: int) -> Bools:
    """What of a mask is at least so wide."""
    found: Mask = cv2.morphologyEx(
        np.ascontiguousarray(mask).view(np.uint8), cv2.MORPH_OPEN, np.ones((side_px, side_px), np.uint8)
    )
    return found.view(np.bool_)


def _closed(mask: Bools, side_px: int) -> Bools:
    """A mask with its gaps up to this width."""
    found: Mask = cv2.morphologyEx(
        np.ascontiguousarray(mask).view(np.uint8), cv2.MORPH_CLOSE, np.ones((side_px, side_px), np.uint8)
    )
    return found.view(np.bool_)


def _grown(mask: Bools, side_px: int) -> Bools:
    found: Mask = cv2.dilate(np.ascontiguousarray(mask).view(np.uint8), np.ones((side_px, side_px), np.uint8))
    return found.view(np.bool_)


def _within(shape: tuple[int, ...], um_per_px: float, polygons: Sequence[Polygon]) -> Bools:
    """Squares that lie in any of the polygons, or on its edge (to a sixteenth of a square)."""
    fine = 16
    found = np.zeros(shape, np.bool_)
    for polygon in polygons:
        rings = [
            np.rint(((ring + 0.5) * um_per_px / SQUARE_UM - 0.5) * fine).astype(np.int32)
            for ring in (polygon.outer, *polygon.holes)
        ]
        painted = np.zeros(shape, np.uint8)
        cv2.fillPoly(painted, rings, 1, shift=4)
        found |= painted.astype(np.bool_)
    return found
