"""Reads the history of the controls away from the window's thread, which never waits for a disk."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

from PyQt6.QtCore import QObject, pyqtSignal

from her2scope.domain.control_history import ControlEntry
from her2scope.domain.errors import Her2ScopeError

ReadHistory = Callable[[], tuple[tuple[ControlEntry, ...], tuple[str, ...]]]
"""All readings, and what of the history could not be kept as it was."""


class HistoryLoader(QObject):
    """Asks for the history, one reading of it at a time."""

    loaded = pyqtSignal(object, object)
    """Readings and problems, as `ReadHistory` gives them."""
    failed = pyqtSignal(str)

    def __init__(self, read: ReadHistory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._read = read
        self._thread: Thread | None = None

    def start(self) -> None:
        """Read it; what comes of it is told by a signal."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = Thread(target=self._run, name="her2scope control history", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            entries, problems = self._read()
        except Her2ScopeError as error:
            self.failed.emit(str(error))
        else:
            self.loaded.emit(entries, problems)
