"""`control check` and `control limits`: every reading is kept, and a laboratory's limits come of them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import jsonschema
import pytest
from control_series import entry
from factories import honeycomb_field

from her2scope.app.control_history import control_history
from her2scope.cli import main
from her2scope.domain.cells import CellClass
from her2scope.domain.control_history import ControlEntry, control_charts
from her2scope.domain.own_limits import FIGURES
from her2scope.domain.score import ControlStatus
from her2scope.imaging.files import write_png
from her2scope.reporting.content import schema
from her2scope.resources import resource_dir
from her2scope.settings import load_controls

METHOD = "closed-contours"
SHIPPED = resource_dir("calibration") / "controls.yaml"
FIGURES_OF_LAB = dict.fromkeys(FIGURES, 0.02) | {"membrane_od10": 0.6, "intense_od10": 0.5, "counterstain_od10": 0.1}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A strong field, a faint one, and two strong ones of another place, one of them with few cells."""
    folder = tmp_path_factory.mktemp("controls")
    for name, cell_class, size_hw, seed in (
        ("strong", CellClass.COMPLETE_INTENSE, (300, 420), 1),
        ("faint", CellClass.INCOMPLETE_FAINT, (300, 420), 1),
        ("strong2", CellClass.COMPLETE_INTENSE, (300, 420), 2),
        ("few", CellClass.COMPLETE_INTENSE, (150, 240), 3),
    ):
        write_png(folder / f"{name}.png", honeycomb_field({cell_class: 1.0}, size_hw, 0.5, seed).frame.rgb)
    return folder


