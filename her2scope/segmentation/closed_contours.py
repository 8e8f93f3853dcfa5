"""Cells from closed membrane contours: the reference method of Zhang, Wang and Wang (arXiv 2110.12900).

DAB above the weak cut is membrane. The innermost closed contours of that mask enclose cells with a complete membrane,
intense or weak by the control's cut. The mask dilated and filled encloses the cells with an incomplete membrane. The
remaining nuclei in the tissue have none. It has no notion of what a cell is beside that: cytoplasmic haze above the
weak cut is membrane to it, and every nucleus counts as tumour. The program and the report say so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellKind, CellRule, MembraneMeasure, StainCuts, classify
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.units import odd_px
from her2scope.imaging.opencv import cv2
from her2scope.imaging.outlines import (
    RayOutlines,
    covered_share,
    enclosed_regions,
    follow_membrane,
    outlines_of_labels,
    ring_places,
)
from her2scope.records import (
    FAINT,
    INTENSE,
    Cell,
    CellProfiles,
    Frame,
    Mask,
    Plane,
    Segmentation,
    StainImage,
    StainSummary,
)
from her2scope.segmentation.nuclei import Nuclei, find_nuclei
from her2scope.settings import ClosedContoursSettings

METHOD = "closed-contours"
PROVIDER = "CPUExecutionProvider"
WALL_HALF_UM = 0.8
"""Half the reach across an outline in which a wall's maximum is taken (membrane profile of design section 1)."""
MAX_OPEN_COMPLETENESS = 0.99
"""An open contour is never complete, however much of it is stained."""
MIN_CUT_CELLS = 50
"""Complete cells from which a cut may be taken: its low range is then at least five of them."""
HAZE_OF_MEMBRANE = 0.25
HAZE_MIN_OD10 = 0.08
"""Cytoplasm above this share of the membrane's od10 is haze. It is 0.03 to 0.2 on clean phantoms and on real fields
with crisp membranes, 0.28 to 0.33 on phantoms with background, 0.44 on diffusely brown real cytoplasm (read as 0)."""
RIM_UM = 1.0
"""How far outside its nucleus a cell is asked whether the dilated membrane reaches it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Masks:
    """The picture at working scale and the masks that the paper draws from it."""

    dab_od10: Plane
    wall_od10: Plane
    """Maximum of the DAB within reach across a wall."""
    stained: Mask
    intense: Mask
    um_per_px: float


class ClosedContours:
    """The paper's method behind the `Segmenter` port."""

    method = METHOD
    nuclear_width_um: tuple[float, float] | None = None
    model_name = "none"
    model_sha256 = ""

    def __init__(self, settings: ClosedContoursSettings, false_rates: FalseRates) -> None:
        self.settings, self.false_rates = settings, false_rates

    @property
    def rule(self) -> CellRule:
        """How much of an outline must be stained for each class."""
        return self.settings.rule

    def default_cuts(self, cuts: StainCuts) -> StainCuts:
        """The cuts of the settings: whatever is above the weak one is membrane."""
        return cuts

    def segment(self, frame: Frame, stains: StainImage, cuts: StainCuts) -> Segmentation:
        """Find, measure and classify the cells of one usable frame."""
        small, factor = _at_working_scale(stains, self.settings.working_um_per_px)
        masks = _masks(small, cuts, self.settings)
        nuclei = find_nuclei(small.haematoxylin_od10, small.dab_od10, small.um_per_px, self.settings)
        closed, taken = self._enclosed(masks, nuclei, cuts)
        open_cells = self._open(masks, nuclei, taken, cuts)
        cells = [_to_frame(cell, factor, frame.size_hw) for cell in (*closed, *open_cells)]
        return Segmentation(tuple(cells), _membrane_mask(stains, small, masks, frame.size_hw), PROVIDER)

    def measure_again(self, profiles: CellProfiles, cuts: StainCuts) -> tuple[MembraneMeasure, ...]:
        """Not to be asked: another cut draws other contours, so there is nothing to keep of a cell."""
        raise ValueError("closed contours keep no profiles: segment the frame again")

    def doubts(self, staining: StainSummary) -> tuple[str, ...]:
        """Haze: where the cytoplasm is nearly as brown as the walls, what was taken for membrane may be cytoplasm."""
        limit = max(HAZE_MIN_OD10, HAZE_OF_MEMBRANE * staining.membrane_od10)
        if staining.membrane_od10 == 0 or staining.background_od10 < limit:
            return ()
        haze, wall = staining.background_od10, staining.membrane_od10
        return (f"cytoplasm nearly as brown as membrane ({haze:.2f} of {wall:.2f} od10): thresholds cannot part them",)

    def control_cut(self, cells: Segmentation, cuts: StainCuts) -> float | None:
        """Minimum DAB of a 3+ control's complete membranes: mean of a low range of the cells, not one pixel."""
        complete = [
            cell.measure.intensity_od10
            for cell in cells.cells
            if not cell.edge and cell.cell_class is not None and cell.cell_class.is_complete
        ]
        if len(complete) < MIN_CUT_CELLS:
            return None
        values = np.array(complete)
        values = values[values >= self.settings.cut_least_of_median * np.median(values)]
        low, high = np.percentile(values, [self.settings.cut_low_percentile, self.settings.cut_high_percentile])
        return float(values[(values >= low) & (values <= high)].mean())

    def _enclosed(self, masks: _Masks, nuclei: Nuclei, cuts: StainCuts) -> tuple[list[Cell], NDArray[np.bool_]]:
        """Cells inside innermost closed contours, and which nuclei they hold."""
        owner = _innermost_contours(masks, cuts, self.settings)
        held = owner[nuclei.rows, nuclei.columns]
        min_empty_px = self.settings.min_empty_ring_um2 / masks.um_per_px**2
        cells, taken = [], np.zeros(len(nuclei.xy_px), dtype=bool)
        for number, outline in outlines_of_labels(owner):
            inside = np.flatnonzero(held == number)
            if len(inside) or cv2.contourArea(outline) >= min_empty_px:
                taken[inside] = True
                cells.append(self._enclosed_cell(masks, outline, nuclei, inside, cuts))
        return cells, taken

    def _enclosed_cell(
        self, masks: _Masks, hole: NDArray[np.int32], nuclei: Nuclei, inside: NDArray[np.intp], cuts: StainCuts
    ) -> Cell:
        """A cell whose membrane is closed: complete by definition, as strong as its own wall."""
        walls = masks.wall_od10[hole[:, 1], hole[:, 0]]
        measure = MembraneMeasure(1.0, float(np.median(walls)), float(np.mean(walls >= cuts.intense_od10)))
        if len(inside):
            best = inside[int(np.argmax(nuclei.strength[inside]))]
            (x, y), radius_um = nuclei.xy_px[best], float(nuclei.radius_um[best])
        else:  # a ring whose nucleus is not in the section
            x, y = hole.mean(axis=0)
            radius_um = 0.5 * float(np.sqrt(cv2.contourArea(hole) / np.pi)) * masks.um_per_px
        outline = cv2.approxPolyDP(hole.reshape(-1, 1, 2), 0.6, True).reshape(-1, 2).astype(np.float32)
        cell_class = classify(measure, cuts, self.settings.rule)
        return Cell(float(x), float(y), radius_um, CellKind.TUMOUR, False, measure, outline, cell_class)

    def _open(self, masks: _Masks, nuclei: Nuclei, taken: NDArray[np.bool_], cuts: StainCuts) -> list[Cell]:
        """Nuclei outside closed contours: incomplete inside the dilated and filled mask, else without membrane."""
        rest = np.flatnonzero(~taken)
        if not len(rest):
            return []
        filled = _dilated_and_filled(masks, self.settings)
        rim_px = (nuclei.radius_um + RIM_UM) / masks.um_per_px
        is_near = covered_share(filled, nuclei.xy_px, rim_px) >= self.settings.min_rim_share
        rays = follow_membrane(
            masks.wall_od10,
            nuclei.xy_px,
            nuclei.radius_um / masks.um_per_px,
            cuts.stained_od10,
            self.settings.reach_um / masks.um_per_px,
        )
        return [self._open_cell(nuclei, rays, int(i), bool(is_near[i]), cuts) for i in rest]

    def _open_cell(self, nuclei: Nuclei, rays: RayOutlines, i: int, is_near: bool, cuts: StainCuts) -> Cell:
        """A cell whose membrane is not closed, measured along rays from its nucleus."""
        hit = rays.hit[i] if is_near else np.zeros_like(rays.hit[i])
        walls = rays.wall_od10[i][hit]
        measure = MembraneMeasure(
            completeness=min(MAX_OPEN_COMPLETENESS, float(hit.mean())),
            intensity_od10=float(np.median(walls)) if len(walls) else 0.0,
            intense_share=float(np.sum(walls >= cuts.intense_od10) / hit.size),
        )
        (x, y), radius_um = nuclei.xy_px[i], float(nuclei.radius_um[i])
        outline = ring_places(nuclei.xy_px[i], rays.radius_px[i])
        cell_class = classify(measure, cuts, self.settings.rule)
        return Cell(float(x), float(y), radius_um, CellKind.TUMOUR, False, measure, outline, cell_class)


