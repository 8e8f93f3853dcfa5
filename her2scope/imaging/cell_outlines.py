"""Each cell's own closed outline: a path around its nucleus that follows membranes near where it is expected.

Every cell looks for its outline on its own, in a band around a prior guess. Two cells that touch may thus share a line,
and none can take its neighbour's far membrane. Where there is no membrane, the outline is the guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.imaging.workspace import Workspace
from her2scope.records import Plane

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

N_DIRECTIONS = 48
"""Directions of an outline: 7.5 degrees, 0.8 um on a cell of 12 um."""
BAND_UM = 2.5
"""How far from the guess an outline is looked for: 2.5 deviations of a guess that is good to 1 um."""
STEP_UM = 0.25
"""Steps across the band: half a pixel of the network, whose maps are sampled between pixels."""
MOST_STEPS = 2
"""Steps that an outline may leave its guess by from one direction to the next: 32 degrees on a cell of 12 um."""
DEPARTURE_COST = 0.05
"""Per um^2 from the guess, in units of membrane probability: 2.2 um away, a sure membrane is worth a quarter less."""
BEND_COST = 0.06
"""Per step between neighbouring directions: a jump of 1 um to another line must gain a quarter of probability.

The costs were chosen on hard phantoms of seven runs by how many cells are rightly none, incomplete or complete: twice
or half of each changes them by under half a percent, departure at 0.2 costs 4 % where the guess errs by 1.1 um.
"""
BEYOND_COST = 0.25
"""Per um inside the own nucleus or beyond half way to a neighbour (or beyond the guess, where that is farther)."""
CYTOPLASM_UM = 3.0
"""Of cytoplasm around a nucleus where neither a guess nor a neighbour says more."""
LEAST_OF_NUCLEUS = 0.75
"""A nucleus is a disc of equal area here; one of twice its breadth is a quarter narrower than that disc."""
MOST_BEYOND_UM = 4.0
"""No guess is believed farther beyond half way to a neighbour. Cells lie off their nuclei's middle and differ in size:
a tenth of a phantom cell's outline lies 1.5 um beyond or more, a hundredth 2 to 6 um."""
NEIGHBOUR_UM = 24.0
"""Nuclei farther apart than this do not limit each other: twice the reach of a large cell."""
TWIN_PX = 0.5
"""Nuclei nearer than this are the same one found twice: neither bounds the other."""
CELLS_AT_ONCE = 1024
"""Enough that Python's share is small, few enough that what is kept for them is (28 MB)."""
STRIP_PX = 64
"""Height of the strips in which cells are sorted: those that are worked on one after the other lie side by side."""


@dataclass(frozen=True, slots=True, eq=False)
class OutlineSeeds:
    """Where N cells are, in pixels of the membrane plane (pixel centres are integers)."""

    xy_px: Floats
    """`(N, 2)` middles of the nuclei."""
    nucleus_px: Floats
    """`(N,)` radius of a disc of the nucleus' area."""
    reach_px: Floats
    """`(N, M)` guess of the distance to the outline in M even directions, x to the right first, then towards y (down);
    NaN where there is none. M is 32 of the network."""


