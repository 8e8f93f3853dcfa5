"""The set-up: what it looks for, opens and keeps, and when a start begins with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from her2scope.app.calibrate import calibration_dir
from her2scope.app.calibration_steps import FrameCalibration
from her2scope.app.compose import read_controls
from her2scope.app.devices import found_cameras
from her2scope.app.outputs import write_all
from her2scope.cameras.found import FoundDevice
from her2scope.cameras.mm_scale import magnification
from her2scope.cameras.registry import SourceOptions, open_source
from her2scope.domain.control_material import ControlMaterial, ControlMaterials
from her2scope.domain.errors import SettingsError
from her2scope.ports import CameraSource
from her2scope.settings import Calibration, Preferences, as_yaml
from her2scope.ui.calibration_steps import CalibrationSteps
from her2scope.ui.first_start_steps import Chosen

USUAL_UM_PER_PX, USUAL_MAGNIFICATION = 0.25, 40.0
"""Of a 40x objective on the usual camera adapter; said, and never reportable."""


def controls_path() -> Path:
    """Where this user's controls are kept, beside the calibrations of the microscope."""
    return calibration_dir() / "controls.yaml"


def usual_controls(asked: Path | None) -> Path | None:
    """The file that was asked for, else this user's own, where there is one."""
    if asked is not None:
        return asked
    return controls_path() if controls_path().exists() else None


def assumed_um_per_px(objective: str | None) -> float:
    """Pixel size where nobody measured it, by the objective's magnification as far as its name tells."""
    times = magnification(objective or "") or USUAL_MAGNIFICATION
    return USUAL_UM_PER_PX * USUAL_MAGNIFICATION / times


class SetupHelp:
    """Implements `ui.first_start_steps.SetupSteps`."""

    def __init__(
        self,
        old: Chosen,
        in_use: str = "",
        find: Callable[[], tuple[FoundDevice, ...]] = found_cameras,
    ) -> None:
        self.old, self.in_use, self._find = old, in_use, find
        self.calibration: CalibrationSteps = FrameCalibration()

    def look(self) -> tuple[FoundDevice, ...]:
        """Cameras that are there, and why others are not."""
        return self._find()

    def open_source(self, uri: str) -> CameraSource:
        """A source to look at; its pixel size does not matter here."""
        options = SourceOptions(self.old.calibration, um_per_px=assumed_um_per_px(None), scale_assumed=True)
        return open_source(uri, options)

    def keep_control(self, control: ControlMaterial) -> Path:
        """Put the control first in the laboratory's file; one of its name keeps its limits, the others stay."""
        path = controls_path()
        kept = read_controls(path).controls if path.exists() else ()
        same = next((item for item in kept if item.name == control.name), None)
        if same is not None:
            levels = {level: same.levels.get(level, told) for level, told in control.levels.items()}
            control = replace(control, levels=levels, stainer=same.stainer, limits=same.limits)
        others = tuple(item for item in kept if item.name != control.name)
        write_all({path: as_yaml(ControlMaterials((control, *others)))})
        return path


def chosen_so_far(preferences: Preferences, calibration: Calibration) -> Chosen:
    """What holds now. Controls that cannot be read count as none here: to keep another one is refused then."""
    try:
        control = read_controls(controls_path()).named(None) if controls_path().exists() else None
    except SettingsError:
        control = None
    return Chosen(preferences.source, preferences.objective, calibration, control)
