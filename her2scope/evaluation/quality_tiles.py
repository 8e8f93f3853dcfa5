"""Tiles of which some are sharp and others blurred, grey or fat: what the quality gate lets through, and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from her2scope.evaluation.table import Figure, PartReport, not_measured, told
from her2scope.evaluation.work import Analysers, Tell
from her2scope.imaging.files import IMAGE_SUFFIXES, read_rgb
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.records import FieldResult, Frame

FOLDER, UM_PER_PX = "her2_bci_20x", 0.46
SHARP = ("00002", "00006", "00013", "00014")
"""As the data's own page says; the others are grey, blurred or fat."""
THREE_PLUS = "00006"
"""The sharp tile that is clearly 3+."""
ON = "quality gate, her2_bci_20x"


@dataclass(frozen=True, slots=True)
class TileAnswer:
    """What a method says of a tile."""

    number: str
    result: FieldResult

    @property
    def is_sharp(self) -> bool:
        """Whether the tile can be scored, by eye."""
        return self.number in SHARP

    @property
    def said(self) -> str:
        """Score, or the gate's codes."""
        result = self.result
        if not result.quality.usable:
            return ", ".join(result.quality.codes)
        return f"{result.score or 'no score'}, {result.counts.n_tumour} cells"


def evaluate_quality_tiles(analysers: Analysers, data: Path, tell: Tell) -> Mapping[str, PartReport]:
    """Read each tile by itself with the default cuts: none of them has a control."""
    paths = sorted(path for path in (data / FOLDER).iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    frames = {path.stem.partition("_")[0]: Frame(read_rgb(path), 0, 0.0, UM_PER_PX) for path in paths}
    tell(f"quality tiles: {len(frames)} tiles")
    return {
        method: _report([_answer(analyser, number, frame) for number, frame in frames.items()])
        for method, analyser in analysers.items()
    }


def _answer(analyser: FieldAnalyser, number: str, frame: Frame) -> TileAnswer:
    return TileAnswer(number, analyser.analyse(frame, analyser.default_cuts))


def _report(answers: Sequence[TileAnswer]) -> PartReport:
    if not answers:
        return PartReport((not_measured(ON, "tiles let through", "no tile in --data"),))
    sharp = [answer.result.quality.usable for answer in answers if answer.is_sharp]
    others = [not answer.result.quality.usable for answer in answers if not answer.is_sharp]
    figures = [
        Figure(ON, "sharp tiles read", "all", None, f"{sum(sharp)} of {len(sharp)}", all(sharp)),
        Figure(ON, "other tiles refused", "all", None, f"{sum(others)} of {len(others)}", all(others)),
    ]
    for answer in answers:
        name = f"  {answer.number}{', sharp' if answer.is_sharp else ''}"
        if answer.number == THREE_PLUS:
            figures.append(Figure(ON, name, "3+", None, answer.said, answer.result.score == "3+"))
        else:
            figures.append(told(ON, name, None, answer.said))
    details = {
        "tiles": [
            {
                "tile": answer.number,
                "sharp": answer.is_sharp,
                "usable": answer.result.quality.usable,
                "codes": list(answer.result.quality.codes),
                "reasons": list(answer.result.quality.reasons),
                "score": answer.result.score,
                "n_tumour": answer.result.counts.n_tumour,
            }
            for answer in answers
        ]
    }
    return PartReport(tuple(figures), details)
