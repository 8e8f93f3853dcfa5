"""GeoJSON as QuPath 0.4 and later read it: object types, classes with colours, measurements, places in the picture."""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import Any

import factories
import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reporting import busy_case

from her2scope.domain.cells import CellClass
from her2scope.overlays.palette import SAFE
from her2scope.records import CaseView, FieldResult
from her2scope.reporting.geojson_report import NUCLEUS_CORNERS, geojson_files

PLACE = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
POLYGON = {
    "type": "object",
    "required": ["type", "coordinates"],
    "properties": {
        "type": {"const": "Polygon"},
        "coordinates": {"type": "array", "minItems": 1, "items": {"type": "array", "minItems": 4, "items": PLACE}},
    },
}
QUPATH = {
    "type": "object",
    "required": ["type", "features"],
    "properties": {
        "type": {"const": "FeatureCollection"},
        "features": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "id", "geometry", "properties"],
                "properties": {
                    "type": {"const": "Feature"},
                    "id": {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
                    "geometry": POLYGON,
                    "nucleusGeometry": POLYGON,
                    "properties": {
                        "type": "object",
                        "required": ["objectType"],
                        "additionalProperties": False,
                        "properties": {
                            "objectType": {"enum": ["annotation", "detection", "cell", "tile"]},
                            "name": {"type": "string"},
                            "classification": {
                                "type": "object",
                                "required": ["name", "color"],
                                "additionalProperties": False,
                                "properties": {
                                    "name": {"type": "string", "pattern": "^[^:]+$"},
                                    "color": {
                                        "type": "array",
                                        "minItems": 3,
                                        "maxItems": 3,
                                        "items": {"type": "integer", "minimum": 0, "maximum": 255},
                                    },
                                },
                            },
                            "isLocked": {"type": "boolean"},
                            "measurements": {"type": "object", "additionalProperties": {"type": "number"}},
                            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
                        },
                    },
                },
            },
        },
    },
}
"""What QuPath's own reader takes (`QuPathTypeAdapters`): a colon in a class would make a class within a class."""


def collections(view: CaseView) -> list[dict[str, Any]]:
    """GeoJSON of each field, checked against what QuPath reads."""
    files = geojson_files(factories.report_content(view))
    found = [json.loads(data) for name, data in files.items() if name.endswith(".geojson")]
    for collection in found:
        jsonschema.Draft202012Validator(QUPATH).validate(collection)
    return found


