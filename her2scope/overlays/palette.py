"""Colour, marker and words of each cell class: one place for the screen, the report and the legend."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from her2scope.domain.cells import CellClass
from her2scope.domain.errors import NotAvailableError
from her2scope.domain.regions import RegionKind

Rgb = tuple[int, int, int]
"""Red, green, blue, 0..255."""
Polygon = tuple[tuple[float, float], ...]
"""Corners (x to the right, y down) in a square from -1 to 1."""


class Marker(StrEnum):
    """Shape at a cell's centre, so that colour is never the only cue."""

    SQUARE = "square"
    CIRCLE = "circle"
    TRIANGLE = "triangle"
    DIAMOND = "diamond"
    BAR = "bar"
    CROSS = "cross"


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of everything drawn over tissue."""

    name: str
    classes: Mapping[CellClass, Rgb]
    other: Rgb
    """Cells that are not tumour."""
    edge: Rgb
    """Tumour cells that are not counted: their outline leaves the image, another field has them, or the reader left
    them out."""
    membrane_faint: Rgb
    membrane_intense: Rgb
    text: Rgb
    """Words written on the picture; `halo` of it lies behind."""

    def colour(self, name: CellClass | None) -> Rgb:
        """Colour of a class, of the other cells for None."""
        return self.other if name is None else self.classes[name]


# Searched so that all five stay apart for normal, protan, deutan and tritan sight (CIEDE2000 20 or more under
# Machado 2009 at full severity), stand 3:1 against a dark window, and differ from brown and blue tissue.
SAFE = Palette(
    name="safe",
    classes={
        CellClass.COMPLETE_INTENSE: (215, 35, 85),
        CellClass.COMPLETE_MODERATE: (240, 170, 0),
        CellClass.INCOMPLETE_INTENSE: (110, 75, 255),
        CellClass.INCOMPLETE_FAINT: (60, 190, 255),
        CellClass.NONE: (227, 255, 217),
    },
    other=(185, 185, 185),
    edge=(130, 130, 130),
    membrane_faint=(255, 225, 40),
    membrane_intense=(225, 25, 30),
    text=(255, 255, 255),
)

# Red, purple, dark green, light green as in arXiv 2110.12900, figures 3 to 5. Its four-class view counts
# `incomplete_intense` as incomplete, so that gets another dark green, of a bluer shade.
PAPER = Palette(
    name="paper",
    classes={
        CellClass.COMPLETE_INTENSE: (220, 30, 40),
        CellClass.COMPLETE_MODERATE: (150, 65, 200),
        CellClass.INCOMPLETE_INTENSE: (0, 135, 125),
        CellClass.INCOMPLETE_FAINT: (0, 100, 30),
        CellClass.NONE: (130, 225, 100),
    },
    other=(185, 185, 185),
    edge=(130, 130, 130),
    membrane_faint=(255, 225, 40),
    membrane_intense=(225, 25, 30),
    text=(255, 255, 255),
)

PALETTES = {item.name: item for item in (SAFE, PAPER)}

LABELS: Mapping[CellClass, str] = {
    CellClass.COMPLETE_INTENSE: "Complete, intense",
    CellClass.COMPLETE_MODERATE: "Complete, weak to moderate",
    CellClass.INCOMPLETE_INTENSE: "Incomplete, moderate to intense",
    CellClass.INCOMPLETE_FAINT: "Incomplete, faint",
    CellClass.NONE: "No membrane staining",
}
OTHER_LABEL = "Other cell (not tumour)"
EDGE_LABEL = "Not counted: at the edge, seen before, or left out"
OUTSIDE_LABEL = "Hatched: outside, not counted"
OUTSIDE_COLOUR: Rgb = (70, 70, 70)
"""Of the legend's entry for tissue that the region model leaves out; the tissue itself is dimmed and hatched."""
HAND_COLOUR: Rgb = (255, 255, 255)
"""Of the small square beside a cell that the reader corrected, and of the line through an excluded one."""
# Apart for every sight as the classes are (tested alike); line and hatching differ too, wherever they are drawn.
REGION_COLOURS: Mapping[RegionKind, Rgb] = {
    RegionKind.EXCLUDE: (230, 97, 0),
    RegionKind.NORMAL_DUCT: (12, 123, 220),
    RegionKind.INVASIVE: (255, 255, 255),
}
REGION_LABELS: Mapping[RegionKind, str] = {
    RegionKind.EXCLUDE: "Excluded",
    RegionKind.NORMAL_DUCT: "Normal duct (internal control)",
    RegionKind.INVASIVE: "Invasive tumour",
}
MEMBRANE_FAINT_LABEL = "Membrane, faint to moderate"
MEMBRANE_INTENSE_LABEL = "Membrane, intense"

