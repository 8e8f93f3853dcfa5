"""Annotations as they travel: classes and polygons, in pixels of the full resolution of their image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Corners = NDArray[np.float64]
"""`(N, 2)` places (x, y) in px, N of 3 or more; the last is joined to the first and is not a copy of it. Pixel centres
are whole numbers: the pixel at the upper left corner reaches from -0.5 to 0.5."""


@dataclass(frozen=True, slots=True, eq=False)
class Polygon:
    """One closed area that does not cross itself."""

    outer: Corners
    holes: tuple[Corners, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Annotation:
    """One thing that was outlined; it may have several separate parts."""

    name: str
    """As the file calls it; empty where it does not."""
    class_name: str
    polygons: tuple[Polygon, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Annotations:
    """All that a file outlines."""

    items: tuple[Annotation, ...]
    repairs: tuple[str, ...] = ()
    """What was mended while reading, in words: which annotation, what was wrong, what was done."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in alphabetical order."""
        return tuple(sorted({item.class_name for item in self.items}))

    def of_class(self, *names: str) -> tuple[Polygon, ...]:
        """Polygons of all annotations of these classes."""
        return tuple(polygon for item in self.items if item.class_name in names for polygon in item.polygons)
