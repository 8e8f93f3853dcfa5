"""What a microscope is calibrated with, drawn with known truth: stage micrometer, empty field, exposure series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import cos, radians, sin

import numpy as np

from her2scope.imaging.opencv import cv2
from her2scope.phantom.noise import Floats
from her2scope.phantom.optics import WAVELENGTH_UM, Light, Optics, aperture, exposed
from her2scope.records import Plane, RgbImage

SHORT_UM, MIDDLE_UM, LONG_UM = 40.0, 60.0, 80.0
"""Lengths of the lines of a ruling with 10 um divisions, of each 5th and each 10th: as on common glass scales. Other
divisions have lines in proportion."""
PLAIN_OPTICS = Optics(response="linear", shading=0.0)


@dataclass(frozen=True, slots=True)
class MicrometerSpec:
    """A stage micrometer to draw: a ruling of dark lines on glass."""

    um_per_px: float = 0.25
    size_wh: tuple[int, int] = (1280, 720)
    division_um: float = 10.0
    rotation_deg: float = 0.0
    """Of the direction in which the ruling counts, from the picture's rows; positive turns it downwards."""
    centre_share: float = 0.5
    """Where the picture's middle lies across the lines, as a share of a short line's length from their foot."""
    line_um: float = 1.5
    darkness: float = 0.85
    """Share of light that a line takes."""
    blur_um: float = 0.0
    """Deviation of the blur beside that of the objective."""
    numbered: bool = True
    jitter_um: float = 0.0
    """Deviation of the lines from their places: a ruling that is none."""
    n_lines: int = 201
    halves: float = 0.0
    """Darkness of lines half way between the divisions, as a share of the others'."""
    narrowing: float = 0.0
    """Change of the scale from one side of the picture to the other, as a share: a slide that lies askew."""
    crossed: bool = False
    """A grid: a second set of lines at a right angle, without ends."""
    stretch: float = 1.0
    """Height of the picture's pixels by their width, as seen on the slide."""
    optics: Optics = PLAIN_OPTICS
    seed: int = 0


def draw_micrometer(spec: MicrometerSpec) -> RgbImage:
    """Picture of a stage micrometer."""
    rng = np.random.default_rng(spec.seed)
    along_um, over_um = _slide_coordinates(spec)
    blur_um = np.hypot(0.21 * WAVELENGTH_UM / aperture(spec.um_per_px), spec.blur_um)
    dark = _ruling(along_um, over_um, spec, blur_um, rng)
    if spec.crossed:
        endless = replace(spec, numbered=False, jitter_um=0.0)
        dark = np.maximum(dark, _lines(over_um, np.full_like(over_um, -1e9), endless, blur_um, rng))
    light = 1.0 - spec.darkness * dark
    return exposed(np.repeat(light[..., None], 3, axis=2).astype(np.float32), spec.optics, rng)


def draw_empty_field(
    optics: Optics, size_wh: tuple[int, int] = (1280, 720), seed: int = 0, debris: float = 0.0
) -> RgbImage:
    """Picture of glass through some optics; `debris` is the darkness of soft spots far out of focus (0..1)."""
    width, height = size_wh
    rng = np.random.default_rng(seed)
    light = np.ones((height, width), np.float32)
    if debris:
        light -= debris * _soft_spots(width, height, rng)
    return exposed(cv2.merge([light] * 3), optics, rng)


def draw_exposure_series(
    optics: Optics, exposures_ms: Sequence[float], size_wh: tuple[int, int] = (320, 240), seed: int = 0
) -> list[RgbImage]:
    """Pictures of one still scene, a soft wedge of three colours; 1 ms is the optics' own exposure."""
    width, height = size_wh
    wedge = np.linspace(1.0, 0.4, width, dtype=np.float32)[None, :] * np.linspace(1.0, 0.7, height)[:, None]
    light = np.stack([wedge, 0.9 * wedge, 0.8 * wedge], axis=2).astype(np.float32)
    rng = np.random.default_rng(seed)
    return [exposed(light.copy(), replace(optics, exposure=optics.exposure * ms), rng) for ms in exposures_ms]


