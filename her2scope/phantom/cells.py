"""A region's cells: walls, outlines, nuclei and small empty places, in um on a slide."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from her2scope.phantom.growth import EPITHELIA, TUMOURS, Bools
from her2scope.phantom.habit import Habit
from her2scope.phantom.noise import Floats, Ints

PENS = ((0.65, 0.92), (1.0, 1.0), (1.45, 0.9), (1.7, 0.72))
"""Factors on the width and od10 of a line: thin, usual, thick, and a wall cut aslant: broad and pale."""
T = TypeVar("T", np.float64, np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Nuclei:
    """Ellipses with dents, one a row."""

    cell: Ints
    """Row of the cell that a nucleus lies in; -1: in none."""
    xy_um: Floats
    axes_um: Floats
    """`(N, 2)` half axes, the longer first."""
    angle: Floats
    """Direction of the longer axis, radians."""
    kind: NDArray[np.str_]
    """Key of `stain.NUCLEUS_OD10`."""
    tone: Floats
    """Uniform number (0..1): how dark it is among its kind."""
    pale: Floats
    """How pale it is inside its rim (0..1)."""
    dent: Floats
    """Depth of its dents as a share of the radius."""


@dataclass(frozen=True, slots=True, eq=False)
class Holes:
    """Round empty places, one a row."""

    xy_um: Floats
    radius_um: Floats
    clear: Floats
    """How empty (0..1)."""


NO_NUCLEI = Nuclei(
    np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0), np.zeros(0, "U16"), *np.zeros((3, 0))
)
NO_HOLES = Holes(np.zeros((0, 2)), np.zeros(0), np.zeros(0))


@dataclass(frozen=True, slots=True, eq=False)
class Walls:
    """Walls between cells, one a row."""

    cells: Ints
    """`(W, 2)` rows of the two cells that share a wall."""
    line_um: Floats
    """`(W, WALL_STEPS + 1, 2)` places along the middle of each wall, counter-clockwise around its first cell (y up)."""
    inward_um: Floats
    """`(W, 2, WALL_STEPS + 1, 2)`: how far each of the two cells has drawn back from that line."""
    pen: Ints
    """How the wall's DAB is drawn, a place in `PENS`."""


@dataclass(frozen=True, eq=False)
class Patch:
    """The cells that touch a region, with all their walls. Rows of cells and of walls belong together."""

    seed: int
    habit: Habit
    key: Ints
    """`(N, 2)` lattice place of each cell: its name on the slide."""
    site_um: Floats
    matter: Ints
    section: Ints
    """Row in the tissue's sections."""
    is_whole: Bools
    """All walls of the cell are here: true of every cell that touches the region."""
    walls: Walls
    side_wall: Ints
    """Walls around the cells, one cell after the other, in order around each."""
    side_number: Ints
    """0 or 1: as which of the wall's two cells."""
    first_side: Ints
    """`(N + 1,)` where each cell's sides begin."""
    nuclei: Nuclei
    holes: Holes
    fat: list[Floats] = field(default_factory=list)
    vessels: list[Floats] = field(default_factory=list)
    """Closed outlines (um) of empty places in stroma."""

    def side_lines(self, lines: NDArray[T]) -> NDArray[T]:
        """Lines of the walls' two sides, `(W, 2, WALL_STEPS + 1, 2)`, as every cell goes round: `(S, STEPS + 1, 2)`."""
        chosen = lines[self.side_wall, self.side_number]
        return np.where(self.side_number[:, None, None] == 0, chosen, chosen[:, ::-1])

    @cached_property
    def both_sides_um(self) -> Floats:
        """`(W, 2, WALL_STEPS + 1, 2)`: each cell's own side of each wall."""
        return self.walls.line_um[:, None] + self.walls.inward_um

    @cached_property
    def around_um(self) -> Floats:
        """`(S, WALL_STEPS + 1, 2)`: the sides as every cell goes round."""
        return self.side_lines(self.both_sides_um)

    @cached_property
    def side_cell(self) -> Ints:
        """Cell of each side."""
        return np.repeat(np.arange(len(self.key)), np.diff(self.first_side))

    def sides(self, cell: int) -> slice:
        """Where a cell's sides are."""
        return slice(int(self.first_side[cell]), int(self.first_side[cell + 1]))

    def outline_um(self, cell: int) -> Floats:
        """Closed outline `(M, 2)` of one cell."""
        return self.around_um[self.sides(cell), :-1].reshape(-1, 2)

    @cached_property
    def centre_um(self) -> Floats:
        """`(N, 2)` centre of gravity of the outline."""
        cell = self.side_cell
        return self.site_um + _centres(self.around_um - self.site_um[cell][:, None], cell, len(self.key))

    @cached_property
    def inner_radius_um(self) -> Floats:
        """`(N,)` distance from the centre to the nearest place of the outline.

        0 of a cell without walls here and where the centre lies outside the outline.
        """
        cell = self.side_cell
        return clearance(self.around_um - self.centre_um[cell][:, None], cell, len(self.key))

    def is_tumour(self) -> Bools:
        """Per cell: invasive or in a duct."""
        return np.isin(self.matter, TUMOURS)

    def is_epithelium(self) -> Bools:
        """Per cell: it has a membrane that can be stained."""
        return np.isin(self.matter, EPITHELIA)


def clearance(lines: Floats, owner: Ints, n_owners: int) -> Floats:
    """Distance from the origin to the nearest place of each owner's closed outline; 0 where it lies outside."""
    nearest = np.full(n_owners, np.inf)
    np.minimum.at(nearest, owner, np.hypot(lines[..., 0], lines[..., 1]).min(axis=1))
    start, end = lines[:, :-1], lines[:, 1:]
    cross = start[..., 0] * end[..., 1] - end[..., 0] * start[..., 1]
    turned = np.bincount(owner, np.arctan2(cross, (start * end).sum(axis=2)).sum(axis=1), n_owners)
    return np.where(np.abs(turned) > np.pi, nearest, 0.0)


def _centres(lines: Floats, cell: Ints, n_cells: int) -> Floats:
    """Centre of gravity of each cell, relative to its site (shoelace formula)."""
    start, end = lines[:, :-1], lines[:, 1:]
    cross = start[..., 0] * end[..., 1] - end[..., 0] * start[..., 1]
    area2 = np.bincount(cell, cross.sum(axis=1), n_cells)
    moment = ((start + end) * cross[..., None]).sum(axis=1)
    sums = np.stack([np.bincount(cell, moment[:, axis], n_cells) for axis in (0, 1)], axis=1)
    return np.asarray(sums / np.where(np.abs(area2) < 1.0, np.inf, 3.0 * area2)[:, None])
