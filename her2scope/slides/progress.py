"""How far a slide run has come, in one line: redrawn on a terminal, now and then a new one in a file or pipe."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

REDRAWN_S = 0.2
"""On a terminal, at most so often."""
SAID_S = 30.0
"""In a file or pipe, a line so often."""
LEAST_S = 1.0
"""Before, a rate would be a guess."""
ENDLESS = 1000
MOST_S = 100 * 3600.0
FORMS = ((24, 32, True), (24, 20, True), (12, 20, True), (12, 20, False), (8, 12, False), (0, 12, False), (0, 5, False))
"""Places of the bar and, at most, of the slide's name, and whether the area is told: the first that fits on the
terminal's line."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one slide has come."""

    n_done: int
    n_tiles: int
    done_mm2: float
    """Of tissue: what is kept of an earlier run as well."""
    tissue_mm2: float
    kept_mm2: float
    """Done in an earlier run: it says nothing of this one's speed."""
    seconds: float
    """Since this run of the slide began."""

    @property
    def mm2_per_minute(self) -> float | None:
        """Of tissue in this run; None before anything is done."""
        new_mm2 = self.done_mm2 - self.kept_mm2
        return 60.0 * new_mm2 / self.seconds if new_mm2 > 0 and self.seconds >= LEAST_S else None

    @property
    def left_s(self) -> float | None:
        """Time that the rest of the slide takes at this rate."""
        rate = self.mm2_per_minute
        return None if not rate else 60.0 * max(0.0, self.tissue_mm2 - self.done_mm2) / rate


Told = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """Tell nobody."""


def progress_text(progress: Progress, slide: str, number: int, n_slides: int, most_places: int = ENDLESS) -> str:
    """One line, such as `slide 2/3 case7.svs [####....] 40/100 tiles, 12.1/30.2 mm2, 11.8 mm2/min, 2 min left`."""
    share = progress.n_done / progress.n_tiles if progress.n_tiles else 1.0
    texts = [
        f"slide {number}/{n_slides} {_short(slide, name_places)} {_bar(share, bar_places)}{_parts(progress, with_area)}"
        for bar_places, name_places, with_area in FORMS
    ]
    return next((text for text in texts if len(text) <= most_places), texts[-1][:most_places])


def _parts(progress: Progress, with_area: bool) -> str:
    rate, left_s = progress.mm2_per_minute, progress.left_s
    parts = [f"{progress.n_done}/{progress.n_tiles} tiles"]
    if with_area:
        parts.append(f"{progress.done_mm2:.1f}/{progress.tissue_mm2:.1f} mm2")
    parts.append("rate not known yet" if rate is None else f"{rate:.1f} mm2/min")
    if left_s is not None and progress.n_done < progress.n_tiles:
        parts.append(f"{duration(left_s)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Time in words that are short: `45 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    if seconds > MOST_S:
        return "days"
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _bar(share: float, places: int) -> str:
    filled = math.floor(places * share)
    return f"[{'#' * filled}{'.' * (places - filled)}] " if places else ""


def _short(name: str, places: int) -> str:
    """A name that leaves room for the rest; its end tells slides apart as often as its beginning."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in name)
    if len(shown) <= places:
        return shown
    half = (places - 3) // 2
    return f"{shown[:half]}...{shown[-half:]}"


class ProgressLine:
    """Shows progress on a stream. Used by one thread.

    Parameters
    ----------
    stream : where to; a terminal's one line is redrawn
    clock : seconds that never go back
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._redraws = bool(stream.isatty())
        self._every_s = REDRAWN_S if self._redraws else SAID_S
        self._last_s: float | None = None
        self._shown = ""

    def of_slide(self, slide: str, number: int, n_slides: int) -> Told:
        """What a slide's run tells; the first and the last it tells are always shown."""
        self._last_s = None

        def tell(progress: Progress) -> None:
            now_s = self._clock()
            is_last = progress.n_done == progress.n_tiles
            if self._last_s is None or is_last or now_s - self._last_s >= self._every_s:
                self._last_s = now_s
                self._show(progress_text(progress, slide, number, n_slides, self._places()))

        return tell

    def end(self) -> None:
        """Leave the line as it stands, so that what is printed next begins on a line of its own."""
        if self._redraws and self._shown:
            self._write("\n")
        self._shown = ""

    def _places(self) -> int:
        """Of a line; the last place stays free, for there a terminal begins the next."""
        return shutil.get_terminal_size().columns - 1 if self._redraws else ENDLESS

    def _show(self, text: str) -> None:
        if text == self._shown:
            return
        if self._redraws:
            self._write("\r" + text.ljust(len(self._shown)))
        else:
            self._write(text + "\n")
        self._shown = text

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
