"""Several threads that share the work of one frame."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from math import ceil
from threading import Thread
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Workers:
    """So many threads, the caller's among them, for as long as there is work for them.

    Each call begins its own and waits for their end, however it ends itself: nothing is left to stop, and callers on
    several threads, or one in another's work, never wait for each other. To begin a thread takes 0.1 ms: that pays for
    a millisecond and more of what lets go of Python's lock (OpenCV, ONNX Runtime, numpy on large arrays).

    Parameters
    ----------
    threads : int
        0: one per core. With one, the caller does everything.
    """

    def __init__(self, threads: int = 0) -> None:
        self.threads = threads or _cores()

    @contextmanager
    def beside(self, work: Callable[[], Answer]) -> Iterator[Callable[[], Answer]]:
        """Have something done while the body of `with` does something else.

        Yields what waits for its answer and gives it, or raises its error. The body's end waits for it, too. With one
        thread it is done when the answer is first asked for: never, where nobody asks.
        """
        answer: Future[Answer] = Future()
        if self.threads == 1:
            yield lambda: (answer if answer.done() else _done(answer, work)).result()
            return
        other = _begun(partial(_done, answer, work))
        try:
            yield answer.result
        finally:
            other.join()

    def each(self, work: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
        """The answer to each item, in their order; whoever is free takes the next.

        Where one fails no more are begun, and the error is that of the first that failed, in their order.
        """
        answers: list[Future[Answer]] = [Future() for _ in items]
        waiting = deque(zip(items, answers, strict=True))

        def take() -> None:
            with suppress(IndexError):  # nothing waits any more
                while True:
                    item, answer = waiting.popleft()
                    if _done(answer, partial(work, item)).exception() is not None:
                        waiting.clear()

        others: list[Thread] = []
        try:
            others.extend(_begun(take) for _ in range(min(self.threads, len(items)) - 1))
            take()
        finally:
            waiting.clear()
            for other in others:
                other.join()
        return [answer.result() for answer in answers]  # what was not begun stands behind what failed

    def even_size(self, n: int, at_most: int) -> int:
        """How many of n belong in a part, at most so many, that each thread gets as many parts as the others."""
        n_parts = self.threads * ceil(n / (self.threads * at_most))
        return max(1, ceil(n / max(1, n_parts)))


def _begun(work: Callable[[], object]) -> Thread:
    thread = Thread(target=work, name="her2scope worker")
    thread.start()
    return thread


def _done(answer: Future[Answer], work: Callable[[], Answer]) -> Future[Answer]:
    """The answer, or the error in its place."""
    try:
        answer.set_result(work())
    except BaseException as error:  # noqa: BLE001 - raised where the answer is asked for
        answer.set_exception(error)
    return answer


def _cores() -> int:
    """Cores that this program may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
