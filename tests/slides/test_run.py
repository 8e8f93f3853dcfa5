from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import slide_runs
import slide_work
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.errors import DiskFullError, UnreadableImageError
from her2scope.slides import run as slide_run
from her2scope.slides.progress import Progress
from her2scope.slides.records import SlideScale, Square, Tile, TissueMap
from her2scope.slides.run import (
    IN_FLIGHT,
    MAX_LOST_SHARE,
    MOST_IN_BLOCK,
    Analyse,
    RunOutcome,
    UnfitWorkerError,
    analyse_block,
    run_tiles,
    tissue_mm2,
)
from her2scope.slides.run_identity import versions
from her2scope.slides.schedulers import Crew, Job, SchedulerError, open_scheduler
from her2scope.slides.tile_store import TileStore

TESTS = Path(__file__).parents[1]
N = 40


@pytest.fixture(scope="module", autouse=True)
def _lasting_thread() -> None:
    """The one thread that Dask keeps for good begins before any test."""
    with open_scheduler("local", 1) as crew:
        assert crew.ask(os.getpid) == os.getpid()


@pytest.fixture
def crew() -> Iterator[Crew]:
    with open_scheduler("local", 2) as crew:
        yield crew


def run(crew: Crew, folder: Path, analyse: Analyse, n: int = N) -> RunOutcome:
    return slide_runs.run(crew, folder, n, analyse)


def kept(folder: Path, n: int = N) -> list[Tile]:
    with TileStore(folder / "tiles", slide_runs.DIGEST) as store:
        return [result.tile for result in store.results(slide_work.tiles(n))]


def calls(folder: Path) -> list[str]:
    return slide_work.calls(slide_work.work_on(folder / "slide.svs"))


def test_each_tile_is_analysed_once_and_kept_as_it_was_found(crew: Crew, tmp_path: Path) -> None:
    outcome = run(crew, tmp_path, slide_work.drawn)
    assert sorted(calls(tmp_path)) == sorted(tile.name for tile in slide_work.tiles(N))
    assert (outcome.n_tiles, outcome.n_kept, outcome.lost, outcome.problems) == (N, 0, (), ())
    assert kept(tmp_path) == list(slide_work.tiles(N))
    with TileStore(tmp_path / "tiles", slide_runs.DIGEST) as store:
        for result in store.results(slide_work.tiles(N)):
            assert result.cells.x_um.tobytes() == slide_work.result_of(result.tile).cells.x_um.tobytes()
            assert result.doubts == slide_work.result_of(result.tile).doubts


def test_a_run_that_is_repeated_does_nothing_again(crew: Crew, tmp_path: Path) -> None:
    run(crew, tmp_path, slide_work.drawn)
    outcome = run(crew, tmp_path, slide_work.drawn)
    assert outcome.n_kept == N and len(calls(tmp_path)) == N


def test_a_tile_that_was_damaged_on_the_disk_is_done_again_alone(crew: Crew, tmp_path: Path) -> None:
    run(crew, tmp_path, slide_work.drawn)
    damaged = next(tmp_path.glob("tiles/*/r00002c00003.npz"))
    damaged.write_bytes(damaged.read_bytes()[:50])
    assert run(crew, tmp_path, slide_work.drawn).n_kept == N - 1
    assert calls(tmp_path)[N:] == ["r00002c00003"]
    assert kept(tmp_path) == list(slide_work.tiles(N))


def test_a_slide_without_tiles_is_done_at_once(crew: Crew, tmp_path: Path) -> None:
    outcome = run(crew, tmp_path, slide_work.drawn, n=0)
    assert (outcome.n_tiles, outcome.lost_share, outcome.tissue_mm2) == (0, 0.0, 0.0)


# ---- tiles that fail ----------------------------------------------------------------------------------------------


def test_a_tile_that_fails_once_is_tried_again_last(crew: Crew, tmp_path: Path) -> None:
    outcome = run(crew, tmp_path, slide_work.damaged_once)
    assert outcome.lost == () and kept(tmp_path) == list(slide_work.tiles(N))
    assert sorted(calls(tmp_path)[-4:]) == [f"r0000{row}c00001" for row in range(4)]


def test_a_tile_that_fails_twice_is_lost_and_said_with_its_place_and_area(crew: Crew, tmp_path: Path) -> None:
    outcome = run(crew, tmp_path, slide_work.damaged)
    assert (tmp_path / "failed").read_text().split() == ["r00000c00001"] * 2
    assert kept(tmp_path) == [tile for tile in slide_work.tiles(N) if tile.name != "r00000c00001"]
    assert [item.tile.name for item in outcome.lost] == ["r00000c00001"]
    assert outcome.lost_share == pytest.approx(1 / N)
    assert outcome.problems == (
        "the tile at x 0.04 mm, y 0.01 mm could not be analysed (a part of it cannot be read): "
        "0.00 mm2 of tissue are not counted",
    )


