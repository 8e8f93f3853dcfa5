"""The pixelwise classifier applied and judged, with a toy model, and what is refused before training. Without torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from segmentation.tiny_region_model import blue_discs, is_disc, write_tiny_region_model

from her2scope.annotations.files import read_annotations
from her2scope.annotations.raster import paint
from her2scope.annotations.shapes import Annotation, Annotations, Polygon
from her2scope.annotations.trace import trace
from her2scope.annotations.write import write_geojson
from her2scope.app import pixel_apply, pixel_images, pixels
from her2scope.app.pixel_apply import ApplyRequest, apply_model
from her2scope.app.pixel_images import (
    Opened,
    Pair,
    SlidePixels,
    annotations_of,
    find_images,
    open_image,
    pair_up,
    picture_at,
)
from her2scope.app.pixel_judge import JudgeRequest, evaluate_model, judge, judged_json, put_coarse
from her2scope.app.pixels import TrainRequest, train_model
from her2scope.domain.errors import BadInputError, NotAvailableError
from her2scope.evaluation.lesions import LESION_UM_PER_PX
from her2scope.imaging.files import read_rgb, write_mask, write_png
from her2scope.imaging.opencv import cv2
from her2scope.ports import SlideLevel
from her2scope.records import RgbImage
from her2scope.segmentation.region_model import OnnxRegionModel, load_region_model


def quiet(line: str) -> None:
    """Tell nobody."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_region_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def model(folder: Path) -> OnnxRegionModel:
    return load_region_model(folder, 1)


def outlines(path: Path, height: int, width: int, scale: float = 1.0, name: str = "blue") -> None:
    """Write the outlines of `blue_discs`."""
    found = trace(is_disc(height, width), scale=scale)
    write_geojson(Annotations(tuple(Annotation("", name, (polygon,)) for polygon in found)), path)


class ArraySlide:
    """A slide in memory, with levels."""

    def __init__(self, rgb: RgbImage, downsamples: tuple[int, ...] = (1,), um_per_px: float | None = 1.0) -> None:
        self.planes = [np.ascontiguousarray(rgb[::down, ::down]) for down in downsamples]
        self.levels = tuple(
            SlideLevel(plane.shape[1], plane.shape[0], float(down))
            for plane, down in zip(self.planes, downsamples, strict=True)
        )
        self.um_per_px = um_per_px
        self.n_read, self.most_px = 0, 0

    def region(self, level: int, left_px: int, top_px: int, width_px: int, height_px: int) -> RgbImage:
        self.n_read += 1
        self.most_px = max(self.most_px, width_px * height_px)
        plane = self.planes[level]
        found = np.full((height_px, width_px, 3), 255, np.uint8)
        rows = slice(max(0, top_px), min(plane.shape[0], top_px + height_px))
        columns = slice(max(0, left_px), min(plane.shape[1], left_px + width_px))
        if rows.start < rows.stop and columns.start < columns.stop:
            found[rows.start - top_px : rows.stop - top_px, columns.start - left_px : columns.stop - left_px] = plane[
                rows, columns
            ]
        return found

    def close(self) -> None:
        """Nothing to let go of."""


@pytest.fixture
def as_slide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[ArraySlide, str], Path]:
    """Makes a file that is opened as a slide in memory."""
    slides: dict[Path, ArraySlide] = {}

    def made(slide: ArraySlide, name: str = "slide.svs") -> Path:
        path = tmp_path / name
        path.write_bytes(b"a slide")
        slides[path] = slide
        return path

    monkeypatch.setattr(pixel_images, "open_slide", lambda path: slides[path])
    return made


# ---- which images and annotations ---------------------------------------------------------------------------------


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")


def test_images_and_annotations_are_paired_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "b.tif", "b.xml", "a.png", "a.geojson", "c.phantom.yaml", "c.geojson", ".hidden.png", "note.txt")
    pairs = pair_up([tmp_path], tmp_path)
    assert [(pair.name, pair.image.name, pair.annotations and pair.annotations.name) for pair in pairs] == [
        ("a", "a.png", "a.geojson"), ("b", "b.tif", "b.xml"), ("c", "c.phantom.yaml", "c.geojson"),
    ]  # fmt: skip


