"""Stain vectors of phantom runs, whose truth is known; fields that cannot give them are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from her2scope.domain.errors import BadInputError
from her2scope.imaging.calibration.figures import draw_stain_fit
from her2scope.imaging.calibration.refusal import MeasurementRefused
from her2scope.imaging.calibration.stain_vectors import angle_deg, measure_stain_vectors
from her2scope.imaging.files import read_rgb
from her2scope.phantom.calibration_targets import draw_empty_field
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.phantom.optics import Optics
from her2scope.settings import Calibration, Vector

WHITE = (240.0, 236.0, 230.0)
CALIBRATION = Calibration(response="linear", white_rgb=WHITE)
LITERATURE = Calibration()


def mixed(haematoxylin: Vector, dab: Vector, dab_share: float = 0.5, seed: int = 0) -> np.ndarray:
    """Patches of pure and mixed stain on glass, with the camera's noise."""
    rng = np.random.default_rng(seed)
    amounts = rng.uniform(0.0, 0.8, (30, 40, 2))
    pure = rng.random((30, 40))
    amounts[..., 1] *= (pure > 0.3) * (dab_share > 0)
    amounts[..., 0] *= (pure < 0.3) | (pure > 0.6) if dab_share < 1 else 0.0
    unit = np.array([np.array(vector) / np.linalg.norm(vector) for vector in (haematoxylin, dab)])
    light = np.array(WHITE) * 10.0 ** -(amounts @ unit)
    big = np.repeat(np.repeat(light, 16, axis=0), 16, axis=1)
    return np.clip(big + rng.normal(0, 1.5, big.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("haematoxylin", "dab"),
    [
        (LITERATURE.haematoxylin_vector, LITERATURE.dab_vector),
        ((0.72, 0.58, 0.38), (0.27, 0.50, 0.82)),
        ((0.62, 0.74, 0.25), (0.38, 0.58, 0.72)),
    ],
)
def test_known_mixtures_give_back_their_stains(haematoxylin, dab):
    found = measure_stain_vectors([mixed(haematoxylin, dab)], CALIBRATION)
    assert angle_deg(found.haematoxylin, haematoxylin) < 1.5 and angle_deg(found.dab, dab) < 1.5
    assert np.linalg.norm(found.dab) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("seed", "camera"), [(500, "soft"), (501, "linear"), (503, "sharp")])
def test_phantom_runs_are_read_better_than_by_the_literature(seed, camera):
    fields = [
        render_field(PhantomSpec(score, seed, camera=camera, size_wh=(640, 400), difficulty="easy"))
        for score in ("2+", "3+")
    ]
    run = fields[0].truth["run"]
    calibration = Calibration(response=run["response"], white_rgb=tuple(run["white_rgb"]))
    found = measure_stain_vectors([field.rgb for field in fields], calibration)
    assert angle_deg(found.haematoxylin, run["haematoxylin_vector"]) < 2.0
    assert angle_deg(found.dab, run["dab_vector"]) < 4.0
    assert draw_stain_fit(found).dtype == np.uint8


def test_fields_are_pooled_in_any_order():
    fields = [mixed(LITERATURE.haematoxylin_vector, LITERATURE.dab_vector, seed=seed) for seed in range(2)]
    first, second = (measure_stain_vectors(order, CALIBRATION) for order in (fields, fields[::-1]))
    assert first.dab == pytest.approx(second.dab, abs=2e-3) and first.n_fields == 2


def refusal(*fields: np.ndarray) -> str:
    with pytest.raises(MeasurementRefused) as refused:
        measure_stain_vectors(fields, CALIBRATION)
    return refused.value.code


def test_what_shows_no_two_stains_is_refused():
    literature = LITERATURE.haematoxylin_vector, LITERATURE.dab_vector
    assert refusal(draw_empty_field(Optics(response="linear"), (320, 240))) == "too_few_pixels"
    assert refusal(mixed(*literature, dab_share=0.0)) == "one_stain"
    assert refusal(mixed(*literature, dab_share=1.0)) == "one_stain"


def test_other_stains_are_refused():
    eosin = (0.07, 0.99, 0.11)
    assert refusal(mixed(LITERATURE.haematoxylin_vector, eosin)) == "implausible"
    with pytest.raises(BadInputError, match="no field"):
        measure_stain_vectors([], CALIBRATION)


def test_real_fields_give_sane_vectors_and_haematoxylin_and_eosin_none(shared_data: Path):
    for name in ("her2_camera_fields/case002_f05_score0.jpg", "ihc_misc/skimage_ihc_colon_FHL2_512.png"):
        found = measure_stain_vectors([read_rgb(shared_data / name)], Calibration())
        assert 25 < found.between_deg < 60
    with pytest.raises(MeasurementRefused):
        measure_stain_vectors([read_rgb(shared_data / "he_polygons_gbm/01.tif")], Calibration())
