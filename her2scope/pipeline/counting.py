"""Which cells a case counts, and as what: measures of the fields and the reader's hand in, counted fields out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellCounts, CellKind
from her2scope.domain.corrections import CellStanding, Correction
from her2scope.domain.guideline import Finding
from her2scope.domain.regions import Floats, Region, RegionKind
from her2scope.domain.score import TooFewCells
from her2scope.imaging.registration import Relief
from her2scope.pipeline.hand import CellKey, Hand
from her2scope.records import AcceptedField, Cell, FieldResult, MapPlace, Overlap, class_counts

Find = Callable[[CellCounts, float], Finding | TooFewCells]
"""Score of one field's cells at a scale (um/px)."""
InForce = Callable[[FieldResult], FieldResult]
"""A field by the cuts in force."""


@dataclass(slots=True, eq=False)
class CaseField:
    """A field as it was accepted, with the measures that its control gives."""

    number: int
    at_utc: str
    result: FieldResult
    overlaps: tuple[Overlap, ...]
    relief: Relief
    place: MapPlace
    """On the island that it was accepted on."""
    swept: bool
    twins: Mapping[int, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    """By earlier field: pairs of a cell of this one and the same cell of that one."""


class SameCells:
    """Which cells of overlapping fields are one and the same cell."""

    def __init__(self, fields: Iterable[CaseField] = ()) -> None:
        self._links: dict[CellKey, list[CellKey]] = {}
        self._found: dict[CellKey, tuple[CellKey, ...]] = {}
        for item in fields:
            self.add(item)

    def add(self, item: CaseField) -> None:
        """Take in what a field shows of earlier ones."""
        self._found.clear()
        for other, pairs in item.twins.items():
            for here, there in pairs:
                self._links.setdefault((item.number, here), []).append((other, there))
                self._links.setdefault((other, there), []).append((item.number, here))

    def of(self, cell: CellKey) -> tuple[CellKey, ...]:
        """The same cell in all other fields that show it, be it through a chain of them: one in each, nearest first."""
        if cell not in self._links:
            return ()
        if cell not in self._found:
            by_field = dict([cell])
            waiting = deque([cell])
            while waiting:
                for number, place in self._links[waiting.popleft()]:
                    if number not in by_field:
                        by_field[number] = place
                        waiting.append((number, place))
            self._found[cell] = tuple(by_field.items())[1:]
        return self._found[cell]


@dataclass(frozen=True, slots=True, eq=False)
class _Own:
    """A field by itself: what the reader made of it, other fields aside."""

    result: FieldResult
    standings: tuple[CellStanding, ...]
    corrections: tuple[Correction | None, ...]
    place: MapPlace


class Counting:
    """Counts a case's fields, each cell once; what did not change since the last time is not counted anew."""

    def __init__(self) -> None:
        self._own: dict[int, tuple[tuple[object, ...], _Own]] = {}
        self._accepted: dict[int, tuple[tuple[object, ...], AcceptedField]] = {}

    def count(
        self, fields: Sequence[CaseField], same: SameCells, hand: Hand, rule: object, in_force: InForce, find: Find
    ) -> tuple[AcceptedField, ...]:
        """All fields in the order of acceptance; each active one counts the cells that no earlier active one shows.

        Parameters
        ----------
        rule : what `in_force` depends on; equal rules give equal fields
        """
        corrections = shared_corrections(hand.corrections, same)
        regions = hand.regions_in_force()
        frames = {item.number: (hand.place_in_force(item.place), _size_um(item.result)) for item in fields}
        own: dict[int, _Own] = {}
        accepted: dict[int, AcceptedField] = {}
        for item in fields:
            mine = corrections.get(item.number, {})
            place = frames[item.number][0]
            here = tuple(region for region in regions if region.island == place.island)
            key = (item.result, rule, tuple(sorted(mine.items())), here, place)
            known = self._own.get(item.number)
            if known is None or known[0] != key:
                known = key, _alone(in_force(item.result), item, mine, here, place, frames, find)
                self._own[item.number] = known
            own[item.number] = known[1]
            accepted[item.number] = self._with_others(item, known[1], own, accepted, hand)
        return tuple(accepted.values())

    def _with_others(
        self,
        item: CaseField,
        alone: _Own,
        own: Mapping[int, _Own],
        accepted: Mapping[int, AcceptedField],
        hand: Hand,
    ) -> AcceptedField:
        seen = frozenset(
            here
            for other, pairs in item.twins.items()
            if other in hand.active
            for here, there in pairs
            if own[other].standings[there] is not CellStanding.NOT_INVASIVE
            # the model may say otherwise of the same cell at another picture's edge: once within is counted, once
            and accepted[other].standings[there] is not CellStanding.OUTSIDE
        )
        active = item.number in hand.active
        annotation = hand.annotations.get(item.number, "")
        key = (alone, seen, active, annotation, item.overlaps)
        known = self._accepted.get(item.number)
        if known is None or known[0] != key:
            known = key, _accepted(item, alone, seen, active=active, annotation=annotation)
            self._accepted[item.number] = known
        return known[1]


def shared_corrections(corrections: Mapping[CellKey, Correction], same: SameCells) -> dict[int, dict[int, Correction]]:
    """The reader's words by field and cell, each said of the same cell in every field that shows it.

    What was said of a cell itself goes before what was said of it in another field, and the later word before others.
    """
    shared: dict[int, dict[int, Correction]] = {}
    for (number, cell), word in corrections.items():
        shared.setdefault(number, {})[cell] = word
    for one in reversed(list(corrections)):
        for number, cell in same.of(one):
            shared.setdefault(number, {}).setdefault(cell, corrections[one])
    return shared


def _alone(
    result: FieldResult,
    item: CaseField,
    corrections: Mapping[int, Correction],
    regions: Sequence[Region],
    place: MapPlace,
    frames: Mapping[int, tuple[MapPlace, tuple[float, float]]],
    find: Find,
) -> _Own:
    cells = list(result.cells)
    for number, word in corrections.items():
        cells[number] = _corrected(cells[number], word)
    standings = _standings(cells, corrections, item, regions, place, frames, result.frame.um_per_px)
    words = tuple(corrections.get(number) for number in range(len(cells)))
    if corrections or any(_by_itself(cell) is not standing for cell, standing in zip(cells, standings, strict=True)):
        counts = _counts(cells, standings, (CellStanding.COUNTED,))
        finding = find(counts, result.frame.um_per_px) if result.quality.usable else None
        result = replace(result, cells=tuple(cells), counts=counts, finding=finding)
    return _Own(result, standings, words, place)


def _by_itself(cell: Cell) -> CellStanding:
    """Standing of a cell of which the reader said nothing."""
    if cell.edge:
        return CellStanding.EDGE
    return CellStanding.COUNTED if cell.within else CellStanding.OUTSIDE


def _corrected(cell: Cell, word: Correction) -> Cell:
    if word is Correction.EXCLUDED:
        return cell
    kind = CellKind.OTHER if word is Correction.NOT_TUMOUR else CellKind.TUMOUR
    return replace(cell, kind=kind, cell_class=word.cell_class, measure=replace(cell.measure, uncertain=False))


def _standings(
    cells: Sequence[Cell],
    corrections: Mapping[int, Correction],
    item: CaseField,
    regions: Sequence[Region],
    place: MapPlace,
    frames: Mapping[int, tuple[MapPlace, tuple[float, float]]],
    um_per_px: float,
) -> tuple[CellStanding, ...]:
    """Standing of each cell, other fields aside; a region holds a cell by the middle of its nucleus.

    The reader's word goes before the region model's: a cell that they gave a class, or that lies in invasive tumour
    outlined on a field, is not left out by the model.
    """
    standings = [CellStanding.COUNTED] * len(cells)

    def say(which: Iterable[int], standing: CellStanding) -> None:
        for number in which:
            standings[number] = standing

    given = {number for number, word in corrections.items() if word.cell_class is not None}
    say((n for n, cell in enumerate(cells) if not cell.within and n not in given), CellStanding.OUTSIDE)
    if regions and cells:
        # whole numbers are the middles of pixels, a place is a corner: hence the half
        xy_px = np.array([(cell.x_px, cell.y_px) for cell in cells], dtype=np.float64)
        xy_um = (xy_px + 0.5) * um_per_px + (place.x_um, place.y_um)
        say(np.flatnonzero(_in_any(xy_um, drawn_on_a_field(regions))), CellStanding.COUNTED)
        say(np.flatnonzero(_not_invasive(xy_um, regions, frames, item.swept)), CellStanding.NOT_INVASIVE)
        for kind, standing in (
            (RegionKind.NORMAL_DUCT, CellStanding.NORMAL_DUCT),
            (RegionKind.EXCLUDE, CellStanding.EXCLUDED_REGION),
        ):
            say(np.flatnonzero(_in_any(xy_um, [region for region in regions if region.kind is kind])), standing)
    elif item.swept:
        say(range(len(cells)), CellStanding.NOT_INVASIVE)
    say((number for number, word in corrections.items() if word is Correction.EXCLUDED), CellStanding.EXCLUDED)
    say((number for number, cell in enumerate(cells) if cell.edge), CellStanding.EDGE)
    return tuple(standings)


def drawn_on_a_field(regions: Iterable[Region]) -> list[Region]:
    """Outlines that say of what a field shows what is invasive tumour; those on the map say where to sweep."""
    return [region for region in regions if region.kind is RegionKind.INVASIVE and region.field is not None]


def _not_invasive(
    xy_um: Floats,
    regions: Sequence[Region],
    frames: Mapping[int, tuple[MapPlace, tuple[float, float]]],
    swept: bool,
) -> NDArray[np.bool_]:
    """`(N,)` which places lie outside the outlined invasive tumour.

    An outline on a field speaks of what that field shows; outlines on the map speak of swept fields.
    """
    outside = np.zeros(len(xy_um), dtype=bool)
    invasive = [region for region in regions if region.kind is RegionKind.INVASIVE]
    for number in {region.field for region in invasive if region.field is not None}:
        if number in frames:
            drawn = [region for region in invasive if region.field == number]
            outside |= _within_frame(xy_um, frames[number]) & ~_in_any(xy_um, drawn)
    if swept:
        outside |= ~_in_any(xy_um, invasive)
    return outside


def _in_any(xy_um: Floats, regions: Sequence[Region]) -> NDArray[np.bool_]:
    within = np.zeros(len(xy_um), dtype=bool)
    for region in regions:
        within |= region.holds(xy_um)
    return within


def _within_frame(xy_um: Floats, frame: tuple[MapPlace, tuple[float, float]]) -> NDArray[np.bool_]:
    place, (width_um, height_um) = frame
    x_um, y_um = xy_um[:, 0] - place.x_um, xy_um[:, 1] - place.y_um
    return (x_um >= 0) & (x_um < width_um) & (y_um >= 0) & (y_um < height_um)


def _accepted(item: CaseField, alone: _Own, seen: Collection[int], *, active: bool, annotation: str) -> AcceptedField:
    standings = list(alone.standings)
    for number in seen:
        if standings[number] is not CellStanding.EDGE:
            standings[number] = CellStanding.SEEN_BEFORE
    cells = alone.result.cells
    return AcceptedField(
        number=item.number, at_utc=item.at_utc, result=alone.result, overlaps=item.overlaps, active=active,
        counted=tuple(standing is CellStanding.COUNTED for standing in standings),
        counts=_counts(cells, standings, (CellStanding.COUNTED,)),
        place=alone.place, standings=tuple(standings), corrections=alone.corrections, read=item.result,
        duct_counts=_counts(cells, standings, (CellStanding.NORMAL_DUCT,)),
        annotation=annotation, swept=item.swept,
    )  # fmt: skip


def _counts(cells: Sequence[Cell], standings: Sequence[CellStanding], which: Collection[CellStanding]) -> CellCounts:
    return class_counts(cell for cell, standing in zip(cells, standings, strict=True) if standing in which)


def _size_um(result: FieldResult) -> tuple[float, float]:
    height, width = result.frame.size_hw
    return width * result.frame.um_per_px, height * result.frame.um_per_px
