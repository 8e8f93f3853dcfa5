"""The training run: steps, checks on held-back tissue, checkpoints from which it goes on."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import time
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from her2scope import __version__
from her2scope.domain.errors import BadInputError
from her2scope.phantom.noise import mixed_seed
from her2scope.phantom.shards.store import ShardSet
from her2scope.training.batches import make_batch, plain_batch
from her2scope.training.config import OutlineConfig, TrainConfig
from her2scope.training.feed import Pool, draw_sample
from her2scope.training.losses import Answer, losses, taught, weighted
from her2scope.training.narrow import begin_as, network_in
from her2scope.training.net import CellNet, net_of
from her2scope.training.pictures import draw_answers
from her2scope.training.targets import make_record
from her2scope.training.teacher import Teacher

CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"
CHECK_SAMPLES = 64
FITTED_SAMPLES = 96
"""That a network is fitted to a wider one on."""
NOT_TAUGHT = ("tumour",)
"""What a sample of a nuclear antibody does not teach a network with a teacher: its brown says nothing of HER2, and the
kind of cells without membrane brown was lost by it (88 instead of 126 tumour cells on a real 0)."""
GRADIENT_LIMIT = 5.0
Told = Callable[[str], None]


@dataclasses.dataclass
class _State:
    """What a checkpoint holds."""

    net: CellNet
    mean: CellNet
    optimiser: torch.optim.Optimizer
    step: int
    seconds: float
    samples: int


def train(config: TrainConfig, out_dir: Path, told: Told) -> Path:
    """Train, or go on from the checkpoint in `out_dir`; the checkpoint's path is given back.

    Ctrl-C, or being asked to end, ends the run after saving. Raises BadInputError where the folder belongs to a run of
    another network or cannot be written, or a set of tiles is missing.
    """
    torch.set_num_threads(config.threads)
    for name in (signal.SIGINT, signal.SIGTERM):  # in the background a shell has Ctrl-C ignored
        signal.signal(name, signal.default_int_handler)
    sets = [ShardSet(Path(folder)) for folder in config.sets]
    learnt, held = _split(sets, config)
    teacher = None if config.teacher is None else Teacher(Path(config.teacher), config.threads)
    checks = _check_records(sets, held, config)
    state = _begin(config, sets, learnt, out_dir, told)
    seed = mixed_seed("training", config.seed, state.step)
    pool = Pool(sets, learnt, seed, config.pool, config.reuse, config.workers, config.nuclear_share)
    try:
        told(f"step {state.step} of {config.steps}; waiting for the first samples")
        pool.fill(min(config.pool, 40 * config.batch))
        _run(config, state, pool, teacher, checks, out_dir, told)
    except KeyboardInterrupt:
        told(f"stopped at step {state.step}; the same command goes on from there")
    finally:
        pool.close()
        _save(state, config, out_dir)
    return out_dir / CHECKPOINT


def _split(sets: list[ShardSet], config: TrainConfig) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Tiles `(set, index)` to learn from, and those of the first regions of each set to check on."""
    learnt: list[tuple[int, int]] = []
    held: list[tuple[int, int]] = []
    for number, tiles in enumerate(sets):
        for index in range(len(tiles)):
            (held if tiles.group(index) < config.check_groups else learnt).append((number, index))
    if not learnt:
        raise BadInputError("no tiles are left to learn from: lower check_groups, or draw more.")
    return learnt, held


def _check_records(sets: list[ShardSet], held: list[tuple[int, int]], config: TrainConfig) -> NDArray[np.void]:
    rng = np.random.default_rng(mixed_seed("checks", config.seed))
    chosen = rng.permutation(len(held))[:CHECK_SAMPLES]
    return np.stack([make_record(sets[held[i][0]].sample(held[i][1], rng)) for i in chosen.tolist()])


def _begin(
    config: TrainConfig, sets: list[ShardSet], learnt: list[tuple[int, int]], out_dir: Path, told: Told
) -> _State:
    torch.manual_seed(config.seed)
    net, mean = (net_of(dataclasses.asdict(config)).to(memory_format=torch.channels_last) for _ in range(2))
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    state = _State(net, mean, optimiser, 0, 0.0, 0)
    if (out_dir / CHECKPOINT).exists():
        _resume(state, read_checkpoint(out_dir / CHECKPOINT), out_dir)
    else:
        if config.start_from and Path(config.start_from).is_dir():
            told(f"fitting the network to that of {config.start_from}")
            begin_as(net, network_in(Path(config.start_from)), _fitting_pictures(sets, learnt, config))
        elif config.start_from:
            _begin_with(net, read_checkpoint(Path(config.start_from))["mean"], told)
        mean.load_state_dict(net.state_dict())
    out_dir.mkdir(parents=True, exist_ok=True)
    return state


