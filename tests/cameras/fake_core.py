"""A Micro-Manager core that does what a test tells it, in the place of `pymmcore.CMMCore`."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from cameras.fakes import colour_picture
from numpy.typing import NDArray

from her2scope.records import RgbImage

CAMERA, STAGE, NOSEPIECE = "Camera", "XY", "Nosepiece"
SIZES_UM = {"Plan 40x": 0.25, "Plan 10x": 1.0, "Plan 20x": 0.5}
LABELS = ("Plan 40x", "Plan 10x", "Plan 20x", "Place 4")


class DeviceError(RuntimeError):
    """As pymmcore raises them."""


def packed(rgb: RgbImage, bits: int = 8) -> NDArray[Any]:
    """A picture as Micro-Manager's core gives it: `(H, W)` of B, G, R and an unused channel."""
    channel, whole = (np.uint8, np.uint32) if bits == 8 else (np.uint16, np.uint64)
    values = np.rint(rgb.astype(np.float64) * (2**bits - 1) / 255.0)
    bgra = np.concatenate([values[..., ::-1], np.zeros((*rgb.shape[:2], 1))], axis=2).astype(channel)
    return np.ascontiguousarray(bgra).view(whole)[..., 0]


class Setting:
    def __init__(self, label: str, name: str = "Label") -> None:
        self.label, self.name = label, name

    def getDeviceLabel(self) -> str:
        return NOSEPIECE

    def getPropertyName(self) -> str:
        return self.name

    def getPropertyValue(self) -> str:
        return self.label


class Preset:
    def __init__(self, *settings: Setting) -> None:
        self._settings = settings

    def size(self) -> int:
        return len(self._settings)

    def getSetting(self, place: int) -> Setting:
        return self._settings[place]


