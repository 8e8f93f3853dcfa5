"""What a reader may say of single cells, of the cuts and of the case; values only, kept as events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

from her2scope.domain.cells import CellClass, CellRule, StainCuts
from her2scope.domain.errors import CaseRuleError, Her2ScopeError


class Correction(StrEnum):
    """The reader's word on one cell: its class, or that it does not count."""

    NONE = "none"
    INCOMPLETE_FAINT = "incomplete_faint"
    INCOMPLETE_INTENSE = "incomplete_intense"
    COMPLETE_MODERATE = "complete_moderate"
    COMPLETE_INTENSE = "complete_intense"
    NOT_TUMOUR = "not_tumour"
    """Stroma, lymphocyte, normal duct."""
    EXCLUDED = "excluded"
    """Not one cell, or not to be judged: a fold, a fragment, two cells in one outline."""

    @property
    def cell_class(self) -> CellClass | None:
        """Class that the reader gives; None where the cell does not count."""
        return None if self in (Correction.NOT_TUMOUR, Correction.EXCLUDED) else CellClass(self.value)


class CellStanding(StrEnum):
    """Whether a cell is in the case's counts, and why not."""

    COUNTED = "counted"
    EDGE = "edge"
    """Its outline leaves the image."""
    SEEN_BEFORE = "seen_before"
    """An earlier field shows it whole."""
    EXCLUDED = "excluded"
    """By the reader, by itself."""
    EXCLUDED_REGION = "excluded_region"
    NORMAL_DUCT = "normal_duct"
    NOT_INVASIVE = "not_invasive"
    """Outside what the reader outlined as invasive tumour."""
    OUTSIDE = "outside"
    """Outside the tissue in which the region model has cells counted."""


STANDING_WORDS: Mapping[CellStanding, str] = {
    CellStanding.COUNTED: "counted",
    CellStanding.EDGE: "not counted: cut by the picture's edge",
    CellStanding.SEEN_BEFORE: "not counted: seen whole in an earlier field",
    CellStanding.EXCLUDED: "not counted: excluded by the reader",
    CellStanding.EXCLUDED_REGION: "not counted: in an excluded region",
    CellStanding.NORMAL_DUCT: "not counted: in a normal duct (internal control)",
    CellStanding.NOT_INVASIVE: "not counted: outside the outlined invasive tumour",
    CellStanding.OUTSIDE: "not counted: outside the counted tissue, by the region model",
}


@dataclass(frozen=True, slots=True)
class RuleChange:
    """Cuts and completeness that the reader moved away from the settings and the control; None: as they were."""

    stained_od10: float | None = None
    moderate_od10: float | None = None
    intense_od10: float | None = None
    complete_share: float | None = None

    def __bool__(self) -> bool:
        return any(getattr(self, item.name) is not None for item in fields(self))

    def cuts(self, base: StainCuts) -> StainCuts:
        """Cuts in force; CaseRuleError where they would not rise from stained to intense."""
        moved = {name: value for name, value in asdict(self).items() if name != "complete_share" and value is not None}
        try:
            return replace(base, **moved)
        except Her2ScopeError:
            wanted = asdict(base) | moved
            steps = ", ".join(f"{name.removesuffix('_od10')} {value:.2f}" for name, value in wanted.items())
            raise CaseRuleError(f"cuts must rise from stained to moderate to intense, not {steps} od10.") from None

    def cuts_over(self, base: StainCuts) -> StainCuts:
        """Cuts in force over a base that came after the change: what was not moved gives way, so that they rise."""
        given = (self.stained_od10, self.moderate_od10, self.intense_od10)
        moved = [value for value in given if value is not None]
        stained = min([base.stained_od10, *moved]) if self.stained_od10 is None else self.stained_od10
        intense = max([base.intense_od10, *moved]) if self.intense_od10 is None else self.intense_od10
        between = min(max(stained, base.moderate_od10), intense)
        return StainCuts(stained, between if self.moderate_od10 is None else self.moderate_od10, intense)

    def rule(self, base: CellRule) -> CellRule:
        """Cell rule in force; CaseRuleError for a share outside 0..1."""
        if self.complete_share is None:
            return base
        try:
            return replace(base, complete_share=self.complete_share)
        except Her2ScopeError as error:
            raise CaseRuleError(str(error)) from None


@dataclass(frozen=True, slots=True)
class RuleInForce:
    """By which cuts the case's cells are classed, and how far that is from the stored settings."""

    cuts: StainCuts
    cell: CellRule
    base_cuts: StainCuts
    """The control's, else the settings'."""
    base_cell: CellRule
    change: RuleChange = RuleChange()
    is_preview: bool = False
    """A slider is being moved: nothing is recorded yet."""

    @property
    def deviates(self) -> str:
        """What the reader moved, in words; empty where the stored settings hold."""
        pairs = (
            ("stained cut", self.base_cuts.stained_od10, self.cuts.stained_od10, " od10"),
            ("moderate cut", self.base_cuts.moderate_od10, self.cuts.moderate_od10, " od10"),
            ("intense cut", self.base_cuts.intense_od10, self.cuts.intense_od10, " od10"),
            ("completeness needed", self.base_cell.complete_share, self.cell.complete_share, ""),
        )
        moved = [f"{name} {now:.2f} instead of {base:.2f}{unit}" for name, base, now, unit in pairs if now != base]
        return "; ".join(moved)


@dataclass(frozen=True, slots=True)
class CaseData:
    """What the case is, as the laboratory names it. Nothing that names the patient belongs here."""

    accession: str = ""
    block: str = ""
    slide: str = ""
    specimen: str = ""
    """Core biopsy, excision, metastasis, cytology."""
    antibody_run: str = ""
    antibody_clone: str = ""
    """As on the vial: 4B5, SP3, HercepTest."""
    cold_ischaemia_min: str = ""
    """Minutes from removal to fixation, as written; ASCO/CAP asks for at most 60."""
    fixative: str = ""
    fixation_h: str = ""
    """Hours in fixative, as written; ASCO/CAP asks for 6 to 72 in neutral buffered formalin."""

    @staticmethod
    def of(data: Mapping[str, Any]) -> CaseData:
        """As an event tells them; entries that an earlier version did not know are empty."""
        return CaseData(**{item.name: data[item.name] for item in fields(CaseData) if item.name in data})

    @property
    def slide_id(self) -> str:
        """Identity of the slide, spelling of case and spaces aside; empty while no slide is named."""
        parts = (" ".join(part.split()).casefold() for part in (self.accession, self.block, self.slide))
        return "/".join(parts) if self.slide.strip() else ""

    @property
    def title(self) -> str:
        """What the laboratory calls the case: accession, block and slide as written; empty where none is named."""
        return " \N{MIDDLE DOT} ".join(part for part in (self.accession, self.block, self.slide) if part)

    def stripped(self) -> CaseData:
        """Without spaces around the entries."""
        return CaseData(**{name: value.strip() for name, value in asdict(self).items()})


SPECIMENS = ("core biopsy", "excision", "lymph node", "metastasis", "cytology")
"""Offered to the reader; any other word may be written."""
