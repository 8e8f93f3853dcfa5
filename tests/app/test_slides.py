from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import factories
import jsonschema
import numpy as np
import pytest
import scored_slides
import tifffile
from segmentation.tiny_region_model import write_tiny_region_model

from her2scope.app import slides as app_slides
from her2scope.app.compose import DEFAULT_METHOD, has_network, make_analyser
from her2scope.app.slide_controls import ControlFileError, Controls
from her2scope.app.slides import TILES_FOLDER, SlidesRequest, _doubted, _read_back, score_slides
from her2scope.domain.cells import CellClass
from her2scope.domain.control import CutsFrom
from her2scope.domain.errors import BadInputError, SettingsError, StoreError, UnreadableImageError
from her2scope.domain.score import ControlStatus
from her2scope.imaging.files import write_png
from her2scope.phantom.slide_file import SlideSpec, slide_spec_bytes
from her2scope.ports import SlideReader
from her2scope.reporting.content import schema
from her2scope.settings import Calibration, ScoringSettings, WhereToCount, save_yaml
from her2scope.slides.records import SlideOutcome, Square, Survey, Tile, TileResult, TileWork
from her2scope.slides.run import LostTile, RunOutcome
from her2scope.slides.slide_outputs import FILES
from her2scope.slides.slide_regions import SlideRegions
from her2scope.slides.slide_score import Doubts
from her2scope.slides.slide_table import read_table, write_table
from her2scope.slides.tile_store import TileStore
from her2scope.storage.case_lock import CaseLock, is_locked

H_AND_E = Path(__file__).parents[2] / ".." / "shared" / "data" / "slides" / "CMU-1-Small-Region.svs"
PATTERN = {CellClass.COMPLETE_INTENSE: 0.8, CellClass.COMPLETE_MODERATE: 0.1, CellClass.NONE: 0.1}
COMPLETE_PERCENT = 90.0


@cache
def drawn_tissue(seed: int) -> np.ndarray:
    return factories.honeycomb_field(PATTERN, (1000, 1000), seed=seed).frame.rgb


def write_slide(path: Path, seed: int = 0) -> Path:
    """A tiled TIFF of two equal pieces of a 3+ tissue on glass; it does not tell its pixel size, which is 0.25 um."""
    tissue = drawn_tissue(seed)
    slide = np.random.default_rng(seed).integers(235, 242, (1600, 2600, 3), np.uint8)
    slide[300:1300, 200:1200] = tissue
    slide[300:1300, 1400:2400] = tissue[::-1]
    tifffile.imwrite(path, slide, tile=(256, 256), photometric="rgb")
    return path


def nothing(_: str) -> None:
    """Nobody listens."""


def outline(class_name: str, left: float, top: float, right: float, bottom: float) -> dict[str, object]:
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": {"name": class_name}},
    }


