"""Nuclei marked by eye on crops of real HER2 pictures: which were found, and as what.

A find matches within max(6 px, 0.6 radius), one to one. Nuclei that are not certain, or whose circle crosses the crop's
edge, are neither hit nor miss; nor is a find within a radius of that edge false.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError
from her2scope.evaluation.matching import Bounds, Places, TrueNuclei, match_nuclei
from her2scope.evaluation.reading import are_tumour, centres_of
from her2scope.evaluation.table import PartReport, at_least, percent_at_least
from her2scope.evaluation.tallies import KindTally, NucleusTally
from her2scope.evaluation.work import Analysers, Tell
from her2scope.phantom.compare.real_fields import MARKS_FOLDER, RealField
from her2scope.ports import JsonObject
from her2scope.records import Frame

LEAST_TOLERANCE_PX, TOLERANCE_OF_RADIUS = 6.0, 0.6
KINDS = ("tumour", "other", "unsure")
ON = "real HER2 nuclei marked by eye"


@dataclass(frozen=True, slots=True, eq=False)
class NucleusMarks:
    """Marks on one crop, in pixels of the whole picture."""

    crop_xyxy: tuple[float, float, float, float]
    xy_px: Places
    radius_px: NDArray[np.float64]
    """`(M,)`."""
    counted: NDArray[np.bool_]
    """`(M,)` certain, and whole inside the crop."""
    kind: NDArray[np.str_]
    """`(M,)` of `KINDS`."""


@dataclass(frozen=True, slots=True)
class MarkTally:
    """What became of the marks of one crop."""

    nuclei: NucleusTally = NucleusTally()
    kinds: KindTally = KindTally()
    """Of hits whose kind the observer was sure of."""

    def __add__(self, more: MarkTally) -> MarkTally:
        return MarkTally(self.nuclei + more.nuclei, self.kinds + more.kinds)


@dataclass(frozen=True, slots=True)
class MarkedPicture:
    """A real picture with marks."""

    field: RealField
    marks: NucleusMarks


def read_marks(path: Path) -> NucleusMarks:
    """Read marks of one crop; BadInputError where the file holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        left, top, right, bottom = map(float, content["crop_xyxy"])
        rows = [_mark(item) for item in content["nuclei"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{path}: these are no marked nuclei ({error!r}).") from error
    numbers = np.array([row[:3] for row in rows], np.float64).reshape(-1, 3)
    if not all(map(math.isfinite, (left, top, right, bottom, *numbers.ravel()))):
        raise BadInputError(f"{path}: a position or radius is not finite.")
    counted = np.array([row[3] for row in rows], bool)
    return NucleusMarks(
        (left, top, right, bottom), numbers[:, :2], numbers[:, 2], counted, np.array([row[4] for row in rows], str)
    )


def _mark(item: Mapping[str, Any]) -> tuple[float, float, float, bool, str]:
    kind = str(item["kind"])
    if kind not in KINDS:
        raise ValueError(f"kind '{kind}' is none of {', '.join(KINDS)}")
    counted = bool(item["certain"]) and not bool(item["border"])
    return float(item["x"]), float(item["y"]), float(item["radius_px"]), counted, kind


def compare_marks(marks: NucleusMarks, found_xy_px: Places, found_tumour: NDArray[np.bool_]) -> MarkTally:
    """Set finds beside the marks.

    Parameters
    ----------
    found_xy_px : (N, 2) float
        Centres of the nuclei found, in pixels of the whole picture; those outside the crop do no harm.
    found_tumour : (N,) bool
    """
    tolerance_px = np.maximum(LEAST_TOLERANCE_PX, TOLERANCE_OF_RADIUS * marks.radius_px)
    rim_px = float(np.median(marks.radius_px)) if len(marks.radius_px) else LEAST_TOLERANCE_PX
    matching = match_nuclei(
        found_xy_px, TrueNuclei(marks.xy_px, tolerance_px, marks.counted), Bounds(*marks.crop_xyxy, rim_px)
    )
    kind = marks.kind[matching.true]
    sure = np.isin(kind, ("tumour", "other"))
    found = np.asarray(found_tumour, bool)[matching.found]
    return MarkTally(matching.tally, KindTally.of((kind == "tumour")[sure], found[sure]))


def marked_pictures(data: Path, listed: Sequence[RealField]) -> list[MarkedPicture]:
    """Pictures of the list that have marks in the data's folder of marks."""
    pictures = []
    for field in listed:
        path = data / MARKS_FOLDER / f"{field.path.stem}.json"
        if path.is_file():
            pictures.append(MarkedPicture(field, read_marks(path)))
    return pictures


def evaluate_real_nuclei(
    analysers: Analysers, data: Path, listed: Sequence[RealField], tell: Tell
) -> Mapping[str, PartReport]:
    """Read each marked picture with the default cuts, and compare; a picture that a method refuses has no finds."""
    pictures = marked_pictures(data, listed)
    tallies: dict[str, dict[str, MarkTally]] = {method: {} for method in analysers}
    refused: dict[str, list[str]] = {method: [] for method in analysers}
    for picture in pictures:
        frame = Frame(picture.field.read(), 0, 0.0, picture.field.um_per_px)
        for method, analyser in analysers.items():
            result = analyser.analyse(frame, analyser.default_cuts)
            found = centres_of(result.cells), are_tumour(result.cells)
            tallies[method][picture.field.file] = compare_marks(picture.marks, *found)
            if not result.quality.usable:
                refused[method].append(f"{picture.field.file} was refused: {'; '.join(result.quality.reasons)}")
        tell(f"real nuclei: {picture.field.file}")
    return {method: _report(tallies[method], refused[method]) for method in analysers}


def _report(tallies: Mapping[str, MarkTally], refused: Sequence[str]) -> PartReport:
    pooled = reduce(add, tallies.values(), MarkTally())
    n = pooled.nuclei.hits + pooled.nuclei.missed
    figures = (
        at_least(ON, "nucleus F1, pooled", pooled.nuclei.f1, 0.88, f"{n} nuclei on {len(tallies)} crops"),
        percent_at_least(ON, "tumour / other right", pooled.kinds.accuracy, 90.0, f"{pooled.kinds.n} cells"),
    )
    notes = [*refused, *(_note(name, tally) for name, tally in tallies.items())]
    details: JsonObject = {
        "pooled": _as_json(pooled),
        "images": {name: _as_json(tally) for name, tally in tallies.items()},
    }
    return PartReport(figures, details, tuple(notes))


def _note(name: str, tally: MarkTally) -> str:
    nuclei, kinds = tally.nuclei, tally.kinds
    f1 = "nothing to find" if nuclei.f1 is None else f"F1 {nuclei.f1:.3f}"
    found = f"{nuclei.hits} hit, {nuclei.missed} missed, {nuclei.false} false"
    return f"{Path(name).stem}: {f1} ({found}); kind right {kinds.tumour_right + kinds.other_right} of {kinds.n}"


def _as_json(tally: MarkTally) -> JsonObject:
    return {"nuclei": tally.nuclei.as_json(), "kinds": tally.kinds.as_json()}
