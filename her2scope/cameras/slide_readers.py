"""Whole slides behind `ports.SlideReader`: through OpenSlide, else through tiffslide (both of the extra `slides`).

A phantom slide (`*.phantom.yaml`) needs neither.

Some scanners (MIRAX, Leica, Ventana) store a large empty ground and tell which part of it was scanned: that part alone
is the slide, as in QuPath, so that places agree with its outlines. ASAP shows the whole ground (`scanned_corner_px`).

A colour profile in the file is not applied, as with images: the calibration says how the scanner responds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from her2scope.cameras.phantom_slides import PhantomSlideReader
from her2scope.domain.errors import BadInputError, NotAvailableError, UnreadableImageError
from her2scope.phantom.slide_file import is_phantom_slide
from her2scope.ports import SlideLevel, SlideReader
from her2scope.records import RgbImage

INSTALL = "Install it with: pip install 'her2scope[slides]'."
SQUARE_SHARE = 0.01
"""How much longer than high a pixel may be; beyond it an outline would be measured wrongly."""
_REMEDY = "Copy it again, or export it as a tiled pyramidal TIFF."


def open_slide(path: Path) -> SlideReader:
    """Open a slide by the first program that is installed and can read it.

    Raises UnreadableImageError for a file that is missing, damaged or of an unknown kind, and NotAvailableError where
    no program is installed.
    """
    if not path.is_file():
        raise UnreadableImageError(path, "no such slide file", "Check the path.")
    if is_phantom_slide(path):
        return PhantomSlideReader(path)
    failures: list[BadInputError] = []
    for opener in READERS.values():
        try:
            return opener(path)
        except (NotAvailableError, UnreadableImageError) as error:
            failures.append(error)
    raise next((error for error in failures if isinstance(error, UnreadableImageError)), failures[0])


def scanned_corner_px(path: Path) -> tuple[int, int]:
    """Where a slide begins within what programs show that do not know which part was scanned; 0, 0 for most slides."""
    with closing(open_slide(path)) as reader:
        return reader.corner_px if isinstance(reader, _Reader) else (0, 0)


class _Reader:
    """What both programs share: they offer the same calls, and differ in names and in what lies beyond the slide."""

    def __init__(self, path: Path, slide: Any, vendor: str) -> None:
        self._path, self._slide, self._is_closed = path, slide, False
        properties = slide.properties
        try:
            self._um_per_px = _um_per_px(path, properties, f"{vendor}.mpp-x", f"{vendor}.mpp-y")
        except UnreadableImageError:
            slide.close()
            raise
        sizes = [(int(width), int(height)) for width, height in slide.level_dimensions]
        scanned = scanned_part(properties, vendor, sizes[0])
        self._corner_px = (0, 0) if scanned is None else scanned[:2]
        self._levels = tuple(
            SlideLevel(*(size if scanned is None else _cut(size, scanned[2:], downsample)), float(downsample))
            for size, downsample in zip(sizes, slide.level_downsamples, strict=True)
        )

    @property
    def levels(self) -> tuple[SlideLevel, ...]:
        """From the full resolution to the coarsest."""
        return self._levels

    @property
    def um_per_px(self) -> float | None:
        """Pixel size at full resolution; None where the file does not tell."""
        return self._um_per_px

    @property
    def corner_px(self) -> tuple[int, int]:
        """Where the scanned part begins in what the file calls its full resolution: there all places are 0, 0."""
        return self._corner_px

    def region(self, level: int, left_px: int, top_px: int, width_px: int, height_px: int) -> RgbImage:
        """Read a region, see `ports.SlideReader`."""
        size = self._levels[level]
        rgb = np.full((height_px, width_px, 3), 255, np.uint8)
        left, top = max(left_px, 0), max(top_px, 0)
        right, bottom = min(left_px + width_px, size.width_px), min(top_px + height_px, size.height_px)
        if left < right and top < bottom:  # the programs do not agree on what lies beyond
            corner = (
                self._corner_px[0] + round(left * size.downsample),
                self._corner_px[1] + round(top * size.downsample),
            )
            try:
                inside = self._read(corner, level, (right - left, bottom - top))
            except Exception as error:  # each format fails in its own way
                raise UnreadableImageError(self._path, f"a part of it cannot be read ({error})", _REMEDY) from error
            rgb[top - top_px : bottom - top_px, left - left_px : right - left_px] = inside
        return rgb

    def close(self) -> None:
        """Let go of the file. Safe to call twice."""
        if not self._is_closed:
            self._is_closed = True
            self._slide.close()

    def _read(self, corner_px: tuple[int, int], level: int, size_wh: tuple[int, int]) -> RgbImage:
        """Region within the slide; its corner in pixels of the full resolution."""
        raise NotImplementedError


class OpenSlideReader(_Reader):
    """Aperio, Hamamatsu, 3DHistech, Leica, Philips and other scanners' files, DICOM, and generic tiled TIFF."""

    def __init__(self, path: Path) -> None:
        try:
            import openslide
        except (ImportError, OSError) as error:  # the package, or the library below it
            raise _not_installed("OpenSlide") from error
        self._open: Callable[[], Any] = lambda: openslide.OpenSlide(str(path))
        try:
            slide = self._open()
        except (openslide.OpenSlideError, OSError) as error:
            raise UnreadableImageError(path, f"not a slide that OpenSlide can read ({error})", _REMEDY) from error
        super().__init__(path, slide, "openslide")

    def _read(self, corner_px: tuple[int, int], level: int, size_wh: tuple[int, int]) -> RgbImage:
        slide = self._slide
        try:
            return _on_white(np.asarray(slide.read_region(corner_px, level, size_wh)))
        except Exception:
            # After one failure it refuses all other places. Other threads may be in it: it is closed when they leave.
            if slide is self._slide:
                self._slide = self._open()
            raise


