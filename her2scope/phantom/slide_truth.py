"""Truth of a phantom slide: what a reader who sees every cell of the case's tissue would find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.guideline import Category, Finding
from her2scope.phantom.growth import TUMOURS, Bounds
from her2scope.phantom.noise import Grid
from her2scope.phantom.slide import PhantomSlide
from her2scope.phantom.slide_file import SlideSpec
from her2scope.phantom.truth import count_cells, find_truth_score
from her2scope.settings import as_mapping

SCHEMA = "her2scope.phantom-slide/1"
CASE = "tissue"
"""The section of the case; the others are its controls."""
COUNTED_UM_PER_PX = 0.5
"""Nuclei that cannot be made out in a picture of this scale are not counted, as in a field's truth. A finer one costs
three times as much; shares then differed by at most 0.25 points (two slides)."""
BLOCK_UM, AROUND_UM = 512.0, 40.0
"""A case is counted in blocks of about this side; so much around a block is drawn that none of its cells is cut."""
MATTER_BLOCK = 512
"""Side of what is asked for in one go, in steps of a map."""


def slide_truth(spec: SlideSpec, told: Callable[[float], None] = lambda share: None) -> dict[str, Any]:
    """Score, shares and percentage of complete membranes of the whole case; `told` hears of the share that is done."""
    counts = case_counts(spec.slide(), told)
    finding = find_truth_score(counts)
    scored = finding if isinstance(finding, Finding) else None
    shares = counts.shares_percent()
    return {
        "schema": SCHEMA,
        "slide": as_mapping(spec),
        "score": scored.score if scored else None,
        "category": scored.category.value if scored else Category.UNDETERMINED.value,
        "reasons": list(finding.reasons) if isinstance(finding, Finding) else [str(finding)],
        "n_tumour": counts.n_tumour,
        "n_other": counts.n_other,
        "shares_percent": None if shares is None else {name.value: round(share, 4) for name, share in shares.items()},
        "complete_percent": round(complete_percent(counts), 4),
    }


def complete_percent(counts: CellCounts) -> float:
    """Tumour cells with complete membrane staining, intense or not."""
    complete = counts[CellClass.COMPLETE_INTENSE] + counts[CellClass.COMPLETE_MODERATE]
    return 100.0 * complete / max(1, counts.n_tumour)


def case_counts(slide: PhantomSlide, told: Callable[[float], None] = lambda share: None) -> CellCounts:
    """All cells of the case's tissue, each once."""
    blocks = list(_blocks(case_bounds_um(slide)))
    total = CellCounts()
    for number, block in enumerate(blocks, start=1):
        total += _counted(slide, block)
        told(number / len(blocks))
    return total


def case_bounds_um(slide: PhantomSlide) -> Bounds:
    """Box of the case's tissue."""
    return next(bounds for name, bounds in section_bounds_um(slide).items() if name == CASE)


def section_bounds_um(slide: PhantomSlide) -> dict[str, Bounds]:
    """Boxes of all pieces of tissue by their names: nothing of them lies outside but what bulges by a few um."""
    return {section.name: section.bounds_um for section in slide.sections if section.bounds_um is not None}


def tumour_map(slide: PhantomSlide, grid: Grid) -> NDArray[np.bool_]:
    """`(H, W)`: whether a place is tumour, in ducts or not, before cells give it their own edge."""
    found = np.zeros((grid.height, grid.width), np.bool_)
    for top in range(0, grid.height, MATTER_BLOCK):
        for left in range(0, grid.width, MATTER_BLOCK):
            rows, columns = range(grid.height)[top : top + MATTER_BLOCK], range(grid.width)[left : left + MATTER_BLOCK]
            x = grid.left_um + (np.array(columns) + 0.5) * grid.um_per_px
            y = grid.top_um + (np.array(rows) + 0.5) * grid.um_per_px
            matter, _ = slide.matter_at(*np.meshgrid(x, y))
            found[top : top + len(rows), left : left + len(columns)] = np.isin(matter, TUMOURS)
    return found


def _counted(slide: PhantomSlide, block_um: Bounds) -> CellCounts:
    """Cells whose middle lies in a block."""
    left, top, right, bottom = block_um
    corner_px = [round((side - AROUND_UM) / COUNTED_UM_PER_PX) for side in (left, top)]
    size_wh = tuple(
        ceil((far - near + 2 * AROUND_UM) / COUNTED_UM_PER_PX) for near, far in ((left, right), (top, bottom))
    )
    truth = slide.truth(corner_px[0], corner_px[1], (size_wh[0], size_wh[1]), COUNTED_UM_PER_PX, COUNTED_UM_PER_PX)

    def is_inside(cell: dict[str, Any]) -> bool:
        x_um = (corner_px[0] + 0.5 + cell["x_px"]) * COUNTED_UM_PER_PX
        y_um = (corner_px[1] + 0.5 + cell["y_px"]) * COUNTED_UM_PER_PX
        return bool(left <= x_um < right and top <= y_um < bottom)

    return count_cells([cell for cell in truth["cells"] if is_inside(cell)])


def _blocks(bounds_um: Bounds) -> Iterator[Bounds]:
    """Blocks that share out a box and the rim that its cells bulge into."""
    left, top, right, bottom = (
        side + sign * AROUND_UM for side, sign in zip(bounds_um, (-1.0, -1.0, 1.0, 1.0), strict=True)
    )
    columns, rows = (
        np.linspace(first, last, 1 + max(1, round((last - first) / BLOCK_UM))).tolist()
        for first, last in ((left, right), (top, bottom))
    )
    for upper, lower in pairwise(rows):
        for near, far in pairwise(columns):
            yield near, upper, far, lower
