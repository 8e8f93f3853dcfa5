"""A region model applied to images and slides: mask, probability map, polygons and a picture of each.

Everything goes window by window. What is found in a window of a slide is kept until its files are whole, so that a run
that was stopped goes on where it was, and memory does not grow with the slide.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from her2scope.annotations.trace import trace_windows
from her2scope.annotations.write import write_geojson
from her2scope.app.pixel_images import Opened, SlidePixels, find_images, open_image, stem_of
from her2scope.domain.errors import BadInputError
from her2scope.imaging.files import write_png
from her2scope.imaging.opencv import cv2
from her2scope.records import Mask, RgbImage
from her2scope.segmentation.region_model import OnnxRegionModel, load_region_model, resized
from her2scope.slides.progress import duration

TILE_PX = 512
"""Of the written TIFF files, and the windows of a slide are so large: one keeps what the other writes."""
LEVELS = 255
"""Value of a probability of 1 in the map."""
OVERVIEW_PX = 2000
"""Longest side of the picture with what was found."""
TINT = 0.35
COLOURS = ((230, 159, 0), (0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (240, 228, 66))
"""Okabe and Ito: told apart by colour-blind readers, on blue, pink and brown tissue."""
COLOUR_NAMES = ("orange", "blue", "vermilion", "green", "purple", "sky blue", "yellow")
GLASS_LEVEL = 232
"""A window of a slide in which no pixel is darker, in any channel, is glass: background, without asking the model."""
FILES = MASK, MAP, REGIONS, OVERLAY = "_mask.tif", "_probability.tif", "_regions.geojson", "_overlay.png"
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ApplyRequest:
    """What a model is applied to."""

    model: Path
    images: Sequence[Path]
    um_per_px: float | None
    """Of the images; slides tell their own."""
    out: Path
    threads: int = 0
    tolerance_px: float = 0.5
    """By how much outlines may be simplified, in pixels of the mask; 0 keeps every corner."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What the model says of a part of a mask."""

    left_px: int
    top_px: int
    labels: Mask
    levels: NDArray[np.uint8]
    """`(C - 1, h, w)` probability of each class but the background, `LEVELS` for 1."""


