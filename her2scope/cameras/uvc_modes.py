"""Which cameras the operating system knows, with their names and modes.

Linux tells all of it (V4L2, through `ioctl`) without claiming the camera. Elsewhere OpenCV tells neither names nor
modes: the first numbers are opened in turn, and what is not known is said.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from her2scope.cameras.common import Capture, CaptureFactory
from her2scope.cameras.found import FoundDevice
from her2scope.cameras.uvc import fourcc_name, open_camera
from her2scope.domain.errors import CameraNotFound
from her2scope.imaging.opencv import cv2

SYSFS = Path("/sys/class/video4linux")
DEVICES = Path("/dev")
PROBED = 4
"""Cameras looked for by number where the system lists none: each look takes up to a second."""
BY_NAME = "name="
"""Stands before a camera's name in its address: `camera:name=Bench camera`."""
MAX_ENTRIES = 256
"""Of one list of a driver, whatever it says: a driver that never ends its list must not keep us."""

Ioctl = Callable[[int, int, bytes], bytes]
"""`fcntl.ioctl` on bytes: file, request, structure in; structure out. Raises OSError."""


def found(platform: str = sys.platform) -> tuple[FoundDevice, ...]:
    """Cameras of the operating system; where there is none, one entry that says so."""
    devices = found_v4l2() if platform == "linux" else probed()
    return devices or (
        FoundDevice(
            "camera:",
            "cameras of the operating system",
            problem="no camera found. Plug it in; if it stays away, install its driver, or see whether it is a GenICam "
            "or Micro-Manager camera.",
        ),
    )


# ---- Linux: linux/videodev2.h -------------------------------------------------------------------------------------


def _request(directions: int, number: int, size: int) -> int:
    """Number of an ioctl of V4L2 (asm-generic/ioctl.h): 1 is write, 2 is read."""
    return directions << 30 | size << 16 | ord("V") << 8 | number


_CAPABILITY = struct.Struct("=16s32s32sIII12x")  # v4l2_capability: driver, card, bus, version, all's and device's
_FORMAT = struct.Struct("=III32sI16x")  # v4l2_fmtdesc: index, type, flags, description, fourcc
_SIZE = struct.Struct("=III6I8x")  # v4l2_frmsizeenum: index, fourcc, kind; width, height, or ranges of them
_INTERVAL = struct.Struct("=IIIII6I8x")  # v4l2_frmivalenum: index, fourcc, width, height, kind; seconds as fractions
_QUERYCAP = _request(2, 0, _CAPABILITY.size)
_ENUM_FMT = _request(3, 2, _FORMAT.size)
_ENUM_FRAMESIZES = _request(3, 74, _SIZE.size)
_ENUM_FRAMEINTERVALS = _request(3, 75, _INTERVAL.size)
_VIDEO_CAPTURE = 0x00000001  # V4L2_CAP_VIDEO_CAPTURE, and V4L2_BUF_TYPE_VIDEO_CAPTURE
_HAS_DEVICE_CAPS = 0x80000000  # V4L2_CAP_DEVICE_CAPS
_DISCRETE = 1  # V4L2_FRMSIZE_TYPE_DISCRETE, V4L2_FRMIVAL_TYPE_DISCRETE


class V4l2Size(NamedTuple):
    """Picture sizes of one pixel format; the same twice where the driver offers just that one."""

    least_wh: tuple[int, int]
    most_wh: tuple[int, int]


def found_v4l2(sysfs: Path = SYSFS, devices: Path = DEVICES, ioctl: Ioctl | None = None) -> tuple[FoundDevice, ...]:
    """Cameras that V4L2 lists. A camera's further nodes, for its metadata, are left out.

    Parameters
    ----------
    sysfs : Path
        One folder per device, whose file `name` has its name.
    devices : Path
        Where the device files are.
    ioctl : callable, optional
        Tests put their own in its place.
    """
    if ioctl is None:
        import fcntl  # not there on Windows

        ioctl = fcntl.ioctl
    folders = sorted(sysfs.glob("video*"), key=lambda folder: (len(folder.name), folder.name))
    seen = (_look_at(folder, devices / folder.name, ioctl) for folder in folders)
    cameras = [device for device in seen if device is not None]
    names = [camera.name for camera in cameras]
    return tuple(_named(camera) if names.count(camera.name) == 1 else camera for camera in cameras)


def _named(camera: FoundDevice) -> FoundDevice:
    """The camera with the address that finds it by its name: its number is another one where it is plugged in anew."""
    if "?" in camera.name or not camera.uri.removeprefix("camera:").isdecimal():
        return camera
    lasting = f"camera:{BY_NAME}{camera.name}"
    return replace(camera, note=f"also by its name, whatever its number: {lasting}", lasting_uri=lasting)


def number_of(name: str, cameras: Callable[[], Sequence[FoundDevice]] = found_v4l2) -> int:
    """Number by which Linux knows the camera of that name now; CameraNotFound where none or several are called so."""
    there = cameras()
    same = [camera for camera in there if camera.name == name and camera.uri.removeprefix("camera:").isdecimal()]
    if len(same) == 1:
        return int(same[0].uri.removeprefix("camera:"))
    if same:
        raise CameraNotFound(
            f"{len(same)} cameras are called '{name}'. Name one by its number, or by its path in /dev/v4l/by-id."
        )
    others = ", ".join(f"'{camera.name}'" for camera in there)
    raise CameraNotFound(
        f"no camera is called '{name}'. " + (f"There is {others}." if others else "Check that it is plugged in.")
    )


