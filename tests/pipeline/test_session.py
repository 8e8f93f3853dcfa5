"""A case from opening to report: every step is an event, and the stored case is the live one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from factories import control_reading

from her2scope.app.compose import DEFAULT_METHOD, make_analyser
from her2scope.domain.cells import CellCounts, StainCuts
from her2scope.domain.control import ControlLimits, CutsFrom
from her2scope.domain.corrections import RuleChange
from her2scope.domain.errors import CaseDamagedError, CaseRuleError, DiskFullError
from her2scope.domain.events import Event, EventKind
from her2scope.domain.guideline import Ish
from her2scope.domain.score import ControlStatus
from her2scope.imaging.stains import estimate_white
from her2scope.pipeline.control import cuts_in_force, standing
from her2scope.pipeline.session import CaseSession, stored_settings
from her2scope.ports import CaseFile
from her2scope.records import CameraState, CaseView, Frame, MapPlace, ReaderScore
from her2scope.settings import Calibration, ScoringSettings
from her2scope.storage.memory import MemoryCaseStore


@pytest.fixture
def store() -> MemoryCaseStore:
    return MemoryCaseStore()


@pytest.fixture
def session(store, analyser, clock) -> CaseSession:
    return CaseSession(store.create("case-1"), analyser, clock, "reader")


def test_a_new_case_is_empty_and_says_so(session):
    view = session.view
    assert view.score.score is None and view.score.counts == CellCounts()
    assert "insufficient: 0 of at least 100 tumour cells" in view.score.reasons
    assert view.cuts_from is CutsFrom.SETTINGS


def test_without_a_control_nothing_is_reportable(session, frames):
    session.accept(frames["2+"])
    assert session.view.score.score is not None
    assert not session.view.score.reportable
    assert any("no control" in reason for reason in session.view.score.reasons)


def test_control_anchors_the_cuts_and_makes_the_score_reportable(session, frames):
    reading = session.read_control(frames["3+"], "3+", "lot 7")
    assert reading.verdict.status is ControlStatus.VALID
    assert session.cuts.intense_od10 == pytest.approx(reading.measures.intense_od10)
    session.accept(frames["2+"])
    assert session.view.score.reportable
    assert session.view.score.score == "2+"


def test_a_failed_control_blocks_until_it_is_overridden_with_a_reason(session, frames):
    reading = session.read_control(frames["faded 3+"], "3+", "")
    assert reading.verdict.status is ControlStatus.INVALID and "faded" in reading.verdict.codes
    session.accept(frames["2+"])
    assert not session.view.score.reportable
    with pytest.raises(CaseRuleError, match="written reason"):
        session.override_control("   ")
    session.override_control("control tissue lost on the slide, run control read elsewhere")
    assert session.view.score.reportable
    assert session.view.override_reason.startswith("control tissue lost")
    session.read_control(frames["faded 3+"], "3+", "")
    assert session.view.override_reason is None  # it held for the reading it was written for


def test_only_an_invalid_control_can_be_overridden(session, frames):
    session.read_control(frames["3+"], "3+", "")
    with pytest.raises(CaseRuleError, match="only an invalid control"):
        session.override_control("because")


def test_a_valid_reading_after_an_invalid_one_is_a_warning(session, frames):
    session.read_control(frames["faded 3+"], "3+", "")
    assert session.read_control(frames["3+"], "3+", "").verdict.status is ControlStatus.WARNING


def test_low_end_is_covered_by_a_1_and_a_negative_level():
    assert not standing([control_reading(expected="3+")], None, []).low_end_covered
    both = standing(
        [control_reading(expected="3+"), control_reading(expected="1+"), control_reading(expected="0")], None, []
    )
    assert both.low_end_covered and both.negative_read and both.status is ControlStatus.VALID
    failed = control_reading(expected="1+", status=ControlStatus.INVALID)
    one_failed = standing([control_reading(expected="3+"), failed, control_reading(expected="0")], None, [])
    assert not one_failed.low_end_covered and one_failed.status is ControlStatus.INVALID


def test_levels_of_another_lot_camera_or_scale_do_not_vouch():
    anchor = control_reading(expected="3+", lot="A")
    other_lot = control_reading(expected="0", lot="B")
    other_scale = control_reading(expected="0", lot="A")
    frame = replace(other_scale.result.frame, um_per_px=2 * other_scale.result.frame.um_per_px)
    other_scale = replace(other_scale, result=replace(other_scale.result, frame=frame))
    assert standing([anchor, control_reading(expected="0", lot="A")], None, []).negative_read
    assert not standing([anchor, other_lot], None, []).negative_read
    assert not standing([anchor, other_scale], None, []).negative_read


def test_the_cut_is_the_mean_of_like_readings_whatever_their_order(analyser):
    def reading(cut: float | None, lot: str = "A", status: ControlStatus = ControlStatus.VALID):
        found = control_reading(status=status, lot=lot)
        return replace(found, measures=replace(found.measures, intense_od10=cut))

    default, limits = StainCuts(), analyser.settings.control
    many = [reading(0.6), reading(0.8), reading(None), reading(0.2), reading(2.0), reading(0.9, "B")]
    many += [reading(1.2, status=ControlStatus.INVALID), reading(0.7)]
    for order in (many, [*many[:-1][::-1], many[-1]]):
        cuts, cuts_from = cuts_in_force(default, order, limits)
        assert cuts_from is CutsFrom.CONTROL and cuts.intense_od10 == pytest.approx(0.7)
    for latest in (reading(None), reading(0.2)):  # an older cut must not stand in for the latest reading
        assert cuts_in_force(default, [reading(0.7), latest], limits) == (default, CutsFrom.SETTINGS)
    assert cuts_in_force(default, [reading(0.2)], limits) == (default, CutsFrom.SETTINGS)
    assert cuts_in_force(default, [reading(0.7, status=ControlStatus.INVALID)], limits) == (default, CutsFrom.SETTINGS)


def test_a_cut_that_no_report_can_rest_on_is_used_where_the_levels_below_contradict_the_settings(analyser):
    def reading(level, membrane_od10, intense_od10=None, moderate_od10=None, scale=1.0):
        found = control_reading(expected=level, status=ControlStatus.INVALID)
        measures = replace(
            found.measures, membrane_od10=membrane_od10, intense_od10=intense_od10, moderate_od10=moderate_od10
        )
        frame = replace(found.result.frame, um_per_px=scale * found.result.frame.um_per_px)
        return replace(found, measures=measures, result=replace(found.result, frame=frame))

    default, limits = StainCuts(), analyser.settings.control
    dark, its_2, its_1 = reading("3+", 3.5, 1.8), reading("2+", 0.8, None, 0.56), reading("1+", 0.3, None, 0.42)
    for order in ([dark, its_2, its_1], [its_1, its_2, dark]):
        cuts, cuts_from = cuts_in_force(default, order, limits)
        assert cuts_from is CutsFrom.RUN and (cuts.intense_od10, cuts.moderate_od10) == pytest.approx(
            (1.8, 0.485), abs=1e-3
        )
        held = standing(order, None, [], cuts_from)
        assert held.status is ControlStatus.INVALID
    assert cuts_in_force(default, [dark], limits) == (default, CutsFrom.SETTINGS)
    elsewhere = reading("2+", 0.8, None, 0.56, scale=2.0)
    assert cuts_in_force(default, [dark, elsewhere], limits) == (default, CutsFrom.SETTINGS)
    warned = replace(dark, verdict=replace(dark.verdict, status=ControlStatus.WARNING))
    refusals = standing([warned, its_2], None, [], CutsFrom.RUN).refusals
    assert any("no intense cut that a report can rest on" in refusal for refusal in refusals)


def test_a_cut_outside_the_labs_range_is_a_warning_and_not_used(store, clock, frames):
    settings = ScoringSettings(control=ControlLimits(min_cut_od10=1.2, max_cut_od10=1.3))
    session = CaseSession(
        store.create("range"), make_analyser("closed-contours", settings, Calibration()), clock, "reader"
    )
    verdict = session.read_control(frames["3+"], "3+", "").verdict
    assert verdict.status is ControlStatus.WARNING and "outside the lab's range" in verdict.reasons[0]
    session.accept(frames["2+"])
    assert session.cuts == settings.cuts and session.view.cuts_from is CutsFrom.SETTINGS
    assert not session.view.score.reportable


def test_haze_that_thresholds_take_for_membrane_is_not_reportable(store, clock, frames):
    thresholds = make_analyser("closed-contours", ScoringSettings(), Calibration())
    session = CaseSession(store.create("haze"), thresholds, clock, "reader")
    session.read_control(frames["3+"], "3+", "")
    session.accept(frames["hazy 0"])
    assert not session.view.score.reportable
    assert any("nearly as brown as membrane" in reason for reason in session.view.score.reasons)


def test_a_darker_lamp_is_drift_and_not_reportable(store, clock, frames):
    white = estimate_white(frames["3+"].rgb)
    calibrated = make_analyser("closed-contours", ScoringSettings(), Calibration(response="linear", white_rgb=white))
    session = CaseSession(store.create("lamp"), calibrated, clock, "reader")
    session.read_control(frames["3+"], "3+", "")
    assert not session.accept(frames["0"]).result.doubts
    dimmed = (frames["2+"].rgb * 0.8).astype(np.uint8)
    doubts = session.accept(replace(frames["2+"], rgb=dimmed)).result.doubts
    assert any(doubt.startswith("drift: the white differs by") for doubt in doubts)
    assert not session.view.score.reportable


def test_control_in_another_camera_state_does_not_hold(session, frames):
    session.read_control(frames["3+"], "3+", "")
    session.accept(replace(frames["2+"], camera=CameraState(exposure_ms=20.0)))
    assert not session.view.score.reportable
    assert any("another camera state" in reason for reason in session.view.score.reasons)


def test_an_assumed_pixel_size_is_never_reportable(session, frames):
    state = CameraState(scale_assumed=True)
    session.read_control(replace(frames["3+"], camera=state), "3+", "")
    session.accept(replace(frames["2+"], camera=state))
    assert not session.view.score.reportable
    assert any("pixel size is assumed" in reason for reason in session.view.score.reasons)


def test_a_control_is_not_read_on_the_way_and_that_is_no_failure_of_it(session, frames):
    with pytest.raises(CaseRuleError, match="the stage is moving"):
        session.read_control(frames["3+"], "3+", "", math.inf)
    assert session.view.controls == ()
    assert session.read_control(frames["3+"], "3+", "", 1.0).verdict.status is ControlStatus.VALID


def test_a_case_never_holds_a_patient_s_fields_and_drawn_ones(session, frames):
    drawn = replace(frames["2+ again"], name="phantom 2+, seed 2")
    session.accept(frames["2+"])
    with pytest.raises(CaseRuleError, match="never of both"):
        session.accept(drawn)
    session.remove(1)  # it may be restored
    with pytest.raises(CaseRuleError, match="never of both"):
        session.accept(drawn)
    session.accept(frames["2+ again"])


def test_a_control_read_late_measures_the_fields_again(session, frames):
    session.accept(frames["2+"])
    before = session.view.fields[0].result
    session.read_control(frames["3+"], "3+", "")
    after = session.view.fields[0].result
    assert before.cuts != after.cuts == session.cuts
    last = session.view.events[-1]  # one event: a case never holds fields measured with two scales
    assert last.kind is EventKind.CONTROL_READ and [item["field"] for item in last.data["fields"]] == [1]


def test_fields_are_removed_and_restored(session, frames):
    first, second = session.accept(frames["2+"]), session.accept(frames["2+ again"])
    both = session.view.score.counts
    assert both == first.counts + second.counts
    session.remove(1)
    assert session.view.score.counts == second.counts
    with pytest.raises(CaseRuleError, match="removed already"):
        session.remove(1)
    session.restore(1)
    assert session.view.score.counts == both
    with pytest.raises(CaseRuleError, match="no field 9"):
        session.remove(9)


def test_cells_seen_twice_count_once(session, frames):
    whole = frames["2+"]
    left, right = (replace(whole, rgb=np.ascontiguousarray(whole.rgb[:, part])) for part in (np.s_[:900], np.s_[380:]))
    first = session.accept(left)
    second = session.accept(right)
    assert [overlap.field for overlap in second.overlaps] == [1]
    assert second.overlaps[0].dx_px == pytest.approx(380, abs=2)
    n_whole = session.analyser.analyse(whole, session.cuts).counts.n_tumour
    n_apart = first.result.counts.n_tumour + second.result.counts.n_tumour
    assert session.view.score.counts.n_tumour == pytest.approx(n_whole, abs=0.04 * n_whole)
    assert n_apart > 1.2 * n_whole
    session.remove(1)  # what only the removed field had counted counts again
    assert session.view.score.counts == second.result.counts


def test_the_same_place_twice_adds_nothing(session, frames):
    first = session.accept(frames["2+"])
    again = session.accept(replace(frames["2+"], index=1))
    assert again.counts == CellCounts()
    assert session.view.score.counts == first.counts


def test_a_picture_too_small_to_register_still_counts_once(session, frames):
    small = replace(frames["2+"], rgb=np.ascontiguousarray(frames["2+"].rgb[200:330, 300:430]))
    first = session.accept(small)
    second = session.accept(replace(small, index=1))
    assert second.counts == CellCounts() and session.view.score.counts == first.counts


def test_an_unusable_frame_is_refused_with_its_reasons(session, frames):
    with pytest.raises(CaseRuleError, match="field not added: .*(focus|stand out)"):
        session.accept(frames["blurred"])
    assert not session.view.fields
    listed = session.accept(frames["blurred"], keep_unusable=True)
    assert listed.result.score is None and listed.counts == CellCounts()


def test_reader_and_ish_stand_beside_the_computed_score(session, frames):
    session.accept(frames["2+"])
    session.enter_reader_score(ReaderScore("1+", "faint"))
    session.enter_ish(Ish.NEGATIVE)
    view = session.view
    assert view.reader_score == ReaderScore("1+", "faint")
    assert view.score.score == "2+" and view.score.category == "low"
    session.enter_ish(None)
    assert session.view.score.category == "equivocal"
    with pytest.raises(CaseRuleError, match="or indeterminate"):
        session.enter_reader_score(ReaderScore("4+"))


def test_a_finished_case_takes_nothing_more(session, frames):
    session.accept(frames["2+"])
    session.finish()
    for change in (lambda: session.accept(frames["2+"]), lambda: session.remove(1), session.finish):
        with pytest.raises(CaseRuleError, match="is finished"):
            change()


def test_the_stored_case_is_the_live_case(store, session, frames, analyser, clock):
    session.read_control(frames["3+"], "3+", "lot 7")
    session.accept(frames["2+"])
    session.accept(frames["2+ again"])
    session.remove(1)
    session.enter_reader_score(ReaderScore("2+"))
    live = session.view
    session.close()
    file = store.open("case-1")
    assert stored_settings(file) == (DEFAULT_METHOD, analyser.settings, analyser.calibration)
    read = CaseSession(file, analyser, clock, "somebody else").view
    assert read.score == live.score
    assert read.standing == live.standing and read.cuts == live.cuts
    assert read.reader_score == live.reader_score and read.who == "reader"
    assert [item.active for item in read.fields] == [False, True]
    for ours, theirs in zip(live.fields, read.fields, strict=True):
        assert ours.counts == theirs.counts and ours.result.finding == theirs.result.finding
        assert np.array_equal(ours.result.frame.rgb, theirs.result.frame.rgb)
        assert np.array_equal(ours.result.membrane, theirs.result.membrane)
        for a, b in zip(ours.result.cells, theirs.result.cells, strict=True):
            assert (a.x_px, a.y_px, a.measure, a.cell_class) == (b.x_px, b.y_px, b.measure, b.cell_class)
            assert a.edge == b.edge and np.array_equal(a.outline_xy_px.round(2), b.outline_xy_px)
    assert read.events[-1].kind is EventKind.RESUMED


def test_an_analysis_is_kept_once_in_memory_and_whole_in_the_file(store, analyser, clock, frames):
    """As outlines in events the fields of a case would fill the memory a second time."""
    session = CaseSession(store.create("once"), analyser, clock, "reader")
    seen: list[CaseView] = []
    session.read_control(frames["3+"], "3+", "lot 7")
    session.accept(frames["2+"], show=seen.append)
    session.read_control(frames["2+"], "2+", "lot 7")
    session.close()
    file = store.open("once")
    read = CaseSession(file, analyser, clock, "somebody else")
    for events in (session.view.events, read.view.events[:-1]):
        assert [event.kind for event in events] == [event.kind for event in file.events()[: len(events)]]
        assert not any("'cells'" in str(event.data) for event in events)
    assert seen[0].events == session.view.events[: len(seen[0].events)]
    stored = file.events()
    assert len(stored[2].data["result"]["cells"]) == len(session.view.fields[0].result.cells)


def test_a_field_is_taken_with_all_that_it_tells_or_not_at_all(store, analyser, clock, frames):
    """Where its tissue makes two islands one and the disk takes no more, the reader is told the truth: not added."""
    disk = FullDisk(store.create("full"))
    session = CaseSession(disk, analyser, clock, "reader")
    session.accept(frames["2+"], place=MapPlace(0, 0.0, 0.0))
    disk.is_full_after = 1
    with pytest.raises(DiskFullError):
        session.accept(replace(frames["2+"], index=1), place=MapPlace(1, 0.0, 0.0))
    assert len(session.view.fields) == 1
    disk.is_full_after = None
    taken = session.accept(replace(frames["2+"], index=1), place=MapPlace(1, 0.0, 0.0))
    assert taken.place is not None and taken.place.island == 0 and taken.counts == CellCounts()


class FullDisk:
    """A case file on a disk that can be full."""

    def __init__(self, file: CaseFile) -> None:
        self.file, self.is_full, self.case_id = file, False, file.case_id
        self.is_full_after: int | None = None
        """Events that it still takes."""

    def append(self, event: Event, images: Sequence[np.ndarray] = ()) -> None:
        if self.is_full or self.is_full_after == 0:
            raise DiskFullError("the disk is full.")
        if self.is_full_after is not None:
            self.is_full_after -= 1
        self.file.append(event, images)

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)


def test_what_cannot_be_written_has_not_happened(store, frames, analyser, clock):
    disk = FullDisk(store.create("case-1"))
    session = CaseSession(disk, analyser, clock, "reader")
    session.accept(frames["2+"])
    before = session.view
    disk.is_full = True
    for change in (lambda: session.accept(frames["2+ again"]), lambda: session.remove(1), session.finish):
        with pytest.raises(DiskFullError):
            change()
    disk.is_full = False
    assert session.view.score == before.score and session.view.events == before.events
    assert [item.number for item in session.view.fields] == [1]
    assert session.accept(frames["2+ again"]).number == 2


def test_an_event_of_a_later_version_is_a_clear_error(store, session, analyser, clock):
    session.close()
    file = store.open("case-1")
    file.append(Event(2, EventKind.FIELD_REMOVED, "2026-01-01T00:00:00.000+00:00", "x", {"number": 3}))
    with pytest.raises(CaseDamagedError, match="event 2 .*cannot be read"):
        CaseSession(file, analyser, clock, "reader")


def test_frames_of_another_shape_are_not_frames():
    with pytest.raises(ValueError, match="uint8"):
        Frame(np.zeros((4, 4), np.uint8), 0, 0.0, 0.25)


def test_a_field_is_shown_while_it_is_written_and_gone_where_that_fails(store, analyser, clock, frames):
    class FullDisk:
        """A case file that shows what was told by the time it is asked to write."""

        def __init__(self, file: CaseFile) -> None:
            self.file, self.case_id, self.image, self.events, self.head, self.close = (
                file, file.case_id, file.image, file.events, file.head, file.close,
            )  # fmt: skip
            self.is_full = False
            self.told_before: list[int] = []

        def append(self, event: Event, images: Sequence[np.ndarray] = ()) -> None:
            self.told_before.append(len(told))
            if self.is_full:
                raise DiskFullError("no room.")
            self.file.append(event, images)

    told: list = []
    file = FullDisk(store.create("case-1"))
    session = CaseSession(file, analyser, clock, "reader")
    session.accept(frames["2+"], show=told.append)
    assert len(told) == 1 and file.told_before[-1] == 1, "shown before it is written"
    assert told[0].score == session.view.score
    file.is_full = True
    before = session.view
    with pytest.raises(DiskFullError):
        session.accept(frames["2+ again"], show=told.append)
    assert len(told[1].fields) == 2
    assert session.view.fields == before.fields and session.view.score == before.score
    file.is_full = False
    session.accept(frames["2+ again"], show=told.append)
    assert session.view.score == told[1].score
    assert [item.number for item in session.view.fields] == [1, 2]


def test_the_score_by_moved_cuts_goes_ahead_of_what_pixels_say(session, frames):
    session.accept(frames["2+"])
    session.change_rule(RuleChange(intense_od10=0.5))
    ahead, whole = session.view_at_once, session.view
    assert ahead.score == whole.score and ahead.rule == whole.rule
    assert not np.array_equal(ahead.fields[0].result.membrane, whole.fields[0].result.membrane)
    session.change_rule(RuleChange())
    assert session.view_at_once is session.view
