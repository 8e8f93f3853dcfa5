from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from cameras.fakes import FakeCapture, shows_colour_picture
from cameras.stream_servers import BOUNDARY, HEAD, Call, Server, jpeg_of, live, part_of, serving, serving_rtsp

from her2scope.cameras.reader import CameraResized
from her2scope.cameras.rtsp_pictures import RtspPictures
from her2scope.cameras.stream import StreamSource, found
from her2scope.cameras.stream_address import StreamAddress, parse_address
from her2scope.cameras.stream_end import Limits
from her2scope.domain.errors import CameraBusy, CameraError, CameraLost, CameraNotFound, CameraTimeout
from her2scope.imaging.opencv import cv2
from her2scope.records import CameraState, Frame

PATIENCE_S = 20.0
LIMITS = {"open_s": 10.0, "lost_after_s": 0.3}
"""Short for silence, long for what must come: a slow machine passes."""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def source_of(url: str, **options: object) -> StreamSource:
    return StreamSource(parse_address(url), 0.25, CameraState(), **{**LIMITS, **options})  # type: ignore[arg-type]


def read(source: StreamSource) -> Frame:
    return source.read(PATIENCE_S)


def read_until_lost(source: StreamSource) -> tuple[Frame, CameraLost]:
    frame = read(source)
    with pytest.raises(CameraLost) as lost:
        while True:
            frame = read(source)
    return frame, lost.value


# ---- HTTP: what comes ---------------------------------------------------------------------------------------------


def test_the_camera_s_picture_comes_with_its_colours(server: Server) -> None:
    source = source_of(server.url)
    source.open()
    assert shows_colour_picture(read(source).rgb)
    source.close()


def burst(call: Call) -> None:
    call.send(HEAD + b"".join(part_of(jpeg_of(48, 64)) for _ in range(50)))
    call.stall()


def test_of_pictures_that_wait_the_newest_comes_and_the_index_tells_the_others(server: Server) -> None:
    server.script = burst
    source = source_of(server.url, lost_after_s=PATIENCE_S)
    source.open()
    frame = read(source)
    while frame.index < 49:  # the network may bring them in several pieces
        frame = read(source)
    with pytest.raises(CameraTimeout):
        source.read(0.01)
    source.close()


