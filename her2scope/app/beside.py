"""Phantom beside real: a contact sheet in a file, or a window to leaf through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from her2scope.app.outputs import check_outputs
from her2scope.app.window_system import has_display
from her2scope.domain.errors import BadInputError
from her2scope.imaging.files import read_rgb, write_png
from her2scope.phantom.compare.sheets import (
    SIDE_UM,
    PhantomChoice,
    Piece,
    check_sheet,
    checked_choice,
    contact_sheet,
    real_piece,
    sheet_row,
)


@dataclass(frozen=True, slots=True)
class BesideRequest:
    """What `her2scope phantom beside` was asked."""

    images: Sequence[Path]
    um_per_px: Sequence[float]
    """One for all images, or one for each."""
    choice: PhantomChoice = PhantomChoice()
    shown_um_per_px: float | None = None
    """None: the finest of the images in a sheet; in the window, as large as fills it."""
    crop_um: float | None = None
    truth: bool = False
    out: Path | None = None


def run_beside(request: BesideRequest) -> list[str]:
    """Write the sheet where one was asked for, else open the window; lines to print."""
    checked_choice(request.choice)
    if request.out is not None:
        return _write_sheet(request, request.out)
    if not has_display():
        raise BadInputError("there is no display to open a window on. Give --out SHEET.png for a contact sheet.")
    from her2scope.app.beside_view import show_beside

    show_beside(request, _real_pieces(request, request.crop_um))
    return []


def _write_sheet(request: BesideRequest, out: Path) -> list[str]:
    if out.suffix.lower() != ".png":
        raise BadInputError(f"{out}: the sheet is a PNG. Give a name that ends with .png.")
    check_outputs([out], request.images)
    side_um = SIDE_UM if request.crop_um is None else request.crop_um
    shown_um_per_px = request.shown_um_per_px or min(request.um_per_px)
    check_sheet(side_um, shown_um_per_px)
    reals = _real_pieces(request, side_um)
    rows = [sheet_row(real, request.choice, request.truth) for real in reals]
    write_png(out, contact_sheet(rows, shown_um_per_px, side_um))
    return [f"{len(rows)} real and {len(rows) * (len(rows[0]) - 1)} phantom crops written to {out}"]


def _real_pieces(request: BesideRequest, side_um: float | None) -> list[Piece]:
    """Every image is read before anything is drawn: one that cannot be used is refused at once."""
    scales = list(request.um_per_px) * (len(request.images) if len(request.um_per_px) == 1 else 1)
    if len(scales) != len(request.images):
        raise BadInputError(
            f"{len(request.images)} images and {len(scales)} pixel sizes. Give --um-per-px once, or once per image."
        )
    return [
        real_piece(read_rgb(path), path.name, um_per_px, side_um)
        for path, um_per_px in zip(request.images, scales, strict=True)
    ]
