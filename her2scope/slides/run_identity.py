"""What decides the result of a slide run, as digests: results of two runs may be mixed only where these agree."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from her2scope import __version__
from her2scope.domain.errors import UnreadableImageError
from her2scope.records import ProgramInfo
from her2scope.settings.mapping import as_mapping
from her2scope.slides.records import Tile, TileWork

HEAD_BYTES = 1 << 20
"""Of a slide's beginning and of its end: a slide has gigabytes, and its headers and directories lie there."""
OF_SEVERAL_FILES = {".mrxs", ".dcm", ".vms", ".vmu", ".ndpis"}
"""Slides whose pixels lie in files beside the one that is named."""
LIBRARIES: tuple[tuple[str, ...], ...] = (
    ("dask",),
    ("distributed",),
    ("numpy",),
    ("opencv-python",),
    ("onnxruntime-gpu", "onnxruntime"),
)
"""What has a hand in the numbers or carries them; of alternatives, the one that is installed."""


@cache
def versions() -> Mapping[str, str]:
    """Of this program and what it computes with: computers that share a run must agree in them."""
    found = {"her2scope": __version__, "Python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for names in LIBRARIES:
        found[names[-1]] = next((told for name in names if (told := _version(name))), "none")
    return found


def slide_digest(path: Path) -> str:
    """SHA-256 in hex of a slide file's size, beginning and end, and of the names and sizes of what lies beside it.

    The same on every computer that sees the file. UnreadableImageError where it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            digest.update(file.read(HEAD_BYTES))
            file.seek(max(0, size - HEAD_BYTES))
            digest.update(file.read(HEAD_BYTES))
        beside = sorted((str(other.relative_to(path.parent)), other.stat().st_size) for other in _beside(path))
    except OSError as error:
        raise UnreadableImageError(path, f"it cannot be read ({error.strerror or error})", "Check the path.") from error
    digest.update(json.dumps([size, beside]).encode())
    return digest.hexdigest()


def work_digest(work: TileWork, tiles: Sequence[Tile], program: ProgramInfo) -> str:
    """SHA-256 in hex of all that decides what the tiles of a slide give: slide, settings, plan, programs, models.

    Where the files lie does not matter.
    """
    decisive = as_mapping(work) | {
        "path": [slide_digest(work.path), work.path.stat().st_mtime_ns],
        "region_model": work.region_model and _folder_digest(work.region_model),
        "tiles": [astuple(tile) for tile in tiles],
        "program": as_mapping(program),
        "versions": dict(versions()),
    }
    text = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _beside(path: Path) -> Iterator[Path]:
    """Files that belong to a slide of several files; of a DICOM slide nobody can tell by name, so all beside it."""
    if path.suffix.lower() in OF_SEVERAL_FILES:
        own_folder = path.with_suffix("")
        files = own_folder.rglob("*") if own_folder.is_dir() else path.parent.iterdir()
        yield from (other for other in files if other.is_file() and other != path)


def _folder_digest(folder: Path) -> str:
    """Of the names and contents of all files of a model's folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file():
            digest.update(f"{path.name}{os.sep}".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
