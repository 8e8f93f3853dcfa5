from __future__ import annotations

import dataclasses
import sys
import threading
import time

import factories
import pytest
from control_series import baseline
from gui.conftest import Stand
from gui.fake_engine import FakeSource, live, tracked
from PyQt6.QtCore import QSize, Qt, QTimer
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QComboBox, QLabel, QPushButton, QWidget

from her2scope.domain.cells import CellClass
from her2scope.domain.control import ControlCode
from her2scope.domain.corrections import CaseData, RuleChange
from her2scope.domain.errors import CameraLost, StoreError
from her2scope.domain.score import ControlStatus
from her2scope.pipeline.live import CameraPhase, CameraStatus, LiveFigures, Message, Mode, Severity
from her2scope.records import FieldResult, QualityReport
from her2scope.settings import Calibration, Preferences
from her2scope.ui import message_bar
from her2scope.ui.calibration_steps import CalibrationSetup
from her2scope.ui.dialogs import ExceptionCatcher, Question, finish_question, messages_dialog, resume_question
from her2scope.ui.display_meter import WINDOW_S, DisplayFigures
from her2scope.ui.levey_jennings import ControlHistoryDialog
from her2scope.ui.live_words import COVERED
from her2scope.ui.main_window import FRAME_PX
from her2scope.ui.status_line import DISCLAIMER, ElidedLabel
from her2scope.ui.theme import THEME, contrast_ratio
from her2scope.ui.words import capitalised

SMALL_SCREEN = QSize(1366, 768)
WINDOW_FRAME_PX = 70
"""Title bar and task bar of an ordinary desktop."""
MANY_REASONS = (
    "DAB too weak (median 0.21, limit 0.30 od10); check antibody, incubation, retrieval",
    "3+ control reads 1+: membrane DAB median 0.21 od10",
    "DAB too weak for its level; check antibody, incubation, retrieval",
    "DAB between the membranes (median 0.24, limit 0.20); check blocking and washing",
    "nuclei barely blue (haematoxylin 0.03 over their surroundings, limit 0.08 od10); check the haematoxylin: "
    "cells may be missed",
    "an earlier reading of this run's control was invalid",
)


FELL_BACK = "CUDA gave empty results in the self-test at start; the CPU is used instead"


def settle() -> None:
    for _ in range(5):
        QApplication.processEvents()


# ---- what arrives from the engine ---------------------------------------------------------------------------------


def test_picture_legend_and_status_follow_the_engine(stand: Stand):
    window = stand.window
    settle()
    assert window.view.shown.frame.size_hw == (200, 300)
    assert window.legend.text.title.startswith("This field")
    assert window.status.camera.text().endswith("phantom microscope live")
    assert window.status.rates.text().endswith("shown/s \N{MIDDLE DOT} 12 analysed/s")
    assert window.status.behind.text().endswith(" behind")
    assert "217 pictures were replaced" in window.status.rates.toolTip()
    assert window.status.provider.text() == "CPU"
    assert window.status.overlay.text() == "overlay on"


def test_why_another_provider_runs_is_said(stand: Stand):
    status = stand.window.status
    assert status.provider.property("role") == "dim"
    stand.bridge.on_figures(LiveFigures(30.0, 8.0, 110.0, 0, "CPUExecutionProvider", 88.0, FELL_BACK))
    settle()
    assert status.provider.text().startswith("! CPU: CUDA gave empty") and FELL_BACK in status.provider.toolTip()
    assert status.provider.property("role") == "warning"
    stand.bridge.on_figures(LiveFigures(30.0, 8.0, 110.0, 0, "CUDAExecutionProvider"))
    settle()
    assert status.provider.text() == "CUDA" and status.provider.property("role") == "dim"


def test_marks_that_are_late_and_a_picture_that_is_not_live_are_said(stand: Stand):
    status = stand.window.status
    status.show_display(DisplayFigures(30.0, 12.0, 110.0, 1800.0), "")
    assert status.behind.text() == "1.8 s behind" and status.behind.property("role") == "warning"
    status.show_display(DisplayFigures(0.0, 0.0, 110.0, 1800.0), COVERED)
    assert COVERED in status.rates.text() and status.behind.property("role") == "dim"


