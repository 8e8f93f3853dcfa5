"""What the network is asked for is what the sample's truth says."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from her2scope.phantom.shards.store import ShardSet, render_shards
from her2scope.phantom.shards.tiles import KINDS, TileSettings
from her2scope.phantom.shards.views import Sample
from her2scope.segmentation.maps import HALF, N_REACHES, NETWORK_UM_PER_PX, QUARTER
from her2scope.training.targets import (
    INTENSE_LINE,
    NEAR_LINE,
    NOT_ASKED,
    OFFSET_STEP_UM,
    ON_LINE,
    REACH_STEP_UM,
    make_record,
    target_record,
)

TILE_UM = 64.0


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    folder = tmp_path_factory.mktemp("tiles")
    render_shards(folder, 16, TileSettings(seed=3, tile_um=TILE_UM))
    return ShardSet(folder)


@pytest.fixture(scope="module")
def samples(tiles: ShardSet) -> list[Sample]:
    return [tiles.sample(index, np.random.default_rng(index)) for index in range(len(tiles))]


@pytest.fixture(scope="module")
def records(samples: list[Sample]) -> list[NDArray[np.void]]:
    return [make_record(sample) for sample in samples]


def visible(sample: Sample) -> NDArray[np.void]:
    return sample.cells[sample.cells["visible"]]


def test_a_record_has_the_shapes_of_the_networks_maps(records: list[NDArray[np.void]]) -> None:
    side = round(TILE_UM / NETWORK_UM_PER_PX)
    assert records[0].dtype == target_record(side)
    assert records[0]["nucleus"].shape == (side // HALF, side // HALF)
    assert records[0]["reach"].shape == (N_REACHES, side // QUARTER, side // QUARTER)


def test_each_visible_nucleus_has_a_hill_over_its_middle(
    samples: list[Sample], records: list[NDArray[np.void]]
) -> None:
    n = 0
    for sample, record in zip(samples, records, strict=True):
        side = record["centre"].shape[0]
        for cell in visible(sample):
            x, y = ((float(cell[name]) - 0.5) / HALF for name in ("x_px", "y_px"))
            column, row = round(x), round(y)
            if 0 <= column < side and 0 <= row < side:
                # at worst half a pixel off along both axes, on the smallest hill
                assert record["centre"][row, column] >= 170
                n += 1
    assert n > 50


def test_what_cannot_be_seen_is_not_asked_for(samples: list[Sample], records: list[NDArray[np.void]]) -> None:
    n_hidden = 0
    for sample, record in zip(samples, records, strict=True):
        hidden = np.concatenate([[False], ~sample.cells["visible"]])[sample.nucleus]
        whole = hidden.reshape(hidden.shape[0] // HALF, HALF, -1, HALF).all(axis=(1, 3))
        assert (record["nucleus"][whole] == NOT_ASKED).all()
        assert (record["tumour"][whole] == NOT_ASKED).all()
        n_hidden += int(whole.sum())
    assert n_hidden > 0


def test_offsets_point_to_the_middle_and_kinds_are_the_nucleus_own(
    samples: list[Sample], records: list[NDArray[np.void]]
) -> None:
    checked = 0
    for sample, record in zip(samples, records, strict=True):
        for number, cell in enumerate(sample.cells, start=1):
            rows, columns = np.nonzero(
                (sample.nucleus == number).reshape(record["nucleus"].shape[0], HALF, -1, HALF).all(axis=(1, 3))
            )
            if not cell["visible"] or not len(rows):
                continue
            at = np.stack([columns, rows], axis=1) * HALF + 0.5
            offset_um = record["offset"][:, rows, columns].T * OFFSET_STEP_UM
            points_to = at + offset_um / NETWORK_UM_PER_PX
            inside = np.abs(record["offset"][:, rows, columns]).max(axis=0) < 125
            middle = np.array([cell["x_px"], cell["y_px"]])
            assert np.abs(points_to[inside] - middle).max(initial=0.0) <= OFFSET_STEP_UM / NETWORK_UM_PER_PX
            assert (record["tumour"][rows, columns] == (KINDS[cell["kind"]] == "tumour")).all()
            checked += len(rows)
    assert checked > 500


def _labels(sample: Sample, place: NDArray[np.float64], distance_px: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Cell at a distance from a place in each direction; 65535 outside."""
    angle = np.linspace(0, 2 * np.pi, N_REACHES, endpoint=False)
    side = sample.cell.shape[0]
    columns = np.rint(place[0] + np.cos(angle) * distance_px).astype(int)
    rows = np.rint(place[1] + np.sin(angle) * distance_px).astype(int)
    inside = (columns >= 0) & (columns < side) & (rows >= 0) & (rows < side)
    return np.where(inside, sample.cell[rows.clip(0, side - 1), columns.clip(0, side - 1)], 65_535)


def test_reaches_end_at_the_cells_own_outline(samples: list[Sample], records: list[NDArray[np.void]]) -> None:
    within: list[NDArray[np.bool_]] = []
    beyond: list[NDArray[np.bool_]] = []
    for sample, record in zip(samples, records, strict=True):
        for row, column in zip(*np.nonzero((record["reach"] != NOT_ASKED).any(axis=0)), strict=True):
            x, y = QUARTER * column + 1.5, QUARTER * row + 1.5
            own = sample.cell[int(y), int(x)]
            reach_px = record["reach"][:, row, column] * REACH_STEP_UM / NETWORK_UM_PER_PX
            asked = record["reach"][:, row, column] != NOT_ASKED

            places = partial(_labels, sample, np.array([x, y]))
            within.append(places(reach_px - 2.0)[asked & (reach_px > 4.0)] == own)
            beyond.append(places(reach_px + 1.5)[asked] != own)
    assert len(np.concatenate(beyond)) > 1000
    assert np.concatenate(within).mean() > 0.98
    assert np.concatenate(beyond).mean() > 0.95  # a corner may be crossed again


def test_membranes_have_a_rim_where_nothing_is_certain(samples: list[Sample], records: list[NDArray[np.void]]) -> None:
    for sample, record in zip(samples, records, strict=True):
        on = sample.membrane > 0
        assert np.isin(record["membrane"][on], (ON_LINE, INTENSE_LINE)).all()
        assert np.isin(record["membrane"][~on], (0, NEAR_LINE)).all()
    assert any((record["membrane"] == NEAR_LINE).any() for record in records)
