"""Levels of a control: fields measured together, the cuts they give, the lab's chart, and light that drifts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from control_series import baseline
from factories import control_reading

from her2scope.app.compose import DEFAULT_METHOD, make_analyser
from her2scope.domain.cells import CellClass, StainCuts
from her2scope.domain.control import ControlCode, ControlLimits, ControlVerdict, CutsFrom, moderate_cut
from her2scope.domain.control_history import ControlEntry
from her2scope.domain.events import Event
from her2scope.domain.score import ControlStatus
from her2scope.pipeline.control import compared, cuts_in_force, measure_control, measured_together, standing
from her2scope.pipeline.session import CaseSession
from her2scope.records import AcceptedField, ControlReading
from her2scope.settings import Calibration, ScoringSettings
from her2scope.storage.control_history import MemoryControlHistory
from her2scope.storage.memory import MemoryCaseStore

LIMITS = ControlLimits()


def verdict(status: ControlStatus, *codes: ControlCode) -> ControlVerdict:
    return ControlVerdict(status, codes, tuple(f"why {code}" for code in codes))


def level(expected: str, moderate_od10: float | None, number: int = 2, **more) -> ControlReading:
    found = control_reading(expected=expected, **more)
    return replace(found, number=number, measures=replace(found.measures, moderate_od10=moderate_od10))


# ---- fields of one level ------------------------------------------------------------------------------------------


def test_fields_of_a_level_are_measured_together(analyser, frames, clock):
    session = CaseSession(MemoryCaseStore().create("pooled"), analyser, clock, "reader")
    first = session.read_control(frames["3+"], "3+", "lot 7")
    second = session.read_control(other_place(frames["3+"]), "3+", "lot 7")
    assert second.with_earlier == (1,)
    assert second.measures.n_tumour > first.measures.n_tumour
    assert len(second.measures.field_od10) == 2


def other_place(frame):
    """The same picture turned: tissue that no registration finds again."""
    return replace(frame, rgb=np.ascontiguousarray(np.rot90(frame.rgb)), name="turned")


def test_reading_one_place_twice_makes_a_control_no_larger(analyser, frames):
    result = analyser.analyse(frames["3+"], analyser.default_cuts)
    once, twice = (measure_control(analyser, [result] * n, "3+") for n in (1, 2))
    assert (twice.n_tumour, twice.intense_od10) == (once.n_tumour, once.intense_od10)


def test_another_lot_level_or_camera_starts_a_reading_of_its_own(frames):
    read = control_reading(lot="A")
    frame = read.result.frame
    assert measured_together([read], "3+", "A", frame) == [read]
    assert measured_together([read], "3+", "B", frame) == []
    assert measured_together([read], "1+", "A", frame) == []
    assert measured_together([read], "3+", "A", replace(frame, um_per_px=2 * frame.um_per_px)) == []


def test_too_few_cells_are_made_up_but_a_failed_stain_is_not_thinned_out():
    few = replace(control_reading(lot="A"), verdict=verdict(ControlStatus.INVALID, ControlCode.TOO_FEW))
    faded = replace(few, verdict=verdict(ControlStatus.INVALID, ControlCode.TOO_FEW, ControlCode.FADED))
    assert measured_together([few], "3+", "A", few.result.frame) == [few]
    assert measured_together([faded], "3+", "A", faded.result.frame) == []


def test_what_is_measured_together_once_stays_together(frames):
    first = control_reading(lot="A")
    second = replace(control_reading(lot="A"), number=2, with_earlier=(1,))
    assert measured_together([first, second], "3+", "A", first.result.frame) == [first, second]


# ---- cuts ---------------------------------------------------------------------------------------------------------


def test_the_lower_levels_place_the_moderate_cut():
    anchor = control_reading()
    intense = anchor.measures.intense_od10
    default = StainCuts()
    assert cuts_in_force(default, [anchor], LIMITS)[0].moderate_od10 == pytest.approx(0.5 * intense)
    one, _ = cuts_in_force(default, [anchor, level("2+", 0.36)], LIMITS)
    assert one.moderate_od10 == pytest.approx(0.36) and one.intense_od10 == pytest.approx(intense)
    both, _ = cuts_in_force(default, [anchor, level("2+", 0.36), level("1+", 0.25, 3)], LIMITS)
    assert both.moderate_od10 == pytest.approx(0.30)


def test_an_invalid_level_places_no_cut():
    anchor = control_reading()
    failed = level("2+", 0.2, status=ControlStatus.INVALID)
    assert cuts_in_force(StainCuts(), [anchor, failed], LIMITS) == cuts_in_force(StainCuts(), [anchor], LIMITS)


def test_the_moderate_cut_never_passes_the_intense_one():
    cuts, _ = cuts_in_force(StainCuts(), [control_reading(), level("1+", 2.0)], LIMITS)
    assert cuts.stained_od10 <= cuts.moderate_od10 <= cuts.intense_od10


def test_a_level_lies_on_its_own_side_of_the_cut_it_gives():
    assert moderate_cut("2+", 0.5) < 0.5 < moderate_cut("1+", 0.5)
    assert moderate_cut("3+", 0.5) is None and moderate_cut("1+", 0.0) is None


def test_a_reading_that_a_later_one_holds_counts_once_for_the_cut():
    first = control_reading()
    second = replace(first, number=2, with_earlier=(1,), measures=replace(first.measures, intense_od10=0.9))
    assert cuts_in_force(StainCuts(), [first, second], LIMITS)[0].intense_od10 == pytest.approx(0.9)


def test_read_levels_place_the_cut_of_real_fields(analyser, frames, clock):
    session = CaseSession(MemoryCaseStore().create("levels"), analyser, clock, "reader")
    session.read_control(frames["3+"], "3+", "lot 7")
    by_fraction = session.cuts
    reading = session.read_control(frames["1+"], "1+", "lot 7")
    assert reading.verdict.status is not ControlStatus.INVALID
    assert session.cuts.moderate_od10 == pytest.approx(reading.measures.moderate_od10)
    assert session.cuts.intense_od10 == by_fraction.intense_od10


def test_a_case_that_is_older_than_a_runs_cuts_keeps_the_cuts_of_its_fields(frames, clock, monkeypatch):
    settings = ScoringSettings(control=ControlLimits(min_cut_od10=0.2, max_cut_od10=0.3))
    analyser, store = make_analyser(DEFAULT_METHOD, settings, Calibration()), MemoryCaseStore()
    file = store.create("older")
    append = file.append
    monkeypatch.setattr(file, "append", lambda event, images=(): append(_as_before_run_cuts(event), images))
    with monkeypatch.context() as earlier:
        earlier.setattr("her2scope.pipeline.control.run_cuts", lambda *_: None)
        session = CaseSession(file, analyser, clock, "reader")
        for name in ("3+", "2+"):
            session.read_control(frames[name], name, "lot 7")
        session.accept(frames["1+"])
        cuts = session.cuts
    session.close()

    session = CaseSession(store.open("older"), analyser, clock, "reader")
    view = session.view
    assert (view.cuts, view.cuts_from) == (cuts, CutsFrom.SETTINGS)
    assert view.fields[0].result.cuts == cuts
    session.read_control(frames["1+"], "1+", "lot 7")  # a new reading sets them, for all fields at once
    assert session.view.cuts_from is CutsFrom.RUN and session.view.fields[0].result.cuts == session.cuts != cuts


def _as_before_run_cuts(event: Event) -> Event:
    return replace(event, data={name: value for name, value in event.data.items() if name != "run_cuts"})


# ---- the lab's chart ----------------------------------------------------------------------------------------------


def test_every_reading_is_kept_with_its_figures_and_run(analyser, frames, clock):
    history = MemoryControlHistory()
    session = CaseSession(MemoryCaseStore().create("kept"), analyser, clock, "reader", history)
    reading = session.read_control(frames["3+"], "3+", "lot 7", run="2026-01-15")
    session.read_control(frames["blurred"], "1+", "lot 7", run="2026-01-15")
    first, second = history.entries()
    assert (first.run, first.level, first.lot, first.status) == ("2026-01-15", "3+", "lot 7", reading.verdict.status)
    assert first.intensity_od10 == pytest.approx(reading.measures.membrane_od10, abs=1e-4)
    assert first.figures["background_od10"] == pytest.approx(reading.measures.background_od10, abs=1e-4)
    assert second.status is ControlStatus.INVALID and "blurred" in second.codes


def test_a_run_beyond_the_labs_own_range_is_invalid_though_the_limits_let_it_pass():
    reading = control_reading(lot="L1")
    history = baseline()
    key = history[0]
    strong = replace(
        reading,
        run="new",
        lot=key.lot,
        verdict=verdict(ControlStatus.VALID),
        measures=replace(reading.measures, membrane_od10=3 * key.intensity_od10),
    )
    entries = tuple(replace(entry, method=method_of(strong)) for entry in history)
    judged, entry = compared(strong, [], entries, "2026-03-01T08:00:00.000+00:00", key.instrument)
    assert judged.verdict.status is ControlStatus.INVALID and "1-3s" in judged.verdict.rules
    assert ControlCode.OVER_STAINED in judged.verdict.codes
    assert entry.status is ControlStatus.INVALID and "over_stained" in entry.codes


def method_of(reading: ControlReading) -> str:
    """What the history calls the method of a reading."""
    _, entry = compared(reading, [], (), "2026-03-01T08:00:00.000+00:00", "")
    assert isinstance(entry, ControlEntry)
    return entry.method


def test_a_case_read_back_has_the_same_controls(analyser, frames, clock):
    store = MemoryCaseStore()
    session = CaseSession(store.create("again"), analyser, clock, "reader", MemoryControlHistory())
    session.read_control(frames["3+"], "3+", "lot 7", run="monday")
    session.read_control(other_place(frames["3+"]), "3+", "lot 7", run="monday")
    before = session.view
    session.close()
    after = CaseSession(store.open("again"), analyser, clock, "reader").view
    for old, new in zip(before.controls, after.controls, strict=True):
        assert (new.measures, new.verdict, new.with_earlier, new.run) == (
            old.measures, old.verdict, old.with_earlier, old.run,
        )  # fmt: skip
    assert after.cuts == before.cuts


# ---- drift --------------------------------------------------------------------------------------------------------


def accepted(white: tuple[float, float, float] | None) -> AcceptedField:
    result = replace(control_reading().result, clear_white_rgb=white)
    return AcceptedField(1, "", result, (), True, (True,) * len(result.cells), result.counts)


def test_light_that_changed_since_the_control_forbids_a_report():
    read = control_reading()
    anchor = replace(read, result=replace(read.result, clear_white_rgb=(240.0, 238.0, 236.0)))
    assert standing([anchor], None, [accepted((240.0, 236.0, 238.0))]).refusals == ()
    (refusal,) = standing([anchor], None, [accepted((240.0, 230.0, 200.0))]).refusals
    assert refusal.startswith("drift") and "field 1" in refusal and "15 %" in refusal


def test_without_a_clear_area_nothing_is_said_of_the_light():
    read = control_reading()
    anchor = replace(read, result=replace(read.result, clear_white_rgb=(240.0, 238.0, 236.0)))
    assert standing([anchor], None, [accepted(None)]).refusals == ()
    assert standing([read], None, [accepted((100.0, 100.0, 100.0))]).refusals == ()


def test_the_classes_of_a_control_are_told(analyser, frames):
    result = analyser.analyse(frames["3+"], analyser.default_cuts)
    measures = measure_control(analyser, [result], "3+")
    assert sum(measures.shares_percent.values()) == pytest.approx(100)
    assert measures.shares_percent[CellClass.COMPLETE_INTENSE] > 50
    assert measures.field_scores == ("3+",)


def test_weaker_cells_in_a_3_tissue_do_not_move_what_its_chart_follows(analyser, frames):
    result = analyser.analyse(frames["3+"], analyser.default_cuts)
    before = measure_control(analyser, [result], "3+").membrane_od10
    weaker = tuple(
        replace(cell, measure=replace(cell.measure, intensity_od10=0.45 * cell.measure.intensity_od10))
        if number % 3 == 0
        else cell
        for number, cell in enumerate(result.cells)
    )
    after = measure_control(analyser, [replace(result, cells=weaker)], "3+").membrane_od10
    assert after == pytest.approx(before, rel=0.05)
    all_weaker = tuple(
        replace(cell, measure=replace(cell.measure, intensity_od10=0.45 * cell.measure.intensity_od10))
        for cell in result.cells
    )
    faded = measure_control(analyser, [replace(result, cells=all_weaker)], "3+").membrane_od10
    assert faded == pytest.approx(0.45 * before, rel=0.01)
