"""The pathologist's hand on fields, cells and regions, in a real window."""

from __future__ import annotations

import dataclasses

import factories
import numpy as np
import pytest
from gui.conftest import Stand
from gui.fake_engine import CUTS, MIXED, FakeSource, live, tracked
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QColor, QImage
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from her2scope.domain.cells import CellClass, CellRule
from her2scope.domain.corrections import CellStanding, Correction, RuleChange, RuleInForce
from her2scope.domain.regions import Region, RegionDraft, RegionKind
from her2scope.overlays.model import OverlaySelection
from her2scope.overlays.palette import REGION_COLOURS, SAFE
from her2scope.overlays.picking import reading_order
from her2scope.records import MapPlace
from her2scope.ui.action_table import Scope
from her2scope.ui.live_view import LiveView

Key = Qt.Key
LEFT = Qt.MouseButton.LeftButton
SHIFT, NONE = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.NoModifier
SIZE_HW = (200, 300)
CLASSES = (CellClass.COMPLETE_INTENSE, CellClass.NONE, CellClass.INCOMPLETE_FAINT, None, CellClass.COMPLETE_MODERATE)
CENTRES = [(60.0, 60.0), (150.0, 60.0), (240.0, 60.0), (60.0, 140.0), (150.0, 140.0)]
CELLS = [factories.cell(name, x, y, radius_px=20.0, corners=60) for name, (x, y) in zip(CLASSES, CENTRES, strict=True)]
FIELD = factories.field_result(CELLS, SIZE_HW)
PLACE = MapPlace(0, 1000.0, 500.0)
UM_PER_PX = 0.25


def settle() -> None:
    for _ in range(4):
        QApplication.processEvents()


@pytest.fixture
def stand(make_stand) -> Stand:
    """A case of two fields, the first of five cells that are far apart."""
    made = make_stand(FakeSource())
    made.engine.fields = [
        dataclasses.replace(factories.accepted(FIELD, 1), place=PLACE),
        dataclasses.replace(factories.accepted(factories.honeycomb_field(MIXED, (120, 420)), 2), place=PLACE),
    ]
    made.engine.tell_case()
    settle()
    return made


@pytest.fixture
def review(stand: Stand) -> Stand:
    """The first field is shown."""
    stand.window.review.show_field(1)
    settle()
    return stand


def at(view: LiveView, x_px: float, y_px: float) -> QPoint:
    """Place on screen of a place in the records: whole numbers are the middles of pixels."""
    return view.viewport.to_screen(QPointF(x_px + 0.5, y_px + 0.5)).toPoint()


def click(view: LiveView, x_px: float, y_px: float, modifiers=NONE) -> None:
    QTest.mouseClick(view, LEFT, modifiers, at(view, x_px, y_px))
    settle()


def drag(view: LiveView, *places: tuple[float, float]) -> None:
    first, *rest = (at(view, *place) for place in places)
    QTest.mousePress(view, LEFT, NONE, first)
    for place in rest:
        QTest.mouseMove(view, place)
    QTest.mouseRelease(view, LEFT, NONE, rest[-1])
    settle()


def asked(stand: Stand, name: str) -> list[tuple]:
    return [call[1:] for call in stand.engine.calls if call[0] == name]


# ---- a field in the place of the live picture ---------------------------------------------------------------------


def test_enter_shows_the_selected_field_and_says_that_it_is_not_live(stand: Stand):
    window = stand.window
    window.case_panel.fields.setCurrentRow(0)
    stand.press(Key.Key_Return)
    view = window.review.view
    assert view.isVisible() and view.hasFocus()
    assert "FIELD 1, NOT LIVE" in view.chip.text()
    assert not window.area.chip.isVisible()
    assert view.geometry() == window.view.geometry()
    assert window.legend.text.title == "Field 1: 4 cells counted"


