from __future__ import annotations

import factories
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from her2scope.domain.corrections import SPECIMENS, CaseData
from her2scope.pipeline.live import Message, Severity
from her2scope.ui.case_data import FORMALIN, CaseDataDialog


@pytest.fixture
def dialog(qtbot) -> CaseDataDialog:
    made = CaseDataDialog(CaseData(accession="S25-1"), None)
    made.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(made)
    made.open()
    return made


def test_known_entries_are_shown_and_any_specimen_may_be_written(dialog):
    assert dialog.data == CaseData(accession="S25-1")
    offered = [dialog.specimen.itemText(row) for row in range(dialog.specimen.count())]
    assert set(SPECIMENS) <= set(offered)
    dialog.specimen.setCurrentText(" skin punch ")
    assert dialog.data.specimen == "skin punch"


def test_return_asks_and_the_dialog_closes_once_the_case_has_it(dialog):
    asked = []
    dialog.entered.connect(asked.append)
    for name, text in (("block", "A1"), ("slide", " 3 "), ("antibody_run", "R-7")):
        dialog.lines[name].setText(text)
    QTest.keyClick(dialog.lines["slide"], Qt.Key.Key_Return)
    wanted = CaseData("S25-1", "A1", "3", "", "R-7")
    assert asked == [wanted] and dialog.isVisible()
    dialog.show_case(factories.case_view(finished_utc=None))
    assert dialog.isVisible(), "some other change of the case"
    dialog.show_case(factories.case_view(finished_utc=None, data=wanted))
    assert not dialog.isVisible()


def test_refusal_is_shown_and_nothing_that_was_written_is_lost(dialog):
    dialog.show_message(Message(Severity.WARNING, "the camera is slow"))
    assert dialog.refusal.isHidden(), "nothing was asked yet"
    dialog.lines["slide"].setText("3")
    dialog.ask()
    dialog.show_message(Message(Severity.WARNING, "slide s25-1//3 is open in case 7 already"))
    dialog.show_case(factories.case_view(finished_utc=None))
    assert dialog.isVisible() and dialog.lines["slide"].text() == "3"
    assert dialog.refusal.text() == "Slide s25-1//3 is open in case 7 already"
    dialog.ask()
    assert dialog.refusal.isHidden()
    dialog.show_message(Message(Severity.WARNING, "the camera is slow"))  # of something else: the entries are taken
    dialog.show_case(factories.case_view(finished_utc=None, data=dialog.data))
    assert not dialog.isVisible()


def test_fixation_is_held_against_the_guideline_and_never_refused(dialog, qtbot):
    asked = []
    dialog.entered.connect(asked.append)
    assert (dialog.ischaemia_hint.text(), dialog.fixation_hint.text()) == ("Not entered", "Not entered")
    dialog.lines["antibody_clone"].setText("4B5")
    dialog.choices["fixative"].setCurrentText(FORMALIN)
    for minutes, hours, words, role in (
        ("45", "24", "Meets the guideline", "small"),
        ("90", "80", "DOES NOT MEET the guideline", "warning"),
        ("soon", "a night", "Cannot be judged", "small"),
    ):
        dialog.lines["cold_ischaemia_min"].setText(minutes)
        dialog.lines["fixation_h"].setText(hours)
        for hint, limit in ((dialog.ischaemia_hint, "60 min"), (dialog.fixation_hint, "6 to 72 h")):
            assert hint.text().startswith(words) and limit in hint.text() and hint.property("role") == role
            assert hint.height() >= hint.heightForWidth(hint.width()), "no word of it is cut"
        dialog.ask()
    assert [(data.cold_ischaemia_min, data.fixation_h) for data in asked] == [
        ("45", "24"),
        ("90", "80"),
        ("soon", "a night"),
    ]
    assert {(data.antibody_clone, data.fixative) for data in asked} == {("4B5", FORMALIN)}
