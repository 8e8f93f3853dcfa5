"""The set-up, step by step: camera, objective, calibration, control. Every step can be skipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PyQt6.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from her2scope.cameras.found import FoundDevice
from her2scope.domain.control_material import ANCHOR_LEVEL, WIZARD_ORDER, Placement
from her2scope.domain.errors import Her2ScopeError
from her2scope.domain.guideline import Score
from her2scope.records import TrackedFrame
from her2scope.settings import Calibration, missing_parts
from her2scope.ui.asking_dialog import label
from her2scope.ui.background_read import BackgroundRead
from her2scope.ui.calibration_wizard import CHECK, CROSS, LIVE, WAITING, CalibrationWizard, StillView
from her2scope.ui.camera_preview import CLOSE_S, CameraPreview
from her2scope.ui.first_start_steps import (
    USUAL_OBJECTIVES,
    WORDS,
    Chosen,
    SetupSteps,
    Step,
    can_open,
    device_of,
    listed,
    named_control,
    summary,
    unfinished,
)
from her2scope.ui.layouts import lay_beside, row_of
from her2scope.ui.reasons import ReasonsBox
from her2scope.ui.theme import font, set_role
from her2scope.ui.words import capitalised

COLUMN_PX = 420
LOOKING = "Looking for cameras\N{HORIZONTAL ELLIPSIS}"
CHOOSE, NOT_LIVE = "Choose a camera", "No picture"
FROM_CAMERA = "Choose a camera first: the calibration is measured in its picture."
PLACEMENTS = {"On a slide of its own, one per run": Placement.RUN_SLIDE, "On the patient's slide": Placement.ON_SLIDE}


class FirstStart(QDialog):
    """Steps on the right, the chosen camera's picture on the left. Nothing of an open case changes.

    Parameters
    ----------
    steps : what it asks of the program
    """

    chosen = pyqtSignal(object)
    """`Chosen`, at the end; nothing is told where the reader leaves before."""

    def __init__(self, steps: SetupSteps, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("first_start")
        self.setWindowTitle("Set up her2scope")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, parent is not None)
        self._steps, self._chosen, self._step = steps, steps.old, Step.CAMERA
        self._found: tuple[FoundDevice, ...] = ()
        self._live: TrackedFrame | None = None
        self._wizard: CalibrationWizard | None = None
        self._saved = ""
        keeper = QApplication.instance()  # not this dialog: a driver may keep their threads longer than it is open
        self.preview = CameraPreview(steps.open_source, keeper)
        self.preview.frame_changed.connect(self._take_frame)
        self.preview.said.connect(self._take_word)
        self._look = BackgroundRead("look for cameras", steps.look, keeper)
        self._look.loaded.connect(self._take_found)
        self._make_parts()
        self._lay_out()
        self.onward.setFocus()  # a list chooses its first entry where it has the focus: nobody chose that camera
        self.look_again()
        self._show_step()

    # ---- parts -----------------------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        self.picture = StillView(CHOOSE)
        self.labels = {step: QLabel() for step in Step}
        self.what, self.how, self.verdict = QLabel(), label(""), label("")
        self.what.setFont(font(17, bold=True))
        self.what.setWordWrap(True)
        self.cameras = QListWidget()
        self.cameras.setAccessibleName("Cameras that were found")
        self.cameras.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.cameras.setWordWrap(True)
        self.cameras.currentRowChanged.connect(self._choose_row)
        self.address = QLineEdit(self._chosen.source)
        self.address.setPlaceholderText("or write its address")
        self.address.setAccessibleName("Address of the camera")
        self.address.returnPressed.connect(self._choose_address)
        self.again = QPushButton("&Look again")
        self.again.clicked.connect(self.look_again)
        self.objective = QComboBox()
        self.objective.setEditable(True)
        self.objective.setAccessibleName("Objective")
        self.objective.addItems(list(dict.fromkeys((*self._chosen.calibration.objectives, *USUAL_OBJECTIVES))))
        self.objective.setCurrentText(self._chosen.objective)
        self.objective.currentTextChanged.connect(lambda _text: self._show_step())
        self.calibrate = QPushButton("&Calibrate now\N{HORIZONTAL ELLIPSIS}")
        self.calibrate.clicked.connect(self._calibrate)
        self._make_control()
        self.lines = ReasonsBox("What this step says", least=4, most=16)
        self.leave_out, self.back, self.onward = QPushButton("Not no&w"), QPushButton("< &Back"), QPushButton()
        for button in (self.again, self.calibrate, self.leave_out, self.back, self.onward):
            button.setAutoDefault(False)  # Enter in an input must not turn the page
        self.leave_out.clicked.connect(self.reject)
        self.back.clicked.connect(lambda: self._turn(-1))
        self.onward.clicked.connect(self._go_on)

    def _make_control(self) -> None:
        control = self._chosen.control
        self.control_name = QLineEdit(control.name if control else "")
        self.control_name.textChanged.connect(lambda _text: self._show_step())
        self.placement = QComboBox()
        for text, placement in PLACEMENTS.items():
            self.placement.addItem(text, placement)
        if control is not None:
            self.placement.setCurrentIndex(list(PLACEMENTS.values()).index(control.placement))
        levels = control.levels if control is not None else WIZARD_ORDER
        self.levels: dict[Score, QCheckBox] = {level: QCheckBox(level) for level in WIZARD_ORDER}
        for level, box in self.levels.items():
            box.setChecked(level in levels)
            box.setEnabled(level != ANCHOR_LEVEL)
        self.antibody = QLineEdit(control.antibody if control else "")
        self.lot = QLineEdit(control.lot if control else "")
        for name, field in (
            ("Name of the control", self.control_name),
            ("Where the control lies", self.placement),
            ("Antibody", self.antibody),
            ("Lot of the control material", self.lot),
        ):
            field.setAccessibleName(name)

    def _lay_out(self) -> None:
        self._pages = {
            Step.CAMERA: _column(self.cameras, self.address, self.again),
            Step.OBJECTIVE: _column(self.objective),
            Step.CALIBRATION: _column(self.calibrate),
            Step.CONTROL: self._control_page(),
            Step.SUMMARY: QWidget(),
        }
        column = QVBoxLayout()
        column.setSpacing(6)
        for mark in self.labels.values():
            column.addWidget(mark)
        column.addSpacing(10)
        for part in (self.what, self.how, *self._pages.values(), self.verdict, self.lines):
            column.addWidget(part)
        column.addStretch(1)
        column.addLayout(row_of(self.leave_out, self.back, self.onward))
        lay_beside(self, self.picture, column, COLUMN_PX)
        self.resize(1180, 700)

    def _control_page(self) -> QWidget:
        boxes = QHBoxLayout()
        for box in self.levels.values():
            boxes.addWidget(box)
        page = QWidget()
        form = QFormLayout(page)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Name", self.control_name)
        form.addRow("It lies", self.placement)
        form.addRow("Levels", boxes)
        form.addRow("Antibody", self.antibody)
        form.addRow("Lot", self.lot)
        return page

    # ---- what the reader does --------------------------------------------------------------------------------------

    @property
    def step(self) -> Step:
        """The step in view."""
        return self._step

    @property
    def choice(self) -> Chosen:
        """What is set up so far."""
        return self._chosen

    def look_again(self) -> None:
        """Look for cameras, and open the chosen one once more."""
        self.again.setEnabled(False)
        self.again.setText(LOOKING)
        self._look.start()
        self._watch(self._chosen.source)

    def turn_to(self, step: Step) -> None:
        """Show another step; what was chosen stays."""
        self._step = step
        self._saved = ""
        self._show_step()
        self.onward.setFocus()  # else it goes from the hidden page to "Not now", which leaves everything

    def leave(self) -> None:
        """Close without a word: the program ends."""
        self.reject()

    def done(self, result: int) -> None:
        """Let go of the camera before the program opens it."""
        if self._wizard is not None:
            self._wizard.done(QDialog.DialogCode.Rejected.value)
        # The window must not wait for a driver; before there is one, the camera has to be free for it.
        self.preview.close(CLOSE_S if self.parent() is None else 0.0)
        super().done(result)

    def show_frame(self, tracked: TrackedFrame) -> None:
        """Take the newest frame of the source that the window shows: it cannot be opened a second time."""
        if self._chosen.source and self._is_in_use(self._chosen.source):
            self._take_frame(tracked)

    def _turn(self, by: int) -> None:
        steps = list(Step)
        self.turn_to(steps[min(len(steps) - 1, max(0, steps.index(self._step) + by))])

    def _go_on(self) -> None:
        """Take what is written on this step, and go to the next one."""
        match self._step:
            case Step.CAMERA if self.address.text().strip() != self._chosen.source:
                self._choose_address()  # first to be seen
                return
            case Step.OBJECTIVE:
                self._chosen = replace(self._chosen, objective=self.objective.currentText().strip())
            case Step.CONTROL if not self._keep_control():
                return
            case Step.SUMMARY:
                self.chosen.emit(self._chosen)
                self.accept()
                return
        self._turn(1)

    def _keep_control(self) -> bool:
        """Keep the control that is written; whether that went well, or none is."""
        levels = [level for level, box in self.levels.items() if box.isChecked()]
        try:
            control = named_control(
                self.control_name.text(), self.placement.currentData(), levels, self.antibody.text(), self.lot.text()
            )
            if control is not None:
                self._steps.keep_control(control)
        except Her2ScopeError as error:
            self._say(f"{CROSS} {error}", "bad")
            return False
        self._chosen = replace(self._chosen, control=control or self._steps.old.control)
        return True

    # ---- camera ----------------------------------------------------------------------------------------------------

    def _choose_row(self, row: int) -> None:
        if 0 <= row < len(self._found):
            device = self._found[row]
            if can_open(device):
                self.address.setText(device.address)
                self._choose_address()
            else:
                self._say(device.problem, "warning")

    def _choose_address(self) -> None:
        """Look at the camera that is written."""
        self._chosen = replace(self._chosen, source=self.address.text().strip())
        self._watch(self._chosen.source)
        self._show_step()

    def _watch(self, uri: str) -> None:
        self._live = None
        self.picture.clear(WAITING if uri else CHOOSE)
        self._say("", "dim")
        self.preview.show("" if self._is_in_use(uri) else uri)

    def _is_in_use(self, uri: str) -> bool:
        """Whether the window has this camera open already, however the two addresses name and set it."""
        in_use = self._steps.in_use
        if uri == in_use or not (uri and in_use):
            return uri == in_use
        one, other = device_of(uri), device_of(in_use)
        return one == other or any(_is_at(device, one) and _is_at(device, other) for device in self._found)

    def _take_found(self, found: tuple[FoundDevice, ...]) -> None:
        """Fill the list; the chosen camera stays chosen."""
        self._found = listed(found)
        self.again.setEnabled(True)
        self.again.setText("&Look again")
        with QSignalBlocker(self.cameras):
            self.cameras.clear()
            for device in self._found:
                self.cameras.addItem(_item(device))
            row = next((at for at, device in enumerate(self._found) if _is_at(device, self._chosen.source)), -1)
            self.cameras.setCurrentRow(row)

    def _take_frame(self, tracked: TrackedFrame) -> None:
        first, self._live = self._live is None, tracked
        self.picture.show_picture(tracked.frame.rgb, LIVE)
        if first:
            height, width = tracked.frame.size_hw
            self._say(f"{CHECK} {width} x {height} px", "good")
            self._show_step()
        if self._wizard is not None:
            self._wizard.show_frame(tracked)

    def _take_word(self, _uri: str, text: str) -> None:
        """Say why there is no picture; the last one is not left as if it were live."""
        if text:
            self._live = None
            self.picture.clear(NOT_LIVE)
            self._say(text, "warning")
            self._show_step()

    # ---- calibration -----------------------------------------------------------------------------------------------

    def _calibrate(self) -> None:
        """Open the calibration over this window, once."""
        if self._wizard is None:
            objectives = [self._chosen.objective] if self._chosen.objective else []
            wizard = CalibrationWizard(self._steps.calibration, self._chosen.calibration, objectives, self)
            wizard.saved.connect(self._take_calibration)
            wizard.finished.connect(self._forget_wizard)
            self._wizard = wizard
            if self._live is not None:
                wizard.show_frame(self._live)
        self._wizard.show()
        self._wizard.raise_()
        self._wizard.activateWindow()

    def _take_calibration(self, path: Path, calibration: Calibration) -> None:
        self._chosen = replace(self._chosen, calibration=calibration)
        self._saved = f"{CHECK} Saved: {path}"
        self._show_step()

    def _forget_wizard(self) -> None:
        self._wizard = None

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def _say(self, text: str, role: str) -> None:
        self.verdict.setText(capitalised(text))
        self.verdict.setVisible(bool(text))
        set_role(self.verdict, role)

    def _show_step(self) -> None:
        words = WORDS[self._step]
        self.what.setText(words.what)
        self.how.setText(words.how)
        for step, mark in self.labels.items():
            self._show_mark(step, mark)
        for step, page in self._pages.items():
            page.setVisible(step is self._step)
        if self._saved:
            self._say(self._saved, "good")
        elif self._step is not Step.CAMERA:
            self._say("" if self._live or self._step is not Step.CALIBRATION else FROM_CAMERA, "warning")
        self.calibrate.setEnabled(self._live is not None)
        self.lines.show_reasons([capitalised(line) for line in self._lines()])
        self.back.setEnabled(self._step is not Step.CAMERA)
        last = self._step is Step.SUMMARY
        self.onward.setText("&Finish" if last else "&Next >" if self._is_filled() else "&Skip >")

    def _show_mark(self, step: Step, mark: QLabel) -> None:
        done = step in self._done()
        mark.setText(f"{CHECK if done else ' ' if step is Step.SUMMARY else chr(0x2013)}  {step.value}")
        set_role(mark, "title" if step is self._step else "good" if done else "dim")

    def _done(self) -> set[Step]:
        """Steps whose answer is there."""
        chosen = self._chosen
        answers: dict[Step, Callable[[], bool]] = {
            Step.CAMERA: lambda: bool(chosen.source),
            Step.OBJECTIVE: lambda: bool(chosen.objective),
            Step.CALIBRATION: lambda: chosen.objective in chosen.calibration.objectives,
            Step.CONTROL: lambda: chosen.control is not None,
        }
        return {step for step, is_there in answers.items() if is_there()}

    def _is_filled(self) -> bool:
        """Whether the step in view has an answer, written or kept."""
        match self._step:
            case Step.OBJECTIVE:
                return bool(self.objective.currentText().strip())
            case Step.CONTROL:
                return bool(self.control_name.text().strip())
        return self._step in self._done()

    def _lines(self) -> tuple[str, ...]:
        """What the step says of what is there and what is missing."""
        chosen = self._chosen
        match self._step:
            case Step.CAMERA:
                device = next((item for item in self._found if _is_at(item, chosen.source)), None)
                return () if device is None else device.modes
            case Step.OBJECTIVE:
                name = self.objective.currentText().strip()
                scale = chosen.calibration.objectives.get(name)
                known = f"calibrated: {scale:.4g} um/px" if scale else "not calibrated yet: that is the next step"
                return (known,) if name else ()
            case Step.CALIBRATION:
                return missing_parts(chosen.calibration)
            case Step.CONTROL:
                return ()
        return (*summary(chosen), *(f"missing: {line}" for line in unfinished(chosen)))


def _is_at(device: FoundDevice, uri: str) -> bool:
    return uri in (device.uri, device.address)


def _item(device: FoundDevice) -> QListWidgetItem:
    sign = "" if can_open(device) else f"{CROSS} "
    item = QListWidgetItem(f"{sign}{device.name}" + (f"  ({device.uri})" if can_open(device) else ""))
    item.setToolTip("\n".join(filter(None, (device.problem, *device.modes))))
    return item


def _column(*parts: QWidget) -> QWidget:
    holder = QWidget()
    column = QVBoxLayout(holder)
    column.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        column.addWidget(part)
    return holder
