"""InstanSeg (Goldsborough et al. 2024) from a TorchScript file that the user has: its weights are not ours to ship."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError
from her2scope.imaging.opencv import cv2
from her2scope.records import RgbImage

UM_PER_PX = 0.5
"""Scale that its brightfield model was trained at."""
LOW_PERCENTILE, HIGH_PERCENTILE = 0.1, 99.9
"""Each channel is stretched between these, as its own `_normalize` does."""


class InstanSeg:
    """The model, loaded; on the processor, with the threads that torch takes."""

    def __init__(self, path: Path) -> None:
        try:
            self._torch: Any = import_module("torch")
        except ImportError as error:
            raise BadInputError("torch is not installed: InstanSeg cannot be run.") from error
        if not path.is_file():
            raise BadInputError(f"{path}: no such file. Give InstanSeg's TorchScript file.")
        try:
            self._model = self._torch.jit.load(str(path), map_location="cpu").eval()
        except Exception as error:  # noqa: BLE001 - torch's errors share no base
            raise BadInputError(f"{path}: torch cannot load this file. Give InstanSeg's TorchScript file.") from error

    def nuclei_xy_px(
        self, rgb: RgbImage, um_per_px: float, read_at_um_per_px: float = UM_PER_PX
    ) -> NDArray[np.float64]:
        """Middles `(N, 2)` of the nuclei, in pixels of the picture, which it is shown at another scale."""
        factor = um_per_px / read_at_um_per_px
        small = cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) if factor < 1 else rgb
        torch = self._torch
        with torch.no_grad():
            found = self._model(torch.from_numpy(_stretched(small)[None]))
        maps = np.asarray(found)
        if maps.shape[-2:] != small.shape[:2]:
            raise BadInputError(
                f"the model answers with {maps.shape}, no labels of the picture. Give InstanSeg's file."
            )
        labels = maps.reshape(-1, *small.shape[:2])[0].astype(np.int32)
        scale = np.array([rgb.shape[1] / small.shape[1], rgb.shape[0] / small.shape[0]])
        return (middles_of(labels) + 0.5) * scale - 0.5


def _stretched(rgb: RgbImage) -> NDArray[np.float32]:
    planes = np.moveaxis(rgb, 2, 0).astype(np.float32)
    low, high = np.percentile(planes, (LOW_PERCENTILE, HIGH_PERCENTILE), axis=(1, 2), keepdims=True)
    return np.asarray((planes - low) / np.maximum(high - low, 1e-3), np.float32)


def middles_of(labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Middles `(N, 2)`, x and y, of the labelled regions in the order of their labels."""
    rows, columns = np.nonzero(labels)
    which = labels[rows, columns]
    n_px = np.bincount(which)
    sums = np.stack([np.bincount(which, columns), np.bincount(which, rows)], axis=1) if len(which) else np.zeros((0, 2))
    there = n_px > 0
    return np.asarray(sums[there] / n_px[there, None], np.float64)
