"""What becomes of the many ways in which Celery's API is written, and what is left to do by hand."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest

from stoker.convert.celery import convert
from stoker.convert.report import Conversion
from stoker.errors import ConfigurationError

HEAD: Final = """\
from celery import Celery, Task, chain, chord, group, signature
from celery.result import AsyncResult
from celery.schedules import crontab, schedule, solar
from datetime import timedelta

app = Celery("p")


@app.task(autoretry_for=(Exception,), retry_backoff=2, retry_jitter=False)
def work(x=0, y=0):
    pass


"""
TASKS: Final = {
    "@app.task": "@app.job(max_attempts=1)",
    "@app.task()": "@app.job(max_attempts=1)",
    '@app.task(name="a.b")': '@app.job(name="a.b", max_attempts=1)',
    '@app.task(queue="q", priority=3, expires=60)': '@app.job(queue="q", priority=3, expires=60, max_attempts=1)',
    "@app.task(autoretry_for=(OSError, KeyError))": (
        "@app.job(max_attempts=4, retry_on=(OSError, KeyError), backoff=fixed(180))"
    ),
    "@app.task(autoretry_for=(Exception,), dont_autoretry_for=(KeyError,), max_retries=LIMIT)": (
        "@app.job(max_attempts=LIMIT + 1, discard_on=(KeyError,), backoff=fixed(180))"
    ),
    "@app.task(autoretry_for=(Exception,), retry_backoff=5, retry_backoff_max=700, retry_jitter=False)": (
        "@app.job(max_attempts=4, backoff=exponential(5, maximum=700))"
    ),
    '@app.task(autoretry_for=(OSError,), retry_kwargs={"max_retries": 1, "countdown": 5})': (
        "@app.job(max_attempts=2, retry_on=(OSError,), backoff=fixed(5))"
    ),
    '@app.task(rate_limit="100/h")': '@app.job(max_attempts=1, rate=Rate(100, per="1h"))',
    "@app.task(rate_limit=5)": '@app.job(max_attempts=1, rate=Rate(5, per="1s"))',
    "@app.task(time_limit=30, soft_time_limit=20)": "@app.job(max_attempts=1, timeout=20)",
    '@app.task(acks_late=True, ignore_result=True, track_started=True, serializer="json")': "@app.job(max_attempts=1)",
}
CALLS: Final = {
    "work.delay(1, y=2)": "work.enqueue(1, y=2)",
    "work.delay(*args, **kwargs)": "work.enqueue(*args, **kwargs)",
    "work.apply_async()": "work.enqueue()",
    "work.apply_async((1, 2))": "work.enqueue(1, 2)",
    'work.apply_async([1], {"y": 2}, countdown=10)': "work.using(delay=10).enqueue(1, y=2)",
    "work.apply_async(args=args, kwargs=kwargs, eta=when)": "work.using(at=when).enqueue(*args, **kwargs)",
    'work.apply_async(kwargs={"not-a-name": 1}, queue="q", priority=9, expires=5, retry=False)': (
        'work.using(queue="q", priority=9, expires=5).enqueue(**{"not-a-name": 1})'
    ),
    "print(work.delay(1).get(timeout=3))": "print(work.enqueue(1).result(timeout=3))",
    "handle = work.delay(1); print(handle.get())": "handle = work.enqueue(1); print(handle.result(timeout=None))",
    'app.send_task("p.work", args=[1, 2], queue="q")': 'app.enqueue_by_name("work", [1, 2], queue="q")',
    'app.send_task("p.work", kwargs={"x": 1})': 'app.enqueue_by_name("work", {"x": 1})',
    "group(work.s(1), work.s(2))()": "app.enqueue_many([work.draft(1), work.draft(2)])",
    "group([work.s(n) for n in range(3)]).apply_async()": "app.enqueue_many([work.draft(n) for n in range(3)])",
    'group(work.s(1).set(queue="q")).delay()': 'app.enqueue_many([work.using(queue="q").draft(1)])',
    "chain(work.s(1), work.si(2)).delay()": "app.start(chain(work.draft(1), work.draft(2)))",
    "(work.si(1) | work.si(2) | work.si(3))()": "app.start(chain(work.draft(1), work.draft(2), work.draft(3)))",
    "work.s(1).apply_async()": "work.enqueue(1)",
    "work.signature((1,), {'y': 2}, countdown=9).delay()": "work.using(delay=9).enqueue(1, y=2)",
    "flow = chain(work.s(1), work.s(2))()": (
        "flow = Workflow()\nstep1 = flow.add(work, 1)\nstep2 = flow.add(work, step1.result, 2)\nflow = app.start(flow)"
    ),
    "chord([work.s(1), work.s(2)], work.si(3))()": (
        "with app.batch(on_success=work.draft(3)) as batch:\n    batch.add(*[work.draft(1), work.draft(2)])"
    ),
    "(group(work.s(n) for n in numbers) | work.s())()": (
        "flow = Workflow()\nsteps = [flow.add(work, n) for n in numbers]\n"
        "flow.add(work, [step.result for step in steps])\napp.start(flow)"
    ),
}
BOUND: Final = {
    "raise self.retry(exc=error)": "raise Retry(reason=str(error)) from error",
    "raise self.retry(exc=error, countdown=60)": "raise Retry(60, str(error)) from error",
    "self.retry(countdown=2 ** self.request.retries)": "raise Retry(2 ** (ctx.attempt - 1))",
    "return self.retry()": "raise Retry()",
    "print(self.request.id, self.name, self.max_retries)": "print(ctx.id, ctx.name, (ctx.max_attempts - 1))",
}
ENTRIES: Final = {
    "crontab()": 'app.periodic("* * * * *", work.draft(), name="e")',
    'crontab(minute="*/15", hour=7, day_of_week="mon-fri")': (
        'app.periodic("*/15 7 * * mon-fri", work.draft(), name="e")'
    ),
    "30.0": 'app.periodic(work.draft(), every=30, name="e")',
    "timedelta(hours=1, seconds=30)": 'app.periodic(work.draft(), every=3630, name="e")',
    "schedule(run_every=5)": 'app.periodic(work.draft(), every=5, name="e")',
}
LEFT: Final = {
    "work.apply_async(link=work.s())": "work.apply_async(link=work.s()): link=work.s(): chain",
    "work.apply_async(task_id='x')": "task_id='x': ids are the store's",
    "work.apply_async(**options)": "options that are made at run time",
    "AsyncResult('x').get()": "celery.result.AsyncResult is still used: app.handle(id)",
    "sig = work.s(1)": "work.s: job.draft",
    "chain(*parts)()": "its steps are not known before it runs",
    "work.map([1])": "work.map: app.enqueue_many",
    "app.control.revoke('x')": "app.control: stoker jobs cancel",
    "app.send_task('elsewhere')": "send_task('elsewhere'): no such task was found here",
    "app.conf.task_routes = {}": "task_routes={}: queue= in @app.job",
    "app.conf.beat_schedule = {'e': {'task': 'p.work', 'schedule': solar('dusk', 1, 2)}}": "'e': schedule solar",
    "app.conf.beat_schedule = {'e': {'task': 'q.w', 'schedule': 1}}": "beat entry 'e': its task was not found here",
    "app.conf.beat_schedule = {'e': {'task': 'p.work', 'schedule': crontab(day_of_month=1, day_of_week=1)}}": (
        "Celery wants both days to fit"
    ),
    "@app.task(base=Task)\ndef other(): pass": "base=Task: a task class has no counterpart",
    "@app.task(max_retries=None, autoretry_for=(OSError,))\ndef other(): pass": "max_retries=None: there is",
    "@app.task(bind=True)\ndef other(self):\n    self.retry(args=[1])": "self.retry: args=: raise Retry(delay)",
    "@app.task(bind=True)\ndef other(self):\n    self.update_state(state='X')": "self.update_state: ctx.progress",
    "@app.on_after_configure.connect\ndef setup(sender, **kwargs): pass": "app.on_after_configure: app.periodic",
}


def of(tmp_path: Path, text: str) -> tuple[str, Conversion]:
    """Convert a module; give what became of what stands behind its head."""
    file = tmp_path / "p.py"
    file.write_text(HEAD + text, encoding="utf-8")
    found = convert([file])
    (changed,) = found.files
    return changed.new.partition("    pass\n\n\n")[2].strip(), found


@pytest.mark.parametrize(("before", "after"), TASKS.items())
def test_a_task_becomes_a_job(tmp_path: Path, before: str, after: str) -> None:
    text, found = of(tmp_path, f"{before}\ndef other(): ...\n")

    assert text == f"{after}\ndef other(): ..."
    assert (found.left, found.jobs) == (0, 2)


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What all the calls became, converted in one file: that takes a while."""
    text, found = of(tmp_path_factory.mktemp("calls"), "".join(f"# -- {before}\n{before}\n" for before in CALLS))
    assert found.left == 0
    return dict(one.split("\n", 1) for one in text.removeprefix("# -- ").split("\n# -- "))


