"""Annotations in the XML of ASAP (https://github.com/computationalpathologygroup/ASAP).

As ASAP's own reader does (`annotation/XmlRepository.cpp`), the class of an annotation is the group that it is part of,
and its places are sorted by `Order`. Splines are joined by straight lines, as its converter to masks does. Its viewer
lets the first pixel reach from 0 to 1, so half a pixel is taken off every place. (That converter asks for the pixel's
corner instead, half a pixel beside what was drawn.)

Areas of an exclusion group are cut out of the others: out of those of the group that it is part of, or out of all where
it stands alone. CAMELYON16 calls such groups `_2` (its README: "non-tumor areas which have been cut-out" of `_0` and
`_1`), others "Exclusion". CAMELYON17's `normal` is a class of its own here: name it after `metastases`, and it wins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np

from her2scope.annotations.drawn import DrawnPart, DrawnShape, Repairs, Ring, called, ring_of
from her2scope.annotations.errors import UnreadableAnnotationError

ROOT = "ASAP_Annotations"
EXCLUSION_GROUPS = ("exclusion", "exclusions", "exclude", "excluded", "hole", "holes")
"""Names of groups, in any case, whose areas are cut out."""
CAMELYON_GROUPS, CAMELYON_EXCLUSION = frozenset({"_0", "_1", "_2"}), "_2"
AREAS = ("Polygon", "Spline", "Rectangle")
MAX_POINTS = 20_000_000
MAX_DEPTH = 50
_NO_GROUP = ("", "None")
_ASAP = "Give the XML file that ASAP saves."


class _Refused(ValueError):
    """Why the file is refused, from within the parser."""


@dataclass(slots=True)
class _Item:
    """An annotation while its places are read."""

    number: int
    name: str
    kind: str
    group: str
    places: list[tuple[str | None, str | None, str | None]] = field(default_factory=list)
    """`Order`, `X` and `Y` of each."""

    @property
    def called(self) -> str:
        return called(self.number, self.name)


def read_asap(path: Path, repairs: Repairs, default_class: str) -> list[DrawnShape]:
    """Read an ASAP file; UnreadableAnnotationError where it is none."""
    reader = _Reader(repairs)
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    # Entities can grow without end, and ASAP writes none: a file that declares a document type is refused.
    parser.StartDoctypeDeclHandler = reader.refuse_doctype
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except expat.ExpatError as error:
        why = "the file is damaged or no XML"
        raise UnreadableAnnotationError(path, f"{why} (line {error.lineno}: {_reason(error)})", _ASAP) from None
    except _Refused as error:
        raise UnreadableAnnotationError(path, str(error), _ASAP) from None
    return _shapes(reader.items, reader.groups, default_class)


def _reason(error: expat.ExpatError) -> str:
    return str(expat.errors.messages.get(error.code, "not as XML is written"))


class _Reader:
    """What the parser calls. Elements that it does not know are passed over."""

    def __init__(self, repairs: Repairs) -> None:
        self.items: list[tuple[_Item, Ring]] = []
        self.groups: dict[str, str] = {}
        """Group that each group is part of; empty where none."""
        self._repairs = repairs
        self._item: _Item | None = None
        self._number = self._points = self._depth = 0

    def refuse_doctype(self, *_: object) -> None:
        """Called where the file declares a document type."""
        raise _Refused("the file declares a document type, which ASAP never writes")

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Called for each element that begins."""
        if name == "Coordinate":  # nearly always
            if self._item is not None:
                get = attributes.get
                self._item.places.append((get("Order"), get("X"), get("Y")))
                if self._points + len(self._item.places) > MAX_POINTS:
                    raise _Refused(f"the file has more than {MAX_POINTS} places")
            return
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _Refused(f"elements lie more than {MAX_DEPTH} deep in each other, which ASAP never writes")
        if name == "Annotation":
            self._begin(attributes)
        elif name == "Group":
            self.groups[attributes.get("Name", "").strip()] = _group_of(attributes)
        elif self._depth == 1 and name != ROOT:
            maker = ", perhaps of Aperio ImageScope" if name == "Annotations" else ""
            raise _Refused(f"the root of the file is <{name[:40]}>{maker}, not <{ROOT}>")

    def end(self, name: str) -> None:
        """Called for each element that ends."""
        if name == "Coordinate":
            return
        self._depth -= 1
        if name == "Annotation" and self._item is not None:
            item, self._item = self._item, None
            self._points += len(item.places)
            if item.kind in AREAS:
                self.items.append((item, _ring(item, self._repairs)))
            else:
                what = "a " + item.kind.lower() if item.kind else "of no kind"
                self._repairs.note("left out, no areas", f"{item.called}: is {what}, no area: left out")

    def _begin(self, attributes: Mapping[str, str]) -> None:
        if self._item is not None:
            raise _Refused(f"{self._item.called} has another annotation in it")
        self._number += 1
        self._item = _Item(
            self._number,
            attributes.get("Name", "").strip(),
            attributes.get("Type", "Polygon").strip(),
            _group_of(attributes),
        )


