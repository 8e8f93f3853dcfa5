"""The pixelwise classifier: learnt from polygons, cross-validated, written as a region model. torch is needed for that.

What it is applied to and judged by needs ONNX Runtime alone (`pixel_apply`, `pixel_judge`).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from her2scope import __version__
from her2scope.annotations.raster import Painter
from her2scope.annotations.shapes import Annotations
from her2scope.app.outputs import check_outputs, write_all
from her2scope.app.pixel_images import (
    HELD_PX,
    Opened,
    Pair,
    SlidePixels,
    annotations_of,
    check_classes,
    open_image,
    other_classes,
    pair_up,
    picture_at,
    whole_slide,
)
from her2scope.app.pixel_judge import Judged, judge, judged_json, unlabelled, words_of
from her2scope.domain.errors import BadInputError, NotAvailableError
from her2scope.reporting.json_report import json_bytes
from her2scope.segmentation.model_card import CARD, FULL
from her2scope.segmentation.region_model import KIND, load_region_model

if TYPE_CHECKING:
    from her2scope.training.pixels.config import PixelConfig
    from her2scope.training.pixels.grounds import Ground
    from her2scope.training.pixels.train import State

RUN = "run"
"""Folder of the checkpoint, log and curves in the folder of a model."""
FOLDS = "folds.json"
TOTAL_HELD_PX = 120_000_000
"""Of all slides together that are held in memory: 0.4 GB. The others are read where a tile is drawn."""
LIMITS = (
    "learnt from the images named here alone: elsewhere, another stain or another scanner, it is to be checked first",
    "its borders are those of who outlined them",
)
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """A classifier to train."""

    images: Sequence[Path]
    annotations: Path
    classes: tuple[str, ...]
    um_per_px: float | None
    """Of the images; slides tell their own."""
    out: Path
    work_um_per_px: float | None = None
    """Scale that the model works at; that of the images where it is None."""
    folds: int = 0
    """Cross-validate so many folds; 0: none."""
    folds_only: bool = False
    """Do not train the model of all images then."""
    empty: bool = False
    """An image without annotations holds none of the classes."""
    licence: str = "not stated"
    """Of the data, as the user says it, for the card."""
    check_scale: bool = True
    """Refuse outlines that fill one corner of an image alone."""
    options: dict[str, Any] = field(default_factory=dict)
    """Of `training.pixels.config.PixelConfig`: seed, epochs, minutes and so on."""


def train_model(request: TrainRequest, told: Told) -> list[str]:
    """Train a region model and write it with its card; goes on where it was stopped.

    Everything that can be wrong with images, annotations and classes is found before any training.
    """
    _need_torch()
    from her2scope.training.pixels.config import PixelConfig, check_config
    from her2scope.training.pixels.grounds import check_copies

    work_um_per_px = request.work_um_per_px or request.um_per_px
    if work_um_per_px is None:
        raise BadInputError("say with --work-um-per-px at what scale the model works, or with --um-per-px the images'.")
    config = PixelConfig(request.classes, work_um_per_px, **request.options)
    check_config(config)
    pairs = pair_up(request.images, request.annotations, request.empty)
    _check_request(request, pairs)
    _check_folder(request.out)
    check_outputs([request.out / CARD, request.out / FULL], [pair.image for pair in pairs])
    with _opened(pairs, request.um_per_px) as opened:
        annotations = _read_all(request, pairs, opened, told)
        grounds = _grounds(pairs, opened, annotations, config)
        check_copies(grounds)
        lines = []
        if request.folds:
            lines += _cross_validated(request, config, pairs, grounds, told)
        if not request.folds_only:
            lines += _trained(request, config, request.out, list(range(len(pairs))), grounds, told).lines
    return lines


def _need_torch() -> None:
    missing = [name for name in ("torch", "onnx") if importlib.util.find_spec(name) is None]
    if missing:
        raise NotAvailableError("package", missing[0], ["make train-env installs it, into an environment of its own"])


def _check_request(request: TrainRequest, pairs: Sequence[Pair]) -> None:
    n_images = len(pairs)
    if n_images < 2:
        raise BadInputError("one image cannot be learnt from and checked on: give two at least.")
    if request.folds and not 2 <= request.folds <= n_images:
        raise BadInputError(f"{request.folds} folds of {n_images} images are not possible: give 2 to {n_images}.")
    if request.folds and n_images - -(-n_images // request.folds) < 2:
        raise BadInputError(
            f"with {request.folds} folds of {n_images} images too few are left to learn from and check on. Take more "
            "folds, or more images."
        )
    is_rest_said = any(pair.annotations is None for pair in pairs)
    if request.options.get("ignore_unlabelled") and len(request.classes) == 1 and not is_rest_said:
        raise BadInputError(
            f"nothing would say what is not {request.classes[0]}: with --unlabelled ignore outline some of the rest, "
            "too, as a class of its own (--classes A,other), or add images that hold none of it (--empty)."
        )
    if request.folds_only and not request.folds:
        raise BadInputError("say with --folds how many folds; --folds-only leaves out the model of all images.")


def _check_folder(out: Path) -> None:
    """No model is written over but that of the run that goes on: another's run is not here."""
    if (out / CARD).exists() and not (out / RUN).is_dir():
        raise BadInputError(f"{out}: holds a model that this run did not make. Give another --out, or put it away.")


