from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import factories
import pytest
from gui.conftest import Stand
from gui.fake_calibration import FakeSteps, Refused
from gui.fake_engine import tracked
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from her2scope.domain.errors import DiskFullError
from her2scope.records import CameraState
from her2scope.settings import Calibration
from her2scope.ui.calibration_steps import WORDS, CalibrationSetup, Page
from her2scope.ui.calibration_wizard import LIVE, CalibrationWizard
from her2scope.ui.dialogs import Question

OLD = Calibration(name="old", objectives={"40x": 0.25})
CAMERA = CameraState("40x", "srgb", 8.0, 1.0, "fixed")
METHODS = {
    Page.OBJECTIVE: "micrometer",
    Page.EMPTY_FIELD: "empty_field",
    Page.RESPONSE: "response",
    Page.STAINS: "stains",
}


def live_frame(camera: CameraState = CAMERA):
    return tracked(factories.field_result((), camera=camera))


class Desk:
    """A wizard, what it asks, and hands."""

    def __init__(self, qtbot, wizard: CalibrationWizard, steps: FakeSteps) -> None:
        self.qtbot, self.wizard, self.steps = qtbot, wizard, steps

    def click(self, button) -> None:
        assert button.isVisible() and button.isEnabled()
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        self.settle()

    def settle(self) -> None:
        self.qtbot.waitUntil(lambda: not self.wizard.is_busy)

    def measure(self, page: Page) -> None:
        """Take the pictures of a page and measure them."""
        self.wizard.turn_to(page)
        if page is Page.OBJECTIVE:
            self.click(self.wizard.take)
            return
        for _ in range(WORDS[page].fewest):
            self.click(self.wizard.take)
        self.click(self.wizard.measure)

    def questions(self) -> list[Question]:
        return [item for item in self.wizard.findChildren(Question) if item.isVisible()]


@pytest.fixture
def desk(qtbot) -> Desk:
    steps = FakeSteps()
    wizard = CalibrationWizard(steps, OLD, ["40x"])
    wizard.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(wizard, before_close_func=lambda made: made.done(0))
    wizard.show()
    wizard.show_frame(live_frame())
    return Desk(qtbot, wizard, steps)


def test_the_whole_calibration_saves_once_and_at_the_end(desk: Desk):
    wizard, steps = desk.wizard, desk.steps
    for page in METHODS:
        desk.measure(page)
        assert "Measured" in wizard.verdict.text() and steps.saved == []
        desk.click(wizard.onward)
    assert wizard.page is Page.SUMMARY and wizard.focusWidget() is wizard.onward
    for value in ("0.2500 um/px", "0.2478 um/px", "240, 238, 241", "srgb", "85 %"):
        assert value in wizard.findings.text
    with desk.qtbot.waitSignal(wizard.saved) as told:
        QTest.mouseClick(wizard.onward, Qt.MouseButton.LeftButton)
    desk.settle()
    assert told.args == [Path("calibration/microscope-2026-01-15.yaml"), wizard.session.calibration]
    assert [made.objectives for made in steps.saved] == [{"40x": 0.2478}]
    assert steps.saved == [wizard.session.calibration]
    wizard.save()
    assert len(steps.saved) == 1
    desk.click(wizard.onward)
    assert not wizard.isVisible() and len(steps.saved) == 1


@pytest.mark.parametrize("page", METHODS)
def test_every_refusal_is_shown_and_keeps_the_old_value(desk: Desk, page):
    why = "the two directions differ by 3 %: lay the slide flat, and focus again."
    desk.steps.refusals[METHODS[page]] = Refused(why)
    desk.measure(page)
    wizard = desk.wizard
    assert why in wizard.verdict.text() and wizard.verdict.property("role") == "bad" and wizard.verdict.isVisible()
    assert wizard.session.calibration is OLD
    assert not wizard.findings.isVisible()
    assert wizard.labels[page].text().startswith("\N{MULTIPLICATION X}")
    wizard.turn_to(Page.SUMMARY)
    assert "nothing to save" in wizard.note.text() and not wizard.onward.isEnabled()
    wizard.save()
    assert desk.steps.saved == []


def test_a_refusal_after_a_good_measurement_keeps_that(desk: Desk):
    desk.measure(Page.EMPTY_FIELD)
    desk.steps.refusals["empty_field"] = Refused("tissue in view")
    desk.click(desk.wizard.measure)
    assert "tissue in view" in desk.wizard.verdict.text() and "before it stays" in desk.wizard.verdict.text()
    assert desk.wizard.session.calibration.white_rgb is not None