def run(capsys, *arguments: object) -> tuple[int, list[str], str]:
    """Exit code, lines of standard output, and standard error of a command of `control`."""
    code = main(["control", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out.splitlines(), printed.err


def check(capsys, *options: object) -> tuple[int, list[str]]:
    """Exit code and lines of `control check` on images of a 3+ control."""
    code, lines, err = run(capsys, "check", *options, "--um-per-px", 0.5, "--expect", "3+", "--method", METHOD)
    assert err == ""
    return code, lines


def refused(capsys, *arguments: object) -> str:
    """The one line with which it ends."""
    code, lines, err = run(capsys, *arguments)
    assert (code, lines) == (2, []) and err.startswith("her2scope: ") and err.count("\n") == 1
    assert "last-error.txt" not in err
    return err


def kept() -> tuple[ControlEntry, ...]:
    return control_history().entries()


# ---- what is kept -------------------------------------------------------------------------------------------------


def test_a_reading_is_in_the_history_under_its_lot_run_and_instrument(capsys, tmp_path, images):
    options = ("--lot", "L7", "--run", "R1", "--instrument", "bench 2", "--json", tmp_path / "c.json")
    code, lines = check(capsys, images / "strong.png", *options)
    found = json.loads((tmp_path / "c.json").read_text())
    jsonschema.validate(found, schema("her2scope.control/1"))
    (only,) = kept()
    assert (only.lot, only.run, only.instrument, only.level, only.method) == ("L7", "R1", "bench 2", "3+", METHOD)
    assert (code, only.status, only.n_tumour) == (0, ControlStatus.VALID, found["n_tumour"])
    assert only.figures["membrane_od10"] == only.intensity_od10 > 0.5
    assert "1 of 20 valid runs: only the absolute limits hold" in lines
    code, lines, _ = run(capsys, "history")
    assert code == 0 and lines[0] == f"3+ control, lot L7, bench 2, {METHOD}"
    assert any("R1" in line and "valid" in line for line in lines)


def test_without_a_name_the_instrument_is_the_calibration_and_the_run_its_own(capsys, images):
    calibration = resource_dir("calibration") / "microscope.yaml"
    for name in ("strong.png", "strong2.png"):
        check(capsys, images / name, "--lot", "L7", "--calibration", calibration)
    assert [item.instrument for item in kept()] == ["example microscope"] * 2
    (chart,) = control_charts(kept())
    assert len(chart.points) == 2


def test_without_a_lot_it_is_kept_on_no_chart(capsys, images):
    code, lines = check(capsys, images / "strong.png")
    assert code == 0 and any("no lot or run given: this reading is on no chart" in line for line in lines)
    assert len(kept()) == 1 and control_charts(kept()) == ()
    _, lines, _ = run(capsys, "history")
    assert lines[0] == "on no chart, as no lot or run was given"


def test_the_same_images_are_kept_again_but_are_no_new_point(capsys, images):
    for number in (1, 2):
        check(capsys, images / "strong.png", "--lot", "L7", "--run", f"R{number}")
    (chart,) = control_charts(kept())
    assert len(kept()) == 2 and [point.entry.run for point in chart.points] == ["R1"]
    _, lines, _ = run(capsys, "history")
    assert any("R2" in line and line.endswith("same images as before") for line in lines)


def test_after_an_invalid_reading_the_run_is_at_best_a_warning(capsys, images):
    """Another field, chosen until one passes, does not make good what failed; another run is not concerned."""
    of_run = ("--lot", "L7", "--run", "R1")
    assert check(capsys, images / "faint.png", *of_run)[0] == 1
    code, lines = check(capsys, images / "strong.png", *of_run)
    assert code == 0 and lines[0].startswith("3+ control warning: an earlier reading of this run's control was invalid")
    assert check(capsys, images / "strong2.png", "--lot", "L7", "--run", "R2")[1][0] == "3+ control valid"
    assert [item.status.value for item in kept()] == ["invalid", "warning", "valid"]


def test_too_few_cells_are_no_failure_once_they_are_read_with_more_fields(capsys, images):
    of_run = ("--lot", "L7", "--run", "R1")
    assert check(capsys, images / "few.png", *of_run)[0] == 1 and kept()[0].codes == ("too_few",)
    assert check(capsys, images / "few.png", images / "strong.png", *of_run)[1][0] == "3+ control valid"
    assert check(capsys, images / "strong2.png", *of_run)[1][0].startswith("3+ control warning: an earlier reading")


@pytest.mark.parametrize("level", ["2+", "0"])
def test_an_invalid_reading_of_another_level_or_lot_does_not_count(capsys, images, level):
    failed = {"status": ControlStatus.INVALID, "codes": ("wrong_level",), "run": "R1"}
    control_history().append(entry(0, level=level, lot="L7", **failed))
    control_history().append(entry(1, level="3+", lot="L6", **failed))
    assert check(capsys, images / "strong.png", "--lot", "L7", "--run", "R1")[1][0] == "3+ control valid"


# ---- a history that cannot be used --------------------------------------------------------------------------------


def test_a_history_that_cannot_be_written_does_not_lose_the_verdict(capsys, tmp_path, images):
    control_history().path.mkdir(parents=True)  # a folder where the file should be: not even root can write it
    code, lines = check(capsys, images / "strong.png", "--lot", "L7", "--json", tmp_path / "c.json")
    assert code == 0 and lines[0] == "3+ control valid"
    assert any(line.startswith("Could not read the control history") for line in lines)
    assert any(line.startswith("this reading is not in the history: Could not save") for line in lines)
    assert json.loads((tmp_path / "c.json").read_text())["status"] == "valid"


def test_a_damaged_history_is_said_and_the_reading_is_kept_behind_it(capsys, images):
    path = control_history().path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"{}\n")
    code, lines = check(capsys, images / "strong.png", "--lot", "L7")
    assert code == 0 and lines[0] == "3+ control valid"
    (said,) = [line for line in lines if "Line 1 of the control history" in line]
    assert said.endswith("Until then only the absolute limits hold.")
    assert not any("valid runs" in line for line in lines)  # how many there were is not known
    first, second = path.read_bytes().splitlines()
    assert first == b"{}" and json.loads(second)["lot"] == "L7"


# ---- controls and their limits ------------------------------------------------------------------------------------


def test_the_limits_of_the_chosen_control_judge_it(capsys, tmp_path, images):
    controls = tmp_path / "controls.yaml"
    controls.write_text("controls: [{name: usual}, {name: strict, limits: {min_intense_od10: 1.55}}]")
    assert check(capsys, images / "strong.png", "--controls", controls)[0] == 0
    code, lines = check(capsys, images / "strong.png", "--controls", controls, "--material", "strict")
    assert code == 1 and "limit 1.55 od10" in lines[0]


def test_the_shipped_controls_can_be_used(capsys, images):
    assert check(capsys, images / "strong.png", "--controls", SHIPPED)[0] == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--material", "strict"), "control 'strict': give the file that it stands in with --controls FILE"),
        (("--controls", SHIPPED, "--material", "odd"), "no control is named 'odd'"),
        (("--controls", "nowhere.yaml"), "nowhere.yaml: no such file"),
    ],
)
def test_wrong_controls_are_one_clear_line_and_nothing_is_kept(capsys, images, options, says):
    command = ("check", images / "strong.png", "--um-per-px", 0.5, "--expect", "3+", "--method", METHOD)
    assert says in refused(capsys, *command, *options)
    assert kept() == ()


