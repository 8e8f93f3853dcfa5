"""Eyepiece map: a simulated display and camera are found again to a display pixel, and wrong targets are refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.imaging.calibration.eyepiece_map import (
    MAX_SKEW_DEG,
    check_eyepiece_fit,
    fit_eyepiece_map,
    fitted_matrix,
    to_camera,
    to_display,
)
from her2scope.imaging.calibration.refusal import MeasurementRefused
from her2scope.settings.eyepiece import FEWEST_TARGETS, MAX_RESIDUAL_PX, Matrix
from her2scope.ui.eyepiece_targets import target_places

CAMERA_WH, DISPLAY_WH = (1920, 1200), (1280, 720)
TARGETS = np.array(target_places(DISPLAY_WH))


@dataclass(frozen=True)
class Bench:
    """A display seen by a camera through optics that turn, scale, mirror and shear."""

    turn_deg: float = 3.0
    scale: float = 0.62
    mirrored: bool = False
    shear: float = 0.0
    stretch: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def matrix(self) -> Matrix:
        """Camera to display: middle to middle, and a shift."""
        turn = np.radians(self.turn_deg)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        form = np.array([[1.0, self.shear], [0.0, self.stretch]]) @ np.diag([-1.0 if self.mirrored else 1.0, 1.0])
        linear = self.scale * rotation @ form
        at = (np.array(DISPLAY_WH) - 1) / 2 + self.shift - linear @ ((np.array(CAMERA_WH) - 1) / 2)
        (a, b), (d, e) = linear.tolist()
        return (a, b, float(at[0])), (d, e, float(at[1]))

    def clicks(self, targets: np.ndarray, error_px: float = 0.0, seed: int = 0) -> np.ndarray:
        """Where a person clicks in the camera picture, normally about the right place (camera px on each axis)."""
        exact = to_camera(self.matrix, targets)
        return exact + np.random.default_rng(seed).normal(0.0, error_px, exact.shape)


BENCHES = [
    Bench(),
    Bench(turn_deg=0.0, scale=1.0),
    Bench(turn_deg=-87.0, scale=0.5),
    Bench(turn_deg=178.0, mirrored=True),
    Bench(turn_deg=12.0, shear=0.06, stretch=1.05, shift=(40.0, -25.0)),
    Bench(turn_deg=-5.0, scale=0.58, mirrored=True, shear=-0.05),
]


def fit(clicks: np.ndarray, targets: np.ndarray = TARGETS):
    return fit_eyepiece_map(clicks, targets, CAMERA_WH, DISPLAY_WH)


def refusal(clicks: np.ndarray, targets: np.ndarray = TARGETS) -> MeasurementRefused:
    with pytest.raises(MeasurementRefused) as refused:
        check_eyepiece_fit(fit(clicks, targets))
    assert refused.value.why.endswith(".")
    return refused.value


def greatest_error_px(found: Matrix, true: Matrix) -> float:
    """Greatest distance, over all of the display that the camera sees, of two maps."""
    across, down = np.meshgrid(np.linspace(0, DISPLAY_WH[0] - 1, 40), np.linspace(0, DISPLAY_WH[1] - 1, 30))
    camera = to_camera(true, np.stack([across.ravel(), down.ravel()], axis=1))
    camera = camera[((camera >= 0) & (camera <= np.array(CAMERA_WH) - 1)).all(axis=1)]
    assert len(camera) > 200
    return float(np.linalg.norm(to_display(found, camera) - to_display(true, camera), axis=1).max())


@pytest.mark.parametrize("bench", BENCHES)
@pytest.mark.parametrize("seed", range(4))
def test_after_calibration_the_map_is_right_to_a_display_pixel(bench, seed):
    found = fit(bench.clicks(TARGETS, error_px=0.5, seed=seed))
    check_eyepiece_fit(found)
    assert 0 < found.residual_px <= MAX_RESIDUAL_PX
    assert greatest_error_px(found.matrix, bench.matrix) <= 1.0


@given(
    st.floats(-180, 180), st.floats(0.3, 2.5), st.booleans(), st.floats(-0.15, 0.15), st.floats(0.85, 1.15)
)  # fmt: skip
def test_exact_clicks_give_the_map_itself(turn_deg, scale, mirrored, shear, stretch):
    bench = Bench(turn_deg, scale, mirrored, shear, stretch)
    found = fit(bench.clicks(TARGETS))
    check_eyepiece_fit(found)
    assert np.allclose(found.matrix, bench.matrix, atol=1e-6)
    assert found.residual_px < 1e-6
    assert found.shape.mirrored is mirrored
    assert abs(found.shape.skew_deg) < MAX_SKEW_DEG


@given(st.integers(0, len(TARGETS) - 1), st.floats(0, 2 * np.pi), st.floats(8.0, 400.0), st.sampled_from(BENCHES))
def test_one_wrong_target_is_refused_by_its_name(number, direction, wrong_px, bench):
    clicks = bench.clicks(TARGETS, error_px=0.3)
    clicks[number] += wrong_px / 0.5 * np.array([np.cos(direction), np.sin(direction)])
    refused = refusal(clicks)
    assert refused.code == "outlier"
    assert f"target {number + 1} lies" in refused.why


def test_the_names_of_the_targets_are_used():
    clicks = Bench().clicks(TARGETS)
    clicks[2] += 30
    with pytest.raises(MeasurementRefused, match="Match upper left again"):
        check_eyepiece_fit(fit(clicks), ["a", "b", "upper left", *"defghijklmnop"])


@pytest.mark.parametrize("bench", BENCHES)
def test_mixed_up_targets_are_refused(bench):
    clicks = bench.clicks(TARGETS, error_px=0.3)
    clicks[[1, 8]] = clicks[[8, 1]]
    assert refusal(clicks).code == "residual"


def test_careless_clicks_are_refused():
    assert refusal(Bench().clicks(TARGETS, error_px=6.0)).code == "residual"


def test_a_lens_that_bends_shows_in_the_residual():
    clicks = Bench().clicks(TARGETS)
    from_middle = clicks - np.array(CAMERA_WH) / 2
    bent = clicks + from_middle * 3e-8 * (from_middle**2).sum(axis=1, keepdims=True)
    assert refusal(bent).code in ("residual", "outlier")


@pytest.mark.parametrize("n", [0, 3, FEWEST_TARGETS - 1])
def test_too_few_targets_are_refused(n):
    assert refusal(Bench().clicks(TARGETS)[:n], TARGETS[:n]).code == "few_targets"


def test_as_many_targets_as_are_needed_are_enough():
    check_eyepiece_fit(fit(Bench().clicks(TARGETS, 0.2)[-FEWEST_TARGETS:], TARGETS[-FEWEST_TARGETS:]))


def test_targets_on_a_line_are_refused():
    on_line = np.stack([np.linspace(100, 1100, 8), np.linspace(80, 640, 8)], axis=1)
    assert refusal(Bench().clicks(on_line, error_px=0.5), on_line).code == "line"
    same = np.repeat(TARGETS[:1], 8, axis=0)
    assert refusal(Bench().clicks(same), same).code == "line"


def test_targets_close_together_are_refused():
    middle = (np.array(DISPLAY_WH) - 1) / 2
    close = middle + 0.3 * (TARGETS - middle)
    assert refusal(Bench().clicks(close, error_px=0.3), close).code == "spread"


@pytest.mark.parametrize(
    "bench", [Bench(stretch=2.0), Bench(stretch=0.5), Bench(shear=0.6), Bench(scale=0.01), Bench(scale=80.0)]
)
def test_a_map_that_no_eyepiece_has_is_refused(bench):
    assert refusal(bench.clicks(TARGETS)).code == "distorted"


def test_a_place_that_is_no_number_is_refused():
    clicks = Bench().clicks(TARGETS)
    clicks[0, 0] = np.nan
    assert refusal(clicks).code == "few_targets"


@given(st.sampled_from(BENCHES), st.floats(-100, 2000), st.floats(-100, 2000))
def test_there_and_back_again(bench, x, y):
    assert np.allclose(to_camera(bench.matrix, to_display(bench.matrix, [[x, y]])), [[x, y]], atol=1e-6)


@given(st.tuples(st.integers(64, 4000), st.integers(64, 4000)), st.tuples(st.integers(64, 4000), st.integers(64, 4000)))
def test_a_fitted_picture_fills_the_display_in_one_direction(camera_wh, display_wh):
    low, high = to_display(fitted_matrix(camera_wh, display_wh), [[-0.5, -0.5], np.array(camera_wh) - 0.5])
    assert np.allclose(low + high, np.array(display_wh) - 1)
    assert np.isclose(high - low, display_wh).any() and (high - low <= np.array(display_wh) + 1e-6).all()


def test_the_error_at_the_edge_is_what_repeated_calibrations_scatter_by():
    bench = Bench()
    errors, told = [], []
    for seed in range(200):
        found = fit(bench.clicks(TARGETS, error_px=0.5, seed=seed))
        across = to_camera(
            bench.matrix, [[0, 0], [DISPLAY_WH[0] - 1, 0], [0, DISPLAY_WH[1] - 1], np.array(DISPLAY_WH) - 1]
        )
        moved = to_display(found.matrix, across) - to_display(bench.matrix, across)
        errors.append((moved**2).sum(axis=1).mean() ** 0.5)
        told.append(found.edge_error_px)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.sqrt(np.mean(np.square(told))), rel=0.2)