@pytest.mark.parametrize("leave", ["cancel", "escape", "close"])
def test_cancelling_saves_nothing_and_asks_first(desk: Desk, leave):
    wizard = desk.wizard
    desk.measure(Page.OBJECTIVE)

    def go() -> None:
        if leave == "cancel":
            QTest.mouseClick(wizard.cancel, Qt.MouseButton.LeftButton)
        elif leave == "escape":
            QTest.keyClick(wizard, Qt.Key.Key_Escape)
        else:
            wizard.close()

    go()
    (question,) = desk.questions()
    question.reject()
    assert wizard.isVisible() and wizard.session.measured
    go()
    desk.questions()[0].accept()
    assert not wizard.isVisible()
    assert desk.steps.saved == [] and wizard.session.old is OLD


def test_leaving_without_a_measurement_asks_nothing(desk: Desk):
    desk.click(desk.wizard.cancel)
    assert not desk.wizard.isVisible() and desk.questions() == []


def test_a_file_that_cannot_be_written_is_said_and_can_be_saved_again(desk: Desk):
    desk.measure(Page.OBJECTIVE)
    desk.steps.refusals["save"] = DiskFullError("No space is left on the disk. Free some and save again.")
    desk.wizard.turn_to(Page.SUMMARY)
    desk.click(desk.wizard.onward)
    assert "No space is left" in desk.wizard.verdict.text() and desk.steps.saved == []
    desk.steps.refusals.clear()
    desk.click(desk.wizard.onward)
    assert len(desk.steps.saved) == 1 and "Saved" in desk.wizard.verdict.text()


# ---- pictures -----------------------------------------------------------------------------------------------------


def test_several_objectives_one_after_the_other(desk: Desk):
    desk.click(desk.wizard.take)
    desk.click(desk.wizard.take)  # the live picture again
    desk.wizard.objective.setEditText("20x")
    desk.wizard.division_um.setValue(50.0)
    desk.click(desk.wizard.take)
    assert desk.steps.calls == [("micrometer", "40x", 10.0), ("micrometer", "20x", 50.0)]
    assert desk.wizard.session.calibration.objectives == {"40x": 0.2478, "20x": 0.2478}


def test_an_objective_needs_a_name(desk: Desk):
    desk.wizard.objective.setEditText("  ")
    desk.click(desk.wizard.take)
    assert desk.steps.calls == [] and "Name the objective" in desk.wizard.verdict.text()


def test_another_objective_than_the_one_told_is_doubted(desk: Desk):
    assert not desk.wizard.note.isVisible()
    desk.wizard.objective.setEditText("20x")
    assert "40x is in the light path" in desk.wizard.note.text() and desk.wizard.note.isVisible()


def test_too_few_pictures_are_not_measured(desk: Desk):
    wizard = desk.wizard
    wizard.turn_to(Page.RESPONSE)
    for n in range(WORDS[Page.RESPONSE].fewest):
        assert not wizard.measure.isEnabled()
        desk.click(wizard.take)
        assert wizard.count.text().startswith(f"{n + 1} picture")
    assert wizard.measure.isEnabled()


def test_exposures_come_from_the_camera_or_from_the_reader(desk: Desk):
    wizard = desk.wizard
    wizard.turn_to(Page.RESPONSE)
    assert not wizard.exposure_ms.isVisible()
    desk.click(wizard.take)
    wizard.show_frame(live_frame(dataclasses.replace(CAMERA, exposure_ms=None)))
    wizard.turn_to(Page.RESPONSE)
    assert wizard.exposure_ms.isVisible()
    for exposure_ms in (12.0, 18.0, 32.0):
        wizard.exposure_ms.setValue(exposure_ms)
        desk.click(wizard.take)
    desk.click(wizard.measure)
    assert desk.steps.calls == [("response", (8.0, 12.0, 18.0, 32.0))]
    assert wizard.count.text() == "4 pictures taken at 8, 12, 18, 32 ms"


def test_a_measured_picture_stays_until_the_page_is_started_over(desk: Desk):
    wizard = desk.wizard
    assert wizard.picture.caption == LIVE
    desk.measure(Page.EMPTY_FIELD)
    wizard.show_frame(live_frame())
    assert wizard.picture.caption == "Measured"
    desk.click(wizard.again)
    assert wizard.picture.caption == LIVE and wizard.session.measured == ()
    assert wizard.count.text().startswith("0 pictures") and not wizard.measure.isEnabled()


def test_the_camera_can_be_seen_again_after_a_measurement(desk: Desk):
    desk.measure(Page.EMPTY_FIELD)
    measured = desk.wizard.session.measured
    desk.click(desk.wizard.take)
    assert desk.wizard.picture.caption == LIVE and desk.wizard.count.text().startswith("1 picture ")
    desk.click(desk.wizard.take)
    assert desk.wizard.count.text().startswith("2 pictures")
    assert desk.wizard.session.measured == measured  # only another measurement replaces it


