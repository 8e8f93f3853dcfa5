"""A camera that the operating system knows (USB video class and the like), through OpenCV.

A driver may block for seconds when a cable is pulled, and nothing can interrupt it. So a reader thread of the source's
own waits for the driver, and `read` waits for that thread, no longer than it was told to. The thread also lets go of
the device: a device released under a driver that still reads takes the program down.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from her2scope.cameras.common import Capture, CaptureFactory, not_open, to_rgb
from her2scope.domain.errors import CameraBusy, CameraError, CameraLost, CameraNotFound, CameraTimeout
from her2scope.imaging.opencv import cv2
from her2scope.records import CameraState, Frame

LOST_AFTER_S = 2.0
"""A camera whose reads fail for this long is lost; a hiccup on the bus is shorter."""
RETRY_S = 0.02
JOIN_S = 3.0
"""How long `close` waits for a driver to return."""
STATE_EVERY_S = 2.0
"""How often exposure, gain and white balance are read again: another program may change them."""

_V4L2_MANUAL_EXPOSURE = (1, 2)
"""V4L2_EXPOSURE_MANUAL and V4L2_EXPOSURE_SHUTTER_PRIORITY: the time is fixed (linux/v4l2-controls.h)."""
_V4L2_EXPOSURE_UNITS_PER_MS = 10.0
"""V4L2_CID_EXPOSURE_ABSOLUTE counts 100 us (linux/v4l2-controls.h)."""


def open_camera(device: int | str) -> Capture:
    """Open a camera by the system's own interface: others that OpenCV would try take seconds to say no."""
    backends = {"linux": cv2.CAP_V4L2, "win32": cv2.CAP_DSHOW, "darwin": cv2.CAP_AVFOUNDATION}
    return cv2.VideoCapture(device, backends.get(sys.platform, cv2.CAP_ANY))