def test_double_click_in_the_list_shows_the_field(stand: Stand):
    fields = stand.window.case_panel.fields
    place = fields.visualItemRect(fields.item(1)).center()
    QTest.mouseClick(fields.viewport(), LEFT, NONE, place)
    QTest.mouseDClick(fields.viewport(), LEFT, NONE, place)
    assert stand.window.review.field.number == 2


@pytest.mark.parametrize("key", [Key.Key_Escape, Key.Key_Space])
def test_escape_and_space_lead_back_and_add_nothing(review: Stand, key):
    review.press(key)
    window = review.window
    assert window.review.field is None and not window.review.view.isVisible()
    assert window.view.hasFocus() and window.area.chip.isVisible()
    assert asked(review, "accept_field") == []
    assert window.legend.text.title.startswith("This field")


def test_space_says_that_nothing_was_added_and_then_adds(review: Stand):
    review.press(Key.Key_Space)
    assert "nothing was added" in review.window.messages.label.text()
    review.press(Key.Key_Space)
    assert asked(review, "accept_field") == [()]


def test_the_live_picture_goes_on_beneath(review: Stand):
    review.bridge.on_frame(tracked(review.engine.result, x_px=40.0, captured_s=9.0))
    settle()
    assert review.window.view.shown.frame.captured_s == 9.0
    assert review.window.review.view.shown.frame is FIELD.frame


def test_no_stage_moves_while_its_picture_is_not_seen(review: Stand):
    for key, modifiers in ((Key.Key_Right, NONE), (Key.Key_Right, SHIFT), (Key.Key_G, NONE), (Key.Key_PageDown, NONE)):
        review.press(key, modifiers)
    drag(review.window.review.view, (20.0, 20.0), (80.0, 80.0))
    assert review.source.calls == []
    review.press(Key.Key_Escape)
    review.press(Key.Key_Right, SHIFT)
    assert len(review.source.calls) == 1


def test_a_field_of_another_size_is_shown_whole(review: Stand):
    review.window.review.view.zoom_by(3)
    review.press(Key.Key_Down, Qt.KeyboardModifier.ControlModifier)
    view = review.window.review.view
    assert review.window.review.field.number == 2
    assert (view.viewport.image.width(), view.viewport.image.height()) == (420, 120)
    assert view.viewport.is_fitted
    assert view.state.visible


def test_a_resized_window_keeps_the_field_over_the_live_picture(review: Stand):
    review.window.resize(1500, 900)
    settle()
    assert review.window.review.view.geometry() == review.window.view.geometry()
    click(review.window.review.view, 240.0, 60.0)
    assert review.window.review.selected == (2,)


def test_a_removed_field_can_be_looked_at_but_not_corrected(review: Stand):
    review.press(Key.Key_Delete)
    assert asked(review, "remove_field") == [(1,)]
    assert "REMOVED" in review.window.review.view.chip.text()
    review.press(Key.Key_Tab)
    review.press(Key.Key_3)
    assert asked(review, "correct_cells") == []
    assert "put it back" in review.window.messages.label.text()
    review.press(Key.Key_Delete)
    review.press(Key.Key_3)
    assert len(asked(review, "correct_cells")) == 1


def test_delete_acts_on_the_field_that_is_shown(review: Stand):
    # A field that comes meanwhile is selected in the list.
    review.engine.accept_field()
    settle()
    review.press(Key.Key_Delete)
    assert asked(review, "remove_field") == [(1,)]


def test_a_field_whose_acceptance_was_undone_is_left(review: Stand):
    del review.engine.fields[0]
    review.engine.tell_case()
    settle()
    assert review.window.review.field is None
    assert "no longer" in review.window.messages.label.text()


def test_the_next_case_and_the_control_close_the_field(review: Stand):
    review.press(Key.Key_F2)
    assert review.window.review.field is None
    review.press(Key.Key_D)
    review.press(Key.Key_F3)
    review.press(Key.Key_F2)
    assert not review.window.review.outlining.is_drawing
    review.press(Key.Key_F3)
    review.window.review.show_field(1)
    review.engine.new_case()
    settle()
    assert review.window.review.field is None


