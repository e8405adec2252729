"""Settings from the environment: ``STOKER_WORKERS__CONCURRENCY=4`` is ``workers.concurrency: 4``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from stoker.errors import ConfigurationError
from stoker.settings.schema import Entry, Key, flattened, leaves, nested
from stoker.settings.sections import Keys
from stoker.settings.spellings import plain, with_url

PREFIX: Final = "STOKER_"
ENVIRONMENT: Final = "STOKER_ENV"
_OTHERS: Final = (ENVIRONMENT, "STOKER_APP", "STOKER_TEST_")
"""Variables that are no settings: which environment, which application, where the suite finds its servers."""

_log = logging.getLogger("stoker.settings")


def from_environment(environ: Mapping[str, str]) -> dict[Key, Entry]:
    """Give the entries of all ``STOKER_*`` variables; an empty one counts as not set, an unknown one is logged."""
    entries: dict[Key, Entry] = {}
    # In order, so that STOKER_URL wins over the longer STOKER_QUEUE__URI and STOKER_STORES__DEFAULT.
    for name in sorted(environ):
        if name.startswith(PREFIX) and not name.startswith(_OTHERS) and environ[name]:
            entries |= _entries(name, environ[name])
    return entries


def _entries(name: str, value: str) -> dict[Key, Entry]:
    written = nested(name.removeprefix(PREFIX).lower().split("__"), value)
    try:
        return flattened(Keys, plain(with_url(written)), name)
    except ConfigurationError:
        near = get_close_matches(name, _known(), n=1)
        _log.warning("%s is no setting and was ignored%s", name, f"; did you mean {near[0]}?" if near else "")
        return {}


def _known() -> list[str]:
    return ["STOKER_URL", *(PREFIX + "__".join(leaf.key).upper() for leaf in leaves(Keys()))]