def test_a_lost_tile_is_tried_again_by_the_next_run(crew: Crew, tmp_path: Path) -> None:
    run(crew, tmp_path, slide_work.damaged)
    assert run(crew, tmp_path, slide_work.drawn).lost == ()
    assert kept(tmp_path) == list(slide_work.tiles(N))


def test_a_fault_of_the_program_costs_its_tile_and_keeps_the_details(
    crew: Crew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HER2SCOPE_HOME", str(tmp_path / "home"))
    outcome = run(crew, tmp_path, slide_work.faulty)
    assert "something unexpected went wrong: ZeroDivisionError, a fault)" in outcome.problems[0]
    assert "Traceback" in (tmp_path / "home" / "last-error.txt").read_text()


def test_a_tile_that_is_refused_stops_neither_the_slide_nor_those_after_it(crew: Crew, tmp_path: Path) -> None:
    outcome = run(crew, tmp_path, slide_work.refused)
    assert [item.tile.name for item in outcome.lost] == ["r00000c00001"]
    assert "could not be analysed (this tile cannot be)" in outcome.problems[0]


def test_a_slide_of_which_too_much_is_lost_is_refused_and_what_is_done_stays(crew: Crew, tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="50 % of its tissue could not be analysed") as told:
        run(crew, tmp_path, slide_work.half_damaged)
    assert "\n" not in str(told.value)
    assert len(kept(tmp_path)) == N // 2


def test_how_much_is_lost_is_told_by_the_tissue_in_the_tiles(crew: Crew, tmp_path: Path) -> None:
    squares = np.full((40, 40), Square.GLASS, np.uint8)
    squares[:4, 4:8] = Square.TISSUE  # all within the tile that fails, of 25 um a side
    tissue = TissueMap(6.25, squares)
    with TileStore(tmp_path / "tiles", slide_runs.DIGEST) as store, pytest.raises(UnreadableImageError, match="100 %"):
        run_tiles(
            slide_work.work_on(tmp_path / "slide.svs"), slide_work.tiles(N), store, crew, slide_work.damaged,
            tissue=tissue,
        )  # fmt: skip
    assert 1 / N < MAX_LOST_SHARE


def test_a_worker_that_cannot_do_the_work_stops_the_slide_in_one_line(crew: Crew, tmp_path: Path) -> None:
    with pytest.raises(UnfitWorkerError, match="no such slide file. Run the same command again") as told:
        run(crew, tmp_path, slide_work.unfit)
    assert "\n" not in str(told.value)


def test_a_worker_of_another_version_does_no_tile(tmp_path: Path) -> None:
    work, block = slide_work.work_on(tmp_path / "slide.svs"), slide_work.tiles(2)
    done = analyse_block(slide_work.drawn, work, block, dict(versions()) | {"her2scope": "9.9"})
    assert "(here 9.9)" in done.unfit and not done.results and not (tmp_path / "calls").exists()


def test_a_full_disk_stops_the_slide_and_keeps_what_is_done(
    crew: Crew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = TileStore.keep

    def full_after_ten(store: TileStore, result: object) -> None:
        if len(list(store.folder.glob("*.npz"))) == 10:
            raise DiskFullError("the disk is full.")
        keep(store, result)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(DiskFullError):
        patch.setattr(TileStore, "keep", full_after_ten)
        run(crew, tmp_path, slide_work.drawn)
    assert len(kept(tmp_path)) == 10
    assert run(crew, tmp_path, slide_work.drawn).n_kept == 10


# ---- stopped runs -------------------------------------------------------------------------------------------------


def test_a_run_that_the_user_stops_says_how_far_it_came_and_goes_on_there(crew: Crew, tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.n_done >= 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=rf"stopped: \d+ of {N} tiles of slide.svs are done. Run the same"):
        slide_runs.run(crew, tmp_path, N, slide_work.drawn, stop)
    n_done = len(kept(tmp_path))
    assert 10 <= n_done < N
    assert run(crew, tmp_path, slide_work.drawn).n_kept == n_done
    assert kept(tmp_path) == list(slide_work.tiles(N))


def test_a_killed_run_goes_on_without_doing_finished_tiles_again(tmp_path: Path) -> None:
    command = [sys.executable, str(TESTS / "slide_runs.py"), "run", "local", str(tmp_path), "60"]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(TESTS.parent)}) as program:
        give_up_s = time.monotonic() + 60
        while len(list(tmp_path.glob("tiles/*/*.npz"))) < 15 and time.monotonic() < give_up_s:
            time.sleep(0.01)
        program.send_signal(signal.SIGKILL)
    done = {tile.name for tile in kept(tmp_path, 60)}
    assert 15 <= len(done) < 60
    n_before = len(calls(tmp_path))
    with open_scheduler("local", 2) as crew:
        assert run(crew, tmp_path, slide_work.drawn, 60).n_kept == len(done)
    again = calls(tmp_path)[n_before:]
    assert not done & set(again) and len(again) == 60 - len(done)
    assert kept(tmp_path, 60) == list(slide_work.tiles(60))


