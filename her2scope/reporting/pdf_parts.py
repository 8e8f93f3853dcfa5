"""Pieces of a PDF page that are drawn: score boxes, share chart, legend, pictures, numbered pages."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from reportlab import rl_config
from reportlab.graphics.shapes import Drawing, Line, Polygon, String
from reportlab.lib.colors import Color, HexColor, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Image, Table, TableStyle
from reportlab.platypus.flowables import Flowable

from her2scope.overlays.model import LegendEntry
from her2scope.overlays.palette import MARKERS, Palette, Rgb, halo, hex_colour, marker_polygon
from her2scope.records import RgbImage
from her2scope.reporting.content import ShareRow
from her2scope.reporting.images import at_most, jpeg, png
from her2scope.reporting.pdf_text import BOLD, FONT, GREY, INK, LINE, PALE, style, text
from her2scope.reporting.words import interval, percent

# Streams as bytes. The default writes them as text, in Python, which took two thirds of the time and a quarter of the
# file.
rl_config.useA85 = 0

MARGIN = 16 * mm
FRAME_PADDING = 6
"""What reportlab keeps free inside its margins."""
FOOTER = 8 * mm
WIDTH = A4[0] - 2 * MARGIN
HEIGHT = A4[1] - 2 * MARGIN - FOOTER
GAP = 10.0
HALF = (WIDTH - GAP) / 2
"""Width of two things beside each other."""
PICTURE_PX = 1200
"""About 170 dots per inch over the page's width: an outline of one pixel still prints."""


# ---- markers and colours ------------------------------------------------------------------------------------------


def colour(rgb: Rgb) -> Color:
    """Colour as reportlab takes it."""
    return HexColor(hex_colour(rgb))


def marker_shape(entry: LegendEntry, x: float, y: float, radius: float) -> Polygon:
    """Marker with its centre at `x`, `y`; PDF counts y upwards."""
    points = [value for dx, dy in marker_polygon(entry.marker) for value in (x + radius * dx, y - radius * dy)]
    if entry.hollow:
        return Polygon(points, fillColor=white, strokeColor=colour(entry.colour), strokeWidth=1.2)
    rim = (0, 0, 0) if halo(entry.colour) == (0, 0, 0) else entry.colour
    return Polygon(points, fillColor=colour(entry.colour), strokeColor=colour(rim), strokeWidth=0.5)