class Grid:
    """The mask of an image or slide in windows: rows of tiles from the top, left to right."""

    def __init__(self, size_wh: tuple[int, int], scale: float, um_per_px: float) -> None:
        self.size_wh, self.scale, self.um_per_px = size_wh, scale, um_per_px
        self.rows, self.columns = (-(-side // TILE_PX) for side in (size_wh[1], size_wh[0]))

    def __len__(self) -> int:
        return self.rows * self.columns

    def box(self, number: int) -> tuple[int, int, int, int]:
        """Left, top, width and height of a window."""
        row, column = divmod(number, self.columns)
        left, top = column * TILE_PX, row * TILE_PX
        return left, top, min(TILE_PX, self.size_wh[0] - left), min(TILE_PX, self.size_wh[1] - top)


def apply_model(request: ApplyRequest, told: Told) -> list[str]:
    """Apply a model to each image and write its four files; an image is whole or not written."""
    model = load_region_model(request.model, request.threads)
    images = find_images(request.images)
    _check_folder(request.out, images)
    found = {path: _checked(path, request.um_per_px, model) for path in images}
    _make_folder(request.out)
    lines = []
    for path in images:
        told(f"{path.name}: {found[path]}")
        lines.append(_applied(path, request, model, told))
    return lines


def _checked(path: Path, um_per_px: float | None, model: OnnxRegionModel) -> str:
    """Size and scale of an image that can be read and is fine enough: found out before any is worked on."""
    opened = open_image(path, um_per_px)
    try:
        opened.scale(model.um_per_px)
        own = " as the file tells" if opened.slide is not None and opened.slide.um_per_px else ""
        return f"{opened.size_wh[0]} x {opened.size_wh[1]} px of {opened.um_per_px:.4g} um{own}"
    finally:
        opened.close()


def _check_folder(out: Path, images: Sequence[Path]) -> None:
    """No result lies among the images: it might take a file's place there, and be taken for an image itself."""
    own = os.path.realpath(out)
    beside = [path for path in images if os.path.realpath(path.parent) == own]
    if beside:
        raise BadInputError(
            f"{out}: holds {beside[0].name} itself. Give another --out: results never lie among images."
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{folder}: cannot be made ({error.strerror}). Give another folder.") from error


def _applied(path: Path, request: ApplyRequest, model: OnnxRegionModel, told: Told) -> str:
    opened = open_image(path, request.um_per_px)
    try:
        is_slide = opened.slide is not None
        windows = _of_slide(opened, request.out, model, told) if is_slide else _of_image(opened, model)
        shares = _written(windows, opened, model, request)
        windows.forget()
    except OSError as error:
        raise BadInputError(
            f"{request.out}: cannot be written ({error.strerror}). Check the folder and the free space; the same "
            "command goes on from there."
        ) from error
    finally:
        opened.close()
    found = ", ".join(
        f"{name} {100 * share:.1f} % ({COLOUR_NAMES[k % len(COLOURS)]})"
        for k, (name, share) in enumerate(zip(model.classes[1:], shares, strict=True))
    )
    return f"{path.name}: {found} of the picture; {request.out / stem_of(path)}{MASK}"


# ---- windows ------------------------------------------------------------------------------------------------------


class Windows:
    """All windows of an image or slide, any number of times."""

    grid: Grid

    def __getitem__(self, number: int) -> Window:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Window]:
        return (self[number] for number in range(len(self.grid)))

    def overview(self, columns: int, rows: int) -> RgbImage:
        """All of the picture, small."""
        raise NotImplementedError

    def forget(self) -> None:
        """Remove what was kept aside."""


class _InMemory(Windows):
    """Of an image: at its own size, whatever the model's scale is."""

    def __init__(self, rgb: RgbImage, probability: NDArray[np.float32], grid: Grid) -> None:
        self.grid, self._rgb = grid, rgb
        self._labels, self._levels = _in_levels(probability)

    def __getitem__(self, number: int) -> Window:
        left, top, width, height = self.grid.box(number)
        rows, columns = slice(top, top + height), slice(left, left + width)
        return Window(left, top, self._labels[rows, columns], self._levels[:, rows, columns])

    def overview(self, columns: int, rows: int) -> RgbImage:
        return cv2.resize(self._rgb, (columns, rows), interpolation=cv2.INTER_AREA)


def _of_image(opened: Opened, model: OnnxRegionModel) -> Windows:
    rgb = opened.picture
    if rgb is None:
        raise ValueError("a slide is not held in memory")
    scale = opened.scale(model.um_per_px)
    small = model.at_own_scale(resized(rgb, scale))
    return _InMemory(rgb, at_size(small, scale, opened.size_wh), Grid(opened.size_wh, 1.0, opened.um_per_px))


def at_size(planes: NDArray[np.float32], scale: float, size_wh: tuple[int, int]) -> NDArray[np.float32]:
    """Planes at the model's scale, read at each pixel of the image."""
    if planes.shape[:0:-1] == size_wh:
        return planes
    # pixel x of the image lies at (x + 0.5) / scale - 0.5
    affine = np.array([[1 / scale, 0, 0.5 / scale - 0.5], [0, 1 / scale, 0.5 / scale - 0.5]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.stack([cv2.warpAffine(p, affine, size_wh, flags=how, borderMode=cv2.BORDER_REPLICATE) for p in planes])


def _in_levels(probability: NDArray[np.float32]) -> tuple[Mask, NDArray[np.uint8]]:
    return labels_of(probability), cv2.convertScaleAbs(probability[1:], alpha=LEVELS)


def labels_of(probability: NDArray[np.float32]) -> Mask:
    """The most probable class `(h, w)` of each pixel of `(C, h, w)`; of equal ones the first."""
    labels = np.zeros(probability.shape[1:], np.uint8)
    best = probability[0].copy()
    for k, plane in enumerate(probability[1:], 1):
        labels[plane > best] = k
        np.maximum(best, plane, out=best)
    return labels


class _Kept(Windows):
    """Of a slide, at the model's scale: each window in a file of its own until all is written."""

    def __init__(self, folder: Path, pixels: SlidePixels, grid: Grid) -> None:
        self.grid, self._folder, self._pixels = grid, folder, pixels

    def path(self, number: int) -> Path:
        """File of a window."""
        return self._folder / f"{number:07d}.npz"

    def __getitem__(self, number: int) -> Window:
        left, top, _, _ = self.grid.box(number)
        with np.load(self.path(number)) as kept:
            return Window(left, top, kept["labels"], kept["levels"])

    def overview(self, columns: int, rows: int) -> RgbImage:
        return self._pixels.overview(columns, rows)

    def forget(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _of_slide(opened: Opened, out: Path, model: OnnxRegionModel, told: Told) -> Windows:
    scale = opened.scale(model.um_per_px)
    pixels = SlidePixels(opened.reader(), scale)
    grid = Grid(pixels.size_wh, scale, model.um_per_px)
    folder = out / f".{stem_of(opened.path)}-{_digest(opened, model)}.parts"
    folder.mkdir(exist_ok=True)
    kept = _Kept(folder, pixels, grid)
    # where the power went off, a file may be there without its end
    missing = [number for number in range(len(grid)) if not zipfile.is_zipfile(kept.path(number))]
    if len(missing) < len(grid):
        told(f"{opened.path.name}: {len(grid) - len(missing)} of {len(grid)} windows are there already")
    began_s = time.monotonic()
    for done, number in enumerate(missing, 1):
        labels, levels = _in_levels(asked_of_slide(pixels, grid.box(number), model))
        aside = folder / "next.part"
        with aside.open("wb") as file:
            np.savez_compressed(file, labels=labels, levels=levels)
        os.replace(aside, kept.path(number))
        if done % 100 == 0:
            left_s = (time.monotonic() - began_s) / done * (len(missing) - done)
            told(f"{opened.path.name}: {done} of {len(missing)} windows, about {duration(left_s)} left")
    return kept


def _digest(opened: Opened, model: OnnxRegionModel) -> str:
    """Of what decides the windows: those of another model or another file are not gone on from."""
    status = opened.path.stat()
    card = model.card
    of_model = (model.sha256, model.um_per_px, len(model.classes), card.block_px, card.surroundings_px)
    facts = (of_model, opened.um_per_px, opened.size_wh, status.st_size, status.st_mtime_ns, TILE_PX)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]


def asked_of_slide(pixels: SlidePixels, box: tuple[int, int, int, int], model: OnnxRegionModel) -> NDArray[np.float32]:
    """Probabilities `(C, h, w)` of a window, which is shown with what the model looks at around it."""
    left, top, width, height = box
    block, around = model.card.block_px, model.card.surroundings_px
    # whole blocks from the slide's corner, so that windows give what the whole slide would
    first = [block * ((at - around) // block) for at in (left, top)]
    last = [block * -(-(at + side + around) // block) for at, side in ((left, width), (top, height))]
    rgb = pixels.rgb(first[0], first[1], last[0] - first[0], last[1] - first[1])
    rows = slice(top - first[1], top - first[1] + height)
    columns = slice(left - first[0], left - first[0] + width)
    if rgb[rows, columns].min() > GLASS_LEVEL:
        glass = np.zeros((len(model.classes), height, width), np.float32)
        glass[0] = 1.0
        return glass
    return model.at_own_scale(rgb)[:, rows, columns]


# ---- files --------------------------------------------------------------------------------------------------------


def _written(windows: Windows, opened: Opened, model: OnnxRegionModel, request: ApplyRequest) -> list[float]:
    """Write the files of an image aside, then put all in place; the share of each class in it."""
    stem = stem_of(opened.path)
    with tempfile.TemporaryDirectory(dir=request.out, prefix=f".{stem}-", suffix=".new") as aside:
        shares = _write_files(Path(aside, stem), windows, model, request.tolerance_px)
        for name in FILES:
            os.replace(_named(Path(aside, stem), name), _named(request.out / stem, name))
    return shares


def _write_files(start: Path, windows: Windows, model: OnnxRegionModel, tolerance_px: float) -> list[float]:
    classes = model.classes[1:]
    counts = np.zeros(len(model.classes), np.int64)
    for window in windows:
        counts += np.bincount(window.labels.ravel(), minlength=len(counts))
    about = {"model": model.name, "sha256": model.sha256, "um_per_px": windows.grid.um_per_px}
    labels = {"values": dict(enumerate(model.classes)), **about}
    _write_tiff(_named(start, MASK), windows, 1, lambda window, _: window.labels, labels)
    levels = {"planes": list(classes), "value_of_probability_1": LEVELS, **about}
    _write_tiff(_named(start, MAP), windows, len(classes), lambda window, k: window.levels[k], levels)
    scale = windows.grid.scale
    traced = trace_windows(((w.left_px, w.top_px, w.labels) for w in windows), classes, scale, tolerance_px * scale)
    write_geojson(traced, _named(start, REGIONS), dict(zip(classes, _colours(len(classes)), strict=True)))
    write_png(_named(start, OVERLAY), _overlay(windows, len(classes)))
    return (counts[1:] / counts.sum()).tolist()


def _named(start: Path, ending: str) -> Path:
    return start.with_name(start.name + ending)


def _write_tiff(
    path: Path, windows: Windows, n_planes: int, plane: Callable[[Window, int], Mask], about: dict[str, Any]
) -> None:
    """A tiled TIFF of `n_planes` pages, deflated. Its description says what the values mean."""

    def tiles(k: int) -> Iterator[Mask]:
        for window in windows:
            tile = np.zeros((TILE_PX, TILE_PX), np.uint8)
            values = plane(window, k)
            tile[: values.shape[0], : values.shape[1]] = values
            yield tile

    grid = windows.grid
    with tifffile.TiffWriter(path, bigtiff=grid.size_wh[0] * grid.size_wh[1] * n_planes > 1 << 31) as file:
        for k in range(n_planes):
            file.write(
                tiles(k), shape=(grid.size_wh[1], grid.size_wh[0]), dtype=np.uint8, tile=(TILE_PX, TILE_PX),
                compression="zlib", photometric="minisblack", metadata=None, software="her2scope",
                description=json.dumps(about) if k == 0 else None,
                resolution=(1e4 / grid.um_per_px,) * 2, resolutionunit="CENTIMETER",
            )  # fmt: skip


def _colours(n_classes: int) -> list[tuple[int, int, int]]:
    return [COLOURS[k % len(COLOURS)] for k in range(n_classes)]


def _overlay(windows: Windows, n_classes: int) -> RgbImage:
    """The picture, small where it is large, each class tinted and outlined."""
    width, height = windows.grid.size_wh
    factor = max(1.0, max(width, height) / OVERVIEW_PX)
    columns, rows = max(1, int(width / factor)), max(1, int(height / factor))
    labels = np.zeros((rows, columns), np.uint8)
    for window in windows:
        _put_small(labels, window, factor)
    rgb = windows.overview(columns, rows)
    for k, colour in enumerate(_colours(n_classes), 1):
        own = (labels == k).astype(np.uint8)
        tinted = cv2.addWeighted(rgb, 1 - TINT, np.full_like(rgb, colour), TINT, 0)
        cv2.copyTo(tinted, own, rgb)
        edges, _ = cv2.findContours(own, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(rgb, edges, -1, colour, 1)
    return rgb


def _put_small(labels: Mask, window: Window, factor: float) -> None:
    """Labels of a window, at the places of the small picture whose middles lie in it."""
    height, width = window.labels.shape
    (top, bottom), (left, right) = (
        (int(np.ceil(first / factor - 0.5)), int(np.ceil((first + side) / factor - 0.5)))
        for first, side in ((window.top_px, height), (window.left_px, width))
    )
    rows = np.arange(max(0, top), min(labels.shape[0], bottom))
    columns = np.arange(max(0, left), min(labels.shape[1], right))
    own_rows, own_columns = (
        np.clip(((at + 0.5) * factor).astype(np.intp) - first, 0, side - 1)
        for at, first, side in ((rows, window.top_px, height), (columns, window.left_px, width))
    )
    labels[np.ix_(rows, columns)] = window.labels[np.ix_(own_rows, own_columns)]
