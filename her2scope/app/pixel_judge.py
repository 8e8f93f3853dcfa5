"""How good a region model is on outlined images: pixels of each class, and lesions one by one. It needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.annotations.raster import Painter
from her2scope.annotations.shapes import Annotations
from her2scope.app.outputs import check_outputs, write_all
from her2scope.app.pixel_apply import Grid, asked_of_slide, at_size, labels_of
from her2scope.app.pixel_images import (
    Opened,
    Pair,
    SlidePixels,
    annotations_of,
    check_classes,
    open_image,
    other_classes,
    pair_up,
    some_of,
)
from her2scope.domain.errors import BadInputError
from her2scope.evaluation.froc import SlideFinds, compare_detections, froc
from her2scope.evaluation.lesions import LESION_UM_PER_PX, detections_of, lesions_of
from her2scope.evaluation.pixel_measures import PixelCounts, count_pixels, measures_json, sum_counts
from her2scope.imaging.opencv import cv2
from her2scope.reporting.json_report import json_bytes
from her2scope.reporting.words import count
from her2scope.segmentation.region_model import OnnxRegionModel, load_region_model, resized

SCHEMA = "her2scope.pixels/1"
APART_UM = 200.0
"""Detections are no nearer to each other: what is nearer is one find."""
SMOOTHED_UM = 30.0
"""Deviation of the blur of a probability map in which summits are sought: one cell is no lesion."""
LEAST_PROBABILITY = 0.05
"""Summits below it are no detections."""
Floats = NDArray[np.float32]
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """A model, and what it is judged on."""

    model: Path
    images: Sequence[Path]
    annotations: Path
    um_per_px: float | None
    """Of the images; slides tell their own."""
    json_path: Path | None = None
    empty: bool = False
    """An image without annotations holds none of the classes."""
    lesions: str | None = None
    """Class whose areas are also sought one by one."""
    threads: int = 0
    check_scale: bool = True
    """Refuse outlines that fill one corner of an image alone."""
    ignore_unlabelled: bool = False
    """What no polygon covers is unknown, and counts neither way; not in images that hold none of the classes."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What was found in some images, beside what was outlined."""

    images: dict[str, PixelCounts]
    finds: tuple[SlideFinds, ...] = ()
    """Lesions, where they were asked for."""
    repairs: tuple[str, ...] = ()
    """What was mended in the outlines, each with its image."""

    @staticmethod
    def joined(parts: Sequence[Judged]) -> Judged:
        """Of several folds."""
        images = {name: counts for part in parts for name, counts in part.images.items()}
        finds = tuple(find for part in parts for find in part.finds)
        return Judged(images, finds, tuple(repair for part in parts for repair in part.repairs))


def evaluate_model(request: JudgeRequest, told: Told) -> list[str]:
    """Judge a model; its figures as lines, and as JSON where that is asked for."""
    model = load_region_model(request.model, request.threads)
    classes = model.classes[1:]
    if request.lesions is not None and request.lesions not in classes:
        raise BadInputError(f"the model has no class '{request.lesions}'. It has: {', '.join(classes)}.")
    if request.lesions is not None and request.ignore_unlabelled:
        raise BadInputError("lesions are counted where all of them are outlined: not with --unlabelled ignore.")
    pairs = pair_up(request.images, request.annotations, request.empty)
    if request.json_path is not None:
        inputs = [path for pair in pairs for path in (pair.image, pair.annotations) if path is not None]
        check_outputs([request.json_path], inputs)
    judged = judge(
        model, pairs, request.um_per_px, classes, request.lesions, told,
        check_scale=request.check_scale, ignore_unlabelled=request.ignore_unlabelled,
    )  # fmt: skip
    seen = _seen_before(model, pairs)
    if request.json_path is not None:
        about = {
            "schema": SCHEMA,
            "model": {"name": model.name, "sha256": model.sha256, "um_per_px": model.um_per_px},
            "unlabelled": unlabelled(request.ignore_unlabelled),
        }
        write_all({request.json_path: json_bytes(about | judged_json(judged) | {"seen_in_training": seen})})
    lines = [f"{len(pairs)} images: {words}" for words in words_of(judged)]
    if seen:
        made_with = f"by its card the model was made with {count(len(seen), 'image')} of these names ({some_of(seen)})"
        lines.append(f"{made_with}: if they are the same, the figures are better than those of new images")
    return lines


