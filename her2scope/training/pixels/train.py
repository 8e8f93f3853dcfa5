"""The training run: epochs, checks on images held back, checkpoints from which it goes on as if it had not stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from her2scope import __version__
from her2scope.domain.errors import BadInputError
from her2scope.imaging.opencv import cv2
from her2scope.training.pixels.augment import NOT_ASKED
from her2scope.training.pixels.batches import Draws, check_windows, read_check
from her2scope.training.pixels.config import PixelConfig, what_differs
from her2scope.training.pixels.curves import draw_curves
from her2scope.training.pixels.grounds import Ground, labels_of, split
from her2scope.training.pixels.net import PixelNet
from her2scope.training.train import CHECKPOINT, LOG, load_saved, save_whole

CURVES = "curves.png"
GRADIENT_LIMIT = 5.0
AHEAD = 3
"""Batches that are made while the network learns."""
LATE_SHARE = 0.03
"""By which the clock must be ahead of the steps, as shares of the whole, before the rate follows the clock: a run that
fits well into its minutes does not depend on how fast the computer is."""
SAVE_EVERY_S = 60.0
Told = Callable[[str], None]


@dataclasses.dataclass
class State:
    """What a checkpoint holds."""

    net: PixelNet
    mean: PixelNet
    """The running mean of the weights."""
    best: dict[str, Tensor]
    """The mean's weights where the Dice on the images held back was best."""
    optimiser: torch.optim.Optimizer
    names: list[str]
    """Of the images."""
    digests: list[str]
    """Of what is learnt from each."""
    held: list[str]
    """Of the images held back."""
    step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    best_dice: float = -1.0
    """Below 0 where no image held back has any class: then the last epoch is taken."""
    best_epoch: int = 0
    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """One of each epoch: what the curves show."""
    sums: list[float] = dataclasses.field(default_factory=lambda: [0.0, 0.0])
    """Loss of the steps since the last epoch's end, and their number."""
    finished: str = ""
    """Why the run has ended; empty while it has not."""


def train_pixels(config: PixelConfig, grounds: Sequence[Ground], out_dir: Path, told: Told) -> State:
    """Train, or go on from the checkpoint in `out_dir`.

    Ctrl-C, or being asked to end, saves after the step and raises KeyboardInterrupt. The same command goes on there,
    or from the last checkpoint where the program was killed, with the same tiles and rates and so the same weights as a
    run that was never stopped (on the same number of threads).

    Raises
    ------
    BadInputError
        Where there are fewer than two images, a class has no place to learn from, or the folder holds another run.
    """
    if len(grounds) < 2:
        raise BadInputError("one image cannot be learnt from and checked on: give two at least.")
    torch.set_num_threads(config.threads)
    cv2.setNumThreads(1)
    learnt, held = _parted(config, grounds)
    told(f"{len(learnt)} images to learn from; held back: {', '.join(grounds[n].name for n in held)}")
    draws = Draws([grounds[n] for n in learnt], config)
    checks = _Checks([grounds[n] for n in held], config)
    for line in (*draws.told(), *checks.told()):
        told(line)
    state = begin(config, grounds, out_dir)
    if state.finished:
        told(f"{out_dir}: this run has ended ({state.finished}): nothing is learnt anew")
    elif state.step:
        told(f"goes on at step {state.step} of {config.total_steps}")
    with _stoppable() as is_asked_to_end:
        _run(config, state, draws, checks, out_dir, told, is_asked_to_end)
    return state


def held_back(config: PixelConfig, grounds: Sequence[Ground]) -> list[int]:
    """Numbers of the images that a run on these is checked on."""
    return _parted(config, grounds)[1]


def _parted(config: PixelConfig, grounds: Sequence[Ground]) -> tuple[list[int], list[int]]:
    return split(labels_of(grounds), config.check_share, config.seed)


def begin(config: PixelConfig, grounds: Sequence[Ground], out_dir: Path) -> State:
    """A new run, or the one whose checkpoint lies in the folder."""
    torch.manual_seed(config.seed)
    net, mean = (PixelNet(len(config.all_classes), config.widths, config.depths) for _ in range(2))
    mean.load_state_dict(net.state_dict())
    net = net.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    names, digests = [ground.name for ground in grounds], [ground.digest() for ground in grounds]
    held = [names[n] for n in held_back(config, grounds)]
    state = State(net, mean, _copied(mean), optimiser, names, digests, held)
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{out_dir}: cannot be made ({error.strerror}). Give another folder.") from error
    if (out_dir / CHECKPOINT).exists():
        _resume(state, config, out_dir)
    return state


