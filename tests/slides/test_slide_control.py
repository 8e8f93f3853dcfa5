from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import factories
import numpy as np
import pytest
import scored_slides as slides
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.annotations.shapes import Polygon
from her2scope.domain.cells import CellClass, StainCuts
from her2scope.domain.control import ControlCode, CutsFrom
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.guideline import Score
from her2scope.domain.score import ControlStatus
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.records import FieldResult, Frame, QualityReport, Segmentation, StainImage
from her2scope.settings import Calibration, ScoringSettings
from her2scope.slides.records import Square
from her2scope.slides.slide_control import (
    FIELD_PX,
    LEAST_FIELDS,
    ControlTissue,
    FieldPlace,
    LevelFields,
    controlled,
    field_places,
    held_against,
    inside,
    read_levels,
    tissue_frames,
    unreadable_levels,
    with_white,
)

INTENSE, NONE = CellClass.COMPLETE_INTENSE, CellClass.NONE


def box(left: float, top: float, right: float, bottom: float) -> Polygon:
    """Outline of whole pixels of the full resolution, from `left` up to `right`."""
    return Polygon(np.array([(left, top), (right, top), (right, bottom), (left, bottom)]) - 0.5)


def tissue_of(
    size_um: tuple[float, float], polygons: tuple[Polygon, ...] = (), squares: np.ndarray | None = None
) -> ControlTissue:
    survey = slides.survey_of(size_um, squares=squares)
    if polygons and squares is None:
        survey.tissue.squares[:] = Square.CONTROL
    kind = Square.CONTROL if polygons else Square.TISSUE
    return ControlTissue("3+", slides.plain_slide(survey), survey, "case7.svs", polygons, kind)


# ---- where to read ------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.integers(500, 9000), st.integers(500, 9000))
def test_fields_fill_an_outline_and_do_not_overlap(width_px: int, height_px: int) -> None:
    places = field_places(tissue_of((3000.0, 3000.0), (box(1000, 1000, 1000 + width_px, 1000 + height_px),)))
    area = sum(place.width_px * place.height_px for place in places)
    assert area == width_px * height_px  # neither a gap nor an overlap
    assert min(place.left_px for place in places) == min(place.top_px for place in places) == 1000
    assert max(place.left_px + place.width_px for place in places) == 1000 + width_px
    assert max(place.top_px + place.height_px for place in places) == 1000 + height_px
    assert len({(place.left_px, place.top_px) for place in places}) == len(places)
    assert max(max(place.width_px, place.height_px) for place in places) <= 1.5 * FIELD_PX + 1


def test_places_are_spread_and_without_tissue_none_is_tried() -> None:
    squares = np.full((47, 157), Square.GLASS, np.uint8)
    squares[:, 60:] = Square.TISSUE
    places = field_places(tissue_of((10000.0, 3000.0), squares=squares))
    assert min(place.left_px for place in places) * 0.25 >= 60 * slides.SQUARE_UM - 0.6 * FIELD_PX * 0.25
    first = np.array([(place.left_px, place.top_px) for place in places[:4]], np.float64)
    gaps = np.linalg.norm(first[:, None] - first[None], axis=2)
    assert gaps[~np.eye(4, dtype=bool)].min() > 1.5 * FIELD_PX


def test_control_squares_alone_are_read_where_tissue_was_outlined() -> None:
    squares = np.full((47, 47), Square.PEN, np.uint8)
    outline = (box(0, 0, 4000, 4000),)
    assert field_places(tissue_of((3000.0, 3000.0), outline, squares)) == ()
    squares[:32, :16] = Square.CONTROL
    places = field_places(tissue_of((3000.0, 3000.0), outline, squares))
    assert places and max(place.left_px for place in places) <= 16 * 256


def test_inside_is_by_pixel_and_a_hole_is_outside() -> None:
    ring = box(10, 10, 30, 30)
    holed = Polygon(ring.outer, (box(15, 15, 20, 20).outer,))
    found = inside((holed,), 1.0, FieldPlace(0, 0, 40, 40), (40, 40))
    assert found[12, 12] and not found[17, 17] and not found[5, 12] and not found[35, 12]
    # at half the resolution the same outline covers a quarter of the pixels
    halved = inside((ring,), 2.0, FieldPlace(0, 0, 20, 20), (20, 20))
    assert halved[6, 6] and not halved[3, 6] and not halved[16, 6]


