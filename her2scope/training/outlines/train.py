"""The training run of the reader of outlines: fields, bands, steps, a checkpoint."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from her2scope import __version__
from her2scope.domain.cells import CellRule
from her2scope.domain.errors import BadInputError
from her2scope.imaging.outline_bands import CHANNELS, N_STAIN
from her2scope.phantom.noise import mixed_seed
from her2scope.segmentation.model_card import OUTLINES, card_in
from her2scope.segmentation.network import OutlineReader
from her2scope.segmentation.outline_reader import OnnxOutlineReader
from her2scope.training.config import OutlineConfig
from her2scope.training.outlines.fields import keep_fields
from her2scope.training.outlines.net import OutlineNet
from her2scope.training.outlines.samples import OutlineSamples, network_of, read_all
from her2scope.training.train import CHECKPOINT, LOG, falling_rate, save_whole

FIELDS = "fields"
GAIN = 0.15
"""Deviation of the logarithm of a factor on a cell's DAB."""
NOISE_SHARE, NOISE = 0.3, 0.05
SHARE_WEIGHT = 0.5
"""Of the error of an outline's stained share, beside that of its places: the share decides the class."""
OF_PLACES = torch.tensor([name not in ("um_per_px", "spacing_um", "nucleus_um") for name in CHANNELS])
"""`(C,)` what differs from place to place of an outline."""
Told = Callable[[str], None]


def train_outlines(config: OutlineConfig, out_dir: Path, told: Told) -> Path:
    """Train a reader for the network in `config.model`; the checkpoint's path is given back.

    Fields are kept, so a run that is stopped while it draws goes on where it was; training itself takes minutes and
    begins anew.
    """
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    teacher = _teacher_of(config)  # before an hour of fields, since it may not be there
    paths = keep_fields(config, out_dir / FIELDS, told)
    held = max(1, round(config.check_share * len(paths)))
    told(f"reading {len(paths)} fields with {config.model}")
    read = list(read_all(config, paths))
    checks, learnt = (OutlineSamples.joined(some) for some in (read[:held], read[held:]))
    if min(len(learnt.level), len(checks.level)) == 0:
        raise BadInputError(
            f"{config.model}: finds no tumour cell in any field. Choose a trained network, or more fields."
        )
    told(f"{len(learnt.level)} cells to learn from, {len(checks.level)} to check on")
    net = _run(config, learnt, checks, teacher, out_dir, told)
    network_sha256 = network_of(config).sha256
    facts = {"network_sha256": network_sha256, "cells": len(learnt.level), "held_back": check(net, checks)}
    if config.teacher:
        facts["teacher_sha256"] = card_in(Path(config.teacher)).sha256(OUTLINES)
    save_whole(
        {"version": __version__, "outlines": dataclasses.asdict(config), "net": net.state_dict(), **facts}, out_dir
    )
    return out_dir / CHECKPOINT


def _teacher_of(config: OutlineConfig) -> OnnxOutlineReader | None:
    return OnnxOutlineReader(card_in(Path(config.teacher)), config.threads) if config.teacher else None


