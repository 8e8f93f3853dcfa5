"""The tiles of a slide, analysed by a crew of workers, and written as they come by this program alone."""

from __future__ import annotations

import math
import os
import socket
import sys
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import Her2ScopeError, UnreadableImageError
from her2scope.imaging.opencv import cv2
from her2scope.settings import home_dir
from her2scope.slides.progress import Progress, Told, silent
from her2scope.slides.records import SlideScale, Square, Tile, TileResult, TileWork, TissueMap
from her2scope.slides.run_identity import versions
from her2scope.slides.schedulers import (
    GO_ON,
    SAME,
    Crew,
    Job,
    JobError,
    SchedulerError,
    WorkerDiedError,
    misfit,
    one_line,
)
from her2scope.slides.tile_store import TileStore

MAX_LOST_SHARE = 0.05
"""Of a slide's tissue that may be unreadable: with more, what is left is not the slide."""
IN_FLIGHT = 3
"""Blocks per worker that are handed out: one in work, the next, and one while the client writes."""
MOST_IN_BLOCK, BLOCKS_PER_WORKER = 4, 8
"""Tiles of a block at most; fewer where each worker would get fewer blocks than these, for the last ones' sake."""
TIMES_TRIED = 2
TICK_S = 1.0
HUNG_S = 3600.0
"""Where no block ended for so long those in work are taken for hung (on a drive that does not answer): a block of the
largest tiles takes some minutes."""

Analyse = Callable[[TileWork, Tile], TileResult]
"""A function of a module, which workers import by its name."""


class UnfitWorkerError(Her2ScopeError):
    """A worker cannot do the work, whatever the tile: it does not see the slide, or has another model."""


@dataclass(frozen=True, slots=True)
class LostTile:
    """A tile that could not be analysed."""

    tile: Tile
    why: str
    x_mm: float
    y_mm: float
    """Its middle."""
    tissue_mm2: float
    """That is not counted for it."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What became of the tiles of a slide; their results are in the store."""

    n_tiles: int
    n_kept: int
    """Done already in an earlier run."""
    lost: tuple[LostTile, ...]
    tissue_mm2: float
    """Of all tiles."""
    seconds: float
    crew: str
    peak_mb: Mapping[str, float] = field(default_factory=dict)
    """Most memory that each process of the workers held so far, by computer and process number."""
    notes: tuple[str, ...] = ()
    """What a reader should know, in words."""

    @property
    def lost_share(self) -> float:
        """Of the tissue."""
        return _share(sum(item.tissue_mm2 for item in self.lost), self.tissue_mm2)

    @property
    def problems(self) -> tuple[str, ...]:
        """Each lost tile, in words."""
        return tuple(_in_words(item) for item in self.lost)


def run_tiles(
    work: TileWork,
    tiles: Sequence[Tile],
    store: TileStore,
    crew: Crew,
    analyse: Analyse,
    told: Told = silent,
    tissue: TissueMap | None = None,
) -> RunOutcome:
    """Analyse those tiles whose results are not in the store yet, and keep what is found.

    A tile that fails is tried once more, by itself and last; one that fails again is lost, and said. Only a few blocks
    per worker are handed out at a time: neither the tasks of a slide nor its cells ever lie in memory all at once.

    Parameters
    ----------
    analyse : called by the workers, which see the slide under the same path
    told : gets how far it has come, about once a second
    tissue : where the tissue lies; without it the whole of a tile counts as tissue

    Raises
    ------
    UnreadableImageError
        Where more than `MAX_LOST_SHARE` of the tissue is lost.
    SchedulerError, UnfitWorkerError
        Where the crew cannot go on with the slide.
    StoreError, DiskFullError
        Where a result cannot be written.
    KeyboardInterrupt
        With how far it came and how to go on, in words; what is done is kept in all these cases.
    """
    run = _Run(work, tiles, store, crew, analyse, told, tissue)
    try:
        outcome = run.go()
    except KeyboardInterrupt:
        n_done = run.n_done
        raise KeyboardInterrupt(
            f"stopped: {n_done} of {len(tiles)} tiles of {work.path.name} are done. {GO_ON}"
        ) from None
    if outcome.lost_share > MAX_LOST_SHARE:
        raise UnreadableImageError(
            work.path,
            f"{100 * outcome.lost_share:.0f} % of its tissue could not be analysed, which is too much for a score; "
            f"{outcome.problems[0]}",
            "Copy or scan it again.",
        )
    return outcome