def test_the_window_counts_what_it_paints(stand: Stand):
    window, view = stand.window, stand.window.view
    stand.engine.accept_field()
    for index in range(10):
        shown = tracked(stand.engine.result)
        now_s = time.monotonic()
        frame = dataclasses.replace(shown.frame, index=100 + index, captured_s=now_s)
        stand.bridge.on_frame(dataclasses.replace(shown, frame=frame))
        settle()
        view.grab()
    assert view.meter.figures(time.monotonic()).displayed_fps >= 10 / WINDOW_S
    window._show_how_live()  # noqa: SLF001 - the timer's own call
    assert "shown/s" in window.status.rates.text()
    window.review.show_field(1)
    window._show_how_live()  # noqa: SLF001
    assert window.status.rates.text().startswith(COVERED)


def test_reason_why_the_overlay_is_off_is_said(stand: Stand):
    said = []
    for place, change in enumerate(("island", "blur", "keys")):
        if change == "island":
            stand.bridge.on_frame(tracked(stand.engine.result, island=1, speed_um_per_s=500.0))
        elif change == "blur":
            quality = QualityReport(False, ("blurred",), ("out of focus",), 0.1, 0.0, 0.8)
            stand.bridge.on_frame(tracked(stand.engine.result))
            stand.bridge.on_result(live(factories.field_result((), (200, 300), quality=quality)))
        else:
            stand.bridge.on_result(live(stand.engine.result))
            settle()
            stand.press(Qt.Key.Key_H)
        settle()
        said.append(stand.window.status.overlay.text())
        assert place == len(said) - 1
    assert said == ["overlay off: stage moving", "overlay off: out of focus", "overlay off: switched off (M, N, O, B)"]
    stand.press(Qt.Key.Key_H)
    assert stand.window.status.overlay.text() == "overlay on"


def test_unusable_picture_gives_its_reason_in_the_legend(stand: Stand):
    quality = QualityReport(False, ("blurred",), ("out of focus",), 0.1, 0.0, 0.8)
    stand.bridge.on_result(live(factories.field_result((), (200, 300), quality=quality)))
    settle()
    assert stand.window.legend.text.score == "Not scored: out of focus"


def test_legend_has_no_old_figures_on_new_tissue(stand: Stand):
    stand.bridge.on_frame(tracked(stand.engine.result, island=1))
    settle()
    assert {percent for _, percent in stand.window.legend.text.shares} == {"\N{EN DASH}"}
    assert stand.window.curve.field == ()


def test_curve_of_the_field_and_of_the_control(stand: Stand):
    settle()
    assert stand.window.curve.field == stand.engine.result.curve
    assert stand.window.curve.control == ()
    stand.press(Qt.Key.Key_F2)
    stand.press(Qt.Key.Key_Space)
    settle()
    assert stand.window.curve.control == stand.engine.result.curve


def test_score_and_bars_grow_with_the_fields(stand: Stand):
    stand.press(Qt.Key.Key_Space)
    settle()
    first = stand.window.case_panel.cells.text()
    stand.press(Qt.Key.Key_Space)
    stand.press(Qt.Key.Key_Space)
    settle()
    panel = stand.window.case_panel
    assert panel.fields.count() == 3
    assert panel.cells.text() != first
    assert panel.chart.shares_percent == pytest.approx(dict(stand.engine.view().score.shares_percent))


def test_lost_camera_is_written_across_the_picture(stand: Stand):
    error = CameraLost("phantom microscope", 1204)
    stand.bridge.on_camera(CameraStatus(CameraPhase.LOST, str(error)))
    stand.bridge.on_message(Message(Severity.ERROR, str(error)))
    settle()
    assert "Not live" in stand.window.view.notice
    assert stand.window.status.camera.toolTip() == str(error)
    assert "Reconnect (F5)" in stand.window.messages.label.text()
    assert stand.window.status.rates.text() == "not live"
    stand.bridge.on_camera(CameraStatus(CameraPhase.LIVE, "phantom microscope live"))
    settle()
    assert stand.window.view.notice == ""
    assert "shown/s" in stand.window.status.rates.text()