def test_unknown_field_is_said(stand: Stand):
    stand.window.review.show_field(99)
    assert "no field 99" in stand.window.messages.label.text()


# ---- cells --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zoom", [1.0, 2.5])
def test_a_click_selects_the_cell_under_it(review: Stand, zoom):
    view = review.window.review.view
    view.zoom_by(zoom)
    for cell, (x, y) in enumerate(CENTRES):
        view.bring_into_view(QPointF(x, y), 90.0)
        click(view, x + 12.0, y - 6.0)
        assert review.window.review.selected == (cell,)
        assert review.window.review.inspector.title.text().startswith(f"Cell {cell + 1}, field 1")


def test_a_click_beside_every_cell_selects_none(review: Stand):
    click(review.window.review.view, 60.0, 60.0)
    click(review.window.review.view, 105.0, 100.0)
    assert review.window.review.selected == ()
    assert not review.window.review.inspector.isVisible()


def test_the_selected_cell_is_drawn_strong_where_it_is(review: Stand):
    view = review.window.review.view
    review.press(Key.Key_H)  # plain tissue: what is drawn now is the selection alone
    click(view, 150.0, 140.0)
    for turn in np.linspace(0, 6, 12):
        assert light_at(view, 150.0 + 20.0 * np.cos(turn), 140.0 + 20.0 * np.sin(turn)) > 240
    assert light_at(view, 240.0 + 20.0, 60.0) == 200


def test_shift_adds_and_takes_away(review: Stand):
    view = review.window.review.view
    click(view, *CENTRES[0])
    click(view, *CENTRES[2], SHIFT)
    click(view, *CENTRES[4], SHIFT)
    click(view, *CENTRES[2], SHIFT)
    assert review.window.review.selected == (0, 4)
    review.press(Key.Key_2)
    assert asked(review, "correct_cells") == [(1, (0, 4), Correction.INCOMPLETE_INTENSE)]


WORDS = {
    Key.Key_0: Correction.NONE,
    Key.Key_1: Correction.INCOMPLETE_FAINT,
    Key.Key_2: Correction.INCOMPLETE_INTENSE,
    Key.Key_3: Correction.COMPLETE_MODERATE,
    Key.Key_4: Correction.COMPLETE_INTENSE,
    Key.Key_X: Correction.EXCLUDED,
    Key.Key_T: Correction.NOT_TUMOUR,
    Key.Key_Backspace: None,
}


def test_each_word_has_its_key(review: Stand):
    click(review.window.review.view, *CENTRES[1])
    zoom = review.window.review.view.viewport.zoom
    for key in WORDS:
        review.press(key)
        assert review.window.review.selected == (1,)
        assert review.window.review.view.viewport.zoom == zoom
    assert asked(review, "correct_cells") == [(1, (1,), word) for word in WORDS.values()]


def test_digits_zoom_again_on_the_live_picture(review: Stand):
    review.press(Key.Key_Escape)
    review.press(Key.Key_Plus, Qt.KeyboardModifier.ControlModifier)
    review.press(Key.Key_1)
    assert review.window.review.scope is Scope.LIVE
    review.press(Key.Key_0)
    assert review.window.view.viewport.is_fitted
    assert asked(review, "correct_cells") == []


def test_a_word_without_a_cell_is_refused_in_words(review: Stand):
    review.press(Key.Key_X)
    assert "Select a cell first" in review.window.messages.label.text()
    review.press(Key.Key_Escape)
    review.press(Key.Key_Escape)
    review.window.actions_by_id["cell_excluded"].trigger()
    assert "Show an accepted field first" in review.window.messages.label.text()
    assert asked(review, "correct_cells") == []


