"""What every case store promises (`ports.CaseStore`, `ports.CaseFile`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from her2scope.domain.errors import CaseDamagedError, CaseLockedError, CaseNotFoundError, StoreError
from her2scope.domain.event_chain import START, ChainHead
from her2scope.domain.events import Event, EventKind
from her2scope.ports import CaseFile, CaseStore, CaseSummary
from her2scope.records import image_digest
from her2scope.storage.case_store import FolderCaseStore
from her2scope.storage.memory import MemoryCaseStore


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CaseStore:
    return FolderCaseStore(tmp_path / "cases") if request.param == "folder" else MemoryCaseStore()


@pytest.fixture
def case(store: CaseStore) -> Iterator[CaseFile]:
    with closing(store.create("case 1")) as case:
        yield case


def event(number: int, kind: EventKind = EventKind.FIELD_ACCEPTED, **data: Any) -> Event:
    return Event(number, kind, f"2024-05-01T10:00:{number:02}.000+00:00", "Dr. Ada Müller", data)


def picture(seed: int, shape: tuple[int, ...] = (32, 48, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_events_and_images_come_back_as_they_were(store: CaseStore) -> None:
    rgb, mask = picture(1), picture(2, (32, 48))
    digests = [image_digest(rgb), image_digest(mask)]
    written = [
        event(1, EventKind.OPENED, guideline="breast-2023"),
        event(2, field=1, images=digests, shares={"none": 12.5, "ä": None}, flags=[True, [1, 2]]),
    ]
    with closing(store.create("case 1")) as case:
        assert case.case_id == "case 1"
        assert case.events() == ()
        case.append(written[0])
        case.append(written[1], [rgb, mask])
        assert case.events() == tuple(written)
    with closing(store.open("case 1")) as case:
        assert case.events() == tuple(written)
        for image, digest in zip([rgb, mask], digests, strict=True):
            back = case.image(digest)
            assert back.dtype == np.uint8
            assert np.array_equal(back, image)


def test_red_stays_red(case: CaseFile) -> None:
    red = np.zeros((4, 5, 3), np.uint8)
    red[..., 0] = 200
    case.append(event(1), [red])
    assert case.image(image_digest(red))[0, 0].tolist() == [200, 0, 0]


@pytest.mark.parametrize("view", [np.s_[::2, ::3], np.s_[:, ::-1], np.s_[1:2, 1:2]], ids=["strided", "mirrored", "1x1"])
def test_a_view_into_another_image_is_stored_as_it_looks(case: CaseFile, view: Any) -> None:
    for number, image in enumerate((picture(3)[view], picture(4, (32, 48))[view]), start=1):
        case.append(event(number), [image])
        assert np.array_equal(case.image(image_digest(image)), image)


def test_what_was_stored_does_not_change_with_what_the_caller_keeps(case: CaseFile) -> None:
    image, data = picture(5), {"cells": [1, 2]}
    digest = image_digest(image)
    case.append(Event(1, EventKind.FIELD_ACCEPTED, "t", "who", data), [image])
    image[:] = 0
    data["cells"].append(3)
    assert image_digest(case.image(digest)) == digest
    assert case.events()[0].data == {"cells": [1, 2]}
    case.events()[0].data["cells"].append(4)
    assert case.events()[0].data == {"cells": [1, 2]}
    with pytest.raises(ValueError, match="read-only"):
        case.image(digest)[0, 0] = 0


def test_the_same_image_may_come_again(case: CaseFile) -> None:
    image = picture(6)
    case.append(event(1), [image, image])
    case.append(event(2), [image])
    assert np.array_equal(case.image(image_digest(image)), image)


@pytest.mark.parametrize("number", [0, 1, 3, -1])
def test_a_number_out_of_turn_is_refused_and_changes_nothing(case: CaseFile, number: int) -> None:
    case.append(event(1))
    with pytest.raises(StoreError, match=f"Event {number} does not follow event 1"):
        case.append(Event(number, EventKind.FINISHED, "t", "who", {}), [picture(7)])
    assert [item.number for item in case.events()] == [1]
    with pytest.raises(CaseDamagedError):
        case.image(image_digest(picture(7)))
    case.append(event(2))


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), np.float32(1), {1, 2}, b"x", Path("x")],
    ids=["nan", "inf", "numpy", "set", "bytes", "path"],
)
def test_data_that_json_does_not_have_is_refused(case: CaseFile, value: object) -> None:
    with pytest.raises(StoreError, match=r"Event 1 \(field_accepted\) of case case 1 cannot be saved"):
        case.append(event(1, value=value))
    assert case.events() == ()


def test_a_text_that_is_no_unicode_is_refused(case: CaseFile) -> None:
    with pytest.raises(StoreError, match="cannot be saved"):
        case.append(Event(1, EventKind.OPENED, "t", "\udcff", {}))
    case.append(event(1, EventKind.OPENED, name="\udcff \x00 🔬"))
    assert case.events()[0].data == {"name": "\udcff \x00 🔬"}


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint16),
        np.zeros((4, 4), bool),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
    ids=["uint16", "bool", "rgba", "one channel", "empty", "flat"],
)
def test_what_is_not_an_image_is_refused(case: CaseFile, image: Any) -> None:
    with pytest.raises(ValueError, match="a stored image is"):
        case.append(event(1), [picture(8), image])
    assert case.events() == ()


@pytest.mark.parametrize("digest", ["", "0" * 64, "../../../etc/passwd", "x" * 500])
def test_an_image_that_is_not_there_is_a_damaged_case(case: CaseFile, digest: str) -> None:
    with pytest.raises(CaseDamagedError, match="Case case 1 is damaged"):
        case.image(digest)


def test_a_field_with_300_kb_of_measures_and_more_is_fine(case: CaseFile) -> None:
    cells = [{"x_px": i + 0.25, "y_px": i / 3, "kind": "tumour", "outline": [i / 7] * 20} for i in range(3000)]
    case.append(event(1, field=1, cells=cells))
    case.append(event(2, field=2, cells=cells))
    assert [item.data["cells"] for item in case.events()] == [cells, cells]


def test_a_case_is_open_once_at_a_time(store: CaseStore) -> None:
    with closing(store.create("case 1")):
        with pytest.raises(CaseLockedError, match="Case case 1 is open in this program already"):
            store.open("case 1")
        (summary,) = store.cases()
        assert summary.locked
        assert summary.problem is not None
    (summary,) = store.cases()
    assert not summary.locked
    assert summary.problem is None
    store.open("case 1").close()


def test_a_refused_opening_and_a_list_leave_the_case_claimed(store: CaseStore) -> None:
    with closing(store.create("case 1")) as case:
        for _ in range(2):
            with pytest.raises(CaseLockedError):
                store.open("case 1")
            store.cases()
        case.append(event(1))


def test_a_closed_case_refuses_work_and_may_be_closed_again(store: CaseStore) -> None:
    case = store.create("case 1")
    case.append(event(1))
    case.close()
    case.close()
    works = (
        lambda: case.append(event(2)),
        case.events,
        lambda: case.image("0" * 64),
        case.head,
        lambda: case.seal("signed"),
    )
    for work in works:
        with pytest.raises(StoreError, match="it was closed"):
            work()
    with closing(store.open("case 1")) as again:
        case.close()
        again.append(event(2))
        assert len(again.events()) == 2


def test_a_name_is_taken_once(store: CaseStore) -> None:
    store.create("case 1").close()
    with pytest.raises(StoreError, match="There is a case case 1 already"):
        store.create("case 1")


def test_an_unknown_case_is_not_found(store: CaseStore) -> None:
    assert store.cases() == ()
    for act in (store.open, store.read):
        with pytest.raises(CaseNotFoundError, match="There is no case other"):
            act("other")


@pytest.mark.parametrize("case_id", ["H24-12345", "H24_1.2", "Fall 7 (Ötzi)", "症例 3", "a" * 80, "CONTROL", "x.part"])
def test_a_usual_name_is_allowed(store: CaseStore, case_id: str) -> None:
    store.create(case_id).close()
    assert [summary.case_id for summary in store.cases()] == [case_id]


@pytest.mark.parametrize(
    "case_id",
    ["", ".", "..", ".hidden", "a/b", "a\\b", "../x", "/abs", "C:", "a" * 81, "語" * 80 + "語"]
    + ["a\nb", "a\0", "a\x7f", "a\u202eb", "\udcff", " a", "a ", "a.", "con", "NUL.txt", "Com1", "LPT9 .x", "a?", "a*"],
)
@pytest.mark.parametrize("action", ["create", "open", "read"])
def test_a_name_that_is_no_folder_name_is_refused(store: CaseStore, action: str, case_id: str) -> None:
    act: Callable[[str], object] = getattr(store, action)
    with pytest.raises(StoreError, match=r"cannot be a case's name: .*\. Allowed: 1 to 80 letters") as caught:
        act(case_id)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert store.cases() == ()


def test_the_list_tells_what_the_events_say_newest_first(store: CaseStore) -> None:
    def fill(case_id: str, opened_utc: str, *kinds: tuple[EventKind, Mapping[str, Any]]) -> None:
        with closing(store.create(case_id)) as case:
            case.append(Event(1, EventKind.OPENED, opened_utc, "who", {}))
            for number, (kind, data) in enumerate(kinds, start=2):
                case.append(Event(number, kind, "2024-06-01T00:00:00.000+00:00", "who", data))

    accepted, removed, restored = EventKind.FIELD_ACCEPTED, EventKind.FIELD_REMOVED, EventKind.FIELD_RESTORED
    fill("older", "2024-01-01T00:00:00.000+00:00", (accepted, {"field": 1}), (EventKind.FINISHED, {}))
    fill("newer", "2024-02-01T00:00:00.000+00:00", *[(accepted, {"field": n, "cells": []}) for n in (1, 2, 3)],
         (removed, {"field": 2}), (removed, {"field": 3}), (restored, {"field": 3}))  # fmt: skip
    store.create("empty").close()

    newer, older, empty = store.cases()
    assert (newer.case_id, newer.n_fields, newer.finished) == ("newer", 2, False)
    assert (older.case_id, older.n_fields, older.finished) == ("older", 1, True)
    assert older.opened_utc == "2024-01-01T00:00:00.000+00:00"
    assert (empty.case_id, empty.opened_utc, empty.n_fields, empty.finished) == ("empty", "", 0, False)
    assert not any(summary.locked or summary.problem for summary in (newer, older, empty))


def summary_of(store: CaseStore, *happened: tuple[EventKind, Mapping[str, Any]]) -> CaseSummary:
    with closing(store.create("case 1")) as case:
        for number, (kind, data) in enumerate(happened, start=1):
            case.append(Event(number, kind, "2024-06-01T00:00:00.000+00:00", "who", data))
    (summary,) = store.cases()
    assert summary.problem is None
    return summary


def test_the_list_knows_what_was_undone_and_done_again(store: CaseStore) -> None:
    accepted, removed = EventKind.FIELD_ACCEPTED, EventKind.FIELD_REMOVED
    happened: list[tuple[EventKind, Mapping[str, Any]]] = [
        (accepted, {"field": 1, "cells": [[0.5] * 40] * 100}), (accepted, {"field": 2}), (removed, {"field": 1}),
        (EventKind.UNDONE, {"event": 3}), (EventKind.UNDONE, {"event": 2}), (EventKind.REDONE, {"event": 2}),
        (EventKind.REGION_DRAWN, {"region": 1, "field": None}),
    ]  # fmt: skip
    n_fields = []
    for end in range(1, len(happened) + 1):
        with closing(store.create(f"case {end}")) as case:
            for number, (kind, data) in enumerate(happened[:end], start=1):
                case.append(Event(number, kind, f"2024-06-01T00:00:{end:02}.000+00:00", "who", data))
        n_fields.append(store.cases()[0].n_fields)
    assert n_fields == [1, 2, 1, 2, 1, 2, 2]


def test_the_list_tells_how_far_a_case_has_come(store: CaseStore) -> None:
    finished = (EventKind.FINISHED, {"score": "2+"})
    steps: list[tuple[EventKind, Mapping[str, Any]]] = [
        finished, (EventKind.REOPENED, {"reason": "one more"}), finished, signed(1, "Ada"),
        (EventKind.AMENDED, {"version": 2, "name": "Ada", "reason": "ISH"}), finished, signed(2, "Bea"),
    ]  # fmt: skip
    come = []
    with closing(store.create("case 1")) as case:
        for number, (kind, data) in enumerate(steps, start=1):
            case.append(Event(number, kind, "2024-06-01T00:00:00.000+00:00", "who", data))
            (summary,) = store.cases()
            come.append((summary.status.value, summary.version, summary.signed_by, summary.finished))
    assert come == [
        ("in_review", 1, "", True), ("open", 1, "", False), ("in_review", 1, "", True), ("signed", 1, "Ada", True),
        ("open", 2, "Ada", False), ("in_review", 2, "Ada", True), ("amended", 2, "Bea", True),
    ]  # fmt: skip


def signed(version: int, name: str) -> tuple[EventKind, Mapping[str, Any]]:
    return EventKind.SIGNED, {"version": version, "name": name, "score": "2+", "own_score": None, "fields": [1]}


def case_data(slide: str) -> Mapping[str, Any]:
    entered = {"accession": " S25-1", "block": "A1", "slide": slide, "specimen": "excision", "antibody_run": "R 7"}
    return {**entered, "before": None}


def test_the_list_names_the_slide_as_it_was_entered_last(store: CaseStore) -> None:
    entered = EventKind.CASE_DATA_ENTERED
    found = summary_of(store, (entered, case_data("1")), (entered, case_data("2 ")))
    assert (found.slide_id, found.title) == ("s25-1/a1/2", "S25-1 \N{MIDDLE DOT} A1 \N{MIDDLE DOT} 2")


def test_a_slide_that_was_undone_or_never_named_is_no_slide(store: CaseStore) -> None:
    entered = EventKind.CASE_DATA_ENTERED
    undone = (EventKind.UNDONE, {"event": 2})
    assert summary_of(store, (entered, case_data("")), (entered, case_data("2")), undone).slide_id == ""


def test_a_clock_that_nobody_can_set_comes_back_to_the_microsecond(store: CaseStore) -> None:
    written = [
        Event(1, EventKind.OPENED, "t", "who", {}, 0),
        Event(2, EventKind.RESUMED, "t", "who", {}, 2**53 + 1),
        Event(3, EventKind.FINISHED, "t", "who", {}, None),
    ]
    with closing(store.create("case 1")) as case:
        for item in written:
            case.append(item)
        assert case.events() == tuple(written)
    assert store.read("case 1").events() == tuple(written)


def test_the_head_is_the_end_of_the_chain(case: CaseFile) -> None:
    assert case.head() == ChainHead(0, START)
    digest = START
    for number, monotonic_us in ((1, None), (2, 7), (3, 7)):
        item = Event(number, EventKind.RESUMED, "t", "Müller", {"a": [1, None]}, monotonic_us)
        case.append(item)
        # The rule by which anyone can check a case: each digest covers the one before and its own row.
        columns: list[Any] = [digest, number, "resumed", "t", "Müller", '{"a":[1,null]}']
        columns += [] if monotonic_us is None else [monotonic_us]
        digest = hashlib.sha256(json.dumps(columns).encode()).hexdigest()
        assert case.head() == ChainHead(number, digest)


def test_a_case_is_read_beside_the_one_who_writes_it(store: CaseStore) -> None:
    image = picture(10)
    with closing(store.create("case 1")) as case, closing(store.read("case 1")) as reading:
        assert (reading.case_id, reading.events(), reading.head()) == ("case 1", (), ChainHead(0, START))
        case.append(event(1), [image])
        assert reading.events() == case.events() == (event(1),)
        assert reading.head() == case.head()
        assert np.array_equal(reading.image(image_digest(image)), image)
        case.append(event(2))
        assert len(reading.events()) == 2
    assert len(store.read("case 1").events()) == 2


def test_a_reading_that_was_closed_refuses_work_and_claims_nothing(store: CaseStore) -> None:
    store.create("case 1").close()
    reading = store.read("case 1")
    assert not store.cases()[0].locked
    store.open("case 1").close()
    reading.close()
    reading.close()
    for work in (reading.events, reading.head, lambda: reading.image("0" * 64)):
        with pytest.raises(StoreError, match="it was closed"):
            work()


def test_a_sealed_case_goes_on(store: CaseStore) -> None:
    with closing(store.create("case 1")) as case:
        case.append(event(1), [picture(11)])
        case.seal("signed")
        assert case.events() == (event(1),)
        case.append(event(2), [picture(12)])
        case.seal("signed")
        case.seal("closed")
    with closing(store.open("case 1")) as case:
        assert case.events() == (event(1), event(2))


def test_a_case_may_be_handed_to_another_thread(case: CaseFile) -> None:
    case.append(event(1))
    with ThreadPoolExecutor(1) as other:
        other.submit(case.append, event(2), [picture(9)]).result()
        assert len(other.submit(case.events).result()) == 2
        other.submit(case.close).result()
    with pytest.raises(StoreError, match="it was closed"):
        case.events()
