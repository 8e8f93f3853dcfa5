"""Where cells lie and how they are shaped, in um on a slide. Nothing is stained yet.

Cell centres are a jittered honeycomb; the walls between cells are their Voronoi diagram, bent by a smooth field. All of
it depends on place and seed only, so any region of a slide is the same however it is reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from her2scope.phantom.noise import Floats, Ints, smooth_noise, uniform

T = TypeVar("T", np.float64, np.int32)
Bounds = tuple[float, float, float, float]

PITCH_UM = 14.5
"""Distance of neighbouring cells before jitter; with it most are 12 to 18 um wide."""
ROW_UM = PITCH_UM * 3**0.5 / 2
JITTER = 0.32
"""Largest shift of a centre, in pitches and rows. Below 0.35 no cell reaches past its neighbours' neighbours."""
NEST_OCTAVES = (("nest", 0.72, 170.0), ("lobe", 0.38, 71.0))
"""Name, weight and width (um) of the two noises that make nests."""
RING = 6
"""Grid places around a region that decide how its cells look: 2 for a cell that reaches in, 2 for its neighbours, 2
for theirs."""
WALL_STEPS = 14
"""Straight pieces of one wall: each under 1 um but in the longest walls."""
BENDS_UM = ((2.2, 31.0), (1.0, 6.5), (0.3, 2.2))
"""Size and width of the bends of walls."""
NO_NUCLEUS_SHARE = 0.04
"""Tumour cells whose nucleus lies outside the section."""


class Matter(IntEnum):
    """What a grid place is made of."""

    GLASS = 0
    STROMA = 1
    TUMOUR = 2


@dataclass(frozen=True, slots=True)
class Section:
    """One piece of tissue on a slide."""

    name: str
    score: str
    """Pattern of antigen it carries, a key of `antigen.PATTERNS`."""
    bounds_um: Bounds | None = None
    """Left, top, right, bottom; None: it covers the whole slide."""
    nest_level: float = -0.14
    """Level of the nest field above which tissue is tumour: lower means more tumour."""


@dataclass(frozen=True, slots=True, eq=False)
class Nuclei:
    """Ellipses, one a row."""

    cell: Ints
    """Row of the cell that a nucleus lies in."""
    xy_um: Floats
    axes_um: Floats
    """`(N, 2)` half axes, the longer first."""
    angle: Floats
    """Direction of the longer axis, radians."""
    kind: tuple[str, ...]
    """`tumour`, `fibroblast` or `lymphocyte`."""
    tone: Floats
    """Uniform number (0..1): how dark it is among its kind."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """The cells that touch a region, with all their walls. Rows of cells and of walls belong together."""

    seed: int
    key: Ints
    """`(N, 2)` grid place of each cell: its name on the slide."""
    site_um: Floats
    matter: Ints
    section: Ints
    """Row in the tissue's sections."""
    centre_um: Floats
    """`(N, 2)` centre of gravity of the outline."""
    inner_radius_um: Floats
    """Distance from the centre to the nearest place of the outline."""
    is_whole: NDArray[np.bool_]
    """All walls of the cell are here: true of every cell that touches the region."""
    wall_cells: Ints
    """`(W, 2)` rows of the two cells that share a wall."""
    wall_um: Floats
    """`(W, WALL_STEPS + 1, 2)` places along each wall, counter-clockwise around its first cell (y up)."""
    side_wall: Ints
    """Walls around the cells, one cell after the other, in order around each."""
    side_number: Ints
    """0 or 1: as which of the wall's two cells."""
    first_side: Ints
    """`(N + 1,)` where each cell's sides begin."""
    nuclei: Nuclei

    def around(self, cell: int, walls: NDArray[T]) -> NDArray[T]:
        """Closed outline `(M, 2)` of one cell, from its walls in any unit, `(W, WALL_STEPS + 1, 2)`."""
        sides = slice(self.first_side[cell], self.first_side[cell + 1])
        return _oriented(walls[self.side_wall[sides]], self.side_number[sides])[:, :-1].reshape(-1, 2)

    def outline_um(self, cell: int) -> Floats:
        """Closed outline `(M, 2)` of one cell."""
        return self.around(cell, self.wall_um)

    def is_tumour(self) -> NDArray[np.bool_]:
        """Per cell."""
        return self.matter == Matter.TUMOUR


