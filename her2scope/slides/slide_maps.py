"""Pictures of a whole slide: what was left out and why, and how its tumour is stained from place to place."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellCounts
from her2scope.domain.guideline import COMPLETE
from her2scope.imaging.opencv import cv2
from her2scope.overlays.palette import Rgb, halo, hex_colour
from her2scope.records import RgbImage
from her2scope.reporting.chart_canvas import Canvas, printable
from her2scope.slides.records import ScoredSquare, SlideCells, SlideScore, Square, Survey
from her2scope.slides.slide_score import SQUARE_UM, mean_weight, scored_squares

MAP_SQUARE_UM = SQUARE_UM / 2
"""Side of a heat map's squares: a quarter of a scored square."""
LEAST_SHOWN = 10
"""Tumour cells of a square that is coloured: of fewer, one cell would be a tenth or more."""
LONGER_PX = 1600
"""Longer side of a map's picture."""
OPACITY = 0.72
PAPER, INK, GREY = "#ffffff", "#1a1a1a", "#5a5f66"
FADED = 0.55
"""How much of the overview's contrast stays under a heat map."""
MARKED: Rgb = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class HeatScale:
    """What a heat map shows, in steps of colours that any sight tells apart by their lightness."""

    title: str
    value: Callable[[CellCounts], float]
    steps: tuple[float, ...]
    """Upper ends of all steps but the last."""
    words: tuple[str, ...]


# Dark to light, each lighter than the one before by as much: apart for normal, protan, deutan and tritan sight.
STEPS: tuple[Rgb, ...] = ((46, 8, 84), (128, 18, 122), (203, 62, 94), (246, 140, 48), (249, 229, 90))

COMPLETE_SCALE = HeatScale(
    "Tumour cells with complete membrane staining",
    lambda counts: 100.0 * counts.sum_of(COMPLETE) / max(1, counts.n_tumour),
    (1.0, 10.0, 30.0, 60.0),
    ("under 1 %", "1 to 10 %", "10 to 30 %", "30 to 60 %", "over 60 %"),
)
STAINING_SCALE = HeatScale(
    "Mean staining of tumour cells (none 0, faint 1, moderate or incomplete 2, complete intense 3)",
    mean_weight,
    (0.1, 0.5, 1.0, 2.0),
    ("under 0.1", "0.1 to 0.5", "0.5 to 1", "1 to 2", "over 2"),
)

KIND_WORDS: Mapping[Square, str] = {
    Square.TISSUE: "tissue, looked at",
    Square.CONTROL: "control, read and not counted",
    Square.LEFT_OUT: "left out by an outline or the region model",
    Square.PEN: "pen, left out",
    Square.FOLD: "fold, left out",
    Square.BLUR: "out of focus, left out",
}
KIND_COLOURS: Mapping[Square, Rgb] = {
    Square.TISSUE: (0, 114, 178),
    Square.CONTROL: (0, 158, 115),
    Square.LEFT_OUT: (90, 95, 102),
    Square.PEN: (0, 0, 0),
    Square.FOLD: (213, 94, 0),
    Square.BLUR: (204, 121, 167),
}
"""Of Okabe and Ito's colours (Color Universal Design, 2008), made for any sight; the pattern differs too."""


# ---- heat maps ----------------------------------------------------------------------------------------------------


def heat_map(score: SlideScore, cells: SlideCells, scale: HeatScale = COMPLETE_SCALE) -> RgbImage:
    """The slide in grey, each square with tumour cells coloured by `scale`, hot spots numbered, with a legend."""
    survey = score.survey
    picture, um_per_px = _picture(survey)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    drawn = np.repeat((255.0 - FADED * (255.0 - grey))[..., None], 3, axis=2)
    squares = [one for one in scored_squares(cells, MAP_SQUARE_UM) if one.counts.n_tumour >= LEAST_SHOWN]
    is_tissue = (_kinds(survey, picture.shape[:2], um_per_px) == Square.TISSUE)[..., None]
    for square in squares:
        colour = STEPS[step_of(scale, square.counts)]
        part = _pixels(square, um_per_px)
        tinted = (1.0 - OPACITY) * drawn[part] + OPACITY * np.array(colour, np.float32)
        drawn[part] = np.where(is_tissue[part], tinted, drawn[part])
    canvas = np.clip(np.round(drawn), 0, 255).astype(np.uint8)
    _mark_spots(canvas, score, um_per_px)
    entries = [(hex_colour(colour), words, Square.GLASS) for colour, words in zip(STEPS, scale.words, strict=True)]
    note = f"squares of {MAP_SQUARE_UM / 1000:g} mm with {LEAST_SHOWN} tumour cells or more"
    return _above_legend(canvas, scale.title, entries, um_per_px, note)


