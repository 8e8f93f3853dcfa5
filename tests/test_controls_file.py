"""`controls.yaml`: read, written and read again; a slip is one error that names the file and the key."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from her2scope.domain.control import ControlLimits
from her2scope.domain.control_material import ControlLevel, ControlMaterial, ControlMaterials, Placement
from her2scope.domain.errors import SettingsError
from her2scope.domain.guideline import SCORES
from her2scope.resources import resource_dir
from her2scope.settings import load_controls, save_yaml

SHIPPED = resource_dir("calibration") / "controls.yaml"
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
names = words.filter(lambda text: bool(text.strip()))
levels = st.fixed_dictionaries(
    {"3+": st.builds(ControlLevel, words, words)},
    optional=dict.fromkeys([level for level in SCORES if level != "3+"], st.builds(ControlLevel, words, words)),
)
limits = st.builds(ControlLimits, min_tumour=st.integers(1, 1000), max_nuclear_od10=st.floats(-0.9, 5))
controls = st.builds(ControlMaterial, names, st.sampled_from(Placement), levels, words, words, words, limits)


def written(folder: Path, text: str) -> Path:
    path = folder / "controls.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_file_is_a_slide_with_all_levels():
    (slide,) = load_controls(SHIPPED).controls
    assert (slide.name, slide.placement) == ("run slide, four cell lines", Placement.RUN_SLIDE)
    assert slide.order == ("3+", "0", "1+", "2+") and slide.levels["0"] == ControlLevel("MCF-7", "fourth core")
    assert slide.limits == ControlLimits()


@given(found=st.lists(controls, min_size=1, max_size=3, unique_by=lambda item: item.name))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_saved_is_read_back(tmp_path, found):
    path = tmp_path / "controls.yaml"
    save_yaml(ControlMaterials(tuple(found)), path)
    assert load_controls(path) == ControlMaterials(tuple(found))


def test_what_is_left_out_keeps_its_default(tmp_path):
    assert load_controls(written(tmp_path, "")) == ControlMaterials()
    (slide,) = load_controls(written(tmp_path, "controls: [{name: a, limits: {min_intense_od10: 0.5}}]")).controls
    assert slide == ControlMaterial("a", limits=ControlLimits(min_intense_od10=0.5))


@pytest.mark.parametrize("placement", Placement)
def test_both_placements_are_read(tmp_path, placement):
    (slide,) = load_controls(written(tmp_path, f"controls: [{{name: a, placement: {placement.value}}}]")).controls
    assert slide.placement is placement


@pytest.mark.parametrize("level", ["0", '"0"', "'0'"])
def test_the_negative_level_needs_no_quotes(tmp_path, level):
    text = f"controls: [{{name: a, levels: {{3+: {{}}, {level}: {{tissue: MCF-7}}}}}}]"
    assert load_controls(written(tmp_path, text)).controls[0].levels["0"].tissue == "MCF-7"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("control: []", "unknown key 'control'. Did you mean 'controls'?"),
        ("controls: [{name: a, limit: {}}]", "controls: 1: unknown key 'limit'. Did you mean 'limits'?"),
        ("controls: [{name: a, limits: {min_intense: 0.3}}]", "limits: unknown key 'min_intense'. Did you mean"),
        ("controls: [{name: a, levels: {3+: {tisue: x}}}]", "levels: 3+: unknown key 'tisue'. Did you mean 'tissue'?"),
        ("controls: [{name: a, levels: {3+: {}, 4+: {}}}]", "controls: 1: control a: '4+' is no level"),
        ("controls: [{name: a, levels: {2+: {}}}]", "control a: it has no 3+ level"),
        ("controls: [{name: a, levels: {3+: {}, 3+: {}}}]", "key '3+' is given twice (again in line 1)"),
        ("controls: [{name: a, levels: {3+: }}]", "levels: 3+: expected keys with values, found None"),
        ("controls: [{name: a, levels: [3+]}]", "levels: expected names with values"),
        ("controls: [{name: a, placement: fridge}]", "placement: 'fridge' is not known. Use on_slide or run_slide."),
        ("controls: [{name: a, placement: [on_slide]}]", "placement: ['on_slide'] is not known."),
        ("controls: [{name: a, placement: }]", "placement: None is not known."),
        ("controls: [{name: a, limits: {max_cut_od10: 7}}]", "control a: max_cut_od10 must be from 0 to 5, not 7"),
        ("controls: [{name: a, limits: {max_dark_share: -1}}]", "control a: max_dark_share must be from 0 to 1"),
        (
            "controls: [{name: a, limits: {max_field_ratio: .nan}}]",
            "limits: max_field_ratio: expected a number, found nan",
        ),
        ("controls: [{name: a, limits: {min_tumour: 0}}]", "control a: min_tumour must be from 1"),
        ("controls: [{name: a, limits: {min_tumour: many}}]", "limits: min_tumour: expected a whole number"),
        (
            "controls: [{name: a, limits: {min_intense_od10: 1.7}}]",
            "control a: max_intense_od10 must be at least min_intense_od10 (1.7), not 1.6",
        ),
        ("controls: [{name: a, limits: {min_cut_od10: 1.5}}]", "max_cut_od10 must be at least min_cut_od10 (1.5)"),
        ("controls: [{name: a}, {name: b, limits: {min_cut_od10: 2}}]", "control b: max_cut_od10 must be at least"),
        ("controls: [{name: a}, {name: a}]", "two controls are named 'a'"),
        ("controls: [{name: ' '}]", "controls: 1: a control has no name"),
        ("controls: [{lot: L1}]", "controls: 1: 'name' is missing"),
        ("controls: []", "no control is listed"),
        ("controls: ", "controls: expected a list, found None"),
        ("controls: {name: a}", "controls: expected a list"),
        ("controls: [a]", "controls: 1: expected keys with values, found 'a'"),
        ("- name: a", "expected keys with values"),
        ("run slide", "expected keys with values, found 'run slide'"),
        ("controls: [{name: a", "not valid YAML"),
    ],
)
def test_a_slip_is_one_error_that_names_file_and_key(tmp_path, text, says):
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as refusal:
        load_controls(path)
    assert str(refusal.value).startswith(f"{path}: ") and says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(SettingsError, match="no such file"):
        load_controls(tmp_path / "controls.yaml")


def test_every_limit_of_the_file_reaches_the_control(tmp_path):
    limits_of_lab = {
        name: value + 1 if isinstance(value, int) else round(1.01 * value, 4)
        for name, value in asdict(ControlLimits()).items()
    }
    path = written(tmp_path, yaml.safe_dump({"controls": [{"name": "a", "limits": limits_of_lab}]}))
    assert asdict(load_controls(path).controls[0].limits) == limits_of_lab
