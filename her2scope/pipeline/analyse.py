"""Frame -> FieldResult: quality gate, stains, cells, shares, score of the field. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock

import numpy as np

from her2scope import __version__
from her2scope.domain.cells import CellCounts, StainCuts
from her2scope.domain.control import cuts_within
from her2scope.domain.errors import SettingsError
from her2scope.domain.guideline import Finding, guideline
from her2scope.domain.score import TooFewCells, find_score
from her2scope.imaging.quality import check_quality, clear_white, white_drift
from her2scope.imaging.staining import SATURATION_LEVELS, characteristic_curve, summarise_staining
from her2scope.imaging.stains import estimate_white, unmix
from her2scope.imaging.workers import Workers
from her2scope.pipeline.plausibility import scale_doubt, state_doubts
from her2scope.pipeline.region_gate import RegionGate
from her2scope.ports import Segmenter
from her2scope.records import (
    Cell,
    FieldResult,
    Frame,
    Mask,
    ProgramInfo,
    QualityReport,
    Segmentation,
    StainImage,
    StainSummary,
    class_counts,
)
from her2scope.settings import Calibration, ScoringSettings, Vector

NO_PROVIDER = "none"
DRIFT = "drift"
"""What a doubt begins with that says that lamp or camera are no longer as they were calibrated."""
UNFIT_FOR_MODEL = "unfit_for_region_model"
"""Quality code of a frame whose scale or size the region model cannot serve."""


class FieldAnalyser:
    """One method with its settings and calibration; `analyse` has no state and may be called from any thread.

    Parameters
    ----------
    gate : the region model of `settings.where_to_count`; without it such a case can be looked at, and nothing is read
    """

    def __init__(
        self,
        segmenter: Segmenter,
        settings: ScoringSettings,
        calibration: Calibration,
        workers: Workers | None = None,
        gate: RegionGate | None = None,
    ) -> None:
        self.segmenter, self.settings, self.calibration, self.gate = segmenter, settings, calibration, gate
        self._workers = workers or Workers(1)
        self._segmenting = Lock()  # a segmenter is one thread's at a time
        self.guideline = guideline(settings.guideline)

    @property
    def default_cuts(self) -> StainCuts:
        """Cuts of the settings on the lab's own scale, as the method uses them: in force until a control is read."""
        return self.segmenter.default_cuts(cuts_within(self.settings.cuts, self.settings.control))

    def analyse(
        self, frame: Frame, cuts: StainCuts, speed_um_per_s: float = 0.0, *, everywhere: bool = False
    ) -> FieldResult:
        """Analyse a frame with the case's cuts; a frame that fails the quality gate has no cells and no score.

        Parameters
        ----------
        everywhere : the region model is not asked: a control is read whole

        Raises
        ------
        SettingsError
            If the case counts where a region model says, which is not loaded.
        """
        gate = None if everywhere else self._loaded_gate()
        timings_ms: dict[str, float] = {}
        with _timed(timings_ms, "stains and quality"):
            own_white = estimate_white(frame.rgb)
            with self._workers.beside(lambda: self._check(frame, own_white, speed_um_per_s)) as check:
                # what needs no cells fills the time of the check, though a frame that it refuses has no use for it
                stains = unmix(frame.rgb, frame.um_per_px, self.calibration, own_white)
                curve = characteristic_curve(frame.rgb, stains, cuts.stained_od10)
                clear = clear_white(frame.rgb)
                quality = _for_gate(check(), gate, frame)
        if not quality.usable:
            return self._unusable(frame, quality, stains, cuts, timings_ms)
        with self._segmenting, _timed(timings_ms, "cells"):
            found = self.segmenter.segment(frame, stains, cuts)
        with _timed(timings_ms, "staining"):
            summary = summarise_staining(stains, found.cells)
        outside = None
        if gate is not None:
            with _timed(timings_ms, "where to count"):
                cells, outside = gate.apply(frame, found.cells)
            found = replace(found, cells=cells)
        return self._usable(frame, quality, stains, cuts, found, summary, curve, clear, timings_ms, outside)

    def _loaded_gate(self) -> RegionGate | None:
        where = self.settings.where_to_count
        if where is not None and (self.gate is None or self.gate.where != where):
            raise SettingsError(
                f"cells are counted where the region model {where.model} ({where.model_sha256[:12]}) says, and it is "
                f"not loaded: start with --region-model and its folder."
            )
        return self.gate

    def _check(self, frame: Frame, own_white: Vector, speed_um_per_s: float) -> QualityReport:
        """The quality gate, by the picture's own white: a calibrated one would hide a dark picture."""
        return check_quality(frame.rgb, frame.um_per_px, min(own_white), self.settings.quality, speed_um_per_s)

    def find(self, counts: CellCounts, um_per_px: float) -> Finding | TooFewCells:
        """Score of one field's cells by the guideline, at the field's scale."""
        rates, least = self.segmenter.false_rates, self.settings.min_field_cells
        return find_score(counts, self.guideline, rates, um_per_px, least)

    def program(self, provider: str = NO_PROVIDER) -> ProgramInfo:
        """Version, method and model that results are made with."""
        segmenter = self.segmenter
        return ProgramInfo(__version__, segmenter.method, segmenter.model_name, segmenter.model_sha256, provider)

    def _usable(
        self,
        frame: Frame,
        quality: QualityReport,
        stains: StainImage,
        cuts: StainCuts,
        found: Segmentation,
        summary: StainSummary,
        curve: tuple[float, ...],
        white: Vector | None,
        timings_ms: dict[str, float],
        outside: Mask | None,
    ) -> FieldResult:
        counts = class_counts(cell for cell in found.cells if cell.is_countable)
        return FieldResult(
            frame=frame, quality=quality, cells=_as_kept(found.cells), membrane=found.membrane,
            cuts=cuts, counts=counts,
            finding=self.find(counts, frame.um_per_px), stain=summary, curve=curve, white_rgb=stains.white_rgb,
            white_estimated=stains.white_estimated, program=self.program(found.provider),
            doubts=(
                *self.segmenter.doubts(summary),
                *self._drift(white),
                *state_doubts(frame.camera, self.calibration),
                *scale_doubt(found.cells, self.segmenter.nuclear_width_um, frame.camera.objective),
            ),
            timings_ms=timings_ms,
            clear_white_rgb=white,
            profiles=found.profiles,
            outside=outside,
        )  # fmt: skip

    def _drift(self, white: Vector | None) -> tuple[str, ...]:
        """Whether the picture's clear areas are another white than the calibrated one."""
        reference = self.calibration.white_rgb
        drift = white_drift(white, reference) if white is not None and reference is not None else 0.0
        if drift <= self.settings.quality.max_white_drift:
            return ()
        return (f"{DRIFT}: the white differs by {100 * drift:.0f} % from the calibrated one; check lamp and exposure",)

    def _unusable(
        self, frame: Frame, quality: QualityReport, stains: StainImage, cuts: StainCuts, timings_ms: dict[str, float]
    ) -> FieldResult:
        return FieldResult(
            frame=frame, quality=quality, cells=(), membrane=np.zeros(frame.size_hw, np.uint8), cuts=cuts,
            counts=CellCounts(), finding=None, stain=StainSummary(0.0, 0.0, 0.0, 0.0),
            curve=(0.0,) * len(SATURATION_LEVELS), white_rgb=stains.white_rgb,
            white_estimated=stains.white_estimated, program=self.program(), timings_ms=timings_ms,
        )  # fmt: skip


