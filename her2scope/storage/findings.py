"""What is wrong with a stored case, as `verify` says it."""

from __future__ import annotations

from dataclasses import dataclass

from her2scope.domain.event_chain import ChainHead


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written."""

    code: str
    """`event_missing`, `event_altered`, `reordered`, `cut_off`, `image_missing`, ..."""
    where: str
    """`event 5`, a file of the case's folder, `ledger`, `printed head`."""
    words: str
    """What is wrong with it: a clause that follows `where`."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found out about a case."""

    case_id: str
    head: ChainHead
    n_events: int
    sealed: bool
    """Whether a manifest lay in the folder, so that its files could be judged byte by byte."""
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    """What is to be known and no fault, each a sentence."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings
