"""Figures and findings as the window words them. Pure functions, so that every line of it can be tested."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from her2scope.domain.cells import CellClass
from her2scope.domain.control import ControlVerdict
from her2scope.domain.control_material import ANCHOR_LEVEL, ControlMaterial, open_ends
from her2scope.domain.corrections import RuleInForce
from her2scope.domain.guideline import Category, Finding, Score
from her2scope.domain.score import ControlStanding, ControlStatus, TooFewCells
from her2scope.domain.score_sentence import rounded_down
from her2scope.overlays.palette import LABELS
from her2scope.records import AcceptedField, CaseView, ControlReading, FieldResult, MapView, ReaderScore
from her2scope.settings import Calibration, missing_parts

SHORT_LABELS = {
    CellClass.COMPLETE_INTENSE: "Complete, intense",
    CellClass.COMPLETE_MODERATE: "Complete, moderate",
    CellClass.INCOMPLETE_INTENSE: "Incomplete, intense",
    CellClass.INCOMPLETE_FAINT: "Incomplete, faint",
    CellClass.NONE: "No membrane stain",
}
"""Class names for narrow places; the full ones (`overlays.palette.LABELS`) stand in the tool tips."""

STATUS_SYMBOLS = {
    ControlStatus.VALID: "\N{CHECK MARK}",
    ControlStatus.WARNING: "!",
    ControlStatus.INVALID: "\N{MULTIPLICATION X}",
    ControlStatus.ABSENT: "\N{EN DASH}",
}
STATUS_ROLES = {
    ControlStatus.VALID: "good",
    ControlStatus.WARNING: "warning",
    ControlStatus.INVALID: "bad",
    ControlStatus.ABSENT: "warning",
}
LEVEL_WORDS: dict[Score, str] = {"0": "negative (0)"}
"""What a reader calls a level of a control, where that is not its score."""
CATEGORY_WORDS = {
    Category.NULL: "HER2 null",
    Category.ULTRALOW: "HER2 ultralow",
    Category.LOW: "HER2 low",
    Category.EQUIVOCAL: "equivocal",
    Category.POSITIVE: "HER2 positive",
    Category.UNDETERMINED: "undetermined",
}

NOT_ENTERED = "not entered"
MOVED_CUTS = "moved cuts"
"""Stands beside every score of a field that is by cuts the reader moved."""
INDETERMINATE = "indeterminate"
HIDDEN_SCORE = "Own score first: enter yours (S), then the reference score is shown."
"""Stands for all that would give the computed score away."""


def percent_text(percent: float) -> str:
    """Share with one decimal; `< 0.1 %` where rounding would say that there are none."""
    if 0 < percent < 0.05:
        return "< 0.1 %"
    return f"{percent:.1f} %"


def probability_text(probability: float) -> str:
    """Probability with two decimals; neither sure nor impossible where it is only rounded so."""
    if probability > 0.99:
        return ">\N{NO-BREAK SPACE}0.99"
    return "<\N{NO-BREAK SPACE}0.01" if probability < 0.01 else rounded_down(probability)


def count_text(n: int, one: str, many: str) -> str:
    """`1 cell`, `2 cells`."""
    return f"{n} {one if n == 1 else many}"


def utc_text(at_utc: str) -> str:
    """Time as a person reads it: `2025-03-04 09:31 UTC`."""
    return f"{at_utc[: len('2025-03-04T09:31')].replace('T', ' ')} UTC"


def capitalised(text: str) -> str:
    """Text with a capital first letter, unless its first word is no word (a file name, `3+`)."""
    first = text.split(" ", 1)[0].rstrip(":,;")
    return text[:1].upper() + text[1:] if first.isalpha() else text


def sentence(text: str) -> str:
    """A reason as a line of its own: capital first letter, classes in words, no break between figure and sign."""
    for name, words in LABELS.items():
        if "_" in name.value:
            text = text.replace(name.value, words[:1].lower() + words[1:])
    text = text.replace("<= ", "\N{LESS-THAN OR EQUAL TO}\N{NO-BREAK SPACE}").replace("> ", ">\N{NO-BREAK SPACE}")
    text = text.replace(" %", "\N{NO-BREAK SPACE}%").replace(" od10", "\N{NO-BREAK SPACE}od10")
    return capitalised(text)


def field_score_text(result: FieldResult) -> str:
    """Reference score of one field, or why it has none."""
    match result.finding:
        case Finding(score=score):
            return f"Reference score {score}"
        case TooFewCells(n_tumour=n, needed=needed):
            return f"No score: {n} of at least {needed} cells"
        case _:
            return "Not scored: " + ("; ".join(result.quality.reasons) or "unusable")


def standing_text(standing: ControlStanding) -> str:
    """What the legend says of the control; empty where there is nothing to say."""
    if standing.status is ControlStatus.ABSENT:
        return "No control: not reportable"
    if standing.status is ControlStatus.INVALID:
        return "Control invalid, overridden" if standing.overridden else "Control invalid: not reportable"
    return "Control does not hold here" if standing.refusals else ""


def field_caption(field: AcceptedField, *, hidden: bool = False, hot: bool = False, moved: bool = False) -> str:
    """First line of a field in the list; `hidden`: without its score, `hot`: it is a hot spot of the case.

    `moved`: its score is by cuts that the reader moved.
    """
    name = f"Field {field.number}"
    if hidden:
        return name
    caption = f"{name}:  {field.result.score or 'no score'}{f' ({MOVED_CUTS})' if moved else ''}"
    return f"{caption}, hot spot" if hot else caption


def field_detail(field: AcceptedField, *, short: bool = False) -> str:
    """Second line: how many cells count, and what of it was counted before, corrected or swept."""
    cells = ("cell", "cells") if short else ("tumour cell", "tumour cells")
    text = count_text(field.counts.n_tumour, *cells)
    if not field.active:
        return f"removed, {text}"
    before = field.n_seen_before
    more = (
        (before, f"{before} before" if short else f"{before} counted before"),
        (field.n_corrected, f"{field.n_corrected} corrected"),
        (field.swept, "swept"),
    )
    return ", ".join([text, *(words for is_so, words in more if is_so)])


def field_words(field: AcceptedField, *, hidden: bool = False, hot: bool = False, moved: bool = False) -> str:
    """All of a field in one line, for tool tips and screen readers."""
    remark = f": {field.annotation}" if field.annotation else ""
    return f"{field_caption(field, hidden=hidden, hot=hot, moved=moved)}, {field_detail(field)}{remark}"


def verdict_title(verdict: ControlVerdict) -> str:
    """Badge of a control: symbol and word."""
    return f"{STATUS_SYMBOLS[verdict.status]}  {verdict.status.value.upper()}"


def reading_text(reading: ControlReading) -> str:
    """What was read from a control field, in one line."""
    measures = reading.measures
    cells = count_text(measures.n_tumour, "cell", "cells")
    text = f"{reading.expected} control reads {measures.read or 'no score'}; {cells}"
    if measures.intense_od10 is not None and reading.expected == ANCHOR_LEVEL:
        text += f"; intense cut {measures.intense_od10:.2f} od10"
    return text


def sufficient_levels(view: CaseView) -> list[Score]:
    """Levels whose latest reading is not invalid."""
    latest = {reading.expected: reading.verdict.status for reading in view.controls}
    return [level for level, status in latest.items() if status is not ControlStatus.INVALID]


def next_step_text(material: ControlMaterial, level: Score | None, *, failed: bool = False) -> str:
    """Which level of the control to show next; `failed`: its last reading was invalid."""
    if level is None:
        return f"Every level is read ({material.name}). Go on with the case: F3."
    known = material.levels[level]
    where = ", ".join(filter(None, (material.name, known.tissue, known.where)))
    control = f"{LEVEL_WORDS.get(level, level)} control ({where})"
    place = f"level {material.order.index(level) + 1} of {len(material.order)}"
    return f"{'Again' if failed else 'Next'}, {place}: show the {control} and press Space."


def open_ends_text(read: Sequence[Score]) -> str:
    """What the levels that were read cannot vouch for, a line each under a heading; empty where nothing is open."""
    ends = open_ends(read)
    lines = [f"\N{BULLET} {sentence(end)}" for end in ends]
    return "\n".join(["Not vouched for so far", *lines]) if ends else ""


def score_title(score: Score | None) -> str:
    """The large score."""
    return score or "\N{EN DASH}"


def reportable_text(view: CaseView) -> tuple[str, str]:
    """Whether the score may be reported, and the role (colour) of that line."""
    if view.score.score is None:
        return ("No score yet", "dim")
    if not view.score.reportable:
        return (f"{STATUS_SYMBOLS[ControlStatus.INVALID]} Not reportable", "bad")
    if view.standing.status is ControlStatus.VALID and not view.score.borderline:
        return (f"{STATUS_SYMBOLS[ControlStatus.VALID]} Reportable", "good")
    return (f"{STATUS_SYMBOLS[ControlStatus.WARNING]} Reportable, with reservations", "warning")


def case_title(view: CaseView) -> str:
    """What the case is called: the laboratory's names where they were entered, else its own."""
    title = view.data.title
    return " \N{MIDDLE DOT} ".join(filter(None, [title, view.data.specimen])) if title else view.case_id


