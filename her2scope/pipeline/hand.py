"""What the reader did to a case, folded from its events: one value, the same live or read back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from her2scope.domain.corrections import CaseData, Correction, RuleChange
from her2scope.domain.events import Event, EventKind
from her2scope.domain.guideline import Ish
from her2scope.domain.regions import Region, RegionKind
from her2scope.records import IslandJoin, MapPlace, ReaderScore

CellKey = tuple[int, int]
"""Number of a field, and a cell's place in its list."""


@dataclass(slots=True)
class Hand:
    """The reader's part of a case. Nothing in it needs a pixel."""

    active: set[int] = field(default_factory=set)
    """Fields that count."""
    corrections: dict[CellKey, Correction] = field(default_factory=dict)
    regions: dict[int, Region] = field(default_factory=dict)
    """By number, on the islands that they were drawn on."""
    annotations: dict[int, str] = field(default_factory=dict)
    change: RuleChange = RuleChange()
    reader_score: ReaderScore | None = None
    ish: Ish | None = None
    data: CaseData = CaseData()
    joins: list[IslandJoin] = field(default_factory=list)

    @staticmethod
    def of(effective: Iterable[Event]) -> Hand:
        """Fold events, of which those undone are left out (`events.timeline`)."""
        hand = Hand()
        for event in effective:
            take = _TAKE.get(event.kind)
            if take is not None:
                take(hand, event.data)
        return hand

    def regions_in_force(self) -> tuple[Region, ...]:
        """All regions, on the islands that remain after all joins."""
        return tuple(_joined_region(region, self.joins) for region in self.regions.values())

    def place_in_force(self, place: MapPlace) -> MapPlace:
        """A place on the island that remains after all joins."""
        return place_after(place, self.joins)


def place_after(place: MapPlace, joins: Iterable[IslandJoin]) -> MapPlace:
    """The same place on the island that remains after joins."""
    for join in joins:
        if join.island == place.island:
            place = MapPlace(join.into, place.x_um + join.dx_um, place.y_um + join.dy_um)
    return place


def join_in_force(join: IslandJoin, joins: Sequence[IslandJoin]) -> IslandJoin | None:
    """The same join between the islands that remain after `joins`; None where they are one already."""
    here = place_after(MapPlace(join.island, 0.0, 0.0), joins)
    there = place_after(MapPlace(join.into, join.dx_um, join.dy_um), joins)
    if here.island == there.island:
        return None
    return IslandJoin(here.island, there.island, there.x_um - here.x_um, there.y_um - here.y_um)


def _joined_region(region: Region, joins: Iterable[IslandJoin]) -> Region:
    for join in joins:
        if join.island == region.island:
            region = region.moved(join.into, join.dx_um, join.dy_um)
    return region


Data = Mapping[str, Any]


def _accepted(hand: Hand, data: Data) -> None:
    hand.active.add(data["field"])


def _removed(hand: Hand, data: Data) -> None:
    hand.active.discard(data["field"])


def _annotated(hand: Hand, data: Data) -> None:
    hand.annotations[data["field"]] = data["text"]


def _control_read(hand: Hand, data: Data) -> None:
    """Fields measured anew may have another list of cells: a word on a cell goes with the cell."""
    for item in data["fields"]:
        if "same_cells" in item:  # absent where the list stayed as it was
            number, now = item["field"], dict(item["same_cells"])
            said = {cell: word for (field, cell), word in hand.corrections.items() if field == number}
            for cell in said:
                del hand.corrections[number, cell]
            hand.corrections |= {(number, now[cell]): word for cell, word in said.items() if cell in now}


def _corrected(hand: Hand, data: Data) -> None:
    for item in (data, *data["same"]):
        for cell in item["cells"]:
            hand.corrections.pop((item["field"], cell), None)
            if data["to"] is not None:
                hand.corrections[item["field"], cell] = Correction(data["to"])


def _drawn(hand: Hand, data: Data) -> None:
    polygon = tuple((float(x), float(y)) for x, y in data["polygon_um"])
    hand.regions[data["region"]] = Region(
        data["region"], RegionKind(data["kind"]), data["island"], polygon, data["field"], data["note"]
    )


def _region_removed(hand: Hand, data: Data) -> None:
    hand.regions.pop(data["region"], None)


def _rule_changed(hand: Hand, data: Data) -> None:
    hand.change = RuleChange(**{name: data[name] for name in RULE_FIELDS})


def _case_data(hand: Hand, data: Data) -> None:
    hand.data = CaseData.of(data)


def _joined(hand: Hand, data: Data) -> None:
    hand.joins.append(IslandJoin(data["island"], data["into"], data["dx_um"], data["dy_um"]))


def _scored(hand: Hand, data: Data) -> None:
    # `blind` and `before` are absent in cases of earlier versions
    hand.reader_score = ReaderScore(data["score"], data["remark"], data.get("blind", False))


def _ish(hand: Hand, data: Data) -> None:
    hand.ish = None if data["ish"] is None else Ish(data["ish"])


RULE_FIELDS = ("stained_od10", "moderate_od10", "intense_od10", "complete_share")
_TAKE: Mapping[EventKind, Callable[[Hand, Data], None]] = {
    EventKind.FIELD_ACCEPTED: _accepted,
    EventKind.FIELD_REMOVED: _removed,
    EventKind.FIELD_RESTORED: _accepted,
    EventKind.FIELD_ANNOTATED: _annotated,
    EventKind.CONTROL_READ: _control_read,
    EventKind.CELLS_CORRECTED: _corrected,
    EventKind.REGION_DRAWN: _drawn,
    EventKind.REGION_REMOVED: _region_removed,
    EventKind.RULE_CHANGED: _rule_changed,
    EventKind.CASE_DATA_ENTERED: _case_data,
    EventKind.ISLANDS_JOINED: _joined,
    EventKind.READER_SCORED: _scored,
    EventKind.ISH_ENTERED: _ish,
}
