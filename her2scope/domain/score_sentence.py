"""One plain sentence for a case: its score, how sure that is, the share that decides it, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.guideline import (
    INTENSE,
    MODERATE_OR_MORE,
    STAINED,
    Category,
    Guideline,
    Score,
    pattern_words,
)
from her2scope.domain.score_probability import CaseBeliefs

VERY_LIKELY = 0.95
LIKELY = 0.80
INTERVAL_SCOPE = (
    "Intervals and probabilities hold for tissue like the accepted fields, which the reader chose; "
    "cells that the method misreads are not in them."
)


def score_sentence(
    score: Score,
    counts: CellCounts,
    beliefs: CaseBeliefs,
    table: Guideline,
    probability: Mapping[Score, float],
    category: Category,
    separable: bool,
) -> str:
    """Sentence such as `2+ is likely (0.93); 41 ± 6 % complete moderate; 12 fields, 3 140 cells`.

    `separable` is whether the scale parts 0 from 1+; where it does not, the sentence speaks of both as one.
    """
    verdict = _verdict(score, probability, separable)
    if separable and category is Category.UNDETERMINED:
        verdict += ", its category undetermined"
    shown = _share(counts, beliefs, deciding_pattern(score, counts, table))
    return "; ".join([verdict, shown, basis_words(beliefs)])


def deciding_pattern(score: Score, counts: CellCounts, table: Guideline) -> tuple[CellClass, ...]:
    """Classes whose share decides the score: the one class that does it alone, or those that do it together."""
    if score == "3+" or (score == "2+" and not table.exceeds(counts, MODERATE_OR_MORE)):
        return INTENSE
    together = MODERATE_OR_MORE if score == "2+" else STAINED
    alone = [(name,) for name in together if table.exceeds(counts, (name,))]
    return max(alone, key=counts.sum_of, default=together)


def basis_words(beliefs: CaseBeliefs) -> str:
    """Fields with tumour cells, and how many cells they hold."""
    n_fields, n = beliefs.n_fields, beliefs.n
    return f"{n_fields} field{'s' * (n_fields != 1)}, {whole(n)} cell{'s' * (n != 1)}"


def whole(n: int) -> str:
    """Whole number, its thousands parted by a space at which no line breaks."""
    return f"{n:,}".replace(",", "\N{NO-BREAK SPACE}")


def _verdict(score: Score, probability: Mapping[Score, float], separable: bool) -> str:
    if not separable and score in ("0", "1+"):
        either = probability["0"] + probability["1+"]
        return f"0 or 1+ ({_chance(either)}), not separable at this scale"
    sure = probability[score]
    if sure >= LIKELY:
        return f"{score} is {'very likely' if sure >= VERY_LIKELY else 'likely'} ({_chance(sure)})"
    other = max((name for name in probability if name != score), key=lambda name: probability[name])
    return f"{score} is uncertain ({_chance(sure)}), {other} is possible ({_chance(probability[other])})"


def _chance(probability: float) -> str:
    """Probability in words where it is all but sure."""
    if probability > 0.99:
        return "over 0.99"
    return "under 0.01" if probability < 0.01 else rounded_down(probability)


def rounded_down(probability: float) -> str:
    """Probability to two decimals, never rounded up: 0.949 is not 0.95."""
    return f"{math.floor(100 * probability + 1e-9) / 100:.2f}"


def _share(counts: CellCounts, beliefs: CaseBeliefs, names: tuple[CellClass, ...]) -> str:
    share = 100 * counts.sum_of(names) / counts.n_tumour
    low, high = beliefs.interval_percent(names) or (0.0, 100.0)
    decimals = 0 if share >= 20 else 1  # nearer to the cut of 10 % every tenth matters
    below, above = share - low, high - share
    if min(below, above) < 0.7 * max(below, above):  # one end is far nearer than the other: both are told
        shown = f"{share:.{decimals}f} % ({low:.{decimals}f} to {high:.{decimals}f} %)"
    else:
        shown = f"{share:.{decimals}f} \u00b1 {max(below, above):.{decimals}f} %"
    return f"{shown} {pattern_words(names)}"
