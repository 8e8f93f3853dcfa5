"""A network camera or a capture box: HTTP MJPEG read by ourselves, RTSP through OpenCV's FFmpeg.

A network blocks for as long as it likes. So a thread of the source's own waits for it, and keeps the newest picture
alone: what nobody took is left out, nothing queues up, and the picture stays as young as the network allows.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from her2scope.cameras.common import not_open, to_rgb
from her2scope.cameras.found import FoundDevice
from her2scope.cameras.http_pictures import HttpPictures
from her2scope.cameras.reader import CameraResized
from her2scope.cameras.rtsp_pictures import RtspPictures
from her2scope.cameras.stream_address import StreamAddress
from her2scope.cameras.stream_end import Limits, StreamEnded
from her2scope.domain.errors import CameraError, CameraLost, CameraNotFound, CameraTimeout
from her2scope.imaging.files import MAX_PIXELS
from her2scope.imaging.headers import DamagedImageError, UnknownFormatError, read_header
from her2scope.imaging.opencv import cv2
from her2scope.records import CameraState, Frame, RgbImage

OPEN_S = 5.0
"""How long `open` waits for the first picture. RTSP has to wait for a whole one, which cameras send every 1 to 4 s."""
LOST_AFTER_S = 1.5
"""A stream that sends no picture for this long has ended: a pulled cable says nothing. Connecting again takes less."""
JOIN_S = 2.0
"""How long `close` waits for its thread."""

Picture = RgbImage | bytes
"""Decoded, or a complete JPEG."""


class StreamLost(CameraLost):
    """The stream ended, for a reason that is known."""

    def __init__(self, camera: str, last_index: int, why: str) -> None:
        super().__init__(camera, last_index)
        self.args = (
            f"{camera} {why} after frame {last_index}. Check the camera and the network, then press Reconnect (F5); "
            "the case so far is saved.",
        )


class Receiver(Protocol):
    """One connection to a stream. One thread uses it, but for `interrupt`."""

    def connect(self) -> None:
        """Ask for the stream; CameraNotFound or CameraBusy with the reason."""

    def receive(self) -> list[bytes] | list[RgbImage]:
        """Wait for what the network brings; the pictures in it, oldest first, maybe none. Raises StreamEnded."""

    def interrupt(self) -> None:
        """End the waiting of the others as soon as can be. May be called from any thread."""

    def close(self) -> None:
        """Let go of the connection."""


def connection_to(address: StreamAddress, limits: Limits) -> Receiver:
    """The connection that the address' scheme needs."""
    return RtspPictures(address, limits) if address.is_rtsp else HttpPictures(address, limits)


class StreamSource:
    """A stream over the network. One thread opens and reads it; `close` may come from any, and ends an `open`.

    `read` gives the newest picture that was not given yet; those that came in between are left out, which shows as a
    gap in the index. Exposure, gain and white balance are not known: no stream tells them.

    Parameters
    ----------
    address : StreamAddress
    um_per_px : float
        Pixel size at the size that the camera sends.
    camera : CameraState
        What the calibration knows.
    size_wh : (int, int), optional
        Size that the pictures must have, because the pixel size holds for it; else the first one's is kept to, also
        when the stream is opened again.
    """

    def __init__(
        self,
        address: StreamAddress,
        um_per_px: float,
        camera: CameraState,
        *,
        size_wh: tuple[int, int] | None = None,
        connection: Callable[[StreamAddress, Limits], Receiver] = connection_to,
        open_s: float = OPEN_S,
        lost_after_s: float = LOST_AFTER_S,
        join_s: float = JOIN_S,
    ) -> None:
        self.name = f"stream:{address.shown}"
        self._address, self._um_per_px, self._camera, self._size_wh = address, um_per_px, camera, size_wh
        self._connection, self._open_s, self._lost_after_s, self._join_s = connection, open_s, lost_after_s, join_s
        self._indices = itertools.count()
        self._last_index = -1
        self._lock = threading.Lock()  # guards the one below
        self._thread: _Thread | None = None
        self._leaving: _Thread | None = None

    def open(self) -> None:
        """Connect and wait for the first picture; CameraNotFound or CameraBusy, after `open_s` at most."""
        self.close()
        if self._leaving is not None and self._leaving.is_alive():
            raise CameraNotFound(f"{self.name}: the last connection has not ended yet. Wait some seconds, reconnect.")
        receiver = self._connection(self._address, Limits(self._open_s, self._lost_after_s))
        thread = _Thread(receiver, self.name, self._indices, self._lost_after_s)
        with self._lock:
            self._thread = thread
        try:
            thread.start()
            first = thread.wait(self._open_s)
            if first is None:
                raise CameraNotFound(
                    f"{self.name}: no picture came within {self._open_s:g} s. Check that the address is that of a live "
                    "stream, and the network."
                )
            if self._size_wh is None:
                self._size_wh = first.size_wh
            if first.size_wh != self._size_wh:
                raise CameraNotFound(
                    f"{self.name} gives {_words(first.size_wh)} pixels, not {_words(self._size_wh)}, and the pixel "
                    "size would not hold. Set the camera to that size, or start again with the new pixel size."
                )
        except StreamEnded as error:
            self.close()
            raise CameraNotFound(f"{self.name} {error}, before any picture came. Check its address.") from None
        except CameraError:
            self.close()
            raise

    def read(self, timeout_s: float) -> Frame:
        """Wait for a new frame, `timeout_s` at most whatever the network does; CameraTimeout or CameraLost."""
        deadline_s = time.monotonic() + timeout_s
        with self._lock:
            thread = self._thread
        if thread is None:
            raise not_open(self.name)
        while (arrived := self._next(thread, deadline_s - time.monotonic())) is not None:
            if self._size_wh is not None and arrived.size_wh != self._size_wh:
                resized = CameraResized(self.name, self._last_index, self._size_wh, arrived.size_wh)
                thread.fail(resized)
                raise resized
            rgb = _decoded(arrived.picture, self.name)
            if rgb is not None:
                self._last_index = arrived.index
                return Frame(rgb, arrived.index, arrived.captured_s, self._um_per_px, self._camera, self.name)
        raise CameraTimeout(f"{self.name} gave no frame within {timeout_s:g} s. Check the camera and the network.")

    def close(self) -> None:
        """End the connection; a waiting `open` or `read` ends with a CameraError. Safe to call twice.

        Waits for the thread, `join_s` at most. One that the network holds longer ends by itself when it lets go.
        """
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._leaving = None if thread.stop(self._join_s) else thread

    def _next(self, thread: _Thread, timeout_s: float) -> _Arrived | None:
        try:
            return thread.take(timeout_s)
        except StreamEnded as error:
            raise StreamLost(self.name, self._last_index, str(error)) from None


