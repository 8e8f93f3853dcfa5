from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from her2scope.annotations.shapes import Annotation, Annotations, Polygon
from her2scope.domain.errors import BadInputError
from her2scope.slides.slide_regions import outlines_of, sorted_regions


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
