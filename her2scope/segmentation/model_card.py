"""A method's card: what it was measured to do, its false cells, and which model files it may be run with.

Read from `models/<name>/card.yaml`. A model is loaded only where its bytes have the digest that the card states: the
figures on the card are of that model and of no other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from her2scope.domain.cells import CellClass
from her2scope.domain.errors import BadInputError, SettingsError
from her2scope.domain.false_cells import FalseRates
from her2scope.resources import resource_dir

CARD = "card.yaml"
FULL, HALVED, QUANTISED = "model.onnx", "model.fp16.onnx", "model.int8.onnx"
"""Files of a network: 32-bit and, where there are, 16-bit numbers for a graphics card, 8-bit ones for a processor."""
OUTLINES = "outlines.onnx"
"""File of the reader of outlines that was trained with that network."""
SURROUNDINGS_PX = 256
"""How far around a pixel a network looks, where its card does not say."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class ModelCard:
    """What `card.yaml` of one method says."""

    folder: Path
    name: str
    task: str
    um_per_px: float
    """Scale that the method works at."""
    limits: tuple[str, ...]
    """What it cannot do, one sentence each."""
    false_rates: FalseRates
    channels: tuple[str, ...] = ()
    """Of a network's input, in order."""
    outputs: Mapping[str, tuple[str, ...]] | None = None
    """Of a network: the channels of each output, in order; None where they are not stated."""
    files: Mapping[str, str] | None = None
    """SHA-256 of each model file, in hex; None for a method without a network."""
    surroundings_px: int = SURROUNDINGS_PX
    """How far around a pixel the network looks: tiles of large pictures overlap by it."""

    def sha256(self, file: str) -> str:
        """Digest that a model file must have; SettingsError where the card states none."""
        try:
            return (self.files or {})[file]
        except KeyError:
            raise SettingsError(f"{self.folder / CARD}: no sha256 of {file}. Install her2scope again.") from None

    def digest(self, file: str) -> str:
        """What names the model in reports: the digest of its file.

        Where a reader of outlines belongs to it, that of the two lines `sha256sum` prints of both files.
        """
        if OUTLINES not in (self.files or {}):
            return self.sha256(file)
        lines = "".join(f"{self.sha256(name)}  {name}\n" for name in (file, OUTLINES))
        return hashlib.sha256(lines.encode()).hexdigest()

    def read_model(self, file: str) -> bytes:
        """Bytes of a model file; SettingsError unless they are those that the card was written for."""
        path, wanted = self.folder / file, self.sha256(file)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SettingsError(f"{path}: the model cannot be read ({error}). Install her2scope again.") from error
        found = hashlib.sha256(content).hexdigest()
        if found != wanted:
            raise SettingsError(
                f"{path}: not the model that its card describes (sha256 {found[:12]}..., card {wanted[:12]}...). "
                "Install her2scope again, or put back the file that belongs to the card."
            )
        return content


def has_card(name: str) -> bool:
    """Whether this installation has a method's folder."""
    return (resource_dir("models") / name / CARD).is_file()


def read_card(name: str) -> ModelCard:
    """Card of a method; SettingsError where it cannot be read or lacks what must be known."""
    return card_in(resource_dir("models") / name)


def card_in(folder: Path) -> ModelCard:
    """Card of the method in `folder`."""
    path = folder / CARD
    try:
        card: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        return _card(folder, card)
    except (OSError, yaml.YAMLError, KeyError, ValueError, TypeError, AttributeError, BadInputError) as error:
        raise SettingsError(f"{path}: no readable model card ({error}). Install her2scope again.") from error


def false_rates(name: str) -> FalseRates:
    """False cells per class of a method, as its card states them."""
    return read_card(name).false_rates


def _card(folder: Path, card: Mapping[str, Any]) -> ModelCard:
    return ModelCard(
        folder=folder,
        name=str(card["name"]),
        task=str(card["task"]),
        um_per_px=float(card["um_per_px"]),
        limits=_texts(card["limits"]),
        false_rates=_false_rates(card),
        channels=_texts(card.get("channels", ())),
        outputs=_named(card.get("outputs"), _texts),
        files=_named(card.get("files"), _digest),
        surroundings_px=int(card.get("surroundings_px", SURROUNDINGS_PX)),
    )


def _false_rates(card: Mapping[str, Any]) -> FalseRates:
    certain = card.get("false_rate_certain_faint")
    return FalseRates(
        rates={CellClass(key): float(value) for key, value in card["false_rates"].items()},
        source=str(card["false_rates_source"]),
        icc=float(card["false_rates_icc"]),
        certain_faint=None if certain is None else float(certain),
    )


def _texts(values: Any) -> tuple[str, ...]:
    if isinstance(values, str):
        raise TypeError(f"a list is needed, not '{values}'")
    return tuple(str(value) for value in values)


def _named(values: Any, read: Callable[[Any], T]) -> dict[str, T] | None:
    return None if values is None else {str(name): read(value) for name, value in values.items()}


def _digest(value: Any) -> str:
    digest = str(value).lower()
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise ValueError(f"'{value}' is no sha256")
    return digest