class _Run:
    """One slide's run."""

    def __init__(
        self,
        work: TileWork,
        tiles: Sequence[Tile],
        store: TileStore,
        crew: Crew,
        analyse: Analyse,
        told: Told,
        tissue: TissueMap | None,
    ) -> None:
        self._work, self._store, self._crew, self._analyse, self._told = work, store, crew, analyse, told
        self._tiles, self._notes = tiles, store.notes
        self._tissue_mm2 = dict(zip(tiles, tissue_mm2(tiles, work.scale, tissue).tolist(), strict=True))
        self._all_mm2 = self._sum(tiles)
        kept = store.done(tiles)
        self._n_kept, self._kept_mm2 = len(kept), self._sum(kept)
        self.n_done, self._done_mm2 = self._n_kept, self._kept_mm2
        self._waiting = deque(tile for tile in tiles if tile not in kept)
        self._again: deque[Tile] = deque()
        self._suspects: deque[Tile] = deque()
        """Of these one may kill its worker, and with it the work of others: each is done while no other is."""
        self._tried: Counter[Tile] = Counter()
        self._lost: dict[Tile, str] = {}
        self._jobs: dict[Job, tuple[Tile, ...]] = {}
        self._peak_mb: dict[str, float] = {}
        self._start_s = self._heard_s = time.monotonic()
        self._has_hung = False

    def go(self) -> RunOutcome:
        self._told(self._progress())
        try:
            while self._waiting or self._again or self._suspects or self._jobs:
                self._hand_out()
                for job in self._crew.wait(self._jobs, TICK_S) if self._jobs else self._nobody():
                    self._take(job)
                    self._heard_s = time.monotonic()
                self._check_heard()
                self._told(self._progress())
        finally:
            for job in self._jobs:
                job.cancel()
        return RunOutcome(
            n_tiles=len(self._tiles),
            n_kept=self._n_kept,
            lost=tuple(self._lost_tile(tile, why) for tile, why in sorted(self._lost.items())),
            tissue_mm2=self._all_mm2,
            seconds=time.monotonic() - self._start_s,
            crew=self._crew.name,
            peak_mb=self._peak_mb,
            notes=self._notes,
        )

    def _hand_out(self) -> None:
        n_workers = self._crew.n_workers
        while len(self._jobs) < IN_FLIGHT * n_workers and (block := self._block(n_workers)):
            self._submit(block)
        if n_workers and self._suspects and not self._jobs:
            self._submit((self._suspects.popleft(),))

    def _submit(self, block: tuple[Tile, ...]) -> None:
        self._jobs[self._crew.submit(analyse_block, self._analyse, self._work, block, versions())] = block

    def _nobody(self) -> Sequence[Job]:
        """Wait a little for workers to be there."""
        time.sleep(TICK_S)
        return ()

    def _block(self, n_workers: int) -> tuple[Tile, ...]:
        """The next tiles for one worker; those that failed come last and one by one."""
        if not self._waiting:
            return (self._again.popleft(),) if self._again else ()
        size = min(MOST_IN_BLOCK, max(1, len(self._waiting) // (BLOCKS_PER_WORKER * n_workers)))
        return tuple(self._waiting.popleft() for _ in range(min(size, len(self._waiting))))

    def _take(self, job: Job) -> None:
        block = self._jobs.pop(job)
        try:
            done: BlockDone = job.answer()
        except WorkerDiedError:
            self._fail(block, "each worker that analysed it died", self._suspects)
            return
        except JobError as error:
            raise UnfitWorkerError(f"a worker cannot run her2scope ({error}). {SAME} {GO_ON}") from error
        if done.unfit:
            raise UnfitWorkerError(f"worker {done.worker}: {done.unfit} {GO_ON}")
        if done.peak_mb is not None:
            self._peak_mb[done.worker] = max(done.peak_mb, self._peak_mb.get(done.worker, 0.0))
        for result in done.results:
            self._store.keep(result)
            self.n_done += 1
            self._done_mm2 += self._tissue_mm2[result.tile]
        for failed in done.failed:
            _keep_details(failed.details)
            self._fail((failed.tile,), failed.why, self._again)

    def _check_heard(self) -> None:
        """Take blocks that nothing is heard of from their workers, once; SchedulerError where that did not help."""
        if not self._jobs or time.monotonic() - self._heard_s < HUNG_S:
            return
        silence = f"no tile ended for {HUNG_S / 60:.0f} minutes"
        if self._has_hung:
            raise SchedulerError(f"{self._crew.name}: {silence}. Check the drive and restart the workers. {GO_ON}")
        self._has_hung, self._heard_s = True, time.monotonic()
        for job, block in self._jobs.items():
            job.cancel()
            self._fail(block, silence, self._suspects)
        self._jobs.clear()

    def _fail(self, block: Sequence[Tile], why: str, later: deque[Tile]) -> None:
        """Try these once more, later, or give them up."""
        for tile in block:
            self._tried[tile] += 1
            if self._tried[tile] < TIMES_TRIED:
                later.append(tile)
            else:
                self._lost[tile] = why

    def _lost_tile(self, tile: Tile, why: str) -> LostTile:
        mm_per_px = self._work.scale.um_per_px / 1000.0
        x_mm = (tile.left_px + tile.width_px / 2) * mm_per_px
        y_mm = (tile.top_px + tile.height_px / 2) * mm_per_px
        return LostTile(tile, why, x_mm, y_mm, self._tissue_mm2[tile])

    def _sum(self, tiles: Iterable[Tile]) -> float:
        return math.fsum(self._tissue_mm2[tile] for tile in tiles)

    def _progress(self) -> Progress:
        n_done = self.n_done + len(self._lost)
        seconds = time.monotonic() - self._start_s
        return Progress(n_done, len(self._tiles), self._done_mm2, self._all_mm2, self._kept_mm2, seconds)


def _keep_details(details: str) -> None:
    """Of a fault of the program, in the file where the command line keeps its last one."""
    if details:
        with suppress(OSError):
            home_dir().mkdir(parents=True, exist_ok=True)
            (home_dir() / "last-error.txt").write_text(details, encoding="utf-8", errors="backslashreplace")


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _in_words(lost: LostTile) -> str:
    return (
        f"the tile at x {lost.x_mm:.2f} mm, y {lost.y_mm:.2f} mm could not be analysed ({lost.why.rstrip('.')}): "
        f"{lost.tissue_mm2:.2f} mm2 of tissue are not counted"
    )


def tissue_mm2(tiles: Sequence[Tile], scale: SlideScale, tissue: TissueMap | None = None) -> NDArray[np.float64]:
    """Area of the tissue in each tile's core; of the core itself without a map of the tissue."""
    sides = [(t.left_px, t.top_px, t.left_px + t.width_px, t.top_px + t.height_px) for t in tiles]
    left, top, right, bottom = scale.um_per_px * np.array(sides, np.float64).reshape(-1, 4).T
    if tissue is None:
        return (right - left) * (bottom - top) / 1e6
    held = np.zeros(np.add(tissue.squares.shape, 1))
    held[1:, 1:] = (tissue.squares == Square.TISSUE).cumsum(axis=0).cumsum(axis=1)

    def before(x_um: NDArray[np.float64], y_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """Squares of tissue above and to the left of places, parts of squares as parts."""
        column, dx = _place(x_um / tissue.square_um, tissue.squares.shape[1])
        row, dy = _place(y_um / tissue.square_um, tissue.squares.shape[0])
        above = held[row, column] * (1 - dx) + held[row, column + 1] * dx
        below = held[row + 1, column] * (1 - dx) + held[row + 1, column + 1] * dx
        return above * (1 - dy) + below * dy

    squares = before(right, bottom) - before(left, bottom) - before(right, top) + before(left, top)
    return squares * (tissue.square_um / 1000.0) ** 2


def _place(squares: NDArray[np.float64], last: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """A place in squares as the whole one before it and the rest; what lies beyond the map is its edge."""
    within = np.clip(squares, 0.0, last)
    whole = np.minimum(np.floor(within).astype(np.intp), last - 1)
    return whole, within - whole


# ---- on the worker ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FailedTile:
    """A tile that could not be analysed this time."""

    tile: Tile
    why: str
    details: str = ""
    """Of a fault of the program."""


@dataclass(frozen=True, slots=True)
class BlockDone:
    """What a worker answers."""

    worker: str
    """Its computer and process."""
    results: tuple[TileResult, ...] = ()
    failed: tuple[FailedTile, ...] = ()
    unfit: str = ""
    """Why this worker cannot do any tile of the slide."""
    peak_mb: float | None = None


def analyse_block(analyse: Analyse, work: TileWork, tiles: Sequence[Tile], expected: Mapping[str, str]) -> BlockDone:
    """Analyse some tiles in one thread; what goes wrong is told in words, for not every error survives a journey."""
    worker = f"{socket.gethostname()}:{os.getpid()}"
    if differs := misfit(versions(), expected):
        return BlockDone(worker, unfit=f"it has {differs}. {SAME}")
    cv2.setNumThreads(1)  # one core per worker
    results, failed = [], []
    for tile in tiles:
        try:
            results.append(analyse(work, tile))
        except UnreadableImageError as error:
            failed.append(FailedTile(tile, error.why))
        except UnfitWorkerError as error:
            return BlockDone(worker, unfit=one_line(error))
        except Her2ScopeError as error:
            failed.append(FailedTile(tile, one_line(error)))
        except Exception as error:  # noqa: BLE001 - a slide of hours is not lost for a tile, which is said
            why = f"something unexpected went wrong: {type(error).__name__}, {one_line(error)}"
            failed.append(FailedTile(tile, why, "".join(traceback.format_exception(error))))
    return BlockDone(worker, tuple(results), tuple(failed), peak_mb=peak_mb())


def peak_mb() -> float | None:
    """Most memory that this process held; None where the system does not tell."""
    try:  # not getrusage on Linux: that of a new process begins at what its parent held
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next(float(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(most if sys.platform == "darwin" else 1024 * most) / 1e6
