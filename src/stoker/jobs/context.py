"""What a handler may know of the attempt it is in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec

from stoker.core.batch import batch_of, freed
from stoker.core.duration import as_datetime
from stoker.core.job import Claim, JobId, Token
from stoker.core.periodic import PERIODIC_TICK
from stoker.errors import StokerError
from stoker.jobs.completing import Completing, Finisher
from stoker.jobs.following import Following
from stoker.jobs.progress import Notebook, written_checkpoint, written_progress

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault  # the checkers' own; nothing to install

    from stoker.jobs.freeform import JSON

    S_co = TypeVarWithDefault("S_co", covariant=True, default=object)
else:
    S_co = TypeVar("S_co", covariant=True)
_LOGGER = logging.getLogger("stoker.job")
_ABSENT = object()


class Flag:
    """A flag that one thread raises and others read; it is never lowered."""

    __slots__ = ("up",)

    def __init__(self) -> None:
        self.up = False

    def __bool__(self) -> bool:
        return self.up


class Context(Generic[S_co]):
    """The attempt that a handler is in; asked for by annotating the first parameter with it.

    ``Context[State]`` names the type of the application's state, which the lifespan made; a bare ``Context`` leaves
    it open.
    """

    __slots__ = (
        "_cancelled",
        "_claim",
        "_deadline",
        "_finisher",
        "_follow",
        "_following",
        "_log",
        "_meta",
        "_notebook",
        "_saved",
        "_state",
        "_stopping",
    )

    def __init__(
        self,
        claim: Claim,
        state: object = _ABSENT,
        *,
        deadline: datetime | None = None,
        cancelled: Flag | None = None,
        stopping: Flag | None = None,
        finisher: Callable[[], Finisher | None] | None = None,
        notebook: Notebook | None = None,
        saved: str | None = None,
        follow: Callable[[Following], None] | None = None,
    ) -> None:
        self._claim = claim
        self._state = state
        self._deadline = deadline
        self._cancelled = Flag() if cancelled is None else cancelled
        self._stopping = Flag() if stopping is None else stopping
        self._finisher = finisher
        self._notebook = notebook
        self._saved = saved
        self._follow = follow
        self._following: tuple[Following, ...] = ()
        self._meta: Mapping[str, JSON] | None = None
        self._log: JobLog | None = None

    @classmethod
    def direct(cls, name: str) -> Context[Any]:
        """Make the context of a handler that is called directly, outside any worker: it has no state, no real id."""
        return Context(Claim(JobId("direct"), Token(""), name, "", "{}", max_attempts=1))

    @property
    def state(self) -> S_co:
        """The application's state. StokerError where there is none: the handler was called directly."""
        if self._state is _ABSENT:
            raise StokerError(
                f"{self.name}: called directly, so there is no application state; pass a Context of your own: "
                f"{self.name}(Context(claim, state), …)"
            )
        return cast("S_co", self._state)

    @property
    def id(self) -> str:
        """The job's id."""
        return self._claim.id

    @property
    def name(self) -> str:
        """The job's name."""
        return self._claim.name

    @property
    def queue(self) -> str:
        """The queue it came from."""
        return self._claim.queue

    @property
    def batch_id(self) -> str | None:
        """The batch or workflow that the job belongs to, or is a callback of: ``app.find_batch(ctx.batch_id)``."""
        return batch_of(self._claim.meta)

    @property
    def parent(self) -> str | None:
        """The job that enqueued this one; of a callback ``on_failure``, the one that failed."""
        return self._claim.parent

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1: failures + crashes + 1."""
        return self._claim.attempt

    @property
    def max_attempts(self) -> int:
        """How many attempts may fail before the job is discarded."""
        return self._claim.max_attempts

    @property
    def deadline(self) -> datetime | None:
        """When this attempt times out (aware, this machine's clock); None without a timeout."""
        return self._deadline

    @property
    def cancelled(self) -> bool:
        """Whether the attempt should end: somebody cancelled the job, or its timeout is over. Live; ask it in loops."""
        return self._cancelled.up

    @property
    def stopping(self) -> bool:
        """Whether the worker is shutting down and this attempt has only the grace period left. Live."""
        return self._stopping.up

    def progress(self, fraction: float, note: str = "") -> None:
        """Say how far this attempt has come, from 0 to 1, and with what: seen in the job's record within two seconds.

        Cheap: call it as often as you like, from any thread; the latest is what the store gets. It stays with the job
        over its attempts. Raises TypeError and ValueError for what is no fraction.
        """
        text = written_progress(fraction, note)
        if self._notebook is not None:
            self._notebook.write(self._claim, progress=text)

    def checkpoint(self, value: object) -> None:
        """Keep a place to go on from: the next attempt of this job finds it as ``saved``.

        Any JSON value of up to 1 MiB. The store has it within two seconds, and in any case before this attempt ends,
        however it does; only a killed process loses what was noted in its last two seconds. Raises TypeError for what
        is not JSON, ValueError for what is too large.
        """
        text = written_checkpoint(value)
        if self._notebook is not None:
            self._notebook.write(self._claim, checkpoint=text)
        self._saved = text

    @property
    def saved(self) -> Any:
        """The latest checkpoint of this job, this attempt's or an earlier one's; None where there was none."""
        return None if self._saved is None else msgspec.json.decode(self._saved)

    @property
    def scheduled_at(self) -> datetime | None:
        """The planned instant (aware, UTC) of the periodic tick that this run is for; None for any other job.

        However late it runs, and in each attempt, it is the same.
        """
        tick = self._sent().get(PERIODIC_TICK)
        return as_datetime(tick) if isinstance(tick, int) else None

    @property
    def meta(self) -> Mapping[str, JSON]:
        """What the enqueuer sent along as ``meta``."""
        if self._meta is None:
            sent = msgspec.json.decode(freed(self._claim.meta), type=dict[str, Any])
            self._meta = {key: value for key, value in sent.items() if key != PERIODIC_TICK}
        return self._meta

    def _sent(self) -> dict[str, JSON]:
        return msgspec.json.decode(self._claim.meta, type=dict[str, Any])

    @property
    def log(self) -> JobLog:
        """A logger whose records carry ``job_id``, ``job_name``, ``queue`` and ``attempt``."""
        if self._log is None:
            fields = {"job_id": self.id, "job_name": self.name, "queue": self.queue, "attempt": self.attempt}
            self._log = JobLog(_LOGGER, fields)
        return self._log

    def completing(self, transaction: object, *, result: object = None) -> Completing:
        """Complete this job inside a transaction of yours: what the block writes and the completion happen together.

        Use it with ``with`` or ``async with``, inside the block that commits. At its end the job is completed on your
        connection; you commit, before the handler returns. If you roll back instead, or the commit fails, the attempt
        has failed. What the handler raises or returns after the commit changes nothing: ``result`` is the job's
        result, given here or set on what the block gets. Raises ClaimLost at the end of the block where the store gave
        the job to somebody else meanwhile, NotSupported at its beginning where the store joins no transactions. Called
        directly or in the foreground, where no store has the job, the block simply runs.
        """
        return Completing(None if self._finisher is None else self._finisher(), transaction, result)

    def then(self, draft: Following, /) -> None:
        """Enqueue a job with this attempt's ending: when, and only when, the store accepts it, in the same unit.

        So neither is there without the other, wherever the worker is killed. It counts for the endings that a handler
        chooses: it returns, or raises Snooze, Cancel or Discard. An attempt that fails, times out or raises Retry
        brings nothing, and the next one says again what follows. The job's ``parent`` is this one.

        Raises EnqueueError for a job of another store and for options that an ending cannot honour, NotSupported where
        the store keeps no endings and jobs in one unit.
        """
        if self._follow is not None:
            self._follow(draft)
        self._following = (*self._following, draft)

    @property
    def following(self) -> tuple[Following, ...]:
        """What was given to `then` so far; where a handler is called directly, all there is to see of it."""
        return self._following

    def __repr__(self) -> str:
        return f"<Context of {self.name} {self.id}, attempt {self.attempt}/{self.max_attempts}>"


if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter


class JobLog(_Adapter):
    """The logger of one attempt; what a call gives as ``extra`` is kept beside the job's own fields."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the job's fields to a record."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs
