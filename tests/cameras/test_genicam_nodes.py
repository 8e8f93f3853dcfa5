from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cameras.fake_genicam import Node, colour_nodes, component
from cameras.fakes import colour_picture, shows_colour_picture
from hypothesis import given
from hypothesis import strategies as st

from her2scope.cameras.genicam_nodes import (
    about_pixel_format,
    camera_state,
    choose_pixel_format,
    hold_settings,
    picture_rgb,
    run_freely,
    set_controls,
    set_size,
)
from her2scope.cameras.wishes import CameraWishes
from her2scope.domain.errors import CameraError, CameraNotFound
from her2scope.records import CameraState

KNOWN = CameraState(objective="20x", response="linear")
EXACT = ("RGB8", "BGR8", "RGBa8", "BGRa8", "RGB8Packed", "BGRA8Packed")
BAYER = ("BayerRG8", "BayerGR8", "BayerGB8", "BayerBG8")


@pytest.mark.parametrize("pixel_format", EXACT)
@given(width=st.integers(1, 9), height=st.integers(1, 7), padding=st.integers(0, 5), seed=st.integers(0, 99))
def test_a_colour_picture_comes_through_unchanged(
    pixel_format: str, width: int, height: int, padding: int, seed: int
) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    read = picture_rgb(component(rgb, pixel_format, x_padding=padding), "cam")
    assert read is not None and np.array_equal(read, rgb)


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize("pixel_format", BAYER)
def test_each_bayer_pattern_gives_its_own_colours(pixel_format: str, padding: int) -> None:
    read = picture_rgb(component(colour_picture(), pixel_format, x_padding=padding), "cam")
    assert read is not None and shows_colour_picture(read)


@pytest.mark.parametrize("pixel_format", EXACT + BAYER)
def test_the_driver_may_use_its_buffer_again(pixel_format: str) -> None:
    sent = component(colour_picture(), pixel_format)
    read = picture_rgb(sent, "cam")
    sent.data[:] = 0
    assert read is not None and shows_colour_picture(read)
    assert read.base is None and read.flags.owndata and read.flags.c_contiguous


def test_a_picture_that_is_cut_short_is_none() -> None:
    sent = component(colour_picture(), "RGB8")
    sent.data = sent.data[:-1]
    assert picture_rgb(sent, "cam") is None


@pytest.mark.parametrize("pixel_format", ["Mono8", "BayerRG12", "YCbCr422_8"])
def test_a_picture_that_is_no_8_bit_colour_is_refused(pixel_format: str) -> None:
    sent = component(colour_picture(), "RGB8")
    sent.data_format = pixel_format
    with pytest.raises(CameraError, match=f"cam gives {pixel_format}, which is not 8-bit colour"):
        picture_rgb(sent, "cam")


@pytest.mark.parametrize(
    ("present", "offered", "wanted", "chosen"),
    [
        ("BGR8", ("Mono8", "RGB8", "BGR8"), None, "BGR8"),  # as its owner set it
        ("Mono8", ("Mono8", "BayerRG8", "BGR8"), None, "BGR8"),
        ("Mono12", ("Mono12", "BayerGB8"), None, "BayerGB8"),
        ("BGR8", ("RGB8", "BGR8", "BayerRG8"), "BayerRG8", "BayerRG8"),
        ("Mono8", ("Mono8", "RGB8Packed"), None, "RGB8"),
    ],
)
def test_a_colour_format_is_chosen(present: str, offered: tuple[str, ...], wanted: str | None, chosen: str) -> None:
    nodes = SimpleNamespace(PixelFormat=Node(present, offered))
    assert choose_pixel_format(nodes, "cam", wanted) == chosen
    assert nodes.PixelFormat.value.removesuffix("Packed") == chosen


@pytest.mark.parametrize(
    ("offered", "wanted", "says"),
    [
        (("Mono8", "Mono12"), None, r"cam gives no 8-bit colour \(Mono8, Mono12\)"),
        (("BayerRG12",), None, "an 8-bit Bayer format"),
        ((), None, "no 8-bit colour"),
        (("RGB8", "BayerRG8"), "BayerGB8", "no readable pixel format BayerGB8. Ask for RGB8, BayerRG8"),
        (("RGB8", "Mono8"), "Mono8", "Ask for RGB8"),
    ],
)
def test_what_cannot_be_read_is_refused(offered: tuple[str, ...], wanted: str | None, says: str) -> None:
    with pytest.raises(CameraNotFound, match=says):
        choose_pixel_format(SimpleNamespace(PixelFormat=Node("Mono8", offered)), "cam", wanted)


def test_a_format_that_the_camera_does_not_take_is_said() -> None:
    nodes = SimpleNamespace(PixelFormat=Node("Mono8", ("Mono8", "RGB8")))
    nodes.PixelFormat.read_only = True
    with pytest.raises(CameraNotFound, match="does not take pixel format RGB8"):
        choose_pixel_format(nodes, "cam", None)


def test_interpolated_colours_are_said() -> None:
    assert "interpolated" in about_pixel_format("BayerRG8")[0]
    assert about_pixel_format("RGB8") == ()


def test_the_state_is_told_in_our_units() -> None:
    nodes = colour_nodes(BalanceWhiteAuto=Node("Off"))
    assert camera_state(nodes, KNOWN) == CameraState("20x", "linear", 12.5, 3.0, "Red 1.52 Blue 1.88")


