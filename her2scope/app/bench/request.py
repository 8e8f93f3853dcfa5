"""What `her2scope bench` was asked, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from her2scope.ports import JsonObject

DEFAULT_SOURCE = "phantom:2+?seed=8&difficulty=usual"
"""Some 800 cells in 1920x1080 px at 0.25 um/px."""
LIVE_WH = (1920, 1080)


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """One benchmark."""

    what: str
    """A key of `run.BENCHES`."""
    source: str | None = None
    """None: what the benchmark is usually run on."""
    size_wh: tuple[int, int] | None = None
    """None: what the benchmark is usually run at."""
    seconds: float | None = None
    """How long it measures; None: as long as it usually does."""
    json_path: Path | None = None
    um_per_px: float | None = None
    calibration: Path | None = None
    """These two for a source that is no phantom."""
    frames: int = 20_000
    """Of `memory`."""
    runs: int = 5
    """Of `startup`: fresh processes; of `peers`: fields."""
    instanseg: Path | None = None
    """TorchScript file of InstanSeg, for `peers`."""
    provider: str | None = None
    """Part of the name of the processor that the network must run on, else nothing is measured."""


@dataclass(frozen=True, slots=True)
class BenchReport:
    """What a benchmark found."""

    lines: Sequence[str]
    figures: JsonObject
    """For the JSON file, beside what is said of the machine."""
    failed: bool = False
    """What was measured is not what was to be measured."""
