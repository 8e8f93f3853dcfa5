"""The cells of each field for QuPath: one GeoJSON file for one picture, as QuPath 0.4 and later read and write it.

QuPath imports objects into the image that is open, so each field gets a file of its own, and its picture beside it.
QuPath counts places from the upper left corner of a picture; here whole numbers are the middles of pixels, hence the
half that is added.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import SHARE_ORDER, CellKind
from her2scope.domain.corrections import CellStanding, Correction
from her2scope.domain.regions import Region
from her2scope.imaging.files import encode_png
from her2scope.overlays.model import marks_in_case
from her2scope.overlays.palette import REGION_COLOURS, REGION_LABELS, SAFE, Palette, Rgb
from her2scope.ports import JsonObject
from her2scope.records import AcceptedField, Cell, ReportContent
from her2scope.reporting.cell_standing import as_read, corrections, polygon_px, standings
from her2scope.reporting.json_parts import MEASURE_DIGITS, PX_DIGITS, rounded
from her2scope.reporting.region_marks import regions_on
from her2scope.reporting.words import clean, disclaimer

OTHER_CLASS = "other"
NOT_COUNTED = " (not counted)"
"""After the class of a tumour cell that the case leaves out: QuPath counts by class."""
NUCLEUS_CORNERS = 24
FIELD_COLOUR: Rgb = (90, 95, 102)


def geojson_files(content: ReportContent, palette: Palette = SAFE) -> Mapping[str, bytes]:
    """File names with their bytes: cells and picture of each active field."""
    files = {}
    for item in content.case.active_fields:
        stem = f"report-field-{item.number:03}"
        files[f"{stem}.geojson"] = _json_bytes(field_geojson(content, item, palette))
        files[f"{stem}.png"] = encode_png(item.result.frame.rgb)
    return files


def field_geojson(content: ReportContent, item: AcceptedField, palette: Palette = SAFE) -> JsonObject:
    """A field as a GeoJSON FeatureCollection: the picture's frame, the regions that the reader outlined, the cells."""
    case_id = content.case.case_id
    features = [_field(item), *_regions(item, content.case.regions), *_cells(item, palette)]
    for place, feature in enumerate(features):
        feature["id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"her2scope:{case_id}/{item.number}/{place}"))
    height, width = item.result.frame.size_hw
    return {
        "type": "FeatureCollection",
        "features": features,
        "her2scope": {
            "case_id": case_id,
            "version": content.case.sign_off.version,
            "state": content.case.sign_off.status.value,
            "field": item.number,
            "image": item.result.frame.name,
            "width_px": width,
            "height_px": height,
            "um_per_px": item.result.frame.um_per_px,
            "disclaimer": disclaimer(content),
        },
    }


def _json_bytes(data: JsonObject) -> bytes:
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return (text + "\n").encode("utf-8", errors="replace")


# ---- annotations --------------------------------------------------------------------------------------------------


def _field(item: AcceptedField) -> JsonObject:
    """The whole picture, with the field's own figures."""
    height, width = item.result.frame.size_hw
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float64)
    shares = item.result.counts.shares_percent() or {}
    figures = {f"{name.value} %": rounded(shares[name], MEASURE_DIGITS) for name in SHARE_ORDER if name in shares}
    figures |= {"Tumour cells counted": item.counts.n_tumour, "Other cells": item.counts.n_other}
    name = f"Field {item.number}: {item.result.score or 'no score'}"
    return _feature(_polygon(corners), "annotation", name, "HER2 field", FIELD_COLOUR, figures)


def _regions(item: AcceptedField, regions: Sequence[Region]) -> Iterator[JsonObject]:
    if item.place is None:
        return
    for region in regions_on(item, regions):
        corners = polygon_px(region.polygon_um, item.result, item.place) + 0.5
        name = f"Region {region.number}. {clean(region.note)}".rstrip(". ")
        metadata = {"region": str(region.number), "kind": region.kind.value}
        label, colour = REGION_LABELS[region.kind], REGION_COLOURS[region.kind]
        yield _feature(_polygon(corners), "annotation", name, label, colour, {}, metadata)


