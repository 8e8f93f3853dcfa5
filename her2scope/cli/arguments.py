"""What the commands share: exit codes, how an answer is printed, kinds of arguments."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from her2scope.domain.errors import BadInputError
from her2scope.segmentation.methods import CLOSED_CONTOURS, DEFAULT_METHOD, NETWORK

DONE, NEGATIVE, WRONG_USE = 0, 1, 2
DIFFICULTIES = ("easy", "usual", "hard")
PHANTOM_SCORES = ("0", "ultralow", "1+", "2+", "3+", "mixed")


def one_line(text: str) -> str:
    """Text with line breaks, and whatever else does not show, escaped: a file's name may hold anything."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def say(lines: Sequence[str], exit_code: int = DONE) -> int:
    """Print lines, each as one line, and hand on the exit code."""
    print("\n".join(map(one_line, lines)))
    return exit_code


def size(text: str) -> tuple[int, int]:
    """Width and height of `1280x720`."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and 16 <= int(width) <= 20000 and 16 <= int(height) <= 20000):
        raise argparse.ArgumentTypeError(f"'{text}' is not a size. Give WIDTHxHEIGHT in pixels, such as 1280x720.")
    return int(width), int(height)


def length(text: str) -> float:
    """A length in um."""
    try:
        length_um = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number. Give micrometres.") from None
    if not 1.0 <= length_um <= 100_000.0:
        raise argparse.ArgumentTypeError(f"'{text}' is no length on a slide. Give micrometres, such as 120.")
    return length_um


def scale(text: str) -> float:
    """A pixel size in um per px."""
    from her2scope.domain.units import checked_um_per_px

    try:
        return checked_um_per_px(float(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number. Give micrometres per pixel.") from None
    except BadInputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def count(text: str) -> int:
    """A number of things, 1 or more."""
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 to 100000.")
    return int(text)


def add_scale(parser: argparse._ArgumentGroup | argparse.ArgumentParser, required: bool) -> None:
    """Add the option for the scale of a picture."""
    parser.add_argument(
        "--um-per-px", type=scale, required=required, metavar="X", help="size of a pixel in um (40x: about 0.25)"
    )


def add_how(parser: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    """Add the options that decide how a picture is read."""
    parser.add_argument("--calibration", type=Path, metavar="FILE", help="the microscope's calibration (YAML)")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="scoring settings (YAML)")
    methods = f"{NETWORK} or {CLOSED_CONTOURS} (default: {DEFAULT_METHOD})"
    parser.add_argument("--method", metavar="NAME", help=methods)


def add_where(parser: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    """Add the options that say where cells are counted."""
    parser.add_argument(
        "--region-model", type=Path, metavar="DIR", help="count cells only where this region model finds such tissue"
    )
    parser.add_argument(
        "--count-in", action="append", default=[], metavar="CLASS",
        help="a class of the region model in which cells count; may be repeated",
    )  # fmt: skip


def add_material(parser: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    """Add the options that say which control of the laboratory is read."""
    parser.add_argument("--controls", type=Path, metavar="FILE", help="the laboratory's controls and limits (YAML)")
    parser.add_argument("--material", metavar="NAME", help="which control of that file (default: the first)")


class OneLineParser(argparse.ArgumentParser):
    """Wrong use is one line, not a page of usage."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Say what is wrong and where help is."""
        self.exit(WRONG_USE, f"her2scope: {one_line(message)} (see '{self.prog} --help')\n")
