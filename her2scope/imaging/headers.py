"""What an image file says about itself, read before it is decoded: size, depth, channels, and whether it is all there.

A decoder is too kind for measuring: it turns 16 bits into 8, grey into RGB and the missing half of a JPEG into grey
tissue. So the few facts that decide are read here, from the bytes.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass


class DamagedImageError(ValueError):
    """The bytes break the rules of their format: cut short, altered, or never an image of it."""


class UnknownFormatError(ValueError):
    """The bytes are not PNG, TIFF, JPEG or BMP."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a file holds, before decoding."""

    width: int
    height: int
    bits: int
    """Per channel; of a palette, per entry's channel."""
    channels: int
    """Of colour, without alpha: 1 grey (or palette), 3 RGB, 4 CMYK."""
    palette: bool = False
    alpha: bool = False
    """A fourth channel, or a transparent colour, is there: whether it hides anything, only the pixels tell."""
    pictures: int = 1
    """Pages of a TIFF or frames of an animation; thumbnails and pyramid levels do not count."""


def read_header(data: bytes) -> ImageHeader:
    """Read the header of a PNG, TIFF, JPEG or BMP, and check that the file is complete.

    Raises
    ------
    UnknownFormatError
        If the bytes begin like none of the four.
    DamagedImageError
        If they begin like one and do not go on like it. A changed byte is noticed in a PNG (by its check sums), not
        always in the other formats, which carry none.
    """
    for magic, reader in _READERS.items():
        if data.startswith(magic):
            try:
                return reader(data)
            except (struct.error, IndexError, OverflowError):
                raise DamagedImageError("the file ends too early") from None
    raise UnknownFormatError("not a PNG, TIFF, JPEG or BMP image")


# ---- PNG (ISO/IEC 15948) ------------------------------------------------------------------------------------------

_PNG_GREY, _PNG_PALETTE, _PNG_GREY_ALPHA, _PNG_RGB_ALPHA = 0, 3, 4, 6


def _read_png(data: bytes) -> ImageHeader:
    chunks = _png_chunks(data)
    if b"IHDR" not in chunks:
        raise DamagedImageError("the file has no PNG header")
    width, height, depth, colour = struct.unpack_from(">IIBB", data, chunks[b"IHDR"])
    frames = struct.unpack_from(">I", data, chunks[b"acTL"])[0] if b"acTL" in chunks else 1
    return ImageHeader(
        width,
        height,
        bits=8 if colour == _PNG_PALETTE else depth,
        channels=1 if colour in (_PNG_GREY, _PNG_PALETTE, _PNG_GREY_ALPHA) else 3,
        palette=colour == _PNG_PALETTE,
        alpha=colour in (_PNG_GREY_ALPHA, _PNG_RGB_ALPHA) or b"tRNS" in chunks,
        pictures=frames,
    )