def test_a_mask_lies_beside_its_image_or_apart(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a.png")
    touch(tmp_path / "masks", "a.png")
    for folder in (tmp_path, tmp_path / "masks"):
        (pair,) = pair_up([tmp_path], folder)
        assert pair.image == tmp_path / "a.jpg" and pair.annotations == folder / "a.png"


def test_what_does_not_pair_is_refused(tmp_path: Path) -> None:
    images, marks = tmp_path / "images", tmp_path / "marks"
    touch(images, "a.png", "b.png")
    touch(marks, "a.xml")
    with pytest.raises(BadInputError, match="no annotations for b.png"):
        pair_up([images], marks)
    assert [pair.annotations for pair in pair_up([images], marks, empty_without=True)] == [marks / "a.xml", None]
    touch(marks, "b.xml", "c.xml")
    with pytest.raises(BadInputError, match="no image for the annotations c"):
        pair_up([images], marks)
    assert len(pair_up([images / "a.png", images / "b.png"], marks)) == 2  # some of the images are meant
    touch(marks, "a.geojson")
    with pytest.raises(BadInputError, match="annotate the same image"):
        pair_up([images / "a.png"], marks)
    with pytest.raises(BadInputError, match="no such folder of annotations"):
        pair_up([images], tmp_path / "none")
    touch(images, "a.tif")
    with pytest.raises(BadInputError, match="same name before the dot"):
        find_images([images / "a.png", images / "a.tif"])
    touch(tmp_path / "words", "a.txt")
    with pytest.raises(BadInputError, match="no image or slide in this folder"):
        find_images([tmp_path / "words"])


# ---- reading slides -----------------------------------------------------------------------------------------------


@given(left=st.integers(-40, 120), top=st.integers(-40, 120), width=st.integers(1, 60), height=st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_windows_of_a_slide_are_cut_from_the_whole(left: int, top: int, width: int, height: int) -> None:
    rng = np.random.default_rng(1)
    slide = ArraySlide(np.kron(rng.integers(0, 255, (100, 120, 3)), np.ones((2, 2, 1))).astype(np.uint8), (1, 2))
    pixels_of = SlidePixels(slide, 2.0)
    assert pixels_of.size_wh == (120, 100)
    padded = np.pad(slide.planes[1], [(100, 100), (100, 100), (0, 0)], constant_values=255)
    found = pixels_of.rgb(left, top, width, height)
    beyond = np.full_like(found, 255)
    cut = padded[max(0, 100 + top) :, max(0, 100 + left) :][:height, :width]
    beyond[: cut.shape[0], : cut.shape[1]] = cut
    np.testing.assert_array_equal(found, beyond)


def test_an_overview_is_the_slide_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_images, "READ_PX", 64)
    rgb = blue_discs(400, 520, every_px=200, radius_px=70)
    slide = ArraySlide(rgb, (1, 2))
    found = SlidePixels(slide, 1.0).overview(65, 50)
    right = cv2.resize(rgb, (65, 50), interpolation=cv2.INTER_AREA)
    assert np.abs(found.astype(int) - right).mean() < 6 and slide.most_px <= 64 * 64


def test_a_slide_is_read_from_the_level_that_is_fine_enough() -> None:
    slide = ArraySlide(blue_discs(400, 400), (1, 2, 4))
    assert [SlidePixels(slide, scale)._level for scale in (0.9, 1.5, 1.97, 3.0, 4.0, 9.0)] == [0, 0, 1, 1, 2, 2]  # noqa: SLF001


def test_an_image_that_is_too_coarse_is_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", blue_discs(64, 64))
    with pytest.raises(BadInputError, match="coarser than the model's 1"):
        picture_at(open_image(tmp_path / "a.png", 1.5), 1.0)


# ---- apply --------------------------------------------------------------------------------------------------------


def test_an_image_gets_mask_map_polygons_and_picture(folder: Path, model: OnnxRegionModel, tmp_path: Path) -> None:
    rgb = blue_discs(600, 530)  # more than a tile
    write_png(tmp_path / "field.png", rgb)
    out = tmp_path / "out"
    lines = apply_model(ApplyRequest(folder, [tmp_path / "field.png"], 1.0, out, tolerance_px=0.0), quiet)
    right = model.probabilities(rgb, 1.0)
    mask = tifffile.imread(out / "field_mask.tif")
    np.testing.assert_array_equal(mask, right.argmax(axis=0))
    with tifffile.TiffFile(out / "field_probability.tif") as file:
        page = file.pages[0]
        about = json.loads(page.description)
        assert page.is_tiled and page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert about["planes"] == ["blue"] and about["sha256"] == model.sha256
        np.testing.assert_allclose(page.asarray() / about["value_of_probability_1"], right[1], atol=0.5 / 255)
    drawn = read_annotations(out / "field_regions.geojson", (530, 600))
    np.testing.assert_array_equal(paint(drawn, ("blue",), (530, 600)), mask)
    overlay = read_rgb(out / "field_overlay.png")
    assert overlay.shape == rgb.shape and not np.array_equal(overlay, rgb)
    assert f"blue {100 * mask.mean():.1f} %" in lines[0]
    assert len(list(out.iterdir())) == 4


@pytest.mark.parametrize("um_per_px", [0.4, 1.1])
def test_files_of_an_image_have_its_size_whatever_the_scale(folder: Path, tmp_path: Path, um_per_px: float) -> None:
    side = round(200 / um_per_px)
    y, x = np.mgrid[:side, :side]
    inside = np.hypot((x + 0.5) * um_per_px - 60, (y + 0.5) * um_per_px - 130) < 30
    write_png(tmp_path / "a.png", np.where(inside[:, :, None], (60, 60, 180), (235, 225, 230)).astype(np.uint8))
    apply_model(ApplyRequest(folder, [tmp_path / "a.png"], um_per_px, tmp_path / "out"), quiet)
    mask = tifffile.imread(tmp_path / "out" / "a_mask.tif")
    assert mask.shape == (side, side)
    middle = (np.mean(np.nonzero(mask)[::-1], axis=1) + 0.5) * um_per_px
    assert middle == pytest.approx((60, 130), abs=0.4)
    (region,) = read_annotations(tmp_path / "out" / "a_regions.geojson", (side, side)).items
    corners = (region.polygons[0].outer + 0.5) * um_per_px
    assert (corners.min(axis=0) + corners.max(axis=0)) / 2 == pytest.approx((60, 130), abs=0.6)


def test_a_slide_tells_its_own_scale(folder: Path, as_slide: Callable[..., Path], tmp_path: Path) -> None:
    path = as_slide(ArraySlide(blue_discs(150, 200), um_per_px=0.5))
    told: list[str] = []
    apply_model(ApplyRequest(folder, [path], None, tmp_path / "out"), told.append)
    assert told[0].endswith("200 x 150 px of 0.5 um as the file tells")


def test_a_slide_goes_in_windows_and_gives_what_the_whole_would(
    folder: Path, model: OnnxRegionModel, as_slide: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixel_apply, "TILE_PX", 128)
    monkeypatch.setattr(pixel_images, "READ_PX", 128)
    rgb = blue_discs(500, 700)
    slide = ArraySlide(rgb, um_per_px=0.5)
    path = as_slide(slide)
    out = tmp_path / "out"
    apply_model(
        ApplyRequest(write_tiny_region_model(tmp_path / "half", 0.5), [path], 9.0, out, tolerance_px=0.0), quiet
    )
    mask = tifffile.imread(out / "slide_mask.tif")
    np.testing.assert_array_equal(mask[8:-8, 8:-8], model.at_own_scale(rgb).argmax(axis=0)[8:-8, 8:-8])
    drawn = read_annotations(out / "slide_regions.geojson", (700, 500))
    np.testing.assert_array_equal(paint(drawn, ("blue",), (700, 500)), mask)
    assert slide.most_px < 30_000  # memory does not grow with the slide
    assert sorted(entry.name for entry in out.iterdir()) == [
        "slide_mask.tif", "slide_overlay.png", "slide_probability.tif", "slide_regions.geojson",
    ]  # fmt: skip


def test_a_slide_that_was_stopped_goes_on(
    as_slide: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixel_apply, "TILE_PX", 64)
    slide = ArraySlide(blue_discs(256, 256))
    path, folder = as_slide(slide), write_tiny_region_model(tmp_path / "model")
    apply_model(ApplyRequest(folder, [path], 1.0, tmp_path / "whole"), quiet)
    n_whole, slide.n_read = slide.n_read, 0
    plain = ArraySlide.region

    def killed(self: ArraySlide, *where: int) -> RgbImage:
        if self.n_read == 9:
            raise KeyboardInterrupt
        return plain(self, *where)

    monkeypatch.setattr(ArraySlide, "region", killed)
    with pytest.raises(KeyboardInterrupt):
        apply_model(ApplyRequest(folder, [path], 1.0, tmp_path / "killed"), quiet)
    monkeypatch.setattr(ArraySlide, "region", plain)
    slide.n_read = 0
    said: list[str] = []
    apply_model(ApplyRequest(folder, [path], 1.0, tmp_path / "killed"), said.append)
    assert any("9 of 16 windows are there already" in line for line in said)
    assert slide.n_read == n_whole - 9
    for one in (tmp_path / "whole").iterdir():
        assert (tmp_path / "killed" / one.name).read_bytes() == one.read_bytes()


def stopped(folder: Path, path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Apply to a slide as far as the files of its windows; these."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pixel_apply, "_written", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        apply_model(ApplyRequest(folder, [path], 1.0, out), quiet)
    return sorted(out.glob(".*.parts/*.npz"))


def test_a_window_without_its_end_is_made_again(
    folder: Path, as_slide: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power went off while a window was written."""
    monkeypatch.setattr(pixel_apply, "TILE_PX", 64)
    path = as_slide(ArraySlide(blue_discs(128, 128)))
    windows = stopped(folder, path, tmp_path / "out", monkeypatch)
    windows[1].write_bytes(b"")
    windows[2].write_bytes(windows[2].read_bytes()[:-30])
    said: list[str] = []
    apply_model(ApplyRequest(folder, [path], 1.0, tmp_path / "out"), said.append)
    assert any("2 of 4 windows are there already" in line for line in said)
    assert tifffile.imread(tmp_path / "out" / "slide_mask.tif").shape == (128, 128)


def test_windows_of_another_scale_are_not_gone_on_from(
    as_slide: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card was corrected in between; the file of the model is the same."""
    path = as_slide(ArraySlide(blue_discs(128, 128)))
    stopped(write_tiny_region_model(tmp_path / "model"), path, tmp_path / "stopped", monkeypatch)
    coarser = write_tiny_region_model(tmp_path / "model", 2.0)
    masks = []
    for out in (tmp_path / "stopped", tmp_path / "new"):
        apply_model(ApplyRequest(coarser, [path], 1.0, out), quiet)
        masks.append(tifffile.imread(out / "slide_mask.tif"))
    assert masks[1].shape == (64, 64) and masks[1].any()
    np.testing.assert_array_equal(*masks)


def test_files_of_an_image_are_all_of_one_model_or_none_is_touched(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mask of this model beside the outlines of the last one would contradict them."""
    out = tmp_path / "out"
    write_png(tmp_path / "a.png", blue_discs(64, 64))
    apply_model(ApplyRequest(folder, [tmp_path / "a.png"], 1.0, out), quiet)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    write_png(tmp_path / "a.png", blue_discs(96, 96))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pixel_apply, "write_png", full)
    with pytest.raises(BadInputError, match="No space left"):
        apply_model(ApplyRequest(folder, [tmp_path / "a.png"], 1.0, out), quiet)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_all_is_checked_before_any_is_written(folder: Path, tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", blue_discs(64, 64))
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(BadInputError, match=r"b\.png"):
        apply_model(ApplyRequest(folder, [tmp_path / "a.png", tmp_path / "b.png"], 1.0, tmp_path / "out"), quiet)
    assert not (tmp_path / "out").exists()


# ---- evaluate -----------------------------------------------------------------------------------------------------


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    """Two images with the outlines of their discs."""
    for name, (height, width) in {"one": (160, 200), "two": (200, 240)}.items():
        write_png(tmp_path / f"{name}.png", blue_discs(height, width))
        outlines(tmp_path / f"{name}.geojson", height, width)
    return tmp_path


def test_figures_are_those_of_the_pixels(folder: Path, model: OnnxRegionModel, marked: Path) -> None:
    path = marked / "figures.json"
    evaluate_model(JudgeRequest(folder, [marked], marked, 1.0, path, threads=1), quiet)
    said = json.loads(path.read_text(encoding="utf-8"))
    both = found = true = 0
    for height, width in ((160, 200), (200, 240)):
        labels = model.probabilities(blue_discs(height, width), 1.0).argmax(axis=0) == 1
        truth = is_disc(height, width)
        both, found, true = both + (labels & truth).sum(), found + labels.sum(), true + truth.sum()
    blue = said["classes"]["blue"]
    assert blue["dice"] == pytest.approx(2 * both / (found + true)) and blue["dice"] > 0.9
    assert blue["iou"] == pytest.approx(both / (found + true - both))
    assert blue["auc"] > 0.99
    assert set(said["images"]) == {"one", "two"} and said["model"]["sha256"] == model.sha256


def test_what_nobody_outlined_counts_neither_way_where_it_is_unknown(
    folder: Path, model: OnnxRegionModel, marked: Path
) -> None:
    """One disc of many is outlined: beside the background all others, which are right, would be false finds."""
    found = read_annotations(marked / "one.geojson").items
    write_geojson(Annotations(found[:1]), marked / "one.geojson")
    request = JudgeRequest(folder, [marked / "one.png"], marked, 1.0, marked / "figures.json")

    def said(**change: object) -> dict[str, float]:
        evaluate_model(pixels.replace(request, **change), quiet)  # type: ignore[arg-type]
        answer = json.loads(request.json_path.read_text(encoding="utf-8"))  # type: ignore[union-attr]
        assert answer["unlabelled"] == ("ignore" if change else "background")
        return dict(answer["classes"]["blue"])

    assert len(found) > 3 and said()["dice"] < 0.6
    partly = said(ignore_unlabelled=True)
    assert partly["dice"] > 0.9 and partly["of_px"] == partly["n_px"]
    with pytest.raises(BadInputError, match="not with --unlabelled ignore"):
        said(ignore_unlabelled=True, lesions="blue")


def test_folds_add_up(model: OnnxRegionModel, marked: Path) -> None:
    pairs = pair_up([marked], marked)
    apart = [judge(model, [pair], 1.0, ("blue",)) for pair in pairs]
    whole = judge(model, pairs, 1.0, ("blue",))
    assert judged_json(type(whole).joined(apart)) == judged_json(whole)


def test_lesions_are_found_on_slides_with_and_without(
    folder: Path, as_slide: Callable[..., Path], tmp_path: Path
) -> None:
    """One large blue area is one lesion; a slide without has none and none is found."""
    rgb = np.full((700, 900, 3), (235, 225, 230), np.uint8)
    plain = rgb.copy()
    rgb[200:560, 300:700] = (60, 60, 180)
    as_slide(ArraySlide(rgb, um_per_px=1.0), "with.svs")
    as_slide(ArraySlide(plain, um_per_px=1.0), "without.svs")
    corners = np.array([(300, 200), (700, 200), (700, 560), (300, 560)]) - 0.5
    marks = tmp_path / "marks"
    write_geojson(Annotations((Annotation("", "blue", (Polygon(corners),)),)), marks / "with.geojson")
    path = tmp_path / "figures.json"
    request = JudgeRequest(folder, [tmp_path], marks, 1.0, path, empty=True, lesions="blue", threads=1)
    lines = evaluate_model(request, quiet)
    found = json.loads(path.read_text(encoding="utf-8"))["lesions"]
    assert (found["n_slides"], found["n_lesions"], found["mean_sensitivity"], found["slide_auc"]) == (2, 1, 1.0, 1.0)
    assert any("FROC 1.0000" in line for line in lines)


@given(seed=st.integers(0, 999), um_per_px=st.floats(0.3, 4.0), n=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_a_coarse_map_does_not_depend_on_the_windows(seed: int, um_per_px: float, n: int) -> None:
    rng = np.random.default_rng(seed)
    plane = rng.random((150, 170)).astype(np.float32)
    size = tuple(int(np.ceil(side * um_per_px / LESION_UM_PER_PX)) for side in plane.shape)
    whole, parts = (np.full(size, -1.0, np.float32) for _ in range(2))
    put_coarse(whole, plane, 0, 0, um_per_px)
    for top in range(0, 150, 150 // n + 1):
        for left in range(0, 170, 64):
            put_coarse(parts, plane[top : top + 150 // n + 1, left : left + 64], left, top, um_per_px)
    assert (parts >= 0).all() == (whole >= 0).all()
    filled = whole >= 0
    assert np.abs(parts[filled] - whole[filled]).max(initial=0.0) < 0.55  # a box cut at a seam has fewer pixels
    assert np.corrcoef(parts[filled], whole[filled])[0, 1] > 0.5 or filled.sum() < 30


def test_what_cannot_be_judged_is_refused(folder: Path, marked: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="the model has no class 'green'"):
        evaluate_model(JudgeRequest(folder, [marked], marked, 1.0, lesions="green"), quiet)
    other = tmp_path / "other"
    other.mkdir()
    for name in ("one", "two"):
        outlines(other / f"{name}.geojson", 160, 200, name="red")
    with pytest.raises(BadInputError, match=r"no annotation is of class 'blue'. The files have: red"):
        evaluate_model(JudgeRequest(folder, [marked], other, 1.0), quiet)
    with pytest.raises(BadInputError, match="already"):
        evaluate_model(JudgeRequest(folder, [marked], marked, 1.0, marked / "one.geojson"), quiet)


# ---- train: what is refused before any training ------------------------------------------------------------------


@pytest.fixture
def with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if torch were there: it is not reached."""
    monkeypatch.setattr(pixels, "_need_torch", lambda: None)


@pytest.mark.usefixtures("with_torch")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": ("red",)}, "no annotation is of class 'red'. The files have: blue"),
        ({"classes": ("background",)}, "what no polygon covers"),
        ({"classes": ("blue", "blue")}, "a name of its own"),
        ({"folds": 3}, "3 folds of 2 images"),
        ({"folds": 2}, "too few are left"),
        ({"folds_only": True}, "how many folds"),
        ({"options": {"ignore_unlabelled": True}}, "nothing would say what is not blue"),
        ({"um_per_px": 1.0, "work_um_per_px": 0.5}, "coarser than the model's 0.5"),
        ({"um_per_px": None}, "--work-um-per-px"),
        ({"um_per_px": None, "work_um_per_px": 1.0}, "does not tell the size of its pixels"),
        ({"work_um_per_px": 15.0}, "too small to learn from"),
        ({"options": {"tile_px": 100}}, "tiles are multiples"),
    ],
)
def test_what_cannot_be_learnt_is_refused_before_training(marked: Path, change: dict[str, object], said: str) -> None:
    request = TrainRequest([marked], marked, ("blue",), 1.0, marked / "model")
    with pytest.raises(BadInputError, match=said):
        train_model(pixels.replace(request, **change), quiet)  # type: ignore[arg-type]
    assert not (marked / "model").exists()


@pytest.mark.usefixtures("with_torch")
def test_images_that_hold_none_of_the_class_must_be_there_where_the_rest_is_unknown(marked: Path) -> None:
    """`--empty` alone says nothing: all pixels that are known are blue, and all would be called so."""
    request = TrainRequest([marked], marked, ("blue",), 1.0, marked / "model", empty=True)
    with pytest.raises(BadInputError, match="nothing would say what is not blue"):
        train_model(pixels.replace(request, options={"ignore_unlabelled": True}), quiet)


@pytest.mark.usefixtures("with_torch")
def test_one_picture_under_two_names_is_refused(marked: Path) -> None:
    """Learnt from as the one and judged as the other: the figures would be those of what was seen."""
    write_png(marked / "copy.png", read_rgb(marked / "one.png"))
    (marked / "copy.geojson").write_bytes((marked / "one.geojson").read_bytes())
    with pytest.raises(BadInputError, match="copy and one are the same picture"):
        train_model(TrainRequest([marked], marked, ("blue",), 1.0, marked / "model"), quiet)


@pytest.mark.usefixtures("with_torch")
def test_a_model_that_a_run_did_not_make_is_not_written_over(marked: Path) -> None:
    model = write_tiny_region_model(marked / "model")
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    with pytest.raises(BadInputError, match="holds a model that this run did not make"):
        train_model(TrainRequest([marked], marked, ("blue",), 1.0, model), quiet)
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before


@pytest.mark.usefixtures("with_torch")
def test_one_image_is_too_few_to_learn_from(marked: Path) -> None:
    with pytest.raises(BadInputError, match="two at least"):
        train_model(TrainRequest([marked / "one.png"], marked, ("blue",), 1.0, marked / "model"), quiet)


def test_without_torch_it_says_how_to_get_it(marked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NotAvailableError, match="make train-env"):
        train_model(TrainRequest([marked], marked, ("blue",), 1.0, marked / "model"), quiet)


def test_a_mean_over_images_says_how_many_lack_the_class(folder: Path, tmp_path: Path) -> None:
    """Found where there is nothing: that image's Dice is 0, which says more of the mean than of the model."""
    for name in ("with", "without"):
        write_png(tmp_path / f"{name}.png", blue_discs(80, 120))
    outlines(tmp_path / "with.geojson", 80, 120)
    (line,) = evaluate_model(JudgeRequest(folder, [tmp_path], tmp_path, 1.0, empty=True), quiet)
    assert "(mean of 2 images 0.4" in line and ", 1 of them without it)" in line


def test_outlines_of_classes_that_were_not_asked_for_are_told(marked: Path, folder: Path) -> None:
    """A name that is spelt otherwise in one file would else be learnt as background without a word."""
    height, width = read_rgb(marked / "one.png").shape[:2]
    outlines(marked / "one.geojson", height, width, name="Blue ")
    told: list[str] = []
    evaluate_model(JudgeRequest(folder, [marked], marked, 1.0), told.append)
    (line,) = [line for line in told if "not asked for" in line]
    assert "Blue (" in line and "blue (" not in line


def test_a_mask_names_classes_by_their_place_in_the_list(tmp_path: Path) -> None:
    """Value 1 is the first class, as in the masks that `pixels apply` writes; of one class any one value will do."""
    values = np.zeros((40, 30), np.uint8)
    values[2:10, 3:9], values[20:30, 4:20] = 1, 2
    write_mask(tmp_path / "a.png", values)
    pair = Pair(tmp_path / "a.tif", tmp_path / "a.png")
    image = Opened(pair.image, (30, 40), 1.0, None, None)
    found = annotations_of(pair, image, ("tumour", "stroma"))
    np.testing.assert_array_equal(paint(found, ("tumour", "stroma"), (30, 40)), values)
    write_mask(tmp_path / "a.png", np.where(values > 0, 255, 0).astype(np.uint8))
    assert annotations_of(pair, image, ("tumour",)).classes == ("tumour",)
    with pytest.raises(BadInputError, match=r"255, which is no class \(1 is tumour, 2 is stroma\)"):
        annotations_of(pair, image, ("tumour", "stroma"))


@pytest.mark.parametrize("suffix", [".bif", ".tif"])
def test_outlines_of_asap_begin_where_a_slide_was_scanned_whatever_its_suffix(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ventana's slides are TIFF files, too."""
    monkeypatch.setattr(pixel_images, "scanned_corner_px", lambda path: (100, 50))
    places = "".join(f'<Coordinate Order="{k}" X="{x}" Y="{y}"/>' for k, (x, y) in enumerate(CORNERS))
    (tmp_path / "a.xml").write_text(
        f'<ASAP_Annotations><Annotations><Annotation Name="n" Type="Polygon" PartOfGroup="t"><Coordinates>{places}'
        "</Coordinates></Annotation></Annotations></ASAP_Annotations>"
    )
    pair = Pair(tmp_path / f"a{suffix}", tmp_path / "a.xml")
    slide = ArraySlide(blue_discs(40, 30))
    (found,) = annotations_of(pair, Opened(pair.image, (30, 40), 1.0, None, slide), ("t",)).items
    assert found.polygons[0].outer.min(axis=0).tolist() == [1.5, 2.5]
    field = Opened(pair.image, (300, 400), 1.0, blue_discs(400, 300), None)
    assert annotations_of(pair, field, ("t",)).items[0].polygons[0].outer.min(axis=0).tolist() == [101.5, 52.5]


CORNERS = ((102, 53), (110, 53), (110, 60), (102, 60))
