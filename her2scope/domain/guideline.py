"""Guidelines as tables: cell shares to a score, with the reason in words. A later guideline is a new table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.errors import NotAvailableError
from her2scope.domain.false_cells import FalseRates

Score = str
"""`"0"`, `"1+"`, `"2+"` or `"3+"`; kept as the printed text, since only its order is ever computed with."""

SCORES: tuple[Score, ...] = ("0", "1+", "2+", "3+")


class Category(StrEnum):
    """What the score means for treatment."""

    NULL = "null"
    ULTRALOW = "ultralow"
    LOW = "low"
    EQUIVOCAL = "equivocal"
    POSITIVE = "positive"
    UNDETERMINED = "undetermined"


class Ish(StrEnum):
    """Result of in situ hybridisation as the reader entered it; the program never assumes one."""

    NEGATIVE = "negative"
    POSITIVE = "positive"


STAINED = tuple(name for name in CellClass if name is not CellClass.NONE)
MODERATE_OR_MORE = (CellClass.COMPLETE_INTENSE, CellClass.COMPLETE_MODERATE, CellClass.INCOMPLETE_INTENSE)
COMPLETE = (CellClass.COMPLETE_INTENSE, CellClass.COMPLETE_MODERATE)
INTENSE = (CellClass.COMPLETE_INTENSE,)
FAINT = (CellClass.INCOMPLETE_FAINT,)

Above = Callable[[tuple[CellClass, ...], float], float]
"""Probability that the true share of some classes together is greater than a share (0..1)."""
Some = Callable[[tuple[CellClass, ...]], float]
"""Least share (0..1) of some classes together that is more than noise in the case at hand."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A score by a guideline, before anything about control, scale or interval."""

    score: Score
    category: Category
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Guideline:
    """A table that maps shares of cell classes to a score."""

    name: str
    source: str
    """Citation printed in the report."""
    min_percent: float
    """Share of tumour cells that a pattern must exceed, in percent."""
    find: Callable[[Guideline, CellCounts, FalseRates], Finding]
    probabilities: Callable[[Guideline, Above, Some], Mapping[Score, float]]
    """Probability of each score: the rows of `find`, asked of true shares that are not known for certain."""

    def exceeds(self, counts: CellCounts, names: tuple[CellClass, ...]) -> bool:
        """Whether the classes `names` together make up more than `min_percent` of the tumour cells."""
        return 100 * counts.sum_of(names) > self.min_percent * counts.n_tumour


def pattern_words(names: tuple[CellClass, ...]) -> str:
    """What classes taken together are called."""
    words = {MODERATE_OR_MORE: "moderate or more", STAINED: "stained", COMPLETE: "complete"}
    return words.get(names) or " + ".join(name.value.replace("_", " ") for name in names)


def _percent(counts: CellCounts, names: tuple[CellClass, ...]) -> str:
    return f"{100 * counts.sum_of(names) / counts.n_tumour:.1f} %"


