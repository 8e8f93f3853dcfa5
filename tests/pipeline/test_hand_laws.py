"""Whatever the reader does in whatever order: each cell counts once, as a slow plain count says, and so when read back.

The fields are windows on one drawn tissue of which every cell is known, so the plain count needs no registration.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np
from factories import MEASURES, cell, field_result
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pipeline.conftest import HeldClock

from her2scope.domain.cells import CellClass, CellCounts, CellRule, StainCuts, classify
from her2scope.domain.corrections import CaseData, Correction, RuleChange
from her2scope.domain.errors import CaseRuleError, SigningError
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.guideline import SCORES, Ish
from her2scope.domain.regions import RegionDraft, RegionKind
from her2scope.domain.sign_off import CaseStatus
from her2scope.imaging.opencv import cv2
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.session import CaseSession
from her2scope.records import Cell, FieldResult, Frame, IslandJoin, MapPlace, ReaderScore, Segmentation
from her2scope.settings import Calibration, ScoringSettings
from her2scope.storage.memory import MemoryCaseStore

UM_PER_PX, PITCH_UM, SIDE_UM, STEP_UM = 0.5, 12, 168, 48
"""Cells lie in rows and columns; fields are as high as the tissue, and lie side by side or over each other."""
N_STEPS = 8
WIDTH_UM = SIDE_UM + STEP_UM * (N_STEPS - 1)
CLASSES = (*CellClass, None)
RULE = CellRule()


def _tissue() -> np.ndarray:
    """Blots of tissue, no two places alike, as registration knows it."""
    size = (int(SIDE_UM / UM_PER_PX), int(WIDTH_UM / UM_PER_PX), 1)
    noise = np.random.default_rng(5).normal(0, 1, size).astype(np.float32)
    blots = cv2.GaussianBlur(noise, (0, 0), 5 / UM_PER_PX)
    grey = np.clip(160 + 40 * blots / blots.std(), 20, 240).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


TISSUE = _tissue()


def world_class(place: tuple[int, int]) -> CellClass | None:
    """What the cell in a column and row is, as drawn."""
    return CLASSES[(7 * place[0] + 3 * place[1] + place[0] * place[1]) % len(CLASSES)]


def window_frame(step: int) -> Frame:
    left = int(step * STEP_UM / UM_PER_PX)
    rgb = TISSUE[:, left : left + int(SIDE_UM / UM_PER_PX)].copy()
    return Frame(rgb, step, 0.0, UM_PER_PX, name=f"window {step}")


def control_frame(od10: float) -> Frame:
    """A 3+ control whose membranes have this intensity."""
    return replace(window_frame(0), name=f"control {od10}")


def places_in(step: int) -> list[tuple[int, int]]:
    """Columns and rows of the cells in a window."""
    first = step * STEP_UM // PITCH_UM
    n = SIDE_UM // PITCH_UM
    return [(first + column, row) for row in range(n) for column in range(n)]


def is_whole(step: int, place: tuple[int, int]) -> bool:
    """Cells of the first and last columns and rows are cut by the picture's edge."""
    n, column = SIDE_UM // PITCH_UM, place[0] - step * STEP_UM // PITCH_UM
    return 0 < column < n - 1 and 0 < place[1] < n - 1


def is_outside(step: int, place: tuple[int, int]) -> bool:
    """Whether the region model leaves a cell out of a window: some always, others by what the window shows around."""
    return (place[0] + 2 * place[1]) % 3 == 0 or (3 * place[0] + place[1] + step) % 5 == 0


def place_of(item: Cell, step: int) -> tuple[int, int]:
    """Column and row of a cell that was found in a window."""
    x_um, y_um = (item.x_px + 0.5) * UM_PER_PX + step * STEP_UM, (item.y_px + 0.5) * UM_PER_PX
    return round(x_um / PITCH_UM - 0.5), round(y_um / PITCH_UM - 0.5)


