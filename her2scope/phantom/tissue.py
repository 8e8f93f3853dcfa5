"""Cells of a tissue with all their walls, in um on a slide. Nothing is stained yet.

Walls between cells are a power diagram, bent by a smooth field; some have come apart. All of it depends on place and
seed only, so any region of a slide is the same however it is reached.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from her2scope.phantom.cells import NO_HOLES, NO_NUCLEI, Patch, Walls
from her2scope.phantom.growth import EPITHELIA, Bools, Bounds, Ground, Matter, Section
from her2scope.phantom.habit import Habit
from her2scope.phantom.noise import Floats, Ints, smooth_noise, uniform
from her2scope.phantom.nuclei import place_holes, place_nuclei
from her2scope.phantom.tessellation import Lattice, walls_between

WALL_STEPS = 14
"""Straight pieces of one wall: each under 1 um but in the longest walls."""
BENDS_UM = ((5.0, 80.0), (2.2, 31.0), (0.8, 6.5), (0.3, 2.2))
"""Size and width of the bends of walls, beside those of the habit."""
WARP_WIDTH_UM, RAGGED_WIDTH_UM = 15.0, 1.3
MARGIN_PITCHES, MARGIN_UM = 5.5, 12.0
"""Around a region lie the places that decide how its cells look: 2 for a cell that reaches in, 2 for its neighbours,
and the bends."""


@dataclass(frozen=True, slots=True)
class Tissue:
    """Pieces of tissue on a slide without end."""

    seed: int
    sections: tuple[Section, ...]
    habit: Habit = Habit()

    def matter_at(self, x_um: Floats, y_um: Floats) -> tuple[Ints, Ints]:
        """What lies at each place (codes of `Matter`), and in which section."""
        return self._ground().matter_at(x_um, y_um)

    def _ground(self) -> Ground:
        return Ground(self.seed, self.habit, self.sections)

    def patch(self, bounds_um: Bounds) -> Patch:
        """All cells that touch the region (left, top, right, bottom)."""
        lattice = Lattice(self.seed, self.habit)
        i, j = lattice.places(bounds_um, MARGIN_PITCHES * self.habit.pitch_um + MARGIN_UM)
        x, y = lattice.sites(i, j)
        rows = np.arange(x.size).reshape(x.shape)
        cells, straight = walls_between(x, y, lattice.weights(i, j), rows)
        matrix = lattice.matrix()
        site_um, straight_um = np.stack([x.ravel(), y.ravel()], axis=1) @ matrix, straight @ matrix
        site_um = _bent(self.seed, self.habit, site_um)
        matter, section = self.matter_at(site_um[:, 0], site_um[:, 1])
        is_whole = _whole(rows)
        drawn = (matter[cells] != Matter.GLASS).any(axis=1) & is_whole[cells].any(axis=1)
        walls = _walls(self.seed, self.habit, i, j, cells[drawn], straight_um[drawn], matter, site_um)
        sides = _sides(walls.cells, walls.line_um, site_um)
        key = np.stack([i.ravel(), j.ravel()], axis=1)
        fat, vessels = self._ground().voids(bounds_um)
        shapes = (self.seed, self.habit, key, site_um, matter, section, is_whole, walls, *sides)
        bare = Patch(*shapes, NO_NUCLEI, NO_HOLES, fat, vessels)
        return replace(bare, nuclei=place_nuclei(bare), holes=place_holes(bare))


def _whole(rows: Ints) -> Bools:
    whole = np.zeros(rows.shape, np.bool_)
    whole[4:-4, 4:-4] = True
    return whole.ravel()


def _bent(seed: int, habit: Habit, xy_um: Floats) -> Floats:
    """Places shifted by a smooth field: no living wall is straight."""
    x, y = xy_um[..., 0], xy_um[..., 1]
    bends = (*BENDS_UM, (habit.warp_um, WARP_WIDTH_UM), (habit.ragged_um, RAGGED_WIDTH_UM))
    shift = [
        sum(size_um * smooth_noise(seed, f"bend {axis} {width_um}", x, y, width_um) for size_um, width_um in bends)
        for axis in ("x", "y")
    ]
    return xy_um + np.stack(shift, axis=-1)


def _walls(
    seed: int, habit: Habit, i: Ints, j: Ints, cells: Ints, straight_um: Floats, matter: Ints, site_um: Floats
) -> Walls:
    steps = np.linspace(0.0, 1.0, WALL_STEPS + 1)[:, None]
    line_um = _bent(seed, habit, straight_um[:, :1] + steps * (straight_um[:, 1:] - straight_um[:, :1]))
    name = [part.ravel()[cells].sum(axis=1) for part in (i, j)]  # the sum of two neighbours' places names their wall
    along = straight_um[:, 1] - straight_um[:, 0]
    length_um = np.hypot(along[:, 0], along[:, 1])
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / length_um[:, None]
    to_first = ((site_um[cells[:, 0]] - site_um[cells[:, 1]]) * normal).sum(axis=1)
    normal *= np.where(to_first < 0, -1.0, 1.0)[:, None]
    back = _drawn_back(seed, habit, name, length_um, matter[cells], steps[:, 0])
    inward = np.stack([back[:, 0, :, None] * normal[:, None], -back[:, 1, :, None] * normal[:, None]], axis=1)
    return Walls(cells, line_um, inward, _pens(seed, habit, name))


def _pens(seed: int, habit: Habit, name: list[Ints]) -> Ints:
    """`cells.PENS` of each wall."""
    usual = 1
    drawn = uniform(seed, "pen", *name)
    pens = np.where(drawn < habit.line_variation, np.where(drawn < habit.line_variation / 2.0, 0, 2), usual)
    return np.where(uniform(seed, "slant", *name) < habit.slant_share, 3, pens)


def _is_epithelial(matter: Ints) -> Bools:
    return np.isin(matter, EPITHELIA)


def _drawn_back(seed: int, habit: Habit, name: list[Ints], length_um: Floats, matter: Ints, steps: Floats) -> Floats:
    """How far the two cells of each wall have drawn back along it, `(W, 2, STEPS + 1)` um.

    Two epithelial cells part unevenly, each by its own; from stroma a cell parts along the whole wall; towards glass
    it bulges out.
    """
    size, skew, bulge = (uniform(seed, f"gap {what}", *name) for what in ("size", "skew", "bulge"))
    apart = uniform(seed, "gap", *name) < habit.gap_share
    epithelial = _is_epithelial(matter)
    both = epithelial.all(axis=1) & (matter[:, 0] == matter[:, 1])
    rim = epithelial.any(axis=1) & ~epithelial.all(axis=1)
    to_glass = rim & (matter == Matter.GLASS).any(axis=1)
    widest = np.minimum(habit.gap_um, 0.3 * length_um) * (0.3 + 0.7 * size)
    leaning = np.sin(np.pi * steps[None] ** (0.6 + 1.2 * skew[:, None]))  # widest somewhere along the wall
    shares = np.stack([skew, 1.0 - skew], axis=1)
    within = np.where(both & apart, widest, 0.0)[:, None, None] * shares[..., None] * leaning[:, None]
    pulled = np.where(rim & apart, habit.gap_um * size, 0.0)[:, None, None] * ~epithelial[..., None]
    arch = (habit.bulge * length_um * (0.4 + 0.6 * bulge))[:, None] * np.sin(np.pi * steps)[None]
    out = np.where(to_glass[:, None, None] & epithelial[..., None], arch[:, None], 0.0)
    return np.asarray(within + pulled - out)


def _sides(wall_cells: Ints, line_um: Floats, site_um: Floats) -> tuple[Ints, Ints, Ints]:
    """The walls around each cell in order: wall, which of its cells, and where each cell's begin."""
    cell = wall_cells.T.ravel()
    wall = np.tile(np.arange(len(wall_cells)), 2)
    number = np.repeat([0, 1], len(wall_cells))
    away = np.tile(line_um[:, line_um.shape[1] // 2], (2, 1)) - site_um[cell]
    order = np.lexsort((np.arctan2(away[:, 1], away[:, 0]), cell))
    first_side = np.searchsorted(cell[order], np.arange(len(site_um) + 1))
    return wall[order], number[order], first_side
