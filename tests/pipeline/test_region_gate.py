"""Where to count: cells outside stay with their measures and are not counted, and the reader's word goes before."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from case_grids import counted, field, grid, square, total
from factories import cell, field_result
from hypothesis import given
from hypothesis import strategies as st
from pipeline.test_engine import FakeCamera, Listener
from region_models import BrownModel, DrawnModel

from her2scope.domain.cells import CellClass, CellCounts, CellKind
from her2scope.domain.corrections import CellStanding, Correction, RuleChange
from her2scope.domain.errors import BadInputError, NotAvailableError, SettingsError
from her2scope.domain.regions import Region, RegionDraft, RegionKind
from her2scope.domain.settings_digest import settings_digest
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.clock import SystemClock
from her2scope.pipeline.control import standing
from her2scope.pipeline.counting import CaseField
from her2scope.pipeline.engine import LiveEngine
from her2scope.pipeline.field_data import field_from_data, field_images, field_to_data
from her2scope.pipeline.hand import Hand
from her2scope.pipeline.live import Mode
from her2scope.pipeline.opening import opening_data
from her2scope.pipeline.region_gate import MAX_COARSER, MIN_SIDE_PX, RegionGate, counted_everywhere
from her2scope.pipeline.session import CaseSession, stored_settings
from her2scope.records import Cell, FieldResult, MapPlace, Overlap
from her2scope.settings import ScoringSettings, WhereToCount, as_mapping, from_mapping
from her2scope.storage.memory import MemoryCaseStore

OUT, IN = CellStanding.OUTSIDE, CellStanding.COUNTED


def gated(analyser: FieldAnalyser, gate: RegionGate) -> FieldAnalyser:
    settings = replace(analyser.settings, where_to_count=gate.where)
    return FieldAnalyser(analyser.segmenter, settings, analyser.calibration, gate=gate)


@pytest.fixture(scope="module")
def gate() -> RegionGate:
    return RegionGate.of(DrawnModel(), folder="models/drawn")


@pytest.fixture(scope="module")
def gating(analyser, gate) -> FieldAnalyser:
    return gated(analyser, gate)


@pytest.fixture(scope="module")
def result(gating, frames) -> FieldResult:
    return gating.analyse(frames["2+"], gating.default_cuts)


@pytest.fixture
def session(gating, clock) -> CaseSession:
    return CaseSession(MemoryCaseStore().create("case-1"), gating, clock, "reader")


# ---- the gate -----------------------------------------------------------------------------------------------------


def test_one_class_beside_the_background_is_the_one_to_count_in():
    assert RegionGate.of(DrawnModel()).where.count_in == ("tumour",)
    assert RegionGate.of(DrawnModel(), ["background"]).where.count_in == ("background",)


def test_what_cannot_be_meant_is_refused():
    model = DrawnModel()
    with pytest.raises(NotAvailableError, match="'stroma' is not available. Available: background, tumour"):
        RegionGate.of(model, ["stroma"])
    with pytest.raises(BadInputError, match="leave it out"):
        RegionGate.of(model, ["tumour", "background"])
    model.classes = ("background", "invasive", "in situ")
    with pytest.raises(BadInputError, match="background, invasive, in situ: say with --count-in"):
        RegionGate.of(model)
    assert RegionGate.of(model, ["in situ", "invasive"]).where.count_in == ("invasive", "in situ")  # in its own order


def test_several_classes_count_together():
    model = DrawnModel()
    model.classes = ("background", "ductal", "lobular")
    model.probabilities = lambda rgb, um_per_px: np.full((3, 8, 8), 1 / 3, np.float32)
    gate = RegionGate.of(model, ["ductal", "lobular"])
    assert not gate.outside(np.zeros((32, 32, 3), np.uint8), 0.25).any()
    assert RegionGate.of(model, ["ductal"]).outside(np.zeros((32, 32, 3), np.uint8), 0.25).all()


@given(
    st.floats(0.1, 1.2), st.integers(20, 90), st.integers(20, 90), st.floats(0.0, 1.0), st.floats(0.0, 1.0),
    st.floats(0.5, 4.0),
)  # fmt: skip
def test_a_cell_is_within_where_the_pixel_under_its_middle_is(um_per_px, height, width, x, y, ratio):
    """Whatever the two scales: a place of the picture is looked up where the model's pixel of it lies."""
    gate = RegionGate.of(DrawnModel(um_per_px=ratio * um_per_px))
    outside = gate.outside(np.zeros((height, width, 3), np.uint8), um_per_px)
    xy_px = np.array([[x * width - 0.5, y * height - 0.5]])
    if abs(x - 0.5) * width > ratio:  # farther from the border than a pixel of the model
        assert bool(gate.within(outside, um_per_px, xy_px)[0]) is (x < 0.5)


