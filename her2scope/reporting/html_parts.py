"""Pieces of the HTML report: tables, share chart, and fields whose every cell can be pointed at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from her2scope.domain.cells import CellKind
from her2scope.domain.corrections import STANDING_WORDS, CellStanding, Correction
from her2scope.domain.regions import Region
from her2scope.imaging.opencv import cv2
from her2scope.overlays.model import CellMark, LegendEntry, mark_of, marks_in_case
from her2scope.overlays.outside import has_outside, outside_layer
from her2scope.overlays.palette import (
    MARKERS,
    MEMBRANE_FAINT_LABEL,
    MEMBRANE_INTENSE_LABEL,
    REGION_COLOURS,
    REGION_LABELS,
    Marker,
    Palette,
    Rgb,
    halo,
    hex_colour,
    label,
    marker_polygon,
)
from her2scope.overlays.raster import MARKER_UM, MIN_MARKER_PX, OTHER_MARKER_SIZE
from her2scope.records import FAINT, INTENSE, AcceptedField, Cell, FieldResult, Mask, RgbImage
from her2scope.reporting import record, words
from her2scope.reporting.cell_standing import as_read, correction_label, corrections, polygon_px, standings
from her2scope.reporting.content import ShareRow
from her2scope.reporting.images import at_most, data_uri, jpeg, png
from her2scope.reporting.region_marks import regions_on

PICTURE_PX = 1600
OUTLINE_TOLERANCE_PX = 0.4
"""An outline may differ from the measured one by this much: under half a pixel, with a fifth of the points."""
MEMBRANE_ALPHA = 150
ZOOMS = {"fit": "fit", "zoom-1": "100 %", "zoom-2": "200 %", "zoom-4": "400 %"}
"""Steps of the zoom by the name of their style: the page's width, or pixels of the screen for one of the field."""


def tag(name: str, inner: str, **attributes: object) -> str:
    """HTML element; attribute values are escaped, `inner` is HTML already. `class_` stands for `class`."""
    named = "".join(f' {key.rstrip("_").replace("_", "-")}="{said(str(value))}"' for key, value in attributes.items())
    return f"<{name}{named}>{inner}</{name}>"


def said(text: str) -> str:
    """Plain text as HTML."""
    return escape(words.clean(text))


def paragraph(text: str, class_: str = "") -> str:
    """Paragraph of plain text."""
    return tag("p", said(text), class_=class_)


def bullets(lines: Iterable[str], class_: str = "") -> str:
    """List of plain texts, nothing where there are none."""
    items = "".join(tag("li", said(line)) for line in lines)
    return tag("ul", items, class_=class_) if items else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = (), class_: str = "") -> str:
    """Table of plain texts, columns `numbers` set to the right; without a head, rows are pairs of name and figure."""

    def cell(kind: str, text: str, column: int) -> str:
        return tag(kind, said(text), class_="number" if column in numbers else "")

    top = tag("thead", tag("tr", "".join(cell("th", text, column) for column, text in enumerate(head)))) if head else ""
    body = []
    for row in rows:
        kinds = ["td" if head or column % 2 else "th" for column in range(len(row))]
        body.append(
            tag("tr", "".join(cell(kind, text, n) for n, (kind, text) in enumerate(zip(kinds, row, strict=True))))
        )
    made = tag("table", top + tag("tbody", "\n".join(body)), class_=class_)
    return tag("div", made, class_="wide") if head else made


def told_line(told: record.Told) -> str:
    """A line of the head: its title bold and coloured, so that it is seen without being read."""
    tone = "good" if told.good else "warn"
    return tag("p", tag("strong", said(told.title), class_=tone) + " " + said(told.text), class_="told")


def picture(rgb: RgbImage, words_of_it: str) -> str:
    """A drawn picture, exactly as it is."""
    return tag("p", f'<img src="{data_uri(png(rgb))}" alt="{said(words_of_it)}">')


def notice(title: str, text: str, tone: str) -> str:
    """Coloured box; `tone` is good, warn, bad or plain."""
    inner = tag("strong", said(title)) + " " + tag("span", said(text))
    return tag("p", inner, class_=f"notice {tone} on-{tone}")


def section(title: str, inner: str) -> list[str]:
    """Heading and content, nothing where there is no content."""
    return [tag("h2", said(title)), inner] if inner else []


