"""What operators say of a name at run time, as workers take it."""

from __future__ import annotations

import asyncio

from stoker import Limit, fixed
from stoker.core.job import State
from stoker.core.override import Override, Rated
from tests.rigs.worker import Rig


def say(rig: Rig, name: str, override: Override | None) -> None:
    rig.app.operations().override(name, override, "ada")


async def test_a_limit_is_raised_and_taken_back_within_seconds(rig: Rig) -> None:
    begun: list[int] = []
    go_on = asyncio.Event()

    @rig.app.job(limit=1)
    async def step(number: int) -> None:
        begun.append(number)
        await go_on.wait()

    rig.app.enqueue_many([step.draft(number) for number in range(5)])
    async with rig.working():
        await rig.pass_time(1)
        assert len(begun) == 1
        say(rig, "step", Override(limits={"": 3}))
        await rig.pass_time(3)
        assert len(begun) == 3
        say(rig, "step", None)
        await rig.pass_time(3)
        assert len(begun) == 3
        go_on.set()


async def test_an_override_of_arguments_leaves_the_other_limits_alone(rig: Rig) -> None:
    begun: list[str] = []
    go_on = asyncio.Event()

    @rig.app.job(limit=[Limit(1, by="tenant"), Limit(3)])
    async def step(tenant: str) -> None:
        begun.append(tenant)
        await go_on.wait()

    say(rig, "step", Override(limits={"tenant": 2}))
    rig.app.enqueue_many([step.draft(tenant) for tenant in "aaabbb"])
    async with rig.working():
        await rig.pass_time(3)
        assert len(begun) == 3
        go_on.set()


async def test_a_timeout_holds_from_the_next_attempt_on(rig: Rig) -> None:
    @rig.app.job(max_attempts=1)
    async def sleepy() -> None:
        await asyncio.Event().wait()

    say(rig, "sleepy", Override(timeout=1_000_000))
    async with rig.working():
        await rig.pass_time(0.5)
        handle = sleepy.enqueue()
        await rig.pass_time(3)
        record = handle.fetch()
        assert (record.state, record.errors[0].type) == (State.DISCARDED, "JobTimeout")


async def test_fewer_attempts_end_a_job_sooner(rig: Rig) -> None:
    @rig.app.job(backoff=fixed("1s"))
    async def failing() -> None:
        raise ValueError("no")

    say(rig, "failing", Override(max_attempts=2))
    async with rig.working():
        await rig.pass_time(0.5)
        handle = failing.enqueue()
        await rig.pass_time(6)
        assert (handle.fetch().state, handle.fetch().failures) == (State.DISCARDED, 2)


async def test_a_rate_is_overridden(rig: Rig) -> None:
    from stoker import Rate

    begun: list[int] = []

    @rig.app.job(rate=Rate(1, per="1h"))
    async def call(number: int) -> None:
        begun.append(number)

    rig.app.enqueue_many([call.draft(number) for number in range(6)])
    async with rig.working():
        await rig.pass_time(1)
        assert begun == [0]
        say(rig, "call", Override(rates={"": Rated(10, 1_000_000)}))
        await rig.pass_time(6)
    assert len(begun) == 6
