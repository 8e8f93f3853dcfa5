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
    certain_faint: float | None = None
    """Share of truly unstained cells that are called faint beyond doubt; None where a method doubts none of its own."""

    def __post_init__(self) -> None:
        if any(not 0 <= rate <= 1 for rate in (*self.rates.values(), self.of_certain_faint)):
            known = f"{dict(self.rates)}, certain faint {self.certain_faint}"
            raise BadInputError(f"false rates are shares from 0 to 1: {known}. Correct the model card.")

    def of(self, names: Iterable[CellClass]) -> float:
        """Rate of false cells over several classes together."""
        return min(1.0, sum(self.rates.get(name, 0.0) for name in names))

    @property
    def of_certain_faint(self) -> float:
        """Rate of false cells among the faint ones beyond doubt."""
        return self.of((CellClass.INCOMPLETE_FAINT,)) if self.certain_faint is None else self.certain_faint

    def is_real(self, counts: CellCounts, names: tuple[CellClass, ...]) -> bool:
        """Whether the cells of these classes together are more than noise."""
        return are_real(counts.sum_of(names), counts.n_tumour, self.of(names), self.design_effect)

    def is_faint_beyond_doubt(self, counts: CellCounts) -> bool:
        """Whether the faint cells beyond doubt are more than noise."""
        return are_real(counts.certain_faint, counts.n_tumour, self.of_certain_faint, self.design_effect)

    def with_own_negatives(self, negatives: CellCounts) -> FalseRates:
        """Rates that this case's own negative cells (stroma, lymphocytes, normal ducts) show, where they are larger.

        A class of which they show no more than the known rate can explain keeps that rate: of a few marked cells, one
        stained by chance must not make real staining noise.
        """
        n = negatives.n_tumour
        own: dict[CellClass, float] = {
            name: negatives[name] / n
            for name in CellClass
            if name is not CellClass.NONE and are_real(negatives[name], n, self.of((name,)))
        }
        certain, are_more = self.certain_faint, are_real(negatives.certain_faint, n, self.of_certain_faint)
        if not own and not are_more:
            return self
        source = f"{self.source}; this case's {n} negative cells"
        if certain is not None and are_more:
            certain = negatives.certain_faint / n
        return replace(self, rates={**self.rates, **own}, certain_faint=certain, source=source)

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


def least_real(n: int, rate: float, design_effect: float = 1.0) -> int:
    """Fewest cells among `n` that are more than noise: above the 99 % bound of false cells, and at least 5."""
    n_effective = round(n / design_effect)
    bound_share = upper_false_cells(n_effective, rate) / max(1, n_effective)
    return max(MIN_CELLS, int(bound_share * n) + 1)


def are_real(count: int, n: int, rate: float, design_effect: float = 1.0) -> bool:
    """Whether `count` cells among `n` are more than noise."""
    return count >= least_real(n, rate, design_effect)
