"""A camera led over a drawn slide: frames whose true place is known, with the blur of motion and focus, and noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.phantom.run import make_run
from her2scope.phantom.slide import PhantomSlide
from her2scope.records import Frame, RgbImage
from her2scope.settings import Calibration

FRAME_S = 1.0 / 30.0
EXPOSURE_S = 0.010
"""Usual in bright field; the shorter ones of strong lamps blur less."""
NOISE_GREY = 2.0
"""Standard deviation, of each channel."""
SUBFRAME_PX = 2.0
"""A blurred frame is the mean of sharp ones so far apart."""
UM_PER_PX = 0.25
Places = NDArray[np.float64]
"""`(N, 2)` x and y of the top left corners, in px of the area."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnArea:
    """A part of a slide, drawn once without noise."""

    rgb: RgbImage
    calibration: Calibration
    """What a laboratory measured at this microscope."""

    @staticmethod
    def of(pattern: str, seed: int, size_wh: tuple[int, int]) -> DrawnArea:
        """The middle of a slide's tissue."""
        run = make_run(seed)
        slide = PhantomSlide(run, pattern)
        left, top = (
            round(middle / UM_PER_PX - side / 2) for middle, side in zip(slide.places["tissue"], size_wh, strict=True)
        )
        red, green, blue = (float(value) for value in run.optics.white_rgb())
        calibration = Calibration(response=run.optics.response, white_rgb=(red, green, blue))
        return DrawnArea(slide.view(left, top, size_wh, UM_PER_PX), calibration)


class Camera:
    """Takes frames of a drawn area at places that are known exactly."""

    def __init__(self, area: DrawnArea, size_wh: tuple[int, int], seed: int) -> None:
        self._area, self._size_wh = area, size_wh
        self._rng = np.random.default_rng(seed)
        self._index = 0

    def taken(
        self, place: Sequence[float], velocity_px_s: Sequence[float] = (0.0, 0.0), defocus_px: float = 0.0
    ) -> Frame:
        """The next frame; its place is where the middle of its exposure saw it."""
        way = np.asarray(velocity_px_s, np.float64) * EXPOSURE_S
        steps = max(1, int(np.ceil(np.hypot(*way) / SUBFRAME_PX)))
        light = np.zeros((self._size_wh[1], self._size_wh[0], 3), np.float32)
        for share in (np.arange(steps) + 0.5) / steps - 0.5:
            light += self._sharp(np.asarray(place, np.float64) + share * way)
        light /= steps
        if defocus_px:
            light = cv2.GaussianBlur(light, (0, 0), defocus_px)
        rgb = self.noisy(light)
        index, self._index = self._index, self._index + 1
        return Frame(rgb, index, index * FRAME_S, UM_PER_PX)

    def noisy(self, light: NDArray[np.float32]) -> RgbImage:
        """A picture with the sensor's noise."""
        noise = self._rng.standard_normal(light.shape, dtype=np.float32) * NOISE_GREY
        return np.clip(np.rint(light + noise), 0, 255).astype(np.uint8)

    def _sharp(self, place: NDArray[np.float64]) -> RgbImage:
        centre = place + (np.array(self._size_wh) - 1) / 2
        seen: RgbImage = cv2.getRectSubPix(self._area.rgb, self._size_wh, (float(centre[0]), float(centre[1])))
        return seen


def hand_path(stops: Sequence[tuple[float, float]], frames: int, rng: np.random.Generator) -> Places:
    """A way through stops as a hand goes it: faster and slower, beside the straight line, and trembling.

    Parameters
    ----------
    frames : between two stops
    """
    found = []
    for start, end in zip(stops, stops[1:], strict=False):
        share = np.linspace(0.0, 1.0, frames, endpoint=False)
        bulge = np.sin(np.pi * share)
        share = share - rng.uniform(0.05, 0.12) * np.sin(2 * np.pi * share)
        aside = rng.uniform(-30.0, 30.0, 2) * bulge[:, None]
        tremor = rng.normal(0.0, 0.6, (frames, 2)) * bulge[:, None]
        found.append(np.array(start) + share[:, None] * np.subtract(end, start) + aside + tremor)
    return np.concatenate([*found, np.array(stops[-1:], np.float64)])


def velocities_px_s(places: Places) -> Places:
    """Of each frame of a way, from the places before and after."""
    return np.gradient(places, FRAME_S, axis=0) if len(places) > 1 else np.zeros_like(places)
