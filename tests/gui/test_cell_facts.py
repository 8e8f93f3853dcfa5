"""The words and the unrolled outline of one cell."""

from __future__ import annotations

import dataclasses

import factories
import numpy as np
import pytest
from PyQt6.QtGui import QColor

from her2scope.domain.cells import CellClass, CellRule, MembraneMeasure, StainCuts
from her2scope.domain.corrections import CellStanding, Correction
from her2scope.imaging.opencv import cv2
from her2scope.imaging.unrolled import Unrolled
from her2scope.records import Cell, CellProfiles, FieldResult
from her2scope.settings import Calibration
from her2scope.ui.cell_facts import UNCERTAIN, ShownCell, cell_facts, unrolled_cell
from her2scope.ui.outline_plot import OutlinePlot, nearest_places, strip_by_angle

UM_PER_PX = 0.25
CUTS, RULE = StainCuts(0.15, 0.35, 0.70), CellRule()
N_PLACES = 64


def ringed(sizes_hw=(200, 240), x_px=90.0, y_px=100.0) -> FieldResult:
    """One tumour cell after one that is none; the tumour cell's lower half has a dark brown membrane."""
    rgb = np.full((*sizes_hw, 3), 240, np.uint8)
    cv2.ellipse(rgb, (round(x_px), round(y_px)), (40, 40), 0, 0, 180, (110, 70, 40), 8, cv2.LINE_AA)
    cells = [factories.cell(None, 30.0, 30.0), factories.cell(CellClass.NONE, x_px, y_px, radius_px=40.0, corners=180)]
    return factories.field_result(cells, rgb=rgb)


def shown(result: FieldResult, number: int = 1, **more) -> ShownCell:
    return ShownCell(result, number, CUTS, RULE, Calibration(), **more)


def below(unrolled: Unrolled) -> np.ndarray:
    return (unrolled.angle_deg > 20) & (unrolled.angle_deg < 160)


def above(unrolled: Unrolled) -> np.ndarray:
    return (unrolled.angle_deg > 200) & (unrolled.angle_deg < 340)


@pytest.mark.parametrize(("x_px", "y_px"), [(90.0, 100.0), (44.0, 45.0), (196.0, 155.0)])
def test_the_outline_is_unrolled_where_the_membrane_is(x_px, y_px):
    # Near the picture's edge as well, where less can be cut out.
    unrolled = unrolled_cell(shown(ringed(x_px=x_px, y_px=y_px)))
    assert unrolled.wall_od10[below(unrolled)].min() > 0.3
    assert unrolled.wall_od10[above(unrolled)].max() < 0.05
    assert unrolled.stained is None


def test_shading_is_that_of_the_cells_own_place():
    """With a flat field the picture may not be cut out before it is unmixed."""
    result = ringed()
    flat = (((1.0,) * 3, (0.5,) * 3), ((1.0,) * 3, (0.5,) * 3))
    calibration = Calibration(white_rgb=(240.0, 240.0, 240.0), flat_field=flat)
    plain = unrolled_cell(shown(result))
    shaded = unrolled_cell(ShownCell(result, 1, CUTS, RULE, calibration))
    # The white is darker to the right, so the same pixels are paler there.
    right = (plain.angle_deg > 20) & (plain.angle_deg < 60)
    left = (plain.angle_deg > 120) & (plain.angle_deg < 160)
    assert (plain.wall_od10 - shaded.wall_od10)[right].mean() > (plain.wall_od10 - shaded.wall_od10)[left].mean() > 0


def test_kept_profiles_are_those_of_the_cell():
    result = ringed()
    wall = np.linspace(0.1, 0.9, N_PLACES, dtype=np.float32)[None]
    ones = np.ones((1, N_PLACES), np.float32)
    profiles = CellProfiles(wall, ones, ones, np.full(1, 0.98, np.float32))
    kept = dataclasses.replace(result, profiles=profiles)
    unrolled = unrolled_cell(shown(kept))
    assert unrolled.wall_od10 == pytest.approx(wall[0])
    assert unrolled.stained is not None and unrolled.stained[-1]
    assert unrolled_cell(shown(kept, 0)).stained is None


def test_the_profile_is_found_by_what_the_method_read_not_by_what_the_reader_said():
    result = factories.field_result([factories.cell(CellClass.NONE, x, 32.0) for x in (20.0, 44.0)])
    wall = np.stack([np.full(N_PLACES, 0.2), np.full(N_PLACES, 0.6)]).astype(np.float32)
    ones = np.ones_like(wall)
    read = dataclasses.replace(result, profiles=CellProfiles(wall, ones, ones, np.ones(2, np.float32)))
    first = dataclasses.replace(read.cells[0], kind=factories.cell(None).kind, cell_class=None)
    field = dataclasses.replace(
        factories.accepted(read),
        result=dataclasses.replace(read, cells=(first, read.cells[1])),
        read=read,
        corrections=(Correction.NOT_TUMOUR, None),
    )
    assert unrolled_cell(shown(field.result, 1, field=field)).wall_od10[0] == pytest.approx(0.6)


