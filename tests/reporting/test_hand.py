"""What the reader did, in the rows and sentences of a report."""

from __future__ import annotations

import dataclasses

import factories
import numpy as np
import pytest
from reporting import busy_case

from her2scope.domain.cells import CellClass, CellRule, StainCuts
from her2scope.domain.corrections import CaseData, CellStanding, Correction, RuleInForce
from her2scope.domain.guideline import Finding
from her2scope.domain.regions import Region, RegionKind
from her2scope.domain.score import TooFewCells
from her2scope.imaging.registration import Relief
from her2scope.pipeline.counting import CaseField, Counting, SameCells
from her2scope.pipeline.hand import Hand
from her2scope.records import MapPlace, ReaderScore
from her2scope.reporting import hand, words
from her2scope.reporting.cell_standing import as_read, corrected_cells, corrections, polygon_px, standings
from her2scope.reporting.region_marks import draw_regions

VIEW = busy_case.busy_view()
FIRST, SECOND = VIEW.fields[:2]
PLAIN = factories.case_view([factories.equivocal_field()])


def test_a_field_of_no_hand_is_told_by_its_flags() -> None:
    cells = [factories.cell(CellClass.NONE), factories.cell(CellClass.NONE, edge=True), factories.cell(CellClass.NONE)]
    item = factories.accepted(factories.field_result(cells), seen_before=(2,))
    assert standings(item) == (CellStanding.COUNTED, CellStanding.EDGE, CellStanding.SEEN_BEFORE)
    assert corrections(item) == (None, None, None)
    assert as_read(item) is item.result


def test_nothing_is_said_of_what_was_not_done() -> None:
    assert hand.case_data_line(PLAIN.data) == hand.deviation(PLAIN) == hand.swept_text(PLAIN) == ""
    assert hand.region_rows(PLAIN) == hand.correction_rows(PLAIN) == hand.remark_rows(PLAIN) == ()
    assert hand.duct_text(PLAIN) == words.reader_note(PLAIN) == ""


def test_case_data_are_named_and_blank_ones_left_out() -> None:
    data = CaseData("S25-1", " ", "2\n", "excision")
    assert hand.case_data_line(data) == "Accession S25-1 \u00b7 Slide 2 \u00b7 Specimen excision"


def test_corrected_cells_are_told_from_what_to_what() -> None:
    assert hand.correction_rows(VIEW) == (
        ("2", "Complete, intense", "Complete, weak to moderate", "2"),
        ("2", "Complete, intense", "not a tumour cell", "1"),
        ("2", "Complete, intense", "excluded", "1"),
        ("2", "Incomplete, faint", "No membrane staining", "1"),
    )
    assert hand.n_corrected(VIEW) == len(busy_case.CORRECTED) == SECOND.n_corrected


def test_a_cell_corrected_in_two_fields_that_show_it_is_one_cell() -> None:
    seen = tuple(
        CellStanding.SEEN_BEFORE if word is not None else standing
        for word, standing in zip(SECOND.corrections, SECOND.standings, strict=True)
    )
    again = dataclasses.replace(SECOND, number=9, standings=seen)
    assert corrected_cells(again) == ()


def test_swept_fields_and_remarks_are_listed() -> None:
    assert hand.swept_text(VIEW).startswith("Fields 2, 4 accepted by sweeping: only cells within the invasive tumour")
    assert hand.remark_rows(VIEW) == (("1", busy_case.REMARK), ("3", busy_case.LONG_REMARK.strip()))


def test_the_internal_control_is_counted_by_class() -> None:
    n_ducts = sum(standing is CellStanding.NORMAL_DUCT for standing in FIRST.standings)
    assert hand.duct_text(VIEW).startswith(
        f"Internal control: {n_ducts} cells in normal ducts that the reader marked; "
    )
    assert hand.duct_counts(VIEW) == FIRST.duct_counts
    assert str(FIRST.duct_counts.none) in hand.duct_text(VIEW)


def test_moved_cuts_are_told_and_a_preview_is_no_record() -> None:
    assert hand.deviation(VIEW) == "Intense cut 0.75 instead of 0.70 od10; completeness needed 0.85 instead of 0.90."
    preview = dataclasses.replace(VIEW, rule=dataclasses.replace(busy_case.RULE, is_preview=True))
    assert hand.deviation(preview).endswith("Preview: not recorded in the case.")
    stored = RuleInForce(StainCuts(), CellRule(), StainCuts(), CellRule())
    assert hand.deviation(dataclasses.replace(VIEW, rule=stored)) == ""


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (ReaderScore("2+"), ""),
        (ReaderScore("2+", blind=True), "Entered before the reference score was shown."),
        (ReaderScore("1+", "weaker"), "Differs from the reference score 2+."),
        (ReaderScore("1+"), "Differs from the reference score 2+; no remark yet."),
        (ReaderScore(None, "crushed"), ""),
    ],
)
def test_the_own_score_is_set_beside_the_reference_score(score: ReaderScore, expected: str) -> None:
    assert words.reader_note(dataclasses.replace(PLAIN, reader_score=score)) == expected


