"""Looks at a source for some seconds: rate, size, colour, focus, clipping. Words that name no patient and no file."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median

from her2scope.domain.errors import CameraTimeout, Her2ScopeError
from her2scope.imaging.opencv import cv2
from her2scope.imaging.quality import check_quality, clear_white
from her2scope.imaging.stains import estimate_white
from her2scope.ports import CameraSource
from her2scope.records import CameraState, Frame, QualityReport
from her2scope.settings import QualitySettings, Vector

READ_S = 0.5
LOOK_EVERY_S = 0.5
"""How often a picture is looked at closely: it takes a tenth of a second on a slow computer, and all are counted."""
LEAST_FRAMES_PER_S = 5.0
"""Below it a picture is no longer felt to be live."""
GREY_LEVELS = 2.0
"""Mean distance of a pixel's channels below which a camera sends grey values: even a pale blue counterstain has 6."""
TINTED = 1.15
"""Ratio of a clear area's brightest to its darkest channel from which the white balance is not set."""
FILE_SCHEMES = ("images", "video", "slide")
"""Whose names and messages are left out of the page: a file's name may be a patient's."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the page."""

    what: str
    ok: bool
    text: str


@dataclass(slots=True)
class _Seen:
    """What was seen of a source."""

    ticks: list[float] = field(default_factory=list)
    """Monotonic time of each frame."""
    sizes: list[tuple[int, int]] = field(default_factory=list)
    reports: list[QualityReport] = field(default_factory=list)
    colour_levels: list[float] = field(default_factory=list)
    whites: list[Vector] = field(default_factory=list)
    state: CameraState = field(default_factory=CameraState)
    lost: Her2ScopeError | None = None
    """Why it ended before its time."""

    def look_at(self, frame: Frame, settings: QualitySettings) -> None:
        """Measure one picture."""
        height, width = frame.size_hw
        self.sizes.append((width, height))
        self.state = frame.camera
        white = min(estimate_white(frame.rgb))
        self.reports.append(check_quality(frame.rgb, frame.um_per_px, white, settings))
        red, _, blue = cv2.split(frame.rgb)
        self.colour_levels.append(float(cv2.mean(cv2.absdiff(red, blue))[0]))
        clear = clear_white(frame.rgb)
        if clear is not None:
            self.whites.append(clear)


def check_camera(
    source: CameraSource,
    scheme: str,
    seconds: float,
    settings: QualitySettings,
    now: Callable[[], float] = time.monotonic,
) -> tuple[Finding, ...]:
    """Open a source, look at it for so long and close it. Never raises for what a camera does.

    Parameters
    ----------
    scheme : str
        Of its URI; the name of a file is left out.
    """
    seen = _Seen()
    try:
        _watch(seen, source, seconds, settings, now)
    except Her2ScopeError as error:
        seen.lost = error
    finally:
        source.close()
    findings = list(_findings(seen, scheme, settings)) if seen.reports else []
    if seen.lost is not None:
        findings.append(Finding("camera", False, f"{scheme}: {_safe_words(seen.lost, scheme)}"))
    elif not findings:
        why = f"no picture within {seconds:g} s. Check cable, lamp and shutter."
        findings.append(Finding("camera", False, f"{scheme}: {why}"))
    return tuple(findings)


def _safe_words(error: Her2ScopeError, scheme: str) -> str:
    if scheme not in FILE_SCHEMES:
        return str(error)
    return f"{type(error).__name__}; its words are left out here, as they may name a file. The window shows them."


def _watch(
    seen: _Seen, source: CameraSource, seconds: float, settings: QualitySettings, now: Callable[[], float]
) -> None:
    """Look at the frames of so many seconds after the first one; CameraError."""
    source.open()
    end_s, look_s = now() + seconds, -math.inf
    while now() < end_s:
        try:
            frame = source.read(READ_S)
        except CameraTimeout:
            continue
        if not seen.ticks:
            end_s = now() + seconds  # opening a camera is not part of its rate
        seen.ticks.append(frame.captured_s)
        if now() >= look_s:
            seen.look_at(frame, settings)
            look_s = now() + LOOK_EVERY_S


def _findings(seen: _Seen, scheme: str, settings: QualitySettings) -> Iterator[Finding]:
    sizes = sorted(set(seen.sizes))
    words = ", ".join(f"{width} x {height}" for width, height in sizes)
    changes = " (it changed: the pixel size does not hold)" if len(sizes) > 1 else ""
    yield Finding("camera", not changes, f"{scheme}: {words} px{changes}")
    yield _rate(seen.ticks)
    yield _settings(seen.state)
    yield _colour(seen)
    focus = median(report.focus for report in seen.reports)
    reasons = dict.fromkeys(reason for report in seen.reports for reason in report.reasons)
    in_focus = focus >= settings.min_focus
    yield Finding("focus", in_focus, f"sharpness {focus:.2f} (at least {settings.min_focus:g})")
    clipped = median(report.clipped_share for report in seen.reports)
    limit = settings.max_clipped_share
    yield Finding("clipped", clipped <= limit, f"{100 * clipped:.1f} % of the tissue (at most {100 * limit:g} %)")
    usable = any(report.usable for report in seen.reports)
    yield Finding("picture", usable, "; ".join(reasons) if reasons else "usable")


def _rate(ticks: list[float]) -> Finding:
    spans = [after - before for before, after in zip(ticks, ticks[1:], strict=False)]
    if not spans or sum(spans) <= 0.0:
        return Finding("rate", False, "one picture only. Check the camera's exposure time and cable.")
    rate = len(spans) / sum(spans)
    text = f"{rate:.1f} frames/s, longest pause {1000 * max(spans):.0f} ms"
    return Finding("rate", rate >= LEAST_FRAMES_PER_S, text)


def _settings(state: CameraState) -> Finding:
    told = {
        "exposure": None if state.exposure_ms is None else f"{state.exposure_ms:g} ms",
        "gain": None if state.gain is None else f"{state.gain:g}",
        "white balance": state.white_balance,
        "response": state.response,
    }
    text = ", ".join(f"{name} {value or 'not told'}" for name, value in told.items())
    return Finding("settings", True, text)


def _colour(seen: _Seen) -> Finding:
    level = median(seen.colour_levels)
    if level < GREY_LEVELS:
        return Finding(
            "colour", False, "grey: the channels are alike. Choose a colour format of the camera, such as MJPG or RGB8."
        )
    if not seen.whites:
        return Finding("colour", True, "in colour; no clear area in view: move to one to see the white balance")
    red, green, blue = (median(white[channel] for white in seen.whites) for channel in range(3))
    tinted = max(red, green, blue) > TINTED * min(red, green, blue)
    remedy = ". Set the camera's white balance on an empty place of the slide." if tinted else ""
    return Finding("colour", not tinted, f"in colour; white {red:.0f}, {green:.0f}, {blue:.0f}{remedy}")
