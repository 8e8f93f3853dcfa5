"""Where the control history lies, and what `her2scope control history` shows of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from her2scope.app.outputs import check_outputs, write_all
from her2scope.domain.control_history import ChartReading, ControlChart
from her2scope.domain.errors import BadInputError
from her2scope.domain.guideline import Score
from her2scope.domain.westgard import Findings, JudgedHistory, JudgedReading, judge_history
from her2scope.ports import JsonObject
from her2scope.reporting.json_report import json_bytes
from her2scope.reporting.words import count, when
from her2scope.settings import home_dir
from her2scope.storage.control_history import FileControlHistory

SCHEMA = "her2scope.control-history/1"


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """What `her2scope control history` was asked; None of a name: all."""

    json_path: Path | None = None
    png_path: Path | None = None
    level: Score | None = None
    lot: str | None = None
    instrument: str | None = None


def control_history() -> FileControlHistory:
    """The history of this user's controls."""
    return FileControlHistory(home_dir() / "controls" / "history.jsonl")


def show_history(request: HistoryRequest) -> list[str]:
    """Lines of the readings that were asked for; writes their JSON and their picture where that was asked for."""
    history = control_history()
    outputs = [path for path in (request.json_path, request.png_path) if path]
    check_outputs(outputs, [history.path])
    judged = judge_history(history.entries())
    part = judged.only(request.level, request.lot, request.instrument)
    files = {request.json_path: json_bytes(history_json(part))} if request.json_path else {}
    if request.png_path:
        files[request.png_path] = _picture(part)
    write_all(files)
    return [*_lines(part, judged), *history.problems]


def history_json(judged: JudgedHistory) -> JsonObject:
    """The history as `her2scope.control-history/1`."""
    return {
        "schema": SCHEMA,
        "readings": [_reading_json(reading) for reading in judged.readings],
        "charts": [_chart_json(chart, judged) for chart in judged.charts],
    }


def _reading_json(reading: JudgedReading) -> JsonObject:
    entry = reading.entry
    return {
        "at_utc": entry.at_utc,
        "run": entry.run,
        "level": entry.level,
        "lot": entry.lot,
        "instrument": entry.instrument,
        "method": entry.method,
        "intensity_od10": entry.intensity_od10,
        "z": reading.z,
        "status": entry.status.value,
        "codes": list(entry.codes),
        "n_tumour": entry.n_tumour,
        "standing": reading.standing.value,
        "rules": _rules(reading.findings),
        "reasons": [finding.reason for finding in reading.findings],
    }


def _chart_json(chart: ControlChart, judged: JudgedHistory) -> JsonObject:
    key, baseline = chart.key, chart.baseline
    return {
        "level": key.level,
        "lot": key.lot,
        "instrument": key.instrument,
        "method": key.method,
        "baseline": baseline and {"n": len(baseline.runs), "mean_od10": baseline.mean_od10, "sd_ln": baseline.sd_ln},
        "points": [_point_json(point, judged) for point in chart.points],
    }


def _point_json(point: ChartReading, judged: JudgedHistory) -> JsonObject:
    entry = point.entry
    return {
        "at_utc": entry.at_utc,
        "run": entry.run,
        "intensity_od10": entry.intensity_od10,
        "z": point.z,
        "rules": _rules(judged.of(point)),
    }


def _picture(judged: JudgedHistory) -> bytes:
    if not any(chart.points for chart in judged.charts):
        raise BadInputError(
            "There is nothing to draw: no control reading of that kind with its lot, its run and a picture that can be "
            "judged. Nothing was written; read controls first, or leave out --lot, --instrument and --level."
        )
    from her2scope.reporting.levey_jennings import levey_jennings_png  # with its fonts only where a picture is wanted

    return levey_jennings_png(judged)


# ---- lines --------------------------------------------------------------------------------------------------------


def _lines(part: JudgedHistory, whole: JudgedHistory) -> Iterator[str]:
    if not whole.readings:
        yield "No control was read so far: the history is empty."
    elif not part.readings:
        yield f"None of the {count(len(whole.readings), 'control reading')} is of that kind. There are:"
        yield from _known(whole)
    for chart in part.charts:
        key = chart.key
        yield ", ".join([f"{key.level} control", f"lot {key.lot}", *filter(None, (key.instrument, key.method))])
        yield f"  {chart.note}"
        yield from _table([reading for reading in part.readings if reading.entry.key == key])
    uncharted = [reading for reading in part.readings if reading.entry.key is None]
    if uncharted:
        yield "on no chart, as no lot or run was given"
        yield from _table(uncharted)


def _known(judged: JudgedHistory) -> Iterator[str]:
    entries = [reading.entry for reading in judged.readings]
    for what in ("level", "lot", "instrument"):
        names = dict.fromkeys(getattr(entry, what) for entry in entries)
        yield f"  {what}: {', '.join(name or '(none)' for name in names)}"


def _table(readings: Sequence[JudgedReading]) -> Iterator[str]:
    """Readings in columns."""
    rows = [("time", "run", "level", "od10", "SD", "verdict", "rules", "remarks"), *map(_row, readings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def _row(reading: JudgedReading) -> tuple[str, ...]:
    entry = reading.entry
    return (
        when(entry.at_utc),
        entry.run,
        entry.level,
        f"{entry.intensity_od10:.3f}" if entry.intensity_od10 else "-",
        "-" if reading.z is None else f"{reading.z:+.1f}",
        entry.status.value,
        " ".join(_rules(reading.findings)) or "-",
        reading.remarks,
    )


def _rules(findings: Findings) -> list[str]:
    return [finding.rule for finding in findings]
