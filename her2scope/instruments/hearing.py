"""What comes over a serial line, as lines of text, and what that tells of the instrument. Pure: it knows no port."""

from __future__ import annotations

from enum import Enum

PATIENCE_S = 0.8
"""An instrument that is asked and not understood for so long is not there: a fault shows within a second."""
MISSED_TELLINGS = 2.5
"""So many intervals without a word mean the same, where an instrument that speaks at intervals has longer ones."""
RECENT_S = 2.0
"""Nonsense that came within this time tells that something speaks; longer ago, that nothing does."""
MAX_LINE = 256
"""Bytes without an end of line from which they are none: a wrong baud rate seldom makes one."""
HALF_LINE_S = 0.5
"""A line whose second half is longer in coming was cut."""
CUT = "\N{REPLACEMENT CHARACTER}"
"""Stands for a line that was cut: half of one may read like another."""


class LineState(Enum):
    """How a serial line is."""

    OFF = "off"
    STARTING = "starting"
    """The port is being opened, or was just now."""
    FOUND = "found"
    """The instrument speaks and is understood."""
    SILENT = "silent"
    GARBLED = "garbled"
    """Something speaks and is not understood."""
    LOST = "lost"
    """The port cannot be opened, or was pulled."""


class Lines:
    """Puts bytes together to lines, whatever ends them; empty lines are left out."""

    def __init__(self) -> None:
        self._half = b""
        self._grew_s = 0.0

    @property
    def has_half(self) -> bool:
        """Whether a line has begun and not ended."""
        return bool(self._half)

    def take(self, data: bytes, now_s: float) -> list[str]:
        """Lines that `data` ends; `CUT` in the place of one that has no end."""
        if data:
            self._grew_s = now_s
        *whole, self._half = (self._half + data).replace(b"\r", b"\n").split(b"\n")
        lines = [text for line in whole if (text := line.decode("ascii", "replace").strip())]
        if len(self._half) > MAX_LINE or (self._half and now_s - self._grew_s > HALF_LINE_S):
            self._half = b""
            lines.append(CUT)
        return lines


class Hearing:
    """When an instrument was last understood, and when not, as a state of its open line.

    Parameters
    ----------
    every_s : float or None
        How often it is asked, or speaks by itself; None: only when there is something to say. Then no silence is too
        long, but a single line that is not understood may have been the one that counts.
    """

    def __init__(self, every_s: float | None) -> None:
        self._patience_s = None if every_s is None else max(PATIENCE_S, MISSED_TELLINGS * every_s)
        self.begin(0.0)

    def begin(self, now_s: float) -> None:
        """Note that the port was opened."""
        self._began_s = now_s
        self._sense_s: float | None = None
        self._nonsense_s: float | None = None
        self._last_made_sense: bool | None = None

    def note(self, made_sense: bool, now_s: float) -> None:
        """Note a line that was understood, or was not."""
        self._last_made_sense = made_sense
        if made_sense:
            self._sense_s = now_s
        else:
            self._nonsense_s = now_s

    def state(self, now_s: float) -> LineState:
        """How the line is."""
        if self._patience_s is None:
            return {None: LineState.SILENT, True: LineState.FOUND, False: LineState.GARBLED}[self._last_made_sense]
        if now_s - (self._began_s if self._sense_s is None else self._sense_s) <= self._patience_s:
            return LineState.STARTING if self._sense_s is None else LineState.FOUND
        is_recent = self._nonsense_s is not None and now_s - self._nonsense_s <= RECENT_S
        return LineState.GARBLED if is_recent else LineState.SILENT
