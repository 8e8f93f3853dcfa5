"""The folder of a slide's results: made aside as a whole, then renamed, so that nobody finds half of it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from her2scope.domain.errors import BadInputError, DiskFullError, StoreError
from her2scope.imaging.files import encode_png
from her2scope.reporting.json_report import json_bytes
from her2scope.slides.records import CLASS_CODES, SlideCells
from her2scope.slides.slide_geojson import write_cells, write_squares
from her2scope.slides.slide_html import slide_html
from her2scope.slides.slide_json import SLIDE_SCHEMA, slide_json
from her2scope.slides.slide_pdf import slide_pdf
from her2scope.slides.slide_words import SlideContent

JSON_NAME = "slide.json"
CELL_FILES = ("cells.npz", "cells.geojson", "squares.geojson", "heat_map.png", "staining_map.png")
"""Written where cells were looked for."""
FILES = (JSON_NAME, "overview.png", "report.html", "report.pdf", *CELL_FILES)


def check_folder(folder: Path, identity: str | None) -> None:
    """BadInputError where something lies there that is not results of the slide of this `run_identity.slide_digest`.

    Of a slide that cannot be read nobody can tell whose the results are: nothing is written there then.
    """
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise BadInputError(f"{folder}: there is a file of this name. Give another --out.")
    others = sorted(item.name for item in folder.iterdir() if item.name not in FILES)
    if others:
        raise BadInputError(f"{folder}: it holds '{others[0]}', which is no result of a slide. Give another --out.")
    if identity is None:
        return
    if any(folder.iterdir()) and (was := _identity_in(folder)) != identity:
        whose = "results of another slide" if was else "files that are not results of this program"
        raise BadInputError(f"{folder}: it holds {whose}. Give another --out, or move it away.")


def _identity_in(folder: Path) -> str | None:
    """Identity of the slide whose results lie in a folder; None where that cannot be told."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        data = json.loads((folder / JSON_NAME).read_bytes())
        if data["schema"] == SLIDE_SCHEMA:
            return str(data["slide"]["identity_sha256"])
    return None


def write_slide(folder: Path, content: SlideContent, cells: SlideCells) -> None:
    """Write all results of a slide, in the place of earlier ones of the same slide.

    Raises
    ------
    DiskFullError, StoreError
        If a file cannot be written; nothing is left behind, and earlier results stay.
    """
    with _made_aside(folder) as aside:
        _put(aside, JSON_NAME, json_bytes(slide_json(content.score, content.identity)))
        _put(aside, "overview.png", encode_png(content.tissue_map))
        if content.heat_map is not None and content.staining_map is not None:
            _put(aside, "heat_map.png", encode_png(content.heat_map))
            _put(aside, "staining_map.png", encode_png(content.staining_map))
            _write_cells(aside, content, cells)
        _put(aside, "report.html", slide_html(content))
        _put(aside, "report.pdf", slide_pdf(content))


def _write_cells(aside: Path, content: SlideContent, cells: SlideCells) -> None:
    scale = content.score.survey.scale
    with (aside / "cells.geojson").open("w", encoding="utf-8", newline="\n") as file:
        write_cells(file, cells, scale)
    with (aside / "squares.geojson").open("w", encoding="utf-8", newline="\n") as file:
        write_squares(file, content.score)
    np.savez_compressed(
        aside / "cells.npz",
        x_um=cells.x_um, y_um=cells.y_um, radius_um=cells.radius_um, class_code=cells.class_code,
        classes=np.array([name.value for name in CLASS_CODES]), completeness=cells.completeness,
        intensity_od10=cells.intensity_od10, intense_share=cells.intense_share, uniform_od10=cells.uniform_od10,
        uncertain=cells.uncertain, within=cells.within, outline_um=cells.outline_um,
    )  # fmt: skip


def _put(folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)


@contextlib.contextmanager
def _made_aside(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of `folder` when all that is written in it is on the disk."""
    aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        aside.mkdir(parents=True)
        yield aside
        for path in sorted(aside.iterdir()):
            _to_disk(path)
        _put_in_place(aside, folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"{folder}: the disk is full. Free some space and start again.") from error
        raise StoreError(f"{folder}: cannot be written ({error.strerror or error}). Give another --out.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _put_in_place(aside: Path, folder: Path) -> None:
    if not folder.exists():
        aside.rename(folder)
        return
    before = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.old")
    folder.rename(before)
    try:
        aside.rename(folder)
    except OSError:
        before.rename(folder)
        raise
    shutil.rmtree(before, ignore_errors=True)