def fill(n: int = 20, **changes: object) -> None:
    """Sufficient runs of a lab, with an SD of 0.1 in the logarithm of their membranes' od10."""
    history = control_history()
    for number in range(n):
        membrane_od10 = 0.6 * math.exp(0.1 * math.sqrt(19 / 20) * (-1) ** number)
        figures = FIGURES_OF_LAB | {"membrane_od10": membrane_od10}
        history.append(entry(number, intensity_od10=membrane_od10, figures=figures, **changes))


def test_limits_of_20_runs_are_written_and_judge_the_next_control(capsys, tmp_path, images):
    fill()
    out = tmp_path / "own" / "controls.yaml"
    code, lines, _ = run(capsys, "limits", "--controls", SHIPPED, "--out", out)
    assert code == 0 and lines[0] == "from 20 of 20 runs (lot L1, bench 2, network 3fa2b1)"
    assert "  min_intense_od10: 0.3 -> 0.423" in lines and lines[-1] == f"written to {out}"
    (slide,), (before,) = load_controls(out).controls, load_controls(SHIPPED).controls
    assert (slide.name, slide.levels, slide.placement) == (before.name, before.levels, before.placement)
    assert (slide.limits.max_intense_od10, slide.limits.invalid_intense_od10) == (0.851, 0.851)
    code, lines = check(capsys, images / "strong.png", "--controls", out)
    assert code == 1 and "limit 0.85 od10" in lines[0]  # it is twice as strong as that laboratory's


def test_only_the_named_control_gets_the_limits(capsys, tmp_path):
    fill()
    controls, out = tmp_path / "controls.yaml", tmp_path / "own.yaml"
    controls.write_text("controls: [{name: a}, {name: b, limits: {min_tumour: 150}}]")
    code, _, _ = run(capsys, "limits", "--controls", controls, "--material", "b", "--out", out)
    first, second = load_controls(out).controls
    assert code == 0 and first == load_controls(controls).controls[0]
    assert (second.limits.min_tumour, second.limits.min_intense_od10) == (150, 0.423)


def test_without_out_nothing_is_written(capsys, tmp_path):
    fill()
    before = sorted(tmp_path.rglob("*"))
    code, lines, _ = run(capsys, "limits")
    assert code == 0 and lines[-1] == "not written: give --out FILE" and sorted(tmp_path.rglob("*")) == before


