"""Phantom fields and an analyser, drawn once for all tests of the pipeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_once import made_once

from her2scope.app.compose import DEFAULT_METHOD, make_analyser
from her2scope.domain.errors import SigningError
from her2scope.domain.sign_off import signer_key
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.records import FieldResult, Frame, RgbImage
from her2scope.settings import Calibration, ScoringSettings


class HeldClock:
    """Time that stands still between calls."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now_utc(self) -> str:
        self.now_s += 1.0
        return f"2026-01-01T00:{int(self.now_s) // 60:02d}:{int(self.now_s) % 60:02d}.000+00:00"

    def monotonic_s(self) -> float:
        return self.now_s


class KnownSigners:
    """Signers in RAM, whose PINs are not hashed."""

    def __init__(self, **pins: str) -> None:
        self.pins = {name.replace("_", " "): pin for name, pin in pins.items()}

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.pins))

    def enrol(self, name: str, pin: str) -> None:
        if any(signer_key(one) == signer_key(name) for one in self.pins):
            raise SigningError("enrolled already.")
        self.pins[name] = pin

    def change_pin(self, name: str, pin: str, new_pin: str) -> None:
        self.check(name, pin)
        self.pins[name] = new_pin

    def check(self, name: str, pin: str) -> None:
        known = {signer_key(one): own for one, own in self.pins.items()}
        if known.get(signer_key(name)) != pin:
            raise SigningError("this name and PIN do not belong together.")


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture(scope="session")
def analyser() -> FieldAnalyser:
    return make_analyser(DEFAULT_METHOD, ScoringSettings(), Calibration())


def phantom_frame(score: str, number: int = 0, seed: int = 21, **more: object) -> Frame:
    field = render_field(PhantomSpec(score, seed, number, difficulty="easy", camera="linear", **more))
    return framed(score, number, field.rgb)


def framed(score: str, number: int, rgb: RgbImage) -> Frame:
    return Frame(rgb, number, 0.0, 0.25, name=f"{score}_{number}.png")


FRAMES = {
    "2+": ("2+", 0, None),
    "2+ again": ("2+", 1, None),
    "3+": ("3+", 0, None),
    "1+": ("1+", 0, None),
    "0": ("0", 0, None),
    "hazy 0": ("0", 0, "background"),
    "faded 3+": ("3+", 0, "faded"),
    "blurred": ("2+", 0, "blurred"),
}
"""Score, number and damage of each."""


class Frames(dict[str, Frame]):
    """Each is drawn when it is asked for."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        super().__init__()
        self._factory = factory

    def __missing__(self, name: str) -> Frame:
        score, number, damage = FRAMES[name]

        def draw(folder: Path) -> None:
            np.save(folder / "rgb.npy", phantom_frame(score, number, damage=damage).rgb)

        rgb = np.load(made_once(self._factory, f"pipeline-{name}", draw) / "rgb.npy")
        self[name] = framed(score, number, rgb)
        return self[name]


@pytest.fixture(scope="session")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    """Fields of one run: two of a 2+ tissue, controls of three levels, a failed one and an empty place."""
    return Frames(tmp_path_factory)


@pytest.fixture(scope="session")
def analysed(analyser, frames) -> FieldResult:
    """The 2+ field, as it is analysed until a control is read."""
    return analyser.analyse(frames["2+"], analyser.default_cuts)
