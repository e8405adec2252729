"""A clock that jumps, a worker's or its store's, makes all leases look over; no job is taken back for that."""

from __future__ import annotations

from typing import Any

import pytest

from stoker import State
from stoker.core.command import Command
from stoker.core.job import new_token
from stoker.runtime.maintenance import Maintenance
from stoker.testing.fake_clock import FakeClock
from tests.rigs.worker import Rig


async def test_a_clock_that_jumps_forward_takes_no_job_back_for_one_lease(rig: Rig) -> None:
    store, clock = rig.store, rig.clock

    @rig.app.job
    async def job() -> None: ...

    handle = job.enqueue()
    maintenance = Maintenance(store, "me", clock, rig.app.events, lease=30_000_000)
    store.run(store.claim({"default": 1}, ["job"], [""], new_token(), "other", 30_000_000))
    clock.jump("10m")
    await maintenance.reclaim()
    assert rig.state(handle.id) is State.RUNNING
    clock.advance("31s")
    await maintenance.reclaim()
    assert rig.state(handle.id) is State.AVAILABLE


async def test_a_store_whose_clock_jumps_forward_has_no_job_taken_back_for_one_lease(rig: Rig) -> None:
    store, servers, ours = rig.store, rig.clock, FakeClock()

    @rig.app.job
    async def job() -> None: ...

    def both_advance(seconds: int) -> None:
        servers.advance(seconds)
        ours.advance(seconds)

    handle = job.enqueue()
    maintenance = Maintenance(store, "me", ours, rig.app.events, lease=30_000_000)
    await maintenance.reclaim()
    store.run(store.claim({"default": 1}, ["job"], [""], new_token(), "other", 30_000_000))
    both_advance(5)
    servers.jump("10m")
    for _ in range(5):
        await maintenance.reclaim()
        assert rig.state(handle.id) is State.RUNNING
        both_advance(5)
    both_advance(6)
    await maintenance.reclaim()
    assert rig.state(handle.id) is State.AVAILABLE


async def test_a_store_that_answers_late_has_no_other_time_for_that(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    store, servers, ours = rig.store, rig.clock, FakeClock()

    @rig.app.job
    async def job() -> None: ...

    async def late(command: Command[Any]) -> Any:
        answer = store.run(command)
        if command.name == "claim":
            servers.advance(20)
            ours.advance(20)
        return answer

    handle = job.enqueue()
    maintenance = Maintenance(store, "me", ours, rig.app.events, lease=30_000_000)
    await maintenance.reclaim()
    store.run(store.claim({"default": 1}, ["job"], [""], new_token(), "other", 1_000_000))
    monkeypatch.setattr(store, "arun", late)
    await maintenance.reclaim()
    assert rig.state(handle.id) is State.AVAILABLE
