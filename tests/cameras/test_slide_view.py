from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cameras.fake_slide import FakeSlide, place_picture
from hypothesis import given
from hypothesis import strategies as st

from her2scope.cameras import slide_view
from her2scope.cameras.slide_readers import READERS
from her2scope.cameras.slide_view import (
    GLIDE_S,
    POWERS,
    UM_PER_PX_AT_1X,
    SlideDamaged,
    SlideMicroscope,
    found,
    reductions_of,
)
from her2scope.domain.errors import (
    BadInputError,
    CameraError,
    CameraLost,
    CameraNotFound,
    CameraTimeout,
    NotAvailableError,
    UnreadableImageError,
)
from her2scope.ports import Nosepiece, Stage
from her2scope.records import CameraState, Frame

PATIENCE_S = 20.0
UM_PER_PX = 0.25
PICTURE = place_picture(1800, 2000)
SIZE_WH = (320, 240)


class Clock:
    """Time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        self.now_s += 1e-6
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        self.now_s += duration_s


@pytest.fixture
def slide() -> FakeSlide:
    return FakeSlide(PICTURE, UM_PER_PX)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(slide_view.time, "monotonic", clock.monotonic)
    monkeypatch.setattr(slide_view.time, "sleep", clock.sleep)
    return clock


Make = Callable[..., SlideMicroscope]


@pytest.fixture
def make(slide: FakeSlide) -> Iterator[Make]:
    made: list[SlideMicroscope] = []

    def make(objective: str | None = None, **options: object) -> SlideMicroscope:
        given = {"size_wh": SIZE_WH, "frames_per_s": 1000.0, "opener": lambda path: slide, **options}
        made.append(SlideMicroscope(Path("a.svs"), CameraState(objective, "srgb"), **given))  # type: ignore[arg-type]
        return made[-1]

    yield make
    slide.answers.set()
    for microscope in made:
        microscope.close()


def at_rest(microscope: SlideMicroscope, clock: Clock) -> Frame:
    """The frame after the stage has stopped."""
    clock.now_s += 2 * GLIDE_S
    return microscope.read(PATIENCE_S)


def shows(frame: Frame, reduction: int = 1) -> bool:
    """Whether the frame is what the slide has where the frame says that it was taken."""
    assert frame.stage_um is not None
    height, width = frame.size_hw
    left, top = (round(c / frame.um_per_px - side / 2) for c, side in zip(frame.stage_um, (width, height), strict=True))
    wanted = np.full((height, width, 3), 255, np.uint8)
    rows, columns = np.mgrid[top : top + height, left : left + width]
    inside = (rows >= 0) & (columns >= 0) & (rows < 1800 // reduction) & (columns < 2000 // reduction)
    wanted[inside] = PICTURE[rows[inside] * reduction, columns[inside] * reduction]
    return bool(np.abs(frame.rgb.astype(int) - wanted).max() <= (0 if reduction == 1 else 2))


# ---- what it shows --------------------------------------------------------------------------------------------------


def test_it_is_a_stage_and_a_nosepiece(make: Make) -> None:
    assert isinstance(make(), Stage) and isinstance(make(), Nosepiece)


def test_the_strongest_objective_shows_the_slide_s_own_pixels_in_its_scale(make: Make) -> None:
    microscope = make()
    microscope.open()
    frame = microscope.read(PATIENCE_S)
    assert (frame.um_per_px, frame.camera.objective, frame.camera.response) == (UM_PER_PX, "40x", "srgb")
    assert frame.size_hw == (240, 320) and frame.name == "a.svs"
    assert shows(frame)


@pytest.mark.parametrize(("objective", "reduction"), [("20x", 2), ("10x", 4), ("4x", 10)])
def test_a_weaker_objective_shows_more_of_the_slide_in_its_own_scale(
    make: Make, objective: str, reduction: int
) -> None:
    microscope = make()
    microscope.open()
    before = microscope.read(PATIENCE_S)
    microscope.select_objective(objective)
    frame = microscope.read(PATIENCE_S)
    assert microscope.objective() == frame.camera.objective == objective
    assert frame.um_per_px == reduction * UM_PER_PX
    assert before.stage_um is not None and frame.stage_um is not None
    assert math.dist(before.stage_um, frame.stage_um) <= frame.um_per_px
    assert shows(frame, reduction)


def test_the_stage_moves_the_view_in_um_and_stops_at_the_slide_s_edge(make: Make, clock: Clock) -> None:
    microscope = make()
    microscope.open()
    start = microscope.read(PATIENCE_S).stage_um
    assert start is not None
    microscope.move_by_um(30.0, -20.0)
    moved = at_rest(microscope, clock)
    assert moved.stage_um == pytest.approx((start[0] + 30.0, start[1] - 20.0))
    assert shows(moved)
    microscope.move_by_um(-1e6, 1e6)
    corner = at_rest(microscope, clock)
    assert corner.stage_um == (0.0, 1800 * UM_PER_PX)
    assert shows(corner)
    assert (corner.rgb[:, :160][120:] == 255).all()


def test_a_move_glides(make: Make, clock: Clock) -> None:
    microscope = make(frames_per_s=50.0)
    microscope.open()
    microscope.read(PATIENCE_S)
    microscope.move_by_um(100.0, 0.0)
    places = [microscope.read(PATIENCE_S).stage_um for _ in range(round(GLIDE_S * 50) + 2)]
    across = [place[0] for place in places if place is not None]
    assert across == sorted(across)
    assert len(set(across)) > 8
    assert max(b - a for a, b in zip(across, across[1:], strict=False)) < 20.0


def test_a_picture_at_rest_is_sharp_and_one_in_motion_is_there_at_once(
    make: Make, slide: FakeSlide, clock: Clock
) -> None:
    microscope = make()
    microscope.open()
    microscope.read(PATIENCE_S)
    slide.answers.clear()  # the disk hangs
    microscope.move_by_um(-190.0, -170.0)
    clock.now_s += GLIDE_S / 2
    moving = microscope.read(0.0)
    assert not shows(moving) and moving.in_motion
    assert moving.stage_um is not None
    clock.now_s += GLIDE_S
    with pytest.raises(CameraTimeout, match="still reading"):
        microscope.read(0.0)
    slide.answers.set()
    still = microscope.read(PATIENCE_S)
    assert shows(still) and not still.in_motion


def test_named_places_are_gone_to(make: Make, clock: Clock) -> None:
    microscope = make()
    assert microscope.places() == ()
    microscope.open()
    assert microscope.places() == ("tissue",)
    place = microscope.read(PATIENCE_S).stage_um
    assert place is not None
    microscope.move_by_um(50.0, 50.0)
    assert at_rest(microscope, clock).stage_um == (place[0] + 50.0, place[1] + 50.0)
    microscope.go_to("tissue")
    assert at_rest(microscope, clock).stage_um == place
    with pytest.raises(NotAvailableError, match="place 'nowhere'"):
        microscope.go_to("nowhere")


def test_it_opens_again_where_it_was(make: Make, clock: Clock, slide: FakeSlide) -> None:
    microscope = make("20x")
    microscope.open()
    microscope.move_by_um(20.0, 10.0)
    place = at_rest(microscope, clock).stage_um
    microscope.close()
    microscope.move_by_um(500.0, 0.0)  # nothing is there to be moved
    microscope.open()
    frame = microscope.read(PATIENCE_S)
    assert (frame.stage_um, frame.camera.objective) == (place, "20x")
    assert slide.closed == 1


def test_frames_come_at_the_rate_of_a_camera(make: Make, clock: Clock) -> None:
    microscope = make(frames_per_s=30.0)
    microscope.open()
    times_s = [microscope.read(PATIENCE_S).captured_s for _ in range(31)]
    assert times_s[-1] - times_s[0] == pytest.approx(1.0, abs=0.05)
    with pytest.raises(CameraTimeout):
        microscope.read(0.001)


# ---- objectives -----------------------------------------------------------------------------------------------------


@given(st.floats(0.05, 5.0))
def test_objectives_are_named_from_the_slide_s_own_pixels_and_never_go_beyond_them(um_per_px: float) -> None:
    reductions = reductions_of(um_per_px)
    assert list(reductions.values()) == sorted(reductions.values(), reverse=True)
    assert list(reductions.values())[-1] == 1
    own = int(list(reductions)[-1].rstrip("x"))
    nominal_um_per_px = UM_PER_PX_AT_1X / own
    if UM_PER_PX_AT_1X / max(POWERS) <= um_per_px <= UM_PER_PX_AT_1X / min(POWERS):
        assert 0.6 < um_per_px / nominal_um_per_px < 1.67


@pytest.mark.parametrize(
    ("um_per_px", "names"),
    [(0.25, "4x 10x 20x 40x"), (0.2325, "4x 10x 20x 40x"), (0.499, "4x 10x 20x"), (1.0, "4x 10x"), (4.0, "4x")],
)
def test_scanners_sizes_have_their_usual_names(um_per_px: float, names: str) -> None:
    assert " ".join(reductions_of(um_per_px)) == names


def test_before_it_is_open_it_knows_no_objectives(make: Make) -> None:
    microscope = make("10x")
    assert (microscope.objectives(), microscope.objective()) == ((), "")
    with pytest.raises(NotAvailableError):
        microscope.select_objective("10x")


def test_an_objective_that_the_slide_has_not_is_refused(make: Make, slide: FakeSlide) -> None:
    with pytest.raises(CameraNotFound, match="'63x' is not available. Available: 4x, 10x, 20x, 40x"):
        make("63x").open()
    assert slide.closed == 1
    microscope = make("10x")
    microscope.open()
    with pytest.raises(NotAvailableError, match="objective '100x'"):
        microscope.select_objective("100x")
    assert microscope.objective() == "10x"


# ---- what can be wrong ----------------------------------------------------------------------------------------------


def test_without_a_pixel_size_it_does_not_open_unless_one_is_given(make: Make, slide: FakeSlide) -> None:
    slide.um_per_px = None
    with pytest.raises(CameraNotFound, match="pixel size unknown.*--um-per-px"):
        make().open()
    microscope = make(um_per_px=0.5)
    microscope.open()
    frame = microscope.read(PATIENCE_S)
    assert (frame.um_per_px, frame.camera.objective) == (0.5, "20x")


def test_a_pixel_size_that_is_given_wins(make: Make) -> None:
    microscope = make(um_per_px=0.26)
    microscope.open()
    assert microscope.read(PATIENCE_S).um_per_px == 0.26


def test_an_impossible_pixel_size_is_refused(make: Make, slide: FakeSlide) -> None:
    slide.um_per_px = 400.0
    with pytest.raises(CameraNotFound, match="not possible"):
        make().open()


def test_a_file_that_is_no_slide_is_not_found() -> None:
    def opener(path: Path) -> FakeSlide:
        raise UnreadableImageError(path, "not a slide")

    with pytest.raises(CameraNotFound, match="a.svs: not a slide"):
        SlideMicroscope(Path("a.svs"), CameraState(), opener=opener).open()


def test_an_impossible_picture_size_is_refused() -> None:
    with pytest.raises(BadInputError, match="no camera has 0x100"):
        SlideMicroscope(Path("a.svs"), CameraState(), size_wh=(0, 100))


def test_a_damaged_place_is_lost_and_reconnecting_leads_back_to_the_last_good_one(
    make: Make, slide: FakeSlide, clock: Clock
) -> None:
    microscope = make()
    microscope.open()
    good = at_rest(microscope, clock)
    slide.is_damaged = True
    microscope.move_by_um(-240.0, -200.0)
    with pytest.raises(SlideDamaged, match="cannot be read") as lost:
        while True:
            last = microscope.read(PATIENCE_S)
    assert isinstance(lost.value, CameraLost) and lost.value.last_index == last.index
    slide.is_damaged = False
    microscope.open()
    assert microscope.read(PATIENCE_S).stage_um == good.stage_um


def test_a_disk_that_hangs_holds_neither_read_nor_close(make: Make, slide: FakeSlide) -> None:
    microscope = make(join_s=0.01)
    microscope.open()
    microscope.read(PATIENCE_S)
    slide.answers.clear()
    microscope.move_by_um(-1e6, -1e6)  # far from what is read ahead
    with pytest.raises(CameraTimeout, match="still reading"):
        while True:
            microscope.read(0.05)
    microscope.close()
    closed = slide.closed
    with pytest.raises(CameraError, match="disk does not answer"):
        microscope.open()
    assert closed == slide.closed == 0
    slide.answers.set()


def test_closing_ends_a_read_that_waits(make: Make, slide: FakeSlide) -> None:
    microscope = make(join_s=0.01)
    microscope.open()
    microscope.read(PATIENCE_S)
    slide.answers.clear()
    microscope.move_by_um(-1e6, -1e6)
    closer = threading.Timer(2 * GLIDE_S, microscope.close)
    closer.start()
    with pytest.raises(CameraError, match="not open|was closed"):
        while True:
            microscope.read(60.0)
    closer.join()
    slide.answers.set()


def test_a_picture_larger_than_the_cache_is_shown_all_the_same(
    make: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slide_view, "CACHE_BYTES", 0)
    microscope = make(size_wh=(1600, 1200))
    microscope.open()
    assert shows(microscope.read(PATIENCE_S))


# ---- the list of devices --------------------------------------------------------------------------------------------


def test_the_list_says_by_what_slides_are_read_or_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slide_view.importlib.util, "find_spec", lambda name: None)
    (device,) = found()
    assert "pip install 'her2scope[slides]'" in device.problem
    monkeypatch.setattr(slide_view.importlib.util, "find_spec", lambda name: object())
    (device,) = found()
    assert device.problem == "" and "openslide" in device.name and "tiffslide" in device.name
    assert len(READERS) == 2