def _resume(state: State, config: PixelConfig, out_dir: Path) -> None:
    found = load_saved(out_dir / CHECKPOINT)
    other = what_differs(config, found.get("pixels", {}))
    if state.names != found.get("names"):
        other.append("images")
    elif changed := _changed(state, found.get("digests", [])):
        other.append(f"pixels or annotations of {changed}")
    elif state.held != found.get("held", state.held):  # by another version: what was learnt would be checked on
        other.append("images held back")
    if other:
        raise BadInputError(
            f"{out_dir}: holds a run with other {', '.join(other)}. Give another folder, or what it was begun with."
        )
    state.net.load_state_dict(found["net"])
    state.mean.load_state_dict(found["mean"])
    state.best = found["best"]
    state.optimiser.load_state_dict(found["optimiser"])
    for name in _PLAIN:
        setattr(state, name, found[name])


def _changed(state: State, digests: Sequence[str]) -> str:
    """Names of images that are not what the run learnt from until now."""
    if len(digests) != len(state.digests):
        return "all images"
    names = [name for name, now, then in zip(state.names, state.digests, digests, strict=True) if now != then]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


_PLAIN = ("step", "seconds", "cpu_seconds", "best_dice", "best_epoch", "rows", "sums", "finished")


def _save(state: State, config: PixelConfig, out_dir: Path) -> None:
    whole = {
        "version": __version__,
        "pixels": dataclasses.asdict(config),
        "names": state.names,
        "digests": state.digests,
        "held": state.held,
        "net": state.net.state_dict(),
        "mean": state.mean.state_dict(),
        "best": state.best,
        "optimiser": state.optimiser.state_dict(),
        **{name: getattr(state, name) for name in _PLAIN},
    }
    save_whole(whole, out_dir)


@contextlib.contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or SIGTERM came: asked between steps, for a checkpoint in the middle of one would be no step's."""
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    came: list[int] = []
    for name in before:  # in the background a shell has Ctrl-C ignored
        signal.signal(name, lambda number, _: came.append(number))
    try:
        yield lambda: bool(came)
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


# ---- steps --------------------------------------------------------------------------------------------------------


def _run(
    config: PixelConfig, state: State, draws: Draws, checks: _Checks, out_dir: Path, told: Told,
    is_asked_to_end: Callable[[], bool],
) -> None:  # fmt: skip
    clock = _Clock(state)
    while state.step < config.total_steps and not state.finished:
        first = state.step
        for n, (rgb, labels) in enumerate(_batches(draws, config, state)):
            if state.step != first + n:
                break  # the last part has begun early
            state.sums = [state.sums[0] + _step(config, state, rgb, labels), state.sums[1] + 1.0]
            state.step += 1
            clock.read(state)
            if state.step % config.steps == 0:
                _end_epoch(config, state, checks, out_dir, told)
            stops = is_asked_to_end()
            if stops or state.finished or clock.is_due():
                _save(state, config, out_dir)
            if stops:  # with the last step, too: what comes after it would take its time
                told(f"stopped at step {state.step} of {config.total_steps}; the same command goes on from there")
                raise KeyboardInterrupt
            if state.finished:
                break


class _Clock:
    """Time of the run, with that of the parts before; and when a checkpoint is due."""

    def __init__(self, state: State) -> None:
        self._began_s, self._cpu_began_s = time.monotonic(), time.process_time()
        self._before_s, self._cpu_before_s = state.seconds, state.cpu_seconds
        self._saved_s = self._began_s

    def read(self, state: State) -> None:
        """Tell the state what time it is."""
        state.seconds = self._before_s + time.monotonic() - self._began_s
        state.cpu_seconds = self._cpu_before_s + time.process_time() - self._cpu_began_s

    def is_due(self) -> bool:
        """Whether a checkpoint is due; asked once for each."""
        now_s = time.monotonic()
        if now_s - self._saved_s <= SAVE_EVERY_S:
            return False
        self._saved_s = now_s
        return True


