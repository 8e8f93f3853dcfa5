"""A video file as a camera, played at its own speed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from her2scope.cameras.common import Capture, CaptureFactory, Pacer, not_open, to_rgb
from her2scope.domain.errors import CameraEnded, CameraError, CameraNotFound, CameraTimeout
from her2scope.imaging.opencv import cv2
from her2scope.records import CameraState, Frame

USUAL_FRAMES_PER_S = 25.0
"""Speed of a file that does not state a possible one."""
MAX_FRAMES_PER_S = 1000.0


class VideoEnded(CameraEnded):
    """The file was played to its end. It is not played again by itself: the same tissue would pass as new fields."""

    def __init__(self, camera: str, last_index: int) -> None:
        super().__init__(camera, last_index)
        self.args = (
            f"{camera} ended after frame {last_index}. "
            "Press Reconnect (F5) to play it again; the case so far is saved.",
        )


def open_video(path: int | str) -> Capture:
    """Open a video file by FFmpeg alone: OpenCV's other readers would take the name for a pattern of image files."""
    return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)


class VideoFileSource:
    """Plays a video file once, at its own speed. One thread opens, reads and closes it.

    No frame is left out and none is caught up: a slow reader sees it slower. A rotation stated in the file is applied.
    Decoding one frame is not cut short by `timeout_s`. Videos are compressed with loss: thin, faint membranes suffer
    first.
    """

    def __init__(
        self, path: Path, um_per_px: float, camera: CameraState, *, capture_factory: CaptureFactory = open_video
    ) -> None:
        self.name = f"video:{path.name}"
        self._path, self._um_per_px, self._camera = path, um_per_px, camera
        self._capture_factory = capture_factory
        self._playing: tuple[Capture, Pacer] | None = None
        self._next_index = 0

    def open(self) -> None:
        """Open the file from its beginning; CameraNotFound where it is missing or no video."""
        self.close()
        if not os.path.isfile(self._path):  # unlike Path.is_file, it takes any name
            raise CameraNotFound(f"{self._path}: no such video file. Check the path.")
        capture = self._capture_factory(str(self._path))
        if not capture.isOpened():
            capture.release()
            raise CameraNotFound(f"{self._path}: not a video that can be read. Save it as MP4 (H.264) or AVI (MJPEG).")
        frames_per_s = capture.get(cv2.CAP_PROP_FPS)
        if not 0 < frames_per_s <= MAX_FRAMES_PER_S:  # also where it is not a number
            frames_per_s = USUAL_FRAMES_PER_S
        self._playing = capture, Pacer(1.0 / frames_per_s)

    def read(self, timeout_s: float) -> Frame:
        """Wait until the next frame is due and give it; CameraTimeout before that, VideoEnded after the last one."""
        if self._playing is None:
            raise not_open(self.name)
        capture, pacer = self._playing
        remaining_s = pacer.remaining_s()
        time.sleep(min(remaining_s, max(0.0, timeout_s)))
        if remaining_s > timeout_s:
            raise CameraTimeout(f"{self.name} gave no frame within {timeout_s:g} s. Wait, or allow more time.")
        try:
            done, bgr = capture.read()
        except cv2.error as error:
            raise CameraError(
                f"{self.name}: a frame cannot be decoded ({error.err}). Convert the video again."
            ) from error
        if not done:
            raise VideoEnded(self.name, self._next_index - 1)
        pacer.passed()
        index, self._next_index = self._next_index, self._next_index + 1
        return Frame(to_rgb(bgr, self.name), index, time.monotonic(), self._um_per_px, self._camera, self._path.name)

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        if self._playing is not None:
            self._playing[0].release()
            self._playing = None
