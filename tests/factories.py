"""Small fields, controls and cases with known numbers, for every test.

A drawn field is a honeycomb: hexagonal cells whose walls are brown as their class asks, with blue nuclei.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellClass, CellCounts, CellKind, MembraneMeasure, StainCuts
from her2scope.domain.control import ControlCode, ControlMeasures, ControlVerdict, CutsFrom
from her2scope.domain.event_chain import ChainHead
from her2scope.domain.events import Event, EventKind
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.guideline import BREAST_2023, Ish, Score
from her2scope.domain.score import MIN_FIELD_CELLS, ControlStanding, ControlStatus, find_score, score_case
from her2scope.domain.sign_off import CaseStatus, Signature, SignOff
from her2scope.imaging.opencv import cv2
from her2scope.records import (
    FAINT,
    INTENSE,
    AcceptedField,
    CameraState,
    CaseView,
    Cell,
    ControlReading,
    FieldResult,
    Frame,
    Overlap,
    ProgramInfo,
    QualityReport,
    ReaderScore,
    ReportContent,
    StainSummary,
    ValidationRecord,
)

PROGRAM = ProgramInfo("0.1.0", "network", "her2scope-net", "ab" * 32, "CPUExecutionProvider")
CLOSED_CONTOURS = ProgramInfo("0.1.0", "closed-contours", "", "", "CPUExecutionProvider")
GOOD_QUALITY = QualityReport(True, (), (), focus=0.6, clipped_share=0.01, tissue_share=0.9)
MEASURES = {
    CellClass.COMPLETE_INTENSE: MembraneMeasure(1.0, 0.82, 0.95),
    CellClass.COMPLETE_MODERATE: MembraneMeasure(0.96, 0.38, 0.05),
    CellClass.INCOMPLETE_INTENSE: MembraneMeasure(0.55, 0.60, 0.40),
    CellClass.INCOMPLETE_FAINT: MembraneMeasure(0.40, 0.16, 0.0),
    CellClass.NONE: MembraneMeasure(0.0, 0.0, 0.0),
}
"""A measure that `classify` puts into each class by the default cuts."""
FINISHED_UTC = "2025-03-04T09:31:40.000+00:00"
HEAD_DIGEST = "0123456789abcdef" * 4
VALID = ControlStanding(ControlStatus.VALID, low_end_covered=True, negative_read=True)

_TISSUE, _NUCLEUS, _OTHER_NUCLEUS = (224, 208, 208), (122, 120, 176), (92, 90, 150)
_WALLS: Mapping[CellClass, tuple[tuple[int, int, int], float, float]] = {
    CellClass.COMPLETE_INTENSE: ((84, 46, 24), 2.1, 1.0),
    CellClass.COMPLETE_MODERATE: ((158, 112, 80), 1.0, 1.0),
    CellClass.INCOMPLETE_INTENSE: ((110, 66, 40), 1.4, 0.5),
    CellClass.INCOMPLETE_FAINT: ((196, 164, 146), 0.7, 0.4),
}
"""Colour, width in um and drawn share of the walls of each stained class."""


def cell(
    cell_class: CellClass | None = CellClass.NONE,
    x_px: float = 20.0,
    y_px: float = 20.0,
    radius_px: float = 12.0,
    edge: bool = False,
    corners: int = 24,
) -> Cell:
    """Round cell with its outline at `radius_px`; no class makes it a cell that is not tumour."""
    turns = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    outline = np.stack([x_px + radius_px * np.cos(turns), y_px + radius_px * np.sin(turns)], axis=1)
    kind = CellKind.OTHER if cell_class is None else CellKind.TUMOUR
    measure = MEASURES[cell_class or CellClass.NONE]
    return Cell(x_px, y_px, 3.0, kind, edge, measure, outline.astype(np.float32), cell_class)


def field_result(
    cells: Sequence[Cell],
    size_hw: tuple[int, int] = (64, 64),
    rgb: NDArray[np.uint8] | None = None,
    membrane: NDArray[np.uint8] | None = None,
    um_per_px: float = 0.25,
    name: str = "field.png",
    quality: QualityReport = GOOD_QUALITY,
    min_cells: int = MIN_FIELD_CELLS,
    camera: CameraState | None = None,
    white_estimated: bool = False,
    program: ProgramInfo = PROGRAM,
) -> FieldResult:
    """Field with these cells, counted and scored as the rules say; an unusable one has no cells and no score."""
    rgb = np.full((*size_hw, 3), 200, np.uint8) if rgb is None else rgb
    cells = tuple(cells) if quality.usable else ()
    counts = CellCounts.of(item.cell_class for item in cells if item.is_countable)
    finding = find_score(counts, BREAST_2023, FalseRates(), um_per_px, min_cells) if quality.usable else None
    frame = Frame(rgb, 0, 0.0, um_per_px, camera or CameraState("40x", "srgb", 8.0, 1.0, "fixed"), name)
    return FieldResult(
        frame=frame,
        quality=quality,
        cells=cells,
        membrane=np.zeros(frame.size_hw, np.uint8) if membrane is None else membrane,
        cuts=StainCuts(),
        counts=counts,
        finding=finding,
        stain=StainSummary(0.55, 0.05, 0.06, 0.30),
        curve=(0.9, 0.8, 0.6, 0.4, 0.2, 0.1, 0.05, 0.0),
        white_rgb=(240.0, 240.0, 240.0),
        white_estimated=white_estimated,
        program=program,
    )


def unusable_field(name: str = "blurred.png", size_hw: tuple[int, int] = (64, 64)) -> FieldResult:
    """Field that the quality gate refuses."""
    reasons = ("out of focus: refocus and take it again",)
    return field_result((), size_hw, name=name, quality=QualityReport(False, ("blurred",), reasons, 0.1, 0.0, 0.8))


def counted_field(
    counts: Mapping[CellClass, int], name: str = "field.png", n_other: int = 0, **more: Any
) -> FieldResult:
    """Field with so many cells of each class, in rows on a plain picture."""
    classes: list[CellClass | None] = [item for item, n in counts.items() for _ in range(n)] + [None] * n_other
    columns = max(1, math.ceil(math.sqrt(len(classes))))
    places = [(24.0 + 40 * (i % columns), 24.0 + 40 * (i // columns)) for i in range(len(classes))]
    side = 40 * columns + 8
    cells = [cell(item, x, y) for item, (x, y) in zip(classes, places, strict=True)]
    return field_result(cells, (side, side), name=name, **more)


def honeycomb_field(
    classes: Mapping[CellClass | None, float],
    size_hw: tuple[int, int] = (480, 640),
    um_per_px: float = 0.25,
    seed: int = 0,
    name: str = "field.png",
    **more: Any,
) -> FieldResult:
    """Field drawn as a honeycomb in which the share of each class is as given; None is a cell that is not tumour."""
    rng = np.random.default_rng(seed)
    names = list(classes)
    weights = np.array([classes[item] for item in names])
    radius_px = 7.0 / um_per_px
    canvas = np.full((*size_hw, 3), _TISSUE, np.uint8)
    canvas = np.clip(canvas + rng.normal(0, 4, canvas.shape), 0, 255).astype(np.uint8)
    membrane = np.zeros(size_hw, np.uint8)
    cells = []
    for x_px, y_px in _hexagon_centres(size_hw, radius_px):
        chosen = names[rng.choice(len(names), p=weights / weights.sum())]
        cells.append(_drawn_cell(canvas, membrane, chosen, x_px, y_px, radius_px, um_per_px, rng))
    canvas = cv2.GaussianBlur(canvas, (0, 0), 0.8)
    return field_result(cells, rgb=canvas, membrane=membrane, um_per_px=um_per_px, name=name, **more)


def _hexagon_centres(size_hw: tuple[int, int], radius_px: float) -> list[tuple[float, float]]:
    step_x, step_y = math.sqrt(3) * radius_px, 1.5 * radius_px
    rows, columns = int(size_hw[0] / step_y) + 1, int(size_hw[1] / step_x) + 1
    return [
        ((column + 0.5 * (row % 2)) * step_x, row * step_y)
        for row in range(rows)
        for column in range(columns)
        if 0 <= (column + 0.5 * (row % 2)) * step_x < size_hw[1] and row * step_y < size_hw[0]
    ]


def _drawn_cell(
    canvas: NDArray[np.uint8],
    membrane: NDArray[np.uint8],
    chosen: CellClass | None,
    x_px: float,
    y_px: float,
    radius_px: float,
    um_per_px: float,
    rng: np.random.Generator,
) -> Cell:
    """Draw a hexagonal cell and say what it is; its outline lies just inside the hexagon."""
    turns = np.linspace(0, 2 * np.pi, 72, endpoint=False) + np.pi / 6
    to_wall = math.cos(math.pi / 6) / np.cos((turns + np.pi / 6) % (np.pi / 3) - np.pi / 6)
    reach_px = 0.9 * radius_px * to_wall
    outline = np.stack([x_px + reach_px * np.cos(turns), y_px + reach_px * np.sin(turns)], axis=1).astype(np.float32)
    nucleus = _OTHER_NUCLEUS if chosen is None else _NUCLEUS
    nucleus_um = 2.6 if chosen is None else 3.4
    cv2.circle(canvas, (round(x_px), round(y_px)), round(nucleus_um / um_per_px), nucleus, -1, cv2.LINE_AA)
    if chosen in _WALLS:
        colour, width_um, share = _WALLS[chosen]
        wall = np.roll(outline, int(rng.integers(len(outline))), axis=0)[: int(share * len(outline))]
        corners, width_px = [np.round(wall).astype(np.int32)], max(1, round(width_um / um_per_px))
        cv2.polylines(canvas, corners, share == 1.0, colour, width_px, cv2.LINE_AA)
        level = INTENSE if chosen in (CellClass.COMPLETE_INTENSE, CellClass.INCOMPLETE_INTENSE) else FAINT
        cv2.polylines(membrane, corners, share == 1.0, level, width_px)
    height, width = canvas.shape[:2]
    low, high = outline.min(axis=0), outline.max(axis=0)
    edge = bool((low < 0).any() or high[0] > width - 1 or high[1] > height - 1)
    kind = CellKind.OTHER if chosen is None else CellKind.TUMOUR
    return Cell(x_px, y_px, nucleus_um, kind, edge, MEASURES[chosen or CellClass.NONE], outline, chosen)


def accepted(
    result: FieldResult, number: int = 1, active: bool = True, seen_before: Sequence[int] = (), overlap_with: int = 1
) -> AcceptedField:
    """Field of a case; cells at the places `seen_before` were counted in an earlier field."""
    counted = tuple(not item.edge and place not in seen_before for place, item in enumerate(result.cells))
    counts = CellCounts.of(item.cell_class for item, counts in zip(result.cells, counted, strict=True) if counts)
    overlaps = (Overlap(overlap_with, 10.0, 0.0),) if seen_before else ()
    return AcceptedField(
        number, f"2025-03-04T09:1{number % 10}:00.000+00:00", result, overlaps, active, counted, counts
    )


def control_reading(
    status: ControlStatus = ControlStatus.VALID,
    reasons: Sequence[str] = (),
    codes: Sequence[ControlCode] = (),
    expected: Score = "3+",
    read: Score | None = "3+",
    result: FieldResult | None = None,
    number: int = 1,
    lot: str = "A-4711",
) -> ControlReading:
    """Reading of a control field, of 130 cells where no field is given."""
    if result is None:
        result = counted_field({CellClass.COMPLETE_INTENSE: 120, CellClass.COMPLETE_MODERATE: 10}, "control.png")
    measures = ControlMeasures(result.counts.n_tumour, read, 0.82, 0.62, 0.05, 0.06, 0.30, 0.01)
    verdict = ControlVerdict(status, tuple(codes), tuple(reasons))
    return ControlReading(number, "2025-03-04T09:00:00.000+00:00", expected, lot, measures, verdict, result)


def case_view(
    fields: Sequence[FieldResult | AcceptedField] = (),
    controls: Sequence[ControlReading] | None = None,
    standing: ControlStanding | None = None,
    ish: Ish | None = None,
    reader_score: ReaderScore | None = None,
    override_reason: str | None = None,
    min_cells: int = 100,
    **more: Any,
) -> CaseView:
    """Case of these fields, scored as the rules say; with a valid 3+ control where none is given."""
    taken = [item if isinstance(item, AcceptedField) else accepted(item, n) for n, item in enumerate(fields, start=1)]
    active = [item for item in taken if item.active]
    controls = (control_reading(),) if controls is None else tuple(controls)
    events = _events(taken, controls, override_reason)
    finished_utc = more.get("finished_utc", FINISHED_UTC)
    status = CaseStatus.OPEN if finished_utc is None else CaseStatus.IN_REVIEW
    if standing is None:
        standing = VALID if controls else ControlStanding()
    um_per_px = max((item.result.frame.um_per_px for item in active), default=None)
    counts = [item.counts for item in active]
    score = score_case(counts, BREAST_2023, FalseRates(), um_per_px or 0.25, standing, ish, min_cells)
    view = CaseView(
        case_id="S25-01234 A1",
        opened_utc="2025-03-04T08:58:12.345+00:00",
        finished_utc=finished_utc,
        who="Dr. A. Example",
        guideline=BREAST_2023.name,
        guideline_source=BREAST_2023.source,
        program=active[0].result.program if active else PROGRAM,
        um_per_px=um_per_px,
        cuts=StainCuts(intense_od10=0.62, moderate_od10=0.31) if controls else StainCuts(),
        cuts_from=CutsFrom.CONTROL if controls else CutsFrom.SETTINGS,
        controls=controls,
        standing=standing,
        override_reason=override_reason,
        fields=tuple(taken),
        score=score,
        ish=ish,
        reader_score=reader_score,
        settings={"guideline": BREAST_2023.name, "cuts": {"stained_od10": 0.1, "moderate_od10": 0.25}},
        calibration={
            "name": "example microscope",
            "date": "2025-01-15",
            "response": "srgb",
            "white_rgb": [240, 240, 240],
        },
        events=events,
        sign_off=SignOff(status, finished_utc=finished_utc),
        head=ChainHead(len(events), HEAD_DIGEST),
    )
    return dataclasses.replace(view, **more)


def signed(view: CaseView, *reasons: str, name: str = "Dr. B. Signer") -> CaseView:
    """The case as it was signed, and amended and signed again for each reason."""
    own = view.reader_score.score if view.reader_score else None
    fields = tuple(item.number for item in view.active_fields)
    signatures = tuple(
        Signature(
            version, 20 * version, name, f"2025-03-0{3 + version}T10:15:00.000+00:00", view.score.score, own, fields
        )
        for version in range(1, len(reasons) + 2)
    )
    status = CaseStatus.AMENDED if reasons else CaseStatus.SIGNED
    sign_off = SignOff(status, len(signatures), signatures, FINISHED_UTC, reasons[-1] if reasons else "")
    return dataclasses.replace(view, finished_utc=FINISHED_UTC, sign_off=sign_off)


def validation(view: CaseView, **more: Any) -> ValidationRecord:
    """Record that scores made as this case's were compared with readers'."""
    record = ValidationRecord(
        "2025-02-01T08:00:00.000+00:00", view.settings_sha256, 120, 0.914, 0.971, 0.984, "cases.csv", 60, 50, 0.98
    )
    return dataclasses.replace(record, **more)


def _events(
    taken: Sequence[AcceptedField], controls: Sequence[ControlReading], override_reason: str | None
) -> tuple[Event, ...]:
    kinds: list[tuple[EventKind, dict[str, Any]]] = [(EventKind.OPENED, {})]
    kinds += [(EventKind.CONTROL_READ, {"number": reading.number}) for reading in controls]
    if override_reason:
        kinds.append((EventKind.CONTROL_OVERRIDDEN, {"reason": override_reason}))
    kinds += [(EventKind.FIELD_ACCEPTED, {"field": item.number}) for item in taken]
    kinds += [(EventKind.FIELD_REMOVED, {"field": item.number}) for item in taken if not item.active]
    return tuple(
        Event(n, kind, f"2025-03-04T09:00:{n % 60:02d}.000+00:00", "Dr. A. Example", data)
        for n, (kind, data) in enumerate(kinds, start=1)
    )


def report_content(view: CaseView | None = None, **more: Any) -> ReportContent:
    """Report of a case; of a small 2+ one where none is given."""
    view = case_view([equivocal_field()]) if view is None else view
    return ReportContent(view, "2025-03-04T09:32:00.000+00:00", **more)


def equivocal_field(name: str = "field_001.png", **more: Any) -> FieldResult:
    """Field of 120 tumour cells that scores 2+: 6 complete intense, 42 complete moderate, 12, 24 and 36 below."""
    counts = dict(zip(reversed(CellClass), (6, 42, 12, 24, 36), strict=True))
    return counted_field(counts, name, n_other=9, **more)
