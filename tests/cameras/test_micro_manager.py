from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cameras.fake_core import NOSEPIECE, DeviceError, FakeCore, config_file, packed
from cameras.fakes import colour_picture, shows_colour_picture
from hypothesis import given
from hypothesis import strategies as st

from her2scope.cameras import micro_manager, mm_core, mm_stand
from her2scope.cameras.micro_manager import MicroManagerSource
from her2scope.cameras.mm_camera import to_rgb
from her2scope.cameras.mm_core import adapters_folder, in_words, new_core
from her2scope.cameras.mm_scale import KnownScale
from her2scope.cameras.registry import SourceOptions, open_source
from her2scope.domain.errors import (
    BadInputError,
    CameraBusy,
    CameraError,
    CameraLost,
    CameraNotFound,
    CameraTimeout,
    NotAvailableError,
)
from her2scope.ports import CameraSource, HeldCamera, Nosepiece, PartlyReadable, Stage
from her2scope.records import CameraState, Frame

PATIENCE_S = 20.0
KNOWN = KnownScale({"40x": 0.23})
Make = Callable[..., MicroManagerSource]


@pytest.fixture
def core() -> FakeCore:
    return FakeCore()


@pytest.fixture
def make(core: FakeCore, tmp_path: Path) -> Iterator[Make]:
    sources: list[MicroManagerSource] = []

    def make(known: KnownScale = KNOWN, **options: Any) -> MicroManagerSource:
        state = CameraState(response="srgb")
        options.setdefault("core_factory", lambda: core)
        source = MicroManagerSource(config_file(tmp_path), known, state, **options)
        sources.append(source)
        return source

    yield make
    core.driver_answers.set()
    core.stand_answers.set()
    for source in sources:
        source.close()


def frame_where(source: MicroManagerSource, holds: Callable[[Frame], object]) -> Frame:
    """The first frame of which `holds` is true."""
    for _ in range(10_000):
        frame = source.read(PATIENCE_S)
        if holds(frame):
            return frame
    raise AssertionError("no such frame came")


def until(holds: Callable[[], object]) -> None:
    """Wait for another thread to bring something about."""
    pause = threading.Event()
    for _ in range(4000):
        if holds():
            return
        pause.wait(0.005)
    raise AssertionError("it did not come about")


# ---- opening


def test_it_is_camera_stage_and_nosepiece_in_one(make: Make) -> None:
    source: CameraSource = make()
    for kind in (HeldCamera, Stage, Nosepiece, PartlyReadable):
        assert isinstance(source, kind)


def test_a_configuration_that_is_not_there(make: Make, tmp_path: Path) -> None:
    source = MicroManagerSource(tmp_path / "gone.cfg", KNOWN, CameraState(), core_factory=FakeCore)
    with pytest.raises(CameraNotFound, match="no such Micro-Manager configuration"):
        source.open()


def test_a_configuration_that_does_not_load(make: Make, core: FakeCore) -> None:
    core.refuses |= {"loadSystemConfiguration", "reset"}
    with pytest.raises(CameraNotFound, match="loadSystemConfiguration did not work.*switched on"):
        make().open()
    assert core.resets == 1


def test_a_configuration_without_a_camera(make: Make, core: FakeCore) -> None:
    core.camera = ""
    with pytest.raises(CameraNotFound, match="sets up no camera"):
        make().open()


def test_a_device_that_another_program_holds_is_busy(make: Make, core: FakeCore, monkeypatch: Any) -> None:
    def load(path: str) -> None:
        raise DeviceError('Error in device "COM3": Serial port is already in use (108)')

    monkeypatch.setattr(core, "loadSystemConfiguration", load)
    with pytest.raises(CameraBusy, match="COM3.*Close the other program"):
        make().open()


def test_a_grey_camera_is_refused(make: Make, core: FakeCore) -> None:
    core.properties["PixelType"], core.allowed["PixelType"] = "8bit", ("8bit",)
    with pytest.raises(CameraNotFound, match="grey pictures.*colour camera"):
        make().open()
    assert core.resets == 1


def test_a_camera_that_can_give_colour_is_switched_to_it(make: Make, core: FakeCore) -> None:
    core.properties["PixelType"] = "8bit"
    source = make()
    source.open()
    assert shows_colour_picture(source.read(PATIENCE_S).rgb)
    assert core.properties["PixelType"] == "32bitRGB"