def test_what_was_said_of_a_lost_camera_goes_when_it_is_back(stand: Stand):
    bar, error = stand.window.messages, str(CameraLost("phantom microscope", 1204))
    stand.bridge.on_message(Message(Severity.ERROR, "the disk is full."))
    for text in (error, "no such folder."):
        stand.bridge.on_camera(CameraStatus(CameraPhase.LOST, text))
        stand.bridge.on_message(Message(Severity.ERROR, text))
    stand.bridge.on_camera(CameraStatus(CameraPhase.LIVE, "phantom microscope live"))
    settle()
    assert bar.label.text() == "The disk is full." and error in [message.text for message in bar.history]
    assert bar.dismiss() and bar.isHidden()


def test_the_window_leaves_room_for_its_title_bar(stand: Stand):
    screen = stand.window.screen()
    assert screen is not None
    assert stand.window.height() <= screen.availableSize().height() - FRAME_PX.height()


def test_a_thousand_frames_from_a_thread_cost_one_picture_each_turn(stand: Stand, monkeypatch):
    shown = []
    monkeypatch.setattr(stand.window.view, "show_frame", shown.append)
    frames = [tracked(stand.engine.result, x_px=float(n)) for n in range(1000)]
    thread = threading.Thread(target=lambda: [stand.bridge.on_frame(frame) for frame in frames])
    thread.start()
    thread.join()
    settle()
    assert shown == [frames[-1]]


# ---- messages -----------------------------------------------------------------------------------------------------


def test_error_stays_until_it_is_dismissed(stand: Stand):
    bar = stand.window.messages
    stand.bridge.on_message(Message(Severity.ERROR, "The disk is full. Free some space."))
    stand.bridge.on_message(Message(Severity.INFO, "Field 3 added."))
    settle()
    assert bar.isVisible() and "disk" in bar.label.text()
    assert not [timer for timer in bar.findChildren(QTimer) if timer.isActive()]
    stand.press(Qt.Key.Key_Escape)
    assert not bar.isVisible()
    assert [message.text for message in bar.history][-2:] == ["The disk is full. Free some space.", "Field 3 added."]


def test_the_same_error_again_needs_no_second_dismissal(stand: Stand):
    for _ in range(5):
        stand.bridge.on_message(Message(Severity.ERROR, "camera lost"))
    settle()
    stand.press(Qt.Key.Key_Escape)
    assert not stand.window.messages.isVisible()


def test_several_errors_are_dismissed_one_by_one(stand: Stand):
    for text in ("first", "second"):
        stand.bridge.on_message(Message(Severity.ERROR, text))
    settle()
    assert stand.window.messages.label.text() == "Second\n(1 more)"
    stand.press(Qt.Key.Key_Escape)
    assert stand.window.messages.label.text() == "First"


def test_information_goes_away_by_itself(stand: Stand, monkeypatch, qtbot):
    monkeypatch.setitem(message_bar.SHOWN_MS, Severity.INFO, 0)
    monkeypatch.setattr(message_bar, "PER_LETTER_MS", 50)  # longer than the window may take to show it
    stand.bridge.on_message(Message(Severity.INFO, "Field 3 added."))
    settle()
    assert stand.window.messages.isVisible()
    qtbot.waitUntil(lambda: not stand.window.messages.isVisible())


def test_message_list_is_newest_first(stand: Stand):
    dialog = messages_dialog([Message(Severity.INFO, "one"), Message(Severity.ERROR, "two")], stand.window)
    assert [line.split()[-1] for line in dialog.box.toPlainText().splitlines()] == ["two", "one"]


# ---- finishing, resuming, failing ---------------------------------------------------------------------------------


def test_finishing_can_be_called_off(stand: Stand):
    question = finish_question(stand.engine.view(), stand.window)
    question.accepted.connect(stand.engine.finish)
    question.open()
    QTest.keyClick(question, Qt.Key.Key_Escape)
    assert ("finish",) not in stand.engine.calls


def test_finish_question_says_what_the_report_will_say(stand: Stand):
    view = factories.case_view([factories.equivocal_field()], (), finished_utc=None)
    question = finish_question(view, stand.window)
    text = "\n".join(label.text() for label in question.findChildren(QLabel))
    for part in ("S25-01234 A1", "2+", "equivocal", "120 tumour cells in 1 field", "Not reportable", "not entered"):
        assert part in text, part
    named = dataclasses.replace(view, data=CaseData("S25-7", "A1", "2"))
    assert "S25-7 \N{MIDDLE DOT} A1 \N{MIDDLE DOT} 2" in finish_question(named, stand.window).question.text()


