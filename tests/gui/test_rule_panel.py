from __future__ import annotations

import dataclasses

import factories
import pytest
from gui.fake_engine import CUTS
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QStyle, QStyleOptionSlider

from her2scope.domain.cells import CellRule
from her2scope.domain.corrections import RuleChange, RuleInForce
from her2scope.ui.rule_panel import CutSlider, RulePanel

Key = Qt.Key


NO_CHANGE = RuleChange()


def view(change: RuleChange = NO_CHANGE, *, is_preview: bool = False, **more):
    rule = RuleInForce(change.cuts(CUTS), change.rule(CellRule()), CUTS, CellRule(), change, is_preview)
    made = factories.case_view([factories.equivocal_field()], **{"finished_utc": None, **more})
    return dataclasses.replace(made, rule=rule)


@pytest.fixture
def panel(qtbot) -> RulePanel:
    made = RulePanel()
    qtbot.addWidget(made)
    made.resize(372, 230)
    made.show()
    made.show_case(view(), None)
    return made


@pytest.fixture
def asked(panel: RulePanel) -> list[tuple[str, RuleChange]]:
    told: list[tuple[str, RuleChange]] = []
    panel.preview_asked.connect(lambda change: told.append(("preview", change)))
    panel.change_asked.connect(lambda change: told.append(("change", change)))
    return told


def handle(slider: CutSlider) -> QPoint:
    option = QStyleOptionSlider()
    slider.initStyleOption(option)
    style = slider.style()
    return style.subControlRect(
        QStyle.ComplexControl.CC_Slider, option, QStyle.SubControl.SC_SliderHandle, slider
    ).center()


def test_sliders_show_what_is_in_force(panel):
    assert {name: slider.value() for name, slider in panel.sliders.items()} == {
        "stained_od10": 15, "moderate_od10": 31, "intense_od10": 62, "complete_share": 90
    }  # fmt: skip
    assert (
        panel.values["intense_od10"].text() == "0.62"
        and panel.values["complete_share"].text() == "90\N{NO-BREAK SPACE}%"
    )


def test_dragging_previews_and_letting_go_changes(panel, asked):
    slider = panel.sliders["intense_od10"]
    start = handle(slider)
    QTest.mousePress(slider, Qt.MouseButton.LeftButton, pos=start)
    for step in (4, 8, 12):
        QTest.mouseMove(slider, start + QPoint(step, 0))
    assert asked and {kind for kind, _ in asked} == {"preview"}
    dragged = asked[-1][1]
    assert dragged.intense_od10 > 0.62 and dragged == RuleChange(intense_od10=dragged.intense_od10)
    QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=start + QPoint(12, 0))
    assert asked[-1] == ("change", dragged) and [kind for kind, _ in asked].count("change") == 1


def test_a_key_previews_and_its_release_changes(panel, asked):
    slider = panel.sliders["complete_share"]
    QTest.keyPress(slider, Key.Key_Left)
    QTest.keyPress(slider, Key.Key_PageDown)
    assert asked == [("preview", RuleChange(complete_share=0.89)), ("preview", RuleChange(complete_share=0.84))]
    QTest.keyRelease(slider, Key.Key_PageDown)
    assert asked[-1] == ("change", RuleChange(complete_share=0.84)) and len(asked) == 3
    assert panel.values["complete_share"].text().startswith("84")


def test_moved_away_and_back_is_no_deviation(panel, asked):
    slider = panel.sliders["moderate_od10"]
    QTest.keyPress(slider, Key.Key_Right)
    QTest.keyPress(slider, Key.Key_Left)
    QTest.keyRelease(slider, Key.Key_Left)
    assert asked[-1] == ("change", RuleChange()) and not asked[-1][1]


def test_cuts_stop_at_their_neighbours(panel, asked):
    QTest.keyClick(panel.sliders["moderate_od10"], Key.Key_End)
    assert asked[-1][1].moderate_od10 == 0.62
    QTest.keyClick(panel.sliders["moderate_od10"], Key.Key_Home)
    assert asked[-1][1].moderate_od10 == 0.15
    for _, change in asked:
        assert change.cuts(CUTS)  # none that the case would refuse


def test_a_stored_cut_between_two_steps_stays_exactly_as_it_is(panel, asked):
    base = dataclasses.replace(CUTS, intense_od10=0.6234)
    rule = RuleInForce(base, CellRule(), base, CellRule())
    panel.show_case(dataclasses.replace(view(), rule=rule), None)
    QTest.keyClick(panel.sliders["complete_share"], Key.Key_Right)
    assert asked[-1] == ("change", RuleChange(complete_share=0.91))


def test_a_slider_in_the_readers_hand_is_not_moved_by_the_case(panel):
    slider = panel.sliders["intense_od10"]
    QTest.keyPress(slider, Key.Key_Right)
    panel.show_case(view(), None)
    assert slider.value() == 63
    QTest.keyRelease(slider, Key.Key_Right)
    panel.show_case(view(), None)
    assert slider.value() == 62


def test_effect_stands_beside_the_stored_result_and_reset_takes_it_back(panel, asked):
    assert not panel.reset.isEnabled() and "As stored" in panel.effect.text()
    moved = view(RuleChange(intense_od10=0.4))
    stored = dataclasses.replace(moved.score, score="1+", score_probability={"1+": 0.81})
    panel.show_case(moved, stored)
    assert panel.effect.text().startswith("With moved cuts 2+") and "as stored 1+ (0.81)" in panel.effect.text()
    assert panel.values["intense_od10"].text() == "0.40 (0.62)"
    panel.reset.click()
    assert asked == [("change", RuleChange())]


def test_effect_is_hidden_while_the_own_score_comes_first(panel):
    moved = view(RuleChange(intense_od10=0.4))
    panel.show_case(moved, moved.score, hidden=True)
    assert "2+" not in panel.effect.text() and "Own score first" in panel.effect.text()


def test_what_cannot_be_moved_is_greyed_with_its_reason(panel):
    panel.show_case(view(), None, {"stained_od10": "field 3 has no profiles"})
    assert not panel.sliders["stained_od10"].isEnabled() and panel.sliders["intense_od10"].isEnabled()
    assert panel.why_not.text() == panel.sliders["stained_od10"].toolTip() == "field 3 has no profiles"
    panel.show_case(view(RuleChange(intense_od10=0.4), finished_utc="2025-03-04T09:31:40.000+00:00"), None)
    assert not any(slider.isEnabled() for slider in panel.sliders.values()) and not panel.reset.isEnabled()
