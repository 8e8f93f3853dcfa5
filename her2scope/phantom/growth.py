"""What lies where on a slide: how tumour grows, and the ducts, vessels, fat and gaps around it. No cell is drawn yet.

Everything is a function of place and seed, so any region of a slide is the same however it is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from her2scope.phantom.habit import Habit
from her2scope.phantom.noise import Floats, Ints, smooth_noise, uniform

Bounds = tuple[float, float, float, float]
Bools = NDArray[np.bool_]

NEST_OCTAVES = (("nest", 0.72, 170.0), ("lobe", 0.38, 71.0))
"""Name, weight and width (um) of the two noises that make nests."""
_TURN = np.linspace(0.0, 2.0 * np.pi, 40, endpoint=False)


class Matter(IntEnum):
    """What a place is made of; also the codes of the region map."""

    GLASS = 0
    STROMA = 1
    TUMOUR = 2
    IN_SITU = 3
    """Tumour that fills a duct."""
    NORMAL = 4
    """Epithelium of a normal duct."""
    NECROSIS = 5


TUMOURS = (Matter.TUMOUR, Matter.IN_SITU)
EPITHELIA = (Matter.TUMOUR, Matter.IN_SITU, Matter.NORMAL)


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
    is_control: bool = False
    """Chosen for its evenness: it carries the last, the most even, of its pattern's variants."""


@dataclass(frozen=True, slots=True)
class Discs:
    """Round structures on a jittered coarse lattice: ducts, vessels, fat cells."""

    name: str
    pitch_um: float
    radius_um: tuple[float, float]
    """Least and largest; at most 0.45 of the pitch, so that a disc reaches no farther than the next lattice place."""
    dent: float = 0.16
    """Relative depth of the dents in the outline."""

    def of_places(self, seed: int, i: Ints, j: Ints) -> tuple[Floats, Floats]:
        """Centres `(..., 2)` and radii (um) of the lattice places."""
        least, most = self.radius_um
        radius_um = least + (most - least) * uniform(seed, f"{self.name} radius", i, j)
        room = 0.5 * (self.pitch_um - 2.0 * radius_um).clip(0.0) / self.pitch_um
        centre = [
            self.pitch_um * (place + 0.5 + room * (2.0 * uniform(seed, f"{self.name} {axis}", i, j) - 1.0))
            for place, axis in ((i, "x"), (j, "y"))
        ]
        return np.stack(centre, axis=-1), radius_um

    def is_there(self, seed: int, i: Ints, j: Ints, chance: float) -> Bools:
        """Which lattice places hold a disc."""
        return np.asarray(uniform(seed, f"{self.name} there", i, j) < chance)

    def depth_um(self, seed: int, x_um: Floats, y_um: Floats, chance: float) -> tuple[Floats, Floats]:
        """How deep places lie in a disc (negative: outside, -inf: far from any), and the radius of that disc."""
        depth, radius = np.full(x_um.shape, -np.inf), np.ones(x_um.shape)
        if chance <= 0.0 or not x_um.size:
            return depth, radius
        i, j = self._lattice((x_um.min(), y_um.min(), x_um.max(), y_um.max()), seed, chance)
        centres, radii_um = self.of_places(seed, i, j)
        reach_um = (1.0 + self.dent) * self.radius_um[1]
        for row, (x, y) in enumerate(centres.tolist()):
            near = np.nonzero((np.abs(x_um - x) < reach_um) & (np.abs(y_um - y) < reach_um))
            dx, dy = x_um[near] - x, y_um[near] - y
            rim = radii_um[row] * self._dents(seed, np.arctan2(dy, dx), i[row], j[row])
            own = rim - np.hypot(dx, dy)
            radius[near] = np.where(own > depth[near], radii_um[row], radius[near])
            depth[near] = np.maximum(own, depth[near])
        return depth, radius

    def _lattice(self, bounds_um: Bounds, seed: int, chance: float) -> tuple[Ints, Ints]:
        """Lattice places of the discs that may touch a region."""
        left, top, right, bottom = (int(np.floor(value / self.pitch_um)) for value in bounds_um)
        i, j = (part.ravel() for part in np.meshgrid(np.arange(left - 1, right + 2), np.arange(top - 1, bottom + 2)))
        there = self.is_there(seed, i, j, chance)
        return i[there], j[there]

    def outlines(self, seed: int, bounds_um: Bounds, chance: float) -> tuple[Floats, Floats]:
        """Outlines `(N, 40, 2)` and centres of the discs that may touch a region."""
        i, j = self._lattice(bounds_um, seed, chance)
        centre, radius_um = self.of_places(seed, i, j)
        rim = radius_um[:, None] * self._dents(seed, _TURN[None, :], i[:, None], j[:, None])
        ring = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
        return centre[:, None] + rim[..., None] * ring, centre

    def _dents(self, seed: int, angle: Floats, i: Ints, j: Ints) -> Floats:
        phase = [2.0 * np.pi * uniform(seed, f"{self.name} dent {k}", i, j) for k in (2, 3)]
        return np.asarray(
            1.0 + self.dent * (0.6 * np.cos(2.0 * angle + phase[0]) + 0.4 * np.cos(3.0 * angle + phase[1]))
        )


