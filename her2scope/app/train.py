"""Training of the network, and its way into `models/`. torch is needed for both and for nothing else."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from her2scope import __version__
from her2scope.app.compose import network_segmenter
from her2scope.app.outputs import write_all
from her2scope.domain.cells import CellClass
from her2scope.domain.errors import NotAvailableError
from her2scope.evaluation.false_cells import FalseCells, measure_false_cells
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.segmentation.maps import NETWORK_UM_PER_PX
from her2scope.segmentation.methods import NETWORK
from her2scope.segmentation.model_card import CARD, FULL, HALVED, OUTLINES, QUANTISED, card_in
from her2scope.segmentation.onnx_network import OnnxNetwork
from her2scope.settings import Calibration, ScoringSettings

MAPS = {
    "membrane": ["membrane", "intense"],
    "nuclei": ["nucleus", "centre", "tumour", "offset_x_um", "offset_y_um"],
    "context": ["tissue", "reach_um x 32"],
}
SURROUNDINGS_PX = 256
LIMITS = (
    "learnt from synthetic fields alone: no picture of a patient, and not validated on patients' slides",
    "tumours without any brown, and small tumour cells at 20x, are in part taken for other cells and then not counted",
    "faint membranes that an eye hardly sees are missed, and granules of the cytoplasm now and then taken for membrane",
    "a normal duct is told from tumour by its look only; the reader decides",
    "a nucleus that an eye cannot make out is not found, and its cell is not counted",
    "between 0.15 and 0.5 um/px; at 0.35 and coarser faint membranes are not to be trusted",
)
UNMEASURED_RATE = 1.0
"""False rate of every class while the false cells are being measured: nothing passes for seen."""


def train_network(config_path: Path, out_dir: Path, told: Callable[[str], None]) -> list[str]:
    """Train by a run's file, or go on with it: the network, or the reader of its outlines."""
    _need_torch()
    from her2scope.training.config import TrainConfig, load_config
    from her2scope.training.outlines.train import train_outlines
    from her2scope.training.train import train

    config = load_config(config_path)
    if isinstance(config, TrainConfig):
        return [f"checkpoint: {train(config, out_dir, told)}"]
    return [f"checkpoint: {train_outlines(config, out_dir, told)}"]


def export_run(run_dir: Path, out_dir: Path, seeds: Sequence[int], told: Callable[[str], None]) -> list[str]:
    """Export a run to a model folder with its card; false cells are measured with the files that were written.

    A reader of outlines goes into the folder of the network that it was trained with.
    """
    _need_torch()
    from her2scope.training.outlines.export import is_of_outlines

    of_outlines = is_of_outlines(run_dir)
    card, said = (_export_outlines if of_outlines else _export_network)(run_dir, out_dir, told)
    told(f"measuring false cells on {len(seeds)} negative phantom runs")
    card |= false_rates_of(measure_false_cells(_analyser(out_dir), seeds))
    write_all({out_dir / CARD: _as_yaml(card)})
    rates = ", ".join(f"{name} {rate:g}" for name, rate in card["false_rates"].items())
    return [f"model: {out_dir}", said, f"false: {rates}"]


def _export_network(run_dir: Path, out_dir: Path, told: Callable[[str], None]) -> tuple[dict[str, Any], str]:
    from her2scope.training.export import export

    told("exporting, and comparing with torch")
    exported = export(run_dir)
    files = {FULL: exported.full, HALVED: exported.halved, QUANTISED: exported.quantised}
    card = _card(exported.facts, files)
    write_all({**{out_dir / name: content for name, content in files.items()}, out_dir / CARD: _as_yaml(card)})
    return card, f"agreement with torch: {exported.facts['agreement_with_torch']}"


def _export_outlines(run_dir: Path, out_dir: Path, told: Callable[[str], None]) -> tuple[dict[str, Any], str]:
    from her2scope.training.outlines.export import export_reader

    told("exporting the reader of outlines, and comparing with torch")
    exported = export_reader(run_dir, card_in(out_dir))
    card = yaml.safe_load((out_dir / CARD).read_text(encoding="utf-8"))
    card["files"][OUTLINES] = hashlib.sha256(exported.content).hexdigest()
    card |= {"commit": _commit(), "outlines": exported.facts, **_unmeasured()}
    write_all({out_dir / OUTLINES: exported.content, out_dir / CARD: _as_yaml(card)})
    return card, f"largest difference from torch: {exported.facts['largest_difference_from_torch']:g}"


def false_rates_of(measured: FalseCells) -> dict[str, Any]:
    """Entries of a card for measured false cells."""
    return {
        "false_rates": {name.value: rate for name, rate in measured.rates.items()},
        "false_rate_certain_faint": measured.certain_faint,
        "false_rates_icc": measured.icc,
        "false_rates_source": measured.source,
    }


def _need_torch() -> None:
    missing = [name for name in ("torch", "onnx") if importlib.util.find_spec(name) is None]
    if missing:
        raise NotAvailableError("package", missing[0], ["make train-env installs it, into an environment of its own"])


def _analyser(folder: Path) -> FieldAnalyser:
    settings = ScoringSettings()
    return FieldAnalyser(network_segmenter(OnnxNetwork(card_in(folder)), settings), settings, Calibration())


def _card(facts: Any, files: dict[str, bytes]) -> dict[str, Any]:
    return {
        "name": NETWORK,
        "task": "nuclei, tumour or other cell, stained membranes and tissue of HER2 IHC",
        "version": __version__,
        "commit": _commit(),
        "um_per_px": NETWORK_UM_PER_PX,
        "channels": ["red / white", "green / white", "blue / white"],
        "outputs": MAPS,
        "surroundings_px": SURROUNDINGS_PX,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "limits": list(LIMITS),
        **facts,
        **_unmeasured(),
    }


def _unmeasured() -> dict[str, Any]:
    return {
        "false_rates": {name.value: UNMEASURED_RATE for name in CellClass if name is not CellClass.NONE},
        "false_rate_certain_faint": UNMEASURED_RATE,
        "false_rates_icc": 1.0,
        "false_rates_source": "not measured yet",
    }


def _commit() -> str:
    """Commit of the checkout that this runs from, `unknown` outside one."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],  # noqa: S607 - git of the user's PATH
            cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip()


def _as_yaml(card: dict[str, Any]) -> bytes:
    return yaml.safe_dump(card, sort_keys=False, width=118, allow_unicode=True).encode()
