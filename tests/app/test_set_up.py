"""What the set-up keeps, and what a start does with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from her2scope.app import window
from her2scope.app.desk import instruments_for
from her2scope.app.set_up import (
    SetupHelp,
    assumed_um_per_px,
    chosen_so_far,
    controls_path,
    usual_controls,
)
from her2scope.app.window import NO_CAMERA, LiveRequest, _open_source, _preferences_path, _with_choice
from her2scope.cli import main
from her2scope.domain.control import ControlLimits
from her2scope.domain.control_material import ControlLevel, ControlMaterial, ControlMaterials
from her2scope.domain.errors import BadInputError, SettingsError
from her2scope.settings import Calibration, Preferences, home_dir, load_controls, load_preferences, save_yaml
from her2scope.settings.instruments import InstrumentSettings
from her2scope.ui.first_start_steps import Chosen, kept_choice

TODAY = date(2026, 3, 4)
KNOWN = Calibration(objectives={"40x": 0.2478})
OURS = ControlMaterial("tonsil block", levels={"3+": ControlLevel(), "0": ControlLevel()})


def keep(control: ControlMaterial) -> ControlMaterials:
    assert SetupHelp(Chosen()).keep_control(control) == controls_path()
    return load_controls(controls_path())


def test_a_named_control_comes_first_and_loses_nothing_of_the_others():
    limits = replace(ControlLimits(), min_tumour=ControlLimits().min_tumour + 20)
    theirs = ControlMaterial("run slide", levels={"3+": ControlLevel("SKBR3", "left")}, stainer="B", limits=limits)
    controls_path().parent.mkdir(parents=True)
    save_yaml(ControlMaterials((theirs,)), controls_path())
    assert keep(OURS).controls == (OURS, theirs)
    again = ControlMaterial("run slide", levels={"3+": ControlLevel(), "1+": ControlLevel()}, lot="7")
    first, second = keep(again).controls
    assert second == OURS
    assert first == replace(
        again, levels={"3+": ControlLevel("SKBR3", "left"), "1+": ControlLevel()}, stainer="B", limits=limits
    )
    assert chosen_so_far(Preferences(), Calibration()).control == first


def test_a_damaged_file_of_controls_is_not_overwritten():
    controls_path().parent.mkdir(parents=True)
    controls_path().write_text("controls: [")
    assert chosen_so_far(Preferences(), Calibration()).control is None
    with pytest.raises(SettingsError):
        keep(OURS)
    assert controls_path().read_text() == "controls: ["


@pytest.mark.parametrize(
    "secret",
    [
        "stream:rtsp://reader:wren@10.0.0.5/live",
        "rtsp://a:b@h/x",
        "stream:http://h/v?PWD=wren",
        "stream:http://h/?token=1",
        "stream:http://h/v?u=a&p=wren",
    ],
)
def test_no_password_is_kept(secret):
    kept, told = kept_choice(Preferences(), Chosen(secret, "40x"))
    assert (kept.source, kept.objective) == ("", "40x") and "password" in told and "wren" not in told


@pytest.mark.parametrize("uri", ["camera:0?size=1920x1080", "stream:http://h:8080/?action=stream", "mm:C:\\a.cfg"])
def test_an_address_is_kept_and_read_again(uri, tmp_path):
    kept, told = kept_choice(Preferences(reader="A"), Chosen(uri, "20x"))
    save_yaml(kept, tmp_path / "preferences.yaml")
    assert load_preferences(tmp_path / "preferences.yaml") == (kept, ())
    assert (kept.source, kept.reader, told) == (uri, "A", "")


def test_the_size_of_a_pixel_is_assumed_by_the_objectives_name():
    assert [assumed_um_per_px(name) for name in (None, "40x", "Plan 20X", "old")] == [0.25, 0.25, 0.5, 0.25]


# ---- the start ------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_questions(monkeypatch):
    """A set-up that would ask fails the test: nobody is there to answer."""
    monkeypatch.setattr(window, "FirstStart", lambda *_: pytest.fail("asked"))


def started(request: LiveRequest, preferences: Preferences) -> LiveRequest:
    return _with_choice(request, preferences, TODAY)[0]


def test_what_was_asked_for_goes_before_what_was_set_up(no_questions):
    save_yaml(Preferences(), _preferences_path())
    kept = Preferences(source="camera:1", objective="20x")
    found = started(LiveRequest(), kept)
    assert (found.source, found.usual_objective) == ("camera:1", "20x")
    assert started(LiveRequest(source="video:a.avi"), kept).source == "video:a.avi"
    assert started(LiveRequest(objective="40x"), kept).usual_objective is None
    assert started(LiveRequest(um_per_px=0.3), kept).usual_objective is None
    assert started(LiveRequest(), Preferences()).source == "phantom:"


def test_a_start_without_a_camera_says_what_it_shows(no_questions):
    save_yaml(Preferences(), _preferences_path())
    assert _with_choice(LiveRequest(), Preferences(), TODAY)[2] == (NO_CAMERA,)
    assert _with_choice(LiveRequest(source="phantom:"), Preferences(), TODAY)[2] == ()
    assert _with_choice(LiveRequest(), Preferences(source="camera:0"), TODAY)[2] == ()


def test_a_source_that_was_set_up_and_cannot_be_opened_is_said_and_nothing_else_opened():
    request = LiveRequest(source="teapot:0", um_per_px=0.25)
    with pytest.raises(BadInputError, match="the source that was set up cannot be opened: .*teapot.*--source"):
        _open_source(request, KNOWN, is_usual=True)
    with pytest.raises(BadInputError, match="^source 'teapot:0'"):
        _open_source(request, KNOWN)


def test_a_folder_that_was_set_up_is_waited_for_and_one_that_is_named_is_refused(tmp_path):
    """The one that was set up may lie on a drive that is not mounted yet; a name was mistyped."""
    request = LiveRequest(source=f"images:{tmp_path / 'fields'}", um_per_px=0.25)
    assert _open_source(request, KNOWN, is_usual=True)[0].name.endswith("fields")
    with pytest.raises(BadInputError, match="no such folder"):
        _open_source(request, KNOWN)


@pytest.mark.parametrize("uri", ["slide:a.svs", "mm:demo", "phantom:"])
def test_nothing_is_assumed_of_a_source_that_tells_its_pixel_size(uri, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.svs").touch()
    assert _open_source(LiveRequest(source=uri), Calibration())[1] == []


def test_a_set_up_of_which_every_step_was_skipped_says_so(monkeypatch):
    monkeypatch.setattr(Answered, "__init__", lambda self, help_: setattr(self, "choice", replace(help_.old)))
    monkeypatch.setattr(window, "FirstStart", Answered)
    assert "nothing is set up" in _with_choice(LiveRequest(), Preferences(), TODAY)[2][0]


def test_a_pixel_size_beside_another_calibrated_one_is_said():
    request = LiveRequest(source="camera:0", objective="40x", um_per_px=0.3)
    assert "0.3 um/px was given for 40x and holds" in _open_source(request, KNOWN)[1][0]
    assert _open_source(replace(request, um_per_px=0.25), KNOWN)[1] == []
    assert _open_source(replace(request, objective=None), KNOWN)[1] == []


def test_only_a_plain_first_start_asks(no_questions):
    assert started(LiveRequest(source="phantom:"), Preferences()).source == "phantom:"
    assert started(LiveRequest(case_id="slide-7"), Preferences()).source == "phantom:"


@pytest.mark.parametrize("option", ["instruments", "settings", "controls", "calibration"])
def test_a_file_that_cannot_be_used_is_refused_before_anything_is_asked(
    option, tmp_path, monkeypatch, capsys, no_questions
):
    (tmp_path / "bad.yaml").write_text("stag: 1\n")
    monkeypatch.setattr(window, "has_display", lambda: True)
    assert main([f"--{option}", str(tmp_path / "bad.yaml")]) == 2
    error = capsys.readouterr().err
    assert "bad.yaml" in error and "stag" in error and len(error.splitlines()) == 1
    assert not _preferences_path().exists()


class Answered:
    """A set-up that was answered."""

    def __init__(self, help_: SetupHelp) -> None:
        self.choice = replace(help_.old, source="camera:0", objective="40x")

    def exec(self) -> int:
        return 1


def test_the_first_start_keeps_the_answer_and_opens_it(monkeypatch):
    monkeypatch.setattr(window, "FirstStart", Answered)
    request, preferences, told = _with_choice(LiveRequest(), Preferences(), TODAY)
    assert (request.source, request.usual_objective, told) == ("camera:0", "40x", ())
    assert load_preferences(home_dir() / "preferences.yaml") == (preferences, ())
    monkeypatch.setattr(window, "FirstStart", lambda *_: pytest.fail("asked twice"))
    assert started(LiveRequest(), preferences).source == "camera:0"


def test_a_set_up_that_was_left_keeps_nothing_and_is_not_asked_again(monkeypatch):
    monkeypatch.setattr(window, "FirstStart", Answered)
    monkeypatch.setattr(Answered, "exec", lambda _: 0)
    request, preferences, (told,) = _with_choice(LiveRequest(), Preferences(), TODAY)
    assert (request.source, preferences) == ("phantom:", Preferences()) and "Ctrl+Shift+M" in told
    monkeypatch.setattr(window, "FirstStart", lambda *_: pytest.fail("asked twice"))
    assert started(LiveRequest(), preferences).source == "phantom:"


def test_no_scale_is_said_to_be_assumed_where_a_sensor_will_tell_the_objective():
    request = LiveRequest(source="camera:0")
    assert _open_source(request, KNOWN, senses_objective=True)[1] == []
    assert "assumed" in _open_source(request, KNOWN)[1][0]
    usual = replace(request, usual_objective="20x")  # not calibrated: the sensor may tell just that
    assert "assumed" in _open_source(usual, KNOWN, senses_objective=True)[1][0]


def test_an_objective_without_a_scale_is_assumed_and_said():
    request = LiveRequest(source="camera:0", usual_objective="20x")
    source, (note,) = _open_source(request, KNOWN)
    assert "assumed: 0.5 um/px (20x)" in note
    assert _open_source(replace(request, usual_objective="40x"), KNOWN)[1] == []
    with pytest.raises(BadInputError, match="no objective '20x'"):
        _open_source(LiveRequest(source="camera:0", objective="20x"), KNOWN)


# ---- what lies beside a camera only --------------------------------------------------------------------------------


def test_the_desk_and_the_controls_of_this_user_are_a_cameras():
    folder = home_dir() / "calibration"
    folder.mkdir(parents=True)
    (folder / "instruments.yaml").write_text("keys: {F13: accept}\n")
    save_yaml(ControlMaterials((OURS,)), controls_path())
    for source in ("camera:0", "genicam:1", "mm:demo", "stream:rtsp://h/x", "/dev/video0", "rtsp://h/x"):
        assert "F13" in instruments_for(source, None).keys
    for source in ("phantom:3+", "images:a", "slide:a.svs", "video:a.avi"):
        assert instruments_for(source, None) == InstrumentSettings()
    assert "F13" in instruments_for("phantom:", folder / "instruments.yaml").keys
    assert usual_controls(None) == controls_path()
    assert window._controls_of(LiveRequest(source="phantom:")) is None  # noqa: SLF001
    assert window._controls_of(LiveRequest(source="camera:0")) == controls_path()  # noqa: SLF001


def test_instruments_that_cannot_be_read_are_one_clear_error(tmp_path):
    (tmp_path / "instruments.yaml").write_text("stage: {line: {prt: a}}\n")
    with pytest.raises(SettingsError, match="prt"):
        instruments_for("camera:0", tmp_path / "instruments.yaml")
