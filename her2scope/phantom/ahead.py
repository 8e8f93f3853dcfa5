"""Draws what a reader will look at next, while the camera shows what there is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from her2scope.phantom.slide import PhantomSlide, Tile

LINGER_S = 0.002
"""Rest after each drawing: lets threads that wait for the interpreter go first."""


class DrawAhead:
    """A thread that draws the tiles of a plan, some at a time, and begins anew when the aim changes.

    Parameters
    ----------
    slide : drawn on
    plan : tiles worth drawing now, part by part, and of each the first one first; asked in the thread, after each `aim`
    """

    def __init__(self, slide: PhantomSlide, plan: Callable[[], Iterable[Sequence[Tile]]]) -> None:
        self._slide, self._plan = slide, plan
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = True
        self._aims, self._done = 1, 0
        """How often the aim changed, and up to which of these all is drawn."""

    def start(self) -> None:
        """Begin to draw."""
        with self._changed:
            if self._thread is not None and self._thread.is_alive():
                return
            self._stopped = False
            self._aims += 1
            self._thread = threading.Thread(target=self._work, name="phantom draws ahead", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread; takes as long as the tiles it is at. Safe to call twice."""
        with self._changed:
            self._stopped = True
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None:
            thread.join()

    def aim(self) -> None:
        """Say that another plan is due. Returns at once."""
        with self._changed:
            self._aims += 1
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Whether all that is planned is drawn, or becomes so within `timeout_s`; False while stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._done == self._aims, timeout_s)
            return not self._stopped and self._done == self._aims

    def _work(self) -> None:
        try:
            while not self._stopped:
                aim = self._aims
                if self._all_drawn(aim):
                    self._rest(aim)
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()

    def _all_drawn(self, aim: int) -> bool:
        """Draw the plan; False where the aim changed or the end came before."""
        for tiles in self._plan():
            while missing := self._slide.missing(tiles):
                if self._stopped or aim != self._aims:
                    return False
                self._slide.draw_some(missing)
                time.sleep(LINGER_S)
        return True

    def _rest(self, aim: int) -> None:
        """Wait for the next aim, or the end."""
        with self._changed:
            self._done = aim
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._stopped or aim != self._aims)
