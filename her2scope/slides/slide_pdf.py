"""The report of a slide as PDF: page one is read in ten seconds, the pages after it let a colleague check the cells."""

from __future__ import annotations

from reportlab.platypus import KeepTogether, PageBreak, Spacer
from reportlab.platypus.flowables import Flowable

from her2scope.overlays.model import FOR_REPORT
from her2scope.overlays.palette import SAFE, Palette
from her2scope.overlays.raster import draw_overlay
from her2scope.records import ControlReading, FieldResult
from her2scope.reporting import words
from her2scope.reporting.content import share_rows
from her2scope.reporting.pdf_pages import (
    control_head,
    control_notice,
    doubt_part,
    field_pictures,
    listed,
    pdf_bytes,
    reference_box,
    status_box,
    verdict,
    versions_part,
)
from her2scope.reporting.pdf_parts import HEIGHT, WIDTH, picture, share_chart, table
from her2scope.reporting.pdf_text import BAD, GREY, bullets, heading, text
from her2scope.slides import slide_words as told
from her2scope.slides.records import SlideScore
from her2scope.slides.slide_places import Place
from her2scope.slides.slide_words import SlideContent

_PLACE_HEIGHT = 0.38 * HEIGHT
_MAP_HEIGHT, _UPRIGHT_HEIGHT = 0.42 * HEIGHT, 0.8 * HEIGHT
"""Of a map at most: two to a page, but for upright slides, whose legend would be too small to read."""


def slide_pdf(content: SlideContent, palette: Palette = SAFE) -> bytes:
    """Bytes of the file; the same content gives the same bytes."""
    name = told.slide_name(content.score)
    # no date: the report tells of the slide, and two runs give the same file
    return pdf_bytes(
        _story(content, palette),
        f"{told.TITLE}: {name}",
        content.score.program.version,
        footer=told.footer_text(content.score),
        seal=told.DISCLAIMER,
    )


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
        *doubt_part(told.sentence_text(score), told.probability_text(score), told.scope_text(score)),
        *listed("Why it is not reportable", told.blocking(score), BAD),
        *listed("Why this score", told.reasons(score)),
        *_shares(score, palette),
        *listed("Left out, and what to know", told.left_out(score)),
    ]


def _control(score: SlideScore) -> list[Flowable]:
    found = control_notice(score.standing, told.control_headline(score), told.control_paragraph(score))
    return [found, *bullets(told.control_reasons(score), 8.5), Spacer(1, 4)]


def _verdict(score: SlideScore) -> Flowable:
    """The three answers of page one: reference score, complete membranes, reportable or not."""
    reference = reference_box(
        score.case.score, told.score_text(score), told.category_text(score), told.basis_text(score)
    )
    complete = [
        text("Complete membrane staining", 8.5, colour=GREY),
        text(words.percent(score.complete_percent), 22, bold=True),
        text(f"95 % interval {words.interval(score.complete_interval95_percent)}", 8.5),
    ]
    tone = told.tone(score)
    status = status_box(told.reportable_text(score), told.control_headline(score), tone, told.settle_text(score))
    return verdict(reference, complete, status, tone)


def _shares(score: SlideScore, palette: Palette) -> list[Flowable]:
    n = score.case.counts.n_tumour
    if not n:
        return []
    title = heading(f"Membrane staining of {words.count(n, 'tumour cell')}")
    return [KeepTogether([title, share_chart(share_rows(score.case), palette)])]


# ---- further pages ------------------------------------------------------------------------------------------------


def _maps(content: SlideContent) -> list[Flowable]:
    shown = [(told.MAP_TITLE, content.tissue_map)]
    if content.heat_map is not None and content.staining_map is not None:
        shown += [("Complete membrane staining", content.heat_map), ("All staining", content.staining_map)]
    # below what page one left over: a few lines of it on a page of their own would else leave that empty
    story: list[Flowable] = [Spacer(1, 6)]
    for title, rgb in shown:
        height = _UPRIGHT_HEIGHT if rgb.shape[0] > rgb.shape[1] else _MAP_HEIGHT
        story.append(KeepTogether([heading(title), picture(rgb, height), Spacer(1, 6)]))
    rows = told.hot_spot_rows(content.score)
    if rows:
        story += [heading("Hot spots"), table(told.HOT_SPOT_HEAD, rows, [0.1 * WIDTH, 0.3 * WIDTH, 0.6 * WIDTH])]
    return story


def _place(place: Place, palette: Palette) -> list[Flowable]:
    return [
        heading(place.title),
        text(told.place_text(place), 8.5, colour=GREY, after=2),
        *_pictures(place.result, palette),
    ]


def _control_page(reading: ControlReading, palette: Palette) -> list[Flowable]:
    name = f"The field with most tumour cells: {words.clean(reading.result.frame.name)}"
    return [
        *control_head(reading),
        text(name, 8.5, colour=GREY, after=2),
        *_pictures(reading.result, palette, 0.3 * HEIGHT),
    ]


def _pictures(result: FieldResult, palette: Palette, height: float = _PLACE_HEIGHT) -> list[Flowable]:
    plain = result.frame.rgb
    overlay = draw_overlay(plain, result, palette, FOR_REPORT)
    return field_pictures(result, plain, overlay, palette, height)


def _method_page(content: SlideContent) -> list[Flowable]:
    score = content.score
    method = [heading("Method and limits"), text(told.method_text(score), after=4), *bullets(told.limits(score))]
    return [*method, *versions_part(told.versions(content), content.settings, content.calibration)]
