"""What a report says of state, signatures, validation and chain: the same in every kind, never more than is known."""

from __future__ import annotations

import dataclasses
import io
import re
from typing import Any

import factories
import jsonschema
import pypdf
import pytest
from reporting import busy_case

from her2scope.domain.event_chain import ChainHead
from her2scope.domain.sign_off import CaseStatus, SignOff
from her2scope.records import CaseView, ReaderScore, ReportContent
from her2scope.reporting import record
from her2scope.reporting.content import SCORE_SCHEMA, report_json, schema
from her2scope.reporting.html_report import HtmlReport
from her2scope.reporting.pdf_report import PdfReport

VIEW = factories.case_view([factories.equivocal_field()], reader_score=ReaderScore("2+"))
OPEN = factories.case_view([factories.equivocal_field()], finished_utc=None)
REASON = "block B was read, not block A"
AMENDED = factories.signed(VIEW, REASON)
AMENDING = dataclasses.replace(
    AMENDED,
    sign_off=SignOff(CaseStatus.OPEN, 3, AMENDED.sign_off.signatures, None, "another control"),
    finished_utc=None,
)


def content(view: CaseView, **more: Any) -> ReportContent:
    return factories.report_content(view, **more)


@pytest.mark.parametrize(
    ("view", "good", "expected"),
    [
        (OPEN, False, "Interim report, not signed. The reading goes on, and the score may change."),
        (VIEW, False, "In review, not signed. The reading is finished, and waits for its signature."),
        (factories.signed(VIEW), True, "Signed by Dr. B. Signer on 2025-03-04 10:15 UTC, version 1."),
        (
            AMENDED,
            True,
            f"Signed by Dr. B. Signer on 2025-03-05 10:15 UTC, version 2, amends version 1 because: {REASON}.",
        ),
        (
            AMENDING,
            False,
            "Interim report, not signed. The reading goes on, and the score may change. "
            "Version 3, amends version 2 because: another control.",
        ),
    ],
    ids=["open", "in review", "signed", "amended", "being amended"],
)
def test_a_report_says_how_far_its_case_has_come(view: CaseView, good: bool, expected: str) -> None:
    told = record.state(content(view))
    assert (told.line, told.good) == (expected, good)


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        (AMENDED, "SUPERSEDED: the case was amended since; version 2 is the last one signed."),
        (
            dataclasses.replace(
                VIEW, sign_off=SignOff(CaseStatus.OPEN, 2, factories.signed(VIEW).sign_off.signatures, None, REASON)
            ),
            "SUPERSEDED: the case was amended since; the amendment is not signed yet.",
        ),
    ],
    ids=["signed again", "being amended"],
)
def test_the_report_of_an_earlier_version_says_that_there_is_a_later_one(newest: CaseView, expected: str) -> None:
    told = record.state(content(factories.signed(VIEW), newest=newest.sign_off))
    assert told.line.endswith(expected)
    assert not told.good


def test_the_newest_version_is_not_superseded() -> None:
    assert "SUPERSEDED" not in record.state(content(AMENDED, newest=AMENDED.sign_off)).line


def test_only_the_very_settings_that_were_compared_with_readers_are_validated() -> None:
    found = factories.validation(VIEW)
    told = record.validation(content(VIEW, validation=found))
    assert told.good
    assert told.line == (
        "Validated against readers with these settings: 120 cases, quadratic kappa 0.91, positive agreement 97.1 %, "
        "negative agreement 98.4 % (2025-02-01, cases.csv)."
    )
    for more in ({}, {"validation": dataclasses.replace(found, settings_sha256="0" * 64)}):
        told = record.validation(content(VIEW, **more))
        assert (told.line, told.good) == ("NOT VALIDATED with these settings.", False)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (
            {"n_positive": 39},
            "too few cases, 39 that readers call 3+ and 50 that they call 0 or 1+; at least 40 and 40 are needed",
        ),
        ({"concordance": 0.949}, "positive and negative agree in less than 95 % of cases"),
        ({"concordance": None}, "positive and negative agree in less than 95 % of cases"),
    ],
)
def test_a_comparison_that_is_too_small_or_missed_its_aim_validates_nothing(more: dict[str, Any], why: str) -> None:
    told = record.validation(content(VIEW, validation=factories.validation(VIEW, **more)))
    assert not told.good
    assert told.line.startswith(f"NOT VALIDATED with these settings: {why}. Compared with readers: 120 cases")