# ---- images in ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(pairs: Sequence[Pair], um_per_px: float | None) -> Iterator[list[Opened]]:
    with contextlib.ExitStack() as stack:
        found = []
        for pair in pairs:
            opened = open_image(pair.image, um_per_px)
            stack.callback(opened.close)
            found.append(opened)
        yield found


def _read_all(
    request: TrainRequest, pairs: Sequence[Pair], opened: Sequence[Opened], told: Told
) -> dict[str, Annotations]:
    """Annotations by name of the image, what was mended told; BadInputError where a class is nowhere."""
    found = {}
    for pair, image in zip(pairs, opened, strict=True):
        found[pair.name] = annotations_of(pair, image, request.classes, request.check_scale)
        for repair in found[pair.name].repairs:
            told(f"{pair.name}: {repair}")
    check_classes(request.classes, found)
    for line in other_classes(request.classes, found):
        told(line)
    return found


def _grounds(
    pairs: Sequence[Pair], opened: Sequence[Opened], annotations: dict[str, Annotations], config: PixelConfig
) -> list[Ground]:
    from her2scope.training.pixels.grounds import Ground, Reading, WholePicture

    held = 0
    found = []
    for pair, image in zip(pairs, opened, strict=True):
        scale = image.scale(config.um_per_px)
        reading: Reading
        if image.picture is not None:
            reading = WholePicture(picture_at(image, config.um_per_px))
        else:
            pixels = SlidePixels(image.reader(), scale)
            size = pixels.size_wh[0] * pixels.size_wh[1]
            fits = size <= HELD_PX and held + size <= TOTAL_HELD_PX
            held += size if fits else 0
            reading = WholePicture(whole_slide(pixels), is_mirrored=False) if fits else pixels
        if min(reading.size_wh) < 2 * config.block_px:
            raise BadInputError(f"{pair.image}: too small to learn from at {config.um_per_px:g} um/px.")
        # where somebody says that an image has none of the classes, that is known of all of it
        ignore = config.ignore_unlabelled and pair.annotations is not None
        found.append(Ground(pair.name, reading, Painter(annotations[pair.name], config.classes), scale, ignore))
    return found


# ---- one model ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Trained:
    state: State
    lines: list[str]


def _trained(
    request: TrainRequest, config: PixelConfig, out: Path, chosen: Sequence[int], grounds: Sequence[Ground], told: Told
) -> _Trained:
    """Train on some of the images and write the model to `out`."""
    from her2scope.training.pixels.export import export_pixels
    from her2scope.training.pixels.train import CURVES, held_back, train_pixels

    some = [grounds[n] for n in chosen]
    state = train_pixels(config, some, out / RUN, told)
    shown = some[0].window(0, 0, 192, 192)[0]
    exported = export_pixels(config, state, shown)
    held = [some[n].name for n in held_back(config, some)]
    card = _card(request, config, state, some, held) | exported.facts
    card["files"] = {FULL: hashlib.sha256(exported.content).hexdigest()}
    write_all({out / FULL: exported.content, out / CARD: _as_yaml(card)})
    shutil.copyfile(out / RUN / CURVES, out / CURVES)
    load_region_model(out)
    return _Trained(
        state,
        [
            f"model: {out} (sha256 {card['files'][FULL][:12]})",
            f"ended: {state.finished}; {_chosen(state, held)}; {state.seconds / 60:.1f} minutes, "
            f"{state.cpu_seconds / 60:.1f} of the processor",
            f"largest difference of a probability between torch and ONNX Runtime: "
            f"{exported.facts['largest_difference_from_torch']:g}",
        ],
    )


def _chosen(state: State, held: Sequence[str]) -> str:
    """Which epoch was taken, and why."""
    if state.best_dice < 0.0:
        return f"the last epoch was taken: {', '.join(held)}, held back, could not tell which is best"
    return (
        f"best epoch {state.best_epoch} of {len(state.rows)}, Dice held back {state.best_dice:.4f} ({', '.join(held)})"
    )


def _note(state: State) -> str:
    if state.best_dice < 0.0:
        return "the images held back could not tell which epoch is best: the last one was taken"
    return "the epoch was chosen by it: images that it has never seen give less"


