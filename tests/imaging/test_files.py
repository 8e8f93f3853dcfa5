from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cameras.fakes import colour_picture, shows_colour_picture
from PIL import ExifTags, Image

from her2scope.domain.errors import BadInputError, UnreadableImageError
from her2scope.imaging import files
from her2scope.imaging.files import encode_png, list_images, read_rgb, write_mask, write_png
from her2scope.imaging.headers import read_header
from her2scope.imaging.opencv import cv2

PICTURE = Image.fromarray(colour_picture())
SUFFIX = {"PNG": ".png", "TIFF": ".tif", "JPEG": ".jpg", "BMP": ".bmp"}
FORMATS = tuple(SUFFIX)


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture
def refusal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Text with which bytes are refused; also checks that no library prints beside it."""

    def refuse(data: bytes, name: str = "field.png") -> str:
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(UnreadableImageError) as error:
            read_rgb(path)
        assert str(path) in str(error.value)
        assert capfd.readouterr() == ("", "")
        return str(error.value)

    return refuse


# ---- what is read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_red_stays_red_and_left_stays_left(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"field{SUFFIX[kind]}"
    path.write_bytes(encoded(PICTURE, kind))
    rgb = read_rgb(path)
    assert shows_colour_picture(rgb)
    assert rgb.dtype == np.uint8 and rgb.flags.c_contiguous and rgb.base is None


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_lossless_formats_are_exact(tmp_path: Path, kind: str) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (31, 45, 3), dtype=np.uint8)
    (tmp_path / "field").write_bytes(encoded(Image.fromarray(rgb), kind))
    assert np.array_equal(read_rgb(tmp_path / "field"), rgb)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("big", [False, True])
def test_usual_kinds_of_tiff_are_exact(tmp_path: Path, compression: str | None, big: bool) -> None:
    (tmp_path / "a.tif").write_bytes(encoded(PICTURE, "TIFF", compression=compression, big_tiff=big))
    assert np.array_equal(read_rgb(tmp_path / "a.tif"), colour_picture())


@pytest.mark.parametrize("kind", FORMATS)
def test_the_suffix_does_not_matter_the_bytes_do(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "field.png"
    path.write_bytes(encoded(PICTURE, kind))
    assert shows_colour_picture(read_rgb(path))


def test_names_with_spaces_and_other_alphabets_are_read(tmp_path: Path) -> None:
    path = tmp_path / "Fall 7 – Ausschnitt Größe 组织.png"
    write_png(path, colour_picture())
    assert shows_colour_picture(read_rgb(path))


def test_a_tiny_picture_is_read_as_it_is(tmp_path: Path) -> None:
    write_png(tmp_path / "tiny.png", colour_picture(20, 20))
    assert read_rgb(tmp_path / "tiny.png").shape == (20, 20, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_stated_orientation_is_applied_as_viewers_do(tmp_path: Path, kind: str) -> None:
    turn_right_to_view = 6
    lying = Image.fromarray(np.rot90(colour_picture(), 1))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = turn_right_to_view
    options = {"tiffinfo": {274: turn_right_to_view}} if kind == "TIFF" else {"exif": exif}
    (tmp_path / "field").write_bytes(encoded(lying, kind, **options))
    rgb = read_rgb(tmp_path / "field")
    assert rgb.shape == colour_picture().shape
    assert shows_colour_picture(rgb)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_an_alpha_channel_that_hides_nothing_is_left_out(tmp_path: Path, kind: str) -> None:
    (tmp_path / "field").write_bytes(encoded(PICTURE.convert("RGBA"), kind))
    assert np.array_equal(read_rgb(tmp_path / "field"), colour_picture())


@pytest.mark.parametrize("tone", [0, 128, 255])
def test_a_blank_picture_is_read_the_quality_gate_says_what_it_is(tmp_path: Path, tone: int) -> None:
    write_png(tmp_path / "blank.png", np.full((64, 64, 3), tone, np.uint8))
    assert read_rgb(tmp_path / "blank.png").shape == (64, 64, 3)


def test_bytes_after_the_end_of_a_jpeg_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(PICTURE, "JPEG") + b"a camera's own notes" * 100)
    assert shows_colour_picture(read_rgb(tmp_path / "a.jpg"))


@pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_rows": 1}, {"optimize": True}])
def test_all_kinds_of_jpeg_are_read(tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(PICTURE, "JPEG", **options))
    assert shows_colour_picture(read_rgb(tmp_path / "a.jpg"))


def test_a_thumbnail_beside_the_picture_is_not_a_second_picture(tmp_path: Path) -> None:
    thumbnail = PICTURE.resize((16, 12))
    thumbnail.encoderinfo = {"tiffinfo": {254: 1}}
    data = encoded(PICTURE, "TIFF", save_all=True, append_images=[thumbnail])
    (tmp_path / "a.tif").write_bytes(data)
    assert read_header(data).pictures == 1
    assert shows_colour_picture(read_rgb(tmp_path / "a.tif"))


# ---- what is refused ----------------------------------------------------------------------------------------------


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="no such file. Check the path"):
        read_rgb(tmp_path / "nowhere.png")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="this is a folder. Give the image files in it"):
        read_rgb(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UnreadableImageError, match="not a file"):
        read_rgb(tmp_path / "pipe.png")


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError):
        read_rgb(tmp_path / "a\0b.png")
    with pytest.raises(UnreadableImageError):
        read_rgb(tmp_path / ("a" * 5000))


def test_an_empty_file(refusal: Callable[..., str]) -> None:
    assert "the file is empty" in refusal(b"")


@pytest.mark.parametrize("data", [b"patient notes\n" * 20, b"GIF89a" + b"\0" * 50, b"RIFF\0\0\0\0WEBPVP8 ", b"\0" * 99])
def test_something_that_is_no_image_of_a_known_kind(refusal: Callable[..., str], data: bytes) -> None:
    assert "not a PNG, TIFF, JPEG or BMP image" in refusal(data, "field.jpg")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.97])
def test_a_file_that_was_cut_short(refusal: Callable[..., str], kind: str, share: float) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    text = refusal(data[: max(12, int(len(data) * share))], f"field{SUFFIX[kind]}")
    assert "end" in text or "damaged" in text


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_whose_rest_is_zeros_as_after_a_broken_copy(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    (tmp_path / "field").write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    if kind in ("PNG", "JPEG"):
        with pytest.raises(UnreadableImageError):
            read_rgb(tmp_path / "field")
    else:  # without a check sum, black is a picture: the quality gate's clipped share sees it
        written_last = 0 if kind == "BMP" else -1
        assert not read_rgb(tmp_path / "field")[written_last].any()


def test_a_changed_byte_in_a_png(refusal: Callable[..., str]) -> None:
    data = bytearray(encode_png(colour_picture()))
    data[len(data) // 2] ^= 1
    assert "check sum" in refusal(bytes(data))


@pytest.mark.parametrize("kind", [".png", ".tif"])
def test_16_bit_colour(refusal: Callable[..., str], kind: str) -> None:
    deep = cv2.imencode(kind, colour_picture().astype(np.uint16) * 257)[1].tobytes()
    text = refusal(deep, f"field{kind}")
    assert "16-bit image" in text and "8-bit RGB" in text


def test_16_bit_grey(refusal: Callable[..., str]) -> None:
    text = refusal(encode_png(np.arange(4096, dtype=np.uint16).reshape(64, 64)))
    assert "16-bit" in text and "brown and blue cannot be told apart" in text


def test_floating_point_samples(refusal: Callable[..., str]) -> None:
    assert "32-bit image" in refusal(encoded(PICTURE.convert("F"), "TIFF"), "field.tif")


@pytest.mark.parametrize("kind", FORMATS)
def test_one_channel(refusal: Callable[..., str], kind: str) -> None:
    text = refusal(encoded(PICTURE.convert("L"), kind))
    # A grey BMP is one with a palette of greys.
    assert "palette" in text if kind == "BMP" else "single-channel image: brown and blue cannot be told apart" in text


def test_one_channel_with_alpha(refusal: Callable[..., str]) -> None:
    assert "single-channel" in refusal(encoded(PICTURE.convert("LA"), "PNG"))


@pytest.mark.parametrize("kind", FORMATS)
def test_grey_saved_as_rgb(refusal: Callable[..., str], kind: str) -> None:
    assert "brown and blue cannot be told apart" in refusal(encoded(PICTURE.convert("L").convert("RGB"), kind))


def test_one_coloured_pixel_makes_a_colour_picture(tmp_path: Path) -> None:
    rgb = np.asarray(PICTURE.convert("L").convert("RGB")).copy()
    rgb[17, 19] = (200, 199, 198)
    write_png(tmp_path / "a.png", rgb)
    assert np.array_equal(read_rgb(tmp_path / "a.png"), rgb)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_a_palette(refusal: Callable[..., str], kind: str) -> None:
    assert "palette" in refusal(encoded(PICTURE.convert("P"), kind))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_pixels_that_show_what_lies_behind(refusal: Callable[..., str], kind: str) -> None:
    see_through = PICTURE.convert("RGBA")
    see_through.putpixel((3, 4), (10, 20, 30, 254))
    assert "transparent" in refusal(encoded(see_through, kind))


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_print_colours(refusal: Callable[..., str], kind: str) -> None:
    assert "CMYK" in refusal(encoded(PICTURE.convert("CMYK"), kind))


def test_several_pages(refusal: Callable[..., str]) -> None:
    data = encoded(PICTURE, "TIFF", save_all=True, append_images=[PICTURE, PICTURE])
    assert "holds 3 pictures" in refusal(data, "stack.tif")


def test_an_animation(refusal: Callable[..., str]) -> None:
    data = encoded(PICTURE, "PNG", save_all=True, append_images=[Image.fromarray(colour_picture()[::-1].copy())])
    assert "holds 2 pictures" in refusal(data)


def test_a_size_that_is_no_field(refusal: Callable[..., str]) -> None:
    # A stated size only: nothing is decoded, so a small file cannot claim all memory.
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    assert "40000 x 40000 pixels are no single field" in refusal(data)


def test_a_file_far_too_large_is_not_read_into_memory(tmp_path: Path) -> None:
    with open(tmp_path / "slide.tif", "wb") as file:
        file.truncate(files.MAX_FILE_BYTES + 1)  # sparse: takes no room
    with pytest.raises(UnreadableImageError, match="whole slide"):
        read_rgb(tmp_path / "slide.tif")


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_files_are_refused_or_read_but_nothing_else_happens(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(3)
    data, path = encoded(PICTURE, kind), tmp_path / "field"
    for _ in range(150):
        damaged = bytearray(data)
        for at in rng.integers(0, min(len(data), 400), 3):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged[: rng.integers(len(data) // 2, len(data) + 1)])
        try:
            assert read_rgb(path).dtype == np.uint8
        except UnreadableImageError:
            continue


# ---- folders ------------------------------------------------------------------------------------------------------


def test_images_are_listed_as_a_reader_counts(tmp_path: Path) -> None:
    for name in ("field10.png", "field2.PNG", "Field1.tif", "b.jpeg", "notes.txt", "._field3.png", "a.bmp", "c.tiff"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    listed = [path.name for path in list_images(tmp_path)]
    assert listed == ["a.bmp", "b.jpeg", "c.tiff", "Field1.tif", "field2.PNG", "field10.png"]


def test_an_empty_folder_says_what_would_be_read(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(BadInputError, match=r"no image in this folder. Read are \.png, \.tif"):
        list_images(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such folder"):
        list_images(tmp_path / "nowhere")
    (tmp_path / "a.png").touch()
    with pytest.raises(BadInputError, match="this is a file"):
        list_images(tmp_path / "a.png")


# ---- writing ------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "field.png"
    write_png(path, colour_picture())
    assert np.array_equal(read_rgb(path), colour_picture())
    assert os.listdir(path.parent) == ["field.png"]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_masks_and_labels_are_exact(tmp_path: Path, kind: type) -> None:
    labels = np.arange(64 * 48).reshape(48, 64).astype(kind)
    write_mask(tmp_path / "cells.png", labels)
    with Image.open(tmp_path / "cells.png") as read_back:
        assert np.array_equal(np.asarray(read_back), labels)


def test_a_read_only_picture_and_a_view_can_be_written(tmp_path: Path) -> None:
    rgb = colour_picture()
    rgb.setflags(write=False)
    write_png(tmp_path / "a.png", rgb[:, ::-1])
    assert np.array_equal(read_rgb(tmp_path / "a.png"), rgb[:, ::-1])


def test_a_place_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInputError, match="cannot be written"):
        write_png(tmp_path / "file" / "field.png", colour_picture())
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(BadInputError, match="cannot be written"):
        write_png(tmp_path / "taken.png", colour_picture())
    assert sorted(os.listdir(tmp_path)) == ["file", "taken.png"]


@pytest.mark.parametrize("shape", [(4, 4, 4), (4,), (4, 4, 1)])
def test_only_rgb_and_planes_are_encoded(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a PNG is"):
        encode_png(np.zeros(shape, np.uint8))


# ---- OpenCV beside Qt ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR"])
@pytest.mark.parametrize(("first", "value"), [("", None), ("", "/the/users/own"), ("import cv2; ", None)])
def test_importing_opencv_leaves_qt_alone(variable: str, first: str, value: str | None) -> None:
    environment = {name: text for name, text in os.environ.items() if name != variable}
    if value:
        environment[variable] = value
    code = f"{first}import os, her2scope.imaging.opencv; print(os.environ.get({variable!r}))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(value)
