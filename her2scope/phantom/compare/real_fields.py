"""A list of real pictures, and phantom pictures to set beside them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from her2scope.domain.errors import BadInputError
from her2scope.domain.units import checked_um_per_px
from her2scope.imaging.files import read_rgb
from her2scope.phantom.compare.measures import Marks
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.records import RgbImage

COLUMNS = ("file", "um_per_px", "score", "case", "recipe", "source")
SCORES = ("", "0", "1+", "2+", "3+")
"""Empty: no score, or one in doubt."""
MARKS_FOLDER = "her2_nuclei_reference"
"""Beside the pictures' folders: nuclei marked by hand, one JSON for a picture, of the picture's name."""


@dataclass(frozen=True, slots=True)
class RealField:
    """A line of the list."""

    file: str
    path: Path
    um_per_px: float
    score: str
    case: str
    recipe: str
    """What is special about it, in one word; empty for nothing."""
    source: str

    def read(self) -> RgbImage:
        """Read the picture."""
        return read_rgb(self.path)


def read_list(path: Path, root: Path | None = None) -> list[RealField]:
    """Read a list of real pictures.

    Parameters
    ----------
    path : CSV file with the columns `COLUMNS`
    root : folder that its file names start from; by default the list's own

    Raises
    ------
    BadInputError
        With the file and the line, where the list cannot be used.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise BadInputError(
                    f"{path}: no column {', '.join(missing)}. The first line must name {','.join(COLUMNS)}."
                )
            fields = [_field(path, rows.line_num, row, root or path.parent) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise BadInputError(f"{path}: the list cannot be read ({why}). Give a CSV file.") from error
    if not fields:
        raise BadInputError(f"{path}: the list holds no picture.")
    return fields


def _field(path: Path, line: int, row: dict[str, str | None], root: Path) -> RealField:
    file, scale, score, case, recipe, source = ((row[name] or "").strip() for name in COLUMNS)
    where = f"{path}, line {line}"
    if not file or not case:
        raise BadInputError(f"{where}: file and case must be given.")
    if score not in SCORES:
        raise BadInputError(f"{where}: score '{score}' is none of 0, 1+, 2+, 3+ (or empty, where it is in doubt).")
    try:
        um_per_px = checked_um_per_px(float(scale))
    except ValueError:
        raise BadInputError(f"{where}: um_per_px '{scale}' is not a number.") from None
    except BadInputError as error:
        raise BadInputError(f"{where}: {error}") from error
    return RealField(file, root / file, um_per_px, score, case, recipe, source)


def marks_of(field: RealField) -> Marks | None:
    """Certain nuclei marked by hand on a picture, where such a file lies in the folder of marks beside its own."""
    path = field.path.parent.parent / MARKS_FOLDER / f"{field.path.stem}.json"
    if not path.is_file():
        return None
    try:
        marked = [item for item in json.loads(path.read_text(encoding="utf-8"))["nuclei"] if item["certain"]]
        numbers = [(float(item["x"]), float(item["y"]), float(item["radius_px"])) for item in marked]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{path}: these are no marked nuclei ({error!r}).") from error
    table = np.array(numbers).reshape(-1, 3)
    if not all(map(math.isfinite, table.ravel())):
        raise BadInputError(f"{path}: a position or radius is not finite.")
    return Marks(table[:, :2], table[:, 2])


def draw_pictures(specs: Sequence[PhantomSpec], processes: int = 2) -> list[RgbImage]:
    """Phantom pictures of the specs, in order, drawn by some processes at a time."""
    if processes < 2 or len(specs) < 2:
        return [_draw(spec) for spec in specs]
    # spawned, not forked: a fork copies OpenCV's threads in whatever state they are
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return list(pool.map(_draw, specs))


def _draw(spec: PhantomSpec) -> RgbImage:
    return render_field(spec).rgb
