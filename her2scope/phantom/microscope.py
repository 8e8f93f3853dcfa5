"""The phantom microscope: a camera, a motor stage and a revolver over a virtual slide."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError, CameraError, CameraTimeout, NotAvailableError
from her2scope.imaging.opencv import cv2
from her2scope.phantom.ahead import DrawAhead
from her2scope.phantom.noise import Floats, mixed_seed
from her2scope.phantom.optics import Optics, developed, encoded, obstacles, shading_plane
from her2scope.phantom.run import Run, make_run
from her2scope.phantom.slide import CASE_UM, TILES_KEPT, PhantomSlide, Tile, View
from her2scope.records import CameraState, Frame, RgbImage

OBJECTIVES = {"10x": 1.0, "20x": 0.5, "40x": 0.25}
"""um per px of the camera's full picture."""
GLIDE_S = 0.3
"""How long the stage takes for one move."""
LEAD = 0.5
"""How far ahead of the view (in views) tiles are drawn first, in the direction of the last move."""
NOISE_SHIFTS_PX = 64
NOISE_STEPS, DEVIATION_STEPS = 32.0, 16.0
"""Steps of the 8-bit noise planes in one deviation, and of the table of deviations in one grey level."""
TEST_LIGHT, TEST_NOISE = 0.5, 0.08
"""Light of the even field, and its noise, on which the camera's way with noise is tried out."""
EXPOSURE_MS = 8.0
Signed = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class _Glide:
    """A move of the stage: smooth from one place to another."""

    start_um: tuple[float, float]
    end_um: tuple[float, float]
    started_s: float

    def is_over(self, now_s: float) -> bool:
        return now_s >= self.started_s + GLIDE_S

    def at(self, now_s: float) -> tuple[float, float]:
        if self.is_over(now_s):
            return self.end_um  # exactly: the picture at rest depends on the place alone
        share = max(0.0, (now_s - self.started_s) / GLIDE_S)
        eased = share * share * (3.0 - 2.0 * share)
        x_um, y_um = (a + (b - a) * eased for a, b in zip(self.start_um, self.end_um, strict=True))
        return x_um, y_um


class _Shot(NamedTuple):
    """What the next frame shows."""

    captured_s: float
    objective: str
    view: View
    is_drawn: bool
    in_motion: bool


