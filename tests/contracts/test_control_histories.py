"""What every history of control readings promises (`ports.ControlHistory`)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from control_series import baseline, entry

from her2scope.domain.score import ControlStatus
from her2scope.ports import ControlHistory
from her2scope.storage.control_history import FileControlHistory, MemoryControlHistory


@pytest.fixture(params=["file", "memory"])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> ControlHistory:
    return FileControlHistory(tmp_path / "controls" / "h.jsonl") if request.param == "file" else MemoryControlHistory()


def test_a_new_history_is_empty_and_reading_it_leaves_nothing(history: ControlHistory, tmp_path: Path) -> None:
    assert history.entries() == () and history.problems == ()
    assert list(tmp_path.rglob("h.*")) == []


def test_readings_come_back_as_they_were_in_their_order(history: ControlHistory) -> None:
    written = [
        entry(3, status=ControlStatus.INVALID, codes=("faded", "wrong_level"), images=("ab" * 32, "cd" * 32)),
        entry(1, run="Lauf\n2 \u2028 🔬 \udcff\x00", lot="", instrument="µ-Labor", intensity_od10=0.1 + 0.2),
        entry(1, level="0", intensity_od10=0.0, n_tumour=0, images=()),
    ]
    for place, item in enumerate(written):
        history.append(item)
        assert history.entries() == tuple(written[: place + 1])
    assert history.problems == ()


def test_the_same_reading_may_come_twice(history: ControlHistory) -> None:
    history.append(entry())
    history.append(entry())
    assert history.entries() == (entry(), entry())


def test_threads_that_append_at_once_lose_nothing(history: ControlHistory) -> None:
    written = baseline()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(history.append, written))
    assert sorted(history.entries(), key=lambda item: item.run) == list(written)
