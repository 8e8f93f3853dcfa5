"""Lamp, objective and camera: transmitted light to the 8-bit picture that a program gets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.records import RgbImage
from her2scope.settings import Vector

Light = NDArray[np.float32]
"""`(H, W, 3)` float32, linear; 1 is the camera's full scale once the lamp is applied."""
WAVELENGTH_UM = 0.55
_COUNTS = 4095
"""Steps of the sensor's 12-bit converter."""


@dataclass(frozen=True, slots=True)
class Optics:
    """How a run was looked at."""

    response: str = "srgb"
    """`linear`, `srgb` or `gamma:X`."""
    lamp_rgb: Vector = (0.88, 0.92, 0.90)
    """Linear light of empty glass in each channel, as a share of full scale."""
    exposure: float = 1.0
    """Factor on the light; above 1.1 glass and pale tissue clip."""
    shading: float = 0.05
    """Loss of light (0..1) in the corner farthest from the lamp's centre."""
    lamp_centre: tuple[float, float] = (0.5, 0.5)
    """Brightest place, as a share of width and height."""
    blur_um: float = 0.12
    """Deviation of the blur by defocus and section thickness, beside that of the objective."""
    electrons: float = 10_000.0
    """Electrons at full scale: shot noise there is its root."""
    sharpening: float = 0.0
    """Strength of the camera's unsharp mask, 0 to about 1.5."""

    def sigma_um(self, um_per_px: float) -> float:
        """Deviation of the whole blur on the slide at this scale."""
        return float(np.hypot(0.21 * WAVELENGTH_UM / aperture(um_per_px), self.blur_um))

    def white_rgb(self) -> Vector:
        """Mean of empty glass at the lamp's centre, 0..255 as the camera gives it."""
        light = np.minimum(np.array(self.lamp_rgb) * self.exposure, 1.0)
        red, green, blue = (float(value) for value in 255.0 * encoded(light, self.response))
        return red, green, blue


def aperture(um_per_px: float) -> float:
    """Numerical aperture of the objective that usually goes with a scale: 40x 0.65, 20x 0.40, 10x 0.25."""
    return float(np.interp(um_per_px, [0.1, 0.25, 0.5, 1.0], [0.95, 0.65, 0.40, 0.25]))


def encoded(light: NDArray[np.float64], response: str) -> NDArray[np.float64]:
    """Linear light (0..1) to camera values (0..1)."""
    if response == "srgb":  # IEC 61966-2-1
        return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    if response.startswith("gamma:"):
        return np.asarray(light ** (1.0 / float(response.removeprefix("gamma:"))))
    return light


def focused(light: Light, optics: Optics, um_per_px: float, reduction: int) -> Light:
    """Blur light drawn at `um_per_px` as the objective does, then gather it in pixels `reduction` times wider."""
    sigma_px = optics.sigma_um(um_per_px * reduction) / um_per_px
    seen: Light = cv2.GaussianBlur(light, (0, 0), sigma_px)
    if reduction > 1:
        height, width = light.shape[:2]
        seen = cv2.resize(seen, (width // reduction, height // reduction), interpolation=cv2.INTER_AREA)
    return seen


def shading_plane(optics: Optics, width: int, height: int) -> Light:
    """Share of the lamp's light that arrives at each pixel, `(H, W, 1)`."""
    x = (np.arange(width) + 0.5) / width - optics.lamp_centre[0]
    y = (np.arange(height) + 0.5) / height - optics.lamp_centre[1]
    square = x[None, :] ** 2 + y[:, None] ** 2
    return (1.0 - optics.shading * square / square.max()).astype(np.float32)[..., None]


def exposed(light: Light, optics: Optics, rng: np.random.Generator) -> RgbImage:
    """One picture of the focused light: lamp, shading, shot noise, response, sharpening, 8 bits."""
    height, width = light.shape[:2]
    lamp = (optics.exposure * np.array(optics.lamp_rgb)).astype(np.float32)
    seen: Light = light * (shading_plane(optics, width, height) * lamp)
    noise = rng.standard_normal(seen.shape, dtype=np.float32)
    seen += noise * np.sqrt(seen * np.float32(1.0 / optics.electrons))
    return developed(seen, optics)


def developed(light: Light, optics: Optics) -> RgbImage:
    """Camera values of the light on the sensor."""
    counts = np.clip(light * _COUNTS + 0.5, 0, _COUNTS).astype(np.uint16)
    values = _response_table(optics.response)[counts]
    if optics.sharpening > 0:
        soft = cv2.GaussianBlur(values, (0, 0), 1.2)
        values = cv2.addWeighted(values, 1.0 + optics.sharpening, soft, -optics.sharpening, 0.0)
    picture: RgbImage = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return picture


@lru_cache(maxsize=8)
def _response_table(response: str) -> NDArray[np.float32]:
    return (255.0 * encoded(np.arange(_COUNTS + 1) / _COUNTS, response)).astype(np.float32)
