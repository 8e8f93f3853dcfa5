"""The course of a training run as a picture: loss, and Dice on the images held back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from her2scope.imaging.files import write_png
from her2scope.reporting.chart_canvas import Box, Canvas, printable

SIZE_WH, SCALE = (1280, 560), 2.0
PAPER, INK, PALE = "#ffffff", "#333333", "#d9d9d9"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito: told apart by colour-blind readers."""
LEFT: Box = (50.0, 34.0, 300.0, 240.0)
RIGHT: Box = (370.0, 34.0, 620.0, 240.0)
N_LEVELS = 5


def draw_curves(rows: Sequence[dict[str, Any]], best_epoch: int, classes: Sequence[str], path: Path) -> None:
    """Write the curves of the epochs so far as a PNG."""
    canvas = Canvas(SIZE_WH, SCALE, PAPER)
    canvas.fill((0, 0, canvas.width, canvas.height), PAPER)
    last = max(2, int(rows[-1]["epoch"]))
    losses = [float(row["loss"]) for row in rows]
    _frame(canvas, LEFT, "Loss of the tiles learnt from", (0.0, max(1e-3, *losses)), last)
    _curve(canvas, LEFT, rows, losses, (0.0, max(1e-3, *losses)), last, INK)
    late = [value for row in rows[len(rows) // 4 :] for value in row["dice"] if value is not None]
    floor = max(0.0, min(late, default=0.0) - 0.02)
    _frame(canvas, RIGHT, "Dice on the images held back", (floor, 1.0), last)
    x = _across(RIGHT, best_epoch, last)
    canvas.line([(x, RIGHT[1]), (x, RIGHT[3])], PALE, 2.0)
    canvas.text((x, RIGHT[3] - 8), f"taken: epoch {best_epoch}", INK, 9.0, "rm" if best_epoch > last / 2 else "lm")
    for k in range(len(rows[0]["dice"])):
        colour = COLOURS[k % len(COLOURS)]
        is_checked = rows[0]["dice"][k] is not None
        if is_checked:
            _curve(canvas, RIGHT, rows, [float(row["dice"][k]) for row in rows], (floor, 1.0), last, colour)
        if k < len(classes):
            words = printable(classes[k])[:30] + ("" if is_checked else " (not checked)")
            canvas.text((RIGHT[0] + 8, RIGHT[3] - 24 - 14 * k), words, colour, 10.0)
    write_png(path, canvas.rgb())


def _frame(canvas: Canvas, box: Box, title: str, span: tuple[float, float], last: int) -> None:
    left, top, right, bottom = box
    canvas.text((left, top - 16), title, INK, 12.0, bold=True)
    for n in range(N_LEVELS + 1):
        value = span[0] + (span[1] - span[0]) * n / N_LEVELS
        y = bottom - (bottom - top) * n / N_LEVELS
        canvas.level(left, right, y, PALE)
        canvas.text((left - 6, y), f"{value:.3g}", INK, 10.0, "rm")
    canvas.text((left, bottom + 14), "0", INK, 10.0, "mm")
    canvas.text((right, bottom + 14), f"epoch {last}", INK, 10.0, "rm")


def _curve(
    canvas: Canvas, box: Box, rows: Sequence[dict[str, Any]], values: Sequence[float], span: tuple[float, float],
    last: int, colour: str,
) -> None:  # fmt: skip
    _, top, _, bottom = box
    points = []
    for row, value in zip(rows, values, strict=True):
        share = min(1.0, max(0.0, (value - span[0]) / (span[1] - span[0])))
        points.append((_across(box, row["epoch"], last), bottom - (bottom - top) * share))
    if len(points) > 1:
        canvas.line(points, colour, 1.6)


def _across(box: Box, epoch: int, last: int) -> float:
    return box[0] + (box[2] - box[0]) * epoch / last
