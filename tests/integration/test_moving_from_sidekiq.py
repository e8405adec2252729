"""Ruby's jobs move from Sidekiq's lists and sets to a store of ours with all that they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import redis

from stoker.app.moving import Mover, Place
from stoker.core.filters import EVERYTHING, Filter
from stoker.core.job import NewJob, State, StoredJob, new_call, new_token
from stoker.core.moving import MOVING
from stoker.core.settlement import Settlement
from stoker.stores.base import Store
from stoker.stores.urls import open_store

LATER = 4_000_000_000.25
CALL = b'{"class":"Mailer","args":["a@example.org",12345678901234567890123],"jid":"b4a577edbccf1d805744efa9",'
LISTED = (
    CALL
    + b'"queue":"mail","retry":5,"created_at":1700000000.5,"enqueued_at":1700000000.6,"shard":"eu","tags":["bulk"]}'
)
SCHEDULED = b'{"class":"Report","args":[],"jid":"aaaaaaaaaaaaaaaaaaaaaaaa","queue":"default","created_at":1700000000.5}'
FAILED = (
    b'{"class":"Import","args":[1],"jid":"bbbbbbbbbbbbbbbbbbbbbbbb","queue":"low","created_at":1700000000.5,"retry":true,'
    b'"retry_count":2,"failed_at":1700000100.0,"retried_at":1700000200.0,"error_class":"IOError","error_message":"gone"}'
)


@pytest.fixture
def ruby(sidekiq_url: str) -> Iterator[Any]:
    """A client of the server, and what stands before each key."""
    parts = urlsplit(sidekiq_url)
    with redis.Redis(host=parts.hostname or "", port=parts.port or 0) as client:
        yield client, parse_qs(parts.query)["namespace"][0]


@pytest.fixture
def stores(sidekiq_url: str, tmp_path: Path, ruby: Any) -> Iterator[tuple[Store, Store]]:
    client, namespace = ruby
    client.sadd(f"{namespace}:queues", "mail")
    client.lpush(f"{namespace}:queue:mail", LISTED, b"not json")
    client.zadd(f"{namespace}:schedule", {SCHEDULED: LATER})
    client.zadd(f"{namespace}:retry", {FAILED: LATER + 1})
    opened = open_store(sidekiq_url, root=tmp_path), open_store(f"sqlite:///{tmp_path}/jobs.sqlite3", root=tmp_path)
    yield opened
    for store in opened:
        store.close()


def move(stores: tuple[Store, Store], only: Filter = EVERYTHING) -> dict[str, StoredJob]:
    old, new = stores
    Mover(Place(old, "legacy", "sidekiq"), Place(new, "default", "sqlite")).move(only, None)
    return {job.name: job for job in new.run(new.find(EVERYTHING, 10))}


def test_lists_schedule_and_retries_arrive_with_their_times_attempts_and_errors(stores: tuple[Store, Store]) -> None:
    moved = move(stores)

    mail, report, imports = moved["Mailer"], moved["Report"], moved["Import"]
    assert (mail.queue, mail.args, mail.max_attempts, mail.labels) == (
        "mail",
        '["a@example.org",12345678901234567890123]',
        6,
        ("bulk",),
    )
    assert msgspec.json.decode(mail.meta) == {"sidekiq": {"shard": "eu"}}
    assert (mail.state, mail.run_at) == (State.AVAILABLE, 1_700_000_000_600_000)
    assert (report.state, report.run_at) == (State.SCHEDULED, 4_000_000_000_250_000)
    assert (imports.state, imports.run_at, imports.queue) == (State.RETRYABLE, 4_000_000_001_250_000, "low")
    assert (imports.failures, imports.starts, imports.max_attempts) == (3, 3, 26)
    assert [(error.type, error.message) for error in imports.errors] == [("IOError", "gone")]


def test_what_is_no_job_stays_and_nothing_is_counted_as_processed(stores: tuple[Store, Store], ruby: Any) -> None:
    client, namespace = ruby
    move(stores)

    assert client.lrange(f"{namespace}:queue:mail", 0, -1) == [b"not json"]
    left = {key.decode().removeprefix(f"{namespace}:") for key in client.scan_iter(f"{namespace}:*")}
    assert {key for key in left if not key.startswith("stoker:ended:")} == {"queues", "queue:mail"}


def test_a_hold_sent_again_after_another_mover_finished_it_takes_nothing(stores: tuple[Store, Store]) -> None:
    old, token = stores[0], new_token()
    hold = old.hold(Filter(queues=("mail",)), 1, token, f"{MOVING}elsewhere")
    (held,) = old.run(hold)
    old.run(old.settle([Settlement(held.id, token, State.COMPLETED, keep=0)]))
    old.run(old.enqueue([NewJob("Mailer", "[]", queue="mail")], new_call()))

    assert old.run(hold) == []
    assert set(move(stores)) == {"Mailer", "Report", "Import"}


@pytest.mark.parametrize(
    ("only", "names"),
    [
        (Filter(queues=("low",)), {"Import"}),
        (Filter(labels=("bulk",)), {"Mailer"}),
        (Filter(error="gone"), {"Import"}),
        (Filter(args=(("0", '"a@example.org"'),)), {"Mailer"}),
        (Filter(states=(State.SCHEDULED,)), {"Report"}),
    ],
)
def test_a_filter_chooses(stores: tuple[Store, Store], only: Filter, names: set[str]) -> None:
    assert set(move(stores, only)) == names
