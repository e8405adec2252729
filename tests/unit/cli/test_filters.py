"""The options that choose jobs become a filter."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click
import pytest
from click.testing import CliRunner, Result

from stoker.cli.filters import filtered
from stoker.core.duration import SECOND, instant_micros
from stoker.core.filters import Filter
from stoker.core.job import JobId, State


def parsed(*args: str) -> Filter:
    found: list[Filter] = []

    @click.command()
    @filtered
    def command(only: Filter) -> None:
        found.append(only)

    result = CliRunner().invoke(command, args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return found[0]


def refused(*args: str) -> Result:
    @click.command()
    @filtered
    def command(only: Filter) -> None: ...

    return CliRunner().invoke(command, args, catch_exceptions=False)


def test_no_option_is_the_empty_filter() -> None:
    assert parsed().empty


def test_repeats_of_an_option_gather() -> None:
    only = parsed("--id", "a", "--id", "b", "--name", "send", "--queue", "mail", "--queue", "sms", "--label", "vip")

    assert only == Filter(ids=(JobId("a"), JobId("b")), names=("send",), queues=("mail", "sms"), labels=("vip",))


def test_states_are_words_of_the_glossary() -> None:
    assert parsed("--state", "retryable", "--state", "discarded").states == (State.RETRYABLE, State.DISCARDED)
    assert "'done' is not one of" in refused("--state", "done").output


def test_an_argument_is_a_path_and_json() -> None:
    assert parsed("--arg", "user.id=42", "--arg", 'name="a=b"').args == (("user.id", "42"), ("name", '"a=b"'))


@pytest.mark.parametrize(
    ("text", "said"), [("user.id", "is not PATH=JSON"), ("=1", "is not PATH=JSON"), ("name=anna", "'name=\"anna\"'")]
)
def test_an_argument_that_cannot_be_read_says_what_to_write(text: str, said: str) -> None:
    result = refused("--arg", text)

    assert result.exit_code == 2
    assert said in result.output


def test_a_time_is_read_as_rfc_3339() -> None:
    wanted = instant_micros(datetime(2027, 1, 31, 12, tzinfo=UTC))

    assert parsed("--enqueued-since", "2027-01-31T12:00:00Z").enqueued_since == wanted
    assert parsed("--failed-before", "2027-01-31T13:00:00+01:00").failed_before == wanted
    assert parsed("--finished-since", "2027-01-31 12:00:00.000000Z").finished_since == wanted


def test_an_age_counts_back_from_now() -> None:
    now = time.time() * SECOND

    since = parsed("--finished-before", "2h").finished_before

    assert since is not None
    assert abs(now - 7200 * SECOND - since) < 60 * SECOND


@pytest.mark.parametrize("text", ["2027-01-31T12:00:00", "2027-01-31", "yesterday", "2027-13-31T12:00:00Z", "3600"])
def test_a_time_without_zone_or_unit_is_refused(text: str) -> None:
    result = refused("--enqueued-before", text)

    assert result.exit_code == 2
    assert "neither an age like 2h nor a time" in result.output


def test_batches_are_chosen_by_id() -> None:
    assert parsed("--batch", "a", "--batch", "b") == Filter(batches=("a", "b"))
