"""What the outlines of a slide are for: where to count, what to leave out, and which tissue is control."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from her2scope.annotations.geometry import shapes_of
from her2scope.annotations.shapes import Annotations, Polygon
from her2scope.domain.errors import BadInputError
from her2scope.domain.guideline import Score
from her2scope.slides.records import SlideCells

SUFFIXES = (".geojson", ".json", ".xml")
"""Of files of outlines, in a folder where each has the name of its slide."""
_CONTROL = re.compile(r"control[\s_-]*(3\+|2\+|1\+|0)", re.IGNORECASE)
_CALLED_CONTROL = re.compile(r"control|kontroll", re.IGNORECASE)
"""Whatever else has this in its name is control tissue of a level that it does not tell."""
_LEFT_OUT = re.compile(r"(excluded?|ignored?|artifacts?|artefacts?|necrosis|in[\s_-]?situ|dcis)\*?", re.IGNORECASE)
"""Classes that are left out unless they are named as counted: QuPath's `Ignore*` and `Necrosis`, and what says so."""
CONTROL_RIM_UM = 50.0
"""So near beside the outline of a control no cell is counted: a hand that follows a rim of tissue cuts some of it off,
and the cells of a 3+ control are enough to make a case 2+."""
MAX_SHARED = 0.01
"""Of the smaller of two levels' outlines, that they may share by a slip of the pen."""


