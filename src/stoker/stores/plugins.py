"""Stores of other packages: a package says which URL scheme its store has, by an entry point."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from stoker.core.clock import Clock
from stoker.errors import ConfigurationError
from stoker.stores.base import Store

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "stoker.stores"
"""The group of entry points: each has the name of a scheme, and stands for an `Opener`."""


class Opening(NamedTuple):
    """What a store is opened with. To open is to make the store, without I/O."""

    url: str
    root: Path
    """The folder that relative paths are relative to."""
    clock: Clock
    auto_migrate: bool
    """Whether the store makes its schema on first use."""
    shown: str
    """The URL without its secrets: what the store is called in messages."""


Opener: TypeAlias = Callable[[Opening], Store]


def has_plugin(scheme: str) -> bool:
    """Tell whether an installed package has a store of a scheme, without importing it."""
    return bool(_entry_points(scheme))


def open_plugin(scheme: str, opening: Opening) -> Store:
    """Give the store of another package.

    Raises ConfigurationError where two packages claim the scheme, or the one that does cannot be imported or makes
    something else than a store.
    """
    point = _the_one(scheme, opening.shown)
    try:
        opener: Opener = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"{opening.shown}: {_package(point)} has a store for {scheme}://, but {point.value} cannot be imported: "
            f"{error}"
        ) from error
    store = opener(opening)
    if not isinstance(store, Store):
        raise ConfigurationError(
            f"{opening.shown}: {point.value} of {_package(point)} gave {type(store).__name__}, which is no Store"
        )
    return store


def _entry_points(scheme: str) -> list[EntryPoint]:
    from importlib.metadata import entry_points

    # A package that is installed and lies in the folder too is found twice.
    return list({point.value: point for point in entry_points(group=GROUP, name=scheme)}.values())


def _the_one(scheme: str, shown: str) -> EntryPoint:
    points = _entry_points(scheme)
    if len(points) > 1:
        packages = " and ".join(sorted(_package(point) for point in points))
        raise ConfigurationError(f"{shown}: {packages} both have a store for {scheme}://; uninstall one")
    return points[0]


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module
