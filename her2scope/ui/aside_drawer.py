"""A thread that draws aside, so that no window waits for it: only the newest order counts."""

from __future__ import annotations

import logging
import threading
from typing import Generic, TypeVar

from PyQt6.QtCore import QObject, pyqtSignal

LOG = logging.getLogger(__name__)
Order = TypeVar("Order")


class AsideDrawer(QObject, Generic[Order]):
    """Draws orders; the drawings arrive on the GUI thread, where it must be made.

    The thread starts with the first order. This is nobody's child: it must outlive the widget that it draws for.
    """

    drawn = pyqtSignal(object)
    """What `draw` gave."""

    name = "her2scope drawer"
    """Of the thread."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._wanted: Order | None = None
        self._asked: Order | None = None
        self._stops = False
        self._thread: threading.Thread | None = None

    def draw(self, order: Order) -> object:
        """Draw an order; any thread may."""
        raise NotImplementedError

    def covers(self, asked: Order, order: Order) -> bool:
        """Whether the drawing that was asked for serves another order too."""
        raise NotImplementedError

    def ask(self, order: Order) -> None:
        """Draw this next, instead of what else still waits; what was asked for last is not drawn twice."""
        if self._asked is not None and self.covers(self._asked, order):
            return
        self._asked = order
        with self._changed:
            self._wanted = order
            self._changed.notify()
        if self._thread is None:
            self._stops = False
            self._thread = threading.Thread(target=self._work, name=self.name, daemon=True)
            self._thread.start()

    def rest(self) -> None:
        """Forget what waits, and end the thread; the next order starts another. What is being drawn is waited for."""
        with self._changed:
            self._stops, self._wanted, self._asked = True, None, None
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while (order := self._next()) is not None:
            drawn = self._try(order)
            with self._changed:  # `rest` waits for this, and nothing is sent to a window that is gone
                if drawn is not None and not self._stops:
                    self.drawn.emit(drawn)

    def _next(self) -> Order | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stops or self._wanted is not None)
            order, self._wanted = self._wanted, None
            return order

    def _try(self, order: Order) -> object | None:
        try:
            return self.draw(order)
        except Exception:  # noqa: BLE001 - in a thread it would be lost, and with it every later drawing
            LOG.exception("%s: an order could not be drawn", self.name)
            return None
