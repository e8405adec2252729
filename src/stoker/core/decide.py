"""The only author of a state change out of ``running``: what an attempt's outcome means for its job."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from types import TracebackType
from typing import TypeAlias, assert_never

import msgspec

from stoker.core import expiry
from stoker.core.backoff import Backoff, sidekiq, wait_after
from stoker.core.hiding import blanked
from stoker.core.job import AttemptFailure, Claim, Due, State
from stoker.core.outcome import (
    CancelledByHandler,
    DiscardedByHandler,
    ElsewhereRaised,
    Expired,
    Failed,
    GivenBack,
    Outcome,
    Snoozed,
    Succeeded,
    Unreadable,
    Unsuccessful,
)
from stoker.core.settlement import Settlement

COMPLETED = State.COMPLETED
MESSAGE_LIMIT = 2_000
TRACE_LIMIT = 16_000


KeepRule: TypeAlias = Callable[[Claim, Settlement], Settlement]
"""Gives a final settlement with the time for which the job is kept."""


class Policy(msgspec.Struct, frozen=True):
    """What a job's definition says about failing."""

    backoff: Backoff = sidekiq
    retry_on: tuple[type[BaseException], ...] | None = None
    """Only these are retried; None means all."""
    discard_on: tuple[type[BaseException], ...] = ()
    max_snoozes: int = 1000
    keep: KeepRule | None = None
    """Of a completed job; None leaves what the job carries."""
    keep_failed: KeepRule | None = None
    """The same for cancelled and discarded ones."""


def decide(claim: Claim, outcome: Outcome, policy: Policy, *, chance: float = 0.0, worker: str = "") -> Settlement:
    """Give the settlement of an attempt; ``chance`` in [0, 1) spreads the retries of jobs that failed together."""
    if isinstance(outcome, Succeeded):
        ending = Settlement(
            claim.id,
            claim.token,
            COMPLETED,
            keep=claim.keep,
            result=outcome.result,
            duration=outcome.duration,
        )
        return ending if policy.keep is None else policy.keep(claim, ending)
    ending = _unsuccessful(claim, outcome, policy, chance, worker)
    if policy.keep_failed is not None and ending.state.final:
        return policy.keep_failed(claim, ending)
    return ending


def _unsuccessful(claim: Claim, outcome: Unsuccessful, policy: Policy, chance: float, worker: str) -> Settlement:
    match outcome:
        case Failed():
            return _failed(claim, outcome, policy, chance, worker)
        case Snoozed():
            return _snoozed(claim, outcome, policy, worker)
        case GivenBack():
            return _waiting(claim, State.AVAILABLE, outcome.delay, "none", outcome.duration)
        case CancelledByHandler():
            return _ended(claim, State.CANCELLED, "JobCancelled", outcome.reason, outcome.duration, worker)
        case DiscardedByHandler():
            return _ended(claim, State.DISCARDED, "Discard", outcome.reason, outcome.duration, worker)
        case Expired():
            return _final(claim, State.CANCELLED, expiry.failure(claim.attempt, worker), "none", 0)
        case Unreadable():
            return _ended(claim, State.DISCARDED, "Corrupt", outcome.reason, 0, worker)
        case _:
            assert_never(outcome)


def describe(
    claim: Claim, error: BaseException, trace: str, worker: str, hidden: tuple[str, ...] = ()
) -> AttemptFailure:
    """Write an exception down as it is kept with the job, without what is hidden; the store stamps the time."""
    name = error.kinds[0] if isinstance(error, ElsewhereRaised) else name_of(type(error))
    trace = _storable(blanked(trace, hidden)[-TRACE_LIMIT:])
    return AttemptFailure(claim.attempt, 0, name, text_of(error, hidden), trace, worker)


def name_of(kind: type[BaseException]) -> str:
    """Give an error class's name: with its module unless it is a builtin or our own."""
    ours = kind.__module__ == "builtins" or kind.__module__.startswith("stoker.")
    return kind.__qualname__ if ours else f"{kind.__module__}.{kind.__qualname__}"


def text_of(error: BaseException, hidden: tuple[str, ...] = ()) -> str:
    """Give an error's message, without what is hidden, bounded, as every store can carry it."""
    # Hidden before it is cut: half a secret would not be found.
    return _storable(blanked(_message(error), hidden)[:MESSAGE_LIMIT])


def trace_of(error: BaseException) -> str:
    """Write an exception's traceback as text, from the first frame that is not stoker's own."""
    try:
        return "".join(traceback.format_exception(type(error), error, _outside(error.__traceback__)))
    except Exception as broken:  # an exception whose own __str__ or __repr__ raises
        return f"(no traceback: formatting it raised {type(broken).__name__})"


def _outside(trace: TracebackType | None) -> TracebackType | None:
    """Skip the frames between the worker and the handler; keep all if there are no others."""
    first = trace
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").split(".")[0] == "stoker":
        trace = trace.tb_next
    return trace or first


def _storable(text: str) -> str:
    """Replace what no store can carry: a lone surrogate in an error's text must not cost the attempt its ending."""
    return text.encode("utf-8", "backslashreplace").decode()


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:
        return f"(no message: str() of the error raised {type(broken).__name__})"


def _failed(claim: Claim, outcome: Failed, policy: Policy, chance: float, worker: str) -> Settlement:
    error = describe(claim, outcome.error, outcome.trace, worker, outcome.hidden)
    failures = claim.failures + 1
    if failures >= claim.max_attempts or not (outcome.asked or _worth_retrying(outcome.error, policy)):
        return _final(claim, State.DISCARDED, error, "failure", outcome.duration)
    delay = wait_after(failures, policy.backoff, chance) if outcome.delay is None else outcome.delay
    return _waiting(claim, State.RETRYABLE, delay, "failure", outcome.duration, error)


def _worth_retrying(error: BaseException, policy: Policy) -> bool:
    if _is_one_of(error, policy.discard_on):
        return False
    return policy.retry_on is None or _is_one_of(error, policy.retry_on)


def _is_one_of(error: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    if isinstance(error, ElsewhereRaised):
        return any(name_of(kind) in error.kinds for kind in kinds)
    return isinstance(error, kinds)


def _snoozed(claim: Claim, outcome: Snoozed, policy: Policy, worker: str) -> Settlement:
    if claim.snoozes >= policy.max_snoozes:
        reason = f"snoozed {claim.snoozes} times, the most allowed (max_snoozes)"
        return _ended(claim, State.DISCARDED, "Discard", reason, outcome.duration, worker)
    return _waiting(claim, State.SCHEDULED, outcome.delay, "snooze", outcome.duration)


def _ended(claim: Claim, state: State, kind: str, reason: str, duration: int, worker: str) -> Settlement:
    error = AttemptFailure(claim.attempt, 0, kind, _storable(reason[:MESSAGE_LIMIT]), worker=worker)
    return _final(claim, state, error, "none", duration)


def _final(claim: Claim, state: State, error: AttemptFailure, counts: str, duration: int) -> Settlement:
    return Settlement(
        claim.id,
        claim.token,
        state,
        keep=claim.keep_failed,
        counts="failure" if counts == "failure" else "none",
        error=error,
        duration=duration,
    )


def _waiting(
    claim: Claim, state: State, delay: int, counts: str, duration: int, error: AttemptFailure | None = None
) -> Settlement:
    return Settlement(
        claim.id,
        claim.token,
        state,
        due=Due(delay),
        counts="failure" if counts == "failure" else "snooze" if counts == "snooze" else "none",
        error=error,
        duration=duration,
    )