# ---- ruling -------------------------------------------------------------------------------------------------------


def _slide_coordinates(spec: MicrometerSpec) -> tuple[Floats, Floats]:
    """Place of each pixel on the slide: along the ruling, and along its lines from their foot on; both in um."""
    width, height = spec.size_wh
    x = (np.arange(width) - 0.5 * width + 0.5)[None, :] * spec.um_per_px
    y = (np.arange(height) - 0.5 * height + 0.5)[:, None] * spec.um_per_px * spec.stretch
    half_um = 0.5 * width * spec.um_per_px
    scale = 1.0 + 0.25 * spec.narrowing * x / half_um  # of places to the right, as if they lay farther away
    angle = radians(spec.rotation_deg)
    along, over = (x * cos(angle) + y * sin(angle)) * scale, (y * cos(angle) - x * sin(angle)) * scale
    return along + 0.37 * spec.division_um, over + spec.centre_share * SHORT_UM * spec.division_um / 10.0


def _ruling(along_um: Floats, over_um: Floats, spec: MicrometerSpec, blur_um: float, rng: np.random.Generator) -> Plane:
    dark = _lines(along_um, over_um, spec, blur_um, rng)
    if spec.halves:
        between = _lines(along_um + 0.5 * spec.division_um, over_um, spec, blur_um, rng)
        dark = np.maximum(dark, spec.halves * between)
    return dark


def _lines(along_um: Floats, over_um: Floats, spec: MicrometerSpec, blur_um: float, rng: np.random.Generator) -> Plane:
    """Darkness (0..1) of one set of lines; `over_um` counts from their foot, far below 0 is a line without ends."""
    nearest = np.rint(along_um / spec.division_um).astype(np.int64)
    moved_um = rng.normal(0.0, spec.jitter_um, 4096) if spec.jitter_um else np.zeros(4096)
    away_um = along_um - nearest * spec.division_um - moved_um[nearest % 4096]
    dark = _soft_step(0.5 * spec.line_um - np.abs(away_um), blur_um)
    dark *= np.abs(nearest) <= spec.n_lines // 2
    if over_um.max() < -1e6:
        return dark.astype(np.float32)
    unit = spec.division_um / 10.0
    length_um = unit * np.where(nearest % 10 == 0, LONG_UM, np.where(nearest % 5 == 0, MIDDLE_UM, SHORT_UM))
    dark *= _soft_step(over_um, blur_um) * _soft_step(length_um - over_um, blur_um)
    if spec.numbered:  # a stroke for a number over each long line
        stroke = (nearest % 10 == 0) & (np.abs(away_um) < 3.0 * unit) & (np.abs(over_um - 92.0 * unit) < 4.0 * unit)
        dark = np.maximum(dark, stroke)
    return dark.astype(np.float32)


def _soft_step(inside_um: Floats, blur_um: float) -> Floats:
    """Edge of a dark shape as a blurred objective shows it: 1 well inside, a half on the edge."""
    return 1.0 / (1.0 + np.exp(np.clip(-1.702 * inside_um / max(blur_um, 1e-3), -50.0, 50.0)))


def _soft_spots(width: int, height: int, rng: np.random.Generator) -> Light:
    """Spots (0..1) of an eighth of the picture's height, as debris out of focus throws them."""
    x, y = np.arange(width)[None, :], np.arange(height)[:, None]
    spots = np.zeros((height, width))
    for _ in range(9):
        x_px, y_px = rng.uniform(0, width), rng.uniform(0, height)
        spots += np.exp(-((x - x_px) ** 2 + (y - y_px) ** 2) / (2.0 * (0.06 * height) ** 2))
    return np.minimum(spots, 1.0).astype(np.float32)
