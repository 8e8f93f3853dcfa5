"""`slides.csv`: one line for each slide of a folder of results, with the reason where there is no score."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from her2scope.domain.errors import BadInputError
from her2scope.reporting.files import write_aside
from her2scope.reporting.words import clean
from her2scope.slides.records import SlideOutcome

TABLE_NAME = "slides.csv"
COLUMNS = (
    "slide", "folder", "score", "category", "reportable", "complete_percent", "complete_low_percent",
    "complete_high_percent", "n_tumour", "control", "tissue_mm2", "why_no_score",
)  # fmt: skip


def read_table(out: Path) -> dict[str, dict[str, str]]:
    """Lines of an earlier run by folder name; empty where there is no table.

    Raises BadInputError for a file of that name which this program did not write.
    """
    path = out / TABLE_NAME
    if not path.exists():
        return {}
    try:
        table = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
        rows = list(table)
    except (OSError, ValueError, csv.Error) as error:
        raise _foreign(path) from error
    if tuple(table.fieldnames or ()) != COLUMNS or any(None in row or None in row.values() for row in rows):
        raise _foreign(path)
    return {row["folder"]: row for row in rows}


def _foreign(path: Path) -> BadInputError:
    return BadInputError(f"{path}: this program did not write this table. Give another --out, or move it away.")


def write_table(
    out: Path, earlier: Mapping[str, Mapping[str, str]], outcomes: Sequence[tuple[str, SlideOutcome]]
) -> None:
    """Write the lines of this run in the place of those of the same slides; others stay. Sorted by name."""
    rows = {**earlier, **{stem: _row(stem, outcome) for stem, outcome in outcomes}}
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[stem] for stem in sorted(rows))
    write_aside(out / TABLE_NAME, text.getvalue().encode("utf-8", errors="replace"))


def _row(stem: str, outcome: SlideOutcome) -> dict[str, str]:
    row = dict.fromkeys(COLUMNS, "")
    row |= {"slide": outcome.path.name, "folder": stem, "why_no_score": clean(outcome.problem)}
    score = outcome.score
    if score is None:
        return row
    low, high = score.complete_interval95_percent or (None, None)
    return row | {
        "score": score.case.score or "",
        "category": score.case.category.value,
        "reportable": "yes" if score.case.reportable else "no",
        "complete_percent": _figure(score.complete_percent),
        "complete_low_percent": _figure(low),
        "complete_high_percent": _figure(high),
        "n_tumour": str(score.case.counts.n_tumour),
        "control": score.standing.status.value,
        "tissue_mm2": _figure(score.counted_mm2),
    }


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
