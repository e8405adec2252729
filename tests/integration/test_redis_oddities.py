"""Damaged values, large arguments, packs that come apart, and what `stoker doctor` says of a server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from stoker.core.filters import EVERYTHING, Filter
from stoker.core.job import Claim, JobId, NewJob, State, new_call, new_token
from stoker.core.settlement import Settled, Settlement
from stoker.stores.redis import RedisStore
from tests.rigs.valkey import Valkey

LEASE = 30_000_000


@pytest.fixture
def store(redis_url: str) -> Iterator[RedisStore]:
    store = RedisStore(redis_url)
    yield store
    store.close()


@pytest.fixture
def vandal(redis_url: str) -> Iterator[Any]:
    """Give a client that may write what it likes."""
    with redis.Redis.from_url(redis_url.partition("?")[0], protocol=2) as client:
        yield client


def enqueue(store: RedisStore, count: int, **fields: Any) -> list[JobId]:
    jobs = [NewJob("work", f'{{"n":{n}}}', keep=None, **fields) for n in range(count)]
    return [answer.id for answer in store.run(store.enqueue(jobs, new_call()))]


def claim(store: RedisStore, limit: int = 1000) -> list[Claim]:
    return store.run(store.claim({"default": limit}, ["work"], [""], new_token(), "worker", LEASE)).claims


def settle(
    store: RedisStore, claims: list[Claim], state: State = State.COMPLETED, keep: int | None = 0
) -> set[Settled]:
    return set(store.run(store.settle([Settlement(c.id, c.token, state, keep=keep) for c in claims])).values())


def key(store: RedisStore, name: str) -> str:
    return store._scripts._keys[name]


@pytest.mark.parametrize(
    "damaged",
    [b"", b"rubbish", b"\xff" * 400, None, b"cut"],
    ids=["nothing", "rubbish", "bytes", "deleted", "cut short"],
)
def test_a_damaged_job_is_a_defect_that_can_be_ended_among_healthy_ones(
    store: RedisStore, vandal: Any, damaged: bytes | None
) -> None:
    ids = enqueue(store, 3)
    if damaged is None:
        vandal.hdel(key(store, "jobs"), ids[1])
    elif damaged == b"cut":
        vandal.hset(key(store, "jobs"), ids[1], vandal.hget(key(store, "jobs"), ids[1])[:100])
    else:
        vandal.hset(key(store, "jobs"), ids[1], damaged)
    claims = claim(store)
    assert [one.id for one in claims] == ids
    assert [one.defect is None for one in claims] == [True, False, True]
    assert settle(store, claims) == {Settled.ACCEPTED}
    assert store.run(store.count()) == []


def test_arguments_that_somebody_damaged_are_a_defect_among_healthy_ones(store: RedisStore, vandal: Any) -> None:
    ids = enqueue(store, 3)
    value = vandal.hget(key(store, "jobs"), ids[1])
    for ending in (b'"', b"\xff\xfe", b'\n["7","x"'):
        vandal.hset(key(store, "jobs"), ids[1], value + ending)
        claims = claim(store)
        assert [one.id for one in claims] == ids
        assert [one.defect is None for one in claims] == [True, False, True]
        assert (claims[1].name, claims[1].queue) == ("work", "default")
        settle(store, claims, State.AVAILABLE)
        value = vandal.hget(key(store, "jobs"), ids[1])[: -len(ending)]


def test_large_arguments_travel_like_small_ones_and_leave_nothing_behind(store: RedisStore, vandal: Any) -> None:
    bodies = ['"' + "x" * size + '"' for size in (10, 1990, 2500, 100_000)]
    store.run(store.enqueue([NewJob("work", body) for body in bodies], new_call()))
    claims = claim(store)
    assert [one.args for one in claims] == bodies
    assert [job.args for job in store.run(store.find(EVERYTHING, 10))] == bodies[::-1]
    assert settle(store, claims) == {Settled.ACCEPTED}
    assert vandal.hlen(key(store, "args")) == vandal.hlen(key(store, "jobs")) == 0


def test_a_claim_of_more_than_fits_into_a_reply_takes_what_fits(store: RedisStore) -> None:
    store.run(store.enqueue([NewJob("work", '"' + "x" * 1_000_000 + '"')] * 16, new_call()))
    store.run(store.enqueue([NewJob("work", '"' + "x" * 1_000_000 + '"')] * 16, new_call()))
    first = claim(store)
    assert 0 < len(first) < 32
    assert len(first) + len(claim(store)) == 32


def test_a_pack_comes_apart_job_by_job_and_is_gone_with_its_last(store: RedisStore, vandal: Any) -> None:
    ids = enqueue(store, 250)
    assert vandal.hlen(key(store, "packs")) == 3
    some = claim(store, 30)
    assert settle(store, some[::2]) == {Settled.ACCEPTED}
    store.run(store.cancel(Filter(ids=(ids[40], ids[120])), 10))
    rest = claim(store)
    assert sorted(int(one.id) for one in [*some, *rest]) == sorted(
        int(id) for id in ids if id not in (ids[40], ids[120])
    )
    assert [one.args for one in rest[:2]] == ['{"n":30}', '{"n":31}']
    assert settle(store, some[1::2], State.RETRYABLE) == {Settled.ACCEPTED}
    assert settle(store, rest[::3]) == {Settled.ACCEPTED}
    assert settle(store, rest[::3]) == {Settled.GONE}
    again = [one for index, one in enumerate(rest) if index % 3]
    assert settle(store, again, keep=None) == {Settled.ACCEPTED}
    assert vandal.hlen(key(store, "packs")) == vandal.hlen(key(store, "bodies")) == 0
    assert (
        vandal.zcard(key(store, "ready")) == vandal.hlen(key(store, "held")) == vandal.zcard(key(store, "leases")) == 0
    )
    states = {row.state: row.count for row in store.run(store.count())}
    assert states == {State.CANCELLED: 2, State.RETRYABLE: 15, State.COMPLETED: len(again)}


def test_a_hundred_jobs_of_a_silent_worker_come_back_from_their_pack(store: RedisStore) -> None:
    ids = enqueue(store, 150)
    claims = claim(store)
    assert settle(store, claims[:7]) == {Settled.ACCEPTED}
    reclaimed = store.run(store.reclaim(10, [claims[0].token]))
    assert sorted(map(int, reclaimed.available)) == [int(id) for id in ids[7:]]
    assert {(one.crashes, one.starts) for one in claim(store)} == {(1, 2)}


def test_a_store_leaves_nothing_behind_when_its_jobs_are_done(store: RedisStore, vandal: Any) -> None:
    enqueue(store, 120)
    enqueue(store, 3, priority=5)
    settle(store, claim(store))
    left = {name for name in store._scripts._keys if vandal.exists(key(store, name))}
    assert left <= {"meta", "calls0", "calls1", "calls2"}
    store.drop()
    assert not any(vandal.exists(key(store, name)) for name in store._scripts._keys)


def test_ids_grow_and_are_not_used_again(store: RedisStore) -> None:
    first = enqueue(store, 60)
    settle(store, claim(store))
    assert int(enqueue(store, 1)[0]) > int(first[-1])


def findings(server: Valkey) -> dict[str, str]:
    store = RedisStore(server.url)
    try:
        return {finding.subject: finding.level for finding in store.examine()}
    finally:
        store.close()


def test_the_doctor_warns_of_eviction_and_of_missing_persistence(own_redis: Valkey) -> None:
    with own_redis.client() as client:
        assert findings(own_redis)["persistence"] == "warn"
        client.config_set("save", "60 1")
        assert findings(own_redis)["persistence"] == "warn"
        client.config_set("appendonly", "yes")
        assert "persistence" not in findings(own_redis)
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert findings(own_redis)["maxmemory-policy"] == "fail"


def test_operators_verbs_reach_all_jobs_in_bites_and_say_whether_there_are_more(store: RedisStore) -> None:
    ids = enqueue(store, 1300)
    first = store.run(store.cancel(EVERYTHING, 1100))
    assert (first.count, first.more, list(first.ids)) == (1100, True, ids[:1100])
    second = store.run(store.cancel(EVERYTHING, 1100))
    assert (second.count, second.more) == (200, False)
    chosen = Filter(ids=tuple(ids[:700]), args=(("n", "3"), ("n", "650")))
    assert list(store.run(store.retry(chosen, 10)).ids) == [ids[3], ids[650]]
    assert len(store.run(store.find(EVERYTHING, 2000))) == 1300
