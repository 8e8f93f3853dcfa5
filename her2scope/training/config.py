"""What fixes a training run, as YAML."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from her2scope.domain.errors import SettingsError


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training run. Everything random follows from `seed`, but for the order in which workers deliver."""

    sets: tuple[str, ...]
    """Folders of `phantom shards`."""
    seed: int = 1
    widths: tuple[int, ...] = (32, 56, 96)
    depths: tuple[int, ...] = (1, 2, 2)
    line_width: int = 16
    """Channels of the branch at half resolution, which looks at membranes."""
    line_depth: int = 2
    steps: int = 6000
    batch: int = 8
    learning_rate: float = 2e-3
    warmup_steps: int = 200
    final_rate_share: float = 0.02
    """Of the learning rate at the last step; it falls as a cosine."""
    weight_decay: float = 0.02
    average_decay: float = 0.998
    """Of the running mean of the weights, which is what is evaluated and exported."""
    pool: int = 5000
    reuse: float = 4.0
    workers: int = 1
    threads: int = 2
    check_groups: int = 24
    """Regions held back from training, of each set."""
    check_every: int = 500
    save_every: int = 200
    start_from: str | None = None
    """Whose weights a new run begins with: a checkpoint, or the folder of an exported network. A wider exported
    network is narrowed."""
    teacher: str | None = None
    """Folder of an exported network whose answers are learnt beside the truth."""
    teacher_share: float = 0.5
    """Of the loss that the teacher's answers are; the rest is the truth. Of samples that it may not know, all is."""
    nuclear_share: float = 0.1
    """Samples of a nuclear antibody."""


@dataclass(frozen=True, slots=True)
class OutlineConfig:
    """One training run of the reader of outlines. Everything random follows from `seed`."""

    model: str
    """Folder of the exported network that finds cells and outlines; the reader belongs to it alone."""
    seed: int = 1
    fields: int = 1600
    """Phantom fields to learn from, each a run of its own: stain, microscope and camera vary between runs only."""
    usual_share: float = 0.3
    recipe_share: float = 0.12
    width: int = 40
    together: int = 1
    """Neighbouring places that the reader sees as one within, 1, 2 or 4: with 2, a third of its work."""
    steps: int = 12_000
    batch: int = 256
    """Cells a step."""
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    warmup_steps: int = 100
    final_rate_share: float = 0.02
    teacher: str | None = None
    """Folder of an exported network whose reader's answers are learnt beside the truth."""
    teacher_share: float = 0.5
    """Of the loss that the teacher's answers are; the rest is the truth."""
    splice_share: float = 0.0
    """Of the cells of a step, those that get an arc of another cell: of as many shapes as there are pairs."""
    check_share: float = 0.08
    """Fields held back."""
    check_every: int = 1000
    workers: int = 1
    threads: int = 1


COUNTS = {
    TrainConfig: (
        "line_width",
        "line_depth",
        "steps",
        "batch",
        "pool",
        "workers",
        "threads",
        "check_every",
        "save_every",
    ),
    OutlineConfig: ("steps", "batch", "fields", "width", "workers", "threads", "check_every"),
}
"""Settings of each that must be at least 1."""
TOGETHER = (1, 2, 4)
AnyConfig = TypeVar("AnyConfig", TrainConfig, OutlineConfig)


def load_config(path: Path) -> TrainConfig | OutlineConfig:
    """Read a run's file: of a network where it names `sets`, of a reader of outlines where it names a `model`.

    SettingsError for an unknown key or a value of the wrong kind.
    """
    try:
        found: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}). Give the file of a training run.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise SettingsError(f"{path}: not YAML. Correct it: one `name: value` a line.") from error
    if isinstance(found, dict) and "model" in found:
        return _of_outlines(found, str(path))
    if not isinstance(found, dict) or "sets" not in found:
        raise SettingsError(
            f"{path}: names neither `sets` of tiles (`her2scope phantom shards` draws them) nor the `model` whose "
            "outlines are to be read."
        )
    config = make_config(TrainConfig, found, str(path))
    if not config.sets or config.reuse < 1.0 or not 0.0 <= config.average_decay < 1.0:
        raise SettingsError(f"{path}: sets must be named, reuse at least 1, average_decay from 0 to under 1.")
    _check_shares(config, ("teacher_share", "nuclear_share"), str(path))
    return config


def _of_outlines(found: dict[str, Any], where: str) -> OutlineConfig:
    config = make_config(OutlineConfig, found, where)
    if config.together not in TOGETHER:
        raise SettingsError(f"{where}: together is 1, 2 or 4, not {config.together}. Correct it.")
    _check_shares(config, ("teacher_share", "splice_share"), where)
    return config


def _check_shares(config: TrainConfig | OutlineConfig, names: tuple[str, ...], where: str) -> None:
    for name in names:
        if not 0.0 <= getattr(config, name) <= 1.0:
            raise SettingsError(f"{where}: {name} must lie from 0 to 1, not {getattr(config, name)}. Correct it.")


def make_config(kind: type[AnyConfig], values: dict[str, Any], where: str) -> AnyConfig:
    """A run from its mapping."""
    fields = {item.name: item for item in dataclasses.fields(kind)}
    for name, value in values.items():
        if name not in fields:
            raise SettingsError(f"{where}: there is no setting {name}. Known: {', '.join(fields)}.")
        if not _fits(value, str(fields[name].type)):
            raise SettingsError(f"{where}: {name} cannot be {value!r}; it is {fields[name].type}. Correct it.")
    known: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    config = kind(**known)
    for name in COUNTS[kind]:
        if getattr(config, name) < 1:
            raise SettingsError(f"{where}: {name} must be at least 1, not {getattr(config, name)}. Correct it.")
    return config


def _fits(value: Any, kind: str) -> bool:
    if kind.startswith("tuple[str"):
        return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    if kind.startswith("tuple[int"):
        return isinstance(value, list | tuple) and len(value) == 3 and all(type(v) is int and v > 0 for v in value)
    if kind == "int":
        return type(value) is int
    if kind == "float":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or isinstance(value, str)
