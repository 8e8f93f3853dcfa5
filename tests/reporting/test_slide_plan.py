"""The plan of the slide: every field inside its panel, true to scale, and no place invented."""

from __future__ import annotations

import dataclasses

import factories
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reporting import busy_case

from her2scope.domain.regions import Region, RegionKind
from her2scope.records import CaseView, MapPlace
from her2scope.reporting.html_plan import plan_svg
from her2scope.reporting.pdf_parts import WIDTH
from her2scope.reporting.pdf_plan import MAX_HEIGHT, plan_drawing
from her2scope.reporting.slide_plan import BAR_SHARE, bar_text, bar_um, slide_plan

SMALL = factories.field_result([factories.cell()], (40, 60), um_per_px=0.5)
SQUARE = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0))
PLACES = st.builds(MapPlace, st.integers(-3, 3), *[st.floats(-1e5, 1e5, allow_nan=False) for _ in range(2)])


def case_of(places: list[MapPlace | None], regions: tuple[Region, ...] = ()) -> CaseView:
    fields = [
        dataclasses.replace(factories.accepted(SMALL, number), place=place)
        for number, place in enumerate(places, start=1)
    ]
    return dataclasses.replace(factories.case_view(fields), regions=regions)


@given(st.lists(st.none() | PLACES, max_size=8))
def test_every_field_is_drawn_once_inside_its_panel_or_named_as_unplaced(places: list[MapPlace | None]) -> None:
    plan = slide_plan(case_of(places))
    drawn = [field.number for panel in plan.panels for field in panel.fields]
    if plan.panels:
        assert sorted([*drawn, *plan.alone]) == list(range(1, len(places) + 1))
    for panel in plan.panels:
        assert 0 < panel.bar_um <= BAR_SHARE * panel.width_um
        for field in panel.fields:
            x, y = panel.inside(field.x_um, field.y_um)
            assert (field.width_um, field.height_um) == (30.0, 20.0)
            assert x >= 0
            assert y >= 0
            assert x + field.width_um <= panel.width_um + 1e-6
            assert y + field.height_um <= panel.height_um + 1e-6


def test_a_field_by_itself_has_no_plan() -> None:
    apart = slide_plan(case_of([MapPlace(0, 0, 0), MapPlace(-2, 0, 0), None]))
    assert apart.panels == apart.alone == ()
    together = slide_plan(case_of([MapPlace(-1, 0, 0), MapPlace(-1, 5, 5), MapPlace(3, 0, 0), None]))
    assert [len(panel.fields) for panel in together.panels] == [2]
    assert together.note == "Not known where on the slide: fields 3, 4."


def test_a_part_of_the_map_with_nothing_but_a_region_is_shown() -> None:
    plan = slide_plan(case_of([MapPlace(0, 0, 0), MapPlace(0, 9, 9)], (Region(1, RegionKind.INVASIVE, 2, SQUARE),)))
    assert [(len(panel.fields), len(panel.regions)) for panel in plan.panels] == [(2, 0), (0, 1)]
    assert plan.panels[1].title == "Part 2 of 2: how the parts lie to each other is not known"


def test_hot_spots_are_bold() -> None:
    (panel,) = slide_plan(case_of([MapPlace(0, 0, 0), MapPlace(0, 40, 0)]), hot=[2]).panels
    assert [field.hot for field in panel.fields] == [False, True]
    assert plan_svg(panel, 1.0).count('class="place hot"') == 1


@given(st.floats(0.1, 1e6))
def test_a_scale_bar_is_a_round_length_as_long_as_may_be(width_um: float) -> None:
    length = bar_um(width_um)
    assert length <= BAR_SHARE * width_um * (1 + 1e-6)
    assert 2.5 * length >= BAR_SHARE * width_um * (1 - 1e-6)
    assert f"{length:.0e}"[0] in "125"


@pytest.mark.parametrize(("length", "text"), [(50.0, "50 \u00b5m"), (2000.0, "2 mm"), (0.5, "0.5 \u00b5m")])
def test_the_scale_bar_says_its_length(length: float, text: str) -> None:
    assert bar_text(length) == text


def test_a_drawing_fits_the_page() -> None:
    plan = slide_plan(busy_case.busy_view())
    for panel in plan.panels:
        drawing = plan_drawing(panel, plan.scale(WIDTH, MAX_HEIGHT))
        x1, y1, x2, y2 = drawing.getBounds()
        assert x2 - x1 <= WIDTH + 4
        assert y2 - y1 <= MAX_HEIGHT + 20
