"""What can be said of a job when it is defined and when it is enqueued, and the one place where both are merged.

``None`` for an option always means "inherit": from the definition, then from the settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypedDict

import msgspec

from stoker.core.backoff import Backoff
from stoker.core.decide import Policy
from stoker.core.duration import SECOND, Duration, Keep
from stoker.core.job import NOW, Due
from stoker.core.limits import OF, Gate, Rule
from stoker.core.routes import route_of
from stoker.errors import DefinitionError
from stoker.jobs.breaker import Breaker
from stoker.jobs.budget import RetryBudget
from stoker.jobs.checks import ENQUEUE_CHECKS, FOREVER, JOB_CHECKS, UNLIMITED
from stoker.jobs.keeping import Predicate, rule_of
from stoker.jobs.limits import Bound, Limit, Rate
from stoker.jobs.sealing import BodyCodec
from stoker.jobs.unique import Unique

if TYPE_CHECKING:
    from stoker.jobs.freeform import JSON

Executor: TypeAlias = Literal["async", "thread", "process"]
_DAY: Final = 86_400 * SECOND
NEVER: Final = 100 * 365 * _DAY
"""A duration that no attempt reaches: what ``slow_after="none"`` comes to."""


class JobOptions(TypedDict, total=False):
    """What ``@app.job(…)`` takes. Durations as "30s", "5m", "2h", "1d", timedelta or seconds; None inherits."""

    name: str | None
    """How the job is stored; the function's name unless given. Stable: stored jobs are found by it."""
    aliases: Sequence[str] | None
    """Former names, under which stored jobs are still performed."""
    queue: str | None
    priority: int | None
    """-100 to 100; higher runs first."""
    max_attempts: int | None
    """How many attempts may fail."""
    crash_limit: int | None
    """How many times it may take its worker down."""
    backoff: Backoff | None
    """Failures so far → duration until the next attempt: `exponential()`, `linear()`, `fixed("1m")`, a function."""
    retry_on: type[BaseException] | Sequence[type[BaseException]] | None
    """Only these errors are retried; all unless given."""
    discard_on: type[BaseException] | Sequence[type[BaseException]] | None
    """These errors are never retried."""
    timeout: Duration | Literal["none"] | None
    executor: Literal["async", "thread", "process"] | None
    """Where it is performed: on the event loop (async def), in a thread (def), or in a process of its own."""
    slow_after: Duration | Literal["none"] | None
    """An attempt that runs longer is reported."""
    max_snoozes: int | None
    breaker: Breaker | None
    """When its jobs fail too often all of them wait until one succeeds as a probe."""
    retry_budget: RetryBudget | None
    """How many of its retries there are in a time; what is beyond comes later."""
    expires: Duration | None
    """A job that was not started so long after its enqueue is cancelled."""
    unique: bool | Unique | None
    limit: int | Limit | Sequence[Limit] | None
    """How many may run at once, over all workers of the store."""
    rate: Rate | Sequence[Rate] | None
    """How many may start in a time, over all workers of the store."""
    tags: Sequence[str] | None
    """Which workers take it: those that share a tag; without tags those that have none."""
    labels: Sequence[str] | None
    """Free words to find jobs by."""
    meta: Mapping[str, JSON] | None
    """Travels with the job beside its arguments: ``ctx.meta``."""
    keep: Keep | Predicate | None
    """How long a completed job is kept: a duration, "forever", 0, or a function that is shown how it ended."""
    keep_failed: Keep | Predicate | None
    """The same for discarded and cancelled jobs."""
    keep_most: int | None
    """At most so many finished jobs of this name are kept; the oldest go first."""
    keep_logs: bool | int | None
    """What its attempts log is kept with the job: True, or how many lines of each attempt."""
    store: str | None
    """Name of the store that the job goes to."""
    codecs: Sequence[BodyCodec] | None
    """What arguments and results go through on their way into the store, in order: `Compress`, `Encrypt`."""


