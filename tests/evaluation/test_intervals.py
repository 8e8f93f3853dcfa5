"""The measurement of the intervals: small, with the figures that come of it."""

from __future__ import annotations

import numpy as np
import pytest

from her2scope.evaluation import intervals
from her2scope.evaluation.intervals import BANDS, Setting, coverage_of, draw_fields, reliability, true_score
from her2scope.evaluation.table import table_json


@pytest.mark.parametrize(
    "setting", [Setting(0.05, 6, 9.0, 150), Setting(0.15, 3, 40.0, 150), Setting(0.05, 3, 0.5, 150)]
)
def test_intervals_hold(setting):
    found = coverage_of(setting, 7)
    assert found.covered >= 0.9 and found.below + found.above + found.covered == pytest.approx(1)
    assert 0 < found.median_width_percent < 60


def test_fields_scatter_by_the_icc_about_the_share():
    rng = np.random.default_rng(1)
    drawn = draw_fields(rng, np.array([0.2, 0.0, 0.8]), 0.05, 4000)
    cells = drawn.sum(axis=1)
    assert not drawn[:, 1].any() and cells.min() >= 60 and cells.max() <= 400
    shares = drawn[:, 0] / cells
    binomial = np.mean(0.16 / cells)
    assert shares.mean() == pytest.approx(0.2, abs=0.01)
    assert shares.var() == pytest.approx(0.16 * 0.05 + binomial * 0.95, rel=0.1)


@pytest.mark.parametrize(
    ("shares", "score"),
    [((0.2, 0, 0, 0, 0.8), "3+"), ((0.02, 0, 0, 0, 0.98), "2+"), ((0, 0, 0, 0.2, 0.8), "1+"), ((0, 0, 0, 0, 1), "0")],
)
def test_the_true_score_is_the_guidelines(shares, score):
    assert true_score(np.array(shares), 1000) == score


def test_probabilities_come_true():
    bands = reliability(120, 3)
    assert [band.least for band in bands] == list(BANDS[:-1]) and sum(band.n for band in bands) == 4 * 120
    low, high = bands[0], bands[-1]
    assert low.true <= 0.05 and high.true >= 0.93 and low.said < 0.05 and high.said > 0.95


def test_every_method_has_the_same_rows_and_the_notes_stand_once(monkeypatch):
    monkeypatch.setattr(intervals, "FIELDS", (3,))
    monkeypatch.setattr(intervals, "ICCS", (0.05,))
    told: list[str] = []
    reports = intervals.evaluate_intervals(["a", "b"], 1, told.append, cases=4, scored=6)
    table_json({"intervals": reports}, ["a", "b"])
    assert [figure.name for figure in reports["a"].figures] == [
        "hold the true share, 3 fields",
        "greatest difference between said and come true",
    ]
    assert reports["a"].figures == reports["b"].figures and reports["a"].notes and not reports["b"].notes
    assert len(reports["a"].details["coverage"]) == 5 and told
