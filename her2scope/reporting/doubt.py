"""How sure the reference score is, in words: the probability of each score, what would settle it, and hot spots."""

from __future__ import annotations

from collections.abc import Mapping

from her2scope.domain.heterogeneity import HotSpot
from her2scope.domain.score import MAX_FURTHER_FIELDS, MAX_LOW_END_UM_PER_PX
from her2scope.domain.score_sentence import rounded_down, whole
from her2scope.records import CaseView
from her2scope.reporting import words


def probability_text(view: CaseView) -> str:
    """Probability of each score in one line, of 0 and 1+ together where the scale does not part them."""
    found = view.score.score_probability
    if not found:
        return ""
    if view.um_per_px is not None and view.um_per_px > MAX_LOW_END_UM_PER_PX:
        found = {"0 or 1+": found["0"] + found["1+"], "2+": found["2+"], "3+": found["3+"]}
    return "Probability of each score: " + " \u00b7 ".join(f"{name}: {chance(value)}" for name, value in found.items())


def chance(probability: float) -> str:
    """Probability to two decimals, never rounded to certainty."""
    if probability < 0.01:
        return "< 0.01"
    return "> 0.99" if probability > 0.99 else rounded_down(probability)


def settle_text(view: CaseView) -> str:
    """How many more fields would settle a borderline score; empty where it is not borderline."""
    score = view.score
    if not score.borderline:
        return ""
    if score.further_fields is None:
        return f"not settled by {MAX_FURTHER_FIELDS} further fields"
    cells = "" if score.further_cells is None else f" ({whole(score.further_cells)} cells)"
    return f"{words.count(score.further_fields, 'further field')} like these{cells} would settle it"


def hot_spots(view: CaseView) -> Mapping[int, HotSpot]:
    """Hot spots of the case by the number of their field."""
    found = view.score.heterogeneity
    return {} if found is None else {spot.number: spot for spot in found.hot_spots}
