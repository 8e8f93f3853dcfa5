"""Where a region model lets cells count, on screen: hatched tissue, hollow cells, and words that say so."""

from __future__ import annotations

import dataclasses

import factories
import numpy as np
import pytest
from gui.fake_engine import MIXED, live
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QImage, QPainter, QTransform

from her2scope.domain.cells import CellCounts, CellKind, CellRule
from her2scope.domain.corrections import CellStanding
from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.overlays.model import OverlaySelection
from her2scope.overlays.palette import SAFE
from her2scope.records import CaseView, FieldResult
from her2scope.settings import Calibration, WhereToCount, as_mapping
from her2scope.ui.case_head import CaseHead
from her2scope.ui.cell_facts import ShownCell, cell_facts
from her2scope.ui.legend import field_legend_text, legend_text
from her2scope.ui.painters import OutsidePainter, painters_for
from her2scope.ui.words import where_text

VALID = ControlStanding(ControlStatus.VALID)
WHERE = as_mapping(WhereToCount("drawn", "ab" * 32, ("tumour",)))


@pytest.fixture(scope="module")
def result() -> FieldResult:
    """A field whose right half lies outside."""
    plain = factories.honeycomb_field(MIXED, (200, 300))
    cells = tuple(dataclasses.replace(one, within=one.x_px < 150) for one in plain.cells)
    outside = np.zeros((50, 75), np.uint8)
    outside[:, 37:] = 255
    counts = CellCounts.of(one.cell_class for one in cells if one.is_countable)
    return dataclasses.replace(plain, cells=cells, counts=counts, outside=outside)


def gated(result: FieldResult) -> CaseView:
    standings = tuple(
        CellStanding.EDGE if one.edge else CellStanding.COUNTED if one.within else CellStanding.OUTSIDE
        for one in result.cells
    )
    item = factories.accepted(result)
    counted = tuple(it is CellStanding.COUNTED for it in standings)
    item = dataclasses.replace(item, standings=standings, counted=counted, counts=result.counts)
    view = factories.case_view([item], min_cells=5)
    return dataclasses.replace(view, settings={**view.settings, "where_to_count": WHERE})


def n_outside(result: FieldResult) -> int:
    return sum(one.kind is CellKind.TUMOUR and not one.within and not one.edge for one in result.cells)


def painted(result: FieldResult, zoom: float) -> np.ndarray:
    """White, `(H, W)` grey levels after the tissue outside was dimmed."""
    height, width = (round(side * zoom) for side in result.frame.size_hw)
    image = QImage(width, height, QImage.Format.Format_RGB32)
    image.fill(QColor(Qt.GlobalColor.white))
    painter = QPainter(image)
    painter.setTransform(QTransform.fromScale(zoom, zoom))
    OutsidePainter().paint(painter, result, zoom)
    painter.end()
    return np.frombuffer(image.bits().asstring(image.sizeInBytes()), np.uint8).reshape(height, width, 4)[..., 0]


@pytest.mark.parametrize("zoom", [0.5, 1.0, 2.5])
def test_tissue_outside_is_dimmed_on_screen_at_every_zoom(result, zoom):
    grey = painted(result, zoom)
    border = 37 * 4 * zoom
    inside, outside = grey[:, : int(border) - 4], grey[:, int(border) + 5 :]
    assert (inside == 255).all()
    assert (outside < 255).mean() > 0.8 and outside.min() > 100  # the lines are white
    assert (painted(dataclasses.replace(result, outside=None), zoom) == 255).all()


def test_the_layer_is_drawn_beneath_the_others(result):
    selection = OverlaySelection()
    assert isinstance(painters_for(selection, SAFE)[0], OutsidePainter)
    assert not any(
        isinstance(one, OutsidePainter) for one in painters_for(dataclasses.replace(selection, outside=False), SAFE)
    )


def test_a_key_shows_and_hides_it_and_it_is_kept(make_stand):
    stand = make_stand()
    action = stand.window.actions_by_id["outside"]
    assert action.isChecked() and action.shortcut().toString() == "J"
    action.trigger()
    assert not action.isChecked()
    stand.window.close()
    assert stand.saved[-1].show_outside is False
    again = make_stand(preferences=stand.saved[-1])
    assert not again.window.actions_by_id["outside"].isChecked()


def test_the_legend_says_how_many_are_not_counted(result):
    n = n_outside(result)
    text = legend_text(live(result), "", VALID)
    assert text.title == f"This field: {result.counts.n_tumour} tumour cells"
    assert text.notes == (f"Hatched: not counted ({n} tumour cells)",)
    item = gated(result).fields[0]
    assert field_legend_text(item, VALID).notes == text.notes and item.n_outside == n
    whole = factories.equivocal_field()
    assert legend_text(live(whole), "", VALID).notes == ()


def test_the_head_of_the_case_says_where(qtbot, result):
    head = CaseHead()
    qtbot.addWidget(head)
    view = gated(result)
    head.show_case(view, hidden=False)
    assert head.where.text() == f"Counting in: tumour (model drawn), {n_outside(result)} left out"
    assert not head.where.isHidden()
    plain = factories.case_view([factories.equivocal_field()])
    head.show_case(plain, hidden=False)
    assert head.where.isHidden() and where_text(plain) == ""


def test_a_cell_outside_says_so(result):
    view = gated(result)
    number = next(
        n for n, one in enumerate(result.cells) if not one.within and not one.edge and one.kind is CellKind.TUMOUR
    )
    for item in (None, view.fields[0]):  # in the live picture, and in the case
        shown = ShownCell(result, number, view.cuts, CellRule(), Calibration(), item)
        assert cell_facts(shown).state == "not counted: outside the counted tissue, by the region model".capitalize()
    inside = next(n for n, one in enumerate(result.cells) if one.within and not one.edge and one.cell_class)
    assert cell_facts(ShownCell(result, inside, view.cuts, CellRule(), Calibration())).state == ""


def test_cells_outside_are_drawn_hollow_in_the_live_picture(result, make_stand):
    view, found = make_stand().window.view, live(result)
    assert view.marks.left_out(found, swept=False) == tuple(not one.within for one in result.cells)
