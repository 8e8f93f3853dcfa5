"""Agreement of computed with readers' scores: laws, a table worked by hand, and scikit-learn beside it."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from her2scope.domain.guideline import SCORES
from her2scope.domain.reader_agreement import (
    AIM_SHARE,
    Proportion,
    enough_cases,
    least_perfect_cases,
    quadratic_kappa,
    reader_agreement,
)

A_SCORE = st.sampled_from(SCORES)
PAIRS = st.lists(st.tuples(A_SCORE, A_SCORE), max_size=60)
WORKED = [("0", "0")] * 20 + [("1+", "0")] * 5 + [("1+", "1+")] * 10 + [("2+", "3+")] * 3 + [("3+", "3+")] * 12
"""50 cases, computed first: five 0 called 1+, three 3+ called 2+."""


def test_a_table_worked_by_hand():
    found = reader_agreement([*WORKED, ("3+", "2+")])
    assert found.table.tolist() == [[20, 5, 0, 0], [0, 10, 0, 0], [0, 0, 0, 1], [0, 0, 3, 12]]
    assert (found.n, found.n_positive, found.n_negative, found.is_enough) == (51, 15, 35, False)
    assert found.same_score == Proportion(42, 51)
    assert found.concordance == Proportion(20 + 5 + 10 + 12, 50)  # the reader's 2+ is aside, a computed 2+ discordant
    three, two, one = found.cuts
    assert (three.positive, three.negative) == (Proportion(12, 15), Proportion(35, 36))
    assert (two.positive, two.negative) == (Proportion(16, 16), Proportion(35, 35))
    assert (one.positive, one.negative) == (Proportion(10, 10), Proportion(20, 25))


def test_kappa_of_the_worked_table():
    """1 - sum(d^2 seen) / sum(d^2 by chance), with 8 disagreements by one step."""
    rows, columns = np.array([25, 10, 0, 15]), np.array([20, 15, 3, 12])
    by_chance = sum(rows[i] * columns[j] * (i - j) ** 2 for i in range(4) for j in range(4)) / 50
    kappa = reader_agreement(WORKED).kappa
    assert kappa is not None and kappa.value == pytest.approx(1 - 8 / by_chance)


def test_the_interval_of_kappa_is_that_of_fleiss_cohen_and_everitt():
    """For two scores weighted kappa is Cohen's, whose standard error the same authors write out cell by cell."""
    a, b, c, d = 20, 5, 10, 15
    kappa = reader_agreement([("0", "0")] * a + [("3+", "0")] * b + [("0", "3+")] * c + [("3+", "3+")] * d).kappa
    assert kappa is not None and kappa.value == pytest.approx(0.4) and kappa.interval is not None
    n, po, pe = 50, 0.7, 0.5
    seen = {(0, 0): a / n, (0, 1): b / n, (1, 0): c / n, (1, 1): d / n}
    rows, columns = (0.5, 0.5), (0.6, 0.4)
    on = sum(seen[i, i] * (1 - pe - (rows[i] + columns[i]) * (1 - po)) ** 2 for i in (0, 1))
    off = (1 - po) ** 2 * sum(seen[i, j] * (columns[i] + rows[j]) ** 2 for i, j in ((0, 1), (1, 0)))
    se = math.sqrt((on + off - (po * pe - 2 * pe + po) ** 2) / n) / (1 - pe) ** 2
    assert kappa.interval == pytest.approx((0.4 - 1.959964 * se, 0.4 + 1.959964 * se))


@given(PAIRS)
def test_kappa_is_scikit_learns(pairs):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    computed, reader = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    kappa = reader_agreement(pairs).kappa
    if kappa is None:
        assert len(set(computed)) <= 1 or len(set(reader)) <= 1
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = metrics.cohen_kappa_score(computed, reader, labels=list(SCORES), weights="quadratic")
    assert kappa.value == pytest.approx(theirs, abs=1e-12)