IN_SITU_DUCTS = Discs("in situ", 330.0, (65.0, 140.0))
NORMAL_DUCTS = Discs("normal duct", 210.0, (28.0, 70.0))
VESSELS = Discs("vessel", 95.0, (6.0, 26.0), 0.3)
FAT_CELLS = Discs("fat", 62.0, (20.0, 27.5), 0.12)
DUCT_WALL_UM = (15.0, 30.0)
"""Thickness of a normal duct's epithelium: one to two rows of cells."""
FAT_NOISE, FAT_NOISE_UM = "fat", 260.0


def nest_field(seed: int, x_um: Floats, y_um: Floats) -> Floats:
    """Smooth field whose heights are nests of tumour and along whose contours the fibres of the stroma run."""
    octaves = [weight * smooth_noise(seed, name, x_um, y_um, width_um) for name, weight, width_um in NEST_OCTAVES]
    return np.asarray(octaves[0] + octaves[1])


def fibre_angle(seed: int, xy_um: Floats, nest_scale: float = 1.0) -> Floats:
    """Direction of the stroma's fibres (radians): along the contours of the nest field."""
    x, y = (xy_um / nest_scale).T
    step_um = 2.0
    slope_x = nest_field(seed, x + step_um, y) - nest_field(seed, x - step_um, y)
    slope_y = nest_field(seed, x, y + step_um) - nest_field(seed, x, y - step_um)
    return np.asarray(np.arctan2(slope_x, -slope_y))


_Height = Callable[[int, Floats, Floats, Floats], Floats]
"""(seed, x, y, nest field) to a height: tumour lies where it is above a section's nest level."""


def _nests(seed: int, x_um: Floats, y_um: Floats, nest: Floats) -> Floats:
    return nest


def _sheets(seed: int, x_um: Floats, y_um: Floats, nest: Floats) -> Floats:
    return np.asarray(nest + 0.45)


def _bands(seed: int, x_um: Floats, y_um: Floats, width_um: float, wavelength_um: float) -> Floats:
    """High along the zero lines of a noise: bands of about the given width."""
    ridge = np.abs(smooth_noise(seed, "bands", x_um, y_um, wavelength_um))
    slope_per_um = 1.9 / wavelength_um  # typical slope of `smooth_noise` where it crosses zero
    return np.asarray(0.5 - ridge / (slope_per_um * width_um))


def _cords(seed: int, x_um: Floats, y_um: Floats, nest: Floats) -> Floats:
    return np.maximum(_bands(seed, x_um, y_um, 38.0, 120.0), nest - 0.42)


def _single_file(seed: int, x_um: Floats, y_um: Floats, nest: Floats) -> Floats:
    return np.maximum(_bands(seed, x_um, y_um, 15.0, 62.0), nest - 0.62)


def _glands(seed: int, x_um: Floats, y_um: Floats, nest: Floats) -> Floats:
    return np.asarray(nest + 0.10)


def _ducts(seed: int, x_um: Floats, y_um: Floats, nest: Floats) -> Floats:
    return np.asarray(nest + 0.05)


