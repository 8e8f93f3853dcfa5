"""The words and the rounding of a report. Every writer asks here, so no two can say different things."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import datetime

from her2scope.domain.cells import CellClass, CellKind
from her2scope.domain.control import CUTS_WORDS
from her2scope.domain.corrections import CellStanding, Correction
from her2scope.domain.guideline import Category, Ish
from her2scope.domain.score import ControlStatus
from her2scope.records import AcceptedField, CaseView, ControlReading, FieldResult, ReportContent
from her2scope.reporting.cell_standing import corrected_cells, n_tumour

CATEGORIES = {
    Category.NULL: "HER2 null",
    Category.ULTRALOW: "HER2 ultralow",
    Category.LOW: "HER2 low",
    Category.EQUIVOCAL: "Equivocal",
    Category.POSITIVE: "HER2 positive",
    Category.UNDETERMINED: "Undetermined",
}
NO_SCORE = "no score"
NOT_ENTERED = "not entered"
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
INDETERMINATE = "indeterminate"

METHODS = {
    "network": "Neural network for nuclei, cell kind and membrane; each cell's own outline is then measured.",
    "closed-contours": "Closed contours of DAB membranes (after arXiv 2110.12900): a membrane that encloses a nucleus "
    "is complete.",
}
METHOD_LIMITS = {
    "network": "The network tells tumour from other cells by their look. It does not tell invasive from in situ "
    "carcinoma: leave in situ parts out of the fields, or outline them.",
    "closed-contours": "The closed-contours method cannot tell tumour from other cells: every cell found is counted as "
    "tumour. Leave stroma, inflammation, normal ducts and in situ carcinoma out of the fields.",
}
LIMITS = (
    "The shares hold for the fields that the reader chose; they stand for the slide only as far as those fields do.",
    "The 95 % intervals allow for cells of one field being alike, and for few fields; they do not cover staining, "
    "sampling of the tissue, or a systematic error of the method.",
    "od10 is the optical density of DAB, -log10(I / I white); a cell's intensity is the median over the stained places "
    "of its own outline.",
)
APPARENT_NOTE = (
    "The camera's response is not known: od10 is apparent, and comparable only with a control read in the same "
    "camera state."
)
DRAWN_NOTE = "The pictures were drawn by the program's virtual microscope: this is no patient's slide."
ASSUMED_SCALE_NOTE = (
    "The pixel size was not given and is assumed: lengths and the cells found by them are uncertain. Calibrate the "
    "objective before any score is used."
)


# ---- pieces -------------------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """One line of printable characters: a control character in a name would break the XML that writers build."""
    return "".join(sign if sign.isprintable() or sign == NO_BREAK_SPACE else " " for sign in text).strip()


def sentence(text: str) -> str:
    """Turn a reason, as the rules phrase it, into a sentence in plain words."""
    text = clean(text).replace("<=", "\u2264").replace(">=", "\u2265")
    for name in CellClass:
        text = text.replace(name.value, name.value.replace("_", " "))
    if not text:
        return text
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def percent(value: float | None) -> str:
    """Percentage to one decimal."""
    return "-" if value is None else f"{value:.1f} %"


def interval(value: tuple[float, float] | None) -> str:
    """Interval of a percentage to one decimal."""
    return "-" if value is None else f"{value[0]:.1f} to {value[1]:.1f} %"


def od10(value: float | None) -> str:
    """Optical density to two decimals."""
    return "-" if value is None else f"{value:.2f} od10"


def when(at_utc: str | None) -> str:
    """Time to the minute; what is no ISO 8601 time is shown as it is."""
    if not at_utc:
        return "-"
    try:
        return datetime.fromisoformat(at_utc).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return clean(at_utc)


def count(n: int, noun: str) -> str:
    """Number with its noun, `1 field`, `2 fields`."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


# ---- the verdict --------------------------------------------------------------------------------------------------


def score_text(view: CaseView) -> str:
    """Reference score, or that there is none."""
    return view.score.score or NO_SCORE


def category_text(view: CaseView) -> str:
    """What the score means, in a few words; ISH only as the reader entered it."""
    if view.score.score is None:
        return "Insufficient"
    words = CATEGORIES[view.score.category]
    if view.score.score != "2+" or view.score.category is Category.UNDETERMINED:
        return words
    return f"{words}: reflex ISH" if view.ish is None else f"{words} (ISH {view.ish.value})"


