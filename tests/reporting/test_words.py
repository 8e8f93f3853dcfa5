"""Words and rounding of a report."""

from __future__ import annotations

import dataclasses

import factories
import pytest

from her2scope.domain.cells import CellClass
from her2scope.domain.guideline import Ish
from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.records import CameraState, ReaderScore
from her2scope.reporting import words


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("reflex ISH", "Reflex ISH."),
        ("3+ control reads 1+", "3+ control reads 1+."),
        ("share of complete_intense + incomplete_faint", "Share of complete intense + incomplete faint."),
        ("complete intense in 5.0 % (<= 10 %)", "Complete intense in 5.0 % (\u2264 10 %)."),
        ("Already one.", "Already one."),
        ("", ""),
    ],
)
def test_reasons_become_sentences(reason: str, expected: str) -> None:
    assert words.sentence(reason) == expected


def test_control_characters_are_no_text() -> None:
    assert words.clean("S25\x00\n\u20280012\ud800 ") == "S25   0012"


def test_figures_are_rounded_alike_everywhere() -> None:
    assert words.percent(12.345) == "12.3 %"
    assert words.percent(None) == words.interval(None) == words.od10(None) == "-"
    assert words.interval((0.0, 3.05)) == "0.0 to 3.0 %"
    assert words.od10(0.617) == "0.62 od10"
    assert (words.count(1, "field"), words.count(0, "field")) == ("1 field", "0 fields")


def test_times_are_to_the_minute_in_utc() -> None:
    assert words.when("2025-03-04T09:31:40.123+00:00") == "2025-03-04 09:31 UTC"
    assert words.when(None) == "-"
    assert words.when("some day") == "some day"


FIELD = factories.equivocal_field()


def test_ish_is_never_assumed() -> None:
    assert words.category_text(factories.case_view([FIELD])) == "Equivocal: reflex ISH"
    assert words.category_text(factories.case_view([FIELD], ish=Ish.NEGATIVE)) == "HER2 low (ISH negative)"
    assert words.category_text(factories.case_view([FIELD], ish=Ish.POSITIVE)) == "HER2 positive (ISH positive)"
    positive = factories.counted_field({CellClass.COMPLETE_INTENSE: 120})
    assert words.category_text(factories.case_view([positive], ish=Ish.NEGATIVE)) == "HER2 positive"


def test_a_case_without_a_score_says_so() -> None:
    view = factories.case_view([factories.counted_field({CellClass.NONE: 30})])
    assert (words.score_text(view), words.category_text(view)) == ("no score", "Insufficient")
    assert words.blocking(view) == ("Insufficient: 30 of at least 100 tumour cells.",)
    assert words.reasons(view) == ()


def test_the_pathologists_score_is_theirs() -> None:
    assert words.reader_text(factories.case_view([FIELD])) == "not entered"
    assert words.reader_text(factories.case_view([FIELD], reader_score=ReaderScore("1+"))) == "1+"
    undecided = factories.case_view([FIELD], reader_score=ReaderScore(None, "crushed tissue"))
    assert (words.reader_text(undecided), words.reader_remark(undecided)) == ("indeterminate", "crushed tissue")


def test_a_reportable_score_has_nothing_against_it() -> None:
    view = factories.case_view([FIELD])
    assert (words.reportable_text(view), words.blocking(view)) == ("Reportable", ())
    assert len(words.reasons(view)) == len(view.score.reasons)


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (ControlStanding(), "No control of this run was read: default cuts, not reportable."),
        (ControlStanding(ControlStatus.INVALID), "The control is invalid."),
        (ControlStanding(ControlStatus.VALID, refusals=("other objective",)), "Other objective."),
    ],
)
def test_what_stands_against_reporting_is_said_once(standing: ControlStanding, expected: str) -> None:
    view = factories.case_view([FIELD], standing=standing)
    assert words.reportable_text(view) == "Not reportable"
    assert words.blocking(view) == (expected,)
    assert expected not in words.reasons(view)
    assert set(words.blocking(view)) | set(words.reasons(view)) == set(map(words.sentence, view.score.reasons))


def test_control_headlines() -> None:
    def headline(standing: ControlStanding) -> str:
        return words.control_headline(factories.case_view([FIELD], standing=standing))

    assert headline(factories.VALID) == "Control valid"
    assert headline(ControlStanding(ControlStatus.WARNING)) == "Control valid with a warning"
    assert headline(ControlStanding(ControlStatus.INVALID, True)) == "Control invalid, overridden by the reader"
    assert (
        headline(ControlStanding(ControlStatus.VALID, refusals=("x",)))
        == "Control valid, but does not hold for this case"
    )
    failed = ControlStanding(ControlStatus.INVALID, refusals=("x",))
    assert headline(failed) == "Control invalid, and does not hold for this case"
    assert words.control_headline(factories.case_view([FIELD], controls=[])) == "No control was read"
    negative = [factories.control_reading(expected="0")]
    assert words.control_headline(factories.case_view([FIELD], negative)) == "No 3+ control was read"


