"""What a scoring number can be at all: far wider than is sensible, so that only a slip is refused."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from her2scope.domain.errors import SettingsError

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
