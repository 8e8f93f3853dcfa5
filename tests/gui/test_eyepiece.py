"""The eyepiece as the main window has it: its display comes and goes, choices hold, nothing that was chosen is lost."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest
from gui.fake_engine import FakeEngine
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QCheckBox, QWidget

from her2scope.domain.errors import SettingsError
from her2scope.pipeline.live import CameraPhase, CameraStatus, Mode
from her2scope.settings.eyepiece import EyepieceMap, EyepieceMaps, EyepieceView, load_view, maps_path, save, view_path
from her2scope.ui import eyepiece as eyepiece_module
from her2scope.ui.bridge import LiveBridge
from her2scope.ui.eyepiece import Eyepiece, EyepieceSetup, screen_for, stored_setup
from her2scope.ui.eyepiece_choices import BOXES, EyepieceChoices

MAP = EyepieceMap(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), (300, 200), (800, 800), "2026-01-15", 0.4, 9)


def display_wh() -> tuple[int, int]:
    """Of the display that stands for the eyepiece's: real windows have another one than offscreen ones."""
    size = QApplication.primaryScreen().size()
    return size.width(), size.height()


@dataclass(eq=False)
class Screen:
    """A display, as far as it is chosen by."""

    shown_name: str

    def name(self) -> str:
        return self.shown_name


OWN, HDMI, USB, TWIN = Screen("DP-1"), Screen("HDMI-2"), Screen("USB-3"), Screen("DP-1")


@pytest.mark.parametrize(
    ("wanted", "screens", "found"),
    [
        ("", [OWN], None),
        ("", [OWN, HDMI, USB], HDMI),
        ("", [HDMI, OWN], HDMI),
        ("USB-3", [OWN, HDMI, USB], USB),
        ("USB-3", [OWN, HDMI], None),
        ("DP-1", [OWN, HDMI], OWN),
        ("", [], None),
        ("DP-1", [OWN, TWIN], TWIN),
    ],
)
def test_the_display_is_the_chosen_or_the_second_one(wanted, screens, found):
    assert screen_for(wanted, screens, OWN) is found


class Desk:
    """A main window's eyepiece with the only display of an offscreen desktop."""

    def __init__(self, qtbot, view: EyepieceView | None = None, fails: bool = False) -> None:
        self.parent = QWidget()
        qtbot.addWidget(self.parent)
        self.parent.show()
        self.bridge = LiveBridge()
        self.engine = FakeEngine(self.bridge)
        self.told: list[str] = []
        self.kept: list[EyepieceView] = []
        self.fails = fails
        made = dataclasses.replace(MAP, display_wh=display_wh())
        setup = EyepieceSetup(view or EyepieceView(), EyepieceMaps({"40x": made}), self.save)
        self.eyepiece = Eyepiece(self.bridge, setup, lambda text, _is_error: self.told.append(text), self.parent)

    def save(self, view: EyepieceView) -> None:
        if self.fails:
            raise SettingsError("cannot be written.")
        self.kept.append(view)

    @property
    def window(self):
        assert self.eyepiece.window is not None
        return self.eyepiece.window


@pytest.fixture
def one_display(monkeypatch) -> None:
    """The only display of an offscreen desktop stands for the eyepiece's."""
    monkeypatch.setattr(eyepiece_module, "screen_for", lambda *_choice: QApplication.primaryScreen())


@pytest.fixture
def desk(qtbot, one_display):
    made = Desk(qtbot)
    yield made
    made.eyepiece.rest()


def test_it_opens_fills_its_display_and_closes(desk, qtbot):
    desk.eyepiece.toggle()
    assert desk.window.isVisible() and desk.window.isFullScreen()
    qtbot.waitUntil(lambda: desk.window.display_wh == display_wh())
    assert desk.window.windowFlags() & Qt.WindowType.FramelessWindowHint
    desk.eyepiece.toggle()
    assert not desk.eyepiece.is_open