class EnqueueOptions(TypedDict, total=False):
    """What ``job.using(…)`` takes; None leaves what the definition says."""

    delay: Duration | None
    at: datetime | None
    """An aware datetime; one in the past means at once."""
    queue: str | None
    priority: int | None
    expires: Duration | datetime | None
    """A job that was not started within this time, or by this instant, is cancelled."""
    unique: bool | Unique | None
    tags: Sequence[str] | None
    """In place of the definition's; ``[]`` for none."""
    labels: Sequence[str] | None
    """Added to the definition's."""
    meta: Mapping[str, JSON] | None
    """Added to the definition's, key by key."""
    max_attempts: int | None
    keep: Keep | None
    keep_failed: Keep | None
    transaction: object | None
    """A connection or session whose transaction the job is stored in."""
    store: str | None


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a queue's finished jobs are kept, in microseconds or FOREVER; None inherits."""

    keep: int | None = None
    keep_failed: int | None = None


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the settings say where a job says nothing. Durations in microseconds."""

    queue: str = "default"
    priority: int = 0
    max_attempts: int = 20
    attempts_in: Mapping[str, int] = field(default_factory=dict)
    """The same for the stores whose format has a number of its own, while the settings say none."""
    crash_limit: int = 3
    timeout: int | None = None
    """None: attempts may run as long as they like."""
    slow_after: int = 15 * 60 * SECOND
    keep: int | None = _DAY
    """None: for ever; 0: deleted when done."""
    keep_failed: int | None = 14 * _DAY
    max_args: int = 1_048_576
    """Bytes of encoded arguments."""
    retention: Mapping[str, Retention] = field(default_factory=dict)
    """What single queues say of keeping."""
    limits: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    """The limits and rates of single queues."""


@dataclass(frozen=True, slots=True)
class JobRules:
    """A job's options as its definition gives them, checked; None inherits."""

    name: str | None = None
    aliases: tuple[str, ...] = ()
    queue: str | None = None
    priority: int | None = None
    max_attempts: int | None = None
    crash_limit: int | None = None
    backoff: Backoff | None = None
    retry_on: tuple[type[BaseException], ...] | None = None
    discard_on: tuple[type[BaseException], ...] = ()
    timeout: int | None = None
    """Microseconds, or UNLIMITED."""
    executor: Executor | None = None
    slow_after: int | None = None
    """Microseconds, or UNLIMITED."""
    max_snoozes: int | None = None
    expires: Due | None = None
    breaker: Breaker | None = None
    retry_budget: RetryBudget | None = None
    unique: Unique | Literal[False] | None = None
    limit: tuple[Bound, ...] = ()
    rate: tuple[Bound, ...] = ()
    tags: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    meta: Mapping[str, JSON] = field(default_factory=dict)
    keep: int | Predicate | None = None
    """Microseconds, FOREVER, or a function."""
    keep_failed: int | Predicate | None = None
    """The same."""
    keep_most: int | None = None
    keep_logs: int = 0
    """Lines of each attempt."""
    store: str | None = None
    codecs: tuple[BodyCodec, ...] = ()

    @classmethod
    def of(cls, options: Mapping[str, object], job: str) -> JobRules:
        """Check a job's options; DefinitionError names the wrong one, and the nearest known to an unknown one."""
        return cls(**_checked(options, JOB_CHECKS, job))

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Give limits and rates, those that tell most arguments apart first: they are asked first."""
        return tuple(sorted((*self.limit, *self.rate), key=lambda bound: -len(bound.names)))

    def policy(self) -> Policy:
        """Give what the options say about failing."""
        given: dict[str, Any] = {"retry_on": self.retry_on, "discard_on": self.discard_on}
        if self.backoff is not None:
            given["backoff"] = self.backoff
        if self.max_snoozes is not None:
            given["max_snoozes"] = self.max_snoozes
        for option, said in (("keep", self.keep), ("keep_failed", self.keep_failed)):
            if callable(said):
                given[option] = rule_of(option, said)
        return Policy(**given)

    def timeout_within(self, defaults: Defaults) -> int | None:
        """Give the timeout in microseconds; None for no timeout."""
        chosen = defaults.timeout if self.timeout is None else self.timeout
        return None if chosen == UNLIMITED else chosen

    def slow_after_within(self, defaults: Defaults) -> int:
        """Give the microseconds after which an attempt is reported as slow."""
        chosen = defaults.slow_after if self.slow_after is None else self.slow_after
        return NEVER if chosen == UNLIMITED else chosen


@dataclass(frozen=True, slots=True)
class EnqueueTerms:
    """The options of one enqueue, checked; None leaves what the definition says."""

    due: Due | None = None
    queue: str | None = None
    priority: int | None = None
    expires: Due | None = None
    unique: Unique | Literal[False] | None = None
    tags: tuple[str, ...] | None = None
    labels: tuple[str, ...] = ()
    meta: Mapping[str, JSON] = field(default_factory=dict)
    max_attempts: int | None = None
    keep: int | None = None
    keep_failed: int | None = None
    transaction: object | None = None
    store: str | None = None

    def changed(self, options: Mapping[str, object], job: str) -> EnqueueTerms:
        """Give these terms with more options said; DefinitionError as for a definition's."""
        if options.get("delay") is not None and options.get("at") is not None:
            raise DefinitionError(f"{job}: delay= and at= exclude each other")
        checked = _checked(options, ENQUEUE_CHECKS, job)
        for word in ("delay", "at"):
            if word in checked:
                checked["due"] = checked.pop(word)
        checked["labels"] = _joined(self.labels, checked.get("labels", ()))
        checked["meta"] = {**self.meta, **checked.get("meta", {})}
        return replace(self, **checked)