GROWTHS: Mapping[str, _Height] = {
    "nests": _nests,
    "sheets": _sheets,
    "cords": _cords,
    "single_file": _single_file,
    "glands": _glands,
    "ducts": _ducts,
}
"""How a tumour grows."""
LUMEN_LEVEL: Mapping[str, float] = {"glands": 0.34}
"""Level of the lumen noise above which a gland is open; elsewhere the habit's own."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What lies where in the tissue of one seed and habit."""

    seed: int
    habit: Habit
    sections: tuple[Section, ...]

    def matter_at(self, x_um: Floats, y_um: Floats) -> tuple[Ints, Ints]:
        """What lies at each place, and in which section."""
        free = self._without_sections(x_um, y_um)
        matter, section = np.zeros(x_um.shape, np.int64), np.zeros(x_um.shape, np.int64)
        for row, part in enumerate(self.sections):
            inside = self._inside(part, x_um, y_um)
            matter = np.where(inside, self._matter(part.nest_level, *free), matter)
            section = np.where(inside, row, section)
        return matter, section

    def _without_sections(self, x_um: Floats, y_um: Floats) -> tuple[Floats, Floats, Ints, Bools]:
        """Height of the tumour, distance noise of its rim, what a duct or necrosis puts there (-1: nothing), tears."""
        seed, habit = self.seed, self.habit
        at_scale = x_um / habit.nest_scale, y_um / habit.nest_scale
        height = GROWTHS[habit.growth](seed, *at_scale, nest_field(seed, *at_scale))
        lumina = smooth_noise(seed, "holes", x_um, y_um, habit.lumen_um)
        placed = np.where(lumina > LUMEN_LEVEL.get(habit.growth, habit.lumen_level), int(Matter.GLASS), -1)
        rotten = smooth_noise(seed, "necrosis", x_um, y_um, 130.0) > habit.necrosis_level
        placed = np.where(rotten, int(Matter.NECROSIS), placed)
        rim = smooth_noise(seed, "retraction", x_um, y_um, 85.0)
        tears = smooth_noise(seed, "tears", x_um, y_um, 110.0) > habit.tear_level
        ducts = np.full(x_um.shape, -1, np.int64)
        for duct in (self._normal_ducts(x_um, y_um), self._in_situ(x_um, y_um)):
            ducts = np.where(duct >= 0, duct, ducts)
        # Tumour pushes its own lumina; ducts lie in the stroma and bring theirs.
        return height, rim, np.where(ducts >= 0, 10 + ducts, placed), tears

    def _matter(self, level: float, height: Floats, rim: Floats, placed: Ints, tears: Bools) -> Ints:
        found = np.where(tears, int(Matter.GLASS), int(Matter.STROMA))
        shrunk = (height > level - self.habit.retraction) & (rim > self.habit.retraction_level)
        found = np.where(shrunk, int(Matter.GLASS), found)
        tumour = height > level
        found = np.where(tumour, np.where((placed >= 0) & (placed < 10), placed, int(Matter.TUMOUR)), found)
        return np.where(placed >= 10, placed - 10, found)

    def _normal_ducts(self, x_um: Floats, y_um: Floats) -> Ints:
        depth, radius = NORMAL_DUCTS.depth_um(self.seed, x_um, y_um, self.habit.normal_ducts)
        least, most = DUCT_WALL_UM
        wall_um = np.minimum(least + (most - least) * np.mod(radius, 7.0) / 7.0, radius)
        inside = np.where(depth < wall_um, int(Matter.NORMAL), int(Matter.GLASS))
        return np.where(depth > 0, inside, -1)

    def _in_situ(self, x_um: Floats, y_um: Floats) -> Ints:
        chance = 0.9 if self.habit.growth == "ducts" else self.habit.in_situ_ducts
        depth, radius = IN_SITU_DUCTS.depth_um(self.seed, x_um, y_um, chance)
        core = np.where(np.mod(radius, 3.0) < 1.2, int(Matter.NECROSIS), int(Matter.IN_SITU))
        holes = smooth_noise(self.seed, "holes", x_um, y_um, 40.0) > 0.5
        core = np.where(holes & (depth > 18.0), int(Matter.GLASS), core)
        inside = np.where(depth > 0.62 * radius, core, int(Matter.IN_SITU))
        inside = np.where(holes & (depth > 18.0), int(Matter.GLASS), inside)
        return np.where(depth > 0, inside, -1)

    def _inside(self, part: Section, x_um: Floats, y_um: Floats) -> Bools:
        if part.bounds_um is None:
            return np.ones(x_um.shape, np.bool_)
        left, top, right, bottom = part.bounds_um
        ragged = 25.0 * smooth_noise(self.seed, "rim", x_um, y_um, 70.0)
        depth = np.minimum(np.minimum(x_um - left, right - x_um), np.minimum(y_um - top, bottom - y_um))
        return np.asarray(depth > 25.0 + ragged)

    def voids(self, bounds_um: Bounds) -> tuple[list[Floats], list[Floats]]:
        """Outlines (um) of fat cells and of vessels that may touch a region; they lie in stroma only."""
        return self._in_stroma(FAT_CELLS, bounds_um, self._fat_chance()), self._in_stroma(
            VESSELS, bounds_um, self.habit.vessels
        )

    def _fat_chance(self) -> float:
        return 0.93 if self.habit.fat_level < 1.0 else 0.0

    def _in_stroma(self, discs: Discs, bounds_um: Bounds, chance: float) -> list[Floats]:
        if chance <= 0.0:
            return []
        outlines, centres = discs.outlines(self.seed, bounds_um, chance)
        if discs is FAT_CELLS and len(centres):
            fat = smooth_noise(self.seed, FAT_NOISE, centres[:, 0], centres[:, 1], FAT_NOISE_UM)
            outlines = outlines[fat > self.habit.fat_level]
        if not len(outlines):
            return []
        matter, _ = self.matter_at(outlines[:, ::5, 0], outlines[:, ::5, 1])
        return list(outlines[(matter == Matter.STROMA).all(axis=1)])
