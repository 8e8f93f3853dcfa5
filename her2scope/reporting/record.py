"""How far a case has come and what vouches for its record, in the words of a report."""

from __future__ import annotations

from dataclasses import dataclass

from her2scope.domain.event_chain import ChainHead
from her2scope.domain.reader_agreement import why_not_validated
from her2scope.domain.sign_off import CaseStatus, Signature, SignOff
from her2scope.records import CaseView, ReportContent, ValidationRecord
from her2scope.reporting import hand, words

NOT_VALIDATED = "NOT VALIDATED with these settings"
HEAD_KEY = (
    "The chain head is the end of a chain of digests through all events of the case. Typed after `her2scope session "
    "verify ... --head`, it shows whether the stored case still is the one of this report."
)
SIGNATURE_KEY = (
    "Each signer confirmed to have looked at the annotated fields (CAP guideline on image analysis, "
    "doi:10.5858/arpa.2018-0378-CP)."
)
SIGNATURE_HEAD = ("Version", "Signed by", "Signed", "Reference score", "Own score", "Fields looked at")
DIGITS_TOGETHER = 4
"""Digits of a digest between two spaces: as many as one keeps in mind while typing."""


@dataclass(frozen=True, slots=True)
class Told:
    """A line of page one, and whether it is good news."""

    title: str
    text: str
    good: bool

    @property
    def line(self) -> str:
        """Both, as one sentence."""
        return f"{self.title} {self.text}".strip()


# ---- state --------------------------------------------------------------------------------------------------------


def state(content: ReportContent) -> Told:
    """State of the case that this report tells of."""
    found = _state(content.case)
    since = later_words(content)
    return Told(found.title, f"{found.text} {since}".strip(), found.good and not since)


def _state(view: CaseView) -> Told:
    now = view.sign_off
    amends = _amends(now)
    match now.status:
        case CaseStatus.SIGNED | CaseStatus.AMENDED:
            newest = now.signatures[-1]
            text = f"on {words.when(newest.at_utc)}, version {now.version}{f', {amends}' if amends else ''}."
            return Told(f"Signed by {words.clean(newest.name)}", text, good=True)
        case CaseStatus.IN_REVIEW:
            title, text = "In review, not signed.", "The reading is finished, and waits for its signature."
        case CaseStatus.OPEN:
            title, text = "Interim report, not signed.", "The reading goes on, and the score may change."
    return Told(title, text + (f" Version {now.version}, {amends}." if amends else ""), good=False)


def _amends(now: SignOff) -> str:
    if now.version == 1:
        return ""
    reason = words.clean(now.reason).rstrip(".")
    return f"amends version {now.version - 1}" + (f" because: {reason}" if reason else "")


def later_words(content: ReportContent) -> str:
    """What became of the case after the version that this report tells of; empty where it is the newest."""
    newest, version = content.newest, content.case.sign_off.version
    if newest is None or newest.version <= version:
        return ""
    signed = newest.signatures[-1].version if newest.signatures else 0
    stands = f"version {signed} is the last one signed" if signed > version else "the amendment is not signed yet"
    return f"SUPERSEDED: the case was amended since; {stands}."


def signature_rows(view: CaseView) -> tuple[tuple[str, ...], ...]:
    """All signatures, after `SIGNATURE_HEAD`."""
    return tuple(map(_signature_row, view.sign_off.signatures))


def _signature_row(item: Signature) -> tuple[str, ...]:
    return (
        str(item.version),
        words.clean(item.name),
        words.when(item.at_utc),
        item.score or words.NO_SCORE,
        item.own_score or words.INDETERMINATE,
        ", ".join(map(str, item.fields)) or "none",
    )


# ---- validation ---------------------------------------------------------------------------------------------------


def validation(content: ReportContent) -> Told:
    """Whether scores made as this one were compared with readers'."""
    found = content.validation
    if hand.deviation(content.case):
        return Told(f"{NOT_VALIDATED}:", "the reader moved the cuts.", good=False)
    if found is None or found.settings_sha256 != content.case.settings_sha256:
        return Told(f"{NOT_VALIDATED}.", "", good=False)
    why = why_not_validated(found.n_positive, found.n_negative, found.concordance)
    if why:
        return Told(f"{NOT_VALIDATED}:", f"{why}. Compared with readers: {validation_figures(found)}.", good=False)
    return Told("Validated against readers with these settings:", f"{validation_figures(found)}.", good=True)


def validation_figures(found: ValidationRecord) -> str:
    """What the comparison with readers found."""
    figures = [
        words.count(found.n_cases, "case"),
        f"quadratic kappa {found.kappa:.2f}" if found.kappa is not None else "kappa not defined",
        f"positive agreement {_share(found.positive_agreement)}",
        f"negative agreement {_share(found.negative_agreement)}",
    ]
    return f"{', '.join(figures)} ({words.when(found.at_utc)[:10]}, {words.clean(found.source)})"


def _share(value: float | None) -> str:
    return "not defined" if value is None else words.percent(100 * value)


# ---- the chain ----------------------------------------------------------------------------------------------------


def head_text(head: ChainHead) -> str:
    """Chain head in groups that can be typed; empty where there is no event."""
    if not head.digest:
        return ""
    return f"Chain head of {words.count(head.n_events, 'event')}: {grouped(head.digest)}"


def grouped(digest: str) -> str:
    """A digest in groups of a few digits."""
    starts = range(0, len(digest), DIGITS_TOGETHER)
    return " ".join(digest[start : start + DIGITS_TOGETHER] for start in starts)


def record_rows(content: ReportContent) -> tuple[tuple[str, str], ...]:
    """State, validation and end of the chain, as pairs of name and figure."""
    view = content.case
    rows = [("State", state(content).line), ("Validation", validation(content).line)]
    if view.head.digest:
        rows.append((f"Chain head of {words.count(view.head.n_events, 'event')} (SHA-256)", grouped(view.head.digest)))
    return tuple(rows)
