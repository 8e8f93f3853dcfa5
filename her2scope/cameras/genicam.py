"""GigE Vision and USB3 Vision cameras, through harvesters and the GenTL producer of the camera's maker.

harvesters is optional (`pip install 'her2scope[devices]'`). A GenTL producer is a driver, a file `.cti` that comes with
the maker's own program; most makers' work with other makers' cameras, too. Where the camera has no RGB of its own,
OpenCV interpolates the colours of its Bayer pattern.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from her2scope.cameras.found import FoundDevice
from her2scope.cameras.genicam_nodes import (
    about_pixel_format,
    absent,
    camera_state,
    choose_pixel_format,
    driver_errors,
    hold_settings,
    picture_rgb,
    run_freely,
    set_controls,
    set_size,
)
from her2scope.cameras.reader import JOIN_S, LOST_AFTER_S, OPEN_S, ThreadedCamera
from her2scope.cameras.wishes import CameraWishes
from her2scope.domain.errors import CameraBusy, CameraError, CameraNotFound
from her2scope.records import CameraState, RgbImage

PRODUCERS_VARIABLE = "GENICAM_GENTL64_PATH"
"""Folders of producers, as GenTL 1.6 has it; set by the installers of most makers."""
STATE_EVERY_S = 2.0
"""How often exposure, gain and white balance are read again: each is a question over the bus."""
FETCH_S = 0.2
"""How long one wait for a picture lasts at most, so that the thread sees that it shall end."""
EVENT_MS = 50
"""How long harvesters waits for the driver in one piece; its own 1 ms keeps a processor busy with waiting."""
_IN_USE = ("ResourceInUseException", "AccessDeniedException", "BusyException")
"""Errors of GenTL for a camera that somebody else has."""
_IN_USE_STATUS = (3, 4, 5, 6)
"""DEVICE_ACCESS_STATUS_NOACCESS, BUSY, OPEN_READWRITE and OPEN_READONLY of GenTL."""

Library = Any
"""harvesters.core.Harvester, or a test's own: `update`, `device_info_list`, `create`, `reset`."""

logging.getLogger(f"{__name__}.harvesters").propagate = False  # it tells at length what our errors say in one line
logging.getLogger(f"{__name__}.harvesters").addHandler(logging.NullHandler())

_producers_in_use = threading.Lock()
"""A producer can be opened once per process (GenTL: GCInitLib); a second search would find nothing."""


class GenicamSource(ThreadedCamera):
    """An industrial camera, known by its serial number.

    Parameters
    ----------
    serial : str
        As `found` lists it; empty for the only one there is.
    um_per_px : float
        Pixel size at the size that the camera delivers.
    camera : CameraState
        What the calibration knows; exposure, gain and white balance are added.
    producers : sequence of Path, optional
        GenTL producers; without, those that the system names.
    wishes : CameraWishes
        How to set it. A camera that delivers another picture size than asked for does not open: the pixel size would
        not hold. What else the camera did not take is in `problems`.
    """

    has_noise = True

    def __init__(
        self,
        serial: str,
        um_per_px: float,
        camera: CameraState,
        *,
        producers: Sequence[Path] | None = None,
        wishes: CameraWishes | None = None,
        load: Callable[[Sequence[Path]], Library] | None = None,
        lost_after_s: float = LOST_AFTER_S,
        join_s: float = JOIN_S,
        open_s: float = OPEN_S,
    ) -> None:
        super().__init__(
            f"genicam:{serial}", um_per_px, self._claim, lost_after_s=lost_after_s, join_s=join_s, open_s=open_s
        )
        self._serial, self._camera = serial, camera
        self._producers, self._wishes, self._load = producers, wishes or CameraWishes(), load or load_producers

    def _claim(self) -> _OpenCamera:
        producers = producer_files() if self._producers is None else self._producers
        if not _producers_in_use.acquire(blocking=False):
            raise CameraBusy(f"{self.name}: another GenICam camera is open in this program. Close it first.")
        library = None
        try:
            library = self._load(producers)
            return self._start(library)
        except Exception as error:
            _give_back(library)
            if isinstance(error, driver_errors()):
                raise self._why_not_opened(error) from error
            raise

    def _start(self, library: Library) -> _OpenCamera:
        acquirer = library.create(self._choose(library))
        nodes = acquirer.remote_device.node_map
        run_freely(nodes, acquirer.data_streams[0].node_map)
        self.notes = about_pixel_format(choose_pixel_format(nodes, self.name, self._wishes.pixel_format))
        set_size(nodes, self.name, self._wishes.size_wh)
        self.problems = tuple(f"{self.name}: {words}" for words in set_controls(nodes, self._wishes))
        acquirer.timeout_period_on_update_event_data_call = EVENT_MS
        acquirer.start()
        return _OpenCamera(library, acquirer, self.name, self._camera)

    def _choose(self, library: Library) -> Any:
        library.update()
        cameras = list(library.device_info_list)
        for camera in cameras:
            if self._serial and self._serial in (_told(camera, "serial_number"), _told(camera, "id_")):
                return camera
        if not self._serial and len(cameras) == 1:
            return cameras[0]
        names = ", ".join(f"genicam:{_serial(camera)}" for camera in cameras)
        there = f"There is {names}." if cameras else "Check its power and cable, and that the network card sees it."
        raise CameraNotFound(f"{self.name} was not found. {there}")

    def _why_not_opened(self, error: Exception) -> CameraError:
        if type(error).__name__ in _IN_USE:
            return CameraBusy(f"{self.name} is there but cannot be opened. Close the other program that uses it.")
        return CameraNotFound(f"{self.name} cannot be opened ({error}). Switch it off and on, and reconnect.")