def test_the_whole_review_without_a_mouse(stand: Stand):
    stand.press(Key.Key_Up, Qt.KeyboardModifier.ControlModifier)
    stand.press(Key.Key_Enter)
    walked = []
    for _ in range(len(CELLS)):
        stand.press(Key.Key_Tab)
        walked += stand.window.review.selected
    assert walked == reading_order(CELLS, UM_PER_PX)
    stand.press(Key.Key_Tab, SHIFT)
    assert stand.window.review.selected == (walked[-2],)
    for key, cell in ((Key.Key_Up, 0), (Key.Key_Right, 1), (Key.Key_Down, 4), (Key.Key_Left, 3)):
        stand.press(key)
        assert stand.window.review.selected == (cell,)
    stand.press(Key.Key_4)
    stand.press(Key.Key_F6)
    assert stand.focused is stand.window.case_panel.own.score
    assert asked(stand, "correct_cells") == [(1, (3,), Correction.COMPLETE_INTENSE)]


def test_walking_brings_the_cell_into_view(review: Stand):
    view = review.window.review.view
    view.zoom_by(6)
    for _ in range(len(CELLS)):
        review.press(Key.Key_Tab)
        x, y = CENTRES[review.window.review.selected[0]]
        assert view.rect().contains(at(view, x, y))


def test_the_inspector_says_what_is_known_of_the_cell(review: Stand):
    field = review.engine.fields[0]
    changed = dataclasses.replace(FIELD.cells[0], cell_class=CellClass.INCOMPLETE_FAINT)
    review.engine.fields[0] = dataclasses.replace(
        field,
        result=dataclasses.replace(FIELD, cells=(changed, *FIELD.cells[1:])),
        read=FIELD,
        corrections=(Correction.INCOMPLETE_FAINT, None, None, None, None),
        standings=(CellStanding.NORMAL_DUCT, *[CellStanding.COUNTED] * 4),
    )
    review.engine.tell_case()
    settle()
    click(review.window.review.view, *CENTRES[0])
    inspector = review.window.review.inspector
    assert inspector.isVisible()
    assert inspector.title.text() == "Cell 1, field 1: Incomplete, faint"
    assert "Your word: Incomplete, faint; as read: Complete, intense" in inspector.state.text()
    assert "normal duct" in inspector.state.text()
    assert "Complete 100 %" in inspector.figures.text() and "0.82 od10" in inspector.figures.text()
    assert "of the outline is stained" in inspector.why.text()
    assert inspector.plot.unrolled is not None
    click(review.window.review.view, *CENTRES[3])
    assert "not judged" in inspector.why.text()


def test_own_score_first_hides_what_tells_a_class(review: Stand):
    click(review.window.review.view, *CENTRES[0])
    review.window.actions_by_id["own_first"].trigger()
    settle()
    assert not review.window.review.inspector.isVisible()
    assert "cells counted" not in review.window.legend.text.title


def test_a_cell_of_the_live_picture_is_for_looking_only(stand: Stand):
    stand.bridge.on_frame(tracked(FIELD))
    stand.bridge.on_result(live(FIELD))
    settle()
    stand.bridge.on_frame(tracked(FIELD, x_px=10.0))
    settle()
    click(stand.window.view, CENTRES[2][0] - 10.0, CENTRES[2][1])
    inspector = stand.window.review.inspector
    assert inspector.title.text().startswith("Cell 3, live picture")
    stand.press(Key.Key_3)
    assert asked(stand, "correct_cells") == [] and stand.source.calls == []
    stand.press(Key.Key_Escape)
    assert not inspector.isVisible()


# ---- outlines -----------------------------------------------------------------------------------------------------

SQUARE = ((30.0, 30.0), (180.0, 30.0), (180.0, 90.0), (30.0, 90.0))
SQUARE_UM = [(1000.0 + (x + 0.5) * UM_PER_PX, 500.0 + (y + 0.5) * UM_PER_PX) for x, y in SQUARE]


def drawn(stand: Stand) -> RegionDraft:
    """The newest outline."""
    (draft,) = asked(stand, "draw_region")[-1]
    return draft


