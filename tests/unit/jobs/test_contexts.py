"""What a handler may know of its attempt, and what it may raise."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from stoker.core.job import Claim, JobId, NewJob, Token
from stoker.errors import ConfigurationError, StokerError
from stoker.jobs.context import Context, Flag
from stoker.jobs.middleware import Middleware
from stoker.jobs.signals import Cancel, Discard, Retry, Snooze
from tests.unit.jobs.rig import Jobs

CLAIM = Claim(
    JobId("7"),
    Token("t"),
    "mail",
    "slow",
    "{}",
    max_attempts=5,
    failures=1,
    crashes=1,
    meta='{"tenant":"x","n":[1]}',
)


def test_a_context_tells_which_job_and_attempt_this_is() -> None:
    deadline = datetime(2026, 11, 3, tzinfo=UTC)
    context: Context[str] = Context(CLAIM, "state", deadline=deadline)

    assert (context.id, context.name, context.queue, context.state) == ("7", "mail", "slow", "state")
    assert (context.attempt, context.max_attempts, context.deadline) == (3, 5, deadline)
    assert context.meta == {"tenant": "x", "n": [1]}
    assert repr(context) == "<Context of mail 7, attempt 3/5>"


def test_its_flags_are_live() -> None:
    cancelled, stopping = Flag(), Flag()
    context: Context[None] = Context(CLAIM, None, cancelled=cancelled, stopping=stopping)
    assert (context.cancelled, context.stopping) == (False, False)

    cancelled.up = True
    assert (context.cancelled, context.stopping) == (True, False)

    stopping.up = True
    assert (context.cancelled, context.stopping) == (True, True)


def test_its_log_carries_the_job(caplog: pytest.LogCaptureFixture) -> None:
    context: Context[None] = Context(CLAIM, None)
    with caplog.at_level(logging.INFO, logger="stoker.job"):
        context.log.info("sent to %s", "Ada", extra={"user": 3})

    (record,) = caplog.records
    assert record.getMessage() == "sent to Ada"
    fields = {name: vars(record)[name] for name in ("job_id", "job_name", "queue", "attempt", "user")}
    assert fields == {"job_id": "7", "job_name": "mail", "queue": "slow", "attempt": 3, "user": 3}


def test_a_job_that_is_called_directly_has_a_context_without_state(app: Jobs) -> None:
    @app.job
    def where(ctx: Context[str], key: str) -> str:
        return f"{ctx.id} {ctx.attempt} {key} {ctx.state}"

    with pytest.raises(StokerError, match="where: called directly, so there is no application state"):
        where("x")
    given: Context[str] = Context(CLAIM, "given")
    assert where(given, "x") == "7 3 x given"  # type: ignore[call-arg,arg-type]


def test_signals_keep_delays_in_microseconds_and_reasons_as_text() -> None:
    assert (Retry().delay, Retry("5m", "busy").delay, Retry(reason="busy").reason) == (None, 300_000_000, "busy")
    assert Snooze(timedelta(seconds=1)).delay == 1_000_000
    assert (Cancel("gone").reason, str(Discard("bad"))) == ("gone", "bad")
    assert (Cancel().reason, Discard().reason) == ("cancelled by its handler", "discarded by its handler")
    with pytest.raises(ConfigurationError, match=r"Snooze\(delay\): 'soon' is not a duration"):
        Snooze("soon")


async def test_middleware_that_overrides_nothing_changes_nothing() -> None:
    job = NewJob("mail", "{}")

    async def call_next() -> object:
        return 42

    assert Middleware().enqueue(job) is job
    assert await Middleware().perform(Context(CLAIM, None), call_next) == 42
