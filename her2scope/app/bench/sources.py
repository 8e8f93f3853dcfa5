"""Sources for the live benchmarks: a phantom drawn before the clock starts, and any source with a time code."""

from __future__ import annotations

import multiprocessing
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace

import numpy as np

from her2scope.app.bench.request import DEFAULT_SOURCE, LIVE_WH, BenchRequest
from her2scope.app.bench.time_code import stamp
from her2scope.app.compose import read_calibration
from her2scope.app.demo import demo_calibration
from her2scope.cameras.common import not_open
from her2scope.cameras.registry import SourceOptions, open_source
from her2scope.domain.errors import BadInputError, CameraError, CameraTimeout
from her2scope.imaging.opencv import cv2
from her2scope.phantom.microscope import PhantomMicroscope
from her2scope.ports import CameraSource
from her2scope.records import CameraState, Frame, RgbImage
from her2scope.settings import Calibration

ASSUMED_UM_PER_PX = 0.25
SLACK_SHARE = 0.13
"""How much wider and higher than the view the slide is drawn: room for the path."""
AVERAGED = 8
"""Frames of the drawn place that are averaged: noise must belong to the frame, not to the tissue."""
DRAW_TIMEOUT_S = 60.0
FRAME_RATE = 30.0
SPEED_UM_PER_S = 20.0
"""A third of the speed from which the quality gate refuses a frame: a slow, careful reader."""
REST_S = 2.0
"""Stop at each corner of the path."""
NOISE_LEVELS = 1.5
"""Deviation of the sensor's noise in grey levels."""
NOISE_SHIFTS_PX = 64


@dataclass(frozen=True, slots=True, eq=False)
class BenchSource:
    """A source that is ready to be opened, and the calibration that belongs to it."""

    source: CameraSource
    calibration: Calibration
    told: str
    """What it is, in words."""


def source_for(request: BenchRequest, frame_rate: float | None = FRAME_RATE) -> BenchSource:
    """The source of a request, with a time code in each frame.

    Parameters
    ----------
    frame_rate : of a phantom, per second; None: as fast as frames are asked for
    """
    size_wh = request.size_wh or LIVE_WH
    uri = request.source or DEFAULT_SOURCE
    if uri.partition(":")[0].lower() == "phantom":
        return _phantom(uri, size_wh, frame_rate)
    calibration = read_calibration(request.calibration)
    um_per_px = request.um_per_px or ASSUMED_UM_PER_PX
    options = SourceOptions(
        calibration, um_per_px=um_per_px, scale_assumed=not request.um_per_px, size_wh=request.size_wh
    )
    return BenchSource(TimeCoded(open_source(uri, options)), calibration, f"{uri}, {um_per_px:g} um/px")


def _phantom(uri: str, size_wh: tuple[int, int], frame_rate: float | None) -> BenchSource:
    width, height = (round(side * (1 + SLACK_SHARE)) for side in size_wh)
    microscope = open_source(uri, SourceOptions(size_wh=(width, height)))  # a wrong URI is refused here
    if not isinstance(microscope, PhantomMicroscope):
        raise BadInputError(f"{uri}: no phantom.")
    even, state, um_per_px = _drawn(uri, (width, height))
    slide = DrawnSlide(even, size_wh, um_per_px, state, frame_rate)
    told = f"{uri}, drawn before the clock started, {SPEED_UM_PER_S:g} um/s with stops"
    return BenchSource(slide, demo_calibration(microscope), told)


def _drawn(uri: str, size_wh: tuple[int, int]) -> tuple[RgbImage, CameraState, float]:
    """Picture of a phantom without noise; drawn by a process of its own, whose memory is not ours."""
    context = multiprocessing.get_context("spawn")  # a forked process would inherit the threads' locks
    try:
        with ProcessPoolExecutor(1, context) as pool:
            return pool.submit(draw, uri, size_wh).result()
    except BrokenProcessPool as error:
        raise BadInputError(
            "the phantom's drawing was ended from outside, perhaps for want of memory. Give a smaller --size."
        ) from error


