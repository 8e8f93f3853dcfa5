from __future__ import annotations

import pytest
from PyQt6.QtCore import QPointF

from her2scope.ui.outline_tool import OutlineTool


def points(*pairs: tuple[float, float]) -> list[QPointF]:
    return [QPointF(*pair) for pair in pairs]


def clicked(tool: OutlineTool, *pairs: tuple[float, float]) -> bool:
    closed = False
    for place in points(*pairs):
        tool.press(place)
        closed = tool.release()
    return closed


def dragged(tool: OutlineTool, *pairs: tuple[float, float], zoom: float = 1.0) -> bool:
    first, *rest = points(*pairs)
    tool.press(first)
    for place in rest:
        tool.move(place, zoom)
    return tool.release()


@pytest.fixture
def tool() -> OutlineTool:
    made = OutlineTool()
    made.begin()
    return made


def test_clicks_are_corners_until_it_is_closed(tool: OutlineTool):
    assert not clicked(tool, (10, 10), (50, 10), (30, 40))
    assert tool.close()
    assert tool.polygon_px == ((10, 10), (50, 10), (30, 40))
    clicked(tool, (90, 90))
    assert len(tool.corners) == 3


def test_a_drag_is_a_lasso_that_closes_itself(tool: OutlineTool):
    assert dragged(tool, (10, 10), (50, 10), (50, 50), (10, 50))
    assert tool.polygon_px == ((10, 10), (50, 10), (50, 50), (10, 50))


def test_a_trembling_hand_makes_one_corner(tool: OutlineTool):
    assert not dragged(tool, (10, 10), (11, 10), (11, 11))
    assert tool.polygon_px == ((10, 10),)


def test_the_least_step_is_one_of_the_screen(tool: OutlineTool):
    assert dragged(tool, (10, 10), (11, 10), (11, 11), (10, 11), zoom=10.0)
    assert len(tool.corners) == 4


def test_a_drag_between_corners_goes_on_with_them(tool: OutlineTool):
    clicked(tool, (0, 0))
    assert not dragged(tool, (20, 0), (20, 10), (20, 20)) or tool.is_closed
    assert tool.close()
    assert tool.polygon_px[0] == (0, 0)


def test_the_second_press_of_a_double_click_is_no_corner(tool: OutlineTool):
    clicked(tool, (0, 0), (20, 0), (20, 20), (20, 20))
    assert len(tool.corners) == 3


def test_too_few_corners_enclose_nothing(tool: OutlineTool):
    clicked(tool, (0, 0), (20, 0))
    assert not tool.close()
    assert tool.is_on and not tool.is_closed


def test_abandoned_it_forgets_all(tool: OutlineTool):
    clicked(tool, (0, 0), (20, 0), (20, 20))
    tool.abandon()
    assert not tool.is_on and tool.corners == []
    tool.press(QPointF(1, 1))
    assert tool.corners == []
