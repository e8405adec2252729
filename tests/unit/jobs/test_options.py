"""Options are checked where they are said, and merged in one place: enqueue over definition over settings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stoker.core.backoff import exponential
from stoker.core.job import Due, JobId, NewJob
from stoker.errors import DefinitionError
from stoker.jobs.checks import FOREVER
from stoker.jobs.options import Defaults, EnqueueTerms, JobRules, Retention, merge
from stoker.jobs.unique import Unique
from tests.unit.jobs.rig import Jobs

DAY = 86_400_000_000


def send(user_id: int) -> None: ...


def test_without_options_the_settings_decide(app: Jobs) -> None:
    job = app.job(send)
    job.enqueue(1)

    assert app.last == NewJob("send", '{"user_id":1}')

    app.shelf.defaults = Defaults(queue="q", max_attempts=3, crash_limit=1, keep=None, keep_failed=0)
    job.enqueue(1)

    assert app.last == NewJob(
        "send", '{"user_id":1}', queue="q", max_attempts=3, crash_limit=1, keep=None, keep_failed=0
    )
    assert job.queue == "q"


def test_the_definition_wins_over_the_settings(app: Jobs) -> None:
    job = app.job(
        name="mail.send",
        queue="mail",
        priority=-100,
        max_attempts=1,
        crash_limit=5,
        labels=["a", "b", "a"],
        meta={"k": [1]},
        keep="forever",
        keep_failed="2d",
        store="other",
    )(send)

    job.enqueue(1)

    assert app.last == NewJob(
        "mail.send",
        '{"user_id":1}',
        queue="mail",
        priority=-100,
        max_attempts=1,
        crash_limit=5,
        labels=("a", "b"),
        meta='{"k":[1]}',
        keep=None,
        keep_failed=2 * DAY,
    )
    assert (job.queue, job.store, job.draft(1).store, job.handle("7").store) == ("mail", "other", "other", "other")


def test_the_enqueue_wins_over_the_definition_and_adds_labels_and_meta(app: Jobs) -> None:
    job = app.job(queue="mail", priority=1, labels=["a"], meta={"k": 1, "l": 2}, keep="forever")(send)

    changed = job.using(
        delay="5m",
        queue="other",
        priority=0,
        max_attempts=2,
        labels=["b"],
        meta={"l": 3},
        keep=0,
        keep_failed="forever",
        store="s",
    )
    changed.enqueue(1)

    assert app.last == NewJob(
        "send",
        '{"user_id":1}',
        queue="other",
        priority=0,
        due=Due(300_000_000),
        max_attempts=2,
        labels=("a", "b"),
        meta='{"k":1,"l":3}',
        keep=0,
        keep_failed=None,
    )
    assert (changed.queue, changed.store) == ("other", "s")


def test_using_changes_the_copy_only_and_may_be_said_twice(app: Jobs) -> None:
    job = app.job(send)

    job.using(delay=1, labels=["a"]).using(priority=5, labels=["b"]).enqueue(1)
    assert (app.last.due, app.last.priority, app.last.labels) == (Due(1_000_000), 5, ("a", "b"))

    job.using(delay=1).using(at=datetime(2030, 1, 1, tzinfo=UTC)).enqueue(1)
    assert app.last.due == Due(at=1_893_456_000_000_000)

    job.enqueue(1)
    assert app.last == NewJob("send", '{"user_id":1}')


def test_none_means_inherit_everywhere(app: Jobs) -> None:
    nothing: Any = dict.fromkeys(["queue", "priority", "max_attempts", "labels", "meta", "keep", "unique", "store"])
    job = app.job(**nothing, timeout=None, backoff=None, retry_on=None, name=None)(send)

    job.using(**nothing, delay=None, at=None, transaction=None).enqueue(1)

    assert app.last == NewJob("send", '{"user_id":1}')


def test_the_transaction_goes_to_the_backend_and_not_into_the_job(app: Jobs) -> None:
    session = object()

    app.job(send).using(transaction=session).enqueue(1)

    assert app.shelf.transactions == [session]
    assert app.last == NewJob("send", '{"user_id":1}')


async def test_aenqueue_does_what_enqueue_does(app: Jobs) -> None:
    session = object()

    handle = await app.job(send).using(transaction=session, priority=3).aenqueue(1)

    assert (handle.id, handle.name) == ("1", "send")
    assert app.shelf.transactions == [session]
    assert app.last.priority == 3


def test_jobs_enqueued_while_performing_carry_their_line(app: Jobs) -> None:
    job = app.job(send).draft(1).new_job(Defaults(), JobId("5"), JobId("2"))

    assert (job.parent, job.root) == ("5", "2")


def test_tags_make_one_route_however_they_are_written(app: Jobs) -> None:
    job = app.job(tags=["gpu", "eu", "gpu"])(send)
    job.enqueue(1)
    assert app.last.route == "eu,gpu"

    job.using(tags=["ssd"]).enqueue(1)
    assert app.last.route == "ssd"

    job.using(tags=[]).enqueue(1)
    assert app.last.route == ""

    job.using(tags=None).enqueue(1)
    assert app.last.route == "eu,gpu"


BAD_FOR_JOBS: list[tuple[Mapping[str, object], str]] = [
    ({"queu": "mail"}, "send: unknown option 'queu'; did you mean 'queue'?"),
    ({"max_retries": 3}, "send: unknown option 'max_retries'; did you mean 'max_attempts'?"),
    ({"soft_time_limit": 3}, "send: unknown option 'soft_time_limit'; did you mean 'timeout'?"),
    ({"tags": ["a,b"]}, "send: tags: 'a,b': write 1 to 200 letters, digits and . _ - : /"),
    ({"tags": "gpu"}, "send: tags: 'gpu': write a list of texts"),
    ({"tags": [""]}, "send: tags: ''"),
    ({"delay": 5}, "send: delay= belongs to an enqueue, not to the job: send.using(delay=…)"),
    ({"queue": ""}, "send: queue: '': write 1 to 200 letters, digits"),
    ({"queue": "mail:10"}, "queue: 'mail:10'"),
    ({"queue": "a,b"}, "queue: 'a,b'"),
    ({"queue": 3}, "queue: 3"),
    ({"name": "a b"}, "name: 'a b': write 1 to 200 letters"),
    ({"aliases": "old"}, "aliases: 'old': write a list of texts"),
    ({"aliases": ["a b"]}, "aliases: 'a b'"),
    ({"priority": 101}, "priority: 101: write an integer from -100 to 100"),
    ({"priority": True}, "priority: True: write an integer"),
    ({"priority": 1.5}, "priority: 1.5: write an integer"),
    ({"max_attempts": 0}, "max_attempts: 0: write an integer of at least 1"),
    ({"crash_limit": 0}, "crash_limit: 0"),
    ({"max_snoozes": -1}, "max_snoozes: -1: write an integer of at least 0"),
    ({"timeout": "30 secs"}, "send: timeout: '30 secs' is not a duration"),
    ({"timeout": 0}, 'timeout: 0: write a duration above 0, or "none" for no limit'),
    ({"timeout": -1}, "timeout: -1 is out of range"),
    ({"keep": "never"}, "keep: 'never' is not a duration"),
    ({"backoff": "1s"}, "backoff: '1s': write exponential()"),
    ({"backoff": exponential}, "gave no duration for 1 failure"),
    ({"backoff": lambda: 1}, "gave no duration for 1 failure"),
    ({"retry_on": "OSError"}, "retry_on: 'OSError': write an exception class or a list"),
    ({"retry_on": [int]}, "retry_on: <class 'int'> is not an exception class"),
    ({"discard_on": int}, "is not an exception class"),
    ({"unique": "user_id"}, "unique: 'user_id': write True, False or Unique(…)"),
    ({"labels": "a"}, "labels: 'a': write a list of texts"),
    ({"labels": [""]}, "labels: '': write a printable text"),
    ({"meta": []}, "meta: []: write a dict with texts as keys"),
    ({"meta": {1: 2}}, "write a dict with texts as keys"),
    ({"meta": {"a": [float("nan")]}}, "send: meta: `meta.a[0]`: nan is not JSON"),
    ({"meta": {"at": timedelta(1)}}, "`meta.at`: `timedelta` would arrive as `str`"),
    ({"meta": {"x": print}}, "`meta.x`: `builtin_function_or_method` is not a type"),
]


@pytest.mark.parametrize(("options", "complaint"), BAD_FOR_JOBS, ids=[one[1] for one in BAD_FOR_JOBS])
def test_a_bad_option_is_a_definition_error_that_says_what_to_write(app: Jobs, options: Any, complaint: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        app.job(**options)(send)

    assert complaint in str(refused.value)
    assert app.definitions == ()


BAD_FOR_ENQUEUES: list[tuple[Mapping[str, object], str]] = [
    ({"dely": 1}, "send: unknown option 'dely'; did you mean 'delay'?"),
    ({"countdown": 1}, "send: unknown option 'countdown'; did you mean 'delay'?"),
    ({"ttl": 1}, "send: unknown option 'ttl'; did you mean 'expires'?"),
    ({"timeout": 1}, "send: timeout= belongs to the job, not to one enqueue: @app.job(timeout=…)"),
    ({"tags": ["x y"]}, "send: tags: 'x y'"),
    ({"delay": "soon"}, "send: delay: 'soon' is not a duration"),
    ({"delay": timedelta(-1)}, "delay: datetime.timedelta(days=-1) is out of range"),
    ({"delay": 1, "at": datetime(2030, 1, 1, tzinfo=UTC)}, "send: delay= and at= exclude each other"),
    ({"at": datetime(2030, 1, 1)}, "has no time zone"),  # noqa: DTZ001 naive on purpose
    ({"at": "2030-01-01"}, "write an aware datetime"),
    ({"priority": -101}, "priority: -101"),
    ({"unique": Unique(by="usr_id")}, "send: Unique(by=…) names 'usr_id', which is not a parameter; it has user_id"),
]


@pytest.mark.parametrize(("options", "complaint"), BAD_FOR_ENQUEUES, ids=[one[1] for one in BAD_FOR_ENQUEUES])
def test_a_bad_option_of_an_enqueue_is_refused_at_once(app: Jobs, options: Any, complaint: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        app.job(send).using(**options)

    assert complaint in str(refused.value)


def test_a_time_in_the_past_is_allowed_and_means_at_once(app: Jobs) -> None:
    app.job(send).using(at=datetime(2001, 1, 1, tzinfo=UTC)).enqueue(1)

    assert app.last.due.resolve(10**18) < 10**18


def test_a_queue_may_keep_its_jobs_for_longer_than_the_settings_say() -> None:
    defaults = Defaults(keep=1, keep_failed=2, retention={"audit": Retention(keep=FOREVER)})
    audit = merge(JobRules(queue="audit"), EnqueueTerms(), defaults)
    mail = merge(JobRules(queue="mail"), EnqueueTerms(), defaults)
    assert (audit.keep, audit.keep_failed) == (None, 2)
    assert (mail.keep, mail.keep_failed) == (1, 2)


def test_what_a_job_says_of_keeping_wins_over_its_queue() -> None:
    defaults = Defaults(retention={"audit": Retention(keep=FOREVER, keep_failed=5)})
    merged = merge(JobRules(queue="audit", keep=7), EnqueueTerms(keep_failed=8), defaults)
    assert (merged.keep, merged.keep_failed) == (7, 8)
