"""A case as one file: a zip that holds its folder, its heads and its reports, and can be verified by itself.

`bundle.json` says what is in it; `SHA256SUMS` is for those who have no her2scope: `sha256sum -c SHA256SUMS`. The same
case gives the same bytes, and a changed byte anywhere in the zip is found.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from her2scope.domain.errors import CaseDamagedError, CaseNotFoundError, StoreError
from her2scope.domain.event_chain import ChainHead
from her2scope.ports import HeadLedger, KeptHead
from her2scope.storage.case_ids import check_case_id
from her2scope.storage.case_lock import is_locked
from her2scope.storage.case_store import DATABASE, IMAGES, LOCK, UNBORN
from her2scope.storage.durable_files import ONLY_OWNER_FOLDER, PART, flush, flush_folder
from her2scope.storage.exact_zip import CHUNK, NO_ZIP, is_exact, write_zip
from her2scope.storage.failures import in_words
from her2scope.storage.findings import Finding, Verification
from her2scope.storage.head_ledger import MemoryHeadLedger, entry_line, read_entry
from her2scope.storage.line_log import NewerLineError
from her2scope.storage.manifest import MANIFEST, FileDigest, Manifest, case_files, digest_of, write_manifest
from her2scope.storage.stored_rows import connected, read_rows
from her2scope.storage.verify import image_digests, verify_case
from her2scope.storage.verify_chain import CheckedEvents, check_rows

SCHEMA = "her2scope.bundle/1"
CONTENTS, SUMS, HEADS = "bundle.json", "SHA256SUMS", "heads.jsonl"
CASE, REPORTS = "case/", "reports/"
MOST_CONTENTS = 64 << 20
"""Bytes of `bundle.json`, `SHA256SUMS` and `heads.jsonl` each: they are read whole."""

Sources = Mapping[str, Path | bytes]


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle says of itself."""

    case_id: str
    head: ChainHead
    files: Mapping[str, FileDigest]
    """All but `bundle.json` and `SHA256SUMS`, by name."""

    def to_bytes(self) -> bytes:
        """As `bundle.json`."""
        data = {
            "schema": SCHEMA,
            "case_id": self.case_id,
            "n_events": self.head.n_events,
            "head": self.head.digest,
            "files": {name: asdict(file) for name, file in self.files.items()},
        }
        return json.dumps(data, sort_keys=True, indent=1).encode("ascii") + b"\n"

    def sums(self) -> bytes:
        """As `SHA256SUMS`."""
        lines = [f"{file.sha256}  {name}\n" for name, file in sorted(self.files.items())]
        return "".join([*lines, f"{hashlib.sha256(self.to_bytes()).hexdigest()}  {CONTENTS}\n"]).encode()


# ---- export -------------------------------------------------------------------------------------------------------


def export_bundle(
    folder: Path, path: Path, ledger: HeadLedger | None = None, reports: Path | None = None
) -> Verification:
    """Write a case as one zip, also while a program has it open; written aside and renamed.

    Parameters
    ----------
    reports : folder of the case's reports, which go into the bundle where it is there

    Raises CaseNotFoundError, CaseDamagedError where the case does not verify, DiskFullError, StoreError; then nothing
    is written.
    """
    case_id = folder.resolve().name
    found = verify_case(folder, ledger)
    if not found.sound:
        first = found.findings[0]
        raise CaseDamagedError(
            f"Case {case_id} is not exported, as it does not verify: {first.where}: {first.words}. Keep its folder as "
            "it is, copy it, and see 'her2scope session verify' for all that was found."
        )
    with in_words(f"export case {case_id}", path.absolute().parent), tempfile.TemporaryDirectory() as aside:
        snapshot, case = _snapshot(folder, Path(aside))
        heads = b"".join(map(entry_line, _heads(ledger, case_id, snapshot)))
        bundle, sources = _packed(case_id, snapshot.head, {**case, HEADS: heads, **_reports(reports)})
        sha256 = _write(path, sources)
        if _digests(path, bundle.files) != bundle.files:
            path.unlink()
            raise StoreError(f"Could not export case {case_id}: it changed meanwhile. Repeat the step.")
    if ledger is not None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        ledger.keep(replace(snapshot, at_utc=now, files={path.name: sha256}))
    return found


