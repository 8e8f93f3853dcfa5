"""The laboratory's chart on the control's page: of this very reading's level, lot, instrument and method, or none."""

from __future__ import annotations

import dataclasses
import io
import re
from html import escape

import factories
import numpy as np
import pypdf

from her2scope.domain.control_history import ControlEntry
from her2scope.domain.score import ControlStatus
from her2scope.records import ReportContent, image_digest
from her2scope.reporting.control_chart import CHART_TITLE, NO_CHART, control_chart
from her2scope.reporting.html_report import HtmlReport
from her2scope.reporting.pdf_report import PdfReport

READING = dataclasses.replace(factories.control_reading(), run="run 9")
OWN = image_digest(READING.result.frame.rgb)


def entry(number: int, image: str, **more: str) -> ControlEntry:
    usual = ControlEntry(
        f"2025-02-{number:02}T08:00:00+00:00", f"run {number}", "3+", "A-4711", "microscope", "network abab",
        0.8 + 0.01 * number, ControlStatus.VALID, (), 130, (image,),
    )  # fmt: skip
    return dataclasses.replace(usual, **more)  # type: ignore[arg-type]


HISTORY = (*(entry(number, f"other {number}") for number in range(1, 9)), entry(9, OWN))


def content(history: tuple[ControlEntry, ...]) -> ReportContent:
    view = factories.case_view([factories.equivocal_field()], controls=[READING])
    return factories.report_content(view, control_history=history)


def test_the_chart_is_of_the_readings_own_series() -> None:
    others = (entry(3, "x", lot="B"), entry(4, "y", instrument="another"), entry(5, "z", method="closed-contours"))
    told, drawn = control_chart(READING, (*HISTORY, *others))
    assert told == "9 runs of this level, lot, instrument and method; this reading is of run run 9."
    assert drawn is not None
    np.testing.assert_array_equal(drawn, control_chart(READING, HISTORY)[1])


def test_a_reading_that_stands_on_no_chart_says_so() -> None:
    without_run = (*HISTORY[:-1], entry(9, OWN, run=""))
    for history in ((), HISTORY[:-1], without_run):
        assert control_chart(READING, history) == (NO_CHART, None)


def test_pdf_and_html_show_it() -> None:
    assert n_pictures(content(HISTORY)) == n_pictures(content(())) + 1
    html = HtmlReport().render(content(HISTORY)).decode("utf-8")
    assert html.count('<img src="data:image/png') == 1
    assert CHART_TITLE in html
    assert escape(NO_CHART) in HtmlReport().render(content(())).decode("utf-8")


def n_pictures(said: ReportContent) -> int:
    pages = pypdf.PdfReader(io.BytesIO(PdfReport().render(said))).pages
    (page,) = [page for page in pages if re.sub(r"\s+", " ", page.extract_text()).startswith("Control 3+: valid")]
    return len(page.images)
