"""The window with the history of controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from control_series import baseline, entry, series
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from her2scope.domain.control_history import ControlEntry
from her2scope.ui.levey_jennings import COLUMNS, ControlHistoryDialog

HISTORY = (
    *baseline(),
    *baseline(level="1+"),
    *series([2.5]),
    entry(30, lot="L2"),
    entry(31, lot="L2", instrument="b 9"),
)


@pytest.fixture
def open_dialog(qtbot) -> Callable[..., ControlHistoryDialog]:
    def make(entries: Sequence[ControlEntry] = HISTORY, problems: Sequence[str] = ()) -> ControlHistoryDialog:
        dialog = ControlHistoryDialog(entries, problems)
        qtbot.addWidget(dialog)
        dialog.show()
        dialog.activateWindow()
        qtbot.waitUntil(lambda: dialog.charts.is_current and QApplication.activeWindow() is dialog)
        return dialog

    return make


def cells(dialog: ControlHistoryDialog, column: str) -> list[str]:
    place = COLUMNS.index(column)
    items = [dialog.table.item(row, place) for row in range(dialog.table.rowCount())]
    return [item.text() for item in items if item is not None]


def choose(box, name: str) -> None:
    """Choose by keys, as a person does."""
    box.setFocus()
    while box.currentText() != name:
        before = box.currentIndex()
        QTest.keyClick(box, Qt.Key.Key_Down)
        assert box.currentIndex() > before, f"{name} is not offered"


def test_it_opens_on_the_newest_reading(open_dialog):
    dialog = open_dialog()
    chosen = [box.currentText() for box in (dialog.lot, dialog.instrument, dialog.method)]
    assert chosen == ["L2", "b 9", "network 3fa2b1"]
    assert cells(dialog, "Run") == ["run 031"] and dialog.summary.text() == "1 reading, newest first"
    assert QApplication.focusWidget() is dialog.lot


def test_keys_choose_lot_and_instrument(open_dialog):
    dialog = open_dialog()
    choose(dialog.instrument, "bench 2")
    assert cells(dialog, "Run") == ["run 030"]
    choose(dialog.lot, "L1")
    assert dialog.table.rowCount() == 41
    assert cells(dialog, "Run")[0] == "run 020" and cells(dialog, "SD from mean")[0] == "+2.5"
    assert cells(dialog, "Verdict")[:2] == ["! warning", "\N{CHECK MARK} valid"], "as the chart marks the run"
    assert cells(dialog, "Rules")[0] == "1-2s" and cells(dialog, "od10")[0] == "0.770"
    item = dialog.table.item(0, 0)
    assert item is not None and "watch the next run" in item.toolTip()


def test_the_picture_follows_the_choice_and_the_size(open_dialog, qtbot):
    dialog = open_dialog()
    before = dialog.charts.grab().toImage()
    choose(dialog.lot, "L1")
    after = dialog.charts.grab().toImage()
    assert after != before
    dialog.resize(800, 700)
    qtbot.waitUntil(lambda: dialog.charts.is_current and dialog.charts.width() < before.width())
    dialog.charts.redraw()
    assert dialog.charts.grab().toImage().size() == dialog.charts.size()


def test_a_screen_reader_hears_the_charts(open_dialog):
    dialog = open_dialog()
    choose(dialog.lot, "L1")
    said = dialog.charts.accessibleDescription()
    assert "3+ control, 21 runs, mean 0.60 od10" in said and "latest 0.77 od10, +2.5 SD, 1-2s" in said
    names = [
        box.accessibleName() for box in (dialog.lot, dialog.instrument, dialog.method, dialog.table, dialog.charts)
    ]
    assert names == ["Lot", "Instrument", "Method", "Control readings", "Levey-Jennings charts"]


def test_tab_goes_round_and_escape_closes(open_dialog):
    dialog = open_dialog()
    visited = []
    for _ in range(5):
        visited.append(QApplication.focusWidget())
        QTest.keyClick(visited[-1], Qt.Key.Key_Tab)
    assert visited[:4] == [dialog.lot, dialog.instrument, dialog.method, dialog.table]
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()


def test_readings_without_a_lot_are_listed_without_a_chart(open_dialog):
    dialog = open_dialog([entry(0), entry(1, lot="", intensity_od10=0.0, codes=("blurred", "too_few"))])
    assert dialog.lot.currentText() == "(not named)"
    assert cells(dialog, "Remarks") == ["blurred, too_few, no lot or run given"] and cells(dialog, "od10") == ["-"]
    assert dialog.charts.accessibleDescription() == "No chart"


def test_an_empty_history_says_so(open_dialog):
    dialog = open_dialog([])
    assert dialog.table.rowCount() == 0 and dialog.summary.text() == "No control was read so far."
    assert not dialog.problems.isVisible()


def test_a_new_reading_leaves_the_choice(open_dialog):
    dialog = open_dialog()
    choose(dialog.lot, "L1")
    dialog.show_entries([*HISTORY, entry(40)], ["The last line was not finished."])
    assert dialog.lot.currentText() == "L1" and cells(dialog, "Run")[0] == "run 040"
    assert dialog.problems.isVisible() and "not finished" in dialog.problems.text()
