"""`bench peers`: a whole field to its cells' classes, beside what others would run, with how well each finds nuclei."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from her2scope.app.bench.fields import UM_PER_PX, drawn_field, field_calibration
from her2scope.app.bench.figures import percentile, table
from her2scope.app.bench.instanseg import UM_PER_PX as INSTANSEG_UM_PER_PX
from her2scope.app.bench.instanseg import InstanSeg
from her2scope.app.bench.machine import analyser_facts, program_line
from her2scope.app.bench.request import BenchReport, BenchRequest
from her2scope.app.bench.textbook import scikit_image, textbook_cells
from her2scope.app.compose import DEFAULT_METHOD, make_analyser
from her2scope.domain.errors import BadInputError
from her2scope.evaluation.matching import Bounds, TrueNuclei, match_nuclei
from her2scope.evaluation.tallies import NucleusTally
from her2scope.phantom.field import PhantomField
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.ports import JsonObject
from her2scope.records import Frame, RgbImage
from her2scope.settings import ScoringSettings

SIZE_WH = (1024, 1024)
FIRST_SEED = 100_000
"""As `her2scope evaluate`: runs that nothing was trained on."""
RUNS_EACH = 3
"""Of one method on one field, after a first one; the median counts."""
MATCH_UM = 3.0
OURS, TEXTBOOK = "her2scope", "scikit-image textbook"
Places = NDArray[np.float64]
Method = Callable[[RgbImage], Places]
"""A picture to the middles `(N, 2)` of its nuclei, with all that the method does for a field."""


@dataclass(slots=True)
class _Tally:
    ms: list[float] = field(default_factory=list)
    nuclei: NucleusTally = field(default_factory=NucleusTally)


def bench_peers(request: BenchRequest) -> BenchReport:
    """Read fields of several runs by every method that is there."""
    size_wh = request.size_wh or SIZE_WH
    others, missing = _others(request)
    tallies = {name: _Tally() for name in (OURS, *others)}
    for seed in range(FIRST_SEED, FIRST_SEED + request.runs):
        drawn = drawn_field(size_wh, seed)
        analyser = make_analyser(DEFAULT_METHOD, ScoringSettings(), field_calibration(seed))
        for name, method in {OURS: _ours(analyser), **others}.items():
            ms, found = timed(method, drawn.rgb)
            tallies[name].ms.append(ms)
            tallies[name].nuclei += match_found(found, drawn)
    figures = {
        "program": analyser_facts(analyser),
        "size_wh": list(size_wh),
        "um_per_px": UM_PER_PX,
        "fields": request.runs,
        "methods": {name: _figures(tally, tallies[OURS]) for name, tally in tallies.items()},
        "missing": missing,
    }
    return BenchReport(_lines(figures), figures)


def _ours(analyser: FieldAnalyser) -> Method:
    def read(rgb: RgbImage) -> Places:
        result = analyser.analyse(Frame(rgb, 0, 0.0, UM_PER_PX), analyser.default_cuts)
        return np.array([(cell.x_px, cell.y_px) for cell in result.cells], np.float64).reshape(-1, 2)

    return read


def _others(request: BenchRequest) -> tuple[Mapping[str, Method], list[str]]:
    """The peers that can be run here, and why others cannot; a file that was named and cannot be run is refused."""
    found: dict[str, Method] = {}
    missing = []
    try:
        scikit_image("filters")
        found[TEXTBOOK] = lambda rgb: textbook_cells(rgb, UM_PER_PX).xy_px
    except BadInputError as error:
        missing.append(f"{TEXTBOOK}: {error}")
    if request.instanseg is None:
        missing.append("InstanSeg: give its TorchScript file with --instanseg")
        return found, missing
    model = InstanSeg(request.instanseg)
    for um_per_px in dict.fromkeys((UM_PER_PX, INSTANSEG_UM_PER_PX)):
        found[f"InstanSeg at {um_per_px:g} um/px"] = partial(_instanseg, model, um_per_px)
    return found, missing


def _instanseg(model: InstanSeg, read_at_um_per_px: float, rgb: RgbImage) -> Places:
    return model.nuclei_xy_px(rgb, UM_PER_PX, read_at_um_per_px)


def timed(method: Method, rgb: RgbImage) -> tuple[float, Places]:
    """Median ms of a method on a picture, and what it found; the first run is left out of the time."""
    found = method(rgb)
    taken_s = []
    for _ in range(RUNS_EACH):
        start_s = time.perf_counter()
        method(rgb)
        taken_s.append(time.perf_counter() - start_s)
    return 1e3 * float(np.median(taken_s)), found


def match_found(found_xy_px: Places, drawn: PhantomField) -> NucleusTally:
    """Hits, misses and false ones: centres within 3 um; what cannot be seen or is cut by the edge is neither."""
    cells = drawn.truth["cells"]
    height, width = drawn.rgb.shape[:2]
    xy_px = np.array([(cell["x_px"], cell["y_px"]) for cell in cells], np.float64).reshape(-1, 2)
    radius_px = np.array([cell["nucleus_radius_um"] for cell in cells], np.float64) / UM_PER_PX
    visible = np.array([cell["visible"] for cell in cells], bool)
    last_px = np.array([width - 0.5, height - 0.5])
    inside = ((xy_px - radius_px[:, None] >= -0.5) & (xy_px + radius_px[:, None] <= last_px)).all(axis=1)
    known = TrueNuclei(xy_px, np.full(len(cells), MATCH_UM / UM_PER_PX), visible & inside)
    rim_px = float(radius_px[visible].mean()) if visible.any() else MATCH_UM / UM_PER_PX
    return match_nuclei(found_xy_px, known, Bounds.of_picture((height, width), rim_px)).tally


def _figures(tally: _Tally, ours: _Tally) -> JsonObject:
    return {
        "ms_p50": percentile(tally.ms, 50),
        "ms_worst": percentile(tally.ms, 100),
        "times_slower": round(float(np.median(tally.ms) / np.median(ours.ms)), 2),
        "nuclei": tally.nuclei.as_json(),
    }


def _lines(figures: JsonObject) -> list[str]:
    width, height = figures["size_wh"]
    rows = [("method", "ms p50", "slower by", "nucleus F1", "precision", "recall")]
    for name, item in figures["methods"].items():
        shares = (_share(item["nuclei"][key]) for key in ("f1", "precision", "recall"))
        rows.append((name, f"{item['ms_p50']:.1f}", f"{item['times_slower']:.1f} x", *shares))
    return [
        program_line(figures["program"]),
        f"{figures['fields']} phantom fields of {width}x{height} px at {figures['um_per_px']:g} um/px, each of another"
        f" run; a nucleus is found within {MATCH_UM:g} um",
        *table(rows),
        *(f"left out: {why}" for why in figures["missing"]),
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