@dataclass(frozen=True, slots=True)
class Tissue:
    """Pieces of tissue on a slide without end."""

    seed: int
    sections: tuple[Section, ...]

    def matter_at(self, x_um: Floats, y_um: Floats) -> tuple[Ints, Ints]:
        """What lies at each place, and in which section."""
        nest = nest_field(self.seed, x_um, y_um)
        holes = smooth_noise(self.seed, "holes", x_um, y_um, 62.0)
        tears = smooth_noise(self.seed, "tears", x_um, y_um, 110.0)
        matter, section = np.zeros(x_um.shape, np.int64), np.zeros(x_um.shape, np.int64)
        for row, part in enumerate(self.sections):
            inside = self._inside(part, x_um, y_um)
            tumour = nest > part.nest_level
            gap = np.where(tumour, holes > 0.62, tears > 0.42)
            found = np.where(gap, Matter.GLASS, np.where(tumour, Matter.TUMOUR, Matter.STROMA))
            matter, section = np.where(inside, found, matter), np.where(inside, row, section)
        return matter, section

    def _inside(self, part: Section, x_um: Floats, y_um: Floats) -> NDArray[np.bool_]:
        if part.bounds_um is None:
            return np.ones(x_um.shape, np.bool_)
        left, top, right, bottom = part.bounds_um
        ragged = 25.0 * smooth_noise(self.seed, "rim", x_um, y_um, 70.0)
        depth = np.minimum(np.minimum(x_um - left, right - x_um), np.minimum(y_um - top, bottom - y_um))
        return np.asarray(depth > 25.0 + ragged)

    def patch(self, bounds_um: Bounds) -> Patch:
        """All cells that touch the region (left, top, right, bottom)."""
        i, j = _places(bounds_um)
        x_um, y_um = self._sites(i, j)
        matter, section = self.matter_at(x_um, y_um)
        rows = np.arange(x_um.size).reshape(x_um.shape)
        cells, straight = _voronoi_walls(x_um, y_um, rows)
        flat = matter.ravel()
        is_whole = _whole(rows)
        drawn = (flat[cells] != Matter.GLASS).any(axis=1) & is_whole[cells].any(axis=1)
        cells, straight = cells[drawn], straight[drawn]
        site_um = np.stack([x_um.ravel(), y_um.ravel()], axis=1)
        key = np.stack([i.ravel(), j.ravel()], axis=1)
        return _assembled(self.seed, key, site_um, flat, section.ravel(), cells, straight, is_whole)

    def _sites(self, i: Ints, j: Ints) -> tuple[Floats, Floats]:
        shift_x, shift_y = (JITTER * (2.0 * uniform(self.seed, name, i, j) - 1.0) for name in ("site x", "site y"))
        return PITCH_UM * (i + 0.5 * (j % 2) + shift_x), ROW_UM * (j + shift_y)


def nest_field(seed: int, x_um: Floats, y_um: Floats) -> Floats:
    """Smooth field whose heights are nests of tumour and along whose contours the fibres of the stroma run."""
    octaves = [weight * smooth_noise(seed, name, x_um, y_um, width_um) for name, weight, width_um in NEST_OCTAVES]
    return np.asarray(octaves[0] + octaves[1])


def _places(bounds_um: Bounds) -> tuple[Ints, Ints]:
    left, right = (int(np.floor(value / PITCH_UM)) for value in bounds_um[::2])
    top, bottom = (int(np.floor(value / ROW_UM)) for value in bounds_um[1::2])
    i, j = np.arange(left - RING, right + RING + 2), np.arange(top - RING, bottom + RING + 2)
    columns, lines = np.meshgrid(i, j)
    return columns, lines


def _whole(rows: Ints) -> NDArray[np.bool_]:
    whole = np.zeros(rows.shape, np.bool_)
    whole[RING - 2 : 2 - RING, RING - 2 : 2 - RING] = True
    return whole.ravel()


_AROUND = [(dx, dy) for dy in range(-2, 3) for dx in range(-2, 3) if (dx, dy) != (0, 0)]
_AHEAD = [place for place, (dx, dy) in enumerate(_AROUND) if (dy, dx) > (0, 0)]


