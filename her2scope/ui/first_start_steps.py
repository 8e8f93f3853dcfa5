"""What the set-up asks, step by step, and what is missing where a step was skipped. No widgets here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Protocol

from her2scope.cameras.found import FoundDevice
from her2scope.cameras.stream_address import without_secrets
from her2scope.domain.control_material import ANCHOR_LEVEL, ControlLevel, ControlMaterial, Placement
from her2scope.domain.guideline import Score
from her2scope.ports import CameraSource
from her2scope.settings import Calibration, Preferences, missing_parts
from her2scope.settings.calibration import NO_OBJECTIVE
from her2scope.ui.calibration_steps import CalibrationSteps

PHANTOM = FoundDevice("phantom:", "virtual microscope, to try the program")
_SECRET = re.compile(
    r"(pass|pwd|psw|secret|token|auth|key|user|usr|login|credential|signature)\w*=|[?&/](u|p|pw|sig|sid)=",
    re.IGNORECASE,
)
"""In the query or path of an address, as some cameras take it."""
USUAL_OBJECTIVES = ("40x", "20x", "10x", "4x", "60x")


class Step(Enum):
    """Steps in their order."""

    CAMERA = "Camera"
    OBJECTIVE = "Objective"
    CALIBRATION = "Calibration"
    CONTROL = "Control"
    SUMMARY = "Summary"


@dataclass(frozen=True, slots=True)
class StepWords:
    """What a step tells the reader to do."""

    what: str
    how: str


WORDS = {
    Step.CAMERA: StepWords(
        "Which camera?",
        "Choose the one whose picture is your slide. Is it not in the list? Plug it in and look again, or write its "
        "address, such as stream:rtsp://HOST/PATH, mm:CONFIG.cfg or camera:0?size=1920x1080.",
    ),
    Step.OBJECTIVE: StepWords(
        "Which objective do you read with?",
        "Name it as on its barrel. Its scale is measured in the next step; membranes need 20x or more.",
    ),
    Step.CALIBRATION: StepWords(
        "How large is a pixel, and what is white?",
        "Have a stage micrometer and a slide with an empty place at hand. The calibration takes five minutes and can "
        "be done later, too (Ctrl+M).",
    ),
    Step.CONTROL: StepWords(
        "Which control does your lab use?",
        "Its readings are kept under this name. A control on a slide of its own belongs to the staining run; one on "
        "the patient's slide to that slide.",
    ),
    Step.SUMMARY: StepWords(
        "What is set up", "Everything can be changed later: Slide, Set up (Ctrl+Shift+M)."
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is set up."""

    source: str = ""
    """URI; empty: none was chosen."""
    objective: str = ""
    calibration: Calibration = field(default_factory=Calibration)
    """The one in force, which the set-up may have measured anew."""
    control: ControlMaterial | None = None
    """None: none was named, and the program's own run slide is expected."""


class SetupSteps(Protocol):
    """What the set-up asks of the program. `look`, `open_source` and `keep_control` may take a while."""

    old: Chosen
    """What holds so far."""
    in_use: str
    """URI of the source whose frames the window shows already; empty before there is one."""
    calibration: CalibrationSteps

    def look(self) -> tuple[FoundDevice, ...]:
        """Cameras that are there, and why others are not; takes seconds, never raises."""

    def open_source(self, uri: str) -> CameraSource:
        """A source to look at, not opened yet; BadInputError for an address that cannot be meant."""

    def keep_control(self, control: ControlMaterial) -> Path:
        """Put the control first in the laboratory's file and say where that is; SettingsError, StoreError."""


def unfinished(chosen: Chosen) -> tuple[str, ...]:
    """What was skipped, each with what follows from it."""
    lines = []
    if chosen.source in ("", PHANTOM.uri):
        lines.append("no camera: the program starts with the virtual microscope")
    if not chosen.objective:
        lines.append("no objective named: the size of a pixel is assumed, and nothing can be reported")
    elif chosen.objective not in chosen.calibration.objectives:
        lines.append(f"{chosen.objective} is not calibrated: the size of a pixel is assumed, nothing can be reported")
    lines += [line for line in missing_parts(chosen.calibration) if line != NO_OBJECTIVE]  # said above
    if chosen.control is None:
        lines.append("no control named: a run slide with all four levels is expected, with default limits")
    return tuple(lines)


def summary(chosen: Chosen) -> tuple[str, ...]:
    """What is set up, a line each."""
    scale = chosen.calibration.objectives.get(chosen.objective)
    control = chosen.control
    return (
        f"camera: {without_secrets(chosen.source) or 'none'}",
        f"objective: {chosen.objective or 'none'}" + (f", {scale:.4g} um/px" if scale else ""),
        f"calibration: {chosen.calibration.name} {chosen.calibration.date}".rstrip(),
        f"control: {control.name}, levels {', '.join(control.levels)}" if control else "control: none",
    )


def kept_choice(preferences: Preferences, chosen: Chosen) -> tuple[Preferences, str]:
    """Preferences with the choice, and what must be said of it: no password is kept in them."""
    source, told = chosen.source, ""
    if without_secrets(source) != source or _SECRET.search(source):
        told = "The camera's address holds a password and is not kept. Give it with --source at each start."
        source = ""
    return replace(preferences, source=source, objective=chosen.objective), told


def named_control(
    name: str, placement: Placement, levels: Sequence[Score], antibody: str, lot: str
) -> ControlMaterial | None:
    """The lab's control as written; None without a name."""
    if not name.strip():
        return None
    kept = {level: ControlLevel() for level in (ANCHOR_LEVEL, *levels)}
    return ControlMaterial(name.strip(), placement, kept, lot.strip(), antibody.strip())


def device_of(uri: str) -> str:
    """An address without how its camera shall be set: two with the same one are the same camera."""
    return uri.partition("?")[0] if uri.startswith(("camera:", "genicam:")) else uri


def listed(found: Sequence[FoundDevice]) -> tuple[FoundDevice, ...]:
    """What the list shows: usable cameras first, then the virtual microscope, then what is missing and why."""
    usable = [device for device in found if can_open(device)]
    return (*usable, PHANTOM, *(device for device in found if device.problem and not can_open(device)))


def can_open(device: FoundDevice) -> bool:
    """Whether an entry names a device rather than a kind of them."""
    return not device.uri.endswith(":") or device == PHANTOM
