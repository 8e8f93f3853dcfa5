"""Hand-made membrane masks: the membrane's centre line beside the hand's, and beside that of the best threshold.

Both masks are thinned to lines one pixel wide; a place of one line is right where the other is within 1 um.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError, UnreadableImageError
from her2scope.evaluation.table import Figure, PartReport, at_least, not_measured
from her2scope.evaluation.work import Analysers, Tell
from her2scope.imaging.files import read_rgb
from her2scope.imaging.opencv import cv2
from her2scope.imaging.stains import unmix
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.ports import JsonObject
from her2scope.records import Frame, Mask, RgbImage
from her2scope.settings import Calibration

FOLDER = "her2_membrane_masks"
UM_PER_PX = 0.5
NEAR_UM = 1.0
STRONG = "score3"
"""The patch of which an F1 is asked: on the other only part of the faint membrane is marked."""
LEAST_F1 = 0.80
SPECK_MAX, SPECK_GREY = 60, 12
"""Near-black grey pixels are a fault of the export (white that ran over) and stand for white; DAB, however dark, is
browner than that."""
THRESHOLDS_OD10 = np.round(np.arange(0.02, 1.501, 0.02), 2)
SMOOTHING_PX = (0.0, 0.7, 1.2)
"""The best threshold is sought over these smoothings (sigma) of the DAB, too."""


@dataclass(frozen=True, slots=True, eq=False)
class MembranePatch:
    """A picture and the hand-made mask of its membranes."""

    name: str
    rgb: RgbImage
    true: Mask


@dataclass(frozen=True, slots=True)
class LineMatch:
    """How well two centre lines agree, shares (0..1); None where a line is empty."""

    precision: float | None
    recall: float | None

    @property
    def f1(self) -> float:
        """Harmonic mean; 0 where either line is empty, or nothing is near."""
        if not self.precision or not self.recall:
            return 0.0
        return 2 * self.precision * self.recall / (self.precision + self.recall)

    def as_json(self) -> JsonObject:
        """Figures by name."""
        return {"f1": self.f1, "precision": self.precision, "recall": self.recall}


def evaluate_membrane_masks(analysers: Analysers, data: Path, tell: Tell) -> Mapping[str, PartReport]:
    """Compare the membrane mask that each method gives with the default cuts."""
    patches = membrane_patches(data / FOLDER)
    rivals = {patch.name: best_threshold(patch) for patch in patches}
    tell(f"membrane masks: {len(patches)} patches")
    return {method: _report(analyser, patches, rivals) for method, analyser in analysers.items()}


def membrane_patches(folder: Path) -> list[MembranePatch]:
    """The patches of a folder, their specks made white."""
    patches = []
    for path in sorted(folder.glob("*_membrane_gt.png")):
        name = path.name.removesuffix("_membrane_gt.png")
        rgb = without_specks(read_rgb(folder / f"{name}_image.png"))
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise UnreadableImageError(path, "no mask can be read from it", "Check the folder of real images.")
        if mask.shape != rgb.shape[:2]:
            raise BadInputError(f"{path}: the mask and its picture are not of one size.")
        patches.append(MembranePatch(name, rgb, (mask > 127).astype(np.uint8)))
    return patches


def without_specks(rgb: RgbImage) -> RgbImage:
    """A copy of a picture with its near-black grey specks white."""
    brightest, darkest = rgb.max(axis=2), rgb.min(axis=2)
    specks = (brightest < SPECK_MAX) & (brightest - darkest < SPECK_GREY)
    clean = rgb.copy()
    clean[specks] = 255
    return clean


def compare_lines(found: Mask, true: Mask, near_px: float) -> LineMatch:
    """Set the centre line of one mask beside that of another."""
    found_line, true_line = centre_line(found), centre_line(true)
    return LineMatch(_near_share(found_line, true_line, near_px), _near_share(true_line, found_line, near_px))


def centre_line(mask: Mask) -> NDArray[np.bool_]:
    """Centre line of a mask, one pixel wide: thinning by Zhang and Suen (CACM 27:236-239, 1984)."""
    line = cv2.copyMakeBorder((mask > 0).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    while True:
        before = int(line.sum())
        for goes in _GOES:
            around = cv2.filter2D(line, cv2.CV_8U, _WEIGHTS, borderType=cv2.BORDER_CONSTANT)
            line[goes[around] & (line > 0)] = 0
        if int(line.sum()) == before:
            return np.asarray(line[1:-1, 1:-1] > 0)


def best_threshold(patch: MembranePatch) -> tuple[float, LineMatch]:
    """The best that one global cut on the DAB reaches on a patch: the cut (od10), and how well it does."""
    dab = unmix(patch.rgb, UM_PER_PX, Calibration()).dab_od10
    tried = []
    for sigma_px in SMOOTHING_PX:
        smooth = cv2.GaussianBlur(dab, (0, 0), sigma_px) if sigma_px else dab
        for cut_od10 in THRESHOLDS_OD10:
            found = (smooth >= cut_od10).astype(np.uint8)
            tried.append((float(cut_od10), compare_lines(found, patch.true, NEAR_UM / UM_PER_PX)))
    return max(tried, key=lambda item: item[1].f1)


def _near_share(line: NDArray[np.bool_], other: NDArray[np.bool_], near_px: float) -> float | None:
    """Share of a line's places that have the other line within reach."""
    if not line.any():
        return None
    if not other.any():
        return 0.0
    distance = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((distance[line] <= near_px).mean())