def _at_working_scale(stains: StainImage, working_um_per_px: float) -> tuple[StainImage, float]:
    """The stains reduced to working scale where they are finer, and the factor from working to frame pixels."""
    if stains.um_per_px >= 0.9 * working_um_per_px:
        return stains, 1.0
    ratio = stains.um_per_px / working_um_per_px
    height, width = stains.dab_od10.shape
    size_wh = (round(width * ratio), round(height * ratio))
    dab, haematoxylin = (
        cv2.resize(plane, size_wh, interpolation=cv2.INTER_AREA)
        for plane in (stains.dab_od10, stains.haematoxylin_od10)
    )
    um_per_px = stains.um_per_px * width / size_wh[0]
    return StainImage(dab, haematoxylin, um_per_px, stains.white_rgb, stains.white_estimated), width / size_wh[0]


def _masks(stains: StainImage, cuts: StainCuts, settings: ClosedContoursSettings) -> _Masks:
    """Weak and intense membrane masks: thresholds, gaps under 1 um bridged, specks dropped."""
    um_per_px = stains.um_per_px
    dab = cv2.GaussianBlur(stains.dab_od10, (0, 0), max(0.3, 0.15 / um_per_px))
    stained = (dab >= cuts.stained_od10).astype(np.uint8)
    stained = cv2.morphologyEx(stained, cv2.MORPH_CLOSE, _disc(settings.closing_um, um_per_px))
    stained = _without_specks(stained, settings.min_membrane_um2 / um_per_px**2)
    wall = cv2.dilate(dab * stained, _disc(2 * WALL_HALF_UM, um_per_px))
    intense = ((dab >= cuts.intense_od10) & (stained > 0)).astype(np.uint8)
    return _Masks(dab, wall, stained, intense, um_per_px)


