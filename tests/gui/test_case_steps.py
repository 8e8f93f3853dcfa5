"""The case's way to its signature, by keyboard in the window."""

from __future__ import annotations

import pytest
from gui.conftest import Stand
from gui.fake_engine import FakeSource
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication, QDialog

from her2scope.domain.errors import StoreError
from her2scope.domain.sign_off import CaseStatus
from her2scope.ports import CaseSummary
from her2scope.records import ReaderScore
from her2scope.ui.open_case import OpenCaseDialog
from her2scope.ui.sign_off import AmendDialog, ReopenDialog, SignDialog

Key = Qt.Key
CTRL = Qt.KeyboardModifier.ControlModifier
CTRL_SHIFT = CTRL | Qt.KeyboardModifier.ShiftModifier
STORED = (CaseSummary("S24-7", "2025-03-03T10:15:00+00:00", 12, True, False, status=CaseStatus.SIGNED),)


@pytest.fixture
def stand(make_stand) -> Stand:
    made: Stand = make_stand(
        FakeSource(), signer_names=lambda: tuple(sorted(made.engine.pins)), stored_cases=lambda: STORED
    )
    return made


@pytest.fixture
def dialog_of(stand: Stand, qtbot):
    """The dialog of a kind, once it is there and has the keys."""

    def find(kind: type[QDialog]) -> QDialog:
        qtbot.waitUntil(lambda: any(item.isVisible() for item in stand.window.findChildren(kind)))
        (found,) = [item for item in stand.window.findChildren(kind) if item.isVisible()]
        found.activateWindow()
        qtbot.waitUntil(lambda: QApplication.activeWindow() is found)
        return found

    return find


def read_and_finish(stand: Stand, n_fields: int = 2) -> None:
    for _ in range(n_fields):
        stand.engine.accept_field()
    stand.engine.enter_reader_score(ReaderScore("2+", "uneven stain"))
    stand.engine.finish()
    QApplication.processEvents()
    stand.engine.calls.clear()


def back(stand: Stand) -> None:
    """Give the window its keys again, as a window manager does once a dialog is gone."""
    QApplication.processEvents()
    stand.window.activateWindow()
    stand.window.view.setFocus()
    QApplication.processEvents()


def sign(stand: Stand, dialog_of, pin: str = "2468") -> None:
    stand.press(Key.Key_S, CTRL_SHIFT)
    dialog = dialog_of(SignDialog)
    dialog.confirmed.setFocus()
    stand.press(Key.Key_Space)
    stand.press(Key.Key_Tab)
    stand.press(Key.Key_Tab)
    stand.type(pin)
    stand.press(Key.Key_Return)
    back(stand)


def test_sign_and_amend_by_keyboard(stand: Stand, dialog_of):
    read_and_finish(stand)
    assert "IN REVIEW" in stand.window.area.chip.text()
    sign(stand, dialog_of)
    assert stand.engine.calls == [("sign", "Dr. A. Example", "2468", True)]
    assert stand.engine.seen is not None and stand.engine.seen.sign_off.status is CaseStatus.IN_REVIEW
    assert "SIGNED" in stand.window.area.chip.text() and "(signed)" in stand.window.windowTitle()
    assert "Signed by Dr. A. Example" in stand.window.case_panel.head.state.text()

    stand.press(Key.Key_A, CTRL_SHIFT)
    dialog_of(AmendDialog)
    stand.type("wrong block")
    stand.press(Key.Key_Tab)
    stand.press(Key.Key_Tab)
    stand.type("2468")
    stand.press(Key.Key_Return)
    QApplication.processEvents()
    assert stand.engine.calls[-1] == ("amend", "Dr. A. Example", "2468", "wrong block")
    assert "READING, VERSION 2" in stand.window.area.chip.text()
    assert stand.window.case_panel.finish.text() == "Finish case" and stand.window.case_panel.remove.isEnabled()

    stand.engine.finish()
    back(stand)
    sign(stand, dialog_of)
    assert "(amended, version 2)" in stand.window.windowTitle()
    assert not any(item.isVisible() for item in stand.window.findChildren(QDialog))


def test_a_wrong_pin_is_said_in_the_dialog_and_the_next_try_signs(stand: Stand, dialog_of):
    read_and_finish(stand)
    stand.window.case_panel.finish.click()
    dialog = dialog_of(SignDialog)
    dialog.confirmed.setChecked(True)
    dialog.signer.pin.setText("1111")
    dialog.ask()
    QApplication.processEvents()
    assert "do not belong together" in dialog.refusal.text() and dialog.isVisible()
    dialog.signer.pin.setText("2468")
    dialog.ask()
    QApplication.processEvents()
    assert "SIGNED" in stand.window.area.chip.text()


