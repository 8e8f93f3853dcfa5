from __future__ import annotations

import dataclasses
import html
import io
import re
from functools import cache

import factories
import pytest
import scored_slides as slides
from pypdf import PdfReader

from her2scope.domain.cells import CellClass
from her2scope.domain.control import CUTS_WORDS, CutsFrom
from her2scope.domain.score import ControlStatus
from her2scope.reporting import words as report_words
from her2scope.slides import slide_words as told
from her2scope.slides.slide_html import slide_html
from her2scope.slides.slide_json import slide_json
from her2scope.slides.slide_pdf import slide_pdf
from her2scope.slides.slide_score import UNSTAINED, Controlled, refused_slide
from her2scope.slides.slide_words import SlideContent

MIXED = {CellClass.COMPLETE_INTENSE: 150, CellClass.COMPLETE_MODERATE: 300, CellClass.NONE: 700, None: 60}


@cache
def mixed() -> SlideContent:
    return content(MIXED, slides.VALID)


def content(counts: dict[CellClass | None, int], controlled: Controlled) -> SlideContent:
    score, cells = slides.scored(
        counts, controlled, slides.survey_of((700.0, 500.0), notes=("0.20 mm2 in folds left out",))
    )
    return slides.content_of(score, cells)


def html_text(made: SlideContent) -> str:
    return slide_html(made).decode("utf-8")


def pdf_text(made: SlideContent) -> list[str]:
    pages = PdfReader(io.BytesIO(slide_pdf(made))).pages
    return [" ".join(page.extract_text().split()) for page in pages]


def test_both_reports_say_the_same_first_things() -> None:
    made = mixed()
    page, first = html.unescape(html_text(made)), pdf_text(made)[0]
    for words in (
        told.DISCLAIMER,
        "Control valid.",
        "3+",
        "HER2 positive",
        "Reportable",
        report_words.percent(made.score.complete_percent),
        "0.20 mm2 in folds left out.",
    ):
        assert words in first and words in page
    assert first.index("Control valid") < first.index("Reference score")  # the control is read first
    assert page.index("Control valid.") < page.index("Reference score")


def test_lower_levels_alone_are_no_control_and_are_not_passed_over() -> None:
    made = content(MIXED, dataclasses.replace(slides.ABSENT, readings=(factories.control_reading(expected="0"),)))
    first = pdf_text(made)[0]
    assert "No 3+ control was read. 0 control" in first and "No control was read" not in first


def test_an_invalid_control_stands_at_the_top_and_blocks() -> None:
    made = content(MIXED, slides.INVALID)
    first = pdf_text(made)[0]
    assert "Control invalid." in first and "Not reportable" in first and "Reportable" not in first
    assert "The control is invalid." in first and "DAB too weak" in first


@pytest.mark.parametrize("cuts_from", CutsFrom)
def test_whose_cuts_were_used_is_said_in_all_reports(cuts_from: CutsFrom) -> None:
    made = content(MIXED, dataclasses.replace(slides.INVALID, cuts_from=cuts_from))
    others = [words for whose, words in CUTS_WORDS.items() if whose is not cuts_from]
    for said in (pdf_text(made)[0], html.unescape(html_text(made))):
        assert f"{CUTS_WORDS[cuts_from][1:]}: stained 0.15" in said and not any(
            f"{words[1:]}:" in said for words in others
        )
    assert slide_json(made.score, made.identity)["control"]["cuts_od10"]["from"] == cuts_from.value


def test_an_unstained_slide_says_why_it_has_no_score() -> None:
    made = content({CellClass.NONE: 700}, slides.ABSENT)
    first = pdf_text(made)[0]
    assert "no score" in first and "Not scored" in first and UNSTAINED[1:] in first
    assert "No control was read" in first


def test_a_refused_slide_says_why() -> None:
    survey = slides.survey_of((700.0, 500.0), refusals=("its colours are haematoxylin and eosin",))
    score = refused_slide(survey, slides.RULES, factories.PROGRAM)
    made = slides.content_of(score, slides.cells_of([], [], []))
    assert "Refused" in pdf_text(made)[0] and "haematoxylin and eosin" in html_text(made)


def test_too_few_cells_are_called_so() -> None:
    assert "Insufficient" in pdf_text(content({CellClass.NONE: 40}, slides.VALID))[0]


