"""Phantom fields that the reader of outlines learns from, drawn once and kept: another network reads them anew."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError
from her2scope.imaging.opencv import cv2
from her2scope.phantom.antigen import Level
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.phantom.noise import mixed_seed
from her2scope.phantom.recipes import RECIPES
from her2scope.records import RgbImage
from her2scope.training.config import OutlineConfig

PATTERNS = ("0", "ultralow", "1+", "2+", "3+", "mixed", "1+", "2+")
"""Scores drawn in turn: what is hardest, faint and moderate lines, twice."""
SCALES_UM_PER_PX = (0.17, 0.25, 0.25, 0.25, 0.25, 0.33, 0.46)
SIDES_UM, MOST_PX = (200.0, 150.0), (1280, 960)
TRUTH_PLACES = 192
"""Places along a true outline: 0.3 um apart on a large cell."""
FIRST_SEED = 2_000_000
"""No evaluation draws runs from here on."""
LEVELS = {level.name.lower(): int(level) for level in Level}


@dataclass(frozen=True, slots=True, eq=False)
class KeptField:
    """A field and the truth of its tumour cells."""

    rgb: RgbImage
    um_per_px: float
    xy_px: NDArray[np.float32]
    """`(N, 2)` middles of all cells of the truth, tumour or not."""
    row: NDArray[np.int32]
    """`(N,)` row of the outlines; -1 of what is not a tumour cell."""
    outline_px: NDArray[np.float32]
    """`(T, TRUTH_PLACES, 2)` even places along the tumour cells' outlines."""
    level: NDArray[np.uint8]
    """`(T, TRUTH_PLACES)` `antigen.Level` there."""


def keep_fields(config: OutlineConfig, folder: Path, told: Callable[[str], None]) -> list[Path]:
    """Draw the fields of a run that are not there yet; their files, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:05d}.npz" for number in range(config.fields)]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    if missing:
        told(f"drawing {len(missing)} of {len(paths)} fields")
    for done, _ in enumerate(_drawn(config, folder, missing), 1):
        if done % 50 == 0:
            told(f"{done} of {len(missing)} fields drawn")
    return paths


def read_kept(path: Path) -> KeptField:
    """A field as it was kept; BadInputError where it cannot be read."""
    try:
        with np.load(path) as found:
            rgb = cv2.cvtColor(cv2.imdecode(found["png"], cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            return KeptField(rgb, float(found["um_per_px"]), *(found[name] for name in KeptField.__slots__[2:]))
    except (OSError, KeyError, ValueError, cv2.error) as error:
        raise BadInputError(f"{path}: no readable field ({error}). Delete it: it is drawn again.") from error


def _drawn(config: OutlineConfig, folder: Path, numbers: Sequence[int]) -> Iterator[None]:
    if config.workers == 1:
        for number in numbers:
            _keep(config, folder, number)
            yield
        return
    with ProcessPoolExecutor(config.workers, get_context("spawn")) as pool:
        yield from pool.map(_keep, [config] * len(numbers), [folder] * len(numbers), numbers, chunksize=4)


def _keep(config: OutlineConfig, folder: Path, number: int) -> None:
    drawn = render_field(spec_of(config, number))
    aside = folder / f"{number:05d}.part.npz"
    np.savez(aside, **_arrays(drawn.rgb, drawn.truth))
    os.replace(aside, folder / f"{number:05d}.npz")


def spec_of(config: OutlineConfig, number: int) -> PhantomSpec:
    """The field of a number: score in turn; scale, difficulty and look drawn."""
    rng = np.random.default_rng(mixed_seed("outline fields", config.seed, number))
    difficulty = "usual" if rng.random() < config.usual_share else "hard"
    um_per_px = float(rng.choice(SCALES_UM_PER_PX))
    recipe = str(rng.choice(list(RECIPES))) if rng.random() < config.recipe_share else None
    width, height = (min(most, 4 * round(um / um_per_px / 4)) for um, most in zip(SIDES_UM, MOST_PX, strict=True))
    seed = FIRST_SEED + config.fields * config.seed + number
    score = PATTERNS[number % len(PATTERNS)]
    return PhantomSpec(score, seed, 0, (width, height), um_per_px, difficulty, recipe=recipe)


def _arrays(rgb: RgbImage, truth: Mapping[str, Any]) -> dict[str, Any]:
    cells = truth["cells"]
    with_outline = [cell for cell in cells if cell["outline_px"]]
    places = [_even(cell) for cell in with_outline]
    has = np.array([bool(cell["outline_px"]) for cell in cells], bool)
    return {
        "png": cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1],
        "um_per_px": truth["um_per_px"],
        "xy_px": np.array([(cell["x_px"], cell["y_px"]) for cell in cells], np.float32).reshape(-1, 2),
        "row": np.where(has, np.cumsum(has) - 1, -1).astype(np.int32),
        "outline_px": np.array([xy for xy, _ in places], np.float32).reshape(-1, TRUTH_PLACES, 2),
        "level": np.array([level for _, level in places], np.uint8).reshape(-1, TRUTH_PLACES),
    }


def _even(cell: Mapping[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Even places along a true outline, and the level of stain at each."""
    outline = np.array([*cell["outline_px"], cell["outline_px"][0]], np.float64)
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(outline, axis=0).T))])
    share = np.arange(TRUTH_PLACES) / TRUTH_PLACES
    places = np.stack([np.interp(share * length[-1], length, outline[:, axis]) for axis in (0, 1)], axis=1)
    level = np.zeros(TRUTH_PLACES, np.uint8)
    for begin, end, name in cell["arcs"]:
        level[(share >= begin) & (share < end)] = LEVELS[name]
    return places.astype(np.float32), level
