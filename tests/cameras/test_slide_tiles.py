from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from cameras.fake_slide import FakeSlide, place_picture

from her2scope.cameras.slide_tiles import TILE_PX, Tile, TileLoader, UnreadableTile, read_tile
from her2scope.imaging.opencv import cv2
from her2scope.records import RgbImage

PATIENCE_S = 20.0
BLANK = np.zeros((TILE_PX, TILE_PX, 3), np.uint8)


# ---- reading --------------------------------------------------------------------------------------------------------


def test_a_tile_at_full_resolution_is_the_slide_s_own_pixels() -> None:
    picture = place_picture(700, 900)
    tile = read_tile(FakeSlide(picture), (1, 2, 1))
    assert np.array_equal(tile, picture[TILE_PX : 2 * TILE_PX, 2 * TILE_PX : 3 * TILE_PX])


def test_beyond_the_slide_a_tile_is_white() -> None:
    slide = FakeSlide(place_picture(300, 300))
    assert (read_tile(slide, (1, 1, 1))[300 - TILE_PX :] == 255).all()
    assert (read_tile(slide, (1, -1, 0)) == 255).all()


@pytest.mark.parametrize(
    ("downsamples", "reduction", "level"),
    [((1,), 4, 0), ((1, 4), 4, 1), ((1, 4, 16), 10, 1), ((1, 2, 4), 2, 1), ((1, 4), 2, 0), ((1, 3), 10, 1)],
)
def test_a_reduced_tile_comes_from_the_coarsest_level_that_is_fine_enough(
    downsamples: tuple[int, ...], reduction: int, level: int
) -> None:
    picture = place_picture(3072, 3072)
    slide = FakeSlide(picture, downsamples=downsamples)
    tile = read_tile(slide, (reduction, 0, 0))
    assert slide.read_at == [level]
    side = min(3072, TILE_PX * reduction)
    wanted = cv2.resize(picture[:side, :side], (side // reduction,) * 2, interpolation=cv2.INTER_AREA)
    got = tile[: wanted.shape[0], : wanted.shape[1]]
    assert np.abs(got.astype(int) - wanted).mean() < 1.0


# ---- loading --------------------------------------------------------------------------------------------------------


class Disk:
    """Gives blank tiles, as many as a test lets through."""

    def __init__(self) -> None:
        self.read_tiles: list[Tile] = []
        self.broken: set[Tile] = set()
        self.answers = threading.Event()
        self.answers.set()
        self.ended = threading.Event()
        self.loaders: list[TileLoader] = []

    def read(self, tile: Tile) -> RgbImage:
        self.answers.wait()
        if tile in self.broken:
            raise OSError("cannot be read")
        self.read_tiles.append(tile)
        return BLANK

    def loader(self, most: int = 100, n_threads: int = 1) -> TileLoader:
        loader = TileLoader(self.read, most, self.ended.set, n_threads)
        self.loaders.append(loader)
        loader.start()
        return loader


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.answers.set()
    for loader in disk.loaders:
        loader.stop(PATIENCE_S)


def tiles(*columns: int) -> list[Tile]:
    return [(1, column, 0) for column in columns]


def load(loader: TileLoader, wanted: list[Tile]) -> None:
    loader.wait(wanted, PATIENCE_S)
    assert set(loader.find(wanted)) == set(wanted)


def test_what_is_wanted_is_read_in_order_and_once(disk: Disk) -> None:
    loader = disk.loader()
    disk.answers.clear()
    loader.want(tiles(0))  # holds the thread
    loader.want(tiles(3, 1, 3, 0, 2))
    disk.answers.set()
    load(loader, tiles(2))
    load(loader, tiles(3, 1, 2))
    assert sorted(disk.read_tiles) in (tiles(1, 2, 3), tiles(0, 1, 2, 3))


def test_what_was_wanted_before_is_not_read_any_longer(disk: Disk) -> None:
    loader = disk.loader()
    disk.answers.clear()
    loader.want(tiles(*range(50)))
    loader.want(tiles(99))
    disk.answers.set()
    load(loader, tiles(99))
    loader.stop(PATIENCE_S)
    assert len(disk.read_tiles) <= 2  # the one that was being read, and the one that is wanted


def test_memory_is_bounded_and_what_is_used_stays(disk: Disk) -> None:
    loader = disk.loader(most=4)
    load(loader, tiles(0))
    for column in range(1, 40):
        loader.find(tiles(0))
        load(loader, tiles(column))
    kept = loader.find(tiles(*range(40)))
    assert len(kept) == 4 and set(tiles(0, 39)) <= set(kept)


def test_a_plan_larger_than_the_memory_keeps_its_beginning(disk: Disk) -> None:
    loader = disk.loader(most=5)
    loader.want(tiles(*range(100)))
    load(loader, tiles(0, 1, 2, 3, 4))
    loader.want(tiles(0, 7, 8, 9, 10))
    load(loader, tiles(0, 7, 8, 9, 10))
    assert disk.read_tiles.count((1, 0, 0)) == 1


def test_a_tile_that_cannot_be_read_matters_only_in_view(disk: Disk) -> None:
    disk.broken = set(tiles(5))
    loader = disk.loader(n_threads=2)
    loader.want(tiles(5, 1, 2))
    load(loader, tiles(1, 2))
    loader.wait(tiles(5), PATIENCE_S)
    with pytest.raises(UnreadableTile, match="cannot be read"):
        loader.find(tiles(1, 5))
    load(loader, tiles(6))


def test_waiting_ends_with_the_time_another_plan_or_the_end(disk: Disk) -> None:
    loader = disk.loader()
    disk.answers.clear()
    loader.wait(tiles(0), 0.01)
    assert not loader.find(tiles(0))
    ways_out: list[Callable[[], object]] = [lambda: loader.want(tiles(1)), lambda: loader.stop(0.0)]
    for way_out in ways_out:
        other = threading.Timer(0.05, way_out)
        other.start()
        loader.wait(tiles(0), 60.0)
        other.join()


def test_a_disk_that_hangs_does_not_hold_stop_and_is_let_go_of_when_it_answers(disk: Disk) -> None:
    loader = disk.loader()
    disk.answers.clear()
    loader.wait(tiles(0), 0.05)
    assert not loader.stop(0.01)
    assert not disk.ended.is_set()
    disk.answers.set()
    assert loader.stop(PATIENCE_S)
    assert disk.ended.is_set()
