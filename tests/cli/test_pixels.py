"""`pixels` from the command line: what is written, exit codes, one line for what is wrong."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from segmentation.tiny_region_model import blue_discs, is_disc, write_tiny_region_model

from her2scope.annotations.shapes import Annotation, Annotations
from her2scope.annotations.trace import trace
from her2scope.annotations.write import write_geojson
from her2scope.cli import main
from her2scope.imaging.files import write_png
from her2scope.resources import resource_dir


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model and two outlined images."""
    monkeypatch.chdir(tmp_path)
    write_tiny_region_model(tmp_path / "model")
    (tmp_path / "images").mkdir()
    for name, (height, width) in {"one": (80, 120), "two": (120, 80)}.items():
        write_png(tmp_path / "images" / f"{name}.png", blue_discs(height, width))
        items = tuple(Annotation("", "blue", (polygon,)) for polygon in trace(is_disc(height, width)))
        write_geojson(Annotations(items), tmp_path / "marks" / f"{name}.geojson")
    return tmp_path


def refused(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What is said of wrong use: one line, exit code 2."""
    capsys.readouterr()
    assert main(["pixels", *command]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and not said.out
    return said.err


def test_apply_and_evaluate(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pixels", "apply", "model", "images", "--um-per-px", "1", "--out", "out"]) == 0
    said = capsys.readouterr().out
    assert said.count("\n") == 2 and "one.png: blue " in said and " % (orange) of the picture" in said
    assert sum(1 for _ in (place / "out").iterdir()) == 8
    command = ["pixels", "evaluate", "model", "images", "--annotations", "marks", "--um-per-px", "1"]
    assert main([*command, "--json", "figures.json"]) == 0
    assert "2 images: blue: Dice 0.9" in capsys.readouterr().out
    figures = json.loads((place / "figures.json").read_text(encoding="utf-8"))["classes"]["blue"]
    assert {"dice", "iou", "auc"} <= set(figures) and 0.9 < figures["dice"] < 1


def test_outlines_of_one_corner_are_refused_and_taken_where_that_is_meant(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_png(place / "images" / "one.png", blue_discs(480, 480))
    items = tuple(Annotation("", "blue", (polygon,)) for polygon in trace(is_disc(240, 240)))
    assert len(items) >= 10
    write_geojson(Annotations(items), place / "marks" / "one.geojson")
    command = ["evaluate", "model", "images", "--annotations", "marks", "--um-per-px", "1"]
    said = refused(command, capsys)
    assert "upper left" in said and "--no-scale-check" in said
    assert main(["pixels", *command, "--no-scale-check"]) == 0


def test_what_was_mended_is_said_and_kept(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crossed = [[[10, 10], [60, 60], [60, 10], [10, 60], [10, 10]]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": crossed}, "properties": {}}
    (place / "marks" / "one.geojson").write_text(json.dumps(feature), encoding="utf-8")
    command = ["pixels", "evaluate", "model", "images", "--annotations", "marks", "--um-per-px", "1"]
    assert main([*command, "--json", "figures.json"]) == 0
    (repair,) = json.loads((place / "figures.json").read_text(encoding="utf-8"))["repairs"]
    assert repair.startswith("one: annotation 1: the outline crosses itself") and repair in capsys.readouterr().err


def test_judged_on_what_it_was_made_with_it_says_so(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["pixels", "evaluate", "model", "images", "--annotations", "marks", "--um-per-px", "1"]
    assert main([*command, "--json", "figures.json"]) == 0
    assert "made with" not in capsys.readouterr().out
    card = place / "model" / "card.yaml"
    with card.open("a", encoding="utf-8") as file:
        file.write("training: {images: [one, three], images_held_back: ['4']}\n")
    assert main([*command, "--json", "figures.json"]) == 0
    assert "made with 1 image of these names (one)" in capsys.readouterr().out
    assert json.loads((place / "figures.json").read_text(encoding="utf-8"))["seen_in_training"] == ["one"]


def test_apply_stopped_says_how_to_go_on(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("her2scope.app.pixel_apply._applied", stop)
    assert main(["pixels", "apply", "model", "images", "--um-per-px", "1", "--out", str(place / "out")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "one.png: 120 x 80 px of 1 um" and "Run the same command again" in said[-1]


@pytest.mark.usefixtures("place")
def test_images_need_a_scale(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Give it with --um-per-px X" in refused(["apply", "model", "images", "--out", "out"], capsys)
    assert "Give it with --um-per-px X" in refused(["evaluate", "model", "images", "--annotations", "marks"], capsys)


def test_results_never_lie_among_the_images(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There `one_mask.tif` might be somebody's own, and would be the next run's image."""
    (place / "images" / "one.png").rename(place / "elsewhere.png")
    (place / "images" / "one.png").symlink_to(place / "elsewhere.png")
    before = sorted(path.name for path in (place / "images").iterdir())
    assert "holds one.png itself" in refused(
        ["apply", "model", "images", "--um-per-px", "1", "--out", "images"], capsys
    )
    assert sorted(path.name for path in (place / "images").iterdir()) == before


@pytest.mark.usefixtures("place")
def test_wrong_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    scale = ["--um-per-px", "1"]
    evaluate = ["--annotations", "marks", *scale]
    network = str(resource_dir("models") / "network")
    assert "not a region model" in refused(["apply", network, "images", *scale, "--out", "out"], capsys)
    assert "no such folder" in refused(["apply", "none", "images", *scale, "--out", "out"], capsys)
    assert "coarser" in refused(["apply", "model", "images", "--um-per-px", "3", "--out", "out"], capsys)
    assert "no such file" in refused(["apply", "model", "none.png", *scale, "--out", "out"], capsys)
    assert "no such folder" in refused(["evaluate", "model", "images", "--annotations", "none", *scale], capsys)
    assert "no class 'x'" in refused(["evaluate", "model", "images", *evaluate, "--lesions", "x"], capsys)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "change", [["--um-per-px", "0"], ["--folds", "0"], ["--minutes", "nan"], ["--unlabelled", "perhaps"]]
)
@pytest.mark.usefixtures("place")
def test_options_that_cannot_be(change: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    command = ["pixels", "train", "images", "--annotations", "marks", "--classes", "blue", "--um-per-px", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--out", "model2", *change])
    assert ended.value.code == 2 and capsys.readouterr().err.count("\n") == 1


@pytest.mark.usefixtures("place")
def test_a_class_without_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "images", "--annotations", "marks", "--classes", "blue,", "--um-per-px", "1", "--out", "m"]
    assert "a name is empty" in refused(command, capsys)


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed")
@pytest.mark.usefixtures("place")
def test_without_torch_it_says_how_to_get_it(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "images", "--annotations", "marks", "--classes", "blue", "--um-per-px", "1", "--out", "m"]
    assert "make train-env" in refused(command, capsys)
    assert not Path("m").exists()
