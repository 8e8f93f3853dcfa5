"""A frame's analysis: shared by any number of threads it says the same, and what fails in one of them is told."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import numpy as np
import pytest

from her2scope.domain.cells import StainCuts
from her2scope.imaging.kept_profiles import profile_image
from her2scope.imaging.workers import Workers
from her2scope.pipeline import analyse
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.field_data import field_from_data, field_to_data
from her2scope.records import Cell, FieldResult, Frame, Segmentation

THREADS = [1, 3]


def with_threads(analyser: FieldAnalyser, threads: int) -> FieldAnalyser:
    return FieldAnalyser(analyser.segmenter, analyser.settings, analyser.calibration, Workers(threads))


def told(result: FieldResult) -> tuple[object, ...]:
    return (
        result.quality, result.counts, result.finding, result.stain, result.curve, result.white_rgb,
        result.clear_white_rgb, result.doubts, len(result.cells),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["2+", "hazy 0", "blurred"])
def test_any_number_of_threads_says_the_same(analyser, frames, name):
    alone, shared = (with_threads(analyser, n).analyse(frames[name], StainCuts()) for n in THREADS)
    assert told(alone) == told(shared)
    assert np.array_equal(alone.membrane, shared.membrane)
    assert alone.quality.usable == bool(alone.cells) == (name != "blurred")


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("size_hw", [(1, 1), (1, 40), (7, 3)])
def test_a_picture_of_a_few_pixels_is_refused_in_words(analyser, threads, size_hw):
    frame = Frame(np.full((*size_hw, 3), 200, np.uint8), 0, 0.0, 0.25)
    assert with_threads(analyser, threads).analyse(frame, StainCuts()).quality.codes == ("too_small",)


@pytest.mark.parametrize("threads", THREADS)
def test_an_error_of_the_gate_is_the_analysis(analyser, frames, threads, monkeypatch):
    def broken(*_: object) -> None:
        raise MemoryError("no room for the gate")

    monkeypatch.setattr(analyse, "check_quality", broken)
    with pytest.raises(MemoryError, match="no room for the gate"):
        with_threads(analyser, threads).analyse(frames["2+"], StainCuts())


@pytest.mark.parametrize("threads", THREADS)
def test_stages_that_are_told_follow_one_another(analyser, frames, threads):
    """Their sum is time that passed, however many threads shared each."""
    start_s = time.perf_counter()
    result = with_threads(analyser, threads).analyse(frames["2+"], StainCuts())
    whole_ms = 1000 * (time.perf_counter() - start_s)
    assert 0 < sum(result.timings_ms.values()) <= whole_ms


def test_outlines_are_as_a_case_keeps_them(analyser, frames):
    """Else the report of a live case would not be, to the byte, that of the stored one."""
    result = analyser.analyse(frames["2+"], StainCuts())
    stored = json.loads(json.dumps(field_to_data(result)))
    back = field_from_data(stored, result.frame.rgb, result.membrane, profile_image(result.profiles))
    assert len(result.cells) > 20
    for live, kept in zip(result.cells, back.cells, strict=True):
        assert live.outline_xy_px.dtype == kept.outline_xy_px.dtype
        assert np.array_equal(live.outline_xy_px, kept.outline_xy_px)


class HalfWithin:
    """A segmenter of whose cells every other one lies where none counts; it remembers what it found."""

    def __init__(self, segmenter) -> None:
        self.segmenter = segmenter
        self.cells: tuple[Cell, ...] = ()

    def __getattr__(self, name: str) -> object:
        return getattr(self.segmenter, name)

    def segment(self, *asked: object) -> Segmentation:
        found = self.segmenter.segment(*asked)
        self.cells = tuple(replace(cell, within=number % 2 == 0) for number, cell in enumerate(found.cells))
        return replace(found, cells=self.cells)


def test_nothing_of_a_cell_is_moved_but_the_last_digits_of_its_outline(analyser, frames):
    segmenter = HalfWithin(analyser.segmenter)
    result = FieldAnalyser(segmenter, analyser.settings, analyser.calibration).analyse(frames["2+"], StainCuts())
    assert len(segmenter.cells) == len(result.cells) > 20
    for found, kept in zip(segmenter.cells, result.cells, strict=True):
        assert np.array_equal(kept.outline_xy_px, found.outline_xy_px.round(2))
        for column in fields(Cell):
            if column.name != "outline_xy_px":
                assert getattr(kept, column.name) == getattr(found, column.name)


class OneAtATime:
    """A segmenter with memory that it keeps: another one's entry while it works would spoil both results."""

    def __init__(self, segmenter) -> None:
        self.segmenter, self.n_within, self.most_within = segmenter, 0, 0
        self.another = threading.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self.segmenter, name)

    def segment(self, *asked: object) -> object:
        self.n_within += 1
        self.most_within = max(self.most_within, self.n_within)
        if self.n_within > 1:
            self.another.set()
        self.another.wait(0.2)
        found = self.segmenter.segment(*asked)
        self.n_within -= 1
        return found


def test_two_threads_that_analyse_at_once_are_in_the_segmenter_one_after_the_other(analyser, frames):
    """The analysing thread and the case's, which reads a control or accepts a field."""
    segmenter = OneAtATime(analyser.segmenter)
    shared = FieldAnalyser(segmenter, analyser.settings, analyser.calibration, Workers(2))
    names = ["2+", "3+"]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda name: shared.analyse(frames[name], StainCuts()), names))
    assert segmenter.most_within == 1
    assert [told(result) for result in found] == [told(analyser.analyse(frames[name], StainCuts())) for name in names]
