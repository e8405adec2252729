"""All that one memory store holds, and the moves between states that keep it consistent."""

from __future__ import annotations

from collections import deque
from itertools import count

import msgspec

from stoker.core.batch import CANCELLED, BatchEvent, BatchId
from stoker.core.job import (
    FINAL,
    NOW,
    AttemptFailure,
    CallId,
    Enqueued,
    JobId,
    NewJob,
    State,
    Token,
    WorkerInfo,
)
from stoker.core.override import Overriding
from stoker.core.periodic import Entry
from stoker.stores.codes import CODES
from stoker.stores.memory.agenda import Agenda
from stoker.stores.memory.gates import Gates
from stoker.stores.memory.lanes import Lanes
from stoker.stores.memory.row import AVAILABLE, RUNNING, Batch, Lease, Row
from stoker.stores.memory.slots import Slots


class Contents:
    """The state of a store. Whoever calls holds the store's lock; ``now`` is the instant of the present command."""

    def __init__(self) -> None:
        self.now = 0
        self.rung: set[str] = set()
        """Queues whose waiters are to be woken when the present command is done."""
        self.rows: dict[JobId, Row] = {}
        self.lanes = Lanes()
        self.routes: set[str] = set()
        """The routes that jobs have had, without the empty one."""
        self.leases: dict[Token, Lease] = {}
        self.slots = Slots()
        self.gates = Gates(self)
        self.due = Agenda()
        self.ended = Agenda()
        self.expiring = Agenda()
        self.receipts: dict[CallId, tuple[Enqueued, ...]] = {}
        self.receipts_by_age: deque[tuple[int, CallId]] = deque()
        self.batches: dict[BatchId, Batch] = {}
        self.paused: dict[str, dict[str, int]] = {"queue": {}, "name": {}, "breaker": {}}
        self.announced: dict[str, tuple[int, WorkerInfo]] = {}
        self.leaders: dict[str, tuple[str, int]] = {}
        self.entries: dict[tuple[str, str], Entry] = {}
        """Periodic entries by application and name."""
        self.ticked: dict[tuple[str, str], CallId] = {}
        """The call that ticked each of them last."""
        self.overrides: dict[str, Overriding] = {}
        self.override_history: list[Overriding] = []
        self.numbers = count(1)
        """Ids and places in lanes."""

    # -- the moves: the row leaves its state, then enters another ----------------------------------------------------

    def insert(self, job: NewJob) -> Row:
        """Store a new job, available or scheduled."""
        now = self.now
        number = next(self.numbers)
        job_id = JobId(str(number))
        run_at = now if job.due is NOW else job.due.resolve(now)
        if run_at <= now:
            row = Row(job_id, number, job, AVAILABLE, number, run_at, now, job.max_attempts)
            if job.gates:
                self.gates.wait(row)
            else:
                self.lanes.of(job).add(row)
            self.rung.add(job.queue)
        else:
            row = Row(job_id, number, job, State.SCHEDULED, 0, run_at, now, job.max_attempts)
            self._plan(row)
        self.rows[job_id] = row
        if job.route:
            self.routes.add(job.route)
        if job.expires is not None:
            row.expires = job.expires.resolve(now)
            self.expiring.add(row.expires, row)
        if job.unique is not None:
            self.slots.acquire(row, job.unique, now)
        return row

    def to_available(self, row: Row, run_at: int) -> None:
        """Put a job behind those that are available; ``run_at`` is when it was to become so."""
        if row.job.batch is not None and row.state in FINAL:
            self.tell(row, -CODES[row.state])
        self._leave(row)
        row.state = AVAILABLE
        row.pos = next(self.numbers)
        row.run_at = run_at
        if row.job.gates:
            self.gates.wait(row)
        else:
            self.lanes.of(row.job).add(row)
        self.rung.add(row.job.queue)
        self._follow(row)

    def open_to_claims(self, row: Row) -> None:
        """Put a job that was admitted behind those that are available; places in a lane only ever grow."""
        row.pos = next(self.numbers)
        self.lanes.of(row.job).add(row)
        self.rung.add(row.job.queue)

    def to_later(self, row: Row, state: State, run_at: int) -> None:
        """Make a job scheduled or retryable for an instant."""
        self._leave(row)
        row.state = state
        row.run_at = run_at
        self._plan(row)
        self._follow(row)

    def to_final(self, row: Row, state: State, keep: int | None) -> None:
        """End a job and keep it for ``keep`` µs; 0 deletes it at once."""
        if row.job.batch is not None:
            self.tell(row, CODES[state])
        self._leave(row, for_good=True)
        row.state = state
        if keep == 0:
            self._erase(row)
            return
        row.finished_at = self.now
        row.keep = keep
        if keep is not None:
            self.ended.add(self.now + keep, row)
        if row.job.unique is not None:
            self.slots.follow(row, row.job.unique, self.now)

    def remove(self, row: Row) -> None:
        """Delete a job that does not run."""
        if row.job.batch is not None and row.state not in FINAL:
            self.tell(row, CANCELLED)
        self._leave(row, for_good=True)
        self._erase(row)

    def take_back(self, row: Row) -> None:
        """Make a running job available again and its token worthless."""
        self.to_available(row, self.now)
        row.token = None

    def withdraw(self, row: Row) -> None:
        """Take a waiting job out of where it waits, for somebody who then holds it."""
        self._leave(row)

    def wait_for_retry(self, row: Row) -> None:
        """Let a scheduled job be one that waits for its next attempt."""
        row.state = State.RETRYABLE
        self._follow(row)

    def tell(self, row: Row, kind: int) -> None:
        """Write into a batch's ledger what a member came to."""
        batch = self.batches.get(BatchId(row.job.batch or ""))
        if batch is not None:
            batch.events.append(BatchEvent(next(self.numbers), row.id, row.job.node, kind))

    # -- what the moves share ----------------------------------------------------------------------------------------

    def fail(self, row: Row, error: AttemptFailure) -> None:
        """Add a failure to a job's history, stamped with the store's time."""
        row.errors = (*row.errors, msgspec.structs.replace(error, at=self.now))

    def lease_of(self, row: Row) -> Lease | None:
        """Give the lease under which a running job is held."""
        return None if row.token is None else self.leases.get(row.token)

    def _leave(self, row: Row, *, for_good: bool = False) -> None:
        gated = row.gated
        if row.job.gates:
            self.gates.leave(row, for_good=for_good)
        if row.state is RUNNING:
            self._unlease(row)
        elif row.state is AVAILABLE:
            if not gated:
                self.lanes.of(row.job).leave(row)
        elif row.state in FINAL:
            self.ended.remove(row)
        else:
            self.due.remove(row)

    def _unlease(self, row: Row) -> None:
        row.cancelling = False
        token = row.token
        if token is not None:
            rows = self.leases[token].rows
            del rows[row.id]
            if not rows:
                del self.leases[token]

    def _erase(self, row: Row) -> None:
        del self.rows[row.id]
        if row.expires is not None:
            self.expiring.remove(row)
        if row.job.unique is not None:
            self.slots.release(row, row.job.unique, self.now)

    def _plan(self, row: Row) -> None:
        # Sleeping workers planned their next look by the earliest due time they were told.
        if self.due.add(row.run_at, row):
            self.rung.add(row.job.queue)

    def _follow(self, row: Row) -> None:
        if row.job.unique is not None:
            self.slots.follow(row, row.job.unique, self.now)
