"""Tiles of a slide that is not there, for tests of how they are handed out: workers import this module by its name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from her2scope.domain.errors import BadInputError, UnreadableImageError
from her2scope.settings import Calibration, ScoringSettings
from her2scope.slides.records import OUTLINE_PLACES, SlideCells, SlideScale, Tile, TileResult, TileWork
from her2scope.slides.run import UnfitWorkerError

SIDE_PX = 100


def work_on(path: Path, **changed: object) -> TileWork:
    """Work on a slide; the tests' functions never open it, and keep their notes in files beside it."""
    scale = SlideScale(0, 1.0, 0.25, 10 * SIDE_PX, 10 * SIDE_PX)
    settings = ScoringSettings()
    values: dict[str, object] = {
        "path": path, "scale": scale, "white_rgb": (240.0, 240.0, 240.0), "white_estimated": True,
        "calibration": Calibration(), "settings": settings, "method": "network", "cuts": settings.cuts,
    }  # fmt: skip
    return TileWork(**(values | changed))  # type: ignore[arg-type]


def tiles(n: int) -> tuple[Tile, ...]:
    """A plan of n tiles, ten in a row."""
    return tuple(Tile(k // 10, k % 10, SIDE_PX * (k % 10), SIDE_PX * (k // 10), SIDE_PX, SIDE_PX) for k in range(n))


def cells_of(tile: Tile, n: int | None = None) -> SlideCells:
    """Cells that depend on the tile alone."""
    rng = np.random.default_rng((tile.row, tile.column))
    n = int(rng.integers(0, 40)) if n is None else n
    return SlideCells(
        x_um=rng.random(n), y_um=rng.random(n), radius_um=rng.random(n, np.float32),
        class_code=rng.integers(0, 5, n).astype(np.uint8), completeness=rng.random(n, np.float32),
        intensity_od10=rng.random(n, np.float32), intense_share=rng.random(n, np.float32),
        uniform_od10=rng.random(n, np.float32), uncertain=rng.random(n) < 0.5, within=rng.random(n) < 0.5,
        outline_um=rng.random((n, OUTLINE_PLACES, 2)).astype(np.float16),
    )  # fmt: skip


def result_of(tile: Tile) -> TileResult:
    """What `drawn` finds in a tile."""
    return TileResult(tile, cells_of(tile), ("hazy",) if tile.column == 3 else (), 0.01)


def drawn(work: TileWork, tile: Tile) -> TileResult:
    """Analyse a tile at once, and note that it was."""
    with (work.path.parent / "calls").open("a") as file:
        file.write(f"{tile.name} {os.getpid()}\n")
    return result_of(tile)


def calls(work: TileWork) -> list[str]:
    """Tiles that were analysed so far, in order."""
    return [line.split()[0] for line in (work.path.parent / "calls").read_text().splitlines()]


def slow(work: TileWork, tile: Tile) -> TileResult:
    """As `drawn`, but it takes a moment."""
    time.sleep(0.05)
    return drawn(work, tile)


def damaged_once(work: TileWork, tile: Tile) -> TileResult:
    """As `drawn`, but the second tile of each row fails the first time."""
    if tile.column == 1 and tile.name not in _noted(work, "failed"):
        _note(work, "failed", tile)
        raise UnreadableImageError(work.path, "a part of it cannot be read", "Copy it again.")
    return drawn(work, tile)


def damaged(work: TileWork, tile: Tile) -> TileResult:
    """As `drawn`, but one tile of the first row cannot be read."""
    if (tile.row, tile.column) == (0, 1):
        _note(work, "failed", tile)
        raise UnreadableImageError(work.path, "a part of it cannot be read", "Copy it again.")
    return drawn(work, tile)


def faulty(work: TileWork, tile: Tile) -> TileResult:
    """As `damaged`, by a fault of the program."""
    if (tile.row, tile.column) == (0, 1):
        raise ZeroDivisionError("a fault\nin two lines")
    return drawn(work, tile)


def refused(work: TileWork, tile: Tile) -> TileResult:
    """As `damaged`, by an error of the program's own that says nothing of the worker."""
    if (tile.row, tile.column) == (0, 1):
        raise BadInputError("this tile cannot be")
    return drawn(work, tile)


def half_damaged(work: TileWork, tile: Tile) -> TileResult:
    """As `drawn`, but every other tile cannot be read."""
    if tile.column % 2:
        raise UnreadableImageError(work.path, "a part of it cannot be read", "Copy it again.")
    return drawn(work, tile)


def unfit(work: TileWork, tile: Tile) -> TileResult:
    """A worker that does not see the slide."""
    raise UnfitWorkerError(f"{work.path}: no such slide file.")


def deadly_tile(work: TileWork, tile: Tile) -> TileResult:
    """As `drawn`, but one tile kills whoever analyses it."""
    if (tile.row, tile.column) == (0, 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return drawn(work, tile)


def _note(work: TileWork, name: str, tile: Tile) -> None:
    with (work.path.parent / name).open("a") as file:
        file.write(tile.name + "\n")


def _noted(work: TileWork, name: str) -> Sequence[str]:
    path = work.path.parent / name
    return path.read_text().split() if path.exists() else ()
