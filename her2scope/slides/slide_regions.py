"""What the outlines of a slide are for: where to count, what to leave out, and which tissue is control."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from her2scope.annotations.shapes import Annotations, Polygon
from her2scope.domain.errors import BadInputError
from her2scope.domain.guideline import Score

SUFFIXES = (".geojson", ".json", ".xml")
"""Of files of outlines, in a folder where each has the name of its slide."""
_CONTROL = re.compile(r"control[\s_-]*(3\+|2\+|1\+|0)", re.IGNORECASE)
_LEFT_OUT = re.compile(r"(excluded?|ignored?|artifacts?|artefacts?|necrosis|in[\s_-]?situ|dcis)\*?", re.IGNORECASE)
"""Classes that are left out unless they are named as counted: QuPath's `Ignore*` and `Necrosis`, and what says so."""


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
        If nothing to count in is outlined though it was asked for: counting everywhere would be another question.
    """
    classes = annotations.classes
    counted = tuple(name for name in classes if name in count_in)
    if count_in and must_count_in and not counted:
        there = f"its classes are {', '.join(map(repr, classes))}" if classes else "nothing is outlined"
        raise BadInputError(f"no outline of class {', '.join(map(repr, count_in))}: {there}. Correct --count-in.")
    levels = {name: match[1] for name in classes if name not in counted and (match := _CONTROL.fullmatch(name.strip()))}
    left_out = tuple(
        name
        for name in classes
        if name not in counted and (name in leave_out or (name not in levels and _LEFT_OUT.fullmatch(name.strip())))
    )
    controls: dict[Score, tuple[Polygon, ...]] = {}
    for name, level in levels.items():
        if name not in left_out:
            controls[level] = (*controls.get(level, ()), *annotations.of_class(name))
    rest = [name for name in classes if name not in (*counted, *left_out, *levels)]
    notes = [
        *annotations.repairs,
        *_said("counted only in outlines of class", counted),
        *_said("left out by outlines of class", left_out),
        *_said("control tissue by outlines of class", [name for name in levels if name not in left_out]),
        *_said("not used: outlines of class", rest),
    ]
    return SlideRegions(annotations.of_class(*counted), annotations.of_class(*left_out), controls, tuple(notes))


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
