"""A table of answers held against the truth, by the contest's rules as far as they are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from her2scope.domain.guideline import SCORES, Score
from her2scope.settings import as_mapping
from her2scope.slides.contest_rules import NOT_AVAILABLE, ContestRules, Rule
from her2scope.slides.contest_tables import Answer, Truth

SCHEMA = "her2scope.contest/1"
NO_ANSWER = "none"
NEGATIVE: tuple[Score, ...] = ("0", "1+")
POSITIVE: Score = "3+"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case, held against the truth."""

    truth: Truth
    answer: Answer
    points: float

    @property
    def is_right(self) -> bool:
        """Whether the answer is the true score."""
        return self.answer.score == self.truth.score

    @property
    def complete_difference(self) -> float | None:
        """Of the percentage of complete membranes (points); None where either is missing."""
        if self.answer.complete_percent is None or self.truth.complete_percent is None:
            return None
        return abs(self.answer.complete_percent - self.truth.complete_percent)

    @property
    def is_grave(self) -> bool:
        """A 3+ called 0 or 1+, or the reverse."""
        pair = {self.truth.score, self.answer.score}
        return POSITIVE in pair and bool(pair & set(NEGATIVE))


@dataclass(frozen=True, slots=True)
class ContestResult:
    """All cases, in the order of their names: that of the tables plays no part."""

    rules: ContestRules
    cases: tuple[CaseResult, ...]

    @property
    def points(self) -> float:
        """Of all cases."""
        return sum(case.points for case in self.cases)

    @property
    def most_points(self) -> float:
        """That so many cases can have."""
        return self.rules.max_per_case.value * len(self.cases)

    @property
    def mean_complete_difference(self) -> float | None:
        """Mean absolute difference of the percentage of complete membranes; None where a case has none."""
        found = [case.complete_difference for case in self.cases]
        known = [value for value in found if value is not None]
        return sum(known) / len(known) if known and len(known) == len(found) else None

    @property
    def unanswered(self) -> int:
        """Cases without an answer."""
        return sum(case.answer.score is None for case in self.cases)

    def confusion(self) -> Mapping[Score, Mapping[str, int]]:
        """Cases by true score and answer."""
        empty = {truth: dict.fromkeys((*SCORES, NO_ANSWER), 0) for truth in SCORES}
        for case in self.cases:
            empty[case.truth.score][case.answer.score or NO_ANSWER] += 1
        return empty

    def mean_confidence(self, is_right: bool) -> float | None:
        """Of the cases that were answered rightly, or wrongly; None where none of them has one."""
        found = [
            case.answer.confidence
            for case in self.cases
            if case.answer.score is not None and case.is_right is is_right and case.answer.confidence is not None
        ]
        return sum(found) / len(found) if found else None


def evaluate(answers: Mapping[str, Answer], truth: Mapping[str, Truth], rules: ContestRules) -> ContestResult:
    """Hold answers against the truth of the same cases."""
    cases = [
        CaseResult(truth[case], answers[case], rules.points_of(truth[case].score, answers[case].score))
        for case in sorted(truth)
    ]
    return ContestResult(rules, tuple(cases))


# ---- as text and JSON ---------------------------------------------------------------------------------------------


def result_lines(result: ContestResult) -> list[str]:
    """What `contest evaluate` prints."""
    rules = result.rules
    return [
        *_case_lines(result.cases),
        "",
        *_confusion_lines(result),
        "",
        f"points: {result.points:g} of {result.most_points:g} ({_n(len(result.cases), 'case')}) "
        f"{_mark(rules.points.verified)}",
        _beside_contest(result),
        f"tie-break, mean difference of complete membrane staining: {_percent(result.mean_complete_difference)} "
        f"{_mark(rules.tie_break.verified and rules.tie_measure.verified)}",
        *(_assessment_line(item) for item in (rules.bonus_points, rules.weighted_confidence, rules.combined_points)),
        f"beside the contest: right {sum(case.is_right for case in result.cases)} of {len(result.cases)}; "
        f"3+ called 0 or 1+ or the reverse: {sum(case.is_grave for case in result.cases)}; "
        f"without an answer: {result.unanswered}",
        f"beside the contest: mean confidence where right {_share(result.mean_confidence(True))}, "
        f"where wrong {_share(result.mean_confidence(False))}",
        f"not checked against the original: {'; '.join(rules.unverified())}",
    ]