# Complete membranes get the closed, full shapes; an unstained cell a minus, another cell a small cross.
MARKERS: Mapping[CellClass, Marker] = {
    CellClass.COMPLETE_INTENSE: Marker.SQUARE,
    CellClass.COMPLETE_MODERATE: Marker.CIRCLE,
    CellClass.INCOMPLETE_INTENSE: Marker.TRIANGLE,
    CellClass.INCOMPLETE_FAINT: Marker.DIAMOND,
    CellClass.NONE: Marker.BAR,
}
OTHER_MARKER = Marker.CROSS

_ARM = 0.26  # half width of the cross' arms, before it is turned by 45 degrees


def _circle(corners: int) -> Polygon:
    turns = [2 * math.pi * place / corners for place in range(corners)]
    return tuple((0.95 * math.cos(turn), 0.95 * math.sin(turn)) for turn in turns)


def _cross() -> Polygon:
    quarter = ((_ARM, -_ARM), (1.0, -_ARM), (1.0, _ARM))
    corners = []
    for turn in range(4):
        cosine, sine = math.cos(math.pi / 2 * turn + math.pi / 4), math.sin(math.pi / 2 * turn + math.pi / 4)
        corners += [(x * cosine - y * sine, x * sine + y * cosine) for x, y in quarter]
    return tuple(corners)


_POLYGONS: Mapping[Marker, Polygon] = {
    Marker.SQUARE: ((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
    Marker.CIRCLE: _circle(24),
    Marker.TRIANGLE: ((0.0, -1.0), (1.0, 0.8), (-1.0, 0.8)),
    Marker.DIAMOND: ((0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)),
    Marker.BAR: ((-1.0, -0.35), (1.0, -0.35), (1.0, 0.35), (-1.0, 0.35)),
    Marker.CROSS: _cross(),
}


def palette(name: str) -> Palette:
    """Palette of that name; NotAvailableError for one that this version does not have."""
    try:
        return PALETTES[name]
    except KeyError:
        raise NotAvailableError("palette", name, sorted(PALETTES)) from None


def label(name: CellClass | None) -> str:
    """Words for a class, for the other cells where None."""
    return OTHER_LABEL if name is None else LABELS[name]


def marker(name: CellClass | None) -> Marker:
    """Shape of a class, of the other cells for None."""
    return OTHER_MARKER if name is None else MARKERS[name]


def marker_polygon(shape: Marker) -> Polygon:
    """Corners of a marker of radius 1; every renderer scales these, so a shape looks the same everywhere."""
    return _POLYGONS[shape]


def luminance(colour: Rgb) -> float:
    """Relative luminance (0..1) as WCAG 2 defines it."""
    linear = [value / 255 for value in colour]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in linear]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def halo(colour: Rgb) -> Rgb:
    """Black or white, whichever stands out more from `colour`: for the rim round a marker and for text on a fill."""
    return (0, 0, 0) if luminance(colour) > 0.179 else (255, 255, 255)


def hex_colour(colour: Rgb) -> str:
    """Render as `#rrggbb`, as Qt style sheets, HTML and SVG take it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
