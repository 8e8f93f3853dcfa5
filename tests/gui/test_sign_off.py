"""The dialogs of the sign-off, each by itself."""

from __future__ import annotations

import dataclasses

import factories
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLabel, QLineEdit

from her2scope.domain.sign_off import SignOff
from her2scope.pipeline.live import Message, Severity
from her2scope.records import CaseView, ReaderScore
from her2scope.storage.signers import LEAST_PIN
from her2scope.ui.sign_off import AmendDialog, ReopenDialog, SignDialog
from her2scope.ui.signer_form import ENROL_NOTE, NEW_SIGNER
from her2scope.ui.theme import THEME, contrast_ratio

NAMES = ("Dr. A. Example", "Dr. B. Second")
WRONG_PIN = Message(Severity.WARNING, "the name and the PIN do not belong together")


def in_review(n_fields: int = 3, **more) -> CaseView:
    more = {"reader_score": ReaderScore("2+", ""), **more}
    return factories.case_view([factories.equivocal_field()] * n_fields, **more)


@pytest.fixture
def shown(qtbot):
    """Open a dialog that outlives its closing."""

    def show(dialog):
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
        qtbot.addWidget(dialog)
        dialog.open()
        dialog.activateWindow()
        qtbot.waitUntil(lambda: QApplication.activeWindow() is dialog)
        return dialog

    return show


@pytest.fixture
def sign(shown) -> SignDialog:
    return shown(SignDialog(in_review(), NAMES, {1}, None))


def asked_of(dialog: SignDialog) -> list[tuple[object, ...]]:
    asked: list[tuple[object, ...]] = []
    dialog.sign_asked.connect(lambda *what: asked.append(("sign", *what)))
    dialog.enrol_asked.connect(lambda *what: asked.append(("enrol", *what)))
    return asked


def texts_in(dialog) -> str:
    """All that is to be read in it."""
    return "\n".join(
        [label.text() for label in dialog.findChildren(QLabel)]
        + [line.displayText() for line in dialog.findChildren(QLineEdit)]
    )


def test_nothing_is_signed_before_the_fields_were_looked_at_and_a_pin_is_there(sign):
    asked = asked_of(sign)
    sign.signer.pin.setText("2468")
    QTest.keyClick(sign.signer.pin, Qt.Key.Key_Return)
    assert asked == [] and "then confirm it" in sign.refusal.text() and sign.confirmed.hasFocus()
    sign.confirmed.setChecked(True)
    sign.signer.forget_pin()
    QTest.keyClick(sign.signer.pin, Qt.Key.Key_Return)
    assert asked == [] and sign.refusal.text() == "Enter your PIN." and sign.signer.pin.hasFocus()


def test_the_reader_of_the_case_is_the_likely_signer_and_the_pin_is_gone_once_handed_over(sign):
    asked = asked_of(sign)
    sign.confirmed.setChecked(True)
    QTest.keyClicks(sign.signer.pin, "2468")
    assert "2468" not in texts_in(sign)
    QTest.keyClick(sign.signer.pin, Qt.Key.Key_Return)
    assert asked == [("sign", "Dr. A. Example", "2468", True)]
    assert sign.signer.pin.text() == "" and sign.isVisible() and not sign.ok.isEnabled()
    sign.signer.pin.undo()
    assert sign.signer.pin.text() == "", "nor can it be brought back"


def test_a_refusal_is_shown_and_asks_for_the_pin_again(sign):
    asked = asked_of(sign)
    sign.show_message(WRONG_PIN)
    assert sign.refusal.isHidden(), "nothing was asked yet"
    sign.confirmed.setChecked(True)
    for pin in ("1111", "2468"):
        sign.signer.pin.setText(pin)
        sign.ask()
        sign.show_message(Message(Severity.INFO, "field 3 added"))
        assert sign.refusal.isHidden() and not sign.ok.isEnabled(), "that was no answer"
        sign.show_message(WRONG_PIN)
        assert sign.refusal.text() == "The name and the PIN do not belong together"
        assert sign.isVisible() and sign.ok.isEnabled() and sign.signer.pin.hasFocus() and sign.confirmed.isChecked()
    assert [pin for _, _, pin, _ in asked] == ["1111", "2468"]


def test_it_closes_once_this_case_is_signed(sign):
    sign.confirmed.setChecked(True)
    sign.signer.pin.setText("2468")
    sign.ask()
    sign.show_case(in_review())
    sign.show_case(dataclasses.replace(factories.signed(in_review()), case_id="another"))
    assert sign.isVisible()
    sign.show_case(factories.signed(in_review()))
    assert not sign.isVisible()


def test_somebody_new_is_asked_for_name_and_pin_twice(sign):
    asked, form = asked_of(sign), sign.signer
    assert not form.new_name.isVisible()
    form.name.setCurrentText(NEW_SIGNER)
    assert form.new_name.isVisible() and form.again.isVisible()
    sign.confirmed.setChecked(True)
    sign.ask()
    assert sign.refusal.text() == "Write your name."
    form.new_name.setText(" Dr. C. Third ")
    form.pin.setText("8642")
    form.again.setText("8624")
    sign.ask()
    assert "differ" in sign.refusal.text() and form.pin.text() == form.again.text() == ""
    for line in (form.pin, form.again):
        line.setText("8642")
    sign.ask()
    assert asked == [("enrol", "Dr. C. Third", "8642", True)] and form.pin.text() == form.again.text() == ""


def test_who_was_enrolled_though_the_signature_was_refused_is_known_by_the_next_try(sign):
    form = sign.signer
    form.name.setCurrentText(NEW_SIGNER)
    form.new_name.setText("Dr. C. Third")
    form.offer(NAMES)
    assert form.is_new and form.signer == "Dr. C. Third"
    form.offer((*NAMES, "Dr. C. Third"))
    assert not form.is_new and form.signer == "Dr. C. Third"


