"""How much HER2 each piece of cell wall carries, and what class that makes of each cell, before any stain.

A wall is shared: what one cell expresses on it is a line for its neighbour too. So the true class of a cell is read
back from its walls, not from what it was meant to express.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from statistics import NormalDist

import numpy as np

from her2scope.domain.cells import CellClass, CellRule
from her2scope.phantom.cells import Patch
from her2scope.phantom.growth import Matter, Section
from her2scope.phantom.noise import Floats, Ints, mixed_seed, normal, smooth_noise, uniform

RULE = CellRule()
"""Shares of the outline that make a membrane complete, uniform or present. They are shares of antigen here; no od10 cut
of the program plays a part."""
SMOOTH_DEVIATION = 0.42
"""Of `smooth_noise`, to give it deviation 1."""


class Level(IntEnum):
    """Antigen on one piece of wall."""

    NONE = 0
    FAINT = 1
    MODERATE = 2
    INTENSE = 3


@dataclass(frozen=True, slots=True)
class Expression:
    """What some of the tumour cells express."""

    share: float
    """Share of tumour cells (0..1) that express this."""
    level: Level
    outline: tuple[float, float] = (1.0, 1.0)
    """Least and largest share of the outline it covers; (1, 1) is all round."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Expressions from the strongest to the weakest; the rest of the cells express nothing of their own."""

    expressions: tuple[Expression, ...]
    flock_um: float = 60.0
    """Width of flocks of like cells."""
    flock_weight: float = 0.75
    """How much of a cell's expression is its flock's (0..1); the rest is its own."""


PATTERNS: Mapping[str, tuple[Pattern, ...]] = {
    "0": (Pattern(()),),
    "ultralow": (Pattern((Expression(0.026, Level.FAINT, (0.12, 0.28)),), flock_weight=0.0),),
    "1+": (
        Pattern((Expression(0.19, Level.FAINT, (0.20, 0.50)),), flock_um=45.0, flock_weight=0.5),
        Pattern((Expression(0.55, Level.FAINT, (0.15, 0.60)),), flock_um=90.0, flock_weight=0.6),
    ),
    "2+": (
        Pattern(
            (
                Expression(0.36, Level.MODERATE),
                Expression(0.12, Level.MODERATE, (0.30, 0.70)),
                Expression(0.15, Level.FAINT, (0.20, 0.60)),
            )
        ),
        Pattern(  # basolateral and lateral: incomplete, moderate to intense
            (
                Expression(0.05, Level.MODERATE),
                Expression(0.35, Level.MODERATE, (0.35, 0.75)),
                Expression(0.25, Level.FAINT, (0.20, 0.60)),
            ),
            flock_weight=0.5,
        ),
        Pattern((Expression(0.72, Level.MODERATE), Expression(0.18, Level.MODERATE, (0.4, 0.8)))),
    ),
    "3+": (
        Pattern(
            (
                Expression(0.74, Level.INTENSE),
                Expression(0.12, Level.MODERATE),
                Expression(0.06, Level.MODERATE, (0.30, 0.70)),
            )
        ),
        Pattern((Expression(0.93, Level.INTENSE), Expression(0.05, Level.MODERATE))),
    ),
    "mixed": (
        Pattern(
            (
                Expression(0.055, Level.INTENSE),
                Expression(0.06, Level.MODERATE, (0.30, 0.70)),
                Expression(0.12, Level.FAINT, (0.20, 0.60)),
            ),
            flock_um=42.0,
            flock_weight=0.9,
        ),
    ),
}
"""Cells per pattern, tuned so that the classes read back from the shared walls give the pattern's own score. A tissue's
seed picks one of the variants, of which the last is the most even."""
PATCHY_SHARE = 0.06
"""Share of walls whose antigen is one level weaker than the cell's."""


@dataclass(frozen=True, slots=True, eq=False)
class Antigen:
    """Antigen of a patch's walls, and the truth of its cells."""

    levels: Ints
    """`(W, WALL_STEPS)`: `Level` of each piece of each wall."""
    share: Floats
    """`(N, 4)`: share (0..1) of each cell's outline at each level."""

    def completeness(self) -> Floats:
        """Share (0..1) of each cell's outline with any antigen."""
        return np.asarray(self.share[:, Level.FAINT :].sum(axis=1))

    def classes(self) -> list[CellClass]:
        """Class of each cell, as if it were a tumour cell."""
        return [true_class(row) for row in self.share]

    def median_level(self) -> Ints:
        """Level of each cell's outline where it has antigen (the middle place); `NONE` where it has none."""
        stained = np.cumsum(self.share[:, Level.FAINT :], axis=1)
        middle = 1 + (stained < stained[:, -1:] / 2.0).sum(axis=1)
        return np.where(self.completeness() > 0, middle, Level.NONE).astype(np.int64)