def _png_chunks(data: bytes) -> dict[bytes, int]:
    """Offset of the data of each kind of chunk (its first), after checking every chunk's sum up to IEND."""
    view, found, at = memoryview(data), dict[bytes, int](), 8
    while b"IEND" not in found:
        length, kind = struct.unpack_from(">I4s", data, at)
        (stored_sum,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(view[at + 4 : at + 8 + length]) != stored_sum:
            raise DamagedImageError("the file is damaged (a check sum does not fit)")
        found.setdefault(kind, at + 8)
        at += 12 + length
    return found


# ---- JPEG (ITU-T T.81) --------------------------------------------------------------------------------------------

# The next marker: FF 00 is a stuffed data byte and FF D0..D7 restarts lie within the picture's data.
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
_JPEG_END, _JPEG_ALONE = 0xD9, (0x01, 0xD8)
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _read_jpeg(data: bytes) -> ImageHeader:
    header, at = None, 2
    while marker := _JPEG_MARKER.search(data, at):
        kind, at = marker[1][0], marker.end()
        if kind == _JPEG_END:
            if header is None:
                break
            return header
        if kind in _JPEG_ALONE:
            continue
        if kind in _JPEG_FRAMES and header is None:
            bits, height, width, channels = struct.unpack_from(">BHHB", data, at + 2)
            header = ImageHeader(width, height, bits, channels)
        at += struct.unpack_from(">H", data, at)[0]
    raise DamagedImageError("the file ends too early (it has no JPEG end marker)")


# ---- TIFF 6.0 and BigTIFF -----------------------------------------------------------------------------------------

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES = 254, 256, 257, 258, 262, 277
_PARTS = ((273, 279), (324, 325))
"""Tags of the places and byte counts of strips and of tiles."""
_TIFF_PALETTE, _TIFF_CMYK = 3, 5
_TIFF_WORDS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""Formats of the whole-number types; others carry nothing that is read here."""
_MAX_PAGES = 10_000

Tags = Mapping[int, tuple[int, ...]]


def _read_tiff(data: bytes) -> ImageHeader:
    pages = _tiff_pages(data)
    first = pages[0]
    if _WIDTH not in first or _HEIGHT not in first:
        raise DamagedImageError("the file has no TIFF picture size")
    for places_tag, counts_tag in _PARTS:
        for place, count in zip(first.get(places_tag, ()), first.get(counts_tag, ()), strict=False):
            if place + count > len(data):
                raise DamagedImageError("the file ends too early (part of the picture lies beyond its end)")
    palette = first.get(_PHOTOMETRIC) == (_TIFF_PALETTE,)
    samples = first.get(_SAMPLES, (1,))[0]
    cmyk = first.get(_PHOTOMETRIC) == (_TIFF_CMYK,)
    channels = 4 if cmyk else min(samples, 3) if samples >= 3 else 1
    return ImageHeader(
        first[_WIDTH][0],
        first[_HEIGHT][0],
        bits=8 if palette else max(first.get(_BITS, (1,))),
        channels=channels,
        palette=palette,
        alpha=samples > channels,
        pictures=sum(page.get(_SUBFILE, (0,))[0] & 1 == 0 for page in pages),
    )


def _tiff_pages(data: bytes) -> list[Tags]:
    """Whole-number tags of every page."""
    order = "<" if data.startswith(b"II") else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    pages: list[Tags] = []
    seen: set[int] = set()
    while at:
        if at in seen or len(pages) >= _MAX_PAGES:
            raise DamagedImageError("the file is damaged (its pages go round in a circle)")
        seen.add(at)
        tags, at = _tiff_page(data, at, order, big)
        pages.append(tags)
    if not pages:
        raise DamagedImageError("the file has no picture in it")
    return pages


def _tiff_page(data: bytes, at: int, order: str, big: bool) -> tuple[Tags, int]:
    """Tags of the page at `at`, and where the next one is (0: none)."""
    count_format, entry_format, offset_format = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    inline_bytes = struct.calcsize(order + offset_format)
    (entries,) = struct.unpack_from(order + count_format, data, at)
    at += struct.calcsize(order + count_format)
    tags: dict[int, tuple[int, ...]] = {}
    for _ in range(entries):
        tag, kind, count = struct.unpack_from(order + entry_format, data, at)
        at += struct.calcsize(order + entry_format)
        if count and (word := _TIFF_WORDS.get(kind)):
            values = f"{order}{count}{word}"
            here = (
                at
                if struct.calcsize(values) <= inline_bytes
                else struct.unpack_from(order + offset_format, data, at)[0]
            )
            tags[tag] = struct.unpack_from(values, data, here)
        at += inline_bytes
    (following,) = struct.unpack_from(order + offset_format, data, at)
    return tags, following


# ---- BMP ----------------------------------------------------------------------------------------------------------

_BMP_UNCOMPRESSED = (0, 3)
_BMP_FULL_HEADER = 40
_BMP_BITS_PER_PIXEL = {24: 8, 32: 8, 16: 5}


def _read_bmp(data: bytes) -> ImageHeader:
    pixels_at, header_bytes = struct.unpack_from("<II", data, 10)
    if header_bytes < _BMP_FULL_HEADER:
        raise DamagedImageError("the file is a BMP older than Windows 3, or damaged")
    width, height, _, bits_per_pixel, compression = struct.unpack_from("<iiHHI", data, 18)
    row_bytes = (abs(width) * bits_per_pixel + 31) // 32 * 4
    if compression in _BMP_UNCOMPRESSED and pixels_at + row_bytes * abs(height) > len(data):
        raise DamagedImageError("the file ends too early")
    palette = bits_per_pixel <= 8
    # The fourth byte of a 32-bit BMP is usually unused and 0: it is not taken for transparency.
    bits = 8 if palette else _BMP_BITS_PER_PIXEL.get(bits_per_pixel, bits_per_pixel)
    return ImageHeader(abs(width), abs(height), bits, channels=1 if palette else 3, palette=palette)


_READERS: dict[bytes, Callable[[bytes], ImageHeader]] = {
    b"\x89PNG\r\n\x1a\n": _read_png,
    b"\xff\xd8\xff": _read_jpeg,
    b"II*\0": _read_tiff,
    b"MM\0*": _read_tiff,
    b"II+\0": _read_tiff,
    b"MM\0+": _read_tiff,
    b"BM": _read_bmp,
}
