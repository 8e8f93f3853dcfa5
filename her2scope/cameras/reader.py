"""Cameras whose driver may block: a thread of the camera's own waits for it, and nobody else does.

A driver may block for seconds when a cable is pulled, and nothing can interrupt it. So one thread opens the device,
waits for its pictures and lets go of it, and `read` waits for that thread, no longer than it was told to. (A device
released under a driver that still reads takes the program down.)
"""

from __future__ import annotations

import atexit
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from her2scope.cameras.common import not_open
from her2scope.domain.errors import CameraBusy, CameraEnded, CameraError, CameraLost, CameraTimeout, Her2ScopeError
from her2scope.records import CameraState, Frame, RgbImage

LOST_AFTER_S = 2.0
"""A camera that gives no picture for this long is lost; a hiccup on the bus is shorter."""
RETRY_S = 0.02
JOIN_S = 3.0
"""How long `close` waits for a driver to return."""
OPEN_S = 10.0
"""How long `open` waits for a driver: a GigE Vision camera is asked over the network for what it can do."""


class CameraResized(CameraEnded):
    """The pictures have another size than before: the pixel size of the calibration would not hold."""

    def __init__(self, camera: str, last_index: int, before_wh: tuple[int, int], now_wh: tuple[int, int]) -> None:
        super().__init__(camera, last_index)
        self.args = (
            f"{camera} now gives {now_wh[0]} x {now_wh[1]} pixels, before {before_wh[0]} x {before_wh[1]}, and the "
            "pixel size would not hold. Set the camera back and press Reconnect (F5), or start again with the "
            "calibration of this size; the case so far is saved.",
        )


class Device(Protocol):
    """An open camera as the thread sees it that alone calls it."""

    def next_picture(self) -> tuple[RgbImage, CameraState] | None:
        """Wait for a picture, in memory of its own; None where none came. Raises CameraError for what will not pass."""

    def hold(self) -> None:
        """Keep exposure, gain and white balance as they are now."""

    def close(self) -> None:
        """Let go of the camera. Does not raise."""


class ThreadedCamera:
    """A live camera behind `ports.CameraSource` and `ports.HeldCamera`. One thread opens, reads and closes it.

    `read` gives the newest frame that was not given yet; frames that came in between are left out, which shows as a gap
    in the index.

    Parameters
    ----------
    name : str
        What the status line calls it.
    um_per_px : float
        Pixel size at the size that the camera delivers first; a later one of another size is refused.
    open_device : callable
        Claims the camera, in the thread that will read it; CameraNotFound or CameraBusy.
    """

    def __init__(
        self,
        name: str,
        um_per_px: float,
        open_device: Callable[[], Device],
        *,
        lost_after_s: float = LOST_AFTER_S,
        join_s: float = JOIN_S,
        open_s: float = OPEN_S,
    ) -> None:
        self.name = name
        self.problems: tuple[str, ...] = ()
        """What the driver did not take when the camera was last opened, in words."""
        self.notes: tuple[str, ...] = ()
        """What a reader should know of the pictures, in words; nothing is wrong with them."""
        self._um_per_px, self._open_device = um_per_px, open_device
        self._lost_after_s, self._join_s, self._open_s = lost_after_s, join_s, open_s
        self._indices = itertools.count()
        self._last_index = -1
        self._size_wh: tuple[int, int] | None = None
        self._reader: _Reader | None = None
        self._leaving: _Reader | None = None

    def open(self) -> None:
        """Claim the camera; CameraNotFound, or CameraBusy where somebody holds it or its driver does not answer."""
        self.close()
        if self._leaving is not None and self._leaving.is_alive():
            raise CameraBusy(
                f"the driver of {self.name} does not answer. Unplug the camera, plug it in, and reconnect."
            )
        reader = _Reader(self._open_device, self.name, self._indices, self._lost_after_s)
        if not reader.open(self._open_s):
            reader.stop(0.0)
            self._leaving = reader
            raise CameraBusy(
                f"the driver of {self.name} did not open it within {self._open_s:g} s. "
                "Unplug the camera, plug it in, and reconnect."
            )
        self._reader = reader

    def read(self, timeout_s: float) -> Frame:
        """Wait for a new frame, `timeout_s` at most whatever the driver does; CameraTimeout or CameraLost."""
        if self._reader is None:
            raise not_open(self.name)
        try:
            taken = self._reader.take(timeout_s)
        except _NoPictures:
            raise CameraLost(self.name, self._last_index) from None
        if taken is None:
            raise CameraTimeout(f"{self.name} gave no frame within {timeout_s:g} s. Check the cable and the camera.")
        self._refuse_another_size(taken.rgb)
        self._last_index = taken.index
        return Frame(taken.rgb, taken.index, taken.captured_s, self._um_per_px, taken.camera, self.name)

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

    def _refuse_another_size(self, rgb: RgbImage) -> None:
        size_wh = rgb.shape[1], rgb.shape[0]
        if self._size_wh is None:
            self._size_wh = size_wh
        if self._size_wh != size_wh:
            raise CameraResized(self.name, self._last_index, self._size_wh, size_wh)


