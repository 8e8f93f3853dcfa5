"""A phantom's truth as records, so that it is drawn by the same code as what a method finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellClass, CellCounts, CellKind, MembraneMeasure, StainCuts
from her2scope.overlays.model import LegendEntry, OverlaySelection, legend_entries
from her2scope.overlays.palette import EDGE_LABEL, Palette
from her2scope.records import Cell, FieldResult, Frame, ProgramInfo, QualityReport, RgbImage, StainSummary

TRUTH_LAYERS = OverlaySelection(membranes=False, cells=True, outlines=True)
NOT_COUNTED_LABEL = "Not counted: at the edge, or its nucleus not seen"
_PROGRAM = ProgramInfo("", "phantom truth", "", "", "")


def truth_cells(truth: Mapping[str, Any], left_px: int = 0, top_px: int = 0) -> tuple[Cell, ...]:
    """Cells of a truth, in pixels of a part of its field whose corner is given; all of them, also those outside."""
    return tuple(_cell(entry, np.array([left_px, top_px], np.float32)) for entry in truth["cells"])


def truth_result(rgb: RgbImage, um_per_px: float, cells: Sequence[Cell]) -> FieldResult:
    """The record that the overlays take: a picture with its true cells, and nothing measured."""
    return FieldResult(
        frame=Frame(rgb, 0, 0.0, um_per_px),
        quality=QualityReport(True, (), (), 0.0, 0.0, 0.0),
        cells=tuple(cells),
        membrane=np.zeros(rgb.shape[:2], np.uint8),
        cuts=StainCuts(),
        counts=CellCounts.of(cell.cell_class for cell in cells if not cell.edge),
        finding=None,
        stain=StainSummary(0.0, 0.0, 0.0, 0.0),
        curve=(),
        white_rgb=(255.0, 255.0, 255.0),
        white_estimated=True,
        program=_PROGRAM,
    )


def truth_legend(palette: Palette) -> tuple[LegendEntry, ...]:
    """What the marks over a phantom mean."""
    return tuple(
        replace(entry, words=NOT_COUNTED_LABEL) if entry.words == EDGE_LABEL else entry
        for entry in legend_entries(palette, None)
    )


def _cell(entry: Mapping[str, Any], corner_px: NDArray[np.float32]) -> Cell:
    name, outline = entry["class"], np.asarray(entry.get("outline_px", ()), np.float32).reshape(-1, 2)
    return Cell(
        x_px=float(entry["x_px"] - corner_px[0]),
        y_px=float(entry["y_px"] - corner_px[1]),
        nucleus_radius_um=float(entry.get("nucleus_radius_um", 0.0)),
        kind=CellKind(entry["kind"]),
        # A cell whose nucleus cannot be seen is not counted either, and what is not counted is drawn alike.
        edge=bool(entry.get("edge", False) or not entry["visible"]),
        measure=MembraneMeasure(
            float(entry.get("completeness", 0.0)), float(entry.get("intensity_od10", 0.0)), intense_share=0.0
        ),
        outline_xy_px=outline - corner_px,
        cell_class=None if name is None else CellClass(name),
    )