class PhantomMicroscope:
    """A CameraSource, Stage and Nosepiece in one.

    One thread opens, reads and closes; moving and turning may come from any thread. From `open` to `close` a thread
    draws what the reader will look at next, so that `read` finds it drawn. The picture at rest depends on seed, score,
    difficulty, objective and place alone; the sensor's noise changes from frame to frame. While the stage moves, what
    is not drawn yet is hinted at.

    Parameters
    ----------
    seed : of the staining run; the controls on the slide belong to the same run
    size_wh : width and height of the camera's picture, px
    score : of the case's tissue, a key of `antigen.PATTERNS`
    frame_rate : frames per second at most
    case_um : width and height of the case's tissue
    """

    has_noise = True

    def __init__(
        self,
        seed: int = 0,
        size_wh: tuple[int, int] = (1280, 720),
        score: str = "2+",
        objective: str = "40x",
        frame_rate: float = 30.0,
        difficulty: str = "easy",
        case_um: tuple[float, float] = CASE_UM,
    ) -> None:
        if not all(side >= 16 for side in size_wh) or not frame_rate > 0:
            raise BadInputError(f"no camera has {size_wh[0]}x{size_wh[1]} px at {frame_rate:g} frames per second.")
        self.name = f"phantom {score}, seed {seed}"
        self.run: Run = make_run(seed, difficulty)
        self._slide = PhantomSlide(self.run, score, case_um)
        self._size_wh = size_wh
        self._frame_s = 1.0 / frame_rate
        self._sensor = _Sensor(self.run, size_wh)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._closed.set()
        self._objective = _known_objective(objective)
        here = self._slide.places["tissue"]
        self._glide = _Glide(here, here, 0.0)
        self._ahead = DrawAhead(self._slide, self._worth_drawing)
        self._index = 0
        self._due_s = 0.0

    # ---- camera

    def open(self) -> None:
        """Start the camera. A phantom is never missing and never busy."""
        self._closed.clear()
        self._due_s = time.monotonic()
        self._ahead.start()

    def close(self) -> None:
        """Stop the camera; a waiting `read` ends. Safe to call twice."""
        self._closed.set()
        self._ahead.stop()

    def read(self, timeout_s: float) -> Frame:
        """Wait for the next frame.

        Raises
        ------
        CameraTimeout
            If the frame rate, or drawing a place that was not drawn ahead, leaves no frame within `timeout_s`. What was
            drawn is kept, so that reading on gets there.
        CameraError
            If the microscope is not open, or is closed meanwhile.
        """
        deadline_s = time.monotonic() + timeout_s
        self._wait(timeout_s)
        shot = self._drawn_shot(deadline_s)
        rgb = self._sensor.taken(self._slide, shot.view, shot.is_drawn, self._index)
        self._due_s += self._frame_s
        if self._due_s < shot.captured_s:  # drawing took longer than a frame: those missed are not made up for
            self._due_s = shot.captured_s + self._frame_s
        index, self._index = self._index, self._index + 1
        return Frame(
            rgb=rgb,
            index=index,
            captured_s=shot.captured_s,
            um_per_px=shot.view.um_per_px,
            camera=self._state(shot.objective),
            name=self.name,
            stage_um=self._centre_um(shot.view),
            in_motion=shot.in_motion,
        )

    def draw_ahead(self, timeout_s: float) -> bool:
        """Whether all that is drawn ahead of the reader is there, or is within `timeout_s`; False while closed."""
        return self._ahead.wait(timeout_s)

    def truth_of(self, frame: Frame) -> dict[str, Any]:
        """Truth of a frame that this microscope took, as in a truth file."""
        if frame.stage_um is None:
            raise BadInputError("the frame has no stage position: it is not from a phantom microscope.")
        view = self._view_at(frame.stage_um, frame.um_per_px)
        return self._slide.truth(view.left_px, view.top_px, (view.width, view.height), view.um_per_px)

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

    def _drawn_shot(self, deadline_s: float) -> _Shot:
        """The next frame's view: at rest once all its tiles are drawn, at once while the stage moves."""
        while True:
            now_s = time.monotonic()
            with self._lock:
                objective, glide = self._objective, self._glide
            view = self._view_at(glide.at(now_s), OBJECTIVES[objective])
            missing = self._slide.missing(view.tiles())
            if not missing or not glide.is_over(now_s):
                return _Shot(now_s, objective, view, not missing, not glide.is_over(now_s))
            self._slide.draw_some(missing)
            if self._closed.is_set():
                raise CameraError(f"{self.name} was closed while a frame was awaited.")
            if time.monotonic() >= deadline_s and len(missing) > 1:
                raise CameraTimeout(f"{self.name} is still drawing this place. Wait longer.")

    def _worth_drawing(self) -> Iterator[list[Tile]]:
        """Tiles to draw ahead: where the stage stops, around it, the named places, and here by the other objectives.

        No more than are kept: the last ones would push out the first.
        """
        seen: set[Tile] = set()
        for wished in self._wished_tiles():
            part = [tile for tile in wished if tile not in seen][: TILES_KEPT - len(seen)]
            seen.update(part)
            yield part

    def _wished_tiles(self) -> Iterator[list[Tile]]:
        with self._lock:
            objective, glide = self._objective, self._glide
        um_per_px = OBJECTIVES[objective]
        here = self._view_at(glide.end_um, um_per_px)
        lead_px = [
            float(np.clip((end - start) / um_per_px, -LEAD * side, LEAD * side))
            for start, end, side in zip(glide.start_um, glide.end_um, self._size_wh, strict=True)
        ]
        towards_px = (lead_px[0], lead_px[1])
        yield here.tiles()
        yield here.widened(LEAD).tiles(towards_px)
        for place_um in self._slide.places.values():
            yield self._view_at(place_um, um_per_px).tiles()
        yield here.widened(1.0).tiles(towards_px)
        for other in OBJECTIVES.values():
            yield self._view_at(glide.end_um, other).tiles()

    def _view_at(self, centre_um: tuple[float, float], um_per_px: float) -> View:
        x_px, y_px = (round(c / um_per_px - side / 2) for c, side in zip(centre_um, self._size_wh, strict=True))
        return View(x_px, y_px, *self._size_wh, um_per_px)

    def _centre_um(self, view: View) -> tuple[float, float]:
        return (view.left_px + view.width / 2) * view.um_per_px, (view.top_px + view.height / 2) * view.um_per_px

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
        """Named places: `control 3+`, `control 2+`, `control 1+`, `control 0`, `tissue`."""
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
        self._ahead.aim()

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
        self._ahead.aim()


def _known_objective(name: str) -> str:
    if name not in OBJECTIVES:
        raise NotAvailableError("objective", name, list(OBJECTIVES))
    return name


