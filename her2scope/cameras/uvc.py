"""A camera that the operating system knows (USB video class and the like), through OpenCV."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
import time
from collections.abc import Callable

from her2scope.cameras.common import Capture, CaptureFactory, to_rgb
from her2scope.cameras.reader import JOIN_S, LOST_AFTER_S, OPEN_S, ThreadedCamera
from her2scope.cameras.wishes import CameraWishes, differs
from her2scope.domain.errors import CameraBusy, CameraError, CameraNotFound
from her2scope.imaging.opencv import cv2
from her2scope.records import CameraState, RgbImage

STATE_EVERY_S = 2.0
"""How often exposure, gain and white balance are read again: another program may change them."""

_V4L2_MANUAL_EXPOSURE = (1, 2)
"""V4L2_EXPOSURE_MANUAL and V4L2_EXPOSURE_SHUTTER_PRIORITY: the time is fixed (linux/v4l2-controls.h)."""
_V4L2_AUTOMATIC_EXPOSURE = (0, 3)
"""V4L2_EXPOSURE_AUTO and V4L2_EXPOSURE_APERTURE_PRIORITY, as nearly all cameras have it."""
_V4L2_EXPOSURE_UNITS_PER_MS = 10.0
"""V4L2_CID_EXPOSURE_ABSOLUTE counts 100 us (linux/v4l2-controls.h)."""
_WHITE_K = {"linux": cv2.CAP_PROP_WB_TEMPERATURE, "win32": cv2.CAP_PROP_WHITE_BALANCE_BLUE_U}
"""OpenCV's name for the colour temperature: V4L2's own, and the one that its DirectShow part takes for
VideoProcAmp_WhiteBalance. AVFoundation has none, nor an exposure."""
_COMPRESSED = ("MJPG", "JPEG", "H264", "HEVC")


def open_camera(device: int | str) -> Capture:
    """Open a camera by the system's own interface: others that OpenCV would try take seconds to say no."""
    backends = {"linux": cv2.CAP_V4L2, "win32": cv2.CAP_DSHOW, "darwin": cv2.CAP_AVFOUNDATION}
    return cv2.VideoCapture(device, backends.get(sys.platform, cv2.CAP_ANY))


class UvcCameraSource(ThreadedCamera):
    """A live camera of the operating system.

    Parameters
    ----------
    device : int or str
        Number of the camera, or its path (`/dev/video2`).
    find : callable, optional
        Number or path of the camera, looked for at each opening; `device` then is what it is called.
    um_per_px : float
        Pixel size at the size that the camera delivers.
    camera : CameraState
        What the calibration knows; exposure, gain and white balance are added where the driver tells them.
    wishes : CameraWishes
        How to set it. A camera that delivers another picture size than asked for does not open: the pixel size would
        not hold. What else its driver did not take is in `problems`.
    """

    has_noise = True

    def __init__(
        self,
        device: int | str,
        um_per_px: float,
        camera: CameraState,
        *,
        wishes: CameraWishes | None = None,
        find: Callable[[], int | str] | None = None,
        capture_factory: CaptureFactory = open_camera,
        lost_after_s: float = LOST_AFTER_S,
        join_s: float = JOIN_S,
        open_s: float = OPEN_S,
    ) -> None:
        super().__init__(
            f"camera:{device}", um_per_px, self._claim, lost_after_s=lost_after_s, join_s=join_s, open_s=open_s
        )
        self._device, self._find, self._camera = device, find, camera
        self._wishes = wishes or CameraWishes()
        self._capture_factory = capture_factory

    def _claim(self) -> _OpenCamera:
        if self._find is not None:
            self._device = self._find()
        capture = self._capture_factory(self._device)
        try:
            if not capture.isOpened():
                raise self._why_not_opened()
            set_format(capture, self._wishes)
            self._refuse_another_size_than_asked(capture)
            set_controls(capture, self._wishes)
            self.notes = about_pixel_format(fourcc_name(capture.get(cv2.CAP_PROP_FOURCC)))
            self.problems = tuple(f"{self.name}: {words}" for words in not_taken(capture, self._wishes))
        except (CameraError, cv2.error):
            capture.release()
            raise
        return _OpenCamera(capture, self.name, self._camera)

    def _refuse_another_size_than_asked(self, capture: Capture) -> None:
        asked = self._wishes.size_wh
        given = round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if asked is not None and given != asked:
            raise CameraNotFound(
                f"{self.name} gives {given[0]} x {given[1]} pixels, not {asked[0]} x {asked[1]}, "
                "and the pixel size would not hold. Ask for a size that the camera offers."
            )

    def _why_not_opened(self) -> CameraError:
        path = self._device if isinstance(self._device, str) else f"/dev/video{self._device}"
        if not os.path.exists(path):  # always so on systems without such paths
            return CameraNotFound(
                f"{self.name} was not found. Check that it is plugged in, and the number after 'camera:'."
            )
        if not os.access(path, os.R_OK | os.W_OK):
            return CameraNotFound(
                f"{self.name}: no permission to use {path}. Join the group that owns it (often 'video')."
            )
        return CameraBusy(f"{self.name} is there but cannot be opened. Close the other program that uses it.")


