"""What a tumour cell's membrane looks like, in the five classes of ASCO/CAP 2018 (affirmed 2023)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import reduce
from operator import add

from her2scope.domain.errors import BadInputError


class CellKind(StrEnum):
    """Tumour cells are counted; others (stroma, lymphocytes, normal ducts) are the case's own negatives."""

    TUMOUR = "tumour"
    OTHER = "other"


class CellClass(StrEnum):
    """Membrane staining of one tumour cell; the order below is from lowest to highest."""

    NONE = "none"
    INCOMPLETE_FAINT = "incomplete_faint"
    INCOMPLETE_INTENSE = "incomplete_intense"
    COMPLETE_MODERATE = "complete_moderate"
    COMPLETE_INTENSE = "complete_intense"

    @property
    def rank(self) -> int:
        """Place in the order `none` < ... < `complete_intense`."""
        return _RANK[self]

    @property
    def is_complete(self) -> bool:
        """Whether the membrane is stained all the way round."""
        return self in (CellClass.COMPLETE_INTENSE, CellClass.COMPLETE_MODERATE)


_RANK = {name: place for place, name in enumerate(CellClass)}

SHARE_ORDER = tuple(reversed(CellClass))
"""Order in which shares are shown and written: the most stained class first, as in arXiv 2110.12900."""


@dataclass(frozen=True, slots=True)
class StainCuts:
    """The three od10 cuts that part unstained, faint, moderate and intense membrane."""

    stained_od10: float = 0.15
    """Noise floor: a membrane weaker than this is not stained."""
    moderate_od10: float = 0.35
    """Parts faint / barely perceptible from weak to moderate."""
    intense_od10: float = 0.70
    """Parts moderate from intense; replaced by the 3+ control's own cut once a control was read."""

    def __post_init__(self) -> None:
        if not 0 < self.stained_od10 <= self.moderate_od10 <= self.intense_od10:
            raise BadInputError(
                f"stain cuts must rise: 0 < stained {self.stained_od10:g} <= moderate {self.moderate_od10:g} "
                f"<= intense {self.intense_od10:g} od10. Correct them in the settings file."
            )


@dataclass(frozen=True, slots=True)
class CellRule:
    """How much of an outline must carry stain for each class."""

    complete_share: float = 0.90
    """Least completeness of a complete membrane (gaps under 1 um are bridged before)."""
    intense_share: float = 0.75
    """Least share of the outline above the intense cut: CAP asks for *uniform* intense staining."""
    present_share: float = 0.10
    """Less of the outline than this is no membrane staining, but a speck."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not 0 <= value <= 1:
                raise BadInputError(f"{item.name} is a share from 0 to 1, not {value:g}. Correct it in the settings.")


@dataclass(frozen=True, slots=True)
class MembraneMeasure:
    """What was measured along one cell's own outline."""

    completeness: float
    """Share (0..1) of the outline that carries membrane stain."""
    intensity_od10: float
    """Median od10 of the stained places; 0 where none is."""
    intense_share: float
    """Share (0..1) of the outline above the intense cut."""
    uniform_od10: float = 0.0
    """od10 that three quarters of the whole outline reach; 0 where less than that is stained. A cell is intense up to
    this cut (CAP asks for *uniform* intense staining); 0 too where a method does not measure it."""
    uncertain: bool = False
    """Whether no place of it is stained beyond doubt. Such a faint cell counts like others, but does not by itself show
    that there is stain at all; False where a method does not tell."""


def classify(measure: MembraneMeasure, cuts: StainCuts, rule: CellRule) -> CellClass:
    """Class of a tumour cell from its membrane measure (ASCO/CAP 2018, table of design section 3)."""
    if measure.completeness < rule.present_share or measure.intensity_od10 < cuts.stained_od10:
        return CellClass.NONE
    if measure.completeness >= rule.complete_share:
        uniform_intense = measure.intense_share >= rule.intense_share and measure.intensity_od10 >= cuts.intense_od10
        return CellClass.COMPLETE_INTENSE if uniform_intense else CellClass.COMPLETE_MODERATE
    if measure.intensity_od10 >= cuts.moderate_od10:
        return CellClass.INCOMPLETE_INTENSE
    return CellClass.INCOMPLETE_FAINT