def _find_breast(table: Guideline, counts: CellCounts, false: FalseRates) -> Finding:
    """Breast, ASCO/CAP 2018 affirmed 2023, in the order of design section 3."""
    limit = f"{table.min_percent:g} %"
    if table.exceeds(counts, INTENSE):
        why = f"complete intense membrane in {_percent(counts, INTENSE)} of tumour cells (> {limit})"
        return Finding("3+", Category.POSITIVE, (why,))
    if table.exceeds(counts, MODERATE_OR_MORE):
        share = _percent(counts, MODERATE_OR_MORE)
        reasons = [
            f"weak to moderate complete, or moderate to intense, membrane in {share} of tumour cells (> {limit})"
        ]
        if not table.exceeds(counts, COMPLETE):
            share = _percent(counts, (CellClass.INCOMPLETE_INTENSE,))
            reasons.append(f"the incomplete intense part carries it: {share} incomplete, moderate to intense")
        if false.is_real(counts, INTENSE):
            reasons.append(f"complete intense membrane in {_percent(counts, INTENSE)} (<= {limit})")
        return Finding("2+", Category.EQUIVOCAL, tuple(reasons))
    if false.is_real(counts, INTENSE):
        why = f"heterogeneous: complete intense membrane in {_percent(counts, INTENSE)} of tumour cells (<= {limit})"
        return Finding("2+", Category.EQUIVOCAL, (why,))
    if table.exceeds(counts, STAINED):
        why = f"faint or incomplete membrane in {_percent(counts, STAINED)} of tumour cells (> {limit})"
        if false.is_real(counts, STAINED):
            return Finding("1+", Category.LOW, (why,))
        doubt = "no more than this method calls stained by mistake: second reader"
        return Finding("1+", Category.UNDETERMINED, (why, doubt))
    if false.is_real(counts, MODERATE_OR_MORE):
        why = (
            f"complete or moderate membrane in {_percent(counts, MODERATE_OR_MORE)} of tumour cells (<= {limit}): "
            "pattern not defined by the guideline: second reader"
        )
        return Finding("0", Category.UNDETERMINED, (why,))
    return _find_faint(counts, limit, false)


def _find_faint(counts: CellCounts, limit: str, false: FalseRates) -> Finding:
    """Category of a 0 without moderate staining: faint cells show it beyond doubt, or are too few, or are noise."""
    n_stained = counts.sum_of(STAINED)
    if false.is_faint_beyond_doubt(counts):
        why = f"faint incomplete membrane in {_percent(counts, FAINT)} of tumour cells (<= {limit})"
        if counts.uncertain_faint:
            why += f", beyond doubt in {counts.certain_faint} of these {counts.incomplete_faint} cells"
        return Finding("0", Category.ULTRALOW, (why,))
    if false.is_real(counts, FAINT):
        sure = counts.certain_faint
        why = f"{counts.incomplete_faint} faint cells, more than noise, but {sure} of them beyond doubt: second reader"
        return Finding("0", Category.UNDETERMINED, (why,))
    if false.is_real(counts, STAINED):
        why = f"{n_stained} stained cells, too few of each class: second reader"
        return Finding("0", Category.UNDETERMINED, (why,))
    why = "no membrane staining"
    if n_stained:
        why += (
            f" beyond noise: {n_stained} of {counts.n_tumour} cells, no more than this method calls stained by mistake"
        )
    return Finding("0", Category.NULL, (why,))


def _breast_probabilities(table: Guideline, above: Above, some: Some) -> Mapping[Score, float]:
    """Probability of each score, as `_find_breast` has them.

    Whether there is some complete intense staining is taken as independent of the larger shares beside it: it matters
    only where it is a small part of them.
    """
    cut = table.min_percent / 100
    no_intense = 1 - above(INTENSE, some(INTENSE))
    at_least_3 = above(INTENSE, cut)
    at_least_2 = max(at_least_3, 1 - no_intense * (1 - above(MODERATE_OR_MORE, cut)))
    at_least_1 = max(at_least_2, 1 - no_intense * (1 - above(STAINED, cut)))
    return {"0": 1 - at_least_1, "1+": at_least_1 - at_least_2, "2+": at_least_2 - at_least_3, "3+": at_least_3}


BREAST_2023 = Guideline(
    name="breast-2023",
    source="Wolff et al., ASCO/CAP HER2 testing in breast cancer, focused update 2018, affirmed 2023 "
    "(Arch Pathol Lab Med 147:993-1000)",
    min_percent=10.0,
    find=_find_breast,
    probabilities=_breast_probabilities,
)
GUIDELINES = {table.name: table for table in (BREAST_2023,)}


def guideline(name: str) -> Guideline:
    """Guideline table of that name; NotAvailableError for one that this version does not have."""
    try:
        return GUIDELINES[name]
    except KeyError:
        raise NotAvailableError("guideline", name, sorted(GUIDELINES)) from None
