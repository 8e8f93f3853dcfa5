"""Memory of the C library, kept in few places."""

from __future__ import annotations

import ctypes
import sys

M_ARENA_MAX = -8
"""Parameter of glibc's `mallopt` (mallopt(3))."""
ARENAS = 2


def few_arenas() -> bool:
    """Have all threads share two heaps; whether the C library can.

    Else glibc gives each of the many short-lived threads of an analysis a heap of its own, up to eight per core, and
    what is freed in one is not used in another: 564 MB at 1920x1080 instead of 492, no faster.
    """
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS))
    except (OSError, AttributeError):  # another C library
        return False