def why(measure: MembraneMeasure, cuts: StainCuts, rule: CellRule) -> tuple[str, ...]:
    """How `classify` came to its class: one sentence for each row of the table that decided, in its order."""
    completeness, od10 = measure.completeness, measure.intensity_od10
    cell_class = classify(measure, cuts, rule)
    if cell_class is CellClass.NONE:
        if completeness < rule.present_share:
            return (f"no membrane staining: {_of_outline(completeness, rule.present_share, 'stained')}",)
        return (f"no membrane staining: {_median(od10, cuts.stained_od10)}",)
    extent = "complete" if cell_class.is_complete else "incomplete"
    stained = f"{extent}: {_of_outline(completeness, rule.complete_share, 'stained')}"
    if not cell_class.is_complete:
        strength = "moderate to intense" if cell_class is CellClass.INCOMPLETE_INTENSE else "faint"
        return stained, f"{strength}: {_median(od10, cuts.moderate_od10)}"
    strength = "intense" if cell_class is CellClass.COMPLETE_INTENSE else "weak to moderate"
    above = f"above {cuts.intense_od10:.2f} od10"
    uniform = f"{strength}: {_of_outline(measure.intense_share, rule.intense_share, above)}"
    if measure.intense_share >= rule.intense_share and cell_class is CellClass.COMPLETE_MODERATE:
        uniform = f"{strength}: {_median(od10, cuts.intense_od10)}"
    return stained, uniform


def _of_outline(share: float, needed: float, what: str) -> str:
    found, least = _apart(100 * share, 100 * needed, 0)
    return f"{found} % of the outline is {what} (needed {least} %)"


def _median(od10: float, needed: float) -> str:
    found, least = _apart(od10, needed, 2)
    return f"the median of the stained places is {found} od10 (needed {least})"


def _apart(found: float, needed: float, digits: int) -> tuple[str, str]:
    """Both in so many digits that less than needed looks less."""
    for more in range(4):
        shown, least = (f"{value:.{digits + more}f}" for value in (found, needed))
        if found >= needed or shown != least:
            break
    return shown, least


@dataclass(frozen=True, slots=True)
class CellCounts:
    """Counted tumour cells per class, and the other cells beside them. Counts add, so order cannot matter."""

    complete_intense: int = 0
    complete_moderate: int = 0
    incomplete_intense: int = 0
    incomplete_faint: int = 0
    none: int = 0
    n_other: int = 0
    uncertain_faint: int = 0
    """Of the faint ones, those with no place that is stained beyond doubt (`MembraneMeasure.uncertain`)."""

    def __post_init__(self) -> None:
        if any(getattr(self, item.name) < 0 for item in fields(self)):
            raise BadInputError(f"cell counts cannot be negative: {self}.")
        if self.uncertain_faint > self.incomplete_faint:
            raise BadInputError(f"more uncertain faint cells than faint ones: {self}.")

    def __add__(self, more: CellCounts) -> CellCounts:
        return CellCounts(*(getattr(self, item.name) + getattr(more, item.name) for item in fields(self)))

    @staticmethod
    def of(classes: Iterable[CellClass | None], uncertain_faint: int = 0) -> CellCounts:
        """Count cells by class; None is a cell that is not tumour. Of measured cells: `records.class_counts`."""
        counts = dict.fromkeys((*CellClass, None), 0)
        for name in classes:
            counts[name] += 1
        n_other = counts.pop(None)
        by_class = {str(name): n for name, n in counts.items()}
        return CellCounts(**by_class, n_other=n_other, uncertain_faint=uncertain_faint)

    @staticmethod
    def total(many: Iterable[CellCounts]) -> CellCounts:
        """Sum over fields."""
        return reduce(add, many, CellCounts())

    def __getitem__(self, name: CellClass) -> int:
        return int(getattr(self, name.value))

    def sum_of(self, names: Iterable[CellClass]) -> int:
        """Cells in any of the classes `names`."""
        return sum(self[name] for name in names)

    @property
    def certain_faint(self) -> int:
        """Faint cells with a place that is stained beyond doubt."""
        return self.incomplete_faint - self.uncertain_faint

    @property
    def n_tumour(self) -> int:
        """All counted tumour cells."""
        return self.sum_of(CellClass)

    def shares_percent(self) -> Mapping[CellClass, float] | None:
        """Percentage of counted tumour cells in each class, summing to 100; None where there is no tumour cell."""
        if self.n_tumour == 0:
            return None
        return {name: 100.0 * self[name] / self.n_tumour for name in SHARE_ORDER}