def legend(entries: Sequence[LegendEntry], width: float = WIDTH, columns: int = 3) -> Drawing:
    """Markers with their words, row by row."""
    rows = -(-len(entries) // columns)
    drawing = Drawing(width, 12 * rows + 2)
    for place, entry in enumerate(entries):
        row, column = divmod(place, columns)
        x, y = column * width / columns + 5, 12 * (rows - row) - 6
        drawing.add(marker_shape(entry, x, y, 3.6))
        drawing.add(drawn_text(x + 8, y - 2.8, entry.words, 8))
    return drawing


def drawn_text(
    x: float, y: float, words: str, size: float, bold: bool = False, ink: str = INK, end: bool = False
) -> String:
    """Words at a place of a drawing; `end` sets them to its left."""
    style(size)  # registers the fonts
    font = BOLD if bold else FONT
    return String(
        x, y, words, fontName=font, fontSize=size, fillColor=HexColor(ink), textAnchor="end" if end else "start"
    )


# ---- share chart --------------------------------------------------------------------------------------------------

_ROW, _LABEL, _FIGURES = 17.0, 150.0, 160.0
_CELLS, _SHARE = 40.0, 82.0
"""Right edges of two of the three columns of figures."""


def share_chart(rows: Sequence[ShareRow], palette: Palette, width: float = WIDTH) -> Drawing:
    """Bar per class with its 95 % interval as a whisker, and the figures beside it."""
    drawing = Drawing(width, _ROW * len(rows) + 24)
    left, right = _LABEL, width - _FIGURES
    top = _ROW * len(rows) + 12
    for tick in range(0, 101, 20):
        x = left + (right - left) * tick / 100
        drawing.add(Line(x, 12, x, top, strokeColor=HexColor(LINE), strokeWidth=0.4))
        words = f"{tick} %"
        drawing.add(drawn_text(x + stringWidth(words, FONT, 7) / 2, 3, words, 7, ink=GREY, end=True))
    heads = ((right + _CELLS, "cells"), (right + _SHARE, "share"), (width, "95 % interval"))
    for x, words in heads:
        drawing.add(drawn_text(x, top + 3, words, 7, ink=GREY, end=True))
    for place, row in enumerate(rows):
        _share_row(drawing, row, palette, top - _ROW * (place + 0.5), left, right, width)
    return drawing


def _share_row(
    drawing: Drawing, row: ShareRow, palette: Palette, y: float, left: float, right: float, width: float
) -> None:
    fill = palette.classes[row.name]
    drawing.add(marker_shape(LegendEntry(row.label, MARKERS[row.name], fill), 5, y, 4))
    drawing.add(drawn_text(14, y - 3, row.label, 8.5))
    scale = (right - left) / 100
    if row.percent:
        rim = colour(halo(fill)) if halo(fill) == (0, 0, 0) else colour(fill)
        end = left + scale * row.percent
        corners = [left, y - 5, end, y - 5, end, y + 5, left, y + 5]
        bar = Polygon(corners, fillColor=colour(fill), strokeColor=rim, strokeWidth=0.4)
        drawing.add(bar)
    if row.interval95 is not None:
        _whisker(drawing, left + scale * row.interval95[0], left + scale * row.interval95[1], y)
    drawing.add(drawn_text(right + _CELLS, y - 3, str(row.n), 8.5, end=True))
    drawing.add(drawn_text(right + _SHARE, y - 3, percent(row.percent), 8.5, bold=True, end=True))
    drawing.add(drawn_text(width, y - 3, interval(row.interval95), 8.5, end=True))


def _whisker(drawing: Drawing, low: float, high: float, y: float) -> None:
    """Black on a white rim: visible on the bar and beside it."""
    for ink, line in ((white, 2.6), (HexColor(INK), 1.0)):
        drawing.add(Line(low, y, high, y, strokeColor=ink, strokeWidth=line))
        for x in (low, high):
            drawing.add(Line(x, y - 3, x, y + 3, strokeColor=ink, strokeWidth=line))


# ---- boxes and tables ---------------------------------------------------------------------------------------------


def boxes(cells: Sequence[Sequence[Flowable]], grounds: Sequence[str], widths: Sequence[float]) -> Table:
    """Boxes side by side, each a stack of flowables on its own ground."""
    table = Table([[list(cell) for cell in cells]], colWidths=list(widths))
    commands: list[tuple[Any, ...]] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("BOX", (0, 0), (-1, -1), 0.6, HexColor(LINE)),
        ("INNERGRID", (0, 0), (-1, -1), 0.6, HexColor(LINE)),
        ("LEFTPADDING", (0, 0), (-1, -1), 9),
        ("TOPPADDING", (0, 0), (-1, -1), 6),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 8),
    ]
    commands += [("BACKGROUND", (place, 0), (place, 0), HexColor(ground)) for place, ground in enumerate(grounds)]
    table.setStyle(TableStyle(commands))
    return table


def table(
    head: Sequence[str], rows: Sequence[Sequence[str | Flowable]], widths: Sequence[float], right: Sequence[int] = ()
) -> Table:
    """Table of words; its head comes again on each page, and a row longer than a page breaks."""

    def cell(item: str | Flowable, column: int, bold: bool = False) -> Flowable:
        return text(item, 8, bold, right=column in right) if isinstance(item, str) else item

    data = [[cell(item, column, bold=True) for column, item in enumerate(head)]] if head else []
    data += [[cell(item, column) for column, item in enumerate(row)] for row in rows]
    made = Table(data, colWidths=list(widths), repeatRows=1 if head else 0, splitInRow=1)
    commands: list[tuple[Any, ...]] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, HexColor(LINE)),
        ("LEFTPADDING", (0, 0), (-1, -1), 4),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ("TOPPADDING", (0, 0), (-1, -1), 2.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5),
    ]
    if head:
        commands.append(("BACKGROUND", (0, 0), (-1, 0), HexColor(PALE)))
    made.setStyle(TableStyle(commands))
    return made


