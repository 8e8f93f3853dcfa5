from __future__ import annotations

import numpy as np
import pytest
from cameras.stream_servers import jpeg_of, part_of
from hypothesis import given
from hypothesis import strategies as st

from her2scope.cameras.jpeg_splitter import JpegSplitter
from her2scope.imaging.opencv import cv2

JPEGS = (jpeg_of(), jpeg_of(16, 24), jpeg_of(40, 8))
THUMBNAIL = JPEGS[1]
WITH_THUMBNAIL = (
    JPEGS[0][:2] + b"\xff\xe1" + (len(THUMBNAIL) + 2).to_bytes(2, "big") + THUMBNAIL + JPEGS[0][2:]
)  # as EXIF carries one: a picture inside the picture
BETWEEN = st.binary(max_size=40).filter(lambda data: b"\xff\xd8" not in data and not data.endswith(b"\xff"))


def pixels_of(jpeg: bytes) -> bytes:
    return bytes(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_UNCHANGED).tobytes())


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    """What comes out of `data` in pieces."""
    splitter, edges = JpegSplitter(), [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [picture for start, end in zip(edges, edges[1:], strict=False) for picture in splitter.feed(data[start:end])]


@given(
    st.lists(st.tuples(BETWEEN, st.sampled_from([*JPEGS, WITH_THUMBNAIL])), max_size=4),
    st.lists(st.integers(0, 10_000), max_size=12),
)
def test_pictures_come_out_whole_however_they_arrive_and_whatever_lies_between(
    sent: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    data = b"".join(garbage + jpeg for garbage, jpeg in sent)
    assert split(data, cuts) == [jpeg for _, jpeg in sent]


@given(st.sampled_from([JPEGS[0], WITH_THUMBNAIL]), st.integers(2, 10_000), st.lists(st.integers(0, 10_000)))
def test_a_picture_cut_short_is_never_completed_from_the_next_ones_and_they_go_on(
    jpeg: bytes, kept: int, cuts: list[int]
) -> None:
    short = jpeg[: kept % len(jpeg)]
    pictures = split(b"".join(part_of(each) for each in (short, *[JPEGS[1], JPEGS[2]] * 4)), cuts)
    whole = {pixels_of(each) for each in (THUMBNAIL, *JPEGS[1:])}
    assert {pixels_of(picture) for picture in pictures} <= whole
    assert pictures[-2:] == [JPEGS[1], JPEGS[2]]


@given(st.binary(max_size=300), st.lists(st.integers(0, 10_000), max_size=5))
def test_garbage_alone_never_fails_and_after_it_pictures_come_again(garbage: bytes, cuts: list[int]) -> None:
    splitter = JpegSplitter(max_bytes=5000)
    for cut in cuts:
        splitter.feed(garbage[cut % 300 :])
    came = [picture for _ in range(200) for picture in splitter.feed(part_of(JPEGS[0]))]
    assert came[-1] == JPEGS[0]


def test_what_is_larger_than_any_picture_is_forgotten() -> None:
    splitter = JpegSplitter(max_bytes=3000)
    start = JPEGS[0][: JPEGS[0].index(b"\xff\xda") + 12]
    assert not [splitter.feed(piece) for piece in (start, *[bytes(1000)] * 100) if splitter.feed(piece)]
    assert splitter.feed(JPEGS[0]) == [JPEGS[0]]


@pytest.mark.parametrize("progressive", [False, True])
def test_pictures_of_many_scans_and_restarts_are_one_picture(progressive: bool) -> None:
    noise = cv2.resize(cv2.randu(cv2.UMat(40, 60, cv2.CV_8UC3), 0, 255).get(), (300, 200))
    done, encoded = cv2.imencode(
        ".jpg", noise, [cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive), cv2.IMWRITE_JPEG_RST_INTERVAL, 3]
    )
    assert done
    assert split(encoded.tobytes() * 2, [500, 777]) == [encoded.tobytes()] * 2