# ---- how it is done -----------------------------------------------------------------------------------------------


def test_progress_grows_to_the_whole(crew: Crew, tmp_path: Path) -> None:
    told: list[Progress] = []
    slide_runs.run(crew, tmp_path, N, slide_work.drawn, told.append)
    assert [item.n_done for item in told] == sorted(item.n_done for item in told)
    assert told[0].n_done == 0 and told[-1].n_done == N
    assert told[-1].done_mm2 == pytest.approx(told[-1].tissue_mm2)


class Watched(Crew):
    """A crew that notes how much it was given at once."""

    def __init__(self, crew: Crew) -> None:
        self._crew, self.name = crew, crew.name
        self.most, self.sizes = 0, set[int]()

    @property
    def n_workers(self) -> int:
        return 2

    def submit(self, function: object, *arguments: object) -> Job:
        self.sizes.add(len(arguments[2]))  # type: ignore[arg-type]
        return self._crew.submit(function, *arguments)  # type: ignore[arg-type]

    def wait(self, jobs: Sequence[Job], timeout_s: float) -> list[Job]:  # type: ignore[override]
        self.most = max(self.most, len(jobs))
        return self._crew.wait(jobs, timeout_s)


class HangingJob:
    """Work that never ends."""

    is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class DoneJob:
    """Work that is done."""

    def __init__(self, done: Any) -> None:
        self.answer = lambda: done

    def cancel(self) -> None:
        """There is nothing left to do."""


class HangingCrew:
    """A crew that never ends the first blocks it is given, and does all others at once."""

    name, n_workers = "hanging", 2

    def __init__(self, n_hung: int) -> None:
        self.hung = [HangingJob() for _ in range(n_hung)]
        self._left = list(self.hung)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if self._left:
            return self._left.pop()
        return DoneJob(function(*arguments))

    def wait(self, jobs: Collection[Any], timeout_s: float) -> list[Any]:
        return [job for job in jobs if not isinstance(job, HangingJob)]


def test_blocks_of_which_nothing_is_heard_are_done_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slide_run, "HUNG_S", 0.0)
    crew = HangingCrew(2)
    assert run(cast(Crew, crew), tmp_path, slide_work.drawn).lost == ()
    assert kept(tmp_path) == list(slide_work.tiles(N)) and all(job.is_cancelled for job in crew.hung)


def test_a_crew_that_never_answers_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slide_run, "HUNG_S", 0.0)
    with pytest.raises(SchedulerError, match="no tile ended for 0 minutes.*Run the same command again"):
        run(cast(Crew, HangingCrew(99)), tmp_path, slide_work.drawn)


def test_only_a_few_blocks_are_handed_out_at_a_time(crew: Crew, tmp_path: Path) -> None:
    watched = Watched(crew)
    run(watched, tmp_path, slide_work.drawn, 100)
    assert watched.most == IN_FLIGHT * 2
    assert watched.sizes == set(range(1, MOST_IN_BLOCK + 1))  # the last ones are small, so that no worker waits long


@given(
    squares=st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=5, max_size=5),
    tile_px=st.integers(13, 400),
    square_um=st.floats(5.0, 60.0),
)
def test_the_tissue_of_all_tiles_is_the_tissue_of_the_slide(
    squares: list[list[bool]], tile_px: int, square_um: float
) -> None:
    um_per_px = 0.25
    tissue = TissueMap(square_um, np.array(squares, np.uint8))  # 1 is TISSUE
    width, height = (int(np.ceil(n * square_um / um_per_px)) for n in (7, 5))
    tiles = [
        Tile(y // tile_px, x // tile_px, x, y, min(tile_px, width - x), min(tile_px, height - y))
        for y in range(0, height, tile_px)
        for x in range(0, width, tile_px)
    ]
    areas_mm2 = tissue_mm2(tiles, SlideScale(0, 1.0, um_per_px, width, height), tissue)
    assert areas_mm2.sum() == pytest.approx(tissue.area_mm2(Square.TISSUE), abs=1e-9)
    assert (areas_mm2 > -1e-12).all()