def chunked(call: Call) -> None:
    call.send(HEAD.replace(b"HTTP/1.0", b"HTTP/1.1").replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"))
    call.stream(lambda: b"%x\r\n%s\r\n" % (len(part_of(jpeg_of())), part_of(jpeg_of())))


def wrong_boundary(call: Call) -> None:
    call.send(HEAD)
    call.stream(lambda: part_of(jpeg_of(), b"something else"))


def wrong_length(call: Call) -> None:
    call.send(HEAD)
    call.stream(lambda: part_of(jpeg_of()).replace(b"Content-Length: ", b"Content-Length: 9"))


def garbage_between(call: Call) -> None:
    call.send(HEAD)
    call.stream(lambda: b"\xff\xd9\x00garbage\xff" * 50 + part_of(jpeg_of()))


def half_pictures_between(call: Call) -> None:
    call.send(HEAD)
    call.stream(lambda: part_of(jpeg_of()[:300]) + part_of(jpeg_of()))


def damaged_between(call: Call) -> None:
    no_tables = b"\xff\xd8\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00abc\xff\xd9"
    huge = jpeg_of().replace(b"\x08\x00\x30\x00\x40", b"\x08\xff\xff\xff\xff")  # its header: 65535 x 65535
    call.send(HEAD)
    call.stream(lambda: part_of(no_tables) + part_of(huge) + part_of(jpeg_of()))


def no_type(call: Call) -> None:
    call.send(b"HTTP/1.0 200 OK\r\n\r\n")
    call.stream(jpeg_of)


def byte_by_byte(call: Call) -> None:
    call.send(HEAD)
    for byte in part_of(jpeg_of()):
        call.send(bytes([byte]))
    call.stream()


@pytest.mark.parametrize(
    "script",
    [
        chunked,
        wrong_boundary,
        wrong_length,
        garbage_between,
        half_pictures_between,
        damaged_between,
        no_type,
        byte_by_byte,
    ],
)
def test_what_cameras_get_wrong_costs_no_picture(server: Server, script: Callable[[Call], None]) -> None:
    server.script = script
    source = source_of(server.url, lost_after_s=PATIENCE_S)
    source.open()
    frames = [read(source) for _ in range(3)]
    assert all(shows_colour_picture(frame.rgb) for frame in frames)
    source.close()


# ---- HTTP: what does not come -------------------------------------------------------------------------------------


def answers(text: str) -> Callable[[Call], None]:
    return lambda call: call.send(text.encode())


@pytest.mark.parametrize(
    ("script", "kind", "says"),
    [
        (answers("HTTP/1.0 404 Not Found\r\n\r\n"), CameraNotFound, "404 Not Found.*path"),
        (answers('HTTP/1.0 401 No\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n'), CameraNotFound, "USER:PASSWORD@"),
        (answers("HTTP/1.0 401 No\r\nWWW-Authenticate: Odd realm=x\r\n\r\n"), CameraNotFound, "does not answer as"),
        (answers("HTTP/1.0 403 No\r\n\r\n"), CameraNotFound, "asks for a user"),
        (answers("HTTP/1.0 503 No\r\n\r\n"), CameraBusy, "busy"),
        (answers("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"), CameraNotFound, "'text/html'"),
        (answers("HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\n\r\n"), CameraNotFound, "'image/jpeg'"),
        (answers("HTTP/1.0 302 x\r\nLocation: ftp://127.0.0.1/x\r\n\r\n"), CameraNotFound, "unknown url type: ftp"),
        (answers("HTTP/1.0 302 x\r\nLocation: file:///etc/passwd\r\n\r\n"), CameraNotFound, "302"),
        (answers("HTTP/1.0 302 x\r\nLocation: /again\r\n\r\n"), CameraNotFound, "302"),
        (answers("SSH-2.0-OpenSSH\r\n"), CameraNotFound, "does not answer as a stream"),
        (answers(HEAD.decode()), CameraNotFound, "closed the connection, before any picture"),
        (lambda call: None, CameraNotFound, "does not answer as a stream"),
        (lambda call: call.stall(), CameraNotFound, "time out|no picture came"),
        (lambda call: (call.send(HEAD), call.stall()), CameraNotFound, "sent nothing|no picture came"),
        (lambda call: (call.send(HEAD), call.stream(lambda: b"dripping")), CameraNotFound, "sent no picture"),
    ],
)
def test_a_stream_that_does_not_begin_says_why(
    server: Server, script: Callable[[Call], None], kind: type[CameraError], says: str
) -> None:
    server.script = script
    source = source_of(server.url, open_s=2.0)
    with pytest.raises(kind, match=says):
        source.open()
    with pytest.raises(CameraError, match="not open"):
        source.read(0.0)


def test_nobody_at_the_address_is_said(server: Server) -> None:
    url = server.url
    server.close()
    with pytest.raises(CameraNotFound, match="does not answer.*refused"):
        source_of(url).open()


def test_a_server_without_tls_is_said(server: Server) -> None:
    with pytest.raises(CameraNotFound, match="does not answer as a stream"):
        source_of(f"https://{server.place}/video").open()


def test_a_drop_of_a_header_every_moment_does_not_hold_open_for_longer_than_allowed(server: Server) -> None:
    server.script = lambda call: call.stream(lambda: b"H")
    started_s = time.monotonic()
    with pytest.raises(CameraNotFound):
        source_of(server.url, open_s=0.4).open()
    assert time.monotonic() - started_s < PATIENCE_S


def test_closing_ends_an_open_that_waits(server: Server) -> None:
    calling = threading.Event()
    server.script = lambda call: (calling.set(), call.stall())[1]
    source = source_of(server.url, open_s=60.0)

    def close() -> None:
        calling.wait()
        source.close()

    closer = threading.Thread(target=close)
    closer.start()
    with pytest.raises(CameraError, match="was closed"):
        source.open()
    closer.join()


# ---- HTTP: user and password ----------------------------------------------------------------------------------------


def basic(call: Call) -> None:
    if "Authorization: Basic ZXZhOnNlY3JldA==" in call.request:  # eva:secret
        live(call)
    call.send(b'HTTP/1.0 401 No\r\nWWW-Authenticate: Basic realm="box"\r\n\r\n')


def digest(call: Call) -> None:
    if 'Authorization: Digest username="eva"' in call.request:
        live(call)
    call.send(b'HTTP/1.0 401 No\r\nWWW-Authenticate: Digest realm="box", nonce="1", qop="auth"\r\n\r\n')


@pytest.mark.parametrize("script", [basic, digest])
def test_user_and_password_open_the_stream_and_are_never_shown(server: Server, script: Callable[[Call], None]) -> None:
    server.script = script
    source = source_of(f"http://eva:secret@{server.place}/video")
    source.open()
    assert shows_colour_picture(read(source).rgb)
    source.close()
    assert "secret" not in source.name and "eva" not in source.name


def test_a_wrong_password_is_told_without_it(server: Server) -> None:
    server.script = basic
    with pytest.raises(CameraNotFound, match="refuses this user") as error:
        source_of(f"http://eva:hunter2@{server.place}/video").open()
    assert "hunter2" not in str(error.value)


def test_a_redirect_is_followed_and_another_host_gets_no_password(server: Server) -> None:
    with serving() as other:
        server.script = answers(f"HTTP/1.0 302 x\r\nLocation: {other.url}\r\n\r\n")
        source = source_of(f"http://eva:secret@{server.place}/video")
        source.open()
        assert shows_colour_picture(read(source).rgb)
        source.close()
        other.script = basic
        with pytest.raises(CameraNotFound):
            source.open()
        assert not any("Authorization" in request for request in other.requests)


# ---- HTTP: what ends ------------------------------------------------------------------------------------------------


def then(end: Callable[[Call], object]) -> Callable[[Call], None]:
    """Two pictures, and then what a test wants."""

    def script(call: Call) -> None:
        call.send(HEAD + part_of(jpeg_of()) * 2)
        end(call)

    return script


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (then(lambda call: None), "closed the connection"),
        (then(lambda call: call.send(part_of(jpeg_of())[:400])), "closed the connection"),
        (then(lambda call: call.stall()), "sent nothing for 0.3 s"),
        (then(lambda call: (call.send(part_of(jpeg_of())[:400]), call.stall())), "sent nothing for 0.3 s"),
        (then(lambda call: call.stream(lambda: b"--" + BOUNDARY)), "sent no picture for 0.3 s"),
        (then(lambda call: call.stream(lambda: part_of(jpeg_of()[:300]))), "sent no picture for 0.3 s"),
    ],
)
def test_a_stream_that_ends_is_lost_with_the_reason_and_comes_back(
    server: Server, script: Callable[[Call], None], says: str
) -> None:
    server.script = script
    source = source_of(server.url)
    source.open()
    last, lost = read_until_lost(source)
    assert says in str(lost) and "Reconnect" in str(lost)
    assert lost.last_index == last.index
    server.script = live
    source.open()
    assert read(source).index > last.index
    source.close()


