"""Network cameras of the tests' own, on loopback: what they send, and how they fail, a test decides."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest
from cameras.fakes import colour_picture

from her2scope.imaging.opencv import cv2

BOUNDARY = b"field"
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=field\r\n\r\n"


def jpeg_of(height: int = 48, width: int = 64) -> bytes:
    """`colour_picture` as a JPEG."""
    done, jpeg = cv2.imencode(".jpg", colour_picture(height, width)[..., ::-1].copy())
    assert done
    return jpeg.tobytes()


def part_of(jpeg: bytes, boundary: bytes = BOUNDARY) -> bytes:
    """The JPEG as one part of a multipart answer."""
    return b"--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (boundary, len(jpeg), jpeg)


class Call:
    """One connection to the server, with the request that came over it."""

    def __init__(self, connection: socket.socket, request: str, ending: threading.Event) -> None:
        self._connection, self.request, self.ending = connection, request, ending

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def stream(self, parts: Callable[[], bytes] = lambda: part_of(jpeg_of()), interval_s: float = 0.005) -> None:
        """Send parts until the test ends or the other side goes."""
        while not self.ending.wait(interval_s):
            self.send(parts())

    def stall(self) -> None:
        """Say nothing more, until the other side goes."""
        while self._connection.recv(4096):
            pass


Script = Callable[[Call], None]
"""What the server does with one call, after its request was read; the connection is closed when it returns."""


def live(call: Call) -> None:
    """A camera that works."""
    call.send(HEAD)
    call.stream()


class Server:
    """Answers one call after the other by a script, in one thread; `script` may be changed at any time."""

    def __init__(self, script: Script = live) -> None:
        self.script = script
        self.requests: list[str] = []
        self._ending = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"http://{self.place}/video"
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, name="test camera")
        self._thread.start()

    def hang_up(self) -> None:
        """Cut the connection, as when the camera is switched off."""
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._ending.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self.hang_up()
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            with connection, contextlib.suppress(OSError):
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            piece = connection.recv(4096)
            if not piece or piece.startswith(b"\x16"):  # a TLS handshake (RFC 8446): this server knows none
                return
            request += piece
        self.requests.append(request.decode())
        self.script(Call(connection, request.decode(), self._ending))


@contextlib.contextmanager
def serving(script: Script = live) -> Iterator[Server]:
    server = Server(script)
    try:
        yield server
    finally:
        server.close()


# ---- RTSP -----------------------------------------------------------------------------------------------------------

# Run by the system's Python, for which Debian packages GStreamer: its port goes out on the first line.
_RTSP_PROGRAM = """
import sys
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
encode = {
    "H.264": "x264enc tune=zerolatency key-int-max=10 speed-preset=ultrafast ! rtph264pay name=pay0 pt=96",
    "MJPEG": "videoconvert ! video/x-raw,format=I420 ! jpegenc ! rtpjpegpay name=pay0 pt=26",
}[sys.argv[1]]
assert all(Gst.ElementFactory.find(part.split()[0]) for part in encode.split("! ") if "/" not in part)
server = GstRtspServer.RTSPServer(address="127.0.0.1", service="0")
factory = GstRtspServer.RTSPMediaFactory(shared=True)
factory.set_launch(
    "( videotestsrc is-live=true pattern=red ! video/x-raw,width=320,height=240,framerate=25/1 ! " + encode + " )"
)
server.get_mount_points().add_factory("/field", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""
RTSP_PACKAGES = "python3-gi, GstRtspServer for it, gstreamer1.0-plugins-base, -good and -ugly"


@contextlib.contextmanager
def serving_rtsp(codec: str = "H.264") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A red picture over RTSP: the server's process and the address. Skips where GStreamer is not there.

    Parameters
    ----------
    codec : `H.264` as most network cameras have it, or `MJPEG` (RTP payload of RFC 2435) as older and simpler ones
    """
    try:
        program = subprocess.Popen(
            ["/usr/bin/python3", "-c", _RTSP_PROGRAM, codec],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
    except OSError:
        pytest.skip("needs the system's Python for GStreamer's RTSP server")
    assert program.stdout is not None
    try:
        port = program.stdout.readline().strip()
        if not port:
            pytest.skip(f"needs GStreamer's RTSP server (Debian: {RTSP_PACKAGES})")
        yield program, f"rtsp://127.0.0.1:{port}/field"
    finally:
        program.kill()
        program.wait()
        program.stdout.close()
