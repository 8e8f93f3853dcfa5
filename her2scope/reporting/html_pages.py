"""What the HTML of a case and of a slide have in common: the page itself, answers, controls, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.overlays.model import legend_entries
from her2scope.overlays.outside import has_outside
from her2scope.overlays.palette import Palette
from her2scope.records import ControlReading, FieldResult
from her2scope.reporting import words
from her2scope.reporting.content import control_figures
from her2scope.reporting.html_parts import legend, notice, paragraph, said, section, table, tag

TONES = {
    ControlStatus.VALID: "good",
    ControlStatus.WARNING: "warn",
    ControlStatus.INVALID: "bad",
    ControlStatus.ABSENT: "bad",
}
"""Styles of what a control says."""
# Whatever a name contains, the page can load nothing, run nothing and send nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def html_page(title: str, parts: Sequence[str]) -> bytes:
    """A page of these parts with the reports' style; it is whole in itself."""
    css = resources.files("her2scope.reporting").joinpath("assets", "report.css").read_text(encoding="utf-8")
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{said(title)}</title><style>\n{css}</style>"
    )
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'.encode()


# ---- the answers --------------------------------------------------------------------------------------------------


def control_notice(standing: ControlStanding, headline: str, text: str) -> str:
    """What the control says; green only where it also holds for this score."""
    tone = TONES[standing.status]
    if standing.refusals and tone == "good":
        tone = "warn"
    return notice(f"{headline}.", text, tone)


def verdict(reference: str, middle: str, status: str, tone: ControlStatus) -> str:
    """The three answers, side by side: reference score, another figure, reportable or not."""
    cells = tag("div", reference) + tag("div", middle) + tag("div", status, class_=f"on-{TONES[tone]}")
    return tag("section", cells, class_="verdict")


def reference_box(score: str | None, score_text: str, category: str, basis: str) -> str:
    """The reference score and what it rests on."""
    large = paragraph(score_text, "score" if score else "score words")
    return (
        paragraph("Reference score", "grey small")
        + large
        + paragraph(category, "category")
        + paragraph(basis, "grey small")
    )


def status_box(reportable: str, headline: str, tone: ControlStatus, settle: str) -> str:
    """Whether the score may be reported; `settle` says what would settle a borderline one."""
    inner = paragraph("This reference score is", "grey small")
    inner += paragraph(reportable, f"status {TONES[tone]}") + paragraph(headline)
    return inner + paragraph("Borderline", "warn category") + paragraph(settle, "small") if settle else inner


def doubt_parts(sentence: str, chances: str, scope: str) -> list[str]:
    """The plain sentence and the probability of each score, and for which tissue they hold; what is empty is not."""
    said_as = {"category": sentence, "": chances, "grey small": scope}
    return [paragraph(text, class_) for class_, text in said_as.items() if text]


# ---- what follows -------------------------------------------------------------------------------------------------


def control_head(reading: ControlReading) -> str:
    """Verdict and figures of a reading of a control."""
    status = reading.verdict.status
    inner = tag("h3", said(f"Control {reading.expected}: {status.value}"))
    inner += notice(f"{status.value.capitalize()}.", words.reading_summary(reading), TONES[status])
    return inner + table((), control_figures(reading), class_="pairs")


def legend_of(result: FieldResult, palette: Palette) -> str:
    """Markers of a field's classes with their shares; nothing where it has no cells."""
    if not result.cells:
        return ""
    return legend(legend_entries(palette, result.counts.shares_percent(), outside=has_outside(result)))


def versions_sections(
    versions: Sequence[tuple[str, str]], settings: Mapping[str, Any], calibration: Mapping[str, Any]
) -> list[str]:
    """What made the result, with all settings."""
    parts = section("Versions", table((), versions, class_="pairs"))
    for title, values in (("Settings", settings), ("Calibration", calibration)):
        parts += section(title, table((), list(words.flat(values)) or [("-", "none")], class_="pairs"))
    return parts
