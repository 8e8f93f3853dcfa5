"""The report for a browser: one file, no network, no script; every cell says what was measured when pointed at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from her2scope.domain.regions import Region
from her2scope.domain.score_sentence import INTERVAL_SCOPE
from her2scope.overlays.palette import SAFE, Palette
from her2scope.records import AcceptedField, CaseView, ControlReading, ReportContent
from her2scope.reporting import doubt, hand, record, words
from her2scope.reporting.cap import HANDLING_TITLE, handling_words
from her2scope.reporting.content import FieldRow, field_rows, share_rows, versions
from her2scope.reporting.event_words import history
from her2scope.reporting.files import write_aside
from her2scope.reporting.html_pages import (
    control_head,
    control_notice,
    doubt_parts,
    html_page,
    legend_of,
    reference_box,
    status_box,
    verdict,
    versions_sections,
)
from her2scope.reporting.html_parts import (
    accepted_view,
    bullets,
    field_view,
    marker_symbols,
    notice,
    paragraph,
    said,
    section,
    share_chart,
    table,
    tag,
    told_line,
)
from her2scope.reporting.html_plan import plan_svg
from her2scope.reporting.html_record import cap_section, chart_section, record_section
from her2scope.reporting.slide_plan import PLAN_KEY, PLAN_TITLE, slide_plan

_SHARE_HEADS = (
    "Complete, intense %",
    "Complete, moderate %",
    "Incomplete, intense %",
    "Incomplete, faint %",
    "None %",
)


_ONE_PLAN, _PLAN = (860.0, 560.0), (480.0, 560.0)
"""Most of a plan's width and height in CSS pixels, by itself and with another beside it."""


class HtmlReport:
    """Writes one self-contained HTML file."""

    suffix = ".html"

    def __init__(self, palette: Palette = SAFE) -> None:
        self._palette = palette

    def render(self, content: ReportContent) -> bytes:
        """Bytes of the file; the same content gives the same bytes."""
        return html_page(f"{content.title}, case {content.case.case_id}", self._body(content))

    def write(self, content: ReportContent, path: Path) -> None:
        """Write the report to `path`."""
        write_aside(path, self.render(content))

    def _body(self, content: ReportContent) -> list[str]:
        view = content.case
        parts = [marker_symbols(), _head(content), _verdict(view), *_doubt(view), *_overridden(view), *_why(view)]
        parts += [self._shares(view), _control(view), *section("Not counted", bullets(words.not_assessed(view)))]
        parts += cap_section(content)
        parts += section("Fields", _field_table(view) if view.active_fields else "")
        parts += [*_plan(view), *_hand(view)]
        parts += [self._control_field(content, reading) for reading in words.latest_readings(view)]
        rows = zip(view.active_fields, field_rows(view), strict=True)
        parts += [self._field(item, row, view.regions) for item, row in rows]
        return [*parts, *_method(content), tag("footer", _seal(view))]

    def _shares(self, view: CaseView) -> str:
        title = f"Membrane staining of {words.count(view.score.counts.n_tumour, 'tumour cell')}"
        return tag("h2", said(title)) + share_chart(share_rows(view.score), self._palette)

    def _control_field(self, content: ReportContent, reading: ControlReading) -> str:
        inner = control_head(reading)
        inner += chart_section(reading, content.control_history)
        inner += field_view(f"control-{reading.number}", reading.result, self._palette)
        inner += legend_of(reading.result, self._palette)
        return tag("section", inner + _earlier(words.earlier_readings(content.case, reading)), class_="field")

    def _field(self, item: AcceptedField, row: FieldRow, regions: Sequence[Region]) -> str:
        inner = tag("h3", said(f"Field {row.number}: {row.score}")) + paragraph(
            f"{row.image}. {words.field_facts(item)}", "grey small"
        )
        inner += paragraph(row.note, "warn small") if row.note else ""
        inner += paragraph(hand.MARKS_KEY, "grey small") if item.n_corrected else ""
        inner += notice("Reader's remark:", item.annotation, "plain") if item.annotation.strip() else ""
        inner += accepted_view(f"field-{row.number}", item, self._palette, regions)
        inner += legend_of(item.result, self._palette)
        return tag("section", inner, class_="field", id=f"field-{row.number}")


def _head(content: ReportContent) -> str:
    inner = tag("h1", said(content.title)) + paragraph(f"Case {content.case.case_id}", "case")
    inner += paragraph(hand.case_data_line(content.case.data)) if hand.case_data(content.case.data) else ""
    inner += paragraph(words.case_line(content), "grey small")
    inner += paragraph(words.disclaimer(content), "disclaimer")
    inner += told_line(record.state(content)) + told_line(record.validation(content))
    return tag("header", inner + _seal(content.case))