def _snapshot(folder: Path, aside: Path) -> tuple[KeptHead, dict[str, Path | bytes]]:
    """Head and manifest of a case at one moment, which is that of its last event, and its files."""
    manifest = folder / MANIFEST
    if manifest.exists() and not is_locked(folder / LOCK):
        files = {path.relative_to(folder).as_posix(): path for path in case_files(folder)}
        chain = check_rows(read_rows(folder / DATABASE, is_open=False).rows)
        content = manifest.read_bytes()
    else:
        _copy_database(folder / DATABASE, aside / DATABASE, is_locked(folder / LOCK))
        chain = check_rows(read_rows(aside / DATABASE, is_open=False).rows)
        # Images are written before the event that names them: all of these are there.
        named = {digest for event in chain.events for digest in image_digests(event.data)}
        names = sorted(f"{IMAGES}/{digest}.png" for digest in named)
        files = {DATABASE: aside / DATABASE, **{name: folder / name for name in names}}
        digests = {name: digest_of(path) for name, path in files.items()}
        content = Manifest(folder.resolve().name, _head(chain), digests).to_bytes()
    packed: dict[str, Path | bytes] = {CASE + name: path for name, path in files.items()}
    at_utc = chain.events[-1].at_utc if chain.events else ""
    manifest_sha256 = hashlib.sha256(content).hexdigest()
    kept = KeptHead(folder.resolve().name, "exported", at_utc, _head(chain), manifest_sha256)
    return kept, {**packed, CASE + MANIFEST: content}


def _head(chain: CheckedEvents) -> ChainHead:
    return ChainHead(chain.n_events, chain.digests[chain.n_events])


def _copy_database(database: Path, copy: Path, is_open: bool) -> None:
    """All that is acknowledged at one moment, whoever writes on; without a journal beside it."""
    with connected(database, is_open) as source, closing(sqlite3.connect(copy, isolation_level=None)) as target:
        source.backup(target)
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _heads(ledger: HeadLedger | None, case_id: str, snapshot: KeptHead) -> list[KeptHead]:
    """What is kept of the case, but for earlier exports: they say nothing more, and no two bundles would be alike.

    The manifest of a case that is not closed was made for this bundle: without it nobody could tell it from a forged
    one.
    """
    kept = [] if ledger is None else [entry for entry in ledger.of_case(case_id) if entry.what != "exported"]
    known = {entry.manifest_sha256 for entry in kept} - {""}
    return kept if not known or snapshot.manifest_sha256 in known else [*kept, snapshot]


def _reports(folder: Path | None) -> dict[str, Path | bytes]:
    if folder is None or not folder.is_dir():
        return {}
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith(PART)]
    return {REPORTS + path.relative_to(folder).as_posix(): path for path in files}


def _packed(case_id: str, head: ChainHead, sources: Sources) -> tuple[Bundle, Sources]:
    """What the bundle says of itself, and all its files in their order."""
    bundle = Bundle(case_id, head, {name: _digest(source) for name, source in sorted(sources.items())})
    first: Sources = {CONTENTS: bundle.to_bytes(), SUMS: bundle.sums()}
    return bundle, {**first, **{name: sources[name] for name in bundle.files}}


def _digest(source: Path | bytes) -> FileDigest:
    return digest_of(source) if isinstance(source, Path) else _digest_of_bytes(source)


def _digest_of_bytes(content: bytes) -> FileDigest:
    return FileDigest(len(content), hashlib.sha256(content).hexdigest())


def _write(path: Path, sources: Sources) -> str:
    """Write the zip aside, flush, rename; its digest."""
    aside = path.with_name(path.name + PART)
    try:
        with aside.open("wb") as file:
            write_zip(file, sources)
            file.flush()
            flush(file.fileno())
        sha256 = digest_of(aside).sha256
        os.replace(aside, path)
        flush_folder(path.absolute().parent)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise
    return sha256


# ---- verify and restore -------------------------------------------------------------------------------------------


def verify_bundle(
    path: Path, ledger: HeadLedger | None = None, printed_heads: Sequence[str] = (), *, results: bool = True
) -> Verification:
    """Verify a bundle as `verify_case` does a folder; it is unpacked to a folder of the system, and that is removed.

    Raises StoreError where the file is no bundle at all, or cannot be read.
    """
    with _unpacked(path) as opened:
        if opened.bundle is None:
            return Verification("", ChainHead(0, ""), 0, False, opened.findings, ())
        known = ledger.of_case(opened.bundle.case_id) if ledger else ()
        own = MemoryHeadLedger((*opened.heads, *known))
        found = verify_case(opened.folder, own, printed_heads, is_copy=True, results=results)
        notes = (*found.notes, *_notes_beyond(known, found.n_events))
        return replace(found, findings=(*opened.findings, *found.findings), notes=notes)