@dataclass(frozen=True, slots=True, eq=False)
class CellOutlines:
    """Closed outlines of N cells, one distance per direction."""

    xy_px: Floats
    """`(N, 2)` middles that the distances start from."""
    nucleus_px: Floats
    """`(N,)` radius of a disc of the nucleus' area."""
    radius_px: Floats
    """`(N, A)` distance to the outline in A even directions, x to the right first, then towards y (down)."""

    def places_xy_px(self) -> Floats:
        """`(N, A, 2)` places of the outlines (x, y)."""
        towards = directions(self.radius_px.shape[1])
        places = np.empty((*self.radius_px.shape, 2), np.float32)
        for axis in (0, 1):  # numpy is slow where the last axis has two
            np.multiply(self.radius_px, towards[:, axis], out=places[..., axis])
            places[..., axis] += self.xy_px[:, axis, None]
        return places

    def chosen(self, which: Bools | NDArray[np.intp] | slice) -> CellOutlines:
        """Some of them: those for which `(N,)` is true, or rows in their order."""
        return CellOutlines(self.xy_px[which], self.nucleus_px[which], self.radius_px[which])

    def within(self, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
        """`(N,)` whether each outline lies in a picture of this size, from the outer edge of its first pixel on."""
        places = self.places_xy_px()
        last = np.array([size_hw[1], size_hw[0]], np.float32) - np.float32(0.5)
        return np.asarray(((places >= -0.5) & (places <= last)).all(axis=(1, 2)))

    def scaled(self, factor: float) -> CellOutlines:
        """The outlines in pixels `factor` times smaller, of a plane that begins at the same corner."""
        size = np.float32(factor)
        return CellOutlines((self.xy_px + 0.5) * size - 0.5, self.nucleus_px * size, self.radius_px * size)


def find_outlines(
    membrane: Plane,
    um_per_px: float,
    seeds: OutlineSeeds,
    followed: Bools | None = None,
    workspace: Workspace | None = None,
) -> CellOutlines:
    """Follow each cell's own membrane around its nucleus.

    For each direction, the outline's departure from the guess is chosen so that the sum over the closed path of
    membrane probability, less what departure, bends and foreign ground cost, is largest (dynamic programming).

    Parameters
    ----------
    membrane : (H, W) float32
        Probability (0..1) that a stained membrane passes.
    um_per_px : float
        Of that plane.
    seeds : OutlineSeeds
        Cells in pixels of that plane. All nuclei of the picture belong here, those of no interest too: each bounds its
        neighbours.
    followed : (N,) bool
        Which cells' membranes are followed, without it all; the outline of another is its guess.
    workspace : Workspace
        Kept from frame to frame by who has many.

    Returns
    -------
    CellOutlines
        In pixels of that plane; `N_DIRECTIONS` each.
    """
    half_px = half_ways(seeds, NEIGHBOUR_UM / um_per_px)
    radius_px = prior_reach(seeds, half_px, um_per_px)
    workspace = workspace or Workspace()
    rows = by_place(seeds.xy_px)
    if followed is not None:
        rows = rows[followed[rows]]
    for start in range(0, len(rows), CELLS_AT_ONCE):
        some = rows[start : start + CELLS_AT_ONCE]
        band = _Band(seeds.xy_px[some], seeds.nucleus_px[some], radius_px[some], half_px[some])
        radius_px[some] = _followed(membrane, um_per_px, band, workspace)
    return CellOutlines(seeds.xy_px, seeds.nucleus_px, radius_px)


def by_place(xy_px: Floats) -> NDArray[np.intp]:
    """Rows of points `(N, 2)` strip by strip, from left to right: neighbours share the processor's cache."""
    return np.lexsort((xy_px[:, 0], xy_px[:, 1] // STRIP_PX))


@dataclass(frozen=True, slots=True, eq=False)
class _Band:
    """Where N outlines are looked for: middles, radii of nuclei, and per direction the guess and half way."""

    xy_px: Floats
    nucleus_px: Floats
    guess_px: Floats
    half_px: Floats


def _followed(membrane: Plane, um_per_px: float, band: _Band, workspace: Workspace) -> Floats:
    """Distances `(N, A)` of the best paths within the band around the guess."""
    # All is (A, R, N): what is worked on at once lies side by side in memory.
    guess_px = np.ascontiguousarray(band.guess_px.T)
    offsets_px = np.arange(-BAND_UM, BAND_UM + STEP_UM / 2, STEP_UM, dtype=np.float32) / np.float32(um_per_px)
    radius_px = workspace.floats("radius", len(guess_px), len(offsets_px), guess_px.shape[1])
    np.add(guess_px[:, None], offsets_px[:, None], out=radius_px)
    np.maximum(radius_px, LEAST_OF_NUCLEUS * band.nucleus_px, out=radius_px)
    cost = workspace.floats("cost", *radius_px.shape)
    own_ground_px = np.minimum(radius_px, np.maximum(band.half_px.T, guess_px)[:, None], out=cost)
    np.maximum(own_ground_px, band.nucleus_px, out=own_ground_px)  # np.clip takes more than twice as long
    np.abs(np.subtract(radius_px, own_ground_px, out=cost), out=cost)
    cost *= np.float32(BEYOND_COST * um_per_px)
    cost += (DEPARTURE_COST * (offsets_px * np.float32(um_per_px)) ** 2)[:, None]
    cost -= _sampled(membrane, band.xy_px, radius_px, workspace)
    chosen = cheapest_rings(cost, BEND_COST, MOST_STEPS, workspace)
    return np.take_along_axis(radius_px, chosen[:, None, :], axis=1)[:, 0].T


def directions(n: int) -> Floats:
    """`(n, 2)` unit vectors (x, y) of n even directions, x to the right first, then towards y (down)."""
    angles = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def prior_reach(seeds: OutlineSeeds, half_px: Floats, um_per_px: float) -> Floats:
    """Guess `(N, A)` of the outline in `N_DIRECTIONS`.

    The given reach between its directions; where none is given, half way to the neighbours or `CYTOPLASM_UM` around
    the nucleus, whichever is nearer.
    """
    alone_px = np.minimum(half_px, seeds.nucleus_px[:, None] + np.float32(CYTOPLASM_UM / um_per_px))
    n_given = seeds.reach_px.shape[1]
    at = np.arange(N_DIRECTIONS) * n_given / N_DIRECTIONS
    first = at.astype(np.intp)
    share = (at - first).astype(np.float32)
    given_px = (1 - share) * seeds.reach_px[:, first] + share * seeds.reach_px[:, (first + 1) % n_given]
    guess_px = np.where(np.isfinite(given_px), given_px, alone_px)
    guess_px = np.minimum(guess_px, half_px + np.float32(MOST_BEYOND_UM / um_per_px))
    return np.maximum(guess_px, seeds.nucleus_px[:, None]).astype(np.float32)


def half_ways(seeds: OutlineSeeds, within_px: float) -> Floats:
    """`(N, A)` distance at which each direction is as near to another nucleus' rim as to the own one; inf where none.

    Neighbours whose middle is farther than `within_px` are not looked at, nor twins at the same place.
    """
    own, other = _pairs(seeds.xy_px, within_px)
    half_px = np.full((len(seeds.xy_px), N_DIRECTIONS), np.inf, dtype=np.float32)
    if not len(own):
        return half_px
    away_x, away_y = (at.take(other) - at.take(own) for at in seeds.xy_px.T)
    square = away_x**2 + away_y**2
    most = 0.5 * np.sqrt(square)  # a nucleus within another has no rim between them
    larger_px = np.clip(seeds.nucleus_px.take(other) - seeds.nucleus_px.take(own), -most, most)
    # Where |p - other| - |p - own| is `larger_px`, 1 / |p - own| is a linear function of the direction: one product.
    slope = np.stack([away_x, away_y, larger_px], axis=1) * (2 / (square - larger_px**2))[:, None]
    towards = directions(N_DIRECTIONS)
    inverse = slope @ np.concatenate([towards, np.ones((N_DIRECTIONS, 1), np.float32)], axis=1).T
    starts = np.flatnonzero(np.diff(own, prepend=-1))  # each cell's neighbours stand together
    nearest = _highest(inverse, starts)
    half_px[own[starts]] = np.where(nearest > 0, 1 / np.maximum(nearest, np.float32(1e-6)), np.inf)
    return half_px


def _highest(values: Floats, starts: NDArray[np.intp]) -> Floats:
    """`np.maximum.reduceat(values, starts)`, in a third of its time: each group's first row, then its second ..."""
    n_rows = np.diff(starts, append=len(values))
    order = np.argsort(-n_rows, kind="stable")
    rows = starts[order]  # the largest group first: those that have a further row stand in front
    highest = values[rows]
    for k in range(1, n_rows.max()):
        rows = rows[: np.count_nonzero(n_rows > k)] + 1
        np.maximum(highest[: len(rows)], values[rows], out=highest[: len(rows)])
    found = np.empty_like(highest)
    found[order] = highest
    return found


def _pairs(xy_px: Floats, within_px: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Neighbours of each point within a distance: rows of the points, each one's together, and of their neighbours."""
    x, y = xy_px.T
    # One row of strips a bit higher than the distance: each point's neighbours lie in three short pieces of it.
    reach_px = 1.01 * within_px
    strip = np.floor(y / reach_px).astype(np.int64)
    length_px = float(np.ptp(x)) + 3 * reach_px if len(x) else 0.0
    place = strip * length_px + x
    order = np.argsort(place)
    middle = place[:, None] + length_px * np.arange(-1, 2)
    first, last = (np.searchsorted(place[order], middle + way * reach_px) for way in (-1, 1))
    many = (last - first).ravel()
    own = np.repeat(np.arange(len(x)), (last - first).sum(axis=1))
    other = order[np.arange(many.sum()) - np.repeat(np.cumsum(many) - many - first.ravel(), many)]
    square = (x[other] - x[own]) ** 2 + (y[other] - y[own]) ** 2
    near = (square <= within_px**2) & (square > TWIN_PX**2)
    return own[near], other[near]


def _sampled(plane: Plane, xy_px: Floats, radius_px: Floats, workspace: Workspace) -> Floats:
    """Values `(A, R, N)` of a plane at distances `(A, R, N)` from N middles, bilinear, 0 outside the picture."""
    towards = directions(len(radius_px))
    flat = len(towards) * radius_px.shape[1], radius_px.shape[2]
    x, y, values = (workspace.floats(name, *radius_px.shape) for name in ("x", "y", "values"))
    for axis, places in enumerate((x, y)):
        np.multiply(radius_px, towards[:, axis, None, None], out=places)
        places += xy_px[:, axis]
    cv2.remap(plane, x.reshape(flat), y.reshape(flat), cv2.INTER_LINEAR, values.reshape(flat), cv2.BORDER_CONSTANT, 0)
    return values


def cheapest_rings(
    cost: Floats, bend_cost: float, most_steps: int, workspace: Workspace | None = None
) -> NDArray[np.intp]:
    """State of each direction on the cheapest closed path, for N rings at once.

    Parameters
    ----------
    cost : (A, R, N) float32
        Of each state in each direction.
    bend_cost : float
        Per state of difference between neighbouring directions.
    most_steps : int
        Largest such difference.
    workspace : Workspace
        Kept from call to call by who has many.

    Returns
    -------
    (A, N) int
        The path is found on one and a half laps, of which the middle lap is kept: what lies a quarter of a circle away
        does not reach its ends, so that it closes but for a step in rare rings without any preference.
    """
    n_directions, n_states, n = cost.shape
    if not n:
        return np.empty((n_directions, 0), np.intp)
    lead = n_directions // 4
    lap = np.arange(-lead, n_directions + lead) % n_directions
    workspace = workspace or Workspace()
    total = workspace.floats("total", len(lap), n_states + 2 * most_steps, n)
    inner = slice(most_steps, most_steps + n_states)
    total[:, :most_steps] = total[:, inner.stop :] = np.inf  # the rims are never entered
    total[0, inner] = cost[lap[0]]
    bent = workspace.floats("bent", n_states, n)
    for place in range(1, len(lap)):
        before, now = total[place - 1], total[place, inner]
        cheapest = before[inner]
        for steps in range(1, most_steps + 1):
            lower, upper = (slice(start, start + n_states) for start in (most_steps - steps, most_steps + steps))
            np.minimum(before[lower], before[upper], out=bent)
            np.add(bent, np.float32(bend_cost * steps), out=bent)
            cheapest = np.minimum(cheapest, bent, out=now)
        np.add(cheapest, cost[lap[place]], out=now)
    return _traced_back(total, lead, n_directions, bend_cost, most_steps)


def _traced_back(total: Floats, lead: int, n_directions: int, bend_cost: float, most_steps: int) -> NDArray[np.intp]:
    """States of the middle lap on the paths that end cheapest."""
    n = total.shape[2]
    shifts = np.arange(-most_steps, most_steps + 1)
    bends = (bend_cost * np.abs(shifts)).astype(np.float32)[:, None]
    shifts *= n
    at = total[-1].argmin(axis=0) * n + np.arange(n)  # in the flattened states of one direction
    around = np.empty((len(shifts), n), np.intp)
    ways = np.empty((len(shifts), n), np.float32)
    chosen = np.empty((n_directions, n), np.intp)
    for place in range(len(total) - 1, lead - 1, -1):
        if place < lead + n_directions:
            chosen[place - lead] = at
        if place > lead:
            np.add(at, shifts[:, None], out=around)
            total[place - 1].reshape(-1).take(around, out=ways, mode="clip")  # "raise" would copy
            np.add(ways, bends, out=ways)
            at += shifts[cv2.reduceArgMin(ways, 0)[0]]  # the first of equals, as numpy's in half of its time
    return chosen // n - most_steps
