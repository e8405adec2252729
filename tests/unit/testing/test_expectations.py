"""What a test expects to be enqueued, and what it is told when that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from stoker import State, Stoker
from stoker.testing import Sandbox, assert_enqueued, enqueued, refute_enqueued, sandbox

app: Stoker[Any] = Stoker("memory://")


@dataclass
class Address:
    street: str


@app.job(queue="mail", aliases=["old_mail"])
def mail(user: int, to: Address | None = None, file: Path = Path("none"), text: str = "hello") -> None: ...


@app.job
def other() -> None: ...


@pytest.fixture(autouse=True)
def box() -> Iterator[Sandbox]:
    with sandbox(app) as opened:
        yield opened


def test_some_of_the_arguments_are_enough_defaults_included() -> None:
    mail.enqueue(1, Address("Main St"), Path("/tmp/x"))

    assert_enqueued(mail)
    assert_enqueued(mail, args={"user": 1})
    assert_enqueued(mail, args={"user": 1, "text": "hello"})


def test_arguments_are_expected_as_the_handler_gets_them_or_as_json() -> None:
    mail.enqueue(1, Address("Main St"), Path("/tmp/x"))

    assert_enqueued(mail, args={"to": Address("Main St"), "file": Path("/tmp/x")})
    assert_enqueued(mail, args={"to": {"street": "Main St"}, "file": "/tmp/x"})
    assert_enqueued(mail, args={"to": ANY})


def test_a_draft_expects_exactly_its_arguments() -> None:
    mail.enqueue(1, text="hi")

    assert_enqueued(mail.draft(1, text="hi"))
    refute_enqueued(mail.draft(1))


def test_everything_that_an_enqueue_can_say_can_be_expected(box: Sandbox) -> None:
    at = datetime(2026, 2, 1, tzinfo=UTC)
    mail.using(priority=5, labels=["a", "b"], meta={"x": 1, "y": 2}, delay="5m").enqueue(1)
    mail.using(at=at, queue="slow").enqueue(2)

    assert_enqueued(mail, queue="mail", priority=5, labels=["b"], meta={"x": 1}, delay="5m", state="scheduled")
    assert_enqueued(mail, at=at, queue="slow", store="default")
    refute_enqueued(mail, delay="4m")
    refute_enqueued(mail, labels=["c"])
    refute_enqueued(mail, meta={"z": 1})


def test_an_alias_and_a_name_find_the_job() -> None:
    mail.enqueue(1)

    assert_enqueued("mail")
    refute_enqueued("other")
    assert_enqueued()


def test_what_is_found_comes_back_as_a_record() -> None:
    mail.enqueue(1)
    mail.enqueue(2)

    assert assert_enqueued(mail).args == {"user": 2}
    assert [record.args for record in enqueued(mail)] == [{"user": 1}, {"user": 2}]
    assert enqueued(state=State.COMPLETED) == []


def test_a_number_can_be_expected() -> None:
    mail.enqueue(1)
    mail.enqueue(2)

    assert_enqueued(mail, count=2)
    with pytest.raises(AssertionError, match="2 were, 1 expected"):
        assert_enqueued(mail, count=1)


def test_a_failure_shows_what_was_enqueued_the_likest_first_and_what_is_wrong_with_it() -> None:
    other.enqueue()
    mail.using(delay="5m").enqueue(1)

    with pytest.raises(AssertionError) as raised:
        assert_enqueued(mail, args={"user": 2}, queue="mail")
    assert str(raised.value).splitlines() == [
        "enqueued: mail args={'user': 2} queue='mail': no job was",
        "what was enqueued:",
        """  mail {"user":1} queue='mail' state=scheduled delay=300s   (not as expected: args)""",
        "  other {} queue='default' state=available   (not as expected: name)",
    ]


def test_a_failure_says_when_nothing_was_enqueued() -> None:
    with pytest.raises(AssertionError, match="nothing was enqueued"):
        assert_enqueued(mail)


def test_a_refuted_job_is_shown() -> None:
    mail.enqueue(1)

    with pytest.raises(AssertionError, match=r"not to be enqueued: mail: 1 were\n.*\n  mail \{\"user\":1\}"):
        refute_enqueued(mail)


def test_what_cannot_be_expected_is_refused() -> None:
    with pytest.raises(TypeError, match="'colour' cannot be expected of a job; write one of args, queue"):
        assert_enqueued(mail, colour="red")  # type: ignore[call-arg]


def test_a_job_that_is_none_and_a_state_that_is_none_are_refused() -> None:
    with pytest.raises(TypeError, match=r"is no job: write one that @app\.job made"):
        assert_enqueued(len)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="state='waiting' is none; there are scheduled, available"):
        assert_enqueued(mail, state="waiting")
