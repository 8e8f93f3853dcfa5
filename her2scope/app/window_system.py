"""Whether this computer can show a window; asked without Qt, which would end the program where it cannot."""

from __future__ import annotations

import os
import sys


def has_display() -> bool:
    """Whether a window can be shown to a person."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True
