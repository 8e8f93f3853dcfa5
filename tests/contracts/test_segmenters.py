"""What every segmenter promises (`ports.Segmenter`): the methods of this installation, and a toy network."""

from __future__ import annotations

import numpy as np
import pytest
from factories import honeycomb_field
from segmentation.tiny_network import write_tiny_model

from her2scope.app.compose import METHODS, has_network, network_segmenter
from her2scope.domain.cells import CellClass, CellKind, StainCuts, classify
from her2scope.imaging.opencv import cv2
from her2scope.imaging.stains import unmix
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.ports import Segmenter
from her2scope.records import FAINT, INTENSE, CameraState, Frame, Segmentation, StainSummary
from her2scope.segmentation.methods import NETWORK
from her2scope.segmentation.model_card import FULL, OUTLINES, QUANTISED, card_in
from her2scope.segmentation.onnx_network import OnnxNetwork
from her2scope.settings import Calibration, ScoringSettings

CUTS = StainCuts()
TOY, TOY_WITH_READER = "toy network", "toy network with a reader of outlines"
RIM_PX = 32
SCALES_UM_PER_PX = (0.15, 0.25, 0.37, 0.5)
CLEAN = StainSummary(membrane_od10=0.6, background_od10=0.05, nuclear_od10=0.02, counterstain_od10=0.3)
EVEN_BROWN = StainSummary(membrane_od10=0.6, background_od10=0.6, nuclear_od10=0.0, counterstain_od10=0.3)


def offered() -> list[str]:
    """Methods that can be run here: the network only where a trained one is installed."""
    return [name for name in METHODS if name != NETWORK or has_network()]


@pytest.fixture(scope="module", params=[*offered(), TOY, TOY_WITH_READER])
def segmenter(request, tmp_path_factory) -> Segmenter:
    if request.param not in (TOY, TOY_WITH_READER):
        return METHODS[request.param](ScoringSettings(), 1)
    files = (FULL, QUANTISED) if request.param == TOY else (FULL, QUANTISED, OUTLINES)
    network = OnnxNetwork(card_in(write_tiny_model(tmp_path_factory.mktemp("toy"), files)), threads=1)
    return network_segmenter(network, ScoringSettings(), 1)


@pytest.fixture(scope="module", params=SCALES_UM_PER_PX)
def frame(request) -> Frame:
    """Honeycomb of all classes, 130 x 110 um at any scale."""
    um_per_px = request.param
    size_hw = (round(110 / um_per_px), round(130 / um_per_px))
    field = honeycomb_field(dict.fromkeys((*CellClass, None), 1.0), size_hw, um_per_px)
    return Frame(field.frame.rgb.copy(), 0, 0.0, um_per_px)


@pytest.fixture(scope="module")
def phantom() -> Frame:
    spec = PhantomSpec("2+", seed=13, difficulty="easy", camera="linear", size_wh=(641, 483))
    return Frame(render_field(spec).rgb, 0, 0.0, spec.um_per_px)


def segmented(segmenter: Segmenter, frame: Frame, cuts: StainCuts = CUTS) -> Segmentation:
    return segmenter.segment(frame, unmix(frame.rgb, frame.um_per_px, Calibration()), cuts)


def flat(size_hw: tuple[int, int], value: int | tuple[int, int, int], um_per_px: float = 0.25) -> Frame:
    return Frame(np.full((*size_hw, 3), value, np.uint8), 0, 0.0, um_per_px)


def told(found: Segmentation) -> list[tuple]:
    """All of a segmentation, comparable."""
    return [
        (c.x_px, c.y_px, c.nucleus_radius_um, c.kind, c.edge, c.measure, c.cell_class, c.outline_xy_px.tobytes())
        for c in found.cells
    ]


def promised(found: Segmentation, frame: Frame) -> None:
    """All that holds for any picture."""
    height, width = frame.size_hw
    assert found.membrane.shape == (height, width) and found.membrane.dtype == np.uint8
    assert set(np.unique(found.membrane)) <= {0, FAINT, INTENSE}
    assert found.provider.endswith("ExecutionProvider")
    for cell in found.cells:
        assert 0 <= cell.x_px <= width - 1 and 0 <= cell.y_px <= height - 1
        assert 0.5 <= cell.nucleus_radius_um <= 20
        assert 0 <= cell.measure.completeness <= 1 and 0 <= cell.measure.intense_share <= 1
        assert 0 <= cell.measure.intensity_od10 < 5
        assert (cell.cell_class is None) == (cell.kind is CellKind.OTHER)
        assert type(cell.edge) is bool
        outline = cell.outline_xy_px
        assert outline.dtype == np.float32 and outline.ndim == 2 and outline.shape[1] == 2 and len(outline) >= 4
        assert np.isfinite(outline).all()
        leaves = outline.min() < 0 or outline[:, 0].max() > width - 1 or outline[:, 1].max() > height - 1
        assert cell.edge or not leaves


