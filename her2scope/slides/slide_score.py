"""From the cells of a slide to its score: squares of tissue take the place of the fields of a case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellClass, CellCounts, StainCuts
from her2scope.domain.control import CutsFrom
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.guideline import COMPLETE, FAINT, INTENSE, MODERATE_OR_MORE, STAINED, Category, Guideline
from her2scope.domain.intervals import share_interval
from her2scope.domain.score import MIN_CASE_CELLS, CaseScore, ControlStanding, ControlStatus, score_case
from her2scope.records import ControlReading, ProgramInfo
from her2scope.slides.records import (
    CLASS_CODES,
    NO_CLASS,
    HotSpot,
    ScoredSquare,
    SlideCells,
    SlideScore,
    Square,
    Survey,
)

SQUARE_UM = 500.0
"""Side of a square: half a field of a 20x objective, a few hundred tumour cells. Cells within it are alike, as those of
a field are, and a hot spot of it can be shown."""
MAX_DOUBTED_PERCENT = 5.0
"""Tumour cells in tiles of which the method is in doubt, from which on the slide is: half of the guideline's 10 %, so
that what is doubted cannot carry a score by itself."""
UNSTAINED = "no DAB seen and no control read: an unstained or failed slide looks the same"
INTERVAL_SCOPE = (
    f"Intervals and probabilities take cells within squares of {SQUARE_UM / 1000:g} mm for alike. They hold for tissue "
    "like what was counted; a wrong control or stain, cells that the method misreads, and tumour in situ that was not "
    "left out, are not in them."
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a score is made by."""

    guideline: Guideline
    false_rates: FalseRates
    min_cells: int = MIN_CASE_CELLS
    settings_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Controlled:
    """What the controls of a slide say, and the cuts that they give."""

    readings: tuple[ControlReading, ...]
    standing: ControlStanding
    cuts: StainCuts
    cuts_from: CutsFrom


