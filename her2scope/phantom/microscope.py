"""The phantom microscope: a camera, a motor stage and a revolver over a virtual slide."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError, CameraError, CameraTimeout, NotAvailableError
from her2scope.imaging.opencv import cv2
from her2scope.phantom.noise import mixed_seed
from her2scope.phantom.optics import encoded, shading_plane
from her2scope.phantom.run import Run, make_run
from her2scope.phantom.slide import PhantomSlide
from her2scope.records import CameraState, Frame, RgbImage

OBJECTIVES = {"10x": 1.0, "20x": 0.5, "40x": 0.25}
"""um per px of the camera's full picture."""
GLIDE_S = 0.3
"""How long the stage takes for one move."""
NOISE_SHIFTS_PX = 64
NOISE_STEPS, DEVIATION_STEPS = 32.0, 16.0
"""Steps of the 8-bit noise planes in one deviation, and of the table of deviations in one grey level."""
EXPOSURE_MS = 8.0


@dataclass(frozen=True, slots=True)
class _Glide:
    """A move of the stage: smooth from one place to another."""

    start_um: tuple[float, float]
    end_um: tuple[float, float]
    started_s: float

    def at(self, now_s: float) -> tuple[float, float]:
        share = min(1.0, max(0.0, (now_s - self.started_s) / GLIDE_S))
        eased = share * share * (3.0 - 2.0 * share)
        x_um, y_um = (a + (b - a) * eased for a, b in zip(self.start_um, self.end_um, strict=True))
        return x_um, y_um


class PhantomMicroscope:
    """A CameraSource, Stage and Nosepiece in one.

    One thread opens, reads and closes; moving and turning may come from any thread. Only `read` draws. The picture at
    a place depends on seed, score, difficulty and objective alone; the sensor's noise changes from frame to frame.

    Parameters
    ----------
    seed : of the staining run; the controls on the slide belong to the same run
    size_wh : width and height of the camera's picture, px
    score : of the case's tissue, a key of `antigen.PATTERNS`
    frame_rate : frames per second at most
    """

    def __init__(
        self,
        seed: int = 0,
        size_wh: tuple[int, int] = (1280, 720),
        score: str = "2+",
        objective: str = "40x",
        frame_rate: float = 15.0,
        difficulty: str = "usual",
    ) -> None:
        if not all(side >= 16 for side in size_wh) or not frame_rate > 0:
            raise BadInputError(f"no camera has {size_wh[0]}x{size_wh[1]} px at {frame_rate:g} frames per second.")
        self.name = f"phantom {score}, seed {seed}"
        self.run: Run = make_run(seed, difficulty)
        self._slide = PhantomSlide(self.run, score)
        self._size_wh = size_wh
        self._frame_s = 1.0 / frame_rate
        self._sensor = _Sensor(self.run, size_wh)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._closed.set()
        self._objective = _known_objective(objective)
        here = self._slide.places["tissue"]
        self._glide = _Glide(here, here, 0.0)
        self._index = 0
        self._due_s = 0.0

    # ---- camera

    def open(self) -> None:
        """Start the camera. A phantom is never missing and never busy."""
        self._closed.clear()
        self._due_s = time.monotonic()

    def close(self) -> None:
        """Stop the camera; a waiting `read` ends. Safe to call twice."""
        self._closed.set()

    def read(self, timeout_s: float) -> Frame:
        """Wait for the next frame.

        Raises
        ------
        CameraTimeout
            If the frame rate leaves no frame within `timeout_s`.
        CameraError
            If the microscope is not open, or is closed meanwhile.
        """
        self._wait(timeout_s)
        captured_s = time.monotonic()
        with self._lock:
            objective, (x_um, y_um) = self._objective, self._glide.at(captured_s)
            index, self._index = self._index, self._index + 1
        um_per_px = OBJECTIVES[objective]
        left_px, top_px = self._corner_px((x_um, y_um), um_per_px)
        rgb = self._sensor.taken(self._slide.view(left_px, top_px, self._size_wh, um_per_px), index)
        self._due_s += self._frame_s
        if self._due_s < captured_s:  # drawing took longer than a frame: those missed are not made up for
            self._due_s = captured_s + self._frame_s
        return Frame(
            rgb=rgb,
            index=index,
            captured_s=captured_s,
            um_per_px=um_per_px,
            camera=self._state(objective),
            name=self.name,
            stage_um=self._centre_um(left_px, top_px, um_per_px),
        )

    def truth_of(self, frame: Frame) -> dict[str, Any]:
        """Truth of a frame that this microscope took, as in a truth file."""
        if frame.stage_um is None:
            raise BadInputError("the frame has no stage position: it is not from a phantom microscope.")
        left_px, top_px = self._corner_px(frame.stage_um, frame.um_per_px)
        height, width = frame.size_hw
        return self._slide.truth(left_px, top_px, (width, height), frame.um_per_px)

    def _wait(self, timeout_s: float) -> None:
        if self._closed.is_set():
            raise CameraError(f"{self.name} is not open. Open it before reading.")
        wait_s = self._due_s - time.monotonic()
        if wait_s <= 0:
            return
        if self._closed.wait(min(wait_s, max(0.0, timeout_s))):
            raise CameraError(f"{self.name} was closed while a frame was awaited.")
        if wait_s > timeout_s:
            raise CameraTimeout(f"{self.name} gave no frame within {timeout_s:g} s. Wait longer.")

    def _corner_px(self, centre_um: tuple[float, float], um_per_px: float) -> tuple[int, int]:
        x_px, y_px = (round(c / um_per_px - side / 2) for c, side in zip(centre_um, self._size_wh, strict=True))
        return x_px, y_px

    def _centre_um(self, left_px: int, top_px: int, um_per_px: float) -> tuple[float, float]:
        width, height = self._size_wh
        return (left_px + width / 2) * um_per_px, (top_px + height / 2) * um_per_px

    def _state(self, objective: str) -> CameraState:
        response = self.run.optics.response
        return CameraState(objective, response, exposure_ms=EXPOSURE_MS, gain=1.0, white_balance="fixed")

    # ---- stage

    def move_by_um(self, dx_um: float, dy_um: float) -> None:
        """Move the view, x to the right, y down; it glides there and stops at the slide's edge."""
        with self._lock:
            x_um, y_um = self._glide.end_um
            self._glide_to((x_um + dx_um, y_um + dy_um))

    def places(self) -> tuple[str, ...]:
        """Named places: `control 3+`, `control 1+`, `control 0`, `tissue`."""
        return tuple(self._slide.places)

    def go_to(self, place: str) -> None:
        """Move to the middle of a named place."""
        if place not in self._slide.places:
            raise NotAvailableError("place", place, list(self._slide.places))
        with self._lock:
            self._glide_to(self._slide.places[place])

    def _glide_to(self, end_um: tuple[float, float]) -> None:
        now_s = time.monotonic()
        left, top, right, bottom = self._slide.bounds_um
        stopped = (float(np.clip(end_um[0], left, right)), float(np.clip(end_um[1], top, bottom)))
        self._glide = _Glide(self._glide.at(now_s), stopped, now_s)

    # ---- revolver

    def objectives(self) -> tuple[str, ...]:
        """Names from the weakest to the strongest."""
        return tuple(OBJECTIVES)

    def objective(self) -> str:
        """The one in the light path."""
        return self._objective

    def select_objective(self, name: str) -> None:
        """Turn to `name`; the middle of the view stays."""
        with self._lock:
            self._objective = _known_objective(name)


