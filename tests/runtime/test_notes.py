"""Progress and checkpoints: what an attempt notes is seen outside, and found by the next attempt."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from stoker import Context, Snooze, State, fixed
from stoker.errors import StoreUnavailable
from stoker.telemetry.events import StoreFailed
from tests.rigs.worker import Rig


async def test_progress_of_a_running_job_is_seen_with_the_next_heartbeat(rig: Rig) -> None:
    go_on = asyncio.Event()

    @rig.app.job
    async def load(ctx: Context[None]) -> None:
        ctx.progress(0.1)
        ctx.progress(0.4, "rows")
        await go_on.wait()

    handle = load.enqueue()
    async with rig.working():
        assert handle.fetch().progress is None
        await rig.pass_time(2)
        progress = handle.fetch().progress
        assert progress is not None
        assert (progress.fraction, progress.note, str(progress)) == (0.4, "rows", "40% rows")
        go_on.set()
    assert handle.fetch().state is State.COMPLETED


async def test_a_thread_reports_progress_too(rig: Rig) -> None:
    go_on = threading.Event()

    @rig.app.job
    def load(ctx: Context[None]) -> None:
        ctx.progress(0.5)
        go_on.wait(10)

    handle = load.enqueue()
    async with rig.working() as worker:
        await rig.until(lambda: worker._notes)
        await rig.pass_time(2)
        assert str(handle.fetch().progress) == "50%"
        go_on.set()
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)


async def test_what_was_noted_last_is_stored_before_the_attempt_ends(rig: Rig) -> None:
    @rig.app.job
    async def load(ctx: Context[None]) -> None:
        ctx.progress(1, "done")

    handle = load.enqueue()
    async with rig.working():
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    assert str(handle.fetch().progress) == "100% done"


async def test_a_retried_job_goes_on_where_it_was(rig: Rig) -> None:
    done: list[int] = []

    @rig.app.job(backoff=fixed("10s"))
    async def load(ctx: Context[None], rows: int) -> int:
        for row in range(ctx.saved or 0, rows):
            if row == 3 and ctx.attempt == 1:
                raise OSError("the line broke")
            done.append(row)
            ctx.checkpoint(row + 1)
            ctx.progress((row + 1) / rows)
        return len(done)

    handle = load.enqueue(5)
    async with rig.working():
        await rig.until(lambda: rig.state(handle.id) is State.RETRYABLE)
        found = handle.fetch()
        assert (str(found.progress), found.checkpoint) == ("60%", 3)
        await rig.pass_time(11)
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    assert done == [0, 1, 2, 3, 4]


async def test_a_stopping_worker_keeps_the_checkpoint_for_the_next_one(rig: Rig) -> None:
    seen: list[object] = []

    @rig.app.job
    async def load(ctx: Context[None]) -> None:
        seen.append(ctx.saved)
        if ctx.saved == [2, None]:
            return
        while not ctx.stopping:  # noqa: ASYNC110 a flag, no event
            await asyncio.sleep(0)
        ctx.checkpoint([2, None])
        raise Snooze(0)

    handle = load.enqueue()
    async with rig.working():
        pass
    await rig.until(lambda: rig.state(handle.id) is not State.RUNNING)
    async with rig.working():
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    assert seen == [None, [2, None]]


async def test_an_attempt_reads_its_own_checkpoint(rig: Rig) -> None:
    @rig.app.job
    async def load(ctx: Context[None]) -> list[Any]:
        before = ctx.saved
        value = {"row": 1}
        ctx.checkpoint(value)
        value["row"] = 2
        return [before, ctx.saved]

    handle = load.enqueue()
    async with rig.working():
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    assert handle.result(timeout=0) == [None, {"row": 1}]


async def test_the_first_attempt_and_jobs_without_a_context_ask_for_no_checkpoint(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    @rig.app.job
    async def first(ctx: Context[None]) -> None: ...

    @rig.app.job(backoff=fixed("1s"))
    async def plain() -> None:
        raise OSError

    monkeypatch.setattr(rig.store, "saved", None)
    handle = first.enqueue()
    plain.using(max_attempts=2).enqueue()
    async with rig.working():
        await rig.pass_time(5)
    assert rig.state(handle.id) is State.COMPLETED


async def test_a_checkpoint_that_cannot_be_read_costs_no_attempt(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    @rig.app.job(backoff=fixed("1s"))
    async def load(ctx: Context[None]) -> object:
        if ctx.saved is None:
            ctx.checkpoint(7)
            raise OSError
        return ctx.saved

    handle = load.enqueue()
    async with rig.working():
        await rig.until(lambda: rig.state(handle.id) is State.RETRYABLE)
        with monkeypatch.context() as broken:
            broken.setattr(rig.store, "saved", _unavailable)
            await rig.pass_time(2)
        assert rig.find(handle.id).failures == 1
        await rig.pass_time(6)
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    assert handle.result(timeout=0) == 7


async def test_notes_wait_for_a_store_that_does_not_answer(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    @rig.app.job
    async def load(ctx: Context[None]) -> None:
        ctx.checkpoint("kept")

    handle = load.enqueue()
    with monkeypatch.context() as broken:
        broken.setattr(rig.store, "note", _unavailable)
        async with rig.working():
            await rig.until(lambda: rig.seen(StoreFailed))
            broken.undo()
            await rig.pass_time(1)
            await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    assert handle.fetch().checkpoint == "kept"


async def test_an_attempt_that_lost_its_job_leaves_no_note(rig: Rig) -> None:
    go_on = asyncio.Event()

    @rig.app.job
    async def load(ctx: Context[None]) -> None:
        await go_on.wait()
        ctx.checkpoint("late")

    handle = load.enqueue()
    async with rig.working() as worker:
        rig.store.run(rig.store.reclaim(10, [slot.claim.token for slot in worker.running() if slot.claim]))
        go_on.set()
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    assert rig.find(handle.id).starts == 2


@pytest.mark.parametrize(
    ("fraction", "says"),
    [(1.5, "30 / 75"), (-0.1, "30 / 75"), (float("nan"), "30 / 75"), ("half", "is no number"), (True, "is no number")],
)
def test_what_is_no_fraction_is_refused(fraction: Any, says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        Context.direct("load").progress(fraction)


def test_a_checkpoint_that_is_not_json_is_refused_with_the_path() -> None:
    with pytest.raises(TypeError, match=r"ctx\.checkpoint: the value is not JSON: `checkpoint\.at`"):
        Context.direct("load").checkpoint({"at": object()})


def test_a_checkpoint_that_is_data_is_refused() -> None:
    with pytest.raises(ValueError, match="a place to go on from"):
        Context.direct("load").checkpoint("x" * 1_100_000)


def test_a_long_note_is_cut() -> None:
    from stoker.jobs.progress import Progress, written_progress

    progress = Progress.of(written_progress(0.5, "x" * 500))
    assert progress is not None
    assert progress.note == "x" * 199 + "…"


def test_outside_a_worker_notes_go_nowhere() -> None:
    context = Context.direct("load")
    context.progress(0.5)
    context.checkpoint([1])

    assert context.saved == [1]


def _unavailable(*_: object) -> Any:
    raise StoreUnavailable("gone for a while")
