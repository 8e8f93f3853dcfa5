"""A case as one file: whole, alike, verified by itself, restored or refused."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from closed_cases import alter_event, closed_case, opened_case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from her2scope.domain.errors import CaseDamagedError, CaseNotFoundError, DiskFullError, StoreError
from her2scope.domain.event_chain import ChainHead
from her2scope.ports import KeptHead
from her2scope.storage.bundle import Bundle, export_bundle, restore_bundle, verify_bundle
from her2scope.storage.case_store import FolderCaseStore
from her2scope.storage.exact_zip import write_zip
from her2scope.storage.head_ledger import MemoryHeadLedger
from her2scope.storage.manifest import FileDigest
from her2scope.storage.verify import verify_case


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed case with its reports in `reports/case 1`, and its bundle; no test changes them."""
    home = tmp_path_factory.mktemp("home")
    closed_case(home / "cases", LEDGER)
    reports = home / "reports" / "case 1"
    (reports / "version-2").mkdir(parents=True)
    (reports / "report.json").write_text("{}")
    (reports / "version-2" / "report.json").write_text("[]")
    export_bundle(home / "cases" / "case 1", home / "case.zip", LEDGER, reports)
    return home


LEDGER = MemoryHeadLedger()


@pytest.fixture
def bundle(home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(home / "case.zip", tmp_path / "case.zip"))


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_bundle_verifies_itself(bundle: Path) -> None:
    found = verify_bundle(bundle)
    assert found.sound and found.sealed and (found.case_id, found.n_events) == ("case 1", 4)
    assert found.notes == ()  # the heads that it carries speak for it


def test_those_who_have_no_her2scope_can_check_it_too(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as packed:
        assert packed.testzip() is None
        packed.extractall(tmp_path / "out")
    sums = (tmp_path / "out" / "SHA256SUMS").read_text().splitlines()
    for line in sums:
        digest, name = line.split("  ", 1)
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest
    assert {line.split("  ", 1)[1] for line in sums} == names(tmp_path / "out") - {"SHA256SUMS"}
    assert "reports/version-2/report.json" in names(tmp_path / "out")


def test_the_same_case_gives_the_same_bytes(home: Path, bundle: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    export_bundle(home / "cases" / "case 1", again, LEDGER, home / "reports" / "case 1")
    assert again.read_bytes() == bundle.read_bytes()


def test_what_was_exported_is_kept_outside(home: Path, bundle: Path) -> None:
    kept = next(entry for entry in LEDGER.of_case("case 1") if entry.what == "exported")
    assert kept.head.n_events == 4
    assert kept.files == {"case.zip": hashlib.sha256(bundle.read_bytes()).hexdigest()}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_is_found_in_the_files_and_between_them(bundle: Path, data: st.DataObject) -> None:
    content = bundle.read_bytes()
    with zipfile.ZipFile(bundle) as packed:
        headers = [entry.header_offset + data.draw(st.integers(0, 40)) for entry in packed.infolist()]
        directory = data.draw(st.integers(packed.start_dir, len(content) - 1))
    place = data.draw(st.one_of(st.just(directory), st.sampled_from(headers), st.integers(0, len(content) - 1)))
    bundle.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    found = verify_bundle(bundle, results=False)
    with pytest.raises(CaseDamagedError, match="is not restored, as it does not verify"):
        restore_bundle(bundle, bundle.parent / "cases")
    bundle.write_bytes(content)
    assert not found.sound
    assert list((bundle.parent / "cases").iterdir()) == []


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.0, 0.9999))
def test_a_bundle_cut_short_is_found(bundle: Path, share: float) -> None:
    content = bundle.read_bytes()
    bundle.write_bytes(content[: int(share * len(content))])
    assert not verify_bundle(bundle, results=False).sound
    bundle.write_bytes(content)


def test_bytes_behind_its_end_are_found(bundle: Path) -> None:
    with bundle.open("ab") as file:
        file.write(b"more")
    assert not verify_bundle(bundle).sound


# ---- restore ------------------------------------------------------------------------------------------------------


