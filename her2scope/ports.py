"""What the core asks of the outside: each Protocol has one contract suite in `tests/contracts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellRule, MembraneMeasure, StainCuts
from her2scope.domain.control_history import ControlEntry
from her2scope.domain.event_chain import ChainHead
from her2scope.domain.events import Event
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.sign_off import CaseStatus
from her2scope.records import CellProfiles, Frame, ReportContent, RgbImage, Segmentation, StainImage, StainSummary


class CameraSource(Protocol):
    """A source of frames. One thread opens, reads and closes it; it knows no Qt."""

    name: str
    """What the status line calls it."""

    def open(self) -> None:
        """Claim the device; raise CameraNotFound or CameraBusy."""

    def read(self, timeout_s: float) -> Frame:
        """Wait for the next frame; raise CameraTimeout or CameraLost, never return None."""

    def close(self) -> None:
        """Release the device. Safe to call twice and after an error."""


@runtime_checkable
class NoisyCamera(Protocol):
    """A source that tells whether it has a sensor, whose noise makes no two pictures alike: a file or slide has none.

    Where it has, pictures that repeat to the bit are an old one shown again and again.
    """

    has_noise: bool


@runtime_checkable
class HeldCamera(Protocol):
    """A camera that sets its exposure and white balance by itself until it is told to keep them."""

    def hold(self) -> None:
        """Keep exposure, gain and white balance as they are now, until the camera is closed. Returns at once."""


@runtime_checkable
class Stage(Protocol):
    """Something that moves the slide under the objective. Its calls return at once and may come from any thread."""

    def move_by_um(self, dx_um: float, dy_um: float) -> None:
        """Move the view over the slide, x to the right, y down."""

    def places(self) -> tuple[str, ...]:
        """Named places of this slide (`control 3+`, `tissue`), empty where it knows none."""

    def go_to(self, place: str) -> None:
        """Move to a named place."""


@runtime_checkable
class Nosepiece(Protocol):
    """A revolver of objectives that the program can turn or read. Calls may come from any thread."""

    def objectives(self) -> tuple[str, ...]:
        """Names from the weakest to the strongest."""

    def objective(self) -> str:
        """The one in the light path."""

    def select_objective(self, name: str) -> None:
        """Turn to `name`."""


@runtime_checkable
class FrameSequence(Protocol):
    """A source whose pictures the reader pages through (a folder of images). Calls may come from any thread."""

    def step(self, places: int) -> None:
        """Show the picture `places` further on, wrapping round at both ends."""


@runtime_checkable
class PartlyReadable(Protocol):
    """A source that can open although part of it cannot be read (a folder with a damaged picture)."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What was left out so far, and why, in words; it grows as the source is read."""


@runtime_checkable
class NotedCamera(Protocol):
    """A source that knows what a reader should know of its pictures, though nothing is wrong with them."""

    @property
    def notes(self) -> tuple[str, ...]:
        """In words, since it was opened last."""


class FrameDesk(Protocol):
    """What stands around the camera and tells what a frame shows. Calls return at once and may come from any thread."""

    def position_um(self, at_s: float) -> tuple[float, float] | None:
        """Centre of the view on the stage at a monotonic time, right and down; None where it is not known."""

    def objective(self) -> str | None:
        """The objective in the light path; empty where it is not known, None where nothing senses it."""

    def stayed(self, objective: str, from_s: float, to_s: float) -> bool | None:
        """Whether an objective was in the light path from one monotonic time to another; None while nobody can say.

        Where the sensor has not told since `to_s`, it is asked at once: ask again in a moment.
        """


@dataclass(frozen=True, slots=True)
class SlideLevel:
    """One of the sizes in which a slide is stored."""

    width_px: int
    height_px: int
    downsample: float
    """Pixels of the full resolution to one of this level, along each side."""


