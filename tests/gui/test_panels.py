from __future__ import annotations

import dataclasses

import factories
import pytest
from gui.fake_engine import FADED
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QFontMetrics
from PyQt6.QtTest import QTest

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.control import ControlCode, CutsFrom
from her2scope.domain.control_material import ControlMaterials
from her2scope.domain.corrections import CellStanding, Correction
from her2scope.domain.guideline import Ish
from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.overlays.palette import SAFE
from her2scope.records import ReaderScore
from her2scope.ui.case_panel import CasePanel
from her2scope.ui.control_panel import ControlPanel
from her2scope.ui.curve_plot import CurvePlot
from her2scope.ui.fields_list import detail_in
from her2scope.ui.share_chart import ShareChart
from her2scope.ui.theme import SMALL_PX, THEME, font


@pytest.fixture
def case_panel(qtbot) -> CasePanel:
    panel = CasePanel(SAFE)
    qtbot.addWidget(panel)
    panel.resize(360, 580)
    panel.show()
    return panel


@pytest.fixture
def control_panel(qtbot) -> ControlPanel:
    panel = ControlPanel(ControlMaterials().controls[0])
    qtbot.addWidget(panel)
    panel.resize(360, 580)
    panel.show()
    return panel


def open_case(*args, **more):
    return factories.case_view(*args, finished_utc=None, **more)


# ---- case ---------------------------------------------------------------------------------------------------------


def test_case_shows_score_category_and_why_it_is_not_reportable(case_panel):
    case_panel.show_case(open_case([factories.equivocal_field()], ()))
    assert case_panel.head.score.text() == "2+"
    assert case_panel.head.category.text() == "Reference score: equivocal"
    assert case_panel.head.heading.text() == "Case S25-01234 A1"
    assert "Not reportable" in case_panel.head.reportable.text()
    assert "No control of this run was read" in case_panel.reasons.text
    assert "Reflex ISH" in case_panel.reasons.text
    assert case_panel.cells.text().startswith("120 tumour cells in 1 field")


def test_case_without_fields_invites_to_add_one(case_panel):
    case_panel.show_case(open_case())
    assert case_panel.head.score.text() == "\N{EN DASH}"
    assert "Space" in case_panel.cells.text()
    assert case_panel.reasons.isHidden()


def test_too_few_cells_are_an_answer_of_their_own(case_panel):
    case_panel.show_case(open_case([factories.counted_field({CellClass.NONE: 30})]))
    assert case_panel.head.score.text() == "\N{EN DASH}"
    assert "Insufficient: 30 of at least 100 tumour cells" in case_panel.reasons.text
    assert case_panel.chart.shares_percent[CellClass.NONE] == 100.0


def test_override_stands_among_the_reasons(case_panel):
    standing = ControlStanding(ControlStatus.INVALID, overridden=True)
    view = open_case([factories.equivocal_field()], standing=standing, override_reason="second slide is valid")
    case_panel.show_case(view)
    assert "Override: second slide is valid" in case_panel.reasons.text


def test_newest_field_is_selected_and_delete_twice_brings_it_back(case_panel):
    asked = []
    case_panel.remove_asked.connect(lambda number: asked.append(("remove", number)))
    case_panel.restore_asked.connect(lambda number: asked.append(("restore", number)))
    fields = [factories.accepted(factories.equivocal_field(), n) for n in (1, 2, 3)]
    case_panel.show_case(open_case(fields))
    assert case_panel.remove.text() == "Remove"
    case_panel.toggle_field()
    fields[2] = dataclasses.replace(fields[2], active=False)
    case_panel.show_case(open_case(fields))
    assert case_panel.remove.text() == "Restore"
    case_panel.toggle_field()
    assert asked == [("remove", 3), ("restore", 3)]


