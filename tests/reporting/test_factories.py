"""The builders that every test leans on keep their word."""

from __future__ import annotations

import factories
import pytest

from her2scope.domain.cells import CellClass, CellCounts, CellRule, StainCuts, classify


@pytest.mark.parametrize("name", CellClass)
def test_each_measure_belongs_to_its_class(name: CellClass) -> None:
    assert classify(factories.MEASURES[name], StainCuts(), CellRule()) is name


def test_a_drawn_field_counts_the_cells_inside_it() -> None:
    result = factories.honeycomb_field({CellClass.COMPLETE_INTENSE: 0.5, None: 0.5}, (240, 320), seed=3)
    assert result.counts == CellCounts.of(cell.cell_class for cell in result.cells if not cell.edge)
    assert result.counts.n_tumour > 10
    assert result.membrane.shape == result.frame.size_hw == (240, 320)
    assert result.membrane.any()


def test_a_case_adds_up_its_fields() -> None:
    fields = [factories.accepted(factories.equivocal_field(), 1, seen_before=(0,)), factories.equivocal_field()]
    view = factories.case_view(fields)
    assert view.score.counts == CellCounts.total(item.counts for item in view.active_fields)
    assert view.score.counts.n_tumour == 239