def write_outlines(path: Path, *features: dict[str, object]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


class Run:
    """One run over a good slide and one that cannot be read."""

    def __init__(self, folder: Path) -> None:
        self.slide = write_slide(folder / "case7.tif")
        self.broken = folder / "broken.svs"
        self.broken.write_bytes(b"no slide")
        outlines = folder / "outlines"
        outlines.mkdir()
        write_outlines(outlines / "case7.geojson", outline("control 3+", 150, 250, 1250, 1350))
        slides = (self.broken, self.slide)
        self.request = SlidesRequest(slides, folder / "out", um_per_px=0.25, annotations=outlines, workers=1)
        self.told: list[str] = []
        self.outcomes = score_slides(self.request, self.told.append)
        self.first = digests(self.folder)
        self.table = (folder / "out" / "slides.csv").read_text()

    @property
    def folder(self) -> Path:
        return self.request.out / "case7"

    @property
    def good(self) -> SlideOutcome:
        return self.outcomes[1]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    if not has_network():
        pytest.skip("this checkout has no trained network")
    return Run(tmp_path_factory.mktemp("slides"))


def test_a_3_slide_with_its_control_is_scored(run: Run) -> None:
    score = run.good.score
    assert score is not None and run.good.problem == "" and run.good.folder == run.folder
    assert score.case.score == "3+" and score.cuts_from is CutsFrom.CONTROL
    assert score.standing.status is not ControlStatus.INVALID
    assert score.case.counts.n_tumour > 300
    assert score.complete_percent == pytest.approx(COMPLETE_PERCENT, abs=10)
    assert [reading.expected for reading in score.controls] == ["3+"]
    assert any("control tissue by outlines" in note for note in score.notes)


def test_its_control_is_read_and_never_counted(run: Run) -> None:
    score = run.good.score
    assert score is not None
    cells = np.load(run.folder / "cells.npz")
    assert len(cells["x_um"]) > 300 and cells["x_um"].min() > 312.5  # where the control's outline ends
    assert score.survey.tissue.area_mm2(Square.CONTROL) > 0.05


def test_all_its_files_are_there_and_fit(run: Run) -> None:
    assert set(run.first) == set(FILES)
    data = json.loads((run.folder / "slide.json").read_bytes())
    jsonschema.Draft202012Validator(schema("her2scope.slide/1")).validate(data)
    cells = json.loads((run.folder / "cells.geojson").read_bytes())["features"]
    counted = [one for one in cells if one["properties"]["classification"]["name"] != "other"]
    assert len(counted) == data["case"]["n_tumour"]
    assert str(run.slide.parent) not in (run.folder / "slide.json").read_text()


def test_a_slide_that_cannot_be_read_does_not_stop_the_others(run: Run) -> None:
    bad = run.outcomes[0]
    assert bad.score is None and bad.folder is None and "not a slide" in bad.problem
    assert "broken.svs,broken,,,," in run.table and "case7.tif,case7,3+" in run.table
    assert not (run.request.out / "broken").exists()


def test_the_same_run_again_does_no_tile_twice_and_gives_the_same_bytes(run: Run) -> None:
    told_again: list[str] = []
    score_slides(run.request, told_again.append)
    assert any("were done in an earlier run" in line for line in told_again)
    assert not any("were done in an earlier run" in line for line in run.told)
    assert digests(run.folder) == run.first
    assert (run.request.out / "slides.csv").read_text() == run.table


def test_results_of_another_slide_are_not_replaced(run: Run, tmp_path: Path) -> None:
    other = write_slide(tmp_path / "case7.tif", seed=1)
    with pytest.raises(BadInputError, match="results of another slide"):
        score_slides(dataclasses.replace(run.request, slides=(other,), annotations=None), nothing)
    assert digests(run.folder) == run.first


# ---- one slide ahead ----------------------------------------------------------------------------------------------


def write_glass(path: Path) -> Path:
    """A slide without tissue: it is refused, and its report is written."""
    tifffile.imwrite(path, np.full((700, 800, 3), 238, np.uint8), tile=(256, 256), photometric="rgb")
    return path


class Surveys:
    """Stands before `survey`: says who surveyed which slide, and may make trouble with one."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.by: dict[str, str] = {}
        self.begun: dict[str, threading.Event] = {}
        self.trouble: dict[str, Callable[[SlideReader], object]] = {}
        self.opened: list[str] = []
        self.closed: list[str] = []
        self._survey, self._open = app_slides.survey, app_slides.open_slide
        patch.setattr(app_slides, "survey", self)
        patch.setattr(app_slides, "open_slide", self.open)

    def __call__(self, reader: SlideReader, path: Path, *more: Any) -> Survey:
        self.by[path.name] = threading.current_thread().name
        self.begun.setdefault(path.name, threading.Event()).set()
        if path.name in self.trouble:
            self.trouble[path.name](reader)
        return self._survey(reader, path, *more)

    def open(self, path: Path) -> SlideReader:
        reader = self._open(path)
        self.opened.append(path.name)
        close = reader.close
        reader.close = lambda: (self.closed.append(path.name), close())  # type: ignore[method-assign]
        return reader

    def event(self, name: str) -> threading.Event:
        return self.begun.setdefault(name, threading.Event())


@pytest.fixture
def surveys(monkeypatch: pytest.MonkeyPatch) -> Surveys:
    return Surveys(monkeypatch)


def read_for_ever(reader: SlideReader) -> None:
    while True:
        reader.region(0, 0, 0, 64, 64)


def test_the_next_slide_is_surveyed_while_the_tiles_of_this_one_are_analysed(
    run: Run, surveys: Surveys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, outlines = write_slide(tmp_path / "case8.tif"), tmp_path / "outlines"
    outlines.mkdir()
    for name in ("case7", "case8"):
        write_outlines(outlines / f"{name}.geojson", outline("control 3+", 150, 250, 1250, 1350))
    run_tiles = app_slides.run_tiles

    def with_the_next(work: TileWork, *more: Any) -> RunOutcome:
        if work.path.name == "case8.tif":
            assert surveys.event("case7.tif").wait(60)
        return run_tiles(work, *more)

    monkeypatch.setattr(app_slides, "run_tiles", with_the_next)
    told: list[str] = []
    slides = (first, run.slide, run.broken)
    asked = dataclasses.replace(run.request, slides=slides, out=tmp_path / "out", annotations=outlines)
    outcomes = score_slides(asked, told.append)

    assert surveys.by["case8.tif"] != surveys.by["case7.tif"] == "her2scope next slide"
    beginnings = ("slide 1", "control", "case8.tif: writing", "case8.tif: reference", "slide 2", "control",
                  "case7.tif: writing", "case7.tif: reference", "slide 3", "broken.svs: no score")  # fmt: skip
    assert len(told) == len(beginnings)
    assert all(line.startswith(begins) for line, begins in zip(told, beginnings, strict=True))
    assert "not a slide" in outcomes[2].problem and set(read_table(asked.out)) == {"case8", "case7", "broken"}
    # by whichever thread it was prepared, and whatever the crew did meanwhile
    assert digests(asked.out / "case7") == run.first
    assert digests(asked.out / "case8")["cells.npz"] == run.first["cells.npz"]
    assert sorted(surveys.closed) == ["case7.tif", "case8.tif"]


def test_one_slide_alone_needs_no_thread(surveys: Surveys, tmp_path: Path) -> None:
    score_slides(SlidesRequest((write_glass(tmp_path / "a.tif"),), tmp_path / "out", 0.25, workers=1), nothing)
    assert surveys.by == {"a.tif": threading.current_thread().name} and surveys.closed == ["a.tif"]


def test_what_stops_the_run_stops_it_in_the_turn_of_its_slide(surveys: Surveys, tmp_path: Path) -> None:
    slides = (write_glass(tmp_path / "a.tif"), write_slide(tmp_path / "b.tif"), write_glass(tmp_path / "c.tif"))
    broken = tmp_path / "run.svs"
    broken.write_bytes(b"no slide")
    told: list[str] = []
    asked = SlidesRequest(slides, tmp_path / "out", 0.25, controls=(broken,), workers=1)
    with pytest.raises(ControlFileError, match=r"run\.svs: not a slide"):
        score_slides(asked, told.append)
    assert [line.partition(":")[0] for line in told] == ["slide 1 of 3", "a.tif", "a.tif", "slide 2 of 3"]
    assert set(read_table(asked.out)) == {"a"} and surveys.by["b.tif"] == "her2scope next slide"
    assert {"a.tif", "b.tif"} <= set(surveys.opened) and sorted(surveys.closed) == sorted(surveys.opened)


def test_ctrl_c_does_not_wait_for_the_next_slide(surveys: Surveys, tmp_path: Path) -> None:
    surveys.trouble["b.tif"] = read_for_ever
    slides = (write_glass(tmp_path / "a.tif"), write_glass(tmp_path / "b.tif"))

    def told(line: str) -> None:
        if "no score" in line:
            assert surveys.event("b.tif").wait(60)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        score_slides(SlidesRequest(slides, tmp_path / "out", 0.25, workers=1), told)
    assert str(stopped.value) == "" and set(read_table(tmp_path / "out")) == {"a"}
    assert surveys.closed == ["a.tif", "b.tif"]


def test_a_slide_that_changes_while_it_waits_is_not_scored_by_an_old_survey(surveys: Surveys, tmp_path: Path) -> None:
    first, second = write_glass(tmp_path / "a.tif"), write_glass(tmp_path / "b.tif")

    def told(line: str) -> None:
        if line.startswith("slide 2"):
            assert surveys.event("b.tif").wait(60)
            with second.open("ab") as file:
                file.write(b"more")

    outcomes = score_slides(SlidesRequest((first, second), tmp_path / "out", 0.25, workers=1), told)
    assert "changed since it was surveyed" in outcomes[1].problem and outcomes[1].score is None
    assert not (tmp_path / "out" / "b").exists()


def test_no_empty_folder_of_tiles_stays(tmp_path: Path) -> None:
    request = SlidesRequest((write_glass(tmp_path / "a.tif"),), tmp_path / "out", 0.25, workers=1)
    score_slides(request, nothing)
    assert sorted(os.listdir(request.out)) == ["a", "slides.csv"]
    kept = request.out / TILES_FOLDER / "a" / "r0c0.npz"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"a tile of a run that was stopped")
    score_slides(request, nothing)
    assert kept.exists()


def test_a_table_whose_lock_another_program_removed_is_locked_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_file = tmp_path / "out" / TILES_FOLDER / "slides.csv.lock"
    lock_of_file, was_locked = app_slides.lock_of_file, []

    def removed_at_first(path: Path, title: str) -> CaseLock:
        if not was_locked:
            was_locked.append(False)
            lock_file.parent.rmdir()
        lock = lock_of_file(path, title)
        if len(was_locked) == 1:
            was_locked.append(False)
            lock_file.unlink()
        return lock

    def when_written(*table: Any) -> None:
        was_locked.append(is_locked(lock_file))
        write_table(*table)

    monkeypatch.setattr(app_slides, "lock_of_file", removed_at_first)
    monkeypatch.setattr(app_slides, "write_table", when_written)
    score_slides(SlidesRequest((tmp_path / "a.svs",), tmp_path / "out", workers=1), nothing)
    assert was_locked == [False, False, True] and set(read_table(tmp_path / "out")) == {"a"}


# ---- refused before anything is done ------------------------------------------------------------------------------


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    return write_slide(tmp_path / "a.tif")


def refused(request: SlidesRequest, why: str, kind: type[Exception] = BadInputError) -> None:
    with pytest.raises(kind, match=why):
        score_slides(request, nothing)


def test_two_slides_of_one_name(slide: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    other = tmp_path / "b" / "A.svs"
    refused(SlidesRequest((slide, other), tmp_path / "out"), "two slides are named 'A'")
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_an_input(slide: Path, tmp_path: Path) -> None:
    bare = tmp_path / "a"
    bare.write_bytes(b"a slide without a suffix")
    refused(SlidesRequest((bare,), tmp_path), "this command reads this file")
    table = tmp_path / "slides.csv"
    table.write_text("x")
    refused(SlidesRequest((slide,), tmp_path, calibration=table), "this command reads this file")
    assert bare.read_bytes() == b"a slide without a suffix" and table.read_text() == "x"


def test_what_lies_in_the_folder_of_a_slide(slide: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "a"
    folder.mkdir(parents=True)
    (folder / "thesis.doc").write_text("mine")
    refused(SlidesRequest((slide,), tmp_path / "out"), "thesis.doc")
    assert os.listdir(folder) == ["thesis.doc"]
    refused(SlidesRequest((slide,), slide), "this is a file")


def test_outlines_for_several_slides(slide: Path, tmp_path: Path) -> None:
    outlines = write_outlines(tmp_path / "a.geojson", outline("tumour", 0, 0, 9, 9))
    refused(SlidesRequest((slide, tmp_path / "b.svs"), tmp_path / "out", annotations=outlines), "give a folder")
    refused(SlidesRequest((slide,), tmp_path / "out", annotations=tmp_path / "none"), "no such file or folder")
    refused(SlidesRequest((), tmp_path / "out"), "no slide was given")
    refused(SlidesRequest((slide,), tmp_path / "out", leave_out=("DCIS",)), "name the outlines, too")


def test_a_slide_without_a_name_would_replace_all_results(tmp_path: Path) -> None:
    nameless = tmp_path / ".phantom.yaml"
    nameless.write_text("seed: 1")
    refused(SlidesRequest((nameless,), tmp_path / "out"), "Rename the slide")


def test_an_existing_slide_that_cannot_be_read_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> str:
        raise UnreadableImageError(path, "it cannot be read (Permission denied)", "Check the path.")

    monkeypatch.setattr("her2scope.app.slides.slide_digest", denied)
    bad = tmp_path / "bad.phantom.yaml"
    bad.write_bytes(slide_spec_bytes(SlideSpec(seed=1, score="0")))
    (tmp_path / "out" / "bad").mkdir(parents=True)
    (tmp_path / "out" / "bad" / "report.pdf").write_bytes(b"of an earlier run")
    outcomes = score_slides(SlidesRequest((bad, tmp_path / "none.svs"), tmp_path / "out", workers=1), nothing)
    assert [outcome.score for outcome in outcomes] == [None, None]
    assert "earlier run are in bad" in outcomes[0].problem and "no such slide" in outcomes[1].problem
    assert (tmp_path / "out" / "bad" / "report.pdf").read_bytes() == b"of an earlier run"


def test_lines_that_another_program_writes_meanwhile_stay(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def told(line: str) -> None:
        if line.startswith("slide 1"):
            write_table(out, {}, [("theirs", SlideOutcome(Path("theirs.svs"), None, None, "damaged"))])
        if line.startswith("slide 2"):  # a run that is killed now has lost nothing
            assert set(read_table(out)) == {"theirs", "a"}

    score_slides(SlidesRequest((tmp_path / "a.svs", tmp_path / "b.svs"), out, workers=1), told)
    assert set(read_table(out)) == {"theirs", "a", "b"}


def test_controls_that_cannot_be(slide: Path, tmp_path: Path) -> None:
    picture = tmp_path / "control.png"
    write_png(picture, np.full((64, 64, 3), 200, np.uint8))
    asked = SlidesRequest((slide,), tmp_path / "out", scheduler="local", workers=1)
    refused(dataclasses.replace(asked, controls=(picture,)), "--control-um-per-px")
    refused(dataclasses.replace(asked, controls=(tmp_path / "none.svs",)), "no such control")
    refused(dataclasses.replace(asked, controls=(slide, picture)), "one slide, or pictures")
    broken = tmp_path / "broken.svs"
    broken.write_bytes(b"no slide")
    refused(dataclasses.replace(asked, controls=(broken,), um_per_px=0.25), "not a slide", ControlFileError)
    assert not (tmp_path / "out" / "a").exists()


def test_a_control_slide_that_cannot_be_all_of_one_level(slide: Path, tmp_path: Path) -> None:
    control, outlines = write_slide(tmp_path / "run.tif"), tmp_path / "outlines"
    outlines.mkdir()
    write_outlines(outlines / "run.geojson", outline("control 3+", 150, 250, 1250, 1350))
    asked = SlidesRequest((slide,), tmp_path / "out", um_per_px=0.25, control_um_per_px=0.25, workers=1)
    other = dataclasses.replace(asked, annotations=outlines, lower_controls=(("2+", control),))
    refused(other, r"name the controls 3\+, and none of 2\+", ControlFileError)
    refused(dataclasses.replace(asked, controls=(slide,)), "cannot be its own control", ControlFileError)


# ---- what counts --------------------------------------------------------------------------------------------------


def tile_with(n_tumour: int, left_um: float, doubts: tuple[str, ...]) -> TileResult:
    cells = scored_slides.cells_of([CellClass.NONE] * n_tumour, [left_um] * n_tumour, np.arange(n_tumour) % 100)
    return TileResult(Tile(0, int(left_um), 0, 0, 256, 256), cells, doubts, 0.1)


def test_cells_that_cannot_count_do_not_thin_out_a_doubt() -> None:
    found = scored_slides.survey_of((2000.0, 1000.0))
    found.tissue.squares[:, 8:] = Square.CONTROL  # from 512 um on
    doubts = Doubts()
    list(_doubted([tile_with(100, 50.0, ("haze",)), tile_with(5000, 900.0, ())], doubts, found))
    refusals, _ = doubts.told()
    assert refusals == ("haze (1 tiles with 100.0 % of the tumour cells)",)


def test_a_result_that_vanished_is_no_tile_without_cells(tmp_path: Path) -> None:
    results = [tile_with(3, 50.0, ()), tile_with(4, 90.0, ())]
    tiles = [result.tile for result in results]
    with TileStore(tmp_path, "d" * 64) as store:
        for result in results:
            store.keep(result)
        ran = RunOutcome(2, 0, (), 1.0, 1.0, "one")
        assert [len(one.cells) for one in _read_back(store, tiles, ran)] == [3, 4]
        next(store.folder.glob(f"{tiles[1].name}*")).unlink()
        with pytest.raises(StoreError, match=tiles[1].name):
            list(_read_back(store, tiles, ran))
        lost = dataclasses.replace(ran, lost=(LostTile(tiles[1], "damaged", 0.0, 0.0, 0.1),))
        assert [len(one.cells) for one in _read_back(store, tiles, lost)] == [3]


# ---- slides that get no score -------------------------------------------------------------------------------------


def test_a_class_to_count_in_that_nobody_outlined_is_no_score(slide: Path, tmp_path: Path) -> None:
    outlines = write_outlines(tmp_path / "a.geojson", outline("tumour", 520, 620, 1000, 900))
    asked = SlidesRequest((slide,), tmp_path / "out", annotations=outlines, count_in=("Tumor",), um_per_px=0.25)
    (outcome,) = score_slides(asked, nothing)
    assert outcome.score is None and "no outline of class 'Tumor'" in outcome.problem


def test_an_h_and_e_slide_is_refused_in_words(tmp_path: Path) -> None:
    if not H_AND_E.is_file():
        pytest.skip(f"{H_AND_E.name} is not here")
    (outcome,) = score_slides(SlidesRequest((H_AND_E,), tmp_path / "out", workers=1), nothing)
    assert outcome.score is not None and outcome.score.case.score is None and not outcome.score.case.reportable
    assert "eosin" in outcome.problem
    data = json.loads((tmp_path / "out" / H_AND_E.stem / "slide.json").read_bytes())
    jsonschema.Draft202012Validator(schema("her2scope.slide/1")).validate(data)
    assert data["case"]["score"] is None and data["control"]["status"] == "absent"


# ---- a control slide ----------------------------------------------------------------------------------------------


def test_a_control_slide_is_read_where_its_outlines_say(run: Run, tmp_path: Path) -> None:
    (tmp_path / "case7.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": [outline("Ignore*", 0, 0, 1300, 1600)]})
    )
    old = outline("old control", 0, 0, 200, 200)
    write_outlines(tmp_path / "run.geojson", outline("control 3+", 1350, 250, 2450, 1350), old)
    control = write_slide(tmp_path / "run.tif")
    asked = dataclasses.replace(
        run.request, slides=(run.slide,), out=tmp_path / "out", annotations=tmp_path, controls=(control,),
        control_um_per_px=0.25, leave_out=("old control",),
    )  # fmt: skip
    (outcome,) = score_slides(asked, nothing)
    score = outcome.score
    assert score is not None and score.case.score == "3+" and score.cuts_from is CutsFrom.CONTROL
    (reading,) = score.controls
    assert reading.result.frame.name.startswith("run.tif at 0.34")  # 1350 px from the left
    assert score.standing.refusals == () and score.survey.tissue.area_mm2(Square.LEFT_OUT) > 0.05


def test_pictures_of_a_controls_fields_are_all_read(tmp_path: Path) -> None:
    if not has_network():
        pytest.skip("this checkout has no trained network")
    picture = tmp_path / "control.png"
    write_png(picture, drawn_tissue(0))
    analyser = make_analyser(DEFAULT_METHOD, ScoringSettings(), Calibration())
    controls = Controls(analyser, [("3+", picture)], 0.25)
    held, missing = controls.of_slide(scored_slides.PlainSlide((100, 100)), scored_slides.survey_of(), SlideRegions())
    assert held.standing.status is ControlStatus.VALID and held.cuts_from is CutsFrom.CONTROL and missing == ()
    assert held.readings[0].result.frame.name == "control.png" and held.standing.refusals == ()
    coarse, _ = controls.of_slide(
        scored_slides.PlainSlide((100, 100)), scored_slides.survey_of(um_per_px=0.5), SlideRegions()
    )
    assert "another scale" in coarse.standing.refusals[0]


def test_a_picture_of_a_control_in_another_light_does_not_hold(tmp_path: Path) -> None:
    if not has_network():
        pytest.skip("this checkout has no trained network")
    picture = np.full((1000, 1300, 3), (205, 203, 200), np.uint8)
    picture[:, :1000] = np.minimum(drawn_tissue(0), 204)
    write_png(tmp_path / "control.png", picture)
    analyser = make_analyser(DEFAULT_METHOD, ScoringSettings(), Calibration())
    controls = Controls(analyser, [("3+", tmp_path / "control.png")], 0.25)
    held, _ = controls.of_slide(scored_slides.PlainSlide((100, 100)), scored_slides.survey_of(), SlideRegions())
    assert held.readings[0].result.clear_white_rgb == pytest.approx((205, 203, 200), abs=2)
    assert "the slide's white differs by" in held.standing.refusals[0]


def test_a_region_model_says_where_cells_of_a_slide_count(slide: Path, tmp_path: Path) -> None:
    model = write_tiny_region_model(tmp_path / "model", um_per_px=4.0, name="blues")
    asked = SlidesRequest((slide,), tmp_path / "out", um_per_px=0.25, region_model=model)
    [counted_in_background] = score_slides(dataclasses.replace(asked, count_in=("background",)), nothing)
    [counted_in_discs] = score_slides(dataclasses.replace(asked, out=tmp_path / "discs"), nothing)
    everywhere, nowhere = (outcome.score for outcome in (counted_in_background, counted_in_discs))
    assert everywhere is not None and nowhere is not None
    assert everywhere.case.counts.n_tumour > 0
    assert "0 tumour cells outside are left out" in " ".join(everywhere.notes)
    assert nowhere.case.counts.n_tumour == 0
    assert f"{everywhere.case.counts.n_tumour} tumour cells outside are left out" in " ".join(nowhere.notes)
    assert everywhere.settings_sha256 != nowhere.settings_sha256


def test_settings_that_name_a_region_model_need_its_folder(slide: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    save_yaml(ScoringSettings(where_to_count=WhereToCount("blues", "0" * 64, ("disc",))), settings)
    with pytest.raises(SettingsError, match="--region-model"):
        score_slides(SlidesRequest((slide,), tmp_path / "out", um_per_px=0.25, settings=settings), nothing)
