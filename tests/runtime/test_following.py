"""`ctx.then`: what follows from an attempt is enqueued with its ending."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from stoker import Cancel, Context, Discard, Middleware, Retry, Snooze, State, Stoker, Unique, fixed
from stoker.core.capability import Capability
from stoker.core.filters import Filter
from stoker.core.job import NewJob, StoredJob
from stoker.errors import StokerError
from stoker.stores.memory import MemoryStore
from tests.rigs.worker import Rig


def audits(rig: Rig) -> list[StoredJob]:
    """Give the follow-ups, oldest first."""
    return rig.store.run(rig.store.find(Filter(names=("audit",)), 100))[::-1]


def define(rig: Rig, ending: BaseException | None = None, **options: Any) -> tuple[Any, Any]:
    """Define a job that names one to follow and ends in some way."""

    @rig.app.job(queue="elsewhere")
    async def audit(who: str) -> None: ...

    @rig.app.job(**options)
    async def sale(ctx: Context) -> None:
        ctx.then(audit.draft(f"attempt {ctx.attempt}"))
        if ending is not None:
            raise ending

    return sale, audit


async def test_what_follows_is_enqueued_with_the_completion_and_knows_its_parent(rig: Rig) -> None:
    sale, _ = define(rig)
    handle = sale.enqueue()
    async with rig.working(queues=("default",)):
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)

    (found,) = audits(rig)
    assert (found.queue, found.args, found.state) == ("elsewhere", '{"who":"attempt 1"}', State.AVAILABLE)
    assert (found.parent, found.root) == (handle.id, handle.id)


@pytest.mark.parametrize("ending", [Snooze("1h"), Cancel("no longer"), Discard("hopeless")], ids=repr)
async def test_it_follows_every_ending_that_the_handler_chose(rig: Rig, ending: BaseException) -> None:
    sale, _ = define(rig, ending)
    sale.enqueue()
    async with rig.working(queues=("default",)):
        await rig.settle_down()

    assert len(audits(rig)) == 1


@pytest.mark.parametrize("ending", [ValueError("oh"), Retry("10s"), SystemExit(1)], ids=repr)
async def test_an_attempt_that_failed_brings_nothing_and_the_next_one_says_it_again(
    rig: Rig, ending: BaseException
) -> None:
    endings: list[BaseException | None] = [ending, None]

    @rig.app.job(queue="elsewhere")
    async def audit(who: str) -> None: ...

    @rig.app.job(backoff=fixed("10s"))
    async def sale(ctx: Context) -> None:
        ctx.then(audit.draft(f"attempt {ctx.attempt}"))
        if (raised := endings.pop(0)) is not None:
            raise raised

    sale.enqueue()
    async with rig.working(queues=("default",)):
        await rig.settle_down()
        assert audits(rig) == []
        await rig.pass_time(15)

    assert [one.args for one in audits(rig)] == ['{"who":"attempt 2"}']


async def test_a_timeout_brings_nothing(rig: Rig) -> None:
    @rig.app.job(queue="elsewhere")
    async def audit() -> None: ...

    @rig.app.job(timeout="5s", max_attempts=1)
    async def sale(ctx: Context) -> None:
        ctx.then(audit.draft())
        await asyncio.Event().wait()

    handle = sale.enqueue()
    async with rig.working(queues=("default",)):
        await rig.settle_down()
        await rig.pass_time(6)
        await rig.until(lambda: rig.state(handle.id) is State.DISCARDED)

    assert audits(rig) == []


async def test_a_lost_claim_brings_nothing(rig: Rig) -> None:
    @rig.app.job(queue="elsewhere")
    async def audit() -> None: ...

    @rig.app.job
    async def sale(ctx: Context) -> None:
        ctx.then(audit.draft())
        rig.store.run(rig.store.requeue(Filter(), 10, force=True))
        rig.store.run(rig.store.pause("name", ["sale"], True))

    sale.enqueue()
    async with rig.working(queues=("default",)):
        await rig.settle_down()

    assert audits(rig) == []


async def test_several_and_threaded_ones_keep_their_order(rig: Rig) -> None:
    @rig.app.job(queue="elsewhere")
    def audit(n: int) -> None: ...

    @rig.app.job
    def sale(ctx: Context) -> None:
        for n in range(3):
            ctx.then(audit.using(labels=["sold"]).draft(n))

    handle = sale.enqueue()
    async with rig.working(queues=("default",)):
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)

    assert [one.args for one in audits(rig)] == ['{"n":0}', '{"n":1}', '{"n":2}']
    assert audits(rig)[0].labels == ("sold",)


async def test_a_chain_of_follow_ups_has_one_root(rig: Rig) -> None:
    @rig.app.job
    async def count(ctx: Context, n: int) -> None:
        if n:
            ctx.then(count.draft(n - 1))

    handle = count.enqueue(3)
    async with rig.working():
        await rig.settle_down()

    jobs = rig.store.run(rig.store.find(Filter(), 100))[::-1]
    assert [job.root for job in jobs] == [None, *[handle.id] * 3]
    assert [job.parent for job in jobs[1:]] == [job.id for job in jobs[:-1]]
    assert {job.state for job in jobs} == {State.COMPLETED}


# -- refusals ----------------------------------------------------------------------------------------------------------


async def refusal(rig: Rig, job: Any) -> StokerError:
    """Perform a job that is refused by ``ctx.then`` and give the error."""
    handle = job.enqueue()
    async with rig.working(queues=("default",)):
        await rig.until(lambda: rig.state(handle.id) is State.DISCARDED)
    (error,) = rig.find(handle.id).errors
    return StokerError(f"{error.type}: {error.message}")


@pytest.mark.parametrize(
    ("using", "words"),
    [
        ({"transaction": object()}, "has a transaction of its own"),
        ({"unique": Unique(on_conflict="raise")}, "on_conflict='keep'"),
        ({"store": "other"}, "two stores have no unit in common"),
    ],
)
async def test_what_an_ending_cannot_bring_is_refused_where_it_is_said(
    rig: Rig, using: dict[str, Any], words: str
) -> None:
    rig.app._stores["other"] = MemoryStore(rig.clock)

    @rig.app.job
    async def audit() -> None: ...

    @rig.app.job(max_attempts=1)
    async def sale(ctx: Context) -> None:
        ctx.then(audit.using(**using).draft())

    assert words in str(await refusal(rig, sale))


async def test_a_definition_in_place_of_a_draft_is_told_how_to_make_one(rig: Rig) -> None:
    @rig.app.job(max_attempts=1)
    async def sale(ctx: Context) -> None:
        ctx.then(sale)  # type: ignore[arg-type]

    assert "write ctx.then(job.draft(…))" in str(await refusal(rig, sale))


async def test_a_store_that_cannot_do_it_in_one_unit_says_so(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryStore, "capabilities", MemoryStore.capabilities & ~Capability.ATOMIC)

    @rig.app.job(max_attempts=1)
    async def sale(ctx: Context) -> None:
        ctx.then(sale.draft())

    error = await refusal(rig, sale)
    assert "NotSupported" in str(error)
    assert "lacks ATOMIC; enqueue sale in the handler" in str(error)


async def test_arguments_that_do_not_fit_fail_the_attempt_before_its_ending(rig: Rig) -> None:
    @rig.app.job
    async def audit(n: int) -> None: ...

    @rig.app.job(max_attempts=1)
    async def sale(ctx: Context) -> None:
        ctx.then(audit.draft("three"))  # type: ignore[arg-type]

    assert "ArgumentsError" in str(await refusal(rig, sale))


# -- elsewhere ---------------------------------------------------------------------------------------------------------


def test_called_directly_the_context_shows_what_was_to_follow() -> None:
    app = Stoker("memory://")

    @app.job
    def audit(n: int) -> None: ...

    @app.job
    def sale(ctx: Context) -> int:
        ctx.then(audit.draft(1))
        return len(ctx.following)

    assert sale() == 1


def test_in_the_foreground_it_is_performed_behind_the_job() -> None:
    done: list[str] = []
    app = Stoker(settings={"workers": {"mode": "foreground"}})

    @app.job
    def audit(n: int) -> None:
        done.append(f"audit {n}")

    @app.job
    def sale(ctx: Context) -> None:
        ctx.then(audit.draft(1))
        done.append("sale")

    sale.enqueue()
    assert done == ["sale", "audit 1"]


async def test_enqueue_middleware_sees_what_follows(rig: Rig) -> None:
    class Marks(Middleware):
        def enqueue(self, job: NewJob) -> NewJob:
            return msgspec.structs.replace(job, labels=("seen",))

    rig.app.middleware = (Marks(),)
    sale, _ = define(rig)
    sale.enqueue()
    async with rig.working(queues=("default",)):
        await rig.settle_down()

    assert audits(rig)[0].labels == ("seen",)