def test_a_camera_without_a_sequence_takes_single_pictures(make: Make, core: FakeCore) -> None:
    core.refuses.add("startContinuousSequenceAcquisition")
    source = make()
    source.open()
    assert source.read(PATIENCE_S).index < source.read(PATIENCE_S).index


def test_a_camera_that_takes_no_picture_at_all_is_not_opened(make: Make, core: FakeCore) -> None:
    core.refuses |= {"startContinuousSequenceAcquisition", "snapImage"}
    with pytest.raises(CameraNotFound, match="cannot take pictures"):
        make().open()
    assert core.resets == 1


def test_without_micro_manager_it_says_what_to_install(make: Make, monkeypatch: Any) -> None:
    def no_folder() -> Path:
        raise CameraNotFound("no Micro-Manager that fits this pymmcore was found.")

    monkeypatch.setattr(mm_core, "adapters_folder", no_folder)
    monkeypatch.setattr(micro_manager, "adapters_folder", no_folder)
    with pytest.raises(CameraNotFound, match="no Micro-Manager"):
        make(core_factory=new_core).open()
    (device,) = micro_manager.found()
    assert (device.uri, device.problem) == ("mm:", "no Micro-Manager that fits this pymmcore was found.")


def test_without_the_package_it_says_how_to_install_it(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "pymmcore_plus", None)
    with pytest.raises(CameraNotFound, match=r"pip install 'her2scope\[devices\]'"):
        adapters_folder()


def test_a_drivers_words_come_on_one_line() -> None:
    assert in_words(DeviceError("Line 1: Device\nfailed [ to load ]\n\n")) == "Line 1: Device failed [ to load ]"
    assert in_words(DeviceError("")) == "DeviceError"
    assert len(in_words(DeviceError("x" * 5000))) < 400


@pytest.mark.parametrize("uri", ["mm:", "MM:"])
def test_a_uri_without_a_configuration_says_what_to_give(uri: str) -> None:
    with pytest.raises(BadInputError, match="mm:CONFIG.cfg, or mm:demo"):
        open_source(uri, SourceOptions())


def test_a_uri_needs_no_pixel_size(tmp_path: Path) -> None:
    (tmp_path / "scope.cfg").touch()
    source = open_source(f"mm:{tmp_path / 'scope.cfg'}", SourceOptions())
    assert isinstance(source, MicroManagerSource)
    assert source.name == "mm:scope.cfg"


# ---- pictures


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_all_depths_give_the_same_picture(bits: int) -> None:
    rgb = to_rgb(packed(colour_picture(), bits), bits, "camera")
    assert np.array_equal(rgb, colour_picture())


@given(value=st.integers(0, 4095))
def test_twelve_bits_are_scaled_in_proportion(value: int) -> None:
    pixels = np.full((2, 2), value * (1 + 2**16 + 2**32), np.uint64)
    assert abs(int(to_rgb(pixels, 12, "camera")[0, 0, 0]) - 255.0 * value / 4095.0) <= 0.51


@pytest.mark.parametrize("pixels", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.uint32), None])
def test_what_is_no_colour_picture_is_an_error(pixels: object) -> None:
    with pytest.raises(CameraError, match="not colour"):
        to_rgb(pixels, 8, "camera")


def test_more_than_eight_bits_are_said(make: Make, core: FakeCore) -> None:
    core.properties["PixelType"], core.bits = "64bitRGB", 12
    core.pixels = packed(colour_picture(), 12)
    source = make()
    source.open()
    assert shows_colour_picture(source.read(PATIENCE_S).rgb)
    assert "the camera gives 12 bits per channel; they are scaled to 8." in source.problems


@pytest.mark.parametrize("call", ["getRemainingImageCount", ""])
def test_a_camera_that_throws_or_stops_is_lost_with_its_words(make: Make, core: FakeCore, call: str) -> None:
    source = make()
    source.open()
    last = source.read(PATIENCE_S)
    core.refuses.add(call)
    core.running = bool(call)
    with pytest.raises(CameraLost, match=r"\((Error in device.*did not work|camera 'Camera' stopped)") as lost:
        while True:
            last = source.read(PATIENCE_S)
    assert lost.value.last_index == last.index
    core.refuses.clear()
    source.open()
    assert source.read(PATIENCE_S).index > last.index


