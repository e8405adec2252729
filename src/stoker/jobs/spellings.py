"""What other systems call the options of a job: so that a refusal names ours."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

_ELSEWHERE: Final = {
    "autoretry_for": "retry_on",
    "available_at": "at",
    "countdown": "delay",
    "default_retry_delay": "backoff",
    "delay_until": "at",
    "dont_autoretry_for": "discard_on",
    "eta": "at",
    "failure_ttl": "keep_failed",
    "in": "delay",
    "job_timeout": "timeout",
    "max_age": "expires",
    "max_retries": "max_attempts",
    "min_backoff": "backoff",
    "perform_at": "at",
    "perform_in": "delay",
    "rate_limit": "rate",
    "result_ttl": "keep",
    "retries": "max_attempts",
    "retry": "max_attempts",
    "retry_backoff": "backoff",
    "retry_delay": "backoff",
    "retry_kwargs": "backoff",
    "run_at": "at",
    "schedule_at": "at",
    "schedule_in": "delay",
    "scheduled_at": "at",
    "soft_time_limit": "timeout",
    "throws": "discard_on",
    "time_limit": "timeout",
    "ttl": "expires",
    "unique_for": "unique",
    "unique_opts": "unique",
    "wait": "delay",
    "wait_until": "at",
}
"""By the word of Celery, RQ, arq, Dramatiq, Sidekiq, Oban or River."""


def advice(name: str, known: Collection[str]) -> str:
    """Say which option was probably meant, and which there are."""
    meant = _ELSEWHERE.get(name, name)
    near = [meant] if meant in known else get_close_matches(name, known, n=1)
    there = f"here are: {', '.join(known)}"
    return f"did you mean {near[0]!r}? T{there}" if near else f"t{there}"
