"""One staining run seen at one microscope: what a seed fixes for every field, control and score drawn with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from her2scope.domain.errors import NotAvailableError
from her2scope.phantom.noise import mixed_seed
from her2scope.phantom.optics import Optics
from her2scope.phantom.ranges import HUE_SHIFTS_DEG, OPTICS, STAINS, drawn
from her2scope.phantom.recipes import RECIPES, Recipe
from her2scope.phantom.stain import Stain, turned, vector_of
from her2scope.settings import Calibration, Vector

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stainer:
    """An invented staining machine with its reagents."""

    dab_gain: float
    haematoxylin_gain: float
    dab_vector: Vector
    haematoxylin_vector: Vector


STAINERS: Mapping[str, Stainer] = {
    "alpha": Stainer(1.0, 1.0, Calibration().dab_vector, Calibration().haematoxylin_vector),
    "beta": Stainer(0.92, 1.15, vector_of(72.0, 30.0), vector_of(28.0, 36.0)),
    "gamma": Stainer(1.08, 0.90, vector_of(68.0, 32.0), vector_of(31.0, 38.0)),
    "delta": Stainer(1.0, 1.0, vector_of(77.0, 27.0), vector_of(20.0, 35.0)),
    "epsilon": Stainer(0.72, 1.0, vector_of(70.0, 31.0), vector_of(26.0, 37.0)),
    "zeta": Stainer(1.35, 0.95, vector_of(71.0, 30.0), vector_of(29.0, 37.0)),
}
"""Ruifrok and Johnston's hues (alpha), and those of the purest places of real fields: DAB where it is strongest, and
haematoxylin where there is no DAB. Weak stain looks otherwise, since there is some of the other in it. Epsilon is a
pale protocol and zeta a strong one, which only a control can tell from a failed stain."""
SEED_STAINERS = ("alpha", "beta", "gamma", "delta")
"""What a seed chooses from."""
CLEAN_SHARE = 0.15
"""Share of runs without any of `UNCLEAN`."""
UNCLEAN = ("haze_od10", "granular_od10", "background_od10", "nuclear_od10", "edge_od10", "precipitate", "roughness")
CAMERAS: Mapping[str, tuple[str, float]] = {
    "linear": ("linear", 0.0),
    "sharp": ("linear", 1.0),
    "soft": ("gamma:1.2", 0.5),
    "srgb": ("srgb", 0.0),
}
"""Invented cameras: response, and how much of the difficulty's sharpening they do."""
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
    "drift",
)
"""What can go wrong with a run or a field: the codes of the control rules that a picture can show; a drift of the light
only beside the white of another day."""
DRIFTED_LIGHT = (0.86, 0.80, 0.70)
"""Red, green and blue light of a lamp that was turned down, as a share of what it was: a filament cools and yellows."""
LAB_SPREAD: Mapping[str, float] = {
    "dab_gain": 0.07,
    "haematoxylin_gain": 0.10,
    "haze_od10": 0.25,
    "granular_od10": 0.25,
    "background_od10": 0.25,
    "nuclear_od10": 0.25,
}
LAMP_SPREAD = 0.01
"""Standard deviations (natural logarithm) from run to run within a laboratory: 7 % of DAB, as automated stainers keep;
what is unwanted varies more."""
MOST_LAB_BOOST = 1.3
"""A laboratory titrates its antibody so that a 3+ membrane does not exceed what a camera can measure."""
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
    recipe: str | None = None
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
            "recipe": self.recipe,
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
    recipe: str | None = None,
    lab: int | None = None,
) -> Run:
    """Run of a seed. A stainer or camera that is named replaces the one that the seed would choose.

    With `lab`, the seed of a laboratory, stainer, protocol, camera and lamp are the laboratory's, and only what differs
    there from run to run is the run's own.
    """
    if lab is not None:
        return _run_of_lab(make_run(mixed_seed("lab", lab), difficulty, stainer, camera, None, recipe), seed, damage)
    like = _known("recipe", recipe, RECIPES) if recipe else Recipe("", "")
    rng = np.random.default_rng(mixed_seed("run", seed))
    # Drawn whether named or not: everything else of the run stays the same.
    drawn_stainer, drawn_camera = str(rng.choice(SEED_STAINERS)), str(rng.choice(SEED_CAMERAS))
    stainer, camera = stainer or drawn_stainer, camera or drawn_camera
    lot = f"{rng.integers(10_000, 99_999)}"
    stain = _stain(_known("stainer", stainer, STAINERS), difficulty, np.random.default_rng(mixed_seed("stain", seed)))
    optics = _optics(_known("camera", camera, CAMERAS), difficulty, np.random.default_rng(mixed_seed("optics", seed)))
    stain, optics = replace(stain, **like.stain), replace(optics, **like.optics)
    run = Run(seed, stainer, lot, camera, difficulty, damage, recipe, stain, optics)
    return run if damage is None else _damaged(run, damage)


