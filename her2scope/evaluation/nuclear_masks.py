"""Nuclear stains with masks (Ki67, DeepLIIF): does a method find nuclei of another stain? A check on generality.

A find matches a nucleus whose middle is within 3 um, or whose mask it lies in, one to one. Nuclei cut by the picture's
edge are neither hit nor miss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError, UnreadableImageError
from her2scope.evaluation.matching import Bounds, Places, TrueNuclei, match_nuclei
from her2scope.evaluation.reading import centres_of
from her2scope.evaluation.table import Figure, PartReport, at_least, not_measured
from her2scope.evaluation.tallies import NucleusTally
from her2scope.evaluation.work import Analysers, Tell
from her2scope.imaging.files import read_rgb
from her2scope.imaging.opencv import cv2
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.records import Frame, Mask, RgbImage

MATCH_UM = 3.0
LEAST_DIAMETER_UM = 2.0
"""A smaller piece of a mask is no nucleus but a slip of the pen."""
KI67, DEEPLIIF = "ihc_nuclei_ki67", "ihc_nuclei_deepliif"
KI67_UM_PER_PX, DEEPLIIF_UM_PER_PX = 0.1, 0.25
"""As the data's own page says."""
SPLIT_UM_PER_PX = 0.25
"""Scale at which touching nuclei are parted."""
SPLIT_SMOOTHING_UM, SPLIT_DISTANCE_UM = 0.6, 4.0
"""Smoothing of the distance from a mask's edge, and the least distance of two middles: less than a nucleus."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskedPicture:
    """A picture and the nuclei that its masks show."""

    name: str
    rgb: RgbImage
    um_per_px: float
    labels: NDArray[np.int32]
    """`(H, W)` nucleus at each pixel, 1 to M; 0 none."""


def evaluate_nuclear_masks(analysers: Analysers, data: Path, tell: Tell) -> Mapping[str, PartReport]:
    """Read every picture with the default cuts, and compare the nuclei."""
    reports: dict[str, list[PartReport]] = {method: [] for method in analysers}
    for folder, read in ((KI67, ki67_pictures), (DEEPLIIF, deepliif_pictures)):
        on = f"nuclear stain, {folder.removeprefix('ihc_nuclei_')}"
        pictures = read(data / folder) if (data / folder).is_dir() else []
        tell(f"nuclear masks: {folder}, {len(pictures)} pictures")
        for method, analyser in analysers.items():
            reports[method].append(_report(on, analyser, pictures))
    return {method: _joined(some) for method, some in reports.items()}


def ki67_pictures(folder: Path) -> list[MaskedPicture]:
    """Fields with a mask of positive and one of negative nuclei: touching ones of a kind are parted."""
    pictures = []
    for field in sorted(path for path in folder.iterdir() if path.is_dir()):
        rgb = read_rgb(field / "original.jpg")
        first = part_nuclei(_read_mask(field / "mask_positive.png", rgb), KI67_UM_PER_PX)
        second = part_nuclei(_read_mask(field / "mask_negative.png", rgb), KI67_UM_PER_PX)
        labels = np.where((first == 0) & (second > 0), second + first.max(), first).astype(np.int32)
        pictures.append(MaskedPicture(f"{folder.name}/{field.name}", rgb, KI67_UM_PER_PX, labels))
    return pictures


def deepliif_pictures(folder: Path) -> list[MaskedPicture]:
    """Tiles whose mask is red for positive and blue for negative nuclei; a green line parts those that touch."""
    pictures = []
    for path in sorted(folder.glob("*_mask.png")):
        rgb = read_rgb(path.with_name(path.name.replace("_mask", "")))
        colours = read_rgb(path)
        if colours.shape != rgb.shape:
            raise BadInputError(f"{path}: the mask and its picture are not of one size.")
        nuclei = colours.argmax(axis=2) != 1  # not the green line
        nuclei &= colours.max(axis=2) > 127
        _, labels = cv2.connectedComponents(nuclei.astype(np.uint8), connectivity=4)
        pictures.append(MaskedPicture(f"{folder.name}/{path.stem}", rgb, DEEPLIIF_UM_PER_PX, labels))
    return pictures


def part_nuclei(mask: Mask, um_per_px: float) -> NDArray[np.int32]:
    """Nuclei of a mask `(H, W)`: touching ones are parted where the mask is narrow.

    Every place climbs to the deepest place of its neighbourhood, and so on to a summit; places that share one are a
    nucleus. A summit with a higher one near it in the same piece of the mask is a bump of that nucleus.
    """
    height, width = mask.shape
    factor = min(1.0, um_per_px / SPLIT_UM_PER_PX)
    small_wh = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize((mask > 0).astype(np.uint8), small_wh, interpolation=cv2.INTER_NEAREST)
    small_um = um_per_px / factor
    depth = cv2.GaussianBlur(cv2.distanceTransform(small, cv2.DIST_L2, 5), (0, 0), SPLIT_SMOOTHING_UM / small_um)
    uphill = _uphill(np.where(small > 0, depth, -1.0).astype(np.float32))
    _, pieces = cv2.connectedComponents(small, connectivity=4)
    _join_bumps(uphill, depth, pieces, round(SPLIT_DISTANCE_UM / small_um))
    while (uphill[uphill] != uphill).any():
        uphill = uphill[uphill]
    inside = small.ravel() > 0
    labels = np.zeros(small.size, np.int32)
    labels[inside] = np.unique(uphill[inside], return_inverse=True)[1] + 1
    return cv2.resize(labels.reshape(small.shape), (width, height), interpolation=cv2.INTER_NEAREST)


def _uphill(height: NDArray[np.float32]) -> NDArray[np.intp]:
    """For each place of a plane (flat index) the highest of itself and its 8 neighbours; the first of equal ones."""
    rows, columns = height.shape
    padded = np.pad(height, 1, constant_values=-2.0)
    best, uphill = height.copy(), np.arange(height.size).reshape(height.shape)
    for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        beside = padded[1 + dy : 1 + dy + rows, 1 + dx : 1 + dx + columns]
        # Of equal heights only an earlier place is uphill, so that no two places point at each other.
        better = (beside > best) if (dy, dx) > (0, 0) else (beside >= best)
        best = np.where(better, beside, best)
        uphill = np.where(better, np.arange(height.size).reshape(height.shape) + dy * columns + dx, uphill)
    return uphill.ravel()


def _join_bumps(uphill: NDArray[np.intp], depth: NDArray[np.float32], pieces: NDArray[np.int32], reach_px: int) -> None:
    """Let summits with a higher place within reach, in the same piece, lead on to it."""
    columns = depth.shape[1]
    summits = np.flatnonzero((uphill == np.arange(uphill.size)) & (pieces.ravel() > 0))
    for summit in summits.tolist():
        row, column = divmod(summit, columns)
        top, left = max(0, row - reach_px), max(0, column - reach_px)
        window = np.s_[top : row + reach_px + 1, left : column + reach_px + 1]
        own = np.where(pieces[window] == pieces[row, column], depth[window], -1.0)
        y, x = np.unravel_index(int(own.argmax()), own.shape)
        if own[y, x] > depth[row, column]:
            uphill[summit] = (top + int(y)) * columns + left + int(x)


def compare_labels(found_xy_px: Places, labels: NDArray[np.int32], um_per_px: float) -> NucleusTally:
    """Set finds `(N, 2)` beside the nuclei of a label picture."""
    numbers, xy_px, radius_px, whole = _nuclei(labels, um_per_px)
    rim_px = float(radius_px.mean()) if len(radius_px) else MATCH_UM / um_per_px
    height, width = labels.shape
    place = np.rint(found_xy_px).astype(np.intp).reshape(-1, 2).clip(0, (width - 1, height - 1))
    own = labels[place[:, 1], place[:, 0]]
    truth = TrueNuclei(xy_px, np.full(len(numbers), MATCH_UM / um_per_px), whole)
    bounds = Bounds.of_picture((height, width), rim_px)
    return match_nuclei(found_xy_px, truth, bounds, own[:, None] == numbers[None, :]).tally


def _nuclei(
    labels: NDArray[np.int32], um_per_px: float
) -> tuple[NDArray[np.int64], Places, NDArray[np.float64], NDArray[np.bool_]]:
    """Numbers, middles, radii and wholeness (not cut by the edge) of the nuclei of a label picture."""
    area = np.bincount(labels.ravel())
    least_px = np.pi * (0.5 * LEAST_DIAMETER_UM / um_per_px) ** 2
    numbers = np.flatnonzero(area >= least_px)
    numbers = numbers[numbers > 0]
    rows, columns = np.indices(labels.shape, dtype=np.float32)
    sums = [np.bincount(labels.ravel(), plane.ravel(), len(area)) for plane in (columns, rows)]
    xy_px = np.stack([total[numbers] / area[numbers] for total in sums], axis=1)
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return numbers, xy_px, np.sqrt(area[numbers] / np.pi), ~np.isin(numbers, rim)


def _read_mask(path: Path, rgb: RgbImage) -> Mask:
    """A mask of one channel, 0 or 255."""
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise UnreadableImageError(path, "no mask can be read from it", "Check the folder of real images.")
    if mask.shape != rgb.shape[:2]:
        raise BadInputError(f"{path}: the mask and its picture are not of one size.")
    return mask


# ---- figures ------------------------------------------------------------------------------------------------------


def _report(on: str, analyser: FieldAnalyser, pictures: list[MaskedPicture]) -> PartReport:
    name, limit = "nucleus F1", 0.80
    if not pictures:
        return PartReport((not_measured(on, name, "no picture of it in --data", f"at least {limit:.2f}"),))
    tallies, notes = {}, []
    for picture in pictures:
        result = analyser.analyse(Frame(picture.rgb, 0, 0.0, picture.um_per_px), analyser.default_cuts)
        tally = compare_labels(centres_of(result.cells), picture.labels, picture.um_per_px)
        tallies[picture.name] = tally
        refused = "" if result.quality.usable else f", refused: {'; '.join(result.quality.reasons)}"
        notes.append(f"{picture.name}: {tally.hits} hit, {tally.missed} missed, {tally.false} false{refused}")
    pooled = reduce(add, tallies.values(), NucleusTally())
    figure: Figure = at_least(on, name, pooled.f1, limit, f"{pooled.hits + pooled.missed} nuclei")
    details = {on: {"pooled": pooled.as_json(), "images": {key: tally.as_json() for key, tally in tallies.items()}}}
    return PartReport((figure,), details, tuple(notes))


def _joined(reports: list[PartReport]) -> PartReport:
    return PartReport(
        tuple(figure for report in reports for figure in report.figures),
        {key: value for report in reports for key, value in report.details.items()},
        tuple(note for report in reports for note in report.notes),
    )
