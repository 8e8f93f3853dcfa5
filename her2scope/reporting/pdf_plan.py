"""The plan of the slide on a PDF page."""

from __future__ import annotations

from reportlab.graphics.shapes import Drawing, Line, Polygon
from reportlab.lib.colors import HexColor, white

from her2scope.reporting.pdf_parts import HEIGHT, colour, drawn_text
from her2scope.reporting.pdf_text import GREY, INK, LINE, PALE
from her2scope.reporting.slide_plan import REGION_LINES, PlanField, PlanPanel, bar_text

MAX_HEIGHT = 0.38 * HEIGHT
_BAR_ROOM = 16.0
_MIN_SIZE, _MAX_SIZE = 5.0, 9.0
"""Sizes of a field's number, in points."""


def plan_drawing(panel: PlanPanel, scale: float) -> Drawing:
    """One island with its scale bar; `scale` is in points per um."""
    drawn_width, drawn_height = scale * panel.width_um, scale * panel.height_um
    drawing = Drawing(drawn_width, drawn_height + _BAR_ROOM)
    top = drawn_height + _BAR_ROOM
    ground = _corners(0, _BAR_ROOM, drawn_width, drawn_height)
    drawing.add(Polygon(ground, fillColor=HexColor(PALE), strokeColor=HexColor(LINE)))
    for field in panel.fields:
        _field(drawing, panel, field, scale, top)
    for region in panel.regions:
        ink, dashes = REGION_LINES[region.kind]
        places = [(scale * x, top - scale * y) for x, y in panel.corners(region)]
        corners = [value for place in places for value in place]
        drawing.add(
            Polygon(corners, fillColor=None, strokeColor=colour(ink), strokeWidth=1.2, strokeDashArray=list(dashes))
        )
        x, y = places[0]
        drawing.add(drawn_text(x + 2, y - 8, f"R{region.number}", 7))
    bar = scale * panel.bar_um
    drawing.add(Line(0, 6, bar, 6, strokeColor=HexColor(INK), strokeWidth=2))
    drawing.add(drawn_text(bar + 5, 3.5, bar_text(panel.bar_um), 8))
    return drawing


def _field(drawing: Drawing, panel: PlanPanel, field: PlanField, scale: float, top: float) -> None:
    """Box of a field with its number in the upper left corner, which an overlap leaves free longest."""
    x, y = (scale * value for value in panel.inside(field.x_um, field.y_um))
    width, height = scale * field.width_um, scale * field.height_um
    box = Polygon(
        _corners(x, top - y - height, width, height),
        fillColor=white,
        fillOpacity=0.6,
        strokeColor=HexColor(INK if field.hot else GREY),
        strokeWidth=2 if field.hot else 0.7,
    )
    size = min(_MAX_SIZE, max(_MIN_SIZE, 0.4 * height))
    drawing.add(box)
    drawing.add(drawn_text(x + 2, top - y - size - 0.5, str(field.number), size, bold=field.hot))


def _corners(x: float, y: float, width: float, height: float) -> list[float]:
    """Box as reportlab takes a polygon; `x`, `y` is its lower left corner."""
    return [x, y, x + width, y, x + width, y + height, x, y + height]
