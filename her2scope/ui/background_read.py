"""Reads something from the disk away from the window's thread, which never waits for one."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

from PyQt6.QtCore import QObject, pyqtSignal

from her2scope.domain.errors import Her2ScopeError


class BackgroundRead(QObject):
    """Reads when asked, one reading at a time."""

    loaded = pyqtSignal(object)
    """What was read."""
    failed = pyqtSignal(str)

    def __init__(self, what: str, read: Callable[[], object], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._what, self._read = what, read
        self._thread: Thread | None = None

    def start(self) -> None:
        """Read it; what comes of it is told by a signal."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = Thread(target=self._run, name=f"her2scope {self._what}", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            found = self._read()
        except Her2ScopeError as error:
            self.failed.emit(str(error))
        else:
            self.loaded.emit(found)
