"""Break every kind of camera in every way, over and over, and look whether the live camera notices and recovers.

    python scripts/break_cameras.py --times 200
    python scripts/break_cameras.py --clock 10000

In real time all sources that can be made without a device run side by side, each below a `LiveCamera` with its threads:
UVC, GenICam and Micro-Manager over the drivers of the tests, an MJPEG stream from a server on loopback, RTSP over a
decoder of our own, and phantom, folder, video and slide, which are broken between source and live camera. With
`--clock` one source is broken under a clock of our own, within minutes as often as in weeks at the microscope. A field
is accepted before and after each fault, and what the case holds in the end is compared with what was accepted. Exit
code 1 if anything is not as it must be.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from her2scope.cameras.genicam import GenicamSource
from her2scope.cameras.images import ImageFolderSource
from her2scope.cameras.micro_manager import MicroManagerSource
from her2scope.cameras.mm_scale import KnownScale
from her2scope.cameras.rtsp_pictures import RtspPictures
from her2scope.cameras.slide_view import SlideMicroscope
from her2scope.cameras.stream import StreamSource
from her2scope.cameras.stream_address import StreamAddress, parse_address
from her2scope.cameras.stream_end import Limits
from her2scope.cameras.uvc import UvcCameraSource
from her2scope.cameras.video import VideoFileSource
from her2scope.domain.errors import (
    CameraEnded,
    CameraError,
    CameraLost,
    CameraNotFound,
    CameraTimeout,
    CaseRuleError,
)
from her2scope.domain.events import Event, EventKind
from her2scope.imaging.files import write_png
from her2scope.imaging.opencv import cv2
from her2scope.phantom.microscope import PhantomMicroscope
from her2scope.pipeline.clock import SystemClock
from her2scope.pipeline.live import CameraPhase, CameraStatus
from her2scope.pipeline.live_camera import LiveCamera
from her2scope.pipeline.picture_faults import PictureFaults
from her2scope.pipeline.slide_map import SlideMap
from her2scope.ports import CameraSource, CaseFile, CaseStore
from her2scope.records import CameraState, Frame, RgbImage, TrackedFrame, image_digest
from her2scope.storage.case_store import FolderCaseStore
from her2scope.storage.head_ledger import FileHeadLedger

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from cameras import fake_core, fake_genicam, fake_slide, fakes, stream_servers  # type: ignore[import-not-found]  # noqa: E402

T = TypeVar("T")
AT = "2026-05-01T10:00:00.000+00:00"
UM_PER_PX = 0.25
STATE = CameraState(objective="40x", response="srgb")
SEEN_WITHIN_S = 1.0
HANG_S = 2.0
LIVE_FOR_S = 1.2
"""Between two faults: long enough that the first one is over for the live camera."""
MEND_AFTER_S = (0.1, 0.8)
"""How long a fault stays after it was seen."""
PATIENCE_S = 60.0
SLOW_OPEN_S = 1.5
FRAME_S = 0.03
GARBAGE = random.Random(0)  # noqa: S311 - bytes that mean nothing, not a secret
PICTURES = ("black", "repeat", "swapped", "grey")
DEVICE_FAULTS = ("cut", "stall", "black", "repeat", "resize", "garbage", "slow open", "swapped", "grey")
NO_NOISE = tuple(kind for kind in DEVICE_FAULTS if kind != "repeat")


@dataclass
class Tally:
    """What all faults together showed."""

    faults: dict[str, int] = field(default_factory=dict)
    """By source and kind."""
    seen_within_1_s: int = 0
    slowest_seen_s: float = 0.0
    live_again: int = 0
    slowest_live_again_s: float = 0.0
    fields_accepted: int = 0
    fields_lost: list[str] = field(default_factory=list)
    accepted_while_broken: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    """Faults that the state did not show within `SEEN_WITHIN_S`."""
    hangs: list[str] = field(default_factory=list)
    """Calls of the window, or ends of threads, that took longer than `HANG_S`."""
    crashes: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def n_faults(self) -> int:
        """Of all sources and kinds."""
        return sum(self.faults.values())

    @property
    def found_fault(self) -> bool:
        """Whether anything is not as it must be."""
        wrong = self.fields_lost or self.accepted_while_broken or self.unseen or self.hangs or self.crashes
        return bool(wrong) or self.live_again != self.n_faults

    def count(self, source: str, kind: str, seen_s: float | None, live_s: float | None) -> None:
        """Add one fault: when it was seen and, after it was mended, when the picture was live again; None: never."""
        name = f"{source}: {kind}"
        with self.lock:
            self.faults[name] = self.faults.get(name, 0) + 1
            self.slowest_seen_s = max(self.slowest_seen_s, seen_s or 0.0)
            self.slowest_live_again_s = max(self.slowest_live_again_s, live_s or 0.0)
            self.live_again += live_s is not None
            if seen_s is not None and seen_s <= SEEN_WITHIN_S:
                self.seen_within_1_s += 1
            else:
                self.unseen.append(f"{name}: {'never' if seen_s is None else f'{seen_s:.2f} s'}")

    def as_json(self) -> dict[str, object]:
        """All figures."""
        figures = {name: value for name, value in vars(self).items() if name != "lock"}
        return {"n_faults": self.n_faults, **figures}

    def summary(self) -> str:
        """A few lines for the log."""
        lines = [
            f"faults {self.n_faults}, seen within 1 s {self.seen_within_1_s} (slowest {self.slowest_seen_s:.2f} s), "
            f"live again {self.live_again} (slowest {self.slowest_live_again_s:.1f} s)",
            f"hangs over {HANG_S:g} s {len(self.hangs)}, crashes {len(self.crashes)}, fields accepted "
            f"{self.fields_accepted}, lost {len(self.fields_lost)}, accepted while broken "
            f"{len(self.accepted_while_broken)}",
        ]
        for name in ("unseen", "hangs", "crashes", "fields_lost", "accepted_while_broken"):
            lines += [f"{name.replace('_', ' ')}: {item}" for item in getattr(self, name)[:10]]
        return "\n".join(lines)


class Listener:
    """Keeps what the live camera says of itself, with the time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.phase = CameraPhase.STARTING
        self.phase_since_s = now()

    def on_camera(self, status: CameraStatus) -> None:
        """Take the camera's state."""
        if (status.phase is CameraPhase.LIVE) != (self.phase is CameraPhase.LIVE):
            self.phase_since_s = self._now()
        self.phase = status.phase

    def __getattr__(self, name: str) -> Callable[[object], None]:
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda item: None