def test_another_size_is_refused(make: Make, core: FakeCore) -> None:
    source = make()
    source.open()
    source.read(PATIENCE_S)
    core.pixels = packed(colour_picture(24, 32))
    with pytest.raises(CameraLost, match="pixel size would not hold"):
        while True:
            source.read(PATIENCE_S)


def test_a_driver_that_blocks_holds_neither_reader_nor_close(make: Make, core: FakeCore) -> None:
    source = make(join_s=0.05)
    source.open()
    source.read(PATIENCE_S)
    core.driver_answers.clear()
    with pytest.raises(CameraTimeout):
        while True:
            source.read(0.05)
    source.close()
    with pytest.raises(CameraBusy, match="does not answer"):
        source.open()
    core.driver_answers.set()
    until(lambda: core.resets)
    source.open()
    source.read(PATIENCE_S)


def test_a_configuration_that_takes_too_long_is_let_go_of_when_it_has_loaded(make: Make, core: FakeCore) -> None:
    def slow_core() -> FakeCore:
        core.driver_answers.wait()
        return core

    core.driver_answers.clear()
    source = make(core_factory=slow_core, open_s=0.05)
    with pytest.raises(CameraBusy, match="did not open"):
        source.open()
    core.driver_answers.set()
    until(lambda: core.resets)


# ---- settings


def test_exposure_gain_and_white_are_the_state(make: Make, core: FakeCore) -> None:
    core.properties |= {"White Balance Red": "1.2", "White Balance Blue": "1.7"}
    source = make()
    source.open()
    assert source.read(PATIENCE_S).camera == CameraState(
        "40x", "srgb", 7.0, 1.5, "White Balance Red 1.2, White Balance Blue 1.7"
    )


@pytest.mark.parametrize(
    ("properties", "state"),
    [
        ({"AutoExposure": "On"}, (None, None, None)),
        ({"Gain Auto": "Continuous"}, (None, None, None)),
        ({"AutoExposureLock": "On"}, (7.0, 1.5, None)),
        ({"BalanceWhiteAuto": "1"}, (7.0, 1.5, "auto")),
        ({"AutoWB": "On", "WB_Blue": "51"}, (7.0, 1.5, "auto")),
        ({"RawBuffers": "51"}, (7.0, 1.5, None)),
        ({"WhiteBalance": "Auto"}, (7.0, 1.5, "auto")),
        ({"WhiteBalance": "Manual"}, (7.0, 1.5, "WhiteBalance Manual")),
        ({"Gain": "high"}, (7.0, None, None)),
    ],
)
def test_what_the_camera_sets_by_itself_is_no_state(
    make: Make, core: FakeCore, properties: dict[str, str], state: tuple[float | None, float | None, str | None]
) -> None:
    core.properties |= properties
    source = make()
    source.open()
    camera = source.read(PATIENCE_S).camera
    assert (camera.exposure_ms, camera.gain, camera.white_balance) == state


def test_a_camera_that_does_not_tell_has_no_state(make: Make, core: FakeCore) -> None:
    core.refuses.add("getExposure")
    source = make()
    source.open()
    assert source.read(PATIENCE_S).camera == CameraState("40x", "srgb")


def test_hold_keeps_what_the_camera_has_come_to(make: Make, core: FakeCore) -> None:
    core.properties |= {"AutoExposure": "On", "WhiteBalanceAuto": "Continuous", "White Balance Red": "1.2"}
    core.allowed |= {"AutoExposure": ("Off", "On"), "WhiteBalanceAuto": ("Continuous", "Off", "Once")}
    source = make()
    source.open()
    source.read(PATIENCE_S)
    source.hold()
    held = frame_where(source, lambda frame: frame.camera.exposure_ms)
    assert (held.camera.exposure_ms, held.camera.gain) == (7.0, 1.5)
    assert held.camera.white_balance == "WhiteBalanceAuto Off, White Balance Red 1.2"


