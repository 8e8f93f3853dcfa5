"""One microscope and camera, as calibrated: scales, white, stains, response."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from her2scope.domain.errors import Her2ScopeError, SettingsError
from her2scope.domain.units import checked_um_per_px

Vector = tuple[float, float, float]
FlatField = tuple[tuple[Vector, ...], ...]
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


NO_OBJECTIVE = "no objective: the size of a pixel is not calibrated"


def missing_parts(calibration: Calibration) -> tuple[str, ...]:
    """What was not measured at this microscope, each with what follows from it, for the status line."""
    literature = Calibration()
    vectors = {"haematoxylin": calibration.haematoxylin_vector, "DAB": calibration.dab_vector}
    of_literature = {"haematoxylin": literature.haematoxylin_vector, "DAB": literature.dab_vector}
    missing = (
        (not calibration.objectives, NO_OBJECTIVE),
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
