"""A phantom slide as a small file: what it is drawn from, so that no pixel has to be stored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from her2scope.domain.errors import BadInputError, NotAvailableError, SettingsError, UnreadableImageError
from her2scope.phantom.antigen import PATTERNS
from her2scope.phantom.field import COARSEST_UM_PER_PX, FINEST_UM_PER_PX
from her2scope.phantom.ranges import DIFFICULTIES
from her2scope.phantom.run import DAMAGES, STAINERS, Run, make_run
from her2scope.phantom.scanners import DEFAULT_SCANNER, SCANNERS, scanned_by
from her2scope.phantom.slide import LEAST_CASE_UM, PhantomSlide
from her2scope.settings import as_yaml, from_mapping
from her2scope.settings.files import read_yaml

SUFFIX = ".phantom.yaml"
"""Of every such file: whoever sees the name knows that this is no patient's slide."""
MOST_CASE_UM = 100_000.0
"""No glass is longer."""
NOT_OF_SLIDES = ("wrong_level", "too_few", "drift")
"""Damages that lie in another tissue than a slide has, and a drift of the light between control and case, which share
one scan."""


@dataclass(frozen=True, slots=True)
class SlideSpec:
    """A slide to draw. The same spec gives the same bytes."""

    seed: int
    """Of the staining run."""
    score: str
    """Pattern of the case's tissue, a key of `antigen.PATTERNS`."""
    difficulty: str = "usual"
    stainer: str | None = None
    """A key of `run.STAINERS`; None: the seed's choice."""
    scanner: str = DEFAULT_SCANNER
    """A key of `scanners.SCANNERS`."""
    case_um: tuple[float, float] = (1200.0, 900.0)
    """Width and height of the case's tissue."""
    um_per_px: float = 0.25
    """At full resolution."""
    damage: str | None = None
    """What went wrong with the run, one of `run.DAMAGES`."""

    def __post_init__(self) -> None:
        _known("phantom score", self.score, list(PATTERNS))
        _known("difficulty", self.difficulty, list(DIFFICULTIES))
        _known("stainer", self.stainer, list(STAINERS))
        _known("scanner", self.scanner, list(SCANNERS))
        _known("damage of a slide", self.damage, [name for name in DAMAGES if name not in NOT_OF_SLIDES])
        if not 0 <= self.seed < 2**63:
            raise BadInputError(f"seed must be a whole number from 0 on, not {self.seed}.")
        if not FINEST_UM_PER_PX <= self.um_per_px <= COARSEST_UM_PER_PX:
            raise BadInputError(
                f"a phantom is drawn at {FINEST_UM_PER_PX} to {COARSEST_UM_PER_PX} um/px, not {self.um_per_px:g}."
            )
        if not all(LEAST_CASE_UM <= side <= MOST_CASE_UM for side in self.case_um):  # NaN is not
            wide, high = self.case_um
            raise BadInputError(
                f"a side of a case is {LEAST_CASE_UM:g} to {MOST_CASE_UM:g} um, not {wide:g} x {high:g}."
            )

    def run(self) -> Run:
        """The staining run, seen by the scanner."""
        return scanned_by(make_run(self.seed, self.difficulty, self.stainer, None, self.damage), self.scanner)

    def slide(self) -> PhantomSlide:
        """The slide, nothing of it drawn yet."""
        return PhantomSlide(self.run(), self.score, self.case_um)

    def size_px(self) -> tuple[int, int]:
        """Width and height at full resolution."""
        right_um, bottom_um = self.slide().bounds_um[2:]
        return math.ceil(right_um / self.um_per_px), math.ceil(bottom_um / self.um_per_px)


def is_phantom_slide(path: Path) -> bool:
    """Whether a file is a phantom slide, by its name alone: what it shows is no patient's tissue."""
    return path.name.lower().endswith(SUFFIX)


def phantom_stem(path: Path) -> str:
    """Name of a slide's file without its suffix, that of a phantom slide without both parts of it."""
    return path.name[: -len(SUFFIX)] if is_phantom_slide(path) else path.stem


def read_slide_spec(path: Path) -> SlideSpec:
    """Read a phantom slide's file; UnreadableImageError with the reason where it is none."""
    try:
        return from_mapping(SlideSpec, read_yaml(path), path.name)
    except (SettingsError, BadInputError) as error:
        why = str(error).removeprefix(f"{path}: ").removeprefix(f"{path.name}: ").rstrip(".")
        raise UnreadableImageError(path, f"not a phantom slide ({why})", _REMEDY) from error


_REMEDY = "Write one with: her2scope phantom slide."


def slide_spec_bytes(spec: SlideSpec) -> bytes:
    """Content of a phantom slide's file."""
    return b"# A phantom slide: drawn by her2scope as it is read. No patient's tissue.\n" + as_yaml(spec)


def _known(what: str, name: str | None, known: list[str]) -> None:
    if name is not None and name not in known:
        raise NotAvailableError(what, name, known)