def _fitting_pictures(sets: list[ShardSet], learnt: list[tuple[int, int]], config: TrainConfig) -> list[Tensor]:
    """Samples as the run shows them, each read by a camera and at a scale of its own."""
    rng = np.random.default_rng(mixed_seed("fitting", config.seed))
    chosen = [learnt[i] for i in rng.integers(0, len(learnt), FITTED_SAMPLES)]
    records = [make_record(*draw_sample(sets[number], index, rng, config.nuclear_share)) for number, index in chosen]
    return [make_batch(record[None], rng)[0] for record in records]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A network's checkpoint as it was saved; BadInputError where it cannot be read."""
    found = load_saved(path)
    if not {"net", "mean", "config"} <= set(found):
        raise BadInputError(f"{path}: no checkpoint of the network. Give the folder of its training run.")
    return found


def load_saved(path: Path) -> dict[str, Any]:
    """What a training run saved; BadInputError where it cannot be read."""
    try:
        found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(found, dict) or "net" not in found:
            raise ValueError("not a checkpoint of this program")
    except (OSError, RuntimeError, ValueError, EOFError, TypeError, KeyError) as error:
        raise BadInputError(f"{path}: no readable checkpoint. Give the folder of a training run.") from error
    except Exception as error:  # noqa: BLE001 - unpickling raises what it likes
        raise BadInputError(f"{path}: no readable checkpoint ({type(error).__name__}).") from error
    return found


def _begin_with(net: CellNet, weights: dict[str, Tensor], told: Told) -> None:
    """Take what fits of another network's weights; layers that it does not have begin anew."""
    own = net.state_dict()
    fitting = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    net.load_state_dict({**own, **fitting})
    told(f"{len(fitting)} of {len(own)} tensors are taken from the earlier network")


def _fit(net: CellNet, weights: dict[str, Tensor], path: Path) -> None:
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise BadInputError(f"{path}: holds a network of other widths or depths. Choose another folder.") from error


def _resume(state: _State, found: dict[str, Any], out_dir: Path) -> None:
    _fit(state.net, found["net"], out_dir / CHECKPOINT)
    _fit(state.mean, found["mean"], out_dir / CHECKPOINT)
    state.optimiser.load_state_dict(found["optimiser"])
    state.step, state.seconds, state.samples = int(found["step"]), float(found["seconds"]), int(found["samples"])


def _save(state: _State, config: TrainConfig, out_dir: Path) -> None:
    whole = {
        "version": __version__,
        "config": dataclasses.asdict(config),
        "net": state.net.state_dict(),
        "mean": state.mean.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "step": state.step,
        "seconds": state.seconds,
        "samples": state.samples,
    }
    save_whole(whole, out_dir)


def save_whole(whole: dict[str, Any], out_dir: Path) -> None:
    """Put a checkpoint in the place of the last one, never half of it."""
    aside = out_dir / (CHECKPOINT + ".part")
    try:
        torch.save(whole, aside)
        os.replace(aside, out_dir / CHECKPOINT)
    except (OSError, RuntimeError) as error:
        raise BadInputError(f"{out_dir}: cannot be written. Check the folder and the space.") from error


