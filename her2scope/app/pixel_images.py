"""Images and slides with their annotations, as the pixelwise classifier learns from them and is applied to them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from her2scope.annotations.files import ANNOTATION_SUFFIXES, ASAP_SUFFIX, UNCLASSIFIED, read_annotations
from her2scope.annotations.shapes import Annotations
from her2scope.cameras.registry import SLIDE_SUFFIXES
from her2scope.cameras.slide_readers import open_slide, scanned_corner_px
from her2scope.domain.errors import BadInputError, UnreadableImageError
from her2scope.imaging.files import IMAGE_SUFFIXES, read_rgb
from her2scope.imaging.opencv import cv2
from her2scope.phantom.slide_file import SUFFIX as PHANTOM_SUFFIX
from her2scope.phantom.slide_file import is_phantom_slide, phantom_stem
from her2scope.ports import SlideReader
from her2scope.records import RgbImage
from her2scope.segmentation.region_model import resized

TIFF_SUFFIXES = (".tif", ".tiff")
HELD_PX = 24_000_000
"""A slide of at most so many pixels of the model's scale is read once and held in memory."""
READ_PX = 1024
"""Side of what is read of a slide at once, in pixels of the model's scale."""
SAME_SCALE = 0.06
"""A level of a slide that is coarser than the model by no more than this is taken for the model's scale."""
MOST_COARSER = 1.25
"""Beyond it an image would have to be blown up to what it does not show."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An image or slide, and the file that outlines what is in it."""

    image: Path
    annotations: Path | None
    """None: nothing in it is of any class."""

    @property
    def name(self) -> str:
        """By which the two belong together."""
        return stem_of(self.image)


def stem_of(path: Path) -> str:
    """Name of an image without what only says its kind."""
    return phantom_stem(path)


def find_images(given: Sequence[Path]) -> list[Path]:
    """Images and slides: files as given, and those of folders in the order of their names.

    Raises BadInputError where there is none, or two have one name: annotations and results could not be told apart.
    """
    found: list[Path] = []
    for path in given:
        found += _in_folder(path) if path.is_dir() else [path]
    taken: dict[str, Path] = {}
    for path in found:
        other = taken.setdefault(stem_of(path), path)
        if other is not path:
            raise BadInputError(f"{path} and {other} have the same name before the dot. Rename one of them.")
    return found


def _in_folder(folder: Path) -> list[Path]:
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith("."))
    except OSError as error:
        raise BadInputError(
            f"{folder}: the folder cannot be read ({error.strerror}). Check its permissions."
        ) from error
    known = (*IMAGE_SUFFIXES, *SLIDE_SUFFIXES, PHANTOM_SUFFIX)
    images = [folder / name for name in names if name.lower().endswith(known)]
    beside = {path.stem for path in images if path.suffix.lower() != ".png"}
    # a mask lies beside its image under the same name
    images = [path for path in images if path.suffix.lower() != ".png" or path.stem not in beside]
    if not images:
        raise BadInputError(f"{folder}: no image or slide in this folder. Read are {', '.join(known)}.")
    return images


def pair_up(given: Sequence[Path], folder: Path, empty_without: bool = False) -> list[Pair]:
    """Images with their annotations, which have the image's name in `folder`.

    Parameters
    ----------
    empty_without : an image without annotations holds background alone; else it is refused

    Raises
    ------
    BadInputError
        For images without annotations, annotations without an image (where all images of a folder are meant), and two
        files of annotations for one image; each says which.
    """
    images = find_images(given)
    if not folder.is_dir():
        raise BadInputError(f"{folder}: no such folder of annotations. Check the path.")
    files = _annotations_in(folder, images)
    lacking = [path.name for path in images if stem_of(path) not in files]
    if lacking and not empty_without:
        raise BadInputError(
            f"{folder}: no annotations for {some_of(lacking)}. Outline something in them, leave them out, or say with "
            "--empty that images without annotations hold none of the classes."
        )
    stems = {stem_of(path) for path in images}
    if any(path.is_dir() for path in given) and (alone := sorted(set(files) - stems)):
        raise BadInputError(
            f"{folder}: no image for the annotations {some_of(alone)}. Put the images there, or the files away."
        )
    return [Pair(path, files.get(stem_of(path))) for path in images]


