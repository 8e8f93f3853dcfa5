"""Annotations as a mask: a PNG of the image's size whose values are classes, 0 the background."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from her2scope.annotations.errors import UnreadableAnnotationError
from her2scope.annotations.shapes import Annotation, Annotations
from her2scope.annotations.trace import trace
from her2scope.imaging.files import MAX_PIXELS
from her2scope.imaging.headers import DamagedImageError, UnknownFormatError, read_header
from her2scope.imaging.opencv import cv2

_PNG = b"\x89PNG"
_DEPTH, _COLOURS, _GREY = 24, 25, 0
"""Bytes of the header: bits of a channel, and which channels there are (PNG specification, 11.2.2)."""
_AS_MASK = "Save the mask as a grey PNG whose values are the classes, 0 the background."


def read_mask(
    path: Path, size_wh: tuple[int, int] | None, classes: Mapping[int, str] | None, default_class: str
) -> Annotations:
    """Read a mask; each piece of one value whose pixels share sides is an annotation, outlined along its pixels.

    Parameters
    ----------
    path : Path
        A PNG of one channel (8 or 16 bits, or a palette, whose colours do not matter).
    size_wh : (int, int), optional
        Of the image, which the mask must have too.
    classes : mapping of int to str, optional
        Class of each value; a mask with another value is refused. None: the mask has one value beside 0, and its
        class is `default_class`.
    """
    values = read_values(path)
    height, width = values.shape
    if size_wh is not None and (width, height) != tuple(size_wh):
        raise UnreadableAnnotationError(
            path,
            f"the mask has {width} x {height} px, its image {size_wh[0]} x {size_wh[1]} px",
            "Save the mask at the size of its image.",
        )
    found = [int(value) for value in np.unique(values) if value]
    if classes is None:
        if len(found) > 1:
            some = ", ".join(map(str, found[:8])) + (", ..." if len(found) > 8 else "")
            remedy = "Paint one class with one value, or name the classes of values 1, 2 and so on in this order."
            raise UnreadableAnnotationError(path, f"the mask has the values {some}, and one class", remedy)
        classes = dict.fromkeys(found, default_class)
    if unnamed := [value for value in found if value not in classes]:
        known = ", ".join(f"{value} is {name}" for value, name in classes.items())
        why = f"the mask has the value {unnamed[0]}, which is no class ({known})"
        raise UnreadableAnnotationError(path, why, "Paint it as one of these, or as 0, or name its class as well.")
    return Annotations(tuple(_pieces(values, {value: classes[value] for value in found})))


def read_values(path: Path) -> NDArray[np.uint16]:
    """`(H, W)` values of a mask; UnreadableAnnotationError where the file is none."""
    data = path.read_bytes()
    if not data.startswith(_PNG):
        raise UnreadableAnnotationError(path, "no PNG, whatever its name says", _AS_MASK)
    try:
        header = read_header(data)
    except (DamagedImageError, UnknownFormatError) as error:
        raise UnreadableAnnotationError(path, str(error), _AS_MASK) from None
    if header.width * header.height > MAX_PIXELS:
        why = f"{header.width} x {header.height} px are more than a mask may have"
        raise UnreadableAnnotationError(path, why, "Give the outlines as polygons.")
    values = _grey(path, data)
    if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
        raise UnreadableAnnotationError(path, "the mask has values below 0 or above 65535", _AS_MASK)
    return values.astype(np.uint16)


def _grey(path: Path, data: bytes) -> NDArray[Any]:
    """`(H, W)` of a PNG whose channels are all the same, and whose pixels all show."""
    if data[_DEPTH] == 16 and data[_COLOURS] != _GREY:  # Pillow keeps the upper eight: value 1 would be 0
        raise UnreadableAnnotationError(path, "the mask has several channels of 16 bits", _AS_MASK)
    try:
        with warnings.catch_warnings():  # the size was looked at just now
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                values, has_alpha = np.asarray(image), image.mode in ("LA", "RGBA")
    except (OSError, ValueError, SyntaxError, EOFError, struct.error):
        raise UnreadableAnnotationError(path, "the mask is damaged", _AS_MASK) from None
    if has_alpha:
        # what was painted may stand in the transparency alone, with one colour everywhere
        if (values[..., -1] != 255).any():
            raise UnreadableAnnotationError(path, "the mask is transparent in places", _AS_MASK)
        values = values[..., :-1]
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            raise UnreadableAnnotationError(path, "the mask is in colours", _AS_MASK)
        values = values[..., 0]
    return values


def _pieces(values: NDArray[np.uint16], classes: Mapping[int, str]) -> list[Annotation]:
    found = []
    for value, class_name in classes.items():
        _, pieces = cv2.connectedComponents((values == value).astype(np.uint8), connectivity=4)
        found += [Annotation("", class_name, (polygon,)) for polygon in trace(pieces > 0)]
    return found
