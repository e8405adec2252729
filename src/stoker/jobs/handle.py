"""A job that has been enqueued, in the hands of whoever wants to know what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeVar

import msgspec

from stoker.core.duration import Duration, seconds
from stoker.core.job import Ending, JobId, State, StoredJob
from stoker.core.lines import AttemptLog
from stoker.errors import JobCancelled, JobFailed, ResultUnavailable, StokerError
from stoker.jobs.record import JobRecord, read_json

R_co = TypeVar("R_co", covariant=True)


class Follower(Protocol):
    """What handles ask of the application; each verb is there twice, sync and async."""

    def fetch(self, handle: JobHandle[Any]) -> StoredJob:
        """Give all that the store knows of the job; JobNotFound if it has no such job."""

    async def afetch(self, handle: JobHandle[Any]) -> StoredJob:
        """Do the same without blocking the event loop."""

    def logs(self, handle: JobHandle[Any]) -> tuple[AttemptLog, ...]:
        """Give what is kept of the job's log lines; JobNotFound as in `fetch`."""

    async def alogs(self, handle: JobHandle[Any]) -> tuple[AttemptLog, ...]:
        """Do the same without blocking the event loop."""

    def cancel(self, handle: JobHandle[Any]) -> State:
        """Cancel the job and give its state then: ``running`` means it was asked to stop. JobNotFound as in `fetch`."""

    async def acancel(self, handle: JobHandle[Any]) -> State:
        """Do the same without blocking the event loop."""

    def replay(self, handle: JobHandle[R_co]) -> JobHandle[R_co]:
        """Enqueue the job again as a new one; JobNotFound as in `fetch`, EnqueueError where it has not ended."""

    async def areplay(self, handle: JobHandle[R_co]) -> JobHandle[R_co]:
        """Do the same without blocking the event loop."""

    def result(self, handle: JobHandle[Any], timeout: float | None) -> Ending:
        """Wait up to ``timeout`` seconds (None: for ever) for a final state and give that ending.

        WaitTimeout when it had not ended by then, ResultUnavailable when nothing was or will be kept.
        """

    async def aresult(self, handle: JobHandle[Any], timeout: float | None) -> Ending:
        """Do the same without blocking the event loop."""


class JobHandle(msgspec.Struct, Generic[R_co], frozen=True, eq=False, gc=False):
    """The id of a job, and what can be asked of it. Not awaitable: say ``await handle.aresult(timeout=…)``."""

    _follower: Follower
    id: JobId
    name: str = ""
    """The job's name; '' where only the id is known."""
    store: str = "default"
    """Name of the store that the job is in."""
    duplicate: bool = False
    """Whether a unique key was taken: then this is the job that was already there."""
    _read: Callable[[str], R_co] = read_json

    def result(self, *, timeout: Duration | None) -> R_co:
        """Wait until the job has ended and give what its handler returned; None as ``timeout`` waits for ever.

        Raises WaitTimeout, JobFailed (discarded), JobCancelled, or ResultUnavailable when no result is kept.
        """
        return self._returned(self._follower.result(self, _waiting(timeout)))

    async def aresult(self, *, timeout: Duration | None) -> R_co:
        """Do the same as `result` without blocking the event loop."""
        return self._returned(await self._follower.aresult(self, _waiting(timeout)))

    def fetch(self) -> JobRecord[R_co]:
        """Look the job up; JobNotFound if the store has it no longer."""
        return JobRecord.of(self._follower.fetch(self), self._read)

    async def afetch(self) -> JobRecord[R_co]:
        """Do the same as `fetch` without blocking the event loop."""
        return JobRecord.of(await self._follower.afetch(self), self._read)

    def logs(self) -> tuple[AttemptLog, ...]:
        """Give what its attempts logged, oldest first, where the job says ``keep_logs=``; a running one's too.

        JobNotFound if the store has the job no longer, NotSupported where it keeps no notes.
        """
        return self._follower.logs(self)

    async def alogs(self) -> tuple[AttemptLog, ...]:
        """Do the same as `logs` without blocking the event loop."""
        return await self._follower.alogs(self)

    def cancel(self) -> State:
        """Cancel the job: a waiting one ends at once, a running one is asked to stop (the state is still running)."""
        return self._follower.cancel(self)

    async def acancel(self) -> State:
        """Do the same as `cancel` without blocking the event loop."""
        return await self._follower.acancel(self)

    def replay(self) -> JobHandle[R_co]:
        """Enqueue a finished job again: a new job with the same arguments, whose ``origin`` is this one.

        JobNotFound if the store has it no longer, EnqueueError if it has not ended.
        """
        return self._follower.replay(self)

    async def areplay(self) -> JobHandle[R_co]:
        """Do the same as `replay` without blocking the event loop."""
        return await self._follower.areplay(self)

    def __repr__(self) -> str:
        again = ", duplicate" if self.duplicate else ""
        return f"<job {self.name or '?'} {self.id} in {self.store}{again}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobHandle) and (self.store, self.id) == (other.store, other.id)

    def __hash__(self) -> int:
        return hash((self.store, self.id))

    if not TYPE_CHECKING:  # checkers must go on telling that a handle cannot be awaited

        def __await__(self) -> NoReturn:
            raise TypeError(
                f"a job handle cannot be awaited: write `await handle.aresult(timeout=…)` to wait for {self.name!r}"
            )

    def _returned(self, ending: Ending) -> R_co:
        who = f"job {self.name or '?'} {self.id}"
        match ending.state:
            case State.COMPLETED if ending.result is not None:
                return self._read(ending.result)
            case State.COMPLETED:
                raise ResultUnavailable(f"{who} completed, but it has no result: it was not JSON, or it is not kept")
            case State.DISCARDED:
                raise _failure(who, ending)
            case State.CANCELLED:
                reason = ending.error.message if ending.error else ""
                raise JobCancelled(f"{who} was cancelled" + (f": {reason}" if reason else ""))
            case waiting:
                raise StokerError(f"{who} has not ended: it is {waiting.value}")


def _waiting(timeout: Duration | None) -> float | None:
    return None if timeout is None else seconds(timeout, "timeout")


def _failure(who: str, ending: Ending) -> JobFailed:
    error = ending.error
    if error is None:
        return JobFailed(f"{who} was discarded")
    said = f"{who} was discarded: {error.type}: {error.message}"
    return JobFailed(said, error_type=error.type, error_message=error.message)
