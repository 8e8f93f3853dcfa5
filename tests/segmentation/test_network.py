"""The network method with a faultless network, which says of a phantom what is true: what follows it is at fault."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from factories import cell as drawn_cell
from segmentation.drawn_maps import Oval, maps_of, maps_of_phantom

from her2scope.domain.cells import CellClass, CellKind, StainCuts
from her2scope.domain.false_cells import FalseRates
from her2scope.imaging.kept_profiles import kept
from her2scope.imaging.opencv import cv2
from her2scope.imaging.outline_bands import read_bands
from her2scope.imaging.outline_places import OutlinePlaces
from her2scope.imaging.profiles import DEFAULT_PLACE_RULE, read_profiles
from her2scope.imaging.stains import unmix
from her2scope.imaging.workers import Workers
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.records import FAINT, INTENSE, Frame, Segmentation
from her2scope.segmentation.maps import NetworkMaps
from her2scope.segmentation.network import NetworkSegmenter, place_rule
from her2scope.settings import Calibration, NetworkSettings

CUTS = StainCuts()
UM_PER_PX = 0.25
NEAR_UM = 2.0


class Knows:
    """A network that knows its answer."""

    provider = "TruthExecutionProvider"

    def __init__(self, maps: NetworkMaps) -> None:
        self.maps, self.asked = maps, []

    def predict(self, rgb, um_per_px, white_rgb) -> NetworkMaps:
        self.asked.append((rgb.shape, um_per_px, white_rgb))
        return self.maps


def method(maps: NetworkMaps, **settings) -> NetworkSegmenter:
    return NetworkSegmenter(Knows(maps), NetworkSettings(**settings), FalseRates(), "truth", "ab" * 32)


def frame_of(rgb: np.ndarray, um_per_px: float = UM_PER_PX) -> Frame:
    return Frame(np.ascontiguousarray(rgb), 0, 0.0, um_per_px)


def segment(
    by: NetworkSegmenter,
    frame: Frame,
    cuts: StainCuts = CUTS,
    white_rgb: tuple[float, float, float] | None = None,
) -> Segmentation:
    return by.segment(frame, unmix(frame.rgb, frame.um_per_px, Calibration(white_rgb=white_rgb)), cuts)


@pytest.fixture(scope="module", params=["1+", "2+", "3+"])
def phantom(request):
    return render_field(PhantomSpec(request.param, seed=13, difficulty="easy", camera="linear", size_wh=(1000, 700)))


@pytest.fixture(scope="module")
def found(phantom):
    return segment(method(maps_of_phantom(phantom)), frame_of(phantom.rgb))


def pairs(found: Segmentation, truth: dict) -> list[tuple]:
    """(true cell, found cell) of the nuclei that can be seen; None where none was found."""
    places = np.array([(item.x_px, item.y_px) for item in found.cells])
    matched = []
    for true in truth["cells"]:
        if true["visible"]:
            apart_px = np.hypot(*(places - (true["x_px"], true["y_px"])).T)
            nearest = found.cells[int(apart_px.argmin())]
            matched.append((true, nearest if apart_px.min() * UM_PER_PX <= NEAR_UM else None))
    return matched


def test_every_nucleus_comes_back_with_its_kind(phantom, found):
    matched = pairs(found, phantom.truth)
    assert np.mean([cell is not None for _, cell in matched]) >= 0.98
    assert np.mean([true["kind"] == cell.kind.value for true, cell in matched if cell]) >= 0.99
    radius = [cell.nucleus_radius_um / true["nucleus_radius_um"] for true, cell in matched if cell]
    assert np.median(radius) == pytest.approx(1, abs=0.05)


def test_classes_are_those_of_the_truth(phantom, found):
    tumour = [(t, c) for t, c in pairs(found, phantom.truth) if c and t["kind"] == "tumour" and not t["edge"]]
    assert np.mean([true["class"] == cell.cell_class for true, cell in tumour]) >= 0.8
    complete = [cell.cell_class.is_complete for true, cell in tumour if true["class"].startswith("complete")]
    assert not complete or np.mean(complete) >= 0.8
    incomplete = [cell.cell_class.is_complete for true, cell in tumour if not true["class"].startswith("complete")]
    assert np.mean(incomplete) <= 0.05 if incomplete else True


def test_cells_that_leave_the_picture_are_marked(phantom, found):
    matched = [(true["edge"], cell.edge) for true, cell in pairs(found, phantom.truth) if cell]
    assert np.mean([true == cell for true, cell in matched]) >= 0.97


def test_other_cells_have_no_class_and_no_stain_and_their_nucleus_as_outline(found):
    other = [cell for cell in found.cells if cell.kind is CellKind.OTHER]
    assert other
    for cell in other:
        assert cell.cell_class is None and cell.measure.completeness == cell.measure.intensity_od10 == 0
        away = np.hypot(*(cell.outline_xy_px - (cell.x_px, cell.y_px)).T) * UM_PER_PX
        assert cell.edge or away == pytest.approx([cell.nucleus_radius_um] * len(away), abs=0.01)


def test_the_mask_lies_on_the_membranes(phantom, found):
    dab = unmix(phantom.rgb, UM_PER_PX, Calibration()).dab_od10
    assert set(np.unique(found.membrane)) <= {0, FAINT, INTENSE}
    assert found.membrane.any()
    assert dab[found.membrane == INTENSE].min(initial=9) >= CUTS.intense_od10
    assert dab[found.membrane == FAINT].min() >= CUTS.stained_od10


def test_the_network_is_asked_with_the_frames_white(phantom):
    by = method(maps_of_phantom(phantom))
    white_rgb = (231.0, 232.0, 233.0)
    frame = frame_of(phantom.rgb)
    found = by.segment(frame, unmix(frame.rgb, UM_PER_PX, Calibration(white_rgb=white_rgb)), CUTS)
    assert by.network.asked == [(phantom.rgb.shape, UM_PER_PX, white_rgb)]
    assert found.provider == "TruthExecutionProvider"


def test_without_stain_every_cell_has_no_membrane(phantom):
    grey = np.full_like(phantom.rgb, 220)
    found = segment(method(maps_of_phantom(phantom)), frame_of(grey))
    assert {cell.cell_class for cell in found.cells} <= {CellClass.NONE, None}
    assert not found.membrane.any()


# ---- drawn maps ---------------------------------------------------------------------------------------------------

GREY = np.full((256, 256, 3), 210, np.uint8)
WHITE_RGB = (250.0, 250.0, 250.0)


def test_nuclei_are_put_into_the_frames_own_pixels():
    ovals = [Oval(12.3, 40.1), Oval(50.6, 20.2, 3.0, tumour=False)]
    for um_per_px, size in ((0.25, 256), (0.5, 128), (0.16, 400)):
        rgb = np.full((size, size, 3), 210, np.uint8)
        found = segment(method(maps_of(ovals)), frame_of(rgb, um_per_px), white_rgb=WHITE_RGB)
        assert [item.kind for item in found.cells] == [CellKind.TUMOUR, CellKind.OTHER]
        for item, oval in zip(found.cells, ovals, strict=True):
            place_um = (np.array([item.x_px, item.y_px]) + 0.5) * um_per_px
            assert place_um == pytest.approx((oval.x_um, oval.y_um), abs=0.15)
            assert item.nucleus_radius_um == pytest.approx(oval.radius_um, abs=0.25)


def test_an_outline_without_membrane_is_as_far_as_the_network_says():
    """The pixel that says it lies up to 1.4 um beside the middle: the reach is moved to the middle itself."""
    for shift_um in np.arange(0, 2, 0.4):
        oval = Oval(30.2 + shift_um, 31.1 + 0.7 * shift_um, 4.0)
        maps = maps_of([oval])
        rows, columns = np.indices(maps.tissue.shape)
        turn = 2 * np.pi * np.arange(32)[:, None, None] / 32
        dx, dy = oval.x_um - (2 * columns + 1), oval.y_um - (2 * rows + 1)  # from each pixel to the cell's middle
        along = dx * np.cos(turn) + dy * np.sin(turn)
        reach = along + np.sqrt(np.maximum(along**2 - dx**2 - dy**2 + 8.0**2, 0))
        (cell,) = segment(
            method(dataclasses.replace(maps, reach_um=reach.astype(np.float32))), frame_of(GREY), white_rgb=WHITE_RGB
        ).cells
        middle = np.array([oval.x_um, oval.y_um]) / UM_PER_PX - 0.5
        away_um = np.hypot(*(cell.outline_xy_px - middle).T) * UM_PER_PX
        assert away_um == pytest.approx([8.0] * len(away_um), abs=0.35)


def test_the_cut_between_tumour_and_other_is_a_setting():
    maps = dataclasses.replace(maps_of([Oval(32, 32)]), tumour=np.full((64, 64), 0.6, np.float32))
    kinds = [
        segment(method(maps, min_tumour_probability=p), frame_of(GREY), white_rgb=WHITE_RGB).cells[0].kind
        for p in (0.5, 0.7)
    ]
    assert kinds == [CellKind.TUMOUR, CellKind.OTHER]


@pytest.mark.parametrize("tumour", [True, False])
def test_a_field_of_one_kind_alone_is_segmented(tumour):
    found = segment(method(maps_of([Oval(32, 32, tumour=tumour)])), frame_of(GREY), white_rgb=WHITE_RGB)
    assert len(found.cells) == 1


def test_a_hole_as_clear_as_glass_is_no_nucleus():
    maps = maps_of([Oval(16, 32, 4.0), Oval(44, 32, 4.0)])
    holed = GREY.copy()
    cv2.circle(holed, (round(16 / UM_PER_PX), round(32 / UM_PER_PX)), round(4 / UM_PER_PX), (250, 250, 250), -1)
    (cell,) = segment(method(maps), frame_of(holed), white_rgb=WHITE_RGB).cells
    assert cell.x_px * UM_PER_PX == pytest.approx(44, abs=0.5)


# ---- control, settings --------------------------------------------------------------------------------------------


def control_of(intensities: np.ndarray, cell_class=CellClass.COMPLETE_INTENSE, edge=False) -> Segmentation:
    cells = []
    for value in intensities:
        drawn = drawn_cell(cell_class, edge=edge)
        measure = dataclasses.replace(drawn.measure, intensity_od10=value, uniform_od10=0.8 * value)
        cells.append(dataclasses.replace(drawn, measure=measure))
    return Segmentation(tuple(cells), np.zeros((0, 0), np.uint8), "none")


def test_the_controls_cut_is_what_eight_in_ten_of_its_strong_complete_cells_reach():
    by = method(maps_of([]))
    walls = np.linspace(0.8, 1.2, 101)
    assert by.control_cut(control_of(walls), CUTS) == pytest.approx(0.8 * 0.88)
    assert by.control_cut(control_of(walls, CellClass.COMPLETE_MODERATE), CUTS) == pytest.approx(0.8 * 0.88)
    with_weak_cells = np.concatenate([walls, np.full(20, 0.4)])  # moderate cells of a 3+ tissue set no cut
    assert by.control_cut(control_of(with_weak_cells), CUTS) == pytest.approx(0.8 * 0.88)
    assert by.control_cut(control_of(walls[:99]), CUTS) is None
    assert by.control_cut(control_of(walls, edge=True), CUTS) is None
    assert by.control_cut(control_of(walls, CellClass.INCOMPLETE_INTENSE), CUTS) is None


def test_the_default_settings_are_those_that_profiles_were_measured_with():
    assert place_rule(NetworkSettings()) == DEFAULT_PLACE_RULE


class Echoes:
    """A reader of outlines that answers with a row of what it is given."""

    def read(self, bands: np.ndarray) -> np.ndarray:
        return np.clip(bands[:, 40], 0, 1)


def test_profiles_are_those_of_each_cell_alone_in_the_order_of_the_cells(phantom):
    """Cells are worked on by place and some at once: neither shows."""
    by = NetworkSegmenter(Knows(maps_of_phantom(phantom)), NetworkSettings(), FalseRates(), reader=Echoes())
    frame = frame_of(phantom.rgb)
    stains = unmix(frame.rgb, UM_PER_PX, Calibration())
    found, profiles = by.find(frame, stains), by.segment(frame, stains, CUTS).profiles
    tumour = found.tumour()
    assert profiles.membrane.shape[0] == len(tumour.xy_px) > 10
    for row in range(0, len(tumour.xy_px), 5):
        alone = OutlinePlaces.along(tumour.chosen(slice(row, row + 1)))
        planes = stains.dab_od10, stains.haematoxylin_od10
        bands = read_bands(alone, *planes, UM_PER_PX, found.maps.membrane, found.maps.nucleus, found.maps.um_per_px)
        expected = kept(read_profiles(alone, stains.dab_od10, UM_PER_PX, Echoes().read(bands)))
        for name in ("wall_od10", "membrane", "contrast_od10", "spacing_um"):
            assert np.array_equal(getattr(profiles, name)[row : row + 1], getattr(expected, name))


def test_what_is_handed_out_stays_when_the_next_frame_comes(phantom):
    by = NetworkSegmenter(Knows(maps_of_phantom(phantom)), NetworkSettings(), FalseRates(), reader=Echoes())
    first = segment(by, frame_of(phantom.rgb))
    given = [first.membrane, first.profiles.wall_od10, first.profiles.membrane, first.profiles.contrast_od10]
    given += [cell.outline_xy_px for cell in first.cells]
    before = [array.copy() for array in given]
    segment(by, frame_of(phantom.rgb[::-1]))
    assert all(np.array_equal(one, other) for one, other in zip(given, before, strict=True))


@pytest.mark.parametrize("reader", [None, Echoes()])
def test_any_number_of_threads_finds_the_same(phantom, reader):
    def by(threads: int) -> Segmentation:
        network, rates = Knows(maps_of_phantom(phantom)), FalseRates()
        workers = Workers(threads)
        return segment(
            NetworkSegmenter(network, NetworkSettings(), rates, reader=reader, workers=workers), frame_of(phantom.rgb)
        )

    alone, shared = by(1), by(3)
    assert len(alone.cells) == len(shared.cells) > 10
    for one, other in zip(alone.cells, shared.cells, strict=True):
        assert (one.x_px, one.y_px, one.measure, one.cell_class) == (
            other.x_px, other.y_px, other.measure, other.cell_class,
        )  # fmt: skip
        assert np.array_equal(one.outline_xy_px, other.outline_xy_px)
    assert np.array_equal(alone.membrane, shared.membrane)
    for name in ("wall_od10", "membrane", "contrast_od10", "spacing_um"):
        assert np.array_equal(getattr(alone.profiles, name), getattr(shared.profiles, name))


def test_a_reader_that_fails_in_another_thread_fails_the_analysis(phantom):
    class Fails:
        def read(self, bands: np.ndarray) -> np.ndarray:
            raise RuntimeError("the reader's own words")

    network = Knows(maps_of_phantom(phantom))
    by = NetworkSegmenter(network, NetworkSettings(), FalseRates(), reader=Fails(), workers=Workers(3))
    with pytest.raises(RuntimeError, match="the reader's own words"):
        segment(by, frame_of(phantom.rgb))


def test_why_it_falls_back_is_passed_on(phantom):
    by = method(maps_of_phantom(phantom))
    assert by.provider_note == ""
    by.network.note = "no graphics card"
    assert by.provider_note == "no graphics card"