def falling_rate(config: TrainConfig | OutlineConfig, step: int) -> float:
    """Learning rate of a step: a short rise, then a cosine down to its last share."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    part = min(1.0, (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps))
    low = config.final_rate_share
    return config.learning_rate * (low + (1.0 - low) * 0.5 * (1.0 + math.cos(math.pi * part)))


def _run(
    config: TrainConfig,
    state: _State,
    pool: Pool,
    teacher: Teacher | None,
    checks: NDArray[np.void],
    out_dir: Path,
    told: Told,
) -> None:
    rng = np.random.default_rng(mixed_seed("batches", config.seed, state.step))
    began, kept, made = time.monotonic(), state.seconds, state.samples
    sums: dict[str, float] = {}
    since = 0
    while state.step < config.steps:
        parts = _step(config, state, teacher, *make_batch(pool.batch(config.batch, rng), rng))
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + value
        state.step, since = state.step + 1, since + 1
        state.seconds, state.samples = kept + time.monotonic() - began, made + pool.n_made
        if state.step % config.check_every == 0 or state.step == config.steps:
            row = _check(state, teacher, checks, {name: value / since for name, value in sums.items()})
            _tell(row, out_dir, told)
            draw_answers(state.mean, checks[:8], out_dir / f"check_{state.step:06d}.png")
            sums, since = {}, 0
        elif state.step % 100 == 0:
            rate = (state.step * config.batch) / max(1.0, state.seconds)
            loss = sum(sums.values()) / max(1, since)
            told(f"step {state.step} of {config.steps}, {rate:.1f} samples/s, sum of losses {loss:.3f}")
        if state.step % config.save_every == 0:
            _save(state, config, out_dir)


def _step(
    config: TrainConfig, state: _State, teacher: Teacher | None, picture: Tensor, truth: dict[str, Tensor]
) -> dict[str, float]:
    for group in state.optimiser.param_groups:
        group["lr"] = falling_rate(config, state.step)
    state.net.train()
    answer = state.net(picture)
    parts = losses(answer, truth)
    loss = weighted(parts)
    if teacher is not None and truth["taught"].any():
        loss, apart = _with_teacher(config.teacher_share, teacher, picture, answer, truth)
        parts |= _from_teacher(apart)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.net.parameters(), GRADIENT_LIMIT)
    state.optimiser.step()
    decay = min(config.average_decay, (state.step + 1) / (state.step + 10))
    with torch.no_grad():
        for mean, now in _tensors(state):
            if mean.is_floating_point():
                mean.lerp_(now, 1.0 - decay)
            else:
                mean.copy_(now)
    return {name: float(value.detach()) for name, value in parts.items()}


def _with_teacher(
    share: float, teacher: Teacher, picture: Tensor, answer: Answer, truth: Mapping[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss, and its parts by the teacher: of what it knows its share, of what it may not know none.

    The latter is learnt from the truth, but for what it does not teach (`NOT_TAUGHT`).
    """
    known = truth["taught"]
    apart = taught(_some(answer, known), teacher.answers(picture[known]))
    loss = share * weighted(apart) + (1.0 - share) * _by_truth(answer, truth, known)
    if not known.all():
        told = float(known.float().mean())
        loss = told * loss + (1.0 - told) * _by_truth(answer, truth, ~known, NOT_TAUGHT)
    return loss, apart


def _by_truth(answer: Answer, truth: Mapping[str, Tensor], which: Tensor, without: Container[str] = ()) -> Tensor:
    parts = losses(_some(answer, which), {name: planes[which] for name, planes in truth.items()})
    return weighted({name: value for name, value in parts.items() if name not in without})


def _some(answer: Answer, which: Tensor) -> Answer:
    membrane, nuclei, context, region = answer
    return membrane[which], nuclei[which], context[which], region[which]


def _from_teacher(apart: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name} from teacher": value for name, value in apart.items()}


def _tensors(state: _State) -> Iterator[tuple[Tensor, Tensor]]:
    yield from zip(state.mean.state_dict().values(), state.net.state_dict().values(), strict=True)


@torch.no_grad()
def _check(
    state: _State, teacher: Teacher | None, checks: NDArray[np.void], learnt: dict[str, float]
) -> dict[str, Any]:
    state.mean.eval()
    sums: dict[str, float] = {}
    pieces = np.array_split(checks, max(1, len(checks) // 8))
    for records in pieces:
        picture, truth = plain_batch(records)
        answer = state.mean(picture)
        parts = losses(answer, truth)
        if teacher is not None:
            parts |= _from_teacher(taught(answer, teacher.answers(picture)))
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + float(value) / len(pieces)
    return {
        "step": state.step,
        "seconds": round(state.seconds),
        "samples": state.samples,
        "learnt": {name: round(value, 4) for name, value in learnt.items()},
        "held_back": {name: round(value, 4) for name, value in sums.items()},
    }


def _tell(row: dict[str, Any], out_dir: Path, told: Told) -> None:
    with open(out_dir / LOG, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    figures = ", ".join(f"{name} {value:.3f}" for name, value in row["held_back"].items())
    told(f"step {row['step']}, {row['seconds'] / 60:.1f} min: held back: {figures}")
