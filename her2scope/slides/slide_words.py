"""What a slide's report says: one place for its words, so that the page and the PDF cannot disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from her2scope.domain.control import CUTS_WORDS
from her2scope.domain.guideline import Category, guideline
from her2scope.domain.score import MAX_FURTHER_FIELDS, MAX_LOW_END_UM_PER_PX, ControlStatus
from her2scope.domain.score_sentence import whole
from her2scope.records import RgbImage
from her2scope.reporting import doubt, words
from her2scope.reporting.words import METHOD_LIMITS, METHODS, NO_SCORE, clean, count
from her2scope.reporting.words import sentence as as_sentence
from her2scope.slides.records import SlideScore, Square
from her2scope.slides.slide_json import control_doubts
from her2scope.slides.slide_maps import KIND_WORDS
from her2scope.slides.slide_places import Place
from her2scope.slides.slide_score import INTERVAL_SCOPE, SQUARE_UM

TITLE = "HER2 IHC reference score of a slide"
DISCLAIMER = "Research use only. Not validated for diagnosis; the pathologist's own score decides."
MAP_TITLE = "The slide"
MOST_NAME = 42
"""Letters of a slide's name in a page's footer, which has one line."""
HOT_SPOT_HEAD = ("Square", "Middle, from the left and the top", "What it shows")
LIMITS = (
    "All tissue that is not left out is looked at: whether a tumour is invasive is not told by the program. Outline in "
    "situ carcinoma and leave it out.",
    "The 95 % intervals allow for cells of one square being alike; they do not cover staining, sampling of the tissue, "
    "or a systematic error of the method.",
    "od10 is the optical density of DAB, -log10(I / I white); a cell's intensity is the median over the stained places "
    "of its own outline.",
)


@dataclass(frozen=True, slots=True, eq=False)
class SlideContent:
    """All that a slide's report shows."""

    score: SlideScore
    identity: str
    places: tuple[Place, ...]
    heat_map: RgbImage | None
    """None where no cell was counted."""
    staining_map: RgbImage | None
    tissue_map: RgbImage
    settings: Mapping[str, Any]
    calibration: Mapping[str, Any]


def slide_name(score: SlideScore) -> str:
    """The slide's file, without its folder."""
    return clean(score.survey.path.name)


def score_text(score: SlideScore) -> str:
    """Reference score, or that there is none."""
    return score.case.score or NO_SCORE


def category_text(score: SlideScore) -> str:
    """What the score means, in a few words."""
    case = score.case
    if score.survey.refusals:
        return "Refused"
    if case.score is None:
        return (
            "Insufficient" if case.counts.n_tumour < 1 or case.sentence.startswith("No score, insuff") else "Not scored"
        )
    told = words.CATEGORIES[case.category]
    return f"{told}: reflex ISH" if case.category is Category.EQUIVOCAL else told


def basis_text(score: SlideScore) -> str:
    """What the score rests on."""
    if score.survey.refusals:
        return f"nothing was counted, {score.survey.scale.um_per_px:.3f} um/px"
    n = score.case.counts.n_tumour
    area = f"{score.counted_mm2:.1f} mm\u00b2 of tissue"
    return f"{whole(n)} tumour cell{'s' * (n != 1)} in {area}, {score.survey.scale.um_per_px:.3f} um/px"


def reportable_text(score: SlideScore) -> str:
    """Whether the reference score may be reported."""
    return "Reportable" if score.case.reportable else "Not reportable"


def tone(score: SlideScore) -> ControlStatus:
    """How good that news is, on the scale of a control."""
    if not score.case.reportable:
        return ControlStatus.INVALID
    return ControlStatus.VALID if score.standing.status is ControlStatus.VALID else ControlStatus.WARNING


def control_headline(score: SlideScore) -> str:
    """Verdict on the control, in one line."""
    status = score.standing.status
    if status is ControlStatus.ABSENT:
        return "No 3+ control was read" if score.controls else "No control was read"
    told = {ControlStatus.VALID: "valid", ControlStatus.WARNING: "valid with a warning"}.get(status, "invalid")
    link = "and" if status is ControlStatus.INVALID else "but"
    held = f", {link} does not hold for this slide" if score.standing.refusals else ""
    return f"Control {told}{held}"


def control_paragraph(score: SlideScore) -> str:
    """What was read from the control, and what its cut did."""
    if score.survey.refusals:
        return "The slide was refused before anything was measured."
    cuts = score.cuts
    in_force = (
        f"stained {cuts.stained_od10:.2f}, moderate {cuts.moderate_od10:.2f}, intense {cuts.intense_od10:.2f} od10"
    )
    if not score.controls:
        return f"Default cuts from the settings were used: {in_force}."
    read = " ".join(words.reading_text(reading) for reading in score.controls)
    return f"{read} {as_sentence(f'{CUTS_WORDS[score.cuts_from]}: {in_force}')}"