def test_somebody_new_signs(stand: Stand, dialog_of):
    read_and_finish(stand)
    stand.press(Key.Key_S, CTRL_SHIFT)
    dialog = dialog_of(SignDialog)
    dialog.confirmed.setChecked(True)
    form = dialog.signer
    form.name.setCurrentIndex(form.name.count() - 1)
    form.new_name.setText("Dr. C. Third")
    for pin_line in (form.pin, form.again):
        pin_line.setText("8642")
    dialog.ask()
    QApplication.processEvents()
    assert stand.engine.calls == [("enrol_and_sign", "Dr. C. Third", "8642", True)]
    assert "Signed by Dr. C. Third" in stand.window.case_panel.head.state.text()


def test_fields_that_the_window_showed_are_marked_until_the_next_version(stand: Stand, dialog_of):
    read_and_finish(stand)
    stand.press(Key.Key_S, CTRL_SHIFT)
    dialog = dialog_of(SignDialog)
    dialog.fields.setCurrentRow(1)
    dialog.look.click()
    back(stand)
    assert stand.window.review.field.number == 2 and "Ctrl+Shift+S" in stand.window.messages.label.text()
    stand.press(Key.Key_S, CTRL_SHIFT)
    again = dialog_of(SignDialog)
    assert [again.fields.item(row).text()[0] for row in range(2)] == ["\N{EN DASH}", "\N{CHECK MARK}"]
    again.reject()
    stand.engine.sign("Dr. A. Example", "2468", True)
    stand.engine.amend("Dr. A. Example", "2468", "wrong block")
    stand.window.review.back_to_live()
    stand.engine.finish()
    back(stand)
    stand.press(Key.Key_S, CTRL_SHIFT)
    of_next = dialog_of(SignDialog)
    assert [of_next.fields.item(row).text()[0] for row in range(2)] == ["\N{EN DASH}"] * 2


def test_back_to_reading(stand: Stand, dialog_of):
    read_and_finish(stand)
    stand.press(Key.Key_F, CTRL_SHIFT)
    dialog_of(ReopenDialog)
    stand.type("one field more")
    stand.press(Key.Key_Return)
    QApplication.processEvents()
    assert stand.engine.calls == [("reopen", "one field more")]
    assert "READING" in stand.window.area.chip.text() and stand.window.case_panel.remove.isEnabled()


@pytest.mark.parametrize(
    ("status", "key", "part"),
    [
        ("open", Key.Key_S, "Finish it first"),
        ("open", Key.Key_A, "Only a signed case"),
        ("open", Key.Key_F, "nothing to take back"),
        ("in review", Key.Key_A, "take it back to reading"),
        ("signed", Key.Key_S, "signed already"),
        ("signed", Key.Key_F, "Amend it instead"),
    ],
)
def test_a_step_that_the_state_does_not_allow_says_what_does(stand: Stand, status, key, part):
    stand.engine.accept_field()
    if status != "open":
        stand.engine.finish()
    if status == "signed":
        stand.engine.sign("Dr. A. Example", "2468", True)
    QApplication.processEvents()
    stand.press(key, CTRL_SHIFT)
    assert part in stand.window.messages.label.text()
    assert not any(item.isVisible() for item in stand.window.findChildren(QDialog))


def test_a_stored_case_is_opened(stand: Stand, dialog_of):
    stand.press(Key.Key_O, CTRL)
    dialog_of(OpenCaseDialog)
    stand.type("s24")
    stand.press(Key.Key_Return)
    QApplication.processEvents()
    assert stand.engine.calls == [("open_case", "S24-7")]
    assert stand.window.windowTitle().startswith("S24-7")
    assert not any(item.isVisible() for item in stand.window.findChildren(QDialog))


def test_signers_that_cannot_be_read_are_said(make_stand, qtbot):
    def unreadable() -> tuple[str, ...]:
        raise StoreError("signers.json cannot be read. Look at its permissions.")

    stand = make_stand(FakeSource(), signer_names=unreadable)
    read_and_finish(stand)
    stand.press(Key.Key_S, CTRL_SHIFT)
    qtbot.waitUntil(lambda: "signers.json" in stand.window.messages.label.text())
