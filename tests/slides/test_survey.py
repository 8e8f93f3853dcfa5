"""Scale, white, tissue and refusals of whole slides, on drawn ones with known truth and on real pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_tissue import (
    DAB,
    EOSIN,
    HAEMATOXYLIN,
    INKS,
    UM_PER_PX,
    WHITE,
    ArraySlide,
    on_glass,
    picture,
    tissue_light,
    with_fold,
    with_ink,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.annotations.shapes import Polygon
from her2scope.cameras.slide_readers import open_slide
from her2scope.domain.errors import BadInputError, UnreadableImageError
from her2scope.imaging.files import read_rgb
from her2scope.imaging.opencv import cv2
from her2scope.phantom.run import STAINERS
from her2scope.settings import Calibration
from her2scope.slides.records import Square, Survey
from her2scope.slides.stain_kind import LEAST_FROM_LINE, from_line, stain_refusal
from her2scope.slides.survey import survey
from her2scope.slides.tiles import plan_tiles
from her2scope.slides.tissue import SQUARE_UM

SIDE_PX, AROUND_PX = 1200, 400
PATH = Path("a.svs")
SQUARE_PX = SQUARE_UM / UM_PER_PX
BLUR_SIGMA_UM = 1.5


@pytest.fixture(scope="module")
def light():
    """600 x 600 um of tissue with 200 um of glass around it."""
    return on_glass(tissue_light((SIDE_PX, SIDE_PX)), AROUND_PX)


def surveyed(light, **more) -> Survey:
    return survey(ArraySlide(picture(light)), PATH, Calibration(), **more)


def squares_in(found: Survey, rows: slice, columns: slice):
    """Squares that lie wholly in a part of the picture, in its pixels."""
    (top, bottom), (left, right) = (
        (int(np.ceil(part.start / SQUARE_PX)), int(part.stop / SQUARE_PX)) for part in (rows, columns)
    )
    return found.tissue.squares[top:bottom, left:right]


def share_of(squares, kind: Square) -> float:
    return float((squares == kind).mean())


INNER = slice(AROUND_PX, AROUND_PX + SIDE_PX)


def test_tissue_is_found_and_glass_is_not(light):
    found = surveyed(light)
    assert share_of(squares_in(found, INNER, INNER), Square.TISSUE) == 1.0
    assert share_of(squares_in(found, slice(0, AROUND_PX - 64), slice(0, 2000)), Square.GLASS) == 1.0
    assert found.tissue.area_mm2(Square.TISSUE) == pytest.approx(0.36, rel=0.15)
    assert found.refusals == ()


def test_the_white_is_that_of_the_glass_and_said_to_be_estimated(light):
    found = surveyed(light)
    assert found.white_estimated
    assert found.white_rgb == pytest.approx(WHITE, abs=1.0)
    assert any("glass" in note for note in found.notes)


def test_what_a_scanner_never_scanned_is_not_its_white(light):
    rgb = picture(light)
    rgb[:, :200] = 255
    rgb[-250:] = 255
    found = survey(ArraySlide(rgb), PATH, Calibration())
    assert found.white_rgb == pytest.approx(WHITE, abs=1.0)
    assert share_of(squares_in(found, slice(0, 2000), slice(0, 200)), Square.GLASS) == 1.0


def test_a_calibrated_white_is_taken_as_it_is(light):
    found = survey(ArraySlide(picture(light)), PATH, Calibration(white_rgb=(240.0, 241.0, 242.0)))
    assert found.white_rgb == (240.0, 241.0, 242.0)
    assert not found.white_estimated


def test_a_slide_without_glass_has_the_white_of_its_brightest_places_and_says_so():
    found = surveyed(tissue_light((800, 900)))
    assert any("no glass" in note for note in found.notes)
    assert share_of(found.tissue.squares[1:-1, 1:-1], Square.TISSUE) == 1.0


@pytest.mark.parametrize("ink", INKS)
def test_strokes_of_a_pen_are_left_out(light, ink):
    over = ink in ("blue", "green", "red", "black")  # of light blue and yellow the colour is lost over tissue
    x, y = (1000, (120, 1000)) if over else (200, (200, 1200))
    found = surveyed(with_ink(light, [(x, y[0]), (x, y[1])], ink))
    assert share_of(squares_in(found, slice(*y), slice(x - 70, x + 70)), Square.PEN) >= 0.95
    far = squares_in(found, INNER, slice(1300, AROUND_PX + SIDE_PX))
    assert share_of(far, Square.TISSUE) == 1.0
    assert any("pen" in note for note in found.notes)


@pytest.mark.parametrize("brown", [0.0, 0.3, 0.9])
def test_tissue_of_any_strength_is_neither_ink_nor_fold_nor_blurred(brown):
    found = surveyed(on_glass(tissue_light((800, 800), brown=brown)))
    assert set(np.unique(found.tissue.squares)) == {Square.GLASS, Square.TISSUE}


def test_strongly_stained_tissue_beside_pale_tissue_is_no_fold():
    light = on_glass(tissue_light((1000, 1600), brown=0.02))
    light[AROUND_PX : AROUND_PX + 1000, 900:1100] = tissue_light((1000, 200), seed=2, brown=0.9)
    found = surveyed(light)
    assert not (found.tissue.squares == Square.FOLD).any()


def test_a_fold_is_left_out(light):
    columns = slice(896, 1088)
    found = surveyed(with_fold(light, columns))
    assert share_of(squares_in(found, INNER, columns), Square.FOLD) >= 0.8
    assert share_of(squares_in(found, INNER, slice(AROUND_PX, 820)), Square.TISSUE) == 1.0


def test_a_blurred_part_is_left_out_and_the_sharp_part_kept(light):
    blurred = light.copy()
    right = slice(1024, 2000)  # where a block begins
    blurred[:, right] = cv2.GaussianBlur(light, (0, 0), BLUR_SIGMA_UM / UM_PER_PX)[:, right]
    found = surveyed(blurred)
    assert share_of(squares_in(found, INNER, slice(1024, AROUND_PX + SIDE_PX)), Square.BLUR) >= 0.95
    assert share_of(squares_in(found, INNER, slice(AROUND_PX, 1000)), Square.TISSUE) == 1.0


def test_a_slide_of_which_most_is_blurred_is_doubted_unless_that_part_was_left_out(light):
    half = light.copy()
    sigma_px = BLUR_SIGMA_UM / UM_PER_PX
    split = AROUND_PX + int(0.05 * SIDE_PX)
    half[:, split:] = cv2.GaussianBlur(light, (0, 0), sigma_px)[:, split:]
    found = surveyed(half)
    assert len(found.doubts) == 1 and "out of focus or folded" in found.doubts[0] and found.refusals == ()
    assert surveyed(light).doubts == ()
    rest = (box(split - 2 * SQUARE_PX, 0, light.shape[1], light.shape[0]),)
    for regions in ({"exclude": rest}, {"controls": rest}):
        assert surveyed(half, **regions).doubts == ()


def test_a_slide_stored_in_one_size_gives_the_squares_of_one_stored_in_many(light):
    rgb = picture(light)
    one, many = (survey(ArraySlide(rgb, downsamples=sizes), PATH, Calibration()) for sizes in ((1,), (1, 4, 8)))
    assert (one.tissue.squares == many.tissue.squares).mean() >= 0.99


def test_a_large_slide_in_one_size_is_read_in_pieces():
    rgb = np.full((4000, 6000, 3), 240, np.uint8)
    rgb[2000:2600, 3000:3600] = picture(tissue_light((600, 600)))
    slide = ArraySlide(rgb, downsamples=(1,))
    found = survey(slide, PATH, Calibration())
    assert slide.largest_read_px <= 2100 * 2100
    assert found.tissue.area_mm2(Square.TISSUE) == pytest.approx(0.09, rel=0.3)


# ---- places -------------------------------------------------------------------------------------------------------


def box(left: float, top: float, right: float, bottom: float, *holes) -> Polygon:
    return Polygon(np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float), holes)


def test_polygons_restrict_exclude_and_name_controls(light):
    restrict = [box(400, 400, 1000, 1600), box(900, 400, 1200, 1600)]
    found = surveyed(light, restrict=restrict, exclude=[box(400, 400, 700, 700)], controls=[box(1300, 400, 1600, 1600)])

    def kinds(rows, columns):
        return set(np.unique(squares_in(found, rows, columns)))

    assert kinds(slice(470, 660), slice(470, 660)) == {Square.LEFT_OUT}
    assert kinds(slice(760, 1500), slice(470, 1150)) == {Square.TISSUE}, "where two outlines overlap, too"
    assert kinds(slice(470, 1500), slice(1210, 1290)) <= {Square.LEFT_OUT}
    assert kinds(slice(470, 1500), slice(1340, 1500)) == {Square.CONTROL}
    assert kinds(slice(0, 300), slice(0, 2000)) == {Square.GLASS}


def test_a_hole_of_an_outline_is_not_in_it(light):
    hole = np.array([(800, 800), (1200, 800), (1200, 1200), (800, 1200)], float)
    found = surveyed(light, restrict=[box(400, 400, 1600, 1600, hole)])
    assert share_of(squares_in(found, slice(840, 1160), slice(840, 1160)), Square.LEFT_OUT) == 1.0
    assert share_of(squares_in(found, slice(470, 760), slice(470, 1500)), Square.TISSUE) == 1.0


def test_where_outlines_leave_nothing_the_slide_is_refused(light):
    found = surveyed(light, exclude=[box(0, 0, 2000, 2000)])
    assert "left out by outlines" in found.refusals[0]
    assert plan_tiles(found) == ()


# ---- scale --------------------------------------------------------------------------------------------------------


def test_a_slide_that_does_not_tell_its_pixel_size_asks_for_it(light):
    slide = ArraySlide(picture(light), um_per_px=None)
    with pytest.raises(BadInputError, match="--um-per-px"):
        survey(slide, PATH, Calibration())
    assert survey(slide, PATH, Calibration(), um_per_px=0.5).scale.um_per_px == 0.5


def test_another_pixel_size_than_the_files_is_used_and_said(light):
    found = surveyed(light, um_per_px=0.45)
    assert found.scale.um_per_px == 0.45
    assert any("0.45" in note for note in found.notes)


def test_the_coarsest_size_that_shows_faint_membranes_is_read():
    slide = ArraySlide(np.full((512, 512, 3), 240, np.uint8), um_per_px=0.125, downsamples=(1, 2, 4))
    scale = survey(slide, PATH, Calibration()).scale
    assert (scale.level, scale.downsample, scale.um_per_px, scale.width_px) == (1, 2.0, 0.25, 256)


def test_a_slide_that_is_too_coarse_is_refused(light):
    found = survey(ArraySlide(picture(light), um_per_px=0.7), PATH, Calibration())
    assert "too coarse" in found.refusals[0]


def test_an_empty_slide_is_refused():
    found = survey(ArraySlide(np.full((900, 900, 3), 240, np.uint8)), PATH, Calibration())
    assert "no tissue" in found.refusals[0]


# ---- stains -------------------------------------------------------------------------------------------------------


def od10_of(amounts, *vectors):
    return np.array(amounts, np.float32) @ np.array([np.array(vector) / max(vector) for vector in vectors], np.float32)


@settings(max_examples=30)
@given(
    stainer=st.sampled_from(sorted(STAINERS)),
    amounts=st.lists(st.tuples(st.floats(0, 1.5), st.floats(0, 1.5)), min_size=16, max_size=24),
)
def test_no_mixture_of_haematoxylin_and_dab_is_refused(stainer, amounts):
    machine = STAINERS[stainer]
    assert stain_refusal(od10_of(amounts, machine.haematoxylin_vector, machine.dab_vector)) == ""


@settings(max_examples=30)
@given(
    blue=st.floats(0.05, 0.5),
    pink=st.floats(0.25, 1.0),
)
def test_haematoxylin_and_eosin_are_refused(blue, pink):
    amounts = [(blue, blue * pink / 0.5 + 0.1)] * 30
    found = from_line(od10_of(amounts, HAEMATOXYLIN, EOSIN))
    assert found is not None
    assert found < LEAST_FROM_LINE


def test_a_brown_that_a_scanner_turned_towards_red_is_still_brown():
    """Blue is taken from DAB and green added to it, until its mixtures lie as far beside the line as eosin's may."""
    turned = np.array([0.17, 0.62, 0.66])
    places = od10_of([(0.1, 0.5)] * 30, HAEMATOXYLIN, turned)
    away = from_line(places)
    assert away is not None and -0.05 < away < LEAST_FROM_LINE
    assert stain_refusal(places) == ""
    pink = od10_of([(0.1, 0.5)] * 30, HAEMATOXYLIN, EOSIN)
    assert stain_refusal(np.concatenate([pink, places[:1]])) != "", "one brown speck makes no HER2 slide"