def test_what_lies_outside_the_outline_is_painted_as_glass() -> None:
    triangle = Polygon(np.array([(0.0, 0.0), (1000.0, 0.0), (0.0, 1000.0)]))
    tissue = tissue_of((400.0, 400.0), (triangle,))
    (frame,) = tissue_frames(tissue, "srgb")
    assert frame.rgb[5, 5].tolist() == [225, 225, 225]
    assert frame.rgb[-5, -5].tolist() == [240, 241, 242]
    assert frame.um_per_px == 0.25 and frame.name.startswith("case7.svs at 0.00, 0.00 mm")


# ---- reading ------------------------------------------------------------------------------------------------------


class DrawnSegmenter:
    """Finds in each frame what a test says."""

    method, model_name, model_sha256, nuclear_width_um = "network", "drawn", "", None
    false_rates = FalseRates()

    def default_cuts(self, cuts: StainCuts) -> StainCuts:
        return cuts

    def control_cut(self, cells: Segmentation, cuts: StainCuts) -> float | None:
        complete = [cell for cell in cells.cells if cell.cell_class is INTENSE]
        return 0.62 if len(complete) >= 100 else None

    def doubts(self, _: object) -> tuple[str, ...]:
        return ()

    def segment(self, frame: Frame, stains: StainImage, cuts: StainCuts) -> Segmentation:
        raise AssertionError("fields are given as they are")


class DrawnAnalyser(FieldAnalyser):
    """Gives the fields of a test in their order and counts how many were asked for."""

    def __init__(self, fields: Sequence[FieldResult]) -> None:
        super().__init__(DrawnSegmenter(), ScoringSettings(), Calibration())  # type: ignore[arg-type]
        self._fields, self.n_read, self.cuts = list(fields), 0, []  # type: ignore[var-annotated]

    def analyse(
        self, frame: Frame, cuts: StainCuts, speed_um_per_s: float = 0.0, *, everywhere: bool = False
    ) -> FieldResult:
        self.n_read += 1
        self.cuts.append(cuts)
        return self._fields[frame.index]


def counted(n_intense: int, n_none: int = 20, seed: int = 0) -> FieldResult:
    """A field like no other: fields that look alike would be taken for one place."""
    side = 40 * math.ceil(math.sqrt(n_intense + n_none)) + 8
    rgb = np.random.default_rng(seed).integers(60, 230, (side, side, 3), np.uint8)
    return factories.counted_field({INTENSE: n_intense, NONE: n_none}, name=f"field {seed}", rgb=rgb)


def frames(n: int) -> Iterator[Frame]:
    for index in range(n):
        yield Frame(np.full((64, 64, 3), (index * 7) % 255, np.uint8), index, 0.0, 0.25, name=f"f{index}")


def read(fields: Sequence[FieldResult], level: Score = "3+", by_hand: bool = False) -> tuple[DrawnAnalyser, object]:
    analyser = DrawnAnalyser(fields)
    readings = read_levels(analyser, {level: LevelFields(analyser, frames(len(fields)), by_hand)})
    return analyser, readings


def test_fields_are_read_until_there_are_cells_enough() -> None:
    analyser, (reading,) = read([counted(60, seed=n) for n in range(9)])  # type: ignore[misc]
    assert analyser.n_read == LEAST_FIELDS
    assert reading.measures.n_tumour == 3 * 80 and reading.verdict.status is ControlStatus.VALID
    analyser, _ = read([counted(20, seed=n) for n in range(9)])
    assert analyser.n_read == 5  # 100 complete cells


def test_stroma_is_passed_over_and_tumour_looked_for() -> None:
    fields = [counted(0, 3), counted(60), counted(1, 2), counted(60, seed=1), counted(60, seed=2), counted(60, seed=3)]
    analyser, (reading,) = read(fields)  # type: ignore[misc]
    assert analyser.n_read == 5 and len(reading.measures.field_od10) == 3
    assert reading.measures.n_tumour == 3 * 80


def test_a_control_without_tumour_is_invalid_for_too_few_cells() -> None:
    _, (reading,) = read([counted(0, 3), counted(0, 7), counted(0, 1)])  # type: ignore[misc]
    assert reading.verdict.status is ControlStatus.INVALID and ControlCode.TOO_FEW in reading.verdict.codes
    assert reading.measures.n_tumour == 7


