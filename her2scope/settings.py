"""Everything that can be set, as frozen dataclasses <-> YAML.

Scoring settings and calibrations refuse an unknown key or an impossible value: a slip there moves a score.
Preferences repair themselves: a slip there only moves a window.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import yaml

from her2scope.domain.cells import CellRule, StainCuts
from her2scope.domain.control import ControlLimits
from her2scope.domain.control_material import ControlMaterials
from her2scope.domain.errors import Her2ScopeError, SettingsError
from her2scope.domain.guideline import BREAST_2023
from her2scope.domain.score import MIN_CASE_CELLS, MIN_FIELD_CELLS
from her2scope.domain.units import checked_um_per_px

T = TypeVar("T")
Vector = tuple[float, float, float]
FlatField = tuple[tuple[Vector, ...], ...]


# ---- what can be set at all ---------------------------------------------------------------------------------------

_RANGES: Mapping[str, tuple[float, float]] = {
    "min_case_cells": (1, 100_000),
    "min_field_cells": (1, 100_000),
    "min_tumour": (1, 100_000),
    "min_side_px": (16, 20_000),
    "min_focus": (0, 10),
    "max_speed_um_per_s": (0.1, 100_000),
    "max_white_drift": (0, 1),
    "max_dark_white": (0, 250),
    "min_bright_white": (0, 255),
    "working_um_per_px": (0.05, 1),
    "nucleus_smoothing_um": (0.1, 10),
    "nucleus_distance_um": (0.5, 50),
    "min_nucleus_od10": (0.001, 2),
    "min_cell_um2": (0, 10_000),
    "max_cell_um2": (1, 100_000),
    "min_empty_ring_um2": (0, 10_000),
    "min_membrane_um2": (0, 1_000),
    "n_levels": (1, 50),
    "highest_level_od10": (0.01, 5),
    "closing_um": (0, 5),
    "dilation_um": (0, 20),
    "reach_um": (0.5, 50),
    "cut_least_of_median": (0, 1),
    "cut_low_percentile": (0, 100),
    "cut_high_percentile": (0, 100),
    "cut_percentile": (0, 100),
    "min_cut_cells": (1, 100_000),
    "max_field_ratio": (1, 100),
    "max_nuclear_od10": (-0.9, 5),
    "min_nucleus_score": (0, 1),
    "min_nucleus_radius_um": (0, 20),
    "likely_contrast_od10": (-0.5, 5),
    "joined_um": (0, 20),
    "least_run_um": (0, 20),
}
"""Least and greatest value of each scoring number: far wider than is sensible, so that only a slip is refused."""
_RANGES_BY_UNIT: Mapping[str, tuple[float, float]] = {"_od10": (0, 5), "_share": (0, 1), "_probability": (0, 1)}
"""The same for names that end so and stand not above: 5 od10 lets 0.001 % of the light through."""
MIN_CUT_SPAN_PERCENT = 5.0
"""Least distance of the cut's percentiles: over the 25 cells that may be left, a narrower range can hold none."""


def check_ranges(settings: Any, where: str = "") -> None:
    """SettingsError for the first number of a dataclass that lies outside what is possible; NaN is outside."""
    for item in dataclasses.fields(settings):
        by_unit = (span for unit, span in _RANGES_BY_UNIT.items() if item.name.endswith(unit))
        low, high = _RANGES.get(item.name) or next(by_unit, (-math.inf, math.inf))
        value = getattr(settings, item.name)
        if isinstance(value, int | float) and not low <= value <= high:
            raise SettingsError(f"{where}{item.name} must be from {low:g} to {high:g}, not {value}. Correct it.")


def check_rising(settings: Any, lower: str, higher: str, where: str = "", by: float = 0.0) -> None:
    """SettingsError unless the number named `higher` is at least `by` above the one named `lower`."""
    low, high = getattr(settings, lower), getattr(settings, higher)
    if high - low < by:
        least = f"at least {by:g} above" if by else "at least"
        raise SettingsError(f"{where}{higher} must be {least} {lower} ({low:g}), not {high:g}. Correct one of them.")


