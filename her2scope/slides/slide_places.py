"""Places of a slide to look at: hot spots, the most stained parts and usual ones, with every cell that was found."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellCounts, CellKind, MembraneMeasure
from her2scope.domain.errors import UnreadableImageError
from her2scope.domain.guideline import COMPLETE
from her2scope.domain.heterogeneity import MIN_HOT_CELLS
from her2scope.imaging.staining import SATURATION_LEVELS
from her2scope.ports import SlideReader
from her2scope.records import CameraState, Cell, FieldResult, Frame, QualityReport, StainSummary, class_counts
from her2scope.slides.records import CLASS_CODES, NO_CLASS, ScoredSquare, SlideCells, SlideScore
from her2scope.slides.slide_score import mean_weight
from her2scope.slides.tiles import read_core

VIEW_UM = (240.0, 150.0)
"""Width and height of a place: 960 x 600 px at 0.25 um/px, in which each outline can be seen on paper."""
MOST_HOT, MOST_STAINED, USUAL = 4, 3, 2
"""Places of each kind that are shown."""
LEAST_OF_USUAL = 0.25
"""Tumour cells of a square that is shown, as a share of the median square's: a rim of tissue shows little."""
STEP_UM = 30.0
"""Steps in which the part of a square with most cells is looked for."""
_SHOWN = QualityReport(True, (), (), focus=1.0, clipped_share=0.0, tissue_share=1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A part of a slide with its cells, drawn as a field is."""

    title: str
    words: str
    result: FieldResult


def places_to_show(score: SlideScore, cells: SlideCells, reader: SlideReader, response: str) -> list[Place]:
    """Places that a reader should look at, each square once; a part of the slide that cannot be read is no place."""
    found = []
    for title, square in _chosen(score):
        with contextlib.suppress(UnreadableImageError):  # its tile is missing too, and that is said
            found.append(_place(title, square, score, cells, reader, response))
    return found


def _chosen(score: SlideScore) -> Iterator[tuple[str, ScoredSquare]]:
    by_number = {square.number: square for square in score.squares}
    hot = [by_number[spot.number] for spot in score.hot_spots[:MOST_HOT]]
    yield from (("Hot spot", square) for square in hot)
    usual = float(np.median([one.counts.n_tumour for one in score.squares])) if score.squares else 0.0
    least = max(MIN_HOT_CELLS, LEAST_OF_USUAL * usual)
    left = [one for one in score.squares if one.counts.n_tumour >= least and one not in hot]
    order = sorted(left, key=lambda one: (-_complete_share(one.counts), -mean_weight(one.counts), one.number))
    yield from (("Most stained", square) for square in order[:MOST_STAINED])
    rest = order[MOST_STAINED:]
    middle = max(0, len(rest) // 2 - USUAL // 2)
    yield from (("Usual", square) for square in rest[middle : middle + USUAL])


def _complete_share(counts: CellCounts) -> float:
    return counts.sum_of(COMPLETE) / max(1, counts.n_tumour)


def _place(
    title: str, square: ScoredSquare, score: SlideScore, cells: SlideCells, reader: SlideReader, response: str
) -> Place:
    left_um, top_um = _view_corner(square, cells, favour_complete=title != "Usual")
    result = view_of(score, cells, reader, response, (left_um, top_um), VIEW_UM)
    counts = square.counts
    words = (
        f"Square {square.number}: {100 * _complete_share(counts):.0f} % of its {counts.n_tumour} tumour cells have "
        f"complete membrane staining. The picture shows {VIEW_UM[0]:.0f} x {VIEW_UM[1]:.0f} um of it."
    )
    return Place(f"{title}, square {square.number}", words, result)


def _view_corner(square: ScoredSquare, cells: SlideCells, favour_complete: bool) -> tuple[float, float]:
    """Corner of the view within a square that holds most of its tumour cells, or of its complete ones."""
    x_um, y_um = cells.x_um - square.left_um, cells.y_um - square.top_um
    within = (x_um >= 0) & (y_um >= 0) & (x_um < square.side_um) & (y_um < square.side_um)
    here = np.flatnonzero(within & cells.within & cells.is_tumour)
    x_um, y_um = x_um[here], y_um[here]
    is_complete = np.isin(cells.class_code[here], [CLASS_CODES.index(name) for name in COMPLETE])
    weight = 1.0 + 9.0 * is_complete * favour_complete
    best, corner = -1.0, (0.0, 0.0)
    for top in np.arange(0.0, max(1.0, square.side_um - VIEW_UM[1] + 1.0), STEP_UM):
        for left in np.arange(0.0, max(1.0, square.side_um - VIEW_UM[0] + 1.0), STEP_UM):
            held = (x_um >= left) & (x_um < left + VIEW_UM[0]) & (y_um >= top) & (y_um < top + VIEW_UM[1])
            found = float(weight[held].sum())
            if found > best:
                best, corner = found, (float(left), float(top))
    return square.left_um + corner[0], square.top_um + corner[1]


def view_of(
    score: SlideScore,
    cells: SlideCells,
    reader: SlideReader,
    response: str,
    corner_um: tuple[float, float],
    size_um: tuple[float, float],
) -> FieldResult:
    """A piece of the slide as a field, with the cells whose middle lies in it; nothing is measured anew."""
    scale = score.survey.scale
    rgb = read_core(reader, scale, *corner_um, *size_um)
    # the picture begins at a whole pixel, so the cells are placed by that
    corner_px = np.array([round(place / scale.um_per_px) for place in corner_um])
    name = f"{score.survey.path.name} at {corner_um[0] / 1000:.2f}, {corner_um[1] / 1000:.2f} mm"
    frame = Frame(np.ascontiguousarray(rgb), 0, 0.0, scale.um_per_px, CameraState(response=response), name)
    found = _cells_in(cells, corner_px, frame)
    return FieldResult(
        frame=frame, quality=_SHOWN, cells=found, membrane=np.zeros(frame.size_hw, np.uint8), cuts=score.cuts,
        counts=class_counts(found), finding=None, stain=StainSummary(0.0, 0.0, 0.0, 0.0),
        curve=(0.0,) * len(SATURATION_LEVELS), white_rgb=score.survey.white_rgb,
        white_estimated=score.survey.white_estimated, program=score.program,
    )  # fmt: skip


def _cells_in(cells: SlideCells, corner_px: NDArray[np.intp], frame: Frame) -> tuple[Cell, ...]:
    height, width = frame.size_hw
    xy_px = np.stack([cells.x_um, cells.y_um], axis=1) / frame.um_per_px - 0.5 - corner_px
    inside = (xy_px >= -0.5).all(axis=1) & (xy_px[:, 0] < width - 0.5) & (xy_px[:, 1] < height - 0.5)
    return as_cells(cells, np.flatnonzero(inside & cells.within), xy_px, frame.um_per_px)


def as_cells(
    cells: SlideCells, rows: NDArray[np.intp], xy_px: NDArray[np.float64], um_per_px: float
) -> tuple[Cell, ...]:
    """Some cells one by one, as those of a field, with their middles at `xy_px` (of all cells)."""
    outlines = xy_px[rows, None] + cells.outline_um[rows].astype(np.float64) / um_per_px
    return tuple(_cell(cells, int(row), xy_px[row], outline) for row, outline in zip(rows, outlines, strict=True))


def _cell(cells: SlideCells, row: int, xy_px: Sequence[float], outline_px: NDArray[np.float64]) -> Cell:
    code = int(cells.class_code[row])
    measure = MembraneMeasure(
        float(cells.completeness[row]), float(cells.intensity_od10[row]), float(cells.intense_share[row]),
        float(cells.uniform_od10[row]), bool(cells.uncertain[row]),
    )  # fmt: skip
    tumour = code != NO_CLASS
    return Cell(
        x_px=float(xy_px[0]), y_px=float(xy_px[1]), nucleus_radius_um=float(cells.radius_um[row]),
        kind=CellKind.TUMOUR if tumour else CellKind.OTHER, edge=False, measure=measure,
        outline_xy_px=outline_px.astype(np.float32), cell_class=CLASS_CODES[code] if tumour else None,
    )  # fmt: skip