@given(st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_a_higher_least_probability_never_adds_a_cell(one, other):
    model = DrawnModel(lambda x, y: x)
    low, high = (
        RegionGate.of(model, least_probability=value).outside(np.zeros((40, 60, 3), np.uint8), 1.0)
        for value in sorted((one, other))
    )
    assert (high >= low).all()


def test_a_picture_that_the_model_cannot_serve_is_refused_in_words(gate):
    size_hw = (400, 400)
    assert gate.refusal(MAX_COARSER, size_hw) == "" and gate.refusal(0.1, size_hw) == ""
    assert "works at 1 um/px, and this picture has 1.3" in gate.refusal(1.3, size_hw)
    assert gate.refusal(0.25, (4 * MIN_SIDE_PX, 400)) == ""
    assert "too small for region model drawn" in gate.refusal(0.25, (4 * MIN_SIDE_PX - 1, 400))


# ---- a field ------------------------------------------------------------------------------------------------------


def test_cells_outside_are_the_same_cells_and_not_counted(analyser, result, frames):
    plain = analyser.analyse(frames["2+"], analyser.default_cuts)
    middle = plain.frame.size_hw[1] / 2
    assert plain.outside is None and all(one.within for one in plain.cells)
    assert len(result.cells) == len(plain.cells) > 20
    for ours, theirs in zip(result.cells, plain.cells, strict=True):
        assert (ours.measure, ours.cell_class, ours.x_px) == (theirs.measure, theirs.cell_class, theirs.x_px)
        assert ours.within is (ours.x_px < middle) or abs(ours.x_px - middle) < 4
    assert 0 < result.counts.n_tumour < plain.counts.n_tumour
    assert result.counts == CellCounts.of(one.cell_class for one in result.cells if one.within and not one.edge)
    assert "where to count" in result.timings_ms


def test_without_a_model_what_is_stored_is_what_it_was(analysed):
    data = field_to_data(analysed)
    assert "outside" not in data and all(row[11:12] in ([], [True]) for row in data["cells"])
    assert len(field_images(analysed)) == 3
    assert "where_to_count" not in as_mapping(ScoringSettings())


def test_a_field_is_read_back_as_it_was(result):
    data = json.loads(json.dumps(field_to_data(result)))
    rgb, membrane, profiles, outside = field_images(result)
    found = field_from_data(data, rgb, membrane, profiles, outside)
    assert [one.within for one in found.cells] == [one.within for one in result.cells]
    assert [one.measure for one in found.cells] == [one.measure for one in result.cells]
    assert found.counts == result.counts and field_to_data(found) == field_to_data(result)
    assert np.array_equal(found.outside, result.outside)


def test_rows_of_earlier_versions_count_everywhere(result):
    rgb, membrane, profiles, _ = field_images(result)
    data = field_to_data(result)
    rows = [row[:11] for row in data["cells"]]
    found = field_from_data({**data, "cells": rows}, rgb, membrane, profiles)
    assert all(one.within for one in found.cells) and found.outside is None
    older = field_from_data({**data, "cells": [row[:10] for row in rows]}, rgb, membrane)
    assert {one.measure.uniform_od10 for one in older.cells} == {0.0}
    assert all(one.measure.uncertain for one in (*found.cells, *older.cells))  # they did not tell
    with pytest.raises(ValueError, match="unpack"):
        field_from_data({**data, "cells": [[*rows[0], True, True, 1]]}, rgb, membrane)


def test_a_frame_that_the_model_cannot_serve_is_unusable(analyser, frames):
    fine = gated(analyser, RegionGate.of(DrawnModel(um_per_px=0.125)))
    found = fine.analyse(frames["2+"], fine.default_cuts)
    assert not found.quality.usable and "unfit_for_region_model" in found.quality.codes
    assert any("use a stronger objective" in reason for reason in found.quality.reasons)


def test_a_case_whose_model_is_not_loaded_is_not_read(gating, analyser, frames, gate):
    bare = FieldAnalyser(analyser.segmenter, gating.settings, analyser.calibration)
    other = RegionGate.of(DrawnModel(name="another"))
    wrong = FieldAnalyser(analyser.segmenter, gating.settings, analyser.calibration, gate=other)
    for one in (bare, wrong):
        with pytest.raises(SettingsError, match="region model drawn .* not loaded: start with --region-model"):
            one.analyse(frames["2+"], one.default_cuts)
    whole = bare.analyse(frames["3+"], bare.default_cuts, everywhere=True)  # a control needs none
    assert whole.outside is None and whole.counts.n_tumour > 20


def test_as_a_control_a_field_is_whole(analyser, gating, result, frames):
    plain = analyser.analyse(frames["2+"], analyser.default_cuts)
    whole = counted_everywhere(result, gating.find)
    assert field_to_data(whole) == field_to_data(plain)
    assert counted_everywhere(plain, gating.find) is plain


# ---- a case -------------------------------------------------------------------------------------------------------


def outside(cells: list[Cell], *numbers: int) -> list[Cell]:
    return [replace(one, within=number not in numbers) for number, one in enumerate(cells)]


classes = st.lists(st.sampled_from([*CellClass, None]), min_size=5, max_size=25)
flags = st.lists(st.booleans(), min_size=25, max_size=25)


@given(classes, flags)
def test_only_cells_within_are_counted(names, within):
    cells = [replace(one, within=flag) for one, flag in zip(grid(names), within, strict=False)]
    (found,) = counted([field(1, cells)], Hand(active={1}))
    assert found.counts == CellCounts.of(one.cell_class for one in cells if one.within)
    assert found.result.counts == found.counts
    assert [it is OUT for it in found.standings] == [not one.within for one in cells]
    assert found.n_outside == sum(not one.within and one.kind is CellKind.TUMOUR for one in cells)


@given(st.lists(st.sampled_from([*CellClass]), min_size=5, max_size=25), st.sampled_from([*Correction]))
def test_a_class_that_the_reader_gives_goes_before_the_model(names, word):
    (found,) = counted([field(1, outside(grid(names), 0, 1))], Hand(active={1}, corrections={(1, 0): word}))
    rest = CellCounts.of(names[2:])
    assert found.counts == (rest if word.cell_class is None else rest + CellCounts.of([word.cell_class]))
    expected = {Correction.EXCLUDED: CellStanding.EXCLUDED, Correction.NOT_TUMOUR: OUT}.get(word, IN)
    assert found.standings[:2] == (expected, OUT)


def region(kind: RegionKind, on: int | None, polygon_um: tuple[tuple[float, float], ...]) -> Region:
    return Region(1, kind, 0, polygon_um, on)


def test_invasive_tumour_outlined_on_a_field_goes_before_the_model():
    """Inside it counts, outside it does not: on that field the reader says where, and not the model."""
    names = [CellClass.COMPLETE_MODERATE] * 10
    cells = outside(grid(names), 0, 1, 5, 6)
    left = region(RegionKind.INVASIVE, 1, square(0.0, 0.0, 19.0))  # holds columns 0 and 1
    (found,) = counted([field(1, cells)], Hand(active={1}, regions={1: left}))
    assert [number for number, it in enumerate(found.standings) if it is IN] == [0, 1, 5, 6]
    assert set(found.standings) == {IN, CellStanding.NOT_INVASIVE}
    assert found.counts == found.result.counts == CellCounts(complete_moderate=4)
    everything = region(RegionKind.INVASIVE, 1, square(-5.0, -5.0, 100.0))
    (found,) = counted([field(1, cells)], Hand(active={1}, regions={1: everything}))
    assert found.counts == found.result.counts == CellCounts.of(names)


def test_an_outline_on_the_map_says_where_to_sweep_and_the_model_holds_within_it():
    names = [CellClass.COMPLETE_MODERATE] * 10
    left = region(RegionKind.INVASIVE, None, square(0.0, 0.0, 19.0))
    for swept, expected in ((True, [1, 6]), (False, [1, 2, 3, 4, 6, 7, 8, 9])):
        one = field(1, outside(grid(names), 0, 5), swept=swept)
        (found,) = counted([one], Hand(active={1}, regions={1: left}))
        assert [number for number, it in enumerate(found.standings) if it is IN] == expected


@pytest.mark.parametrize(
    ("kind", "standing"),
    [(RegionKind.NORMAL_DUCT, CellStanding.NORMAL_DUCT), (RegionKind.EXCLUDE, CellStanding.EXCLUDED_REGION)],
)
def test_the_readers_other_outlines_hold_outside_too(kind, standing):
    cells = outside(grid([CellClass.COMPLETE_MODERATE] * 10), 0, 1)
    drawn = region(kind, None, square(0.0, 0.0, 9.0))
    (found,) = counted([field(1, cells)], Hand(active={1}, regions={1: drawn}))
    assert found.standings[:2] == (standing, OUT)
    assert found.duct_counts.n_tumour == (kind is RegionKind.NORMAL_DUCT)


def row_of_fields(within: list[bool]) -> list[CaseField]:
    """Fields of one place, each of which the model has looked at by itself."""
    made: list[CaseField] = []
    for number, flag in enumerate(within, start=1):
        cells = [replace(cell(CellClass.COMPLETE_MODERATE, 60.0, 60.0), within=flag), cell(CellClass.NONE, 140.0, 60.0)]
        overlaps = tuple(Overlap(item.number, 0.0, 0.0) for item in made[-1:])  # each shows only the one before
        made.append(field(number, cells, MapPlace(0, 0.0, 0.0), overlaps, tuple(made)))
    return made


@given(st.lists(st.booleans(), min_size=1, max_size=5))
def test_a_cell_that_one_field_has_within_is_counted_once(within):
    """Whatever the order of the fields: at a picture's edge the model may say otherwise of the same cell."""
    fields = row_of_fields(within)
    found = total(fields, Hand(active={item.number for item in fields}))
    assert found == CellCounts(none=1, complete_moderate=any(within))


def test_a_removed_field_gives_its_cell_to_the_next():
    fields = row_of_fields([True, True])
    assert [item.counts.n_tumour for item in counted(fields, Hand(active={1, 2}))] == [2, 0]
    assert counted(fields, Hand(active={2}))[1].counts.n_tumour == 2


# ---- a session ----------------------------------------------------------------------------------------------------


def test_a_case_counts_and_says_where(session, result, gate):
    session.accept(result.frame, result)
    view = session.view
    (item,) = view.fields
    assert view.score.counts == result.counts == item.counts
    assert item.n_outside == view.n_outside > 20
    assert view.where_to_count == {
        "model": "drawn", "model_sha256": gate.model.sha256, "count_in": ["tumour"], "least_probability": 0.5
    }  # fmt: skip


def test_the_model_and_its_classes_are_in_the_settings_digest(session, analyser, gating):
    view = session.view
    plain = dict(view.settings)
    del plain["where_to_count"]
    method = view.program.method, view.program.model_sha256, view.guideline
    assert plain == as_mapping(analyser.settings)
    assert view.settings_sha256 == settings_digest(view.settings, *method) != settings_digest(plain, *method)
    opened = opening_data(gating)
    assert opened["settings_sha256"] == view.settings_sha256
    assert opened["region_model"] == "models/drawn" and "region_model" not in opening_data(analyser)


def test_a_stored_case_is_the_same_without_the_model(gating, analyser, clock, result):
    """What was read is read: only a new field needs the model."""
    store = MemoryCaseStore()
    session = CaseSession(store.create("case-1"), gating, clock, "reader")
    session.accept(result.frame, result)
    chosen = next(n for n, it in enumerate(session.view.fields[0].standings) if it is OUT)
    session.correct_cells(1, [chosen], Correction.COMPLETE_INTENSE)
    session.change_rule(RuleChange(moderate_od10=0.3))
    live = session.view
    session.close()
    stored = stored_settings(store.read("case-1"))
    assert stored is not None and stored[1] == gating.settings
    bare = FieldAnalyser(analyser.segmenter, stored[1], analyser.calibration)
    with_events = CaseSession(store.open("case-1"), bare, clock, "reader")
    view = with_events.view
    assert (view.score, view.settings, view.n_outside) == (live.score, live.settings, live.n_outside)
    assert [item.standings for item in view.fields] == [item.standings for item in live.fields]
    assert view.fields[0].standings[chosen] is IN
    with pytest.raises(SettingsError, match="not loaded"):
        with_events.accept(replace(result.frame, name="another"))
    assert len(with_events.view.fields) == 1


def test_the_reader_puts_cells_back_and_takes_it_back(session, result):
    session.accept(result.frame, result)
    (item,) = session.view.fields
    out = [n for n, it in enumerate(item.standings) if it is OUT and item.result.cells[n].kind is CellKind.TUMOUR]
    session.correct_cells(1, out[:2], Correction.COMPLETE_INTENSE)
    assert session.view.n_outside == len(out) - 2
    assert session.view.score.counts.n_tumour == item.counts.n_tumour + 2
    session.undo()
    assert session.view.fields[0].counts == item.counts
    height, width = (side * result.frame.um_per_px for side in result.frame.size_hw)
    whole = ((-1.0, -1.0), (width + 1, -1.0), (width + 1, height + 1), (-1.0, height + 1))
    place = item.place
    session.draw_region(RegionDraft(RegionKind.INVASIVE, place.island, whole, field=1))
    assert session.view.n_outside == 0
    session.undo()
    assert session.view.fields[0].counts == item.counts


def test_a_control_is_read_whole_and_moves_no_gate(session, analyser, frames, clock, result):
    plain = CaseSession(MemoryCaseStore().create("plain"), analyser, clock, "reader")
    session.accept(result.frame, result)
    ours, theirs = (one.read_control(frames["3+"], "3+", "") for one in (session, plain))
    assert ours.measures == theirs.measures and ours.result.outside is None
    again = session.view.fields[0].result  # measured with the control's cuts
    assert again.cuts == session.cuts != result.cuts
    assert [one.within for one in again.cells] == [one.within for one in result.cells]
    assert session.view.fields[0].n_outside > 20


def test_an_analysis_that_the_model_was_not_asked_for_is_not_taken(session, analyser, frames):
    ungated = analyser.analyse(frames["2+"], session.cuts)
    assert session.accept(frames["2+"], ungated).n_outside > 20


def test_a_model_that_leaves_out_the_most_forbids_a_report(analyser, clock, frames):
    """Nobody counts any more then: the reader outlines, or the case is not reportable."""
    few = gated(analyser, RegionGate.of(DrawnModel(lambda x, y: np.where(x < 0.3, 1.0, 0.0))))
    session = CaseSession(MemoryCaseStore().create("case-1"), few, clock, "reader")
    session.read_control(frames["3+"], "3+", "")
    (item,) = [session.accept(frames["2+"])]
    (said,) = [text for text in session.view.standing.refusals if "region model" in text]
    n_all = item.n_outside + item.counts.n_tumour
    assert f"leaves out {item.n_outside} of {n_all} tumour cells" in said and item.n_outside > item.counts.n_tumour
    assert not session.view.score.reportable
    half = replace(item, standings=(IN,) * len(item.standings), counts=item.counts)
    assert not any("region model" in text for text in standing((), None, [half]).refusals)


def test_what_the_pixels_say_is_the_same_live_and_from_the_store(analyser, frames):
    """A model that looks at the pixels gives a stored picture the same answer."""
    one = gated(analyser, RegionGate.of(BrownModel()))
    first = one.analyse(frames["2+"], one.default_cuts)
    again = one.analyse(replace(frames["2+"], rgb=frames["2+"].rgb.copy(), index=7), one.default_cuts)
    assert field_to_data(first)["cells"] == field_to_data(again)["cells"]
    assert 0 < sum(one.within for one in first.cells) < len(first.cells)


def test_settings_name_the_model(tmp_path):
    where = WhereToCount("drawn", "ab" * 32, ("tumour",))
    told = as_mapping(ScoringSettings(where_to_count=where))
    assert from_mapping(ScoringSettings, told, "here").where_to_count == where
    with pytest.raises(SettingsError, match="count_in: no class"):
        WhereToCount("drawn", "ab" * 32, ())
    with pytest.raises(SettingsError, match="least_probability must be from 0 to 1"):
        WhereToCount("drawn", "ab" * 32, ("tumour",), 1.5)


def test_field_results_of_tests_count_as_the_analyser_does():
    cells = outside(grid([CellClass.NONE] * 4), 1)
    assert field_result(cells).counts == CellCounts(none=3)


def test_the_live_picture_is_whole_in_control_mode_and_gated_in_reading_mode(gating, frames):
    camera, listener, store = FakeCamera(frames["2+"]), Listener(), MemoryCaseStore()
    session = CaseSession(store.create("case-1"), gating, SystemClock(), "reader")
    engine = LiveEngine(camera, lambda: session, listener, lambda view: (), SystemClock(), session)
    engine.set_mode(Mode.CONTROL)
    engine.start()
    try:
        whole = listener.wait_for("result", lambda item: item.mode is Mode.CONTROL).result
        assert whole.outside is None and whole.n_outside == 0
        engine.set_mode(Mode.READING)
        found = listener.wait_for("result", lambda item: item.mode is Mode.READING).result
        assert found.outside is not None and found.counts.n_tumour + found.n_outside == whole.counts.n_tumour
        engine.accept_field()
        (item,) = listener.wait_for("case", lambda view: view.fields).fields
        assert item.counts == found.counts and item.n_outside == found.n_outside
        listener.wait_for("message", lambda said: f"{found.n_outside} more outside the counted tissue" in said.text)
    finally:
        engine.stop()