def test_restore_finds_the_last_removed_field(case_panel):
    asked = []
    case_panel.restore_asked.connect(asked.append)
    fields = [factories.accepted(factories.equivocal_field(), n, active=n != 2) for n in (1, 2, 3)]
    case_panel.show_case(open_case(fields))
    case_panel.restore_field()
    assert asked == [2]


def test_selection_stays_when_the_case_changes(case_panel):
    fields = [factories.accepted(factories.equivocal_field(), n) for n in (1, 2, 3)]
    case_panel.show_case(open_case(fields))
    case_panel.fields.select_by(-2)
    fields[0] = dataclasses.replace(fields[0], active=False)
    case_panel.show_case(open_case(fields))
    assert case_panel.fields.selected_field() is fields[0]


def test_removed_field_is_named_so(case_panel):
    case_panel.show_case(open_case([factories.accepted(factories.equivocal_field(), 1, active=False)]))
    item = case_panel.fields.item(0)
    assert "removed" in item.data(Qt.ItemDataRole.AccessibleTextRole)
    assert "puts it back" in item.toolTip()


def test_own_score_and_ish_are_handed_over_together(case_panel):
    scores, results = [], []
    case_panel.own.score_entered.connect(scores.append)
    case_panel.own.ish_entered.connect(results.append)
    case_panel.show_case(open_case([factories.equivocal_field()]))
    assert not case_panel.own.enter.isEnabled()
    case_panel.own.score.setCurrentText("1+")
    case_panel.own.remark.setText("  basal staining ")
    case_panel.own.ish.setCurrentText("negative")
    case_panel.own.enter.click()
    assert scores == [ReaderScore("1+", "basal staining")]
    assert results == [Ish.NEGATIVE]


def test_indeterminate_and_no_ish(case_panel):
    scores, results = [], []
    case_panel.own.score_entered.connect(scores.append)
    case_panel.own.ish_entered.connect(results.append)
    case_panel.show_case(open_case([factories.equivocal_field()], ish=Ish.POSITIVE))
    case_panel.own.score.setCurrentText("indeterminate")
    case_panel.own.ish.setCurrentText("not entered")
    QTest.keyClick(case_panel.own.remark, Qt.Key.Key_Return)
    assert scores == results == [] and "say why" in case_panel.own.hint.text()
    case_panel.own.remark.setText("crushed tissue")
    QTest.keyClick(case_panel.own.remark, Qt.Key.Key_Return)
    assert scores == [ReaderScore(None, "crushed tissue")]
    assert results == [None]


def test_what_was_entered_is_shown_and_not_entered_twice(case_panel):
    scores = []
    case_panel.own.score_entered.connect(scores.append)
    view = open_case([factories.equivocal_field()], reader_score=ReaderScore("2+", "sure"), ish=Ish.NEGATIVE)
    case_panel.show_case(view)
    assert case_panel.own.score.currentText() == "2+"
    assert case_panel.own.remark.text() == "sure"
    assert case_panel.own.ish.currentText() == "negative"
    case_panel.own.enter_scores()
    assert scores == []


def test_half_written_remark_survives_a_new_field(case_panel):
    case_panel.show_case(open_case([factories.equivocal_field()]))
    case_panel.own.remark.setText("uneven stain")
    case_panel.own.score.setCurrentText("2+")
    case_panel.show_case(open_case([factories.equivocal_field(), factories.equivocal_field()]))
    assert case_panel.own.remark.text() == "uneven stain"
    assert case_panel.own.score.currentText() == "2+"


def test_finished_case_takes_no_more_changes(case_panel, qtbot):
    view = factories.case_view([factories.equivocal_field()])
    for shown in (view, factories.signed(view), factories.signed(view, "wrong block")):
        case_panel.show_case(shown)
        case_panel.own.score.setCurrentText("3+")
        assert not (case_panel.remove.isEnabled() or case_panel.own.enter.isEnabled())
    assert case_panel.finish.text() == "Signed" and not case_panel.finish.isEnabled()