def _verdict(view: CaseView) -> str:
    """The three answers: reference score, the pathologist's own score, reportable or not."""
    reference = reference_box(view.score.score, words.score_text(view), words.category_text(view), words.basis(view))
    entered = view.reader_score is not None and view.reader_score.score is not None
    own = paragraph("Pathologist's own score", "grey small")
    own += paragraph(words.reader_text(view), "score" if entered else "score words")
    own += paragraph(words.reader_remark(view)) if words.reader_remark(view) else ""
    own += paragraph(words.reader_note(view), "warn small") if words.reader_note(view) else ""
    own += paragraph(f"ISH: {words.ish_text(view)}", "grey small")
    tone = words.reportable_tone(view)
    status = status_box(words.reportable_text(view), words.control_headline(view), tone, doubt.settle_text(view))
    return verdict(reference, own, status, tone)


def _doubt(view: CaseView) -> list[str]:
    scope = INTERVAL_SCOPE if view.score.interval95_percent is not None else ""
    return doubt_parts(words.sentence(view.score.sentence), doubt.probability_text(view), scope)


def _overridden(view: CaseView) -> list[str]:
    """Moved cuts, handling of the tissue and an override: what must be known before any explanation is read."""
    found = [notice(hand.DEVIATION_TITLE, hand.deviation(view), "warn")] if hand.deviation(view) else []
    if handling_words(view.data):
        found.append(notice(HANDLING_TITLE, handling_words(view.data), "warn"))
    if view.override_reason:
        found.append(notice("Invalid control overridden. Reason given:", view.override_reason, "bad"))
    return found


def _why(view: CaseView) -> list[str]:
    blocked = section("Why it is not reportable", bullets(words.blocking(view), "bad"))
    return blocked + section("Why this score", bullets(words.reasons(view)))


def _control(view: CaseView) -> str:
    inner = tag("h2", "Control of the staining run")
    inner += control_notice(view.standing, words.control_headline(view), words.control_paragraph(view))
    return inner + bullets(words.control_reasons(view))


def _earlier(rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    return tag("h3", "Earlier readings of this control") + table(("Read", "Verdict", "Reasons"), rows)


def _field_table(view: CaseView) -> str:
    head = ("Field", "Image", "Tumour", "Other", *_SHARE_HEADS, "Score", "Note")
    rows = [
        (str(row.number), row.image, str(row.n_tumour), str(row.n_other), *row.shares, row.score, row.note)
        for row in field_rows(view)
    ]
    note = paragraph("Shares of each field by itself; tumour and other cells as the case counts them.", "grey small")
    return note + table(head, rows, numbers=range(2, 9), class_="fields")


def _plan(view: CaseView) -> list[str]:
    """Plan of the slide; nothing where no map tells how the fields lie."""
    plan = slide_plan(view, doubt.hot_spots(view))
    if not plan.panels:
        return []
    scale = plan.scale(*(_ONE_PLAN if len(plan.panels) == 1 else _PLAN))
    titles = [tag("h3", said(panel.title)) if panel.title else "" for panel in plan.panels]
    drawn = [tag("div", title + plan_svg(panel, scale)) for title, panel in zip(titles, plan.panels, strict=True)]
    key = paragraph(" ".join([PLAN_KEY, plan.note]).strip(), "grey small")
    return section(PLAN_TITLE, key + tag("div", "".join(drawn), class_="plans"))


def _hand(view: CaseView) -> list[str]:
    """Regions, corrected cells, remarks, swept fields and the internal control; nothing where there is none."""
    regions = [row.cells for row in hand.region_rows(view)]
    parts = section("Outlined regions", table(hand.REGION_HEAD, regions) if regions else "")
    parts += [paragraph(line) for line in (hand.swept_text(view), hand.duct_text(view)) if line]
    corrections, remarks = hand.correction_rows(view), hand.remark_rows(view)
    title = f"{words.count(hand.n_corrected(view), 'cell')} corrected by the reader"
    parts += section(title, table(hand.CORRECTION_HEAD, corrections, numbers=(3,)) if corrections else "")
    return parts + section("Remarks on fields", table(hand.REMARK_HEAD, remarks) if remarks else "")


def _method(content: ReportContent) -> list[str]:
    view = content.case
    method = paragraph(words.method_text(view)) + bullets(words.limits(view))
    parts = section("Method and limits", method) + record_section(content)
    parts += versions_sections(versions(view), view.settings, view.calibration)
    if view.events:
        parts += section("History", table(("No.", "Time", "Who", "What"), history(view.events)))
    return parts


def _seal(view: CaseView) -> str:
    """End of the chain; it stands at the top and, as on the last page of the PDF, at the end."""
    return paragraph(record.head_text(view.head), "grey small") if view.head.digest else ""