def test_finishing_a_finished_case_writes_its_report_again_without_a_question(stand: Stand):
    stand.engine.finish()
    stand.engine.calls.clear()
    settle()
    stand.press(Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert stand.engine.calls == [("finish",)]


@pytest.mark.parametrize(("key", "resumed"), [(Qt.Key.Key_Return, True), (Qt.Key.Key_Escape, False)])
def test_resume_question(qtbot, key, resumed):
    from her2scope.ports import CaseSummary

    question = resume_question(CaseSummary("S25-01234", "2025-03-04T08:58:12+00:00", 3, False, False))
    answers = []
    question.finished.connect(lambda answer: answers.append(answer == question.DialogCode.Accepted))
    question.open()
    text = "\n".join(label.text() for label in question.findChildren(QLabel))
    assert "Opened 2025-03-04 08:58 UTC, 3 fields" in text
    QTest.keyClick(question, key)
    assert answers == [resumed]


def test_failure_in_a_slot_is_a_message_and_the_window_lives(stand: Stand, caplog):
    catcher = ExceptionCatcher(stand.window.messages.post)
    before = sys.excepthook
    catcher.install()
    try:
        QTimer.singleShot(0, lambda: 1 / 0)
        QTest.qWait(30)
    finally:
        catcher.uninstall()
    assert sys.excepthook is before
    assert "ZeroDivisionError" in stand.window.messages.label.text()
    assert "Traceback" in caplog.text
    stand.press(Qt.Key.Key_Escape)
    stand.press(Qt.Key.Key_Space)
    assert stand.engine.calls == [("accept_field",)]


def test_failure_in_a_thread_is_shown_on_the_gui_thread(stand: Stand):
    error = CameraLost("camera", 3)

    def fail() -> None:
        raise error

    catcher = ExceptionCatcher(stand.window.messages.post)
    catcher.install()
    try:
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    finally:
        catcher.uninstall()
    settle()
    assert stand.window.messages.label.text() == capitalised(str(error))


def test_place_of_the_report_stays_until_the_next_case(stand: Stand, monkeypatch):
    monkeypatch.setitem(message_bar.SHOWN_MS, Severity.INFO, 0)
    monkeypatch.setattr(message_bar, "PER_LETTER_MS", 2)
    stand.engine.finish()
    QTest.qWait(300)
    assert "report.pdf" in stand.window.messages.label.text() and stand.window.messages.isVisible()
    assert "IN REVIEW" in stand.window.area.chip.text()
    stand.press(Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    settle()
    assert stand.engine.calls[-1] == ("new_case",)
    assert "READING" in stand.window.area.chip.text()
    assert stand.window.windowTitle().startswith("S25-01235 A1")


def test_next_case_starts_with_empty_entries(stand: Stand):
    stand.press(Qt.Key.Key_Space)
    panel = stand.window.case_panel
    panel.own.score.setCurrentText("3+")
    panel.own.remark.setText("half written")
    stand.press(Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    (question,) = [item for item in stand.window.findChildren(Question) if item.isVisible()]
    assert stand.engine.calls == [("accept_field",)]
    QTest.keyClick(question, Qt.Key.Key_Return)
    settle()
    assert stand.engine.calls[-1] == ("new_case",)
    assert (panel.own.score.currentText(), panel.own.remark.text(), panel.fields.count()) == ("not entered", "", 0)


# ---- control ------------------------------------------------------------------------------------------------------


def control_calls(stand: Stand) -> list[tuple]:
    return [call for call in stand.engine.calls if call[0] == "read_control"]


def test_space_twice_reads_one_level_only(stand: Stand):
    stand.press(Qt.Key.Key_F2)
    stand.press(Qt.Key.Key_Space)
    settle()
    assert "CONTROL 0" in stand.window.area.chip.text()
    stand.press(Qt.Key.Key_Space)
    assert control_calls(stand) == [("read_control", "3+", "")]
    assert "Show the 0 control first" in stand.window.messages.history[-1].text


def test_another_place_is_read_as_the_next_level(stand: Stand):
    stand.press(Qt.Key.Key_F2)
    stand.press(Qt.Key.Key_Space)
    stand.bridge.on_frame(tracked(stand.engine.result, island=1))
    settle()
    stand.press(Qt.Key.Key_Space)
    assert [call[1] for call in control_calls(stand)] == ["3+", "0"]


def test_a_level_chosen_by_hand_is_read_wherever_the_reader_is(stand: Stand):
    stand.press(Qt.Key.Key_F2)
    stand.press(Qt.Key.Key_Space)
    settle()
    stand.press(Qt.Key.Key_E)
    stand.press(Qt.Key.Key_Space)
    assert [call[1] for call in control_calls(stand)] == ["3+", "0"]


def test_one_field_may_be_read_again_after_an_invalid_reading(stand: Stand):
    stand.engine.next_verdict = (ControlStatus.INVALID, (ControlCode.FADED,), MANY_REASONS[:1])
    stand.press(Qt.Key.Key_F2)
    stand.press(Qt.Key.Key_Space)
    settle()
    stand.press(Qt.Key.Key_Space)
    assert [call[1] for call in control_calls(stand)] == ["3+", "3+"]


def test_lot_and_run_go_with_the_reading(stand: Stand):
    stand.window.control_panel.lot.setText("A-4711")
    stand.window.control_panel.run.setText("Monday 2")
    stand.press(Qt.Key.Key_F2)
    stand.press(Qt.Key.Key_Space)
    assert control_calls(stand) == [("read_control", "3+", "A-4711", "Monday 2")]


def test_the_history_of_the_controls_opens_by_its_key(make_stand, qtbot):
    stand = make_stand(read_history=lambda: (baseline(), ("The last line was not finished.",)))
    stand.press(Qt.Key.Key_H, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: stand.window.findChild(ControlHistoryDialog) is not None)
    dialog = stand.window.findChild(ControlHistoryDialog)
    assert dialog.isVisible() and dialog.table.rowCount() == len(baseline())
    assert "not finished" in dialog.problems.text()


def test_a_history_that_cannot_be_read_is_said(make_stand, qtbot):
    def fail():
        raise StoreError("history.jsonl cannot be read. Look at its permissions.")

    stand = make_stand(read_history=fail)
    stand.press(Qt.Key.Key_H, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: any("history.jsonl" in message.text for message in stand.window.messages.history))
    assert stand.window.findChild(ControlHistoryDialog) is None


def test_the_state_of_the_calibration_stands_in_the_status_line(make_stand):
    assert not make_stand().window.status.calibration.isVisible()
    setup = CalibrationSetup(None, Calibration(), "measured 400 days ago", ("no flat field", "response unknown"))
    label = make_stand(calibration=setup).window.status.calibration
    assert label.isVisible() and label.text() == "! calibration: age in doubt"
    assert label.toolTip().splitlines() == [
        "measured 400 days ago", "no flat field", "response unknown", "Calibrate: Ctrl+M"
    ]  # fmt: skip


# ---- modes and preferences ----------------------------------------------------------------------------------------


def test_tab_and_mode_are_one(stand: Stand):
    window = stand.window
    window.tabs.setCurrentIndex(0)
    assert stand.engine.calls == [("set_mode", Mode.CONTROL)]
    assert window.actions_by_id["mode_control"].isChecked() and not window.actions_by_id["mode_reading"].isChecked()
    stand.press(Qt.Key.Key_F2)
    assert stand.engine.calls == [("set_mode", Mode.CONTROL)]
    assert window.actions_by_id["mode_control"].isChecked()
    stand.press(Qt.Key.Key_F3)
    assert window.tabs.currentIndex() == 1


def test_window_follows_a_mode_that_the_demo_chose(stand: Stand):
    stand.bridge.on_result(live(stand.engine.result, Mode.CONTROL))
    settle()
    assert "CONTROL" in stand.window.area.chip.text()
    assert stand.engine.calls == []


def test_analysis_from_before_the_readers_choice_does_not_undo_it(stand: Stand):
    stand.press(Qt.Key.Key_F2)
    stand.bridge.on_result(live(stand.engine.result, Mode.READING))
    settle()
    assert "CONTROL" in stand.window.area.chip.text()


def test_preferences_are_taken_and_saved_once(make_stand):
    stand = make_stand(
        FakeSource(), Preferences(palette="paper", show_membranes=False, show_filled=True, reader="Dr. E")
    )
    actions = stand.window.actions_by_id
    assert actions["palette"].isChecked() and actions["filled"].isChecked() and not actions["membranes"].isChecked()
    stand.press(Qt.Key.Key_P)
    stand.press(Qt.Key.Key_M)
    stand.window.resize(1100, 700)
    settle()
    stand.window.close()
    stand.window.close()
    (saved,) = stand.saved
    assert saved == Preferences(
        palette="safe",
        show_membranes=True,
        show_cells=True,
        show_filled=True,
        reader="Dr. E",
        window_wh=(1100, 700),
    )


def test_unknown_palette_in_preferences_falls_back(make_stand):
    assert not make_stand(None, Preferences(palette="neon")).window.actions_by_id["palette"].isChecked()


def test_closing_leaves_nothing_running(stand: Stand):
    stand.bridge.on_message(Message(Severity.INFO, "text"))
    stand.bridge.on_frame(tracked(stand.engine.result, x_px=5.0))
    settle()
    closed = []
    stand.window.closed.connect(lambda: closed.append(1))
    stand.window.close()
    assert closed == [1]
    assert [timer for timer in stand.window.findChildren(QTimer) if timer.isActive()] == []
    stand.bridge.on_frame(tracked(stand.engine.result, x_px=9.0))
    settle()
    assert stand.window.view.shown.x_px == 5.0


def test_research_use_is_said_once(stand: Stand):
    labels = [label for label in stand.window.findChildren(QLabel) if DISCLAIMER.lower() in label.text().lower()]
    assert [label.isVisible() for label in labels] == [True]


# ---- room and contrast --------------------------------------------------------------------------------------------


def unusable_result() -> FieldResult:
    quality = QualityReport(False, ("blurred", "clipped"), ("out of focus: refocus", "35 % clipped"), 0.1, 0.35, 0.8)
    return factories.field_result((), (200, 300), quality=quality)


def fill_with_much(stand: Stand) -> None:
    """The longest texts that the program has."""
    engine = stand.engine
    engine.result = factories.honeycomb_field({CellClass.COMPLETE_MODERATE: 0.5, CellClass.NONE: 0.5}, (400, 600))
    engine.next_verdict = (ControlStatus.INVALID, (ControlCode.FADED,), MANY_REASONS)
    engine.read_control("3+", "A-4711")
    for _ in range(6):
        engine.accept_field()
    engine.remove_field(2)
    stand.bridge.on_figures(LiveFigures(124.9, 112.4, 1083.0, 21_217, "CUDAExecutionProvider", 88.0, FELL_BACK))
    stand.bridge.on_camera(CameraStatus(CameraPhase.LOST, str(CameraLost("microscope camera on port 2", 120_400))))
    stand.bridge.on_result(live(unusable_result()))
    stand.bridge.on_message(Message(Severity.ERROR, str(CameraLost("microscope camera on port 2", 120_400))))
    settle()


def cut(window: QWidget) -> list[str]:
    """Visible labels, buttons and boxes that are smaller than their text, or stick out of their parent."""
    found = []
    for kind in (QLabel, QPushButton, QComboBox):
        for widget in window.findChildren(kind):
            if not widget.isVisible() or isinstance(widget, ElidedLabel):
                continue
            needed = widget.sizeHint()
            if isinstance(widget, QLabel) and widget.wordWrap():
                needed = QSize(0, widget.heightForWidth(widget.width()))
            inside = widget.parentWidget().rect().adjusted(-1, -1, 1, 1).contains(widget.geometry())
            scrolls = widget.parentWidget().objectName() == "qt_scrollarea_viewport"
            too_small = widget.width() < needed.width() or widget.height() < needed.height()
            if too_small or not (inside or scrolls):
                text = widget.currentText() if isinstance(widget, QComboBox) else widget.text()
                found.append(f"{text!r}: {widget.geometry()} needs {needed}")
    return found


@pytest.mark.parametrize("height", [SMALL_SCREEN.height(), SMALL_SCREEN.height() - WINDOW_FRAME_PX])
@pytest.mark.parametrize("mode", list(Mode))
def test_nothing_is_cut_on_a_small_screen(make_stand, mode, height):
    stand = make_stand(FakeSource())
    stand.window.resize(SMALL_SCREEN.width(), height)
    fill_with_much(stand)
    stand.window.actions_by_id["mode_control" if mode is Mode.CONTROL else "mode_reading"].trigger()
    settle()
    assert stand.window.size() == QSize(SMALL_SCREEN.width(), height)
    assert cut(stand.window) == []


def test_score_sentence_and_own_score_are_in_view_on_a_small_screen_whatever_is_open(make_stand):
    stand = make_stand(FakeSource())
    stand.window.resize(SMALL_SCREEN.width(), SMALL_SCREEN.height() - WINDOW_FRAME_PX)
    fill_with_much(stand)
    stand.engine.change_rule(RuleChange(0.2, 0.3, 0.5, 0.8))
    for name in ("rules", "annotate"):
        stand.window.actions_by_id[name].trigger()
    stand.window.case_panel.own.score.setCurrentText("indeterminate")
    settle()
    panel = stand.window.case_panel
    for part in (panel.head.score, panel.head.sentence, panel.head.deviation, panel.own.hint, panel.own.remark):
        assert part.isVisible()
        place = part.mapTo(panel, part.rect().topLeft())
        assert panel.rect().contains(part.rect().translated(place))
    assert panel.middle.height() > 0 and stand.window.height() == SMALL_SCREEN.height() - WINDOW_FRAME_PX
    assert cut(panel.head) == cut(panel.own) == cut(stand.window.tools.rules) == []


def test_window_fits_a_small_screen(stand: Stand):
    least = stand.window.minimumSizeHint().expandedTo(stand.window.minimumSize())
    assert least.width() <= SMALL_SCREEN.width()
    assert least.height() <= SMALL_SCREEN.height() - WINDOW_FRAME_PX


def test_picture_gets_most_of_the_room(make_stand):
    stand = make_stand(FakeSource())
    stand.window.resize(SMALL_SCREEN)
    settle()
    assert stand.window.view.width() > 0.7 * SMALL_SCREEN.width()


def test_legend_messages_and_scale_bar_do_not_cover_each_other(make_stand):
    stand = make_stand(FakeSource())
    stand.window.resize(SMALL_SCREEN)
    fill_with_much(stand)
    area = stand.window.area
    boxes = [area.legend.geometry(), area.messages.geometry(), area.chip.geometry()]
    assert all(area.rect().contains(box) for box in boxes)
    assert not any(boxes[i].intersects(boxes[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_long_reasons_end_in_a_whole_line(make_stand):
    stand = make_stand(FakeSource())
    for height in range(660, 768, 9):
        stand.window.resize(SMALL_SCREEN.width(), height)
        fill_with_much(stand)
        box = stand.window.case_panel.reasons
        whole = box.viewport().height() / (box.widget().heightForWidth(100_000) / len(box.text.splitlines()))
        assert whole == int(whole) or box.verticalScrollBar().maximum() == 0
        stand.engine.fields.clear()


@pytest.mark.parametrize("background", ["window", "panel", "raised"])
@pytest.mark.parametrize("text", ["text", "dim", "accent", "good", "warning", "bad"])
def test_text_stands_out(text, background):
    assert contrast_ratio(getattr(THEME, text), getattr(THEME, background)) >= 4.5


def test_theme_is_dark():
    assert all(contrast_ratio(getattr(THEME, name), "#000000") < 1.6 for name in ("picture", "window", "panel"))


def test_words_on_the_picture_stand_out_over_white_tissue():
    # The backdrop's alpha over a white background, and the text on that.
    alpha = 205 / 255
    mixed = "#" + "".join(f"{round(part * alpha + 255 * (1 - alpha)):02x}" for part in (12, 13, 14))
    assert contrast_ratio(THEME.text, mixed) >= 4.5
    assert contrast_ratio(THEME.warning, mixed) >= 4.5


def test_fields_show_counts_of_what_was_counted_before(stand: Stand):
    stand.engine.fields.append(factories.accepted(factories.equivocal_field(), 1, seen_before=range(5)))
    stand.engine.tell_case()
    settle()
    assert "counted before" in stand.window.case_panel.fields.item(0).data(Qt.ItemDataRole.AccessibleTextRole)
