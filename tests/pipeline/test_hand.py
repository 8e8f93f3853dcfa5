"""The reader's hand on a case: every change is an event, undoable, and a stored case gives the same score."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from her2scope.app.compose import DEFAULT_METHOD, make_analyser
from her2scope.domain.cells import CellClass
from her2scope.domain.corrections import CaseData, CellStanding, Correction, RuleChange
from her2scope.domain.errors import CaseRuleError
from her2scope.domain.events import Event, EventKind
from her2scope.domain.guideline import COMPLETE, Ish
from her2scope.domain.regions import RegionDraft, RegionKind
from her2scope.pipeline.session import CaseSession, next_island
from her2scope.records import CaseView, FieldResult, IslandJoin, MapPlace, ReaderScore
from her2scope.settings import Calibration, ScoringSettings
from her2scope.storage.memory import MemoryCaseStore

HERE, BESIDE = MapPlace(0, 0.0, 0.0), MapPlace(0, 1000.0, 0.0)
UPPER_HALF = ((0.0, 0.0), (320.0, 0.0), (320.0, 90.0), (0.0, 90.0))


@pytest.fixture
def store() -> MemoryCaseStore:
    return MemoryCaseStore()


@pytest.fixture(scope="module")
def results(analyser, frames) -> dict[str, FieldResult]:
    return {name: analyser.analyse(frames[name], analyser.default_cuts) for name in ("2+", "2+ again")}


@pytest.fixture
def session(store, analyser, clock, results) -> CaseSession:
    """A case with two fields of a 2+ tissue."""
    made = CaseSession(store.create("case-1"), analyser, clock, "reader")
    for name, place in (("2+", HERE), ("2+ again", BESIDE)):
        made.accept(results[name].frame, results[name], place=place)
    return made


def counted_cell(view: CaseView, field: int = 0) -> int:
    """Place of a stained cell that the case counts."""
    item = view.fields[field]
    return next(
        number
        for number, cell in enumerate(item.result.cells)
        if item.counted[number] and cell.cell_class is CellClass.COMPLETE_MODERATE
    )


def figures(view: CaseView) -> object:
    """All of a case that its events and measures decide."""
    fields = [(item.number, item.active, item.counts, item.standings, item.corrections, item.annotation, item.place,
               item.duct_counts, [cell.cell_class for cell in item.result.cells], item.result.score)
              for item in view.fields]  # fmt: skip
    return fields, view.score, view.rule, view.regions, view.data, view.ish, view.reader_score, view.undo_text


def read_back(session: CaseSession, store: MemoryCaseStore, clock) -> CaseView:
    """The case from what is stored, by a program that was started anew."""
    session.close()
    fresh = make_analyser(DEFAULT_METHOD, ScoringSettings(), Calibration())
    return CaseSession(store.open("case-1"), fresh, clock, "reader").view


def do_everything(session: CaseSession) -> None:
    view = session.view
    session.correct_cells(1, [counted_cell(view)], Correction.COMPLETE_INTENSE)
    session.correct_cells(2, [counted_cell(view, 1)], Correction.EXCLUDED)
    session.draw_region(RegionDraft(RegionKind.EXCLUDE, 0, UPPER_HALF, note="DCIS"))
    session.annotate(2, " edge of the tumour ")
    session.change_rule(RuleChange(complete_share=0.8, moderate_od10=0.3))
    session.enter_case_data(CaseData("H-26-1", "A", "HER2"))
    session.enter_ish(Ish.NEGATIVE)
    session.enter_reader_score(ReaderScore("3+", "strong at the front"))
    session.remove(2)
    session.undo()


def test_a_stored_case_gives_the_same_score(session, store, clock):
    do_everything(session)
    live = session.view
    assert figures(read_back(session, store, clock)) == figures(live)


def test_everything_can_be_undone_and_done_again(session, store, clock):
    views = [session.view]
    for change in (
        lambda: session.correct_cells(1, [0], Correction.EXCLUDED),
        lambda: session.draw_region(RegionDraft(RegionKind.NORMAL_DUCT, 0, UPPER_HALF)),
        lambda: session.change_rule(RuleChange(intense_od10=0.5)),
        lambda: session.annotate(1, "front"),
        lambda: session.remove(1),
        lambda: session.enter_case_data(CaseData(slide="7")),
        lambda: session.enter_ish(Ish.POSITIVE),
        lambda: session.enter_reader_score(ReaderScore(None, "crushed")),
    ):
        change()
        views.append(session.view)
    for view in reversed(views[:-1]):
        session.undo()
        assert figures(session.view) == figures(view)
    for view in views[1:]:
        session.redo()
        assert figures(session.view) == figures(view)
    assert figures(read_back(session, store, clock)) == figures(views[-1])


def test_the_score_follows_a_correction(session):
    before = session.view
    number = counted_cell(before)
    session.correct_cells(1, [number], Correction.NONE)
    counts = session.view.score.counts
    assert counts.complete_moderate == before.score.counts.complete_moderate - 1
    assert counts.none == before.score.counts.none + 1
    session.correct_cells(1, [number], None)
    assert session.view.score.counts == before.score.counts


def test_an_event_says_what_was_before(session):
    session.correct_cells(1, [3], Correction.EXCLUDED)
    session.correct_cells(1, [3, 4], Correction.NONE)
    session.change_rule(RuleChange(intense_od10=0.6))
    session.change_rule(RuleChange())
    events = session.view.events
    assert json.loads(json.dumps(events[-3].data))["before"] == ["excluded", None]
    assert events[-1].data["before"]["intense_od10"] == 0.6
    assert all(event.who == "reader" and event.at_utc for event in events)


def test_saying_the_same_again_is_no_event(session):
    session.correct_cells(1, [3], Correction.EXCLUDED)
    session.annotate(1, "x")
    n_events = len(session.view.events)
    session.correct_cells(1, [3], Correction.EXCLUDED)
    session.annotate(1, "x ")
    session.change_rule(RuleChange())
    session.enter_case_data(CaseData())
    assert len(session.view.events) == n_events


@pytest.mark.parametrize("cells", [[], [-1], [100_000]])
def test_a_cell_that_is_not_there_is_refused(session, cells):
    with pytest.raises(CaseRuleError, match="no such cell"):
        session.correct_cells(1, cells, Correction.NONE)


def test_there_is_an_end_to_undoing(session):
    session.undo()
    session.undo()
    with pytest.raises(CaseRuleError, match="nothing to undo"):
        session.undo()
    assert not session.view.active_fields and len(session.view.fields) == 2
    session.redo()
    session.redo()
    with pytest.raises(CaseRuleError, match="nothing to redo"):
        session.redo()
    assert len(session.view.active_fields) == 2


def test_menus_say_what_would_be_undone(session):
    assert session.view.undo_text == "add field 2"
    session.draw_region(RegionDraft(RegionKind.NORMAL_DUCT, 0, UPPER_HALF))
    assert session.view.undo_text == "outline normal duct"
    session.undo()
    assert session.view.redo_text == "outline normal duct"


def test_a_field_that_was_undone_is_not_in_the_list_of_cases(session, store):
    session.undo()
    session.close()
    assert store.cases()[0].n_fields == 1


def test_moved_cuts_are_a_deviation_and_not_reportable(session, frames):
    session.read_control(frames["3+"], "3+", "lot 7")
    assert session.view.score.reportable
    session.change_rule(RuleChange(intense_od10=0.6))
    view = session.view
    assert view.rule is not None and "intense cut 0.60 instead of" in view.rule.deviates
    assert not view.score.reportable
    assert any("intense cut 0.60" in reason for reason in view.score.reasons)
    assert view.cuts.intense_od10 == 0.6
    session.undo()
    assert session.view.score.reportable


def test_a_preview_shows_the_case_and_changes_nothing(session):
    before = session.view
    shown = session.preview(RuleChange(complete_share=1.0))
    assert shown.rule is not None and shown.rule.is_preview
    assert shown.score.counts.sum_of(COMPLETE) < before.score.counts.sum_of(COMPLETE)
    assert session.view is before


def test_cuts_that_cannot_be_are_refused(session):
    with pytest.raises(CaseRuleError, match="must rise"):
        session.change_rule(RuleChange(stained_od10=2.0))


@pytest.mark.parametrize("number", range(2))
def test_a_score_that_differs_needs_a_sentence(session, number):
    scores = ("0", "3+")
    with pytest.raises(CaseRuleError, match="differs from the reference score 2\\+"):
        session.enter_reader_score(ReaderScore(scores[number]))
    session.enter_reader_score(ReaderScore(scores[number], "see field 2"))
    assert session.view.reader_score == ReaderScore(scores[number], "see field 2")


def test_an_indeterminate_score_needs_a_reason(session):
    with pytest.raises(CaseRuleError, match="needs a reason"):
        session.enter_reader_score(ReaderScore(None, " "))


def test_a_score_entered_blind_needs_its_sentence_at_the_end(session):
    session.enter_reader_score(ReaderScore("3+", blind=True))
    with pytest.raises(CaseRuleError, match="then finish"):
        session.finish()
    session.enter_reader_score(ReaderScore("3+", "strong at the front", blind=True))
    assert session.finish().reader_score == ReaderScore("3+", "strong at the front", blind=True)


def test_one_slide_is_not_open_twice(store, analyser, clock):
    def other(slide_id: str) -> str | None:
        return next((item.case_id for item in store.cases() if item.slide_id == slide_id and not item.finished), None)

    first = CaseSession(store.create("one"), analyser, clock, "reader", other_case_of=other)
    first.enter_case_data(CaseData("H-26-1", "A", "HER2"))
    second = CaseSession(store.create("two"), analyser, clock, "reader", other_case_of=other)
    with pytest.raises(CaseRuleError, match="open in case one already"):
        second.enter_case_data(CaseData("h-26-1 ", "a", "her2"))
    second.enter_case_data(CaseData("H-26-1", "A", "HER2-2"))
    first.finish()
    second.enter_case_data(CaseData("H-26-1", "A", "HER2"))
    assert second.view.data.slide_id == "h-26-1/a/her2"


def test_regions_and_fields_follow_a_joined_island(session, frames):
    session.accept(frames["1+"], place=MapPlace(3, 10.0, 10.0))
    session.draw_region(
        RegionDraft(RegionKind.EXCLUDE, 3, ((10.0, 10.0), (330.0, 10.0), (330.0, 190.0), (10.0, 190.0)))
    )
    before = session.view.fields[2].standings
    session.join_islands(IslandJoin(3, 0, 5000.0, 100.0))
    item = session.view.fields[2]
    assert item.place == MapPlace(0, 5010.0, 110.0)
    assert item.standings == before and CellStanding.EXCLUDED_REGION in before
    assert session.next_island == 4


@pytest.mark.parametrize("data", [{"place": 5}, {"place": {"island": "east"}}, {"island": None}, {"into": [7]}])
def test_islands_of_an_event_that_cannot_be_read_are_left_to_who_opens_the_case(data):
    known = Event(1, EventKind.REGION_DRAWN, "", "reader", {"island": 2})
    assert next_island([known, Event(2, EventKind.FIELD_ACCEPTED, "", "reader", data)]) == 3


def test_an_unknown_island_is_no_event(session):
    n_events = len(session.view.events)
    session.join_islands(IslandJoin(8, 0, 1.0, 1.0))
    assert len(session.view.events) == n_events


def test_nothing_changes_after_the_end(session):
    session.finish()
    for change in (
        session.undo,
        lambda: session.correct_cells(1, [0], Correction.NONE),
        lambda: session.change_rule(RuleChange(intense_od10=0.5)),
        lambda: session.draw_region(RegionDraft(RegionKind.EXCLUDE, 0, UPPER_HALF)),
        lambda: session.annotate(1, "late"),
        lambda: session.enter_case_data(CaseData(slide="9")),
    ):
        with pytest.raises(CaseRuleError, match="is finished"):
            change()


def test_a_control_read_later_keeps_the_words_on_cells(session, frames):
    number = counted_cell(session.view)
    session.correct_cells(1, [number], Correction.EXCLUDED)
    place = session.view.fields[0].result.cells[number]
    session.read_control(frames["3+"], "3+", "lot 7")
    item = session.view.fields[0]
    excluded = [cell for cell, word in zip(item.result.cells, item.corrections, strict=True) if word is not None]
    assert [(cell.x_px, cell.y_px) for cell in excluded] == [(place.x_px, place.y_px)]
    assert session.view.events[-1].kind is EventKind.CONTROL_READ


def test_a_field_that_shows_tissue_of_another_island_makes_them_one(store, analyser, clock, frames):
    """As in a resumed case: the map knows nothing of the fields that were accepted before."""
    rgb = frames["2+"].rgb
    left, right = (replace(frames["2+"], rgb=rgb[:, span].copy()) for span in (slice(0, 900), slice(380, None)))
    session = CaseSession(store.create("case-1"), analyser, clock, "reader")
    session.accept(left, place=MapPlace(0, 50.0, 20.0))
    session.draw_region(RegionDraft(RegionKind.EXCLUDE, 4, ((0.0, 0.0), (200.0, 0.0), (200.0, 180.0), (0.0, 180.0))))
    session.accept(right, place=MapPlace(4, 0.0, 0.0))
    (join,) = session.joins
    assert (join.island, join.into) == (4, 0)
    assert (join.dx_um, join.dy_um) == pytest.approx((50.0 + 380 * 0.25, 20.0), abs=0.2)
    view = session.view
    assert view.fields[1].place == MapPlace(0, join.dx_um, join.dy_um)
    assert view.regions[0].island == 0
    assert CellStanding.EXCLUDED_REGION in view.fields[0].standings, "what is excluded there is excluded here too"
    assert CellStanding.SEEN_BEFORE in view.fields[1].standings


@pytest.fixture
def empty(store, analyser, clock) -> CaseSession:
    return CaseSession(store.create("case-1"), analyser, clock, "reader")


def seen_twice(view: CaseView) -> int:
    """Place in the second field's list of a cell that the first field counts."""
    return view.fields[1].standings.index(CellStanding.SEEN_BEFORE)


