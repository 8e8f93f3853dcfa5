"""The window with a fake engine and a fake microscope behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from gui.fake_engine import FakeEngine, FakeSource
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QWidget

from her2scope.settings import Preferences
from her2scope.ui.bridge import LiveBridge
from her2scope.ui.main_window import MainWindow
from her2scope.ui.theme import apply_theme


@dataclass
class Stand:
    """A window, and all that it is joined to."""

    window: MainWindow
    engine: FakeEngine
    source: object
    bridge: LiveBridge
    saved: list[Preferences] = field(default_factory=list)

    def press(self, key: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """Press a key where the focus is, as a person does."""
        QTest.keyClick(QApplication.focusWidget() or self.window, key, modifiers)
        QApplication.processEvents()

    def type(self, text: str) -> None:
        """Type where the focus is."""
        for letter in text:
            QTest.keyClick(QApplication.focusWidget() or self.window, letter)
        QApplication.processEvents()

    @property
    def focused(self) -> QWidget | None:
        return QApplication.focusWidget()


@pytest.fixture(autouse=True)
def _theme(qapp: QApplication) -> None:
    if not qapp.styleSheet():
        apply_theme(qapp)


@pytest.fixture
def make_stand(qtbot) -> Iterator[Callable[..., Stand]]:
    """Open a window; every one is closed after the test."""
    opened: list[Stand] = []

    def make(source: object = None, preferences: Preferences | None = None, result=None, **more: Any) -> Stand:
        bridge = LiveBridge()
        engine = FakeEngine(bridge, result)
        saved: list[Preferences] = []
        window = MainWindow(engine, bridge, source, preferences, save_preferences=saved.append, **more)
        qtbot.addWidget(window)
        stand = Stand(window, engine, source, bridge, saved)
        opened.append(stand)
        window.show()
        # Shortcuts work in the active window only. A screen without a window manager has to be told.
        window.activateWindow()
        qtbot.waitUntil(lambda: QApplication.activeWindow() is window)
        window.view.setFocus()
        engine.start()
        qtbot.waitUntil(lambda: window.view.shown is not None and engine.calls == [])
        QApplication.processEvents()
        return stand

    yield make
    for stand in opened:
        stand.window.close()


@pytest.fixture
def stand(make_stand: Callable[..., Stand]) -> Stand:
    """A window over a microscope that can move, turn and page."""
    return make_stand(FakeSource())
