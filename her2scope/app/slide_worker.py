"""What a worker of a slide run does, on whatever computer it runs. Knows no Qt."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass

from her2scope.app.arenas import few_arenas
from her2scope.app.compose import make_analyser
from her2scope.cameras.slide_readers import open_slide
from her2scope.domain.errors import Her2ScopeError, UnreadableImageError
from her2scope.ports import SlideReader
from her2scope.records import ProgramInfo
from her2scope.segmentation.region_model import load_region_model
from her2scope.slides.records import Tile, TileResult, TileWork
from her2scope.slides.run import UnfitWorkerError
from her2scope.slides.run_identity import slide_digest
from her2scope.slides.tile_analysis import TileAnalyser

THREADS = 1
"""Of each worker: the cores are shared out by tiles."""


def analyse_tile(work: TileWork, tile: Tile) -> TileResult:
    """Cells of a tile.

    Raises UnreadableImageError where the slide is damaged there, and UnfitWorkerError where this worker does not see
    the slide or has another model.
    """
    return _open_for(work).tiles.analyse(tile)


def worker_program(work: TileWork) -> ProgramInfo:
    """What a worker analyses with: asked of one before a run, so that a report names what really did the work."""
    analyser = make_analyser(work.method, work.settings, work.calibration, THREADS)
    network = getattr(analyser.segmenter, "network", None)
    return analyser.program(network.provider) if network is not None else analyser.program()


@dataclass(frozen=True, slots=True)
class _Open:
    """What a thread keeps from tile to tile."""

    work: TileWork
    file: tuple[int, int]
    reader: SlideReader
    tiles: TileAnalyser


_mine = threading.local()


def let_go() -> None:
    """Close what this thread keeps; a worker's thread that ends does so by itself."""
    kept: _Open | None = getattr(_mine, "open", None)
    _mine.open = None
    if kept is not None:
        kept.reader.close()


def _open_for(work: TileWork) -> _Open:
    """The thread's own reader and analyser of the slide; a slide that was written anew since is opened again."""
    kept: _Open | None = getattr(_mine, "open", None)
    if kept is not None and kept.work == work and kept.file == _file(work):
        return kept
    let_go()
    try:
        _mine.open = opened = _opened(work)
    except UnfitWorkerError:
        raise
    except Her2ScopeError as error:  # no tile can be done here: the model, a setting or a program is missing
        raise UnfitWorkerError(str(error)) from error
    return opened


def _opened(work: TileWork) -> _Open:
    few_arenas()
    analyser = make_analyser(work.method, work.settings, work.calibration, THREADS)
    model = analyser.segmenter.model_sha256
    if work.model_sha256 and model != work.model_sha256:
        raise UnfitWorkerError(
            f"it would use another model file ({model[:12]}) than the run ({work.model_sha256[:12]}): a graphics card "
            "is there or not, or another version is installed. Let computers of one kind do a run."
        )
    region_model = load_region_model(work.region_model) if work.region_model else None
    file = _file(work)
    try:
        if work.slide_sha256 and slide_digest(work.path) != work.slide_sha256:
            raise UnfitWorkerError(f"{work.path} is another file there. The slide must lie under this path everywhere.")
        reader = open_slide(work.path)
    except UnreadableImageError as error:
        raise UnfitWorkerError(f"{error} The slide must lie under this path on all workers.") from error
    return _Open(work, file, reader, TileAnalyser(reader, analyser, work, region_model))


def _file(work: TileWork) -> tuple[int, int]:
    """What changes when the file is written anew."""
    with suppress(OSError):
        status = os.stat(work.path)
        return status.st_size, status.st_mtime_ns
    return 0, 0