def of_kind(collection: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [item for item in collection["features"] if item["properties"]["objectType"] == kind]


def ring(geometry: dict[str, Any]) -> np.ndarray:
    (corners,) = geometry["coordinates"]
    assert corners[0] == corners[-1]
    return np.array(corners)


def test_every_cell_is_a_cell_with_its_nucleus_class_and_measurements() -> None:
    (collection,) = collections(factories.case_view([factories.equivocal_field()]))
    cells = of_kind(collection, "cell")
    assert len(cells) == 129
    first = cells[0]["properties"]
    assert first["classification"] == {
        "name": "complete_intense",
        "color": list(SAFE.classes[CellClass.COMPLETE_INTENSE]),
    }
    assert first["measurements"] == {
        "Nucleus: Radius \u00b5m": 3.0,
        "Membrane: Completeness": 1.0,
        "Membrane: Intense share": 0.95,
        "Membrane: DAB OD median": 0.82,
        "Counted": 1,
    }
    assert first["metadata"] == {
        "field": "1", "cell": "1", "standing": "counted", "class_as_read": "complete_intense",
    }  # fmt: skip
    other = cells[-1]["properties"]
    assert other["classification"]["name"] == "other"
    assert other["measurements"] == {"Nucleus: Radius \u00b5m": 3.0, "Counted": 0}
    assert all("nucleusGeometry" in cell for cell in cells)


def test_counting_by_class_in_qupath_gives_the_cases_counts() -> None:
    view = busy_case.busy_view()
    names: list[str] = []
    for collection in collections(view):
        names += [cell["properties"]["classification"]["name"] for cell in of_kind(collection, "cell")]
    for name in CellClass:
        assert names.count(name.value) == view.score.counts[name]
    assert any(name.endswith(" (not counted)") for name in names)


def test_places_are_counted_from_the_pictures_corner() -> None:
    """The middle of the first pixel is (0, 0) here and (0.5, 0.5) in QuPath."""
    cell = factories.cell(CellClass.NONE, 10.0, 20.0, radius_px=8.0)
    (collection,) = collections(factories.case_view([factories.field_result([cell], um_per_px=0.5)]))
    (feature,) = of_kind(collection, "cell")
    outline, nucleus = ring(feature["geometry"])[:-1], ring(feature["nucleusGeometry"])[:-1]
    np.testing.assert_allclose(outline, cell.outline_xy_px + 0.5, atol=0.006)
    assert len(nucleus) == NUCLEUS_CORNERS
    np.testing.assert_allclose(nucleus.mean(axis=0), (10.5, 20.5), atol=0.01)
    np.testing.assert_allclose(np.linalg.norm(nucleus - (10.5, 20.5), axis=1), 3.0 / 0.5, atol=0.01)


def test_a_cell_without_an_outline_is_its_nucleus() -> None:
    cell = factories.cell(CellClass.NONE, corners=0)
    (collection,) = collections(factories.case_view([factories.field_result([cell])]))
    (feature,) = of_kind(collection, "cell")
    assert "nucleusGeometry" not in feature
    assert len(ring(feature["geometry"])) == NUCLEUS_CORNERS + 1


def test_the_field_and_the_readers_regions_are_annotations() -> None:
    first, second, third, _ = collections(busy_case.busy_view())
    names = [item["properties"]["name"] for item in of_kind(first, "annotation")]
    assert names == [
        "Field 1: 2+", "Region 1. the invasive front", "Region 2",
        "Region 4. carcinoma in situ, solid, with central necrosis <comedo>",
    ]  # fmt: skip
    assert len(of_kind(third, "annotation")) == 1  # on another part of the map
    frame = of_kind(first, "annotation")[0]
    height, width = busy_case.busy_fields()[0].result.frame.size_hw
    assert ring(frame["geometry"]).max(axis=0).tolist() == [width, height]
    shares = busy_case.busy_fields()[0].result.counts.shares_percent() or {}
    share = shares[CellClass.COMPLETE_INTENSE]
    assert frame["properties"]["measurements"]["complete_intense %"] == pytest.approx(share, abs=1e-4)
    duct = of_kind(first, "annotation")[2]
    np.testing.assert_allclose(ring(duct["geometry"])[0], (0.0, 0.75 * height), atol=0.01)
    corrected = of_kind(second, "cell")[0]["properties"]["metadata"]
    assert (corrected["class_as_read"], corrected["correction"]) == ("complete_intense", "complete_moderate")


def test_ids_are_unique_and_stay_the_same() -> None:
    view = factories.case_view([factories.field_result([factories.cell(), factories.cell(None)])] * 2)
    ids = [item["id"] for collection in collections(view) for item in collection["features"]]
    assert len(set(ids)) == len(ids)
    assert [item["id"] for collection in collections(view) for item in collection["features"]] == ids
    assert all(uuid.UUID(item) for item in ids)
    elsewhere = collections(dataclasses.replace(view, case_id="another"))
    assert set(ids).isdisjoint(item["id"] for collection in elsewhere for item in collection["features"])


def test_the_file_says_of_which_picture_it_is() -> None:
    view = factories.signed(factories.case_view([factories.equivocal_field("a.png")]))
    (collection,) = collections(view)
    told = collection["her2scope"]
    assert (told["field"], told["image"], told["um_per_px"], told["state"]) == (1, "a.png", 0.25, "signed")
    assert told["disclaimer"].startswith("Research use only")


def test_an_unusable_field_is_its_frame_alone() -> None:
    (collection,) = collections(factories.case_view([factories.unusable_field("bad\ud800.png")]))
    assert len(collection["features"]) == 1


def drawn(seed: int) -> FieldResult:
    mix = dict.fromkeys([*CellClass, None], 1.0)
    return factories.honeycomb_field(mix, (120, 160), seed=seed)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000))
def test_every_shape_encloses_something(seed: int) -> None:
    (collection,) = collections(factories.case_view([drawn(seed)]))
    for feature in collection["features"]:
        for name in ("geometry", "nucleusGeometry"):
            if name in feature:
                x, y = ring(feature[name]).T
                assert abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) > 1