def test_a_lasso_becomes_a_region_in_um(review: Stand):
    chooser = review.window.review.outlining.chooser
    meanings = {
        Key.Key_X: (RegionKind.EXCLUDE, "carcinoma in situ"),
        Key.Key_A: (RegionKind.EXCLUDE, "artefact or necrosis"),
        Key.Key_N: (RegionKind.NORMAL_DUCT, ""),
        Key.Key_I: (RegionKind.INVASIVE, ""),
    }
    for number, (key, (kind, note)) in enumerate(meanings.items(), start=1):
        review.press(Key.Key_D)
        drag(review.window.review.view, *SQUARE)
        assert chooser.isVisible() and review.window.review.scope is Scope.OUTLINE
        review.press(key)
        draft = drawn(review)
        assert len(asked(review, "draw_region")) == number
        assert (draft.kind, draft.island, draft.field, draft.note) == (kind, 0, 1, note)
        # A pixel of the screen is less than 0.3 um here.
        assert np.array(draft.polygon_um) == pytest.approx(np.array(SQUARE_UM), abs=0.3)
        assert not chooser.isVisible() and review.window.review.scope is Scope.REVIEW
    assert asked(review, "correct_cells") == [] and asked(review, "annotate_field") == []


@pytest.mark.parametrize("how", ["enter", "double click"])
def test_corners_by_clicks(review: Stand, how):
    view = review.window.review.view
    review.press(Key.Key_D)
    for corner in SQUARE:
        click(view, *corner)
    if how == "enter":
        review.press(Key.Key_Return)
    else:
        QTest.mouseDClick(view, LEFT, NONE, at(view, *SQUARE[-1]))
    review.press(Key.Key_X)
    assert np.array(drawn(review).polygon_um) == pytest.approx(np.array(SQUARE_UM), abs=0.3)


def test_lasso_selects_cells_to_correct_together(review: Stand):
    review.press(Key.Key_D)
    drag(review.window.review.view, *SQUARE)
    review.press(Key.Key_C)
    assert review.window.review.selected == (0, 1)
    assert "2 cells selected" in review.window.review.inspector.title.text()
    review.press(Key.Key_X)
    assert asked(review, "correct_cells") == [(1, (0, 1), Correction.EXCLUDED)]
    assert asked(review, "draw_region") == []


def test_escape_abandons_an_outline_and_nothing_else(review: Stand):
    for close in (False, True):
        review.press(Key.Key_D)
        for corner in SQUARE:
            click(review.window.review.view, *corner)
        if close:
            review.press(Key.Key_Return)
        review.press(Key.Key_Escape)
        assert not review.window.review.outlining.is_drawing
        assert review.window.review.scope is Scope.REVIEW
    assert asked(review, "draw_region") == [] and review.window.review.selected == ()


def test_too_few_corners_are_said_and_drawing_goes_on(review: Stand):
    review.press(Key.Key_D)
    click(review.window.review.view, *SQUARE[0])
    review.press(Key.Key_Return)
    assert "three corners" in review.window.messages.label.text()
    assert review.window.review.outlining.is_drawing


def test_an_outline_without_area_is_refused_in_words(review: Stand):
    review.press(Key.Key_D)
    for x in (30.0, 60.0, 90.0):
        click(review.window.review.view, x, 50.0)
    review.press(Key.Key_Return)
    review.press(Key.Key_X)
    assert "encloses no area" in review.window.messages.label.text()
    assert asked(review, "draw_region") == []


def test_the_window_says_that_it_cannot_tell_in_situ_from_invasive(review: Stand):
    review.press(Key.Key_D)
    drag(review.window.review.view, *SQUARE)
    words = review.window.review.outlining.chooser.doubt.text()
    assert "cannot tell" in words and "DCIS" in words