def test_one_undo_takes_back_a_word_on_a_cell_of_two_fields(empty, frames):
    rgb = frames["2+"].rgb
    left, right = (replace(frames["2+"], rgb=rgb[:, span].copy()) for span in (slice(0, 700), slice(180, None)))
    empty.accept(left, place=HERE)
    empty.accept(right, place=MapPlace(0, 45.0, 0.0))
    cell = seen_twice(empty.view)
    empty.correct_cells(2, [cell], Correction.EXCLUDED)
    (same,) = [number for number, word in enumerate(empty.view.fields[0].corrections) if word is not None]
    empty.correct_cells(1, [same], Correction.NOT_TUMOUR)
    assert empty.view.fields[1].corrections[cell] is Correction.NOT_TUMOUR
    empty.undo()
    words = empty.view.fields[0].corrections[same], empty.view.fields[1].corrections[cell]
    assert words == (Correction.EXCLUDED, Correction.EXCLUDED)
    empty.correct_cells(1, [same], None)
    assert not any(item.n_corrected for item in empty.view.fields)


@pytest.mark.parametrize("joins", [
    [IslandJoin(5, 4, 100.0, 0.0), IslandJoin(4, 0, 1000.0, 0.0)],
    [IslandJoin(4, 0, 1000.0, 0.0), IslandJoin(5, 4, 100.0, 0.0)],
    [IslandJoin(5, 4, 100.0, 0.0), IslandJoin(5, 0, 1100.0, 0.0)],
])  # fmt: skip
@pytest.mark.parametrize("known", [(5,), (4, 5)])
def test_islands_joined_in_a_chain_end_on_the_one_that_remains(empty, frames, joins, known):
    """Also by way of an island on which nothing was accepted, and of one that was joined before."""
    empty.accept(frames["1+"], place=HERE)
    for island in known:
        square = ((0.0, 0.0), (50.0, 0.0), (50.0, 50.0))
        empty.draw_region(RegionDraft(RegionKind.EXCLUDE, island, square))
    for join in joins:
        empty.join_islands(join)
    last = empty.view.regions[-1]
    if known == (5,) and joins[0].island == 4:
        assert last.island == 4, "nothing of this case lay on island 4 when it was joined"
    else:
        assert {region.island for region in empty.view.regions} == {0}
        assert last.polygon_um[0] == (1100.0, 0.0)