def _notes_beyond(known: Sequence[KeptHead], n_events: int) -> Iterator[str]:
    """That a bundle goes further than the heads kept here, which say nothing of the rest: its own do, with it."""
    longest = max((entry.head.n_events for entry in known), default=n_events)
    if longest < n_events:
        yield (
            f"Only {longest} of its {n_events} events are known on this computer: where the case was gone on with "
            "elsewhere, compare its head with a printed one."
        )


def restore_bundle(
    path: Path,
    root: Path,
    case_id: str | None = None,
    ledger: HeadLedger | None = None,
    reports: Path | None = None,
) -> Verification:
    """Bring the case of a bundle back into the folder of cases `root`; made aside and renamed, all of it or nothing.

    Parameters
    ----------
    case_id : name that the case gets here; None: the one it had
    reports : folder of the reports of all cases; a case's own are put below it where none are there yet

    Raises CaseDamagedError for a bundle that does not verify, StoreError for a name that is taken.
    """
    with in_words(f"restore {path.name}", root):
        root.mkdir(mode=ONLY_OWNER_FOLDER, parents=True, exist_ok=True)
    with _unpacked(path, root) as opened, in_words(f"restore {path.name}", root):
        found = _must_be_sound(path, opened)
        name = case_id or found.case_id
        check_case_id(name)
        if (root / name).exists():
            raise StoreError(f"There is a case {name} already. Restore the bundle under another name with --as.")
        manifest = digest_of(opened.folder / MANIFEST).sha256
        if name != found.case_id:
            manifest = write_manifest(opened.folder, name, found.head)
        _only_for_the_owner(opened.folder)
        _flush_all(opened.folder)
        _keep(ledger, name, opened.heads, found.head, manifest)  # first: a case that nobody expects looks forged
        opened.folder.rename(root / name)
        flush_folder(root)
        _restore_reports(opened.reports, reports / name if reports else None)
    return replace(found, case_id=name)


@dataclass(frozen=True, slots=True)
class _Unpacked:
    """A bundle that lies unpacked aside."""

    bundle: Bundle | None
    """None where it cannot be read: then `findings` say why."""
    folder: Path
    """The case, under its own name."""
    reports: Path
    heads: tuple[KeptHead, ...]
    findings: tuple[Finding, ...]


def _must_be_sound(path: Path, opened: _Unpacked) -> Verification:
    found = None
    if opened.bundle is not None and not opened.findings:
        found = verify_case(opened.folder, MemoryHeadLedger(opened.heads), is_copy=True)
    findings = opened.findings or (found.findings if found else ())
    if found is None or findings:
        first = findings[0]
        raise CaseDamagedError(
            f"{path} is not restored, as it does not verify: {first.where}: {first.words}. Use another copy of it; "
            "nothing was changed."
        )
    return found


@contextmanager
def _unpacked(path: Path, root: Path | None = None) -> Iterator[_Unpacked]:
    """Unpack what can safely be unpacked below `root` (None: a folder of the system); gone in the end."""
    if not path.is_file():
        raise CaseNotFoundError(f"There is no bundle {path}. Check its name.")
    # `.new-`: what a crash leaves of it below `root`, the store of cases clears away.
    with in_words(f"unpack {path.name}", root or Path(tempfile.gettempdir())):
        place = Path(tempfile.mkdtemp(prefix=UNBORN, dir=root))
        try:
            yield _unpack(path, place)
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _unpack(path: Path, place: Path) -> _Unpacked:
    nothing = _Unpacked(None, place, place, (), ())
    try:
        with zipfile.ZipFile(path) as packed:
            _check_entries(packed, path.stat().st_size)
            bundle = _read_contents(packed.read(CONTENTS))
            if packed.read(SUMS) != bundle.sums():
                raise ValueError(f"its {SUMS} is not as it was written")
            heads = _read_heads(packed.read(HEADS))
            _check_names(packed, bundle)
            targets = {name: _target(place, bundle, name) for name in bundle.files}
            for name, target in targets.items():
                _unpack_file(packed, name, target)
    except (*NO_ZIP, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise  # the disk; an offset before the zip's beginning is its own fault
        words = f"it is no bundle that her2scope wrote: {error}".rstrip(".")
        return replace(nothing, findings=(Finding("bundle", path.name, words),))
    digests = {name: digest_of(target) for name, target in targets.items()}
    findings = [
        Finding("bundle_file", name, bundle.files[name].changed_words(digests[name]))
        for name in bundle.files
        if digests[name] != bundle.files[name]
    ]
    first: Sources = {CONTENTS: bundle.to_bytes(), SUMS: bundle.sums()}
    if not findings and not is_exact(path, {**first, **targets}):
        findings.append(Finding("bundle", path.name, "bytes between its files are not as they were written"))
    folder = place / CASE / bundle.case_id
    return _Unpacked(bundle, folder, place / REPORTS, heads, tuple(findings))


def _check_entries(packed: zipfile.ZipFile, size: int) -> None:
    """Refuse what could fill the disk or the memory: nothing in a bundle is packed tighter than it is."""
    entries = packed.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size for entry in entries):
        raise ValueError("a file in it is compressed")
    if sum(entry.file_size for entry in entries) > size:
        raise ValueError("its files are larger than the zip itself")
    if any(packed.getinfo(name).file_size > MOST_CONTENTS for name in (CONTENTS, SUMS, HEADS)):
        raise ValueError("its table of contents is too long")