def other_size(call: Call) -> None:
    call.send(HEAD)
    parts = iter([part_of(jpeg_of())] * 3)
    call.stream(lambda: next(parts, part_of(jpeg_of(96, 128))), interval_s=0.05)


def test_another_size_is_lost_and_stays_refused_until_the_camera_is_set_back(server: Server) -> None:
    server.script = other_size
    source = source_of(server.url)
    source.open()
    _, lost = read_until_lost(source)
    assert isinstance(lost, CameraResized)
    assert "128 x 96" in str(lost) and "64 x 48" in str(lost)
    with pytest.raises(CameraResized):
        read(source)
    server.script = lambda call: (call.send(HEAD), call.stream(lambda: part_of(jpeg_of(96, 128))))[1]
    with pytest.raises(CameraNotFound, match="128 x 96 pixels, not 64 x 48.*pixel size"):
        source.open()
    server.script = live
    source.open()
    assert read(source).size_hw == (48, 64)
    source.close()


def test_a_size_that_was_asked_for_must_come(server: Server) -> None:
    with pytest.raises(CameraNotFound, match="64 x 48 pixels, not 640 x 480"):
        source_of(server.url, size_wh=(640, 480)).open()


def test_grey_pictures_are_refused(server: Server) -> None:
    done, grey = cv2.imencode(".jpg", np.full((48, 64), 90, np.uint8))
    assert done
    server.script = lambda call: (call.send(HEAD), call.stream(lambda: part_of(bytes(grey))))[1]
    source = source_of(server.url)
    source.open()
    with pytest.raises(CameraError, match="not 8-bit colour"):
        read(source)
    source.close()


