"""Commands of this store: scripts, with their keys. gocraft has a list for each name of a job, and no queues beside."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import ClassVar, Final

from stoker.core.job import NewJob
from stoker.errors import NotSupported
from stoker.stores.gocraft.scripts import source
from stoker.stores.holding.commands import HoldingScripts
from stoker.stores.lua import Source

DEFAULT_QUEUE: Final = "default"
MOVING_POOL: Final = "moving"
"""Stands for a pool where jobs are held for another store. It is none: nobody reaps it, and it has no locks."""
_TAKEN: Final = re.compile(r"[,\n]|:(paused|lock|lock_info|max_concurrency|inprogress)$")
"""What would end a list of names, or be taken for another key of gocraft's."""


def name_of(queue: str, name: str) -> str:
    """Give the name under which gocraft knows a job: that of its queue stands before it unless it is the default."""
    return name if queue == DEFAULT_QUEUE else f"{queue}/{name}"


def speakable(queue: str, name: str) -> bool:
    """Tell whether gocraft can have such a job."""
    return "/" not in queue and not _TAKEN.search(name_of(queue, name))


def check_name(job: NewJob, store: str) -> None:
    """Refuse a job whose queue and name gocraft cannot have."""
    if not speakable(job.queue, job.name):
        raise NotSupported(
            f"gocraft cannot have a job named {job.name!r} in queue {job.queue!r}: no commas, no line breaks, no / in "
            "a queue, and no ending that one of its own keys has, as :paused",
            store=store,
            verb="enqueue",
        )


def pool_of(worker: str) -> str:
    """Give the id of a worker's pool, in the form of Go's: 24 hex digits."""
    return hashlib.blake2b(worker.encode(), digest_size=12).hexdigest()


class Scripts(HoldingScripts):
    """Makes the commands of one store."""

    names: ClassVar[dict[str, str]] = {
        **{name: name for name in ("known_jobs", "scheduled", "retry", "dead", "worker_pools")},
        **{name: f"stoker:{name}" for name in ("leases", "holders", "crashes", "leaders", "lanes", "paused")},
    }

    def source(self, name: str) -> Source:
        """Give a script by its name."""
        return source(name)

    def jobs(self, name: str) -> str:
        """Give the list of a name."""
        return self.key(f"jobs:{name}")

    def in_progress(self, name: str, pool: str) -> str:
        """Give the list of what a pool performs of a name."""
        return self.key(f"jobs:{name}:{pool}:inprogress")

    def fetch_keys(self, name: str, pool: str) -> list[str]:
        """Give the keys that concern a fetch."""
        jobs = self.jobs(name)
        return [
            jobs,
            f"{jobs}:paused",
            self.in_progress(name, pool),
            f"{jobs}:lock",
            f"{jobs}:lock_info",
            f"{jobs}:max_concurrency",
        ]

    def return_keys(self, name: str, pool: str) -> list[str]:
        """Give the keys that concern the end of an attempt."""
        jobs = self.jobs(name)
        return [jobs, self.in_progress(name, pool), f"{jobs}:lock", f"{jobs}:lock_info"]

    def pool(self, pool: str) -> str:
        """Give the heartbeat of a pool."""
        return self.key(f"worker_pools:{pool}")

    def unique(self, name: str, text: str) -> str:
        """Give the key that a unique job holds, by what makes it unique, in Go's words."""
        return self.key(f"unique:{name}:{text}\n")

    def worker_ids(self, pool: str, count: int) -> Sequence[str]:
        """Give the ids of a pool's workers; Go has one for each goroutine."""
        return [f"{pool}{number:04x}" for number in range(count)]

    def observation(self, worker_id: str) -> str:
        """Give the key that says what a worker does."""
        return self.key(f"worker:{worker_id}")
