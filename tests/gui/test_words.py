from __future__ import annotations

import dataclasses

import factories
import pytest
from gui.fake_engine import map_view

from her2scope.domain.cells import SHARE_ORDER, CellClass
from her2scope.domain.control_material import ControlLevel, ControlMaterial
from her2scope.domain.corrections import CaseData, CellStanding, Correction
from her2scope.domain.guideline import Category
from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.settings import Calibration, missing_parts
from her2scope.ui.words import (
    CATEGORY_WORDS,
    SHORT_LABELS,
    calibration_text,
    capitalised,
    case_title,
    count_text,
    field_caption,
    field_detail,
    field_score_text,
    field_words,
    island_text,
    next_step_text,
    open_ends_text,
    percent_text,
    reading_text,
    remark_needed,
    reportable_text,
    sentence,
    standing_text,
    verdict_title,
)


@pytest.mark.parametrize(
    ("percent", "text"),
    [(0.0, "0.0 %"), (0.04, "< 0.1 %"), (0.05, "0.1 %"), (9.96, "10.0 %"), (52.25, "52.2 %"), (100.0, "100.0 %")],
)
def test_percent(percent, text):
    assert percent_text(percent) == text


def test_counts_are_grammar():
    assert [count_text(n, "cell", "cells") for n in (0, 1, 2)] == ["0 cells", "1 cell", "2 cells"]


def test_sentences_keep_figures_and_signs_together():
    text = sentence("complete in 6.5 % (<= 10 %), median 0.21 od10")
    assert text.replace("\N{NO-BREAK SPACE}", "_") == "Complete in 6.5_% (≤_10_%), median 0.21_od10"
    assert sentence("") == ""


def test_sentences_name_classes_in_words():
    text = sentence("borderline: the cut lies in the interval of complete_intense + complete_moderate")
    assert text == "Borderline: the cut lies in the interval of complete, intense + complete, weak to moderate"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("field 3 added", "Field 3 added"),
        ("field_3.png: damaged", "field_3.png: damaged"),
        ("3+ control", "3+ control"),
    ],
)
def test_file_names_keep_their_letters(text, shown):
    assert capitalised(text) == shown


def test_field_scores():
    assert field_score_text(factories.equivocal_field()) == "Reference score 2+"
    few = factories.counted_field({CellClass.NONE: 12})
    assert field_score_text(few) == "No score: 12 of at least 20 cells"
    assert field_score_text(factories.unusable_field()) == "Not scored: out of focus: refocus and take it again"


@pytest.mark.parametrize(
    ("standing", "text"),
    [
        (ControlStanding(), "No control: not reportable"),
        (ControlStanding(ControlStatus.INVALID), "Control invalid: not reportable"),
        (ControlStanding(ControlStatus.INVALID, overridden=True), "Control invalid, overridden"),
        (ControlStanding(ControlStatus.VALID, refusals=("another exposure",)), "Control does not hold here"),
        (ControlStanding(ControlStatus.VALID), ""),
        (ControlStanding(ControlStatus.WARNING), ""),
    ],
)
def test_what_the_legend_says_of_the_control(standing, text):
    assert standing_text(standing) == text


def test_field_lines():
    field = factories.accepted(factories.equivocal_field(), 3, seen_before=range(20))
    assert field_caption(field) == "Field 3:  2+"
    assert field_detail(field) == "100 tumour cells, 20 counted before"
    assert field_detail(dataclasses.replace(field, active=False)) == "removed, 100 tumour cells"
    assert field_caption(factories.accepted(factories.counted_field({CellClass.NONE: 2}))) == "Field 1:  no score"
    assert field_caption(field, hot=True) == "Field 3:  2+, hot spot"
    assert field_caption(field, hidden=True) == "Field 3"
    assert field_caption(field, moved=True) == "Field 3:  2+ (moved cuts)"
    assert field_detail(field, short=True) == "100 cells, 20 before"


def test_field_line_says_what_was_corrected_and_swept_and_counts_tumour_cells_only():
    result = factories.counted_field({CellClass.NONE: 3}, n_other=2)
    standings = (CellStanding.SEEN_BEFORE, *[CellStanding.COUNTED] * 2, *[CellStanding.SEEN_BEFORE] * 2)
    field = dataclasses.replace(
        factories.accepted(result, 4, seen_before=[0]), standings=standings, swept=True, annotation="DCIS?",
        corrections=(None, Correction.EXCLUDED, None, None, None),
    )  # fmt: skip
    assert field_detail(field) == "2 tumour cells, 1 counted before, 1 corrected, swept"
    assert field_words(field).endswith("swept: DCIS?")


