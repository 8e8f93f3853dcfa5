"""The HTML: one file that needs no network and no script, says what the JSON says, and lets one point at each cell."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser

import factories
import pytest
from reporting import busy_case

from her2scope.domain.cells import CellClass
from her2scope.domain.control import ControlCode
from her2scope.domain.corrections import CellStanding, Correction
from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.records import CaseView, ReaderScore
from her2scope.reporting.content import score_json
from her2scope.reporting.html_parts import ZOOMS, cell_words
from her2scope.reporting.html_report import HtmlReport

FIELD = factories.equivocal_field()
VOID = {"meta", "img", "input", "line", "rect", "image", "use"}


class Page(HTMLParser):
    """Elements, ids and text of a page; fails where elements do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def page(view: CaseView) -> Page:
    return Page(rendered(view))


def rendered(view: CaseView) -> str:
    return HtmlReport().render(factories.report_content(view)).decode("utf-8")


@pytest.fixture(scope="module")
def usual() -> Page:
    return page(factories.case_view([FIELD, factories.unusable_field()], reader_score=ReaderScore("2+", "as seen")))


def test_it_says_what_page_one_must_say(usual: Page) -> None:
    for words in (
        "Case S25-01234 A1",
        "Reference score 2+ Equivocal: reflex ISH",
        "as seen",
        "Reportable",
        "Control valid",
    ):
        assert words in usual.text
    assert usual.text.count("Research use only") == 1


def test_the_figures_are_the_jsons(usual: Page) -> None:
    case = score_json(factories.case_view([FIELD]))["case"]
    for name, share in case["shares_percent"].items():
        low, high = case["interval95_percent"][name]
        assert f"{share:.1f} % {low:.1f} to {high:.1f} %" in usual.text


def test_it_needs_no_network_and_no_script() -> None:
    html = rendered(factories.case_view([FIELD]))
    assert not re.search(r"https?://|//[a-z]|@import|url\(", re.sub(r"data:image/[^\"]+", "", html))
    found = Page(html)
    assert not found.all("script")
    assert not found.all("link")
    assert all((item.get("href") or "").startswith("data:image/") for item in found.all("image"))
    (policy,) = (item["content"] for item in found.all("meta") if "http-equiv" in item)
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "base-uri 'none'; form-action 'none'" in policy
    assert "script-src" not in policy
    assert "connect-src" not in policy


