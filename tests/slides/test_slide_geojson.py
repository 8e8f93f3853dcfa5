from __future__ import annotations

import dataclasses
import io
import json

import numpy as np
import pytest
import scored_slides as slides
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.domain.cells import CellClass
from her2scope.slides import slide_geojson
from her2scope.slides.records import OUTLINE_PLACES, SlideScale
from her2scope.slides.slide_geojson import cell_polygons, write_cells, write_squares

FULL = SlideScale(0, 1.0, 0.25, 8000, 6000)
HALF = SlideScale(1, 2.0, 0.5, 4000, 3000)
"""The same slide, read at half its resolution."""


def written(cells: slides.SlideCells, scale: SlideScale = FULL) -> dict[str, object]:
    file = io.StringIO()
    write_cells(file, cells, scale)
    return json.loads(file.getvalue())  # type: ignore[no-any-return]


def test_cells_lie_where_they_are_in_full_resolution_pixels() -> None:
    cells = slides.cells_of([CellClass.COMPLETE_INTENSE], [100.0], [50.0])
    for scale in (FULL, HALF):
        (feature,) = written(cells, scale)["features"]
        shape = shapely.geometry.shape(feature["geometry"])
        # 100 um at 0.25 um/px: 400 px from the corner of the slide, as QuPath counts
        assert shape.centroid.coords[0] == pytest.approx((400.0, 200.0), abs=0.2)
        assert shape.area == pytest.approx(np.pi * (slides.RADIUS_UM / 0.25) ** 2, rel=0.03)
        assert feature["properties"]["classification"]["name"] == "complete_intense"
        assert feature["properties"]["measurements"]["Membrane: Completeness"] == 1.0


def test_what_is_not_counted_says_so_and_other_cells_have_no_membrane() -> None:
    cells = slides.cells_of([CellClass.NONE, CellClass.NONE, None], [10, 40, 70], [10, 10, 10], [True, False, True])
    features = written(cells)["features"]
    names = [feature["properties"]["classification"]["name"] for feature in features]
    assert names == ["none", "none (not counted)", "other"]
    assert features[2]["properties"]["measurements"] == {}


def test_none_is_a_collection_too() -> None:
    assert written(slides.cells_of([], [], [])) == {"type": "FeatureCollection", "features": []}


def test_pieces_give_the_same_file(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = slides.spread_cells({CellClass.NONE: 25, None: 9}, (500.0, 500.0))
    whole = written(cells)
    monkeypatch.setattr(slide_geojson, "AT_ONCE", 4)
    assert written(cells) == whole and len(whole["features"]) == 34


offsets = st.lists(
    st.tuples(st.floats(-8, 8, width=16), st.floats(-8, 8, width=16)), min_size=OUTLINE_PLACES, max_size=OUTLINE_PLACES
)


@settings(max_examples=30)
@given(offsets)
def test_whatever_was_measured_the_polygon_is_valid(ring: list[tuple[float, float]]) -> None:
    cells = slides.cells_of([CellClass.NONE], [100.0], [100.0])
    cells = dataclasses.replace(cells, outline_um=np.array([ring], np.float16))
    (polygon,) = cell_polygons(cells, 0.25)
    made = shapely.Polygon(polygon)
    assert made.is_valid and made.area > 0


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_cell_without_an_outline_is_its_nucleus(value: float) -> None:
    cells = slides.cells_of([None], [100.0], [100.0])
    cells = dataclasses.replace(cells, outline_um=np.full((1, OUTLINE_PLACES, 2), value, np.float16))
    (polygon,) = cell_polygons(cells, 0.25)
    made = shapely.Polygon(polygon)
    assert made.area == pytest.approx(np.pi * (3.0 / 0.25) ** 2, rel=0.05)
    assert made.centroid.coords[0] == pytest.approx((400.0, 400.0), abs=0.2)


def test_squares_tell_their_shares_and_hot_spots_their_name() -> None:
    cold = slides.spread_cells({CellClass.NONE: 2400}, (2000.0, 1500.0))
    hot = slides.spread_cells({CellClass.COMPLETE_INTENSE: 80}, (400.0, 400.0))
    score, _ = slides.scored({}, cells=slides.SlideCells.joined([cold, hot]))
    file = io.StringIO()
    write_squares(file, score)
    features = json.loads(file.getvalue())["features"]
    assert len(features) == len(score.squares) == 12
    first = features[0]
    assert first["geometry"]["coordinates"][0][2] == [2000.0, 2000.0]
    assert first["properties"]["classification"]["name"] == "HER2 hot spot"
    counts = score.squares[0].counts
    share = 100 * counts[CellClass.COMPLETE_INTENSE] / counts.n_tumour
    assert first["properties"]["measurements"]["Complete %"] == pytest.approx(share, abs=1e-3)
    assert features[5]["properties"]["classification"]["name"] == "HER2 square"
