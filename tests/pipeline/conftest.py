"""Phantom fields and an analyser, drawn once for all tests of the pipeline."""

from __future__ import annotations

import pytest

from her2scope.app.compose import DEFAULT_METHOD, make_analyser
from her2scope.domain.errors import SigningError
from her2scope.domain.sign_off import signer_key
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.records import FieldResult, Frame
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
    return Frame(field.rgb, number, 0.0, 0.25, name=f"{score}_{number}.png")


@pytest.fixture(scope="session")
def frames() -> dict[str, Frame]:
    """Fields of one run: two of a 2+ tissue, controls of three levels, a failed one and an empty place."""
    wanted = {"2+": ("2+", 0), "2+ again": ("2+", 1), "3+": ("3+", 0), "1+": ("1+", 0), "0": ("0", 0)}
    found = {name: phantom_frame(score, number) for name, (score, number) in wanted.items()}
    found["hazy 0"] = phantom_frame("0", damage="background")
    found["faded 3+"] = phantom_frame("3+", damage="faded")
    found["blurred"] = phantom_frame("2+", damage="blurred")
    return found


@pytest.fixture(scope="session")
def analysed(analyser, frames) -> FieldResult:
    """The 2+ field, as it is analysed until a control is read."""
    return analyser.analyse(frames["2+"], analyser.default_cuts)
