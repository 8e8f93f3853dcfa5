"""A map of the slide that grows as it is looked at: the place of each frame, and islands that are joined when found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.imaging.registration import Relief, find_near, recognise
from her2scope.records import Frame, IslandJoin, MapTile, MapView, RgbImage, TrackedFrame

MIN_STRUCTURE = 3.0
"""Spread of a relief (grey levels) from which there is tissue to follow; empty glass has under 1."""
REACH_UM = 80.0
"""How far from its expected place a frame is looked for: 2.4 mm/s at 30 frames a second, from a standstill."""
REDUCTION = 2.0
"""Of reliefs, to follow frames: drawn fields are placed to 0.1 um all the same (0.02 um at full resolution)."""
LENIENCY = 0.2
"""A frame blurred along 20 um has a correlation of 0.45 with a sharp one, where 0.50 is asked for, and other tissue at
most 0.24: such a frame is followed, but its place is not to be trusted (it was 5 um off)."""
ENOUGH_SHARE, NEW_SHARE, LAST_SHARE, LEAST_SHARE = 0.5, 0.6, 0.4, 0.1
"""Shares of a picture in common with a keyframe. Of several with the first, the oldest is taken; below the second, a
sharp frame becomes a keyframe itself, and below the third any frame whose place is known, lest the way be lost. With
less than the last, a frame is not looked for."""
SHARP_SHARE = 0.7
"""Of the structure of what was seen before: with less, a frame is blurred (0.75 with motion by 5 um, 0.5 at 2 um out of
focus)."""
HOLD_S = 1.0
"""For so long a blurred frame that fits nowhere is held for the last place: the reader focuses."""
VELOCITY_HOLDS_S = 0.3
"""Between two frames of a hand that moves the stage."""
STEADY_UM_PER_S = 100.0
"""Slower than this, a frame is blurred by 1 um in 10 ms, and sharp enough to be compared with other islands."""
LEAST_JOIN_SHARE = 0.25
"""Of the smaller picture. Other tissue has a correlation of at most 0.35 with so much in common, at whatever shift, and
0.58 is asked for: a wrong join would place every later field wrong, a missed one costs a search."""
MAX_KEYFRAMES = 2000
"""130 kB each: at 40x some 40 mm2. Then the oldest are no longer recognised."""
TILE_UM_PER_PX = 4.0
Place = tuple[float, float]
"""Top left corner of a frame on its island, in um."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    """A frame as the map sees it."""

    frame: Frame
    relief: Relief
    structure: float
    """Standard deviation of the relief."""

    @staticmethod
    def of(frame: Frame) -> _Sight:
        relief = Relief.of(frame)
        return _Sight(frame, relief, float(cv2.meanStdDev(relief.plane)[1][0, 0]))


@dataclass(frozen=True, slots=True, eq=False)
class _Anchor:
    """What a frame may be registered to."""

    relief: Relief
    at: Place
    structure: float


@dataclass(frozen=True, slots=True, eq=False)
class _Keyframe:
    """A frame that is kept for later ones; its place is never moved, for fields lie by it."""

    tile: MapTile
    plane: NDArray[np.int8]
    """Of its relief: rounded, it takes a quarter of the memory."""
    factor: float
    um_per_px: float
    size_hw: tuple[int, int]
    """Of the frame."""
    structure: float

    @staticmethod
    def of(sight: _Sight, tracked: TrackedFrame) -> _Keyframe:
        frame = sight.frame
        height_um, width_um = (side * frame.um_per_px for side in frame.size_hw)
        tile = MapTile(tracked.island, tracked.x_um, tracked.y_um, width_um, height_um, _overview(frame))
        plane = np.clip(np.rint(sight.relief.plane), -127, 127).astype(np.int8)
        return _Keyframe(tile, plane, sight.relief.factor, frame.um_per_px, frame.size_hw, sight.structure)

    @property
    def anchor(self) -> _Anchor:
        relief = Relief(self.plane.astype(np.float32), self.factor)
        return _Anchor(relief, (self.tile.x_um, self.tile.y_um), self.structure)

    def joined(self, join: IslandJoin) -> _Keyframe:
        """The same after two islands became one."""
        tile = self.tile
        if tile.island != join.island:
            return self
        x_um, y_um = tile.x_um + join.dx_um, tile.y_um + join.dy_um
        return replace(self, tile=replace(tile, island=join.into, x_um=x_um, y_um=y_um))


class SlideMap:
    """Places each frame on the slide. `place` is the camera thread's; the rest may be called from any thread.

    A frame is registered to a keyframe of its island, so that errors do not add up from frame to frame, and whoever
    comes back to a place comes back to its coordinates. Where nothing fits any more, a new island starts. Frames that
    hold still are compared with the keyframes of other islands, one with each frame; islands that show the same tissue
    become one, and the older keeps its number and its coordinates.
    """

    def __init__(self, first_island: int = 0) -> None:
        self._lock = Lock()
        self._island, self._next_island, self._lost = first_island, first_island + 1, ""
        self._keyframes: list[_Keyframe] = []
        self._joins: list[IslandJoin] = []
        self._n_told = 0
        self._last: tuple[_Sight, TrackedFrame] | None = None
        self._seen: tuple[_Sight, TrackedFrame] | None = None
        """The last one whose place is beyond doubt."""
        self._velocity_um_per_s = (0.0, 0.0)
        self._compared = 0
        self._view = MapView(first_island)

    @property
    def view(self) -> MapView:
        """The map as it stands; another object only where something of it changed."""
        return self._view

    @property
    def next_island(self) -> int:
        """No island has this number yet, or a higher one."""
        return self._next_island

    def new_joins(self) -> tuple[IslandJoin, ...]:
        """Islands joined since this was last asked, in their order."""
        with self._lock:
            fresh = tuple(self._joins[self._n_told :])
            self._n_told = len(self._joins)
        return fresh

    def forget(self) -> None:
        """The source was opened again: what comes may show another slide, and no island is ever used twice."""
        with self._lock:
            if self._last is not None:
                self._clear()

    def skip_to(self, island: int) -> None:
        """Islands below this number are taken by a case that is resumed."""
        with self._lock:
            self._next_island = max(self._next_island, island)
            if self._island < island:
                self._clear()

    def renew(self, island: int) -> None:
        """Start anew for another case, which knows the islands below this number and none of this map's joins."""
        with self._lock:
            self._next_island, self._joins, self._n_told = max(self._next_island, island), [], 0
            self._clear()

    def adopt(self, join: IslandJoin) -> None:
        """Two islands are one, as somebody else found out: a case, by its stored fields."""
        with self._lock:
            if join not in self._joins:
                self._seen = None  # its place is the old island's
                if self._last is not None:
                    self._last = self._last[0], _moved(self._last[1], join)
                    self._seen = self._last if self._last[1].trusted else None
                self._join(join)

    def place(self, frame: Frame) -> TrackedFrame:
        """Where the frame lies: on the island of the last one, or at the start of a new island where that is lost."""
        with self._lock:
            last = self._last
            if last is not None and last[1].trusted and last[1].frame.rgb is frame.rgb:
                # a folder's still picture, shown again
                sight, tracked = last[0], replace(last[1], frame=frame, speed_um_per_s=0.0)
            else:
                sight = _Sight.of(frame)
                tracked = self._first(sight) if last is None else self._placed(sight, *last)
            tracked = self._looked_around(sight, tracked)
            self._remember(sight, tracked)
        return tracked

    # ---- a frame on its island ------------------------------------------------------------------------------------

    def _first(self, sight: _Sight, speed_um_per_s: float = 0.0) -> TrackedFrame:
        """The first frame of an island; the first keyframe, too, where it shows tissue."""
        is_tissue = sight.structure >= MIN_STRUCTURE
        tracked = TrackedFrame(
            sight.frame, island=self._island, speed_um_per_s=speed_um_per_s if is_tissue else 0.0, trusted=is_tissue
        )
        if is_tissue:
            self._keep(sight, tracked)
        return tracked

    def _placed(self, sight: _Sight, before: _Sight, last: TrackedFrame) -> TrackedFrame:
        frame = sight.frame
        if (last.frame.um_per_px, last.frame.camera.objective) != (frame.um_per_px, frame.camera.objective):
            return self._lose(sight, "objective changed")
        if last.frame.size_hw != frame.size_hw:
            return self._lose(sight, "picture size changed")
        if not any(item.tile.island == self._island for item in self._keyframes):
            return self._first(sight)  # only glass so far
        expected = self._expected(frame, last)
        if sight.structure < MIN_STRUCTURE:
            return self._on_glass(sight, last, expected)
        keyframe = self._nearest(frame, expected)
        for anchor, place, is_sure in self._matches(sight, before, last, keyframe, expected):
            tracked = self._tracked(frame, place, trusted=is_sure)
            if is_sure:
                self._keep_where_new(sight, tracked, is_sharp=sight.structure >= SHARP_SHARE * anchor.structure)
            elif not (self._is_blurred(sight) or self._is_held(frame)):
                break  # a sharp picture that never fits well is another place after all
            return tracked
        return self._unmatched(sight, last, expected, is_known=keyframe is not None)

    def _expected(self, frame: Frame, last: TrackedFrame) -> Place:
        """Place by the stage where there is one, else by going on as before."""
        step_um = _stage_step_um(last.frame, frame)
        if step_um is None:
            elapsed_s = frame.captured_s - last.frame.captured_s
            held_s = elapsed_s if elapsed_s < VELOCITY_HOLDS_S else 0.0
            step_um = self._velocity_um_per_s[0] * held_s, self._velocity_um_per_s[1] * held_s
        return last.x_um + step_um[0], last.y_um + step_um[1]

    def _nearest(self, frame: Frame, place: Place) -> _Keyframe | None:
        """The oldest keyframe that shows enough of what a frame at this place shows; else the one that shows most."""
        shares = self._shares(frame, place)
        if not shares or max(shares.values()) < LEAST_SHARE:
            return None
        enough = [number for number, share in shares.items() if share >= ENOUGH_SHARE]
        return self._keyframes[enough[0] if enough else max(shares, key=lambda number: shares[number])]

    def _shares(self, frame: Frame, place: Place) -> dict[int, float]:
        """What part of a frame at this place each keyframe of its island and scale shows, by its number."""
        height_um, width_um = (side * frame.um_per_px for side in frame.size_hw)
        kind = self._island, frame.um_per_px, frame.size_hw
        found = {}
        for number, item in enumerate(self._keyframes):
            across = width_um - abs(item.tile.x_um - place[0])
            down = height_um - abs(item.tile.y_um - place[1])
            if across > 0.0 and down > 0.0 and (item.tile.island, item.um_per_px, item.size_hw) == kind:
                found[number] = across * down / (width_um * height_um)
        return found

    def _matches(
        self, sight: _Sight, before: _Sight, last: TrackedFrame, keyframe: _Keyframe | None, expected: Place
    ) -> Iterator[tuple[_Anchor, Place, bool]]:
        """What the frame fits to, where that puts it, and whether it is sure: a sure fit first, else a weak one.

        It is compared with the keyframe, then with the frame before.
        """
        anchors = [keyframe.anchor] if keyframe is not None else []
        if last.trusted:
            anchors.append(_Anchor(before.relief, (last.x_um, last.y_um), before.structure))
        weak, scale = [], sight.frame.um_per_px
        for anchor in anchors:
            (x_um, y_um), relief = anchor.at, anchor.relief
            ahead_um = expected[0] - x_um, expected[1] - y_um
            shift = find_near(relief, sight.relief, scale, scale, ahead_um, REACH_UM, REDUCTION, LENIENCY)
            if shift is not None:
                match = anchor, (x_um + shift.dx_px * scale, y_um + shift.dy_px * scale), shift.margin >= 0.0
                if match[2]:
                    yield match
                weak.append(match)
        yield from weak

    def _unmatched(self, sight: _Sight, last: TrackedFrame, expected: Place, *, is_known: bool) -> TrackedFrame:
        """A frame that fits nowhere: on its way by the stage, on new tissue by the stage, blurred, or lost."""
        is_staged = _stage_step_um(last.frame, sight.frame) is not None
        held = self._tracked(sight.frame, expected if is_staged else (last.x_um, last.y_um), trusted=False)
        if is_staged and held.speed_um_per_s > STEADY_UM_PER_S:
            return held
        if is_staged and not is_known:
            self._keep(sight, held)
            return held
        is_blurred = self._is_blurred(sight)
        if (is_staged or is_blurred) and self._is_held(sight.frame):
            return held
        return self._lose(sight, "too blurred to follow" if is_blurred else "jump")

    def _on_glass(self, sight: _Sight, last: TrackedFrame, expected: Place) -> TrackedFrame:
        """Nothing to be seen: crossed by the stage; else held for a while, as it may only be out of focus."""
        if _stage_step_um(last.frame, sight.frame) is not None:
            return self._tracked(sight.frame, expected, trusted=False)
        if self._is_held(sight.frame):
            return replace(last, frame=sight.frame, speed_um_per_s=0.0, trusted=False)
        return self._lose(sight, "empty glass")

    def _is_blurred(self, sight: _Sight) -> bool:
        return self._seen is not None and sight.structure < SHARP_SHARE * self._seen[0].structure

    def _is_held(self, frame: Frame) -> bool:
        return self._seen is not None and frame.captured_s - self._seen[1].frame.captured_s < HOLD_S

    def _tracked(self, frame: Frame, place: Place, *, trusted: bool) -> TrackedFrame:
        """The frame at a place on the present island."""
        return TrackedFrame(frame, *place, self._island, self._speed(frame, place, trusted=trusted), trusted)

    def _speed(self, frame: Frame, place: Place, *, trusted: bool) -> float:
        """In um/s, by the pictures; by the stage where there is one and a place is in doubt."""
        last = self._last[1].frame if self._last is not None else frame
        step_um = _stage_step_um(last, frame)
        if step_um is not None and not (trusted and self._last is self._seen):
            return math.hypot(*step_um) / _elapsed_s(last, frame)
        if self._seen is None:
            return 0.0
        seen = self._seen[1]
        return math.hypot(place[0] - seen.x_um, place[1] - seen.y_um) / _elapsed_s(seen.frame, frame)

    def _lose(self, sight: _Sight, why: str) -> TrackedFrame:
        """Start a new island; how fast it went is not known, but too fast to follow."""
        self._start_island(why)
        return self._first(sight, math.inf)

    # ---- keyframes and islands ------------------------------------------------------------------------------------

    def _keep_where_new(self, sight: _Sight, tracked: TrackedFrame, *, is_sharp: bool) -> None:
        """Make a keyframe of a frame that shows much that no keyframe shows."""
        if sight.frame.stage_um is not None and tracked.speed_um_per_s > STEADY_UM_PER_S:
            return  # the stage finds the way; it may be on its way over what is not worth keeping
        share = max(self._shares(sight.frame, (tracked.x_um, tracked.y_um)).values(), default=0.0)
        if share < (NEW_SHARE if is_sharp else LAST_SHARE):
            self._keep(sight, tracked)

    def _keep(self, sight: _Sight, tracked: TrackedFrame) -> None:
        self._keyframes = [*self._keyframes, _Keyframe.of(sight, tracked)][-MAX_KEYFRAMES:]
        self._tell()

    def _looked_around(self, sight: _Sight, tracked: TrackedFrame) -> TrackedFrame:
        """Compare a frame that holds still with one keyframe of another island, the newest first.

        Gives its place after a join: the older island's.
        """
        held_still = tracked.speed_um_per_s <= STEADY_UM_PER_S or math.isinf(tracked.speed_um_per_s)
        others = [item for item in reversed(self._keyframes) if item.tile.island != self._island]
        if not (others and tracked.trusted and held_still):
            return tracked
        other = others[self._compared % len(others)]
        self._compared += 1
        scale = sight.frame.um_per_px
        shift = recognise(other.anchor.relief, sight.relief, other.um_per_px, scale, LEAST_JOIN_SHARE)
        if shift is None:
            return tracked
        there = other.tile
        dx_um = there.x_um + shift.dx_px * other.um_per_px - tracked.x_um
        dy_um = there.y_um + shift.dy_px * other.um_per_px - tracked.y_um
        join = IslandJoin(self._island, there.island, dx_um, dy_um)
        if there.island > self._island:
            join = IslandJoin(there.island, self._island, -dx_um, -dy_um)
        self._seen = None  # its place is the old island's
        self._join(join)
        return _moved(tracked, join)

    def _join(self, join: IslandJoin) -> None:
        self._joins.append(join)
        self._keyframes = [item.joined(join) for item in self._keyframes]
        if self._island == join.island:
            self._island, self._lost = join.into, ""
        self._tell()

    def _remember(self, sight: _Sight, tracked: TrackedFrame) -> None:
        self._velocity_um_per_s = self._velocity(tracked)
        self._last = sight, tracked
        if tracked.trusted:
            self._seen = self._last

    def _velocity(self, tracked: TrackedFrame) -> tuple[float, float]:
        """In um/s in x and y; none where a place is in doubt."""
        if self._last is None or self._seen is not self._last or not tracked.trusted:
            return 0.0, 0.0
        last = self._last[1]
        elapsed_s = tracked.frame.captured_s - last.frame.captured_s
        if last.island != tracked.island or elapsed_s <= 0.0:
            return 0.0, 0.0
        return (tracked.x_um - last.x_um) / elapsed_s, (tracked.y_um - last.y_um) / elapsed_s

    def _start_island(self, why: str) -> None:
        self._island, self._next_island, self._lost = self._next_island, self._next_island + 1, why
        self._seen, self._compared = None, 0
        self._tell()

    def _clear(self) -> None:
        """Drop all that was seen; the joins stand."""
        self._keyframes, self._last = [], None
        self._start_island("")

    def _tell(self) -> None:
        tiles = tuple(item.tile for item in self._keyframes)
        self._view = MapView(self._island, tiles, tuple(self._joins), self._lost)


