"""The control of a slide: fields cut from control tissue, measured together by the same code as at the microscope."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from her2scope.annotations.shapes import Polygon
from her2scope.domain.cells import StainCuts
from her2scope.domain.guideline import SCORES, Score
from her2scope.imaging.opencv import cv2
from her2scope.imaging.quality import white_drift
from her2scope.pipeline.analyse import DRIFT, FieldAnalyser
from her2scope.pipeline.control import (
    ANCHOR_LEVEL,
    SAME_SCALE,
    cuts_in_force,
    judge,
    latest_of,
    measure_control,
    read_field,
    standing,
)
from her2scope.ports import SlideReader
from her2scope.records import CameraState, ControlReading, FieldResult, Frame, RgbImage
from her2scope.settings import Calibration, Vector
from her2scope.slides.records import Square, Survey
from her2scope.slides.slide_score import Controlled

FIELD_PX = 1024
"""Usual side of a field: what a camera shows at 40x, and a few hundred cells."""
LEAST_FIELDS, MOST_FIELDS = 3, 24
"""Fields of a level that are read, where its tissue has so many: one place of a control may be unlike the next."""
ENOUGH_CELLS = 100
"""Complete cells of a 3+ level, tumour cells of any other, after which no more fields are read (design section 3)."""
LEAST_TUMOUR = 20
"""A place with fewer tumour cells is stroma: no reader would choose it."""
FAULTS = {"blurred", "over_exposed", "under_exposed", "clipped"}
"""Codes of the quality gate that are the scan's, and not the place's (glass, fat)."""
LEAST_TISSUE_SHARE = 0.4
"""Of a field, so that it is tried."""
MAP_UM = 16.0
"""Side of the small squares by which tissue within outlines is measured."""


@dataclass(frozen=True, slots=True, eq=False)
class ControlTissue:
    """Tissue of known score on a slide."""

    level: Score
    reader: SlideReader
    survey: Survey
    name: str
    """What a reader would call it."""
    polygons: tuple[Polygon, ...] = ()
    """In px of the full resolution; none: all tissue of the slide."""
    kind: Square = Square.TISSUE
    """What its squares are called on the slide's map: `CONTROL` where the slide is scored itself."""