class SlideReader(Protocol):
    """A whole slide in a file, read region by region. Regions may be read by several threads at once."""

    @property
    def levels(self) -> tuple[SlideLevel, ...]:
        """From the full resolution to the coarsest."""

    @property
    def um_per_px(self) -> float | None:
        """Pixel size at full resolution; None where the file does not tell."""

    def region(self, level: int, left_px: int, top_px: int, width_px: int, height_px: int) -> RgbImage:
        """`(height_px, width_px, 3)` uint8 in memory of its own, in pixels of the level; white beyond the slide.

        UnreadableImageError where the file is damaged there.
        """

    def close(self) -> None:
        """Let go of the file; nobody may be reading. Safe to call twice."""


class Segmenter(Protocol):
    """A method that finds cells and measures their membranes."""

    method: str
    """Name of the method: `network` or `closed-contours`."""
    model_name: str
    model_sha256: str
    """Digest of what decides the result beside the settings; empty where the method has no model file."""
    false_rates: FalseRates
    nuclear_width_um: tuple[float, float] | None
    """Least and greatest width of nuclei (75th percentile of a field) where the scale is true; None: not known."""

    @property
    def rule(self) -> CellRule:
        """How much of an outline must be stained for each class, by the settings."""

    def default_cuts(self, cuts: StainCuts) -> StainCuts:
        """The cuts of the settings with this method's own noise floor: what fields are read with until a control is."""

    def segment(self, frame: Frame, stains: StainImage, cuts: StainCuts) -> Segmentation:
        """Find, measure and classify the cells of one usable frame. Pure: the same input gives the same cells."""

    def measure_again(self, profiles: CellProfiles, cuts: StainCuts) -> tuple[MembraneMeasure, ...]:
        """Measures of the tumour cells that `segment` gave with these profiles, as it would give them by other cuts.

        A method that keeps no profiles is never asked.
        """

    def control_cut(self, cells: Segmentation, cuts: StainCuts) -> float | None:
        """Intense cut (od10) that a 3+ control so segmented gives; None where it has too few complete cells."""

    def doubts(self, staining: StainSummary) -> tuple[str, ...]:
        """Why this method cannot be trusted on a field so stained, in words; empty where it can."""


class RegionModel(Protocol):
    """A pixelwise classifier, trained from polygons: which tissue lies where, and so where cells are counted."""

    name: str
    sha256: str
    """Digest of the model file."""
    um_per_px: float
    """Scale that it works at."""
    classes: tuple[str, ...]
    """Names of its classes, the background first."""

    def probabilities(self, rgb: RgbImage, um_per_px: float) -> NDArray[np.float32]:
        """Probability `(C, h, w)` (0..1) of each class at each pixel of the model's own scale; they sum to 1.

        Pixel `x` of it is `(x + 0.5) * k - 0.5` of the picture, `k` the ratio of their um per px. Pure, and may be
        asked by several threads at once.
        """


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """A stored case, as a list shows it."""

    case_id: str
    opened_utc: str
    n_fields: int
    """Fields accepted and not removed."""
    finished: bool
    locked: bool
    """Another program has it open now."""
    problem: str | None = None
    """Why the case cannot be opened, in words, where it cannot."""
    slide_id: str = ""
    """Identity of the slide, by which a second open case of it is refused; empty while no slide is named."""
    status: CaseStatus = CaseStatus.OPEN
    version: int = 1
    signed_by: str = ""
    """Who signed last, empty where nobody did."""
    title: str = ""
    """What the laboratory calls the case (`CaseData.title`); empty where it named nothing."""


class CaseReading(Protocol):
    """A stored case, to read only: also beside the program that has it open. Used by one thread at a time."""

    case_id: str

    def events(self) -> tuple[Event, ...]:
        """All events so far, in order; CaseDamagedError where one is missing or unreadable."""

    def image(self, digest: str) -> NDArray[np.uint8]:
        """Image with that `records.image_digest`; CaseDamagedError where it is missing or altered."""

    def head(self) -> ChainHead:
        """Where the chain of its events ends now."""

    def close(self) -> None:
        """Let go of the case. Safe to call twice."""


