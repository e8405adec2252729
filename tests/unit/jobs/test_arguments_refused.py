"""What cannot travel, or would arrive as something else, is refused at enqueue with its path and what to do."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from stoker.errors import ArgumentsError, DefinitionError
from stoker.jobs.freeform import JSON
from tests.unit.jobs.rig import Jobs

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 naive on purpose


@dataclasses.dataclass
class Event:
    name: str
    at: datetime
    weights: list[float] = dataclasses.field(default_factory=list)


class Meta:
    pass


class DjangoUser:
    _meta = Meta()
    pk = 7


class DjangoQuery:
    model = DjangoUser

    def iterator(self) -> None: ...


class AlchemyUser:
    __mapper__ = Meta()


@dataclasses.dataclass
class MappedDataclass:
    id: int
    __mapper__ = Meta()


class Array:
    """Compares like numpy's."""

    def __eq__(self, other: object) -> Any:
        raise ValueError("the truth value of an array is ambiguous")

    __hash__ = None  # type: ignore[assignment]


def circle() -> list[Any]:
    whole: list[Any] = []
    whole.append({"inner": whole})
    return whole


FREE: list[tuple[object, str]] = [
    (math.nan, "argument `payload`: nan is not JSON"),
    ([1, {"rates": [0.5, math.inf]}], "argument `payload[1].rates[1]`: inf is not JSON"),
    ({"a b": -math.inf}, "argument `payload['a b']`: -inf is not JSON"),
    ({"names": ["ok", "\ud800"]}, "argument `payload.names[1]`: the text has a lone surrogate ('\\ud800' at 0)"),
    ({"\udcff": 1}, "argument `payload`: the text has a lone surrogate"),
    ([10**5000], "argument `payload[0]`: an integer of more than 4300 digits"),
    (b"x", "argument `payload`: `bytes` would arrive as `str`; annotate the parameter with `bytes`"),
    ({"at": datetime(2026, 1, 1, tzinfo=UTC)}, "argument `payload.at`: `datetime` would arrive as `str`"),
    (Path("a"), "annotate the parameter with `Path`"),
    (UUID(int=1), "annotate the parameter with `UUID`"),
    ({1, 2}, "`set` would arrive as `list`"),
    ({1: "a"}, "argument `payload`: the key 1 would arrive as text; annotate the parameter `dict[int, …]`"),
    ({None: 1}, "argument `payload`: None cannot be a key in JSON"),
    ({(1, 2): 1}, "(1, 2) cannot be a key in JSON"),
    (
        Event("x", datetime(2026, 1, 1, tzinfo=UTC)),
        "`Event` would arrive as `dict`; annotate the parameter with `Event`",
    ),
    (1j, "`complex` is not a type that JSON can carry: send what it is made of"),
    (range(3), "`range` is not a type that JSON can carry: make a list of it"),
    ((n for n in [1]), "make a list of it"),
    (print, "is not a type that JSON can carry"),
    (Array(), "is not a type that JSON can carry"),
    (circle(), "argument `payload`: it contains itself, or is nested too deeply"),
    (DjangoUser(), "argument `payload`: `DjangoUser` is a Django model: send its primary key"),
    ([DjangoUser()], "argument `payload[0]`: `DjangoUser` is a Django model"),
    (DjangoQuery(), "is a query set: send the primary keys"),
    (AlchemyUser(), "is an SQLAlchemy model: send its primary key"),
]


@pytest.mark.parametrize(("value", "complaint"), FREE, ids=[complaint[-50:] for _, complaint in FREE])
def test_free_form_arguments_are_json_or_refused(app: Jobs, value: Any, complaint: str) -> None:
    @app.job
    def hook(payload: JSON) -> None: ...

    with pytest.raises(ArgumentsError) as refused:
        hook.enqueue(value)

    assert str(refused.value).startswith("hook: argument `payload")
    assert complaint in str(refused.value)
    assert app.shelf.jobs == []


def test_an_argument_of_another_type_is_refused_with_job_name_and_both_types(app: Jobs) -> None:
    @app.job
    def welcome(user_id: int) -> None: ...

    with pytest.raises(ArgumentsError) as refused:
        welcome.enqueue("42")  # type: ignore[arg-type]

    assert str(refused.value) == "welcome: argument `user_id`: expected `int`, got `str`"