def _words(size_wh: tuple[int, int]) -> str:
    return f"{size_wh[0]} x {size_wh[1]}"


@dataclass(frozen=True, slots=True, eq=False)
class _Arrived:
    """A picture as it came."""

    picture: Picture
    size_wh: tuple[int, int]
    index: int
    captured_s: float


class _Thread:
    """The thread that waits for the network. It owns the connection from `start` on, and lets go of it at its end."""

    def __init__(self, receiver: Receiver, name: str, indices: Iterator[int], lost_after_s: float) -> None:
        self._receiver, self._name, self._indices, self._lost_after_s = receiver, name, indices, lost_after_s
        self._stopping = threading.Event()
        self._changed = threading.Condition()  # guards the two below
        self._newest: _Arrived | None = None
        self._failure: Exception | None = None
        # A daemon: a network that never answers must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self, join_s: float) -> bool:
        """Ask the thread to end; whether it did within `join_s`."""
        self._stopping.set()
        self.fail(CameraError(f"{self._name} was closed while a frame was awaited."))
        self._receiver.interrupt()
        self._thread.join(join_s)
        return not self._thread.is_alive()

    def wait(self, timeout_s: float) -> _Arrived | None:
        """Newest picture, which stays to be taken; None after `timeout_s`. Raises why the thread ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._failure is not None, max(0.0, timeout_s))
            if self._newest is None and self._failure is not None:
                raise self._failure
            return self._newest

    def take(self, timeout_s: float) -> _Arrived | None:
        """Newest picture not taken yet; None after `timeout_s`. Raises why the thread ended, once all is taken."""
        with self._changed:
            newest, self._newest = self.wait(timeout_s), None
            return newest

    def fail(self, error: Exception) -> None:
        """Give no more pictures but `error`; the first one stands."""
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            self._receiver.connect()
            self._receive_until_told()
        except (CameraError, StreamEnded) as error:
            self.fail(error)
        except Exception as error:  # noqa: BLE001 - the top of a thread: `take` raises it where somebody sees it
            # By its kind alone: its text may hold the address as it was given, with the password.
            failure = CameraError(f"{self._name} failed ({type(error).__name__}). Check the camera, then reconnect.")
            failure.__cause__ = error
            self.fail(failure)
        finally:
            self._receiver.close()

    def _receive_until_told(self) -> None:
        last_s = time.monotonic()
        while not self._stopping.is_set():
            pictures, now_s = self._receiver.receive(), time.monotonic()
            for picture in pictures:
                size_wh = _size_wh(picture)
                if size_wh is not None:
                    self._put(_Arrived(picture, size_wh, next(self._indices), now_s))
                    last_s = now_s
            if now_s - last_s > self._lost_after_s:  # bytes come, but no whole picture is in them
                raise StreamEnded(f"sent no picture for {self._lost_after_s:g} s")

    def _put(self, arrived: _Arrived) -> None:
        with self._changed:
            self._newest = arrived
            self._changed.notify_all()


def _size_wh(picture: Picture) -> tuple[int, int] | None:
    """Width and height; None of a JPEG that is damaged, or so large that it is no camera's."""
    if isinstance(picture, np.ndarray):
        return picture.shape[1], picture.shape[0]
    try:
        header = read_header(picture)
    except (DamagedImageError, UnknownFormatError):
        return None
    return (header.width, header.height) if 0 < header.width * header.height <= MAX_PIXELS else None


def _decoded(picture: Picture, name: str) -> RgbImage | None:
    """RGB in memory of its own; None where the bytes cannot be decoded. CameraError for what is no colour picture."""
    if isinstance(picture, np.ndarray):
        return picture
    try:  # unchanged: a grey picture must not pass for a coloured one
        bgr = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    return None if bgr is None else to_rgb(bgr, name)


def found() -> tuple[FoundDevice, ...]:
    """Say that streams are named by their address: a network is not searched."""
    note = "not searched: give --source stream:URL, such as stream:rtsp://HOST/PATH or stream:http://HOST/PATH (MJPEG)."
    return (FoundDevice("stream:", "network cameras", note=note),)
