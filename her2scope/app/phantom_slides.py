"""Phantom slides as files: what they are drawn from, where their controls and their tumour lie, and their truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np

from her2scope.annotations.drawn import CORNER_PX
from her2scope.annotations.shapes import Annotation, Annotations, Corners, Polygon
from her2scope.annotations.trace import trace
from her2scope.app.outputs import check_outputs, write_all
from her2scope.domain.errors import BadInputError
from her2scope.phantom.growth import Bounds
from her2scope.phantom.noise import Grid
from her2scope.phantom.slide import CONTROLS, PhantomSlide
from her2scope.phantom.slide_file import SUFFIX, SlideSpec, is_phantom_slide, slide_spec_bytes
from her2scope.phantom.slide_truth import section_bounds_um, slide_truth, tumour_map
from her2scope.reporting.json_report import json_bytes

AROUND_CONTROL_UM = 45.0
"""Outlines of controls lie so far outside their tissue, as a person would draw them."""
TUMOUR = "tumour"
TUMOUR_STEP_UM, TUMOUR_TOLERANCE_UM = 2.0, 1.0
"""Raster that outlines of tumour are traced on, and by how much they are simplified."""
LEAST_TUMOUR_UM2 = 400.0
"""Smaller pieces are of two cells or fewer: nobody would outline them."""


@dataclass(frozen=True, slots=True)
class PhantomSlideRequest:
    """A phantom slide to write."""

    out: Path
    spec: SlideSpec
    regions: Path | None = None
    """GeoJSON of the controls."""
    tumour: Path | None = None
    """GeoJSON of the tumour."""
    truth: Path | None = None
    """JSON."""


def write_phantom_slide(request: PhantomSlideRequest, told: Callable[[str], None] = lambda line: None) -> list[str]:
    """Write a phantom slide's file and what was asked for beside it, all or none."""
    if not is_phantom_slide(request.out):
        raise BadInputError(f"{request.out}: the name of a phantom slide ends in {SUFFIX}. Give such a name.")
    wanted = [path for path in (request.regions, request.tumour, request.truth) if path is not None]
    check_outputs([request.out, *wanted], [])
    if request.out.exists():
        raise BadInputError(f"{request.out}: is there already. Give another name, so that no slide is overwritten.")
    files = {request.out: slide_spec_bytes(request.spec)}
    if request.regions is not None:
        files[request.regions] = geojson_bytes(control_regions(request.spec))
    if request.tumour is not None:
        files[request.tumour] = geojson_bytes(tumour_regions(request.spec))
    if request.truth is not None:
        told(f"{request.out.name}: counting its cells")
        files[request.truth] = json_bytes(slide_truth(request.spec))
    write_all(files)
    return [f"{path} written" for path in files]


def control_regions(spec: SlideSpec) -> Annotations:
    """Outlines of the controls on a slide, by their levels: `control 3+` and so on."""
    boxes = section_bounds_um(spec.slide())
    return Annotations(
        tuple(Annotation(name, name, (_rectangle(boxes[name], AROUND_CONTROL_UM, spec),)) for name in CONTROLS)
    )


def tumour_regions(spec: SlideSpec) -> Annotations:
    """Outlines of all tumour on a slide, in the case and in its controls, in ducts or not."""
    slide = spec.slide()
    polygons = [
        polygon for box in section_bounds_um(slide).values() for polygon in _traced_tumour(slide, box, spec.um_per_px)
    ]
    return Annotations(tuple(Annotation("", TUMOUR, (polygon,)) for polygon in polygons))


def geojson_bytes(annotations: Annotations) -> bytes:
    """A FeatureCollection as QuPath reads it: px of the full resolution, from the corner of the first pixel."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [_ring(ring) for ring in (polygon.outer, *polygon.holes)]},
            "properties": {"objectType": "annotation", "name": item.name, "classification": {"name": item.class_name}},
        }
        for item in annotations.items
        for polygon in item.polygons
    ]
    return (json.dumps({"type": "FeatureCollection", "features": features}, indent=None) + "\n").encode()


def _ring(corners: Corners) -> list[list[float]]:
    places: Iterable[list[Any]] = np.round(corners + CORNER_PX, 2).tolist()
    closed = list(places)
    return [*closed, closed[0]]


def _rectangle(box_um: Bounds, around_um: float, spec: SlideSpec) -> Polygon:
    """A box and a rim around it, within the slide."""
    width, height = spec.size_px()
    left, top = (max(0.0, (side - around_um) / spec.um_per_px) for side in box_um[:2])
    right, bottom = (
        min(float(most), (side + around_um) / spec.um_per_px)
        for side, most in zip(box_um[2:], (width, height), strict=True)
    )
    return Polygon(np.array([(left, top), (right, top), (right, bottom), (left, bottom)]) - CORNER_PX)


def _traced_tumour(slide: PhantomSlide, box_um: Bounds, um_per_px: float) -> Iterable[Polygon]:
    left, top = (floor(side / TUMOUR_STEP_UM) for side in box_um[:2])
    right, bottom = (ceil(side / TUMOUR_STEP_UM) for side in box_um[2:])
    grid = Grid(left * TUMOUR_STEP_UM, top * TUMOUR_STEP_UM, TUMOUR_STEP_UM, right - left, bottom - top)
    scale = TUMOUR_STEP_UM / um_per_px
    found = trace(tumour_map(slide, grid), left, top, scale, TUMOUR_TOLERANCE_UM / um_per_px)
    return [polygon for polygon in found if _area_px2(polygon) * um_per_px**2 >= LEAST_TUMOUR_UM2]


def _area_px2(polygon: Polygon) -> float:
    return _ring_area_px2(polygon.outer) - sum(_ring_area_px2(hole) for hole in polygon.holes)


def _ring_area_px2(ring: Corners) -> float:
    x, y = ring.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2.0)