# ---- markers ------------------------------------------------------------------------------------------------------


def marker_symbols() -> str:
    """Every marker once, of radius 1, for `use`; its line keeps its width at any size."""
    fixed = {"vector-effect": "non-scaling-stroke"}
    paths = "".join(
        tag("path", "", id=f"marker-{shape}", d=_path(marker_polygon(shape), 3), **fixed) for shape in Marker
    )
    return f'<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>{paths}</defs></svg>'


def legend(entries: Iterable[LegendEntry]) -> str:
    """Markers with their words."""
    items = []
    for entry in entries:
        drawn = tag(
            "path", "", d=_path(marker_polygon(entry.marker), 3), style=_marker_style(entry.colour, entry.hollow, 0.2)
        )
        items.append(tag("li", tag("svg", drawn, viewBox="-1.2 -1.2 2.4 2.4", aria_hidden="true") + said(entry.words)))
    return tag("ul", "".join(items), class_="legend")


def _marker_style(colour: Rgb, hollow: bool, line: float | None = None) -> str:
    width = "" if line is None else f";stroke-width:{2 * line if hollow else line}"
    if hollow:
        return f"fill:none;stroke:{hex_colour(colour)}{width}"
    return f"fill:{hex_colour(colour)};stroke:{hex_colour(halo(colour))}{width}"


def _path(corners: Iterable[Sequence[float]], digits: int) -> str:
    return "M" + "L".join(f"{x:.{digits}f} {y:.{digits}f}" for x, y in corners) + "Z"


# ---- share chart --------------------------------------------------------------------------------------------------

_LEFT, _BAR, _ROW = 265, 370, 26
_CELLS, _SHARE, _WIDTH = 700, 770, 900


def share_chart(rows: Sequence[ShareRow], palette: Palette) -> str:
    """Bar per class with its 95 % interval as a whisker, and the figures beside it."""
    bottom = 20 + _ROW * len(rows)
    drawn = []
    for tick in range(0, 101, 20):
        x = _LEFT + _BAR * tick / 100
        drawn.append(f'<line class="tick" x1="{x}" x2="{x}" y1="18" y2="{bottom}"/>')
        drawn.append(f'<text class="faded middle" x="{x}" y="{bottom + 14}">{tick} %</text>')
    for x, head in ((_CELLS, "cells"), (_SHARE, "share"), (_WIDTH, "95 % interval")):
        drawn.append(f'<text class="faded end" x="{x}" y="12">{head}</text>')
    drawn += [_share_row(row, palette, 20 + _ROW * (place + 0.5)) for place, row in enumerate(rows)]
    title = "Share of tumour cells in each membrane class with 95 % interval"
    return tag(
        "svg", "\n".join(drawn), class_="chart", viewBox=f"0 0 {_WIDTH} {bottom + 20}", role="img", aria_label=title
    )


def _share_row(row: ShareRow, palette: Palette, y: float) -> str:
    colour = palette.classes[row.name]
    marker = f'<use href="#marker-{MARKERS[row.name]}" transform="translate(8 {y})scale(6)" '
    drawn = [
        f'{marker}style="{_marker_style(colour, False, 1)}"/>',
        f'<text x="22" y="{y + 4}">{said(row.label)}</text>',
    ]
    if row.percent:
        size = f'x="{_LEFT}" y="{y - 8}" width="{_BAR * row.percent / 100:.2f}" height="16"'
        drawn.append(
            f'<rect {size} fill="{hex_colour(colour)}" stroke="{hex_colour(halo(colour))}" stroke-width=".6"/>'
        )
    if row.interval95 is not None:
        low, high = (f"{_LEFT + _BAR * end / 100:.2f}" for end in row.interval95)
        line = f"M{low} {y}H{high}M{low} {y - 5}v10M{high} {y - 5}v10"
        drawn += [f'<path class="rim" d="{line}"/>', f'<path class="whisker" d="{line}"/>']
    drawn.append(f'<text class="end" x="{_CELLS}" y="{y + 4}">{row.n}</text>')
    drawn.append(f'<text class="end share" x="{_SHARE}" y="{y + 4}">{words.percent(row.percent)}</text>')
    drawn.append(f'<text class="end" x="{_WIDTH}" y="{y + 4}">{words.interval(row.interval95)}</text>')
    return "".join(drawn)


# ---- a field ------------------------------------------------------------------------------------------------------


