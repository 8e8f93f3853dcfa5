"""A region model run by ONNX Runtime: a picture at any scale in, probabilities of its classes at the model's scale out.

It is trained from polygons (`training.pixels`) and lies in a folder with a card that says so. A folder of the network
that finds cells is refused, and that network's loader refuses this: the one cannot stand for the other.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError, SettingsError
from her2scope.domain.units import checked_um_per_px
from her2scope.imaging.opencv import cv2
from her2scope.pipeline.region_gate import MAX_COARSER
from her2scope.records import RgbImage
from her2scope.segmentation.model_card import CARD, FULL
from her2scope.segmentation.sessions import CPU, Session, first_line, open_session

KIND = "her2scope.region/1"
"""What the card of a region model says under `kind`; other cards have no such entry."""
INPUT, OUTPUT = "rgb", "probabilities"
TILE_PX = 1024
"""Larger pictures go through in tiles: memory is some 150 bytes for each pixel that is shown at once."""
MOST_PX = 2_500_000
"""What goes through whole: a little more than one tile with its surroundings."""
_MAKE = "Make one with: her2scope pixels train"

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class RegionCard:
    """What `card.yaml` of a region model says."""

    folder: Path
    name: str
    um_per_px: float
    classes: tuple[str, ...]
    """The background first."""
    sha256: str
    """Of the model file."""
    block_px: int
    """Side of the network's coarsest pixel: it is shown whole multiples of it."""
    surroundings_px: int
    """How far around a pixel it looks: tiles of large pictures overlap by it."""
    entries: Mapping[str, Any]
    """All that the card says."""


class OnnxRegionModel:
    """A region model, loaded (`ports.RegionModel`). May be asked by several threads at once."""

    def __init__(self, card: RegionCard, session: Session) -> None:
        self.card, self._session = card, session
        self.name, self.sha256 = card.name, card.sha256
        self.um_per_px, self.classes = card.um_per_px, card.classes

    def probabilities(self, rgb: RgbImage, um_per_px: float) -> Floats:
        """Probability `(C, h, w)` of each class, see `ports.RegionModel`.

        Raises BadInputError where the picture is so coarse that it would have to be blown up to what it does not show.
        """
        return self.at_own_scale(at_scale(rgb, um_per_px, self))

    def at_own_scale(self, rgb: RgbImage) -> Floats:
        """The same of a picture that is at the model's scale already: `(C, H, W)`.

        Large ones go through in tiles, cut between the network's blocks and shown with all that it looks at: the
        probabilities are those of the whole picture.
        """
        height, width = rgb.shape[:2]
        below, right = (-side % self.card.block_px for side in (height, width))
        whole = cv2.copyMakeBorder(rgb, 0, below, 0, right, cv2.BORDER_REFLECT) if below or right else rgb
        found: Floats = np.empty((len(self.classes), *whole.shape[:2]), np.float32)
        for rows, columns in _tiles(whole.shape[0], whole.shape[1], self.card.block_px):
            (top, seen_rows), (left, seen_columns) = (
                _widened(part, side, self.card) for part, side in zip((rows, columns), whole.shape[:2], strict=True)
            )
            answer = self._run(np.ascontiguousarray(whole[seen_rows, seen_columns]))
            own = slice(top, top + rows.stop - rows.start), slice(left, left + columns.stop - columns.start)
            found[:, rows, columns] = answer[:, own[0], own[1]]
        return np.ascontiguousarray(found[:, :height, :width])

    def _run(self, rgb: RgbImage) -> Floats:
        answer: Floats = self._session.run([OUTPUT], {INPUT: rgb[None]})[0][0]
        if answer.shape != (len(self.classes), *rgb.shape[:2]):
            raise ValueError(f"its answer is {answer.shape}, not one plane for each of {len(self.classes)} classes")
        return answer


def load_region_model(folder: Path, threads: int = 0) -> OnnxRegionModel:
    """The region model in a folder; `threads` of the processor, 0 leaves them to ONNX Runtime.

    Raises
    ------
    SettingsError
        Where the folder holds none, or the network that finds cells; where its file is not the one that the card was
        written for; where the file does not run, or does not answer with one probability for each class.
    """
    card = read_region_card(folder)
    content = _content(card)
    try:
        model = OnnxRegionModel(card, open_session(content, [CPU], threads))
        side = 3 * card.block_px
        answer = model.at_own_scale(np.full((side, side, 3), 200, np.uint8))
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors share no base
        raise SettingsError(
            f"{folder / FULL}: ONNX Runtime cannot run this region model ({first_line(error)}). {_MAKE} --out DIR."
        ) from error
    if not np.allclose(answer.sum(axis=0), 1.0, atol=1e-3):
        raise SettingsError(f"{folder / FULL}: its answers are no probabilities of its classes. {_MAKE} again.")
    return model


