"""A GenICam camera that does what a test tells it, in the place of harvesters and a producer."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
from cameras.fakes import colour_picture
from numpy.typing import NDArray

from her2scope.records import RgbImage


class Node:
    """One feature of a camera."""

    def __init__(self, value: Any, symbolics: tuple[str, ...] = ()) -> None:
        self._value, self.symbolics = value, symbolics
        self.read_only = False

    @property
    def value(self) -> Any:
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        if self.read_only:
            raise AttributeError("not writable")
        self._value = value


class Selected:
    """`BalanceRatio`, whose value depends on `BalanceRatioSelector`."""

    def __init__(self, selector: Node, values: dict[str, float]) -> None:
        self._selector, self._values = selector, values

    @property
    def value(self) -> float:
        return self._values[self._selector.value]

    @value.setter
    def value(self, value: float) -> None:
        self._values[self._selector.value] = value


def colour_nodes(**others: Node) -> SimpleNamespace:
    """Features of a colour camera that sets its exposure by hand and its white by itself."""
    selector = Node("Red", ("Red", "Blue"))
    nodes: dict[str, Any] = {
        "PixelFormat": Node("BGR8", ("Mono8", "RGB8", "BGR8")),
        "TriggerMode": Node("On"),
        "ExposureAuto": Node("Off"),
        "ExposureTime": Node(12_500.0),
        "GainAuto": Node("Off"),
        "Gain": Node(3.0),
        "BalanceWhiteAuto": Node("Continuous"),
        "BalanceRatioSelector": selector,
        "BalanceRatio": Selected(selector, {"Red": 1.523, "Blue": 1.88}),
    }
    return SimpleNamespace(**(nodes | others))


def component(rgb: RgbImage, pixel_format: str, *, x_padding: int = 0) -> SimpleNamespace:
    """`rgb` as a camera sends it in `pixel_format`."""
    height, width = rgb.shape[:2]
    lines = _sent(rgb, pixel_format).reshape(height, -1)
    padded = np.pad(lines, ((0, 0), (0, x_padding)), constant_values=77)
    return SimpleNamespace(
        data_format=pixel_format, width=width, height=height, x_padding=x_padding, data=padded.ravel()
    )


def _sent(rgb: RgbImage, pixel_format: str) -> NDArray[np.uint8]:
    if pixel_format.startswith("Bayer"):
        first = "RGB".index(pixel_format[5])
        second = "RGB".index(pixel_format[6])
        third, fourth = {(0, 1): (1, 2), (1, 0): (2, 1), (1, 2): (0, 1), (2, 1): (1, 0)}[first, second]
        mosaic = np.empty(rgb.shape[:2], np.uint8)
        mosaic[0::2, 0::2], mosaic[0::2, 1::2] = rgb[0::2, 0::2, first], rgb[0::2, 1::2, second]
        mosaic[1::2, 0::2], mosaic[1::2, 1::2] = rgb[1::2, 0::2, third], rgb[1::2, 1::2, fourth]
        return mosaic
    order = {"RGB": [0, 1, 2], "BGR": [2, 1, 0]}[pixel_format[:3].upper()]
    sent = rgb[..., order]
    return np.dstack([sent, np.full(rgb.shape[:2], 255, np.uint8)]) if pixel_format[3].lower() == "a" else sent


class FakeLibrary:
    """One camera, `40123`, in the place of `harvesters.core.Harvester`; also its `ImageAcquirer`."""

    def __init__(self, *, nodes: SimpleNamespace | None = None, interval_s: float = 0.002) -> None:
        self.nodes = nodes or colour_nodes()
        self.remote_device = SimpleNamespace(node_map=self.nodes)
        self.data_streams = [SimpleNamespace(node_map=SimpleNamespace())]
        self.device_info_list = [
            SimpleNamespace(
                serial_number="40123", id_="GEV 40123", vendor="Maker", model="M5", access_status=1, parent=None
            )
        ]
        self.interval_s = interval_s
        self.picture = colour_picture()
        self.timeout_period_on_update_event_data_call = 1
        self.unplugged = threading.Event()
        """Set: no picture comes any more."""
        self.driver_answers = threading.Event()
        """Cleared: the driver blocks."""
        self.driver_answers.set()
        self.open_error: Exception | None = None
        self.lent = 0
        self.opened = 0
        self.resets = 0

    def update(self) -> None:
        pass

    def create(self, camera: Any) -> FakeLibrary:
        if self.open_error is not None:
            raise self.open_error
        self.opened += 1
        return self

    def start(self) -> None:
        pass

    def reset(self) -> None:
        self.resets += 1

    def try_fetch(self, *, timeout: float) -> Any:
        time.sleep(self.interval_s)
        self.driver_answers.wait()
        if self.unplugged.is_set():
            return None
        self.lent += 1
        sent = component(self.picture, self.nodes.PixelFormat.value)
        return SimpleNamespace(payload=SimpleNamespace(components=[None, sent]), queue=self._queue)

    def _queue(self) -> None:
        self.lent -= 1
