"""From a URI (`camera:0`, `images:DIR`) to a source of frames."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl

from her2scope.cameras.genicam import GenicamSource
from her2scope.cameras.images import ImageFolderSource
from her2scope.cameras.micro_manager import MicroManagerSource
from her2scope.cameras.mm_scale import KnownScale
from her2scope.cameras.slide_view import SlideMicroscope
from her2scope.cameras.stream_address import PORTS, parse_address, without_secrets
from her2scope.cameras.uvc import UvcCameraSource
from her2scope.cameras.uvc_modes import BY_NAME, number_of
from her2scope.cameras.video import VideoFileSource
from her2scope.cameras.wishes import WISHES, split_uri, wishes
from her2scope.domain.errors import BadInputError, NotAvailableError
from her2scope.domain.units import checked_um_per_px
from her2scope.ports import CameraSource
from her2scope.records import CameraState
from her2scope.settings import Calibration

SLIDE_SIZE_WH = (1920, 1080)
SLIDE_SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".bif", ".dcm")
"""Of files that are slides for certain; a TIFF may also be a picture."""
PHANTOM_SIZE_WH = (1280, 1024)
PHANTOM_SCORE = "2+"
PHANTOM_OBJECTIVE = "40x"
PHANTOM_SEED = 2
"""A run whose 1+ control can be read by thresholds; most cannot."""
PHANTOM_DIFFICULTY = "easy"
"""Until a network reads harder ones: thresholds do not."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What a source needs to know beside its URI."""

    calibration: Calibration = field(default_factory=Calibration)
    objective: str | None = None
    """Objective in the light path, as the calibration names it."""
    um_per_px: float | None = None
    """Pixel size; wins over the calibration's. The phantom knows its own and takes neither."""
    scale_assumed: bool = False
    """`um_per_px` is a guess that frames must carry with them."""
    size_wh: tuple[int, int] | None = None
    """Picture size, for the sources that can choose: the phantom and cameras."""
    seed: int = PHANTOM_SEED
    """Of the phantom."""
    may_come_later: bool = False
    """A file that is not there is waited for as a device is: one that was set up, on a drive that is not there yet."""


class UnknownSourceError(NotAvailableError):
    """A URI whose scheme this version does not know; says which one may have been meant."""

    def __init__(self, uri: str, hint: str = "") -> None:
        uri = without_secrets(uri)
        super().__init__("source", uri, list(SOURCE_URIS))
        self.args = (f"source '{uri}' is not available in this version. {hint}Available: {', '.join(SOURCE_URIS)}.",)


def open_source(uri: str, options: SourceOptions) -> CameraSource:
    """Make the source that `uri` names. Its device is claimed later, by `CameraSource.open` in the camera's thread.

    Raises
    ------
    UnknownSourceError
        For a scheme that is not known, with the nearest one that is.
    BadInputError
        For a URI or an option that cannot be used, a file or folder that is not there (a device may be plugged in
        later), and where the pixel size is not known.
    """
    scheme, colon, rest = uri.partition(":")
    if uri.startswith("/dev/"):  # as `ls /dev/video*` prints a camera
        scheme, colon, rest = "camera", ":", uri
    elif scheme.lower() in PORTS:  # as a camera's manual prints a stream
        scheme, colon, rest = "stream", ":", uri
    factory = _FACTORIES.get(scheme.lower()) if colon else None
    if factory is None:
        raise UnknownSourceError(uri, _hint(uri, scheme))
    return factory(rest, options)


def tells_scale(uri: str) -> bool:
    """Whether the source knows its own pixel size, or says by itself that it does not."""
    return uri.partition(":")[0].lower() in _OWN_SCALE


