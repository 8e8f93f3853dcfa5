"""How far a case has come, and what is signed, in the window's words. Pure functions."""

from __future__ import annotations

from her2scope.domain.guideline import Category
from her2scope.domain.score import ControlStatus
from her2scope.domain.sign_off import CaseStatus, Signature, SignOff
from her2scope.ports import CaseSummary
from her2scope.records import CaseView
from her2scope.ui.words import (
    CATEGORY_WORDS,
    capitalised,
    count_text,
    deviation_text,
    own_score_text,
    reportable_text,
    utc_text,
)

CONFIRMATION = "I have looked at the annotated fields of this case"
"""Asked of the finalising pathologist (CAP image-analysis guideline, doi:10.5858/arpa.2018-0378-CP)."""
STATUS_WORDS = {
    CaseStatus.OPEN: "open",
    CaseStatus.IN_REVIEW: "in review",
    CaseStatus.SIGNED: "signed",
    CaseStatus.AMENDED: "amended",
}


def is_signed(sign_off: SignOff) -> bool:
    """Whether the version that is shown stands signed."""
    return sign_off.status in (CaseStatus.SIGNED, CaseStatus.AMENDED)


def state_text(sign_off: SignOff) -> tuple[str, str]:
    """How far the case has come, and the role (colour) of that line; empty while its first version is read."""
    last = sign_off.signatures[-1] if sign_off.signatures else None
    match sign_off.status:
        case CaseStatus.SIGNED | CaseStatus.AMENDED if last is not None:
            signed = f"signed by {signature_text(last)}"
            return (capitalised(signed) if last.version == 1 else f"Amended: version {last.version}, {signed}", "good")
        case CaseStatus.IN_REVIEW:
            return (f"In review, not signed yet{_amends(sign_off)}", "warning")
        case _:
            return (f"Open{_amends(sign_off)}" if last is not None else "", "warning")


def signature_text(signature: Signature) -> str:
    """Who signed, and when."""
    return f"{signature.name}, {utc_text(signature.at_utc)}"


def title_state(sign_off: SignOff) -> str:
    """What the window's title says behind the case's name; empty while the first version is read."""
    state = STATUS_WORDS[sign_off.status]
    if sign_off.version > 1:
        return f" ({state}, version {sign_off.version})"
    return "" if sign_off.status is CaseStatus.OPEN else f" ({state})"


def chip_text(sign_off: SignOff) -> str:
    """What the badge in the picture says of the case's tissue, and the key of the next step."""
    version = f", VERSION {sign_off.version}" if sign_off.version > 1 else ""
    match sign_off.status:
        case CaseStatus.OPEN:
            return f"READING{version}   Space: add field"
        case CaseStatus.IN_REVIEW:
            return f"IN REVIEW{version}   Ctrl+Shift+S: sign"
        case _:
            return f"SIGNED{version}   Ctrl+N: next case"


def summary_state(summary: CaseSummary) -> str:
    """State of a stored case for a list."""
    state = STATUS_WORDS[summary.status]
    return f"{state}, version {summary.version}" if summary.version > 1 else state


def signing_lines(view: CaseView) -> list[str]:
    """All that a signature stands under, a line each."""
    score, own = view.score, view.reader_score
    remark = f", {own.remark}" if own is not None and own.remark else ""
    cells = count_text(score.counts.n_tumour, "tumour cell", "tumour cells")
    fields = count_text(len(view.active_fields), "annotated field", "annotated fields")
    moved = deviation_text(view.rule)
    return [
        f"Reference score: {_score_words(view)}",
        f"Your own score: {own_score_text(own)}{remark}",
        _reportable_words(view),
        f"{cells} in {fields}. Control: {_control_words(view)}",
        *([moved] if moved else []),
        *_version_lines(view.sign_off),
    ]


def _score_words(view: CaseView) -> str:
    score = view.score
    if score.score is None:
        return f"none; {'; '.join(score.reasons) or 'nothing was counted'}"
    reflex = "; reflex ISH" if score.category is Category.EQUIVOCAL else ""
    ish = f"; ISH {view.ish.value}" if view.ish is not None else ""
    borderline = "; borderline" if score.borderline else ""
    return f"{score.score}, {CATEGORY_WORDS[score.category]}{ish}{reflex}{borderline}"


def _reportable_words(view: CaseView) -> str:
    if view.score.score is None:
        return "Not reportable: there is no reference score"
    text = reportable_text(view)[0]
    blocking = "; ".join(view.score.blocking)
    return f"{text}: {blocking}" if blocking and not view.score.reportable else text


def _control_words(view: CaseView) -> str:
    standing = view.standing
    said = [standing.status.value]
    if view.control is not None and standing.status is not ControlStatus.VALID:
        said += view.control.verdict.reasons
    if standing.status is ControlStatus.INVALID and standing.overridden:
        said.append(f"overridden by the reader: {view.override_reason or ''}")
    said += standing.refusals
    return "; ".join(said)


def _version_lines(sign_off: SignOff) -> list[str]:
    if not sign_off.signatures:
        return []
    before = sign_off.signatures[-1]
    return [
        f"Version {sign_off.version}, because: {sign_off.reason}",
        f"Version {before.version} stays as {signature_text(before)} signed it",
    ]


def _amends(sign_off: SignOff) -> str:
    if not sign_off.signatures:
        return ""
    before = sign_off.signatures[-1]
    return f": version {sign_off.version}, amends the one signed by {signature_text(before)}"
