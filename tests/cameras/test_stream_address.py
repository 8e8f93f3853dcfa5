from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.cameras.stream_address import parse_address, without_secrets
from her2scope.domain.errors import BadInputError


@pytest.mark.parametrize(
    ("text", "shown", "port"),
    [
        ("http://10.0.0.5/video", "http://10.0.0.5/video", 80),
        ("rtsp://box.lab:8554/live", "rtsp://box.lab:8554/live", 554 + 8000),
        ("RTSP://box/live", "rtsp://box/live", 554),
        ("https://[::1]:8443/", "https://[::1]:8443/", 8443),
        ("rtsp://eva:secret@10.0.0.5/live", "rtsp://10.0.0.5/live", 554),
        ("http://10.0.0.5/mjpg?user=eva&pwd=secret", "http://10.0.0.5/mjpg?...", 80),
        ("rtsp://10.0.0.5/user=eva_password=secret_channel=1", "rtsp://10.0.0.5/...", 554),
    ],
)
def test_what_is_shown_names_the_place_and_no_secret(text: str, shown: str, port: int) -> None:
    address = parse_address(text)
    assert (address.shown, address.port) == (shown, port)
    assert "secret" not in repr(address) and "eva" not in repr(address)


def test_user_and_password_are_decoded_for_http_and_coded_again_for_ffmpeg() -> None:
    address = parse_address("rtsp://eva:p%40ss%2Fword@box/live?x=1")
    assert (address.user, address.password) == ("eva", "p@ss/word")
    assert address.url == "rtsp://box/live?x=1"
    assert address.url_with_user == "rtsp://eva:p%40ss%2Fword@box/live?x=1"
    assert address.root == "rtsp://box/"


def test_letters_that_no_request_may_hold_are_coded() -> None:
    assert parse_address("http://box/mikroskop-größe").url == "http://box/mikroskop-gr%C3%B6%C3%9Fe"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        "10.0.0.5/video",
        "ftp://eva:secret@box/x",
        "http://eva:secret@box:port/x",
        "http://eva:secret@[::1/x",
        "http://eva:secret@box/a\r\nb",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_address_is_refused_without_its_secrets(text: str) -> None:
    with pytest.raises(BadInputError) as error:
        parse_address(text)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = parse_address("http://" + text)
    except BadInputError:
        return
    assert address.host and 0 < address.port < 65536


def test_secrets_are_left_out_of_any_text() -> None:
    assert without_secrets("steam:rtsp://eva:sec@ret@box/x") == "steam:rtsp://...@box/x"
