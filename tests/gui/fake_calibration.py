"""Calibration steps that measure nothing: they answer as told and remember what they were asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from her2scope.domain.errors import Her2ScopeError
from her2scope.records import Frame
from her2scope.settings import Calibration
from her2scope.ui.calibration_steps import Measured

WHITE = (240.0, 238.0, 241.0)
FLAT_FIELD = (((1.0, 1.0, 1.0), (0.9, 0.9, 0.9)), ((0.95, 0.95, 0.95), (0.85, 0.85, 0.85)))
DAB = (0.30, 0.56, 0.77)


class FakeSteps:
    """Implements `CalibrationSteps`."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.saved: list[Calibration] = []
        self.refusals: dict[str, Exception] = {}
        """What the next calls of a method raise."""
        self.um_per_px = {"40x": 0.2478, "20x": 0.2478}

    def _asked(self, name: str, *what: Any) -> None:
        self.calls.append((name, *what))
        if name in self.refusals:
            raise self.refusals[name]

    def micrometer(self, start: Calibration, frame: Frame, objective: str, division_um: float) -> Measured:
        self._asked("micrometer", objective, division_um)
        objectives = {**start.objectives, objective: self.um_per_px[objective]}
        words = ("40x: 0.25 um/px -> 0.2478 um/px", "41 lines, 40.4 px apart")
        return Measured(dataclasses.replace(start, objectives=objectives), words, frame.rgb)

    def empty_field(self, start: Calibration, frames: Sequence[Frame]) -> Measured:
        self._asked("empty_field", len(frames))
        made = dataclasses.replace(start, white_rgb=WHITE, flat_field=FLAT_FIELD)
        return Measured(made, ("Dust on 0.1 % of the picture",), frames[0].rgb)

    def response(self, start: Calibration, frames: Sequence[Frame], exposures_ms: Sequence[float]) -> Measured:
        self._asked("response", tuple(exposures_ms))
        return Measured(dataclasses.replace(start, response="srgb"), ("Residuals below 1 %",))

    def stains(self, start: Calibration, frames: Sequence[Frame]) -> Measured:
        self._asked("stains", start.white_rgb)
        return Measured(dataclasses.replace(start, dab_vector=DAB), ("DAB 3.1 degrees from the literature",))

    def save(self, calibration: Calibration) -> Path:
        self._asked("save")
        self.saved.append(calibration)
        return Path("calibration/microscope-2026-01-15.yaml")


class Refused(Her2ScopeError):
    """As a measurement refuses."""