def control_reasons(score: SlideScore) -> tuple[str, ...]:
    """Why the control is doubted, as sentences."""
    return tuple(map(as_sentence, control_doubts(score)))


def blocking(score: SlideScore) -> tuple[str, ...]:
    """Why the score is not reportable, as sentences; empty where it is."""
    return () if score.case.reportable else tuple(map(as_sentence, score.case.blocking or score.case.reasons))


def reasons(score: SlideScore) -> tuple[str, ...]:
    """Every reason that `blocking` has not said already."""
    said = blocking(score)
    return tuple(text for text in map(as_sentence, score.case.reasons) if text not in said)


def sentence_text(score: SlideScore) -> str:
    """The plain sentence of the score."""
    return as_sentence(score.case.sentence)


def probability_text(score: SlideScore) -> str:
    """Probability of each score in one line."""
    found = score.case.score_probability
    if not found:
        return ""
    if score.survey.scale.um_per_px > MAX_LOW_END_UM_PER_PX:
        found = {"0 or 1+": found["0"] + found["1+"], "2+": found["2+"], "3+": found["3+"]}
    shown = " \u00b7 ".join(f"{name}: {doubt.chance(value)}" for name, value in found.items())
    return f"Probability of each score: {shown}"


def settle_text(score: SlideScore) -> str:
    """How many more squares would settle a borderline score; empty where it is not borderline."""
    case = score.case
    if not case.borderline:
        return ""
    if case.further_fields is None:
        return f"not settled by {MAX_FURTHER_FIELDS} further squares"
    return f"{count(case.further_fields, 'further square')} like these would settle it"


def scope_text(score: SlideScore) -> str:
    """For what the intervals hold."""
    return INTERVAL_SCOPE if score.case.interval95_percent is not None else ""


def left_out(score: SlideScore) -> tuple[str, ...]:
    """What was seen and does not count, each with its reason, and what must be known of the reading."""
    tissue = score.survey.tissue
    found = []
    for kind in (Square.CONTROL, Square.LEFT_OUT):  # the survey's notes tell of the others
        area = tissue.area_mm2(kind)
        if area > 0:
            found.append(as_sentence(f"{area:.2f} mm\u00b2: {KIND_WORDS[kind]}"))
    if score.case.counts.n_other:
        found.append(f"{whole(score.case.counts.n_other)} cells that are no tumour: looked at, not counted.")
    return (*found, *map(as_sentence, score.notes))


def place_text(place: Place) -> str:
    """What a shown place holds, and where on the slide it lies."""
    return f"{place.words} Its upper left corner: {clean(place.result.frame.name)}."


def footer_text(score: SlideScore) -> str:
    """What stands at the foot of every page: a page on its own must not pass for a score that holds."""
    ends = "" if score.case.reportable else " \u00b7 NOT REPORTABLE"
    return f"{_shortened(slide_name(score), MOST_NAME)}  \u00b7  {TITLE}{ends}"


def _shortened(name: str, most: int) -> str:
    """A name whose beginning and end stay."""
    half = (most - 3) // 2
    return name if len(name) <= most else f"{name[:half]}...{name[-half:]}"


def hot_spot_rows(score: SlideScore) -> tuple[tuple[str, str, str], ...]:
    """Number, place and words of each hot spot."""
    return tuple(
        (str(spot.number), f"{spot.x_um / 1000:.2f}, {spot.y_um / 1000:.2f} mm", as_sentence(spot.words))
        for spot in score.hot_spots
    )


def limits(score: SlideScore) -> tuple[str, ...]:
    """What holds for any score of this method."""
    method = METHOD_LIMITS.get(score.program.method)
    return (*((method,) if method else ()), *LIMITS)


def method_text(score: SlideScore) -> str:
    """How cells were found."""
    return METHODS.get(score.program.method, score.program.method)


def versions(content: SlideContent) -> tuple[tuple[str, str], ...]:
    """What made the result."""
    score = content.score
    program, scale = score.program, score.survey.scale
    model = f"{program.model_name} (SHA-256 {program.model_sha256})" if program.model_name else "none"
    source = guideline(score.guideline).source if score.guideline else ""
    return (
        ("Program", f"her2scope {program.version}"),
        ("Method", program.method),
        ("Model", model),
        ("Guideline", f"{score.guideline}: {source}"),
        ("Slide", f"{slide_name(score)} (identity SHA-256 {content.identity})"),
        ("Read at", f"{scale.um_per_px:.4f} um/px, level {scale.level}"),
        ("Squares", f"{len(score.squares)} of {SQUARE_UM / 1000:g} mm with cells, {count(score.n_tiles, 'tile')}"),
        ("Settings digest (SHA-256)", score.settings_sha256),
    )
