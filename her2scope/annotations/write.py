"""Annotations written as GeoJSON, as QuPath opens it; read back they are the same."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from her2scope.annotations.drawn import CORNER_PX
from her2scope.annotations.shapes import Annotation, Annotations, Corners
from her2scope.domain.errors import BadInputError

Rgb = tuple[int, int, int]


def write_geojson(annotations: Annotations, path: Path, colours: Mapping[str, Rgb] | None = None) -> None:
    """Write a FeatureCollection, feature by feature, aside and then renamed: a million outlines need no memory.

    Parameters
    ----------
    annotations : Annotations
    path : Path
    colours : mapping of str to (int, int, int), optional
        Colour of each class; others take one from their name, the same every time.

    Raises
    ------
    BadInputError
        Where it cannot be written; then nothing is left and an older file is untouched.
    """
    aside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(_lines(annotations, colours or {}))
        os.replace(aside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise BadInputError(
            f"{path}: cannot be written ({error.strerror}). Check the folder, its permissions and the free space."
        ) from error


def _lines(annotations: Annotations, colours: Mapping[str, Rgb]) -> Iterator[str]:
    yield '{"type": "FeatureCollection", "features": ['
    for number, item in enumerate(annotations.items):
        text = json.dumps(_feature(number, item, colours), allow_nan=False, ensure_ascii=False)
        # A name may hold half of a pair of surrogates, which no UTF-8 has.
        text = text.encode("utf-8", errors="replace").decode("utf-8")
        yield (",\n" if number else "\n") + text
    yield "\n]}\n"


def _feature(number: int, item: Annotation, colours: Mapping[str, Rgb]) -> dict[str, Any]:
    areas = [[_ring(polygon.outer), *map(_ring, polygon.holes)] for polygon in item.polygons]
    one = len(areas) == 1
    properties: dict[str, Any] = {"objectType": "annotation"}
    if item.name:
        properties["name"] = item.name
    colour = colours.get(item.class_name) or _colour(item.class_name)
    properties["classification"] = {"name": item.class_name, "color": list(colour)}
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"her2scope annotation {number}: {areas[0][0][:2] if areas else ''}")),
        "geometry": {"type": "Polygon" if one else "MultiPolygon", "coordinates": areas[0] if one else areas},
        "properties": properties,
    }


def _ring(corners: Corners) -> list[list[float]]:
    """Places as a viewer counts them (the first pixel from 0 to 1), the first again at the end."""
    return (np.vstack([corners, corners[:1]]) + CORNER_PX).tolist()


def _colour(name: str) -> Rgb:
    """A colour of middle lightness for a name, the same on every machine."""
    digest = zlib.crc32(name.encode("utf-8", errors="replace"))
    return (48 + digest % 160, 48 + (digest >> 8) % 160, 48 + (digest >> 16) % 160)