def _group_of(attributes: Mapping[str, str]) -> str:
    """Group that something is part of, without the blanks around its name; empty where none."""
    group = attributes.get("PartOfGroup", "").strip()
    return "" if group in _NO_GROUP else group


def _ring(item: _Item, repairs: Repairs) -> Ring:
    """Places of an annotation in their order."""
    orders, x_texts, y_texts = zip(*item.places, strict=True) if item.places else ((), (), ())
    x, y = _numbers(item, x_texts), _numbers(item, y_texts)
    if item.kind == "Rectangle" and len(x) == 2:
        repairs.note("rectangles of two corners", f"{item.called}: a rectangle of two corners: the others were added")
        return ring_of([(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])])
    ring = ring_of(np.column_stack([x, y]))
    order = _order(orders)
    if order is None:
        repairs.note(
            "places without a clear order",
            f"{item.called}: 'Order' is missing or given twice: the places were taken as they stand in the file",
        )
        return ring
    return ring[order]


def _order(texts: Sequence[str | None]) -> list[int] | None:
    """Places sorted by `Order`; None where that is missing, no number or given twice."""
    try:
        orders = [float(order) if order is not None else math.nan for order in texts]
    except ValueError:
        return None
    if any(map(math.isnan, orders)) or len(set(orders)) != len(orders):
        return None
    return sorted(range(len(orders)), key=orders.__getitem__)


def _numbers(item: _Item, texts: Sequence[str | None]) -> list[float]:
    """Numbers of texts; some countries write them with a comma."""
    try:
        return [float(text) for text in texts]  # type: ignore[arg-type]
    except (TypeError, ValueError):
        pass
    numbers = []
    for text in texts:
        try:
            numbers.append(float((text or "").replace(",", ".")))
        except ValueError:
            shown = repr(text[:40] if text else text)
            raise _Refused(f"{item.called}: a place is {shown}, which is no number") from None
    return numbers


def _shapes(items: list[tuple[_Item, Ring]], groups: Mapping[str, str], default_class: str) -> list[DrawnShape]:
    """Annotations, and what is cut out of them."""
    used = {item.group for item, _ in items}
    camelyon = used <= CAMELYON_GROUPS
    shapes = []
    for item, ring in items:
        cut_from = None
        if item.group.lower() in EXCLUSION_GROUPS or (camelyon and item.group == CAMELYON_EXCLUSION):
            parent = groups.get(item.group, "")
            cut_from = {group for group in used if parent in _lineage(group, groups)} if parent else set()
        shapes.append(
            DrawnShape(item.number, item.name, item.group or default_class, (DrawnPart(ring),), cut_from=cut_from)
        )
    return shapes


def _lineage(group: str, groups: Mapping[str, str]) -> list[str]:
    """A group, the one that it is part of, and so on; groups may point at each other in a circle."""
    found: list[str] = []
    while group and group not in found:
        found.append(group)
        group = groups.get(group, "")
    return found
