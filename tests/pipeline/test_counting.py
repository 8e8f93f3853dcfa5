"""Which cells count, and as what: laws of the reader's hand on fields with known cells."""

from __future__ import annotations

from dataclasses import replace

import factories
import pytest
from case_grids import PITCH_PX, counted, field, grid, square, total
from factories import cell
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.cells import CellClass, CellCounts, CellKind
from her2scope.domain.corrections import CellStanding, Correction
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.guideline import BREAST_2023
from her2scope.domain.regions import Region, RegionKind
from her2scope.domain.score import find_score
from her2scope.pipeline.counting import CaseField, Counting, SameCells
from her2scope.pipeline.hand import Hand
from her2scope.records import AcceptedField, IslandJoin, MapPlace, Overlap

classes = st.lists(st.sampled_from([*CellClass, None]), min_size=1, max_size=25)
words = st.sampled_from([*Correction])


@given(classes, st.data())
def test_a_corrected_cell_counts_as_the_reader_says(names, data):
    chosen = data.draw(st.integers(0, len(names) - 1))
    word = data.draw(words)
    one = field(1, grid(names))
    found = total([one], Hand(active={1}, corrections={(1, chosen): word}))
    without = CellCounts.of(name for number, name in enumerate(names) if number != chosen)
    if word is Correction.EXCLUDED:
        assert found == without
    else:
        assert found == without + CellCounts.of([word.cell_class])


@given(classes, st.integers(0, 24))
def test_no_word_changes_nothing(names, _):
    one = field(1, grid(names))
    (found,) = counted([one], Hand(active={1}))
    assert found.result is one.result
    assert found.counts == CellCounts.of(names)
    assert all(standing is CellStanding.COUNTED for standing in found.standings)
    assert all(found.counted)


def test_what_the_reader_calls_faint_is_so_beyond_doubt():
    in_doubt = replace(factories.MEASURES[CellClass.INCOMPLETE_FAINT], uncertain=True)
    cells = [replace(one, measure=in_doubt) for one in grid([CellClass.INCOMPLETE_FAINT] * 3)]
    one = field(1, cells)
    assert total([one], Hand(active={1})) == CellCounts(incomplete_faint=3, uncertain_faint=3)
    said = Hand(active={1}, corrections={(1, 0): Correction.INCOMPLETE_FAINT, (1, 1): Correction.NONE})
    assert total([one], said) == CellCounts(incomplete_faint=2, none=1, uncertain_faint=1)


def test_an_other_cell_that_is_called_tumour_counts_as_tumour():
    (found,) = counted([field(1, grid([None]))], Hand(active={1}, corrections={(1, 0): Correction.COMPLETE_MODERATE}))
    assert found.result.cells[0].kind is CellKind.TUMOUR
    assert found.counts == CellCounts(complete_moderate=1)
    assert found.read is not None and found.read.cells[0].kind is CellKind.OTHER


def overlapping(names: list[CellClass | None], shift: int = 2) -> list[CaseField]:
    """Two fields of one tissue, the second `shift` columns further to the right."""
    cells = grid(names, 5)
    first = field(1, cells)
    moved = [cell(item.cell_class, item.x_px - shift * PITCH_PX, item.y_px) for item in cells]
    inside = [item for item in moved if item.x_px > 0]
    overlap = Overlap(1, float(shift * PITCH_PX), 0.0)
    return [first, field(2, inside, MapPlace(0, shift * 10.0, 0.0), (overlap,), (first,))]


@given(st.lists(st.sampled_from([*CellClass, None]), min_size=25, max_size=25), st.integers(0, 14), words)
def test_a_word_on_a_cell_holds_in_every_field_that_shows_it(names, chosen, word):
    """However the cell is met: in the field that counts it or in the one that saw it again, one of them removed."""
    fields = overlapping(names)
    ((mine, theirs), *_) = [pair for pair in fields[1].twins[1] if pair[0] == chosen]
    whole = total(fields, Hand(active={1, 2}, corrections={(1, theirs): word}))
    assert total(fields, Hand(active={1, 2}, corrections={(2, mine): word})) == whole
    only_second = total(fields, Hand(active={2}, corrections={(1, theirs): word}))
    assert only_second == total(fields, Hand(active={2}, corrections={(2, mine): word}))


@given(st.lists(st.sampled_from([*CellClass, None]), min_size=25, max_size=25))
def test_cells_seen_twice_count_once_and_come_back_when_the_first_field_goes(names):
    fields = overlapping(names)
    assert total(fields, Hand(active={1, 2})) == CellCounts.of(names)
    assert total(fields, Hand(active={2})) == CellCounts.of(item.cell_class for item in fields[1].result.cells)


@pytest.mark.parametrize("said_in", [1, 2, 3, 4])
def test_a_word_goes_through_a_chain_of_fields_in_any_order(said_in):
    """Fields 3 and 4 share the cell with one other field only; whichever is left counts it as the reader said."""
    links = {2: 1, 3: 2, 4: 1}
    fields = [field(number, grid([CellClass.NONE])) for number in (1, 2, 3, 4)]
    for number, other in links.items():
        fields[number - 1].twins = {other: ((0, 0),)}
    for left in (1, 2, 3, 4):
        hand = Hand(active={left}, corrections={(said_in, 0): Correction.COMPLETE_INTENSE})
        assert total(fields, hand) == CellCounts(complete_intense=1)


def test_two_cells_of_one_field_are_never_the_same_cell():
    """However a chain of fields drifts: a word must not reach the neighbour."""
    fields = [field(1, grid([CellClass.NONE])), *(field(n, grid([CellClass.NONE] * 2)) for n in (2, 3))]
    fields[1].twins = {1: ((0, 0),)}
    fields[2].twins = {1: ((1, 0),), 2: ((0, 0),)}
    assert dict(SameCells(fields).of((3, 0))) == {2: 0, 1: 0}
    assert dict(SameCells(fields).of((3, 1))) == {1: 0, 2: 0}


def test_an_excluded_region_takes_its_cells_out_of_every_field_that_shows_them():
    fields = overlapping([CellClass.NONE] * 25)
    region = Region(1, RegionKind.EXCLUDE, 0, square(20.0, 0.0, 10.0))  # the cell in column 2, row 0
    found = counted(fields, Hand(active={1, 2}, regions={1: region}))
    assert sum(item.counts.none for item in found) == 24
    assert found[0].standings[2] is CellStanding.EXCLUDED_REGION
    assert total(fields, Hand(active={2}, regions={1: region})).none == 14


def test_cells_of_a_normal_duct_are_the_internal_control():
    one = field(1, grid([CellClass.COMPLETE_INTENSE, CellClass.NONE, CellClass.NONE]))
    (found,) = counted([one], Hand(active={1}, regions={1: Region(1, RegionKind.NORMAL_DUCT, 0, square(0, 0, 18.0))}))
    assert found.duct_counts == CellCounts(complete_intense=1, none=1)
    assert found.counts == CellCounts(none=1)


def test_invasive_tumour_outlined_on_a_field_restricts_what_that_field_shows_and_no_more():
    first, second = field(1, grid([CellClass.NONE] * 25)), field(2, grid([CellClass.NONE] * 25), MapPlace(0, 500.0, 0))
    region = Region(1, RegionKind.INVASIVE, 0, square(0.0, 0.0, 20.0), field=1)
    found = counted([first, second], Hand(active={1, 2}, regions={1: region}))
    assert [item.counts.none for item in found] == [4, 25]


def test_a_swept_field_counts_within_the_outline_only_and_leaves_the_rest_to_others():
    cells = grid([CellClass.NONE] * 25)
    swept = field(1, cells, swept=True)
    again = field(2, cells, overlaps=(Overlap(1, 0.0, 0.0),), earlier=(swept,))
    region = Region(1, RegionKind.INVASIVE, 0, square(0.0, 0.0, 20.0))
    hand = Hand(active={1, 2}, regions={1: region})
    found = counted([swept, again], hand)
    assert [item.counts.none for item in found] == [4, 21]
    assert found[0].standings.count(CellStanding.NOT_INVASIVE) == 21


def test_a_swept_field_without_an_outline_counts_nothing():
    (found,) = counted([field(1, grid([CellClass.NONE] * 4), swept=True)], Hand(active={1}))
    assert found.counts == CellCounts()


@pytest.mark.parametrize("kind", list(RegionKind))
@given(dx_um=st.floats(-1000, 1000), dy_um=st.floats(-1000, 1000))
def test_joined_islands_keep_what_was_drawn_on_them(kind, dx_um, dy_um):
    """A field and an outline on an island that turns out to lie on another one: the same cells as before."""
    one = field(1, grid([CellClass.NONE] * 25), MapPlace(4, 0.0, 0.0))
    regions = {1: Region(1, kind, 4, square(0.0, 0.0, 20.0), field=1)}
    before = counted([one], Hand(active={1}, regions=regions))[0]
    after = counted([one], Hand(active={1}, regions=regions, joins=[IslandJoin(4, 2, dx_um, dy_um)]))[0]
    assert after.standings == before.standings
    assert after.place is not None and after.place.island == 2


def test_what_did_not_change_is_not_counted_anew():
    fields = [field(1, grid([CellClass.NONE] * 25)), field(2, grid([CellClass.NONE] * 25), MapPlace(0, 500.0, 0))]
    counting = Counting()

    def count(hand: Hand) -> tuple[AcceptedField, ...]:
        return counting.count(
            fields, SameCells(fields), hand, None, lambda result: result,
            lambda counts, um: find_score(counts, BREAST_2023, FalseRates(), um, 5),
        )  # fmt: skip

    before = count(Hand(active={1, 2}))
    after = count(Hand(active={1, 2}, corrections={(2, 3): Correction.EXCLUDED}))
    assert after[0] is before[0]
    assert after[1] is not before[1]
