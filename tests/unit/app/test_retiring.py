"""Stores that are still emptied, but get no new jobs."""

from __future__ import annotations

from typing import Any

import pytest

from stoker import Context, Stoker
from stoker.app.choice import Choice
from stoker.errors import ConfigurationError
from stoker.settings import load

performed: list[str] = []


def moving_out(**settings: object) -> Stoker[Any]:
    """Give an application whose jobs used to wait in `legacy`."""
    app: Stoker[Any] = Stoker(
        "memory://", stores={"legacy": "memory://", "aside": "memory://"}, retiring=["legacy"], settings=settings
    )
    performed.clear()

    @app.job(store="legacy")
    async def old(text: str) -> None:
        performed.append(text)

    @app.job
    async def new(text: str) -> None:
        performed.append(text)

    @app.job
    async def leads_on(ctx: Context[Any], text: str) -> None:
        ctx.then(new.draft(text))

    return app


def test_new_jobs_of_a_definition_go_to_the_default_store_in_place_of_a_retiring_one() -> None:
    app = moving_out()
    handle = app.get("old").enqueue("x")

    assert handle.store == "default"
    assert handle.fetch().state == "available"
    assert app.operations("legacy").counts() == []


def test_a_single_enqueue_may_name_a_retiring_store() -> None:
    app = moving_out()

    assert app.get("old").using(store="legacy").enqueue("x").store == "legacy"


def test_jobs_of_both_stores_go_in_one_call_once_one_of_them_is_retiring() -> None:
    app = moving_out()

    handles = app.enqueue_many([app.get("old").draft("a"), app.get("new").draft("b")])
    assert {handle.store for handle in handles} == {"default"}


def test_a_worker_performs_every_job_from_a_retiring_store() -> None:
    workers = moving_out().make_workers(Choice(), None)

    assert {worker.store_name: worker.plan.names for worker in workers} == {
        "default": ("leads_on", "new", "old"),
        "legacy": ("leads_on", "new", "old"),
    }


def test_a_worker_that_performs_in_its_own_process_knows_no_retiring_store() -> None:
    (worker,) = moving_out(**{"workers.mode": "async"}).make_workers(Choice(periodic=False), None)

    assert worker.store_name == "default"


def test_a_retiring_store_gets_no_periodic_jobs() -> None:
    app = moving_out()
    app.periodic("0 3 * * *", app.get("old").draft("x"), name="nightly")
    home = {worker.store_name: worker._periodic for worker in app.make_workers(Choice(), None)}

    assert home["default"] is not None
    assert home["legacy"] is None


async def test_what_follows_from_a_job_of_a_retiring_store_is_stored_there_in_one_unit() -> None:
    app = moving_out()
    await app.get("leads_on").using(store="legacy").aenqueue("led on")

    (legacy,) = [worker for worker in app.make_workers(Choice(), None) if worker.store_name == "legacy"]
    await legacy.run(until_empty=True)
    assert performed == ["led on"]


async def test_one_worker_empties_the_old_store_beside_the_new_one() -> None:
    app = moving_out()
    for number in range(3):
        await app.get("old").using(store="legacy").aenqueue(f"there {number}")
        await app.get("old").aenqueue(f"here {number}")

    for worker in app.make_workers(Choice(), None):
        await worker.run(until_empty=True)
    assert sorted(performed) == [f"{place} {number}" for place in ("here", "there") for number in range(3)]


def test_the_default_store_cannot_retire_and_the_error_says_what_to_do() -> None:
    with pytest.raises(
        ConfigurationError, match=r"retiring: the default store .* give the old one a name under stores"
    ):
        load(environ={}, overrides={"stores": {"old": {"uri": "memory://"}}, "retiring": ["default"]})


def test_two_default_stores_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="said twice"):
        Stoker("memory://", stores={"default": "sqlite:///jobs.sqlite3"})


def test_a_store_has_its_own_queues_or_those_of_all() -> None:
    settings = load(
        environ={},
        overrides={
            "queue": {"queues": {"mail": {"concurrency": 2}}},
            "stores": {
                "a": {"uri": "memory://", "queues": {"mail": {"concurrency": 5}}, "poll_interval": "3s"},
                "b": {"uri": "memory://"},
            },
        },
    )

    def slots(name: str) -> int | None:
        return settings.of_store(name).queue.queues["mail"].concurrency

    assert [slots("a"), slots("b"), slots("default")] == [5, 2, 2]