def draw(uri: str, size_wh: tuple[int, int]) -> tuple[RgbImage, CameraState, float]:
    """Mean of some frames of a phantom microscope at rest, its camera's state, and um per px."""
    microscope = open_source(uri, SourceOptions(size_wh=size_wh))
    microscope.open()
    try:
        first = microscope.read(DRAW_TIMEOUT_S)
        total = first.rgb.astype(np.uint16)
        for _ in range(AVERAGED - 1):
            total += microscope.read(DRAW_TIMEOUT_S).rgb
    finally:
        microscope.close()
    return ((total + AVERAGED // 2) // AVERAGED).astype(np.uint8), first.camera, first.um_per_px


class DrawnSlide:
    """A CameraSource over a picture that is there already: frames along a slow path with stops, each with own noise.

    Where it is on its path depends on the time alone, so that a reader who asks more often sees the same speed.
    """

    def __init__(
        self,
        even: RgbImage,
        size_wh: tuple[int, int],
        um_per_px: float,
        camera: CameraState,
        frame_rate: float | None,
        seed: int = 0,
    ) -> None:
        self.name = "drawn slide"
        self._size_wh, self._um_per_px, self._camera = size_wh, um_per_px, camera
        self._frame_s = 0.0 if frame_rate is None else 1.0 / frame_rate
        self._rng = np.random.default_rng(seed)
        # grey levels less 128: OpenCV adds two planes of signed bytes several times as fast as planes of unlike ones
        self._even = (even ^ 128).view(np.int8)
        width, height = size_wh
        shape = (height + NOISE_SHIFTS_PX, width + NOISE_SHIFTS_PX, 3)
        noise = NOISE_LEVELS * self._rng.standard_normal(shape, dtype=np.float32)
        self._noise = np.rint(noise).astype(np.int8)
        self._path = RoundTrip((even.shape[1] - width, even.shape[0] - height), SPEED_UM_PER_S / um_per_px)
        self._closed = threading.Event()
        self._closed.set()
        self._index = 0
        self._started_s = self._due_s = 0.0

    def open(self) -> None:
        """Start the camera at the path's first corner."""
        self._closed.clear()
        self._started_s = self._due_s = time.monotonic()

    def close(self) -> None:
        """Stop the camera; a waiting `read` ends."""
        self._closed.set()

    def read(self, timeout_s: float) -> Frame:
        """Wait for the next frame; what nobody asked for in time is not made up for, as with a camera."""
        if self._closed.is_set():
            raise not_open(self.name)
        wait_s = self._due_s - time.monotonic()
        if wait_s > 0 and self._closed.wait(min(wait_s, timeout_s)):
            raise CameraError(f"{self.name} was closed while a frame was awaited.")
        if wait_s > timeout_s:
            raise CameraTimeout(f"{self.name} gave no frame within {timeout_s:g} s. Wait longer.")
        captured_s = time.monotonic()
        self._due_s += self._frame_s
        if self._due_s < captured_s:
            self._due_s = captured_s + self._frame_s
        index, self._index = self._index, self._index + 1
        rgb = self._taken(*self._path.at(captured_s - self._started_s))
        stamp(rgb, index)
        return Frame(rgb, index, captured_s, self._um_per_px, self._camera, self.name)

    def _taken(self, x: int, y: int) -> RgbImage:
        width, height = self._size_wh
        left, top = self._rng.integers(0, NOISE_SHIFTS_PX, 2)
        rgb = np.empty((height, width, 3), np.uint8)
        noise = self._noise[top : top + height, left : left + width]
        cv2.add(self._even[y : y + height, x : x + width], noise, dst=rgb.view(np.int8))
        rgb ^= 128
        return rgb


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Around a rectangle of `room_wh` px, again and again, with a stop at each corner."""

    room_wh: tuple[int, int]
    speed_px_per_s: float

    @property
    def round_s(self) -> float:
        """How long one round takes."""
        return 4 * REST_S + 2 * sum(self.room_wh) / self.speed_px_per_s

    def at(self, elapsed_s: float) -> tuple[int, int]:
        """Place after so many seconds, px."""
        width, height = self.room_wh
        corners = ((0, 0), (width, 0), (width, height), (0, height))
        left_s = elapsed_s % self.round_s
        for corner, (x, y) in enumerate(corners):
            to_x, to_y = corners[(corner + 1) % len(corners)]
            way_s = (abs(to_x - x) + abs(to_y - y)) / self.speed_px_per_s
            share = min(1.0, max(0.0, (left_s - REST_S) / way_s)) if way_s > 0 else 1.0
            if left_s < REST_S + way_s:
                return round(x + share * (to_x - x)), round(y + share * (to_y - y))
            left_s -= REST_S + way_s
        return corners[0]


class TimeCoded:
    """Any source, with a time code in its frames."""

    def __init__(self, source: CameraSource) -> None:
        self._source = source
        self.name = source.name

    def open(self) -> None:
        """Open the source."""
        self._source.open()

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def read(self, timeout_s: float) -> Frame:
        """Next frame of the source, its number written into a copy of its pixels."""
        frame = self._source.read(timeout_s)
        rgb = frame.rgb.copy()
        stamp(rgb, frame.index)
        return replace(frame, rgb=rgb)