class TiffSlideReader(_Reader):
    """TIFF-based files (Aperio and generic): in pure Python, so also where OpenSlide's library is not to be had."""

    def __init__(self, path: Path) -> None:
        try:
            import tiffslide
        except ImportError as error:
            raise _not_installed("tiffslide") from error
        self._lock = Lock()  # it does not promise to bear several threads
        try:
            slide = tiffslide.TiffSlide(str(path))
        except Exception as error:  # damaged files make it fail in many ways
            raise UnreadableImageError(path, f"not a slide that tiffslide can read ({error})", _REMEDY) from error
        super().__init__(path, slide, "tiffslide")

    def _read(self, corner_px: tuple[int, int], level: int, size_wh: tuple[int, int]) -> RgbImage:
        with self._lock:
            rgb = self._slide.read_region(corner_px, level, size_wh, as_array=True)
        if rgb.dtype != np.uint8 or rgb.shape[2:] != (3,):
            raise ValueError(f"its pixels are {rgb.dtype} {rgb.shape[2:]}, not 8-bit RGB")
        return rgb


READERS: Mapping[str, Callable[[Path], SlideReader]] = {"OpenSlide": OpenSlideReader, "tiffslide": TiffSlideReader}
"""The programs by name, the one that reads more first."""


def _not_installed(program: str) -> NotAvailableError:
    error = NotAvailableError("program for slides", program, [])
    error.args = (f"slides need OpenSlide or tiffslide, and {program} is not installed. {INSTALL}",)
    return error


def _on_white(rgba: np.ndarray) -> RgbImage:
    """Colours of a picture whose see-through parts (never scanned) show white."""
    alpha = rgba[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    share = alpha.astype(np.float32) / 255.0
    return np.rint(rgba[..., :3] * share + 255.0 * (1.0 - share)).astype(np.uint8)


def scanned_part(
    properties: Mapping[str, Any], vendor: str, size_wh: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """Left, top, width and height (px) of what was scanned; None where the file does not tell, or it is all."""
    try:
        left, top, width, height = (
            int(properties[f"{vendor}.bounds-{name}"]) for name in ("x", "y", "width", "height")
        )
    except (KeyError, TypeError, ValueError):
        return None
    if left < 0 or top < 0 or width < 1 or height < 1 or left + width > size_wh[0] or top + height > size_wh[1]:
        return None  # no part of the slide
    return None if (width, height) == size_wh else (left, top, width, height)


def _cut(size_wh: tuple[int, int], full_wh: Sequence[int], downsample: float) -> tuple[int, int]:
    """Size of the scanned part at a level."""
    width, height = (max(1, min(side, int(full / downsample))) for side, full in zip(size_wh, full_wh, strict=True))
    return width, height


def _um_per_px(path: Path, properties: Mapping[str, Any], *names: str) -> float | None:
    """Pixel size from the sizes along both sides; None where the file tells none that can be."""
    try:
        across_um, down_um = (float(properties[name]) for name in names)
    except (KeyError, TypeError, ValueError):
        return None
    if not (0 < across_um < np.inf and 0 < down_um < np.inf):
        return None
    if abs(across_um / down_um - 1.0) > SQUARE_SHARE:
        raise UnreadableImageError(
            path, f"its pixels are not square ({across_um:g} x {down_um:g} um)", "Export it with square pixels."
        )
    return (across_um + down_um) / 2.0