def test_drawing_on_the_live_picture_freezes_it(stand: Stand):
    view = stand.window.view
    stand.bridge.on_frame(tracked(FIELD, x_px=80.0, captured_s=1.0))
    settle()
    stand.press(Key.Key_D)
    stand.bridge.on_frame(tracked(FIELD, x_px=400.0, captured_s=2.0))
    settle()
    assert view.shown.frame.captured_s == 1.0
    stand.press(Key.Key_Right)
    stand.press(Key.Key_Space)
    assert stand.source.calls == [] and asked(stand, "accept_field") == []
    assert "outline first" in stand.window.messages.label.text()
    drag(view, *SQUARE)
    stand.press(Key.Key_I)
    draft = drawn(stand)
    assert (draft.kind, draft.field, draft.island) == (RegionKind.INVASIVE, None, 0)
    expected = [((80 + x + 0.5) * UM_PER_PX, (y + 0.5) * UM_PER_PX) for x, y in SQUARE]
    assert np.array(draft.polygon_um) == pytest.approx(np.array(expected), abs=0.3)
    settle()
    assert view.shown.frame.captured_s == 2.0
    stand.press(Key.Key_Right)
    assert len(stand.source.calls) == 1


def test_nothing_is_drawn_where_the_place_is_uncertain(stand: Stand):
    stand.bridge.on_frame(tracked(FIELD, trusted=False))
    settle()
    stand.press(Key.Key_D)
    assert not stand.window.review.outlining.is_drawing
    assert "uncertain" in stand.window.messages.label.text()


def test_a_field_without_a_place_takes_no_region_but_selects_cells(review: Stand):
    review.engine.fields[0] = factories.accepted(FIELD, 1)
    review.engine.tell_case()
    settle()
    review.press(Key.Key_D)
    drag(review.window.review.view, *SQUARE)
    review.press(Key.Key_X)
    assert "not known" in review.window.messages.label.text()
    assert asked(review, "draw_region") == []
    review.press(Key.Key_C)
    assert review.window.review.selected == (0, 1)


def test_an_outline_says_on_the_live_picture_what_it_does_there(stand: Stand):
    invasive = stand.window.review.outlining.chooser.buttons["outline_invasive"]
    stand.press(Key.Key_D)
    drag(stand.window.view, *SQUARE)
    assert invasive.isVisible() and invasive.text() == "I  invasive: sweep only here"
    stand.press(Key.Key_Escape)
    stand.window.review.show_field(1)
    settle()
    stand.press(Key.Key_D)
    drag(stand.window.review.view, *SQUARE)
    assert invasive.text() == "I  invasive: count only this"


def test_no_outline_on_a_control(stand: Stand):
    stand.press(Key.Key_F2)
    stand.press(Key.Key_D)
    assert "control" in stand.window.messages.label.text() and not stand.window.review.outlining.is_drawing
    stand.press(Key.Key_F3)
    stand.press(Key.Key_D)
    assert stand.window.review.outlining.is_drawing


def test_a_live_cell_is_explained_by_the_rule_in_force(stand: Stand):
    rule = RuleInForce(CUTS, CellRule(complete_share=0.6), CUTS, CellRule(), RuleChange(complete_share=0.6))
    review = stand.window.review
    stand.engine.more["rule"] = rule
    stand.engine.tell_case()
    stand.bridge.on_frame(tracked(FIELD))
    stand.bridge.on_result(live(FIELD))
    settle()
    click(stand.window.view, *CENTRES[0])
    assert review.inspector.isVisible() and "needed 60" in review.inspector.why.text()
    tried = RuleChange(complete_share=0.7)
    stand.engine.more["rule"] = dataclasses.replace(
        rule, cell=CellRule(complete_share=0.7), change=tried, is_preview=True
    )
    stand.engine.tell_case()
    settle()
    assert "needed 60" in review.inspector.why.text(), "cuts that are only tried do not touch the live picture"


# ---- regions ------------------------------------------------------------------------------------------------------

