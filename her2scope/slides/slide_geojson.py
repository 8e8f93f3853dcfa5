"""The cells and squares of a slide for QuPath: GeoJSON written piece by piece, so that memory does not grow with them.

Places are pixels of the full resolution from the slide's upper left corner, as QuPath counts them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import numpy as np
import shapely
from numpy.typing import NDArray

from her2scope.domain.cells import SHARE_ORDER, CellCounts
from her2scope.domain.guideline import COMPLETE
from her2scope.overlays.palette import SAFE, Palette, Rgb
from her2scope.ports import JsonObject
from her2scope.reporting.geojson_report import NOT_COUNTED, OTHER_CLASS
from her2scope.slides.records import CLASS_CODES, NO_CLASS, SlideCells, SlideScale, SlideScore

AT_ONCE = 4096
"""Cells that are turned into text together."""
PX_DIGITS = 1
NUCLEUS_CORNERS = 16
LEAST_AREA_PX = 1.0
"""A smaller outline is none: the cell is drawn by its nucleus."""
SPOT_COLOUR: Rgb = (213, 94, 0)
SQUARE_COLOUR: Rgb = (90, 95, 102)


def write_cells(file: TextIO, cells: SlideCells, scale: SlideScale, palette: Palette = SAFE) -> None:
    """Write all cells as a FeatureCollection of detections, each with its class, colour and measures."""
    _write_collection(file, _cell_texts(cells, scale, palette))


def write_squares(file: TextIO, score: SlideScore) -> None:
    """Write the scored squares and the hot spots as annotations."""
    _write_collection(file, (_text(feature) for feature in _square_features(score)))


def _write_collection(file: TextIO, features: Iterator[str]) -> None:
    file.write('{"type":"FeatureCollection","features":[')
    for number, text in enumerate(features):
        file.write(",\n" if number else "\n")
        file.write(text)
    file.write("\n]}\n")


def _text(feature: JsonObject) -> str:
    return json.dumps(feature, allow_nan=False, separators=(",", ":"))


def full_um_per_px(scale: SlideScale) -> float:
    """Pixel size of the full resolution."""
    return scale.um_per_px / scale.downsample


# ---- cells --------------------------------------------------------------------------------------------------------


def _cell_texts(cells: SlideCells, scale: SlideScale, palette: Palette) -> Iterator[str]:
    classes = {True: _classifications(palette, ""), False: _classifications(palette, NOT_COUNTED)}
    for start in range(0, len(cells), AT_ONCE):
        some = cells.chosen(np.arange(start, min(start + AT_ONCE, len(cells))))
        rings = cell_polygons(some, full_um_per_px(scale))
        measures = zip(
            np.round(some.completeness.astype(np.float64), 3).tolist(),
            np.round(some.intensity_od10.astype(np.float64), 3).tolist(),
            np.round(some.intense_share.astype(np.float64), 3).tolist(),
            strict=True,
        )
        rows = zip(rings, some.class_code.tolist(), some.within.tolist(), measures, strict=True)
        for ring, code, within, (completeness, intensity, intense) in rows:
            told = "{}" if code == NO_CLASS else (
                f'{{"Membrane: Completeness":{completeness},"Membrane: DAB OD median":{intensity},'
                f'"Membrane: Intense share":{intense}}}'
            )  # fmt: skip
            yield (
                f'{{"type":"Feature","geometry":{{"type":"Polygon","coordinates":[{_ring_text(ring)}]}},"properties":'
                f'{{"objectType":"detection","classification":{classes[within][code]},"measurements":{told}}}}}'
            )


def _classifications(palette: Palette, end: str) -> dict[int, str]:
    """JSON of each class code's name and colour."""
    found: dict[int, Any] = {
        code: {"name": name.value + end, "color": list(palette.classes[name])} for code, name in enumerate(CLASS_CODES)
    }
    found[NO_CLASS] = {"name": OTHER_CLASS, "color": list(palette.other)}
    return {code: json.dumps(value, separators=(",", ":")) for code, value in found.items()}


def _ring_text(ring: NDArray[np.float64]) -> str:
    corners = ",".join([f"[{x},{y}]" for x, y in ring.tolist()])
    first_x, first_y = ring[0].tolist()
    return f"[{corners},[{first_x},{first_y}]]"


def cell_polygons(cells: SlideCells, um_per_px: float) -> list[NDArray[np.float64]]:
    """Outline of each cell in px, `(N, 2)` and not closed; none crosses itself.

    One that does is mended to its greatest part, and where nothing is left the nucleus takes its place.
    """
    middle = np.stack([cells.x_um, cells.y_um], axis=1)
    rings = np.round((middle[:, None] + cells.outline_um.astype(np.float64)) / um_per_px, PX_DIGITS)
    rings[~np.isfinite(rings).all(axis=(1, 2))] = 0.0  # no outline
    shapes = shapely.polygons(rings)
    good = shapely.is_valid(shapes) & (shapely.area(shapes) >= LEAST_AREA_PX)
    found = list(rings)
    for place in np.flatnonzero(~good):
        radius = float(cells.radius_um[place])
        found[place] = _mended(shapes[place], middle[place] / um_per_px, radius / um_per_px)
    return found


def _mended(shape: Any, middle_px: NDArray[np.float64], radius_px: float) -> NDArray[np.float64]:
    parts = [part for part in shapely.get_parts(shapely.make_valid(shape)) if part.geom_type == "Polygon"]
    if parts:
        ring = np.round(shapely.get_coordinates(max(parts, key=shapely.area).exterior)[:-1], PX_DIGITS)
        again = shapely.Polygon(ring) if len(ring) >= 3 else None
        if again is not None and again.is_valid and again.area >= LEAST_AREA_PX:
            return ring
    turns = np.linspace(0, 2 * np.pi, NUCLEUS_CORNERS, endpoint=False)
    circle = middle_px + max(radius_px, 1.0) * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    return np.round(circle, PX_DIGITS)


# ---- squares ------------------------------------------------------------------------------------------------------


def _square_features(score: SlideScore) -> Iterator[JsonObject]:
    um_per_px = full_um_per_px(score.survey.scale)
    hot = {spot.number: spot for spot in score.hot_spots}
    for square in score.squares:
        spot = hot.get(square.number)
        name = f"Square {square.number}" + (f": hot spot, {spot.words}" if spot else "")
        class_name, colour = ("HER2 hot spot", SPOT_COLOUR) if spot else ("HER2 square", SQUARE_COLOUR)
        left, top = square.left_um / um_per_px, square.top_um / um_per_px
        side = square.side_um / um_per_px
        corners = [(left, top), (left + side, top), (left + side, top + side), (left, top + side), (left, top)]
        yield {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [_rounded(corners)]},
            "properties": {
                "objectType": "annotation",
                "name": name,
                "classification": {"name": class_name, "color": list(colour)},
                "isLocked": True,
                "measurements": square_figures(square.counts),
            },
        }


def square_figures(counts: CellCounts) -> dict[str, float]:
    """Figures of a square by names that QuPath shows in its tables."""
    shares = counts.shares_percent() or {}
    figures = {f"{name.value} %": round(shares[name], 3) for name in SHARE_ORDER if name in shares}
    if counts.n_tumour:
        figures["Complete %"] = round(100.0 * counts.sum_of(COMPLETE) / counts.n_tumour, 3)
    return {**figures, "Tumour cells": float(counts.n_tumour), "Other cells": float(counts.n_other)}


def _rounded(corners: Sequence[tuple[float, float]]) -> list[list[float]]:
    return [[round(x, PX_DIGITS), round(y, PX_DIGITS)] for x, y in corners]
