"""Annotations read from whatever file they are in, by its suffix: ASAP's XML, QuPath's GeoJSON, a mask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from her2scope.annotations.asap import read_asap
from her2scope.annotations.drawn import DrawnShape, Repairs
from her2scope.annotations.errors import AGAIN, UnreadableAnnotationError
from her2scope.annotations.fit import fit
from her2scope.annotations.mask_png import read_mask
from her2scope.annotations.qupath import read_geojson
from her2scope.annotations.repair import mend
from her2scope.annotations.shapes import Annotation, Annotations, Polygon

UNCLASSIFIED = "unclassified"
"""Class of an annotation that names none, unless the caller has another for it."""
MASK_SUFFIX, ASAP_SUFFIX = ".png", ".xml"
_READERS: Mapping[str, Callable[[Path, Repairs, str], list[DrawnShape]]] = {
    ASAP_SUFFIX: read_asap,
    ".geojson": read_geojson,
    ".json": read_geojson,
}
ANNOTATION_SUFFIXES = (*_READERS, MASK_SUFFIX)
"""What can be read, in the order in which a file beside an image is looked for."""


def read_annotations(
    path: Path,
    size_wh: tuple[int, int] | None = None,
    *,
    default_class: str = UNCLASSIFIED,
    mask_classes: Mapping[int, str] | None = None,
    check_scale: bool = True,
    asap_corner_px: tuple[int, int] = (0, 0),
) -> Annotations:
    """Read annotations: by our convention of places, every polygon valid, each repair named.

    Parameters
    ----------
    path : Path
        ASAP's XML (`.xml`), GeoJSON as QuPath writes it (`.geojson`, `.json`), or a mask (`.png`).
    size_wh : (int, int), optional
        Of the image at full resolution. Outlines are cut at its edge; None: they are taken as they are.
    default_class : str
        Class of annotations that name none, and of a mask of one value.
    mask_classes : mapping of int to str, optional
        Class of each value of a mask; see `mask_png.read_mask`.
    check_scale : bool
        Refuse outlines that seem to be drawn on a smaller copy of the image; see `fit.fit`.
    asap_corner_px : (int, int)
        Where the image begins in what ASAP shows of it: the whole ground of a slide of which a part was scanned.

    Raises
    ------
    UnreadableAnnotationError
        For a file that is missing, damaged, of another kind, holds no area at all, or does not fit its image.
    """
    suffix = path.suffix.lower()
    if suffix not in ANNOTATION_SUFFIXES:
        kinds = ", ".join(ANNOTATION_SUFFIXES)
        raise UnreadableAnnotationError(path, f"annotations of this kind are not read (known: {kinds})")
    try:
        _check_file(path)
        if suffix == MASK_SUFFIX:
            found = read_mask(path, size_wh, mask_classes, default_class)
        else:
            corner_px = asap_corner_px if suffix == ASAP_SUFFIX else (0, 0)
            found = _read_outlines(path, suffix, size_wh, default_class, check_scale, corner_px)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        if isinstance(error, UnreadableAnnotationError):
            raise
        why = getattr(error, "strerror", None) or str(error)
        remedy = "Check the name and its permissions."
        raise UnreadableAnnotationError(path, f"cannot be read ({why})", remedy) from None
    if not found.items:
        why = (
            f"nothing is outlined in it ({'; '.join(found.repairs)})" if found.repairs else "nothing is outlined in it"
        )
        raise UnreadableAnnotationError(path, why, "Outline something, or leave the file away.")
    return found


def _read_outlines(
    path: Path,
    suffix: str,
    size_wh: tuple[int, int] | None,
    default_class: str,
    check_scale: bool,
    corner_px: tuple[int, int],
) -> Annotations:
    repairs = Repairs()
    shapes = _READERS[suffix](path, repairs, default_class)
    numbered = mend(path, shapes, repairs)
    if any(corner_px):
        numbered = [(number, _moved(item, corner_px)) for number, item in numbered]
    if size_wh is None:
        return Annotations(tuple(item for _, item in numbered), repairs.told())
    items = fit(path, numbered, size_wh, repairs, check_scale=check_scale)
    return Annotations(tuple(items), repairs.told())


def _moved(item: Annotation, corner_px: tuple[int, int]) -> Annotation:
    """An annotation by places from another corner."""
    away = np.array(corner_px, np.float64)
    return replace(
        item,
        polygons=tuple(
            Polygon(polygon.outer - away, tuple(hole - away for hole in polygon.holes)) for polygon in item.polygons
        ),
    )


def _check_file(path: Path) -> None:
    """Refuse what is no file with something in it."""
    if path.is_dir():
        raise UnreadableAnnotationError(path, "this is a folder", "Give a file of annotations.")
    if path.exists() and not path.is_file():
        raise UnreadableAnnotationError(path, "this is a device, not a file", "Give a file of annotations.")
    if not path.exists():
        raise UnreadableAnnotationError(path, "no such file", "Check the path.")
    if path.stat().st_size == 0:
        raise UnreadableAnnotationError(path, "the file is empty", AGAIN)


def class_counts(annotations: Annotations) -> dict[str, int]:
    """Number of annotations of each class, in alphabetical order."""
    return dict(sorted(Counter(item.class_name for item in annotations.items).items()))
