"""Pictures of an RTSP stream, through OpenCV's FFmpeg."""

from __future__ import annotations

import socket
from collections.abc import Callable

from her2scope.cameras.common import Capture, to_rgb
from her2scope.cameras.stream_address import StreamAddress
from her2scope.cameras.stream_end import Limits, StreamEnded
from her2scope.domain.errors import CameraNotFound
from her2scope.imaging.opencv import cv2
from her2scope.records import RgbImage


def open_rtsp(address: StreamAddress, limits: Limits) -> Capture:
    """Open by FFmpeg. One decoding thread: each more would hold one picture back."""
    return cv2.VideoCapture(
        address.url_with_user,
        cv2.CAP_FFMPEG,
        [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1000 * limits.open_s)),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1000 * limits.silent_s)),
            *(cv2.CAP_PROP_N_THREADS, 1),
        ],
    )


class RtspPictures:
    """One RTSP connection. FFmpeg cannot be interrupted: it ends by its own limits of time."""

    def __init__(
        self,
        address: StreamAddress,
        limits: Limits,
        open_capture: Callable[[StreamAddress, Limits], Capture] = open_rtsp,
    ) -> None:
        self._address, self._limits, self._open_capture = address, limits, open_capture
        self._capture: Capture | None = None

    def connect(self) -> None:
        """Ask for the stream; CameraNotFound with the reason where there is none."""
        where, place = self._address.shown, (self._address.host, self._address.port)
        try:  # FFmpeg does not tell why, so whether anybody is there is looked at first
            socket.create_connection(place, self._limits.open_s).close()
        except OSError as error:
            raise CameraNotFound(
                f"{where} does not answer ({error.strerror or 'time out'}). Check the address, that the camera is on, "
                "and the network cable."
            ) from error
        self._capture = self._open_capture(self._address, self._limits)
        if not self._capture.isOpened():
            raise CameraNotFound(
                f"{where}: somebody answers there, but gives no stream. Check the path, and the user and password."
            )

    def receive(self) -> list[RgbImage]:
        """Wait for the next picture. Raises StreamEnded."""
        if self._capture is None:
            raise StreamEnded("was not opened")
        done, bgr = self._capture.read()
        if not done:
            raise StreamEnded("sent nothing more")
        return [to_rgb(bgr, self._address.shown)]

    def interrupt(self) -> None:
        """Nothing: see the class."""

    def close(self) -> None:
        """Let go of the connection."""
        if self._capture is not None:
            self._capture.release()
