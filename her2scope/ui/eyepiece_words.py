"""What is written in the eyepiece: few words, large. Pure functions, so that every line of it can be tested."""

from __future__ import annotations

from dataclasses import dataclass

from her2scope.domain.guideline import Score
from her2scope.domain.score import ControlStatus
from her2scope.pipeline.live import Mode
from her2scope.records import CaseView
from her2scope.settings.eyepiece import EyepieceView
from her2scope.ui.words import (
    CATEGORY_WORDS,
    MOVED_CUTS,
    STATUS_ROLES,
    STATUS_SYMBOLS,
    by_moved_cuts,
    sentence,
    standing_text,
)

MOST_LETTERS = 48
OWN_SCORE_FIRST = "Own score first"
NOTHING_CHOSEN = "none chosen"


@dataclass(frozen=True, slots=True)
class Line:
    """One line, and the role (colour) of what it says."""

    text: str
    role: str = "plain"
    """`plain`, `good`, `warning` or `bad`."""


def eyepiece_lines(
    view: EyepieceView, case: CaseView | None, mode: Mode, expected: Score, why_off: str, *, blind: bool
) -> tuple[Line, ...]:
    """The lines that were chosen, from the top down; why the overlay is off is always said.

    Parameters
    ----------
    expected : level of the control that is read, in control mode
    why_off : of the overlay, empty while it is shown
    blind : the computed score is hidden until the pathologist has entered their own
    """
    lines = []
    if view.score:
        lines.append(_score_line(case, blind))
    if view.control:
        lines.append(_control_line(case))
    if view.mode:
        lines.append(Line(f"CONTROL {expected}".strip(), "warning") if mode is Mode.CONTROL else Line("READING"))
    if why_off:
        lines.append(Line(_short(f"! No marks: {why_off}"), "warning"))
    elif view.camera:
        lines.append(Line("\N{BLACK CIRCLE} live", "good"))
    return tuple(lines)


def _score_line(case: CaseView | None, blind: bool) -> Line:
    if blind:
        return Line(OWN_SCORE_FIRST)
    if case is None or case.score.score is None:
        return Line("No score yet")
    score = case.score
    parts = [f"{score.score}  {CATEGORY_WORDS[score.category]}"]
    if by_moved_cuts(case):
        parts.append(MOVED_CUTS)
    if not score.reportable:
        parts.append("not reportable")
    elif score.borderline:
        parts.append("borderline")
    return Line(", ".join(parts), "plain" if score.reportable else "bad")


def _control_line(case: CaseView | None) -> Line:
    if case is None:
        return Line("Control not read", "warning")
    standing = case.standing
    words = standing_text(standing)
    if standing.status is ControlStatus.ABSENT:
        words = "No control"
    elif not words:
        words = f"Control {standing.status.value}"
    role = "warning" if standing.refusals else STATUS_ROLES[standing.status]
    return Line(_short(f"{STATUS_SYMBOLS[standing.status]} {words}"), role)


def _short(text: str) -> str:
    text = sentence(text)
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"