def by_moved_cuts(view: CaseView) -> bool:
    """Whether the case's scores are by cuts that the reader moved, or is trying."""
    return bool(deviation_text(view.rule))


def deviation_text(rule: RuleInForce | None) -> str:
    """That the reader moved the cuts, and how far; empty where the stored settings hold."""
    if rule is None or not (rule.deviates or rule.is_preview):
        return ""
    moved = rule.deviates or "as stored"
    return f"Preview, not recorded: {moved}" if rule.is_preview else f"Cuts moved by the reader: {moved}"


def remark_needed(own: str, reference: Score | None, remark: str) -> str:
    """Why the own score `own` needs a sentence, in words for the reader; empty where it has one or needs none."""
    if own == NOT_ENTERED or remark.strip():
        return ""
    if own == INDETERMINATE:
        return "Indeterminate: say why in a sentence."
    if reference is not None and own != reference:
        return f"Differs from the reference score {reference}: say why in a sentence."
    return ""


def own_score_text(entered: ReaderScore | None) -> str:
    """The pathologist's own score as it is chosen and shown."""
    return NOT_ENTERED if entered is None else entered.score or INDETERMINATE


def step_text(verb: str, what: str) -> str:
    """Menu text of undo and redo: what they would do."""
    return f"{verb}: {what}" if what else verb


