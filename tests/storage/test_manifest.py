"""The manifest: which bytes it has, what it lists, what it refuses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.event_chain import ChainHead
from her2scope.storage.manifest import FileDigest, Manifest, digests, read_manifest, remove_manifest, write_manifest

DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
FILES = st.dictionaries(st.text(min_size=1, max_size=20), st.builds(FileDigest, st.integers(0, 2**40), DIGESTS))
MANIFESTS = st.builds(Manifest, st.text(), st.builds(ChainHead, st.integers(0, 10**6), DIGESTS), FILES)


@given(MANIFESTS)
def test_a_manifest_comes_back_as_it_was(manifest: Manifest) -> None:
    assert read_manifest(manifest.to_bytes()) == manifest


@given(MANIFESTS, st.data())
def test_any_changed_byte_of_it_is_found(manifest: Manifest, data: st.DataObject) -> None:
    content = manifest.to_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    changed = bytes([content[place] ^ data.draw(st.integers(1, 255))])
    with pytest.raises(ValueError, match="^(it is|an entry|its digest)"):
        read_manifest(content[:place] + changed + content[place + 1 :])


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"[" * 100_000, b"\xff", b'{"schema": "her2scope.manifest/1"}'])
def test_what_is_no_manifest_is_said(content: bytes) -> None:
    with pytest.raises(ValueError, match="^(it is|an entry)"):
        read_manifest(content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("case.sqlite", "case.lock", "case.sqlite-shm", "case.sqlite-wal", "images/a.png", ".DS_Store"):
        (tmp_path / name).write_bytes(b"" if name.endswith("-wal") else name.encode())
    return tmp_path


def test_it_lists_what_belongs_to_a_closed_case(folder: Path) -> None:
    sha256 = write_manifest(folder, "case 1", ChainHead(3, "ab" * 32))
    content = (folder / "manifest.json").read_bytes()
    assert sha256 == hashlib.sha256(content).hexdigest()
    manifest = read_manifest(content)
    assert (manifest.case_id, manifest.head) == ("case 1", ChainHead(3, "ab" * 32))
    assert set(manifest.files) == {"case.sqlite", "images/a.png"}
    assert manifest.files["images/a.png"] == FileDigest(12, hashlib.sha256(b"images/a.png").hexdigest())
    assert json.loads(content)["schema"] == "her2scope.manifest/1"


def test_a_journal_that_holds_something_belongs_to_it(folder: Path) -> None:
    (folder / "case.sqlite-wal").write_bytes(b"x")
    assert "case.sqlite-wal" in digests(folder)


def test_it_can_be_taken_away_twice(folder: Path) -> None:
    write_manifest(folder, "case 1", ChainHead(0, ""))
    for _ in range(2):
        remove_manifest(folder)
        assert not (folder / "manifest.json").exists()
