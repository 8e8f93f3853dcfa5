"""Annotations in GeoJSON, as QuPath writes them: a FeatureCollection, a list of features, or one feature.

QuPath's places are pixels of the full resolution, the first from 0 to 1: half a pixel is taken off each. The class is
`properties.classification`, as an object with `name` (or `names`) or as a text. Points and lines hold no area and are
left out. A feature's `nucleusGeometry` (QuPath's cells) is not read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from her2scope.annotations.drawn import DrawnPart, DrawnShape, Repairs, Ring, called, ring_of
from her2scope.annotations.errors import UnreadableAnnotationError

MAX_BYTES = 1 << 30
MAX_DEPTH = 20
"""Of geometry collections in each other."""
_QUPATH = "Export the objects from QuPath as GeoJSON."
_NO_AREA = ("Point", "MultiPoint", "LineString", "MultiLineString")


class _NoGeometry(ValueError):
    """Why a geometry is no area."""


def read_geojson(path: Path, repairs: Repairs, default_class: str) -> list[DrawnShape]:
    """Read a GeoJSON file; UnreadableAnnotationError where it is none."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise UnreadableAnnotationError(path, f"{size / 1e9:.1f} GB of text", "Export fewer objects at once.")
    try:
        content = json.loads(path.read_bytes(), object_hook=_compact)
    except UnicodeDecodeError:
        raise UnreadableAnnotationError(path, "a binary file, or text that is not UTF-8", _QUPATH) from None
    except (ValueError, RecursionError) as error:
        raise UnreadableAnnotationError(path, f"the file is damaged or no JSON ({error})", _QUPATH) from None
    shapes = []
    for number, feature in enumerate(_features(path, content), 1):
        shape = _shape(path, number, feature, repairs, default_class)
        if shape is not None:
            shapes.append(shape)
    return shapes


def _compact(found: dict[str, Any]) -> dict[str, Any]:
    """Turn a polygon's places into arrays as soon as it is read: as lists they take ten times the memory."""
    try:
        if found.get("type") == "Polygon":
            found["coordinates"] = _rings(found["coordinates"])
        elif found.get("type") == "MultiPolygon":
            found["coordinates"] = [_rings(polygon) for polygon in found["coordinates"]]
    except KeyError:
        found["coordinates"] = _NoGeometry("it has none")
    except (ValueError, TypeError) as error:
        found["coordinates"] = _NoGeometry(str(error))
    return found


def _rings(polygon: Any) -> list[Ring]:
    if not isinstance(polygon, list):
        raise ValueError("a polygon is a list of rings")
    return [ring_of(ring) for ring in polygon]


def _features(path: Path, content: Any) -> list[Any]:
    """The features of whatever stands at the top of the file."""
    if isinstance(content, list):
        return content
    if isinstance(content, dict):
        kind = content.get("type")
        if kind == "FeatureCollection" and isinstance(content.get("features"), list):
            return list(content["features"])
        if kind == "Feature":
            return [content]
        if kind in ("Polygon", "MultiPolygon", "GeometryCollection"):
            return [{"type": "Feature", "geometry": content}]
    raise UnreadableAnnotationError(path, "the file is JSON, but no GeoJSON of features", _QUPATH)


def _shape(path: Path, number: int, feature: Any, repairs: Repairs, default_class: str) -> DrawnShape | None:
    """The area of a feature; None where it has none, which is said."""
    if not isinstance(feature, dict):
        raise UnreadableAnnotationError(path, f"item {number} of the file is no feature", _QUPATH)
    properties = feature.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    name = _text(properties.get("name"))
    try:
        parts = _parts(feature.get("geometry"), 0)
    except _NoGeometry as error:
        raise UnreadableAnnotationError(path, f"{called(number, name)}: {error}", _QUPATH) from None
    if not parts:
        repairs.note("left out, no areas", f"{called(number, name)}: is {_kind(feature)}, no area: left out")
        return None
    _tell_open_rings(called(number, name), parts, repairs)
    return DrawnShape(number, name, _class_of(properties) or default_class, tuple(parts))


def _kind(feature: dict[str, Any]) -> str:
    geometry = feature.get("geometry")
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    return f"a {kind.lower()}" if isinstance(kind, str) else "without a geometry"


def _class_of(properties: dict[str, Any]) -> str:
    """Name of the class, empty where there is none."""
    found = properties.get("classification")
    if isinstance(found, dict):
        names = found.get("names")
        if isinstance(names, list) and names:
            return ": ".join(_text(name) for name in names)  # as QuPath shows derived classes
        found = found.get("name")
    return _text(found)


def _text(found: Any) -> str:
    return found.strip() if isinstance(found, str) else ""


def _parts(geometry: Any, depth: int) -> list[DrawnPart]:
    """Areas of a geometry; _NoGeometry where it is not written as one."""
    if geometry is None:
        return []
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind in _NO_AREA:
        return []
    if kind == "GeometryCollection":
        within = geometry.get("geometries")
        if depth >= MAX_DEPTH or not isinstance(within, list):
            raise _NoGeometry("its geometry collection is not as GeoJSON has them")
        return [part for one in within for part in _parts(one, depth + 1)]
    if kind not in ("Polygon", "MultiPolygon"):
        raise _NoGeometry("its geometry is none that GeoJSON knows")
    coordinates = geometry["coordinates"]
    if isinstance(coordinates, _NoGeometry):
        raise _NoGeometry(f"its coordinates are not those of a polygon ({coordinates})")
    polygons = [coordinates] if kind == "Polygon" else coordinates
    return [DrawnPart(rings[0], tuple(rings[1:])) for rings in polygons if rings]


def _tell_open_rings(who: str, parts: list[DrawnPart], repairs: Repairs) -> None:
    """Say which rings do not end where they begin, as GeoJSON asks."""
    for part in parts:
        for ring in (part.outer, *part.holes):
            if len(ring) and (ring[0, 0] != ring[-1, 0] or ring[0, 1] != ring[-1, 1]) and np.isfinite(ring).all():
                gap = float(np.hypot(*(ring[0] - ring[-1])))
                repairs.note("open outlines", f"{who}: its outline was open by {gap:.1f} px: closed by a straight line")