def test_of_several_charts_one_is_chosen_by_lot_instrument_or_method(capsys):
    """After an update of the model, old and new readings differ by their method alone."""
    fill()
    for number, changes in enumerate(({"lot": "L2"}, {"instrument": "bench 3"}, {"method": "network 9c"}), start=30):
        control_history().append(entry(number, **changes))
    line = refused(capsys, "limits")
    assert "there are 4 charts" in line and "lot L1, bench 2, network 9c" in line and "--method" in line
    chosen = ("limits", "--lot", "L1", "--instrument", "bench 2")
    assert "there are 2 charts" in refused(capsys, *chosen)
    code, lines, _ = run(capsys, *chosen, "--method", "network 3fa2b1")
    assert code == 0 and lines[0].startswith("from 20 of 20 runs")
    assert "1 sufficient runs" in refused(capsys, *chosen, "--method", "network 9c")


@pytest.mark.parametrize(
    ("n", "changes", "says"),
    [
        (0, {}, "no 3+ control of that kind with a lot was read so far"),
        (19, {}, "19 sufficient runs of the 3+ level are not enough"),
        (20, {"level": "2+"}, "no 3+ control of that kind"),
        (20, {"lot": ""}, "no 3+ control of that kind"),
        (20, {"status": ControlStatus.INVALID, "codes": ("wrong_level",)}, "0 sufficient runs"),
        (20, {"run": "R1"}, "1 sufficient runs"),
    ],
)
def test_too_few_runs_are_one_clear_line_and_nothing_is_written(capsys, tmp_path, n, changes, says):
    fill(n, **changes)
    assert says in refused(capsys, "limits", "--out", tmp_path / "own.yaml")
    assert not (tmp_path / "own.yaml").exists()


def test_limits_replace_neither_their_controls_nor_the_history(capsys, tmp_path):
    fill()
    controls, history = tmp_path / "controls.yaml", control_history().path
    controls.write_text("controls: [{name: a}]")
    before = controls.read_bytes(), history.read_bytes()
    for out in (controls, history):
        assert "reads or writes this file already" in refused(capsys, "limits", "--controls", controls, "--out", out)
    assert (controls.read_bytes(), history.read_bytes()) == before


def test_limits_that_cannot_be_written_are_one_clear_line(capsys, tmp_path):
    fill()
    (tmp_path / "file").write_text("")
    assert "file" in refused(capsys, "limits", "--out", tmp_path / "file" / "own.yaml")


# ---- controls of a case -------------------------------------------------------------------------------------------


def scored(capsys, images: Path, tmp_path: Path, *options: object) -> dict:
    """What `score` says of a strong field with its control, as JSON."""
    out = tmp_path / "score.json"
    common = ("--um-per-px", 0.5, "--method", METHOD, "--control", images / "strong2.png", "--json", out)
    main(list(map(str, ["score", images / "strong.png", *common, *options])))
    capsys.readouterr()
    return json.loads(out.read_text(encoding="utf-8"))


def test_lower_levels_of_a_case_are_read_as_what_they_are_known_to_be(capsys, tmp_path, images):
    alone = scored(capsys, images, tmp_path)["control"]
    with_faint = scored(capsys, images, tmp_path, "--control-level", "0", images / "strong.png")["control"]
    assert with_faint["status"] == "invalid" and "over_stained" in with_faint["codes"]
    assert alone["status"] != "invalid"


def test_a_case_is_judged_by_the_laboratorys_limits(capsys, tmp_path, images):
    strict = tmp_path / "controls.yaml"
    strict.write_text(
        'controls:\n  - name: strict\n    levels: {"3+": {}}\n    limits: {min_tumour: 9000}\n', encoding="utf-8"
    )
    assert "too_few" in scored(capsys, images, tmp_path, "--controls", strict)["control"]["codes"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--control-level", "4+", "strong.png"), "no such level"),
        (("--controls", "nowhere.yaml"), "no such file"),
        (("--material", "mine"), "--controls FILE"),
    ],
)
def test_controls_that_cannot_be_are_one_line(capsys, images, options, says):
    code = main(["score", str(images / "strong.png"), "--um-per-px", "0.5", *options])
    printed = capsys.readouterr()
    assert code == 2 and printed.out == "" and printed.err.count("\n") == 1 and says in printed.err
