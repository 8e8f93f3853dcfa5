from __future__ import annotations

import dataclasses

import factories
import pytest
from gui.fake_engine import live
from PyQt6.QtGui import QColor

from her2scope.domain.cells import SHARE_ORDER, CellClass
from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.overlays.palette import LABELS, PAPER, SAFE
from her2scope.ui.legend import Legend, field_legend_text, legend_text

VALID = ControlStanding(ControlStatus.VALID)


def test_shares_and_reference_score_of_the_field_in_view():
    text = legend_text(live(factories.equivocal_field()), "", VALID)
    assert text.title == "This field: 120 tumour cells"
    assert dict(text.shares) == {
        CellClass.COMPLETE_INTENSE: "5.0 %",
        CellClass.COMPLETE_MODERATE: "35.0 %",
        CellClass.INCOMPLETE_INTENSE: "10.0 %",
        CellClass.INCOMPLETE_FAINT: "20.0 %",
        CellClass.NONE: "30.0 %",
    }
    assert [name for name, _ in text.shares] == list(SHARE_ORDER)
    assert (text.score, text.notes) == ("Reference score 2+", ())


@pytest.mark.parametrize("result", [None, live(factories.equivocal_field())])
def test_no_figures_for_tissue_that_was_not_analysed(result):
    text = legend_text(result, "analysing", VALID)
    assert {percent for _, percent in text.shares} == {"\N{EN DASH}"}
    assert "2+" not in text.score


def test_missing_control_is_said():
    text = legend_text(live(factories.equivocal_field()), "", ControlStanding())
    assert text.notes == ("No control: not reportable",)


def test_moved_cuts_and_cells_left_out_are_said_of_figures_only():
    result = live(factories.equivocal_field())
    text = legend_text(result, "", VALID, moved=True, n_left_out=7)
    assert text.notes == ("Cuts moved by the reader", "7 of them will not count (outlines)")
    assert legend_text(result, "analysing", VALID, moved=True, n_left_out=7).notes == ()
    field = factories.accepted(factories.equivocal_field(), 3)
    assert field_legend_text(field, VALID, moved=True).notes == ("Cuts moved by the reader",)
    assert field_legend_text(field, VALID).notes == field_legend_text(field, VALID, "hidden", moved=True).notes == ()


def test_field_without_tumour_cells_has_no_shares():
    text = legend_text(live(factories.counted_field({}, n_other=5)), "", VALID)
    assert {percent for _, percent in text.shares} == {"\N{EN DASH}"}
    assert text.title == "This field: 0 tumour cells"


def test_cells_of_a_picture_that_could_not_be_analysed_are_not_called_none():
    quality = factories.QualityReport(False, ("moving",), ("the stage is moving: hold still",), 0.1, 0.0, 0.8)
    text = legend_text(live(factories.field_result((), quality=quality)), "", VALID)
    assert (text.title, text.score) == ("This field", "Not scored: the stage is moving: hold still")


def test_legend_shows_every_class_in_its_colour(qtbot):
    for palette in (SAFE, PAPER):
        legend = Legend(palette)
        qtbot.addWidget(legend)
        legend.show_text(legend_text(live(factories.equivocal_field()), "", VALID))
        picture = legend.grab().toImage()
        drawn = {QColor(picture.pixel(x, y)).getRgb()[:3] for x in range(30) for y in range(picture.height())}
        assert {palette.classes[name] for name in CellClass} <= drawn


def test_nothing_in_the_legend_is_cut(qtbot):
    legend = Legend(SAFE)
    qtbot.addWidget(legend)
    legend.show_text(legend_text(live(factories.equivocal_field()), "", VALID))
    narrow = legend.width()
    longest = max(legend.fontMetrics().horizontalAdvance(words) for words in LABELS.values())
    assert narrow > longest + legend.fontMetrics().horizontalAdvance("100.0 %")
    height = legend.height()
    legend.show_text(legend_text(live(factories.equivocal_field()), "", ControlStanding()))
    assert legend.width() == narrow
    assert legend.height() > height
    one_note, cuts_moved = (
        legend.height(),
        legend_text(live(factories.equivocal_field()), "", ControlStanding(), moved=True),
    )
    legend.show_text(cuts_moved)
    assert legend.height() > one_note and legend.width() == narrow
    assert max(legend.fontMetrics().horizontalAdvance(note) for note in cuts_moved.notes) < narrow - 20
    reasons = "out of focus: refocus and take it again; 35 % of the tissue's pixels are clipped"
    quality = factories.QualityReport(False, ("blurred",), (reasons,), 0.1, 0.35, 0.8)
    legend.show_text(legend_text(live(factories.field_result((), quality=quality)), "", ControlStanding()))
    assert reasons in legend.text.score
    assert legend.height() > height + 15


def test_the_legend_is_drawn_once_for_what_it_says(qtbot, monkeypatch):
    legend = Legend(SAFE)
    qtbot.addWidget(legend)
    legend.show()
    qtbot.waitExposed(legend)
    legend.grab()
    legend.set_palette(SAFE)
    drawn = []
    draw = legend._draw  # noqa: SLF001 - what is counted is how often it runs
    monkeypatch.setattr(legend, "_draw", lambda ratio: drawn.append(1) or draw(ratio))
    for _ in range(3):
        legend.grab()
    assert len(drawn) == 1
    legend.show_text(legend.text)
    legend.grab()
    assert len(drawn) == 1
    legend.show_text(dataclasses.replace(legend.text, score="Reference score 3+"))
    legend.grab()
    legend.set_palette(PAPER)
    legend.grab()
    assert len(drawn) == 3
