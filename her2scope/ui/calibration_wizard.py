"""The window that calibrates the microscope, page by page, from the live picture. Nothing is saved before its Save."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from PyQt6.QtCore import QObject, QRectF, QSize, QSizeF, Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QColor, QImage, QPainter, QPaintEvent
from PyQt6.QtWidgets import (
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from her2scope.domain.errors import Her2ScopeError
from her2scope.records import Frame, RgbImage, TrackedFrame
from her2scope.settings import Calibration, missing_parts
from her2scope.ui.calibration_steps import (
    WORDS,
    CalibrationSteps,
    Change,
    Measured,
    Outcome,
    Page,
    Part,
    Session,
    changes,
)
from her2scope.ui.dialogs import Question
from her2scope.ui.images import to_qimage
from her2scope.ui.layouts import lay_beside, row_of
from her2scope.ui.picture_marks import paint_notice
from her2scope.ui.reasons import ReasonsBox
from her2scope.ui.theme import THEME, font, set_role
from her2scope.ui.viewport import Viewport
from her2scope.ui.words import capitalised, count_text

DIVISION_UM = 10.0
"""Most stage micrometers divide 1 mm into 100."""
COLUMN_PX = 380
LIVE, WAITING = "Live", "Waiting for the camera"
NOTHING = "Nothing was measured: there is nothing to save."
SAVED = "The new calibration is in a file of its own; the one before stays where it is."
CHECK, CROSS, ARROW = "\N{CHECK MARK}", "\N{MULTIPLICATION X}", "\N{RIGHTWARDS ARROW}"


class Aside(QObject):
    """Runs one task at a time on a thread of its own; its answer arrives on the GUI thread, where it must be made."""

    done = pyqtSignal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = threading.Lock()
        self._closed = False
        self._thread: threading.Thread | None = None

    def run(self, task: Callable[[], object]) -> None:
        """Start a task; the one before has to be done."""
        self._thread = threading.Thread(target=self._work, args=(task,), name="calibration", daemon=True)
        self._thread.start()

    def _work(self, task: Callable[[], object]) -> None:
        answer = task()
        with self._lock:  # `close` waits for this, and nothing is sent to a window that is gone
            if not self._closed:
                self.done.emit(answer)

    def close(self) -> None:
        """Answer no more; what still runs is thrown away."""
        with self._lock:
            self._closed = True

    def wait(self, timeout_s: float) -> bool:
        """Wait for the thread to end; whether it did."""
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()


class StillView(QWidget):
    """A picture, whole; says in its corner whether it is live.

    Parameters
    ----------
    notice : said where there is no picture
    """

    def __init__(self, notice: str = WAITING) -> None:
        super().__init__()
        self.setObjectName("still_view")
        self.setAccessibleName("Picture for the calibration")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.caption, self.notice = "", notice
        self._image = QImage()

    def show_picture(self, rgb: RgbImage, caption: str) -> None:
        """Show a picture with what it is."""
        self._image, self.caption = to_qimage(rgb), caption
        self.update()

    def clear(self, notice: str) -> None:
        """Show no picture, and why."""
        self._image, self.caption, self.notice = QImage(), "", notice
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(THEME.picture))
        if self._image.isNull():
            paint_notice(painter, self.rect(), self.notice)
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        port = Viewport.fitted(QSizeF(self.size()), QSizeF(self._image.size()))
        painter.drawImage(port.picture_rect(), self._image)
        painter.setFont(font(bold=True))
        width = painter.fontMetrics().horizontalAdvance(self.caption) + 20
        box = QRectF(12, self.height() - 38, width, 26)  # a drawn fit has its words at the top
        painter.fillRect(box, QColor(12, 13, 14, 205))
        painter.setPen(QColor(THEME.text))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, self.caption)

    def sizeHint(self) -> QSize:
        return QSize(720, 480)

    def minimumSizeHint(self) -> QSize:
        return QSize(360, 240)


class CalibrationWizard(QDialog):
    """Pages on the right, the picture on the left. It does not block: the stage can be moved behind it.

    Parameters
    ----------
    steps : what measures and saves
    old : the calibration in force
    objectives : names to offer beside those of the calibration, the one in the light path first
    """

    saved = pyqtSignal(object, object)
    """Path of the new file, and the `Calibration` in it."""

    def __init__(
        self, steps: CalibrationSteps, old: Calibration, objectives: Sequence[str] = (), parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("calibration_wizard")
        self.setWindowTitle("Calibrate the microscope")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._steps, self._session = steps, Session(old)
        self._page = Page.OBJECTIVE
        self._taken: dict[Page, list[Frame]] = {page: [] for page in Page}
        self._exposures_ms: list[float] = []
        self._said: dict[Page, tuple[str, str]] = {}
        self._live: Frame | None = None
        self._busy = self._is_saved = self._is_left = False
        self._stills: set[Page] = set()
        self._aside = aside = Aside(self)
        aside.done.connect(self._take_answer)
        self.destroyed.connect(lambda: aside.close())
        self._make_parts(objectives)
        self._lay_out()
        self._show_page()

    # ---- parts -----------------------------------------------------------------------------------------------------

    def _make_parts(self, objectives: Sequence[str]) -> None:
        self.picture = StillView()
        self.labels = {page: QLabel() for page in Page}
        self.what, self.how, self.count, self.verdict, self.note = (QLabel() for _ in range(5))
        self.what.setFont(font(17, bold=True))
        for label in (self.how, self.count, self.verdict, self.note):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
        set_role(self.count, "dim")
        self.objective = QComboBox()
        self.objective.setEditable(True)
        self.objective.setAccessibleName("Objective")
        self.objective.addItems(list(dict.fromkeys((*objectives, *self._session.old.objectives))) or ["40x"])
        self.division_um = _number(0.1, 5000.0, DIVISION_UM, " µm", "Distance of two lines")
        self.exposure_ms = _number(0.01, 60_000.0, 10.0, " ms", "Exposure of this picture")
        self.take = QPushButton()
        self.measure = QPushButton("&Measure")
        self.again = QPushButton("Start this page &over")
        self.findings = ReasonsBox("What was measured, with old and new values", least=3, most=14)
        self.back, self.onward = QPushButton("< &Back"), QPushButton()
        self.cancel = QPushButton("Cancel")
        for button in (self.take, self.measure, self.again, self.back, self.onward, self.cancel):
            button.setAutoDefault(False)  # Enter in an input must not turn the page
        self.objective.currentTextChanged.connect(self._show_page)
        self.take.clicked.connect(self.take_picture)
        self.measure.clicked.connect(self.measure_pictures)
        self.again.clicked.connect(self.start_over)
        self.back.clicked.connect(lambda: self._turn(-1))
        self.onward.clicked.connect(self._go_on)
        self.cancel.clicked.connect(self.reject)

    def _lay_out(self) -> None:
        inputs = QVBoxLayout()
        self._objective_row = _row(("Objective", self.objective), ("Lines are apart", self.division_um))
        self._exposure_row = _row(("Exposure of the next picture", self.exposure_ms))
        inputs.addWidget(self._objective_row)
        inputs.addWidget(self._exposure_row)
        column = QVBoxLayout()
        column.setSpacing(9)
        for label in self.labels.values():
            column.addWidget(label)
        column.setSpacing(6)
        column.addSpacing(10)
        column.addWidget(self.what)
        column.addWidget(self.how)
        column.addLayout(inputs)
        column.addLayout(row_of(self.take, self.measure))
        column.addWidget(self.count)
        column.addWidget(self.verdict)
        column.addWidget(self.findings)
        column.addWidget(self.note)
        column.addStretch(1)
        column.addWidget(self.again)
        column.addLayout(row_of(self.cancel, self.back, self.onward))
        lay_beside(self, self.picture, column, COLUMN_PX)
        self.resize(1180, 700)

    # ---- what the reader does --------------------------------------------------------------------------------------

    @property
    def page(self) -> Page:
        """The page in view."""
        return self._page

    @property
    def session(self) -> Session:
        """What was measured so far."""
        return self._session

    @property
    def is_busy(self) -> bool:
        """Whether something is being measured."""
        return self._busy

    def show_frame(self, tracked: TrackedFrame) -> None:
        """Take the newest live frame."""
        first, self._live = self._live is None, tracked.frame
        if first:
            self._show_page()
        elif not self._holds_still():
            self.picture.show_picture(tracked.frame.rgb, LIVE)

    def take_picture(self) -> None:
        """Keep the live picture for this page, or show it again instead of a fit.

        One of a stage micrometer is measured at once.
        """
        if self._live is None or self._busy:
            return
        if self._holds_still():
            self._stills.discard(self._page)
            self._show_page()
            return
        frame = self._live
        if self._page is Page.OBJECTIVE:
            self._taken[self._page] = [frame]
            self.measure_pictures()
            return
        if self._page is Page.RESPONSE:
            self._exposures_ms.append(frame.camera.exposure_ms or self.exposure_ms.value())
        self._taken[self._page].append(frame)
        self._said.pop(self._page, None)
        self._show_page()

    def measure_pictures(self) -> None:
        """Measure the pictures of this page."""
        part = self._part()
        if part is not None and not self._busy:
            session = self._session
            self._run(lambda: session.with_part(part))

    def start_over(self) -> None:
        """Forget this page's pictures and what was measured from them."""
        page, session = self._page, self._session
        self._taken[page] = []
        self._said.pop(page, None)
        if page is Page.RESPONSE:
            self._exposures_ms = []
        if session.of_page(page):
            self._run(lambda: session.without_page(page))
        else:
            self._show_page()

    def turn_to(self, page: Page) -> None:
        """Show another page; what was measured stays."""
        self._page = page
        self._show_page()
        self._focus_next_step()

    def save(self) -> None:
        """Save what was measured, once."""
        if self._is_saved or self._busy or not self._session.measured:
            return
        steps, calibration = self._steps, self._session.calibration
        self._run(lambda: _saved(steps, calibration), "Saving")

    def reject(self) -> None:
        """Leave without saving; asked first where something was measured."""
        if not self._session.measured or self._is_saved:
            super().reject()
            return
        names = ", ".join(dict.fromkeys(item.part.page.value.lower() for item in self._session.measured))
        question = Question(
            "Calibration", "Leave without saving?", [f"Measured: {names}. The old calibration stays in force."],
            "&Leave (Enter)", "Go &on calibrating (Esc)", self,
        )  # fmt: skip
        question.accepted.connect(lambda: self.done(QDialog.DialogCode.Rejected.value))
        question.open()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        if event is not None and not self._is_left:
            event.ignore()
            self.reject()
            return
        super().closeEvent(event)

    def done(self, result: int) -> None:
        self._is_left = True
        self._aside.close()
        super().done(result)

    def wait(self, timeout_s: float) -> bool:
        """Wait for a measurement that is under way; whether it ended."""
        return self._aside.wait(timeout_s)

    # ---- measuring -------------------------------------------------------------------------------------------------

    def _part(self) -> Part | None:
        """What is to be measured on this page, None where it is not ready for it."""
        steps, frames = self._steps, tuple(self._taken[self._page])
        if len(frames) < WORDS[self._page].fewest:
            return None
        match self._page:
            case Page.OBJECTIVE:
                name, division_um = self.objective.currentText().strip(), self.division_um.value()
                if not name:
                    self._say(Page.OBJECTIVE, "Name the objective first, as on its barrel: 40x.", "bad")
                    self._show_page()
                    return None
                return Part(self._page, name, lambda start: steps.micrometer(start, frames[0], name, division_um))
            case Page.EMPTY_FIELD:
                return Part(self._page, "", lambda start: steps.empty_field(start, frames))
            case Page.RESPONSE:
                exposures_ms = tuple(self._exposures_ms)
                return Part(self._page, "", lambda start: steps.response(start, frames, exposures_ms))
            case Page.STAINS:
                return Part(self._page, "", lambda start: steps.stains(start, frames))
        return None

    def _run(self, task: Callable[[], Change | Path | str], doing: str = "Measuring") -> None:
        self._busy = True
        self._say(self._page, f"{doing}\N{HORIZONTAL ELLIPSIS}", "dim")
        self._show_page()
        self._aside.run(task)

    def _take_answer(self, answer: Change | Path | str) -> None:
        """Go on after a measurement, or after saving: a path, or why there is none."""
        self._busy = False
        self._said = {page: said for page, said in self._said.items() if said[1] != "dim"}
        match answer:
            case Change():
                self._take_change(answer)
            case Path():
                self._is_saved = True
                self._say(Page.SUMMARY, f"{CHECK} Saved: {answer}", "good")
                self.saved.emit(answer, self._session.calibration)
            case _:
                self._say(Page.SUMMARY, f"{CROSS} Not saved: {answer}", "bad")
        self._show_page()
        self._focus_next_step()

    def _take_change(self, change: Change) -> None:
        self._session, self._is_saved = change.session, False
        self._said.pop(Page.SUMMARY, None)
        if change.asked is not None:
            self._say_outcome(change.asked)
        for item in change.lost:
            why = f"Measured again after an earlier page changed, and refused: {item.found}"
            self._say(item.part.page, f"{CROSS} {why}", "bad")

    def _say_outcome(self, outcome: Outcome) -> None:
        if isinstance(outcome.found, Measured):
            self._stills.add(outcome.part.page)
            self._say(outcome.part.page, f"{CHECK} Measured", "good")
            return
        kept = "\nThe measurement before it stays." if self._session.of_page(outcome.part.page) else ""
        self._say(outcome.part.page, f"{CROSS} Refused: {outcome.found}{kept}", "bad")

    def _say(self, page: Page, text: str, role: str) -> None:
        self._said[page] = text, role

    def _focus_next_step(self) -> None:
        """Qt moves the focus from a button that goes off or away; on Cancel the next press would be wrong."""
        (self.onward if self._page is Page.SUMMARY else self.take).setFocus()

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def _turn(self, by: int) -> None:
        pages = list(Page)
        self.turn_to(pages[min(len(pages) - 1, max(0, pages.index(self._page) + by))])

    def _go_on(self) -> None:
        if self._page is not Page.SUMMARY:
            self._turn(1)
        elif self._is_saved:
            self.accept()
        else:
            self.save()

    def _newest(self) -> Measured | None:
        """The page's newest measurement."""
        of_page = self._session.of_page(self._page)
        found = of_page[-1].found if of_page else None
        return found if isinstance(found, Measured) else None

    def _holds_still(self) -> bool:
        """Whether the picture shows a fit rather than what the camera sees."""
        newest = self._newest()
        return self._page in self._stills and newest is not None and newest.picture is not None

    def _show_page(self) -> None:
        words, summary = WORDS[self._page], self._page is Page.SUMMARY
        self.what.setText(words.what)
        self.how.setText(SAVED if summary and self._is_saved else words.how)
        for page, label in self.labels.items():
            self._show_step(page, label)
        self._objective_row.setVisible(self._page is Page.OBJECTIVE)
        self._exposure_row.setVisible(self._page is Page.RESPONSE and not self._knows_exposure())
        for widget in (self.take, self.again):
            widget.setVisible(not summary)
        self.measure.setVisible(not summary and self._page is not Page.OBJECTIVE)
        text, role = self._said.get(self._page, ("", "dim"))
        self.verdict.setText(capitalised(text))
        self.verdict.setVisible(bool(text))
        set_role(self.verdict, role)
        self._show_findings()
        self._show_still()
        self._show_buttons()

    def _show_step(self, page: Page, label: QLabel) -> None:
        here, measured = page is self._page, bool(self._session.of_page(page))
        refused = self._said.get(page, ("", ""))[1] == "bad" and not measured
        sign = CHECK if measured else CROSS if refused else "\N{EN DASH}"
        label.setText(f"{sign if page is not Page.SUMMARY else ' '}  {page.value}")
        set_role(label, "title" if here else "good" if measured else "dim")

    def _show_findings(self) -> None:
        newest = self._newest()
        old, new, summary = self._session.old, self._session.calibration, self._page is Page.SUMMARY
        words = () if newest is None else newest.words
        changed = [f"{name}:  {before}  {ARROW}  {after}" for name, before, after in changes(old, new)]
        self.findings.show_reasons(changed if summary else [_readable(line) for line in words])
        missing = [capitalised(words) for words in missing_parts(new)] if summary else []
        said = [NOTHING] if summary and not self._session.measured else []
        path = self._path_doubt() if self._page is Page.OBJECTIVE else ""
        lines = [path, *said, *(["Still not calibrated:", *missing] if missing else [])]
        self.note.setText("\n".join(line for line in lines if line))
        self.note.setVisible(bool(self.note.text()))

    def _path_doubt(self) -> str:
        """Says that another objective is said to be in the light path than the one that is being measured."""
        told = None if self._live is None else self._live.camera.objective
        name = self.objective.currentText().strip()
        if told is None or told == name:
            return ""
        return f"The program was told that {told} is in the light path. Is it {name or 'another one'} now?"

    def _show_still(self) -> None:
        newest = self._newest()
        if self._holds_still() and newest is not None and newest.picture is not None:
            self.picture.show_picture(newest.picture, "Measured")
        elif self._live is not None:
            self.picture.show_picture(self._live.rgb, LIVE)

    def _show_buttons(self) -> None:
        page, n = self._page, len(self._taken[self._page])
        fewest = WORDS[page].fewest
        one = page is Page.OBJECTIVE
        taking = "&Take picture and measure" if one else "&Take picture"
        self.take.setText("Show the &live picture" if self._holds_still() else taking)
        self.take.setEnabled(self._live is not None and not self._busy)
        self.measure.setEnabled(n >= fewest and not self._busy)
        self.again.setEnabled(not self._busy and (n > 0 or bool(self._session.of_page(page))))
        more = f"; at least {fewest} are needed" if 0 < n < fewest else ""
        exposures = ", ".join(f"{ms:g}" for ms in self._exposures_ms) if page is Page.RESPONSE else ""
        at = f" at {exposures} ms" if exposures else ""
        self.count.setText(f"{count_text(n, 'picture', 'pictures')} taken{at}{more}")
        self.count.setVisible(not one and page is not Page.SUMMARY)
        self.back.setEnabled(page is not Page.OBJECTIVE and not self._busy)
        can_save = bool(self._session.measured)
        last = "Close" if self._is_saved else "&Save"
        self.onward.setText(last if page is Page.SUMMARY else "&Next >" if self._session.of_page(page) else "&Skip >")
        self.onward.setEnabled(not self._busy and (page is not Page.SUMMARY or can_save))
        self.cancel.setVisible(not self._is_saved)

    def _knows_exposure(self) -> bool:
        return self._live is not None and self._live.camera.exposure_ms is not None


def _saved(steps: CalibrationSteps, calibration: Calibration) -> Path | str:
    """Where it was saved, or why not."""
    try:
        return steps.save(calibration)
    except (Her2ScopeError, OSError) as error:
        return str(error)


def _readable(line: str) -> str:
    """A line of the command's answer as a sentence of the window."""
    return capitalised(line.replace("->", ARROW))


def _number(least: float, most: float, value: float, unit: str, name: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(least, most)
    box.setDecimals(2)
    box.setValue(value)
    box.setSuffix(unit)
    box.setAccessibleName(name)
    return box


def _row(*fields: tuple[str, QWidget]) -> QWidget:
    """Inputs with their labels before them."""
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    for text, widget in fields:
        label = QLabel(text)
        label.setBuddy(widget)
        row.addWidget(label)
        row.addWidget(widget, 1)
    return holder
