"""Middleware around enqueue and around attempts: what it may do, and what it is told when it does it wrongly."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stoker import Cancel, Context, Middleware, NewJob, Stoker, Unique
from stoker.errors import ArgumentsError, DefinitionError, EnqueueError, JobCancelled
from stoker.jobs.middleware import CallNext
from stoker.testing import sandbox


class Traces(Middleware):
    """Sends something along, and picks it up again."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def enqueue(self, job: NewJob) -> NewJob:
        return job.changed(meta={"trace": "abc"})

    async def perform(self, context: Context[Any], call_next: CallNext) -> object:
        self.seen.append(context.meta["trace"])
        return await call_next()


class Makes(Middleware):
    """Makes something else of every job."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def enqueue(self, job: NewJob) -> NewJob:
        return job.changed(**self.fields)


def opened(*layers: Middleware) -> tuple[Stoker[Any], Any]:
    app: Stoker[Any] = Stoker("memory://", middleware=layers)

    @app.job
    def mail(user: int, text: str = "hi") -> str:
        return f"{text} {user}"

    return app, mail


def test_every_way_to_enqueue_goes_through_it() -> None:
    app, mail = opened(Makes(queue="other"))
    with sandbox(app) as box:
        mail.enqueue(1)
        app.enqueue_many([mail.draft(1)])
        app.enqueue_by_name("mail", [1])
        asyncio.run(mail.aenqueue(1))
        asyncio.run(app.aenqueue_many([mail.draft(1)]))
        box.assert_enqueued(mail, queue="other", count=5)


def test_the_layers_follow_each_other() -> None:
    class Appends(Middleware):
        def __init__(self, label: str) -> None:
            self.label = label

        def enqueue(self, job: NewJob) -> NewJob:
            return job.changed(labels=(*job.labels, self.label))

    app, mail = opened(Appends("a"), Appends("b"))
    with sandbox(app) as box:
        mail.enqueue(1)
        assert box.assert_enqueued(mail).labels == ("a", "b")


def test_what_is_sent_along_is_there_in_every_attempt_sync_and_async() -> None:
    traces = Traces()
    app, mail = opened(traces)

    @app.job
    async def follow() -> str:
        return "done"

    with sandbox(app) as box:
        handles = [mail.using(meta={"mine": 1}).enqueue(1), follow.enqueue()]
        box.drain()
        assert [handle.result(timeout=0) for handle in handles] == ["hi 1", "done"]
        box.assert_enqueued(mail, meta={"mine": 1, "trace": "abc"})
    assert traces.seen == ["abc", "abc"]


def test_a_veto_reaches_the_caller_and_nothing_of_the_call_is_stored() -> None:
    class Vetoes(Middleware):
        def enqueue(self, job: NewJob) -> NewJob:
            if '"user":2' in job.args:
                raise PermissionError("not for user 2")
            return job

    app, mail = opened(Vetoes())
    with sandbox(app) as box:
        with pytest.raises(PermissionError, match="not for user 2"):
            app.enqueue_many([mail.draft(1), mail.draft(2)])
        box.refute_enqueued(mail)


def test_changed_arguments_are_checked_like_a_callers() -> None:
    app, mail = opened(Makes(args='{"user":7}'))
    with sandbox(app) as box:
        mail.enqueue(1)
        box.assert_enqueued(mail, args={"user": 7})
    for args, message in (('{"user":"x"}', "argument `user`"), ("nonsense", "not JSON")):
        app, mail = opened(Makes(args=args))
        with sandbox(app), pytest.raises(ArgumentsError, match=message):
            mail.enqueue(1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queue": "q q"}, "mail: Makes: queue: 'q q'"),
        ({"priority": 1000}, "mail: Makes: priority: 1000"),
        ({"labels": "acme"}, "mail: Makes: labels: 'acme': write a list of texts"),
        ({"max_attempts": 0}, "mail: Makes: max_attempts: 0"),
    ],
)
def test_changed_options_are_checked_like_a_callers(changes: dict[str, Any], message: str) -> None:
    app, mail = opened(Makes(**changes))
    with sandbox(app), pytest.raises(DefinitionError, match=message):
        mail.enqueue(1)


def test_changed_labels_may_be_a_list() -> None:
    app, mail = opened(Makes(labels=["acme"]))
    with sandbox(app):
        assert mail.enqueue(1).fetch().labels == ("acme",)


def test_changed_arguments_are_bounded_like_a_callers() -> None:
    app: Stoker[Any] = Stoker(
        "memory://", middleware=[Makes(args='{"text":"' + "x" * 200 + '"}')], settings={"jobs": {"max_args": 100}}
    )

    @app.job
    def takes(text: str) -> None: ...

    with sandbox(app), pytest.raises(ArgumentsError, match="at most 100"):
        takes.enqueue("short")


def test_changed_arguments_make_the_unique_key_that_fits_them() -> None:
    app, mail = opened(Makes(args='{"user":7}'))
    with sandbox(app):
        unique = mail.using(unique=Unique(by="user"))
        assert unique.enqueue(1) == unique.enqueue(2)


def test_the_name_cannot_be_changed() -> None:
    app, mail = opened(Makes(name="other"))
    with sandbox(app), pytest.raises(EnqueueError, match="made a job named 'other' of it"):
        mail.enqueue(1)


def test_a_layer_that_gives_nothing_back_is_told() -> None:
    class Forgets(Middleware):
        def enqueue(self, job: NewJob) -> NewJob:
            return None  # type: ignore[return-value]

    app, mail = opened(Forgets())
    with sandbox(app), pytest.raises(EnqueueError, match=r"Forgets.enqueue gave None .* return the job"):
        mail.enqueue(1)


# -- around attempts ---------------------------------------------------------------------------------------------------


def performed(layer: Middleware) -> Any:
    app, mail = opened(layer)
    with sandbox(app) as box:
        return box.perform(mail, 1)


def test_a_layer_may_answer_in_place_of_the_handler() -> None:
    class Answers(Middleware):
        async def perform(self, context: Context[Any], call_next: CallNext) -> object:
            return "from a cache"

    assert performed(Answers()) == "from a cache"


def test_a_layer_may_raise_a_signal() -> None:
    class Cancels(Middleware):
        async def perform(self, context: Context[Any], call_next: CallNext) -> object:
            raise Cancel("not today")

    with pytest.raises(Cancel, match="not today"):
        performed(Cancels())


def test_a_layer_that_raises_fails_the_attempt_only() -> None:
    class Breaks(Middleware):
        async def perform(self, context: Context[Any], call_next: CallNext) -> object:
            await call_next()
            raise ValueError("afterwards")

    app, mail = opened(Breaks())
    with sandbox(app) as other:
        handle = mail.enqueue(1)
        assert other.drain(raise_errors=False).retryable == 1
        assert handle.fetch().errors[0].message == "afterwards"


def test_a_layer_that_forgets_to_await_is_told() -> None:
    class Forgets(Middleware):
        async def perform(self, context: Context[Any], call_next: CallNext) -> object:
            return call_next()

    with pytest.raises(RuntimeError, match=r"write return await call_next\(\)"):
        performed(Forgets())


def test_a_layer_that_calls_twice_is_told() -> None:
    class Twice(Middleware):
        async def perform(self, context: Context[Any], call_next: CallNext) -> object:
            await call_next()
            return await call_next()

    with pytest.raises(RuntimeError, match=r"Twice.perform called call_next\(\) twice"):
        performed(Twice())


def test_it_stands_around_jobs_in_the_foreground_too() -> None:
    traces = Traces()
    app: Stoker[Any] = Stoker(settings={"workers": {"mode": "foreground"}}, middleware=[traces])

    @app.job
    def noop() -> None:
        raise Cancel("enough")

    with pytest.raises(JobCancelled):
        noop.enqueue()
    assert traces.seen == ["abc"]


# -- definitions -------------------------------------------------------------------------------------------------------


class SyncPerform(Middleware):
    def perform(self, context: Any, call_next: Any) -> Any:
        return None


class AsyncEnqueue(Middleware):
    async def enqueue(self, job: NewJob) -> NewJob:  # type: ignore[override]
        return job


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([Traces], r"Traces is a class: write Traces\(\)"),
        ([print], "is no Middleware: make a class of stoker.Middleware"),
        (Traces(), r"write a list, middleware=\[Traces"),
        (object(), "write a list of layers, each a stoker.Middleware"),
        ([SyncPerform()], "write async def perform"),
        ([AsyncEnqueue()], "write def enqueue"),
    ],
)
def test_what_is_no_middleware_is_refused_when_the_application_is_made(given: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        Stoker("memory://", middleware=given)
