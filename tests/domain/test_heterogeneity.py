"""Hot spots: named where a field stands out, and hardly ever where fields differ as they usually do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.guideline import BREAST_2023, INTENSE, MODERATE_OR_MORE
from her2scope.domain.heterogeneity import Heterogeneity, at_least_probability, find_heterogeneity
from her2scope.domain.intervals import USUAL_ICC


def found_in(*fields: CellCounts, numbers: list[int] | None = None) -> Heterogeneity:
    return find_heterogeneity(fields, numbers or list(range(1, len(fields) + 1)), BREAST_2023)


def intense(percent: int, n: int = 200) -> CellCounts:
    return CellCounts(complete_intense=percent * n // 100, none=n - percent * n // 100)


def test_a_hot_spot_is_named_by_its_number():
    fields = [intense(3)] * 11 + [intense(38)]
    found = found_in(*fields, numbers=[*range(10, 21), 7])
    assert [str(spot) for spot in found.hot_spots] == ["hot spot: field 7 has 38 % complete intense (case 6 %)"]


def test_shares_of_each_field_are_kept():
    found = found_in(intense(3), CellCounts(), numbers=[4, 9])
    assert [(one.number, one.n_tumour) for one in found.fields] == [(4, 200), (9, 0)]
    assert found.fields[0].shares_percent[CellClass.COMPLETE_INTENSE] == 3 and found.fields[1].shares_percent is None


def test_several_hot_spots_stand_hottest_first():
    found = found_in(*[intense(0)] * 8, intense(40), intense(60))
    assert [spot.number for spot in found.hot_spots] == [10, 9]


def test_moderate_staining_makes_a_hot_spot_too():
    hot = CellCounts(complete_moderate=80, none=120)
    (spot,) = found_in(*[intense(0)] * 8, hot).hot_spots
    assert spot.pattern == MODERATE_OR_MORE and "40 % moderate or more" in str(spot)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([intense(60)] * 6, id="all alike"),
        pytest.param([intense(60)] * 6 + [intense(2)], id="a cold field makes no hot ones"),
        pytest.param([intense(40)] * 8 + [intense(99)], id="the others have the same score"),
        pytest.param([intense(0)] * 8 + [intense(9)], id="no higher score by itself"),
        pytest.param([intense(6)] * 8 + [intense(13)], id="within what fields usually differ"),
        pytest.param([intense(0)] * 8 + [intense(60, 10)], id="too few cells"),
        pytest.param([intense(60)], id="one field"),
        pytest.param([], id="none"),
    ],
)
def test_no_hot_spot(fields):
    assert found_in(*fields).hot_spots == ()


def test_hardly_any_case_of_usual_fields_has_one():
    rng = np.random.default_rng(5)
    cases = 0
    for share in (0.03, 0.07, 0.1):
        for _ in range(100):
            drawn = rng.binomial(200, rng.beta(*(np.array([share, 1 - share]) * (1 / USUAL_ICC - 1)), 10))
            cases += bool(found_in(*(CellCounts(complete_intense=int(n), none=200 - int(n)) for n in drawn)).hot_spots)
    assert cases / 300 <= 0.05


@pytest.mark.parametrize(("hits", "n", "share", "icc"), [(3, 12, 0.1, 0.05), (1, 5, 0.4, 0.2), (0, 5, 0.1, 0.1)])
def test_beta_binomial_tail(hits, n, share, icc):
    def log_beta(a: float, b: float) -> float:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)

    a, b = share * (1 / icc - 1), (1 - share) * (1 / icc - 1)
    exact = sum(math.comb(n, k) * math.exp(log_beta(a + k, b + n - k) - log_beta(a, b)) for k in range(hits, n + 1))
    assert at_least_probability(hits, n, share, icc) == pytest.approx(exact)


def test_the_intense_pattern_names_a_field_once():
    (spot,) = found_in(*[intense(0)] * 8, intense(50)).hot_spots
    assert spot.pattern == INTENSE
