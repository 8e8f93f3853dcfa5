"""What is signed with a case, and whether it still reads the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from her2scope import __version__
from her2scope.domain.events import EventKind
from her2scope.domain.score import CaseScore
from her2scope.domain.sign_off import CaseStatus
from her2scope.records import CaseView, ProgramInfo, ReaderScore

_SAME_PERCENT = 1e-6
"""Shares that differ by less are the same share, summed in another order."""


def signed_data(view: CaseView, own: ReaderScore, name: str, program: ProgramInfo) -> dict[str, Any]:
    """Of the event by which a case is signed: all that the name stands for, in figures that need no program."""
    return {
        "version": view.sign_off.version,
        "name": name,
        "looked_at_fields": True,
        "fields": [item.number for item in view.active_fields],
        **_result(view.score),
        "own_score": own.score,
        "program": asdict(program),
        "settings_sha256": view.settings_sha256,
    }


def _result(score: CaseScore) -> dict[str, Any]:
    shares = score.shares_percent
    return {
        "score": score.score,
        "category": score.category.value,
        "reportable": score.reportable,
        "n_tumour": score.counts.n_tumour,
        "shares_percent": None if shares is None else {name.value: share for name, share in shares.items()},
    }


def as_it_was_signed(view: CaseView) -> CaseView:
    """The case with a reason not to report it where it reads otherwise than it was signed: by another program.

    What was signed stands as it is in the event; a figure that differs from it is never passed off as signed.
    """
    if view.sign_off.status not in (CaseStatus.SIGNED, CaseStatus.AMENDED):
        return view
    signed = next(event.data for event in reversed(view.events) if event.kind is EventKind.SIGNED)
    differs = _difference(signed, view)
    if not differs:
        return view
    reasons, blocking = (differs, *view.score.reasons), (differs, *view.score.blocking)
    return replace(view, score=replace(view.score, reportable=False, reasons=reasons, blocking=blocking))


def _difference(signed: Mapping[str, Any], view: CaseView) -> str:
    """How the case as it reads now differs from what was signed, in words; empty where it does not."""
    now = _result(view.score)
    same = all(now[name] == signed[name] for name in ("score", "category", "reportable", "n_tumour"))
    if same and _same_shares(now["shares_percent"], signed["shares_percent"]):
        return ""
    return (
        f"this her2scope ({__version__}) reads the signed case as {_in_words(now)}; signed was "
        f"{_in_words(signed)}, with her2scope {signed['program']['version']}: what was signed holds"
    )


def _same_shares(one: Mapping[str, float] | None, other: Mapping[str, float] | None) -> bool:
    if one is None or other is None:
        return one is other
    names = one.keys() | other.keys()
    return all(abs(one.get(name, 0.0) - other.get(name, 0.0)) < _SAME_PERCENT for name in names)


def _in_words(result: Mapping[str, Any]) -> str:
    shares = result["shares_percent"] or {}
    stained = [f"{name.replace('_', ' ')} {share:.2f} %" for name, share in shares.items() if share > 0]
    score = result["score"] or "no score"
    standing = "reportable" if result["reportable"] else "not reportable"
    cells = f"{result['n_tumour']} tumour cells"
    return f"{score}, {result['category']}, {standing}, {cells} ({', '.join(stained) or 'none stained'})"
