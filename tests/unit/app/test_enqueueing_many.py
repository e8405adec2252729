"""Many jobs at a time: in one call that stores all or none, or in as many calls as it takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker import Draft, Stoker
from stoker.app import backend
from stoker.core.filters import Filter
from stoker.errors import ArgumentsError, EnqueueError


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Stoker]:
    with Stoker(f"sqlite:///{tmp_path}/jobs.db") as app:
        yield app


@pytest.fixture(autouse=True)
def ten_jobs_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "MOST_JOBS", 10)


def stored(app: Stoker) -> list[str]:
    store = app.store()
    return [job.args for job in reversed(store.run(store.find(Filter(), 1000)))]


def test_several_calls_store_what_a_generator_gives_in_its_order(app: Stoker) -> None:
    @app.job
    def note(number: int) -> None: ...

    handles = app.enqueue_many((note.draft(number) for number in range(25)), atomic=False)
    assert stored(app) == [f'{{"number":{number}}}' for number in range(25)]
    assert [app.handle(handle.id).fetch().args for handle in handles] == [{"number": n} for n in range(25)]


def test_no_drafts_are_no_calls(app: Stoker) -> None:
    assert app.enqueue_many(iter(()), atomic=False) == []
    assert app.enqueue_many([]) == []


def test_the_calls_before_a_draft_that_fails_are_stored(app: Stoker) -> None:
    @app.job
    def note(number: int) -> None: ...

    def drafts() -> Iterator[Draft[None]]:
        yield from map(note.draft, range(25))
        raise ArgumentsError("no more")

    with pytest.raises(ArgumentsError, match="no more"):
        app.enqueue_many(drafts(), atomic=False)
    assert len(stored(app)) == 20


def test_a_call_that_fails_is_the_last_one(app: Stoker, monkeypatch: pytest.MonkeyPatch) -> None:
    @app.job
    def note(number: int) -> None: ...

    store = app.store()
    run, calls = store.run, 0

    def fail_at_the_second(command: object, on: object | None = None) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise EnqueueError("full")
        return run(command, on)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "run", fail_at_the_second)
    with pytest.raises(EnqueueError, match="full"):
        app.enqueue_many(map(note.draft, range(50)), atomic=False)
    assert calls == 2


def test_several_calls_without_a_store_perform_each_job_in_the_caller() -> None:
    app, performed = Stoker(settings={"workers": {"mode": "foreground"}}), list[int]()

    @app.job
    def note(number: int) -> None:
        performed.append(number)

    app.enqueue_many(map(note.draft, range(25)), atomic=False)
    assert performed == list(range(25))


async def test_the_same_holds_for_async_callers(app: Stoker) -> None:
    @app.job
    def note(number: int) -> None: ...

    await app.aenqueue_many(map(note.draft, range(25)), atomic=False)
    assert stored(app) == [f'{{"number":{number}}}' for number in range(25)]