def field_view(key: str, result: FieldResult, palette: Palette, *, keeps_membranes: bool = True) -> str:
    """Picture of a field with check boxes for its layers; pointing at a cell says what was measured.

    Parameters
    ----------
    key : name that no other field of the page has
    keeps_membranes : whether the result has its membrane mask; a box that shows nothing would say that there is none
    """
    told = [(mark_of(cell, palette), cell_words(number, cell)) for number, cell in enumerate(result.cells, start=1)]
    return _layers(key, result, palette, keeps_membranes) + _field_svg(result, palette, told)


def accepted_view(key: str, item: AcceptedField, palette: Palette, regions: Sequence[Region]) -> str:
    """The same of a field of the case: which cells count, what the reader said of them, and the outlined regions."""
    cells = zip(item.result.cells, as_read(item).cells, corrections(item), standings(item), strict=True)
    told = [
        (mark, cell_words(number, cell, standing, correction, read))
        for number, (mark, (cell, read, correction, standing)) in enumerate(
            zip(marks_in_case(item, palette), cells, strict=True), start=1
        )
    ]
    return _layers(key, item.result, palette) + _field_svg(item.result, palette, told, _region_paths(item, regions))


def _layers(key: str, result: FieldResult, palette: Palette, with_membranes: bool = True) -> str:
    membranes = "Membranes" + _swatch(palette.membrane_faint, MEMBRANE_FAINT_LABEL)
    membranes += _swatch(palette.membrane_intense, MEMBRANE_INTENSE_LABEL)
    layers = [("markers", "Cells", True), ("outlines", "Outlines", True)]
    layers += [("membranes", membranes, False)] if with_membranes else []
    boxes = [_check_box(key, *layer) for layer in (layers if result.cells else [])]
    return "".join(boxes) + _zoom(key)


def _zoom(key: str) -> str:
    """Steps to zoom by: radio buttons that the style sheet reads, for the page runs no script."""
    steps = []
    for step, inner in ZOOMS.items():
        mark = " checked" if step == "fit" else ""
        steps.append(f'<input type="radio" class="{step}" name="{key}-zoom" id="{key}-{step}"{mark}>')
        steps.append(tag("label", inner, for_=f"{key}-{step}"))
    return tag("span", "Zoom:", class_="zoom") + "".join(steps)


def _region_paths(item: AcceptedField, regions: Sequence[Region]) -> str:
    if item.place is None:
        return ""
    drawn = []
    for region in regions_on(item, regions):
        d = _path(polygon_px(region.polygon_um, item.result, item.place).tolist(), 1)
        style = f"stroke:{hex_colour(REGION_COLOURS[region.kind])}"
        title = tag("title", said(f"Region {region.number}: {REGION_LABELS[region.kind]}. {region.note}".strip()))
        drawn.append(tag("path", title, class_="region", d=d, style=style))
    return tag("g", "".join(drawn), class_="regions") if drawn else ""


def _swatch(colour: Rgb, words_of_it: str) -> str:
    return tag("span", "", class_="swatch", style=f"background:{hex_colour(colour)}", title=words_of_it)


def _check_box(key: str, name: str, inner: str, checked: bool) -> str:
    name_of_box = f"{key}-{name}"
    mark = " checked" if checked else ""
    return f'<input type="checkbox" class="{name}" id="{name_of_box}"{mark}>' + tag("label", inner, for_=name_of_box)


def _field_svg(result: FieldResult, palette: Palette, told: Sequence[tuple[CellMark, str]], regions: str = "") -> str:
    """Drawing in the frame's pixels: their centres are whole numbers, so the picture starts at -0.5."""
    height, width = result.frame.size_hw
    place = f'x="-0.5" y="-0.5" width="{width}" height="{height}"'
    drawn = [f'<image {place} href="{data_uri(jpeg(at_most(result.frame.rgb, PICTURE_PX)))}"/>']
    if result.outside is not None and has_outside(result):
        drawn.append(f'<image class="out" {place} href="{data_uri(_outside_png(result.outside))}"/>')
    if result.cells and result.membrane.any():
        drawn.append(f'<image class="mem" {place} href="{data_uri(_membrane_png(result.membrane, palette))}"/>')
    drawn += [regions, '<g class="cells">']
    radius_px = max(MIN_MARKER_PX, MARKER_UM / result.frame.um_per_px)
    drawn += [_cell(cell, mark, says, radius_px) for cell, (mark, says) in zip(result.cells, told, strict=True)]
    drawn.append("</g>")
    box = f"-0.5 -0.5 {width} {height}"
    drawing = tag(
        "svg", "\n".join(drawn), viewBox=box, width=width, height=height, role="img", aria_label=result.frame.name,
        style=f"--width:{width}px",
    )  # fmt: skip
    return tag("div", drawing, class_="view", tabindex="0")


