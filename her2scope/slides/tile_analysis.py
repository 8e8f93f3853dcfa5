"""One tile of a slide -> its cells, as columns in um of the slide."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellKind
from her2scope.imaging.staining import summarise_staining
from her2scope.imaging.stains import unmix
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.region_gate import RegionGate
from her2scope.ports import RegionModel, SlideReader
from her2scope.records import CameraState, Cell, Frame, RgbImage, StainImage
from her2scope.segmentation.network import NetworkSegmenter, Part
from her2scope.slides.records import (
    CLASS_CODES,
    NO_CELLS,
    NO_CLASS,
    OUTLINE_PLACES,
    SlideCells,
    Tile,
    TileResult,
    TileWork,
)
from her2scope.slides.seams import BEYOND_UM
from her2scope.slides.tiles import seen_from_px, seen_to_px, told_um_per_px

LEAST_JUDGED_CELLS = 20
"""Tumour cells below which a tile's staining says nothing of the method: one cell's haze is no field's."""
REGION_MARGIN_UM = 128.0
"""What a region model is shown around a core."""
REGION_BLOCK_PX = 32
"""Its pictures begin between blocks of so many of its own pixels, the same in all tiles."""
_CODE_OF = {name: code for code, name in enumerate(CLASS_CODES)}


class TileAnalyser:
    """Analyses tiles of one slide. One thread uses it, and the analyser's segmenter with it.

    Parameters
    ----------
    region_model : says which cells are counted (`work.count_in`); without one all are
    """

    def __init__(
        self,
        reader: SlideReader,
        analyser: FieldAnalyser,
        work: TileWork,
        region_model: RegionModel | None = None,
    ) -> None:
        self._reader, self._segmenter, self._work = reader, analyser.segmenter, work
        self._region = None if region_model is None else _Region(reader, region_model, work)
        self._told_um_per_px = told_um_per_px(work.scale.um_per_px)
        # The slide's white is one for all tiles. A flat field is of a camera's picture, not of a place on a slide.
        self._calibration = replace(work.calibration, white_rgb=work.white_rgb, flat_field=None)

    def analyse(self, tile: Tile) -> TileResult:
        """Cells of a tile; UnreadableImageError where the slide is damaged there."""
        start_s = time.perf_counter()
        scale = self._work.scale
        left, top = (seen_from_px(start, scale.um_per_px) for start in (tile.left_px, tile.top_px))
        right = seen_to_px(tile.left_px + tile.width_px, scale.um_per_px, scale.width_px)
        bottom = seen_to_px(tile.top_px + tile.height_px, scale.um_per_px, scale.height_px)
        rgb = self._reader.region(scale.level, left, top, right - left, bottom - top)
        stains = self._unmixed(rgb)
        camera = CameraState(response=self._calibration.response)
        frame = Frame(rgb, 0, 0.0, self._told_um_per_px, camera, self._work.path.name)
        own = self._found(frame, stains, _told_of(tile, left, top, BEYOND_UM / scale.um_per_px))
        cells = self._columns(own, left, top, tile)
        return TileResult(tile, cells, self._doubts(stains, own), time.perf_counter() - start_s)

    def _found(self, frame: Frame, stains: StainImage, part: Part) -> list[Cell]:
        """Cells in a part of the picture; one that the slide's edge cuts is not a whole one and left out."""
        if isinstance(self._segmenter, NetworkSegmenter):
            cells = self._segmenter.cells_in(part, frame, stains, self._work.cuts)
        else:
            cells = self._segmenter.segment(frame, stains, self._work.cuts).cells
            middles_px = np.array([(cell.x_px, cell.y_px) for cell in cells], np.float32).reshape(-1, 2)
            cells = tuple(compress(cells, part.holds(middles_px, 1.0)))
        return [cell for cell in cells if not cell.edge]

    def _unmixed(self, rgb: RgbImage) -> StainImage:
        stains = unmix(rgb, self._told_um_per_px, self._calibration)
        return replace(stains, white_estimated=self._work.white_estimated)

    def _doubts(self, stains: StainImage, cells: Sequence[Cell]) -> tuple[str, ...]:
        """What the method says against itself on so stained tissue."""
        if sum(cell.kind is CellKind.TUMOUR for cell in cells) < LEAST_JUDGED_CELLS:
            return ()
        return tuple(self._segmenter.doubts(summarise_staining(stains, cells)))

    def _columns(self, cells: Sequence[Cell], left_px: int, top_px: int, tile: Tile) -> SlideCells:
        """The cells as columns; their picture begins at `left_px`, `top_px` of the level."""
        if not cells:
            return NO_CELLS
        um_per_px = self._work.scale.um_per_px
        own_size = um_per_px / self._told_um_per_px
        x_um = (np.array([cell.x_px for cell in cells]) + left_px + 0.5) * um_per_px
        y_um = (np.array([cell.y_px for cell in cells]) + top_px + 0.5) * um_per_px
        middle_px = np.array([(cell.x_px, cell.y_px) for cell in cells])
        outlines_px = np.stack([_few_places(cell.outline_xy_px) for cell in cells])
        completeness, intensity, intense, uniform = np.array(
            [
                (m.completeness, m.intensity_od10, m.intense_share, m.uniform_od10)
                for m in (cell.measure for cell in cells)
            ],
            np.float32,
        ).T
        return SlideCells(
            x_um=x_um,
            y_um=y_um,
            radius_um=np.array([cell.nucleus_radius_um for cell in cells], np.float32) * np.float32(own_size),
            class_code=np.array(
                [NO_CLASS if cell.cell_class is None else _CODE_OF[cell.cell_class] for cell in cells], np.uint8
            ),
            completeness=completeness,
            intensity_od10=intensity,
            intense_share=intense,
            uniform_od10=uniform,
            uncertain=np.array([cell.measure.uncertain for cell in cells], np.bool_),
            within=np.ones(len(cells), np.bool_) if self._region is None else self._region.holds(tile, x_um, y_um),
            outline_um=((outlines_px - middle_px[:, None]) * um_per_px).astype(np.float16),
        )


