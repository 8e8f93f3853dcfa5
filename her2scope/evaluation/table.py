"""The figures of all parts as one table, the methods side by side, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from her2scope.ports import JsonObject

SCHEMA = "her2scope.evaluation/1"
NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one method."""

    on: str
    """What it was measured on."""
    name: str
    wanted: str
    """What is asked of it, in words; empty where nothing is."""
    value: float | None
    text: str
    """The value as it is printed, or why there is none."""
    met: bool | None = None
    """None where nothing is asked, or nothing was measured."""


@dataclass(frozen=True, slots=True)
class PartReport:
    """What one part says of one method."""

    figures: tuple[Figure, ...]
    details: JsonObject = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """Lines to be read below the table."""


Reports = Mapping[str, PartReport]
"""By method."""


def at_least(on: str, name: str, value: float | None, limit: float, remark: str = "") -> Figure:
    """A share (0..1) that shall not be below a limit."""
    met = None if value is None else value >= limit
    return Figure(on, name, f"at least {limit:.2f}", value, _text(value, remark, "{:.3f}"), met)


def percent_at_least(on: str, name: str, share: float | None, limit_percent: float, remark: str = "") -> Figure:
    """A share (0..1), printed in percent, that shall not be below a limit."""
    met = None if share is None else 100 * share >= limit_percent
    text = _text(None if share is None else 100 * share, remark, "{:.1f} %")
    return Figure(on, name, f"at least {limit_percent:g} %", share, text, met)


def percent_at_most(on: str, name: str, share: float | None, limit_percent: float, remark: str = "") -> Figure:
    """A share (0..1), printed in percent, that shall not be above a limit."""
    met = None if share is None else 100 * share <= limit_percent
    text = _text(None if share is None else 100 * share, remark, "{:.1f} %")
    return Figure(on, name, f"at most {limit_percent:g} %" if limit_percent else "none", share, text, met)


def at_most(on: str, name: str, value: float | None, limit: float, unit: str, remark: str = "") -> Figure:
    """A value that shall not be above a limit."""
    met = None if value is None else value <= limit
    return Figure(on, name, f"at most {limit:g} {unit}", value, _text(value, remark, "{:.1f} " + unit), met)


def told(on: str, name: str, value: float | None, text: str) -> Figure:
    """A figure of which nothing is asked."""
    return Figure(on, name, "", value, text)


def not_measured(on: str, name: str, why: str, wanted: str = "") -> Figure:
    """A figure that could not be measured, and why."""
    return Figure(on, name, wanted, None, f"{NOT_MEASURED}: {why}")


def _text(value: float | None, remark: str, form: str) -> str:
    said = "nothing to measure" if value is None else form.format(value)
    return f"{said} ({remark})" if remark else said


# ---- all parts ----------------------------------------------------------------------------------------------------


def table_lines(parts: Mapping[str, Reports], methods: Sequence[str]) -> list[str]:
    """The table, then the notes of each part."""
    rows = [("on", "figure", "wanted", *methods), *_rows(parts, methods)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    rule = "  ".join("-" * width for width in widths)
    return [lines[0], rule, *lines[1:], *_notes(parts)]


def _rows(parts: Mapping[str, Reports], methods: Sequence[str]) -> Iterator[tuple[str, ...]]:
    last = ""
    for reports in parts.values():
        for row in zip(*(reports[method].figures for method in methods), strict=True):
            first = row[0]
            on, last = ("" if first.on == last else first.on), first.on
            yield (on, first.name, first.wanted, *(_cell(figure) for figure in row))


def _cell(figure: Figure) -> str:
    return figure.text if figure.met is None else f"{figure.text} {'met' if figure.met else 'NOT MET'}"


def _notes(parts: Mapping[str, Reports]) -> Iterator[str]:
    for part, reports in parts.items():
        for method, report in reports.items():
            for note in report.notes:
                yield f"{part}, {method}: {note}"


def table_json(parts: Mapping[str, Reports], methods: Sequence[str]) -> JsonObject:
    """The rows of the table and the details of each part, by method."""
    rows = [
        {
            "part": part,
            "on": row[0].on,
            "figure": row[0].name,
            "wanted": row[0].wanted,
            "values": {
                method: {"value": figure.value, "text": figure.text, "met": figure.met}
                for method, figure in zip(methods, row, strict=True)
            },
        }
        for part, reports in parts.items()
        for row in zip(*(reports[method].figures for method in methods), strict=True)
    ]
    details = {
        part: {method: reports[method].details | {"notes": list(reports[method].notes)} for method in methods}
        for part, reports in parts.items()
    }
    return {"table": rows, "details": details}
