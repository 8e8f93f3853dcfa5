"""`--region-model DIR --count-in CLASS`: what it does to a score, and each thing that is refused, in one line."""

from __future__ import annotations

import json
import shutil

import pytest
from factories import honeycomb_field
from region_models import DrawnModel
from segmentation.tiny_region_model import write_tiny_region_model

from her2scope.app import where_to_count
from her2scope.app.compose import open_session
from her2scope.app.where_to_count import asked_gate, gate_of_case
from her2scope.cli import main
from her2scope.domain.cells import CellClass
from her2scope.domain.errors import NotAvailableError, SettingsError
from her2scope.imaging.files import encode_png
from her2scope.records import Frame
from her2scope.segmentation.methods import CLOSED_CONTOURS
from her2scope.settings import Calibration, ScoringSettings, as_mapping, save_yaml
from her2scope.storage.memory import MemoryCaseStore


@pytest.fixture(scope="module")
def picture():
    """A honeycomb, all of which is background to the tiny model."""
    return honeycomb_field({CellClass.COMPLETE_MODERATE: 1, CellClass.NONE: 1}, (360, 480)).frame.rgb


@pytest.fixture
def model(tmp_path):
    return write_tiny_region_model(tmp_path / "model", um_per_px=4.0, name="blues")


@pytest.fixture
def image(tmp_path, picture):
    path = tmp_path / "field.png"
    path.write_bytes(encode_png(picture))
    return path


@pytest.fixture
def run(tmp_path, image, capsys):
    """Runs `her2scope score` on the picture; exit code, what it printed, and its JSON."""

    def score(*more: str):
        path = tmp_path / "out.json"
        path.unlink(missing_ok=True)
        arguments = ["score", str(image), "--um-per-px", "0.25", "--method", CLOSED_CONTOURS, "--json", str(path)]
        code = main([*arguments, *more])
        said = capsys.readouterr()
        return code, said.out + said.err, json.loads(path.read_text()) if path.exists() else None

    return score


def test_score_counts_where_the_model_says(run, tmp_path, monkeypatch):
    monkeypatch.setattr(where_to_count, "load_model", lambda folder: DrawnModel(name="halves"))
    code, said, found = run("--region-model", str(tmp_path / "model"), "--count-in", "tumour")
    _, plain_said, plain = run()
    assert code == 0
    (ours,), (theirs,) = found["fields"], plain["fields"]
    assert 0 < ours["n_tumour"] < theirs["n_tumour"] and len(ours["cells"]) == len(theirs["cells"])
    inside = [one for one in ours["cells"] if "outside" not in one and one["kind"] == "tumour" and not one["edge"]]
    assert len(inside) == ours["n_tumour"] == found["case"]["n_tumour"]
    assert found["case"]["where_to_count"]["model"] == "halves"
    assert found["settings_sha256"] != plain["settings_sha256"]
    assert "more outside the counted tissue" in said and "region model halves" in said
    assert "outside" not in plain_said and "where_to_count" not in plain["case"]
    for one, other in zip(ours["cells"], theirs["cells"], strict=True):  # the cells are the same ones
        assert {**one, "standing": 0, "outside": 0} == {**other, "standing": 0, "outside": 0}


def test_what_cannot_be_used_is_one_line_and_nothing_is_written(run, model, tmp_path):
    (tmp_path / "empty").mkdir()
    cases = {
        ("--region-model", str(tmp_path / "nowhere")): "no such folder",
        ("--region-model", str(tmp_path / "empty")): "no model folder",
        ("--region-model", str(model), "--count-in", "stroma"): "Available: background, blue.",
        ("--region-model", str(model), "--count-in", "blue", "--count-in", "background"): "all classes",
        ("--count-in", "blue"): "name the region model too",
        ("--region-model", str(write_tiny_region_model(tmp_path / "fine", um_per_px=0.1))): "use a stronger objective",
        ("--region-model", str(write_tiny_region_model(tmp_path / "coarse", um_per_px=8.0))): "take a larger field",
    }
    for more, words in cases.items():
        code, said, found = run(*more)
        assert (code, found, len(said.splitlines())) == (2, None, 1) and words in said, more


