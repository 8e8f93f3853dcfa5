"""A Chromium that a test drives over a pipe (the DevTools protocol), with nothing but the standard library."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PATIENCE_S = 60.0
"""How long an answer may take on a machine that is busy with other tests."""
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
)  # fmt: skip
_START = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for end, wanted in zip(ends, (3, 4)):
    os.dup2(end, wanted)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The browser reads from descriptor 3 and answers to 4."""


def chromium() -> str | None:
    """Program of the browser, None where there is none or it cannot be driven over a pipe."""
    if os.name != "posix":
        return None
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page:
    """One page of the browser, and every request that it made."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._numbers, self._unread = itertools.count(1), b""
        self._session = ""
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Network", "Page", "Runtime"):
            self.ask(f"{domain}.enable")

    def open(self, path: Path, width: int = 1200, height: int = 900) -> None:
        """Load a file and wait until all of it is there."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        self.events.clear()  # of the page before
        self.ask("Page.navigate", url=path.resolve().as_uri())
        end_s = time.monotonic() + PATIENCE_S
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._take(end_s)

    def ask(self, method: str, **params: object) -> dict[str, Any]:
        """Send a command; what it answers."""
        number = next(self._numbers)
        said = {"id": number, "method": method, "params": params}
        os.write(self._to, json.dumps(said | ({"sessionId": self._session} if self._session else {})).encode() + b"\0")
        end_s = time.monotonic() + PATIENCE_S
        while True:
            answer = self._take(end_s)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                found: dict[str, Any] = answer["result"]
                return found

    def value(self, expression: str) -> Any:
        """What a JavaScript expression is on the page; a promise is waited for."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def click(self, selector: str) -> None:
        """Click where an element is, with the mouse."""
        place = self.value(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)});"
            " found.scrollIntoView({block: 'center'}); const box = found.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def screenshot(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot")["data"])

    @property
    def requests(self) -> list[str]:
        """Addresses of all that the page asked for."""
        asked = [event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in asked]

    def _take(self, end_s: float) -> dict[str, Any]:
        """The next message; those that are no answer are kept as events."""
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._from], [], [], max(0.0, end_s - time.monotonic()))
            data = os.read(self._from, 1 << 20) if ready else b""
            assert data, "the browser does not answer"
            self._unread += data
        text, _, self._unread = self._unread.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        if "method" in message:
            self.events.append(message)
        return message


@contextlib.contextmanager
def page(program: str, profile: Path) -> Iterator[Page]:
    """A page of a browser of its own; it ends with the block.

    Parameters
    ----------
    profile : empty folder that the browser may fill
    """
    commands, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    start = [sys.executable, "-c", _START, str(commands), str(answers), program, *FLAGS]
    process = subprocess.Popen(
        [*start, f"--user-data-dir={profile}"], pass_fds=(commands, answers),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    os.close(commands)
    os.close(answers)
    try:
        found = Page(to_browser, from_browser)
        yield found
        found.ask("Page.close")
    finally:
        os.close(to_browser)  # it ends when nobody can tell it anything any more
        os.close(from_browser)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