def test_without_a_picture_nothing_can_be_taken(qtbot):
    wizard = CalibrationWizard(FakeSteps(), OLD)
    qtbot.addWidget(wizard)
    wizard.show()
    assert not wizard.take.isEnabled()
    wizard.take_picture()
    assert wizard.session.measured == () and not wizard.is_busy


def test_nothing_else_can_be_asked_while_something_is_measured(desk: Desk):
    wizard, steps = desk.wizard, desk.steps
    may_end = threading.Event()
    inner = steps.micrometer

    def slow(*arguments):
        may_end.wait(10)
        return inner(*arguments)

    steps.micrometer = slow  # type: ignore[method-assign]
    QTest.mouseClick(wizard.take, Qt.MouseButton.LeftButton)
    assert wizard.is_busy and "Measuring" in wizard.verdict.text()
    assert not any(button.isEnabled() for button in (wizard.take, wizard.again, wizard.back, wizard.onward))
    may_end.set()
    desk.settle()
    assert wizard.session.measured and wizard.focusWidget() is wizard.take


def test_closing_while_something_is_measured_throws_it_away(desk: Desk):
    wizard, steps = desk.wizard, desk.steps
    may_end = threading.Event()
    steps.micrometer = lambda *arguments: may_end.wait(10)  # type: ignore[method-assign]
    QTest.mouseClick(wizard.take, Qt.MouseButton.LeftButton)
    QTest.mouseClick(wizard.cancel, Qt.MouseButton.LeftButton)
    assert not wizard.isVisible()
    may_end.set()
    assert wizard.wait(10)
    QApplication.processEvents()
    assert wizard.session.measured == () and steps.saved == []


def test_lost_measurements_are_named_on_their_page(desk: Desk):
    desk.measure(Page.STAINS)
    desk.steps.refusals["stains"] = Refused("only one stain in view")
    desk.measure(Page.EMPTY_FIELD)
    assert "Measured" in desk.wizard.verdict.text()
    desk.wizard.turn_to(Page.STAINS)
    assert "only one stain in view" in desk.wizard.verdict.text()


def test_enter_in_an_input_turns_no_page(desk: Desk):
    desk.wizard.division_um.setFocus()
    QTest.keyClick(desk.wizard.division_um, Qt.Key.Key_Return)
    assert desk.wizard.page is Page.OBJECTIVE and desk.steps.calls == []


@pytest.mark.parametrize("page", Page)
def test_no_text_is_cut(desk: Desk, page):
    wizard = desk.wizard
    for method in METHODS.values():
        desk.steps.refusals[method] = Refused("the picture shows something else than it should; " * 6)
    if page is not Page.SUMMARY:
        desk.measure(page)
    wizard.turn_to(page)
    QApplication.processEvents()
    for label in (wizard.how, wizard.verdict, wizard.note, wizard.count):
        if label.isVisible():
            assert label.height() >= label.heightForWidth(label.width())
    assert wizard.height() <= 700 and wizard.onward.geometry().bottom() <= wizard.height()


# ---- in the window ------------------------------------------------------------------------------------------------


def test_the_window_opens_one_wizard_on_its_own_picture(stand: Stand):
    stand.window._calibration = CalibrationSetup(FakeSteps(), OLD)  # noqa: SLF001 - as a window with a microscope
    for _ in range(2):
        stand.window.actions_by_id["calibrate"].trigger()
    (wizard,) = stand.window.findChildren(CalibrationWizard)
    assert wizard.isVisible() and wizard.take.isEnabled() and wizard.objective.currentText() == "40x"
    wizard.reject()
    QApplication.processEvents()
    stand.window.actions_by_id["calibrate"].trigger()
    assert [item for item in stand.window.findChildren(CalibrationWizard) if item.isVisible()]


def test_what_was_saved_is_the_old_one_of_the_next_time(stand: Stand, qtbot):
    steps = FakeSteps()
    stand.window._calibration = CalibrationSetup(steps, OLD)  # noqa: SLF001
    stand.window.actions_by_id["calibrate"].trigger()
    (wizard,) = stand.window.findChildren(CalibrationWizard)
    wizard.take_picture()
    qtbot.waitUntil(lambda: not wizard.is_busy)
    wizard.save()
    qtbot.waitUntil(lambda: not wizard.is_busy)
    assert stand.window._calibration.old == steps.saved[0]  # noqa: SLF001
    assert "microscope-2026-01-15.yaml" in stand.window.messages.label.text()
    wizard.reject()


def test_a_window_without_a_microscope_says_what_to_do(stand: Stand):
    stand.window.actions_by_id["calibrate"].trigger()
    assert "her2scope calibrate" in stand.window.messages.label.text()
