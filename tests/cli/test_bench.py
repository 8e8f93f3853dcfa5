"""`her2scope bench`: each benchmark runs from end to end on little pictures. No test asserts a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from her2scope.app.bench import cells, startup
from her2scope.cli import main
from her2scope.imaging.files import write_png
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.settings import home_dir


def run(tmp_path: Path, *arguments: str) -> dict:
    file = tmp_path / "bench.json"
    assert main(["bench", *arguments, "--json", str(file)]) == 0
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["schema"] == "her2scope.bench/1" and found["bench"] == arguments[0]
    assert found["machine"]["cpu"] and found["machine"]["libraries"]["numpy"]
    return found


@pytest.mark.usefixtures("qapp")
def test_live_shows_what_it_says_it_shows(tmp_path, capsys):
    found = run(tmp_path, "live", "--seconds", "1.5", "--size", "320x240")
    assert {"displayed_fps", "analysed_fps", "latency_ms_p50", "latency_ms_p95", "dropped"} <= set(found)
    assert found["displayed_fps"] > 0 and found["analysed_fps"] > 0 and found["dropped"] >= 0
    assert found["latency_ms_p95"] >= found["latency_ms_p50"] > 0
    assert found["cells_per_frame"] > 0 and found["size_wh"] == [320, 240] and found["um_per_px"] == 0.25
    assert found["time_codes"]["wrong"] == 0 and found["time_codes"]["right"] > 0
    assert found["program"]["provider"].endswith("ExecutionProvider") and len(found["program"]["model_sha256"]) == 64
    assert not found["errors"]
    lines = capsys.readouterr().out
    assert "machine:" in lines and found["program"]["model_sha256"][:12] in lines
    assert not home_dir().exists()  # no case, no preferences


@pytest.mark.usefixtures("qapp")
def test_live_takes_any_source(tmp_path):
    folder = tmp_path / "fields"
    folder.mkdir()
    write_png(folder / "field.png", render_field(PhantomSpec("3+", 3, 0, (320, 240))).rgb)
    found = run(tmp_path, "live", "--seconds", "0.5", "--source", f"images:{folder}", "--um-per-px", "0.25")
    assert found["size_wh"] == [320, 240] and found["time_codes"]["wrong"] == 0


@pytest.mark.usefixtures("qapp")
def test_stages_add_up_to_what_is_said(tmp_path, capsys):
    found = run(tmp_path, "stages", "--seconds", "0.1", "--size", "320x240", "--provider", "execution")["sizes"][0]
    stages = {"quality", "unmix", "network", "decode", "outlines", "bands", "reader", "profiles", "classes", "mask"}
    assert stages | {"staining"} <= set(found["stages_ms"])
    assert found["sum_ms"] == pytest.approx(sum(ms["p50"] for ms in found["stages_ms"].values()), abs=0.1)
    assert found["saved_ms"] == pytest.approx(found["sum_ms"] - found["whole_ms"]["p50"], abs=0.02)
    assert set(found["beside_ms"]) == {"registration", "picture to Qt", "picture painted", "overlay to screen"}
    assert found["network_work"]["macs"] > 0
    assert "saved by doing them side by side" in capsys.readouterr().out


@pytest.mark.usefixtures("qapp")
def test_memory_tells_growth(tmp_path):
    found = run(tmp_path, "memory", "--frames", "300", "--size", "320x240")
    assert found["frames"] >= 300 and found["peak_memory_mb"] >= found["final_mb"] > 0
    assert isinstance(found["growth_percent"], float)


def test_cells_has_both_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "SIZES_WH", ((240, 180), (1280, 720)))
    monkeypatch.setattr(cells, "N_CELLS", (0, 5, 200))
    found = run(tmp_path, "cells", "--seconds", "0.1", "--size", "320x240")
    assert [item["size_wh"] for item in found["frames"]] == [[240, 180], [320, 240]]
    assert [item["cells"] for item in found["cell_level"]] == [0, 5, 200]
    assert set(found["exponents"]) == {"ms_by_megapixels", "ms_by_cells"}


def test_peers_says_who_is_missing(tmp_path, capsys):
    found = run(tmp_path, "peers", "--runs", "1", "--size", "256x256")
    assert found["methods"]["her2scope"]["nuclei"]["f1"] > 0.8
    assert any("--instanseg" in why for why in found["missing"])
    assert "left out: InstanSeg" in capsys.readouterr().out


def test_a_start_is_that_of_an_installed_program(tmp_path):
    usual = {"PATH": "/bin", "PYTHONDONTWRITEBYTECODE": "1", "HER2SCOPE_HOME": "/home/reader/.her2scope"}
    found = startup.as_installed(usual, tmp_path)
    assert "PYTHONDONTWRITEBYTECODE" not in found and found["PATH"] == "/bin"
    assert all(found[name].startswith(str(tmp_path)) for name in ("HER2SCOPE_HOME", "PYTHONPYCACHEPREFIX"))


def test_startup_waits_for_the_first_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(startup, "IMPORTS", ("json",))
    found = run(tmp_path, "startup", "--runs", "1", "--size", "320x240")["starts"]
    assert set(found) == {"first live picture", "--help", "python alone", "import json"}
    assert all(item["first_s"] > 0 and item["warm_s_p50"] > 0 for item in found.values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["live", "--source", "phantom:4+"], "4+"),
        (["live", "--source", "images:nowhere", "--um-per-px", "0.25"], "nowhere"),
        (["stages", "--size", "320x240", "--provider", "abacus"], "abacus"),
        (["peers", "--runs", "1", "--instanseg", "missing.pt"], "InstanSeg"),
    ],
)
@pytest.mark.usefixtures("qapp")
def test_bad_input_is_one_line(arguments, words, capsys, monkeypatch):
    monkeypatch.setattr("her2scope.app.bench.live.WARM_UP_TIMEOUT_S", 1.0)
    assert main(["bench", *arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert words in said and "\n" not in said and "Traceback" not in said


@pytest.mark.parametrize("arguments", [["live", "--seconds", "0"], ["live", "--size", "big"], ["speed"], []])
def test_wrong_use_is_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["bench", *arguments])
    assert stopped.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("what", ["stages", "cells", "peers"])
def test_a_source_that_is_not_looked_at_is_refused(what, tmp_path, capsys):
    assert main(["bench", what, "--source", f"images:{tmp_path}"]) == 2
    assert "measures phantom fields" in capsys.readouterr().err


def test_a_phantom_takes_no_calibration(tmp_path, capsys):
    assert main(["bench", "live", "--calibration", str(tmp_path / "missing.yaml")]) == 2
    assert "knows its own calibration" in capsys.readouterr().err


@pytest.mark.usefixtures("qapp")
def test_a_source_that_fails_is_told_at_once(tmp_path, capsys):
    assert main(["bench", "live", "--source", f"video:{tmp_path / 'missing.mp4'}"]) == 2
    said = capsys.readouterr().err
    assert "missing.mp4" in said and len(said.splitlines()) == 1
