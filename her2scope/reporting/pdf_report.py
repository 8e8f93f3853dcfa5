"""The report for people: page one is read in ten seconds, the pages after it let a colleague check each cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reportlab.platypus import CondPageBreak, KeepTogether, PageBreak, Spacer
from reportlab.platypus.flowables import Flowable

from her2scope.domain.regions import Region
from her2scope.domain.score_sentence import INTERVAL_SCOPE
from her2scope.overlays.model import FOR_REPORT, OverlaySelection
from her2scope.overlays.palette import SAFE, Palette
from her2scope.overlays.raster import draw_overlay
from her2scope.records import AcceptedField, CaseView, ControlReading, FieldResult, ReportContent, RgbImage
from her2scope.reporting import doubt, hand, record, words
from her2scope.reporting.cap import HANDLING_TITLE, handling_words
from her2scope.reporting.content import FieldRow, field_rows, share_rows, versions
from her2scope.reporting.event_words import history
from her2scope.reporting.files import write_aside
from her2scope.reporting.images import at_most
from her2scope.reporting.pdf_hand import hand_part, plan_part
from her2scope.reporting.pdf_pages import (
    control_head,
    control_notice,
    doubt_part,
    field_pictures,
    legend_of,
    listed,
    pdf_bytes,
    reference_box,
    status_box,
    verdict,
    versions_part,
)
from her2scope.reporting.pdf_parts import (
    HALF,
    HEIGHT,
    PICTURE_PX,
    WIDTH,
    picture,
    share_chart,
    side_by_side,
    table,
)
from her2scope.reporting.pdf_record import cap_part, chart_part, record_part, told_line
from her2scope.reporting.pdf_text import (
    BAD,
    BAD_PALE,
    GREY,
    INK,
    PALE,
    WARN,
    WARN_PALE,
    bullets,
    heading,
    led,
    notice,
    text,
)
from her2scope.reporting.region_marks import draw_regions

_CONTROL_HEIGHT = 0.32 * HEIGHT


class PdfReport:
    """Writes the PDF; the same content gives the same bytes."""

    suffix = ".pdf"

    def __init__(self, palette: Palette = SAFE, selection: OverlaySelection = FOR_REPORT) -> None:
        self._palette, self._selection = palette, selection

    def render(self, content: ReportContent) -> bytes:
        """Bytes of the file."""
        view = content.case
        return pdf_bytes(
            self._story(content),
            f"{content.title}, case {words.clean(view.case_id)}",
            view.program.version,
            footer=f"Case {words.clean(view.case_id)}  \u00b7  {content.title}",
            seal=record.head_text(view.head),
            as_of_utc=content.as_of_utc,
        )

    def write(self, content: ReportContent, path: Path) -> None:
        """Write the report to `path`."""
        write_aside(path, self.render(content))

    def _story(self, content: ReportContent) -> list[Flowable]:
        view = content.case
        story = [*_first_page(content, self._palette), *cap_part(content)]
        story += [*_field_table(view), *plan_part(view), *hand_part(view)]
        for reading in words.latest_readings(view):
            story += [PageBreak(), *self._control_page(content, reading)]
        for item, row in zip(view.active_fields, field_rows(view), strict=True):
            story += [PageBreak(), *self._field_page(item, row, view.regions)]
        return [*story, PageBreak(), *_method_page(content)]

    def _control_page(self, content: ReportContent, reading: ControlReading) -> list[Flowable]:
        story = control_head(reading)
        plain = at_most(reading.result.frame.rgb, PICTURE_PX)
        overlay = draw_overlay(plain, reading.result, self._palette, self._selection)
        story += chart_part(reading, content.control_history)
        story += self._beside(reading.result, plain, overlay)
        earlier = words.earlier_readings(content.case, reading)
        if earlier:
            widths = [0.2 * WIDTH, 0.14 * WIDTH, 0.66 * WIDTH]
            story += [
                heading("Earlier readings of this control"),
                table(("Read", "Verdict", "Reasons"), earlier, widths),
            ]
        return story

    def _field_page(self, item: AcceptedField, row: FieldRow, regions: Sequence[Region]) -> list[Flowable]:
        story: list[Flowable] = [heading(f"Field {row.number}: {row.score}"), text(row.image, 9, colour=GREY, after=2)]
        story.append(text(words.field_facts(item), 8.5, colour=GREY, after=2))
        if row.note:
            story.append(text(row.note, 8.5, colour=WARN, after=2))
        if item.n_corrected:
            story.append(text(hand.MARKS_KEY, 8, colour=GREY, after=2))
        remark, max_height = words.clean(item.annotation), 0.39 * HEIGHT
        if remark:
            story.append(notice("Reader's remark:", _short(remark, "under Remarks on fields"), INK, PALE))
            max_height = 0.355 * HEIGHT  # both pictures still share the page
        plain = at_most(item.result.frame.rgb, PICTURE_PX)
        overlay = draw_overlay(plain, item.result, self._palette, self._selection, item.counted, item.corrections)
        overlay = draw_regions(overlay, item, regions)
        return story + field_pictures(item.result, plain, overlay, self._palette, max_height)

    def _beside(self, result: FieldResult, plain: RgbImage, overlay: RgbImage) -> list[Flowable]:
        """A control field with the overlay and without, side by side: its chart shares the page."""
        if not result.cells:
            return [Spacer(1, 4), picture(plain, _CONTROL_HEIGHT)]
        titled = (("Control field, with cells", overlay), ("Without", plain))
        panels: list[list[Flowable]] = [
            [text(title, 8, bold=True, after=2), picture(rgb, _CONTROL_HEIGHT, HALF)] for title, rgb in titled
        ]
        return [Spacer(1, 4), KeepTogether([side_by_side(panels), legend_of(result, self._palette)])]


# ---- page one -----------------------------------------------------------------------------------------------------


def _first_page(content: ReportContent, palette: Palette) -> list[Flowable]:
    view = content.case
    return [
        *_head(content),
        _verdict(view),
        *_doubt(view),
        *_overridden(view),
        *listed("Why it is not reportable", words.blocking(view), BAD),
        *listed("Why this score", words.reasons(view)),
        *_shares(view, palette),
        *_left_out(view),
        *_control(view),
        *_long_remark(view),
    ]


def _head(content: ReportContent) -> list[Flowable]:
    return [
        text(content.title, 17, bold=True),
        text(f"Case {content.case.case_id}", 13, bold=True, after=2),
        *([text(said, 9.5, after=2)] if (said := hand.case_data_line(content.case.data)) else []),
        text(words.case_line(content), 8, colour=GREY, after=2),
        text(words.disclaimer(content), 8.5, bold=True, colour=BAD, after=3),
        told_line(record.state(content), 10),
        told_line(record.validation(content), 9),
        Spacer(1, 4),
    ]


def _verdict(view: CaseView) -> Flowable:
    """The three answers of page one: reference score, the pathologist's own score, reportable or not."""
    reference = reference_box(view.score.score, words.score_text(view), words.category_text(view), words.basis(view))
    entered = view.reader_score is not None and view.reader_score.score is not None
    own = [
        text("Pathologist's own score", 8.5, colour=GREY),
        text(words.reader_text(view), 38 if entered else 15, bold=entered),
        *([text(_short(words.reader_remark(view), "below", MAX_OWN_REMARK), 8.5)] if words.reader_remark(view) else []),
        *([text(words.reader_note(view), 8, colour=WARN)] if words.reader_note(view) else []),
        text(f"ISH: {words.ish_text(view)}", 8, colour=GREY),
    ]
    tone = words.reportable_tone(view)
    status = status_box(words.reportable_text(view), words.control_headline(view), tone, doubt.settle_text(view))
    return verdict(reference, own, status, tone)