def pixel_size_um(options: SourceOptions) -> float:
    """Pixel size of a real source: as given, else the calibration's for the objective; BadInputError without either."""
    if options.um_per_px is not None:
        return checked_um_per_px(options.um_per_px)
    objectives = options.calibration.objectives
    if options.objective is None:
        raise BadInputError("pixel size unknown: give --um-per-px, or --objective with --calibration.")
    if options.objective not in objectives:
        known = f"It knows {', '.join(objectives)}." if objectives else "It lists no objectives."
        raise BadInputError(
            f"pixel size unknown: calibration '{options.calibration.name}' has no objective '{options.objective}'. "
            f"{known} Name one of its objectives, or give --um-per-px."
        )
    return objectives[options.objective]


# ---- factories ----------------------------------------------------------------------------------------------------


def _state(options: SourceOptions) -> CameraState:
    return CameraState(
        objective=options.objective,
        response=options.calibration.response,
        scale_assumed=options.scale_assumed,
    )


def _path(rest: str, usage: str) -> Path:
    if not rest:
        raise BadInputError(f"'{usage}' needs a path after the colon.")
    return Path(rest).expanduser()


def _file(rest: str, usage: str, what: str, options: SourceOptions) -> Path:
    """The file that is named; a device may be plugged in later, a file that is not there was mistyped."""
    path = _path(rest, usage)
    if options.may_come_later:
        return path
    scheme = usage.partition(":")[0]
    if os.path.isdir(path):
        raise BadInputError(f"'{scheme}:{rest}' is a folder. Name the {what} itself.")
    if not os.path.isfile(path):  # unlike Path.is_file, it takes any name
        raise BadInputError(f"'{scheme}:{rest}': no such {what}. Check the path after the colon.")
    return path


def _images(rest: str, options: SourceOptions) -> CameraSource:
    um_per_px, folder = pixel_size_um(options), _path(rest, "images:DIR")
    if os.path.isfile(folder):
        raise BadInputError(f"'images:{rest}' is a file. Give the folder that it lies in.")
    if not options.may_come_later and not os.path.isdir(folder):  # an empty one may get its pictures later
        raise BadInputError(f"'images:{rest}': no such folder. Check the path after the colon.")
    return ImageFolderSource(folder, um_per_px, _state(options))


def _video(rest: str, options: SourceOptions) -> CameraSource:
    um_per_px = pixel_size_um(options)
    return VideoFileSource(_file(rest, "video:FILE", "video file", options), um_per_px, _state(options))


def _camera(rest: str, options: SourceOptions) -> CameraSource:
    uri = f"camera:{rest}"
    name, asked = split_uri(uri, rest, WISHES)
    device: int | str = name
    called = name.removeprefix(BY_NAME) if name.startswith(BY_NAME) else ""
    if name.isdecimal():
        device = int(name)
    elif called and sys.platform != "linux":
        raise BadInputError(f"'{uri}': cameras have their names on Linux alone. Give its number, such as camera:0.")
    elif not called and not name.startswith("/dev/"):
        raise BadInputError(
            f"'{uri}' names no camera. Give its number (camera:0), path (camera:/dev/video0) or, on Linux, name "
            "(camera:name=NAME); her2scope devices lists them."
        )
    wanted = wishes(uri, asked)
    if wanted.pixel_format is not None and not (len(wanted.pixel_format) == 4 and wanted.pixel_format.isascii()):
        raise BadInputError(f"'{uri}': format={wanted.pixel_format} is not four letters. Write it as format=MJPG.")
    if wanted.size_wh is None:
        wanted = replace(wanted, size_wh=options.size_wh)
    find = partial(number_of, called) if called else None
    return UvcCameraSource(device, pixel_size_um(options), _state(options), wishes=wanted, find=find)


def _genicam(rest: str, options: SourceOptions) -> CameraSource:
    uri = f"genicam:{rest}"
    serial, asked = split_uri(uri, rest, ("cti", *WISHES))
    if not serial:
        raise BadInputError(
            "'genicam:' names no camera. Give its serial number (genicam:SERIAL); her2scope devices lists them."
        )
    producer = asked.get("cti")
    producers = (Path(producer).expanduser(),) if producer else None
    wanted = wishes(uri, asked, white_factors=True)
    if wanted.size_wh is None:
        wanted = replace(wanted, size_wh=options.size_wh)
    return GenicamSource(serial, pixel_size_um(options), _state(options), producers=producers, wishes=wanted)


