"""What operators do with a store: look, cancel, retry, replay, delete, pause. Needs no job definitions."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from stoker.app.replaying import replayed
from stoker.core.batch import BatchId
from stoker.core.capability import Capability
from stoker.core.command import Command
from stoker.core.duration import SECOND
from stoker.core.filters import Filter
from stoker.core.finding import Finding
from stoker.core.job import (
    FINAL,
    Changed,
    JobId,
    Pause,
    QueueCount,
    State,
    StoredJob,
    WorkerInfo,
    new_call,
)
from stoker.core.lines import AttemptLog, read
from stoker.core.override import Override, Overriding
from stoker.core.routes import takes
from stoker.core.standing import Standing, standing
from stoker.errors import ConfigurationError, JobNotFound, StoreError
from stoker.runtime.advancing import drive
from stoker.stores.base import Store
from stoker.telemetry.board import Events
from stoker.telemetry.events import JobsChanged, QueuesPaused, Verb

BATCH = 500
PAGE = 1000


class Unserved(msgspec.Struct, frozen=True):
    """What waits in a queue although no live worker takes it."""

    names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """Tags as a job has them, with commas between; ``""`` for jobs without."""


class QueueStatus(msgspec.Struct, frozen=True):
    """One queue at one moment; the lag is the age of the oldest available job, in seconds."""

    name: str
    paused: bool
    served: bool | None
    """Whether a live worker takes jobs of it; None where the store does not know its workers."""
    lag_seconds: float
    states: dict[str, int]
    unserved: Unserved
    limited: int = 0
    """How many of the available jobs wait for a limit or a rate."""


class NameStatus(msgspec.Struct, frozen=True):
    """One job name at one moment, over all queues."""

    name: str
    paused: bool
    served: bool | None
    states: dict[str, int]


class StoreStatus(msgspec.Struct, frozen=True):
    """One store at one moment; ``rate`` is attempts per second over all its workers."""

    name: str
    url: str
    rate: float
    queues: tuple[QueueStatus, ...]
    paused_names: tuple[str, ...]
    open_breakers: tuple[str, ...]
    """Names that wait because they failed too often."""
    workers: tuple[WorkerInfo, ...] | None
    """None where the store does not know its workers."""


class Operations:
    """The operator's verbs on one store; each works in bounded batches and says how many jobs it changed."""

    def __init__(self, store: Store, name: str, now: Callable[[], int], events: Events) -> None:
        self._store = store
        self._name = name
        self._now = now
        self._events = events

    # -- look --------------------------------------------------------------------------------------------------------

    def find(self, only: Filter, limit: int = 50) -> list[StoredJob]:
        """Give the newest matching jobs."""
        found: list[StoredJob] = []
        for page in self._pages(only, limit):
            found.extend(page)
        return found[:limit]

    def show(self, id: JobId) -> StoredJob:
        """Give one job; JobNotFound if the store does not have it."""
        found = self._store.run(self._store.find(Filter(ids=(id,)), 1))
        if not found:
            raise JobNotFound(f"no job {id} in {self._store.url}")
        return found[0]

    def logs(self, id: JobId) -> tuple[AttemptLog, ...]:
        """Give what is kept of a job's log lines; NotSupported where the store keeps none."""
        return read(self._store.run(self._store.logged([id])).get(id))

    def batch(self, id: str) -> Standing | None:
        """Say how a batch or workflow stands; None where the store has no such batch."""
        store = self._store
        if not store.supports(Capability.BATCH):
            return None
        return next(map(standing, store.run(store.batches([BatchId(id)], 1))), None)

    def count(self, only: Filter) -> int:
        """Count the matching jobs."""
        return sum(len(page) for page in self._pages(only, None))

    def counts(self) -> Sequence[QueueCount]:
        """Count the jobs by queue, name and state."""
        return self._store.run(self._store.count())

    def status(self) -> StoreStatus:
        """Say how the store stands."""
        store, now = self._store, self._now()
        workers, paused = self._live(), self._stopped()
        by_queue: dict[str, list[QueueCount]] = defaultdict(list)
        for row in self.counts():
            by_queue[row.queue].append(row)
        paused_queues = [pause.value for pause in paused if pause.kind == "queue"]
        for queue in [*paused_queues, *(queue for worker in workers or () for queue in worker.queues)]:
            by_queue.setdefault(queue, [])
        return StoreStatus(
            self._name,
            store.url,
            round(sum((worker.rate for worker in workers or ()), 0.0), 1),
            tuple(_queue_status(queue, rows, paused, workers, now) for queue, rows in sorted(by_queue.items())),
            tuple(sorted(pause.value for pause in paused if pause.kind == "name")),
            tuple(sorted(pause.value for pause in paused if pause.kind == "breaker")),
            workers,
        )

    def names(self) -> Sequence[NameStatus]:
        """Say how the jobs of each name stand; names that only a worker or a pause knows are there too."""
        workers, paused = self._live(), {pause.value for pause in self._stopped() if pause.kind == "name"}
        served = {name for worker in workers or () for name in worker.names}
        states = {name: {state.value: 0 for state in State} for name in served | paused}
        for row in self.counts():
            states.setdefault(row.name, {state.value: 0 for state in State})[row.state] += row.count
        unknown = workers is None
        return [
            NameStatus(name, name in paused, None if unknown else name in served, states[name])
            for name in sorted(states)
        ]

    def override(self, name: str, override: Override | None, by: str) -> bool:
        """Say what holds for a job name at run time, or take it back; tells whether that changed anything."""
        text = None if override is None or override == Override() else msgspec.json.encode(override).decode()
        return self._store.run(self._store.override(name, text, by))

    def overrides(self) -> list[Overriding]:
        """Give what is said of all names."""
        return self._store.run(self._store.overrides())

    def override_history(self, name: str, limit: int = 20) -> list[Overriding]:
        """Give the latest changes of what is said of a name, the newest first."""
        return self._store.run(self._store.override_history(name, limit))

    def paused(self) -> Sequence[Pause]:
        """Give what is paused."""
        return self._store.run(self._store.paused())

    def workers(self) -> Sequence[WorkerInfo]:
        """Give the live workers."""
        return self._store.run(self._store.workers())

    # -- change ------------------------------------------------------------------------------------------------------

    def cancel(self, only: Filter) -> int:
        """Cancel waiting jobs and ask running ones to stop; batches that are named alone are cancelled as a whole."""
        if only.batches and only == Filter(batches=only.batches, states=only.states):
            from stoker.app.batches import cancel_whole

            return sum(drive(self._store, cancel_whole(self._store, BatchId(id))) for id in only.batches)
        return self._all("cancel", lambda: self._store.cancel(only, BATCH))

    def retry(self, only: Filter) -> int:
        """Make cancelled, discarded, retryable and scheduled jobs available."""
        return self._all("retry", lambda: self._store.retry(only, BATCH))

    def promote(self, only: Filter) -> int:
        """Make scheduled and retryable jobs available now."""
        return self._all("promote", lambda: self._store.promote_now(only, BATCH))

    def delete(self, only: Filter) -> int:
        """Delete jobs that do not run."""
        return self._all("delete", lambda: self._store.delete(only, BATCH))

    def replay(self, only: Filter) -> list[JobId]:
        """Enqueue finished jobs again as new jobs with the same arguments, linked to the old by ``origin``."""
        wanted = tuple(state for state in only.states if state in FINAL) or tuple(sorted(FINAL))
        if only.states and not set(only.states) & FINAL:
            return []
        made: list[JobId] = []
        # The ids are gathered first: the new jobs must not be replayed in their turn.
        jobs = [job for page in self._pages(msgspec.structs.replace(only, states=wanted), None) for job in page]
        for start in range(0, len(jobs), BATCH):
            batch = [replayed(job) for job in reversed(jobs[start : start + BATCH])]
            ids = tuple(answer.id for answer in self._store.run(self._store.enqueue(batch, new_call())))
            self._events.emit(JobsChanged("replay", ids))
            made.extend(ids)
        return made

    def pause(self, kind: str, values: Sequence[str]) -> int:
        """Pause queues (``queue``) or job names (``name``)."""
        return self._pause(kind, values, True)

    def resume(self, kind: str, values: Sequence[str]) -> int:
        """Resume queues or job names; of a name also the breaker is closed."""
        resumed = self._pause(kind, values, False)
        closed = self._pause("breaker", values, False) if kind == "name" else 0
        return resumed or closed

    def _pause(self, kind: str, values: Sequence[str], paused: bool) -> int:
        if isinstance(values, str):
            raise ConfigurationError(f"{values!r} is one {kind}: write a list, [{values!r}]")
        changed = self._store.run(self._store.pause(kind, values, paused)).count
        if changed:
            self._events.emit(QueuesPaused(kind, tuple(values), paused))
        return changed

    def migrate(self) -> Sequence[str]:
        """Bring the schema up to date and name the migrations applied."""
        return self._store.migrate()

    def pending_migrations(self) -> Sequence[str]:
        """Name the migrations that `migrate` would apply."""
        return self._store.pending_migrations()

    def migration_script(self) -> str:
        """Give the SQL of all migrations; NotSupported where a store has none."""
        return self._store.migration_script()

    def examine(self) -> list[Finding]:
        """Look at everything that may slow jobs down or lose them; what cannot be reached is a finding too."""
        try:
            return [*self._reach(), *self._store.examine(), *self._crew()]
        except StoreError as error:
            return [Finding("fail", "store", str(error), "start it, or mend the URL")]

    def _reach(self) -> Iterator[Finding]:
        start = time.perf_counter()
        missing = self._store.pending_migrations()
        took = (time.perf_counter() - start) * 1000
        yield Finding("ok", "store", f"{self._store.url} answered in {took:.0f} ms")
        if missing:
            yield Finding("fail", "schema", f"{', '.join(missing)} missing", "run: stoker migrate")

    def _crew(self) -> Iterator[Finding]:
        if self._store.pending_migrations():
            return
        status = self.status()
        if status.workers is None:
            yield Finding("ok", "workers", "this store does not know them; nothing is said of who serves what")
            return
        if not status.workers:
            yield Finding("warn", "workers", "none is alive", "start one: stoker worker")
        else:
            yield Finding("ok", "workers", f"{len(status.workers)} alive")
        for queue in status.queues:
            if queue.unserved.names:
                names = ", ".join(queue.unserved.names)
                yield Finding("warn", f"queue {queue.name}", f"no live worker knows {names}", "start one that does")
            for route in queue.unserved.tags:
                advice = f"start one with --tags {route}" if route else "start one without --tags, or with --all-tags"
                text = f"no live worker takes {f'the tags {route}' if route else 'jobs without tags'}"
                yield Finding("warn", f"queue {queue.name}", text, advice)

        yield from self._idle_entries(status.workers)

    def _idle_entries(self, workers: Sequence[WorkerInfo]) -> Iterator[Finding]:
        """Tell of applications with periodic entries whose workers are all gone."""
        if not self._store.supports(Capability.TICK):
            return
        known = self._store.run(self._store.entries()).entries
        alive = {worker.application for worker in workers}
        for application in sorted({entry.application for entry in known if entry.paused_at is None} - alive):
            text = f"no live worker sees to the periodic entries of {application}"
            yield Finding("warn", "periodic", text, "start one, or remove them: stoker periodic list")

    def _live(self) -> tuple[WorkerInfo, ...] | None:
        store = self._store
        return tuple(store.run(store.workers())) if store.supports(Capability.PRESENCE) else None

    def _stopped(self) -> Sequence[Pause]:
        store = self._store
        return store.run(store.paused()) if store.supports(Capability.PAUSE) else ()

    def _all(self, verb: Verb, command: Callable[[], Command[Changed]]) -> int:
        total = 0
        while True:
            changed = self._store.run(command())
            if changed.count:
                self._events.emit(JobsChanged(verb, changed.ids))
            total += changed.count
            if not changed.more or not changed.count:
                return total

    def _pages(self, only: Filter, limit: int | None) -> Iterator[list[StoredJob]]:
        before: JobId | None = None
        left = limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = self._store.run(self._store.find(only, size, before))
            if page:
                yield page
            if len(page) < size:
                return
            before = page[-1].id
            left = None if left is None else left - len(page)