def _doubt(view: CaseView) -> list[Flowable]:
    scope = INTERVAL_SCOPE if view.score.interval95_percent is not None else ""
    return doubt_part(words.sentence(view.score.sentence), doubt.probability_text(view), scope)


MAX_REMARK, MAX_OWN_REMARK = 300, 120
"""Characters of a remark beside a picture, and beside the own score; the whole of it stands elsewhere."""


def _short(remark: str, where: str, most: int = MAX_REMARK) -> str:
    return remark if len(remark) <= most else f"{remark[:most].rstrip()} \u2026 (whole remark {where})"


def _overridden(view: CaseView) -> list[Flowable]:
    """Moved cuts, handling of the tissue, override: boxes that may grow, before all that explains."""
    found: list[Flowable] = []
    if hand.deviation(view):
        found.append(notice(hand.DEVIATION_TITLE, hand.deviation(view), WARN, WARN_PALE))
    if handling_words(view.data):
        found.append(notice(HANDLING_TITLE, handling_words(view.data), WARN, WARN_PALE))
    if view.override_reason:
        found.append(notice("Invalid control overridden. Reason given:", view.override_reason, BAD, BAD_PALE))
    return found


def _long_remark(view: CaseView) -> list[Flowable]:
    """The whole remark, where the box of the own score has but its beginning: after what page one must hold."""
    remark = words.reader_remark(view)
    return [notice("Pathologist's remark:", remark, INK, PALE)] if len(remark) > MAX_OWN_REMARK else []


