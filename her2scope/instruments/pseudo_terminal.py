"""A simulator behind a real terminal device, which pyserial opens as it opens a cable's. POSIX only."""

from __future__ import annotations

import os
import select
import sys
import threading
from types import TracebackType

from her2scope.domain.errors import NotAvailableError
from her2scope.instruments.simulators import Simulator

TURN_S = 0.005
"""How often the simulator is asked whether it has something to say."""


class PseudoTerminal:
    """Runs a simulator behind a pseudo-terminal while it is entered; `port` is what to open.

    `unplug` takes the device away, as a pulled plug does.
    """

    def __init__(self, simulator: Simulator) -> None:
        if sys.platform == "win32":
            raise NotAvailableError("pseudo-terminal", sys.platform, ["linux", "darwin"])
        self._simulator = simulator
        self._stopping = threading.Event()
        self._inside = -1
        self.port = ""

    def __enter__(self) -> PseudoTerminal:
        import tty  # not on Windows

        self._inside, outside = os.openpty()
        tty.setraw(outside)
        os.set_blocking(self._inside, False)
        self.port = os.ttyname(outside)
        self._outside = outside  # kept open: else the device would be gone before somebody opens it
        self._thread = threading.Thread(target=self._run, name="pseudo-terminal", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    def unplug(self) -> None:
        """Take the device away. Safe to call twice."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._thread.join()
        os.close(self._inside)
        os.close(self._outside)

    def _run(self) -> None:
        while not self._stopping.is_set():
            readable, _, _ = select.select([self._inside], [], [], TURN_S)
            if readable:
                self._simulator.receive(os.read(self._inside, 4096))
            self._send(self._simulator.transmit())

    def _send(self, said: bytes) -> None:
        try:
            os.write(self._inside, said)
        except BlockingIOError:
            return  # nobody reads: a serial line, too, loses what does not fit
