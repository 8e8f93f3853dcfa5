"""Phantom fields to measure on, drawn before any clock starts."""

from __future__ import annotations

import numpy as np

from her2scope.imaging.opencv import cv2
from her2scope.phantom.field import PhantomField, PhantomSpec, render_field
from her2scope.phantom.run import make_run
from her2scope.records import Frame, RgbImage
from her2scope.settings import Calibration

UM_PER_PX = 0.25
SCORE, SEED, DIFFICULTY = "2+", 7, "usual"
DRAWN_PX = 2_100_000
"""Larger fields are drawn in part and mirrored: the density of cells stays, and drawing takes seconds, not minutes."""


def drawn_field(size_wh: tuple[int, int], seed: int = SEED) -> PhantomField:
    """A field with its truth."""
    return render_field(PhantomSpec(SCORE, seed, 0, size_wh, UM_PER_PX, DIFFICULTY))


def field_calibration(seed: int = SEED) -> Calibration:
    """Calibration of the fields' microscope, whose white, response and stains are known."""
    run = make_run(seed, DIFFICULTY)
    return Calibration(
        name="phantom",
        response=run.optics.response,
        white_rgb=run.optics.white_rgb(),
        haematoxylin_vector=run.stain.haematoxylin_vector,
        dab_vector=run.stain.dab_vector,
    )


def picture(size_wh: tuple[int, int]) -> RgbImage:
    """A field's pixels; a large one is a smaller one, mirrored at its edges."""
    width, height = size_wh
    parts = 1
    while width * height / parts**2 > DRAWN_PX:
        parts += 1
    drawn = drawn_field((-(-width // parts), -(-height // parts))).rgb
    below, right = (max(0, side - n) for side, n in zip((height, width), drawn.shape[:2], strict=True))
    return np.ascontiguousarray(cv2.copyMakeBorder(drawn, 0, below, 0, right, cv2.BORDER_REFLECT)[:height, :width])


def frame_of(rgb: RgbImage, index: int = 0) -> Frame:
    """A frame at the fields' scale; it owns its pixels."""
    return Frame(rgb.copy(), index, 0.0, UM_PER_PX)
