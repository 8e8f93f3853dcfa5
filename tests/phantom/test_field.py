"""Fields and their truth files: reproducible, scored as asked, damaged as asked."""

from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from her2scope.domain.cells import CellClass
from her2scope.domain.errors import BadInputError, NotAvailableError
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.guideline import BREAST_2023
from her2scope.domain.score import MIN_FIELD_CELLS
from her2scope.imaging.files import read_rgb
from her2scope.imaging.opencv import cv2
from her2scope.imaging.quality import check_quality
from her2scope.imaging.stains import unmix
from her2scope.phantom.antigen import PATTERNS
from her2scope.phantom.field import EXPECTED, PhantomField, PhantomSpec, render_field, render_fields
from her2scope.phantom.growth import Matter
from her2scope.phantom.layers import NUCLEUS_OD10
from her2scope.phantom.ranges import DIFFICULTIES
from her2scope.phantom.run import CAMERAS, DAMAGES
from her2scope.phantom.truth import NO_NUCLEUS, count_cells
from her2scope.settings import Calibration, QualitySettings

SMALL = (320, 240)
NUMBER, COUNT = {"type": "number"}, {"type": "integer", "minimum": 0}
POINTS = {"type": "array", "items": {"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2}}
SHARES = {
    "type": "object",
    "properties": {name.value: {"type": "number", "minimum": 0, "maximum": 100} for name in CellClass},
    "required": [name.value for name in CellClass],
    "additionalProperties": False,
}
CELL = {
    "type": "object",
    "properties": {
        "x_px": NUMBER,
        "y_px": NUMBER,
        "nucleus_radius_um": NUMBER,
        "kind": {"enum": ["tumour", "other"]},
        "edge": {"type": "boolean"},
        "visible": {"type": "boolean"},
        "completeness": {"type": "number", "minimum": 0, "maximum": 1},
        "intensity_od10": {"type": "number", "minimum": 0},
        "class": {"enum": [name.value for name in CellClass] + [None]},
        "type": {"enum": [*NUCLEUS_OD10, NO_NUCLEUS]},
        "region": {"enum": [matter.name.lower() for matter in Matter]},
        "nucleus_px": POINTS,
        "outline_px": POINTS,
        "arcs": {"type": "array", "items": {"type": "array", "minItems": 3, "maxItems": 3}},
    },
    "required": [
        "x_px", "y_px", "nucleus_radius_um", "kind", "edge", "visible", "completeness", "intensity_od10", "class",
        "type", "region", "nucleus_px", "outline_px", "arcs",
    ],
    "additionalProperties": False,
}  # fmt: skip
TRUTH = {
    "type": "object",
    "properties": {
        "image": {"type": "string", "pattern": r"^field_\d{3}\.png$"},
        "um_per_px": NUMBER,
        "usable": {"type": "boolean"},
        "reasons": {"type": "array", "items": {"type": "string"}},
        "n_tumour": COUNT,
        "n_other": COUNT,
        "shares_percent": {"anyOf": [SHARES, {"type": "null"}]},
        "score": {"enum": ["0", "1+", "2+", "3+", None]},
        "category": {"enum": ["null", "ultralow", "low", "equivocal", "positive", "undetermined"]},
        "cells": {"type": "array", "items": CELL},
        "run": {"type": "object", "required": ["seed", "stainer", "lot", "camera", "response", "white_rgb"]},
    },
    "required": [
        "image", "um_per_px", "usable", "reasons", "n_tumour", "n_other", "shares_percent", "score", "category",
        "cells", "run",
    ],
    "additionalProperties": False,
}  # fmt: skip


@cache
def field(score: str = "3+", damage: str | None = None, seed: int = 5) -> PhantomField:
    return render_field(PhantomSpec(score, seed, damage=damage, camera="linear", stainer="alpha"))


def test_the_same_spec_gives_the_same_bytes() -> None:
    spec = PhantomSpec("2+", 3, size_wh=SMALL)
    first, second = render_field(spec), render_field(spec)
    assert first.rgb.tobytes() == second.rgb.tobytes()
    assert first.truth == second.truth


def test_worker_processes_give_the_same_bytes() -> None:
    specs = [
        PhantomSpec("2+", 3, number, SMALL, difficulty=difficulty)
        for number, difficulty in enumerate(("easy", "usual", "hard"))
    ]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        there = list(pool.map(rendered, specs))
    assert there == [rendered(spec) for spec in specs]


def rendered(spec: PhantomSpec) -> tuple[bytes, dict[str, Any]]:
    drawn = render_field(spec)
    return drawn.rgb.tobytes(), drawn.truth


def test_fields_of_one_seed_share_the_run_but_not_the_tissue() -> None:
    fields = [render_field(PhantomSpec(score, 3, number, SMALL)) for score, number in (("1+", 0), ("1+", 1), ("3+", 0))]
    assert len({json.dumps(item.truth["run"]) for item in fields}) == 1
    assert len({item.rgb.tobytes() for item in fields}) == 3


@pytest.mark.parametrize("score", PATTERNS)
def test_the_truth_has_the_score_that_was_asked_for(score: str) -> None:
    for seed in (0, 3):
        truth = render_field(PhantomSpec(score, seed, difficulty="easy")).truth
        assert (truth["score"], truth["category"]) == (EXPECTED[score][0], EXPECTED[score][1].value)
        assert truth["n_tumour"] > 100 and truth["n_other"] > 0


@pytest.mark.parametrize("score", PATTERNS)
def test_the_figures_of_the_truth_follow_from_its_cells(score: str) -> None:
    truth = field(score).truth
    counts = count_cells(truth["cells"])
    assert (counts.n_tumour, counts.n_other) == (truth["n_tumour"], truth["n_other"])
    assert sum(truth["shares_percent"].values()) == pytest.approx(100.0, abs=0.01)
    assert BREAST_2023.find(BREAST_2023, counts, FalseRates()).score == truth["score"]


def test_the_mixed_field_has_few_but_real_intense_cells() -> None:
    share = field("mixed").truth["shares_percent"]["complete_intense"]
    assert 2.0 < share <= 10.0


def test_cells_at_the_rim_are_listed_and_not_counted() -> None:
    truth = field("2+").truth
    edge = [cell for cell in truth["cells"] if cell["edge"]]
    assert edge
    assert all(min(c["x_px"], c["y_px"], 1279 - c["x_px"], 719 - c["y_px"]) < 60 for c in edge)
    inner = [cell for cell in truth["cells"] if 60 < cell["x_px"] < 1219 and 60 < cell["y_px"] < 659]
    assert not any(cell["edge"] for cell in inner)


def test_some_tumour_cells_have_no_nucleus_to_be_seen() -> None:
    tumour = [cell for cell in field("2+").truth["cells"] if cell["kind"] == "tumour"]
    hidden = [cell for cell in tumour if not cell["visible"]]
    assert 0 < len(hidden) < 0.35 * len(tumour)
    without = [cell for cell in tumour if cell["type"] == NO_NUCLEUS]
    assert without and all(cell["nucleus_radius_um"] == 0 and not cell["visible"] for cell in without)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("camera", CAMERAS)
def test_glass_has_the_white_that_the_run_states(difficulty: str, camera: str) -> None:
    drawn = render_field(PhantomSpec("1+", 6, size_wh=(480, 270), difficulty=difficulty, camera=camera))
    white = np.array(drawn.truth["run"]["white_rgb"])
    brightest = np.percentile(drawn.rgb.reshape(-1, 3), 99, axis=0)
    assert (np.abs(brightest - white) < 14).all() and (white < 250).all()


@pytest.mark.parametrize(("um_per_px", "size_wh"), [(0.1, (320, 240)), (0.46, (320, 240)), (1.2, (160, 120))])
def test_a_scale_shows_more_or_less_of_the_same_kind_of_tissue(um_per_px: float, size_wh: tuple[int, int]) -> None:
    drawn = render_field(PhantomSpec("2+", 2, size_wh=size_wh, um_per_px=um_per_px))
    assert drawn.rgb.shape == (size_wh[1], size_wh[0], 3)
    area_um2 = size_wh[0] * size_wh[1] * um_per_px**2
    tumour = [cell for cell in drawn.truth["cells"] if cell["kind"] == "tumour"]
    assert 0.2 < len(tumour) * 182.0 / area_um2 < 1.2


# ---- damage


def measures(drawn: PhantomField) -> dict[str, float]:
    run = drawn.truth["run"]
    calibration = Calibration(
        response=run["response"],
        white_rgb=tuple(run["white_rgb"]),
        haematoxylin_vector=tuple(run["haematoxylin_vector"]),
        dab_vector=tuple(run["dab_vector"]),
    )
    stains = unmix(drawn.rgb, 0.25, calibration)
    disks = np.zeros(stains.dab_od10.shape, np.uint8)
    for cell in drawn.truth["cells"]:
        if cell["nucleus_radius_um"] > 0:
            cv2.circle(disks, (round(cell["x_px"]), round(cell["y_px"])), round(2 * cell["nucleus_radius_um"]), 1.0, -1)
    nuclei = disks > 0
    others = [cell for cell in drawn.truth["cells"] if cell["kind"] == "other"]
    beside = [stains.dab_od10[int(c["y_px"]), int(c["x_px"])] for c in others]
    return {
        "wall": float(np.percentile(stains.dab_od10, 97)),
        "nuclear_dab": float(np.median(stains.dab_od10[nuclei])),
        "nuclear_blue": float(np.median(stains.haematoxylin_od10[nuclei])),
        "other_dab": float(np.median(beside)),
    }


def test_stain_damage_changes_what_it_should() -> None:
    good = measures(field())
    assert measures(field(damage="faded"))["wall"] < 0.45 * good["wall"]
    assert measures(field(damage="over_stained"))["wall"] > 1.5 * good["wall"]
    assert measures(field(damage="background"))["other_dab"] > good["other_dab"] + 0.08
    assert measures(field(damage="no_counterstain"))["nuclear_blue"] < 0.3 * good["nuclear_blue"]
    assert measures(field(damage="nuclear"))["nuclear_dab"] > good["nuclear_dab"] + 0.3


@pytest.mark.parametrize("damage", ["blurred", "over_exposed"])
def test_a_picture_that_cannot_be_read_is_refused_by_the_quality_gate_too(damage: str) -> None:
    drawn = field(damage=damage)
    assert not drawn.truth["usable"]
    assert drawn.truth["score"] is None and drawn.truth["shares_percent"] is None and drawn.truth["reasons"]
    assert damage in check_quality(drawn.rgb, 0.25, 255.0, QualitySettings()).codes


def test_the_truth_of_a_wrong_level_is_what_lies_on_the_slide() -> None:
    assert field("3+", "wrong_level").truth["score"] == "1+"
    assert field("0", "wrong_level").truth["score"] == "3+"


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("seed", [2, 5])
def test_too_few_cells_are_no_score(seed: int, difficulty: str) -> None:
    truth = render_field(PhantomSpec("3+", seed, difficulty=difficulty, damage="too_few")).truth
    assert 0 < truth["n_tumour"] < MIN_FIELD_CELLS
    assert truth["score"] is None and "insufficient" in truth["reasons"][0]


def test_every_damage_is_drawn() -> None:
    pictures = {render_field(PhantomSpec("3+", 1, size_wh=SMALL, damage=damage)).rgb.tobytes() for damage in DAMAGES}
    assert len(pictures) == len(DAMAGES)


# ---- files


@pytest.mark.parametrize("damage", [None, "blurred", "too_few"])
def test_truth_files_keep_the_contract(tmp_path: Path, damage: str | None) -> None:
    paths = render_fields(tmp_path / "new", 2, "1+", 7, (640, 480), damage=damage)
    assert [path.name for path in paths] == ["field_000.png", "field_001.png"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "field_000.json", "field_000.png", "field_001.json", "field_001.png"
    ]  # fmt: skip
    for path in paths:
        truth = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        jsonschema.validate(truth, TRUTH)
        assert truth["image"] == path.name
        assert read_rgb(path).shape == (480, 640, 3)


def test_a_folder_with_fields_is_refused(tmp_path: Path) -> None:
    (tmp_path / "field_007.png").write_bytes(b"precious")
    with pytest.raises(BadInputError, match="already holds fields"):
        render_fields(tmp_path, 1, "0", 1, SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["field_007.png"]


@pytest.mark.parametrize(
    "wrong",
    [{"score": "4+"}, {"difficulty": "odd"}, {"stainer": "x"}, {"camera": "x"}, {"damage": "x"}],
)
def test_an_unknown_name_is_refused_before_anything_is_written(tmp_path: Path, wrong: dict[str, str]) -> None:
    arguments: dict[str, Any] = {"score": "2+", "seed": 1, "size_wh": SMALL, **wrong}
    with pytest.raises(NotAvailableError, match="not available"):
        render_fields(tmp_path / "out", 1, **arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wrong", [{"um_per_px": 0.01}, {"um_per_px": 3.0}, {"size_wh": (0, 10)}, {"n": 0}])
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        render_fields(**{"out_dir": tmp_path, "n": 1, "score": "2+", "seed": 1, "size_wh": SMALL, **wrong})
    assert not list(tmp_path.iterdir())