def test_a_restored_case_is_the_same_and_goes_on(home: Path, bundle: Path, tmp_path: Path) -> None:
    ledger = MemoryHeadLedger()
    restore_bundle(bundle, tmp_path / "cases", ledger=ledger, reports=tmp_path / "reports")
    restored, original = tmp_path / "cases" / "case 1", home / "cases" / "case 1"
    assert names(restored) == names(original) - {"case.lock"}
    for name in names(restored):
        assert (restored / name).read_bytes() == (original / name).read_bytes()
    assert names(tmp_path / "reports" / "case 1") == {"report.json", "version-2/report.json"}
    assert [entry.what for entry in ledger.of_case("case 1")] == ["opened", "closed", "restored"]
    assert verify_case(restored, ledger).sound
    with closing(FolderCaseStore(tmp_path / "cases", ledger).open("case 1")) as case:
        assert len(case.events()) == 4
    assert verify_case(restored, ledger).sound
    assert {path.name for path in (tmp_path / "cases").iterdir()} == {"case 1"}


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_only_the_owner_may_look_into_a_restored_case(bundle: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        restore_bundle(bundle, tmp_path / "cases")
    finally:
        os.umask(before)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "cases").rglob("*"))


def test_a_name_that_is_taken_is_refused_and_another_one_taken(bundle: Path, tmp_path: Path) -> None:
    ledger = MemoryHeadLedger()
    restore_bundle(bundle, tmp_path / "cases", ledger=ledger)
    with pytest.raises(StoreError, match="There is a case case 1 already. .* --as"):
        restore_bundle(bundle, tmp_path / "cases", ledger=ledger)
    found = restore_bundle(bundle, tmp_path / "cases", "case 2", ledger)
    assert found.case_id == "case 2"
    second = verify_case(tmp_path / "cases" / "case 2", ledger)
    assert (second.findings, second.notes) == ((), ())
    with pytest.raises(StoreError, match="cannot be a case's name"):
        restore_bundle(bundle, tmp_path / "cases", "../case 3", ledger)
    assert names(tmp_path) >= {"case.zip"} and not (tmp_path / "case 3").exists()


def test_lines_of_the_ledger_are_merged_once(bundle: Path, tmp_path: Path) -> None:
    ledger = MemoryHeadLedger(LEDGER.of_case("case 1"))
    restore_bundle(bundle, tmp_path / "cases", ledger=ledger)
    assert [entry.what for entry in ledger.of_case("case 1")].count("closed") == 1


def test_reports_that_are_there_are_kept(bundle: Path, tmp_path: Path) -> None:
    own = tmp_path / "reports" / "case 1"
    own.mkdir(parents=True)
    restore_bundle(bundle, tmp_path / "cases", reports=tmp_path / "reports")
    assert names(own) == set()


def test_a_bundle_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CaseNotFoundError, match="There is no bundle"):
        verify_bundle(tmp_path / "none.zip")


def made(path: Path, files: dict[str, bytes]) -> Path:
    """A bundle with any files in it, whole in itself."""
    digests = {name: FileDigest(len(data), hashlib.sha256(data).hexdigest()) for name, data in sorted(files.items())}
    told = Bundle("case 1", ChainHead(0, ""), digests)
    with path.open("wb") as file:
        write_zip(file, {"bundle.json": told.to_bytes(), "SHA256SUMS": told.sums(), **files})
    return path


