"""Small slides with known cells, for the tests of what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import factories
import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellClass, StainCuts
from her2scope.domain.control import CutsFrom
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.guideline import BREAST_2023
from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.ports import SlideLevel
from her2scope.records import RgbImage
from her2scope.slides.records import (
    CLASS_CODES,
    NO_CLASS,
    OUTLINE_PLACES,
    SlideCells,
    SlideScale,
    SlideScore,
    Square,
    Survey,
    TissueMap,
)
from her2scope.slides.slide_maps import STAINING_SCALE, heat_map, tissue_map
from her2scope.slides.slide_places import places_to_show
from her2scope.slides.slide_score import Controlled, Rules, score_slide
from her2scope.slides.slide_words import SlideContent

RULES = Rules(BREAST_2023, FalseRates(), 100, "cd" * 32)
VALID = Controlled((factories.control_reading(),), factories.VALID, StainCuts(0.1, 0.31, 0.62), CutsFrom.CONTROL)
ABSENT = Controlled((), ControlStanding(), StainCuts(), CutsFrom.SETTINGS)
INVALID = Controlled(
    (factories.control_reading(ControlStatus.INVALID, ["DAB too weak"]),),
    ControlStanding(ControlStatus.INVALID),
    StainCuts(),
    CutsFrom.SETTINGS,
)
RADIUS_UM = 5.0
SQUARE_UM = 64.0


class PlainSlide:
    """A `ports.SlideReader` of one colour, of any size."""

    def __init__(self, size_wh: tuple[int, int], um_per_px: float | None = 0.25) -> None:
        self.um_per_px = um_per_px
        self.levels = (SlideLevel(*size_wh, 1.0),)

    def region(self, level: int, left_px: int, top_px: int, width_px: int, height_px: int) -> RgbImage:
        return np.full((height_px, width_px, 3), 225, np.uint8)

    def close(self) -> None:
        pass


class ArraySlide:
    """A `ports.SlideReader` over one array."""

    def __init__(self, rgb: RgbImage, um_per_px: float | None = 0.25) -> None:
        self._rgb, self.um_per_px = rgb, um_per_px
        self.levels = (SlideLevel(rgb.shape[1], rgb.shape[0], 1.0),)

    def region(self, level: int, left_px: int, top_px: int, width_px: int, height_px: int) -> RgbImage:
        found = np.full((height_px, width_px, 3), 255, np.uint8)
        left, top = max(0, left_px), max(0, top_px)
        part = self._rgb[top : max(top, top_px + height_px), left : max(left, left_px + width_px)]
        found[top - top_px :, left - left_px :][: part.shape[0], : part.shape[1]] = part
        return found

    def close(self) -> None:
        pass


def cells_of(
    classes: Sequence[CellClass | None],
    x_um: Sequence[float] | NDArray[np.float64],
    y_um: Sequence[float] | NDArray[np.float64],
    within: Sequence[bool] | None = None,
) -> SlideCells:
    """Round cells of these classes (None: no tumour) at these places."""
    n = len(classes)
    turns = np.linspace(0, 2 * np.pi, OUTLINE_PLACES, endpoint=False)
    ring = RADIUS_UM * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    measures = [factories.MEASURES[name or CellClass.NONE] for name in classes]
    return SlideCells(
        x_um=np.asarray(x_um, np.float64).reshape(n),
        y_um=np.asarray(y_um, np.float64).reshape(n),
        radius_um=np.full(n, 3.0, np.float32),
        class_code=np.array([NO_CLASS if name is None else CLASS_CODES.index(name) for name in classes], np.uint8),
        completeness=np.array([one.completeness for one in measures], np.float32),
        intensity_od10=np.array([one.intensity_od10 for one in measures], np.float32),
        intense_share=np.array([one.intense_share for one in measures], np.float32),
        uniform_od10=np.array([one.uniform_od10 for one in measures], np.float32),
        uncertain=np.array([one.uncertain for one in measures], np.bool_),
        within=np.ones(n, np.bool_) if within is None else np.array(within, np.bool_),
        outline_um=np.tile(ring, (n, 1, 1)).astype(np.float16),
    )


def spread_cells(counts: Mapping[CellClass | None, int], size_um: tuple[float, float], seed: int = 0) -> SlideCells:
    """So many cells of each class at places drawn by lot."""
    rng = np.random.default_rng(seed)
    classes = [name for name, n in counts.items() for _ in range(n)]
    rng.shuffle(classes)
    places = rng.uniform((0, 0), size_um, (len(classes), 2))
    return cells_of(classes, places[:, 0], places[:, 1])


def survey_of(
    size_um: tuple[float, float] = (2000.0, 1500.0),
    um_per_px: float = 0.25,
    squares: NDArray[np.uint8] | None = None,
    path: Path = Path("case7.svs"),
    **more: Any,
) -> Survey:
    """A slide that is all tissue, but for what `squares` say."""
    shape = (int(np.ceil(size_um[1] / SQUARE_UM)), int(np.ceil(size_um[0] / SQUARE_UM)))
    squares = np.full(shape, Square.TISSUE, np.uint8) if squares is None else squares
    overview_um = 8.0
    overview = np.full((int(size_um[1] / overview_um), int(size_um[0] / overview_um), 3), 215, np.uint8)
    scale = SlideScale(0, 1.0, um_per_px, round(size_um[0] / um_per_px), round(size_um[1] / um_per_px))
    return Survey(
        path, scale, (240.0, 241.0, 242.0), True, TissueMap(SQUARE_UM, squares), overview, overview_um, **more
    )


def scored(
    counts: Mapping[CellClass | None, int],
    controlled: Controlled = VALID,
    survey: Survey | None = None,
    cells: SlideCells | None = None,
    **more: Any,
) -> tuple[SlideScore, SlideCells]:
    """A slide with so many cells of each class, and its score."""
    survey = survey or survey_of()
    size_um = (survey.scale.width_px * survey.scale.um_per_px, survey.scale.height_px * survey.scale.um_per_px)
    cells = spread_cells(counts, size_um) if cells is None else cells
    return score_slide(survey, cells, controlled, RULES, factories.PROGRAM, 12, **more), cells


def plain_slide(survey: Survey) -> PlainSlide:
    """A slide of one colour, of a survey's size."""
    return PlainSlide((survey.scale.width_px, survey.scale.height_px), survey.scale.um_per_px)


def content_of(score: SlideScore, cells: SlideCells) -> SlideContent:
    """What the report of a slide shows."""
    has_cells = bool(score.squares)
    return SlideContent(
        score,
        "ef" * 32,
        tuple(places_to_show(score, cells, plain_slide(score.survey), "srgb")) if has_cells else (),
        heat_map(score, cells) if has_cells else None,
        heat_map(score, cells, STAINING_SCALE) if has_cells else None,
        tissue_map(score),
        {"guideline": "breast-2023"},
        {"name": "scanner"},
    )
