"""Overview, cuts, case data, undo, sweep and own score, in a real window."""

from __future__ import annotations

import factories
import pytest
from gui.conftest import Stand
from gui.fake_engine import MIXED, map_view, placed
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QDialog

from her2scope.domain.corrections import CaseData, RuleChange
from her2scope.domain.guideline import Ish
from her2scope.domain.regions import RegionDraft, RegionKind
from her2scope.pipeline.live import Mode
from her2scope.pipeline.remeasure import movable
from her2scope.records import ReaderScore
from her2scope.settings import Preferences
from her2scope.ui import case_tools
from her2scope.ui.case_data import CaseDataDialog
from her2scope.ui.case_tools import SWEEP_TEXT, SWEEP_WAITS
from her2scope.ui.legend import MOVED_NOTE

Key = Qt.Key
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
CORNERS = ((0.0, 0.0), (500.0, 0.0), (500.0, 500.0), (0.0, 500.0))


def settle() -> None:
    for _ in range(5):
        QApplication.processEvents()


def asked(stand: Stand, name: str) -> list[tuple]:
    return [call[1:] for call in stand.engine.calls if call[0] == name]


def test_undo_and_redo_say_what_they_would_do_and_do_it(stand: Stand):
    undo, redo = stand.window.actions_by_id["undo"], stand.window.actions_by_id["redo"]
    stand.press(Key.Key_Z, CTRL)
    assert asked(stand, "undo") == [] and "nothing to undo" in stand.window.messages.label.text()
    stand.press(Key.Key_Space)
    stand.press(Key.Key_Delete)
    settle()
    assert undo.text() == "Undo: remove field 1" and redo.text() == "Redo"
    stand.press(Key.Key_Z, CTRL)
    stand.press(Key.Key_Z, CTRL)
    settle()
    assert stand.window.case_panel.fields.count() == 0 and redo.text() == "Redo: add field 1"
    stand.press(Key.Key_Z, CTRL | SHIFT)
    stand.press(Key.Key_Y, CTRL)
    settle()
    assert "removed" in stand.window.case_panel.fields.item(0).toolTip()


def test_a_remark_is_written_to_the_field_that_was_selected(stand: Stand):
    stand.press(Key.Key_A)
    assert "no field" in stand.window.messages.label.text()
    stand.press(Key.Key_Space)
    stand.press(Key.Key_A)
    stand.type("dcis? a")
    stand.engine.accept_field()  # by a foot switch: another field is selected now
    settle()
    stand.press(Key.Key_Return)
    assert asked(stand, "annotate_field") == [(1, "dcis? a")]
    assert stand.focused is stand.window.view
    assert "dcis? a" in stand.window.case_panel.fields.item(0).toolTip()
    stand.press(Key.Key_A)
    stand.type("no")
    stand.press(Key.Key_Escape)
    assert len(asked(stand, "annotate_field")) == 1 and stand.window.case_panel.annotation.isHidden()


def test_sliders_by_key_from_the_window(stand: Stand):
    stand.engine.result = factories.equivocal_field()
    stand.press(Key.Key_Space)
    stand.press(Key.Key_U)
    panel, head = stand.window.tools.rules, stand.window.case_panel.head
    assert panel.isVisible() and stand.window.curve.isHidden()
    panel.sliders["complete_share"].setFocus()
    QTest.keyPress(stand.focused, Key.Key_Left)
    settle()
    assert head.deviation.text().startswith("Preview, not recorded: completeness needed 0.89")
    assert "Stored settings:\N{NO-BREAK SPACE}2+" in head.deviation.text()
    QTest.keyRelease(stand.focused, Key.Key_Left)
    settle()
    assert head.deviation.text().startswith("Cuts moved by the reader: completeness needed 0.89")
    assert asked(stand, "preview_rule") == asked(stand, "change_rule") == [(RuleChange(complete_share=0.89),)]
    assert stand.source.calls == [], "the arrows move the slider, not the stage"
    head.reset.click()
    settle()
    assert head.deviation.isHidden() and asked(stand, "change_rule")[-1] == (RuleChange(),)
    stand.press(Key.Key_U)
    assert panel.isHidden() and stand.window.curve.isVisible() and stand.focused is stand.window.view


