"""The own score beside the computed one, or before it."""

from __future__ import annotations

import dataclasses

import factories
import pytest

from her2scope.domain.cells import CellRule
from her2scope.domain.corrections import RuleChange, RuleInForce
from her2scope.domain.guideline import Ish
from her2scope.overlays.palette import SAFE
from her2scope.records import CaseView, ReaderScore
from her2scope.ui.case_panel import CasePanel
from her2scope.ui.fields_list import STYLE_ROLE
from her2scope.ui.words import HIDDEN_SCORE

DOUBTFUL = {"0": 0.0, "1+": 0.254, "2+": 0.742, "3+": 0.004}


@pytest.fixture
def panel(qtbot) -> CasePanel:
    made = CasePanel(SAFE)
    qtbot.addWidget(made)
    made.resize(372, 600)
    made.show()
    return made


@pytest.fixture
def scores(panel: CasePanel) -> list[ReaderScore]:
    told: list[ReaderScore] = []
    panel.own.score_entered.connect(told.append)
    return told


def case(n_fields: int = 1, **more) -> CaseView:
    """A case that scores 2+."""
    return factories.case_view([factories.equivocal_field()] * n_fields, **{"finished_utc": None, **more})


def shown_words(panel: CasePanel) -> str:
    head = panel.head
    words = [head.score.text(), head.category.text(), head.reportable.text(), head.sentence.text()]
    words += [*head.probability.texts, panel.reasons.text, panel.cells.text(), panel.chart.toolTip()]
    words += [panel.fields.item(row).toolTip() for row in range(panel.fields.count())]
    return "\n".join(words)


def enter(panel: CasePanel, score: str, remark: str = "") -> None:
    panel.own.score.setCurrentText(score)
    panel.own.remark.setText(remark)
    panel.own.enter_scores()


# ---- beside -------------------------------------------------------------------------------------------------------


def test_a_difference_is_asked_for_a_sentence_before_it_is_sent(panel, scores):
    panel.show_case(case())
    enter(panel, "1+")
    assert scores == [] and panel.focusWidget() is panel.own.remark
    assert panel.own.hint.isVisible() and "2+" in panel.own.hint.text()
    enter(panel, "1+", "basal staining only")
    assert scores == [ReaderScore("1+", "basal staining only")] and not panel.own.hint.isVisible()


def test_agreement_needs_no_sentence(panel, scores):
    panel.show_case(case())
    enter(panel, "2+")
    assert scores == [ReaderScore("2+")]


def test_indeterminate_needs_a_reason_even_before_the_score_is_shown(panel, scores):
    panel.set_own_first(True)
    panel.show_case(case())
    enter(panel, "indeterminate")
    assert scores == [] and "say why" in panel.own.hint.text()
    enter(panel, "indeterminate", "crushed")
    assert scores == [ReaderScore(None, "crushed", blind=True)]


def test_ish_goes_with_a_score_that_needs_nothing(panel, scores):
    results = []
    panel.own.ish_entered.connect(results.append)
    panel.show_case(case())
    panel.own.ish.setCurrentText("positive")
    panel.own.enter_scores()
    assert results == [Ish.POSITIVE] and scores == []


# ---- before -------------------------------------------------------------------------------------------------------


def test_nothing_gives_the_score_away_before_the_own_one_is_entered(panel):
    panel.show_case(case(2))
    assert "2+" in shown_words(panel) and "%" in shown_words(panel)
    panel.set_own_first(True)
    text = shown_words(panel)
    assert not [score for score in ("0", "1+", "2+", "3+") if f" {score}" in text.replace("240 tumour", "")]
    assert "%" not in text and "equivocal" not in text and "eportable" not in text and "borderline" not in text
    assert panel.head.sentence.text() == HIDDEN_SCORE and panel.chart.isHidden() and panel.reasons.isHidden()
    assert panel.chart.shares_percent == {} and panel.head.probability.isHidden()
    assert all(panel.fields.item(row).data(STYLE_ROLE) == (True, False, False) for row in range(2))


