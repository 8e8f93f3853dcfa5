"""The PDF: what it says, that it says what the JSON says, and that no input breaks its layout."""

from __future__ import annotations

import dataclasses
import io
import re

import factories
import pypdf
import pytest
from reporting import busy_case

from her2scope.domain.cells import CellClass
from her2scope.domain.control import ControlCode
from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.overlays.palette import PAPER
from her2scope.records import CaseView, ReaderScore
from her2scope.reporting.content import score_json
from her2scope.reporting.pdf_report import PdfReport
from her2scope.reporting.pdf_text import marked

FIELD = factories.equivocal_field()


def rendered(view: CaseView) -> bytes:
    return PdfReport().render(factories.report_content(view))


def pages(view: CaseView) -> list[str]:
    """Text of each page, on one line."""
    return [re.sub(r"\s+", " ", page.extract_text()) for page in pypdf.PdfReader(io.BytesIO(rendered(view))).pages]


def test_page_one_answers_in_ten_seconds() -> None:
    first = pages(factories.case_view([FIELD], reader_score=ReaderScore("1+", "weaker to the left")))[0]
    for words in (
        "HER2 IHC reference score",
        "Case S25-01234 A1",
        "Research use only.",
        "Reference score 2+",
        "Equivocal: reflex ISH",
        "Pathologist's own score 1+",
        "weaker to the left",
        "Reportable",
        "Borderline",
        "Control valid. 3+ control, lot A-4711, reads 3+: 130 tumour cells",
        "page 1 of",
    ):
        assert words in first


def test_the_figures_are_the_jsons() -> None:
    view = factories.case_view([factories.counted_field({CellClass.COMPLETE_INTENSE: 37, CellClass.NONE: 104})])
    case, first = score_json(view)["case"], pages(view)[0]
    assert f"Reference score {case['score']}" in first
    assert f"Membrane staining of {case['n_tumour']} tumour cells" in first
    for name, share in case["shares_percent"].items():
        low, high = case["interval95_percent"][name]
        assert f"{share:.1f} %" in first
        assert f"{low:.1f} to {high:.1f} %" in first


def test_the_research_notice_stands_there_once() -> None:
    assert " ".join(pages(factories.case_view([FIELD, FIELD]))).count("Research use only") == 1


def test_every_page_names_the_case_and_its_number() -> None:
    found = pages(factories.case_view([FIELD, FIELD]))
    for number, page in enumerate(found, start=1):
        assert "Case S25-01234 A1" in page
        assert f"page {number} of {len(found)}" in page


def test_the_same_content_gives_the_same_bytes() -> None:
    view = factories.case_view([FIELD])
    assert rendered(view) == rendered(view)


def test_another_palette_gives_another_report() -> None:
    content = factories.report_content()
    assert PdfReport(PAPER).render(content) != PdfReport().render(content)


def test_an_override_stands_on_page_one_with_its_reason() -> None:
    invalid = factories.control_reading(ControlStatus.INVALID, ("DAB too weak",), (ControlCode.FADED,))
    reason = "Second control of the lot read as expected. " * 40
    standing = ControlStanding(ControlStatus.INVALID, overridden=True)
    first = pages(factories.case_view([FIELD], controls=[invalid], standing=standing, override_reason=reason))[0]
    assert "Invalid control overridden. Reason given: Second control" in first
    assert reason.strip() in first
    assert first.index("Reason given") < first.index("Why this score")


def test_a_score_that_cannot_be_reported_says_why_on_page_one() -> None:
    first = pages(factories.case_view([FIELD], controls=[]))[0]
    assert "Not reportable" in first
    assert "No control of this run was read" in first


def test_too_few_cells_are_no_number() -> None:
    first = pages(factories.case_view([factories.counted_field({CellClass.NONE: 30})]))[0]
    assert "Reference score no score Insufficient" in first
    assert "30 of at least 100 tumour cells" in first


def test_fields_come_with_and_without_cells_and_the_control_with_its_picture() -> None:
    view = factories.case_view([FIELD, factories.unusable_field()])
    reader = pypdf.PdfReader(io.BytesIO(rendered(view)))
    texts = pages(view)
    assert len(reader.pages[texts.index(next(t for t in texts if "Control 3+: valid" in t))].images) == 2
    assert len(reader.pages[texts.index(next(t for t in texts if "Field 1: 2+" in t))].images) == 2
    unusable = texts.index(next(t for t in texts if "Field 2: not usable" in t))
    assert len(reader.pages[unusable].images) == 1
    assert "Out of focus" in texts[unusable]


def test_a_removed_field_has_no_page() -> None:
    removed = factories.accepted(factories.equivocal_field("gone.png"), 2, active=False)
    found = " ".join(pages(factories.case_view([factories.accepted(FIELD, 1), removed])))
    assert "gone.png" not in found
    assert "1 accepted field removed by the reader." in found