def test_real_haematoxylin_and_eosin_has_no_brown(shared_data):
    for path in sorted((shared_data / "he_polygons_gbm").glob("*.tif"))[:6]:
        small = cv2.resize(read_rgb(path), None, fx=1 / 32, fy=1 / 32, interpolation=cv2.INTER_AREA)
        od10 = -np.log10(np.maximum(small, 1) / 245.0).reshape(-1, 3).astype(np.float32)
        assert "eosin" in stain_refusal(od10), path.name


def test_hardly_stained_tissue_is_not_judged():
    assert from_line(np.full((100, 3), 0.05, np.float32)) is None


def test_a_picture_in_shades_of_grey_is_refused(light):
    grey = np.repeat(picture(light)[..., 1:2], 3, axis=2)
    found = survey(ArraySlide(grey), PATH, Calibration())
    assert len(found.refusals) == 1 and "shades of grey" in found.refusals[0]
    assert surveyed(light).refusals == ()


def test_a_pink_slide_is_refused_and_a_brown_one_is_not():
    pink, brown = (surveyed(on_glass(tissue_light((600, 600), stain=stain))) for stain in (EOSIN, DAB))
    assert "eosin" in pink.refusals[0]
    assert brown.refusals == ()


# ---- real ---------------------------------------------------------------------------------------------------------


