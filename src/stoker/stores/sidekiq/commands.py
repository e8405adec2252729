"""Commands of this store: scripts, with their keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from stoker.core.duration import SECOND
from stoker.stores.holding.commands import Arg, HoldingScripts
from stoker.stores.lua import Source
from stoker.stores.sidekiq.scripts import source

__all__ = ["Arg", "Scripts"]


class Scripts(HoldingScripts):
    """Makes the commands of one store."""

    names: ClassVar[dict[str, str]] = {
        **{name: name for name in ("queues", "schedule", "retry", "dead", "processes", "process_cleanup")},
        "processed": "stat:processed",
        "failed": "stat:failed",
        **{name: f"stoker:{name}" for name in ("leases", "holders", "busy", "crashes", "leaders", "routes")},
    }

    def source(self, name: str) -> Source:
        """Give a script by its name."""
        return source(name)

    def queue(self, name: str) -> str:
        """Give the list of a queue."""
        return self.key(f"queue:{name}")

    def fixed(self, name: str) -> str:
        """Give a fixed key; those of a day have its date."""
        if name.endswith("_today"):
            # Ruby takes the day from its own clock, too.
            today = datetime.fromtimestamp(self._clock.now() / SECOND, UTC).date()
            return self.key(f"stat:{name.removesuffix('_today')}:{today}")
        return super().fixed(name)
