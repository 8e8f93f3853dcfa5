"""Sets of training tiles: the same bytes however they are drawn, truth that fits the picture, clear refusals."""

from __future__ import annotations

import errno
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from her2scope.cli import main
from her2scope.domain.errors import BadInputError, NotAvailableError
from her2scope.imaging.opencv import cv2
from her2scope.phantom.antigen import Level
from her2scope.phantom.growth import EPITHELIA, Matter
from her2scope.phantom.optics import Optics
from her2scope.phantom.run import Run, make_run
from her2scope.phantom.shards import store as shards
from her2scope.phantom.shards import views as shard_views
from her2scope.phantom.shards.looks import EPITHELIAL_TONE, MOST_UNEVEN, STROMAL_TONE, Looks, draw_looks
from her2scope.phantom.shards.store import ShardSet, render_shards
from her2scope.phantom.shards.tiles import (
    AIMS,
    CLASSES,
    FULL,
    KINDS,
    MOST_SCALE_ERROR,
    SCORES,
    TileSettings,
    draw_group,
)
from her2scope.phantom.shards.views import Sample, TextureBank
from her2scope.phantom.stain import Stain

SMALL = TileSettings(seed=2, difficulty="usual", tile_um=48.0)
N_TILES = 20
PLAIN_LIGHT = Optics(response="linear", shading=0.0, electrons=1e9, blur_um=0.06)
ONLY_NUCLEI = Stain(dab_gain=0.0, haze_od10=0.0, leak_share=0.0, cytoplasm_od10=0.0, stroma_od10=0.0)


def seen_as(stain: Stain) -> Run:
    return replace(make_run(1, "easy"), stain=stain, optics=PLAIN_LIGHT)


@pytest.fixture(autouse=True)
def few_tiles_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_TILES", 8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shards") / "set"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_TILES", 8)
        assert render_shards(path, N_TILES, SMALL) == 3
    return path


@pytest.fixture
def own_copy(folder: Path, tmp_path: Path) -> Path:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.iterdir())}


def samples_of(folder: Path, n: int, run: Run | None = None) -> list[Sample]:
    tiles = ShardSet(folder)
    return [tiles.sample(number % len(tiles), np.random.default_rng(number), "usual", run) for number in range(n)]


# ---- drawing ------------------------------------------------------------------------------------------------------


def test_two_workers_write_the_same_bytes_as_one(folder: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    render_shards(tmp_path, N_TILES, SMALL, 2, lambda there, wanted: told.append((there, wanted)))
    assert contents(tmp_path) == contents(folder)
    assert told[-1] == (N_TILES, N_TILES) and len(told) == 3


def test_only_what_is_missing_or_cut_off_is_drawn_again(folder: Path, own_copy: Path) -> None:
    (own_copy / "shard_00001.npy").unlink()
    (own_copy / "shard_00002.npy").write_bytes((own_copy / "shard_00002.npy").read_bytes()[:5000])
    (own_copy / "shard_00000.npy.part").write_bytes(b"of a run that was stopped")
    untouched = (own_copy / "shard_00000.npy").stat().st_mtime_ns
    assert render_shards(own_copy, N_TILES, SMALL) == 2
    (own_copy / "shard_00000.npy.part").unlink()
    assert contents(own_copy) == contents(folder)
    assert (own_copy / "shard_00000.npy").stat().st_mtime_ns == untouched


@pytest.mark.parametrize(
    ("settings", "n_tiles", "name"),
    [
        (replace(SMALL, seed=3), N_TILES, "seed"),
        (replace(SMALL, difficulty="hard"), N_TILES, "difficulty"),
        (replace(SMALL, tile_um=64.0), N_TILES, "tile_um"),
        (SMALL, N_TILES + 1, "tiles"),
    ],
)
def test_a_folder_of_another_set_is_refused(folder: Path, settings: TileSettings, n_tiles: int, name: str) -> None:
    before = contents(folder)
    with pytest.raises(BadInputError, match=rf"holds tiles of another set \({name} "):
        render_shards(folder, n_tiles, settings)
    assert contents(folder) == before


def test_shards_without_their_index_are_refused(own_copy: Path) -> None:
    (own_copy / "index.json").unlink()
    with pytest.raises(BadInputError, match="without their index.json"):
        render_shards(own_copy, N_TILES, SMALL)


def test_a_full_disk_is_one_clear_error_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shards, "_write_tiles", full)
    with pytest.raises(BadInputError, match="No space left on device"):
        render_shards(tmp_path, 4, SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["index.json"]


@pytest.mark.parametrize("changes", [{"um_per_px": 0.3}, {"tile_um": 20.0}, {"tile_um": 48.2}])
def test_impossible_settings_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(BadInputError):
        replace(SMALL, **changes)  # type: ignore[arg-type]


def test_an_unknown_difficulty_is_refused() -> None:
    with pytest.raises(NotAvailableError):
        TileSettings(difficulty="absurd")


def test_the_command_draws_a_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "set"
    arguments = ["phantom", "shards", "--out", str(out), "--tiles", "2", "--tile-um", "48", "--workers", "1"]
    assert main(arguments) == 0
    assert "2 tiles" in capsys.readouterr().out
    assert len(ShardSet(out)) == 2


# ---- reading ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [0, 40, 5000])
def test_a_cut_off_shard_is_one_clear_error(own_copy: Path, kept: int) -> None:
    path = own_copy / "shard_00001.npy"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadInputError, match=r"shard_00001.npy: damaged or cut off") as caught:
        ShardSet(own_copy)
    assert "\n" not in str(caught.value)


