"""The quality gate on drawn and on real fields: each refusal has its code and a reason in words."""

from __future__ import annotations

import numpy as np
import pytest

from her2scope.imaging.files import read_rgb
from her2scope.imaging.opencv import cv2
from her2scope.imaging.quality import check_quality, clear_white, clipped_share
from her2scope.imaging.stains import estimate_white, reduced
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


# ---- the slow way -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_hw", [(1, 1), (7, 5), (301, 463)])
def test_clipped_pixels_of_the_tissue_are_counted_one_by_one(size_hw):
    drawn = np.random.default_rng(3)
    rgb = drawn.choice(
        np.array([0, 2, 3, 100, 253, 254, 255], np.uint8), (*size_hw, 3), p=[0.05] * 3 + [0.7] + [0.05] * 3
    )
    tissue = drawn.integers(0, 2, (-(-size_hw[0] // 2), -(-size_hw[1] // 2)), dtype=np.uint8)
    inside = cv2.resize(tissue, size_hw[::-1], interpolation=cv2.INTER_NEAREST) > 0
    clipped = ((rgb >= 254) | (rgb <= 2)).any(axis=2)
    assert clipped_share(rgb, tissue) == (clipped & inside).sum() / max(1, inside.sum())


def test_without_tissue_nothing_is_clipped():
    assert clipped_share(np.zeros((9, 9, 3), np.uint8), np.zeros((4, 4), np.uint8)) == 0


@pytest.mark.parametrize("clear", [0, 12, 33, 150, 400])
def test_the_white_of_clear_areas_is_the_median_of_their_pixels(clear):
    rgb = np.random.default_rng(clear).normal((150, 120, 110), 12, (400, 520, 3))
    rgb[:clear] += (90, 115, 120)
    rgb = np.clip(rgb, 0, 255).astype(np.uint8)
    small = reduced(rgb, 8)
    bright = (small >= 0.97 * np.percentile(small.reshape(-1, 3), 99, axis=0)).all(axis=2).astype(np.uint8)
    inner = cv2.erode(bright, np.ones((3, 3), np.uint8)) > 0
    expected = tuple(np.median(small[inner], axis=0)) if inner.mean() >= 0.01 else None
    assert clear_white(rgb) == expected
    assert (expected is None) == (clear < 33)


# ---- laws ---------------------------------------------------------------------------------------------------------


def veiled(rgb: np.ndarray, share: float, grey: float = 128) -> np.ndarray:
    return ((1 - share) * rgb + share * grey + 0.5).astype(np.uint8)


def stands_out(rgb: np.ndarray, least: dict[str, float]) -> bool:
    settings = QualitySettings(min_tissue_share=0, min_solid_share=0, min_focus=0, **least)
    report = check_quality(rgb, 0.25, min(estimate_white(rgb)), settings)
    return not {"low_contrast", "grey"} & set(report.codes)


@pytest.mark.parametrize("score", ["0", "1+", "3+"])
def test_a_veil_never_raises_contrast(score):
    rgb = render_field(PhantomSpec(score, 11, size_wh=SIZE_WH)).rgb
    for least in (0.01, 0.02, 0.04, 0.08):
        limits = {"min_contrast_od10": least, "min_bright_white": 0}
        seen = [stands_out(veiled(rgb, share), limits) for share in (0, 0.2, 0.4, 0.6, 0.8)]
        assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize("score", ["0", "1+", "3+"])
def test_a_veil_never_raises_stain(score):
    rgb = render_field(PhantomSpec(score, 11, size_wh=SIZE_WH)).rgb
    for least in (0.05, 0.1, 0.2, 0.4):
        limits = {"min_contrast_od10": 0, "min_grey_stain_od10": least, "min_grey_contrast_od10": 5}
        limits |= {"min_bright_white": 255, "min_dark_span_od10": 0}
        seen = [stands_out(veiled(rgb, share), limits) for share in (0, 0.2, 0.4, 0.6, 0.8)]
        assert seen == sorted(seen, reverse=True)


def test_fat_is_told_from_pale_cells():
    picture = np.full((480, 640, 3), 230, np.uint8)
    y, x = np.mgrid[:480, :640]
    cells, fat = picture.copy(), picture.copy()
    cells[np.hypot(x % 48 - 24, y % 48 - 24) < 14] = (190, 180, 215)  # nuclei of 7 um every 12 um
    at_wall = np.abs(np.hypot(x % 200 - 100, y % 200 - 100) - 96) < 3
    fat[at_wall] = (120, 90, 60)  # dark walls of 1.5 um round vacuoles of 48 um
    assert "little_tissue" not in judge(cells).codes
    assert "little_tissue" in judge(fat).codes


def test_a_nest_beside_empty_glass_is_tissue_enough(field):
    beside = np.full_like(field, 235)
    beside[:, : field.shape[1] // 2] = field[:, : field.shape[1] // 2]
    assert judge(beside).usable


# ---- phantoms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("um_per_px", [0.15, 0.25, 0.5])
@pytest.mark.parametrize(("score", "difficulty"), [("0", "easy"), ("0", "usual"), ("1+", "usual"), ("3+", "usual")])
def test_phantoms_are_usable_at_every_scale(score, difficulty, um_per_px):
    spec = PhantomSpec(score, 5, size_wh=(480, 360), um_per_px=um_per_px, difficulty=difficulty)
    report = judge(render_field(spec).rgb, um_per_px)
    assert report.usable, report.reasons


def test_a_pale_negative_field_is_usable():
    rgb = render_field(PhantomSpec("0", 1042, size_wh=SIZE_WH)).rgb
    report = judge(rgb)
    assert report.usable, report.reasons


@pytest.mark.parametrize("seed", [2, 4, 6])
@pytest.mark.parametrize("score", ["0", "3+"])
def test_blurred_phantoms_are_refused(score, seed):
    report = judge(render_field(PhantomSpec(score, seed, size_wh=SIZE_WH, damage="blurred")).rgb)
    assert "blurred" in report.codes


@pytest.mark.parametrize("share", [0.5, 0.6])
def test_a_veiled_pale_field_is_called_grey(share):
    rgb = render_field(PhantomSpec("0", 1042, size_wh=SIZE_WH)).rgb
    report = judge(veiled(rgb, share))
    assert not report.usable and {"grey", "low_contrast"} & set(report.codes)


# ---- real pictures ------------------------------------------------------------------------------------------------

SHARP = {
    "her2_camera_fields/case002_f05_score0.jpg": 0.25,
    "her2_camera_fields/case002_f06_score0.jpg": 0.25,
    "her2_camera_fields/case007_f01_score1.jpg": 0.25,
    "her2_camera_fields/case007_f02_score1.jpg": 0.25,
    "her2_camera_fields/case008_f09_score3.jpg": 0.25,
    "her2_camera_fields/case010_f04_score2.jpg": 0.25,
    "her2_camera_fields/case011_f11_score1.jpg": 0.25,
    "her2_camera_fields/case011_f14_score1.jpg": 0.17,
    "her2_camera_fields/image_her2_00017.jpg": 0.17,
    "her2_crops/HER2-IHC-40x_sample_score0.png": 0.4,
    "her2_crops/HER2-IHC-40x_sample_score3.png": 0.4,
    "her2_membrane_masks/score1_patch25_image.png": 0.5,
    "her2_membrane_masks/score3_patch15_image.png": 0.5,
    "her2_bci_20x/00002_test_score2.jpg": 0.46,
    "her2_bci_20x/00006_test_score3.jpg": 0.46,
    "her2_bci_20x/00013_test_score0.jpg": 0.46,
    "her2_bci_20x/00014_test_score2.jpg": 0.46,
    "ihc_misc/skimage_ihc_colon_FHL2_512.png": 0.35,
    "ihc_misc/immunopy_Ki67_20x_microscope_camera_2048x1536.tif": 0.25,
    "ihc_nuclei_ki67/field1/original.jpg": 0.1,
    "ihc_nuclei_ki67/field2/original.jpg": 0.1,
    "ihc_membrane_tcell/cd3.png": 0.45,
    "ihc_membrane_tcell/cd4.png": 0.45,
    "ihc_nuclei_deepliif/22_2.png": 0.25,
    "ihc_nuclei_deepliif/6_2.png": 0.25,
}
UNUSABLE = {
    "00001_test_score2.jpg": "grey",  # pale glands under a veil
    "00005_test_score1.jpg": "no_tissue",  # sclerosed stroma and fat, hardly a cell
    "00009_test_score2.jpg": "little_tissue",  # fat and torn strands; sharp
    "00011_test_score3.jpg": "little_tissue",  # fat, and pale stroma
    "00016_test_score1.jpg": "grey",  # cells everywhere, pale under a veil
    "00020_test_score1.jpg": "little_tissue",  # pale stroma, a nest in one corner
}


@pytest.mark.parametrize("name", SHARP)
def test_real_sharp_fields_are_usable(shared_data, name):
    report = judge(read_rgb(shared_data / name), SHARP[name])
    assert report.usable, report.reasons


@pytest.mark.parametrize("name", [name for name in SHARP if name.startswith("her2_")])
def test_a_blur_of_a_membranes_width_is_noticed(shared_data, name):
    um_per_px = SHARP[name]
    rgb = cv2.GaussianBlur(read_rgb(shared_data / name), (0, 0), 1.25 / um_per_px)
    assert "blurred" in judge(rgb, um_per_px).codes


@pytest.mark.parametrize("name", UNUSABLE)
def test_grey_and_fat_tiles_are_refused_with_the_reason(shared_data, name):
    report = judge(read_rgb(shared_data / "her2_bci_20x" / name), um_per_px=0.46)
    assert not report.usable
    assert UNUSABLE[name] in report.codes


@pytest.mark.parametrize(
    "name",
    [
        "her2_camera_fields/case002_f05_score0.jpg",
        "her2_camera_fields/case008_f09_score3.jpg",
        "her2_camera_fields/image_her2_00017.jpg",
        "her2_membrane_masks/score1_patch25_image.png",
        "her2_membrane_masks/score3_patch15_image.png",
        "her2_crops/HER2-IHC-40x_sample_score0.png",
        "ihc_membrane_tcell/cd3.png",
    ],
)
def test_a_grey_veil_over_a_real_field_is_named(shared_data, name):
    assert "grey" in judge(veiled(read_rgb(shared_data / name), 0.6), SHARP[name]).codes
