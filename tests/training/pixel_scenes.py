"""Small drawn pictures with two classes of blobs, of which every pixel's label is known."""

from __future__ import annotations

import numpy as np

from her2scope.annotations.raster import Painter
from her2scope.annotations.shapes import Annotation, Annotations, Polygon
from her2scope.training.pixels.grounds import Ground, WholePicture

CLASSES = ("dark", "brown")
PAPER, DARK, BROWN = (232, 214, 226), (70, 50, 120), (140, 90, 50)
COLOUR_OF = {"dark": DARK, "brown": BROWN}


def circle(x: float, y: float, radius: float) -> Polygon:
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return Polygon(np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1))


def scene(name: str, seed: int, side: int = 128, n: int = 10, classes: tuple[str, ...] = CLASSES) -> Ground:
    """A picture of blobs of some classes, with their outlines."""
    rng = np.random.default_rng(seed)
    items = tuple(
        Annotation("", classes[k % len(classes)], (circle(*rng.uniform(0, side, 2), rng.uniform(6, 12)),))
        for k in range(n if classes else 0)
    )
    annotations = Annotations(items)
    painter = Painter(annotations, CLASSES)
    labels = painter.window(0, 0, side, side)
    rgb = np.full((side, side, 3), PAPER, np.float32)
    for k, class_name in enumerate(CLASSES, 1):
        rgb[labels == k] = COLOUR_OF[class_name]
    rgb += rng.normal(0, 4, rgb.shape)
    return Ground(name, WholePicture(np.clip(rgb, 0, 255).astype(np.uint8)), painter, 1.0)
