"""From pictures to a saved calibration: what is measured replaces its part, what is refused changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from her2scope.app.calibrate import (
    calibrate_empty_field,
    calibrate_objective,
    calibrate_response,
    calibration_dir,
    newest_calibration,
    path_for,
    save_measured,
)
from her2scope.domain.errors import BadInputError
from her2scope.imaging.calibration.refusal import MeasurementRefused
from her2scope.phantom.calibration_targets import (
    MicrometerSpec,
    draw_empty_field,
    draw_exposure_series,
    draw_micrometer,
)
from her2scope.phantom.optics import Optics
from her2scope.records import CameraState
from her2scope.settings import Calibration, load_calibration, save_yaml

TODAY = date(2026, 3, 1)
OLD = Calibration(name="lab 1", date="2026-01-15", objectives={"10x": 1.0, "40x": 0.3})
OPTICS = Optics(response="linear")
RULING = draw_micrometer(MicrometerSpec(size_wh=(640, 360)))


def test_only_the_measured_part_is_replaced():
    measured = calibrate_objective(RULING, "40x", OLD, TODAY)
    new = measured.calibration
    assert new.objectives["40x"] == pytest.approx(0.25, rel=1e-3)
    unchanged = replace(
        new, objectives=OLD.objectives, date=OLD.date, measured_from=OLD.measured_from, measured_on=OLD.measured_on
    )
    assert unchanged == OLD and new.measured_on == {"objective 40x": "2026-03-01"}
    assert any("0.3 um/px -> 0.25 um/px" in line for line in measured.lines)
    assert any("-17 % from the value before" in line for line in measured.lines)


def test_white_and_flat_field_carry_the_camera_state():
    pictures = [draw_empty_field(OPTICS, (320, 240), seed) for seed in range(2)]
    state = CameraState(exposure_ms=4.0, gain=1.0, white_balance="locked")
    new = calibrate_empty_field(pictures, OLD, TODAY, state).calibration
    assert (new.exposure_ms, new.gain, new.white_balance) == (4.0, 1.0, "locked")
    assert new.flat_field is not None and new.white_rgb is not None


def test_a_new_response_says_what_follows_and_an_unknown_one_is_refused():
    times = (0.1, 0.2, 0.4, 0.8)
    measured = calibrate_response(draw_exposure_series(replace(OPTICS, response="srgb"), times), times, OLD, TODAY)
    assert measured.calibration.response == "srgb" and "measure the stain vectors again" in measured.lines[-1]
    with pytest.raises(MeasurementRefused, match="unknown"):
        calibrate_response(draw_exposure_series(OPTICS, times[:2]), times[:2], OLD, TODAY)


def test_an_objective_needs_a_name():
    with pytest.raises(BadInputError, match="name"):
        calibrate_objective(RULING, " ", OLD, TODAY)


def test_no_earlier_calibration_is_replaced():
    measured = calibrate_objective(RULING, "40x", OLD, TODAY)
    paths = [save_measured(measured) for _ in range(3)]
    assert [path.name for path in paths] == [f"lab-1-2026-03-01{number}.yaml" for number in ("", "-2", "-3")]
    assert all(load_calibration(path) == measured.calibration for path in paths)
    with pytest.raises(BadInputError, match="is there already"):
        save_measured(measured, out=paths[0])
    assert sorted(item.name for item in calibration_dir().iterdir()) == sorted(path.name for path in paths)


def test_the_newest_is_found_by_name_and_date():
    assert newest_calibration() is None
    for name, day in (("a", "2026-01-02"), ("b", "2026-01-03"), ("a", "2025-12-31")):
        save_yaml(Calibration(name=name, date=day), path_for(Calibration(name=name, date=day)))
    for number in (2, 10):
        save_yaml(Calibration(name="a", date="2026-01-02"), calibration_dir() / f"a-2026-01-02-{number}.yaml")
    (calibration_dir() / "notes.yaml").write_text("none of ours")
    found = newest_calibration(), newest_calibration("a"), newest_calibration("c")
    assert [path and path.name for path in found] == ["b-2026-01-03.yaml", "a-2026-01-02-10.yaml", None]


def test_a_name_cannot_leave_the_folder():
    path = path_for(Calibration(name="../../x/../y", date="2026-01-02"))
    assert path.parent == calibration_dir() and Path(path.name) == Path("x-..-y-2026-01-02.yaml")
