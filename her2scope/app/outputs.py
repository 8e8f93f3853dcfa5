"""Output files of a command: checked before any work, then written all or none."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from her2scope.domain.errors import BadInputError


def check_outputs(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    """BadInputError for the first output that would replace an input or cannot be written; writes nothing itself."""
    taken = {_identity(path) for path in inputs} | _printed_to()
    folders = {parent for path in outputs for parent in _real(path).parents}
    for path in outputs:
        identity = _identity(path)
        if path.is_dir() or _real(path) in folders:
            raise BadInputError(f"{path}: this is a folder. Give the name of a file.")
        if path.exists() and not path.is_file():
            raise BadInputError(f"{path}: this is a device, not a file. Give the name of a file.")
        if identity in taken:
            raise BadInputError(f"{path}: this command reads or writes this file already. Give another name.")
        taken.add(identity)
    for path in {_real(path).parent: path for path in outputs}.values():
        _check_folder(path)


def _real(path: Path) -> Path:
    """Path with its links followed, as far as it is there; `Path.resolve` fails for links in a circle."""
    return Path(os.path.realpath(path))


def _identity(path: Path) -> object:
    """The same for two names of one file, however they are written."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return os.path.normcase(_real(path))
    except OSError as error:  # too long a name, links in a circle, a folder that may not be entered
        raise BadInputError(
            f"{path}: cannot be used ({error.strerror}). Check the name and its permissions."
        ) from error
    return found.st_dev, found.st_ino


def _printed_to() -> set[object]:
    """Identities of the files that the command's lines go to: `--json /dev/stdout >> log` would replace the log."""
    found: set[object] = set()
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            status = os.fstat(descriptor)
            found.add((status.st_dev, status.st_ino))
    return found


def _check_folder(path: Path) -> None:
    """Open a nameless file where the output, or the first of its folders to be made, will stand."""
    there = next(parent for parent in _real(path).parents if parent.exists())
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise _cannot_write(path, error) from error


def write_all(files: Mapping[Path, bytes]) -> None:
    """Write every file aside, then rename all; BadInputError where one cannot be, and then none is left."""
    with contextlib.ExitStack() as undo:
        asides = {path: _write_aside(path, data, undo) for path, data in files.items()}
        for path, aside in asides.items():
            try:
                os.replace(aside, _real(path))
            except OSError as error:
                raise _cannot_write(path, error) from error
            undo.callback(_forget, _real(path))
        undo.pop_all()  # all is written: nothing to undo


def _write_aside(path: Path, data: bytes, undo: contextlib.ExitStack) -> Path:
    """Write `data` where `path` will stand, under a short name that nothing else has."""
    folder = _real(path).parent
    aside = folder / f".her2scope-{secrets.token_hex(8)}.part"
    try:
        _make_folder(folder, undo)
        undo.callback(_forget, aside)
        with aside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _cannot_write(path, error) from error
    return aside


def _make_folder(folder: Path, undo: contextlib.ExitStack) -> None:
    for missing in reversed([item for item in (folder, *folder.parents) if not item.exists()]):
        missing.mkdir(exist_ok=True)
        undo.callback(_forget, missing)


def _forget(path: Path) -> None:
    """Remove a file or an empty folder, if it is there and that is possible."""
    with contextlib.suppress(OSError):
        path.rmdir() if path.is_dir() else path.unlink()


def _cannot_write(path: Path, error: OSError) -> BadInputError:
    return BadInputError(
        f"{path}: cannot be written ({error.strerror}). This command keeps none of its files; check the folder, its "
        "permissions and the free space."
    )