def ish_text(view: CaseView) -> str:
    """ISH result as the reader entered it."""
    if view.ish is None:
        return NOT_ENTERED
    return {Ish.NEGATIVE: "negative (not amplified)", Ish.POSITIVE: "positive (amplified)"}[view.ish]


def reader_text(view: CaseView) -> str:
    """The pathologist's own score."""
    if view.reader_score is None:
        return NOT_ENTERED
    return view.reader_score.score or INDETERMINATE


def reader_remark(view: CaseView) -> str:
    """What the pathologist wrote beside the own score."""
    return clean(view.reader_score.remark) if view.reader_score else ""


def reader_note(view: CaseView) -> str:
    """How the pathologist's own score stands to the reference score; empty where there is nothing to say."""
    own, reference = view.reader_score, view.score.score
    if own is None:
        return ""
    said = ["Entered before the reference score was shown."] if own.blind else []
    if own.score is not None and reference is not None and own.score != reference:
        said.append(
            f"Differs from the reference score {reference}" + ("." if own.remark.strip() else "; no remark yet.")
        )
    return " ".join(said)


def reportable_text(view: CaseView) -> str:
    """Whether the reference score may be reported."""
    if not view.score.reportable:
        return "Not reportable"
    return "Reportable, control overridden" if view.override_reason else "Reportable"


def reportable_tone(view: CaseView) -> ControlStatus:
    """How good that news is, on the scale of a control: green is for what nobody has to doubt."""
    if not view.score.reportable:
        return ControlStatus.INVALID
    doubted = view.override_reason or view.standing.status is not ControlStatus.VALID
    return ControlStatus.WARNING if doubted else ControlStatus.VALID


def blocking(view: CaseView) -> tuple[str, ...]:
    """Why the score is not reportable, as sentences; empty where it is."""
    if view.score.reportable:
        return ()
    return tuple(map(sentence, view.score.blocking or view.score.reasons))


def reasons(view: CaseView) -> tuple[str, ...]:
    """Every reason of the score that `blocking` has not said already, as sentences."""
    said = blocking(view)
    return tuple(text for text in map(sentence, view.score.reasons) if text not in said)


def case_line(content: ReportContent) -> str:
    """Who read the case, and when."""
    view = content.case
    reader = f"Reader {clean(view.who)}" if view.who.strip() else "Reader not named"
    finished = f"finished {when(view.finished_utc)}" if view.finished_utc else "not finished"
    return f"{reader} \u00b7 opened {when(view.opened_utc)}, {finished} \u00b7 as of {when(content.as_of_utc)}"


# ---- the control --------------------------------------------------------------------------------------------------


def control_headline(view: CaseView) -> str:
    """Verdict on the control, in one line."""
    status, reading = view.standing.status, view.control
    if status is ControlStatus.ABSENT or reading is None:
        return "No 3+ control was read" if view.controls else "No control was read"
    words = {
        ControlStatus.VALID: "valid",
        ControlStatus.WARNING: "valid with a warning",
        ControlStatus.INVALID: "invalid",
    }
    link = "and" if status is ControlStatus.INVALID else "but"
    held = f", {link} does not hold for this case" if view.standing.refusals else ""
    overridden = ", overridden by the reader" if view.standing.overridden else ""
    return f"Control {words[status]}{held}{overridden}"


def control_paragraph(view: CaseView) -> str:
    """What was read from the control in force, and what its cut did."""
    reading = view.control
    if reading is None:
        return f"Default cuts from the settings were used: {cuts_text(view)}."
    intense_od10 = reading.measures.intense_od10
    if intense_od10 is None:
        return f"{reading_text(reading)} It gives no intense cut; the cuts are the settings'."
    return f"{reading_text(reading)} Its intense cut: {od10(intense_od10)}; {CUTS_WORDS[view.cuts_from]}."


