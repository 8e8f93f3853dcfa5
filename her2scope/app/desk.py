"""Instruments of this desk: which stand beside a source, and what the window gets of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from her2scope.instruments.desk import Instruments
from her2scope.settings.instruments import ButtonAction, InstrumentSettings, instruments_file, load_instruments
from her2scope.ui.desk import DeskSetup

CAMERA_SCHEMES = ("camera", "genicam", "mm", "stream")
"""Sources that stand on a desk: a phantom, a slide or a folder does not lie on its stage."""


def instruments_for(source: str, asked: Path | None) -> InstrumentSettings:
    """Instruments beside a source: those asked for, and this user's own beside a camera only.

    SettingsError for a file that cannot be used.
    """
    is_camera = source.startswith("/dev/") or source.partition(":")[0].lower() in (*CAMERA_SCHEMES, "rtsp", "http")
    path = instruments_file(asked) if is_camera else asked
    return load_instruments(path) if path is not None else InstrumentSettings()


def desk_for(settings: InstrumentSettings, pressed: Callable[[ButtonAction], None]) -> tuple[Instruments, DeskSetup]:
    """The instruments, not started yet, and what the window may ask of them."""
    desk = Instruments(settings, pressed)
    return desk, DeskSetup(desk.states, desk.stage, desk.nosepiece, settings.keys)