def test_a_blurred_part_of_a_control_is_said_and_glass_is_not() -> None:
    glass = dataclasses.replace(factories.unusable_field(), quality=QualityReport(False, ("no_tissue",), (), 0, 0, 0))
    fields = [factories.unusable_field(), glass, *(counted(60, seed=n) for n in range(3))]
    _, (reading,) = read(fields)  # type: ignore[misc]
    assert reading.verdict.status is ControlStatus.WARNING and reading.verdict.codes == (ControlCode.BLURRED,)
    assert reading.measures.n_tumour == 3 * 80 and reading.result.quality.usable
    _, (reading,) = read([factories.unusable_field()] * 3)  # type: ignore[misc]
    assert reading.verdict.status is ControlStatus.INVALID


def test_one_unlucky_place_is_no_failed_reading() -> None:
    fields = [counted(0, 60, 7), counted(90), counted(90, seed=1), counted(90, seed=2)]
    _, (reading,) = read(fields)  # type: ignore[misc]
    assert reading.measures.read == "3+" and reading.measures.n_tumour == 60 + 2 * 110


def test_pictures_that_a_reader_chose_are_all_read() -> None:
    analyser, _ = read([counted(90, seed=n) for n in range(6)], by_hand=True)
    assert analyser.n_read == 6


def test_without_tissue_a_level_is_not_read_and_that_is_said() -> None:
    analyser = DrawnAnalyser([])
    readings = read_levels(analyser, {"3+": LevelFields(analyser, iter(()))})
    assert readings == () and unreadable_levels(["3+"], readings) == ("no tissue was found in the 3+ control",)


def test_the_strongest_level_is_read_first_and_sets_the_scale_of_the_others() -> None:
    strong, weak = (
        DrawnAnalyser([counted(120, seed=n) for n in range(3)]),
        DrawnAnalyser([counted(0, 120, n) for n in range(3)]),
    )
    levels = {"0": LevelFields(weak, frames(3)), "3+": LevelFields(strong, frames(3))}
    readings = read_levels(strong, levels)
    assert [reading.expected for reading in readings] == ["3+", "0"]
    assert strong.cuts == [strong.default_cuts] * 3
    assert {cuts.intense_od10 for cuts in weak.cuts} == {0.62}
    found = controlled(strong, readings)
    assert found.cuts_from is CutsFrom.CONTROL and found.cuts.intense_od10 == 0.62
    assert found.standing.negative_read and not found.standing.low_end_covered


def test_a_faded_control_is_invalid_and_gives_no_cut() -> None:
    _, readings = read([counted(0, 120, n) for n in range(4)])
    found = controlled(DrawnAnalyser([]), readings)  # type: ignore[arg-type]
    assert found.standing.status is ControlStatus.INVALID and found.cuts_from is CutsFrom.SETTINGS


# ---- against the slide --------------------------------------------------------------------------------------------


def valid() -> slides.Controlled:
    analyser, readings = read([counted(120, seed=n) for n in range(3)])
    return controlled(analyser, readings)  # type: ignore[arg-type]


def test_a_control_holds_for_a_slide_scanned_alike() -> None:
    found = held_against(valid(), slides.survey_of(), (240.0, 241.0, 242.0), 0.10)
    assert found.standing.refusals == () and found.standing.status is ControlStatus.VALID


@pytest.mark.parametrize(
    ("um_per_px", "white", "why"),
    [(0.5, (240.0, 241.0, 242.0), "another scale"), (0.25, (200.0, 241.0, 242.0), "white differs by 20 %")],
)
def test_and_not_for_one_of_another_scale_or_light(
    um_per_px: float, white: tuple[float, float, float], why: str
) -> None:
    found = held_against(valid(), slides.survey_of(um_per_px=um_per_px), white, 0.10)
    assert len(found.standing.refusals) == 1 and why in found.standing.refusals[0]
    score, _ = slides.scored({INTENSE: 500, NONE: 500}, found)
    assert not score.case.reportable


def test_without_a_control_nothing_is_held_against_anything() -> None:
    assert held_against(slides.ABSENT, slides.survey_of(), None, 0.10) == slides.ABSENT


def test_fields_are_unmixed_with_the_slides_own_white() -> None:
    flat = ((((1.0, 1.0, 1.0),) * 2),) * 2
    calibration = Calibration(white_rgb=(250.0, 250.0, 250.0), flat_field=flat)
    own = with_white(calibration, (230.0, 231.0, 232.0))
    assert own.white_rgb == (230.0, 231.0, 232.0) and own.flat_field is None
    assert dataclasses.replace(own, white_rgb=None) == dataclasses.replace(calibration, white_rgb=None, flat_field=None)