def test_a_level_is_named_once_in_what_is_wrong_with_it() -> None:
    readings = [
        factories.control_reading(ControlStatus.INVALID, texts, expected=level)
        for level, texts in (("3+", ["3+ control reads 2+"]), ("1+", ["1+ control reads 2+", "brown nuclei"]))
    ]
    view = factories.case_view([FIELD], readings)
    assert words.control_doubts(view) == ("3+ control reads 2+", "1+ control reads 2+", "1+ control: brown nuclei")


def test_what_is_left_out_is_told() -> None:
    edge = factories.cell(CellClass.NONE, 2, 2, edge=True)
    fields = [
        factories.accepted(FIELD, 1),
        factories.accepted(factories.equivocal_field(), 2, seen_before=(0, 1)),
        factories.accepted(factories.unusable_field(), 3),
        factories.accepted(factories.field_result([edge]), 4),
        factories.accepted(FIELD, 5, active=False),
    ]
    assert words.not_assessed(factories.case_view(fields)) == (
        "Field 3 (blurred.png) could not be used: out of focus: refocus and take it again.",
        "1 field without a tumour cell to count.",
        "1 accepted field removed by the reader.",
        "1 tumour cell at the images' edges: listed, not counted.",
        "2 tumour cells seen again in a later field: counted once.",
    )


def test_limits_follow_the_method_and_the_calibration() -> None:
    plain = factories.case_view([FIELD])
    assert not any("apparent" in line or "white was estimated" in line for line in words.limits(plain))
    unknown = factories.equivocal_field(
        camera=CameraState("40x", scale_assumed=True), white_estimated=True, program=factories.CLOSED_CONTOURS
    )
    found = " ".join(words.limits(factories.case_view([unknown, FIELD])))
    assert "cannot tell tumour from other cells" in found
    assert "od10 is apparent" in found
    assert "pixel size was not given" in found
    assert "the white was estimated from the picture in field 1." in found


def test_that_no_patient_s_slide_was_read_is_said_first() -> None:
    drawn = dataclasses.replace(FIELD, frame=dataclasses.replace(FIELD.frame, name="phantom 2+, seed 2"))
    view = factories.case_view([drawn])
    assert words.limits(view)[0] == words.DRAWN_NOTE
    assert words.disclaimer(factories.report_content(view)).endswith(words.DRAWN_NOTE)
    of_a_file = dataclasses.replace(FIELD, frame=dataclasses.replace(FIELD.frame, name="phantom 2+, seed 2.png"))
    assert words.DRAWN_NOTE not in words.limits(factories.case_view([of_a_file]))


def test_settings_are_flat_lines() -> None:
    settings = {"cuts": {"intense_od10": 0.5}, "white_rgb": [240.0, 239.5, 241.0], "date": None, "on": True}
    assert list(words.flat(settings)) == [
        ("cuts.intense_od10", "0.5"),
        ("white_rgb", "240, 239.5, 241"),
        ("date", "-"),
        ("on", "True"),
    ]


def test_fields_without_a_tumour_cell_are_no_basis_of_the_score() -> None:
    """The same number of fields as in the sentence of the score."""
    stroma = factories.field_result([factories.cell(None)])
    view = factories.case_view([FIELD, stroma])
    assert "in 1 field," in words.basis(view)
    assert "; 1 field, " in view.score.sentence
    assert "1 field without a tumour cell to count." in words.not_assessed(view)


@pytest.mark.parametrize(
    ("standing", "override", "expected"),
    [
        (ControlStanding(ControlStatus.VALID), None, ControlStatus.VALID),
        (ControlStanding(ControlStatus.WARNING), None, ControlStatus.WARNING),
        (ControlStanding(ControlStatus.INVALID, True), "pale block", ControlStatus.WARNING),
        (ControlStanding(ControlStatus.INVALID), None, ControlStatus.INVALID),
    ],
)
def test_only_a_score_without_a_doubt_is_green(
    standing: ControlStanding, override: str | None, expected: ControlStatus
) -> None:
    view = factories.case_view([FIELD], standing=standing, override_reason=override)
    assert words.reportable_tone(view) is expected


def test_a_control_that_gives_no_intense_cut_says_so() -> None:
    reading = factories.control_reading()
    without = dataclasses.replace(reading, measures=dataclasses.replace(reading.measures, intense_od10=None))
    view = factories.case_view([FIELD], controls=[without])
    assert words.control_paragraph(view).endswith("It gives no intense cut; the cuts are the settings'.")