def test_the_methods_say_who_they_are(segmenter):
    assert segmenter.method in METHODS
    assert segmenter.model_name
    assert segmenter.model_sha256 == "" or len(segmenter.model_sha256) == 64
    assert segmenter.false_rates.source


def test_cells_of_a_field_are_as_promised_at_every_scale(segmenter, frame):
    found = segmented(segmenter, frame)
    assert len(found.cells) >= 30  # the honeycomb shows about 100
    promised(found, frame)
    kinds = {cell.cell_class for cell in found.cells if not cell.edge}
    assert len(kinds) >= 3


def test_a_phantom_of_odd_sides_is_segmented_as_promised(segmenter, phantom):
    promised(segmented(segmenter, phantom), phantom)


def test_outlines_go_once_around_their_nucleus(segmenter, phantom):
    """A place well inside (the nucleus' middle) is within the closed outline of nearly every cell."""
    found = segmented(segmenter, phantom)
    within = [
        cv2.pointPolygonTest(cell.outline_xy_px.reshape(-1, 1, 2), (cell.x_px, cell.y_px), False) > 0
        for cell in found.cells
        if not cell.edge
    ]
    assert not within or np.mean(within) >= 0.97
    for cell in found.cells:
        steps = np.hypot(*(np.roll(cell.outline_xy_px, -1, axis=0) - cell.outline_xy_px).T)
        around = np.hypot(*np.ptp(cell.outline_xy_px, axis=0))
        assert steps.max() <= max(around, 2.0)  # closed: the last place is as near to the first as any two


def test_the_same_frame_gives_the_same_cells(segmenter, phantom):
    rgb = phantom.rgb.copy()
    first, second = (segmented(segmenter, phantom) for _ in range(2))
    segmented(segmenter, flat((200, 300), (180, 150, 160)))
    third = segmented(segmenter, Frame(rgb, 7, 99.0, phantom.um_per_px, CameraState(gain=2.0), "another name"))
    assert told(first) == told(second) == told(third)
    assert np.array_equal(first.membrane, second.membrane) and np.array_equal(first.membrane, third.membrane)
    assert np.array_equal(phantom.rgb, rgb)


def test_cuts_move_classes_and_not_cells(segmenter, phantom):
    low, high = (segmented(segmenter, phantom, StainCuts(0.15, 0.35, cut)) for cut in (0.4, 1.2))
    assert len(low.cells) == len(high.cells)
    intense = [sum(c.cell_class is CellClass.COMPLETE_INTENSE for c in found.cells) for found in (low, high)]
    assert intense[0] >= intense[1]
    assert (low.membrane == INTENSE).sum() >= (high.membrane == INTENSE).sum()


@pytest.mark.parametrize("cuts", [CUTS, StainCuts(0.05, 0.2, 0.5), StainCuts(0.3, 0.5, 0.9)])
def test_profiles_measured_again_are_the_field_segmented_with_those_cuts(segmenter, phantom, cuts):
    kept, wanted = segmented(segmenter, phantom), segmented(segmenter, phantom, cuts)
    if kept.profiles is None:
        assert wanted.profiles is None  # of no frame, then
        return
    measures = segmenter.measure_again(kept.profiles, cuts)
    tumour = [cell for cell in wanted.cells if cell.kind is CellKind.TUMOUR]
    assert len(tumour) > 40 and len({cell.cell_class for cell in tumour}) > 1
    assert list(measures) == [cell.measure for cell in tumour]
    assert [classify(measure, cuts, segmenter.rule) for measure in measures] == [cell.cell_class for cell in tumour]
    assert kept.profiles.spacing_um.shape == (len(tumour),)


@pytest.mark.parametrize("colour", [(242, 241, 243), (255, 255, 255), (225, 200, 205)], ids=["glass", "white", "pale"])
def test_a_picture_without_structure_has_no_cell(segmenter, colour):
    frame = flat((300, 420), colour)
    found = segmented(segmenter, frame)
    assert not found.cells and not found.membrane.any()
    promised(found, frame)