def test_it_shows_what_the_engine_tells(desk, qtbot):
    desk.eyepiece.toggle()
    desk.engine.start()
    qtbot.waitUntil(lambda: desk.window.state.visible)
    assert "No score yet" in [line.text for line in desk.window.lines]
    desk.engine.listener.on_camera(CameraStatus(CameraPhase.LOST, "unplugged"))
    qtbot.waitUntil(lambda: "camera lost" in desk.window.lines[-1].text)


def test_one_opened_later_knows_the_camera_the_case_and_that_the_score_is_hidden(desk, qtbot):
    desk.eyepiece.show_blind(True)
    desk.eyepiece.show_mode(Mode.CONTROL, "3+")
    desk.engine.start()
    desk.bridge.sweep_changed.emit(True)
    with qtbot.waitSignal(desk.bridge.case_changed):
        desk.engine.tell_case()
    desk.eyepiece.toggle()
    texts = [line.text for line in desk.window.lines]
    assert "Own score first" in texts and "CONTROL 3+" in texts and "no picture yet" in texts[-1]
    desk.eyepiece.show_blind(False)
    desk.eyepiece.show_mode(Mode.READING, "")
    assert {"No score yet", "READING"} <= {line.text for line in desk.window.lines}


def test_without_a_display_it_says_what_to_do(qtbot, monkeypatch):
    monkeypatch.setattr(eyepiece_module, "screen_for", lambda *_choice: None)
    desk = Desk(qtbot, EyepieceView())
    desk.eyepiece.toggle()
    assert not desk.eyepiece.is_open and "no second display" in desk.told[0]
    gone = Desk(qtbot, EyepieceView(screen="HDMI-9"))
    gone.eyepiece.toggle()
    assert "HDMI-9" in gone.told[0]


def test_a_display_that_is_unplugged_closes_it_and_opens_it_again(desk):
    screen = QApplication.primaryScreen()
    desk.eyepiece.toggle()
    QApplication.instance().screenRemoved.emit(screen)
    assert not desk.eyepiece.is_open and "is gone" in desk.told[0]
    QApplication.instance().screenAdded.emit(screen)
    assert desk.eyepiece.is_open
    desk.eyepiece.toggle()
    QApplication.instance().screenAdded.emit(screen)
    assert not desk.eyepiece.is_open  # closed by the reader: stays closed


def test_a_display_that_is_not_its_own_changes_nothing(desk, monkeypatch):
    desk.eyepiece.toggle()
    monkeypatch.setattr(desk.window, "screen", lambda: HDMI)
    QApplication.instance().screenRemoved.emit(QApplication.primaryScreen())
    assert desk.eyepiece.is_open


def test_it_opens_again_where_it_was_open(qtbot, one_display):
    for was_open in (True, False):
        desk = Desk(qtbot, EyepieceView(is_open=was_open))
        desk.eyepiece.open_as_before()
        assert desk.eyepiece.is_open is was_open
        desk.eyepiece.rest()
        assert desk.kept == []  # nothing changed


def test_a_display_that_is_gone_at_the_start_is_not_spoken_of(qtbot):
    gone = Desk(qtbot, EyepieceView(is_open=True, screen="HDMI-9"))
    gone.eyepiece.open_as_before()
    assert not gone.eyepiece.is_open and gone.told == []


def test_that_it_was_open_is_kept(desk):
    desk.eyepiece.toggle()
    desk.eyepiece.rest()
    assert [view.is_open for view in desk.kept] == [True]


def test_escape_in_it_closes_it(desk):
    desk.eyepiece.toggle()
    QTest.keyClick(desk.window, Qt.Key.Key_Escape)
    assert not desk.eyepiece.is_open


def test_choices_take_effect_at_once_and_are_kept(desk):
    desk.eyepiece.toggle()
    desk.eyepiece.choose()
    dialog = desk.parent.findChild(EyepieceChoices)
    dialog.boxes["mode"].setChecked(False)
    dialog.line_px.setValue(5.0)
    assert desk.eyepiece.view.mode is False and "READING" not in [line.text for line in desk.window.lines]
    dialog.reject()
    assert desk.kept[-1].line_px == 5.0 and not desk.kept[-1].mode