def test_a_missing_shard_is_one_clear_error(own_copy: Path) -> None:
    (own_copy / "shard_00002.npy").unlink()
    with pytest.raises(BadInputError, match=r"shard_00002.npy: cannot be read"):
        ShardSet(own_copy)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "her2scope.shards/1"}'])
def test_a_damaged_index_is_one_clear_error(own_copy: Path, text: str) -> None:
    (own_copy / "index.json").write_text(text)
    with pytest.raises(BadInputError, match=r"index.json"):
        ShardSet(own_copy)


def test_the_same_generator_gives_the_same_sample(folder: Path) -> None:
    tiles = ShardSet(folder)
    first, again, other = (tiles.sample(5, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first.run == again.run and first.um_per_px == again.um_per_px
    for name in ("rgb", "nucleus", "cell", "membrane", "region", "cells"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    assert first.rgb.tobytes() != other.rgb.tobytes()


def test_another_process_gets_the_same_samples(folder: Path) -> None:
    tiles = ShardSet(folder)
    handed = pickle.loads(pickle.dumps(tiles))  # noqa: S301 - our own
    samples = [each.sample(1, np.random.default_rng(0)) for each in (tiles, handed)]
    assert samples[0].rgb.tobytes() == samples[1].rgb.tobytes()


def test_every_tile_gives_samples_of_one_shape(folder: Path) -> None:
    side = SMALL.out_px
    for sample in samples_of(folder, N_TILES):
        assert sample.rgb.shape == (side, side, 3) and sample.rgb.dtype == np.uint8
        assert {plane.shape for plane in (sample.nucleus, sample.cell, sample.membrane, sample.region)} == {
            (side, side)
        }
        assert max(sample.nucleus.max(), sample.cell.max()) <= len(sample.cells)
        assert set(np.unique(sample.membrane)) <= set(Level) and set(np.unique(sample.region)) <= set(Matter)
        assert sample.cells["kind"].max(initial=0) < len(KINDS) and sample.cells["cls"].max(initial=0) < len(CLASSES)
        assert abs(sample.um_per_px / 0.5 - 1.0) < MOST_SCALE_ERROR + 0.05


def test_scale_stain_and_camera_vary(folder: Path) -> None:
    samples = samples_of(folder, N_TILES)
    scales = np.array([sample.um_per_px for sample in samples])
    assert scales.min() < 0.47 and scales.max() > 0.53
    assert len({sample.run.stain for sample in samples}) == len({sample.run.optics for sample in samples}) == N_TILES


@pytest.mark.parametrize("settings", [SMALL, TileSettings(tile_um=320.0)])
def test_textures_are_large_enough_and_samples_lie_all_over_a_section(settings: TileSettings) -> None:
    bank = TextureBank(settings)
    cuts = [bank.cut(settings.drawn_px, np.random.default_rng(number)) for number in range(12)]
    assert all(plane.shape == (settings.drawn_px, settings.drawn_px) for cut in cuts for plane in cut.values())
    assert np.std([cut["slow"].mean() for cut in cuts]) > 0.2


def test_tiles_tell_what_they_were_drawn_for(folder: Path) -> None:
    tiles = ShardSet(folder)
    kinds = [tiles.kind(number) for number in range(len(tiles))]
    assert all(aim in AIMS and score in SCORES for aim, score in kinds)
    for number in range(len(tiles) - 1):
        if tiles.group(number) == tiles.group(number + 1):
            assert kinds[number] == kinds[number + 1]


# ---- truth --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_turned", [False, True])
def test_nuclei_lie_where_the_truth_says(folder: Path, monkeypatch: pytest.MonkeyPatch, is_turned: bool) -> None:
    if not is_turned:  # turns would hide a shift that all samples share
        straight = shard_views.draw_view
        monkeypatch.setattr(
            shard_views, "draw_view", lambda *given: replace(straight(*given), turns=0, is_mirrored=False)
        )
    offsets = []
    for sample in samples_of(folder, 60, seen_as(ONLY_NUCLEI)):
        od10 = -np.log10(np.maximum(sample.rgb, 1.0) / sample.white_rgb).sum(axis=2)
        for row in np.nonzero(sample.cells["visible"])[0]:
            own = (sample.nucleus == row + 1).astype(np.uint8)
            wide = cv2.dilate(own, np.ones((5, 5), np.uint8))
            is_alone = not ((sample.nucleus > 0) & (wide > 0) & (own == 0)).any()
            at_rim = wide[[0, -1]].any() or wide[:, [0, -1]].any()
            if is_alone and not at_rim and own.sum() > 40:
                y, x = np.nonzero(wide)
                weight = od10[y, x]
                centre = np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()
                offsets.append(centre - (sample.cells["x_px"][row], sample.cells["y_px"][row]))
    assert len(offsets) > 100
    assert np.abs(np.mean(offsets, axis=0)).max() < 0.1
    assert np.median(np.hypot(*np.transpose(offsets))) < 0.35


def test_labels_lie_around_their_middles(folder: Path) -> None:
    away_px = []
    for sample in samples_of(folder, N_TILES):
        for row in np.nonzero(sample.cells["visible"])[0]:
            y, x = np.nonzero(sample.nucleus == row + 1)
            cell = sample.cells[row]
            if len(x) > 0.97 * np.pi * cell["radius_px"] ** 2:  # covered by no other, not cut by the rim
                away_px.append(np.hypot(x.mean() - cell["x_px"], y.mean() - cell["y_px"]))
    assert len(away_px) > 50 and np.median(away_px) < 0.4


def test_nuclei_that_reach_in_from_outside_the_region_are_labelled() -> None:
    missed, total = 0, 0
    for tile in np.concatenate([draw_group(SMALL, number) for number in range(6)]):
        covered = tile["full"][list(FULL).index("covered")]
        covered = cv2.resize(covered, (SMALL.truth_px, SMALL.truth_px), interpolation=cv2.INTER_AREA) > 240
        missed, total = missed + int((covered & (tile["nucleus"] == 0)).sum()), total + int(covered.sum())
    assert total > 10_000 and missed < 0.005 * total


def test_membranes_lie_on_the_borders_of_cells(folder: Path) -> None:
    near, total = 0, 0
    for sample in samples_of(folder, 2 * N_TILES):
        kernel = np.ones((3, 3), np.uint8)
        is_border = cv2.dilate(sample.cell, kernel) != cv2.erode(sample.cell, kernel)
        if not is_border.any():
            continue
        away_px = cv2.distanceTransform((~is_border).astype(np.uint8), cv2.DIST_L2, 5)
        lines = sample.membrane > 0
        near, total = near + int((away_px[lines] < 3.0).sum()), total + int(lines.sum())
        if np.isin(sample.region, EPITHELIA).sum() == 0:
            assert not lines.any()
    assert total > 1000 and near > 0.97 * total


def test_without_counterstain_no_nucleus_is_held_against_a_program(folder: Path) -> None:
    nothing = replace(ONLY_NUCLEI, haematoxylin_gain=0.0)
    assert sum(int(sample.cells["visible"].sum()) for sample in samples_of(folder, N_TILES, seen_as(ONLY_NUCLEI))) > 100
    for sample in samples_of(folder, N_TILES, seen_as(nothing)):
        assert not sample.cells["visible"].any()


def test_what_the_camera_clips_is_not_visible(folder: Path) -> None:
    run = seen_as(ONLY_NUCLEI)
    clipped = replace(run, optics=replace(PLAIN_LIGHT, exposure=60.0))
    for sample in samples_of(folder, N_TILES, clipped):
        assert not sample.cells["visible"].any()


# ---- looks --------------------------------------------------------------------------------------------------------


def od10_on(sample: Sample, kinds: tuple[str, ...]) -> float:
    """Mean od10 on the nuclei of some kinds."""
    chosen = np.concatenate([[False], np.isin(sample.cells["kind"], [KINDS.index(kind) for kind in kinds])])
    od10 = -np.log10(np.maximum(sample.rgb, 1.0) / sample.white_rgb).sum(axis=2)
    return float(od10[chosen[sample.nucleus]].mean()) if chosen[sample.nucleus].any() else float("nan")


def test_other_looks_darken_the_nuclei_that_they_name_and_leave_the_truth(folder: Path) -> None:
    tiles, epithelial, stromal = ShardSet(folder), ("tumour", "normal"), ("fibroblast", "lymphocyte", "plasma")
    ratios: dict[tuple[str, ...], list[float]] = {epithelial: [], stromal: []}
    for number in range(N_TILES):
        plain, other = (
            tiles.sample(number, np.random.default_rng(number), run=seen_as(ONLY_NUCLEI), looks=looks)
            for looks in (None, Looks(epithelial_tone=0.5, stromal_tone=-0.5))
        )
        assert np.array_equal(plain.nucleus, other.nucleus) and np.array_equal(plain.membrane, other.membrane)
        for kinds, found in ratios.items():
            found.append(od10_on(other, kinds) / od10_on(plain, kinds))
    assert 1.35 < np.nanmedian(ratios[epithelial]) < 1.75  # exp(0.5) = 1.65, less where steps of 8 bits end
    assert 0.55 < np.nanmedian(ratios[stromal]) < 0.75


def test_looks_that_change_nothing_change_nothing(folder: Path) -> None:
    tiles = ShardSet(folder)
    for number in range(6):
        run = seen_as(Stain())
        plain, same = (tiles.sample(number, np.random.default_rng(7), "usual", run, looks) for looks in (None, Looks()))
        assert np.abs(plain.rgb.astype(int) - same.rgb).mean() < 0.5


def test_plain_stroma_has_no_fibres(folder: Path) -> None:
    only_stroma = replace(ONLY_NUCLEI, stroma_od10=0.2, haematoxylin_gain=1.0, roughness=0.0)
    tiles = ShardSet(folder)
    for number in range(N_TILES):
        rough, plain = (
            tiles.sample(number, np.random.default_rng(3), run=seen_as(only_stroma), looks=Looks(plain_stroma=share))
            for share in (0.0, 1.0)
        )
        inside = (rough.region == Matter.STROMA) & (rough.nucleus == 0)
        inside = cv2.erode(inside.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        if inside.sum() > 500:
            assert plain.rgb[inside].std(axis=0).max() < 0.7 * rough.rgb[inside].std(axis=0).max()


def test_drawn_looks_differ_and_keep_their_bounds() -> None:
    drawn = [draw_looks(np.random.default_rng(number)) for number in range(50)]
    assert len(set(drawn)) == 50
    assert all(EPITHELIAL_TONE[0] <= looks.epithelial_tone <= EPITHELIAL_TONE[1] for looks in drawn)
    assert all(STROMAL_TONE[0] <= looks.stromal_tone <= STROMAL_TONE[1] for looks in drawn)
    assert all(0.0 <= looks.plain_stroma <= 1.0 and looks.uneven_um9 <= MOST_UNEVEN for looks in drawn)
