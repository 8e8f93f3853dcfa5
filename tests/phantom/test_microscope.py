"""The phantom microscope: a slide that is the same from every side, a stage that glides, objectives that turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from her2scope.domain.errors import BadInputError, CameraError, CameraTimeout, NotAvailableError
from her2scope.phantom.microscope import GLIDE_S, OBJECTIVES, PhantomMicroscope
from her2scope.phantom.run import make_run
from her2scope.phantom.slide import TILE_PX, PhantomSlide
from her2scope.ports import CameraSource, Nosepiece, Stage
from her2scope.records import Frame

SIZE_WH = (320, 256)


@pytest.fixture
def microscope() -> Iterator[PhantomMicroscope]:
    microscope = PhantomMicroscope(3, SIZE_WH, frame_rate=200.0)
    microscope.open()
    yield microscope
    microscope.close()


def settled(microscope: PhantomMicroscope) -> Frame:
    time.sleep(GLIDE_S + 0.02)
    return microscope.read(5.0)


# ---- slide


def test_a_tile_is_the_same_whatever_was_drawn_before() -> None:
    run = make_run(2)
    first, second = PhantomSlide(run, "2+"), PhantomSlide(run, "2+")
    x, y = (round(value / 0.25) for value in first.places["tissue"])
    first.view(x - 900, y + 500, SIZE_WH, 0.25)
    first.view(x + 300, y, SIZE_WH, 0.25)
    assert np.array_equal(first.view(x, y, SIZE_WH, 0.25), second.view(x, y, SIZE_WH, 0.25))


def test_tiles_meet_without_a_seam() -> None:
    slide = PhantomSlide(make_run(2), "0")
    x, y = (round(value / 0.25) // TILE_PX * TILE_PX for value in slide.places["tissue"])
    view = slide.view(x - 64, y - 64, (128, 128), 0.25).astype(int)
    steps = np.abs(np.diff(view, axis=1)).mean(axis=(0, 2))
    assert steps[63] < 1.8 * np.median(steps) + 1.0
    assert np.abs(np.diff(view, axis=0)).mean(axis=(1, 2))[63] < 1.8 * np.median(steps) + 1.0


def test_a_view_beyond_the_slide_is_glass() -> None:
    view = PhantomSlide(make_run(2), "0").view(-5000, -5000, (64, 64), 0.25)
    white = np.array(make_run(2).optics.white_rgb())
    assert np.abs(view - white).max() < 2


@pytest.mark.parametrize("place", ["control 3+", "control 1+", "control 0"])
def test_controls_have_the_level_they_are_named_after(place: str) -> None:
    slide = PhantomSlide(make_run(1), "2+")
    x_um, y_um = slide.places[place]
    truth = slide.truth(round(x_um / 0.25) - 640, round(y_um / 0.25) - 360, (1280, 720), 0.25)
    assert truth["score"] == place.removeprefix("control ")
    assert truth["n_tumour"] >= 100


# ---- camera


def test_it_is_camera_stage_and_nosepiece(microscope: PhantomMicroscope) -> None:
    camera: CameraSource = microscope
    assert camera.name
    assert isinstance(microscope, Stage) and isinstance(microscope, Nosepiece)


def test_frames_tell_where_and_how_they_were_taken(microscope: PhantomMicroscope) -> None:
    frame = microscope.read(5.0)
    assert frame.size_hw == (256, 320) and frame.um_per_px == 0.25
    assert frame.camera.objective == "40x" and frame.camera.response == microscope.run.optics.response
    assert frame.camera.exposure_ms is not None
    assert frame.stage_um is not None
    assert microscope.read(5.0).index == frame.index + 1


def test_only_the_noise_changes_while_the_stage_rests(microscope: PhantomMicroscope) -> None:
    first, second = microscope.read(5.0), microscope.read(5.0)
    difference = second.rgb.astype(int) - first.rgb
    assert 0 < np.abs(difference).max() < 30
    assert abs(difference.mean()) < 0.5


def test_two_microscopes_of_one_seed_show_the_same() -> None:
    frames = []
    for _ in range(2):
        microscope = PhantomMicroscope(5, SIZE_WH)
        microscope.open()
        frames.append(microscope.read(5.0))
        microscope.close()
    assert np.array_equal(frames[0].rgb, frames[1].rgb)


def test_frames_come_at_the_frame_rate() -> None:
    microscope = PhantomMicroscope(3, SIZE_WH, frame_rate=20.0)
    microscope.open()
    microscope.read(5.0)
    started_s = time.monotonic()
    for _ in range(6):
        microscope.read(5.0)
    assert 0.24 < time.monotonic() - started_s < 1.0
    microscope.close()


def test_no_frame_in_time_is_a_timeout() -> None:
    microscope = PhantomMicroscope(3, SIZE_WH, frame_rate=2.0)
    microscope.open()
    microscope.read(5.0)
    with pytest.raises(CameraTimeout):
        microscope.read(0.01)
    assert microscope.read(5.0).index == 1
    microscope.close()


def test_closing_wakes_a_waiting_reader() -> None:
    microscope = PhantomMicroscope(3, SIZE_WH, frame_rate=0.1)
    microscope.open()
    microscope.read(5.0)
    closer = threading.Timer(0.1, microscope.close)
    closer.start()
    started_s = time.monotonic()
    with pytest.raises(CameraError):
        microscope.read(8.0)
    assert time.monotonic() - started_s < 4.0


def test_a_camera_that_cannot_be_is_refused() -> None:
    with pytest.raises(BadInputError):
        PhantomMicroscope(size_wh=(0, 720))
    with pytest.raises(NotAvailableError):
        PhantomMicroscope(score="5+")
    with pytest.raises(NotAvailableError):
        PhantomMicroscope(objective="63x")


# ---- stage and nosepiece


def test_a_move_shifts_the_picture_by_as_much(microscope: PhantomMicroscope) -> None:
    before = microscope.read(5.0)
    microscope.move_by_um(10.0, 5.0)
    after = settled(microscope)
    assert before.stage_um is not None and after.stage_um is not None
    assert np.subtract(after.stage_um, before.stage_um).tolist() == [10.0, 5.0]
    moved, fixed = after.rgb[:-20, :-40].astype(int), before.rgb[20:, 40:].astype(int)
    assert np.abs(moved - fixed).mean() < 6


def test_the_stage_glides(microscope: PhantomMicroscope) -> None:
    start = microscope.read(5.0).stage_um
    assert start is not None
    microscope.move_by_um(40.0, 0.0)
    began_s, seen = time.monotonic(), []
    while time.monotonic() - began_s < 2 * GLIDE_S:
        where = microscope.read(5.0).stage_um
        assert where is not None
        seen.append(where[0] - start[0])
    assert seen == sorted(seen) and seen[-1] == 40.0
    assert any(5.0 < x < 35.0 for x in seen)


def test_the_stage_stops_at_the_edge_of_the_slide(microscope: PhantomMicroscope) -> None:
    microscope.move_by_um(-1e6, -1e6)
    assert settled(microscope).stage_um == (0.0, 0.0)


def test_places_can_be_gone_to(microscope: PhantomMicroscope) -> None:
    assert microscope.places() == ("control 3+", "control 1+", "control 0", "tissue")
    microscope.go_to("control 3+")
    frame = settled(microscope)
    assert microscope.truth_of(frame)["shares_percent"]["complete_intense"] > 10
    with pytest.raises(NotAvailableError):
        microscope.go_to("label")


def test_turning_the_nosepiece_keeps_the_middle(microscope: PhantomMicroscope) -> None:
    assert microscope.objectives() == ("10x", "20x", "40x") and microscope.objective() == "40x"
    before = microscope.read(5.0)
    for name, um_per_px in OBJECTIVES.items():
        microscope.select_objective(name)
        frame = microscope.read(5.0)
        assert (frame.um_per_px, frame.camera.objective) == (um_per_px, name)
        assert frame.stage_um == pytest.approx(before.stage_um, abs=1.0)
    with pytest.raises(NotAvailableError):
        microscope.select_objective("100x")


def test_moves_from_other_threads_do_not_disturb_the_reader(microscope: PhantomMicroscope) -> None:
    movers = [threading.Thread(target=lambda: [microscope.move_by_um(1.0, -1.0) for _ in range(50)]) for _ in range(4)]
    for mover in movers:
        mover.start()
    frames = [microscope.read(5.0) for _ in range(10)]
    for mover in movers:
        mover.join()
    end = settled(microscope)
    assert [frame.index for frame in frames] == list(range(10))
    assert frames[0].stage_um is not None and end.stage_um is not None
    assert end.stage_um[0] - frames[0].stage_um[0] <= 200.0
