"""How well computed scores agree with those of readers: what a laboratory must know before it relies on them.

The reader's score is the reference. Weighted kappa: Cohen, Psychol Bull 70:213, 1968, with squared distances; its
standard error for large samples: Fleiss, Cohen and Everitt, Psychol Bull 72:323, 1969. Intervals of shares: Wilson,
J Am Stat Assoc 22:209, 1927.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.guideline import SCORES, Score

Table = NDArray[np.int64]
"""`(4, 4)` cases: rows by the reader's score, columns by the computed one, both from 0 to 3+."""

AIM_SHARE = 0.95
"""Concordance of positive and negative with a validated method that ASCO/CAP asks for since 2007 (Wolff, J Clin Oncol
25:118), equivocal cases left out. CAP's guideline of 2024 (doi:10.5858/arpa.2023-0483-CP) is content with 0.90."""
LEAST_POSITIVE, LEAST_NEGATIVE = 40, 40
"""Least cases of a validation of a test that a laboratory made itself, as this program is; 20 of each are enough for
one that was cleared (Fitzgibbons et al., Arch Pathol Lab Med 134:930, 2010, for predictive markers of the breast)."""
CONFIDENCE = 0.95

_N = len(SCORES)
_Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
_WEIGHTS = 1.0 - (np.subtract.outer(np.arange(_N), np.arange(_N)) / (_N - 1)) ** 2
"""1 for the same score, 0 for 0 against 3+."""
_NEGATIVE, _EQUIVOCAL, _POSITIVE = ("0", "1+"), "2+", "3+"
_CERTAIN_SE = 1e-7
"""A standard error below this is rounding: the table leaves kappa no room."""


@dataclass(frozen=True, slots=True)
class Proportion:
    """So many of so many, with its 95 % interval (Wilson)."""

    hits: int
    n: int

    @property
    def share(self) -> float | None:
        """0..1; None of nothing."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Shares between which the true one lies; None of nothing."""
        if not self.n:
            return None
        share, z2 = self.hits / self.n, _Z**2 / self.n
        middle = (share + z2 / 2) / (1 + z2)
        half = _Z / (1 + z2) * math.sqrt(share * (1 - share) / self.n + z2 / (4 * self.n))
        return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))


@dataclass(frozen=True, slots=True)
class Kappa:
    """Quadratic weighted kappa of a table."""

    value: float
    interval: tuple[float, float] | None
    """95 %; None where the table tells no standard error, as one without any disagreement."""


@dataclass(frozen=True, slots=True)
class CutAgreement:
    """Whether both stand on the same side of a cut between two scores."""

    name: str
    positive: Proportion
    """Of the cases that the reader puts above the cut: those computed above it."""
    negative: Proportion
    """Of the cases that the reader puts below the cut: those computed below it."""


@dataclass(frozen=True, slots=True, eq=False)
class ReaderAgreement:
    """All that a validation says."""

    table: Table
    kappa: Kappa | None
    """None where one of the two gave all cases the same score."""
    same_score: Proportion
    concordance: Proportion
    """Positive (3+) against negative (0, 1+); the reader's 2+ are left out, and a computed 2+ is discordant."""
    cuts: tuple[CutAgreement, ...]
    """3+ against the rest, 2+ or more against the rest, 1+ against 0 among the cases that the reader calls so."""
    n_positive: int
    """Cases that the reader calls 3+."""
    n_negative: int
    """Cases that the reader calls 0 or 1+."""

    @property
    def n(self) -> int:
        """Cases with both scores."""
        return int(self.table.sum())

    @property
    def is_enough(self) -> bool:
        """Whether there are as many cases as a validation asks for."""
        return enough_cases(self.n_positive, self.n_negative)


def enough_cases(n_positive: int, n_negative: int) -> bool:
    """Whether so many cases that readers call 3+, and 0 or 1+, can validate a method."""
    return n_positive >= LEAST_POSITIVE and n_negative >= LEAST_NEGATIVE