class _Region:
    """Where a region model says that cells are counted."""

    def __init__(self, reader: SlideReader, model: RegionModel, work: TileWork) -> None:
        self._reader, self._model = reader, model
        self._gate = RegionGate.of(model, work.count_in, work.least_probability)
        um_per_px = [work.scale.um_per_px / work.scale.downsample * level.downsample for level in reader.levels]
        fine = [at for at, scale in enumerate(um_per_px) if scale <= model.um_per_px]
        self._level = fine[-1] if fine else 0
        self._um_per_px = um_per_px[self._level]
        self._read_um_per_px = work.scale.um_per_px

    def holds(self, tile: Tile, x_um: NDArray[np.float64], y_um: NDArray[np.float64]) -> NDArray[np.bool_]:
        """`(N,)` whether cells are counted at places in or near a tile's core, as `RegionGate` has it of a frame."""
        left, right = self._seen_px(tile.left_px, tile.width_px)
        top, bottom = self._seen_px(tile.top_px, tile.height_px)
        rgb = self._reader.region(self._level, left, top, right - left, bottom - top)
        outside = self._gate.outside(rgb, self._um_per_px)
        places = []
        for at_um, begin_px, side in ((y_um, top, outside.shape[0]), (x_um, left, outside.shape[1])):
            place = np.floor((at_um - begin_px * self._um_per_px) / self._model.um_per_px).astype(np.intp)
            places.append(np.clip(place, 0, side - 1))
        return outside[places[0], places[1]] == 0

    def _seen_px(self, start_px: int, length_px: int) -> tuple[int, int]:
        """Where the model's picture of a core begins and ends, in px of its level; it begins between whole blocks."""
        block_um = REGION_BLOCK_PX * self._model.um_per_px
        begin_um = start_px * self._read_um_per_px - REGION_MARGIN_UM
        end_um = (start_px + length_px) * self._read_um_per_px + REGION_MARGIN_UM
        first, last = math.floor(begin_um / block_um), math.ceil(end_um / block_um)
        return round(first * block_um / self._um_per_px), round(last * block_um / self._um_per_px)


def _told_of(tile: Tile, left_px: int, top_px: int, beyond_px: float) -> Part:
    """A tile's core and a little beyond, in a picture that begins at `left_px`, `top_px` of the level."""
    left, top = tile.left_px - left_px, tile.top_px - top_px
    return Part(left - beyond_px, top - beyond_px, left + tile.width_px + beyond_px, top + tile.height_px + beyond_px)


def _few_places(outline_xy_px: NDArray[np.float32]) -> NDArray[np.float32]:
    """`OUTLINE_PLACES` of an outline's places, evenly."""
    n = len(outline_xy_px)
    return outline_xy_px[(np.arange(OUTLINE_PLACES) * n) // OUTLINE_PLACES]