@pytest.mark.parametrize("status", list(ControlStatus))
def test_every_standing_has_a_headline(status: ControlStatus) -> None:
    score, _ = slides.scored(MIXED)
    standing = dataclasses.replace(score.standing, status=status)
    controls = () if status is ControlStatus.ABSENT else score.controls
    headline = told.control_headline(dataclasses.replace(score, standing=standing, controls=controls))
    assert re.fullmatch(r"Control (valid|valid with a warning|invalid)|No control was read", headline)


def test_a_hot_spot_has_its_line_and_its_picture() -> None:
    cold = slides.spread_cells({CellClass.NONE: 2400}, (2000.0, 1500.0))
    hot = slides.spread_cells({CellClass.COMPLETE_INTENSE: 80}, (400.0, 400.0))
    score, cells = slides.scored({}, cells=slides.SlideCells.joined([cold, hot]))
    pages = pdf_text(slides.content_of(score, cells))
    assert any("Hot spot, square 1" in page and "With cells" in page for page in pages)
    assert any("0.25, 0.25 mm" in page for page in pages)


def test_the_page_runs_no_script_and_names_cannot_break_it() -> None:
    made = mixed()
    survey = dataclasses.replace(made.score.survey, path=slides.Path("<script>alert(1).svs"))
    page = html_text(dataclasses.replace(made, score=dataclasses.replace(made.score, survey=survey)))
    assert "<script" not in page and "&lt;script&gt;" in page
    assert len(slide_pdf(dataclasses.replace(made, score=dataclasses.replace(made.score, survey=survey)))) > 1000


def test_each_shown_cell_tells_what_was_measured() -> None:
    page = html_text(mixed())
    assert page.count("<title>Cell ") > 50 and "completeness 100 %" in page


def test_every_page_of_a_score_that_does_not_hold_says_so() -> None:
    invalid, valid = pdf_text(content(MIXED, slides.INVALID)), pdf_text(mixed())
    assert all("NOT REPORTABLE" in page for page in invalid)
    assert not any("NOT REPORTABLE" in page for page in valid)


def test_the_warning_at_the_foot_survives_a_long_name() -> None:
    made = content(MIXED, slides.INVALID)
    survey = dataclasses.replace(made.score.survey, path=slides.Path("W" * 200 + ".svs"))
    made = dataclasses.replace(made, score=dataclasses.replace(made.score, survey=survey))
    assert all("NOT REPORTABLE" in page for page in pdf_text(made))


def test_an_invalid_control_that_does_not_hold_either_is_no_contradiction() -> None:
    score, _ = slides.scored(MIXED, slides.INVALID)
    refused = dataclasses.replace(score.standing, refusals=("another scale",))
    headline = told.control_headline(dataclasses.replace(score, standing=refused))
    assert headline == "Control invalid, and does not hold for this slide"


def test_a_shown_place_says_where_it_lies() -> None:
    made = mixed()
    where = [re.search(r"(\d+\.\d\d, \d+\.\d\d mm)\.$", told.place_text(place)) for place in made.places]
    assert where and all(where)
    pages, page = " ".join(pdf_text(made)), html_text(made)
    assert all(found[1] in pages and found[1] in page for found in where if found)


def test_a_slide_has_no_box_for_a_layer_of_membranes_that_it_does_not_keep() -> None:
    page = html_text(mixed())
    assert 'id="place-1-outlines"' in page and 'id="place-1-membranes"' not in page


def test_notes_that_overflow_page_one_leave_no_empty_page() -> None:
    notes = tuple(f"note {number} on what was left out" for number in range(25))
    score, cells = slides.scored(MIXED, slides.INVALID, slides.survey_of((700.0, 500.0), notes=notes))
    pages = pdf_text(slides.content_of(score, cells))
    assert "Note 24" in pages[1] and "The slide" in pages[1]


@pytest.mark.parametrize(("size_um", "is_wide"), [((700.0, 500.0), True), ((400.0, 2400.0), False)])
def test_two_maps_share_a_page_but_for_upright_slides(size_um: tuple[float, float], is_wide: bool) -> None:
    made = slides.content_of(*slides.scored(MIXED, survey=slides.survey_of(size_um)))
    of_maps = [page for page in pdf_text(made)[1:] if "Complete membrane staining" in page]
    others = ("The slide", "All staining")
    assert any(title in of_maps[0] for title in others) == is_wide


def test_a_refused_slide_does_not_claim_that_cuts_were_used() -> None:
    survey = slides.survey_of((700.0, 500.0), refusals=("its colours are haematoxylin and eosin",))
    first = pdf_text(
        slides.content_of(refused_slide(survey, slides.RULES, factories.PROGRAM), slides.cells_of([], [], []))
    )[0]
    assert "Default cuts" not in first and "nothing was counted" in first
