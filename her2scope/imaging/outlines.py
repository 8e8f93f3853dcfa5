"""Cell outlines: closed contours of a mask, and membranes followed along rays from a nucleus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.records import Mask, Plane

FALLBACK_SHARE = 0.4
"""Of the reach, beyond the nucleus: where an outline is drawn when no membrane is seen (3 um of cytoplasm)."""
MAX_REMAP_ROWS = 32_000
"""cv2.remap takes maps of under 32767 rows."""
N_ANGLES = 36
"""Places along a ray outline: 10 degrees, about 1 um on a cell of 12 um."""


@dataclass(frozen=True, slots=True, eq=False)
class RayOutlines:
    """Outlines of N cells along `N_ANGLES` rays each."""

    radius_px: NDArray[np.float32]
    """`(N, A)` distance of the outline from the nucleus."""
    wall_od10: NDArray[np.float32]
    """`(N, A)` strongest membrane along the ray."""
    hit: NDArray[np.bool_]
    """`(N, A)` whether that membrane is stained."""


def enclosed_regions(mask: Mask, min_area_px: float, max_area_px: float) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """What a mask's closed contours enclose.

    Returns
    -------
    labels : (H, W) int32
        Regions of the complement, 0 on the mask.
    fits : (n,) bool
        Per label: closed (it does not touch the picture's border) and of an area within the limits.
    """
    _, labels = cv2.connectedComponents(1 - mask, connectivity=4)  # statistics would take twice the time
    area_px = np.bincount(labels.reshape(-1))
    fits = (area_px >= min_area_px) & (area_px <= max_area_px)
    for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        fits[border] = False
    fits[0] = False
    return labels, fits


def outlines_of_labels(labels: NDArray[np.int32]) -> Iterator[tuple[int, NDArray[np.int32]]]:
    """Label and outer outline `(M, 2)` (x, y) of the largest piece of each labelled region."""
    sorted_pixels = np.flatnonzero(labels)
    numbers = labels.reshape(-1)[sorted_pixels]
    order = np.argsort(numbers, kind="stable")
    sorted_pixels, numbers = sorted_pixels[order], numbers[order]
    if not len(numbers):
        return
    starts = np.flatnonzero(np.diff(numbers, prepend=0))
    for pixels, number in zip(np.split(sorted_pixels, starts[1:]), numbers[starts], strict=True):
        rows, columns = np.divmod(pixels, labels.shape[1])
        top, left = rows.min(), columns.min()
        patch = np.zeros((rows.max() - top + 1, columns.max() - left + 1), dtype=np.uint8)
        patch[rows - top, columns - left] = 1
        contours, _ = cv2.findContours(patch, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(int(left), int(top)))
        yield int(number), max(contours, key=len).reshape(-1, 2)


def sample_rays(
    plane: Plane, xy_px: NDArray[np.float32], radii_px: NDArray[np.float32], n_angles: int = N_ANGLES
) -> NDArray[np.float32]:
    """Values `(N, A, R)` along rays from N centres, bilinear, 0 outside the picture."""
    angles = np.linspace(0, 2 * np.pi, n_angles, endpoint=False, dtype=np.float32)
    x = xy_px[:, 0, None, None] + np.cos(angles)[None, :, None] * radii_px[None, None, :]
    y = xy_px[:, 1, None, None] + np.sin(angles)[None, :, None] * radii_px[None, None, :]
    n, _, r = x.shape
    x, y = x.reshape(n, -1), y.reshape(n, -1)
    parts = [
        cv2.remap(
            plane,
            x[start : start + MAX_REMAP_ROWS],
            y[start : start + MAX_REMAP_ROWS],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=0,
        )
        for start in range(0, n, MAX_REMAP_ROWS)
    ]
    flat = np.concatenate(parts) if parts else np.zeros((0, n_angles * r), np.float32)
    return flat.reshape(n, n_angles, r)


def covered_share(mask: Mask, xy_px: NDArray[np.float32], radius_px: NDArray[np.float32]) -> NDArray[np.float64]:
    """`(N,)` share of the places on a circle around each centre that lie on the mask."""
    angles = np.linspace(0, 2 * np.pi, N_ANGLES, endpoint=False)
    x = np.rint(xy_px[:, :1] + np.cos(angles) * radius_px[:, None]).astype(np.intp)
    y = np.rint(xy_px[:, 1:] + np.sin(angles) * radius_px[:, None]).astype(np.intp)
    height, width = mask.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    on_mask = mask[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] > 0
    return (inside & on_mask).mean(axis=1)


def follow_membrane(
    wall_od10: Plane, xy_px: NDArray[np.float32], nucleus_px: NDArray[np.float32], stained_od10: float, reach_px: float
) -> RayOutlines:
    """Strongest wall along each ray between a nucleus' rim and half way to the nearest neighbour in that direction."""
    radii_px = np.linspace(1.0, reach_px, 24, dtype=np.float32)
    values = sample_rays(wall_od10, xy_px, radii_px)
    allowed = radii_px[None, None, :] >= np.minimum(nucleus_px, 0.7 * reach_px)[:, None, None]
    allowed = allowed & (radii_px[None, None, :] <= _own_reach(xy_px, reach_px)[:, :, None])
    values = np.where(allowed, values, -1.0)
    best = values.argmax(axis=2)
    strongest = np.take_along_axis(values, best[:, :, None], axis=2)[:, :, 0]
    hit = strongest >= stained_od10
    fallback = np.minimum(nucleus_px + FALLBACK_SHARE * reach_px, reach_px)[:, None]
    radius = np.where(hit, radii_px[best], fallback).astype(np.float32)
    return RayOutlines(radius, np.maximum(strongest, 0).astype(np.float32), hit)


def _own_reach(xy_px: NDArray[np.float32], reach_px: float) -> NDArray[np.float32]:
    """`(N, A)` how far each ray may go before it is nearer to another nucleus (Voronoi cell), a tenth added."""
    angles = np.linspace(0, 2 * np.pi, N_ANGLES, endpoint=False, dtype=np.float32)
    direction = np.stack([np.cos(angles), np.sin(angles)])
    reach = np.full((len(xy_px), N_ANGLES), reach_px, dtype=np.float32)
    for i, centre in enumerate(xy_px):
        away = xy_px - centre
        distance = np.hypot(away[:, 0], away[:, 1])
        near = (distance > 0) & (distance < 2.2 * reach_px)
        if near.any():
            along = away[near] @ direction
            half = distance[near][:, None] ** 2 / (2 * np.maximum(along, 1e-3))
            reach[i] = np.minimum(reach_px, 1.1 * half.min(axis=0))
    return reach


def ring_places(centre_xy: NDArray[np.float32], radius_px: NDArray[np.float32]) -> NDArray[np.float32]:
    """Outline `(A, 2)` from a centre and one radius per angle."""
    angles = np.linspace(0, 2 * np.pi, len(radius_px), endpoint=False, dtype=np.float32)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius_px[:, None]
    return (centre_xy[None, :] + ring).astype(np.float32)