def test_what_the_reader_left_out_is_not_counted_in_words() -> None:
    found = words.not_assessed(VIEW)
    assert "1 tumour cell excluded one by one by the reader." in found
    assert "1 cell that the reader found not to be tumour." in found
    assert any("in normal ducts that the reader marked" in line for line in found)


# ---- regions ------------------------------------------------------------------------------------------------------


SQUARE = ((100.0, 50.0), (130.0, 50.0), (130.0, 70.0), (100.0, 70.0))


def test_a_region_has_its_area_and_the_cells_that_it_takes_out() -> None:
    """As the case itself counts them: cells on both sides of the outline, half a pixel from it."""
    places_px = [(19.4, 9.4), (19.6, 9.6), (60.0, 30.0), (99.0, 49.0)]
    cells = [factories.cell(CellClass.NONE, x, y) for x, y in places_px] + [factories.cell(None, 30.0, 20.0)]
    result = factories.field_result(cells, (200, 300), um_per_px=0.5)
    place = MapPlace(0, 90.0, 45.0)
    field = CaseField(1, "", result, (), Relief.of(result.frame), place, False)
    region = Region(3, RegionKind.EXCLUDE, 0, SQUARE, 1, "=DCIS\x00")
    case_hand = Hand(active={1}, regions={3: region})
    (item,) = Counting().count([field], SameCells(), case_hand, None, lambda read: read, _too_few)
    view = dataclasses.replace(factories.case_view([item]), regions=(region,))
    (row,) = hand.region_rows(view)
    assert row.area_um2 == 600.0
    assert row.n_tumour == sum(found is CellStanding.EXCLUDED_REGION for found in item.standings[:4]) == 2
    assert row.cells == ("3", "Excluded", "field 1", "600 \u00b5m\u00b2 (0.0006 mm\u00b2)", "2 taken out", "=DCIS")


def _too_few(counts: object, um_per_px: float) -> Finding | TooFewCells:
    return TooFewCells(0, 20)


def test_a_region_of_another_island_holds_no_cell_of_this_one() -> None:
    elsewhere = tuple(dataclasses.replace(region, island=7) for region in VIEW.regions)
    assert [row.n_tumour for row in hand.region_rows(dataclasses.replace(VIEW, regions=elsewhere))] == [0, 0, 0]
    assert all(row.n_tumour > 0 for row in hand.region_rows(VIEW)[:2])


def test_invasive_tumour_says_what_is_counted_in_it() -> None:
    assert hand.region_rows(VIEW)[0].cells[4].endswith("counted")


def test_an_outline_is_drawn_where_it_lies_on_the_tissue() -> None:
    result = factories.field_result([], (80, 120), um_per_px=0.5)
    item = dataclasses.replace(factories.accepted(result), place=MapPlace(0, 90.0, 40.0))
    region = Region(1, RegionKind.EXCLUDE, 0, SQUARE)
    assert polygon_px(SQUARE, result, item.place or MapPlace(0, 0, 0))[0].tolist() == [19.5, 19.5]
    drawn = draw_regions(result.frame.rgb, item, [region])
    touched = np.argwhere((drawn != result.frame.rgb).any(axis=2))
    assert touched.min(axis=0) == pytest.approx([19.5, 19.5], abs=4)
    assert touched.max(axis=0) == pytest.approx([59.5, 79.5], abs=4)
    assert (drawn[40, 50] == result.frame.rgb[40, 50]).all()
    unplaced = dataclasses.replace(item, place=None)
    assert (draw_regions(result.frame.rgb, unplaced, [region]) == result.frame.rgb).all()
    reduced = np.ascontiguousarray(result.frame.rgb[::2, ::2])
    touched = np.argwhere((draw_regions(reduced, item, [region]) != reduced).any(axis=2))
    assert touched.max(axis=0) == pytest.approx([29.5, 39.5], abs=4)


def test_every_correction_has_words() -> None:
    assert len({hand.correction_label(word) for word in (*Correction, None)}) == len(Correction) + 1
