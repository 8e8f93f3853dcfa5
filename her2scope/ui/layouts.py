"""Layouts that dialogs share."""

from __future__ import annotations

from PyQt6.QtWidgets import QDialog, QHBoxLayout, QLayout, QWidget


def row_of(*widgets: QWidget) -> QHBoxLayout:
    """Widgets beside each other, all of one width."""
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget, 1)
    return row


def lay_beside(dialog: QDialog, picture: QWidget, column: QLayout, column_px: int) -> None:
    """A picture that takes all room there is, and beside it a column of a fixed width."""
    side = QWidget()
    side.setLayout(column)
    side.setFixedWidth(column_px)
    whole = QHBoxLayout(dialog)
    whole.setContentsMargins(0, 0, 0, 0)
    whole.addWidget(picture, 1)
    whole.addWidget(side)
