"""A classifier between real and phantom crops: blind where there is nothing to see, certain where there is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from her2scope.cli import main
from her2scope.domain.errors import BadInputError
from her2scope.imaging.files import write_png
from her2scope.imaging.opencv import cv2
from her2scope.phantom.compare import realism
from her2scope.phantom.compare.realism import FEATURES, Crops, crops_of, features_of, judge, phantom_specs, verdict_of
from her2scope.phantom.noise import mixed_seed
from her2scope.records import RgbImage

HEAD = "file,um_per_px,score,case,recipe,source\n"


def lawn(seed: int, tint: float = 1.0, blur_px: float = 0.0) -> RgbImage:
    """Clouds of brown and blue, 384 x 256 px."""
    rng = np.random.default_rng(seed)
    brown, blue = (cv2.GaussianBlur(rng.normal(0, 1, (256, 384)), (0, 0), 3.0) for _ in range(2))
    od10 = 0.2 * tint + 0.5 * brown[:, :, None] * (0.27, 0.57, 0.78) + 0.5 * blue[:, :, None] * (0.65, 0.7, 0.29)
    light = 240 * 10.0 ** -np.maximum(od10, 0.0)
    light[:, :16] = 240
    rough = cv2.GaussianBlur(light, (0, 0), blur_px) if blur_px else light
    return np.clip(np.rint(rough + rng.normal(0, 1, light.shape)), 0, 255).astype(np.uint8)


def side(name: str, n: int = 6, um_per_px: float = 0.25, tint: float = 1.0) -> Crops:
    crops = [crops_of(lawn(mixed_seed(name, k), tint), um_per_px, f"{name} {k}") for k in range(n)]
    return realism.joined(crops)


def test_features_are_finite_even_where_there_is_nothing() -> None:
    for rgb in (lawn(1)[:128, :128], np.full((128, 128, 3), 240, np.uint8), np.zeros((128, 128, 3), np.uint8)):
        found = features_of(rgb, (240.0, 240.0, 240.0))
        assert len(found) == len(FEATURES) and np.isfinite(found).all()


def test_crops_of_glass_are_left_out() -> None:
    rgb = lawn(2)
    rgb[:, :160] = 240
    assert len(crops_of(lawn(2), 0.25, "a")) == 6
    assert len(crops_of(rgb, 0.25, "a")) == 4
    assert len(crops_of(rgb[:100], 0.25, "a")) == 0


def test_one_distribution_cannot_be_told_apart() -> None:
    verdict = verdict_of("2+", side("real"), side("phantom"))
    assert 0.3 < np.mean(list(verdict.auc_of_case.values())) < 0.7
    assert len(verdict.auc_of_case) == 6


def test_a_tint_is_seen_and_named() -> None:
    verdict = verdict_of("2+", side("real"), side("phantom", tint=1.4))
    assert min(verdict.auc_of_case.values()) > 0.95 and min(verdict.seen_auc_of_case.values()) > 0.95
    strongest = max(verdict.tells, key=lambda tell: abs(tell.auc - 0.5))
    assert strongest.phantom_median > strongest.real_median and strongest.auc > 0.95
    assert abs(verdict.tells[0].coefficient) == max(abs(tell.coefficient) for tell in verdict.tells)


def test_a_scale_that_only_one_side_shows_does_not_help() -> None:
    real, phantom = side("real"), realism.joined([side("phantom", 4), side("other", 4, um_per_px=0.5, tint=2.0)])
    verdict = verdict_of("2+", real, phantom)
    assert 0.3 < np.mean(list(verdict.auc_of_case.values())) < 0.7


def test_one_case_alone_cannot_be_left_out() -> None:
    one = side("real", 1)
    verdict = verdict_of("3+", one, side("phantom"))
    assert verdict.auc_of_case == {} and list(verdict.seen_auc_of_case) == ["real 0"]


def test_phantoms_have_every_scale_twice_and_runs_of_their_own() -> None:
    specs = phantom_specs("0", [0.17, 0.25, 0.46], 2, 9)
    assert [spec.um_per_px for spec in specs] == [0.17, 0.25, 0.46] * 2
    assert len({spec.seed for spec in specs}) == 6
    assert {spec.score for spec in specs} == {"0", "ultralow"}


def test_the_command_prints_and_writes_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for k in range(3):
        write_png(tmp_path / f"{k}.png", lawn(100 + k))
    rows = [f"{k}.png,0.25,{score},case{k},," for k, score in enumerate(("2+", "2+", ""))]
    (tmp_path / "list.csv").write_text(HEAD + "\n".join(rows) + "\n")
    monkeypatch.setattr(realism, "draw_pictures", lambda specs: [lawn(spec.seed, 1.5) for spec in specs])
    real, out = ["phantom", "realism", "--real", str(tmp_path / "list.csv")], tmp_path / "out.json"
    assert main([*real, "--score", "2+", "--fields", "4", "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "score 2+: 12 real" in printed and "case left out" in printed and "by coefficient" in printed
    found = json.loads(out.read_text())["levels"]
    assert [level["score"] for level in found] == ["2+"]
    assert set(found[0]["auc_of_case"]) == {"case0", "case1"} and len(found[0]["tells"]) == len(FEATURES)
    assert main([*real, "--score", "3+"]) == 2
    assert "no picture of score 3+" in capsys.readouterr().err


def test_without_scikit_learn_there_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(realism, "import_module", missing)
    with pytest.raises(BadInputError, match="her2scope.realism"):
        judge(tmp_path / "list.csv", None, None, 1, 0)
