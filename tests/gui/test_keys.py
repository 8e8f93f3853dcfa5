from __future__ import annotations

from collections import Counter

import pytest
from gui.conftest import Stand
from gui.fake_engine import FADED, FakeSource
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QDialog

from her2scope.domain.control import ControlCode
from her2scope.domain.guideline import Ish
from her2scope.domain.score import ControlStatus
from her2scope.pipeline.live import Mode
from her2scope.records import ReaderScore
from her2scope.ui.action_table import ACTIONS, Scope, keys_in, shortcut_text
from her2scope.ui.dialogs import KeysDialog, Question
from her2scope.ui.eyepiece_window import EyepieceWindow
from her2scope.ui.main_window import MainWindow

Key = Qt.Key
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def dialogs(stand: Stand) -> list[QDialog]:
    return [item for item in stand.window.findChildren(QDialog) if item.isVisible()]


# ---- the table ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", Scope)
def test_no_key_means_two_things(scope):
    keys = Counter(key for info in ACTIONS for key in keys_in(info, scope))
    assert [key for key, n in keys.items() if n > 1] == []


def test_nothing_that_changes_the_case_repeats_while_its_key_is_held():
    repeating = {info.id for info in ACTIONS if info.repeats}
    assert not repeating & {"accept", "remove", "restore", "finish", "new_case", "reconnect", "sign", "amend", "reopen"}


def start_over(stand: Stand) -> None:
    """Close what an action opened; back to the live picture in reading mode."""
    for dialog in dialogs(stand):
        dialog.reject()
    review = stand.window.review
    review.outlining.abandon()
    review.back_to_live()
    stand.window.actions_by_id["mode_reading"].trigger()
    QApplication.processEvents()


@pytest.mark.parametrize("n_fields", [0, 2])
def test_every_action_runs(stand: Stand, qtbot, n_fields):
    """In one window, as opening it takes a second; closing it comes last."""
    order = sorted(ACTIONS, key=lambda info: info.id == "quit")
    raised = {}
    for info in order:
        stand.engine.new_case()
        for _ in range(n_fields):
            stand.engine.accept_field()
        QApplication.processEvents()
        action = stand.window.actions_by_id[info.id]
        assert action.isEnabled(), info.id
        assert info.tip in action.toolTip() and shortcut_text(info) in action.toolTip()
        with qtbot.captureExceptions() as caught:
            action.trigger()
            QApplication.processEvents()
            start_over(stand)
        if caught:
            raised[info.id] = caught
    assert raised == {}
    assert stand.window.isHidden(), "the last one closed it"


def test_every_action_is_in_a_menu(stand: Stand):
    menus = [action.menu() for action in stand.window.menuBar().actions()]
    shown = {action.objectName() for menu in menus for action in menu.actions() if action.objectName()}
    assert {info.id for info in ACTIONS} <= shown


def test_key_list_names_every_action_and_key(stand: Stand):
    stand.press(Key.Key_F1)
    (dialog,) = dialogs(stand)
    assert isinstance(dialog, KeysDialog)
    rows = [
        tuple(dialog.table.item(row, column).text() for column in range(3)) for row in range(dialog.table.rowCount())
    ]
    assert all((shortcut_text(info), info.text, info.tip) in rows for info in ACTIONS)
    QTest.keyClick(dialog, Key.Key_Escape)
    assert dialogs(stand) == []


def test_what_the_source_cannot_do_is_greyed(make_stand):
    stand = make_stand(object())
    disabled = {info.id for info in ACTIONS if not stand.window.actions_by_id[info.id].isEnabled()}
    assert disabled == {info.id for info in ACTIONS if info.needs is not None}


# ---- the hour at the microscope, by keyboard alone ----------------------------------------------------------------


def test_whole_job_by_keyboard(stand: Stand, qtbot):
    press, engine = stand.press, stand.engine
    press(Key.Key_F2)
    press(Key.Key_Space)
    press(Key.Key_F3)
    for _ in range(3):
        press(Key.Key_Right)
        press(Key.Key_Space)
    press(Key.Key_Delete)
    press(Key.Key_Delete)
    press(Key.Key_Up, CTRL)
    press(Key.Key_Delete)
    press(Key.Key_S)
    stand.type("2")
    press(Key.Key_Tab)
    press(Key.Key_Down)
    press(Key.Key_Tab)
    stand.type("uneven stain")
    press(Key.Key_Return)
    press(Key.Key_Escape)
    press(Key.Key_F, CTRL)
    (question,) = dialogs(stand)
    assert isinstance(question, Question)
    QTest.keyClick(question, Key.Key_Return)
    QApplication.processEvents()

    assert engine.calls == [
        ("set_mode", Mode.CONTROL),
        ("read_control", "3+", ""),
        ("set_mode", Mode.READING),
        ("accept_field",),
        ("accept_field",),
        ("accept_field",),
        ("remove_field", 3),
        ("restore_field", 3),
        ("remove_field", 2),
        ("enter_reader_score", ReaderScore("2+", "uneven stain")),
        ("enter_ish", Ish.NEGATIVE),
        ("finish",),
    ]
    assert "report.pdf" in stand.window.messages.label.text()
    assert "(in review)" in stand.window.windowTitle()


