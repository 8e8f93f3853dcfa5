"""Figures of pictures: what is drawn is what is measured, and each nuisance moves its own figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from her2scope.cli import main
from her2scope.domain.errors import BadInputError, UnreadableImageError
from her2scope.imaging.files import write_png
from her2scope.imaging.opencv import cv2
from her2scope.phantom.compare import nuisance_table
from her2scope.phantom.compare.measures import (
    Marks,
    band_rms,
    blockiness,
    find_blobs,
    find_lines,
    line_widths_um,
    ripple,
)
from her2scope.phantom.compare.nuisance_table import Row, Spread, compare, phantom_specs, spread_of
from her2scope.phantom.compare.nuisances import FIGURES, Nuisances, measure
from her2scope.phantom.compare.real_fields import draw_pictures, read_list
from her2scope.phantom.field import PhantomSpec
from her2scope.records import Plane, RgbImage
from her2scope.settings import Calibration

UM_PER_PX = 0.25
WHITE = np.array([235.0, 240.0, 238.0])
HEAD = "file,um_per_px,score,case,recipe,source\n"


def picture(dab: Plane, haematoxylin: Plane) -> RgbImage:
    """Light through the two stains, by the default vectors."""
    vectors = [np.array(v) / np.linalg.norm(v) for v in (Calibration().dab_vector, Calibration().haematoxylin_vector)]
    od10 = dab[:, :, None] * vectors[0] + haematoxylin[:, :, None] * vectors[1]
    return np.rint(WHITE * 10.0**-od10).astype(np.uint8)


def cells(noise: float = 0.0, blur_px: float = 0.0, tint: float = 1.0) -> RgbImage:
    """A lawn of cells 12 um apart with 1 um walls, and a strip of glass at the left."""
    height, width = 320, 480
    fine = 4
    dab, blue = (np.full((height * fine, width * fine), level, np.float32) for level in (0.12, 0.08))
    step = round(12 / UM_PER_PX * fine)
    for x in range(100 * fine, width * fine, step):
        cv2.line(dab, (x, 0), (x, height * fine), 0.5, round(1.0 / UM_PER_PX * fine))
        for y in range(step // 2, height * fine, step):
            cv2.circle(blue, (x + step // 2, y), round(3.5 / UM_PER_PX * fine), 0.35, -1)
    for y in range(0, height * fine, step):
        cv2.line(dab, (0, y), (width * fine, y), 0.5, round(1.0 / UM_PER_PX * fine))
    dab[:, : 80 * fine] = blue[:, : 80 * fine] = 0.0
    rgb = picture(*(cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in (tint * dab, blue)))
    soft = cv2.GaussianBlur(rgb.astype(np.float32), (0, 0), np.hypot(0.7, blur_px))
    rough = soft + np.random.default_rng(1).normal(0.0, 1.0, soft.shape) * noise
    return np.clip(np.rint(rough), 0, 255).astype(np.uint8)


def sharpened(rgb: RgbImage) -> RgbImage:
    values = rgb.astype(np.float32)
    return np.clip(values + 1.5 * (values - cv2.GaussianBlur(values, (0, 0), 2.0)), 0, 255).astype(np.uint8)


def middle(found: Nuisances, name: str) -> float:
    return float(np.median(found.samples[name]))


@pytest.mark.parametrize("um_per_px", [0.17, 0.25, 0.46])
@pytest.mark.parametrize("width_um", [1.0, 1.5, 2.1])
def test_a_line_has_the_width_that_was_drawn(width_um: float, um_per_px: float) -> None:
    fine = 8
    side = round(60 / um_per_px)
    plane = np.zeros((side * fine, side * fine), np.float32)
    half = width_um / um_per_px * fine / 2
    at = np.arange(side * fine) - side * fine / 2 + 0.3
    plane[:, np.abs(at) <= half] = 0.5
    plane = cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA)
    lines = find_lines(plane, np.zeros_like(plane), um_per_px)
    assert len(lines.xy_px) > 50
    assert np.median(line_widths_um(lines.profile_od10)) == pytest.approx(width_um, rel=0.15)
    assert np.abs(lines.normal[:, 0]).min() > 0.95


def test_a_line_of_haematoxylin_and_a_grain_are_no_membranes() -> None:
    plane = np.zeros((200, 200), np.float32)
    plane[:, 98:102] = 0.3
    assert not len(find_lines(plane, 2 * plane, UM_PER_PX).xy_px)
    grain = np.zeros((200, 200), np.float32)
    for x in range(20, 200, 30):
        cv2.circle(grain, (x, 100), 3, 0.4, -1)
    assert not len(find_lines(cv2.GaussianBlur(grain, (0, 0), 1.0), 0 * grain, UM_PER_PX).xy_px)


@pytest.mark.parametrize("um_per_px", [0.2, 0.4])
@pytest.mark.parametrize("diameter_um", [6.0, 8.0, 10.0])
def test_a_nucleus_has_the_place_and_diameter_that_were_drawn(diameter_um: float, um_per_px: float) -> None:
    blue = np.full((300, 300), 0.05, np.float32)
    cv2.circle(blue, (140, 160), round(diameter_um / 2 / um_per_px), 0.35, -1)
    blobs = find_blobs(cv2.GaussianBlur(blue, (0, 0), 1.0), np.zeros_like(blue), um_per_px)
    assert len(blobs.radius_um) == 1
    assert blobs.xy_px[0] == pytest.approx([140, 160], abs=2)
    assert 2 * blobs.radius_um[0] == pytest.approx(diameter_um, rel=0.12)


def test_the_lawn_is_measured_as_it_was_drawn() -> None:
    found = measure(cells(noise=0.6), UM_PER_PX)
    assert middle(found, "membrane_width_um") == pytest.approx(1.0, rel=0.2)
    assert middle(found, "membrane_od10") == pytest.approx(0.5, abs=0.08)
    assert middle(found, "cytoplasm_dab_od10") == pytest.approx(0.12, abs=0.03)
    assert middle(found, "nucleus_haematoxylin_od10") == pytest.approx(0.35, abs=0.05)
    assert middle(found, "nucleus_contrast_od10") == pytest.approx(0.27, abs=0.06)
    assert middle(found, "nucleus_diameter_um") == pytest.approx(7.0, rel=0.12)
    assert middle(found, "nucleus_distance_um") == pytest.approx(12.0, rel=0.08)
    assert middle(found, "glass_share") == pytest.approx(80 / 480, abs=0.06)
    assert middle(found, "white_green") == pytest.approx(240, abs=2)
    assert middle(found, "cast_red_green") == pytest.approx(235 / 240, abs=0.01)
    assert middle(found, "dab_hue_green") == pytest.approx(35.0, abs=3.0)
    assert middle(found, "haematoxylin_hue_green") == pytest.approx(45.0, abs=4.0)


def test_noise_is_measured_in_grey_levels() -> None:
    quiet, loud = (measure(cells(noise=noise), UM_PER_PX) for noise in (1.0, 3.0))
    assert middle(quiet, "noise_glass") == pytest.approx(1.0, abs=0.25)
    assert middle(loud, "noise_glass") == pytest.approx(3.0, rel=0.15)
    assert middle(loud, "noise_tissue") > 1.5 * middle(quiet, "noise_tissue")
    assert ripple(np.random.default_rng(0).normal(0, 2.0, (200, 200)).astype(np.float32)).std() == pytest.approx(
        2.0, rel=0.05
    )


def test_blur_widens_lines_and_lowers_the_fine_bands() -> None:
    sharp, blurred = (measure(cells(0.5, blur_px), UM_PER_PX) for blur_px in (0.0, 2.0))
    assert middle(blurred, "membrane_width_um") > 1.2 * middle(sharp, "membrane_width_um")
    assert middle(blurred, "band_1_2_um") < 0.6 * middle(sharp, "band_1_2_um")
    assert middle(blurred, "sharpness") < 0.6 * middle(sharp, "sharpness")
    assert middle(blurred, "spectrum_slope") < middle(sharp, "spectrum_slope") - 0.3


def test_sharpening_gives_halos() -> None:
    plain, edged = (measure(rgb, UM_PER_PX) for rgb in (cells(0.5), sharpened(cells(0.5))))
    assert middle(edged, "halo_lines") > middle(plain, "halo_lines") + 0.05
    assert middle(edged, "halo_glass") > middle(plain, "halo_glass") + 0.03


def test_jpeg_shows_its_blocks_at_any_offset() -> None:
    # no lawn of cells: its own lattice is a multiple of eight pixels
    rough = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 400, (240, 320, 3)), (0, 0), 4.0)
    rgb = np.clip(np.rint(150 + rough + np.random.default_rng(4).normal(0, 2, rough.shape)), 0, 255).astype(np.uint8)
    jpeg = cv2.imdecode(cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)
    plain, blocky, moved = (blockiness(p.mean(axis=2, dtype=np.float32)) for p in (rgb, jpeg, jpeg[3:, 5:]))
    assert plain < 0.1 and blocky > plain + 0.1
    assert moved == pytest.approx(blocky, rel=0.2)


def test_a_wave_lies_in_its_band() -> None:
    x_um = np.arange(128) * UM_PER_PX
    wave = np.tile(0.1 * np.sin(2 * np.pi * x_um / 3.0), (128, 1)).astype(np.float32)
    rms, _ = band_rms(wave, UM_PER_PX)
    assert int(np.argmax(rms)) == 2  # 2 to 4 um
    assert rms[2] == pytest.approx(0.1 / np.sqrt(2), rel=0.1)
    assert np.isnan(band_rms(wave, 0.5)[0][0])  # 0.5 to 1 um: finer than two pixels


def test_shading_and_clipping_are_told() -> None:
    rgb = cells(0.5)
    rgb[:, :200] = WHITE.astype(np.uint8)
    shade = np.linspace(1.0, 0.9, rgb.shape[0])[:, None, None]
    found = measure((rgb * shade).astype(np.uint8), UM_PER_PX)
    assert middle(found, "vignetting") == pytest.approx(0.09, abs=0.03)
    assert middle(found, "clipped_high") == 0.0
    rgb[:32] = 255
    assert middle(measure(rgb, UM_PER_PX), "clipped_high") == pytest.approx(0.1, abs=0.01)


def test_a_picture_that_shows_nothing_gives_no_figures_and_no_error() -> None:
    for level in (240, 20):
        flat = np.full((64, 64, 3), level, np.uint8)
        found = measure(flat, UM_PER_PX)
        assert set(found.samples) == set(FIGURES)
        assert all(np.isfinite(values).all() for values in found.samples.values())
        assert not len(found.samples["membrane_width_um"]) and not len(found.samples["nucleus_diameter_um"])


def test_marks_of_a_reader_are_figures_of_their_own() -> None:
    marks = Marks(np.array([[10.0, 10.0], [50.0, 10.0], [90.0, 10.0]]), np.array([12.0, 14.0, 16.0]))
    found = measure(cells(), UM_PER_PX, marks)
    assert middle(found, "marked_diameter_um") == 7.0
    assert middle(found, "marked_distance_um") == 10.0


# ---- table


def of_figure(values: dict[str, list[float]]) -> dict[str, Nuisances]:
    return {name: Nuisances({"noise_glass": np.array(samples)}) for name, samples in values.items()}


def test_every_picture_weighs_the_same_and_the_extremes_are_named() -> None:
    spread = spread_of(of_figure({"many": [1.0] * 5000, "one": [3.0], "none": []}), "noise_glass")
    assert spread is not None
    assert (spread.lowest_in, spread.highest_in, spread.n_pictures) == ("many", "one", 2)
    assert spread.median == pytest.approx(2.0)
    assert spread_of(of_figure({"none": []}), "noise_glass") is None


@pytest.mark.parametrize(("low", "high", "covered"), [(0.9, 3.1, True), (1.1, 3.1, False), (0.9, 2.9, False)])
def test_covered_means_both_ends(low: float, high: float, covered: bool) -> None:
    real = Spread(1.0, 2.0, 3.0, "a", "b", 2)
    assert Row("x", real, Spread(low, 2.0, high, "", "", 1)).is_covered is covered
    assert Row("x", real, None).is_covered is None


def listed(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(HEAD + "\n".join(rows) + "\n")
    return path


def test_the_phantom_has_every_scale_score_and_difficulty(tmp_path: Path) -> None:
    fields = read_list(listed(tmp_path, "a.png,0.25,0,a,,", "b.png,0.46,3+,b,,"))
    specs = phantom_specs(fields, {0.25: (64, 48), 0.46: (32, 32)}, 20, 7)
    assert len({spec.seed for spec in specs}) == 20 and specs[0].seed == 7
    assert {(spec.um_per_px, spec.size_wh) for spec in specs} == {(0.25, (64, 48)), (0.46, (32, 32))}
    assert {(spec.score, spec.difficulty) for spec in specs} == {
        (score, size) for score in ("0", "ultralow", "1+", "2+", "3+") for size in ("usual", "hard")
    }


def test_the_table_sets_both_sides_beside_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_png(tmp_path / "real.png", cells(1.0))
    path = listed(tmp_path, "real.png,0.25,2+,a,,own")
    monkeypatch.setattr(nuisance_table, "draw_pictures", lambda specs: [cells(2.0) for _ in specs])
    out = tmp_path / "table.json"
    assert main(["phantom", "nuisances", "--real", str(path), "--fields", "2", "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in FIGURES) and "covered: " in printed
    found = json.loads(out.read_text())
    assert set(found["figures"]) == set(FIGURES) and list(found["real_pictures"]) == ["real.png"]
    assert main(["phantom", "nuisances", "--real", str(path), "--json", str(tmp_path / "real.png")]) == 2
    noise = found["figures"]["noise_glass"]
    assert noise["real"]["median"] < noise["phantom"]["median"] and noise["covered"] is False


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("file,score\na,0\n", "no column um_per_px"),
        (HEAD, "no picture"),
        (HEAD + "a.png,fast,0,a,,\n", "line 2: um_per_px 'fast'"),
        (HEAD + "a.png,-1,0,a,,\n", "line 2"),
        (HEAD + "a.png,0.25,2,a,,\n", "score '2'"),
        (HEAD + ",0.25,0,a,,\n", "file and case"),
        (HEAD + "a.png\n", "file and case"),
    ],
)
def test_a_list_that_cannot_be_used_is_one_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(content)
    with pytest.raises(BadInputError, match=said):
        read_list(path)


@pytest.mark.parametrize("command", ["nuisances", "realism"])
def test_a_missing_list_or_picture_ends_with_code_2(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn")
    assert main(["phantom", command, "--real", str(tmp_path / "none.csv")]) == 2
    assert main(["phantom", command, "--real", str(listed(tmp_path, "gone.png,0.25,0,a,,"))]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 2 and "none.csv" in err and "gone.png" in err
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UnreadableImageError):
        compare(listed(tmp_path, "text.png,0.25,0,a,,"), None, 1, 0)


def test_pictures_are_drawn_in_order_by_two_processes() -> None:
    specs = [PhantomSpec("0", seed, size_wh=(64, 48)) for seed in (1, 2)]
    alone, together = draw_pictures(specs, 1), draw_pictures(specs, 2)
    assert [a.tobytes() for a in alone] == [b.tobytes() for b in together]


def test_the_list_of_real_pictures_is_measured(shared_data: Path) -> None:
    fields = read_list(Path(__file__).parents[3] / "scripts" / "real_fields.csv", shared_data)
    assert all(field.path.is_file() for field in fields)
    by_recipe: dict[str, Any] = {field.recipe: field for field in fields if field.um_per_px == 0.25}
    haze, edged = (measure(by_recipe[name].read(), 0.25) for name in ("haze", "sharpened"))
    assert middle(edged, "sharpness") > 1.5 * middle(haze, "sharpness")
    assert middle(edged, "membrane_height_od10") > 2 * middle(haze, "membrane_height_od10")
    assert middle(haze, "nucleus_diameter_um") == pytest.approx(6.5, rel=0.15)  # as marked by hand
