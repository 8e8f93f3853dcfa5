"""The report of a slide for a browser: one file, no network, no script; every shown cell tells what was measured."""

from __future__ import annotations

from importlib import resources

from her2scope.domain.score import ControlStatus
from her2scope.overlays.model import legend_entries
from her2scope.overlays.palette import SAFE, Palette
from her2scope.records import ControlReading
from her2scope.reporting import words
from her2scope.reporting.content import control_figures
from her2scope.reporting.html_parts import (
    bullets,
    field_view,
    legend,
    marker_symbols,
    notice,
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

_TONES = {
    ControlStatus.VALID: "good",
    ControlStatus.WARNING: "warn",
    ControlStatus.INVALID: "bad",
    ControlStatus.ABSENT: "bad",
}
# Whatever a name contains, the page can load nothing, run nothing and send nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def slide_html(content: SlideContent, palette: Palette = SAFE) -> bytes:
    """Bytes of the file; the same content gives the same bytes."""
    css = resources.files("her2scope.reporting").joinpath("assets", "report.css").read_text(encoding="utf-8")
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{said(f'{told.TITLE}: {told.slide_name(content.score)}')}</title><style>\n{css}</style>"
    )
    body = "\n".join(_body(content, palette))
    page = f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'
    return page.encode("utf-8")


def _body(content: SlideContent, palette: Palette) -> list[str]:
    score = content.score
    parts = [marker_symbols(), _head(score), _control(score), _verdict(score), *_doubt(score)]
    parts += section("Why it is not reportable", bullets(told.blocking(score), "bad"))
    parts += section("Why this score", bullets(told.reasons(score)))
    if score.case.counts.n_tumour:
        title = f"Membrane staining of {words.count(score.case.counts.n_tumour, 'tumour cell')}"
        parts += section(title, share_chart(told.share_rows(score), palette))
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
    tone = _TONES[score.standing.status]
    if score.standing.refusals and tone == "good":
        tone = "warn"
    inner = notice(f"{told.control_headline(score)}.", told.control_paragraph(score), tone)
    return inner + bullets(told.control_reasons(score))


def _verdict(score: SlideScore) -> str:
    size = "score" if score.case.score else "score words"
    reference = paragraph("Reference score", "grey small") + paragraph(told.score_text(score), size)
    reference += paragraph(told.category_text(score), "category") + paragraph(told.basis_text(score), "grey small")
    complete = paragraph("Complete membrane staining", "grey small")
    complete += paragraph(words.percent(score.complete_percent), "score words")
    complete += paragraph(f"95 % interval {words.interval(score.complete_interval95_percent)}", "small")
    tone = _TONES[told.tone(score)]
    status = paragraph("This reference score is", "grey small")
    status += paragraph(told.reportable_text(score), f"status {tone}") + paragraph(told.control_headline(score))
    if score.case.borderline:
        status += paragraph("Borderline", "warn category") + paragraph(told.settle_text(score), "small")
    cells = tag("div", reference) + tag("div", complete) + tag("div", status, class_=f"on-{tone}")
    return tag("section", cells, class_="verdict")


def _doubt(score: SlideScore) -> list[str]:
    sentence, chances, scope = told.sentence_text(score), told.probability_text(score), told.scope_text(score)
    found = [paragraph(sentence, "category")] if sentence else []
    found += [paragraph(chances)] if chances else []
    return found + ([paragraph(scope, "grey small")] if scope else [])


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
    inner = tag("h3", said(place.title)) + paragraph(place.words, "grey small")
    inner += field_view(f"place-{number}", place.result, palette)
    inner += legend(legend_entries(palette, place.result.counts.shares_percent()))
    return tag("section", inner, class_="field")


def _control_field(reading: ControlReading, palette: Palette) -> str:
    status = reading.verdict.status
    inner = tag("h3", said(f"Control {reading.expected}: {status.value}"))
    inner += notice(f"{status.value.capitalize()}.", words.reading_summary(reading), _TONES[status])
    inner += table((), control_figures(reading), class_="pairs")
    inner += paragraph(f"The field with most tumour cells: {reading.result.frame.name}", "grey small")
    inner += field_view(f"control-{reading.number}", reading.result, palette)
    if reading.result.cells:
        inner += legend(legend_entries(palette, reading.result.counts.shares_percent()))
    return tag("section", inner, class_="field")


def _method(content: SlideContent) -> list[str]:
    score = content.score
    method = paragraph(told.method_text(score)) + bullets(told.limits(score))
    parts = section("Method and limits", method)
    parts += section("Versions", table((), told.versions(content), class_="pairs"))
    for title, settings in (("Settings", content.settings), ("Calibration", content.calibration)):
        parts += section(title, table((), list(words.flat(settings)) or [("-", "none")], class_="pairs"))
    return parts
