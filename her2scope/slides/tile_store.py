"""Results of a slide's tiles on disk, written as they come, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, fields
from pathlib import Path
from types import TracebackType
from zipfile import BadZipFile

import numpy as np

from her2scope.domain.errors import CaseLockedError, DiskFullError, StoreError
from her2scope.slides.records import SlideCells, Tile, TileResult
from her2scope.storage.case_lock import CaseLock
from her2scope.storage.durable_files import flush_folder, remove_part_files, write_durably

FOLDER_DIGITS = 16
"""Of a digest, in the name of the folder that its tiles lie in; each file holds the whole of it."""
SUFFIX, LOCK = ".npz", "run.lock"
SEAL_BYTES = 64
"""A SHA-256 in hex: the comment of the zip archive that an npz is, so that numpy still reads the file."""
FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class TileStore:
    """Results of the tiles of one slide in one run's settings. Used by one thread of one program at a time.

    A result is kept in a file of its own, which is whole or not there. One that was damaged since is found by its seal,
    and is as good as not there: its tile is done again. Tiles of other settings lie in folders of their own.

    Parameters
    ----------
    root : Path
        Folder of the slide's tiles; made where it is not there.
    digest : str
        Of all that decides the results (`run_identity.work_digest`).

    Raises
    ------
    StoreError, DiskFullError
        Where it cannot be made, or another program works on these tiles.
    """

    def __init__(self, root: Path, digest: str) -> None:
        self.root, self.digest = root, digest
        self.folder = root / digest[:FOLDER_DIGITS]
        with _in_words(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _claimed(self.folder)
        remove_part_files(self.folder)

    def __enter__(self) -> TileStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """Tiles of earlier runs that are of no use for this one, in words."""
        n_other = sum(1 for path in self.root.glob(f"*/*{SUFFIX}") if path.parent != self.folder)
        if not n_other:
            return ()
        return (
            f"{n_other} tiles of an earlier run do not count: the slide, its settings, the plan of tiles or the "
            "program are not the same any more. The slide is begun anew.",
        )

    def keep(self, result: TileResult) -> None:
        """Write a result; it is there for good when this returns. StoreError, DiskFullError: nothing of it is there."""
        with _in_words(self.folder):
            write_durably(self._path(result.tile), encoded(result, self.digest))

    def read(self, tile: Tile) -> TileResult | None:
        """What was found in a tile, as it was written to the bit; None where it is not there or not sound."""
        try:
            content = self._path(tile).read_bytes()
        except OSError:  # one that cannot be read is done again; where the disk fails, writing it says so
            return None
        return decoded(content, tile, self.digest)

    def done(self, tiles: Iterable[Tile]) -> set[Tile]:
        """Those of the tiles whose results are there and sound."""
        return {tile for tile in tiles if self.read(tile) is not None}

    def results(self, tiles: Iterable[Tile]) -> Iterator[TileResult]:
        """What is there of these tiles, one after the other in their order."""
        return (result for tile in tiles if (result := self.read(tile)) is not None)

    def close(self) -> None:
        """Let other programs in. Safe to call twice."""
        if self._lock is not None:
            with suppress(OSError):
                flush_folder(self.folder)
            self._lock.release()
            self._lock = None

    def discard(self) -> None:
        """Remove all tiles of the slide, also those of other settings: their results stand elsewhere now."""
        self.close()
        shutil.rmtree(self.root, ignore_errors=True)

    def _path(self, tile: Tile) -> Path:
        return self.folder / f"{tile.name}{SUFFIX}"


def _claimed(folder: Path) -> CaseLock | None:
    """The lock of a folder of tiles; None on a drive that knows no locks: then the seals alone watch over the files."""
    try:
        return CaseLock(folder / LOCK, folder.name)
    except CaseLockedError as error:
        raise StoreError(
            f"{folder}: another her2scope works on this slide. Wait for its end, or choose another folder of results."
        ) from error
    except OSError:
        return None


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFullError(
                f"{folder}: the disk is full. Free some space and run the same command again: tiles that are done are "
                "kept."
            ) from error
        raise StoreError(
            f"{folder}: cannot be written ({error.strerror or error}). Check the disk and run the same command again, "
            "or choose another folder of results."
        ) from error


# ---- one file -----------------------------------------------------------------------------------------------------


def encoded(result: TileResult, digest: str) -> bytes:
    """A result as the bytes of an npz without pickles, sealed; the same result gives the same bytes."""
    file = io.BytesIO()
    columns = {item.name: getattr(result.cells, item.name) for item in fields(SlideCells)}
    np.savez(
        file, work=np.array(digest), tile=np.array(astuple(result.tile)), seconds=np.array(result.seconds),
        doubts=np.array(json.dumps(result.doubts)), **columns,
    )  # fmt: skip
    content = file.getvalue()
    body = content[:-2] + SEAL_BYTES.to_bytes(2, "little")  # the archive ends with the length of its comment
    return body + _seal(body)


def decoded(content: bytes, tile: Tile, digest: str) -> TileResult | None:
    """The result that `encoded` made of this tile with this digest; None for any other bytes."""
    body, seal = content[:-SEAL_BYTES], content[-SEAL_BYTES:]
    if seal != _seal(body):
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            if str(file["work"]) != digest or tuple(file["tile"].tolist()) != astuple(tile):
                return None
            cells = SlideCells(*(file[item.name] for item in fields(SlideCells)))
            return TileResult(tile, cells, tuple(json.loads(str(file["doubts"]))), float(file["seconds"]))
    except (BadZipFile, KeyError, ValueError, EOFError):  # sealed, but by another program than this one
        return None


def _seal(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode("ascii")
