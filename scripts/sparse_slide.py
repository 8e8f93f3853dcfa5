"""Write a slide of 100 000 x 80 000 px, islands of drawn tissue on empty glass: BigTIFF with a pyramid, as scanners do.

    python scripts/sparse_slide.py /tmp/sparse.tif --islands 24
    python scripts/sparse_slide.py /tmp/small.tif --size 20000x16000 --islands 2 --score 3+ --seed 5

One island is drawn, and laid down in its eight orientations. Tiles are JPEG, as of most scanners. Openslide and
tiffslide both open the file; it says how large its pixels are, and nothing else.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from her2scope.cli.arguments import size
from her2scope.imaging.opencv import cv2
from her2scope.phantom.run import make_run
from her2scope.phantom.slide import GAP_UM, PhantomSlide
from her2scope.records import RgbImage

UM_PER_PX = 0.25
TILE_PX = 512
FACTORS = (1, 4, 16, 64)
"""Of the levels."""
QUALITY = 88
RIM_UM = 64.0
"""Of glass around an island."""
ORIENTATIONS = 8


@dataclass(frozen=True)
class Island:
    """A piece of tissue on the slide; its place is a whole number of pixels at each level."""

    left_px: int
    top_px: int
    orientation: int


def drawn_island(side_um: float, score: str, seed: int) -> RgbImage:
    """A square with one piece of tissue and the glass around it, `(n, n, 3)`, n a multiple of the coarsest pixel."""
    slide = PhantomSlide(make_run(seed, "usual"), score, (side_um, side_um))
    # the case lies at the lower left of its slide, a gap from both sides
    side_px = FACTORS[-1] * math.ceil((side_um + 2 * RIM_UM) / UM_PER_PX / FACTORS[-1])
    left_um, top_um = GAP_UM - RIM_UM, slide.bounds_um[3] - GAP_UM - side_um - RIM_UM
    return slide.view(round(left_um / UM_PER_PX), round(top_um / UM_PER_PX), (side_px, side_px), UM_PER_PX)


def glass_of(island: RgbImage) -> RgbImage:
    """A tile of the glass that an island lies on."""
    rgb = np.median(island[:: island.shape[0] - 1].reshape(-1, 3), axis=0)
    return np.full((TILE_PX, TILE_PX, 3), rgb.astype(np.uint8), np.uint8)


def orientations(island: RgbImage) -> tuple[RgbImage, ...]:
    """The eight ways in which a square can be laid down."""
    turned = [np.rot90(island, quarter) for quarter in range(4)]
    return tuple(np.ascontiguousarray(each) for picture in turned for each in (picture, picture[:, ::-1]))


def places(width_px: int, height_px: int, side_px: int, n: int, seed: int) -> tuple[Island, ...]:
    """Places of n islands, in squares of a grid that are drawn at random, so that no two overlap."""
    columns, rows = width_px // side_px, height_px // side_px
    if n > columns * rows:
        raise SystemExit(f"{n} islands do not fit: at most {columns * rows}")
    chosen = np.random.default_rng(seed).choice(columns * rows, n, replace=False)
    return tuple(
        Island(side_px * int(k % columns), side_px * int(k // columns), number % ORIENTATIONS)
        for number, k in enumerate(sorted(chosen.tolist()))
    )


class Level:
    """The slide at one of its scales, tile by tile."""

    def __init__(self, factor: int, shapes: Sequence[RgbImage], islands: Sequence[Island], size_wh: tuple[int, int]):
        self.width, self.height = (math.ceil(side / factor) for side in size_wh)
        side_px = shapes[0].shape[0] // factor
        self._shapes = [cv2.resize(shape, (side_px, side_px), interpolation=cv2.INTER_AREA) for shape in shapes]
        self._corners = [(one.left_px // factor, one.top_px // factor, one.orientation) for one in islands]
        self._glass = glass_of(shapes[0])
        self._empty = _encoded(self._glass)

    def tiles(self) -> Iterator[bytes]:
        """All tiles, row by row, as JPEG."""
        for top in range(0, self.height, TILE_PX):
            for left in range(0, self.width, TILE_PX):
                picture = self._picture(left, top)
                yield self._empty if picture is None else _encoded(picture)

    def _picture(self, left: int, top: int) -> RgbImage | None:
        """A tile; None where nothing but glass lies in it."""
        picture: RgbImage | None = None
        for x, y, orientation in self._corners:
            shape = self._shapes[orientation]
            side = shape.shape[0]
            x0, x1 = max(left, x), min(left + TILE_PX, x + side)
            y0, y1 = max(top, y), min(top + TILE_PX, y + side)
            if x0 < x1 and y0 < y1:
                if picture is None:
                    picture = self._glass.copy()
                picture[y0 - top : y1 - top, x0 - left : x1 - left] = shape[y0 - y : y1 - y, x0 - x : x1 - x]
        return picture


def _encoded(rgb: RgbImage) -> bytes:
    """A whole JPEG file with colours at full resolution; TIFF takes it as the content of a tile."""
    options = [
        cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]  # fmt: skip
    done, content = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise SystemExit("OpenCV cannot write JPEG")
    return bytes(content.tobytes())


def write_slide(path: Path, island: RgbImage, islands: Sequence[Island], size_wh: tuple[int, int]) -> None:
    """Write all levels; a tile at a time lies in memory."""
    shapes = orientations(island)
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for factor in FACTORS:
            level = Level(factor, shapes, islands, size_wh)
            per_cm = 1e4 / (UM_PER_PX * factor)
            file.write(
                level.tiles(),
                shape=(level.height, level.width, 3),
                dtype=np.uint8,
                tile=(TILE_PX, TILE_PX),
                photometric="ycbcr",
                subsampling=(1, 1),
                compression="jpeg",
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                subfiletype=0 if factor == 1 else 1,
                metadata=None,
                software="her2scope phantom",
            )


def main() -> None:
    """Write the slide, and say what it holds."""
    arguments = _arguments()
    width, height = arguments.size
    island = drawn_island(arguments.island_um, arguments.score, arguments.seed)
    islands = places(width, height, island.shape[0], arguments.islands, arguments.seed)
    write_slide(arguments.path, island, islands, (width, height))
    for name, text in facts(arguments.path, (width, height), arguments.islands, arguments.island_um).items():
        print(f"{name}: {text}")


def facts(path: Path, size_wh: tuple[int, int], n: int, island_um: float) -> Mapping[str, str]:
    """What was written, in words."""
    return {
        "slide": f"{size_wh[0]} x {size_wh[1]} px at {UM_PER_PX} um/px, {len(FACTORS)} levels, tiles of {TILE_PX} px",
        "islands": f"{n} of {island_um:g} um a side, {n * (island_um / 1000) ** 2:.1f} mm2",
        "file": f"{path}, {path.stat().st_size / 1e6:.0f} MB",
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--size", type=size, default=(100_000, 80_000), metavar="WxH")
    parser.add_argument("--islands", type=int, default=24, metavar="N")
    parser.add_argument("--island-um", type=float, default=900.0, metavar="UM", help="side of an island's tissue")
    parser.add_argument("--score", default="2+", help="of the tissue")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
