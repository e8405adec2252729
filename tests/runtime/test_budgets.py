"""Retry budgets: what fails in masses is retried in portions."""

from __future__ import annotations

from typing import Any

import pytest

from stoker import RetryBudget, State, fixed
from stoker.errors import DefinitionError
from tests.rigs.worker import Rig

MINUTE = 60_000_000


async def test_retries_beyond_the_budget_are_put_off_and_none_is_lost(rig: Rig) -> None:
    @rig.app.job(backoff=fixed("1s"), retry_budget=RetryBudget(2, per="1m"))
    async def fails(n: int) -> None:
        raise ConnectionError

    jobs = [fails.enqueue(n) for n in range(6)]
    async with rig.working():
        await rig.settle_down()

    delays = sorted(round((rig.find(job.id).run_at - rig.clock.now()) / MINUTE) for job in jobs)
    assert delays == [0, 0, 1, 1, 2, 2]
    assert {rig.state(job.id) for job in jobs} == {State.RETRYABLE}


async def test_a_longer_backoff_stays_as_it_is(rig: Rig) -> None:
    @rig.app.job(backoff=fixed("1h"), retry_budget=RetryBudget(1, per="1m"))
    async def fails(n: int) -> None:
        raise ConnectionError

    jobs = [fails.enqueue(n) for n in range(3)]
    async with rig.working():
        await rig.settle_down()

    assert all(rig.find(job.id).run_at - rig.clock.now() >= 59 * MINUTE for job in jobs)


@pytest.mark.parametrize(
    ("retries", "per", "complaint"),
    [
        (0, "1m", "retries=0: write an integer"),
        (1, 0, "per=0: write a duration above 0"),
        (1, "x", "is not a duration"),
    ],
)
def test_wrong_terms_are_definition_errors(retries: int, per: Any, complaint: str) -> None:
    with pytest.raises(DefinitionError, match=complaint):
        RetryBudget(retries, per=per)