@pytest.mark.parametrize("name", [*BOXES, "picture", "text_mirrored"])
def test_every_box_is_one_flag(qtbot, name):
    view = EyepieceView()
    dialog = EyepieceChoices(view, ["DP-1", "HDMI-2"], EyepieceMaps({"40x": MAP}))
    qtbot.addWidget(dialog)
    boxes: dict[str, QCheckBox] = {**dialog.boxes, "picture": dialog.picture, "text_mirrored": dialog.text_mirrored}
    assert boxes[name].isChecked() is getattr(view, name)
    boxes[name].toggle()
    assert dialog.view == dataclasses.replace(view, **{name: not getattr(view, name)})


def test_display_colours_and_text_can_be_chosen(qtbot):
    dialog = EyepieceChoices(EyepieceView(screen="HDMI-9"), ["DP-1"], EyepieceMaps({"40x": MAP}))
    qtbot.addWidget(dialog)
    assert dialog.screen_name.currentText() == "HDMI-9"  # not there now, and not forgotten
    assert "0.40 px from 9 targets" in dialog.maps.text()
    dialog.screen_name.setCurrentText("DP-1")
    dialog.palette_name.setCurrentText("safe")
    dialog.text_turned.setCurrentIndex(1)
    dialog.text_px.setValue(44)
    dialog.text_y.setValue(0.9)
    view = dialog.view
    assert (view.screen, view.palette, view.text_turned_deg, view.text_px) == ("DP-1", "safe", 90, 44)
    assert view.text_y_share == pytest.approx(0.9)


def test_choices_that_cannot_be_kept_are_said(qtbot):
    desk = Desk(qtbot, fails=True)
    desk.eyepiece.choose()
    desk.parent.findChild(EyepieceChoices).reject()
    assert desk.told == ["cannot be written."]


def test_the_calibration_needs_the_display_and_gives_its_map_to_it(desk, qtbot):
    desk.eyepiece.calibrate()
    assert "Open the eyepiece display first" in desk.told[0]
    desk.eyepiece.toggle()
    desk.engine.start()
    qtbot.waitUntil(lambda: desk.window.shown is not None)
    desk.eyepiece.calibrate()
    dialog = desk.eyepiece.calibration
    desk.eyepiece.calibrate()
    assert desk.eyepiece.calibration is dialog and dialog.session.objective == "40x"
    dialog.saved.emit("20x", dataclasses.replace(MAP, residual_px=0.7))
    assert "calibrated for 20x" in desk.told[-1]
    desk.eyepiece.toggle()
    assert desk.eyepiece.calibration is None


def test_the_handlers_are_its_actions(desk):
    handlers = desk.eyepiece.handlers()
    assert set(handlers) == {"eyepiece", "eyepiece_choices", "eyepiece_calibration"}
    handlers["eyepiece"]()
    assert desk.eyepiece.is_open


def test_stored_files_are_read_and_written():
    setup, told = stored_setup()
    assert (setup.view, setup.maps, told) == (EyepieceView(), EyepieceMaps(), ())
    setup.save_view(EyepieceView(markers=True))
    setup.save_map("40x", MAP)
    setup, told = stored_setup()
    assert setup.view.markers and setup.maps.maps == {"40x": MAP} and told == ()


def test_a_damaged_map_file_is_said_and_kept():
    save(EyepieceView(markers=True), view_path())
    maps_path().parent.mkdir(parents=True)
    maps_path().write_text("maps: 3")
    setup, told = stored_setup()
    assert setup.maps == EyepieceMaps() and len(told) == 1 and "not calibrated" in told[0]
    with pytest.raises(SettingsError):
        setup.save_map("40x", MAP)
    assert maps_path().read_text() == "maps: 3" and load_view(view_path())[0].markers
