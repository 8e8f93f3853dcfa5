"""How many cells of a class may be false, so that "any" and "some" mean more than noise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.errors import BadInputError

MIN_CELLS = 5
"""Fewer cells than this are never "some", however clean the method is (design section 3)."""
CONFIDENCE = 0.99


@dataclass(frozen=True, slots=True)
class FalseRates:
    """Share (0..1) of truly unstained cells that a method puts into each stained class."""

    rates: Mapping[CellClass, float] = field(default_factory=dict)
    source: str = "not measured"
    """Where the rates come from (model card), printed with the score."""
    icc: float = 0.0
    """Intra-field correlation of false cells: haze and background make them come in fields."""
    design_effect: float = 1.0
    """Set by `over` for the fields at hand."""

    def __post_init__(self) -> None:
        if any(not 0 <= rate <= 1 for rate in self.rates.values()):
            raise BadInputError(f"false rates are shares from 0 to 1: {dict(self.rates)}. Correct the model card.")

    def of(self, names: Iterable[CellClass]) -> float:
        """Rate of false cells over several classes together."""
        return min(1.0, sum(self.rates.get(name, 0.0) for name in names))

    def with_own_negatives(self, negatives: CellCounts) -> FalseRates:
        """The larger of each rate and what this case's own negative cells show (stroma, lymphocytes, normal ducts)."""
        if negatives.n_tumour == 0:
            return self
        stained = [name for name in CellClass if name is not CellClass.NONE]
        rates: dict[CellClass, float] = {
            name: max(negatives[name] / negatives.n_tumour, self.rates.get(name, 0.0)) for name in stained
        }
        source = f"{self.source}; this case's {negatives.n_tumour} negative cells"
        return replace(self, rates=rates, source=source)

    def over(self, fields: Sequence[CellCounts]) -> FalseRates:
        """These rates for cells that come in `fields`: alike within a field, they count for fewer (Kish, 1965)."""
        totals = [counts.n_tumour for counts in fields]
        n = sum(totals)
        mean_cells = sum(total * total for total in totals) / n if n else 0.0
        return replace(self, design_effect=1 + max(0.0, mean_cells - 1) * self.icc)


def upper_false_cells(n: int, rate: float, confidence: float = CONFIDENCE) -> int:
    """Smallest k with P(false cells <= k) >= `confidence` when each of `n` cells is false with `rate` (binomial)."""
    if n <= 0 or rate <= 0:
        return 0
    if rate >= 1:
        return n
    k = np.arange(n)
    log_step = np.log((n - k) / (k + 1.0)) + np.log(rate / (1 - rate))  # log pmf(k + 1) - log pmf(k)
    log_pmf = n * np.log1p(-rate) + np.concatenate(([0.0], np.cumsum(log_step)))
    return int(np.searchsorted(np.cumsum(np.exp(log_pmf)), confidence))


def are_real(count: int, n: int, rate: float, design_effect: float = 1.0) -> bool:
    """Whether `count` cells among `n` are more than noise: above the 99 % bound of false cells, and at least 5."""
    bound_share = upper_false_cells(round(n / design_effect), rate) / max(1, round(n / design_effect))
    return count >= MIN_CELLS and count > bound_share * n