@pytest.mark.parametrize(
    ("own", "reference", "remark", "needed"),
    [
        ("2+", "2+", "", False),
        ("1+", "2+", "", True),
        ("1+", "2+", " basal ", False),
        ("1+", None, "", False),
        ("indeterminate", None, "  ", True),
        ("indeterminate", "2+", "crushed", False),
        ("not entered", "2+", "", False),
    ],
)
def test_who_needs_a_remark(own, reference, remark, needed):
    assert bool(remark_needed(own, reference, remark)) is needed


def test_case_is_called_as_the_laboratory_calls_it():
    view = factories.case_view()
    assert case_title(view) == "S25-01234 A1"
    named = dataclasses.replace(view, data=CaseData("S25-7", "", "3", "excision", "R-1"))
    assert case_title(named) == "S25-7 \N{MIDDLE DOT} 3 \N{MIDDLE DOT} excision"


def test_islands_are_counted_as_the_reader_meets_them():
    assert island_text(map_view(0, 0), 0) == ""
    assert island_text(map_view(7, 2, 5, lost="jump"), 7) == "Island 3 of 3: tracking lost (jump)"
    assert island_text(map_view(7, 2, 5, 7, lost="jump"), 2) == "Island 1 of 3: not the present one"
    assert island_text(map_view(4, 4), 4, {0}) == "Island 2 of 2", "the case has fields from before the map began anew"


def test_control_lines():
    reading = factories.control_reading(ControlStatus.INVALID, ("faded",), read="1+")
    assert verdict_title(reading.verdict) == "✕  INVALID".replace("✕", "\N{MULTIPLICATION X}")
    assert reading_text(reading) == "3+ control reads 1+; 130 cells; intense cut 0.62 od10"
    negative = dataclasses.replace(reading, expected="0")
    assert reading_text(negative) == "0 control reads 1+; 130 cells", "only the 3+ gives an intense cut"
    measures = dataclasses.replace(reading.measures, read=None, intense_od10=None, n_tumour=1)
    assert reading_text(dataclasses.replace(reading, measures=measures)) == "3+ control reads no score; 1 cell"


def test_reportable():
    fields = [factories.equivocal_field() for _ in range(6)]
    assert reportable_text(factories.case_view()) == ("No score yet", "dim")
    assert reportable_text(factories.case_view(fields, ()))[1] == "bad"
    assert "Not reportable" in reportable_text(factories.case_view(fields, ()))[0]
    invalid = ControlStanding(ControlStatus.INVALID, overridden=True)
    assert reportable_text(factories.case_view(fields, standing=invalid))[1] == "warning"
    clear = factories.case_view([factories.counted_field({CellClass.COMPLETE_INTENSE: 300})] * 6)
    assert not clear.score.borderline
    assert reportable_text(clear)[1] == "good"


def test_next_step_names_level_place_and_what_to_do():
    material = ControlMaterial("slide 4", levels={"3+": ControlLevel("SK-BR-3", "left"), "0": ControlLevel()})
    assert next_step_text(material, "3+") == (
        "Next, level 1 of 2: show the 3+ control (slide 4, SK-BR-3, left) and press Space."
    )
    again = next_step_text(material, "0", failed=True)
    assert again.startswith("Again, level 2 of 2:") and "the negative (0) control (slide 4)" in again
    assert "F3" in next_step_text(material, None)


def test_open_ends_are_named_until_none_is_left():
    assert "nothing is reportable" in open_ends_text(())
    assert open_ends_text(("3+",)).splitlines()[0] == "Not vouched for so far"
    assert "over-staining is not excluded" in open_ends_text(("3+", "1+"))
    assert open_ends_text(("3+", "0", "1+")) == ""


@pytest.mark.parametrize(
    ("age_doubt", "missing", "text"),
    [
        (None, (), ""),
        (None, ("no flat field",), "calibration incomplete"),
        (None, missing_parts(Calibration()), "not calibrated"),
        ("measured long ago", (), "calibration: age in doubt"),
        ("measured long ago", ("no flat field",), "calibration: age in doubt"),
    ],
)
def test_calibration_in_a_word(age_doubt, missing, text):
    assert calibration_text(age_doubt, missing) == text


def test_every_class_and_category_has_words():
    assert set(SHORT_LABELS) == set(SHARE_ORDER)
    assert set(CATEGORY_WORDS) == set(Category)
