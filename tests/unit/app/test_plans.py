"""What a worker of an application with several stores serves."""

from __future__ import annotations

from typing import Any

import pytest

from stoker import Stoker
from stoker.app.choice import Choice
from stoker.app.plans import plan_worker
from stoker.errors import ConfigurationError, DefinitionError, EnqueueError


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


def one_store(**settings: object) -> Stoker[None]:
    app = Stoker("memory://", settings=settings)

    @app.job
    async def work() -> None: ...

    return app


async def test_tags_come_from_the_starter_else_from_the_settings() -> None:
    app = one_store(**{"workers.tags": "gpu,eu"})

    def tags(**choice: Any) -> tuple[tuple[str, ...], bool]:
        plan = app.make_workers(Choice(**choice), None)[0].plan
        return plan.tags, plan.all_tags

    assert tags() == (("eu", "gpu"), False)
    assert tags(tags=("ssd",)) == (("ssd",), False)
    assert tags(all_tags=True) == ((), True)


async def test_tags_and_all_tags_in_the_settings_exclude_each_other() -> None:
    app = one_store(**{"workers.tags": ["gpu"], "workers.all_tags": True})
    with pytest.raises(ConfigurationError, match=r"workers\.tags and workers\.all_tags exclude each other"):
        app.make_workers(Choice(), None)


async def test_queues_are_served_in_the_order_in_which_they_are_written() -> None:
    app = one_store(**{"queue.queues": ["urgent", "mail"], "workers.strict_order": True})
    (pool,) = app.make_workers(Choice(), None)[0].plan.pools
    assert (pool.queues, pool.strict, pool.weights) == (("urgent", "mail", "default"), True, ())


async def test_weights_of_queues_that_share_a_pool_are_kept() -> None:
    app = one_store(**{"queue.queues": {"mail": {"weight": 3}, "own": {"concurrency": 2}}})
    shared, _ = app.make_workers(Choice(), None)[0].plan.pools
    assert (shared.queues, shared.weights) == (("mail", "default"), (3, 1))


async def test_a_weight_means_nothing_in_strict_order() -> None:
    app = one_store(**{"queue.queues": {"mail": {"weight": 3}}})
    with pytest.raises(ConfigurationError, match=r"queue\.queues\.mail\.weight means nothing in strict order"):
        app.make_workers(Choice(strict_order=True), None)


def test_jobs_for_two_stores_do_not_go_in_one_call() -> None:
    app = two_stores()
    drafts = [app.get(name).draft() for name in ("here", "there")]
    with pytest.raises(EnqueueError, match="several stores"):
        app.enqueue_many(drafts)


def test_the_default_queue_is_served_unasked_only_where_nobody_elses_jobs_can_be_in_the_way() -> None:
    app: Stoker[Any] = Stoker("memory://")

    @app.job(queue="python")
    def lone() -> None: ...

    settings, jobs = app.settings, app.performable
    assert plan_worker(jobs, settings, Choice()).queues == ("default", "python")
    assert plan_worker(jobs, settings, Choice(), selective=False).queues == ("python",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"queue": ["mail"]}, "work: unknown option 'queue'; there are: queues, exclude_queues"),
        ({"processes": 2}, "work: unknown option 'processes'"),
        ({"queues": "mail"}, r"work: queues='mail' is one text: write a list, queues=\['mail'\]"),
        ({"tags": "gpu"}, "work: tags='gpu' is one text"),
        ({"concurrency": 0}, "work: Expected `int` >= 1 - at `\\$.concurrency`"),
        ({"concurrency": "5"}, "work: Expected `int . null`, got `str`"),
        ({"grace": -1}, "work: grace: -1 is out of range"),
        ({"grace": "soon"}, "work: grace: 'soon' is not a duration"),
        ({"queues": ["m l"]}, "queue: 'm l': write"),
    ],
)
def test_what_a_worker_is_told_in_code_is_checked(options: Any, message: str) -> None:
    app = Stoker("sqlite:///jobs.sqlite3")
    app.job(name="note")(print_nothing)
    with pytest.raises((ConfigurationError, DefinitionError), match=message):
        app.work(until_empty=True, **options)


def test_grace_is_a_duration() -> None:
    assert Choice.of({"grace": "1m"}).grace == 60.0
    assert Choice.of({"grace": 2.5}).grace == 2.5


def print_nothing() -> None: ...
