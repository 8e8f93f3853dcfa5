"""What travels between the parts: frames, cells, fields, controls, cases. Immutable once made."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellClass, CellCounts, CellKind, MembraneMeasure, StainCuts
from her2scope.domain.control import ControlMeasures, ControlVerdict, CutsFrom
from her2scope.domain.control_history import ControlEntry
from her2scope.domain.corrections import CaseData, CellStanding, Correction, RuleInForce
from her2scope.domain.event_chain import ChainHead
from her2scope.domain.events import Event
from her2scope.domain.guideline import Finding, Ish, Score
from her2scope.domain.regions import Region
from her2scope.domain.score import CaseScore, ControlStanding, TooFewCells
from her2scope.domain.settings_digest import settings_digest
from her2scope.domain.sign_off import SignOff

RgbImage = NDArray[np.uint8]
"""`(H, W, 3)` uint8, R first."""
Plane = NDArray[np.float32]
"""`(H, W)` float32."""
Mask = NDArray[np.uint8]
"""`(H, W)` uint8."""

FAINT, INTENSE = 128, 255
"""Values of a membrane mask: 0 none, 128 faint to moderate, 255 intense (contract of `--mask-dir`)."""


@dataclass(frozen=True, slots=True)
class CameraState:
    """How the camera was set. A control holds only for fields taken in an equal state."""

    objective: str | None = None
    response: str = "unknown"
    """`linear`, `srgb`, `gamma:X` or `unknown` (then od10 is apparent)."""
    exposure_ms: float | None = None
    gain: float | None = None
    white_balance: str | None = None
    scale_assumed: bool = False
    """Nobody gave the pixel size: cells are measured with an assumed one, and nothing is reportable."""


_DRAWN_NAME = re.compile(r"phantom \S+, seed \d+|.*\.phantom\.yaml(?!\.).*", re.IGNORECASE | re.DOTALL)
"""What a `PhantomMicroscope` is called, and a phantom slide or a part of one; a picture's file ends otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One camera image. It owns its pixels, which are read-only: handed over, not lent."""

    rgb: RgbImage
    index: int
    captured_s: float
    """Monotonic time of capture."""
    um_per_px: float
    camera: CameraState = field(default_factory=CameraState)
    name: str = ""
    """File name, or the camera's name: what a reader would call it."""
    stage_um: tuple[float, float] | None = None
    """Centre of the picture in stage coordinates, where a stage tells it."""
    in_motion: bool = False
    """The source moves the view itself and was on its way: what it shows may be hinted at, and is not read."""

    def __post_init__(self) -> None:
        if self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or self.rgb.dtype != np.uint8:
            raise ValueError(f"a frame is (H, W, 3) uint8, not {self.rgb.shape} {self.rgb.dtype}")
        self.rgb.setflags(write=False)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rgb.shape[0], self.rgb.shape[1]

    @property
    def is_drawn(self) -> bool:
        """Whether the program drew it: it is no patient's tissue. By its name, which is stored with it."""
        return _DRAWN_NAME.fullmatch(self.name) is not None


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """A frame and where it lies on the slide, as far as the pictures tell."""

    frame: Frame
    x_um: float = 0.0
    y_um: float = 0.0
    """Place of the frame's top left corner on its island, x to the right."""
    island: int = 0
    """Frames of one island are registered to each other; a jump starts a new one."""
    speed_um_per_s: float = 0.0
    trusted: bool = True
    """False: the place is a prediction that the picture did not confirm, and no overlay may be carried there."""
    doubt: str = ""
    """Why the frame cannot be read, in words: its objective or scale is not known. Empty where it can."""

    @property
    def short_doubt(self) -> str:
        """`doubt` without what to do."""
        return self.doubt.partition(":")[0]

    @property
    def x_px(self) -> float:
        """`x_um` in pixels of this frame."""
        return self.x_um / self.frame.um_per_px

    @property
    def y_px(self) -> float:
        """`y_um` in pixels of this frame."""
        return self.y_um / self.frame.um_per_px


@dataclass(frozen=True, slots=True)
class MapPlace:
    """Where a field lies: its island, and its top left corner there."""

    island: int
    x_um: float
    y_um: float


@dataclass(frozen=True, slots=True)
class IslandJoin:
    """Two islands turned out to be one: place `(x, y)` on `island` is `(x + dx_um, y + dy_um)` on `into`."""

    island: int
    into: int
    dx_um: float
    dy_um: float


@dataclass(frozen=True, slots=True, eq=False)
class MapTile:
    """One picture of the overview of the slide."""

    island: int
    x_um: float
    y_um: float
    width_um: float
    height_um: float
    picture: RgbImage
    """Small (about 4 um/px) and read-only."""

    def __post_init__(self) -> None:
        self.picture.setflags(write=False)


