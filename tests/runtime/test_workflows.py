"""Workflows and batches under a worker: what begins when, what is passed on, what callbacks are enqueued."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from stoker import Compress, Context, State, Workflow, chain
from stoker.core.filters import Filter
from stoker.core.job import JobId, StoredJob
from stoker.errors import ArgumentsError, BatchComplete, EnqueueError, JobNotFound, NotSupported, WorkflowError
from tests.rigs.worker import Rig


def jobs(rig: Rig, name: str = "") -> list[StoredJob]:
    """Give jobs, oldest first."""
    return rig.store.run(rig.store.find(Filter(names=(name,) if name else ()), 1000))[::-1]


async def test_results_are_passed_on_from_step_to_step(rig: Rig) -> None:
    @rig.app.job
    async def numbers(up_to: int) -> list[int]:
        return list(range(up_to))

    @rig.app.job(queue="other")
    async def total(values: list[int], plus: int = 0) -> int:
        return sum(values) + plus

    @rig.app.job
    async def all_of(values: list[int], *, title: str) -> str:
        return f"{title}: {values}"

    flow = Workflow("sums")
    some = flow.add(numbers, 4)
    sums = [flow.add(total, some.result), flow.add(total.using(priority=5), some.result, plus=100)]
    last = flow.add(all_of, [one.result for one in sums], title="sums")
    batch = rig.app.start(flow)
    assert [job.name for job in jobs(rig)] == ["numbers"]
    async with rig.working(queues=("default", "other")):
        await rig.until(lambda: batch.progress().complete)

    (found,) = jobs(rig, "all_of")
    assert found.result == '"sums: [6, 106]"'
    standing = batch.progress()
    assert (standing.success, standing.total, standing.pending, standing.name) == (True, 4, 0, "sums")
    assert standing.steps[last.key] == "completed"


async def test_a_chain_stops_at_a_failure_and_goes_on_when_that_is_retried(rig: Rig) -> None:
    broken = [True]
    done: list[str] = []

    @rig.app.job(max_attempts=1)
    async def step(name: str) -> None:
        if name == "b" and broken:
            raise ValueError("not yet")
        done.append(name)

    batch = rig.app.start(chain(step.draft("a"), step.draft("b"), step.draft("c"), name="abc"))
    async with rig.working():
        await rig.until(lambda: batch.progress().complete)
        stopped = batch.progress()
        assert (stopped.success, stopped.discarded, stopped.waiting, done) == (False, 1, 1, ["a"])
        broken.clear()
        rig.app.operations().retry(Filter(batches=(batch.id,), states=(State.DISCARDED,)))
        await rig.pass_time(5)
        await rig.until(lambda: batch.progress().success)
    assert done == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("policy", "performed", "success"),
    [
        ("stop", ["fails", "last"], False),
        ("continue", ["fails", "next", "last"], True),
        ("skip", ["fails", "last"], True),
    ],
)
async def test_each_edge_has_its_policy(rig: Rig, policy: Any, performed: list[str], success: bool) -> None:
    done: list[str] = []

    @rig.app.job(max_attempts=1)
    async def step(name: str) -> None:
        done.append(name)
        if name == "fails":
            raise ValueError

    flow = Workflow()
    fails = flow.add(step, "fails")
    following = flow.add(step, "next").after(fails, on_failure=policy)
    flow.add(step, "last").after(*([] if policy == "stop" else [following]))
    batch = rig.app.start(flow)
    async with rig.working(concurrency=1):
        await rig.until(lambda: batch.progress().complete)
        await rig.settle_down()

    assert (sorted(done), batch.progress().success) == (sorted(performed), success)


async def test_a_result_that_may_be_missing_is_none(rig: Rig) -> None:
    seen: list[object] = []

    @rig.app.job(max_attempts=1)
    async def fails() -> int:
        raise ValueError

    @rig.app.job
    async def takes(value: int | None) -> None:
        seen.append(value)

    flow = Workflow()
    flow.add(takes, flow.add(fails).result_or_none)
    batch = rig.app.start(flow)
    async with rig.working():
        await rig.until(lambda: batch.progress().complete)
    assert seen == [None]


async def test_a_result_that_is_not_json_is_explained_where_it_was_wanted(rig: Rig) -> None:
    @rig.app.job
    async def odd() -> Any:
        return object()

    @rig.app.job
    async def takes(value: int) -> None: ...

    flow = Workflow()
    flow.add(takes, flow.add(odd).result)
    batch = rig.app.start(flow)
    async with rig.working():
        await rig.until(lambda: batch.progress().complete)

    (found,) = jobs(rig, "takes")
    assert found.state is State.DISCARDED
    assert "takes the result of step odd" in found.errors[0].message
    assert "not JSON" in found.errors[0].message


async def test_callbacks_are_enqueued_once_each(rig: Rig) -> None:
    told: list[tuple[str, str | None, str | None]] = []

    @rig.app.job(max_attempts=1)
    async def work(n: int) -> None:
        if n == 2:
            raise ValueError

    @rig.app.job
    async def tell(ctx: Context, what: str) -> None:
        told.append((what, ctx.batch_id, ctx.parent))

    with rig.app.batch(
        "b", on_success=tell.draft("s"), on_failure=tell.draft("f"), on_complete=tell.draft("c")
    ) as batch:
        handles = batch.add(*[work.draft(n) for n in range(4)])
    async with rig.working():
        await rig.until(lambda: len(told) == 2)
        await rig.pass_time(5)
        assert sorted(told) == [("c", batch.id, None), ("f", batch.id, handles[2].id)]
        assert str(batch.progress()) == "4/4 (3 completed, 1 discarded), complete"


async def test_a_batch_without_failures_succeeds(rig: Rig) -> None:
    told: list[str] = []

    @rig.app.job
    async def work(n: int) -> None: ...

    @rig.app.job
    async def tell(what: str) -> None:
        told.append(what)

    async with rig.app.batch(on_success=tell.draft("s"), on_complete=tell.draft("c")) as batch:
        await batch.aadd(*[work.draft(n) for n in range(20)])
        assert not (await batch.aprogress()).sealed
    async with rig.working():
        await rig.until(lambda: len(told) == 2)
    assert sorted(told) == ["c", "s"]
    with pytest.raises(BatchComplete, match="complete already"):
        batch.add(work.draft(1))


async def test_an_empty_batch_is_complete_at_once(rig: Rig) -> None:
    @rig.app.job
    async def tell() -> None: ...

    with rig.app.batch(on_success=tell.draft()) as batch:
        pass
    assert batch.progress().success
    assert len(jobs(rig, "tell")) == 1


async def test_members_add_to_their_own_batch_while_it_runs(rig: Rig) -> None:
    @rig.app.job
    async def grow(ctx: Context, depth: int) -> None:
        if depth:
            assert ctx.batch_id
            await rig.app.find_batch(ctx.batch_id).aadd(grow.draft(depth - 1), grow.draft(depth - 1))

    @rig.app.job
    async def tell() -> None: ...

    with rig.app.batch(on_success=tell.draft()) as batch:
        batch.add(grow.draft(4))
    async with rig.working():
        await rig.until(lambda: batch.progress().success)
    assert batch.progress().total == 31
    assert len(jobs(rig, "tell")) == 1


async def test_a_batch_inside_another_counts_as_one_of_its_members(rig: Rig) -> None:
    @rig.app.job(max_attempts=1)
    async def work(ok: bool) -> None:
        if not ok:
            raise ValueError

    @rig.app.job
    async def tell(what: str) -> None: ...

    with rig.app.batch(on_success=tell.draft("outer"), on_complete=tell.draft("done")) as outer:
        with rig.app.batch(within=outer, on_success=tell.draft("inner")) as inner:
            inner.add(work.draft(True), work.draft(False))
        outer.add(work.draft(True))
    async with rig.working():
        await rig.until(lambda: outer.progress().complete)
        assert (outer.progress().total, outer.progress().discarded) == (2, 1)
        (bad,) = [job for job in jobs(rig, "work") if job.state is State.DISCARDED]
        rig.store.run(rig.store.cancel(Filter(names=("tell",)), 10))
        job = rig.store.run(rig.store.delete(Filter(ids=(bad.id,)), 1))
        assert job.count == 1
    assert not outer.progress().success


async def test_a_retried_member_makes_the_batches_around_it_succeed(rig: Rig) -> None:
    ok: list[bool] = []

    @rig.app.job(max_attempts=1)
    async def work() -> None:
        if not ok:
            raise ValueError

    @rig.app.job
    async def tell(what: str) -> None: ...

    with (
        rig.app.batch(on_success=tell.draft("outer"), on_complete=tell.draft("done")) as outer,
        rig.app.batch(within=outer, on_success=tell.draft("inner")) as inner,
    ):
        inner.add(work.draft())
    async with rig.working():
        await rig.until(lambda: outer.progress().complete)
        ok.append(True)
        rig.app.operations().retry(Filter(batches=(inner.id,)))
        await rig.pass_time(5)
        await rig.until(lambda: outer.progress().success)
        await rig.pass_time(5)
    assert Counter(job.args for job in jobs(rig, "tell")) == {
        '{"what":"done"}': 1,
        '{"what":"inner"}': 1,
        '{"what":"outer"}': 1,
    }


async def test_a_workflow_is_cancelled_as_a_whole(rig: Rig) -> None:
    @rig.app.job
    async def step(n: int) -> None: ...

    @rig.app.job
    async def tell(what: str) -> None: ...

    flow = chain(*[step.draft(n) for n in range(3)])
    flow.callbacks["on_complete"], flow.callbacks["on_success"] = tell.draft("c"), tell.draft("s")
    batch = rig.app.start(flow)
    assert batch.cancel() == 1
    assert (batch.progress().cancelled, batch.progress().complete) == (3, True)
    async with rig.working():
        await rig.pass_time(5)
    assert [(job.name, job.state) for job in jobs(rig, "step")] == [("step", State.CANCELLED)]
    assert [job.args for job in jobs(rig, "tell")] == ['{"what":"c"}']


async def test_cancelling_reaches_batches_inside_and_what_runs(rig: Rig) -> None:
    import asyncio

    started = asyncio.Event()

    @rig.app.job
    async def work() -> None:
        started.set()
        await asyncio.Event().wait()

    with rig.app.batch() as outer, rig.app.batch(within=outer) as inner:
        inner.add(work.draft())
        outer.add(work.using(delay="1h").draft())
    async with rig.working():
        await started.wait()
        assert outer.cancel() == 2
        await rig.pass_time(4)
        await rig.until(lambda: outer.progress().complete)
    assert {job.state for job in jobs(rig, "work")} == {State.CANCELLED}


async def test_a_block_that_raises_cancels_what_it_added(rig: Rig) -> None:
    @rig.app.job
    async def work() -> None: ...

    batch = rig.app.batch()

    def fill() -> None:
        with batch:
            batch.add(work.draft())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fill()
    assert [job.state for job in jobs(rig)] == [State.CANCELLED]
    assert batch.progress().complete


async def test_workers_that_died_before_they_saw_to_a_batch_are_made_up_for(rig: Rig) -> None:
    @rig.app.job
    async def step(n: int) -> None: ...

    batch = rig.app.start(chain(step.draft(1), step.draft(2)))
    from tests.rigs.claims import complete_all

    complete_all(rig.store, ["step"])
    assert len(jobs(rig, "step")) == 1
    async with rig.working(until_empty=True):
        await rig.until(lambda: batch.progress().success)


async def test_until_empty_does_not_end_between_the_end_of_a_step_and_the_beginning_of_the_next(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []

    @rig.app.job
    async def step(number: int) -> None:
        done.append(number)

    batch = rig.app.start(chain(*[step.draft(number) for number in range(4)]))
    arun = rig.store.arun

    answered = asyncio.Event()
    answered.set()

    async def between(command: Any, **options: Any) -> Any:
        """Perform the next step while it is asked what there is, and move the workflow on after the answer only."""
        if command.name == "any":
            answered.clear()
            await rig.settle_down()
            rig.clock.advance("3s")  # it looks for more, finds nothing and is idle
            await rig.settle_down()
            answer = await arun(command, **options)
            answered.set()
            return answer
        if command.name == "advance":
            await answered.wait()
        return await arun(command, **options)

    monkeypatch.setattr(rig.store, "arun", between)
    await rig.drive(asyncio.ensure_future(rig.make().run(until_empty=True)))

    assert done == [0, 1, 2, 3]
    assert batch.progress().success


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_steps_that_wait_for_each_other_are_refused(rig: Rig) -> None:
    @rig.app.job
    async def step() -> None: ...

    flow = Workflow()
    a, b, c = (flow.add(step) for _ in range(3))
    b.after(a)
    c.after(b)
    with pytest.raises(WorkflowError, match="a circle: step → step-3 → step-2 → step"):
        a.after(c)
    with pytest.raises(WorkflowError, match="a circle: step → step"):
        a.after(a)


def test_the_circle_is_named_with_each_of_its_steps_once(rig: Rig) -> None:
    @rig.app.job
    async def step() -> None: ...

    flow = Workflow()
    a, b = flow.add(step), flow.add(step)
    b.after(a)
    with pytest.raises(WorkflowError, match="a circle: step → step-2 → step wait for each other"):
        a.after(b)


def test_a_chain_may_have_as_many_steps_as_a_workflow_and_dense_layers_are_wired_at_once(rig: Rig) -> None:
    @rig.app.job
    async def step() -> None: ...

    assert len(chain(*[step.draft() for _ in range(1000)]).steps) == 1000

    flow, layer = Workflow(), [Workflow().add(step)][:0]
    for _ in range(30):  # as many ways through it as no search could follow one by one
        layer_before, layer = layer, [flow.add(step) for _ in range(5)]
        for one in layer:
            one.after(*layer_before)
    with pytest.raises(WorkflowError, match="a circle"):
        next(iter(flow.steps.values())).after(layer[0])


def test_what_a_workflow_cannot_hold_is_refused(rig: Rig) -> None:
    @rig.app.job
    async def step(n: int = 0) -> int:
        return n

    @rig.app.job
    async def takes(values: dict[str, int]) -> None: ...

    flow, other = Workflow(), Workflow()
    with pytest.raises(WorkflowError, match=r"not <draft of step \{\}>: write flow.add\(job, …\)"):
        flow.add(step.draft())  # type: ignore[arg-type]
    with pytest.raises(WorkflowError, match=r"argument `1` is <step step>; give what it returns: \.result"):
        flow.add(step, Workflow().add(step))  # type: ignore[arg-type]
    with pytest.raises(WorkflowError, match=r"only a workflow is started, not <draft of step \{\}>"):
        rig.app.start(step.draft())  # type: ignore[arg-type]
    with pytest.raises(WorkflowError, match="no step of this workflow"):
        flow.add(step, other.add(step).result)
    with pytest.raises(WorkflowError, match="unique=False"):
        flow.add(step.using(unique=True))
    with pytest.raises(WorkflowError, match="a transaction of its own"):
        flow.add(step.using(transaction=object()))
    with pytest.raises(WorkflowError, match="among other values"):
        flow.add(takes, {"a": flow.add(step).result})
    with pytest.raises(ArgumentsError, match="`n`"):
        flow.add(step, "three")  # type: ignore[arg-type]
    with pytest.raises(ArgumentsError, match="takes"):
        flow.add(takes)  # type: ignore[call-arg]
    with pytest.raises(WorkflowError, match="has no steps"):
        rig.app.start(Workflow())
    with pytest.raises(WorkflowError, match="a chain of nothing"):
        chain()
    with pytest.raises(WorkflowError, match="on_failure is 'go'"):
        flow.add(step).after(flow.add(step), on_failure="go")  # type: ignore[arg-type]


def test_what_a_batch_cannot_hold_is_refused(rig: Rig) -> None:
    from stoker import Stoker

    @rig.app.job
    async def step() -> None: ...

    with rig.app.batch() as batch:
        batch.add(step.draft())
        with pytest.raises(EnqueueError, match=r"write job.draft"):
            batch.add(step)  # type: ignore[arg-type]
        with pytest.raises(EnqueueError, match="is open already"), batch:
            pass
    with pytest.raises(JobNotFound, match="no batch nope"):
        rig.app.find_batch("nope").progress()
    foreground = Stoker(settings={"workers": {"mode": "foreground"}})
    with pytest.raises(NotSupported, match="mode foreground"), foreground.batch():
        pass


def test_a_store_without_batches_says_so(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    from stoker.stores.base import Store
    from stoker.stores.memory import MemoryStore

    @rig.app.job
    async def step() -> None: ...

    monkeypatch.setattr(MemoryStore, "open_batch", Store.open_batch)
    with pytest.raises(NotSupported, match="lacks BATCH"):
        rig.app.start(chain(step.draft()))


def test_a_replayed_member_belongs_to_no_batch(rig: Rig) -> None:
    @rig.app.job
    async def step() -> None: ...

    batch = rig.app.start(chain(step.draft()))
    from tests.rigs.claims import complete_all

    complete_all(rig.store, ["step"])
    (made,) = rig.app.operations().replay(Filter(names=("step",)))
    found = rig.find(made)
    assert (found.meta, found.version) == ("{}", 1)
    assert batch.progress().total == 1
    assert JobId(made)


def test_results_of_sealed_jobs_are_not_passed_on(rig: Rig) -> None:
    @rig.app.job(codecs=[Compress()])
    async def secret() -> int:
        return 1

    @rig.app.job
    async def takes(n: int) -> None: ...

    flow = Workflow()
    with pytest.raises(WorkflowError, match="one of them has codecs"):
        flow.add(takes, flow.add(secret).result)