class AcceptedFields:
    """A case that keeps what is accepted, as the program does, and a list of it to compare with."""

    def __init__(self, store: CaseStore, case_id: str) -> None:
        self._store, self._case_id = store, case_id
        self._file: CaseFile = store.create(case_id)
        self._digests: list[str] = []

    def add(self, tracked: TrackedFrame) -> None:
        """Keep a field, durably."""
        rgb, number = tracked.frame.rgb, len(self._digests) + 1
        digest = image_digest(rgb)
        self._file.append(Event(number, EventKind.RESUMED, AT, "script", {"image": digest}, number), [rgb])
        self._digests.append(digest)

    def count_into(self, tally: Tally) -> None:
        """Close the case and compare what it holds."""
        self._file.close()
        with contextlib.closing(self._store.read(self._case_id)) as case:
            kept = [event.data["image"] for event in case.events()]
            tally.fields_accepted += len(self._digests)
            for number, digest in enumerate(self._digests, 1):
                is_there = len(kept) >= number and kept[number - 1] == digest
                if not is_there or image_digest(case.image(digest)) != digest:
                    tally.fields_lost.append(f"{self._case_id}: field {number}")


class Scene:
    """What a camera sees: one picture with the noise of a sensor, until it is told otherwise."""

    def __init__(self, height: int = 96, width: int = 128) -> None:
        self.mode = "live"
        self._size_hw = height, width
        self._even = fakes.colour_picture(height, width)
        self._random = np.random.default_rng(1)
        self._last = self._even

    def picture(self) -> RgbImage:
        """The next one, RGB."""
        if self.mode == "repeat":
            return self._last.copy()
        even = self._even
        if self.mode == "resize":
            even = fakes.colour_picture(self._size_hw[0] // 2, self._size_hw[1] // 2)
        elif self.mode in PICTURES:
            even = spoilt(even, self.mode)
        noise = self._random.integers(-2, 3, even.shape if self.mode != "grey" else (*even.shape[:2], 1))
        self._last = np.clip(even + noise, 0, 255).astype(np.uint8)
        return self._last.copy()


def spoilt(rgb: RgbImage, mode: str) -> RgbImage:
    """The picture as a camera with that fault gives it."""
    if mode == "black":
        return np.zeros_like(rgb)
    if mode == "swapped":
        return rgb[..., ::-1].copy()
    return np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


@dataclass
class Rig:
    """One source, and how it is broken and mended."""

    name: str
    source: CameraSource
    kinds: tuple[str, ...]
    break_it: Callable[[str], None]
    mend: Callable[[], None]
    close: Callable[[], None] = lambda: None


# ---- drivers that can be broken ----------------------------------------------------------------------------------


class BrokenDriver:
    """What these drivers have in common, before a fake of one: the scene, the fault, answers that may stay away."""

    driver_answers: threading.Event
    """The fake's own."""

    def __init__(self, **more: object) -> None:
        self.scene = Scene()
        self.kind = ""
        super().__init__(interval_s=FRAME_S, **more)  # type: ignore[call-arg]

    def as_opened(self, *_: object) -> Self:
        """As whatever opens it gets it."""
        if self.kind == "slow open":
            time.sleep(SLOW_OPEN_S)
        return self

    def break_it(self, kind: str) -> None:
        """Begin a fault."""
        self.kind = kind
        self.scene.mode = kind if kind in (*PICTURES, "resize") else "live"
        if kind == "stall":
            self.driver_answers.clear()
        if kind in ("cut", "slow open"):
            self.unplug(kind)

    def mend(self) -> None:
        """End it."""
        self.kind, self.scene.mode = "", "live"
        self.plug_in()
        self.driver_answers.set()

    def unplug(self, kind: str) -> None:
        """Be gone (`cut`), or come back only after a while."""
        raise NotImplementedError

    def plug_in(self) -> None:
        """Be there again."""
        raise NotImplementedError


class BrokenCapture(BrokenDriver, fakes.FakeCapture):  # type: ignore[misc]
    """An OpenCV camera or file."""

    def read(self) -> tuple[bool, object]:
        """Give the next picture as the fault has it."""
        done, _ = super().read()
        if self.kind == "garbage":
            return done, np.frombuffer(GARBAGE.randbytes(300), np.uint8)
        return (True, self.scene.picture()[..., ::-1].copy()) if done else (False, None)

    def unplug(self, kind: str) -> None:
        """Fail to read; after a cut it does not open either."""
        self.failing.set()
        self.opened = kind != "cut"

    def plug_in(self) -> None:
        """Open and read."""
        self.opened = True
        self.failing.clear()


def uvc_rig(folder: Path) -> Rig:
    """A UVC camera over a capture of our own."""
    capture = BrokenCapture()
    source = UvcCameraSource(0, UM_PER_PX, STATE, capture_factory=capture.as_opened, lost_after_s=0.5)
    return Rig("uvc", source, DEVICE_FAULTS, capture.break_it, capture.mend)


class BrokenLibrary(BrokenDriver, fake_genicam.FakeLibrary):  # type: ignore[misc]
    """A GenICam camera and its producer."""

    @property
    def picture(self) -> RgbImage:
        """What the camera sends next."""
        return self.scene.picture()

    @picture.setter
    def picture(self, rgb: RgbImage) -> None:
        pass

    def try_fetch(self, *, timeout: float) -> object:
        """Give the next picture as the fault has it."""
        if self.kind == "garbage":
            raise ValueError("payload of 13 bytes")
        return super().try_fetch(timeout=timeout)

    def unplug(self, kind: str) -> None:
        """Be unplugged; after a cut it is not found either."""
        self.unplugged.set()
        self.open_error = CameraNotFound("it is not there.") if kind == "cut" else None

    def plug_in(self) -> None:
        """Be found and open."""
        self.open_error = None
        self.unplugged.clear()


def genicam_rig(folder: Path) -> Rig:
    """A GenICam camera over a library of our own."""
    library = BrokenLibrary()
    source = GenicamSource("40123", UM_PER_PX, STATE, producers=(), load=library.as_opened, lost_after_s=0.5)
    return Rig("genicam", source, DEVICE_FAULTS, library.break_it, library.mend)


class BrokenCore(BrokenDriver, fake_core.FakeCore):  # type: ignore[misc]
    """A microscope that Micro-Manager drives."""

    @property
    def pixels(self) -> object:
        """What the camera sends next."""
        if self.kind == "garbage":
            return np.frombuffer(GARBAGE.randbytes(64), np.uint8).reshape(8, 8)
        return fake_core.packed(self.scene.picture())

    @pixels.setter
    def pixels(self, pixels: object) -> None:
        pass

    def unplug(self, kind: str) -> None:
        """Refuse to go on and to open, or have stopped."""
        if kind == "cut":
            self.refuses |= {"getRemainingImageCount", "loadSystemConfiguration"}
        else:
            self.running = False

    def plug_in(self) -> None:
        """Refuse nothing."""
        self.refuses.clear()


def micro_manager_rig(folder: Path) -> Rig:
    """A Micro-Manager configuration over a core of our own."""
    core = BrokenCore()
    known = KnownScale(objective="40x", um_per_px=UM_PER_PX)
    source = MicroManagerSource(fake_core.config_file(folder), known, STATE, core_factory=core.as_opened)
    return Rig("micro-manager", source, DEVICE_FAULTS, core.break_it, core.mend)


class BrokenServer:
    """A network camera on loopback."""

    def __init__(self) -> None:
        self.scene = Scene()
        self.kind = ""
        self.server = stream_servers.Server(self._answer)

    def _answer(self, call: stream_servers.Call) -> None:
        if self.kind == "cut":
            return
        if self.kind == "slow open":
            time.sleep(SLOW_OPEN_S)
        call.send(stream_servers.HEAD)
        call.stream(self._part, FRAME_S)

    def _part(self) -> bytes:
        while self.kind == "stall":
            time.sleep(0.01)
        if self.kind == "garbage":
            return GARBAGE.randbytes(4000)
        done, jpeg = cv2.imencode(".jpg", self.scene.picture()[..., ::-1].copy())
        return bytes(stream_servers.part_of(jpeg.tobytes() if done else b""))

    def break_it(self, kind: str) -> None:
        """Begin a fault."""
        self.kind = kind
        self.scene.mode = kind if kind in (*PICTURES, "resize") else "live"
        if kind in ("cut", "slow open"):
            self.server.hang_up()

    def mend(self) -> None:
        """End it."""
        self.kind, self.scene.mode = "", "live"


def stream_rig(folder: Path) -> Rig:
    """An MJPEG stream from loopback."""
    camera = BrokenServer()
    source = StreamSource(parse_address(camera.server.url), UM_PER_PX, STATE)

    def close() -> None:
        camera.mend()
        camera.server.close()

    return Rig("stream", source, NO_NOISE, camera.break_it, camera.mend, close)


def rtsp_rig(folder: Path) -> Rig:
    """An RTSP stream: somebody listens on loopback, and FFmpeg below it is a capture of our own."""
    capture = BrokenCapture()
    server = stream_servers.Server(lambda call: None)

    def connected(address: StreamAddress, limits: Limits) -> RtspPictures:
        return RtspPictures(address, limits, lambda *_: capture.as_opened(0))

    source = StreamSource(parse_address(f"rtsp://{server.place}/field"), UM_PER_PX, STATE, connection=connected)

    def close() -> None:
        capture.mend()
        server.close()

    return Rig("rtsp", source, NO_NOISE, capture.break_it, capture.mend, close)


def video_rig(folder: Path) -> Rig:
    """A video that does not end by itself."""
    path = folder / "slide.avi"
    path.write_bytes(b"played by the capture below")
    capture = BrokenCapture(properties={cv2.CAP_PROP_FPS: 1.0 / FRAME_S})
    source = VideoFileSource(path, UM_PER_PX, STATE, capture_factory=capture.as_opened)
    kinds = tuple(kind for kind in NO_NOISE if kind != "resize")  # a file has one size
    return Rig("video", source, kinds, capture.break_it, capture.mend)


# ---- sources that are broken from without -------------------------------------------------------------------------


class BrokenSource:
    """Passes a source on until it is broken."""

    def __init__(self, source: CameraSource, *, has_noise: bool) -> None:
        self._source, self.has_noise = source, has_noise
        self.name = source.name
        self.kind = ""
        self._last: Frame | None = None

    def open(self) -> None:
        """Open as the fault has it."""
        if self.kind == "cut":
            raise CameraNotFound(f"{self.name} is not there.")
        if self.kind == "slow open":
            time.sleep(SLOW_OPEN_S)
        self._source.open()
        if self.kind == "slow open":
            self.kind = ""

    def read(self, timeout_s: float) -> Frame:
        """Give the next frame as the fault has it."""
        if self.kind in ("cut", "slow open"):
            raise CameraLost(self.name, 0)
        if self.kind == "garbage":
            raise ValueError("13 bytes are no picture")
        if self.kind == "resize":
            raise CameraEnded(self.name, 0)
        while self.kind == "stall":  # longer than it was told
            time.sleep(0.01)
        frame = self._source.read(timeout_s)
        if self.kind == "repeat" and self._last is not None:
            return replace(self._last, index=frame.index, captured_s=frame.captured_s)
        self._last = frame
        return replace(frame, rgb=spoilt(frame.rgb, self.kind)) if self.kind in PICTURES else frame

    def close(self) -> None:
        """Close it."""
        self._source.close()

    def break_it(self, kind: str) -> None:
        """Begin a fault."""
        self.kind = kind

    def mend(self) -> None:
        """End it."""
        self.kind = ""


def phantom_rig(folder: Path) -> Rig:
    """The phantom microscope."""
    broken = BrokenSource(PhantomMicroscope(seed=2, size_wh=(320, 256), score="3+"), has_noise=True)
    return Rig("phantom", broken, DEVICE_FAULTS, broken.break_it, broken.mend)


def images_rig(folder: Path) -> Rig:
    """A folder with one picture."""
    write_png(folder / "field.png", fakes.colour_picture(96, 128))
    broken = BrokenSource(ImageFolderSource(folder, UM_PER_PX, STATE), has_noise=False)
    return Rig("images", broken, NO_NOISE, broken.break_it, broken.mend)


def slide_rig(folder: Path) -> Rig:
    """A slide in memory below the virtual microscope."""
    slide = fake_slide.FakeSlide(fakes.colour_picture(384, 512), UM_PER_PX)
    source = SlideMicroscope(folder / "slide.svs", STATE, size_wh=(128, 96), opener=lambda _: slide)
    broken = BrokenSource(source, has_noise=False)
    return Rig("slide", broken, NO_NOISE, broken.break_it, broken.mend)


RIGS = (
    uvc_rig, genicam_rig, micro_manager_rig, stream_rig, rtsp_rig, video_rig, phantom_rig, images_rig, slide_rig,
)  # fmt: skip


# ---- in real time -------------------------------------------------------------------------------------------------


class Stand:
    """One rig below a live camera with its two threads."""

    def __init__(self, rig: Rig, fields: AcceptedFields, tally: Tally) -> None:
        self._rig, self._fields, self._tally = rig, fields, tally
        self._listener, self._stop = Listener(time.monotonic), threading.Event()
        self._live = LiveCamera(
            rig.source, SlideMap(), self._listener, SystemClock(), lambda tracked: None, lambda now_s: None
        )
        self._threads = [
            threading.Thread(target=self._live.run, args=(self._stop,), daemon=True),
            threading.Thread(target=self._live.look_after, args=(self._stop,), daemon=True),
        ]

    def break_often(self, times: int, seed: int) -> None:
        """Break and mend it; the whole of a thread."""
        chance = random.Random(seed)  # noqa: S311 - when to break what
        for thread in self._threads:
            thread.start()
        try:
            self._live_since()
            for number in range(times):
                self._break_once(self._rig.kinds[number % len(self._rig.kinds)], chance)
        except Exception as error:  # noqa: BLE001 - the top of a thread
            self._tally.crashes.append(f"{self._rig.name}: {error!r}")
        finally:
            self._end()

    def _break_once(self, kind: str, chance: random.Random) -> None:
        time.sleep(LIVE_FOR_S)
        self._accept()
        began_s = time.monotonic()
        self._rig.break_it(kind)
        seen_s = self._seen(began_s)
        if seen_s is not None:
            time.sleep(chance.uniform(*MEND_AFTER_S))
            self._must_refuse(kind)
        self._rig.mend()
        mended_s = time.monotonic()
        live_s = self._live_since()
        self._tally.count(self._rig.name, kind, seen_s, None if live_s is None else max(0.0, live_s - mended_s))

    def _seen(self, began_s: float) -> float | None:
        """After how long the state showed it."""
        while time.monotonic() < began_s + 3 * SEEN_WITHIN_S:
            if self._listener.phase is not CameraPhase.LIVE:
                return max(0.0, self._listener.phase_since_s - began_s)
            time.sleep(0.002)
        return None

    def _live_since(self) -> float | None:
        """Wait until it is live, as the reader does: one that is lost for good is opened by F5."""
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            if self._listener.phase is CameraPhase.LIVE:
                return self._listener.phase_since_s
            if self._listener.phase is CameraPhase.LOST:
                self._timed("reconnect", self._live.reconnect)
            time.sleep(0.005)
        return None

    def _accept(self) -> None:
        if self._listener.phase is not CameraPhase.LIVE:
            return
        with contextlib.suppress(CaseRuleError):  # it stalled just now, on a busy computer
            self._fields.add(self._timed("newest", self._live.newest))

    def _must_refuse(self, kind: str) -> None:
        try:
            tracked = self._timed("newest", self._live.newest)
        except CaseRuleError:
            return
        self._tally.accepted_while_broken.append(f"{self._rig.name}: {kind}, frame {tracked.frame.index}")

    def _timed(self, what: str, call: Callable[[], T]) -> T:
        began_s = time.monotonic()
        try:
            return call()
        finally:
            self._must_be_short(what, began_s)

    def _must_be_short(self, what: str, began_s: float) -> None:
        took_s = time.monotonic() - began_s
        if took_s > HANG_S:
            self._tally.hangs.append(f"{self._rig.name}: {what} took {took_s:.1f} s")

    def _end(self) -> None:
        self._rig.mend()
        began_s = time.monotonic()
        self._stop.set()
        self._live.reconnect()
        for thread in self._threads:
            thread.join(2 * HANG_S)
        self._must_be_short("the end", began_s)
        self._rig.close()


def break_in_real_time(times: int, seed: int, folder: Path, tally: Tally) -> None:
    """Share `times` faults among all rigs, which run side by side."""
    store = store_in(folder)
    stands = []
    for make in RIGS:
        own = folder / make.__name__
        own.mkdir()
        rig = make(own)
        fields = AcceptedFields(store, rig.name)
        stands.append((Stand(rig, fields, tally), fields))
    shares = [times // len(stands) + (place < times % len(stands)) for place in range(len(stands))]
    threads = [
        threading.Thread(target=stand.break_often, args=(share, seed + place))
        for place, ((stand, _), share) in enumerate(zip(stands, shares, strict=True))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _, fields in stands:
        fields.count_into(tally)


def store_in(folder: Path) -> FolderCaseStore:
    """Cases and their ledger below `folder`, as the program has them."""
    return FolderCaseStore(folder / "cases", FileHeadLedger(folder / "case-heads.jsonl"))


# ---- with a clock of our own --------------------------------------------------------------------------------------


class OwnClock:
    """Time that goes on only when somebody waits; meanwhile the thread beside the camera's has its turn."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.meanwhile: Callable[[], None] = lambda: None

    def now_utc(self) -> str:
        """Of no use here."""
        return AT

    def monotonic_s(self) -> float:
        """Seconds since the beginning."""
        return self.now_s

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s = min(until_s, self.now_s + 0.1)
            self.meanwhile()


CLOCK_KINDS = (*DEVICE_FAULTS, "block")
CLOCK_FRAME_S = 0.1
FIELDS_EVERY = 100
"""A field is accepted before every so-many-th fault: each is written to the disk as in the program."""


class ClockedSource:
    """Breaks itself by its clock, and tells the tally what was seen of it."""

    name = "clocked camera"
    has_noise = True

    def __init__(self, clock: OwnClock, listener: Listener, times: int, seed: int, tally: Tally) -> None:
        self._clock, self._listener, self._left, self._tally = clock, listener, times, tally
        self._chance = random.Random(seed)  # noqa: S311 - when to break what
        self.scene = Scene(48, 64)
        self.kind = ""
        self.stop = threading.Event()
        self.before_fault: Callable[[int], None] = lambda left: None
        self._index = 0
        self.began_s = self._mends_s = 0.0
        self._seen_s: float | None = None
        self._mended: tuple[str, float] | None = None
        """What was mended, and when, while the picture is not live again."""

    def turn(self) -> None:
        """Begin, see or end a fault, by what time it is."""
        now_s, listener = self._clock.now_s, self._listener
        is_live = listener.phase is CameraPhase.LIVE
        if self.kind and not is_live and self._seen_s is None:
            self._seen_s = now_s - self.began_s
        elif self.kind and now_s >= self._mends_s:
            self._mended = self.kind, now_s
            self.kind, self.scene.mode = "", "live"
        elif self._mended is not None and is_live:
            self._tally.count("clock", self._mended[0], self._seen_s, now_s - self._mended[1])
            self._mended = None
            self._left -= 1
        elif not self.kind and self._mended is None and is_live and now_s - listener.phase_since_s > LIVE_FOR_S:
            self._begin(now_s)

    def _begin(self, now_s: float) -> None:
        if self._left <= 0:
            self.stop.set()
            return
        self.before_fault(self._left)
        self.kind = self._chance.choice(CLOCK_KINDS)
        self.scene.mode = self.kind if self.kind in (*PICTURES, "resize") else "live"
        self.began_s, self._mends_s, self._seen_s = now_s, now_s + self._chance.uniform(1.2, 9.0), None

    def open(self) -> None:
        """Open as the fault has it."""
        if self.kind == "cut":
            raise CameraNotFound("it is not there.")
        if self.kind == "slow open":
            self._clock.wait(SLOW_OPEN_S)

    def read(self, timeout_s: float) -> Frame:
        """Give the next frame as the fault has it."""
        kind = self.kind
        if kind in ("cut", "slow open"):
            raise CameraLost(self.name, self._index)
        if kind == "garbage":
            raise CameraError(f"{self.name} gives pictures that are none.")
        if kind == "resize":
            raise CameraEnded(self.name, self._index)
        if kind == "stall":
            self._clock.wait(timeout_s)
            raise CameraTimeout("no frame.")
        while self.kind == "block":
            self._clock.wait(CLOCK_FRAME_S)
        self._clock.wait(CLOCK_FRAME_S)
        self._index += 1
        return Frame(self.scene.picture(), self._index, self._clock.now_s, UM_PER_PX, STATE, self.name)

    def close(self) -> None:
        """Nothing is to be released."""


def break_by_clock(times: int, seed: int, folder: Path, tally: Tally) -> None:
    """Break one source `times` times; all in this thread."""
    clock = OwnClock()
    listener = Listener(clock.monotonic_s)
    source = ClockedSource(clock, listener, times, seed, tally)
    fields = AcceptedFields(store_in(folder), "clock")

    def pause(woken: threading.Event, seconds: float | None) -> None:
        until_s = clock.now_s + (seconds if seconds is not None else PATIENCE_S)
        while clock.now_s < until_s and not woken.is_set():
            clock.wait(CLOCK_FRAME_S)
            if seconds is None and not source.kind:
                live.reconnect()  # the reader, once the camera is as it was

    live = LiveCamera(source, SlideMap(), listener, clock, lambda tracked: None, lambda now_s: None, pause=pause)

    def accept(left: int) -> None:
        if left % FIELDS_EVERY == 0:
            fields.add(live.newest())

    def meanwhile() -> None:
        live.check()
        source.turn()
        if source.stop.is_set():
            live.reconnect()
        if source.kind and clock.now_s - source.began_s > SEEN_WITHIN_S:
            with contextlib.suppress(CaseRuleError):
                live.newest()
                tally.accepted_while_broken.append(f"clock: {source.kind}")

    source.before_fault, clock.meanwhile = accept, meanwhile
    try:
        live.run(source.stop)
    except Exception as error:  # noqa: BLE001 - what must not be
        tally.crashes.append(repr(error))
    fields.count_into(tally)


@contextlib.contextmanager
def caught_threads(tally: Tally) -> Iterator[None]:
    """Count what ends a thread."""
    before = threading.excepthook
    threading.excepthook = lambda args: tally.crashes.append(repr(args.exc_value))
    try:
        yield
    finally:
        threading.excepthook = before


def main() -> int:
    """Break cameras as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--times", type=int, default=0, help="faults in real time, over all sources")
    parser.add_argument("--clock", type=int, default=0, help="faults by a clock of our own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--blind", action="store_true", help="look at no picture, to show that this is found")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    logging.getLogger("her2scope").addHandler(logging.NullHandler())  # each fault of a driver is told at length there
    logging.getLogger("her2scope").propagate = False
    if options.blind:
        PictureFaults.look = lambda self, rgb, now_s: None  # type: ignore[method-assign]
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder, caught_threads(tally):
        if options.times > 0:
            break_in_real_time(options.times, options.seed, Path(folder), tally)
        if options.clock > 0:
            break_by_clock(options.clock, options.seed, Path(folder), tally)
    print(tally.summary())
    if options.json is not None:
        options.json.write_text(json.dumps(tally.as_json(), indent=1), encoding="utf-8")
    return int(tally.found_fault)


if __name__ == "__main__":
    sys.exit(main())
