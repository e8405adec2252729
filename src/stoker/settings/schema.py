"""The walk over settings structs: which keys there are, and how written values become a struct.

A field of a struct type is a section, a mapping of structs has sections by name, everything else is a value.
A written mapping is first flattened into entries (key → value and origin), so that sources merge key by key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeAlias, TypeGuard, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from stoker.errors import ConfigurationError
from stoker.settings.values import converted

S = TypeVar("S", bound=Struct)
Key: TypeAlias = tuple[str, ...]


class Entry(NamedTuple):
    """What was written for a key, and where."""

    value: object
    origin: str


class UnknownKey(ConfigurationError):
    """Something is written under a key that does not exist."""


class Leaf(NamedTuple):
    """A key of a finished struct: what it may hold, and what it holds."""

    key: Key
    kind: Any
    value: object


def dotted(key: Key) -> str:
    """Write a key as people do: ``workers.concurrency``."""
    return ".".join(key)


def nested(key: Sequence[str], value: object) -> dict[str, object]:
    """Write one value the way a file would have it: ``("workers", "lease"), 2`` is ``{"workers": {"lease": 2}}``."""
    *sections, last = key
    written: dict[str, object] = {last: value}
    for section in reversed(sections):
        written = {section: written}
    return written


def flattened(struct: type[Struct], written: Mapping[Any, object], origin: str, at: Key = ()) -> dict[Key, Entry]:
    """Give the entries of what was written for a struct.

    None counts as not written. Raises UnknownKey with the nearest key, ConfigurationError for a section that is no
    mapping.
    """
    entries: dict[Key, Entry] = {}
    kinds = _kinds(struct)
    for name, value in written.items():
        if name not in kinds:
            raise UnknownKey(_unknown(str(name), list(kinds), at, origin))
        kind, key = kinds[name], (*at, str(name))
        if value is None:
            continue
        if _is_section(kind):
            entries |= flattened(kind, _mapping(value, key, origin), origin, key)
        elif (named := _named(kind)) is not None:
            entries |= _flattened_by_name(named, _mapping(value, key, origin), origin, key)
        else:
            entries[key] = Entry(value, origin)
    return entries


def _flattened_by_name(struct: type[Struct], written: Mapping[Any, object], origin: str, at: Key) -> dict[Key, Entry]:
    entries: dict[Key, Entry] = {}
    for name, section in written.items():
        if not isinstance(name, str):
            raise ConfigurationError(f"{origin}: {dotted(at)}: YAML reads {name!r} here; put the name in quotes")
        key = (*at, name)
        entries[key] = Entry({}, origin)
        if section is not None:
            entries |= flattened(struct, _mapping(section, key, origin), origin, key)
    return entries


def built(struct: type[S], entries: Mapping[Key, Entry], at: Key = ()) -> S:
    """Make a struct of entries; what is not written keeps its default. ConfigurationError names key, value, origin."""
    fields: dict[str, object] = {}
    for name, kind in _kinds(struct).items():
        key = (*at, name)
        if _is_section(kind):
            fields[name] = built(kind, entries, key)
        elif (named := _named(kind)) is not None:
            names = dict.fromkeys(entry[len(key)] for entry in entries if entry[: len(key)] == key)
            fields[name] = {each: built(named, entries, (*key, each)) for each in names}
        elif key in entries:
            fields[name] = _value(kind, entries[key], key)
    return struct(**fields)


def leaves(struct: Struct, at: Key = (), of: type[Struct] | None = None) -> Iterator[Leaf]:
    """Give every key of a struct with its value, in the order of definition; with ``of`` those of that base only."""
    for name, kind in _kinds(of or type(struct)).items():
        key, value = (*at, name), getattr(struct, name)
        if isinstance(value, Struct):
            yield from leaves(value, key)
        elif _named(kind) is not None:
            for each, section in value.items():
                yield from leaves(section, (*key, each))
        else:
            yield Leaf(key, kind, value)


def _kinds(struct: type[Struct]) -> dict[str, Any]:
    hints = get_type_hints(struct, include_extras=True)
    return {field.name: hints[field.name] for field in msgspec.structs.fields(struct)}


def _is_section(kind: Any) -> TypeGuard[type[Struct]]:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _named(kind: Any) -> type[Struct] | None:
    if get_origin(kind) is Mapping:
        of = get_args(kind)[1]
        return of if _is_section(of) else None
    return None


def _mapping(value: object, key: Key, origin: str) -> Mapping[Any, object]:
    if isinstance(value, Mapping):
        return value
    raise ConfigurationError(f"{origin}: {dotted(key)} must be a mapping, not {type(value).__name__}")


def _value(kind: Any, entry: Entry, key: Key) -> object:
    try:
        return converted(kind, entry.value, dotted(key))
    except ConfigurationError as error:
        raise ConfigurationError(f"{error} ({entry.origin})") from None


def _unknown(name: str, known: list[str], at: Key, origin: str) -> str:
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {dotted((*at, near[0]))}?" if near else f"there are {', '.join(known)}"
    return f"{origin}: unknown key {dotted((*at, name))}; {hint}"
