"""What is plugged in: cameras, serial ports and displays, and of what is missing why, and what to do."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from her2scope.app.look import look_all
from her2scope.app.outputs import check_outputs
from her2scope.app.window_system import has_display
from her2scope.cameras.found import FoundDevice
from her2scope.instruments import serial_port
from her2scope.reporting.json_report import write_json

SCHEMA = "her2scope.devices/1"
LOOK_S = 12.0
"""For all looks together; GenICam producers take some seconds to ask the network."""
DISPLAYS_S = 8.0
CAMERA_KINDS: Mapping[str, str] = {
    "camera": "uvc_modes",
    "genicam": "genicam",
    "mm": "micro_manager",
    "stream": "stream",
    "slide": "slide_view",
}
"""Scheme of a URI, and the module of `cameras` that looks for its devices."""
_LIST_DISPLAYS = """
import json
from PyQt6.QtGui import QGuiApplication
app = QGuiApplication(["her2scope"])
print(json.dumps([[s.name(), s.size().width(), s.size().height(), s.refreshRate()] for s in app.screens()]))
"""


@dataclass(frozen=True, slots=True)
class FoundItem:
    """One line of the list."""

    kind: str
    """`camera`, `serial port` or `display`."""
    uri: str
    """What names it: the URI of a camera, a port, a display."""
    name: str
    modes: tuple[str, ...] = ()
    problem: str = ""
    """Why there is none or it cannot be used, and what to do; empty where nothing is wrong."""
    note: str = ""
    """What is to be known though nothing is wrong; of a kind of devices that it was not searched for."""


def found_cameras(limit_s: float = LOOK_S) -> tuple[FoundDevice, ...]:
    """Cameras of every kind. Takes seconds, never longer than `limit_s`, and never raises."""
    looks = {scheme: _look_of(module) for scheme, module in CAMERA_KINDS.items()}
    return tuple(device for scheme, found in look_all(looks, limit_s).items() for device in _devices(scheme, found))


def list_devices(json_path: Path | None = None, limit_s: float = LOOK_S) -> list[str]:
    """Look for everything, write it as JSON where asked for, and give it as lines."""
    check_outputs([json_path] if json_path else [], [])
    items = list(found_items(limit_s))
    if json_path:
        write_json({"schema": SCHEMA, "devices": [asdict(item) for item in items]}, json_path)
    return [line for item in items for line in _lines(item)]


def found_items(limit_s: float = LOOK_S) -> Iterator[FoundItem]:
    """All that is there, in the order of the list; nothing is claimed for longer than the look takes."""
    looks: dict[str, Callable[[], Sequence[object]]] = {
        "ports": serial_port.found,
        "displays": _found_displays,
        **{scheme: _look_of(module) for scheme, module in CAMERA_KINDS.items()},
    }
    found = look_all(looks, limit_s)
    for scheme in CAMERA_KINDS:
        for device in _devices(scheme, found[scheme]):
            yield FoundItem("camera", device.uri, device.name, device.modes, device.problem, device.note)
    for name, kind in (("ports", "serial port"), ("displays", "display")):
        there = found[name]
        if isinstance(there, str):
            yield FoundItem(kind, "", f"{kind}s", problem=there)
            continue
        for item in there:
            if isinstance(item, serial_port.FoundPort):
                yield FoundItem(kind, item.port, item.name, problem=item.problem)
            elif isinstance(item, FoundItem):
                yield item


def _look_of(module: str) -> Callable[[], tuple[FoundDevice, ...]]:
    """The look of a camera module. It is imported with it: some drivers take seconds to load."""
    return lambda: importlib.import_module(f"her2scope.cameras.{module}").found()


def _devices(scheme: str, found: object) -> tuple[FoundDevice, ...]:
    if isinstance(found, tuple):
        return found
    return (FoundDevice(f"{scheme}:", f"{scheme} cameras", problem=str(found)),)


def _found_displays() -> tuple[FoundItem, ...]:
    """Displays, asked for by another process: Qt ends the program that asks a desktop which does not answer."""
    if not has_display():
        why = "no desktop: windows cannot be shown here. Start it on a desktop; commands work without."
        return (FoundItem("display", "", "displays", problem=why),)
    try:
        answer = subprocess.run(
            [sys.executable, "-c", _LIST_DISPLAYS], capture_output=True, text=True, timeout=DISPLAYS_S, check=True
        )
        screens = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        why = "the desktop does not answer. Log in to it again, and check DISPLAY on Linux."
        return (FoundItem("display", "", "displays", problem=why),)
    return tuple(
        FoundItem("display", name, f"{width} x {height}", (f"{rate:.4g} pictures/s",))
        for name, width, height, rate in screens
    )


def _lines(item: FoundItem) -> Iterator[str]:
    is_unsearched = item.note and item.uri.endswith(":")
    sign = "NOT" if item.problem else " - " if is_unsearched else "ok "
    yield f"{sign} {item.kind:<11}  {'  '.join(filter(None, (item.uri, item.name)))}"
    for words in (*item.modes, *filter(None, (item.problem, item.note))):
        yield f"{'':17}{words}"
