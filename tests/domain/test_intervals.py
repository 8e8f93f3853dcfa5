"""Intervals: known exact values, and what clustering must do to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.false_cells import upper_false_cells
from her2scope.domain.intervals import clopper_pearson, share_interval


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [  # Clopper and Pearson's exact interval, as statistics tables have it
        (0, 10, 0.0, 0.30850),
        (5, 10, 0.18709, 0.81291),
        (10, 10, 0.69150, 1.0),
        (1, 100, 0.00025, 0.05446),
        (100, 1000, 0.08211, 0.12029),
    ],
)
def test_exact_binomial_interval(hits, n, low, high):
    assert clopper_pearson(hits, n, 0.95) == pytest.approx((low, high), abs=1e-4)


def test_clustered_fields_widen_the_interval():
    alike, unlike = share_interval([30] * 6, [300] * 6), share_interval([0, 0, 0, 60, 60, 60], [300] * 6)
    assert unlike[1] - unlike[0] > 1.5 * (alike[1] - alike[0])


def test_nothing_found_is_not_certainty():
    low, high = share_interval([0, 0, 0], [300, 300, 300])
    exact = clopper_pearson(0, 900, 0.95)
    assert low == 0
    assert high > 5 * exact[1]


def test_more_fields_narrow_the_interval():
    widths = [np.ptp(share_interval([30] * k, [300] * k)) for k in (1, 3, 12, 48)]
    assert widths == sorted(widths, reverse=True)


def test_no_cells_no_interval():
    assert share_interval([], []) is None
    assert share_interval([0], [0]) is None


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), min_size=1, max_size=12))
def test_the_share_lies_in_its_interval(fields):
    hits, totals = [min(pair) for pair in fields], [max(pair) for pair in fields]
    found = share_interval(hits, totals)
    if sum(totals):
        assert found[0] - 1e-8 <= sum(hits) / sum(totals) <= found[1] + 1e-8


@pytest.mark.parametrize(("n", "rate"), [(3000, 0.001), (3000, 0.02), (200, 0.1), (100_000, 0.0005), (5, 0.5)])
def test_bound_of_false_cells_is_the_binomial_quantile(n, rate):
    drawn = np.random.default_rng(1).binomial(n, rate, 200_000)
    bound = upper_false_cells(n, rate)
    assert np.mean(drawn <= bound) >= 0.989
    assert np.mean(drawn <= bound - 1) < 0.991


def test_bound_of_false_cells_at_its_ends():
    assert upper_false_cells(0, 0.5) == upper_false_cells(10, 0.0) == 0
    assert upper_false_cells(10, 1.0) == 10
