from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import factories
import jsonschema
import numpy as np
import pytest
import scored_slides as slides

from her2scope.domain.cells import CellClass
from her2scope.domain.errors import BadInputError, DiskFullError, StoreError
from her2scope.domain.score import ControlStatus
from her2scope.reporting.content import schema
from her2scope.slides import slide_outputs
from her2scope.slides.records import SlideOutcome
from her2scope.slides.slide_json import SLIDE_SCHEMA, control_doubts, slide_json
from her2scope.slides.slide_outputs import FILES, check_folder, write_slide
from her2scope.slides.slide_score import Controlled, refused_slide
from her2scope.slides.slide_table import COLUMNS, read_table, write_table
from her2scope.slides.slide_words import SlideContent

MIXED = {CellClass.COMPLETE_INTENSE: 150, CellClass.COMPLETE_MODERATE: 300, CellClass.NONE: 700, None: 60}


@pytest.fixture(scope="module")
def small() -> tuple[SlideContent, slides.SlideCells]:
    score, cells = slides.scored(MIXED, survey=slides.survey_of((700.0, 500.0)))
    return slides.content_of(score, cells), cells


@pytest.fixture(scope="module")
def written(
    small: tuple[SlideContent, slides.SlideCells], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path], None]:
    """Puts the slide's results into a folder; they are written once."""
    once = tmp_path_factory.mktemp("once") / "a"
    write_slide(once, *small)
    return lambda folder: shutil.copytree(once, folder)


def refused() -> SlideContent:
    survey = slides.survey_of((700.0, 500.0), refusals=("its colours are haematoxylin and eosin",))
    score = refused_slide(survey, slides.RULES, slides.factories.PROGRAM)
    return slides.content_of(score, slides.cells_of([], [], []))


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


# ---- files --------------------------------------------------------------------------------------------------------


def test_two_runs_give_the_same_bytes(
    tmp_path: Path, small: tuple[SlideContent, slides.SlideCells], written: Callable[[Path], None]
) -> None:
    written(tmp_path / "a")
    write_slide(tmp_path / "b", *small)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert set(digests(tmp_path / "a")) == set(FILES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]  # nothing is left beside them


def test_cells_are_read_back_as_they_were(
    tmp_path: Path, small: tuple[SlideContent, slides.SlideCells], written: Callable[[Path], None]
) -> None:
    written(tmp_path / "a")
    found = np.load(tmp_path / "a" / "cells.npz")
    assert np.array_equal(found["x_um"], small[1].x_um) and np.array_equal(found["outline_um"], small[1].outline_um)
    assert [str(name) for name in found["classes"]] == [name.value for name in CellClass]


def test_a_refused_slide_has_no_cells_and_a_report(tmp_path: Path) -> None:
    content = refused()
    write_slide(tmp_path / "a", content, slides.cells_of([], [], []))
    assert set(digests(tmp_path / "a")) == {"slide.json", "overview.png", "report.html", "report.pdf"}
    assert "haematoxylin and eosin" in (tmp_path / "a" / "report.html").read_text(encoding="utf-8")


def test_results_of_the_same_slide_are_replaced_as_a_whole(
    tmp_path: Path, small: tuple[SlideContent, slides.SlideCells], written: Callable[[Path], None]
) -> None:
    written(tmp_path / "a")
    check_folder(tmp_path / "a", small[0].identity)
    write_slide(tmp_path / "a", refused(), slides.cells_of([], [], []))
    assert "cells.npz" not in digests(tmp_path / "a") and [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, DiskFullError), (errno.EACCES, StoreError)])
