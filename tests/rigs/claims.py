"""Ending jobs without a worker."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.core.job import State, new_token
from stoker.core.settlement import Settlement
from stoker.stores.base import Store


def complete_all(store: Store, names: Sequence[str], queue: str = "default") -> None:
    """Claim and complete all available jobs of some names, and see to nothing else: as a worker that dies then."""
    claimed = store.run(store.claim({queue: 1000}, names, [""], new_token(), "dies", 30_000_000)).claims
    store.run(store.settle([Settlement(one.id, one.token, State.COMPLETED, one.keep) for one in claimed]))
