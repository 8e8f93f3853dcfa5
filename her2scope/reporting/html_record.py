"""Control chart, entries of the CAP template and the record, on the HTML page."""

from __future__ import annotations

from collections.abc import Sequence

from her2scope.domain.control_history import ControlEntry
from her2scope.records import ControlReading, ReportContent
from her2scope.reporting import record
from her2scope.reporting.cap import CAP_KEY, CAP_TITLE, CapEntry, cap_entries
from her2scope.reporting.control_chart import CHART_TITLE, control_chart
from her2scope.reporting.html_parts import paragraph, picture, said, section, table, tag


def cap_section(content: ReportContent) -> list[str]:
    """Entries of the CAP template."""
    rows = "\n".join(map(_entry, cap_entries(content)))
    return section(CAP_TITLE, paragraph(CAP_KEY, "grey small") + tag("table", tag("tbody", rows), class_="pairs"))


def _entry(item: CapEntry) -> str:
    fails = "bad" if item.meets is False else ""
    return tag("tr", tag("th", said(item.label)) + tag("td", said(item.text), class_=fails))


def chart_section(reading: ControlReading, history: Sequence[ControlEntry]) -> str:
    """Levey-Jennings chart of the control, or why there is none."""
    told, drawn = control_chart(reading, history)
    note = paragraph(told, "grey small")
    return note if drawn is None else tag("h3", CHART_TITLE) + note + picture(drawn, CHART_TITLE)


def record_section(content: ReportContent) -> list[str]:
    """State, validation, end of the chain and signatures."""
    inner = table((), record.record_rows(content), class_="pairs")
    inner += paragraph(record.HEAD_KEY, "grey small") if content.case.head.digest else ""
    parts = section("Record", inner)
    signatures = record.signature_rows(content.case)
    if signatures:
        signed = table(record.SIGNATURE_HEAD, signatures) + paragraph(record.SIGNATURE_KEY, "grey small")
        parts += section("Signatures", signed)
    return parts
