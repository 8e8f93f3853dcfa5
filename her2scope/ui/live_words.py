"""How live the picture is, in words that answer "is it live?" at a glance. No Qt here."""

from __future__ import annotations

from dataclasses import dataclass

from her2scope.pipeline.live import LiveFigures
from her2scope.ui.display_meter import DisplayFigures

LATE_MS = 1000.0
"""Marks of an older picture than this are said to be late: the tissue beneath may have changed."""
NOTE_LETTERS = 28
COVERED, FROZEN, NO_CAMERA = "field shown, not live", "picture held", "not live"
NO_PICTURES = "No pictures come from the camera: nothing is analysed, and what is shown may be old."


@dataclass(frozen=True, slots=True)
class LiveWords:
    """How live the picture is, each for its place in the status line."""

    rates: str
    behind: str
    """By how much what is drawn on the tissue is behind it."""
    is_late: bool
    provider: str
    provider_note: str
    """Why it is not the better one, whole; empty where there is nothing to say."""
    details: str
    """All of it in sentences, for the tool tip."""


def live_words(figures: LiveFigures, display: DisplayFigures, held: str = "", *, is_live: bool = True) -> LiveWords:
    """Answer "is it live?" at a glance: pictures shown and analysed a second, and how far the marks are behind.

    Parameters
    ----------
    held : why the picture is not live though the camera is: "picture held"; empty: it is
    is_live : the camera is; where it is not, rates and delays are of the past and none is told
    """
    late = is_live and not held and display.overlay_age_ms > LATE_MS
    # Where no marks are painted, they were at least not ready before the analysis was.
    behind_ms = display.overlay_latency_ms or figures.latency_ms
    if late:
        behind_ms = max(behind_ms, display.overlay_age_ms)
    behind = f"{_duration(behind_ms)} behind" if behind_ms > 0 and is_live and not held else "\N{EN DASH}"
    provider = figures.provider.removesuffix("ExecutionProvider").strip("- ") or "\N{EN DASH}"
    note = figures.provider_note
    short = note if len(note) <= NOTE_LETTERS else note[: NOTE_LETTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"
    shown = held or f"{display.displayed_fps:.0f} shown/s"
    return LiveWords(
        f"{shown} \N{MIDDLE DOT} {_rate(figures.analysed_fps)} analysed/s" if is_live else NO_CAMERA,
        behind,
        late,
        f"! {provider}: {short}" if note else provider,
        note,
        _live_details(figures, display) if is_live else NO_PICTURES,
    )


def _duration(duration_ms: float) -> str:
    return f"{duration_ms:.0f} ms" if duration_ms < LATE_MS else f"{duration_ms / 1000:.1f} s"


def _rate(per_s: float) -> str:
    """A slow rate is not rounded to nothing."""
    return f"{per_s:.0f}" if per_s >= 9.5 else f"{per_s:.1f}"


def _live_details(figures: LiveFigures, display: DisplayFigures) -> str:
    lines = [
        f"The camera sends {figures.camera_fps:.1f} pictures a second; {display.displayed_fps:.1f} are shown, "
        f"{display.picture_latency_ms:.0f} ms after they were taken.",
        f"{figures.analysed_fps:.1f} a second are analysed; one analysis takes {figures.analysis_ms:.0f} ms. The marks "
        f"appear {display.overlay_latency_ms or figures.latency_ms:.0f} ms after the picture was taken, and move with "
        "the tissue until the next ones come.",
        f"{figures.replaced_frames} pictures were replaced by a newer one before they were analysed: "
        "a slow analysis never makes the picture late.",
    ]
    return "\n".join(lines)
