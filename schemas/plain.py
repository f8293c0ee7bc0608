"""Values as plain JSON and back, checked against their types: what strangers send is data.

Types are those that dataclasses and functions state: plain ones, ``StrEnum``, ``Path``, lists,
tuples and mappings of such, unions, and dataclasses.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from typing import Any

_LISTS = (list, tuple, set, frozenset)


def to_plain(value: Any) -> Any:
    """A value as JSON has it.

    Raises:
        TypeError: if JSON has no such value.
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, _LISTS):
        return [to_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): to_plain(one) for name, one in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    if hasattr(value, "item"):  # a number of NumPy's
        return to_plain(value.item())
    raise TypeError(f"{type(value).__name__} is not plain")


def from_plain(kind: Any, value: Any) -> Any:
    """The value of a type that :func:`to_plain` was given.

    Fields that a dataclass does not know are left out, as those of a newer version.

    Raises:
        ValueError: if it is none of this type.
    """
    if kind is Any:
        return value
    if kind is None or kind is type(None):
        return _checked(value, value is None, "None")
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _one_of(inner, value)
    if origin in (*_LISTS, Sequence) or kind in _LISTS:
        return _sequence(list if origin is Sequence else origin or kind, inner, value)
    if isinstance(kind, type) and is_dataclass(kind):
        return _record(kind, value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(_checked(value, isinstance(value, str | int), kind.__name__))
    if isinstance(kind, type) and issubclass(kind, PurePath):
        return kind(_checked(value, isinstance(value, str), "path"))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        _checked(value, isinstance(value, Mapping), "object")
        return {name: from_plain(inner[1], one) for name, one in value.items()}
    if kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(_checked(value, number and abs(value) < 2**1000, "number"))
    if kind is int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return _checked(value, whole, "whole number")
    return _checked(value, type(value) is kind, getattr(kind, "__name__", str(kind)))


def _record(kind: Any, value: Any) -> Any:
    _checked(value, isinstance(value, Mapping), kind.__name__)
    hints, held = _hints(kind), {}
    for one in fields(kind):
        if one.name in value:
            try:
                held[one.name] = from_plain(hints[one.name], value[one.name])
            except ValueError as error:
                raise ValueError(f"{one.name}: {error}") from None
        elif one.default is MISSING and one.default_factory is MISSING:
            raise ValueError(f"no {one.name}")
    return kind(**held)


def _sequence(kind: Any, inner: tuple[Any, ...], value: Any) -> Any:
    _checked(value, isinstance(value, list | tuple), "list")
    if not inner:
        return kind(value)
    if kind is not tuple or (len(inner) == 2 and inner[1] is Ellipsis):
        return kind(from_plain(inner[0], one) for one in value)
    _checked(value, len(value) == len(inner), f"list of {len(inner)}")
    return tuple(from_plain(k, one) for k, one in zip(inner, value, strict=True))


def _one_of(kinds: tuple[Any, ...], value: Any) -> Any:
    reason = ValueError("no such value")
    for kind in sorted(kinds, key=lambda kind: kind is not type(None)):
        try:
            return from_plain(kind, value)
        except ValueError as error:
            reason = error
    raise reason


def _checked(value: Any, fits: bool, what: str) -> Any:
    if not fits:
        raise ValueError(f"{value!r:.40} is no {what}")
    return value


@lru_cache(maxsize=64)
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)
