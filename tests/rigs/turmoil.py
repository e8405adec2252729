"""Many threads that ask a store for everything about the same jobs, at random."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from stoker.core.filters import Filter
from stoker.core.job import AttemptFailure, Claim, Due, JobId, NewJob, State, Token, new_call, new_token
from stoker.core.settlement import Settlement
from stoker.core.unique import UniqueKey
from stoker.stores.base import Store

SECOND = 1_000_000


class Turmoil:
    """What the threads know of each other's jobs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ids: list[JobId] = []
        self._claims: list[Claim] = []
        self.done = 0

    def stir(self, seconds: float, seed: int) -> None:
        """Do something at random, again and again."""
        chance = random.Random(seed)
        acts: list[Callable[[random.Random], object]] = [
            self._enqueue, self._claim, self._claim, self._settle, self._settle, self._extend, self._reclaim,
            self._cancel, self._retry, self._requeue, self._promote, self._promote_now, self._delete, self._prune,
        ]  # fmt: skip
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            chance.choice(acts)(chance)
            self.done += 1

    def _run(self, command: Any) -> Any:
        return self._store.run(command)

    def _some(self, chance: random.Random) -> Filter:
        ids = self._ids[-300:] or [JobId("1")]
        return Filter(ids=tuple(chance.sample(ids, min(40, len(ids)))))

    def _enqueue(self, chance: random.Random) -> None:
        unique = [None, UniqueKey("k", on_conflict="replace"), UniqueKey("l", states=("available", "running"))]
        jobs = [NewJob("work", "{}", unique=chance.choice(unique), keep=chance.choice([0, SECOND])) for _ in range(20)]
        self._ids += [answer.id for answer in self._run(self._store.enqueue(jobs, new_call()))]

    def _claim(self, chance: random.Random) -> None:
        lease = chance.choice([1, SECOND // 10, 60 * SECOND])
        command = self._store.claim({"default": chance.randint(1, 30)}, ["work"], [""], new_token(), "worker", lease)
        self._claims += self._run(command).claims

    def _settle(self, chance: random.Random) -> None:
        recent = self._claims[-200:]
        error = AttemptFailure(1, 0, "ValueError", "no")
        endings: list[dict[str, Any]] = [
            {"state": State.COMPLETED, "keep": 0},
            {"state": State.COMPLETED, "keep": SECOND},
            {"state": State.RETRYABLE, "due": Due(delay=1), "counts": "failure", "error": error},
            {"state": State.AVAILABLE},
            {"state": State.DISCARDED},
        ]
        chosen = chance.sample(recent, min(50, len(recent)))
        self._run(self._store.settle([Settlement(one.id, one.token, **chance.choice(endings)) for one in chosen]))

    def _tokens(self, chance: random.Random) -> tuple[Token, ...]:
        tokens = list(dict.fromkeys(claim.token for claim in self._claims[-200:]))
        return tuple(chance.sample(tokens, min(5, len(tokens))))

    def _extend(self, chance: random.Random) -> None:
        started = [claim.id for claim in self._claims[-50:]]
        self._run(self._store.extend(self._tokens(chance), SECOND // 10, started=started))

    def _reclaim(self, chance: random.Random) -> None:
        self._run(self._store.reclaim(10, self._tokens(chance) if chance.random() < 0.5 else ()))

    def _cancel(self, chance: random.Random) -> None:
        self._run(self._store.cancel(self._some(chance), 30))

    def _retry(self, chance: random.Random) -> None:
        self._run(self._store.retry(self._some(chance), 30))

    def _requeue(self, chance: random.Random) -> None:
        self._run(self._store.requeue(self._some(chance), 30, force=chance.random() < 0.7))

    def _promote(self, chance: random.Random) -> None:
        self._run(self._store.promote(chance.randint(1, 50)))

    def _promote_now(self, chance: random.Random) -> None:
        self._run(self._store.promote_now(self._some(chance), 30))

    def _delete(self, chance: random.Random) -> None:
        self._run(self._store.delete(self._some(chance), 5))

    def _prune(self, chance: random.Random) -> None:
        self._run(self._store.prune(chance.randint(1, 50)))
