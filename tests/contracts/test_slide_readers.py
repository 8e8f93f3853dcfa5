"""What every program that reads slides keeps to behind `ports.SlideReader`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cameras.fake_slide import place_picture

from her2scope.cameras import slide_readers
from her2scope.cameras.slide_readers import READERS, OpenSlideReader, TiffSlideReader, open_slide
from her2scope.domain.errors import NotAvailableError, UnreadableImageError
from her2scope.imaging.opencv import cv2
from her2scope.ports import SlideReader

tifffile = pytest.importorskip("tifffile", reason="tifffile, which writes the slides of these tests, is not installed")

PACKAGES = {"OpenSlide": "openslide", "tiffslide": "tiffslide"}
PICTURE = place_picture(640, 960)
UM_PER_PX = 0.5


def write_slide(path: Path, um_xy: tuple[float, float] | None = (UM_PER_PX, UM_PER_PX)) -> Path:
    """A tiled pyramidal TIFF of two levels, as any program can export one."""
    options: dict[str, Any] = {"photometric": "rgb", "tile": (128, 128), "compression": "deflate"}
    if um_xy is not None:
        options |= {"resolution": tuple(1e4 / um for um in um_xy), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as writer:
        writer.write(PICTURE, **options)
        half = cv2.resize(PICTURE, (480, 320), interpolation=cv2.INTER_AREA)
        options |= {"resolution": tuple(5e3 / um for um in um_xy)} if um_xy is not None else {}
        writer.write(half, subfiletype=1, **options)
    return path


@pytest.fixture(scope="session")
def _tiffslide_s_thread() -> None:
    """Tiffslide's library starts a thread on its first read that serves all later ones: it is nobody's leak."""
    try:
        from zarr.core.sync import _get_loop
    except ImportError:
        return
    _get_loop()


@pytest.fixture(params=READERS)
def opener(request: pytest.FixtureRequest, _tiffslide_s_thread: None) -> Callable[[Path], SlideReader]:
    pytest.importorskip(PACKAGES[request.param], reason=f"{request.param} is not installed (extra: slides)")
    return READERS[request.param]


@pytest.fixture
def reader(opener: Callable[[Path], SlideReader], tmp_path: Path) -> Iterator[SlideReader]:
    reader = opener(write_slide(tmp_path / "slide.tif"))
    yield reader
    reader.close()


def test_it_knows_its_levels_and_pixel_size(reader: SlideReader) -> None:
    assert [(level.width_px, level.height_px, level.downsample) for level in reader.levels] == [
        (960, 640, 1.0),
        (480, 320, 2.0),
    ]
    assert reader.um_per_px == pytest.approx(UM_PER_PX, rel=1e-4)


@pytest.mark.parametrize("corner", [(0, 0), (300, 200), (833, 511)])
def test_a_region_is_the_picture_s_own_pixels(reader: SlideReader, corner: tuple[int, int]) -> None:
    left, top = corner
    region = reader.region(0, left, top, 120, 100)
    assert region.dtype == np.uint8 and region.flags.owndata
    assert np.array_equal(region, PICTURE[top : top + 100, left : left + 120])


def test_a_region_of_a_level_is_in_that_level_s_pixels(reader: SlideReader) -> None:
    region = reader.region(1, 100, 60, 200, 150)
    sharp = PICTURE[120:420:2, 200:600:2]
    assert np.abs(region.astype(int) - sharp).max() <= 1


def test_beyond_the_slide_all_is_white(reader: SlideReader) -> None:
    region = reader.region(0, -20, 600, 100, 80)
    assert (region[:, :20] == 255).all() and (region[40:] == 255).all()
    assert np.array_equal(region[:40, 20:], PICTURE[600:, :80])
    assert (reader.region(0, 5000, -900, 30, 40) == 255).all()
    assert (reader.region(1, -30, -40, 30, 40) == 255).all()


def test_many_threads_read_the_same(reader: SlideReader) -> None:
    together = threading.Barrier(4)

    def read(start: int) -> list[np.ndarray]:
        together.wait()
        return [reader.region(0, start + 16 * k, 8 * k, 64, 64) for k in range(20)]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(read, range(4)))
    for start, regions in enumerate(results):
        for k, region in enumerate(regions):
            left, top = start + 16 * k, 8 * k
            assert np.array_equal(region, PICTURE[top : top + 64, left : left + 64])


def test_closing_twice_is_safe(reader: SlideReader) -> None:
    reader.close()
    reader.close()


def test_a_slide_without_a_pixel_size_says_none(opener: Callable[[Path], SlideReader], tmp_path: Path) -> None:
    reader = opener(write_slide(tmp_path / "bare.tif", None))
    assert reader.um_per_px is None
    reader.close()


def test_pixels_that_are_not_square_are_refused(opener: Callable[[Path], SlideReader], tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="not square"):
        opener(write_slide(tmp_path / "flat.tif", (0.5, 0.6)))


@pytest.mark.parametrize("damage", [b"", b"no slide at all", None])
def test_a_file_that_is_no_slide_is_one_clear_error(
    opener: Callable[[Path], SlideReader], tmp_path: Path, damage: bytes | None
) -> None:
    path = write_slide(tmp_path / "broken.tif")
    path.write_bytes(path.read_bytes()[:100] if damage is None else damage)
    with pytest.raises(UnreadableImageError, match=r"broken.tif: not a slide that \w+ can read"):
        opener(path)


def test_a_damaged_part_is_an_error_and_the_rest_is_still_read(
    opener: Callable[[Path], SlideReader], tmp_path: Path
) -> None:
    path = write_slide(tmp_path / "slide.tif")
    with tifffile.TiffFile(path) as tiff:
        place, length = tiff.pages[0].dataoffsets[0], tiff.pages[0].databytecounts[0]
    data = bytearray(path.read_bytes())
    data[place : place + length] = bytes(length)
    path.write_bytes(data)
    reader = opener(path)
    with pytest.raises(UnreadableImageError, match="slide.tif: a part of it cannot be read"):
        reader.region(0, 0, 0, 128, 128)
    assert np.array_equal(reader.region(0, 256, 256, 128, 128), PICTURE[256:384, 256:384])
    reader.close()


# ---- which of them --------------------------------------------------------------------------------------------------


def test_any_program_that_is_there_opens_a_slide(
    opener: Callable[[Path], SlideReader], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slide_readers, "READERS", {"missing": missing, "there": opener})
    reader = open_slide(write_slide(tmp_path / "slide.tif"))
    assert len(reader.levels) == 2
    reader.close()


def missing(path: Path) -> SlideReader:
    raise NotAvailableError("program", "missing", [])


def test_no_program_at_all_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_slide(tmp_path / "slide.tif")
    monkeypatch.setitem(__import__("sys").modules, "openslide", None)
    monkeypatch.setitem(__import__("sys").modules, "tiffslide", None)
    for reader in (OpenSlideReader, TiffSlideReader, open_slide):
        with pytest.raises(NotAvailableError, match=r"pip install 'her2scope\[slides\]'"):
            reader(path)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    for path in (tmp_path / "no.svs", tmp_path):
        with pytest.raises(UnreadableImageError, match="no such slide file"):
            open_slide(path)


def test_real_slides_open_or_say_why_not(shared_data: Path, _tiffslide_s_thread: None) -> None:
    pytest.importorskip("openslide", reason="OpenSlide is not installed (extra: slides)")
    reader = open_slide(shared_data / "slides" / "CMU-1-Small-Region.svs")
    assert reader.um_per_px == pytest.approx(0.499)
    assert reader.region(0, 1100, 1900, 300, 200).std() > 5
    reader.close()
    with pytest.raises(UnreadableImageError, match="broken.svs: not a slide"):
        open_slide(shared_data / "slides" / "broken.svs")