def test_a_camera_that_refuses_to_be_held_goes_on_and_says_auto(make: Make, core: FakeCore) -> None:
    core.properties["WhiteBalanceAuto"], core.allowed["WhiteBalanceAuto"] = "On", ("Off", "On")
    core.refuses.add("setProperty WhiteBalanceAuto")
    source = make()
    source.open()
    source.read(PATIENCE_S)
    source.hold()
    assert [source.read(PATIENCE_S).camera.white_balance for _ in range(5)] == ["auto"] * 5


# ---- stage


def test_the_stages_place_travels_with_the_frame(make: Make) -> None:
    source = make()
    source.open()
    frame = frame_where(source, lambda frame: frame.stage_um is not None)
    assert frame.stage_um == (1000.0, 2000.0)


def test_moving_returns_at_once_and_steps_add_up(make: Make, core: FakeCore) -> None:
    source = make()
    source.open()
    core.stage_busy = True
    source.move_by_um(100.0, 0.0)
    source.move_by_um(100.0, -30.0)
    assert frame_where(source, lambda frame: frame.stage_um is None)
    core.stage_busy = False
    until(lambda: core.moves)
    assert np.allclose(np.sum(core.moves, axis=0), (200.0, -30.0))
    assert frame_where(source, lambda frame: frame.stage_um).stage_um == (1200.0, 1970.0)


def test_the_cameras_turn_against_the_stage_is_taken_over(make: Make, core: FakeCore) -> None:
    core.affine["Plan 40x"] = (0.003, -0.25, 0.0, -0.25, -0.002, 0.0)
    source = make()
    source.open()
    first = frame_where(source, lambda frame: frame.stage_um).stage_um
    source.move_by_um(100.0, 0.0)
    until(lambda: core.moves)
    assert np.allclose(core.moves[0], (0.0, -100.0))
    moved = frame_where(source, lambda frame: frame.stage_um and frame.stage_um != first).stage_um
    assert first is not None and moved is not None
    assert np.allclose(np.subtract(moved, first), (100.0, 0.0))


@given(
    turn=st.sampled_from([np.eye(2), np.eye(2)[::-1]]),
    signs=st.tuples(st.sampled_from([-1.0, 1.0]), st.sampled_from([-1.0, 1.0])),
    degrees=st.floats(-20.0, 20.0),
    um_per_px=st.floats(0.05, 5.0),
)
def test_the_nearest_axes_are_found_for_a_camera_a_little_turned(
    turn: Any, signs: tuple[float, float], degrees: float, um_per_px: float
) -> None:
    axes = np.diag(signs) @ turn
    angle = np.radians(degrees)
    turned = um_per_px * axes @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    affine = (*turned[0], 5.0, *turned[1], 7.0)
    assert np.array_equal(mm_stand.nearest_axes(affine, np.eye(2)), axes)


@pytest.mark.parametrize("affine", [(), (0.0,) * 6, (float("nan"),) * 6])
def test_without_a_usable_affine_the_last_axes_stand(affine: tuple[float, ...]) -> None:
    last = np.diag([1.0, -1.0])
    assert mm_stand.nearest_axes(affine, last) is last


def test_without_a_stage_moving_is_refused_in_words(make: Make, core: FakeCore) -> None:
    core.has_stage = False
    source = make()
    source.open()
    assert source.read(PATIENCE_S).stage_um is None
    with pytest.raises(CameraError, match="no XY stage"):
        source.move_by_um(1.0, 1.0)
    assert source.places() == ()
    with pytest.raises(NotAvailableError):
        source.go_to("tissue")


@pytest.mark.parametrize("call", ["setRelativeXYPosition", "getXYPosition"])
def test_a_stage_that_throws_is_said_and_the_camera_goes_on(make: Make, core: FakeCore, call: str) -> None:
    core.refuses.add(call)
    source = make()
    source.open()
    source.move_by_um(10.0, 0.0)
    until(lambda: any(call in problem for problem in source.problems))
    assert source.read(PATIENCE_S).um_per_px == 0.23


def test_before_opening_it_moves_and_turns_nothing(make: Make) -> None:
    source = make(KnownScale(objective="40x"))
    for act in (lambda: source.move_by_um(1.0, 1.0), lambda: source.select_objective("40x")):
        with pytest.raises(CameraError, match="not open"):
            act()
    assert (source.objectives(), source.objective()) == ((), "40x")


# ---- nosepiece