def test_a_cell_without_outline_has_nothing_to_unroll(qtbot):
    bare = factories.field_result([factories.cell(None, 30.0, 30.0, corners=0)])
    assert unrolled_cell(shown(bare, 0)) is None
    plot = OutlinePlot()
    qtbot.addWidget(plot)
    plot.show_outline(None, CUTS)
    assert not plot.grab().isNull()


def test_columns_of_the_strip_stand_at_their_angle():
    unrolled = unrolled_cell(shown(ringed()))
    strip = strip_by_angle(unrolled)
    assert strip.shape == (len(unrolled.rgb), 360, 3)
    middle = strip[len(strip) // 2].mean(axis=1)
    assert middle[30:150].max() < 140 and middle[210:330].min() > 220


def test_every_degree_has_its_nearest_place_across_the_start():
    angles = np.array([350.0, 10.0, 100.0, 200.0], np.float32)
    nearest = nearest_places(angles)
    assert [int(nearest[degree]) for degree in (0, 359, 5, 340, 12, 250)] == [1, 0, 1, 0, 1, 3]


def test_the_plot_marks_stained_places(qtbot):
    plot = OutlinePlot()
    qtbot.addWidget(plot)
    plot.resize(400, plot.sizeHint().height())
    unrolled = unrolled_cell(shown(ringed()))
    stained = np.asarray(unrolled.angle_deg < 180)
    plot.show_outline(dataclasses.replace(unrolled, stained=stained), CUTS)
    with_bar = plot.grab().toImage()
    plot.show_outline(dataclasses.replace(unrolled, stained=~stained), CUTS)
    other = plot.grab().toImage()
    differing = [
        x
        for x in range(with_bar.width())
        if any(QColor(with_bar.pixel(x, y)) != QColor(other.pixel(x, y)) for y in range(with_bar.height()))
    ]
    assert len(differing) > 200


# ---- words --------------------------------------------------------------------------------------------------------


def one(cell: Cell, **more) -> ShownCell:
    return shown(factories.field_result([cell]), 0, **more)


def in_field(cell: Cell, correction: Correction | None, standing: CellStanding) -> ShownCell:
    result = factories.field_result([cell])
    read = factories.field_result([factories.cell(CellClass.COMPLETE_INTENSE)])
    field = dataclasses.replace(
        factories.accepted(result, 4), read=read, corrections=(correction,), standings=(standing,)
    )
    return shown(result, 0, field=field)


def test_a_live_cell_is_said_with_its_figures_and_reasons():
    measure = MembraneMeasure(0.84, 0.5, 0.04, 0.41)
    facts = cell_facts(one(dataclasses.replace(factories.cell(CellClass.INCOMPLETE_INTENSE), measure=measure)))
    assert facts.title == "Cell 1, live picture: Incomplete, intense"
    assert facts.state == ""
    assert all(figure in facts.figures for figure in ("Complete 84 %", "intense 4 %", "0.50 od10", "0.41", "6.0"))
    assert len(facts.why) == 2 and "needed 90" in facts.why[0]


def test_a_cell_at_the_edge_says_why_it_does_not_count():
    assert "edge" in cell_facts(one(factories.cell(CellClass.NONE, edge=True))).state


def test_a_faint_cell_in_doubt_says_so():
    for uncertain in (True, False):
        measure = dataclasses.replace(factories.MEASURES[CellClass.INCOMPLETE_FAINT], uncertain=uncertain)
        facts = cell_facts(one(dataclasses.replace(factories.cell(CellClass.INCOMPLETE_FAINT), measure=measure)))
        assert (UNCERTAIN in facts.why) is uncertain


@pytest.mark.parametrize("standing", CellStanding)
def test_every_standing_has_its_words(standing):
    facts = cell_facts(in_field(factories.cell(CellClass.COMPLETE_INTENSE), None, standing))
    assert facts.title.startswith("Cell 1, field 4")
    assert ("Not counted" in facts.state) == (standing is not CellStanding.COUNTED)
    assert "our word" not in facts.state


def test_the_readers_word_stands_beside_what_was_read():
    facts = cell_facts(in_field(factories.cell(None), Correction.NOT_TUMOUR, CellStanding.COUNTED))
    assert facts.title == "Cell 1, field 4: not a tumour cell"
    assert facts.state == "Your word: not a tumour cell; as read: Complete, intense"
    assert facts.why[0] == "By its measures:"


def test_moved_cuts_say_what_was_read():
    facts = cell_facts(in_field(factories.cell(CellClass.COMPLETE_MODERATE), None, CellStanding.COUNTED))
    assert "as read: Complete, intense" in facts.state.replace("As read", "as read")


def test_a_cell_that_is_no_tumour_cell_is_not_judged():
    facts = cell_facts(one(factories.cell(None)))
    assert "not judged" in facts.why[0] and "od10" not in facts.figures
