"""Limits and rates as definitions say them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stoker import Limit, Rate, Stoker
from stoker.core.limits import Gate
from stoker.errors import ConfigurationError, DefinitionError


def keys(draft: Any, app: Stoker[Any]) -> list[str]:
    return [gate.key for gate in draft.new_job(app.defaults).gates]


@pytest.fixture
def app() -> Stoker[None]:
    return Stoker("memory://")


def test_the_most_particular_gates_come_first(app: Stoker[None]) -> None:
    @app.job(limit=[Limit(10), Limit(3, by=["tenant", "kind"])], rate=Rate(5, per="1s", by="tenant"))
    def send(tenant: str, kind: str = "a") -> None: ...

    assert keys(send.draft("acme"), app) == [
        'job send limit by kind,tenant=["a","acme"]',
        'job send rate by tenant=["acme"]',
        "job send limit=",
    ]


def test_a_long_or_unreadable_value_is_hashed(app: Stoker[None]) -> None:
    @app.job(limit=Limit(1, by="text"))
    def send(text: str) -> None: ...

    (long,), (other,) = keys(send.draft("x" * 200), app), keys(send.draft("y" * 200), app)
    assert long.startswith("job send limit by text=#")
    assert len(long) < 70
    assert long != other
    assert "\n" not in keys(send.draft("a\nb"), app)[0]


def test_a_queue_has_gates_of_its_own() -> None:
    app = Stoker("memory://", settings={"queue": {"queues": {"mail": {"limit": 4, "rate": "100/1m"}}}})

    @app.job(queue="mail")
    def send() -> None: ...

    assert keys(send.draft(), app) == ["queue mail limit=", "queue mail rate="]
    assert keys(send.using(queue="other").draft(), app) == []


def test_a_strict_limit_says_so(app: Stoker[None]) -> None:
    @app.job(limit=Limit(1, by="key", order="strict"))
    def step(key: int) -> None: ...

    assert step.draft(1).new_job(app.defaults).gates == (Gate("job step limit by key=[1]", True),)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Limit(0), "Limit: 0: write how many may run at once, 1 to 1000000"),
        (lambda: Limit(True), "Limit: True"),
        (lambda: Limit(1, by=[]), "write the name of a parameter"),
        (
            lambda: Limit(1, order="fifo"),  # type: ignore[arg-type]
            'choose "available" or "strict"',
        ),
        (lambda: Rate(0, per="1m"), "how many may start in a period"),
        (lambda: Rate(1, per="0s"), "a duration above 0, at most 31 days"),
        (lambda: Rate(1, per="60d"), "at most 31 days"),
        (lambda: Rate(1, per="soon"), "soon"),
    ],
)
def test_a_wrong_limit_is_refused_with_what_to_write(make: Callable[[], object], said: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        make()
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limit": Limit(1, by="tenent")}, "Limit(by=…) names 'tenent', which is no parameter; it has tenant"),
        ({"rate": Rate(1, per="1s", by="x")}, "Rate(by=…) names 'x'"),
        ({"limit": "three"}, "limit: 'three': write Limit(3, by=…), or a list of them"),
        ({"rate": 3}, 'rate: 3: write Rate(100, per="1m", by=…)'),
        ({"limit": [Limit(1), Limit(2)]}, "two of them tell the same arguments apart (none)"),
    ],
)
def test_a_wrong_option_is_refused_when_the_job_is_defined(
    app: Stoker[None], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(DefinitionError) as refused:

        @app.job(name="send", **options)
        def send(tenant: str) -> None: ...

    assert said in str(refused.value)


def test_a_wrong_rate_in_the_settings_is_refused_with_its_key() -> None:
    app = Stoker("memory://", settings={"queue": {"queues": {"mail": {"rate": "fast"}}}})
    with pytest.raises(ConfigurationError, match=r"queue.queues.mail.rate: 'fast': write starts and period"):
        _ = app.defaults


def test_middleware_that_changes_arguments_or_queue_changes_the_gates() -> None:
    from stoker import Middleware, NewJob

    class Moves(Middleware):
        def enqueue(self, job: NewJob) -> NewJob:
            return job.changed(args='{"tenant":"zoo"}', queue="mail")

    app = Stoker("memory://", settings={"queue": {"queues": {"mail": {"limit": 4}}}}, middleware=[Moves()])

    @app.job(limit=Limit(1, by="tenant"))
    def send(tenant: str) -> None: ...

    handle = send.enqueue("acme")
    assert handle.fetch().limits == ('job send limit by tenant=["zoo"]', "queue mail limit")
    assert handle.fetch().waits_for_limit