def _disc(diameter_um: float, um_per_px: float) -> Mask:
    size = odd_px(diameter_um, um_per_px)
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)).astype(np.uint8)


def _without_specks(mask: Mask, min_area_px: float) -> Mask:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= min_area_px
    keep[0] = False
    return keep[labels].astype(np.uint8)


def _innermost_contours(masks: _Masks, cuts: StainCuts, settings: ClosedContoursSettings) -> NDArray[np.int32]:
    """Labels `(H, W)` of what the innermost closed contours enclose, 0 elsewhere.

    A contour closes at the weak cut, or, where haze fills the cell, at a higher level. It then rises with the level to
    the crest of its wall, as long as it stays closed, of a cell's size, and encloses no second one.
    """
    owner = np.zeros(masks.stained.shape, dtype=np.int32)
    low_px, high_px = settings.min_cell_um2 / masks.um_per_px**2, settings.max_cell_um2 / masks.um_per_px**2
    seeds = np.zeros(0, dtype=np.intp)  # one pixel (flat index) inside each contour found so far
    top_od10 = max(settings.highest_level_od10, cuts.intense_od10)
    for level_od10 in np.geomspace(cuts.stained_od10, top_od10, settings.n_levels):
        labels, fits = enclosed_regions(_above(masks, float(level_od10), settings), low_px, high_px)
        flat = labels.reshape(-1)
        n_seeds = np.bincount(flat[seeds], minlength=len(fits))
        last_pixel = np.zeros(len(fits), dtype=np.intp)
        last_pixel[flat] = np.arange(flat.size)
        fresh = np.flatnonzero(fits & (n_seeds == 0))
        number = np.zeros(len(fits), dtype=np.int32)
        number[flat[seeds]] = np.arange(1, len(seeds) + 1)
        number[~(fits & (n_seeds == 1))] = 0
        number[fresh] = np.arange(len(seeds) + 1, len(seeds) + 1 + len(fresh))
        seeds = np.concatenate([seeds, last_pixel[fresh]])
        found = number[labels]
        owner = np.where(found > 0, found, owner)
    return owner


def _above(masks: _Masks, cut_od10: float, settings: ClosedContoursSettings) -> Mask:
    """Membrane mask at a higher cut, gaps bridged."""
    mask = ((masks.dab_od10 >= cut_od10) & (masks.stained > 0)).astype(np.uint8)
    return cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _disc(settings.closing_um, masks.um_per_px))


def _dilated_and_filled(masks: _Masks, settings: ClosedContoursSettings) -> Mask:
    """The membrane mask dilated, its holes of at most a cell's size filled: where incomplete membranes reach."""
    dilated = cv2.dilate(masks.stained, _disc(2 * settings.dilation_um, masks.um_per_px))
    labels, fits = enclosed_regions(dilated, 0, settings.max_cell_um2 / masks.um_per_px**2)
    return (dilated | fits[labels]).astype(np.uint8)


def _membrane_mask(stains: StainImage, small: StainImage, masks: _Masks, size_hw: tuple[int, int]) -> Mask:
    """Mask at the frame's size: 0, `FAINT`, `INTENSE`."""
    mask = np.where(masks.intense > 0, INTENSE, np.where(masks.stained > 0, FAINT, 0)).astype(np.uint8)
    if small is stains:
        return mask
    return cv2.resize(mask, (size_hw[1], size_hw[0]), interpolation=cv2.INTER_NEAREST)


def _to_frame(cell: Cell, factor: float, size_hw: tuple[int, int]) -> Cell:
    """A cell from working pixels to frame pixels (pixel centres are integers in both)."""

    def scaled(value: float) -> float:
        return (value + 0.5) * factor - 0.5

    outline = ((cell.outline_xy_px + 0.5) * factor - 0.5).astype(np.float32)
    lowest, highest = outline.min(axis=0), outline.max(axis=0)
    limit = np.array([size_hw[1] - 1, size_hw[0] - 1]) - factor
    edge = bool((lowest < factor).any() or (highest > limit).any())
    return Cell(
        scaled(cell.x_px),
        scaled(cell.y_px),
        cell.nucleus_radius_um,
        cell.kind,
        edge,
        cell.measure,
        outline,
        cell.cell_class,
    )
