"""All reports of a case, written together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from her2scope.domain.errors import NotAvailableError
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
KINDS = (*STANDARD, "csv", "geojson")
"""All that can be written; `geojson` is a file and a picture for each field."""


def writers(palette: Palette = SAFE) -> Mapping[str, Renderer]:
    """Every kind of report that is one file, by its name."""
    # here: what makes pages takes a quarter of a second to load, and the window opens without a report
    from her2scope.reporting.csv_report import CsvReport
    from her2scope.reporting.html_report import HtmlReport
    from her2scope.reporting.json_report import JsonReport
    from her2scope.reporting.pdf_report import PdfReport

    return {"pdf": PdfReport(palette), "html": HtmlReport(palette), "json": JsonReport(), "csv": CsvReport()}


def write_report(
    content: ReportContent, out_dir: Path, palette: Palette = SAFE, kinds: Sequence[str] = STANDARD
) -> list[Path]:
    """Write `report.pdf`, `report.html` and `report.json` (or other `kinds`) to `out_dir`.

    All are rendered before the first is written: a fault in one leaves no set of files that do not belong together.

    Raises
    ------
    NotAvailableError
        For a kind that is none of `KINDS`.
    DiskFullError, StoreError
        If a file cannot be written.
    """
    files: dict[str, bytes] = {}
    for kind in dict.fromkeys(kinds):
        files |= _rendered(kind, content, palette)
    for name, data in files.items():
        write_aside(out_dir / name, data)
    return [out_dir / name for name in files]


def _rendered(kind: str, content: ReportContent, palette: Palette) -> Mapping[str, bytes]:
    """Bytes of all files of a kind, by their names."""
    if kind not in KINDS:
        raise NotAvailableError("kind of report", kind, list(KINDS))
    if kind == "geojson":
        from her2scope.reporting.geojson_report import geojson_files

        return geojson_files(content, palette)
    writer = writers(palette)[kind]
    return {f"report{writer.suffix}": writer.render(content)}
