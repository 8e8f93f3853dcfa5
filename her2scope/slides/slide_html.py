"""The report of a slide for a browser: one file, no network, no script; every shown cell tells what was measured."""

from __future__ import annotations

from her2scope.overlays.palette import SAFE, Palette
from her2scope.records import ControlReading
from her2scope.reporting import words
from her2scope.reporting.content import share_rows
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
    bullets,
    field_view,
    marker_symbols,
    paragraph,
    picture,
    said,
    section,
    share_chart,
    table,
    tag,
)
from her2scope.slides import slide_words as told
from her2scope.slides.records import SlideScore
from her2scope.slides.slide_places import Place
from her2scope.slides.slide_words import SlideContent


def slide_html(content: SlideContent, palette: Palette = SAFE) -> bytes:
    """Bytes of the file; the same content gives the same bytes."""
    return html_page(f"{told.TITLE}: {told.slide_name(content.score)}", _body(content, palette))


def _body(content: SlideContent, palette: Palette) -> list[str]:
    score = content.score
    parts = [marker_symbols(), _head(score), _control(score), _verdict(score)]
    parts += doubt_parts(told.sentence_text(score), told.probability_text(score), told.scope_text(score))
    parts += section("Why it is not reportable", bullets(told.blocking(score), "bad"))
    parts += section("Why this score", bullets(told.reasons(score)))
    if score.case.counts.n_tumour:
        title = f"Membrane staining of {words.count(score.case.counts.n_tumour, 'tumour cell')}"
        parts += section(title, share_chart(share_rows(score.case), palette))
    parts += section("Left out, and what to know", bullets(told.left_out(score)))
    parts += _maps(content)
    parts += _hot_spots(score)
    parts += [_place(number, place, palette) for number, place in enumerate(content.places, start=1)]
    parts += [_control_field(reading, palette) for reading in score.controls]
    return [*parts, *_method(content)]


def _head(score: SlideScore) -> str:
    inner = tag("h1", said(told.TITLE)) + paragraph(told.slide_name(score), "case")
    return tag("header", inner + paragraph(told.DISCLAIMER, "disclaimer"))


def _control(score: SlideScore) -> str:
    found = control_notice(score.standing, told.control_headline(score), told.control_paragraph(score))
    return found + bullets(told.control_reasons(score))


def _verdict(score: SlideScore) -> str:
    """The three answers: reference score, complete membranes, reportable or not."""
    reference = reference_box(
        score.case.score, told.score_text(score), told.category_text(score), told.basis_text(score)
    )
    complete = paragraph("Complete membrane staining", "grey small")
    complete += paragraph(words.percent(score.complete_percent), "score words")
    complete += paragraph(f"95 % interval {words.interval(score.complete_interval95_percent)}", "small")
    tone = told.tone(score)
    status = status_box(told.reportable_text(score), told.control_headline(score), tone, told.settle_text(score))
    return verdict(reference, complete, status, tone)


def _maps(content: SlideContent) -> list[str]:
    parts = section(told.MAP_TITLE, picture(content.tissue_map, "Map of the slide with what was left out"))
    if content.heat_map is not None and content.staining_map is not None:
        inner = picture(content.heat_map, "Map of complete membrane staining")
        parts += section("Staining over the slide", inner + picture(content.staining_map, "Map of all staining"))
    return parts


def _hot_spots(score: SlideScore) -> list[str]:
    rows = told.hot_spot_rows(score)
    return section(
        "Hot spots", table(("Square", "Middle, from the left and the top", "What it shows"), rows) if rows else ""
    )


def _place(number: int, place: Place, palette: Palette) -> str:
    inner = tag("h3", said(place.title)) + paragraph(told.place_text(place), "grey small")
    inner += field_view(f"place-{number}", place.result, palette, keeps_membranes=False) + legend_of(
        place.result, palette
    )
    return tag("section", inner, class_="field")


def _control_field(reading: ControlReading, palette: Palette) -> str:
    inner = control_head(reading)
    inner += paragraph(f"The field with most tumour cells: {reading.result.frame.name}", "grey small")
    inner += field_view(f"control-{reading.number}", reading.result, palette) + legend_of(reading.result, palette)
    return tag("section", inner, class_="field")


def _method(content: SlideContent) -> list[str]:
    score = content.score
    method = paragraph(told.method_text(score)) + bullets(told.limits(score))
    versions = versions_sections(told.versions(content), content.settings, content.calibration)
    return section("Method and limits", method) + versions