def test_the_next_step_of_a_case_in_review_is_its_signature(case_panel, qtbot):
    asked = []
    case_panel.finish_asked.connect(lambda: asked.append("finish"))
    case_panel.sign_asked.connect(lambda: asked.append("sign"))
    for view in (open_case([factories.equivocal_field()]), factories.case_view([factories.equivocal_field()])):
        case_panel.show_case(view)
        case_panel.finish.click()
    assert asked == ["finish", "sign"]


def test_head_says_who_signed_and_what_is_amended(case_panel):
    head, view = case_panel.head, factories.case_view([factories.equivocal_field()])
    case_panel.show_case(open_case([factories.equivocal_field()]))
    assert head.state.isHidden(), "while it is read for the first time, nothing needs to be said"
    for shown, part, role in (
        (view, "In review, not signed yet", "warning"),
        (factories.signed(view), "Signed by Dr. B. Signer, 2025-03-04 10:15 UTC", "good"),
        (factories.signed(view, "wrong block"), "Amended: version 2, signed by Dr. B. Signer, 2025-03-05", "good"),
    ):
        case_panel.show_case(shown)
        assert part in head.state.text() and not head.state.isHidden() and head.state.property("role") == role


# ---- control ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "colour", "word"),
    [
        (ControlStatus.VALID, THEME.good, "VALID"),
        (ControlStatus.WARNING, THEME.warning, "WARNING"),
        (ControlStatus.INVALID, THEME.bad, "INVALID"),
    ],
)
def test_verdict_is_a_word_a_symbol_and_a_colour(control_panel, status, colour, word):
    reasons = () if status is ControlStatus.VALID else FADED
    control_panel.show_case(open_case((), [factories.control_reading(status, reasons)], ControlStanding(status)))
    assert control_panel.badge.text().split() == [control_panel.badge.text().split()[0], word]
    assert len(control_panel.badge.text().split()[0]) == 1
    picture = control_panel.badge.grab().toImage()
    drawn = {QColor(picture.pixel(x, y)).name() for x in range(picture.width()) for y in range(picture.height())}
    assert QColor(colour).name() in drawn
    assert all(reason in control_panel.reasons.text.replace("\N{NO-BREAK SPACE}", " ") for reason in reasons)


def test_cuts_that_no_report_can_rest_on_are_told_where_they_are_used(control_panel):
    reading, standing = factories.control_reading(ControlStatus.INVALID, FADED), ControlStanding(ControlStatus.INVALID)
    for cuts_from, is_told in ((CutsFrom.SETTINGS, False), (CutsFrom.RUN, True)):
        control_panel.show_case(open_case((), [reading], standing, cuts_from=cuts_from))
        assert (
            "the control's all the same" in control_panel.reasons.text.replace("\N{NO-BREAK SPACE}", " ")
        ) is is_told


def test_control_that_was_not_read_says_what_to_do(control_panel):
    control_panel.show_case(open_case((), ()))
    assert "NOT READ" in control_panel.badge.text()
    assert "3+ control" in control_panel.summary.text()
    assert control_panel.picture.isHidden()


def test_override_is_offered_for_an_invalid_control_only_and_needs_a_reason(control_panel):
    asked = []
    control_panel.override_asked.connect(asked.append)
    control_panel.reason.setText("why not")
    control_panel.ask_override()
    reading = factories.control_reading(ControlStatus.INVALID, FADED, (ControlCode.FADED,))
    control_panel.show_case(open_case((), [reading], ControlStanding(ControlStatus.INVALID)))
    assert not control_panel.override_row.isHidden()
    control_panel.reason.setText("   ")
    control_panel.ask_override()
    assert asked == []
    assert not control_panel.override.isEnabled()
    control_panel.reason.setText("the second slide of the run is valid")
    control_panel.override.click()
    assert asked == ["the second slide of the run is valid"]
    overridden = ControlStanding(ControlStatus.INVALID, overridden=True)
    control_panel.show_case(open_case((), [reading], overridden, override_reason=asked[0]))
    assert control_panel.override_row.isHidden()
    assert asked[0] in control_panel.overridden.text()
    assert control_panel.open_ends.isHidden(), "an overridden control does not say that nothing is reportable"


