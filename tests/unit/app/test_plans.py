"""What a worker of an application with several stores serves."""

from __future__ import annotations

import pytest

from stoker import Stoker
from stoker.app.choice import Choice
from stoker.errors import ConfigurationError, EnqueueError


def two_stores() -> Stoker[None]:
    app = Stoker("memory://", stores={"legacy": "memory://"})

    @app.job
    async def here() -> None: ...

    @app.job(store="legacy")
    async def there() -> None: ...

    return app


async def test_each_store_has_a_worker_that_serves_its_own_jobs() -> None:
    workers = two_stores().make_workers(Choice(), None)
    assert [(worker.store_name, worker.plan.names) for worker in workers] == [
        ("default", ("here",)),
        ("legacy", ("there",)),
    ]


async def test_a_store_none_of_whose_jobs_are_chosen_has_no_worker() -> None:
    (worker,) = two_stores().make_workers(Choice(names=("there",)), None)
    assert worker.store_name == "legacy"


async def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="here, there"):
        two_stores().make_workers(Choice(names=("nowhere",)), None)


def test_jobs_for_two_stores_do_not_go_in_one_call() -> None:
    app = two_stores()
    drafts = [app.get(name).draft() for name in ("here", "there")]
    with pytest.raises(EnqueueError, match="several stores"):
        app.enqueue_many(drafts)
