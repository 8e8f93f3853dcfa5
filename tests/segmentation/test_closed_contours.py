"""The paper's method on a drawn honeycomb and on phantoms, of which every cell's truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from her2scope.domain.cells import CellClass, CellCounts, StainCuts
from her2scope.domain.false_cells import FalseRates
from her2scope.imaging.stains import unmix
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.records import FAINT, INTENSE, Frame, Segmentation
from her2scope.segmentation.closed_contours import ClosedContours
from her2scope.segmentation.model_card import false_rates
from her2scope.settings import Calibration, ClosedContoursSettings

METHOD = ClosedContours(ClosedContoursSettings(), FalseRates())
CUTS = StainCuts()


def segment(rgb: np.ndarray, um_per_px: float = 0.25, cuts: StainCuts = CUTS) -> Segmentation:
    frame = Frame(np.ascontiguousarray(rgb), 0, 0.0, um_per_px)
    return METHOD.segment(frame, unmix(frame.rgb, um_per_px, Calibration()), cuts)


def counts(found: Segmentation) -> CellCounts:
    return CellCounts.of(cell.cell_class for cell in found.cells if not cell.edge)


@pytest.fixture(scope="module", params=["2+", "3+"])
def phantom(request):
    return render_field(PhantomSpec(score=request.param, seed=13, difficulty="easy", camera="linear"))


def matched_classes(found: Segmentation, truth: dict) -> list[tuple[str, str]]:
    """(true class, found class) of tumour cells whose centre was found within 3 um."""
    places = np.array([(cell.x_px, cell.y_px) for cell in found.cells])
    pairs = []
    for cell in truth["cells"]:
        if cell["kind"] == "tumour" and not cell["edge"] and cell["visible"]:
            distance = np.hypot(*(places - (cell["x_px"], cell["y_px"])).T)
            if distance.min() <= 3 / 0.25:
                pairs.append((cell["class"], found.cells[int(distance.argmin())].cell_class.value))
    return pairs


def test_complete_cells_of_easy_phantoms_are_found_as_such(phantom):
    found = segment(phantom.rgb)
    pairs = matched_classes(found, phantom.truth)
    n_truth = sum(c["kind"] == "tumour" and not c["edge"] and c["visible"] for c in phantom.truth["cells"])
    assert len(pairs) >= 0.9 * n_truth
    complete = [(true, got) for true, got in pairs if true.startswith("complete")]
    assert np.mean([true == got for true, got in complete]) >= 0.85


def test_measures_are_what_the_classes_say(phantom):
    for cell in segment(phantom.rgb).cells:
        assert 0 <= cell.measure.completeness <= 1
        assert (cell.measure.completeness == 1) == cell.cell_class.is_complete
        if cell.cell_class is CellClass.COMPLETE_INTENSE:
            assert cell.measure.intensity_od10 >= CUTS.intense_od10


def test_a_negative_field_has_cells_and_no_complete_membrane():
    found = counts(segment(render_field(PhantomSpec(score="0", seed=12, difficulty="easy")).rgb))
    assert found.n_tumour > 100
    assert found.complete_intense == found.complete_moderate == 0


def test_rotation_and_mirror_keep_the_shares(phantom):
    first = counts(segment(phantom.rgb))
    for turned in (np.rot90(phantom.rgb, 2), phantom.rgb[:, ::-1]):
        second = counts(segment(turned))
        for name in CellClass:
            assert second[name] == pytest.approx(first[name], abs=max(4, 0.05 * first.n_tumour))


def test_a_higher_intense_cut_never_finds_more_intense_cells(phantom):
    shares = [counts(segment(phantom.rgb, cuts=StainCuts(0.15, 0.35, cut))).complete_intense for cut in (0.5, 0.7, 0.9)]
    assert shares == sorted(shares, reverse=True)


def test_edge_cells_are_marked_and_a_white_field_has_none(phantom):
    found = segment(phantom.rgb)
    height, width = phantom.rgb.shape[:2]
    for cell in found.cells:
        xs, ys = cell.outline_xy_px.T
        if xs.min() < 0 or ys.min() < 0 or xs.max() > width - 1 or ys.max() > height - 1:
            assert cell.edge
    assert not segment(np.full((200, 300, 3), 240, np.uint8)).cells


def test_masks_have_the_frames_size_and_only_the_three_values(phantom):
    for um_per_px in (0.25, 0.125):
        found = segment(phantom.rgb[:300, :400], um_per_px)
        assert found.membrane.shape == (300, 400)
        assert set(np.unique(found.membrane)) <= {0, FAINT, INTENSE}


def test_the_controls_cut_is_a_low_range_of_its_own_walls():
    phantom = render_field(
        PhantomSpec(score="3+", seed=13, difficulty="easy", camera="linear")
    )  # even, as controls are
    found = segment(phantom.rgb)
    cut = METHOD.control_cut(found, CUTS)
    walls = [cell.measure.intensity_od10 for cell in found.cells if cell.cell_class.is_complete and not cell.edge]
    assert 0.6 * np.median(walls) <= cut <= np.percentile(walls, 25)


def test_too_few_complete_cells_give_no_cut():
    found = segment(render_field(PhantomSpec(score="0", seed=12, size_wh=(400, 300))).rgb)
    assert METHOD.control_cut(found, CUTS) is None


def test_the_card_states_the_methods_false_cells():
    rates = false_rates("closed-contours")
    assert rates.of([CellClass.INCOMPLETE_FAINT]) > 0
    assert "phantom" in rates.source