REGION = Region(7, RegionKind.EXCLUDE, 0, tuple(SQUARE_UM), 1, "carcinoma in situ")


@pytest.fixture
def outlined(review: Stand) -> Stand:
    review.engine.more["regions"] = (REGION,)
    review.engine.tell_case()
    settle()
    return review


def test_a_region_is_chosen_by_its_line_and_removed(outlined: Stand):
    view = outlined.window.review.view
    click(view, 180.0, 70.0)
    assert view.marks.chosen == 7
    assert "carcinoma in situ" in outlined.window.messages.label.text()
    outlined.press(Key.Key_Delete)
    assert asked(outlined, "remove_region") == [(7,)] and asked(outlined, "remove_field") == []
    assert outlined.window.review.field is not None


def test_a_region_is_chosen_by_key_and_let_go(outlined: Stand):
    view = outlined.window.review.view
    outlined.press(Key.Key_D, SHIFT)
    assert view.marks.chosen == 7
    outlined.window.messages.dismiss()
    outlined.press(Key.Key_Escape)
    assert view.marks.chosen is None
    outlined.press(Key.Key_Delete)
    assert asked(outlined, "remove_region") == [] and asked(outlined, "remove_field") == [(1,)]


def test_inside_a_region_a_click_means_the_cell(outlined: Stand):
    click(outlined.window.review.view, *CENTRES[0])
    assert outlined.window.review.selected == (0,)


def test_no_region_is_said(stand: Stand):
    stand.press(Key.Key_D, SHIFT)
    assert "no outline" in stand.window.messages.label.text()


def pixels_of(view: LiveView, colour: tuple[int, int, int]) -> int:
    """How many pixels of the screen have a colour."""
    picture = view.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    memory = picture.bits().asstring(picture.sizeInBytes())
    pixels = np.frombuffer(memory, np.uint8).reshape(picture.height(), picture.width(), 4)[..., 2::-1]
    return int((np.abs(pixels.astype(int) - colour).max(axis=2) < 12).sum())


def test_regions_and_borders_follow_the_tissue_and_go_where_the_place_is_uncertain(outlined: Stand):
    outlined.press(Key.Key_Escape)
    view = outlined.window.view
    orange = REGION_COLOURS[RegionKind.EXCLUDE]
    here = tracked(FIELD, x_px=4000.0, y_px=2000.0)  # the field's own place
    outlined.bridge.on_frame(here)
    settle()
    seen = pixels_of(view, orange)
    assert seen > 100
    corner = view.marks.regions_on(view.shown)
    assert [region.number for region in corner] == [7]
    outlined.bridge.on_frame(dataclasses.replace(here, trusted=False))
    settle()
    assert pixels_of(view, orange) == 0
    outlined.bridge.on_frame(tracked(FIELD, x_px=9000.0))
    settle()
    assert pixels_of(view, orange) == 0


def test_accepted_tissue_has_a_thin_border_on_the_live_picture(stand: Stand):
    view = stand.window.view
    view.set_style(OverlaySelection(membranes=False, cells=False), SAFE)
    stand.engine.fields[1:] = []
    stand.engine.tell_case()
    # The field's right end lies in the middle of the picture.
    stand.bridge.on_frame(tracked(FIELD, x_px=4150.0, y_px=2000.0))
    settle()
    assert light_at(view, 149.5, 100.0) > light_at(view, 100.0, 100.0) + 10
    stand.bridge.on_frame(tracked(FIELD, x_px=4150.0, y_px=2000.0, island=1))
    settle()
    assert light_at(view, 149.5, 100.0) == light_at(view, 100.0, 100.0)


def light_at(view: LiveView, x_px: float, y_px: float) -> int:
    """Lightest pixel of the screen about a place."""
    picture, place = view.grab().toImage(), at(view, x_px, y_px)
    return max(QColor(picture.pixel(place.x() + dx, place.y())).lightness() for dx in range(-2, 3))
