"""Bands of the cells that a network finds in kept fields, and which of their places truly carry membrane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.false_cells import FalseRates
from her2scope.imaging.outline_places import N_PLACES, even_places
from her2scope.imaging.stains import unmix
from her2scope.records import Frame
from her2scope.segmentation.model_card import card_in
from her2scope.segmentation.network import NetworkSegmenter, bands_of
from her2scope.segmentation.onnx_network import OnnxNetwork
from her2scope.settings import Calibration, NetworkSettings
from her2scope.training.config import OutlineConfig
from her2scope.training.outlines.fields import KeptField, read_kept

SAME_UM = 3.0
"""A find is the true cell whose middle is this near."""


@dataclass(frozen=True, slots=True, eq=False)
class OutlineSamples:
    """Unrolled outlines of N cells that were found where a tumour cell is."""

    bands: NDArray[np.float16]
    """`(N, len(CHANNELS), N_PLACES)`."""
    level: NDArray[np.uint8]
    """`(N, N_PLACES)` `antigen.Level` at the nearest place of the true outline."""

    @staticmethod
    def joined(many: list[OutlineSamples]) -> OutlineSamples:
        """All in one."""
        return OutlineSamples(np.concatenate([one.bands for one in many]), np.concatenate([one.level for one in many]))


@cache
def network_of(config: OutlineConfig) -> OnnxNetwork:
    """The network of a run as it ships, loaded."""
    return OnnxNetwork(card_in(Path(config.model)), threads=1)


def read_all(config: OutlineConfig, paths: Sequence[Path]) -> Iterator[OutlineSamples]:
    """Samples of each kept field, in order."""
    if config.workers == 1:
        yield from (_read(config, path) for path in paths)
        return
    with ProcessPoolExecutor(config.workers, get_context("spawn")) as pool:
        yield from pool.map(_read, [config] * len(paths), paths, chunksize=8)


def _read(config: OutlineConfig, path: Path) -> OutlineSamples:
    segmenter = NetworkSegmenter(network_of(config), NetworkSettings(), FalseRates())
    return read_samples(segmenter, read_kept(path))


def read_samples(segmenter: NetworkSegmenter, field: KeptField) -> OutlineSamples:
    """Cells of one field. One that is found where the truth has none, or no tumour cell, teaches nothing."""
    frame = Frame(field.rgb, 0, 0.0, field.um_per_px)
    stains = unmix(frame.rgb, frame.um_per_px, Calibration())
    found = segmenter.find(frame, stains)
    outlines = found.tumour()
    row = _true_rows(outlines.xy_px, field)
    known = np.nonzero(row >= 0)[0]
    if not len(known):
        return OutlineSamples(
            np.empty((0, *bands_of(found, stains).shape[1:]), np.float16), np.empty((0, N_PLACES), np.uint8)
        )
    places_px = even_places(outlines.places_xy_px()[known], N_PLACES)[0]
    level = np.stack([_levels_at(xy, field, int(true)) for xy, true in zip(places_px, row[known], strict=True)])
    return OutlineSamples(bands_of(found, stains)[known].astype(np.float16), level)


def _true_rows(xy_px: NDArray[np.float32], field: KeptField) -> NDArray[np.int32]:
    """`(N,)` rows of the true outlines of finds, -1 where the nearest true cell is another's or too far."""
    if not len(field.xy_px) or not len(xy_px):
        return np.full(len(xy_px), -1, np.int32)
    away_um = field.um_per_px * np.hypot(*(xy_px[:, None] - field.xy_px).transpose(2, 0, 1))
    nearest = away_um.argmin(axis=1)
    return np.where(away_um.min(axis=1) <= SAME_UM, field.row[nearest], -1).astype(np.int32)


def _levels_at(places_px: NDArray[np.float32], field: KeptField, row: int) -> NDArray[np.uint8]:
    square = ((places_px[:, None] - field.outline_px[row]) ** 2).sum(axis=2)
    return field.level[row][square.argmin(axis=1)]
