from __future__ import annotations

import dataclasses

import factories
import pytest
from gui.fake_engine import map_view, placed, tracked
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QColor
from PyQt6.QtTest import QTest

from her2scope.domain.regions import Region, RegionKind
from her2scope.overlays.palette import SAFE
from her2scope.ui.overview import Overview
from her2scope.ui.theme import THEME

RESULT = factories.honeycomb_field({None: 1.0}, (200, 300))  # 75 x 50 um


@pytest.fixture
def overview(qtbot) -> Overview:
    made = Overview(SAFE)
    qtbot.addWidget(made)
    made.resize(240, 190)
    made.show()
    made.show_map(map_view(0, 0, side_um=400.0))
    return made


def case(*fields, **more):
    return factories.case_view(fields, **{"finished_utc": None, **more})


def field(number: int, x_um: float, y_um: float, island: int = 0, **more):
    return placed(factories.accepted(factories.equivocal_field(), number, **more), x_um, y_um, island)


def click(overview: Overview, place: QPointF) -> None:
    QTest.mouseClick(overview, Qt.MouseButton.LeftButton, pos=place.toPoint())


def colours(overview: Overview) -> set[str]:
    picture = overview.grab().toImage()
    return {QColor(picture.pixel(x, y)).name() for x in range(picture.width()) for y in range(picture.height())}


def test_places_go_to_the_screen_and_back(overview):
    there = overview.to_screen(123.0, 45.0)
    back = overview.to_um(there)
    assert (back.x(), back.y()) == pytest.approx((123.0, 45.0))


def test_click_on_a_field_chooses_it(overview):
    chosen, moves = [], []
    overview.field_chosen.connect(chosen.append)
    overview.move_asked.connect(lambda *way: moves.append(way))
    overview.show_case(case(field(1, 0, 0), field(2, 500, 200), field(3, 90, 0, island=1)), hidden=False)
    click(overview, overview.to_screen(510.0, 210.0))
    click(overview, overview.to_screen(5.0, 5.0))
    assert chosen == [2, 1] and moves == []


def test_click_elsewhere_asks_for_the_way_there(overview):
    moves = []
    overview.move_asked.connect(lambda *way: moves.append(way))
    overview.show_frame(tracked(RESULT, x_px=400.0, y_px=400.0))  # its middle at (137.5, 125) um
    click(overview, overview.to_screen(637.5, 25.0))
    assert moves[0] == pytest.approx((500.0, -100.0), abs=6.0)


def test_no_way_is_known_to_another_island(overview):
    refused, moves = [], []
    overview.refused.connect(refused.append)
    overview.move_asked.connect(lambda *way: moves.append(way))
    overview.show_frame(tracked(RESULT))
    overview.show_map(map_view(0, 0, 1))
    assert overview.step_island() and overview.island == 1
    click(overview, overview.to_screen(300.0, 300.0))
    assert len(refused) == 1 and moves == []


def test_islands_are_stepped_and_named(overview):
    assert overview.title == "Slide" and not overview.step_island()
    overview.show_map(map_view(2, 0, 1, 2, lost="jump"))
    assert overview.island == 2 and overview.title == "Island 3 of 3: tracking lost (jump)"
    click(overview, QPointF(50, 6))
    assert overview.island == 0 and "not the present one" in overview.title
    overview.show_map(map_view(3, 0, 1, 2, 3, lost="jump"))
    assert overview.island == 3, "a new island is shown when it begins"


def test_an_island_that_was_joined_is_not_shown_any_more(overview):
    overview.show_map(map_view(1, 0, 1))
    overview.step_island()
    assert overview.island == 0
    overview.show_map(map_view(1, 1))
    assert overview.island == 1


def test_fields_have_the_colour_of_their_score_unless_it_is_hidden(overview):
    scored = QColor(*SAFE.colour(factories.CellClass.COMPLETE_MODERATE)).name()
    view = case(field(1, 300, 100))
    overview.show_case(view, hidden=False)
    assert scored in colours(overview)
    overview.show_case(view, hidden=True)
    assert scored not in colours(overview)


def test_the_picture_is_followed_and_stays_on_the_map(overview):
    for x_px in (0.0, 4000.0, -9000.0):
        overview.show_frame(tracked(RESULT, x_px=x_px))
        place = overview.to_screen(x_px * 0.25 + 37.5, 25.0)
        assert overview.rect().contains(place.toPoint())
    assert "#ffffff" in colours(overview)


def test_regions_are_outlined(overview):
    corners = ((50.0, 50.0), (700.0, 50.0), (700.0, 350.0), (50.0, 350.0))
    region = Region(1, RegionKind.INVASIVE, 0, corners)
    before = colours(overview)
    overview.show_case(case(regions=(region,)), hidden=False)
    assert QColor(THEME.good).name() in colours(overview) - before
    overview.show_case(case(regions=(dataclasses.replace(region, island=1),)), hidden=False)
    assert QColor(THEME.good).name() not in colours(overview)


def test_tissue_far_from_the_fields_is_left_out_until_the_picture_goes_there(overview):
    far = dataclasses.replace(map_view(0, 0).tiles[0], y_um=9000.0)
    overview.show_map(dataclasses.replace(map_view(0, 0), tiles=(*map_view(0, 0).tiles, far)))
    overview.show_case(case(field(1, 300, 100)), hidden=False)
    overview.show_frame(tracked(RESULT))
    assert not overview.rect().contains(overview.to_screen(200.0, 9200.0).toPoint())
    overview.show_frame(tracked(RESULT, y_px=36_400.0))  # 9100 um
    for y_um in (100.0, 9200.0):
        assert overview.rect().contains(overview.to_screen(200.0, y_um).toPoint())


def test_pictures_of_tiles_are_made_once(overview):
    view = map_view(0, 0)
    overview.show_map(view)
    made = dict(overview._pictures)  # noqa: SLF001
    overview.show_map(dataclasses.replace(view, lost="jump"))
    assert overview._pictures == made  # noqa: SLF001


def test_fields_of_before_have_an_island_of_their_own(overview):
    """After a start anew the map has no picture of them."""
    overview.show_map(map_view(4, 4))
    overview.show_case(case(field(1, 0, 0), field(2, 0, 0, island=4)), hidden=False)
    assert overview.title == "Island 2 of 2"
    assert overview.step_island() and overview.island == 0 and overview.title == "Island 1 of 2: not the present one"
    overview.show_case(case(), hidden=False)
    assert overview.island == 4 and not overview.step_island()


def test_tip_names_the_field_and_the_keys_that_choose_one(overview):
    overview.show_case(case(field(1, 0, 0)), hidden=False)
    there = overview.to_screen(5.0, 5.0)
    assert overview.tip_at(there).startswith("Field 1:  2+") and "Ctrl+Down" in overview.tip_at(there)
    overview.show_case(case(field(1, 0, 0)), hidden=True)
    assert "2+" not in overview.tip_at(there)
    assert overview.tip_at(QPointF(0, 0)).endswith("Enter shows it.")
