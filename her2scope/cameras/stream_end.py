"""How long a connection to a stream may take, and how it says that it is over."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """How long the network may be silent."""

    open_s: float
    """Before an answer to the call counts as missing."""
    silent_s: float
    """Before a stream that has begun counts as ended."""


class StreamEnded(Exception):
    """A stream delivers no more; its text is what the camera did ("closed the connection").

    The source, which knows the last frame that it gave, makes a CameraLost of it.
    """