class _Sensor:
    """Uneven light, dust and noise, laid over an even picture from planes made once, so that a frame costs little.

    Grey levels are shifted by 128 into signed bytes: OpenCV adds and multiplies two planes of these five times as fast
    as planes of unlike bytes.
    """

    def __init__(self, run: Run, size_wh: tuple[int, int]) -> None:
        self._light = _light_plane(run.optics, size_wh)
        self._noise, self._deviation = _noise(run, size_wh)
        self._mosaic: tuple[View, RgbImage] | None = None
        self._still: tuple[View, Signed, Signed] | None = None

    def taken(self, slide: PhantomSlide, view: View, is_drawn: bool, index: int) -> RgbImage:
        """The picture as the sensor gives it in frame `index`. A view that stays is lit once."""
        if self._still is None or self._still[0] != view:
            if not is_drawn:
                return self._shaken(*self._lit(slide.passing_picture(view)), index)
            self._still = (view, *self._lit(self._even(slide, view)))
        return self._shaken(*self._still[1:], index)

    def _even(self, slide: PhantomSlide, view: View) -> RgbImage:
        """Cut of a picture of whole tiles, which is joined anew only where the view leaves it."""
        whole = view.in_whole_tiles()
        if self._mosaic is None or self._mosaic[0] != whole:
            self._mosaic = (whole, slide.picture(whole))
        x, y = view.left_px - whole.left_px, view.top_px - whole.top_px
        return self._mosaic[1][y : y + view.height, x : x + view.width]

    def _lit(self, even: RgbImage) -> tuple[Signed, Signed]:
        """Grey levels less 128, and their noise in 1/`DEVIATION_STEPS`."""
        lit = cv2.multiply(even, self._light, scale=1.0 / 255.0)
        deviation = cv2.LUT(lit, self._deviation).view(np.int8)
        lit ^= 128
        return lit.view(np.int8), deviation

    def _shaken(self, lit: Signed, deviation: Signed, index: int) -> RgbImage:
        height, width = lit.shape[:2]
        # Another cut of one large plane for each frame: noise that repeats only after thousands of frames.
        x, y = (mixed_seed("cut", index) >> bits & (NOISE_SHIFTS_PX - 1) for bits in (8, 24))
        noise = self._noise[y : y + height, x : x + width]
        shaken = cv2.multiply(noise, deviation, scale=1.0 / (NOISE_STEPS * DEVIATION_STEPS))
        picture = np.empty(lit.shape, np.uint8)
        cv2.add(lit, shaken, dst=picture.view(np.int8))
        picture ^= 128
        return picture


def _light_plane(optics: Optics, size_wh: tuple[int, int]) -> RgbImage:
    """Share (of 255) of each camera value that uneven light and dust on the sensor leave, `(H, W, 3)`."""
    width, height = size_wh
    light = np.repeat(shading_plane(optics, width, height), 3, axis=2)
    dust = obstacles((height, width), replace(optics, bubbles=0, ink=0), np.random.default_rng(0))
    if dust is not None:
        light *= dust
    return np.rint(255.0 * encoded(np.clip(light, 0.0, 1.0).astype(np.float64), optics.response)).astype(np.uint8)


def _noise(run: Run, size_wh: tuple[int, int]) -> tuple[Signed, NDArray[np.uint8]]:
    """Noise as the camera's own processing leaves it: its plane, and its deviation at each camera value (256).

    The plane is a little larger than the picture, in 1/`NOISE_STEPS` deviations, `(H, W, 3)`; the deviation is in
    1/`DEVIATION_STEPS` grey levels.
    """
    width, height = size_wh
    light, values, slope = _tone(run.optics)
    rng = np.random.default_rng(mixed_seed("sensor", run.seed))
    field = rng.standard_normal((height + NOISE_SHIFTS_PX, width + NOISE_SHIFTS_PX, 3), dtype=np.float32)
    field *= TEST_NOISE
    field += TEST_LIGHT
    seen = developed(field, run.optics).astype(np.float32)
    seen -= seen.mean()
    spread = float(seen.std())
    gain = spread / (TEST_NOISE * float(np.interp(TEST_LIGHT, light, slope)))
    electrons = run.optics.electrons
    deviation = gain * slope * np.sqrt(light / electrons + (run.optics.read_noise / electrons) ** 2)
    table = np.rint(DEVIATION_STEPS * np.interp(np.arange(256), values, deviation))
    noise = np.clip(np.rint(seen * (NOISE_STEPS / max(spread, 1e-6))), -127, 127).astype(np.int8)
    return noise, np.clip(table, 0, 127).astype(np.uint8)


def _tone(optics: Optics) -> tuple[Floats, Floats, Floats]:
    """Light (0..1), the camera's value of it (0..255), and the slope of that, from a picture of a grey wedge."""
    light = np.linspace(0.0, 1.0, 4096)
    wedge = np.ascontiguousarray(np.broadcast_to(light[:, None, None], (light.size, 16, 3)), np.float32)
    steps = developed(wedge, optics)[:, 8, 1].astype(np.float64)
    even = np.full(129, 1.0 / 129.0)  # a grey level is 16 places wide
    light, values = (np.convolve(curve, even, "valid") for curve in (light, steps))
    return light, values, np.gradient(values, light)