TYPED: list[tuple[Any, object, str]] = [
    (int, True, "expected `int`, got `bool`"),
    (int, 1.5, "expected `int`, got `float`"),
    (int, None, "expected `int`, got `null`"),
    (float, math.nan, "nan is not JSON"),
    (float | None, math.nan, "nan is not JSON"),
    (list[float], [0.5, math.inf], "`value[1]`: inf is not JSON"),
    (float, 2**53 + 1, "9007199254740993 would arrive as 9007199254740992.0, rounded"),
    (float, 10**400, "argument `value`: number out of range"),
    (str, Path("a"), "`Path` would arrive as `str`"),
    (str, UUID(int=1), "`UUID` would arrive as `str`"),
    (bytes, "YWJj", "expected `bytes`, got `str`"),
    (list[dict[str, int]], [{"a": "1"}], "argument `value[0][...]`: expected `int`, got `str`"),
    (datetime, NAIVE, "`value`: datetime.datetime(2026, 1, 1, 0, 0) has no time zone"),
    (list[datetime], [NAIVE], "`value[0]`: datetime.datetime(2026, 1, 1, 0, 0) has no time zone"),
    (Event, Event("x", NAIVE), "`value.at`: datetime.datetime(2026, 1, 1, 0, 0) has no time zone"),
    (Event, Event("x", datetime(2026, 1, 1, tzinfo=UTC), [math.nan]), "`value.weights[0]`: nan is not JSON"),
    (Event, {"name": "x"}, "argument `value`: object missing required field `at`"),
]


@pytest.mark.parametrize(("kind", "value", "complaint"), TYPED, ids=[one[2][-50:] for one in TYPED])
def test_typed_arguments_fit_or_are_refused(app: Jobs, kind: Any, value: Any, complaint: str) -> None:
    def keep(value: Any) -> None: ...

    keep.__annotations__["value"] = kind
    job = app.job(keep)

    with pytest.raises(ArgumentsError) as refused:
        job.enqueue(value)

    assert complaint in str(refused.value)


CALLS: list[tuple[Callable[[Any], object], str]] = [
    (lambda job: job.enqueue(), "mail: missing a required argument: 'user_id'; it takes (user_id: int, *, subject"),
    (lambda job: job.enqueue(1, 2, subject=""), "mail: too many positional arguments"),
    (lambda job: job.enqueue(1, subject="", to="x"), "mail: got an unexpected keyword argument 'to'"),
    (lambda job: job.enqueue(1, user_id=1, subject=""), "mail: multiple values for argument 'user_id'"),
    (lambda job: job.draft(1), "mail: missing a required"),  # a "keyword-only argument" since 3.13
    (lambda job: job.using(delay=1).enqueue(), "mail: missing a required argument"),
]


@pytest.mark.parametrize(("call", "complaint"), CALLS, ids=[one[1] for one in CALLS])
def test_a_call_that_does_not_fit_the_signature_is_refused_as_python_would_say_it(
    app: Jobs, call: Callable[[Any], object], complaint: str
) -> None:
    @app.job
    def mail(user_id: int, *, subject: str) -> None: ...

    with pytest.raises(ArgumentsError) as refused:
        call(mail)

    assert str(refused.value).startswith(complaint)


def test_arguments_larger_than_the_limit_are_refused_by_their_encoded_bytes(app: Jobs) -> None:
    @app.job
    def keep(text: str) -> None: ...

    around = len('{"text":""}')
    keep.enqueue("x" * (1_048_576 - around))
    with pytest.raises(ArgumentsError, match=r"keep: 1048577 bytes of arguments, at most 1048576 \(jobs.max_args\)"):
        keep.enqueue("x" * (1_048_577 - around))
    with pytest.raises(ArgumentsError, match="1048579 bytes"):
        keep.enqueue("é" * ((1_048_576 - around) // 2 + 2))


UNCARRIABLE: list[tuple[Any, str]] = [
    (DjangoUser, "argument `value`: `DjangoUser` is a Django model: send its primary key"),
    (list[AlchemyUser], "`AlchemyUser` is an SQLAlchemy model"),
    (MappedDataclass, "`MappedDataclass` is an SQLAlchemy model"),
    (Meta, "argument `value`: `Meta` is not a type that JSON can carry"),
    (complex, "`complex` is not a type that JSON can carry"),
    (Callable[[], None], "`Callable` is not a type that JSON can carry"),
    (str | Path, "cannot be told from JSON"),
    (Event | dict[str, int], "cannot be told from JSON"),
]


@pytest.mark.parametrize(("kind", "complaint"), UNCARRIABLE, ids=[one[1] for one in UNCARRIABLE])
def test_a_parameter_that_json_cannot_carry_is_a_definition_error(app: Jobs, kind: Any, complaint: str) -> None:
    def keep(value: Any) -> None: ...

    keep.__annotations__["value"] = kind
    job = app.job(keep)

    with pytest.raises(DefinitionError) as refused:
        job.check()

    assert str(refused.value).startswith("keep: argument `value`: ")
    assert complaint in str(refused.value)