def _shares(view: CaseView, palette: Palette) -> list[Flowable]:
    title = heading(f"Membrane staining of {words.count(view.score.counts.n_tumour, 'tumour cell')}")
    return [title, share_chart(share_rows(view.score), palette)]


def _control(view: CaseView) -> list[Flowable]:
    return [
        heading("Control of the staining run"),
        control_notice(view.standing, words.control_headline(view), words.control_paragraph(view)),
        *bullets(words.control_reasons(view)),
    ]


def _left_out(view: CaseView) -> list[Flowable]:
    found = words.not_assessed(view)
    return [led("Not counted:", " ".join(found), 8.5)] if found else []


# ---- further pages ------------------------------------------------------------------------------------------------


_SHORT_HEADS = ("compl. intense", "compl. moderate", "incompl. intense", "incompl. faint", "none")


def _field_table(view: CaseView) -> list[Flowable]:
    """Table of the fields, below page one's answers where it fits whole, else on a page of its own."""
    if not view.active_fields:
        return []
    head = ("Field", "Image", "Tumour", "Other", *_SHORT_HEADS, "Score")
    widths = [share * WIDTH for share in (0.06, 0.24, 0.08, 0.07, 0.09, 0.11, 0.10, 0.10, 0.07, 0.08)]
    made = table(head, [_field_cells(row) for row in field_rows(view)], widths, right=range(2, 9))
    said = "Shares in percent, of each field by itself; tumour and other cells as the case counts them."
    note = text(said, 8, colour=GREY, after=3)
    _, height = made.wrap(WIDTH, HEIGHT)
    return [CondPageBreak(min(height + 50, 0.9 * HEIGHT)), heading("Fields"), note, made]


def _field_cells(row: FieldRow) -> list[str | Flowable]:
    image = row.image + (f". {row.note}" if row.note else "")
    return [str(row.number), image, str(row.n_tumour), str(row.n_other), *row.shares, row.score]


def _method_page(content: ReportContent) -> list[Flowable]:
    view = content.case
    story: list[Flowable] = [heading("Method and limits"), text(words.method_text(view), after=4)]
    story += [*bullets(words.limits(view)), *record_part(content)]
    story += versions_part(versions(view), view.settings, view.calibration)
    if view.events:
        head = ("No.", "Time", "Who", "What")
        story += [
            heading("History"),
            table(head, history(view.events), [share * WIDTH for share in (0.07, 0.2, 0.23, 0.5)]),
        ]
    return story
