"""`bench cells`: how the cost grows with the frame and with the cells in it.

Two tables. Frames from 0.3 to 12 MP, cut from one phantom field, through the whole analysis: cells grow with the
picture. Then what is done cell by cell, for the N cells nearest to the middle of the largest picture: so neighbours lie
as densely among few cells as among many. Where that picture has fewer cells, more are had by taking all of them again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from her2scope.app.bench.cell_steps import CellSteps
from her2scope.app.bench.fields import UM_PER_PX, field_calibration, frame_of, picture
from her2scope.app.bench.figures import Stopwatch, exponent, table, told_growth
from her2scope.app.bench.machine import analyser_facts, program_line
from her2scope.app.bench.request import BenchReport, BenchRequest
from her2scope.app.compose import DEFAULT_METHOD, make_analyser
from her2scope.domain.cells import StainCuts
from her2scope.domain.errors import BadInputError
from her2scope.imaging.cell_outlines import CellOutlines
from her2scope.imaging.stains import unmix
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.ports import JsonObject
from her2scope.records import RgbImage, StainImage
from her2scope.segmentation.network import FoundCells, NetworkSegmenter
from her2scope.settings import ScoringSettings

SIZES_WH = ((640, 480), (1280, 720), (1920, 1080), (2592, 1944), (4096, 3000))
N_CELLS = (0, 100, 400, 800, 1600, 5000)
SECONDS = 40.0
LEAST_RUNS = 3


def bench_cells(request: BenchRequest) -> BenchReport:
    """Measure both tables, with pictures up to the size that was asked for."""
    largest = request.size_wh or SIZES_WH[-1]
    sizes = [wh for wh in SIZES_WH if wh[0] < largest[0] and wh[1] < largest[1]] + [largest]
    analyser = make_analyser(DEFAULT_METHOD, ScoringSettings(), field_calibration())
    segmenter = analyser.segmenter
    if not isinstance(segmenter, NetworkSegmenter):
        raise BadInputError("cells are measured one by one by the network method alone.")
    drawn = picture(largest)
    each_s = (request.seconds or SECONDS) / (len(sizes) + len(N_CELLS))
    frames = [whole_frame(analyser, drawn, size_wh, each_s) for size_wh in sizes]
    frame = frame_of(drawn)
    stains = unmix(frame.rgb, frame.um_per_px, analyser.calibration)
    found = segmenter.find(frame, stains)
    cells = [cell_level(segmenter, found, stains, analyser.default_cuts, n, each_s) for n in N_CELLS]
    fits = {
        "ms_by_megapixels": exponent([item["megapixels"] for item in frames], [item["ms"] for item in frames]),
        "ms_by_cells": exponent([item["cells"] for item in cells], [item["ms"] - cells[0]["ms"] for item in cells]),
    }
    figures = {
        "program": analyser_facts(analyser),
        "um_per_px": UM_PER_PX,
        "frames": frames,
        "cell_level": cells,
        "exponents": fits,
        "cells_in_picture": int(found.is_tumour.sum()),
    }
    return BenchReport(_lines(figures), figures)


def whole_frame(analyser: FieldAnalyser, drawn: RgbImage, size_wh: tuple[int, int], seconds: float) -> JsonObject:
    """Median ms of the whole analysis of a cut from the picture's middle."""
    width, height = size_wh
    top, left = (drawn.shape[0] - height) // 2, (drawn.shape[1] - width) // 2
    frame = frame_of(drawn[top : top + height, left : left + width])
    result = analyser.analyse(frame, analyser.default_cuts)
    ms = median_ms(lambda: analyser.analyse(frame, analyser.default_cuts), seconds)
    return {
        "size_wh": [width, height],
        "megapixels": width * height / 1e6,
        "cells": len(result.cells),
        "ms": ms,
        "reasons": list(result.quality.reasons),
    }


def cell_level(
    segmenter: NetworkSegmenter, found: FoundCells, stains: StainImage, cuts: StainCuts, n: int, seconds: float
) -> JsonObject:
    """Median ms of all that is done for each of N tumour cells after their outlines were found."""
    outlines, steps = nearest_cells(found.tumour(), n), CellSteps(segmenter)
    ms = median_ms(lambda: steps.run(Stopwatch(), outlines, found.maps, stains, cuts), seconds)
    return {"cells": len(outlines.xy_px), "ms": ms}


def nearest_cells(outlines: CellOutlines, n: int) -> CellOutlines:
    """The N cells nearest to their common middle; all of them again and again where there are too few."""
    if not len(outlines.xy_px):
        return outlines
    away_px = outlines.xy_px - outlines.xy_px.mean(axis=0)
    return outlines.chosen(np.resize(np.argsort((away_px**2).sum(axis=1)), n))


def median_ms(work: Callable[[], object], seconds: float) -> float:
    """Median of some runs, the first one left out."""
    work()
    taken_ms: list[float] = []
    until_s = time.perf_counter() + seconds
    while len(taken_ms) < LEAST_RUNS or time.perf_counter() < until_s:
        start_s = time.perf_counter()
        work()
        taken_ms.append(1e3 * (time.perf_counter() - start_s))
    return round(float(np.median(taken_ms)), 3)


def _lines(figures: JsonObject) -> list[str]:
    frames = [("frame", "MP", "cells", "ms", "ms per MP", "")]
    for item in figures["frames"]:
        per_mp = f"{item['ms'] / item['megapixels']:.1f}"
        size = "x".join(map(str, item["size_wh"]))
        why = "not analysed" if item["reasons"] and not item["cells"] else ""
        frames.append((size, f"{item['megapixels']:.2f}", str(item["cells"]), f"{item['ms']:.1f}", per_mp, why))
    cells = [("tumour cells", "ms", "us per cell")]
    for item in figures["cell_level"]:
        per_cell = f"{1e3 * item['ms'] / item['cells']:.1f}" if item["cells"] else "-"
        cells.append((str(item["cells"]), f"{item['ms']:.2f}", per_cell))
    fits, n_cells = figures["exponents"], figures["cells_in_picture"]
    return [
        program_line(figures["program"]),
        f"scale: {figures['um_per_px']:g} um/px",
        "",
        "whole analysis by size of the frame (cuts of one field)",
        *table(frames),
        told_growth(fits["ms_by_megapixels"]),
        "",
        f"profiles, reader and classes by number of cells ({n_cells} tumour cells are there; more: the same again)",
        *table(cells),
        told_growth(fits["ms_by_cells"]),
    ]