class _OpenCamera:
    """The camera as its reader thread sees it."""

    def __init__(self, library: Library, acquirer: Any, name: str, known: CameraState) -> None:
        self._library, self._acquirer, self._name, self._known = library, acquirer, name, known
        self._nodes = acquirer.remote_device.node_map
        self._camera = known
        self._read_state_at_s = 0.0

    def next_picture(self) -> tuple[RgbImage, CameraState] | None:
        try:
            rgb = self._fetch()
        except driver_errors():  # as where the cable was pulled
            return None
        if rgb is None:
            return None
        now_s = time.monotonic()
        if now_s >= self._read_state_at_s:  # never of a silent camera: each question may wait for its answer in vain
            self._camera = camera_state(self._nodes, self._known)
            self._read_state_at_s = now_s + STATE_EVERY_S
        return rgb, self._camera

    def hold(self) -> None:
        hold_settings(self._nodes)
        self._read_state_at_s = 0.0

    def close(self) -> None:
        _give_back(self._library)

    def _fetch(self) -> RgbImage | None:
        """Copy the next picture; its buffer goes back to the driver at once."""
        buffer = self._acquirer.try_fetch(timeout=FETCH_S)
        if buffer is None:
            return None
        try:
            pictures = [component for component in buffer.payload.components if component is not None]
            if not pictures:
                raise CameraError(f"{self._name} gives no plain pictures. Switch its compression and 3D modes off.")
            return picture_rgb(pictures[0], self._name)
        finally:
            buffer.queue()


def _give_back(library: Library | None) -> None:
    """Close the camera and its producers. Never raises: what is gone cannot be closed better."""
    try:
        if library is not None:
            library.reset()
    except Exception:  # noqa: BLE001 - of a camera whose cable was pulled; the next opening says what is wrong
        logging.getLogger(__name__).info("a GenICam camera could not be closed", exc_info=True)
    finally:
        _producers_in_use.release()


# ---- producers ----------------------------------------------------------------------------------------------------


def producer_files() -> tuple[Path, ...]:
    """GenTL producers that the system names; CameraNotFound where there are none."""
    folders = [Path(folder) for folder in os.environ.get(PRODUCERS_VARIABLE, "").split(os.pathsep) if folder]
    files = tuple(path for folder in folders for path in sorted(folder.glob("*.cti")))
    if not files:
        where = f"in {', '.join(map(str, folders))}" if folders else f"({PRODUCERS_VARIABLE} is not set)"
        raise CameraNotFound(
            f"no GenTL producer (.cti) {where}. Install the program of the camera's maker, or name its file: "
            "genicam:SERIAL?cti=PATH."
        )
    return files


def load_producers(producers: Sequence[Path]) -> Library:
    """Open those of `producers` that can be; CameraNotFound with the reason where none can, or without harvesters."""
    try:
        from harvesters.core import Harvester, ParameterKey, ParameterSet
    except ImportError as error:
        raise CameraNotFound(
            f"GenICam cameras need the package harvesters ({error}). Install it: pip install 'her2scope[devices]'."
        ) from error
    problems = {path: _why_not_loaded(path) for path in producers}
    usable = [path for path, problem in problems.items() if not problem]
    if not usable:
        raise CameraNotFound(" ".join(problems.values()))
    harvester = Harvester(config=ParameterSet({ParameterKey.LOGGER: logging.getLogger(f"{__name__}.harvesters")}))
    for path in usable:
        harvester.add_file(str(path))
    return harvester


def _why_not_loaded(path: Path) -> str:
    """Empty where the producer can be loaded; harvesters would leave it out in silence."""
    if not path.is_file():
        return f"{path}: no such GenTL producer. Check the path."
    try:
        ctypes.CDLL(str(path))
    except OSError as error:
        return f"{path} cannot be loaded ({error}). Install the program of the camera's maker again."
    return ""


# ---- search -------------------------------------------------------------------------------------------------------


def found(
    producers: Sequence[Path] | None = None, load: Callable[[Sequence[Path]], Library] | None = None
) -> tuple[FoundDevice, ...]:
    """Cameras that the producers see, without opening them; so their modes are not told. Takes some seconds."""
    try:
        files = producer_files() if producers is None else producers
    except CameraNotFound as error:
        return (_nothing(str(error)),)
    if not _producers_in_use.acquire(blocking=False):
        return (_nothing("a GenICam camera is open in this program. Close it to look for others."),)
    library = None
    try:
        library = (load or load_producers)(files)
        library.update()
        cameras = {_serial(camera): _found(camera) for camera in library.device_info_list}
    except (CameraNotFound, OSError) as error:
        return (_nothing(str(error)),)
    except driver_errors() as error:
        return (_nothing(f"the GenTL producer failed ({error}). Install the program of the camera's maker again."),)
    finally:
        _give_back(library)
    return tuple(cameras.values()) or (
        _nothing("no camera answers. Check power and cable, and that camera and network card are in one network."),
    )


def _nothing(problem: str) -> FoundDevice:
    return FoundDevice("genicam:", "GenICam cameras", problem=problem)


def _found(camera: Any) -> FoundDevice:
    name = " ".join(filter(None, (_told(camera, "vendor"), _told(camera, "model")))) or _serial(camera)
    in_use = _told(camera, "access_status") in map(str, _IN_USE_STATUS)
    problem = "another program uses it, or the network does not let it through. Close that program." if in_use else ""
    return FoundDevice(f"genicam:{_serial(camera)}", name, problem=problem)


def _serial(camera: Any) -> str:
    """What a URI names it by."""
    return _told(camera, "serial_number") or _told(camera, "id_")


def _told(camera: Any, name: str) -> str:
    """A property that the producer tells of a camera; empty where it does not."""
    try:
        value = getattr(camera, name)
    except absent():
        return ""
    return "" if value is None else str(value)