def test_space_does_what_the_mode_says(stand: Stand):
    stand.press(Key.Key_Space)
    stand.press(Key.Key_C)
    stand.press(Key.Key_Space)
    stand.press(Key.Key_V)
    stand.press(Key.Key_Space)
    asked = [call[0] for call in stand.engine.calls]
    assert asked == ["accept_field", "set_mode", "read_control", "set_mode", "accept_field"]


@pytest.mark.parametrize("field", ["remark", "lot", "reason"])
def test_typing_in_a_text_field_is_typing(stand: Stand, field):
    box = getattr(stand.window.case_panel.own if field == "remark" else stand.window.control_panel, field)
    if field != "remark":
        stand.press(Key.Key_F2)
    if field == "reason":
        stand.engine.next_verdict = (ControlStatus.INVALID, (ControlCode.FADED,), FADED)
        stand.press(Key.Key_Space)
    stand.engine.calls.clear()
    box.setFocus()
    stand.type("a cmnovhbg = + 1 0-f")
    assert box.text() == "a cmnovhbg = + 1 0-f"
    for key in (Key.Key_Left, Key.Key_Delete, Key.Key_Up, Key.Key_PageDown, Key.Key_Home, Key.Key_Delete):
        stand.press(key)
    assert box.text() == " cmnovhbg = + 1 0-"
    assert stand.engine.calls == [] and stand.source.calls == []


def test_escape_leaves_a_text_field(stand: Stand):
    stand.window.case_panel.own.remark.setFocus()
    stand.press(Key.Key_Escape)
    assert stand.focused is stand.window.view


def test_space_presses_the_focused_button_only(stand: Stand):
    finish = stand.window.case_panel.finish
    finish.setFocus()
    stand.press(Key.Key_Space)
    assert [type(item) for item in dialogs(stand)] == [Question]
    assert stand.engine.calls == []


def test_mouse_click_on_a_button_does_not_take_space_away_from_the_picture(stand: Stand):
    stand.press(Key.Key_F2)
    QTest.mouseClick(stand.window.control_panel.read, Qt.MouseButton.LeftButton)
    assert stand.focused is stand.window.view
    assert stand.engine.calls[-1] == ("read_control", "3+", "")


def test_arrows_choose_in_a_list_and_move_the_stage_elsewhere(stand: Stand):
    stand.press(Key.Key_Space)
    stand.press(Key.Key_Space)
    fields = stand.window.case_panel.fields
    fields.setFocus()
    stand.press(Key.Key_Up)
    assert fields.currentRow() == 0
    assert stand.source.calls == []
    stand.window.view.setFocus()
    stand.press(Key.Key_Up)
    assert [call[0] for call in stand.source.calls] == ["move_by_um"]


def test_space_adds_a_field_while_the_list_has_the_focus(stand: Stand):
    stand.window.case_panel.fields.setFocus()
    stand.press(Key.Key_Space)
    assert stand.engine.calls == [("accept_field",)]


def test_held_space_adds_one_field(stand: Stand):
    accept = stand.window.actions_by_id["accept"]
    assert not accept.autoRepeat()
    assert stand.window.actions_by_id["stage_left"].autoRepeat()


# ---- slide --------------------------------------------------------------------------------------------------------


def test_arrows_move_over_the_slide(stand: Stand):
    # The picture is 300 x 200 px at 0.25 um/px.
    for key in (Key.Key_Left, Key.Key_Right, Key.Key_Up, Key.Key_Down):
        stand.press(key)
    stand.press(Key.Key_Right, SHIFT)
    stand.press(Key.Key_Up, SHIFT)
    moves = [(round(dx, 6), round(dy, 6)) for _, dx, dy in stand.source.calls]
    assert moves == [(-7.5, 0), (7.5, 0), (0, -5), (0, 5), (56.25, 0), (0, -37.5)]