Batch = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def _batches(draws: Draws, config: PixelConfig, state: State) -> Iterator[Batch]:
    """Batches of the steps in order from where the run is, made a little ahead by another thread."""
    with ThreadPoolExecutor(1) as maker:
        waiting: deque[Future[Batch]] = deque()
        try:
            for step in range(state.step, config.total_steps):
                while len(waiting) < AHEAD and step + len(waiting) < config.total_steps:
                    asked = step + len(waiting)
                    waiting.append(maker.submit(draws.batch, asked, is_upright(config, asked, state.seconds)))
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def is_upright(config: PixelConfig, step: int, seconds: float) -> bool:
    """Whether a step belongs to the last part of the run."""
    return step >= config.upright_from or done_share(config, step, seconds) >= 1.0 - config.upright_share + LATE_SHARE


def done_share(config: PixelConfig, step: int, seconds: float) -> float:
    """How much of the run is over (0..1): by its steps, or by the clock where the steps would outlast its minutes."""
    by_steps, by_clock = step / config.total_steps, seconds / (60.0 * config.minutes)
    return min(1.0, by_clock if by_clock > by_steps + LATE_SHARE else by_steps)


def rate_at(config: PixelConfig, step: int, seconds: float) -> float:
    """Learning rate: a short rise, then a cosine down to its last share."""
    low, share = config.final_rate_share, done_share(config, step, seconds)
    fallen = low + (1.0 - low) * 0.5 * (1.0 + math.cos(math.pi * share))
    return config.learning_rate * min(1.0, (step + 1) / config.warmup_steps) * fallen


def _step(config: PixelConfig, state: State, rgb: NDArray[np.uint8], labels: NDArray[np.uint8]) -> float:
    for group in state.optimiser.param_groups:
        group["lr"] = rate_at(config, state.step, state.seconds)
    state.net.train()
    loss = loss_of(state.net(as_picture(rgb)), torch.from_numpy(labels).long())
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.net.parameters(), GRADIENT_LIMIT)
    state.optimiser.step()
    decay = min(config.average_decay, (state.step + 1) / (state.step + 10))
    now = state.net.state_dict()
    with torch.no_grad():
        for name, mean in state.mean.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(now[name], 1.0 - decay)
            else:
                mean.copy_(now[name])
    return float(loss.detach())


def as_picture(rgb: NDArray[np.uint8]) -> Tensor:
    """`(B, 3, H, W)` 0..1 of pictures `(B, H, W, 3)`, in the memory order that trains fastest."""
    return (torch.from_numpy(rgb).permute(0, 3, 1, 2).float() / 255.0).contiguous(memory_format=torch.channels_last)