@pytest.mark.parametrize(("before", "after"), CALLS.items())
def test_a_call_is_rewritten(calls: dict[str, str], before: str, after: str) -> None:
    assert calls[before] == after


@pytest.mark.parametrize(("before", "after"), BOUND.items())
def test_what_a_bound_task_asks_of_itself_its_context_knows(tmp_path: Path, before: str, after: str) -> None:
    text, found = of(tmp_path, f"@app.task(bind=True)\ndef other(self, n):\n    {before}\n")

    assert text.partition("\n")[2] == f"def other(ctx: Context, n):\n    {after}"
    assert found.left == 0


@pytest.mark.parametrize(("when", "after"), ENTRIES.items())
def test_a_beat_entry_becomes_a_periodic_one(tmp_path: Path, when: str, after: str) -> None:
    text, found = of(tmp_path, f"app.conf.beat_schedule = {{'e': {{'task': 'p.work', 'schedule': {when}}}}}\n")

    assert text == after
    assert found.left == 0


def test_the_name_of_an_entry_is_made_one_that_stoker_takes(tmp_path: Path) -> None:
    text, _ = of(tmp_path, "app.conf.beat_schedule = {'add every 10 s!': {'task': 'p.work', 'schedule': 10}}\n")

    assert text == 'app.periodic(work.draft(), every=10, name="add-every-10-s")'


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What is said of all that cannot be moved, by line."""
    number = iter(range(len(LEFT)))
    text = "".join(before.replace("def other", f"def other{next(number)}") + "\n" for before in LEFT)
    _, found = of(tmp_path_factory.mktemp("left"), text)
    return [f"{one.path}:{one.line}: {one.what}: {one.advice}" for one in found.remarks if one.kind == "left"]


@pytest.mark.parametrize(("before", "said"), LEFT.items())
def test_what_cannot_be_moved_stays_and_is_told_with_its_line(left: list[str], before: str, said: str) -> None:
    told = [one for one in left if said.partition(": ")[2] in one or said in one]
    assert told, left


def test_what_a_variable_holds_is_put_where_it_is_run(tmp_path: Path) -> None:
    text, found = of(
        tmp_path,
        """\
