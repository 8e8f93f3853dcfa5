"""How a cell is marked as its case has it."""

from __future__ import annotations

import dataclasses

import factories
import numpy as np

from her2scope.domain.cells import CellClass
from her2scope.domain.corrections import Correction
from her2scope.overlays.model import EVERYTHING, marks_in_case, marks_of
from her2scope.overlays.palette import HAND_COLOUR, SAFE
from her2scope.overlays.raster import draw_overlay

CELLS = [factories.cell(CellClass.COMPLETE_INTENSE, x, 32.0) for x in (16.0, 48.0)]
RESULT = factories.field_result(CELLS)


def test_a_corrected_cell_is_marked_and_an_excluded_one_struck_out() -> None:
    field = factories.accepted(RESULT)
    corrected = dataclasses.replace(field, corrections=(Correction.NONE, Correction.EXCLUDED), counted=(True, False))
    first, second = marks_in_case(corrected, SAFE)
    assert (first.corrected, first.struck, first.dashed) == (True, False, False)
    assert (second.corrected, second.struck, second.dashed) == (True, True, True)
    assert not any(mark.corrected or mark.struck for mark in marks_in_case(field, SAFE))


def test_marks_without_a_case_are_as_read() -> None:
    assert marks_of(CELLS, SAFE) == marks_of(CELLS, SAFE, [True, True], [None, None])


def test_the_readers_hand_is_drawn_in_the_picture() -> None:
    plain = draw_overlay(RESULT.frame.rgb, RESULT, SAFE, EVERYTHING)
    corrected = draw_overlay(RESULT.frame.rgb, RESULT, SAFE, EVERYTHING, corrections=(Correction.NONE, None))
    changed = (plain != corrected).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert columns.max() < 34 and rows.max() < 32  # the upper right of the first cell alone
    assert (corrected[changed] == HAND_COLOUR).all(axis=1).any()
    struck = draw_overlay(RESULT.frame.rgb, RESULT, SAFE, EVERYTHING, corrections=(Correction.EXCLUDED, None))
    assert (struck != plain).any(axis=2).sum() > 1.5 * changed.sum()