# ---- cells --------------------------------------------------------------------------------------------------------


def _cells(item: AcceptedField, palette: Palette) -> Iterator[JsonObject]:
    rows = zip(
        item.result.cells, as_read(item).cells, corrections(item), standings(item), marks_in_case(item, palette),
        strict=True,
    )  # fmt: skip
    for number, (cell, read, correction, standing, mark) in enumerate(rows, start=1):
        nucleus = _circle(cell, item.result.frame.um_per_px)
        has_outline = len(cell.outline_xy_px) >= 3
        shape = _polygon(np.asarray(cell.outline_xy_px, np.float64) + 0.5) if has_outline else nucleus
        feature = _feature(
            shape, "cell", f"Cell {number}", _class(cell, standing), mark.colour, _measurements(cell, standing),
            _metadata(item.number, number, read, correction, standing, cell.is_uncertain_faint),
        )  # fmt: skip
        if has_outline:
            feature["nucleusGeometry"] = nucleus
        yield feature


def _class(cell: Cell, standing: CellStanding) -> str:
    if cell.kind is not CellKind.TUMOUR or cell.cell_class is None:
        return OTHER_CLASS
    return cell.cell_class.value + ("" if standing is CellStanding.COUNTED else NOT_COUNTED)


def _measurements(cell: Cell, standing: CellStanding) -> JsonObject:
    """By names that QuPath shows in its tables; the membrane's only of tumour cells."""
    tumour = cell.kind is CellKind.TUMOUR
    found: dict[str, float | int | None] = {"Nucleus: Radius \u00b5m": rounded(cell.nucleus_radius_um, PX_DIGITS)}
    if tumour:
        found["Membrane: Completeness"] = rounded(cell.measure.completeness, MEASURE_DIGITS)
        found["Membrane: Intense share"] = rounded(cell.measure.intense_share, MEASURE_DIGITS)
        found["Membrane: DAB OD median"] = rounded(cell.measure.intensity_od10, MEASURE_DIGITS)
    found["Counted"] = int(tumour and standing is CellStanding.COUNTED)
    return found


def _metadata(
    field: int, number: int, read: Cell, correction: Correction | None, standing: CellStanding, is_uncertain: bool
) -> dict[str, str]:
    """Our own ids and the reader's hand, as texts: QuPath takes nothing else there."""
    return {
        "field": str(field),
        "cell": str(number),
        "standing": standing.value,
        "class_as_read": OTHER_CLASS if read.cell_class is None else read.cell_class.value,
        **({} if correction is None else {"correction": correction.value}),
        **({"uncertain": "true"} if is_uncertain else {}),
    }


# ---- shapes -------------------------------------------------------------------------------------------------------


def _circle(cell: Cell, um_per_px: float) -> JsonObject:
    turns = np.linspace(0, 2 * np.pi, NUCLEUS_CORNERS, endpoint=False)
    radius_px = cell.nucleus_radius_um / um_per_px
    centre = np.array([cell.x_px, cell.y_px]) + 0.5
    return _polygon(centre + radius_px * np.stack([np.cos(turns), np.sin(turns)], axis=1))


def _polygon(corners: NDArray[np.float64]) -> JsonObject:
    """Closed ring, as GeoJSON asks."""
    ring = np.round(corners, PX_DIGITS).tolist()
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def _feature(
    shape: JsonObject,
    kind: str,
    name: str,
    class_name: str,
    colour: Rgb,
    measurements: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
) -> JsonObject:
    properties: JsonObject = {
        "objectType": kind,
        "name": name,
        "classification": {"name": class_name, "color": list(colour)},
        "isLocked": False,
        "measurements": dict(measurements),
    }
    if metadata:
        properties["metadata"] = dict(metadata)
    return {"type": "Feature", "id": "", "geometry": shape, "properties": properties}
