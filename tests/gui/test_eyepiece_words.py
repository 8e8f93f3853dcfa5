"""Words in the eyepiece: each can be switched off, but never that no marks are shown, nor a score's doubts."""

from __future__ import annotations

import dataclasses
import itertools

import factories
import pytest
from gui.fake_engine import CUTS

from her2scope.domain.cells import CellRule
from her2scope.domain.corrections import RuleInForce
from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.pipeline.live import Mode
from her2scope.settings.eyepiece import EyepieceView
from her2scope.ui.eyepiece_words import MOST_LETTERS, eyepiece_lines

CASE = factories.case_view([factories.equivocal_field()])
ALL = EyepieceView()
WORDS = ("score", "control", "mode", "camera")


def said(view=ALL, case=CASE, mode=Mode.READING, expected="", why_off="", blind=False) -> list[str]:
    return [line.text for line in eyepiece_lines(view, case, mode, expected, why_off, blind=blind)]


def test_all_lines():
    score, control, mode, camera = said()
    assert score.startswith("2+  equivocal") and control == "✓ Control valid"
    assert mode == "READING" and "live" in camera


@pytest.mark.parametrize("shown", list(itertools.product([True, False], repeat=4)))
def test_each_line_can_be_switched_off(shown):
    view = dataclasses.replace(ALL, **dict(zip(WORDS, shown, strict=True)))
    whole = said()
    assert said(view) == [text for text, on in zip(whole, shown, strict=True) if on]


def test_that_no_marks_are_shown_is_always_said():
    silent = dataclasses.replace(ALL, **dict.fromkeys(WORDS, False))
    assert said(silent) == []
    assert said(silent, why_off="camera lost") == ["! No marks: camera lost"]
    assert "live" not in " ".join(said(why_off="camera lost"))


def test_own_score_first_hides_the_score():
    text = " ".join(said(blind=True))
    assert "2+" not in text and "Own score first" in text


def test_a_control_that_is_read_is_named():
    assert "CONTROL 3+" in said(mode=Mode.CONTROL, expected="3+")


@pytest.mark.parametrize(
    ("standing", "word"),
    [
        (ControlStanding(), "No control"),
        (ControlStanding(ControlStatus.INVALID), "Control invalid: not reportable"),
        (ControlStanding(ControlStatus.INVALID, overridden=True), "Control invalid, overridden"),
        (ControlStanding(ControlStatus.WARNING), "Control warning"),
        (ControlStanding(ControlStatus.VALID, refusals=("another camera state",)), "Control does not hold here"),
    ],
)
def test_the_control_and_its_doubts(standing, word):
    case = factories.case_view([factories.equivocal_field()], standing=standing)
    lines = eyepiece_lines(ALL, case, Mode.READING, "", "", blind=False)
    assert word in lines[1].text and lines[1].role in ("warning", "bad")
    if not case.score.reportable:
        assert "not reportable" in lines[0].text and lines[0].role == "bad"


def test_moved_cuts_stand_beside_the_score():
    moved = RuleInForce(CUTS, CellRule(), dataclasses.replace(CUTS, intense_od10=0.9), CellRule())
    assert "moved cuts" in said(case=dataclasses.replace(CASE, rule=moved))[0]


def test_without_a_case_there_is_no_score():
    assert said(case=None)[:2] == ["No score yet", "Control not read"]
    assert said(case=factories.case_view([]))[0] == "No score yet"


def test_a_long_reason_is_shortened():
    text = said(why_off="eyepiece calibrated for another display size (1280 x 720, now 1920 x 1080)")[-1]
    assert len(text) == MOST_LETTERS and text.endswith("…")
