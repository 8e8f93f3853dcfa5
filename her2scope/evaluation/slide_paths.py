"""Cells that a case counts field by field, against the cells that the same method finds in one seamless picture.

A path leads a hand's way over a drawn slide and accepts fields that share 0 to 80 % with the one before. A cell of the
seamless picture is asked for where at least one accepted field shows it whole: what every border cuts, nobody sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from her2scope.domain.cells import CellKind
from her2scope.evaluation.moving_views import UM_PER_PX, Camera, DrawnArea, Places, hand_path, velocities_px_s
from her2scope.evaluation.table import Figure, PartReport, percent_at_most, told
from her2scope.evaluation.tallies import mean_of
from her2scope.evaluation.work import Analysers, Makers, Tell, done_in_any_order
from her2scope.imaging.registration import Relief
from her2scope.pipeline.accumulate import counted_cells, overlaps_with
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.slide_map import SlideMap
from her2scope.ports import JsonObject
from her2scope.records import FieldResult, Frame, IslandJoin, MapPlace

FIELD_WH = (1280, 720)
COLUMNS, ROWS = 3, 2
MARGIN_PX = 64
"""Of the drawn area around the fields, for the hand's tremor."""
SHARED = (0.0, 0.2, 0.4, 0.6, 0.8)
"""Share of width or height that a field has in common with the one before."""
JUMP_SHARED = 0.4
PATTERNS = ("2+", "1+")
PATH_SEEDS = 9_500_000
"""Added to the first seed."""
FRAMES = 24
"""Between two accepted fields: 0.8 s."""
STILL = 12
"""Before a field is accepted: 0.4 s."""
MOST_OFF_PERCENT = 3.0


