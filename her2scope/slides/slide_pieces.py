"""Pieces of tissue on one slide that read as different as a case and its control: perhaps nobody outlined that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellCounts
from her2scope.domain.guideline import Score
from her2scope.domain.score import TooFewCells, find_score
from her2scope.domain.score_sentence import whole
from her2scope.imaging.opencv import cv2
from her2scope.slides.records import SlideCells, Square, TissueMap
from her2scope.slides.slide_score import Rules, scored_squares

APART_UM = 200.0
"""Tissue with less glass between is one piece: a cleft, or a duct. Cores of a control lie farther from the case."""
HIGH: Score = "3+"
LOW: tuple[Score, ...] = ("0", "1+")


@dataclass(frozen=True, slots=True)
class PieceOfTissue:
    """Tissue with glass all around it."""

    x_um: float
    y_um: float
    """Mean place of its cells."""
    n_tumour: int
    score: Score


def pieces_doubt(cells: SlideCells, tissue: TissueMap, rules: Rules, um_per_px: float) -> tuple[str, ...]:
    """Why the slide may hold a control that nobody outlined; empty where its pieces are not that different.

    One tumour that is 3+ in one piece and 0 or 1+ in another is rare; a control beside the case is not.
    """
    pieces = sorted(_pieces(cells, tissue, rules, um_per_px), key=lambda piece: -piece.n_tumour)
    high = next((piece for piece in pieces if piece.score == HIGH), None)
    low = next((piece for piece in pieces if piece.score in LOW), None)
    if high is None or low is None:
        return ()
    return (
        f"separate pieces of tissue read {_said(high)} and {_said(low)}: if one is a control, outline it (control 3+, "
        "control 0); if all are the case, outline its tumour and name that class with --count-in",
    )


def _said(piece: PieceOfTissue) -> str:
    place = f"x {piece.x_um / 1000:.1f}, y {piece.y_um / 1000:.1f} mm"
    return f"{piece.score} ({whole(piece.n_tumour)} tumour cells around {place})"


def _pieces(cells: SlideCells, tissue: TissueMap, rules: Rules, um_per_px: float) -> Iterator[PieceOfTissue]:
    """Pieces with cells enough for a score."""
    labels = _labels(tissue)
    rows, columns = labels.shape
    row, column = (np.floor(place / tissue.square_um).astype(np.intp) for place in (cells.y_um, cells.x_um))
    piece_of = labels[np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)]
    order = np.argsort(piece_of, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(piece_of[order])) + 1):
        if len(rows) < rules.min_cells:  # a slide may have thousands of crumbs
            continue
        own = cells.chosen(rows)
        squares = [square.counts for square in scored_squares(own)]
        counts, false_rates = CellCounts.total(squares), rules.false_rates.over(squares)
        found = find_score(counts, rules.guideline, false_rates, um_per_px, rules.min_cells)
        if not isinstance(found, TooFewCells):
            yield PieceOfTissue(float(own.x_um.mean()), float(own.y_um.mean()), counts.n_tumour, found.score)


def _labels(tissue: TissueMap) -> NDArray[np.int32]:
    """Number of the piece that each square lies in; squares less than `APART_UM` from each other are of one."""
    reach = int(APART_UM / 2 / tissue.square_um)
    grown = cv2.dilate(
        (tissue.squares == Square.TISSUE).astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    )
    _, labels = cv2.connectedComponents(grown)
    return np.asarray(labels, np.int32)
