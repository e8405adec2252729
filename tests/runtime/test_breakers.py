"""Circuit breakers: names that keep failing wait, and one job at a time probes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stoker import Breaker, Discard, fixed
from stoker.core.job import Pause, State
from stoker.errors import DefinitionError
from stoker.telemetry.events import BreakerClosed, BreakerOpened
from tests.rigs.worker import Rig


def flaky(rig: Rig, **options: Any) -> tuple[Any, list[int], dict[str, bool]]:
    """Define a job that fails while its world is broken."""
    tried: list[int] = []
    world = {"broken": True}

    @rig.app.job(breaker=Breaker(3, within="1m", pause="30s"), backoff=fixed("1h"), **options)
    async def call(n: int) -> None:
        tried.append(n)
        if world["broken"]:
            raise ConnectionError("refused")

    return call, tried, world


def flaky_with(rig: Rig, breaker: Any) -> None:
    @rig.app.job(breaker=breaker)
    async def call() -> None: ...


def open_names(rig: Rig) -> list[Pause]:
    return [pause for pause in rig.store.run(rig.store.paused()) if pause.kind == "breaker"]


async def test_after_so_many_failures_the_others_of_the_name_wait(rig: Rig) -> None:
    call, tried, _ = flaky(rig)
    done: list[str] = []

    @rig.app.job
    async def other() -> None:
        done.append("other")

    rig.app.enqueue_many([call.draft(n) for n in range(10)])
    async with rig.working(concurrency=1):
        await rig.pass_time(5)
        other.enqueue()
        await rig.pass_time(5)

    assert tried == [0, 1, 2]
    assert done == ["other"]
    assert [event.name for event in rig.seen(BreakerOpened)] == ["call"]
    assert rig.app.operations().status().open_breakers == ("call",)


async def test_one_job_probes_after_each_pause_and_a_success_lets_all_run(rig: Rig) -> None:
    call, tried, world = flaky(rig)
    rig.app.enqueue_many([call.draft(n) for n in range(10)])
    async with rig.working(concurrency=1):
        await rig.pass_time(5)
        assert len(tried) == 3
        await rig.pass_time(30)
        assert tried == [0, 1, 2, 3]
        await rig.pass_time(20)
        assert len(tried) == 4
        world["broken"] = False
        await rig.pass_time(15)
        assert sorted(tried) == list(range(10))
    assert open_names(rig) == []
    assert [event.name for event in rig.seen(BreakerClosed)] == ["call"]


async def test_failures_that_lie_far_apart_open_nothing(rig: Rig) -> None:
    call, tried, _ = flaky(rig)
    async with rig.working(concurrency=1):
        for n in range(6):
            call.enqueue(n)
            await rig.pass_time(40, step=2)
    assert len(tried) == 6
    assert open_names(rig) == []


async def test_what_one_worker_opens_waits_for_the_others_and_one_of_them_probes(rig: Rig) -> None:
    call, tried, _ = flaky(rig)
    async with rig.working(concurrency=1), rig.working(concurrency=1):
        for n in range(5):
            call.enqueue(n)
        await rig.pass_time(8)
        before = len(tried)
        rig.app.enqueue_many([call.draft(n) for n in range(10, 30)])
        await rig.pass_time(15)
        assert len(tried) == before
        await rig.pass_time(20)
        assert len(tried) == before + 1


async def test_an_operator_closes_a_breaker_by_resuming_the_name(rig: Rig) -> None:
    call, tried, world = flaky(rig)
    rig.app.enqueue_many([call.draft(n) for n in range(6)])
    async with rig.working(concurrency=1):
        await rig.pass_time(5)
        world["broken"] = False
        assert rig.app.operations().resume("name", ["call"]) == 1
        await rig.pass_time(5)
    assert len(tried) == 6


async def test_jobs_that_wait_for_a_breaker_do_not_hold_up_the_end(rig: Rig) -> None:
    call, tried, _ = flaky(rig)
    rig.app.enqueue_many([call.draft(n) for n in range(6)])
    worker = rig.make(concurrency=1)
    await rig.drive(asyncio.ensure_future(worker.run(until_empty=True)))
    assert len(tried) == 3


async def test_a_snooze_or_a_discard_is_no_failure(rig: Rig) -> None:
    @rig.app.job(breaker=Breaker(1, within="1m"))
    async def call() -> None:
        raise Discard("nothing to do")

    job = call.enqueue()
    async with rig.working():
        await rig.pass_time(2)
    assert rig.state(job.id) is State.DISCARDED
    assert open_names(rig) == []


@pytest.mark.parametrize(
    ("terms", "complaint"),
    [
        ({"failures": 0, "within": "1m"}, "failures=0: write an integer of at least 1"),
        ({"failures": 3, "within": 0}, "within=0: write a duration above 0"),
        ({"failures": 3, "within": "soon"}, "is not a duration"),
        ({"failures": 3, "within": "1m", "pause": "0s"}, "pause='0s': write a duration above 0"),
    ],
)
def test_wrong_terms_are_definition_errors(terms: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DefinitionError, match=complaint):
        Breaker(**terms)


def test_something_else_is_no_breaker(rig: Rig) -> None:
    with pytest.raises(DefinitionError, match=r"breaker: 3: write Breaker\(failures=…, within=…\)"):
        flaky_with(rig, 3)
