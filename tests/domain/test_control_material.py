"""Controls as data: what a control needs, in which order it is read, and what is left open."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.control import ControlLimits
from her2scope.domain.control_material import (
    ControlLevel,
    ControlMaterial,
    ControlMaterials,
    Placement,
    next_level,
    open_ends,
)
from her2scope.domain.errors import SettingsError
from her2scope.domain.guideline import SCORES

SUBSETS = [levels for n in range(5) for levels in combinations(SCORES, n)]


def material(*levels: str, name: str = "slide") -> ControlMaterial:
    return ControlMaterial(name, levels={level: ControlLevel() for level in levels})


def test_a_control_that_only_has_a_name_is_a_3_on_the_run_slide():
    plain = ControlMaterial("slide")
    assert (plain.order, plain.placement, plain.limits) == (("3+",), Placement.RUN_SLIDE, ControlLimits())


@pytest.mark.parametrize("levels", [levels for levels in SUBSETS if "3+" in levels], ids=" ".join)
def test_levels_are_read_anchor_first_then_the_low_end(levels):
    assert material(*levels).order == tuple(level for level in ("3+", "0", "1+", "2+") if level in levels)


@given(levels=st.permutations(SCORES))
def test_the_order_of_the_file_does_not_matter(levels):
    assert material(*levels).order == ("3+", "0", "1+", "2+")


@given(read=st.lists(st.sampled_from(SCORES)))
def test_the_next_level_is_the_first_that_was_not_read(read):
    left = [level for level in ("3+", "0", "1+", "2+") if level not in read]
    assert next_level(material(*SCORES), read) == (left[0] if left else None)


def test_the_wizard_walks_through_the_levels_that_the_control_has():
    slide, read = material("2+", "0", "3+"), []
    while (level := next_level(slide, read)) is not None:
        read.append(level)
    assert read == ["3+", "0", "2+"]
    assert next_level(slide, ["1+"]) == "3+"  # a level that it has not makes no other one read


@pytest.mark.parametrize("read", SUBSETS, ids=" ".join)
def test_what_is_left_open_follows_from_the_levels(read):
    said = open_ends(read)
    if "3+" not in read:
        assert len(said) == 1 and "nothing is reportable" in said[0]
        return
    over_staining, low_end, moderate = (
        any(words in line for line in said) for words in ("over-staining", "low end", "faint and moderate")
    )
    assert over_staining == ("0" not in read)
    assert low_end == ("0" not in read or "1+" not in read)
    assert moderate == ("1+" not in read and "2+" not in read)
    assert len(said) == over_staining + low_end + moderate


def test_nothing_is_left_open_where_all_levels_were_read():
    assert open_ends(SCORES) == () == open_ends(("3+", "0", "1+"))


# ---- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "  "])
def test_a_control_needs_a_name(name):
    with pytest.raises(SettingsError, match="has no name"):
        ControlMaterial(name)


def test_an_unknown_level_is_refused():
    with pytest.raises(SettingsError, match=r"control slide: '4\+' is no level\. Use 0, 1\+, 2\+, 3\+"):
        material("3+", "4+")


@pytest.mark.parametrize("levels", [levels for levels in SUBSETS if "3+" not in levels], ids=" ".join)
def test_a_control_without_a_3_is_refused(levels):
    with pytest.raises(SettingsError, match=r"control slide: it has no 3\+ level"):
        material(*levels)


def test_two_controls_of_one_name_are_refused():
    names = ("a", "b", "a")
    with pytest.raises(SettingsError, match="two controls are named 'a'"):
        ControlMaterials(tuple(material("3+", name=name) for name in names))


def test_no_control_at_all_is_refused():
    with pytest.raises(SettingsError, match="no control is listed"):
        ControlMaterials(())


def test_without_a_file_there_is_one_slide_with_all_levels():
    assert [item.order for item in ControlMaterials().controls] == [("3+", "0", "1+", "2+")]


def test_a_control_is_found_by_its_name():
    first, second = material("3+", name="a"), material("3+", "0", name="b")
    both = ControlMaterials((first, second))
    assert both.named(None) is first and both.named("b") is second
    with pytest.raises(SettingsError, match="no control is named 'c'. Known: a, b"):
        both.named("c")
