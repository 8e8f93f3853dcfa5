"""An engine without camera or network: it keeps a case by the rules and remembers what the window asked."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import factories
import numpy as np

from her2scope.domain.cells import CellClass, CellRule, StainCuts
from her2scope.domain.control import ControlCode
from her2scope.domain.corrections import CaseData, Correction, RuleChange, RuleInForce
from her2scope.domain.errors import Her2ScopeError
from her2scope.domain.event_chain import ChainHead
from her2scope.domain.guideline import Ish, Score
from her2scope.domain.regions import Region, RegionDraft, RegionKind
from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.domain.sign_off import CaseStatus, Signature, SignOff
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
from her2scope.records import (
    AcceptedField,
    CaseView,
    ControlReading,
    FieldResult,
    Frame,
    MapPlace,
    MapTile,
    MapView,
    ReaderScore,
    TrackedFrame,
)

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
CUTS = StainCuts(0.15, 0.31, 0.62)
FINISHED_UTC, SIGNED_UTC = "2025-03-04T09:31:40.000+00:00", "2025-03-04T09:40:12.000+00:00"
HEAD = ChainHead(41, "5f2b7c9d" * 8)


@functools.cache
def usual_field() -> FieldResult:
    """Drawn once: nothing changes a result."""
    return factories.honeycomb_field(MIXED, (200, 300))


@dataclasses.dataclass(frozen=True)
class _Step:
    """The case as it was before a change, or after one that was undone."""

    text: str
    fields: list[AcceptedField]
    more: dict[str, Any]


class FakeEngine:
    """Implements `LiveCommands`; tells a listener at once, on the caller's thread."""

    def __init__(self, listener: LiveListener, result: FieldResult | None = None) -> None:
        self.listener = listener
        self.calls: list[tuple[Any, ...]] = []
        self.seen: CaseView | None = None
        """The case as it was shown to whoever asked to sign it."""
        self.result = result or usual_field()
        self.next_verdict: tuple[ControlStatus, tuple[ControlCode, ...], tuple[str, ...]] = (
            ControlStatus.VALID,
            (),
            (),
        )
        self.fields: list[AcceptedField] = []
        self.controls: list[ControlReading] = []
        self.more: dict[str, Any] = {"finished_utc": None}
        self.taken_slide_id = ""
        """Slide of another open case: case data that names it are refused."""
        self.pins: dict[str, str] = {"Dr. A. Example": "2468", "Dr. B. Second": "1357"}
        """By name of the signer."""
        self._done: list[_Step] = []
        self._undone: list[_Step] = []

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
        rule = self.more.get("rule") or RuleInForce(CUTS, CellRule(), CUTS, CellRule())
        texts = {
            name: steps[-1].text for name, steps in (("undo_text", self._done), ("redo_text", self._undone)) if steps
        }
        view = factories.case_view(self.fields, self.controls, standing, **{**self.more, "rule": rule, **texts})
        return dataclasses.replace(view, stored_score=view.score) if rule.deviates else view

    def tell(self, text: str, severity: Severity = Severity.WARNING) -> None:
        self.listener.on_message(Message(severity, text))

    def _remember(self, text: str) -> None:
        """Before a change that can be taken back."""
        self._done.append(_Step(text, list(self.fields), dict(self.more)))
        self._undone.clear()

    def _swap(self, take: list[_Step], leave: list[_Step]) -> None:
        if take:
            step = take.pop()
            leave.append(_Step(step.text, list(self.fields), dict(self.more)))
            self.fields, self.more = step.fields, step.more
            self.tell_case()

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
        number = len(self.fields) + 1
        self._remember(f"add field {number}")
        self.fields.append(factories.accepted(self.result, number))
        self.tell_case()

    def remove_field(self, number: int) -> None:
        self.calls.append(("remove_field", number))
        self._remember(f"remove field {number}")
        self._set_active(number, False)

    def restore_field(self, number: int) -> None:
        self.calls.append(("restore_field", number))
        self._remember(f"restore field {number}")
        self._set_active(number, True)

    def _set_active(self, number: int, active: bool) -> None:
        self._change_field(number, active=active)

    def _change_field(self, number: int, **changes: Any) -> None:
        self.fields[number - 1] = dataclasses.replace(self.fields[number - 1], **changes)
        self.tell_case()

    def annotate_field(self, number: int, text: str) -> None:
        self.calls.append(("annotate_field", number, text))
        self._remember(f"remark to field {number}")
        self._change_field(number, annotation=text)

    def correct_cells(self, field: int, cells: Sequence[int], to: Correction | None) -> None:
        self.calls.append(("correct_cells", field, tuple(cells), to))
        self._remember(f"correct {len(cells)} cells of field {field}")
        item = self.fields[field - 1]
        corrections = list(item.corrections or (None,) * len(item.result.cells))
        for place in cells:
            corrections[place] = to
        self._change_field(field, corrections=tuple(corrections))

    def draw_region(self, draft: RegionDraft) -> None:
        self.calls.append(("draw_region", draft))
        self._remember("outline")
        number = 1 + max((region.number for region in self.regions), default=0)
        region = Region(number, draft.kind, draft.island, draft.polygon_um, draft.field, draft.note)
        self.more["regions"] = (*self.regions, region)
        self.tell_case()

    def remove_region(self, number: int) -> None:
        self.calls.append(("remove_region", number))
        self._remember(f"remove outline {number}")
        self.more["regions"] = tuple(region for region in self.regions if region.number != number)
        self.tell_case()

    @property
    def regions(self) -> tuple[Region, ...]:
        return tuple(self.more.get("regions", ()))

    def change_rule(self, change: RuleChange) -> None:
        self.calls.append(("change_rule", change))
        self._remember("move the cuts")
        self._set_rule(change, is_preview=False)

    def preview_rule(self, change: RuleChange) -> None:
        self.calls.append(("preview_rule", change))
        self._set_rule(change, is_preview=True)

    def _set_rule(self, change: RuleChange, is_preview: bool) -> None:
        try:
            cuts, rule = change.cuts(CUTS), change.rule(CellRule())
        except Her2ScopeError as error:
            self.tell(str(error))
            return
        self.more["rule"] = RuleInForce(cuts, rule, CUTS, CellRule(), change, is_preview)
        self.tell_case()

    def enter_case_data(self, data: CaseData) -> None:
        self.calls.append(("enter_case_data", data))
        if data.slide_id and data.slide_id == self.taken_slide_id:
            self.tell(f"Another open case has slide {data.slide_id}. Finish that one first, or correct the entry.")
            return
        self._remember("case data")
        self.more["data"] = data.stripped()
        self.tell_case()

    def undo(self) -> None:
        self.calls.append(("undo",))
        self._swap(self._done, self._undone)

    def redo(self) -> None:
        self.calls.append(("redo",))
        self._swap(self._undone, self._done)

    def set_sweep(self, on: bool) -> None:
        self.calls.append(("set_sweep", on))
        outlined = any(region.kind is RegionKind.INVASIVE and region.field is None for region in self.regions)
        if on and not outlined:
            self.tell("Outline invasive tumour on the live picture first.")
        self.listener.on_sweep(on and outlined)

    def enter_reader_score(self, score: ReaderScore) -> None:
        self.calls.append(("enter_reader_score", score))
        self._remember("own score")
        self.more["reader_score"] = score
        self.tell_case()

    def enter_ish(self, ish: Ish | None) -> None:
        self.calls.append(("enter_ish", ish))
        self._remember("ISH result")
        self.more["ish"] = ish
        self.tell_case()

    def finish(self) -> None:
        self.calls.append(("finish",))
        self._come_to(CaseStatus.IN_REVIEW, FINISHED_UTC)
        self.tell("Report written: cases/S25-01234/report.pdf", Severity.INFO)

    def reopen(self, reason: str) -> None:
        self.calls.append(("reopen", reason))
        self._come_to(CaseStatus.OPEN, None)

    def sign(self, name: str, pin: str, looked_at_fields: bool, seen: CaseView | None = None) -> None:
        self.calls.append(("sign", name, pin, looked_at_fields))
        self.seen = seen
        if self._knows(name, pin):
            self._sign(name)

    def enrol_and_sign(self, name: str, pin: str, looked_at_fields: bool, seen: CaseView | None = None) -> None:
        self.calls.append(("enrol_and_sign", name, pin, looked_at_fields))
        self.seen = seen
        if name in self.pins:
            self.tell(f"{name} signs here already. Choose that name, or another one.")
            return
        self.pins[name] = pin
        self._sign(name)

    def amend(self, name: str, pin: str, reason: str) -> None:
        self.calls.append(("amend", name, pin, reason))
        if self._knows(name, pin):
            self._come_to(CaseStatus.OPEN, None, version=self.sign_off.version + 1, reason=reason)

    @property
    def sign_off(self) -> SignOff:
        found: SignOff = self.more.get("sign_off", SignOff())
        return found

    def _knows(self, name: str, pin: str) -> bool:
        known = self.pins.get(name) == pin
        if not known:
            self.tell("The name and the PIN do not belong together. Nothing was signed.")
        return known

    def _sign(self, name: str) -> None:
        view, before = self.view(), self.sign_off
        fields = tuple(field.number for field in view.active_fields)
        own = view.reader_score.score if view.reader_score is not None else None
        signature = Signature(before.version, 42, name, SIGNED_UTC, view.score.score, own, fields)
        status = CaseStatus.SIGNED if before.version == 1 else CaseStatus.AMENDED
        self._come_to(status, FINISHED_UTC, signatures=(*before.signatures, signature))

    def _come_to(self, status: CaseStatus, finished_utc: str | None, **more: Any) -> None:
        self.more["finished_utc"], self.more["head"] = finished_utc, HEAD
        self.more["sign_off"] = dataclasses.replace(self.sign_off, status=status, finished_utc=finished_utc, **more)
        self.tell_case()

    def open_case(self, case_id: str) -> None:
        self.calls.append(("open_case", case_id))
        self._start(case_id)

    def new_case(self) -> None:
        self.calls.append(("new_case",))
        self._start("S25-01235 A1")

    def _start(self, case_id: str) -> None:
        self.fields, self.controls = [], []
        self._done, self._undone = [], []
        self.more = {"finished_utc": None, "case_id": case_id}
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
    trusted: bool = True,
) -> TrackedFrame:
    """The result's frame at another place; with `shift` its pixels move as the tissue does."""
    frame = result.frame
    rgb = np.roll(frame.rgb, (-round(y_px), -round(x_px)), axis=(0, 1)) if shift else frame.rgb
    moved = Frame(rgb, frame.index + 1, captured_s, frame.um_per_px, frame.camera, frame.name)
    scale = frame.um_per_px
    return TrackedFrame(moved, x_px * scale, y_px * scale, island, speed_um_per_s, trusted)


def live(
    result: FieldResult, mode: Mode = Mode.READING, x_px: float = 0.0, y_px: float = 0.0, **place: Any
) -> LiveResult:
    """The result as the engine would hand it over."""
    scale = result.frame.um_per_px
    return LiveResult(TrackedFrame(result.frame, x_px * scale, y_px * scale, **place), result, mode)


def map_view(island: int = 0, *islands: int, lost: str = "", side_um: float = 400.0) -> MapView:
    """A map of two tiles an island, side by side."""
    picture = np.full((100, 100, 3), (200, 180, 190), np.uint8)
    tiles = [MapTile(name, place * side_um, 0.0, side_um, side_um, picture) for name in islands for place in (0, 1)]
    return MapView(island, tuple(tiles), lost=lost)


def placed(field: AcceptedField, x_um: float, y_um: float, island: int = 0) -> AcceptedField:
    """The field at a place of the map."""
    return dataclasses.replace(field, place=MapPlace(island, x_um, y_um))