def test_objectives_go_from_the_weakest_to_the_strongest_by_the_calibrations_names(make: Make) -> None:
    source = make()
    source.open()
    assert source.objectives() == ("Plan 10x", "Plan 20x", "40x")
    assert source.objective() == "40x"


def test_turning_changes_objective_and_pixel_size_together(make: Make) -> None:
    source = make()
    source.open()
    assert source.read(PATIENCE_S).um_per_px == 0.23
    source.select_objective("Plan 20x")
    sizes = {source.read(PATIENCE_S).camera.objective: source.read(PATIENCE_S).um_per_px for _ in range(20)}
    assert sizes == {"Plan 20x": 0.5}
    source.select_objective("40x")
    assert source.read(PATIENCE_S).um_per_px == 0.23


def test_while_it_turns_there_is_no_frame(make: Make, core: FakeCore) -> None:
    source = make()
    source.open()
    source.read(PATIENCE_S)
    core.turning = True
    source.select_objective("Plan 10x")
    with pytest.raises(CameraTimeout):
        for _ in range(3):  # one frame was at hand before
            source.read(0.05)
    core.turning = False
    assert source.read(PATIENCE_S).camera.objective == "Plan 10x"


def test_what_was_exposed_before_a_turn_never_has_the_scale_after_it(
    make: Make, core: FakeCore, monkeypatch: Any
) -> None:
    core.interval_s = 0.02
    grey = {"Plan 40x": 40, "Plan 10x": 10, "Plan 20x": 20}
    exposed = [core.label]

    def pop() -> Any:
        exposed.append(core.label)
        core.taken_s += core.interval_s
        return packed(np.full((8, 8, 3), grey[exposed[-2]], np.uint8))

    monkeypatch.setattr(core, "popNextImage", pop)
    source = make(KnownScale())
    source.open()
    for name in ("Plan 10x", "Plan 20x", "Plan 40x") * 2:
        source.select_objective(name)
        frame = frame_where(source, lambda frame, name=name: frame.camera.objective == name)
        assert frame.rgb[0, 0, 0] == grey[name]


def test_a_nosepiece_turned_by_hand_is_seen(make: Make, core: FakeCore) -> None:
    source = make()
    source.open()
    core.label = "Plan 20x"
    assert frame_where(source, lambda frame: frame.camera.objective == "Plan 20x").um_per_px == 0.5


def test_an_objective_without_a_pixel_size_is_not_reportable(make: Make, core: FakeCore) -> None:
    source = make()
    source.open()
    core.label = "Place 4"
    frame = frame_where(source, lambda frame: frame.camera.objective == "Place 4")
    assert frame.camera.scale_assumed
    assert any("Place 4: its pixel size is not known" in problem for problem in source.problems)


def test_a_calibration_that_disagrees_with_the_configuration_is_said(make: Make) -> None:
    source = make(KnownScale({"40x": 0.22}))
    source.open()
    assert source.read(PATIENCE_S).um_per_px == 0.22
    assert any("0.22 um/px is used" in problem and "says 0.25" in problem for problem in source.problems)


def test_a_turn_that_is_refused_is_said_and_frames_come_on(make: Make, core: FakeCore) -> None:
    core.refuses.add("setStateLabel")
    source = make()
    source.open()
    source.select_objective("Plan 10x")
    assert source.read(PATIENCE_S).camera.objective == "40x"
    until(lambda: any("setStateLabel did not work" in problem for problem in source.problems))


def test_an_unknown_objective_names_those_that_are_there(make: Make) -> None:
    source = make()
    source.open()
    with pytest.raises(NotAvailableError, match="Plan 10x, Plan 20x, 40x"):
        source.select_objective("100x")


def test_a_stand_that_does_not_answer_leaves_the_scale_in_doubt(make: Make, core: FakeCore, monkeypatch: Any) -> None:
    monkeypatch.setattr(mm_stand, "STALE_AFTER_S", 0.2)
    source = make()
    source.open()
    assert not source.read(PATIENCE_S).camera.scale_assumed
    core.stand_answers.clear()
    frame = frame_where(source, lambda frame: frame.camera.scale_assumed)
    assert (frame.um_per_px, frame.stage_um) == (0.23, None)
    core.stand_answers.set()
    frame_where(source, lambda frame: not frame.camera.scale_assumed)


