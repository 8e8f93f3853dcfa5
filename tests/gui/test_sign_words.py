"""States of a case, and what is signed, in the window's words."""

from __future__ import annotations

import dataclasses

import factories
import pytest

from her2scope.domain.control import ControlCode
from her2scope.domain.guideline import Ish
from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.domain.sign_off import CaseStatus, SignOff
from her2scope.ports import CaseSummary
from her2scope.records import CaseView, ReaderScore
from her2scope.ui.sign_words import chip_text, is_signed, signing_lines, state_text, summary_state, title_state


def case(**more) -> CaseView:
    return factories.case_view([factories.equivocal_field()], **more)


def amending(view: CaseView) -> SignOff:
    """Of a signed case that is being read again."""
    signed = factories.signed(view).sign_off
    return dataclasses.replace(signed, status=CaseStatus.OPEN, version=2, finished_utc=None, reason="wrong block")


OPEN, REVIEW = SignOff(), SignOff(CaseStatus.IN_REVIEW)
SIGNED, AMENDED = factories.signed(case()).sign_off, factories.signed(case(), "wrong block").sign_off


@pytest.mark.parametrize(
    ("sign_off", "title", "chip"),
    [
        (OPEN, "", "READING   Space: add field"),
        (REVIEW, " (in review)", "IN REVIEW   Ctrl+Shift+S: sign"),
        (SIGNED, " (signed)", "SIGNED   Ctrl+N: next case"),
        (amending(case()), " (open, version 2)", "READING, VERSION 2   Space: add field"),
        (AMENDED, " (amended, version 2)", "SIGNED, VERSION 2   Ctrl+N: next case"),
    ],
)
def test_each_state_has_its_title_and_badge(sign_off, title, chip):
    assert (title_state(sign_off), chip_text(sign_off)) == (title, chip)
    assert is_signed(sign_off) == ("SIGNED" in chip)


def test_state_of_an_amendment_names_the_version_it_amends():
    text, role = state_text(amending(case()))
    assert text == "Open: version 2, amends the one signed by Dr. B. Signer, 2025-03-04 10:15 UTC"
    assert role == "warning"
    assert state_text(OPEN)[0] == ""


def test_state_in_a_list():
    summary = CaseSummary("7", "2025-03-04T08:58:12.345+00:00", 3, True, False, status=CaseStatus.AMENDED, version=3)
    assert summary_state(summary) == "amended, version 3"
    assert summary_state(dataclasses.replace(summary, status=CaseStatus.IN_REVIEW, version=1)) == "in review"


def test_what_is_signed_is_said_in_full():
    lines = signing_lines(case(reader_score=ReaderScore("3+", "uniform at the edge")))
    assert lines[0] == "Reference score: 2+, equivocal; reflex ISH; borderline"
    assert lines[1] == "Your own score: 3+, uniform at the edge"
    assert lines[2].endswith("Reportable, with reservations")
    assert lines[3] == "120 tumour cells in 1 annotated field. Control: valid"
    assert "reflex ISH" not in signing_lines(case(ish=Ish.NEGATIVE))[0]
    assert signing_lines(case(ish=Ish.NEGATIVE))[0].startswith("Reference score: 2+, HER2 low; ISH negative")


def test_what_may_not_be_reported_says_why():
    verdict = factories.control_reading(ControlStatus.INVALID, ("DAB too weak",), (ControlCode.FADED,))
    view = case(controls=[verdict], standing=ControlStanding(ControlStatus.INVALID))
    words = "\n".join(signing_lines(view))
    assert "Not reportable: " + "; ".join(view.score.blocking) in words and view.score.blocking
    assert "Control: invalid; DAB too weak" in words
    overridden = ControlStanding(ControlStatus.INVALID, overridden=True)
    view = case(controls=[verdict], standing=overridden, override_reason="second slide is valid")
    assert "overridden by the reader: second slide is valid" in "\n".join(signing_lines(view))


def test_too_few_cells_are_no_score_to_sign():
    lines = signing_lines(case(min_cells=500))
    assert lines[0] == "Reference score: none; insufficient: 120 of at least 500 tumour cells"
    assert lines[1] == "Your own score: not entered"
    assert lines[2] == "Not reportable: there is no reference score"


def test_an_amendment_says_why_and_what_stays():
    view = dataclasses.replace(case(), sign_off=dataclasses.replace(amending(case()), status=CaseStatus.IN_REVIEW))
    assert signing_lines(view)[-2:] == [
        "Version 2, because: wrong block",
        "Version 1 stays as Dr. B. Signer, 2025-03-04 10:15 UTC signed it",
    ]