def test_what_cannot_be_written_leaves_earlier_results(
    tmp_path: Path,
    small: tuple[SlideContent, slides.SlideCells],
    written: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: type[Exception],
) -> None:
    written(tmp_path / "a")
    before = digests(tmp_path / "a")

    def full(*_: Any) -> bytes:
        raise OSError(number, "no")

    monkeypatch.setattr(slide_outputs, "slide_html", full)
    with pytest.raises(kind):
        write_slide(tmp_path / "a", *small)
    assert digests(tmp_path / "a") == before and [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_is_not_ours_is_never_replaced(
    tmp_path: Path, small: tuple[SlideContent, slides.SlideCells], written: Callable[[Path], None]
) -> None:
    written(tmp_path / "a")
    with pytest.raises(BadInputError, match="results of another slide"):
        check_folder(tmp_path / "a", "another")
    (tmp_path / "a" / "notes.txt").write_text("mine")
    with pytest.raises(BadInputError, match="it holds 'notes.txt'"):
        check_folder(tmp_path / "a", small[0].identity)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInputError, match="a file of this name"):
        check_folder(tmp_path / "file", "any")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "slide.json").write_text("{}")
    with pytest.raises(BadInputError, match="not results of this program"):
        check_folder(tmp_path / "b", "any")
    (tmp_path / "empty").mkdir()
    check_folder(tmp_path / "empty", "any")
    check_folder(tmp_path / "absent", "any")


# ---- JSON ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("controlled", [slides.VALID, slides.ABSENT, slides.INVALID])
@pytest.mark.parametrize("counts", [MIXED, {CellClass.NONE: 600}, {}])
def test_the_json_fits_its_schema(controlled: Controlled, counts: dict[CellClass | None, int]) -> None:
    score, _ = slides.scored(counts, controlled)
    data = json.loads(json.dumps(slide_json(score, "ef" * 32), allow_nan=False))
    jsonschema.Draft202012Validator(schema(SLIDE_SCHEMA)).validate(data)
    assert data["control"]["status"] == controlled.standing.status
    assert (data["case"]["score"] is None) is (score.case.score is None)
    del data["control"]["cuts_od10"]["from"]  # as programs before it wrote
    jsonschema.Draft202012Validator(schema(SLIDE_SCHEMA)).validate(data)
    assert sum(sum(square["counts"].values()) for square in data["squares"]) == sum(counts.values())


def test_a_level_is_named_once_in_what_is_wrong_with_it() -> None:
    readings = tuple(
        replace(factories.control_reading(ControlStatus.INVALID, texts), expected=level)
        for level, texts in (("3+", ["3+ control reads 2+"]), ("2+", ["2+ control reads 3+", "brown nuclei"]))
    )
    score, _ = slides.scored(MIXED, replace(slides.INVALID, readings=readings))
    assert control_doubts(score) == ("3+ control reads 2+", "2+ control reads 3+", "2+ control: brown nuclei")


def test_a_refused_slide_fits_it_too() -> None:
    data = slide_json(refused().score, "ef" * 32)
    jsonschema.Draft202012Validator(schema(SLIDE_SCHEMA)).validate(data)
    assert data["case"]["score"] is None and data["slide"]["refusals"] and data["squares"] == []


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema(SLIDE_SCHEMA))


# ---- the table ----------------------------------------------------------------------------------------------------


def outcome(name: str, problem: str = "") -> SlideOutcome:
    score, _ = slides.scored(MIXED)
    return SlideOutcome(Path(name), None if problem else score, None, problem)


def test_lines_of_other_runs_stay_and_those_of_the_same_slide_are_new(tmp_path: Path) -> None:
    write_table(tmp_path, {}, [("b", outcome("b.svs")), ("a", outcome("a.svs", "damaged"))])
    first = read_table(tmp_path)
    assert list(first) == ["a", "b"] and first["a"]["why_no_score"] == "damaged" and first["a"]["score"] == ""
    write_table(tmp_path, first, [("a", outcome("a.svs"))])
    again = read_table(tmp_path)
    assert again["b"] == first["b"] and again["a"]["why_no_score"] == "" and again["a"]["score"] == "3+"
    assert tuple(again["a"]) == COLUMNS


@pytest.mark.parametrize("text", ["slide,score\nx,1\n", "\x00\xff", "a,b\n1\n", "my slides\n"])
def test_a_table_of_another_program_is_not_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "slides.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInputError, match="did not write this table"):
        read_table(tmp_path)
