"""A field by other cuts from what was stored of it is the field analysed with them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from factories import cell as drawn_cell
from factories import counted_field, field_result, honeycomb_field, unusable_field
from hypothesis import given
from hypothesis import strategies as st
from segmentation.tiny_network import write_tiny_model

from her2scope.domain.cells import CellClass, CellKind, CellRule, MembraneMeasure, StainCuts, classify
from her2scope.domain.false_cells import FalseRates
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.field_data import field_from_data, field_images, field_to_data
from her2scope.pipeline.remeasure import CUTS, measured_again, movable, with_pixels, with_rule
from her2scope.records import INTENSE, CellProfiles, FieldResult, Frame, class_counts
from her2scope.segmentation.closed_contours import ClosedContours
from her2scope.segmentation.model_card import FULL, OUTLINES, QUANTISED, card_in
from her2scope.segmentation.network import NetworkSegmenter
from her2scope.segmentation.onnx_network import OnnxNetwork
from her2scope.segmentation.outline_reader import OnnxOutlineReader
from her2scope.settings import Calibration, ScoringSettings

SETTINGS = ScoringSettings()
RULE = SETTINGS.network.rule
READ_WITH = StainCuts(0.05, 0.35, 0.7)
UM_PER_PX = 0.25


@pytest.fixture(scope="module")
def analyser(tmp_path_factory) -> FieldAnalyser:
    """The network method with a toy network."""
    card = card_in(write_tiny_model(tmp_path_factory.mktemp("toy"), (FULL, QUANTISED, OUTLINES)))
    network, reader = OnnxNetwork(card, threads=1), OnnxOutlineReader(card, threads=1)
    segmenter = NetworkSegmenter(network, SETTINGS.network, FalseRates(), "tiny", "ab" * 32, reader)
    return FieldAnalyser(segmenter, SETTINGS, Calibration())


@pytest.fixture(scope="module")
def thresholds() -> FieldAnalyser:
    return FieldAnalyser(ClosedContours(SETTINGS.closed_contours, FalseRates()), SETTINGS, Calibration())


@pytest.fixture(scope="module")
def frame() -> Frame:
    drawn = honeycomb_field(dict.fromkeys((*CellClass, None), 1.0), (440, 560), UM_PER_PX)
    return Frame(drawn.frame.rgb, 0, 0.0, UM_PER_PX, name="honeycomb.png")


@pytest.fixture(scope="module")
def analysed(analyser, frame) -> FieldResult:
    found = analyser.analyse(frame, READ_WITH)
    assert found.counts.n_tumour > 40 and len({cell.cell_class for cell in found.cells}) >= 4
    return found


def told(result: FieldResult) -> dict:
    """All of an analysis but its times, comparable."""
    data = field_to_data(result)
    return json.loads(json.dumps(data)) | {"counts": asdict(result.counts)}


CUTS_ABOVE = st.builds(
    lambda stained, moderate, intense: StainCuts(stained, stained + moderate, stained + moderate + intense),
    st.sampled_from([0.05, 0.05, 0.11, 0.3]), st.floats(0, 0.5), st.floats(0, 0.8),
)  # fmt: skip


@pytest.mark.parametrize(
    "cuts",
    [READ_WITH, StainCuts(0.05, 0.2, 0.5), StainCuts(0.05, 0.35, 0.4), StainCuts(0.2, 0.3, 0.9), StainCuts(1, 1, 1)],
)
def test_measured_again_is_analysed_again(analyser, analysed, frame, cuts):
    assert told(measured_again(analysed, analyser, cuts)) == told(analyser.analyse(frame, cuts))


def test_measured_again_asks_no_network(analyser, analysed):
    class Deaf:
        provider = analyser.segmenter.network.provider

        def predict(self, *_):
            raise AssertionError("the network was asked")

    own = analyser.segmenter
    segmenter = NetworkSegmenter(Deaf(), own.settings, own.false_rates, own.model_name, own.model_sha256)
    deaf = FieldAnalyser(segmenter, SETTINGS, Calibration())
    assert measured_again(analysed, deaf, StainCuts(0.05, 0.3, 0.5)).counts != analysed.counts
    with pytest.raises(AssertionError, match="was asked"):  # the mask cannot grow without it
        measured_again(analysed, deaf, StainCuts(0.04, 0.3, 0.5))
    with pytest.raises(AssertionError, match="was asked"):  # other profiles may be read by another program
        measured_again(replace(analysed, program=replace(analysed.program, version="0.0.1")), deaf, READ_WITH)


@given(cuts=CUTS_ABOVE, complete_share=st.floats(0.1, 1))
def test_a_field_by_another_rule_is_whole(analyser, analysed, cuts, complete_share):
    """Measures, classes, counts and score belong together; cells stay where they are."""
    rule = replace(RULE, complete_share=complete_share)
    moved = with_rule(analysed, analyser, cuts, rule)
    assert moved.cuts == cuts
    for before, after in zip(analysed.cells, moved.cells, strict=True):
        assert (before.x_px, before.y_px, before.kind, before.edge) == (after.x_px, after.y_px, after.kind, after.edge)
        expected = classify(after.measure, cuts, rule) if after.kind is CellKind.TUMOUR else None
        assert after.cell_class is expected
        assert (after is before) == (after.measure == before.measure and after.cell_class is before.cell_class)
    assert moved.counts == class_counts(cell for cell in moved.cells if not cell.edge)
    assert moved.finding == analyser.find(moved.counts, UM_PER_PX)


@given(low=CUTS_ABOVE, more=st.floats(0, 1))
def test_higher_cuts_never_raise_a_cells_class(analyser, analysed, low, more):
    high = StainCuts(low.stained_od10, low.moderate_od10 + more / 2, low.intense_od10 + more)
    one, other = (with_rule(analysed, analyser, cuts, RULE) for cuts in (low, high))
    for before, after in zip(one.cells, other.cells, strict=True):
        assert before.cell_class is None or after.cell_class.rank <= before.cell_class.rank


@given(low=st.floats(0.01, 0.5), more=st.floats(0, 0.5))
def test_a_higher_stained_cut_never_makes_a_cell_more_complete(analyser, analysed, low, more):
    """It may raise the median of what is left, and with it faint to moderate."""
    one, other = (with_rule(analysed, analyser, StainCuts(cut, 1, 1), RULE) for cut in (low, low + more))
    for before, after in zip(one.cells, other.cells, strict=True):
        assert after.measure.completeness <= before.measure.completeness


def test_moving_there_and_back_changes_nothing(analyser, analysed):
    there = with_rule(analysed, analyser, StainCuts(0.2, 0.4, 0.5), replace(RULE, complete_share=0.5))
    assert there.counts != analysed.counts
    assert told(with_rule(there, analyser, analysed.cuts, RULE)) == told(analysed)


def test_unchanged_cuts_leave_every_cell_itself(analyser, analysed):
    same = with_rule(analysed, analyser, analysed.cuts, RULE)
    assert all(one is other for one, other in zip(same.cells, analysed.cells, strict=True))
    assert with_pixels(same, analysed, analyser) is same


def test_the_mask_follows_only_where_it_is_asked_to(analyser, analysed):
    moved = with_rule(analysed, analyser, StainCuts(0.05, 0.2, 0.3), RULE)
    assert moved.membrane is analysed.membrane
    drawn = with_pixels(moved, analysed, analyser)
    assert (drawn.membrane == INTENSE).sum() > (analysed.membrane == INTENSE).sum()
    assert np.array_equal(drawn.membrane > 0, analysed.membrane > 0)
    lower = with_rule(analysed, analyser, StainCuts(0.01, 0.35, 0.7), RULE)
    assert np.array_equal(with_pixels(lower, analysed, analyser).membrane, analysed.membrane)


def test_an_unusable_field_stays_one(analyser):
    moved = with_rule(unusable_field(), analyser, StainCuts(0.1, 0.2, 0.3), RULE)
    assert moved.finding is None and moved.cells == () and moved.cuts == StainCuts(0.1, 0.2, 0.3)
    assert movable(unusable_field()) == CUTS


# ---- stored -------------------------------------------------------------------------------------------------------


def read_back(result: FieldResult) -> FieldResult:
    """As a case gives it back."""
    return field_from_data(json.loads(json.dumps(field_to_data(result))), *field_images(result))


def test_a_field_read_back_is_measured_as_the_live_one(analyser, analysed):
    back = read_back(analysed)
    assert told(back) == told(analysed)
    for cuts in (READ_WITH, StainCuts(0.05, 0.33, 0.61), StainCuts(0.02, 0.1, 0.2), StainCuts(0.3, 0.4, 0.5)):
        live, stored = (with_rule(result, analyser, cuts, RULE) for result in (analysed, back))
        assert told(stored) == told(live)


def test_a_case_of_an_earlier_version_has_no_profiles(analysed):
    data = field_to_data(analysed)
    del data["profiles"]
    rgb, membrane, _ = field_images(analysed)
    earlier = field_from_data(data, rgb, membrane)
    assert earlier.profiles is None and earlier.counts == analysed.counts
    assert len(field_images(earlier)) == 2 and field_to_data(earlier)["profiles"] is None


def test_profiles_of_other_cells_are_refused(analysed):
    image = field_images(analysed)[2]
    with pytest.raises(ValueError, match="tumour cells"):
        field_from_data(field_to_data(analysed), analysed.frame.rgb, analysed.membrane, image[:-1])


def test_a_field_without_a_tumour_cell_keeps_that(analysed):
    nobody = CellProfiles(*(np.zeros((0, 64), np.float32) for _ in range(3)), np.zeros(0, np.float32))
    empty = replace(counted_field({}, n_other=3), profiles=nobody)
    assert read_back(empty).profiles.membrane.shape == (0, 64)


# ---- without profiles ---------------------------------------------------------------------------------------------


def of_measures(*measures: MembraneMeasure, cuts: StainCuts = READ_WITH) -> FieldResult:
    """A field of these cells of which no profiles are kept."""
    cells = [replace(drawn_cell(), measure=measure, cell_class=classify(measure, cuts, RULE)) for measure in measures]
    return replace(field_result(cells, min_cells=1), cuts=cuts)


def test_what_can_be_moved_is_what_was_kept(analysed, thresholds, frame):
    assert movable(analysed) == CUTS
    assert movable(replace(analysed, profiles=None)) == CUTS - {"stained"}
    by_thresholds = thresholds.analyse(frame, SETTINGS.cuts)
    assert by_thresholds.counts.complete_intense and movable(by_thresholds) == {"moderate", "complete_share"}
    assert movable(counted_field({}, n_other=4)) == CUTS


@given(moderate=st.floats(0.05, 0.7), intense=st.floats(0.05, 1.5), complete_share=st.floats(0.1, 1))
def test_without_profiles_classes_are_those_of_the_profiles(analyser, analysed, moderate, intense, complete_share):
    """As long as the stained cut stays."""
    cuts, rule = StainCuts(0.05, min(moderate, intense), intense), replace(RULE, complete_share=complete_share)
    known, guessed = (
        with_rule(result, analyser, cuts, rule) for result in (analysed, replace(analysed, profiles=None))
    )
    assert [cell.cell_class for cell in guessed.cells] == [cell.cell_class for cell in known.cells]
    assert guessed.cuts == cuts and guessed.finding == known.finding


def test_thresholds_reclassify_as_they_segment(thresholds, frame):
    first = thresholds.analyse(frame, SETTINGS.cuts)
    cuts = replace(SETTINGS.cuts, moderate_od10=0.2)
    moved, again = with_rule(first, thresholds, cuts, thresholds.segmenter.rule), thresholds.analyse(frame, cuts)
    assert moved.counts == again.counts != first.counts
    assert measured_again(first, thresholds, cuts).counts == again.counts


def test_cuts_that_cannot_act_stay_and_are_said(analyser):
    unmeasured = of_measures(MembraneMeasure(1.0, 0.8, 0.9), MembraneMeasure(0.5, 0.3, 0.0))
    moved = with_rule(unmeasured, analyser, StainCuts(0.2, 0.25, 1.2), RULE)
    assert moved.cuts == StainCuts(0.05, 0.25, 0.7)
    assert [cell.cell_class for cell in moved.cells] == [CellClass.COMPLETE_INTENSE, CellClass.INCOMPLETE_INTENSE]
    assert with_rule(unmeasured, analyser, StainCuts(0.2, 0.9, 1.2), RULE).cuts == StainCuts(0.05, 0.7, 0.7)
    measured = of_measures(MembraneMeasure(1.0, 0.8, 0.9, 0.75))
    assert with_rule(measured, analyser, StainCuts(0.05, 0.35, 0.6), CellRule(intense_share=0.5)).cuts == READ_WITH


def test_moved_twice_without_profiles_is_moved_once(analyser):
    start = of_measures(MembraneMeasure(1.0, 0.8, 0.9, 0.72), MembraneMeasure(0.95, 0.75, 0.7, 0.66))
    for cuts in (StainCuts(0.05, 0.3, 0.6), StainCuts(0.05, 0.3, 0.9), READ_WITH):
        steps = with_rule(with_rule(start, analyser, StainCuts(0.05, 0.3, 0.65), RULE), analyser, cuts, RULE)
        straight = with_rule(start, analyser, cuts, RULE)
        assert [cell.cell_class for cell in steps.cells] == [cell.cell_class for cell in straight.cells]