def _run(
    config: OutlineConfig,
    learnt: OutlineSamples,
    checks: OutlineSamples,
    teacher: OutlineReader | None,
    out_dir: Path,
    told: Told,
) -> OutlineNet:
    """The trained reader.

    A teacher is asked about each step's cells as they are shown: a small reader learns how a large one reads, and not
    its answers to a few cells.
    """
    net = OutlineNet.of_recipe(dataclasses.asdict(config))
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    rng = np.random.default_rng(mixed_seed("outline batches", config.seed))
    sums, since = 0.0, 0
    for step in range(1, config.steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = falling_rate(config, step - 1)
        bands, level = make_batch(learnt, config.batch, rng, config.splice_share)
        logits = net(bands)
        loss = loss_of(logits, level)
        if teacher is not None:
            answers = torch.from_numpy(teacher.read(bands.numpy()))
            loss = (1 - config.teacher_share) * loss + config.teacher_share * _apart(logits, answers)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        sums, since = sums + float(loss.detach()), since + 1
        if step % config.check_every == 0 or step == config.steps:
            row = {"step": step, "learnt": round(sums / since, 4), **check(net, checks)}
            with open(out_dir / LOG, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            told(", ".join(f"{name} {value}" for name, value in row.items()))
            sums, since = 0.0, 0
    return net.eval()


def make_batch(
    samples: OutlineSamples, size: int, rng: np.random.Generator, splice_share: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Bands `(B, C, P)` and levels `(B, P)` of cells at random: turned, mirrored, paler or darker, noisy, spliced."""
    chosen = np.sort(rng.integers(0, len(samples.level), size))
    bands = torch.from_numpy(samples.bands[chosen].astype(np.float32))
    level = torch.from_numpy(samples.level[chosen])
    turn = int(rng.integers(level.shape[1]))
    bands, level = torch.roll(bands, turn, -1), torch.roll(level, turn, -1)
    if rng.integers(2):
        bands, level = bands.flip(-1), level.flip(-1)
    if splice_share > 0.0:
        bands, level = _spliced(bands, level, splice_share, rng)
    gain = torch.from_numpy(np.exp(GAIN * rng.standard_normal((size, 1, 1))).astype(np.float32))
    bands = torch.cat([gain * bands[:, :N_STAIN], bands[:, N_STAIN:]], dim=1)
    if rng.random() < NOISE_SHARE:
        bands = bands + float(NOISE * rng.random()) * torch.from_numpy(rng.standard_normal(bands.shape, np.float32))
    return bands, level


def _spliced(bands: Tensor, level: Tensor, share: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """An arc of some outlines, a tenth to a half of each, comes from the next one, with its truth.

    What is the same at every place of an outline, as its scale, stays the outline's own.
    """
    n_places = level.shape[1]
    begin, length = rng.integers(n_places, size=len(level)), rng.integers(n_places // 10, n_places // 2, len(level))
    length[rng.random(len(level)) >= share] = 0
    taken = torch.from_numpy((np.arange(n_places) - begin[:, None]) % n_places < length[:, None])
    from_next = taken[:, None] & OF_PLACES[:, None]
    return torch.where(from_next, bands.roll(1, 0), bands), torch.where(taken, level.roll(1, 0), level)


def loss_of(logits: Tensor, level: Tensor) -> Tensor:
    """How far logits `(B, P)` are from the truth."""
    return _apart(logits, (level > 0).float())


def _apart(logits: Tensor, wanted: Tensor) -> Tensor:
    """How far logits `(B, P)` are from what is wanted (0..1): place by place, and in the share of each outline."""
    places = functional.binary_cross_entropy_with_logits(logits, wanted)
    share = (torch.sigmoid(logits).mean(dim=1) - wanted.mean(dim=1)).abs().mean()
    return places + SHARE_WEIGHT * share


@torch.no_grad()
def check(net: OutlineNet, checks: OutlineSamples) -> dict[str, float]:
    """Held-back cells: loss, and the share that is rightly none, incomplete or complete."""
    was_training = net.training
    net.eval()
    logits = torch.cat(
        [
            net(torch.from_numpy(part.astype(np.float32)))
            for part in np.array_split(checks.bands, 1 + len(checks.bands) // 1024)
        ]
    )
    net.train(was_training)
    found, true = (_kinds(stained) for stained in (logits.numpy() > 0.0, checks.level > 0))
    loss = float(loss_of(logits, torch.from_numpy(checks.level)))
    unstained = true == 0
    return {
        "held_back": round(loss, 4),
        "right": round(float((found == true).mean()), 4),
        "false": round(float((found[unstained] > 0).mean()) if unstained.any() else 0.0, 4),
        "missed": round(float((found[~unstained] == 0).mean()) if (~unstained).any() else 0.0, 4),
    }


def _kinds(stained: NDArray[np.bool_]) -> NDArray[np.intp]:
    """0 none, 1 incomplete, 2 complete of outlines `(N, P)`."""
    rule = CellRule()
    return np.digitize(stained.mean(axis=1), (rule.present_share, rule.complete_share))
