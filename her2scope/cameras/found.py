"""What a search for cameras says, whatever kind was searched for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FoundDevice:
    """A camera that was found, or a kind of camera that could not be looked for.

    Every camera module offers `found() -> tuple[FoundDevice, ...]`, which lists what is there without claiming it for
    longer than the look takes, and never raises.
    """

    uri: str
    """What opens it (`camera:0`); where nothing was found, the scheme alone (`genicam:`)."""
    name: str
    """What the device or its driver calls itself."""
    modes: tuple[str, ...] = ()
    """Sizes, rates and pixel formats as words, in the driver's order; empty where the driver does not tell."""
    problem: str = ""
    """Why it was not found or cannot be used, and what to do; empty where nothing is wrong."""
    note: str = ""
    """What is to be known though nothing is wrong, such as of a kind that is not searched for."""
    lasting_uri: str = ""
    """What opens it also after it was plugged in again, where `uri` may be another camera's by then; else empty."""

    @property
    def address(self) -> str:
        """What to keep of it."""
        return self.lasting_uri or self.uri
