"""gocraft's JSON as Go reads and writes it, and what becomes of it when attempts fail.

The lines under GO were written by Go 1.19 from a struct with gocraft's keys.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from stoker.core.clock import Clock
from stoker.core.duration import SECOND
from stoker.core.job import AttemptFailure, Claim, JobId, NewJob, State, Token
from stoker.core.settlement import Settlement
from stoker.core.unique import UniqueKey
from stoker.drivers.system_clock import SystemClock
from stoker.errors import ConfigurationError, NotSupported
from stoker.stores.gocraft import GocraftStore
from stoker.stores.gocraft.commands import Scripts, check_name, pool_of
from stoker.stores.gocraft.failing import ended
from stoker.stores.gocraft.unique import held_key, key_of
from stoker.stores.gocraft.urls import parse
from stoker.stores.gocraft.wire import head, pushed, read_claim, read_payload, tails

NOW = 1_700_000_100 * SECOND
ID = "0123456789abcdef01234567"
GO = {
    "plain": f'{{"name":"send_email","id":"{ID}","t":1700000000,"args":null}}'.encode(),
    "with arguments": (
        b'{"name":"send_email","id":"0123456789abcdef01234567","t":1700000000,'
        b'"args":{"n":1234567890123456789,"to":"\\u003ca@b.c\\u003e"}}'
    ),
    "unique": (
        b'{"name":"send_email","id":"0123456789abcdef01234567","t":1700000000,"args":{"a":"\\u0026","b":1},"unique":true,'
        b'"unique_key":"work:unique:send_email:{\\"a\\":\\"\\\\u0026\\",\\"b\\":1}\\n"}'
    ),
    "failed": (
        b'{"name":"send_email","id":"0123456789abcdef01234567","t":1700000000,"args":{},"fails":2,'
        b'"err":"boom \\"x\\" \\u003cy\\u003e","failed_at":1700000100}'
    ),
}
CLOCK: Clock = SystemClock()
SCRIPTS = Scripts("work:", CLOCK)


def read(payload: bytes, crashes: int = 0) -> Claim:
    return read_claim(ID, "default", "send_email", payload, crashes, Token("t"), NOW)


def written(job: NewJob) -> str:
    """Give a job as `enqueue.lua` writes it."""
    (tail,) = tails([job], [key_of(SCRIPTS, job)])
    return f'{head(job)}{ID}","t":1700000000{tail}'


def failing(payload: bytes, state: State = State.RETRYABLE, **fields: Any) -> bytes:
    error = AttemptFailure(1, 0, "ValueError", "<broken>")
    return ended(Settlement(JobId(ID), Token("t"), state, error=error, **fields), payload, NOW).payload


# -- reading -----------------------------------------------------------------------------------------------------------


def test_a_job_of_go_is_read_with_its_arguments_byte_for_byte() -> None:
    claim = read(GO["with arguments"])

    assert (claim.id, claim.name, claim.args) == (
        ID,
        "send_email",
        '{"n":1234567890123456789,"to":"\\u003ca@b.c\\u003e"}',
    )
    assert (claim.enqueued_at, claim.failures, claim.attempt, claim.defect) == (1_700_000_000 * SECOND, 0, 1, None)


def test_no_arguments_are_an_empty_object() -> None:
    assert read(GO["plain"]).args == "{}"


def test_the_number_of_attempts_of_a_job_of_go_is_left_to_who_performs_it() -> None:
    assert read(GO["plain"]).max_attempts == 0


def test_failures_count_from_one_as_in_go() -> None:
    assert (read(GO["failed"]).failures, read(GO["failed"], crashes=1).attempt) == (2, 4)


@pytest.mark.parametrize(
    "payload", [b"{", b"[]", b'{"id":"1"}', b'{"name":"a","args":[1]}', b'{"name":1}', b"\xff", b""]
)
def test_what_is_no_job_has_a_defect(payload: bytes) -> None:
    assert read(payload).defect


# -- writing -----------------------------------------------------------------------------------------------------------


def test_a_job_of_ours_is_written_as_go_writes_it() -> None:
    job = NewJob("send_email", '{"n":1234567890123456789,"to":"\\u003ca@b.c\\u003e"}', max_attempts=4)

    assert written(job).encode() == GO["with arguments"]


def test_a_unique_job_of_ours_is_written_as_go_writes_it() -> None:
    unique = UniqueKey("k", ("scheduled", "available"))
    job = NewJob("send_email", '{"a":"\\u0026","b":1}', max_attempts=4, unique=unique)

    assert written(job).encode() == GO["unique"]


def test_what_gocraft_has_no_place_for_travels_under_a_key_of_ours() -> None:
    job = NewJob("send", "[7]", queue="mail", max_attempts=9, meta='{"a":1}', labels=("blue",))

    assert json.loads(written(job)) == {
        "name": "mail/send",
        "id": ID,
        "t": 1_700_000_000,
        "args": {"args": [7]},
        "stoker": {
            "labels": ["blue"],
            "max_attempts": 9,
            "meta": {"a": 1},
            "queue": "mail",
            "name": "send",
            "bare": True,
        },
    }


@pytest.mark.parametrize("args", ["[7]", "null", '"a"', '{ "a" : 1 }', "1e400", '{"a":"\\ud800"}'])
def test_arguments_of_ours_come_back_byte_for_byte(args: str) -> None:
    assert read(written(NewJob("send_email", args)).encode()).args == args


@pytest.mark.parametrize(
    ("queue", "name"),
    [("default", "a,b"), ("default", "a\nb"), ("default", "a:paused"), ("mail", "x:lock_info"), ("a/b", "c")],
)
def test_names_that_gocraft_cannot_have_are_refused(queue: str, name: str) -> None:
    with pytest.raises(NotSupported, match="gocraft cannot have a job named"):
        check_name(NewJob(name, "{}", queue=queue), "gocraft+redis://x")


def test_the_pool_of_a_worker_has_an_id_as_gos() -> None:
    assert len(bytes.fromhex(pool_of("host-1-abc"))) == 12


# -- endings -----------------------------------------------------------------------------------------------------------


def test_a_failure_is_written_as_go_does_and_other_keys_stay_as_they_are() -> None:
    payload = GO["with arguments"][:-1] + b',"other":[1.0,1e5]}'

    assert failing(payload) == payload[:-1] + (
        b',"fails":1,"err":"ValueError: \\u003cbroken\\u003e","failed_at":1700000100}'
    )


def test_the_next_failure_takes_the_place_of_the_one_before() -> None:
    again = json.loads(failing(GO["failed"]))

    assert (again["fails"], again["err"], again["failed_at"]) == (3, "ValueError: <broken>", 1_700_000_100)


@pytest.mark.parametrize("state", [State.RETRYABLE, State.DISCARDED, State.AVAILABLE, State.SCHEDULED])
def test_a_job_that_has_started_holds_no_key_any_more(state: State) -> None:
    after = json.loads(failing(GO["unique"], state, counts="snooze" if state is State.SCHEDULED else "none"))

    assert after.keys().isdisjoint({"unique", "unique_key"})
    assert after["args"] == {"a": "&", "b": 1}


def test_what_goes_back_goes_back_as_it_came() -> None:
    assert failing(GO["with arguments"], State.AVAILABLE) == GO["with arguments"]


def test_a_failed_job_that_is_not_kept_is_not_buried() -> None:
    settlement = Settlement(JobId(ID), Token("t"), State.DISCARDED, keep=0)

    assert ended(settlement, GO["plain"], NOW).action == "drop"


def test_a_due_job_gets_the_time_of_its_push_and_keeps_the_planned_one() -> None:
    due = NOW - 60 * SECOND
    moved = pushed(read_payload(GO["with arguments"]), GO["with arguments"], due, NOW)

    assert b'"t":1700000100,"args":{"n":1234567890123456789,' in moved
    assert (read(moved).due, read(moved).enqueued_at) == (due, NOW)


# -- unique keys -------------------------------------------------------------------------------------------------------


def test_the_key_of_a_unique_job_is_gos() -> None:
    unique = UniqueKey("k", ("scheduled", "available"))
    job = NewJob("send_email", '{"b": 1, "a": "&"}', unique=unique)

    assert key_of(SCRIPTS, job) == 'work:unique:send_email:{"a":"\\u0026","b":1}\n'
    assert held_key(SCRIPTS, read_payload(GO["unique"])) == key_of(SCRIPTS, job)


def test_an_old_unique_job_of_go_holds_the_key_of_its_arguments() -> None:
    payload = b'{"name":"a","id":"1","t":1,"args":{"b":1,"a":2},"unique":true}'

    assert held_key(SCRIPTS, read_payload(payload)) == 'work:unique:a:{"a":2,"b":1}\n'
    assert held_key(SCRIPTS, read_payload(payload.replace(b'{"b":1,"a":2}', b"null"))) == "work:unique:a:"


def test_a_job_that_failed_holds_no_key() -> None:
    payload = GO["unique"][:-1] + b',"fails":1}'

    assert held_key(SCRIPTS, read_payload(payload)) is None


def test_a_key_elsewhere_is_left_alone() -> None:
    payload = b'{"name":"a","id":"1","t":1,"args":null,"unique":true,"unique_key":"somebody:else"}'

    assert held_key(SCRIPTS, read_payload(payload)) is None


@pytest.mark.parametrize(
    ("unique", "hint"),
    [
        (UniqueKey("k"), 'states=\\("scheduled", "available"\\)'),
        (UniqueKey("k", ("available",), within=1), "within"),
        (UniqueKey("k", ("available",), on_conflict="raise"), "on_conflict"),
        (UniqueKey("k", ("available",), chosen='"text"'), "named arguments"),
    ],
)
def test_what_gocrafts_keys_cannot_promise_is_refused(unique: UniqueKey, hint: str) -> None:
    store = GocraftStore("gocraft+redis://localhost")
    with pytest.raises(NotSupported, match=hint):
        store.enqueue([NewJob("a", "{}", unique=unique)], "c" * 32)  # type: ignore[arg-type]


# -- URLs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "namespace"), [("", ""), ("?namespace=work", "work:"), ("?namespace=work:", "work:")]
)
def test_a_namespace_ends_in_one_colon(option: str, namespace: str) -> None:
    assert parse(f"gocraft+redis://h{option}", "").namespace == namespace


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("gocraft+redis+cluster://h", "no cluster"),
        ("gocraft+redis://h?most_dead=many", "must be a number"),
        ("gocraft+redis://h?namespac=a", "namespace"),
    ],
)
def test_a_wrong_url_is_explained(url: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=hint):
        parse(url, url)
