"""How a worker lives: what it claims, whom it serves first, how it stops, and what it does when the store fails it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import pytest

from stoker import Context, State, fixed
from stoker.app.working import run_until_signal
from stoker.core.filters import Filter
from stoker.core.job import NewJob, new_call, new_token
from stoker.core.settlement import Settlement
from stoker.errors import ConfigurationError, StoreUnavailable
from stoker.runtime.loop import sleep
from stoker.telemetry.events import (
    AttemptEnded,
    JobOverdue,
    LeaseLost,
    SettleRefused,
    StoreBack,
    StoreFailed,
    WorkerStarted,
    WorkerStopped,
)
from tests.rigs.worker import Rig


def gate(rig: Rig, **options: Any) -> tuple[Any, asyncio.Event, list[int]]:
    """Define a job that waits for an event."""
    opened, started = asyncio.Event(), list[int]()

    @rig.app.job(**options)
    async def waits(n: int) -> int:
        started.append(n)
        await opened.wait()
        return n

    return waits, opened, started


async def test_higher_priorities_run_first_and_equal_ones_in_order(rig: Rig) -> None:
    order: list[int] = []

    @rig.app.job
    async def note(n: int) -> None:
        order.append(n)

    for n, priority in enumerate((0, 5, 0, 9, 5)):
        note.using(priority=priority).enqueue(n)
    async with rig.working(concurrency=1):
        await rig.settle_down()
    assert order == [3, 1, 4, 0, 2]


async def test_no_more_jobs_run_at_once_than_there_are_slots(rig: Rig) -> None:
    waits, opened, started = gate(rig)
    rig.app.enqueue_many([waits.draft(n) for n in range(10)])
    async with rig.working(concurrency=3):
        await rig.settle_down()
        assert len(started) == 3
        opened.set()
        await rig.settle_down()
    assert sorted(started) == list(range(10))


async def test_a_thousand_slots_fill_without_time_passing(rig: Rig) -> None:
    waits, opened, started = gate(rig)
    rig.app.enqueue_many([waits.draft(n) for n in range(1000)])
    async with rig.working(concurrency=1000):
        await rig.settle_down()
        assert len(started) == 1000
        opened.set()


async def test_a_queue_with_its_own_slots_is_not_held_up_by_the_shared_ones(rig: Rig) -> None:
    waits, opened, started = gate(rig)

    @rig.app.job(queue="mail")
    async def mail(n: int) -> int:
        started.append(n)
        return n

    rig.app.enqueue_many([waits.draft(n) for n in range(5)])
    async with rig.working(queues=("default", "mail:1"), concurrency=2):
        await rig.settle_down()
        mail.enqueue(99)
        await rig.settle_down()
        assert 99 in started
        opened.set()


async def test_a_worker_leaves_alone_what_it_has_no_handler_for(rig: Rig) -> None:
    @rig.app.job
    async def known() -> None: ...

    (unknown,) = rig.store.run(rig.store.enqueue([NewJob("unknown", "{}")], new_call()))
    handle = known.enqueue()
    async with rig.working():
        await rig.settle_down()
    assert rig.state(handle.id) is State.COMPLETED
    job = rig.find(unknown.id)
    assert (job.state, job.starts) == (State.AVAILABLE, 0)


async def test_an_alias_performs_jobs_stored_under_the_old_name(rig: Rig) -> None:
    @rig.app.job(aliases=["old"])
    async def new() -> str:
        return "done"

    (old,) = rig.store.run(rig.store.enqueue([NewJob("old", "{}")], new_call()))
    async with rig.working():
        await rig.settle_down()
    assert rig.state(old.id) is State.COMPLETED


async def test_until_empty_ends_when_nothing_can_be_performed_and_leaves_the_future_alone(rig: Rig) -> None:
    done: list[int] = []

    @rig.app.job
    async def note(n: int) -> None:
        done.append(n)

    rig.app.enqueue_many([note.draft(n) for n in range(50)])
    later = note.using(delay="1h").enqueue(99)
    rig.store.run(rig.store.enqueue([NewJob("unknown", "{}")], new_call()))
    worker = rig.make()
    await rig.drive(asyncio.ensure_future(worker.run(until_empty=True)))
    assert sorted(done) == list(range(50))
    assert rig.state(later.id) is State.SCHEDULED


async def test_until_empty_waits_for_jobs_that_run_elsewhere(rig: Rig) -> None:
    @rig.app.job
    async def note(n: int) -> None: ...

    handle = note.enqueue(1)
    store = rig.store
    elsewhere = new_token()
    store.run(store.claim({"default": 1}, ["note"], [""], elsewhere, "other", 3_600_000_000))
    running = asyncio.ensure_future(rig.make().run(until_empty=True))
    for _ in range(20):
        rig.clock.advance(0.2)
        await rig.settle_down()
    assert not running.done()
    store.run(store.settle([Settlement(handle.id, elsewhere, State.COMPLETED, keep=0)]))
    await rig.drive(running)


async def test_stopping_gives_back_what_waits_for_a_slot_and_what_outlives_the_grace_uncounted(rig: Rig) -> None:
    waits, _, started = gate(rig)
    handles = [waits.enqueue(n) for n in range(4)]
    async with rig.working(concurrency=2, grace=5.0):
        await rig.settle_down()
        assert started == [0, 1]
    for handle in handles:
        job = rig.find(handle.id)
        assert (job.state, job.failures, job.crashes) == (State.AVAILABLE, 0, 0)
    assert rig.seen(WorkerStopped)


async def test_stopping_waits_for_running_jobs_within_the_grace(rig: Rig) -> None:
    waits, opened, _ = gate(rig)
    handle = waits.enqueue(1)
    worker = rig.make(grace=60.0)
    running = asyncio.ensure_future(worker.run())
    await rig.settle_down()
    worker.stop()
    await rig.pass_time(30)
    assert not running.done()
    opened.set()
    await rig.drive(running)
    assert rig.state(handle.id) is State.COMPLETED


async def test_a_stopping_worker_claims_no_more(rig: Rig) -> None:
    waits, opened, started = gate(rig)
    waits.enqueue(1)
    worker = rig.make(grace=60.0)
    running = asyncio.ensure_future(worker.run())
    await rig.settle_down()
    worker.stop()
    await rig.settle_down()
    waits.enqueue(2)
    await rig.pass_time(5)
    opened.set()
    await rig.drive(running)
    assert started == [1]


async def test_a_handler_sees_that_the_worker_stops(rig: Rig) -> None:

    seen = asyncio.Event()

    @rig.app.job
    async def watches(ctx: Context[None]) -> str:
        while not ctx.stopping:  # noqa: ASYNC110 this is how a handler looks at it
            await asyncio.sleep(0)
        seen.set()
        return "saved"

    handle = watches.enqueue()
    async with rig.working():
        await rig.settle_down()
    assert seen.is_set()
    assert rig.state(handle.id) is State.COMPLETED


async def test_a_running_job_is_cancelled_by_the_next_heartbeat(rig: Rig) -> None:
    waits, _, _ = gate(rig)
    handle = waits.enqueue(1)
    async with rig.working():
        await rig.settle_down()
        assert await handle.acancel() is State.RUNNING
        await rig.pass_time(2)
        assert rig.state(handle.id) is State.CANCELLED


async def test_a_lost_lease_stops_the_attempt_and_its_ending_is_not_reported_as_one(rig: Rig) -> None:
    waits, _, _ = gate(rig)
    handle = waits.enqueue(1)
    async with rig.working():
        await rig.settle_down()
        rig.store.run(rig.store.requeue(Filter(ids=(handle.id,)), 1, force=True))
        rig.store.run(rig.store.pause("queue", ["default"], True))
        await rig.pass_time(2)
        assert rig.seen(LeaseLost)
        assert rig.seen(SettleRefused)
        assert not rig.seen(AttemptEnded)
        assert rig.state(handle.id) is State.AVAILABLE


async def test_a_frozen_worker_that_wakes_up_after_its_lease_reports_nothing_but_the_lost_claim(rig: Rig) -> None:
    waits, opened, _ = gate(rig)
    handle = waits.enqueue(1)
    async with rig.working() as worker:
        await rig.settle_down()
        rig.clock.advance("31s")  # nobody extended meanwhile: as if the process had been stopped
        rig.store.run(rig.store.reclaim(10))
        rig.store.run(rig.store.pause("queue", ["default"], True))
        opened.set()
        await rig.settle_down()
        worker.keeper.tick()
        await rig.settle_down()
        assert rig.seen(SettleRefused)
        assert not rig.seen(AttemptEnded)
    assert rig.find(handle.id).crashes == 1


async def test_one_suspect_runs_at_a_time_and_its_neighbours_meanwhile(rig: Rig) -> None:
    waits, opened, started = gate(rig)
    store = rig.store
    suspects = [waits.enqueue(n) for n in range(3)]
    store.run(store.claim({"default": 9}, ["waits"], [""], new_token(), "dead", 1_000_000))
    rig.clock.advance(2)
    store.run(store.reclaim(10))
    assert {rig.find(handle.id).crashes for handle in suspects} == {1}
    innocent = waits.enqueue(10)
    async with rig.working(concurrency=10):
        await rig.settle_down()
        assert sorted(started) == [0, 10]
        opened.set()
        await rig.settle_down()
        assert sorted(started) == [0, 1, 2, 10]
    assert rig.state(innocent.id) is State.COMPLETED


async def test_claims_that_found_no_slot_go_back_after_a_second(rig: Rig) -> None:
    waits, opened, started = gate(rig)
    quick_done: list[int] = []

    @rig.app.job
    async def quick(n: int) -> None:
        quick_done.append(n)

    rig.app.enqueue_many([quick.draft(n) for n in range(300)])
    worker = rig.make(concurrency=1)
    running = asyncio.ensure_future(worker.run())
    for _ in range(20):
        rig.clock.advance(0.002)  # a busy rate, so that the worker fetches ahead
        await rig.settle_down()
    rig.app.enqueue_many([waits.draft(n) for n in range(50)])
    await rig.settle_down()
    held = rig.store.run(rig.store.find(Filter(states=(State.RUNNING,)), 100))
    assert len(held) > 1
    await rig.pass_time(3)
    held = rig.store.run(rig.store.find(Filter(states=(State.RUNNING,)), 100))
    assert len(held) <= 2
    opened.set()
    worker.stop()
    await rig.drive(running)
    assert started


async def test_a_store_that_fails_is_asked_again_and_nothing_is_lost(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    @rig.app.job
    async def job(n: int) -> int:
        return n

    failing = {"claim": 3, "settle": 3}
    arun = rig.store.arun

    async def flaky(command: Any, on: object = None) -> Any:
        if failing.get(command.name, 0):
            failing[command.name] -= 1
            raise StoreUnavailable("no route", verb=command.name)
        return await arun(command, on)

    monkeypatch.setattr(rig.store, "arun", flaky)
    handles = [job.enqueue(n) for n in range(5)]
    async with rig.working():
        await rig.pass_time(10, step=0.1)
    assert {rig.state(handle.id) for handle in handles} == {State.COMPLETED}
    assert len(rig.seen(StoreFailed)) == 6
    assert {event.verb for event in rig.seen(StoreBack)} == {"claim", "settle"}


async def test_a_claim_under_way_when_the_worker_stops_goes_back_uncounted(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    @rig.app.job
    async def job() -> None: ...

    handle = job.enqueue()
    asked, answer = asyncio.Event(), asyncio.Event()
    arun = rig.store.arun

    async def slow(command: Any, on: object = None) -> Any:
        result = await arun(command, on)
        if command.name == "claim" and result.claims:
            asked.set()
            await answer.wait()
        return result

    monkeypatch.setattr(rig.store, "arun", slow)
    worker = rig.make()
    running = asyncio.ensure_future(worker.run())
    await asked.wait()
    worker.stop()
    await rig.settle_down()
    answer.set()
    await rig.drive(running)
    job_now = rig.find(handle.id)
    assert (job_now.state, job_now.crashes) == (State.AVAILABLE, 0)


async def test_a_worker_announces_itself_and_leaves(rig: Rig) -> None:
    @rig.app.job
    async def job() -> None: ...

    async with rig.working() as worker:
        worker.keeper.tick()
        (info,) = rig.store.run(rig.store.workers())
        assert info.names == ("job",)
        assert rig.seen(WorkerStarted)
    assert rig.store.run(rig.store.workers()) == []


async def test_a_worker_without_any_job_is_refused(rig: Rig) -> None:
    with pytest.raises(ConfigurationError, match="imports"):
        rig.make()


@pytest.mark.parametrize("choice", [{"queues": ("mail:x",)}, {"names": ("nobody",)}, {"exclude_names": ("job",)}])
async def test_a_choice_that_cannot_be_served_is_refused(rig: Rig, choice: dict[str, Any]) -> None:
    @rig.app.job
    async def job() -> None: ...

    with pytest.raises(ConfigurationError):
        rig.make(**choice)


async def test_a_blocked_loop_keeps_its_leases_until_it_counts_as_stuck(rig: Rig) -> None:
    from stoker.runtime.keeper import Keeper
    from stoker.runtime.leases import Leases
    from stoker.runtime.notes import Notes
    from stoker.telemetry.events import LoopStuck

    store, clock = rig.store, rig.clock

    @rig.app.job
    async def job() -> None: ...

    job.enqueue()
    token = new_token()
    claimed = store.run(store.claim({"default": 1}, ["job"], [""], token, "me", 30_000_000))
    leases = Leases()
    leases.take(token, claimed.claims, clock.monotonic())
    keeper = Keeper(
        store,
        leases,
        clock,
        rig.app.events,
        lease=30_000_000,
        interval=10,
        stuck_after=60,
        deliver=lambda extended: None,
        notes=Notes(store, clock, rig.app.events),
        beat=lambda: None,
    )
    for _ in range(6):  # no event loop turns here, as when a handler blocks it
        clock.advance("10s")
        keeper.tick()
        assert not store.run(store.reclaim(10)).available
    for _ in range(4):
        clock.advance("10s")
        keeper.tick()
    assert len(rig.seen(LoopStuck)) == 1
    assert store.run(store.reclaim(10)).available


async def test_the_keeper_is_a_thread_of_its_own(rig: Rig) -> None:
    @rig.app.job
    async def job() -> None: ...

    async with rig.working():
        assert "stoker-keeper" in {thread.name for thread in threading.enumerate()}


async def test_retries_of_jobs_that_failed_together_are_spread(rig: Rig) -> None:
    @rig.app.job(backoff=fixed("100s"))
    async def fails(n: int) -> None:
        raise ValueError(n)

    handles = [fails.enqueue(n) for n in range(20)]
    async with rig.working():
        await rig.settle_down()
    times = {rig.find(handle.id).run_at for handle in handles}
    assert len(times) > 10
    assert max(times) - min(times) <= 10_000_000


def test_operations_replay_finished_jobs_as_new_ones_linked_to_the_old(rig: Rig) -> None:
    @rig.app.job
    async def job(n: int) -> None: ...

    handle = job.enqueue(1)
    operations = rig.app.operations()
    operations.cancel(Filter(ids=(handle.id,)))
    (again,) = operations.replay(Filter(ids=(handle.id,)))
    copy = rig.find(again)
    assert (copy.origin, copy.args, copy.state) == (handle.id, '{"n":1}', State.AVAILABLE)
    assert msgspec.json.decode(copy.args) == {"n": 1}


async def test_suspects_that_wait_behind_a_long_one_leave_their_slots_to_others(rig: Rig) -> None:
    waits, opened, started = gate(rig)

    @rig.app.job(queue="mail")
    async def healthy(n: int) -> int:
        return n

    store = rig.store
    suspects = [waits.enqueue(n) for n in range(20)]
    store.run(store.claim({"default": 20}, ["waits"], [""], new_token(), "dead", 1_000_000))
    rig.clock.advance(2)
    store.run(store.reclaim(10))
    async with rig.working(concurrency=4):
        await rig.settle_down()
        assert len(store.run(store.find(Filter(states=(State.RUNNING,)), 100))) <= 4
        handle = healthy.enqueue(1)
        await rig.pass_time(3)
        assert rig.state(handle.id) is State.COMPLETED
        assert started == [0]
        opened.set()
        await rig.pass_time(30)
    assert {rig.state(suspect.id) for suspect in suspects} == {State.COMPLETED}
    assert {rig.find(suspect.id).crashes for suspect in suspects} == {1}


async def test_an_ending_that_cannot_be_stored_costs_neither_the_others_nor_the_worker(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    @rig.app.job
    async def job(n: int) -> int:
        return n

    handles = [job.enqueue(n) for n in range(5)]
    settle = rig.store.settle

    def choosy(settlements: Any) -> Any:
        if any(settlement.id == handles[2].id for settlement in settlements):
            raise UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed")
        return settle(settlements)

    monkeypatch.setattr(rig.store, "settle", choosy)
    async with rig.working():
        await rig.pass_time(1)
    states = [rig.state(handle.id) for handle in handles]
    assert states.count(State.COMPLETED) == 4
    assert states[2] is State.RUNNING
    rig.clock.advance("31s")
    assert rig.store.run(rig.store.reclaim(10)).available == (handles[2].id,)


def crash(rig: Rig, jobs: int) -> None:
    """Let a worker die that held so many jobs of the name `waits`."""
    store = rig.store
    store.run(store.claim({"default": jobs}, ["waits"], [""], new_token(), "dead", 1_000_000))
    rig.clock.advance(2)
    store.run(store.reclaim(10))


async def test_a_suspect_taken_out_on_its_way_to_a_slot_does_not_strand_those_behind_it(rig: Rig) -> None:
    waits, opened, started = gate(rig)
    suspects = [waits.enqueue(n) for n in range(6)]
    crash(rig, 6)
    async with rig.working(concurrency=6) as worker:
        await rig.settle_down()
        assert started == [0]
        (pool,) = worker.pools
        add, lost = pool.add, []

        def lose_one(claims: list[Any]) -> None:
            pool.add = add  # type: ignore[method-assign]
            lost.extend(claims)

        pool.add = lose_one  # type: ignore[method-assign]
        opened.set()
        await rig.pass_time(2)
        assert len(lost) == 1
        assert sum(rig.state(suspect.id) is State.COMPLETED for suspect in suspects) == 5


async def test_a_suspect_that_waits_for_its_turn_can_be_cancelled(rig: Rig) -> None:
    waits, opened, started = gate(rig)
    suspects = [waits.enqueue(n) for n in range(3)]
    crash(rig, 3)
    async with rig.working(concurrency=5):
        await rig.settle_down()
        suspects[1].cancel()
        await rig.pass_time(0.5)
        assert rig.state(suspects[1].id) is State.CANCELLED
        opened.set()
        await rig.pass_time(15)
    assert started == [0, 2]


async def test_a_suspect_whose_lease_is_lost_while_it_waits_is_not_performed(rig: Rig) -> None:
    waits, opened, started = gate(rig)
    suspects = [waits.enqueue(n) for n in range(3)]
    crash(rig, 3)
    async with rig.working(concurrency=5):
        await rig.settle_down()
        rig.store.run(rig.store.pause("queue", ["default"], True))
        rig.store.run(rig.store.requeue(Filter(ids=tuple(s.id for s in suspects)), 10, force=True))
        await rig.pass_time(0.5)
        opened.set()
        await rig.pass_time(15)
    assert started == [0]


async def test_a_worker_that_is_cancelled_gives_back_what_it_runs(rig: Rig) -> None:
    waits, _, _ = gate(rig)
    handle = waits.enqueue(1)
    running = asyncio.ensure_future(rig.make().run())
    await rig.settle_down()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rig.drive(running)
    job = rig.find(handle.id)
    assert (job.state, job.failures, job.crashes) == (State.AVAILABLE, 0, 0)


async def test_the_jobs_of_many_silent_workers_are_taken_back_at_once(rig: Rig) -> None:
    waits, _, _ = gate(rig)
    handles = rig.app.enqueue_many([waits.draft(n) for n in range(250)])
    for _ in handles:
        rig.store.run(rig.store.claim({"default": 1}, ["waits"], [""], new_token(), "dead", 1))
    rig.clock.advance(1)
    rig.store.run(rig.store.pause("queue", ["default"], True))
    async with rig.working():
        assert {rig.state(handle.id) for handle in handles} == {State.AVAILABLE}


async def test_a_lost_attempt_and_the_next_one_of_the_same_job_are_told_apart(rig: Rig) -> None:
    waits, _, _ = gate(rig)
    waits.enqueue(1)
    store, settler = rig.store, rig.make()._settler
    for state in (State.AVAILABLE, State.COMPLETED):
        (claim,) = store.run(store.claim({"default": 1}, ["waits"], [""], new_token(), "one", 1)).claims
        settler.add(claim, Settlement(claim.id, claim.token, state))
        if state is State.AVAILABLE:
            rig.clock.advance(1)
            store.run(store.reclaim(10))
    sending = asyncio.ensure_future(settler.run())
    await settler.flush()
    sending.cancel()
    assert [event.settlement.state for event in rig.seen(SettleRefused)] == [State.AVAILABLE]
    assert [event.settlement.state for event in rig.seen(AttemptEnded)] == [State.COMPLETED]


async def test_a_worker_that_fails_stops_the_others_of_its_process_in_order(rig: Rig) -> None:
    waits, opened, started = gate(rig)
    handle = waits.enqueue(1)
    well, broken = rig.make(grace=60.0), rig.make()
    broken.run = _fails_after(rig, 1.0)  # type: ignore[method-assign]
    running = asyncio.ensure_future(run_until_signal([broken, well], until_empty=False))
    await rig.settle_down()
    assert started == [1]
    await rig.pass_time(5)
    assert not running.done()
    opened.set()
    with pytest.raises(RuntimeError, match="broken"):
        await rig.drive(running)
    assert rig.state(handle.id) is State.COMPLETED


def _fails_after(rig: Rig, seconds: float) -> Any:
    async def run(*, until_empty: bool) -> None:
        await sleep(rig.clock, seconds)
        raise RuntimeError("broken")

    return run


async def test_until_empty_waits_for_suspects_behind_one_that_takes_long(rig: Rig) -> None:
    waits, opened, started = gate(rig)
    suspects = [waits.enqueue(n) for n in range(3)]
    crash(rig, 3)
    running = asyncio.ensure_future(rig.make(concurrency=5).run(until_empty=True))
    await rig.settle_down()
    await rig.pass_time(5)
    assert not running.done()
    opened.set()
    await rig.drive(running)
    assert sorted(started) == [0, 1, 2]
    assert {rig.state(suspect.id) for suspect in suspects} == {State.COMPLETED}


async def test_the_last_word_of_a_worker_counts_what_it_gave_back_and_names_what_it_leaves_in_a_thread(
    rig: Rig,
) -> None:
    waits, _, started = gate(rig)
    let_go = threading.Event()

    @rig.app.job
    def stubborn() -> None:
        let_go.wait(10)

    waits.enqueue(1)
    left = stubborn.enqueue()
    async with rig.working(grace=1.0):
        await rig.until(lambda: started and rig.state(left.id) is State.RUNNING)
    (last,) = rig.seen(WorkerStopped)
    assert last.given_back == 1
    assert [event.claim.id for event in rig.seen(JobOverdue)] == [left.id]
    let_go.set()
