"""What is drawn is what the truth says: walls where antigen is, nuclei where cells are."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.imaging.stains import unmix
from her2scope.phantom.antigen import Antigen, Level, express
from her2scope.phantom.field import focused_light, truth_of
from her2scope.phantom.noise import Grid
from her2scope.phantom.optics import Optics, developed
from her2scope.phantom.run import make_run
from her2scope.phantom.stain import Absorption, Stain, absorb, transmitted
from her2scope.phantom.tissue import Patch, Section, Tissue
from her2scope.settings import Calibration

GRID = Grid(0.0, 0.0, 0.25, 1280, 720)
PLAIN = Stain(haze_od10=0.0, leak_share=0.0, granularity=0.0, ghost_share=0.0)


@cache
def grown(score: str) -> tuple[Patch, Antigen]:
    tissue = Tissue(4, (Section("tissue", score),))
    patch = tissue.patch(GRID.widened(24).bounds_um)
    return patch, express(patch, tissue.sections)


def drawn(score: str, stain: Stain = PLAIN) -> Absorption:
    return absorb(*grown(score), stain, GRID)


def completeness_drawn(dab: NDArray[np.float32], outline_um: NDArray[np.float64]) -> float:
    """Share of an outline, in steps of equal length, with DAB within 0.3 um."""
    closed = np.vstack([outline_um, outline_um[:1]])
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    places = np.linspace(0.0, length[-1], 200, endpoint=False)
    along = np.column_stack([np.interp(places, length, closed[:, axis]) for axis in (0, 1)])
    x, y = GRID.to_px(along).astype(np.float32).T
    return float((cv2.remap(dab, x[:, None], y[:, None], cv2.INTER_LINEAR) > 0.06).mean())


@pytest.mark.parametrize("score", ["0", "1+", "2+", "3+"])
def test_completeness_on_the_plain_picture_is_that_of_the_truth(score: str) -> None:
    patch, antigen = grown(score)
    dab = drawn(score).dab
    x_px, y_px = GRID.to_px(patch.centre_um).T
    inside = (x_px > 60) & (x_px < 1220) & (y_px > 60) & (y_px < 660)
    cells = np.nonzero(patch.is_whole & patch.is_tumour() & inside)[0]
    true = antigen.completeness()[cells]
    measured = np.array([completeness_drawn(dab, patch.outline_um(int(cell))) for cell in cells])
    complete = np.array([antigen.classes()[cell].is_complete for cell in cells])
    error = np.abs(measured - true)
    assert len(cells) > 50
    assert error.mean() < 0.04
    # Lines have ends as wide as themselves: they close a small gap, and touch a neighbour where walls meet.
    for group, single in ((complete, 0.07), (true == 0.0, 0.10)):
        assert not group.any() or (error[group].mean() < 0.02 and error[group].max() < single)


def test_stronger_antigen_never_lowers_dab() -> None:
    patch, antigen = grown("2+")
    before = drawn("2+").dab
    rng = np.random.default_rng(1)
    raised = np.minimum(antigen.levels + (rng.random(antigen.levels.shape) < 0.3), int(Level.INTENSE))
    after = absorb(patch, replace(antigen, levels=raised), PLAIN, GRID).dab
    assert (after - before).min() > -0.02
    assert (after - before).max() > 0.3


@pytest.mark.parametrize(("score", "level"), [("1+", Level.FAINT), ("2+", Level.MODERATE), ("3+", Level.INTENSE)])
def test_a_line_has_the_od10_and_the_width_of_its_level(score: str, level: Level) -> None:
    dab = drawn(score).dab
    expected = {Level.FAINT: 0.18, Level.MODERATE: 0.40, Level.INTENSE: 0.85}[level]
    assert np.percentile(dab[dab > 0.8 * expected], 90) == pytest.approx(expected, rel=0.02)


def test_a_truth_centre_is_the_centre_of_the_drawn_nucleus() -> None:
    patch, antigen = grown("0")
    truth = truth_of(patch, antigen, make_run(0), GRID)
    haematoxylin = drawn("0").haematoxylin
    blue = (haematoxylin > 0.13).astype(float)
    checked = 0
    cells = [cell for cell in truth["cells"] if cell["visible"]]
    places = np.array([(cell["x_px"], cell["y_px"]) for cell in cells])
    radii_px = np.array([cell["nucleus_radius_um"] for cell in cells]) / GRID.um_per_px
    for (x, y), radius_px, cell in zip(places, radii_px, cells, strict=True):
        gap_px = np.sort(np.hypot(*(places - (x, y)).T) - radii_px)[1] - radius_px
        rim = min(x, y, GRID.width - x, GRID.height - y) < 50
        if rim or cell["kind"] != "tumour" or gap_px < 0.5 * radius_px:
            continue
        y_px, x_px = np.mgrid[int(y) - 40 : int(y) + 41, int(x) - 40 : int(x) + 41]
        near = blue[y_px, x_px] * (np.hypot(x_px - x, y_px - y) < 1.35 * radius_px)
        assert np.hypot(np.sum(near * x_px) / near.sum() - x, np.sum(near * y_px) / near.sum() - y) < 0.5
        checked += 1
    assert checked > 15


def test_unmixing_gives_back_the_stains() -> None:
    absorption = drawn("3+")
    optics = Optics(response="linear", lamp_rgb=(1.0, 1.0, 1.0))
    picture = developed(transmitted(absorption, PLAIN), optics)
    found = unmix(picture, 0.25, Calibration(response="linear", white_rgb=(255.0, 255.0, 255.0)))
    assert np.abs(found.dab_od10 - absorption.dab).mean() < 0.01
    assert np.abs(found.haematoxylin_od10 - absorption.haematoxylin).mean() < 0.01


def test_a_picture_drawn_in_parts_has_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    run, grid = make_run(0), Grid(0.0, 0.0, 0.25, 200, 150)
    whole = focused_light(*grown("2+"), run, grid)
    monkeypatch.setattr("her2scope.phantom.field.DRAWN_AT_ONCE_PX", 10_000)
    assert np.abs(focused_light(*grown("2+"), run, grid) - whole).max() < 1e-5