def _queue_status(
    queue: str, rows: Sequence[QueueCount], paused: Sequence[Pause], workers: Sequence[WorkerInfo] | None, now: int
) -> QueueStatus:
    states: dict[str, int] = {state.value: 0 for state in State}
    for row in rows:
        states[row.state] += row.count
    available = [row for row in rows if row.state is State.AVAILABLE]
    oldest = min((row.oldest for row in available), default=now)
    serving = None if workers is None else [worker for worker in workers if queue in worker.queues]
    return QueueStatus(
        queue,
        any(pause.kind == "queue" and pause.value == queue for pause in paused),
        None if serving is None else bool(serving),
        round(max(0, now - oldest) / SECOND, 3),
        states,
        Unserved() if serving is None else _unserved(available, serving),
        sum(row.gated for row in available),
    )


def _unserved(available: Sequence[QueueCount], serving: Sequence[WorkerInfo]) -> Unserved:
    """Say of which names no worker knows any, and of which tags nobody takes one of a known name."""
    names: set[str] = set()
    routes: set[str] = set()
    for row in available:
        knowing = [worker for worker in serving if row.name in worker.names]
        if not row.name:
            continue  # no job at all, in a format that others write
        if not knowing:
            names.add(row.name)
        elif not any(takes(row.route, worker.tags, all_tags=worker.all_tags) for worker in knowing):
            routes.add(row.route)
    return Unserved(tuple(sorted(names)), tuple(sorted(routes)))


def as_plain(value: Any) -> Any:
    """Turn a status or worker into plain dicts and lists, for JSON."""
    return msgspec.to_builtins(value)
