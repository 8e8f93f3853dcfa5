from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import slide_work
from factories import PROGRAM

from her2scope.domain.cells import StainCuts
from her2scope.domain.errors import UnreadableImageError
from her2scope.slides import run_identity
from her2scope.slides.records import TileWork
from her2scope.slides.run_identity import slide_digest, versions, work_digest

TILES = slide_work.tiles(3)


@pytest.fixture
def work(tmp_path: Path) -> TileWork:
    path = tmp_path / "case.svs"
    path.write_bytes(bytes(range(256)) * 20_000)
    return slide_work.work_on(path)


def test_the_same_work_has_the_same_digest_wherever_the_slide_lies(work: TileWork, tmp_path: Path) -> None:
    before = work_digest(work, TILES, PROGRAM)
    (tmp_path / "moved").mkdir()
    moved = work.path.rename(tmp_path / "moved" / "case.svs")
    assert work_digest(replace(work, path=moved), TILES, PROGRAM) == before


def test_everything_that_decides_the_result_changes_the_digest(
    work: TileWork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.onnx").write_bytes(b"1")
    gated = replace(work, region_model=model, count_in=("tumour",))
    settings = replace(work.settings, network=replace(work.settings.network, contrast_od10=0.011))
    digests = [
        work_digest(work, TILES, PROGRAM),
        work_digest(replace(work, white_rgb=(240.0, 240.0, 239.0)), TILES, PROGRAM),
        work_digest(replace(work, scale=replace(work.scale, um_per_px=0.26)), TILES, PROGRAM),
        work_digest(replace(work, calibration=replace(work.calibration, response="linear")), TILES, PROGRAM),
        work_digest(replace(work, settings=settings), TILES, PROGRAM),
        work_digest(replace(work, method="closed-contours"), TILES, PROGRAM),
        work_digest(replace(work, cuts=StainCuts(0.1, 0.2, 0.31)), TILES, PROGRAM),
        work_digest(gated, TILES, PROGRAM),
        work_digest(replace(gated, count_in=("stroma",)), TILES, PROGRAM),
        work_digest(work, TILES[:2], PROGRAM),
        work_digest(work, TILES, replace(PROGRAM, version="0.0.1")),
        work_digest(work, TILES, replace(PROGRAM, model_sha256="cd" * 32)),
    ]
    (model / "model.onnx").write_bytes(b"2")
    digests.append(work_digest(gated, TILES, PROGRAM))
    monkeypatch.setattr(run_identity, "versions", lambda: {"numpy": "9"})
    digests.append(work_digest(work, TILES, PROGRAM))
    assert len(set(digests)) == len(digests)


def test_a_slide_that_was_written_anew_is_another_slide(work: TileWork) -> None:
    before = work_digest(work, TILES, PROGRAM)
    os.utime(work.path, (1, 1))
    assert work_digest(work, TILES, PROGRAM) != before


@pytest.mark.parametrize("at", [0, -1])
def test_the_slides_digest_knows_its_size_beginning_and_end(work: TileWork, at: int) -> None:
    before = slide_digest(work.path)
    content = bytearray(work.path.read_bytes())
    content[at] ^= 1
    work.path.write_bytes(content)
    changed = slide_digest(work.path)
    work.path.write_bytes(work.path.read_bytes() + b"\0")
    assert len({before, changed, slide_digest(work.path)}) == 3


def test_the_files_beside_a_slide_of_several_files_belong_to_it(tmp_path: Path) -> None:
    slide = tmp_path / "case.mrxs"
    slide.write_bytes(b"index")
    (tmp_path / "case").mkdir()
    (tmp_path / "other.mrxs").write_bytes(b"another slide")
    (tmp_path / "case" / "Data0001.dat").write_bytes(b"pixels")
    before = slide_digest(slide)
    (tmp_path / "other.mrxs").write_bytes(b"another slide, longer")
    assert slide_digest(slide) == before
    (tmp_path / "case" / "Data0001.dat").write_bytes(b"more pixels")
    assert slide_digest(slide) != before


def test_a_slide_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="it cannot be read"):
        slide_digest(tmp_path / "none.svs")


def test_versions_name_the_program_and_what_it_computes_with() -> None:
    assert {"her2scope", "Python", "numpy", "distributed"} <= set(versions())
    assert "none" not in versions().values()
