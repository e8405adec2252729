"""Time travel: `advance` goes from one periodic run to the next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from stoker import Context, NewJob, Stoker
from stoker.jobs.middleware import Middleware
from stoker.telemetry import EntryTicked
from stoker.testing import Sandbox, sandbox

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
performed: list[datetime | None] = []
app: Stoker[Any] = Stoker("postgresql://nowhere.invalid/none", name="shop")


@app.periodic("30 * * * *", args={"what": "mail"})
@app.job
def tidy(what: str) -> None: ...


@app.periodic(every="20m")
@app.job
async def look(ctx: Context) -> None:
    performed.append(ctx.scheduled_at)


@pytest.fixture
def box() -> Iterator[Sandbox]:
    performed.clear()
    with sandbox(app) as opened:
        yield opened


def test_each_run_on_the_way_is_there_at_its_instant(box: Sandbox) -> None:
    box.advance("2h")

    runs = box.enqueued(tidy, args={"what": "mail"})
    assert [record.enqueued_at for record in runs] == [NOON.replace(minute=30), NOON.replace(hour=13, minute=30)]
    box.assert_enqueued(look, count=6)
    assert box.clock.now() == round(NOON.timestamp() * 1_000_000) + 7_200_000_000


def test_runs_wait_until_they_are_drained(box: Sandbox) -> None:
    box.advance("25m")
    assert performed == []

    assert box.drain().completed == 1
    assert performed == [NOON.replace(minute=20)]


def test_many_steps_are_the_same_as_one(box: Sandbox) -> None:
    for _ in range(12):
        box.advance("10m")
    box.assert_enqueued(tidy, count=2)
    box.assert_enqueued(look, count=6)


async def test_in_an_async_test(box: Sandbox) -> None:
    for _ in range(3):
        box.advance("20m")
        await box.adrain()
    assert len(performed) == 3


def test_a_run_that_nobody_drained_before_the_next_one_has_expired(box: Sandbox) -> None:
    box.advance("1h")
    box.drain()

    assert performed == [NOON.replace(hour=13)]
    box.assert_enqueued(look, count=2, state="cancelled")


def test_inline_performs_them_on_the_way() -> None:
    performed.clear()
    with sandbox(app, mode="inline") as box:
        box.advance("1h")
    assert performed == [NOON.replace(minute=20), NOON.replace(minute=40), NOON.replace(hour=13)]


def test_a_paused_entry_does_not_run(box: Sandbox) -> None:
    box.advance("30m")
    store = app.store()
    store.run(store.pause_entries("shop", ["look"], True))
    box.advance("1h")

    box.assert_enqueued(look, count=1)
    box.assert_enqueued(tidy, count=2)


def test_each_sandbox_begins_anew(box: Sandbox) -> None:
    assert box.enqueued() == []
    box.advance("20m")
    box.assert_enqueued(look, count=1)


def test_middleware_and_listeners_are_told() -> None:
    class Labels(Middleware):
        def enqueue(self, job: NewJob) -> NewJob:
            return job.changed(labels=("seen",))

    local: Stoker[Any] = Stoker("memory://", name="local", middleware=[Labels()])
    ticked: list[Any] = []
    local.events.listen(ticked.append, EntryTicked)

    @local.periodic("@hourly")
    @local.job
    def hourly() -> None: ...

    with sandbox(local) as other:
        other.advance("3h")
        other.assert_enqueued(hourly, labels=["seen"], count=3)
    assert len(ticked) == 3


def test_a_year_passes_in_a_moment() -> None:
    local: Stoker[Any] = Stoker("memory://", name="local")

    @local.periodic("0 3 1 * *", tz="Europe/Berlin")
    @local.job
    def monthly() -> None: ...

    with sandbox(local) as other:
        other.advance("365d")
        other.assert_enqueued(monthly, count=12)
