"""A whole slide as a virtual microscope: a camera, a stage and a nosepiece over a scanned slide."""

from __future__ import annotations

import importlib.util
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from her2scope.cameras.common import Pacer, not_open
from her2scope.cameras.found import FoundDevice
from her2scope.cameras.slide_overview import Overview, overview_of
from her2scope.cameras.slide_readers import INSTALL, open_slide
from her2scope.cameras.slide_tiles import TILE_BYTES, TILE_PX, Tile, TileLoader, UnreadableTile, read_tile
from her2scope.domain.errors import (
    BadInputError,
    CameraBusy,
    CameraError,
    CameraLost,
    CameraNotFound,
    CameraTimeout,
    NotAvailableError,
)
from her2scope.domain.units import checked_um_per_px
from her2scope.ports import SlideReader
from her2scope.records import CameraState, Frame, RgbImage

POWERS = (4, 10, 20, 40)
"""Objectives that a nosepiece usually holds, by their magnification."""
UM_PER_PX_AT_1X = 10.0
"""Scanners' habit: 0.5 um per px is called 20x, 0.25 um per px 40x (as in Aperio's AppMag and MPP)."""
FRAMES_PER_S = 30.0
GLIDE_S = 0.3
"""How long the stage takes for one move."""
LEAD = 1.0
"""How far ahead of the view (in views) tiles are read, in the direction of the last move."""
CACHE_BYTES = 256_000_000
"""Of decoded tiles. A view of 1920 x 1080 px takes 11 MB, with all around it 60 MB."""
VIEWS_KEPT = 4
"""At least, however large the picture: a view that is not kept as a whole would never be shown."""
JOIN_S = 3.0
"""How long `close` waits for a disk to answer."""


class SlideDamaged(CameraLost):
    """A part of the slide that came into view cannot be read."""

    def __init__(self, camera: str, last_index: int, why: str) -> None:
        super().__init__(camera, last_index)
        self.args = (
            f"{camera} stopped after frame {last_index}: {why} "
            "Press Reconnect (F5) to look at another place; the case so far is saved.",
        )


