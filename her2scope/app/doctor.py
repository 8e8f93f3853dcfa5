"""What this computer has for her2scope, on one page that a user can send when asking for help."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from her2scope import __version__
from her2scope.app.compose import DEFAULT_METHOD, has_network, load_network, make_analyser
from her2scope.domain.errors import Her2ScopeError
from her2scope.reporting.json_report import write_json
from her2scope.resources import resource_dir
from her2scope.settings import Calibration, ScoringSettings, home_dir

MIN_FREE_GB = 2.0
"""About 400 fields of 1920x1080 with their masks."""
PACKAGES = ("numpy", "opencv-python", "PyQt6", "PyYAML", "pyserial", "reportlab")
RUNTIMES = ("onnxruntime-gpu", "onnxruntime")


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the page."""

    what: str
    ok: bool
    text: str


def examine(json_path: Path | None) -> tuple[bool, list[str]]:
    """Make the page (and write it as JSON): whether all is well, and its lines."""
    checks = list(_checks())
    width = max(len(check.what) for check in checks)
    lines = [f"{'ok ' if check.ok else 'NOT'} {check.what:<{width}}  {check.text}" for check in checks]
    if json_path:
        write_json({"schema": "her2scope.doctor/1", "checks": [asdict(check) for check in checks]}, json_path)
    return all(check.ok for check in checks), lines


def _checks() -> Iterator[Check]:
    yield Check("her2scope", True, f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    for package in PACKAGES:
        yield _try(package, partial(importlib.metadata.version, package))
    yield _try("ONNX Runtime", _onnx_runtime)
    yield _try("window system", _window_system)
    yield _try("case folder", _case_folder)
    yield _try("models", lambda: str(sorted(path.name for path in resource_dir("models").iterdir() if path.is_dir())))
    yield _try("calibration", lambda: str(sorted(path.name for path in resource_dir("calibration").glob("*.yaml"))))
    yield _try("network", _network)
    yield _try("method", _method)


def _try(what: str, look: Callable[[], str]) -> Check:
    """A check that fails says why, and the others still run."""
    try:
        return Check(what, True, look())
    except (Her2ScopeError, OSError, ImportError) as error:
        return Check(what, False, f"{error}")


def _onnx_runtime() -> str:
    """Which providers the installed build has; which one really runs is known once a network is loaded."""
    import onnxruntime

    name = next((item for item in RUNTIMES if _installed(item)), "unknown build")
    return f"{name} {onnxruntime.__version__}, built with {', '.join(onnxruntime.get_available_providers())}"


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def has_display() -> bool:
    """Whether a window can be shown to a person."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def _window_system() -> str:
    import PyQt6.QtWidgets  # noqa: F401 - the import itself is the check

    return "a display is there" if has_display() else "no display: the window cannot be shown, commands work"


def _case_folder() -> str:
    folder = home_dir()
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder} cannot be written. Set HER2SCOPE_HOME to a folder that can.")
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < MIN_FREE_GB:
        raise OSError(f"{folder}: {free_gb:.1f} GB free, at least {MIN_FREE_GB:g} needed. Free some space.")
    return f"{folder}, {free_gb:.0f} GB free"


def _network() -> str:
    """The model that was loaded and run, and on what: a provider that is built in need not work on this computer."""
    if not has_network():
        return "no trained network in this installation"
    network = load_network()
    checked = f"sha256 {network.sha256[:12]}... is the card's"
    asked = f"; asking took {network.self_test_ms:.0f} ms" if network.self_test_ms else ""
    note = f" ({network.note})" if network.note else ""
    return f"{network.card.name}: {network.file}, {checked}, runs on {network.provider}{note}{asked}"


def _method() -> str:
    """What a new case is read with."""
    analyser = make_analyser(DEFAULT_METHOD, ScoringSettings(), Calibration())
    return f"{analyser.segmenter.method} unless told otherwise; false cells: {analyser.segmenter.false_rates.source}"