def true_class(share: Floats) -> CellClass:
    """Class of a cell from the shares (0..1) of its outline at each level."""
    completeness = float(share[Level.FAINT :].sum())
    if completeness < RULE.present_share:
        return CellClass.NONE
    if completeness >= RULE.complete_share:
        uniform_intense = share[Level.INTENSE] >= RULE.intense_share
        return CellClass.COMPLETE_INTENSE if uniform_intense else CellClass.COMPLETE_MODERATE
    mostly_faint = share[Level.FAINT] > completeness / 2.0
    return CellClass.INCOMPLETE_FAINT if mostly_faint else CellClass.INCOMPLETE_INTENSE


def express(patch: Patch, sections: tuple[Section, ...]) -> Antigen:
    """Put antigen on the walls of a patch."""
    own_level, first_angle, covered, arcs = _own_expression(patch, sections)
    middle = (patch.walls.line_um[:, 1:] + patch.walls.line_um[:, :-1]) / 2.0
    levels = np.zeros(middle.shape[:2], np.int64)
    for number in (0, 1):
        cell = patch.walls.cells[:, number]
        away = middle - patch.site_um[cell][:, None]
        turn = (np.arctan2(away[..., 1], away[..., 0]) - first_angle[cell][:, None]) / (2.0 * np.pi)
        is_on = np.mod(turn * arcs[cell][:, None], 1.0) < covered[cell][:, None]
        levels = np.maximum(levels, is_on * own_level[cell][:, None])
    weaker = uniform(patch.seed, "patchy", *patch.key[patch.walls.cells].sum(axis=1).T) < PATCHY_SHARE
    levels -= weaker[:, None] & (levels > Level.FAINT)
    return Antigen(levels, _outline_shares(patch, levels))


def _own_expression(patch: Patch, sections: tuple[Section, ...]) -> tuple[Ints, Floats, Floats, Ints]:
    """Per cell: the level it expresses, where on the outline it begins, how much it covers, in how many arcs."""
    i, j = patch.key.T
    n = len(patch.key)
    level, covered = np.zeros(n, np.int64), np.zeros(n)
    for row, section in enumerate(sections):
        variants = PATTERNS[section.score]
        drawn = mixed_seed("variant", patch.seed) % len(variants)
        pattern = variants[-1] if section.is_control else variants[drawn]
        rank = _rank(patch, pattern)
        above = 0.0
        for item in pattern.expressions:
            chosen = (patch.section == row) & patch.is_tumour() & (rank >= above) & (rank < above + item.share)
            least, most = item.outline
            level[chosen] = item.level
            covered[chosen] = (least + (most - least) * uniform(patch.seed, "covered", i, j))[chosen]
            above += item.share
    weak = (patch.matter == Matter.NORMAL) & (uniform(patch.seed, "normal stain", i, j) < patch.habit.normal_stain)
    level[weak] = Level.FAINT
    covered[weak] = (0.15 + 0.7 * uniform(patch.seed, "covered", i, j))[weak]
    first_angle = 2.0 * np.pi * uniform(patch.seed, "first angle", i, j)
    arcs = 1 + (uniform(patch.seed, "arcs", i, j) < 0.35).astype(np.int64)
    return level, first_angle, covered, arcs


def _rank(patch: Patch, pattern: Pattern) -> Floats:
    """Place of each cell (0..1) in the order of expression; like cells flock together."""
    x_um, y_um = patch.site_um.T
    flock = smooth_noise(patch.seed, "expression", x_um, y_um, pattern.flock_um) / SMOOTH_DEVIATION
    own = normal(patch.seed, "own", *patch.key.T)
    weight = pattern.flock_weight
    mixed = (weight * flock + (1.0 - weight) * own) / np.hypot(weight, 1.0 - weight)
    return np.interp(mixed, _NORMAL_AT, _NORMAL_RANK)


_NORMAL_AT = np.linspace(-4.0, 4.0, 161)
_NORMAL_RANK = np.array([NormalDist().cdf(value) for value in _NORMAL_AT])


def _outline_shares(patch: Patch, levels: Ints) -> Floats:
    pieces = np.diff(patch.both_sides_um, axis=2)
    length_um = np.hypot(pieces[..., 0], pieces[..., 1])
    shares = np.zeros((len(patch.key), len(Level)))
    for level in Level:
        at_level = (length_um * (levels == level)[:, None]).sum(axis=2)
        for number in (0, 1):
            shares[:, level] += np.bincount(patch.walls.cells[:, number], at_level[:, number], len(patch.key))
    total = shares.sum(axis=1, keepdims=True)
    return np.asarray(shares / np.where(total > 0, total, 1.0))


def stretches(levels: Ints, level: Level) -> list[tuple[int, int, int]]:
    """Unbroken stretches of exactly this level: wall, its first place and one after its last place."""
    on = np.pad(levels == level, ((0, 0), (1, 1)))
    wall, first = np.nonzero(on[:, 1:] & ~on[:, :-1])
    _, last = np.nonzero(on[:, :-1] & ~on[:, 1:])
    return list(zip(wall.tolist(), first.tolist(), (last + 1).tolist(), strict=True))
