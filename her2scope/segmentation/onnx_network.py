"""The trained network run by ONNX Runtime: a picture at any scale in, maps at the network's scale out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from her2scope.imaging.opencv import cv2
from her2scope.records import RgbImage
from her2scope.segmentation.forms import PLANES, Floats, Outputs
from her2scope.segmentation.maps import NETWORK_UM_PER_PX, NetworkMaps
from her2scope.segmentation.model_card import ModelCard
from her2scope.segmentation.provider_choice import Choice, choose, on_processor
from her2scope.segmentation.sessions import CPU, first_line

BLOCK_PX = 16
"""The network's coarsest pixel: pictures are padded to a multiple of it."""
MOST_PX = 6_000_000
"""Larger pictures go through in tiles: memory is some 120 bytes per pixel, and 300 with a file of 32-bit numbers. A
frame of 12 MP, 3 million network pixels, goes through whole: in tiles of 1024 it took 1.5 times as long, all for what
tiles share, and a fifth less memory."""
TILE_PX = 2048
SAME_SCALE = 0.06
"""A whole factor of reduction is taken where it comes this close to the network's scale: the pixels then stay sharp and
the reduction costs a twentieth. The network learns from scales up to 12 % off."""


class OnnxNetwork:
    """A model of a card, loaded. Used by one thread at a time.

    A graphics card that fails in the middle of work is left: the frame it failed on, and all that follow, are analysed
    by the processor, with the same model file, and `note` says why.

    Parameters
    ----------
    card : ModelCard
        Says which files there are, with their digests.
    threads : int
        Of the processor; 0 leaves it to ONNX Runtime (one per core).
    file : str, optional
        Model file to run on the processor, instead of the one that suits this computer best.

    Raises
    ------
    SettingsError
        Where the model is missing, is not the card's, or does not run.
    """

    def __init__(self, card: ModelCard, threads: int = 0, file: str | None = None) -> None:
        self.card = card
        self._threads = threads
        self._choice = choose(card, threads) if file is None else Choice(on_processor(card, file, threads))

    @property
    def file(self) -> str:
        """The model file in use."""
        return self._choice.loaded.file

    @property
    def provider(self) -> str:
        """The processor it really runs on."""
        return self._choice.loaded.provider

    @property
    def note(self) -> str:
        """Why that is not the graphics card that seemed to be there; empty where there is nothing to say."""
        return self._choice.note

    @property
    def self_test_ms(self) -> float:
        """What asking a graphics card took at the start; 0 where none was asked."""
        return self._choice.self_test_ms

    @property
    def sha256(self) -> str:
        """Digest of the model file in use."""
        return self.card.sha256(self.file)

    def predict(self, rgb: RgbImage, um_per_px: float, white_rgb: Sequence[float]) -> NetworkMaps:
        """Maps of a picture.

        Parameters
        ----------
        rgb : (H, W, 3) uint8
        um_per_px : float
            Of the picture.
        white_rgb : three floats
            Its white, 0..255.

        Returns
        -------
        NetworkMaps
            Pixel `x` of them is `(x + 0.5) * k - 0.5` of the picture, `k` their `um_per_px` over the picture's, for
            both axes. The last row and column may end half a network pixel beside the picture's.
        """
        small, network_um_per_px = at_network_scale(rgb, um_per_px)
        size_hw = (small.shape[0], small.shape[1])
        below, right = (-side % BLOCK_PX for side in size_hw)
        whole = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_REFLECT) if below or right else small
        tiles = list(tiles_of(whole.shape[0], whole.shape[1], self.card.surroundings_px))
        if len(tiles) == 1:
            return maps_of_planes(self._planes(whole, white_rgb), size_hw, network_um_per_px)
        planes = {name: np.empty((n, *_reduced(whole.shape[:2], by)), np.float32) for name, (n, by) in PLANES.items()}
        for tile in tiles:
            found = self._planes(np.ascontiguousarray(whole[tile.seen]), white_rgb)
            for name, (_, by) in PLANES.items():
                planes[name][:, *_reduced_slices(tile.kept, by)] = found[name][
                    :, *_reduced_slices(tile.kept_of_seen, by)
                ]
        return maps_of_planes(planes, size_hw, network_um_per_px)

    def _planes(self, rgb: RgbImage, white_rgb: Sequence[float]) -> Outputs:
        """`forms.PLANES` of a picture, by the processor where a graphics card fails."""
        loaded = self._choice.loaded
        try:
            return loaded.run(rgb, white_rgb)
        except Exception as error:
            if loaded.provider == CPU:
                raise
            note = f"the graphics card failed and is not used any more: {first_line(error)}"
            own = on_processor(self.card, loaded.file, self._threads)
            self._choice = Choice(own, note, self.self_test_ms)
            return own.run(rgb, white_rgb)