@dataclass(frozen=True, slots=True, eq=False)
class MapView:
    """The map of the slide at one moment, for the overview."""

    island: int
    """The present one."""
    tiles: tuple[MapTile, ...] = ()
    """Of all islands, by their number after all joins."""
    joins: tuple[IslandJoin, ...] = ()
    """All so far, in their order."""
    lost: str = ""
    """Why the present island was started, in words; empty where nothing was lost."""


@dataclass(frozen=True, slots=True, eq=False)
class StainImage:
    """A frame unmixed into its stains, at the frame's own resolution."""

    dab_od10: Plane
    haematoxylin_od10: Plane
    um_per_px: float
    white_rgb: tuple[float, float, float]
    white_estimated: bool
    """No white reference was given: the white was estimated from the picture, and that is said."""


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One cell of a field: where it is, what its membrane measured, which class that gives."""

    x_px: float
    y_px: float
    nucleus_radius_um: float
    kind: CellKind
    edge: bool
    """Its outline leaves the image: listed, not counted."""
    measure: MembraneMeasure
    outline_xy_px: NDArray[np.float32]
    """`(N, 2)` places along the cell's own outline."""
    cell_class: CellClass | None
    """None for a cell that is not tumour."""
    within: bool = True
    """In tissue where cells count, by the region model; True everywhere without one."""

    @property
    def is_countable(self) -> bool:
        """Whether its field by itself counts it: it lies whole in the image, and where cells count."""
        return self.within and not self.edge

    @property
    def is_uncertain_faint(self) -> bool:
        """Called faint, but no place of it is stained beyond doubt."""
        return self.cell_class is CellClass.INCOMPLETE_FAINT and self.measure.uncertain


def class_counts(cells: Iterable[Cell]) -> CellCounts:
    """These cells by class."""
    found = tuple(cells)
    return CellCounts.of((cell.cell_class for cell in found), sum(cell.is_uncertain_faint for cell in found))


