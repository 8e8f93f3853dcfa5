"""What travels while a whole slide is scored. Places on a slide are um from the corner of its full resolution."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellClass, CellCounts, StainCuts
from her2scope.domain.control import CutsFrom
from her2scope.domain.score import CaseScore, ControlStanding
from her2scope.records import ControlReading, ProgramInfo, RgbImage
from her2scope.settings import Calibration, ScoringSettings, Vector

CLASS_CODES: tuple[CellClass, ...] = tuple(CellClass)
"""`SlideCells.class_code` is a place in this."""
NO_CLASS = 255
"""Class code of a cell that is not tumour."""
OUTLINE_PLACES = 24
"""Places of a cell's outline that are kept: enough to draw it, an eighth of what it was measured at."""


class Square(IntEnum):
    """What a square of a slide's map holds. Only cells in `TISSUE` are looked for and counted."""

    GLASS = 0
    TISSUE = 1
    PEN = 2
    FOLD = 3
    BLUR = 4
    LEFT_OUT = 5
    """By a polygon or a region model: tissue, but not where to count."""
    CONTROL = 6
    """Tissue of known score: read as control, never counted."""


@dataclass(frozen=True, slots=True)
class SlideScale:
    """The level of a slide that is read, and its pixel size."""

    level: int
    downsample: float
    """Pixels of the full resolution to one of this level, along each side."""
    um_per_px: float
    """Of this level."""
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True, eq=False)
class TissueMap:
    """A slide in squares: where tissue lies, and what was left out and why."""

    square_um: float
    squares: NDArray[np.uint8]
    """`(rows, columns)` of `Square` values; square (0, 0) begins at the slide's corner."""

    def at(self, x_um: NDArray[np.float64], y_um: NDArray[np.float64]) -> NDArray[np.uint8]:
        """`Square` value at each place; `GLASS` beyond the slide."""
        column, row = (np.floor(place / self.square_um).astype(np.intp) for place in (x_um, y_um))
        rows, columns = self.squares.shape
        within = (column >= 0) & (row >= 0) & (column < columns) & (row < rows)
        found = np.full(len(column), Square.GLASS, np.uint8)
        found[within] = self.squares[row[within], column[within]]
        return found

    def area_mm2(self, *kinds: Square) -> float:
        """Area of the squares of these kinds."""
        return int(np.isin(self.squares, kinds).sum()) * (self.square_um / 1000.0) ** 2


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What is known of a slide before any cell is looked for."""

    path: Path
    scale: SlideScale
    white_rgb: Vector
    """Of the glass (0..255), or the calibration's: one for the whole slide, so that tiles agree."""
    white_estimated: bool
    tissue: TissueMap
    overview: RgbImage
    """The whole slide, small."""
    overview_um_per_px: float
    notes: tuple[str, ...] = ()
    """What a reader should know, in words."""
    refusals: tuple[str, ...] = ()
    """Why this slide cannot be scored (its colours are not haematoxylin and DAB), in words; empty where it can."""
    doubts: tuple[str, ...] = ()
    """Why a score of it may not be reported, in words."""


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """One piece of the plan: its core in px of the level that is read. Cores do not overlap and cover all tissue."""

    row: int
    column: int
    left_px: int
    top_px: int
    width_px: int
    height_px: int

    @property
    def name(self) -> str:
        """Of the file that its result is kept in."""
        return f"r{self.row:05d}c{self.column:05d}"


