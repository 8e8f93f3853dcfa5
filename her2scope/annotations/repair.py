"""Outlines as people draw them, mended: each repair is named, with the annotation and what it did to the area.

An area that an outline encloses once or several times, in either direction, belongs to it: a loop where a pen went
over its own line is part of what was outlined (ASAP paints by winding numbers, too: its `AnnotationToMask.cpp`).
Holes are what they share with the area.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from her2scope.annotations.drawn import CORNER_PX, DrawnPart, DrawnShape, Numbered, Repairs, Ring
from her2scope.annotations.errors import UnreadableAnnotationError
from her2scope.annotations.geometry import polygons_of, shape_of, shapes_of
from her2scope.annotations.shapes import Annotation, Polygon

LARGEST_PX = 1e7
"""No slide reaches further: larger numbers are um of a stage, or damage."""
SLIVER_PX2 = 0.01
"""A piece smaller than a hundredth of a pixel is a slip of the pen or of rounding."""
_PLACES = "Export the annotations again, in pixels of the image at full resolution."


def mend(path: Path, shapes: Sequence[DrawnShape], repairs: Repairs) -> list[Numbered]:
    """Annotations of what a file draws, every polygon of them valid, without what is cut out of them.

    Raises
    ------
    UnreadableAnnotationError
        Where a place is no finite number, or lies beyond any slide.
    """
    _check_places(path, shapes)
    mended = [(shape, _mended(shape, repairs)) for shape in _without_repeats(shapes, repairs)]
    _mend_crossed(path, mended, repairs)
    _cut_out(path, mended, repairs)
    found = []
    for shape, polygons in mended:
        if shape.cut_from is None and polygons:
            found.append((shape.number, Annotation(shape.name, shape.class_name, tuple(polygons))))
    return found


def _rings(shape: DrawnShape) -> list[Ring]:
    return [ring for part in shape.parts for ring in (part.outer, *part.holes)]


def _check_places(path: Path, shapes: Sequence[DrawnShape]) -> None:
    """Refuse numbers that are no places."""
    rings = [ring for shape in shapes for ring in _rings(shape)]
    if not rings or (np.abs(np.concatenate(rings)) <= LARGEST_PX).all():
        return
    for shape in shapes:
        for ring in _rings(shape):
            beyond = ~(np.abs(ring) <= LARGEST_PX).all(axis=1)  # nan is not <= anything
            if beyond.any():
                x, y = ring[beyond][0] + CORNER_PX
                why = f"{shape.called}: the place {x:g}, {y:g} lies on no slide"
                raise UnreadableAnnotationError(path, why, _PLACES)


# ---- single rings -------------------------------------------------------------------------------------------------


def _without_repeats(shapes: Sequence[DrawnShape], repairs: Repairs) -> list[DrawnShape]:
    """Shapes whose rings do not end in their first place, and name no place twice in a row."""
    distinct = iter(_distinct([ring for shape in shapes for ring in _rings(shape)]))
    found = []
    for shape in shapes:
        repeated = 0
        parts = []
        for part in shape.parts:
            rings = [next(distinct) for _ in range(1 + len(part.holes))]
            repeated += sum(n for _, n in rings)
            parts.append(DrawnPart(rings[0][0], tuple(hole for hole, _ in rings[1:])))
        if repeated:
            places = "place" if repeated == 1 else "places"
            repairs.note("repeated places", f"{shape.called}: {repeated} repeated {places} left out")
        found.append(DrawnShape(shape.number, shape.name, shape.class_name, tuple(parts), shape.cut_from))
    return found


def _distinct(rings: Sequence[Ring]) -> list[tuple[Ring, int]]:
    """Rings without places that repeat the one before, and how many those were; a closing place is not counted."""
    filled = [ring for ring in rings if len(ring)]
    if not filled:
        return [(ring, 0) for ring in rings]
    places = np.concatenate(filled)
    lengths = np.array([len(ring) for ring in filled])
    starts = np.cumsum(lengths) - lengths
    before = np.arange(len(places)) - 1
    before[starts] = starts + lengths - 1
    same = (places == places[before]).all(axis=1)
    repeats = np.add.reduceat(same, starts, dtype=np.intp)
    found = []
    at = 0
    for ring in rings:
        if not len(ring):
            found.append((ring, 0))
            continue
        own, n, start = same[starts[at] : starts[at] + len(ring)], int(repeats[at]), starts[at]
        at += 1
        if n == 0 or len(ring) == 1:
            found.append((ring, 0))
        elif n == 1 and same[start]:  # only closed
            found.append((ring[:-1], 0))
        elif n == len(ring):
            found.append((ring[:1], n - 2))
        else:
            found.append((ring[~own], n - int(same[start])))
    return found


def _mended(shape: DrawnShape, repairs: Repairs) -> list[Polygon]:
    """Polygons of a shape without rings that enclose nothing; they may still cross themselves."""
    polygons = []
    for part in shape.parts:
        if len(part.outer) < 3:
            places = {0: "no place", 1: "one place"}.get(len(part.outer), f"{len(part.outer)} places")
            repairs.note("left out, no areas", f"{shape.called}: its outline has {places} and no area: left out")
            continue
        holes = tuple(hole for hole in part.holes if len(hole) >= 3)
        if empty := len(part.holes) - len(holes):
            repairs.note("empty holes", f"{shape.called}: {empty} of its holes enclosed nothing: left out")
        polygons.append(Polygon(part.outer, holes))
    return polygons


# ---- rings that cross ---------------------------------------------------------------------------------------------


def _mend_crossed(path: Path, mended: Sequence[tuple[DrawnShape, list[Polygon]]], repairs: Repairs) -> None:
    """Put valid polygons in place of those that are not, and leave slivers out."""
    drawn = shapes_of([polygon for _, polygons in mended for polygon in polygons])
    sound = shapely.is_valid(drawn) & (shapely.area(drawn) >= SLIVER_PX2)
    at = 0
    for shape, polygons in mended:
        own = slice(at, at + len(polygons))
        at = own.stop
        if sound[own].all():
            continue
        try:
            pieces = [_uncrossed(shape, one, repairs) for one in drawn[own]]
        except shapely.errors.GEOSException as error:
            why = f"{shape.called}: its outline cannot be mended ({error})"
            raise UnreadableAnnotationError(path, why, "Draw it again.") from None
        polygons[:] = [piece for some in pieces for piece in some]


def _uncrossed(shape: DrawnShape, drawn: Any, repairs: Repairs) -> list[Polygon]:
    """Valid polygons of one as drawn; none of a sliver."""
    if drawn.is_valid:
        if drawn.area >= SLIVER_PX2:
            return polygons_of(drawn)
        repairs.note("left out, no areas", f"{shape.called}: a sliver of {drawn.area:.2g} px2: left out")
        return []
    holes = shapely.union_all([_filled(ring) for ring in drawn.interiors])
    whole = shapely.difference(_filled(drawn.exterior), holes)
    pieces = [piece for piece in polygons_of(whole) if shape_of(piece).area >= SLIVER_PX2]
    what = _in_words(shapely.is_valid_reason(drawn))
    if not pieces:
        repairs.note("left out, no areas", f"{shape.called}: {what} and encloses no area: left out")
        return []
    area = sum(shape_of(piece).area for piece in pieces)
    parts = f" in {len(pieces)} parts" if len(pieces) > 1 else ""
    repairs.note(
        "outlines that cross or touch themselves",
        f"{shape.called}: {what}: mended{parts}, its area is {area:.1f} px2 (by the line as drawn {drawn.area:.1f})",
    )
    return pieces


def _filled(ring: Any) -> Any:
    """All that a ring encloses, however often."""
    whole = shapely.make_valid(shapely.Polygon(ring), method="structure", keep_collapsed=False)
    return shapely.union_all([part for part in shapely.get_parts(whole) if part.geom_type == "Polygon"])


def _in_words(reason: str) -> str:
    """What GEOS says, in words of ours."""
    for said, words in _REASONS.items():
        if reason.startswith(said):
            return words
    return "the outline is not closed around one area"


_REASONS = {
    "Hole lies outside": "a hole lies outside its outline",
    "Holes are nested": "a hole lies in another",
    "Interior is disconnected": "its holes cut it apart",
    "Duplicate Rings": "a ring was drawn twice",
    "Ring Self-intersection": "the outline touches itself",
    "Self-intersection": "the outline crosses itself",
    "Too few points": "the outline has too few places",
}


# ---- areas cut out of others --------------------------------------------------------------------------------------


def _cut_out(path: Path, mended: Sequence[tuple[DrawnShape, list[Polygon]]], repairs: Repairs) -> None:
    """Take the areas of exclusion groups out of the others."""
    wholes = [(shape, polygons) for shape, polygons in mended if shape.cut_from is None]
    cutters = [(shape, polygons) for shape, polygons in mended if shape.cut_from is not None and polygons]
    if not wholes:
        for shape, _ in cutters:
            repairs.note(
                "exclusions of nothing", f"{shape.called}: an exclusion, and there is no area to cut it out of"
            )
    if not cutters or not wholes:
        return
    owner = np.repeat(np.arange(len(wholes)), [len(polygons) for _, polygons in wholes])
    places = np.concatenate([np.arange(len(polygons)) for _, polygons in wholes])
    tree = shapely.STRtree(shapes_of([polygon for _, polygons in wholes for polygon in polygons]))
    cuts: dict[tuple[int, int], list[Any]] = {}
    for shape, polygons in cutters:
        touched = False
        for cutter in shapes_of(polygons):
            for found in tree.query(cutter, predicate="intersects").tolist():
                whole = wholes[owner[found]][0]
                if not shape.cut_from or whole.class_name in shape.cut_from:
                    cuts.setdefault((int(owner[found]), int(places[found])), []).append(cutter)
                    touched = True
        if not touched:
            repairs.note("exclusions of nothing", f"{shape.called}: an exclusion that lies in no other area: left out")
    _subtract(path, wholes, cuts, repairs)


def _subtract(
    path: Path,
    wholes: Sequence[tuple[DrawnShape, list[Polygon]]],
    cuts: dict[tuple[int, int], list[Any]],
    repairs: Repairs,
) -> None:
    """Take each polygon's cuts from it."""
    for owner in sorted({owner for owner, _ in cuts}):
        shape, polygons = wholes[owner]
        try:
            pieces = [
                polygons_of(shapely.difference(shape_of(polygon), shapely.union_all(cuts[owner, place])))
                if (owner, place) in cuts
                else [polygon]
                for place, polygon in enumerate(polygons)
            ]
        except shapely.errors.GEOSException as error:
            why = f"{shape.called}: its exclusions cannot be cut out ({error})"
            raise UnreadableAnnotationError(path, why, "Draw them again.") from None
        polygons[:] = [piece for some in pieces for piece in some if shape_of(piece).area >= SLIVER_PX2]
        if not polygons:
            repairs.note("left out, no areas", f"{shape.called}: exclusions cover all of it: left out")