class _OpenCamera:
    """The camera as its reader thread sees it."""

    def __init__(self, capture: Capture, name: str, known: CameraState) -> None:
        self._capture, self._name, self._known = capture, name, known
        self._camera = known
        self._read_state_at_s = 0.0

    def next_picture(self) -> tuple[RgbImage, CameraState] | None:
        try:
            done, bgr = self._capture.read()
        except cv2.error:
            return None
        if not done or bgr is None:
            return None
        now_s = time.monotonic()
        if now_s >= self._read_state_at_s:
            self._camera = camera_state(self._capture, self._known)
            self._read_state_at_s = now_s + STATE_EVERY_S
        return to_rgb(bgr, self._name), self._camera

    def hold(self) -> None:
        hold_settings(self._capture)
        self._read_state_at_s = 0.0

    def close(self) -> None:
        self._capture.release()


# ---- settings -----------------------------------------------------------------------------------------------------


def set_format(capture: Capture, wishes: CameraWishes) -> None:
    """Ask for pixel format, picture size and rate, in the order that DirectShow needs: the format goes with a size."""
    if wishes.pixel_format is not None:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*wishes.pixel_format))
    if wishes.size_wh is not None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, wishes.size_wh[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wishes.size_wh[1])
    if wishes.frames_per_s is not None:
        capture.set(cv2.CAP_PROP_FPS, wishes.frames_per_s)


def set_controls(capture: Capture, wishes: CameraWishes, platform: str = sys.platform) -> None:
    """Ask for exposure, gain and white balance, which switches their automatic off."""
    if platform not in _WHITE_K:
        return
    if wishes.exposure_ms is not None:
        if platform == "linux":
            capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _V4L2_MANUAL_EXPOSURE[0])
        capture.set(cv2.CAP_PROP_EXPOSURE, _driver_exposure(wishes.exposure_ms, platform))
    if wishes.gain is not None:
        capture.set(cv2.CAP_PROP_GAIN, wishes.gain)
    if wishes.white_k is not None:
        if platform == "linux":
            capture.set(cv2.CAP_PROP_AUTO_WB, 0)
        capture.set(_WHITE_K[platform], wishes.white_k)


def not_taken(capture: Capture, wishes: CameraWishes, platform: str = sys.platform) -> list[str]:
    """What of `wishes` the driver says otherwise when it is read back, in words."""
    problems = _format_not_taken(capture, wishes)
    if wishes.frames_per_s is not None:
        given = capture.get(cv2.CAP_PROP_FPS)
        problems += differs("rate", wishes.frames_per_s, given if given > 0 else None, " frames/s")
    if platform not in _WHITE_K:
        if (wishes.exposure_ms, wishes.gain, wishes.white_k) != (None, None, None):
            problems.append(
                "exposure, gain and white balance cannot be set on this system. Set them in the camera's own program."
            )
        return problems
    if wishes.exposure_ms is not None:
        problems += differs("exposure", wishes.exposure_ms, _exposure_ms(capture, platform), " ms")
    if wishes.gain is not None:
        problems += differs("gain", wishes.gain, capture.get(cv2.CAP_PROP_GAIN), "")
    if wishes.white_k is not None:
        given = capture.get(_WHITE_K[platform])
        problems += differs("white balance", wishes.white_k, given if given > 0 else None, " K")
    return problems + _still_automatic(capture, wishes, platform)


def _format_not_taken(capture: Capture, wishes: CameraWishes) -> list[str]:
    given = fourcc_name(capture.get(cv2.CAP_PROP_FOURCC))
    if wishes.pixel_format in (None, given):
        return []
    return [
        f"pixel format {wishes.pixel_format} was asked for, the driver gives {given or 'one that it does not tell'}."
    ]