@pytest.mark.parametrize("colour", [(0, 0, 0), (120, 70, 30), (60, 60, 160)], ids=["black", "brown", "blue"])
def test_a_picture_of_one_dark_colour_breaks_nothing(segmenter, colour):
    frame = flat((200, 260), colour)
    promised(segmented(segmenter, frame), frame)


@pytest.mark.parametrize("size_hw", [(128, 128), (16, 16), (17, 401), (600, 20), (3, 5)])
def test_small_and_narrow_pictures_are_segmented_as_promised(segmenter, phantom, size_hw):
    rng = np.random.default_rng(1)
    noise = Frame(rng.integers(0, 256, (*size_hw, 3), np.uint8), 0, 0.0, 0.25)
    promised(segmented(segmenter, noise), noise)
    crop = Frame(np.ascontiguousarray(np.resize(phantom.rgb, (*size_hw, 3))), 0, 0.0, 0.25)
    promised(segmented(segmenter, crop), crop)


def test_a_large_picture_has_the_cells_of_its_parts(segmenter, phantom):
    """Four of the same, side by side: about four times the cells."""
    rgb = np.tile(phantom.rgb[:480, :640], (4, 4, 1))
    large = Frame(rgb, 0, 0.0, phantom.um_per_px)
    found = segmented(segmenter, large)
    promised(found, large)
    once = segmented(segmenter, Frame(np.ascontiguousarray(phantom.rgb[:480, :640]), 0, 0.0, phantom.um_per_px))
    assert len(found.cells) == pytest.approx(16 * len(once.cells), rel=0.1)


def places_px(segmenter: Segmenter, frame: Frame) -> np.ndarray:
    return np.array([(cell.x_px, cell.y_px) for cell in segmented(segmenter, frame).cells])


def test_mirrored_and_turned_fields_have_the_same_cells(segmenter, phantom):
    """Away from the rim, and but for a few: what is cut by it is cut elsewhere when a picture is turned and reduced."""
    height, width = phantom.size_hw
    straight = places_px(segmenter, phantom)
    inner = ((straight > RIM_PX) & (straight < (width - RIM_PX, height - RIM_PX))).all(axis=1)
    assert inner.sum() > 40
    for turned, back in (
        (phantom.rgb[::-1], lambda xy: np.stack([xy[:, 0], height - 1 - xy[:, 1]], axis=1)),
        (phantom.rgb[:, ::-1], lambda xy: np.stack([width - 1 - xy[:, 0], xy[:, 1]], axis=1)),
        (phantom.rgb.transpose(1, 0, 2), lambda xy: xy[:, ::-1]),
    ):
        found = back(places_px(segmenter, Frame(np.ascontiguousarray(turned), 0, 0.0, phantom.um_per_px)))
        away_um = phantom.um_per_px * np.hypot(*(straight[inner, None] - found).transpose(2, 0, 1))
        assert (away_um.min(axis=1) < 3.0).mean() >= 0.94


def test_a_control_gives_a_cut_only_with_enough_complete_cells(segmenter):
    field = honeycomb_field({CellClass.COMPLETE_INTENSE: 1.0}, (900, 1100))
    found = segmented(segmenter, Frame(field.frame.rgb.copy(), 0, 0.0, 0.25))
    walls = [c.measure.intensity_od10 for c in found.cells if not c.edge and c.cell_class and c.cell_class.is_complete]
    cut = segmenter.control_cut(found, CUTS)
    assert len(walls) >= 100 and cut is not None
    assert np.percentile(walls, 2) <= cut <= np.median(walls)
    few = Segmentation(found.cells[:40], found.membrane, found.provider)
    assert segmenter.control_cut(few, CUTS) is None
    assert segmenter.control_cut(Segmentation((), found.membrane, found.provider), CUTS) is None


def test_doubts_are_sentences_and_a_clean_field_has_none(segmenter):
    assert segmenter.doubts(CLEAN) == ()
    assert segmenter.doubts(StainSummary(0.0, 0.0, 0.0, 0.0)) == ()
    assert all(len(text) > 20 and "\n" not in text for text in segmenter.doubts(EVEN_BROWN))
    assert segmenter.doubts(EVEN_BROWN)


def test_its_own_cuts_differ_from_the_settings_in_the_noise_floor_alone(segmenter):
    for cuts in (CUTS, StainCuts(0.02, 0.3, 0.6), StainCuts(0.3, 0.3, 0.3)):
        own = segmenter.default_cuts(cuts)
        assert (own.moderate_od10, own.intense_od10) == (cuts.moderate_od10, cuts.intense_od10)
        assert own.stained_od10 <= cuts.stained_od10
        assert segmenter.default_cuts(own) == own
