"""Jobs are found by explicit, stable names; two of one name are an error that proposes another."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stoker.errors import ArgumentsError, DefinitionError, UnknownJob
from stoker.jobs.context import Context
from stoker.jobs.definition import AsyncJob, RemoteJob, SyncJob
from tests.unit.jobs.rig import Jobs


def send(user_id: int) -> int:
    """Send a mail."""
    return user_id


def other(user_id: int) -> None: ...


def test_a_job_is_found_by_its_functions_name_or_the_one_it_was_given(app: Jobs) -> None:
    first, second = app.job(send), app.job(name="mail.other", aliases=["other", "old"])(other)

    assert app.get("send") is first
    assert app.get("mail.other") is app.get("old") is app.get("other") is second
    assert app.definitions == (first, second)
    assert app.names == ("send", "mail.other", "other", "old")
    assert dict(app.performable) == {"send": first, "mail.other": second, "other": second, "old": second}


def test_an_unknown_name_is_answered_with_the_nearest_ones(app: Jobs) -> None:
    with pytest.raises(UnknownJob, match="no job named 'send' is defined: none is; name the modules that define jobs"):
        app.get("send")
    app.job(send)
    with pytest.raises(UnknownJob, match="no job named 'sned' is defined: did you mean 'send'"):
        app.get("sned")
    with pytest.raises(UnknownJob, match="no job named 'x' is defined: there are send"):
        app.get("x")


def test_two_jobs_of_one_name_are_an_error_that_proposes_another(app: Jobs) -> None:
    app.job(send)
    other.__module__ = "shop.billing.jobs"
    try:
        with pytest.raises(DefinitionError) as refused:
            app.job(name="send")(other)
    finally:
        other.__module__ = __name__

    assert "two jobs are named 'send'" in str(refused.value)
    assert f"{__name__}.send and shop.billing.jobs.other" in str(refused.value)
    assert "name='billing.other'" in str(refused.value)


def test_an_alias_clashes_like_a_name(app: Jobs) -> None:
    app.job(aliases=["mail"])(send)

    with pytest.raises(DefinitionError, match="two jobs are named 'mail'"):
        app.job(name="mail")(other)
    with pytest.raises(DefinitionError, match="two jobs are named 'send'"):
        app.job(aliases=["send"])(other)
    assert app.names == ("send", "mail")


SOURCE = """
def send(user_id): ...
job = app.job(aliases=["old"])(send)
"""


def run_module(app: Jobs, file: Path, name: str) -> Any:
    module = types.ModuleType(name)
    module.__dict__.update(app=app, __file__=str(file))
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), module.__dict__)
    return module


def test_a_file_that_runs_as_main_and_is_imported_again_defines_its_jobs_once(app: Jobs, tmp_path: Path) -> None:
    file = tmp_path / "jobs.py"
    file.write_text(SOURCE, encoding="utf-8")

    run_module(app, file, "__main__")
    again = run_module(app, file, "shop.jobs")

    assert app.definitions == (again.job,)
    assert app.names == ("send", "old")


def test_the_same_name_twice_in_one_file_is_a_mistake(app: Jobs, tmp_path: Path) -> None:
    file = tmp_path / "jobs.py"
    file.write_text(SOURCE + SOURCE, encoding="utf-8")

    with pytest.raises(DefinitionError, match="two jobs are named 'send'"):
        run_module(app, file, "shop.jobs")


def test_a_cell_that_is_run_again_in_an_interactive_session_replaces_its_job(
    app: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    cells = {"one.py": SOURCE, "two.py": "\n\n" + SOURCE}
    for cell, source in cells.items():
        (tmp_path / cell).write_text(source, encoding="utf-8")
    modules = [run_module(app, tmp_path / cell, "__main__") for cell in cells]

    assert app.definitions == (modules[-1].job,)


def test_functions_made_by_a_function_need_names_of_their_own(app: Jobs) -> None:
    def make(name: str | None) -> None:
        @app.job(name=name)
        def made() -> None: ...

    make(None)
    make("another")
    with pytest.raises(DefinitionError, match="two jobs are named 'made'"):
        make(None)


def test_what_is_no_function_is_told_what_to_write(app: Jobs) -> None:
    class Mail:
        def perform(self) -> None: ...

    job = app.job(send)
    decorate: Any = app.job
    for thing, complaint in (
        (Mail, r"is a class: write app.register\(.*Mail\), with a method `perform`"),
        (job, "send is a job already"),
        ("send", "'send' is not a function"),
        (lambda: None, "a lambda has no name of its own"),
    ):
        with pytest.raises(DefinitionError, match=complaint):
            decorate(thing)
    with pytest.raises(DefinitionError, match="is not a class: write @app"):
        app.register(send)  # type: ignore[arg-type]


# -- definitions -------------------------------------------------------------------------------------------------------


def test_calling_a_job_runs_its_function(app: Jobs) -> None:
    job = app.job(send)

    assert job(7) == 7
    assert job(user_id=8) == 8
    assert (job.__name__, job.__doc__, job.__wrapped__) == ("send", "Send a mail.", send)
    assert app.shelf.jobs == []


async def test_calling_an_async_job_gives_its_coroutine(app: Jobs) -> None:
    @app.job
    async def double(ctx: Context[None], n: int) -> int:
        return n * ctx.attempt * 2

    assert isinstance(double, AsyncJob)
    assert await double(21) == 42


def test_enqueueing_gives_a_typed_handle_of_the_stored_job(app: Jobs) -> None:
    handle = app.job(send).enqueue(1)

    assert (handle.id, handle.name, handle.store, handle.duplicate) == ("1", "send", "default", False)


def test_check_looks_at_every_job(app: Jobs) -> None:
    app.job(send)

    @app.job
    def strange(value: complex) -> None: ...

    with pytest.raises(DefinitionError, match="strange: argument `value`"):
        app.check_jobs()


# -- class jobs --------------------------------------------------------------------------------------------------------


@dataclass
class Resize:
    path: Path
    width: int = 800
    tags: list[str] = field(default_factory=list)

    def perform(self) -> object:
        return self


class Crawl(msgspec.Struct, kw_only=True):
    url: str
    seen: list[str] = []

    async def perform(self, ctx: Context[None]) -> object:
        return self, ctx.name


def test_the_fields_of_a_class_job_are_its_arguments(app: Jobs) -> None:
    job = app.register(Resize, queue="images")

    job.enqueue(Path("a"), tags=["x"])

    assert isinstance(job, SyncJob)
    assert (app.last.name, app.last.queue) == ("Resize", "images")
    assert app.last.args == '{"path":"a","tags":["x"]}'
    assert job.call(job.decode('{"path":"a"}')) == Resize(Path("a"), 800, [])
    assert job(Path("b")) == Resize(Path("b"))
    with pytest.raises(ArgumentsError, match="Resize: argument `width`: expected `int`"):
        job.enqueue(Path("a"), "x")  # type: ignore[arg-type]


def test_a_default_factory_makes_a_new_default_for_each_attempt(app: Jobs) -> None:
    job: Any = app.register(Resize)

    assert job.call(job.decode('{"path":"a"}')).tags is not job.call(job.decode('{"path":"a"}')).tags


async def test_a_struct_can_be_a_class_job_and_its_perform_may_take_the_context(app: Jobs) -> None:
    job = app.register(Crawl)

    job.enqueue(url="x")

    assert isinstance(job, AsyncJob)
    assert job.wants_context
    assert app.last.args == '{"url":"x"}'
    assert await job.call(job.decode('{"url":"x"}'), Context.direct("Crawl")) == (Crawl(url="x"), "Crawl")
    assert await job(url="y") == (Crawl(url="y"), "Crawl")


class Plain:
    def __init__(self, path: str) -> None: ...

    def perform(self) -> None: ...


@dataclass
class Idle:
    path: str


@dataclass
class Greedy:
    path: str

    def perform(self, ctx: Context[None], width: int) -> None: ...


@pytest.mark.parametrize(
    ("cls", "complaint"),
    [
        (Plain, "Plain: its typed fields are the arguments: make it a @dataclass or a msgspec.Struct"),
        (Idle, "Idle: a class job needs a method `def perform"),
        (Greedy, "perform takes the context and nothing else; `width` must become a field"),
    ],
)
def test_a_class_that_cannot_be_a_job_is_told_why(app: Jobs, cls: Any, complaint: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        app.register(cls)

    assert complaint in str(refused.value)


# -- remote jobs -------------------------------------------------------------------------------------------------------


def test_a_remote_job_is_enqueued_by_its_stub_and_never_performed_here(app: Jobs) -> None:
    @app.remote(name="Mail::Welcome", queue="ruby")
    def ruby_mail(user_id: int, subject: str = "") -> None: ...

    ruby_mail.enqueue(1, subject="x")

    assert isinstance(ruby_mail, RemoteJob)
    assert (app.last.name, app.last.queue) == ("Mail::Welcome", "ruby")
    assert app.get("Mail::Welcome") is ruby_mail
    assert app.names == ()
    with pytest.raises(ArgumentsError):
        ruby_mail.enqueue("1")  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="Mail::Welcome: performed elsewhere"):
        ruby_mail(1)
    with pytest.raises(DefinitionError, match="Mail::Welcome: performed elsewhere"):
        ruby_mail.call(((1,), {}))


@pytest.mark.parametrize(
    ("executor", "handler", "says"),
    [
        ("async", "plain", "would block the event loop"),
        ("thread", "coroutine", "an async def runs on the event loop"),
        ("process", "local", "define it at the top of a module"),
        ("fork", "plain", "write 'async', 'thread' or 'process'"),
    ],
)
def test_an_executor_that_the_handler_cannot_have_is_refused(app: Jobs, executor: Any, handler: str, says: str) -> None:
    def local() -> None: ...

    handlers: dict[str, Any] = {"plain": send, "coroutine": _coroutine, "local": local}
    with pytest.raises(DefinitionError, match=says):
        app.job(executor=executor)(handlers[handler])


async def _coroutine() -> None: ...
