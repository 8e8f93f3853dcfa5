"""What the calibration wizard asks, done as the command line does it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from her2scope.app.calibrate import (
    Measured,
    calibrate_empty_field,
    calibrate_objective,
    calibrate_response,
    calibrate_stains,
    path_for,
)
from her2scope.app.outputs import write_all
from her2scope.records import Frame, RgbImage
from her2scope.settings import Calibration, as_yaml, check_for_use
from her2scope.ui import calibration_steps as wizard


class FrameCalibration:
    """Calibrates from frames of the live camera; implements `ui.calibration_steps.CalibrationSteps`."""

    def micrometer(self, start: Calibration, frame: Frame, objective: str, division_um: float) -> wizard.Measured:
        """Size of a pixel at an objective from a stage micrometer."""
        return _shown(calibrate_objective(frame.rgb, objective, start, date.today(), division_um))

    def empty_field(self, start: Calibration, frames: Sequence[Frame]) -> wizard.Measured:
        """White reference and flat field, for the camera state of the last picture."""
        return _shown(calibrate_empty_field(_pictures(frames), start, date.today(), frames[-1].camera))

    def response(self, start: Calibration, frames: Sequence[Frame], exposures_ms: Sequence[float]) -> wizard.Measured:
        """The camera's response; MeasurementRefused where it stays unknown."""
        return _shown(calibrate_response(_pictures(frames), exposures_ms, start, date.today()))

    def stains(self, start: Calibration, frames: Sequence[Frame]) -> wizard.Measured:
        """The lab's stain vectors."""
        return _shown(calibrate_stains(_pictures(frames), start, date.today()))

    def save(self, calibration: Calibration) -> Path:
        """Write a new dated file among the user's calibrations; an earlier one is never replaced."""
        check_for_use(calibration, date.today())
        path = path_for(calibration)
        write_all({path: as_yaml(calibration)})
        return path


def _pictures(frames: Sequence[Frame]) -> list[RgbImage]:
    return [frame.rgb for frame in frames]


def _shown(measured: Measured) -> wizard.Measured:
    return wizard.Measured(measured.calibration, measured.lines, measured.picture)
