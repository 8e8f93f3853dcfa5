"""From a checkpoint to the files that ship, each compared with torch on samples it has not learnt from."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from her2scope.domain.errors import BadInputError
from her2scope.phantom.noise import mixed_seed
from her2scope.phantom.shards.store import ShardSet
from her2scope.segmentation.forms import INPUT, OUTPUTS
from her2scope.segmentation.sessions import CPU, open_session
from her2scope.training.batches import plain_batch
from her2scope.training.half_numbers import halved
from her2scope.training.net import Shipped, net_of
from her2scope.training.processor_graph import for_processor, largest_difference
from her2scope.training.targets import make_record
from her2scope.training.train import read_checkpoint

OPSET = 17
CALIBRATION_SAMPLES = 96
CHECK_SAMPLES = 32
HEADS = ("membrane", "nuclei", "context")
ANSWERS = ("Sigmoid", "Tanh", "Mul", "Split", "Concat", "DepthToSpace", "Slice")
"""Layers that stay in 32 bits: they cost little, and rounding there is rounding of the answer. Middles then differ from
torch by a fifth of what they do with 8 bits throughout."""
PLACES = ("sets", "start_from", "teacher")
"""Of a recipe: folders of one machine, not for a card."""
MOST_DIFFERENCE = 1e-3
"""Between torch and the 32-bit file: more is no rounding."""
MOST_HALVED_DIFFERENCE = 0.01
"""Between torch and the 16-bit file: steps of 5e-4 near 1, added up over the layers; 0.0024 is usual."""
MOST_MEAN_DIFFERENCE = 0.03
"""Mean over the pixels of a probability, between torch and the 8-bit file."""
MOST_REWRITTEN_DIFFERENCE = 1e-5
"""Between the quantiser's file and ours: sums of 32-bit numbers in another order, in um where they are lengths."""


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """The files of a network and what was found about them."""

    full: bytes
    quantised: bytes
    """Of 8-bit layers, in the order in which a processor runs them fastest (`processor_graph`)."""
    halved: bytes
    """Of 16-bit numbers, for a graphics card."""
    facts: Mapping[str, Any]
    """For the card: architecture, training, agreement."""


def export(run_dir: Path) -> Exported:
    """Export the mean weights of a run.

    Raises
    ------
    BadInputError
        Where there is no checkpoint, its sets of tiles are gone, or a file does not agree with torch.
    """
    found = read_checkpoint(run_dir / "checkpoint.pt")
    config = found["config"]
    net = net_of(config)
    net.load_state_dict(found["mean"])
    shipped = Shipped(net).eval()
    records = _held_back(config)
    with tempfile.TemporaryDirectory() as folder:
        full, quantised = Path(folder, "full.onnx"), Path(folder, "int8.onnx")
        _to_onnx(shipped, full)
        _quantise(full, quantised, records[:CALIBRATION_SAMPLES])
        contents = full.read_bytes(), quantised.read_bytes()
    for_use, half = for_processor(contents[1]), halved(contents[0])
    agreement = {
        "full": _differences(shipped, contents[0], records[-CHECK_SAMPLES:]),
        "fp16": _differences(shipped, half, records[-CHECK_SAMPLES:]),
        "int8": _differences(shipped, contents[1], records[-CHECK_SAMPLES:]),
    }
    _check(agreement)
    _check_rewritten(contents[1], for_use, records[-CHECK_SAMPLES:])
    facts = {
        "architecture": {
            "widths": list(config["widths"]),
            "depths": list(config["depths"]),
            **{name: config[name] for name in ("line_width", "line_depth") if name in config},
            "parameters": sum(weight.numel() for weight in net.parameters()),
        },
        "training": {
            "recipe": {name: value for name, value in config.items() if name not in PLACES},
            "begun_with_an_earlier_run": config["start_from"] is not None,
            "taught_by_another_network": config.get("teacher") is not None,
            "sets": [_described(ShardSet(Path(folder))) for folder in config["sets"]],
            "steps": found["step"],
            "samples_drawn": found["samples"],
            "minutes": round(found["seconds"] / 60.0),
        },
        "agreement_with_torch": agreement,
    }
    return Exported(contents[0], for_use, half, facts)


def _described(tiles: ShardSet) -> dict[str, Any]:
    settings = tiles.settings
    return {"seed": settings.seed, "difficulty": settings.difficulty, "tiles": len(tiles)}


