"""Decoded tiles of a slide at any reduction: read ahead by threads, kept in bounded memory."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence

from her2scope.imaging.opencv import cv2
from her2scope.ports import SlideReader
from her2scope.records import RgbImage

TILE_PX = 256
TILE_BYTES = 3 * TILE_PX**2
Tile = tuple[int, int, int]
"""Reduction (pixels of the full resolution to one of the tile), column and row: the name of one tile of a slide."""


def read_tile(slide: SlideReader, tile: Tile) -> RgbImage:
    """One tile, `(TILE_PX, TILE_PX, 3)`, from the coarsest level that is fine enough; white beyond the slide."""
    reduction, column, row = tile
    level, downsample = max(
        (at for at in enumerate(level.downsample for level in slide.levels) if at[1] <= reduction * 1.01),
        key=lambda at: at[1],
        default=(0, 1.0),
    )
    side_px = TILE_PX * reduction / downsample
    read_px = max(1, round(side_px))
    rgb = slide.region(level, round(column * side_px), round(row * side_px), read_px, read_px)
    return rgb if read_px == TILE_PX else cv2.resize(rgb, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)


class UnreadableTile(Exception):
    """A tile that is in view cannot be read; its text is the reason."""


class TileLoader:
    """Threads that read the tiles that are wanted, and the tiles that they read; the longest unused makes room.

    Parameters
    ----------
    read : callable
        Reads a tile; called by several threads at once.
    most : int
        How many tiles are kept.
    at_end : callable
        Called once, by the last thread that ends: then nobody reads any longer.
    """

    def __init__(
        self, read: Callable[[Tile], RgbImage], most: int, at_end: Callable[[], None], n_threads: int = 2
    ) -> None:
        self._read, self._most, self._at_end = read, most, at_end
        self._changed = threading.Condition()  # guards all below
        self._loaded: OrderedDict[Tile, RgbImage] = OrderedDict()
        self._failed: dict[Tile, Exception] = {}
        self._wanted: deque[Tile] = deque()
        self._n_plans = 0
        self._in_work: set[Tile] = set()
        self._stopped = False
        self._n_running = n_threads
        self._threads = [
            threading.Thread(target=self._work, name="slide reads ahead", daemon=True) for _ in range(n_threads)
        ]

    def start(self) -> None:
        """Begin to read what is wanted."""
        for thread in self._threads:
            thread.start()

    def stop(self, join_s: float) -> bool:
        """Ask the threads to end; whether they did within `join_s` each."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(join_s)
        return not any(thread.is_alive() for thread in self._threads)

    def want(self, tiles: Iterable[Tile]) -> None:
        """Read these next, in this order, instead of what was wanted before; as many as are kept. Returns at once."""
        wanted = list(dict.fromkeys(tiles))[: self._most]
        with self._changed:
            for tile in reversed(wanted):  # none of them makes room for another
                self._use(tile)
            self._wanted = deque(wanted)
            self._n_plans += 1
            self._changed.notify_all()

    def find(self, tiles: Sequence[Tile]) -> dict[Tile, RgbImage]:
        """Those of the tiles that are read; they are kept a while longer. UnreadableTile where one cannot be read."""
        with self._changed:
            for tile in tiles:
                if tile in self._failed:
                    raise UnreadableTile(str(self._failed[tile])) from self._failed[tile]
                self._use(tile)
            return {tile: self._loaded[tile] for tile in tiles if tile in self._loaded}

    def wait(self, tiles: Sequence[Tile], timeout_s: float) -> None:
        """Read these before all others, and wait until they are, or others are wanted, or one fails, or the end."""
        with self._changed:
            n_plans = self._n_plans
            self._wanted.extendleft(tile for tile in reversed(tiles) if tile not in self._loaded)
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: (
                    self._stopped
                    or self._n_plans != n_plans
                    or all(tile in self._loaded for tile in tiles)
                    or any(tile in self._failed for tile in tiles)
                ),
                max(0.0, timeout_s),
            )

    def _use(self, tile: Tile) -> None:
        """Let a tile, if it is there, be the last to make room."""
        if tile in self._loaded:
            self._loaded.move_to_end(tile)

    def _work(self) -> None:
        while (tile := self._next()) is not None:
            try:
                self._keep(tile, self._read(tile))
            except Exception as error:  # noqa: BLE001 - the top of a thread: `find` raises it where somebody sees it
                self._give_up(tile, error)
        with self._changed:
            self._n_running -= 1
            is_last = self._n_running == 0
        if is_last:
            self._at_end()

    def _next(self) -> Tile | None:
        """Wait for a tile to read; None at the end."""
        with self._changed:
            while not self._stopped:
                while self._wanted:
                    tile = self._wanted.popleft()
                    if not (tile in self._loaded or tile in self._in_work or tile in self._failed):
                        self._in_work.add(tile)
                        return tile
                self._changed.wait()
            return None

    def _keep(self, tile: Tile, rgb: RgbImage) -> None:
        with self._changed:
            self._in_work.discard(tile)
            self._loaded[tile] = rgb
            while len(self._loaded) > self._most:
                self._loaded.popitem(last=False)
            self._changed.notify_all()

    def _give_up(self, tile: Tile, error: Exception) -> None:
        with self._changed:
            self._in_work.discard(tile)
            self._failed[tile] = error
            self._changed.notify_all()