def test_what_a_field_does_not_let_move_is_greyed(stand: Stand):
    stand.press(Key.Key_Space)  # a field without profiles
    stand.press(Key.Key_U)
    settle()
    sliders = stand.window.tools.rules.sliders
    assert not sliders["stained_od10"].isEnabled() and sliders["complete_share"].isEnabled()
    assert "field 1 has no membrane profiles" in stand.window.tools.rules.why_not.text()


def test_case_data_by_key_stand_in_heading_and_title(stand: Stand):
    stand.engine.taken_slide_id = "s25-7/a1/2"
    stand.press(Key.Key_D, CTRL)
    dialog = stand.window.findChild(CaseDataDialog)
    for name, text in (("accession", "S25-7"), ("block", "A1"), ("slide", "2")):
        dialog.lines[name].setText(text)
    dialog.ask()
    settle()
    assert dialog.isVisible() and "Another open case" in dialog.refusal.text()
    dialog.lines["slide"].setText("3")
    QTest.keyClick(dialog, Key.Key_Return)
    settle()
    assert stand.window.findChild(QDialog) is None or not stand.window.findChild(QDialog).isVisible()
    assert asked(stand, "enter_case_data")[-1] == (CaseData("S25-7", "A1", "3"),)
    assert stand.window.windowTitle().startswith("S25-7 \N{MIDDLE DOT} A1 \N{MIDDLE DOT} 3")
    assert stand.window.case_panel.head.heading.text().startswith("Case S25-7")
    stand.window.case_panel.head.data.click()
    settle()
    (again,) = [item for item in stand.window.findChildren(CaseDataDialog) if item.isVisible()]
    assert again.data == CaseData("S25-7", "A1", "3")
    again.reject()


def test_sweep_needs_an_outline_and_shows_its_true_state(stand: Stand):
    action, chip = stand.window.actions_by_id["sweep"], stand.window.tools.sweep_chip
    stand.press(Key.Key_F8)
    assert asked(stand, "set_sweep") == [] and not action.isChecked()
    assert "outlined" in stand.window.messages.label.text()
    stand.engine.draw_region(RegionDraft(RegionKind.INVASIVE, 0, CORNERS))
    settle()
    stand.press(Key.Key_F8)
    settle()
    assert action.isChecked() and chip.isVisible() and chip.text() == SWEEP_TEXT
    assert not chip.geometry().intersects(stand.window.area.chip.geometry())
    stand.press(Key.Key_F8)
    settle()
    assert asked(stand, "set_sweep") == [(True,), (False,)]
    assert not action.isChecked() and chip.isHidden()
    stand.bridge.on_sweep(True)
    settle()
    assert action.isChecked() and chip.isVisible()


def test_sweep_says_that_a_control_is_not_counted(stand: Stand):
    chip = stand.window.tools.sweep_chip
    stand.bridge.on_sweep(True)
    stand.press(Key.Key_F2)
    assert chip.isVisible() and chip.text() == SWEEP_WAITS
    stand.press(Key.Key_F3)
    assert chip.text() == SWEEP_TEXT


def test_overview_makes_room_while_an_outline_is_drawn_and_words_stand_beside_it(stand: Stand):
    window = stand.window
    overview, view = window.tools.overview, window.view
    stand.bridge.on_map(map_view(0, 0))
    settle()
    assert overview.isVisible() and view.marks.covered == QRectF(overview.geometry())
    stand.press(Key.Key_D)
    assert overview.isHidden() and view.marks.covered.isEmpty()
    stand.press(Key.Key_Escape)
    assert overview.isVisible()
    frame = view.shown.frame
    wide_um, high_um = frame.size_hw[1] * frame.um_per_px, frame.size_hw[0] * frame.um_per_px
    corner = ((wide_um * 0.8, 0.0), (wide_um, 0.0), (wide_um, high_um * 0.2), (wide_um * 0.8, high_um * 0.2))
    stand.engine.draw_region(RegionDraft(RegionKind.EXCLUDE, 0, corner, note="carcinoma in situ"))
    settle()
    words_at = QPointF(overview.geometry().left() - 8, overview.geometry().top())
    above = [view.marks.region_at(words_at + QPointF(0, dy), view.shown, view.viewport) for dy in range(-60, 60, 4)]
    assert 1 in above, "a click on the label, left of the overview, means the region"