def test_every_reading_stays_listed(control_panel):
    readings = [
        factories.control_reading(ControlStatus.INVALID, FADED, number=1),
        factories.control_reading(ControlStatus.WARNING, FADED, number=2),
        factories.control_reading(ControlStatus.VALID, expected="1+", read="1+", number=3),
    ]
    control_panel.show_case(open_case((), readings))
    assert [line.split()[0::3] for line in control_panel.levels.text().splitlines()[1:]] == [
        ["1.", "invalid"],
        ["2.", "warning"],
        ["3.", "valid"],
    ]


def test_reading_asks_with_level_lot_and_run(control_panel):
    asked = []
    control_panel.read_asked.connect(lambda *given: asked.append(given))
    control_panel.expect("1+")
    control_panel.lot.setText(" B-7 ")
    control_panel.read.click()
    control_panel.run.setText(" Monday 2 ")
    control_panel.read.click()
    assert asked == [("1+", "B-7", ""), ("1+", "B-7", "Monday 2")]


def test_the_panel_leads_from_level_to_level(control_panel):
    readings = []
    control_panel.show_case(open_case((), ()))
    assert "level 1 of 4: show the 3+ control" in control_panel.next_step.text()
    for level, following, open_ends in (("3+", "0", 3), ("0", "1+", 2), ("1+", "2+", 0)):
        assert control_panel.expected.currentText() == level
        readings.append(factories.control_reading(expected=level, read=level, number=len(readings) + 1))
        control_panel.show_case(open_case((), readings))
        assert control_panel.expected.currentText() == following and control_panel.moved_on
        assert control_panel.open_ends.text().count("\N{BULLET}") == open_ends
    readings.append(factories.control_reading(expected="2+", read="2+", number=4))
    control_panel.show_case(open_case((), readings))
    assert "Every level is read" in control_panel.next_step.text()
    assert control_panel.expected.currentText() == "2+" and control_panel.open_ends.isHidden()


def test_an_invalid_reading_does_not_advance(control_panel):
    control_panel.show_case(open_case((), ()))
    bad = factories.control_reading(ControlStatus.INVALID, FADED, (ControlCode.FADED,))
    control_panel.show_case(open_case((), [bad], ControlStanding(ControlStatus.INVALID)))
    assert control_panel.expected.currentText() == "3+" and not control_panel.moved_on
    assert control_panel.next_step.text().startswith("Again, level 1 of 4: show the 3+ control")
    assert "nothing is reportable" in control_panel.open_ends.text()


def test_an_invalid_reading_out_of_turn_leaves_the_readers_level(control_panel):
    control_panel.show_case(open_case((), ()))
    control_panel.expect("2+")
    bad = factories.control_reading(ControlStatus.INVALID, FADED, (ControlCode.FADED,), expected="2+", number=2)
    control_panel.show_case(open_case((), [factories.control_reading(), bad]))
    assert control_panel.expected.currentText() == "2+"


def test_the_readers_own_choice_stays_while_nothing_is_read(control_panel):
    control_panel.show_case(open_case((), [factories.control_reading()]))
    control_panel.expect("2+")
    control_panel.show_case(open_case([factories.equivocal_field()], [factories.control_reading()]))
    assert control_panel.expected.currentText() == "2+"


def test_a_new_case_begins_with_the_anchor_again(control_panel):
    control_panel.show_case(open_case((), [factories.control_reading()]))
    assert control_panel.expected.currentText() == "0"
    control_panel.show_case(open_case((), (), case_id="S25-01235 A1"))
    assert control_panel.expected.currentText() == "3+" and not control_panel.moved_on


