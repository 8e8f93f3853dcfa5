"""What is known of a slide before any cell is looked for: scale, white, tissue, and why it cannot be scored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from her2scope.annotations.shapes import Polygon
from her2scope.domain.errors import BadInputError
from her2scope.domain.score import MAX_SCORED_UM_PER_PX
from her2scope.domain.units import checked_um_per_px
from her2scope.imaging.opencv import cv2
from her2scope.imaging.stains import estimate_white
from her2scope.ports import SlideReader
from her2scope.records import RgbImage
from her2scope.settings import Calibration, Vector
from her2scope.slides.focus import PATCH_UM, Detail, detail_of
from her2scope.slides.glass import MAP_UM_PER_PX, SlideMap, glass_white, read_map
from her2scope.slides.records import SlideScale, Square, Survey, TissueMap
from her2scope.slides.stain_kind import stain_refusal
from her2scope.slides.tiles import read_core
from her2scope.slides.tissue import (
    Places,
    channels_od10,
    mark_blur,
    mark_folds,
    mark_places,
    pen_marks,
    squares_of,
    tissue_map,
    tissue_pixels,
)

READ_UM_PER_PX = 0.26
"""Of the sizes a slide is stored in, the coarsest that is as fine as this is read: faint membranes need it."""
OVERVIEW_SIDE_PX = 1600
"""Longest side of the overview."""
SAME_SCALE_SHARE = 0.05
"""How far the file's pixel size may differ from the given one before it is said."""
WHITE_PATCHES, WHITE_PATCH_UM = 25, 256.0
"""Where a slide shows no glass: the white is the brightest in so many pieces of it."""
MAX_UNREADABLE_SHARE = 0.5
"""Of the tissue to count in, out of focus or in folds: with more, most of the case was not seen."""
WORDS = {Square.PEN: "under pen", Square.FOLD: "in folds", Square.BLUR: "out of focus"}


def survey(
    reader: SlideReader,
    path: Path,
    calibration: Calibration,
    um_per_px: float | None = None,
    restrict: Sequence[Polygon] = (),
    exclude: Sequence[Polygon] = (),
    controls: Sequence[Polygon] = (),
) -> Survey:
    """Survey a slide; it is read once, small, and at a few places closely.

    Parameters
    ----------
    um_per_px : of the full resolution, where the file does not tell it or tells it wrongly
    restrict, exclude, controls : areas in px of the full resolution: count only there, do not count there, and tissue
        of known score; what is excluded is never control

    Raises
    ------
    BadInputError
        Where nobody tells the size of a pixel.
    UnreadableImageError
        Where the file is damaged.
    """
    own_um_per_px, notes = _um_per_px(reader, path, um_per_px)
    scale = _scale(reader, own_um_per_px)
    slide = read_map(reader, own_um_per_px)
    white, is_estimated, white_notes = _white(reader, scale, slide, calibration)
    overview, overview_um_per_px = _overview(slide)
    od10 = channels_od10(slide.rgb, white)
    pen = pen_marks(od10)
    tissue = tissue_pixels(od10, pen)
    refusals = [*_coarse(scale), *filter(None, [stain_refusal(od10[tissue])])]
    squares = squares_of(tissue, pen)
    if not refusals:
        _mark_unreadable(squares, od10, tissue, _Samples(reader, scale, white))
    n_unreadable, n_read = mark_places(squares, own_um_per_px, Places(restrict, exclude, controls))
    found = tissue_map(squares)
    return Survey(
        path=path, scale=scale, white_rgb=white, white_estimated=is_estimated, tissue=found, overview=overview,
        overview_um_per_px=overview_um_per_px, notes=(*notes, *white_notes, *_left_out(found)),
        refusals=tuple(refusals or _nothing_left(found)), doubts=_hardly_seen(n_unreadable, n_read),
    )  # fmt: skip


# ---- scale --------------------------------------------------------------------------------------------------------


def _um_per_px(reader: SlideReader, path: Path, given: float | None) -> tuple[float, tuple[str, ...]]:
    """Pixel size of the full resolution, and what is odd about it, in words."""
    told = reader.um_per_px
    if given is None:
        if told is None:
            raise BadInputError(f"{path}: the file does not tell the size of its pixels. Give it with --um-per-px X.")
        return checked_um_per_px(told), ()
    checked_um_per_px(given)
    if told is not None and abs(told / given - 1) > SAME_SCALE_SHARE:
        return given, (f"the file says {told:.4g} um/px; {given:.4g} um/px was given and is used",)
    return given, ()


def _scale(reader: SlideReader, um_per_px: float) -> SlideScale:
    """The stored size that is read: no finer than the cells need."""
    fine = [at for at, level in enumerate(reader.levels) if um_per_px * level.downsample <= READ_UM_PER_PX]
    at = fine[-1] if fine else 0
    level = reader.levels[at]
    return SlideScale(at, level.downsample, um_per_px * level.downsample, level.width_px, level.height_px)


