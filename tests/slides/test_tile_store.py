from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import slide_work
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.domain.errors import DiskFullError, StoreError
from her2scope.slides import tile_store
from her2scope.slides.records import SlideCells, Tile, TileResult
from her2scope.slides.tile_store import TileStore, decoded, encoded

DIGEST = "0123456789abcdef" * 4
TILE = Tile(3, 12, 2400, 600, 100, 90)
SMALL = encoded(TileResult(TILE, slide_work.cells_of(TILE, 2), ("a doubt",), 0.25), DIGEST)


def same(one: TileResult, other: TileResult) -> bool:
    """To the bit, and of the same kinds of numbers."""
    columns = (
        (getattr(one.cells, item.name), getattr(other.cells, item.name)) for item in dataclasses.fields(SlideCells)
    )
    return (one.tile, one.doubts, one.seconds) == (other.tile, other.doubts, other.seconds) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in columns
    )


@given(
    place=st.tuples(*[st.integers(0, 10**6)] * 6),
    n=st.integers(0, 30),
    doubts=st.lists(st.text(max_size=30), max_size=3),
    seconds=st.floats(0, 1e6),
)
@settings(max_examples=40)
def test_a_result_is_read_back_to_the_bit(place: tuple[int, ...], n: int, doubts: list[str], seconds: float) -> None:
    tile = Tile(*place)
    result = TileResult(tile, slide_work.cells_of(tile, n), tuple(doubts), seconds)
    content = encoded(result, DIGEST)
    assert content == encoded(result, DIGEST)
    read = decoded(content, tile, DIGEST)
    assert read is not None and same(read, result)


def test_a_file_cut_anywhere_is_not_believed() -> None:
    assert decoded(SMALL, TILE, DIGEST) is not None
    assert all(decoded(SMALL[:length], TILE, DIGEST) is None for length in range(len(SMALL)))


@given(at=st.integers(0, len(SMALL) - 1), bit=st.integers(0, 7))
def test_a_file_with_one_bit_changed_is_not_believed(at: int, bit: int) -> None:
    changed = bytearray(SMALL)
    changed[at] ^= 1 << bit
    assert decoded(bytes(changed), TILE, DIGEST) is None


@given(more=st.binary(min_size=1, max_size=100))
def test_a_file_with_more_behind_or_before_it_is_not_believed(more: bytes) -> None:
    assert decoded(SMALL + more, TILE, DIGEST) is None
    assert decoded(more + SMALL, TILE, DIGEST) is None


def test_a_result_of_other_settings_or_of_another_tile_is_not_believed() -> None:
    assert decoded(SMALL, TILE, "f" * 64) is None
    assert decoded(SMALL, dataclasses.replace(TILE, width_px=99), DIGEST) is None


def test_a_sealed_file_without_a_column_is_not_believed() -> None:
    with np.load(io.BytesIO(SMALL)) as file:
        columns = {name: file[name] for name in file.files if name != "within"}
    fewer = io.BytesIO()
    np.savez(fewer, **columns)
    body = fewer.getvalue()[:-2] + tile_store.SEAL_BYTES.to_bytes(2, "little")
    sealed = body + hashlib.sha256(body).hexdigest().encode()
    assert decoded(sealed, TILE, DIGEST) is None


def test_numpy_alone_reads_the_file(tmp_path: Path) -> None:
    (tmp_path / "tile.npz").write_bytes(SMALL)
    with np.load(tmp_path / "tile.npz") as file:
        assert len(file["x_um"]) == 2 and str(file["work"]) == DIGEST


def test_a_store_gives_back_what_is_sound_in_the_order_asked_for(tmp_path: Path) -> None:
    tiles = slide_work.tiles(12)
    with TileStore(tmp_path / "slide", DIGEST) as store:
        for tile in tiles[::-1]:
            store.keep(slide_work.result_of(tile))
        damaged, cut = (store.folder / f"{tiles[k].name}.npz" for k in (2, 5))
        damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
        cut.write_bytes(b"")
        sound = [tile for k, tile in enumerate(tiles) if k not in (2, 5)]
        assert store.done(tiles) == set(sound)
        assert [result.tile for result in store.results(tiles)] == sound
        assert all(same(result, slide_work.result_of(result.tile)) for result in store.results(tiles))


def test_what_a_killed_run_had_half_written_is_cleared_away(tmp_path: Path) -> None:
    with TileStore(tmp_path, DIGEST) as store:
        half = store.folder / f"{TILE.name}.npz.part"
        half.write_bytes(SMALL[:100])
    with TileStore(tmp_path, DIGEST) as store:
        assert not half.exists() and store.read(TILE) is None


def test_tiles_of_other_settings_stay_and_are_said(tmp_path: Path) -> None:
    with TileStore(tmp_path, DIGEST) as store:
        store.keep(slide_work.result_of(TILE))
        assert store.notes == ()
    with TileStore(tmp_path, "f" * 64) as other:
        assert other.read(TILE) is None
        assert "1 tiles of an earlier run do not count" in other.notes[0]
    with TileStore(tmp_path, DIGEST) as store:
        assert store.read(TILE) is not None


def test_two_programs_never_work_on_one_slide(tmp_path: Path) -> None:
    with TileStore(tmp_path, DIGEST), pytest.raises(StoreError, match="another her2scope works on this slide"):
        TileStore(tmp_path, DIGEST)
    TileStore(tmp_path, DIGEST).close()


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [(errno.ENOSPC, DiskFullError, "the disk is full. Free some space"), (errno.EIO, StoreError, "cannot be written")],
)
def test_a_disk_that_takes_no_more_is_one_line_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[StoreError], words: str
) -> None:
    first, second = slide_work.tiles(2)
    with TileStore(tmp_path, DIGEST) as store:
        store.keep(slide_work.result_of(first))

        def fail(*_: object) -> None:
            raise OSError(code, "no")

        monkeypatch.setattr("os.replace", fail)
        with pytest.raises(kind, match=words) as told:
            store.keep(slide_work.result_of(second))
        assert "\n" not in str(told.value)
        assert store.done((first, second)) == {first}
        assert not list(store.folder.glob("*.part"))


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        TileStore(tmp_path / "file" / "slide", DIGEST)


def test_discarding_removes_the_tiles_of_all_settings(tmp_path: Path) -> None:
    TileStore(tmp_path / "slide", "f" * 64).close()
    store = TileStore(tmp_path / "slide", DIGEST)
    store.discard()
    assert not (tmp_path / "slide").exists()
