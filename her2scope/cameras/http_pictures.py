"""JPEG pictures out of an HTTP answer that does not end, as network cameras send them (MJPEG)."""

from __future__ import annotations

import contextlib
import functools
import http.client
import ssl
import threading
import urllib.error
import urllib.request
from http import HTTPStatus
from socket import SHUT_RDWR, socket
from typing import Any

from her2scope.cameras.jpeg_splitter import JpegSplitter
from her2scope.cameras.stream_address import StreamAddress
from her2scope.cameras.stream_end import Limits, StreamEnded
from her2scope.domain.errors import CameraBusy, CameraError, CameraNotFound

PIECE_BYTES = 65536

_NO_STREAM = ("text/", "image/", "application/json", "application/xml")
"""Kinds of an answer that is a page, a message or one picture."""


class HttpPictures:
    """One connection. `connect`, `receive` and `close` belong to one thread; `interrupt` ends them from any other.

    No proxy is used: a camera stands in the same building, and a proxy would hold pictures back.
    """

    def __init__(self, address: StreamAddress, limits: Limits) -> None:
        self._address, self._limits = address, limits
        self._splitter = JpegSplitter()
        self._calls = _Calls()
        self._response: Any = None

    def connect(self) -> None:
        """Ask for the stream; CameraNotFound or CameraBusy with the reason where there is none."""
        # Any other scheme was refused when the address was read, and a redirect is followed to http and https alone.
        request = urllib.request.Request(self._address.url, headers={"User-Agent": "her2scope"})  # noqa: S310
        try:
            self._response = self._opener().open(request, timeout=self._limits.open_s)
        except urllib.error.HTTPError as error:
            raise self._refusal(error.code) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._no_answer(error) from error
        kind = self._response.headers.get("Content-Type", "").lower()
        if kind.startswith(_NO_STREAM):
            raise CameraNotFound(
                f"{self._address.shown} answers with '{kind}', which is no stream of pictures. Look up the address of "
                "the camera's MJPEG stream in its manual, or use its RTSP address."
            )
        self._calls.allow(self._limits.silent_s)

    def receive(self) -> list[bytes]:
        """Wait for bytes; the pictures that they complete, often none. Raises StreamEnded."""
        try:
            piece = self._response.read1(PIECE_BYTES)
        except TimeoutError:
            raise StreamEnded(f"sent nothing for {self._limits.silent_s:g} s") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise StreamEnded(f"lost the connection ({_words(error)})") from error
        if not piece:
            raise StreamEnded("closed the connection")
        return self._splitter.feed(piece)

    def interrupt(self) -> None:
        """End a waiting `connect` or `receive` as soon as the system allows. May be called from any thread."""
        self._calls.end()

    def close(self) -> None:
        """Let go of the connection."""
        self._calls.close()

    def _opener(self) -> urllib.request.OpenerDirector:
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        if self._address.user:  # for this host alone: a redirect elsewhere must not get them
            passwords.add_password(None, self._address.root, self._address.user, self._address.password)
        opener = urllib.request.OpenerDirector()
        for handler in (
            _Http(self._calls),
            _Https(self._calls),
            urllib.request.UnknownHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPRedirectHandler(),
            urllib.request.HTTPDigestAuthHandler(passwords),
            urllib.request.HTTPBasicAuthHandler(passwords),
        ):
            opener.add_handler(handler)
        return opener

    def _refusal(self, status: int) -> CameraError:
        where = self._address.shown
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            if self._address.user:
                return CameraNotFound(f"{where} refuses this user and password. Check both, and the user's rights.")
            return CameraNotFound(f"{where} asks for a user and a password. Put USER:PASSWORD@ before the host.")
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            return CameraBusy(f"{where} is busy. Close other programs that watch this camera, then reconnect.")
        reason = f"{status} {http.client.responses.get(status, '')}".strip()
        return CameraNotFound(f"{where} has no stream to give ({reason}). Check the path in the camera's manual.")

    def _no_answer(self, error: Exception) -> CameraError:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            return CameraNotFound(
                f"{self._address.shown}: the camera's certificate is not trusted. Let the computer trust it, or use "
                "http:// in a network of its own."
            )
        return CameraNotFound(
            f"{self._address.shown} does not answer as a stream ({_words(cause)}). Check the address, that the camera "
            "is on, and the network cable."
        )


class _Calls:
    """What was opened to get the stream: after a redirect or a question for the password more than one connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the two below
        self._socket: socket | None = None
        self._ended = False
        self._answers: list[Any] = []

    def connected(self, connection: socket) -> None:
        """Note the newest connection, which `end` ends."""
        with self._lock:
            self._socket = connection
        if self._ended:
            self.end()

    def answered(self, answer: Any) -> Any:
        """Note an answer, for `close`: urllib leaves those open that it answers itself."""
        self._answers.append(answer)
        return answer

    def allow(self, silent_s: float) -> None:
        """Let the newest connection be silent for this long."""
        with self._lock:
            if self._socket is not None:
                self._socket.settimeout(silent_s)

    def end(self) -> None:
        """End the connection under whoever waits for it, and each later one. May be called from any thread."""
        with self._lock:
            self._ended = True
            if self._socket is not None:
                with contextlib.suppress(OSError):  # it ended by itself
                    self._socket.shutdown(SHUT_RDWR)

    def close(self) -> None:
        """Let go of all."""
        for answer in self._answers:
            answer.close()


class _Connection(http.client.HTTPConnection):
    """A connection that tells its socket."""

    def __init__(self, calls: _Calls, host: str, **options: Any) -> None:
        super().__init__(host, **options)
        self._calls = calls

    def connect(self) -> None:
        super().connect()
        self._calls.connected(self.sock)


class _TlsConnection(http.client.HTTPSConnection):
    """The same with TLS."""

    def __init__(self, calls: _Calls, host: str, **options: Any) -> None:
        super().__init__(host, **options)
        self._calls = calls

    def connect(self) -> None:
        super().connect()
        self._calls.connected(self.sock)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, calls: _Calls) -> None:
        super().__init__()
        self._calls = calls

    def http_open(self, req: urllib.request.Request) -> Any:
        return self._calls.answered(self.do_open(functools.partial(_Connection, self._calls), req))


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, calls: _Calls) -> None:
        super().__init__()
        self._calls = calls

    def https_open(self, req: urllib.request.Request) -> Any:
        connection = functools.partial(_TlsConnection, self._calls)
        return self._calls.answered(self.do_open(connection, req, context=ssl.create_default_context()))


def _words(cause: object) -> str:
    """What went wrong, shortly: some errors have a text, some only a kind."""
    if isinstance(cause, TimeoutError):
        return "time out"
    if isinstance(cause, str):
        return cause
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(cause).__name__
