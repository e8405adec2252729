"""What an attempt's outcome means for its job: the one author of a state change out of running."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stoker.core.backoff import fixed
from stoker.core.decide import MESSAGE_LIMIT, TRACE_LIMIT, Policy, decide, describe, trace_of
from stoker.core.job import Claim, Due, JobId, State, Token
from stoker.core.outcome import (
    CancelledByHandler,
    DiscardedByHandler,
    Failed,
    GivenBack,
    Snoozed,
    Succeeded,
    Unreadable,
)
from stoker.core.settlement import Settlement
from stoker.errors import JobTimeout
from stoker.jobs.signals import Retry

CLAIM = Claim(JobId("7"), Token("t"), "mail", "default", "{}", max_attempts=3, keep=100, keep_failed=200)
POLICY = Policy(backoff=fixed("10s"))
SECOND = 1_000_000


def claimed(**fields: Any) -> Claim:
    return msgspec.structs.replace(CLAIM, **fields)


def failed(error: BaseException, **fields: Any) -> Failed:
    return Failed(error, "trace", **fields)


def test_success_completes_with_the_result_and_its_time_of_keeping() -> None:
    settled = decide(CLAIM, Succeeded("[1]", duration=5), POLICY)

    assert settled == Settlement(CLAIM.id, CLAIM.token, State.COMPLETED, keep=100, result="[1]", duration=5)


def test_a_failure_with_attempts_left_is_retried_after_the_backoff() -> None:
    settled = decide(claimed(failures=1, crashes=1), failed(ValueError("no"), duration=5), POLICY, worker="w1")

    assert (settled.state, settled.due, settled.counts, settled.duration) == (
        State.RETRYABLE,
        Due(10 * SECOND),
        "failure",
        5,
    )
    assert settled.error is not None
    assert (settled.error.attempt, settled.error.at) == (3, 0)
    assert (settled.error.type, settled.error.message, settled.error.trace) == ("ValueError", "no", "trace")
    assert settled.error.worker == "w1"


def test_the_chance_spreads_the_retries_of_jobs_that_failed_together() -> None:
    assert decide(CLAIM, failed(ValueError()), POLICY, chance=0.5).due == Due(int(10.5 * SECOND))


def test_a_delay_that_the_handler_chose_replaces_the_backoff_even_when_it_is_none_at_all() -> None:
    assert decide(CLAIM, failed(ValueError(), delay=3), POLICY, chance=0.9).due == Due(3)
    assert decide(CLAIM, failed(ValueError(), delay=0), POLICY, chance=0.9).due == Due(0)


@pytest.mark.parametrize("failures", [2, 3, 100])
def test_the_last_failure_discards(failures: int) -> None:
    settled = decide(claimed(failures=failures), failed(ValueError("no"), delay=1), POLICY)

    assert (settled.state, settled.keep, settled.counts) == (State.DISCARDED, 200, "failure")
    assert settled.error is not None


def test_crashes_do_not_use_up_attempts() -> None:
    assert decide(claimed(failures=1, crashes=5), failed(ValueError()), POLICY).state is State.RETRYABLE


@pytest.mark.parametrize(
    ("policy", "error", "state"),
    [
        (Policy(retry_on=(OSError,)), ConnectionError(), State.RETRYABLE),
        (Policy(retry_on=(OSError,)), ValueError(), State.DISCARDED),
        (Policy(discard_on=(LookupError,)), KeyError(), State.DISCARDED),
        (Policy(discard_on=(LookupError,)), ValueError(), State.RETRYABLE),
        (Policy(retry_on=(OSError,), discard_on=(FileNotFoundError,)), FileNotFoundError(), State.DISCARDED),
        (Policy(retry_on=()), ValueError(), State.DISCARDED),
        (Policy(), SystemExit(1), State.RETRYABLE),
    ],
)
def test_the_policy_says_which_errors_are_worth_another_attempt(
    policy: Policy, error: BaseException, state: State
) -> None:
    settled = decide(CLAIM, failed(error), policy)

    assert (settled.state, settled.counts) == (state, "failure")


def test_a_retry_that_the_handler_asked_for_is_made_whatever_the_policy_says_of_its_type() -> None:
    strict = Policy(backoff=fixed(1), retry_on=(OSError,), discard_on=(Exception,))

    assert decide(CLAIM, failed(RuntimeError(), asked=True), strict).state is State.RETRYABLE
    assert decide(claimed(failures=2), failed(RuntimeError(), asked=True), strict).state is State.DISCARDED


def test_a_snooze_waits_and_counts_no_failure() -> None:
    settled = decide(claimed(failures=2), Snoozed(5 * SECOND, duration=1), POLICY)

    assert (settled.state, settled.due, settled.counts, settled.error) == (
        State.SCHEDULED,
        Due(5 * SECOND),
        "snooze",
        None,
    )


def test_too_many_snoozes_discard_with_the_reason() -> None:
    policy = Policy(max_snoozes=2)

    assert decide(claimed(snoozes=1), Snoozed(1), policy).state is State.SCHEDULED
    settled = decide(claimed(snoozes=2), Snoozed(1), policy)
    assert (settled.state, settled.keep, settled.counts) == (State.DISCARDED, 200, "none")
    assert settled.error is not None
    assert settled.error.message == "snoozed 2 times, the most allowed (max_snoozes)"


def test_what_is_given_back_is_available_again_and_counts_nothing() -> None:
    settled = decide(claimed(failures=2), GivenBack("misfit", delay=30 * SECOND), POLICY)

    assert (settled.state, settled.due, settled.counts, settled.error) == (
        State.AVAILABLE,
        Due(30 * SECOND),
        "none",
        None,
    )


@pytest.mark.parametrize(
    ("outcome", "state", "kind"),
    [
        (CancelledByHandler("not needed"), State.CANCELLED, "JobCancelled"),
        (DiscardedByHandler("not needed"), State.DISCARDED, "Discard"),
        (Unreadable("not needed"), State.DISCARDED, "Corrupt"),
    ],
)
def test_endings_for_good_keep_their_reason(outcome: Any, state: State, kind: str) -> None:
    settled = decide(CLAIM, outcome, POLICY, worker="w1")

    assert (settled.state, settled.keep, settled.counts) == (state, 200, "none")
    assert settled.error is not None
    assert (settled.error.type, settled.error.message, settled.error.worker) == (kind, "not needed", "w1")


class Shouting(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot")


def test_errors_are_written_down_with_bounds_and_whatever_they_do() -> None:
    long = describe(CLAIM, ValueError("x" * 10_000), "y" * 100_000, "w")
    assert (len(long.message), len(long.trace)) == (MESSAGE_LIMIT, TRACE_LIMIT)

    assert describe(CLAIM, JobTimeout(), "", "w").type == "JobTimeout"
    assert describe(CLAIM, Retry(), "", "w").type == "Retry"
    strange = describe(CLAIM, Shouting(), "", "w")
    assert strange.type == f"{__name__}.Shouting"
    assert strange.message == "(no message: str() of the error raised RuntimeError)"
    assert "Shouting" in trace_of(Shouting())


def test_the_attempt_people_see_counts_failures_and_crashes() -> None:
    assert (claimed().attempt, claimed(failures=1, crashes=2, starts=9, snoozes=5).attempt) == (1, 4)
    assert (claimed().suspect, claimed(crashes=1).suspect) == (False, True)