# ---- settings -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """Limits of the quality gate.

    Each stands between what sharp real fields, usable scanner tiles and easy and usual phantoms have, and what fat,
    grey or blurred tiles and artificially blurred or veiled fields have; the figures are below.
    """

    min_side_px: int = 128
    """A picture smaller than this cannot hold a cell and its surroundings."""
    min_focus: float = 1.0
    """Least sharpness; 1 is the limit set by `imaging.quality`, real sharp fields have 1.04 to 2.4, after a blur of
    1 um (sigma) less than 1 (one strongly sharpened field 1.2, below 1 at 1.25 um)."""
    min_contrast_od10: float = 0.014
    """Least contrast of 2-4 um structures, the strongest 2 % of the picture: sharp real fields have 0.029 and more,
    pale usual phantoms 0.0166 and more; where nuclei cannot be seen it is 0.004 to 0.013."""
    max_clipped_share: float = 0.05
    unusable_clipped_share: float = 0.30
    """Real 3+ camera fields have 7 to 10 % clipped pixels (design section 2)."""
    min_tissue_share: float = 0.01
    """Pale sharp phantoms have 2 % and more, an almost empty tile 0.5 %."""
    min_solid_share: float = 0.28
    """Share of the picture that is stained and as wide as a nucleus, from which empty space beside it does not matter
    (a nest at the section's edge): sharp real fields have 0.35 and more, fat tiles 0.03 to 0.23."""
    min_cellular_share: float = 0.48
    """Where there is less than that: the same with the spaces between cells. Fat tiles have 0.05 to 0.44, usual
    phantoms 0.52 and more, sharp real fields 0.83 and more."""
    min_bright_white: float = 204.0
    """A ground below this in its brightest channel may lie under a veil: half of mid grey over a bright field gives at
    most 192, half of a paler grey (150) 176 to 203. Camera fields and usual phantoms have 208 and more; a dim scanner
    has 176 to 182 without a veil."""
    min_grey_stain_od10: float = 0.19
    min_grey_contrast_od10: float = 0.032
    """Strong stain (darkest 5 %) and contrast, of which a grey ground needs one: tiles full of cells that a veil greys
    have at most 0.14 and 0.028, dim usable ones at least 0.24 and 0.039."""
    max_veiled_od10: float = 0.46
    """No place is darker under a half veil of mid grey: log10(184 / 64)."""
    min_dark_span_od10: float = 0.055
    """Least distance of the darkest 1 % from the darkest 5 % where none is darker than that: a dim usable tile has
    0.082, 3+ fields under a half veil 0.01 to 0.065."""
    max_speed_um_per_s: float = 60.0
    """Faster than this and a 1/100 s exposure smears more than a faint membrane's width."""
    max_white_drift: float = 0.10
    """Change of the white against the calibrated one, per channel, from which lamp or camera have drifted."""
    max_dark_white: float = 70.0
    """A white below this grey level means the lamp is off or the shutter closed."""

    def __post_init__(self) -> None:
        check_ranges(self)
        check_rising(self, "max_clipped_share", "unusable_clipped_share")
        check_rising(self, "min_solid_share", "min_cellular_share")


@dataclass(frozen=True, slots=True)
class ClosedContoursSettings:
    """The paper's method (arXiv 2110.12900); lengths in um. Values it does not print are measured or usual ones."""

    rule: CellRule = CellRule(complete_share=1.0, intense_share=0.5, present_share=0.05)
    """The paper's classes: a closed contour is complete; it is intense by its median."""
    working_um_per_px: float = 0.25
    """Finer images are reduced to this, so that a filter sees the same tissue at every camera."""
    nucleus_smoothing_um: float = 1.8
    nucleus_distance_um: float = 5.0
    """Least distance of two nuclei: the diameter of a lymphocyte's nucleus."""
    min_nucleus_od10: float = 0.04
    """Haematoxylin of a nucleus over its surroundings."""
    min_cell_um2: float = 10.0
    max_cell_um2: float = 450.0
    """A closed contour of another area encloses no single cell."""
    min_empty_ring_um2: float = 28.0
    """A contour without a nucleus must be larger: vacuoles and holes between cells are smaller than cells."""
    n_levels: int = 7
    highest_level_od10: float = 1.5
    """Contours are sought at this many levels from the stained cut up to this one (a strong 3+ wall)."""
    closing_um: float = 0.9
    """Gaps up to this are bridged: under 1 um (design section 1)."""
    dilation_um: float = 2.0
    """Dilation of the membrane mask before it is filled: finds incomplete membranes."""
    min_rim_share: float = 0.30
    """Least share of a nucleus' rim that the dilated and filled mask must cover: less is a speck, not a membrane."""
    reach_um: float = 8.0
    """Farthest that an open cell's membrane is looked for from its nucleus."""
    min_membrane_um2: float = 3.0
    """Smaller stained specks are no membrane."""
    cut_least_of_median: float = 0.6
    """Cells weaker than this share of the control's median are not its 3+ population and set no cut."""
    cut_low_percentile: float = 5.0
    cut_high_percentile: float = 15.0
    """The control's minimum DAB: mean of this range of the complete cells' membranes, not one pixel."""

    def __post_init__(self) -> None:
        check_ranges(self)
        check_rising(self.rule, "present_share", "complete_share", "rule: ")
        check_rising(self, "min_cell_um2", "max_cell_um2")
        check_rising(self, "cut_low_percentile", "cut_high_percentile", by=MIN_CUT_SPAN_PERCENT)


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """The network method: where its maps are cut, and what is then measured along each cell's own outline."""

    rule: CellRule = CellRule()
    min_nucleus_score: float = 0.3
    """Least height of a nucleus' middle in the network's maps: how sure it is that a nucleus is there."""
    min_nucleus_probability: float = 0.5
    """A pixel is nucleus from here on: the extent of a nucleus, and with it its size."""
    min_nucleus_radius_um: float = 1.2
    """Smaller pieces are debris or noise: a lymphocyte's nucleus has 2.5 to 3.5 um."""
    min_tumour_probability: float = 0.5
    stained_od10: float = 0.05
    """Noise floor of a place where a membrane is seen and stands out; faint lines of pale runs are 0.06 to 0.15."""
    min_membrane_probability: float = 0.8
    """A membrane is surely seen from here on. Fixed on phantoms: at 0.6 half as many unstained cells again are."""
    contrast_od10: float = 0.04
    """Least by which a sure place stands out from cytoplasm and background beside it (design section 1)."""
    contrast_of_wall_share: float = 0.25
    """Or by this share of its own od10, where that is less: in a bright run a faint line has little of either."""
    likely_membrane_probability: float = 0.5
    likely_contrast_od10: float = -0.03
    """The same of a likely place, which counts where it is joined to a sure one: lines fade before they end."""
    joined_um: float = 2.5
    """How far likely places count from a sure one on."""
    least_run_um: float = 3.0
    """Shorter stained pieces of an outline are granules, not a membrane."""
    cut_least_of_median: float = 0.6
    """Complete cells weaker than this share of the control's median are not its 3+ population and set no cut."""
    cut_percentile: float = 20.0
    """Intense cut: this percentile of the od10 that three quarters of each of the others' outline reach."""
    min_cut_cells: int = 100
    """Fewer complete cells than this set no cut."""

    def __post_init__(self) -> None:
        check_ranges(self)
        check_rising(self.rule, "present_share", "complete_share", "rule: ")
        check_rising(self, "likely_membrane_probability", "min_membrane_probability")
        check_rising(self, "likely_contrast_od10", "contrast_od10")


@dataclass(frozen=True, slots=True)
class ScoringSettings:
    """All that can move a score, stored with each case."""

    guideline: str = BREAST_2023.name
    cuts: StainCuts = StainCuts()
    min_case_cells: int = MIN_CASE_CELLS
    min_field_cells: int = MIN_FIELD_CELLS
    quality: QualitySettings = QualitySettings()
    control: ControlLimits = ControlLimits()
    closed_contours: ClosedContoursSettings = ClosedContoursSettings()
    network: NetworkSettings = NetworkSettings()

    def __post_init__(self) -> None:
        check_ranges(self)
        check_ranges(self.cuts, "cuts: ")
        check_limits(self.control, "control: ")


def check_limits(limits: ControlLimits, where: str) -> None:
    """SettingsError for limits of a control that cannot be."""
    check_ranges(limits, where)
    for lower, higher in (
        ("min_intense_od10", "max_intense_od10"),
        ("max_intense_od10", "invalid_intense_od10"),
        ("min_cut_od10", "max_cut_od10"),
        ("max_background_od10", "invalid_background_od10"),
        ("max_clipped_share", "invalid_clipped_share"),
    ):
        check_rising(limits, lower, higher, where)


DEFAULT_VALID_DAYS = 180
"""How long a calibration is trusted: half a year, the usual interval at which laboratories service a microscope.
A lamp that is changed or a condenser that is moved ends it earlier: the drift of the white says so."""
CLOCK_SLACK = timedelta(days=1)
"""A date that far ahead is only another time zone."""
FLAT_FIELD_SIDES = (2, 32)
FLAT_FIELD_RANGE = (0.2, 2.0)
"""Least and greatest relative white: light that falls to a fifth is a condenser out of place, not shading."""
MIN_USUAL_UM_PER_PX, MAX_USUAL_UM_PER_PX = 0.03, 5.0
"""Objectives from 100x to 2x: what a value in nanometres or millimetres is recognised by."""
GREATEST_SHARE_WHITE = 1.0
"""A white whose channels are all at most this was given as shares of full scale."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """One microscope and camera, as calibrated.

    What is checked here holds for stored cases, too, which must stay readable; what is asked of a calibration that is
    to be used from now on stands in `check_for_use`.
    """

    name: str = "none"
    date: str = ""
    """Of the last measurement, ISO 8601 (2026-01-15); the age of each part is that of `measured_on`."""
    objectives: Mapping[str, float] = field(default_factory=dict)
    """um per px of the camera's full image, per objective."""
    response: str = "unknown"
    """`linear`, `srgb`, `gamma:X` or `unknown`."""
    white_rgb: Vector | None = None
    """An empty field where it is brightest (0..255 as the camera gives it); None: estimated from each picture, and
    said."""
    haematoxylin_vector: Vector = (0.650, 0.704, 0.286)
    dab_vector: Vector = (0.268, 0.570, 0.776)
    """od10 per channel of each pure stain: Ruifrok and Johnston, Anal Quant Cytol Histol 23:291, 2001."""
    flat_field: FlatField | None = None
    """White at places over the camera's full image as a share of `white_rgb`, rows x columns x (red, green, blue); the
    outer places lie on the picture's edges. In camera values, as `white_rgb` is, not in light: so it stays right when
    the response is measured later. None: the light is taken as even."""
    valid_days: int = DEFAULT_VALID_DAYS
    exposure_ms: float | None = None
    gain: float | None = None
    white_balance: str | None = None
    """State of the camera for which white and flat field hold; None: not known."""
    measured_from: Mapping[str, str] = field(default_factory=dict)
    """How each part was got, in words for the report."""
    measured_on: Mapping[str, str] = field(default_factory=dict)
    """Date of each part, ISO 8601: measuring one part again makes no other younger."""

    def __post_init__(self) -> None:
        for name, um_per_px in self.objectives.items():
            _check_objective(name, um_per_px)
        _check_response(self.response)
        if self.white_rgb is not None and not all(0 < value <= 255 for value in self.white_rgb):
            raise SettingsError(f"white_rgb must be three values from 1 to 255, not {self.white_rgb}.")
        for what in ("haematoxylin_vector", "dab_vector"):
            vector = getattr(self, what)
            if not all(math.isfinite(value) for value in vector) or math.hypot(*vector) < 1e-6:
                raise SettingsError(f"{what} {vector} has no direction. Give od10 per channel, as 0.27, 0.57, 0.78.")
        _check_stains_differ(self.haematoxylin_vector, self.dab_vector)
        if not 1 <= self.valid_days <= 3660:
            raise SettingsError(f"valid_days must be from 1 to 3660, not {self.valid_days}. Correct it.")
        if self.flat_field is not None:
            _check_flat_field(self.flat_field)
            if self.white_rgb is None:
                raise SettingsError("flat_field needs white_rgb. Measure both: her2scope calibrate empty IMAGE.")


def expired(calibration: Calibration, today: date) -> str | None:
    """Why a calibration's age is in doubt, None where it is not; one without any measured part cannot be too old."""
    if not calibration.date:
        return None if calibration == Calibration() else "the calibration has no date: its age is not known"
    made = _date_of(calibration.date)
    if made is None:
        return f"the calibration's date '{calibration.date}' cannot be read: its age is not known"
    if made > today + CLOCK_SLACK:
        return f"the calibration is dated {made}, in the future: its age is not known"
    dates = {part: _date_of(text) or made for part, text in calibration.measured_on.items()} or {"calibration": made}
    part, oldest = min(dates.items(), key=lambda item: item[1])
    days = (today - oldest).days
    if days > calibration.valid_days:
        return f"{part}: measured {oldest}, {days} days ago (valid for {calibration.valid_days}): calibrate again"
    return None


def missing_parts(calibration: Calibration) -> tuple[str, ...]:
    """What was not measured at this microscope, each with what follows from it, for the status line."""
    literature = Calibration()
    vectors = {"haematoxylin": calibration.haematoxylin_vector, "DAB": calibration.dab_vector}
    of_literature = {"haematoxylin": literature.haematoxylin_vector, "DAB": literature.dab_vector}
    missing = (
        (not calibration.objectives, "no objective: the size of a pixel is not calibrated"),
        (calibration.white_rgb is None, "no white reference: the white is estimated from each picture"),
        (calibration.flat_field is None, "no flat field: the light is taken as even"),
        (calibration.response == "unknown", "camera response unknown: od10 is apparent"),
        (vectors == of_literature, "stain vectors are the literature's, not your lab's"),
    )
    return tuple(words for is_missing, words in missing if is_missing)


def check_for_use(calibration: Calibration, today: date) -> None:
    """SettingsError for a slip of unit, or a date that is none or lies ahead, in a calibration that is to be used."""
    if calibration.white_rgb is not None and max(calibration.white_rgb) <= GREATEST_SHARE_WHITE:
        as_values = ", ".join(f"{255 * value:.0f}" for value in calibration.white_rgb)
        raise SettingsError(
            f"white_rgb {calibration.white_rgb} looks like shares of full scale. Give camera values: [{as_values}]."
        )
    for what in ("haematoxylin_vector", "dab_vector"):
        if min(getattr(calibration, what)) < 0:
            raise SettingsError(
                f"{what} {getattr(calibration, what)} has a negative entry: no stain adds light. Give od10 per "
                "channel, as 0.27, 0.57, 0.78."
            )
    for part, text in {"date": calibration.date, **calibration.measured_on}.items():
        made = _date_of(text)
        if made is None and (text or part != "date"):
            raise SettingsError(f"{part}: '{text}' is not a date. Write year-month-day, as {today}.")
        if made and made > today + CLOCK_SLACK:
            raise SettingsError(
                f"{part}: {made} lies in the future (today is {today}). Correct it, or the computer's clock."
            )


def _date_of(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _check_objective(name: str, um_per_px: float) -> None:
    try:
        checked_um_per_px(um_per_px)
    except Her2ScopeError as error:
        for unit, um in (("nanometres", 1e-3), ("millimetres", 1e3)):
            if MIN_USUAL_UM_PER_PX <= um_per_px * um <= MAX_USUAL_UM_PER_PX:
                meant = f"{um_per_px:g} looks like {unit}: give {um_per_px * um:g}"
                raise SettingsError(f"objective {name}: {meant} (micrometres per pixel).") from error
        raise SettingsError(f"objective {name}: {error}") from error


def _check_flat_field(flat_field: FlatField) -> None:
    fewest, most = FLAT_FIELD_SIDES
    columns = {len(row) for row in flat_field}
    if len(columns) != 1:
        raise SettingsError("flat_field: its rows differ in length. Measure it: her2scope calibrate empty IMAGE.")
    if not (fewest <= len(flat_field) <= most and fewest <= min(columns) <= most):
        raise SettingsError(f"flat_field must have {fewest} to {most} rows and columns. Measure it again.")
    low, high = FLAT_FIELD_RANGE
    for value in (value for row in flat_field for place in row for value in place):
        if not low <= value <= high:
            raise SettingsError(f"flat_field: a relative white of {value:g} is not from {low:g} to {high:g}.")


def _check_response(response: str) -> None:
    if response in ("linear", "srgb", "unknown"):
        return
    kind, _, value = response.partition(":")
    try:
        gamma = float(value)
    except ValueError:
        gamma = math.nan
    if kind != "gamma" or not 0.2 <= gamma <= 5:
        raise SettingsError(f"response '{response}' is not known. Use linear, srgb, gamma:X (X 0.2 to 5) or unknown.")


def _check_stains_differ(first: Vector, second: Vector) -> None:
    cosine = sum(a * b for a, b in zip(first, second, strict=True)) / (math.hypot(*first) * math.hypot(*second))
    if cosine > 0.995:
        raise SettingsError("haematoxylin_vector and dab_vector point the same way: the stains cannot be told apart.")


@dataclass(frozen=True, slots=True)
class Preferences:
    """How the window looks; nothing here can move a score."""

    palette: str = "safe"
    """`safe` (colour-blind-safe) or `paper` (colours of arXiv 2110.12900)."""
    show_membranes: bool = True
    show_cells: bool = True
    show_filled: bool = False
    show_outlines: bool = False
    reader: str = ""
    """Name of the pathologist, as it stands in events and reports."""
    own_score_first: bool = False
    """The computed score is hidden until the pathologist has entered their own."""
    show_overview: bool = True
    window_wh: tuple[int, int] = (1366, 768)


# ---- YAML ---------------------------------------------------------------------------------------------------------


def as_mapping(settings: Any) -> dict[str, Any]:
    """Plain mapping of any settings dataclass, for YAML, JSON and the case record."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value):
            return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
        if isinstance(value, Enum):
            return value.value
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return value

    return typing.cast(dict[str, Any], plain(settings))


def from_mapping(kind: type[T], data: Any, where: str) -> T:
    """Build a settings dataclass; SettingsError (with the nearest known key) for anything it does not know."""
    return typing.cast(T, _convert(kind, data, where))


def load_scoring(path: Path) -> ScoringSettings:
    """Read scoring settings; keys left out keep their default."""
    return from_mapping(ScoringSettings, _read_yaml(path), str(path))


def load_controls(path: Path) -> ControlMaterials:
    """Read the controls of a laboratory; limits left out keep their default."""
    materials = from_mapping(ControlMaterials, _read_yaml(path), str(path))
    for item in materials.controls:
        check_limits(item.limits, f"{path}: control {item.name}: ")
    return materials


def load_calibration(path: Path) -> Calibration:
    """Read a microscope's calibration; keys left out keep their default."""
    calibration = from_mapping(Calibration, _read_yaml(path), str(path))
    try:
        check_for_use(calibration, date.today())
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
    return calibration


def load_preferences(path: Path) -> tuple[Preferences, tuple[str, ...]]:
    """Read preferences, replacing whatever is wrong by its default; also what was replaced, in words."""
    repairs: list[str] = []
    if not path.exists():
        return Preferences(), ()
    try:
        data = _read_yaml(path)
    except SettingsError as error:
        return Preferences(), (str(error),)
    good = Preferences()
    for key, value in data.items() if isinstance(data, Mapping) else ():
        try:
            good = dataclasses.replace(
                good, **{key: getattr(from_mapping(Preferences, {key: value}, str(path)), str(key))}
            )
        except Her2ScopeError as error:
            repairs.append(f"{error} Its default is used.")
    return good, tuple(repairs)


def save_yaml(settings: Any, path: Path) -> None:
    """Write a settings dataclass, aside and then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    aside.write_bytes(as_yaml(settings))
    os.replace(aside, path)


def as_yaml(settings: Any) -> bytes:
    """YAML of any settings dataclass, one line for each innermost list."""
    text = yaml.safe_dump(as_mapping(settings), sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)
    return text.encode()


def home_dir() -> Path:
    """Folder of cases, preferences and logs: `HER2SCOPE_HOME`, else `~/her2scope`."""
    return Path(os.environ.get("HER2SCOPE_HOME") or Path.home() / "her2scope")


class _OneKeyOnce(yaml.SafeLoader):
    """Refuses a key that is given twice: of two cuts, the one further down would win unseen."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Mapping of a node, each key once."""
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                line = key.start_mark.line + 1
                raise SettingsError(f"key '{key.value}' is given twice (again in line {line}). Keep one of them.")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> Any:
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _OneKeyOnce)  # noqa: S506 - a SafeLoader
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file. Check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error}). Check that it is a YAML text file.") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise SettingsError(f"{path}: not valid YAML{line}. Correct it, or start from calibration/.") from error
    except (ValueError, RecursionError) as error:  # a date or number that cannot be, lists in lists without end
        raise SettingsError(f"{path}: not valid YAML ({error}). Correct it, or start from calibration/.") from error
    return {} if data is None else data