def _voronoi_walls(x_um: Floats, y_um: Floats, rows: Ints) -> tuple[Ints, Floats]:
    """Walls of the Voronoi diagram: the two rows that share each, `(W, 2)`, and its end points, `(W, 2, 2)`.

    A wall lies on the bisector of two sites; every other neighbour cuts a piece off it.
    """
    inner = (slice(2, -2), slice(2, -2))
    shifted = [(slice(2 + dy, x_um.shape[0] - 2 + dy), slice(2 + dx, x_um.shape[1] - 2 + dx)) for dx, dy in _AROUND]
    own = np.stack([x_um[inner].ravel(), y_um[inner].ravel()])
    away = np.stack([np.stack([x_um[s].ravel(), y_um[s].ravel()]) for s in shifted], axis=2) - own[:, :, None]
    dx, dy = away[0], away[1]  # (n, 24) from each site to its neighbours
    half_square = (dx * dx + dy * dy) / 2.0
    kx, ky = dx[:, _AHEAD, None], dy[:, _AHEAD, None]
    across = dy[:, None, :] * kx - dx[:, None, :] * ky
    room = half_square[:, None, :] - (dx[:, None, :] * kx + dy[:, None, :] * ky) / 2.0
    where = np.divide(room, across, out=np.full(across.shape, np.inf), where=np.abs(across) > 1e-9)
    high = np.where(across > 1e-9, where, np.inf).min(axis=2)
    low = np.where(across < -1e-9, where, -np.inf).max(axis=2)
    site, ahead = np.nonzero(high - low > 1e-3)
    k = np.array(_AHEAD)[ahead]
    middle = np.stack([own[0, site] + dx[site, k] / 2.0, own[1, site] + dy[site, k] / 2.0], axis=1)
    along = np.stack([-dy[site, k], dx[site, k]], axis=1)
    ends = np.stack([low[site, ahead], high[site, ahead]], axis=1)
    neighbour = np.stack([rows[s].ravel() for s in shifted], axis=1)[site, k]
    return np.stack([rows[inner].ravel()[site], neighbour], axis=1), middle[:, None] + ends[:, :, None] * along[:, None]


def _bent(seed: int, xy_um: Floats) -> Floats:
    """Places shifted by a smooth field: no living wall is straight."""
    x, y = xy_um[..., 0], xy_um[..., 1]
    shift = [
        sum(size_um * smooth_noise(seed, f"bend {axis} {width_um}", x, y, width_um) for size_um, width_um in BENDS_UM)
        for axis in ("x", "y")
    ]
    return xy_um + np.stack(shift, axis=-1)


def _oriented(lines: NDArray[T], side_number: Ints) -> NDArray[T]:
    return np.where(side_number[:, None, None] == 0, lines, lines[:, ::-1])


def _assembled(
    seed: int,
    key: Ints,
    site_um: Floats,
    matter: Ints,
    section: Ints,
    wall_cells: Ints,
    straight: Floats,
    is_whole: NDArray[np.bool_],
) -> Patch:
    steps = np.linspace(0.0, 1.0, WALL_STEPS + 1)[:, None]
    wall_um = _bent(seed, straight[:, :1] + steps * (straight[:, 1:] - straight[:, :1]))
    cell = wall_cells.T.ravel()
    wall = np.tile(np.arange(len(wall_cells)), 2)
    number = np.repeat([0, 1], len(wall_cells))
    away = np.tile(straight.mean(axis=1), (2, 1)) - site_um[cell]
    order = np.lexsort((np.arctan2(away[:, 1], away[:, 0]), cell))
    cell, wall, number = cell[order], wall[order], number[order]
    first_side = np.searchsorted(cell, np.arange(len(site_um) + 1))
    lines = _oriented(wall_um[wall], number) - site_um[cell][:, None]
    centre = site_um + _centres(lines, cell, len(site_um))
    distance = np.hypot(*np.moveaxis(lines + (site_um - centre)[cell][:, None], -1, 0)).min(axis=1)
    inner = np.full(len(site_um), np.inf)
    np.minimum.at(inner, cell, distance)
    inner[~np.isfinite(inner)] = 0.0
    nuclei = _nuclei(seed, key, matter, is_whole, centre, inner)
    sides = (wall, number, first_side)
    return Patch(seed, key, site_um, matter, section, centre, inner, is_whole, wall_cells, wall_um, *sides, nuclei)


def _centres(lines: Floats, cell: Ints, n_cells: int) -> Floats:
    """Centre of gravity of each cell, relative to its site (shoelace formula)."""
    start, end = lines[:, :-1], lines[:, 1:]
    cross = start[..., 0] * end[..., 1] - end[..., 0] * start[..., 1]
    area2 = np.bincount(cell, cross.sum(axis=1), n_cells)
    moment = ((start + end) * cross[..., None]).sum(axis=1)
    sums = np.stack([np.bincount(cell, moment[:, axis], n_cells) for axis in (0, 1)], axis=1)
    return np.asarray(sums / np.where(np.abs(area2) < 1.0, np.inf, 3.0 * area2)[:, None])