class FakeCore:
    """One camera, one stage and one nosepiece; a test changes its attributes."""

    def __init__(self, *, interval_s: float = 0.002, has_stage: bool = True, has_nosepiece: bool = True) -> None:
        self.pixels = packed(colour_picture())
        self.bits = 8
        self.interval_s = interval_s
        self.has_stage, self.has_nosepiece = has_stage, has_nosepiece
        self.camera = CAMERA
        self.properties = {"Gain": "1.5", "PixelType": "32bitRGB"}
        self.allowed: dict[str, tuple[str, ...]] = {"PixelType": ("8bit", "32bitRGB", "64bitRGB")}
        self.refuses: set[str] = set()
        """Names of calls that throw."""
        self.exposure_ms = 7.0
        self.running = False
        self.taken_s = 0.0
        self.resets = 0
        self.place_um = (1000.0, 2000.0)
        self.stage_busy = False
        self.moves: list[tuple[float, float]] = []
        self.label = LABELS[0]
        self.turning = False
        self.affine: dict[str, tuple[float, ...]] = {}
        self.sizes_um = dict(SIZES_UM)
        self.driver_answers = threading.Event()
        """Cleared: the camera's calls block."""
        self.driver_answers.set()
        self.stand_answers = threading.Event()
        """Cleared: the calls of stage and nosepiece block."""
        self.stand_answers.set()

    def _do(self, call: str) -> None:
        if call in self.refuses:
            raise DeviceError(f'Error in device "Fake": {call} did not work (1)')

    # ---- core

    def loadSystemConfiguration(self, path: str) -> None:
        self._do("loadSystemConfiguration")

    def reset(self) -> None:
        self.resets += 1
        self.running = False
        self._do("reset")

    def getLoadedDevicesOfType(self, kind: int) -> tuple[str, ...]:
        return ("Filter", NOSEPIECE) if self.has_nosepiece else ("Filter",)

    def getDeviceName(self, label: str) -> str:
        return "Wheel"

    def deviceBusy(self, label: str) -> bool:
        self.stand_answers.wait()
        return self.stage_busy if label == STAGE else self.turning

    # ---- camera

    def getCameraDevice(self) -> str:
        return self.camera

    def getDevicePropertyNames(self, label: str) -> tuple[str, ...]:
        return tuple(self.properties)

    def getProperty(self, label: str, name: str) -> str:
        self._do(f"getProperty {name}")
        return self.properties[name]

    def setProperty(self, label: str, name: str, value: str) -> None:
        self._do(f"setProperty {name}")
        if self.running:
            raise DeviceError("This operation can not be executed while sequence acquisition is running.")
        self.properties[name] = value

    def getAllowedPropertyValues(self, label: str, name: str) -> tuple[str, ...]:
        return self.allowed.get(name, ())

    def isPropertyReadOnly(self, label: str, name: str) -> bool:
        return False

    def getExposure(self) -> float:
        self._do("getExposure")
        return self.exposure_ms

    def setExposure(self, exposure_ms: float) -> None:
        self.exposure_ms = exposure_ms

    def getBytesPerPixel(self) -> int:
        return {"8bit": 1, "32bitRGB": 4, "64bitRGB": 8}[self.properties["PixelType"]]

    def getNumberOfComponents(self) -> int:
        return 1 if self.properties["PixelType"] == "8bit" else 4

    def getImageBitDepth(self) -> int:
        return self.bits

    def getImageWidth(self) -> int:
        return self.pixels.shape[1]

    def getImageHeight(self) -> int:
        return self.pixels.shape[0]

    def setCircularBufferMemoryFootprint(self, megabytes: int) -> None:
        assert megabytes > 0

    def startContinuousSequenceAcquisition(self, interval_ms: float) -> None:
        self._do("startContinuousSequenceAcquisition")
        self.running, self.taken_s = True, time.monotonic()

    def stopSequenceAcquisition(self) -> None:
        self.running = False
        self._do("stopSequenceAcquisition")

    def isSequenceRunning(self) -> bool:
        return self.running

    def getRemainingImageCount(self) -> int:
        self.driver_answers.wait()
        self._do("getRemainingImageCount")
        return int((time.monotonic() - self.taken_s) / self.interval_s) if self.running else 0

    def popNextImage(self) -> NDArray[Any]:
        if not self.getRemainingImageCount():
            raise IndexError("Circular buffer is empty.")
        self.taken_s += self.interval_s
        return self.pixels

    def snapImage(self) -> None:
        self._do("snapImage")
        time.sleep(self.interval_s)

    def getImage(self) -> NDArray[Any]:
        return self.pixels

    # ---- stage

    def getXYStageDevice(self) -> str:
        return STAGE if self.has_stage else ""

    def getXYPosition(self, label: str) -> list[float]:
        self.stand_answers.wait()
        self._do("getXYPosition")
        return list(self.place_um)

    def setRelativeXYPosition(self, label: str, dx_um: float, dy_um: float) -> None:
        self._do("setRelativeXYPosition")
        self.moves.append((dx_um, dy_um))
        self.place_um = (self.place_um[0] + dx_um, self.place_um[1] + dy_um)

    # ---- nosepiece

    def getStateLabels(self, label: str) -> tuple[str, ...]:
        return LABELS

    def getStateLabel(self, label: str) -> str:
        self.stand_answers.wait()
        self._do("getStateLabel")
        return self.label

    def setStateLabel(self, label: str, value: str) -> None:
        self._do("setStateLabel")
        self.label = value

    def getAvailablePixelSizeConfigs(self) -> tuple[str, ...]:
        return tuple(self.sizes_um)

    def getPixelSizeConfigData(self, name: str) -> Preset:
        return Preset(Setting(name))

    def getPixelSizeUmByID(self, name: str) -> float:
        return self.sizes_um[name]

    def getPixelSizeUm(self) -> float:
        return self.sizes_um.get(self.label, 0.0) if self.has_nosepiece else 0.0

    def getPixelSizeAffine(self) -> tuple[float, ...]:
        return self.affine.get(self.label, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))


def config_file(folder: Path) -> Path:
    """A configuration that the fake core loads without reading it."""
    path = folder / "scope.cfg"
    path.write_text("# Generated by a test\n", encoding="utf-8")
    return path
