"""Serial ports: what is there, and one of them as bytes in and out, its errors in words."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from her2scope.domain.errors import Her2ScopeError
from her2scope.settings.instruments import PortSettings

READ_S = 0.02
"""How long one read waits for the first byte: a command that is given meanwhile waits no longer."""
WRITE_S = 1.0
"""A line that takes no bytes for so long is blocked; 9600 baud pass a thousand in that time."""


class PortLost(Her2ScopeError):
    """A serial port cannot be opened, or was pulled while in use."""


class Port(Protocol):
    """An open port; each of its calls raises PortLost where the device has gone, and nothing else."""

    def read(self) -> bytes:
        """What has come, waiting up to `READ_S` for it; empty where nothing came."""

    def write(self, data: bytes) -> None:
        """Send."""

    def discard(self) -> None:
        """Forget what has come and was not read."""

    def close(self) -> None:
        """Let go of the port. Never raises."""


PortFactory = Callable[[PortSettings], Port]
"""Opens a port; raises PortLost."""


def _port_errors() -> tuple[type[Exception], ...]:
    """What pyserial lets through from a device that was pulled; its own errors are OSErrors."""
    if sys.platform == "win32":
        return (OSError, ValueError)
    import termios

    return (OSError, ValueError, termios.error)


_ERRORS = _port_errors()


def open_port(settings: PortSettings) -> Port:
    """Claim a port of this computer for this program alone; PortLost says why not."""
    import serial  # here: a desk without instruments starts without it

    try:
        device = serial.Serial(
            settings.port, settings.baud, timeout=READ_S, write_timeout=WRITE_S, exclusive=True
        )  # 8 data bits, no parity, 1 stop bit
    except _ERRORS as error:
        raise PortLost(_why_not_opened(settings, error)) from None
    return _SerialPort(device, settings.port)


class _SerialPort:
    """A port of pyserial."""

    def __init__(self, device: Any, name: str) -> None:
        self._device, self._name = device, name

    def read(self) -> bytes:
        """Wait for a byte, then take with it what is there."""
        try:
            first = self._device.read(1)
            return bytes(first + self._device.read(self._device.in_waiting)) if first else b""
        except _ERRORS:
            raise self._pulled() from None

    def write(self, data: bytes) -> None:
        """Send."""
        try:
            self._device.write(data)
        except _ERRORS:
            raise self._pulled() from None

    def discard(self) -> None:
        """Forget what has come and was not read."""
        try:
            self._device.reset_input_buffer()
        except _ERRORS:
            raise self._pulled() from None

    def close(self) -> None:
        """Let go of the port."""
        try:
            self._device.close()
        except _ERRORS:
            return  # it has gone already

    def _pulled(self) -> PortLost:
        return PortLost(f"the connection to {self._name} broke. Check its cable and power.")


def _why_not_opened(settings: PortSettings, error: Exception) -> str:
    port, text = settings.port, str(error)
    if isinstance(error, ValueError):
        return f"{port} does not take {settings.baud} baud. Give a rate that the device's manual names."
    if "FileNotFoundError" in text or "No such file" in text:
        return f"{port} is not there. Plug the device in, or correct the port: her2scope devices lists them."
    # Windows gives a port to one program at a time, and calls it a matter of permission.
    if "exclusively lock" in text or (sys.platform == "win32" and "PermissionError" in text):
        return f"{port} is in use. Close the other program that holds it."
    if "Permission denied" in text:
        return no_permission(port)
    return f"{port} cannot be opened ({text}). Check that it is a serial port."


def no_permission(port: str) -> str:
    """Why a port that is there may not be used, and what to do."""
    return f"no permission to use {port}. Join the group that owns it (often 'dialout'), then log in again."


# ---- what is there -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FoundPort:
    """A serial port that was found, or why none could be."""

    port: str
    """As it stands in the settings; empty where none was found."""
    name: str
    """What the adapter calls itself."""
    problem: str = ""
    """Why it cannot be used, and what to do; empty where nothing is known to be wrong."""


def found() -> tuple[FoundPort, ...]:
    """Serial ports of this computer. None is opened: to be spoken to can move an instrument. Never raises."""
    from serial.tools import list_ports  # here, as above

    try:
        ports = sorted(list_ports.comports(), key=lambda item: item.device)
    except OSError as error:
        return (FoundPort("", "serial ports", f"the system does not list them ({error}). Name the port yourself."),)
    if not ports:
        return (FoundPort("", "serial ports", "none was found. Plug the instrument's cable or USB adapter in."),)
    return tuple(FoundPort(item.device, _name_of(item), _problem_of(item.device)) for item in ports)


def _name_of(item: Any) -> str:
    told = [text for text in (item.description, item.manufacturer, item.serial_number) if text and text != "n/a"]
    return ", ".join(dict.fromkeys(told)) or "serial port"


def _problem_of(port: str) -> str:
    """Only systems with files for devices tell without opening it."""
    return no_permission(port) if os.path.exists(port) and not os.access(port, os.R_OK | os.W_OK) else ""