def test_ids_are_unique_and_every_reference_has_its_target(usual: Page) -> None:
    ids = [attributes["id"] for _, attributes in usual.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {f"#{name}" for name in ids} >= {item["href"] for item in usual.all("use")}
    assert set(ids) >= {item["for"] for item in usual.all("label")}


def test_layers_can_be_switched_off(usual: Page) -> None:
    boxes = {item["id"]: "checked" in item for item in usual.all("input")}
    assert boxes["field-1-markers"]
    assert boxes["field-1-outlines"]
    assert not boxes["field-1-membranes"]
    assert [boxes[f"field-1-{step}"] for step in ZOOMS] == [True, False, False, False]
    assert "field-2-markers" not in boxes


def test_every_cell_can_be_pointed_at() -> None:
    found = page(factories.case_view([FIELD], controls=[]))
    assert len(found.all("title")) == len(FIELD.cells) + 1  # and the page's own
    assert "Cell 1: Complete, intense; completeness 100 %, intensity 0.82 od10." in found.text


def test_a_cell_says_why_it_is_not_counted() -> None:
    cell = factories.cell(CellClass.NONE)
    assert cell_words(7, cell, CellStanding.SEEN_BEFORE).endswith("Not counted: seen whole in an earlier field.")
    assert cell_words(7, cell, CellStanding.EDGE).endswith("Not counted: cut by the picture's edge.")
    assert cell_words(7, cell).endswith("0.00 od10.")
    assert cell_words(7, factories.cell(None)) == "Cell 7: Other cell (not tumour)"


def test_a_cell_says_what_the_reader_made_of_it() -> None:
    read, now = factories.cell(CellClass.NONE), factories.cell(CellClass.INCOMPLETE_FAINT)
    assert cell_words(7, now, CellStanding.COUNTED, Correction.INCOMPLETE_FAINT, read).startswith(
        "Cell 7: Incomplete, faint, by the reader: incomplete, faint, read as no membrane staining;"
    )
    assert cell_words(7, factories.cell(None), CellStanding.COUNTED, Correction.NOT_TUMOUR, read) == (
        "Cell 7: Other cell (not tumour), by the reader: not a tumour cell, read as no membrane staining"
    )


def test_a_busy_case_says_all_that_the_reader_did() -> None:
    view = busy_case.busy_view()
    found = page(view)
    for words in (
        "Accession S25-01234 \u00b7 Block A1",
        view.score.sentence,
        "Probability of each score",
        "which the reader chose",
        "The reader moved the cuts: deviation from the stored settings.",
        "Entered before the reference score was shown. Differs from the reference score 2+.",
        "Part 2 of 2",
        "carcinoma in situ, solid, with central necrosis <comedo>",
        "Internal control: ",
        "5 cells corrected by the reader",
        "Fields 2, 4 accepted by sweeping",
        busy_case.LONG_REMARK.strip(),
        "Cell 1: Complete, weak to moderate, by the reader: complete, weak to moderate, read as complete, intense",
        "Not counted: in a normal duct (internal control).",
        "(undone)",
    ):
        assert words in found.text
    plans = [item for item in found.all("svg") if item.get("class") == "plan"]
    assert len(plans) == 2
    ids = {attributes["id"] for _, attributes in found.tags if "id" in attributes}
    assert {item["href"] for item in found.all("a")} == {f"#field-{number}" for number in range(1, 5)}
    assert ids >= {f"field-{number}" for number in range(1, 5)}


def test_the_picture_lies_on_whole_pixel_centres(usual: Page) -> None:
    first = usual.all("image")[0]
    assert (first["x"], first["y"]) == ("-0.5", "-0.5")


def test_names_cannot_become_markup() -> None:
    nasty = '"><script>alert(1)</script>\x00\ud800'
    field = factories.equivocal_field(nasty)
    reading = factories.control_reading(ControlStatus.INVALID, (nasty,), (ControlCode.FADED,), lot=nasty)
    view = factories.case_view(
        [field],
        controls=[reading],
        standing=ControlStanding(ControlStatus.INVALID, True),
        override_reason=nasty,
        reader_score=ReaderScore("2+", nasty),
        case_id=nasty,
        who=nasty,
        settings={nasty: nasty},
    )
    html = rendered(view)
    assert "<script" not in html
    assert escape("<script>alert(1)</script>") in html
    Page(html)


@pytest.mark.parametrize(
    "view",
    [
        factories.case_view([]),
        factories.case_view([FIELD], controls=[]),
        factories.case_view([factories.unusable_field()]),
        factories.case_view([factories.counted_field({CellClass.NONE: 3})]),
        factories.case_view([factories.field_result([factories.cell(None, corners=0)])]),
    ],
    ids=["no field", "no control", "unusable", "too few", "no tumour cell"],
)
def test_every_kind_of_case_has_a_page(view: CaseView) -> None:
    assert "Reference score" in page(view).text


def test_every_reading_of_the_control_is_told() -> None:
    faded = factories.control_reading(ControlStatus.INVALID, ("DAB too weak",), (ControlCode.FADED,))
    again = factories.control_reading(ControlStatus.WARNING, ("an earlier reading was invalid",), number=2)
    text = page(factories.case_view([FIELD], controls=[faded, again])).text
    assert "Control 3+: warning" in text
    assert "Earlier readings of this control" in text
    assert "invalid DAB too weak." in text


def test_the_same_content_gives_the_same_bytes() -> None:
    assert rendered(factories.case_view([FIELD])) == rendered(factories.case_view([FIELD]))
