"""Zip files whose every byte follows from what is in them, so that any changed one is found."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, BinaryIO, cast

CHUNK = 1 << 20
_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest a zip can name: the time of writing would make two bundles of one case differ."""
_UNIX, _FILE_MODE = 3, 0o100600 << 16
NO_ZIP = (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError)
"""What reading a damaged zip can raise beside OSError."""


def write_zip(file: IO[bytes], sources: Mapping[str, Path | bytes]) -> None:
    """Write files in their order, stored as they are: PNG is compressed already. Raises OSError."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as made:
        for name, source in sources.items():
            with _opened(source) as content, made.open(_entry(name, source), "w") as entry:
                while chunk := content.read(CHUNK):
                    entry.write(chunk)


def is_exact(path: Path, sources: Mapping[str, Path | bytes]) -> bool:
    """Whether the zip at `path` has every byte that `write_zip` gives it for `sources`. Raises OSError."""
    with path.open("rb") as present:
        mirror = _Mirror(present)
        write_zip(cast(IO[bytes], mirror), sources)  # it is all of a file that zipfile uses
        return mirror.same() and mirror.end == path.stat().st_size


def _opened(source: Path | bytes) -> IO[bytes]:
    return source.open("rb") if isinstance(source, Path) else io.BytesIO(source)


def _entry(name: str, source: Path | bytes) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.create_system, entry.external_attr = _UNIX, _FILE_MODE
    # Told beforehand, so that only a file of 2 GB and more gets the long header that not every program reads.
    entry.file_size = source.stat().st_size if isinstance(source, Path) else len(source)
    return entry


class _Mirror:
    """A file that keeps nothing but whether what is written to it equals another file.

    Headers are written once more when their size is known; only the last of such writes counts.
    """

    def __init__(self, present: BinaryIO) -> None:
        self._present, self._place, self.end = present, 0, 0
        self._wrong: set[tuple[int, int]] = set()

    def write(self, content: bytes) -> int:
        """Compare with what stands at this place in the other file."""
        self._present.seek(self._place)
        span = (self._place, len(content))
        if self._present.read(len(content)) == content:
            self._wrong.discard(span)
        else:
            self._wrong.add(span)
        self._place += len(content)
        self.end = max(self.end, self._place)
        return len(content)

    def same(self) -> bool:
        """Whether all that was written is in the other file."""
        return not self._wrong

    def seek(self, place: int, whence: int = 0) -> int:
        """Go on at another place."""
        self._place = place if whence == 0 else place + (self._place if whence == 1 else self.end)
        return self._place

    def tell(self) -> int:
        """Where the next bytes go."""
        return self._place

    def seekable(self) -> bool:
        """Whether headers can be written again."""
        return True

    def flush(self) -> None:
        """Nothing waits."""
