"""One staining run seen at one microscope: what a seed fixes for every field, control and score drawn with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from her2scope.domain.errors import NotAvailableError
from her2scope.phantom.noise import mixed_seed
from her2scope.phantom.optics import Optics
from her2scope.phantom.stain import Stain, fit
from her2scope.settings import Calibration, Vector

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Difficulty:
    """Size of what makes a field hard to read."""

    haze_od10: float
    leak_share: float
    counterstain: float
    blur_um: float
    electrons: float
    granularity: float
    shading: float
    ghost_share: float


DIFFICULTIES: Mapping[str, Difficulty] = {
    "easy": Difficulty(0.02, 0.05, 1.15, 0.06, 40_000.0, 0.20, 0.02, 0.0),
    "usual": Difficulty(0.06, 0.10, 1.0, 0.14, 12_000.0, 0.34, 0.06, 0.08),
    "hard": Difficulty(0.13, 0.20, 0.65, 0.32, 3_500.0, 0.42, 0.14, 0.25),
}


@dataclass(frozen=True, slots=True)
class Stainer:
    """An invented staining machine with its reagents."""

    dab_gain: float
    haematoxylin_gain: float
    dab_vector: Vector
    haematoxylin_vector: Vector


STAINERS: Mapping[str, Stainer] = {
    "alpha": Stainer(1.0, 1.0, Calibration().dab_vector, Calibration().haematoxylin_vector),
    "beta": Stainer(0.92, 1.15, (0.29, 0.55, 0.78), (0.72, 0.63, 0.29)),
    "gamma": Stainer(1.08, 0.90, (0.31, 0.53, 0.79), (0.76, 0.58, 0.30)),
}
"""From Ruifrok and Johnston's hues (alpha) to the bluer ones of our real camera fields (gamma)."""
CAMERAS: Mapping[str, tuple[str, float]] = {
    "linear": ("linear", 0.0),
    "sharp": ("linear", 0.9),
    "soft": ("gamma:1.2", 0.3),
    "srgb": ("srgb", 0.0),
}
"""Invented cameras: response and sharpening."""
SEED_CAMERAS = ("linear", "sharp", "soft")
"""What a seed chooses from. Our real camera fields, read as linear, show the od10 of `stain.WALL_OD10`: the contrast
curve of such cameras undoes their encoding. A plain sRGB one gives paler pictures; it has to be asked for."""
DAMAGES = (
    "faded",
    "over_stained",
    "background",
    "no_counterstain",
    "nuclear",
    "blurred",
    "over_exposed",
    "wrong_level",
    "too_few",
)
"""What can go wrong with a run or a field: the codes of the control rules that a picture can show."""
WRONG_LEVEL: Mapping[str, str] = {"3+": "1+", "2+": "0", "mixed": "0", "1+": "3+", "ultralow": "3+", "0": "3+"}
"""Pattern that is really on the slide where the label is wrong."""


@dataclass(frozen=True, slots=True)
class Run:
    """A staining run and the microscope it is read at."""

    seed: int
    stainer: str
    lot: str
    camera: str
    difficulty: str
    damage: str | None
    stain: Stain = field(default_factory=Stain)
    optics: Optics = field(default_factory=Optics)

    def as_mapping(self) -> dict[str, object]:
        """What a truth file says about the run."""
        return {
            "seed": self.seed,
            "stainer": self.stainer,
            "lot": self.lot,
            "camera": self.camera,
            "difficulty": self.difficulty,
            "damage": self.damage,
            "response": self.optics.response,
            "white_rgb": [round(value, 2) for value in self.optics.white_rgb()],
            "haematoxylin_vector": [round(value, 4) for value in self.stain.haematoxylin_vector],
            "dab_vector": [round(value, 4) for value in self.stain.dab_vector],
        }


def make_run(
    seed: int,
    difficulty: str = "usual",
    stainer: str | None = None,
    camera: str | None = None,
    damage: str | None = None,
) -> Run:
    """Run of a seed. A stainer or camera that is named replaces the one that the seed would choose."""
    size = _known("difficulty", difficulty, DIFFICULTIES)
    rng = np.random.default_rng(mixed_seed("run", seed))
    # Drawn whether named or not: everything else of the run stays the same.
    drawn_stainer, drawn_camera = str(rng.choice(list(STAINERS))), str(rng.choice(SEED_CAMERAS))
    stainer, camera = stainer or drawn_stainer, camera or drawn_camera
    machine = _known("stainer", stainer, STAINERS)
    response, sharpening = _known("camera", camera, CAMERAS)
    lot = f"{rng.integers(10_000, 99_999)}"
    stain = Stain(
        haematoxylin_vector=_varied(machine.haematoxylin_vector, rng),
        dab_vector=_varied(machine.dab_vector, rng),
        dab_gain=machine.dab_gain * rng.uniform(0.92, 1.08),
        haematoxylin_gain=machine.haematoxylin_gain * rng.uniform(0.9, 1.1) * size.counterstain,
        haze_od10=size.haze_od10 * rng.uniform(0.7, 1.3),
        leak_share=size.leak_share * rng.uniform(0.7, 1.3),
        granularity=size.granularity,
        ghost_share=size.ghost_share,
    )
    white, blue = rng.uniform(0.85, 0.92), rng.uniform(-0.03, 0.05)
    optics = Optics(
        response=response,
        lamp_rgb=(white - blue, white, white + blue),
        shading=size.shading,
        lamp_centre=(rng.uniform(0.35, 0.65), rng.uniform(0.35, 0.65)),
        blur_um=size.blur_um,
        electrons=size.electrons,
        sharpening=sharpening,
    )
    run = Run(seed, stainer, lot, camera, difficulty, damage, stain, optics)
    return run if damage is None else _damaged(run, damage)


def _varied(vector: Vector, rng: np.random.Generator) -> Vector:
    return fit(vector, rng.normal(0.0, 0.015, 3))


def _damaged(run: Run, damage: str) -> Run:
    """The run with one fault, as large as a lab would notice; a wrong level and too few cells lie in the tissue."""
    if damage not in DAMAGES:
        raise NotAvailableError("damage", damage, sorted(DAMAGES))
    stain, optics = run.stain, run.optics
    changes: Mapping[str, Stain | Optics] = {
        "faded": replace(stain, dab_gain=0.28 * stain.dab_gain),
        "over_stained": replace(stain, dab_gain=2.2 * stain.dab_gain, haze_od10=stain.haze_od10 + 0.15),
        "background": replace(stain, background_od10=0.35),
        "no_counterstain": replace(stain, haematoxylin_gain=0.08 * stain.haematoxylin_gain),
        "nuclear": replace(stain, nuclear_od10=0.45),
        "blurred": replace(optics, blur_um=1.6),
        "over_exposed": replace(optics, exposure=2.0),
    }
    change = changes.get(damage)
    if isinstance(change, Stain):
        return replace(run, stain=change)
    return replace(run, optics=change) if isinstance(change, Optics) else run


def _known(what: str, name: str, table: Mapping[str, T]) -> T:
    if name not in table:
        raise NotAvailableError(what, name, sorted(table))
    return table[name]
