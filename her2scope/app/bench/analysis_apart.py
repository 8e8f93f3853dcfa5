"""One analysis taken apart: the program's own functions, one after another, in the order in which it calls them."""

from __future__ import annotations

import time

from her2scope.app.bench.cell_steps import CellSteps
from her2scope.app.bench.figures import Stopwatch
from her2scope.domain.errors import BadInputError
from her2scope.imaging.profiles import membrane_mask
from her2scope.imaging.quality import check_quality, clear_white
from her2scope.imaging.staining import characteristic_curve, summarise_staining
from her2scope.imaging.stains import estimate_white, unmix
from her2scope.imaging.workspace import Workspace
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.records import Cell, Frame, StainImage
from her2scope.segmentation.decode import decode
from her2scope.segmentation.network import NetworkSegmenter


class AnalysisApart:
    """Times the stages of an analysis; keeps what the program keeps from frame to frame."""

    def __init__(self, analyser: FieldAnalyser) -> None:
        if not isinstance(analyser.segmenter, NetworkSegmenter):
            raise BadInputError("stages are timed of the network method alone.")
        self._analyser, self._segmenter = analyser, analyser.segmenter
        self._cuts = analyser.default_cuts
        self._cells, self._workspace = CellSteps(analyser.segmenter), Workspace()

    def run(self, watch: Stopwatch, frame: Frame) -> None:
        """Time each stage once."""
        rgb, scale = frame.rgb, frame.um_per_px
        with watch.timed("quality"):
            white = estimate_white(rgb)
            check_quality(rgb, scale, min(white), self._analyser.settings.quality)
        with watch.timed("unmix"):
            stains = unmix(rgb, scale, self._analyser.calibration, white)
        cells = self._find_cells(watch, frame, stains)
        with watch.timed("staining"):
            characteristic_curve(rgb, stains, self._cuts.stained_od10)
            summarise_staining(stains, cells)
            clear_white(rgb)

    def _find_cells(self, watch: Stopwatch, frame: Frame, stains: StainImage) -> tuple[Cell, ...]:
        segmenter, scale = self._segmenter, frame.um_per_px
        with watch.timed("network"):
            maps = segmenter.network.predict(frame.rgb, scale, stains.white_rgb)
        with watch.timed("decode"):
            decode(maps, segmenter.settings)
        start_s = time.perf_counter()
        found = segmenter.find(frame, stains)
        before_ms = watch.taken_ms["network"][-1] + watch.taken_ms["decode"][-1]
        watch.add("outlines", max(0.0, 1e3 * (time.perf_counter() - start_s) - before_ms))
        self._cells.run(watch, found.tumour(), found.maps, stains, self._cuts)
        least = segmenter.settings.min_membrane_probability
        with watch.timed("mask"):
            membrane_mask(maps.membrane, maps.um_per_px, stains.dab_od10, scale, self._cuts, least, self._workspace)
        return segmenter.segment(frame, stains, self._cuts).cells
