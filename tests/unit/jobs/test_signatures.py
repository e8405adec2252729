"""Every shape of a Python signature can be a job: what binds is what Python would bind."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import pytest

from stoker.errors import ArgumentsError, DefinitionError
from stoker.jobs.context import Context
from stoker.jobs.definition import AsyncJob, SyncJob
from tests.unit.jobs.rig import Jobs

if TYPE_CHECKING:
    from decimal import Decimal

NOTHING = object()
SHARED: list[int] = [1]


def positional(a: int, b: int = 2, /) -> object:
    return a, b


def keywords(*, a: int, b: str = "x") -> object:
    return a, b


def optional_before_required(a: int = 1, *, b: str) -> object:
    return a, b


def rest(a: int, *numbers: int) -> object:
    return a, numbers


def extras(a: int, **named: float) -> object:
    return a, named


def everything(a: int, /, b: int = 2, *numbers: int, c: str, d: str = "d", **named: float) -> object:
    return a, b, numbers, c, d, named


def nothing() -> object:
    return None


def defaults(a: Any = NOTHING, b: list[int] = SHARED, c: int = None) -> object:  # type: ignore[assignment]  # noqa: RUF013 as people write it
    return a, b, c


def unannotated(a, b=3):  # type: ignore[no-untyped-def]
    return a, b


CALLS: list[tuple[Any, tuple[Any, ...], dict[str, Any], str]] = [
    (positional, (1,), {}, '{"a":1}'),
    (positional, (1, 3), {}, '{"a":1,"b":3}'),
    (keywords, (), {"a": 1}, '{"a":1}'),
    (keywords, (), {"b": "y", "a": 1}, '{"a":1,"b":"y"}'),
    (optional_before_required, (), {"b": "y"}, '{"b":"y"}'),
    (optional_before_required, (5,), {"b": "y"}, '{"a":5,"b":"y"}'),
    (rest, (1,), {}, '{"a":1}'),
    (rest, (1, 2, 3), {}, '{"a":1,"numbers":[2,3]}'),
    (rest, (), {"a": 1}, '{"a":1}'),
    (extras, (1,), {}, '{"a":1}'),
    (extras, (1,), {"x": 0.5, "named": 1.5}, '{"a":1,"x":0.5,"named":1.5}'),
    (everything, (1,), {"c": "c"}, '{"a":1,"c":"c"}'),
    (everything, (1, 2, 3, 4), {"c": "c", "z": 1.5}, '{"a":1,"b":2,"numbers":[3,4],"c":"c","z":1.5}'),
    (nothing, (), {}, "{}"),
    (defaults, (), {}, "{}"),
    (defaults, (1, [2]), {"c": 3}, '{"a":1,"b":[2],"c":3}'),
    (unannotated, (1,), {}, '{"a":1}'),
    (unannotated, ("x", [None]), {}, '{"a":"x","b":[null]}'),
]


@pytest.mark.parametrize(("function", "args", "kwargs", "text"), CALLS, ids=[f"{c[0].__name__}{c[3]}" for c in CALLS])
def test_a_call_is_kept_by_parameter_name_and_made_again_as_it_was(
    app: Jobs, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], text: str
) -> None:
    job = app.job(function)

    job.enqueue(*args, **kwargs)

    assert app.last.args == text
    assert job.call(job.decode(text)) == function(*args, **kwargs)


def test_defaults_are_those_of_the_handler_and_never_stored(app: Jobs) -> None:
    job: Any = app.job(defaults)

    job.enqueue()

    a, b, _ = job.call(job.decode(app.last.args))
    assert a is NOTHING
    assert b is SHARED


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "complaint"),
    [
        (positional, (), {"a": 1}, "'a'"),
        (everything, (1,), {"a": 2, "c": "c"}, "`a` cannot be given by name"),
        (everything, (1,), {"c": "c", "numbers": 1.0}, "`numbers` cannot be given by name"),
        (rest, (), {}, "missing a required argument: 'a'"),
        (rest, (1, "x"), {}, "argument `numbers[0]`: expected `int`, got `str`"),
        (extras, (1,), {"x": "y"}, "expected `float`, got `str`"),
    ],
)
def test_what_would_be_ambiguous_or_wrong_is_refused(
    app: Jobs, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ArgumentsError) as refused:
        app.job(function).enqueue(*args, **kwargs)

    assert complaint in str(refused.value)


# -- which handlers are async, which want the context ------------------------------------------------------------------


class Sender:
    async def __call__(self, user_id: int) -> int:
        return user_id


class Plain:
    def __call__(self, user_id: int) -> int:
        return user_id


async def send(user_id: int, text: str) -> tuple[int, str]:
    return user_id, text


@pytest.mark.parametrize(
    ("handler", "name", "kind"),
    [
        (send, "send", AsyncJob),
        (functools.partial(send, text="x"), "send", AsyncJob),
        (functools.partial(functools.partial(rest, 1), 2), "rest", SyncJob),
        (Sender(), "Sender", AsyncJob),
        (Plain(), "Plain", SyncJob),
        (staticmethod(positional), "positional", SyncJob),
    ],
)
def test_partials_and_callable_objects_are_what_they_come_down_to(
    app: Jobs, handler: Any, name: str, kind: type[Any]
) -> None:
    job = app.job(handler)

    assert isinstance(job, kind)
    assert job.name == name


async def test_a_partial_takes_what_is_left(app: Jobs) -> None:
    job: Any = app.job(functools.partial(send, text="x"))

    job.enqueue(1)

    assert app.last.args == '{"user_id":1}'
    assert await job.call(job.decode(app.last.args)) == (1, "x")


def with_context(ctx: Context[None], user_id: int) -> object:
    return ctx.name, user_id


def with_bare_context(ctx: Context, /) -> object:
    return ctx


def context_in_the_middle(user_id: int, ctx: Context[None]) -> None: ...


def test_a_leading_context_is_no_argument(app: Jobs) -> None:
    job = app.job(with_context)

    job.enqueue(1)

    assert job.wants_context
    assert app.last.args == '{"user_id":1}'
    assert job.call(job.decode('{"user_id":1}'), Context.direct("with_context")) == ("with_context", 1)
    assert app.job(with_bare_context).wants_context
    assert not app.job(rest).wants_context


def test_a_context_anywhere_else_is_a_definition_error(app: Jobs) -> None:
    with pytest.raises(DefinitionError, match="the context must be the first parameter; `ctx` is not"):
        app.job(context_in_the_middle).check()


def unresolvable(price: Decimal) -> None: ...


def test_a_hint_that_only_checkers_see_is_a_definition_error_that_says_which_import_to_move(app: Jobs) -> None:
    job = app.job(unresolvable)

    for use in (lambda: job.enqueue(1), app.check_jobs):  # type: ignore[arg-type]
        with pytest.raises(DefinitionError) as refused:
            use()
        assert "unresolvable: the annotation of `price` names `Decimal`" in str(refused.value)
        assert "at the top of that module" in str(refused.value)


def test_hints_are_resolved_when_first_needed_so_that_names_may_come_later(app: Jobs) -> None:
    job = app.job(later)
    globals()["Later"] = int

    job.enqueue(1)

    assert app.last.args == '{"value":1}'


def later(value: Later) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def test_hints_of_a_local_function_may_name_what_stands_beside_it(app: Jobs) -> None:
    @dataclasses.dataclass
    class Address:
        city: str

    @dataclasses.dataclass
    class Street:
        address: Address

    @app.job
    def move(address: Address, others: list[Address]) -> Address:
        return others[0] if others else address

    @app.register
    @dataclasses.dataclass
    class Move:
        address: Address

        def perform(self) -> Street:
            return Street(self.address)

    move.enqueue(Address("Rome"), [])

    assert move.call(move.decode(app.last.args)) == Address("Rome")
    assert move.read_result('{"city":"Rome"}') == Address("Rome")
    assert app.get("Move").call(app.get("Move").decode('[{"city":"Rome"}]')) == Street(Address("Rome"))


def test_a_parameter_may_be_named_self_or_args(app: Jobs) -> None:
    @app.job
    def odd(self: int, args: int, kwargs: int, /, fn: int = 0) -> tuple[int, ...]:
        return self, args, kwargs, fn

    @app.job
    def even(self: int, job: int) -> tuple[int, ...]:
        return self, job

    odd.enqueue(1, 2, 3, fn=4)
    assert odd.call(odd.decode(app.last.args)) == (1, 2, 3, 4)
    even.enqueue(self=1, job=2)
    assert even.call(even.decode(app.last.args)) == even(self=1, job=2) == (1, 2)


def numbers():  # type: ignore[no-untyped-def]
    yield 1


async def numbers_too():  # type: ignore[no-untyped-def]
    yield 1


@pytest.mark.parametrize("generator", [numbers, numbers_too])
def test_a_generator_cannot_be_a_job(app: Jobs, generator: Any) -> None:
    with pytest.raises(DefinitionError, match="a generator cannot be a job"):
        app.job(generator)


def test_a_method_in_a_class_body_cannot_be_a_job(app: Jobs) -> None:
    with pytest.raises(DefinitionError, match=r"Mailer\.send is a method; take it out of the class"):

        class Mailer:  # pyright: ignore[reportUnusedClass]
            @app.job
            def send(self, user_id: int) -> None: ...
