"""What this computer has for her2scope, on one page that a user can send when asking for help."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from her2scope import __version__
from her2scope.app.camera_check import Finding, check_camera
from her2scope.app.compose import DEFAULT_METHOD, has_network, load_network, make_analyser, read_calibration
from her2scope.app.look import look_all
from her2scope.app.window_system import has_display
from her2scope.cameras.registry import SourceOptions, open_source
from her2scope.domain.errors import Her2ScopeError
from her2scope.instruments.desk import Instruments
from her2scope.instruments.hearing import LineState
from her2scope.instruments.serial_line import InstrumentState
from her2scope.reporting.json_report import write_json
from her2scope.resources import resource_dir
from her2scope.settings import Calibration, ScoringSettings, home_dir
from her2scope.settings.instruments import instruments_file, load_instruments

MIN_FREE_GB = 2.0
"""About 400 fields of 1920x1080 with their masks."""
PACKAGES = ("numpy", "opencv-python", "PyQt6", "PyYAML", "pyserial", "reportlab")
RUNTIMES = ("onnxruntime-gpu", "onnxruntime")
EXTRAS = ("pymmcore-plus", "harvesters", "openslide-python", "tiffslide")
"""Packages without which some sources cannot be opened."""
ASSUMED_UM_PER_PX = 0.25
"""Of a 40x objective: for the focus of a source whose scale is not known."""
OPENING_S = 30.0
"""How long a camera may take to open; a driver that blocks for longer is said, and the page goes on."""
INSTRUMENTS_S = 3.0
"""How long instruments may take to answer; each is asked again within half a second."""


@dataclass(frozen=True, slots=True)
class DoctorRequest:
    """What the page shall tell beside this computer's own state."""

    json_path: Path | None = None
    source: str | None = None
    """URI of a source to look at."""
    seconds: float = 5.0
    calibration: Path | None = None
    objective: str | None = None
    um_per_px: float | None = None
    instruments: Path | None = None
    """None: the file at its usual place, where there is one."""


def examine(request: DoctorRequest) -> tuple[bool, list[str]]:
    """Make the page (and write it as JSON): whether all is well, and its lines. It names no patient and no case."""
    checks = list(_checks(request))
    width = max(len(check.what) for check in checks)
    lines = [f"{'ok ' if check.ok else 'NOT'} {check.what:<{width}}  {check.text}" for check in checks]
    if request.json_path:
        page = {"schema": "her2scope.doctor/1", "checks": [asdict(check) for check in checks]}
        write_json(page, request.json_path)
    return all(check.ok for check in checks), lines


def _checks(request: DoctorRequest) -> Iterator[Finding]:
    yield Finding("her2scope", True, f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    for package in PACKAGES:
        yield _try(package, partial(importlib.metadata.version, package))
    yield _try("ONNX Runtime", _onnx_runtime)
    yield _try("window system", _window_system)
    yield _try("case folder", _case_folder)
    yield _try("models", lambda: str(sorted(path.name for path in resource_dir("models").iterdir() if path.is_dir())))
    yield _try("calibration", lambda: str(sorted(path.name for path in resource_dir("calibration").glob("*.yaml"))))
    yield _try("network", _network)
    yield _try("method", _method)
    yield Finding("extras", True, ", ".join(f"{name} {_version(name) or 'not installed'}" for name in EXTRAS))
    if request.source is not None:
        yield from _camera(request, request.source)
    yield from _instruments(request.instruments)


def _try(what: str, look: Callable[[], str]) -> Finding:
    """A check that fails says why, and the others still run."""
    try:
        return Finding(what, True, look())
    except (Her2ScopeError, OSError, ImportError) as error:
        return Finding(what, False, f"{error}")


def _camera(request: DoctorRequest, uri: str) -> tuple[Finding, ...]:
    """Look at a source; BadInputError for one that cannot be meant."""
    is_assumed = request.um_per_px is None and request.objective is None
    options = SourceOptions(
        calibration=read_calibration(request.calibration),
        objective=request.objective,
        um_per_px=ASSUMED_UM_PER_PX if is_assumed else request.um_per_px,
        scale_assumed=is_assumed,
    )
    source = open_source(uri, options)
    scheme = uri.partition(":")[0].lower()
    looks = {"camera": lambda: check_camera(source, scheme, request.seconds, ScoringSettings().quality)}
    found = look_all(looks, request.seconds + OPENING_S)["camera"]
    return (Finding("camera", False, f"{scheme}: {found}"),) if isinstance(found, str) else found


def _instruments(path: Path | None) -> Iterator[Finding]:
    """State of each instrument of the desk, once all have answered or the time is up."""
    path = instruments_file(path)
    if path is None:
        return
    desk = Instruments(load_instruments(path), lambda _action: None)
    desk.start()
    try:
        end_s = time.monotonic() + INSTRUMENTS_S
        while time.monotonic() < end_s and not all(state.line is LineState.FOUND for state in desk.states()):
            time.sleep(0.05)
        yield from (_instrument(state) for state in desk.states())
    finally:
        desk.stop()


def _instrument(state: InstrumentState) -> Finding:
    is_found = state.line is LineState.FOUND
    return Finding(state.name, is_found, state.problem or state.line.value)


def _onnx_runtime() -> str:
    """Which providers the installed build has; which one really runs is known once a network is loaded."""
    import onnxruntime

    name = next((item for item in RUNTIMES if _version(item)), "unknown build")
    return f"{name} {onnxruntime.__version__}, built with {', '.join(onnxruntime.get_available_providers())}"


def _version(package: str) -> str:
    """Of an installed package; empty where it is not there."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


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
