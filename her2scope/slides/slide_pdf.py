"""The report of a slide as PDF: page one is read in ten seconds, the pages after it let a colleague check the cells."""

from __future__ import annotations

import io
from functools import partial

from reportlab.lib.pagesizes import A4
from reportlab.platypus import KeepTogether, PageBreak, SimpleDocTemplate, Spacer
from reportlab.platypus.flowables import Flowable

from her2scope.domain.score import ControlStatus
from her2scope.overlays.model import FOR_REPORT, legend_entries
from her2scope.overlays.palette import SAFE, Palette
from her2scope.overlays.raster import draw_overlay
from her2scope.records import ControlReading, FieldResult
from her2scope.reporting import words
from her2scope.reporting.content import control_figures
from her2scope.reporting.pdf_parts import (
    FOOTER,
    FRAME_PADDING,
    HEIGHT,
    MARGIN,
    WIDTH,
    NumberedCanvas,
    boxes,
    legend,
    picture,
    share_chart,
    table,
)
from her2scope.reporting.pdf_text import (
    BAD,
    BAD_PALE,
    GOOD,
    GOOD_PALE,
    GREY,
    PALE,
    WARN,
    WARN_PALE,
    bullets,
    heading,
    notice,
    text,
)
from her2scope.slides import slide_words as told
from her2scope.slides.records import SlideScore
from her2scope.slides.slide_places import Place
from her2scope.slides.slide_words import SlideContent

_COLOURS = {
    ControlStatus.VALID: (GOOD, GOOD_PALE),
    ControlStatus.WARNING: (WARN, WARN_PALE),
    ControlStatus.INVALID: (BAD, BAD_PALE),
    ControlStatus.ABSENT: (BAD, BAD_PALE),
}
_PLACE_HEIGHT = 0.38 * HEIGHT
_MAP_HEIGHT = 0.42 * HEIGHT


def slide_pdf(content: SlideContent, palette: Palette = SAFE) -> bytes:
    """Bytes of the file; the same content gives the same bytes."""
    buffer = io.BytesIO()
    score = content.score
    title = f"{told.TITLE}: {told.slide_name(score)}"
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=MARGIN - FRAME_PADDING,
        rightMargin=MARGIN - FRAME_PADDING,
        topMargin=MARGIN,
        bottomMargin=MARGIN + FOOTER,
        title=title,
        author=f"her2scope {score.program.version}",
        invariant=1,
    )
    # no date: the report tells of the slide, and two runs give the same file
    feet = {"footer": f"{told.slide_name(score)}  \u00b7  {told.TITLE}", "seal": told.DISCLAIMER, "as_of_utc": ""}
    document.build(_story(content, palette), canvasmaker=partial(NumberedCanvas, **feet))
    return buffer.getvalue()


def _story(content: SlideContent, palette: Palette) -> list[Flowable]:
    score = content.score
    story = [*_first_page(score, palette), *_maps(content)]
    for place in content.places:
        story += [PageBreak(), *_place(place, palette)]
    for reading in score.controls:
        story += [PageBreak(), *_control_page(reading, palette)]
    return [*story, PageBreak(), *_method_page(content)]


# ---- page one -----------------------------------------------------------------------------------------------------


def _first_page(score: SlideScore, palette: Palette) -> list[Flowable]:
    return [
        text(told.TITLE, 17, bold=True),
        text(told.slide_name(score), 13, bold=True, after=2),
        text(told.DISCLAIMER, 8.5, bold=True, colour=BAD, after=3),
        *_control(score),
        _verdict(score),
        *_doubt(score),
        *_listed("Why it is not reportable", told.blocking(score), BAD),
        *_listed("Why this score", told.reasons(score)),
        *_shares(score, palette),
        *_listed("Left out, and what to know", told.left_out(score)),
    ]


def _control(score: SlideScore) -> list[Flowable]:
    colour, ground = _COLOURS[score.standing.status]
    if score.standing.refusals and score.standing.status is ControlStatus.VALID:
        colour, ground = WARN, WARN_PALE
    found = notice(f"{told.control_headline(score)}.", told.control_paragraph(score), colour, ground)
    return [found, *bullets(told.control_reasons(score), 8.5), Spacer(1, 4)]


