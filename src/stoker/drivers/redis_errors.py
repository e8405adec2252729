"""What Redis's errors mean: refused before anything happened, lost on the way, or answered."""

from __future__ import annotations

import re
from typing import Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from stoker.errors import StoreUnavailable

_KINDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (MovedError, "MOVED"),
    (AskError, "ASK"),
    (TryAgainError, "TRYAGAIN"),
    (MasterDownError, "MASTERDOWN"),
    (ClusterDownError, "CLUSTERDOWN"),
    (BusyLoadingError, "LOADING"),
    (ReadOnlyError, "READONLY"),
    (OutOfMemoryError, "OOM"),
    (AuthorizationError, "NOAUTH"),
    (AuthenticationError, "WRONGPASS"),
)
# Before Redis 7 what a script ran into comes inside a text about the script.
_CODE: Final = re.compile(r"(?:^|-)(OOM|READONLY|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|LOADING|BUSY|UNBLOCKED) ")
PASSING: Final = frozenset({"TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN", "LOADING", "READONLY", "BUSY", "NOREPLICAS"})
"""Refusals that end by themselves, by a failover or after a moment: worth another try."""
_REASONS: Final = {
    "READONLY": "the server is a replica and takes no writes",
    "OOM": "the server's memory is full (maxmemory), so nothing was stored",
    "MISCONF": "the server cannot write its snapshots and takes no writes until it can",
    "NOREPLICAS": "the server has too few replicas and takes no writes",
    "LOADING": "the server is loading its data",
    "MASTERDOWN": "the replica has lost its primary",
    "CLUSTERDOWN": "the cluster is down",
    "TRYAGAIN": "a slot of the cluster is being moved",
    "BUSY": "another script keeps the server busy",
    "NOAUTH": "the server asks for a password; write redis://:PASSWORD@HOST",
    "WRONGPASS": "the server refuses the user or the password",
}


def code_of(error: ResponseError) -> str:
    """Give the word by which the server named an error, '' for those that mean a fault of ours."""
    for kind, code in _KINDS:
        if isinstance(error, kind):
            return code
    found = _CODE.search(str(error))
    return found[1] if found else ""


def unavailable(reason: object, url: str, verb: str, *, uncertain: bool = False) -> StoreUnavailable:
    """Say in one line what is wrong with the store."""
    text = str(reason)
    if isinstance(reason, ResponseError):
        text = _REASONS.get(code_of(reason), text)
    return StoreUnavailable(f"{url} is not available ({verb}): {text}", store=url, verb=verb, uncertain=uncertain)