def where_text(view: CaseView) -> str:
    """In which tissue the case counts cells; empty where it counts everywhere."""
    where = view.where_to_count
    if where is None:
        return ""
    left_out = f", {view.n_outside} left out" if view.n_outside else ""
    return f"Counting in: {' and '.join(where['count_in'])} (model {where['model']}){left_out}"


def islands_of(view: MapView, more: Collection[int] = ()) -> list[int]:
    """Parts of the slide whose places to each other are not known, in their order."""
    return sorted({tile.island for tile in view.tiles} | {view.island, *more})


def island_text(view: MapView, shown: int, more: Collection[int] = ()) -> str:
    """Which part of the slide's map is shown, where there are several; and why the present one began.

    `more` are islands of the case that the map has no picture of.
    """
    islands = islands_of(view, more)
    if len(islands) < 2 or shown not in islands:
        return ""
    text = f"Island {islands.index(shown) + 1} of {len(islands)}"
    if shown != view.island:
        return f"{text}: not the present one"
    return f"{text}: tracking lost ({view.lost})" if view.lost else text


def calibration_text(age_doubt: str | None, missing: Sequence[str]) -> str:
    """The worst of what is to be said of the microscope's calibration, shortly; empty where there is nothing."""
    if age_doubt is not None:
        return "calibration: age in doubt"
    if tuple(missing) == missing_parts(Calibration()):
        return "not calibrated"
    return "calibration incomplete" if missing else ""
