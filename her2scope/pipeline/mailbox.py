"""A one-place mailbox: the newest wins, what was replaced is counted."""

from __future__ import annotations

from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds the newest item between two threads.

    A new item replaces an unread one: a slow reader costs rate, never delay or memory.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._item: T | None = None
        self._closed = False
        self.replaced = 0
        """Items that were never read; shown in the status line."""

    def put(self, item: T) -> None:
        """Leave an item, replacing an unread one."""
        with self._changed:
            self.replaced += self._item is not None
            self._item = item
            self._changed.notify_all()

    def take(self, timeout_s: float) -> T | None:
        """Take the item, waiting for one; None when none came in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = self._item, None
            return item

    def wait(self) -> None:
        """Wait until there is an item to take, or the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed)

    def close(self) -> None:
        """End every wait, now and from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
