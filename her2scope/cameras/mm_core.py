"""Micro-Manager's core: finding it, loading a configuration into it, and its errors in words.

Of pymmcore-plus only the search for an installation is used, and the plain core of pymmcore beneath it: pymmcore-plus'
own core would bring Qt signals into the camera's thread.
"""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from her2scope.domain.errors import CameraBusy, CameraError, CameraNotFound

Core = Any
"""A `pymmcore.CMMCore`, or what a test puts in its place. pymmcore is an extra and has no types to check against."""

DEMO_CONFIG = "MMConfig_demo.cfg"
"""Comes with every Micro-Manager, beside its device adapters."""
MAX_WORDS = 300
"""Characters of a driver's error that are shown: Micro-Manager nests the same error several times."""
_BUSY = re.compile(r"\bbusy\b|\bin use\b|already (open|in use)|access (is )?denied|exclusive", re.IGNORECASE)


def adapters_folder() -> Path:
    """Folder of the Micro-Manager that fits the installed pymmcore; CameraNotFound with what is missing."""
    with _quiet():
        try:
            from pymmcore_plus import find_micromanager
        except ImportError as error:
            raise CameraNotFound(
                f"Micro-Manager cameras need the package pymmcore-plus ({error}). "
                "Install it: pip install 'her2scope[devices]'."
            ) from error
        found = find_micromanager()
    if not found:
        raise CameraNotFound(
            "no Micro-Manager that fits this pymmcore was found. Install one (mmcore install), or name its folder in "
            "the environment variable MICROMANAGER_PATH."
        )
    return Path(str(found))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep pymmcore-plus from printing what is said here in one line, and from changing how the program logs."""
    loggers = logging.getLogger(), logging.getLogger("pymmcore-plus")
    levels = [logger.level for logger in loggers]
    loggers[1].setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def new_core() -> Core:
    """Make an empty core that knows where the device adapters lie; CameraNotFound where it cannot be had."""
    folder = adapters_folder()
    import pymmcore

    core = pymmcore.CMMCore()
    core.setDeviceAdapterSearchPaths([str(folder)])
    # A device that was not initialised then answers with an error, not with a crash of the program.
    core.enableFeature("StrictInitializationChecks", True)
    return core


def load(core: Core, config: Path) -> None:
    """Load a configuration: all its devices are initialised. CameraNotFound, or CameraBusy by the driver's words."""
    if not config.is_file():
        raise CameraNotFound(f"{config}: no such Micro-Manager configuration. Check the path after 'mm:'.")
    try:
        core.loadSystemConfiguration(str(config))
    except Exception as error:  # noqa: BLE001 - the core raises whatever kind its wrapper chose
        raise not_loaded(config, error) from error
    if not core.getCameraDevice():
        raise CameraNotFound(
            f"{config}: sets up no camera. Make a configuration with Micro-Manager's Hardware Configuration Wizard, "
            "with a default camera."
        )


def not_loaded(config: Path, error: Exception) -> CameraError:
    """Error of a configuration whose devices could not be made ready."""
    words = in_words(error)
    if _BUSY.search(words):
        return CameraBusy(f"{config}: {words}. Close the other program that uses the device (Micro-Manager itself?).")
    return CameraNotFound(
        f"{config}: {words}. "
        "Check that the devices are switched on, and that this configuration works in Micro-Manager."
    )


def in_words(error: Exception) -> str:
    """What a driver said, on one line and without its full stop."""
    words = " ".join(str(error).split()) or type(error).__name__
    return (words if len(words) <= MAX_WORDS else words[:MAX_WORDS] + " ...").rstrip(".")
