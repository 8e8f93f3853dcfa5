"""What is done for each cell once its outline is found, one step after another."""

from __future__ import annotations

import numpy as np

from her2scope.app.bench.figures import Stopwatch
from her2scope.domain.cells import StainCuts, classify
from her2scope.imaging.cell_outlines import CellOutlines, Floats
from her2scope.imaging.kept_profiles import kept
from her2scope.imaging.outline_bands import CELLS_AT_ONCE, read_bands
from her2scope.imaging.outline_places import OutlinePlaces
from her2scope.imaging.profiles import read_profiles
from her2scope.imaging.workspace import Workspace
from her2scope.records import StainImage
from her2scope.segmentation.maps import NetworkMaps
from her2scope.segmentation.network import NetworkSegmenter


class CellSteps:
    """Times the steps with a network's reader and rule; keeps its workspace from frame to frame as the program does."""

    def __init__(self, segmenter: NetworkSegmenter) -> None:
        self._segmenter = segmenter
        self._workspace = Workspace()

    def run(
        self, watch: Stopwatch, outlines: CellOutlines, maps: NetworkMaps, stains: StainImage, cuts: StainCuts
    ) -> None:
        """Time them for cells of a picture, by their outlines in the frame's pixels."""
        places = watch.run("outline places", lambda: OutlinePlaces.along(outlines))
        membrane = np.zeros_like(places.x_px)
        for stage in ("bands", "reader"):
            watch.add(stage, 0.0)
        for rows, some in places.parts(CELLS_AT_ONCE):
            self._read(watch, rows, some, membrane, maps, stains)
        dab, scale = stains.dab_od10, stains.um_per_px
        profiles = watch.run("profiles", lambda: read_profiles(places, dab, scale, membrane, self._workspace))
        with watch.timed("classes"):
            for measure in self._segmenter.measure_again(kept(profiles), cuts):
                classify(measure, cuts, self._segmenter.rule)

    def _read(
        self,
        watch: Stopwatch,
        rows: slice,
        some: OutlinePlaces,
        membrane: Floats,
        maps: NetworkMaps,
        stains: StainImage,
    ) -> None:
        """Which places of some cells carry membrane; a part of two stages."""
        planes = stains.dab_od10, stains.haematoxylin_od10
        with watch.more("bands"):
            bands = read_bands(
                some, *planes, stains.um_per_px, maps.membrane, maps.nucleus, maps.um_per_px, self._workspace
            )
        if self._segmenter.reader is not None:
            with watch.more("reader"):
                membrane[rows] = self._segmenter.reader.read(bands)
