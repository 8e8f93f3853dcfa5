"""The list of stored cases."""

from __future__ import annotations

import dataclasses

import factories
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QLabel

from her2scope.domain.sign_off import CaseStatus
from her2scope.pipeline.live import Message, Severity
from her2scope.ports import CaseSummary
from her2scope.ui.open_case import COLUMNS, FIELDS, OpenCaseDialog

DAMAGED = "Case c2 is damaged: its event 17 was altered. Restore it from a bundle."
CASES = (
    CaseSummary("c4", "2025-03-04T08:58:12+00:00", 3, False, True, None, title="S25-4 A1 2"),
    CaseSummary(
        "c3", "2025-03-03T10:15:00+00:00", 12, True, False, None, "", CaseStatus.SIGNED, 1, "Dr. A", "S25-3 B2"
    ),
    CaseSummary("c2", "2025-03-02T10:15:00+00:00", 9, True, False, DAMAGED, "", CaseStatus.OPEN),
    CaseSummary(
        "c1", "2025-03-01T10:15:00+00:00", 9, True, False, None, "", CaseStatus.AMENDED, 2, "Dr. B", "S25-1 B2"
    ),
)


@pytest.fixture
def dialog(qtbot) -> OpenCaseDialog:
    present = factories.case_view([factories.equivocal_field()], finished_utc=None, case_id="c4")
    made = OpenCaseDialog(CASES, present, None)
    made.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(made)
    made.open()
    return made


def ids(dialog: OpenCaseDialog) -> list[str]:
    """Of the lines that are to be seen, from above."""
    rows = [row for row in range(dialog.table.rowCount()) if not dialog.table.isRowHidden(row)]
    return [dialog.table.item(row, 0).text() for row in rows]


def line(dialog: OpenCaseDialog, case_id: str) -> dict[str, str]:
    row = ids(dialog).index(case_id)
    return {name: dialog.table.item(row, column).text() for column, name in enumerate(COLUMNS)}


def test_every_case_stands_in_the_list_the_newest_first(dialog):
    assert ids(dialog) == ["c4", "c3", "c2", "c1"]
    assert line(dialog, "c1") == {
        "Case": "c1",
        "Accession, slide": "S25-1 B2",
        "Opened (UTC)": "2025-03-01 10:15",
        "Fields": "9",
        "State": "amended, version 2",
        "Signed by": "Dr. B",
        "Cannot be opened": "",
    }
    assert (
        line(dialog, "c2")["Cannot be opened"] == "It is damaged: its event 17 was altered. Restore it from a bundle."
    )


def test_the_newest_case_that_can_be_opened_is_chosen_first(dialog):
    assert dialog.chosen == "c3" and dialog.refusal.isHidden()


def test_fields_are_sorted_as_numbers(dialog):
    dialog.table.sortItems(FIELDS, Qt.SortOrder.AscendingOrder)
    assert [line(dialog, name)["Fields"] for name in ids(dialog)] == ["3", "9", "9", "12"]


def test_keys_filter_choose_and_open(dialog):
    asked = []
    dialog.open_asked.connect(asked.append)
    QTest.keyClicks(dialog.filter, "b2 Dr")
    assert ids(dialog) == ["c3", "c1"] and dialog.chosen == "c3"
    QTest.keyClick(dialog.filter, Qt.Key.Key_Down)
    QTest.keyClick(dialog.table, Qt.Key.Key_Return)
    assert asked == ["c1"] and dialog.isVisible()
    dialog.show_case(factories.case_view(case_id="c4"))
    assert dialog.isVisible()
    dialog.show_case(factories.case_view(case_id="c1"))
    assert not dialog.isVisible()


@pytest.mark.parametrize(
    ("case_id", "why"),
    [("c4", "open in this window"), ("c2", "it is damaged: its event 17 was altered. Restore it from a bundle")],
)
def test_what_cannot_be_opened_says_why_and_is_not_asked_for(dialog, case_id, why):
    asked = []
    dialog.open_asked.connect(asked.append)
    dialog.table.setCurrentCell(ids(dialog).index(case_id), 0)
    assert dialog.refusal.text() == f"Case {case_id} cannot be opened: {why}." and dialog.refusal.isVisible()
    dialog.ask()
    assert asked == [] and dialog.refusal.isVisible()
    dialog.table.setCurrentCell(ids(dialog).index("c1"), 0)
    assert dialog.refusal.isHidden()


def test_a_case_of_another_program_is_locked(qtbot):
    dialog = OpenCaseDialog([dataclasses.replace(CASES[0], case_id="c9")], None, None)
    qtbot.addWidget(dialog)
    assert line(dialog, "c9")["Cannot be opened"] == "Open in another program"


def test_nothing_fits_nothing_is_opened(dialog):
    asked = []
    dialog.open_asked.connect(asked.append)
    QTest.keyClicks(dialog.filter, "no such case")
    QTest.keyClick(dialog.filter, Qt.Key.Key_Return)
    assert asked == [] and ids(dialog) == [] and "Choose a case first" in dialog.refusal.text()
    dialog.filter.clear()
    assert len(ids(dialog)) == len(CASES)


def test_no_case_at_all(qtbot):
    dialog = OpenCaseDialog((), None, None)
    qtbot.addWidget(dialog)
    dialog.ask()
    assert "Choose a case first" in dialog.refusal.text() and dialog.found.text() == "0 of 0 cases"


def test_a_refusal_is_shown_and_another_case_may_be_tried(dialog):
    asked = []
    dialog.open_asked.connect(asked.append)
    for name in ("c3", "c1"):
        dialog.table.setCurrentCell(ids(dialog).index(name), 0)
        dialog.ask()
        dialog.show_message(Message(Severity.ERROR, "the folder of the case is gone"))
        assert dialog.refusal.text() == "The folder of the case is gone" and dialog.isVisible()
    assert asked == ["c3", "c1"]


def test_a_case_that_is_not_finished_is_said_to_be_kept(dialog):
    texts = [item.text() for item in dialog.findChildren(QLabel)]
    assert any("c4" in text and "not finished" in text for text in texts)