def _nuclei(
    seed: int, key: Ints, matter: Ints, is_whole: NDArray[np.bool_], centre: Floats, inner_um: Floats
) -> Nuclei:
    parts = [_tumour_nuclei(seed, key, is_whole & (matter == Matter.TUMOUR), centre, inner_um)]
    stroma = is_whole & (matter == Matter.STROMA)
    parts += [_stroma_nuclei(seed, key, stroma, centre, number) for number in (0, 1)]
    joined = [np.concatenate([part[column] for part in parts]) for column in range(5)]
    kinds = tuple(str(kind) for part in parts for kind in part[5])
    return Nuclei(joined[0].astype(np.int64), joined[1], joined[2], joined[3], kinds, joined[4])


_NucleusColumns = tuple[Floats, Floats, Floats, Floats, Floats, list[str]]


def _tumour_nuclei(
    seed: int, key: Ints, chosen: NDArray[np.bool_], centre: Floats, inner_um: Floats
) -> _NucleusColumns:
    """7 to 12 um wide, off the middle, with room to the wall where the cell has any."""
    i, j = key.T
    cell = np.nonzero(chosen & (uniform(seed, "no nucleus", i, j) >= NO_NUCLEUS_SHARE))[0]

    def draw(name: str) -> Floats:
        return uniform(seed, name, i[cell], j[cell])

    wanted_um = 3.7 + 2.3 * (draw("size a") + draw("size b")) / 2.0
    shape = 0.70 + 0.28 * draw("shape")
    room_um = inner_um[cell] - 0.7
    short_um = np.clip(np.minimum(wanted_um * np.sqrt(shape), room_um), 2.9, None)
    long_um = np.minimum(short_um / shape, 6.2)
    shift_um = np.clip(room_um - short_um, 0.0, 2.2) * draw("eccentric")
    towards = 2.0 * np.pi * draw("towards")
    xy_um = centre[cell] + shift_um[:, None] * np.stack([np.cos(towards), np.sin(towards)], axis=1)
    axes_um = np.stack([long_um, short_um], axis=1)
    return cell.astype(np.float64), xy_um, axes_um, np.pi * draw("turn"), draw("tone"), ["tumour"] * len(cell)


def _stroma_nuclei(seed: int, key: Ints, chosen: NDArray[np.bool_], centre: Floats, number: int) -> _NucleusColumns:
    """Spindle nuclei of fibroblasts along the fibres, round ones of lymphocytes in flocks; up to two a grid place."""
    i, j = key.T

    def draw(name: str) -> Floats:
        return uniform(seed, f"{name} {number}", i, j)

    flock = smooth_noise(seed, "flock", centre[:, 0], centre[:, 1], 90.0) > 0.30
    cell = np.nonzero(chosen & (draw("present") < np.where(flock, 0.85, 0.55 - 0.35 * number)))[0]
    round_one = draw("kind")[cell] < np.where(flock[cell], 0.80, 0.15)
    towards = 2.0 * np.pi * (uniform(seed, "stroma side", i, j)[cell] + 0.5 * number)
    xy_um = centre[cell] + 3.3 * np.stack([np.cos(towards), np.sin(towards)], axis=1)
    size = draw("size")[cell]
    long_um = np.where(round_one, 2.5 + 0.9 * size, 4.5 + 3.0 * size)
    short_um = np.where(round_one, long_um * 0.92, 1.3 + 0.6 * size)
    angle = fibre_angle(seed, xy_um) + 0.5 * (draw("turn")[cell] - 0.5)
    kinds = ["lymphocyte" if item else "fibroblast" for item in round_one]
    return cell.astype(np.float64), xy_um, np.stack([long_um, short_um], axis=1), angle, draw("tone")[cell], kinds


def fibre_angle(seed: int, xy_um: Floats) -> Floats:
    """Direction of the stroma's fibres (radians): along the contours of the nest field."""
    x, y = xy_um[:, 0], xy_um[:, 1]
    step_um = 2.0
    slope_x = nest_field(seed, x + step_um, y) - nest_field(seed, x - step_um, y)
    slope_y = nest_field(seed, x, y + step_um) - nest_field(seed, x, y - step_um)
    return np.asarray(np.arctan2(slope_x, -slope_y))
