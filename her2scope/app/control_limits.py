"""`her2scope control limits`: a laboratory's own limits, from the readings that its history holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from her2scope.app.compose import read_controls
from her2scope.app.control_history import control_history
from her2scope.app.outputs import check_outputs, write_all
from her2scope.domain.control import ControlLimits
from her2scope.domain.control_history import ControlChart
from her2scope.domain.control_material import ANCHOR_LEVEL
from her2scope.domain.errors import BadInputError
from her2scope.domain.own_limits import own_limits, sufficient_runs
from her2scope.domain.westgard import judge_history
from her2scope.settings import as_yaml


@dataclass(frozen=True, slots=True)
class LimitsRequest:
    """What `her2scope control limits` was asked."""

    lot: str | None = None
    instrument: str | None = None
    method: str | None = None
    controls: Path | None = None
    material: str | None = None
    out: Path | None = None


def find_limits(request: LimitsRequest) -> list[str]:
    """Work out the limits; gives them beside those so far, and writes the controls with them where asked to."""
    history = control_history()
    check_outputs([request.out] if request.out else [], [path for path in (request.controls, history.path) if path])
    materials = read_controls(request.controls)
    material = materials.named(request.material)
    judged = judge_history(history.entries()).only(ANCHOR_LEVEL, request.lot, request.instrument, request.method)
    chart = _only_chart(judged.charts)
    runs = sufficient_runs(chart, judged)
    limits = own_limits([entry.figures for entry in runs], material.limits)
    if request.out:
        changed = tuple(replace(item, limits=limits) if item is material else item for item in materials.controls)
        write_all({request.out: as_yaml(replace(materials, controls=changed))})
    where = ", ".join(filter(None, (f"lot {chart.key.lot}", chart.key.instrument, chart.key.method)))
    lines = [f"from {len(runs)} of {len(chart.points)} runs ({where})", *_changes(material.limits, limits)]
    return [*lines, f"written to {request.out}" if request.out else "not written: give --out FILE"]


def _only_chart(charts: tuple[ControlChart, ...]) -> ControlChart:
    if not charts:
        raise BadInputError(
            f"no {ANCHOR_LEVEL} control of that kind with a lot was read so far. Read some: her2scope control check "
            "IMAGE ... --lot L."
        )
    if len(charts) > 1:
        known = "; ".join(f"lot {item.key.lot}, {item.key.instrument}, {item.key.method}" for item in charts)
        choose = "Choose one with --lot, --instrument and --method."
        raise BadInputError(f"there are {len(charts)} charts ({known}). {choose}")
    return charts[0]


def _changes(before: ControlLimits, after: ControlLimits) -> Iterator[str]:
    old = asdict(before)
    for name, value in asdict(after).items():
        if value != old[name]:
            yield f"  {name}: {old[name]:g} -> {value:g}"
