"""Frozen dataclasses from plain mappings, strictly: an unknown key is an error that names the nearest valid one."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import yaml

from mrirecon.errors import ConfigError

T = TypeVar("T")


def load_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file, safely loaded; `ConfigError` if it cannot be read or is not a mapping."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); give a YAML text file") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: a mapping of keys to values is expected, got {type(content).__name__}")
    return content


def load_record(cls: type[T], path: str | Path) -> T:
    """`from_mapping` of what a YAML file holds; `ConfigError` names the file and the dotted key."""
    content = load_yaml(path)
    try:
        return from_mapping(cls, content)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def from_mapping(cls: type[T], mapping: Mapping[str, Any], *, where: str = "") -> T:
    """An instance of the dataclass `cls` from a mapping of its field names, nested dataclasses included.

    Parameters
    ----------
    cls
        A dataclass whose field types are dataclasses, `Literal`, numbers, strings, booleans, tuples of those,
        mappings, and unions of them with None. A union of dataclasses is told apart by their `kind` field.
    mapping
        Values as YAML or JSON gives them.
    where
        Dotted name of this mapping, for error messages.

    Raises
    ------
    ConfigError
        For an unknown key, a missing key, a value of the wrong type, or one the dataclass itself refuses.
    """
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"`{where or 'configuration'}` must be a mapping, got {type(mapping).__name__}")
    hints = _hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for key in mapping:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean `{_join(where, near[0])}`?" if near else f"valid: {', '.join(fields)}"
            raise ConfigError(f"unknown key `{_join(where, str(key))}`; {hint}")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in mapping:
            values[name] = _convert(hints[name], mapping[name], _join(where, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"missing key `{_join(where, name)}`")
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"in `{where}`: {error}" if where else str(error)) from error


def to_mapping(record: Any) -> Any:
    """The inverse of `from_mapping`: nested dictionaries, lists, numbers and strings, ready for JSON or YAML."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: to_mapping(getattr(record, f.name)) for f in dataclasses.fields(record) if f.init}
    if isinstance(record, Mapping):
        return {str(k): to_mapping(v) for k, v in record.items()}
    if isinstance(record, tuple | list):
        return [to_mapping(v) for v in record]
    if isinstance(record, Path):
        return record.name
    return record


def _hints(cls: Any) -> dict[str, Any]:
    return _cached_hints(cls)


@cache
def _cached_hints(cls: Any) -> dict[str, Any]:
    """Types of the fields; finding them means evaluating source text, which is slow."""
    return typing.get_type_hints(cls)


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _convert(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return _convert_union(arguments, value, where)
    if origin is Literal:
        if value not in arguments:
            raise ConfigError(f"`{where}` must be one of {', '.join(map(repr, arguments))}; got {value!r}")
        return value
    if dataclasses.is_dataclass(kind):
        return from_mapping(typing.cast(type[Any], kind), value, where=where)
    if origin is tuple:
        return _convert_tuple(arguments, value, where)
    if origin in (dict, Mapping) or kind is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"`{where}` must be a mapping, got {value!r}")
        inner = arguments[1] if len(arguments) == 2 else Any
        return {str(k): _convert(inner, v, _join(where, str(k))) for k, v in value.items()}
    return _convert_scalar(kind, value, where)


def _convert_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    records = [o for o in options if dataclasses.is_dataclass(o)]
    if isinstance(value, Mapping) and records:
        kinds = {typing.get_args(_hints(r)["kind"])[0]: r for r in records} if len(records) > 1 else {}
        if not kinds:
            return _convert(records[0], value, where)
        kind = value.get("kind")
        if kind not in kinds:
            near = difflib.get_close_matches(str(kind), kinds, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"`{where}.kind` must be one of {', '.join(map(repr, kinds))}; got {kind!r}{hint}")
        return _convert(kinds[kind], value, where)
    plain = [o for o in options if o is not type(None) and o not in records]
    problem = ConfigError(f"`{where}` cannot be {value!r}")
    for option in plain:
        try:
            return _convert(option, value, where)
        except ConfigError as error:
            problem = error
    raise problem


def _convert_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"`{where}` must be a list, got {value!r}")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_convert(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if len(arguments) != len(value):
        raise ConfigError(f"`{where}` must have {len(arguments)} entries, got {len(value)}")
    return tuple(_convert(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(arguments, value, strict=True)))


def _convert_scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str):  # YAML 1.1 reads 1e-3 as a string
        try:
            return float(value)
        except ValueError:
            pass
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    if isinstance(kind, type) and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise ConfigError(f"`{where}` must be {getattr(kind, '__name__', kind)}, got {value!r} ({type(value).__name__})")
