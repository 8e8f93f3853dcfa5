"""Randomness that depends on place and seed only: the same tissue whatever was drawn before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from her2scope.records import Plane

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_WORD = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Grid:
    """Pixels laid over the slide: pixel `i` covers `left_um + i * um_per_px` to `left_um + (i + 1) * um_per_px`."""

    left_um: float
    top_um: float
    um_per_px: float
    width: int
    height: int

    @property
    def bounds_um(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom edge."""
        right_um = self.left_um + self.width * self.um_per_px
        return self.left_um, self.top_um, right_um, self.top_um + self.height * self.um_per_px

    def to_px(self, xy_um: Floats) -> Floats:
        """Positions `(..., 2)` in px of this grid, where pixel centres are integers."""
        return (xy_um - (self.left_um, self.top_um)) / self.um_per_px - 0.5

    def widened(self, margin_px: int) -> Grid:
        """The grid with `margin_px` more pixels on every side."""
        margin_um = margin_px * self.um_per_px
        left_um, top_um = self.left_um - margin_um, self.top_um - margin_um
        return Grid(left_um, top_um, self.um_per_px, self.width + 2 * margin_px, self.height + 2 * margin_px)

    def refined(self, factor: int) -> Grid:
        """The same area in pixels `factor` times smaller."""
        return Grid(self.left_um, self.top_um, self.um_per_px / factor, self.width * factor, self.height * factor)

    def halves(self) -> tuple[Grid, Grid]:
        """Upper and lower half."""
        upper = self.height // 2
        lower_um = self.top_um + upper * self.um_per_px
        return replace(self, height=upper), replace(self, top_um=lower_um, height=self.height - upper)


def mixed_seed(*parts: object) -> int:
    """One seed from several numbers and names; the same on every machine and in every process."""
    word = 0x9E3779B97F4A7C15
    for byte in "|".join(map(str, parts)).encode():
        word = ((word ^ byte) * 0x100000001B3) & _WORD  # FNV-1a, 64 bit
    return word


def uniform(seed: int, name: str, i: ArrayLike, j: ArrayLike) -> Floats:
    """Uniform numbers in [0, 1) of the lattice points `(i, j)`; `name` tells independent draws apart."""
    first, second = (np.atleast_1d(np.asarray(part, dtype=np.int64)).astype(np.uint64) for part in (i, j))
    word = first * np.uint64(0x9E3779B97F4A7C15) + second * np.uint64(0xC2B2AE3D27D4EB4F)
    word ^= np.uint64(_draw_seed(seed, name))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # SplitMix64's finaliser
        word = (word ^ (word >> np.uint64(shift))) * np.uint64(factor)
    word ^= word >> np.uint64(31)
    return (word >> np.uint64(11)).astype(np.float64) * 2.0**-53


@lru_cache(maxsize=1024)
def _draw_seed(seed: int, name: str) -> int:
    return mixed_seed(seed, name)


def normal(seed: int, name: str, i: ArrayLike, j: ArrayLike) -> Floats:
    """Nearly normal numbers (mean 0, deviation 1, within +-3.5) of the lattice points `(i, j)`."""
    total = sum(uniform(seed, f"{name}{k}", i, j) for k in range(4))
    return np.asarray((total - 2.0) * np.sqrt(3.0))


def smooth_noise(seed: int, name: str, x_um: Floats, y_um: Floats, wavelength_um: float) -> Floats:
    """Smooth random field at the given places, within [-1, 1], mean 0, deviation about 0.42."""
    if x_um.size == 0:
        return np.zeros(x_um.shape)
    u, v = x_um / wavelength_um, y_um / wavelength_um
    i, j = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    fu, fv = _ease(u - i), _ease(v - j)
    lattice, i, j = _lattice(seed, name, i, j)
    here, below = lattice[j, i], lattice[j + 1, i]
    above = here + fu * (lattice[j, i + 1] - here)
    return np.asarray(above + fv * (below + fu * (lattice[j + 1, i + 1] - below) - above))


def _lattice(seed: int, name: str, i: Ints, j: Ints) -> tuple[Floats, Ints, Ints]:
    """Numbers in [-1, 1) at the lattice points around `(i, j)`, `[row, column]`; `i, j` counted from its corner."""
    left, top = int(i.min()), int(j.min())
    columns, rows = np.arange(left, int(i.max()) + 2), np.arange(top, int(j.max()) + 2)
    return 2.0 * uniform(seed, name, columns[None, :], rows[:, None]) - 1.0, i - left, j - top


def smooth_plane(seed: int, name: str, grid: Grid, wavelength_um: float) -> Plane:
    """`smooth_noise` at every pixel of a grid, `(H, W)` float32."""
    i, fu = _steps(grid.left_um, grid.um_per_px, grid.width, wavelength_um)
    j, fv = _steps(grid.top_um, grid.um_per_px, grid.height, wavelength_um)
    lattice, i, j = _lattice(seed, name, i, j)
    above, below = lattice[j].astype(np.float32), lattice[j + 1].astype(np.float32)
    lines = above + fv[:, None] * (below - above)
    left, right = np.take(lines, i, axis=1), np.take(lines, i + 1, axis=1)
    right -= left
    right *= fu
    right += left
    return right


def _steps(start_um: float, um_per_px: float, n: int, wavelength_um: float) -> tuple[Ints, Plane]:
    place = (start_um + (np.arange(n) + 0.5) * um_per_px) / wavelength_um
    whole = np.floor(place)
    return whole.astype(np.int64), _ease(place - whole).astype(np.float32)


def _ease(share: Floats) -> Floats:
    """Perlin's fade curve: without kinks in slope and curvature at the lattice points."""
    return np.asarray(share * share * share * (share * (share * 6.0 - 15.0) + 10.0))