def _annotations_in(folder: Path, images: Sequence[Path]) -> dict[str, Path]:
    """Files of annotations by the name of their image."""
    own, stems = {os.path.realpath(path) for path in images}, {stem_of(path) for path in images}
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        is_one = path.suffix.lower() in ANNOTATION_SUFFIXES and path.is_file() and not path.name.startswith(".")
        if not is_one or os.path.realpath(path) in own:
            continue
        other = found.setdefault(path.stem, path)
        if other is not path and path.stem in stems:
            raise BadInputError(f"{folder}: {other.name} and {path.name} annotate the same image. Put one away.")
    return found


def some_of(names: Sequence[str]) -> str:
    """Names for a line of text."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


# ---- pixels -------------------------------------------------------------------------------------------------------


class Pixels(Protocol):
    """An image or slide at the model's scale (`training.pixels.grounds.Reading`)."""

    size_wh: tuple[int, int]
    is_mirrored: bool

    def rgb(self, left_px: int, top_px: int, width: int, height: int) -> RgbImage:
        """`(height, width, 3)`; white beyond a slide."""

    def overview(self, columns: int, rows: int) -> RgbImage:
        """`(rows, columns, 3)`: all of it, small."""


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """An image or slide that was opened."""

    path: Path
    size_wh: tuple[int, int]
    """At full resolution."""
    um_per_px: float
    """At full resolution."""
    picture: RgbImage | None
    """All of an image; None of a slide."""
    slide: SlideReader | None

    def scale(self, work_um_per_px: float) -> float:
        """Pixels of the full resolution to one of the model, along each side."""
        scale = work_um_per_px / self.um_per_px
        if scale * MOST_COARSER < 1.0:
            raise BadInputError(
                f"{self.path}: {self.um_per_px:.3g} um/px is coarser than the model's {work_um_per_px:.3g}: it would "
                "have to be blown up to what it does not show. Take a finer image, or check the pixel size."
            )
        return scale

    def reader(self) -> SlideReader:
        """Of a slide; only asked where there is no picture."""
        if self.slide is None:
            raise ValueError(f"{self.path} is no slide")
        return self.slide

    def close(self) -> None:
        """Let go of the file."""
        if self.slide is not None:
            self.slide.close()


class NoScaleError(BadInputError):
    """Nobody says how large a pixel is."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: the file does not tell the size of its pixels. Give it with --um-per-px X.")


def open_image(path: Path, um_per_px: float | None) -> Opened:
    """Open an image, or a slide, which tells its own pixel size; `um_per_px` holds where it tells none.

    A TIFF that is no picture of one field is opened as a slide. Raises UnreadableImageError, and NoScaleError where
    neither says how large a pixel is.
    """
    if is_phantom_slide(path) or path.suffix.lower() in SLIDE_SUFFIXES:
        return _opened_slide(path, um_per_px)
    try:
        rgb = read_rgb(path)
    except UnreadableImageError:
        if path.suffix.lower() not in TIFF_SUFFIXES or not path.is_file():
            raise
        try:
            return _opened_slide(path, um_per_px)
        except NoScaleError:
            raise
        except BadInputError:
            pass
        raise
    if um_per_px is None:
        raise NoScaleError(path)
    return Opened(path, (rgb.shape[1], rgb.shape[0]), um_per_px, rgb, None)


def _opened_slide(path: Path, um_per_px: float | None) -> Opened:
    reader = open_slide(path)
    full = reader.levels[0]
    scale = reader.um_per_px or um_per_px
    if scale is None:
        reader.close()
        raise NoScaleError(path)
    return Opened(path, (full.width_px, full.height_px), scale, None, reader)


class SlidePixels:
    """A slide at a model's scale, read from the coarsest level that is fine enough. May be read by several threads.

    Windows begin at whole pixels of that level: they lie beside their place by half a pixel of it at most.
    """

    is_mirrored = False

    def __init__(self, reader: SlideReader, scale: float) -> None:
        self._reader = reader
        fine = [n for n, level in enumerate(reader.levels) if level.downsample <= scale * (1.0 + SAME_SCALE)]
        self._level = max(fine, key=lambda n: reader.levels[n].downsample) if fine else 0
        self._factor = scale / reader.levels[self._level].downsample
        full = reader.levels[0]
        self.size_wh = max(1, round(full.width_px / scale)), max(1, round(full.height_px / scale))

    def rgb(self, left_px: int, top_px: int, width: int, height: int) -> RgbImage:
        """See `Pixels`."""
        left, top, right, bottom = (
            round(at * self._factor) for at in (left_px, top_px, left_px + width, top_px + height)
        )
        read = self._reader.region(self._level, left, top, max(1, right - left), max(1, bottom - top))
        how = cv2.INTER_AREA if self._factor > 1.0 else cv2.INTER_LINEAR
        return cv2.resize(read, (width, height), interpolation=how)

    def overview(self, columns: int, rows: int) -> RgbImage:
        """See `Pixels`; of the coarsest level, in parts."""
        number = len(self._reader.levels) - 1
        level = self._reader.levels[number]
        found = np.empty((rows, columns, 3), np.uint8)
        for first_row, last_row, top, bottom in _parts(rows, level.height_px):
            for first, last, left, right in _parts(columns, level.width_px):
                part = self._reader.region(number, left, top, right - left, bottom - top)
                size_wh = last - first, last_row - first_row
                found[first_row:last_row, first:last] = cv2.resize(part, size_wh, interpolation=cv2.INTER_AREA)
        return found


def _parts(small: int, large: int) -> Iterator[tuple[int, int, int, int]]:
    """A side of an overview in parts: first and last of its pixels, and those of the level they are made from."""
    step = max(1, small * READ_PX // large)
    for first in range(0, small, step):
        last = min(small, first + step)
        begin = min(large - 1, first * large // small)
        yield first, last, begin, max(begin + 1, last * large // small)


def picture_at(opened: Opened, work_um_per_px: float) -> RgbImage:
    """All of an image, or of a small slide, at the model's scale."""
    scale = opened.scale(work_um_per_px)
    if opened.picture is not None:
        return resized(opened.picture, scale)
    return whole_slide(SlidePixels(opened.reader(), scale))