def test_a_read_that_waits_ends_with_the_source(server: Server) -> None:
    server.script = then(lambda call: call.stall())
    source = source_of(server.url, lost_after_s=60.0)
    source.open()
    read(source)
    closer = threading.Timer(0.05, source.close)
    closer.start()
    with pytest.raises(CameraError):
        while True:
            read(source)
    closer.join()


# ---- RTSP -----------------------------------------------------------------------------------------------------------


def test_nobody_at_an_rtsp_address_is_said(server: Server) -> None:
    place = server.place
    server.close()
    with pytest.raises(CameraNotFound, match="does not answer.*refused"):
        source_of(f"rtsp://{place}/live").open()


def with_capture(capture: FakeCapture) -> Callable[[StreamAddress, Limits], RtspPictures]:
    return lambda address, limits: RtspPictures(address, limits, lambda address, limits: capture)


def test_an_rtsp_server_without_the_stream_is_said_without_its_password(server: Server) -> None:
    source = source_of(f"rtsp://eva:secret@{server.place}/live", connection=with_capture(FakeCapture(opened=False)))
    with pytest.raises(CameraNotFound, match=f"{server.place}/live.*path.*password") as error:
        source.open()
    assert "secret" not in str(error.value)


def test_a_failure_that_nobody_expected_is_told_without_the_password(server: Server) -> None:
    def broken(address: StreamAddress, limits: Limits) -> FakeCapture:
        raise RuntimeError(address.url_with_user)

    source = source_of(
        f"rtsp://eva:secret@{server.place}/live", connection=lambda *given: RtspPictures(*given, open_capture=broken)
    )
    with pytest.raises(CameraError, match="failed .RuntimeError.") as error:
        source.open()
    assert "secret" not in str(error.value)


def test_an_rtsp_stream_that_fails_is_lost_and_let_go_of(server: Server) -> None:
    capture = FakeCapture()
    source = source_of(f"rtsp://{server.place}/live", connection=with_capture(capture))
    source.open()
    assert shows_colour_picture(read(source).rgb)
    read(source)
    capture.failing.set()
    with pytest.raises(CameraLost, match="sent nothing more after frame"):
        while True:
            read(source)
    source.close()
    assert capture.released == 1


def test_a_blocked_rtsp_read_holds_neither_reader_nor_close(server: Server) -> None:
    capture = FakeCapture()
    source = source_of(f"rtsp://{server.place}/live", connection=with_capture(capture), join_s=0.05)
    source.open()
    capture.driver_answers.clear()
    with pytest.raises(CameraTimeout):
        for _ in range(3):
            source.read(0.05)
    source.close()
    with pytest.raises(CameraNotFound, match="has not ended yet"):
        source.open()
    capture.driver_answers.set()


@pytest.mark.timeout(90)
@pytest.mark.parametrize("codec", ["H.264", "MJPEG"])
def test_rtsp_from_a_real_server_comes_ends_and_says_so(codec: str) -> None:
    with serving_rtsp(codec) as (program, url):
        source = source_of(url, open_s=PATIENCE_S, lost_after_s=1.5)
        source.open()
        frame = read(source)
        assert frame.size_hw == (240, 320)
        red, green, blue = frame.rgb[120, 160]
        assert red > 200 and green < 60 and blue < 60
        assert read(source).index > frame.index
        with pytest.raises(CameraNotFound, match="gives no stream"):
            source_of(url + "/nothing").open()
        program.kill()
        with pytest.raises(CameraLost) as lost:
            while True:
                frame = read(source)
        assert lost.value.last_index >= frame.index
        source.close()


def test_streams_are_not_searched_for_but_named() -> None:
    (device,) = found()
    assert device.uri == "stream:" and "stream:rtsp://" in device.note and not device.problem
