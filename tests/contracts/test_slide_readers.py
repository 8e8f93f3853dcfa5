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

from her2scope.cameras import phantom_slides, slide_readers
from her2scope.cameras.slide_readers import READERS, OpenSlideReader, TiffSlideReader, open_slide, scanned_corner_px
from her2scope.domain.errors import NotAvailableError, UnreadableImageError
from her2scope.imaging.opencv import cv2
from her2scope.phantom.slide_file import SlideSpec, slide_spec_bytes
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


def test_of_a_slide_that_tells_which_part_was_scanned_that_part_is_all(
    opener: Callable[[Path], SlideReader], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_slide(tmp_path / "slide.tif")
    whole = opener(path)
    told = {"x": 96, "y": 160, "width": 501, "height": 400}
    monkeypatch.setattr(slide_readers, "scanned_part", _with(told, slide_readers.scanned_part))
    part = opener(path)
    assert [(level.width_px, level.height_px) for level in part.levels] == [(501, 400), (250, 200)]
    assert np.array_equal(part.region(0, 0, 0, 501, 400), PICTURE[160:560, 96:597])
    assert np.array_equal(part.region(1, 10, 20, 30, 40), whole.region(1, 58, 100, 30, 40))
    assert (part.region(0, -5, 0, 5, 9) == 255).all() and (part.region(0, 501, 0, 9, 400) == 255).all()
    assert scanned_corner_px(path) == (96, 160)
    whole.close()
    part.close()


@pytest.mark.parametrize(
    "told", [{}, {"x": "9"}, {"x": 0, "y": 0, "width": 960, "height": 640}, {"x": 1, "y": 0, "width": 960, "height": 9},
             {"x": 0, "y": 0, "width": 0, "height": 5}, {"x": None, "y": None, "width": None, "height": None}]
)  # fmt: skip
def test_a_slide_that_tells_no_part_of_it_is_not_cut(
    told: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_slide(tmp_path / "slide.tif")
    monkeypatch.setattr(slide_readers, "scanned_part", _with(told, slide_readers.scanned_part))
    assert scanned_corner_px(path) == (0, 0)
    reader = open_slide(path)
    assert (reader.levels[0].width_px, reader.levels[0].height_px) == (960, 640)
    reader.close()


def _with(told: dict[str, Any], found: Callable[..., Any]) -> Callable[..., Any]:
    """What reads the scanned part, on a file that tells these bounds."""
    return lambda properties, vendor, size_wh: found(
        {**properties, **{f"{vendor}.bounds-{name}": value for name, value in told.items()}}, vendor, size_wh
    )


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


# ---- the same of phantom slides, whose pictures are drawn ------------------------------------------------------------


SPEC = SlideSpec(31, "3+", scanner="cirrus", case_um=(440.0, 440.0), um_per_px=0.5)
IN_CONTROL = (640, 640)
"""Corner (px) of a part of the 3+ control."""


@pytest.fixture(scope="module")
def phantom_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("phantom") / "case.phantom.yaml"
    path.write_bytes(slide_spec_bytes(SPEC))
    return path


@pytest.fixture
def phantom(phantom_path: Path) -> Iterator[SlideReader]:
    reader = open_slide(phantom_path)
    yield reader
    reader.close()


def test_a_phantom_knows_its_levels_and_pixel_size(phantom: SlideReader) -> None:
    full = phantom.levels[0]
    assert (full.width_px, full.height_px) == SPEC.size_px() and phantom.um_per_px == SPEC.um_per_px
    assert [level.downsample for level in phantom.levels] == [1.0, 4.0, 8.0, 16.0]
    for level in phantom.levels:
        assert (level.width_px, level.height_px) == (
            full.width_px // int(level.downsample),
            full.height_px // int(level.downsample),
        )


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_any_part_of_a_phantom_s_region_is_the_same_pixels(phantom: SlideReader, level: int) -> None:
    down = int(phantom.levels[level].downsample)
    left, top = (side // down for side in IN_CONTROL)
    whole = phantom.region(level, left, top, 170, 150)
    assert whole.dtype == np.uint8 and whole.flags.owndata and whole.std() > 10
    for x, y, width, height in ((60, 70, 80, 70), (130, 130, 40, 20)):  # over a border of tiles, and from the next one
        part = phantom.region(level, left + x, top + y, width, height)
        assert np.array_equal(part, whole[y : y + height, x : x + width])


def test_another_reader_draws_the_same_phantom(phantom: SlideReader, phantom_path: Path) -> None:
    first = phantom.region(0, *IN_CONTROL, 140, 90)
    phantom_slides.forget_drawn()
    other = open_slide(phantom_path)
    assert np.array_equal(other.region(0, *IN_CONTROL, 140, 90), first)
    other.close()


def test_a_quarter_of_a_phantom_shows_the_same_places(phantom: SlideReader) -> None:
    """Each level is drawn by itself: the same cells at the same places, not the same grey levels."""
    left, top = IN_CONTROL
    sharp = cv2.resize(phantom.region(0, left, top, 512, 512), (128, 128), interpolation=cv2.INTER_AREA)
    quarter = phantom.region(1, left // 4, top // 4, 128, 128)
    for moved in ((0, 0), (0, 6), (6, 0)):
        other = np.roll(quarter, moved, axis=(0, 1))
        likeness = np.corrcoef(sharp[..., 2].ravel(), other[..., 2].ravel())[0, 1]
        assert likeness > 0.85 if moved == (0, 0) else likeness < 0.6


def test_the_hint_of_a_phantom_has_its_mean_colours(phantom: SlideReader) -> None:
    left, top = IN_CONTROL
    drawn = phantom.region(1, left // 4, top // 4, 128, 128).reshape(-1, 3).mean(axis=0)
    hint = phantom.region(3, left // 16, top // 16, 32, 32).reshape(-1, 3).mean(axis=0)
    assert np.abs(drawn - hint).max() < 20
    assert drawn[0] - drawn[2] > 20  # brown, in a 3+ control


def test_beyond_a_phantom_all_is_white_and_its_glass_is_not(phantom: SlideReader) -> None:
    full = phantom.levels[0]
    region = phantom.region(0, full.width_px - 30, full.height_px - 20, 60, 50)
    assert (region[20:] == 255).all() and (region[:, 30:] == 255).all()
    white = SPEC.run().optics.white_rgb()
    assert np.abs(region[:20, :30].reshape(-1, 3).mean(axis=0) - white).max() < 3
    assert (phantom.region(2, -40, 5, 30, 40) == 255).all()


def test_many_threads_read_the_same_phantom(phantom: SlideReader, phantom_path: Path) -> None:
    alone = phantom.region(0, *IN_CONTROL, 256, 256)
    phantom_slides.forget_drawn()
    fresh = open_slide(phantom_path)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda k: fresh.region(0, IN_CONTROL[0] + 32 * k, IN_CONTROL[1], 128, 256), range(4)))
    for k, part in enumerate(parts):
        assert np.array_equal(part, alone[:, 32 * k : 32 * k + 128])
    fresh.close()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seed: 1\nscore: 2+\nscanners: aurora\n", "unknown key 'scanners'. Did you mean 'scanner'"),
        ("seed: 1\nscore: 4+\n", "phantom score '4.' is not available"),
        ("seed: 1\nscore: 2+\ncase_um: [100, 900]\n", "440 to"),
        ("seed: 1\nscore: 2+\ncase_um: [.nan, 900]\n", "expected a number"),
        ("seed: 1\nscore: 2+\num_per_px: 0\n", "0.1 to 1.2"),
        ("seed: -1\nscore: 2+\n", "from 0 on"),
        ("seed: 1\nscore: 2+\ndamage: drift\n", "damage of a slide 'drift'"),
        ("score: 2+\n", "'seed' is missing"),
        ("", "'seed' is missing"),
        ("- 1\n", "expected keys"),
        ("seed: [", "not valid YAML"),
    ],
)
def test_a_phantom_file_that_is_wrong_is_one_clear_error(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "case.phantom.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UnreadableImageError, match=told) as caught:
        open_slide(path)
    assert "\n" not in str(caught.value) and str(caught.value).count(str(path)) == 1


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
