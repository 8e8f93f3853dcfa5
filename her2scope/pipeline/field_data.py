"""A field's analysis as JSON values and back, so that a case can be rebuilt from what was stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellClass, CellKind, MembraneMeasure, StainCuts
from her2scope.domain.guideline import Category, Finding
from her2scope.domain.score import TooFewCells
from her2scope.imaging.kept_profiles import profile_image, profiles_of_image
from her2scope.records import (
    CameraState,
    Cell,
    FieldResult,
    Frame,
    Overlap,
    ProgramInfo,
    QualityReport,
    RgbImage,
    StainSummary,
    class_counts,
    image_digest,
)


def field_to_data(result: FieldResult) -> dict[str, Any]:
    """JSON values of an analysis; its images (`field_images`) are named by digest."""
    frame = result.frame
    kept, outside = _profile_images(result), result.outside
    return {
        "image": image_digest(frame.rgb),
        "membrane": image_digest(result.membrane),
        "profiles": image_digest(kept[0]) if kept else None,
        "frame": {
            "index": frame.index,
            "um_per_px": frame.um_per_px,
            "name": frame.name,
            "stage_um": list(frame.stage_um) if frame.stage_um else None,
            "camera": asdict(frame.camera),
        },
        "quality": asdict(result.quality),
        "cells": [_cell_to_data(cell) for cell in result.cells],
        "cuts": asdict(result.cuts),
        "finding": _finding_to_data(result.finding),
        "stain": asdict(result.stain),
        "curve": list(result.curve),
        "white_rgb": list(result.white_rgb),
        "white_estimated": result.white_estimated,
        "program": asdict(result.program),
        "doubts": list(result.doubts),
        "clear_white_rgb": list(result.clear_white_rgb) if result.clear_white_rgb else None,
        **({} if outside is None else {"outside": image_digest(outside)}),
    }


def field_images(result: FieldResult) -> list[NDArray[np.uint8]]:
    """The images of an analysis that are stored beside its values."""
    outside = [] if result.outside is None else [result.outside]
    return [result.frame.rgb, result.membrane, *_profile_images(result), *outside]


def _profile_images(result: FieldResult) -> list[NDArray[np.uint8]]:
    return [] if result.profiles is None else [profile_image(result.profiles)]


def field_from_data(
    data: Mapping[str, Any],
    rgb: RgbImage,
    membrane: NDArray[np.uint8],
    profiles: NDArray[np.uint8] | None = None,
    outside: NDArray[np.uint8] | None = None,
) -> FieldResult:
    """The analysis that `field_to_data` wrote, with its images; ValueError where they do not belong together.

    `profiles` is named in `data` too, absent or None where none were kept and in cases of earlier versions; `outside`
    is named where a region model said where to count.
    """
    cells = tuple(_cell_from_data(item, data["program"]["method"]) for item in data["cells"])
    kept = None if profiles is None else profiles_of_image(profiles)
    n_tumour = sum(cell.kind is CellKind.TUMOUR for cell in cells)
    if kept is not None and len(kept.spacing_um) != n_tumour:
        raise ValueError(f"profiles of {len(kept.spacing_um)} cells for a field of {n_tumour} tumour cells")
    stored = data["frame"]
    stage = stored["stage_um"]
    frame = Frame(
        rgb=rgb, index=stored["index"], captured_s=0.0, um_per_px=stored["um_per_px"],
        camera=CameraState(**stored["camera"]), name=stored["name"],
        stage_um=(stage[0], stage[1]) if stage else None,
    )  # fmt: skip
    stored_quality = data["quality"]
    quality = QualityReport(
        **{**stored_quality, "codes": tuple(stored_quality["codes"]), "reasons": tuple(stored_quality["reasons"])}
    )
    red, green, blue = data["white_rgb"]
    clear = data.get("clear_white_rgb")  # absent in cases of earlier versions
    return FieldResult(
        frame=frame, quality=quality, cells=cells, membrane=membrane,
        cuts=StainCuts(**data["cuts"]),
        counts=class_counts(cell for cell in cells if cell.is_countable),
        finding=_finding_from_data(data["finding"]), stain=StainSummary(**data["stain"]),
        curve=tuple(data["curve"]), white_rgb=(red, green, blue), white_estimated=data["white_estimated"],
        program=ProgramInfo(**data["program"]), doubts=tuple(data["doubts"]),
        clear_white_rgb=(clear[0], clear[1], clear[2]) if clear else None, profiles=kept,
        outside=outside,
    )  # fmt: skip


def overlap_to_data(overlap: Overlap) -> dict[str, Any]:
    """JSON values of an overlap."""
    return asdict(overlap)


def _cell_to_data(cell: Cell) -> list[Any]:
    """A row: short, since a case has thousands."""
    measure = cell.measure
    return [
        cell.x_px, cell.y_px, cell.nucleus_radius_um, cell.kind.value, cell.edge,
        measure.completeness, measure.intensity_od10, measure.intense_share,
        cell.cell_class.value if cell.cell_class else None,
        _as_decimals(cell.outline_xy_px), *_without_last([measure.uniform_od10, cell.within, measure.uncertain]),
    ]  # fmt: skip


def _without_last(later: list[Any]) -> list[Any]:
    """These without the last ones that a row need not tell."""
    n = len(later)
    while n > 1 and later[n - 1] == _LATER[n - 1]:
        n -= 1
    return later[:n]


def _as_decimals(xy_px: NDArray[np.float32]) -> list[Any]:
    """Places to 0.01 px, each as the shortest text that gives the same 32-bit number back.

    As they are, 123.46 is written 123.45999908447266: an event would be twice as long.
    """
    rows: list[Any] = xy_px.round(2).astype(np.float64).round(2).tolist()
    return rows


_LATER: list[Any] = [0.0, True, True]
"""What a row of an earlier version does not tell, and others only where it is otherwise: `uniform_od10`, `within`, and
whether stain is `uncertain`."""
DOUBTLESS = "closed-contours"
"""This method knows no probability: none of its cells is in doubt, whatever an earlier version's row leaves out."""


def _cell_from_data(row: list[Any], method: str) -> Cell:
    """A cell of its row, by the method that read it."""
    x_px, y_px, radius_um, kind, edge, completeness, intensity, intense_share, name, outline, *later = row
    uniform_od10, within, uncertain = [*later, *_LATER[len(later) :]]
    uncertain = uncertain and method != DOUBTLESS
    measure = MembraneMeasure(completeness, intensity, intense_share, uniform_od10, uncertain)
    return Cell(
        x_px, y_px, radius_um, CellKind(kind), edge, measure,
        np.array(outline, dtype=np.float32).reshape(-1, 2), CellClass(name) if name else None,
        within,
    )  # fmt: skip


def _finding_to_data(finding: Finding | TooFewCells | None) -> dict[str, Any] | None:
    if finding is None:
        return None
    return asdict(finding)


def _finding_from_data(data: Mapping[str, Any] | None) -> Finding | TooFewCells | None:
    if data is None:
        return None
    if "needed" in data:
        return TooFewCells(**data)
    return Finding(data["score"], Category(data["category"]), tuple(data["reasons"]))
