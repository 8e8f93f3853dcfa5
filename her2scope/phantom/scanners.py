"""Invented slide scanners: what each does to the light, and the grain and the compression of the tiles it stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from her2scope.domain.errors import NotAvailableError
from her2scope.imaging.opencv import cv2
from her2scope.phantom.noise import Floats, mixed_seed
from her2scope.phantom.optics import Optics, developed
from her2scope.phantom.run import Run
from her2scope.records import Plane, RgbImage

GRAIN_PX, GRAIN_SHIFTS_PX = 384, 256
"""Side of the plane of noise that tiles take theirs from, and at how many places they may cut it."""
SCANNED: Mapping[str, Any] = {
    "shading": 0.0,
    "lamp_tilt": (0.0, 0.0),
    "vignetting": 0.0,
    "corner_rgb": (0.0, 0.0, 0.0),
    "exposure": 1.0,
    "lateral_px": (0.0, 0.0),
    "lateral_shift_px": (0.0, 0.0),
    "tilt_px": 0.0,
    "dust": 0,
    "bubbles": 0,
    "ink": 0,
    "folds": 0,
    "upscaling": 1.0,
    "bayer": False,
    "black_level": 0.0,
    "denoise": 0.0,
    "halo_limit": 255.0,
}
"""A scanner evens its light, is set up once and keeps its path clean. Blur, focus and flare remain the run's own."""


@dataclass(frozen=True, slots=True)
class Scanner:
    """An invented scanner."""

    about: str
    optics: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Optics`, beside those of `SCANNED`."""


SCANNERS: Mapping[str, Scanner] = {
    "aurora": Scanner(
        "bright neutral ground, a little sharpening",
        {
            "response": "linear", "lamp_rgb": (0.93, 0.94, 0.93), "contrast": 0.0, "saturation": 1.0, "hue_deg": 0.0,
            "sharpening": 0.5, "sharpening_px": 1.2, "sharpening_luma": True, "chroma_blur_px": 0.0,
            "electrons": 20_000.0, "read_noise": 4.0, "jpeg_quality": 85,
        },
    ),
    "boreas": Scanner(
        "grey ground, soft, strong contrast, fine compression",
        {
            "response": "gamma:1.2", "lamp_rgb": (0.68, 0.675, 0.66), "contrast": 0.3, "saturation": 1.1,
            "hue_deg": 0.0, "sharpening": 0.0, "sharpening_px": 1.2, "sharpening_luma": True, "chroma_blur_px": 0.0,
            "electrons": 25_000.0, "read_noise": 4.0, "jpeg_quality": 95,
        },
    ),
    "cirrus": Scanner(
        "bluish ground, sharpened, coarse compression",
        {
            "response": "linear", "lamp_rgb": (0.86, 0.90, 0.95), "contrast": 0.15, "saturation": 1.15, "hue_deg": -2.0,
            "sharpening": 1.2, "sharpening_px": 1.4, "sharpening_luma": True, "chroma_blur_px": 0.8,
            "electrons": 12_000.0, "read_noise": 6.0, "jpeg_quality": 75,
        },
    ),
    "dorado": Scanner(
        "warm ground, colours strong and a little turned",
        {
            "response": "linear", "lamp_rgb": (0.92, 0.90, 0.86), "contrast": 0.1, "saturation": 1.2, "hue_deg": 3.0,
            "sharpening": 0.8, "sharpening_px": 1.2, "sharpening_luma": False, "chroma_blur_px": 0.5,
            "electrons": 15_000.0, "read_noise": 5.0, "jpeg_quality": 80,
        },
    ),
}  # fmt: skip
"""Grounds, blur and compression as in scans that were looked at (`recipes`, `scanner`); names and mixture are ours."""
DEFAULT_SCANNER = "aurora"


def scanned_by(run: Run, scanner: str) -> Run:
    """The run, looked at through a scanner in place of its microscope and camera."""
    if scanner not in SCANNERS:
        raise NotAvailableError("scanner", scanner, list(SCANNERS))
    optics = replace(run.optics, **{**SCANNED, **SCANNERS[scanner].optics})
    if run.damage == "over_exposed":
        optics = replace(optics, exposure=run.optics.exposure)
    return replace(run, camera=scanner, optics=optics)


class Grain:
    """Noise of a scanner's sensor, and the loss by its JPEG, on tiles without either. Any number of threads."""

    def __init__(self, optics: Optics, seed: int) -> None:
        self._seed, self._quality = seed, optics.jpeg_quality
        rng = np.random.default_rng(mixed_seed("grain", seed))
        self._noise: Plane = rng.standard_normal((GRAIN_PX, GRAIN_PX, 3), dtype=np.float32)
        self._deviation = deviation_of_values(optics).astype(np.float32)

    def on(self, tile: RgbImage, place: tuple[int, int, int], averaged: float = 1.0) -> RgbImage:
        """A tile (at most 128 px on each side) as it is stored; the same at the same place (level, column, row).

        `averaged`: pixels of the sensor along each side that one of the tile is the mean of.
        """
        x, y = (mixed_seed("cut", self._seed, axis, *place) % GRAIN_SHIFTS_PX for axis in "xy")
        noise = self._noise[y : y + tile.shape[0], x : x + tile.shape[1]]
        shaken = cv2.multiply(noise, cv2.LUT(tile, self._deviation), scale=1.0 / averaged)
        grainy: RgbImage = cv2.add(tile, shaken, dtype=cv2.CV_8U)
        return grainy if self._quality == 0 else _compressed(grainy, self._quality)


def deviation_of_values(optics: Optics) -> Floats:
    """Standard deviation (grey levels) of the sensor's noise at each camera value, `(256,)`."""
    light = np.linspace(0.0, 1.0, 4096)
    wedge = np.ascontiguousarray(np.broadcast_to(light[:, None, None], (light.size, 16, 3)), np.float32)
    values = developed(wedge, replace(optics, sharpening=0.0))[:, 8, 1].astype(np.float64)
    even = np.full(129, 1.0 / 129.0)  # a grey level is 16 places wide
    light, values = (np.convolve(curve, even, "valid") for curve in (light, values))
    noise = np.sqrt(light / optics.electrons + (optics.read_noise / optics.electrons) ** 2)
    rising = np.maximum.accumulate(values)
    return np.interp(np.arange(256), rising, np.gradient(values, light) * noise)


def _compressed(tile: RgbImage, quality: int) -> RgbImage:
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(tile, cv2.COLOR_RGB2BGR), settings)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
