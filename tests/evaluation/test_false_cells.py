"""False cells for a card: measured on negative fields, never less than what can be known from so many cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from her2scope.app.compose import make_analyser
from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.errors import BadInputError
from her2scope.evaluation import false_cells
from her2scope.evaluation.false_cells import UNSEEN_CELLS, measure_false_cells
from her2scope.phantom.field import render_field
from her2scope.segmentation.methods import CLOSED_CONTOURS
from her2scope.settings import Calibration, ScoringSettings


@pytest.fixture(scope="module")
def analyser():
    return make_analyser(CLOSED_CONTOURS, ScoringSettings(), Calibration())


@pytest.fixture(scope="module", autouse=True)
def _small_fields() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(false_cells, "render_field", lambda spec: render_field(replace(spec, size_wh=(640, 480))))
        yield


def test_a_rate_is_never_below_what_so_many_cells_can_show(analyser):
    found = measure_false_cells(analyser, [1, 2], "easy")
    n = int(found.source.split("(")[1].split()[0])
    assert set(found.rates) == set(CellClass) - {CellClass.NONE}
    assert all(rate >= UNSEEN_CELLS / n * 0.94 for rate in found.rates.values())  # two digits are kept
    assert found.certain_faint >= UNSEEN_CELLS / n * 0.94
    assert 0 <= found.icc <= 1
    assert "seeds 1 to 2" in found.source and "difficulty easy" in found.source


def test_faint_cells_in_doubt_are_no_false_ones_beyond_it(monkeypatch):
    """Two runs of 1000 cells: 10 and 30 faint, of which 2 and 10 are beyond doubt."""
    runs = {1: CellCounts(incomplete_faint=10, none=990, uncertain_faint=8),
            2: CellCounts(incomplete_faint=30, none=970, uncertain_faint=20)}  # fmt: skip
    monkeypatch.setattr(false_cells, "_read_run", lambda _, seed, difficulty: [runs[seed]])
    found = measure_false_cells(None, [1, 2])
    assert found.certain_faint == pytest.approx(0.95 * 0.010 + 0.05 * 0.002, abs=1e-4)  # 95 % of the way up
    assert found.rates[CellClass.INCOMPLETE_FAINT] == pytest.approx(0.028, abs=5e-4)


def test_one_field_is_too_few(analyser):
    with pytest.raises(BadInputError, match="too few"):
        measure_false_cells(analyser, [1], "easy")