def test_the_models_own_files_are_not_written_over(run, model):
    code, said, _ = run("--region-model", str(model), "--overlay-dir", str(model), "--json", str(model / "card.yaml"))
    assert code == 2 and "reads or writes this file already" in said
    assert "kind" in (model / "card.yaml").read_text()


def test_settings_may_name_the_model(model, tmp_path):
    asked, gate = asked_gate(model, (), ScoringSettings())
    assert asked.where_to_count == gate.where
    path = tmp_path / "settings.yaml"
    save_yaml(asked, path)
    assert "where_to_count" in path.read_text()
    again, same = asked_gate(model, (), asked)
    assert again == asked and same.where == gate.where
    with pytest.raises(SettingsError, match=r"count where region model blues .* give its folder"):
        asked_gate(None, (), asked)
    with pytest.raises(SettingsError, match="Correct one of them"):
        asked_gate(model, ["background"], asked)
    other = write_tiny_region_model(tmp_path / "other", name="others")
    with pytest.raises(SettingsError, match="not region model others"):
        asked_gate(other, (), asked)
    with pytest.raises(NotAvailableError):
        asked_gate(model, ["stroma"], ScoringSettings())


def test_a_stored_case_finds_its_model_again(model, picture):
    settings, gate = asked_gate(model, ["background"], ScoringSettings())
    store = MemoryCaseStore()
    file = store.create("case-1")
    session = open_session(file, CLOSED_CONTOURS, settings, Calibration(), "reader", gate=gate)
    assert session.accept(Frame(picture, 0, 0.0, 0.25, name="first")).counts.n_tumour > 20
    live = session.view
    session.close()

    again = open_session(store.open("case-1"), CLOSED_CONTOURS, ScoringSettings(), Calibration(), "reader")
    assert again.view.score == live.score and again.view.settings_sha256 == live.settings_sha256
    assert again.analyser.gate is not None and again.analyser.gate.where == gate.where
    second = again.accept(Frame(picture.copy(), 1, 0.0, 0.25, name="second"))
    assert second.result.outside is not None and second.counts.n_tumour == 0  # the same tissue again
    live = again.view
    again.close()

    shutil.rmtree(model)
    bare = open_session(store.open("case-1"), CLOSED_CONTOURS, ScoringSettings(), Calibration(), "reader")
    assert bare.analyser.gate is None and bare.view.score == live.score
    with pytest.raises(SettingsError, match="region model blues .* not loaded"):
        bare.accept(Frame(picture[:, ::-1].copy(), 2, 0.0, 0.25, name="third"))
    with_it = gate_of_case(store.read("case-1"), settings, gate)
    assert with_it is not None and with_it.where == gate.where  # the folder moved, and is given again


def test_a_case_without_a_model_goes_on_without(model, picture):
    store = MemoryCaseStore()
    open_session(store.create("case-1"), CLOSED_CONTOURS, ScoringSettings(), Calibration(), "reader").close()
    settings, gate = asked_gate(model, (), ScoringSettings())
    again = open_session(store.open("case-1"), CLOSED_CONTOURS, settings, Calibration(), "reader", gate=gate)
    assert again.analyser.gate is None and again.view.where_to_count is None
    assert again.accept(Frame(picture, 0, 0.0, 0.25, name="first")).n_outside == 0


def test_a_changed_file_is_another_model(model, picture, caplog):
    settings, gate = asked_gate(model, (), ScoringSettings())
    store = MemoryCaseStore()
    open_session(store.create("case-1"), CLOSED_CONTOURS, settings, Calibration(), "reader", gate=gate).close()
    (model / "model.onnx").write_bytes(b"another")
    assert gate_of_case(store.read("case-1"), settings, None) is None
    assert "not the model that its card describes" in caplog.text
    assert as_mapping(settings)["where_to_count"]["model_sha256"] == gate.model.sha256


def test_the_loader_is_that_of_region_models(model):
    assert where_to_count.load_model(model).classes == ("background", "blue")