def _for_gate(quality: QualityReport, gate: RegionGate | None, frame: Frame) -> QualityReport:
    """The quality of a frame, of which the region model must be able to say something."""
    refusal = gate.refusal(frame.um_per_px, frame.size_hw) if gate is not None else ""
    if not refusal:
        return quality
    return replace(quality, usable=False, codes=(*quality.codes, UNFIT_FOR_MODEL), reasons=(*quality.reasons, refusal))


OUTLINE_DIGITS = 2
"""Decimals of a pixel to which an outline is kept."""


def _as_kept(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Cells with their outlines as they are stored, so that the report of a stored case is that of the live one.

    All outlines are rounded in one go, and no cell by `replace`: that would hold Python's lock three times as long.
    """
    if not cells:
        return ()
    rounded = np.concatenate([cell.outline_xy_px for cell in cells]).round(OUTLINE_DIGITS)
    ends = np.cumsum([len(cell.outline_xy_px) for cell in cells]).tolist()
    return tuple(
        Cell(
            cell.x_px, cell.y_px, cell.nucleus_radius_um, cell.kind, cell.edge, cell.measure,
            rounded[start:end], cell.cell_class, cell.within,
        )
        for cell, start, end in zip(cells, [0, *ends], ends, strict=False)
    )  # fmt: skip


@contextmanager
def _timed(timings_ms: dict[str, float], stage: str) -> Iterator[None]:
    """Time that passed: stages follow one another, however many threads share the work of each."""
    start_s = time.perf_counter()
    yield
    timings_ms[stage] = 1000 * (time.perf_counter() - start_s)
