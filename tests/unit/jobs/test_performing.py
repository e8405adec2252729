"""What a worker does with a stored job: decode, call, encode the result. What it cannot read it tells apart."""

from __future__ import annotations

import dataclasses
import math
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from stoker.core.backoff import fixed, sidekiq
from stoker.errors import ArgumentsError, Corrupt, Misfit, ResultUnavailable
from stoker.jobs.context import Context
from stoker.jobs.definition import SyncJob
from stoker.jobs.options import NEVER, Defaults
from tests.unit.jobs.rig import Jobs


@dataclasses.dataclass
class Address:
    city: str


def mail(user_id: int, address: Address | None = None, *cc: int, subject: str = "") -> object:
    return user_id, address, cc, subject


@pytest.fixture
def job(app: Jobs) -> SyncJob[..., object]:
    return app.job(mail)


def test_an_object_binds_by_name_and_an_array_by_position(job: SyncJob[..., object]) -> None:
    assert job.call(job.decode('{"subject": "x", "user_id": 1}')) == (1, None, (), "x")
    assert job.call(job.decode("[1]")) == (1, None, (), "")
    assert job.call(job.decode(' [1, {"city": "Rome"}, 2, 3] ')) == (1, Address("Rome"), (2, 3), "")


MISFITS = [
    ("{}", "mail: missing argument `user_id`"),
    ('{"user_id": 1, "colour": 2}', "mail: unknown argument `colour`"),
    ('{"user_id": "1"}', "mail: argument `user_id`: expected `int`, got `str`"),
    ('{"user_id": 1, "address": {"city": 3}}', "mail: argument `address.city`: expected `str`, got `int`"),
    ('{"user_id": 1, "address": {}}', "mail: argument `address`: object missing required field `city`"),
    ("[]", "mail: missing argument `user_id`"),
    ('["1"]', "mail: argument `user_id`: expected `int`, got `str`"),
    ("null", "mail: expected `object`, got `null`"),
    ("42", "mail: expected `object`, got `int`"),
]


@pytest.mark.parametrize(("text", "complaint"), MISFITS)
def test_json_that_does_not_fit_this_code_is_a_misfit(job: SyncJob[..., object], text: str, complaint: str) -> None:
    with pytest.raises(Misfit) as raised:
        job.decode(text)

    assert str(raised.value) == complaint


def test_more_positions_than_parameters_are_a_misfit(app: Jobs) -> None:
    @app.job
    def add(a: int, b: int) -> int:
        return a + b

    with pytest.raises(Misfit, match="add: 3 arguments by position, it takes at most 2"):
        add.decode("[1, 2, 3]")


@pytest.mark.parametrize(
    "text",
    ["", "{", "nope", '{"user_id": 1,}', '{"user_id": "x"', "[1", "[" * 100_000, '{"subject": "\\ud800"}', "\ud800"],
)
def test_what_is_not_json_is_corrupt(job: SyncJob[..., object], text: str) -> None:
    with pytest.raises(Corrupt, match="mail: its arguments are not JSON"):
        job.decode(text)


def test_the_context_is_given_where_the_handler_wants_it(app: Jobs) -> None:
    @app.job
    def who(ctx: Context[None], greeting: str) -> str:
        return f"{greeting} {ctx.name}"

    assert who.call(who.decode('["hello"]'), Context.direct("who")) == "hello who"


async def test_calling_an_async_job_gives_a_coroutine(app: Jobs) -> None:
    @app.job
    async def double(n: int) -> int:
        return 2 * n

    assert double.is_async
    assert await double.call(double.decode("[21]")) == 42


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ((1, "a"), '[1,"a"]'),
        (Path("a"), '"a"'),
        (Address("Rome"), '{"city":"Rome"}'),
        ({"x": None}, '{"x":null}'),
        (10**30, str(10**30)),
        ({3: "x"}, '{"3":"x"}'),
    ],
)
def test_a_result_is_kept_as_json(job: SyncJob[..., object], value: object, text: str) -> None:
    assert job.encode_result(value) == (text, "")


class Unspeakable:
    def model_dump_json(self, **_: object) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "`result`: nan is not JSON"),
        ({"a": [None, math.inf]}, "`result.a[1]`: inf is not JSON"),
        ("\ud800", "`result`: the text has a lone surrogate"),
        (print, "`result`: `builtin_function_or_method` is not a type that JSON can carry"),
        (Unspeakable(), "no words"),
    ],
)
def test_a_result_that_is_not_json_comes_with_the_reason(job: SyncJob[..., object], value: object, reason: str) -> None:
    text, said = job.encode_result(value)

    assert text is None
    assert reason in said


def test_a_result_is_read_as_the_handlers_return_type(app: Jobs) -> None:
    @app.job
    def find(name: str) -> tuple[Address, Path]:
        return Address(name), Path(name)

    assert find.read_result('[{"city":"Rome"},"Rome"]') == (Address("Rome"), Path("Rome"))
    with pytest.raises(ResultUnavailable, match="find: the stored result does not fit its return type"):
        find.read_result('"Rome"')


def test_a_result_of_a_type_beyond_json_is_read_as_plain_json(app: Jobs) -> None:
    @app.job
    def union() -> str | datetime:
        return ""

    @app.job
    def bare():  # type: ignore[no-untyped-def]
        return 1

    assert union.read_result('{"a": 1}') == {"a": 1}
    assert bare.read_result("1") == 1


def test_what_the_definition_says_of_attempts_wins_over_the_settings(app: Jobs) -> None:
    @app.job(timeout="30s", slow_after="1s", backoff=fixed(7), retry_on=OSError, discard_on=[ValueError], max_snoozes=3)
    def strict() -> None: ...

    @app.job(timeout="none", slow_after="none")
    def free() -> None: ...

    @app.job
    def plain() -> None: ...

    defaults = Defaults(timeout=5_000_000, slow_after=60_000_000)
    assert (strict.timeout_within(defaults), strict.slow_after_within(defaults)) == (30_000_000, 1_000_000)
    assert (free.timeout_within(defaults), free.slow_after_within(defaults)) == (None, NEVER)
    assert (plain.timeout_within(defaults), plain.slow_after_within(defaults)) == (5_000_000, 60_000_000)
    assert plain.timeout_within(Defaults()) is None
    assert strict.policy.backoff(1) == 7
    assert (strict.policy.retry_on, strict.policy.discard_on, strict.policy.max_snoozes) == (
        (OSError,),
        (ValueError,),
        3,
    )
    assert (plain.policy.backoff, plain.policy.retry_on, plain.policy.max_snoozes) == (sidekiq, None, 1000)


def test_arguments_that_are_json_already_are_checked_and_kept_byte_for_byte(app: Jobs) -> None:
    job: Any = app.job(mail)

    draft = job.draft_of('{ "user_id": 12345678901234567890123 }')

    assert draft.args == '{ "user_id": 12345678901234567890123 }'
    for text in ('{"user_id": "x"}', "{", '{"a": 1}'):
        with pytest.raises(ArgumentsError, match="mail: "):
            job.draft_of(text)


def test_a_naive_datetime_in_json_is_refused_too(app: Jobs) -> None:
    @app.job
    def remind(at: datetime) -> None: ...

    assert remind.draft_of('{"at":"2026-11-03T12:00:00Z"}').args
    with pytest.raises(ArgumentsError, match="has no time zone"):
        remind.draft_of('{"at":"2026-11-03T12:00:00"}')
