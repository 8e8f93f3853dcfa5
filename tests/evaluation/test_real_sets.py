"""Sets of real pictures, played by phantoms: what is counted, what is only told, what is refused."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from her2scope.app.compose import make_analyser
from her2scope.domain.errors import BadInputError
from her2scope.evaluation.membrane_masks import evaluate_membrane_masks
from her2scope.evaluation.nuclear_masks import evaluate_nuclear_masks
from her2scope.evaluation.quality_tiles import evaluate_quality_tiles
from her2scope.evaluation.real_cases import evaluate_real_cases
from her2scope.imaging.files import write_mask, write_png
from her2scope.phantom.compare.real_fields import read_list
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.settings import Calibration, ScoringSettings

METHOD = "closed-contours"
SIZE = (480, 360)


@pytest.fixture(scope="module")
def analysers():
    return {METHOD: partial(make_analyser, METHOD, ScoringSettings(), Calibration())()}


@pytest.fixture(scope="module")
def rgb() -> np.ndarray:
    return render_field(PhantomSpec("3+", 4, size_wh=SIZE, difficulty="easy")).rgb


def silent(_: str) -> None:
    """Tell nobody."""


def texts(report) -> dict[str, tuple[str, bool | None]]:
    return {figure.name.strip(): (figure.text, figure.met) for figure in report.figures}


def test_only_cases_with_a_label_that_are_not_the_control_are_counted(analysers, rgb, tmp_path: Path):
    names = ("case008_f09_score3", "caseA_f01", "caseA_f02", "caseB_f01")
    for turn, name in enumerate(names):
        write_png(tmp_path / "her2_camera_fields" / f"{name}.png", np.rot90(rgb, turn).copy())
    rows = "".join(
        f"her2_camera_fields/{name}.png,0.25,{score},{name.partition('_')[0]},,\n"
        for name, score in zip(names, ("3+", "0", "0", ""), strict=True)
    )
    listed = tmp_path / "list.csv"
    listed.write_text("file,um_per_px,score,case,recipe,source\n" + rows)
    report = evaluate_real_cases(analysers, read_list(listed), silent)[METHOD]
    found = texts(report)
    assert found["score equal to the label"] == ("0 of 1", False)
    assert set(found) - {"score equal to the label"} == {
        "case008, label 3+, not counted",
        "caseA, label 0",
        "caseB, label in doubt, not counted",
    }
    cases = {case["case"]: case for case in report.details["cases"]}
    assert [field["image"] for field in cases["caseA"]["fields"]] == [
        "her2_camera_fields/caseA_f01.png",
        "her2_camera_fields/caseA_f02.png",
    ]
    assert all(case["control"]["status"] != "absent" and case["reasons"] for case in cases.values())


def test_a_tile_that_cannot_be_scored_gives_its_codes_and_no_score(analysers, rgb, tmp_path):
    folder = tmp_path / "her2_bci_20x"
    write_png(folder / "00002_test_score2.png", rgb)
    write_png(folder / "00099_test_score1.png", np.full((360, 480, 3), (238, 236, 235), np.uint8))
    report = evaluate_quality_tiles(analysers, tmp_path, silent)[METHOD]
    found = texts(report)
    assert found["sharp tiles read"] == ("1 of 1", True) and found["other tiles refused"] == ("1 of 1", True)
    blank = report.details["tiles"][1]
    assert not blank["usable"] and blank["codes"] and blank["reasons"] and blank["score"] is None


def test_masks_give_their_rows_and_a_set_that_is_missing_says_so(analysers, rgb, tmp_path):
    folder = tmp_path / "ihc_nuclei_ki67" / "field1"
    mask = np.zeros(rgb.shape[:2], np.uint8)
    mask[100:160, 100:170] = 255
    write_png(folder / "original.jpg", rgb)  # the kind of a file is told by its bytes
    write_mask(folder / "mask_positive.png", mask)
    write_mask(folder / "mask_negative.png", np.zeros_like(mask))
    report = evaluate_nuclear_masks(analysers, tmp_path, silent)[METHOD]
    assert [figure.on for figure in report.figures] == ["nuclear stain, ki67", "nuclear stain, deepliif"]
    assert report.figures[0].value is not None and "1 nuclei" in report.figures[0].text
    assert report.figures[1].text.startswith("not measured")


def test_a_mask_of_another_size_is_one_clear_error(analysers, rgb, tmp_path):
    folder = tmp_path / "her2_membrane_masks"
    write_png(folder / "score3_patch15_image.png", rgb)
    write_mask(folder / "score3_patch15_membrane_gt.png", np.zeros((10, 10), np.uint8))
    with pytest.raises(BadInputError, match="not of one size"):
        evaluate_membrane_masks(analysers, tmp_path, silent)


def test_the_membrane_of_a_patch_is_set_beside_the_best_threshold(analysers, rgb, tmp_path):
    folder = tmp_path / "her2_membrane_masks"
    corners = [(y, x) for y in range(0, 221, 20) for x in range(0, 321, 20)]
    y, x = min(corners, key=lambda corner: rgb[corner[0] : corner[0] + 140, corner[1] : corner[1] + 160, 2].mean())
    patch = rgb[y : y + 140, x : x + 160].copy()
    write_png(folder / "score3_patch15_image.png", patch)
    write_mask(
        folder / "score3_patch15_membrane_gt.png",
        np.where(patch[..., 2] < np.percentile(patch[..., 2], 20), 255, 0).astype(np.uint8),
    )
    report = evaluate_membrane_masks(analysers, tmp_path, silent)[METHOD]
    assert [figure.wanted for figure in report.figures] == ["at least 0.80", "above it"]
    assert 0 < report.figures[0].value <= 1
