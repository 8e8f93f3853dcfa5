"""What the live engine tells the window, and what the window may ask of it. No Qt here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from her2scope.domain.corrections import CaseData, Correction, RuleChange
from her2scope.domain.guideline import Ish, Score
from her2scope.domain.regions import RegionDraft
from her2scope.records import CaseView, FieldResult, MapView, ReaderScore, TrackedFrame


class Mode(StrEnum):
    """What the reader looks at: the run's control, or the case's tissue."""

    CONTROL = "control"
    READING = "reading"


class CameraPhase(StrEnum):
    """State of the camera; a picture is live only in `live`."""

    STARTING = "starting"
    LIVE = "live"
    STALLED = "stalled"
    LOST = "lost"
    RECONNECTING = "reconnecting"


@dataclass(frozen=True, slots=True, eq=False)
class LiveResult:
    """The analysis of one live frame, with the frame's place on the slide."""

    tracked: TrackedFrame
    result: FieldResult
    mode: Mode


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """State of the camera, in words for the status line."""

    phase: CameraPhase
    text: str


@dataclass(frozen=True, slots=True)
class LiveFigures:
    """How live the picture is; renewed about once a second."""

    camera_fps: float
    analysed_fps: float
    latency_ms: float
    """Capture to finished analysis, median of the last second; 0 before the first."""
    replaced_frames: int
    """Frames that came while the analyser was busy and were replaced by a newer one."""
    provider: str
    analysis_ms: float = 0.0
    """One analysis by itself, median of the last seconds; 0 before the first."""
    provider_note: str = ""
    """Why it is not the better provider; empty where there is nothing to say."""


class Severity(StrEnum):
    """How a message is shown."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Message:
    """One line for the reader: what happened and what to do."""

    severity: Severity
    text: str


class LiveListener(Protocol):
    """Told by the engine's threads; every method must return at once and never raise."""

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Take a new live frame, at camera rate (keep only the newest)."""

    def on_result(self, live: LiveResult) -> None:
        """Take the analysis of a frame (keep only the newest)."""

    def on_case(self, view: CaseView) -> None:
        """Take the case after it changed; never to be dropped for an older one."""

    def on_map(self, view: MapView) -> None:
        """Take the map of the slide after it grew (keep only the newest)."""

    def on_sweep(self, on: bool) -> None:
        """Take whether fields are accepted by themselves now."""

    def on_camera(self, status: CameraStatus) -> None:
        """Take the camera's state after it changed."""

    def on_figures(self, figures: LiveFigures) -> None:
        """Take the rates, about once a second."""

    def on_message(self, message: Message) -> None:
        """Show a line to the reader."""


class LiveCommands(Protocol):
    """What the window may ask. Each call returns at once; what came of it is told to the listener."""

    def set_mode(self, mode: Mode) -> None:
        """Look at the control or at the case's tissue."""

    def read_control(self, expected: Score, lot: str, run: str = "") -> None:
        """Read the newest frame as a control field of a known score; without a name the run is called by its day."""

    def override_control(self, reason: str) -> None:
        """Score in spite of an invalid control, for a written reason."""

    def accept_field(self) -> None:
        """Add the newest frame to the case; refused with a message where it cannot be scored."""

    def remove_field(self, number: int) -> None:
        """Take a field out of the case."""

    def restore_field(self, number: int) -> None:
        """Put a removed field back."""

    def annotate_field(self, number: int, text: str) -> None:
        """Write a remark to a field; an empty one takes it back."""

    def correct_cells(self, field: int, cells: Sequence[int], to: Correction | None) -> None:
        """Reclassify or exclude cells of a field (by their place in its list); None: as the method read them."""

    def draw_region(self, draft: RegionDraft) -> None:
        """Exclude tissue, mark a normal duct, or restrict to invasive tumour."""

    def remove_region(self, number: int) -> None:
        """Take a region back."""

    def change_rule(self, change: RuleChange) -> None:
        """Move cuts or the completeness needed, for the whole case; an empty change: back to the stored settings."""

    def preview_rule(self, change: RuleChange) -> None:
        """Show the case as it would be with moved cuts; nothing is recorded, and only the newest preview is made."""

    def enter_case_data(self, data: CaseData) -> None:
        """Accession, block, slide, specimen, antibody run; refused where another open case has this slide."""

    def undo(self) -> None:
        """Take the last change back; without limit."""

    def redo(self) -> None:
        """Do again what was undone last."""

    def set_sweep(self, on: bool) -> None:
        """Accept every sharp, steady, new part of the picture that lies within outlined invasive tumour."""

    def enter_reader_score(self, score: ReaderScore) -> None:
        """The pathologist's own score; one that differs from the computed score needs a remark."""

    def enter_ish(self, ish: Ish | None) -> None:
        """The ISH result, None to take it back."""

    def finish(self) -> None:
        """End the reading and write the report; the case is in review. The message says where the report is."""

    def reopen(self, reason: str) -> None:
        """Back from review to reading, for a written reason."""

    def sign(self, name: str, pin: str, looked_at_fields: bool, seen: CaseView | None = None) -> None:
        """Sign the case in review and write its report; refused unless the signer looked at the annotated fields.

        Refused too where the case is not as it was `seen` any more; None: as it stands.
        """

    def enrol_and_sign(self, name: str, pin: str, looked_at_fields: bool, seen: CaseView | None = None) -> None:
        """The same by somebody who signs here for the first time: the PIN is theirs from now on."""

    def amend(self, name: str, pin: str, reason: str) -> None:
        """Open a signed case again as its next version, for a written reason; the signed one is kept."""

    def open_case(self, case_id: str) -> None:
        """Leave this case as it is, and open a stored one."""

    def new_case(self) -> None:
        """Leave this case as it is and start the next one."""

    def reconnect(self) -> None:
        """Open a lost camera again."""