def reading_text(reading: ControlReading) -> str:
    """One reading of a control, in a sentence."""
    lot = f", lot {clean(reading.lot)}" if reading.lot.strip() else ""
    lot += f", run {clean(reading.run)}" if reading.run.strip() else ""
    measures = reading.measures
    fields = f" in {count(len(measures.field_od10), 'field')}" if len(measures.field_od10) > 1 else ""
    found = f"{count(measures.n_tumour, 'tumour cell')}{fields}, membrane DAB median {od10(measures.membrane_od10)}"
    return f"{reading.expected} control{lot}, reads {measures.read or NO_SCORE}: {found}."


def reading_summary(reading: ControlReading) -> str:
    """One reading of a control with every doubt."""
    return " ".join([reading_text(reading), *map(sentence, reading.verdict.reasons)])


def earlier_readings(view: CaseView, reading: ControlReading) -> tuple[tuple[str, str, str], ...]:
    """Time, verdict and reasons of this level's other readings: every reading is kept, and shown."""
    others = [item for item in view.controls if item is not reading and item.expected == reading.expected]
    return tuple(
        (when(item.at_utc), item.verdict.status.value, " ".join(map(sentence, item.verdict.reasons)) or "-")
        for item in others
    )


def control_doubts(view: CaseView) -> tuple[str, ...]:
    """Why the control is doubted: the latest reading of each level, then why it may not hold for this case."""
    found: list[str] = []
    for reading in latest_readings(view):
        found += level_doubts(reading)
    return (*found, *view.standing.refusals)


def level_doubts(reading: ControlReading) -> Iterator[str]:
    """Why a level is doubted; each text names its level once, but for those of the 3+."""
    level = f"{reading.expected} control"
    for text in reading.verdict.reasons:
        yield text if reading.expected == "3+" or text.startswith(level) else f"{level}: {text}"


def control_reasons(view: CaseView) -> tuple[str, ...]:
    """The same as sentences."""
    return tuple(map(sentence, control_doubts(view)))


def latest_readings(view: CaseView) -> tuple[ControlReading, ...]:
    """The latest reading of each level, the 3+ level first."""
    latest = {reading.expected: reading for reading in view.controls}
    return tuple(latest[level] for level in sorted(latest, reverse=True))


def cuts_text(view: CaseView) -> str:
    """The three cuts in force."""
    cuts = view.cuts
    return f"stained {cuts.stained_od10:.2f}, moderate {cuts.moderate_od10:.2f}, intense {cuts.intense_od10:.2f} od10"


# ---- basis and limits ---------------------------------------------------------------------------------------------


def basis(view: CaseView) -> str:
    """What the score rests on: its tumour cells, and the fields that they lie in."""
    scale = "" if view.um_per_px is None else f", {view.um_per_px:.3f} um/px"
    n_fields = count(sum(item.counts.n_tumour > 0 for item in view.active_fields), "field")
    return f"{count(view.score.counts.n_tumour, 'tumour cell')} in {n_fields}{scale}"


def not_assessed(view: CaseView) -> tuple[str, ...]:
    """What was seen and does not count, each with its reason."""
    return tuple(_not_assessed(view))


def _not_assessed(view: CaseView) -> Iterator[str]:
    active = view.active_fields
    for item in active:
        if not item.result.quality.usable:
            why = "; ".join(item.result.quality.reasons)
            yield sentence(f"field {item.number} ({clean(item.result.frame.name)}) could not be used: {why}")
    n_bare = sum(item.result.quality.usable and item.counts.n_tumour == 0 for item in active)
    if n_bare:
        yield f"{count(n_bare, 'field')} without a tumour cell to count."
    n_removed = len(view.fields) - len(active)
    if n_removed:
        yield f"{count(n_removed, 'accepted field')} removed by the reader."
    n_edge = sum(_n_edge(item.result) for item in active)
    if n_edge:
        yield f"{count(n_edge, 'tumour cell')} at the images' edges: listed, not counted."
    for standing, told in _LEFT_OUT.items():
        n = sum(n_tumour(item, standing) for item in active)
        if n:
            yield f"{count(n, 'tumour cell')} {told}"
    n_denied = sum(word is Correction.NOT_TUMOUR for item in active for _, _, word in corrected_cells(item))
    if n_denied:
        yield f"{count(n_denied, 'cell')} that the reader found not to be tumour."


