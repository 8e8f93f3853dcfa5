"""One slide ahead: the next is prepared by one thread, while the tiles of this one are analysed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from pathlib import Path
from threading import Event, Thread
from typing import Generic, Protocol, TypeVar

from her2scope.ports import SlideLevel, SlideReader
from her2scope.records import RgbImage

TICK_S = 0.5
"""So often who waits looks up: on Windows Ctrl+C is not heard before."""
LET_GO_S = 5.0
"""How long the thread may take to end: it hears of it at each region that it reads. One that hangs, on a drive that
does not answer, is left behind."""


class Closable(Protocol):
    """What is prepared holds a file."""

    def close(self) -> None:
        """Let go of it."""


Item = TypeVar("Item")
Prepared = TypeVar("Prepared", bound=Closable)


class NotWantedError(Exception):
    """The run has ended: nobody waits for what is being prepared."""


class Ahead(Generic[Item, Prepared]):
    """Prepares items in their order, each while the one before it is in work; one waits at most.

    The first is prepared by whoever takes it: for a single item no thread is begun.

    Parameters
    ----------
    prepare : called by one thread at a time
    stop : set at the end; `prepare` should then raise `NotWantedError` soon (`StoppableReader` does)
    """

    def __init__(self, items: Iterable[Item], prepare: Callable[[Item], Prepared], stop: Event) -> None:
        self._waiting, self._prepare, self._stop = deque(items), prepare, stop
        self._next: Future[Prepared] | None = None
        self._thread: Thread | None = None

    def take(self) -> Prepared:
        """The next item, prepared, which the caller closes; or what `prepare` raised. The one after it is begun."""
        if self._next is None:
            answer = _answered(self._prepare, self._waiting.popleft())
        else:
            answer = self._next
            while not wait([answer], TICK_S).done:
                pass
        self._next = self._thread = None
        if self._waiting:
            self._begin(self._waiting.popleft())
        return answer.result()

    def close(self) -> None:
        """Stop the thread, and let go of what it prepared. Safe to call twice."""
        self._stop.set()
        if self._next is not None:
            self._next.add_done_callback(_let_go)
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(LET_GO_S)
        self._next = self._thread = None

    def _begin(self, item: Item) -> None:
        answer: Future[Prepared] = Future()
        thread = Thread(target=_answer, args=(answer, self._prepare, item), name="her2scope next slide", daemon=True)
        self._next, self._thread = answer, thread  # before it begins: Ctrl+C may come at once
        thread.start()


def _answered(prepare: Callable[[Item], Prepared], item: Item) -> Future[Prepared]:
    """The answer or the error, found here and now; Ctrl+C ends it at once."""
    answer: Future[Prepared] = Future()
    try:
        answer.set_result(prepare(item))
    except Exception as error:  # noqa: BLE001 - raised by who takes it, after the next was begun
        answer.set_exception(error)
    return answer


def _answer(answer: Future[Prepared], prepare: Callable[[Item], Prepared], item: Item) -> None:
    try:
        answer.set_result(prepare(item))
    except BaseException as error:  # noqa: BLE001 - top of a thread: raised by who takes the answer
        answer.set_exception(error)


def _let_go(answer: Future[Prepared]) -> None:
    if answer.exception() is None:
        answer.result().close()


class StoppableReader:
    """A slide that is read only until a run ends: `NotWantedError` afterwards."""

    def __init__(self, reader: SlideReader, stop: Event) -> None:
        self._reader, self._stop = reader, stop

    @property
    def levels(self) -> tuple[SlideLevel, ...]:
        """From the full resolution to the coarsest."""
        return self._reader.levels

    @property
    def um_per_px(self) -> float | None:
        """Pixel size at full resolution."""
        return self._reader.um_per_px

    def region(self, level: int, left_px: int, top_px: int, width_px: int, height_px: int) -> RgbImage:
        """Read a region, see `ports.SlideReader`."""
        if self._stop.is_set():
            raise NotWantedError
        return self._reader.region(level, left_px, top_px, width_px, height_px)

    def close(self) -> None:
        """Let go of the file. Safe to call twice."""
        self._reader.close()


def stoppable(opened: Callable[[Path], SlideReader], stop: Event) -> Callable[[Path], SlideReader]:
    """The same way to open a slide, whose readers stop with the run."""
    return lambda path: StoppableReader(opened(path), stop)
