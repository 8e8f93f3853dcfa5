from __future__ import annotations

import dataclasses

import factories
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtGui import QColor

from her2scope.domain.cells import CellClass, MembraneMeasure, StainCuts
from her2scope.ui.intensity_histogram import N_BINS, TOP_OD10, Intensities, IntensityHistogram
from her2scope.ui.theme import THEME

STRONG = CellClass.COMPLETE_INTENSE


def field_of(intensities_od10, cell_class: CellClass | None = STRONG, **more):
    cells = [
        dataclasses.replace(factories.cell(cell_class, **more), measure=MembraneMeasure(1.0, value, 0.5))
        for value in intensities_od10
    ]
    return factories.field_result(cells)


@given(st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_every_stained_cell_stands_in_one_bin(intensities_od10):
    found = Intensities.of(field_of(intensities_od10))
    assert sum(found.shares) == pytest.approx(1) and len(found.shares) == N_BINS
    assert found.n_stained == found.n_tumour == len(intensities_od10)


@pytest.mark.parametrize(("od10", "place"), [(0.0, 0), (0.70, 14), (0.74, 14), (0.75, 15), (TOP_OD10 + 1, N_BINS - 1)])
def test_a_cell_stands_in_the_bin_of_its_od10(od10, place):
    assert Intensities.of(field_of([od10])).shares[place] == 1


def test_what_is_not_counted_or_not_stained_is_in_no_bin():
    cells = [
        *field_of([0.9, 1.1]).cells,
        *field_of([0.3], None).cells,
        *field_of([0.3], edge=True).cells,
        *field_of([0.0], CellClass.NONE).cells,
    ]
    found = Intensities.of(factories.field_result(cells))
    assert (found.n_stained, found.n_tumour, found.median_od10) == (2, 3, pytest.approx(1.0))
    assert found.words == "2 of 3 stained, median 1.00"


@pytest.mark.parametrize(
    ("result", "words"),
    [(None, "no tumour cells"), (field_of([0.0, 0.0], CellClass.NONE), "0 of 2 stained")],
    ids=["no field", "nothing stained"],
)
def test_a_field_without_stained_cells_has_no_histogram(result, words):
    found = Intensities.of(result)
    assert found.shares == () and found.words == words


def test_the_control_stands_above_the_field_and_the_cuts_cross_both(qtbot):
    plot = IntensityHistogram()
    qtbot.addWidget(plot)
    plot.resize(400, 160)
    plot.show_control(field_of([1.0]), "control 3+")
    plot.show_field(field_of([1.0]))
    plot.show_cuts(StainCuts(0.15, 0.35, 1.5))
    picture = plot.grab().toImage()
    # Column of the bin at 1.0 od10, in the middle of the axis.
    column = [QColor(picture.pixel(203, y)).name() for y in range(picture.height())]
    amber, blue = column.index(THEME.warning), column.index(THEME.accent)
    assert amber < blue and column.count(THEME.warning) == pytest.approx(column.count(THEME.accent), abs=2)
    cut = [QColor(picture.pixel(294, y)).name() for y in range(picture.height())]
    lit = [y for y, colour in enumerate(cut) if colour == THEME.text]
    assert min(lit) < blue - 20 and max(lit) > blue + 20
    assert "control 3+: 1 of 1 stained, median 1.00" in plot.accessibleDescription()