_LEFT_OUT = {
    CellStanding.SEEN_BEFORE: "seen again in a later field: counted once.",
    CellStanding.EXCLUDED: "excluded one by one by the reader.",
    CellStanding.EXCLUDED_REGION: "in regions that the reader excluded.",
    CellStanding.NORMAL_DUCT: "in normal ducts that the reader marked: internal control.",
    CellStanding.NOT_INVASIVE: "outside the invasive tumour that the reader outlined.",
    CellStanding.OUTSIDE: "outside the tissue in which the region model has cells counted.",
}


def _n_edge(result: FieldResult) -> int:
    return sum(cell.edge and cell.kind is CellKind.TUMOUR for cell in result.cells)


def field_note(item: AcceptedField) -> str:
    """What to know about one field."""
    notes = [sentence(text) for text in item.result.remarks]
    n_again = n_tumour(item, CellStanding.SEEN_BEFORE)
    if n_again:
        earlier = ", ".join(str(overlap.field) for overlap in item.overlaps)
        notes.append(f"{n_again} counted in field {earlier} already.")
    if item.n_outside:
        notes.append(f"{count(item.n_outside, 'tumour cell')} outside the counted tissue, by the region model.")
    n_corrected = len(corrected_cells(item))
    if n_corrected:
        notes.append(f"{count(n_corrected, 'cell')} corrected by the reader.")
    if item.swept:
        notes.append("Accepted by sweeping.")
    if item.result.white_estimated:
        notes.append("White estimated.")
    return " ".join(notes)


def field_facts(item: AcceptedField) -> str:
    """Size, scale and time of one field."""
    counted = f"{count(item.counts.n_tumour, 'tumour cell')} counted, {count(item.counts.n_other, 'other cell')}"
    return f"{counted}, {item.result.frame.um_per_px:.3f} um/px, taken {when(item.at_utc)}"


def limits(view: CaseView) -> tuple[str, ...]:
    """What the method cannot do, what was not calibrated, and what no program can tell."""
    return (*caveats(view), *LIMITS)


def disclaimer(content: ReportContent) -> str:
    """What stands beneath the title of every report."""
    return f"{content.disclaimer} {DRAWN_NOTE}" if _is_drawn(content.case) else content.disclaimer


def _is_drawn(view: CaseView) -> bool:
    return any(item.result.frame.is_drawn for item in view.active_fields)


def caveats(view: CaseView) -> tuple[str, ...]:
    """What must be said with any score of this case: limits of its method and of its calibration."""
    found = [METHOD_LIMITS[view.program.method]] if view.program.method in METHOD_LIMITS else []
    results = [item.result for item in view.active_fields]
    if view.where_to_count:
        found.append(where_text(view))
    if _is_drawn(view):
        found.insert(0, DRAWN_NOTE)
    if any(result.frame.camera.response == "unknown" for result in results):
        found.append(APPARENT_NOTE)
    if any(result.frame.camera.scale_assumed for result in results):
        found.append(ASSUMED_SCALE_NOTE)
    estimated = [str(item.number) for item in view.active_fields if item.result.white_estimated]
    if estimated:
        whose = "every field" if len(estimated) == len(results) else f"field {', '.join(estimated)}"
        found.append(f"No white reference was given: the white was estimated from the picture in {whose}.")
    return tuple(found)


def where_text(view: CaseView) -> str:
    """In which tissue cells are counted, and how many a region model left out; empty where they count everywhere."""
    where = view.where_to_count
    if not where:
        return ""
    n_all = view.n_outside + view.score.counts.n_tumour
    return (
        f"Cells are counted in {clean(' and '.join(where['count_in']))} only, as the region model "
        f"{clean(where['model'])} finds it: {view.n_outside} of {count(n_all, 'tumour cell')} left out."
    )


def method_text(view: CaseView) -> str:
    """How cells were found."""
    return METHODS.get(view.program.method, view.program.method)


def flat(settings: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as pairs of dotted name and value."""
    if isinstance(settings, dict) or hasattr(settings, "items"):
        for key, value in settings.items():
            yield from flat(value, f"{name}.{key}" if name else str(key))
    elif isinstance(settings, float):
        yield name, f"{settings:g}" if math.isfinite(settings) else str(settings)
    elif isinstance(settings, Iterable) and not isinstance(settings, str):
        yield name, ", ".join(value for _, value in (pair for item in settings for pair in flat(item)))
    else:
        yield name, clean("-" if settings is None else str(settings))
