"""A phantom contest: the same slides by the same seed, scores, stainers and scanners as even as can be."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.phantom.contest import SLIDES, plan_contest
from her2scope.phantom.field import EXPECTED
from her2scope.phantom.run import STAINERS
from her2scope.phantom.scanners import SCANNERS


@given(seed=st.integers(0, 2**40))
@settings(max_examples=25)
def test_a_seed_fixes_a_contest_and_no_two_have_a_slide_in_common(seed: int) -> None:
    plan = plan_contest(seed)
    assert plan == plan_contest(seed)
    others = {item.spec.seed for item in plan_contest(seed + 1)}
    seeds = [item.spec.seed for item in plan]
    assert len(set(seeds)) == SLIDES and not others & set(seeds)


@given(seed=st.integers(0, 2**40))
@settings(max_examples=25)
def test_every_score_stainer_and_scanner_is_there(seed: int) -> None:
    specs = [item.spec for item in plan_contest(seed)]
    wanted = Counter(EXPECTED[spec.score][0] for spec in specs)
    assert set(wanted.values()) == {7}
    assert {spec.score for spec in specs} == set(EXPECTED)
    for names, known in (([spec.stainer for spec in specs], STAINERS), ([spec.scanner for spec in specs], SCANNERS)):
        often = Counter(names)
        assert set(often) == set(known) and max(often.values()) - min(often.values()) <= 1


def test_cases_are_named_in_order_and_fewer_can_be_asked_for() -> None:
    assert [item.case for item in plan_contest(1, 3)] == ["case_01", "case_02", "case_03"]
    assert plan_contest(1, 120)[0].case == "case_001"
    assert {item.spec.difficulty for item in plan_contest(1, 4, "hard", (500.0, 450.0))} == {"hard"}
    assert plan_contest(1, 4, "hard", (500.0, 450.0))[0].spec.case_um == (500.0, 450.0)
