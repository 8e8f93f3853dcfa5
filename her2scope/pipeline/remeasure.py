"""A field by other cuts and another cell rule, from what was stored of it: no network, no segmentation.

Sliders move a whole case so, and a control that is read late sets the scale of the fields before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from her2scope.domain.cells import CellKind, CellRule, MembraneMeasure, StainCuts, classify
from her2scope.imaging.profiles import UNIFORM_SHARE, redrawn_mask
from her2scope.imaging.staining import characteristic_curve, with_membranes
from her2scope.imaging.stains import unmix
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.records import Cell, FieldResult, class_counts

Cut = Literal["stained", "moderate", "intense", "complete_share"]
CUTS: frozenset[Cut] = frozenset(("stained", "moderate", "intense", "complete_share"))


def movable(result: FieldResult) -> frozenset[Cut]:
    """Which cuts of a field can be moved without reading its frame again.

    All where profiles are kept, and where there is no tumour cell to move. Else completeness and the moderate cut,
    which only part what was measured; the intense cut too where the od10 that three quarters of an outline reach was
    measured of every cell that has stain on as much. The stained cut decides what was measured.
    """
    if result.profiles is not None:
        return CUTS
    measures = [cell.measure for cell in _tumour(result.cells)]
    if not measures:
        return CUTS
    if all(one.uniform_od10 > 0 for one in measures if one.completeness >= UNIFORM_SHARE):
        return CUTS - {"stained"}
    return CUTS - {"stained", "intense"}


def with_rule(result: FieldResult, analyser: FieldAnalyser, cuts: StainCuts, rule: CellRule) -> FieldResult:
    """The same field with its measures, classes, counts and score by other cuts and another cell rule.

    No pixel is looked at: membrane mask, curve and stain summary stay as they were (`with_pixels` follows them up).
    Cells that do not change are the same objects.

    Where no profiles are kept only the classes are taken anew, from the stored measures: completeness needed and the
    moderate cut act exactly, the intense cut by `uniform_od10` where that is measured (see `movable`) and the rule
    asks for the share that it stands for; `intense_share` is then 0 or that share. What cannot be moved stays, and
    the field's `cuts` say so.
    """
    if not result.quality.usable:
        return replace(result, cuts=cuts)
    measures: Iterable[MembraneMeasure]
    if result.profiles is None:
        cuts = _cuts_that_act(result, cuts, rule)
        measures = _stored_measures(result, cuts)
    else:
        measures = analyser.segmenter.measure_again(result.profiles, cuts)
    cells = tuple(_remeasured(result.cells, measures, cuts, rule))
    counts = class_counts(cell for cell in cells if cell.is_countable)
    finding = analyser.find(counts, result.frame.um_per_px)
    return replace(result, cells=cells, cuts=cuts, counts=counts, finding=finding)


def with_pixels(moved: FieldResult, analysed: FieldResult, analyser: FieldAnalyser) -> FieldResult:
    """What `with_rule` made of an analysed field, with what its pixels say by the new cuts.

    That is the membrane mask, and where the stained cut moved the curve, the stain summary and the method's doubts.
    Below the stained cut that the field was analysed with, the mask cannot grow: it keeps what it has. Without
    profiles it stays as it is.
    """
    now, before = moved.cuts, analysed.cuts
    stained_moved = now.stained_od10 != before.stained_od10
    if moved.profiles is None or not (stained_moved or now.intense_od10 != before.intense_od10):
        return moved
    frame = moved.frame
    stains = unmix(frame.rgb, frame.um_per_px, analyser.calibration)
    moved = replace(moved, membrane=redrawn_mask(analysed.membrane, stains.dab_od10, now))
    if not stained_moved:
        return moved
    summary = with_membranes(analysed.stain, moved.cells)
    said = analyser.segmenter.doubts(analysed.stain)
    others = [doubt for doubt in analysed.doubts if doubt not in said]
    return replace(
        moved,
        curve=characteristic_curve(frame.rgb, stains, now.stained_od10),
        stain=summary,
        doubts=(*analyser.segmenter.doubts(summary), *others),
    )


def measured_again(result: FieldResult, analyser: FieldAnalyser, cuts: StainCuts) -> FieldResult:
    """The field as analysing its frame with these cuts gives it: from its profiles where they tell all, else by that.

    They do where the same program read them and the stained cut is not lowered.
    """
    same_program = result.program == analyser.program(result.program.provider)
    if result.profiles is None or not same_program or cuts.stained_od10 < result.cuts.stained_od10:
        return analyser.analyse(result.frame, cuts)
    return with_pixels(with_rule(result, analyser, cuts, analyser.segmenter.rule), result, analyser)


def _tumour(cells: tuple[Cell, ...]) -> Iterator[Cell]:
    return (cell for cell in cells if cell.kind is CellKind.TUMOUR)


def _remeasured(
    cells: tuple[Cell, ...], measures: Iterable[MembraneMeasure], cuts: StainCuts, rule: CellRule
) -> Iterator[Cell]:
    """The cells with these measures of the tumour cells among them; those that stay as they were themselves."""
    following = iter(measures)
    for cell in cells:
        if cell.kind is not CellKind.TUMOUR:
            yield cell
            continue
        measure = next(following)
        cell_class = classify(measure, cuts, rule)
        unchanged = cell_class is cell.cell_class and measure == cell.measure
        yield cell if unchanged else replace(cell, measure=measure, cell_class=cell_class)


def _stored_measures(result: FieldResult, cuts: StainCuts) -> Iterator[MembraneMeasure]:
    """The measures as they are; where the intense cut moved, it is only known whether enough of an outline is above."""
    moved = cuts.intense_od10 != result.cuts.intense_od10
    cut_od10 = np.float32(cuts.intense_od10)  # measures are taken in single precision
    for cell in _tumour(result.cells):
        measure = cell.measure
        share = UNIFORM_SHARE if measure.uniform_od10 >= cut_od10 else 0.0
        yield replace(measure, intense_share=share) if moved else measure


def _cuts_that_act(result: FieldResult, cuts: StainCuts, rule: CellRule) -> StainCuts:
    """Of the cuts wanted for a field without profiles, those that can act; the others as it was read with."""
    stained, intense = result.cuts.stained_od10, result.cuts.intense_od10
    if "intense" in movable(result) and rule.intense_share == UNIFORM_SHARE:
        intense = max(stained, cuts.intense_od10)
    return StainCuts(stained, min(max(stained, cuts.moderate_od10), intense), intense)