def whole_slide(pixels: SlidePixels) -> RgbImage:
    """All of a small slide, read in parts."""
    width, height = pixels.size_wh
    rgb = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, READ_PX):
        for left in range(0, width, READ_PX):
            right, bottom = min(width, left + READ_PX), min(height, top + READ_PX)
            rgb[top:bottom, left:right] = pixels.rgb(left, top, right - left, bottom - top)
    return rgb


def annotations_of(pair: Pair, image: Opened, classes: Sequence[str], check_scale: bool = True) -> Annotations:
    """What is outlined in an image; nothing where it has no file.

    What names no class is of the only one asked for. In a mask of several classes value 1 is the first, and so on, as
    in the masks that `pixels apply` writes.

    Parameters
    ----------
    check_scale : refuse outlines that fill one corner alone, as those of a smaller copy would
    """
    if pair.annotations is None:
        return Annotations(())
    default = classes[0] if len(classes) == 1 else UNCLASSIFIED
    is_asap_of_slide = pair.annotations.suffix.lower() == ASAP_SUFFIX and image.slide is not None
    corner_px = scanned_corner_px(pair.image) if is_asap_of_slide else (0, 0)
    return read_annotations(
        pair.annotations, image.size_wh, default_class=default,
        mask_classes=dict(enumerate(classes, 1)) if len(classes) > 1 else None,
        check_scale=check_scale, asap_corner_px=corner_px,
    )  # fmt: skip


def check_classes(wanted: Sequence[str], found: dict[str, Annotations]) -> None:
    """BadInputError where no image has a class that was asked for."""
    known = sorted({name for annotations in found.values() for name in annotations.classes})
    for name in wanted:
        if name not in known:
            there = f"The files have: {', '.join(known)}." if known else "The files have no class at all."
            raise BadInputError(f"no annotation is of class '{name}'. {there}")


def other_classes(wanted: Sequence[str], found: dict[str, Annotations]) -> tuple[str, ...]:
    """A line on outlines of classes that were not asked for, a misspelt one among them; empty where there is none."""
    counts = Counter(
        item.class_name for annotations in found.values() for item in annotations.items if item.class_name not in wanted
    )
    if not counts:
        return ()
    named = ", ".join(f"{name} ({n})" for name, n in sorted(counts.items()))
    return (f"outlines of classes that were not asked for, as if nobody had drawn them: {named}",)
