"""Pictures through all methods, here or in several processes. Analysers are made where they work."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from her2scope.domain.errors import BadInputError
from her2scope.imaging.opencv import cv2
from her2scope.pipeline.analyse import FieldAnalyser

Analysers = Mapping[str, FieldAnalyser]
"""By method."""
Makers = Mapping[str, Callable[[], FieldAnalyser]]
"""By method; each must be able to travel to another process (a function of a module, or a partial of one)."""
Tell = Callable[[str], None]
Item = TypeVar("Item")
Result = TypeVar("Result")
_here: dict[str, FieldAnalyser] = {}
"""The analysers of a worker process."""


def done_in_any_order(
    task: Callable[[Analysers, Item], Result], items: Sequence[Item], makers: Makers, workers: int = 1
) -> Iterator[tuple[Item, Result]]:
    """Each item with its result, as it is done."""
    if workers < 2 or len(items) < 2:
        analysers = {name: make() for name, make in makers.items()} if items else {}
        yield from ((item, task(analysers, item)) for item in items)
        return
    # Spawned, as on every system: a forked process would inherit the threads' locks.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(items)), context, _begin_worker, (dict(makers),)) as pool:
        jobs: dict[Future[Result], Item] = {pool.submit(_run, task, item): item for item in items}
        try:
            for job in as_completed(jobs):
                yield jobs[job], job.result()
        except BrokenProcessPool as error:
            raise BadInputError(
                "a worker was ended from outside, perhaps for want of memory. Give fewer workers."
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker(makers: Makers) -> None:
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which then waits for begun items
    threading.Thread(target=_end_with_the_program, daemon=True).start()
    _here.update({name: make() for name, make in makers.items()})


def _end_with_the_program() -> None:
    """End a worker whose program was killed."""
    program = multiprocessing.parent_process()
    if program is not None:
        program.join()
        os._exit(1)


def _run(task: Callable[[Analysers, Any], Result], item: Any) -> Result:
    return task(_here, item)
