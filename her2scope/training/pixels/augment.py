"""Tiles as another microtome, stainer, scanner or day would give them: turned, bent, stained anew, blurred, noisy.

What is drawn for a tile follows from its generator alone: a run that goes on where it was killed draws the same tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.records import Mask, RgbImage

Floats = NDArray[np.float32]

STAINS = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
"""Haematoxylin, eosin and DAB, od10 of red, green and blue: Ruifrok and Johnston, Anal Quant Cytol Histol 2001. Every
colour is a sum of the three, whatever the slide was really stained with."""
NOT_ASKED = 255
"""Label of a pixel that is neither right nor wrong."""


@dataclass(frozen=True, slots=True)
class Variation:
    """How far tiles are varied; nothing is, where all is 0. Deviations are of a normal distribution."""

    turned: bool = True
    """By any angle, and mirrored."""
    scale: float = 0.2
    """Largest logarithm of the change of size."""
    elastic_px: float = 3.0
    """Largest deviation of places from where they were."""
    elastic_grid_px: float = 48.0
    """Distance over which they change."""
    stain_gain: float = 0.25
    """Deviation of the logarithm of each stain's amount."""
    stain_shift_od10: float = 0.03
    stain_turn: float = 0.04
    """Deviation of each part of a stain's colour vector: hue."""
    gain: float = 0.06
    """Deviation of the logarithm of each channel's brightness."""
    gamma: float = 0.08
    """Deviation of the logarithm of the contrast curve's power."""
    blur_px: float = 1.0
    """Largest deviation of the blur, on half of the tiles."""
    noise: float = 6.0
    """Largest deviation of the noise in grey levels, on half of the tiles."""


UPRIGHT: dict[str, Any] = {
    "turned": False, "scale": 0.05, "elastic_px": 0.0, "stain_gain": 0.1, "stain_shift_od10": 0.01, "stain_turn": 0.02,
    "gain": 0.03, "gamma": 0.04, "blur_px": 0.0, "noise": 0.0,
}  # fmt: skip
"""What is varied less, or not at all, in the last part of a run."""
PLAIN = Variation(False, 0, 0, 48.0, 0, 0, 0, 0, 0, 0, 0)


def window_side_px(tile_px: int, variation: Variation) -> int:
    """Side of the square that must be read, so that a tile turned and made larger lies within it."""
    reach = float(np.exp(variation.scale)) * (np.sqrt(2.0) if variation.turned else 1.0)
    return int(np.ceil(tile_px * reach + 2 * variation.elastic_px))


def varied(
    rgb: RgbImage, labels: Mask, tile_px: int, variation: Variation, rng: np.random.Generator
) -> tuple[RgbImage, Mask]:
    """A tile from the middle of a larger window, varied; its labels are moved with it.

    Parameters
    ----------
    rgb, labels : `(S, S, 3)` and `(S, S)` uint8, S at least `window_side_px`
    tile_px : side of the tile

    Returns
    -------
    (T, T, 3) and (T, T) uint8
    """
    places = _places(rgb.shape[0], tile_px, variation, rng)
    seen = cv2.remap(rgb, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    asked = cv2.remap(labels, places, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101)
    return _photographed(_stained(seen, variation, rng), variation, rng), asked


def _places(side_px: int, tile_px: int, variation: Variation, rng: np.random.Generator) -> Floats:
    """Where in the window each pixel of the tile is read, `(T, T, 2)`."""
    angle = float(rng.uniform(0.0, 2.0 * np.pi)) if variation.turned else 0.0
    mirror = -1.0 if variation.turned and rng.random() < 0.5 else 1.0
    size = float(np.exp(rng.uniform(-variation.scale, variation.scale)))
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * [mirror, 1.0]
    along = np.arange(tile_px, dtype=np.float32) - (tile_px - 1) / 2.0
    own = np.stack(np.meshgrid(along, along), axis=2)
    places = own @ turn.T.astype(np.float32) + np.float32((side_px - 1) / 2.0)
    if variation.elastic_px > 0.0:
        places += _bend(tile_px, variation, rng)
    return np.ascontiguousarray(places, np.float32)


def _bend(tile_px: int, variation: Variation, rng: np.random.Generator) -> Floats:
    """Smooth displacement `(T, T, 2)` in px, none longer than `elastic_px` along an axis."""
    n = max(4, round(tile_px / variation.elastic_grid_px) + 2)
    coarse = rng.uniform(-1.0, 1.0, (n, n, 2)).astype(np.float32)
    smooth = cv2.resize(coarse, (tile_px, tile_px), interpolation=cv2.INTER_CUBIC)
    strength = float(rng.uniform(0.0, variation.elastic_px))
    return np.clip(strength * smooth, -variation.elastic_px, variation.elastic_px)


def _stained(rgb: RgbImage, variation: Variation, rng: np.random.Generator) -> RgbImage:
    """The tile with other amounts and colours of its stains: one affine map of od10."""
    stains = np.array(STAINS)
    stains /= np.linalg.norm(stains, axis=1, keepdims=True)
    other = stains + rng.normal(0.0, 1.0, (3, 3)) * variation.stain_turn
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    amount = np.exp(rng.normal(0.0, 1.0, 3) * variation.stain_gain)
    shift = (rng.normal(0.0, 1.0, 3) * variation.stain_shift_od10) @ other
    # od = amounts @ stains, so the new od is od @ inverse(stains) @ diag(amount) @ other + shift
    matrix = np.linalg.inv(stains) @ np.diag(amount) @ other
    power = float(np.exp(rng.normal() * variation.gamma))
    gain_od10 = -np.log10(np.exp(rng.normal(0.0, 1.0, 3) * variation.gain))
    affine = np.hstack([power * matrix.T, (power * shift + gain_od10)[:, None]]).astype(np.float32)
    od = cv2.transform(cv2.LUT(rgb, _OD10), affine)
    light = cv2.exp(od * np.float32(-np.log(10.0)))
    return _bytes(light * np.float32(255.0))


def _photographed(rgb: RgbImage, variation: Variation, rng: np.random.Generator) -> RgbImage:
    """The tile through another lens and camera: blurred, with noise."""
    blur_px = float(rng.uniform(0.2, 1.0)) * variation.blur_px if rng.random() < 0.5 else 0.0
    noise = float(rng.uniform(0.0, 1.0)) * variation.noise if rng.random() < 0.5 else 0.0
    seed = int(rng.integers(1 << 31))
    if blur_px > 0.0:
        rgb = cv2.GaussianBlur(rgb, (0, 0), blur_px)
    if noise > 0.0:
        grain = np.random.default_rng(seed).standard_normal(rgb.shape, np.float32)
        rgb = _bytes(rgb.astype(np.float32) + np.float32(noise) * grain)
    return rgb


def _bytes(values: NDArray[Any]) -> RgbImage:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


_OD10: Floats = (-np.log10(np.maximum(np.arange(256), 0.5) / 255.0)).astype(np.float32)
"""od10 of each grey value against 255; for cv2.LUT."""