def test_a_busy_case_says_all_that_the_reader_did() -> None:
    view = busy_case.busy_view()
    found = pages(view)
    for said in (
        "Accession S25-01234 \u00b7 Block A1 \u00b7 Slide 2 \u00b7 Specimen core biopsy",
        view.score.sentence.rstrip("."),
        "Probability of each score: 0: ",
        "which the reader chose",
        "The reader moved the cuts: deviation from the stored settings. Intense cut 0.75 instead of 0.70 od10",
        "Entered before the reference score was shown. Differs from the reference score 2+.",
        "Not reportable",
        "Interim report, not signed.",
        "NOT VALIDATED with these settings: the reader moved the cuts.",
    ):
        assert said in found[0]
    whole = " ".join(found)
    for said in (
        "Where the fields lie on the slide",
        "Part 2 of 2: how the parts lie to each other is not known",
        "Outlined regions",
        "carcinoma in situ, solid, with central necrosis <comedo>",
        "Internal control: ",
        "5 cells corrected by the reader",
        "Fields 2, 4 accepted by sweeping",
        "Remarks on fields",
        f"Reader's remark: {busy_case.REMARK}",
        "(whole remark under Remarks on fields)",
        "ISH result entered: negative (undone)",
        "Cuts moved by the reader",
    ):
        assert said in whole
    assert re.sub(r"\s+", " ", busy_case.LONG_REMARK).strip() in whole


def test_a_long_remark_to_the_own_score_leaves_page_one_its_answers() -> None:
    own = ReaderScore("1+", busy_case.LONG_REMARK)
    first = re.sub(r"\s+", " ", pages(factories.case_view([FIELD], reader_score=own))[0])
    places = [first.find(said) for said in ("(whole remark below)", "Control of the staining run", "remark: The inv")]
    assert -1 < places[0] < places[1] < places[2]


def test_a_remark_keeps_both_pictures_of_a_field_on_its_page() -> None:
    item = busy_case.corrected_field(1, FIELD, {}, annotation="w" * 90 + " " + busy_case.LONG_REMARK)
    texts = pages(factories.case_view([item]))
    (page,) = [text for text in texts if text.startswith("Field 1: 2+")]
    assert "With cells" in page
    assert "Without" in page


def test_the_last_page_tells_method_versions_and_settings() -> None:
    last = " ".join(pages(factories.case_view([FIELD]))[-2:])
    for words in (
        "Method and limits",
        "her2scope 0.1.0",
        "ab" * 32,
        "cuts.stained_od10 0.1",
        "example microscope",
        "History",
    ):
        assert words in last.replace("ab ab", "abab")


@pytest.mark.parametrize("n_fields", [0, 1, 30])
def test_any_number_of_fields_fits(n_fields: int) -> None:
    small = factories.field_result([factories.cell(CellClass.NONE, 20, 20), factories.cell(None, 40, 40)])
    fields = [factories.accepted(small, number) for number in range(1, n_fields + 1)]
    found = pages(factories.case_view(fields))
    assert sum("Field " in page and "With cells" in page for page in found) == n_fields


def test_long_texts_do_not_break_the_layout() -> None:
    why = "a reason that goes on and on without an end in sight, " * 120
    invalid = factories.control_reading(ControlStatus.INVALID, (why, "x" * 3000), (ControlCode.FADED,), lot="L" * 300)
    quality = dataclasses.replace(factories.GOOD_QUALITY, reasons=(why,))
    fields = [
        factories.equivocal_field("f" * 400 + ".png", quality=quality),
        factories.equivocal_field(quality=quality),
    ]
    view = factories.case_view(
        fields,
        controls=[invalid] * 6,
        standing=ControlStanding(ControlStatus.INVALID, overridden=True),
        override_reason=why,
        reader_score=ReaderScore("2+", why),
        case_id="C" * 300,
        who="W" * 300,
        settings={"a" * 200: "b" * 5000},
    )
    found = " ".join(pages(view))
    assert found.count(why.strip()[-40:]) >= 3


@pytest.mark.parametrize(
    "name",
    [
        "\u0421\u043b\u0430\u0439\u0434 7",  # Cyrillic
        "\u0394\u03b5\u03af\u03b3\u03bc\u03b1 \u0141\u00f3d\u017a \u015e\u0131",  # Greek, Polish, Turkish
        "\u5f20\u4f1f \u30b1\u30fc\u30b9 \uc0ac\ub840",  # Chinese, Japanese, Korean
    ],
)
def test_names_of_many_scripts_can_be_read_back(name: str) -> None:
    first = pages(factories.case_view([FIELD], case_id=name))[0]
    assert name.replace(" ", "") in first.replace(" ", "")


def test_what_no_font_shows_is_named_by_its_code() -> None:
    view = factories.case_view([FIELD], case_id="\u0e01\u0e02 <b>&\x00 \U0001f52c", who="\ud800")
    assert "[U+0E01][U+0E02] <b>& [U+1F52C]" in pages(view)[0].replace("&  ", "& ")


def test_markup_in_names_is_text() -> None:
    assert marked("<b>1 & 2</b>") == "&lt;b&gt;1 &amp; 2&lt;/b&gt;"