def test_moved_cuts_are_never_validated() -> None:
    busy = busy_case.busy_view()
    told = record.validation(content(busy, validation=factories.validation(busy)))
    assert (told.line, told.good) == ("NOT VALIDATED with these settings: the reader moved the cuts.", False)


def test_a_figure_that_is_not_defined_is_said_to_be_so() -> None:
    found = factories.validation(VIEW, kappa=None, positive_agreement=None, n_cases=1)
    told = record.validation_figures(found)
    assert told.startswith("1 case, kappa not defined, positive agreement not defined, negative agreement 98.4 %")


def test_a_chain_head_can_be_typed_and_put_together_again() -> None:
    told = record.head_text(ChainHead(23, factories.HEAD_DIGEST))
    assert told.startswith("Chain head of 23 events: 0123 4567 89ab cdef 0123 ")
    assert told.partition(": ")[2].replace(" ", "") == factories.HEAD_DIGEST
    assert record.head_text(ChainHead(0, "")) == ""


# ---- every kind ---------------------------------------------------------------------------------------------------


def test_pdf_html_and_json_say_the_same() -> None:
    said = content(AMENDED, validation=factories.validation(AMENDED))
    pages = [re.sub(r"\s+", " ", page.extract_text()) for page in reader(said).pages]
    page = HtmlReport().render(said).decode("utf-8")
    head = record.head_text(AMENDED.head)
    for line in (record.state(said), record.validation(said)):
        assert line.line in pages[0]
        assert f"{line.title}</strong> {line.text}" in page
    assert page.count(f'<p class="grey small">{head}</p>') == 2
    for number, text in enumerate(pages, start=1):
        assert (head in text) == (number in (1, len(pages)))
    found = report_json(said)["record"]
    assert (found["state"], found["version"], found["amendment_reason"]) == ("amended", 2, REASON)
    assert found["head"] == {"n_events": AMENDED.head.n_events, "sha256": factories.HEAD_DIGEST}
    assert [item["name"] for item in found["signatures"]] == ["Dr. B. Signer"] * 2
    assert found["validated"] is True
    assert AMENDED.settings_sha256 in page


@pytest.mark.parametrize("view", [OPEN, VIEW, factories.signed(VIEW), AMENDED, AMENDING])
def test_the_record_fits_the_schema(view: CaseView) -> None:
    found = report_json(content(view, validation=factories.validation(view), newest=AMENDED.sign_off))
    jsonschema.Draft202012Validator(schema(SCORE_SCHEMA)).validate(found)


def test_a_signed_record_without_a_signature_fits_no_schema() -> None:
    found = report_json(content(AMENDED))
    found["record"]["signatures"] = []
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema(SCORE_SCHEMA)).validate(found)


def test_a_case_that_may_not_be_reported_says_so_though_it_is_signed() -> None:
    view = factories.signed(factories.case_view([factories.equivocal_field()], controls=[]))
    first = reader(content(view)).pages[0].extract_text()
    assert "Signed by Dr. B. Signer" in first
    assert "Not reportable" in first


def test_the_pdf_is_of_the_time_when_it_was_written() -> None:
    assert reader(content(VIEW)).metadata["/CreationDate"] == "D:20250304093200+00'00'"  # type: ignore[index]
    assert reader(dataclasses.replace(content(VIEW), as_of_utc="yesterday")).pages


def test_a_long_reason_breaks_no_page() -> None:
    view = factories.signed(VIEW, "because " * 900, name="N" * 300)
    assert reader(content(view)).pages[0].extract_text().count("because") > 100


def reader(said: ReportContent) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(PdfReport().render(said)))
