"""What is known of a share: against the posterior worked out on a dense grid, and what clustering must do to it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.domain.false_cells import upper_false_cells
from her2scope.domain.intervals import (
    MOST_ICC,
    PRIOR_ABSENT,
    PRIOR_ICC,
    PRIOR_LOG_SD,
    SHARE_PRIOR,
    share_belief,
    share_interval,
)

some_fields = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), min_size=1, max_size=8)


def dense_posterior(fields: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray, float]:
    """Shares, the probability of each but for a constant, and the evidence for these cells; by plain products."""
    logit = np.linspace(-30, 30, 2401)
    log_icc = np.linspace(math.log(PRIOR_ICC) - 3 * PRIOR_LOG_SD, math.log(MOST_ICC), 25)
    share = 1 / (1 + np.exp(-logit))
    rest = 1 / (1 + np.exp(logit))
    size = 1 / np.exp(log_icc) - 1
    prior = (
        np.exp(-(((log_icc - math.log(PRIOR_ICC)) / PRIOR_LOG_SD) ** 2) / 2) * (share * rest)[:, None] ** SHARE_PRIOR
    )
    log_likelihood = np.zeros((len(logit), len(log_icc)))
    for hits, n in fields:
        for start, cells in ((share[:, None] * size, hits), (rest[:, None] * size, n - hits)):
            log_likelihood += sum((np.log(start + k) for k in range(cells)), 0.0)
        log_likelihood -= sum((np.log(size + k) for k in range(n)), 0.0)
    density = prior * np.exp(log_likelihood - log_likelihood.max())
    evidence = math.exp(log_likelihood.max()) * np.trapezoid(density, axis=1).sum() / np.trapezoid(prior, axis=1).sum()
    return share, np.trapezoid(density, axis=1), evidence


@pytest.mark.parametrize(
    "fields",
    [
        [(0, 50), (0, 80), (0, 60)],
        [(3, 50), (0, 80), (1, 60)],
        [(40, 70), (30, 70), (20, 60), (33, 80)],
        [(0, 100), (0, 100), (60, 100)],
        [(49, 50), (78, 80)],
    ],
)
def test_interval_and_probabilities_are_those_of_the_posterior(fields):
    share, density, evidence = dense_posterior(fields)
    below = np.cumsum(density) / density.sum()
    belief = share_belief(*zip(*fields, strict=True))
    absent = PRIOR_ABSENT / (PRIOR_ABSENT + (1 - PRIOR_ABSENT) * evidence) if belief.hits == 0 else 0.0
    assert belief.absent == pytest.approx(absent, abs=0.01)
    low, high = belief.interval()
    if belief.hits:
        assert low == pytest.approx(share[np.searchsorted(below, 0.02)], rel=0.08)
    assert 1 - high == pytest.approx(1 - share[np.searchsorted(below, 0.98)], rel=0.08)
    for cut in (0.02, 0.1, 0.4):
        above = 1 - np.interp(cut, share, below)
        assert belief.above(cut) == pytest.approx((1 - absent) * above, abs=0.015)


def test_clustered_fields_widen_the_interval():
    alike, unlike = share_interval([30] * 6, [300] * 6), share_interval([0, 0, 0, 60, 60, 60], [300] * 6)
    assert unlike[1] - unlike[0] > 1.5 * (alike[1] - alike[0])


def test_nothing_found_is_not_certainty():
    low, high = share_interval([0, 0, 0], [300, 300, 300])
    assert low == 0
    assert high > 5 * 3.689 / 900  # an exact binomial interval ends there
    assert share_interval([300] * 3, [300] * 3) == pytest.approx((1 - high, 1.0))


def test_more_fields_narrow_the_interval():
    widths = [np.ptp(share_interval([30] * k, [300] * k)) for k in (1, 3, 12, 48)]
    assert widths == sorted(widths, reverse=True)


def test_times_is_as_many_fields_like_these():
    hits, n = [3, 30, 12, 44], [100, 260, 180, 390]
    assert share_belief(hits, n, 3).interval() == pytest.approx(share_belief(hits * 3, n * 3).interval(), rel=1e-3)


def test_no_cells_no_interval():
    assert share_interval([], []) is None
    assert share_interval([0], [0]) is None


@settings(max_examples=40)
@given(some_fields)
def test_the_share_lies_in_its_interval(fields):
    hits, totals = [min(pair) for pair in fields], [max(pair) for pair in fields]
    found = share_interval(hits, totals)
    if sum(totals):
        low, high = found
        assert 0 <= low <= sum(hits) / sum(totals) <= high <= 1


@settings(max_examples=40)
@given(some_fields, st.data())
def test_neither_order_nor_empty_fields_matter_and_the_mirror_is_the_rest(fields, data):
    hits, totals = [min(pair) for pair in fields], [max(pair) for pair in fields]
    if not sum(totals):
        return
    shuffled = [*data.draw(st.permutations(list(zip(hits, totals, strict=True)))), (0, 0)]
    low, high = share_interval(hits, totals)
    assert share_interval(*zip(*shuffled, strict=True)) == (low, high)
    rest = share_interval([n - hit for hit, n in zip(hits, totals, strict=True)], totals)
    assert rest == pytest.approx((1 - high, 1 - low), abs=1e-6)


@settings(max_examples=40)
@given(some_fields)
def test_a_greater_share_is_never_more_probable(fields):
    hits, totals = [min(pair) for pair in fields], [max(pair) for pair in fields]
    belief = share_belief(hits, totals)
    if belief is not None:
        above = [belief.above(share) for share in (-0.1, 0.0, 0.001, 0.05, 0.1, 0.4, 0.9, 1.0)]
        assert above == sorted(above, reverse=True) and above[0] == 1 and above[-1] == 0
        low, high = belief.interval()
        assert belief.above(high) <= 0.025 and (low == 0 or belief.above(low) >= 0.975)


@pytest.mark.parametrize(("n", "rate"), [(3000, 0.001), (3000, 0.02), (200, 0.1), (100_000, 0.0005), (5, 0.5)])
def test_bound_of_false_cells_is_the_binomial_quantile(n, rate):
    drawn = np.random.default_rng(1).binomial(n, rate, 200_000)
    bound = upper_false_cells(n, rate)
    assert np.mean(drawn <= bound) >= 0.989
    assert np.mean(drawn <= bound - 1) < 0.991


def test_bound_of_false_cells_at_its_ends():
    assert upper_false_cells(0, 0.5) == upper_false_cells(10, 0.0) == 0
    assert upper_false_cells(10, 1.0) == 10