def why_not_validated(n_positive: int, n_negative: int, concordance: float | None) -> str:
    """Why a comparison with readers validates nothing, in words; empty where it validates."""
    if not enough_cases(n_positive, n_negative):
        told = f"{n_positive} that readers call 3+ and {n_negative} that they call 0 or 1+"
        return f"too few cases, {told}; at least {LEAST_POSITIVE} and {LEAST_NEGATIVE} are needed"
    if concordance is None or concordance < AIM_SHARE:
        return f"positive and negative agree in less than {100 * AIM_SHARE:g} % of cases"
    return ""


def reader_agreement(pairs: Iterable[tuple[Score, Score]]) -> ReaderAgreement:
    """Compare computed scores (first) with the reader's (second), case by case; the order of cases does not matter."""
    table = np.zeros((_N, _N), np.int64)
    for computed, reader in pairs:
        table[SCORES.index(reader), SCORES.index(computed)] += 1
    table.setflags(write=False)
    negative = [SCORES.index(score) for score in _NEGATIVE]
    positive = SCORES.index(_POSITIVE)
    n_positive, n_negative = int(table[positive].sum()), int(table[negative].sum())
    concordant = int(table[positive, positive] + table[np.ix_(negative, negative)].sum())
    return ReaderAgreement(
        table,
        quadratic_kappa(table),
        Proportion(int(np.trace(table)), int(table.sum())),
        Proportion(concordant, n_positive + n_negative),
        (
            _at_cut(table, "3+ against the rest", _POSITIVE),
            _at_cut(table, "2+ or 3+ against 0 or 1+", _EQUIVOCAL),
            _at_cut(table[:2], "1+ or more against 0, of the reader's 0 and 1+", "1+"),
        ),
        n_positive,
        n_negative,
    )


def quadratic_kappa(table: Table) -> Kappa | None:
    """Agreement beyond chance with squared distances as weights: 1 is perfect, 0 is chance.

    None where one of the two gave all cases the same score: whatever the other did, it would be 0, or 0 by 0.
    """
    n = int(table.sum())
    if n == 0 or n in table.sum(axis=0) or n in table.sum(axis=1):
        return None
    shares = table / n
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    observed, by_chance = float((_WEIGHTS * shares).sum()), float(rows @ _WEIGHTS @ columns)
    value = (observed - by_chance) / (1.0 - by_chance)
    se = _kappa_se(shares, rows, columns, observed, by_chance, n)
    if se < _CERTAIN_SE:
        return Kappa(value, None)
    return Kappa(value, (max(-1.0, value - _Z * se), min(1.0, value + _Z * se)))


def least_perfect_cases() -> int:
    """How many cases, all concordant, show the concordance aimed at: so many have a lower bound of `AIM_SHARE`."""
    return math.ceil(_Z**2 * AIM_SHARE / (1.0 - AIM_SHARE))


def _kappa_se(
    shares: NDArray[np.float64],
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    observed: float,
    by_chance: float,
    n: int,
) -> float:
    """Standard error of weighted kappa (Fleiss, Cohen and Everitt 1969, where kappa need not be 0)."""
    mean_weights = np.add.outer(_WEIGHTS @ columns, _WEIGHTS @ rows)
    terms = (_WEIGHTS * (1.0 - by_chance) - mean_weights * (1.0 - observed)) ** 2
    variance = float((shares * terms).sum()) - (observed * by_chance - 2.0 * by_chance + observed) ** 2
    return math.sqrt(max(0.0, variance) / n) / (1.0 - by_chance) ** 2


def _at_cut(table: Table, name: str, least: Score) -> CutAgreement:
    """Agreement at the cut below `least`, of the reader's scores in the rows of `table`."""
    cut = SCORES.index(least)
    above, below = table[cut:], table[:cut]
    return CutAgreement(
        name,
        Proportion(int(above[:, cut:].sum()), int(above.sum())),
        Proportion(int(below[:, :cut].sum()), int(below.sum())),
    )