def _moved(tracked: TrackedFrame, join: IslandJoin) -> TrackedFrame:
    """A frame's place after two islands became one."""
    if tracked.island != join.island:
        return tracked
    return replace(tracked, island=join.into, x_um=tracked.x_um + join.dx_um, y_um=tracked.y_um + join.dy_um)


def _stage_step_um(first: Frame, second: Frame) -> tuple[float, float] | None:
    """How far the stage says it went between two frames."""
    if first.stage_um is None or second.stage_um is None:
        return None
    return second.stage_um[0] - first.stage_um[0], second.stage_um[1] - first.stage_um[1]


def _elapsed_s(first: Frame, second: Frame) -> float:
    return max(1e-3, second.captured_s - first.captured_s)


def _overview(frame: Frame) -> RgbImage:
    """The frame at `TILE_UM_PER_PX`; by way of every n-th pixel, as the whole frame would take all of its time."""
    factor = max(1.0, TILE_UM_PER_PX / frame.um_per_px)
    step = max(1, int(factor / 4))
    few = np.ascontiguousarray(frame.rgb[::step, ::step])
    height, width = (max(1, round(side / factor)) for side in frame.size_hw)
    small: RgbImage = cv2.resize(few, (width, height), interpolation=cv2.INTER_AREA)
    return small
