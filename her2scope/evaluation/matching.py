"""Which nucleus that was found is which true one, one to one, and what is neither hit nor miss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError
from her2scope.evaluation.tallies import NucleusTally

Places = NDArray[np.float64]
"""`(N, 2)` x and y in px, pixel centres are integers."""
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class TrueNuclei:
    """Nuclei that are known."""

    xy_px: Places
    tolerance_px: NDArray[np.float64]
    """`(M,)` how far off a nucleus may be found."""
    counted: Flags
    """`(M,)` False: neither hit nor miss, be it found or not."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The part of a picture that the truth knows, and the rim in which a find may belong to a nucleus outside."""

    left_px: float
    top_px: float
    right_px: float
    bottom_px: float
    rim_px: float

    @staticmethod
    def of_picture(size_hw: tuple[int, int], rim_px: float) -> Bounds:
        """Bounds of a whole picture."""
        return Bounds(-0.5, -0.5, size_hw[1] - 0.5, size_hw[0] - 0.5, rim_px)

    def inside(self, xy_px: Places) -> Flags:
        """Which places lie inside, the rim left out."""
        lowest = np.array([self.left_px, self.top_px]) + self.rim_px
        highest = np.array([self.right_px, self.bottom_px]) - self.rim_px
        return np.asarray(((xy_px >= lowest) & (xy_px <= highest)).all(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """What became of the nuclei of one picture."""

    tally: NucleusTally
    found: NDArray[np.intp]
    """`(K,)` places of the finds that are hits."""
    true: NDArray[np.intp]
    """`(K,)` the true nuclei that they hit."""


def match_nuclei(found_xy_px: Places, truth: TrueNuclei, bounds: Bounds, may_match: Flags | None = None) -> Matching:
    """Match finds with true nuclei.

    Counted nuclei choose first. A find that is left is ignored where it is one to one with a nucleus that does not
    count, or lies in the rim; else it is false. So a nucleus that does not count changes no hit and no miss.

    Parameters
    ----------
    found_xy_px : (N, 2) float
    may_match : (N, M) bool
        Pairs that may match however far apart (a find inside a nucleus's mask), beside those within the tolerance.
    """
    found_xy_px = checked_places(found_xy_px)
    distance = np.hypot(*(found_xy_px[:, None, axis] - truth.xy_px[None, :, axis] for axis in (0, 1)))
    allowed = distance <= truth.tolerance_px
    if may_match is not None:
        allowed = allowed | may_match
    hits = _nearest_pairs(distance, allowed & truth.counted, found_xy_px, truth.xy_px)
    is_left = np.ones(len(found_xy_px), bool)
    is_left[hits[:, 0]] = False
    doubtful = _nearest_pairs(distance, allowed & ~truth.counted & is_left[:, None], found_xy_px, truth.xy_px)
    is_left[doubtful[:, 0]] = False
    n_false = int((is_left & bounds.inside(found_xy_px)).sum())
    tally = NucleusTally(len(hits), int(truth.counted.sum()) - len(hits), n_false)
    return Matching(tally, hits[:, 0], hits[:, 1])


def checked_places(xy_px: Places) -> Places:
    """Places as `(N, 2)` float; BadInputError for what is none."""
    places = np.asarray(xy_px, np.float64)
    if places.size == 0:
        return places.reshape(0, 2)
    if places.ndim != 2 or places.shape[1] != 2 or not np.isfinite(places).all():
        raise BadInputError(f"centres of nuclei are (N, 2) finite numbers, not {places.shape}.")
    return places


def _nearest_pairs(distance: NDArray[np.float64], allowed: Flags, found: Places, true: Places) -> NDArray[np.intp]:
    """Pairs `(K, 2)`, nearest first, each row and column once. Ties go by place, never by the order of the lists."""
    rows, columns = np.nonzero(allowed)
    keys = (true[columns, 1], true[columns, 0], found[rows, 1], found[rows, 0], distance[rows, columns])
    taken_rows: set[int] = set()
    taken_columns: set[int] = set()
    pairs: list[tuple[int, int]] = []
    for place in np.lexsort(keys):
        row, column = int(rows[place]), int(columns[place])
        if row not in taken_rows and column not in taken_columns:
            taken_rows.add(row)
            taken_columns.add(column)
            pairs.append((row, column))
    return np.array(pairs, np.intp).reshape(-1, 2)
