"""Colours of what is added to the light in an eyepiece: black is no light at all, and a dark colour is not seen."""

from __future__ import annotations

from her2scope.domain.cells import CellClass
from her2scope.domain.errors import NotAvailableError
from her2scope.overlays.palette import PALETTES, Palette

# Hues near those of the window's palette, each so bright that it stands 4.5:1 against black (WCAG 2 contrast), and
# all apart for normal, protan, deutan and tritan sight; markers keep their shapes besides.
EYEPIECE = Palette(
    name="eyepiece",
    classes={
        CellClass.COMPLETE_INTENSE: (231, 12, 82),
        CellClass.COMPLETE_MODERATE: (249, 171, 0),
        CellClass.INCOMPLETE_INTENSE: (114, 92, 251),
        CellClass.INCOMPLETE_FAINT: (67, 202, 240),
        CellClass.NONE: (225, 242, 199),
    },
    other=(190, 190, 190),
    edge=(150, 150, 150),
    membrane_faint=(255, 225, 40),
    membrane_intense=(255, 60, 60),
    text=(190, 255, 190),
)
EYEPIECE_PALETTES = {EYEPIECE.name: EYEPIECE, **PALETTES}
"""Those that may be chosen for an eyepiece; the window's own are for a monitor beside it."""


def eyepiece_palette(name: str) -> Palette:
    """Palette of that name; NotAvailableError for one that this version does not have."""
    try:
        return EYEPIECE_PALETTES[name]
    except KeyError:
        raise NotAvailableError("palette", name, sorted(EYEPIECE_PALETTES)) from None
