"""The laboratory's own chart of a control that a case was read with."""

from __future__ import annotations

from collections.abc import Sequence

from her2scope.domain.control_history import ChartKey, ControlEntry
from her2scope.domain.westgard import judge_history
from her2scope.records import ControlReading, RgbImage, image_digest
from her2scope.reporting.levey_jennings import levey_jennings
from her2scope.reporting.words import clean, count

SIZE_PX, SCALE = (1600, 520), 1.6
"""Letters as large as the report's own, over the width of a page."""
CHART_TITLE = "Control chart of the laboratory"
NO_CHART = "No control chart: the laboratory's history does not hold this reading with its lot and its run."


def control_chart(reading: ControlReading, history: Sequence[ControlEntry]) -> tuple[str, RgbImage | None]:
    """What is to be said, and the Levey-Jennings chart of the level, lot, instrument and method of a reading."""
    key = _chart_of(reading, history)
    if key is None:
        return NO_CHART, None
    judged = judge_history(history).only(key.level, key.lot, key.instrument, key.method)
    n_points = sum(len(chart.points) for chart in judged.charts)
    if not n_points:
        return NO_CHART, None
    runs = f"{count(n_points, 'run')} of this level, lot, instrument and method"
    told = f"{runs}; this reading is of run {clean(reading.run)}."
    return told, levey_jennings(judged, SIZE_PX, SCALE)


def _chart_of(reading: ControlReading, history: Sequence[ControlEntry]) -> ChartKey | None:
    """Chart that a reading stands on: that of the newest entry which was read from its very image."""
    same = (reading.expected, reading.lot.strip())
    entries = [entry for entry in history if entry.key is not None and (entry.level, entry.lot.strip()) == same]
    if not entries:
        return None
    image = image_digest(reading.result.frame.rgb)
    return next((entry.key for entry in reversed(entries) if image in entry.images), None)
