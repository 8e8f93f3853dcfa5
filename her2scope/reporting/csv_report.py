"""One row per cell, for a spreadsheet or statistics."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from her2scope.domain.cells import CellClass
from her2scope.domain.corrections import Correction
from her2scope.records import AcceptedField, ReportContent
from her2scope.reporting.cell_standing import as_read, corrections, standings
from her2scope.reporting.files import write_aside

COLUMNS = (
    "case_id",
    "field",
    "image",
    "cell",
    "x_px",
    "y_px",
    "nucleus_radius_um",
    "kind",
    "edge",
    "counted",
    "completeness",
    "intense_share",
    "intensity_od10",
    "class",
    "class_as_read",
    "correction",
    "standing",
    "uncertain",
)


class CsvReport:
    """Writes the cells of the active fields; `counted` marks the tumour cells that the case score counts.

    `class` is the one in force; `standing` says why a cell is counted or not.
    """

    suffix = ".csv"

    def render(self, content: ReportContent) -> bytes:
        """Bytes of the file; the mark at its start tells a spreadsheet that it is UTF-8."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for item in content.case.active_fields:
            writer.writerows([inert(content.case.case_id), *row] for row in _rows(item))
        return text.getvalue().encode("utf-8-sig", errors="replace")

    def write(self, content: ReportContent, path: Path) -> None:
        """Write the report to `path`."""
        write_aside(path, self.render(content))


def _rows(item: AcceptedField) -> Iterator[list[object]]:
    cells = zip(item.result.cells, as_read(item).cells, item.counted, corrections(item), standings(item), strict=True)
    for number, (cell, read, counted, correction, standing) in enumerate(cells, start=1):
        measure = cell.measure
        yield [
            item.number,
            inert(item.result.frame.name),
            number,
            f"{cell.x_px:.2f}",
            f"{cell.y_px:.2f}",
            f"{cell.nucleus_radius_um:.2f}",
            cell.kind.value,
            str(bool(cell.edge)).lower(),
            str(bool(counted and cell.cell_class is not None)).lower(),
            f"{measure.completeness:.4f}",
            f"{measure.intense_share:.4f}",
            f"{measure.intensity_od10:.4f}",
            _value(cell.cell_class),
            _value(read.cell_class),
            _value(correction),
            standing.value,
            str(cell.is_uncertain_faint).lower(),
        ]


def _value(name: CellClass | Correction | None) -> str:
    return "" if name is None else name.value


def inert(text: str) -> str:
    """Keep a spreadsheet from running a name as a formula."""
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