class DrawnMethod:
    """A method that knows the tissue; like closed contours it lists the cells in another order for other cuts."""

    method, model_name, model_sha256 = "drawn", "", ""
    false_rates, nuclear_width_um, rule = FalseRates(), None, RULE

    def default_cuts(self, cuts: StainCuts) -> StainCuts:
        return cuts

    def control_cut(self, cells: Segmentation, cuts: StainCuts) -> float:
        return min(item.measure.intensity_od10 for item in cells.cells)

    def doubts(self, staining: object) -> tuple[str, ...]:
        return ()

    def segment(self, *_: object) -> Segmentation:
        raise NotImplementedError

    measure_again = segment


class DrawnAnalyser(FieldAnalyser):
    """Finds the cells of a window, or of a control of the intensity (od10) that its name says."""

    def finds(self, place: tuple[int, int], cuts: StainCuts) -> bool:
        return True

    def analyse(
        self, frame: Frame, cuts: StainCuts, speed_um_per_s: float = 0.0, *, everywhere: bool = False
    ) -> FieldResult:
        what, value = frame.name.split()
        if what == "control":
            cells = [
                _measured(CellClass.COMPLETE_INTENSE, (n % 12, n // 12), 0, cuts, float(value)) for n in range(144)
            ]
        else:
            places = [place for place in places_in(int(value)) if self.finds(place, cuts)]
            order = np.random.default_rng(int(1000 * cuts.intense_od10)).permutation(len(places))
            cells = [_measured(world_class(places[n]), places[n], int(value), cuts) for n in order]
        found = field_result(cells, rgb=frame.rgb, um_per_px=UM_PER_PX, name=frame.name)
        return replace(found, frame=frame, cuts=cuts)


class GatedAnalyser(DrawnAnalyser):
    """Has a region model that leaves cells out."""

    def analyse(
        self, frame: Frame, cuts: StainCuts, speed_um_per_s: float = 0.0, *, everywhere: bool = False
    ) -> FieldResult:
        found = super().analyse(frame, cuts, speed_um_per_s, everywhere=everywhere)
        if everywhere:
            return found
        step = int(frame.name.split()[1])
        cells = tuple(replace(one, within=not is_outside(step, place_of(one, step))) for one in found.cells)
        counts = CellCounts.of(one.cell_class for one in cells if one.is_countable)
        finding = self.find(counts, frame.um_per_px)
        return replace(found, cells=cells, counts=counts, finding=finding, outside=np.zeros((4, 4), np.uint8))


class LosingAnalyser(DrawnAnalyser):
    """Does not find every cell by every cut."""

    def finds(self, place: tuple[int, int], cuts: StainCuts) -> bool:
        return sum(place) % 5 != round(10 * cuts.intense_od10) % 5  # of five diagonals one is missed


def _measured(
    name: CellClass | None, place: tuple[int, int], step: int, cuts: StainCuts, od10: float | None = None
) -> Any:
    x_px = ((place[0] + 0.5) * PITCH_UM - step * STEP_UM) / UM_PER_PX - 0.5
    drawn = cell(name, x_px, (place[1] + 0.5) * PITCH_UM / UM_PER_PX - 0.5, 8.0, edge=not is_whole(step, place))
    if od10 is not None:
        drawn = replace(drawn, measure=replace(drawn.measure, intensity_od10=od10))
    return replace(drawn, cell_class=classify(drawn.measure, cuts, RULE)) if name is not None else drawn


@dataclass
class Plain:
    """The case as a person with a pencil would keep it: by the cells of the tissue."""

    fields: list[tuple[int, int, bool]] = field(default_factory=list)
    """Window, island and whether it was swept, by number from 1."""
    active: set[int] = field(default_factory=set)
    words: dict[object, Correction] = field(default_factory=dict)
    regions: dict[int, tuple[RegionKind, int, tuple[int, int], int | None]] = field(default_factory=dict)
    """Kind, island, first and last column, field."""
    complete_share: float | None = None
    is_gated: bool = False

    def standing(self, number: int, place: tuple[int, int], joined: dict[int, int], word: Correction | None) -> str:
        """What the outlines and the region model say of a cell in a field; a class that the reader gave goes before."""
        window, island, swept = self.fields[number - 1]
        here = [one for one in self.regions.values() if joined.get(one[1], one[1]) == joined.get(island, island)]

        def within(kind: RegionKind, of: Sequence[object]) -> bool:
            return any(one[0] is kind and one[2][0] <= place[0] <= one[2][1] for one in of)

        if within(RegionKind.EXCLUDE, here):
            return "excluded"
        if within(RegionKind.NORMAL_DUCT, here):
            return "duct"
        invasive = [one for one in here if one[0] is RegionKind.INVASIVE]
        if swept and not within(RegionKind.INVASIVE, here):
            return "not invasive"
        for on in {one[3] for one in invasive if one[3] is not None}:
            drawn = [one for one in invasive if one[3] == on]
            if place in places_in(self.fields[on - 1][0]) and not within(RegionKind.INVASIVE, drawn):
                return "not invasive"
        is_given = (word is not None and word.cell_class is not None) or within(
            RegionKind.INVASIVE, [one for one in invasive if one[3] is not None]
        )
        return "outside" if self.is_gated and is_outside(window, place) and not is_given else "counted"

    def counts(self, cuts: StainCuts, joined: dict[int, int]) -> tuple[CellCounts, CellCounts]:
        """Tumour cells and cells of normal ducts, each once, by the first field that has a say in it."""
        tumour: list[CellClass | None] = []
        ducts: list[CellClass | None] = []
        rule = RULE if self.complete_share is None else replace(RULE, complete_share=self.complete_share)
        for place in {place for window, _, _ in self.fields for place in places_in(window)}:
            for number in sorted(self.active):
                if not is_whole(self.fields[number - 1][0], place):
                    continue
                word = self.words.get(place)
                standing = self.standing(number, place, joined, word)
                if word is Correction.EXCLUDED or standing == "excluded":
                    break
                if standing in ("not invasive", "outside"):
                    continue
                drawn = world_class(place)
                name = classify(MEASURES[drawn], cuts, rule) if drawn is not None else None
                (tumour if standing == "counted" else ducts).append(name if word is None else word.cell_class)
                break
        return CellCounts.of(tumour), CellCounts.of(ducts)


class AnybodySigns:
    """Signers with one PIN for all (see `ports.Signers`)."""

    def names(self) -> tuple[str, ...]:
        return ("Dr Ada",)

    def enrol(self, name: str, pin: str) -> None:
        raise NotImplementedError

    def change_pin(self, name: str, pin: str, new_pin: str) -> None:
        raise NotImplementedError

    def check(self, name: str, pin: str) -> None:
        if pin != "right":
            raise SigningError("wrong PIN")


class Desk:
    """A case and its plain count side by side."""

    def __init__(self, *, is_gated: bool = False) -> None:
        self.store, self.clock, self.plain = MemoryCaseStore(), HeldClock(), Plain(is_gated=is_gated)
        self.done: list[Plain] = []
        self.undone: list[Plain] = []
        self.session = self._opened(self.store.create("case-1"))

    def _opened(self, file: Any) -> CaseSession:
        return CaseSession(file, self._analyser(), self.clock, "reader", signers=AnybodySigns())

    def _analyser(self) -> FieldAnalyser:
        kind = GatedAnalyser if self.plain.is_gated else DrawnAnalyser
        return kind(DrawnMethod(), ScoringSettings(), Calibration())

    def island_um(self, island: int) -> float:
        """Where the tissue begins on an island that nothing was joined to."""
        return 1000.0 * island

    def change(self, command: Any, entry: Any) -> None:
        """Do something undoable, and write it down if it was taken."""
        before, n_events = copy.deepcopy(self.plain), len(self.session.view.events)
        try:
            command()
        except CaseRuleError:
            return
        if any(event.kind.value != "islands_joined" for event in self.session.view.events[n_events:]):
            entry()
            self.done.append(before)
            self.undone = []

    def accept(self, step: int, island: int, swept: bool) -> None:
        frame = window_frame(step)
        place = MapPlace(island, self.island_um(island) + step * STEP_UM, 0.0)
        number = len(self.plain.fields) + 1

        def entry() -> None:
            self.plain.fields.append((step, island, swept))
            self.plain.active.add(number)

        self.change(lambda: self.session.accept(frame, place=place, swept=swept), entry)
        for plain in (*self.done, *self.undone):
            plain.fields = self.plain.fields  # a field stays in the list whatever is undone

    def correct(self, number: int, cells: Sequence[int], to: Correction | None) -> None:
        if not self.plain.fields:
            return
        number = 1 + number % len(self.plain.fields)
        found = self.session.view.fields[number - 1].result.cells
        window = self.plain.fields[number - 1][0]
        chosen = [one % len(found) for one in cells]

        def entry() -> None:
            for one in chosen:
                place = place_of(found[one], window)
                key = place if is_whole(window, place) else (number, place)  # nobody knows a cut cell elsewhere
                self.plain.words.pop(key, None)
                if to is not None:
                    self.plain.words[key] = to

        self.change(lambda: self.session.correct_cells(number, chosen, to), entry)

    def draw(self, kind: RegionKind, island: int, first: int, last: int, on: int | None) -> None:
        if on is not None:
            if not self.plain.fields:
                return
            on = 1 + on % len(self.plain.fields)
            island = self.plain.fields[on - 1][1]
        first, last = min(first, last), max(first, last)
        left, right = (self.island_um(island) + PITCH_UM * column for column in (first, last + 1))
        polygon = ((left, -5.0), (right, -5.0), (right, SIDE_UM + 5.0), (left, SIDE_UM + 5.0))
        number = 1 + sum(event.kind.value == "region_drawn" for event in self.session.view.events)
        self.change(
            lambda: self.session.draw_region(RegionDraft(kind, island, polygon, on)),
            lambda: self.plain.regions.update({number: (kind, island, (first, last), on)}),
        )

    def remove_region(self, number: int) -> None:
        if self.plain.regions:
            number = sorted(self.plain.regions)[number % len(self.plain.regions)]
            self.change(lambda: self.session.remove_region(number), lambda: self.plain.regions.pop(number))

    def remove(self, number: int) -> None:
        self.change(lambda: self.session.remove(number), lambda: self.plain.active.discard(number))

    def restore(self, number: int) -> None:
        self.change(lambda: self.session.restore(number), lambda: self.plain.active.add(number))

    def move_rule(self, share: float | None) -> None:
        self.change(
            lambda: self.session.change_rule(RuleChange(complete_share=share)),
            lambda: setattr(self.plain, "complete_share", share),
        )

    def control(self, level: str, od10: float) -> None:
        with suppress(CaseRuleError):
            self.session.read_control(control_frame(od10), level, f"lot {od10}")

    def override(self) -> None:
        with suppress(CaseRuleError):
            self.session.override_control("read on the run's other slide")

    def enter(self, what: str, number: int) -> None:
        """Something that moves no count: the case's plain count stays, and an undo takes it back all the same."""
        session, text = self.session, f"number {number}"
        commands: dict[str, Any] = {
            "ish": lambda: session.enter_ish((None, Ish.NEGATIVE, Ish.POSITIVE)[number % 3]),
            "own score": lambda: session.enter_reader_score(ReaderScore((*SCORES, None)[number % 5], text)),
            "remark": lambda: session.annotate(1 + number % 3, text),
            "case data": lambda: session.enter_case_data(CaseData(slide=text, fixation_h="24")),
        }
        self.change(commands[what], lambda: None)

    def sign_off(self, what: str) -> None:
        """Finish, reopen, sign or amend; what was signed can be undone no more."""
        session = self.session
        commands: dict[str, Any] = {
            "finish": session.finish,
            "reopen": lambda: session.reopen("one field more"),
            "sign": lambda: session.sign("Dr Ada", "right", True),
            "mistype": lambda: session.sign("Dr Ada", "wrong", True),
            "amend": lambda: session.amend("Dr Ada", "right", "ISH came in"),
        }
        n_signed = len(session.view.sign_off.signatures)
        with suppress(CaseRuleError, SigningError):
            commands[what]()
        if len(session.view.sign_off.signatures) > n_signed:
            self.done, self.undone = [], []

    def join(self, one: int, other: int) -> None:
        """The map finds two islands to be one; what it says is true of the tissue."""
        if one != other:
            self.session.join_islands(IslandJoin(one, other, self.island_um(other) - self.island_um(one), 0.0))

    def sign_a_version(self) -> None:
        """The whole way of a case from reading to its next version, read back at each stop."""
        self.enter("own score", 1)
        for what in ("finish", "sign", "amend"):
            self.sign_off(what)
            self.look()

    def undo(self) -> None:
        if self.done and self._is_open():
            self.session.undo()
            self.undone.append(self.plain)
            self.plain = self.done.pop()

    def redo(self) -> None:
        if self.undone and self._is_open():
            self.session.redo()
            self.done.append(self.plain)
            self.plain = self.undone.pop()

    def resume(self) -> None:
        """Close the case and read it back, by a program that was started anew."""
        live = self.look()
        self.session.close()
        self.session = self._opened(self.store.open("case-1"))
        assert told(self.session.view) == live
        assert self.store.cases()[0].n_fields == len(self.session.view.active_fields)

    def look(self) -> object:
        """All that the case says is what somebody sees who only looks at the stored case meanwhile."""
        live, reading = self.session.view, self.store.read("case-1")
        seen = CaseSession(reading, self._analyser(), self.clock, "somebody else", resume=False).view
        reading.close()
        says = told(live)
        assert told(seen) == says
        assert seen.head == live.head and len(seen.events) == live.head.n_events
        for ours, stored in zip(live.events, seen.events, strict=True):
            assert replace(ours, data={}) == replace(stored, data={})
        return says

    def _is_open(self) -> bool:
        return self.session.view.sign_off.status is CaseStatus.OPEN

    def check(self) -> None:
        view = self.session.view
        joined: dict[int, int] = {}
        for join in self.session.joins:
            joined = {one: join.into if into == join.island else into for one, into in joined.items()}
            joined[join.island] = join.into
        tumour, ducts = self.plain.counts(self.session.cuts, joined)
        assert {item.number for item in view.active_fields} == self.plain.active
        assert view.score.counts == tumour
        assert CellCounts.total(item.duct_counts for item in view.active_fields) == ducts


NOT_OF_THE_CASE = {"events", "head", "timings_ms", "captured_s"}
"""Of a view: what was written since by reading it back, and what nobody stores."""


def told(value: Any, name: str = "") -> Any:
    """All that a case's view says, as plain values that can be compared."""
    if is_dataclass(value) and type(value).__eq__ is object.__eq__:  # others compare themselves
        return [(item.name, told(getattr(value, item.name), item.name)) for item in fields(value)
                if item.name not in NOT_OF_THE_CASE]  # fmt: skip
    if isinstance(value, np.ndarray):
        value = value.round(2) if name == "outline_xy_px" else value  # they are stored so
        return value.shape, value.dtype.str, value.tobytes()
    return [told(item, name) for item in value] if isinstance(value, tuple | list) else value


STEPS, ISLANDS, NUMBERS = st.integers(0, N_STEPS - 1), st.integers(0, 2), st.integers(0, 400)
COLUMNS, KINDS, WORDS = st.integers(0, 30), st.sampled_from([*RegionKind]), st.sampled_from([None, *Correction])
SOME_CELLS = st.lists(NUMBERS, min_size=1, max_size=40)
COMMANDS = st.one_of(
    st.tuples(st.just("accept"), STEPS, st.sampled_from([0, 0, 1, 2]), st.sampled_from([False, False, False, True])),
    st.tuples(st.just("accept"), STEPS, st.just(0), st.just(False)),
    st.tuples(st.just("correct"), NUMBERS, SOME_CELLS, WORDS),
    st.tuples(st.just("draw"), KINDS, ISLANDS, COLUMNS, COLUMNS, st.none() | NUMBERS),
    st.tuples(st.just("remove_region"), NUMBERS),
    st.tuples(st.just("remove"), st.integers(1, 5)),
    st.tuples(st.just("restore"), st.integers(1, 5)),
    st.tuples(st.just("move_rule"), st.sampled_from([None, 0.5, 0.98])),
    st.tuples(st.just("control"), st.just("3+"), st.sampled_from([0.6, 0.8, 0.9])),
    st.tuples(st.just("join"), ISLANDS, ISLANDS),
    st.tuples(st.just("undo")), st.tuples(st.just("undo")), st.tuples(st.just("redo")), st.tuples(st.just("resume")),
)  # fmt: skip
ENTRIES = st.one_of(
    st.tuples(st.just("enter"), st.sampled_from(["ish", "own score", "remark", "case data"]), NUMBERS),
    st.tuples(st.just("control"), st.sampled_from(["3+", "1+", "0"]), st.sampled_from([0.6, 0.9])),
    st.tuples(st.just("sign_off"), st.sampled_from(["finish", "reopen", "sign", "mistype", "amend"])),
    st.just(("override",)), st.just(("sign_a_version",)), st.just(("sign_a_version",)),
)  # fmt: skip


@settings(max_examples=15, phases=[Phase.explicit, Phase.reuse, Phase.generate])  # to shrink takes many minutes
@given(st.lists(COMMANDS, min_size=8, max_size=24), st.booleans())
def test_each_cell_counts_once_whatever_is_done_in_whatever_order(commands, is_gated):
    desk = Desk(is_gated=is_gated)
    for name, *values in commands:
        getattr(desk, name)(*values)
        desk.check()
    desk.resume()
    desk.check()


@settings(max_examples=8, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(COMMANDS | ENTRIES | ENTRIES, min_size=5, max_size=9), st.booleans())
def test_what_is_stored_says_all_that_the_live_case_says(commands, is_gated):
    desk = Desk(is_gated=is_gated)
    desk.accept(1, 0, False)
    desk.control("3+", 0.8)
    for name, *values in commands:
        getattr(desk, name)(*values)
    desk.resume()
    desk.look()


def test_a_word_goes_with_its_cell_when_a_control_gives_a_field_other_cells():
    """Or it is said that its cell is not found any more; an undo afterwards means the cell that was meant."""
    store = MemoryCaseStore()
    analyser = LosingAnalyser(DrawnMethod(), ScoringSettings(), Calibration())
    session = CaseSession(store.create("case-1"), analyser, HeldClock(), "reader")
    session.accept(window_frame(0))
    before = [place_of(one, 0) for one in session.view.fields[0].result.cells]
    later = StainCuts(intense_od10=0.8)
    stays = [number for number, place in enumerate(before) if analyser.finds(place, later)]
    goes = [number for number, place in enumerate(before) if not analyser.finds(place, later)]
    session.correct_cells(1, [stays[3], *goes[:2]], Correction.EXCLUDED)
    session.correct_cells(1, [stays[8]], Correction.NOT_TUMOUR)

    def words() -> dict[tuple[int, int], Correction]:
        (item,) = session.view.fields
        found = zip(item.result.cells, item.corrections, strict=True)
        return {place_of(one, 0): word for one, word in found if word is not None}

    reading = session.read_control(control_frame(0.8), "3+", "lot 7")
    assert words() == {before[stays[3]]: Correction.EXCLUDED, before[stays[8]]: Correction.NOT_TUMOUR}
    assert len(reading.lost_words) == 2 and all(words.startswith("excluded (field 1") for words in reading.lost_words)
    session.undo()
    assert words() == {before[stays[3]]: Correction.EXCLUDED}
    session.redo()
    live = session.view
    session.close()
    session = CaseSession(store.open("case-1"), analyser, HeldClock(), "reader")
    assert told(session.view) == told(live)
    assert session.view.controls[-1].lost_words == reading.lost_words


def test_a_moved_cut_holds_over_whatever_cuts_a_later_control_sets():
    """Where it does not lie between those that the control sets, they give way, and that is said."""
    desk = Desk()
    desk.accept(0, 0, False)
    desk.session.change_rule(RuleChange(intense_od10=0.4))
    desk.control("3+", 0.9)
    assert desk.session.cuts.moderate_od10 == 0.45
    rule = desk.session.view.rule
    assert rule is not None and rule.cuts == StainCuts(0.15, 0.4, 0.4)
    assert "moderate cut 0.40 instead of 0.45" in rule.deviates and not desk.session.view.score.reportable
    desk.resume()
    desk.session.undo()
    assert desk.session.view.rule is not None and not desk.session.view.rule.deviates
