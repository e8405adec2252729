"""Messages as Roadster writes them, and what PostgreSQL's JSON would change."""

from __future__ import annotations

import json
import uuid

import pytest

from stoker.core.job import NewJob, new_token
from stoker.errors import EnqueueError
from stoker.stores.pgmq.wire import FOREIGN_NOTES, job_id, messages, parted, read_claim


def test_a_message_has_roadsters_three_parts_and_nothing_else() -> None:
    written, noted = messages([NewJob("Mailer", '{"to":"ada"}')], None)

    ((message,), (notes,)) = json.loads(written), json.loads(noted)
    assert message["args"] == {"to": "ada"}
    assert message.keys() == {"metadata", "args"}
    assert message["metadata"].keys() == {"id", "worker_name"}
    assert message["metadata"]["worker_name"] == "Mailer"
    assert uuid.UUID(message["metadata"]["id"]).version == 7
    assert notes == {}


def test_ids_differ_and_are_in_order() -> None:
    written, _ = messages([NewJob("work", str(number)) for number in range(500)], None)

    ids = [message["metadata"]["id"] for message in json.loads(written)]
    assert ids == sorted(set(ids))
    assert {uuid.UUID(id).variant for id in ids} == {uuid.RFC_4122}


@pytest.mark.parametrize(
    "args",
    ['{"a":1,"bb":[true,null,2.5]}', '"text with \\"quotes\\" and \\n"', "[]", "{}", "null", "9007199254740993", "1.0"],
)
def test_arguments_that_postgresql_keeps_as_they_are_travel_once(args: str) -> None:
    written, noted = messages([NewJob("work", args)], None)

    assert f'"args":{args}}}' in written
    assert noted == "[{}]"


@pytest.mark.parametrize(
    "args", ['{"bb":1,"a":2}', '{ "a": 1 }', '{"a":1,"a":2}', "-0.0", "1e22", "0.00001", '"\\u00e9"', '"\\/"']
)
def test_others_travel_a_second_time_as_text(args: str) -> None:
    written, noted = messages([NewJob("work", args)], None)

    assert json.loads(noted) == [{"args": args}]
    assert f'"args":{args}}}' in written


@pytest.mark.parametrize("args", ['"\\u0000"', '"\\ud800"', "[1e99999]"])
def test_what_postgresql_refuses_travels_as_text_alone(args: str) -> None:
    written, noted = messages([NewJob("work", args)], None)

    assert json.loads(noted) == [{"args": args}]
    assert '"args":null}' in written


@pytest.mark.parametrize(("args", "problem"), [('"\ud800"', "lone surrogate"), ('"\0"', "NUL")])
def test_what_is_no_text_is_refused(args: str, problem: str) -> None:
    with pytest.raises(EnqueueError, match=problem):
        messages([NewJob("work", args)], None)


def test_notes_say_what_differs_from_the_usual() -> None:
    _, noted = messages([NewJob("work", "[]", max_attempts=3, labels=("blue",), meta='{"b": 1, "a": 2}')], None)

    assert json.loads(noted) == [{"max_attempts": 3, "labels": ["blue"], "meta": '{"b": 1, "a": 2}'}]


def test_an_id_names_the_queue_and_the_message() -> None:
    assert job_id("mail", 7) == "mail:7"
    assert parted(job_id("mail", 7)) == ("mail", 7)
    assert [parted(job_id(*pair)) for pair in (("mail", "x"), ("", 7), ("a", "1" * 19))] == [None, None, None]


def test_a_null_is_no_arguments_as_rust_writes_them() -> None:
    claim = read_claim("python", (17, 1, 0, 0, "Tidy", "null", FOREIGN_NOTES), new_token())

    assert (claim.args, claim.defect) == ("{}", None)