def f(numbers):
    header = [work.s(n) for n in numbers]
    callback = work.s(0)
    return chord(header)(callback)


def g():
    pipeline = chain(work.si(1), work.si(2))
    print("go")
    pipeline.apply_async()


def h():
    kept = group(work.s(1))
    print(kept)
    kept()
""",
    )

    assert text == dedent("""\
        def f(numbers):
            flow = Workflow()
            steps = [flow.add(work, n) for n in numbers]
            flow.add(work, [step.result for step in steps], 0)
            return app.start(flow)


        def g():
            print("go")
            app.start(chain(work.draft(1), work.draft(2)))


        def h():
            kept = group(work.s(1))
            print(kept)
            kept()""")
    assert [(one.line, one.what) for one in found.remarks if one.kind == "left"] == [
        (1, "celery.group is still used"),
        (HEAD.count("\n") + 14, "work.s"),
    ]


def test_tasks_of_an_application_that_was_not_found_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("celery = make_celery()\n\n@celery.task\ndef send(): ...\n")

    (left,) = convert([tmp_path]).remarks
    assert (left.line, left.kind, "was not found" in left.what) == (3, "left", True)


def test_results_of_a_name_that_holds_a_handle_are_asked_of_it(tmp_path: Path) -> None:
    text, found = of(tmp_path, "def f():\n    job = work.delay(1)\n    job.revoke()\n    return job.get(timeout=2)\n")

    assert text == "def f():\n    job = work.enqueue(1)\n    job.cancel()\n    return job.result(timeout=2)"
    assert found.calls == 3


def test_what_is_no_task_of_the_project_is_left_alone(tmp_path: Path) -> None:
    text, found = of(tmp_path, "import other\n\nother.thing.delay(1)\ntimer = object()\ntimer.delay(2)\n")

    assert text.endswith("other.thing.delay(1)\ntimer = object()\ntimer.delay(2)")
    assert (found.left, [remark.kind for remark in found.remarks]) == (0, ["note"])


def test_tasks_of_one_name_keep_the_names_that_celery_gave_them(tmp_path: Path) -> None:
    for module in ("a", "b"):
        (tmp_path / f"{module}.py").write_text("from celery import shared_task\n\n@shared_task\ndef send(): ...\n")

    found = convert([tmp_path], "base:jobs")
    assert sorted(file.new for file in found.files) == [
        dedent("""\
            from base import jobs
            from celery_free import nothing
            """).replace("from celery_free import nothing\n", "")
        + f'\n@jobs.job(name="{module}.send", max_attempts=1)\ndef send(): ...\n'
        for module in ("a", "b")
    ]


def test_without_an_application_it_asks_for_one(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from celery import shared_task\n\n@shared_task\ndef send(): ...\n")

    with pytest.raises(ConfigurationError, match="--to MODULE:NAME"):
        convert([tmp_path])


def test_what_is_no_python_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\ndef (\n")

    with pytest.raises(ConfigurationError, match=r"a\.py:2: it is no Python"):
        convert([tmp_path])


def test_a_file_without_celery_does_not_change(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import datetime\n\nprint( datetime )\n")

    assert convert([tmp_path]).files == []


@pytest.mark.parametrize(
    ("eta", "noted"), [("datetime.utcnow()", True), ("datetime.now()", True), ("datetime.now(UTC)", False)]
)
def test_an_eta_without_a_zone_is_noted_because_it_would_be_refused(tmp_path: Path, eta: str, noted: bool) -> None:
    text, found = of(tmp_path, f"work.apply_async((1,), eta={eta} + timedelta(hours=1))\n")

    assert text == f"work.using(at={eta} + timedelta(hours=1)).enqueue(1)"
    assert [one.what for one in found.remarks if one.kind == "note" and "without a zone" in one.what] == [
        f"eta={eta} + timedelta(hours=1): stoker refuses a time without a zone; write datetime.now(UTC)"
    ] * noted
