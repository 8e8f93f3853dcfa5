"""Worked series of control readings, for every test of the history."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from her2scope.domain.control_history import BASELINE_RUNS, ControlEntry
from her2scope.domain.score import ControlStatus

MEAN_OD10, SD_LN = 0.60, 0.10
FIRST_DAY = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
_SPREAD = math.sqrt((BASELINE_RUNS - 1) / BASELINE_RUNS)
"""Runs at plus and minus this have a sample SD of exactly 1."""


def od10(z: float) -> float:
    """Intensity that lies `z` SD above the mean of `baseline`."""
    return MEAN_OD10 * math.exp(z * SD_LN)


def entry(number: int = 0, z: float = 0.0, **changes: Any) -> ControlEntry:
    """Reading of run `number`, one run a day."""
    values: dict[str, Any] = {
        "at_utc": (FIRST_DAY + timedelta(days=number)).isoformat(timespec="milliseconds"),
        "run": f"run {number:03}",
        "level": "3+",
        "lot": "L1",
        "instrument": "bench 2",
        "method": "network 3fa2b1",
        "intensity_od10": od10(z),
        "status": ControlStatus.VALID,
        "codes": (),
        "n_tumour": 400,
    }
    values |= changes
    return ControlEntry(**({"images": (f"{values['level']} {values['lot']} {number} {z}",)} | values))


def baseline(**changes: Any) -> tuple[ControlEntry, ...]:
    """Twenty valid runs with mean 0.60 od10 and an SD of 0.10 in ln(od10), alternating about the mean."""
    return series([_SPREAD if number % 2 else -_SPREAD for number in range(BASELINE_RUNS)], 0, **changes)


def series(zs: Sequence[float], first: int = BASELINE_RUNS, **changes: Any) -> tuple[ControlEntry, ...]:
    """Runs in a row, by their z."""
    return tuple(entry(first + number, z, **changes) for number, z in enumerate(zs))
