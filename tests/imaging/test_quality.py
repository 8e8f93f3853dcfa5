"""The quality gate on drawn and on real fields: each refusal has its code and a reason in words."""

from __future__ import annotations

import numpy as np
import pytest

from her2scope.imaging.files import read_rgb
from her2scope.imaging.opencv import cv2
from her2scope.imaging.quality import check_quality
from her2scope.imaging.stains import estimate_white
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.settings import QualitySettings

SIZE_WH = (640, 480)


@pytest.fixture(scope="module")
def field() -> np.ndarray:
    return render_field(PhantomSpec("2+", 3, size_wh=SIZE_WH, difficulty="easy")).rgb


def judge(rgb: np.ndarray, um_per_px: float = 0.25, **more: float):
    return check_quality(rgb, um_per_px, min(estimate_white(rgb)), QualitySettings(), **more)


def test_a_good_field_passes_without_a_word(field):
    report = judge(field)
    assert report.usable and not report.codes and not report.reasons


def test_defocus_is_noticed(field):
    report = judge(cv2.GaussianBlur(field, (0, 0), 2.0 / 0.25))
    assert not report.usable and {"blurred", "low_contrast"} & set(report.codes)


def test_sharpness_falls_with_blur(field):
    focus = [judge(cv2.GaussianBlur(field, (0, 0), s / 0.25)).focus for s in (0.3, 0.6, 1.0, 1.5, 2.0)]
    assert focus == sorted(focus, reverse=True)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda rgb: np.full_like(rgb, 240), "no_tissue"),
        (lambda rgb: (rgb * 0.1).astype(np.uint8), "under_exposed"),
        (lambda rgb: np.clip(rgb.astype(int) * 2 - 90, 0, 255).astype(np.uint8), "over_exposed"),
        (lambda rgb: rgb[:40, :40], "too_small"),
        (lambda rgb: np.zeros_like(rgb), "under_exposed"),
    ],
)
def test_each_bad_picture_has_its_code(field, change, code):
    report = judge(np.ascontiguousarray(change(field)))
    assert not report.usable
    assert code in report.codes
    assert len(report.reasons) == len(report.codes) and all(report.reasons)


def test_motion_and_scale_are_refused(field):
    assert "moving" in judge(field, speed_um_per_s=500.0).codes
    assert "too_coarse" in judge(field, um_per_px=0.61).codes
    assert "too_coarse" not in judge(field, um_per_px=0.6).codes


def test_some_clipping_is_said_with_the_result(field):
    clipped = field.copy()
    clipped[:60] = 0
    clipped[:60, :, 0] = 60
    report = judge(clipped)
    assert report.usable and report.codes == ("clipped",)
    assert 0.05 < report.clipped_share < 0.3


@pytest.mark.parametrize(
    "name", ["case002_f05_score0.jpg", "case007_f01_score1.jpg", "case008_f09_score3.jpg", "image_her2_00017.jpg"]
)
def test_real_camera_fields_are_usable(shared_data, name):
    assert judge(read_rgb(shared_data / "her2_camera_fields" / name)).usable


@pytest.mark.parametrize("name", ["00001_test_score2.jpg", "00005_test_score1.jpg", "00011_test_score3.jpg"])
def test_grey_and_fat_tiles_are_refused(shared_data, name):
    assert not judge(read_rgb(shared_data / "her2_bci_20x" / name), um_per_px=0.46).usable