def _known_objective(name: str) -> str:
    if name not in OBJECTIVES:
        raise NotAvailableError("objective", name, list(OBJECTIVES))
    return name


class _Sensor:
    """Uneven light and noise, laid over an even picture from planes made once, so that a frame costs little."""

    def __init__(self, run: Run, size_wh: tuple[int, int]) -> None:
        width, height = size_wh
        optics = run.optics
        lamp = encoded(shading_plane(optics, width, height).astype(np.float64), optics.response)
        self._light: NDArray[np.uint8] = np.rint(255.0 * np.repeat(lamp, 3, axis=2)).astype(np.uint8)
        rng = np.random.default_rng(mixed_seed("sensor", run.seed))
        drawn = rng.standard_normal((height + NOISE_SHIFTS_PX, width + NOISE_SHIFTS_PX, 3), dtype=np.float32)
        self._noise = np.clip(NOISE_STEPS * drawn, -127, 127).astype(np.int8)
        self._deviation = _noise_table(optics.response, optics.electrons)

    def taken(self, even: RgbImage, index: int) -> RgbImage:
        """The picture as the sensor gives it in frame `index`."""
        height, width = even.shape[:2]
        lit = cv2.multiply(even, self._light, scale=1.0 / 255.0)
        # Another cut of one large plane for each frame: noise that repeats only after thousands of frames.
        x, y = (mixed_seed("cut", index) >> bits & (NOISE_SHIFTS_PX - 1) for bits in (8, 24))
        noise = self._noise[y : y + height, x : x + width]
        scale = 1.0 / (NOISE_STEPS * DEVIATION_STEPS)
        shaken = cv2.multiply(noise, cv2.LUT(lit, self._deviation), scale=scale, dtype=cv2.CV_8S)
        picture: RgbImage = cv2.add(lit, shaken, dtype=cv2.CV_8U)
        return picture


def _noise_table(response: str, electrons: float) -> NDArray[np.uint8]:
    """Deviation of the noise at each camera value, `DEVIATION_STEPS` to a grey level."""
    light = np.linspace(0.0, 1.0, 4096)
    values = 255.0 * encoded(light, response)
    slope = np.gradient(values, light)
    deviation = np.interp(np.arange(256), values, slope * np.sqrt(light / electrons))
    return np.clip(np.rint(DEVIATION_STEPS * deviation), 0, 127).astype(np.uint8)