# ---- picture in ---------------------------------------------------------------------------------------------------


def at_network_scale(rgb: RgbImage, um_per_px: float) -> tuple[RgbImage, float]:
    """The picture at about the network's scale, and the um per pixel that it then truly has, the same in x and y."""
    factor = NETWORK_UM_PER_PX / um_per_px
    whole = max(1, round(factor))
    if abs(whole / factor - 1) <= SAME_SCALE:
        factor = float(whole)
    factor = min(factor, float(min(rgb.shape[:2])))  # a pixel at least
    if factor == 1:
        return rgb, um_per_px
    how = cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR
    # by factor, not by size: a size in whole pixels would stretch x and y differently
    return cv2.resize(rgb, None, fx=1 / factor, fy=1 / factor, interpolation=how), um_per_px * factor


# ---- tiles --------------------------------------------------------------------------------------------------------

Cut = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a large picture, rows then columns."""

    kept: Cut
    """What its maps are kept of."""
    seen: Cut
    """What the network is shown: more, so that it sees around every pixel that is kept."""

    @property
    def kept_of_seen(self) -> Cut:
        """The kept part, counted from where the seen part begins."""
        rows, columns = (
            slice(kept.start - seen.start, kept.stop - seen.start)
            for kept, seen in zip(self.kept, self.seen, strict=True)
        )
        return rows, columns


def tiles_of(height: int, width: int, around_px: int, most_px: int | None = None) -> Iterator[Tile]:
    """Tiles of a picture of whole blocks, all cut between blocks; a picture of at most `most_px` is one tile."""
    if height * width <= (MOST_PX if most_px is None else most_px):
        whole = (slice(0, height), slice(0, width))
        yield Tile(whole, whole)
        return
    around_px = BLOCK_PX * math.ceil(around_px / BLOCK_PX)

    def seen(kept: slice, side: int) -> slice:
        return slice(max(0, kept.start - around_px), min(side, kept.stop + around_px))

    for rows in _spans(height):
        for columns in _spans(width):
            yield Tile((rows, columns), (seen(rows, height), seen(columns, width)))


def _spans(side_px: int) -> list[slice]:
    """A side in parts of nearly the same length, of at most `TILE_PX`, in whole blocks."""
    n_parts = math.ceil(side_px / TILE_PX)
    step = BLOCK_PX * math.ceil(side_px / n_parts / BLOCK_PX)
    return [slice(start, min(side_px, start + step)) for start in range(0, side_px, step)]


def _reduced(size_hw: Sequence[int], by: int) -> tuple[int, int]:
    return -(-size_hw[0] // by), -(-size_hw[1] // by)


def _reduced_slices(cut: Cut, by: int) -> Cut:
    rows, columns = (slice(part.start // by, part.stop // by) for part in cut)
    return rows, columns


# ---- maps out -----------------------------------------------------------------------------------------------------


def maps_of_planes(planes: Outputs, size_hw: tuple[int, int], um_per_px: float) -> NetworkMaps:
    """Maps of a picture of `size_hw` network pixels from `forms.PLANES`, of which the padding is cut off."""

    def cut(name: str) -> Floats:
        height, width = _reduced(size_hw, PLANES[name][1])
        return np.ascontiguousarray(planes[name][:, :height, :width])

    nucleus, centre, tumour = cut("nuclei")
    return NetworkMaps(
        membrane=cut("membrane")[0], nucleus=nucleus, centre=centre, tumour=tumour, offset_um=cut("offset_um"),
        tissue=cut("tissue")[0], reach_um=cut("reach_um"), um_per_px=um_per_px,
    )  # fmt: skip
