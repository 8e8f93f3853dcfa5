"""All reports of a case, written together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from her2scope.overlays.palette import SAFE, Palette
from her2scope.records import ReportContent
from her2scope.reporting.files import write_aside


class Renderer(Protocol):
    """A report writer that also gives its bytes, so that several can be written together."""

    suffix: str

    def render(self, content: ReportContent) -> bytes:
        """Bytes of the file."""

    def write(self, content: ReportContent, path: Path) -> None:
        """Write the report to `path`."""


STANDARD = ("pdf", "html", "json")
"""What `demo` and a finished case write."""


def writers(palette: Palette = SAFE) -> Mapping[str, Renderer]:
    """Every kind of report by its name."""
    # here: what makes pages takes a quarter of a second to load, and the window opens without a report
    from her2scope.reporting.csv_report import CsvReport
    from her2scope.reporting.html_report import HtmlReport
    from her2scope.reporting.json_report import JsonReport
    from her2scope.reporting.pdf_report import PdfReport

    return {"pdf": PdfReport(palette), "html": HtmlReport(palette), "json": JsonReport(), "csv": CsvReport()}


def write_report(
    content: ReportContent, out_dir: Path, palette: Palette = SAFE, kinds: tuple[str, ...] = STANDARD
) -> list[Path]:
    """Write `report.pdf`, `report.html` and `report.json` (or other `kinds`) to `out_dir`.

    All are rendered before the first is written: a fault in one leaves no set of files that do not belong together.
    """
    chosen = writers(palette)
    rendered = {out_dir / f"report{chosen[kind].suffix}": chosen[kind].render(content) for kind in kinds}
    for path, data in rendered.items():
        write_aside(path, data)
    return list(rendered)
