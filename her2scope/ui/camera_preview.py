"""Live pictures of one camera after the other, to choose by. One thread opens, reads and closes them in turn."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from PyQt6.QtCore import QObject, pyqtSignal

from her2scope.domain.errors import CameraTimeout, Her2ScopeError
from her2scope.ports import CameraSource
from her2scope.records import TrackedFrame
from her2scope.ui.bridge import NewestSlot

LOG = logging.getLogger(__name__)
READ_S = 0.3
CLOSE_S = 5.0
"""How long closing waits for a driver to let go of its camera: the program opens it next."""
OPENING, NO_PICTURE = "Opening the camera\N{HORIZONTAL ELLIPSIS}", "No picture yet"


class CameraPreview(QObject):
    """Shows the camera that was asked for last; must be made on the GUI thread, where its signals arrive."""

    frame_changed = pyqtSignal(object)
    """`TrackedFrame`, the newest."""
    said = pyqtSignal(str, str)
    """URI, and why there is no picture of it; empty once there is."""
    _frame_waits = pyqtSignal()
    _posted = pyqtSignal(str, str)

    def __init__(self, open_source: Callable[[str], CameraSource], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._open_source = open_source
        self._newest: NewestSlot[tuple[str, TrackedFrame]] = NewestSlot()
        self._lock = threading.Condition()  # guards the two below, and that nothing is sent once it is closed
        self._wanted = ""
        self._turn = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._frame_waits.connect(self._deliver)
        self._posted.connect(self._tell)

    @property
    def uri(self) -> str:
        """The source that is looked at; empty for none."""
        return self._wanted

    def show(self, uri: str) -> None:
        """Look at a source from now on, once more where it is looked at already; empty: at none."""
        with self._lock:
            self._wanted, self._turn = uri, self._turn + 1
            self._lock.notify_all()
        if self._thread is None and uri:
            # A daemon: a driver that never returns must not keep the program from ending.
            self._thread = threading.Thread(target=self._run, name="her2scope preview", daemon=True)
            self._thread.start()

    def close(self, wait_s: float = CLOSE_S) -> bool:
        """Let go of the camera for good, waiting so long for its driver at most; whether it let go."""
        with self._lock:
            self._ended.set()
        self.show("")
        if self._thread is None:
            return True
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    # ---- the preview's thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        turn = 0
        while not self._ended.is_set():
            with self._lock:
                self._lock.wait_for(lambda last=turn: self._turn != last)  # type: ignore[misc]
                uri, turn = self._wanted, self._turn
            if uri and not self._ended.is_set():
                self._watch(uri, turn)

    def _watch(self, uri: str, turn: int) -> None:
        """Show a source until another one is asked for; what goes wrong is said."""
        source: CameraSource | None = None
        self._post(uri, OPENING)
        try:
            source = self._open_source(uri)
            source.open()
            self._read(source, uri, turn)
        except Her2ScopeError as error:
            self._post(uri, str(error))
        except Exception as error:  # noqa: BLE001 - top of a thread: nothing above could tell the reader
            LOG.exception("preview of a camera")
            self._post(uri, f"The camera failed: {error!r}. Choose another one, or look again.")
        finally:
            if source is not None:
                source.close()

    def _read(self, source: CameraSource, uri: str, turn: int) -> None:
        is_live = False
        while self._turn == turn and not self._ended.is_set():
            try:
                frame = source.read(READ_S)
            except CameraTimeout:
                self._post(uri, NO_PICTURE)
                is_live = False
                continue
            if not is_live:
                self._post(uri, "")
            is_live = True
            if self._newest.put((uri, TrackedFrame(frame))):
                with self._lock:
                    if not self._ended.is_set():
                        self._frame_waits.emit()

    def _post(self, uri: str, text: str) -> None:
        with self._lock:  # `close` waits for this, and nothing is sent to a window that is gone
            if not self._ended.is_set():
                self._posted.emit(uri, text)

    # ---- GUI thread ----------------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        newest = self._newest.take()
        if newest is not None and newest[0] == self._wanted:
            self.frame_changed.emit(newest[1])

    def _tell(self, uri: str, text: str) -> None:
        if uri == self._wanted:
            self.said.emit(uri, text)
