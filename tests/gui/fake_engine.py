"""An engine without camera or network: it keeps a case by the rules and remembers what the window asked."""

from __future__ import annotations

import dataclasses
from typing import Any

import factories
import numpy as np

from her2scope.domain.cells import CellClass
from her2scope.domain.control import ControlCode
from her2scope.domain.guideline import Ish, Score
from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.pipeline.live import (
    CameraPhase,
    CameraStatus,
    LiveFigures,
    LiveListener,
    LiveResult,
    Message,
    Mode,
    Severity,
)
from her2scope.records import AcceptedField, CaseView, ControlReading, FieldResult, Frame, ReaderScore, TrackedFrame

MIXED = {
    CellClass.COMPLETE_INTENSE: 0.06,
    CellClass.COMPLETE_MODERATE: 0.30,
    CellClass.INCOMPLETE_INTENSE: 0.12,
    CellClass.INCOMPLETE_FAINT: 0.22,
    CellClass.NONE: 0.22,
    None: 0.08,
}
STRONG = {CellClass.COMPLETE_INTENSE: 0.85, CellClass.COMPLETE_MODERATE: 0.12, None: 0.03}
FADED = ("DAB too weak (median 0.21, limit 0.30 od10); check antibody, incubation, retrieval",)


class FakeEngine:
    """Implements `LiveCommands`; tells a listener at once, on the caller's thread."""

    def __init__(self, listener: LiveListener, result: FieldResult | None = None) -> None:
        self.listener = listener
        self.calls: list[tuple[Any, ...]] = []
        self.result = result or factories.honeycomb_field(MIXED, (200, 300))
        self.next_verdict: tuple[ControlStatus, tuple[ControlCode, ...], tuple[str, ...]] = (
            ControlStatus.VALID,
            (),
            (),
        )
        self.fields: list[AcceptedField] = []
        self.controls: list[ControlReading] = []
        self.more: dict[str, Any] = {"finished_utc": None}

    # ---- what tests and screenshots start ----

    def start(self) -> None:
        self.listener.on_camera(CameraStatus(CameraPhase.LIVE, "phantom microscope live"))
        self.listener.on_figures(LiveFigures(24.9, 12.4, 83.0, 217, "CPUExecutionProvider"))
        self.listener.on_frame(tracked(self.result))
        self.listener.on_result(live(self.result))
        self.tell_case()

    def tell_case(self) -> None:
        self.listener.on_case(self.view())

    def view(self) -> CaseView:
        status = self.controls[-1].verdict.status if self.controls else ControlStatus.ABSENT
        overridden = "override_reason" in self.more
        standing = ControlStanding(status, overridden=overridden)
        return factories.case_view(self.fields, self.controls, standing, **self.more)

    # ---- LiveCommands ----

    def set_mode(self, mode: Mode) -> None:
        self.calls.append(("set_mode", mode))

    def read_control(self, expected: Score, lot: str, run: str = "") -> None:
        self.calls.append(("read_control", expected, lot, run) if run else ("read_control", expected, lot))
        status, codes, reasons = self.next_verdict
        number = len(self.controls) + 1
        self.controls.append(
            factories.control_reading(status, reasons, codes, expected, result=self.result, number=number, lot=lot)
        )
        self.tell_case()

    def override_control(self, reason: str) -> None:
        self.calls.append(("override_control", reason))
        self.more["override_reason"] = reason
        self.tell_case()

    def accept_field(self) -> None:
        self.calls.append(("accept_field",))
        self.fields.append(factories.accepted(self.result, len(self.fields) + 1))
        self.tell_case()

    def remove_field(self, number: int) -> None:
        self.calls.append(("remove_field", number))
        self._set_active(number, False)

    def restore_field(self, number: int) -> None:
        self.calls.append(("restore_field", number))
        self._set_active(number, True)

    def _set_active(self, number: int, active: bool) -> None:
        self.fields[number - 1] = dataclasses.replace(self.fields[number - 1], active=active)
        self.tell_case()

    def enter_reader_score(self, score: ReaderScore) -> None:
        self.calls.append(("enter_reader_score", score))
        self.more["reader_score"] = score
        self.tell_case()

    def enter_ish(self, ish: Ish | None) -> None:
        self.calls.append(("enter_ish", ish))
        self.more["ish"] = ish
        self.tell_case()

    def finish(self) -> None:
        self.calls.append(("finish",))
        self.more["finished_utc"] = "2025-03-04T09:31:40.000+00:00"
        self.tell_case()
        self.listener.on_message(Message(Severity.INFO, "Report written: cases/S25-01234/report.pdf"))

    def new_case(self) -> None:
        self.calls.append(("new_case",))
        self.fields, self.controls = [], []
        self.more = {"finished_utc": None, "case_id": "S25-01235 A1"}
        self.tell_case()

    def reconnect(self) -> None:
        self.calls.append(("reconnect",))


class FakeSource:
    """A Stage, a Nosepiece and a FrameSequence in one."""

    name = "fake microscope"

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._objective = "20x"

    def move_by_um(self, dx_um: float, dy_um: float) -> None:
        self.calls.append(("move_by_um", dx_um, dy_um))

    def places(self) -> tuple[str, ...]:
        return ("control 3+", "control 1+", "tissue")

    def go_to(self, place: str) -> None:
        self.calls.append(("go_to", place))

    def objectives(self) -> tuple[str, ...]:
        return ("10x", "20x", "40x")

    def objective(self) -> str:
        return self._objective

    def select_objective(self, name: str) -> None:
        self.calls.append(("select_objective", name))
        self._objective = name

    def step(self, places: int) -> None:
        self.calls.append(("step", places))


def tracked(
    result: FieldResult,
    x_px: float = 0.0,
    y_px: float = 0.0,
    island: int = 0,
    captured_s: float = 0.0,
    speed_um_per_s: float = 0.0,
    shift: bool = False,
) -> TrackedFrame:
    """The result's frame at another place; with `shift` its pixels move as the tissue does."""
    frame = result.frame
    rgb = np.roll(frame.rgb, (-round(y_px), -round(x_px)), axis=(0, 1)) if shift else frame.rgb
    moved = Frame(rgb, frame.index + 1, captured_s, frame.um_per_px, frame.camera, frame.name)
    return TrackedFrame(moved, x_px, y_px, island, speed_um_per_s)


def live(result: FieldResult, mode: Mode = Mode.READING, **place: Any) -> LiveResult:
    """The result as the engine would hand it over."""
    return LiveResult(TrackedFrame(result.frame, **place), result, mode)