def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy at each pixel, and one minus the Dice of the classes in the batch; what is not asked is left out.

    Parameters
    ----------
    logits : (B, C, H, W)
    labels : (B, H, W) int64, `NOT_ASKED` where nobody said
    """
    asked = (labels != NOT_ASKED)[:, None]
    if not asked.any():
        return logits.sum() * 0.0
    pixels = functional.cross_entropy(logits, labels, ignore_index=NOT_ASKED)
    truth = functional.one_hot(torch.where(asked[:, 0], labels, 0), logits.shape[1]).permute(0, 3, 1, 2) * asked
    said = torch.softmax(logits, dim=1) * asked
    over = (0, 2, 3)
    dice = (2.0 * (said * truth).sum(over) + 1.0) / (said.sum(over) + truth.sum(over) + 1.0)
    return pixels + 1.0 - dice[1:].mean()


# ---- checks -------------------------------------------------------------------------------------------------------


class _Checks:
    """The images held back, or windows of them."""

    def __init__(self, grounds: Sequence[Ground], config: PixelConfig) -> None:
        self._grounds, self._n_classes = grounds, len(config.all_classes)
        self._windows = check_windows(grounds, config)
        there = frozenset[int]().union(*(ground.classes for ground in grounds))
        self._lacking = [name for label, name in enumerate(config.classes, 1) if label not in there]

    def told(self) -> list[str]:
        """What cannot be checked."""
        if not self._lacking:
            return []
        last = " The last epoch is taken." if len(self._lacking) == self._n_classes - 1 else ""
        return [f"not checked, for no image that could be held back has it: {', '.join(self._lacking)}.{last}"]

    @torch.no_grad()
    def dice(self, net: PixelNet) -> tuple[float | None, ...]:
        """Of each class but the background, over all pixels that are asked for; None of a class that is not there.

        Of all windows together: a window that lacks a class has no Dice of its own.
        """
        net.eval()
        both, said, true = (np.zeros(self._n_classes, np.int64) for _ in range(3))
        for window in self._windows:
            rgb, labels = read_check(self._grounds[window.ground], window)
            found = net(as_picture(rgb[None]))[0].argmax(dim=0).numpy()
            asked = labels != NOT_ASKED
            found, labels = found[asked], labels[asked]
            both += np.bincount(labels[found == labels], minlength=self._n_classes)
            said += np.bincount(found, minlength=self._n_classes)
            true += np.bincount(labels, minlength=self._n_classes)
        return tuple(
            2.0 * int(both[k]) / int(said[k] + true[k]) if true[k] else None for k in range(1, self._n_classes)
        )


def _end_epoch(config: PixelConfig, state: State, checks: _Checks, out_dir: Path, told: Told) -> None:
    epoch = state.step // config.steps
    dice = checks.dice(state.mean)
    known = [value for value in dice if value is not None]
    score = float(np.mean(known)) if known else -1.0
    if score > state.best_dice or not known:
        state.best, state.best_dice, state.best_epoch = _copied(state.mean), score, epoch
    row = {
        "epoch": epoch,
        "loss": round(state.sums[0] / state.sums[1], 4),
        "dice": [None if value is None else round(value, 4) for value in dice],
        "rate": round(rate_at(config, state.step, state.seconds), 6),
        "minutes": round(state.seconds / 60.0, 2),
    }
    state.rows.append(row)
    state.sums = [0.0, 0.0]
    state.finished = _why_finished(config, state, epoch)
    _write_log(state, out_dir)
    draw_curves(state.rows, state.best_epoch, config.classes, out_dir / CURVES)
    course = f"loss {row['loss']:.3f}, {_checked(config, state, dice)}, {_time(config, state)}"
    told(f"epoch {epoch} of {config.epochs}: {course}")


def _checked(config: PixelConfig, state: State, dice: Sequence[float | None]) -> str:
    """Dice on the images held back, in words; of each class where there are several."""
    known = {name: value for name, value in zip(config.classes, dice, strict=True) if value is not None}
    if not known:
        return "not checked"
    each = ", ".join(f"{name} {value:.4f}" for name, value in known.items()) + "; " if len(known) > 1 else ""
    best = f"best {state.best_dice:.4f} in epoch {state.best_epoch}"
    return f"Dice held back {np.mean(list(known.values())):.4f} ({each}{best})"


def _time(config: PixelConfig, state: State) -> str:
    """Time so far, and about how long it still takes at most."""
    minutes = state.seconds / 60.0
    if state.finished:
        return f"{minutes:.1f} minutes"
    by_steps = minutes / (len(state.rows) * config.steps) * (config.total_steps - state.step)
    return f"{minutes:.1f} minutes, at most {max(0.0, min(by_steps, config.minutes - minutes)):.1f} left"


def _why_finished(config: PixelConfig, state: State, epoch: int) -> str:
    """Why the run ends with this epoch, empty where it does not; without patience left its last part begins."""
    if epoch >= config.epochs:
        return f"all {config.epochs} epochs"
    if state.seconds >= 60.0 * config.minutes:
        return f"{config.minutes:g} minutes were over"
    last_part = config.upright_from // config.steps
    waited = epoch - max(state.best_epoch, last_part if state.step >= config.upright_from else 0)
    if waited < config.patience:
        return ""
    if state.step < config.upright_from:
        state.step = config.upright_from
        return ""
    return f"no better Dice in {config.patience} epochs"


def _write_log(state: State, out_dir: Path) -> None:
    """All epochs so far, as one line each: a run that went on has each of them once."""
    aside = out_dir / (LOG + ".part")
    try:
        aside.write_text("".join(json.dumps(row) + "\n" for row in state.rows), encoding="utf-8")
        os.replace(aside, out_dir / LOG)
    except OSError as error:
        raise BadInputError(
            f"{out_dir}: cannot be written ({error.strerror}). Check the folder and the space."
        ) from error


def _copied(net: PixelNet) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in net.state_dict().items()}
