"""Enqueueing a job by its name."""

from __future__ import annotations

import json

import pytest

from stoker import State, Stoker
from stoker.core.capability import Capability
from stoker.stores.sqlite.store import SqliteStore
from tests.unit.cli.conftest import Shell


def test_a_job_is_enqueued_and_its_id_printed(shop: Shell, jobs: Stoker[None]) -> None:
    id = shop("enqueue", "send", '{"to": "a@example.org"}').stdout.strip()

    record = jobs.handle(id).fetch()
    assert (record.name, record.queue, record.state) == ("send", "mail", State.AVAILABLE)
    assert record.args == {"to": "a@example.org"}


def test_arguments_may_stand_by_position(shop: Shell, jobs: Stoker[None]) -> None:
    answer = shop.answer("enqueue", "send", '["a@example.org", 123456789012345678901234567890]')

    assert jobs.handle(answer["id"]).fetch().args == ["a@example.org", 123456789012345678901234567890]


def test_options_say_when_where_and_how_urgent(shop: Shell, jobs: Stoker[None]) -> None:
    options = ("--delay", "5m", "--queue", "slow", "--priority", "7")

    record = jobs.handle(shop.answer("enqueue", "resize", '["a.png"]', *options)["id"]).fetch()

    assert (record.state, record.queue, record.priority) == (State.SCHEDULED, "slow", 7)


def test_at_is_a_time_with_a_zone(shop: Shell, jobs: Stoker[None]) -> None:
    at = "2101-01-31T12:00:00+01:00"

    record = jobs.handle(shop.answer("enqueue", "resize", '["a.png"]', "--at", at)["id"]).fetch()

    assert record.run_at.isoformat() == "2101-01-31T11:00:00+00:00"
    assert "no time with a zone" in shop("enqueue", "resize", '["a.png"]', "--at", "2101-01-31").stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("sent", "{}"), "did you mean 'send'"),
        (("send", "{}"), "to"),
        (("send", '{"to": 1}'), "argument `to`: expected `str`"),
        (("send", '{"to": "a", "copies": "x"}'), "argument `copies`: expected `int`"),
        (("send", '{"to": "a", "extra": 1}'), "extra"),
        (("send", "{to: 1}"), "send"),
        (("send", "1"), "send"),
        (("send", '["a"]', "--priority", "1000"), "priority"),
        (("send", '["a"]', "--delay", "soon"), "delay"),
        (("send", '["a"]', "--delay", "1s", "--at", "2101-01-31T12:00:00Z"), "exclude each other"),
        (("send", '["a"]', "--wait=soon"), "--wait"),
    ],
)
def test_what_does_not_fit_exits_2_and_is_named(shop: Shell, args: tuple[str, ...], said: str) -> None:
    result = shop("enqueue", *args)

    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_it_needs_an_application(stoker: Shell) -> None:
    result = stoker("enqueue", "send", "--url", "sqlite:///jobs.sqlite3")

    assert result.exit_code == 2
    assert "no application" in result.stderr


def test_a_store_in_memory_would_lose_the_job(shop: Shell) -> None:
    result = shop("enqueue", "send", '["a"]', "--url", "memory://")

    assert result.exit_code == 2
    assert "would end with this command" in result.stderr


@pytest.mark.parametrize("mode", ["async", "foreground"])
def test_wait_prints_the_result(shop: Shell, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_WORKERS__MODE", mode)

    result = shop("enqueue", "--wait", "send", '{"to": "a", "copies": 123456789012345678901234567890}')

    assert (result.exit_code, result.stdout) == (0, "123456789012345678901234567890\n")


@pytest.mark.parametrize("wait", ["--wait=10ms", "--wait=0.01"])
def test_wait_ends_with_1_when_its_time_is_over(shop: Shell, jobs: Stoker[None], wait: str) -> None:
    result = shop("enqueue", "send", '["a"]', wait)

    assert result.exit_code == 1
    assert "has not ended within" in result.stderr


def test_wait_with_json_tells_the_job_though_it_did_not_complete(shop: Shell, jobs: Stoker[None]) -> None:
    result = shop("enqueue", "send", '["a"]', "--wait=10ms", "--json")

    answer = json.loads(result.stdout)
    assert (result.exit_code, jobs.handle(answer["id"]).fetch().name) == (1, "send")
    assert "result" not in answer
    assert answer["error"] in result.stderr


def test_a_store_without_results_refuses_to_be_waited_for_before_anything_is_enqueued(
    shop: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteStore, "capabilities", SqliteStore.capabilities & ~Capability.RESULTS)

    waited = shop("enqueue", "--wait=1s", "send", '["a@example.org"]')

    assert waited.exit_code == 2
    assert "keeps no results to wait for: it lacks RESULTS; leave out --wait" in waited.stderr
    assert shop.answer("jobs", "list") == []
