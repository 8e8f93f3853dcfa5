from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scored_slides
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.annotations.shapes import Annotation, Annotations, Polygon
from her2scope.domain.cells import CellClass
from her2scope.domain.errors import BadInputError
from her2scope.slides.slide_regions import (
    CONTROL_RIM_UM,
    SlideRegions,
    cells_by_outlines,
    control_slide_regions,
    outlines_of,
    sorted_regions,
)


def square(at: float) -> Polygon:
    return Polygon(np.array([(at, at), (at + 10, at), (at + 10, at + 10), (at, at + 10)], np.float64))


def drawn(*classes: str) -> Annotations:
    return Annotations(
        tuple(Annotation(f"no. {n}", name, (square(20.0 * n),)) for n, name in enumerate(classes)), ("ring closed",)
    )


def test_controls_are_known_by_their_names() -> None:
    regions = sorted_regions(drawn("control 3+", "Control 0", "control_1+", "Tumor"), (), ())
    assert set(regions.controls) == {"3+", "0", "1+"}
    assert len(regions.all_controls) == 3
    assert regions.restrict == () == regions.exclude
    assert regions.notes[0] == "ring closed"
    assert "not used: outlines of class 'Tumor'" in regions.notes


@pytest.mark.parametrize(
    "name", ["Ignore*", "exclude", "Excluded", "Artefact", "artifacts", "in situ", "DCIS", "Necrosis"]
)
def test_what_says_so_is_left_out(name: str) -> None:
    regions = sorted_regions(drawn("Stroma", name), (), ())
    assert [polygon.outer[0, 0] for polygon in regions.exclude] == [20.0]  # the second, not the stroma
    assert any(name in note and note.startswith("left out") for note in regions.notes)


def test_named_classes_go_where_they_are_told() -> None:
    regions = sorted_regions(drawn("Tumor", "Stroma", "Ignore*", "control 3+"), ("Tumor", "Ignore*"), ("Stroma",))
    assert len(regions.restrict) == 2 and len(regions.exclude) == 1 and set(regions.controls) == {"3+"}


def test_a_control_that_is_left_out_is_no_control() -> None:
    regions = sorted_regions(drawn("control 3+"), (), ("control 3+",))
    assert regions.controls == {} and len(regions.exclude) == 1


def test_a_level_of_a_control_slide_is_read_though_it_is_left_out_on_the_slides() -> None:
    annotations = drawn("Control 3+", "old control")
    regions = control_slide_regions(annotations, ("control 3+", "old control"))
    assert set(regions.controls) == {"3+"} and len(regions.exclude) == 1


def test_nothing_to_count_in_is_refused_and_never_everywhere() -> None:
    with pytest.raises(BadInputError, match="no outline of class 'Tumour': its classes are 'Tumor'"):
        sorted_regions(drawn("Tumor"), ("Tumour",), ())
    with pytest.raises(BadInputError, match="nothing is outlined"):
        sorted_regions(Annotations(()), ("Tumour",), ())


def test_classes_of_a_region_model_need_no_outline() -> None:
    assert sorted_regions(Annotations(()), ("tumour",), (), must_count_in=False).restrict == ()


def test_outlines_of_a_slide_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.geojson").write_text("{}")
    assert outlines_of("a", tmp_path) == tmp_path / "a.geojson"
    assert outlines_of("b", tmp_path) is None
    assert outlines_of("a", None) is None
    assert outlines_of("a", tmp_path / "x.xml") == tmp_path / "x.xml"
    (tmp_path / "a.xml").write_text("<a/>")
    with pytest.raises(BadInputError, match="two files of outlines"):
        outlines_of("a", tmp_path)


@pytest.mark.parametrize("name", ["positive control", "Control 3", "3+ control", "controls", "control 4+", "Kontrolle"])
def test_a_control_of_unknown_level_is_refused_and_never_counted(name: str) -> None:
    with pytest.raises(BadInputError, match="which level"):
        sorted_regions(drawn("Tumor", name), (), ())
    assert len(sorted_regions(drawn("Tumor", name), (), (name,)).exclude) == 1
    assert len(sorted_regions(drawn("Tumor", name), (name,), ()).restrict) == 1