def _held_back(config: Mapping[str, Any]) -> NDArray[np.void]:
    """Samples of the regions that the run did not learn from."""
    sets = [ShardSet(Path(folder)) for folder in config["sets"]]
    held = [
        (s, i) for s, tiles in enumerate(sets) for i in range(len(tiles)) if tiles.group(i) < config["check_groups"]
    ]
    rng = np.random.default_rng(mixed_seed("export", config["seed"]))
    chosen = rng.integers(0, len(held), CALIBRATION_SAMPLES + CHECK_SAMPLES)
    return np.stack([make_record(sets[held[i][0]].sample(held[i][1], rng)) for i in chosen.tolist()])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Exporter and quantiser tell of every step; what fails raises."""
    logger = logging.getLogger()
    level = logger.level
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


def _to_onnx(shipped: nn.Module, path: Path) -> None:
    names = list(OUTPUTS)
    axes = {name: {2: f"{name}_rows", 3: f"{name}_columns"} for name in [INPUT, *names]}
    with quiet():
        torch.onnx.export(
            shipped, (torch.rand(1, 3, 128, 128),), str(path), input_names=[INPUT], output_names=names,
            dynamic_axes=axes, opset_version=OPSET, dynamo=False,
        )  # fmt: skip


def _quantise(full: Path, path: Path, records: NDArray[np.void]) -> None:
    """Static 8-bit weights per channel and activations, calibrated on samples; the last layers stay as they are."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.feeds = ({INPUT: plain_batch(records[i : i + 1])[0].numpy()} for i in range(len(records)))

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return next(self.feeds, None)

    with quiet():
        ready = path.with_suffix(".ready.onnx")
        quant_pre_process(str(full), str(ready), skip_symbolic_shape=True)
        nodes = onnx.load(str(ready)).graph.node
        # Seven bits: where a processor has no 8-bit dot product, sums of two full products overflow.
        quantize_static(
            str(ready), str(path), Reader(), quant_format=QuantFormat.QDQ, per_channel=True, reduce_range=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            nodes_to_exclude=[node.name for node in nodes if _stays_whole(node.op_type, node.name)],
        )  # fmt: skip


def _stays_whole(kind: str, name: str) -> bool:
    return kind in ANSWERS if kind != "Conv" else any(f"/{head}/" in name for head in HEADS)


@torch.no_grad()
def _differences(shipped: nn.Module, content: bytes, records: NDArray[np.void]) -> dict[str, float]:
    """Largest and mean difference of probabilities, and mean difference of lengths in um."""
    session = open_session(content, [CPU], torch.get_num_threads())
    largest, probabilities, lengths = 0.0, [], []
    for i in range(len(records)):
        picture = plain_batch(records[i : i + 1])[0]
        found = session.run(list(OUTPUTS), {INPUT: picture.contiguous().numpy()})
        off = [np.abs(a - b.numpy())[0] for a, b in zip(found, shipped(picture), strict=True)]
        parts = [off[0], off[1][:3], off[2][:1]]
        largest = max([largest, *(float(part.max()) for part in parts)])
        probabilities.append(float(np.mean([part.mean() for part in parts])))
        lengths.append(float(np.mean([off[1][3:].mean(), off[2][1:].mean()])))
    return {
        "largest": round(largest, 5),
        "mean_probability": round(float(np.mean(probabilities)), 5),
        "mean_um": round(float(np.mean(lengths)), 4),
    }


def _check(agreement: Mapping[str, Mapping[str, float]]) -> None:
    if agreement["full"]["largest"] > MOST_DIFFERENCE:
        raise BadInputError(f"the exported network differs from torch by {agreement['full']['largest']}: not written.")
    if agreement["fp16"]["largest"] > MOST_HALVED_DIFFERENCE:
        raise BadInputError(f"the 16-bit network differs from torch by {agreement['fp16']['largest']}: not written.")
    if agreement["int8"]["mean_probability"] > MOST_MEAN_DIFFERENCE:
        raise BadInputError(
            f"the 8-bit network differs from torch by {agreement['int8']['mean_probability']} on average: not written."
        )


def _check_rewritten(quantised: bytes, rewritten: bytes, records: NDArray[np.void]) -> None:
    off = max(largest_difference(quantised, rewritten, record["rgb"], record["white"].tolist()) for record in records)
    if off > MOST_REWRITTEN_DIFFERENCE:
        raise BadInputError(f"the network written for the processor differs from the 8-bit one by {off}: not written.")
