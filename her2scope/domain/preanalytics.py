"""What happened to the tissue before it was stained, against the limits of the guideline.

Limits: ASCO/CAP HER2 testing in breast cancer (doi:10.1200/JCO.2018.77.8738; unchanged since 2013, affirmed 2023): in
the fixative within one hour of removal, and 6 to 72 hours in 10 % neutral buffered formalin.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

MAX_COLD_ISCHAEMIA_MIN = 60.0
MIN_FIXATION_H, MAX_FIXATION_H = 6.0, 72.0

_NUMBER = r"(\d{1,4}(?:[.,]\d{1,2})?)"
"""Not three digits after a comma: 1,500 may be one thousand and five hundred."""
_MINUTES = ("", "m", "min", "mins", "minute", "minutes", "'")
_HOURS = ("h", "hr", "hrs", "hour", "hours", "std")
_DAYS = ("d", "day", "days")
_UNIT_MIN = {**dict.fromkeys(_MINUTES, 1.0), **dict.fromkeys(_HOURS, 60.0), **dict.fromkeys(_DAYS, 1440.0)}
_UNIT = r"\s*([a-z']*)\.?"
_ONE = re.compile(rf"(<=|>=|<|>|≤|≥)?\s*{_NUMBER}{_UNIT}")
_TWO = re.compile(rf"{_NUMBER}{_UNIT}\s*(-|–|to)\s*{_NUMBER}{_UNIT}")
_HOURS_AND_MINUTES = re.compile(rf"(\d{{1,3}})\s*({'|'.join(_HOURS)})\s*(\d{{1,2}})\s*(m|min|mins|minutes|')?")

_BUFFERED_FORMALIN = re.compile(
    r"(?:(?P<percent>\d+(?:[.,]\d+)?)\s*%?\s*)?"
    r"(?:nbf|bnf|(?:neutral(?:ly)?[\s-]+)?(?:phosphate[\s-]+)?buffered\s+(?:formalin|formaldehyde)"
    r"|(?:formalin|formaldehyde),?\s+(?:neutral(?:ly)?[\s-]+)?buffered)"
    r"(?:\s*\(?nbf\)?)?(?:,?\s*(?P<percent_after>\d+(?:[.,]\d+)?)\s*%)?"
)
_RIGHT_PERCENTS = ((3.5, 4.5), (9.5, 10.5))
"""10 % formalin is a solution of about 4 % formaldehyde, and is sold by either name."""
_OTHER_FIXATIVE = re.compile(
    r"\b(unbuffered|non-?buffered|acid formalin|alcohol\w*|ethanol\w*|methanol\w*|methacarn|carnoy'?s?|bouin'?s?|b-?5|"
    r"zenker'?s?|hollande'?s?|paxgene|glyoxal|rcl2|umfix|afa|z-?fix)\b"
)


@dataclass(frozen=True, slots=True)
class Preanalytic:
    """An entry of the case data, and whether it meets the guideline."""

    text: str
    """As the reader wrote it, a bare number with its unit; empty where nothing was entered."""
    meets: bool | None
    """None: not entered, or it cannot be told from what is written."""
    words: str
    """For the report."""


@dataclass(frozen=True, slots=True)
class _Span:
    """A time that lies from `low` to `high`, both included."""

    low: float
    high: float

    def within(self, low: float, high: float) -> bool | None:
        """Whether all of it lies there; None where only a part does."""
        if low <= self.low and self.high <= high:
            return True
        return False if self.high < low or self.low > high else None


def cold_ischaemia(text: str) -> Preanalytic:
    """Time from removal to fixation as written: `45`, `45 min`, `1 h`, `12,5`, `< 60 min`; minutes without a unit."""
    limit = f"ASCO/CAP: at most {MAX_COLD_ISCHAEMIA_MIN:g} min"
    span = _minutes(text, 1.0)
    meets = span.within(0.0, MAX_COLD_ISCHAEMIA_MIN) if span is not None else None
    return _told(_with_unit(text, "min"), meets, limit)


def fixation(fixative: str, hours: str) -> Preanalytic:
    """Fixative and time in it as written: `10 % neutral buffered formalin` and `24`, `6-48 h`, `2 days`."""
    limit = f"ASCO/CAP: {MIN_FIXATION_H:g} to {MAX_FIXATION_H:g} h in 10 % neutral buffered formalin"
    span = _minutes(hours, 60.0)
    in_time = span.within(60 * MIN_FIXATION_H, 60 * MAX_FIXATION_H) if span is not None else None
    both = (_is_buffered_formalin(fixative), in_time)
    meets = False if False in both else True if all(both) else None
    if not (fixative.strip() or hours.strip()):
        return _told("", None, limit)
    entered = f"{fixative.strip() or 'fixative not entered'}, {_with_unit(hours, 'h') or 'time not entered'}"
    return _told(entered, meets, limit)


def _told(entered: str, meets: bool | None, limit: str) -> Preanalytic:
    if not entered:
        return Preanalytic("", None, "not entered")
    verdict = {True: "meets the guideline", False: "DOES NOT MEET the guideline", None: "cannot be judged"}[meets]
    return Preanalytic(entered, meets, f"{entered}: {verdict} ({limit})")


def _with_unit(text: str, unit: str) -> str:
    """The entry, with the unit that a bare number has."""
    text = text.strip()
    return f"{text} {unit}" if re.fullmatch(_NUMBER, text) else text


def _minutes(text: str, unit_min: float) -> _Span | None:
    """Time in minutes, where it can be read; `unit_min`: minutes of the unit that a bare number has."""
    text = " ".join(text.casefold().split())
    if found := _HOURS_AND_MINUTES.fullmatch(text):
        exact = 60.0 * int(found[1]) + int(found[3])
        return _Span(exact, exact)
    if found := _TWO.fullmatch(text):
        low, low_unit, _, high, high_unit = found.groups()
        least, most = _value(low, low_unit or high_unit, unit_min), _value(high, high_unit, unit_min)
        return _Span(least, most) if least is not None and most is not None and least <= most else None
    if found := _ONE.fullmatch(text):
        return _bounded(found[1] or "", _value(found[2], found[3], unit_min))
    return None


def _bounded(sign: str, value: float | None) -> _Span | None:
    if value is None:
        return None
    match sign:
        case "<":
            return _Span(0.0, math.nextafter(value, -math.inf)) if value > 0 else None
        case "<=" | "≤":
            return _Span(0.0, value)
        case ">":
            return _Span(math.nextafter(value, math.inf), math.inf)
        case ">=" | "≥":
            return _Span(value, math.inf)
        case _:
            return _Span(value, value)


def _value(number: str, unit: str, unit_min: float) -> float | None:
    """In minutes; None for an unknown unit."""
    minutes = unit_min if not unit else _UNIT_MIN.get(unit)
    return None if minutes is None else float(number.replace(",", ".")) * minutes


def _is_buffered_formalin(text: str) -> bool | None:
    """Whether this names 10 % neutral buffered formalin alone; None where it does not say."""
    text = " ".join(text.casefold().split())
    if _OTHER_FIXATIVE.search(text):
        return None if re.search(r"\b(no|not|none|without)\b", text) else False
    found = _BUFFERED_FORMALIN.fullmatch(text)
    if found is None:
        return None
    percents = [float(item.replace(",", ".")) for item in found.group("percent", "percent_after") if item]
    if any(not any(low <= percent <= high for low, high in _RIGHT_PERCENTS) for percent in percents):
        return False
    return True