# ---- plots --------------------------------------------------------------------------------------------------------


def bar_lengths(chart: ShareChart) -> dict[CellClass, int]:
    picture = chart.grab().toImage()
    lengths = {}
    for name, colour in SAFE.classes.items():
        rows = [
            sum(QColor(picture.pixel(x, y)).getRgb()[:3] == colour for x in range(140, picture.width()))
            for y in range(picture.height())
        ]
        lengths[name] = max(rows)
    return lengths


def test_bars_are_as_long_as_the_shares(qtbot):
    chart = ShareChart(SAFE)
    qtbot.addWidget(chart)
    chart.resize(360, chart.sizeHint().height())
    shares = dict(zip(reversed(CellClass), (50.0, 25.0, 12.5, 12.5, 0.0), strict=True))
    chart.show_shares(shares, None)
    lengths = bar_lengths(chart)
    full = lengths[CellClass.COMPLETE_INTENSE] * 2
    # The dashed line of the guideline's cut takes a pixel from a bar.
    assert all(lengths[name] == pytest.approx(full * share / 100, abs=3) for name, share in shares.items())


def test_whiskers_span_the_interval(qtbot):
    chart = ShareChart(SAFE)
    qtbot.addWidget(chart)
    chart.resize(360, chart.sizeHint().height())
    shares = dict.fromkeys(CellClass, 20.0)
    chart.show_shares(shares, None)
    plain = chart.grab().toImage()
    chart.show_shares(shares, {CellClass.COMPLETE_INTENSE: (10.0, 60.0)})
    whisker = chart.grab().toImage()
    moved = [x for x in range(360) for y in range(21) if plain.pixel(x, y) != whisker.pixel(x, y)]
    scale = (min(moved), max(moved))
    assert scale[1] - scale[0] > 0.4 * (360 - scale[0]) * 0.5
    assert "95 % interval 10.0 to 60.0 %" in chart.toolTip()


def test_curve_of_field_and_control_differ_in_shape_and_colour(qtbot):
    plot = CurvePlot()
    qtbot.addWidget(plot)
    plot.resize(360, plot.sizeHint().height())

    def colours() -> set[str]:
        picture = plot.grab().toImage()
        return {QColor(picture.pixel(x, y)).name() for x in range(60, 330) for y in range(30, plot.height() - 22)}

    assert not {THEME.accent, THEME.warning} & colours()
    plot.show_field((0.9, 0.8, 0.6, 0.4, 0.2, 0.1, 0.05, 0.0))
    assert THEME.accent in colours()
    plot.show_control((0.5,) * 8)
    assert {THEME.accent, THEME.warning} <= colours()
    plot.show_field(())
    assert THEME.accent not in colours()


def test_the_second_line_of_a_field_is_never_cut_off(qtbot):
    cells = [factories.cell(CellClass.NONE, 40.0 * n, 40.0) for n in range(1, 161)]
    standings = [CellStanding.SEEN_BEFORE if n < 79 else CellStanding.COUNTED for n in range(160)]
    words = [Correction.NONE if n in (100, 101) else None for n in range(160)]
    field = dataclasses.replace(
        factories.accepted(factories.field_result(cells), 1),
        counted=tuple(it is CellStanding.COUNTED for it in standings),
        counts=CellCounts(none=81),
        standings=tuple(standings),
        corrections=tuple(words),
        swept=True,
    )
    metrics = QFontMetrics(font(SMALL_PX))
    panel_px, beside_px = 372 - 2 * 10 - 12, 68 + 16 + 8  # of the column, its margins and scroll bar; of the thumbnail
    assert detail_in(metrics, field, 900) == "81 tumour cells, 79 counted before, 2 corrected, swept"
    assert detail_in(metrics, field, panel_px - beside_px) == "81 cells, 79 before, 2 corrected, swept"
    assert detail_in(metrics, field, 120).endswith("\N{HORIZONTAL ELLIPSIS}")