def test_without_a_nosepiece_the_readers_objective_holds(make: Make, core: FakeCore) -> None:
    core.has_nosepiece = False
    source = make(replace(KNOWN, objective="40x"))
    source.open()
    frame = source.read(PATIENCE_S)
    assert (frame.um_per_px, frame.camera.objective, source.objectives()) == (0.23, "40x", ())
    with pytest.raises(NotAvailableError):
        source.select_objective("20x")


def test_a_nosepiece_is_known_by_its_name_or_by_its_pixel_sizes(core: FakeCore) -> None:
    assert mm_stand.nosepiece_of(core) == NOSEPIECE
    core.sizes_um = {}
    assert mm_stand.nosepiece_of(core) == NOSEPIECE
    core.has_nosepiece = False
    assert mm_stand.nosepiece_of(core) == ""


# ---- the real core with Micro-Manager's demonstration


@pytest.fixture
def demo() -> Iterator[MicroManagerSource]:
    pytest.importorskip("pymmcore_plus", reason="pymmcore-plus is not installed (extra 'devices')")
    try:
        adapters_folder()
    except CameraNotFound as error:
        pytest.skip(f"no device adapters of Micro-Manager (pip install mm-test-adapters): {error}")
    source = open_source("mm:demo", SourceOptions(um_per_px=0.3, scale_assumed=True))
    assert isinstance(source, MicroManagerSource)
    yield source
    source.close()


def test_the_demonstration_gives_colour_scale_place_and_exposure(demo: MicroManagerSource) -> None:
    demo.open()
    frame = frame_where(demo, lambda frame: frame.stage_um is not None)
    assert frame.size_hw == (512, 512)
    assert (frame.um_per_px, frame.camera.objective) == (1.0, "Nikon 10X S Fluor")
    assert (frame.camera.exposure_ms, frame.camera.scale_assumed) == (10.0, False)
    assert demo.problems == ()


def test_the_demonstration_moves_and_turns(demo: MicroManagerSource) -> None:
    demo.open()
    assert [name.split()[1] for name in demo.objectives()] == ["10X", "20X", "40X"]
    demo.select_objective(demo.objectives()[-1])
    demo.move_by_um(80.0, -40.0)
    frame = frame_where(demo, lambda frame: frame.stage_um and frame.stage_um[0] > 79.0)
    assert frame.um_per_px == 0.25
    assert frame.stage_um == pytest.approx((80.0, -40.0), abs=0.1)


def test_colours_are_those_that_pymmcore_plus_finds(demo: MicroManagerSource, monkeypatch: pytest.MonkeyPatch) -> None:
    from pymmcore_plus import CMMCorePlus

    monkeypatch.setenv("PYMM_SIGNALS_BACKEND", "psygnal")  # where another test has a Qt application, it asks for qtpy
    core = CMMCorePlus()
    core.loadSystemConfiguration(adapters_folder() / mm_core.DEMO_CONFIG)
    core.setProperty("Camera", "PixelType", "32bitRGB")
    core.setProperty("Camera", "Mode", "Color Test Pattern")
    core.snapImage()
    rgb = to_rgb(core.getImage(fix=False), 8, "Camera")
    expected = core.getImage(fix=True)
    core.reset()
    assert np.array_equal(rgb, expected)
    assert not np.array_equal(rgb, rgb[..., ::-1])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hello\n", "sets up no camera"),
        ("Device,Cam,NoSuchAdapter,NoCam\n", "NoSuchAdapter.*switched on"),
        ("Device,Cam,DemoCamera,NoCam\n", 'failed to instantiate device "NoCam"'),
        ("Device,XY,DemoCamera,DXYStage\nProperty,Core,Initialize,1\n", "sets up no camera"),
    ],
)
def test_a_real_configuration_that_is_wrong_says_where(
    demo: MicroManagerSource, tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "wrong.cfg"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CameraNotFound, match=says):
        MicroManagerSource(path, KNOWN, CameraState()).open()


def test_the_demonstration_is_listed(demo: MicroManagerSource) -> None:
    devices = micro_manager.found()
    assert "mm:demo" in [device.uri for device in devices]
    assert not any(device.problem for device in devices)
