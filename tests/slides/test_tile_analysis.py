"""Tiles of a slide by the real network: the same cells whatever the tiles' size, in um of the slide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import factories
import numpy as np
import pytest
from drawn_tissue import ArraySlide
from region_models import DrawnModel

from her2scope.app.compose import make_analyser
from her2scope.domain.cells import CellClass
from her2scope.domain.errors import NotAvailableError
from her2scope.imaging.opencv import cv2
from her2scope.imaging.stains import unmix
from her2scope.records import Frame
from her2scope.segmentation.methods import CLOSED_CONTOURS, NETWORK
from her2scope.segmentation.network import Part
from her2scope.settings import Calibration, NetworkSettings, ScoringSettings
from her2scope.slides.records import (
    CLASS_CODES,
    NO_CLASS,
    OUTLINE_PLACES,
    SlideScale,
    Square,
    Survey,
    Tile,
    TileWork,
    TissueMap,
)
from her2scope.slides.seams import BEYOND_UM, one_cell_each
from her2scope.slides.tile_analysis import TileAnalyser
from her2scope.slides.tiles import plan_tiles, told_um_per_px

WHITE = (240.0, 240.0, 240.0)
SHARES = {
    CellClass.COMPLETE_INTENSE: 0.3,
    CellClass.COMPLETE_MODERATE: 0.2,
    CellClass.INCOMPLETE_FAINT: 0.2,
    CellClass.NONE: 0.2,
    None: 0.1,
}


@pytest.fixture(scope="module")
def rgb():
    """A honeycomb of some 400 cells."""
    return factories.honeycomb_field(SHARES, size_hw=(1100, 1300), seed=3).frame.rgb


@pytest.fixture(scope="module")
def analyser():
    return make_analyser(NETWORK, ScoringSettings(), Calibration(), threads=1)


def work_of(rgb, um_per_px, method=NETWORK, cuts=None, **more) -> TileWork:
    height, width = rgb.shape[:2]
    scale, settings = SlideScale(0, 1.0, um_per_px, width, height), ScoringSettings()
    return TileWork(Path("a.svs"), scale, WHITE, True, Calibration(), settings, method, cuts or settings.cuts, **more)


def survey_of(work: TileWork) -> Survey:
    rows, columns = (
        int(np.ceil(side * work.scale.um_per_px / 32.0)) for side in (work.scale.height_px, work.scale.width_px)
    )
    tissue = TissueMap(32.0, np.full((rows, columns), Square.TISSUE, np.uint8))
    return Survey(work.path, work.scale, WHITE, True, tissue, np.zeros((2, 2, 3), np.uint8), 8.0)


def cells_of(rgb, analyser, um_per_px, tile_px, model=None, **more):
    work = work_of(rgb, um_per_px, **more)
    tiles = TileAnalyser(ArraySlide(rgb, um_per_px, (1,)), analyser, work, model)
    plan = plan_tiles(survey_of(work), tile_px)
    return one_cell_each([tiles.analyse(tile) for tile in plan], survey_of(work))


@pytest.mark.parametrize("um_per_px", [0.25, 0.2278])
def test_the_cells_are_the_same_whatever_the_tiles_size(rgb, analyser, um_per_px):
    whole, small = (cells_of(rgb, analyser, um_per_px, tile_px) for tile_px in (4096, 400))
    assert len(whole) > 250
    assert len(small) == len(whole)
    away_um = np.hypot(small.x_um[:, None] - whole.x_um, small.y_um[:, None] - whole.y_um)
    same = away_um.argmin(axis=1)
    assert sorted(same.tolist()) == list(range(len(whole)))
    assert away_um.min(axis=1).max() < 0.1
    assert (small.class_code == whole.class_code[same]).mean() >= 0.995


def test_places_are_those_of_the_method_in_um_of_the_slide(rgb, analyser):
    work = work_of(rgb, 0.25)
    tile = Tile(0, 0, 0, 0, rgb.shape[1], rgb.shape[0])
    found = TileAnalyser(ArraySlide(rgb, 0.25, (1,)), analyser, work).analyse(tile).cells
    stains = unmix(rgb, 0.25, Calibration(white_rgb=WHITE))
    cells = [cell for cell in analyser.segmenter.segment(Frame(rgb, 0, 0.0, 0.25), stains, work.cuts).cells]
    cells = [cell for cell in cells if not cell.edge]
    np.testing.assert_allclose(found.x_um, [(cell.x_px + 0.5) * 0.25 for cell in cells])
    np.testing.assert_allclose(found.y_um, [(cell.y_px + 0.5) * 0.25 for cell in cells])
    names = [None if code == NO_CLASS else CLASS_CODES[code] for code in found.class_code]
    assert names == [cell.cell_class for cell in cells]
    np.testing.assert_allclose(found.completeness, [cell.measure.completeness for cell in cells], rtol=1e-6)
    np.testing.assert_allclose(found.intensity_od10, [cell.measure.intensity_od10 for cell in cells], rtol=1e-6)
    assert found.outline_um.shape == (len(cells), OUTLINE_PLACES, 2)
    first = np.array([cell.outline_xy_px[0] - (cell.x_px, cell.y_px) for cell in cells]) * 0.25
    np.testing.assert_allclose(found.outline_um[:, 0], first, atol=0.02)


def test_cells_in_doubt_are_in_doubt_on_a_slide(rgb):
    settings = ScoringSettings(network=NetworkSettings(certain_membrane_probability=0.996))
    strict, work = make_analyser(NETWORK, settings, Calibration(), threads=1), work_of(rgb, 0.25)
    tile = Tile(0, 0, 0, 0, rgb.shape[1], rgb.shape[0])
    found = TileAnalyser(ArraySlide(rgb, 0.25, (1,)), strict, work).analyse(tile).cells
    stains = unmix(rgb, 0.25, Calibration(white_rgb=WHITE))
    cells = strict.segmenter.segment(Frame(rgb, 0, 0.0, 0.25), stains, work.cuts).cells
    doubted = [cell.measure.uncertain for cell in cells if not cell.edge]
    assert found.uncertain.tolist() == doubted and len(set(doubted)) == 2


def test_a_part_of_a_frame_has_the_cells_that_the_whole_has_there(rgb, analyser):
    frame = Frame(rgb, 0, 0.0, 0.25)
    stains = unmix(rgb, 0.25, Calibration(white_rgb=WHITE))
    whole = analyser.segmenter.segment(frame, stains, ScoringSettings().cuts).cells
    part = analyser.segmenter.cells_in(Part(300, 200, 900, 800), frame, stains, ScoringSettings().cuts)
    there = [c for c in whole if 300 <= c.x_px + 0.5 < 900 and 200 <= c.y_px + 0.5 < 800]
    assert [(c.x_px, c.y_px, c.cell_class, c.measure) for c in part] == [
        (c.x_px, c.y_px, c.cell_class, c.measure) for c in there
    ]
    assert 0 < len(part) < len(whole)


def test_a_tile_tells_of_cells_in_its_core_and_a_little_beyond(rgb, analyser):
    tile = Tile(1, 1, 400, 400, 300, 250)
    found = TileAnalyser(ArraySlide(rgb, 0.25, (1,)), analyser, work_of(rgb, 0.25)).analyse(tile).cells
    assert len(found) > 5
    assert (found.x_um >= 100 - BEYOND_UM).all() and (found.x_um < 175 + BEYOND_UM).all()
    assert (found.y_um >= 100 - BEYOND_UM).all() and (found.y_um < 162.5 + BEYOND_UM).all()


def test_empty_glass_has_no_cells(analyser):
    rgb = np.full((600, 600, 3), 240, np.uint8)
    found = TileAnalyser(ArraySlide(rgb, 0.25, (1,)), analyser, work_of(rgb, 0.25)).analyse(Tile(0, 0, 0, 0, 600, 600))
    assert len(found.cells) == 0
    assert found.doubts == ()


def test_the_closed_contours_method_tells_of_the_same_columns(rgb):
    method = make_analyser(CLOSED_CONTOURS, ScoringSettings(), Calibration(), threads=1)
    cut = rgb[:700, :700]
    work = work_of(cut, 0.25, CLOSED_CONTOURS)
    found = TileAnalyser(ArraySlide(cut, 0.25, (1,)), method, work).analyse(Tile(0, 0, 100, 100, 400, 400)).cells
    assert len(found) > 10
    assert (found.x_um >= 25 - BEYOND_UM).all() and (found.x_um < 125 + BEYOND_UM).all()


def test_radii_are_of_the_slides_own_scale_where_the_network_is_told_another(rgb, analyser):
    um_per_px = 0.2278
    told = told_um_per_px(um_per_px)
    assert told != um_per_px
    tile = Tile(0, 0, 0, 0, rgb.shape[1], rgb.shape[0])
    slide = ArraySlide(rgb, um_per_px, (1,))
    found = TileAnalyser(slide, analyser, work_of(rgb, um_per_px)).analyse(tile).cells
    stains = unmix(rgb, told, Calibration(white_rgb=WHITE))
    cells = analyser.segmenter.segment(Frame(rgb, 0, 0.0, told), stains, ScoringSettings().cuts).cells
    radius_um = [cell.nucleus_radius_um * um_per_px / told for cell in cells if not cell.edge]
    np.testing.assert_allclose(found.radius_um, radius_um, rtol=1e-5)


# ---- region model -------------------------------------------------------------------------------------------------


class MarkModel(DrawnModel):
    """Tumour lies where the red values are odd: its answer goes with the place that it is shown, as a real one's."""

    def probabilities(self, rgb, um_per_px):
        size_wh = (max(1, round(side * um_per_px / self.um_per_px)) for side in (rgb.shape[1], rgb.shape[0]))
        tumour = cv2.resize((rgb[..., 0] & 1).astype(np.float32), tuple(size_wh), interpolation=cv2.INTER_AREA)
        return np.stack([1 - tumour, tumour])


def test_a_region_model_says_which_cells_are_counted(rgb, analyser):
    middle_px, middle_um = 650, 162.5
    marked = rgb.copy()
    marked[:, :middle_px, 0] |= 1
    marked[:, middle_px:, 0] &= 254
    for tile_px in (4096, 512):
        cells = cells_of(marked, analyser, 0.25, tile_px, MarkModel(), count_in=("tumour",))
        sure = np.abs(cells.x_um - middle_um) > 1.0
        np.testing.assert_array_equal(cells.within[sure], cells.x_um[sure] < middle_um)
        assert 0 < cells.within.sum() < len(cells)


def test_without_a_region_model_all_cells_count(rgb, analyser):
    tile = Tile(0, 0, 0, 0, 500, 500)
    assert TileAnalyser(ArraySlide(rgb, 0.25, (1,)), analyser, work_of(rgb, 0.25)).analyse(tile).cells.within.all()


def test_a_class_that_the_region_model_does_not_know_is_refused(rgb, analyser):
    work = replace(work_of(rgb, 0.25), count_in=("stroma",))
    with pytest.raises(NotAvailableError, match="stroma"):
        TileAnalyser(ArraySlide(rgb, 0.25, (1,)), analyser, work, DrawnModel())
