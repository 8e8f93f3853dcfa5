"""Regions that a reader outlines on the slide, in um of the map, so that every field shows them on the same tissue."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError

Floats = NDArray[np.float64]
MIN_CORNERS = 3
LEAST_AREA_UM2 = 1e-6
"""Less is the rounding of a line."""


class RegionKind(StrEnum):
    """What the reader says of the tissue within."""

    EXCLUDE = "exclude"
    """Not to be scored: carcinoma in situ, artefact, necrosis. Its cells are not counted, in whichever field they lie.
    """
    NORMAL_DUCT = "normal_duct"
    """Normal ducts or lobules: their cells are no tumour cells but the case's internal negative control."""
    INVASIVE = "invasive"
    """Invasive tumour. Drawn on a field, only it counts of what that field shows; drawn on the map, sweeping counts
    within it only. The program cannot tell invasive tumour from carcinoma in situ: this is the reader's word."""


@dataclass(frozen=True, slots=True)
class RegionDraft:
    """A region as it is drawn, before the case has taken it."""

    kind: RegionKind
    island: int
    polygon_um: tuple[tuple[float, float], ...]
    """Corners (x, y) on the island; the last is joined to the first."""
    field: int | None = None
    """Field that it was drawn on; None: on the live picture or the map."""
    note: str = ""

    def __post_init__(self) -> None:
        if len(self.polygon_um) < MIN_CORNERS or area_um2(self.polygon_um) < LEAST_AREA_UM2:
            raise BadInputError("an outline encloses no area. Draw it round the tissue that is meant.")


@dataclass(frozen=True, slots=True)
class Region:
    """A region of a case."""

    number: int
    kind: RegionKind
    island: int
    polygon_um: tuple[tuple[float, float], ...]
    field: int | None = None
    note: str = ""

    def holds(self, xy_um: Floats) -> NDArray[np.bool_]:
        """`(N,)` which of the places `(N, 2)` (x, y) on the region's island lie within."""
        return inside(self.polygon_um, xy_um)

    def moved(self, island: int, dx_um: float, dy_um: float) -> Region:
        """The region on the island that its own was joined to."""
        polygon = tuple((x + dx_um, y + dy_um) for x, y in self.polygon_um)
        return Region(self.number, self.kind, island, polygon, self.field, self.note)


def inside(polygon_um: tuple[tuple[float, float], ...], xy_um: Floats) -> NDArray[np.bool_]:
    """`(N,)` which of the places `(N, 2)` a polygon encloses (even-odd rule, so an outline may cross itself)."""
    x, y = xy_um[:, 0], xy_um[:, 1]
    within = np.zeros(len(xy_um), dtype=bool)
    for (x1, y1), (x2, y2) in zip(polygon_um, (*polygon_um[1:], polygon_um[0]), strict=True):
        if y1 == y2:
            continue
        crosses = (y1 > y) != (y2 > y)
        within ^= crosses & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return within


def area_um2(polygon_um: tuple[tuple[float, float], ...]) -> float:
    """Area that `inside` takes for enclosed: of an outline that crosses itself, the sum of its loops by even-odd.

    Between two neighbouring heights of corners and crossings no two sides cross: there the polygon is trapezia, each
    between one side and the next.
    """
    start = np.array(polygon_um, dtype=np.float64)
    start -= start[0]  # far from the map's origin, differences of small lengths would drown
    end = np.roll(start, -1, axis=0)
    rising = start[:, 1] != end[:, 1]
    start, end = start[rising], end[rising]
    heights = np.unique(np.concatenate([start[:, 1], _crossing_heights(start, end)]))
    area = 0.0
    for low, high in zip(heights, heights[1:], strict=False):
        middle = (low + high) / 2
        crosses = (start[:, 1] > middle) != (end[:, 1] > middle)
        (x1, y1), (x2, y2) = start[crosses].T, end[crosses].T
        x = np.sort(x1 + (middle - y1) * (x2 - x1) / (y2 - y1))
        area += (high - low) * float(np.sum(x[1::2] - x[::2]))
    return area


def _crossing_heights(start: Floats, end: Floats) -> Floats:
    """Heights (y) at which sides `(N, 2)` to `(N, 2)` cross each other, ends included."""
    along = end - start
    between = start[None, :] - start[:, None]
    cross = along[:, None, 0] * along[None, :, 1] - along[:, None, 1] * along[None, :, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        one = (between[..., 0] * along[None, :, 1] - between[..., 1] * along[None, :, 0]) / cross
        other = (between[..., 0] * along[:, None, 1] - between[..., 1] * along[:, None, 0]) / cross
        meet = (cross != 0) & (one >= 0) & (one <= 1) & (other >= 0) & (other <= 1)
    return (start[:, None, 1] + one * along[:, None, 1])[meet]
