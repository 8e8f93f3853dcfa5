"""Rules of the HER2 contest as data: each with where it is from, and whether it was checked there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

from her2scope.domain.errors import SettingsError
from her2scope.domain.guideline import SCORES
from her2scope.settings import from_mapping
from her2scope.settings.files import read_yaml

RULES_FILE = Path(__file__).with_name("contest_rules.yaml")
NOT_AVAILABLE = "not available"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in words."""

    about: str
    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class NumberRule:
    """A rule that is one number."""

    value: float
    about: str
    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class PointsRule:
    """Points of a case."""

    about: str
    matrix: Mapping[str, tuple[float, ...]]
    """By the true score: points of each answer, in the order of the contest's scores."""
    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class ContestRules:
    """What is known of the contest."""

    name: str
    page: str
    paper: str
    scores: tuple[str, ...]
    assessments: Rule
    points: PointsRule
    max_per_case: NumberRule
    test_cases: NumberRule
    second_best: NumberRule
    tie_break: Rule
    tie_measure: Rule
    bonus_points: Rule
    weighted_confidence: Rule
    combined_points: Rule
    """These three the contest had; how they are computed is not known, so they are not."""

    def __post_init__(self) -> None:
        if self.scores != SCORES:
            raise SettingsError(f"scores must be {', '.join(SCORES)}, not {', '.join(self.scores)}.")
        if tuple(self.points.matrix) != self.scores:
            raise SettingsError("points need one row for each score, in their order.")
        most = self.max_per_case.value
        for score, row in self.points.matrix.items():
            if len(row) != len(self.scores) or not all(0 <= value <= most for value in row):
                raise SettingsError(
                    f"points of {score} must be {len(self.scores)} values from 0 to {most:g}, not {row}."
                )

    def points_of(self, truth: str, answer: str | None) -> float:
        """Points of a case; none without an answer."""
        return 0.0 if answer is None else self.points.matrix[truth][self.scores.index(answer)]

    @property
    def most_points(self) -> float:
        """In the contest itself."""
        return self.max_per_case.value * self.test_cases.value

    def unverified(self) -> tuple[str, ...]:
        """Each rule that was not checked against the original, in words."""
        named = {item.name: getattr(self, item.name) for item in fields(self)}
        return tuple(
            f"{name.replace('_', ' ')} ({rule.source})"
            for name, rule in named.items()
            if not getattr(rule, "verified", True)
        )


@lru_cache(maxsize=1)
def contest_rules() -> ContestRules:
    """The rules that come with the program."""
    return from_mapping(ContestRules, read_yaml(RULES_FILE), RULES_FILE.name)
