"""A worker sees to the periodic jobs of its application."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from stoker import Context
from stoker.core.duration import as_datetime
from stoker.core.filters import Filter
from stoker.core.job import NewJob, StoredJob, WorkerInfo, new_call
from stoker.core.periodic import Entry, NewEntry
from stoker.errors import EnqueueError
from stoker.jobs.middleware import Middleware
from stoker.telemetry.events import EntriesRemoved, EntryFailed, EntryTicked
from tests.rigs.worker import Rig


def entries(rig: Rig) -> dict[str, Entry]:
    return {entry.name: entry for entry in rig.store.run(rig.store.entries()).entries}


def jobs(rig: Rig) -> list[StoredJob]:
    return rig.store.run(rig.store.find(Filter(), 1000))[::-1]


def other_worker(rig: Rig, *periodic: str, application: str | None = None) -> None:
    info = WorkerInfo(
        "other", "host", 1, 1, (), (), 1, application=application or rig.app.application, periodic=periodic
    )
    rig.store.run(rig.store.beat(info, 3_600_000_000))


async def test_each_tick_is_performed_once_and_knows_its_instant(rig: Rig) -> None:
    seen: list[datetime | None] = []

    @rig.app.periodic("*/10 * * * * *")
    @rig.app.job
    async def beat(ctx: Context) -> None:
        assert ctx.meta == {}
        seen.append(ctx.scheduled_at)

    start = as_datetime(rig.clock.now())
    async with rig.working():
        await rig.pass_time(35)

    assert seen == [start + timedelta(seconds=seconds) for seconds in (10, 20, 30)]


async def test_a_job_enqueued_by_hand_has_no_tick(rig: Rig) -> None:
    seen: list[datetime | None] = []

    @rig.app.job
    async def beat(ctx: Context) -> None:
        seen.append(ctx.scheduled_at)

    await beat.aenqueue()
    async with rig.working():
        await rig.pass_time(1)
    assert seen == [None]


async def test_a_failing_job_goes_on_firing(rig: Rig) -> None:
    @rig.app.periodic(every="10s")
    @rig.app.job(max_attempts=1)
    async def fail() -> None:
        raise ValueError

    async with rig.working():
        await rig.pass_time(41)
    assert len(jobs(rig)) == 4


async def test_an_entry_for_a_draft_carries_its_arguments_and_options(rig: Rig) -> None:
    @rig.app.job
    async def report(days: int) -> None: ...

    rig.app.periodic("every 10 seconds", report.using(queue="mail", priority=7, labels=["x"]).draft(7), name="weekly")
    rig.app.periodic(report.draft(days=1), every=10, name="daily", jitter="1h")
    async with rig.working(exclude_queues=("mail",)):
        await rig.pass_time(11)

    daily, weekly = sorted(jobs(rig), key=lambda job: job.args)
    assert (weekly.args, weekly.queue, weekly.priority, weekly.labels) == ('{"days":7}', "mail", 7, ("x",))
    assert daily.args == '{"days":1}'
    assert daily.state == "scheduled"


async def test_an_entry_that_is_paused_rests_and_one_that_is_removed_is_gone(rig: Rig) -> None:
    @rig.app.periodic(every="10s")
    @rig.app.job(keep="forever")
    async def beat() -> None: ...

    async with rig.working():
        await rig.pass_time(11)
        rig.store.run(rig.store.pause_entries(rig.app.application, ["beat"], True))
        await rig.pass_time(60)
        assert len(jobs(rig)) == 1
        rig.store.run(rig.store.pause_entries(rig.app.application, ["beat"], False))
        await rig.pass_time(20)
        assert 2 <= len(jobs(rig)) <= 3
        rig.store.run(rig.store.remove_entries([entries(rig)["beat"]]))
        await rig.pass_time(60)
        assert 2 <= len(jobs(rig)) <= 3


async def test_an_entry_that_is_added_while_workers_run_is_seen_to(rig: Rig) -> None:
    @rig.app.job
    async def beat() -> None: ...

    spec = '{"rhythm":{"every":10000000},"said":"every 10s","job":{"name":"beat","args":"{}"}}'
    async with rig.working():
        call = new_call()
        rig.store.run(rig.store.register(rig.app.application, [NewEntry("added", "r", spec)], False, call))
        await rig.pass_time(31)
    assert len(jobs(rig)) == 3

    async with rig.working():
        assert "added" in entries(rig)


async def test_an_entry_that_cannot_be_read_is_reported_once_and_hurts_no_other(rig: Rig) -> None:
    @rig.app.periodic(every="10s")
    @rig.app.job
    async def beat() -> None: ...

    rig.store.run(rig.store.register(rig.app.application, [NewEntry("strange", "", "{")], False, new_call()))
    async with rig.working():
        await rig.pass_time(41)

    assert [event.entry for event in rig.seen(EntryFailed)] == ["strange"]
    assert len(jobs(rig)) == 4


async def test_an_entry_that_cannot_be_enqueued_is_reported_once_and_hurts_no_other(rig: Rig) -> None:
    @rig.app.periodic(every="10s")
    @rig.app.job
    async def beat() -> None: ...

    spec = f'{{"rhythm":{{"every":5000000}},"said":"","job":{{"name":"beat","args":"[\\"{"x" * 17_000_000}\\"]"}}}}'
    rig.store.run(rig.store.register(rig.app.application, [NewEntry("huge", "", spec)], False, new_call()))
    async with rig.working():
        await rig.pass_time(41)

    assert [event.entry for event in rig.seen(EntryFailed)] == ["huge"]
    assert "16777216" in rig.seen(EntryFailed)[0].reason
    assert len(jobs(rig)) == 4


async def test_what_nobody_declares_any_more_is_removed_at_start(rig: Rig) -> None:
    app = rig.app.application
    rig.store.run(rig.store.register(app, [NewEntry("old", "", ""), NewEntry("theirs", "", "")], True, new_call()))
    rig.store.run(rig.store.register(app, [NewEntry("added", "", "{")], False, new_call()))
    rig.store.run(rig.store.register("bank", [NewEntry("old", "", "")], True, new_call()))
    other_worker(rig, "theirs")

    @rig.app.job
    async def work() -> None: ...

    async with rig.working():
        pass
    assert {(entry.application, entry.name) for entry in rig.store.run(rig.store.entries()).entries} == {
        (app, "theirs"),
        (app, "added"),
        ("bank", "old"),
    }
    assert rig.seen(EntriesRemoved) == [EntriesRemoved(app, ("old",))]


async def test_the_entries_of_another_application_are_left_alone_whatever_its_workers_do(rig: Rig) -> None:
    spec = '{"rhythm":{"every":1000000},"said":"every 1s","job":{"name":"work","args":"{}"}}'
    rig.store.run(rig.store.register("bank", [NewEntry("theirs", "", spec)], True, new_call()))
    rig.store.run(rig.store.register("bank", [NewEntry("added", "", spec)], False, new_call()))

    @rig.app.job
    async def work() -> None: ...

    async with rig.working():
        await rig.pass_time(20)
    assert jobs(rig) == []
    assert len(entries(rig)) == 2


async def test_stale_entries_stay_where_they_are_removed_by_hand() -> None:
    rig = Rig(scheduler={"stale": "manual"})
    rig.store.run(rig.store.register(rig.app.application, [NewEntry("old", "", "")], True, new_call()))

    @rig.app.job
    async def work() -> None: ...

    async with rig.working():
        pass
    assert "old" in entries(rig)


async def test_an_entry_may_run_when_the_application_starts(rig: Rig) -> None:
    @rig.app.periodic("@yearly", run_on_start=True)
    @rig.app.job
    async def warm_up() -> None: ...

    async with rig.working():
        await rig.pass_time(5)
        async with rig.working():
            await rig.pass_time(5)
    assert len(jobs(rig)) == 1
    async with rig.working():
        await rig.pass_time(5)
    assert len(jobs(rig)) == 2


async def test_an_entry_does_not_run_on_start_while_others_see_to_it(rig: Rig) -> None:
    @rig.app.periodic("@yearly", run_on_start=True)
    @rig.app.job
    async def warm_up() -> None: ...

    other_worker(rig, "warm_up")
    async with rig.working():
        await rig.pass_time(5)
    assert jobs(rig) == []


async def test_a_worker_may_leave_periodic_jobs_to_others(rig: Rig) -> None:
    @rig.app.periodic(every="1s")
    @rig.app.job
    async def beat() -> None: ...

    async with rig.working(periodic=False):
        await rig.pass_time(20)
    async with rig.working(until_empty=True):
        await rig.pass_time(5)
        assert not any(worker.application for worker in rig.store.run(rig.store.workers()))
    assert entries(rig) == {}
    assert jobs(rig) == []


async def test_what_was_missed_while_no_worker_ran_is_made_up_for_as_told(rig: Rig) -> None:
    @rig.app.job(keep="forever")
    async def beat(how: str) -> None: ...

    for how in ("skip", "once", "all"):
        rig.app.periodic("*/10 * * * *", beat.draft(how), name=how, missed=how)
    async with rig.working():
        pass
    rig.clock.advance("65m")
    async with rig.working():
        await rig.pass_time(5)

    made = [job.args for job in jobs(rig)]
    assert (made.count('{"how":"skip"}'), made.count('{"how":"once"}'), made.count('{"how":"all"}')) == (1, 1, 6)
    assert sorted(event.jobs for event in rig.seen(EntryTicked)) == [1, 1, 6]


async def test_middleware_may_change_or_veto_a_run(rig: Rig) -> None:
    class Layer(Middleware):
        def enqueue(self, job: NewJob) -> NewJob:
            if job.queue == "never":
                raise EnqueueError("not today")
            return msgspec.structs.replace(job, priority=9)

    rig.app.middleware = (Layer(),)

    @rig.app.job(keep="forever")
    async def beat() -> None: ...

    rig.app.periodic(beat.draft(), every="10s", name="often")
    rig.app.periodic(beat.using(queue="never").draft(), every="10s", name="never")
    async with rig.working():
        await rig.pass_time(11)
    assert [(job.queue, job.priority) for job in jobs(rig)] == [("default", 9)]
    assert [event.entry for event in rig.seen(EntryFailed)] == ["never"]
    assert entries(rig)["never"].last == entries(rig)["often"].last


async def test_clocks_that_step_back_repeat_nothing_and_steps_forward_are_missed_time(rig: Rig) -> None:
    @rig.app.periodic("*/10 * * * * *")
    @rig.app.job(keep="forever")
    async def beat() -> None: ...

    async with rig.working():
        await rig.pass_time(31)
        rig.clock._offset -= 25_000_000  # an administrator sets it back
        await rig.pass_time(26)
        assert len(jobs(rig)) == 3
        await rig.pass_time(10)
        assert len(jobs(rig)) == 4
        rig.clock.jump("1h")
        await rig.pass_time(15)
    ticks: list[Any] = [msgspec.json.decode(job.meta)["stoker/tick"] for job in jobs(rig)]
    assert ticks == sorted(set(ticks))
    assert len(ticks) in (5, 6)


async def test_an_entry_ends(rig: Rig) -> None:
    end = as_datetime(rig.clock.now()) + timedelta(seconds=25)

    @rig.app.periodic(every="10s", end=end)
    @rig.app.job(keep="forever")
    async def beat() -> None: ...

    async with rig.working():
        await rig.pass_time(60)
    assert len(jobs(rig)) == 2


@pytest.mark.parametrize("name", [None, "shop"])
def test_an_application_has_a_name(name: str | None) -> None:
    rig = Rig()
    rig.app.name = name
    assert rig.app.application == (name or "stoker:worker")
    assert as_datetime(0) == datetime(1970, 1, 1, tzinfo=UTC)


async def test_a_run_that_has_not_begun_when_the_next_is_due_expires_unless_told_otherwise(rig: Rig) -> None:
    @rig.app.job(keep="forever", keep_failed="forever")
    async def beat(how: str) -> None: ...

    later = beat.using(queue="later")
    rig.app.periodic(later.draft("usual"), every="10s", jitter="2s", name="usual")
    rig.app.periodic(later.using(expires="1h").draft("told"), every="10s", jitter="2s", name="told")
    rig.app.periodic(later.draft("all"), every="10s", jitter="2s", name="all", missed="all")
    async with rig.working():
        await rig.pass_time(31)
    before = sorted({(job.args, job.state.value) for job in jobs(rig)})
    async with rig.working(queues=("default", "later")):
        await rig.pass_time(5)

    assert ('{"how":"usual"}', "cancelled") in before
    assert {state for args, state in before if "usual" not in args} <= {"available", "scheduled"}
    ended = [(job.args, job.state.value) for job in jobs(rig)]
    assert ended.count(('{"how":"told"}', "completed")) >= 3
    assert ended.count(('{"how":"all"}', "completed")) >= 3