def step_of(scale: HeatScale, counts: CellCounts) -> int:
    """Place of the colour among `STEPS`."""
    return int(np.searchsorted(scale.steps, scale.value(counts), side="right"))


def _pixels(square: ScoredSquare, um_per_px: float) -> tuple[slice, slice]:
    left, top = round(square.left_um / um_per_px), round(square.top_um / um_per_px)
    right, bottom = (round((start + square.side_um) / um_per_px) for start in (square.left_um, square.top_um))
    return slice(top, bottom), slice(left, right)


def _mark_spots(canvas: RgbImage, score: SlideScore, um_per_px: float) -> None:
    """A frame with its square's number round each hot spot, which can be read however large the picture is."""
    scale = float(np.clip(max(canvas.shape[:2]) / _LEGEND_PX, 1.0, 2.0))
    for spot in score.hot_spots:
        corner = ((spot.x_um - spot.side_um / 2) / um_per_px, (spot.y_um - spot.side_um / 2) / um_per_px)
        side = spot.side_um / um_per_px
        low, high = (round(value) for value in corner), (round(value + side) for value in corner)
        ends = tuple(low), tuple(high)
        for colour, width in ((halo(MARKED), 5), (MARKED, 2)):
            cv2.rectangle(canvas, *ends, colour, width)
        at = (ends[0][0] + round(6 * scale), ends[0][1] + round(22 * scale))
        for colour, width in ((halo(MARKED), round(5 * scale)), (MARKED, round(1.5 * scale))):
            cv2.putText(
                canvas, str(spot.number), at, cv2.FONT_HERSHEY_SIMPLEX, 0.65 * scale, colour, width, cv2.LINE_AA
            )


# ---- the map of what was left out ---------------------------------------------------------------------------------


def tissue_map(score: SlideScore) -> RgbImage:
    """The slide with what was looked at, read as control, and left out; each kind has its own colour and pattern."""
    survey = score.survey
    picture, um_per_px = _picture(survey)
    canvas = picture.copy()
    kinds = _kinds(survey, canvas.shape[:2], um_per_px)
    pattern_row, pattern_column = np.ogrid[: canvas.shape[0], : canvas.shape[1]]
    for kind in KIND_WORDS:
        where = kinds == kind
        if kind is not Square.TISSUE:
            _blend(canvas, where & _hatched(kind, pattern_row, pattern_column), KIND_COLOURS[kind])
        _edge(canvas, where, KIND_COLOURS[kind])
    _mark_spots(canvas, score, um_per_px)
    found = [kind for kind in KIND_WORDS if (survey.tissue.squares == kind).any()]
    entries = [
        (hex_colour(KIND_COLOURS[kind]), f"{KIND_WORDS[kind]}: {survey.tissue.area_mm2(kind):.2f} mm\u00b2", kind)
        for kind in found
    ]
    return _above_legend(canvas, "What was looked at, and what was left out", entries, um_per_px)


def _kinds(survey: Survey, size_hw: tuple[int, int], um_per_px: float) -> NDArray[np.uint8]:
    """`Square` value at each pixel."""
    tissue = survey.tissue
    row, column = (np.floor((np.arange(side) + 0.5) * um_per_px / tissue.square_um).astype(np.intp) for side in size_hw)
    rows, columns = tissue.squares.shape
    kinds = tissue.squares[np.minimum(row, rows - 1)[:, None], np.minimum(column, columns - 1)[None, :]].copy()
    kinds[row >= rows] = Square.GLASS
    kinds[:, column >= columns] = Square.GLASS
    return kinds