def _convert(kind: Any, value: Any, where: str) -> Any:
    """`value` from YAML as `kind`: a dataclass, number, text, flag, optional, tuple or mapping of these."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _convert_dataclass(kind, value, where)
    if origin in (types.UnionType, typing.Union):
        wanted = next(item for item in inner if item is not types.NoneType)
        return None if value is None else _convert(wanted, value, where)
    if origin is tuple:
        return _convert_tuple(inner, value, where)
    if origin in (Mapping, dict):
        if not isinstance(value, Mapping):
            raise SettingsError(f"{where}: expected names with values, found {value!r}. Correct it.")
        return {str(key): _convert(inner[1], item, f"{where}: {key}") for key, item in value.items()}
    return _convert_plain(kind, value, where)


def _convert_tuple(inner: tuple[Any, ...], value: Any, where: str) -> Any:
    """A tuple of so many values each of its kind, or (`tuple[float, ...]`) of any number of one kind."""
    any_number = len(inner) == 2 and inner[1] is Ellipsis
    if not isinstance(value, list | tuple) or not (any_number or len(value) == len(inner)):
        wanted = "a list" if any_number else f"{len(inner)} values"
        raise SettingsError(f"{where}: expected {wanted}, found {value!r}. Correct it.")
    if any_number:
        return tuple(_convert(inner[0], item, f"{where}: {i}") for i, item in enumerate(value, start=1))
    return tuple(_convert(kind, item, where) for kind, item in zip(inner, value, strict=True))


def _convert_plain(kind: Any, value: Any, where: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, Enum):
        if value not in [item.value for item in kind]:
            raise SettingsError(f"{where}: {value!r} is not known. Use {' or '.join(item.value for item in kind)}.")
        return kind(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    if kind is float and is_number:
        return float(value)
    if kind is int and is_number and float(value).is_integer():
        return int(value)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is str and not isinstance(value, Mapping | list) and value is not None:
        return str(value)
    words = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
    remedy = "Correct it."
    if kind in (float, int) and isinstance(value, str) and value[:1].isdigit():
        remedy = "Give the number alone, with a decimal point and without a unit (micrometres where it is a length)."
    raise SettingsError(f"{where}: expected {words.get(kind, kind)}, found {value!r}. {remedy}")


def _convert_dataclass(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{where}: expected keys with values, found {value!r}. Correct it.")
    hints = typing.get_type_hints(kind)
    known = [item.name for item in dataclasses.fields(kind)]
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"Known keys: {', '.join(known)}."
            raise SettingsError(f"{where}: unknown key '{key}'. {hint}")
    for item in dataclasses.fields(kind):
        has_default = item.default is not dataclasses.MISSING or item.default_factory is not dataclasses.MISSING
        if not has_default and item.name not in value:
            raise SettingsError(f"{where}: '{item.name}' is missing. Give it.")
    arguments = {key: _convert(hints[key], item, f"{where}: {key}") for key, item in value.items()}
    try:
        return kind(**arguments)
    except Her2ScopeError as error:
        raise SettingsError(f"{where}: {error}") from error
