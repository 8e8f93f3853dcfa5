"""What the PDF of a case and the PDF of a slide have in common: document, boxes of page one, controls, settings."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.platypus import KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table
from reportlab.platypus.flowables import Flowable

from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.overlays.model import legend_entries
from her2scope.overlays.outside import has_outside
from her2scope.overlays.palette import Palette
from her2scope.records import ControlReading, FieldResult, RgbImage
from her2scope.reporting import words
from her2scope.reporting.content import control_figures
from her2scope.reporting.pdf_parts import (
    FOOTER,
    FRAME_PADDING,
    MARGIN,
    WIDTH,
    NumberedCanvas,
    boxes,
    legend,
    picture,
    table,
)
from her2scope.reporting.pdf_text import (
    BAD,
    BAD_PALE,
    GOOD,
    GOOD_PALE,
    GREY,
    INK,
    PALE,
    WARN,
    WARN_PALE,
    bullets,
    heading,
    notice,
    text,
)

STATUS_COLOURS = {
    ControlStatus.VALID: (GOOD, GOOD_PALE),
    ControlStatus.WARNING: (WARN, WARN_PALE),
    ControlStatus.INVALID: (BAD, BAD_PALE),
    ControlStatus.ABSENT: (BAD, BAD_PALE),
}
"""Ink and ground of what a control says."""


def pdf_bytes(story: list[Flowable], title: str, version: str, *, footer: str, seal: str, as_of_utc: str = "") -> bytes:
    """The file; the same story gives the same bytes.

    Parameters
    ----------
    version : of the program
    footer, seal, as_of_utc : see `NumberedCanvas`
    """
    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=MARGIN - FRAME_PADDING,
        rightMargin=MARGIN - FRAME_PADDING,
        topMargin=MARGIN,
        bottomMargin=MARGIN + FOOTER,
        title=title,
        author=f"her2scope {version}",
        invariant=1,
    )
    document.build(story, canvasmaker=partial(NumberedCanvas, footer=footer, seal=seal, as_of_utc=as_of_utc))
    return buffer.getvalue()


# ---- page one -----------------------------------------------------------------------------------------------------


def control_notice(standing: ControlStanding, headline: str, paragraph: str) -> Paragraph:
    """What the control says; green only where it also holds for this score."""
    colour, ground = STATUS_COLOURS[standing.status]
    if standing.refusals and standing.status is ControlStatus.VALID:
        colour, ground = WARN, WARN_PALE
    return notice(f"{headline}.", paragraph, colour, ground)


def verdict(
    reference: Sequence[Flowable], middle: Sequence[Flowable], status: Sequence[Flowable], tone: ControlStatus
) -> Table:
    """The three answers of page one, side by side: reference score, another figure, reportable or not."""
    grounds = [PALE, "#ffffff", STATUS_COLOURS[tone][1]]
    return boxes([reference, middle, status], grounds, [0.38 * WIDTH, 0.31 * WIDTH, 0.31 * WIDTH])


def reference_box(score: str | None, score_text: str, category: str, basis: str) -> list[Flowable]:
    """The reference score, as large as it can be, and what it rests on."""
    return [
        text("Reference score", 8.5, colour=GREY),
        text(score_text, 22 if score is None else 38, bold=True),
        text(category, 12, bold=True),
        text(basis, 8, colour=GREY),
    ]


def status_box(reportable: str, headline: str, tone: ControlStatus, settle: str) -> list[Flowable]:
    """Whether the score may be reported; `settle` says what would settle a borderline one."""
    said: list[Flowable] = [
        text("This reference score is", 8.5, colour=GREY),
        text(reportable, 14, bold=True, colour=STATUS_COLOURS[tone][0]),
        text(headline, 9),
    ]
    return [*said, text("Borderline", 10, bold=True, colour=WARN), text(settle, 8.5)] if settle else said


def doubt_part(sentence: str, chances: str, scope: str) -> list[Flowable]:
    """The plain sentence and the probability of each score, and for which tissue they hold; what is empty is not."""
    story: list[Flowable] = [Spacer(1, 6), text(sentence, 11, bold=True, after=2)] if sentence else []
    story += [text(chances, 9, after=2)] if chances else []
    return story + ([text(scope, 8, colour=GREY, after=2)] if scope else [])


def listed(title: str, lines: tuple[str, ...], colour: str = INK) -> list[Flowable]:
    """Heading and bullets; nothing where there is nothing to say."""
    return [heading(title), *bullets(lines, colour=colour)] if lines else []


# ---- further pages ------------------------------------------------------------------------------------------------


def control_head(reading: ControlReading) -> list[Flowable]:
    """Verdict and figures of a reading of a control."""
    status = reading.verdict.status
    return [
        heading(f"Control {reading.expected}: {status.value}"),
        notice(f"{status.value.capitalize()}.", words.reading_summary(reading), *STATUS_COLOURS[status]),
        table((), control_figures(reading), [share * WIDTH for share in (0.28, 0.22, 0.28, 0.22)]),
    ]


def field_pictures(
    result: FieldResult, plain: RgbImage, overlay: RgbImage, palette: Palette, max_height: float
) -> list[Flowable]:
    """A field with the overlay and its legend, then without."""
    if not result.cells:
        return [Spacer(1, 4), picture(plain, max_height)]
    shown = [text("With cells", 8, bold=True, after=2), picture(overlay, max_height), Spacer(1, 3)]
    without = [text("Without", 8, bold=True, after=2), picture(plain, max_height)]
    return [Spacer(1, 4), KeepTogether([*shown, legend_of(result, palette)]), Spacer(1, 4), KeepTogether(without)]


def legend_of(result: FieldResult, palette: Palette) -> Flowable:
    """Markers of a field's classes with their shares."""
    return legend(legend_entries(palette, result.counts.shares_percent(), outside=has_outside(result)))


def versions_part(
    versions: Sequence[tuple[str, str]], settings: Mapping[str, Any], calibration: Mapping[str, Any]
) -> list[Flowable]:
    """What made the result, with all settings."""
    halves = [0.4 * WIDTH, 0.6 * WIDTH]
    story: list[Flowable] = [heading("Versions"), table((), versions, halves)]
    for title, values in (("Settings", settings), ("Calibration", calibration)):
        rows = list(words.flat(values)) or [("-", "none")]
        story += [heading(title), table((), rows, halves)]
    return story