def _card(
    request: TrainRequest, config: PixelConfig, state: State, grounds: Sequence[Ground], held: Sequence[str]
) -> dict[str, Any]:
    best = next(row for row in state.rows if row["epoch"] == state.best_epoch)
    recipe = {
        name: getattr(config, name)
        for name in ("seed", "tile_px", "batch", "steps", "epochs", "learning_rate", "ignore_unlabelled")
    }
    return {
        "kind": KIND,
        "name": request.out.resolve().name,
        "task": f"which pixels are {', '.join(config.classes)}",
        "version": __version__,
        "um_per_px": config.um_per_px,
        "classes": list(config.all_classes),
        "block_px": config.block_px,
        "surroundings_px": config.surroundings_px,
        "architecture": {"widths": list(config.widths), "depths": list(config.depths)},
        "training": {
            "images": [ground.name for ground in grounds if ground.name not in held],
            "images_held_back": list(held),
            "licence_of_the_data": request.licence,
            "recipe": recipe,
            "ended": state.finished,
            "epochs": len(state.rows),
            "minutes": round(state.seconds / 60.0, 1),
            "processor_minutes": round(state.cpu_seconds / 60.0, 1),
        },
        "dice_held_back": dict(zip(config.classes, best["dice"], strict=True)),
        "dice_held_back_note": _note(state),
        "limits": list(LIMITS),
    }


def _as_yaml(card: dict[str, Any]) -> bytes:
    return yaml.safe_dump(card, sort_keys=False, width=118, allow_unicode=True).encode()


# ---- cross-validation ---------------------------------------------------------------------------------------------


def _check_folds(config: PixelConfig, folds: Sequence[Sequence[int]], having: Sequence[frozenset[int]]) -> None:
    """Find out before any training that a class could not be learnt in some fold."""
    known = frozenset[int]().union(*having)
    for out in folds:
        left = frozenset[int]().union(*(labels for n, labels in enumerate(having) if n not in out))
        for label, name in enumerate(config.all_classes):
            if label in known and label not in left:
                raise BadInputError(
                    f"class {name} is in too few images for {len(folds)} folds: where they are held out it cannot be "
                    "learnt. Take more images that have it, or train without --folds."
                )


def _cross_validated(
    request: TrainRequest, config: PixelConfig, pairs: Sequence[Pair], grounds: Sequence[Ground], told: Told
) -> list[str]:
    """Train without the images of each fold and judge on them, with the very files that were written."""
    from her2scope.training.pixels.grounds import fold_numbers, labels_of

    having = labels_of(grounds)
    folds = fold_numbers(having, request.folds, config.seed)
    _check_folds(config, folds, having)
    done = [_fold(request, config, pairs, grounds, number, out, told) for number, out in enumerate(folds, start=1)]
    rows = [row for _, row in done]
    whole = Judged.joined([judged for judged, _ in done])
    answer = {
        "schema": "her2scope.folds/1",
        "um_per_px": config.um_per_px,
        "n_images": len(pairs),
        "unlabelled": unlabelled(config.ignore_unlabelled),
        **judged_json(whole),
        "minutes": round(sum(row["minutes"] for row in rows), 1),
        "processor_minutes": round(sum(row["processor_minutes"] for row in rows), 1),
        "folds": rows,
    }
    write_all({request.out / FOLDS: json_bytes(answer)})
    lines = [f"{request.folds} folds, {len(pairs)} images: {words}" for words in words_of(whole)]
    longest = max(row["minutes"] for row in rows)
    return [
        *lines,
        f"training: {answer['minutes']:g} minutes for all folds ({longest:g} the longest), "
        f"{answer['processor_minutes']:g} of the processor; {request.out / FOLDS}",
    ]


def _fold(
    request: TrainRequest,
    config: PixelConfig,
    pairs: Sequence[Pair],
    grounds: Sequence[Ground],
    number: int,
    out: Sequence[int],
    told: Told,
) -> tuple[Judged, dict[str, Any]]:
    """Train without the images `out` and judge on them; also what stands of it in the file."""
    folder = request.out / f"fold_{number}"
    told(f"fold {number} of {request.folds}: held out {', '.join(pairs[n].name for n in out)}")
    inner = [n for n in range(len(pairs)) if n not in out]
    state = _trained(replace(request, out=folder), config, folder, inner, grounds, told).state
    began, cpu_began = time.monotonic(), time.process_time()
    model = load_region_model(folder, config.threads)
    judged = judge(
        model, [pairs[n] for n in out], request.um_per_px, config.classes,
        check_scale=request.check_scale, ignore_unlabelled=config.ignore_unlabelled,
    )  # fmt: skip
    told(f"fold {number}: " + "; ".join(words_of(judged)))
    return judged, {
        "fold": number,
        "held_out": [pairs[n].name for n in out],
        "minutes": round(state.seconds / 60.0, 1),
        "processor_minutes": round(state.cpu_seconds / 60.0, 1),
        "ended": state.finished,
        "judged_s": round(time.monotonic() - began, 1),
        "judged_processor_s": round(time.process_time() - cpu_began, 1),
        **judged_json(judged),
    }