def _verdict(score: SlideScore) -> Flowable:
    """The three answers of page one: reference score, complete membranes, reportable or not."""
    colour, ground = _COLOURS[told.tone(score)]
    no_score = score.case.score is None
    reference = [
        text("Reference score", 8.5, colour=GREY),
        text(told.score_text(score), 22 if no_score else 38, bold=True),
        text(told.category_text(score), 12, bold=True),
        text(told.basis_text(score), 8, colour=GREY),
    ]
    complete = [
        text("Complete membrane staining", 8.5, colour=GREY),
        text(words.percent(score.complete_percent), 22, bold=True),
        text(f"95 % interval {words.interval(score.complete_interval95_percent)}", 8.5),
    ]
    status = [
        text("This reference score is", 8.5, colour=GREY),
        text(told.reportable_text(score), 14, bold=True, colour=colour),
        text(told.control_headline(score), 9),
    ]
    if score.case.borderline:
        status += [text("Borderline", 10, bold=True, colour=WARN), text(told.settle_text(score), 8.5)]
    return boxes([reference, complete, status], [PALE, "#ffffff", ground], [0.38 * WIDTH, 0.31 * WIDTH, 0.31 * WIDTH])


def _doubt(score: SlideScore) -> list[Flowable]:
    sentence, chances, scope = told.sentence_text(score), told.probability_text(score), told.scope_text(score)
    story: list[Flowable] = [Spacer(1, 6), text(sentence, 11, bold=True, after=2)] if sentence else []
    story += [text(chances, 9, after=2)] if chances else []
    return story + ([text(scope, 8, colour=GREY, after=2)] if scope else [])


def _listed(title: str, lines: tuple[str, ...], colour: str | None = None) -> list[Flowable]:
    if not lines:
        return []
    return [heading(title), *(bullets(lines, colour=colour) if colour else bullets(lines))]


def _shares(score: SlideScore, palette: Palette) -> list[Flowable]:
    n = score.case.counts.n_tumour
    if not n:
        return []
    title = heading(f"Membrane staining of {words.count(n, 'tumour cell')}")
    return [KeepTogether([title, share_chart(told.share_rows(score), palette)])]


# ---- further pages ------------------------------------------------------------------------------------------------


def _maps(content: SlideContent) -> list[Flowable]:
    shown = [(told.MAP_TITLE, content.tissue_map)]
    if content.heat_map is not None and content.staining_map is not None:
        shown += [("Complete membrane staining", content.heat_map), ("All staining", content.staining_map)]
    story: list[Flowable] = [PageBreak()]
    for title, rgb in shown:
        story.append(KeepTogether([heading(title), picture(rgb, _MAP_HEIGHT), Spacer(1, 6)]))
    rows = told.hot_spot_rows(content.score)
    if rows:
        story += [heading("Hot spots"), table(told.HOT_SPOT_HEAD, rows, [0.1 * WIDTH, 0.3 * WIDTH, 0.6 * WIDTH])]
    return story


def _place(place: Place, palette: Palette) -> list[Flowable]:
    return [heading(place.title), text(place.words, 8.5, colour=GREY, after=2), *_pictures(place.result, palette)]


def _control_page(reading: ControlReading, palette: Palette) -> list[Flowable]:
    status = reading.verdict.status
    colour, ground = _COLOURS[status]
    name = f"The field with most tumour cells: {words.clean(reading.result.frame.name)}"
    return [
        heading(f"Control {reading.expected}: {status.value}"),
        notice(f"{status.value.capitalize()}.", words.reading_summary(reading), colour, ground),
        table((), control_figures(reading), [share * WIDTH for share in (0.28, 0.22, 0.28, 0.22)]),
        text(name, 8.5, colour=GREY, after=2),
        *_pictures(reading.result, palette, 0.3 * HEIGHT),
    ]


def _pictures(result: FieldResult, palette: Palette, height: float = _PLACE_HEIGHT) -> list[Flowable]:
    """A piece of the slide with its cells and their legend, then without."""
    plain = result.frame.rgb
    if not result.cells:
        return [Spacer(1, 4), picture(plain, height)]
    drawn = draw_overlay(plain, result, palette, FOR_REPORT)
    named = legend(legend_entries(palette, result.counts.shares_percent()))
    shown = [text("With cells", 8, bold=True, after=2), picture(drawn, height), Spacer(1, 3), named]
    without = [text("Without", 8, bold=True, after=2), picture(plain, height)]
    return [Spacer(1, 4), KeepTogether(shown), Spacer(1, 4), KeepTogether(without)]


def _method_page(content: SlideContent) -> list[Flowable]:
    score = content.score
    halves = [0.4 * WIDTH, 0.6 * WIDTH]
    story: list[Flowable] = [heading("Method and limits"), text(told.method_text(score), after=4)]
    story += [*bullets(told.limits(score)), heading("Versions"), table((), told.versions(content), halves)]
    for title, settings in (("Settings", content.settings), ("Calibration", content.calibration)):
        rows = list(words.flat(settings)) or [("-", "none")]
        story += [heading(title), table((), rows, halves)]
    return story