@pytest.mark.parametrize(("left", "is_refused"), [(50.0, True), (10.0, True), (99.5, False), (300.0, False)])
def test_one_tissue_is_no_control_of_two_levels(left: float, is_refused: bool) -> None:
    def of(name: str, *boxes: Polygon) -> Annotation:
        return Annotation("", name, boxes)

    items = (of("control 3+", box(0, 0, 100, 100)), of("control 1+", box(left, 0, left + 90, 100)))
    if not is_refused:
        assert len(sorted_regions(Annotations(items), (), ()).controls) == 2
        return
    with pytest.raises(BadInputError, match=r"control 3\+ and control 1\+ overlap|control 1\+ and control 3\+ overlap"):
        sorted_regions(Annotations(items), (), ())


def test_a_class_to_leave_out_is_found_in_any_writing_and_missed_in_words() -> None:
    regions = sorted_regions(drawn("DCIS solid", "Tumor"), (), ("dcis Solid ", "Necrossis"))
    assert len(regions.exclude) == 1
    assert "to be left out, but nothing is outlined as 'Necrossis'" in regions.notes


# ---- cells --------------------------------------------------------------------------------------------------------

UM_PER_PX = 0.25
RIM_PX = CONTROL_RIM_UM / UM_PER_PX


def box(left: float, top: float, right: float, bottom: float, *holes: np.ndarray) -> Polygon:
    """Outline of whole pixels from `left` up to `right`."""
    ring = np.array([(left, top), (right, top), (right, bottom), (left, bottom)]) - 0.5
    return Polygon(ring, holes)


def left_of(cells: scored_slides.SlideCells, regions: SlideRegions) -> list[tuple[float, float]]:
    """Places (px) of the cells that count."""
    found, _ = cells_by_outlines(cells, regions, UM_PER_PX)
    return [(x / UM_PER_PX, y / UM_PER_PX) for x, y in zip(found.x_um, found.y_um, strict=True)]


def cells_at(*places_px: tuple[float, float]) -> scored_slides.SlideCells:
    x, y = np.array(places_px).T * UM_PER_PX
    return scored_slides.cells_of([CellClass.COMPLETE_INTENSE] * len(places_px), x, y)


def test_an_outline_cuts_between_cells_however_coarse_the_squares_are() -> None:
    cells = cells_at((99, 500), (101, 500), (899, 500), (901, 500))
    assert left_of(cells, SlideRegions(restrict=(box(100, 0, 900, 1000),))) == [(101, 500), (899, 500)]
    assert left_of(cells, SlideRegions(exclude=(box(100, 0, 900, 1000),))) == [(99, 500), (901, 500)]


def test_cells_beside_the_outline_of_a_control_are_not_counted_and_that_is_said() -> None:
    cells = cells_at((1000, 500), (1999, 500), (2001, 500), (1999 + RIM_PX, 500), (2001 + RIM_PX, 500))
    regions = SlideRegions(controls={"3+": (box(0, 0, 2000, 1000),)})
    counted, notes = cells_by_outlines(cells, regions, UM_PER_PX)
    assert [x / UM_PER_PX for x in counted.x_um] == [2001 + RIM_PX]
    assert notes == ("4 tumour cells right beside the outline of a control are not counted",)
    assert cells_by_outlines(cells, SlideRegions(), UM_PER_PX) == (cells, ())


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=30),
    st.lists(st.tuples(*[st.integers(0, 50)] * 4), max_size=4),
    st.lists(st.tuples(*[st.integers(0, 50)] * 4), max_size=4),
)
def test_a_cell_counts_once_in_outlines_that_overlap_and_never_where_it_is_left_out(
    places: list[tuple[int, int]], counted: list[tuple[int, int, int, int]], left: list[tuple[int, int, int, int]]
) -> None:
    def areas(of: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
        return [(x, y, x + width + 1, y + height + 1) for x, y, width, height in of]

    def within(place: tuple[float, float], of: list[tuple[int, int, int, int]]) -> bool:
        return any(x < place[0] < right and y < place[1] < bottom for x, y, right, bottom in areas(of))

    middles = [(x + 0.5, y + 0.5) for x, y in places]
    regions = SlideRegions(
        restrict=tuple(box(*area) for area in areas(counted)), exclude=tuple(box(*area) for area in areas(left))
    )
    expected = [place for place in middles if (not counted or within(place, counted)) and not within(place, left)]
    assert left_of(cells_at(*middles), regions) == expected


def test_a_hole_in_what_is_left_out_counts() -> None:
    hole = np.array([(40.0, 40.0), (60.0, 40.0), (60.0, 60.0), (40.0, 60.0)])
    assert left_of(cells_at((20, 20), (50, 50)), SlideRegions(exclude=(box(0, 0, 100, 100, hole),))) == [(50, 50)]
