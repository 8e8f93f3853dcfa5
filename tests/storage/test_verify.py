"""What verification finds in the folder of a case, and what it leaves alone."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from closed_cases import alter_event, chained, closed_case, opened_case, rows, write_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from her2scope.domain.errors import BadInputError, CaseNotFoundError
from her2scope.domain.event_chain import ChainHead
from her2scope.ports import KeptHead
from her2scope.storage.case_store import FolderCaseStore
from her2scope.storage.head_ledger import FileHeadLedger, MemoryHeadLedger
from her2scope.storage.manifest import write_manifest
from her2scope.storage.verify import Verification, verify_case

N_EVENTS = 4


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MemoryHeadLedger]:
    """A closed case that no test changes, and its ledger."""
    ledger = MemoryHeadLedger()
    return closed_case(tmp_path_factory.mktemp("verify"), ledger), ledger


@pytest.fixture
def folder(master: tuple[Path, MemoryHeadLedger], tmp_path: Path) -> Path:
    return Path(shutil.copytree(master[0], tmp_path / "cases" / master[0].name))


@pytest.fixture
def ledger(master: tuple[Path, MemoryHeadLedger]) -> MemoryHeadLedger:
    return MemoryHeadLedger(master[1].of_case("case 1"))


def found(verification: Verification) -> list[tuple[str, str]]:
    return [(item.code, item.where) for item in verification.findings]


def codes_outside_files(verification: Verification) -> list[tuple[str, str]]:
    """Findings but for those of the manifest, which finds every change of the database."""
    return [item for item in found(verification) if not item[0].startswith("file_")]


def close_anew(folder: Path) -> None:
    number, *_, digest = rows(folder)[-1]
    write_manifest(folder, folder.name, ChainHead(number, digest))


def states(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in [folder, *folder.rglob("*")]}


def test_a_closed_case_is_sound_and_is_left_as_it_is(folder: Path, ledger: MemoryHeadLedger) -> None:
    head = ChainHead(N_EVENTS, rows(folder)[-1][-1])
    before = states(folder)
    verification = verify_case(folder, ledger)
    assert states(folder) == before
    assert verification.sound and verification.sealed
    assert (verification.findings, verification.notes, verification.head) == ((), (), head)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda row: row.__setitem__(3, "somebody else"), "event_altered"),
        (lambda row: row.__setitem__(2, "2024-01-01T00:00:00.000+00:00"), "event_altered"),
        (lambda row: row.__setitem__(4, row[4].replace("1", "2", 1)), "event_altered"),
        (lambda row: row.__setitem__(5, row[5] + 1), "event_altered"),
        (lambda row: row.__setitem__(6, "0" * 64), "event_altered"),
        (lambda row: row.__setitem__(1, "resumed"), "event_altered"),
        (lambda row: row.__setitem__(4, b"\xff\xfe"), "event_altered"),
    ],
)
@pytest.mark.parametrize("number", [1, 2, N_EVENTS])
def test_an_altered_event_is_named_alone(folder: Path, number: int, change: Callable[..., Any], code: str) -> None:
    alter_event(folder, number, change)
    verification = verify_case(folder)
    assert ("file_changed", "case.sqlite") in found(verification)
    others = codes_outside_files(verification)
    assert (code, f"event {number}") in others
    assert {where for _, where in others} <= {f"event {number}", f"event {N_EVENTS}"}


def test_missing_events_are_named(folder: Path) -> None:
    write_rows(folder, [], delete=[2, 3])
    (folder / "manifest.json").unlink()
    verification = verify_case(folder)
    assert found(verification) == [("event_missing", "event 2")]
    assert verification.findings[0].words == "events 2 to 3 of the case are missing"


def test_events_that_changed_places_are_said_to_have(folder: Path) -> None:
    _, one, other, _ = rows(folder)
    write_rows(folder, [[one[0], *other[1:]], [other[0], *one[1:]]])
    assert {("reordered", "event 2"), ("reordered", "event 3")} <= set(found(verify_case(folder)))


@pytest.mark.parametrize(
    ("number", "change", "finding"),
    [
        (3, lambda row: row.__setitem__(1, "unheard_of"), ("event_unreadable", "event 3")),
        (3, lambda row: row.__setitem__(4, "[]"), ("event_unreadable", "event 3")),
        (3, lambda row: row.__setitem__(5, "noon"), ("event_unreadable", "event 3")),
        (2, lambda row: row.__setitem__(4, row[4].replace('"cells":', '"sells":', 1)), ("result", "event 2")),
        (4, lambda row: row.__setitem__(1, "signed"), ("result", "event 4")),
        (3, lambda row: row.__setitem__(5, 1), ("reordered", "event 3")),
    ],
)
def test_what_no_program_writes_is_found_in_a_chain_that_holds(
    folder: Path, number: int, change: Callable[..., Any], finding: tuple[str, str]
) -> None:
    alter_event(folder, number, change, anew=True)
    close_anew(folder)
    assert found(verify_case(folder)) == [finding]


def test_a_clock_set_back_is_a_note(folder: Path) -> None:
    def an_hour_earlier(row: list[Any]) -> None:
        row[2] = "2020-01-01T00:00:00.000+00:00"

    alter_event(folder, 3, an_hour_earlier, anew=True)
    close_anew(folder)
    verification = verify_case(folder)
    (note,) = verification.notes
    assert verification.sound
    assert note.startswith("The clock was set back by ") and note.endswith("between event 2 and event 3.")


# ---- files --------------------------------------------------------------------------------------------------------


def image_of(folder: Path) -> Path:
    return sorted((folder / "images").iterdir())[0]


def test_an_image_that_is_missing_or_altered_is_named_with_its_event(folder: Path) -> None:
    image = image_of(folder)
    name = f"images/{image.name}"
    content = image.read_bytes()
    (folder / "manifest.json").unlink()
    image.write_bytes(content[:-5] + b"\0" + content[-4:])
    assert found(verify_case(folder)) == [("image_altered", name)]
    image.write_bytes(sorted((folder / "images").iterdir())[1].read_bytes())  # whole, but another picture
    assert found(verify_case(folder)) == [("image_altered", name)]
    image.unlink()
    verification = verify_case(folder)
    assert found(verification) == [("image_missing", name)]
    assert verification.findings[0].words == "it is missing, and event 2 names it"


def test_a_file_that_was_not_there_is_found_and_litter_of_file_browsers_is_not(folder: Path) -> None:
    (folder / ".DS_Store").write_bytes(b"x")
    assert verify_case(folder).sound
    (folder / "images" / f"{'0' * 64}.png").write_bytes(b"x")
    (folder / "case.sqlite-wal").write_bytes(b"x" * 100)
    names = {where for code, where in found(verify_case(folder)) if code == "file_unlisted"}
    assert names == {f"images/{'0' * 64}.png", "case.sqlite-wal"}


def test_an_image_of_no_event_is_a_note(folder: Path) -> None:
    (folder / "images" / f"{'0' * 64}.png").write_bytes(b"x")
    close_anew(folder)
    verification = verify_case(folder)
    assert verification.sound and "1 of the images belong to no event" in verification.notes[0]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_is_found_where_it_is(folder: Path, data: st.DataObject) -> None:
    names = ["case.sqlite", "manifest.json", f"images/{image_of(folder).name}"]
    path = folder / data.draw(st.sampled_from(names))
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    changed = bytes([content[place] ^ data.draw(st.integers(1, 255))])
    path.write_bytes(content[:place] + changed + content[place + 1 :])
    verification = verify_case(folder, results=False)
    path.write_bytes(content)
    assert path.relative_to(folder).as_posix() in {item.where for item in verification.findings}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_database_is_too_broken_to_be_judged(folder: Path, data: st.DataObject) -> None:
    database = folder / "case.sqlite"
    content = bytearray(database.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(1, 3000))] = data.draw(st.binary(max_size=200))
    kept = database.read_bytes()
    database.write_bytes(content)
    verification = verify_case(folder)
    database.write_bytes(kept)
    assert not verification.sound or bytes(content) == kept


@pytest.mark.parametrize("part", ["case.sqlite", "manifest.json"])
def test_a_part_that_is_missing_or_a_folder_is_said(folder: Path, part: str) -> None:
    (folder / part).unlink()
    missing = verify_case(folder)
    (folder / part).mkdir()
    verify_case(folder)
    if part == "case.sqlite":
        assert {("file_missing", part), ("database", part)} <= set(found(missing))
    else:
        assert missing.sound and not missing.sealed and "There is no manifest.json" in missing.notes[0]


def test_the_database_s_own_guards_are_looked_for(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "case.sqlite", isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER no_removal")
        connection.execute("PRAGMA application_id = 1")
        connection.execute("PRAGMA user_version = 99")
    (folder / "manifest.json").unlink()
    words = " ".join(item.words for item in verify_case(folder).findings)
    assert "(no_removal)" in words and "not marked as a case" in words and "schema 99" in words


def test_a_folder_without_a_case_is_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(CaseNotFoundError, match="holds no case"):
            verify_case(place)


# ---- the ledger and printed heads ---------------------------------------------------------------------------------


def test_a_chain_made_anew_is_found_by_what_is_kept_elsewhere(folder: Path, ledger: MemoryHeadLedger) -> None:
    printed = rows(folder)[-1][-1]
    alter_event(folder, 3, lambda row: row.__setitem__(3, "somebody else"), anew=True)
    close_anew(folder)
    assert verify_case(folder).sound  # whole in itself
    assert found(verify_case(folder, ledger)) == [("other_chain", "event 4"), ("other_manifest", "manifest.json")]
    assert found(verify_case(folder, None, [printed])) == [("printed_head", "printed head")]
    copy = verify_case(folder, ledger, is_copy=True)
    assert found(copy) == [("other_chain", "event 4"), ("other_manifest", "manifest.json")]


def test_a_tail_cut_off_is_found_by_what_is_kept_elsewhere(folder: Path, ledger: MemoryHeadLedger) -> None:
    write_rows(folder, [], delete=[4])
    close_anew(folder)
    assert verify_case(folder).sound
    assert ("cut_off", "event 4") in found(verify_case(folder, ledger))
    copy = verify_case(folder, ledger, is_copy=True)
    assert found(copy) == [("other_manifest", "manifest.json")]  # an older copy would have one that was kept
    assert "older than what is known" in copy.notes[0]


def test_a_manifest_taken_away_is_missed(folder: Path, ledger: MemoryHeadLedger) -> None:
    (folder / "manifest.json").unlink()
    assert verify_case(folder).sound
    assert found(verify_case(folder, ledger)) == [("manifest", "manifest.json")]
    last = ledger.of_case("case 1")[-1]
    ledger.keep(KeptHead("case 1", "opened", last.at_utc, last.head))
    assert verify_case(folder, ledger).sound  # a program opened it, and ended before it closed it


def test_events_added_without_opening_the_case_are_missed(folder: Path, ledger: MemoryHeadLedger) -> None:
    (folder / "manifest.json").unlink()
    with closing(FolderCaseStore(folder.parent).open(folder.name)) as case:  # a store without the ledger
        case.append(replace(case.events()[-1], number=5))
        shutil.copytree(folder, folder.parent.parent / "left" / folder.name)
    left = verify_case(folder.parent.parent / "left" / folder.name, ledger)
    assert found(left) == [("manifest", "manifest.json")] and left.n_events == 5


def test_nobody_hides_what_was_added_behind_a_lock(folder: Path, ledger: MemoryHeadLedger) -> None:
    (folder / "manifest.json").unlink()
    with closing(FolderCaseStore(folder.parent).open(folder.name)) as case:  # a store without the ledger
        case.append(replace(case.events()[-1], number=5))
        assert found(verify_case(folder, ledger)) == [("manifest", "manifest.json")]


def test_a_damaged_ledger_is_a_finding(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "case-heads.jsonl"
    path.write_text("{}\n")
    assert found(verify_case(folder, FileHeadLedger(path))) == [("ledger", "ledger")]


def test_a_case_of_which_nothing_is_kept_is_sound_with_a_note(folder: Path) -> None:
    verification = verify_case(folder, MemoryHeadLedger())
    assert verification.sound and "No head of this case is kept" in verification.notes[0]


def test_a_printed_head_says_how_far_its_report_speaks(folder: Path) -> None:
    digest = rows(folder)[1][-1]
    grouped = " ".join(digest[start : start + 4].upper() for start in range(0, 64, 4))
    for printed in (digest, digest[:16], grouped):
        (note,) = verify_case(folder, None, [printed]).notes
        assert note == f"The printed head {digest[:16]}... is that of event 2; 2 came after it."
    for wrong in ("", digest[:15], "not hex, but long enough", digest + "0"):
        with pytest.raises(BadInputError, match="is no head of a case"):
            verify_case(folder, None, [wrong])


def test_a_copy_under_another_name_says_so(folder: Path) -> None:
    verification = verify_case(folder.rename(folder.with_name("copy")))
    assert verification.sound
    assert verification.notes == ("The folder is called copy; the case was closed as case 1.",)


# ---- beside a program that has it open ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def open_case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("open")
    with closing(opened_case(root)):
        yield root / "case 1"


def test_an_open_case_is_verified_beside_its_program(open_case: Path) -> None:
    verification = verify_case(open_case)
    assert verification.sound and verification.n_events == 3 and not verification.sealed
    assert "open in a program" in verification.notes[0]


def test_what_a_killed_program_left_in_its_journal_is_read(open_case: Path, tmp_path: Path) -> None:
    left = Path(shutil.copytree(open_case, tmp_path / "case 1", ignore=shutil.ignore_patterns("*-shm")))
    assert (left / "case.sqlite-wal").stat().st_size > 0
    before = sorted(os.listdir(left))
    verification = verify_case(left)
    assert verification.sound and verification.n_events == 3
    assert sorted(os.listdir(left)) == before


def test_a_case_that_is_sealed_and_still_open_is_verified_whole(folder: Path) -> None:
    with closing(FolderCaseStore(folder.parent).open(folder.name)) as case:
        case.seal("signed")
        sealed = verify_case(folder)
    assert sealed.sound and sealed.sealed


def test_rows_chained_by_hand_are_those_of_the_program(folder: Path) -> None:
    assert chained(rows(folder)) == rows(folder)