class UvcCameraSource:
    """A live camera. One thread opens, reads and closes it.

    `read` gives the newest frame that was not given yet; frames that came in between are left out, which shows as a gap
    in the index. Each frame is a copy of its own.

    Parameters
    ----------
    device : int or str
        Number of the camera, or its path (`/dev/video2`).
    um_per_px : float
        Pixel size at the size that the camera delivers.
    camera : CameraState
        What the calibration knows; exposure, gain and white balance are added where the driver tells them.
    size_wh : (int, int), optional
        Picture size to ask for. A camera that delivers another does not open: the pixel size would not hold.
    """

    def __init__(
        self,
        device: int | str,
        um_per_px: float,
        camera: CameraState,
        *,
        size_wh: tuple[int, int] | None = None,
        capture_factory: CaptureFactory = open_camera,
        lost_after_s: float = LOST_AFTER_S,
        join_s: float = JOIN_S,
    ) -> None:
        self.name = f"camera:{device}"
        self._device, self._um_per_px, self._camera, self._size_wh = device, um_per_px, camera, size_wh
        self._capture_factory, self._lost_after_s, self._join_s = capture_factory, lost_after_s, join_s
        self._indices = itertools.count()
        self._last_index = -1
        self._reader: _Reader | None = None
        self._leaving: _Reader | None = None

    def open(self) -> None:
        """Claim the camera; CameraNotFound, or CameraBusy where somebody holds it."""
        self.close()
        if self._leaving is not None and self._leaving.is_alive():
            raise CameraBusy(
                f"the driver of {self.name} does not answer. Unplug the camera, plug it in, and reconnect."
            )
        capture = self._capture_factory(self._device)
        try:
            if not capture.isOpened():
                raise self._why_not_opened()
            self._ask_for_size(capture)
        except (CameraError, cv2.error):
            capture.release()
            raise
        self._reader = _Reader(capture, self.name, self._camera, self._indices, self._lost_after_s)
        self._reader.start()

    def read(self, timeout_s: float) -> Frame:
        """Wait for a new frame, `timeout_s` at most whatever the driver does; CameraTimeout or CameraLost."""
        if self._reader is None:
            raise not_open(self.name)
        try:
            taken = self._reader.take(timeout_s)
        except _ReadsFail:
            raise CameraLost(self.name, self._last_index) from None
        if taken is None:
            raise CameraTimeout(f"{self.name} gave no frame within {timeout_s:g} s. Check the cable and the camera.")
        rgb, index, captured_s, camera = taken
        self._last_index = index
        return Frame(rgb, index, captured_s, self._um_per_px, camera, self.name)

    def hold(self) -> None:
        """Keep exposure, gain and white balance as they are now, until the camera is closed. Returns at once.

        The state of the next frames tells whether the driver did: `auto` stays where it did not.
        """
        if self._reader is not None:
            self._reader.hold()

    def close(self) -> None:
        """Release the camera. Safe to call twice and after an error.

        Waits for the reader thread, `join_s` at most. A driver that blocks longer keeps the thread and the device until
        it returns; then the thread releases the device and ends. It never keeps the program from ending.
        """
        if self._reader is None:
            return
        reader, self._reader = self._reader, None
        self._leaving = None if reader.stop(self._join_s) else reader

    def _ask_for_size(self, capture: Capture) -> None:
        if self._size_wh is None:
            return
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size_wh[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size_wh[1])
        given = round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if given != self._size_wh:
            raise CameraNotFound(
                f"{self.name} gives {given[0]} x {given[1]} pixels, not {self._size_wh[0]} x {self._size_wh[1]}, "
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


# ---- the reader thread --------------------------------------------------------------------------------------------


class _ReadsFail(Exception):
    """The camera delivers no more; the source, which knows the last frame it gave, says CameraLost."""


_Picture = tuple[Any, int, float, CameraState]
"""RGB, index, monotonic time of capture, state of the camera."""


class _Reader:
    """The thread that waits for the driver. It owns the capture from `start` on and releases it when it ends."""

    def __init__(
        self, capture: Capture, name: str, camera: CameraState, indices: Iterator[int], lost_after_s: float
    ) -> None:
        self._capture, self._name, self._indices, self._lost_after_s = capture, name, indices, lost_after_s
        self._known, self._camera = camera, camera
        self._stopping = threading.Event()
        self._to_hold = threading.Event()
        self._changed = threading.Condition()  # guards the two below
        self._picture: _Picture | None = None
        self._failure: Exception | None = None
        # A daemon: a driver that never returns must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self, join_s: float) -> bool:
        """Ask the thread to end; whether it did within `join_s`."""
        self._stopping.set()
        self._thread.join(join_s)
        return not self._thread.is_alive()

    def hold(self) -> None:
        self._to_hold.set()

    def take(self, timeout_s: float) -> _Picture | None:
        """Newest picture not taken yet; None after `timeout_s`. Raises why the thread ended, once all is taken."""
        with self._changed:
            self._changed.wait_for(lambda: self._picture is not None or self._failure is not None, max(0.0, timeout_s))
            if self._picture is None and self._failure is not None:
                raise self._failure
            picture, self._picture = self._picture, None
            return picture

    def _run(self) -> None:
        try:
            self._read_until_told()
        except Exception as error:  # noqa: BLE001 - the top of a thread: `take` raises it where somebody sees it
            self._fail(error)
        finally:
            self._capture.release()

    def _read_until_told(self) -> None:
        read_state_at_s = 0.0
        failing_since_s: float | None = None
        while not self._stopping.is_set():
            bgr, now_s = self._next_picture(), time.monotonic()
            if bgr is None:
                failing_since_s = now_s if failing_since_s is None else failing_since_s
                if now_s - failing_since_s >= self._lost_after_s:
                    raise _ReadsFail
                self._stopping.wait(RETRY_S)
                continue
            failing_since_s = None
            if self._to_hold.is_set():
                self._to_hold.clear()
                hold_settings(self._capture)
                read_state_at_s = now_s
            if now_s >= read_state_at_s:
                self._camera = camera_state(self._capture, self._known)
                read_state_at_s = now_s + STATE_EVERY_S
            self._put((to_rgb(bgr, self._name), next(self._indices), now_s, self._camera))

    def _next_picture(self) -> Any:
        try:
            done, bgr = self._capture.read()
        except cv2.error:
            return None
        return bgr if done else None

    def _put(self, picture: _Picture) -> None:
        with self._changed:
            self._picture = picture
            self._changed.notify_all()

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify_all()


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
