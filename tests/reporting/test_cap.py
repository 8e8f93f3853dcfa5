"""Entries of the CAP template: the pathologist's result, what was entered, and never a guess."""

from __future__ import annotations

import io
import re
from html import escape

import factories
import pypdf
import pytest
from reporting import busy_case

from her2scope.domain.cells import CellClass
from her2scope.domain.control import ControlCode
from her2scope.domain.corrections import CaseData
from her2scope.domain.guideline import Score
from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.records import CaseView, ReaderScore
from her2scope.reporting.cap import CAP_TITLE, HANDLING_TITLE, cap_entries, cap_json, handling_words
from her2scope.reporting.html_report import HtmlReport
from her2scope.reporting.pdf_report import PdfReport

FIELD = factories.equivocal_field()
DATA = CaseData("S25-1", "A1", "2", "core biopsy", "run 7", "4B5", "45", "10 % neutral buffered formalin", "24")


def told(view: CaseView) -> dict[str, str]:
    return {item.key: item.text for item in cap_entries(factories.report_content(view))}


def meets(**data: str) -> dict[str, bool | None]:
    view = factories.case_view([FIELD], data=CaseData(**data))
    return {item.key: item.meets for item in cap_entries(factories.report_content(view))}


def test_what_nobody_entered_is_not_entered() -> None:
    found = told(factories.case_view([FIELD]))
    for name in ("result", "ish", "specimen", "block", "cold_ischaemia", "fixation", "antibody_clone"):
        assert found[name] == "not entered", name
    in_json = cap_json(factories.report_content(factories.case_view([FIELD])))
    assert (in_json["result"]["text"], in_json["fixation"]["text"], in_json["fixation"]["meets"]) == (None, None, None)


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("0", "Negative (score 0)"),
        ("1+", "Negative (score 1+)"),
        ("2+", "Equivocal (score 2+)"),
        ("3+", "Positive (score 3+)"),
        (None, "Cannot be determined (indeterminate)"),
    ],
)
def test_the_result_is_the_pathologists_and_never_the_programs(own: Score | None, expected: str) -> None:
    found = told(factories.case_view([FIELD], reader_score=ReaderScore(own)))
    assert found["result"] == expected
    assert found["reference_result"] == "Equivocal (score 2+)"


def test_a_reference_score_that_may_not_be_reported_says_so() -> None:
    assert told(factories.case_view([FIELD], controls=[]))["reference_result"].endswith("; not reportable")
    too_few = factories.case_view([factories.counted_field({CellClass.NONE: 3})])
    assert told(too_few)["reference_result"] == "Cannot be determined (indeterminate); not reportable"
    assert told(factories.case_view([]))["uniform_intense_complete"] == "Cannot be determined (indeterminate)"


def test_the_share_of_uniform_intense_complete_membranes_is_the_cases() -> None:
    view = factories.case_view([FIELD])
    low, high = (view.score.interval95_percent or {})[CellClass.COMPLETE_INTENSE]
    assert told(view)["uniform_intense_complete"] == (
        f"5.0 % of 120 counted tumour cells (95 % interval {low:.1f} to {high:.1f} %), by image analysis"
    )


def test_what_was_entered_is_told_and_judged() -> None:
    found = told(factories.case_view([FIELD], data=DATA))
    assert (found["specimen"], found["block"], found["antibody_clone"]) == ("core biopsy", "A1", "4B5")
    assert found["cold_ischaemia"].startswith("45 min")
    assert found["antibody_run"] == "run run 7, lot of the control A-4711"
    assert meets(cold_ischaemia_min="45")["cold_ischaemia"] is True
    assert meets(cold_ischaemia_min="95")["cold_ischaemia"] is False
    assert meets(fixative="10 % NBF", fixation_h="80")["fixation"] is False
    assert meets(cold_ischaemia_min="soon")["cold_ischaemia"] is None


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (ControlStanding(ControlStatus.VALID), "Adequate (Control valid)."),
        (ControlStanding(ControlStatus.INVALID), "NOT adequate (Control invalid). DAB too weak."),
        (
            ControlStanding(ControlStatus.VALID, refusals=("the control was read at 20x",)),
            "NOT adequate for this case (Control valid, but does not hold for this case). The control was read at 20x.",
        ),
    ],
    ids=["valid", "invalid", "of another state"],
)
def test_the_control_is_judged_for_this_case(standing: ControlStanding, expected: str) -> None:
    weak = standing.status is ControlStatus.INVALID
    reading = factories.control_reading(standing.status, ("DAB too weak",) if weak else (), [ControlCode.FADED] * weak)
    assert told(factories.case_view([FIELD], controls=[reading], standing=standing))["control"] == expected


def test_without_a_control_its_adequacy_is_not_known() -> None:
    assert told(factories.case_view([FIELD], controls=[]))["control"].startswith("Not known (No control was read)")


def test_pdf_and_html_have_every_entry() -> None:
    content = factories.report_content(factories.case_view([FIELD], data=DATA))
    reader = pypdf.PdfReader(io.BytesIO(PdfReport().render(content)))
    pdf = re.sub(r"\s", "", " ".join(page.extract_text() for page in reader.pages))
    html = HtmlReport().render(content).decode("utf-8")
    assert CAP_TITLE in html
    for item in cap_entries(content):
        assert re.sub(r"\s", "", item.label + item.text) in pdf
        assert f"<th>{escape(item.label)}</th><td" in html.replace('<th class="">', "<th>")
        assert escape(item.text) in html


def test_tissue_that_was_handled_against_the_guideline_is_told_on_page_one() -> None:
    data = CaseData(cold_ischaemia_min="2 h", fixative="10 % NBF", fixation_h="24")
    expected = "Cold ischaemia 2 h: DOES NOT MEET the guideline (ASCO/CAP: at most 60 min)."
    assert handling_words(data) == expected
    content = factories.report_content(factories.case_view([FIELD], data=data))
    page_one = pypdf.PdfReader(io.BytesIO(PdfReport().render(content))).pages[0].extract_text()
    assert f"{HANDLING_TITLE} {expected}" in re.sub(r"\s+", " ", page_one)
    assert expected in HtmlReport().render(content).decode().split(CAP_TITLE)[0]
    assert handling_words(DATA) == handling_words(CaseData()) == ""


def test_shares_of_a_case_that_may_not_be_reported_say_so() -> None:
    assert told(factories.case_view([FIELD], controls=[]))["uniform_intense_complete"].endswith("; not reportable")
    assert not told(factories.case_view([FIELD]))["uniform_intense_complete"].endswith("; not reportable")


def test_the_internal_control_is_named_once() -> None:
    found = told(busy_case.busy_view())["internal_control"]
    assert "in normal ducts that the reader marked" in found
    assert "ternal control" not in found