def test_plus_and_minus_turn_the_objective(stand: Stand):
    stand.press(Key.Key_Plus)
    stand.press(Key.Key_Plus)
    stand.press(Key.Key_Minus)
    assert [name for _, name in stand.source.calls] == ["40x", "20x"]
    assert "20x" in stand.window.messages.label.text()


def test_pages_and_places(stand: Stand):
    stand.press(Key.Key_PageDown)
    stand.press(Key.Key_PageUp)
    stand.press(Key.Key_G)
    stand.press(Key.Key_G)
    assert stand.source.calls == [("step", 1), ("step", -1), ("go_to", "control 3+"), ("go_to", "control 1+")]


def test_place_of_a_control_chooses_its_level_but_not_the_mode(stand: Stand):
    stand.press(Key.Key_G)
    stand.press(Key.Key_G)
    assert stand.window.control_panel.expected.currentText() == "1+"
    assert stand.engine.calls == []


def test_refusal_of_the_stage_is_a_message(make_stand):
    from her2scope.domain.errors import CameraError

    class Stuck(FakeSource):
        def move_by_um(self, dx_um: float, dy_um: float) -> None:
            raise CameraError("The stage is at its limit. Move the other way.")

    stand = make_stand(Stuck())
    stand.press(Key.Key_Left)
    assert "limit" in stand.window.messages.label.text()


def test_reconnect(stand: Stand):
    stand.press(Key.Key_F5)
    assert stand.engine.calls == [("reconnect",)]


# ---- view ---------------------------------------------------------------------------------------------------------


def test_each_layer_has_its_key(stand: Stand):
    for key, layer in ((Key.Key_M, "membranes"), (Key.Key_N, "cells"), (Key.Key_O, "outlines"), (Key.Key_B, "filled")):
        action = stand.window.actions_by_id[layer]
        before = action.isChecked()
        stand.press(key)
        assert action.isChecked() is not before


def test_zoom_keys(stand: Stand):
    view = stand.window.view
    fitted = view.viewport.zoom
    stand.press(Key.Key_Plus, CTRL)
    assert view.viewport.zoom > fitted
    stand.press(Key.Key_Minus, CTRL)
    stand.press(Key.Key_Plus, CTRL)
    stand.press(Key.Key_F)
    assert view.viewport.zoom == fitted
    stand.press(Key.Key_Plus, CTRL)
    stand.press(Key.Key_0)
    assert view.viewport.zoom == fitted


def test_f6_walks_through_the_parts_of_the_window(stand: Stand):
    stand.press(Key.Key_Space)
    walked = []
    for _ in range(3):
        stand.press(Key.Key_F6)
        walked.append(stand.focused)
    panel = stand.window.case_panel
    assert walked == [panel.own.score, panel.fields, stand.window.view]


def test_tab_reaches_every_control_of_the_panel(stand: Stand):
    stand.press(Key.Key_Space)
    panel = stand.window.case_panel
    panel.own.score.setCurrentText("2+")
    reached = set()
    for _ in range(20):
        stand.press(Key.Key_Tab)
        reached.add(stand.focused)
    own = panel.own
    assert {panel.fields, own.score, own.ish, own.remark, own.enter, panel.remove, panel.finish} <= reached
    assert stand.window.view in reached


def test_override_by_keyboard(stand: Stand):
    stand.engine.next_verdict = (ControlStatus.INVALID, (ControlCode.FADED,), FADED)
    stand.press(Key.Key_R, CTRL)
    assert "not invalid" in stand.window.messages.label.text()
    stand.press(Key.Key_F2)
    stand.press(Key.Key_Space)
    stand.press(Key.Key_R, CTRL)
    stand.type("second slide is valid")
    stand.press(Key.Key_Return)
    assert stand.engine.calls[-1] == ("override_control", "second slide is valid")


def test_level_by_keyboard(stand: Stand):
    stand.press(Key.Key_E)
    stand.type("1")
    assert "CONTROL 1+" in stand.window.area.chip.text()
    stand.press(Key.Key_Space)
    assert stand.engine.calls[-1] == ("read_control", "1+", "")
    # The 3+ is still missing, and it is the next that the window expects.
    assert "CONTROL 3+" in stand.window.area.chip.text()


@pytest.mark.parametrize("window", [MainWindow, EyepieceWindow])
def test_events_of_a_window_do_not_pass_through_python(window):
    """Else its lock would be held while Qt paints all of the window: an analysis would wait for each frame shown."""
    own = [made for made in window.__mro__ if made.__module__.startswith("her2scope")]
    assert own and not any("event" in vars(made) for made in own)
