"""A table of cases with computed and readers' scores: how well they agree, kept for the reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from her2scope.app.case_scores import CaseScores, read_case_scores
from her2scope.app.compose import DEFAULT_METHOD, make_analyser, read_settings, validations, with_material
from her2scope.app.outputs import check_outputs, write_all
from her2scope.domain.errors import BadInputError
from her2scope.domain.guideline import SCORES
from her2scope.domain.reader_agreement import (
    AIM_SHARE,
    Kappa,
    Proportion,
    ReaderAgreement,
    least_perfect_cases,
    reader_agreement,
    why_not_validated,
)
from her2scope.pipeline.clock import SystemClock
from her2scope.pipeline.opening import settings_sha256
from her2scope.records import ValidationRecord
from her2scope.reporting.json_report import json_bytes
from her2scope.reporting.words import count
from her2scope.settings import Calibration

SCHEMA = "her2scope.validation/1"
_MOST_NAMED = 8
"""Cases of one kind that are named in a line; the JSON names all."""


@dataclass(frozen=True, slots=True)
class ValidateRequest:
    """What `her2scope validate` was asked."""

    cases: Path
    json_path: Path | None = None
    settings: Path | None = None
    method: str | None = None
    controls: Path | None = None
    material: str | None = None

    @property
    def names_settings(self) -> bool:
        """Whether it says itself by what the scores were computed."""
        return any(item is not None for item in (self.settings, self.method, self.controls, self.material))


def validate_cases(request: ValidateRequest) -> list[str]:
    """Compare, write the JSON that was asked for, keep the result for the reports; lines to print.

    Raises BadInputError for a table that cannot be used, StoreError where the result cannot be kept.
    """
    inputs = [path for path in (request.cases, request.settings, request.controls) if path]
    outputs = [request.json_path] if request.json_path else []
    check_outputs(outputs, inputs)
    scores = read_case_scores(request.cases)
    if not scores.pairs:
        raise BadInputError(
            f"{request.cases}: no case has both a computed and a reader's score; {_left_out(scores) or 'it is empty'}."
        )
    digest = _settings_sha256(request, scores)
    found = reader_agreement((pair.computed, pair.reader) for pair in scores.pairs)
    record = _record(found, digest, request.cases.name)
    write_all({path: json_bytes(_json(found, record, scores)) for path in outputs})
    validations().keep(record)
    return _lines(found, record, scores, by_installation=scores.settings_sha256 is None)


def _settings_sha256(request: ValidateRequest, scores: CaseScores) -> str:
    """Digest of the settings that the scores were computed with: the table's, else this installation's."""
    told = scores.settings_sha256
    if told is not None and not request.names_settings:
        return told
    settings = with_material(read_settings(request.settings), request.controls, request.material)
    own = settings_sha256(make_analyser(request.method or DEFAULT_METHOD, settings, Calibration()))
    if told is not None and told != own:
        raise BadInputError(
            f"{request.cases}: its scores were computed with the settings {told[:12]}..., and the settings and method "
            f"given here are {own[:12]}.... Leave out --settings, --method, --controls and --material, or give those "
            "of the table."
        )
    return own


def _record(found: ReaderAgreement, digest: str, source: str) -> ValidationRecord:
    at_positive = found.cuts[0]
    return ValidationRecord(
        at_utc=SystemClock().now_utc(), settings_sha256=digest, n_cases=found.n,
        kappa=found.kappa.value if found.kappa else None,
        positive_agreement=at_positive.positive.share, negative_agreement=at_positive.negative.share, source=source,
        n_positive=found.n_positive, n_negative=found.n_negative, concordance=found.concordance.share,
    )  # fmt: skip


# ---- in words -----------------------------------------------------------------------------------------------------


def _lines(found: ReaderAgreement, record: ValidationRecord, scores: CaseScores, by_installation: bool) -> list[str]:
    """The table, the figures, and what follows from them."""
    head = "reader \\ computed" + "".join(f"{score:>6}" for score in SCORES)
    lines = [f"{count(found.n, 'case')} with both scores", "", head]
    for score, row in zip(SCORES, found.table.tolist(), strict=True):
        lines.append(f"{score:>17}" + "".join(f"{n:>6}" for n in row))
    lines += ["", *(f"{name:<52}{words}".rstrip() for name, words in _figures(found)), "", *_verdict(found)]
    lines += [_left_out(scores)] if scores.left_out else []
    why = why_not_validated(record.n_positive, record.n_negative, record.concordance)
    whose = ", of this installation: the table does not say with which its scores were computed"
    return [
        *lines,
        f"settings {record.settings_sha256}{whose if by_installation else ''}",
        f"kept, but it validates nothing: {why}" if why else "kept: reports of cases with these settings say so",
        "research use only",
    ]


def _figures(found: ReaderAgreement) -> list[tuple[str, str]]:
    rows = [
        ("same score", _proportion(found.same_score)),
        ("positive against negative, the reader's 2+ aside", _proportion(found.concordance)),
        ("quadratic weighted kappa", _kappa(found.kappa)),
    ]
    for cut in found.cuts:
        rows += [(cut.name, ""), ("  positive percent agreement", _proportion(cut.positive))]
        rows += [("  negative percent agreement", _proportion(cut.negative))]
    return rows


def _proportion(found: Proportion) -> str:
    if found.share is None or found.interval is None:
        return "no such case"
    low, high = found.interval
    return f"{found.hits} of {found.n}, {100 * found.share:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f})"


def _kappa(kappa: Kappa | None) -> str:
    if kappa is None:
        return "not defined: one of the two gave all cases the same score"
    if kappa.interval is None:
        return f"{kappa.value:.3f} (no interval: the table leaves kappa no spread; see the shares above)"
    return f"{kappa.value:.3f} (95 % interval {kappa.interval[0]:.3f} to {kappa.interval[1]:.3f})"


def _verdict(found: ReaderAgreement) -> list[str]:
    """What the figures mean against the guideline, and whether there are enough cases."""
    few = (
        f"TOO FEW CASES for a validation: {found.n_positive} called 3+ by the reader, {found.n_negative} called 0 or 1+"
    )
    return [_aim(found.concordance), *([] if found.is_enough else [few])]


def _aim(found: Proportion) -> str:
    aim = f"{100 * AIM_SHARE:g} % concordance of positive and negative (ASCO/CAP)"
    if found.share is None or found.interval is None:
        return f"{aim}: not known without positive and negative cases"
    if found.share < AIM_SHARE:
        return f"{aim}: MISSED"
    if found.interval[0] < AIM_SHARE:
        least = least_perfect_cases()
        return (
            f"{aim}: reached, but not shown: the interval reaches below it (without any discordance {least} cases do)"
        )
    return f"{aim}: reached, and shown by the lower end of the interval"


def _left_out(scores: CaseScores) -> str:
    """How many cases do not count, and why, with the first of their names; empty where all count."""
    told = []
    for reason in dict.fromkeys(item.reason for item in scores.left_out):
        cases = [item.case for item in scores.left_out if item.reason == reason]
        more = ", ..." if len(cases) > _MOST_NAMED else ""
        told.append(f"{len(cases)} {reason} ({', '.join(cases[:_MOST_NAMED])}{more})")
    return f"left out: {'; '.join(told)}" if told else ""


# ---- as JSON ------------------------------------------------------------------------------------------------------


def _json(found: ReaderAgreement, record: ValidationRecord, scores: CaseScores) -> dict[str, Any]:
    kappa = found.kappa
    return {
        "schema": SCHEMA,
        "at_utc": record.at_utc,
        "source": record.source,
        "settings_sha256": record.settings_sha256,
        "n_cases": found.n,
        "n_positive": found.n_positive,
        "n_negative": found.n_negative,
        "enough_cases": found.is_enough,
        "table": {
            reader: dict(zip(SCORES, row, strict=True))
            for reader, row in zip(SCORES, found.table.tolist(), strict=True)
        },
        "kappa": None if kappa is None else {"value": kappa.value, "interval95": _listed(kappa.interval)},
        "same_score": _proportion_json(found.same_score),
        "concordance": _proportion_json(found.concordance),
        "cuts": [
            {"name": cut.name, "positive": _proportion_json(cut.positive), "negative": _proportion_json(cut.negative)}
            for cut in found.cuts
        ],
        "left_out": [{"line": item.line, "case": item.case, "reason": item.reason} for item in scores.left_out],
    }


def _proportion_json(found: Proportion) -> dict[str, Any]:
    return {"hits": found.hits, "n": found.n, "share": found.share, "interval95": _listed(found.interval)}


def _listed(interval: Sequence[float] | None) -> list[float] | None:
    return None if interval is None else list(interval)
