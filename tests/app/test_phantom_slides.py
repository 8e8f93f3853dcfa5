"""Phantom slides written as files, with the outlines of their controls and tumour."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from her2scope.annotations.shapes import Polygon
from her2scope.app.phantom_slides import (
    TUMOUR,
    PhantomSlideRequest,
    control_regions,
    tumour_regions,
    write_phantom_slide,
)
from her2scope.domain.errors import BadInputError
from her2scope.imaging.opencv import cv2
from her2scope.phantom.growth import TUMOURS, Matter
from her2scope.phantom.slide_file import SlideSpec, read_slide_spec

SPEC = SlideSpec(51, "1+", case_um=(440.0, 440.0), um_per_px=0.5)


def is_inside(polygon: Polygon, x_px: float, y_px: float) -> bool:
    def within(ring: np.ndarray) -> bool:
        return cv2.pointPolygonTest(ring.astype(np.float32), (x_px, y_px), False) >= 0

    return within(polygon.outer) and not any(within(hole) for hole in polygon.holes)


def test_a_control_s_outline_holds_its_tissue_and_no_other() -> None:
    slide = SPEC.slide()
    regions = control_regions(SPEC)
    assert regions.classes == ("control 0", "control 1+", "control 2+", "control 3+")
    left, top, right, bottom = slide.bounds_um
    x_um, y_um = np.meshgrid(np.arange(left, right, 20.0), np.arange(top, bottom, 20.0))
    matter, section = slide.matter_at(x_um, y_um)
    tissue = np.argwhere(matter != Matter.GLASS)
    assert len(tissue) > 300
    for row, column in tissue.tolist():
        place = x_um[row, column] / SPEC.um_per_px - 0.5, y_um[row, column] / SPEC.um_per_px - 0.5
        name = slide.sections[section[row, column]].name
        held_by = [item.class_name for item in regions.items if is_inside(item.polygons[0], *place)]
        assert held_by == ([] if name == "tissue" else [name])


def test_outlines_of_tumour_lie_on_tumour() -> None:
    slide = SPEC.slide()
    regions = tumour_regions(SPEC)
    assert regions.classes == (TUMOUR,)
    rng = np.random.default_rng(0)
    _, top, right, bottom = slide.bounds_um
    x_um, y_um = rng.uniform(260.0, right - 260.0, 1500), rng.uniform(top + 260.0, bottom - 260.0, 1500)
    matter, _ = slide.matter_at(x_um, y_um)
    is_tumour = np.isin(matter, TUMOURS)
    assert 0.05 < is_tumour.mean() < 0.95
    found = [
        any(is_inside(item.polygons[0], x / SPEC.um_per_px - 0.5, y / SPEC.um_per_px - 0.5) for item in regions.items)
        for x, y in zip(x_um, y_um, strict=True)
    ]
    assert (np.array(found) == is_tumour).mean() > 0.98  # the rest lies within a raster step of an edge


def test_all_files_are_written_or_none(tmp_path: Path) -> None:
    out = tmp_path / "a.phantom.yaml"
    request = PhantomSlideRequest(out, SPEC, tmp_path / "r.geojson", tmp_path / "t.geojson", tmp_path / "truth.json")
    assert len(write_phantom_slide(request)) == 4
    assert read_slide_spec(out) == SPEC
    regions = json.loads((tmp_path / "r.geojson").read_text())
    assert [feature["properties"]["classification"]["name"] for feature in regions["features"]] == [
        "control 3+",
        "control 2+",
        "control 1+",
        "control 0",
    ]
    for feature in regions["features"]:
        ring = feature["geometry"]["coordinates"][0]
        assert ring[0] == ring[-1] and len(ring) == 5
    assert json.loads((tmp_path / "truth.json").read_text())["score"] == "1+"
    with pytest.raises(BadInputError, match="is there already"):
        write_phantom_slide(request)
    with pytest.raises(BadInputError, match="ends in .phantom.yaml"):
        write_phantom_slide(PhantomSlideRequest(tmp_path / "b.yaml", SPEC))
    with pytest.raises(BadInputError, match="another name"):
        write_phantom_slide(PhantomSlideRequest(tmp_path / "c.phantom.yaml", SPEC, tmp_path / "c.phantom.yaml"))
    assert not (tmp_path / "b.yaml").exists() and not (tmp_path / "c.phantom.yaml").exists()
