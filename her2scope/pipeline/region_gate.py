"""Where to count: a region model, trained from polygons, says in which tissue cells are counted.

Cells elsewhere stay listed with their measures, and are not counted. A control is read without it: what tissue it is,
is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellCounts
from her2scope.domain.errors import BadInputError, NotAvailableError
from her2scope.domain.guideline import Finding
from her2scope.domain.score import TooFewCells
from her2scope.ports import RegionModel
from her2scope.records import Cell, FieldResult, Frame, Mask, RgbImage, class_counts
from her2scope.settings import WhereToCount

Find = Callable[[CellCounts, float], Finding | TooFewCells]
"""Score of one field's cells at a scale (um/px)."""
OUTSIDE = 255
"""Value of a place outside in a mask of `RegionGate.outside`; 0: cells count there."""
MAX_COARSER = 1.25
"""A picture coarser than the model's scale by more than this would have to be blown up to what it does not show."""
MIN_SIDE_PX = 16
"""Pixels of the model's scale that the shorter side of a picture must have: fewer show no tissue, only colours."""


@dataclass(frozen=True, slots=True, eq=False)
class RegionGate:
    """A loaded region model, and in which of its classes cells count."""

    model: RegionModel
    where: WhereToCount
    folder: str = ""
    """That the model was read from, by which a stored case finds it again."""

    @staticmethod
    def of(
        model: RegionModel, count_in: Sequence[str] = (), least_probability: float = 0.5, folder: str = ""
    ) -> RegionGate:
        """Gate of a model; without a class named, the only one beside its background.

        Raises NotAvailableError for a class that the model does not have, BadInputError where none or all are meant.
        """
        for name in count_in:
            if name not in model.classes:
                raise NotAvailableError(f"class of the region model {model.name}", name, list(model.classes))
        named = set(count_in) or set(model.classes[1:])
        if not count_in and len(named) != 1:
            known = ", ".join(model.classes)
            raise BadInputError(
                f"region model {model.name} has the classes {known}: say with --count-in where to count."
            )
        if len(named) == len(set(model.classes)):
            raise BadInputError(
                f"all classes of region model {model.name} are named: to count everywhere, leave it out."
            )
        chosen = tuple(name for name in model.classes if name in named)
        return RegionGate(model, WhereToCount(model.name, model.sha256, chosen, least_probability), folder)

    def refusal(self, um_per_px: float, size_hw: tuple[int, int]) -> str:
        """Why this model cannot say anything of a picture of that scale and size, in words; empty where it can."""
        own = self.model.um_per_px
        if um_per_px > MAX_COARSER * own:
            return (
                f"region model {self.model.name} works at {own:.3g} um/px, and this picture has {um_per_px:.3g}: "
                "use a stronger objective, or another region model"
            )
        if min(size_hw) * um_per_px < MIN_SIDE_PX * own:
            return (
                f"the picture is too small for region model {self.model.name}: at its {own:.3g} um/px the shorter side "
                f"has less than {MIN_SIDE_PX} px; take a larger field"
            )
        return ""

    def outside(self, rgb: RgbImage, um_per_px: float) -> Mask:
        """`(h, w)` at the model's scale: `OUTSIDE` where cells do not count, else 0."""
        places = [self.model.classes.index(name) for name in self.where.count_in]
        probability = self.model.probabilities(rgb, um_per_px)[places].sum(axis=0)
        return np.where(probability >= self.where.least_probability, 0, OUTSIDE).astype(np.uint8)

    def within(self, outside: Mask, um_per_px: float, xy_px: NDArray[np.float64]) -> NDArray[np.bool_]:
        """`(N,)` which places of a picture of that scale count, by its mask.

        Parameters
        ----------
        xy_px : (N, 2) float
            Middles of nuclei, x to the right; whole numbers are the middles of pixels.
        """
        ratio = self.model.um_per_px / um_per_px
        column, row = (np.floor((xy_px[:, axis] + 0.5) / ratio).astype(np.intp) for axis in (0, 1))
        height, width = outside.shape
        return np.asarray(outside[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)] == 0)

    def apply(self, frame: Frame, cells: Sequence[Cell]) -> tuple[tuple[Cell, ...], Mask]:
        """The cells of a frame, each knowing whether it lies where cells count; and the mask that says so."""
        outside = self.outside(frame.rgb, frame.um_per_px)
        xy_px = np.array([(cell.x_px, cell.y_px) for cell in cells], dtype=np.float64).reshape(-1, 2)
        flags = self.within(outside, frame.um_per_px, xy_px).tolist()
        told = (cell if flag else replace(cell, within=False) for cell, flag in zip(cells, flags, strict=True))
        return tuple(told), outside


def counted_everywhere(result: FieldResult, find: Find) -> FieldResult:
    """The same analysis as if cells counted everywhere, as a control is read."""
    if result.outside is None:
        return result
    cells = tuple(cell if cell.within else replace(cell, within=True) for cell in result.cells)
    counts = class_counts(cell for cell in cells if cell.is_countable)
    return replace(result, cells=cells, counts=counts, finding=find(counts, result.frame.um_per_px), outside=None)