def read_region_card(folder: Path) -> RegionCard:
    """The card of a region model; SettingsError for another folder."""
    path = folder / CARD
    if not folder.is_dir():
        raise SettingsError(f"{folder}: no such folder. Give the folder of a region model. {_MAKE} --out DIR.")
    if not path.is_file():
        raise SettingsError(f"{folder}: no {CARD} in it, so it is no model folder. {_MAKE} --out DIR.")
    try:
        entries: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read as a card ({first_line(error)}). {_MAKE} again.") from error
    kind = entries.get("kind") if isinstance(entries, dict) else None
    if kind != KIND:
        what = (
            "a model that finds cells" if isinstance(entries, dict) and "false_rates" in entries else "something else"
        )
        raise SettingsError(f"{folder}: {what}, not a region model (kind {KIND}). {_MAKE} --out DIR.")
    try:
        return _card(folder, entries)
    except (KeyError, ValueError, TypeError, BadInputError) as error:
        raise SettingsError(f"{path}: no readable model card ({first_line(error)}). {_MAKE} again.") from error


def _card(folder: Path, entries: Mapping[str, Any]) -> RegionCard:
    classes = tuple(str(name) for name in entries["classes"])
    if isinstance(entries["classes"], str) or len(classes) < 2 or len(set(classes)) != len(classes):
        raise ValueError("classes are a background and at least one more, each once")
    card = RegionCard(
        folder=folder,
        name=str(entries["name"]),
        um_per_px=checked_um_per_px(float(entries["um_per_px"])),
        classes=classes,
        sha256=str(entries["files"][FULL]).lower(),
        block_px=int(entries["block_px"]),
        surroundings_px=int(entries["surroundings_px"]),
        entries=entries,
    )
    if not 1 <= card.block_px <= 256 or not 0 <= card.surroundings_px <= 2048:
        raise ValueError("block_px and surroundings_px are out of range")
    return card


def _content(card: RegionCard) -> bytes:
    """Bytes of the model file; SettingsError unless they are those that the card was written for."""
    path = card.folder / FULL
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: the model cannot be read ({error.strerror}). {_MAKE} again.") from error
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise SettingsError(
            f"{path}: not the model that its card describes (sha256 {found[:12]}..., card {card.sha256[:12]}...). "
            "Put back the file that belongs to the card."
        )
    return content


# ---- picture in ---------------------------------------------------------------------------------------------------


def at_scale(rgb: RgbImage, um_per_px: float, model: OnnxRegionModel) -> RgbImage:
    """The picture at the model's scale: pixel `x` of it is `(x + 0.5) * k - 0.5` of the picture, `k` their ratio."""
    factor = model.um_per_px / um_per_px
    if factor < 1.0 / MAX_COARSER:
        raise BadInputError(
            f"the picture has {um_per_px:.3g} um/px, and region model {model.name} works at {model.um_per_px:.3g}: "
            "use a stronger objective, or another region model."
        )
    return resized(rgb, factor)


def resized(rgb: RgbImage, factor: float) -> RgbImage:
    """A picture made `factor` times smaller along each side; at least one pixel."""
    if math.isclose(factor, 1.0, rel_tol=1e-6):
        return rgb
    factor = min(factor, float(min(rgb.shape[:2])))
    how = cv2.INTER_AREA if factor > 1.0 else cv2.INTER_LINEAR
    # by factor, not by size: a size in whole pixels would stretch x and y differently
    return cv2.resize(rgb, None, fx=1.0 / factor, fy=1.0 / factor, interpolation=how)


def _tiles(height: int, width: int, block_px: int) -> Iterator[tuple[slice, slice]]:
    """What of a picture of whole blocks is asked for at once."""
    if height * width <= MOST_PX:
        yield slice(0, height), slice(0, width)
        return
    for rows in _spans(height, block_px):
        for columns in _spans(width, block_px):
            yield rows, columns


def _spans(side_px: int, block_px: int) -> Sequence[slice]:
    """A side in parts of nearly the same length, of at most about `TILE_PX`, in whole blocks."""
    n_parts = math.ceil(side_px / TILE_PX)
    step = block_px * math.ceil(side_px / n_parts / block_px)
    return [slice(start, min(side_px, start + step)) for start in range(0, side_px, step)]


def _widened(part: slice, side_px: int, card: RegionCard) -> tuple[int, slice]:
    """A part with what the network looks at around it, in whole blocks; and where in it the part begins."""
    around = card.block_px * math.ceil(card.surroundings_px / card.block_px)
    seen = slice(max(0, part.start - around), min(side_px, part.stop + around))
    return part.start - seen.start, seen