def unlabelled(is_ignored: bool) -> str:
    """What pixels are that no polygon covers, as the option has it."""
    return "ignore" if is_ignored else "background"


def _seen_before(model: OnnxRegionModel, pairs: Sequence[Pair]) -> list[str]:
    """Names of images that the model's card names as learnt from, or held back."""
    training = model.card.entries.get("training")
    named = [training.get(key) for key in ("images", "images_held_back")] if isinstance(training, dict) else []
    known = {str(name) for names in named if isinstance(names, list) for name in names}
    return [pair.name for pair in pairs if pair.name in known]


def judge(
    model: OnnxRegionModel,
    pairs: Sequence[Pair],
    um_per_px: float | None,
    classes: Sequence[str],
    lesions: str | None = None,
    told: Told = lambda line: None,
    *,
    check_scale: bool = True,
    ignore_unlabelled: bool = False,
) -> Judged:
    """Set what a model finds beside what was outlined; images one by one, slides window by window.

    Images are judged pixel by pixel at their own size, slides at the model's scale. All files are opened before any
    is judged; BadInputError where one cannot be used, or a class is in none of them.

    Parameters
    ----------
    ignore_unlabelled : what no polygon covers counts neither way, as it was not learnt; see `JudgeRequest`
    """
    annotations: dict[str, Annotations] = {}
    for pair in pairs:
        opened = open_image(pair.image, um_per_px)
        try:
            opened.scale(model.um_per_px)
            annotations[pair.name] = annotations_of(pair, opened, classes, check_scale)
        finally:
            opened.close()
    check_classes(classes, annotations)
    repairs = tuple(f"{name}: {repair}" for name, found in annotations.items() for repair in found.repairs)
    for line in (*repairs, *other_classes(classes, annotations)):
        told(line)
    images: dict[str, PixelCounts] = {}
    finds: list[SlideFinds] = []
    for pair in pairs:
        opened = open_image(pair.image, um_per_px)
        try:
            is_partly_known = ignore_unlabelled and pair.annotations is not None
            own = _OneImage(opened, model, annotations[pair.name], classes, lesions, is_partly_known)
        finally:
            opened.close()
        images[pair.name] = own.counts
        if lesions is not None:
            finds.append(own.finds(pair.name))
        told(f"{pair.name}: " + "; ".join(words_of(Judged({pair.name: own.counts}))))
    return Judged(images, tuple(finds), repairs)


class _OneImage:
    """What is found in one image or slide: counts of its pixels, and a coarse map of one class."""

    def __init__(
        self,
        opened: Opened,
        model: OnnxRegionModel,
        annotations: Annotations,
        classes: Sequence[str],
        lesions: str | None,
        is_partly_known: bool,
    ) -> None:
        self._opened, self._annotations, self._lesions = opened, annotations, lesions
        self._painter = Painter(annotations, classes)
        width, height = (side * opened.um_per_px / LESION_UM_PER_PX for side in opened.size_wh)
        self._coarse = np.zeros((max(1, int(np.ceil(height))), max(1, int(np.ceil(width)))), np.float32)
        parts = []
        for left, top, scale, planes in _parts(opened, model):
            truth = self._painter.window(left, top, planes.shape[2], planes.shape[1], scale)
            unknown = truth == 0 if is_partly_known else None
            parts.append(count_pixels(labels_of(planes), truth, classes, planes, unknown))
            if lesions is not None:
                plane = planes[model.classes.index(lesions)]
                put_coarse(self._coarse, plane, left, top, scale * opened.um_per_px)
        self.counts = sum_counts(parts)

    def finds(self, name: str) -> SlideFinds:
        """Summits of the map beside the lesions."""
        smooth = cv2.GaussianBlur(self._coarse, (0, 0), SMOOTHED_UM / LESION_UM_PER_PX)
        detections = detections_of(smooth, LESION_UM_PER_PX, APART_UM, LEAST_PROBABILITY)
        classes = (self._lesions or "",)
        lesions = lesions_of(self._annotations, classes, self._opened.size_wh, self._opened.um_per_px)
        return compare_detections(name, detections, lesions)


