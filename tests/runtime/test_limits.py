"""Limits and rates, as workers keep them."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from stoker import Limit, Rate
from stoker.core.job import State
from stoker.core.limits import Rule
from tests.rigs.worker import Rig


async def test_no_more_run_at_once_than_the_limit_says(rig: Rig) -> None:
    running: Counter[str] = Counter()
    peak: Counter[str] = Counter()

    @rig.app.job(limit=[Limit(2, by="tenant"), Limit(3)])
    async def send(tenant: str) -> None:
        for key in (tenant, "all"):
            running[key] += 1
            peak[key] = max(peak[key], running[key])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        running.subtract((tenant, "all"))

    rig.app.enqueue_many([send.draft(tenant) for tenant in "abc" * 5])
    async with rig.working():
        await rig.settle_down()
    assert (peak["a"] <= 2, peak["all"] <= 3) == (True, True)
    assert {row.state for row in rig.store.run(rig.store.count())} <= {State.COMPLETED}


async def test_a_job_that_ends_lets_the_next_one_in_at_once(rig: Rig) -> None:
    gates = [asyncio.Event() for _ in range(3)]
    begun: list[int] = []

    @rig.app.job(limit=1)
    async def step(number: int) -> None:
        begun.append(number)
        await gates[number].wait()

    for number in range(3):
        step.enqueue(number)
    async with rig.working():
        for number in range(3):
            await rig.pass_time(0.3)
            assert begun == list(range(number + 1))
            gates[number].set()


async def test_a_rate_lets_a_burst_in_and_then_one_after_the_other(rig: Rig) -> None:
    begun: list[float] = []

    @rig.app.job(rate=Rate(3, per="30s"))
    async def call(number: int) -> None:
        begun.append(rig.clock.monotonic())

    rig.app.enqueue_many([call.draft(number) for number in range(6)])
    async with rig.working():
        await rig.pass_time(5)
        assert len(begun) == 3
        await rig.pass_time(28)
        assert len(begun) in (5, 6)
        await rig.pass_time(12)
    assert len(begun) == 6
    assert begun[5] - begun[0] >= 29


async def test_a_limit_of_a_queue_holds_for_all_its_jobs(rig: Rig) -> None:
    rig.app.configure(arguments={"queue": {"queues": {"mail": {"limit": 1}}}})
    begun: list[str] = []
    go_on = asyncio.Event()

    @rig.app.job(queue="mail")
    async def one() -> None:
        begun.append("one")
        await go_on.wait()

    @rig.app.job(queue="mail")
    async def other() -> None:
        begun.append("other")

    one.enqueue()
    other.enqueue()
    async with rig.working():
        await rig.pass_time(0.5)
        assert begun == ["one"]
        go_on.set()
        await rig.pass_time(0.5)
        assert begun == ["one", "other"]


async def test_a_worker_says_anew_what_its_rules_are(rig: Rig) -> None:
    begun: list[int] = []
    go_on = asyncio.Event()

    @rig.app.job(limit=2)
    async def step(number: int) -> None:
        begun.append(number)
        await go_on.wait()

    rig.store.run(rig.store.define([Rule("job step limit", running=1)], replace=True))
    rig.app.enqueue_many([step.draft(number) for number in range(3)])
    async with rig.working():
        await rig.pass_time(0.5)
        assert begun == [0, 1]
        go_on.set()


async def test_a_worker_without_limits_admits_seldom(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    admitted: list[int] = []
    admit = rig.store.admit

    def counting(limit: int) -> object:
        admitted.append(limit)
        return admit(limit)

    monkeypatch.setattr(rig.store, "admit", counting)

    @rig.app.job
    async def plain() -> None: ...

    rig.app.enqueue_many([plain.draft() for _ in range(100)])
    async with rig.working():
        await rig.pass_time(10)
    assert len(admitted) <= 4