@dataclass(frozen=True, slots=True)
class SlideRegions:
    """Outlines of one slide by their use, in px of the full resolution."""

    restrict: tuple[Polygon, ...] = ()
    """Where to count; none: everywhere."""
    exclude: tuple[Polygon, ...] = ()
    controls: Mapping[Score, tuple[Polygon, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What was used for what, in words."""

    @property
    def all_controls(self) -> tuple[Polygon, ...]:
        """Of all levels."""
        return tuple(chain.from_iterable(self.controls.values()))


def sorted_regions(
    annotations: Annotations, count_in: Sequence[str], leave_out: Sequence[str], must_count_in: bool = True
) -> SlideRegions:
    """Outlines by what their classes are for.

    Parameters
    ----------
    count_in, leave_out : names of classes, as the user gave them
    must_count_in : one of the classes to count in has to be outlined; False where a region model knows them, too

    Raises
    ------
    BadInputError
        If nothing to count in is outlined though it was asked for: counting everywhere would be another question. If
        something is called a control and tells no level: its cells would be counted as tumour. If one tissue is
        outlined as two levels: it would set the cuts as the stronger one.
    """
    classes = annotations.classes
    to_leave_out = {name.strip().casefold(): name for name in leave_out}
    counted = tuple(name for name in classes if name in count_in)
    if count_in and must_count_in and not counted:
        there = f"its classes are {', '.join(map(repr, classes))}" if classes else "nothing is outlined"
        raise BadInputError(f"no outline of class {', '.join(map(repr, count_in))}: {there}. Correct --count-in.")
    levels = {name: match[1] for name in classes if name not in counted and (match := _CONTROL.fullmatch(name.strip()))}
    left_out = tuple(
        name
        for name in classes
        if name not in counted
        and (name.strip().casefold() in to_leave_out or (name not in levels and _LEFT_OUT.fullmatch(name.strip())))
    )
    controls: dict[Score, tuple[Polygon, ...]] = {}
    for name, level in levels.items():
        if name not in left_out:
            controls[level] = (*controls.get(level, ()), *annotations.of_class(name))
    _check_apart(controls)
    rest = [name for name in classes if name not in (*counted, *left_out, *levels)]
    unclear = next(filter(_CALLED_CONTROL.search, rest), None)
    if unclear is not None:
        raise BadInputError(
            f"outlines of class {unclear!r}: which level is this control? Call it 'control 3+', 2+, 1+ or 0, or leave "
            f"it out with --leave-out {unclear!r}: its cells would be counted as tumour."
        )
    outlined = {name.strip().casefold() for name in classes}
    not_outlined = [name for key, name in to_leave_out.items() if key not in outlined]
    notes = [
        *annotations.repairs,
        *_said("counted only in outlines of class", counted),
        *_said("left out by outlines of class", left_out),
        *_said("control tissue by outlines of class", [name for name in levels if name not in left_out]),
        *_said("not used: outlines of class", rest),
        *_said("to be left out, but nothing is outlined as", not_outlined),
    ]
    return SlideRegions(annotations.of_class(*counted), annotations.of_class(*left_out), controls, tuple(notes))


def control_slide_regions(annotations: Annotations, leave_out: Sequence[str] = ()) -> SlideRegions:
    """The same of a control slide: a level that is left out on the slides that are scored is what it is here."""
    return sorted_regions(annotations, (), [name for name in leave_out if not _CONTROL.fullmatch(name.strip())])


def _check_apart(controls: Mapping[Score, tuple[Polygon, ...]]) -> None:
    """BadInputError where outlines of two levels share tissue."""
    areas = {level: shapely.union_all(shapes_of(polygons)) for level, polygons in controls.items()}
    for (one, area), (other, other_area) in combinations(areas.items(), 2):
        shared = shapely.intersection(area, other_area).area
        if shared > MAX_SHARED * min(area.area, other_area.area):
            raise BadInputError(f"the outlines of control {one} and control {other} overlap: draw them apart.")


def _said(words: str, names: Sequence[str]) -> list[str]:
    return [f"{words} {', '.join(repr(name) for name in names)}"] if names else []


def outlines_of(stem: str, given: Path | None) -> Path | None:
    """File of outlines of a slide: the one that was given, or the one of the slide's name in a folder.

    Raises BadInputError where the folder has two of that name.
    """
    if given is None or not given.is_dir():
        return given
    found = [path for suffix in SUFFIXES if (path := given / f"{stem}{suffix}").is_file()]
    if len(found) > 1:
        raise BadInputError(f"{found[0]} and {found[1].name}: two files of outlines for one slide. Move one away.")
    return found[0] if found else None


# ---- cells --------------------------------------------------------------------------------------------------------


def cells_by_outlines(cells: SlideCells, regions: SlideRegions, um_per_px: float) -> tuple[SlideCells, tuple[str, ...]]:
    """Cells that the outlines let count, and what they do not, in words.

    The slide's squares are coarse: what an outline's edge cuts through is decided here, cell by cell.

    Parameters
    ----------
    um_per_px : of the full resolution
    """
    xy_px = np.stack([cells.x_um, cells.y_um], axis=1) / um_per_px - 0.5
    control = shapely.buffer(shapes_of(regions.all_controls), CONTROL_RIM_UM / um_per_px)
    near_control = _in_any(control, xy_px)
    left_out = near_control | _in_any(shapes_of(regions.exclude), xy_px)
    if regions.restrict:
        left_out |= ~_in_any(shapes_of(regions.restrict), xy_px)
    n_near = int((near_control & cells.is_tumour).sum())
    notes = (f"{n_near} tumour cells right beside the outline of a control are not counted",) if n_near else ()
    return (cells.chosen(~left_out) if left_out.any() else cells), notes


def _in_any(shapes: Iterable[Any], xy_px: NDArray[np.float64]) -> NDArray[np.bool_]:
    """`(N,)` which places lie in any of some shapes; each shape is asked about the places in its box alone."""
    found = np.zeros(len(xy_px), np.bool_)
    order = np.argsort(xy_px[:, 0], kind="stable")
    x_px = xy_px[order, 0]
    for shape in shapes:
        left, top, right, bottom = shape.bounds
        rows = order[np.searchsorted(x_px, left, "left") : np.searchsorted(x_px, right, "right")]
        rows = rows[(xy_px[rows, 1] >= top) & (xy_px[rows, 1] <= bottom)]
        if len(rows):
            shapely.prepare(shape)
            found[rows[shapely.intersects_xy(shape, xy_px[rows])]] = True
    return found