def result_json(result: ContestResult) -> dict[str, Any]:
    """The same, and the rules with where they are from."""
    rules = result.rules
    return {
        "schema": SCHEMA,
        "rules": as_mapping(rules),
        "n_cases": len(result.cases),
        "points": result.points,
        "most_points": result.most_points,
        "points_verified": rules.points.verified,
        "tie_break_mean_difference_percent": _rounded(result.mean_complete_difference),
        "bonus_points": NOT_AVAILABLE,
        "weighted_confidence": NOT_AVAILABLE,
        "combined_points": NOT_AVAILABLE,
        "right": sum(case.is_right for case in result.cases),
        "grave": sum(case.is_grave for case in result.cases),
        "unanswered": result.unanswered,
        "mean_confidence_right": _rounded(result.mean_confidence(True)),
        "mean_confidence_wrong": _rounded(result.mean_confidence(False)),
        "confusion": {truth: dict(row) for truth, row in result.confusion().items()},
        "cases": [
            {
                "case": case.truth.case,
                "truth": case.truth.score,
                "answer": case.answer.score,
                "points": case.points,
                "confidence": case.answer.confidence,
                "complete_percent": case.answer.complete_percent,
                "true_complete_percent": case.truth.complete_percent,
                "reason": case.answer.reason,
            }
            for case in result.cases
        ],
        "unverified": list(rules.unverified()),
    }


def _case_lines(cases: Sequence[CaseResult]) -> list[str]:
    width = max(4, *(len(case.truth.case) for case in cases))
    lines = [f"{'case':<{width}}  truth  answer  points  confidence  complete %  true %"]
    for case in cases:
        answer = case.answer
        complete = "" if answer.complete_percent is None else f"{answer.complete_percent:.1f}"
        true = "" if case.truth.complete_percent is None else f"{case.truth.complete_percent:.1f}"
        confidence = "" if answer.confidence is None else f"{answer.confidence:.3f}"
        lines.append(
            f"{case.truth.case:<{width}}  {case.truth.score:<5}  {answer.score or '-':<6}  {case.points:>6g}  "
            f"{confidence:>10}  {complete:>10}  {true:>6}{'' if case.is_right else '  <'}"
        )
    return lines


def _confusion_lines(result: ContestResult) -> list[str]:
    names = (*SCORES, NO_ANSWER)
    lines = ["truth \\ answer  " + "".join(f"{name:>6}" for name in names)]
    for truth, row in result.confusion().items():
        lines.append(f"{truth:<14}  " + "".join(f"{row[name]:>6}" for name in names))
    return lines


def _beside_contest(result: ContestResult) -> str:
    rules = result.rules
    if len(result.cases) != rules.test_cases.value:
        return f"the contest had {rules.test_cases.value:g} cases: these points stand beside no entry of it"
    return (
        f"of the contest's {rules.most_points:g}; on its own slides its second best entry had "
        f"{rules.second_best.value:g} {_mark(rules.second_best.verified)}"
    )


def _assessment_line(rule: Rule) -> str:
    return f"{rule.about}: {NOT_AVAILABLE} ({rule.source})"


def _mark(is_verified: bool) -> str:
    return "[verified]" if is_verified else "[not verified]"


def _n(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _percent(value: float | None) -> str:
    return f"{NOT_AVAILABLE} (a case has no percentage)" if value is None else f"{value:.2f} percentage points"


def _share(value: float | None) -> str:
    return NOT_AVAILABLE if value is None else f"{value:.3f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
