"""What is known of a share when cells come in fields: its 95 % interval, and the probability that it exceeds a cut.

Cells of one field are alike, so they count for less than their number, and with few fields nobody can tell how alike.
Both are therefore unknowns of one model: the share of each field is drawn around the case's (beta-binomial; Skellam,
J R Stat Soc B 10:257, 1948), with an intra-field correlation (ICC) of which a prior says what fields of HER2 slides are
like. The posterior of the two is summed over a grid (Gelman et al., Bayesian Data Analysis, 3rd ed., 2013, ch. 5), and
the interval holds 2 % of the share's posterior outside each end. A class of which no cell was found may be absent.

Chosen by measurement (`her2scope evaluate --part intervals`). An exact interval at the effective number of cells (Korn
and Graubard, Surv Methodol 24:193, 1998) with an ICC shrunk to 0.05 held only 82 to 87 % of shares from 9 % on with 3
fields of ICC 0.15. A bootstrap of three fields does not hold, nor does any at 0 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

USUAL_ICC = 0.05
"""HER2 shares of neighbouring 40x fields differ by about 10 points at a share of 20 to 50 %. A documented start value,
to be measured on real cases."""
PRIOR_ICC = 0.08
"""Median of the prior: above the usual one, as an ICC taken too small costs more than one taken too large."""
PRIOR_LOG_SD = 1.0
"""Of the natural logarithm of the ICC: two thirds of cases between 0.03 and 0.22."""
MOST_ICC = 0.7
SHARE_PRIOR = 0.3
"""Both parameters of the share's beta prior, between Jeffreys' (0.5) and Haldane's (0): with fields that are alike,
Jeffreys' puts the lower end too high when a few cells of one field are stained."""
TAIL_IN_HAND = 0.8
"""The tails hold this part of what they may, so that the interval holds too where fields are more alike than the prior
has it (measured: ICC of 0.15)."""
PRIOR_ABSENT = 0.5
"""Probability, before any cell was seen, that a case has no cell at all of a class: most have none of some."""

_FIRST_STEPS, _STEPS, _ICC_STEPS = 28, 44, 9
_LOGIT_RANGE = 24.0
_NEGLIGIBLE_LOG = -10.0
"""Of the greatest density: less is left out of the second, finer grid."""
_LOG_ICC_RANGE = (math.log(PRIOR_ICC) - 3 * PRIOR_LOG_SD, math.log(MOST_ICC))
_PRIOR_MASS = (
    math.gamma(SHARE_PRIOR) ** 2 / math.gamma(2 * SHARE_PRIOR)
    * math.sqrt(2 * math.pi) * PRIOR_LOG_SD
    * NormalDist().cdf((_LOG_ICC_RANGE[1] - math.log(PRIOR_ICC)) / PRIOR_LOG_SD)
)  # fmt: skip
"""Integral of the prior of share and ICC as `_Posterior` writes it."""
_EXACT_TERMS = 6
"""Terms of a log rising factorial summed one by one; from there on Stirling's series is exact enough."""
_GROUP_LOG = 0.2
"""Fields of so nearly equal numbers of cells are taken at their mean, with a term for their variance."""


