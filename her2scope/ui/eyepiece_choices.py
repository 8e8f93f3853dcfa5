"""The dialog that says what the eyepiece shows, and on which display. Each choice takes effect at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from her2scope.overlays.eyepiece_palette import EYEPIECE_PALETTES
from her2scope.settings.eyepiece import EyepieceMaps, EyepieceView
from her2scope.ui.asking_dialog import label
from her2scope.ui.theme import set_role

SECOND_DISPLAY = "the second one"
NO_MAPS = "Not calibrated: no marks are shown until it is, but on a monitor beside the eyepiece."
BOXES: Mapping[str, str] = {
    "outlines": "Cell &outlines",
    "markers": "Cell &centres",
    "membranes": "&Membranes",
    "regions": "Outlined &regions",
    "border": "Edge of the camera &picture",
    "crosshair": "Cross-&hair in its middle",
    "score": "&Score",
    "control": "Co&ntrol",
    "mode": "Mo&de",
    "camera": "That it is &live",
}
"""Flags of `EyepieceView`, marks first, then words."""


class EyepieceChoices(QDialog):
    """Boxes to tick and a few numbers.

    Parameters
    ----------
    screens : names of the displays that there are
    """

    changed = pyqtSignal(object)
    """`EyepieceView`."""

    def __init__(
        self, view: EyepieceView, screens: Sequence[str], maps: EyepieceMaps, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("eyepiece_choices")
        self.setWindowTitle("Eyepiece display")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._view = view
        self.boxes = {name: self._box(name, text) for name, text in BOXES.items()}
        self.screen_name = self._combo("screen", self._screens(screens))
        self.picture = self._box("picture", "A monitor: show the camera picture, &too")
        self.palette_name = self._combo("palette", {name: name for name in EYEPIECE_PALETTES})
        self.line_px = self._number("line_px", QDoubleSpinBox(), 1, 20, 0.5)
        self.text_px = self._number("text_px", QSpinBox(), 10, 200, 2)
        self.text_x = self._number("text_x_share", QDoubleSpinBox(), 0, 1, 0.02)
        self.text_y = self._number("text_y_share", QDoubleSpinBox(), 0, 1, 0.02)
        self.text_turned = self._combo(
            "text_turned_deg", {f"{turn}\N{DEGREE SIGN}": turn for turn in (0, 90, 180, 270)}
        )
        self.text_mirrored = self._box("text_mirrored", "Mirrored, where the &eye sees the display so")
        self.maps = label("\n".join(f"{name}: {made.words}" for name, made in maps.maps.items()) or NO_MAPS, "dim")
        self._lay_out()

    @property
    def view(self) -> EyepieceView:
        """What is chosen."""
        return self._view

    def _screens(self, names: Sequence[str]) -> dict[str, str]:
        """A chosen display that is not there now stays in the list."""
        known = {SECOND_DISPLAY: "", **{name: name for name in names}}
        return known if self._view.screen in known.values() else {**known, self._view.screen: self._view.screen}

    def _lay_out(self) -> None:
        grid = QGridLayout()
        for place, box in enumerate(self.boxes.values()):
            grid.addWidget(box, place // 2, place % 2)
        form = QFormLayout()
        form.addRow("Display", self.screen_name)
        form.addRow("", self.picture)
        form.addRow("Colours", self.palette_name)
        form.addRow("Line width", self.line_px)
        form.addRow("Text size", self.text_px)
        form.addRow("Text, share of the width", self.text_x)
        form.addRow("Text, share of the height", self.text_y)
        form.addRow("Text turned by", self.text_turned)
        form.addRow("", self.text_mirrored)
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 16, 18, 14)
        column.setSpacing(9)
        for title, part in (("Shown in the eyepiece", grid), ("How", form)):
            heading = QLabel(title)
            set_role(heading, "title")
            column.addWidget(heading)
            column.addLayout(part)
        column.addWidget(self.maps)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column.addWidget(buttons)

    # ---- inputs ----------------------------------------------------------------------------------------------------

    def _change(self, name: str) -> Callable[[Any], None]:
        def take(value: Any) -> None:
            self._view = replace(self._view, **{name: value})
            self.changed.emit(self._view)

        return take

    def _box(self, name: str, text: str) -> QCheckBox:
        box = QCheckBox(text)
        box.setChecked(getattr(self._view, name))
        box.toggled.connect(self._change(name))
        return box

    def _number(
        self, name: str, box: QSpinBox | QDoubleSpinBox, low: int, high: int, step: float
    ) -> QSpinBox | QDoubleSpinBox:
        box.setRange(low, high)
        box.setSingleStep(step)  # type: ignore[arg-type]
        box.setValue(getattr(self._view, name))
        box.setSuffix(" px" if name.endswith("_px") else "")
        box.valueChanged.connect(self._change(name))
        return box

    def _combo(self, name: str, values: Mapping[str, Any]) -> QComboBox:
        combo = QComboBox()
        for text, value in values.items():
            combo.addItem(text, value)
        combo.setCurrentIndex(max(0, combo.findData(getattr(self._view, name), Qt.ItemDataRole.UserRole)))
        change = self._change(name)
        combo.currentIndexChanged.connect(lambda index: change(combo.itemData(index)))
        return combo