@given(PAIRS, st.randoms(use_true_random=False))
def test_the_order_of_cases_and_who_is_first_do_not_move_kappa(pairs, random):
    kappa = reader_agreement(pairs).kappa
    turned = reader_agreement([(reader, computed) for computed, reader in pairs])
    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert reader_agreement(shuffled).kappa == kappa
    assert (turned.kappa is None) == (kappa is None)
    if kappa is not None and turned.kappa is not None:
        assert turned.kappa.value == pytest.approx(kappa.value, abs=1e-12)
        assert (turned.kappa.interval is None) == (kappa.interval is None)
        assert turned.kappa.interval is None or turned.kappa.interval == pytest.approx(kappa.interval)


@given(st.lists(A_SCORE, min_size=1, max_size=60))
def test_equal_scores_have_a_kappa_of_one_and_no_invented_certainty(scores):
    found = reader_agreement(zip(scores, scores, strict=True))
    assert found.same_score.share == 1.0 and found.same_score.interval[0] < 1.0
    if len(set(scores)) == 1:
        assert found.kappa is None
    else:
        assert found.kappa is not None and found.kappa.value == pytest.approx(1.0) and found.kappa.interval is None


@pytest.mark.parametrize("pairs", [[], [("0", "0")] * 9, [("0", "0"), ("3+", "0")], [("1+", "0"), ("1+", "1+")]])
def test_where_one_gave_all_cases_the_same_score_kappa_is_not_defined(pairs):
    assert reader_agreement(pairs).kappa is None


@given(PAIRS)
def test_every_case_is_in_the_table_and_every_figure_is_a_share_within_its_interval(pairs):
    found = reader_agreement(pairs)
    assert found.n == len(pairs) == found.table.sum()
    shares = [
        found.same_score,
        found.concordance,
        *(side for cut in found.cuts for side in (cut.positive, cut.negative)),
    ]
    for item in shares:
        assert 0 <= item.hits <= item.n
        assert (item.share is None) == (item.interval is None) == (item.n == 0)
        if item.share is not None and item.interval is not None:
            assert 0 <= item.interval[0] <= item.share <= item.interval[1] <= 1
    for cut in found.cuts[:2]:
        assert cut.positive.n + cut.negative.n == found.n
    if found.kappa is not None and found.kappa.interval is not None:
        assert -1 <= found.kappa.interval[0] <= found.kappa.value <= found.kappa.interval[1] <= 1


@given(PAIRS, A_SCORE, A_SCORE)
def test_a_disagreement_made_wider_never_raises_kappa_with_the_same_margins(pairs, one, other):
    """Two cases swap their computed scores: margins stay, and kappa follows the squared distances alone."""
    assume(one != other)
    agreed = reader_agreement([*pairs, (one, one), (other, other)]).kappa
    swapped = reader_agreement([*pairs, (one, other), (other, one)]).kappa
    assert agreed is not None and swapped is not None and swapped.value < agreed.value


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_intervals_of_the_literature(hits, n, low, high):
    """The last from Newcombe, Stat Med 17:857, 1998."""
    assert Proportion(hits, n).interval == pytest.approx((low, high), abs=5e-5)


def test_so_many_perfect_cases_show_the_concordance_and_one_less_does_not():
    least = least_perfect_cases()
    shown, not_shown = Proportion(least, least).interval, Proportion(least - 1, least - 1).interval
    assert least == 73 and not_shown[0] < AIM_SHARE <= shown[0]


def test_a_validation_needs_forty_of_either():
    assert enough_cases(40, 40) and not enough_cases(39, 400) and not enough_cases(400, 39)


def test_the_table_cannot_be_changed_behind_its_figures():
    with pytest.raises(ValueError, match="read-only"):
        reader_agreement(WORKED).table[0, 0] = 1
    assert quadratic_kappa(np.zeros((4, 4), np.int64)) is None
