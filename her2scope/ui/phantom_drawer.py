"""Draws phantoms aside, so that the window never waits: only the newest order counts."""

from __future__ import annotations

import threading
from collections import OrderedDict

from PyQt6.QtCore import QObject, pyqtSignal

from her2scope.domain.errors import Her2ScopeError
from her2scope.phantom.compare.sheets import Draw, PhantomOrder, Piece, draw_piece
from her2scope.phantom.field import render_field

PIECES_KEPT = 16
"""Drawn ones, so that going back shows them at once; about 100 MB at most."""


class PhantomDrawer(QObject):
    """A thread that draws; its answers arrive on the GUI thread, where it must be made."""

    drawn = pyqtSignal(object, object)
    """`PhantomOrder` and its `Piece`."""
    failed = pyqtSignal(object, str)
    """`PhantomOrder` and why it could not be drawn."""

    _answered = pyqtSignal(object, object)

    def __init__(self, draw: Draw = render_field, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._draw = draw
        self._changed = threading.Condition()
        self._wanted: PhantomOrder | None = None
        self._closed = False
        self._kept: OrderedDict[PhantomOrder, Piece] = OrderedDict()
        self._answered.connect(self._deliver)
        self._thread = threading.Thread(target=self._work, name="phantom-drawer", daemon=True)
        self._thread.start()

    def ask(self, order: PhantomOrder) -> Piece | None:
        """The piece where it was drawn before; otherwise draw it next, instead of what else still waits."""
        known = self._kept.get(order)
        with self._changed:
            self._wanted = order if known is None else None
            self._changed.notify()
        if known is not None:
            self._kept.move_to_end(order)
        return known

    def close(self) -> None:
        """Answer no more. What is being drawn is finished in the background and thrown away."""
        with self._changed:
            self._closed, self._wanted = True, None
            self._changed.notify()

    def wait(self, timeout_s: float) -> bool:
        """After `close`: wait for the thread to end; whether it did."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # ---- the thread -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (order := self._next()) is not None:
            answer = self._try(order)
            with self._changed:  # `close` waits for this, and nothing is sent to a window that is gone
                if not self._closed:
                    self._answered.emit(order, answer)

    def _next(self) -> PhantomOrder | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._wanted is not None)
            order, self._wanted = self._wanted, None
            return order

    def _try(self, order: PhantomOrder) -> Piece | str:
        try:
            return draw_piece(order, self._draw)
        except Her2ScopeError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - in a thread it would be lost; here it is shown
            return f"the phantom could not be drawn: {error!r}"

    # ---- GUI thread -----------------------------------------------------------------------------------------------

    def _deliver(self, order: PhantomOrder, answer: Piece | str) -> None:
        if self._closed:
            return
        if isinstance(answer, str):
            self.failed.emit(order, answer)
            return
        self._kept[order] = answer
        if len(self._kept) > PIECES_KEPT:
            self._kept.popitem(last=False)
        self.drawn.emit(order, answer)
