"""Heterogeneity in space: the share of each field, and fields that stand out from the rest of the case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.guideline import INTENSE, MODERATE_OR_MORE, Guideline, pattern_words
from her2scope.domain.intervals import USUAL_ICC

ALPHA = 0.01
"""Probability that a case whose fields differ as they usually do has any hot spot named (Bonferroni)."""
PATTERNS = (INTENSE, MODERATE_OR_MORE)
"""What a hot spot is of, the higher one first; a field is named once."""
MIN_HOT_CELLS = 20
"""Tumour cells of a field of which a share is told apart from the rest, as for the score of one field."""


@dataclass(frozen=True, slots=True)
class FieldShares:
    """What one field shows."""

    number: int
    n_tumour: int
    shares_percent: Mapping[CellClass, float] | None
    """None where there is no tumour cell."""


@dataclass(frozen=True, slots=True)
class HotSpot:
    """A field that by itself exceeds the guideline's cut, while the rest of the case does not."""

    number: int
    pattern: tuple[CellClass, ...]
    field_percent: float
    case_percent: float
    """Of all cells of the case, those of this field among them."""

    def __str__(self) -> str:
        shown = f"{self.field_percent:.0f} % {pattern_words(self.pattern)}"
        return f"hot spot: field {self.number} has {shown} (case {self.case_percent:.0f} %)"


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """A case field by field."""

    fields: tuple[FieldShares, ...]
    hot_spots: tuple[HotSpot, ...]


def find_heterogeneity(fields: Sequence[CellCounts], numbers: Sequence[int], table: Guideline) -> Heterogeneity:
    """Shares of each field, and the hot spots among them, the hottest first; `numbers` name the fields."""
    shares = tuple(
        FieldShares(number, counts.n_tumour, counts.shares_percent())
        for number, counts in zip(numbers, fields, strict=True)
    )
    found: dict[int, HotSpot] = {}
    for pattern in PATTERNS:
        for spot in _hot_spots(fields, numbers, table, pattern):
            found.setdefault(spot.number, spot)
    return Heterogeneity(shares, tuple(found.values()))


def _hot_spots(
    fields: Sequence[CellCounts], numbers: Sequence[int], table: Guideline, pattern: tuple[CellClass, ...]
) -> list[HotSpot]:
    """Fields above the cut that chance and the cooler fields do not explain.

    The cooler ones are most of the case, and not above the cut themselves.
    """
    counted = [(one.sum_of(pattern), one.n_tumour, number) for number, one in zip(numbers, fields, strict=True)]
    counted = sorted((one for one in counted if one[1]), key=lambda one: (one[0] / one[1], one[2]))
    all_hits, all_n = sum(one[0] for one in counted), sum(one[1] for one in counted)
    spots = []
    hits, n = 0, 0  # of the cooler fields
    for n_cooler, (field_hits, field_n, number) in enumerate(counted):
        higher = 100 * field_hits > table.min_percent * field_n and 100 * hits <= table.min_percent * n
        if higher and 2 * n > all_n and field_n >= MIN_HOT_CELLS:
            # The share of the cooler fields is itself known from so many fields only.
            icc = USUAL_ICC * (1 + 1 / n_cooler)
            chance = at_least_probability(field_hits, field_n, (hits + 0.5) / (n + 1), icc)
            if chance * len(PATTERNS) * len(counted) < ALPHA:
                spots.append(HotSpot(number, pattern, 100 * field_hits / field_n, 100 * all_hits / all_n))
        hits, n = hits + field_hits, n + field_n
    return spots[::-1]


def at_least_probability(hits: int, n: int, share: float, icc: float) -> float:
    """Probability of `hits` or more among `n` cells of one field of a case of that share (0..1): beta-binomial."""
    if hits <= 0:
        return 1.0
    a, b = share * (1 / icc - 1), (1 - share) * (1 / icc - 1)
    k = np.arange(n)
    log_step = np.log((n - k) / (k + 1.0)) + np.log((a + k) / (b + n - k - 1))  # log pmf(k + 1) - log pmf(k)
    log_pmf = np.concatenate(([0.0], np.cumsum(log_step)))
    pmf = np.exp(log_pmf - log_pmf.max())
    return float(pmf[hits:].sum() / pmf.sum())
