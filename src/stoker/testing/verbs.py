"""The functions of `stoker.testing`: each finds the open sandbox by the job that it is given."""

from __future__ import annotations

from typing import Any, ParamSpec, TypeVar, Unpack, overload

from stoker.jobs.definition import JobDefinition
from stoker.jobs.draft import Draft
from stoker.jobs.record import JobRecord
from stoker.testing.box import Which
from stoker.testing.expectations import Expected
from stoker.testing.opening import sandbox_of
from stoker.testing.performing import Drained

P = ParamSpec("P")
R = TypeVar("R")


def enqueued(job: Which = None, /, **expected: Unpack[Expected]) -> list[JobRecord[Any]]:
    """Give the jobs that are as expected, oldest first, whatever has become of them: see `Sandbox.enqueued`."""
    return sandbox_of([job]).enqueued(job, **expected)


def assert_enqueued(job: Which = None, /, *, count: int | None = None, **expected: Unpack[Expected]) -> JobRecord[Any]:
    """Fail unless such a job was enqueued, and give the newest: see `Sandbox.assert_enqueued`."""
    __tracebackhide__ = True
    return sandbox_of([job]).assert_enqueued(job, count=count, **expected)


def refute_enqueued(job: Which = None, /, **expected: Unpack[Expected]) -> None:
    """Fail if such a job was enqueued: see `Sandbox.refute_enqueued`."""
    __tracebackhide__ = True
    sandbox_of([job]).refute_enqueued(job, **expected)


@overload
def perform(job: JobDefinition[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
@overload
def perform(job: Draft[R], /, *, attempt: int = 1) -> R: ...
def perform(job: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Make one attempt of a job that was never enqueued, and give its result: see `Sandbox.perform`."""
    return sandbox_of([job]).perform(job, *args, **kwargs)


@overload
async def aperform(job: JobDefinition[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
@overload
async def aperform(job: Draft[R], /, *, attempt: int = 1) -> R: ...
async def aperform(job: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Do the same on the running event loop."""
    return await sandbox_of([job]).aperform(job, *args, **kwargs)


def drain(
    *, queue: str | None = None, scheduled: bool = False, raise_errors: bool = True, attempts: int | None = None
) -> Drained:
    """Perform what can be performed, one after the other: see `Sandbox.drain`."""
    return sandbox_of([]).drain(queue=queue, scheduled=scheduled, raise_errors=raise_errors, attempts=attempts)


async def adrain(
    *, queue: str | None = None, scheduled: bool = False, raise_errors: bool = True, attempts: int | None = None
) -> Drained:
    """Do the same on the running event loop."""
    box = sandbox_of([])
    return await box.adrain(queue=queue, scheduled=scheduled, raise_errors=raise_errors, attempts=attempts)
