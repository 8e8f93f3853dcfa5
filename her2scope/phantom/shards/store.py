"""Sets of tiles on disk for training: drawn once by all cores, then stained and photographed anew each time.

A set is a folder with `index.json` and `shard_00000.npy` and so on, one structured array each, which numpy maps into
memory. A shard has its name only once it is whole, so a run that was stopped goes on where it was, and the bytes are
the same whatever the number of workers.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import cached_property, lru_cache
from math import ceil
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from her2scope import __version__
from her2scope.domain.errors import BadInputError
from her2scope.imaging.opencv import cv2
from her2scope.phantom.run import Run
from her2scope.phantom.shards.looks import Looks
from her2scope.phantom.shards.tiles import AIMS, GROUP_TILES, SCORES, TileSettings, draw_group
from her2scope.phantom.shards.views import Sample, TextureBank, make_sample

SCHEMA = "her2scope.shards/1"
INDEX = "index.json"
SHARD_TILES = 64
"""A multiple of `GROUP_TILES`; some 200 MB, and ten seconds of one core."""
MOST_OPEN = 128
"""Shards open at once: each is one of the few hundred files that a process may hold."""
Told = Callable[[int, int], None]


# ---- drawing ------------------------------------------------------------------------------------------------------


def render_shards(
    out_dir: Path, n_tiles: int, settings: TileSettings, workers: int = 1, told: Told | None = None
) -> int:
    """Draw what is missing of a set of tiles.

    Parameters
    ----------
    told : called after each shard with the number of tiles that are there, and of all

    Returns
    -------
    int
        Shards drawn now; the others were there.

    Raises
    ------
    BadInputError
        If the folder holds a set of other settings, cannot be written, or the disk is full.
    """
    if n_tiles < 1 or workers < 1:
        raise BadInputError(f"{n_tiles} tiles by {workers} workers cannot be drawn. Ask for one or more.")
    _claim(out_dir, _index(settings, n_tiles))
    jobs = [
        (_shard_path(out_dir, number), settings, number * SHARD_TILES // GROUP_TILES, _tiles_in(number, n_tiles))
        for number in range(ceil(n_tiles / SHARD_TILES))
    ]
    missing = [job for job in jobs if not _is_whole(job[0], settings, job[3])]
    there = n_tiles - sum(job[3] for job in missing)
    for done in _drawn(missing, min(workers, max(1, len(missing)))):
        there += done
        if told is not None:
            told(there, n_tiles)
    return len(missing)


_Job = tuple[Path, TileSettings, int, int]
"""Where to, of what, the first region, how many tiles."""


def _drawn(jobs: list[_Job], workers: int) -> Any:
    """Draw shards, here or in other processes; gives the number of tiles of each as it is done."""
    if workers == 1:
        yield from map(_write_shard, jobs)
        return
    # Spawned, as on every system: a forked process would inherit the threads' locks.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_begin_worker) as pool:
        try:
            for future in as_completed([pool.submit(_write_shard, job) for job in jobs]):
                yield future.result()
        except BrokenProcessPool as error:
            raise BadInputError(
                "a worker was ended from outside, perhaps for want of memory. Give fewer workers; "
                "what is drawn is kept."
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker() -> None:
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which then waits for begun shards
    threading.Thread(target=_end_with_the_program, daemon=True).start()


def _end_with_the_program() -> None:
    """End a worker whose program was killed: it would wait for ever, or write beside the run that goes on."""
    program = multiprocessing.parent_process()
    if program is not None:
        program.join()
        os._exit(1)


def _write_shard(job: _Job) -> int:
    """Draw one shard, aside and then renamed."""
    path, settings, first, n_tiles = job
    aside = path.with_name(path.name + ".part")
    try:
        # Written, not mapped: where the disk is full, a write is an error and a mapping ends the program.
        with open(aside, "wb") as file:
            _write_tiles(file, settings, first, n_tiles)
        os.replace(aside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise BadInputError(
            f"{path}: cannot be written ({error.strerror}). Check the folder and the space; what is drawn is kept."
        ) from error
    return n_tiles


def _write_tiles(file: BinaryIO, settings: TileSettings, first: int, n_tiles: int) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(settings.record()), "fortran_order": False, "shape": (n_tiles,)}
    np.lib.format.write_array_header_2_0(file, header)
    for group in range(ceil(n_tiles / GROUP_TILES)):
        tiles = draw_group(settings, first + group)[: n_tiles - group * GROUP_TILES]
        file.write(tiles.tobytes())


# ---- the folder ---------------------------------------------------------------------------------------------------


def _shard_path(folder: Path, number: int) -> Path:
    return folder / f"shard_{number:05d}.npy"


def _tiles_in(number: int, n_tiles: int) -> int:
    return min(SHARD_TILES, n_tiles - number * SHARD_TILES)


def _index(settings: TileSettings, n_tiles: int) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "version": __version__,
        "tiles": n_tiles,
        "tiles_of_a_shard": SHARD_TILES,
        **settings.as_mapping(),
    }


def _claim(folder: Path, index: dict[str, Any]) -> None:
    """Write the index, or see that the folder's own says the same."""
    path = folder / INDEX
    if path.exists():
        found = _read_index(path)
        other = [name for name in index if found.get(name) != index[name]]
        if other:
            name = other[0]
            raise BadInputError(
                f"{folder}: holds tiles of another set ({name} {found.get(name)}, not {index[name]}). "
                "Choose an empty folder."
            )
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.glob("shard_*.npy")):
            raise BadInputError(f"{folder}: holds shards without their {INDEX}. Choose an empty folder.")
        aside = path.with_name(INDEX + ".part")
        aside.write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
        os.replace(aside, path)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be written ({error.strerror}). Check the folder and the space.") from error


def _read_index(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror}). Give the folder of a set of tiles.") from error
    except ValueError as error:
        raise BadInputError(f"{path}: damaged. Draw the set again in an empty folder.") from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise BadInputError(f"{path}: not an index of {SCHEMA}. Draw the set again in an empty folder.")
    return found


def _is_whole(path: Path, settings: TileSettings, n_tiles: int) -> bool:
    try:
        _opened(path, settings, n_tiles)
    except BadInputError:
        return False
    return True


def _opened(path: Path, settings: TileSettings, n_tiles: int) -> NDArray[np.void]:
    """A shard's tiles, `(n_tiles,)` records that are read where they are looked at."""
    remedy = "Draw the set again into the same folder: only what is missing is drawn"
    try:
        # Not np.load: what is no array at all would be taken for a pickle, and its message would speak of that.
        tiles = np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror}). {remedy}.") from error
    except (ValueError, TypeError, SyntaxError, EOFError) as error:
        raise BadInputError(f"{path}: damaged or cut off. {remedy}.") from error
    if tiles.dtype != settings.record() or tiles.shape != (n_tiles,):
        raise BadInputError(f"{path}: not the tiles that {INDEX} speaks of. {remedy}.")
    return tiles


# ---- reading ------------------------------------------------------------------------------------------------------


class ShardSet:
    """A set of tiles. It can be handed to other processes, each of which then opens the files for itself.

    Raises BadInputError where the folder holds no whole set.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        index = _read_index(folder / INDEX)
        try:
            self.settings = TileSettings(*(index[name] for name in ("seed", "difficulty", "um_per_px", "tile_um")))
            self._n_tiles = int(index["tiles"])
        except (KeyError, TypeError, ValueError) as error:
            raise BadInputError(f"{folder / INDEX}: damaged. Draw the set again in an empty folder.") from error
        if {**index, **_index(self.settings, self._n_tiles), "version": index.get("version")} != index:
            raise BadInputError(f"{folder}: drawn by another version of this program. Draw the set again.")
        self._open = lru_cache(maxsize=MOST_OPEN)(self._opened)
        for number in range(ceil(self._n_tiles / SHARD_TILES)):  # a set that is not whole is told at once
            self._open(number)

    def __len__(self) -> int:
        return self._n_tiles

    def __reduce__(self) -> tuple[type[ShardSet], tuple[Path]]:
        return ShardSet, (self.folder,)

    def group(self, index: int) -> int:
        """Region that a tile is cut from: tiles of one region never belong to both sides of a split."""
        return index // GROUP_TILES

    def kind(self, index: int) -> tuple[str, str]:
        """What a tile's region was drawn for (a key of `AIMS`), and its pattern of antigen."""
        tile = self._tile(index)
        return list(AIMS)[int(tile["aim"])], list(SCORES)[int(tile["score"])]

    def sample(
        self,
        index: int,
        rng: np.random.Generator,
        difficulty: str = "hard",
        run: Run | None = None,
        looks: Looks | None = None,
    ) -> Sample:
        """A tile in a stain, under a microscope and in an orientation that `rng` chooses; `run` fixes the former."""
        return make_sample(self._tile(index), self.settings, self._bank, rng, difficulty, run, looks)

    @cached_property
    def _bank(self) -> TextureBank:
        return TextureBank(self.settings)

    def _tile(self, index: int) -> np.void:
        if not 0 <= index < self._n_tiles:
            raise IndexError(f"tile {index} of {self._n_tiles}")
        tile: np.void = self._open(index // SHARD_TILES)[index % SHARD_TILES]
        return tile

    def _opened(self, number: int) -> NDArray[np.void]:
        return _opened(_shard_path(self.folder, number), self.settings, _tiles_in(number, self._n_tiles))
