"""Fonts and text for the PDF: any name can be printed, and two names that differ look different."""

from __future__ import annotations

from functools import cache
from importlib import resources
from itertools import groupby
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_LEFT, TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Paragraph

from her2scope.reporting.words import clean

FONT, BOLD = "DejaVuSansCondensed", "DejaVuSansCondensed-Bold"
"""Embedded, so the report looks the same everywhere."""
_CJK = (
    ("HeiseiKakuGo-W5", ((0x3040, 0x30FF),)),
    ("HYGothic-Medium", ((0x1100, 0x11FF), (0xAC00, 0xD7AF))),
    ("STSong-Light", ((0x3000, 0x303F), (0x3400, 0x9FFF), (0xFF00, 0xFFEF))),
)
"""Fonts that PDF readers bring along; a font of our own for these would weigh several megabytes."""

INK, GREY, LINE, PALE = "#1a1a1a", "#5a5f66", "#c9cdd2", "#f2f4f6"
GOOD, WARN, BAD = "#1b6e3c", "#8a5a00", "#a3161f"
GOOD_PALE, WARN_PALE, BAD_PALE = "#e6f4ea", "#fdf1d7", "#fce8e8"


@cache
def _covered() -> frozenset[int]:
    """Register the fonts and return the code points that ours can show."""
    folder = resources.files("her2scope.reporting").joinpath("fonts")
    glyphs: frozenset[int] = frozenset()
    for name in (FONT, BOLD):
        with resources.as_file(folder.joinpath(f"{name}.ttf")) as path:
            font = TTFont(name, str(path))
        pdfmetrics.registerFont(font)
        glyphs = frozenset(font.face.charToGlyph)
    pdfmetrics.registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=FONT, boldItalic=BOLD)
    for name, _ in _CJK:
        pdfmetrics.registerFont(UnicodeCIDFont(name))
    return glyphs


def _font_of(sign: str) -> str | None:
    """Font that shows a character, None where no font does."""
    if ord(sign) in _covered():
        return FONT
    return next((name for name, spans in _CJK if any(low <= ord(sign) <= high for low, high in spans)), None)


def marked(text: str) -> str:
    """Text as reportlab's markup: escaped, each script in a font that has it, else code points in brackets."""
    pieces = []
    for font, signs in groupby(clean(text), key=_font_of):
        if font is None:
            pieces.append("".join(f"[U+{ord(sign):04X}]" for sign in signs))
        elif font == FONT:
            pieces.append(escape("".join(signs)))
        else:
            pieces.append(f'<font name="{font}">{escape("".join(signs))}</font>')
    return "".join(pieces)


def style(
    size: float = 9.0, bold: bool = False, colour: str = INK, right: bool = False, after: float = 0.0
) -> ParagraphStyle:
    """Style of a paragraph; long words break, so that no name can run out of its column."""
    _covered()
    return ParagraphStyle(
        "her2scope",
        fontName=BOLD if bold else FONT,
        fontSize=size,
        leading=1.28 * size,
        textColor=HexColor(colour),
        alignment=TA_RIGHT if right else TA_LEFT,
        spaceAfter=after,
        splitLongWords=1,
        bulletFontName=FONT,
    )


def text(
    words: str, size: float = 9.0, bold: bool = False, colour: str = INK, right: bool = False, after: float = 0.0
) -> Paragraph:
    """Paragraph of plain words."""
    return Paragraph(marked(words), style(size, bold, colour, right, after))


def heading(words: str) -> Paragraph:
    """Title of a part of a page; it stays with what follows."""
    made = style(11.5, True, after=3)
    made.spaceBefore, made.keepWithNext = 9, 1
    return Paragraph(marked(words), made)


def bullets(lines: tuple[str, ...], size: float = 9.0, colour: str = INK) -> list[Paragraph]:
    """Lines with a bullet each; they may break over pages."""
    made = style(size, colour=colour, after=2)
    made.leftIndent, made.bulletIndent = 10, 1
    return [Paragraph(marked(line), made, bulletText="\u2022") for line in lines]


def led(title: str, words: str, size: float = 9.0, colour: str = INK, after: float = 2.0) -> Paragraph:
    """Paragraph that a bold, coloured title leads."""
    bold = f'<font name="{BOLD}" color="{colour}">{marked(title)}</font>'
    return Paragraph(f"{bold} {marked(words)}".strip(), style(size, after=after))


def notice(title: str, words: str, colour: str, ground: str) -> Paragraph:
    """Coloured box of any length: unlike a table's cell it may break over pages."""
    made = style(9.5, after=10)
    made.backColor, made.borderColor, made.borderWidth, made.borderPadding = HexColor(ground), HexColor(colour), 0.8, 5
    made.spaceBefore, made.leftIndent, made.rightIndent = 10, 6, 6
    return Paragraph(f'<font name="{BOLD}" color="{colour}">{marked(title)}</font> {marked(words)}', made)