@dataclass(frozen=True, slots=True, eq=False)
class CellProfiles:
    """What was read along the outlines of a field's N tumour cells, in the order of its cells, at P places each.

    All that their membranes are measured from: other cuts need neither the picture nor the network.
    """

    wall_od10: NDArray[np.float32]
    """`(N, P)` DAB of the wall: its maximum across the outline."""
    membrane: NDArray[np.float32]
    """`(N, P)` probability (0..1) that the cell's own stained membrane passes."""
    contrast_od10: NDArray[np.float32]
    """`(N, P)` by how much the wall stands out from what lies beside it."""
    spacing_um: NDArray[np.float32]
    """`(N,)` between neighbouring places of each cell."""

    def of_cell(self, place: int) -> CellProfiles:
        """The profiles of one cell, by its place among the tumour cells."""
        rows = slice(place, place + 1)
        return CellProfiles(self.wall_od10[rows], self.membrane[rows], self.contrast_od10[rows], self.spacing_um[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """What a method found in a field; cells are measured and classified."""

    cells: tuple[Cell, ...]
    membrane: Mask
    """0 none, `FAINT`, `INTENSE`."""
    provider: str
    profiles: CellProfiles | None = None
    """None where the method keeps none."""


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Whether a frame can be scored, and each reason why not or with what reservation."""

    usable: bool
    codes: tuple[str, ...]
    """`blurred`, `low_contrast`, `grey`, `over_exposed`, `under_exposed`, `clipped`, `moving`, `no_tissue`,
    `little_tissue`, `too_coarse`, `too_small`, `unfit_for_region_model`."""
    reasons: tuple[str, ...]
    focus: float
    clipped_share: float
    """Of the tissue's pixels: a channel >= 254 or <= 2."""
    tissue_share: float
    dark_share: float = 0.0
    """Of the tissue's pixels: a channel <= 2."""


@dataclass(frozen=True, slots=True)
class StainSummary:
    """DAB and haematoxylin of one field, as a control is judged by them (od10, medians)."""

    membrane_od10: float
    background_od10: float
    nuclear_od10: float
    """In nuclei over what is beside them, of the tumour cells or the others, whichever is more."""
    counterstain_od10: float
    stroma_od10: float = 0.0
    """DAB beside the nuclei that are no tumour cell's."""


@dataclass(frozen=True, slots=True)
class ProgramInfo:
    """What made a result."""

    version: str
    method: str
    model_name: str
    model_sha256: str
    provider: str


@dataclass(frozen=True, slots=True, eq=False)
class FieldResult:
    """The analysis of one frame."""

    frame: Frame
    quality: QualityReport
    cells: tuple[Cell, ...]
    membrane: Mask
    cuts: StainCuts
    counts: CellCounts
    """Cells whose outline lies in the image, and their middle where cells count."""
    finding: Finding | TooFewCells | None
    """None where the field is unusable."""
    stain: StainSummary
    curve: tuple[float, ...]
    """Characteristic curve: share of stained pixels above each saturation 0.1, 0.2 ... 0.8."""
    white_rgb: tuple[float, float, float]
    white_estimated: bool
    program: ProgramInfo
    doubts: tuple[str, ...] = ()
    """Why a case with this field is not reportable, though the field is scored and shown."""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    clear_white_rgb: tuple[float, float, float] | None = None
    """White of the frame's clear areas (0..255), None where it shows none."""
    profiles: CellProfiles | None = None
    """Of the tumour cells; None where the method keeps none, in an unusable field and in cases of earlier versions."""
    outside: Mask | None = None
    """`(h, w)` at the region model's scale: 255 where cells do not count, else 0; None where they count everywhere."""

    @property
    def n_outside(self) -> int:
        """Tumour cells, whole in the image, that the region model leaves out."""
        return sum(cell.kind is CellKind.TUMOUR and not (cell.within or cell.edge) for cell in self.cells)

    @property
    def remarks(self) -> tuple[str, ...]:
        """All that must be said with this field: quality, doubts, too few cells."""
        too_few = (str(self.finding),) if isinstance(self.finding, TooFewCells) else ()
        return (*self.quality.reasons, *self.doubts, *too_few)

    @property
    def score(self) -> Score | None:
        """Score of this field alone, None where there is none."""
        return self.finding.score if isinstance(self.finding, Finding) else None


@dataclass(frozen=True, slots=True, eq=False)
class ControlReading:
    """One reading of a level of the control: its newest field and the measures over all its fields; each is kept."""

    number: int
    at_utc: str
    expected: Score
    lot: str
    measures: ControlMeasures
    verdict: ControlVerdict
    result: FieldResult
    """Of the newest field."""
    with_earlier: tuple[int, ...] = ()
    """Numbers of the earlier readings whose fields are measured together with this one's."""
    run: str = ""
    """The staining run, as the lab calls it."""
    lost_words: tuple[str, ...] = ()
    """The reader's words on cells that a field, measured anew with this control's cuts, does not show any more."""
    knows_run_cuts: bool = True
    """Whether the program that read it knew `domain.control.run_cuts`: a stored case keeps the cuts of its fields."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """A field shows tissue that an earlier field shows too."""

    field: int
    """Number of the earlier field."""
    dx_px: float
    dy_px: float
    """Where this field's top left corner lies in the earlier field's pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class AcceptedField:
    """A field of a case: its analysis, and which of its cells the case counts."""

    number: int
    at_utc: str
    result: FieldResult
    """In force: with the reader's corrections, by the cuts in force."""
    overlaps: tuple[Overlap, ...]
    active: bool
    counted: tuple[bool, ...]
    """Per cell: counted in the case, that is inside the image, not seen in an earlier active field, not left out by
    the reader."""
    counts: CellCounts
    """Of the counted cells."""
    place: MapPlace | None = None
    """Where it lies on the map of the slide; None: the pictures do not tell."""
    standings: tuple[CellStanding, ...] = ()
    """Per cell: why it is counted or not."""
    corrections: tuple[Correction | None, ...] = ()
    """Per cell: the reader's word on it."""
    read: FieldResult | None = None
    """As the method read it, before any correction; None: the same as `result`."""
    duct_counts: CellCounts = field(default_factory=CellCounts)
    """Of cells in marked normal ducts: the case's internal negative control."""
    annotation: str = ""
    swept: bool = False
    """Accepted by sweeping: only cells within outlined invasive tumour count."""

    @property
    def n_seen_before(self) -> int:
        """Tumour cells that an earlier field shows; without standings, all that are not counted."""
        if not self.standings:
            return max(0, self.result.counts.n_tumour - self.counts.n_tumour)
        cells = zip(self.result.cells, self.standings, strict=True)
        return sum(it is CellStanding.SEEN_BEFORE and cell.kind is CellKind.TUMOUR for cell, it in cells)

    @property
    def n_outside(self) -> int:
        """Tumour cells that the region model leaves out."""
        cells = zip(self.result.cells, self.standings, strict=False)  # none where nothing is known of them
        return sum(it is CellStanding.OUTSIDE and cell.kind is CellKind.TUMOUR for cell, it in cells)

    @property
    def n_corrected(self) -> int:
        """Cells that the reader reclassified or excluded one by one."""
        return sum(item is not None for item in self.corrections)


@dataclass(frozen=True, slots=True)
class ReaderScore:
    """The pathologist's own score; None stands for indeterminate."""

    score: Score | None
    remark: str = ""
    blind: bool = False
    """Entered before the computed score was shown."""


@dataclass(frozen=True, slots=True, eq=False)
class CaseView:
    """A case at one moment, for the window and the report."""

    case_id: str
    opened_utc: str
    finished_utc: str | None
    who: str
    guideline: str
    guideline_source: str
    program: ProgramInfo
    um_per_px: float | None
    """Coarsest scale of the active fields."""
    cuts: StainCuts
    cuts_from: CutsFrom
    controls: tuple[ControlReading, ...]
    standing: ControlStanding
    override_reason: str | None
    fields: tuple[AcceptedField, ...]
    """In the order of acceptance, removed ones with `active` False."""
    score: CaseScore
    ish: Ish | None
    reader_score: ReaderScore | None
    settings: Mapping[str, Any]
    calibration: Mapping[str, Any]
    events: tuple[Event, ...]
    rule: RuleInForce | None = None
    """By which cuts cells are classed; None: `cuts` as they are."""
    regions: tuple[Region, ...] = ()
    """In force, on the islands that remain."""
    data: CaseData = field(default_factory=CaseData)
    undo_text: str = ""
    """What the next undo would take back, in words; empty: nothing."""
    redo_text: str = ""
    stored_score: CaseScore | None = None
    """By the stored settings, where the reader moved the cuts; None: they hold, and it is `score`."""
    sign_off: SignOff = field(default_factory=SignOff)
    """How far the case has come, and who signed it."""
    head: ChainHead = field(default_factory=lambda: ChainHead(0, ""))
    """Where the chain of its events ends."""

    @property
    def control(self) -> ControlReading | None:
        """The reading in force: the latest one of the 3+ level."""
        return next((reading for reading in reversed(self.controls) if reading.expected == "3+"), None)

    @property
    def active_fields(self) -> tuple[AcceptedField, ...]:
        """Fields that count."""
        return tuple(item for item in self.fields if item.active)

    @property
    def where_to_count(self) -> Mapping[str, Any] | None:
        """Region model and classes in which cells count (`settings.WhereToCount`); None: they count everywhere."""
        return self.settings.get("where_to_count")

    @property
    def n_outside(self) -> int:
        """Tumour cells of the active fields that the region model leaves out."""
        return sum(item.n_outside for item in self.active_fields)

    @property
    def settings_sha256(self) -> str:
        """Digest of all that decides its score beside the pictures and the control."""
        return settings_digest(self.settings, self.program.method, self.program.model_sha256, self.guideline)


@dataclass(frozen=True, slots=True)
class ValidationRecord:
    """What `her2scope validate` found for one method with one set of settings, against readers."""

    at_utc: str
    settings_sha256: str
    """Of all that decides a score: settings, method, model, guideline (`domain.settings_digest`)."""
    n_cases: int
    kappa: float | None
    """Quadratic weighted; None where it is not defined."""
    positive_agreement: float | None
    negative_agreement: float | None
    """Shares (0..1) of 3+ and of not 3+; None where there was no such case."""
    source: str
    """File name of the table of cases."""
    n_positive: int
    n_negative: int
    """Cases that the reader calls 3+, and 0 or 1+."""
    concordance: float | None
    """Share (0..1) of these that both call positive, or both negative, the 2+ of either left aside; None: no case."""


@dataclass(frozen=True, slots=True, eq=False)
class ReportContent:
    """All that a report says; every writer takes its words and figures from here, so they cannot disagree."""

    case: CaseView
    as_of_utc: str
    """Time of the case's last event, and not of the writing: two reports of one state are the same, byte for byte."""
    validation: ValidationRecord | None = None
    """The newest with this case's settings; None: not validated, and the report says so."""
    control_history: tuple[ControlEntry, ...] = ()
    """Every reading of the laboratory's controls, in its order, for the chart beside this case's own."""
    newest: SignOff | None = None
    """How far the case has come since, where this report is of an earlier version; None: it is of the case as it is."""
    title: str = "HER2 IHC reference score"
    disclaimer: str = "Research use only. Not validated for diagnosis; the pathologist's own score decides."


def image_digest(image: NDArray[np.uint8]) -> str:
    """Address of an image by its content: SHA-256 over shape and pixels, in hex."""
    pixels = np.ascontiguousarray(image)
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()