@dataclass(frozen=True, slots=True)
class PathSpec:
    """One path over one slide."""

    pattern: str
    seed: int
    shared: float
    jumps: bool
    """Before every second field the view jumps away to where nothing was seen, and back."""

    @property
    def name(self) -> str:
        """As the table calls it."""
        return f"{100 * self.shared:.0f} % shared" + (", with jumps" if self.jumps else "")

    @property
    def stops(self) -> list[tuple[float, float]]:
        """Corners of the fields in px of the area, row by row, there and back."""
        step = [round(side * (1.0 - self.shared)) for side in FIELD_WH]
        rows = [[(MARGIN_PX + k * step[0], MARGIN_PX + n * step[1]) for k in range(COLUMNS)] for n in range(ROWS)]
        return [(float(x), float(y)) for n, row in enumerate(rows) for x, y in (row[::-1] if n % 2 else row)]

    @property
    def area_wh(self) -> tuple[int, int]:
        """Size of the drawn area; with jumps there is a field's room beside what is visited."""
        right, bottom = np.max(self.stops, axis=0).astype(int) + FIELD_WH + MARGIN_PX
        return int(right) + (FIELD_WH[0] + MARGIN_PX if self.jumps else 0), int(bottom)

    @property
    def away(self) -> tuple[float, float]:
        """Where it jumps to."""
        return float(self.area_wh[0] - FIELD_WH[0] - MARGIN_PX // 2), float(MARGIN_PX)


@dataclass(frozen=True, slots=True)
class PathTally:
    """Cells of one path by one method."""

    counted: int
    """By the case."""
    asked: int
    """Of the seamless picture, whole in at least one field."""
    seamless: int
    """All of the seamless picture that lie whole within the visited area."""
    summed: int
    """Over all fields, as without a map."""
    counted_tumour: int
    asked_tumour: int
    islands: int
    """On which fields lie at the end."""
    most_off_um: float
    """Largest error of a field's place against the first field's on its island."""


def evaluate_slide_paths(makers: Makers, first_seed: int, tell: Tell, workers: int = 1) -> Mapping[str, PartReport]:
    """Walk every path; one report by method."""
    specs = [
        PathSpec(pattern, first_seed + PATH_SEEDS + k, shared, jumps)
        for k, pattern in enumerate(PATTERNS)
        for shared, jumps in (*((shared, False) for shared in SHARED), (JUMP_SHARED, True))
    ]
    found: dict[PathSpec, Mapping[str, PathTally]] = {}
    for spec, tallies in done_in_any_order(read_path, specs, makers, workers):
        found[spec] = tallies
        tell(f"slide paths: {len(found)} of {len(specs)}")
    return {method: report_of({spec: found[spec][method] for spec in specs}) for method in makers}


def read_path(analysers: Analysers, spec: PathSpec) -> dict[str, PathTally]:
    """Draw one slide, walk the path, and read fields and seamless picture by each method."""
    area = DrawnArea.of(spec.pattern, spec.seed, spec.area_wh)
    camera = Camera(area, FIELD_WH, spec.seed)
    frames, places = _accepted(spec, camera)
    right, bottom = (int(side) for side in np.max(spec.stops, axis=0) + FIELD_WH)
    visited = area.rgb[MARGIN_PX:bottom, MARGIN_PX:right]
    seamless = Frame(camera.noisy(visited.astype(np.float32)), 0, 0.0, UM_PER_PX)
    found = {}
    for method, analyser in analysers.items():
        own = FieldAnalyser(analyser.segmenter, analyser.settings, area.calibration)
        fields = [own.analyse(frame, own.default_cuts) for frame in frames]
        found[method] = _tally(spec, fields, places, own.analyse(seamless, own.default_cuts))
    return found


def _accepted(spec: PathSpec, camera: Camera) -> tuple[list[Frame], list[MapPlace]]:
    """The accepted frames and their places on the map, islands joined."""
    slide_map, rng = SlideMap(), np.random.default_rng(spec.seed)
    frames: list[Frame] = []
    places: list[MapPlace] = []

    def look(way: Places) -> None:
        for place, velocity in zip(way, velocities_px_s(way), strict=True):
            slide_map.place(camera.taken(place, velocity))

    look(np.array([spec.stops[0]] * STILL))
    for k, (before, stop) in enumerate(pairwise([spec.stops[0], *spec.stops])):
        if spec.jumps and k % 2:
            look(np.array([spec.away] * STILL))
        elif k:
            look(hand_path([before, stop], FRAMES, rng))
        look(np.array([stop] * STILL))
        tracked = slide_map.place(camera.taken(stop))
        frames.append(tracked.frame)
        places.append(MapPlace(tracked.island, tracked.x_um, tracked.y_um))
    return frames, [in_force(place, slide_map.view.joins) for place in places]


def in_force(place: MapPlace, joins: Sequence[IslandJoin]) -> MapPlace:
    """A place after islands were joined."""
    for join in joins:
        if place.island == join.island:
            place = MapPlace(join.into, place.x_um + join.dx_um, place.y_um + join.dy_um)
    return place


def _tally(
    spec: PathSpec, fields: Sequence[FieldResult], places: Sequence[MapPlace], seamless: FieldResult
) -> PathTally:
    counted = _counted(fields, places)
    whole = [cell for cell in seamless.cells if not cell.edge]
    asked = [cell for cell in whole if _is_shown_whole(cell.outline_xy_px + MARGIN_PX, spec.stops)]
    kept = [
        cell
        for field, flags in zip(fields, counted, strict=True)
        for cell, flag in zip(field.cells, flags, strict=True)
        if flag
    ]
    return PathTally(
        counted=len(kept),
        asked=len(asked),
        seamless=len(whole),
        summed=sum(not cell.edge for field in fields for cell in field.cells),
        counted_tumour=sum(cell.kind is CellKind.TUMOUR for cell in kept),
        asked_tumour=sum(cell.kind is CellKind.TUMOUR for cell in asked),
        islands=len({place.island for place in places}),
        most_off_um=_most_off_um(spec, places),
    )


def _counted(fields: Sequence[FieldResult], places: Sequence[MapPlace]) -> list[tuple[bool, ...]]:
    """Which cells of each field the case counts."""
    seen: dict[int, tuple[Relief, Frame]] = {}
    counted = []
    for number, (field, place) in enumerate(zip(fields, places, strict=True)):
        relief = Relief.of(field.frame)
        overlaps = overlaps_with(field.frame, relief, seen, place, dict(enumerate(places[:number])))
        counted.append(counted_cells(field, overlaps, dict(enumerate(fields[:number]))))
        seen[number] = relief, field.frame
    return counted


def _is_shown_whole(outline_xy_px: np.ndarray, stops: Sequence[tuple[float, float]]) -> bool:
    low, high = outline_xy_px.min(axis=0), outline_xy_px.max(axis=0)
    return any(np.all(low >= stop) and np.all(high <= np.add(stop, FIELD_WH) - 1) for stop in stops)


def _most_off_um(spec: PathSpec, places: Sequence[MapPlace]) -> float:
    off = 0.0
    firsts: dict[int, tuple[MapPlace, tuple[float, float]]] = {}
    for place, stop in zip(places, spec.stops, strict=True):
        first, at = firsts.setdefault(place.island, (place, stop))
        way_um = np.subtract(stop, at) * UM_PER_PX
        off = max(off, float(np.hypot(*(np.subtract((place.x_um, place.y_um), (first.x_um, first.y_um)) - way_um))))
    return off


# ---- figures ------------------------------------------------------------------------------------------------------


def report_of(tallies: Mapping[PathSpec, PathTally]) -> PartReport:
    """Figures of one method over all paths."""
    figures: list[Figure] = []
    for name in dict.fromkeys(spec.name for spec in tallies):
        figures += _figures(name, [tally for spec, tally in tallies.items() if spec.name == name])
    details: JsonObject = {
        "paths": [
            {"pattern": spec.pattern, "seed": spec.seed, "shared": spec.shared, "jumps": spec.jumps}
            | {name: getattr(tally, name) for name in PathTally.__slots__}
            for spec, tally in tallies.items()
        ]
    }
    return PartReport(tuple(figures), details)


def _figures(name: str, tallies: Sequence[PathTally]) -> list[Figure]:
    on = f"{COLUMNS * ROWS} fields, {name}"
    counts = "; ".join(f"{tally.counted} of {tally.asked}" for tally in tallies)
    off = [abs(tally.counted / tally.asked - 1.0) for tally in tallies if tally.asked]
    tumour = mean_of(tally.counted_tumour / tally.asked_tumour - 1.0 for tally in tallies if tally.asked_tumour)
    full = mean_of(tally.counted / tally.seamless - 1.0 for tally in tallies if tally.seamless)
    summed = mean_of(tally.summed / tally.asked - 1.0 for tally in tallies if tally.asked)
    islands, off_um = max(tally.islands for tally in tallies), max(tally.most_off_um for tally in tallies)
    return [
        percent_at_most(on, "cells off the seamless picture", max(off, default=None), MOST_OFF_PERCENT, counts),
        told(on, "tumour cells off", *_percent(tumour)),
        told(on, "cells off all of the seamless picture", *_percent(full)),
        told(on, "cells off without the map", *_percent(summed)),
        told(on, "fields' places off, largest", off_um, f"{off_um:.2f} um, on {islands} island{'s' * (islands > 1)}"),
    ]


def _percent(share: float | None) -> tuple[float | None, str]:
    return share, "nothing to measure" if share is None else f"{100 * share:+.1f} %"
