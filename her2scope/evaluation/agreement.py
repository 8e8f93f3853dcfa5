"""Whether two builds of one method (int8 and fp32) call the same cells of the same pictures the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from her2scope.evaluation.matching import Bounds, TrueNuclei, match_nuclei
from her2scope.evaluation.reading import centres_of
from her2scope.evaluation.table import Figure, PartReport, not_measured, percent_at_least
from her2scope.evaluation.work import Tell
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.records import FieldResult, Frame

ON, NAME = "int8 against fp32", "same class, of all cells found by either"
SAME_CELL_UM = 3.0
LEAST_SAME_PERCENT = 99.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """Cells of two readings of the same pictures."""

    same: int = 0
    """In both, of one kind and class."""
    other_class: int = 0
    only_one: int = 0
    """Found in one of the two; each such cell counts once."""

    def __add__(self, more: Agreement) -> Agreement:
        return Agreement(self.same + more.same, self.other_class + more.other_class, self.only_one + more.only_one)

    @property
    def same_share(self) -> float | None:
        """Share (0..1) of all cells found by either that both call the same; None where there is no cell."""
        n = self.same + self.other_class + self.only_one
        return self.same / n if n else None


def compare_analysers(first: FieldAnalyser, second: FieldAnalyser, frames: Iterable[Frame]) -> Agreement:
    """Read pictures twice with the default cuts, and compare cell by cell."""
    total = Agreement()
    for frame in frames:
        total += compare_results(first.analyse(frame, first.default_cuts), second.analyse(frame, second.default_cuts))
    return total


def compare_results(first: FieldResult, second: FieldResult) -> Agreement:
    """Compare two readings of one picture: cells whose centres are within 3 um are the same, one to one."""
    xy_px, n = centres_of(first.cells), len(first.cells)
    truth = TrueNuclei(xy_px, np.full(n, SAME_CELL_UM / first.frame.um_per_px), np.ones(n, bool))
    everywhere = Bounds(-np.inf, -np.inf, np.inf, np.inf, 0.0)
    matching = match_nuclei(centres_of(second.cells), truth, everywhere)
    pairs = zip(matching.found.tolist(), matching.true.tolist(), strict=True)
    same = sum(second.cells[found].cell_class == first.cells[true].cell_class for found, true in pairs)
    tally = matching.tally
    return Agreement(same, tally.hits - same, tally.missed + tally.false)


def evaluate_agreement(
    twins: Mapping[str, tuple[FieldAnalyser, FieldAnalyser] | None], frames: Sequence[Frame], tell: Tell
) -> Mapping[str, PartReport]:
    """Compare the int8 and the fp32 build of each method that has both, on the same pictures."""
    reports = {}
    for method, both in twins.items():
        if both is None:
            figure = not_measured(ON, NAME, "no two builds to compare", f"at least {LEAST_SAME_PERCENT:g} %")
            reports[method] = PartReport((figure,))
            continue
        found = compare_analysers(*both, frames)
        reports[method] = PartReport((agreement_figure(found),), asdict(found) | {"same_share": found.same_share})
        tell(f"agreement: {method}, {len(frames)} fields")
    return reports


def agreement_figure(found: Agreement) -> Figure:
    """Row of the table."""
    n = found.same + found.other_class + found.only_one
    remark = f"{n} cells, {found.only_one} found by one of them only"
    return percent_at_least(ON, NAME, found.same_share, LEAST_SAME_PERCENT, remark)
