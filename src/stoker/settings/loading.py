"""Merge what was written, key by key, and check what only the whole can tell."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import structs

from stoker.errors import ConfigurationError
from stoker.settings.files import DEFAULT_ENVIRONMENT, find_file, find_root
from stoker.settings.schema import Entry, Key, built, dotted, flattened, leaves, nested
from stoker.settings.sections import UNUSED, Keys, Settings, StoreSettings
from stoker.settings.spellings import own_sections, plain, uri_of_kind, with_url
from stoker.settings.variables import ENVIRONMENT, from_environment
from stoker.stores.urls import canonical_url

PRODUCTION: Final = "production"
_NOTHING: Final[Mapping[str, object]] = {}
_log = logging.getLogger("stoker.settings")


def load(
    *,
    environment: str | None = None,
    root: Path | str | None = None,
    overrides: Mapping[str, object] = _NOTHING,
    arguments: Mapping[str, object] = _NOTHING,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Give the settings of a project in one environment.

    Later ones win: defaults, the settings file, ``STOKER_*`` variables, ``overrides`` (of the constructor),
    ``arguments`` (of the command line). Both of these are nested mappings or dotted keys (``workers.concurrency``),
    with ``url`` short for the default store's; None counts as not given. ``environment`` is by default ``STOKER_ENV``,
    else development; ``root`` is by default found upwards from the current folder; ``environ`` is the process's.

    Raises ConfigurationError, one line that names key, value and source.
    """
    environ = os.environ if environ is None else environ
    project = find_root(Path.cwd()) if root is None else Path(root).absolute()
    chosen = environment or environ.get(ENVIRONMENT)
    name = chosen or DEFAULT_ENVIRONMENT
    entries = {
        **_from_file(project, find_file(project, name, chosen=bool(chosen)), environ),
        **from_environment(environ),
        **_given(overrides, "constructor"),
        **_given(arguments, "command line"),
    }
    keys = _with_stores(built(Keys, entries), name, entries)
    _check_retiring(keys, entries)
    _tell_unused(keys, entries)
    origins = {dotted(key): entry.origin for key, entry in entries.items()}
    fields = {field: getattr(keys, field) for field in keys.__struct_fields__}
    return Settings(**fields, environment=name, root=project, origins=origins)


def _from_file(root: Path, file: Path | None, environ: Mapping[str, str]) -> dict[Key, Entry]:
    if file is None:
        return {}
    # Jinja2 and PyYAML are slow to import, and a project without a file needs neither.
    from stoker.settings.template import read

    origin = str(file.relative_to(root))
    return flattened(Keys, plain(own_sections(read(file, origin, environ))), origin)


def _given(values: Mapping[str, object], origin: str) -> dict[Key, Entry]:
    entries: dict[Key, Entry] = {}
    for key, value in values.items():
        entries |= flattened(Keys, plain(with_url(nested(key.split("."), value))), origin)
    return entries


def _with_stores(keys: Keys, environment: str, entries: Mapping[Key, Entry]) -> Keys:
    own = "" if environment == DEFAULT_ENVIRONMENT else f"-{environment}"
    default = None if environment == PRODUCTION else f"sqlite:///stoker{own}.sqlite3"
    queue = _resolved(keys.queue, ("queue",), default, entries)
    if queue.uri is None and keys.workers.mode == "queue":
        raise ConfigurationError(
            f"{PRODUCTION} has no store: set queue.uri in config/{PRODUCTION}.yaml, STOKER_URL or --url"
        )
    stores = {name: _resolved(store, ("stores", name), None, entries) for name, store in keys.stores.items()}
    if bare := [name for name, store in stores.items() if store.uri is None]:
        raise ConfigurationError(f"stores.{bare[0]}.uri is missing ({entries[('stores', bare[0])].origin})")
    return structs.replace(keys, queue=queue, stores=stores)


def _resolved(store: StoreSettings, at: Key, default: str | None, entries: Mapping[Key, Entry]) -> StoreSettings:
    kind, uri = store.kind or None, store.uri
    if uri is None and kind is None:
        return structs.replace(store, uri=default, kind=None)
    if uri is None and kind is not None:
        uri = {"memory": "memory://", "sqlite": default}.get(kind.lower())
    source = entries[(*at, "uri") if store.uri is not None else (*at, "kind")].origin
    if uri is None:
        raise ConfigurationError(f"{dotted(at)}.kind: {kind} needs {dotted(at)}.uri ({source})")
    try:
        return structs.replace(store, uri=canonical_url(uri_of_kind(uri, kind) if kind else uri), kind=kind)
    except ConfigurationError as error:
        raise ConfigurationError(f"{dotted(at)}.uri: {error} ({source})") from None


def _check_retiring(keys: Keys, entries: Mapping[Key, Entry]) -> None:
    for name in keys.retiring:
        if name not in keys.stores:
            origin = entries[("retiring",)].origin
            if name == "default":
                raise ConfigurationError(
                    f"retiring: the default store gets the jobs that a retiring one gets no more; give the old one a "
                    f"name under stores, and queue.uri the new one's URL ({origin})"
                )
            known = f"there are {', '.join(keys.stores)}" if keys.stores else "there is no stores section"
            raise ConfigurationError(f"retiring: no store is named {name!r}; {known} ({origin})")


def _tell_unused(keys: Keys, entries: Mapping[Key, Entry]) -> None:
    for key, _, value in leaves(keys):
        if key in entries and _pattern(key) in UNUSED and value not in (False, {}, ()):
            _log.warning("%s: %s is not used by this version", entries[key].origin, dotted(key))


def _pattern(key: Key) -> str:
    """Give the key as the reference page has it: any store's keys are those of ``queue``, any queue is ``NAME``."""
    if key[0] == "stores":
        key = ("queue", *key[2:])
    if key[:2] == ("queue", "queues"):
        key = (*key[:2], "NAME", *key[3:])
    return dotted(key)