def side_by_side(panels: Sequence[list[Flowable]]) -> Table:
    """One or two stacks of flowables of half the page's width each."""
    made = Table([[*panels, *[[]] * (2 - len(panels))]], colWidths=[HALF + GAP, HALF], hAlign="LEFT")
    padding = [(f"{side}PADDING", (0, 0), (-1, -1), 0) for side in ("LEFT", "RIGHT")]
    made.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), *padding]))
    return made


# ---- pictures and pages -------------------------------------------------------------------------------------------


def picture(rgb: RgbImage, max_height: float, max_width: float = WIDTH) -> Image:
    """Picture as large as its place allows; small ones are not blown up beyond 1 mm per 2 pixels."""
    reduced = at_most(rgb, PICTURE_PX)
    height_px, width_px = reduced.shape[:2]
    scale = min(max_width / width_px, max_height / height_px, mm / 2)
    return Image(io.BytesIO(jpeg(reduced)), width=scale * width_px, height=scale * height_px, hAlign="LEFT")


def chart(rgb: RgbImage, width: float = WIDTH) -> Image:
    """A drawn chart over so much of the page's width; its thin lines are kept exactly."""
    height_px, width_px = rgb.shape[:2]
    return Image(io.BytesIO(png(rgb)), width=width, height=width * height_px / width_px, hAlign="LEFT")


MAX_FOOTER = 100
"""Characters of a footer that fit beside the page number on one line."""


class NumberedCanvas(Canvas):
    """Holds pages back until their number is known, for `page 2 of 9`.

    Parameters
    ----------
    footer : words at the foot of each page
    seal : words at the foot of the first and of the last page
    as_of_utc : when the report was written (ISO 8601), which becomes the date of the file
    """

    def __init__(self, *args: Any, footer: str, seal: str, as_of_utc: str, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._footer_words = footer if len(footer) <= MAX_FOOTER else footer[: MAX_FOOTER - 1] + "\u2026"
        self._seal_words = seal
        self._held: list[dict[str, Any]] = []
        if date := pdf_date(as_of_utc):
            self.setDateFormatter(lambda *_: date)

    def showPage(self) -> None:  # noqa: N802 - reportlab's name
        """Keep the page."""
        self._held.append(dict(self.__dict__))
        self._startPage()  # type: ignore[attr-defined]  # the recipe of reportlab's own guide; stubs leave it out

    def save(self) -> None:
        """Write all pages, each with its footer."""
        for number, page in enumerate(self._held, start=1):
            self.__dict__.update(page)
            self._footer(f"page {number} of {len(self._held)}")
            if number in (1, len(self._held)):
                self._draw_line(self._seal_words, WIDTH, MARGIN - 7 * mm)
            super().showPage()
        super().save()

    def _footer(self, number: str) -> None:
        y = MARGIN - 3 * mm
        self.setStrokeColor(HexColor(LINE))
        self.setLineWidth(0.5)
        self.line(MARGIN, y + 5 * mm, A4[0] - MARGIN, y + 5 * mm)
        self._draw_line(self._footer_words, WIDTH - 70, y)
        self._draw_line(number, WIDTH, y, right=True)

    def _draw_line(self, words: str, width: float, y: float, right: bool = False) -> None:
        made = text(words, 7.5, colour=GREY, right=right)
        _, height = made.wrap(width, 24)
        made.drawOn(self, MARGIN, y + 3.4 * mm - height)


def pdf_date(at_utc: str) -> str:
    """ISO 8601 time as PDF writes it; empty for what is none."""
    try:
        return datetime.fromisoformat(at_utc).astimezone(UTC).strftime("D:%Y%m%d%H%M%S+00'00'")
    except ValueError:
        return ""
