"""A worker on a small slide in a TIFF file; mostly by the method that loads nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from factories import honeycomb_field

from her2scope.app import slide_worker
from her2scope.app.compose import has_network, make_analyser
from her2scope.app.slide_worker import analyse_tile, let_go, worker_program
from her2scope.cameras.slide_readers import open_slide
from her2scope.domain.cells import CellClass
from her2scope.domain.errors import UnreadableImageError
from her2scope.segmentation.methods import CLOSED_CONTOURS, NETWORK
from her2scope.settings import Calibration, ScoringSettings
from her2scope.slides.records import SlideCells, SlideScale, Tile, TileResult, TileWork
from her2scope.slides.run import UnfitWorkerError, analyse_block
from her2scope.slides.run_identity import slide_digest, versions
from her2scope.slides.tile_analysis import TileAnalyser

tifffile = pytest.importorskip("tifffile", reason="tifffile, which writes the slides of these tests, is not installed")
pytest.importorskip("openslide", reason="OpenSlide, which reads them, is not installed (extra: slides)")
TILE = Tile(0, 0, 0, 0, 512, 512)


def write_slide(path: Path, seed: int = 0) -> None:
    classes = {CellClass.COMPLETE_INTENSE: 0.6, CellClass.NONE: 0.4}
    rgb = honeycomb_field(classes, (512, 512), seed=seed).frame.rgb
    tifffile.imwrite(
        path, rgb, photometric="rgb", tile=(128, 128), compression="deflate", resolution=(4e4, 4e4),
        resolutionunit="CENTIMETER",
    )  # fmt: skip


def work_with(path: Path, method: str = CLOSED_CONTOURS) -> TileWork:
    settings, calibration = ScoringSettings(), Calibration()
    scale = SlideScale(0, 1.0, 0.25, 512, 512)
    return TileWork(path, scale, (226.0, 210.0, 210.0), True, calibration, settings, method, settings.cuts)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[TileWork]:
    write_slide(tmp_path / "case.tif")
    yield work_with(tmp_path / "case.tif")
    let_go()


def directly(work: TileWork) -> TileResult:
    reader = open_slide(work.path)
    try:
        return TileAnalyser(reader, make_analyser(work.method, work.settings, work.calibration, 1), work).analyse(TILE)
    finally:
        reader.close()


def same_cells(one: SlideCells, other: SlideCells) -> bool:
    names = [item.name for item in dataclasses.fields(SlideCells)]
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


@pytest.mark.parametrize("method", [CLOSED_CONTOURS, NETWORK])
def test_a_worker_finds_what_the_tile_analyser_finds(work: TileWork, method: str) -> None:
    if method == NETWORK and not has_network():
        pytest.skip("this installation has no trained network")
    work = replace(work, method=method)
    found = analyse_tile(work, TILE)
    assert len(found.cells) > 20
    assert same_cells(found.cells, directly(work).cells)


def test_the_slide_is_opened_once_for_all_its_tiles_in_each_thread(
    work: TileWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    def counted(path: Path) -> object:
        opened.append(path)
        return open_slide(path)

    def some() -> None:
        for _ in range(3):
            analyse_tile(replace(work), TILE)  # equal work, as each task brings its own copy
        let_go()

    monkeypatch.setattr(slide_worker, "open_slide", counted)
    threads = [Thread(target=some) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 2


def test_another_slide_under_the_same_name_is_opened_again(work: TileWork) -> None:
    before = analyse_tile(work, TILE)
    write_slide(work.path, seed=1)
    after = analyse_tile(work, TILE)
    assert not same_cells(before.cells, after.cells)
    assert same_cells(after.cells, directly(work).cells)


def test_other_settings_are_used_from_the_next_tile_on(work: TileWork) -> None:
    before = analyse_tile(work, TILE)
    after = analyse_tile(replace(work, white_rgb=(250.0, 250.0, 250.0)), TILE)
    assert not same_cells(before.cells, after.cells)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"path": Path("no-such-folder/case.tif")}, "must lie under this path on all workers"),
        ({"slide_sha256": "ab" * 32}, "is another file there"),
        ({"model_sha256": "ab" * 32}, "it would use another model file"),
    ],
)
def test_a_worker_that_cannot_do_the_work_says_so_in_one_line(
    work: TileWork, changed: dict[str, object], words: str
) -> None:
    with pytest.raises(UnfitWorkerError, match=words) as told:
        analyse_tile(replace(work, **changed), TILE)  # type: ignore[arg-type]
    assert "\n" not in str(told.value)


def test_a_worker_that_lacks_what_a_run_needs_does_no_tile(work: TileWork, tmp_path: Path) -> None:
    for changed in ({"method": "no-such-method"}, {"region_model": tmp_path / "none"}):
        done = analyse_block(analyse_tile, replace(work, **changed), (TILE,), versions())  # type: ignore[arg-type]
        assert done.unfit and "\n" not in done.unfit and not done.failed


def test_the_right_file_is_known_by_its_digest(work: TileWork) -> None:
    assert len(analyse_tile(replace(work, slide_sha256=slide_digest(work.path)), TILE).cells) > 20


def test_a_damaged_part_of_a_slide_is_its_tile_s_failure_alone(work: TileWork) -> None:
    with tifffile.TiffFile(work.path) as tiff:
        place, length = tiff.pages[0].dataoffsets[0], tiff.pages[0].databytecounts[0]
    content = bytearray(work.path.read_bytes())
    content[place : place + length] = bytes(length)
    work.path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match="a part of it cannot be read"):
        analyse_tile(work, TILE)
    done = analyse_block(analyse_tile, work, (TILE,), versions())
    assert not done.unfit and "a part of it cannot be read" in done.failed[0].why and not done.failed[0].details


def test_a_worker_names_what_it_analyses_with(work: TileWork) -> None:
    assert worker_program(work).method == CLOSED_CONTOURS
    if has_network():
        told = worker_program(replace(work, method=NETWORK))
        analyser = make_analyser(NETWORK, work.settings, work.calibration, 1)
        assert told.model_sha256 == analyser.segmenter.model_sha256 and told.provider.endswith("ExecutionProvider")
