"""Sidekiq's JSON as others read and write it: times in both units, envelopes, and keys that only others know."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest

from stoker.core.duration import SECOND
from stoker.core.job import AttemptFailure, Claim, NewJob, State, Token
from stoker.core.settlement import Settlement
from stoker.errors import ConfigurationError, NotSupported
from stoker.stores.holding.text import edited
from stoker.stores.sidekiq.failing import ended
from stoker.stores.sidekiq.urls import parse
from stoker.stores.sidekiq.versions import packed_trace, trace_of
from stoker.stores.sidekiq.wire import args_of, heads, read_claim, read_payload

NOW = 1_700_000_000 * SECOND
RUBY = (
    b'{"retry":2,"queue":"python","class":"PyJob","args":[1,{"k":1.0}],"jid":"7ec6194251db53ed873baa11",'
    b'"created_at":1699999990.5,"enqueued_at":1699999991.25,"cattr":{"b":1,"a":[1e5]}}'
)
RUST = (
    b'{"queue":"python","args":[7],"retry":true,"class":"PyJob","jid":"ab","created_at":1699999990.0,"enqueued_at":null,'
    b'"failed_at":null,"error_message":null,"error_class":null,"retry_count":null,"retried_at":null,"retry_queue":null}'
)
ROADSTER = (
    b'{"queue":"python","args":[{"metadata":{"id":"0193","worker_name":"Mail"},"args":{"to":"x","n":1.0}}],"retry":true,'
    b'"class":"Mail","jid":"ab","created_at":1699999990.0}'
)


def read(payload: bytes) -> Claim:
    return read_claim(b"ab", b"python", payload, b"0", Token("t"), "fallback", NOW)


def written(job: NewJob, envelope: Any = "none") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(heads([job], ["ab"], envelope)[0] + "}")
    return found


def fail(payload: bytes, stamps: Any = "seconds", **fields: Any) -> dict[str, Any]:
    error = AttemptFailure(1, 0, "ValueError", "x" * 20_000, "one\ntwo\nthree")
    settlement = Settlement(read(payload).id, Token("t"), State.RETRYABLE, error=error, **fields)
    found: dict[str, Any] = json.loads(ended(settlement, b"1 python\nPyJob\n\n" + payload, NOW, stamps).payload)
    return found


def test_seconds_are_floats_and_milliseconds_are_integers() -> None:
    assert read(RUBY).enqueued_at == 1_699_999_990_500_000
    assert read(RUBY.replace(b"1699999990.5", b"1699999990500")).enqueued_at == 1_699_999_990_500_000


@pytest.mark.parametrize(
    ("stamps", "text"), [("seconds", b'"failed_at":1700000000.000000'), ("millis", b"1700000000000")]
)
def test_times_are_written_in_the_unit_of_the_readers(stamps: Any, text: bytes) -> None:
    settlement = Settlement(read(RUBY).id, Token("t"), State.RETRYABLE)

    assert text in ended(settlement, b"1 python\nPyJob\n\n" + RUBY, NOW, stamps).payload


def test_a_failure_counts_from_zero_and_leaves_other_keys_as_they_are_written() -> None:
    first = ended(Settlement(read(RUBY).id, Token("t"), State.RETRYABLE), b"1 python\nPyJob\n\n" + RUBY, NOW, "seconds")
    second = fail(first.payload)

    assert b'"args":[1,{"k":1.0}]' in first.payload
    assert b'"cattr":{"b":1,"a":[1e5]}' in first.payload
    assert json.loads(first.payload)["retry_count"] == 0
    assert (second["retry_count"], "retried_at" in second, len(second["error_message"])) == (1, True, 10_000)


@pytest.mark.parametrize(
    ("retry", "attempts", "keep"),
    [("true", 26, 1), ("3", 4, 1), ("0", 1, 1), ("false", 1, 0), ("null", 1, 0)],
)
def test_retry_says_how_many_attempts_there_are_and_whether_the_job_is_buried(
    retry: str, attempts: int, keep: int
) -> None:
    claim = read(RUBY.replace(b'"retry":2', b'"retry":' + retry.encode()))

    assert (claim.max_attempts, bool(claim.keep_failed)) == (attempts, bool(keep))


def test_a_window_for_retries_ends_them_whatever_their_number() -> None:
    payload = RUBY.replace(b'"retry":2', b'"retry":2,"retry_for":60,"retry_count":9,"failed_at":1699999900.0')
    settlement = Settlement(read(payload).id, Token("t"), State.RETRYABLE)

    assert ended(settlement, b"1 python\nPyJob\n\n" + payload, NOW, "seconds").action == "dead"


def test_what_rusty_sidekiq_writes_is_read() -> None:
    claim = read(RUST)

    assert (claim.args, claim.failures, claim.max_attempts, claim.meta) == ("[7]", 0, 26, "{}")


def test_rusty_sidekiq_finds_the_keys_that_it_requires() -> None:
    job = written(NewJob("PyJob", "[1]", "python", max_attempts=5))

    assert {key: job[key] for key in ("queue", "args", "retry", "class", "jid")} == {
        "queue": "python",
        "args": [1],
        "retry": 4,
        "class": "PyJob",
        "jid": "ab",
    }


@pytest.mark.parametrize("payload", [RUST, ROADSTER, RUBY])
@pytest.mark.parametrize("stamps", ["seconds", "millis"])
def test_what_failed_here_is_still_what_rusty_sidekiq_reads(payload: bytes, stamps: Any) -> None:
    job = fail(payload, stamps)

    # It loses what lacks one of these, or has another type in its place.
    assert [type(job[key]) for key in ("queue", "class", "jid", "args")] == [str, str, str, list]
    assert job["retry"] is True or (type(job["retry"]) is int and job["retry"] >= 0)
    assert type(job["created_at"]) is float
    assert (job["retry_count"], type(job["error_message"]), type(job["error_class"])) == (0, str, str)
    assert json.dumps(job["args"]) == json.dumps(json.loads(payload)["args"])


def test_roadsters_envelope_is_opened_and_closed() -> None:
    assert read(ROADSTER).args == '{"to":"x","n":1.0}'

    (envelope,) = written(NewJob("Mail", '{"to":"x"}'), "roadster")["args"]
    assert (envelope["metadata"]["worker_name"], envelope["args"]) == ("Mail", {"to": "x"})


def test_a_null_in_roadsters_envelope_is_no_arguments() -> None:
    job = read_payload(b'{"class":"Tidy","args":[{"metadata":{"id":7,"worker_name":"Tidy"},"args":null}]}')

    assert args_of(job) == b"{}"


def test_a_hash_that_only_looks_like_an_envelope_stays() -> None:
    assert read(ROADSTER.replace(b'"worker_name":"Mail"', b'"worker_name":"Other"')).args.startswith('[{"metadata"')


def test_an_active_job_has_the_name_of_the_class_that_is_wrapped() -> None:
    assert read(RUBY.replace(b'"class":', b'"wrapped":"Real","class":')).name == "Real"


@pytest.mark.parametrize("payload", [b"{", b"[]", b'{"class":"PyJob"}', b'{"class":"PyJob","args":{}}', b"\xff"])
def test_what_is_no_job_is_a_defect_and_no_error(payload: bytes) -> None:
    claim = read(payload)

    assert claim.defect is not None
    assert claim.name == "fallback"


def test_editing_keeps_what_json_readers_may_refuse() -> None:
    odd = rb'{ "class" : "A", "args":["\ud800", 1E400 ] , "jid":"x"}'

    assert edited(odd, {"jid": None, "queue": b'"q"'}) == rb'{"class":"A","args":["\ud800", 1E400 ],"queue":"q"}'


def test_keys_of_others_cannot_replace_those_that_stoker_writes() -> None:
    with pytest.raises(NotSupported, match="'jid', which stoker writes itself"):
        heads([NewJob("A", "[]", meta='{"sidekiq":{"jid":"x"}}')], ["ab"], "none")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("sidekiq+redis://cache?timestamps=minutes", "timestamps is 'minutes'; it must be seconds or millis"),
        ("sidekiq+redis://cache?namespac=x", "did you mean namespace"),
        ("sidekiq+redis+cluster://a:1/", "it has no cluster"),
    ],
)
def test_a_wrong_url_says_what_is_wrong(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        parse(url, url)


@pytest.mark.parametrize(
    "written",
    [
        packed_trace(["one", "two"]),
        "".join(f"{line}\n" for line in textwrap.wrap(packed_trace(["one", "two"]), 10)),
        ["one", "two"],
    ],
    ids=["packed", "packed, with breaks in it as until 7.1", "lines of an old one"],
)
def test_the_traces_of_all_versions_are_read(written: Any) -> None:
    assert trace_of(written) == "one\ntwo"


@pytest.mark.parametrize("written", [None, "", "no base64", "eJw=", packed_trace(["x" * 2_000_000])])
def test_what_is_no_trace_is_none(written: Any) -> None:
    assert trace_of(written) == ""


@pytest.mark.parametrize("written", ["1699999990.5", "1699999990500", "1699999990"])
def test_the_times_of_all_versions_are_read(written: str) -> None:
    assert read(RUBY.replace(b"1699999990.5", written.encode())).enqueued_at // SECOND == 1_699_999_990
