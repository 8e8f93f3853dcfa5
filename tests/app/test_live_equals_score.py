"""A field measured live is, value by value, what `her2scope score` measures on its stored PNG with the same control."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from region_models import BrownModel

from her2scope.app.compose import DEFAULT_METHOD
from her2scope.settings import ScoringSettings

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        yield importlib.import_module("compare_live_and_score")


@pytest.mark.parametrize(("score", "late", "n_fields"), [("2+", False, 2), ("3+", True, 1)])
def test_live_is_score(script, tmp_path, score, late, n_fields):
    found = script.compare_case(score, 3, n_fields, (400, 320), DEFAULT_METHOD, late, tmp_path)
    assert [(item.field, item.usable, item.different) for item in found] == [(n + 1, True, ()) for n in range(n_fields)]
    assert all(item.n_cells > 20 for item in found)
    assert all(item.intense_cut_od10 != ScoringSettings().cuts.intense_od10 for item in found)  # the control's


def test_live_is_score_where_a_region_model_says_where_to_count(script, tmp_path, monkeypatch):
    """With a control that is read late: the fields are measured anew, and the model's word stays."""
    monkeypatch.setattr("her2scope.app.where_to_count.load_model", lambda folder: BrownModel())
    found = script.compare_case("1+", 3, 1, (400, 320), DEFAULT_METHOD, True, tmp_path, tmp_path / "model")
    assert [(item.usable, item.different) for item in found] == [(True, ())]
    assert all(0 < item.n_outside < item.n_cells for item in found)


def test_the_comparison_sees_the_least_difference(script):
    ours = {"cells": [[1.0, 2.0, "none"]], "image": "ab", "frame": {"um_per_px": 0.25, "name": "live"}, "curve": [0.1]}
    assert script.different(ours, {**ours, "frame": {"um_per_px": 0.25, "name": "ab.png"}}) == ()
    theirs = {**ours, "cells": [[1.0, 2.0000000000000004, "none"]], "frame": {"um_per_px": 0.5, "name": "live"}}
    del theirs["curve"]
    assert script.different(ours, theirs) == ("cells", "curve", "frame")
