"""A queue with `max_waiting` refuses jobs when it is full."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker import Stoker
from stoker.app import backend, pressure
from stoker.core.command import Command
from stoker.core.filters import Filter
from stoker.errors import QueueFull


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Stoker]:
    settings = {"queue": {"queues": {"narrow": {"max_waiting": 3}}}}
    with Stoker(f"sqlite:///{tmp_path}/jobs.db", settings=settings) as app:
        app.job(name="narrow", queue="narrow")(note)
        app.job(name="wide")(note)
        yield app


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    for module in (pressure, backend):
        monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


def note(number: int) -> None: ...


def enqueue(app: Stoker, *numbers: int, name: str = "narrow") -> None:
    app.enqueue_many([app.get(name).draft(number) for number in numbers])


def waiting(app: Stoker) -> int:
    store = app.store()
    return len(store.run(store.find(Filter(), 100)))


def test_a_full_queue_refuses_and_says_what_to_do(app: Stoker) -> None:
    enqueue(app, 1, 2, 3)
    text = r"queue 'narrow' is full: 3 jobs wait and queue.queues.narrow.max_waiting is 3; enqueue later, add workers"
    with pytest.raises(QueueFull, match=text) as caught:
        enqueue(app, 4)
    assert (caught.value.queue, caught.value.waiting, caught.value.most) == ("narrow", 3, 3)
    assert waiting(app) == 3


def test_a_call_that_does_not_fit_is_refused_as_a_whole(app: Stoker) -> None:
    enqueue(app, 1, 2)
    with pytest.raises(QueueFull):
        enqueue(app, 3, 4)
    assert waiting(app) == 2


def test_a_refused_call_takes_no_room(app: Stoker) -> None:
    enqueue(app, 1)
    with pytest.raises(QueueFull):
        enqueue(app, 2, 3, 4)
    enqueue(app, 2, 3)
    assert waiting(app) == 3


def test_other_queues_are_not_asked_about(app: Stoker, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    run = app.store().run

    def listen(command: Command[object], on: object | None = None) -> object:
        asked.append(command.name)
        return run(command, on)

    monkeypatch.setattr(app.store(), "run", listen)
    enqueue(app, 1, 2, 3, 4, name="wide")
    assert asked == ["enqueue"]


def test_room_that_others_made_is_found_in_a_moment(app: Stoker, now: list[float]) -> None:
    enqueue(app, 1, 2, 3)
    app.store().run(app.store().cancel(Filter(), 10))
    with pytest.raises(QueueFull):
        enqueue(app, 4)
    now[0] += 0.2
    enqueue(app, 4)


def test_what_others_enqueued_is_seen_after_a_second(app: Stoker, now: list[float]) -> None:
    enqueue(app, 1)
    with Stoker(app.store().url) as other:
        other.job(name="narrow", queue="narrow")(note)
        enqueue(other, 2, 3)
    now[0] += 1.1
    with pytest.raises(QueueFull):
        enqueue(app, 4)


def test_counting_takes_a_twentieth_of_the_time_at_most(app: Stoker, now: list[float]) -> None:
    counted = 0
    store = app.store()
    slow = store.run

    def count_slowly(command: Command[object], on: object | None = None) -> object:
        nonlocal counted
        if command.name == "count":
            counted += 1
            now[0] += 2.0
        return slow(command, on)

    store.run = count_slowly  # type: ignore[method-assign, assignment]
    enqueue(app, 1)
    now[0] += 30.0
    enqueue(app, 2)
    assert counted == 1
    now[0] += 11.0
    enqueue(app, 3)
    assert counted == 2


async def test_async_callers_are_refused_too(app: Stoker) -> None:
    drafts = [app.get("narrow").draft(number) for number in range(4)]
    with pytest.raises(QueueFull, match="0 jobs wait, 4 were to come, and"):
        await app.aenqueue_many(drafts)


def test_bulk_calls_are_refused_where_the_queue_is_full(app: Stoker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stoker.app.backend.MOST_JOBS", 2)
    with pytest.raises(QueueFull):
        app.enqueue_many(map(app.get("narrow").draft, range(10)), atomic=False)
    assert waiting(app) == 2