def test_fields_of_joined_islands_count_what_they_share_once(empty, frames):
    """A corner that is too small to be found by the pictures alone is taken from the map."""
    rgb = frames["2+"].rgb
    parts = rgb[:420, :700], rgb[300:, 570:]
    first, second = (replace(frames["2+"], rgb=part.copy()) for part in parts)
    empty.accept(first, place=HERE)
    empty.accept(second, place=MapPlace(1, 0.0, 0.0))
    assert not empty.joins and not empty.view.fields[1].overlaps
    apart = empty.view.score.counts.n_tumour
    empty.join_islands(IslandJoin(1, 0, 570 * 0.25, 300 * 0.25))
    (overlap,) = empty.view.fields[1].overlaps
    assert (overlap.field, overlap.dx_px, overlap.dy_px) == (1, 570, 300)
    n_twice = empty.view.fields[1].standings.count(CellStanding.SEEN_BEFORE)
    assert 0 < n_twice and empty.view.score.counts.n_tumour == apart - n_twice


def test_joined_fields_are_read_back_as_they_were(empty, frames, store, clock):
    test_fields_of_joined_islands_count_what_they_share_once(empty, frames)
    live = empty.view
    assert figures(read_back(empty, store, clock)) == figures(live)


def test_a_region_that_an_undo_may_bring_back_keeps_its_island(empty, store, analyser, clock):
    empty.draw_region(RegionDraft(RegionKind.EXCLUDE, 7, UPPER_HALF))
    empty.remove_region(1)
    empty.close()
    again = CaseSession(store.open("case-1"), analyser, clock, "reader")
    assert again.next_island == 8, "else other tissue could get the island of the region"


def test_a_slide_does_not_come_back_by_undo_where_another_case_has_it_now(store, analyser, clock):
    taken: dict[str, str] = {}
    session = CaseSession(store.create("one"), analyser, clock, "reader", other_case_of=taken.get)
    session.enter_case_data(CaseData(slide="7"))
    session.enter_case_data(CaseData(slide="8"))
    taken["//7"] = "two"
    with pytest.raises(CaseRuleError, match="open in case two already"):
        session.undo()
    del taken["//7"]
    session.undo()
    taken["//8"] = "three"
    with pytest.raises(CaseRuleError, match="open in case three already"):
        session.redo()
    assert session.view.data.slide == "7"


def test_saying_the_same_score_or_ish_again_is_no_event(session):
    session.enter_ish(Ish.NEGATIVE)
    session.enter_reader_score(ReaderScore("2+"))
    n_events = len(session.view.events)
    session.enter_ish(Ish.NEGATIVE)
    session.enter_reader_score(ReaderScore("2+", " "))
    assert len(session.view.events) == n_events
