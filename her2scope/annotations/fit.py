"""Do annotations fit their image? Cut at its edge, or refused where image or scale must be another one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from her2scope.annotations.drawn import Numbered, Repairs, called
from her2scope.annotations.errors import UnreadableAnnotationError
from her2scope.annotations.geometry import polygons_of, shape_of, shapes_of
from her2scope.annotations.shapes import Annotation, Polygon

OVERHANG_PX = 2.0
"""A pen that slips over the edge: one line for all such outlines."""
FAR_FACTOR = 1.1
"""Outlines that reach further than this times the image belong to another image or scale."""
CORNER_SHARE, LEAST_IN_CORNER, EQUAL_WITHIN = 0.55, 10, 0.15
"""So many outlines that fill this share of both sides, and begin at the corner, were drawn on a smaller copy."""
SAY_SO = "--no-scale-check"
"""Option of the commands that take outlines of one corner alone as they are."""
_RIGHT_SCALE = "Give annotations in pixels of this image at full resolution, or the image that they were drawn on."


def fit(
    path: Path,
    items: Sequence[Numbered],
    size_wh: tuple[int, int],
    repairs: Repairs,
    *,
    check_scale: bool = True,
) -> list[Annotation]:
    """Cut annotations at the edge of their image.

    Parameters
    ----------
    size_wh : (int, int)
        Of the image at full resolution.
    check_scale : bool
        Refuse outlines that all lie in the upper left corner as a smaller copy of the image would have them.

    Raises
    ------
    UnreadableAnnotationError
        Where one lies wholly outside, or all are drawn as if the image had another size; it names the factor.
    """
    if not items:
        return []
    first, last = _extents(items)
    size = np.array(size_wh, np.float64)
    _refuse_far(path, items, first, last, size)
    if check_scale:
        _refuse_corner(path, first, last, size)
    over_px = np.maximum(-0.5 - first, last - (size - 0.5)).max(axis=1)
    if (slight := (over_px > 0) & (over_px <= OVERHANG_PX)).any():
        outlines = "1 outline reaches" if slight.sum() == 1 else f"{slight.sum()} outlines reach"
        furthest = over_px[slight].max()
        repairs.note("cut at the edge", f"{outlines} up to {furthest:.1f} px beyond the image: cut at its edge")
    return [
        _cut(path, number, item, size, repairs, tell=over > OVERHANG_PX) if over > 0 else item
        for (number, item), over in zip(items, over_px, strict=True)
    ]


def _extents(items: Sequence[Numbered]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`(N, 2)` least and greatest x and y of each annotation."""
    bounds = shapely.bounds(shapes_of([polygon for _, item in items for polygon in item.polygons]))
    lengths = np.array([len(item.polygons) for _, item in items])
    starts = np.cumsum(lengths) - lengths
    return np.minimum.reduceat(bounds[:, :2], starts), np.maximum.reduceat(bounds[:, 2:], starts)


def _refuse_far(
    path: Path,
    items: Sequence[Numbered],
    first: NDArray[np.float64],
    last: NDArray[np.float64],
    size: NDArray[np.float64],
) -> None:
    """Refuse what reaches far beyond the image, or lies wholly outside it."""
    outside = ((last <= -0.5) | (first >= size - 0.5)).any(axis=1)
    factor = float(((last.max(axis=0) + 0.5) / size).max())
    picture = f"{size[0]:.0f} x {size[1]:.0f} px"
    if factor > FAR_FACTOR:
        where = f"outlines reach to {last[:, 0].max():.0f}, {last[:, 1].max():.0f}, the image has {picture}"
        larger = f"they look drawn on one {_likely(factor)} times as large"
        raise UnreadableAnnotationError(path, f"wrong scale or image? The {where}: {larger}", _RIGHT_SCALE)
    if outside.any():
        k = int(np.argmax(outside))
        number, item = items[k]
        place = ", ".join(f"{value:.0f}" for value in (first[k] + last[k]) / 2)
        why = f"{called(number, item.name)} (around {place}) lies wholly outside the image of {picture}"
        raise UnreadableAnnotationError(path, why, _RIGHT_SCALE)


def _likely(factor: float) -> str:
    """The power of two that a factor points to: outlines seldom reach the very edge, so it is no smaller."""
    power = 2.0 ** np.ceil(np.log2(factor / FAR_FACTOR))
    return f"{power:g}" if factor / power > 0.6 else f"at least {factor:.1f}"


def _refuse_corner(
    path: Path, first: NDArray[np.float64], last: NDArray[np.float64], size: NDArray[np.float64]
) -> None:
    """Refuse outlines that fill the upper left corner as those of a smaller copy would.

    A few lesions in one corner of a slide are no sign: it takes many outlines, that begin at the corner itself and
    reach equally far along both sides.
    """
    if len(first) < LEAST_IN_CORNER:
        return
    share = (last.max(axis=0) + 0.5) / size
    begins = (first.min(axis=0) + 0.5) / size
    equal = abs(share[0] - share[1]) <= EQUAL_WITHIN * share.max()
    if share.max() <= CORNER_SHARE and equal and (begins <= 0.1 * share).all():
        percent = f"{100 * share[0]:.0f} % x {100 * share[1]:.0f} %"
        why = f"wrong scale? All {len(first)} outlines fill the upper left {percent} of the image"
        smaller = f"they look drawn on one {1 / share.max():.1f} times smaller"
        remedy = f"{_RIGHT_SCALE} If no more of it was outlined, `pixels` takes {SAY_SO}."
        raise UnreadableAnnotationError(path, f"{why}: {smaller}", remedy)


def _cut(
    path: Path, number: int, item: Annotation, size: NDArray[np.float64], repairs: Repairs, *, tell: bool
) -> Annotation:
    """The part of an annotation that lies on the image."""
    picture = shapely.box(-0.5, -0.5, size[0] - 0.5, size[1] - 0.5)
    pieces: list[Polygon] = []
    before = after = 0.0
    for polygon in item.polygons:
        whole = shape_of(polygon)
        within = whole if picture.covers(whole) else shapely.intersection(whole, picture)
        before, after = before + whole.area, after + within.area
        pieces += [polygon] if within is whole else polygons_of(within)
    if not pieces:
        why = f"{called(number, item.name)} lies wholly outside the image"
        raise UnreadableAnnotationError(path, why, _RIGHT_SCALE)
    if tell:
        outside = f"{100 * (1 - after / before):.1f} % of its area"
        repairs.note(
            "cut at the edge", f"{called(number, item.name)}: {outside} lies beyond the image: cut at its edge"
        )
    return Annotation(item.name, item.class_name, tuple(pieces))