def _cell(cell: Cell, mark: CellMark, says: str, radius_px: float) -> str:
    size = radius_px * (1 if mark.tumour else OTHER_MARKER_SIZE)
    move = f"translate({cell.x_px:.1f} {cell.y_px:.1f})scale({size:.1f})"
    look = _marker_style(mark.colour, mark.dashed)
    marker = f'<use class="m" href="#marker-{mark.marker}" transform="{move}" style="{look}"/>'
    outline = ""
    if len(cell.outline_xy_px) >= 3:
        left_out = " left-out" if mark.dashed else ""
        d = _path(_thinned(cell), 1)
        outline = f'<path class="o{left_out}" stroke="{hex_colour(mark.colour)}" d="{d}"/>'
    return f"<g><title>{said(says)}</title>{outline}{marker}{_hand(cell, mark, size)}</g>"


def _hand(cell: Cell, mark: CellMark, size: float) -> str:
    """The reader's hand: a small square at the upper right of a corrected cell, a line through an excluded one."""
    if not mark.corrected:
        return ""
    x, y, half = cell.x_px + 2 * size, cell.y_px - 2 * size, size / 2
    d = f"M{x - half:.1f} {y - half:.1f}h{size:.1f}v{size:.1f}h{-size:.1f}Z"
    if mark.struck:
        d += f"M{cell.x_px - 2 * size:.1f} {cell.y_px + 2 * size:.1f}L{x:.1f} {y:.1f}"
    return f'<path class="m hand" d="{d}"/>'


def _thinned(cell: Cell) -> Sequence[Sequence[float]]:
    """Corners of an outline without those that lie on a straight line."""
    outline = np.ascontiguousarray(cell.outline_xy_px, np.float32).reshape(-1, 1, 2)
    corners: list[list[float]] = cv2.approxPolyDP(outline, OUTLINE_TOLERANCE_PX, True).reshape(-1, 2).tolist()
    return corners


def cell_words(
    number: int,
    cell: Cell,
    standing: CellStanding = CellStanding.COUNTED,
    correction: Correction | None = None,
    read: Cell | None = None,
) -> str:
    """What a colleague wants to know of one cell.

    Parameters
    ----------
    read : the cell as the method read it, where the reader corrected it or moved the cuts
    """
    name = f"Cell {number}: {label(cell.cell_class)}"
    if correction is not None:
        name += f", by the reader: {correction_label(correction).lower()}"
    if read is not None and read.cell_class is not cell.cell_class:
        name += f", read as {label(read.cell_class).lower()}"
    if cell.kind is not CellKind.TUMOUR:
        return name
    measure = cell.measure
    counted = "" if standing is CellStanding.COUNTED else f" {words.sentence(STANDING_WORDS[standing])}"
    figures = f"completeness {100 * measure.completeness:.0f} %, intensity {words.od10(measure.intensity_od10)}"
    return f"{name}; {figures}.{counted}"


def _outside_png(outside: Mask) -> bytes:
    """What the region model leaves out, dimmed and hatched."""
    height, width = outside.shape
    scale = PICTURE_PX / width
    layer = outside_layer(outside, (round(height * scale), PICTURE_PX), scale=scale)
    layer[..., :3][layer[..., :3] > 0] = 255  # a PNG's colours are not premultiplied
    return png(layer)


def _membrane_png(membrane: Mask, palette: Palette) -> bytes:
    pixels = np.zeros((*membrane.shape, 4), np.uint8)
    pixels[membrane == FAINT] = (*palette.membrane_faint, MEMBRANE_ALPHA)
    pixels[membrane == INTENSE] = (*palette.membrane_intense, MEMBRANE_ALPHA)
    height, width = membrane.shape
    if width > PICTURE_PX:
        size = (PICTURE_PX, round(height * PICTURE_PX / width))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    return png(pixels)