# ---- the reader thread --------------------------------------------------------------------------------------------


class _NoPictures(Exception):
    """The camera delivers no more; `ThreadedCamera`, which knows the last frame it gave, says CameraLost."""


@dataclass(frozen=True, slots=True)
class _Picture:
    rgb: RgbImage
    index: int
    captured_s: float
    camera: CameraState


class _Reader:
    """The thread that waits for the driver: it opens the device, reads it and closes it."""

    def __init__(
        self, open_device: Callable[[], Device], name: str, indices: Iterator[int], lost_after_s: float
    ) -> None:
        self._open_device, self._name, self._indices, self._lost_after_s = open_device, name, indices, lost_after_s
        self._stopping = threading.Event()
        self._to_hold = threading.Event()
        self._changed = threading.Condition()  # guards the three below
        self._opened = False
        self._picture: _Picture | None = None
        self._failure: Exception | None = None
        # A daemon: a driver that never returns must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def open(self, patience_s: float) -> bool:
        """Start the thread; whether the device was open within `patience_s`. Raises why it could not be opened."""
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._opened or self._failure is not None, patience_s)
            opened, failure = self._opened, self._failure
        if not opened and failure is not None:
            self._thread.join()
            raise failure
        # The interpreter ends a thread where it stands; within a driver's C++ that takes the program down.
        atexit.register(self.stop, JOIN_S)
        return opened

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self, join_s: float) -> bool:
        """Ask the thread to end; whether it did within `join_s`."""
        atexit.unregister(self.stop)
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
            device = self._open_device()
        except Exception as error:  # noqa: BLE001 - the top of a thread: `open` raises it where somebody sees it
            self._tell(failure=self._in_words(error))
            return
        self._tell(opened=True)
        try:
            self._read_until_told(device)
        except Exception as error:  # noqa: BLE001 - the top of a thread: `take` raises it where somebody sees it
            self._tell(failure=self._in_words(error))
        finally:
            device.close()

    def _in_words(self, error: Exception) -> Exception:
        if isinstance(error, (Her2ScopeError, _NoPictures)):
            return error
        failure = CameraError(f"the driver of {self._name} failed ({error}). Unplug the camera, plug it in, reconnect.")
        failure.__cause__ = error
        return failure

    def _read_until_told(self, device: Device) -> None:
        silent_since_s = time.monotonic()
        while not self._stopping.is_set():
            picture, now_s = device.next_picture(), time.monotonic()
            if picture is None:
                if now_s - silent_since_s >= self._lost_after_s:
                    raise _NoPictures
                self._stopping.wait(RETRY_S)
                continue
            silent_since_s = now_s
            self._tell(picture=_Picture(picture[0], next(self._indices), now_s, picture[1]))
            if self._to_hold.is_set():
                self._to_hold.clear()
                device.hold()

    def _tell(self, *, opened: bool = False, picture: _Picture | None = None, failure: Exception | None = None) -> None:
        with self._changed:
            self._opened = self._opened or opened
            self._picture = picture or self._picture
            self._failure = failure
            self._changed.notify_all()