@dataclass(frozen=True, slots=True)
class FieldPlace:
    """One field to read: px of the level that is read."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True, eq=False)
class LevelFields:
    """The fields of one level of a control, to be measured together."""

    analyser: FieldAnalyser
    """With the white of the slide that they are cut from."""
    frames: Iterable[Frame]
    """In the order in which they are tried."""
    by_hand: bool = False
    """A reader chose them (pictures): all are read."""
    white_rgb: Vector | None = None
    """Of the slide that they are cut from; None for pictures."""


# ---- where to read ------------------------------------------------------------------------------------------------


def field_places(tissue: ControlTissue) -> tuple[FieldPlace, ...]:
    """Fields that do not overlap, spread over the tissue: the first few lie far apart.

    Outlines are cut into fields one by one, so that the tissue of another level is in none of them.
    """
    if not tissue.polygons:
        scale = tissue.survey.scale
        return _spread(list(_grid_over(tissue, (0.0, 0.0, float(scale.width_px), float(scale.height_px)))))
    down = tissue.survey.scale.downsample
    found = []
    for polygon in tissue.polygons:
        corners = (polygon.outer + 0.5) / down
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        found += list(_grid_over(tissue, (left, top, right, bottom)))
    return _spread(found)


def _grid_over(tissue: ControlTissue, box: tuple[float, float, float, float]) -> Iterator[tuple[FieldPlace, float]]:
    """Fields of about `FIELD_PX` that fill a box, with the share of each that is tissue to read."""
    left, top, right, bottom = box
    columns, rows = (max(1, round((end - begin) / FIELD_PX)) for begin, end in ((left, right), (top, bottom)))
    width, height = (right - left) / columns, (bottom - top) / rows
    for row in range(rows):
        for column in range(columns):
            x, y = round(left + column * width), round(top + row * height)
            place = FieldPlace(x, y, round(left + (column + 1) * width) - x, round(top + (row + 1) * height) - y)
            share = _tissue_share(tissue, place)
            if share > 0:
                yield place, share


def _tissue_share(tissue: ControlTissue, place: FieldPlace) -> float:
    """Share of a field that is tissue of the level, by a map of small squares."""
    scale = tissue.survey.scale
    width, height = (max(2, round(side * scale.um_per_px / MAP_UM)) for side in (place.width_px, place.height_px))
    x_px = place.left_px + (np.arange(width) + 0.5) * place.width_px / width
    y_px = place.top_px + (np.arange(height) + 0.5) * place.height_px / height
    x_um, y_um = np.meshgrid(x_px * scale.um_per_px, y_px * scale.um_per_px)
    is_tissue = tissue.survey.tissue.at(x_um.ravel(), y_um.ravel()).reshape(x_um.shape) == tissue.kind
    if tissue.polygons:
        step = place.width_px / width, place.height_px / height
        is_tissue &= inside(tissue.polygons, scale.downsample, place, (width, height), step)
    return float(is_tissue.mean())


def _spread(found: list[tuple[FieldPlace, float]]) -> tuple[FieldPlace, ...]:
    """Places with enough tissue (the best one where none has), in an order in which neighbours are not neighbours."""
    if not found:
        return ()
    good = [place for place, share in found if share >= LEAST_TISSUE_SHARE]
    if not good:
        good = [max(found, key=lambda item: item[1])[0]]
    return tuple(good[place] for place in _far_apart(len(good)))


def _far_apart(n: int) -> list[int]:
    """All of 0 to n - 1, by steps of the golden section: any first few are spread over all."""
    keys = np.modf(np.arange(n) * 0.6180339887498949)[0]
    order = np.empty(n, np.intp)
    order[np.argsort(keys, kind="stable")] = np.arange(n)
    return [int(place) for place in order]


def inside(
    polygons: Sequence[Polygon],
    downsample: float,
    place: FieldPlace,
    size_wh: tuple[int, int],
    step_px: tuple[float, float] = (1.0, 1.0),
) -> NDArray[np.bool_]:
    """`(height, width)`: which pixels of a field lie within outlines; a hole is outside."""
    mask = np.zeros((size_wh[1], size_wh[0]), np.uint8)
    corner = np.array([place.left_px, place.top_px])
    for polygon in polygons:
        own = np.zeros_like(mask)
        for ring, value in ((polygon.outer, 1), *((hole, 0) for hole in polygon.holes)):
            xy = ((ring + 0.5) / downsample - corner) / np.array(step_px) - 0.5
            cv2.fillPoly(own, [np.round(np.clip(xy, -1e6, 1e6) * 16).astype(np.int32)], value, shift=4)
        mask |= own
    return mask > 0


# ---- frames -------------------------------------------------------------------------------------------------------


def tissue_frames(tissue: ControlTissue, response: str) -> Iterator[Frame]:
    """Fields of the tissue as frames, read one by one; what lies outside its outlines is painted as glass."""
    survey = tissue.survey
    scale = survey.scale
    for index, place in enumerate(field_places(tissue)[:MOST_FIELDS]):
        rgb = tissue.reader.region(scale.level, place.left_px, place.top_px, place.width_px, place.height_px)
        if tissue.polygons:
            rgb = _only_inside(rgb, tissue, place)
        x_um, y_um = place.left_px * scale.um_per_px, place.top_px * scale.um_per_px
        name = f"{tissue.name} at {x_um / 1000:.2f}, {y_um / 1000:.2f} mm"
        yield Frame(np.ascontiguousarray(rgb), index, 0.0, scale.um_per_px, CameraState(response=response), name)


def _only_inside(rgb: RgbImage, tissue: ControlTissue, place: FieldPlace) -> RgbImage:
    keep = inside(tissue.polygons, tissue.survey.scale.downsample, place, (place.width_px, place.height_px))
    if keep.all():
        return rgb
    painted = rgb.copy()
    painted[~keep] = np.clip(np.round(tissue.survey.white_rgb), 0, 255).astype(np.uint8)
    return painted


# ---- reading ------------------------------------------------------------------------------------------------------


def read_levels(analyser: FieldAnalyser, levels: Mapping[Score, LevelFields]) -> tuple[ControlReading, ...]:
    """Read every level, the strongest first: it sets the scale that the others are read by.

    All fields of a level are measured together: an unlucky first place is no failed reading.
    """
    readings: list[ControlReading] = []
    for level in sorted(levels, key=SCORES.index, reverse=True):
        fields = levels[level]
        cuts = cuts_in_force(analyser.default_cuts, readings, analyser.settings.control)[0]
        results = _results(fields, level, cuts)
        if results:
            measures = measure_control(fields.analyser, results, level)
            verdict = judge(fields.analyser, measures, level, [])
            readings.append(ControlReading(len(readings) + 1, "", level, "", measures, verdict, _best(results)))
    return tuple(readings)


def _results(fields: LevelFields, level: Score, cuts: StainCuts) -> list[FieldResult]:
    """Fields of a level: all that a reader chose, else those with tumour until there are cells enough.

    A place that cannot be used for how it was scanned is told to the verdict. Where no place has tumour the one with
    most of it is read, and the verdict says that there is too little.
    """
    read = (read_field(fields.analyser, frame, level, cuts) for frame in fields.frames)
    if fields.by_hand:
        return list(read)
    chosen: list[FieldResult] = []
    faulty: list[FieldResult] = []
    poor: FieldResult | None = None
    for result in read:
        if result.counts.n_tumour >= LEAST_TUMOUR:
            chosen.append(result)
        elif FAULTS.intersection(result.quality.codes):
            faulty.append(result)
        elif poor is None or result.counts.n_tumour > poor.counts.n_tumour:
            poor = result
        if len(chosen) >= LEAST_FIELDS and _are_enough(chosen, level):
            break
    return [*(chosen or ([poor] if poor else [])), *faulty]


def _are_enough(results: Sequence[FieldResult], level: Score) -> bool:
    if level != ANCHOR_LEVEL:
        return sum(result.counts.n_tumour for result in results) >= ENOUGH_CELLS
    cells = chain.from_iterable(result.cells for result in results)
    return sum(not cell.edge and cell.cell_class is not None and cell.cell_class.is_complete for cell in cells) >= (
        ENOUGH_CELLS
    )


def _best(results: Sequence[FieldResult]) -> FieldResult:
    """The field that the report shows: of the usable ones that with most tumour cells."""
    return max(results, key=lambda result: (result.quality.usable, result.counts.n_tumour))


def controlled(analyser: FieldAnalyser, readings: Sequence[ControlReading]) -> Controlled:
    """Cuts and standing that the readings give, before they are held against a slide."""
    cuts, cuts_from = cuts_in_force(analyser.default_cuts, readings, analyser.settings.control)
    return Controlled(tuple(readings), standing(readings, None, [], cuts_from), cuts, cuts_from)


def held_against(found: Controlled, survey: Survey, control_white: Vector | None, most_drift: float) -> Controlled:
    """Whether the controls hold for a slide: read at its scale, and scanned by the same light.

    Parameters
    ----------
    control_white : of the slide that the 3+ level was cut from; None where it was not cut from a slide
    most_drift : greatest relative difference of the two slides' white
    """
    anchor = latest_of(found.readings, ANCHOR_LEVEL)
    if anchor is None:
        return found
    refusals = list(found.standing.refusals)
    scale = anchor.result.frame.um_per_px
    if abs(scale / survey.scale.um_per_px - 1.0) > SAME_SCALE:
        refusals.append(
            f"the control was read at another scale ({scale:.3f} um/px, the slide at {survey.scale.um_per_px:.3f})"
        )
    drift = white_drift(survey.white_rgb, control_white) if control_white is not None else 0.0
    if drift > most_drift:
        refusals.append(
            f"{DRIFT}: the slide's white differs by {100 * drift:.0f} % from the control slide's: scan both alike"
        )
    return replace(found, standing=replace(found.standing, refusals=tuple(refusals)))


def unreadable_levels(levels: Sequence[Score], readings: Sequence[ControlReading]) -> tuple[str, ...]:
    """Levels that were named and have no tissue, in words."""
    read = {reading.expected for reading in readings}
    return tuple(f"no tissue was found in the {level} control" for level in levels if level not in read)


def with_white(calibration: Calibration, white_rgb: Vector) -> Calibration:
    """The calibration with a slide's own white, so that its fields are unmixed as its tiles are."""
    return replace(calibration, white_rgb=white_rgb, flat_field=None)