@dataclass(frozen=True, slots=True)
class Merged:
    """What holds for one enqueue, all inherited values filled in, as a `NewJob` takes it."""

    queue: str
    route: str
    priority: int
    due: Due
    max_attempts: int
    crash_limit: int
    unique: Unique | None
    labels: tuple[str, ...]
    meta: str
    keep: int | None
    keep_failed: int | None
    bounds: tuple[Bound, ...] = ()
    """The job's own limits and rates."""
    gates: tuple[Gate, ...] = ()
    """Those of its queue."""
    expires: Due | None = None


def merge(rules: JobRules, terms: EnqueueTerms, defaults: Defaults, job: str = "job") -> Merged:
    """Let the enqueue's terms win over the definition's rules, and those over the settings."""
    unique = _first(terms.unique, rules.unique, False)
    queue = _first(terms.queue, rules.queue, defaults.queue)
    retention = defaults.retention.get(queue, _INHERITED)
    keep = _first(terms.keep, _stored(rules, terms, "keep"), retention.keep, defaults.keep)
    keep_failed = _first(
        terms.keep_failed, _stored(rules, terms, "keep_failed"), retention.keep_failed, defaults.keep_failed
    )
    meta = {**rules.meta, **terms.meta}
    return Merged(
        queue=queue,
        route=route_of(_first(terms.tags, rules.tags)),
        priority=_first(terms.priority, rules.priority, defaults.priority),
        due=terms.due or NOW,
        max_attempts=_first(terms.max_attempts, rules.max_attempts, _attempts(rules, terms, defaults)),
        crash_limit=_first(rules.crash_limit, defaults.crash_limit),
        unique=unique or None,
        labels=_joined(rules.labels, terms.labels),
        meta=msgspec.json.encode(meta).decode() if meta else "{}",
        keep=None if keep == FOREVER else keep,
        keep_failed=None if keep_failed == FOREVER else keep_failed,
        bounds=rules.bounds,
        gates=queue_gates(queue, defaults),
        expires=_expires(rules, terms, job),
    )


def _attempts(rules: JobRules, terms: EnqueueTerms, defaults: Defaults) -> int:
    store = terms.store or rules.store or "default"
    return defaults.attempts_in.get(store, defaults.max_attempts)


def queue_gates(queue: str, defaults: Defaults) -> tuple[Gate, ...]:
    """Give the gates of a queue's limits."""
    return tuple([Gate(rule.name + OF) for rule in defaults.limits.get(queue, ())])


_INHERITED: Final = Retention()


def _expires(rules: JobRules, terms: EnqueueTerms, job: str) -> Due | None:
    expires, due = terms.expires or rules.expires, terms.due
    if expires is None or due is None:
        return expires
    late = expires.delay <= due.delay if expires.at is None else due.at is not None and expires.at <= due.at
    if late and (expires.at is None) == (due.at is None):
        raise DefinitionError(f"{job}: expires= is over before the job is due: it could never start")
    return expires


def _stored(rules: JobRules, terms: EnqueueTerms, option: str) -> int | None:
    """Give what a definition says of keeping, as far as a job can carry it: a function stays with the definition."""
    said = getattr(rules, option)
    if not callable(said):
        return said  # type: ignore[no-any-return]
    if getattr(terms, option) is not None:
        raise DefinitionError(
            f"{rules.name or 'job'}: {option}= of this job is a function, which decides when the job ends; "
            f"it cannot be given for one enqueue: let the function look at the job's meta"
        )
    return None


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _joined(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def _checked(options: Mapping[str, object], checks: Mapping[str, Any], job: str) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    for name, value in options.items():
        if name not in checks and name in JOB_CHECKS:
            raise DefinitionError(f"{job}: {name}= belongs to the job, not to one enqueue: @app.job({name}=…)")
        if name not in checks and name in ENQUEUE_CHECKS:
            raise DefinitionError(f"{job}: {name}= belongs to an enqueue, not to the job: {job}.using({name}=…)")
        if name not in checks:
            from stoker.jobs.spellings import advice

            raise DefinitionError(f"{job}: unknown option {name!r}; {advice(name, checks)}")
        if value is not None:
            checked[name] = checks[name](f"{job}: {name}", value)
    return checked
