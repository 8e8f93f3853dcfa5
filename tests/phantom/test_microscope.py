"""The phantom microscope: a slide that is the same from every side, a stage that glides, objectives that turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from her2scope.domain.errors import BadInputError, CameraError, CameraTimeout, NotAvailableError
from her2scope.phantom import slide
from her2scope.phantom.microscope import GLIDE_S, OBJECTIVES, PhantomMicroscope
from her2scope.ports import CameraSource, Nosepiece, Stage
from her2scope.records import Frame

SIZE_WH = (320, 256)


@pytest.fixture
def microscope() -> Iterator[PhantomMicroscope]:
    microscope = PhantomMicroscope(3, SIZE_WH, frame_rate=200.0)
    microscope.open()
    yield microscope
    microscope.close()


PATIENCE_S = 60.0


def settled(microscope: PhantomMicroscope) -> Frame:
    time.sleep(GLIDE_S + 0.02)
    return microscope.read(PATIENCE_S)


def drawing(monkeypatch: pytest.MonkeyPatch, slowed_s: float = 0.0) -> list[threading.Thread]:
    """Threads that draw tiles from now on, one entry a tile; each tile takes `slowed_s` longer."""
    threads: list[threading.Thread] = []
    draw = slide.focused_light

    def watched(*arguments: object) -> object:
        threads.append(threading.current_thread())
        time.sleep(slowed_s)
        return draw(*arguments)

    monkeypatch.setattr(slide, "focused_light", watched)
    return threads


# ---- camera


def test_it_is_camera_stage_and_nosepiece(microscope: PhantomMicroscope) -> None:
    camera: CameraSource = microscope
    assert camera.name
    assert isinstance(microscope, Stage) and isinstance(microscope, Nosepiece)


def test_frames_tell_where_and_how_they_were_taken(microscope: PhantomMicroscope) -> None:
    frame = microscope.read(PATIENCE_S)
    assert frame.size_hw == (256, 320) and frame.um_per_px == 0.25
    assert frame.camera.objective == "40x" and frame.camera.response == microscope.run.optics.response
    assert frame.camera.exposure_ms is not None
    assert frame.stage_um is not None
    assert microscope.read(PATIENCE_S).index == frame.index + 1


def test_only_the_noise_changes_while_the_stage_rests(microscope: PhantomMicroscope) -> None:
    first, second = microscope.read(PATIENCE_S), microscope.read(PATIENCE_S)
    difference = second.rgb.astype(int) - first.rgb
    assert 0 < np.abs(difference).max() < 30
    assert abs(difference.mean()) < 0.5


def test_two_microscopes_of_one_seed_show_the_same() -> None:
    frames = []
    for _ in range(2):
        microscope = PhantomMicroscope(5, SIZE_WH)
        microscope.open()
        frames.append(microscope.read(PATIENCE_S))
        microscope.close()
    assert np.array_equal(frames[0].rgb, frames[1].rgb)


def test_frames_come_at_the_frame_rate() -> None:
    microscope = PhantomMicroscope(3, SIZE_WH, frame_rate=20.0)
    microscope.open()
    microscope.read(PATIENCE_S)
    started_s = time.monotonic()
    for _ in range(6):
        microscope.read(PATIENCE_S)
    assert 0.24 < time.monotonic() - started_s < 1.0
    microscope.close()


def test_thirty_frames_a_second_unless_told_otherwise() -> None:
    microscope = PhantomMicroscope(3, SIZE_WH)
    microscope.open()
    microscope.read(PATIENCE_S)
    started_s = time.monotonic()
    for _ in range(6):
        microscope.read(PATIENCE_S)
    assert 0.15 < time.monotonic() - started_s < 0.9
    microscope.close()


def test_a_full_hd_picture_can_be_had() -> None:
    microscope = PhantomMicroscope(3, (1920, 1080))
    microscope.open()
    frame = microscope.read(PATIENCE_S)
    assert frame.size_hw == (1080, 1920)
    microscope.close()


def test_no_frame_in_time_is_a_timeout() -> None:
    microscope = PhantomMicroscope(3, SIZE_WH, frame_rate=2.0)
    microscope.open()
    microscope.read(PATIENCE_S)  # drawing it may take until the next one is due
    microscope.read(PATIENCE_S)
    with pytest.raises(CameraTimeout):
        microscope.read(0.01)
    assert microscope.read(PATIENCE_S).index == 2
    microscope.close()


def test_closing_wakes_a_waiting_reader() -> None:
    microscope = PhantomMicroscope(3, SIZE_WH, frame_rate=0.1)
    microscope.open()
    microscope.read(PATIENCE_S)
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


# ---- drawing ahead


def test_what_is_drawn_ahead_is_what_read_would_draw() -> None:
    frames = []
    for ahead in (True, False):
        microscope = PhantomMicroscope(3, SIZE_WH)
        microscope.open()
        assert not ahead or microscope.draw_ahead(PATIENCE_S)
        microscope.move_by_um(0.5 * SIZE_WH[0] * 0.25, 0.0)
        frames.append(settled(microscope))
        microscope.close()
    assert frames[0].stage_um == frames[1].stage_um
    assert np.array_equal(frames[0].rgb, frames[1].rgb)


def test_half_a_view_away_at_the_places_and_by_other_objectives_all_is_drawn(
    microscope: PhantomMicroscope, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert microscope.draw_ahead(PATIENCE_S)
    threads = drawing(monkeypatch)
    width_um, height_um = (0.25 * side for side in SIZE_WH)
    for dx_um, dy_um in ((0.5, 0.5), (-1.0, 0.0), (0.0, -1.0)):
        microscope.move_by_um(dx_um * width_um, dy_um * height_um)
        settled(microscope)
    for place in microscope.places():
        microscope.go_to(place)
        settled(microscope)
    for objective in microscope.objectives():
        microscope.select_objective(objective)
        microscope.read(PATIENCE_S)
    assert threading.current_thread() not in threads


def test_while_the_stage_moves_frames_come_and_at_rest_they_are_true(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = []
    for slowed_s in (0.2, 0.0):
        microscope = PhantomMicroscope(3, SIZE_WH)
        microscope.open()
        microscope.read(PATIENCE_S)
        with monkeypatch.context() as patched:
            drawing(patched, slowed_s)
            microscope.move_by_um(400.0, 0.0)
            passing = microscope.read(PATIENCE_S)
            end = settled(microscope)
            assert passing.stage_um != end.stage_um
            while end.index < 20:
                end = microscope.read(PATIENCE_S)
            frames.append(end)
        microscope.close()
    assert frames[0].stage_um == frames[1].stage_um
    assert np.array_equal(frames[0].rgb, frames[1].rgb)


def test_a_place_that_takes_long_to_draw_is_a_timeout_until_it_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing(monkeypatch, 0.2)
    microscope = PhantomMicroscope(3, SIZE_WH)
    microscope.open()
    timeouts = 0
    while True:
        try:
            frame = microscope.read(0.05)
        except CameraTimeout:
            timeouts += 1
        else:
            break
    assert 0 < timeouts < 20 and frame.index == 0
    microscope.close()


def test_closing_ends_drawing_at_once_and_opening_goes_on_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(threading.enumerate())
    microscope = PhantomMicroscope(3, SIZE_WH)
    assert not microscope.draw_ahead(0.0)
    microscope.open()
    assert not microscope.draw_ahead(0.05)
    started_s = time.monotonic()
    microscope.close()
    assert time.monotonic() - started_s < 2.0
    assert set(threading.enumerate()) <= before
    threads = drawing(monkeypatch)
    microscope.open()
    assert microscope.draw_ahead(PATIENCE_S)
    assert threads
    microscope.close()
    assert set(threading.enumerate()) <= before and not microscope.draw_ahead(0.0)


# ---- stage and nosepiece


def test_a_move_shifts_the_picture_by_as_much(microscope: PhantomMicroscope) -> None:
    before = microscope.read(PATIENCE_S)
    microscope.move_by_um(10.0, 5.0)
    after = settled(microscope)
    assert before.stage_um is not None and after.stage_um is not None
    assert np.subtract(after.stage_um, before.stage_um).tolist() == [10.0, 5.0]
    moved, fixed = after.rgb[:-20, :-40].astype(int), before.rgb[20:, 40:].astype(int)
    assert np.abs(moved - fixed).mean() < 6


def test_the_stage_glides(microscope: PhantomMicroscope) -> None:
    start = microscope.read(PATIENCE_S).stage_um
    assert start is not None
    microscope.move_by_um(40.0, 0.0)
    began_s, seen = time.monotonic(), []
    while time.monotonic() - began_s < 2 * GLIDE_S:
        frame = microscope.read(PATIENCE_S)
        where = frame.stage_um
        assert where is not None
        assert frame.in_motion or where[0] - start[0] == 40.0
        seen.append(where[0] - start[0])
    assert seen == sorted(seen) and seen[-1] == 40.0 and not frame.in_motion
    assert any(5.0 < x < 35.0 for x in seen)


def test_the_stage_stops_at_the_edge_of_the_slide(microscope: PhantomMicroscope) -> None:
    microscope.move_by_um(-1e6, -1e6)
    assert settled(microscope).stage_um == (0.0, 0.0)


def test_places_can_be_gone_to(microscope: PhantomMicroscope) -> None:
    assert microscope.places() == ("control 3+", "control 2+", "control 1+", "control 0", "tissue")
    microscope.go_to("control 3+")
    frame = settled(microscope)
    assert microscope.truth_of(frame)["shares_percent"]["complete_intense"] > 10
    with pytest.raises(NotAvailableError):
        microscope.go_to("label")


def test_turning_the_nosepiece_keeps_the_middle(microscope: PhantomMicroscope) -> None:
    assert microscope.objectives() == ("10x", "20x", "40x") and microscope.objective() == "40x"
    before = microscope.read(PATIENCE_S)
    for name, um_per_px in OBJECTIVES.items():
        microscope.select_objective(name)
        frame = microscope.read(PATIENCE_S)
        assert (frame.um_per_px, frame.camera.objective) == (um_per_px, name)
        assert frame.stage_um == pytest.approx(before.stage_um, abs=1.0)
    with pytest.raises(NotAvailableError):
        microscope.select_objective("100x")


def test_moves_from_other_threads_do_not_disturb_the_reader(microscope: PhantomMicroscope) -> None:
    movers = [threading.Thread(target=lambda: [microscope.move_by_um(1.0, -1.0) for _ in range(50)]) for _ in range(4)]
    for mover in movers:
        mover.start()
    frames = [microscope.read(PATIENCE_S) for _ in range(10)]
    for mover in movers:
        mover.join()
    end = settled(microscope)
    assert [frame.index for frame in frames] == list(range(10))
    assert frames[0].stage_um is not None and end.stage_um is not None
    assert end.stage_um[0] - frames[0].stage_um[0] <= 200.0


def test_what_it_takes_is_known_as_drawn(microscope: PhantomMicroscope) -> None:
    assert microscope.read(PATIENCE_S).is_drawn
