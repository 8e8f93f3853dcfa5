"""Cuts JPEG pictures out of bytes as they arrive over a network (ITU-T T.81, annex B).

The pictures tell by themselves where they begin and end. So the multipart lines around them are not needed, and a wrong
boundary, a wrong length or garbage between two pictures, all of which cameras send, costs nothing.
"""

from __future__ import annotations

import re

MAX_BYTES = 64_000_000
"""No camera's JPEG is larger; what grows beyond is garbage that happens to begin like one."""

_START = b"\xff\xd8\xff"
# The next marker: FF 00 is a stuffed data byte and FF D0..D7 restarts lie within the picture's data.
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_OPAQUE = (*range(0xE0, 0xF0), 0xFE)
"""Segments of the application and comments: they may hold anything, also a small picture."""


class JpegSplitter:
    """Takes bytes in pieces of any size, gives complete pictures; at most `max_bytes` are kept between the calls.

    A picture that was cut short, or in which another one begins, is left out: nothing is put together from two.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept = bytearray()
        self._at = 0
        """How far the picture at the beginning of `_kept` is read; 0 while none was found."""
        self._in_scan = False
        """Whether `_at` lies in compressed data; before that, each segment follows the one before."""

    def feed(self, data: bytes) -> list[bytes]:
        """Pictures that `data` completes, in their order; mostly none or one."""
        self._kept += data
        pictures = []
        while self._find_start():
            end = self._end()
            if end is None:
                break
            pictures.append(bytes(self._kept[:end]))
            self._drop(end)
        if len(self._kept) > self._max_bytes:
            self._drop(len(self._kept))
        return pictures

    def _find_start(self) -> bool:
        """Bring the beginning of a picture to the front; False where none is there yet."""
        if self._at:
            return True
        start = self._kept.find(_START)
        if start < 0:
            del self._kept[: -len(_START) + 1]  # what may be the first bytes of a beginning stays
            return False
        self._drop(start)
        self._at = 2
        return True

    def _end(self) -> int | None:
        """Where the picture at the front ends; None while that is not known. A broken one is left behind."""
        while marker := _MARKER.search(self._kept, self._at):
            kind, at = marker[1][0], marker.end()
            if kind == _EOI and self._in_scan:
                return at
            end = at + max(2, int.from_bytes(self._kept[at : at + 2], "big"))
            broken = kind in (_SOI, _EOI) or not (self._in_scan or marker.start() == self._at)
            if not broken and len(self._kept) <= end:
                return None
            # A segment that was cut short would take its last bytes from the next picture.
            if broken or (kind not in _OPAQUE and _START in self._kept[at : end + 1]):
                self._drop(marker.start() if kind == _SOI else 2)
                if not self._find_start():
                    return None
                continue
            self._at = end
            self._in_scan |= kind == _SOS
        if self._in_scan:
            self._at = max(self._at, self._read_up_to())
        return None

    def _read_up_to(self) -> int:
        """End of what holds no marker for sure: an FF at the end may be half of one."""
        end = len(self._kept)
        while self._kept[end - 1] == 0xFF:  # a picture's second byte is none
            end -= 1
        return end

    def _drop(self, count: int) -> None:
        """Forget the first bytes, and look for a beginning in what follows."""
        del self._kept[:count]
        self._at, self._in_scan = 0, False