def _run_of_lab(usual: Run, seed: int, damage: str | None) -> Run:
    """A run of a laboratory of which `usual` is a run of mean strength."""
    rng = np.random.default_rng(mixed_seed("run of lab", seed))
    spread = {name: float(np.exp(deviation * rng.standard_normal())) for name, deviation in LAB_SPREAD.items()}
    stain = replace(
        usual.stain,
        intense_boost=min(usual.stain.intense_boost, MOST_LAB_BOOST),
        **{name: getattr(usual.stain, name) * factor for name, factor in spread.items()},
    )
    light = float(np.exp(LAMP_SPREAD * rng.standard_normal()))
    optics = replace(usual.optics, lamp_rgb=_dimmed(usual.optics.lamp_rgb, (light, light, light)))
    run = replace(usual, seed=seed, damage=damage, stain=stain, optics=optics)
    return run if damage is None else _damaged(run, damage)


def _stain(machine: Stainer, difficulty: str, rng: np.random.Generator) -> Stain:
    values = drawn(STAINS, difficulty, rng)
    if rng.random() < CLEAN_SHARE:
        values |= {name: 0.0 for name in UNCLEAN if name in values}
    values["dab_gain"] *= machine.dab_gain
    values["haematoxylin_gain"] *= machine.haematoxylin_gain
    shift = HUE_SHIFTS_DEG[difficulty]
    haematoxylin, dab = (
        turned(vector, *rng.uniform(-shift, shift, 2)) for vector in (machine.haematoxylin_vector, machine.dab_vector)
    )
    return Stain(haematoxylin_vector=haematoxylin, dab_vector=dab, **values)


def _optics(camera: tuple[str, float], difficulty: str, rng: np.random.Generator) -> Optics:
    response, sharpened = camera
    values = drawn(OPTICS, difficulty, rng)
    white, red, blue = (values.pop(name) for name in ("white", "red_cast", "blue_cast"))
    lamp_centre = (float(rng.uniform(0.35, 0.65)), float(rng.uniform(0.35, 0.65)))
    values["sharpening"] = sharpened * values.get("sharpening", 0.9)
    axial_um, lateral_px = values.pop("axial_blur_um", 0.0), values.pop("lateral", 0.0)
    tilt, direction = values.pop("lamp_tilt", 0.0), rng.uniform(0.0, 2.0 * np.pi)
    if difficulty != "easy":
        values |= _extras(difficulty == "hard", rng)
    return Optics(
        response=response,
        lamp_rgb=(white * (1.0 + red), white, white * (1.0 + blue)),
        lamp_centre=lamp_centre,
        axial_um=(0.6 * axial_um, 0.0, axial_um),
        lateral_px=(-lateral_px, lateral_px),
        lamp_tilt=(float(tilt * np.cos(direction)), float(tilt * np.sin(direction))),
        **values,
    )


def _extras(is_hard: bool, rng: np.random.Generator) -> dict[str, Any]:
    """What a camera has or has not, and what lies in the light path."""
    rare = 1.0 if is_hard else 0.25
    low, high = (35, 92) if is_hard else (60, 92)
    compressed, quality = rng.random() < 0.85, int(rng.integers(low, high))
    dust = int(rng.integers(1, 8)) if rng.random() < 0.4 * rare else 0
    return {
        "bayer": bool(rng.random() < 0.5),
        "sharpening_luma": bool(rng.random() < 0.67),
        "halo_limit": float(rng.uniform(20.0, 60.0)) if rng.random() < 0.3 else 255.0,
        "jpeg_quality": quality if compressed else 0,
        "dust": dust,
        "dust_seed": int(rng.integers(1 << 30)),
        "bubbles": int(rng.random() < 0.03 * rare),
        "ink": int(rng.random() < 0.03 * rare),
        "tilt_px": float(rng.uniform(0.0, 1.5)) if rng.random() < 0.3 * rare else 0.0,
        "tilt_towards_deg": float(rng.uniform(0.0, 360.0)),
        "folds": int(rng.random() < 0.05 * rare),
    }


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
        "drift": replace(optics, lamp_rgb=_dimmed(optics.lamp_rgb, DRIFTED_LIGHT)),
    }
    change = changes.get(damage)
    if isinstance(change, Stain):
        return replace(run, stain=change)
    return replace(run, optics=change) if isinstance(change, Optics) else run


def _dimmed(lamp_rgb: Vector, share: Vector) -> Vector:
    red, green, blue = (light * part for light, part in zip(lamp_rgb, share, strict=True))
    return red, green, blue


def _known(what: str, name: str, table: Mapping[str, T]) -> T:
    if name not in table:
        raise NotAvailableError(what, name, sorted(table))
    return table[name]