def _coarse(scale: SlideScale) -> Iterator[str]:
    if scale.um_per_px > MAX_SCORED_UM_PER_PX:
        yield (
            f"{scale.um_per_px:.3g} um/px is too coarse to see membranes (limit {MAX_SCORED_UM_PER_PX:g}): "
            "scan it with a stronger objective"
        )


# ---- white --------------------------------------------------------------------------------------------------------


def _white(
    reader: SlideReader, scale: SlideScale, slide: SlideMap, calibration: Calibration
) -> tuple[Vector, bool, tuple[str, ...]]:
    """White of the slide, whether it is estimated, and how."""
    if calibration.white_rgb is not None:
        return calibration.white_rgb, False, ()
    glass = glass_white(slide)
    if glass is not None:
        return glass, True, ("the white is estimated from the slide's glass",)
    return (
        estimate_white(_bright_pieces(reader, scale, slide)), True,
        ("the slide shows no glass: the white is estimated from its brightest places",),
    )  # fmt: skip


def _bright_pieces(reader: SlideReader, scale: SlideScale, slide: SlideMap) -> RgbImage:
    """Pieces of a slide around evenly many places of all its brightnesses, above one another."""
    rows, columns = slide.rgb.shape[:2]
    n = math.isqrt(WHITE_PATCHES)
    side_um = min(WHITE_PATCH_UM, scale.um_per_px * scale.width_px, scale.um_per_px * scale.height_px)
    return np.concatenate(
        [
            read_core(reader, scale, x_um, y_um, side_um, side_um)
            for y_um in np.linspace(0, scale.height_px * scale.um_per_px - side_um, n)
            for x_um in np.linspace(0, scale.width_px * scale.um_per_px - side_um, n)
        ]
    )


# ---- tissue -------------------------------------------------------------------------------------------------------


class _Samples:
    """Detail of a slide's places, by the corner of a patch in um."""

    def __init__(self, reader: SlideReader, scale: SlideScale, white_rgb: Vector) -> None:
        self._reader, self._scale, self._white = reader, scale, white_rgb

    def __call__(self, x_um: float, y_um: float) -> Detail | None:
        """Detail of a patch; None where it holds too little tissue."""
        rgb = read_core(self._reader, self._scale, x_um, y_um, PATCH_UM, PATCH_UM)
        return detail_of(rgb, self._scale.um_per_px, self._white)


def _mark_unreadable(
    squares: NDArray[np.uint8], od10: NDArray[np.float32], tissue: NDArray[np.bool_], sample: _Samples
) -> None:
    usual = mark_blur(squares, tissue, sample)
    mark_folds(squares, od10, tissue, sample, usual)


def _left_out(tissue: TissueMap) -> Iterator[str]:
    """What of the slide is not looked at, and why."""
    for kind, words in WORDS.items():
        area_mm2 = tissue.area_mm2(kind)
        if area_mm2 > 0:
            yield f"{area_mm2:.2f} mm2 {words} left out"


def _hardly_seen(n_unreadable: int, n_read: int) -> tuple[str, ...]:
    """Why what can be read may not stand for the case; numbers of squares."""
    share = n_unreadable / max(1, n_unreadable + n_read)
    if share <= MAX_UNREADABLE_SHARE:
        return ()
    return (
        f"{100 * share:.0f} % of the tissue is out of focus or folded, and was not looked at: scan the slide again",
    )


def _nothing_left(tissue: TissueMap) -> Iterator[str]:
    """Why there is nothing to look at, where that is so."""
    if tissue.area_mm2(Square.TISSUE) > 0:
        return
    left_out = {**WORDS, Square.LEFT_OUT: "left out by outlines", Square.CONTROL: "control"}
    areas = [(tissue.area_mm2(kind), words) for kind, words in left_out.items()]
    why = ", ".join(f"{area:.2f} mm2 {words}" for area, words in areas if area > 0)
    yield f"no tissue to look at ({why})" if why else "no tissue found: the slide is empty, or hardly stained"


def _overview(slide: SlideMap) -> tuple[RgbImage, float]:
    """The whole slide, small, and its scale."""
    rows, columns = slide.rgb.shape[:2]
    factor = max(1, math.ceil(max(rows, columns) / OVERVIEW_SIDE_PX))
    padded = np.full((rows + -rows % factor, columns + -columns % factor, 3), 255, np.uint8)
    padded[:rows, :columns] = slide.rgb
    size_wh = padded.shape[1] // factor, padded.shape[0] // factor
    return cv2.resize(padded, size_wh, interpolation=cv2.INTER_AREA), MAP_UM_PER_PX * factor
