"""What the case scores by the stored settings, remembered while the reader has moved the cuts."""

from __future__ import annotations

from collections.abc import Hashable

from her2scope.domain.score import CaseScore
from her2scope.records import CaseView


class StoredScore:
    """Keeps the last score that nobody had moved the cuts for, as long as what is counted is the same."""

    def __init__(self) -> None:
        self._score: CaseScore | None = None
        self._of: Hashable = None

    def beside(self, view: CaseView) -> CaseScore | None:
        """Score by the stored settings of a case whose cuts were moved; None where they hold or it is not known."""
        if view.rule is None or not view.rule.deviates:
            self._score, self._of = view.score, _counted(view)
            return None
        return self._score if self._of == _counted(view) else None


def _counted(view: CaseView) -> Hashable:
    """All that a score comes from beside the cuts."""
    fields = tuple((item.number, item.active, item.corrections) for item in view.fields)
    return (view.case_id, view.ish, view.standing, view.cuts_from_control, view.regions, fields)