def _check_names(packed: zipfile.ZipFile, bundle: Bundle) -> None:
    there = [entry.filename for entry in packed.infolist()]
    if sorted(there) != sorted([CONTENTS, SUMS, *bundle.files]):
        raise ValueError(f"its files are not those that {CONTENTS} names")
    if len({name.casefold() for name in there}) != len(there):
        raise ValueError("two of its files have one name")


def _read_contents(content: bytes) -> Bundle:
    """What a bundle says of itself; ValueError where it is not as it was written."""
    try:
        data: Any = json.loads(content)
        files = {name: FileDigest(**file) for name, file in data["files"].items()}
        bundle = Bundle(data["case_id"], ChainHead(data["n_events"], data["head"]), files)
        same = bundle.to_bytes() == content
        check_case_id(bundle.case_id)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError, StoreError):
        raise ValueError(f"its {CONTENTS} cannot be read") from None
    if not same:
        raise ValueError(f"its {CONTENTS} is not as it was written")
    return bundle


def _read_heads(content: bytes) -> tuple[KeptHead, ...]:
    try:
        return tuple(map(read_entry, content.splitlines()))
    except (NewerLineError, ValueError):
        raise ValueError(f"its {HEADS} cannot be read") from None


def _target(place: Path, bundle: Bundle, name: str) -> Path:
    """Where a file is unpacked; ValueError for a name that leads elsewhere, or that some system cannot have."""
    if name == HEADS:
        return place / HEADS
    parts = name.split("/")
    kind, inner = f"{parts[0]}/", parts[1:]
    if kind not in (CASE, REPORTS) or not inner:
        raise ValueError(f"{name!r:.80} belongs to no bundle")
    try:
        for part in inner:
            check_case_id(part)  # a case's name and a file's meet the same rules of three systems
    except StoreError:
        raise ValueError(f"{name!r:.80} cannot be a file's name") from None
    return Path(place, kind, *([bundle.case_id] if kind == CASE else []), *inner)


def _unpack_file(packed: zipfile.ZipFile, name: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    with packed.open(name) as source, os.fdopen(descriptor, "wb") as file:
        while chunk := source.read(CHUNK):
            file.write(chunk)


def _digests(path: Path, names: Mapping[str, FileDigest]) -> dict[str, FileDigest]:
    """Of the files as the zip holds them, read back."""
    found = {}
    with zipfile.ZipFile(path) as packed:
        for name in names:
            sha256, size = hashlib.sha256(), 0
            with packed.open(name) as file:
                while chunk := file.read(CHUNK):
                    sha256.update(chunk)
                    size += len(chunk)
            found[name] = FileDigest(size, sha256.hexdigest())
    return found


def _only_for_the_owner(folder: Path) -> None:
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        path.chmod(ONLY_OWNER_FOLDER)


def _flush_all(folder: Path) -> None:
    """Wait until the disk has every file and every name of a folder."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            flush_folder(path)
        else:
            with path.open("r+b") as file:
                flush(file.fileno())
    flush_folder(folder)


def _restore_reports(source: Path, target: Path | None) -> None:
    """Put the reports where none are: what is there already is never replaced."""
    if target is None or not source.is_dir() or target.exists():
        return
    target.parent.mkdir(mode=ONLY_OWNER_FOLDER, parents=True, exist_ok=True)
    _flush_all(source)
    shutil.move(source, target)


def _keep(ledger: HeadLedger | None, name: str, heads: Sequence[KeptHead], head: ChainHead, manifest: str) -> None:
    """Add to the ledger what the bundle knew of the case and is not there yet, and that it was restored."""
    if ledger is None:
        return
    present = ledger.of_case(name)
    for entry in (replace(entry, case_id=name) for entry in heads):
        if entry not in present:
            ledger.keep(entry)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    ledger.keep(KeptHead(name, "restored", now, head, manifest))
