"""Every error stoker raises, in one tree.

StokerError
├ ConfigurationError      bad URL, unknown scheme or setting
│ └ MissingExtra          a library that the chosen store needs is not installed
├ DefinitionError         duplicate name, unresolvable hint, bad option
├ EnqueueError            the job was refused before it was stored
│ ├ ArgumentsError        the arguments do not fit the handler's signature, or cannot be carried
│ ├ UnknownJob            no definition of that name in this application
│ ├ BatchComplete         the batch has ended, or never was: nothing can be added
│ ├ WorkflowError         steps that need each other in a circle, a result where none can be taken
│ ├ DuplicateJob          `Unique(on_conflict="raise")` and the key is taken
│ └ WrongDatabase         `transaction=` belongs to another database than the store
├ StoreError              (store, verb)
│ ├ StoreUnavailable      transient; `uncertain` when the store may have acted; `call` repeats safely
│ ├ SchemaOutdated        the schema is missing or older than this version needs
│ └ NotSupported          the store lacks the capability
├ ResultError             raised by `JobHandle.result`
│ ├ WaitTimeout           not finished within the timeout
│ ├ JobFailed             the job ended `discarded`
│ ├ JobCancelled          the job ended `cancelled`
│ └ ResultUnavailable     it completed, but no result is kept
├ JobNotFound             no job of that id in the store
├ ClaimLost               our token is no longer the holder's
└ AttemptError            recorded on the job, never raised into user code
  ├ JobTimeout            ran longer than its `timeout`
  ├ ProcessDied           the process of its own in which it ran ended before it did
  ├ LeaseExpired          the worker went silent; the store took the job back
  ├ NotCommitted          the transaction in which the job completed was rolled back, or its commit failed
  ├ Misfit                arguments that do not fit this worker's code
  │ └ Locked              sealed, or in a format, that this worker cannot open: given back, however long it takes
  └ Corrupt               the stored row cannot be read
"""

from __future__ import annotations


class StokerError(Exception):
    """Base of everything stoker raises."""


class ConfigurationError(StokerError):
    """A URL, setting or option is wrong; the message says which and what to write instead."""


class MissingExtra(ConfigurationError):
    """The chosen store needs a library that is not installed."""

    def __init__(self, extra: str, needed_for: str) -> None:
        super().__init__(f'{needed_for} needs an extra: pip install "stoker[{extra}]"')
        self.extra = extra


class DefinitionError(StokerError):
    """A job is defined wrongly: duplicate name, unresolvable hint, unknown option."""


class EnqueueError(StokerError):
    """The job was refused before anything was stored."""


class ArgumentsError(EnqueueError):
    """The arguments do not fit the handler's signature or cannot be carried as JSON."""


class UnknownJob(EnqueueError):
    """No definition of that name is known to this application."""


class DuplicateJob(EnqueueError):
    """A unique key is taken and its policy is ``raise``; ``existing`` is the id of the holder."""

    def __init__(self, name: str, existing: str) -> None:
        super().__init__(f"job {name!r} is already enqueued as {existing}")
        self.name = name
        self.existing = existing


class QueueFull(EnqueueError):
    """A queue has as many waiting jobs as its ``max_waiting`` allows: try again later, or do without the job."""

    def __init__(self, queue: str, waiting: int, most: int, asked: int = 1) -> None:
        more = f", {asked} were to come," if asked > 1 else ""
        super().__init__(
            f"queue {queue!r} is full: {waiting} jobs wait{more} and queue.queues.{queue}.max_waiting is {most}; "
            "enqueue later, add workers, or raise the bound"
        )
        self.queue = queue
        self.waiting = waiting
        self.most = most


class BatchComplete(EnqueueError):
    """A job was to be added to a batch that has ended, or that the store does not have; ``batch`` is its id."""

    def __init__(self, batch: str) -> None:
        super().__init__(
            f"batch {batch} is complete already, or not in this store: add jobs before its last one ends (from one of "
            "its own jobs, or inside its `with` block), or open a new batch"
        )
        self.batch = batch


class WorkflowError(EnqueueError):
    """A workflow is put together wrongly: the message says which step, and what to write instead."""


class WrongDatabase(EnqueueError):
    """The connection given as ``transaction=`` is open on another database than the store's."""


class StoreError(StokerError):
    """A store could not do what a verb asked; ``store`` is its masked URL, ``verb`` the verb's name."""

    def __init__(self, message: str, *, store: str = "", verb: str = "") -> None:
        super().__init__(message)
        self.store = store
        self.verb = verb


class StoreUnavailable(StoreError):
    """The store did not answer. With ``uncertain`` it may have acted; repeating with ``call`` is safe."""

    def __init__(
        self, message: str, *, store: str = "", verb: str = "", uncertain: bool = False, call: str | None = None
    ) -> None:
        super().__init__(message, store=store, verb=verb)
        self.uncertain = uncertain
        self.call = call


class SchemaOutdated(StoreError):
    """The store's schema is missing or older than this version needs: run ``stoker migrate``."""


class NotSupported(StoreError):
    """The store lacks the capability that the call needs."""


class ResultError(StokerError):
    """The result of a job cannot be had."""


class WaitTimeout(ResultError):
    """The job had not ended when the timeout was over; it goes on."""


class JobFailed(ResultError):
    """The job ended ``discarded``; ``error_type`` and ``error_message`` are those of its last attempt."""

    def __init__(self, message: str, *, error_type: str = "", error_message: str = "") -> None:
        super().__init__(message)
        self.error_type = error_type
        self.error_message = error_message


class JobCancelled(ResultError):
    """The job ended ``cancelled``."""


class ResultUnavailable(ResultError):
    """The job ended well, but its result is not kept or was not JSON."""


class JobNotFound(StokerError):
    """The store has no job of that id (never had, or it was pruned)."""


class ClaimLost(StokerError):
    """The lease ended and the store gave the job to somebody else; this attempt's outcome was refused."""


class AttemptError(StokerError):
    """The end of an attempt that the runtime, not the handler, brought about."""


class JobTimeout(AttemptError):
    """The attempt ran longer than its timeout."""


class ProcessDied(AttemptError):
    """The process in which an attempt with ``executor="process"`` ran ended before it did."""


class LeaseExpired(AttemptError):
    """The worker went silent and its lease ended."""


class NotCommitted(AttemptError):
    """The transaction given to ``ctx.completing`` was not committed when the handler returned."""


class Misfit(AttemptError):
    """The stored arguments or version do not fit this worker's code: probably a deploy half done."""


class Locked(Misfit):
    """The body is sealed with a key or codec that is not here, or is of a format newer than this worker's.

    Another worker can open it, or this one with its next deploy: unlike other misfits it is given back for ever.
    """


class Corrupt(AttemptError):
    """The stored row cannot be read."""
