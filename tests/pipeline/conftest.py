"""Phantom fields and an analyser, drawn once for all tests of the pipeline."""

from __future__ import annotations

import pytest

from her2scope.app.compose import DEFAULT_METHOD, make_analyser
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.records import Frame
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
