"""Whether the 95 % intervals hold, and the probabilities of the scores come true, in simulated cases of known shares.

No picture and no method is needed: each case is drawn as fields of 60 to 400 cells whose shares scatter around the
case's with an intra-field correlation (ICC), as the rules are told of fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import SHARE_ORDER, CellClass, CellCounts
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.guideline import BREAST_2023, SCORES
from her2scope.domain.intervals import share_interval
from her2scope.domain.score_probability import CaseBeliefs, score_probability
from her2scope.evaluation.table import PartReport, percent_at_least, percent_at_most
from her2scope.evaluation.work import Analysers, Tell, done_in_any_order

ICCS = (0.01, 0.05, 0.15)
FIELDS = (3, 6, 12, 24)
TRUE_PERCENT = (0.5, 2.0, 9.0, 11.0, 40.0)
FIELD_CELLS = (60, 400)
CASES = 2000
LEAST_COVERED_PERCENT = 93.0
SCORED_CASES = 3000
ABSENT = 0.5
"""Share of the scored cases that lack a class, for each class by itself."""
PRESENT_PERCENT = (0.5, 50.0)
"""From where to where the share of a class lies that a case has: even on a logarithmic scale."""
BANDS = (0.0, 0.05, 0.2, 0.5, 0.8, 0.95, 1.0)
MOST_OFF_PERCENT = 10.0
LEAST_IN_BAND = 50
"""Of fewer sayings nothing can be told."""
ON_SCORES = "probability of a score, simulated cases"


@dataclass(frozen=True, slots=True)
class Setting:
    """Cases of one kind."""

    icc: float
    fields: int
    true_percent: float
    cases: int = CASES


@dataclass(frozen=True, slots=True)
class Coverage:
    """How the intervals of such cases did."""

    below: float
    """Share (0..1) of intervals that end below the true share."""
    above: float
    """Share (0..1) of intervals that begin above it."""
    median_width_percent: float

    @property
    def covered(self) -> float:
        """Share (0..1) of intervals that hold the true share."""
        return 1 - self.below - self.above


@dataclass(frozen=True, slots=True)
class Band:
    """What was said with probabilities between two values, and how often it was so."""

    least: float
    most: float
    n: int
    said: float | None
    """Mean of the probabilities (0..1); None where there were none."""
    true: float | None
    """Share (0..1) of them that came true."""


def evaluate_intervals(
    methods: Sequence[str], seed: int, tell: Tell, workers: int = 1, cases: int = CASES, scored: int = SCORED_CASES
) -> Mapping[str, PartReport]:
    """Measure both; the same report for every method, as none has a part in it."""
    settings = [Setting(icc, fields, percent, cases) for icc in ICCS for fields in FIELDS for percent in TRUE_PERCENT]
    found: dict[tuple[Setting, int], Coverage] = {}
    for item, coverage in done_in_any_order(_covered, [(setting, seed) for setting in settings], {}, workers):
        found[item] = coverage
        if len(found) % 10 == 0:
            tell(f"intervals: {len(found)} of {len(settings)} settings")
    coverages = {setting: found[setting, seed] for setting in settings}
    bands = reliability(scored, seed)
    tell(f"intervals: probabilities of {scored} cases")
    report = _report(coverages, bands)
    return {method: report if k == 0 else replace(report, notes=()) for k, method in enumerate(methods)}


def _covered(_: Analysers, item: tuple[Setting, int]) -> Coverage:
    return coverage_of(*item)


def coverage_of(setting: Setting, seed: int) -> Coverage:
    """Draw cases of a setting, and see how often their intervals hold its true share."""
    rng = np.random.default_rng((seed, round(1000 * setting.icc), setting.fields, round(10 * setting.true_percent)))
    share = setting.true_percent / 100
    ends = []
    for _ in range(setting.cases):
        counts = draw_fields(rng, np.array([share, 1 - share]), setting.icc, setting.fields)
        interval = share_interval(counts[:, 0].tolist(), counts.sum(axis=1).tolist())
        ends.append(interval or (0.0, 1.0))
    low, high = np.array(ends).T
    return Coverage(float(np.mean(high < share)), float(np.mean(low > share)), 100 * float(np.median(high - low)))


def draw_fields(rng: np.random.Generator, shares: NDArray[np.float64], icc: float, fields: int) -> NDArray[np.int64]:
    """(fields, len(shares)) cells of each class, Dirichlet-multinomial: fields scatter around `shares` by the ICC."""
    present = shares > 0  # a Dirichlet distribution has no room for a class that is absent
    drawn = np.zeros((fields, len(shares)), np.int64)
    cells = rng.integers(FIELD_CELLS[0], FIELD_CELLS[1], fields, endpoint=True)
    drawn[:, present] = rng.multinomial(cells, rng.dirichlet(shares[present] * (1 / icc - 1), fields))
    return drawn


def reliability(cases: int, seed: int) -> list[Band]:
    """Draw cases of all kinds; the probability of each score of each case against the score of its true shares."""
    rng = np.random.default_rng((seed, 1))
    said, true = [], []
    for _ in range(cases):
        shares = _some_shares(rng)
        counts = draw_fields(rng, shares, float(rng.choice(ICCS)), int(rng.choice(FIELDS)))
        fields = [CellCounts(**_named(field)) for field in counts]
        chances = score_probability(CaseBeliefs(fields), BREAST_2023, FalseRates()) or {}
        truth = true_score(shares, int(counts.sum()))
        said += [chances[score] for score in SCORES]
        true += [score == truth for score in SCORES]
    return _bands(np.array(said), np.array(true))


def true_score(shares: NDArray[np.float64], n: int) -> str:
    """Score by the guideline of `n` cells that show the true shares (in `SHARE_ORDER`) exactly."""
    counts = np.round(shares * n).astype(int)
    counts[-1] += n - counts.sum()
    return BREAST_2023.find(BREAST_2023, CellCounts(**_named(counts)), FalseRates()).score


def _named(counts: NDArray[np.int64]) -> dict[str, int]:
    return {name.value: int(n) for name, n in zip(SHARE_ORDER, counts, strict=True)}


def _some_shares(rng: np.random.Generator) -> NDArray[np.float64]:
    """Shares (0..1) in `SHARE_ORDER` of a case."""
    n = len(CellClass) - 1
    low, high = np.log(np.array(PRESENT_PERCENT) / 100)
    stained = np.exp(rng.uniform(low, high, n)) * (rng.random(n) >= ABSENT)
    stained *= min(1.0, 0.95 / max(stained.sum(), 1e-9))
    return np.append(stained, 1 - stained.sum())


def _bands(said: NDArray[np.float64], true: NDArray[np.bool_]) -> list[Band]:
    found = []
    for least, most in zip(BANDS, BANDS[1:], strict=False):
        inside = (said >= least) & ((said < most) | (most == 1.0))
        n = int(inside.sum())
        found.append(
            Band(least, most, n, *((float(said[inside].mean()), float(true[inside].mean())) if n else (None, None)))
        )
    return found


# ---- figures ------------------------------------------------------------------------------------------------------


def _report(coverages: Mapping[Setting, Coverage], bands: Sequence[Band]) -> PartReport:
    figures, notes = [], []
    for icc in ICCS:
        for fields in FIELDS:
            row = {
                setting: found for setting, found in coverages.items() if (setting.icc, setting.fields) == (icc, fields)
            }
            worst = min(row, key=lambda setting: row[setting].covered)
            remark = f"the least of 5 shares, at {worst.true_percent:g} %; {worst.cases} cases each"
            on, name = f"95 % intervals, ICC {icc:g}", f"hold the true share, {fields} fields"
            figures.append(percent_at_least(on, name, row[worst].covered, LEAST_COVERED_PERCENT, remark))
            cells = "; ".join(_cell(setting, found) for setting, found in row.items())
            notes.append(f"ICC {icc:g}, {fields} fields (true share: held, median width): {cells}")
    told = [band for band in bands if band.n >= LEAST_IN_BAND and band.said is not None and band.true is not None]
    off = max((abs((band.said or 0.0) - (band.true or 0.0)) for band in told), default=None)
    name = "greatest difference between said and come true"
    figures.append(percent_at_most(ON_SCORES, name, off, MOST_OFF_PERCENT, f"{len(told)} bands"))
    notes += [f"probability {band.least:g} to {band.most:g}: {_said(band)}" for band in bands]
    details = {
        "coverage": [
            asdict(setting) | asdict(found) | {"covered": found.covered} for setting, found in coverages.items()
        ],
        "reliability": [asdict(band) for band in bands],
    }
    return PartReport(tuple(figures), details, tuple(notes))


def _cell(setting: Setting, found: Coverage) -> str:
    return f"{setting.true_percent:g} %: {100 * found.covered:.1f} %, {found.median_width_percent:.1f}"


def _said(band: Band) -> str:
    if band.said is None or band.true is None:
        return "never said"
    return f"said {band.said:.2f}, came true {band.true:.2f} (n {band.n})"
