"""What the reader did to a case, in the sentences and rows of a report."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass

from her2scope.domain.cells import SHARE_ORDER, CellClass, CellCounts, CellKind
from her2scope.domain.corrections import CaseData, CellStanding, Correction
from her2scope.domain.regions import Region, RegionKind, area_um2
from her2scope.overlays.palette import LABELS, REGION_LABELS, label
from her2scope.records import AcceptedField, CaseView
from her2scope.reporting import words
from her2scope.reporting.cell_standing import corrected_cells, correction_label, places_um, standings

UM2_PER_MM2 = 1e6
INTERNAL_CONTROL = "Internal control: "
MARKS_KEY = "A small white square marks a cell that the reader corrected; a line strikes out one that is excluded."
DEVIATION_TITLE = "The reader moved the cuts: deviation from the stored settings."
CASE_DATA_LABELS = {
    "accession": "Accession",
    "block": "Block",
    "slide": "Slide",
    "specimen": "Specimen",
    "antibody_run": "Antibody run",
    "antibody_clone": "Antibody clone",
    "cold_ischaemia_min": "Cold ischaemia",
    "fixative": "Fixative",
    "fixation_h": "Fixation time",
}
IN_TEMPLATE = frozenset({"antibody_clone", "cold_ischaemia_min", "fixative", "fixation_h"})
"""What stands with the entries of the CAP template, and not on page one."""
REGION_HEAD = ("Region", "Kind", "Drawn on", "Area", "Tumour cells", "Note")
CORRECTION_HEAD = ("Field", "As read", "By the reader", "Cells")
REMARK_HEAD = ("Field", "Remark")

_HELD_AS = {
    RegionKind.EXCLUDE: CellStanding.EXCLUDED_REGION,
    RegionKind.NORMAL_DUCT: CellStanding.NORMAL_DUCT,
    RegionKind.INVASIVE: CellStanding.COUNTED,
}
"""What cells are that a region of each kind holds, where nothing else was said of them."""


@dataclass(frozen=True, slots=True)
class RegionRow:
    """One region and what it does to the case."""

    region: Region
    area_um2: float
    n_tumour: int
    """Tumour cells in it that it takes out of the counts; in invasive tumour, those that are counted."""

    @property
    def cells(self) -> tuple[str, str, str, str, str, str]:
        """The row of a table, after `REGION_HEAD`."""
        drawn_on = "the map" if self.region.field is None else f"field {self.region.field}"
        effect = "counted" if self.region.kind is RegionKind.INVASIVE else "taken out"
        number, note = str(self.region.number), words.clean(self.region.note) or "-"
        return (
            number,
            REGION_LABELS[self.region.kind],
            drawn_on,
            _area(self.area_um2),
            f"{self.n_tumour} {effect}",
            note,
        )


def case_data(data: CaseData) -> tuple[tuple[str, str], ...]:
    """What the laboratory calls the case: name and entry of what was entered."""
    entries = {name: words.clean(value) for name, value in asdict(data).items() if name not in IN_TEMPLATE}
    return tuple((CASE_DATA_LABELS[name], value) for name, value in entries.items() if value)


def case_data_line(data: CaseData) -> str:
    """The same in one line; empty where nothing was entered."""
    return " \u00b7 ".join(f"{name} {value}" for name, value in case_data(data))


def deviation(view: CaseView) -> str:
    """Which cuts the reader moved, as a sentence; empty where the control's or the settings' hold."""
    if view.rule is None or not view.rule.deviates:
        return ""
    preview = " Preview: not recorded in the case." if view.rule.is_preview else ""
    return words.sentence(view.rule.deviates) + preview


def region_rows(view: CaseView) -> tuple[RegionRow, ...]:
    """Regions in force; a cell that two of them hold stands in both rows."""
    return tuple(
        RegionRow(region, area_um2(region.polygon_um), sum(_n_held(item, region) for item in view.active_fields))
        for region in view.regions
    )


def _n_held(item: AcceptedField, region: Region) -> int:
    if item.place is None or item.place.island != region.island or not item.result.cells:
        return 0
    held = region.holds(places_um(item.result, item.place))
    cells = zip(item.result.cells, standings(item), held.tolist(), strict=True)
    standing = _HELD_AS[region.kind]
    return sum(within and found is standing and cell.kind is CellKind.TUMOUR for cell, found, within in cells)


def _area(value_um2: float) -> str:
    return f"{value_um2:,.0f} \u00b5m\u00b2 ({value_um2 / UM2_PER_MM2:.4f} mm\u00b2)".replace(",", "\u202f")


def correction_rows(view: CaseView) -> tuple[tuple[str, str, str, str], ...]:
    """Field, class as read, class by the reader and number of cells, after `CORRECTION_HEAD`."""
    rows = []
    for item in view.active_fields:
        changes = Counter((name, word) for _, name, word in corrected_cells(item))
        rows += [
            (str(item.number), label(name), correction_label(word), str(n))
            for (name, word), n in sorted(changes.items(), key=_from_strongest)
        ]
    return tuple(rows)


def _from_strongest(change: tuple[tuple[CellClass | None, Correction], int]) -> tuple[int, int]:
    (name, word), _ = change
    return -1 if name is None else -name.rank, list(Correction).index(word)


def n_corrected(view: CaseView) -> int:
    """Cells of the case that the reader corrected, each once."""
    return sum(len(corrected_cells(item)) for item in view.active_fields)


def remark_rows(view: CaseView) -> tuple[tuple[str, str], ...]:
    """Field and what the reader wrote to it, after `REMARK_HEAD`."""
    return tuple(
        (str(item.number), words.clean(item.annotation)) for item in view.active_fields if item.annotation.strip()
    )


def swept_text(view: CaseView) -> str:
    """Which fields were accepted by sweeping; empty where none was."""
    swept = [str(item.number) for item in view.active_fields if item.swept]
    if not swept:
        return ""
    noun = "Field" if len(swept) == 1 else "Fields"
    return (
        f"{noun} {', '.join(swept)} accepted by sweeping: only cells within the invasive tumour that the reader "
        "outlined are counted. The program cannot tell invasive tumour from carcinoma in situ."
    )


def duct_counts(view: CaseView) -> CellCounts:
    """Cells in the normal ducts that the reader marked: the case's internal negative control."""
    return CellCounts.total(item.duct_counts for item in view.active_fields)


def duct_text(view: CaseView) -> str:
    """The internal control in a sentence; empty where no normal duct was marked."""
    counts = duct_counts(view)
    if not any(region.kind is RegionKind.NORMAL_DUCT for region in view.regions):
        return ""
    classes = ", ".join(
        [
            *(f"{LABELS[name].lower()} {n}" for name in SHARE_ORDER if (n := counts[name])),
            *([f"no tumour cell by its look {counts.n_other}"] if counts.n_other else []),
        ]
    )
    n_cells = counts.n_tumour + counts.n_other
    found = f"{words.count(n_cells, 'cell')} in normal ducts that the reader marked"
    return f"{INTERNAL_CONTROL}{found}{f'; {classes}' if classes else ''}. None of them is counted as tumour."