def test_overview_comes_with_the_map_and_its_clicks_select_or_move(stand: Stand):
    overview = stand.window.tools.overview
    assert overview.isHidden()
    stand.bridge.on_map(map_view(0, 0))
    for number, x_um in ((1, 0.0), (2, 500.0)):
        stand.engine.fields.append(placed(factories.accepted(stand.engine.result, number), x_um, 300.0))
    stand.engine.tell_case()
    settle()
    chosen = []
    stand.window.tools.field_chosen.connect(chosen.append)
    QTest.mouseClick(overview, Qt.MouseButton.LeftButton, pos=overview.to_screen(10.0, 310.0).toPoint())
    assert chosen == [1] and stand.window.case_panel.fields.selected_field().number == 1
    QTest.mouseClick(overview, Qt.MouseButton.LeftButton, pos=overview.to_screen(337.5, 125.0).toPoint())
    ((_, dx_um, dy_um),) = [call for call in stand.source.calls if call[0] == "move_by_um"]
    assert (dx_um, dy_um) == pytest.approx((300.0, 100.0), abs=6.0)
    area = stand.window.area
    assert area.rect().contains(overview.geometry()) and not overview.geometry().intersects(area.chip.geometry())
    stand.press(Key.Key_W)
    assert overview.isHidden()


def test_a_lost_track_is_said_in_the_status_line(stand: Stand):
    tracking = stand.window.status.tracking
    stand.bridge.on_map(map_view(0, 0))
    settle()
    assert tracking.isHidden()
    stand.bridge.on_map(map_view(1, 0, 1, lost="jump"))
    settle()
    assert tracking.isVisible() and tracking.text() == "! new island: jump"
    stand.press(Key.Key_W, SHIFT)
    assert stand.window.tools.overview.island == 0


def test_own_score_first_hides_legend_overlay_and_curve_in_reading_mode(make_stand):
    stand = make_stand(preferences=Preferences(own_score_first=True))
    window = stand.window
    stand.engine.result = factories.equivocal_field()
    stand.press(Key.Key_Space)
    settle()
    assert window.case_panel.hides_score and window.actions_by_id["own_first"].isChecked()
    assert {percent for _, percent in window.legend.text.shares} == {"\N{EN DASH}"} and window.curve.field == ()
    assert window.status.overlay.text() == "overlay off: own score first (S)"
    stand.press(Key.Key_F2)
    settle()
    assert window.status.overlay.text() == "overlay on", "a control gives nothing away"
    stand.press(Key.Key_F3)
    stand.press(Key.Key_S)
    stand.type("1")
    stand.press(Key.Key_Tab)
    stand.press(Key.Key_Tab)
    stand.press(Key.Key_Return)
    settle()
    assert asked(stand, "enter_reader_score") == [(ReaderScore("1+", "", blind=True),)]
    assert window.status.overlay.text() == "overlay on" and window.case_panel.head.score.text() == "2+"
    assert stand.engine.calls[0] == ("accept_field",) and ("set_mode", Mode.CONTROL) in stand.engine.calls
    window.close()
    assert stand.saved[0].own_score_first


def test_enter_in_a_choice_enters_it_and_gives_the_picture_its_keys_back(stand: Stand):
    stand.engine.result = factories.equivocal_field()
    stand.press(Key.Key_Space)
    own = stand.window.case_panel.own
    stand.press(Key.Key_S)
    stand.type("1")
    stand.press(Key.Key_Return)
    assert stand.focused is own.remark and asked(stand, "enter_reader_score") == []
    stand.type("basal")
    stand.press(Key.Key_Return)
    assert stand.focused is stand.window.view and asked(stand, "enter_reader_score") == [(ReaderScore("1+", "basal"),)]
    stand.press(Key.Key_I)
    stand.press(Key.Key_Down)
    stand.press(Key.Key_Return)
    assert asked(stand, "enter_ish") == [(Ish.NEGATIVE,)] and stand.focused is stand.window.view


def test_moved_cuts_are_marked_at_every_score_of_a_field(stand: Stand):
    window = stand.window
    stand.engine.result = factories.equivocal_field()
    stand.press(Key.Key_Space)
    settle()
    assert window.legend.text.notes == ("No control: not reportable",)
    assert "moved cuts" not in window.case_panel.fields.item(0).toolTip()
    stand.engine.preview_rule(RuleChange(complete_share=0.8))
    settle()
    assert "2+ (moved cuts)" in window.case_panel.fields.item(0).toolTip()
    assert MOVED_NOTE not in window.legend.text.notes, "the live picture is not classed by cuts that are only tried"
    stand.engine.change_rule(RuleChange(complete_share=0.8))
    settle()
    assert MOVED_NOTE in window.legend.text.notes
    stand.press(Key.Key_Return)
    settle()
    assert window.legend.text.title.startswith("Field 1") and MOVED_NOTE in window.legend.text.notes
    assert "moved cuts" in window.tools.overview.tip_at(QPointF()) or not window.tools.overview.has_map
    stand.engine.change_rule(RuleChange())
    settle()
    assert MOVED_NOTE not in window.legend.text.notes
    assert "moved cuts" not in window.case_panel.fields.item(0).toolTip()


@pytest.mark.parametrize(("height", "shows_plot"), [(660, False), (768, False), (1040, True)])
def test_sliders_and_a_cell_stand_together_without_cutting_the_score(stand: Stand, height: int, shows_plot: bool):
    window = stand.window
    window.resize(1366, height)
    stand.engine.result = factories.honeycomb_field(MIXED, (200, 300))
    stand.press(Key.Key_Space)
    stand.press(Key.Key_Return)
    stand.press(Key.Key_Tab)
    assert window.review.inspector.plot.isVisible()
    stand.engine.change_rule(RuleChange(complete_share=0.8))
    stand.press(Key.Key_U)
    settle()
    head, inspector = window.case_panel.head, window.review.inspector
    assert window.height() == height and inspector.isVisible() and window.tools.rules.isVisible()
    assert inspector.plot.isVisible() is shows_plot
    for label in (head.score, head.category, head.reportable, head.deviation, head.sentence, inspector.why):
        assert label.height() >= label.heightForWidth(label.width()) or label.isHidden(), label.text()
    stand.press(Key.Key_U)
    assert inspector.plot.isVisible()


def test_finishing_asks_for_what_is_missing_first(stand: Stand):
    stand.engine.result = factories.equivocal_field()
    stand.press(Key.Key_Space)
    settle()
    window, own = stand.window, stand.window.case_panel.own
    window.actions_by_id["own_first"].trigger()
    stand.press(Key.Key_F, CTRL)
    assert stand.focused is own.score and "own score first" in window.messages.label.text()
    window.actions_by_id["own_first"].trigger()
    own.score.setCurrentText("1+")
    stand.press(Key.Key_F, CTRL)
    assert stand.focused is own.remark and "say why" in window.messages.label.text()
    own.remark.setText("basal staining")
    stand.press(Key.Key_F, CTRL)
    assert "not entered yet" in window.messages.label.text()
    own.enter_scores()
    settle()
    stand.press(Key.Key_F, CTRL)
    (question,) = [item for item in window.findChildren(QDialog) if item.isVisible()]
    question.accept()
    assert stand.engine.calls[-1] == ("finish",)


def test_what_can_be_moved_is_looked_up_once_per_field(stand: Stand, monkeypatch):
    looked = []
    monkeypatch.setattr(case_tools, "movable", lambda result: looked.append(result) or movable(result))
    for _ in range(4):
        stand.engine.accept_field()
        QApplication.processEvents()
    stand.engine.remove_field(2)
    stand.engine.restore_field(2)
    QApplication.processEvents()
    assert len(looked) == 4
