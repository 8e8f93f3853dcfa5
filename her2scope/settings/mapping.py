"""Settings dataclasses as plain mappings and back."""

from __future__ import annotations

import dataclasses
import difflib
import sys
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

from her2scope.domain.errors import Her2ScopeError, SettingsError

T = TypeVar("T")
LEFT_OUT_WHERE_NONE = "left out where None"
"""Metadata key of a field that `as_mapping` names only where it has a value."""


def as_mapping(settings: Any) -> dict[str, Any]:
    """Plain mapping of any settings dataclass, for YAML, JSON and the case record."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value):
            told = {item.name: getattr(value, item.name) for item in dataclasses.fields(value) if _is_told(value, item)}
            return {name: plain(item) for name, item in told.items()}
        if isinstance(value, Enum):
            return value.value
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return value

    return typing.cast(dict[str, Any], plain(settings))


def _is_told(settings: Any, item: dataclasses.Field[Any]) -> bool:
    """Not a section that came with a later version and is not used: digests of what was stored before still hold."""
    return not (item.metadata.get(LEFT_OUT_WHERE_NONE) and getattr(settings, item.name) is None)


def from_mapping(kind: type[T], data: Any, where: str) -> T:
    """Build a settings dataclass; SettingsError (with the nearest known key) for anything it does not know."""
    return typing.cast(T, _convert(kind, data, where))


def _convert(kind: Any, value: Any, where: str) -> Any:
    """`value` from YAML as `kind`: a dataclass, number, text, flag, optional, tuple or mapping of these."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _convert_dataclass(kind, value, where)
    if origin in (types.UnionType, typing.Union):
        wanted = next(item for item in inner if item is not types.NoneType)
        return None if value is None else _convert(wanted, value, where)
    if origin is tuple:
        return _convert_tuple(inner, value, where)
    if origin in (Mapping, dict):
        if not isinstance(value, Mapping):
            raise SettingsError(f"{where}: expected names with values, found {value!r}. Correct it.")
        return {str(key): _convert(inner[1], item, f"{where}: {key}") for key, item in value.items()}
    return _convert_plain(kind, value, where)


def _convert_tuple(inner: tuple[Any, ...], value: Any, where: str) -> Any:
    """A tuple of so many values each of its kind, or (`tuple[float, ...]`) of any number of one kind."""
    any_number = len(inner) == 2 and inner[1] is Ellipsis
    if not isinstance(value, list | tuple) or not (any_number or len(value) == len(inner)):
        wanted = "a list" if any_number else f"{len(inner)} values"
        raise SettingsError(f"{where}: expected {wanted}, found {value!r}. Correct it.")
    if any_number:
        return tuple(_convert(inner[0], item, f"{where}: {i}") for i, item in enumerate(value, start=1))
    return tuple(_convert(kind, item, where) for kind, item in zip(inner, value, strict=True))


def _convert_plain(kind: Any, value: Any, where: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, Enum):
        if value not in [item.value for item in kind]:
            raise SettingsError(f"{where}: {value!r} is not known. Use {' or '.join(item.value for item in kind)}.")
        return kind(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    if kind is float and is_number:
        return float(value)
    if kind is int and is_number and float(value).is_integer():
        return int(value)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is str and not isinstance(value, Mapping | list) and value is not None:
        return str(value)
    words = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
    remedy = "Correct it."
    if kind in (float, int) and isinstance(value, str) and value[:1].isdigit():
        remedy = "Give the number alone, with a decimal point and without a unit (micrometres where it is a length)."
    raise SettingsError(f"{where}: expected {words.get(kind, kind)}, found {value!r}. {remedy}")


def _convert_dataclass(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{where}: expected keys with values, found {value!r}. Correct it.")
    hints = typing.get_type_hints(kind)
    known = [item.name for item in dataclasses.fields(kind)]
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"Known keys: {', '.join(known)}."
            raise SettingsError(f"{where}: unknown key '{key}'. {hint}")
    for item in dataclasses.fields(kind):
        has_default = item.default is not dataclasses.MISSING or item.default_factory is not dataclasses.MISSING
        if not has_default and item.name not in value:
            raise SettingsError(f"{where}: '{item.name}' is missing. Give it.")
    arguments = {key: _convert(hints[key], item, f"{where}: {key}") for key, item in value.items()}
    try:
        return kind(**arguments)
    except Her2ScopeError as error:
        raise SettingsError(f"{where}: {error}") from error
