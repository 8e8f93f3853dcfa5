"""State, validation, signatures, control chart and the entries of the CAP template, on the pages of the PDF."""

from __future__ import annotations

from collections.abc import Sequence

from reportlab.platypus import CondPageBreak, KeepTogether, Paragraph
from reportlab.platypus.flowables import Flowable

from her2scope.domain.control_history import ControlEntry
from her2scope.records import ControlReading, ReportContent
from her2scope.reporting import record
from her2scope.reporting.cap import CAP_KEY, CAP_TITLE, CapEntry, cap_entries
from her2scope.reporting.control_chart import CHART_TITLE, control_chart
from her2scope.reporting.pdf_parts import HEIGHT, WIDTH, chart, table
from her2scope.reporting.pdf_text import BAD, GOOD, GREY, INK, WARN, heading, led, text


def told_line(told: record.Told, size: float) -> Paragraph:
    """A line of page one: its title bold and coloured, so that it is seen without being read."""
    return led(told.title, told.text, size, GOOD if told.good else WARN)


def cap_part(content: ReportContent) -> list[Flowable]:
    """Entries of the CAP template."""
    rows = [(item.label, _entry(item)) for item in cap_entries(content)]
    widths = [0.3 * WIDTH, 0.7 * WIDTH]
    key = text(CAP_KEY, 8, colour=GREY, after=3)
    return [CondPageBreak(0.55 * HEIGHT), heading(CAP_TITLE), key, table((), rows, widths)]


def _entry(item: CapEntry) -> Flowable:
    fails = item.meets is False
    return text(item.text, 8, bold=fails, colour=BAD if fails else INK)


def chart_part(reading: ControlReading, history: Sequence[ControlEntry]) -> list[Flowable]:
    """Levey-Jennings chart of the control, or why there is none."""
    told, picture = control_chart(reading, history)
    said = text(told, 8, colour=GREY, after=3)
    if picture is None:
        return [said]
    return [KeepTogether([heading(CHART_TITLE), said, chart(picture)])]


def record_part(content: ReportContent) -> list[Flowable]:
    """State, validation, end of the chain and signatures."""
    story = [heading("Record"), table((), record.record_rows(content), [0.3 * WIDTH, 0.7 * WIDTH])]
    signatures = record.signature_rows(content.case)
    if signatures:
        widths = [share * WIDTH for share in (0.1, 0.26, 0.2, 0.14, 0.12, 0.18)]
        story += [heading("Signatures"), table(record.SIGNATURE_HEAD, signatures, widths)]
        story.append(text(record.SIGNATURE_KEY, 8, colour=GREY, after=2))
    return [*story, text(record.HEAD_KEY, 8, colour=GREY, after=2)] if content.case.head.digest else story
