"""The HTML report in a real browser: it opens offline, its layers and its zoom work, and it asks for nothing."""

from __future__ import annotations

from pathlib import Path

import factories
import pytest
from reporting import browser, busy_case

from her2scope.domain.cells import CellClass
from her2scope.reporting.html_report import HtmlReport

CHROMIUM = browser.chromium()
MIX = {CellClass.COMPLETE_INTENSE: 0.4, CellClass.INCOMPLETE_FAINT: 0.3, CellClass.NONE: 0.2, None: 0.1}
BROKEN_INTO = """new Promise(done => {
  document.addEventListener('securitypolicyviolation', event => done(event.effectiveDirective));
  document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/pixel.png'}));
})"""
"""What a name that became markup might try."""


def display(selector: str) -> str:
    return f"getComputedStyle(document.querySelector('{selector}')).display"


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this computer: the page is not opened in a browser")
def test_the_page_works_in_a_browser_and_asks_for_nothing(tmp_path: Path) -> None:
    assert CHROMIUM is not None
    field = factories.honeycomb_field(MIX, (300, 400))
    content = factories.report_content(busy_case.busy_view(2, field))
    path = tmp_path / "report.html"
    path.write_bytes(HtmlReport().render(content))
    with browser.page(CHROMIUM, tmp_path / "profile") as page:
        page.open(path)
        assert "Interim report, not signed." in page.value("document.querySelector('header').innerText")

        assert page.value(display("#field-2 .mem")) == "none"
        page.click("label[for=field-2-membranes]")
        assert page.value(display("#field-2 .mem")) == "inline"
        page.click("label[for=field-2-markers]")
        assert (page.value(display("#field-2 .m")), page.value(display("#field-2 .o"))) == ("none", "inline")
        assert page.value(display("#field-1 .m")) == "inline"  # each field has boxes of its own

        width = "document.querySelector('#field-2 .view svg').getBoundingClientRect().width"
        fitted = page.value(width)
        assert fitted == page.value("document.querySelector('#field-2 .view').clientWidth") > 400
        for step, expected in (("zoom-1", 400), ("zoom-2", 800), ("zoom-4", 1600), ("fit", fitted)):
            page.click(f"label[for=field-2-{step}]")
            assert page.value(width) == expected
        assert page.value("document.documentElement.scrollWidth") <= 1200  # the field scrolls, and not the page

        assert {url.partition(":")[0] for url in page.requests} <= {"file", "data"}
        assert [url for url in page.requests if url.startswith("file:")] == [path.as_uri()]
        assert page.value(BROKEN_INTO) == "img-src"
