"""The structures are written here field by field as linux/videodev2.h has them, not with the layouts under test."""

from __future__ import annotations

import errno
import os
import re
import sys
from pathlib import Path

import pytest
from cameras.fakes import FakeCapture

from her2scope.cameras.found import FoundDevice
from her2scope.cameras.uvc_modes import found, found_v4l2, number_of, probed
from her2scope.domain.errors import CameraNotFound
from her2scope.imaging.opencv import cv2

QUERYCAP, ENUM_FMT, ENUM_FRAMESIZES, ENUM_FRAMEINTERVALS = 0x80685600, 0xC0405602, 0xC02C564A, 0xC034564B
"""As a C program prints them on a 64-bit Linux."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="device files and V4L2 are not there on Windows")


def u32(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, sys.byteorder) for number in numbers)


def text(words: str, size: int) -> bytes:
    return words.encode().ljust(size, b"\0")


def capability(whole: int, device: int) -> bytes:
    return (
        text("uvcvideo", 16)
        + text("Scope Cam", 32)
        + text("usb-0000:00:14.0-2", 32)
        + u32(0x60800, whole, device, 0, 0, 0)
    )


class FakeDriver:
    """Answers as the uvcvideo driver does for a camera with MJPG at two sizes and YUYV over a range."""

    def __init__(self, whole: int = 0x84A00001, device: int = 0x04200001) -> None:
        self.capability = capability(whole, device)
        self.failure: OSError | None = None
        self.endless = False

    def __call__(self, file: int, request: int, sent: bytes) -> bytes:
        if self.failure is not None:
            raise self.failure
        index, asked = int.from_bytes(sent[:4], sys.byteorder), int.from_bytes(sent[4:8], sys.byteorder)
        answers = {
            QUERYCAP: lambda: self.capability if len(sent) == 104 else None,
            ENUM_FMT: lambda: self._format(index, asked) if len(sent) == 64 else None,
            ENUM_FRAMESIZES: lambda: self._size(index, sent[4:8]) if len(sent) == 44 else None,
            ENUM_FRAMEINTERVALS: lambda: self._interval(index, sent[4:8], sent[8:16]) if len(sent) == 52 else None,
        }
        answer = answers[request]()
        if answer is None:
            raise OSError(errno.EINVAL, "Invalid argument")
        assert len(answer) == len(sent)
        return answer

    def _format(self, index: int, kind: int) -> bytes | None:
        fourccs = [b"MJPG", b"YUYV"] if not self.endless else [b"MJPG"] * 10**6
        if kind != 1 or index >= len(fourccs):
            return None
        return u32(index, kind, 1) + text("Motion-JPEG", 32) + fourccs[index] + u32(0, 0, 0, 0)

    def _size(self, index: int, fourcc: bytes) -> bytes | None:
        if fourcc == b"MJPG":
            sizes = [(1920, 1080), (640, 480)]
            return u32(index) + fourcc + u32(1, *sizes[index], 0, 0, 0, 0, 0, 0) if index < 2 else None
        return u32(index) + fourcc + u32(3, 160, 2592, 16, 120, 1944, 8, 0, 0) if index == 0 else None

    def _interval(self, index: int, fourcc: bytes, size: bytes) -> bytes | None:
        if fourcc == b"YUYV":
            return u32(0) + fourcc + size + u32(2, 1, 15, 1, 2, 1, 2, 0, 0) if index == 0 else None
        rates = [(1, 30), (1001, 15000)] if size == u32(1920, 1080) else []
        return u32(index) + fourcc + size + u32(1, *rates[index], 0, 0, 0, 0, 0, 0) if index < len(rates) else None


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """One camera as Linux lists it."""
    add(tmp_path, "video0", "Scope Cam: Scope Cam")
    return tmp_path


def add(machine: Path, node: str, name: str) -> None:
    (machine / "sys" / node).mkdir(parents=True)
    (machine / "sys" / node / "name").write_text(f"{name}\n")
    (machine / "dev").mkdir(exist_ok=True)
    (machine / "dev" / node).touch()


def test_a_camera_is_listed_with_its_name_and_modes(machine: Path) -> None:
    (device,) = found_v4l2(machine / "sys", machine / "dev", FakeDriver())
    assert (device.uri, device.name, device.problem) == ("camera:0", "Scope Cam: Scope Cam", "")
    assert device.modes == (
        "MJPG 1920x1080 at 30, 14.99 frames/s",
        "MJPG 640x480",
        "YUYV 160x120 to 2592x1944 at 2 to 15 frames/s",
    )


def test_a_node_that_gives_no_pictures_is_left_out(machine: Path) -> None:
    metadata = FakeDriver(device=0x04A00000)  # V4L2_CAP_META_CAPTURE, of a device that also captures
    assert found_v4l2(machine / "sys", machine / "dev", metadata) == ()


def test_an_old_driver_tells_only_of_the_whole_device(machine: Path) -> None:
    old = FakeDriver(whole=0x05000001, device=0)
    assert len(found_v4l2(machine / "sys", machine / "dev", old)) == 1


def test_cameras_come_in_the_order_of_their_numbers(machine: Path) -> None:
    add(machine, "video10", "third")
    add(machine, "video2", "second")
    devices = found_v4l2(machine / "sys", machine / "dev", FakeDriver())
    assert [device.uri for device in devices] == ["camera:0", "camera:2", "camera:10"]


def test_a_camera_is_found_by_its_name_whatever_its_number(machine: Path) -> None:
    def cameras() -> tuple[FoundDevice, ...]:
        return found_v4l2(machine / "sys", machine / "dev", FakeDriver())

    (device,) = cameras()
    assert device.address == device.lasting_uri == "camera:name=Scope Cam: Scope Cam" and device.address in device.note
    assert number_of(device.name, cameras) == 0
    for node in ("sys", "dev"):
        (machine / node / "video0").rename(machine / node / "video4")
    assert cameras()[0].uri == "camera:4" and number_of(device.name, cameras) == 4
    with pytest.raises(CameraNotFound, match="no camera is called 'Other'. There is 'Scope Cam: Scope Cam'"):
        number_of("Other", cameras)
    with pytest.raises(CameraNotFound, match="Check that it is plugged in"):
        number_of("Other", lambda: ())


def test_two_cameras_of_one_name_are_told_apart_by_number_alone(machine: Path) -> None:
    add(machine, "video2", "Scope Cam: Scope Cam")
    devices = found_v4l2(machine / "sys", machine / "dev", FakeDriver())
    assert [device.address for device in devices] == ["camera:0", "camera:2"]
    with pytest.raises(CameraNotFound, match="2 cameras are called 'Scope Cam: Scope Cam'"):
        number_of("Scope Cam: Scope Cam", lambda: devices)


def test_a_device_that_does_not_answer_is_listed_with_its_problem(machine: Path) -> None:
    driver = FakeDriver()
    driver.failure = OSError(errno.ENODEV, "No such device")
    (device,) = found_v4l2(machine / "sys", machine / "dev", driver)
    assert device.name == "Scope Cam: Scope Cam"
    assert "does not answer (No such device)" in device.problem


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EACCES, "no permission to use .*video0. Join the group"),
        (errno.EBUSY, "is in use. Close the other program"),
        (errno.ENODEV, "cannot be opened"),
    ],
)
def test_a_device_that_cannot_be_opened_is_listed_with_the_reason(
    number: int, says: str, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("her2scope.cameras.uvc_modes.os.open", refuse)
    (device,) = found_v4l2(machine / "sys", machine / "dev", FakeDriver())
    assert device.name == "Scope Cam: Scope Cam"
    assert re.search(says, device.problem)


def test_a_list_without_end_ends(machine: Path) -> None:
    driver = FakeDriver()
    driver.endless = True
    (device,) = found_v4l2(machine / "sys", machine / "dev", driver)
    assert 0 < len(device.modes) < 10_000


def test_files_are_closed_again(machine: Path) -> None:
    before = os.listdir("/dev/fd")
    found_v4l2(machine / "sys", machine / "dev", FakeDriver())
    assert len(os.listdir("/dev/fd")) == len(before)


@pytest.mark.skipif(sys.platform != "linux", reason="V4L2 is Linux's")
def test_a_file_that_is_no_camera_is_said_by_the_real_ioctl(machine: Path) -> None:
    (device,) = found_v4l2(machine / "sys", machine / "dev")
    assert "does not answer" in device.problem


def test_where_the_system_lists_none_numbers_are_tried() -> None:
    there = {0: FakeCapture(properties={cv2.CAP_PROP_FPS: 30.0, cv2.CAP_PROP_FOURCC: 844715353.0}), 2: FakeCapture()}
    none = FakeCapture(opened=False)
    devices = probed(lambda number: there.get(int(number), none))
    assert [device.uri for device in devices] == ["camera:0", "camera:2"]
    assert devices[0].modes == ("YUY2 640x480 at 30 frames/s (others are not told here)",)
    assert "name is not told" in devices[0].name
    assert there[0].released == there[2].released == 1


def test_no_camera_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("her2scope.cameras.uvc_modes.found_v4l2", lambda: ())
    monkeypatch.setattr("her2scope.cameras.uvc_modes.probed", lambda: ())
    for platform in ("linux", "win32"):
        (device,) = found(platform)
        assert device.uri == "camera:" and "Plug it in" in device.problem