@dataclass(frozen=True, slots=True, eq=False)
class ShareBelief:
    """Posterior of a case's true share."""

    hits: int
    n: int
    logit: FloatArray
    """(G,) logit of the share, rising."""
    below: FloatArray
    """(G,) probability, 0 to 1, that the share is below, were the class not absent."""
    absent: float
    """Probability (0..1) that the share is exactly 0; 0 where a cell was found."""

    def above(self, share: float) -> float:
        """Probability that the true share is greater than `share` (0..1)."""
        if share >= 1:
            return 0.0
        if share < 0:
            return 1.0
        below = 0.0 if share == 0 else float(np.interp(_logit(share), self.logit, self.below))
        return (1 - self.absent) * (1 - below)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Interval (0..1) of the true share; it always holds the observed one."""
        tail = TAIL_IN_HAND * (1 - confidence) / 2
        low = 0.0 if self.hits == 0 else self._share_at(tail)
        high = 1.0 if self.hits == self.n else self._share_at(1 - tail)
        observed = self.hits / self.n
        return min(low, observed), max(high, observed)

    def _share_at(self, below: float) -> float:
        return _share(float(np.interp(below, self.below, self.logit)))


def share_interval(hits: Sequence[int], totals: Sequence[int], confidence: float = 0.95) -> tuple[float, float] | None:
    """Interval (0..1) of the share of `hits` among `totals`, one entry per field; None where there are no cells."""
    belief = share_belief(hits, totals)
    return None if belief is None else belief.interval(confidence)


def share_belief(hits: Sequence[int], totals: Sequence[int], times: float = 1.0) -> ShareBelief | None:
    """Posterior of the share of `hits` among `totals`, one entry per field; None where there are no cells.

    `times` counts the fields as that many times their number: what more fields like these would tell.
    """
    fields = sorted((hit, n) for hit, n in zip(hits, totals, strict=True) if n > 0)
    return _belief(tuple(fields), times) if fields else None


@lru_cache(maxsize=512)
def _belief(fields: tuple[tuple[int, int], ...], times: float) -> ShareBelief:
    counts = np.array(fields, np.float64)
    hits, n = (int(total) for total in counts.sum(axis=0))
    posterior = _Posterior(counts, times)
    centre = math.log((hits + 0.5) / (n - hits + 0.5))
    # Fine steps about the observed share, however many cells there are, and coarse ones as far as a share can be.
    steps = np.linspace(-1, 1, _FIRST_STEPS)
    logit = np.clip(centre + _LOGIT_RANGE * np.sinh(8 * steps) / math.sinh(8), -_LOGIT_RANGE, _LOGIT_RANGE)
    logit = np.unique(logit)
    log_icc = np.linspace(*_LOG_ICC_RANGE, _ICC_STEPS)
    likely = posterior.log_density(logit, log_icc)
    likely = likely > likely.max() + _NEGLIGIBLE_LOG
    logit = _finer(logit, likely.any(axis=1), _STEPS)
    log_icc = _finer(log_icc, likely.any(axis=0), _ICC_STEPS)
    log_density = posterior.log_density(logit, log_icc)
    greatest = float(log_density.max())
    density = np.trapezoid(np.exp(log_density - greatest), log_icc, axis=1)
    below = np.concatenate(([0.0], np.cumsum(density[1:] + density[:-1])))
    absent = 0.0
    if hits == 0:
        evidence = math.exp(greatest) * float(np.trapezoid(density, logit)) / _PRIOR_MASS
        absent = PRIOR_ABSENT / (PRIOR_ABSENT + (1 - PRIOR_ABSENT) * evidence)
    return ShareBelief(hits, n, logit, below / below[-1], absent)


def _finer(values: FloatArray, likely: NDArray[np.bool_], n: int) -> FloatArray:
    """Even steps over the part of `values` that is likely, and one value more on either side."""
    places = np.flatnonzero(likely)
    return np.linspace(values[max(places[0] - 1, 0)], values[min(places[-1] + 1, len(values) - 1)], n)


class _Posterior:
    """Log density of share and ICC, but for a constant, after some fields."""

    def __init__(self, counts: FloatArray, times: float) -> None:
        hits, n = counts.T
        self._hits, self._misses, self._all = (_Repeated(cells, times) for cells in (hits, n - hits, n))

    def log_density(self, logit: FloatArray, log_icc: FloatArray) -> FloatArray:
        """(G, J) over the logit of the share and the logarithm of the ICC."""
        size = np.exp(-log_icc) - 1  # the beta's two parameters together: 1 / icc - 1
        log_share, log_rest = -np.logaddexp(0, -logit), -np.logaddexp(0, logit)
        of_share = np.exp(log_share)[:, None] * size
        of_rest = np.exp(log_rest)[:, None] * size
        likelihood = self._hits.log_rising(of_share) + self._misses.log_rising(of_rest) - self._all.log_rising(size)
        prior = SHARE_PRIOR * (log_share + log_rest)[:, None]
        return likelihood + prior - ((log_icc - math.log(PRIOR_ICC)) / PRIOR_LOG_SD) ** 2 / 2


class _Repeated:
    """Numbers of cells, those that are nearly equal taken together."""

    def __init__(self, cells: FloatArray, times: float) -> None:
        many = cells[cells > _EXACT_TERMS]
        self._more_than = [(term, times * float(np.sum(cells > term))) for term in range(_EXACT_TERMS)]
        group = np.floor(np.log(many) / _GROUP_LOG).astype(int)
        fields = np.bincount(group)
        used = fields > 0
        self._fields = times * fields[used]
        self._mean = np.bincount(group, many)[used] / fields[used]
        self._variance = np.maximum(0.0, np.bincount(group, many**2)[used] / fields[used] - self._mean**2)

    def log_rising(self, start: FloatArray) -> FloatArray:
        """Sum over fields of log(start (start + 1) ... (start + cells - 1)), for each element of `start`."""
        total = np.zeros_like(start)
        for term, fields in self._more_than:
            if fields:
                total += fields * np.log(start + term)
        if len(self._fields):
            ends = np.add.outer(self._mean, start)
            of_variance = np.multiply.outer(self._variance / 2, np.ones_like(start)) / ends
            total += np.tensordot(self._fields, _log_gamma(ends) + of_variance, 1)
            total -= self._fields.sum() * _log_gamma(start + _EXACT_TERMS)
        return total


def _log_gamma(x: FloatArray) -> FloatArray:
    """Logarithm of the gamma function but for a constant, by Stirling's series; exact to 1e-7 from 6 on."""
    inverse = 1 / x
    return (x - 0.5) * np.log(x) - x + inverse * (1 / 12 - inverse * inverse / 360)


def _logit(share: float) -> float:
    return math.log(share) - math.log1p(-share)


def _share(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))