@dataclass(frozen=True, slots=True, eq=False)
class SlideCells:
    """N cells of a slide, as columns."""

    x_um: NDArray[np.float64]
    y_um: NDArray[np.float64]
    radius_um: NDArray[np.float32]
    """Of the nucleus."""
    class_code: NDArray[np.uint8]
    """Place in `CLASS_CODES`; `NO_CLASS` for a cell that is not tumour."""
    completeness: NDArray[np.float32]
    intensity_od10: NDArray[np.float32]
    intense_share: NDArray[np.float32]
    uniform_od10: NDArray[np.float32]
    uncertain: NDArray[np.bool_]
    """No place of the cell is stained beyond doubt."""
    within: NDArray[np.bool_]
    """Where the region model says that cells are counted; True everywhere without one."""
    outline_um: NDArray[np.float16]
    """`(N, OUTLINE_PLACES, 2)` offsets (x, y) from the cell's middle."""

    def __len__(self) -> int:
        return len(self.x_um)

    @property
    def is_tumour(self) -> NDArray[np.bool_]:
        """`(N,)`."""
        return self.class_code != NO_CLASS

    @property
    def is_uncertain_faint(self) -> NDArray[np.bool_]:
        """`(N,)` called faint, but no place of it is stained beyond doubt."""
        return self.uncertain & (self.class_code == CLASS_CODES.index(CellClass.INCOMPLETE_FAINT))

    def chosen(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> SlideCells:
        """Some of the cells."""
        return SlideCells(*(getattr(self, item.name)[which] for item in fields(self)))

    @staticmethod
    def joined(parts: list[SlideCells]) -> SlideCells:
        """The cells of several tiles."""
        if not parts:
            return NO_CELLS
        return SlideCells(
            *(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(SlideCells))
        )


def _none() -> SlideCells:
    one = np.zeros(0, np.float32)
    empty = np.zeros(0)
    outlines = np.zeros((0, OUTLINE_PLACES, 2), np.float16)
    codes, flags = np.zeros(0, np.uint8), np.zeros(0, np.bool_)
    return SlideCells(empty, empty, one, codes, one, one, one, one, flags, flags, outlines)


NO_CELLS = _none()


@dataclass(frozen=True, slots=True)
class TileWork:
    """All that a worker must know to analyse tiles of one slide, on whatever computer it runs; it can be pickled."""

    path: Path
    scale: SlideScale
    white_rgb: Vector
    white_estimated: bool
    calibration: Calibration
    settings: ScoringSettings
    method: str
    cuts: StainCuts
    """The control's, where one was read; the settings' else."""
    region_model: Path | None = None
    """Folder of the model that says where to count."""
    count_in: tuple[str, ...] = ()
    """Its classes in which cells are counted."""
    least_probability: float = 0.5
    """Of these classes together, where a cell counts."""
    slide_sha256: str = ""
    """`run_identity.slide_digest` of the file: a worker that sees another one under its path refuses. Empty: any."""
    model_sha256: str = ""
    """Digest of the method's model: a worker that would run another one refuses. Empty: any."""


@dataclass(frozen=True, slots=True, eq=False)
class TileResult:
    """What was found in a tile.

    Cells whose nucleus' middle lies in its core, or so near beside it that a neighbouring tile may find the same cell
    on its own side: `seams` counts it once.
    """

    tile: Tile
    cells: SlideCells
    doubts: tuple[str, ...]
    """Of the method on so stained tissue, in words."""
    seconds: float
    """That it took."""


@dataclass(frozen=True, slots=True)
class ScoredSquare:
    """A square of a slide with cells to count: what a field is to a case."""

    number: int
    """From 1 on, row by row."""
    left_um: float
    top_um: float
    side_um: float
    counts: CellCounts


@dataclass(frozen=True, slots=True)
class HotSpot:
    """A part of a slide whose tumour cells are stained clearly more than the slide's."""

    x_um: float
    y_um: float
    """Its middle."""
    side_um: float
    counts: CellCounts
    number: int = 0
    """Of its square."""
    words: str = ""
    """Of what it has more, beside the whole slide."""


@dataclass(frozen=True, slots=True, eq=False)
class SlideScore:
    """A whole slide, scored."""

    survey: Survey
    case: CaseScore
    """Score, shares, intervals, doubts; squares of the slide take the place of fields."""
    standing: ControlStanding
    cuts: StainCuts
    cuts_from: CutsFrom
    complete_percent: float | None
    """Tumour cells with complete membrane staining, moderate or intense; None where no cell is counted."""
    complete_interval95_percent: tuple[float, float] | None
    hot_spots: tuple[HotSpot, ...]
    counted_mm2: float
    """Of tissue in which cells were looked for."""
    n_tiles: int
    program: ProgramInfo
    notes: tuple[str, ...] = ()
    """What a reader should know, in words."""
    controls: tuple[ControlReading, ...] = ()
    """Readings that the standing rests on, one per level, the 3+ level first."""
    squares: tuple[ScoredSquare, ...] = ()
    """All with a cell to count, in the order of their numbers."""
    guideline: str = ""
    settings_sha256: str = ""
    """Digest of settings, method, model and guideline."""


@dataclass(frozen=True, slots=True, eq=False)
class SlideOutcome:
    """What became of one slide of a run."""

    path: Path
    score: SlideScore | None
    folder: Path | None
    """Where its results lie."""
    problem: str = ""
    """Why there is no score, in one line; empty where there is one."""
