"""The plan of the slide on an HTML page."""

from __future__ import annotations

from her2scope.overlays.palette import hex_colour
from her2scope.reporting.html_parts import said, tag
from her2scope.reporting.slide_plan import REGION_LINES, PlanField, PlanPanel, bar_text

_BAR_ROOM = 26.0


def plan_svg(panel: PlanPanel, scale: float) -> str:
    """One island with its scale bar; `scale` is in CSS pixels per um."""
    width, height = scale * panel.width_um, scale * panel.height_um
    drawn = [f'<rect class="ground" x="0" y="0" width="{width:.1f}" height="{height:.1f}"/>']
    drawn += [_field(panel, field, scale) for field in panel.fields]
    for region in panel.regions:
        ink, dashes = REGION_LINES[region.kind]
        places = [(scale * x, scale * y) for x, y in panel.corners(region)]
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        style = f"stroke:{hex_colour(ink)};stroke-dasharray:{' '.join(map(str, dashes)) or 'none'}"
        drawn.append(tag("polygon", "", class_="region", points=corners, style=style))
        x, y = places[0]
        drawn.append(f'<text x="{x + 3:.1f}" y="{y + 13:.1f}">R{region.number}</text>')
    bar = scale * panel.bar_um
    drawn.append(f'<rect class="bar" x="0" y="{height + 10:.1f}" width="{bar:.1f}" height="3"/>')
    drawn.append(f'<text x="{bar + 8:.1f}" y="{height + 16:.1f}">{said(bar_text(panel.bar_um))}</text>')
    size = f"{width:.1f} {height + _BAR_ROOM:.1f}"
    return tag(
        "svg", "\n".join(drawn), class_="plan", viewBox=f"0 0 {size}", width=f"{width:.1f}", role="img",
        aria_label="Where the fields lie",
    )  # fmt: skip


def _field(panel: PlanPanel, field: PlanField, scale: float) -> str:
    x, y = (scale * value for value in panel.inside(field.x_um, field.y_um))
    width, height = scale * field.width_um, scale * field.height_um
    box = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    size = min(16.0, max(8.0, 0.4 * height))
    number = f'<text x="{x + 3:.1f}" y="{y + size:.1f}" font-size="{size:.1f}">{field.number}</text>'
    link = tag("a", box + number, href=f"#field-{field.number}")
    return tag("g", link, class_="place hot" if field.hot else "place")
