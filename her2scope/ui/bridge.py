"""From the engine's threads to the GUI thread: the only place where they meet.

Frames, results and maps wait in one-place slots: a slow GUI shows fewer of them, never later ones. Of each kind at most
one wake-up is in Qt's queue, so the queue cannot grow. What must not be lost (case, sweep, camera, messages) is queued
whole.
"""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

from PyQt6.QtCore import QObject, Qt, pyqtSignal

from her2scope.pipeline.live import CameraStatus, LiveFigures, LiveResult, Message
from her2scope.records import CaseView, MapView, TrackedFrame
from her2scope.settings.instruments import ButtonAction

T = TypeVar("T")


class NewestSlot(Generic[T]):
    """One place for the newest value; knows whether somebody was already called to fetch it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value: T | None = None
        self.replaced = 0
        """Values that a newer one replaced before they were fetched."""

    def put(self, value: T) -> bool:
        """Leave `value`; True if the slot was empty, that is if the reader has to be called."""
        with self._lock:
            was_empty = self._value is None
            self.replaced += not was_empty
            self._value = value
            return was_empty

    def take(self) -> T | None:
        """Fetch the newest value and empty the slot."""
        with self._lock:
            value, self._value = self._value, None
            return value


class LiveBridge(QObject):
    """A `LiveListener` whose signals arrive on the GUI thread, where it must be made."""

    frame_changed = pyqtSignal(object)
    """`TrackedFrame`, the newest."""
    result_changed = pyqtSignal(object)
    """`LiveResult`, the newest."""
    case_changed = pyqtSignal(object)
    """`CaseView`, each one, in order."""
    map_changed = pyqtSignal(object)
    """`MapView`, the newest."""
    sweep_changed = pyqtSignal(bool)
    """Whether fields are accepted by themselves now, each change in order."""
    camera_changed = pyqtSignal(object)
    """`CameraStatus`, each one."""
    figures_changed = pyqtSignal(object)
    """`LiveFigures`."""
    message_posted = pyqtSignal(object)
    """`Message`, each one."""
    button_pressed = pyqtSignal(object)
    """`ButtonAction` of a foot switch or button, each press."""

    _frame_waits = pyqtSignal()
    _result_waits = pyqtSignal()
    _map_waits = pyqtSignal()
    _case_posted = pyqtSignal(object)
    _sweep_posted = pyqtSignal(bool)
    _camera_posted = pyqtSignal(object)
    _figures_posted = pyqtSignal(object)
    _text_posted = pyqtSignal(object)
    _press_posted = pyqtSignal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.frames: NewestSlot[TrackedFrame] = NewestSlot()
        self.results: NewestSlot[LiveResult] = NewestSlot()
        self.maps: NewestSlot[MapView] = NewestSlot()
        self._closed = threading.Event()
        queued = Qt.ConnectionType.QueuedConnection
        self._frame_waits.connect(self._deliver_frame, queued)
        self._result_waits.connect(self._deliver_result, queued)
        self._map_waits.connect(self._deliver_map, queued)
        self._case_posted.connect(self.case_changed, queued)
        self._sweep_posted.connect(self.sweep_changed, queued)
        self._camera_posted.connect(self.camera_changed, queued)
        self._figures_posted.connect(self.figures_changed, queued)
        self._text_posted.connect(self.message_posted, queued)
        self._press_posted.connect(self.button_pressed, queued)

    def close(self) -> None:
        """Let nothing more through: the window is going away. The engine may go on calling."""
        self._closed.set()

    # ---- LiveListener: any thread ---------------------------------------------------------------------------------

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Take a new live frame."""
        if not self._closed.is_set() and self.frames.put(tracked):
            self._frame_waits.emit()

    def on_result(self, live: LiveResult) -> None:
        """Take the analysis of a frame."""
        if not self._closed.is_set() and self.results.put(live):
            self._result_waits.emit()

    def on_case(self, view: CaseView) -> None:
        """Take the case after it changed."""
        if not self._closed.is_set():
            self._case_posted.emit(view)

    def on_map(self, view: MapView) -> None:
        """Take the map of the slide."""
        if not self._closed.is_set() and self.maps.put(view):
            self._map_waits.emit()

    def on_sweep(self, on: bool) -> None:
        """Take whether sweeping is on."""
        if not self._closed.is_set():
            self._sweep_posted.emit(on)

    def on_camera(self, status: CameraStatus) -> None:
        """Take the camera's state."""
        if not self._closed.is_set():
            self._camera_posted.emit(status)

    def on_figures(self, figures: LiveFigures) -> None:
        """Take the rates."""
        if not self._closed.is_set():
            self._figures_posted.emit(figures)

    def on_message(self, message: Message) -> None:
        """Take a line for the reader."""
        if not self._closed.is_set():
            self._text_posted.emit(message)

    # ---- the instruments' threads ---------------------------------------------------------------------------------

    def on_button(self, action: ButtonAction) -> None:
        """Take a press; each one counts."""
        if not self._closed.is_set():
            self._press_posted.emit(action)

    # ---- GUI thread -----------------------------------------------------------------------------------------------

    def _deliver_frame(self) -> None:
        tracked = self.frames.take()
        if tracked is not None and not self._closed.is_set():
            self.frame_changed.emit(tracked)

    def _deliver_result(self) -> None:
        live = self.results.take()
        if live is not None and not self._closed.is_set():
            self.result_changed.emit(live)

    def _deliver_map(self) -> None:
        view = self.maps.take()
        if view is not None and not self._closed.is_set():
            self.map_changed.emit(view)