def test_what_the_camera_changes_by_itself_is_no_state() -> None:
    nodes = colour_nodes(ExposureAuto=Node("Continuous"), GainAuto=Node("Once"))
    assert camera_state(nodes, KNOWN) == CameraState("20x", "linear", None, None, "auto")


def test_what_a_camera_does_not_have_is_not_made_up() -> None:
    assert camera_state(SimpleNamespace(), KNOWN) == KNOWN


def test_a_camera_older_than_sfnc_2_tells_its_exposure() -> None:
    assert camera_state(SimpleNamespace(ExposureTimeAbs=Node(8000)), KNOWN).exposure_ms == 8.0


def test_a_held_camera_keeps_what_it_has_come_to() -> None:
    nodes = colour_nodes(ExposureAuto=Node("Continuous"), GainAuto=Node("Continuous"))
    hold_settings(nodes)
    assert camera_state(nodes, KNOWN) == CameraState("20x", "linear", 12.5, 3.0, "Red 1.52 Blue 1.88")


def test_exposure_and_gain_are_set_and_kept() -> None:
    nodes = colour_nodes(ExposureAuto=Node("Continuous"), GainAuto=Node("Continuous"))
    assert set_controls(nodes, CameraWishes(exposure_ms=10.0, gain=0.0)) == []
    assert (nodes.ExposureTime.value, nodes.Gain.value) == (10_000.0, 0.0)
    assert (nodes.ExposureAuto.value, nodes.GainAuto.value) == ("Off", "Off")


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        (SimpleNamespace(), ["exposure 10 ms was asked for, the driver does not tell", "gain 1 dB was asked for"]),
        (SimpleNamespace(ExposureTime=Node(40_000), Gain=Node(1)), ["the driver gives 40 ms"]),
    ],
)
def test_what_the_camera_did_not_take_is_said(nodes: Any, says: list[str]) -> None:
    for node in vars(nodes).values():
        node.read_only = True
    problems = set_controls(nodes, CameraWishes(exposure_ms=10.0, gain=1.0))
    assert len(problems) == len(says)
    assert all(words in problem for words, problem in zip(says, problems, strict=True))


def sensor(**others: Node) -> SimpleNamespace:
    """A camera of 1920 x 1200 pixels that looks at the upper right corner of its sensor."""
    sides = {"Width": Node(640), "Height": Node(480), "OffsetX": Room(1280, 1920, 16), "OffsetY": Room(0, 1200, 2)}
    nodes = SimpleNamespace(**(sides | others))
    nodes.OffsetX.of, nodes.OffsetY.of = nodes.Width, nodes.Height
    return nodes


class Room(Node):
    """Where a part of the sensor begins: the larger the part, the less room is left for it."""

    def __init__(self, value: int, pixels: int, inc: int) -> None:
        super().__init__(value)
        self._pixels, self.inc, self.of = pixels, inc, Node(0)

    @property
    def max(self) -> int:
        return self._pixels - self.of.value


def test_a_part_of_the_sensor_is_taken_from_its_middle() -> None:
    nodes = sensor()
    set_size(nodes, "genicam:1", (1000, 800))
    assert (nodes.Width.value, nodes.Height.value) == (1000, 800)
    assert (nodes.OffsetX.value, nodes.OffsetY.value) == (448, 200)  # 460 and 200, in steps of 16 and 2


def test_without_a_wish_the_size_stays() -> None:
    nodes = sensor()
    set_size(nodes, "genicam:1", None)
    assert (nodes.Width.value, nodes.OffsetX.value) == (640, 1280)


def test_another_size_than_asked_for_is_refused() -> None:
    nodes = sensor()
    nodes.Width.read_only = True
    with pytest.raises(CameraNotFound, match="gives 640 x 800 pixels, not 1000 x 800"):
        set_size(nodes, "genicam:1", (1000, 800))
    with pytest.raises(CameraNotFound, match="does not tell"):
        set_size(SimpleNamespace(), "genicam:1", (1000, 800))


@pytest.mark.parametrize("name", ["AcquisitionFrameRate", "AcquisitionFrameRateAbs"])
def test_the_rate_is_set(name: str) -> None:
    nodes = SimpleNamespace(AcquisitionFrameRateEnable=Node(False), **{name: Node(100.0)})
    assert set_controls(nodes, CameraWishes(frames_per_s=20.0)) == []
    assert getattr(nodes, name).value == 20.0 and nodes.AcquisitionFrameRateEnable.value is True
    assert "does not tell" in set_controls(SimpleNamespace(), CameraWishes(frames_per_s=20.0))[0]


def test_the_white_balance_is_set_and_kept() -> None:
    nodes = colour_nodes()
    assert set_controls(nodes, CameraWishes(white_factors=(1.4, 2.1))) == []
    assert nodes.BalanceWhiteAuto.value == "Off"
    assert camera_state(nodes, CameraState()).white_balance == "Red 1.40 Blue 2.10"
    (red, blue) = set_controls(SimpleNamespace(), CameraWishes(white_factors=(1.4, 2.1)))
    assert red == "red of the white balance 1.4 was asked for, the camera cannot set it." and blue.startswith("blue")


def test_a_camera_that_waits_for_a_trigger_is_set_free() -> None:
    nodes, stream_nodes = colour_nodes(), SimpleNamespace(StreamBufferHandlingMode=Node("OldestFirst"))
    run_freely(nodes, stream_nodes)
    assert nodes.TriggerMode.value == "Off"
    assert stream_nodes.StreamBufferHandlingMode.value == "NewestOnly"
