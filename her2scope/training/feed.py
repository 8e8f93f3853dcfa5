"""Samples for training: a pool in memory that other processes renew, so that the network never waits for tissue."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from dataclasses import replace
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.phantom.noise import mixed_seed
from her2scope.phantom.recipes import RECIPES
from her2scope.phantom.run import UNCLEAN, make_run
from her2scope.phantom.shards.looks import draw_looks
from her2scope.phantom.shards.store import ShardSet
from her2scope.phantom.shards.views import Sample
from her2scope.phantom.stain import Stain
from her2scope.training.targets import make_record, target_record

USUAL_SHARE = 0.3
"""Samples of a usual run: of the hard ones some show next to nothing."""
TINTED_SHARE, TINTS = 0.1, (-0.4, 0.8)
"""Samples whose cytoplasm and stroma are paler or bluer than the run's, and the span of the factor's logarithm: tumour
is not to be known by how blue its ground is alone. With four samples in ten, small tumour cells became stroma."""
CLEAN_SHARE, BLANK_SHARE = 0.10, 0.08
"""Samples without any DAB, and samples with that of cytoplasm and ground alone."""
RECIPE_SHARE = 0.2
"""Samples stained and photographed like one of the recipes, whatever their tissue."""
NUCLEAR_OD10, NUCLEAR_MOTTLE = (0.1, 1.2), (0.5, 2.5)
"""Of samples of a nuclear antibody, most without any membrane: DAB over nuclei must neither hide them nor look like
walls. A network that had seen none missed four nuclei in ten of real Ki67 fields, most of them brown."""
MEMBRANE_TOO_SHARE = 0.3
"""Of those."""
OTHER_LOOKS_SHARE = 0.5
"""Samples whose nuclei and ground look otherwise than drawn."""
WAITING = 24
"""Samples made ahead by each worker."""


class Pool:
    """Records of samples, the oldest replaced by fresh ones as they come.

    Parameters
    ----------
    capacity : records kept, half a MB each
    reuse : how many times a record is learnt from, on average: tissue costs more time than the network
    nuclear_share : of samples of a nuclear antibody
    """

    def __init__(
        self,
        sets: list[ShardSet],
        tiles: list[tuple[int, int]],
        seed: int,
        capacity: int,
        reuse: float,
        workers: int,
        nuclear_share: float,
    ) -> None:
        side_px = sets[0].settings.out_px
        self._records = np.zeros(capacity, target_record(side_px))
        self._n_made, self._owed, self._reuse = 0, 0.0, reuse
        context = multiprocessing.get_context("spawn")
        self._queue: Queue[NDArray[np.void]] = context.Queue(WAITING * workers)
        what = self._queue, sets, tiles, nuclear_share
        self._workers: list[BaseProcess] = [
            context.Process(target=_make_records, args=(*what, mixed_seed(seed, n)), daemon=True)
            for n in range(workers)
        ]
        for worker in self._workers:
            worker.start()

    def fill(self, least: int) -> None:
        """Wait until there are `least` records."""
        while self._n_made < min(least, len(self._records)):
            self._take(wait_s=300.0)

    def batch(self, size: int, rng: np.random.Generator) -> NDArray[np.void]:
        """`(size,)` records at random, after the pool has been renewed by the share that is due."""
        self._owed += size / self._reuse
        while self._owed >= 1.0 and self._take(wait_s=0.0):
            self._owed -= 1.0
        self._owed = min(self._owed, 4.0 * size)  # what workers could not make is not asked for later
        return self._records[rng.integers(0, min(self._n_made, len(self._records)), size)]

    @property
    def n_made(self) -> int:
        """Samples made so far."""
        return self._n_made

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.terminate()
            worker.join()

    def _take(self, wait_s: float) -> bool:
        try:
            record = self._queue.get(timeout=wait_s) if wait_s else self._queue.get_nowait()
        except queue.Empty:
            if wait_s:
                raise RuntimeError("the workers that make samples have stopped") from None
            return False
        self._records[self._n_made % len(self._records)] = record
        self._n_made += 1
        return True


def draw_sample(tiles: ShardSet, index: int, rng: np.random.Generator, nuclear_share: float) -> tuple[Sample, bool]:
    """Sample of a tile in a run that `rng` draws, some of them without any membrane stain, and whether it is usual.

    One of a nuclear antibody is not: an earlier network may not know it, and is not asked.

    What a tumour cell is must be learnt from its looks, not from its brown: real negative tumours have none.
    """
    recipe = str(rng.choice(list(RECIPES))) if rng.random() < RECIPE_SHARE else None
    difficulty = "usual" if rng.random() < USUAL_SHARE else "hard"
    run = make_run(int(rng.integers(1 << 53)), difficulty, recipe=recipe)
    if rng.random() < TINTED_SHARE:
        cytoplasm, stroma = np.exp(rng.uniform(*TINTS, 2))
        blue = {"cytoplasm_od10": cytoplasm * run.stain.cytoplasm_od10, "stroma_od10": stroma * run.stain.stroma_od10}
        run = replace(run, stain=replace(run.stain, **blue))
    kind = float(rng.random())
    if kind < BLANK_SHARE + CLEAN_SHARE:
        run = replace(run, stain=replace(run.stain, dab_gain=0.0))
    if kind < CLEAN_SHARE:
        clean: dict[str, Any] = dict.fromkeys(UNCLEAN, 0.0)
        run = replace(run, stain=replace(run.stain, **clean))
    is_nuclear = rng.random() < nuclear_share
    if is_nuclear:
        run = replace(run, stain=_of_nuclear_antibody(run.stain, rng))
    looks = draw_looks(rng) if rng.random() < OTHER_LOOKS_SHARE else None
    sample = tiles.sample(index, rng, run=run, looks=looks)
    if run.stain.dab_gain == 0.0:
        sample = replace(sample, membrane=np.zeros_like(sample.membrane))
    return sample, not is_nuclear


def _of_nuclear_antibody(stain: Stain, rng: np.random.Generator) -> Stain:
    stain = replace(stain, nuclear_od10=rng.uniform(*NUCLEAR_OD10), nuclear_mottle=rng.uniform(*NUCLEAR_MOTTLE))
    return stain if rng.random() < MEMBRANE_TOO_SHARE else replace(stain, dab_gain=0.0)


def _end_with_the_program() -> None:
    """End a worker whose program was killed: it would wait for ever."""
    program = multiprocessing.parent_process()
    if program is not None:
        program.join()
        os._exit(1)


def _make_records(
    out: Queue[NDArray[np.void]], sets: list[ShardSet], tiles: list[tuple[int, int]], nuclear_share: float, seed: int
) -> None:
    """A worker: samples of the tiles (set, index), evenly, until the program ends it or is gone."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program
    threading.Thread(target=_end_with_the_program, daemon=True).start()
    rng = np.random.default_rng(seed)
    while True:
        number, index = tiles[int(rng.integers(len(tiles)))]
        out.put(make_record(*draw_sample(sets[number], index, rng, nuclear_share)))