def _look_at(folder: Path, path: Path, ioctl: Ioctl) -> FoundDevice | None:
    """One device of V4L2; None where it gives no pictures."""
    number = path.name.removeprefix("video")
    uri = f"camera:{number}" if number.isdecimal() else f"camera:{path}"
    try:
        name = (folder / "name").read_text(errors="replace").strip() or path.name
    except OSError:
        name = path.name
    try:
        # Not blocking, and not claimed: pictures are asked for by nobody.
        file = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        return FoundDevice(uri, name, problem=_why_not_opened(path, error))
    try:
        return FoundDevice(uri, name, tuple(_modes(file, ioctl))) if _captures(file, ioctl) else None
    except OSError as error:
        return FoundDevice(uri, name, problem=f"{path} does not answer ({error.strerror}). Plug it in again.")
    finally:
        os.close(file)


def _why_not_opened(path: Path, error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"no permission to use {path}. Join the group that owns it (often 'video'), and log in again."
    if error.errno == errno.EBUSY:
        return f"{path} is in use. Close the other program that uses it."
    return f"{path} cannot be opened ({error.strerror}). Plug it in again."


def _captures(file: int, ioctl: Ioctl) -> bool:
    *_, whole, device = _CAPABILITY.unpack(ioctl(file, _QUERYCAP, bytes(_CAPABILITY.size)))
    return bool((device if whole & _HAS_DEVICE_CAPS else whole) & _VIDEO_CAPTURE)


def _modes(file: int, ioctl: Ioctl) -> Iterator[str]:
    """Modes in words: `MJPG 1920x1080 at 30, 15 frames/s`."""
    for _index, _type, _flags, _description, fourcc in _entries(
        file, ioctl, _ENUM_FMT, _FORMAT, lambda index: (index, _VIDEO_CAPTURE, 0, b"", 0)
    ):
        pixel_format = fourcc_name(fourcc) or f"{fourcc:#x}"
        sizes = list(_sizes(file, ioctl, fourcc))
        if not sizes:
            yield f"{pixel_format} (sizes not told)"
        for least_wh, most_wh in sizes:
            words = "{}x{}".format(*most_wh)
            if least_wh != most_wh:
                words = "{}x{} to ".format(*least_wh) + words
            rates = ", ".join(_rates(file, ioctl, fourcc, most_wh))
            yield f"{pixel_format} {words}" + (f" at {rates} frames/s" if rates else "")


def _sizes(file: int, ioctl: Ioctl, fourcc: int) -> Iterator[V4l2Size]:
    for _index, _fourcc, kind, *numbers in _entries(
        file, ioctl, _ENUM_FRAMESIZES, _SIZE, lambda index: (index, fourcc, 0, *[0] * 6)
    ):
        if kind == _DISCRETE:
            yield V4l2Size((numbers[0], numbers[1]), (numbers[0], numbers[1]))
        else:  # least width, most width, step, least height, most height, step: one entry for all of them
            yield V4l2Size((numbers[0], numbers[3]), (numbers[1], numbers[4]))
            return


def _rates(file: int, ioctl: Ioctl, fourcc: int, size_wh: tuple[int, int]) -> Iterator[str]:
    for _index, _fourcc, _width, _height, kind, *numbers in _entries(
        file, ioctl, _ENUM_FRAMEINTERVALS, _INTERVAL, lambda index: (index, fourcc, *size_wh, 0, *[0] * 6)
    ):
        shortest, longest = _per_second(numbers[0], numbers[1]), _per_second(numbers[2], numbers[3])
        yield shortest if kind == _DISCRETE else f"{longest} to {shortest}"
        if kind != _DISCRETE:
            return


def _per_second(numerator: int, denominator: int) -> str:
    """Rate of an interval of `numerator / denominator` seconds."""
    return f"{denominator / numerator:.4g}" if numerator else "?"


def _entries(
    file: int, ioctl: Ioctl, request: int, layout: struct.Struct, ask: Callable[[int], tuple[int | bytes, ...]]
) -> Iterator[tuple[int, ...]]:
    """Entries of one list of the driver, asked for by index until it says that there are no more."""
    for index in range(MAX_ENTRIES):
        try:
            answer = ioctl(file, request, layout.pack(*ask(index)))
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOTTY):  # the list's end; a list that the driver does not have
                return
            raise
        yield layout.unpack(answer)


# ---- elsewhere ----------------------------------------------------------------------------------------------------


def probed(capture_factory: CaptureFactory = open_camera, count: int = PROBED) -> tuple[FoundDevice, ...]:
    """Cameras that open by number. One that another program holds is not told from one that is not there."""
    return tuple(device for number in range(count) if (device := _probe(capture_factory, number)) is not None)


def _probe(capture_factory: CaptureFactory, number: int) -> FoundDevice | None:
    capture = capture_factory(number)
    try:
        if not capture.isOpened():
            return None
        return FoundDevice(f"camera:{number}", f"camera {number} (its name is not told here)", (_present(capture),))
    finally:
        capture.release()


def _present(capture: Capture) -> str:
    """The mode that a camera starts in."""
    width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    rate = capture.get(cv2.CAP_PROP_FPS)
    words = f"{fourcc_name(capture.get(cv2.CAP_PROP_FOURCC))} {width:.0f}x{height:.0f}".strip()
    return words + (f" at {rate:.4g} frames/s" if rate > 0 else "") + " (others are not told here)"