@dataclass(frozen=True, slots=True)
class View:
    """What the camera sees of a slide, in pixels of its own reduction; pixel 0 lies at the slide's corner."""

    left_px: int
    top_px: int
    width: int
    height: int
    reduction: int
    """Pixels of the full resolution to one of the view."""

    def shifted(self, across: float, down: float) -> View:
        """The view moved by these shares of its width and height."""
        left_px, top_px = self.left_px + round(across * self.width), self.top_px + round(down * self.height)
        return replace(self, left_px=left_px, top_px=top_px)

    def widened(self, share: float) -> View:
        """The view with this share of its width and height more on every side."""
        moved = self.shifted(-share, -share)
        width, height = (side + 2 * round(share * side) for side in (self.width, self.height))
        return replace(moved, width=width, height=height)

    def tiles(self) -> list[Tile]:
        """Tiles that the view needs, the nearest to its middle first."""
        x = (self.left_px + self.width / 2) / TILE_PX - 0.5
        y = (self.top_px + self.height / 2) / TILE_PX - 0.5
        columns = range(self.left_px // TILE_PX, (self.left_px + self.width - 1) // TILE_PX + 1)
        rows = range(self.top_px // TILE_PX, (self.top_px + self.height - 1) // TILE_PX + 1)
        places = sorted((math.hypot(column - x, row - y), column, row) for column in columns for row in rows)
        return [(self.reduction, column, row) for _, column, row in places]


@dataclass(frozen=True, slots=True)
class _Glide:
    """A move of the stage: smooth from one place to another, in pixels of the full resolution."""

    start_px: tuple[float, float]
    end_px: tuple[float, float]
    started_s: float

    def is_over(self, now_s: float) -> bool:
        return now_s >= self.started_s + GLIDE_S

    def at(self, now_s: float) -> tuple[float, float]:
        if self.is_over(now_s):
            return self.end_px
        share = max(0.0, (now_s - self.started_s) / GLIDE_S)
        eased = share * share * (3.0 - 2.0 * share)
        x_px, y_px = (a + (b - a) * eased for a, b in zip(self.start_px, self.end_px, strict=True))
        return x_px, y_px


@dataclass(frozen=True, slots=True)
class _Aim:
    """Where the microscope looks, and through what."""

    objective: str
    glide: _Glide
    heading: tuple[float, float] = (0.0, 0.0)
    """Direction of the last move, the longer part +-1."""


class _Shot(NamedTuple):
    """What the next frame shows."""

    view: View
    objective: str
    captured_s: float
    rgb: RgbImage
    in_motion: bool


class _Slide:
    """An open slide with all that is known of it, and the threads that read it."""

    def __init__(self, reader: SlideReader, um_per_px: float, n_kept: int) -> None:
        self.um_per_px = um_per_px
        self.size_px = reader.levels[0].width_px, reader.levels[0].height_px
        self.reductions = reductions_of(um_per_px)
        self.overview: Overview | None = overview_of(reader)
        middle = self.size_px[0] / 2, self.size_px[1] / 2
        self.places = (self.overview.places() if self.overview else {}) or {"middle": middle}
        self.loader = TileLoader(lambda tile: read_tile(reader, tile), n_kept, at_end=reader.close)

    def clamped(self, place_px: tuple[float, float]) -> tuple[float, float]:
        """The nearest place on the slide."""
        x_px, y_px = (min(max(0.0, at), float(side)) for at, side in zip(place_px, self.size_px, strict=True))
        return x_px, y_px


class SlideMicroscope:
    """A CameraSource, Stage and Nosepiece in one.

    One thread opens, reads and closes; moving and turning may come from any thread. `read` never waits for the disk
    longer than it was told to: threads read the tiles, first those in view, then those ahead of the motion. While the
    stage moves, what is not read yet shows as in the overview, blurred; a picture at rest is always sharp and whole.

    The strongest objective shows the slide's own pixels; the weaker ones whole multiples of them, so that the pixel
    size of each is exact although its name (`10x`) is rounded.

    Parameters
    ----------
    path : Path
        The slide's file.
    camera : CameraState
        How it was scanned, as far as it is known; its `objective` is the one to begin with, None the strongest.
    um_per_px : float, optional
        Pixel size at full resolution; wins over what the file tells.
    size_wh : (int, int)
        Width and height of the camera's picture, px.
    opener : callable
        Opens the file; BadInputError where it cannot.
    """

    def __init__(
        self,
        path: Path,
        camera: CameraState,
        *,
        um_per_px: float | None = None,
        size_wh: tuple[int, int] = (1920, 1080),
        frames_per_s: float = FRAMES_PER_S,
        opener: Callable[[Path], SlideReader] = open_slide,
        join_s: float = JOIN_S,
    ) -> None:
        if not all(side >= 16 for side in size_wh):
            raise BadInputError(f"no camera has {size_wh[0]}x{size_wh[1]} px.")
        self.name = f"slide:{path.name}"
        self._path, self._camera, self._given_um_per_px, self._size_wh = path, camera, um_per_px, size_wh
        self._opener, self._frame_s, self._join_s = opener, 1.0 / frames_per_s, join_s
        self._lock = threading.Lock()  # guards the two below
        self._slide: _Slide | None = None
        self._aim: _Aim | None = None
        self._shown: _Aim | None = None
        """What the last picture at rest showed: the place to come back to from one that cannot be read."""
        self._leaving: _Slide | None = None
        self._pacer = Pacer(self._frame_s)
        self._index = 0

    # ---- camera

    def open(self) -> None:
        """Open the slide, where it last showed a picture at rest; CameraNotFound with the reason where it cannot."""
        self.close()
        if self._leaving is not None and not self._leaving.loader.stop(0.0):
            raise CameraBusy(f"{self.name}: its disk does not answer. Check the drive or the network, then reconnect.")
        try:
            slide = self._opened()
        except BadInputError as error:
            raise CameraNotFound(str(error)) from error
        slide.loader.start()
        with self._lock:
            self._slide = slide
            self._look(slide, self._shown or self._first_aim(slide))
        self._pacer = Pacer(self._frame_s)

    def read(self, timeout_s: float) -> Frame:
        """Wait for the next frame; CameraTimeout where the frame rate or the disk leaves none within `timeout_s`.

        SlideDamaged (a CameraLost) where what is in view cannot be read.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._lock:
            slide = self._slide
        if slide is None:
            raise not_open(self.name)
        wait_s = self._pacer.remaining_s()
        time.sleep(min(wait_s, max(0.0, timeout_s)))
        if wait_s > timeout_s:
            raise CameraTimeout(f"{self.name} gave no frame within {timeout_s:g} s. Wait longer.")
        view, objective, captured_s, rgb, in_motion = self._shot(slide, deadline_s)
        self._pacer.passed()
        index, self._index = self._index, self._index + 1
        um_per_px = slide.um_per_px * view.reduction
        centre_um = (view.left_px + view.width / 2) * um_per_px, (view.top_px + view.height / 2) * um_per_px
        camera = replace(self._camera, objective=objective)
        return Frame(rgb, index, captured_s, um_per_px, camera, self._path.name, centre_um, in_motion)

    def close(self) -> None:
        """Close the slide; a waiting `read` ends. Safe to call twice."""
        with self._lock:
            slide, self._slide = self._slide, None
        if slide is not None:
            self._leaving = None if slide.loader.stop(self._join_s) else slide

    def _opened(self) -> _Slide:
        reader = self._opener(self._path)
        try:
            um_per_px = self._given_um_per_px if self._given_um_per_px is not None else reader.um_per_px
            if um_per_px is None:
                raise BadInputError(
                    f"{self._path}: pixel size unknown: the slide does not tell it. Give --um-per-px, the size of a "
                    "pixel at full resolution."
                )
            n_view = len(View(TILE_PX - 1, TILE_PX - 1, *self._size_wh, 1).tiles())
            n_kept = max(CACHE_BYTES // TILE_BYTES, VIEWS_KEPT * n_view)
            slide = _Slide(reader, checked_um_per_px(um_per_px), n_kept)
            self._first_aim(slide)
        except BadInputError:
            reader.close()
            raise
        return slide

    def _first_aim(self, slide: _Slide) -> _Aim:
        """The first place by the objective that was asked for; NotAvailableError where the slide has not got it."""
        place_px = next(iter(slide.places.values()))
        objective = _known(self._camera.objective, slide) if self._camera.objective else list(slide.reductions)[-1]
        return _Aim(objective, _Glide(place_px, place_px, 0.0))

    def _shot(self, slide: _Slide, deadline_s: float) -> _Shot:
        """The next picture: at rest once all of it is read, at once in motion."""
        while True:
            now_s = time.monotonic()
            with self._lock:
                aim = self._aim
                if self._slide is not slide or aim is None:
                    raise CameraError(f"{self.name} was closed while a frame was awaited.")
            view = self._view_at(aim.glide.at(now_s), slide.reductions[aim.objective])
            tiles, is_at_rest = view.tiles(), aim.glide.is_over(now_s)
            try:
                found = slide.loader.find(tiles)
            except UnreadableTile as error:
                raise SlideDamaged(self.name, self._index - 1, str(error)) from error
            is_whole = len(found) == len(tiles)
            if is_whole or not is_at_rest:
                self._shown = aim if is_at_rest else self._shown
                rgb = _composed(view, found, None if is_whole else slide)
                return _Shot(view, aim.objective, now_s, rgb, not is_at_rest)
            if now_s >= deadline_s:
                raise CameraTimeout(f"{self.name} is still reading this place. Wait longer.")
            slide.loader.wait(tiles, deadline_s - now_s)

    def _view_at(self, centre_px: tuple[float, float], reduction: int) -> View:
        left, top = (round(at / reduction - side / 2) for at, side in zip(centre_px, self._size_wh, strict=True))
        return View(left, top, *self._size_wh, reduction)

    def _look(self, slide: _Slide, aim: _Aim) -> None:
        """Look elsewhere, and read what that needs; the caller holds the lock."""
        self._aim = aim
        slide.loader.want(self._worth_reading(slide, aim))

    def _worth_reading(self, slide: _Slide, aim: _Aim) -> Iterator[Tile]:
        """Where the stage stops, the way there, what lies ahead and around, and here by the other objectives."""
        end_px, reduction = aim.glide.end_px, slide.reductions[aim.objective]
        here = self._view_at(end_px, reduction)
        across, down = aim.heading
        yield from here.tiles()
        yield from self._view_at(aim.glide.at(time.monotonic()), reduction).tiles()
        yield from here.shifted(LEAD * across, LEAD * down).tiles()
        for other in slide.reductions.values():
            yield from self._view_at(end_px, other).tiles()
        yield from here.widened(0.5).tiles()
        yield from here.shifted(2 * LEAD * across, 2 * LEAD * down).tiles()

    # ---- stage

    def move_by_um(self, dx_um: float, dy_um: float) -> None:
        """Move the view, x to the right, y down; it glides there and stops at the slide's edge."""
        with self._lock:
            if self._slide is not None and self._aim is not None:
                x_px, y_px = self._aim.glide.end_px
                um_per_px = self._slide.um_per_px
                self._glide_to(self._slide, self._aim, (x_px + dx_um / um_per_px, y_px + dy_um / um_per_px))

    def places(self) -> tuple[str, ...]:
        """Pieces of tissue (`tissue`, `tissue 2`, the largest first), else `middle`; empty before the slide is open."""
        with self._lock:
            return tuple(self._slide.places) if self._slide is not None else ()

    def go_to(self, place: str) -> None:
        """Move to the middle of a named place."""
        with self._lock:
            places = self._slide.places if self._slide is not None else {}
            if self._slide is None or self._aim is None or place not in places:
                raise NotAvailableError("place", place, list(places))
            self._glide_to(self._slide, self._aim, places[place])

    def _glide_to(self, slide: _Slide, aim: _Aim, end_px: tuple[float, float]) -> None:
        now_s = time.monotonic()
        start_px, stopped_px = aim.glide.at(now_s), slide.clamped(end_px)
        dx, dy = stopped_px[0] - start_px[0], stopped_px[1] - start_px[1]
        far = max(abs(dx), abs(dy))
        heading = (dx / far, dy / far) if far else (0.0, 0.0)
        self._look(slide, _Aim(aim.objective, _Glide(start_px, stopped_px, now_s), heading))

    # ---- nosepiece

    def objectives(self) -> tuple[str, ...]:
        """Names from the weakest to the strongest; empty before the slide is open."""
        with self._lock:
            return tuple(self._slide.reductions) if self._slide is not None else ()

    def objective(self) -> str:
        """The one in the light path; empty before the slide is open."""
        with self._lock:
            return self._aim.objective if self._aim is not None else ""

    def select_objective(self, name: str) -> None:
        """Turn to `name`; the middle of the view stays."""
        with self._lock:
            if self._slide is None or self._aim is None:
                raise NotAvailableError("objective", name, [])
            self._look(self._slide, replace(self._aim, objective=_known(name, self._slide)))


def reductions_of(um_per_px: float) -> dict[str, int]:
    """Objectives that a slide of this pixel size offers, from the weakest, and their reductions.

    The strongest is the one whose name comes nearest to the slide's own pixels.
    """
    own = min(POWERS, key=lambda power: abs(math.log(power * um_per_px / UM_PER_PX_AT_1X)))
    return {f"{power}x": round(own / power) for power in POWERS if power <= own}


def _known(objective: str, slide: _Slide) -> str:
    if objective not in slide.reductions:
        raise NotAvailableError("objective", objective, list(slide.reductions))
    return objective


def _composed(view: View, found: Mapping[Tile, RgbImage], incomplete: _Slide | None) -> RgbImage:
    """The picture of a view from its tiles; of a slide whose tiles are not all read, the overview shows between."""
    if incomplete is None:
        picture = np.empty((view.height, view.width, 3), np.uint8)
    elif incomplete.overview is not None:
        picture = incomplete.overview.view(view.left_px, view.top_px, (view.width, view.height), view.reduction)
    else:
        picture = np.full((view.height, view.width, 3), 255, np.uint8)
    for (_, column, row), tile in found.items():
        x, y = column * TILE_PX - view.left_px, row * TILE_PX - view.top_px
        to_x, to_y = slice(max(x, 0), min(x + TILE_PX, view.width)), slice(max(y, 0), min(y + TILE_PX, view.height))
        picture[to_y, to_x] = tile[to_y.start - y : to_y.stop - y, to_x.start - x : to_x.stop - x]
    return picture


def found() -> tuple[FoundDevice, ...]:
    """Say which programs that read slides are there; the slides themselves are named by their file."""
    there = [name for name in ("openslide", "tiffslide") if importlib.util.find_spec(name) is not None]
    if there:
        return (FoundDevice("slide:", f"whole slides, by {' and '.join(there)}"),)
    return (FoundDevice("slide:", "whole slides", problem=f"neither OpenSlide nor tiffslide is installed. {INSTALL}"),)
