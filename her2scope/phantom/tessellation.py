"""Cells as a power diagram of a jittered honeycomb: straight walls between sites of different weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from her2scope.phantom.habit import Habit
from her2scope.phantom.noise import Floats, Ints, uniform

ROW_SHARE = 3**0.5 / 2
"""Distance of a honeycomb's rows, in pitches."""
JITTER = 0.30
"""Largest shift of a site, in pitches and rows. Up to 0.35, with weights up to 0.1, no cell reaches past its
neighbours' neighbours."""
REACH = 2
"""How many lattice places away a neighbour may lie."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """The honeycomb of one seed, stretched in the direction in which cells are long."""

    seed: int
    habit: Habit

    def matrix(self) -> Floats:
        """Lattice places (um, honeycomb) to the slide: a stretch that keeps the area."""
        along, across = np.sqrt(self.habit.stretch), 1.0 / np.sqrt(self.habit.stretch)
        cos, sin = np.cos(self.habit.grain_angle), np.sin(self.habit.grain_angle)
        mixed = (along - across) * cos * sin
        return np.array(
            [[along * cos**2 + across * sin**2, mixed], [mixed, along * sin**2 + across * cos**2]], np.float64
        )

    def places(self, bounds_um: tuple[float, float, float, float], margin_um: float) -> tuple[Ints, Ints]:
        """Lattice places `(rows, columns)` whose cells may lie in a region or within `margin_um` of it."""
        left, top, right, bottom = bounds_um
        corners = np.array([[left, top], [right, top], [left, bottom], [right, bottom]]) @ np.linalg.inv(self.matrix())
        reach_um = margin_um * np.sqrt(self.habit.stretch)
        low, high = corners.min(axis=0) - reach_um, corners.max(axis=0) + reach_um
        pitch_um = self.habit.pitch_um
        i = np.arange(int(np.floor(low[0] / pitch_um)) - 1, int(np.floor(high[0] / pitch_um)) + 2)
        row_um = ROW_SHARE * pitch_um
        j = np.arange(int(np.floor(low[1] / row_um)), int(np.floor(high[1] / row_um)) + 2)
        columns, lines = np.meshgrid(i, j)
        return columns, lines

    def sites(self, i: Ints, j: Ints) -> tuple[Floats, Floats]:
        """Sites in lattice um."""
        shift_x, shift_y = (JITTER * (2.0 * uniform(self.seed, name, i, j) - 1.0) for name in ("site x", "site y"))
        pitch_um = self.habit.pitch_um
        return pitch_um * (i + 0.5 * (j % 2) + shift_x), ROW_SHARE * pitch_um * (j + shift_y)

    def weights(self, i: Ints, j: Ints) -> Floats:
        """Power weights, um^2: a heavier site has a larger cell."""
        return np.asarray(
            self.habit.size_variation * self.habit.pitch_um**2 * (2.0 * uniform(self.seed, "weight", i, j) - 1.0)
        )


_AROUND = [(dx, dy) for dy in range(-REACH, REACH + 1) for dx in range(-REACH, REACH + 1) if (dx, dy) != (0, 0)]
_AHEAD = [place for place, (dx, dy) in enumerate(_AROUND) if (dy, dx) > (0, 0)]


def walls_between(x: Floats, y: Floats, weight: Floats, rows: Ints) -> tuple[Ints, Floats]:
    """Walls of the power diagram: the two rows that share each, `(W, 2)`, and its end points, `(W, 2, 2)`.

    A wall lies on the line of equal power of two sites; every other neighbour cuts a piece off it.
    """
    own_slice = (slice(REACH, -REACH), slice(REACH, -REACH))
    shifted = [
        (slice(REACH + dy, x.shape[0] - REACH + dy), slice(REACH + dx, x.shape[1] - REACH + dx)) for dx, dy in _AROUND
    ]
    own = np.stack([x[own_slice].ravel(), y[own_slice].ravel(), weight[own_slice].ravel()])
    around = np.stack([np.stack([plane[s].ravel() for plane in (x, y, weight)]) for s in shifted], axis=2)
    dx, dy = around[0] - own[0][:, None], around[1] - own[1][:, None]  # (n, 24) from each site to its neighbours
    square = dx * dx + dy * dy
    reach = (square + own[2][:, None] - around[2]) / 2.0  # p . d on the line of equal power
    kx, ky = dx[:, _AHEAD], dy[:, _AHEAD]
    foot = reach[:, _AHEAD] / square[:, _AHEAD]
    across = dy[:, None, :] * kx[..., None] - dx[:, None, :] * ky[..., None]
    room = reach[:, None, :] - foot[..., None] * (dx[:, None, :] * kx[..., None] + dy[:, None, :] * ky[..., None])
    is_crossed = np.abs(across) > 1e-9
    where = np.divide(room, across, out=np.full(across.shape, np.inf), where=is_crossed)
    high = np.where(across > 1e-9, where, np.inf).min(axis=2)
    low = np.where(across < -1e-9, where, -np.inf).max(axis=2)
    # A parallel neighbour that lies in between hides the wall altogether.
    hidden = (~is_crossed & (room < -1e-9)).any(axis=2)
    site, ahead = np.nonzero((high - low > 1e-3) & ~hidden)
    k = np.array(_AHEAD)[ahead]
    step = foot[site, ahead]
    middle = np.stack([own[0, site] + step * dx[site, k], own[1, site] + step * dy[site, k]], axis=1)
    along = np.stack([-dy[site, k], dx[site, k]], axis=1)
    ends = np.stack([low[site, ahead], high[site, ahead]], axis=1)
    neighbour = np.stack([rows[s].ravel() for s in shifted], axis=1)[site, k]
    return np.stack([rows[own_slice].ravel()[site], neighbour], axis=1), middle[:, None] + ends[:, :, None] * along[
        :, None
    ]
