"""A hundred rounds of forty simultaneous enqueues of one key leave exactly one job each, one by one and in bulk."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stoker import Stoker, Unique
from stoker.app.stoker import Stoker as Application
from stoker.errors import DuplicateJob

ROUNDS, FEWER, CALLERS = 100, 30, 40
URLS = ["memory", "sqlite", "postgres", "redis"]


@pytest.fixture(params=URLS)
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Application[Any]]:
    url = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/jobs.db"}.get(request.param)
    app = Stoker(url or request.getfixturevalue(f"{request.param}_url"))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield app
    sys.setswitchinterval(interval)
    app.close()


def rounds(enqueue: Callable[[int], list[tuple[str, bool]]], count: int = ROUNDS) -> Iterator[list[tuple[str, bool]]]:
    """Let forty callers enqueue at once, so many times; give what each round answered."""
    barrier = threading.Barrier(CALLERS)

    def call(turn: int) -> list[tuple[str, bool]]:
        barrier.wait(60)
        return enqueue(turn)

    with ThreadPoolExecutor(CALLERS) as callers:
        for turn in range(count):
            answers = [callers.submit(call, turn) for _ in range(CALLERS)]
            yield [answer for one in answers for answer in one.result(60)]


def stored(app: Application[Any], name: str) -> int:
    return sum(row.count for row in app.operations().counts() if row.name == name)


def test_one_by_one(app: Application[Any]) -> None:
    @app.job(unique=Unique(by="turn"))
    def work(turn: int, caller: int) -> None: ...

    def enqueue(turn: int) -> list[tuple[str, bool]]:
        handle = work.enqueue(turn, threading.get_ident())
        return [(handle.id, handle.duplicate)]

    for answers in rounds(enqueue):
        assert len({id for id, _ in answers}) == 1
        assert [duplicate for _, duplicate in answers].count(False) == 1
    assert stored(app, "work") == ROUNDS


def test_in_bulk(app: Application[Any]) -> None:
    @app.job(unique=Unique(by="turn"))
    def work(turn: int, caller: int) -> None: ...

    @app.job
    def plain(turn: int) -> None: ...

    def enqueue(turn: int) -> list[tuple[str, bool]]:
        caller = threading.get_ident()
        drafts = [work.draft(turn, caller), plain.draft(turn), work.draft(turn, caller + 1)]
        first, _, again = app.enqueue_many(drafts)
        assert again.duplicate
        return [(first.id, first.duplicate), (again.id, True)]

    for answers in rounds(enqueue):
        assert len({id for id, _ in answers}) == 1
        assert [duplicate for _, duplicate in answers].count(False) == 1
    assert (stored(app, "work"), stored(app, "plain")) == (ROUNDS, ROUNDS * CALLERS)


@pytest.mark.parametrize("on_conflict", ["replace", "reschedule"])
def test_whatever_becomes_of_the_newer_one(app: Application[Any], on_conflict: Any) -> None:
    @app.job(unique=Unique(by="turn", on_conflict=on_conflict))
    def work(turn: int, caller: int) -> None: ...

    later = work.using(delay="1h")

    def enqueue(turn: int) -> list[tuple[str, bool]]:
        handle = later.enqueue(turn, threading.get_ident())
        return [(handle.id, handle.duplicate)]

    for answers in rounds(enqueue, FEWER):
        assert len({id for id, _ in answers}) == 1
        assert [duplicate for _, duplicate in answers].count(False) == 1
    assert stored(app, "work") == FEWER


def test_all_but_one_are_refused(app: Application[Any]) -> None:
    @app.job(unique=Unique(by="turn", on_conflict="raise", within="1h"))
    def work(turn: int, caller: int) -> None: ...

    def enqueue(turn: int) -> list[tuple[str, bool]]:
        try:
            return [(work.enqueue(turn, threading.get_ident()).id, False)]
        except DuplicateJob as error:
            return [(error.existing, True)]

    for answers in rounds(enqueue, FEWER):
        assert len({id for id, _ in answers}) == 1
        assert [duplicate for _, duplicate in answers].count(False) == 1
    assert stored(app, "work") == FEWER