def _stream(rest: str, options: SourceOptions) -> CameraSource:
    # Here, not above: HTTP and TLS, which no other source needs.
    from her2scope.cameras.stream import StreamSource

    return StreamSource(parse_address(rest), pixel_size_um(options), _state(options), size_wh=options.size_wh)


def _slide(rest: str, options: SourceOptions) -> CameraSource:
    """A slide tells its own pixel size: one given by hand wins, an assumed one does not count."""
    given = None if options.um_per_px is None or options.scale_assumed else checked_um_per_px(options.um_per_px)
    return SlideMicroscope(
        _file(rest, "slide:FILE", "slide file", options),
        replace(_state(options), scale_assumed=False),
        um_per_px=given,
        size_wh=options.size_wh or SLIDE_SIZE_WH,
    )


def _micro_manager(rest: str, options: SourceOptions) -> CameraSource:
    if not rest:
        raise BadInputError(
            "'mm:' needs a Micro-Manager configuration: mm:CONFIG.cfg, or mm:demo for its demonstration."
        )
    um_per_px = None if options.um_per_px is None else checked_um_per_px(options.um_per_px)
    known = KnownScale(options.calibration.objectives, options.objective, um_per_px, options.scale_assumed)
    config = None if rest == "demo" else _file(rest, "mm:CONFIG.cfg", "Micro-Manager configuration", options)
    return MicroManagerSource(config, known, _state(options))


def _phantom(rest: str, options: SourceOptions) -> CameraSource:
    # Here, not above: drawing code that no other source needs.
    from her2scope.phantom.microscope import PhantomMicroscope

    score, _, query = rest.partition("?")
    seed, difficulty = _phantom_query(query, options.seed)
    return PhantomMicroscope(
        seed=seed,
        difficulty=difficulty,
        size_wh=options.size_wh or PHANTOM_SIZE_WH,
        score=score or PHANTOM_SCORE,
        objective=options.objective or PHANTOM_OBJECTIVE,
    )


def _phantom_query(query: str, default_seed: int) -> tuple[int, str]:
    """Seed and difficulty of `phantom:3+?seed=7&difficulty=hard`."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    seed, difficulty = given.pop("seed", str(default_seed)), given.pop("difficulty", PHANTOM_DIFFICULTY)
    if given or not seed.isdecimal():
        raise BadInputError(
            f"'phantom:...?{query}' is not understood. Give a seed and a difficulty, such as"
            " phantom:3+?seed=7&difficulty=hard."
        )
    return int(seed), difficulty


_FACTORIES: dict[str, Callable[[str, SourceOptions], CameraSource]] = {
    "phantom": _phantom,
    "camera": _camera,
    "genicam": _genicam,
    "mm": _micro_manager,
    "stream": _stream,
    "slide": _slide,
    "images": _images,
    "video": _video,
}
_OWN_SCALE = ("phantom", "mm", "slide")
SOURCE_URIS = (
    "phantom:",
    "camera:N",
    "genicam:SERIAL",
    "mm:CONFIG.cfg",
    "stream:URL",
    "slide:FILE",
    "images:DIR",
    "video:FILE",
)
"""What can be opened, as a help text shows it."""


def _hint(uri: str, scheme: str) -> str:
    """What was probably meant, as a sentence, or nothing."""
    path = Path(uri).expanduser()
    if path.is_dir():
        return f"Did you mean 'images:{uri}'? "
    if path.suffix.lower() in SLIDE_SUFFIXES:
        return f"Did you mean 'slide:{uri}'? "
    if path.is_file():
        return f"Did you mean 'video:{uri}', or 'images:' with its folder? "
    near = difflib.get_close_matches(scheme.lower(), _FACTORIES, n=1)
    return f"Did you mean '{near[0]}:'? " if near else ""
