"""What is plugged in, and why something is not: every look ends, whatever its driver does."""

from __future__ import annotations

import json
import threading

import pytest

from her2scope.app import devices
from her2scope.app.look import look_all
from her2scope.cameras import stream
from her2scope.cameras.found import FoundDevice
from her2scope.cli import main
from her2scope.instruments.serial_port import FoundPort

CAMERA = FoundDevice("camera:0", "Bench camera", ("MJPG 1920x1080 at 30 frames/s",))


@pytest.fixture
def desk(monkeypatch):
    """One camera, one port and no display; looks of other kinds are put in by the tests."""
    looks = {"uvc_modes": lambda: (CAMERA,)}
    monkeypatch.setattr(devices, "CAMERA_KINDS", {"camera": "uvc_modes"})
    monkeypatch.setattr(devices, "_look_of", looks.__getitem__)
    monkeypatch.setattr(devices.serial_port, "found", lambda: (FoundPort("/dev/ttyUSB0", "USB adapter"),))
    monkeypatch.setattr(devices, "has_display", lambda: False)

    def add(scheme, look):
        monkeypatch.setitem(devices.CAMERA_KINDS, scheme, scheme)
        looks[scheme] = look

    return add


def test_everything_is_listed_with_its_modes_and_its_remedy(desk, tmp_path):
    desk("genicam", lambda: (FoundDevice("genicam:", "GenICam cameras", problem="no producer. Install one."),))
    lines = devices.list_devices(tmp_path / "devices.json")
    page = "\n".join(lines)
    assert "ok  camera       camera:0  Bench camera" in page and "MJPG 1920x1080 at 30 frames/s" in page
    assert "NOT camera       genicam:  GenICam cameras" in page and "Install one." in page
    assert "/dev/ttyUSB0  USB adapter" in page and "NOT display" in page
    found = json.loads((tmp_path / "devices.json").read_text())
    assert found["schema"] == "her2scope.devices/1"
    assert [item["uri"] for item in found["devices"]] == ["camera:0", "genicam:", "/dev/ttyUSB0", ""]
    assert found["devices"][0] == {
        "kind": "camera", "uri": "camera:0", "name": "Bench camera", "modes": list(CAMERA.modes), "problem": "",
        "note": "",
    }  # fmt: skip


def test_what_is_not_searched_for_is_not_said_to_be_missing(desk):
    desk("stream", stream.found)
    page = "\n".join(devices.list_devices())
    assert " -  camera       stream:  network cameras\n" in page and "not searched: give --source stream:URL" in page
    assert "NOT camera" not in page


def test_a_driver_that_never_answers_and_one_that_fails_are_said(desk):
    never = threading.Event()

    def fail():
        raise RuntimeError("segment 7")

    desk("mm", never.wait)
    desk("stream", fail)
    found = {item.uri: item.problem for item in devices.found_items(0.3)}
    never.set()
    assert found["camera:0"] == "" and found["/dev/ttyUSB0"] == ""
    assert "no answer within 0.3 s" in found["mm:"] and "segment 7" in found["stream:"]


def test_the_looks_share_one_limit():
    never = threading.Event()
    found = look_all({**{str(n): never.wait for n in range(50)}, "quick": lambda: "there"}, 0.2)
    never.set()
    assert found.pop("quick") == "there"
    assert all("no answer" in str(words) for words in found.values()) and len(found) == 50


def test_displays_are_asked_for_by_another_process(monkeypatch):
    """Qt ends a program whose desktop does not answer; ours goes on."""
    monkeypatch.setattr(devices, "has_display", lambda: True)
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    (display,) = devices._found_displays()  # noqa: SLF001
    assert "x" in display.name and display.modes[0].endswith("pictures/s") and not display.problem
    monkeypatch.setattr(devices, "_LIST_DISPLAYS", "import os; os.abort()")
    (display,) = devices._found_displays()  # noqa: SLF001
    assert "does not answer" in display.problem


def test_the_command_lists_what_this_computer_has(capsys, tmp_path):
    assert main(["devices", "--json", str(tmp_path / "devices.json")]) == 0
    out = capsys.readouterr().out
    kinds = {item["uri"].partition(":")[0] for item in json.loads((tmp_path / "devices.json").read_text())["devices"]}
    assert {"camera", "genicam", "mm", "stream", "slide"} <= kinds
    assert "serial port" in out and "display" in out


def test_a_file_that_cannot_be_written_is_refused_before_any_look(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "found_items", lambda limit_s: pytest.fail("looked"))
    assert main(["devices", "--json", str(tmp_path)]) == 2
    assert "this is a folder" in capsys.readouterr().err
