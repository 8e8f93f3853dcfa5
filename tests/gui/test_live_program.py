"""The whole program in a window: real engine, phantom microscope, case on disk, report files."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication

from her2scope.app import compose
from her2scope.app.calibrate import calibration_dir
from her2scope.app.compose import case_store
from her2scope.app.demo import DemoRequest
from her2scope.app.window import LiveRequest, run_live
from her2scope.cli import main
from her2scope.domain.errors import SettingsError
from her2scope.domain.sign_off import CaseStatus
from her2scope.records import ReaderScore
from her2scope.settings import Calibration, home_dir, save_yaml
from her2scope.ui.main_window import MainWindow
from her2scope.ui.sign_off import SignDialog

PATIENCE_MS = 90_000


def windows() -> list[MainWindow]:
    return [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, MainWindow)]


class CloseWhen:
    """Closes the window once a condition holds, or after a time that no run should need."""

    def __init__(self, done) -> None:
        self.done, self.waited_ms, self.seen = done, 0, False
        self.timer = QTimer()
        self.timer.setInterval(100)
        self.timer.timeout.connect(self.look)
        self.timer.start()

    def look(self) -> None:
        self.waited_ms += 100
        open_windows = [window for window in windows() if window.isVisible()]
        self.seen = self.seen or bool(open_windows and self.done(open_windows[0]))
        if open_windows and (self.seen or self.waited_ms > PATIENCE_MS):
            self.timer.stop()
            open_windows[0].close()


@pytest.mark.timeout(180)
def test_the_demo_does_the_whole_job_in_its_window(qapp, tmp_path):
    out = tmp_path / "report"
    closer = CloseWhen(lambda window: (out / "report.json").exists())
    request = LiveRequest(source="phantom:3+?seed=2", demo=DemoRequest(False, out, "3+", 2, 2))
    assert run_live(request) == 0
    assert closer.seen
    found = json.loads((out / "report.json").read_text())
    assert found["case"]["score"] == "3+" and found["case"]["reportable"]
    assert [case.finished for case in case_store().cases()] == [True]
    assert (home_dir() / "preferences.yaml").exists()
    assert not windows(), "a window that is left when the program ends may crash it"


@pytest.mark.timeout(180)
def test_a_program_that_is_told_to_quit_takes_its_window_down(qapp):
    QTimer.singleShot(2000, lambda: QApplication.exit(0))
    assert run_live(LiveRequest(source="phantom:3+?seed=2", size_wh=(320, 240))) == 0
    assert not windows()


class SignInWindow:
    """Reads one field, finishes and signs: each step once, when the one before shows."""

    def __init__(self) -> None:
        self.step = 0

    def __call__(self, window: MainWindow) -> bool:
        view, commands = window._case, window._commands  # noqa: SLF001
        status = view.sign_off.status if view is not None else None
        if self.step == 0 and view is not None and window.view.shown is not None:
            commands.accept_field()
            self.step = 1
        elif self.step == 1 and view is not None and view.fields:
            commands.enter_reader_score(ReaderScore(None, "one field only"))
            commands.finish()
            self.step = 2
        elif self.step == 2 and status is CaseStatus.IN_REVIEW:
            window.actions_by_id["sign"].trigger()
            self.step = 3
        elif self.step == 3 and (dialog := window.findChild(SignDialog)) is not None:
            dialog.confirmed.setChecked(True)
            dialog.signer.new_name.setText("Dr. A. Example")
            dialog.signer.pin.setText("804217")
            dialog.signer.again.setText("804217")
            dialog.ask()
            self.step = 4
        return status is CaseStatus.SIGNED and window.findChild(SignDialog) is None


@pytest.mark.timeout(180)
def test_a_case_is_signed_in_the_window(qapp):
    closer = CloseWhen(SignInWindow())
    assert run_live(LiveRequest(source="phantom:3+?seed=2", method="closed-contours")) == 0
    assert closer.seen
    (case,) = case_store().cases()
    assert (case.status, case.version, case.signed_by) == (CaseStatus.SIGNED, 1, "Dr. A. Example")
    assert case.problem is None and not case.locked


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("camera:93", "camera"),
        ("images:{empty}", "no image in this folder"),
        ("stream:http://127.0.0.1:9/live", "does not answer"),
    ],
)
def test_a_source_that_is_not_there_is_said_in_the_window(qapp, tmp_path, source, says):
    (tmp_path / "empty").mkdir()
    texts: list[str] = []

    def said(window: MainWindow) -> bool:
        texts[:] = [message.text for message in window.messages.history]
        return any(says in text for text in texts)

    closer = CloseWhen(said)
    assert run_live(LiveRequest(source=source.format(empty=tmp_path / "empty"), um_per_px=0.25)) == 0
    assert closer.seen, texts
    assert not any("Traceback" in text for text in texts)


def test_a_network_that_cannot_be_loaded_is_said_in_the_window_and_no_case_is_scored(qapp, tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise SettingsError("this installation has no trained network. Install her2scope again.")

    monkeypatch.setattr(compose, "load_network", fail)
    (tmp_path / "empty").mkdir()
    texts: list[str] = []

    def said(window: MainWindow) -> bool:
        texts[:] = [message.text for message in window.messages.history]
        return any("no trained network. Install" in text for text in texts)

    closer = CloseWhen(said)
    assert run_live(LiveRequest(source=f"images:{tmp_path / 'empty'}", um_per_px=0.25)) == 0
    assert closer.seen, texts
    assert [case.n_fields for case in case_store().cases()] == [0]


def test_an_unknown_method_is_one_clear_line_and_opens_no_window(qapp, capsys):
    assert main(["--method", "guess"]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "guess" in line and "network" in line
    assert case_store().cases() == () and not any(window.isVisible() for window in windows())


def test_the_newest_calibration_is_used_and_its_age_and_gaps_are_said(qapp, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    calibration_dir().mkdir(parents=True)
    saved = Calibration(name="bench 2", objectives={"40x": 0.25}, date="2026-03-01")
    save_yaml(saved, calibration_dir() / "bench-2-2026-03-01.yaml")
    said: list[str] = []

    def done(window: MainWindow) -> bool:
        said[:] = [window.status.calibration.toolTip(), *(message.text for message in window.messages.history)]
        return any("no image in this folder" in text for text in said)

    closer = CloseWhen(done)
    assert run_live(LiveRequest(source=f"images:{folder}", um_per_px=0.25), date(2036, 3, 4)) == 0
    assert closer.seen, said
    assert "days ago" in said[0] and "flat field" in said[0]
    assert any("bench 2 of 2026-03-01, the newest saved one" in text for text in said)


HOLD = """
import sys
from her2scope.app.compose import case_store
held = case_store().create("slide-7")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_case_that_is_open_elsewhere_is_one_clear_line(qapp, capsys):
    other = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    with other:
        assert other.stdout.readline() == "held\n"
        assert main(["--case", "slide-7"]) == 2
        other.stdin.close()
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "open in another her2scope" in line and "slide-7" in line


def test_a_case_id_that_is_no_name_is_refused(qapp, capsys):
    assert main(["--case", "../elsewhere"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (Path(home_dir()) / "elsewhere").exists()