def _still_automatic(capture: Capture, wishes: CameraWishes, platform: str) -> list[str]:
    """What the camera goes on setting by itself although a value was given; only V4L2 tells."""
    if platform != "linux":
        return []
    automatic = capture.get(cv2.CAP_PROP_AUTO_EXPOSURE) in _V4L2_AUTOMATIC_EXPOSURE
    problems = []
    if automatic and (wishes.exposure_ms is not None or wishes.gain is not None):
        problems.append("the camera still sets its exposure and gain by itself. Give exposure_ms, or set it by hand.")
    if capture.get(cv2.CAP_PROP_AUTO_WB) == 1 and wishes.white_k is not None:
        problems.append("the camera still sets its white balance by itself. Set it by hand in the camera's program.")
    return problems


def _driver_exposure(exposure_ms: float, platform: str) -> float:
    """V4L2 counts 100 us; DirectShow takes the nearest power of two of a second (CameraControlProperty, Microsoft)."""
    if platform == "linux":
        return round(exposure_ms * _V4L2_EXPOSURE_UNITS_PER_MS)
    return round(math.log2(exposure_ms / 1000.0))


def _exposure_ms(capture: Capture, platform: str) -> float | None:
    given = capture.get(cv2.CAP_PROP_EXPOSURE)
    if platform == "linux":
        return given / _V4L2_EXPOSURE_UNITS_PER_MS if given > 0 else None
    return 1000.0 * 2.0**given if given != -1 else None  # OpenCV's "not known", not half a second


def about_pixel_format(pixel_format: str) -> tuple[str, ...]:
    """What a reader should know of it, in words."""
    if pixel_format not in _COMPRESSED:
        return ()
    return (f"{pixel_format}: the camera compresses with loss; thin, faint membranes suffer first.",)


def fourcc_name(code: float) -> str:
    """Four letters of a pixel format (`MJPG`); empty where the number is none."""
    if not 0 < code < 2**32:
        return ""
    letters = int(code).to_bytes(4, "little").decode("latin-1")
    return letters.rstrip(" ") if letters.isascii() and letters.isprintable() else ""


def hold_settings(capture: Capture, platform: str = sys.platform) -> None:
    """Switch automatic exposure and white balance off, at the values that they have come to.

    Only for V4L2, whose values are known; elsewhere the drift of the white has to tell what the camera does.
    """
    if platform != "linux":
        return
    exposure, white_k = capture.get(cv2.CAP_PROP_EXPOSURE), capture.get(cv2.CAP_PROP_WB_TEMPERATURE)
    if capture.get(cv2.CAP_PROP_AUTO_EXPOSURE) not in _V4L2_MANUAL_EXPOSURE:
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _V4L2_MANUAL_EXPOSURE[0])
        if exposure > 0:
            capture.set(cv2.CAP_PROP_EXPOSURE, exposure)
    if capture.get(cv2.CAP_PROP_AUTO_WB) == 1:
        capture.set(cv2.CAP_PROP_AUTO_WB, 0)
        if white_k > 0:
            capture.set(cv2.CAP_PROP_WB_TEMPERATURE, white_k)


def camera_state(capture: Capture, known: CameraState, platform: str = sys.platform) -> CameraState:
    """`known` with what the driver tells of exposure, gain and white balance.

    Only Linux (V4L2) states them in known units. A time or gain that the camera itself changes from frame to frame is
    no state: it stays None.
    """
    if platform != "linux":
        return known
    values = {
        "auto_exposure": capture.get(cv2.CAP_PROP_AUTO_EXPOSURE),
        "exposure": capture.get(cv2.CAP_PROP_EXPOSURE),
        "gain": capture.get(cv2.CAP_PROP_GAIN),
        "auto_white": capture.get(cv2.CAP_PROP_AUTO_WB),
        "white_k": capture.get(cv2.CAP_PROP_WB_TEMPERATURE),
    }
    fixed = values["auto_exposure"] in _V4L2_MANUAL_EXPOSURE
    white = "auto" if values["auto_white"] == 1 else f"{values['white_k']:.0f} K" if values["white_k"] > 0 else None
    return dataclasses.replace(
        known,
        exposure_ms=values["exposure"] / _V4L2_EXPOSURE_UNITS_PER_MS if fixed and values["exposure"] > 0 else None,
        gain=values["gain"] if fixed and values["gain"] >= 0 else None,
        white_balance=white,
    )
