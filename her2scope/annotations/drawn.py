"""Outlines as a file gives them, before anything is checked: what each reader hands to `repair`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.annotations.shapes import Annotation

CORNER_PX = 0.5
"""What QuPath, ASAP and other viewers call 0, 0 is the corner of the first pixel; here it is the pixel's centre."""
LINES_OF_A_KIND = 20

Ring = NDArray[np.float64]
"""`(N, 2)` places (x, y) in px by our convention (pixel centres are whole numbers), perhaps not finite, or too few."""

Numbered = tuple[int, Annotation]
"""An annotation and its place in the file, from 1, by which messages name it."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnPart:
    """One area: an outer ring, and holes in it."""

    outer: Ring
    holes: tuple[Ring, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class DrawnShape:
    """One annotation of a file."""

    number: int
    """Place in the file, from 1."""
    name: str
    class_name: str
    parts: tuple[DrawnPart, ...]
    cut_from: Collection[str] | None = None
    """Classes out of which this area is cut; empty: out of all others. None: it is an area of its own."""

    @property
    def called(self) -> str:
        """How a message names it."""
        return called(self.number, self.name)


def called(number: int, name: str) -> str:
    """How a message names an annotation: `annotation 3 'Tumour'`."""
    shown = name if len(name) <= 60 else name[:57] + "..."
    return f"annotation {number} {shown!r}" if name else f"annotation {number}"


@dataclass(slots=True)
class Repairs:
    """What was mended, in words: at most `LINES_OF_A_KIND` lines of each kind, then how many more."""

    _lines: dict[str, list[str]] = field(default_factory=dict)
    _more: dict[str, int] = field(default_factory=dict)

    def note(self, kind: str, line: str) -> None:
        """Keep a line; `kind` says in few words what it is about, should there be too many."""
        lines = self._lines.setdefault(kind, [])
        if len(lines) < LINES_OF_A_KIND:
            lines.append(line)
        else:
            self._more[kind] = self._more.get(kind, 0) + 1

    def told(self) -> tuple[str, ...]:
        """All lines, those of a kind together."""
        found: list[str] = []
        for kind, lines in self._lines.items():
            found += lines
            if more := self._more.get(kind):
                found.append(f"and {more} more: {kind}")
        return tuple(found)


def ring_of(coordinates: Any) -> Ring:
    """Ring of a list of places in a viewer's coordinates (first pixel from 0 to 1); ValueError where it is none."""
    try:
        ring = np.asarray(coordinates, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("a place is two numbers") from None
    if ring.size == 0:
        return np.zeros((0, 2))
    if ring.ndim != 2 or ring.shape[1] < 2:
        raise ValueError("a place is two numbers")
    return ring[:, :2] - CORNER_PX