@pytest.mark.parametrize(
    "name",
    [
        "case/../../evil",
        "/evil",
        "evil",
        "case//evil",
        "case/..",
        "reports/../evil",
        "case/a\\..\\evil",
        "case/C:evil",
        "case/",
        "case/nul.txt",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    inner = tmp_path / "in" / "in"
    inner.mkdir(parents=True)
    evil = made(inner / "evil.zip", {"heads.jsonl": b"", name: b"x"})
    with pytest.raises(CaseDamagedError, match="does not verify"):
        restore_bundle(evil, inner / "cases")
    assert not verify_bundle(evil).sound
    assert names(tmp_path) == {"in/in/evil.zip"}


def test_two_names_that_are_one_on_some_systems_are_refused(tmp_path: Path) -> None:
    twice = made(tmp_path / "t.zip", {"heads.jsonl": b"", "case/a": b"1", "case/A": b"2"})
    assert "two of its files have one name" in verify_bundle(twice).findings[0].words


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("bundle.json", "{}")
        packed.writestr("case/case.sqlite", bytes(50_000_000))
    (finding,) = verify_bundle(bomb).findings
    assert "a file in it is compressed" in finding.words


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip at all" * 50])
def test_what_is_no_bundle_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    (finding,) = verify_bundle(path).findings
    assert "it is no bundle that her2scope wrote" in finding.words


# ---- export -------------------------------------------------------------------------------------------------------


def test_a_damaged_case_is_not_exported(home: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(home / "cases" / "case 1", tmp_path / "case 1"))
    alter_event(folder, 2, lambda row: row.__setitem__(3, "x"))
    with pytest.raises(CaseDamagedError, match="is not exported, as it does not verify: case.sqlite"):
        export_bundle(folder, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_a_bundle_without_a_ledger_says_that_nothing_is_kept(home: Path, tmp_path: Path) -> None:
    export_bundle(home / "cases" / "case 1", tmp_path / "out.zip")
    found = verify_bundle(tmp_path / "out.zip")
    assert found.sound and "No head of this case is kept" in found.notes[0]


@pytest.fixture(scope="module")
def open_case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("open")
    with closing(opened_case(root)):
        yield root / "case 1"


def test_a_case_is_exported_while_its_program_goes_on(open_case: Path, tmp_path: Path) -> None:
    before = names(open_case)
    export_bundle(open_case, tmp_path / "out.zip")
    found = verify_bundle(tmp_path / "out.zip")
    assert found.sound and found.sealed and found.n_events == 3
    assert names(open_case) == before
    restore_bundle(tmp_path / "out.zip", tmp_path / "cases")
    with closing(FolderCaseStore(tmp_path / "cases").open("case 1")) as case:
        assert len(case.events()) == 3


def test_a_backup_of_a_case_that_goes_on_is_restored_elsewhere(home: Path, tmp_path: Path) -> None:
    ledger = MemoryHeadLedger(LEDGER.of_case("case 1"))
    shutil.copytree(home / "cases" / "case 1", tmp_path / "cases" / "case 1")
    with closing(FolderCaseStore(tmp_path / "cases", ledger).open("case 1")) as case:
        case.append(replace(case.events()[3], number=5))
        for name in ("out.zip", "again.zip"):
            export_bundle(case.folder, tmp_path / name, ledger)
    assert (tmp_path / "out.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    assert verify_bundle(tmp_path / "out.zip").sound
    elsewhere = MemoryHeadLedger()
    restore_bundle(tmp_path / "out.zip", tmp_path / "elsewhere", ledger=elsewhere)
    assert verify_case(tmp_path / "elsewhere" / "case 1", elsewhere).sound
    (note,) = verify_bundle(tmp_path / "out.zip", LEDGER).notes
    assert note.startswith("Only 4 of its 5 events are known on this computer")


def test_what_an_older_bundle_brings_not_back_stays_said_when_the_case_goes_on(
    home: Path, bundle: Path, tmp_path: Path
) -> None:
    ledger, root = MemoryHeadLedger(LEDGER.of_case("case 1")), tmp_path / "cases"
    store = FolderCaseStore(root, ledger)
    shutil.copytree(home / "cases" / "case 1", root / "case 1")
    for step in ("lost", "new"):
        with closing(store.open("case 1")) as case:
            case.append(replace(case.events()[3], number=5, who=step))
        if step == "lost":
            shutil.rmtree(root / "case 1")
            restore_bundle(bundle, root, ledger=ledger)
        (finding,) = verify_case(root / "case 1", ledger).findings
        assert (finding.code, finding.where) == ("cut_off", "event 5")
        assert "had 5 events" in finding.words and "was restored from a bundle of 4" in finding.words


def test_a_case_that_cannot_be_put_into_the_ledger_is_not_restored(bundle: Path, tmp_path: Path) -> None:
    class Full(MemoryHeadLedger):
        def keep(self, entry: KeptHead) -> None:
            raise DiskFullError("Could not keep it: no space is left.")

    with pytest.raises(DiskFullError):
        restore_bundle(bundle, tmp_path / "cases", ledger=Full())
    assert names(tmp_path / "cases") == set()
    restore_bundle(bundle, tmp_path / "cases", ledger=MemoryHeadLedger())


def test_an_older_bundle_is_sound_and_says_that_it_is_older(home: Path, bundle: Path, tmp_path: Path) -> None:
    ledger = MemoryHeadLedger(LEDGER.of_case("case 1"))
    root = tmp_path / "cases"
    shutil.copytree(home / "cases" / "case 1", root / "case 1")
    with closing(FolderCaseStore(root, ledger).open("case 1")) as case:
        case.append(case.events()[-1].__class__(5, case.events()[2].kind, "t", "who", dict(case.events()[2].data)))
    found = verify_bundle(bundle, ledger)
    assert found.sound and "older than what is known of the case" in found.notes[0]