def _hatched(kind: Square, row: NDArray[np.intp], column: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Where the lines of a kind's pattern pass."""
    across: NDArray[np.intp] = {
        Square.CONTROL: row + 0 * column,
        Square.LEFT_OUT: row + column,
        Square.PEN: 0 * row + 0 * column,
        Square.FOLD: row - column,
        Square.BLUR: column + 0 * row,
    }[kind]
    return across % 10 < 4


def _blend(canvas: RgbImage, where: NDArray[np.bool_], colour: Rgb) -> None:
    mixed = 0.35 * canvas[where].astype(np.float32) + 0.65 * np.array(colour, np.float32)
    canvas[where] = np.round(mixed).astype(np.uint8)


def _edge(canvas: RgbImage, where: NDArray[np.bool_], colour: Rgb) -> None:
    """A line round each area of a kind."""
    inner = cv2.erode(where.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0)
    canvas[where & (inner == 0)] = colour


# ---- pieces -------------------------------------------------------------------------------------------------------


def _picture(survey: Survey) -> tuple[RgbImage, float]:
    """The overview at the size of a map, and its scale; never more than three times as large as it was read."""
    height, width = survey.overview.shape[:2]
    factor = min(3.0, LONGER_PX / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(survey.overview, size, interpolation=how), survey.overview_um_per_px * width / size[0]


_ROW, _LEFT, _SWATCH = 20.0, 12.0, 22.0
_LEGEND_PX = 800
"""Width of a picture under which letters of 11 px stand well."""
LEAST_WIDTH_PX = 960
"""Of a map with its legend: beside a narrow slide there is paper, or the words would be too small to read."""


def _above_legend(
    picture: RgbImage, title: str, entries: Sequence[tuple[str, str, Square]], um_per_px: float, note: str = ""
) -> RgbImage:
    """The picture, its place unchanged, with the legend below."""
    wide = max(picture.shape[1], LEAST_WIDTH_PX)
    beside = np.full((picture.shape[0], wide - picture.shape[1], 3), 255, np.uint8)
    return np.vstack([np.hstack([picture, beside]), _legend(wide, title, entries, um_per_px, note)])


def _legend(
    width_px: int, title: str, entries: Sequence[tuple[str, str, Square]], um_per_px: float, note: str = ""
) -> RgbImage:
    """Strip with a title, a scale bar, and a swatch with its words for each entry."""
    scale = float(np.clip(width_px / _LEGEND_PX, 0.6, 2.0))
    canvas = Canvas((width_px, 1), scale, PAPER)
    widest = max([canvas.text_width(words) for _, words, _ in entries], default=0.0) + _SWATCH + 24
    columns = max(1, min(len(entries), int((canvas.width - 2 * _LEFT) // widest)))
    rows = -(-len(entries) // columns)
    height = 2 * _ROW + rows * _ROW + (_ROW if note else 0.0) + 6
    canvas = Canvas((width_px, math.ceil(height * scale)), scale, PAPER)
    bar_mm = _round_length_mm(0.2 * width_px * um_per_px / 1000)
    bar = bar_mm * 1000 / um_per_px / scale
    canvas.text(
        (_LEFT, _ROW * 0.75), canvas.fitted(printable(title), canvas.width - 2 * _LEFT, bold=True), INK, bold=True
    )
    y = 1.75 * _ROW
    canvas.fill((_LEFT, y - 2, _LEFT + bar, y + 2), INK)
    canvas.text((_LEFT + bar + 8, y), f"{bar_mm:g} mm", INK)
    for place, (colour, words, kind) in enumerate(entries):
        row, column = divmod(place, columns)
        x, y = _LEFT + column * widest, (2.75 + row) * _ROW
        canvas.fill((x, y - 7, x + 16, y + 7), colour)
        if kind is Square.TISSUE:
            canvas.fill((x + 2, y - 5, x + 14, y + 5), PAPER)
        canvas.text((x + _SWATCH, y), words, INK)
    if note:
        canvas.text((_LEFT, (2.75 + rows) * _ROW), canvas.fitted(note, canvas.width - 2 * _LEFT), GREY)
    return canvas.rgb()


def _round_length_mm(most_mm: float) -> float:
    """The greatest length of 1, 2 or 5 times a power of ten that is no longer."""
    if most_mm <= 0:
        return 0.001
    power = 10.0 ** math.floor(math.log10(most_mm))
    return next(step * power for step in (5.0, 2.0, 1.0) if step * power <= most_mm * (1 + 1e-9))
