"""Jobs that must start in time, from the option to the ending."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stoker import Context, State
from stoker.core.expiry import with_expiry, without_expiry
from stoker.core.job import Due
from stoker.errors import DefinitionError, JobCancelled
from stoker.runtime.loop import sleep
from stoker.telemetry.events import AttemptEnded, JobsExpired
from tests.rigs.worker import Rig


def noting(rig: Rig, **options: Any) -> tuple[Any, list[str]]:
    order: list[str] = []

    @rig.app.job(**options)
    async def note(context: Context[Any], word: str) -> None:
        order.append(word)
        assert context.meta == {"k": 1} or context.meta == {}

    return note, order


async def test_what_waited_too_long_is_cancelled_by_the_worker_that_claims_it(rig: Rig) -> None:
    note, order = noting(rig, expires="1m", meta={"k": 1})
    late = note.enqueue("late")
    rig.clock.advance("61s")
    note.enqueue("in time")
    async with rig.working():
        await rig.settle_down()

    assert order == ["in time"]
    assert rig.state(late.id) is State.CANCELLED
    with pytest.raises(JobCancelled, match="not started in time"):
        late.result(timeout=0)
    endings = {event.claim.id: event.settlement.state for event in rig.seen(AttemptEnded)}
    assert State.CANCELLED in endings.values() or rig.seen(JobsExpired)


async def test_a_busy_worker_does_not_start_what_is_too_late(rig: Rig) -> None:
    note, order = noting(rig, expires="1s")

    @rig.app.job
    async def slow() -> None:
        await sleep(rig.clock, 3)

    slow.enqueue()
    async with rig.working(concurrency=1):
        await rig.settle_down()
        job = note.enqueue("late")
        await rig.pass_time(10, step=0.25)
    assert order == []
    assert rig.find(job.id).errors[0].type == "Expired"


async def test_where_nobody_knows_the_name_a_worker_cancels_it_too(rig: Rig) -> None:
    noting(rig)
    other, _ = noting(rig, name="other", expires="1m")
    job = other.enqueue("never")
    async with rig.working(names=("note",)):
        await rig.pass_time(70, step=5)
        assert rig.state(job.id) is State.CANCELLED
        assert [event.ids for event in rig.seen(JobsExpired)] == [(job.id,)]


async def test_the_enqueue_wins_over_the_definition(rig: Rig) -> None:
    note, _ = noting(rig, expires="1m")
    at = datetime(2040, 1, 1, tzinfo=UTC)
    assert note.using(expires=at).enqueue("a").fetch().expires == at
    default = note.enqueue("b").fetch()
    assert default.expires == default.enqueued_at + timedelta(minutes=1)
    assert note.using(expires="1h").draft("c").new_job(rig.app.defaults).expires == Due(3600_000_000)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"expires": 0}, "write a duration above 0"),
        ({"expires": "soon"}, "is not a duration"),
        ({"expires": "1m", "delay": "1m"}, "note: expires= is over before the job is due"),
        ({"expires": datetime(2040, 1, 1)}, "has no time zone"),  # noqa: DTZ001 naive on purpose
        ({"meta": {"stoker/expires": 1}}, "keys that begin with 'stoker/' are stoker's own"),
    ],
)
def test_what_can_never_be_is_refused(rig: Rig, options: dict[str, Any], complaint: str) -> None:
    note, _ = noting(rig)
    with pytest.raises(DefinitionError, match=complaint):
        note.using(**options).enqueue("x")


def test_an_instant_means_nothing_in_a_definition(rig: Rig) -> None:
    with pytest.raises(DefinitionError, match="is not a duration"):
        noting(rig, expires=datetime(2040, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("meta", ["{}", '{"a":1}', '{"a":"}","b":{"c":[]}}'])
def test_the_instant_goes_into_the_meta_and_comes_out_again(meta: str) -> None:
    assert without_expiry(with_expiry(meta, 123)) == (meta, 123)
    assert without_expiry(with_expiry(meta, None)) == (meta, None)
