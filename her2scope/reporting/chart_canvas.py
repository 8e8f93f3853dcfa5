"""A picture to draw charts on: smooth lines and marks, sharp text, no window system needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from reportlab.pdfbase.ttfonts import TTFont

from her2scope.reporting.words import clean

SMOOTH = 2
"""All is drawn this much larger and then reduced: smooth lines, and letters that are evenly spaced."""
REGULAR, BOLD = "DejaVuSansCondensed.ttf", "DejaVuSansCondensed-Bold.ttf"
RIM = 1.4
"""Width of the rim of a hollow mark."""
HALO = 2.0
"""Width of the rim that keeps a rule's name readable on lines."""
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


class Canvas:
    """Lengths and places are in points of a plain screen, x to the right, y down; `scale` pixels make one."""

    def __init__(self, size_wh: tuple[int, int], scale: float, paper: str) -> None:
        self.width, self.height = size_wh[0] / scale, size_wh[1] / scale
        self._paper, self._scale = paper, scale
        self._image = Image.new("RGB", (size_wh[0] * SMOOTH, size_wh[1] * SMOOTH), paper)
        self._draw = ImageDraw.Draw(self._image)

    def fill(self, box: Box, colour: str) -> None:
        """Fill a rectangle."""
        left, top, right, bottom = (self._far(value) for value in box)
        self._draw.rectangle((left, top, right - 1, bottom - 1), fill=colour)

    def line(self, points: Sequence[Point], colour: str, width: float = 1.0) -> None:
        """Draw through points."""
        self._draw.line([self._at(point) for point in points], fill=colour, width=max(1, self._far(width)))

    def level(self, left: float, right: float, y: float, colour: str, dash: Point | None = None) -> None:
        """Draw a thin level line on whole rows of pixels; `dash` is the length of a stroke and of a gap."""
        rows = max(1, round(self._scale))
        top = (round(y * self._scale) - rows // 2) * SMOOTH
        stroke, gap = dash or (right - left, 1.0)
        for place in range(math.ceil((right - left) / (stroke + gap))):
            start = left + place * (stroke + gap)
            ends = self._far(start), self._far(min(right, start + stroke))
            self._draw.rectangle((ends[0], top, max(ends) - 1, top + rows * SMOOTH - 1), fill=colour)

    def mark(self, centre: Point, corners: Sequence[Point], radius: float, rim: str, inside: str | None = None) -> None:
        """Draw a shape whose corners lie in a square from -1 to 1, filled with its rim's colour or another."""
        self._draw.polygon(self._scaled(centre, corners, radius), fill=rim)
        if inside is not None:
            self._draw.polygon(self._scaled(centre, corners, radius - RIM), fill=inside)

    def _scaled(self, centre: Point, corners: Sequence[Point], radius: float) -> list[tuple[int, int]]:
        return [self._at((centre[0] + radius * x, centre[1] + radius * y)) for x, y in corners]

    def text(
        self,
        at: Point,
        words: str,
        colour: str,
        size: float = 11.0,
        anchor: str = "lm",
        *,
        bold: bool = False,
        halo: bool = False,
    ) -> None:
        """Write one line; `anchor` as Pillow names it (`lm`: left, middle)."""
        rim = self._far(HALO) if halo else 0
        font = _font(bold, self._far(size))
        self._draw.text(self._at(at), words, colour, font, anchor, stroke_width=rim, stroke_fill=self._paper)

    def text_width(self, words: str, size: float = 11.0, bold: bool = False) -> float:
        """How wide a line will be."""
        return float(_font(bold, self._far(size)).getlength(words)) / (self._scale * SMOOTH)

    def fitted(self, words: str, width: float, size: float = 11.0, bold: bool = False) -> str:
        """The line itself, or its beginning with an ellipsis where it is wider."""
        if self.text_width(words, size, bold) <= width:
            return words
        while words and self.text_width(words + "\u2026", size, bold) > width:
            words = words[:-1]
        return words + "\u2026"

    def rgb(self) -> NDArray[np.uint8]:
        """`(H, W, 3)` uint8 RGB of what was drawn."""
        return np.array(self._image.reduce(SMOOTH))

    def _far(self, length: float) -> int:
        return round(length * self._scale * SMOOTH)

    def _at(self, point: Point) -> tuple[int, int]:
        return self._far(point[0]), self._far(point[1])


def printable(words: str) -> str:
    """One line that the fonts can show: a name in another script becomes its code points, as in the PDF report."""
    return "".join(sign if ord(sign) in _covered() else f"[U+{ord(sign):04X}]" for sign in clean(words))


@cache
def _font(bold: bool, size_px: int) -> ImageFont.FreeTypeFont:
    folder = resources.files("her2scope.reporting").joinpath("fonts")
    with resources.as_file(folder.joinpath(BOLD if bold else REGULAR)) as path:
        return ImageFont.truetype(str(path), max(1, size_px))


@cache
def _covered() -> frozenset[int]:
    """Code points that our font has."""
    folder = resources.files("her2scope.reporting").joinpath("fonts")
    with resources.as_file(folder.joinpath(REGULAR)) as path:
        return frozenset(TTFont("chart", str(path)).face.charToGlyph)
