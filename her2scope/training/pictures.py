"""Pictures of what the network answers, beside what it was shown and the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from her2scope.imaging.files import encode_png
from her2scope.imaging.opencv import cv2
from her2scope.records import Mask, RgbImage
from her2scope.training.batches import plain_batch
from her2scope.training.net import CellNet, Shipped
from her2scope.training.targets import INTENSE_LINE, ON_LINE


@torch.no_grad()
def draw_answers(net: CellNet, records: NDArray[np.void], path: Path) -> None:
    """Write a sheet with a row for each record: picture, membranes and nuclei as answered, the same in truth."""
    net.eval()
    picture, _ = plain_batch(records)
    membrane, nuclei, _ = Shipped(net)(picture)
    rows = [
        np.hstack(
            [
                _picture(record),
                _marked(
                    record, _bytes(membrane[i, 0].numpy()), _bytes(nuclei[i, 0].numpy()), _bytes(nuclei[i, 2].numpy())
                ),
                _marked(record, *_truth(record)),
            ]
        )
        for i, record in enumerate(records)
    ]
    path.write_bytes(encode_png(np.vstack(rows)))


def _bytes(probability: NDArray[np.float32]) -> Mask:
    return np.rint(255.0 * probability).astype(np.uint8)


def _picture(record: np.void) -> RgbImage:
    return np.clip(record["rgb"] / record["white"] * 255.0, 0.0, 255.0).astype(np.uint8)


def _truth(record: np.void) -> tuple[Mask, Mask, Mask]:
    membrane = np.where(record["membrane"] == INTENSE_LINE, 255, np.where(record["membrane"] == ON_LINE, 160, 0))
    nucleus = np.where(record["nucleus"] == 255, 90, record["nucleus"])
    return membrane.astype(np.uint8), nucleus.astype(np.uint8), (record["tumour"] == 1).astype(np.uint8) * 255


def _marked(record: np.void, membrane: Mask, nucleus: Mask, tumour: Mask) -> RgbImage:
    """Grey picture with membranes in red, nuclei of tumour in green and of others in blue."""
    grey = cv2.cvtColor(_picture(record), cv2.COLOR_RGB2GRAY).astype(np.float32)
    size = grey.shape[::-1]
    nucleus, tumour = (cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in (nucleus, tumour))
    inside, is_tumour = nucleus / 255.0, tumour / 255.0
    colours = np.stack([membrane / 255.0, inside * is_tumour, inside * (1.0 - is_tumour)], axis=2)
    weight = np.clip(colours.max(axis=2, keepdims=True), 0.0, 0.8)
    return ((1.0 - weight) * grey[:, :, None] * 0.8 + weight * 255.0 * colours).astype(np.uint8)