def test_another_signer_does_not_get_the_pin_that_was_typed(sign):
    sign.signer.pin.setText("2468")
    sign.signer.name.setCurrentText("Dr. B. Second")
    assert sign.signer.pin.text() == ""


def test_the_fields_are_listed_with_those_that_were_shown_and_enter_looks_at_one(sign):
    asked, looked = asked_of(sign), []
    sign.field_asked.connect(looked.append)
    marks = [sign.fields.item(row).text()[0] for row in range(sign.fields.count())]
    assert marks == ["\N{CHECK MARK}", "\N{EN DASH}", "\N{EN DASH}"]
    assert "shown 1 of 3 annotated fields" in texts_in(sign)
    sign.confirmed.setChecked(True)
    sign.signer.pin.setText("2468")
    sign.fields.setFocus()
    QTest.keyClick(sign.fields, Qt.Key.Key_Return)
    assert looked == [2] and not sign.isVisible(), "the first one that was not shown yet"
    assert asked == [], "Enter in the list signs nothing"


def test_without_a_score_of_ones_own_nothing_is_signed(shown):
    dialog = shown(SignDialog(in_review(reader_score=None), NAMES, (), None))
    asked = asked_of(dialog)
    dialog.confirmed.setChecked(True)
    dialog.signer.pin.setText("246813")
    dialog.ask()
    assert asked == [] and "back to reading (Ctrl+Shift+F)" in dialog.refusal.text()


def test_a_new_signer_is_told_how_long_the_pin_must_be():
    assert f"at least {LEAST_PIN} characters" in ENROL_NOTE


def test_escape_signs_nothing(sign):
    asked = asked_of(sign)
    sign.confirmed.setChecked(True)
    sign.signer.pin.setText("2468")
    QTest.keyClick(sign.signer.pin, Qt.Key.Key_Escape)
    assert asked == [] and not sign.isVisible()


def test_tab_walks_as_it_is_read(sign):
    walked = []
    for _ in range(6):
        walked.append(QApplication.focusWidget())
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
    assert walked == [sign.fields, sign.look, sign.confirmed, sign.signer.name, sign.signer.pin, sign.ok]


def test_all_is_readable_on_a_low_screen(shown):
    """Of a case of which much is to be said, by somebody new, after a refusal."""
    signed = factories.signed(in_review(9), "the block was mixed up with that of the case before")
    view = dataclasses.replace(in_review(9), sign_off=dataclasses.replace(signed.sign_off, status=SignOff().status))
    dialog = shown(SignDialog(view, (), (), None))
    dialog.ask()
    QApplication.processEvents()
    assert dialog.signer.is_new, "nobody can sign yet"
    assert dialog.height() <= 768 - 70 and dialog.height() >= dialog.column.totalHeightForWidth(dialog.width())
    assert all(
        item.height() >= item.heightForWidth(item.width())
        for item in dialog.findChildren(QLabel)
        if not item.isHidden()
    )


def test_the_box_to_tick_stands_out():
    assert contrast_ratio(THEME.box, THEME.window) >= 3 and contrast_ratio(THEME.text, THEME.box) >= 3


# ---- back to reading, amend ---------------------------------------------------------------------------------------


def test_back_to_reading_needs_a_reason(shown):
    dialog, asked = shown(ReopenDialog(in_review(), None)), []
    dialog.reopen_asked.connect(asked.append)
    assert QApplication.focusWidget() is dialog.reason
    QTest.keyClick(dialog.reason, Qt.Key.Key_Return)
    assert asked == [] and dialog.refusal.text() == "Write the reason."
    QTest.keyClicks(dialog.reason, " one field more ")
    QTest.keyClick(dialog.reason, Qt.Key.Key_Return)
    assert asked == ["one field more"] and dialog.isVisible()
    dialog.show_case(in_review())
    assert dialog.isVisible()
    dialog.show_case(in_review(finished_utc=None, sign_off=SignOff()))
    assert not dialog.isVisible()


def test_an_amendment_needs_reason_name_and_pin(shown):
    view = factories.signed(in_review())
    dialog, asked = shown(AmendDialog(view, NAMES, None)), []
    dialog.amend_asked.connect(lambda *what: asked.append(what))
    assert "Version 1, signed by Dr. B. Signer, 2025-03-04 10:15 UTC, is kept" in texts_in(dialog)
    assert NEW_SIGNER not in [dialog.signer.name.itemText(row) for row in range(dialog.signer.name.count())]
    dialog.ask()
    assert dialog.refusal.text() == "Write the reason."
    dialog.reason.setText("wrong block")
    dialog.ask()
    assert dialog.refusal.text() == "Enter your PIN."
    dialog.signer.name.setCurrentText("Dr. B. Second")
    dialog.signer.pin.setText("1111")
    dialog.ask()
    dialog.show_message(WRONG_PIN)
    assert dialog.reason.text() == "wrong block" and dialog.signer.signer == "Dr. B. Second", "nothing is lost"
    dialog.signer.pin.setText("1357")
    dialog.ask()
    assert asked == [("Dr. B. Second", pin, "wrong block") for pin in ("1111", "1357")]
    dialog.show_case(view)
    assert dialog.isVisible()
    dialog.show_case(factories.signed(in_review(), "wrong block"))
    assert not dialog.isVisible()


def test_where_nobody_can_sign_nobody_amends(shown):
    dialog = shown(AmendDialog(factories.signed(in_review()), (), None))
    dialog.reason.setText("wrong block")
    dialog.ask()
    assert dialog.refusal.text() == "Nobody signs here yet."
