"""Jobs moved from one store to another, so that none is lost and none is there twice, killed or not.

A batch is held in the old store, taken in by the new one under a call named after the hold, and only then let go.
Whoever comes after a mover that died finds its holds and goes on with them: what was taken in is known by its call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from stoker.core.capability import Capability
from stoker.core.duration import SECOND
from stoker.core.filters import EVERYTHING, Filter
from stoker.core.job import CallId, State, StoredJob, new_token
from stoker.core.moving import MOVING, Hold
from stoker.core.settlement import Settled, Settlement
from stoker.errors import ConfigurationError, NotSupported
from stoker.jobs.defined import DefinedJob
from stoker.jobs.options import Defaults
from stoker.stores.base import MOST_BYTES, Store

BATCH: Final = 500
_NONE: Final[Mapping[str, DefinedJob[Any]]] = MappingProxyType({})
_DEFAULTS: Final = Defaults()


class Place(msgspec.Struct, frozen=True):
    """A store that jobs move from or to."""

    store: Store
    name: str
    """Its name in the application."""
    address: str
    """Its URL without secrets, paths in full: what a hold says of where its jobs go."""


class Moved(msgspec.Struct):
    """What a move has done so far."""

    moved: int = 0
    resumed: int = 0
    """How many of them an earlier move had held and not let go."""
    duplicates: int = 0
    """How many of them were not stored, because the new store has their unique key."""
    taken_back: int = 0
    """Jobs that somebody took back by force while they were held: they may be in both stores."""


class Mover:
    """Moves waiting jobs from one place to another."""

    def __init__(
        self,
        source: Place,
        target: Place,
        definitions: Mapping[str, DefinedJob[Any]] = _NONE,
        defaults: Defaults = _DEFAULTS,
    ) -> None:
        """Look at the places only: NotSupported names what one lacks, ConfigurationError says they are the same.

        ``definitions``, and ``defaults`` for what they leave open, say how often a job is tried that does not say it.
        """
        if source.store is target.store or source.address == target.address:
            raise _same(source, target)
        for place, flag, what in (
            (source, Capability.HOLD, "give jobs away"),
            (target, Capability.RECEIVE, "take jobs in as they stand"),
        ):
            if not place.store.supports(flag):
                raise NotSupported(
                    f"{place.name} ({place.address}) cannot {what}: it lacks {flag.name}; let workers empty it "
                    f"(retiring: [{source.name}])",
                    store=place.store.url,
                    verb="move",
                )
        self._source = source
        self._target = target
        self._worker = f"{MOVING}{target.address}"
        self._definitions = definitions
        self._defaults = defaults

    def move(self, only: Filter, limit: int | None, told: Callable[[Moved], None] = lambda _: None) -> Moved:
        """Move what matches, after what an earlier move left on its way; calls ``told`` after each batch.

        ConfigurationError where that was on its way to another store. StoreUnavailable leaves at most one batch on its
        way; so does being killed. The next move goes on with it.
        """
        done = Moved()
        self._tell_apart()
        for hold in self.unfinished():
            store = self._source.store
            self._deliver(hold, store.run(store.hold(EVERYTHING, 0, hold.token, hold.worker)), done, resumed=True)
            told(done)
        for hold, jobs in self._held(only, limit):
            self._deliver(hold, jobs, done, resumed=False)
            told(done)
        return done

    def _tell_apart(self) -> None:
        """Make sure that two URLs do not lead to one store, whose jobs would be moved for ever."""
        role, ttl = f"{MOVING}{new_token()}", 60 * SECOND
        first, second = (place.store for place in (self._source, self._target))
        first.run(first.lead(role, "source", ttl))
        apart = second.run(second.lead(role, "target", ttl))
        first.run(first.lead(role, "source", 0))
        second.run(second.lead(role, "target", 0))
        if not apart:
            raise _same(self._source, self._target)

    def unfinished(self) -> list[Hold]:
        """Give what an earlier move left on its way here; ConfigurationError where it was on its way elsewhere."""
        holds = self._source.store.run(self._source.store.holds())
        for hold in holds:
            if hold.target != self._target.address:
                raise ConfigurationError(
                    f"{hold.jobs} jobs are on their way from {self._source.name} to {hold.target}, not to "
                    f"{self._target.address}: finish that move first, with --to-store naming that store"
                )
        return holds

    def _held(self, only: Filter, limit: int | None) -> Iterator[tuple[Hold, list[StoredJob]]]:
        store, left = self._source.store, limit
        while left is None or left > 0:
            token = new_token()
            size = BATCH if left is None else min(BATCH, left)
            jobs = store.run(store.hold(only, size, token, self._worker))
            if not jobs:
                return
            left = None if left is None else left - len(jobs)
            # Looked up for its time. Gone is one that another mover has found and finished already.
            yield from ((hold, jobs) for hold in store.run(store.holds()) if hold.token == token)

    def _deliver(self, hold: Hold, jobs: list[StoredJob], done: Moved, *, resumed: bool) -> None:
        """Take jobs in, and let them go in one unit: until then a repeat must see all of them."""
        if not jobs:
            return
        target, source = self._target.store, self._source.store
        for call, part in _calls(hold, list(map(self._limited, jobs))):
            answers = target.run(target.receive(part, call))
            done.duplicates += sum(answer.duplicate for answer in answers)
        said = source.run(source.settle([Settlement(job.id, hold.token, State.COMPLETED, keep=0) for job in jobs]))
        lost = sum(answer is Settled.LOST for answer in said.values())
        done.taken_back += lost
        done.moved += len(jobs) - lost
        done.resumed += len(jobs) - lost if resumed else 0

    def _limited(self, job: StoredJob) -> StoredJob:
        """Give a job that does not say how often it is tried that number, and one attempt in any case."""
        if job.max_attempts:
            return job
        if (definition := self._definitions.get(job.name)) is not None:
            attempts = definition.merged(self._defaults).max_attempts
        else:
            attempts = self._defaults.attempts_in.get(self._source.name, self._defaults.max_attempts)
        return msgspec.structs.replace(job, max_attempts=max(attempts, job.failures + 1))


def _same(source: Place, target: Place) -> ConfigurationError:
    return ConfigurationError(
        f"{source.name} and {target.name} are the same store, {source.address}: name another with --to-store"
    )


def _calls(hold: Hold, jobs: list[StoredJob]) -> Iterator[tuple[CallId, list[StoredJob]]]:
    """Name the calls that take in what is held: one, or where that would be too large one for each job."""
    if sum(len(job.args.encode(errors="surrogatepass")) for job in jobs) <= MOST_BYTES:
        yield _call(hold, ""), jobs
        return
    for job in jobs:
        yield _call(hold, job.id), [job]


def _call(hold: Hold, part: str) -> CallId:
    """Name a call after a hold and its time: sent again when somebody has finished it, a hold takes other jobs."""
    return CallId(hashlib.blake2b(f"{hold.token} {hold.at} {part}".encode(), digest_size=16).hexdigest())
