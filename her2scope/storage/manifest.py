"""The manifest of a closed case: every file of its folder with size and digest, and where its chain of events ends."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from her2scope.domain.event_chain import ChainHead
from her2scope.storage.durable_files import PART, flush_folder, write_durably

MANIFEST = "manifest.json"
SCHEMA = "her2scope.manifest/1"
CHUNK = 1 << 20
_LOCK = "case.lock"
_SHARED_INDEX, _JOURNAL = "case.sqlite-shm", "case.sqlite-wal"
"""Beside a database that is open: the first holds nothing of the case, nor does the second once it is empty."""
_LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}
"""What file browsers of macOS and Windows leave behind; nothing of a case is read from it."""
_LITTER_BEGINS = (".nfs", ".fuse_hidden")
"""Network drives call a deleted file so while a program has it open; it goes by itself."""


@dataclass(frozen=True, slots=True)
class FileDigest:
    """A file as it was when the case was closed."""

    size: int
    sha256: str

    def changed_words(self, now: FileDigest | None) -> str:
        """What is to be said of a file that is no longer this one; None: it cannot be read."""
        sizes = f" ({self.size} bytes then, {now.size} now)" if now is not None and now.size != self.size else ""
        return f"it is not as it was written{sizes}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a closed case consists of."""

    case_id: str
    head: ChainHead
    files: Mapping[str, FileDigest]
    """By path in the case's folder, with `/` between its parts."""

    def to_bytes(self) -> bytes:
        """The only bytes that this manifest can have: a change of any of them is found by writing it again."""
        body = {
            "schema": SCHEMA,
            "case_id": self.case_id,
            "n_events": self.head.n_events,
            "head": self.head.digest,
            "files": {name: asdict(file) for name, file in self.files.items()},
        }
        return _encoded({**body, "body_sha256": hashlib.sha256(_encoded(body)).hexdigest()})


def write_manifest(folder: Path, case_id: str, head: ChainHead) -> str:
    """Write the manifest of a case whose database has no journal left; durable when it returns.

    Returns the SHA-256 in hex of the manifest's own bytes. Raises OSError.
    """
    content = Manifest(case_id, head, digests(folder)).to_bytes()
    write_durably(folder / MANIFEST, content)
    flush_folder(folder)
    return hashlib.sha256(content).hexdigest()


def remove_manifest(folder: Path) -> None:
    """Take the manifest away, durably, before the case is written to. Raises OSError."""
    (folder / MANIFEST).unlink(missing_ok=True)
    flush_folder(folder)  # also where it was gone: the disk may not know that yet


def read_manifest(content: bytes) -> Manifest:
    """Manifest of a file's bytes; ValueError saying why it is none that `to_bytes` gave."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError("it is of an unknown schema")
    try:
        manifest = _from_json(data)
        same = manifest.to_bytes() == content
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise ValueError("an entry of it cannot be read") from None
    if not same:
        raise ValueError("its digest of itself does not hold")
    return manifest


def digests(folder: Path) -> dict[str, FileDigest]:
    """Size and digest of every file that belongs to the case in `folder`."""
    return {path.relative_to(folder).as_posix(): digest_of(path) for path in case_files(folder)}


def case_files(folder: Path) -> Iterator[Path]:
    """Every file that belongs to a closed case, but for its manifest, in the order of their names."""
    for path in sorted(folder.rglob("*")):
        # A link is followed by no reader of a case; as a file it would bring in what lies elsewhere.
        if (path.is_file() or path.is_symlink()) and not _is_left_out(path, folder):
            yield path


def digest_of(path: Path) -> FileDigest:
    """Size and digest of a file, or of where a link leads. Raises OSError."""
    if path.is_symlink():
        target = str(path.readlink()).encode("utf-8", "surrogateescape")
        return FileDigest(-1, hashlib.sha256(target).hexdigest())
    sha256, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            sha256.update(chunk)
            size += len(chunk)
    return FileDigest(size, sha256.hexdigest())


def _is_left_out(path: Path, folder: Path) -> bool:
    if path.name in _LITTER or path.name.startswith(_LITTER_BEGINS) or path.name.endswith(PART):
        return True
    if path.parent != folder:
        return False
    return path.name in (_LOCK, MANIFEST, _SHARED_INDEX) or (path.name == _JOURNAL and _is_empty(path))


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:  # its program closed the case just now
        return True


def _encoded(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True, indent=1).encode("ascii") + b"\n"


def _from_json(data: dict[str, Any]) -> Manifest:
    files = {name: FileDigest(**file) for name, file in data["files"].items()}
    return Manifest(data["case_id"], ChainHead(data["n_events"], data["head"]), files)
