"""How long finished jobs stay: by a function that is shown the ending, and by number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from stoker import Discard, Ended, Middleware, NewJob, State, Stoker, Workflow
from stoker.core.filters import Filter
from stoker.errors import DefinitionError, EnqueueError, JobNotFound
from stoker.testing.fake_clock import FakeClock
from tests.rigs.worker import Rig


def ids(rig: Rig) -> Sequence[str]:
    return [job.id for job in rig.store.run(rig.store.find(Filter(), 1000))][::-1]


async def perform(rig: Rig) -> None:
    async with rig.working():
        await rig.pass_time(2)


async def test_a_function_decides_by_the_result_how_long_a_completed_job_is_kept(rig: Rig) -> None:
    shown: list[Ended] = []

    def while_large(ended: Ended) -> Any:
        shown.append(ended)
        return "7d" if ended.result > 10 else 0

    @rig.app.job(keep=while_large)
    async def double(n: int) -> int:
        return 2 * n

    small, large = double.enqueue(1), double.enqueue(100)
    await perform(rig)

    assert ids(rig) == [large.id]
    assert rig.find(large.id).keep == timedelta(days=7) / timedelta(microseconds=1)
    assert [(one.id, one.name, one.state, one.args, one.result, one.error, one.attempt) for one in shown] == [
        (small.id, "double", State.COMPLETED, {"n": 1}, 2, "", 1),
        (large.id, "double", State.COMPLETED, {"n": 100}, 200, "", 1),
    ]


async def test_a_function_decides_by_the_error_how_long_a_failed_job_is_kept(rig: Rig) -> None:
    @rig.app.job(max_attempts=1, keep_failed=lambda ended: "forever" if "ValueError" in ended.error else 0)
    async def fails(kind: str) -> None:
        if kind == "discard":
            raise Discard("not worth it")
        raise ValueError(kind)

    fails.enqueue("discard")
    kept = fails.enqueue("error")
    await perform(rig)

    assert ids(rig) == [kept.id]
    assert rig.find(kept.id).keep_failed is None


async def test_a_failure_that_is_retried_asks_no_function(rig: Rig) -> None:
    asked: list[Ended] = []

    def ask(ended: Ended) -> int:
        asked.append(ended)
        return 0

    @rig.app.job(max_attempts=2, keep_failed=ask)
    async def fails() -> None:
        raise ValueError

    job = fails.enqueue()
    await perform(rig)

    assert (rig.state(job.id), asked) == (State.RETRYABLE, [])


@pytest.mark.parametrize("wrong", [lambda ended: 1 / 0, lambda ended: "soon", lambda ended: -1])
async def test_a_function_that_fails_leaves_the_job_kept_as_the_settings_say(
    rig: Rig, wrong: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @rig.app.job(keep=wrong)
    async def work() -> None: ...

    job = work.enqueue()
    await perform(rig)

    assert rig.state(job.id) is State.COMPLETED
    assert rig.find(job.id).keep == timedelta(days=1) / timedelta(microseconds=1)
    assert "keep= failed; the job is kept as the settings say" in caplog.text


async def test_a_member_of_a_batch_is_kept_until_the_batch_knows_what_became_of_it(rig: Rig) -> None:
    @rig.app.job(keep=lambda ended: 0, keep_failed=lambda ended: 0, max_attempts=1)
    async def work(fails: bool) -> None:
        if fails:
            raise ValueError

    with rig.app.batch() as batch:
        batch.add(work.draft(False), work.draft(False), work.draft(True))
    async with rig.working():
        await rig.until(lambda: batch.progress().complete)

    assert (batch.progress().completed, batch.progress().discarded) == (2, 1)
    assert {job.keep for job in rig.store.run(rig.store.find(Filter(states=(State.COMPLETED,)), 9))} == {1}


async def test_a_step_whose_result_others_need_is_kept_for_them(rig: Rig) -> None:
    @rig.app.job(keep=lambda ended: 0)
    async def double(n: int) -> int:
        return 2 * n

    flow = Workflow()
    last = flow.add(double, flow.add(double, 1).result)
    batch = rig.app.start(flow)
    async with rig.working():
        await rig.until(lambda: batch.progress().complete)

    assert batch.progress().steps[last.key] == "completed"


async def test_where_a_function_decides_an_enqueue_cannot(rig: Rig) -> None:
    @rig.app.job(keep=lambda ended: 0)
    async def work() -> None: ...

    with pytest.raises(DefinitionError, match=r"keep= of this job is a function"):
        work.using(keep="1h").enqueue()
    work.using(keep_failed="1h").enqueue()


async def test_only_so_many_finished_jobs_of_a_name_stay_the_newest(rig: Rig) -> None:
    @rig.app.job(keep_most=3)
    async def busy(n: int) -> None: ...

    @rig.app.job
    async def other() -> None: ...

    jobs = [busy.enqueue(n) for n in range(8)]
    stays = other.enqueue()
    waiting = busy.using(delay="1h").enqueue(9)
    async with rig.working():
        await rig.pass_time(70)

    assert ids(rig) == [*(job.id for job in jobs[-3:]), stays.id, waiting.id]


async def test_only_so_many_finished_jobs_of_a_queue_stay_and_time_counts_too() -> None:
    rig = Rig(**{"queue.queues": {"mail": {"keep_most": 2, "keep": "2m"}}})

    @rig.app.job(queue="mail")
    async def mail(n: int) -> None: ...

    jobs = [mail.enqueue(n) for n in range(5)]
    async with rig.working():
        await rig.pass_time(80)
        assert ids(rig) == [job.id for job in jobs[-2:]]
        await rig.pass_time(120)
    assert ids(rig) == []


async def test_of_many_workers_with_the_same_numbers_one_counts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    @rig.app.job(keep_most=1)
    async def work() -> None: ...

    counted: list[str] = []
    count = rig.store.count

    def counting(*queues: Any) -> Any:
        counted.append("count")
        return count(*queues)

    monkeypatch.setattr(rig.store, "count", counting)
    async with rig.working(), rig.working(), rig.working():
        await rig.pass_time(200)
    assert 2 <= len(counted) <= 5


async def test_a_handle_replays_its_job_once_it_has_ended(rig: Rig) -> None:
    done: list[int] = []

    @rig.app.job
    async def work(n: int) -> int:
        done.append(n)
        return n

    job = work.enqueue(7)
    with pytest.raises(EnqueueError, match="is available: only a finished job can be replayed"):
        job.replay()
    await perform(rig)
    again = await job.areplay()
    await perform(rig)

    assert done == [7, 7]
    assert (again.fetch().origin, again.result(timeout=0)) == (job.id, 7)
    rig.store.run(rig.store.delete(Filter(ids=(job.id,)), 1))
    with pytest.raises(JobNotFound):
        job.replay()


async def test_a_replay_asks_no_middleware() -> None:
    asked: list[str] = []

    class Asking(Middleware):
        def enqueue(self, job: NewJob) -> NewJob:
            asked.append(job.name)
            return job

    clock = FakeClock()
    app: Stoker[Any] = Stoker("memory://", middleware=[Asking()], settings={"blocking_enqueue": "allow"}, clock=clock)

    @app.job
    async def work() -> None: ...

    job = work.enqueue()
    job.cancel()
    assert job.replay().fetch().origin == job.id
    assert (await job.areplay()).fetch().origin == job.id
    assert asked == ["work"]