def _thinning_tables() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """For each of the 256 neighbourhoods, whether its middle goes, in the first and in the second half of a round.

    Bit `k` is neighbour P(k + 2) of the paper: north first, then clockwise.
    """
    p = (np.arange(256)[:, None] >> np.arange(8)) & 1
    n_set = p.sum(axis=1)
    n_rises = ((p == 0) & (np.roll(p, -1, axis=1) == 1)).sum(axis=1)
    may_go = (n_set >= 2) & (n_set <= 6) & (n_rises == 1)
    north, east, south, west = p[:, 0], p[:, 2], p[:, 4], p[:, 6]
    first = may_go & (north * east * south == 0) & (east * south * west == 0)
    second = may_go & (north * east * west == 0) & (north * south * west == 0)
    return first, second


_GOES = _thinning_tables()
_WEIGHTS = np.array([[128, 1, 2], [64, 0, 4], [32, 16, 8]], np.float32)
"""Bit of each neighbour (`cv2.filter2D` correlates: the kernel is not turned round)."""


# ---- figures ------------------------------------------------------------------------------------------------------


def _report(
    analyser: FieldAnalyser, patches: Sequence[MembranePatch], rivals: Mapping[str, tuple[float, LineMatch]]
) -> PartReport:
    if not patches:
        return PartReport((not_measured("membrane masks", "centre line F1", "no patch in --data"),))
    figures: list[Figure] = []
    details: JsonObject = {}
    notes = []
    for patch in patches:
        found, refused = _found(analyser, patch)
        match = compare_lines(found, patch.true, NEAR_UM / UM_PER_PX)
        cut_od10, rival = rivals[patch.name]
        on = f"membrane mask, {patch.name}"
        if patch.name.startswith(STRONG):
            figures.append(at_least(on, "centre line F1 within 1 um", match.f1, LEAST_F1))
        above = match.f1 > rival.f1
        text = f"{match.f1:.3f} against {rival.f1:.3f} (cut {cut_od10:g} od10)"
        figures.append(Figure(on, "centre line F1, best threshold", "above it", match.f1 - rival.f1, text, above))
        details[patch.name] = {"found": match.as_json(), "threshold_od10": cut_od10, "threshold": rival.as_json()}
        if refused:
            notes.append(f"{patch.name}: measured although the quality gate refuses it ({refused})")
    return PartReport(tuple(figures), details, tuple(notes))


def _found(analyser: FieldAnalyser, patch: MembranePatch) -> tuple[Mask, str]:
    """Membrane mask of a patch, and why the quality gate refuses the patch (empty where it does not).

    The gate is another part's matter: here the method itself is asked.
    """
    frame, cuts = Frame(patch.rgb, 0, 0.0, UM_PER_PX), analyser.default_cuts
    quality = analyser.analyse(frame, cuts).quality
    stains = unmix(patch.rgb, UM_PER_PX, analyser.calibration)
    refused = "" if quality.usable else "; ".join(quality.reasons)
    return analyser.segmenter.segment(frame, stains, cuts).membrane, refused
