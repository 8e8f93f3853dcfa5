"""Many cases in one table: a row for each, also for one that cannot be read."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence

from her2scope.domain.cells import SHARE_ORDER
from her2scope.domain.score import ControlStatus
from her2scope.ports import JsonObject
from her2scope.records import CaseView
from her2scope.reporting import words
from her2scope.reporting.csv_report import inert
from her2scope.reporting.html_pages import html_page
from her2scope.reporting.html_parts import paragraph, said, tag
from her2scope.reporting.html_parts import table as html_table
from her2scope.reporting.json_parts import MEASURE_DIGITS, SHARE_DIGITS, rounded
from her2scope.reporting.json_report import json_bytes

SCHEMA = "her2scope.case-table/1"
TITLE = "HER2 IHC reference scores"
DISCLAIMER = "Research use only. Not validated for diagnosis; the pathologist's own score decides."
COLUMNS = (
    "case_id", "slide", "specimen", "antibody_clone", "opened_utc", "finished_utc", "state", "version", "signed_by",
    "signed_utc", "score", "category", "reader_score", "reportable", "borderline", "control", "n_fields", "n_tumour",
    *(f"{name}_{what}" for name in SHARE_ORDER for what in ("percent", "low95", "high95")),
    "guideline", "method", "model", "model_sha256", "settings_sha256", "n_events", "head_sha256", "problem",
)  # fmt: skip
"""Names of the columns in CSV and JSON."""
_SHOWN = {
    "case_id": "Case", "slide": "Slide", "state": "State", "signed_by": "Signed by", "score": "Reference score",
    "category": "Category", "reader_score": "Own score", "reportable": "Reportable", "control": "Control",
    "n_fields": "Fields", "n_tumour": "Tumour cells", "complete_intense_percent": "Complete, intense %",
    "problem": "Problem",
}  # fmt: skip
"""Columns of the HTML table, which is to be read; the others are for programs."""

Row = Mapping[str, str | int | float | bool | None]
"""A value for each of `COLUMNS`; None where there is none."""


def case_row(view: CaseView) -> Row:
    """Row of a case that was read."""
    score, data, program = view.score, view.data, view.program
    newest = view.sign_off.signatures[-1] if view.sign_off.signatures else None
    row: dict[str, str | int | float | bool | None] = {
        "case_id": view.case_id,
        "slide": " ".join(filter(None, map(words.clean, (data.accession, data.block, data.slide)))),
        "specimen": words.clean(data.specimen),
        "antibody_clone": words.clean(data.antibody_clone),
        "opened_utc": view.opened_utc,
        "finished_utc": view.finished_utc,
        "state": view.sign_off.status.value,
        "version": view.sign_off.version,
        "signed_by": words.clean(newest.name) if newest else None,
        "signed_utc": newest.at_utc if newest else None,
        "score": score.score,
        "category": score.category.value,
        "reader_score": words.reader_text(view) if view.reader_score else None,
        "reportable": score.reportable,
        "borderline": score.borderline,
        "control": view.standing.status.value,
        "n_fields": len(view.active_fields),
        "n_tumour": score.counts.n_tumour,
        **_shares(view),
        "guideline": view.guideline,
        "method": program.method,
        "model": program.model_name,
        "model_sha256": program.model_sha256,
        "settings_sha256": view.settings_sha256,
        "n_events": view.head.n_events,
        "head_sha256": view.head.digest,
        "problem": None,
    }
    return {name: row[name] if row[name] != "" else None for name in COLUMNS}


def problem_row(case_id: str, problem: str) -> Row:
    """Row of a case that could not be read: it is there, and nothing is known of it."""
    return {**dict.fromkeys(COLUMNS), "case_id": case_id, "problem": words.clean(problem)}


def _shares(view: CaseView) -> dict[str, float | None]:
    shares, intervals = view.score.shares_percent or {}, view.score.interval95_percent or {}
    found: dict[str, float | None] = {}
    for name in SHARE_ORDER:
        low, high = intervals.get(name, (None, None))
        found[f"{name}_percent"] = rounded(shares.get(name), SHARE_DIGITS)
        found[f"{name}_low95"], found[f"{name}_high95"] = rounded(low, MEASURE_DIGITS), rounded(high, MEASURE_DIGITS)
    return found


# ---- the kinds ----------------------------------------------------------------------------------------------------


def cases_json(rows: Sequence[Row]) -> JsonObject:
    """The table as `her2scope.case-table/1`."""
    return {"schema": SCHEMA, "cases": [dict(row) for row in rows]}


def _json(rows: Sequence[Row]) -> bytes:
    return json_bytes(cases_json(rows))


def _csv(rows: Sequence[Row]) -> bytes:
    """For a spreadsheet: UTF-8 with its mark, true and false in words, empty where there is nothing."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([_plain(row[name]) for name in COLUMNS] for row in rows)
    return text.getvalue().encode("utf-8-sig", errors="replace")


def _plain(value: str | int | float | bool | None) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else inert(str(value))


def _html(rows: Sequence[Row]) -> bytes:
    """One page that loads nothing, as the report of a case."""
    head = tag("h1", said(f"{TITLE}: {words.count(len(rows), 'case')}")) + paragraph(DISCLAIMER, "disclaimer")
    shown = html_table(tuple(_SHOWN.values()), [[_told(row, name) for name in _SHOWN] for row in rows], class_="cases")
    return html_page(TITLE, [head + shown])


def _told(row: Row, name: str) -> str:
    value = row[name]
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "NO"
        case float():
            return f"{value:.1f}"
    if name == "control" and value == ControlStatus.INVALID and row["reportable"]:
        return f"{value}, overridden"
    if name == "state" and row["version"] != 1:
        return f"{value}, version {row['version']}"
    return str(value).replace("_", " ") if name == "state" else str(value)


TABLES: Mapping[str, Callable[[Sequence[Row]], bytes]] = {".csv": _csv, ".json": _json, ".html": _html}
"""Bytes of a table by the suffix of its file."""