class CaseFile(CaseReading, Protocol):
    """One open case, claimed by this process until `close`. Used by one thread at a time."""

    def append(self, event: Event, images: Sequence[NDArray[np.uint8]] = ()) -> None:
        """Write an event and the images it names by digest; durable (fsync) when it returns.

        Raises DiskFullError or StoreError; then nothing of the event is in the case.
        """

    def doubt(self) -> str:
        """Why this is not the case whose heads are kept outside its folder, in words; empty where it is.

        StoreError where what was kept cannot be read.
        """

    def seal(self, what: SealReason) -> None:
        """Write the manifest of all files, and keep the chain's head outside the case; `close` seals too.

        Durable when it returns. DiskFullError, StoreError: what was accepted is safe, and the case is not sealed.
        """


class CaseStore(Protocol):
    """Where cases live."""

    def create(self, case_id: str) -> CaseFile:
        """Start a case; StoreError where the id is taken or cannot be a folder name."""

    def open(self, case_id: str) -> CaseFile:
        """Open a case; CaseNotFoundError, CaseLockedError, CaseDamagedError."""

    def read(self, case_id: str) -> CaseReading:
        """Open a case to read only, whoever has it open; CaseNotFoundError, CaseDamagedError."""

    def cases(self) -> tuple[CaseSummary, ...]:
        """All cases, newest first; a damaged or locked one is listed, never an error."""


SealReason = Literal["opened", "closed", "signed", "reported", "exported", "restored"]
"""At which moments the chain's head of a case is kept outside its folder."""


@dataclass(frozen=True, slots=True)
class KeptHead:
    """The chain's head of a case at one moment, as it is kept outside the case's folder."""

    case_id: str
    what: SealReason
    at_utc: str
    head: ChainHead
    manifest_sha256: str = ""
    """Digest of the manifest written then; empty where none was."""
    files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 in hex by file name, of the report or bundle written then."""


class HeadLedger(Protocol):
    """Heads of all cases, outside their folders: a case whose chain was made anew as a whole differs from it."""

    def keep(self, entry: KeptHead) -> None:
        """Append; durable (fsync) when it returns. DiskFullError, StoreError."""

    def of_case(self, case_id: str) -> tuple[KeptHead, ...]:
        """All that was kept of a case, in order; StoreError where a line cannot be read back."""

    def knows(self, case_id: str) -> bool:
        """Whether anything was kept of a case, told quickly; StoreError where that cannot be read."""


class Signers(Protocol):
    """Who may sign cases, each with a PIN that nobody can read back."""

    def names(self) -> tuple[str, ...]:
        """All names, in alphabetical order."""

    def enrol(self, name: str, pin: str) -> None:
        """Take a new signer; SigningError for a name that is taken, or a PIN that is too easy to guess."""

    def change_pin(self, name: str, pin: str, new_pin: str) -> None:
        """Give a signer another PIN; SigningError as `check` and `enrol`."""

    def check(self, name: str, pin: str) -> None:
        """Raise SigningError unless the name is known and the PIN is theirs; after wrong ones it waits, and says so."""


class ControlHistory(Protocol):
    """Every reading of a control, of all runs. Several programs may use it at once."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be kept as it was written, in words, and where it lies now."""

    def entries(self) -> tuple[ControlEntry, ...]:
        """All readings in the order in which they were appended; StoreError where one cannot be read back."""

    def append(self, entry: ControlEntry) -> None:
        """Keep a reading; durable (fsync) when it returns. DiskFullError, StoreError: then nothing of it is kept."""


class ReportWriter(Protocol):
    """Writes one file from a report's content; written aside, then renamed."""

    suffix: str

    def write(self, content: ReportContent, path: Path) -> None:
        """Write the report to `path`."""


class Clock(Protocol):
    """Time, so that tests can hold it."""

    def now_utc(self) -> str:
        """ISO 8601 in UTC, to the millisecond."""

    def monotonic_s(self) -> float:
        """Seconds that never go back."""


JsonObject = dict[str, Any]