def _parts(opened: Opened, model: OnnxRegionModel) -> Iterator[tuple[int, int, float, Floats]]:
    """Probabilities of parts: where they begin, px of the full resolution to one of them, `(C, h, w)`."""
    scale = opened.scale(model.um_per_px)
    if opened.picture is not None:
        planes = model.at_own_scale(resized(opened.picture, scale))
        yield 0, 0, 1.0, at_size(planes, scale, opened.size_wh)
        return
    pixels = SlidePixels(opened.reader(), scale)
    grid = Grid(pixels.size_wh, scale, model.um_per_px)
    for number in range(len(grid)):
        left, top, width, height = grid.box(number)
        yield left, top, scale, asked_of_slide(pixels, (left, top, width, height), model)


def put_coarse(coarse: Floats, plane: Floats, left_px: int, top_px: int, um_per_px: float) -> None:
    """Put the mean of a plane into each coarse pixel whose middle lies in it.

    Parameters
    ----------
    coarse : (H, W) float32 at `LESION_UM_PER_PX`, from the corner of the slide
    plane : (h, w) float32
    left_px, top_px : where the plane begins, in its own pixels
    um_per_px : of the plane
    """
    ratio = LESION_UM_PER_PX / um_per_px
    spans = []
    for first, side, limit in ((top_px, plane.shape[0], coarse.shape[0]), (left_px, plane.shape[1], coarse.shape[1])):
        begin, end = (int(np.ceil(at / ratio - 0.5)) for at in (first, first + side))
        spans.append((max(0, begin), min(limit, end), first))
    (top, bottom, own_top), (left, right, own_left) = spans
    if top >= bottom or left >= right:
        return
    # sums over boxes from a running sum: boxes are cut at the plane's border
    total = np.pad(plane.astype(np.float64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    rows, columns = (
        np.clip(np.rint(np.arange(a, b + 1) * ratio).astype(np.intp) - own, 0, side)
        for a, b, own, side in ((top, bottom, own_top, plane.shape[0]), (left, right, own_left, plane.shape[1]))
    )
    sums = np.diff(np.diff(total[np.ix_(rows, columns)], axis=0), axis=1)
    areas = np.outer(np.diff(rows), np.diff(columns))
    coarse[top:bottom, left:right] = np.where(areas > 0, sums / np.maximum(areas, 1), 0.0)


# ---- figures ------------------------------------------------------------------------------------------------------


def judged_json(judged: Judged) -> dict[str, Any]:
    """Figures of each class over all pixels, their means over images, each image, and of lesions that were sought."""
    found: dict[str, Any] = measures_json(judged.images)
    if judged.finds:
        found["lesions"] = froc(judged.finds).as_json()
    return found | {"repairs": list(judged.repairs)}


def words_of(judged: Judged) -> list[str]:
    """Figures of each class as a line, and one of lesions."""
    found = judged_json(judged)
    lines = []
    for name, row in found["classes"].items():
        mean = found["mean_of_images"][name]["dice"]["mean"]
        apart = f" ({_over_images(judged, name, mean)})" if len(judged.images) > 1 else ""
        lines.append(
            f"{name}: Dice {_figure(row['dice'])}{apart}, IoU {_figure(row['iou'])}, AUC {_figure(row['auc'])}"
        )
    if judged.finds:
        lesions = found["lesions"]
        at = ", ".join(f"{false}: {_figure(value)}" for false, value in lesions["sensitivity_at"].items())
        lines.append(
            f"FROC {_figure(lesions['mean_sensitivity'])} ({lesions['n_lesions']} lesions in {lesions['n_slides']} "
            f"slides; sensitivity at false positives per slide {at}), AUC of slides {_figure(lesions['slide_auc'])}"
        )
    return lines


def _over_images(judged: Judged, name: str, mean: float | None) -> str:
    """The mean over images, and of how many it is: in one without the class a single pixel that is found makes it 0."""
    own = [counts[name] for counts in judged.images.values() if counts[name].dice is not None]
    without = sum(counts.n_px == 0 for counts in own)
    return f"mean of {count(len(own), 'image')} {_figure(mean)}" + (
        f", {without} of them without it" if without else ""
    )


def _figure(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4f}"
