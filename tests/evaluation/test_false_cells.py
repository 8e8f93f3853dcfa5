"""False cells for a card: measured on negative fields, never less than what can be known from so many cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from her2scope.app.compose import make_analyser
from her2scope.domain.cells import CellClass
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
    assert 0 <= found.icc <= 1
    assert "seeds 1 to 2" in found.source and "difficulty easy" in found.source


def test_one_field_is_too_few(analyser):
    with pytest.raises(BadInputError, match="too few"):
        measure_false_cells(analyser, [1], "easy")
