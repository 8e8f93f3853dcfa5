"""The rows of the action table as Qt's actions: in the menus, with their keys, and which keys a widget keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtGui import QAction, QKeyEvent, QKeySequence
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QComboBox,
    QLineEdit,
    QMenu,
    QMenuBar,
    QPlainTextEdit,
    QTabBar,
    QWidget,
)

from her2scope.ui.action_table import ACTIONS, Menu, Scope, keys_in, shortcut_text


def apply_scope(actions: Mapping[str, QAction], scope: Scope) -> None:
    """Let keys act by what is looked at now."""
    for info in ACTIONS:
        wanted = [QKeySequence(key) for key in keys_in(info, scope)]
        if actions[info.id].shortcuts() != wanted:
            actions[info.id].setShortcuts(wanted)


def make_actions(window: QWidget, handlers: Mapping[str, Callable[[], None]]) -> dict[str, QAction]:
    """One QAction per row of the table; KeyError where the table and the handlers do not match."""
    unknown = set(handlers) ^ {info.id for info in ACTIONS}
    if unknown:
        raise KeyError(f"actions without a row or without a handler: {sorted(unknown)}")
    made = {}
    for info in ACTIONS:
        action = QAction(info.text, window)
        action.setObjectName(info.id)
        action.setToolTip(f"{info.tip} ({shortcut_text(info)})")
        action.setStatusTip(info.tip)
        action.setCheckable(info.checkable)
        action.setAutoRepeat(info.repeats)
        action.triggered.connect(_without_argument(handlers[info.id]))
        window.addAction(action)
        made[info.id] = action
    apply_scope(made, Scope.LIVE)
    return made


def fill_menus(bar: QMenuBar, actions: Mapping[str, QAction]) -> dict[Menu, QMenu]:
    """Build the menus in the order of the table."""
    menus: dict[Menu, QMenu] = {}
    for name in Menu:
        menu = QMenu(name.value, bar)
        bar.addMenu(menu)
        menus[name] = menu
    for info in ACTIONS:
        if info.group:
            menus[info.menu].addSeparator()
        menus[info.menu].addAction(actions[info.id])
    return menus


def _without_argument(handler: Callable[[], None]) -> Callable[[bool], None]:
    """`triggered` passes the check state, which handlers read from the action where they need it."""
    return lambda _checked: handler()


_MOVES = {Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End}
_PAGES = {Qt.Key.Key_PageUp, Qt.Key.Key_PageDown}
_TABS = {Qt.Key.Key_Tab, Qt.Key.Key_Backtab}
_ENTERS = {Qt.Key.Key_Return, Qt.Key.Key_Enter}
_PRESSES = {Qt.Key.Key_Space, *_ENTERS}


def keeps_key(focused: QWidget | None, event: QKeyEvent) -> bool:
    """Whether the focused widget needs a key that is also the window's: a typed space must not add a field."""
    command = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
    key = event.key()
    if key in _TABS:
        # They walk from cell to cell in a field that is shown, and from part to part of the window elsewhere.
        return focused is None or focused.objectName() != "field_view"
    if isinstance(focused, QLineEdit | QPlainTextEdit):
        typed = bool(event.text()) and event.text().isprintable() and not event.modifiers() & command
        moves = key in _MOVES | _PAGES | _ENTERS | {Qt.Key.Key_Delete, Qt.Key.Key_Backspace}
        return typed or moves
    if event.modifiers() & command:
        return False
    if isinstance(focused, QComboBox):
        # Digits choose a score by its first letter. Space stays the window's: it accepts, whatever has the focus.
        return key in _MOVES | _PAGES | _ENTERS or Qt.Key.Key_0 <= key <= Qt.Key.Key_9
    if isinstance(focused, QAbstractItemView | QAbstractSlider):
        return key in _MOVES | _PAGES
    if isinstance(focused, QTabBar):
        return key in _MOVES
    return isinstance(focused, QAbstractButton) and key in _PRESSES


def is_shortcut_override(event: QEvent | None) -> bool:
    """Whether Qt asks if the focused widget wants a key before it becomes a shortcut."""
    return event is not None and event.type() == QEvent.Type.ShortcutOverride


class KeyKeeper(QObject):
    """Lets a window keep keys from becoming shortcuts.

    A filter, and not the window's `event`: every event would pass through Python there, and its lock would be held for
    as long as Qt paints the whole window and waits for the screen.
    """

    def __init__(self, window: QWidget, keeps: Callable[[QKeyEvent], bool]) -> None:
        super().__init__(window)
        self._keeps = keeps
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if isinstance(event, QKeyEvent) and is_shortcut_override(event) and self._keeps(event):
            event.accept()
            return True
        return False
