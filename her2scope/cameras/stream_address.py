"""The address of a network stream: checked, and told to people without the secrets that such addresses carry."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, unquote, urlsplit

from her2scope.domain.errors import BadInputError

PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
"""Schemes that can be read, and their ports (RFC 9110, RFC 7826)."""
_USAGE = (
    "Give it as stream:rtsp://HOST/PATH or stream:http://HOST/PATH, with USER:PASSWORD@ before the host if it asks."
)


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """Where a stream comes from. Only `shown` may be shown, logged or stored."""

    shown: str
    """The address without user, password and query."""
    scheme: str
    host: str
    port: int
    url: str = field(repr=False)
    """Without user and password; characters that no request may hold are percent-encoded."""
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def is_rtsp(self) -> bool:
        """Whether it is RTSP, else HTTP."""
        return self.scheme.startswith("rtsp")

    @property
    def root(self) -> str:
        """What all addresses of this host begin with."""
        return "/".join(self.url.split("/", 3)[:3]) + "/"

    @property
    def url_with_user(self) -> str:
        """The address as FFmpeg takes it."""
        if not self.user:
            return self.url
        scheme, rest = self.url.split("://", 1)
        return f"{scheme}://{quote(self.user, safe='')}:{quote(self.password, safe='')}@{rest}"


def parse_address(text: str) -> StreamAddress:
    """Read an address such as `rtsp://user:password@10.0.0.5/live`; BadInputError where it is none, in safe words."""
    parts, port = _parts(text.strip())
    if parts.scheme not in PORTS:
        raise BadInputError(f"'stream:{without_secrets(text)}': a stream is RTSP or HTTP. {_USAGE}")
    if not parts.hostname or re.search(r"[\s\x00-\x1f\x7f]", text.strip()):
        raise BadInputError(f"'stream:{without_secrets(text)}' is no address of a stream. {_USAGE}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port is None else f"{host}:{port}"
    query = f"?{quote(parts.query, safe='/%;:@&=+$,!~*()?')}" if parts.query else ""
    return StreamAddress(
        shown=f"{parts.scheme}://{place}{_safe_path(parts)}",
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or PORTS[parts.scheme],
        url=f"{parts.scheme}://{place}{quote(parts.path, safe='/%;:@&=+$,!~*()')}{query}",
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def without_secrets(text: str) -> str:
    """`text` on one line, without the user and password of an address in it, even where that cannot be read."""
    return re.sub(r"//.*@", "//...@", re.sub(r"[\s\x00-\x1f\x7f]+", " ", text))


def _parts(text: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(text)
        return parts, parts.port
    except ValueError:  # its text may hold the password
        raise BadInputError(f"'stream:{without_secrets(text)}' is no address of a stream. {_USAGE}") from None


def _safe_path(parts: SplitResult) -> str:
    """Path as it may be shown: some cameras take `/user=NAME_password=WORD` there, and many take it in the query."""
    path = "/".join("..." if "=" in part else part for part in parts.path.split("/"))
    return f"{path}?..." if parts.query else path