def test_a_real_slide_of_haematoxylin_and_eosin_is_refused_and_its_tissue_found(shared_data):
    path = shared_data / "slides" / "CMU-1-Small-Region.svs"
    reader = open_slide(path)
    try:
        found = survey(reader, path, Calibration())
    finally:
        reader.close()
    assert "eosin" in found.refusals[0]
    assert found.tissue.area_mm2(Square.TISSUE) == pytest.approx(0.73, abs=0.15)
    assert found.white_rgb == pytest.approx((245, 243, 243), abs=3)


def test_a_broken_slide_gives_one_line(shared_data):
    with pytest.raises(UnreadableImageError) as failed:
        open_slide(shared_data / "slides" / "broken.svs")
    assert "\n" not in str(failed.value)


SHARP_20X = ("00002", "00006", "00013", "00014")


def test_no_real_her2_picture_is_taken_for_another_stain_or_for_folds_or_ink(shared_data):
    pictures = [(path, 0.25) for path in sorted((shared_data / "her2_camera_fields").glob("*.jpg"))]
    pictures += [(path, 0.46) for path in (shared_data / "her2_bci_20x").glob("*.jpg") if path.name[:5] in SHARP_20X]
    pictures += [(path, 0.4) for path in (shared_data / "her2_crops").glob("*.png")]
    assert len(pictures) == 15
    for path, um_per_px in pictures:
        rgb = cv2.imread(str(path))[..., ::-1].copy()
        found = survey(ArraySlide(rgb, um_per_px), path, Calibration())
        assert found.refusals == (), path.name
        assert set(np.unique(found.tissue.squares)) <= {Square.GLASS, Square.TISSUE}, path.name