class Doubts:
    """Counts the tumour cells of tiles in which the method is in doubt. Tiles may come in any order."""

    def __init__(self) -> None:
        self._n_all = 0
        self._n_doubted: dict[str, int] = {}
        self._n_tiles: dict[str, int] = {}

    def add(self, n_tumour: int, doubts: Sequence[str]) -> None:
        """Let a tile count."""
        self._n_all += n_tumour
        for doubt in set(doubts):
            self._n_doubted[doubt] = self._n_doubted.get(doubt, 0) + n_tumour
            self._n_tiles[doubt] = self._n_tiles.get(doubt, 0) + 1

    def told(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Why the slide is not reportable, and what is only to be known, in words."""
        refusals: list[str] = []
        notes: list[str] = []
        for doubt in sorted(self._n_tiles):
            percent = 100.0 * self._n_doubted[doubt] / max(1, self._n_all)
            words = f"{doubt} ({self._n_tiles[doubt]} tiles with {percent:.1f} % of the tumour cells)"
            (refusals if percent > MAX_DOUBTED_PERCENT else notes).append(words)
        return tuple(refusals), tuple(notes)


def scored_squares(cells: SlideCells, side_um: float = SQUARE_UM) -> tuple[ScoredSquare, ...]:
    """Squares of a fixed grid with their cells; a cell lies in the square that holds the middle of its nucleus."""
    counted = np.flatnonzero(cells.within)
    if not len(counted):
        return ()
    column, row = (np.floor(place[counted] / side_um).astype(np.int64) for place in (cells.x_um, cells.y_um))
    places, of_cell = np.unique(np.stack([row, column], axis=1), axis=0, return_inverse=True)
    of_square, n = of_cell.reshape(-1), len(places)
    table = _class_table(of_square, cells.class_code[counted], n)
    uncertain = np.bincount(of_square[cells.is_uncertain_faint[counted]], minlength=n)
    return tuple(
        ScoredSquare(
            number, float(left) * side_um, float(top) * side_um, side_um,
            counts_of(table[number - 1], int(uncertain[number - 1])),
        )
        for number, (top, left) in enumerate(places, start=1)
    )  # fmt: skip


def _class_table(of_cell: NDArray[np.intp], codes: NDArray[np.uint8], n: int) -> NDArray[np.intp]:
    """`(n, 6)` cells of each class in each square, those that are no tumour last."""
    kinds = len(CLASS_CODES) + 1
    kind = np.where(codes == NO_CLASS, kinds - 1, codes).astype(np.intp)
    return np.bincount(of_cell * kinds + kind, minlength=n * kinds).reshape(n, kinds)


def counts_of(row: NDArray[np.intp], uncertain_faint: int = 0) -> CellCounts:
    """Counts from one number per class of `CLASS_CODES`, and one of the cells that are no tumour."""
    by_class = {name.value: int(n) for name, n in zip(CLASS_CODES, row[:-1], strict=True)}
    return CellCounts(**by_class, n_other=int(row[-1]), uncertain_faint=uncertain_faint)


def score_slide(
    survey: Survey,
    cells: SlideCells,
    controlled: Controlled,
    rules: Rules,
    program: ProgramInfo,
    n_tiles: int,
    refusals: Iterable[str] = (),
    notes: Iterable[str] = (),
) -> SlideScore:
    """Score of a slide, by the same rules as a case.

    Parameters
    ----------
    refusals : why the score may not be reported, beside the control
    notes : what a reader should know
    """
    squares = scored_squares(cells)
    standing = replace(controlled.standing, refusals=(*controlled.standing.refusals, *refusals))
    fields = [square.counts for square in squares]
    case = score_case(
        fields, rules.guideline, rules.false_rates, survey.scale.um_per_px, standing, min_cells=rules.min_cells,
        numbers=[square.number for square in squares],
    )  # fmt: skip
    if _nothing_seen(fields, case, standing, rules.false_rates):
        case = _unscored(case, UNSTAINED)
    hits, totals = [one.sum_of(COMPLETE) for one in fields], [one.n_tumour for one in fields]
    interval = share_interval(hits, totals)
    return SlideScore(
        survey=survey,
        case=of_squares(case),
        standing=controlled.standing,  # what else forbids a report is no fault of the control
        cuts=controlled.cuts,
        cuts_from=controlled.cuts_from,
        complete_percent=100.0 * sum(hits) / sum(totals) if sum(totals) else None,
        complete_interval95_percent=None if interval is None else (100.0 * interval[0], 100.0 * interval[1]),
        hot_spots=_hot_spots(case, squares),
        counted_mm2=survey.tissue.area_mm2(Square.TISSUE),
        n_tiles=n_tiles,
        program=program,
        notes=(*survey.notes, *notes),
        controls=controlled.readings,
        squares=squares,
        guideline=rules.guideline.name,
        settings_sha256=rules.settings_sha256,
    )


def refused_slide(survey: Survey, rules: Rules, program: ProgramInfo, notes: Iterable[str] = ()) -> SlideScore:
    """A slide in which no cell is looked for, and no control read: its survey says why it cannot be scored."""
    why = survey.refusals
    case = CaseScore(
        None, Category.UNDETERMINED, False, CellCounts(), None, None, False, why, why, sentence=f"No score: {why[0]}"
    )
    return SlideScore(
        survey, case, ControlStanding(), StainCuts(), CutsFrom.SETTINGS, None, None, (), 0.0, 0, program,
        (*survey.notes, *notes),
        guideline=rules.guideline.name, settings_sha256=rules.settings_sha256,
    )  # fmt: skip


def _nothing_seen(fields: Sequence[CellCounts], case: CaseScore, standing: ControlStanding, false: FalseRates) -> bool:
    """Whether no staining beyond noise was found and no control shows that there could have been some."""
    if case.score is None or standing.status is not ControlStatus.ABSENT:
        return False
    total, rates = CellCounts.total(fields), false.over(fields)
    patterns = (STAINED, FAINT, MODERATE_OR_MORE, INTENSE)
    return not (any(rates.is_real(total, pattern) for pattern in patterns) or rates.is_faint_beyond_doubt(total))


def _unscored(case: CaseScore, why: str) -> CaseScore:
    """The counts of a case without a score, and why it has none."""
    return replace(
        case, score=None, category=Category.UNDETERMINED, reportable=False, borderline=False, score_probability=None,
        further_fields=None, further_cells=None, sentence=f"No score: {why}",
        reasons=(why, *case.blocking), blocking=(why, *case.blocking),
    )  # fmt: skip


_FIELD = re.compile(r"\bfield(s?)\b")


def of_squares(case: CaseScore) -> CaseScore:
    """The same score in the words of a slide, which has squares where a case has fields."""

    def told(texts: Sequence[str]) -> tuple[str, ...]:
        return tuple(_FIELD.sub(r"square\1", text) for text in texts)

    return replace(
        case, reasons=told(case.reasons), blocking=told(case.blocking), sentence=_FIELD.sub(r"square\1", case.sentence)
    )


def _hot_spots(case: CaseScore, squares: Sequence[ScoredSquare]) -> tuple[HotSpot, ...]:
    """The squares that exceed the guideline's cut while the rest of the slide does not, the hottest first."""
    if case.heterogeneity is None or case.score is None:
        return ()
    by_number: Mapping[int, ScoredSquare] = {square.number: square for square in squares}
    found = []
    for spot in case.heterogeneity.hot_spots:
        square = by_number[spot.number]
        half = square.side_um / 2
        words = _FIELD.sub(r"square\1", str(spot)).removeprefix("hot spot: ")
        found.append(
            HotSpot(square.left_um + half, square.top_um + half, square.side_um, square.counts, spot.number, words)
        )
    return tuple(found)


WEIGHTS: Mapping[CellClass, float] = {
    CellClass.NONE: 0.0,
    CellClass.INCOMPLETE_FAINT: 1.0,
    CellClass.INCOMPLETE_INTENSE: 2.0,
    CellClass.COMPLETE_MODERATE: 2.0,
    CellClass.COMPLETE_INTENSE: 3.0,
}
"""How much a cell weighs in the map of all staining: a way to see faint parts, and no score."""


def mean_weight(counts: CellCounts) -> float:
    """Mean weight (0 to 3) of the staining of some tumour cells; 0 where there is none."""
    return sum(WEIGHTS[name] * counts[name] for name in CellClass) / max(1, counts.n_tumour)
