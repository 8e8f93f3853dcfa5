"""Which calibration the window starts with, and what it says of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from her2scope.app.calibrate import calibration_dir
from her2scope.app.window import LiveRequest, calibration_for, calibration_setup
from her2scope.domain.errors import SettingsError
from her2scope.pipeline.live import Severity
from her2scope.settings import Calibration, save_yaml

TODAY = date(2026, 3, 4)
CAMERA = LiveRequest(source="camera:0")


def saved(day: str, name: str = "bench 2", folder: Path | None = None) -> Calibration:
    calibration = Calibration(name=name, objectives={"40x": 0.25}, date=day)
    folder = folder or calibration_dir()
    folder.mkdir(parents=True, exist_ok=True)
    save_yaml(calibration, folder / f"bench-2-{day}.yaml")
    return calibration


def test_the_newest_saved_calibration_is_used_and_named():
    saved("2026-02-01")
    newest = saved("2026-03-01")
    calibration, (message,) = calibration_for(CAMERA, TODAY)
    assert calibration == newest and message.severity is Severity.INFO
    assert "bench 2 of 2026-03-01" in message.text and "bench-2-2026-03-01.yaml" in message.text


def test_a_calibration_that_was_asked_for_comes_first(tmp_path):
    saved("2026-03-01")
    asked = saved("2026-01-01", "other", tmp_path)
    request = LiveRequest(source="camera:0", calibration=tmp_path / "bench-2-2026-01-01.yaml")
    assert calibration_for(request, TODAY) == (asked, ())
    with pytest.raises(SettingsError):
        calibration_for(LiveRequest(source="camera:0", calibration=tmp_path / "none.yaml"), TODAY)


def test_a_phantom_and_a_new_computer_have_no_saved_one():
    assert calibration_for(CAMERA, TODAY) == (Calibration(), ())
    saved("2026-03-01")
    assert calibration_for(LiveRequest(source="phantom:3+"), TODAY) == (Calibration(), ())


@pytest.mark.parametrize("text", ["objectives: {40x: -1}\n", "colour: red\n", "name: [\n", "date: 2027-01-01\n"])
def test_a_saved_calibration_that_cannot_be_used_is_said_and_left(text):
    calibration_dir().mkdir(parents=True)
    (calibration_dir() / "bench-2-2026-03-01.yaml").write_text(text)
    calibration, (message,) = calibration_for(CAMERA, TODAY)
    assert calibration == Calibration() and message.severity is Severity.ERROR
    assert "cannot be used" in message.text and "without a calibration" in message.text


def test_age_and_gaps_are_told_by_the_day():
    calibration = saved("2026-03-01")
    setup = calibration_setup(calibration, TODAY)
    assert setup.age_doubt is None and any("flat field" in part for part in setup.missing)
    assert "days ago" in str(calibration_setup(calibration, date(2036, 3, 4)).age_doubt)
