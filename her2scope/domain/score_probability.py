"""How probable each score of a case is: the guideline's own rows, asked of shares that are not known for certain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.false_cells import FalseRates, least_real
from her2scope.domain.guideline import INTENSE, Guideline, Score
from her2scope.domain.intervals import ShareBelief, share_belief

SURE = 0.975
"""What has this probability is not doubted, as what lies beyond one end of a 95 % interval."""


class CaseBeliefs:
    """What the fields of a case tell of the true share of any classes taken together."""

    def __init__(self, fields: Sequence[CellCounts]) -> None:
        counted = [[counts[name] for name in CellClass] for counts in fields]
        cells = np.array(counted, np.int64).reshape(-1, len(CellClass))
        self._cells = cells[cells.sum(axis=1) > 0]
        self._totals = self._cells.sum(axis=1).tolist()
        self.n_fields = len(self._totals)
        """Fields with tumour cells."""
        self.n = sum(self._totals)
        """Their tumour cells."""

    def of(self, names: Sequence[CellClass], times: float = 1.0) -> ShareBelief | None:
        """Posterior of the share of `names` together; None without cells. `times` as in `share_belief`."""
        hits = self._cells[:, [name.rank for name in names]].sum(axis=1)
        return share_belief(hits.tolist(), self._totals, times)

    def above(self, names: Sequence[CellClass], share: float) -> float:
        """Probability that the true share of `names` together is greater than `share` (0..1); 0 without cells."""
        belief = self.of(names)
        return 0.0 if belief is None else belief.above(share)

    def interval_percent(self, names: Sequence[CellClass], times: float = 1.0) -> tuple[float, float] | None:
        """95 % interval of the share of `names` together, in percent; None without cells."""
        belief = self.of(names, times)
        if belief is None:
            return None
        low, high = belief.interval()
        return 100 * low, 100 * high


def score_probability(beliefs: CaseBeliefs, table: Guideline, false: FalseRates) -> Mapping[Score, float] | None:
    """Probability (0..1) of each score, summing to 1; None where there are no cells.

    It is the probability of what the guideline says of the true shares in tissue like these fields, were as many of
    its cells counted: "some" cells are, as in the score itself, more than the false ones among so many, and 5.
    `false` are the rates over the case's fields.
    """
    if not beliefs.n:
        return None
    return table.probabilities(table, beliefs.above, lambda names: _some_share(beliefs, false, names))


def has_some_intense(beliefs: CaseBeliefs, false: FalseRates) -> bool:
    """Whether there are surely some complete intense cells: then only a cut of their own share can move the score."""
    return beliefs.n > 0 and beliefs.above(INTENSE, _some_share(beliefs, false, INTENSE)) >= SURE


def _some_share(beliefs: CaseBeliefs, false: FalseRates, names: tuple[CellClass, ...]) -> float:
    return (least_real(beliefs.n, false.of(names), false.design_effect) - 0.5) / beliefs.n