def test_entered_blind_it_is_shown_and_a_difference_is_then_asked_for(panel, scores):
    panel.set_own_first(True)
    panel.show_case(case())
    enter(panel, "1+")
    assert scores == [ReaderScore("1+", "", blind=True)]
    panel.show_case(case(reader_score=scores[0]))
    assert panel.head.score.text() == "2+" and panel.chart.isVisible() and not panel.hides_score
    assert "2+" in panel.own.missing_remark
    enter(panel, "1+", "basal staining only")
    assert scores[-1] == ReaderScore("1+", "basal staining only", blind=True), "the score itself was entered blind"
    enter(panel, "2+", "convinced")
    assert scores[-1] == ReaderScore("2+", "convinced", blind=False)


def test_what_was_seen_once_cannot_be_entered_blind(panel, scores):
    panel.show_case(case())
    panel.set_own_first(True)
    assert panel.hides_score
    enter(panel, "2+")
    assert scores == [ReaderScore("2+", blind=False)]


def test_the_next_case_is_hidden_again(panel):
    panel.set_own_first(True)
    panel.show_case(case(reader_score=ReaderScore("2+", blind=True)))
    assert not panel.hides_score
    panel.show_case(case(case_id="another"))
    assert panel.hides_score


def test_hiding_is_told_when_it_changes_only(panel, qtbot):
    told = []
    panel.hiding_changed.connect(lambda: told.append(panel.hides_score))
    panel.set_own_first(True)
    panel.show_case(case())
    panel.show_case(case(2))
    panel.show_case(case(2, reader_score=ReaderScore("2+")))
    assert told == [True, False]


def test_a_finished_case_hides_nothing(panel):
    panel.set_own_first(True)
    panel.show_case(case(finished_utc="2025-03-04T09:31:40.000+00:00"))
    assert panel.head.score.text() == "2+"


# ---- head ---------------------------------------------------------------------------------------------------------


def moved(view: CaseView, *, is_preview: bool) -> CaseView:
    change = RuleChange(intense_od10=0.5)
    rule = RuleInForce(change.cuts(view.cuts), CellRule(), view.cuts, CellRule(), change, is_preview)
    return dataclasses.replace(view, rule=rule)


def test_moved_cuts_are_marked_where_the_score_stands(panel):
    panel.show_case(case())
    assert panel.head.deviation.isHidden() and panel.head.reset.isHidden()
    panel.show_case(moved(case(), is_preview=True))
    assert panel.head.deviation.text().startswith("Preview, not recorded: intense cut 0.50 instead of 0.62")
    assert panel.head.score.property("role") == "warning" and panel.head.reset.isHidden()
    view = moved(case(), is_preview=False)
    panel.show_case(view)
    panel.show_stored(dataclasses.replace(view.score, score="1+"))
    assert panel.head.deviation.text().startswith("Cuts moved by the reader: intense cut 0.50 instead of 0.62")
    assert panel.head.deviation.text().endswith("Stored settings:\N{NO-BREAK SPACE}1+") and panel.head.reset.isVisible()
    assert "by the stored settings" in panel.chart.toolTip()
    panel.show_case(case())
    assert panel.head.deviation.isHidden() and "stored settings" not in panel.chart.toolTip()


def test_sentence_and_probabilities_are_those_of_the_score(panel):
    view = case(4)
    panel.show_case(view)
    assert panel.head.sentence.isVisible() and view.score.score in panel.head.sentence.text()
    view = dataclasses.replace(view, score=dataclasses.replace(view.score, score_probability=DOUBTFUL))
    panel.show_case(view)
    assert [text.split() for text in panel.head.probability.texts] == [
        ["0", "<", "0.01"], ["1+", "0.25"], ["2+", "0.74"], ["3+", "<", "0.01"]
    ]  # fmt: skip
