"""What is known of a slide before any cell is looked for: scale, white, tissue, and why it cannot be scored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from her2scope.annotations.shapes import Polygon
from her2scope.ports import SlideReader
from her2scope.settings import Calibration
from her2scope.slides.records import Survey


def survey(
    reader: SlideReader,
    path: Path,
    calibration: Calibration,
    um_per_px: float | None = None,
    restrict: Sequence[Polygon] = (),
    exclude: Sequence[Polygon] = (),
    controls: Sequence[Polygon] = (),
) -> Survey:
    """Survey a slide."""
    raise NotImplementedError
